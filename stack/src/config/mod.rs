//! What configures interfaces: state machines that are told what came and what time it is, and say what is to be done.

#[cfg(feature = "dhcpv4")]
pub mod dhcp;
#[cfg(feature = "slaac")]
pub(crate) mod ipv6;
#[cfg(feature = "dhcpv4")]
pub(crate) mod link_local;
#[cfg(feature = "slaac")]
pub(crate) mod resolvers;

#[cfg(feature = "slaac")]
pub use ipv6::Ipv6Config;
#[cfg(feature = "slaac")]
pub use resolvers::{DnsServer, Resolvers, SearchDomain};
