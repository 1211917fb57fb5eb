//! What configures interfaces: state machines that are told what came and what time it is, and say what is to be done.

use core::fmt;
use core::net::IpAddr;

use crate::ip::InterfaceId;
use crate::time::Instant;

#[cfg(feature = "dhcpv4")]
pub mod dhcp;
#[cfg(feature = "dhcpv6")]
pub mod dhcpv6;
#[cfg(feature = "slaac")]
pub(crate) mod ipv6;
#[cfg(feature = "dhcpv4")]
pub(crate) mod link_local;
#[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
pub(crate) mod names;
#[cfg(feature = "slaac")]
pub(crate) mod resolvers;

#[cfg(feature = "slaac")]
pub use ipv6::Ipv6Config;
#[cfg(feature = "slaac")]
pub use resolvers::{Resolvers, SearchDomain};

/// A name server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DnsServer {
    /// Where it was told; a link-local address is good there only.
    pub interface: InterfaceId,
    /// Its address.
    pub address: IpAddr,
    /// How long it may be asked; [`Instant::FAR_FUTURE`]: for ever.
    pub until: Instant,
}

/// A domain in which short names are looked for, whoever told it. Printed as usual, with dots.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a>(pub(crate) DomainName<'a>);

/// How the name is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DomainName<'a> {
    /// As text.
    #[cfg_attr(not(any(feature = "dhcpv4", feature = "slaac")), allow(dead_code))]
    Text(&'a str),
    /// As an option has it.
    #[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
    Option(names::SearchDomain<'a>),
}

impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DomainName::Text(text) => f.write_str(text),
            #[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
            DomainName::Option(name) => fmt::Display::fmt(&name, f),
        }
    }
}
