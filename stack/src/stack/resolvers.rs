//! Name servers and domains, whoever told us of them.

use super::Stack;
#[cfg(any(feature = "dhcpv4", feature = "slaac"))]
use crate::config::DomainName;
#[cfg(feature = "dhcpv4")]
use crate::config::dhcp::Lease;
#[cfg(feature = "dhcpv6")]
use crate::config::dhcpv6::Dhcpv6Client;
use crate::config::{DnsServer, Domain};
#[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
use crate::time::Instant;

impl Stack<'_> {
    /// The servers for names, in the order in which they are to be asked: those of leases, of IPv4 and of IPv6, then those of routers
    /// (RFC 8106 §5.3.1).
    pub fn dns_servers(&self) -> impl Iterator<Item = DnsServer> {
        let servers = core::iter::empty();
        #[cfg(feature = "dhcpv4")]
        let servers = servers.chain(self.leases().flat_map(|(interface, lease)| {
            let until = lease.expires().unwrap_or(Instant::FAR_FUTURE);
            lease.dns_servers().map(move |own| DnsServer { interface, address: own.into(), until })
        }));
        #[cfg(feature = "dhcpv6")]
        let servers = servers.chain(self.clients6().flat_map(|(interface, client)| {
            let until = Instant::FAR_FUTURE;
            client.dns_servers().map(move |own| DnsServer { interface, address: own.into(), until })
        }));
        #[cfg(feature = "slaac")]
        let servers = servers.chain(self.resolvers.servers().iter().copied());
        servers
    }

    /// The domains in which short names are looked for, in the same order. A lease without a search list has its domain.
    pub fn search_domains(&self) -> impl Iterator<Item = Domain<'_>> {
        let domains = core::iter::empty();
        #[cfg(feature = "dhcpv4")]
        let domains = domains.chain(self.leases().flat_map(|(_, lease)| {
            let own = lease.domain().filter(|_| lease.search_list().next().is_none());
            lease.search_list().map(DomainName::Option).chain(own.map(DomainName::Text)).map(Domain)
        }));
        #[cfg(feature = "dhcpv6")]
        let domains = domains.chain(
            self.clients6().flat_map(|(_, client)| client.search_list()).map(DomainName::Option).map(Domain),
        );
        #[cfg(feature = "slaac")]
        let domains =
            domains.chain(self.resolvers.domains().iter().map(|d| Domain(DomainName::Text(&d.name))));
        domains
    }

    #[cfg(feature = "dhcpv6")]
    fn clients6(&self) -> impl Iterator<Item = (crate::ip::InterfaceId, &Dhcpv6Client)> {
        self.interfaces().filter_map(|(id, _)| Some((id, self.dhcpv6(id)?)))
    }

    #[cfg(feature = "dhcpv4")]
    fn leases(&self) -> impl Iterator<Item = (crate::ip::InterfaceId, &Lease)> {
        self.interfaces().filter_map(|(id, _)| Some((id, self.dhcp(id)?.lease()?)))
    }
}
