//! Where the pipeline meets datagram sockets: UDP, and ICMP echo for programs that ping.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Waker;

use super::Stack;
use super::egress::Devices;
use super::icmp::icmp_message;
use super::udp_plain::served;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::RxChecksum;
use crate::device::merged::TAKES_MERGED_DATAGRAMS;
use crate::error::Error;
use crate::ip::{self, IcmpError, InterfaceId, PacketMeta, Path};
use crate::link::neighbor::Purpose;
use crate::time::Instant;
#[cfg(feature = "fragments")]
use crate::udp::DontFragment;
use crate::udp::{DatagramHandle, DatagramKind, DatagramSocket, Families, Received, Undelivered};
use crate::wire::{
    HOP_LIMIT, ICMP_LEN, IcmpHeader, IpHeader, UDP_LEN, UdpHeader, icmpv4, icmpv6, protocol, pseudo_header,
};

/// RFC 1112 §6.1: a group's datagrams stay on the link unless the program says otherwise (H134).
const GROUP_HOP_LIMIT: u8 = 1;
/// The port of a client of DHCP (RFC 2131 §4.1).
const DHCP_CLIENT: u16 = 68;

impl Stack<'_> {
    /// A datagram for one of our addresses or a group of ours; `packet` starts at the IP header.
    pub(super) fn udp_input(
        &mut self,
        meta: &PacketMeta,
        packet: Bytes<'_>,
        offset: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        let datagram = packet.slice(offset, usize::MAX);
        let header = UdpHeader::parse(datagram)?;
        let datagram = datagram.slice(0, header.len);
        // What could not be taken apart (`device::merged`).
        if TAKES_MERGED_DATAGRAMS
            && meta.segment_len.is_some_and(|len| usize::from(len) + UDP_LEN < header.len)
        {
            return Err(Drop::UdpMalformed);
        }
        check(meta, &header, datagram)?;
        let ports = (header.source, header.destination);
        let payload = datagram.slice(UDP_LEN, usize::MAX);
        #[cfg(feature = "dns")]
        if let Some(result) = self.names_input(meta, ports, payload, now) {
            return result;
        }
        #[cfg(feature = "mdns")]
        if ports.1 == crate::names::mdns::MDNS_PORT
            && let Some(result) = self.mdns_input(meta, ports, payload, now)
        {
            return result;
        }
        #[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
        let refusal = match self.client_input(meta, header.destination, payload, now) {
            Some(Ok(())) => return Ok(()),
            refusal => refusal,
        };
        match self.deliver(DatagramKind::Udp, meta, ports, payload, now) {
            #[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
            Err(Undelivered::NoSocket) if refusal.is_some() => refusal.unwrap_or(Err(Drop::UdpNoSocket)),
            Err(why) => {
                if why == Undelivered::NoSocket {
                    self.report_port(meta, packet, protocol::UDP, now);
                }
                Err(refused(why))
            }
            Ok(socket) => {
                self.served_socket = served(socket.filter(|_| !is_clients(ports.1)), ports.0);
                Ok(())
            }
        }
    }

    /// A datagram for the port of one of DHCP's clients. `None`: it is for none of them; an error: that did not take it.
    #[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
    fn client_input(
        &mut self,
        meta: &PacketMeta,
        port: u16,
        payload: Bytes<'_>,
        now: Instant,
    ) -> Option<Result<(), Drop>> {
        match port {
            #[cfg(feature = "dhcpv4")]
            DHCP_CLIENT => self.dhcp_input(meta, payload, now),
            #[cfg(feature = "dhcpv6")]
            crate::wire::DHCPV6_CLIENT => self.dhcpv6_input(meta, payload, now),
            _ => None,
        }
    }

    /// A datagram for an address that an interface without one is offered, or so it may be: for the
    /// client of DHCP, and nobody else.
    pub(super) fn offer_input(
        &mut self,
        meta: &PacketMeta,
        packet: Bytes<'_>,
        offset: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        if cfg!(not(feature = "udp")) {
            return Err(Drop::Ipv4NotForUs);
        }
        let datagram = packet.slice(offset, usize::MAX);
        let header = UdpHeader::parse(datagram)?;
        let ports = (header.source, header.destination);
        #[cfg(feature = "dhcpv4")]
        let has_client = self.dhcp(meta.interface).is_some();
        #[cfg(not(feature = "dhcpv4"))]
        let has_client = false;
        let is_wanted = header.destination == DHCP_CLIENT
            && (has_client || self.datagrams.has_socket(DatagramKind::Udp, meta, ports));
        match is_wanted {
            true => {
                self.counters.udp.received.count(datagram.len());
                self.udp_input(meta, packet, offset, now)
            }
            false => Err(Drop::Ipv4NotForUs),
        }
    }

    /// An echo reply for a socket that pings.
    pub(super) fn echo_input(
        &mut self,
        meta: &PacketMeta,
        header: &IcmpHeader,
        body: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        let (ident, seq) = header.echo();
        match self.deliver(DatagramKind::Echo, meta, (seq, ident), body, now) {
            Ok(_) => {
                // The request got there: so the way to it is good.
                if let Ok(path) = self.path(meta.source, Some(meta.interface), Some(meta.destination)) {
                    self.confirm_neighbor(&path, now);
                }
                Ok(())
            }
            Err(Undelivered::NoSocket) => Err(Drop::IcmpNoSocket),
            Err(why) => Err(refused(why)),
        }
    }

    fn deliver(
        &mut self,
        kind: DatagramKind,
        meta: &PacketMeta,
        ports: (u16, u16),
        payload: Bytes<'_>,
        now: Instant,
    ) -> Result<Option<u32>, Undelivered> {
        self.datagrams.deliver(kind, meta, ports, payload, &mut self.pool, now)
    }

    /// An ICMP error, or our own failure to reach a neighbour, about a datagram that has one of our
    /// addresses as its source.
    pub(super) fn datagram_error(&mut self, error: &IcmpError) -> Result<(), Drop> {
        if cfg!(not(feature = "udp")) {
            return Err(Drop::IcmpForeign); // we can't have sent it
        }
        // The size of a datagram is checked against the link; the rest does not last.
        let what = error.kind.unreachable().ok_or(Drop::IcmpIgnored)?;
        #[cfg(feature = "dns")]
        if error.protocol == protocol::UDP && self.names_error(error) {
            return Ok(());
        }
        let (kind, port, peer_port) = match error.protocol {
            protocol::UDP => (DatagramKind::Udp, error.source_port(), error.destination_port()),
            // The quoted echo request: type, code, checksum, identifier.
            _ => (DatagramKind::Echo, (error.seq() >> 16) as u16, 0),
        };
        let (local, peer) = ((error.source, port), (error.destination, peer_port));
        if self.datagrams.set_error(kind, local, peer, what) { Ok(()) } else { Err(Drop::IcmpForeign) }
    }

    /// Looks for the path of a datagram, and remembers it for the next one to the same peer.
    fn find_datagram_path(&mut self, handle: DatagramHandle, to: SocketAddr) -> Result<Path, Error> {
        let path = self.datagram_path(self.datagrams.get(handle)?, None, &to)?;
        #[cfg(feature = "fragments")]
        let path = self.as_learnt(path, to.ip().to_canonical());
        self.datagrams.get_mut(handle)?.note_path(&to, self.paths_epoch, path);
        Ok(path)
    }

    pub(super) fn datagram_path(
        &self,
        socket: &DatagramSocket,
        from: Option<IpAddr>,
        peer: &SocketAddr,
    ) -> Result<Path, Error> {
        let to = peer.ip().to_canonical();
        let family_fits = match socket.families {
            Families::Both => true,
            Families::V4 => to.is_ipv4(),
            Families::V6 => to.is_ipv6(),
        };
        if !family_fits {
            return Err(Error::AddrInvalid);
        }
        self.still_bound(socket)?;
        let zone = self.named_zone(peer)?.or(socket.zone);
        #[cfg(feature = "multicast")]
        let zone = zone.or(socket.multicast.interface.filter(|_| to.is_multicast()));
        let own = from.or(socket.local).filter(|a| self.is_ours(*a));
        let path = self.path(to, zone, own);
        match to {
            // DHCP by hand: an interface without an address broadcasts from 0.0.0.0, not from another's.
            IpAddr::V4(Ipv4Addr::BROADCAST) if own.is_none() => match path {
                Ok(path) if self.addresses.has_usable(path.interface, path.source) => Ok(path),
                _ => self.path(to, zone, Some(Ipv4Addr::UNSPECIFIED.into())),
            },
            _ => path,
        }
    }

    /// Sends a datagram to `to`, or to the connected peer; for an echo socket, an echo request
    /// whose sequence number is the port of `to`. Returns its length.
    ///
    /// [`Error::WouldBlock`]: the device's queue is full, and `waker` is woken when it has room.
    /// [`Error::MessageTooLong`], [`Error::NetUnreachable`], [`Error::BroadcastNotAllowed`],
    /// [`Error::NotConnected`] (no `to` and no peer) and what ICMP said about earlier datagrams.
    /// [`Error::AddrNotAvailable`], [`Error::DeviceGone`]: the socket's address or interface was taken
    /// away, for as long as it is.
    pub fn datagram_send(
        &mut self,
        handle: DatagramHandle,
        to: Option<SocketAddr>,
        data: &[u8],
        waker: Option<&Waker>,
        now: Instant,
    ) -> Result<usize, Error> {
        self.datagram_send_by(handle, (None, to), Bytes::new(&[data]), (waker, None), now)
    }

    /// The same, and it goes straight to its device, if that has room, nothing waits there before it and the
    /// neighbour is known: then it is copied once, and no turn is needed for it.
    pub fn datagram_send_at_once(
        &mut self,
        handle: DatagramHandle,
        to: Option<SocketAddr>,
        data: &[u8],
        waker: Option<&Waker>,
        devices: &mut dyn Devices,
        now: Instant,
    ) -> Result<usize, Error> {
        self.datagram_send_by(handle, (None, to), Bytes::new(&[data]), (waker, Some(devices)), now)
    }

    /// The same for one datagram whose data lie in several parts.
    pub fn datagram_send_vectored(
        &mut self,
        handle: DatagramHandle,
        to: Option<SocketAddr>,
        parts: &[&[u8]],
        waker: Option<&Waker>,
        devices: &mut dyn Devices,
        now: Instant,
    ) -> Result<usize, Error> {
        self.datagram_send_by(handle, (None, to), Bytes::new(parts), (waker, Some(devices)), now)
    }

    pub(super) fn datagram_send_by(
        &mut self,
        handle: DatagramHandle,
        (from, to): (Option<IpAddr>, Option<SocketAddr>),
        data: Bytes<'_>,
        (waker, mut devices): (Option<&Waker>, Option<&mut dyn Devices>),
        now: Instant,
    ) -> Result<usize, Error> {
        if let (None, Some(devices)) = (from, devices.as_deref_mut())
            && let Some(sent) = self.datagram_send_plain(handle, to.as_ref(), (data, None), devices, now)
        {
            // All of it, since the device has it or refused it.
            _ = sent.map_err(|drop| self.count_drop(drop, now));
            return Ok(data.len());
        }
        let socket = self.datagrams.get_mut(handle)?;
        if let Some(error) = socket.take_error() {
            return Err(error);
        }
        let to = to.or_else(|| socket.remote()).ok_or(Error::NotConnected)?;
        if !has_port(socket, &to) {
            return Err(Error::AddrInvalid);
        }
        let socket = self.datagrams.get(handle)?;
        let known_path = socket.known_path(&to, self.paths_epoch);
        let path = match (from, known_path) {
            (None, Some(path)) => path,
            (None, None) => self.find_datagram_path(handle, to)?,
            (Some(from), _) => self.datagram_path_from(handle, from, &to)?,
        };
        let socket = self.datagrams.get(handle)?;
        let destination = to.ip().to_canonical();
        let is_broadcast = path.next_hop == IpAddr::V4(Ipv4Addr::BROADCAST);
        if is_broadcast && !socket.broadcast {
            return Err(Error::BroadcastNotAllowed);
        }
        #[cfg(feature = "fragments")]
        let limit = self.datagram_limit(&path, destination, socket.dont_fragment);
        #[cfg(not(feature = "fragments"))]
        let limit = usize::from(path.mtu) - crate::wire::ip_len(destination) - UDP_LEN;
        if data.len() > limit {
            return Err(Error::MessageTooLong { limit: limit as u16 });
        }
        let default = match ip::is_group(destination) && !is_broadcast {
            true => GROUP_HOP_LIMIT,
            false => self.hop_limit(path.interface, destination, HOP_LIMIT),
        };
        let hop_limit = socket.hop_limit.unwrap_or(default);
        #[cfg(feature = "multicast")]
        let hop_limit = if destination.is_multicast() { socket.multicast.ttl } else { hop_limit };
        #[cfg(feature = "multicast")]
        let looped = (socket.multicast.is_looped && socket.kind == DatagramKind::Udp).then_some(socket.port);
        let (number, header) = header(socket, to.port(), path.source, destination, data);
        let traffic_class = socket.traffic_class;
        let ip = IpHeader {
            hop_limit,
            traffic_class,
            flow_label: self.datagrams.flow_label(path.source, destination, (socket.port, to.port())),
            ..IpHeader::new(path.source, destination, number, 0)
        };
        let purposes = (Purpose::Own, Need::Send);
        let parts = (&header[..], data);
        #[cfg(feature = "fragments")]
        let sent = match socket.dont_fragment {
            DontFragment::No => self.send_in_parts(&path, purposes, &ip, parts, devices, now),
            _ => {
                let path = Path { mtu: u16::MAX, ..path }; // within the limit
                self.try_send(&path, purposes, &ip, parts, devices, now)
            }
        };
        #[cfg(not(feature = "fragments"))]
        let sent = self.try_send(&path, purposes, &ip, parts, devices, now);
        #[cfg(feature = "multicast")]
        if let Some(own_port) = looped.filter(|_| sent.is_ok() && self.is_joined(path.interface, destination))
        {
            let from = (path.interface, path.source);
            self.loop_back(from, (destination, to.port()), own_port, (hop_limit, traffic_class), data, now);
        }
        match sent {
            Ok(()) => {
                if from.is_none() && known_path.is_some() {
                    self.note_datagram_way(handle, &to, path);
                }
                Ok(data.len())
            }
            Err(drop) => self.not_sent(drop, path.interface, waker, now).map(|()| data.len()),
        }
    }

    /// What the sender of a datagram is told about its drop. Those for which it can't do anything
    /// are losses on the way, as datagrams may be lost.
    pub(super) fn not_sent(
        &mut self,
        drop: Drop,
        interface: InterfaceId,
        waker: Option<&Waker>,
        now: Instant,
    ) -> Result<(), Error> {
        if drop == Drop::EgressQueueFull {
            // It is not lost: the sender keeps it.
            if let (Some(waker), Some(i)) = (waker, self.interfaces.get_mut(interface.0)) {
                i.writers.register(waker, &mut self.datagrams.woken);
            }
            return Err(Error::WouldBlock);
        }
        self.count_drop(drop, now);
        match drop {
            Drop::OutOfMemory | Drop::NeighborShareFull => Err(Error::OutOfMemory),
            Drop::InterfaceGone => Err(Error::NetUnreachable),
            Drop::NeighborFailed => Err(Error::HostUnreachable),
            _ => Ok(()),
        }
    }

    /// Takes the oldest unread datagram (or, with `peek`, looks at it).
    ///
    /// [`Error::WouldBlock`]: there is none, and `waker` is woken when one arrives. An error that
    /// ICMP told is reported once, after the datagrams that came before it (Linux: before them).
    /// [`Error::AddrNotAvailable`], [`Error::DeviceGone`]: all was read, and the socket's address or
    /// interface was taken away.
    pub fn datagram_receive(
        &mut self,
        handle: DatagramHandle,
        buf: &mut [u8],
        peek: bool,
        waker: Option<&Waker>,
    ) -> Result<Received, Error> {
        let result = self.datagrams.receive(handle, buf, peek, &mut self.pool);
        self.datagram_received(handle, result, waker)
    }

    pub(super) fn datagram_received<R>(
        &mut self,
        handle: DatagramHandle,
        result: Result<R, Error>,
        waker: Option<&Waker>,
    ) -> Result<R, Error> {
        if !matches!(result, Err(Error::WouldBlock)) {
            return result;
        }
        self.still_bound(self.datagrams.get(handle)?)?;
        waker.map_or(Ok(()), |waker| self.datagrams.wait(handle, waker))?;
        result
    }

    /// Would [`datagram_receive`](Self::datagram_receive) give something?
    pub fn datagram_is_readable(&self, handle: DatagramHandle) -> Result<bool, Error> {
        let socket = self.datagrams.get(handle)?;
        Ok(socket.is_readable() || self.still_bound(socket).is_err())
    }

    /// Does a datagram wait, before any error?
    pub(crate) fn datagram_has_next(&self, handle: DatagramHandle) -> Result<bool, Error> {
        Ok(self.datagrams.get(handle)?.has_datagram())
    }

    /// When there is something to receive [`next_woken`](Stack::next_woken) gives `waker`.
    pub fn datagram_register(&mut self, handle: DatagramHandle, waker: &Waker) -> Result<(), Error> {
        self.datagrams.wait(handle, waker)
    }

    /// The local address and port (for an echo socket, its identifier).
    pub fn datagram_local(&self, handle: DatagramHandle) -> Result<SocketAddr, Error> {
        Ok(self.datagrams.get(handle)?.local())
    }

    /// The connected peer.
    pub fn datagram_peer(&self, handle: DatagramHandle) -> Result<SocketAddr, Error> {
        self.datagrams.get(handle)?.remote().ok_or(Error::NotConnected)
    }

    /// Wakes every task that waits for a datagram or for room to send one: what they wait for may
    /// never come (H194).
    pub(super) fn wake_datagrams(&mut self) {
        self.datagrams.wake_all();
        #[cfg(feature = "raw")]
        self.raw.wake_all();
        self.interfaces.for_each_mut(|interface| interface.writers.wake(&mut self.datagrams.woken));
    }

    /// Closes a socket. Unread datagrams are lost; who waits on it is woken.
    pub fn datagram_close(&mut self, handle: DatagramHandle) {
        // Who did not leave before has no time to tell; at the origin of the clock it is due.
        #[cfg(feature = "multicast")]
        self.datagram_leave_all(handle, Instant::ZERO);
        self.datagrams.close(handle, &mut self.pool);
    }
}

/// What a datagram that no socket took is counted as.
pub(super) fn refused(why: Undelivered) -> Drop {
    match why {
        Undelivered::NoSocket => Drop::UdpNoSocket,
        Undelivered::QueueFull => Drop::UdpQueueFull,
        Undelivered::OutOfMemory => Drop::OutOfMemory,
    }
}

/// Is it a port at which parts of the stack hear, before any socket does?
pub(super) fn is_clients(port: u16) -> bool {
    match port {
        #[cfg(feature = "dhcpv4")]
        DHCP_CLIENT => true,
        #[cfg(feature = "dhcpv6")]
        crate::wire::DHCPV6_CLIENT => true,
        #[cfg(feature = "mdns")]
        crate::names::mdns::MDNS_PORT => true,
        _ => false,
    }
}

/// Port 0 is nobody's; an echo request has none.
pub(super) fn has_port(socket: &DatagramSocket, to: &SocketAddr) -> bool {
    to.port() != 0 || socket.kind == DatagramKind::Echo
}

/// Protocol and transport header of a datagram that a socket sends.
fn header(
    socket: &DatagramSocket,
    port: u16,
    source: IpAddr,
    destination: IpAddr,
    data: Bytes<'_>,
) -> (u8, [u8; UDP_LEN]) {
    const { assert!(UDP_LEN == ICMP_LEN) };
    match socket.kind {
        DatagramKind::Udp => (protocol::UDP, UdpHeader::emit((socket.port, port), source, destination, data)),
        DatagramKind::Echo => {
            let (number, kind) = match destination {
                IpAddr::V4(_) => (protocol::ICMP, icmpv4::ECHO),
                IpAddr::V6(_) => (protocol::ICMPV6, icmpv6::ECHO),
            };
            let ([a, b], [c, d]) = (socket.port.to_be_bytes(), port.to_be_bytes());
            let header = IcmpHeader { kind, code: 0, rest: [a, b, c, d] };
            (number, icmp_message(header, source, destination, data))
        }
    }
}

/// RFC 768, RFC 8200 §8.1.
fn check(meta: &PacketMeta, header: &UdpHeader, datagram: Bytes<'_>) -> Result<(), Drop> {
    if header.checksum == 0 {
        // H136: whatever the device says.
        return if meta.destination.is_ipv6() { Err(Drop::UdpNoChecksum) } else { Ok(()) };
    }
    if meta.checksum == RxChecksum::Valid {
        return Ok(());
    }
    let mut sum = pseudo_header(meta.source, meta.destination, protocol::UDP, header.len);
    sum.add_bytes(datagram);
    if sum.is_valid() { Ok(()) } else { Err(Drop::UdpChecksum) }
}
