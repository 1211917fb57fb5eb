//! Where the pipeline meets UDP.

use super::Stack;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::ip::{IcmpError, PacketMeta};
use crate::time::Instant;
use crate::wire::protocol;

impl Stack<'_> {
    /// A datagram for one of our addresses or a group of ours; `packet` starts at the IP header.
    pub(super) fn udp_input(
        &mut self,
        meta: &PacketMeta,
        packet: Bytes<'_>,
        _offset: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        self.report_port(meta, packet, protocol::UDP, now);
        Err(Drop::UdpNoSocket)
    }

    /// An ICMP error quotes a datagram with one of our addresses as its source.
    pub(super) fn udp_icmp_error(&mut self, _error: &IcmpError) -> Result<(), Drop> {
        Err(Drop::IcmpForeign)
    }
}
