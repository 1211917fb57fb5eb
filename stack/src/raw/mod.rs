//! Raw sockets: IP packets of a protocol, and Ethernet frames of a type, as programs speak that bring a
//! protocol of their own.
//!
//! Each socket that wants a packet gets a copy, and the stack goes on as if there were none (H142), but
//! that a protocol which a raw socket speaks is known. The table is walked for each packet while it has
//! sockets; it knows no routes and sends nothing.

mod received;

pub(crate) use received::FRAME_RECORD_LEN;
pub use received::{RawFrame, RawPacket};

use core::net::IpAddr;
use core::task::Waker;

use managed::ManagedSlice;

use crate::base::packet_queue::{Frame, PacketQueue, receive_max};
use crate::base::pool::{Need, Pool};
use crate::base::slab::{Key, Slab, Slot};
use crate::base::wakers::{Wakers, Woken};
use crate::bytes::Bytes;
use crate::device::{Mac, RxChecksum};
use crate::error::Error;
use crate::ip::arrival::{ARRIVAL_LEN, Arrival};
use crate::ip::completed::Head;
use crate::ip::{InterfaceId, PacketMeta};
use crate::time::Instant;

/// Names a raw socket of a stack; after the socket was closed it names nothing (H221).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RawHandle(Key);

/// What a raw socket takes and sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RawKind {
    /// IPv4 packets of a protocol (RFC 791 §3.1), as 89 for OSPF.
    Ipv4(u8),
    /// IPv6 packets whose last next-header field is this (RFC 8200 §3).
    Ipv6(u8),
    /// Ethernet frames of this type, from 1,536 on (IEEE 802.3 §3.2.6).
    Ethernet(u16),
}

impl RawKind {
    /// Does it take IP packets to and from this address?
    pub(crate) const fn is_of(self, address: IpAddr) -> bool {
        matches!((self, address), (RawKind::Ipv4(_), IpAddr::V4(_)) | (RawKind::Ipv6(_), IpAddr::V6(_)))
    }
}

/// One socket.
#[derive(Debug)]
pub struct RawEntry {
    pub(crate) kind: RawKind,
    /// Only this interface's packets; what is sent leaves by it.
    pub(crate) interface: Option<InterfaceId>,
    /// Only this host's packets, and what is sent without a destination goes there.
    pub(crate) peer: Option<IpAddr>,
    /// Packets have their IP header both ways.
    pub(crate) header_included: bool,
    pub(crate) hop_limit: Option<u8>,
    pub(crate) broadcast: bool,
    /// What ICMP said of packets to the peer.
    error: Option<Error>,
    pub(crate) readers: Wakers,
    received: PacketQueue,
    receive_max: usize,
}

impl RawEntry {
    /// Nothing is there for the reader.
    pub(crate) fn is_readable(&self) -> bool {
        self.error.is_some() || !self.received.is_empty()
    }

    /// The pending error, which is forgotten.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Bytes of the pool that its unread packets hold.
    pub(crate) fn held(&self, pool: &Pool<'_>) -> usize {
        self.received.held(pool)
    }

    fn wants_packet(&self, meta: &PacketMeta, protocol: u8) -> bool {
        let is_kind = match self.kind {
            RawKind::Ipv4(own) => meta.source.is_ipv4() && own == protocol,
            RawKind::Ipv6(own) => meta.source.is_ipv6() && own == protocol,
            RawKind::Ethernet(_) => false,
        };
        is_kind && self.is_from(meta.interface) && self.peer.is_none_or(|peer| peer == meta.source)
    }

    fn is_from(&self, interface: InterfaceId) -> bool {
        self.interface.is_none_or(|own| own == interface)
    }

    /// Keeps a copy, if there is room. False: it is lost to this socket (H135).
    fn keep(&mut self, frame: &Frame<'_>, pool: &mut Pool<'_>, woken: &mut Woken) -> bool {
        let has_room = self.received.held(pool) + frame.len() <= self.receive_max;
        let is_kept = has_room && self.received.push(pool, frame, Need::Bulk);
        if is_kept {
            self.readers.wake(woken);
        }
        is_kept
    }
}

/// How many sockets got a copy of a packet, and how many had no room for it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Copies {
    pub(crate) wanted: usize,
    pub(crate) lost: usize,
}

/// All raw sockets.
pub(crate) struct RawSockets<'a> {
    slab: Slab<'a, RawEntry>,
    /// Tasks to be woken.
    pub(crate) woken: Woken,
}

impl<'a> RawSockets<'a> {
    /// Without a place for a socket.
    pub(crate) const fn empty() -> Self {
        RawSockets { slab: Slab::empty(), woken: Woken::new() }
    }

    /// The places; before there is a socket.
    pub(crate) fn start(&mut self, slots: ManagedSlice<'a, Slot<RawEntry>>, limit: usize) {
        self.slab = Slab::new(slots, limit);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    pub(crate) fn get(&self, handle: RawHandle) -> Result<&RawEntry, Error> {
        self.slab.get(handle.0).ok_or(Error::StaleHandle)
    }

    pub(crate) fn get_mut(&mut self, handle: RawHandle) -> Result<&mut RawEntry, Error> {
        self.slab.get_mut(handle.0).ok_or(Error::StaleHandle)
    }

    /// Every socket.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &RawEntry> {
        self.slab.iter().map(|(_, socket)| socket)
    }

    /// A new socket.
    pub(crate) fn open(
        &mut self,
        kind: RawKind,
        interface: Option<InterfaceId>,
        pool: &Pool<'_>,
    ) -> Result<RawHandle, Error> {
        let socket = RawEntry {
            kind,
            interface,
            peer: None,
            header_included: false,
            hop_limit: None,
            broadcast: false,
            error: None,
            readers: Wakers::new(),
            received: PacketQueue::new(),
            receive_max: receive_max(pool),
        };
        self.slab.insert(socket).map(RawHandle).map_err(|_| Error::TooManySockets)
    }

    /// Closes a socket. What is unread is lost; who waits on it is woken.
    pub(crate) fn close(&mut self, handle: RawHandle, pool: &mut Pool<'_>) {
        if self.slab.get(handle.0).is_some()
            && let Some(mut socket) = self.slab.remove(handle.0.index)
        {
            socket.received.clear(pool);
            socket.readers.wake(&mut self.woken);
        }
    }

    /// A task waits for the next packet.
    pub(crate) fn wait(&mut self, handle: RawHandle, waker: &Waker) -> Result<(), Error> {
        let socket = self.slab.get_mut(handle.0).ok_or(Error::StaleHandle)?;
        socket.readers.register(waker, &mut self.woken);
        Ok(())
    }

    /// Wakes every task that waits.
    pub(crate) fn wake_all(&mut self) {
        let RawSockets { slab, woken } = self;
        slab.for_each_mut(|socket| socket.readers.wake(woken));
    }

    /// Gives each socket that wants it a copy of an IP packet, whose payload starts at `offset`.
    pub(crate) fn deliver_packet(
        &mut self,
        meta: &PacketMeta,
        (protocol, packet, offset): (u8, Bytes<'_>, usize),
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Copies {
        let record = Arrival::of_packet(meta, 0, now).record();
        let ends = (meta.source, meta.destination);
        let head = Head::of(meta.checksum, ends, (protocol, packet, offset));
        let RawSockets { slab, woken } = self;
        let mut copies = Copies::default();
        slab.for_each_mut(|socket| {
            if socket.wants_packet(meta, protocol) {
                let from = if socket.header_included { 0 } else { offset };
                let (head, rest) = head.split(packet, from);
                let frame = Frame::new([&record, head], rest);
                copies.count(socket.keep(&frame, pool, woken));
            }
        });
        copies
    }

    /// Gives each socket that wants it a copy of an Ethernet frame's payload.
    pub(crate) fn deliver_frame(
        &mut self,
        (interface, ethertype): (InterfaceId, u16),
        (source, destination): (Mac, Mac),
        (payload, checksum): (Bytes<'_>, RxChecksum),
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Copies {
        let record = received::frame_record(interface, source, destination, now);
        let head = Head::of_frame(checksum, payload);
        let (head, rest) = head.split(payload, 0);
        let RawSockets { slab, woken } = self;
        let mut copies = Copies::default();
        slab.for_each_mut(|socket| {
            if socket.kind == RawKind::Ethernet(ethertype) && socket.is_from(interface) {
                copies.count(socket.keep(&Frame::new([&record, head], rest), pool, woken));
            }
        });
        copies
    }

    /// What ICMP says of a packet to `peer`: told to the sockets that are connected there (H093). False: none is.
    pub(crate) fn set_error(&mut self, peer: IpAddr, protocol: u8, error: Error) -> bool {
        let RawSockets { slab, woken } = self;
        let mut told = false;
        slab.for_each_mut(|socket| {
            let is_protocol =
                matches!(socket.kind, RawKind::Ipv4(own) | RawKind::Ipv6(own) if own == protocol);
            if is_protocol && socket.peer == Some(peer) {
                socket.error = Some(error);
                socket.readers.wake(woken);
                told = true;
            }
        });
        told
    }

    /// Copies the oldest unread IP packet into `buf`, and forgets it.
    pub(crate) fn receive_packet(
        &mut self,
        handle: RawHandle,
        buf: &mut [u8],
        pool: &mut Pool<'_>,
    ) -> Result<RawPacket, Error> {
        let socket = self.get_mut(handle)?;
        let mut record = [0; ARRIVAL_LEN];
        let (len, whole) = socket.receive(&mut record, buf, pool)?;
        Ok(RawPacket { len, packet_len: whole, ..received::packet_of(&record) })
    }

    /// Copies the payload of the oldest unread Ethernet frame into `buf`, and forgets it.
    pub(crate) fn receive_frame(
        &mut self,
        handle: RawHandle,
        buf: &mut [u8],
        pool: &mut Pool<'_>,
    ) -> Result<RawFrame, Error> {
        let socket = self.get_mut(handle)?;
        let mut record = [0; FRAME_RECORD_LEN];
        let (len, whole) = socket.receive(&mut record, buf, pool)?;
        Ok(RawFrame { len, payload_len: whole, ..received::frame_of(&record) })
    }
}

impl Copies {
    fn count(&mut self, is_kept: bool) {
        self.wanted += 1;
        self.lost += usize::from(!is_kept);
    }
}

impl RawEntry {
    /// Bytes copied, and bytes that there were.
    fn receive(
        &mut self,
        record: &mut [u8],
        buf: &mut [u8],
        pool: &mut Pool<'_>,
    ) -> Result<(usize, usize), Error> {
        let Some(len) = self.received.front_len(pool) else {
            return Err(self.take_error().unwrap_or(Error::WouldBlock));
        };
        self.received.copy_front(pool, 0, record);
        let copied = self.received.copy_front(pool, record.len(), buf);
        self.received.pop_one(pool, len);
        Ok((copied, len - record.len()))
    }
}
