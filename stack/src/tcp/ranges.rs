//! Which parts of the stream beyond RCV.NXT have arrived: a short sorted list of ranges.
//!
//! The list lies in the pool, like the bytes that it speaks of, so a connection without a hole
//! owns none of it. It is bounded: work per segment and memory per connection stay small however
//! many holes a peer makes (H062). What would be one range too many is not taken: a range of which the peer
//! was told is never given up for another, or the sender would have to find out by its timer (RFC 2018 §8).

#![warn(clippy::cast_possible_truncation)]

use super::segment::{SACK_BLOCKS, Sack};
use crate::pool::{Chain, Need, Pool};
use crate::seq::Seq;

/// Ranges that a connection remembers: enough for a loss in every twentieth segment of a megabyte.
const MOST: usize = 64;
/// Bytes of one range in the pool.
const ENTRY: usize = 12;

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

type List = heapless::Vec<Entry, MOST>;

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
    /// There was no room for it, and the list is as it was.
    Refused,
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Adds a range that lies beyond `base`, RCV.NXT, and joins it with those that it touches.
    pub(crate) fn insert(&mut self, pool: &mut Pool<'_>, base: Seq, new: Range) -> Inserted {
        let mut list = self.load(pool);
        let at = next_at(&list);
        let reaches = |e: &Entry| new.start.since(base) <= e.range.end.since(base);
        let place = list.iter().position(reaches).unwrap_or(list.len());
        let mut range = new;
        while let Some(Entry { range: next, .. }) = list.get(place).copied()
            && next.start.since(base) <= range.end.since(base)
        {
            range.start = range.start.earlier_of(next.start);
            range.end = range.end.later_of(next.end);
            list.remove(place);
        }
        let is_kept = list.insert(place, Entry { range, at, news: true }).is_ok() && self.store(pool, &list);
        if is_kept { Inserted::Kept } else { Inserted::Refused }
    }

    /// RCV.NXT has come to `nxt`: takes out what it has reached and returns where it is then.
    pub(crate) fn advance(&mut self, pool: &mut Pool<'_>, nxt: Seq) -> Seq {
        let mut list = self.load(pool);
        let mut nxt = nxt;
        while let Some(Entry { range: first, .. }) = list.first().copied()
            && first.start.at_or_before(nxt)
        {
            nxt = nxt.later_of(first.end);
            list.remove(0);
        }
        self.store(pool, &list);
        nxt
    }

    /// The first part of `new` that is here already.
    pub(crate) fn duplicate(&self, pool: &Pool<'_>, base: Seq, new: Range) -> Option<Range> {
        self.load(pool).iter().find_map(|e| e.range.overlap(&new, base))
    }

    /// Tells the peer of `most` ranges, the latest first. When many segments came at once, an
    /// acknowledgment for each follows; they tell of what is new in the order in which it came, as if
    /// each had been sent at once: nothing looks as if the path had reordered it.
    //= rfc2018#4: the first block has the segment that is acknowledged, the others were reported last
    pub(crate) fn report(&self, pool: &Pool<'_>, most: usize, sack: &mut Sack) {
        let list = self.load(pool);
        for index in reported(&list, most) {
            sack.push(list[index].range);
        }
    }

    /// `most` ranges were reported. Are there others of which the peer does not know?
    pub(crate) fn on_reported(&mut self, pool: &mut Pool<'_>, most: usize) -> bool {
        let mut list = self.load(pool);
        for index in reported(&list, most) {
            list[index].news = false;
        }
        self.store(pool, &list);
        list.iter().any(|e| e.news)
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.stored.clear(pool);
    }

    fn load(&self, pool: &Pool<'_>) -> List {
        let mut bytes = [0; MOST * ENTRY];
        let n = self.stored.copy_out(pool, 0, &mut bytes);
        let word = |b: &[u8]| Seq(u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let entry = |e: &[u8]| {
            let Seq(stamp) = word(&e[8..]);
            let range = Range { start: word(e), end: word(&e[4..]) };
            Entry { range, at: stamp >> 1, news: stamp & 1 == 1 }
        };
        bytes[..n].chunks_exact(ENTRY).map(entry).collect()
    }

    fn store(&mut self, pool: &mut Pool<'_>, list: &List) -> bool {
        if !self.stored.reserve(pool, list.len() * ENTRY, Need::Control) {
            return false;
        }
        for (i, e) in list.iter().enumerate() {
            let mut entry = [0; ENTRY];
            entry[..4].copy_from_slice(&e.range.start.0.to_le_bytes());
            entry[4..8].copy_from_slice(&e.range.end.0.to_le_bytes());
            entry[8..].copy_from_slice(&(e.at << 1 | u32::from(e.news)).to_le_bytes());
            self.stored.write(pool, i * ENTRY, &entry);
        }
        self.stored.truncate(pool, list.len() * ENTRY);
        true
    }
}

/// Later than all.
fn next_at(list: &List) -> u32 {
    list.iter().map(|e| e.at + 1).max().unwrap_or(0)
}

/// Which entries are reported next, `most` of them at most, the latest first.
fn reported(list: &List, most: usize) -> heapless::Vec<usize, SACK_BLOCKS> {
    let mut chosen = heapless::Vec::new();
    // What is new, in the order in which it came; then, beside it, what came last.
    let rank = |e: &Entry| match e.news {
        true => (false, i64::from(e.at)),
        false => (true, -i64::from(e.at)),
    };
    while chosen.len() < most.min(SACK_BLOCKS)
        && let Some((index, _)) =
            (list.iter().enumerate()).filter(|(i, _)| !chosen.contains(i)).min_by_key(|(_, e)| rank(e))
        && chosen.push(index).is_ok()
    {}
    chosen.sort_unstable_by_key(|i| core::cmp::Reverse(list[*i].at));
    chosen
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    fn ranges_of(ranges: &Ranges, pool: &Pool<'_>) -> Vec<Range> {
        ranges.load(pool).iter().map(|e| e.range).collect()
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
        let (mut memory, mut ranges) = setup();
        let pool = &mut Pool::borrowed(&mut memory, 64);
        let base = Seq(0xffff_ff00);
        let nth = |i: u32| Range { start: base + 10 * i, end: base + 10 * i + 5 };
        for i in 2..2 + MOST as u32 {
            assert_eq!(ranges.insert(pool, base, nth(i)), Inserted::Kept);
        }
        let before = ranges_of(&ranges, pool);
        for one_more in [nth(99), nth(1)] {
            assert_eq!(ranges.insert(pool, base, one_more), Inserted::Refused);
            assert_eq!(ranges_of(&ranges, pool), before);
        }
        assert_eq!(ranges.insert(pool, base, Range { start: nth(2).end, end: nth(4).start }), Inserted::Kept);
        assert_eq!(ranges.insert(pool, base, nth(1)), Inserted::Kept);
        assert_eq!(ranges.load(pool).len(), MOST - 1);
        ranges.clear(pool);
        assert_eq!(pool.in_use(), 0);
    }
}
