//! TCP Fast Open (RFC 7413) as a server: which SYN may bring payload, and how many are pending.

pub(super) use super::fast_open_cache::CookieJar;
use super::passive_open::Arrival;
use super::{ConnectionEvent, Opened, Outcome, Profile, Refused, Tcp};
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::counters::TcpCount;
use crate::tcp::connection::fast_open::FastOpenGrant;
use crate::tcp::connection::tcb::Opening;
use crate::tcp::segment::{Segment, Tuple};
use crate::time::Instant;

/// A listener that takes the payload of a SYN.
pub(super) type EarlyListener = Key;

impl Tcp<'_> {
    /// What a SYN for this listener asks for and brings.
    pub(super) fn grant(
        &self,
        listener: u32,
        tuple: &Tuple,
        syn: &Segment<'_>,
        now: Instant,
    ) -> FastOpenGrant {
        let most = self.fast_open_limit(listener);
        match &syn.options.fast_open {
            Some(asked) if most > 0 => FastOpenGrant::of(&self.secret, tuple, asked, now),
            _ => FastOpenGrant::NOTHING,
        }
    }

    fn fast_open_limit(&self, listener: u32) -> u16 {
        let profile = self.listeners.at(listener).map_or(Profile::STACK, |l| l.0.profile);
        self.settings.options(profile).fast_open_backlog
    }

    /// The listener, if this SYN's payload may be taken at once.
    //= rfc7413#4.2.2
    //= rfc7413#5.1
    pub(super) fn accepts_fast_open(
        &self,
        listener: u32,
        grant: &FastOpenGrant,
        syn: &Segment<'_>,
        now: Instant,
    ) -> Option<EarlyListener> {
        let most = self.fast_open_limit(listener);
        let has_room = self.listeners.at(listener).is_some_and(|l| l.0.pending.has_room(most, now));
        let takes = grant.is_good && !syn.payload.is_empty() && has_room;
        self.listeners.key(listener).filter(|_| takes)
    }

    /// A connection that does not wait for the third segment (RFC 7413).
    pub(super) fn open_fast(
        &mut self,
        arrival: &Arrival<'_>,
        listener: EarlyListener,
        opening: Opening,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let profile = self.profile_of(listener.index);
        let (tuple, interface) = ((*arrival.tuple, arrival.hash.place), arrival.interface);
        let Some(index) = self.admit(tuple, interface, Opened::ByPeer, profile, opening, now) else {
            return arrival.drop(Refused::TableFull);
        };
        let Some(c) = self.connections.at_mut(index) else { return Outcome::default() };
        c.tcb.open_fast(arrival.segment, listener, &mut self.settings.cx(profile, now, pool));
        self.settings.counts.add(TcpCount::PassiveOpens, 1);
        self.settings.counts.add(TcpCount::FastOpensPassive, 1);
        self.fast_open_begins(listener);
        self.queue_for_accept(listener.index, index);
        self.after(index);
        Outcome { event: Some(ConnectionEvent::Established), ..Outcome::default() }
    }

    /// A connection has a [`PendingFastOpen`] on this listener.
    fn fast_open_begins(&mut self, listener: Key) {
        if let Some(l) = self.listeners.get_mut(listener) {
            l.0.pending.opening += 1;
        }
    }

    /// And now it has none any more; with a time if a reset was the end.
    pub(in crate::tcp) fn fast_open_ends(&mut self, listener: Key, reset: Option<Instant>) {
        if let Some(l) = self.listeners.get_mut(listener) {
            l.0.pending.opening -= 1;
            reset.into_iter().for_each(|now| l.0.pending.on_reset(now));
        }
    }
}
