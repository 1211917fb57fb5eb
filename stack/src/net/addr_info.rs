//! `getaddrinfo` and `getnameinfo` in Rust's form: host and service to socket addresses, and back.

use core::fmt;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Net;
use super::names::{Family, How, Lookup};
use crate::error::Error;
use crate::ip::addresses::Address;
use crate::names::{ADDRESSES_MAX, Name, known, port_of, service_of};

/// What a socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SocketType {
    /// A stream of bytes, by TCP.
    Stream,
    /// Datagrams, by UDP.
    Datagram,
}

impl SocketType {
    /// The number of its protocol in IP's header.
    pub const fn protocol(self) -> u8 {
        match self {
            SocketType::Stream => crate::wire::protocol::TCP,
            SocketType::Datagram => crate::wire::protocol::UDP,
        }
    }
}

/// What is wanted of [`Net::addr_info`]: the hints of getaddrinfo(3p) by their names. By default all is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Hints {
    /// Addresses of this family alone (`ai_family`).
    pub family: Option<Family>,
    /// For sockets of this type alone (`ai_socktype`).
    pub socket_type: Option<SocketType>,
    /// Without a host: addresses to listen on, not those of the loopback (`AI_PASSIVE`).
    pub passive: bool,
    /// The host's canonical name is wanted, too (`AI_CANONNAME`); it is not kept, so a server is asked each time.
    pub canonical_name: bool,
    /// The host is an address: no server is asked (`AI_NUMERICHOST`).
    pub numeric_host: bool,
    /// The service is a port: no table is asked (`AI_NUMERICSERV`).
    pub numeric_service: bool,
    /// For the family V6: where there are no such addresses, those of IPv4 as IPv6 writes them (`AI_V4MAPPED`).
    pub v4_mapped: bool,
    /// With `v4_mapped`: those of IPv4 besides the others (`AI_ALL`).
    pub all: bool,
    /// Only families of which this host has an address besides the loopback's (`AI_ADDRCONFIG`).
    pub address_configured: bool,
}

/// A socket address, and what it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddrInfo {
    /// For sockets of this type.
    pub socket_type: SocketType,
    /// The address and port; the port is 0 if no service was named.
    pub address: SocketAddr,
}

impl AddrInfo {
    /// The address's family.
    pub fn family(&self) -> Family {
        if self.address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The number of its protocol in IP's header.
    pub fn protocol(&self) -> u8 {
        self.socket_type.protocol()
    }
}

/// What [`Net::addr_info`] has found, in the order in which it is to be tried (RFC 6724).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddrInfos {
    /// Socket addresses: one for each address and type.
    pub list: heapless::Vec<AddrInfo, { 4 * ADDRESSES_MAX }>,
    /// The host's canonical name, if that was asked for and is known.
    pub canonical_name: Option<Name>,
}

/// A look-up by [`Net::start_addr_info`] under way. A future; dropped, it is cancelled.
#[must_use = "dropped, it is cancelled"]
pub struct AddrInfoLookup {
    net: Net,
    hints: Hints,
    lookup: Lookup,
    ports: [Option<u16>; 2],
}

impl AddrInfoLookup {
    /// The addresses, once they are there. Errors as those of [`Net::addr_info`].
    pub fn poll_infos(&mut self, cx: &mut Context<'_>) -> Poll<Result<AddrInfos, Error>> {
        let Poll::Ready(found) = self.lookup.poll_addresses(cx) else { return Poll::Pending };
        Poll::Ready(found.and_then(|found| self.infos(&found)))
    }

    /// Blocks until they are there.
    pub fn wait(mut self) -> Result<AddrInfos, Error> {
        let net = self.net.clone();
        net.wait_for(None, |cx| self.poll_infos(cx))
    }

    fn infos(&self, found: &[IpAddr]) -> Result<AddrInfos, Error> {
        let Hints { family, v4_mapped, all, address_configured, canonical_name, .. } = self.hints;
        let maps = v4_mapped && family == Some(Family::V6);
        let has_v6 = found.iter().any(IpAddr::is_ipv6);
        let mut list = heapless::Vec::new();
        for address in found {
            let address = match (family, address) {
                (Some(Family::V6), IpAddr::V4(a)) if maps && (all || !has_v6) => a.to_ipv6_mapped().into(),
                (Some(family), a) if !family.has(a) => continue,
                (_, a) => *a,
            };
            if address_configured && !self.is_configured(address.to_canonical()) {
                continue;
            }
            for (socket_type, port) in TYPES.into_iter().zip(self.ports) {
                if let Some(port) = port {
                    // There is room for all.
                    let _ = list.push(AddrInfo { socket_type, address: SocketAddr::new(address, port) });
                }
            }
        }
        let canonical_name = self.lookup.canonical.filter(|_| canonical_name);
        if list.is_empty() { Err(Error::NoMatchingAddresses) } else { Ok(AddrInfos { list, canonical_name }) }
    }

    /// Has this host an address of the family, besides the loopback's?
    fn is_configured(&self, address: IpAddr) -> bool {
        let is_same = |a: &Address| {
            let own = a.cidr.address();
            own.is_ipv4() == address.is_ipv4() && !own.is_loopback() && a.is_usable()
        };
        self.net.with_stack(|stack| stack.addresses().iter().any(is_same))
    }
}

impl Future for AddrInfoLookup {
    type Output = Result<AddrInfos, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_infos(cx)
    }
}

const TYPES: [SocketType; 2] = [SocketType::Stream, SocketType::Datagram];

/// Which names [`Net::name_info`] wants: the flags of getnameinfo(3p).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NameInfoFlags {
    /// A host without a name is an error (`NI_NAMEREQD`); else its address stands for it.
    pub name_required: bool,
    /// The service of UDP, not of TCP (`NI_DGRAM`).
    pub datagram: bool,
    /// Of a name in a domain of the search list, the part before that alone (`NI_NOFQDN`).
    pub no_fqdn: bool,
    /// The host by its address: no server is asked (`NI_NUMERICHOST`).
    pub numeric_host: bool,
    /// The service by its port (`NI_NUMERICSERV`).
    pub numeric_service: bool,
}

// Without a heap there is nowhere else for the name.
#[allow(clippy::large_enum_variant)]
/// What a host is called: printed, it is its name, or its address if it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostName {
    /// By its name.
    Name(Name),
    /// By its address.
    Address(IpAddr),
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostName::Name(name) => name.fmt(f),
            HostName::Address(address) => address.fmt(f),
        }
    }
}

/// What a service is called: printed, it is its name, or its port if it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceName {
    /// By its name in IANA's table.
    Name(&'static str),
    /// By its port.
    Port(u16),
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceName::Name(name) => f.pad(name),
            ServiceName::Port(port) => port.fmt(f),
        }
    }
}

/// Host and service of a socket address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameInfo {
    /// The host.
    pub host: HostName,
    /// The service.
    pub service: ServiceName,
}

impl Net {
    /// Socket addresses of a host and a service, as `getaddrinfo` has them: the host by name or address, `None` for this one; the service by
    /// its name in IANA's table or its port, `None` for port 0.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use barenet::{Hints, SocketType};
    /// let hints = Hints { socket_type: Some(SocketType::Stream), ..Hints::default() };
    /// for info in net.addr_info(Some("example.org"), Some("http"), &hints)?.list {
    ///     println!("{}", info.address);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// [`Error::InvalidInput`]: neither host nor service; a service that is not in the table, or not for this type; with `numeric_service` one
    /// that is no port. [`Error::NoMatchingAddresses`]: the host has no address that fits, or with `numeric_host` is none. Others as of
    /// [`Net::lookup`].
    pub fn addr_info(
        &self,
        host: Option<&str>,
        service: Option<&str>,
        hints: &Hints,
    ) -> Result<AddrInfos, Error> {
        self.start_addr_info(host, service, hints)?.wait()
    }

    /// [`addr_info`](Net::addr_info) for an executor. Dropped before it is ready, it is cancelled.
    pub async fn addr_info_async(
        &self,
        host: Option<&str>,
        service: Option<&str>,
        hints: &Hints,
    ) -> Result<AddrInfos, Error> {
        self.start_addr_info(host, service, hints)?.await
    }

    /// [`addr_info`](Net::addr_info) without waiting.
    pub fn start_addr_info(
        &self,
        host: Option<&str>,
        service: Option<&str>,
        hints: &Hints,
    ) -> Result<AddrInfoLookup, Error> {
        if host.is_none() && service.is_none() {
            return Err(Error::InvalidInput("neither a host nor a service"));
        }
        let ports = ports(service, hints)?;
        // Addresses of IPv4 may stand for those of IPv6.
        let is_mapped = hints.v4_mapped && hints.family == Some(Family::V6);
        let family = hints.family.filter(|_| !is_mapped);
        let how = How { family, fresh: hints.canonical_name };
        let lookup = match host {
            Some(host) if hints.numeric_host && host.parse::<IpAddr>().is_err() => {
                return Err(Error::NoMatchingAddresses);
            }
            Some(host) => {
                let mut lookup = self.lookup_how(host, how)?;
                if known(host).is_some() {
                    lookup.canonical = Name::new(host).ok();
                }
                lookup
            }
            None => {
                let mut lookup = self.lookup_how("localhost", how)?;
                if hints.passive {
                    let all = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
                    lookup.found = all.into_iter().filter(|a| family.is_none_or(|f| f.has(a))).collect();
                }
                lookup
            }
        };
        Ok(AddrInfoLookup { net: self.clone(), hints: *hints, lookup, ports })
    }

    /// The names of a socket address's host, by DNS, and service, by IANA's table, as `getnameinfo` has them.
    ///
    /// [`Error::NameNotFound`]: the host has no name, if one is required; others as of [`Net::reverse_lookup`], if one is required.
    pub fn name_info(&self, address: SocketAddr, flags: &NameInfoFlags) -> Result<NameInfo, Error> {
        let name = if flags.numeric_host { None } else { Some(self.reverse_lookup(address.ip())) };
        self.named(address, name, flags)
    }

    /// [`name_info`](Net::name_info) for an executor. Dropped before it is ready, it is cancelled.
    pub async fn name_info_async(
        &self,
        address: SocketAddr,
        flags: &NameInfoFlags,
    ) -> Result<NameInfo, Error> {
        let name =
            if flags.numeric_host { None } else { Some(self.reverse_lookup_async(address.ip()).await) };
        self.named(address, name, flags)
    }

    fn named(
        &self,
        address: SocketAddr,
        name: Option<Result<Name, Error>>,
        flags: &NameInfoFlags,
    ) -> Result<NameInfo, Error> {
        let host = match name {
            Some(Ok(name)) if flags.no_fqdn => HostName::Name(self.without_domain(name)),
            Some(Ok(name)) => HostName::Name(name),
            Some(Err(error)) if flags.name_required || error == Error::NetDown => return Err(error),
            _ if flags.name_required => return Err(Error::NameNotFound),
            _ => HostName::Address(address.ip()),
        };
        let service = service_of(address.port(), flags.datagram).filter(|_| !flags.numeric_service);
        let service = service.map_or(ServiceName::Port(address.port()), ServiceName::Name);
        Ok(NameInfo { host, service })
    }

    /// The part of a name before a domain of the search list.
    fn without_domain(&self, name: Name) -> Name {
        let domain = self.with_stack(|stack| stack.search_domain_of(&name));
        domain.map_or(name, |domain| name.front(name.as_bytes().len() - domain.as_bytes().len()))
    }
}

/// The ports of a service for TCP and for UDP, as far as they are wanted.
fn ports(service: Option<&str>, hints: &Hints) -> Result<[Option<u16>; 2], Error> {
    let number = service.map_or(Some(0), |service| service.parse().ok());
    if number.is_none() && hints.numeric_service {
        return Err(Error::InvalidInput("the service is no port"));
    }
    let ports = TYPES.map(|of| {
        let name = || port_of(service.unwrap_or(""), of == SocketType::Datagram);
        number.or_else(name).filter(|_| hints.socket_type.is_none_or(|wanted| wanted == of))
    });
    match ports {
        [None, None] => Err(Error::InvalidInput("no such service")),
        ports => Ok(ports),
    }
}
