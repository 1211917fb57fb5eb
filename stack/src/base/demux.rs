//! From the addresses of a packet to the socket that it is for: a hash table under a secret key.
//!
//! Open addressing with linear probing; an entry is a number into another table plus its hash, so
//! that a removal can close the gap and the table can grow without asking anybody. The key of the
//! hash comes from the stack's seed: a peer can't choose ports that collide.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use managed::ManagedSlice;
use siphasher::sip::SipHasher13;

use super::lent::Places;

/// One place of the table. Callers without a heap hand in a slice of them, twice as many as there
/// may be entries: a power of two of them is used, and one stays free.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    hash: u32,
    /// The number, plus one: a free place is all zero.
    entry: u32,
}

impl Bucket {
    /// A free place.
    pub const EMPTY: Bucket = Bucket { hash: 0, entry: 0 };
}

impl Default for Bucket {
    fn default() -> Self {
        Bucket::EMPTY
    }
}

/// A hash under the stack's secret.
#[derive(Clone, Copy)]
pub(crate) struct HashKey(pub(crate) [u8; 16]);

impl HashKey {
    #[inline]
    pub(crate) fn hash(&self, of: &impl Hash) -> u32 {
        self.hash_pair(of)[0]
    }

    /// Two numbers that say nothing of each other, at the cost of one.
    pub(crate) fn hash_pair(&self, of: &impl Hash) -> [u32; 2] {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        of.hash(&mut hasher);
        let hash = hasher.finish();
        [hash as u32, (hash >> 32) as u32]
    }
}

/// Hashes two addresses of one family by words: one, or four.
#[inline(always)] // the hasher's state stays in registers
pub(crate) fn hash_addresses<H: Hasher>(one: IpAddr, other: IpAddr, state: &mut H) {
    match (one, other) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            state.write_u64(u64::from(a.to_bits()) << 32 | u64::from(b.to_bits()));
        }
        both => {
            for address in [both.0, both.1] {
                let bits = match address {
                    IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
                    IpAddr::V6(a) => a.to_bits(),
                };
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64);
            }
        }
    }
}

/// Numbers found by hash.
pub(crate) struct Demux<'a> {
    buckets: Places<'a, Bucket>,
    mask: usize,
    len: usize,
}

impl<'a> Demux<'a> {
    pub(crate) fn new(buckets: ManagedSlice<'a, Bucket>) -> Self {
        let mut demux = Demux { mask: 0, len: 0, buckets: buckets.into() };
        demux.set_mask();
        demux
    }

    /// A table without a place.
    pub(crate) const fn empty() -> Self {
        Demux { mask: 0, len: 0, buckets: Places::none() }
    }

    /// The largest power of two of places that there are.
    fn set_mask(&mut self) {
        let n = self.buckets.len();
        self.mask = if n == 0 { 0 } else { (1 << n.ilog2()) - 1 };
    }

    /// The number stored under `hash` for which `is_it` holds.
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        for _ in 0..self.buckets.len() {
            let b = self.buckets[at];
            let id = b.entry.checked_sub(1)?;
            if b.hash == hash && is_it(id) {
                return Some(id);
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// Stores `id`; false if the table is full, and can't grow.
    pub(crate) fn insert(&mut self, hash: u32, id: u32) -> bool {
        if (self.len + 1) * 4 > self.places() * 3 && !self.grow() && self.len + 1 >= self.places() {
            return false;
        }
        self.place(Bucket { hash, entry: id + 1 });
        self.len += 1;
        true
    }

    fn places(&self) -> usize {
        if self.buckets.is_empty() { 0 } else { self.mask + 1 }
    }

    fn place(&mut self, bucket: Bucket) {
        let mut at = bucket.hash as usize & self.mask;
        while self.buckets[at].entry != 0 {
            at = (at + 1) & self.mask;
        }
        self.buckets[at] = bucket;
    }

    #[cfg(not(feature = "alloc"))]
    fn grow(&mut self) -> bool {
        false
    }

    #[cfg(feature = "alloc")]
    fn grow(&mut self) -> bool {
        let Places::Heap(old) = &mut self.buckets else {
            return false;
        };
        let places = (old.len() * 2).max(16);
        let Some(new) = crate::base::heap::fill(places, Bucket::default) else { return false };
        let old = core::mem::replace(old, new.into_vec());
        self.set_mask();
        for bucket in old.into_iter().filter(|b| b.entry != 0) {
            self.place(bucket);
        }
        true
    }

    /// Takes `id` out and closes the gap.
    pub(crate) fn remove(&mut self, hash: u32, id: u32) {
        let mut gap = hash as usize & self.mask;
        for _ in 0..self.places() {
            match self.buckets[gap].entry {
                0 => return,
                found if found == id + 1 => return self.close(gap),
                _ => gap = (gap + 1) & self.mask,
            }
        }
    }

    fn close(&mut self, mut gap: usize) {
        self.len -= 1;
        let mut at = gap;
        loop {
            at = (at + 1) & self.mask;
            let b = self.buckets[at];
            if b.entry == 0 {
                break;
            }
            // It may move back if its own place is not between the gap and where it stands.
            let home = b.hash as usize & self.mask;
            if at.wrapping_sub(home) & self.mask >= at.wrapping_sub(gap) & self.mask {
                self.buckets[gap] = b;
                gap = at;
            }
        }
        self.buckets[gap] = Bucket::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut demux: Demux<'_>, most: usize) {
        let mut model: Vec<(u32, u32)> = Vec::new();
        let mut x = 1u32;
        for id in 0..5000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hash = (x >> 24) & 0x3f; // many collide
            if x & 1 == 0 || model.len() >= most {
                if !model.is_empty() {
                    let (hash, id) = model.swap_remove((x >> 8) as usize % model.len());
                    demux.remove(hash, id);
                }
            } else {
                assert!(demux.insert(hash, id));
                model.push((hash, id));
            }
            for (h, i) in &model {
                assert_eq!(demux.find(*h, |f| f == *i), Some(*i));
            }
            assert_eq!(demux.len, model.len());
        }
        assert_eq!(demux.find(3, |_| false), None);
    }

    #[test]
    fn what_was_stored_is_found() {
        let mut memory = [Bucket::default(); 70];
        check(Demux::new(ManagedSlice::Borrowed(&mut memory)), 40);
        #[cfg(feature = "alloc")]
        check(Demux::new(ManagedSlice::Owned(Vec::new())), 200);
    }

    /// H199: a full table refuses.
    #[test]
    fn a_full_table_refuses() {
        let mut memory = [Bucket::default(); 4];
        let mut demux = Demux::new(ManagedSlice::Borrowed(&mut memory));
        assert_eq!((0..9).filter(|i| demux.insert(*i, *i)).count(), 3);
        assert!(!Demux::new(ManagedSlice::Borrowed(&mut [])).insert(1, 1));
    }
}
