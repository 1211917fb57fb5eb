//! Reading and writing in the stack's own memory, without a buffer of the program's.

use core::task::{Context, Poll};

use super::tcp::aborted;
use super::{ReadHalf, TcpStream, WriteHalf};
use crate::error::Error;
use crate::stack::Readiness;

/// Whichever poll finds something calls it, and no other.
fn once_read<R>(look: impl FnOnce(&[&[u8]]) -> (usize, R)) -> impl FnMut(&[&[u8]]) -> (usize, R) {
    let mut look = Some(look);
    move |pieces: &[&[u8]]| look.take().expect("it is called once")(pieces)
}

/// The same for what writes.
fn once_written<R>(fill: impl FnOnce(&mut [u8]) -> (usize, R)) -> impl FnMut(&mut [u8]) -> (usize, R) {
    let mut fill = Some(fill);
    move |room: &mut [u8]| fill.take().expect("it is called once")(room)
}

impl ReadHalf<'_> {
    /// See [`TcpStream::poll_read_with`].
    pub fn poll_read_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
    ) -> Poll<Result<R, Error>> {
        let handle = self.0.handle();
        self.0.poll(cx, Readiness::Readable, |stack, now| stack.tcp_read_with(handle, look, now))
    }

    /// See [`TcpStream::read_with`].
    pub fn read_with<R>(&mut self, look: impl FnOnce(&[&[u8]]) -> (usize, R)) -> Result<R, Error> {
        let (net, timeout) = (self.0.net().clone(), self.0.read_timeout);
        let mut look = once_read(|pieces| {
            let (taken, result) = look(pieces);
            (taken, (result, taken == 0 && !pieces.is_empty()))
        });
        let (result, is_idle) = net.wait_for(timeout, |cx| self.poll_read_with(cx, &mut look))?;
        if is_idle {
            // Whoever reads again for more would never let it come.
            net.waiter().give_way(&net);
        }
        Ok(result)
    }

    /// See [`TcpStream::try_read_with`].
    pub fn try_read_with<R>(&mut self, look: impl FnOnce(&[&[u8]]) -> (usize, R)) -> Result<R, Error> {
        let (handle, mut look) = (self.0.handle(), once_read(look));
        aborted(self.0.net().attempt(|stack, now| stack.tcp_read_with(handle, &mut look, now)))
    }

    /// See [`TcpStream::read_with_async`].
    pub async fn read_with_async<R>(
        &mut self,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
    ) -> Result<R, Error> {
        let (net, timeout, mut look) = (self.0.net().clone(), self.0.read_timeout, once_read(look));
        net.wait_async(timeout, |cx| self.poll_read_with(cx, &mut look)).await
    }
}

impl WriteHalf<'_> {
    /// See [`TcpStream::poll_write_with`].
    pub fn poll_write_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Poll<Result<R, Error>> {
        let handle = self.0.handle();
        self.0.poll(cx, Readiness::Writable, |stack, now| stack.tcp_write_with(handle, most, fill, now))
    }

    /// See [`TcpStream::write_with`].
    pub fn write_with<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, Error> {
        let (net, timeout, mut fill) = (self.0.net().clone(), self.0.write_timeout, once_written(fill));
        net.wait_for(timeout, |cx| self.poll_write_with(cx, most, &mut fill))
    }

    /// See [`TcpStream::try_write_with`].
    pub fn try_write_with<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, Error> {
        let (handle, mut fill) = (self.0.handle(), once_written(fill));
        aborted(self.0.net().attempt(|stack, now| stack.tcp_write_with(handle, most, &mut fill, now)))
    }

    /// See [`TcpStream::write_with_async`].
    pub async fn write_with_async<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, Error> {
        let (net, timeout, mut fill) = (self.0.net().clone(), self.0.write_timeout, once_written(fill));
        net.wait_async(timeout, |cx| self.poll_write_with(cx, most, &mut fill)).await
    }
}

impl TcpStream {
    /// Reads without a buffer: `look` is lent what has arrived, in the pieces in which it lies in the stack's memory (one
    /// as a rule, 16 at most), and says how many bytes of it it takes; what it leaves is there for the next
    /// read. It is called once, without pieces at the end of the stream. Waits for at least a byte and fails as
    /// [`read`](TcpStream::read). Bytes that were left are shown again at once: to wait for more, take them. (If it takes
    /// nothing, the daemon has its turn before this returns.)
    ///
    /// ```no_run
    /// # fn example(stream: &mut barenet::TcpStream) -> Result<(), barenet::Error> {
    /// // The number of lines, without a copy of them.
    /// let mut lines = 0;
    /// while stream.read_with(|pieces| {
    ///     let bytes = pieces.iter().map(|piece| piece.len()).sum();
    ///     lines += pieces.iter().flat_map(|piece| piece.iter()).filter(|byte| **byte == b'\n').count();
    ///     (bytes, bytes > 0)
    /// })? {}
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If `look` uses a socket or the [`Net`](crate::Net): it runs under the stack's lock, so it should be short as well.
    /// If it panics itself, nothing was taken.
    pub fn read_with<R>(&mut self, look: impl FnOnce(&[&[u8]]) -> (usize, R)) -> Result<R, Error> {
        ReadHalf(self).read_with(look)
    }

    /// [`read_with`](TcpStream::read_with) without waiting: [`Error::WouldBlock`] if there is nothing.
    pub fn try_read_with<R>(&mut self, look: impl FnOnce(&[&[u8]]) -> (usize, R)) -> Result<R, Error> {
        ReadHalf(self).try_read_with(look)
    }

    /// [`read_with`](TcpStream::read_with) in poll form; `look` is not called if it is pending.
    pub fn poll_read_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
    ) -> Poll<Result<R, Error>> {
        ReadHalf(self).poll_read_with(cx, look)
    }

    /// [`read_with`](TcpStream::read_with) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn read_with_async<R>(
        &mut self,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
    ) -> Result<R, Error> {
        ReadHalf(self).read_with_async(look).await
    }

    /// Writes without a buffer: `fill` is lent memory of the stack's behind what is queued, `most` bytes at most and one
    /// at least, and says how many it wrote from the front. What lies in it before is anything. It is called
    /// once. Waits for room and fails as [`write`](TcpStream::write).
    ///
    /// ```no_run
    /// # fn example(stream: &mut barenet::TcpStream) -> Result<(), barenet::Error> {
    /// // As many squares as there is room for.
    /// let squares = stream.write_with(1024, |room| {
    ///     let mut n = 0;
    ///     for place in room.chunks_exact_mut(8) {
    ///         place.copy_from_slice(&(n as u64 * n as u64).to_be_bytes());
    ///         n += 1;
    ///     }
    ///     (8 * n, n)
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`read_with`](TcpStream::read_with). If `fill` panics itself, nothing was written.
    pub fn write_with<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, Error> {
        WriteHalf(self).write_with(most, fill)
    }

    /// [`write_with`](TcpStream::write_with) without waiting: [`Error::WouldBlock`] if there is no room.
    pub fn try_write_with<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, Error> {
        WriteHalf(self).try_write_with(most, fill)
    }

    /// [`write_with`](TcpStream::write_with) in poll form; `fill` is not called if it is pending.
    pub fn poll_write_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Poll<Result<R, Error>> {
        WriteHalf(self).poll_write_with(cx, most, fill)
    }

    /// [`write_with`](TcpStream::write_with) for an executor. Dropped before it is ready, it has written nothing.
    pub async fn write_with_async<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, Error> {
        WriteHalf(self).write_with_async(most, fill).await
    }
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
