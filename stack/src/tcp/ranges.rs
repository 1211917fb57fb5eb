//! Which parts of the stream beyond RCV.NXT have arrived: a sorted list of ranges.
//!
//! The list lies in the pool, like the bytes that it speaks of, so a connection without a hole owns none of
//! it. It is read and changed in place: what comes behind the last range, and what fills the first hole, costs
//! the same however many there are. A bound keeps memory and the rest of the work small however many holes a
//! peer makes (H062). What would be one range too many is not taken: a range that the peer was told of is
//! never given up for another, or the sender would have to find out by its timer (RFC 2018 §8).

#![warn(clippy::cast_possible_truncation)]

use super::segment::{SACK_BLOCKS, Sack};
use crate::pool::{Chain, Need, Pool};
use crate::seq::Seq;

/// Ranges that a connection remembers: 12 KiB of them. A slow start that ends in a full queue of a megabyte leaves
/// some hundreds, since every second segment finds no place.
const MOST: usize = 1024;
/// Bytes of one range in the pool.
const ENTRY: usize = 12;
/// Ranges of the pool that are looked at together: as many as a small block holds.
const BATCH: usize = 21;

/// A range of sequence numbers, `end` not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Range {
    pub(crate) start: Seq,
    pub(crate) end: Seq,
}

impl Range {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// The numbers that are in both, if there are any; `base` is before all of them.
    pub(crate) fn overlap(&self, other: &Range, base: Seq) -> Option<Range> {
        let start = self.start.since(base).max(other.start.since(base));
        let end = self.end.since(base).min(other.end.since(base));
        (start < end).then(|| Range { start: base + start, end: base + end })
    }
}

/// A range in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    range: Range,
    /// When it last grew: the highest is the latest.
    at: u32,
    /// The peer was not told of it since then.
    news: bool,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY] {
        let words = [self.range.start.0, self.range.end.0, self.at << 1 | u32::from(self.news)];
        let mut entry = [0; ENTRY];
        for (to, word) in entry.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        entry
    }

    fn decode(entry: &[u8; ENTRY]) -> Entry {
        let word = |n: usize| u32::from_le_bytes(entry.as_chunks().0[n]);
        let range = Range { start: Seq(word(0)), end: Seq(word(1)) };
        Entry { range, at: word(2) >> 1, news: word(2) & 1 == 1 }
    }
}

/// The list of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    stored: Chain,
    /// Of the next that grows.
    next_at: u32,
}

/// What became of a new range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inserted {
    /// It is in the list.
    Kept,
    /// There was no room for it, and the list is as it was.
    Refused,
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Adds a range that lies beyond `base`, RCV.NXT, and joins it with those that it touches.
    pub(crate) fn insert(&mut self, pool: &mut Pool<'_>, base: Seq, new: Range) -> Inserted {
        let first = self.find(pool, base, new.start);
        let (mut range, mut last) = (new, first);
        while let Some(Entry { range: next, .. }) = self.get(pool, last)
            && next.start.since(base) <= range.end.since(base)
        {
            range.start = range.start.earlier_of(next.start);
            range.end = range.end.later_of(next.end);
            last += 1;
        }
        if first < last {
            self.remove(pool, first + 1, last);
        } else if !self.open(pool, first) {
            return Inserted::Refused;
        }
        self.set(pool, first, Entry { range, at: self.next_at, news: true });
        // A bit less than a word: numbers that wrap, after as many segments beyond holes without a
        // time when none was missing, mix up which ranges are told first.
        self.next_at = (self.next_at + 1) & (u32::MAX >> 1);
        Inserted::Kept
    }

    /// RCV.NXT has come to `nxt`: takes out what it has reached and returns where it is then.
    pub(crate) fn advance(&mut self, pool: &mut Pool<'_>, nxt: Seq) -> Seq {
        let (mut nxt, mut reached) = (nxt, 0);
        while let Some(Entry { range, .. }) = self.get(pool, reached)
            && range.start.at_or_before(nxt)
        {
            nxt = nxt.later_of(range.end);
            reached += 1;
        }
        self.remove(pool, 0, reached);
        nxt
    }

    /// The first part of `new` that is here already.
    pub(crate) fn duplicate(&self, pool: &Pool<'_>, base: Seq, new: Range) -> Option<Range> {
        // The first may end where `new` begins.
        let first = self.find(pool, base, new.start);
        (first..first + 2).find_map(|index| self.get(pool, index)?.range.overlap(&new, base))
    }

    /// Tells the peer of `most` ranges, the latest first. When many segments came at once, an
    /// acknowledgment for each follows; they tell of what is new in the order in which it came, as if
    /// each had been sent at once: nothing looks as if the path had reordered it.
    //= rfc2018#4: the first block has the segment that is acknowledged, the others were reported last
    pub(crate) fn report(&self, pool: &Pool<'_>, most: usize, sack: &mut Sack) {
        for (_, entry) in self.reported(pool, most) {
            sack.push(entry.range);
        }
    }

    /// `most` ranges were reported. Are there others of which the peer does not know?
    pub(crate) fn on_reported(&mut self, pool: &mut Pool<'_>, most: usize) -> bool {
        for (index, entry) in self.reported(pool, most) {
            self.set(pool, index, Entry { news: false, ..entry });
        }
        self.all(pool).any(|(_, entry)| entry.news)
    }

    /// Which entries are reported next, `most` of them at most, the latest first.
    fn reported(&self, pool: &Pool<'_>, most: usize) -> heapless::Vec<(usize, Entry), SACK_BLOCKS> {
        let mut chosen = heapless::Vec::<(usize, Entry), SACK_BLOCKS>::new();
        // What is new, in the order in which it came; then, beside it, what came last.
        let rank = |e: &Entry| match e.news {
            true => (false, i64::from(e.at)),
            false => (true, -i64::from(e.at)),
        };
        for (index, entry) in self.all(pool) {
            let place = chosen.iter().position(|(_, c)| rank(&entry) < rank(c)).unwrap_or(chosen.len());
            if chosen.len() == most.min(SACK_BLOCKS) && place < chosen.len() {
                chosen.pop();
            }
            if chosen.len() < most.min(SACK_BLOCKS) {
                // There is room.
                let _ = chosen.insert(place, (index, entry));
            }
        }
        chosen.sort_unstable_by_key(|(_, entry)| core::cmp::Reverse(entry.at));
        chosen
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.stored.clear(pool);
        self.next_at = 0;
    }

    fn len(&self) -> usize {
        self.stored.len() / ENTRY
    }

    fn get(&self, pool: &Pool<'_>, index: usize) -> Option<Entry> {
        let mut entry = [0; ENTRY];
        let n = self.stored.copy_out(pool, index * ENTRY, &mut entry);
        (n == ENTRY).then(|| Entry::decode(&entry))
    }

    fn set(&mut self, pool: &mut Pool<'_>, index: usize, entry: Entry) {
        self.stored.write(pool, index * ENTRY, &entry.encode());
    }

    /// All of them with their places.
    fn all(&self, pool: &Pool<'_>) -> impl Iterator<Item = (usize, Entry)> {
        (0..self.len()).step_by(BATCH).flat_map(move |from| {
            let mut batch = [0; BATCH * ENTRY];
            let n = self.stored.copy_out(pool, from * ENTRY, &mut batch) / ENTRY;
            let entry = move |i: usize| (from + i, Entry::decode(&batch.as_chunks().0[i]));
            (0..n).map(entry)
        })
    }

    /// The first range that ends at `seq` or beyond; `base` is before all of them. Most often it is none, or
    /// the last.
    fn find(&self, pool: &Pool<'_>, base: Seq, seq: Seq) -> usize {
        let reaches =
            |index| self.get(pool, index).is_some_and(|e: Entry| seq.since(base) <= e.range.end.since(base));
        let (mut from, mut to) = (0, self.len());
        if to > 0 && !reaches(to - 1) {
            return to;
        }
        while from < to {
            let middle = from.midpoint(to);
            if reaches(middle) {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        from
    }

    /// Makes a place at `index`; what is there and behind moves on. False: there is no room.
    fn open(&mut self, pool: &mut Pool<'_>, index: usize) -> bool {
        let len = self.len();
        if len >= MOST || !self.stored.reserve(pool, (len + 1) * ENTRY, Need::Control) {
            return false;
        }
        self.stored.slide(pool, index * ENTRY, (index + 1) * ENTRY);
        true
    }

    /// Removes those from `from` to before `to`.
    fn remove(&mut self, pool: &mut Pool<'_>, from: usize, to: usize) {
        let left = self.len() - (to - from);
        if from == to {
            return;
        }
        if left == 0 {
            return self.clear(pool);
        }
        if from == 0 {
            return self.stored.consume(pool, to * ENTRY);
        }
        self.stored.slide(pool, to * ENTRY, from * ENTRY);
        self.stored.truncate(pool, left * ENTRY);
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    fn ranges_of(ranges: &Ranges, pool: &Pool<'_>) -> Vec<Range> {
        ranges.all(pool).map(|(_, e)| e.range).collect()
    }

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
        assert_eq!(ranges_of(&ranges, pool), [range(200, 260), range(300, 450), range(600, 601)]);
        assert_eq!(ranges.insert(pool, base, range(220, 310)), Inserted::Kept);
        assert_eq!(ranges_of(&ranges, pool), [range(200, 450), range(600, 601)]);
        assert_eq!(ranges.advance(pool, Seq(150)), Seq(150));
        assert_eq!(ranges.advance(pool, Seq(200)), Seq(450));
        assert_eq!(ranges.advance(pool, Seq(700)), Seq(700));
        assert!(ranges.is_empty() && pool.in_use() == 0);
    }

    /// T02: the latest first, and what the peer was not told of before what it was.
    //= rfc2018#4
    #[test]
    fn every_range_is_reported() {
        let (mut memory, mut ranges) = setup();
        let pool = &mut Pool::borrowed(&mut memory, 64);
        let nth = |i: u32| range(100 * i, 100 * i + 50);
        for i in 1..=5 {
            ranges.insert(pool, Seq(0), nth(i));
        }
        let report = |ranges: &Ranges, pool: &Pool<'_>, most| {
            let mut sack = Sack::default();
            ranges.report(pool, most, &mut sack);
            sack.blocks().to_vec()
        };
        assert_eq!(report(&ranges, pool, 3), [nth(3), nth(2), nth(1)]);
        assert!(ranges.on_reported(pool, 3));
        assert_eq!(report(&ranges, pool, 3), [nth(5), nth(4), nth(3)]);
        assert!(!ranges.on_reported(pool, 3));
        assert_eq!(report(&ranges, pool, 3), [nth(5), nth(4), nth(3)], "the latest");
        ranges.insert(pool, Seq(0), range(150, 160));
        assert_eq!(report(&ranges, pool, 9), [range(100, 160), nth(5), nth(4), nth(3)]);
        assert_eq!(ranges.duplicate(pool, Seq(0), range(155, 390)), Some(range(155, 160)));
        assert_eq!(ranges.duplicate(pool, Seq(0), range(160, 200)), None);
    }

    /// H062, H063, H274: past the bound nothing that the peer was told of is given up; what joins a range is kept.
    #[test]
    fn no_range_gives_way() {
        let (mut memory, mut ranges) = (vec![0; 1 << 16], Ranges::default());
        let pool = &mut Pool::borrowed(&mut memory, 64);
        let base = Seq(0xffff_ff00);
        let nth = |i: u32| Range { start: base + 10 * i, end: base + 10 * i + 5 };
        for i in 2..2 + MOST as u32 {
            assert_eq!(ranges.insert(pool, base, nth(i)), Inserted::Kept);
        }
        let before = ranges_of(&ranges, pool);
        for one_more in [nth(9_999), nth(1)] {
            assert_eq!(ranges.insert(pool, base, one_more), Inserted::Refused);
            assert_eq!(ranges_of(&ranges, pool), before);
        }
        let between = Range { start: nth(2).end, end: nth(4).start };
        assert_eq!(ranges.insert(pool, base, between), Inserted::Kept);
        assert_eq!(ranges.insert(pool, base, nth(1)), Inserted::Kept);
        assert_eq!(ranges_of(&ranges, pool).len(), MOST - 1);
        ranges.clear(pool);
        assert_eq!(pool.in_use(), 0);
    }

    /// A list in the pool is the same as one in order, whatever is inserted, reached and reported.
    #[test]
    fn it_is_the_list_that_it_stands_for() {
        let mut random = crate::random::Random::new([3; 32]);
        for _ in 0..20 {
            let (mut memory, mut ranges) = (vec![0; 1 << 14], Ranges::default());
            let pool = &mut Pool::borrowed(&mut memory, 64);
            let base = Seq(random.next_u32());
            let (mut here, mut nxt) = ([false; 300], 0);
            while nxt < 250 {
                let start = nxt + 1 + random.below(299 - nxt);
                let end = (start + 1 + random.below(5)).min(300);
                let new = Range { start: base + start, end: base + end };
                let before = (start..end).find(|at| here[*at as usize]).map(|at| base + at);
                assert_eq!(ranges.duplicate(pool, base + nxt, new).map(|d| d.start), before);
                assert_eq!(ranges.insert(pool, base + nxt, new), Inserted::Kept);
                here[start as usize..end as usize].fill(true);
                if random.below(8) == 0 {
                    let reach = nxt + 1 + random.below(3);
                    let expected = (reach..300).find(|at| !here[*at as usize]).unwrap_or(300);
                    nxt = ranges.advance(pool, base + reach).since(base);
                    assert_eq!(nxt, expected);
                }
                ranges.on_reported(pool, 3);
                let told = ranges_of(&ranges, pool);
                let mut expected = here;
                told.iter().for_each(|r| {
                    let (start, end) = (r.start.since(base) as usize, r.end.since(base) as usize);
                    assert!(!here[start - 1] && here.get(end) != Some(&true), "joined with what it touches");
                    expected[start..end].fill(false);
                });
                assert!(!expected[nxt as usize..].contains(&true), "all that came is told");
                assert!(
                    told.iter().all(|r| (r.start.since(base)..r.end.since(base)).all(|at| here[at as usize]))
                );
            }
        }
    }
}
