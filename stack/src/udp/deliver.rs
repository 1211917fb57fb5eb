//! Which socket a datagram is for, and its place among those that are not read yet.

#[cfg(feature = "multicast")]
use super::DatagramHandle;
use super::{DatagramKind, DatagramSocket, Datagrams, Sharing, Undelivered, port_hash};
use crate::base::packet_queue::Frame;
use crate::base::pool::{Need, Pool};
#[cfg(feature = "multicast")]
use crate::base::slab::Slab;
use crate::base::wakers::Woken;
use crate::ip::PacketMeta;
use crate::ip::arrival::Arrival;
use crate::time::Instant;

impl Datagrams<'_> {
    /// Gives a datagram to the one socket that is most specific about it (H137, H144), or, if it
    /// went to a group, to each that wants it. Says which socket it is for alone.
    pub(crate) fn deliver(
        &mut self,
        kind: DatagramKind,
        meta: &PacketMeta,
        ports: (u16, u16),
        payload: crate::bytes::Bytes<'_>,
        pool: &mut Pool<'_>,
        now: Instant,
    ) -> Result<Option<u32>, Undelivered> {
        let record = Arrival::of_packet(meta, ports.0, now).record();
        let frame = Frame::new([&record, &[]], payload);
        let source = (meta.source, ports.0);
        if meta.link_broadcast {
            return self.deliver_to_all(kind, meta, ports, &frame, pool).map(|()| None);
        }
        let mut best: Option<(u8, u32, u32)> = None;
        self.visit(kind, ports.1, |index, socket| {
            // Of those that share a port the last bound, unless they share what comes as well.
            best = best.max(socket.rank(meta, source).map(|rank| (rank, socket.bound, index)));
            false
        });
        let (rank, _, index) = best.ok_or(Undelivered::NoSocket)?;
        let index = match self.slab.at(index).map(|socket| socket.sharing) {
            Some(Sharing::Port) => self.share(kind, rank, meta, ports).unwrap_or(index),
            _ => index,
        };
        self.keep(index, &frame, pool).map(|()| Some(index))
    }

    /// Appends a datagram to the unread ones of a socket.
    #[inline]
    pub(crate) fn keep(
        &mut self,
        index: u32,
        frame: &Frame<'_>,
        pool: &mut Pool<'_>,
    ) -> Result<(), Undelivered> {
        self.slab.at_mut(index).ok_or(Undelivered::NoSocket)?.keep(frame, pool, &mut self.woken)
    }

    /// Which of the sockets that share a port gets what comes from this peer.
    fn share(&self, kind: DatagramKind, rank: u8, meta: &PacketMeta, ports: (u16, u16)) -> Option<u32> {
        let wants = |socket: &DatagramSocket| {
            socket.sharing == Sharing::Port && socket.rank(meta, (meta.source, ports.0)) == Some(rank)
        };
        let mut count = 0;
        self.visit(kind, ports.1, |_, socket| {
            count += u32::from(wants(socket));
            false
        });
        let mut ahead = self.keyed(&(meta.source, meta.destination, ports)).checked_rem(count)?;
        let mut found = None;
        self.visit(kind, ports.1, |index, socket| {
            if wants(socket) {
                found = (ahead == 0).then_some(index);
                ahead = ahead.wrapping_sub(1);
            }
            found.is_some()
        });
        found
    }

    fn deliver_to_all(
        &mut self,
        kind: DatagramKind,
        meta: &PacketMeta,
        ports: (u16, u16),
        frame: &Frame<'_>,
        pool: &mut Pool<'_>,
    ) -> Result<(), Undelivered> {
        let mut result = Err(Undelivered::NoSocket);
        let hash = port_hash(kind, ports.1);
        let (slab, woken) = (&mut self.slab, &mut self.woken);
        self.demux.find(hash, |index| {
            #[cfg(feature = "multicast")]
            if !hears(&self.groups, slab, index, meta) {
                return false;
            }
            if let Some(socket) = slab.at_mut(index)
                && (socket.kind, socket.port) == (kind, ports.1)
                && socket.rank(meta, (meta.source, ports.0)).is_some()
            {
                result = socket.keep(frame, pool, woken);
            }
            false
        });
        result
    }
}

impl DatagramSocket {
    /// Appends a datagram to the unread ones, if there is room (H135, H197).
    fn keep(&mut self, frame: &Frame<'_>, pool: &mut Pool<'_>, woken: &mut Woken) -> Result<(), Undelivered> {
        if self.received.held(pool) + frame.len() > self.receive_max {
            return Err(Undelivered::QueueFull);
        }
        if !self.received.push(pool, frame, Need::Bulk) {
            return Err(Undelivered::OutOfMemory);
        }
        self.readers.wake(woken);
        Ok(())
    }
}

/// Has a socket joined the group that a datagram is for? Groups that every host is in need no joining.
#[cfg(feature = "multicast")]
fn hears(
    groups: &crate::ip::groups::Groups<'_>,
    slab: &Slab<'_, DatagramSocket>,
    index: u32,
    meta: &PacketMeta,
) -> bool {
    let place = crate::ip::groups::Place { interface: meta.interface, group: meta.destination };
    let Some(key) = slab.key(index).filter(|_| meta.destination.is_multicast() && !place.is_everybodys())
    else {
        return true;
    };
    groups.hears(DatagramHandle(key), place, meta.source)
}
