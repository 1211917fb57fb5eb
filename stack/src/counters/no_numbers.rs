//! In place of the numbers, where the feature `counters` is off: nothing is kept.

use super::Drop;
#[cfg(feature = "tcp")]
use super::TcpCount;

/// Takes what TCP would count.
#[cfg(feature = "tcp")]
#[derive(Clone, Debug)]
pub(crate) struct TcpCounts;

#[cfg(feature = "tcp")]
impl TcpCounts {
    pub(crate) const fn new() -> Self {
        TcpCounts
    }

    pub(crate) fn add(&self, _: TcpCount, _: u32) {}
}

/// Takes packets and bytes of one direction.
#[derive(Clone, Debug)]
pub(crate) struct Traffic;

impl Traffic {
    pub(crate) fn count(&mut self, _: usize) {}
}

/// Both directions of a protocol.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
}

impl Protocol {
    const NOTHING: Protocol = Protocol { received: Traffic, sent: Traffic };
}

/// What listeners do beside the ordinary handshake.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes;

#[cfg(feature = "tcp")]
impl Handshakes {
    pub(crate) fn count_cookie_sent(&mut self) {}
    pub(crate) fn count_cookie_accepted(&mut self) {}
    pub(crate) fn count_gave_way(&mut self) {}
}

/// Takes everything that a stack would count.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    pub(crate) frames: Protocol,
    pub(crate) arp: Protocol,
    pub(crate) ipv4: Protocol,
    pub(crate) ipv6: Protocol,
    pub(crate) icmp: Protocol,
    pub(crate) udp: Protocol,
    pub(crate) tcp: Protocol,
    pub(crate) handshakes: Handshakes,
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
        handshakes: Handshakes,
    };

    pub(crate) fn count_drop(&mut self, _: Drop) {}

    #[cfg(feature = "dhcpv4")]
    pub(crate) fn count_short_lease(&mut self) {}

    /// None that are known of.
    pub(crate) const fn drops(&self, _: Drop) -> u64 {
        0
    }
}
