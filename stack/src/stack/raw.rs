//! Where the pipeline meets raw sockets: copies of what comes in, and packets and frames that programs made.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Waker;

use super::Stack;
use super::egress::Devices;
use crate::base::packet_queue::Frame;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::{Mac, RxChecksum};
use crate::error::Error;
use crate::ip::{self, IcmpError, IcmpErrorKind, InterfaceId, PacketMeta, Path};
use crate::link::neighbor::Purpose;
use crate::raw::{Copies, RawFrame, RawHandle, RawKind, RawPacket};
use crate::time::Instant;
use crate::udp::with_zone;
use crate::wire::{
    ETHERNET_LEN, EtherType, EthernetHeader, HOP_LIMIT, IPV4_LEN, IPV4_LEN_MAX, IPV6_LEN, IpHeader, LinkPath,
    emit_ethernet, fix_checksum_v4, protocol, pseudo_header,
};

/// Where an ICMPv6 message has its checksum (RFC 4443 §2.1).
const ICMPV6_CHECKSUM: usize = 2;
/// Types below are lengths (IEEE 802.3 §3.2.6).
const ETHERTYPE_MIN: u16 = 1536;

/// What is asked of a socket for the other kind of packets.
const FRAMES: Error = Error::InvalidInput("a socket for Ethernet frames");
const PACKETS: Error = Error::InvalidInput("a socket for IP packets");

impl Stack<'_> {
    /// Gives raw sockets their copies of an IP packet. True: one of them speaks its protocol.
    pub(super) fn raw_packet_input(
        &mut self,
        meta: &PacketMeta,
        packet: (u8, Bytes<'_>, usize),
        now: Instant,
    ) -> bool {
        if self.raw.is_empty() {
            return false;
        }
        let copies = self.raw.deliver_packet(meta, packet, now, &mut self.pool);
        self.count_copies(copies, now)
    }

    /// Gives raw sockets their copies of an Ethernet frame's payload. True: one of them speaks its type.
    pub(super) fn raw_frame_input(
        &mut self,
        interface: InterfaceId,
        ethernet: &EthernetHeader,
        payload: (Bytes<'_>, RxChecksum),
        now: Instant,
    ) -> bool {
        let Some(ethertype) = ethernet.kind.number().filter(|_| !self.raw.is_empty()) else { return false };
        let addresses = (ethernet.source, ethernet.destination);
        let copies = self.raw.deliver_frame((interface, ethertype), addresses, payload, now, &mut self.pool);
        self.count_copies(copies, now)
    }

    fn count_copies(&mut self, copies: Copies, now: Instant) -> bool {
        (0..copies.lost).for_each(|_| self.count_drop(Drop::RawQueueFull, now));
        copies.wanted > 0
    }

    /// What ICMP says of a packet that a raw socket sent.
    pub(super) fn raw_icmp_error(&mut self, error: &IcmpError) -> Result<(), Drop> {
        let what = match error.kind {
            IcmpErrorKind::TooBig { mtu } => Error::MessageTooLong { limit: mtu.min(u16::MAX.into()) as u16 },
            kind => kind.unreachable().ok_or(Drop::IcmpIgnored)?,
        };
        match self.raw.set_error(error.destination, error.protocol, what) {
            true => Ok(()),
            false => Err(Drop::IcmpForeign),
        }
    }

    /// Opens a raw socket. With an interface it takes that one's packets only, and sends by it; one for
    /// Ethernet frames sends with an interface only.
    ///
    /// It gets what comes from now on, and only what is for this host: its addresses, broadcasts and groups that
    /// it hears. IP packets are whole: fragments are put together before.
    ///
    /// [`Error::InvalidInput`]: an Ethernet type below 1,536. [`Error::DeviceGone`]: there is no such interface.
    /// [`Error::TooManySockets`].
    pub fn raw_open(&mut self, kind: RawKind, interface: Option<InterfaceId>) -> Result<RawHandle, Error> {
        if matches!(kind, RawKind::Ethernet(..ETHERTYPE_MIN)) {
            return Err(Error::InvalidInput("an Ethernet type below 1536"));
        }
        if interface.is_some_and(|id| self.interface(id).is_none()) {
            return Err(Error::DeviceGone);
        }
        self.raw.open(kind, interface, &self.pool)
    }

    /// Closes a raw socket. What is unread is lost.
    pub fn raw_close(&mut self, handle: RawHandle) {
        self.raw.close(handle, &mut self.pool);
    }

    /// From now on the socket takes packets of this host only, sends there by default, and hears of ICMP errors
    /// about what it sent there. `None`: no longer.
    ///
    /// [`Error::AddrInvalid`]: the address is of the other family, or no host's; [`Error::InvalidInput`] for
    /// Ethernet frames.
    pub fn raw_connect(&mut self, handle: RawHandle, peer: Option<IpAddr>) -> Result<(), Error> {
        let socket = self.raw.get_mut(handle)?;
        if matches!(socket.kind, RawKind::Ethernet(_)) {
            return Err(FRAMES);
        }
        if peer.is_some_and(|peer| !socket.kind.is_of(peer) || peer.is_unspecified()) {
            return Err(Error::AddrInvalid);
        }
        socket.peer = peer;
        Ok(())
    }

    /// Packets have their IP headers both ways: what is sent begins with one, and so does what is received.
    ///
    /// What is sent keeps its header: identification, flags, fragment offset, TTL and options (H141). Filled in are
    /// IPv4's header checksum, and its source if that is 0.0.0.0. It is never fragmented.
    pub fn raw_set_header_included(&mut self, handle: RawHandle, on: bool) -> Result<(), Error> {
        let socket = self.raw.get_mut(handle)?;
        if matches!(socket.kind, RawKind::Ethernet(_)) {
            return Err(FRAMES);
        }
        socket.header_included = on;
        Ok(())
    }

    /// Allows or forbids sending to broadcast addresses; forbidden at first.
    pub fn raw_set_broadcast(&mut self, handle: RawHandle, on: bool) -> Result<(), Error> {
        self.raw.get_mut(handle)?.broadcast = on;
        Ok(())
    }

    /// Sets the TTL or hop limit of what the socket sends, 1 to 255; `None`: 64, or 1 to groups.
    pub fn raw_set_hop_limit(&mut self, handle: RawHandle, hop_limit: Option<u8>) -> Result<(), Error> {
        if hop_limit == Some(0) {
            return Err(Error::InvalidInput("a TTL or hop limit of 0"));
        }
        self.raw.get_mut(handle)?.hop_limit = hop_limit;
        Ok(())
    }

    /// What the socket takes and sends.
    pub fn raw_kind(&self, handle: RawHandle) -> Result<RawKind, Error> {
        Ok(self.raw.get(handle)?.kind)
    }

    /// Would a call that receives give something?
    pub fn raw_is_readable(&self, handle: RawHandle) -> Result<bool, Error> {
        Ok(self.raw.get(handle)?.is_readable())
    }

    /// Wakes `waker` when a receive would give something.
    pub fn raw_register(&mut self, handle: RawHandle, waker: &Waker) -> Result<(), Error> {
        self.raw.wait(handle, waker)
    }

    /// Takes the oldest unread packet of a socket for IP.
    ///
    /// [`Error::WouldBlock`]: there is none, and `waker` is woken when one comes; [`Error::InvalidInput`] for
    /// Ethernet frames; what ICMP said, after what came before it.
    pub fn raw_receive(
        &mut self,
        handle: RawHandle,
        buf: &mut [u8],
        waker: Option<&Waker>,
    ) -> Result<RawPacket, Error> {
        if matches!(self.raw.get(handle)?.kind, RawKind::Ethernet(_)) {
            return Err(FRAMES);
        }
        let result = self.raw.receive_packet(handle, buf, &mut self.pool);
        self.raw_wait(handle, result, waker)
    }

    /// Takes the oldest unread frame of a socket for Ethernet.
    ///
    /// [`Error::WouldBlock`]: there is none, and `waker` is woken when one comes; [`Error::InvalidInput`] for IP
    /// packets.
    pub fn raw_receive_frame(
        &mut self,
        handle: RawHandle,
        buf: &mut [u8],
        waker: Option<&Waker>,
    ) -> Result<RawFrame, Error> {
        if !matches!(self.raw.get(handle)?.kind, RawKind::Ethernet(_)) {
            return Err(PACKETS);
        }
        let result = self.raw.receive_frame(handle, buf, &mut self.pool);
        self.raw_wait(handle, result, waker)
    }

    /// One that is tied to an interface which is gone says so when all was read (H177).
    fn raw_wait<R>(
        &mut self,
        handle: RawHandle,
        result: Result<R, Error>,
        waker: Option<&Waker>,
    ) -> Result<R, Error> {
        if let Err(Error::WouldBlock) = result {
            self.raw_interface(handle)?;
            if let Some(waker) = waker {
                self.raw.wait(handle, waker)?;
            }
        }
        result
    }

    fn raw_interface(&self, handle: RawHandle) -> Result<Option<InterfaceId>, Error> {
        let interface = self.raw.get(handle)?.interface;
        match interface {
            Some(id) if self.interface(id).is_none() => Err(Error::DeviceGone),
            interface => Ok(interface),
        }
    }

    /// Sends a packet to `to` (its port is of no meaning, its scope id names an interface), or to the connected
    /// peer. `data` is what follows the IP header, or the whole packet with
    /// [`raw_set_header_included`](Self::raw_set_header_included). An ICMPv6 message gets its checksum (RFC 3542 §3.1);
    /// nothing else is changed (H203). Returns its length.
    ///
    /// [`Error::WouldBlock`]: the device's queue is full, and `waker` is woken when it has room.
    /// [`Error::MessageTooLong`], [`Error::NetUnreachable`], [`Error::BroadcastNotAllowed`],
    /// [`Error::NotConnected`] (no `to` and no peer), [`Error::AddrInvalid`] (of the other family),
    /// [`Error::InvalidInput`] (a header that does not fit the packet), [`Error::InvalidInput`] for Ethernet frames, and
    /// what ICMP said about earlier packets.
    pub fn raw_send(
        &mut self,
        handle: RawHandle,
        to: Option<SocketAddr>,
        data: &[u8],
        (waker, devices): (Option<&Waker>, Option<&mut dyn Devices>),
        now: Instant,
    ) -> Result<usize, Error> {
        if let Some(error) = self.raw.get_mut(handle)?.take_error() {
            return Err(error);
        }
        let interface = self.raw_interface(handle)?;
        let socket = self.raw.get(handle)?;
        let peer = socket.peer.map(|peer| with_zone(peer, 0, interface.map_or(0, InterfaceId::zone)));
        let to = to.or(peer).ok_or(Error::NotConnected)?;
        let destination = to.ip().to_canonical();
        let number = match socket.kind {
            RawKind::Ethernet(_) => return Err(FRAMES),
            RawKind::Ipv4(number) | RawKind::Ipv6(number) => number,
        };
        if !socket.kind.is_of(destination) {
            return Err(Error::AddrInvalid);
        }
        let (header_included, broadcast, hop_limit) =
            (socket.header_included, socket.broadcast, socket.hop_limit);
        let path = self.path(destination, self.named_zone(&to)?.or(interface), None)?;
        if path.next_hop == IpAddr::V4(Ipv4Addr::BROADCAST) && !broadcast {
            return Err(Error::BroadcastNotAllowed);
        }
        let sent = if header_included {
            self.raw_send_whole(&path, destination, data, devices, now)?
        } else {
            let default = match ip::is_group(destination) {
                true => 1,
                false => self.hop_limit(path.interface, destination, HOP_LIMIT),
            };
            let ip = IpHeader {
                hop_limit: hop_limit.unwrap_or(default),
                ..IpHeader::new(path.source, destination, number, 0)
            };
            self.raw_send_payload(&path, &ip, data, devices, now)?
        };
        match sent {
            Ok(()) => Ok(data.len()),
            Err(drop) => self.not_sent(drop, path.interface, waker, now).map(|()| data.len()),
        }
    }

    /// The outer result is the caller's fault, the inner what became of the packet.
    fn raw_send_payload(
        &mut self,
        path: &Path,
        ip: &IpHeader,
        data: &[u8],
        devices: Option<&mut dyn Devices>,
        now: Instant,
    ) -> Result<Result<(), Drop>, Error> {
        let mut front = [0; ICMPV6_CHECKSUM + 2];
        let (head, body) = match data.split_at_checked(front.len()) {
            Some((head, body)) if ip.protocol == protocol::ICMPV6 => {
                front.copy_from_slice(head);
                front[ICMPV6_CHECKSUM..].fill(0);
                let mut sum = pseudo_header(ip.source, ip.destination, ip.protocol, data.len());
                sum.add(&front);
                sum.add(body);
                front[ICMPV6_CHECKSUM..].copy_from_slice(&sum.finish().to_be_bytes());
                (&front[..], body)
            }
            None if ip.protocol == protocol::ICMPV6 => {
                return Err(Error::InvalidInput("an ICMPv6 message shorter than its header"));
            }
            _ => (&[][..], data),
        };
        let body = [body];
        let parts = (head, Bytes::new(&body));
        let purposes = (Purpose::Own, Need::Send);
        #[cfg(feature = "fragments")]
        let sent = {
            let path = self.as_learnt(*path, ip.destination);
            self.send_in_parts(&path, purposes, ip, parts, devices, now)
        };
        #[cfg(not(feature = "fragments"))]
        let sent = self.try_send(path, purposes, ip, parts, devices, now);
        if sent == Err(Drop::PacketTooBig) {
            let limit = usize::from(path.mtu) - crate::wire::ip_len(ip.destination);
            return Err(Error::MessageTooLong { limit: limit as u16 });
        }
        Ok(sent)
    }

    /// Sends a packet with the program's own IP header.
    fn raw_send_whole(
        &mut self,
        path: &Path,
        destination: IpAddr,
        packet: &[u8],
        devices: Option<&mut dyn Devices>,
        now: Instant,
    ) -> Result<Result<(), Drop>, Error> {
        if packet.len() > usize::from(path.mtu) {
            return Err(Error::MessageTooLong { limit: path.mtu });
        }
        let mut front = [0; ETHERNET_LEN + IPV4_LEN_MAX];
        let (kind, len) = match (destination, path.source) {
            (IpAddr::V4(to), IpAddr::V4(source)) => {
                let header = check_ipv4(packet, to)?;
                front[ETHERNET_LEN..][..header.len()].copy_from_slice(header);
                complete_ipv4(&mut front[ETHERNET_LEN..][..header.len()], source);
                (EtherType::Ipv4, header.len())
            }
            _ => {
                let header = check_ipv6(packet, destination)?;
                front[ETHERNET_LEN..][..header.len()].copy_from_slice(header);
                (EtherType::Ipv6, header.len())
            }
        };
        let body = [&packet[len..]];
        let (front, body) = (&mut front[..ETHERNET_LEN + len], Bytes::new(&body));
        let (is_v4, counters) = (destination.is_ipv4(), &mut self.counters);
        let counter = if is_v4 { &mut counters.ipv4.sent } else { &mut counters.ipv6.sent };
        counter.count(packet.len());
        let purposes = (Purpose::Own, Need::Send);
        Ok(self.send_made(path, purposes, front, (kind, body), devices, now))
    }

    /// Sends an Ethernet frame of the socket's type to a hardware address, from that of the socket's interface.
    /// Returns the length of its payload.
    ///
    /// [`Error::WouldBlock`]: the device's queue is full, and `waker` is woken when it has room.
    /// [`Error::MessageTooLong`]: more than the device's MTU (H143). [`Error::NotConnected`]: the socket has no
    /// interface. [`Error::DeviceGone`]; [`Error::InvalidInput`] for IP packets.
    pub fn raw_send_frame(
        &mut self,
        handle: RawHandle,
        to: Mac,
        payload: &[u8],
        (waker, devices): (Option<&Waker>, Option<&mut dyn Devices>),
        now: Instant,
    ) -> Result<usize, Error> {
        let RawKind::Ethernet(ethertype) = self.raw.get(handle)?.kind else {
            return Err(PACKETS);
        };
        let id = self.raw_interface(handle)?.ok_or(Error::NotConnected)?;
        let interface = self.interface(id).ok_or(Error::DeviceGone)?;
        if payload.len() > usize::from(interface.mtu()) {
            return Err(Error::MessageTooLong { limit: interface.mtu() });
        }
        let is_first = interface.queue.is_empty() && !interface.device_full;
        let mut header = [0; ETHERNET_LEN];
        let link = LinkPath { source: interface.capabilities.mac, destination: to };
        emit_ethernet(&mut header, &link, EtherType::Other(ethertype));
        let body = [payload];
        let body = Bytes::new(&body);
        let at_once = devices.filter(|_| is_first).and_then(|d| d.device(id));
        let sent = match at_once.and_then(|device| self.transmit_at_once(device, &header, body)) {
            Some(sent) => sent,
            None => self.queue_frame(id, &Frame::new([&header, &[]], body), Need::Send),
        };
        match sent {
            Ok(()) => Ok(payload.len()),
            Err(drop) => self.not_sent(drop, id, waker, now).map(|()| payload.len()),
        }
    }
}

/// The header of an IPv4 packet that a program made.
fn check_ipv4(packet: &[u8], to: Ipv4Addr) -> Result<&[u8], Error> {
    let fixed = packet.first_chunk::<IPV4_LEN>().ok_or(Error::InvalidInput("shorter than an IPv4 header"))?;
    let (version, len) = (fixed[0] >> 4, usize::from(fixed[0] & 0xf) * 4);
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if version != 4 || len < IPV4_LEN {
        return Err(Error::InvalidInput("no IPv4 header"));
    }
    if total != packet.len() || len > total {
        return Err(Error::InvalidInput("the lengths in the IPv4 header are not the packet's"));
    }
    if fixed[16..] != to.octets() {
        return Err(Error::InvalidInput("the IPv4 header names another destination"));
    }
    Ok(&packet[..len])
}

/// Fills in what a host knows better: the source, where there is none, and the checksum.
fn complete_ipv4(header: &mut [u8], source: Ipv4Addr) {
    if header[12..16] == [0; 4] {
        header[12..16].copy_from_slice(&source.octets());
    }
    fix_checksum_v4(header);
}

/// The header of an IPv6 packet that a program made.
fn check_ipv6(packet: &[u8], to: IpAddr) -> Result<&[u8], Error> {
    let fixed = packet.first_chunk::<IPV6_LEN>().ok_or(Error::InvalidInput("shorter than an IPv6 header"))?;
    if fixed[0] >> 4 != 6 {
        return Err(Error::InvalidInput("no IPv6 header"));
    }
    if usize::from(u16::from_be_bytes([fixed[4], fixed[5]])) != packet.len() - IPV6_LEN {
        return Err(Error::InvalidInput("the length in the IPv6 header is not the packet's"));
    }
    if !matches!(to, IpAddr::V6(to) if fixed[24..] == to.octets()) {
        return Err(Error::InvalidInput("the IPv6 header names another destination"));
    }
    Ok(fixed)
}
