//! Frames in: from Ethernet to the transport. What is thrown away has a name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Holder;
use super::{Interface, Stack};
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::{RxChecksum, RxFrame, merged};
use crate::ip::addresses::Delivery;
use crate::ip::{self, InterfaceId, PacketMeta, v6};
use crate::time::Instant;
use crate::wire::{EtherType, EthernetHeader, IPV6_LEN, Ipv4Header, Ipv6Header, icmpv6, protocol};

/// How the link carried a frame.
#[derive(Clone, Copy)]
struct Link {
    interface: InterfaceId,
    checksum: RxChecksum,
    segment_len: Option<u16>,
    broadcast: bool,
}

impl Link {
    /// What the transport is told about a packet of either family.
    fn meta(&self, way: &AddressPair, traffic_class: u8, hop_limit: u8, delivery: Delivery) -> PacketMeta {
        PacketMeta {
            interface: self.interface,
            source: way.source,
            destination: way.destination,
            traffic_class,
            hop_limit,
            checksum: self.checksum,
            segment_len: self.segment_len,
            link_broadcast: self.broadcast || delivery == Delivery::Group,
        }
    }
}

/// Where a packet comes from and goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressPair {
    interface: InterfaceId,
    source: IpAddr,
    destination: IpAddr,
}

impl Stack<'_> {
    /// Takes in a frame. Nothing is sent from here: answers are queued.
    pub fn on_frame(&mut self, interface: InterfaceId, frame: RxFrame<'_>, now: Instant) {
        if self.take_of_flow(interface, &frame, now) || self.take_expected_datagram(interface, &frame, now) {
            return;
        }
        if frame.segment_len.is_none() || !self.take_merged(interface, &frame, now) {
            self.take_any(interface, &frame, now);
        }
    }

    /// Datagrams that the device handed over as one. False: the frame is no such one. Apart, for its own part of the stack.
    #[inline(never)]
    fn take_merged(&mut self, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) -> bool {
        let taken = merged::split(frame, &mut |datagram| {
            if !self.take_expected_datagram(interface, &datagram, now) {
                self.take_any(interface, &datagram, now);
            }
        });
        if taken == Some(0) {
            self.count_drop(Drop::UdpMalformed, now);
        }
        taken.is_some()
    }

    /// Apart, so that the short ways have the registers to themselves.
    #[inline(never)]
    fn take_any(&mut self, interface: InterfaceId, frame: &RxFrame<'_>, now: Instant) {
        self.served = None;
        let served_before = self.served_socket.take();
        if let Err(drop) = self.frame_input(interface, frame, now) {
            self.count_drop(drop, now);
        }
        self.note_flow(interface, frame, now);
        self.note_datagram_flow(interface, frame, served_before);
    }

    fn frame_input(&mut self, id: InterfaceId, frame: &RxFrame<'_>, now: Instant) -> Result<(), Drop> {
        let interface = self.interface(id).ok_or(Drop::InterfaceGone)?;
        let (own, is_loopback) = (interface.capabilities.mac, interface.is_loopback);
        let vlan = interface.vlan_number();
        self.counters.frames.received.count(frame.bytes.len());
        let ethernet = EthernetHeader::parse(frame.bytes.front(), vlan)?;
        if frame.checksum == RxChecksum::Bad {
            return Err(Drop::DeviceChecksum);
        }
        let broadcast = ethernet.destination.0[0] & 1 == 1;
        if !is_loopback {
            if !broadcast && ethernet.destination != own {
                return Err(Drop::EthernetNotForUs);
            }
            if !ethernet.source.is_unicast() {
                return Err(Drop::EthernetSource);
            }
        }
        let payload = frame.bytes.slice(ethernet.len, usize::MAX);
        let (checksum, segment_len) = (frame.checksum, frame.segment_len);
        let link = Link { interface: id, checksum, segment_len, broadcast };
        #[cfg(feature = "raw")]
        let is_spoken = self.raw_frame_input(id, &ethernet, (payload, checksum), now);
        match ethernet.kind {
            EtherType::Arp => self.arp_input(id, payload.front(), now),
            EtherType::Ipv4 => self.ipv4_input(link, payload, now),
            EtherType::Ipv6 if cfg!(feature = "ipv6") => self.ipv6_input(link, payload, now),
            EtherType::Ipv6 => Err(Drop::EthernetType),
            EtherType::Llc => Err(Drop::EthernetLlc),
            #[cfg(feature = "raw")]
            EtherType::Other(_) if is_spoken => Ok(()),
            EtherType::Other(_) => Err(Drop::EthernetType),
        }
    }

    fn ipv4_input(&mut self, link: Link, packet: Bytes<'_>, now: Instant) -> Result<(), Drop> {
        let header = Ipv4Header::parse(packet)?;
        // What follows is padding (H212).
        let packet = packet.slice(0, header.total_len);
        self.counters.ipv4.received.count(packet.len());
        let way = AddressPair {
            interface: link.interface,
            source: header.source.into(),
            destination: header.destination.into(),
        };
        let delivery = self.admit(way, |stack, interface, delivery| {
            stack.check_source_v4(interface, &header, delivery)?;
            let is_offer = || {
                header.protocol == protocol::UDP
                    && stack.awaits_offer((link.interface, interface), header.destination)
            };
            if delivery == Delivery::Other && !interface.forwards() && !is_offer() {
                return Err(Drop::Ipv4NotForUs);
            }
            Ok(())
        })?;
        #[cfg(feature = "forwarding")]
        if delivery == Delivery::Other && self.may_forward_v4(link.interface, &header) {
            let meta = link.meta(&way, header.traffic_class, header.hop_limit, delivery);
            return self.forward_v4(&meta, &header, packet, now);
        }
        if header.source_routed {
            return Err(Drop::Ipv4SourceRoute);
        }
        let meta = link.meta(&way, header.traffic_class, header.hop_limit, delivery);
        if header.is_fragment {
            #[cfg(feature = "fragments")]
            return self.ipv4_fragment(&meta, &header, packet, delivery, now);
            #[cfg(not(feature = "fragments"))]
            return Err(Drop::Ipv4Fragment);
        }
        self.ipv4_upper(&meta, &header, packet, delivery, now)
    }

    /// Offers of addresses are for this host, whatever their destination.
    #[cfg(feature = "forwarding")]
    fn may_forward_v4(&self, id: InterfaceId, header: &Ipv4Header) -> bool {
        self.interface(id).is_some_and(|interface| {
            let is_datagram = header.protocol == protocol::UDP;
            interface.forwards() && !(is_datagram && self.awaits_offer((id, interface), header.destination))
        })
    }

    /// What an IPv4 packet that is whole carries.
    #[inline]
    pub(super) fn ipv4_upper(
        &mut self,
        meta: &PacketMeta,
        header: &Ipv4Header,
        packet: Bytes<'_>,
        delivery: Delivery,
        now: Instant,
    ) -> Result<(), Drop> {
        #[cfg(feature = "raw")]
        let is_spoken = delivery != Delivery::Other
            && self.raw_packet_input(meta, (header.protocol, packet, header.header_len), now);
        match header.protocol {
            _ if delivery == Delivery::Other => self.offer_input(meta, packet, header.header_len, now),
            protocol::ICMP => self.icmpv4_input(meta, packet.slice(header.header_len, usize::MAX), now),
            protocol::ICMPV6 => Err(Drop::ProtocolUnknown),
            #[cfg(feature = "multicast")]
            protocol::IGMP => self.igmp_input(meta, packet.slice(header.header_len, usize::MAX), now),
            protocol::TCP | protocol::UDP => {
                self.transport_input(meta, header.protocol, packet, header.header_len, now)
            }
            #[cfg(feature = "raw")]
            _ if is_spoken => Ok(()),
            other => self.transport_input(meta, other, packet, header.header_len, now),
        }
    }

    /// Might a datagram for this address be the offer of an address? A server hands it to the station,
    /// which has none yet, under the address that it offers (RFC 2131 §4.1).
    fn awaits_offer(&self, (id, interface): (InterfaceId, &Interface), destination: Ipv4Addr) -> bool {
        let is_host = !destination.is_unspecified() && !destination.is_loopback();
        is_host
            && !ip::is_group(destination.into())
            && !interface.is_loopback
            && !self.addresses.has_family(id, true)
    }

    /// H065: sources that no packet on a link may have.
    fn check_source_v4(
        &self,
        interface: &Interface,
        header: &Ipv4Header,
        delivery: Delivery,
    ) -> Result<(), Drop> {
        let (source, destination) = (header.source, header.destination);
        if interface.is_loopback {
            return Ok(());
        }
        let first = source.octets()[0];
        // A host without an address yet may broadcast to a DHCP server; and a switch without one may ask
        // who is in which group (RFC 4541 §2.1.1), as Linux' bridge does.
        let is_known = matches!(header.protocol, protocol::UDP)
            || (cfg!(feature = "multicast") && header.protocol == protocol::IGMP);
        let has_none = source.is_unspecified() && delivery == Delivery::Group && is_known;
        let martian = (first == 0 && !has_none)
            || first == 127
            || first >= 224
            || destination.is_loopback()
            || self.is_directed_broadcast(source);
        if martian {
            return Err(Drop::Ipv4Source);
        }
        if source == destination || self.is_ours(source.into()) {
            return Err(Drop::Land);
        }
        Ok(())
    }

    fn ipv6_input(&mut self, link: Link, packet: Bytes<'_>, now: Instant) -> Result<(), Drop> {
        let header = Ipv6Header::parse(packet)?;
        let packet = packet.slice(0, IPV6_LEN + header.payload_len);
        self.counters.ipv6.received.count(packet.len());
        let way = AddressPair {
            interface: link.interface,
            source: header.source.into(),
            destination: header.destination.into(),
        };
        // One to a group only, since what is let in for an address of ours is not looked at again.
        let is_advert = header.next_header == protocol::ICMPV6
            && header.destination.is_multicast()
            && packet.front().get(IPV6_LEN) == Some(&icmpv6::NEIGHBOR_ADVERT);
        let delivery = self.admit(way, |stack, interface, delivery| {
            stack.check_source_v6((link.interface, interface), &header, is_advert)?;
            if delivery == Delivery::Other && !interface.forwards() {
                Err(Drop::Ipv6NotForUs)
            } else {
                Ok(())
            }
        })?;
        let meta = link.meta(&way, header.traffic_class, header.hop_limit, delivery);
        #[cfg(feature = "forwarding")]
        if delivery == Delivery::Other {
            return self.forward_v6(&meta, &header, packet, now);
        }
        self.ipv6_upper(&meta, &header, packet, now)
    }

    /// What an IPv6 packet that is let in carries.
    #[inline]
    pub(super) fn ipv6_upper(
        &mut self,
        meta: &PacketMeta,
        header: &Ipv6Header,
        packet: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        let payload = packet.slice(IPV6_LEN, usize::MAX);
        let upper = match v6::walk(header.next_header, payload) {
            Ok(upper) => upper,
            Err(refusal) => {
                if let Some(problem) = refusal.report {
                    self.report_parameter_problem(meta, problem, packet, now);
                }
                return Err(refusal.drop);
            }
        };
        #[cfg(feature = "fragments")]
        if upper.protocol == v6::FRAGMENT {
            return self.ipv6_fragment(meta, header, upper, packet, now);
        }
        #[cfg(feature = "raw")]
        let is_spoken = self.raw_packet_input(meta, (upper.protocol, packet, IPV6_LEN + upper.offset), now);
        if upper.protocol == protocol::ICMPV6 {
            return self.icmpv6_input(meta, payload.slice(upper.offset, usize::MAX), now);
        }
        if !matches!(upper.protocol, protocol::TCP | protocol::UDP) {
            #[cfg(feature = "raw")]
            if is_spoken {
                return Ok(());
            }
            let problem = v6::ParameterProblem {
                code: icmpv6::CODE_NEXT_HEADER,
                pointer: upper.named_at as u32,
                even_to_group: false,
            };
            self.report_parameter_problem(meta, problem, packet, now);
            return Err(Drop::ProtocolUnknown);
        }
        self.transport_input(meta, upper.protocol, packet, IPV6_LEN + upper.offset, now)
    }

    /// H077: sources and destinations that no packet on a link may have.
    /// Whoever advertises an address of ours as its own is heard.
    fn check_source_v6(
        &self,
        (id, interface): (InterfaceId, &Interface),
        header: &Ipv6Header,
        is_advert: bool,
    ) -> Result<(), Drop> {
        if interface.is_loopback {
            return Ok(());
        }
        let (source, destination) = (header.source, header.destination);
        let inside = |a: Ipv6Addr| a.is_loopback() || a.to_ipv4_mapped().is_some();
        if source.is_multicast() || inside(source) || inside(destination) {
            return Err(Drop::Ipv6Source);
        }
        if source == destination || (self.is_ours_in(id, source.into()) && !is_advert) {
            return Err(Drop::Land);
        }
        Ok(())
    }

    /// What a packet's destination is to the stack, if `check` lets the packet in. What holds for a
    /// packet holds for the next one on the same way.
    #[inline]
    fn admit(
        &mut self,
        way: AddressPair,
        check: impl FnOnce(&Self, &Interface, Delivery) -> Result<(), Drop>,
    ) -> Result<Delivery, Drop> {
        if self.admitted.as_ref() == Some(&way) {
            return Ok(Delivery::Ours);
        }
        let interface = self.interface(way.interface).ok_or(Drop::InterfaceGone)?;
        let delivery = self.delivery((way.interface, interface), way.destination);
        check(self, interface, delivery)?;
        if delivery == Delivery::Ours {
            self.admitted = Holder::Entry(way);
        }
        Ok(delivery)
    }

    /// What a destination is to the stack when it arrives by this interface.
    fn delivery(&self, (id, interface): (InterfaceId, &Interface), destination: IpAddr) -> Delivery {
        let here = self.addresses.delivery(id, destination);
        let anywhere = match destination {
            // Loopback and link-local addresses are good on their own interface only.
            IpAddr::V4(a) => interface.is_loopback || !a.is_loopback(),
            IpAddr::V6(a) => interface.is_loopback || !(a.is_loopback() || a.is_unicast_link_local()),
        };
        match here {
            #[cfg(feature = "multicast")]
            Delivery::Other if self.is_joined(id, destination) => Delivery::Group,
            Delivery::Other if anywhere && self.answers_to(destination) => Delivery::Ours,
            here => here,
        }
    }

    fn transport_input(
        &mut self,
        meta: &PacketMeta,
        transport: u8,
        packet: Bytes<'_>,
        offset: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        let payload = packet.slice(offset, usize::MAX);
        match transport {
            protocol::TCP if cfg!(feature = "tcp") => {
                self.counters.tcp.received.count(payload.len());
                // H007: before any listener or reset sees it.
                if meta.link_broadcast {
                    return Err(Drop::TcpBroadcast);
                }
                self.tcp_input(meta, payload, now);
                Ok(())
            }
            protocol::UDP if cfg!(feature = "udp") => {
                self.counters.udp.received.count(payload.len());
                self.udp_input(meta, packet, offset, now)
            }
            _ => {
                self.report_protocol(meta, packet, now);
                Err(Drop::ProtocolUnknown)
            }
        }
    }
}

/// Is it an address that an ARP packet's sender may claim?
pub(super) fn is_claimable(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    !address.is_unspecified() && !address.is_loopback() && first < 224
}
