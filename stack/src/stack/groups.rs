//! Where the pipeline meets memberships of groups: IGMP and MLD in and out, and what sockets ask for.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Stack;
use crate::base::packet_queue::Frame;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::RxChecksum;
use crate::error::Error;
use crate::ip::groups::{Owner, Place, Wish};
use crate::ip::{self, InterfaceId, PacketMeta};
use crate::time::{Instant, earlier};
use crate::udp::DatagramHandle;
use crate::wire::{
    ALERT_HEADERS_MAX, Checksum, GroupMessage, IpHeader, LinkPath, Query, REPORT_MAX, emit_alert_headers,
    igmp, mld, protocol, pseudo_header,
};

/// What of a group a socket joins or leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// Every source but those that are blocked.
    AnySource,
    /// This source, and no other that is not joined as well (RFC 4607).
    Source(IpAddr),
    /// Of a group that was joined for any source: this one is blocked.
    Blocked(IpAddr),
}

impl Membership {
    const fn wish(self) -> Wish {
        match self {
            Membership::AnySource => Wish::AnySource,
            Membership::Source(a) => Wish::Source(a),
            Membership::Blocked(a) => Wish::NotSource(a),
        }
    }

    const fn source(self) -> Option<IpAddr> {
        match self {
            Membership::AnySource => None,
            Membership::Source(a) | Membership::Blocked(a) => Some(a),
        }
    }
}

impl Stack<'_> {
    /// An IGMP message.
    pub(super) fn igmp_input(
        &mut self,
        meta: &PacketMeta,
        message: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        if meta.checksum != RxChecksum::Valid {
            let mut sum = Checksum::default();
            sum.add_bytes(message);
            if !sum.is_valid() {
                return Err(Drop::IcmpChecksum);
            }
        }
        // Of all sources of a query as many as lie together: a report with them would be no longer.
        let front = message.front();
        match front.first() {
            //= rfc3376#9.1: what a router has sent on is no query of this link
            Some(&igmp::QUERY) if meta.hop_limit != 1 => Err(Drop::GroupHopLimit),
            Some(&igmp::QUERY) => self.group_query(meta.interface, true, &Query::parse_v4(front)?, now),
            // Who has no address relays the reports of others (RFC 4541 §2.1.1), perhaps ours.
            Some(&(igmp::REPORT_V1 | igmp::REPORT_V2)) if meta.source.is_unspecified() => {
                Err(Drop::GroupSource)
            }
            Some(&(igmp::REPORT_V1 | igmp::REPORT_V2)) => {
                let group = front.get(4..8).and_then(|b| b.first_chunk::<4>()).ok_or(Drop::GroupMalformed)?;
                self.group_reported(meta.interface, Ipv4Addr::from(*group).into())
            }
            Some(_) => Err(Drop::IcmpIgnored),
            None => Err(Drop::GroupMalformed),
        }
    }

    /// An MLD message, whose checksum was checked.
    pub(super) fn mld_input(
        &mut self,
        meta: &PacketMeta,
        message: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        let front = message.front();
        //= rfc3810#6.2
        if meta.hop_limit != 1 {
            return Err(Drop::GroupHopLimit);
        }
        let is_link_local = matches!(meta.source, IpAddr::V6(a) if ip::is_link_local(a));
        match front.first() {
            //= rfc2710#3: from `::` it may be ours, sent while our address was in doubt
            Some(&(mld::QUERY | mld::REPORT_V1)) if !is_link_local => Err(Drop::GroupSource),
            Some(&mld::QUERY) => self.group_query(meta.interface, false, &Query::parse_v6(front)?, now),
            Some(&mld::REPORT_V1) => {
                let group =
                    front.get(8..24).and_then(|b| b.first_chunk::<16>()).ok_or(Drop::GroupMalformed)?;
                self.group_reported(meta.interface, Ipv6Addr::from(*group).into())
            }
            _ => Err(Drop::IcmpIgnored),
        }
    }

    fn group_query(
        &mut self,
        id: InterfaceId,
        is_v4: bool,
        query: &Query<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        if query.group.is_some_and(|group| !group.is_multicast()) {
            return Err(Drop::GroupMalformed);
        }
        let interface = self.interfaces.get_mut(id.0).ok_or(Drop::InterfaceGone)?;
        let querier = &mut interface.queriers[usize::from(is_v4)];
        self.datagrams.groups.on_query(id, is_v4, query, querier, &mut self.random, now);
        Ok(())
    }

    fn group_reported(&mut self, interface: InterfaceId, group: IpAddr) -> Result<(), Drop> {
        self.datagrams.groups.on_report(Place { interface, group });
        Ok(())
    }

    /// Does the interface hear the group because a socket joined it?
    pub(super) fn is_joined(&self, interface: InterfaceId, group: IpAddr) -> bool {
        group.is_multicast() && self.datagrams.groups.is_joined(Place { interface, group })
    }

    /// The groups of an interface's own addresses are told of like those of sockets (H128).
    pub(super) fn own_groups_changed(&mut self, id: InterfaceId, now: Instant) {
        let Some(interface) = self.interfaces.get(id.0).filter(|i| !i.is_loopback) else { return };
        let querier = interface.queriers[0];
        let groups = &mut self.datagrams.groups;
        #[cfg(feature = "mdns")]
        let named = !self.mdns.is_empty();
        #[cfg(not(feature = "mdns"))]
        let named = false;
        let of = |address: IpAddr| solicited(address).into_iter().chain(mdns_group(named, address));
        let wanted = |group: IpAddr| self.addresses.of(id).any(|a| of(a.cidr.address).any(|g| g == group));
        loop {
            let stale = groups.own(id).find(|group| !wanted(*group));
            let Some(group) = stale else { break };
            let place = Place { interface: id, group };
            let _ = groups.leave(Owner::Own, place, Wish::AnySource, &querier, now);
        }
        for group in self.addresses.of(id).flat_map(|a| of(a.cidr.address)) {
            let place = Place { interface: id, group };
            // Without a place it is not told of; it is heard all the same.
            let _ = groups.join(Owner::Own, place, Wish::AnySource, &querier, now);
        }
    }

    /// Whoever is on the link now is told of all groups of a family.
    pub(super) fn tell_groups_anew(&mut self, id: InterfaceId, is_v4: bool, now: Instant) {
        if let Some(interface) = self.interfaces.get(id.0) {
            let querier = &interface.queriers[usize::from(is_v4)];
            self.datagrams.groups.tell_anew(id, is_v4, querier, now);
        }
    }

    /// When something is to be told of a group.
    pub(super) fn groups_deadline(&self) -> Option<Instant> {
        let general =
            self.interfaces.iter().flat_map(|(_, i)| i.queriers.iter().filter_map(|q| q.general_at()));
        earlier(general.min(), self.datagrams.groups.deadline())
    }

    /// Tells what is due.
    pub(super) fn group_timers(&mut self, now: Instant) {
        if self.groups_deadline().is_none_or(|at| at > now) {
            return;
        }
        for index in 0..self.interfaces.places() {
            let Some(key) = self.interfaces.key(index) else { continue };
            let id = InterfaceId(key);
            for is_v4 in [false, true] {
                while let Some(message) = self.next_group_message(id, is_v4, now) {
                    if let Err(drop) = self.send_group_message(id, message) {
                        self.count_drop(drop, now);
                    }
                }
            }
        }
    }

    fn next_group_message(&mut self, id: InterfaceId, is_v4: bool, now: Instant) -> Option<GroupMessage> {
        let interface = self.interfaces.get_mut(id.0)?;
        let querier = &mut interface.queriers[usize::from(is_v4)];
        self.datagrams.groups.next_due(id, is_v4, querier, &mut self.random, now)
    }

    /// H124: hop limit 1, with a router alert, from a link-local address over IPv6.
    //= rfc3376#4
    //= rfc3810#5
    fn send_group_message(&mut self, id: InterfaceId, mut message: GroupMessage) -> Result<(), Drop> {
        let interface = self.interface(id).ok_or(Drop::InterfaceGone)?;
        if interface.is_loopback {
            return Ok(());
        }
        let to = message.destination;
        let source = self.group_source(id, to.is_ipv4());
        let (number, mut sum) = match to {
            IpAddr::V4(_) => (protocol::IGMP, Checksum::default()),
            IpAddr::V6(_) => {
                (protocol::ICMPV6, pseudo_header(source, to, protocol::ICMPV6, message.bytes.len()))
            }
        };
        sum.add(&message.bytes);
        message.set_checksum(sum.finish());
        const { assert!(REPORT_MAX <= 1280 - ALERT_HEADERS_MAX) };
        let destination = ip::group_mac(to).ok_or(Drop::NoRoute)?;
        let link = LinkPath { source: interface.capabilities.mac, destination };
        let header = IpHeader { hop_limit: 1, ..IpHeader::new(source, to, number, message.bytes.len()) };
        let mut headers = [0; ALERT_HEADERS_MAX];
        let len = emit_alert_headers(&mut headers, &link, &header);
        let frame = Frame::new([&headers[..len], &message.bytes], Bytes::empty());
        self.count_packet(&header, frame.len() - crate::wire::ETHERNET_LEN);
        self.queue_frame(id, &frame, Need::Control)
    }

    /// The source of what is told of groups: unspecified, as long as there is no address for it (RFC 3376 §4.2.13,
    /// RFC 3810 §5.2.13).
    fn group_source(&self, id: InterfaceId, is_v4: bool) -> IpAddr {
        let fits = |a: &IpAddr| match a {
            IpAddr::V4(_) => is_v4,
            IpAddr::V6(a) => !is_v4 && ip::is_link_local(*a),
        };
        let mut own = self.addresses.of(id).filter(|a| a.is_usable()).map(|a| a.cidr.address);
        let none = if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        own.find(fits).unwrap_or(none)
    }

    /// Joins a group with a socket, by `interface` or, without one, by that of the route to the group. Everything
    /// that it changes is told to routers at once.
    ///
    /// [`Error::InvalidInput`]: the group is none, the source is of the other family or one no host has; the socket has
    /// joined it already, or in the other way; the group has 64 sources, or the interface 16 groups.
    /// [`Error::AddrInvalid`]: the socket does not speak the group's family. [`Error::DeviceGone`]: the interface is gone.
    /// [`Error::OutOfMemory`]: the table of memberships is full.
    pub fn datagram_join(
        &mut self,
        handle: DatagramHandle,
        group: IpAddr,
        interface: Option<InterfaceId>,
        membership: Membership,
        now: Instant,
    ) -> Result<(), Error> {
        let place = self.group_place(handle, group, interface, membership)?;
        let querier = self.querier(place)?;
        self.datagrams.groups.join(Owner::Socket(handle), place, membership.wish(), &querier, now)?;
        self.filter_changed(place.interface);
        Ok(())
    }

    /// Takes back what [`datagram_join`](Stack::datagram_join) has joined; with [`Membership::AnySource`] all that the
    /// socket has of the group.
    ///
    /// [`Error::InvalidInput`]: it is no member. Else as there.
    pub fn datagram_leave(
        &mut self,
        handle: DatagramHandle,
        group: IpAddr,
        interface: Option<InterfaceId>,
        membership: Membership,
        now: Instant,
    ) -> Result<(), Error> {
        let place = self.group_place(handle, group, interface, membership)?;
        let querier = self.querier(place)?;
        self.datagrams.groups.leave(Owner::Socket(handle), place, membership.wish(), &querier, now)?;
        self.filter_changed(place.interface);
        Ok(())
    }

    /// Leaves all groups of a socket, as before it is closed.
    pub fn datagram_leave_all(&mut self, handle: DatagramHandle, now: Instant) {
        let owner = Owner::Socket(handle);
        while let Some(place) = self.datagrams.groups.place_of(owner) {
            let querier = self.querier(place).unwrap_or_default();
            let left = self.datagrams.groups.leave(owner, place, Wish::AnySource, &querier, now);
            self.filter_changed(place.interface);
            if left.is_err() {
                return;
            }
        }
    }

    fn group_place(
        &self,
        handle: DatagramHandle,
        group: IpAddr,
        interface: Option<InterfaceId>,
        membership: Membership,
    ) -> Result<Place, Error> {
        let socket = self.datagrams.get(handle)?;
        if !group.is_multicast() {
            return Err(Error::InvalidInput("the address is not one of a multicast group"));
        }
        if !socket.families.has(group) {
            return Err(Error::AddrInvalid);
        }
        if let Some(source) = membership.source() {
            if source.is_ipv4() != group.is_ipv4() {
                return Err(Error::InvalidInput("the source is of another family than the group"));
            }
            if ip::is_group(source) || source.is_unspecified() {
                return Err(Error::InvalidInput("the source is no host's address"));
            }
        }
        let interface = match interface.or(socket.zone) {
            Some(id) => id,
            None => self.path(group, None, None)?.interface,
        };
        self.interface(interface).ok_or(Error::DeviceGone)?;
        Ok(Place { interface, group })
    }

    fn querier(&self, place: Place) -> Result<ip::groups::Querier, Error> {
        let interface = self.interface(place.interface).ok_or(Error::DeviceGone)?;
        Ok(interface.queriers[usize::from(place.group.is_ipv4())])
    }

    fn filter_changed(&mut self, id: InterfaceId) {
        if let Some(interface) = self.interfaces.get_mut(id.0) {
            interface.filter_is_old = true;
        }
    }

    /// Gives a datagram that was sent to a group to the sockets of this stack that hear it too.
    pub(super) fn loop_back(
        &mut self,
        (interface, source): (InterfaceId, IpAddr),
        (group, port): (IpAddr, u16),
        own_port: u16,
        (hop_limit, traffic_class): (u8, u8),
        data: Bytes<'_>,
        now: Instant,
    ) {
        let meta = PacketMeta {
            interface,
            source,
            destination: group,
            traffic_class,
            hop_limit,
            checksum: RxChecksum::Valid,
            segment_len: None,
            link_broadcast: true,
        };
        let kind = crate::udp::DatagramKind::Udp;
        // Nobody has to hear it.
        let _ = self.datagrams.deliver(kind, &meta, (own_port, port), data, &mut self.pool, now);
    }

    /// Sets the TTL or hop limit of what the socket sends to groups, 1 to 255. The default, 1, keeps it on the link.
    pub fn datagram_set_multicast_ttl(&mut self, handle: DatagramHandle, ttl: u32) -> Result<(), Error> {
        let socket = self.datagrams.get_mut(handle)?;
        let ttl = u8::try_from(ttl).ok().filter(|ttl| *ttl > 0);
        socket.multicast.ttl = ttl.ok_or(Error::InvalidInput("a TTL or hop limit is 1 to 255"))?;
        Ok(())
    }

    /// Says whether sockets of this stack hear what the socket sends to groups that they joined. True at first.
    pub fn datagram_set_multicast_loop(&mut self, handle: DatagramHandle, on: bool) -> Result<(), Error> {
        self.datagrams.get_mut(handle)?.multicast.is_looped = on;
        Ok(())
    }

    /// Sets the interface by which the socket sends to groups; `None`: that of the route.
    ///
    /// [`Error::DeviceGone`]: there is no such interface.
    pub fn datagram_set_multicast_interface(
        &mut self,
        handle: DatagramHandle,
        interface: Option<InterfaceId>,
    ) -> Result<(), Error> {
        if interface.is_some_and(|id| self.interface(id).is_none()) {
            return Err(Error::DeviceGone);
        }
        let socket = self.datagrams.get_mut(handle)?;
        socket.multicast.interface = interface;
        socket.forget_path();
        Ok(())
    }
}

/// The group of mDNS of an address's family, where names are announced.
#[cfg(feature = "mdns")]
fn mdns_group(named: bool, address: IpAddr) -> Option<IpAddr> {
    use crate::names::mdns::{GROUP_V4, GROUP_V6};
    named.then(|| if address.is_ipv4() { GROUP_V4.into() } else { GROUP_V6.into() })
}

#[cfg(not(feature = "mdns"))]
fn mdns_group(_named: bool, _address: IpAddr) -> Option<IpAddr> {
    None
}

fn solicited(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V6(a) => Some(ip::solicited_node(a).into()),
        IpAddr::V4(_) => None,
    }
}
