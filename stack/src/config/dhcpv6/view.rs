//! What a program may ask a client.

use core::net::Ipv6Addr;

use super::client::{Dhcpv6Client, LeasedAddress};
use crate::config::names::SearchDomain;
use crate::wire::option6;

impl Dhcpv6Client {
    /// The addresses of the lease.
    pub fn addresses(&self) -> &[LeasedAddress] {
        if self.is_bound { &self.addresses } else { &[] }
    }

    /// The DUID of the server that gave them.
    pub fn server(&self) -> Option<&[u8]> {
        self.is_bound.then_some(&self.server)
    }

    /// The value of any option of the last reply by its number, but for those of the protocol itself.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.get(code)
    }

    /// Servers for names, the preferred one first (RFC 3646 §3).
    pub fn dns_servers(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.options.addresses(option6::DNS)
    }

    /// Servers for the time (RFC 5908, RFC 4075).
    pub fn ntp_servers(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.options.time_servers()
    }

    /// Domains in which names are looked for, in this order (RFC 3646 §4).
    pub fn search_list(&self) -> impl Iterator<Item = SearchDomain<'_>> {
        SearchDomain::all(self.options.get(option6::DOMAINS).unwrap_or_default())
    }
}
