//! mDNS: what the responder wants is carried out here, and what comes to its port is handed to it.

use core::net::SocketAddr;

use super::Holder;
use super::Stack;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::error::Error;
use crate::ip::addresses::{AddressState, Origin};
use crate::ip::{InterfaceId, PacketMeta, is_group};
use crate::link::neighbor::Purpose;
use crate::names::mdns::responder::{Heard, MDNS_LEN, Plan, Responder};
use crate::names::mdns::{Link, MDNS_PORT, OwnAddresses};
use crate::names::{Announcement, AnnouncementId, MdnsStorage, Name};
use crate::time::Instant;
use crate::udp::DatagramKind;
use crate::wire::dns::DnsMessage;
use crate::wire::{IpHeader, UdpHeader, protocol};

/// RFC 6762 §11: a packet with less has passed a router.
pub(super) const MDNS_HOP_LIMIT: u8 = 255;

/// The responder of a stack.
pub(super) struct Mdns<'a> {
    responder: Responder<'a>,
    /// As of which the addresses are.
    epoch: Option<u32>,
}

impl<'a> Stack<'a> {
    /// Names can be announced from now on, in this memory: the groups of mDNS are joined. With the feature `alloc`, [`Net`](crate::Net) does
    /// this by itself, with memory of the heap.
    pub fn start_mdns(&mut self, storage: MdnsStorage<'a>) {
        self.mdns = Holder::Entry(Mdns { responder: Responder::new(storage), epoch: None });
        self.interfaces.for_each_mut(|interface| interface.filter_is_old = true);
    }

    /// Can names be announced?
    pub fn has_mdns(&self) -> bool {
        !self.mdns.is_empty()
    }

    fn with_responder<R>(
        &mut self,
        call: impl FnOnce(&mut Responder<'a>, &mut crate::base::random::Random) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let Stack { mdns, random, .. } = self;
        let mdns = mdns.as_mut().ok_or(Error::InvalidInput("mDNS needs `Stack::start_mdns`"))?;
        call(&mut mdns.responder, random)
    }

    /// Claims a name of the link for this host, without `.local`, instead of the one that it had: see
    /// [`Net::announce_host`](crate::Net::announce_host).
    pub fn announce_host(&mut self, name: &'a str, now: Instant) -> Result<(), Error> {
        self.with_responder(|responder, random| responder.announce_host(name, random, now))
    }

    /// Announces a service: see [`Net::announce`](crate::Net::announce).
    pub fn announce_service(
        &mut self,
        service: Announcement<'a>,
        now: Instant,
    ) -> Result<AnnouncementId, Error> {
        self.with_responder(|responder, random| responder.announce(service, random, now))
    }

    /// Withdraws a service: see [`Net::withdraw`](crate::Net::withdraw).
    pub fn withdraw_service(&mut self, id: AnnouncementId, now: Instant) -> Result<(), Error> {
        self.with_responder(|responder, _| responder.withdraw(id, now))
    }

    /// Withdraws the host's name and all services.
    pub fn withdraw_host(&mut self, now: Instant) {
        if let Some(mdns) = self.mdns.as_mut() {
            mdns.responder.withdraw_host(now);
        }
    }

    /// What this host is called on its links, as `sensor.local`: the name that was announced, or the one that it got because somebody else had
    /// that. `None`: it has none, or not yet.
    pub fn announced_host(&self) -> Option<Name> {
        self.mdns.as_ref()?.responder.host_name()
    }

    /// What a service is called, likewise.
    ///
    /// [`Error::StaleHandle`]: it was withdrawn.
    pub fn announced_service(&self, id: AnnouncementId) -> Result<Option<Name>, Error> {
        let mdns = self.mdns.as_ref().ok_or(Error::StaleHandle)?;
        mdns.responder.service_name(id)
    }

    /// The host's own addresses, if it is called so.
    pub(crate) fn mdns_addresses_of(&self, name: &Name) -> Option<&OwnAddresses> {
        self.mdns.as_ref()?.responder.addresses_of(name)
    }

    /// The link of an interface has come up.
    pub(super) fn mdns_link(&mut self, now: Instant) {
        let Stack { mdns, random, .. } = self;
        if let Holder::Entry(mdns) = mdns {
            mdns.responder.on_link(random, now);
        }
    }

    /// When the responder wants a turn.
    #[inline]
    pub(super) fn mdns_deadline(&self, now: Instant) -> Option<Instant> {
        let mdns = self.mdns.as_ref()?;
        if mdns.epoch == Some(self.paths_epoch) { mdns.responder.deadline() } else { Some(now) }
    }

    /// Looks whether addresses are others, and sends what is due.
    #[inline]
    pub(super) fn mdns_timers(&mut self, now: Instant) {
        if self.mdns_deadline(now).is_some_and(|at| at <= now) {
            self.mdns_turn(now);
        }
    }

    #[inline(never)]
    fn mdns_turn(&mut self, now: Instant) {
        let own = self.mdns_addresses();
        let epoch = self.paths_epoch;
        let Stack { mdns, random, .. } = self;
        let Holder::Entry(mdns) = mdns else { return };
        if mdns.epoch != Some(epoch) {
            mdns.epoch = Some(epoch);
            mdns.responder.on_addresses(&own, random, now);
        }
        while let Some(plan) = self.mdns.as_mut().and_then(|mdns| mdns.responder.next(now)) {
            self.mdns_send(plan, now);
            // Whoever waits for a name looks.
            if matches!(plan, Plan::Announce(_)) {
                self.configuration_changed();
            }
        }
    }

    /// The addresses that the names of this host are good for: not those that are to change, or that others may have.
    fn mdns_addresses(&self) -> OwnAddresses {
        let is_told = |a: &&crate::ip::addresses::Address| {
            let interface = self.interface(a.interface);
            interface.is_some_and(|i| !i.is_loopback && i.is_link_up())
                && a.state == AddressState::Preferred
                && a.origin != Origin::Temporary
        };
        let own = self.addresses.iter().filter(is_told).map(|a| (a.interface, a.cidr.address()));
        own.take(crate::names::mdns::OWN_MAX).collect()
    }

    fn mdns_send(&mut self, plan: Plan, now: Instant) {
        let links: heapless::Vec<Link, 8> = match (plan, self.mdns.as_ref()) {
            (Plan::Answer(link, _), _) => core::iter::once(link).collect(),
            (_, Some(mdns)) => mdns.responder.links().collect(),
            (_, None) => return,
        };
        for link in links {
            let mut left = match plan {
                Plan::Probe(_) => 1,
                Plan::Announce(set) | Plan::Goodbye(set) | Plan::Answer(_, set) => set,
            };
            while left != 0 {
                let (before, mut buf) = (left, [0; MDNS_LEN]);
                let mdns = self.mdns.as_ref();
                let len = mdns.and_then(|mdns| mdns.responder.write(plan, &mut left, link, &mut buf));
                let Some(len) = len.filter(|_| left != before) else { break };
                let to = SocketAddr::new(link.group(), MDNS_PORT);
                if let Err(drop) = self.mdns_transmit(link.interface, to, (MDNS_PORT, &buf[..len]), now) {
                    self.count_drop(drop, now);
                }
            }
        }
    }

    /// Sends a message of mDNS by an interface.
    //= rfc6762#11
    pub(super) fn mdns_transmit(
        &mut self,
        interface: InterfaceId,
        to: SocketAddr,
        (port, message): (u16, &[u8]),
        now: Instant,
    ) -> Result<(), Drop> {
        let path = self.path(to.ip(), Some(interface), None).map_err(|_| Drop::NoRoute)?;
        let ip =
            IpHeader { hop_limit: MDNS_HOP_LIMIT, ..IpHeader::new(path.source, to.ip(), protocol::UDP, 0) };
        let payload = [message];
        let payload = Bytes::new(&payload);
        let header = UdpHeader::emit((port, to.port()), path.source, to.ip(), payload);
        self.try_send(&path, (Purpose::Own, Need::Control), &ip, (&header, payload), None, now)
    }

    /// A question of the resolver, to everybody on every link. An error: there is no link.
    pub(super) fn mdns_ask(&mut self, port: u16, message: &[u8], now: Instant) -> Result<(), Drop> {
        let mut result = Err(Drop::NoRoute);
        for index in 0..self.interfaces.places() {
            let Some(key) = self.interfaces.key(index) else { continue };
            let id = InterfaceId(key);
            if self.interface(id).is_none_or(|i| i.is_loopback || !i.is_link_up()) {
                continue;
            }
            for is_v4 in [true, false] {
                let to = SocketAddr::new(Link { interface: id, is_v4 }.group(), MDNS_PORT);
                // One family is enough.
                result = self.mdns_transmit(id, to, (port, message), now).or(result);
            }
        }
        result
    }

    /// A datagram for the port of mDNS. `None`: it is (also) for a socket.
    pub(super) fn mdns_input(
        &mut self,
        meta: &PacketMeta,
        (from, to): (u16, u16),
        payload: Bytes<'_>,
        now: Instant,
    ) -> Option<Result<(), Drop>> {
        self.mdns.as_ref()?;
        let result = self.mdns_message(meta, from, payload, now);
        if self.datagrams.has_socket(DatagramKind::Udp, meta, (from, to)) {
            return None;
        }
        Some(result)
    }

    #[inline(never)]
    fn mdns_message(
        &mut self,
        meta: &PacketMeta,
        from: u16,
        payload: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        if !self.is_from_link(meta) {
            return Err(Drop::MdnsForeign);
        }
        let mut joined = [0; super::names::JOINED_LEN];
        let message = super::names::whole(payload, &mut joined).ok_or(Drop::MdnsMalformed)?;
        let message = DnsMessage::parse(message).map_err(|_| Drop::MdnsMalformed)?;
        let (interface, source) = (meta.interface, meta.source);
        let from = SocketAddr::new(source, from);
        let heard = Heard { link: Link { interface, is_v4: source.is_ipv4() }, from, message };
        let mut out = [0; MDNS_LEN];
        let Stack { mdns, random, .. } = self;
        let Holder::Entry(mdns) = mdns else { return Ok(()) };
        match mdns.responder.on_message(&heard, &mut out, random, now)? {
            Some(len) => self.mdns_transmit(interface, from, (MDNS_PORT, &out[..len]), now),
            None => Ok(()),
        }
    }

    /// Does a packet come from its link? One to a group does; one to this host does if its source is of a network there.
    //= rfc6762#11
    pub(super) fn is_from_link(&self, meta: &PacketMeta) -> bool {
        let is_link_local = match meta.source {
            core::net::IpAddr::V4(a) => a.is_link_local(),
            core::net::IpAddr::V6(a) => crate::ip::is_link_local(a),
        };
        is_group(meta.destination)
            || is_link_local
            || self.addresses.of(meta.interface).any(|a| a.cidr.contains(meta.source))
    }
}
