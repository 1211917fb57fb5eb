//! Forwarding: packets for others go on by another interface (RFC 1812, RFC 8200), where the program says so.
//!
//! A packet that can't go on is reported to its sender: no route, no neighbour, its TTL used up, larger than the next
//! link. Redirects are not sent, and routers are not advertised.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Stack;
use super::egress::answer_to;
use super::forward_merged::Merged;
use crate::base::packet_queue::PacketQueue;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::error::Error;
use crate::ip::completed::Head;
use crate::ip::{self, InterfaceId, PacketMeta, Path, v6};
use crate::time::Instant;
use crate::wire::{
    ETHERNET_LEN, EtherType, IPV4_LEN, IPV4_LEN_MAX, IPV6_LEN, IcmpHeader, Ipv4Header, Ipv6Header,
    fix_checksum_v4, icmpv4, icmpv6,
};

/// The longest packet of which a report quotes all there is room for (RFC 1812 §4.3.2.3).
const QUOTE_LEN: usize = 576;
/// In the word with the fragment's offset: don't fragment, more fragments, and the offset itself.
const DONT_FRAGMENT: u16 = 0x4000;
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// What a router has to say about a packet.
pub(super) enum Report {
    NoRoute,
    HostUnreachable,
    TimeExceeded,
    TooBig { mtu: u16 },
}

impl Report {
    fn header(&self, is_v4: bool) -> IcmpHeader {
        let (kind, code, mtu) = match (self, is_v4) {
            (Report::NoRoute, true) => (icmpv4::UNREACHABLE, 0, 0),
            (Report::NoRoute, false) => (icmpv6::UNREACHABLE, 0, 0),
            (Report::HostUnreachable, true) => (icmpv4::UNREACHABLE, 1, 0),
            (Report::HostUnreachable, false) => (icmpv6::UNREACHABLE, 3, 0),
            (Report::TimeExceeded, true) => (icmpv4::TIME_EXCEEDED, 0, 0),
            (Report::TimeExceeded, false) => (icmpv6::TIME_EXCEEDED, 0, 0),
            (Report::TooBig { mtu }, true) => (icmpv4::UNREACHABLE, icmpv4::CODE_TOO_BIG, *mtu),
            (Report::TooBig { mtu }, false) => (icmpv6::TOO_BIG, 0, *mtu),
        };
        IcmpHeader { kind, code, rest: u32::from(mtu).to_be_bytes() }
    }
}

impl Stack<'_> {
    /// Forwards packets that come by this interface and are for others, or drops them, as at first.
    ///
    /// [`Error::DeviceGone`]: there is no such interface.
    pub fn set_forwarding(&mut self, id: InterfaceId, on: bool) -> Result<(), Error> {
        self.interfaces.get_mut(id.0).ok_or(Error::DeviceGone)?.forwards = on;
        // What was let in is looked at again.
        self.addresses_changed(id);
        Ok(())
    }

    /// An IPv4 packet for another host.
    pub(super) fn forward_v4(
        &mut self,
        meta: &PacketMeta,
        header: &Ipv4Header,
        packet: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        // RFC 1812 §5.3.4, §5.3.5; RFC 3927 §2.7
        let stays = |a: Ipv4Addr| a.is_link_local() || a.is_unspecified() || ip::is_group(a.into());
        if meta.link_broadcast || stays(header.source) || stays(header.destination) {
            return Err(Drop::Ipv4NotForUs);
        }
        if header.source_routed {
            return Err(Drop::Ipv4SourceRoute);
        }
        let path = self.forward_path(meta, packet, header.hop_limit, now)?;
        let front = packet.front();
        let word = u16::from_be_bytes([front[6], front[7]]);
        if let Some(merged) = Merged::of(meta, packet, (header.protocol, header.header_len)) {
            return self.forward_merged(&path, meta, merged, word & DONT_FRAGMENT != 0, now);
        }
        let head = Head::of_frame(meta.checksum, packet);
        let pieces = head.join(packet).ok_or(Drop::ForwardTooBig)?;
        let packet = Bytes::new(&pieces);
        if packet.len() <= usize::from(path.mtu) {
            let sent = self.forward_part(&path, header.header_len, packet, word, (0, usize::MAX), now);
            return self.report_unsent(sent, meta, packet, now);
        }
        let room = usize::from(path.mtu).saturating_sub(header.header_len) & !7;
        if word & DONT_FRAGMENT != 0 || room == 0 {
            self.report_forward(meta, &Report::TooBig { mtu: path.mtu }, packet, now);
            return Err(Drop::ForwardTooBig);
        }
        let len = packet.len() - header.header_len;
        for at in (0..len).step_by(room) {
            let is_last = at + room >= len;
            let more = if is_last { word & MORE } else { MORE };
            let word = (word & OFFSET).wrapping_add((at / 8) as u16) | more;
            let sent = self.forward_part(&path, header.header_len, packet, word, (at, room), now);
            self.report_unsent(sent, meta, packet, now)?;
        }
        Ok(())
    }

    /// Sends a part of an IPv4 packet, from `at` in its payload on and at most `room` long.
    fn forward_part(
        &mut self,
        path: &Path,
        header_len: usize,
        packet: Bytes<'_>,
        word: u16,
        (at, room): (usize, usize),
        now: Instant,
    ) -> Result<(), Drop> {
        let payload = packet.slice(header_len + at, room);
        let mut front = [0; ETHERNET_LEN + IPV4_LEN_MAX];
        let front = &mut front[..ETHERNET_LEN + header_len];
        let header = &mut front[ETHERNET_LEN..];
        packet.slice(0, header_len).copy_to(header);
        header[2..4].copy_from_slice(&((header_len + payload.len()) as u16).to_be_bytes());
        header[6..8].copy_from_slice(&word.to_be_bytes());
        header[8] -= 1;
        if at > 0 {
            keep_copied_options(&mut header[IPV4_LEN..]);
        }
        fix_checksum_v4(header);
        self.counters.ipv4.sent.count(header_len + payload.len());
        let destination = [front[30], front[31], front[32], front[33]].into();
        let purposes = (answer_to(path, destination), Need::Bulk);
        self.send_made(path, purposes, front, (EtherType::Ipv4, payload), None, now)
    }

    /// An IPv6 packet for another host.
    pub(super) fn forward_v6(
        &mut self,
        meta: &PacketMeta,
        header: &Ipv6Header,
        packet: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        // RFC 4291 §2.5.2, §2.5.6
        let stays =
            |a: Ipv6Addr| ip::is_link_local(a) || a.is_unspecified() || a.is_loopback() || a.is_multicast();
        if meta.link_broadcast || stays(header.source) || stays(header.destination) {
            return Err(Drop::Ipv6NotForUs);
        }
        let path = self.forward_path(meta, packet, header.hop_limit, now)?;
        if let Some(merged) = Merged::of(meta, packet, (header.next_header, IPV6_LEN)) {
            return self.forward_merged(&path, meta, merged, true, now);
        }
        let head = Head::of_frame(meta.checksum, packet);
        let pieces = head.join(packet).ok_or(Drop::ForwardTooBig)?;
        let packet = Bytes::new(&pieces);
        if packet.len() > usize::from(path.mtu) {
            self.report_forward(meta, &Report::TooBig { mtu: path.mtu }, packet, now);
            return Err(Drop::ForwardTooBig);
        }
        let mut front = [0; ETHERNET_LEN + IPV6_LEN];
        packet.slice(0, IPV6_LEN).copy_to(&mut front[ETHERNET_LEN..]);
        front[ETHERNET_LEN + 7] -= 1;
        let payload = packet.slice(IPV6_LEN, usize::MAX);
        self.counters.ipv6.sent.count(packet.len());
        let purposes = (answer_to(&path, header.destination.into()), Need::Bulk);
        let sent = self.send_made(&path, purposes, &mut front, (EtherType::Ipv6, payload), None, now);
        self.report_unsent(sent, meta, packet, now)
    }

    /// Where a packet goes on, if it may.
    fn forward_path(
        &mut self,
        meta: &PacketMeta,
        packet: Bytes<'_>,
        hop_limit: u8,
        now: Instant,
    ) -> Result<Path, Drop> {
        if hop_limit <= 1 {
            self.report_forward(meta, &Report::TimeExceeded, packet, now);
            return Err(Drop::ForwardHopLimit);
        }
        let path = match self.path(meta.destination, None, None) {
            Ok(path) => path,
            Err(_) => {
                self.report_forward(meta, &Report::NoRoute, packet, now);
                return Err(Drop::NoRoute);
            }
        };
        // RFC 2644: no directed broadcast; and nothing for the inside of this machine.
        let is_inside = self.interface(path.interface).is_none_or(|i| i.is_loopback);
        if is_inside || ip::is_group(path.next_hop) {
            return Err(if meta.destination.is_ipv4() { Drop::Ipv4NotForUs } else { Drop::Ipv6NotForUs });
        }
        Ok(path)
    }

    /// A neighbour that did not answer just now is not asked for each packet.
    pub(super) fn report_unsent(
        &mut self,
        sent: Result<(), Drop>,
        meta: &PacketMeta,
        packet: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        if sent == Err(Drop::NeighborFailed) {
            self.report_forward(meta, &Report::HostUnreachable, packet, now);
        }
        sent
    }

    /// Tells the sender of a packet why it did not go on. Never of a fragment but the first (RFC 1812 §4.3.2.7).
    pub(super) fn report_forward(
        &mut self,
        meta: &PacketMeta,
        report: &Report,
        packet: Bytes<'_>,
        now: Instant,
    ) {
        let transport = match Ipv4Header::parse_quoted(packet.front()) {
            Ok((header, _)) if header.is_later_fragment => return,
            Ok((header, _)) => (header.protocol, packet.slice(header.header_len, usize::MAX).front()),
            Err(_) => v6::last_transport(packet),
        };
        self.report(meta, report.header(meta.source.is_ipv4()), packet, transport, false, now);
    }

    /// Reports the packets of others among those that waited for a neighbour which does not answer.
    pub(super) fn report_waiting(&mut self, waiting: &PacketQueue, now: Instant) {
        let mut quote = [0; QUOTE_LEN];
        let len = waiting.copy_front(&self.pool, ETHERNET_LEN, &mut quote);
        let parts = [&quote[..len]];
        let packet = Bytes::new(&parts);
        let addresses: Option<(IpAddr, IpAddr)> = match Ipv4Header::parse_quoted(packet.front()) {
            Ok((header, _)) => Some((header.source.into(), header.destination.into())),
            Err(_) => {
                let header = Ipv6Header::parse_quoted(packet.front()).ok();
                header.map(|h| (h.source.into(), h.destination.into()))
            }
        };
        let Some((source, destination)) = addresses.filter(|(source, _)| !self.is_ours(*source)) else {
            return;
        };
        let Ok(back) = self.path(source, None, None) else { return };
        let meta = PacketMeta {
            interface: back.interface,
            source,
            destination,
            traffic_class: 0,
            hop_limit: 0,
            checksum: crate::device::RxChecksum::Unchecked,
            segment_len: None,
            link_broadcast: false,
        };
        self.report_forward(&meta, &Report::HostUnreachable, packet, now);
    }
}

/// Leaves those options in the header of a later fragment that belong into each (RFC 791 §3.1); NOPs take the place
/// of the others.
fn keep_copied_options(mut options: &mut [u8]) {
    const NOP: u8 = 1;
    const COPIED: u8 = 0x80;
    while let [kind, rest @ ..] = options {
        let len = match (*kind, rest.first()) {
            (0, _) => return,
            (NOP, _) => 1,
            (_, Some(len)) => usize::from(*len),
            (_, None) => return,
        };
        if len == 0 || len > options.len() {
            return;
        }
        if options[0] & COPIED == 0 {
            options[..len].fill(NOP);
        }
        options = &mut options[len..];
    }
}
