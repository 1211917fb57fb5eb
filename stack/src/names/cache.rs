//! Answers that are kept for as long as they say, and that there was none for as long as the zone says (RFC 2308).

use core::hash::Hasher;

use managed::ManagedSlice;
use siphasher::sip::SipHasher24;

use super::{ADDRESSES_MAX, Name, RecordType, Records};
use crate::base::holder::Holder;
use crate::time::Instant;

/// Bytes of the records of an entry: eight addresses of IPv6, each with its length.
const ENTRY_LEN: usize = ADDRESSES_MAX * (16 + 2);

/// A place of the cache: some 170 bytes.
#[derive(Clone, Copy, Default, Debug)]
pub struct CacheEntry(Holder<Entry>);

impl CacheEntry {
    /// A place with nothing in it.
    pub const EMPTY: CacheEntry = CacheEntry(Holder::Empty);
}

/// What is kept. Of the name there is a keyed hash of 64 bits: two names with the same are not to be found without the key.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    until: Instant,
    what: Kept,
    len: u8,
    bytes: [u8; ENTRY_LEN],
}

/// What is known of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// Records, or none of the type.
    Records,
    /// There is no such name.
    NoName,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Cache<'a> {
    entries: ManagedSlice<'a, CacheEntry>,
    /// Most of them, where they are on the heap.
    max: usize,
    key: [u8; 16],
}

impl<'a> Cache<'a> {
    pub(super) fn new(entries: ManagedSlice<'a, CacheEntry>, max: usize, key: [u8; 16]) -> Self {
        Cache { entries, max, key }
    }

    /// The name for one type, or (for `None`) for all.
    pub(super) fn key(&self, name: &Name, kind: Option<RecordType>) -> u64 {
        let mut hash = SipHasher24::new_with_key(&self.key);
        name.as_bytes().iter().for_each(|b| hash.write_u8(b.to_ascii_lowercase()));
        hash.write_u16(kind.map_or(0, |kind| kind.number()));
        hash.finish()
    }

    /// What is known of a name, its records into `records`.
    pub(super) fn get(
        &self,
        name: &Name,
        kind: RecordType,
        records: &mut Records,
        now: Instant,
    ) -> Option<Kept> {
        for key in [self.key(name, Some(kind)), self.key(name, None)] {
            let fits = |e: &&Entry| e.key == key && e.until > now;
            if let Some(entry) = self.entries.iter().filter_map(|e| e.0.as_ref()).find(fits) {
                records.fill(kind, &entry.bytes[..entry.len.into()]);
                return Some(entry.what);
            }
        }
        None
    }

    /// Keeps an answer; the entry that ends first gives way. Records that don't fit are not kept.
    pub(super) fn put(&mut self, key: u64, what: Kept, records: &[u8], until: Instant, now: Instant) {
        let mut entry = Entry { key, until, what, len: 0, bytes: [0; ENTRY_LEN] };
        let Some(room) = entry.bytes.get_mut(..records.len()) else { return };
        room.copy_from_slice(records);
        entry.len = records.len() as u8;
        // What is free or over comes before all others.
        let end = |e: &CacheEntry| match e.0.as_ref() {
            Some(e) if e.key == key || e.until <= now => Instant::ZERO,
            Some(e) => e.until,
            None => Instant::ZERO,
        };
        let is_same = |e: &CacheEntry| e.0.as_ref().is_some_and(|e| e.key == key);
        let at = self.entries.iter().position(is_same);
        let at = at.or_else(|| self.entries.iter().position(|e| end(e) == Instant::ZERO));
        let at = at.or_else(|| self.grow());
        let at = at.or_else(|| (0..self.entries.len()).min_by_key(|at| end(&self.entries[*at])));
        if let Some(at) = at {
            self.entries[at] = CacheEntry(Holder::Entry(entry));
        }
    }

    /// One place more, of the heap.
    fn grow(&mut self) -> Option<usize> {
        #[cfg(feature = "alloc")]
        if let ManagedSlice::Owned(entries) = &mut self.entries
            && entries.len() < self.max
            && entries.try_reserve(1).is_ok()
        {
            entries.push(CacheEntry::EMPTY);
            return Some(entries.len() - 1);
        }
        let _ = self.max;
        None
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.entries.iter_mut().for_each(|entry| *entry = CacheEntry::EMPTY);
    }
}
