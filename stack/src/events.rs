//! What happened, as typed values: kept in a small ring, given to a sink, and printed by `log` or
//! `defmt` when those features are on. Nothing here formats text unless someone reads it.

use core::net::{IpAddr, SocketAddr};

use heapless::Deque;

use crate::counters::Drop;
use crate::device::Mac;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::time::Instant;

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something was thrown away.
    Dropped(Drop),
    /// A neighbour's hardware address became known, or changed.
    NeighborResolved(InterfaceId, IpAddr, Mac),
    /// A neighbour did not answer.
    NeighborFailed(InterfaceId, IpAddr),
    /// Somebody else, with this hardware address, claims an address of ours. It is defended, at most
    /// every ten seconds, and this is told as often.
    AddressConflict(InterfaceId, IpAddr, Mac),
    /// An interface can be used.
    InterfaceAdded(InterfaceId),
    /// An interface is gone.
    InterfaceRemoved(InterfaceId),
    /// Its link has come up.
    LinkUp(InterfaceId),
    /// Its link has gone down.
    LinkDown(InterfaceId),
    /// A lease of this address began, or was renewed; its options may be others than before.
    Leased(InterfaceId, IpAddr),
    /// A lease of this address has ended: it ran out, was refused or given back.
    LeaseEnded(InterfaceId, IpAddr),
    /// No DHCP server has given a lease in the time that the program set; the interface takes a link-local address.
    NoLease(InterfaceId),
    /// An address can be used.
    AddressAdded(InterfaceId, IpAddr),
    /// An address is no longer for new flows, while there is another.
    AddressDeprecated(InterfaceId, IpAddr),
    /// An address is gone.
    AddressRemoved(InterfaceId, IpAddr),
    /// What routers told an interface of themselves, prefixes, routes, MTU, name servers or domains is other than before; see
    /// [`Net::configuration`](crate::Net::configuration). Lifetimes that are merely renewed are no change.
    ConfigurationChanged(InterfaceId),
    /// A TCP connection came about: local port, peer.
    ConnectionEstablished(u16, SocketAddr),
    /// Both sides have closed it.
    ConnectionClosed(u16, SocketAddr),
    /// It goes on, with a problem that need not last.
    ConnectionTroubled(u16, SocketAddr, Error),
    /// Its peer marked data as urgent, farther than before.
    UrgentData(u16, SocketAddr),
    /// It ended with an error.
    ConnectionFailed(u16, SocketAddr, Error),
}

/// Where events go besides the ring.
pub type EventSink = fn(Instant, Event);

/// How many events the ring keeps; the newest push out the oldest. Without the feature `events` none are told.
pub const EVENTS_KEPT: usize = if cfg!(feature = "events") { 32 } else { 1 };

/// The ring and the sink.
pub struct Events {
    ring: Deque<(Instant, Event), EVENTS_KEPT>,
    sink: Option<EventSink>,
}

impl Events {
    pub(crate) const fn new() -> Self {
        Events { ring: Deque::new(), sink: None }
    }

    /// Gives every event from now on to `sink` too.
    pub fn set_sink(&mut self, sink: Option<EventSink>) {
        self.sink = sink;
    }

    /// The last events, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = (Instant, Event)> + '_ {
        self.ring.iter().copied()
    }

    pub(crate) fn emit(&mut self, now: Instant, event: Event) {
        if cfg!(not(feature = "events")) {
            return;
        }
        #[cfg(feature = "log")]
        match event {
            Event::Dropped(drop) => log::trace!("dropped: {}", drop.name()),
            other => log::debug!("{other:?}"),
        }
        #[cfg(feature = "defmt")]
        match event {
            Event::Dropped(drop) => defmt::trace!("dropped: {=str}", drop.name()),
            other => defmt::debug!("{}", defmt::Debug2Format(&other)),
        }
        if self.ring.is_full() {
            self.ring.pop_front();
        }
        // The ring has room now, so nothing is lost.
        let _ = self.ring.push_back((now, event));
        if let Some(sink) = self.sink {
            sink(now, event);
        }
    }
}

#[cfg(all(test, feature = "events"))]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_kept() {
        let mut events = Events::new();
        for i in 0..EVENTS_KEPT as u64 + 3 {
            events.emit(Instant::from_micros(i), Event::Dropped(Drop::NoRoute));
        }
        let mut kept = events.recent().map(|(at, _)| at.micros());
        assert_eq!(kept.next(), Some(3));
        assert_eq!(kept.last(), Some(EVENTS_KEPT as u64 + 2));
    }
}
