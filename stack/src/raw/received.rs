//! What is known of a packet or frame that a raw socket received, and how it is kept in the queue.

use core::net::IpAddr;

use crate::base::fields::{Fields, Read};
use crate::base::slab::Key;
use crate::device::Mac;
use crate::ip::InterfaceId;
use crate::ip::arrival::{ARRIVAL_LEN, Arrival};
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
    /// Its traffic class, or type of service: DSCP in the upper six bits (RFC 2474), ECN in the lower two (RFC 3168).
    pub traffic_class: u8,
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

/// Interface; time; source; destination.
pub(crate) const FRAME_RECORD_LEN: usize = 8 + 8 + 12;

pub(super) fn packet_of(record: &[u8; ARRIVAL_LEN]) -> RawPacket {
    let Arrival { from, to, interface, hop_limit, traffic_class, at, .. } = Arrival::of(record);
    RawPacket { len: 0, packet_len: 0, from, to, hop_limit, traffic_class, interface, at }
}

pub(super) fn frame_record(
    interface: InterfaceId,
    source: Mac,
    destination: Mac,
    now: Instant,
) -> [u8; FRAME_RECORD_LEN] {
    let mut record = [0; FRAME_RECORD_LEN];
    let mut to = Fields(&mut record);
    to.put_all(interface.0.numbers().map(u32::to_le_bytes));
    to.put(now.micros().to_le_bytes());
    to.put(source.0);
    to.put(destination.0);
    record
}

pub(super) fn frame_of(record: &[u8; FRAME_RECORD_LEN]) -> RawFrame {
    let mut read = Read(record);
    let interface = InterfaceId(Key::of_numbers(read.get_all().map(u32::from_le_bytes)));
    let at = Instant::from_micros(u64::from_le_bytes(read.get()));
    let [from, to] = read.get_all().map(Mac);
    RawFrame { len: 0, payload_len: 0, from, to, interface, at }
}
