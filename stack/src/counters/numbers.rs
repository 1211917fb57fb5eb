//! The numbers themselves.

use super::{Drop, TcpCount};
use core::cell::Cell;

/// How often each [`TcpCount`] happened. They only grow.
#[derive(Clone, Debug)]
pub struct TcpCounts([Cell<u64>; TcpCount::ALL.len()]);

impl Default for TcpCounts {
    fn default() -> Self {
        TcpCounts::new()
    }
}

impl TcpCounts {
    pub(crate) const fn new() -> Self {
        TcpCounts([const { Cell::new(0) }; TcpCount::ALL.len()])
    }

    pub(crate) fn add(&self, what: TcpCount, n: u32) {
        let count = &self.0[what as usize];
        count.set(count.get() + u64::from(n));
    }

    /// How often it happened.
    pub fn get(&self, what: TcpCount) -> u64 {
        self.0[what as usize].get()
    }

    /// Everything that happened, with its count.
    pub fn seen(&self) -> impl Iterator<Item = (TcpCount, u64)> + '_ {
        let all = TcpCount::ALL.iter().map(|what| (*what, self.get(*what)));
        all.filter(|(_, count)| *count > 0)
    }
}

/// Packets and bytes in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Frames or packets.
    pub packets: u64,
    /// Bytes, from the counted layer's own header on.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one packet.
    pub fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Both directions of a protocol.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Protocol {
    /// Received and passed to the protocol.
    pub received: Traffic,
    /// Handed to the layer below.
    pub sent: Traffic,
}

impl Protocol {
    const NOTHING: Protocol =
        Protocol { received: Traffic { packets: 0, bytes: 0 }, sent: Traffic { packets: 0, bytes: 0 } };
}

/// What listeners did beside the ordinary handshake.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Handshakes {
    /// SYN cookies sent.
    pub cookies_sent: u64,
    /// SYN cookies that came back and opened a connection.
    pub cookies_accepted: u64,
    /// Half-open connections that gave way to another because their client was silent.
    pub gave_way: u64,
}

#[cfg(feature = "tcp")]
impl Handshakes {
    pub(crate) fn count_cookie_sent(&mut self) {
        self.cookies_sent += 1;
    }

    pub(crate) fn count_cookie_accepted(&mut self) {
        self.cookies_accepted += 1;
    }

    pub(crate) fn count_gave_way(&mut self) {
        self.gave_way += 1;
    }
}

/// All counters of a stack. They only grow.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Ethernet frames; one that was merged, or is to be cut, counts once.
    pub frames: Protocol,
    /// ARP packets.
    pub arp: Protocol,
    /// IPv4 packets.
    pub ipv4: Protocol,
    /// IPv6 packets.
    pub ipv6: Protocol,
    /// ICMP messages of both families, NDP included.
    pub icmp: Protocol,
    /// UDP datagrams.
    pub udp: Protocol,
    /// TCP segments.
    pub tcp: Protocol,
    /// Handshakes out of the ordinary.
    pub handshakes: Handshakes,
    /// Leases of less than a minute that a DHCP server gave.
    #[cfg(feature = "dhcpv4")]
    pub short_leases: u64,
    drops: [u64; Drop::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Counters::NOTHING
    }
}

impl Counters {
    pub(crate) const NOTHING: Counters = Counters {
        frames: Protocol::NOTHING,
        arp: Protocol::NOTHING,
        ipv4: Protocol::NOTHING,
        ipv6: Protocol::NOTHING,
        icmp: Protocol::NOTHING,
        udp: Protocol::NOTHING,
        tcp: Protocol::NOTHING,
        handshakes: Handshakes { cookies_sent: 0, cookies_accepted: 0, gave_way: 0 },
        #[cfg(feature = "dhcpv4")]
        short_leases: 0,
        drops: [0; Drop::ALL.len()],
    };

    /// Counts a drop.
    pub fn count_drop(&mut self, drop: Drop) {
        self.drops[drop as usize] += 1;
    }

    /// Counts a lease of less than a minute.
    #[cfg(feature = "dhcpv4")]
    pub(crate) fn count_short_lease(&mut self) {
        self.short_leases += 1;
    }

    /// How often this happened.
    pub const fn drops(&self, drop: Drop) -> u64 {
        self.drops[drop as usize]
    }

    /// The protocols by name.
    pub fn protocols(&self) -> impl Iterator<Item = (&'static str, Protocol)> {
        [
            ("ethernet", self.frames),
            ("arp", self.arp),
            ("ipv4", self.ipv4),
            ("ipv6", self.ipv6),
            ("icmp", self.icmp),
            ("udp", self.udp),
            ("tcp", self.tcp),
        ]
        .into_iter()
    }

    /// Every reason that occurred, with its count.
    ///
    /// ```
    /// use barenet::counters::{Counters, Drop};
    /// let mut counters = Counters::default();
    /// counters.count_drop(Drop::UdpChecksum);
    /// assert!(counters.drops_seen().eq([(Drop::UdpChecksum, 1)]));
    /// ```
    pub fn drops_seen(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        let all = Drop::ALL.iter().copied().zip(self.drops);
        all.filter(|(_, count)| *count > 0)
    }
}
