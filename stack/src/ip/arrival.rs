//! What is kept of a packet beside its payload, in front of that, while it waits to be read.

use core::net::IpAddr;

use super::{InterfaceId, PacketMeta};
use crate::base::fields::{Fields, Read};
use crate::base::slab::Key;
use crate::time::Instant;

/// Family, hop limit, traffic class; port; interface; time; source; destination.
pub(crate) const ARRIVAL_LEN: usize = 3 + 2 + 8 + 8 + 32;

/// Where in it the time is.
#[cfg(feature = "udp")]
const TIME_AT: usize = 3 + 2 + 8;

/// Where, when and how a packet came.
pub(crate) struct Arrival {
    pub from: IpAddr,
    /// The port that it came from, where there are ports.
    pub port: u16,
    pub to: IpAddr,
    pub interface: InterfaceId,
    pub hop_limit: u8,
    pub traffic_class: u8,
    pub at: Instant,
}

impl Arrival {
    /// Of a packet that came from this port.
    pub(crate) fn of_packet(meta: &PacketMeta, port: u16, now: Instant) -> Arrival {
        let PacketMeta { interface, source, destination, traffic_class, hop_limit, .. } = *meta;
        Arrival { from: source, port, to: destination, interface, hop_limit, traffic_class, at: now }
    }

    pub(crate) fn record(&self) -> [u8; ARRIVAL_LEN] {
        let mut record = [0; ARRIVAL_LEN];
        let mut to = Fields(&mut record);
        to.put([u8::from(self.from.is_ipv4()), self.hop_limit, self.traffic_class]);
        to.put(self.port.to_le_bytes());
        to.put_all(self.interface.0.numbers().map(u32::to_le_bytes));
        to.put(self.at.micros().to_le_bytes());
        to.put(octets(self.from));
        to.put(octets(self.to));
        record
    }

    /// The same packet at another time.
    #[cfg(feature = "udp")]
    pub(crate) fn set_time(record: &mut [u8; ARRIVAL_LEN], now: Instant) {
        record[TIME_AT..TIME_AT + 8].copy_from_slice(&now.micros().to_le_bytes());
    }

    pub(crate) fn of(record: &[u8; ARRIVAL_LEN]) -> Arrival {
        let mut read = Read(record);
        let [is_v4, hop_limit, traffic_class] = read.get();
        let port = u16::from_le_bytes(read.get());
        let interface = InterfaceId(Key::of_numbers(read.get_all().map(u32::from_le_bytes)));
        let at = Instant::from_micros(u64::from_le_bytes(read.get()));
        let [from, to] = read.get_all().map(|octets: [u8; 16]| match (is_v4, octets) {
            (0, octets) => IpAddr::from(octets),
            (_, [a, b, c, d, ..]) => IpAddr::from([a, b, c, d]),
        });
        Arrival { from, port, to, interface, hop_limit, traffic_class, at }
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
