//! What can be set for a datagram socket.

use super::Stack;
use crate::error::Error;
use crate::udp::DatagramHandle;

impl Stack<'_> {
    /// Allows or forbids sending to broadcast addresses; forbidden at first.
    pub fn datagram_set_broadcast(&mut self, handle: DatagramHandle, on: bool) -> Result<(), Error> {
        self.datagrams.get_mut(handle)?.broadcast = on;
        Ok(())
    }

    /// May it send to broadcast addresses?
    pub fn datagram_broadcast(&self, handle: DatagramHandle) -> Result<bool, Error> {
        Ok(self.datagrams.get(handle)?.broadcast)
    }

    /// Sets the TTL or hop limit of what the socket sends, 1 to 255; `None`: 64, or 1 to groups.
    pub fn datagram_set_hop_limit(
        &mut self,
        handle: DatagramHandle,
        hop_limit: Option<u8>,
    ) -> Result<(), Error> {
        if hop_limit == Some(0) {
            return Err(Error::InvalidInput("a TTL or hop limit of 0"));
        }
        self.datagrams.get_mut(handle)?.hop_limit = hop_limit;
        Ok(())
    }

    /// The TTL or hop limit, if one was set.
    pub fn datagram_hop_limit(&self, handle: DatagramHandle) -> Result<Option<u8>, Error> {
        Ok(self.datagrams.get(handle)?.hop_limit)
    }

    /// Sets the traffic class, or type of service, of what the socket sends.
    pub fn datagram_set_traffic_class(&mut self, handle: DatagramHandle, class: u8) -> Result<(), Error> {
        self.datagrams.get_mut(handle)?.traffic_class = class;
        Ok(())
    }

    /// The traffic class, or type of service, of what the socket sends; 0 at first.
    pub fn datagram_traffic_class(&self, handle: DatagramHandle) -> Result<u8, Error> {
        Ok(self.datagrams.get(handle)?.traffic_class)
    }
}
