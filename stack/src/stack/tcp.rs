//! Where the pipeline meets TCP.

use core::net::IpAddr;

use super::{Resolution, Stack};
use crate::bytes::Bytes;
use crate::device::Device;
use crate::ip::{IcmpError, InterfaceId, PacketMeta};
use crate::time::Instant;

impl Stack<'_> {
    /// A segment arrived for one of our addresses, by unicast.
    pub(crate) fn tcp_input(&mut self, _meta: &PacketMeta, _packet: Bytes<'_>, _now: Instant) {}

    /// An ICMP error quotes a segment with one of our addresses as its source.
    pub(crate) fn tcp_icmp_error(&mut self, _meta: &PacketMeta, _error: IcmpError, _now: Instant) {}

    /// All TCP timers that are due.
    pub(crate) fn tcp_timers(&mut self, _now: Instant) {}

    /// Sends what TCP has for this interface. False: the device is full.
    pub(crate) fn tcp_egress(
        &mut self,
        _interface: InterfaceId,
        _device: &mut dyn Device,
        _now: Instant,
    ) -> bool {
        true
    }

    /// When TCP wants its next turn.
    pub(crate) fn tcp_deadline(&self) -> Option<Instant> {
        None
    }

    /// A neighbour that was `Pending` is known now or has failed.
    pub(crate) fn tcp_neighbor(
        &mut self,
        _interface: InterfaceId,
        _next_hop: IpAddr,
        _outcome: Resolution,
        _now: Instant,
    ) {
    }
}
