//! The flow of the last segment: a frame that differs from it only in what always differs, or in its ports, goes
//! straight to its connection, if TCP expects it.
//!
//! Nearly every frame of a transfer is such a one, and nothing has to be looked up for it. All
//! others go the way of [`ingress`](super::ingress), which alone drops anything.

use core::net::IpAddr;

use super::Stack;
use super::tcp::ActiveKey;
use crate::bytes::Bytes;
use crate::device::{RxChecksum, RxFrame};
use crate::ip::InterfaceId;
use crate::tcp::segment::{EcnCodepoint, Tuple};
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
    connection: ActiveKey,
    v6: bool,
    /// The ECN field of its packets.
    mark: EcnCodepoint,
    head: [u8; HEAD_LEN],
    /// Sum of the pseudo-header without the length.
    pseudo: Checksum,
    /// Sum of the IPv4 header without length, identification and checksum, in the machine's byte order.
    ip: u16,
}

impl Flow {
    /// The flow of a frame that was found good and that had a segment for this connection.
    pub(super) fn of(interface: InterfaceId, frame: &RxFrame<'_>, connection: ActiveKey) -> Option<Flow> {
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
        Some(Flow { interface, connection, v6, mark, head, pseudo, ip: ip.sum().to_be() })
    }

    /// The segment in a frame that comes from the same host, and whether it is for the same connection.
    fn segment_in<'f>(&self, interface: InterfaceId, frame: &RxFrame<'f>) -> Option<(Bytes<'f>, bool)> {
        if interface != self.interface || frame.checksum == RxChecksum::Bad {
            return None;
        }
        let front = frame.bytes.front();
        let (at, len, has_same_ports) = if self.v6 { self.match_v6(front)? } else { self.match_v4(front)? };
        let segment = frame.bytes.slice(at, len);
        (segment.len() == len).then_some((segment, has_same_ports))
    }

    /// The connection that a segment is for that begins with these ports.
    fn tuple(&self, ports: [u8; 4]) -> Tuple {
        let [a, b, c, d] = ports;
        let address = |at: usize| match self.v6 {
            false => IpAddr::from(<[u8; 4]>::try_from(&self.head[at..at + 4]).unwrap_or_default()),
            true => IpAddr::from(<[u8; 16]>::try_from(&self.head[at..at + 16]).unwrap_or_default()),
        };
        let (remote, local) = if self.v6 { (22, 38) } else { (26, 30) };
        Tuple {
            local: address(local),
            remote: address(remote),
            local_port: u16::from_be_bytes([c, d]),
            remote_port: u16::from_be_bytes([a, b]),
        }
    }

    /// A segment came for another connection between the same hosts, that begins with these ports.
    fn turn_to(&mut self, connection: ActiveKey, ports: [u8; 4]) {
        let at = if self.v6 { HEAD_LEN } else { HEAD_LEN_V4 } - 4;
        self.head[at..at + 4].copy_from_slice(&ports);
        self.connection = connection;
    }

    /// Length, identification and header checksum may differ, and nothing else but the ports: not the TTL either.
    #[inline]
    fn match_v4(&self, front: &[u8]) -> Option<(usize, usize, bool)> {
        let head = front.first_chunk::<HEAD_LEN_V4>()?;
        let total_len = usize::from(u16::from_be_bytes([head[16], head[17]]));
        let mine = self.head.first_chunk()?;
        let ([a, b, c, d], [e, f, g, h]) = (words_v4(head), words_v4(mine));
        let is_same = (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0;
        // Few words: after one carry the sum of a right header has no other.
        let word = |at: usize| u32::from(u16::from_ne_bytes([head[at], head[at + 1]]));
        let sum = u32::from(self.ip) + word(16) + word(18) + word(24);
        if !is_same || (sum & 0xffff) + (sum >> 16) != 0xffff {
            return None;
        }
        Some((ETHERNET_LEN + IPV4_LEN, total_len.checked_sub(IPV4_LEN)?, head[34..] == mine[34..]))
    }

    /// Only length, ports and the flow label may differ, which is the sender's to choose for each connection (RFC 6437).
    fn match_v6(&self, front: &[u8]) -> Option<(usize, usize, bool)> {
        let (mine, head) = (&self.head, front.first_chunk::<HEAD_LEN>()?);
        let has_same_class = head[14] == mine[14] && (head[15] ^ mine[15]) & 0xf0 == 0;
        let is_same = head[..14] == mine[..14] && has_same_class && head[20..54] == mine[20..54];
        let len = usize::from(u16::from_be_bytes([head[18], head[19]]));
        is_same.then_some((ETHERNET_LEN + IPV6_LEN, len, head[54..] == mine[54..]))
    }

    //= rfc9293#3.1 MUST-3
    fn checksum_is_valid(&self, segment: Bytes<'_>) -> bool {
        let mut sum = self.pseudo;
        sum.add_word(segment.len() as u16);
        sum.add_bytes(segment);
        sum.is_valid()
    }
}

/// What is the same in every frame of a flow.
#[inline]
fn words_v4(head: &[u8; HEAD_LEN_V4]) -> [u64; 4] {
    let word = |at: usize| {
        let h = &head[at..at + 8];
        u64::from_ne_bytes([h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]])
    };
    let fragment = u32::from_ne_bytes([head[20], head[21], head[22], head[23]]);
    [word(0), word(8), word(26), fragment.into()]
}

impl Stack<'_> {
    /// Remembers the flow of a frame that had a good segment for a connection.
    pub(super) fn note_flow(&mut self, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) {
        if let Some(connection) = self.served {
            self.flow = Flow::of(interface, frame, connection);
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
        let Some((bytes, is_same)) = flow.segment_in(interface, frame) else { return false };
        let connection = match is_same {
            true => Some(flow.connection),
            false => bytes.front().first_chunk().and_then(|ports| self.tcp.active_of(&flow.tuple(*ports))),
        };
        let Some(connection) = connection else { return false };
        let Some(mut segment) = parse_plain(bytes) else { return false };
        segment.mark = flow.mark;
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
