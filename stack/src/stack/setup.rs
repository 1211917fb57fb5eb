//! Interfaces and routes: how they come and go.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses::Assignment;
use super::{Interface, Resolution, Stack};
use crate::counters::Drop;
use crate::device::Capabilities;
use crate::error::Error;
use crate::events::Event;
use crate::ip::addresses::{Cidr, Origin};
use crate::ip::routes::{Route, Routes};
use crate::ip::{self, InterfaceId};
use crate::link::neighbor::NeighborKey;
use crate::time::Instant;

impl Stack<'_> {
    /// Adds an interface for a device. It gets a link-local IPv6 address formed from its hardware
    /// address, if its MTU allows IPv6.
    ///
    /// Refused are hardware addresses that no station can have (H215) and MTUs below 68 bytes
    /// (RFC 791 §3.2); a larger MTU than the pool's blocks can carry in one frame is clamped. With an error
    /// everything is as it was before.
    pub fn add_interface(&mut self, capabilities: Capabilities) -> Result<InterfaceId, Error> {
        if !capabilities.mac.is_unicast() {
            return Err(Error::InvalidInput("the device's hardware address is not one station's"));
        }
        let id = self.insert_interface(capabilities, false)?;
        if cfg!(not(feature = "ipv6")) {
            return Ok(id);
        }
        let address = ip::link_local_from(capabilities.mac).into();
        self.with_addresses(id, Origin::LinkLocal, &[Cidr { address, prefix_len: 64 }])
    }

    /// Adds an interface for a VLAN, whose frames come and go over the device of another interface. Who drives
    /// the stack gives it the frames with this tag, by the new interface's name.
    #[cfg(feature = "vlan")]
    pub fn add_vlan_interface(
        &mut self,
        capabilities: Capabilities,
        vlan: crate::device::vlan::VlanId,
    ) -> Result<InterfaceId, Error> {
        let id = self.add_interface(capabilities)?;
        if let Some(interface) = self.interfaces.get_mut(id.0) {
            interface.vlan = Some(vlan);
        }
        Ok(id)
    }

    /// Adds the interface of a [`Loopback`](crate::device::loopback::Loopback) device, with
    /// 127.0.0.1/8 and, if its MTU allows IPv6, ::1/128. Packets to any of the stack's own addresses go
    /// through it (H175). With an error everything is as it was before.
    pub fn add_loopback(&mut self, capabilities: Capabilities) -> Result<InterfaceId, Error> {
        if self.loopback.is_some() {
            return Err(Error::InvalidInput("there is a loopback interface already"));
        }
        let id = self.insert_interface(capabilities, true)?;
        self.loopback = Some(id);
        let v4 = Cidr { address: Ipv4Addr::LOCALHOST.into(), prefix_len: 8 };
        let v6 = Cidr { address: Ipv6Addr::LOCALHOST.into(), prefix_len: 128 };
        self.with_addresses(id, Origin::Manual, &[v4, v6])
    }

    /// Gives a new interface those of its first addresses whose family it carries, or takes it away again.
    fn with_addresses(
        &mut self,
        id: InterfaceId,
        origin: Origin,
        addresses: &[Cidr],
    ) -> Result<InterfaceId, Error> {
        let carries_ipv6 = self.interface(id).is_some_and(Interface::carries_ipv6);
        let mut carried = addresses.iter().filter(|a| carries_ipv6 || a.address.is_ipv4());
        let result =
            carried.try_for_each(|a| self.assign_address(id, Assignment::forever(*a, origin), Instant::ZERO));
        if result.is_err() {
            self.remove_interface(id, Instant::ZERO)?;
        }
        result.map(|()| id)
    }

    fn insert_interface(&mut self, capabilities: Capabilities, loopback: bool) -> Result<InterfaceId, Error> {
        let interface = Interface::new(capabilities, loopback, self.pool.block_len())?;
        let full = Error::InvalidInput("the stack has as many interfaces as it can hold");
        let key = self.interfaces.insert(interface).map_err(|_| full)?;
        self.paths_epoch = self.paths_epoch.wrapping_add(1);
        self.events.emit(Instant::ZERO, Event::InterfaceAdded(InterfaceId(key)));
        Ok(InterfaceId(key))
    }

    /// Removes an interface with its addresses, routes, neighbours and waiting packets (H176). TCP
    /// connections through it end with [`Error::DeviceGone`].
    // Its room on the call stack is not that of every turn.
    #[inline(never)]
    pub fn remove_interface(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        self.interface(id).ok_or(Error::DeviceGone)?;
        self.tcp_device_gone(id, now);
        self.forget_neighbors(now, |key| key.interface == id);
        #[cfg(feature = "raw")]
        self.raw.wake_all();
        #[cfg(feature = "multicast")]
        self.datagrams.groups.forget(id);
        #[cfg(feature = "fragments")]
        self.reassembly.forget(id, &mut self.pool);
        self.routes.remove(|route| route.interface == id);
        self.addresses.remove(|address| address.interface == id);
        #[cfg(feature = "dhcpv4")]
        self.dhcp.remove(id);
        #[cfg(feature = "dhcpv6")]
        self.dhcpv6.remove(id);
        #[cfg(feature = "slaac")]
        {
            self.learnt.remove(|route| route.interface == id);
            self.resolvers.retain(|interface, _| interface != id);
        }
        if let Some(mut interface) = self.interfaces.remove(id.0.index) {
            interface.writers.wake(&mut self.datagrams.woken);
            self.give_up(core::mem::take(&mut interface.queue), Drop::InterfaceGone, now);
        }
        self.wake_bound();
        self.loopback = self.loopback.filter(|loopback| *loopback != id);
        self.addresses_changed(id);
        self.events.emit(now, Event::InterfaceRemoved(id));
        Ok(())
    }

    /// The interface's link has come up, or the machine has been somewhere else meanwhile (paused, moved, cloned):
    /// neighbours are told of its addresses again, and a DHCP client asks whether its lease holds (RFC 2131 §4.4.2).
    pub fn link_up(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        let interface = self.interfaces.get_mut(id.0).ok_or(Error::DeviceGone)?;
        interface.is_up = true;
        if !interface.is_loopback {
            interface.announcements.start(now);
        }
        self.link_changed(id, true, now);
        #[cfg(feature = "multicast")]
        [true, false].into_iter().for_each(|is_v4| self.tell_groups_anew(id, is_v4, now));
        #[cfg(feature = "mdns")]
        self.mdns_link(now);
        #[cfg(feature = "slaac")]
        self.autoconf_start(id, now);
        Ok(())
    }

    /// The interface's link has gone down. What it is configured with stays: see [`link_up`](Self::link_up).
    pub fn link_down(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        self.interfaces.get_mut(id.0).ok_or(Error::DeviceGone)?.is_up = false;
        #[cfg(feature = "dhcpv6")]
        self.dhcpv6_down(id, now);
        self.link_changed(id, false, now);
        Ok(())
    }

    fn link_changed(&mut self, id: InterfaceId, is_up: bool, now: Instant) {
        #[cfg(feature = "dhcpv4")]
        self.dhcp_link(id, is_up, now);
        self.events.emit(now, if is_up { Event::LinkUp(id) } else { Event::LinkDown(id) });
        self.configuration_changed();
    }

    /// Whoever waits for an interface to be configured, or for its link, looks.
    pub(super) fn configuration_changed(&mut self) {
        self.attendants.wake(&mut self.tcp.woken);
    }

    /// Has an interface beside the loopback an address that is good beyond its link?
    pub fn is_configured(&self) -> bool {
        self.addresses.iter().any(|a| {
            let is_beyond = match a.cidr.address() {
                IpAddr::V4(a) => !a.is_loopback() && !a.is_link_local(),
                IpAddr::V6(a) => !a.is_loopback() && !ip::is_link_local(a),
            };
            is_beyond && a.is_usable()
        })
    }

    /// Forgets neighbours and what waits for them (H110, H119). Connections that wait for one ask
    /// again, with the source that they have now.
    pub(super) fn forget_neighbors(&mut self, now: Instant, which: impl Fn(&NeighborKey) -> bool) {
        while let Some((key, waiting)) = self.neighbors.forget(&self.pool, &which) {
            self.give_up(waiting, Drop::NeighborForgotten, now);
            self.tcp_neighbor(key, Resolution::Pending, now);
        }
    }

    /// What sockets are bound to may be gone: whoever waits on one looks (H194).
    pub(super) fn wake_bound(&mut self) {
        self.wake_datagrams();
        self.tcp.wake_acceptors();
    }

    /// Adds a route, or replaces the one with the same destination, gateway and interface. The host bits
    /// of the destination don't count: `10.0.0.0/0` is the default route.
    pub fn add_route(&mut self, route: Route) -> Result<(), Error> {
        self.interface(route.interface).ok_or(Error::DeviceGone)?;
        self.routes.add(route)?;
        self.routes_changed();
        Ok(())
    }

    /// The way to any destination may be another: who waits for room on the old one tries again (H190),
    /// and so do connections that had none.
    pub(super) fn routes_changed(&mut self) {
        self.paths_epoch = self.paths_epoch.wrapping_add(1);
        self.tcp_look_again();
        self.interfaces.for_each_mut(|interface| interface.writers.wake(&mut self.datagrams.woken));
    }

    /// Makes `gateway` the default router of its family on this interface, instead of the one
    /// before. Other interfaces' routers stay (H174), and so does the one before if this can't be one.
    pub fn set_gateway(&mut self, id: InterfaceId, gateway: IpAddr) -> Result<(), Error> {
        let destination = if gateway.is_ipv4() { Cidr::ANY_V4 } else { Cidr::ANY_V6 };
        let route = Route { destination, gateway: Some(gateway), interface: id, metric: 0 };
        self.interface(id).ok_or(Error::DeviceGone)?;
        Routes::check(route)?;
        self.routes.remove(|r| (r.destination, r.interface) == (destination, id));
        self.add_route(route)
    }

    /// Removes a route; false if there is none with its destination, gateway and interface.
    pub fn remove_route(&mut self, route: Route) -> bool {
        let names = |r: &Route| (r.destination.masked(), r.gateway, r.interface);
        let removed = self.routes.remove(|r| names(r) == names(&route)) > 0;
        self.routes_changed();
        removed
    }

    /// The routing table, without the networks of the interfaces' own addresses.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }
}
