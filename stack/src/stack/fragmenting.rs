//! Datagrams that are larger than their path: cut into fragments (RFC 791 §3.2, RFC 8200 §4.5), or refused, as
//! their socket asks.

use core::net::IpAddr;

use super::{Devices, QUEUE_MAX, Stack};
use crate::base::packet_queue::Frame;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::Mac;
use crate::error::Error;
use crate::ip::path_mtu::reduced;
use crate::ip::{IcmpError, InterfaceId, Path, v6};
use crate::link::neighbor::{Purpose, WAITING_MAX};
use crate::time::Instant;
use crate::udp::{DatagramHandle, DatagramKind, DontFragment};
use crate::wire::{
    self, ETHERNET_LEN, FRAGMENT_LEN, FragmentHeader, HEADERS_LEN_MAX, IpHeader, LinkPath, UDP_LEN, icmpv4,
    icmpv6, ip_len, make_fragment_v4, protocol,
};

/// The longest payload of an IP packet: IPv4's length counts its own header.
const fn payload_max(destination: IpAddr) -> usize {
    65_535 - if destination.is_ipv4() { ip_len(destination) } else { 0 }
}

/// Counters for identifications, of which a destination uses one.
pub(super) const IDENTS: usize = 8;

/// A part of a datagram.
struct Part {
    ident: u32,
    offset: usize,
    len: usize,
    more: bool,
}

impl Stack<'_> {
    /// The longest payload that a socket may send to a destination whose path is known.
    pub(super) fn datagram_limit(&self, path: &Path, destination: IpAddr, choice: DontFragment) -> usize {
        let whole = match choice {
            DontFragment::No => return payload_max(destination) - UDP_LEN,
            DontFragment::Yes => path.mtu,
            DontFragment::Probe => self.interface(path.interface).map_or(path.mtu, |i| i.mtu()),
        };
        usize::from(whole) - ip_len(destination) - UDP_LEN
    }

    /// The path with what routers said of it (RFC 1191, RFC 8201).
    pub(super) fn as_learnt(&self, path: Path, destination: IpAddr) -> Path {
        let known = self.path_mtus.of(destination).unwrap_or(path.mtu);
        Path { mtu: path.mtu.min(known), ..path }
    }

    /// As [`try_send`](Stack::try_send), in fragments if the packet is larger than its path.
    pub(super) fn send_in_parts(
        &mut self,
        path: &Path,
        (purpose, need): (Purpose, Need),
        ip: &IpHeader,
        (transport, payload): (&[u8], Bytes<'_>),
        devices: Option<&mut dyn Devices>,
        now: Instant,
    ) -> Result<(), Drop> {
        let len = transport.len() + payload.len();
        if ip_len(ip.destination) + len <= path.mtu.into() {
            return self.try_send(path, (purpose, need), ip, (transport, payload), devices, now);
        }
        if len > payload_max(ip.destination) {
            return Err(Drop::PacketTooBig);
        }
        let headers = ip_len(ip.destination) + if ip.destination.is_ipv4() { 0 } else { FRAGMENT_LEN };
        // Every part but the last is a multiple of eight bytes, and the first has the transport's header.
        let room =
            (usize::from(path.mtu).saturating_sub(headers) & !7).max(transport.len().next_multiple_of(8));
        let count = len.div_ceil(room);
        let mac = self.resolve(path, purpose, now).hop()?;
        if mac.is_some() {
            self.has_room_for(path.interface, count, len + count * (ETHERNET_LEN + headers), need)?;
        }
        let ident = self.next_ident(ip.source, ip.destination);
        for offset in (0..len).step_by(room) {
            let part = Part { ident, offset, len: room.min(len - offset), more: offset + room < len };
            self.send_part((path, mac), (purpose, need), ip, part, (transport, payload), count, now)?;
        }
        Ok(())
    }

    /// Sends a part of a transport's header and payload, or lets it wait for the neighbour.
    #[expect(clippy::too_many_arguments, reason = "what one packet needs, and the part")]
    fn send_part(
        &mut self,
        (path, mac): (&Path, Option<Mac>),
        (purpose, need): (Purpose, Need),
        ip: &IpHeader,
        part: Part,
        (transport, payload): (&[u8], Bytes<'_>),
        count: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        let source = self.interface(path.interface).ok_or(Drop::InterfaceGone)?.capabilities.mac;
        let link = LinkPath { source, destination: mac.unwrap_or_default() };
        let mut headers = [0; HEADERS_LEN_MAX + FRAGMENT_LEN];
        let len = emit_part(&mut headers, &link, ip, &part);
        // The first part begins with the transport's header, which is shorter than any.
        let (transport, from) = match part.offset {
            0 => (transport, 0),
            offset => (&[][..], offset - transport.len()),
        };
        let payload = payload.slice(from, part.len - transport.len());
        let frame = Frame::new([&headers[..len], transport], payload);
        self.count_packet(&IpHeader { payload_len: part.len, ..*ip }, frame.len() - ETHERNET_LEN);
        match mac {
            Some(_) => self.queue_frame(path.interface, &frame, need),
            None => self.queue_at_neighbor(path, (purpose, need), &frame, count + WAITING_MAX - 1, now),
        }
    }

    /// Is there room for all fragments of a datagram? One that lacks a part is of no use to anybody (H074).
    fn has_room_for(&self, id: InterfaceId, count: usize, bytes: usize, need: Need) -> Result<(), Drop> {
        let interface = self.interface(id).ok_or(Drop::InterfaceGone)?;
        let share = self.pool.capacity() / 4;
        // Each has its length before it, and the last block is not full.
        let bytes = bytes + 4 * count + self.pool.block_len();
        if count > QUEUE_MAX || bytes > share {
            return Err(Drop::OutOfMemory);
        }
        if interface.queue.packets() + count > QUEUE_MAX || interface.queue.held(&self.pool) + bytes > share {
            return Err(Drop::EgressQueueFull);
        }
        if self.pool.beyond(need) < bytes { Err(Drop::OutOfMemory) } else { Ok(()) }
    }

    /// The identification of a datagram in fragments: not foreseen by who gets others, and not the same again
    /// to this destination for as long as there are numbers (RFC 7739 §5.3).
    //= rfc6864#4.3
    fn next_ident(&mut self, source: IpAddr, destination: IpAddr) -> u32 {
        let offset = self.datagrams.keyed(&(0u8, source, destination));
        let which = self.datagrams.keyed(&(1u8, source, destination)) as usize % IDENTS;
        let counter = &mut self.idents[which];
        *counter = counter.wrapping_add(1);
        offset.wrapping_add(*counter)
    }

    /// A router says that a datagram of ours was too big.
    pub(super) fn datagram_too_big(
        &mut self,
        error: &IcmpError,
        claimed: u32,
        now: Instant,
    ) -> Result<(), Drop> {
        let to = error.destination;
        let (kind, port, peer_port) = error.datagram_ports().ok_or(Drop::IcmpForeign)?;
        let (local, peer) = ((error.source, port), (to, peer_port));
        // H083: a socket that could have sent it; and of UDP, one that is longer than what would fit.
        let is_longer =
            kind == DatagramKind::Echo || u32::from(error.udp_len()) + ip_len(to) as u32 > claimed;
        if !is_longer || !self.datagrams.may_have_sent(kind, local, peer) {
            return Err(Drop::IcmpForeign);
        }
        let path = self.path(to, None, Some(error.source)).map_err(|_| Drop::IcmpForeign)?;
        let current = self.as_learnt(path, to).mtu;
        let mtu = reduced(current, claimed, to).ok_or(Drop::IcmpIgnored)?;
        self.learn_path(to, mtu, now); // H075
        let limit = mtu - (ip_len(to) + UDP_LEN) as u16;
        self.datagrams.set_too_long(kind, local, peer, limit);
        Ok(())
    }

    /// The largest IP packet in bytes that fits through the path to `to`, as far as is known: its interface's MTU,
    /// or less if a router has said so in the last ten minutes.
    pub fn datagram_path_mtu(&self, handle: DatagramHandle, to: core::net::SocketAddr) -> Result<u16, Error> {
        let path = self.datagram_path(self.datagrams.get(handle)?, None, &to)?;
        Ok(self.as_learnt(path, to.ip().to_canonical()).mtu)
    }

    /// Sets what is done with datagrams that are larger than their path.
    pub fn datagram_set_dont_fragment(
        &mut self,
        handle: DatagramHandle,
        choice: DontFragment,
    ) -> Result<(), Error> {
        self.datagrams.get_mut(handle)?.dont_fragment = choice;
        Ok(())
    }

    /// What is done with datagrams that are larger than their path.
    pub fn datagram_dont_fragment(&self, handle: DatagramHandle) -> Result<DontFragment, Error> {
        Ok(self.datagrams.get(handle)?.dont_fragment)
    }
}

/// Writes the headers of a fragment, and returns their length.
fn emit_part(
    buf: &mut [u8; HEADERS_LEN_MAX + FRAGMENT_LEN],
    link: &LinkPath,
    ip: &IpHeader,
    part: &Part,
) -> usize {
    match ip.destination {
        IpAddr::V4(_) => {
            let len = wire::emit_headers(buf, link, &IpHeader { payload_len: part.len, ..*ip });
            make_fragment_v4(&mut buf[ETHERNET_LEN..len], part.ident as u16, part.offset as u32, part.more);
            len
        }
        IpAddr::V6(_) => {
            let outer = IpHeader { protocol: v6::FRAGMENT, payload_len: FRAGMENT_LEN + part.len, ..*ip };
            let len = wire::emit_headers(buf, link, &outer);
            let header = FragmentHeader {
                next_header: ip.protocol,
                offset: part.offset as u32,
                more: part.more,
                ident: part.ident,
            };
            buf[len..len + FRAGMENT_LEN].copy_from_slice(&header.emit());
            len + FRAGMENT_LEN
        }
    }
}

impl IcmpError {
    /// Which datagram socket's the quoted packet is: its kind, port and the peer's. An echo request has none of these.
    fn datagram_ports(&self) -> Option<(DatagramKind, u16, u16)> {
        match (self.protocol, self.quoted[0]) {
            (protocol::UDP, _) => Some((DatagramKind::Udp, self.source_port(), self.destination_port())),
            (protocol::ICMP, icmpv4::ECHO) | (protocol::ICMPV6, icmpv6::ECHO) => {
                Some((DatagramKind::Echo, (self.seq() >> 16) as u16, 0))
            }
            _ => None,
        }
    }

    /// Length of the quoted UDP datagram.
    const fn udp_len(&self) -> u16 {
        (self.seq() >> 16) as u16
    }
}
