//! Which way a packet goes, and with which source.

use core::net::{IpAddr, Ipv4Addr};

use super::Holder;
use super::{Interface, Stack};
use crate::error::Error;
use crate::ip::addresses::{Address, Cidr};
use crate::ip::routes::Route;
use crate::ip::{self, InterfaceId, Path};
use crate::time::Instant;

/// What a way is remembered by: peer, own address, interface, and the state of the routes.
pub(super) type RouteCacheKey = (IpAddr, IpAddr, InterfaceId, u32);

impl Stack<'_> {
    /// A number that changes whenever [`path`](Stack::path) may give another answer than before.
    pub const fn paths_epoch(&self) -> u32 {
        self.paths_epoch
    }

    /// The path to `destination` takes no packets longer than `mtu` bytes.
    pub(super) fn learn_path(&mut self, destination: IpAddr, mtu: u16, now: Instant) {
        self.path_mtus.note(destination, mtu, now);
        self.paths_epoch = self.paths_epoch.wrapping_add(1);
    }

    /// What was learned of paths is forgotten after a while.
    pub(super) fn path_timers(&mut self, now: Instant) {
        // Who else would have sent what a router speaks of?
        if cfg!(any(feature = "tcp", feature = "udp")) && self.path_mtus.expire(now) {
            self.paths_epoch = self.paths_epoch.wrapping_add(1);
        }
    }

    /// Is it an address of this stack, on any interface and in whatever state? With a loopback interface all of 127/8 is
    /// (RFC 1122 §3.2.1.3(g)).
    pub fn is_ours(&self, address: IpAddr) -> bool {
        // Every packet's source is looked up here, and hardly any is ours.
        if self.own_addresses & address_bit(address) != 0
            && self.addresses.iter().any(|a| a.cidr.address() == address)
        {
            return true;
        }
        is_loopback_v4(address) && self.loopback.is_some()
    }

    /// Is it an address of this stack for what names it on interface `zone`? A link-local address of another
    /// link is somebody else's there (RFC 4007 §6); inside, where packets to ourselves are, all are ours.
    pub(super) fn is_ours_in(&self, zone: InterfaceId, address: IpAddr) -> bool {
        let is_of_one_link =
            cfg!(feature = "ipv6") && matches!(address, IpAddr::V6(a) if ip::is_link_local(a));
        let link = self.interface(zone).filter(|i| is_of_one_link && !i.is_loopback);
        link.map_or_else(|| self.is_ours(address), |_| self.addresses.has(zone, address))
    }

    /// As [`is_ours`](Self::is_ours), for one that packets can be received at.
    pub(super) fn answers_to(&self, address: IpAddr) -> bool {
        self.is_ours(address) && (is_loopback_v4(address) || self.addresses.is_usable(address))
    }

    /// As [`is_ours_in`](Self::is_ours_in), for one that packets can be sent from.
    fn is_source_in(&self, zone: InterfaceId, address: IpAddr) -> bool {
        self.is_ours_in(zone, address)
            && (is_loopback_v4(address)
                || self.addresses.has_usable(zone, address)
                || self.addresses.is_usable(address))
    }

    /// Is it the broadcast address of a network of ours, on any interface? Where it comes from or goes to
    /// is no host's, whichever link carries it (RFC 1122 §3.2.1.3).
    pub(super) fn is_directed_broadcast(&self, address: Ipv4Addr) -> bool {
        self.addresses.is_directed_broadcast(None, address)
    }

    /// The way to `destination`, by `zone` if one is named (a link-local destination needs it when
    /// there are several interfaces, H171), from `source` if one is given.
    ///
    /// [`Error::NetUnreachable`]: no route. [`Error::AddrNotAvailable`]: `source` is not ours, of another link, or
    /// still in doubt.
    pub fn path(
        &self,
        destination: IpAddr,
        zone: Option<InterfaceId>,
        source: Option<IpAddr>,
    ) -> Result<Path, Error> {
        if destination.is_unspecified() {
            return Err(Error::AddrInvalid);
        }
        if source.is_some_and(|s| s.is_ipv4() != destination.is_ipv4()) {
            return Err(Error::AddrNotAvailable);
        }
        if cfg!(not(feature = "ipv6")) && destination.is_ipv6() {
            return Err(Error::NetUnreachable);
        }
        let (interface, next_hop) = self.route(destination, zone, source)?;
        let known = self.interface(interface).ok_or(Error::NetUnreachable)?;
        let source = match source {
            // DHCP sends before it has an address.
            Some(own) if own.is_unspecified() && ip::is_group(destination) => own,
            Some(own) if self.is_source_in(interface, own) => own,
            Some(_) => return Err(Error::AddrNotAvailable),
            None if known.is_loopback => destination,
            None => self.source_for(interface, destination, next_hop)?,
        };
        // H170, H065: loopback addresses stay inside.
        if source.is_loopback() && !known.is_loopback {
            return Err(Error::NetUnreachable);
        }
        Ok(Path { interface, source, next_hop, mtu: known.mtu_to(destination) })
    }

    /// The hop limit of a packet to `destination` that leaves by this interface: what its routers say, where nobody asks for
    /// another than the usual (RFC 4861 §6.3.4).
    #[inline]
    pub(super) fn hop_limit(&self, id: InterfaceId, destination: IpAddr, wanted: u8) -> u8 {
        hop_limit(self.interface(id), destination, wanted)
    }

    /// The path of an answer from `source` to `destination` by `zone`. The last one is remembered: who sends
    /// one packet that wants an answer sends more.
    pub(super) fn answer_path(
        &mut self,
        destination: IpAddr,
        zone: InterfaceId,
        source: IpAddr,
    ) -> Result<Path, Error> {
        let key = (destination, source, zone, self.paths_epoch);
        if let Some((known, path)) = self.answer_way.as_ref()
            && *known == key
        {
            return Ok(*path);
        }
        let path = self.path(destination, Some(zone), Some(source))?;
        self.answer_way = Holder::Entry((key, path));
        Ok(path)
    }

    /// A source on the outgoing interface, or for IPv4 on any (the weak host model).
    fn source_for(&self, id: InterfaceId, destination: IpAddr, next_hop: IpAddr) -> Result<IpAddr, Error> {
        let on = |id| self.addresses.source_for(id, destination, next_hop);
        let elsewhere = || {
            let others = self.interfaces().filter(|(_, i)| !i.is_loopback);
            let mut sources = others.filter_map(|(id, _)| on(id));
            sources.find(|s| !matches!(s, IpAddr::V6(a) if ip::is_link_local(*a)))
        };
        on(id).or_else(elsewhere).ok_or(Error::NetUnreachable)
    }

    /// Interface and next hop for a destination.
    fn route(
        &self,
        destination: IpAddr,
        zone: Option<InterfaceId>,
        source: Option<IpAddr>,
    ) -> Result<(InterfaceId, IpAddr), Error> {
        let is_ours = match zone {
            Some(zone) => self.is_ours_in(zone, destination),
            None => self.is_ours(destination),
        };
        if is_ours || destination.is_loopback() {
            return Ok((self.loopback.ok_or(Error::NetUnreachable)?, destination));
        }
        if ip::is_group(destination) || matches!(destination, IpAddr::V6(a) if ip::is_link_local(a)) {
            return Ok((self.link_for(destination, zone, source)?, destination));
        }
        let on_zone = |id: InterfaceId| zone.is_none_or(|zone| zone == id);
        let routed = self.routes.lookup(destination, |r| on_zone(r.interface));
        let is_link = |a: &&Address| a.names_its_network() && Some(a.interface) != self.loopback;
        let networks = self.addresses.iter().filter(is_link).filter(|a| on_zone(a.interface));
        let on_link = networks
            .map(|a| (a.interface, a.cidr))
            .filter(|(_, c)| c.contains(destination))
            .min_by_key(|(_, c)| 128 - c.prefix_len);
        let known = match (on_link, routed) {
            (Some((_, c)), Some(r)) if r.destination.prefix_len > c.prefix_len => {
                Some((r.destination.prefix_len, hop(r, destination)))
            }
            (Some((id, c)), _) => Some((c.prefix_len, (id, broadcast_or(c, destination)))),
            (None, Some(r)) => Some((r.destination.prefix_len, hop(r, destination))),
            (None, None) => None,
        };
        // What routers say comes after what the program says.
        #[cfg(feature = "slaac")]
        let known = match self.learnt_hop(destination, zone) {
            Some((len, hop)) if known.is_none_or(|(known, _)| len > known) => Some((len, hop)),
            _ => known,
        };
        known.map(|(_, hop)| hop).ok_or(Error::NetUnreachable)
    }

    /// The link for a destination that says nothing about it: the named one, the one of the
    /// source, or the only one that has an address of the family. The first one, if none has: there a
    /// program asks for one.
    fn link_for(
        &self,
        destination: IpAddr,
        zone: Option<InterfaceId>,
        source: Option<IpAddr>,
    ) -> Result<InterfaceId, Error> {
        // H078: ff00 and ff01 never leave the node.
        if matches!(destination, IpAddr::V6(a) if a.is_multicast() && a.octets()[1] & 15 < 2) {
            return Err(Error::NetUnreachable);
        }
        if let Some(zone) = zone {
            return self.interface(zone).map(|_| zone).ok_or(Error::NetUnreachable);
        }
        let links = || self.interfaces().filter(|(_, i)| !i.is_loopback);
        if let Some(source) = source.filter(|s| !s.is_unspecified()) {
            let owner = links().find(|(id, _)| self.addresses.has(*id, source));
            return owner.map(|(id, _)| id).ok_or(Error::AddrNotAvailable);
        }
        let mut usable = links().filter(|(id, _)| self.addresses.has_family(*id, destination.is_ipv4()));
        match (usable.next(), usable.next()) {
            (Some(_), Some(_)) if destination.is_ipv6() => {
                Err(Error::InvalidInput("with several interfaces a link-local address needs its zone"))
            }
            (first, _) => first.or_else(|| links().next()).map(|(id, _)| id).ok_or(Error::NetUnreachable),
        }
    }
}

/// See [`hop_limit`](Stack::hop_limit).
#[inline]
pub(super) fn hop_limit(interface: Option<&Interface>, destination: IpAddr, wanted: u8) -> u8 {
    #[cfg(feature = "slaac")]
    if destination.is_ipv6() && wanted == crate::wire::HOP_LIMIT {
        return interface.and_then(|i| i.autoconf.hop_limit).unwrap_or(wanted);
    }
    let _ = (interface, destination);
    wanted
}

fn is_loopback_v4(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(a) if a.is_loopback())
}

/// One of 64 bits that stands for an address: if it is not set among ours, neither is the address.
pub(super) fn address_bit(address: IpAddr) -> u64 {
    let folded = match address {
        IpAddr::V4(a) => u64::from(a.to_bits()),
        IpAddr::V6(_) if cfg!(not(feature = "ipv6")) => 0,
        IpAddr::V6(a) => (a.to_bits() >> 64) as u64 ^ a.to_bits() as u64,
    };
    // Fibonacci hashing: the highest bits of the product depend on all others.
    1 << (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

fn hop(route: &Route, destination: IpAddr) -> (InterfaceId, IpAddr) {
    (route.interface, route.gateway.unwrap_or(destination))
}

/// A directed broadcast is sent to everybody on the link.
fn broadcast_or(network: Cidr, destination: IpAddr) -> IpAddr {
    match (network.broadcast(), network.network(), destination) {
        (Some(a), _, IpAddr::V4(to)) | (_, Some(a), IpAddr::V4(to)) if a == to => Ipv4Addr::BROADCAST.into(),
        _ => destination,
    }
}
