//! Views into frames become our own structs here, and our structs become bytes.
//!
//! The one place that names `smoltcp::wire`. Nothing in here keeps state or knows a socket.

mod arp;
mod checksum;
#[cfg(feature = "dhcpv4")]
mod dhcp;
#[cfg(feature = "dhcpv6")]
mod dhcpv6;
#[cfg(feature = "dns")]
pub(crate) mod dns;
#[cfg(feature = "mdns")]
pub(crate) mod dns_writer;
mod ethernet;
#[cfg(feature = "fragments")]
mod fragment;
#[cfg(feature = "multicast")]
mod groups;
mod icmp;
mod ipv4;
mod ipv6;
mod ndp;
#[cfg(feature = "slaac")]
mod router;
#[cfg(feature = "tcp")]
pub(crate) mod tcp;
#[cfg(all(feature = "fast-path", any(feature = "tcp", feature = "udp")))]
mod template;
mod udp;

pub(crate) use arp::{ARP_LEN, ArpOperation, ArpPacket};
pub(crate) use checksum::{Checksum, pseudo_header};
#[cfg(feature = "dhcpv4")]
pub(crate) use dhcp::{
    DHCP_CLIENT, DHCP_FIXED_LEN, DHCP_SERVER, DhcpFields, DhcpKind, DhcpMessage, DhcpWriter, option,
};
#[cfg(feature = "dhcpv6")]
pub(crate) use dhcpv6::{
    DHCPV6_CLIENT, DHCPV6_SERVER, Dhcpv6Kind, Dhcpv6Message, Dhcpv6Writer, Options6, option6, status6,
};
#[cfg(any(feature = "raw", feature = "forwarding"))]
pub(crate) use ethernet::emit as emit_ethernet;
pub(crate) use ethernet::{ETHERNET_LEN, EtherType, EthernetHeader, LinkPath};
#[cfg(feature = "fragments")]
pub(crate) use fragment::{
    FRAGMENT_LEN, FragmentHeader, fragment_of_v4, make_fragment_v4, make_whole_v4, make_whole_v6,
};
#[cfg(feature = "multicast")]
pub(crate) use groups::{
    ALERT_HEADERS_MAX, GroupMessage, Query, REPORT_MAX, RecordKind, emit_alert_headers, igmp, mld,
};
pub(crate) use icmp::{ICMP_LEN, IcmpHeader, icmpv4, icmpv6};
#[cfg(any(feature = "raw", feature = "forwarding"))]
pub(crate) use ipv4::IPV4_LEN_MAX;
#[cfg(any(feature = "fragments", feature = "raw", feature = "forwarding"))]
pub(crate) use ipv4::fix_checksum_v4;
pub(crate) use ipv4::{IPV4_LEN, Ipv4Header};
pub(crate) use ipv6::{IPV6_LEN, Ipv6Header, OptionVerdict, check_options, extension};
pub(crate) use ndp::{NDP_LEN_MAX, NeighborMessage, NeighborMessageKind};
#[cfg(feature = "slaac")]
pub(crate) use router::{Redirect, RouterAdvert, RouterOption, router_solicit};
#[cfg(all(feature = "fast-path", any(feature = "tcp", feature = "udp")))]
pub(crate) use template::{HeaderTemplate, PacketFields};
#[cfg(all(feature = "fast-path", feature = "udp"))]
pub(crate) use udp::UDP_CHECKSUM_AT;
pub(crate) use udp::{UDP_LEN, UdpHeader};

use core::net::IpAddr;

/// Protocol numbers (the IANA registry) that the stack knows.
pub(crate) mod protocol {
    /// ICMP for IPv4.
    pub(crate) const ICMP: u8 = 1;
    /// IGMP.
    pub(crate) const IGMP: u8 = 2;
    /// TCP.
    pub(crate) const TCP: u8 = 6;
    /// UDP.
    pub(crate) const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub(crate) const ICMPV6: u8 = 58;
}

/// The usual TTL or hop limit (the IANA registry).
pub(crate) const HOP_LIMIT: u8 = 64;

/// Bytes of a TCP header without options (RFC 9293 §3.1).
pub(crate) const TCP_LEN: usize = 20;

/// Longest Ethernet and IP header that the stack emits.
pub(crate) const HEADERS_LEN_MAX: usize = ETHERNET_LEN + IPV6_LEN;

/// The fields of an IP header that the stack chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IpHeader {
    /// Our address; of the same family as the destination.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// What follows; see [`protocol`].
    pub protocol: u8,
    /// Transport header and payload in bytes.
    pub payload_len: usize,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP (6 bits) and ECN (2 bits).
    pub traffic_class: u8,
    /// IPv4 identification; without a meaning when fragments are forbidden (RFC 6864 §4.1).
    pub ident: u16,
    /// IPv4: routers must not fragment. IPv6 always says so.
    pub dont_fragment: bool,
    /// IPv6 flow label, 20 bits.
    pub flow_label: u32,
}

impl IpHeader {
    /// A packet with the default TTL that must not be fragmented.
    pub(crate) const fn new(source: IpAddr, destination: IpAddr, protocol: u8, payload_len: usize) -> Self {
        IpHeader {
            source,
            destination,
            protocol,
            payload_len,
            hop_limit: HOP_LIMIT,
            traffic_class: 0,
            ident: 0,
            dont_fragment: true,
            flow_label: 0,
        }
    }
}

/// Length of the IP header for a packet to `destination`.
pub(crate) const fn ip_len(destination: IpAddr) -> usize {
    match destination {
        IpAddr::V4(_) => IPV4_LEN,
        IpAddr::V6(_) => IPV6_LEN,
    }
}

/// Writes Ethernet and IP header to the front of `buf`, which holds at least
/// [`HEADERS_LEN_MAX`] bytes, and returns their length.
///
/// No padding is added: a frame below 60 bytes is padded with zeroes by the device (its driver
/// knows whether the hardware does it), and on input bytes past the IP length are cut.
pub(crate) fn emit_headers(buf: &mut [u8], link: &LinkPath, ip: &IpHeader) -> usize {
    let (ethernet, packet) = buf.split_at_mut(ETHERNET_LEN);
    let (kind, len) = match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (EtherType::Ipv4, ipv4::emit(packet, ip, source, destination))
        }
        (source, destination) => {
            let v6 = |address: IpAddr| match address {
                IpAddr::V4(a) => a.to_ipv6_mapped(),
                IpAddr::V6(a) => a,
            };
            let len = ipv6::emit(packet, ip, v6(source), v6(destination));
            (EtherType::Ipv6, len)
        }
    };
    ethernet::emit(ethernet, link, kind);
    ETHERNET_LEN + len
}

#[cfg(test)]
mod tests;
