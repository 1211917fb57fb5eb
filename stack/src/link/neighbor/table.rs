//! Where entries lie: a hash table whose chains run through the places themselves, so that every
//! place is open to every neighbour and a table of 256 holds 256.

use managed::ManagedSlice;

use super::NeighborKey;
use super::entry::{Class, Entry};
use crate::base::demux::HashKey;
use crate::base::holder::Holder;
use crate::base::lent::Places;
use crate::time::Instant;

/// The end of a chain, whose links are numbers of places plus one: so an empty place is all zero.
const END: u32 = 0;
/// Places that are looked at together for one to give way, so that this costs the same however
/// large the table is, unless nearly all of it is in use.
const GROUP: usize = 8;

/// One place of the neighbour table. A caller without a heap hands in a slice of them.
#[derive(Debug)]
pub struct NeighborSlot {
    /// The first entry of the neighbours whose hash is the number of this place.
    first: u32,
    /// The next one of the chain that the entry here is in.
    next: u32,
    entry: Holder<Entry>,
}

impl NeighborSlot {
    /// A free place.
    pub const EMPTY: NeighborSlot = NeighborSlot { first: END, next: END, entry: Holder::Empty };
}

impl Default for NeighborSlot {
    fn default() -> Self {
        NeighborSlot::EMPTY
    }
}

pub(super) struct Table<'a> {
    slots: Places<'a, NeighborSlot>,
    hash: HashKey,
    entries: usize,
    /// Where the last look-up ended: most packets go to the same neighbour as the one before.
    recent: usize,
    /// Where the search for a place goes on.
    hand: usize,
}

impl<'a> Table<'a> {
    /// Without a place.
    pub(super) const fn empty() -> Self {
        Table { slots: Places::none(), hash: HashKey([0; 16]), entries: 0, recent: 0, hand: 0 }
    }

    pub(super) fn new(slots: ManagedSlice<'a, NeighborSlot>, key: [u8; 16]) -> Self {
        Table { slots: slots.into(), hash: HashKey(key), entries: 0, recent: 0, hand: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A number that stands for the neighbour.
    pub(super) fn fingerprint(&self, key: &NeighborKey) -> u32 {
        self.hash.hash(key)
    }

    fn chain(&self, key: &NeighborKey) -> Option<usize> {
        (self.fingerprint(key) as usize).checked_rem(self.slots.len())
    }

    /// The entry that was looked up last.
    #[inline]
    pub(super) fn recent(&mut self) -> Option<&mut Entry> {
        self.slots.get_mut(self.recent)?.entry.as_mut()
    }

    pub(super) fn at(&mut self, at: usize) -> Option<&mut Entry> {
        self.slots.get_mut(at)?.entry.as_mut()
    }

    pub(super) fn find(&mut self, key: &NeighborKey) -> Option<usize> {
        let is_it = |slot: &NeighborSlot| slot.entry.as_ref().is_some_and(|e| e.key == *key);
        if self.slots.get(self.recent).is_some_and(is_it) {
            return Some(self.recent);
        }
        let mut at = self.slots[self.chain(key)?].first;
        while let Some(slot) = index(at).and_then(|at| self.slots.get(at)) {
            if is_it(slot) {
                self.recent = at as usize - 1;
                return Some(self.recent);
            }
            at = slot.next;
        }
        None
    }

    pub(super) fn get(&mut self, key: &NeighborKey) -> Option<&mut Entry> {
        let at = self.find(key)?;
        self.at(at)
    }

    /// A free place, or that of the least useful entry, if it is worth no more than `most`, and not of the
    /// class that is spared.
    pub(super) fn place(&mut self, most: Class, spared: Option<Class>, now: Instant) -> Option<usize> {
        let len = self.slots.len();
        let is_full = self.entries == len;
        let mut best: Option<(Class, Option<Instant>, usize)> = None;
        for step in 0..len {
            let at = (self.hand + step) % len;
            match self.slots[at].entry.as_ref() {
                None => {
                    best = Some((Class::Failed, None, at));
                    break;
                }
                Some(entry) if is_full && Some(entry.class(now)) != spared => {
                    let this = (entry.class(now), entry.used, at);
                    best = Some(best.map_or(this, |best| best.min(this)));
                }
                Some(_) => {}
            }
            if step % GROUP == GROUP - 1 && best.is_some_and(|(class, ..)| class <= Class::Idle) {
                break;
            }
        }
        let (_, _, at) = best.filter(|(class, ..)| *class <= most)?;
        self.hand = (at + 1) % len;
        Some(at)
    }

    /// Puts an entry into a free place.
    pub(super) fn put(&mut self, at: usize, entry: Entry) {
        let Some(chain) = self.chain(&entry.key) else { return };
        let next = core::mem::replace(&mut self.slots[chain].first, at as u32 + 1);
        let slot = &mut self.slots[at];
        (slot.next, slot.entry) = (next, Holder::Entry(entry));
        (self.recent, self.entries) = (at, self.entries + 1);
    }

    /// Takes the entry out of a place.
    pub(super) fn take(&mut self, at: usize) -> Option<Entry> {
        let entry = self.slots.get_mut(at)?.entry.take()?;
        self.entries -= 1;
        let after = core::mem::replace(&mut self.slots[at].next, END);
        let chain = self.chain(&entry.key)?;
        if self.slots[chain].first == at as u32 + 1 {
            self.slots[chain].first = after;
            return Some(entry);
        }
        let mut before = self.slots[chain].first;
        while let Some(slot) = index(before).and_then(|before| self.slots.get_mut(before)) {
            if slot.next == at as u32 + 1 {
                slot.next = after;
                break;
            }
            before = slot.next;
        }
        Some(entry)
    }

    /// Every entry with its place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.entry.as_ref()?)))
    }
}

/// The place that a link of a chain leads to.
fn index(link: u32) -> Option<usize> {
    link.checked_sub(1).map(|at| at as usize)
}
