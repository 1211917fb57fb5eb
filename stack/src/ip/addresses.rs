//! The addresses of an interface, and which of them a packet gets as its source.

use core::fmt;
use core::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use heapless::Vec;

use super::{is_link_local, solicited_node};
use crate::device::Mac;
use crate::error::Error;

/// Most addresses of one interface.
pub const ADDRESSES_MAX: usize = 8;

/// An address and how many of its leading bits name the network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr {
    pub(crate) address: IpAddr,
    /// No more than the address has bits.
    pub(crate) prefix_len: u8,
}

impl Cidr {
    /// `address/prefix_len`; refused if the prefix is longer than the address.
    ///
    /// ```
    /// use barenet::ip::addresses::Cidr;
    /// let cidr: Cidr = "10.0.0.2/24".parse().unwrap();
    /// assert!(cidr.contains("10.0.0.77".parse().unwrap()));
    /// assert!(!cidr.contains("10.0.1.77".parse().unwrap()));
    /// assert!("10.0.0.2/33".parse::<Cidr>().is_err());
    /// ```
    pub const fn new(address: IpAddr, prefix_len: u8) -> Result<Self, Error> {
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix_len > bits {
            return Err(Error::InvalidInput("the prefix is longer than the address"));
        }
        Ok(Cidr { address, prefix_len })
    }

    /// The address, host bits included.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits of the network's prefix: 0 to 32 of IPv4, to 128 of IPv6.
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Everything: the destination of an IPv4 default route.
    pub const ANY_V4: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix_len: 0 };

    /// Everything: the destination of an IPv6 default route.
    pub const ANY_V6: Cidr = Cidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_len: 0 };

    /// The network: the same prefix, without host bits.
    ///
    /// ```
    /// use barenet::ip::addresses::Cidr;
    /// let cidr: Cidr = "10.0.0.2/24".parse().unwrap();
    /// assert_eq!(cidr.masked(), "10.0.0.0/24".parse().unwrap());
    /// ```
    #[must_use]
    pub fn masked(self) -> Cidr {
        let len = u32::from(self.prefix_len);
        let address = match self.address {
            IpAddr::V4(a) => {
                let host = u32::MAX.checked_shr(len).unwrap_or(0);
                Ipv4Addr::from_bits(a.to_bits() & !host).into()
            }
            IpAddr::V6(a) => {
                let host = u128::MAX.checked_shr(len).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() & !host).into()
            }
        };
        Cidr { address, ..self }
    }

    /// Is it in the network?
    pub fn contains(&self, address: IpAddr) -> bool {
        common_prefix(self.address, address).is_some_and(|bits| bits >= u32::from(self.prefix_len))
    }

    /// The directed broadcast address, where the network has one (not for /31 and /32, RFC 3021).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        self.with_host_bits(u32::MAX)
    }

    /// The network's own address, an old form of broadcast, where there is one.
    pub fn network(&self) -> Option<Ipv4Addr> {
        self.with_host_bits(0)
    }

    fn with_host_bits(&self, bits: u32) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(a) if self.prefix_len <= 30 => {
                let host = u32::MAX >> self.prefix_len;
                Some(Ipv4Addr::from_bits(a.to_bits() & !host | bits & host))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        const FORM: Error = Error::InvalidInput("not of the form ADDRESS/PREFIX");
        let (address, prefix_len) = text.split_once('/').ok_or(FORM)?;
        let address: IpAddr = address.parse().map_err(|_: AddrParseError| FORM)?;
        Cidr::new(address, prefix_len.parse().map_err(|_| FORM)?)
    }
}

/// Leading bits that two addresses of one family share.
fn common_prefix(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        _ => None,
    }
}

/// What a destination address is to an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// An address of this interface.
    Ours,
    /// A broadcast in any form (H072), or a group that we listen to.
    Group,
    /// Not for this interface.
    Other,
}

/// The addresses of one interface.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    list: Vec<Cidr, ADDRESSES_MAX>,
}

impl Addresses {
    /// Adds an address. Refused are addresses that no host can have (H222) and those beyond
    /// [`ADDRESSES_MAX`]; one that is there already gets the new prefix.
    pub(crate) fn add(&mut self, cidr: Cidr, loopback: bool) -> Result<(), Error> {
        check(cidr, loopback)?;
        if let Some(old) = self.list.iter_mut().find(|c| c.address == cidr.address) {
            *old = cidr;
            return Ok(());
        }
        let full = Error::InvalidInput("the interface has as many addresses as it can hold");
        self.list.push(cidr).map_err(|_| full)
    }

    /// Removes an address; false if it is not there.
    pub(crate) fn remove(&mut self, address: IpAddr) -> bool {
        let before = self.list.len();
        self.list.retain(|c| c.address != address);
        self.list.len() < before
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Cidr> + '_ {
        self.list.iter().copied()
    }

    /// Is it one of them?
    pub fn has(&self, address: IpAddr) -> bool {
        self.list.iter().any(|c| c.address == address)
    }

    /// Is it the broadcast address of one of our networks, in either form?
    pub fn is_directed_broadcast(&self, address: Ipv4Addr) -> bool {
        self.list.iter().any(|c| match c.address {
            IpAddr::V4(own) if c.prefix_len <= 30 => {
                let host = u32::MAX >> c.prefix_len;
                let (own, address) = (own.to_bits(), address.to_bits());
                let host_bits = address & host;
                (own ^ address) & !host == 0 && (host_bits == host || host_bits == 0)
            }
            _ => false,
        })
    }

    /// Is one of them of this family?
    pub(crate) fn has_family(&self, is_ipv4: bool) -> bool {
        self.list.iter().any(|c| c.address.is_ipv4() == is_ipv4)
    }

    /// What a destination is to this interface.
    pub fn delivery(&self, destination: IpAddr) -> Delivery {
        if self.has(destination) {
            return Delivery::Ours;
        }
        let group = match destination {
            IpAddr::V4(a) => a.is_broadcast() || a == ALL_SYSTEMS || self.is_directed_broadcast(a),
            IpAddr::V6(a) => a == ALL_NODES || self.is_solicited_node(a),
        };
        if group { Delivery::Group } else { Delivery::Other }
    }

    /// The hardware addresses of the groups that the interface listens to, some of them twice.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Mac> + '_ {
        let of = |address: IpAddr| match address {
            IpAddr::V4(_) => [Some(ALL_SYSTEMS.into()), None],
            IpAddr::V6(a) => [Some(ALL_NODES.into()), Some(solicited_node(a).into())],
        };
        let groups = self.list.iter().flat_map(move |c| of(c.address)).flatten();
        groups.filter_map(super::group_mac)
    }

    fn is_solicited_node(&self, group: Ipv6Addr) -> bool {
        self.list.iter().any(|c| match c.address {
            IpAddr::V6(a) => solicited_node(a) == group,
            IpAddr::V4(_) => false,
        })
    }

    /// The source for a packet to `destination` that is handed to `next_hop`, if there is a good
    /// one: over IPv4 the address on the next hop's network (H173), else the first; over IPv6 by
    /// RFC 6724 §5, rules 1, 2 and 8, and never one of a scope too small to be answered (H170).
    pub fn source_for(&self, destination: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(_) => {
                let mut v4 = self.list.iter().filter(|c| c.address.is_ipv4());
                let on_link = v4.clone().find(|c| c.contains(next_hop));
                on_link.or_else(|| v4.next()).map(|c| c.address)
            }
            IpAddr::V6(to) => {
                let scope = scope_of(to);
                let candidates = self.list.iter().filter_map(|c| match c.address {
                    IpAddr::V6(a) if scope_of(a) >= scope => Some(a),
                    _ => None,
                });
                // The smallest sufficient scope first, then the longest common prefix: the destination itself,
                // if it is among them.
                let rank = |a: &Ipv6Addr| {
                    let common = (a.to_bits() ^ to.to_bits()).leading_zeros();
                    (scope_of(*a), 128 - common)
                };
                candidates.min_by_key(rank).map(IpAddr::V6)
            }
        }
    }
}

/// 224.0.0.1, the group of every host (RFC 1112 §4).
pub(crate) const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// ff02::1, the group of every node on the link (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The scope by the numbers of multicast scopes (RFC 6724 §3.1).
fn scope_of(address: Ipv6Addr) -> u8 {
    const LINK_LOCAL: u8 = 2;
    const GLOBAL: u8 = 14;
    if address.is_multicast() {
        address.octets()[1] & 15
    } else if is_link_local(address) || address.is_loopback() {
        LINK_LOCAL
    } else {
        GLOBAL
    }
}

/// Can an interface have this address?
fn check(cidr: Cidr, loopback: bool) -> Result<(), Error> {
    let refuse = |why| Err(Error::InvalidInput(why));
    if cidr.address.is_unspecified() {
        return refuse("the unspecified address can't be an interface's");
    }
    if cidr.address.is_multicast() {
        return refuse("a multicast address can't be an interface's");
    }
    if cidr.address.is_loopback() && !loopback {
        return refuse("a loopback address on a link");
    }
    match cidr.address {
        IpAddr::V4(a) if a.octets()[0] == 0 || a.octets()[0] >= 240 => {
            refuse("an address of a reserved range (0/8 or 240/4)")
        }
        IpAddr::V4(a) if cidr.broadcast() == Some(a) || cidr.network() == Some(a) => {
            refuse("the network's own or its broadcast address")
        }
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() => {
            refuse("an IPv4-mapped address can't be an interface's")
        }
        _ => Ok(()),
    }
}
