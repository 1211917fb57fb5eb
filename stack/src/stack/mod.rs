//! The pipeline: frames in, timers, frames out. It holds all state and no clock, device or lock.

mod egress;
mod icmp;
mod ingress;
mod interface;
mod neighbors;
mod storage;
mod tcp;
mod tcp_calls;
mod udp;

use core::net::IpAddr;

pub use crate::demux::Bucket;
pub use crate::link::neighbor::{NeighborSlot, Resolution};
pub use crate::slab::Slot;
pub(crate) use interface::INTERFACES_MAX;
pub use interface::Interface;
pub use storage::{Limits, Storage};
pub use tcp_calls::{ListenerHandle, Readiness, TcpHandle};

use crate::counters::{Counters, Drop};
use crate::datagram::Datagrams;
use crate::device::Capabilities;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::ip::addresses::{Addresses, Cidr};
use crate::ip::icmp::TokenBucket;
use crate::ip::routes::{Route, Routes};
use crate::ip::{self, InterfaceId, Path};
use crate::link::neighbor::{NeighborKey, Neighbors};
use crate::pool::Pool;
use crate::random::Random;
use crate::slab::Slab;
use crate::tcp::Tcp;
use crate::time::Instant;

/// A TCP/IP stack.
///
/// Everything that happens to it comes in through [`on_frame`](Stack::on_frame),
/// [`on_timers`](Stack::on_timers), [`egress`](Stack::egress) and the calls of sockets, each with
/// the present time; given the same calls and the same seed it does the same.
pub struct Stack<'a> {
    pub(crate) pool: Pool<'a>,
    pub(crate) counters: Counters,
    pub(crate) events: Events,
    pub(crate) random: Random,
    pub(crate) interfaces: Slab<'a, Interface>,
    pub(crate) neighbors: Neighbors<'a>,
    pub(crate) routes: Routes<'a>,
    pub(crate) tcp: Tcp<'a>,
    datagrams: Datagrams<'a>,
    icmp_bucket: TokenBucket,
    loopback: Option<InterfaceId>,
    /// The [`address_bit`] of each address of ours.
    own_addresses: u64,
    /// Changes whenever a [`Path`] may have.
    paths_epoch: u32,
    /// The path that TCP took last.
    tcp_way: Option<(tcp::Way, Path)>,
}

impl<'a> Stack<'a> {
    /// A stack in this memory, without interfaces. The seed is 32 bytes that nobody else can know,
    /// different at each start.
    pub fn new(storage: Storage<'a>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Stack {
            pool: storage.pool,
            counters: Counters::default(),
            events: Events::new(),
            interfaces: Slab::new(storage.interfaces, INTERFACES_MAX),
            neighbors: Neighbors::new(storage.neighbors, random.key()),
            routes: Routes::new(storage.routes),
            tcp: Tcp::new(storage.tcp, storage.connections_max, storage.tcp_config, &mut random),
            datagrams: Datagrams::new(
                storage.datagrams,
                storage.datagram_buckets,
                storage.datagrams_max,
                random.key(),
            ),
            random,
            icmp_bucket: TokenBucket::new(),
            loopback: None,
            own_addresses: 0,
            paths_epoch: 0,
            tcp_way: None,
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The last events, and where to send them.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Bytes of the pool in use and in all.
    pub fn memory(&self) -> (usize, usize) {
        (self.pool.in_use(), self.pool.capacity())
    }

    /// All that is due at `now`. Call it after [`on_frame`](Stack::on_frame) has seen what
    /// arrived, so that an answer that lies in the queue is not too late (H187).
    pub fn on_timers(&mut self, now: Instant) {
        self.neighbor_timers(now);
        self.tcp_timers(now);
    }

    /// When the stack wants a turn although nothing arrives: `now` if packets wait to be sent
    /// (H184), except on interfaces whose device was full, which is the device's to announce.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let waits = |i: &Interface| !i.queue.is_empty() && !i.device_full;
        if self.interfaces.iter().any(|(_, i)| waits(i)) {
            return Some(now);
        }
        [self.neighbors.next_deadline(), self.tcp_deadline(now)].into_iter().flatten().min()
    }

    /// Adds an interface for a device. It gets a link-local IPv6 address formed from its hardware
    /// address, if its MTU allows IPv6.
    ///
    /// Refused are hardware addresses that no station can have (H215) and MTUs below 68 bytes
    /// (RFC 791 §3.2); a larger MTU than the pool's blocks can carry in one frame is clamped.
    pub fn add_interface(&mut self, capabilities: Capabilities) -> Result<InterfaceId, Error> {
        if !capabilities.mac.is_unicast() {
            return Err(Error::InvalidInput("the device's hardware address is not one station's"));
        }
        let id = self.insert_interface(capabilities, false)?;
        if self.interface(id).is_some_and(Interface::carries_ipv6) {
            let address = ip::link_local_from(capabilities.mac).into();
            self.add_address(id, Cidr { address, prefix_len: 64 }, Instant::ZERO)?;
        }
        Ok(id)
    }

    /// Adds the interface of a [`Loopback`](crate::device::loopback::Loopback) device, with
    /// 127.0.0.1/8 and ::1/128. Packets to any of the stack's own addresses go through it (H175).
    pub fn add_loopback(&mut self, capabilities: Capabilities) -> Result<InterfaceId, Error> {
        if self.loopback.is_some() {
            return Err(Error::InvalidInput("there is a loopback interface already"));
        }
        let id = self.insert_interface(capabilities, true)?;
        self.loopback = Some(id);
        let v4 = Cidr { address: core::net::Ipv4Addr::LOCALHOST.into(), prefix_len: 8 };
        let v6 = Cidr { address: core::net::Ipv6Addr::LOCALHOST.into(), prefix_len: 128 };
        self.add_address(id, v4, Instant::ZERO)?;
        self.add_address(id, v6, Instant::ZERO)?;
        Ok(id)
    }

    fn insert_interface(&mut self, capabilities: Capabilities, loopback: bool) -> Result<InterfaceId, Error> {
        let interface = Interface::new(capabilities, loopback, self.pool.block_len())?;
        let full = Error::InvalidInput("the stack has as many interfaces as it can hold");
        let key = self.interfaces.insert(interface).map_err(|_| full)?;
        self.events.emit(Instant::ZERO, Event::InterfaceAdded(InterfaceId(key)));
        Ok(InterfaceId(key))
    }

    /// Removes an interface with its addresses, routes, neighbours and waiting packets (H176).
    pub fn remove_interface(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        self.interface(id).ok_or(Error::DeviceGone)?;
        self.forget_neighbors(now, |key| key.interface == id);
        self.routes.remove(|route| route.interface == id);
        if let Some(mut interface) = self.interfaces.remove(id.0.index) {
            interface.writers.wake();
            self.give_up(core::mem::take(&mut interface.queue), Drop::InterfaceGone, now);
        }
        self.wake_datagrams();
        self.loopback = self.loopback.filter(|loopback| *loopback != id);
        self.addresses_changed();
        self.events.emit(now, Event::InterfaceRemoved(id));
        Ok(())
    }

    /// What is known of an interface.
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(id.0)
    }

    /// Every interface.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        let all = self.interfaces.iter();
        all.filter_map(|(index, i)| Some((InterfaceId(self.interfaces.key(index)?), i)))
    }

    /// Gives an interface an address; its network is reachable from then on. Refused are addresses
    /// that no host can have.
    pub fn add_address(&mut self, id: InterfaceId, cidr: Cidr, now: Instant) -> Result<(), Error> {
        let interface = self.interfaces.get_mut(id.0).ok_or(Error::DeviceGone)?;
        if cidr.address.is_ipv6() && !interface.carries_ipv6() {
            return Err(Error::InvalidInput("IPv6 needs an MTU of 1280 bytes"));
        }
        interface.addresses.add(cidr, interface.is_loopback)?;
        interface.filter_is_old = true;
        self.addresses_changed();
        self.events.emit(now, Event::AddressAdded(id, cidr.address));
        Ok(())
    }

    /// Takes an address away, with the neighbours that were learnt for its family (H110).
    pub fn remove_address(&mut self, id: InterfaceId, address: IpAddr, now: Instant) -> Result<(), Error> {
        let interface = self.interfaces.get_mut(id.0).ok_or(Error::DeviceGone)?;
        if !interface.addresses.remove(address) {
            return Err(Error::AddrNotAvailable);
        }
        interface.filter_is_old = true;
        self.forget_neighbors(now, |key| key.interface == id && key.address.is_ipv4() == address.is_ipv4());
        self.addresses_changed();
        self.events.emit(now, Event::AddressRemoved(id, address));
        Ok(())
    }

    /// Forgets neighbours and what waits for them (H110, H119). Connections that wait for one ask
    /// again, with the source that they have now.
    fn forget_neighbors(&mut self, now: Instant, which: impl Fn(&NeighborKey) -> bool) {
        while let Some((key, waiting)) = self.neighbors.forget(&self.pool, &which) {
            self.give_up(waiting, Drop::NeighborForgotten, now);
            self.tcp_neighbor(key.interface, key.address, Resolution::Pending, now);
        }
    }

    fn addresses_changed(&mut self) {
        self.paths_epoch = self.paths_epoch.wrapping_add(1);
        let all = self.interfaces.iter().flat_map(|(_, i)| i.addresses.iter());
        self.own_addresses = all.fold(0, |bits, cidr| bits | address_bit(cidr.address));
    }

    /// Adds a route, or replaces the one with the same destination, gateway and interface.
    pub fn add_route(&mut self, route: Route) -> Result<(), Error> {
        self.interface(route.interface).ok_or(Error::DeviceGone)?;
        self.routes.add(route)?;
        self.paths_epoch = self.paths_epoch.wrapping_add(1);
        Ok(())
    }

    /// Makes `gateway` the default router of its family on this interface, instead of the one
    /// before. Other interfaces' routers stay (H174).
    pub fn set_gateway(&mut self, id: InterfaceId, gateway: IpAddr) -> Result<(), Error> {
        let destination = if gateway.is_ipv4() { Cidr::ANY_V4 } else { Cidr::ANY_V6 };
        let route = Route { destination, gateway: Some(gateway), interface: id, metric: 0 };
        self.interface(id).ok_or(Error::DeviceGone)?;
        self.routes.remove(|r| (r.destination, r.interface) == (destination, id));
        self.add_route(route)
    }

    /// Removes a route; false if there is none with its destination, gateway and interface.
    pub fn remove_route(&mut self, route: Route) -> bool {
        let names = |r: &Route| (r.destination, r.gateway, r.interface);
        self.paths_epoch = self.paths_epoch.wrapping_add(1);
        self.routes.remove(|r| names(r) == names(&route)) > 0
    }

    /// The routing table, without the networks of the interfaces' own addresses.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// A number that changes whenever [`path`](Stack::path) may give another answer than before.
    pub const fn paths_epoch(&self) -> u32 {
        self.paths_epoch
    }

    /// Is it an address of this stack, on any interface? With a loopback interface all of 127/8 is
    /// (RFC 1122 §3.2.1.3(g)).
    pub fn is_ours(&self, address: IpAddr) -> bool {
        // Every packet's source is looked up here, and hardly any is ours.
        if self.own_addresses & address_bit(address) != 0
            && self.interfaces.iter().any(|(_, i)| i.addresses.has(address))
        {
            return true;
        }
        matches!(address, IpAddr::V4(a) if a.is_loopback()) && self.loopback.is_some()
    }

    /// The way to `destination`, by `zone` if one is named (a link-local destination needs it when
    /// there are several interfaces, H171), from `source` if one is given.
    ///
    /// [`Error::NetUnreachable`]: no route. [`Error::AddrNotAvailable`]: `source` is not ours.
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
        let (interface, next_hop) = self.route(destination, zone, source)?;
        let known = self.interface(interface).ok_or(Error::NetUnreachable)?;
        let source = match source {
            // DHCP sends before it has an address.
            Some(own) if own.is_unspecified() && ip::is_group(destination) => own,
            Some(own) if self.is_ours(own) => own,
            Some(_) => return Err(Error::AddrNotAvailable),
            None if known.is_loopback => destination,
            None => self.source_for(&known.addresses, destination, next_hop)?,
        };
        // H170, H065: loopback addresses stay inside.
        if source.is_loopback() && !known.is_loopback {
            return Err(Error::NetUnreachable);
        }
        Ok(Path { interface, source, next_hop, mtu: known.mtu })
    }

    /// A source on the outgoing interface, or for IPv4 on any (the weak host model).
    fn source_for(&self, own: &Addresses, destination: IpAddr, next_hop: IpAddr) -> Result<IpAddr, Error> {
        let elsewhere = || {
            let others = self.interfaces.iter().filter(|(_, i)| !i.is_loopback);
            let mut sources = others.filter_map(|(_, i)| i.addresses.source_for(destination, next_hop));
            sources.find(|s| !matches!(s, IpAddr::V6(a) if ip::is_link_local(*a)))
        };
        own.source_for(destination, next_hop).or_else(elsewhere).ok_or(Error::NetUnreachable)
    }

    /// Interface and next hop for a destination.
    fn route(
        &self,
        destination: IpAddr,
        zone: Option<InterfaceId>,
        source: Option<IpAddr>,
    ) -> Result<(InterfaceId, IpAddr), Error> {
        if self.is_ours(destination) || destination.is_loopback() {
            return Ok((self.loopback.ok_or(Error::NetUnreachable)?, destination));
        }
        if ip::is_group(destination) || matches!(destination, IpAddr::V6(a) if ip::is_link_local(a)) {
            return Ok((self.link_for(destination, zone, source)?, destination));
        }
        let on_zone = |id: InterfaceId| zone.is_none_or(|zone| zone == id);
        let routed = self.routes.lookup(destination, |r| on_zone(r.interface));
        let links = self.interfaces().filter(|(id, i)| on_zone(*id) && !i.is_loopback);
        let networks = links.flat_map(|(id, i)| i.addresses.iter().map(move |c| (id, c)));
        let on_link =
            networks.filter(|(_, c)| c.contains(destination)).min_by_key(|(_, c)| 128 - c.prefix_len);
        match (on_link, routed) {
            (Some((_, c)), Some(r)) if r.destination.prefix_len > c.prefix_len => Ok(hop(r, destination)),
            (Some((id, c)), _) => Ok((id, broadcast_or(c, destination))),
            (None, Some(r)) => Ok(hop(r, destination)),
            (None, None) => Err(Error::NetUnreachable),
        }
    }

    /// The link for a destination that says nothing about it: the named one, the one of the
    /// source, or the only one.
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
        let mut links = self.interfaces().filter(|(_, i)| !i.is_loopback);
        if let Some(source) = source.filter(|s| !s.is_unspecified()) {
            let owner = links.find(|(_, i)| i.addresses.has(source));
            return owner.map(|(id, _)| id).ok_or(Error::AddrNotAvailable);
        }
        let (first, _) = links.next().ok_or(Error::NetUnreachable)?;
        match (destination, links.next()) {
            (IpAddr::V6(_), Some(_)) => {
                Err(Error::InvalidInput("with several interfaces a link-local address needs its zone"))
            }
            _ => Ok(first),
        }
    }

    /// Counts a drop and tells of it.
    pub(crate) fn count_drop(&mut self, drop: Drop, now: Instant) {
        self.counters.count_drop(drop);
        self.events.emit(now, Event::Dropped(drop));
    }
}

/// One of 64 bits that stands for an address: if it is not set among ours, neither is the address.
fn address_bit(address: IpAddr) -> u64 {
    let folded = match address {
        IpAddr::V4(a) => u64::from(a.to_bits()),
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
        (Some(a), _, IpAddr::V4(to)) | (_, Some(a), IpAddr::V4(to)) if a == to => {
            core::net::Ipv4Addr::BROADCAST.into()
        }
        _ => destination,
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tcp_tests;
#[cfg(all(test, feature = "alloc"))]
mod tests;
