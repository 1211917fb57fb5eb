//! Which of our addresses a packet gets as its source, and in which order destinations are tried (RFC 6724).
//!
//! Both are an order of keys, rule by rule. Home addresses (rule 4) and encapsulation (rule 7 of destinations) don't exist
//! here; which router advertised a prefix (rule 5.5) is not kept.

use core::net::{IpAddr, Ipv6Addr};

use super::is_link_local;

/// One of our addresses, as far as it matters for the choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) address: IpAddr,
    /// Bits that name its network.
    pub(crate) prefix_len: u8,
    pub(crate) is_deprecated: bool,
    pub(crate) is_temporary: bool,
}

/// The policy table: prefix, its length, precedence, label (RFC 6724 §2.1), longest prefix first.
const POLICY: [(Ipv6Addr, u8, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

/// Precedence and label of an address.
fn policy(address: IpAddr) -> (u8, u8) {
    let address = mapped(address);
    let fits = |(prefix, len, ..): &&(Ipv6Addr, u8, u8, u8)| common(*prefix, address) >= *len;
    // The last one fits everything.
    POLICY.iter().find(fits).map_or((40, 1), |(.., precedence, label)| (*precedence, *label))
}

const fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped(),
        IpAddr::V6(a) => a,
    }
}

const fn common(a: Ipv6Addr, b: Ipv6Addr) -> u8 {
    (a.to_bits() ^ b.to_bits()).leading_zeros() as u8
}

/// The scope by the numbers of multicast scopes (RFC 6724 §3.1, §3.2).
pub(crate) fn scope(address: IpAddr) -> u8 {
    const LINK_LOCAL: u8 = 2;
    const GLOBAL: u8 = 14;
    match address {
        IpAddr::V4(a) if a.is_link_local() || a.is_loopback() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        IpAddr::V6(a) if a.is_multicast() => a.octets()[1] & 15,
        IpAddr::V6(a) if is_link_local(a) || a.is_loopback() => LINK_LOCAL,
        IpAddr::V6(_) => GLOBAL,
    }
}

/// Leading bits that a source and a destination share, as far as the source's network goes (RFC 6724 §2.2).
fn shared(source: &Candidate, destination: IpAddr) -> u8 {
    let of_v4 = if source.address.is_ipv4() { 96 } else { 0 };
    common(mapped(source.address), mapped(destination)).min(source.prefix_len + of_v4)
}

/// The best source for a destination, of addresses of the outgoing interface in the order of their age.
//= rfc6724#5
pub(crate) fn best_source(
    destination: IpAddr,
    candidates: impl Iterator<Item = Candidate>,
) -> Option<Candidate> {
    let to = scope(destination);
    let label = policy(destination).1;
    candidates.min_by_key(|c| {
        let own = scope(c.address);
        // Rule 2: the smallest scope that suffices, else the largest.
        let by_scope = if own >= to { (false, own) } else { (true, u8::MAX - own) };
        (
            c.address != destination,
            by_scope,
            c.is_deprecated,
            policy(c.address).1 != label,
            !c.is_temporary,
            u8::MAX - shared(c, destination),
        )
    })
}

/// Puts destinations into the order in which they are to be tried; equals stay as they are. `source` gives the address that
/// would be used for one, if it can be reached.
//= rfc6724#6
pub(crate) fn sort_destinations(destinations: &mut [IpAddr], source: impl Fn(IpAddr) -> Option<Candidate>) {
    let key = |to: IpAddr| {
        let own = source(to);
        let (precedence, label) = policy(to);
        let is_other =
            |differs: fn(&Candidate, IpAddr, u8) -> bool| own.is_none_or(|c| differs(&c, to, label));
        (
            own.is_none(),
            is_other(|c, to, _| scope(c.address) != scope(to)),
            is_other(|c, _, _| c.is_deprecated),
            is_other(|c, _, label| policy(c.address).1 != label),
            u8::MAX - precedence,
            scope(to),
            // Rule 9 is for two of one family, and two of different ones differ in their precedence.
            own.map_or(0, |c| u8::MAX - shared(&c, to)),
        )
    };
    // By insertion: there are few, equals keep their order, and no memory is needed.
    for end in 1..destinations.len() {
        let mut at = end;
        while at > 0 && key(destinations[at]) < key(destinations[at - 1]) {
            destinations.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
