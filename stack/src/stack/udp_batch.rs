//! Several datagrams of one length for one peer: to the device as one frame, which it cuts (USO).

use core::net::SocketAddr;

use super::Stack;
use super::egress::Devices;
use crate::bytes::Bytes;
use crate::device::Pieces;
use crate::time::Instant;
use crate::udp::{DatagramHandle, Outgoing};

/// Datagrams of a frame: what Linux takes (`UDP_MAX_SEGMENTS`, before 6.9), if a frame has as many pieces.
const DATAGRAMS_MAX: usize = 64;
/// Bytes of all payload of a frame: an IP packet with the longer headers is no longer than 65,535.
const PAYLOAD_MAX: usize = 65_535 - 40 - 8;

impl Stack<'_> {
    /// Does the device of the last datagram's way cut frames of several?
    fn has_uso(&self) -> bool {
        let interface = self.datagram_way.as_ref().and_then(|way| self.interfaces.get(way.interface().0));
        interface.is_some_and(|interface| interface.capabilities.uso)
    }

    /// Sends the first datagrams of a batch at once, as one frame: as many as are for the same peer and as long as the first, and one
    /// that is shorter behind them. How many that were; 0: nothing was done, and the first one is to be sent for itself.
    pub(crate) fn datagram_send_joined(
        &mut self,
        handle: DatagramHandle,
        batch: &[Outgoing<'_>],
        devices: &mut dyn Devices,
        now: Instant,
    ) -> usize {
        if !self.has_uso() {
            return 0;
        }
        let Some((first, to)) = batch.first() else { return 0 };
        let (each, mut left, mut pieces) = (first.len(), PAYLOAD_MAX, Pieces::new());
        for (data, _) in batch.iter().take(DATAGRAMS_MAX).take_while(|(_, other)| other == to) {
            if data.is_empty() || data.len() > each.min(left) || pieces.push(data).is_err() {
                break;
            }
            left -= data.len();
            if data.len() < each {
                break;
            }
        }
        let is_several = pieces.len() > 1;
        let Some(segment_len) = u16::try_from(each).ok().filter(|_| is_several) else { return 0 };
        let joined = (Bytes::new(&pieces), Some(segment_len));
        let to: Option<&SocketAddr> = to.as_ref();
        let sent = self.datagram_send_plain(handle, to, joined, devices, now);
        sent.map_or(0, |_| pieces.len())
    }
}
