//! TCP Fast Open (RFC 7413) as a server: which SYN may bring payload, and how many are pending.

use super::{Profile, Tcp};
use crate::base::slab::Key;
use crate::tcp::connection::fast_open::FastOpenGrant;
use crate::tcp::segment::{Segment, Tuple};
use crate::time::Instant;

impl Tcp<'_> {
    /// What a SYN for this listener asks for and brings.
    pub(in crate::tcp) fn grant(
        &self,
        listener: u32,
        tuple: &Tuple,
        syn: &Segment<'_>,
        now: Instant,
    ) -> FastOpenGrant {
        let most = self.fast_open_limit(listener);
        match &syn.options.fast_open {
            Some(asked) if most > 0 => FastOpenGrant::of(&self.key, tuple, asked, now),
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
    pub(in crate::tcp) fn accepts_fast_open(
        &self,
        listener: u32,
        grant: &FastOpenGrant,
        syn: &Segment<'_>,
        now: Instant,
    ) -> Option<Key> {
        let most = self.fast_open_limit(listener);
        let has_room = self.listeners.at(listener).is_some_and(|l| l.0.pending.has_room(most, now));
        let takes = grant.is_good && !syn.payload.is_empty() && has_room;
        self.listeners.key(listener).filter(|_| takes)
    }

    /// A connection has a [`PendingFastOpen`] on this listener.
    pub(in crate::tcp) fn fast_open_begins(&mut self, listener: Key) {
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
