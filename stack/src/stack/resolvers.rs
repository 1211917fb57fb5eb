//! Name servers and domains, whoever told us of them.

use super::Stack;
#[cfg(any(feature = "dhcpv4", feature = "slaac"))]
use crate::config::DomainName;
use crate::config::{DnsServer, Domain};
#[cfg(feature = "dhcpv4")]
use crate::{config::dhcp::Lease, time::Instant};

impl Stack<'_> {
    /// The servers for names, in the order in which they are to be asked: those of leases, then those of routers
    /// (RFC 8106 §5.3.1).
    pub fn dns_servers(&self) -> impl Iterator<Item = DnsServer> {
        let servers = core::iter::empty();
        #[cfg(feature = "dhcpv4")]
        let servers = servers.chain(self.leases().flat_map(|(interface, lease)| {
            let until = lease.expires().unwrap_or(Instant::FAR_FUTURE);
            lease.dns_servers().map(move |own| DnsServer { interface, address: own.into(), until })
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
        #[cfg(feature = "slaac")]
        let domains =
            domains.chain(self.resolvers.domains().iter().map(|d| Domain(DomainName::Text(&d.name))));
        domains
    }

    #[cfg(feature = "dhcpv4")]
    fn leases(&self) -> impl Iterator<Item = (crate::ip::InterfaceId, &Lease)> {
        self.interfaces().filter_map(|(id, _)| Some((id, self.dhcp(id)?.lease()?)))
    }
}
