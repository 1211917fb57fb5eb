//! Multicast DNS (RFC 6762) and the announcement of services (DNS-SD, RFC 6763): the names that the hosts of a link answer for
//! themselves.
//!
//! Names below `local`, and those of link-local addresses, are looked up as all others: by [`Net::lookup`](crate::Net::lookup) and
//! whatever else takes a name. The question goes to all hosts of each link as one of the simplest form (RFC 6762 §5.1), and the first who
//! answers is believed; pointers, such as those to the instances of a service, are gathered for a second. Nobody answers: there is no such
//! name.
//!
//! A host gets a name of its own by [`Net::announce_host`](crate::Net::announce_host), and its services theirs by
//! [`Net::announce`](crate::Net::announce). Each name is asked for first (§8.1), and becomes another (`sensor-2`, `Sensor (2)`) where
//! somebody has it already, then or later (§9).
//!
//! ```no_run
//! # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
//! use barenet::names::Announcement;
//! net.announce_host("sensor")?;
//! net.announce(Announcement { instance: "Attic", service: "_http._tcp", port: 80, texts: &["path=/now"] })?;
//! // By now, or a second later, a browser on the link finds http://sensor.local/.
//! # Ok(()) }
//! ```

mod claim;
mod links;
mod records;
pub(crate) mod responder;
mod tie;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use managed::ManagedSlice;

use super::Name;
pub use claim::ServiceSlot;

use crate::error::Error;
use crate::ip::InterfaceId;

/// The port of mDNS (RFC 6762 §3).
pub(crate) const MDNS_PORT: u16 = 5353;
/// The groups of mDNS (RFC 6762 §3).
pub(crate) const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
pub(crate) const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Whom the resolver asks for names of the link: whoever of either family hears it.
pub(crate) const EVERYBODY: SocketAddr = SocketAddr::new(IpAddr::V4(GROUP_V4), MDNS_PORT);
/// Services of a host, at most: the records of all fit into one set.
pub(crate) const SERVICES_MAX: usize = 12;
/// Bytes of a service's texts, with one more for each (RFC 6763 §6.2).
const TEXT_MAX: usize = 400;

/// Ends of names that the hosts of a link answer for: `local`, and the reverse names of 169.254/16 and fe80::/10 (RFC 6762 §3, §4).
const ZONES: [&[u8]; 6] = [
    b"\x05local\0",
    b"\x03254\x03169\x07in-addr\x04arpa\0",
    b"\x018\x01e\x01f\x03ip6\x04arpa\0",
    b"\x019\x01e\x01f\x03ip6\x04arpa\0",
    b"\x01a\x01e\x01f\x03ip6\x04arpa\0",
    b"\x01b\x01e\x01f\x03ip6\x04arpa\0",
];

/// Is it a name that the hosts of a link answer for?
//= rfc6762#3
pub(crate) fn is_of_link(name: &Name) -> bool {
    let mut rest = name.as_bytes();
    loop {
        if ZONES.iter().any(|zone| rest.eq_ignore_ascii_case(zone)) {
            return true;
        }
        let Some((&len, after)) = rest.split_first() else { return false };
        rest = after.get(len.into()..).unwrap_or(&[]);
    }
}

/// A service to be announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement<'a> {
    /// What people choose it by: 1 to 63 bytes of UTF-8, spaces and dots among them (RFC 6763 §4.1.1).
    pub instance: &'a str,
    /// The protocol's name and TCP or UDP, as `_http._tcp` (RFC 6763 §7).
    pub service: &'a str,
    /// Its port on this host.
    pub port: u16,
    /// What is to be known besides, mostly as `key=value`: up to 255 bytes each, and 400 bytes in all, of which each takes one more than it has
    /// (RFC 6763 §6).
    pub texts: &'a [&'a str],
}

/// Names an announced service until it is withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnouncementId {
    index: u8,
    serial: u16,
}

/// The memory of what a host announces; see [`MdnsMemory`].
pub struct MdnsStorage<'a> {
    /// Services at a time; twelve at most are used.
    pub services: ManagedSlice<'a, ServiceSlot<'a>>,
}

#[cfg(feature = "alloc")]
impl MdnsStorage<'_> {
    /// Twelve services, in memory of the heap: some 70 bytes each.
    pub fn heap() -> MdnsStorage<'static> {
        MdnsStorage { services: ManagedSlice::Owned(alloc::vec![ServiceSlot::EMPTY; SERVICES_MAX]) }
    }
}

/// Memory of what a host announces for a static: so many services, some 70 bytes each.
///
/// ```
/// use barenet::names::MdnsMemory;
/// use static_cell::ConstStaticCell;
/// static MDNS: ConstStaticCell<MdnsMemory<2>> = ConstStaticCell::new(MdnsMemory::new());
/// # fn example(net: &barenet::Net) {
/// net.with_stack(|stack| stack.start_mdns(MDNS.take().storage()));
/// # }
/// ```
pub struct MdnsMemory<const SERVICES: usize>([ServiceSlot<'static>; SERVICES]);

impl<const SERVICES: usize> MdnsMemory<SERVICES> {
    /// All of it unused.
    pub const fn new() -> Self {
        MdnsMemory([ServiceSlot::EMPTY; SERVICES])
    }

    /// The memory for [`Stack::start_mdns`](crate::stack::Stack::start_mdns).
    pub fn storage(&'static mut self) -> MdnsStorage<'static> {
        MdnsStorage { services: ManagedSlice::Borrowed(&mut self.0) }
    }
}

impl<const SERVICES: usize> Default for MdnsMemory<SERVICES> {
    fn default() -> Self {
        Self::new()
    }
}

/// A link: an interface, by one of the families.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub interface: InterfaceId,
    pub is_v4: bool,
}

impl Link {
    /// Its group.
    pub(crate) const fn group(self) -> IpAddr {
        if self.is_v4 { IpAddr::V4(GROUP_V4) } else { IpAddr::V6(GROUP_V6) }
    }
}

/// Addresses that are told of, at most; those beyond are not.
pub(crate) const OWN_MAX: usize = 16;
/// The addresses of this host, with their interfaces.
pub(crate) type OwnAddresses = heapless::Vec<(InterfaceId, IpAddr), OWN_MAX>;

/// A host's own label: letters, digits and hyphens (RFC 1123 §2.1).
fn check_host(text: &str) -> Result<(), Error> {
    let is_of_host = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let is_good = (1..=63).contains(&text.len())
        && text.bytes().all(is_of_host)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_good {
        Ok(())
    } else {
        Err(Error::InvalidInput("a host's name is 1 to 63 letters, digits and hyphens"))
    }
}

//= rfc6763#7
fn check(service: &Announcement<'_>) -> Result<(), Error> {
    if !(1..=63).contains(&service.instance.len()) {
        return Err(Error::InvalidInput("the name of a service's instance has 1 to 63 bytes"));
    }
    let is_label = |text: &str| text.len() > 1 && text.starts_with('_');
    let is_type = match service.service.split_once('.') {
        Some((protocol, transport)) => {
            is_label(protocol)
                && protocol.len() <= 16
                && !protocol.contains('.')
                && ["_tcp", "_udp"].into_iter().any(|t| transport.eq_ignore_ascii_case(t))
        }
        None => false,
    };
    if !is_type || !service.service.is_ascii() {
        return Err(Error::InvalidInput("the type of a service is as `_http._tcp`"));
    }
    let len: usize = service.texts.iter().map(|text| 1 + text.len()).sum();
    if len > TEXT_MAX || service.texts.iter().any(|text| text.is_empty() || text.len() > 255) {
        return Err(Error::InvalidInput("texts of a service have 1 to 255 bytes, and 400 in all"));
    }
    Ok(())
}

#[cfg(all(test, feature = "std"))]
mod tests;
