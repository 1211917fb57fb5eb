//! What makes a packet a fragment: fields of the IPv4 header (RFC 791 §3.1), a header of IPv6 (RFC 8200 §4.5).

use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

use super::{IPV4_LEN, IPV6_LEN, fix_checksum_v4};
use crate::counters::Drop;

/// Length of IPv6's fragment header.
pub(crate) const FRAGMENT_LEN: usize = 8;
/// Where the fields of IPv4 lie: identification, flags and offset.
const IDENT_V4: core::ops::Range<usize> = 4..6;
const FLAGS_V4: core::ops::Range<usize> = 6..8;
/// Of the 16 bits with the offset: that more fragments follow.
const MORE_V4: u16 = 0x2000;
const MORE_V6: u16 = 1;
/// Offsets count in units of eight bytes. IPv6 has three bits of flags behind the number, which so is in bytes.
const UNIT: u32 = 8;
const OFFSET_V6: u16 = !7;

/// IPv6's fragment header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FragmentHeader {
    /// What follows this header in the first fragment.
    pub next_header: u8,
    /// Bytes of the datagram before this fragment.
    pub offset: u32,
    /// It is not the last.
    pub more: bool,
    /// Which datagram it is of.
    pub ident: u32,
}

impl FragmentHeader {
    /// Reads the header at the front.
    pub(crate) fn parse(front: &[u8]) -> Result<Self, Drop> {
        let [next_header, _, a, b, ident @ ..] =
            *front.first_chunk::<FRAGMENT_LEN>().ok_or(Drop::Ipv6Extension)?;
        let word = u16::from_be_bytes([a, b]);
        Ok(FragmentHeader {
            next_header,
            offset: u32::from(word & OFFSET_V6),
            more: word & MORE_V6 != 0,
            ident: u32::from_be_bytes(ident),
        })
    }

    /// The header's bytes.
    pub(crate) fn emit(&self) -> [u8; FRAGMENT_LEN] {
        let [a, b] = ((self.offset as u16 & OFFSET_V6) | u16::from(self.more)).to_be_bytes();
        let [c, d, e, f] = self.ident.to_be_bytes();
        [self.next_header, 0, a, b, c, d, e, f]
    }
}

/// Identification, offset in bytes, and whether more follow, of an IPv4 header.
pub(crate) fn fragment_of_v4(header: &[u8; IPV4_LEN]) -> (u16, u32, bool) {
    let view = Ipv4Packet::new_unchecked(header);
    (view.ident(), u32::from(view.frag_offset()), view.more_frags())
}

/// Makes the header of a fragment out of that of an IPv4 packet. It may be cut again on the way.
pub(crate) fn make_fragment_v4(header: &mut [u8], ident: u16, offset: u32, more: bool) {
    let flags = (offset / UNIT) as u16 | if more { MORE_V4 } else { 0 };
    header[IDENT_V4].copy_from_slice(&ident.to_be_bytes());
    header[FLAGS_V4].copy_from_slice(&flags.to_be_bytes());
    fix_checksum_v4(&mut header[..IPV4_LEN]);
}

/// Makes the header of the whole packet out of its first fragment's: the length that it has now, and marks.
pub(crate) fn make_whole_v4(packet: &mut [u8], header_len: usize, ecn: u8) {
    let len = packet.len() as u16;
    let header = &mut packet[..header_len];
    header[FLAGS_V4].fill(0);
    let mut view = Ipv4Packet::new_unchecked(&mut *header);
    view.set_total_len(len);
    view.set_ecn(ecn);
    fix_checksum_v4(header);
}

/// The same for IPv6: the byte at `named_at` names what follows the header that is no more.
pub(crate) fn make_whole_v6(packet: &mut [u8], named_at: usize, next_header: u8, ecn: u8) {
    packet[named_at] = next_header;
    let len = (packet.len() - IPV6_LEN) as u16;
    let mut view = Ipv6Packet::new_unchecked(packet);
    view.set_payload_len(len);
    let class = view.traffic_class() & !3 | ecn;
    view.set_traffic_class(class);
}
