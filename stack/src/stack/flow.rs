//! The flow of the last segment or datagram: a frame that differs from it only in what always differs, or in its ports, goes
//! straight to its connection, if TCP expects it, or to its socket.
//!
//! Nearly every frame of a transfer is such a one, and nothing has to be looked up for it. All
//! others go the way of [`ingress`](super::ingress).

use core::net::IpAddr;

use crate::bytes::Bytes;
use crate::device::{RxChecksum, RxFrame};
use crate::ip::InterfaceId;
use crate::wire::{Checksum, ETHERNET_LEN, EtherType, EthernetHeader, IPV4_LEN, IPV6_LEN};

/// Ethernet, IPv6 and the ports.
const HEAD_LEN: usize = ETHERNET_LEN + IPV6_LEN + 4;
/// Ethernet, IPv4 without options, and the ports.
const HEAD_LEN_V4: usize = ETHERNET_LEN + IPV4_LEN + 4;

/// A frame that was good for a connection or a socket: its owner. Whoever changes addresses forgets it.
pub(super) struct Flow<T> {
    interface: InterfaceId,
    pub(super) owner: T,
    pub(super) v6: bool,
    head: [u8; HEAD_LEN],
    /// Sum of the pseudo-header without the length.
    pseudo: Checksum,
    /// Sum of the IPv4 header without length, identification and checksum, in the machine's byte order.
    ip: u16,
}

impl<T> Flow<T> {
    /// The flow of a frame that was found good and that had a segment or a datagram of this protocol for this owner.
    pub(super) fn of(interface: InterfaceId, frame: &RxFrame<'_>, protocol: u8, owner: T) -> Option<Flow<T>> {
        let front = frame.bytes.front();
        let ethernet = EthernetHeader::parse(front, 0).ok().filter(|header| header.len == ETHERNET_LEN)?;
        let v6 = match ethernet.kind {
            // Without options.
            EtherType::Ipv4 if front.get(14) == Some(&0x45) => false,
            // Without extension headers.
            EtherType::Ipv6 if front.get(20) == Some(&protocol) => true,
            _ => return None,
        };
        let len = if v6 { HEAD_LEN } else { HEAD_LEN_V4 };
        let mut head = [0; HEAD_LEN];
        head[..len].copy_from_slice(front.get(..len)?);
        let mut pseudo = Checksum::default();
        pseudo.add(if v6 { &head[22..54] } else { &head[26..34] });
        pseudo.add_word(u16::from(protocol));
        let mut ip = Checksum::default();
        ip.add(&head[14..16]);
        ip.add(&head[20..24]);
        ip.add(&head[26..34]);
        Some(Flow { interface, owner, v6, head, pseudo, ip: ip.sum().to_be() })
    }

    /// DSCP and ECN: the second byte of IPv4, and across the first two of IPv6.
    pub(super) fn traffic_class(&self) -> u8 {
        if self.v6 { self.head[14] << 4 | self.head[15] >> 4 } else { self.head[15] }
    }

    /// TTL, or hop limit.
    pub(super) fn hop_limit(&self) -> u8 {
        if self.v6 { self.head[21] } else { self.head[22] }
    }

    /// Source and destination.
    pub(super) fn addresses(&self) -> (IpAddr, IpAddr) {
        let address = |at: usize| match self.v6 {
            false => IpAddr::from(<[u8; 4]>::try_from(&self.head[at..at + 4]).unwrap_or_default()),
            true => IpAddr::from(<[u8; 16]>::try_from(&self.head[at..at + 16]).unwrap_or_default()),
        };
        let (source, destination) = if self.v6 { (22, 38) } else { (26, 30) };
        (address(source), address(destination))
    }

    /// The segment or datagram in a frame that comes from the same host, and whether it has the same ports.
    #[inline]
    pub(super) fn payload_in<'f>(
        &self,
        interface: InterfaceId,
        frame: &RxFrame<'f>,
    ) -> Option<(Bytes<'f>, bool)> {
        if interface != self.interface || frame.checksum == RxChecksum::Bad {
            return None;
        }
        let front = frame.bytes.front();
        let (at, len, has_same_ports) = if self.v6 { self.match_v6(front)? } else { self.match_v4(front)? };
        let segment = frame.bytes.slice(at, len);
        (segment.len() == len).then_some((segment, has_same_ports))
    }

    /// A segment came for another owner, between the same hosts, that begins with these ports.
    #[cfg(feature = "tcp")]
    pub(super) fn turn_to(&mut self, owner: T, ports: [u8; 4]) {
        let at = if self.v6 { HEAD_LEN } else { HEAD_LEN_V4 } - 4;
        self.head[at..at + 4].copy_from_slice(&ports);
        self.owner = owner;
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

    /// Is the checksum of a segment or datagram right?
    //= rfc9293#3.1 MUST-3
    pub(super) fn checksum_is_valid(&self, segment: Bytes<'_>) -> bool {
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
