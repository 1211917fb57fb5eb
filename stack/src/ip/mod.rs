//! The internet layer: addresses, routes, and what comes in and goes out over them.
//!
//! The host model is the weak one of RFC 1122 §3.3.4.2, on input and output alike: a packet for any
//! of our addresses is accepted on any interface, and a packet leaves by the interface that its
//! destination's route names, whichever of our addresses is its source. Link-local and loopback
//! addresses are the exception: they are good on their own interface only.

pub mod addresses;
pub mod learnt;
pub mod routes;

pub(crate) mod arrival;
#[cfg(any(feature = "raw", feature = "forwarding"))]
pub(crate) mod completed;
#[cfg(feature = "multicast")]
pub(crate) mod groups;
pub(crate) mod icmp;
pub(crate) mod path_mtu;
#[cfg(feature = "fragments")]
pub(crate) mod reassembly;
pub(crate) mod selection;
pub(crate) mod v6;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::slab::Key;
use crate::device::{Mac, RxChecksum};
use crate::error::Error;

/// More interfaces than any machine that this is for has; look-ups of addresses walk them.
pub(crate) const INTERFACES_MAX: usize = if cfg!(feature = "alloc") { 16 } else { 8 };

/// Names an interface of a stack for as long as it exists (H177).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InterfaceId(pub(crate) Key);

impl InterfaceId {
    /// The number that stands for the interface in the scope id of an IPv6 socket address
    /// (RFC 4007 §6). 0 names none.
    pub const fn zone(self) -> u32 {
        self.0.index + 1
    }
}

/// How a packet gets to its destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// The interface that it leaves by.
    pub interface: InterfaceId,
    /// Its source address: one of ours.
    pub source: IpAddr,
    /// The neighbour that it is handed to: a gateway, or the destination itself.
    pub next_hop: IpAddr,
    /// Largest IP packet in bytes.
    pub mtu: u16,
}

/// What the transport layer is told about a packet besides its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacketMeta {
    /// Where it came in.
    pub interface: InterfaceId,
    /// Who sent it.
    pub source: IpAddr,
    /// Which address of ours (or which group) it is for.
    pub destination: IpAddr,
    /// Traffic class, or type of service: DSCP in the upper six bits, ECN in the lower two (RFC 2474, RFC 3168).
    pub traffic_class: u8,
    /// TTL or hop limit as it arrived.
    pub hop_limit: u8,
    /// What the device knows about the transport checksum.
    pub checksum: RxChecksum,
    /// Payload bytes of each segment that the device merged into this packet.
    pub segment_len: Option<u16>,
    /// The link carried it as a broadcast or multicast, or it is addressed to one.
    pub link_broadcast: bool,
}

/// What the ICMP error says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpErrorKind {
    /// No route to the network or host.
    NetUnreachable,
    /// The last router can't reach the host.
    HostUnreachable,
    /// The host does not speak the transport protocol.
    ProtocolUnreachable,
    /// Nobody listens on the port.
    PortUnreachable,
    /// A router refuses to pass it on, by its administrator's will.
    Prohibited,
    /// The packet is too big for a link on the path.
    TooBig {
        /// What the router says would fit; 0 if it does not say (RFC 1191 §4).
        mtu: u32,
    },
    /// The hop limit ran out, or reassembly took too long.
    TimeExceeded,
    /// Something in the header was wrong.
    ParameterProblem,
    /// An error of a type that we don't know (RFC 4443 §2.4(a)).
    Unknown,
}

impl IcmpErrorKind {
    /// What the socket that sent the packet is told; `None`: it does not last, or is a matter of sizes.
    pub(crate) const fn unreachable(self) -> Option<Error> {
        use IcmpErrorKind as K;
        match self {
            K::PortUnreachable | K::ProtocolUnreachable => Some(Error::ConnectionRefused),
            K::HostUnreachable | K::Prohibited => Some(Error::HostUnreachable),
            K::NetUnreachable => Some(Error::NetUnreachable),
            K::TooBig { .. } | K::TimeExceeded | K::ParameterProblem | K::Unknown => None,
        }
    }
}

/// An ICMP error about a packet that carries one of our addresses as its source. That we really
/// sent it is for the transport to judge (RFC 5927 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// What it says.
    pub kind: IcmpErrorKind,
    /// Transport protocol of the quoted packet.
    pub protocol: u8,
    /// Source of the quoted packet: an address of ours.
    pub source: IpAddr,
    /// Destination of the quoted packet.
    pub destination: IpAddr,
    /// The first 8 bytes of the quoted packet's payload: ports, and TCP's sequence number.
    pub quoted: [u8; 8],
}

impl IcmpError {
    /// Source port of the quoted packet, ours.
    pub const fn source_port(&self) -> u16 {
        u16::from_be_bytes([self.quoted[0], self.quoted[1]])
    }

    /// Destination port of the quoted packet.
    pub const fn destination_port(&self) -> u16 {
        u16::from_be_bytes([self.quoted[2], self.quoted[3]])
    }

    /// TCP sequence number of the quoted packet.
    pub const fn seq(&self) -> u32 {
        let [_, _, _, _, a, b, c, d] = self.quoted;
        u32::from_be_bytes([a, b, c, d])
    }
}

/// Is it an address that all or a group of hosts listen to, as far as it shows by itself?
pub fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_multicast() || a.is_broadcast(),
        IpAddr::V6(a) => a.is_multicast(),
    }
}

/// fe80::/10, all of it (H080).
pub const fn is_link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

/// The group that neighbour solicitations for `address` go to (RFC 4291 §2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// The hardware address that a group's packets go to (RFC 1112 §6.4, RFC 2464 §7); `None` for one
/// host's address.
pub fn group_mac(address: IpAddr) -> Option<Mac> {
    match address {
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some(Mac::BROADCAST),
        IpAddr::V4(a) if a.is_multicast() => {
            let [_, a, b, c] = a.octets();
            Some(Mac([0x01, 0, 0x5e, a & 0x7f, b, c]))
        }
        IpAddr::V6(a) if a.is_multicast() => {
            let [.., a, b, c, d] = a.octets();
            Some(Mac([0x33, 0x33, a, b, c, d]))
        }
        _ => None,
    }
}

/// The link-local address that an interface forms from its hardware address (RFC 2464 §5).
pub fn link_local_from(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
