//! Segments in, of the flow of the last one: straight to the connection, if that expects them.

use super::Stack;
use super::flow::Flow as FlowOf;
use super::tcp::ActiveKey;
use crate::device::{RxChecksum, RxFrame};
use crate::ip::InterfaceId;
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
            self.flow = Flow::of(interface, frame, protocol::TCP, connection);
            self.tcp_confirms(connection, now);
        }
    }

    /// Takes the frame, if it comes from the host of the last one and its connection expects it. False: nothing was done.
    #[inline]
    pub(super) fn take_expected(
        &mut self,
        interface: InterfaceId,
        frame: &RxFrame<'_>,
        now: Instant,
    ) -> bool {
        // Raw sockets get copies, on the way that looks at everything.
        #[cfg(feature = "raw")]
        if !self.raw.is_empty() {
            return false;
        }
        let Some(flow) = &mut self.flow else { return false };
        let Some((bytes, is_same)) = flow.payload_in(interface, frame) else { return false };
        let connection = match is_same {
            true => Some(flow.owner),
            false => bytes.front().first_chunk().and_then(|ports| self.tcp.active_of(&tuple(flow, *ports))),
        };
        let Some(connection) = connection else { return false };
        let Some(mut segment) = parse_plain(bytes) else { return false };
        segment.mark = EcnCodepoint::of(flow.traffic_class());
        segment.is_merged = frame.segment_len.is_some_and(|len| segment.payload.len() > len.into());
        let is_whole = || frame.checksum == RxChecksum::Valid || flow.checksum_is_valid(bytes);
        if !self.tcp.take_expected(connection, &segment, is_whole, now, &mut self.pool) {
            return false;
        }
        if !is_same && let Some(ports) = bytes.front().first_chunk() {
            flow.turn_to(connection, *ports);
        }
        let v6 = flow.v6;
        self.tcp_confirms(connection, now);
        let counters = &mut self.counters;
        counters.frames.received.count(frame.bytes.len());
        let (ip, ip_len) = match v6 {
            false => (&mut counters.ipv4, IPV4_LEN),
            true => (&mut counters.ipv6, IPV6_LEN),
        };
        ip.received.count(ip_len + bytes.len());
        counters.tcp.received.count(bytes.len());
        true
    }
}
