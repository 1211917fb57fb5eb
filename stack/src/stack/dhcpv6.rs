//! Clients of DHCP for IPv6 on our interfaces: what they plan is carried out here.

use core::net::{IpAddr, Ipv6Addr};

use super::clients::ClientMemory;
use super::{Assignment, Stack};
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::config::dhcpv6::{Dhcpv6Client, Dhcpv6Config, MESSAGE6_LEN, Plan6};
use crate::counters::Drop;
use crate::error::Error;
use crate::events::Event;
use crate::ip::addresses::{Address, Cidr, Origin};
use crate::ip::{InterfaceId, PacketMeta, Path};
use crate::link::neighbor::Purpose;
use crate::time::Instant;
use crate::wire::{DHCPV6_CLIENT, DHCPV6_SERVER, Dhcpv6Kind, Dhcpv6Message, IpHeader, UdpHeader, protocol};

/// ff02::1:2, every server and relay on the link (RFC 8415 §7.1).
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// A message that came in several pieces is put together up to here.
const JOINED_LEN: usize = 1024;

/// Where a client is kept.
pub type Dhcpv6Memory<'a> = ClientMemory<'a, Dhcpv6Client>;

impl<'a> Stack<'a> {
    /// Configures IPv6 of an interface by DHCP from now on, as `config` says. It asks from the interface's link-local address,
    /// once that can be used; [`Dhcpv6Mode::ByRouter`](crate::dhcpv6::Dhcpv6Mode::ByRouter) needs
    /// [`configure_ipv6`](Stack::configure_ipv6), too. Its addresses name no network on the link (RFC 8415 §18.2.10.1): that is
    /// what routers say.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: it is the loopback, too small for IPv6, has a
    /// client already, or the configuration can't be sent.
    pub fn dhcpv6_start(
        &mut self,
        id: InterfaceId,
        config: Dhcpv6Config,
        mut memory: Dhcpv6Memory<'a>,
        now: Instant,
    ) -> Result<(), Error> {
        config.check()?;
        let interface = self.interface(id).ok_or(Error::DeviceGone)?;
        if interface.is_loopback || !interface.carries_ipv6() || self.dhcpv6.get(id).is_some() {
            return Err(Error::InvalidInput("no IPv6, or an interface with a DHCPv6 client"));
        }
        memory.client_mut().set_up(config, interface.capabilities.mac, id.zone());
        self.dhcpv6.add(id, memory);
        self.dhcpv6_ready(id, now);
        Ok(())
    }

    /// Gives the addresses back (RFC 8415 §18.2.7): they go at once. The interface has its client until it is removed.
    ///
    /// [`Error::DeviceGone`]: there is no such interface, or it has no client.
    pub fn dhcpv6_release(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        let client = self.dhcpv6.get_mut(id).ok_or(Error::DeviceGone)?;
        let plan = client.release(now, &mut self.random);
        self.dhcpv6_carry_out(id, plan, now);
        Ok(())
    }

    /// The client of an interface, with its state, addresses and options.
    pub fn dhcpv6(&self, id: InterfaceId) -> Option<&Dhcpv6Client> {
        self.dhcpv6.get(id)
    }

    /// The link is down.
    pub(super) fn dhcpv6_down(&mut self, id: InterfaceId, now: Instant) {
        if let Some(client) = self.dhcpv6.get_mut(id) {
            client.on_link(false, now, &mut self.random);
        }
    }

    /// If the link is up and its link-local address can be used, the client begins, or begins again.
    pub(super) fn dhcpv6_ready(&mut self, id: InterfaceId, now: Instant) {
        if !self.interface(id).is_some_and(|i| i.is_up) || self.dhcpv6_source(id).is_none() {
            return;
        }
        if let Some(client) = self.dhcpv6.get_mut(id) {
            client.on_link(true, now, &mut self.random);
            self.dhcpv6_router(id, now);
        }
    }

    /// What routers say of DHCP may be other than before.
    pub(super) fn dhcpv6_router(&mut self, id: InterfaceId, now: Instant) {
        let Some(autoconf) = self.interface(id).map(|i| &i.autoconf) else { return };
        let (managed, other) = (autoconf.managed, autoconf.other);
        if let Some(client) = self.dhcpv6.get_mut(id) {
            client.on_router(managed, other, now, &mut self.random);
        }
    }

    fn dhcpv6_source(&self, id: InterfaceId) -> Option<Ipv6Addr> {
        self.addresses.of(id).filter(|a| a.is_usable()).find_map(|a| match a.cidr.address {
            IpAddr::V6(own) if own.is_unicast_link_local() => Some(own),
            _ => None,
        })
    }

    pub(super) fn dhcpv6_timers(&mut self, now: Instant) {
        let is_due = |client: &Dhcpv6Client| client.deadline().is_some_and(|at| at <= now);
        while let Some((id, client)) = self.dhcpv6.find(is_due) {
            let plan = client.on_timer(now, &mut self.random);
            self.dhcpv6_carry_out(id, plan, now);
        }
    }

    /// Duplicate address detection has found that somebody else has an address of the lease.
    pub(super) fn dhcpv6_duplicate(&mut self, id: InterfaceId, address: Ipv6Addr, now: Instant) {
        if let Some(client) = self.dhcpv6.get_mut(id) {
            let plan = client.on_duplicate(address, now, &mut self.random);
            self.dhcpv6_carry_out(id, plan, now);
        }
    }

    fn dhcpv6_carry_out(&mut self, id: InterfaceId, plan: Plan6, now: Instant) {
        if let Some(drop) = plan.drop {
            self.count_drop(drop, now);
        }
        for address in plan.removed {
            let address = IpAddr::V6(address);
            let is_leased = |a: &Address| a.origin == Origin::Dhcpv6;
            if self.addresses.get(id, address).is_some_and(is_leased) {
                // It is there.
                let _ = self.remove_address(id, address, now);
            }
            self.events.emit(now, Event::LeaseEnded(id, address));
        }
        if plan.bind {
            self.dhcpv6_bound(id, now);
        }
        if plan.told {
            self.events.emit(now, Event::ConfigurationChanged(id));
            self.configuration_changed();
        }
        if let Some(kind) = plan.send {
            self.dhcpv6_send(id, kind, now);
        }
    }

    /// A lease began, or goes on. An address that the program or a prefix gave, too, stays theirs.
    fn dhcpv6_bound(&mut self, id: InterfaceId, now: Instant) {
        let mut at = 0;
        while let Some(leased) = self.dhcpv6.get(id).and_then(|c| c.addresses().get(at)).copied() {
            at += 1;
            let cidr = Cidr { address: leased.address.into(), prefix_len: 128 };
            if self.addresses.get(id, cidr.address).is_some_and(|a| a.origin != Origin::Dhcpv6) {
                continue;
            }
            let wanted =
                Assignment { lifetimes: leased.lifetimes, ..Assignment::forever(cidr, Origin::Dhcpv6) };
            match self.assign_address(id, wanted, now) {
                Ok(()) => self.events.emit(now, Event::Leased(id, cidr.address)),
                Err(_) => self.count_drop(Drop::Dhcpv6Address, now),
            }
        }
    }

    fn dhcpv6_send(&mut self, id: InterfaceId, kind: Dhcpv6Kind, now: Instant) {
        let mut buf = [0; MESSAGE6_LEN];
        let (Some(client), Some(source)) = (self.dhcpv6.get(id), self.dhcpv6_source(id)) else { return };
        let Some(len) = client.write(kind, now, &mut buf) else { return };
        let (source, destination) = (IpAddr::V6(source), IpAddr::V6(SERVERS));
        let Some(mtu) = self.interface(id).map(|i| i.mtu) else { return };
        let path = Path { interface: id, source, next_hop: destination, mtu };
        let ip = IpHeader::new(source, destination, protocol::UDP, 0);
        let header =
            UdpHeader::emit((DHCPV6_CLIENT, DHCPV6_SERVER), source, destination, Bytes::new(&[&buf[..len]]));
        let payload: [&[u8]; 1] = [&buf[..len]];
        let whole = (&header[..], Bytes::new(&payload));
        if let Err(drop) = self.try_send(&path, (Purpose::Own, Need::Control), &ip, whole, None, now) {
            self.count_drop(drop, now);
        }
    }

    /// A datagram for the port of DHCPv6's clients. `None`: the interface has no client. An error: its client did not take it,
    /// and it may be for a socket.
    pub(super) fn dhcpv6_input(
        &mut self,
        meta: &PacketMeta,
        payload: Bytes<'_>,
        now: Instant,
    ) -> Option<Result<(), Drop>> {
        self.dhcpv6.get(meta.interface).filter(|_| meta.source.is_ipv6())?;
        Some(match payload.front().len() == payload.len() {
            true => self.dhcpv6_message(meta.interface, payload.front(), now),
            false => self.dhcpv6_joined(meta.interface, payload, now),
        })
    }

    #[inline(never)]
    fn dhcpv6_joined(&mut self, id: InterfaceId, payload: Bytes<'_>, now: Instant) -> Result<(), Drop> {
        let mut buf = [0; JOINED_LEN];
        if payload.len() > buf.len() {
            return Err(Drop::Dhcpv6TooLong);
        }
        let len = payload.copy_to(&mut buf);
        self.dhcpv6_message(id, &buf[..len], now)
    }

    fn dhcpv6_message(&mut self, id: InterfaceId, message: &[u8], now: Instant) -> Result<(), Drop> {
        let message = Dhcpv6Message::parse(message)?;
        let client = self.dhcpv6.get_mut(id).ok_or(Drop::Dhcpv6Foreign)?;
        let plan = client.on_packet(&message, now, &mut self.random)?;
        self.dhcpv6_carry_out(id, plan, now);
        Ok(())
    }
}
