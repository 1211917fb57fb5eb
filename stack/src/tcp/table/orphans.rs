//! Connections that nobody holds: the stack carries them to their end.

use super::{LastWords, Opened, Orphaned, Tcp, passive};
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::tcp::connection::tcb::Phase;
use crate::time::Instant;

impl Tcp<'_> {
    /// The application lets go: see [`Tcb::let_go`].
    pub(crate) fn let_go(
        &mut self,
        key: Key,
        is_whole: bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Option<LastWords> {
        let Ok(c) = self.connections.activated(key, now) else { return self.abort(key, now, pool) };
        let mut cx = self.settings.cx(c.profile, now, pool);
        let (tuple, interface, fields) = (c.tuple, c.interface, cx.options.ip_fields());
        match (c.tcb.let_go(is_whole, &mut cx), &c.tcb.phase) {
            (Some(reset), _) => {
                self.take_out(key, pool);
                Some(LastWords { tuple, interface, reset, fields })
            }
            // Nothing was ever received from the peer, nor was anybody told otherwise: the record goes at
            // once (H003).
            (None, Phase::SynSent(h)) if !h.early.is_allowed() || h.queue.is_empty() => {
                self.take_out(key, pool);
                None
            }
            (None, Phase::Over(_)) => {
                self.take_out(key, pool);
                None
            }
            (None, _) => {
                self.orphans.push(&mut Orphaned(&mut self.connections), key.index);
                self.after(key.index);
                None
            }
        }
    }

    /// With a full table, the connection that nobody has held for the longest: new ones come first
    /// (H019).
    pub(crate) fn evictable(&mut self, opened: Opened, now: Instant) -> Option<Key> {
        let oldest = self.orphans.front().filter(|_| self.connections.is_exhausted(opened, now))?;
        self.connections.key(oldest).filter(|_| self.connections.makes_room(oldest, opened))
    }

    /// The connection in this place, if somebody holds it; one that waits for `accept` included.
    pub(crate) fn held_at(&self, index: u32) -> Option<Key> {
        let c = self.connections.look(index)?;
        let is_held = c.known && !c.tcb.orphan && passive(&c.tcb).is_none();
        self.connections.key(index).filter(|_| is_held)
    }

    /// The listener in this place.
    pub(crate) fn listener_at(&self, index: u32) -> Option<Key> {
        self.listeners.key(index)
    }

    /// Places of listeners that were ever used.
    pub(crate) fn listener_places(&self) -> u32 {
        self.listeners.places()
    }

    /// The connection in this place, if nobody holds it, and what its peer has yet to acknowledge. One that
    /// idles has nothing.
    pub(crate) fn undelivered_at(&self, index: u32) -> Option<(Key, usize)> {
        let c = self.connections.at(index).filter(|c| c.known && c.tcb.orphan)?;
        let bytes = Some(c.tcb.undelivered()).filter(|bytes| *bytes > 0)?;
        Some((self.connections.key(index)?, bytes))
    }
}
