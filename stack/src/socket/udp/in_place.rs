//! Datagrams in the stack's own memory, without a buffer of the program's.

#[cfg(feature = "fragments")]
use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::UdpSocket;
#[cfg(feature = "fragments")]
use super::pending;
use crate::error::Error;
use crate::udp::Received;

/// Whichever poll finds something calls it, and no other.
fn called_once<R>(
    look: &mut Option<impl FnOnce(&[&[u8]], &Received) -> R>,
) -> impl FnOnce(&[&[u8]], &Received) -> R {
    |pieces: &[&[u8]], received: &Received| look.take().expect("it is called once")(pieces, received)
}

impl UdpSocket {
    /// Receives a datagram without a buffer: `look` is lent it in the pieces in which it lies in the stack's memory (one as
    /// a rule, 16 at most; beyond that it is [truncated](Received::is_truncated)), with all that is known of it. Waits and fails
    /// as [`recv_datagram`](UdpSocket::recv_datagram).
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket) -> Result<(), barenet::Error> {
    /// let sum = socket.recv_with(|pieces, _| pieces.concat().iter().map(|byte| u32::from(*byte)).sum::<u32>())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If `look` uses a socket or the [`Net`](crate::Net): it runs under the stack's lock.
    pub fn recv_with<R>(&self, look: impl FnOnce(&[&[u8]], &Received) -> R) -> Result<R, Error> {
        let mut look = Some(look);
        self.net.wait_for(self.read_timeout, |cx| self.poll_receive_with(cx, &mut look))
    }

    /// [`recv_with`](UdpSocket::recv_with) without waiting: [`Error::WouldBlock`] if there is no datagram.
    pub fn try_recv_with<R>(&self, look: impl FnOnce(&[&[u8]], &Received) -> R) -> Result<R, Error> {
        let mut look = Some(look);
        self.net.attempt(|stack, _| stack.datagram_receive_with(self.handle, called_once(&mut look), None))
    }

    /// [`recv_with`](UdpSocket::recv_with) in poll form; `look` is not called if it is pending.
    pub fn poll_recv_with<R>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&[&[u8]], &Received) -> R,
    ) -> Poll<Result<R, Error>> {
        self.poll_receive_with(cx, &mut Some(look))
    }

    /// [`recv_with`](UdpSocket::recv_with) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn recv_with_async<R>(&self, look: impl FnOnce(&[&[u8]], &Received) -> R) -> Result<R, Error> {
        let mut look = Some(look);
        self.net.wait_async(self.read_timeout, |cx| self.poll_receive_with(cx, &mut look)).await
    }

    fn poll_receive_with<R>(
        &self,
        cx: &mut Context<'_>,
        look: &mut Option<impl FnOnce(&[&[u8]], &Received) -> R>,
    ) -> Poll<Result<R, Error>> {
        let waker = Some(cx.waker());
        self.received(
            self.net.call(|stack, _| stack.datagram_receive_with(self.handle, called_once(look), waker)),
        )
    }

    /// Sends a datagram without a buffer: `fill` is lent `len` bytes of the stack's memory, with anything in them, and says
    /// how many it wrote from the front. `None`: to the connected peer. It is called again where the device had no
    /// room. Waits and fails as [`send_to`](UdpSocket::send_to); also [`Error::OutOfMemory`]: `len` is beyond the buffer
    /// for fragments ([`Storage`](crate::stack::Storage); of the heap, if there is one).
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket, to: core::net::SocketAddr) -> Result<(), barenet::Error> {
    /// socket.send_with(8, Some(to), |room| {
    ///     room.copy_from_slice(&42u64.to_be_bytes());
    ///     8
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If `fill` uses a socket or the [`Net`](crate::Net): it runs under the stack's lock.
    #[cfg(feature = "fragments")]
    pub fn send_with(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        mut fill: impl FnMut(&mut [u8]) -> usize,
    ) -> Result<usize, Error> {
        self.net.wait_for(self.write_timeout, |cx| self.poll_send_with(cx, len, to, &mut fill))
    }

    /// [`send_with`](UdpSocket::send_with) in poll form.
    #[cfg(feature = "fragments")]
    pub fn poll_send_with(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        to: Option<SocketAddr>,
        mut fill: impl FnMut(&mut [u8]) -> usize,
    ) -> Poll<Result<usize, Error>> {
        let waker = Some(cx.waker());
        pending(self.net.call_sending(|stack, devices, now| {
            self.accepts(to, stack)?;
            stack.datagram_send_with(self.handle, to, (len, &mut fill), waker, devices, now)
        }))
    }

    /// [`send_with`](UdpSocket::send_with) for an executor. Dropped before it is ready, it has sent nothing.
    #[cfg(feature = "fragments")]
    pub async fn send_with_async(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        mut fill: impl FnMut(&mut [u8]) -> usize,
    ) -> Result<usize, Error> {
        self.net.wait_async(self.write_timeout, |cx| self.poll_send_with(cx, len, to, &mut fill)).await
    }

    /// [`send_with`](UdpSocket::send_with) without waiting: [`Error::WouldBlock`] if there is no room.
    #[cfg(feature = "fragments")]
    pub fn try_send_with(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        mut fill: impl FnMut(&mut [u8]) -> usize,
    ) -> Result<usize, Error> {
        self.net.attempt_sending(|stack, devices, now| {
            self.accepts(to, stack)?;
            stack.datagram_send_with(self.handle, to, (len, &mut fill), None, devices, now)
        })
    }
}
