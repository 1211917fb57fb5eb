//! IPv6 headers, extension headers and their options (RFC 8200).

use core::net::Ipv6Addr;

use smoltcp::wire::{IpProtocol, Ipv6ExtHeader, Ipv6Option, Ipv6Packet};

use super::IpHeader;
use crate::bytes::Bytes;
use crate::counters::Drop;

/// Length of an IPv6 header.
pub(crate) const IPV6_LEN: usize = 40;

/// A received IPv6 header whose length fits the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ipv6Header {
    /// Who sent it.
    pub source: Ipv6Addr,
    /// Whom it is for.
    pub destination: Ipv6Addr,
    /// The first extension header, or the transport.
    pub next_header: u8,
    /// Hop limit as it arrived.
    pub hop_limit: u8,
    /// Traffic class, or type of service: DSCP and ECN (RFC 2474, RFC 3168).
    pub traffic_class: u8,
    /// Everything after this header; what the frame holds beyond is padding.
    pub payload_len: usize,
}

impl Ipv6Header {
    /// Reads and checks the header of a packet that starts at the front of `packet`.
    #[inline]
    pub(crate) fn parse(packet: Bytes<'_>) -> Result<Self, Drop> {
        let header = Self::parse_quoted(packet.front())?;
        if packet.len() < IPV6_LEN + header.payload_len {
            return Err(Drop::Ipv6Malformed);
        }
        Ok(header)
    }

    /// The same for a header quoted in an ICMP error, where the packet may be cut.
    #[inline]
    pub(crate) fn parse_quoted(front: &[u8]) -> Result<Self, Drop> {
        let fixed = front.first_chunk::<IPV6_LEN>().ok_or(Drop::Ipv6Malformed)?;
        let view = Ipv6Packet::new_unchecked(fixed);
        if view.version() != 6 {
            return Err(Drop::Ipv6Malformed);
        }
        Ok(Ipv6Header {
            source: view.src_addr(),
            destination: view.dst_addr(),
            next_header: view.next_header().into(),
            hop_limit: view.hop_limit(),
            traffic_class: view.traffic_class(),
            payload_len: usize::from(view.payload_len()),
        })
    }
}

/// Hop-by-hop options, destination options or routing header: all have one form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension<'a> {
    /// What follows this header.
    pub next_header: u8,
    /// The whole header in bytes, a multiple of 8.
    pub len: usize,
    /// Its content after the first two bytes.
    pub content: &'a [u8],
}

/// Reads the extension header at the front.
pub(crate) fn extension(front: &[u8]) -> Result<Extension<'_>, Drop> {
    let view = Ipv6ExtHeader::new_checked(front).map_err(|_| Drop::Ipv6Extension)?;
    let len = (usize::from(view.header_len()) + 1) * 8;
    let content = front.get(2..len).ok_or(Drop::Ipv6Extension)?;
    Ok(Extension { next_header: view.next_header().into(), len, content })
}

/// What the options of a header ask for (RFC 8200 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OptionVerdict {
    /// Go on.
    Proceed,
    /// Drop without a word.
    Discard,
    /// Drop and send Parameter Problem, code 2, pointing this many bytes into the content.
    Report {
        /// Where the unknown option starts.
        at: usize,
        /// Send it even if the packet's destination was a group.
        even_to_group: bool,
    },
}

/// Walks the options of a hop-by-hop or destination header. All but padding and Router Alert
/// (which asks nothing of a host) are unknown to the stack.
pub(crate) fn check_options(content: &[u8]) -> Result<OptionVerdict, Drop> {
    const PAD1: u8 = 0;
    const PAD_N: u8 = 1;
    const ROUTER_ALERT: u8 = 5;
    let mut at = 0;
    while at < content.len() {
        let view = Ipv6Option::new_checked(&content[at..]).map_err(|_| Drop::Ipv6Extension)?;
        let kind: u8 = view.option_type().into();
        if kind == PAD1 {
            at += 1;
            continue;
        }
        if !matches!(kind, PAD_N | ROUTER_ALERT) {
            // The two highest bits say what to do with an unknown option.
            match kind >> 6 {
                0 => {}
                1 => return Ok(OptionVerdict::Discard),
                action => {
                    let even_to_group = action == 2;
                    return Ok(OptionVerdict::Report { at, even_to_group });
                }
            }
        }
        at += 2 + usize::from(view.data_len());
    }
    Ok(OptionVerdict::Proceed)
}

/// Writes a header and returns its length.
pub(crate) fn emit(buf: &mut [u8], ip: &IpHeader, source: Ipv6Addr, destination: Ipv6Addr) -> usize {
    let mut view = Ipv6Packet::new_unchecked(&mut buf[..IPV6_LEN]);
    view.set_version(6);
    view.set_traffic_class(ip.traffic_class);
    view.set_flow_label(ip.flow_label & 0xf_ffff);
    view.set_payload_len(ip.payload_len as u16);
    view.set_next_header(IpProtocol::from(ip.protocol));
    view.set_hop_limit(ip.hop_limit);
    view.set_src_addr(source);
    view.set_dst_addr(destination);
    IPV6_LEN
}
