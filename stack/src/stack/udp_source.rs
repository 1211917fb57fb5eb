//! Datagrams whose source is chosen one by one, by a socket that is bound to all addresses.

use core::net::{IpAddr, SocketAddr};
#[cfg(feature = "embedded-nal-async")]
use core::task::Waker;

use super::Stack;
#[cfg(feature = "embedded-nal-async")]
use crate::bytes::Bytes;
use crate::error::Error;
use crate::ip::Path;
#[cfg(feature = "embedded-nal-async")]
use crate::stack::Devices;
#[cfg(feature = "embedded-nal-async")]
use crate::time::Instant;
use crate::udp::DatagramHandle;

impl Stack<'_> {
    /// The path of a datagram from an address of ours. It is not remembered: the next one may have another source.
    pub(super) fn datagram_path_from(
        &self,
        handle: DatagramHandle,
        from: IpAddr,
        to: &SocketAddr,
    ) -> Result<Path, Error> {
        let path = self.datagram_path(self.datagrams.get(handle)?, Some(from), to)?;
        #[cfg(feature = "fragments")]
        let path = self.as_learnt(path, to.ip().to_canonical());
        Ok(path)
    }

    /// Sends a datagram from one of our addresses.
    ///
    /// [`Error::AddrNotAvailable`]: it is none of ours, or the socket is bound to another.
    #[cfg(feature = "embedded-nal-async")]
    pub(crate) fn datagram_send_from(
        &mut self,
        handle: DatagramHandle,
        (from, to): (IpAddr, SocketAddr),
        data: &[u8],
        (waker, devices): (&Waker, &mut dyn Devices),
        now: Instant,
    ) -> Result<usize, Error> {
        if !self.is_ours(from) || self.datagrams.get(handle)?.local.is_some_and(|own| own != from) {
            return Err(Error::AddrNotAvailable);
        }
        let outlets = (Some(waker), Some(devices));
        self.datagram_send_by(handle, (Some(from), Some(to)), Bytes::new(&[data]), outlets, now)
    }
}
