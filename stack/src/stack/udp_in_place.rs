//! Datagrams that are read and written in the stack's memory.

#[cfg(feature = "fragments")]
use core::net::SocketAddr;
use core::task::Waker;

#[cfg(feature = "fragments")]
use super::Devices;
use super::Stack;
use crate::error::Error;
#[cfg(feature = "fragments")]
use crate::time::Instant;
use crate::udp::{DatagramHandle, Received};

/// Writes into what it is lent, and says how much.
#[cfg(feature = "fragments")]
type Fill<'f> = &'f mut dyn FnMut(&mut [u8]) -> usize;

impl Stack<'_> {
    /// As [`datagram_send_vectored`](Self::datagram_send_vectored), for a datagram of `len` bytes at most that `fill` writes into the stack's memory; it says how many they
    /// are. It is called again where there was no room in the device.
    ///
    /// Also [`Error::OutOfMemory`]: the buffer in which fragments are put together, which it is lent, is shorter.
    #[cfg(feature = "fragments")]
    pub fn datagram_send_with(
        &mut self,
        handle: DatagramHandle,
        to: Option<SocketAddr>,
        (len, fill): (usize, Fill<'_>),
        waker: Option<&Waker>,
        devices: &mut dyn Devices,
        now: Instant,
    ) -> Result<usize, Error> {
        let len = self.reassembly.fill(len, fill).ok_or(Error::OutOfMemory)?;
        let buffer = self.reassembly.lend();
        let sent = self.datagram_send_vectored(handle, to, &[&buffer[..len]], waker, devices, now);
        self.reassembly.give_back(buffer);
        sent
    }

    /// Takes the oldest unread datagram without a copy: `look` is lent it in the pieces in which it lies, 16 at most.
    /// Errors as for [`datagram_receive`](Self::datagram_receive).
    pub fn datagram_receive_with<R>(
        &mut self,
        handle: DatagramHandle,
        look: impl FnOnce(&[&[u8]], &Received) -> R,
        waker: Option<&Waker>,
    ) -> Result<R, Error> {
        let result = self.datagrams.receive_with(handle, look, &mut self.pool);
        self.datagram_received(handle, result, waker)
    }
}
