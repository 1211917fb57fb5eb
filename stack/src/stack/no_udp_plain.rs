//! What plain datagrams would need, if the features `udp` and `fast-path` were on.

use core::net::SocketAddr;

use super::Stack;
use super::egress::Devices;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::RxFrame;
use crate::ip::{InterfaceId, Path};
use crate::time::Instant;
use crate::udp::DatagramHandle;

/// The flow of the last datagram: there is none.
pub(super) enum Flow {}

/// The socket that got the last datagram: there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {}

pub(super) fn served(_: Option<u32>, _: u16) -> Option<Served> {
    None
}

/// To whom a socket sent last: to nobody.
pub(super) enum Way {}

impl Stack<'_> {
    pub(super) fn note_datagram_flow(&mut self, _: InterfaceId, _: &RxFrame<'_>, _: Option<Served>) {}

    pub(super) fn take_expected_datagram(&mut self, _: InterfaceId, _: &RxFrame<'_>, _: Instant) -> bool {
        false
    }

    pub(super) fn note_datagram_way(&mut self, _: DatagramHandle, _: &SocketAddr, _: Path) {}

    pub(super) fn datagram_send_plain(
        &mut self,
        _: DatagramHandle,
        _: Option<&SocketAddr>,
        _: (Bytes<'_>, Option<u16>),
        _: &mut dyn Devices,
        _: Instant,
    ) -> Option<Result<(), Drop>> {
        None
    }
}
