//! Several buffers in one write, and readiness without a buffer.

use core::task::{Context, Poll};

use super::{TcpStream, WriteHalf};
use crate::error::Error;
use crate::stack::{Readiness, Stack, TcpHandle};
use crate::time::Instant;

/// Queues what there is room for of all pieces, as one piece.
fn gather<'d>(
    stack: &mut Stack<'static>,
    handle: TcpHandle,
    pieces: impl Iterator<Item = &'d [u8]>,
    now: Instant,
) -> Result<usize, Error> {
    let mut done = 0;
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        match stack.tcp_write(handle, piece, now) {
            Ok(n) if n == piece.len() => done += n,
            Ok(n) => return Ok(done + n),
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

impl WriteHalf<'_> {
    /// See [`TcpStream::write_vectored`].
    pub fn write_vectored(&mut self, pieces: &[&[u8]]) -> Result<usize, Error> {
        self.write_pieces(|| pieces.iter().copied())
    }

    fn write_pieces<'d, I: Iterator<Item = &'d [u8]>>(
        &mut self,
        pieces: impl Fn() -> I,
    ) -> Result<usize, Error> {
        let (net, timeout) = (self.0.net().clone(), self.0.write_timeout);
        net.wait_for(timeout, |cx| self.poll_pieces(cx, pieces()))
    }

    fn poll_pieces<'d>(
        &mut self,
        cx: &mut Context<'_>,
        pieces: impl Iterator<Item = &'d [u8]>,
    ) -> Poll<Result<usize, Error>> {
        let handle = self.0.handle();
        self.0.poll(cx, Readiness::Writable, |stack, now| gather(stack, handle, pieces, now))
    }

    /// See [`TcpStream::write_vectored_async`].
    pub async fn write_vectored_async(&mut self, pieces: &[&[u8]]) -> Result<usize, Error> {
        let (net, timeout) = (self.0.net().clone(), self.0.write_timeout);
        net.wait_async(timeout, |cx| self.poll_pieces(cx, pieces.iter().copied())).await
    }

    /// What `std::io::Write::write_vectored` stands for.
    #[cfg(feature = "std")]
    pub(super) fn write_slices(&mut self, slices: &[std::io::IoSlice<'_>]) -> Result<usize, Error> {
        self.write_pieces(|| slices.iter().map(|slice| &**slice))
    }

    /// See [`TcpStream::poll_writable`].
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_writable(cx)
    }
}

impl TcpStream {
    /// Queues at least one byte of the pieces, which follow one another as if they were one, and says how many
    /// in all: less than all if there is no room for more. Waits as [`write`](TcpStream::write), with its
    /// errors. Nothing is sent between two pieces, so that what fits into a segment is one.
    ///
    /// ```no_run
    /// # fn example(stream: &mut barenet::TcpStream, body: &[u8]) -> Result<(), barenet::Error> {
    /// let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    /// let n = stream.write_vectored(&[head, body])?;
    /// # Ok(()) }
    /// ```
    pub fn write_vectored(&mut self, pieces: &[&[u8]]) -> Result<usize, Error> {
        WriteHalf(self).write_vectored(pieces)
    }

    /// [`write_vectored`](TcpStream::write_vectored) in poll form.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[&[u8]],
    ) -> Poll<Result<usize, Error>> {
        WriteHalf(self).poll_pieces(cx, pieces.iter().copied())
    }

    /// [`write_vectored`](TcpStream::write_vectored) for an executor. Dropped before it is ready, it has taken
    /// nothing.
    pub async fn write_vectored_async(&mut self, pieces: &[&[u8]]) -> Result<usize, Error> {
        WriteHalf(self).write_vectored_async(pieces).await
    }

    /// [`write_vectored`](TcpStream::write_vectored) of what there is room for: [`Error::WouldBlock`] if there
    /// is none.
    pub fn try_write_vectored(&mut self, pieces: &[&[u8]]) -> Result<usize, Error> {
        let handle = self.handle();
        self.net().attempt(|stack, now| gather(stack, handle, pieces.iter().copied(), now))
    }

    /// Ready when a read would give something: data, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_ready(cx, Readiness::Readable)
    }

    /// Ready when a write would take something, or fail.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_ready(cx, Readiness::Writable)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, readiness: Readiness) -> Poll<Result<(), Error>> {
        let handle = self.handle();
        self.poll(cx, readiness, |stack, now| {
            stack.tcp_is_ready(handle, readiness, now)?.then_some(()).ok_or(Error::WouldBlock)
        })
    }

    /// Waits until the peer has acknowledged everything that was written, and our FIN if there is one.
    /// ([`flush`](TcpStream::flush) does not wait.)
    ///
    /// [`Error::TimedOut`] after the write timeout, and what ended the connection before.
    pub fn wait_acknowledged(&self) -> Result<(), Error> {
        self.net().wait_for(self.write_timeout, |cx| self.poll_acknowledged(cx))
    }

    /// [`wait_acknowledged`](TcpStream::wait_acknowledged) for an executor. It may be dropped at any time.
    pub async fn wait_acknowledged_async(&self) -> Result<(), Error> {
        self.net().wait_async(self.write_timeout, |cx| self.poll_acknowledged(cx)).await
    }
}
