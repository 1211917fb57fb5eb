//! The flow of the last segment: a frame that differs from it only in what always differs goes
//! straight to its connection, if TCP expects it.
//!
//! Nearly every frame of a transfer is such a one, and nothing has to be looked up for it. All
//! others go the way of [`ingress`](super::ingress), which alone drops anything.

use super::Stack;
use crate::base::slab::Key;
use crate::bytes::Bytes;
use crate::device::{RxChecksum, RxFrame};
use crate::ip::InterfaceId;
use crate::tcp::segment::EcnCodepoint;
use crate::time::Instant;
use crate::wire::tcp::parse_plain;
use crate::wire::{Checksum, ETHERNET_LEN, EtherType, EthernetHeader, IPV4_LEN, IPV6_LEN, protocol};

/// Ethernet, IPv6 and the ports of TCP.
const HEAD_LEN: usize = ETHERNET_LEN + IPV6_LEN + 4;
/// Ethernet, IPv4 without options, and the ports.
const HEAD_LEN_V4: usize = ETHERNET_LEN + IPV4_LEN + 4;

/// A frame that was good for a connection. Whoever changes addresses forgets it.
pub(super) struct Flow {
    interface: InterfaceId,
    connection: Key,
    v6: bool,
    /// The ECN field of its packets.
    mark: EcnCodepoint,
    head: [u8; HEAD_LEN],
    /// Sum of the pseudo-header without the length.
    pseudo: Checksum,
    /// Sum of the IPv4 header without length, identification and checksum.
    ip: Checksum,
}

impl Flow {
    /// The flow of a frame that was found good and that had a segment for this connection.
    pub(super) fn of(interface: InterfaceId, frame: &RxFrame<'_>, connection: Key) -> Option<Flow> {
        let front = frame.bytes.front();
        let ethernet = EthernetHeader::parse(front, 0).ok().filter(|header| header.len == ETHERNET_LEN)?;
        let v6 = match ethernet.kind {
            // Without options.
            EtherType::Ipv4 if front.get(14) == Some(&0x45) => false,
            // Without extension headers.
            EtherType::Ipv6 if front.get(20) == Some(&protocol::TCP) => true,
            _ => return None,
        };
        let len = if v6 { HEAD_LEN } else { HEAD_LEN_V4 };
        let mut head = [0; HEAD_LEN];
        head[..len].copy_from_slice(front.get(..len)?);
        let mut pseudo = Checksum::default();
        pseudo.add(if v6 { &head[22..54] } else { &head[26..34] });
        pseudo.add_word(u16::from(protocol::TCP));
        let mut ip = Checksum::default();
        ip.add(&head[14..16]);
        ip.add(&head[20..24]);
        ip.add(&head[26..34]);
        // DSCP and ECN are the second byte of IPv4, and lie across the first two of IPv6.
        let mark = EcnCodepoint::of(if v6 { head[15] >> 4 } else { head[15] });
        Some(Flow { interface, connection, v6, mark, head, pseudo, ip })
    }

    /// The segment in a frame of this flow.
    fn segment_in<'f>(&self, interface: InterfaceId, frame: &RxFrame<'f>) -> Option<Bytes<'f>> {
        if interface != self.interface || frame.checksum == RxChecksum::Bad {
            return None;
        }
        let front = frame.bytes.front();
        let (at, len) = if self.v6 { self.match_v6(front)? } else { self.match_v4(front)? };
        let segment = frame.bytes.slice(at, len);
        (segment.len() == len).then_some(segment)
    }

    /// Length, identification and header checksum may differ, and nothing else: not the TTL either.
    #[inline]
    fn match_v4(&self, front: &[u8]) -> Option<(usize, usize)> {
        let (mine, head) = (&self.head, front.first_chunk::<HEAD_LEN_V4>()?);
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let total_len = usize::from(word(16));
        let is_same =
            head[..16] == mine[..16] && head[20..24] == mine[20..24] && head[26..38] == mine[26..38];
        let mut sum = self.ip;
        sum.add_word(total_len as u16);
        sum.add_word(word(18));
        sum.add_word(word(24));
        if !is_same || !sum.is_valid() {
            return None;
        }
        Some((ETHERNET_LEN + IPV4_LEN, total_len.checked_sub(IPV4_LEN)?))
    }

    /// Only the length may differ.
    fn match_v6(&self, front: &[u8]) -> Option<(usize, usize)> {
        let (mine, head) = (&self.head, front.first_chunk::<HEAD_LEN>()?);
        let is_same = head[..18] == mine[..18] && head[20..] == mine[20..];
        let len = usize::from(u16::from_be_bytes([head[18], head[19]]));
        is_same.then_some((ETHERNET_LEN + IPV6_LEN, len))
    }

    //= rfc9293#3.1 MUST-3
    fn checksum_is_valid(&self, segment: Bytes<'_>) -> bool {
        let mut sum = self.pseudo;
        sum.add_word(segment.len() as u16);
        sum.add_bytes(segment);
        sum.is_valid()
    }
}

impl Stack<'_> {
    /// Remembers the flow of a frame that had a good segment for a connection.
    pub(super) fn note_flow(&mut self, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) {
        if let Some(connection) = self.served {
            self.flow = Flow::of(interface, frame, connection);
            self.tcp_confirms(connection, now);
        }
    }

    /// Takes the frame, if it belongs to the flow of the last one and TCP expects it. False:
    /// nothing was done.
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
        let Some(flow) = &self.flow else { return false };
        let Some(bytes) = flow.segment_in(interface, frame) else { return false };
        let Some(mut segment) = parse_plain(bytes) else { return false };
        segment.mark = flow.mark;
        segment.is_merged = frame.segment_len.is_some_and(|len| segment.payload.len() > len.into());
        let is_whole = || frame.checksum == RxChecksum::Valid || flow.checksum_is_valid(bytes);
        if !self.tcp.take_expected(flow.connection, &segment, is_whole, now, &mut self.pool) {
            return false;
        }
        let (connection, v6) = (flow.connection, flow.v6);
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
