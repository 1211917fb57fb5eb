//! Frames out: packets of our own go to the queue of their interface or of their neighbour, and
//! from the queue to the device.

use core::net::IpAddr;

use super::{Interface, Resolution, Stack};
use crate::base::packet_queue::{Frame, PacketQueue};
use crate::base::pool::{Need, Pool};
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::{Device, Mac, Pieces, TxError, TxFrame, TxOffload};
use crate::events::Event;
use crate::ip::{self, InterfaceId, Path, group_mac};
use crate::link::neighbor::{Due, NeighborKey, NoWait, Purpose, WAITING_MAX};
use crate::stack::interface::QUEUE_MAX;
use crate::time::Instant;
use crate::wire::{self, ETHERNET_LEN, IpHeader, LinkPath, protocol};

/// The part of a queued frame that is handed to the device as its header: a device may ask for
/// the headers in one piece. All headers of a packet of our own fit.
const HEADER_LEN: usize = 128;
#[cfg(feature = "tcp")]
const _: () = assert!(HEADER_LEN >= wire::HEADERS_LEN_MAX + wire::tcp::TCP_LEN_MAX);

/// The devices of a stack's interfaces, for a call that sends at once.
pub trait Devices {
    /// The device of an interface; `None`, if it is not at hand.
    fn device(&mut self, interface: InterfaceId) -> Option<&mut dyn Device>;
}

impl Stack<'_> {
    /// Sends what waits for this interface's device: queued packets first, then what TCP has, and last
    /// whom TCP asks for.
    /// False: the device is full, and wants to be asked again when it has room.
    pub fn egress(&mut self, id: InterfaceId, device: &mut dyn Device, now: Instant) -> bool {
        let tcp_waits = self.tcp_waits(id);
        let Some(interface) = self.interfaces.keeping_deadlines().get_mut(id.0) else {
            return self.tcp_egress(id, device, now); // gone, it has nothing else to send
        };
        let was_full = interface.device_full;
        let is_quiet = interface.queue.is_empty() && !interface.filter_is_old && !was_full;
        if is_quiet && !tcp_waits {
            device.flush();
            return true; // as most turns find it
        }
        let mut waits = !interface.queue.is_empty();
        if core::mem::take(&mut interface.filter_is_old) {
            self.renew_filter(id, device, now);
            waits = true;
        }
        let mut done = (!waits || self.egress_queue(id, device, now)) && self.tcp_egress(id, device, now);
        if done && self.interfaces.get(id.0).is_none_or(|interface| !interface.queue.is_empty()) {
            done = self.egress_queue(id, device, now);
        }
        device.flush();
        if done == was_full
            && let Some(interface) = self.interfaces.keeping_deadlines().get_mut(id.0)
        {
            interface.device_full = !done;
        }
        done
    }

    /// Tells the device which groups to let through (H205).
    #[inline(never)]
    fn renew_filter(&mut self, id: InterfaceId, device: &mut dyn Device, _now: Instant) {
        #[cfg(feature = "multicast")]
        self.own_groups_changed(id, _now);
        let Some(interface) = self.interfaces.get_mut(id.0) else { return };
        #[cfg(feature = "multicast")]
        let joined = self.datagrams.groups.macs(id);
        #[cfg(not(feature = "multicast"))]
        let joined = core::iter::empty();
        interface.program_filter(device, self.addresses.groups(id).chain(joined));
    }

    fn egress_queue(&mut self, id: InterfaceId, device: &mut dyn Device, now: Instant) -> bool {
        let Stack { interfaces, pool, counters, events, datagrams, .. } = self;
        // An interface that is gone has nothing to send.
        let Some(Interface { queue, writers, .. }) = interfaces.keeping_deadlines().get_mut(id.0) else {
            return true;
        };
        while !queue.is_empty() {
            let (len, taken) = match queue.front(pool) {
                Some(frame) => (frame.len(), transmit_piece(device, frame)),
                None => transmit_pieces(device, queue, pool),
            };
            match taken {
                Err(TxError::Full) => return false,
                Ok(()) => counters.frames.sent.count(len),
                Err(TxError::Refused) => {
                    counters.count_drop(Drop::DeviceRefused);
                    events.emit(now, Event::Dropped(Drop::DeviceRefused));
                }
            }
            queue.pop_one(pool, len);
            // Not at every packet, so that a sender gets to send several.
            if queue.packets() <= QUEUE_MAX / 2 && !writers.is_empty() {
                writers.wake(&mut datagrams.woken);
            }
        }
        true
    }

    /// Answers a packet with one of our own: see [`try_send`](Stack::try_send). What can't be sent is
    /// counted, and nobody waits for an answer that we could not give.
    ///
    /// An answer goes to one host: never to a group, as which a source may turn out on the way back
    /// (RFC 1122 §3.2.1.3).
    pub(crate) fn send_answer(
        &mut self,
        path: &Path,
        ip: &IpHeader,
        transport: &[u8],
        payload: Bytes<'_>,
        now: Instant,
    ) {
        let sent = match ip::is_group(path.next_hop) {
            true => Err(Drop::AnswerToGroup),
            false => {
                let purposes = (answer_to(path, ip.destination), Need::Control);
                let parts = (transport, payload);
                // An echo reply is as long as its request.
                #[cfg(feature = "fragments")]
                let sent = self.send_in_parts(path, purposes, ip, parts, None, now);
                #[cfg(not(feature = "fragments"))]
                let sent = self.try_send(path, purposes, ip, parts, None, now);
                sent
            }
        };
        if let Err(drop) = sent {
            self.count_drop(drop, now);
        }
    }

    /// Sends a packet of our own: `transport` header, then `payload`, with the transport's
    /// checksum in place. It goes straight to its device, if the caller has the devices at hand and nothing
    /// waits there before it. Else it is copied into the queue of its interface or, if the neighbour's
    /// address is not known yet, of the neighbour. `ip.payload_len` is set here. The caller counts
    /// the drop, if it is one.
    pub(super) fn try_send(
        &mut self,
        path: &Path,
        (purpose, need): (Purpose, Need),
        ip: &IpHeader,
        (transport, payload): (&[u8], Bytes<'_>),
        devices: Option<&mut dyn Devices>,
        now: Instant,
    ) -> Result<(), Drop> {
        let interface = self.interface(path.interface).ok_or(Drop::InterfaceGone)?;
        let ip = IpHeader { payload_len: transport.len() + payload.len(), ..*ip };
        if wire::ip_len(ip.destination) + ip.payload_len > usize::from(path.mtu) {
            return Err(Drop::PacketTooBig);
        }
        let source = interface.capabilities.mac;
        let is_first = interface.queue.is_empty() && !interface.device_full;
        let mac = self.resolve(path, purpose, now).hop()?;
        // Filled in when it is known.
        let destination = mac.unwrap_or_default();
        let mut headers = [0; HEADER_LEN];
        let len = wire::emit_headers(&mut headers, &LinkPath { source, destination }, &ip);
        let (headers_len, frame_len) = (len + transport.len(), len + ip.payload_len);
        headers[len..headers_len].copy_from_slice(transport);
        self.count_packet(&ip, frame_len - ETHERNET_LEN);
        let frame = (&headers[..headers_len], payload);
        self.hand_over(path, (purpose, need), mac, frame, devices.filter(|_| is_first), now)
    }

    /// Sends a frame whose front lacks only its Ethernet header.
    #[cfg(any(feature = "raw", feature = "forwarding"))]
    pub(super) fn send_made(
        &mut self,
        path: &Path,
        (purpose, need): (Purpose, Need),
        front: &mut [u8],
        (kind, body): (wire::EtherType, Bytes<'_>),
        devices: Option<&mut dyn Devices>,
        now: Instant,
    ) -> Result<(), Drop> {
        let interface = self.interface(path.interface).ok_or(Drop::InterfaceGone)?;
        let source = interface.capabilities.mac;
        let is_first = interface.queue.is_empty() && !interface.device_full;
        let mac = self.resolve(path, purpose, now).hop()?;
        // Filled in when it is known.
        let destination = mac.unwrap_or_default();
        wire::emit_ethernet(front, &LinkPath { source, destination }, kind);
        self.hand_over(path, (purpose, need), mac, (front, body), devices.filter(|_| is_first), now)
    }

    /// Gives a packet to its device at once, if that is at hand and has room, and the next hop is known. Else it waits,
    /// for the device or for the neighbour.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        path: &Path,
        (purpose, need): (Purpose, Need),
        mac: Option<Mac>,
        (header, payload): (&[u8], Bytes<'_>),
        devices: Option<&mut dyn Devices>,
        now: Instant,
    ) -> Result<(), Drop> {
        if mac.is_some()
            && let Some(device) = devices.and_then(|d| d.device(path.interface))
            && let Some(sent) = self.transmit_at_once(device, header, payload)
        {
            return sent;
        }
        let frame = Frame::new([header, &[]], payload);
        match mac {
            None => self.queue_at_neighbor(path, (purpose, need), &frame, WAITING_MAX, now),
            Some(_) => self.queue_frame(path.interface, &frame, need),
        }
    }

    /// Gives a packet to its device. `None`: that has no room, or the payload lies in too many pieces.
    pub(super) fn transmit_at_once(
        &mut self,
        device: &mut dyn Device,
        header: &[u8],
        payload: Bytes<'_>,
    ) -> Option<Result<(), Drop>> {
        let mut pieces = Pieces::new();
        for piece in payload.chunks() {
            pieces.push(piece).ok()?;
        }
        let offload = TxOffload::default();
        let taken = device.transmit(TxFrame { header, payload: &pieces, offload });
        device.flush();
        match taken {
            Ok(()) => {
                self.counters.frames.sent.count(header.len() + payload.len());
                Some(Ok(()))
            }
            Err(TxError::Refused) => Some(Err(Drop::DeviceRefused)),
            Err(TxError::Full) => None,
        }
    }

    /// Counts a packet of our own by its protocols.
    pub(crate) fn count_packet(&mut self, ip: &IpHeader, len: usize) {
        let counters = &mut self.counters;
        match ip.destination {
            IpAddr::V4(_) => counters.ipv4.sent.count(len),
            IpAddr::V6(_) => counters.ipv6.sent.count(len),
        }
        match ip.protocol {
            protocol::ICMP | protocol::ICMPV6 => counters.icmp.sent.count(ip.payload_len),
            protocol::UDP => counters.udp.sent.count(ip.payload_len),
            protocol::TCP => counters.tcp.sent.count(ip.payload_len),
            _ => {}
        }
    }

    /// Puts a whole frame into the queue of its interface.
    pub(crate) fn queue_frame(&mut self, id: InterfaceId, frame: &Frame<'_>, need: Need) -> Result<(), Drop> {
        let interface = self.interfaces.keeping_deadlines().get_mut(id.0).ok_or(Drop::InterfaceGone)?;
        // A quarter of the memory for all that waits for one device.
        let share = self.pool.capacity() / 4;
        if frame.len() > share {
            return Err(Drop::OutOfMemory); // there would never be room: nobody must wait for it
        }
        if interface.queue.packets() >= QUEUE_MAX || interface.queue.held(&self.pool) + frame.len() > share {
            return Err(Drop::EgressQueueFull);
        }
        if !interface.queue.push(&mut self.pool, frame, need) {
            return Err(Drop::OutOfMemory);
        }
        Ok(())
    }

    /// Lets a packet wait for its neighbour, beside `most - 1` others at most.
    pub(super) fn queue_at_neighbor(
        &mut self,
        path: &Path,
        (purpose, need): (Purpose, Need),
        frame: &Frame<'_>,
        most: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        // It may lie there for seconds.
        let need = if need == Need::Control { need } else { Need::Bulk };
        let key = NeighborKey { interface: path.interface, address: path.next_hop };
        match self.neighbors.wait(&key, purpose, need, most, &mut self.pool, frame) {
            Ok(gave_way) => {
                (0..gave_way.same).for_each(|_| self.count_drop(Drop::NeighborQueueFull, now));
                (0..gave_way.others).for_each(|_| self.count_drop(Drop::NeighborShareFull, now));
                Ok(())
            }
            Err(NoWait::Gone) => Err(Drop::NeighborTableFull),
            Err(NoWait::ShareFull) => Err(Drop::NeighborShareFull),
            Err(NoWait::OutOfMemory) => Err(Drop::OutOfMemory),
        }
    }

    /// The hardware address for a path, asked for by ARP or NDP when it is not known.
    pub(crate) fn resolve(&mut self, path: &Path, purpose: Purpose, now: Instant) -> Resolution {
        let key = NeighborKey { interface: path.interface, address: path.next_hop };
        if let Some(mac) = self.neighbors.keeping_deadlines().known(&key, purpose, now) {
            return Resolution::Known(mac);
        }
        match self.interface(path.interface) {
            None => return Resolution::Failed,
            Some(interface) if interface.is_loopback => {
                return Resolution::Known(interface.capabilities.mac);
            }
            Some(_) => {}
        }
        if let Some(mac) = group_mac(path.next_hop) {
            return Resolution::Known(mac);
        }
        let (resolution, given_up, due) = self.neighbors.resolve(key, path.source, purpose, &self.pool, now);
        self.give_up(given_up, Drop::NeighborTableFull, now);
        if let Some(Due::Solicit { key, source, to }) = due {
            self.solicit(key, source, to, now);
        }
        resolution
    }

    /// Drops waiting packets, each counted.
    pub(crate) fn give_up(&mut self, mut waiting: PacketQueue, drop: Drop, now: Instant) {
        let count = waiting.clear(&mut self.pool);
        (0..count).for_each(|_| self.count_drop(drop, now));
    }

    /// Moves packets that waited for a neighbour to the queue of the interface, in their order,
    /// with the hardware address that is known now.
    pub(crate) fn release(&mut self, id: InterfaceId, mac: Mac, mut waiting: PacketQueue, now: Instant) {
        while let Some(len) = waiting.front_len(&self.pool) {
            if let Err(drop) = self.release_one(id, mac, &mut waiting, len) {
                self.count_drop(drop, now);
            }
            waiting.pop(&mut self.pool);
        }
    }

    fn release_one(
        &mut self,
        id: InterfaceId,
        mac: Mac,
        waiting: &mut PacketQueue,
        len: usize,
    ) -> Result<(), Drop> {
        let interface = self.interfaces.keeping_deadlines().get_mut(id.0).ok_or(Drop::InterfaceGone)?;
        if interface.queue.packets() >= QUEUE_MAX {
            return Err(Drop::EgressQueueFull);
        }
        if !interface.queue.push_from(&mut self.pool, waiting, len, &mac.0) {
            return Err(Drop::OutOfMemory);
        }
        Ok(())
    }
}

/// Gives the device a frame that lies in one piece.
fn transmit_piece(device: &mut dyn Device, frame: &[u8]) -> Result<(), TxError> {
    let (header, payload) = frame.split_at(frame.len().min(HEADER_LEN));
    let payload: &[&[u8]] = if payload.is_empty() { &[] } else { &[payload] };
    device.transmit(TxFrame { header, payload, offload: TxOffload::default() })
}

/// Gives the device the first frame of a queue, and says how long that is.
fn transmit_pieces(
    device: &mut dyn Device,
    queue: &PacketQueue,
    pool: &Pool<'_>,
) -> (usize, Result<(), TxError>) {
    let mut header = [0; HEADER_LEN];
    let header_len = queue.copy_front(pool, 0, &mut header);
    let mut pieces = Pieces::new();
    queue.front_pieces(pool, header_len, &mut pieces);
    let frame = TxFrame { header: &header[..header_len], payload: &pieces, offload: TxOffload::default() };
    (queue.front_len(pool).unwrap_or(0), device.transmit(frame))
}

/// For whom an answer to `destination` asks: a neighbour that named itself may not exist, but a
/// router is named by our own table.
pub(super) fn answer_to(path: &Path, destination: IpAddr) -> Purpose {
    if path.next_hop == destination { Purpose::Answer } else { Purpose::Own }
}
