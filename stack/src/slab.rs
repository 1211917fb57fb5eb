//! A table whose entries keep their place: O(1) insert, remove and look-up, and handles that know
//! when their entry was given to another (H221).

use managed::ManagedSlice;

const NONE: u32 = u32::MAX;

/// One place of a table. Callers without a heap hand in a slice of them.
#[derive(Debug)]
pub struct Slot<T> {
    /// Counts the entries that this place has held.
    generation: u32,
    /// The next free place, when this one is.
    next_free: u32,
    entry: Option<T>,
}

impl<T> Slot<T> {
    /// A free place.
    pub const EMPTY: Self = Slot { generation: 0, next_free: NONE, entry: None };
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

/// A table of entries of one kind, bounded in number.
pub(crate) struct Slab<'a, T> {
    slots: ManagedSlice<'a, Slot<T>>,
    /// First free place, then along `next_free`.
    free: u32,
    /// Places from here on were never used (a borrowed slice is not threaded beforehand).
    fresh: u32,
    len: u32,
    limit: u32,
}

impl<'a, T> Slab<'a, T> {
    /// A table in `slots`; one on the heap grows up to `limit` entries.
    pub(crate) fn new(slots: ManagedSlice<'a, Slot<T>>, limit: usize) -> Self {
        let limit = match &slots {
            ManagedSlice::Borrowed(s) => s.len().min(limit),
            #[cfg(feature = "alloc")]
            ManagedSlice::Owned(_) => limit,
        };
        Slab { slots, free: NONE, fresh: 0, len: 0, limit: limit.min(NONE as usize - 1) as u32 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Most entries.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    /// Places that were ever used: no entry lies beyond.
    pub(crate) fn places(&self) -> u32 {
        self.fresh
    }

    fn place(&mut self) -> Option<u32> {
        if self.free != NONE {
            let index = self.free;
            self.free = self.slots[index as usize].next_free;
            return Some(index);
        }
        if self.fresh >= self.limit {
            return None;
        }
        #[cfg(feature = "alloc")]
        if let ManagedSlice::Owned(v) = &mut self.slots
            && v.len() <= self.fresh as usize
        {
            v.push(Slot::default());
        }
        self.fresh += 1;
        Some(self.fresh - 1)
    }

    /// Adds an entry; gives it back if the table is full.
    pub(crate) fn insert(&mut self, entry: T) -> Result<Key, T> {
        let Some(index) = self.place() else {
            return Err(entry);
        };
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.entry = Some(entry);
        self.len += 1;
        Ok(Key { index, generation: slot.generation })
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        let entry = slot.entry.take()?;
        slot.next_free = self.free;
        self.free = index;
        self.len -= 1;
        Some(entry)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        slot.entry.as_ref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        slot.entry.as_mut().filter(|_| slot.generation == key.generation)
    }

    /// The entry at a place that our own tables name.
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.entry.as_ref()
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.entry.as_mut()
    }

    pub(crate) fn key(&self, index: u32) -> Option<Key> {
        let slot = self.slots.get(index as usize)?;
        slot.entry.as_ref().map(|_| Key { index, generation: slot.generation })
    }

    /// Every entry, to change it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots[..self.fresh as usize].iter_mut().filter_map(|s| s.entry.as_mut())
    }

    /// Every entry: for orderly shutdown and tests, not for the data path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let used = &self.slots[..self.fresh as usize];
        used.iter().enumerate().filter_map(|(i, s)| Some((i as u32, s.entry.as_ref()?)))
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
        assert!(slab.is_full() && slab.len() == 2);
    }
}
