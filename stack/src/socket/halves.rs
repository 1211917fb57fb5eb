//! The two directions of a TCP connection, apart: for a task that reads while another writes.

use core::task::{Context, Poll};

use super::tcp::aborted;
use super::{Shutdown, TcpStream};
use crate::error::Error;
use crate::stack::Readiness;

/// The receiving direction of a [`TcpStream`]; see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'s>(pub(super) &'s TcpStream);

/// The sending direction of a [`TcpStream`]; see [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'s>(pub(super) &'s TcpStream);

impl ReadHalf<'_> {
    /// See [`TcpStream::poll_read`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let handle = self.0.handle();
        self.0.poll(cx, Readiness::Readable, |stack, now| stack.tcp_read(handle, buf, now))
    }

    /// See [`TcpStream::read`].
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.net().wait_for(self.0.read_timeout, |cx| self.poll_read(cx, buf))
    }

    /// See [`TcpStream::read_exact`].
    pub fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < buf.len() {
            match self.read(&mut buf[done..])? {
                0 => return Err(Error::UnexpectedEof),
                n => done += n,
            }
        }
        Ok(())
    }

    /// See [`TcpStream::read_async`].
    pub async fn read_async(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let (net, timeout) = (self.0.net().clone(), self.0.read_timeout);
        net.wait_async(timeout, |cx| self.poll_read(cx, buf)).await
    }

    /// See [`TcpStream::poll_peek`].
    pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let handle = self.0.handle();
        self.0.poll(cx, Readiness::Readable, |stack, now| stack.tcp_peek(handle, buf, now))
    }

    /// See [`TcpStream::poll_readable`].
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_readable(cx)
    }
}

impl WriteHalf<'_> {
    /// See [`TcpStream::poll_write`].
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        let handle = self.0.handle();
        self.0.poll(cx, Readiness::Writable, |stack, now| stack.tcp_write(handle, data, now))
    }

    /// See [`TcpStream::write`].
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.0.net().wait_for(self.0.write_timeout, |cx| self.poll_write(cx, data))
    }

    /// See [`TcpStream::write_all`].
    pub fn write_all(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let n = self.write(data)?;
            data = &data[n..];
        }
        Ok(())
    }

    /// See [`TcpStream::write_all_async`].
    pub async fn write_all_async(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let n = self.write_async(data).await?;
            data = &data[n..];
        }
        Ok(())
    }

    /// [`write`](WriteHalf::write) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn write_async(&mut self, data: &[u8]) -> Result<usize, Error> {
        let (net, timeout) = (self.0.net().clone(), self.0.write_timeout);
        net.wait_async(timeout, |cx| self.poll_write(cx, data)).await
    }

    /// See [`TcpStream::write_without_interruption`].
    pub fn write_without_interruption(&mut self, data: &[u8]) -> Result<(), Error> {
        let handle = self.0.handle();
        aborted(self.0.net().call(|stack, now| stack.tcp_write_whole(handle, data, now)))
    }

    /// See [`TcpStream::flush`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.0.push()
    }

    /// Sends a FIN after what was written, without waiting.
    pub fn shutdown(&mut self) -> Result<(), Error> {
        self.0.shut(Shutdown::Write)
    }
}

#[cfg(feature = "std")]
impl std::io::Read for ReadHalf<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        Ok(ReadHalf::read(self, buf)?)
    }
}

#[cfg(feature = "std")]
impl std::io::Write for WriteHalf<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        Ok(WriteHalf::write(self, data)?)
    }
    fn write_vectored(&mut self, slices: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        Ok(self.write_slices(slices)?)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(self.0.push()?)
    }
}
