//! A table whose entries keep their place: O(1) insert, remove and look-up, and handles that know
//! when their entry was given to another (H221).
//!
//! On the heap it grows by chunks: nothing is ever moved, so no insertion costs more than another,
//! and no memory lies idle but the rest of the last chunk. Where the heap gives no further chunk the
//! table is full, until it does.

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use managed::ManagedSlice;

use super::lent::Lent;

/// The end of the list of free places, whose links are numbers of places plus one: so an empty table is all zero.
const NONE: u32 = 0;
/// Bytes of a chunk, about.
#[cfg(feature = "alloc")]
const CHUNK_BYTES: usize = 8192;

/// One place of a table. Callers without a heap hand in a slice of them.
#[derive(Debug)]
pub struct Slot<T>(Content<T>);

/// With a tag of its own, so that a free place is all zero: a static with a table lies in `.bss`, and takes no flash.
#[derive(Debug)]
#[repr(u8)]
enum Content<T> {
    Free {
        /// Counts the entries that this place has held.
        generation: u32,
        /// The next free place, plus one.
        next: u32,
    } = 0,
    Entry {
        generation: u32,
        entry: T,
    },
}

impl<T> Slot<T> {
    /// A free place.
    pub const EMPTY: Self = Slot(Content::Free { generation: 0, next: NONE });

    #[inline]
    const fn generation(&self) -> u32 {
        let (Content::Free { generation, .. } | Content::Entry { generation, .. }) = &self.0;
        *generation
    }

    fn entry(&self) -> Option<&T> {
        match &self.0 {
            Content::Entry { entry, .. } => Some(entry),
            Content::Free { .. } => None,
        }
    }

    fn entry_mut(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            Content::Entry { entry, .. } => Some(entry),
            Content::Free { .. } => None,
        }
    }
}

/// The places of a table.
enum Slots<'a, T> {
    Given(Lent<'a, Slot<T>>),
    #[cfg(feature = "alloc")]
    Heap(Vec<Box<[Slot<T>]>>),
}

impl<T> Slots<'_, T> {
    /// Places of a chunk: a power of two of them.
    #[cfg(feature = "alloc")]
    const CHUNK: usize = {
        let fit = CHUNK_BYTES / size_of::<Slot<T>>();
        if fit == 0 { 1 } else { 1 << fit.ilog2() }
    };

    #[inline]
    fn get(&self, index: u32) -> Option<&Slot<T>> {
        match self {
            Slots::Given(slots) => slots.get(index as usize),
            #[cfg(feature = "alloc")]
            Slots::Heap(chunks) => {
                chunks.get(index as usize / Self::CHUNK)?.get(index as usize % Self::CHUNK)
            }
        }
    }

    #[inline]
    fn get_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        match self {
            Slots::Given(slots) => slots.get_mut(index as usize),
            #[cfg(feature = "alloc")]
            Slots::Heap(chunks) => {
                chunks.get_mut(index as usize / Self::CHUNK)?.get_mut(index as usize % Self::CHUNK)
            }
        }
    }

    /// Makes sure that the place exists, which is the next after those that do. False: the heap has no
    /// memory for it.
    fn extend_to(&mut self, index: u32) -> bool {
        match self {
            Slots::Given(slots) => (index as usize) < slots.len(),
            #[cfg(feature = "alloc")]
            Slots::Heap(chunks) => {
                (index as usize) < chunks.len() * Self::CHUNK
                    || crate::base::heap::fill(Self::CHUNK, || Slot::EMPTY)
                        .is_some_and(|chunk| crate::base::heap::push(chunks, chunk))
            }
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Names an entry for as long as it exists, and nothing afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key {
    pub(crate) index: u32,
    generation: u32,
}

impl Key {
    /// Index and generation.
    pub(crate) fn numbers(self) -> [u32; 2] {
        [self.index, self.generation]
    }

    /// The other way.
    pub(crate) fn of_numbers([index, generation]: [u32; 2]) -> Key {
        Key { index, generation }
    }
}

/// A table of entries of one kind, bounded in number.
pub(crate) struct Slab<'a, T> {
    slots: Slots<'a, T>,
    /// First free place, plus one, then along [`Content::Free`].
    free: u32,
    /// Places from here on were never used (a borrowed slice is not threaded beforehand).
    fresh: u32,
    len: u32,
    limit: u32,
}

impl<'a, T> Slab<'a, T> {
    /// A table in `slots`; one on the heap grows up to `limit` entries.
    pub(crate) fn new(slots: ManagedSlice<'a, Slot<T>>, limit: usize) -> Self {
        let (slots, limit) = match slots {
            ManagedSlice::Borrowed(s) => {
                let limit = s.len().min(limit);
                (Slots::Given(Lent::new(s)), limit)
            }
            #[cfg(feature = "alloc")]
            ManagedSlice::Owned(_) => (Slots::Heap(Vec::new()), limit),
        };
        Slab { slots, free: NONE, fresh: 0, len: 0, limit: limit.min(u32::MAX as usize - 1) as u32 }
    }

    /// A table without a place.
    pub(crate) const fn empty() -> Self {
        Slab { slots: Slots::Given(Lent::none()), free: NONE, fresh: 0, len: 0, limit: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Most entries.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Makes sure that there is a place for another entry. False: the table is full, or the heap is.
    pub(crate) fn prepare(&mut self) -> bool {
        self.free != NONE || (self.fresh < self.limit && self.slots.extend_to(self.fresh))
    }

    /// Places that were ever used: no entry lies beyond.
    pub(crate) fn places(&self) -> u32 {
        self.fresh
    }

    /// A free place, off the list of them or new.
    fn place(&mut self) -> Option<u32> {
        if self.free != NONE {
            let index = self.free - 1;
            if let Some(Slot(Content::Free { next, .. })) = self.slots.get(index) {
                self.free = *next;
            }
            return Some(index);
        }
        if !self.prepare() {
            return None;
        }
        self.fresh += 1;
        Some(self.fresh - 1)
    }

    /// Adds an entry; gives it back if the table is full, or the heap is.
    pub(crate) fn insert(&mut self, entry: T) -> Result<Key, T> {
        let Some(index) = self.place() else { return Err(entry) };
        let Some(slot) = self.slots.get_mut(index) else { return Err(entry) };
        let generation = slot.generation().wrapping_add(1);
        slot.0 = Content::Entry { generation, entry };
        self.len += 1;
        Ok(Key { index, generation })
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index)?;
        slot.entry()?;
        let free = Content::Free { generation: slot.generation(), next: self.free };
        let Content::Entry { entry, .. } = core::mem::replace(&mut slot.0, free) else { return None };
        self.free = index + 1;
        self.len -= 1;
        Some(entry)
    }

    /// Removes an entry, which is dropped where it is. False: there is none.
    pub(crate) fn free(&mut self, index: u32) -> bool {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.entry().is_some()) else {
            return false;
        };
        slot.0 = Content::Free { generation: slot.generation(), next: self.free };
        self.free = index + 1;
        self.len -= 1;
        true
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.index).filter(|slot| slot.generation() == key.generation)?.entry()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.index).filter(|slot| slot.generation() == key.generation)?.entry_mut()
    }

    /// The entry at a place that our own tables name.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index)?.entry()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index)?.entry_mut()
    }

    pub(crate) fn key(&self, index: u32) -> Option<Key> {
        self.entry(index).map(|(key, _)| key)
    }

    /// The entry at a place, and its key.
    #[inline]
    pub(crate) fn entry(&self, index: u32) -> Option<(Key, &T)> {
        match &self.slots.get(index)?.0 {
            Content::Entry { generation, entry } => Some((Key { index, generation: *generation }, entry)),
            Content::Free { .. } => None,
        }
    }

    /// Calls `change` with every entry.
    pub(crate) fn for_each_mut(&mut self, mut change: impl FnMut(&mut T)) {
        (0..self.fresh).for_each(|index| {
            if let Some(entry) = self.at_mut(index) {
                change(entry);
            }
        });
    }

    /// Every entry: for orderly shutdown and tests, not for the data path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.fresh).filter_map(|index| Some((index, self.at(index)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H221: a key of a removed entry finds nothing, even after its place was used again.
    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slots = [Slot::default(), Slot::default()];
        let mut slab = Slab::new(ManagedSlice::Borrowed(&mut slots[..]), 9);
        let a = slab.insert('a').unwrap();
        let b = slab.insert('b').unwrap();
        assert_eq!(slab.insert('c'), Err('c'));
        assert_eq!(slab.remove(a.index), Some('a'));
        assert_eq!(slab.remove(a.index), None);
        let c = slab.insert('c').unwrap();
        assert_eq!((slab.get(a), slab.get(b), slab.get(c)), (None, Some(&'b'), Some(&'c')));
        assert_eq!(slab.key(c.index), Some(c));
        assert_eq!(slab.iter().map(|(_, c)| *c).collect::<String>(), "cb");
        assert!(!slab.prepare() && slab.len() == 2);
    }

    /// On the heap: over several chunks, up to the limit.
    #[cfg(feature = "alloc")]
    #[test]
    fn a_table_on_the_heap_grows_by_chunks() {
        let mut slab = Slab::new(ManagedSlice::Owned(Vec::new()), 1000);
        let keys: Vec<Key> = (0..1000).map(|n: u64| slab.insert([n; 10]).unwrap()).collect();
        assert!(slab.insert([0; 10]).is_err() && slab.places() == 1000);
        assert!((0..1000).all(|n| slab.get(keys[n]) == Some(&[n as u64; 10])));
        (0..1000).for_each(|n| assert!(slab.remove(n).is_some() && slab.remove(n).is_none()));
        assert!((0..1000).all(|_| slab.insert([1; 10]).is_ok()) && !slab.prepare());
        assert!(slab.at(1000).is_none() && keys.iter().all(|k| slab.get(*k).is_none()));
    }
}
