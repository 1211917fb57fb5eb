//! Segments in, of the host of the last one: straight to the connection, if that expects them, else to TCP.

use super::Stack;
use super::flow::Flow as FlowOf;
use super::tcp::ActiveKey;
use crate::bytes::Bytes;
use crate::device::{RxChecksum, RxFrame};
use crate::ip::{InterfaceId, PacketMeta};
use crate::tcp::segment::{EcnCodepoint, Tuple};
use crate::time::Instant;
use crate::wire::tcp::parse_plain;
use crate::wire::{IPV4_LEN, IPV6_LEN, protocol};

/// The last frame with a segment for a connection.
pub(super) type Flow = FlowOf<ActiveKey>;

/// The connection that a segment of this flow is for that begins with these ports.
fn tuple(flow: &Flow, ports: [u8; 4]) -> Tuple {
    let [a, b, c, d] = ports;
    let (remote, local) = flow.addresses();
    Tuple { local, remote, local_port: u16::from_be_bytes([c, d]), remote_port: u16::from_be_bytes([a, b]) }
}

impl Stack<'_> {
    /// Remembers the flow of a frame that had a good segment for a connection.
    pub(super) fn note_flow(&mut self, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) {
        if let Some(connection) = self.served {
            self.flow = Flow::of(interface, frame, protocol::TCP, connection).into();
            self.tcp_confirms(connection, now);
        }
    }

    /// Takes the frame, if it comes from the host of the last one: straight to its connection, if that expects it. False:
    /// nothing was done.
    #[inline]
    pub(super) fn take_of_flow(&mut self, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) -> bool {
        // Raw sockets get copies, on the way that looks at everything.
        #[cfg(feature = "raw")]
        if !self.raw.is_empty() {
            return false;
        }
        let Some(flow) = self.flow.as_mut() else { return false };
        let Some((bytes, is_same)) = flow.payload_in(interface, frame) else { return false };
        let v6 = flow.v6;
        let counters = &mut self.counters;
        counters.frames.received.count(frame.bytes.len());
        let (ip, ip_len) = match v6 {
            false => (&mut counters.ipv4, IPV4_LEN),
            true => (&mut counters.ipv6, IPV6_LEN),
        };
        ip.received.count(ip_len + bytes.len());
        counters.tcp.received.count(bytes.len());
        if !self.take_expected(bytes, is_same, frame, now) {
            self.take_other(bytes, interface, frame, now);
        }
        true
    }

    /// Takes a segment of the flow's host, if its connection expects it. False: nothing was done.
    #[inline]
    pub(super) fn take_expected(
        &mut self,
        bytes: Bytes<'_>,
        is_same: bool,
        frame: &RxFrame<'_>,
        now: Instant,
    ) -> bool {
        let Some(flow) = self.flow.as_mut() else { return false };
        let Some(mut segment) = parse_plain(bytes) else { return false };
        let connection = match is_same {
            true => Some(flow.owner),
            false => bytes.front().first_chunk().and_then(|ports| self.tcp.active_of(&tuple(flow, *ports))),
        };
        let Some(connection) = connection else { return false };
        segment.mark = EcnCodepoint::of(flow.traffic_class());
        segment.is_merged = frame.segment_len.is_some_and(|len| segment.payload.len() > len.into());
        let is_whole = || frame.checksum == RxChecksum::Valid || flow.checksum_is_valid(bytes);
        if !self.tcp.take_expected(connection, &segment, is_whole, now, &mut self.pool) {
            return false;
        }
        if !is_same && let Some(ports) = bytes.front().first_chunk() {
            flow.turn_to(connection, *ports);
        }
        self.tcp_confirms(connection, now);
        true
    }

    /// Takes any other segment of the flow's host. What is below TCP was found good before, and is the same.
    #[inline(never)]
    fn take_other(&mut self, bytes: Bytes<'_>, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) {
        let Some(flow) = self.flow.as_ref() else { return };
        let (source, destination) = flow.addresses();
        let meta = PacketMeta {
            interface,
            source,
            destination,
            traffic_class: flow.traffic_class(),
            hop_limit: flow.hop_limit(),
            checksum: frame.checksum,
            segment_len: frame.segment_len,
            link_broadcast: false,
        };
        self.served = None;
        self.tcp_input(&meta, bytes, now);
        if let (Some(connection), Some(flow), Some(ports)) =
            (self.served, self.flow.as_mut(), bytes.front().first_chunk())
        {
            flow.turn_to(connection, *ports);
            self.tcp_confirms(connection, now);
        }
    }
}
