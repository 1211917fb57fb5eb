//! Clients of DHCP on our interfaces: what they plan is carried out here.

use core::net::{IpAddr, Ipv4Addr};

use super::Stack;
use super::clients::ClientMemory;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::config::dhcp::{DhcpClient, DhcpConfig, DhcpState, Lease, MESSAGE_LEN, Outgoing, Plan};
use crate::config::link_local::{self, LinkLocalStep};
use crate::counters::Drop;
use crate::error::Error;
use crate::events::Event;
use crate::ip::addresses::{Cidr, Lifetimes, Origin};
use crate::ip::routes::Route;
use crate::ip::{InterfaceId, PacketMeta, Path};
use crate::link::neighbor::Purpose;
use crate::stack::Assignment;
use crate::time::{Duration, Instant, earlier};
use crate::wire::{
    ArpOperation, ArpPacket, DHCP_CLIENT, DHCP_SERVER, DhcpMessage, IpHeader, UdpHeader, option, protocol,
};

/// The metric of a lease's routes: those that the program adds go first, and are never taken for them (H174).
pub const DHCP_METRIC: u16 = 100;
/// A lease below this is counted: its server is mistaken, or being tested.
const SHORT_LEASE: Duration = Duration::from_secs(60);
/// A message that came in several pieces is put together up to here; we say that we take less.
const JOINED_LEN: usize = 1024;

/// Where a client is kept.
pub type DhcpMemory<'a> = ClientMemory<'a, DhcpClient>;

/// When a client, or the link-local address that stands in for its lease, has something to do.
pub(super) fn deadline(client: &DhcpClient) -> Option<Instant> {
    earlier(client.deadline(), earlier(client.fallback_at, client.link_local.deadline()))
}

impl<'a> Stack<'a> {
    /// Configures an interface by DHCP from now on: address, routes, MTU and whatever else the [lease](Self::dhcp) says.
    /// Its default routes have the metric [`DHCP_METRIC`]. Addresses that the interface has stay.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: it is the loopback, has a client
    /// already, or the configuration can't be sent. [`Error::AddrNotAvailable`]: INFORM without an IPv4 address.
    pub fn dhcp_start(
        &mut self,
        id: InterfaceId,
        config: DhcpConfig,
        mut memory: DhcpMemory<'a>,
        now: Instant,
    ) -> Result<(), Error> {
        config.check()?;
        let interface = self.interface(id).ok_or(Error::DeviceGone)?;
        if interface.is_loopback || self.dhcp.get(id).is_some() {
            return Err(Error::InvalidInput("the loopback, or an interface with a DHCP client"));
        }
        let own = self.addresses.of(id).find_map(|a| match a.cidr.address {
            IpAddr::V4(own) => Some(own),
            IpAddr::V6(_) => None,
        });
        if config.inform && own.is_none() {
            return Err(Error::AddrNotAvailable);
        }
        let about = (interface.capabilities.mac, id.zone(), interface.mtu);
        let is_up = interface.is_up;
        memory.client_mut().set_up(config, about, own.unwrap_or(Ipv4Addr::UNSPECIFIED));
        self.dhcp.add(id, memory);
        if is_up {
            self.dhcp_link(id, true, now);
        }
        Ok(())
    }

    /// Gives the lease back (RFC 2131 §4.4.6). Its address goes a second later, and the interface is not configured any
    /// more; it has its client until it is removed.
    pub fn dhcp_release(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        let client = self.dhcp.get_mut(id).ok_or(Error::DeviceGone)?;
        let plan = client.release(now, &mut self.random);
        client.fallback_at = None;
        let step = client.link_local.stop();
        self.dhcp_carry_out(id, plan, now);
        self.link_local_step(id, step, now);
        Ok(())
    }

    /// Ends the client without a word to the server, and takes the address of its lease away: for another client with
    /// another configuration, which will be given the same again.
    ///
    /// [`Error::DeviceGone`]: there is no such interface, or it has no client.
    pub fn dhcp_stop(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        let client = self.dhcp.get_mut(id).ok_or(Error::DeviceGone)?;
        let step = client.link_local.stop();
        let bound = client.lease().filter(|_| !client.config().inform).map(Lease::address);
        self.link_local_step(id, step, now);
        if let Some(IpAddr::V4(address)) = bound.map(|cidr| cidr.address) {
            self.lease_ended(id, address, now);
        }
        self.dhcp.remove(id);
        Ok(())
    }

    /// The client of an interface, with its state and lease.
    pub fn dhcp(&self, id: InterfaceId) -> Option<&DhcpClient> {
        self.dhcp.get(id)
    }

    /// The link came up or went down.
    pub(super) fn dhcp_link(&mut self, id: InterfaceId, is_up: bool, now: Instant) {
        let Some(client) = self.dhcp.get_mut(id) else { return };
        client.on_link(is_up, now, &mut self.random);
        client.fallback_at = None;
        if is_up && client.lease().is_none() && !client.config().inform && !client.link_local.is_on() {
            client.fallback_at = client.config().link_local_after.map(|after| now + after);
        }
    }

    /// What is due.
    pub(super) fn dhcp_timers(&mut self, now: Instant) {
        let is_due = |client: &DhcpClient| deadline(client).is_some_and(|at| at <= now);
        while let Some((id, client)) = self.dhcp.find(is_due) {
            if client.fallback_at.is_some_and(|at| at <= now) {
                client.fallback_at = None;
                client.link_local.start(client.mac(), now, &mut self.random);
                self.events.emit(now, Event::NoLease(id));
                self.configuration_changed();
            } else if client.deadline().is_some_and(|at| at <= now) {
                let plan = client.on_timer(now, &mut self.random);
                self.dhcp_carry_out(id, plan, now);
            } else {
                let step = client.link_local.on_timer(now, &mut self.random);
                self.link_local_step(id, step, now);
            }
        }
    }

    fn dhcp_carry_out(&mut self, id: InterfaceId, plan: Plan, now: Instant) {
        if plan.cut_off {
            self.count_drop(Drop::DhcpCutOff, now);
        }
        if let Some(address) = plan.unbind {
            self.lease_ended(id, address, now);
        }
        if plan.bind {
            self.lease_bound(id, now);
        }
        if let Some(address) = plan.probe {
            self.arp_probe(id, address, now);
        }
        if let Some(message) = plan.send {
            self.dhcp_send(id, &message, now);
        }
    }

    /// A lease began, or goes on.
    fn lease_bound(&mut self, id: InterfaceId, now: Instant) {
        let Some(client) = self.dhcp.get_mut(id) else { return };
        client.fallback_at = None;
        let step = client.link_local.stop();
        let inform = client.config().inform;
        let Some(lease) = client.lease() else { return };
        let (cidr, expires) = (lease.address(), lease.expires());
        if lease.duration().is_some_and(|d| d < SHORT_LEASE) {
            self.counters.count_short_lease();
        }
        if !inform {
            self.lease_mtu(id, now);
            self.lease_address(id, cidr, expires.unwrap_or(Instant::FAR_FUTURE), now);
            self.lease_routes(id, now);
        }
        self.events.emit(now, Event::Leased(id, cidr.address));
        self.configuration_changed();
        self.link_local_step(id, step, now);
    }

    /// An address that the program has given too is the program's, and stays when the lease ends (H168).
    fn lease_address(&mut self, id: InterfaceId, cidr: Cidr, until: Instant, now: Instant) {
        if self.addresses.get(id, cidr.address).is_some_and(|a| a.origin != Origin::Dhcpv4) {
            return;
        }
        let lifetimes = Lifetimes { preferred_until: until, valid_until: until };
        let wanted = Assignment { lifetimes, ..Assignment::forever(cidr, Origin::Dhcpv4) };
        if self.assign_address(id, wanted, now).is_err() {
            self.count_drop(Drop::DhcpAddress, now);
        }
    }

    fn lease_mtu(&mut self, id: InterfaceId, now: Instant) {
        let lease = self.dhcp.get(id).and_then(DhcpClient::lease);
        let told = lease.and_then(Lease::mtu);
        if told.is_none() && lease.is_some_and(|lease| lease.option(option::MTU).is_some()) {
            self.count_drop(Drop::DhcpMtu, now);
        }
        let Some(interface) = self.interfaces.get_mut(id.0) else { return };
        let mtu = told.unwrap_or(u16::MAX);
        if core::mem::replace(&mut interface.lease_mtu, mtu) != mtu {
            self.routes_changed();
        }
    }

    /// Makes the table have the lease's routes and no other of ours. What is there already stays untouched.
    fn lease_routes(&mut self, id: InterfaceId, now: Instant) {
        let Some(lease) = self.dhcp.get(id).and_then(DhcpClient::lease) else { return };
        let ours = |r: &Route| r.interface == id && r.metric == DHCP_METRIC;
        let stale = |r: &Route| ours(r) && !routes(lease, id).any(|wanted| wanted == *r);
        let mut changed = self.routes.remove(stale) > 0;
        let (mut bad, mut full) = (0, 0);
        for route in routes(lease, id) {
            let same = |r: &Route| {
                (r.destination, r.gateway, r.interface) == (route.destination, route.gateway, route.interface)
            };
            match route.gateway {
                Some(IpAddr::V4(gateway)) if !reaches(lease, gateway) => bad += 1,
                _ if self.routes.iter().any(same) => {}
                _ => match self.routes.add(route) {
                    Ok(()) => changed = true,
                    Err(_) => full += 1,
                },
            }
        }
        (0..bad).for_each(|_| self.count_drop(Drop::DhcpRoute, now));
        (0..full).for_each(|_| self.count_drop(Drop::DhcpRouteTableFull, now));
        if changed {
            self.routes_changed();
        }
    }

    /// The lease is over. Connections from its address end with [`Error::AddrNotAvailable`].
    fn lease_ended(&mut self, id: InterfaceId, address: Ipv4Addr, now: Instant) {
        let address = IpAddr::V4(address);
        self.routes.remove(|r| r.interface == id && r.metric == DHCP_METRIC);
        if let Some(interface) = self.interfaces.get_mut(id.0) {
            interface.lease_mtu = u16::MAX;
        }
        self.routes_changed();
        if self.addresses.get(id, address).is_some_and(|a| a.origin == Origin::Dhcpv4) {
            // It is there.
            let _ = self.remove_address(id, address, now);
        }
        if let Some(client) = self.dhcp.get_mut(id).filter(|client| client.state() != DhcpState::Off) {
            client.fallback_at = client.config().link_local_after.map(|after| now + after);
        }
        self.events.emit(now, Event::LeaseEnded(id, address));
        self.configuration_changed();
    }

    fn link_local_step(&mut self, id: InterfaceId, step: Option<LinkLocalStep>, now: Instant) {
        match step {
            None => {}
            Some(LinkLocalStep::Probe(address)) => self.arp_probe(id, address, now),
            Some(LinkLocalStep::Bind(address)) => {
                let cidr = Cidr { address: address.into(), prefix_len: link_local::PREFIX_LEN };
                if self.assign_address(id, Assignment::forever(cidr, Origin::LinkLocal), now).is_err() {
                    self.count_drop(Drop::DhcpAddress, now);
                }
                self.configuration_changed();
            }
            Some(LinkLocalStep::Unbind(address)) => {
                // The table may have had no place for it.
                let _ = self.remove_address(id, address.into(), now);
                self.configuration_changed();
            }
        }
    }

    /// Asks whether somebody has an address, from nobody.
    //= rfc5227#2.1.1
    fn arp_probe(&mut self, id: InterfaceId, address: Ipv4Addr, now: Instant) {
        self.arp_send(id, ArpOperation::Request, (Ipv4Addr::UNSPECIFIED, address), None, now);
    }

    /// An ARP packet may show that an address that is being probed is somebody's, or that somebody else probes for it.
    pub(super) fn dhcp_arp(&mut self, id: InterfaceId, arp: &ArpPacket, now: Instant) {
        let Some(client) = self.dhcp.get_mut(id) else { return };
        if arp.sender_mac == client.mac() {
            return;
        }
        let is_probe = arp.sender.is_unspecified() && arp.operation == ArpOperation::Request;
        let address = if is_probe { arp.target } else { arp.sender };
        let plan = client.on_conflict(address, now, &mut self.random);
        let concerns = !is_probe || client.link_local.probes(address);
        let step = match concerns {
            true => client.link_local.on_conflict(address, now, &mut self.random),
            false => None,
        };
        if plan != Plan::default() {
            self.events.emit(now, Event::AddressConflict(id, address.into(), arp.sender_mac));
            self.dhcp_carry_out(id, plan, now);
        }
        self.link_local_step(id, step, now);
    }

    fn dhcp_send(&mut self, id: InterfaceId, message: &Outgoing, now: Instant) {
        let Some(client) = self.dhcp.get(id) else { return };
        let mut buf = [0; MESSAGE_LEN];
        // An answer to an address that is not ours yet is heard only while there is no other.
        let len = client.write(message, self.addresses.has_family(id, true), &mut buf);
        let source = IpAddr::V4(message.own);
        let destination = IpAddr::V4(message.to.unwrap_or(Ipv4Addr::BROADCAST));
        let sent = self.dhcp_path(id, source, destination).and_then(|path| {
            let ip = IpHeader::new(source, destination, protocol::UDP, 0);
            let ports = (DHCP_CLIENT, DHCP_SERVER);
            let header = UdpHeader::emit(ports, source, destination, Bytes::new(&[&buf[..len]]));
            let payload: [&[u8]; 1] = [&buf[..len]];
            self.try_send(
                &path,
                (Purpose::Own, Need::Control),
                &ip,
                (&header, Bytes::new(&payload)),
                None,
                now,
            )
        });
        if let Err(drop) = sent {
            self.count_drop(drop, now);
        }
    }

    fn dhcp_path(&self, id: InterfaceId, source: IpAddr, destination: IpAddr) -> Result<Path, Drop> {
        if destination == IpAddr::V4(Ipv4Addr::BROADCAST) {
            let mtu = self.interface(id).ok_or(Drop::InterfaceGone)?.mtu;
            return Ok(Path { interface: id, source, next_hop: destination, mtu });
        }
        self.path(destination, Some(id), Some(source)).map_err(|_| Drop::NoRoute)
    }

    /// A datagram for the port of DHCP's clients. `None`: the interface has no client. An error: its client did not take
    /// it, and it may be for a socket.
    pub(super) fn dhcp_input(
        &mut self,
        meta: &PacketMeta,
        payload: Bytes<'_>,
        now: Instant,
    ) -> Option<Result<(), Drop>> {
        self.dhcp.get(meta.interface)?;
        Some(match payload.front().len() == payload.len() {
            true => self.dhcp_message(meta.interface, payload.front(), now),
            false => self.dhcp_joined(meta.interface, payload, now),
        })
    }

    #[inline(never)]
    fn dhcp_joined(&mut self, id: InterfaceId, payload: Bytes<'_>, now: Instant) -> Result<(), Drop> {
        let mut buf = [0; JOINED_LEN];
        if payload.len() > buf.len() {
            return Err(Drop::DhcpTooLong);
        }
        let len = payload.copy_to(&mut buf);
        self.dhcp_message(id, &buf[..len], now)
    }

    fn dhcp_message(&mut self, id: InterfaceId, message: &[u8], now: Instant) -> Result<(), Drop> {
        let message = DhcpMessage::parse(message)?;
        let client = self.dhcp.get_mut(id).ok_or(Drop::DhcpForeign)?;
        let plan = client.on_packet(&message, now, &mut self.random)?;
        self.dhcp_carry_out(id, plan, now);
        Ok(())
    }
}

/// The routes that a lease means. Where there are classless ones, its routers don't count.
//= rfc3442
fn routes(lease: &Lease, id: InterfaceId) -> impl Iterator<Item = Route> + '_ {
    let is_classless = lease.routes().next().is_some();
    let route = move |destination: Cidr, gateway: Ipv4Addr| Route {
        destination,
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        interface: id,
        metric: DHCP_METRIC,
    };
    let default = lease.routers().filter(move |_| !is_classless);
    let default = default.map(move |router| route(Cidr::ANY_V4, router));
    lease.routes().map(move |(to, by)| route(to, by)).chain(default)
}

/// Is a router on the link of the lease: in its network, or in one that it says is on the link?
fn reaches(lease: &Lease, router: Ipv4Addr) -> bool {
    let on_link = |(to, by): (Cidr, Ipv4Addr)| by.is_unspecified() && to.contains(router.into());
    IpAddr::V4(router) != lease.address().address
        && (lease.address().contains(router.into()) || lease.routes().any(on_link))
}
