//! Streams that several tasks own: clones, and both directions apart.

use alloc::sync::Arc;
use core::task::{Context, Poll};

use super::{ReadHalf, Shutdown, TcpStream, WriteHalf};
use crate::error::Error;
use crate::time::ToTimeout;

/// The receiving direction of a [`TcpStream`], for a task of its own: see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf(TcpStream);

/// The sending direction of a [`TcpStream`], for a task of its own: see [`TcpStream::into_split`]. Dropping it
/// sends a FIN after what was written.
#[derive(Debug)]
pub struct OwnedWriteHalf(TcpStream);

impl TcpStream {
    /// The same connection once more, for another task; each has time limits of its own. It is closed when the
    /// last of them is dropped; [`shutdown`](TcpStream::shutdown) and [`abort`](TcpStream::abort) are for all.
    ///
    /// Errors: none today; it is as the standard library's.
    pub fn try_clone(&self) -> Result<TcpStream, Error> {
        Ok(self.another())
    }

    fn another(&self) -> TcpStream {
        let holder = self.holders.lock().get_or_insert_with(Arc::default).clone();
        let mut clone = TcpStream::new(self.net().clone(), self.handle());
        *clone.holders.lock() = Some(holder);
        (clone.read_timeout, clone.write_timeout) = (self.read_timeout, self.write_timeout);
        clone
    }

    /// Does nobody else hold the connection any more? It is not asked again by the same holder.
    pub(super) fn is_last_holder(&self) -> bool {
        let holder = self.holders.lock().take();
        holder.is_none_or(|holder| Arc::into_inner(holder).is_some())
    }

    /// Does somebody else hold the connection too?
    pub(super) fn is_shared(&self) -> bool {
        self.holders.lock().as_ref().is_some_and(|holder| Arc::strong_count(holder) > 1)
    }

    /// Both directions apart, each to be owned by a task: a fiber or thread that reads while another writes.
    /// The connection is closed when both are dropped.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// let (mut reader, mut writer) = barenet::TcpStream::connect(net, "192.0.2.1:7")?.into_split();
    /// std::thread::spawn(move || {
    ///     let mut buf = [0; 1500];
    ///     while let Ok(n @ 1..) = reader.read(&mut buf) {
    ///         println!("{n} bytes");
    ///     }
    /// });
    /// writer.write_all(b"what comes back is read over there")?;
    /// # Ok(()) }
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let writer = self.another();
        (OwnedReadHalf(self), OwnedWriteHalf(writer))
    }
}

impl OwnedReadHalf {
    /// For all else that a [`ReadHalf`] can do.
    pub fn half(&mut self) -> ReadHalf<'_> {
        ReadHalf(&self.0)
    }

    /// See [`TcpStream::poll_read`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        self.half().poll_read(cx, buf)
    }

    /// See [`TcpStream::read`].
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.half().read(buf)
    }

    /// See [`TcpStream::read_exact`].
    pub fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), Error> {
        self.half().read_exact(buf)
    }

    /// See [`TcpStream::read_async`].
    pub async fn read_async(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.half().read_async(buf).await
    }

    /// See [`TcpStream::set_read_timeout`].
    pub fn set_read_timeout(&mut self, timeout: impl ToTimeout) {
        self.0.set_read_timeout(timeout);
    }
}

impl OwnedWriteHalf {
    /// For all else that a [`WriteHalf`] can do.
    pub fn half(&mut self) -> WriteHalf<'_> {
        WriteHalf(&self.0)
    }

    /// See [`TcpStream::poll_write`].
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        self.half().poll_write(cx, data)
    }

    /// See [`TcpStream::write`].
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.half().write(data)
    }

    /// See [`TcpStream::write_all`].
    pub fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.half().write_all(data)
    }

    /// See [`TcpStream::write_all_async`].
    pub async fn write_all_async(&mut self, data: &[u8]) -> Result<(), Error> {
        self.half().write_all_async(data).await
    }

    /// See [`TcpStream::write_without_interruption`].
    pub fn write_without_interruption(&mut self, data: &[u8]) -> Result<(), Error> {
        self.half().write_without_interruption(data)
    }

    /// See [`TcpStream::flush`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.half().flush()
    }

    /// See [`TcpStream::set_write_timeout`].
    pub fn set_write_timeout(&mut self, timeout: impl ToTimeout) {
        self.0.set_write_timeout(timeout);
    }

    /// Sends a FIN after what was written, without waiting, as dropping it does.
    pub fn shutdown(&mut self) -> Result<(), Error> {
        self.half().shutdown()
    }
}

impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // A panic is no end of a stream: the last holder resets the connection, or its peer waits for the rest.
        #[cfg(feature = "std")]
        if std::thread::panicking() {
            return self.0.abort_after_delivery();
        }
        // One that is over has nobody to tell.
        let _ = self.0.shut(Shutdown::Write);
    }
}
