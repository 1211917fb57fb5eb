//! IPv4 headers (RFC 791).

use core::net::Ipv4Addr;

use smoltcp::wire::{IpProtocol, Ipv4Packet};

use super::{Checksum, IpHeader};
use crate::bytes::Bytes;
use crate::counters::Drop;

/// Length of an IPv4 header without options.
pub(crate) const IPV4_LEN: usize = 20;

/// Length of the longest: fifteen words (RFC 791 §3.1).
#[cfg(any(feature = "raw", feature = "forwarding"))]
pub(crate) const IPV4_LEN_MAX: usize = 60;

/// A received IPv4 header whose lengths fit each other and the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ipv4Header {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// What follows.
    pub protocol: u8,
    /// TTL as it arrived.
    pub hop_limit: u8,
    /// Traffic class, or type of service: DSCP and ECN (RFC 2474, RFC 3168).
    pub traffic_class: u8,
    /// It is a part of a datagram.
    pub is_fragment: bool,
    /// It is a part but not the first.
    pub is_later_fragment: bool,
    /// Options hold a source route, finished or not.
    pub source_routed: bool,
    /// Header with options, in bytes.
    pub header_len: usize,
    /// Header and payload; what the frame holds beyond is padding.
    pub total_len: usize,
}

impl Ipv4Header {
    /// Reads and checks the header of a packet that starts at the front of `packet`.
    #[inline]
    pub(crate) fn parse(packet: Bytes<'_>) -> Result<Self, Drop> {
        let (header, checksum_ok) = Self::parse_quoted(packet.front())?;
        if packet.len() < header.total_len {
            return Err(Drop::Ipv4Malformed);
        }
        if !checksum_ok {
            return Err(Drop::Ipv4Checksum);
        }
        Ok(header)
    }

    /// The same for a header quoted in an ICMP error, where the packet may be cut and the
    /// checksum out of date. The second value: the checksum is right.
    #[inline]
    pub(crate) fn parse_quoted(front: &[u8]) -> Result<(Self, bool), Drop> {
        // A view of known length: its accessors then need no check of their own.
        let fixed = front.first_chunk::<IPV4_LEN>().ok_or(Drop::Ipv4Malformed)?;
        let view = Ipv4Packet::new_unchecked(fixed);
        let header_len = usize::from(view.header_len());
        let total_len = usize::from(view.total_len());
        let lengths_fit = (IPV4_LEN..=front.len()).contains(&header_len) && header_len <= total_len;
        if view.version() != 4 || !lengths_fit {
            return Err(Drop::Ipv4Malformed);
        }
        let mut sum = Checksum::of_words(fixed);
        if header_len > IPV4_LEN {
            sum.add(&front[IPV4_LEN..header_len]);
        }
        let header = Ipv4Header {
            source: view.src_addr(),
            destination: view.dst_addr(),
            protocol: view.next_header().into(),
            hop_limit: view.hop_limit(),
            traffic_class: view.dscp() << 2 | view.ecn(),
            is_fragment: view.more_frags() || view.frag_offset() != 0,
            is_later_fragment: view.frag_offset() != 0,
            source_routed: header_len > IPV4_LEN && source_routed(&front[IPV4_LEN..header_len]),
            header_len,
            total_len,
        };
        Ok((header, sum.is_valid()))
    }
}

/// Do the options hold a source route (RFC 791 §3.1), or are they malformed, so that nobody can tell?
/// A finished one asks for answers by the reversed route (RFC 1122 §3.2.1.8), and leads around filters
/// just so.
fn source_routed(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const LSRR: u8 = 131;
    const SSRR: u8 = 137;
    while let [kind, rest @ ..] = options {
        match (*kind, rest) {
            (END, _) => return false,
            (NOP, _) => options = rest,
            (LSRR | SSRR, _) => return true,
            (_, [len @ 2..=255, ..]) if usize::from(*len) <= options.len() => {
                options = &options[usize::from(*len)..];
            }
            _ => return true,
        }
    }
    false
}

/// Puts the checksum of a header, options included, in place.
#[cfg(any(feature = "fragments", feature = "raw", feature = "forwarding"))]
pub(crate) fn fix_checksum_v4(header: &mut [u8]) {
    header[10..12].fill(0);
    let mut sum = Checksum::default();
    sum.add(header);
    header[10..12].copy_from_slice(&sum.finish().to_be_bytes());
}

/// Writes a header without options and returns its length.
pub(crate) fn emit(buf: &mut [u8], ip: &IpHeader, source: Ipv4Addr, destination: Ipv4Addr) -> usize {
    let mut view = Ipv4Packet::new_unchecked(&mut buf[..IPV4_LEN]);
    view.set_version(4);
    view.set_header_len(IPV4_LEN as u8);
    view.set_dscp(ip.traffic_class >> 2);
    view.set_ecn(ip.traffic_class & 3);
    view.set_total_len((IPV4_LEN + ip.payload_len) as u16);
    view.set_ident(ip.ident);
    view.clear_flags();
    view.set_frag_offset(0);
    view.set_dont_frag(ip.dont_fragment);
    view.set_hop_limit(ip.hop_limit);
    view.set_next_header(IpProtocol::from(ip.protocol));
    view.set_src_addr(source);
    view.set_dst_addr(destination);
    view.set_checksum(0);
    if let Some(header) = buf.first_chunk_mut::<IPV4_LEN>() {
        let sum = Checksum::of_words(header);
        header[10..12].copy_from_slice(&sum.finish().to_be_bytes());
    }
    IPV4_LEN
}
