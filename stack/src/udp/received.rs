//! What is known of a datagram that was received, how it is kept in the queue, and of the socket that it waits for.

use super::{DatagramHandle, DatagramSocket, Datagrams, Families};
use crate::base::pool::Pool;
use crate::error::Error;
use crate::ip::{InterfaceId, PacketMeta};
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
    /// Its TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// When it arrived.
    pub at: Instant,
}

impl Received {
    /// Was the buffer too small for it, and the rest is lost?
    pub const fn is_truncated(&self) -> bool {
        self.len < self.datagram_len
    }
}

/// What is kept before each datagram: hop limit, family, port, zone, time, source, destination.
pub(super) const RECORD_LEN: usize = 48;

pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    }
}

pub(super) fn record(meta: &PacketMeta, port: u16, zone: u32, now: Instant) -> [u8; RECORD_LEN] {
    let mut record = [0; RECORD_LEN];
    (record[0], record[1]) = (meta.hop_limit, u8::from(meta.source.is_ipv4()));
    record[2..4].copy_from_slice(&port.to_le_bytes());
    record[4..8].copy_from_slice(&zone.to_le_bytes());
    record[8..16].copy_from_slice(&now.micros().to_le_bytes());
    record[16..32].copy_from_slice(&octets(meta.source));
    record[32..].copy_from_slice(&octets(meta.destination));
    record
}

pub(super) fn array<const N: usize>(record: &[u8; RECORD_LEN], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&record[at..at + N]);
    array
}

pub(super) fn unrecord(record: &[u8; RECORD_LEN]) -> Received {
    let is_v4 = record[1] != 0;
    let address = |at: usize| match is_v4 {
        true => IpAddr::from(array::<4>(record, at + 12)),
        false => IpAddr::from(array::<16>(record, at)),
    };
    let (from, port) = (address(16), u16::from_le_bytes(array(record, 2)));
    Received {
        len: 0,
        datagram_len: 0,
        from: with_zone(from, port, u32::from_le_bytes(array(record, 4))),
        to: address(32),
        hop_limit: record[0],
        at: Instant::from_micros(u64::from_le_bytes(array(record, 8))),
    }
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
        self.received.pop_one(pool, RECORD_LEN + received.datagram_len);
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
        let mut record = [0; RECORD_LEN];
        socket.received.copy_front(pool, 0, &mut record);
        let mut received = Received { len: 0, datagram_len: len - RECORD_LEN, ..unrecord(&record) };
        let result = socket.received.lend_front(pool, RECORD_LEN, |pieces, shown| {
            received.len = shown;
            look(pieces, &received)
        });
        socket.pop(&received, pool);
        Ok(result)
    }
}
