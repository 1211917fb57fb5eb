//! What is known of a packet or frame that a raw socket received, and how it is kept in the queue.

use core::net::IpAddr;

use crate::base::slab::Key;
use crate::device::Mac;
use crate::ip::{InterfaceId, PacketMeta};
use crate::time::Instant;

/// An IP packet as a raw socket received it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawPacket {
    /// Bytes that were copied.
    pub len: usize,
    /// Bytes that there were; more than `len` if the buffer was too small and the rest is lost.
    pub packet_len: usize,
    /// Who sent it.
    pub from: IpAddr,
    /// Which address it was sent to.
    pub to: IpAddr,
    /// Its TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// Its ECN field (RFC 3168 §5), two bits.
    pub ecn: u8,
    /// By which interface it came.
    pub interface: InterfaceId,
    /// When it arrived.
    pub at: Instant,
}

/// An Ethernet frame as a raw socket received it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawFrame {
    /// Bytes of payload that were copied.
    pub len: usize,
    /// Bytes of payload that there were, padding among them; more than `len` if the buffer was too small and
    /// the rest is lost.
    pub payload_len: usize,
    /// Who sent it.
    pub from: Mac,
    /// Whom it was sent to: this interface, a group or all.
    pub to: Mac,
    /// By which interface it came.
    pub interface: InterfaceId,
    /// When it arrived.
    pub at: Instant,
}

/// Family, hop limit, ECN; interface; time; source; destination.
pub(crate) const PACKET_RECORD_LEN: usize = 3 + 8 + 8 + 32;
/// Interface; time; source; destination.
pub(crate) const FRAME_RECORD_LEN: usize = 8 + 8 + 12;

/// Writes fields one after the other, and reads them in the same order.
struct Fields<'r>(&'r mut [u8]);
struct Read<'r>(&'r [u8]);

impl Fields<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let (here, rest) = core::mem::take(&mut self.0).split_at_mut(N);
        here.copy_from_slice(&bytes);
        self.0 = rest;
    }

    fn put_interface(&mut self, id: InterfaceId) {
        id.0.numbers().into_iter().for_each(|number| self.put(number.to_le_bytes()));
    }
}

impl Read<'_> {
    fn get<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let (here, rest) = self.0.split_at(N);
        bytes.copy_from_slice(here);
        self.0 = rest;
        bytes
    }

    fn interface(&mut self) -> InterfaceId {
        InterfaceId(Key::of_numbers([(); 2].map(|()| u32::from_le_bytes(self.get()))))
    }

    fn at(&mut self) -> Instant {
        Instant::from_micros(u64::from_le_bytes(self.get()))
    }

    fn address(&mut self, is_v4: bool) -> IpAddr {
        let octets = self.get::<16>();
        match is_v4 {
            true => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
            false => IpAddr::from(octets),
        }
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(a) => a.octets(),
    }
}

pub(super) fn packet_record(meta: &PacketMeta, now: Instant) -> [u8; PACKET_RECORD_LEN] {
    let mut record = [0; PACKET_RECORD_LEN];
    let mut to = Fields(&mut record);
    to.put([u8::from(meta.source.is_ipv4()), meta.hop_limit, meta.ecn]);
    to.put_interface(meta.interface);
    to.put(now.micros().to_le_bytes());
    to.put(octets(meta.source));
    to.put(octets(meta.destination));
    record
}

pub(super) fn packet_of(record: &[u8; PACKET_RECORD_LEN]) -> RawPacket {
    let mut read = Read(record);
    let [is_v4, hop_limit, ecn] = read.get();
    let (interface, at) = (read.interface(), read.at());
    let [from, to] = [(); 2].map(|()| read.address(is_v4 != 0));
    RawPacket { len: 0, packet_len: 0, from, to, hop_limit, ecn, interface, at }
}

pub(super) fn frame_record(
    interface: InterfaceId,
    source: Mac,
    destination: Mac,
    now: Instant,
) -> [u8; FRAME_RECORD_LEN] {
    let mut record = [0; FRAME_RECORD_LEN];
    let mut to = Fields(&mut record);
    to.put_interface(interface);
    to.put(now.micros().to_le_bytes());
    to.put(source.0);
    to.put(destination.0);
    record
}

pub(super) fn frame_of(record: &[u8; FRAME_RECORD_LEN]) -> RawFrame {
    let mut read = Read(record);
    let (interface, at) = (read.interface(), read.at());
    let [from, to] = [(); 2].map(|()| Mac(read.get()));
    RawFrame { len: 0, payload_len: 0, from, to, interface, at }
}
