//! What is known of a datagram that was received, how it is kept in the queue, and of the socket that it waits for.

use super::{DatagramHandle, DatagramSocket, Datagrams, Families};
use crate::base::pool::Pool;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::ip::arrival::{ARRIVAL_LEN, Arrival};
use crate::time::Instant;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A datagram as it was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes that were copied.
    pub len: usize,
    /// Bytes that the datagram has; more than `len` if the buffer was too small and the rest is
    /// lost.
    pub datagram_len: usize,
    /// Who sent it: an IPv4 peer by its IPv4 address, on a socket of both families too.
    pub from: SocketAddr,
    /// Which address it was sent to.
    pub to: IpAddr,
    /// By which interface it came.
    pub interface: InterfaceId,
    /// Its TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// Its traffic class, or type of service, on arrival: DSCP in the upper six bits (RFC 2474), ECN in the lower two
    /// (RFC 3168). See [`dscp`](Received::dscp) and [`ecn`](Received::ecn).
    pub traffic_class: u8,
    /// When it arrived.
    pub at: Instant,
}

impl Received {
    /// Was the buffer too small for it, and the rest is lost?
    pub const fn is_truncated(&self) -> bool {
        self.len < self.datagram_len
    }

    /// Its differentiated services codepoint, 0 to 63 (RFC 2474).
    pub const fn dscp(&self) -> u8 {
        self.traffic_class >> 2
    }

    /// Its ECN field (RFC 3168 §5): 0 not capable, 1 and 2 capable, 3 congestion experienced.
    pub const fn ecn(&self) -> u8 {
        self.traffic_class & 3
    }
}

pub(super) fn unrecord(record: &[u8; ARRIVAL_LEN]) -> Received {
    let Arrival { from, port, to, interface, hop_limit, traffic_class, at } = Arrival::of(record);
    let from = with_zone(from, port, interface.zone());
    Received { len: 0, datagram_len: 0, from, to, interface, hop_limit, traffic_class, at }
}

pub(super) fn scope(address: &SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

/// An address with the zone that a link-local one needs.
pub(crate) fn with_zone(address: IpAddr, port: u16, zone: u32) -> SocketAddr {
    match address {
        IpAddr::V6(a) if a.is_unicast_link_local() => SocketAddrV6::new(a, port, 0, zone).into(),
        other => SocketAddr::new(other, port),
    }
}

impl DatagramSocket {
    /// The local address and port.
    pub(crate) fn local(&self) -> SocketAddr {
        let any: IpAddr = match self.families {
            Families::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Families::V6 | Families::Both => Ipv6Addr::UNSPECIFIED.into(),
        };
        with_zone(self.local.unwrap_or(any), self.port, self.zone.map_or(0, InterfaceId::zone))
    }

    /// The peer's address and port, if it has one.
    #[inline]
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        let zone = self.zone.map_or(0, InterfaceId::zone);
        self.peer.map(|(address, port)| with_zone(address, port, zone))
    }

    /// Bytes of the pool that its unread datagrams hold.
    pub(crate) fn held(&self, pool: &Pool<'_>) -> usize {
        self.received.held(pool)
    }

    /// The error that comes before the oldest datagram.
    pub(super) fn due_error(&mut self) -> Result<(), Error> {
        match self.error.is_some_and(|error| error.ahead == 0) {
            true => self.take_error().map_or(Ok(()), Err),
            false => Ok(()),
        }
    }

    /// Forgets the oldest datagram, which is this one.
    pub(super) fn pop(&mut self, received: &Received, pool: &mut Pool<'_>) {
        self.received.pop_one(pool, ARRIVAL_LEN + received.datagram_len);
        self.error.iter_mut().for_each(|error| error.ahead = error.ahead.saturating_sub(1));
    }
}

impl Datagrams<'_> {
    /// Shows the oldest unread datagram in the pieces in which it lies, and forgets it.
    pub(crate) fn receive_with<R>(
        &mut self,
        handle: DatagramHandle,
        look: impl FnOnce(&[&[u8]], &Received) -> R,
        pool: &mut Pool<'_>,
    ) -> Result<R, Error> {
        let socket = self.get_mut(handle)?;
        socket.due_error()?;
        let len = socket.received.front_len(pool).ok_or(Error::WouldBlock)?;
        let mut record = [0; ARRIVAL_LEN];
        socket.received.copy_front(pool, 0, &mut record);
        let mut received = Received { len: 0, datagram_len: len - ARRIVAL_LEN, ..unrecord(&record) };
        let result = socket.received.lend_front(pool, ARRIVAL_LEN, |pieces, shown| {
            received.len = shown;
            look(pieces, &received)
        });
        socket.pop(&received, pool);
        Ok(result)
    }
}
