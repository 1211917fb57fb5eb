//! Which parts of the stream beyond RCV.NXT have arrived: a short sorted list of ranges.
//!
//! The list lies in the pool, like the bytes that it speaks of, so a connection without a hole
//! owns none of it. It is bounded: work per segment and memory per connection stay small however
//! many holes a peer makes (H062).

use crate::pool::{Chain, Pool};
use crate::seq::Seq;

/// Ranges that a connection remembers.
const MOST: usize = 32;
/// Bytes of one range in the pool.
const ENTRY: usize = 8;

/// A range of sequence numbers, `end` not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) start: Seq,
    pub(crate) end: Seq,
}

type List = heapless::Vec<Range, { MOST + 1 }>;

/// The list of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    stored: Chain,
}

/// What became of a new range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inserted {
    /// It is in the list.
    Kept,
    /// It is, and the farthest one, up to this number, was given up for it.
    Evicted(Seq),
    /// There was no room for it.
    Refused,
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Adds a range that lies beyond `base`, RCV.NXT, and joins it with those that it touches.
    pub(crate) fn insert(&mut self, pool: &mut Pool<'_>, base: Seq, new: Range) -> Inserted {
        let mut list = self.load(pool);
        let place =
            list.iter().position(|r| new.start.since(base) <= r.end.since(base)).unwrap_or(list.len());
        let mut merged = new;
        while let Some(next) = list.get(place).copied()
            && next.start.since(base) <= merged.end.since(base)
        {
            merged.start = merged.start.earlier_of(next.start);
            merged.end = merged.end.later_of(next.end);
            list.remove(place);
        }
        if list.insert(place, merged).is_err() {
            return Inserted::Refused;
        }
        // The farthest range gives way: the data nearest to what is missing is of most use.
        let outcome = match list.len() > MOST {
            false => Inserted::Kept,
            true if place == MOST => return Inserted::Refused,
            true => {
                list.pop();
                Inserted::Evicted(list[MOST - 1].end)
            }
        };
        if self.store(pool, &list) { outcome } else { Inserted::Refused }
    }

    /// RCV.NXT has come to `nxt`: takes out what it has reached and returns where it is then.
    pub(crate) fn advance(&mut self, pool: &mut Pool<'_>, nxt: Seq) -> Seq {
        let mut list = self.load(pool);
        let mut nxt = nxt;
        while let Some(first) = list.first().copied()
            && first.start.at_or_before(nxt)
        {
            nxt = nxt.later_of(first.end);
            list.remove(0);
        }
        self.store(pool, &list);
        nxt
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.stored.clear(pool);
    }

    fn load(&self, pool: &Pool<'_>) -> List {
        let mut bytes = [0; (MOST + 1) * ENTRY];
        let n = self.stored.copy_out(pool, 0, &mut bytes);
        let word = |b: &[u8]| Seq(u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        bytes[..n].chunks_exact(ENTRY).map(|e| Range { start: word(e), end: word(&e[4..]) }).collect()
    }

    fn store(&mut self, pool: &mut Pool<'_>, list: &List) -> bool {
        if !self.stored.reserve(pool, list.len() * ENTRY) {
            return false;
        }
        for (i, r) in list.iter().enumerate() {
            let mut entry = [0; ENTRY];
            entry[..4].copy_from_slice(&r.start.0.to_le_bytes());
            entry[4..].copy_from_slice(&r.end.0.to_le_bytes());
            self.stored.write(pool, i * ENTRY, &entry);
        }
        self.stored.truncate(pool, list.len() * ENTRY);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, end: u32) -> Range {
        Range { start: Seq(start), end: Seq(end) }
    }

    fn setup() -> (Vec<u8>, Ranges) {
        (vec![0; 4096], Ranges::default())
    }

    #[test]
    fn ranges_join_and_are_reached() {
        let (mut memory, mut ranges) = setup();
        let pool = &mut Pool::borrowed(&mut memory, 64);
        let base = Seq(100);
        for (s, e) in [(300, 400), (200, 250), (250, 260), (390, 450), (600, 601)] {
            assert_eq!(ranges.insert(pool, base, range(s, e)), Inserted::Kept);
        }
        assert_eq!(&ranges.load(pool)[..], [range(200, 260), range(300, 450), range(600, 601)]);
        assert_eq!(ranges.insert(pool, base, range(220, 310)), Inserted::Kept);
        assert_eq!(&ranges.load(pool)[..], [range(200, 450), range(600, 601)]);
        assert_eq!(ranges.advance(pool, Seq(150)), Seq(150));
        assert_eq!(ranges.advance(pool, Seq(200)), Seq(450));
        assert_eq!(ranges.advance(pool, Seq(700)), Seq(700));
        assert!(ranges.is_empty() && pool.in_use() == 0);
    }

    /// H062, H063: past the bound the farthest range is given up, never the nearest.
    #[test]
    fn the_farthest_range_gives_way() {
        let (mut memory, mut ranges) = setup();
        let pool = &mut Pool::borrowed(&mut memory, 64);
        let base = Seq(0xffff_ff00);
        let nth = |i: u32| Range { start: base + 10 * i, end: base + 10 * i + 5 };
        for i in 2..2 + MOST as u32 {
            assert_eq!(ranges.insert(pool, base, nth(i)), Inserted::Kept);
        }
        assert_eq!(ranges.insert(pool, base, nth(99)), Inserted::Refused);
        assert_eq!(ranges.insert(pool, base, nth(1)), Inserted::Evicted(nth(MOST as u32).end));
        assert_eq!(ranges.load(pool).len(), MOST);
        ranges.clear(pool);
        assert_eq!(pool.in_use(), 0);
    }
}
