//! ARP and NDP: what they say goes into the one neighbour cache, and its questions go out by them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ingress::is_claimable;
use super::{Resolution, Stack};
use crate::base::packet_queue::{Frame, PacketQueue};
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::Mac;
use crate::events::Event;
use crate::ip::addresses::ALL_NODES;
use crate::ip::icmp::host_unreachable;
use crate::ip::{InterfaceId, PacketMeta, Path, group_mac, solicited_node};
use crate::link::neighbor::Neighbor;
use crate::link::neighbor::{Due, Evidence, NeighborKey, Purpose};
use crate::time::Instant;
#[cfg(feature = "slaac")]
use crate::wire::icmpv6;
use crate::wire::{
    ArpOperation, ArpPacket, Checksum, ETHERNET_LEN, HEADERS_LEN_MAX, IPV6_LEN, IpHeader, LinkPath,
    NDP_LEN_MAX, NeighborMessage, NeighborMessageKind, emit_headers, protocol, pseudo_header,
};

/// NDP messages never cross a router (RFC 4861 §3.1).
const NDP_HOP_LIMIT: u8 = 255;

impl Stack<'_> {
    /// Every neighbour that is known or asked for (RFC 4861 §5.1).
    pub fn neighbors(&self, now: Instant) -> impl Iterator<Item = Neighbor> + '_ {
        self.neighbors.iter(now)
    }

    /// RFC 826, RFC 5227 §3.
    pub(super) fn arp_input(&mut self, id: InterfaceId, packet: &[u8], now: Instant) -> Result<(), Drop> {
        let arp = ArpPacket::parse(packet)?;
        self.counters.arp.received.count(packet.len());
        #[cfg(feature = "dhcpv4")]
        self.dhcp_arp(id, &arp, now);
        let interface = self.interface(id).ok_or(Drop::InterfaceGone)?;
        let ours = self.addresses.has_usable(id, arp.target.into());
        let is_sender_ours = self.addresses.has(id, arp.sender.into());
        // A probe for an address (RFC 5227 §2.1.1) comes from nobody yet, but deserves an answer.
        let is_probe = arp.sender.is_unspecified() && arp.operation == ArpOperation::Request;
        let claimed = arp.sender_mac.is_unicast()
            && is_claimable(arp.sender)
            && !self.is_directed_broadcast(arp.sender)
            && !is_sender_ours;
        let own = interface.capabilities.mac;
        if !claimed && !is_probe {
            return match is_sender_ours && arp.sender_mac != own {
                true => self.address_conflict(id, arp.sender.into(), arp.sender_mac, now),
                false => Err(Drop::ArpAddress),
            };
        }
        if claimed {
            let evidence = match (ours, arp.operation) {
                (true, ArpOperation::Request) => Evidence::Asked { ours: arp.target.into() },
                (true, ArpOperation::Reply) => Evidence::Answered { solicited: true, override_known: true },
                (false, _) => Evidence::Overheard,
            };
            self.learn(id, arp.sender.into(), Some(arp.sender_mac), evidence, now);
        }
        match (ours, arp.operation) {
            (true, ArpOperation::Request) => {
                self.arp_send(id, ArpOperation::Reply, (arp.target, arp.sender), Some(arp.sender_mac), now)
            }
            (true, ArpOperation::Reply) => {}
            (false, _) => return Err(Drop::ArpNotForUs),
        }
        Ok(())
    }

    /// Sends an ARP packet from the first address of `addresses` to the second.
    pub(super) fn arp_send(
        &mut self,
        id: InterfaceId,
        operation: ArpOperation,
        addresses: (Ipv4Addr, Ipv4Addr),
        to: Option<Mac>,
        now: Instant,
    ) {
        let Some(interface) = self.interface(id) else { return };
        let (sender, target) = addresses;
        let sender_mac = interface.capabilities.mac;
        let target_mac = to.unwrap_or_default();
        let packet = ArpPacket { operation, sender_mac, sender, target_mac, target };
        let frame = packet.emit(to.unwrap_or(Mac::BROADCAST));
        self.counters.arp.sent.count(crate::wire::ARP_LEN);
        if let Err(drop) = self.queue_frame(id, &Frame::new([&frame, &[]], Bytes::empty()), Need::Control) {
            self.count_drop(drop, now);
        }
    }

    /// Neighbour solicitations and advertisements whose checksum is right. RFC 4861 §7.1, §7.2.
    pub(super) fn ndp_input(&mut self, meta: &PacketMeta, message: &[u8], now: Instant) -> Result<(), Drop> {
        if meta.hop_limit != NDP_HOP_LIMIT {
            return Err(Drop::NdpHopLimit);
        }
        #[cfg(feature = "slaac")]
        match message.first() {
            Some(&icmpv6::ROUTER_ADVERT) => return self.router_advert(meta, message, now),
            Some(&icmpv6::REDIRECT) => return self.redirect(meta, message, now),
            _ => {}
        }
        let message = NeighborMessage::parse(message)?;
        let interface = self.interface(meta.interface).ok_or(Drop::InterfaceGone)?;
        let ours = self.addresses.has_usable(meta.interface, message.target.into());
        #[cfg(feature = "slaac")]
        if !ours && self.addresses.has(meta.interface, message.target.into()) {
            return self.dad_input(meta, &message, now);
        }
        match message.kind {
            NeighborMessageKind::Solicit if ours => self.ndp_solicit(meta, &message, now),
            NeighborMessageKind::Solicit => Err(Drop::NdpNotForUs),
            NeighborMessageKind::Advert { .. } if ours => match message.mac {
                Some(mac) if mac != interface.capabilities.mac => {
                    self.address_conflict(meta.interface, message.target.into(), mac, now)
                }
                _ => Err(Drop::NdpNotForUs),
            },
            NeighborMessageKind::Advert { router, solicited, override_known } => {
                if solicited && meta.link_broadcast {
                    return Err(Drop::NdpMalformed);
                }
                #[cfg(feature = "slaac")]
                if !router {
                    self.router_gone(meta.interface, message.target, now); // RFC 4861 §7.2.5
                }
                #[cfg(not(feature = "slaac"))]
                let _ = router;
                let evidence = Evidence::Answered { solicited, override_known };
                // H095: the entry of the target, and no other.
                self.learn(meta.interface, message.target.into(), message.mac, evidence, now);
                Ok(())
            }
        }
    }

    fn ndp_solicit(
        &mut self,
        meta: &PacketMeta,
        message: &NeighborMessage,
        now: Instant,
    ) -> Result<(), Drop> {
        let from_nobody = meta.source.is_unspecified();
        if from_nobody && message.mac.is_some() {
            return Err(Drop::NdpMalformed);
        }
        if !from_nobody {
            let evidence = Evidence::Asked { ours: message.target.into() };
            self.learn(meta.interface, meta.source, message.mac, evidence, now);
        }
        // H096: who asks from nowhere is told together with everybody.
        let destination = if from_nobody { ALL_NODES.into() } else { meta.source };
        let own = self.interface(meta.interface).ok_or(Drop::InterfaceGone)?.capabilities.mac;
        let answer = NeighborMessage {
            kind: NeighborMessageKind::Advert {
                router: false,
                solicited: !from_nobody,
                override_known: true,
            },
            target: message.target,
            mac: Some(own),
            nonce: None,
        };
        let (interface, source) = (meta.interface, message.target.into());
        let path = Path { interface, source, next_hop: destination, mtu: u16::MAX };
        let mut message = [0; NDP_LEN_MAX];
        let len = answer.emit(&mut message);
        add_checksum(&mut message[..len], source, destination);
        let ip = IpHeader {
            hop_limit: NDP_HOP_LIMIT,
            ..IpHeader::new(source, destination, protocol::ICMPV6, len)
        };
        let purposes = (Purpose::Answer, Need::Control);
        // The solicitor's address may itself be unknown: then the answer waits for it.
        // If it can't be sent the solicitor asks again.
        if let Err(drop) = self.try_send(&path, purposes, &ip, (&message[..len], Bytes::empty()), None, now) {
            self.count_drop(drop, now);
        }
        Ok(())
    }

    /// Asks for a neighbour: by unicast if `to` is known, else by broadcast or to its group.
    pub(super) fn solicit(&mut self, key: NeighborKey, source: IpAddr, to: Option<Mac>, now: Instant) {
        match (key.address, source) {
            (IpAddr::V4(target), IpAddr::V4(sender)) => {
                self.arp_send(key.interface, ArpOperation::Request, (sender, target), to, now);
            }
            (IpAddr::V6(target), IpAddr::V6(source)) => self.ndp_ask(key.interface, target, source, to, now),
            // A path has one family.
            _ => {}
        }
    }

    fn ndp_ask(
        &mut self,
        id: InterfaceId,
        target: Ipv6Addr,
        source: Ipv6Addr,
        to: Option<Mac>,
        now: Instant,
    ) {
        let Some(interface) = self.interface(id) else { return };
        let mac = Some(interface.capabilities.mac);
        let question = NeighborMessage { kind: NeighborMessageKind::Solicit, target, mac, nonce: None };
        let destination = if to.is_some() { target } else { solicited_node(target) };
        self.ndp_send(id, &question, (source, destination), to, now);
    }

    /// Sends an NDP message from the first address of `addresses` to the second: to a station, or to a
    /// group.
    pub(super) fn ndp_send(
        &mut self,
        id: InterfaceId,
        message: &NeighborMessage,
        addresses: (Ipv6Addr, Ipv6Addr),
        to: Option<Mac>,
        now: Instant,
    ) {
        if cfg!(not(feature = "ipv6")) {
            return;
        }
        let mut buf = [0; NDP_LEN_MAX];
        let len = message.emit(&mut buf);
        self.ndp_send_bytes(id, &mut buf[..len], addresses, to, now);
    }

    /// The same for a message whose checksum is zero yet.
    pub(super) fn ndp_send_bytes(
        &mut self,
        id: InterfaceId,
        message: &mut [u8],
        addresses: (Ipv6Addr, Ipv6Addr),
        to: Option<Mac>,
        now: Instant,
    ) {
        if cfg!(not(feature = "ipv6")) {
            return;
        }
        let Some(interface) = self.interface(id) else { return };
        let (source, destination): (IpAddr, IpAddr) = (addresses.0.into(), addresses.1.into());
        let mac = to.or_else(|| group_mac(destination)).unwrap_or(Mac::BROADCAST);
        let link = LinkPath { source: interface.capabilities.mac, destination: mac };
        add_checksum(message, source, destination);
        let ip = IpHeader {
            hop_limit: NDP_HOP_LIMIT,
            ..IpHeader::new(source, destination, protocol::ICMPV6, message.len())
        };
        let mut headers = [0; HEADERS_LEN_MAX];
        let headers_len = emit_headers(&mut headers, &link, &ip);
        self.count_packet(&ip, headers_len - ETHERNET_LEN + message.len());
        let frame = Frame::new([&headers[..headers_len], message], Bytes::empty());
        if let Err(drop) = self.queue_frame(id, &frame, Need::Control) {
            self.count_drop(drop, now);
        }
    }

    /// A neighbour's hardware address came with a packet.
    pub(super) fn learn(
        &mut self,
        interface: InterfaceId,
        address: IpAddr,
        mac: Option<Mac>,
        evidence: Evidence,
        now: Instant,
    ) {
        let key = NeighborKey { interface, address };
        let Some(learnt) = self.neighbors.learn(key, mac, evidence, &self.pool, now) else {
            return;
        };
        self.events.emit(now, Event::NeighborResolved(interface, address, learnt.mac));
        #[cfg(feature = "slaac")]
        self.judge_router(interface, address, true, now);
        self.give_up(learnt.given_up, Drop::NeighborTableFull, now);
        self.release(interface, learnt.mac, learnt.waiting, now);
        self.tcp_neighbor(key, Resolution::Known(learnt.mac), now);
    }

    /// The upper layer got an answer over this path: its next hop is reachable (RFC 4861 §7.3.1).
    pub(crate) fn confirm_neighbor(&mut self, path: &Path, now: Instant) {
        let key = NeighborKey { interface: path.interface, address: path.next_hop };
        self.neighbors.confirm(key, now);
    }

    /// Nothing comes back over this path: its next hop has to show that it is there.
    //= rfc9293#3.8.3 MUST-20
    pub(crate) fn suspect_neighbor(&mut self, path: &Path, now: Instant) {
        let key = NeighborKey { interface: path.interface, address: path.next_hop };
        if let Some(Due::Solicit { key, source, to }) = self.neighbors.suspect(key, now) {
            self.solicit(key, source, to, now);
        }
    }

    /// Gives up what waited for a neighbour that did not answer, and tells the sockets that sent it,
    /// whatever interface their address belongs to (H093, H094).
    fn fail_waiting(&mut self, mut waiting: PacketQueue, now: Instant) {
        while !waiting.is_empty() {
            #[cfg(feature = "forwarding")]
            self.report_waiting(&waiting, now);
            let mut front = [0; IPV6_LEN + 8];
            let len = waiting.copy_front(&self.pool, ETHERNET_LEN, &mut front);
            // TCP keeps what it sends by itself.
            if cfg!(feature = "udp")
                && let Ok(error) = host_unreachable(&front[..len])
            {
                // If the socket is closed or not connected, nobody wants to know.
                let _ = self.sender_error(&error);
            }
            waiting.pop(&mut self.pool);
            self.count_drop(Drop::NeighborFailed, now);
        }
    }

    /// Questions to repeat, and neighbours to give up.
    pub(super) fn neighbor_timers(&mut self, now: Instant) {
        while let Some(due) = self.neighbors.due(&self.pool, now) {
            match due {
                Due::Solicit { key, source, to } => self.solicit(key, source, to, now),
                Due::Failed { key, waiting } => {
                    self.events.emit(now, Event::NeighborFailed(key.interface, key.address));
                    #[cfg(feature = "slaac")]
                    self.judge_router(key.interface, key.address, false, now);
                    self.fail_waiting(waiting, now);
                    self.tcp_neighbor(key, Resolution::Failed, now);
                }
                Due::Room => self.tcp_look_again(),
                Due::Over { key } => self.tcp_neighbor(key, Resolution::Pending, now),
            }
        }
    }
}

/// Puts the checksum in place.
fn add_checksum(message: &mut [u8], source: IpAddr, destination: IpAddr) {
    let mut sum: Checksum = pseudo_header(source, destination, protocol::ICMPV6, message.len());
    sum.add(message);
    message[2..4].copy_from_slice(&sum.finish().to_be_bytes());
}
