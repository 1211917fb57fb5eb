//! The table of connections. Each keeps its number for life; those in use are kept in full, and what
//! idles gives its room to them and is kept in little ([`park`](crate::tcp::connection::idle)).
//!
//! The working set has a size that it returns to. One more connection than that parks one that was
//! not used lately, which is found by a hand that goes round (the clock algorithm): a few steps
//! for each. If all of those are busy the set grows; where its memory was handed in, it can't, and a
//! connection that is parked has to wait until another one rests.

use super::Connection;
use super::parking::{Copied, Idle};
use crate::base::list::{Link, NONE};
use crate::base::slab::{Key, Slab, Slot};
use crate::base::wakers::Woken;
use crate::base::wheel::Node;
use crate::error::Error;
use crate::tcp::segment::Tuple;
use crate::time::Instant;
use core::ops::Deref;
use core::task::Waker;
use managed::ManagedSlice;

/// Connections that are looked at to find one that can be parked.
const STEPS: u32 = 8;

/// Of so many places those that only our own connects may have: an eighth, but at least one. Else a few
/// clients that came and stayed would keep us from ever connecting. A single place is for who comes first.
fn share(places: usize) -> usize {
    if places < 2 { 0 } else { (places / 8).max(1) }
}

/// A connection's place in the table.
#[derive(Debug)]
pub struct Place {
    /// Its number in the working set, unless it idles.
    active: u32,
    opened: Opened,
    idle: Option<Idle>,
}

/// Who opened a connection: there is a share of the places for ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opened {
    ByUs,
    ByPeer,
}

/// All connections.
pub(in crate::tcp) struct Connections<'a> {
    places: Slab<'a, Place>,
    active: Slab<'a, Connection>,
    /// How many of both the peers opened.
    passive: usize,
    passive_active: usize,
    /// So many are in use, unless more are busy.
    target: usize,
    /// Where the last one was parked.
    hand: u32,
    /// The one that was looked up last: a step does so several times.
    last: Found,
}

/// A connection in use, and its number in the working set.
#[derive(Clone, Copy)]
struct Found {
    /// Plus one, both: so none is all zero.
    index: u32,
    active: u32,
}

impl Found {
    const NONE: Found = Found { index: 0, active: 0 };

    #[inline]
    fn new(index: u32, active: u32) -> Found {
        Found { index: index.wrapping_add(1), active: active.wrapping_add(1) }
    }

    #[inline]
    fn index(self) -> u32 {
        self.index.wrapping_sub(1)
    }

    #[inline]
    fn active(self) -> u32 {
        self.active.wrapping_sub(1)
    }
}

/// Names a connection for as long as it is in use: it is found by less than by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ActiveKey(Key);

/// A connection to look at, wherever it is.
pub(crate) struct ConnectionRef<'a> {
    active: Option<&'a Connection>,
    unparked: Option<Copied>,
}

impl Deref for ConnectionRef<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        let connection = self.active.or(self.unparked.as_deref());
        connection.expect("one of the two is made")
    }
}

impl<'a> Connections<'a> {
    /// A table without a place.
    pub(in crate::tcp) const fn empty() -> Self {
        Connections {
            places: Slab::empty(),
            active: Slab::empty(),
            passive: 0,
            passive_active: 0,
            target: 0,
            hand: 0,
            last: Found::NONE,
        }
    }

    /// A table of `limit` connections at most, of which `target` are kept in full.
    pub(in crate::tcp) fn new(
        places: ManagedSlice<'a, Slot<Place>>,
        active: ManagedSlice<'a, Slot<Connection>>,
        limit: usize,
        target: usize,
    ) -> Self {
        let target = match &active {
            ManagedSlice::Borrowed(all) => target.min(all.len()),
            #[cfg(feature = "alloc")]
            ManagedSlice::Owned(_) => target,
        };
        Connections {
            places: Slab::new(places, limit),
            active: Slab::new(active, limit),
            passive: 0,
            passive_active: 0,
            target,
            hand: 0,
            last: Found::NONE,
        }
    }

    pub(in crate::tcp) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many of them peers have opened.
    pub(in crate::tcp) fn passive_len(&self) -> usize {
        self.passive
    }

    /// How many half-open connections there can be: half of all, in the table and in use, or a flood of
    /// them would leave no place for others.
    pub(in crate::tcp) fn half_open_limit(&self) -> usize {
        let [places, active] = [self.places.limit(), self.active.limit()];
        (places.min(active) / 2).min((active - share(active)).saturating_sub(1))
    }

    /// How many more there can be.
    pub(in crate::tcp) fn room(&self, opened: Opened) -> usize {
        let free = self.places.limit() - self.places.len();
        match opened {
            Opened::ByUs => free,
            Opened::ByPeer => {
                let most = self.places.limit() - share(self.places.limit());
                most.saturating_sub(self.passive).min(free)
            }
        }
    }

    /// Would there be a place for one if this one went?
    pub(in crate::tcp) fn makes_room(&self, index: u32, opened: Opened) -> bool {
        self.places.at(index).is_some_and(|p| opened == Opened::ByUs || p.opened == opened)
    }

    /// Is there a place in the working set?
    fn has_active_room(&mut self, opened: Opened) -> bool {
        let most = self.active.limit() - share(self.active.limit());
        (opened == Opened::ByUs || self.passive_active < most) && self.active.prepare()
    }

    /// Places that were ever used.
    pub(in crate::tcp) fn places(&self) -> u32 {
        self.places.places()
    }

    pub(in crate::tcp) fn key(&self, index: u32) -> Option<Key> {
        self.places.key(index)
    }

    /// The connection, if it is in use.
    pub(in crate::tcp) fn at(&self, index: u32) -> Option<&Connection> {
        self.active.at(self.active_of(index)?)
    }

    pub(in crate::tcp) fn at_mut(&mut self, index: u32) -> Option<&mut Connection> {
        let active = self.active_of(index)?;
        self.last = Found::new(index, active);
        self.active.at_mut(active)
    }

    /// The connection's number in the working set.
    #[inline]
    fn active_of(&self, index: u32) -> Option<u32> {
        if index == self.last.index() {
            debug_assert_eq!(self.places.at(index).map_or(NONE, |place| place.active), self.last.active());
            return Some(self.last.active());
        }
        self.places.at(index).map(|place| place.active)
    }

    /// Can no connection be added, nor one that idles be used, before another one rests?
    pub(in crate::tcp) fn is_exhausted(&mut self, opened: Opened, now: Instant) -> bool {
        self.make_room(opened, now);
        self.room(opened) == 0 || !self.places.prepare() || !self.has_active_room(opened)
    }

    /// The connection that this key is for, in use. [`Error::OutOfMemory`]: it has to wait until
    /// another one rests.
    #[inline]
    pub(in crate::tcp) fn activated(&mut self, key: Key, now: Instant) -> Result<&mut Connection, Error> {
        if self.places.get(key).ok_or(Error::StaleHandle)?.idle.is_some() {
            self.activate(key.index, now);
        }
        self.in_use(key)?.ok_or(Error::OutOfMemory)
    }

    /// The connection that this key is for, if it is in use. [`Error::StaleHandle`]: there is none.
    #[inline]
    pub(in crate::tcp) fn in_use(&mut self, key: Key) -> Result<Option<&mut Connection>, Error> {
        let place = self.places.get(key).ok_or(Error::StaleHandle)?;
        if place.idle.is_some() {
            return Ok(None);
        }
        self.last = Found::new(key.index, place.active);
        let c = self.active.at_mut(place.active).ok_or(Error::StaleHandle)?;
        c.is_referenced = true;
        Ok(Some(c))
    }

    /// A copy of the connection that this key is for, if it idles.
    pub(in crate::tcp) fn idle(&self, key: Key) -> Option<Copied> {
        self.places.get(key)?.idle.as_ref().map(|idle| idle.copy(key.index))
    }

    /// The connection, if it is in use; which it is the more for that.
    pub(in crate::tcp) fn get_mut(&mut self, key: Key) -> Option<&mut Connection> {
        let c = self.active.at_mut(self.places.get(key)?.active)?;
        c.is_referenced = true;
        Some(c)
    }

    /// Names the connection at this place, if it is in use.
    #[inline]
    pub(in crate::tcp) fn active_key(&self, index: u32) -> Option<ActiveKey> {
        self.active.key(self.active_of(index)?).map(ActiveKey)
    }

    /// The connection at this place and its name, if it is in use.
    #[inline]
    pub(in crate::tcp) fn active_at(&self, index: u32) -> Option<(ActiveKey, &Connection)> {
        let (key, c) = self.active.entry(self.active_of(index)?)?;
        Some((ActiveKey(key), c))
    }

    /// The connection, if it is still in use; which it is the more for that.
    #[inline]
    pub(in crate::tcp) fn get_active(&mut self, key: ActiveKey) -> Option<&mut Connection> {
        let c = self.active.get_mut(key.0)?;
        c.is_referenced = true;
        Some(c)
    }

    /// Shows the connection that this key is for to `see`, wherever it is.
    #[inline]
    pub(in crate::tcp) fn inspect<R>(&self, key: Key, see: impl FnOnce(&Connection) -> R) -> Option<R> {
        let place = self.places.get(key)?;
        if place.idle.is_none() {
            return self.active.at(place.active).map(see);
        }
        self.inspect_idle(key, see)
    }

    /// Apart: the copy is on the stack only as long as it is looked at.
    #[inline(never)]
    fn inspect_idle<R>(&self, key: Key, see: impl FnOnce(&Connection) -> R) -> Option<R> {
        self.idle(key).map(|copied| see(&copied))
    }

    /// A look at a connection, which changes nothing.
    pub(in crate::tcp) fn look(&self, index: u32) -> Option<ConnectionRef<'_>> {
        let place = self.places.at(index)?;
        let unparked = place.idle.as_ref().map(|idle| idle.copy(index));
        Some(ConnectionRef { active: self.active.at(place.active), unparked })
    }

    #[cfg(all(test, feature = "alloc"))]
    pub(in crate::tcp) fn look_by(&self, key: Key) -> Option<ConnectionRef<'_>> {
        self.places.get(key)?;
        self.look(key.index)
    }

    /// Every connection.
    pub(in crate::tcp) fn iter(&self) -> impl Iterator<Item = (u32, ConnectionRef<'_>)> {
        self.places.iter().filter_map(|(index, _)| Some((index, self.look(index)?)))
    }

    /// Is the connection at this place the one between these two?
    pub(in crate::tcp) fn is_of(&self, index: u32, tuple: &Tuple) -> bool {
        let Some(place) = self.places.at(index) else { return false };
        match &place.idle {
            Some(idle) => idle.tuple() == *tuple,
            None => self.active.at(place.active).is_some_and(|c| c.tuple == *tuple),
        }
    }

    /// Adds a connection, if there is room for it.
    pub(in crate::tcp) fn insert(
        &mut self,
        connection: Connection,
        opened: Opened,
        now: Instant,
    ) -> Option<u32> {
        if self.is_exhausted(opened, now) {
            return None;
        }
        let at = self.active.insert(connection).ok()?.index;
        let Ok(key) = self.places.insert(Place { active: at, opened, idle: None }) else {
            self.active.free(at);
            return None;
        };
        if let Some(c) = self.active.at_mut(at) {
            c.index = key.index;
        }
        self.passive += usize::from(opened == Opened::ByPeer);
        self.passive_active += usize::from(opened == Opened::ByPeer);
        Some(key.index)
    }

    /// Removes a connection where it is, and calls `last` with it before. False: there is none.
    pub(in crate::tcp) fn remove(&mut self, index: u32, last: impl FnOnce(&mut Connection)) -> bool {
        self.last = Found::NONE;
        let Some(place) = self.places.at_mut(index) else { return false };
        let (active, opened) = (place.active, place.opened);
        self.passive -= usize::from(opened == Opened::ByPeer);
        match place.idle.take() {
            Some(idle) => last(&mut idle.unpark(index)),
            None => {
                self.passive_active -= usize::from(opened == Opened::ByPeer);
                if let Some(c) = self.active.at_mut(active) {
                    last(c);
                }
                self.active.free(active);
            }
        }
        self.places.free(index)
    }

    /// Makes the connection one of those in use. False: there is none, or all of those are busy.
    pub(in crate::tcp) fn activate(&mut self, index: u32, now: Instant) -> bool {
        let opened = match self.places.at(index) {
            None => return false,
            Some(Place { idle: None, .. }) => return true,
            Some(Place { idle: Some(_), opened, .. }) => *opened,
        };
        self.make_room(opened, now);
        if !self.has_active_room(opened) {
            return false;
        }
        let Some(place) = self.places.at_mut(index) else { return false };
        let Some(idle) = place.idle.take() else { return true };
        // There is room.
        let Ok(key) = self.active.insert(idle.unpark(index)) else { return false };
        (place.active, self.last) = (key.index, Found::NONE);
        self.passive_active += usize::from(opened == Opened::ByPeer);
        true
    }

    /// Parks what was not used lately, as long as there are more in use than there should be and a few
    /// steps find some; as many steps as it takes, if there is no room at all.
    fn make_room(&mut self, opened: Opened, now: Instant) {
        let steps = if self.has_active_room(opened) { STEPS } else { 2 * self.active.places() };
        for _ in 0..steps {
            if self.active.len() < self.target && self.has_active_room(opened) {
                return;
            }
            self.hand = if self.hand + 1 < self.active.places() { self.hand + 1 } else { 0 };
            self.park_at(self.hand, now);
        }
    }

    /// Parks the connection in this place of the working set, if it is at rest and was not used since
    /// the hand was here last.
    fn park_at(&mut self, at: u32, now: Instant) {
        let Some(c) = self.active.at_mut(at) else { return };
        if core::mem::take(&mut c.is_referenced) {
            return;
        }
        let index = c.index;
        if let Some(idle) = Idle::of(c, now)
            && let Some(place) = self.places.at_mut(index)
        {
            (place.active, place.idle, self.last) = (NONE, Some(idle), Found::NONE);
            self.passive_active -= usize::from(place.opened == Opened::ByPeer);
            self.active.free(at);
        }
    }

    /// The timer of a connection.
    pub(in crate::tcp) fn timer(&mut self, index: u32) -> Option<&mut Node> {
        if index == self.last.index() && index != NONE {
            return Some(&mut self.active.at_mut(self.last.active())?.timer);
        }
        let place = self.places.at_mut(index)?;
        match &mut place.idle {
            Some(idle) => Some(idle.timer()),
            None => Some(&mut self.active.at_mut(place.active)?.timer),
        }
    }

    /// The task that waits to read from it.
    pub(in crate::tcp) fn reader(&mut self, key: Key) -> Option<&mut Option<Waker>> {
        let place = self.places.get_mut(key)?;
        match &mut place.idle {
            Some(idle) => Some(idle.reader()),
            None => Some(&mut self.active.at_mut(place.active)?.reader),
        }
    }

    /// Its hash, if it is in the demux, from which it is taken now.
    pub(in crate::tcp) fn leave_demux(&mut self, index: u32) -> Option<u32> {
        let place = self.places.at(index)?;
        match &place.idle {
            Some(idle) => Some(idle.hash()),
            None => {
                let c = self.active.at_mut(place.active)?;
                core::mem::take(&mut c.known).then_some(c.hash)
            }
        }
    }

    /// Its links among the orphans.
    pub(in crate::tcp) fn orphaned(&mut self, index: u32) -> Option<&mut Link> {
        let place = self.places.at_mut(index)?;
        match &mut place.idle {
            Some(idle) => Some(idle.orphaned()),
            None => Some(&mut self.active.at_mut(place.active)?.orphaned),
        }
    }

    /// Which connection waits for `accept` after this one.
    pub(in crate::tcp) fn next_waiting(&mut self, index: u32) -> Option<&mut u32> {
        let place = self.places.at_mut(index)?;
        match &mut place.idle {
            Some(idle) => Some(idle.next_waiting()),
            None => Some(&mut self.active.at_mut(place.active)?.next_waiting),
        }
    }

    /// Every task that waits for a connection is to be woken.
    pub(in crate::tcp) fn wake_all(&mut self, woken: &mut Woken) {
        self.active.for_each_mut(|c| c.wake_both(woken));
        self.places.for_each_mut(|place| {
            if let Some(idle) = &mut place.idle {
                woken.take(idle.reader());
            }
        });
    }

    /// Parks everything that is at rest, for tests. What comes back packs to the same bytes: nothing that is
    /// packed is lost on the way back.
    #[cfg(all(test, feature = "alloc", feature = "parking"))]
    pub(in crate::tcp) fn park_all(&mut self, now: Instant) {
        for at in (0..self.active.places()).chain(0..self.active.places()) {
            let Some(index) = self.active.at(at).map(|c| c.index) else { continue };
            self.park_at(at, now);
            let Some(idle) = self.places.at(index).and_then(|place| place.idle.as_ref()) else { continue };
            let again = Idle::of(&mut idle.copy(index), now);
            assert!(again.is_some_and(|again| again.is_same(idle)), "parked, it came back as another");
        }
    }
}
