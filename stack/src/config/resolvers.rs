//! Name servers and search domains that routers told us of (RFC 8106), for whoever resolves names.

use heapless::{String, Vec};

use super::DnsServer;
use crate::ip::InterfaceId;
use crate::ip::learnt::Learned;
use crate::time::Instant;

/// Most name servers that are kept (RFC 8106 §5.3.1 asks for three).
const SERVERS_MAX: usize = 8;
/// Most search domains (as many).
const DOMAINS_MAX: usize = 3;
/// Longest name as text, without the root (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;

/// A domain that short names are looked for in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SearchDomain {
    /// Where it was told.
    pub interface: InterfaceId,
    /// Its name, without a dot at the end.
    pub name: String<NAME_MAX>,
    /// How long it is good; [`Instant::FAR_FUTURE`]: for ever.
    pub until: Instant,
}

/// What is known of them, in the order in which it was told.
#[derive(Clone, Debug)]
pub struct Resolvers {
    servers: Vec<DnsServer, SERVERS_MAX>,
    domains: Vec<SearchDomain, DOMAINS_MAX>,
}

impl Resolvers {
    pub(crate) const fn new() -> Self {
        Resolvers { servers: Vec::new(), domains: Vec::new() }
    }

    /// The name servers.
    pub fn servers(&self) -> &[DnsServer] {
        &self.servers
    }

    /// The search domains.
    pub fn domains(&self) -> &[SearchDomain] {
        &self.domains
    }

    /// Takes in a server, or takes it away if its time is over.
    pub(crate) fn add_server(&mut self, server: DnsServer, now: Instant) -> Learned {
        let same = |s: &DnsServer| (s.interface, s.address) == (server.interface, server.address);
        let (until, at) = (server.until, self.servers.iter().position(same));
        add(&mut self.servers, at, server, until <= now, |known| known.until = until)
    }

    /// The same for a search domain.
    pub(crate) fn add_domain(&mut self, domain: SearchDomain, now: Instant) -> Learned {
        let same = |d: &SearchDomain| (d.interface, &d.name) == (domain.interface, &domain.name);
        let (until, at) = (domain.until, self.domains.iter().position(same));
        add(&mut self.domains, at, domain, until <= now, |known| known.until = until)
    }

    /// Forgets what its interface told, or what is too old; false: there was none.
    pub(crate) fn retain(&mut self, keeps: impl Fn(InterfaceId, Instant) -> bool) -> bool {
        let before = (self.servers.len(), self.domains.len());
        self.servers.retain(|s| keeps(s.interface, s.until));
        self.domains.retain(|d| keeps(d.interface, d.until));
        before != (self.servers.len(), self.domains.len())
    }

    /// An interface some of whose servers or domains are too old.
    pub(crate) fn expired(&self, now: Instant) -> Option<InterfaceId> {
        let servers = self.servers.iter().map(|s| (s.interface, s.until));
        let mut all = servers.chain(self.domains.iter().map(|d| (d.interface, d.until)));
        all.find(|(_, until)| *until <= now).map(|(id, _)| id)
    }

    /// When the next of them ends.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let all = self.servers.iter().map(|s| s.until).chain(self.domains.iter().map(|d| d.until));
        all.min().filter(|at| *at < Instant::FAR_FUTURE)
    }
}

/// What is known at `at` goes if its time is over, and else lasts longer; what is new joins the end.
fn add<T, const N: usize>(
    list: &mut Vec<T, N>,
    at: Option<usize>,
    new: T,
    is_over: bool,
    extend: impl FnOnce(&mut T),
) -> Learned {
    match at {
        Some(at) if is_over => {
            list.remove(at);
            Learned::Changed
        }
        Some(at) => {
            extend(&mut list[at]);
            Learned::Same
        }
        None if is_over => Learned::Same,
        None => list.push(new).map_or(Learned::Full, |()| Learned::Changed),
    }
}

/// A name at the front of `names`, as DNS writes it (RFC 1035 §3.1) without compression, and what follows it. `None`: it is no
/// name, too long, or has characters that no host's name has: it may be shown and asked for, so nothing else gets in.
pub(crate) fn parse_name(mut names: &[u8]) -> Option<(String<NAME_MAX>, &[u8])> {
    let mut name = String::new();
    loop {
        let (&len, rest) = names.split_first()?;
        let (label, rest) = rest.split_at_checked(len.into())?;
        names = rest;
        if len == 0 {
            return (!name.is_empty()).then_some((name, names));
        }
        if len > 63 || (!name.is_empty() && name.push('.').is_err()) {
            return None;
        }
        for byte in label {
            if !byte.is_ascii_alphanumeric() && !b"-_".contains(byte) {
                return None;
            }
            name.push((*byte).into()).ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1035 §3.1, RFC 8106 §5.2: whole names one after the other; anything else is none.
    #[test]
    fn name_malformed_is_none() {
        let (first, rest) = parse_name(b"\x07example\x03org\0\x03lan\0\0\0").unwrap();
        assert_eq!(first, "example.org");
        let (second, rest) = parse_name(rest).unwrap();
        assert_eq!((second.as_str(), rest), ("lan", &[0, 0][..]));
        for bad in [&b""[..], b"\0", b"\x07exam", b"\x03lan", b"\xc0\x0c", b"\x03a\x1bb\0", b"\x40a\0"] {
            assert_eq!(parse_name(bad), None, "{bad:?}");
        }
        let long = [[1, b'a']; 127].concat();
        assert_eq!(parse_name(&[&long[..], &[0]].concat()).unwrap().0.len(), NAME_MAX);
        assert_eq!(parse_name(&[&long[..], &[1, b'a', 0]].concat()), None);
    }
}
