//! Where the pipeline would meet TCP, if the feature `tcp` were on.

use core::net::IpAddr;

use super::{Resolution, Stack};
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::{Device, RxFrame};
use crate::ip::{IcmpError, InterfaceId, PacketMeta};
use crate::link::neighbor::NeighborKey;
use crate::time::Instant;

/// The path that TCP took last: there is none.
pub(super) enum TcpWay {}

/// The flow of the last segment: there is none.
pub(super) enum Flow {}

/// Names a connection: there is none.
pub(super) enum ActiveKey {}

impl Stack<'_> {
    pub(super) fn take_of_flow(&mut self, _: InterfaceId, _: &RxFrame<'_>, _: Instant) -> bool {
        false
    }

    pub(super) fn note_flow(&mut self, _: InterfaceId, _: &RxFrame<'_>, _: Instant) {}

    pub(crate) fn tcp_input(&mut self, _: &PacketMeta, _: Bytes<'_>, _: Instant) {}

    /// We can't have sent the segment.
    pub(crate) fn tcp_icmp_error(&mut self, _: &PacketMeta, _: IcmpError, now: Instant) {
        self.count_drop(Drop::IcmpForeign, now);
    }

    pub(crate) fn tcp_timers(&mut self, _: Instant) {}

    pub(super) fn tcp_waits(&self, _: InterfaceId) -> bool {
        false
    }

    pub(crate) fn tcp_egress(&mut self, _: InterfaceId, _: &mut dyn Device, _: Instant) -> bool {
        true
    }

    pub(crate) fn tcp_neighbor(&mut self, _: NeighborKey, _: Resolution, _: Instant) {}

    pub(super) fn tcp_look_again(&mut self) {}

    #[cfg(feature = "slaac")]
    pub(super) fn tcp_try_again(&mut self, _: Instant) {}

    pub(super) fn tcp_device_gone(&mut self, _: InterfaceId, _: Instant) {}

    pub(super) fn tcp_address_gone(&mut self, _: IpAddr, _: Instant) {}
}
