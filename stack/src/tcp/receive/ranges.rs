//! Which parts of the stream beyond RCV.NXT have arrived: a sorted list of ranges, and a log of which grew last.
//!
//! Both lie in the pool, like the bytes that they speak of, so a connection without a hole owns none of
//! it. They are read and changed in place: what comes behind the last range, what fills the first hole and what an
//! acknowledgment tells costs the same however many ranges there are. A bound keeps memory and the rest of the work
//! small however many holes a peer makes (H062). What would be one range too many is not taken: a range that the peer
//! was told of is never given up for another, or the sender would have to find out by its timer (RFC 2018 §8). But
//! then all that such a sender has in flight came for nothing, so the bound grows with the window ([`most`]).

#![warn(clippy::cast_possible_truncation)]

use crate::base::pool::{Chain, Need, Pool};
use crate::seq::{Range, Seq};
use crate::tcp::segment::{SACK_BLOCKS, Sack};

/// Ranges that every connection may have: 12 KiB of them.
const LEAST: usize = 1024;
/// Segments are taken to be no smaller than this, whatever the peer sends: the MSS of who announces none
/// (RFC 9293 §3.7.1).
const SEGMENT: u16 = 536;
/// Bytes of one range in the pool.
const ENTRY: usize = 12;
/// Bytes of one number of the log.
const NUMBER: usize = 4;
/// Numbers of the log beyond twice the ranges, before those that stand for nothing are taken out.
const SLACK: usize = 32;
/// The place in the log of a range that is not in it yet.
const NOWHERE: u32 = u32::MAX;

/// How many ranges a connection may have whose window is of `window` bytes, with segments of `segment` bytes: a slow
/// start that ends in a full queue loses every second one.
pub(crate) fn most(window: u32, segment: u16) -> usize {
    (window / (2 * u32::from(segment.max(SEGMENT)))) as usize
}

/// A range in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    range: Range,
    /// Which number of the log stands for it: that of when it last grew.
    at: u32,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        for (to, word) in
            entry.as_chunks_mut().0.iter_mut().zip([self.range.start.0, self.range.end.0, self.at])
        {
            *to = word.to_le_bytes();
        }
        entry
    }

    fn decode(entry: &[u8; ENTRY]) -> Entry {
        let word = |n: usize| u32::from_le_bytes(entry.as_chunks().0[n]);
        Entry { range: Range { start: Seq(word(0)), end: Seq(word(1)) }, at: word(2) }
    }
}

/// The list of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    stored: Chain,
    /// For each growth of a range a number that lies in it, in the order in which they grew. It stands for its range
    /// if that names it; else the range has grown again or was reached.
    log: Chain,
    /// So many numbers of the log the peer was told of.
    told: u32,
}

impl Ranges {
    /// Nothing is missing.
    pub(crate) const NONE: Ranges = Ranges { stored: Chain::new(), log: Chain::new(), told: 0 };
}

/// What one acknowledgment tells.
struct Report {
    /// The latest first.
    blocks: heapless::Vec<Range, SACK_BLOCKS>,
    /// How much of the log the peer knows then.
    told: u32,
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

    /// Adds a range that lies beyond `base`, RCV.NXT, and joins it with those that it touches; where that makes
    /// one more, only if there are fewer than `most`.
    pub(crate) fn insert(&mut self, pool: &mut Pool<'_>, base: Seq, new: Range, most: usize) -> Inserted {
        let first = self.find(pool, base, new.start);
        let (mut range, mut last, mut at) = (new, first, None);
        while let Some(next) = self.get(pool, last)
            && next.range.start.since(base) <= range.end.since(base)
        {
            range.start = range.start.earlier_of(next.range.start);
            range.end = range.end.later_of(next.range.end);
            at = at.max(Some(next.at));
            last += 1;
        }
        if first < last {
            self.remove(pool, first + 1, last);
        } else if !self.open(pool, first, most.max(LEAST)) {
            return Inserted::Refused;
        }
        // Found by the log from now on, also while the log itself is put in order.
        self.set(pool, first, Entry { range, at: at.unwrap_or(NOWHERE) });
        let Some(at) = self.note(pool, base, new.start, at) else {
            self.remove(pool, first, first + 1);
            return Inserted::Refused;
        };
        self.set(pool, first, Entry { range, at });
        Inserted::Kept
    }

    /// Puts the growth of a range into the log, which has it at `at` so far. None: it is a new range, and there is no
    /// memory for its number.
    fn note(&mut self, pool: &mut Pool<'_>, base: Seq, number: Seq, at: Option<u32>) -> Option<u32> {
        if SACK_BLOCKS == 0 {
            // Nobody is told.
            return Some(0);
        }
        if at.is_some_and(|at| at + 1 == self.logged()) {
            self.told = self.told.min(self.logged() - 1);
            return at;
        }
        if self.log.len() / NUMBER >= 2 * self.len() + SLACK {
            self.tidy(pool, base);
        }
        let place = self.logged();
        let len = self.log.len() + NUMBER;
        if self.log.reserve(pool, len, Need::Control) {
            self.log.write(pool, len - NUMBER, &number.0.to_le_bytes());
            return Some(place);
        }
        // It keeps its place, and is told of before its turn.
        let entry = self.around(pool, base, number).filter(|entry| entry.at != NOWHERE)?;
        self.told = self.told.min(entry.at);
        Some(entry.at)
    }

    /// Takes out of the log what stands for nothing.
    fn tidy(&mut self, pool: &mut Pool<'_>, base: Seq) {
        let (mut kept, mut told) = (0, 0);
        for place in 0..self.logged() {
            let Some((index, entry)) = self.logged_at(pool, base, place) else { continue };
            let number = entry.range.start.0.to_le_bytes();
            self.log.write(pool, kept as usize * NUMBER, &number);
            self.set(pool, index, Entry { at: kept, ..entry });
            kept += 1;
            told += u32::from(place < self.told);
        }
        self.told = told;
        self.log.truncate(pool, kept as usize * NUMBER);
    }

    /// Numbers in the log.
    fn logged(&self) -> u32 {
        u32::try_from(self.log.len() / NUMBER).unwrap_or(u32::MAX)
    }

    /// The range that a number of the log stands for, with its place in the list.
    fn logged_at(&self, pool: &Pool<'_>, base: Seq, place: u32) -> Option<(usize, Entry)> {
        let mut number = [0; NUMBER];
        self.log.copy_out(pool, place as usize * NUMBER, &mut number);
        let number = Seq(u32::from_le_bytes(number));
        let index = self.find(pool, base, number);
        let entry = self.get(pool, index)?;
        (entry.at == place).then_some((index, entry))
    }

    /// The range that has `seq`.
    fn around(&self, pool: &Pool<'_>, base: Seq, seq: Seq) -> Option<Entry> {
        self.get(pool, self.find(pool, base, seq)).filter(|e| seq.within(e.range.start, e.range.len()))
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
    pub(crate) fn report(&self, pool: &Pool<'_>, base: Seq, most: usize, sack: &mut Sack) {
        self.next_report(pool, base, most).blocks.iter().for_each(|block| sack.push(*block));
    }

    /// `most` ranges were reported. Are there others of which the peer does not know?
    pub(crate) fn on_reported(&mut self, pool: &Pool<'_>, base: Seq, most: usize) -> bool {
        self.told = self.next_report(pool, base, most).told;
        while self.told < self.logged() {
            if self.logged_at(pool, base, self.told).is_some() {
                return true;
            }
            self.told += 1;
        }
        false
    }

    /// What is new, in the order in which it came; then, beside it, what was told last.
    fn next_report(&self, pool: &Pool<'_>, base: Seq, most: usize) -> Report {
        let mut report = Report { blocks: heapless::Vec::new(), told: self.told };
        let Report { blocks, told } = &mut report;
        let most = most.min(blocks.capacity());
        while blocks.len() < most && *told < self.logged() {
            if let Some((_, entry)) = self.logged_at(pool, base, *told) {
                // There is room.
                let _ = blocks.insert(0, entry.range);
            }
            *told += 1;
        }
        let before = (0..self.told).rev().filter_map(|place| self.logged_at(pool, base, place));
        for (_, entry) in before.take(most - blocks.len()) {
            let _ = blocks.push(entry.range);
        }
        report
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.stored.clear(pool);
        self.log.clear(pool);
        self.told = 0;
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

    /// Makes a place at `index`, unless there are `most`; what is there and behind moves on. False: there is no room.
    fn open(&mut self, pool: &mut Pool<'_>, index: usize, most: usize) -> bool {
        let len = self.len();
        if len >= most || !self.stored.reserve(pool, (len + 1) * ENTRY, Need::Control) {
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
        (0..ranges.len()).map(|n| ranges.get(pool, n).unwrap().range).collect()
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
            assert_eq!(ranges.insert(pool, base, range(s, e), 0), Inserted::Kept);
        }
        assert_eq!(ranges_of(&ranges, pool), [range(200, 260), range(300, 450), range(600, 601)]);
        assert_eq!(ranges.insert(pool, base, range(220, 310), 0), Inserted::Kept);
        assert_eq!(ranges_of(&ranges, pool), [range(200, 450), range(600, 601)]);
        assert_eq!(ranges.advance(pool, Seq(150)), Seq(150));
        assert_eq!(ranges.advance(pool, Seq(200)), Seq(450));
        assert_eq!(ranges.advance(pool, Seq(700)), Seq(700));
        assert!(ranges.is_empty() && pool.in_use() == 0);
    }

    /// T02: the latest first, and what the peer was not told of before what it was.
    //= rfc2018#4
    #[cfg(feature = "sack")]
    #[test]
    fn every_range_is_reported() {
        let (mut memory, mut ranges) = setup();
        let pool = &mut Pool::borrowed(&mut memory, 64);
        let nth = |i: u32| range(100 * i, 100 * i + 50);
        for i in 1..=5 {
            ranges.insert(pool, Seq(0), nth(i), 0);
        }
        let report = |ranges: &Ranges, pool: &Pool<'_>, most| {
            let mut sack = Sack::default();
            ranges.report(pool, Seq(0), most, &mut sack);
            sack.blocks().to_vec()
        };
        assert_eq!(report(&ranges, pool, 3), [nth(3), nth(2), nth(1)]);
        assert!(ranges.on_reported(pool, Seq(0), 3));
        assert_eq!(report(&ranges, pool, 3), [nth(5), nth(4), nth(3)]);
        assert!(!ranges.on_reported(pool, Seq(0), 3));
        assert_eq!(report(&ranges, pool, 3), [nth(5), nth(4), nth(3)], "the latest");
        ranges.insert(pool, Seq(0), range(150, 160), 0);
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
        for i in 2..2 + LEAST as u32 {
            assert_eq!(ranges.insert(pool, base, nth(i), 0), Inserted::Kept);
        }
        let before = ranges_of(&ranges, pool);
        for one_more in [nth(9_999), nth(1)] {
            assert_eq!(ranges.insert(pool, base, one_more, 0), Inserted::Refused);
            assert_eq!(ranges_of(&ranges, pool), before);
        }
        let between = Range { start: nth(2).end, end: nth(4).start };
        assert_eq!(ranges.insert(pool, base, between, 0), Inserted::Kept);
        assert_eq!(ranges.insert(pool, base, nth(1), 0), Inserted::Kept);
        assert_eq!(ranges_of(&ranges, pool).len(), LEAST - 1);
        ranges.clear(pool);
        assert_eq!(pool.in_use(), 0);
    }

    /// The three that grew last, where a number in each was put down whenever it grew.
    fn latest(ranges: &[Range], grew: &[Seq]) -> Vec<Range> {
        let mut found = Vec::new();
        for number in grew.iter().rev() {
            let around = ranges.iter().find(|r| number.within(r.start, r.len())).copied();
            found.extend(around.filter(|range| !found.contains(range)));
        }
        found.truncate(3);
        found
    }

    /// H062, H274: a large window has as many ranges as it may have holes; each acknowledgment tells of what came last,
    /// in whatever order it came.
    //= rfc2018#4
    #[cfg(feature = "sack")]
    #[test]
    fn large_window_every_second_segment_lost_all_kept_and_told() {
        let (mut memory, mut ranges) = (vec![0; 1 << 18], Ranges::default());
        let pool = &mut Pool::borrowed(&mut memory, 2048);
        let count = u32::try_from(most(8 << 20, 1460)).unwrap();
        assert_eq!((count, most(8 << 20, 1)), (2872, 7825));
        let nth = |n: u32| range(2 * n, 2 * n + 1);
        let order: Vec<Range> = (1..=count).map(|n| nth(n * 1009 % 2879 + 1)).collect();
        for came in 1..=order.len() {
            assert_eq!(ranges.insert(pool, Seq(0), order[came - 1], count as usize), Inserted::Kept);
            let mut sack = Sack::default();
            ranges.report(pool, Seq(0), 3, &mut sack);
            let expected: Vec<Range> = order[..came].iter().rev().take(3).copied().collect();
            assert_eq!(sack.blocks(), expected);
            assert!(!ranges.on_reported(pool, Seq(0), 3));
        }
        assert_eq!(ranges.insert(pool, Seq(0), nth(9_999), count as usize), Inserted::Refused);
        assert_eq!(ranges.advance(pool, Seq(1)), Seq(1));
        assert_eq!(ranges.advance(pool, Seq(2 * 2880)), Seq(2 * 2880));
        assert!(ranges.is_empty());
        ranges.clear(pool);
        assert_eq!(pool.in_use(), 0);
    }

    /// H062: two ranges that grow in turn, each told at once, leave a log that stays small.
    #[cfg(feature = "sack")]
    #[test]
    fn ranges_growing_in_turn_log_stays_bounded() {
        let (mut memory, mut ranges) = (vec![0; 1 << 12], Ranges::default());
        let pool = &mut Pool::borrowed(&mut memory, 64);
        for n in 0..1_000 {
            for start in [1_000, 10_000] {
                let new = range(start + n, start + n + 1);
                assert_eq!(ranges.insert(pool, Seq(0), new, 0), Inserted::Kept);
                assert!(!ranges.on_reported(pool, Seq(0), 3));
            }
            assert!(ranges.logged() as usize <= 2 * ranges.len() + SLACK);
        }
        let mut sack = Sack::default();
        ranges.report(pool, Seq(0), 3, &mut sack);
        assert_eq!(sack.blocks(), [range(10_000, 11_000), range(1_000, 2_000)]);
    }

    /// A list in the pool is the same as one in order, whatever is inserted, reached and reported.
    #[cfg(feature = "sack")]
    #[test]
    fn it_is_the_list_that_it_stands_for() {
        let mut random = crate::base::random::Random::new([3; 32]);
        for _ in 0..20 {
            let (mut memory, mut ranges) = (vec![0; 1 << 14], Ranges::default());
            let pool = &mut Pool::borrowed(&mut memory, 64);
            let base = Seq(random.next_u32());
            let (mut here, mut nxt, mut grew) = ([false; 300], 0, Vec::new());
            while nxt < 250 {
                let start = nxt + 1 + random.below(299 - nxt);
                let end = (start + 1 + random.below(5)).min(300);
                let new = Range { start: base + start, end: base + end };
                let before = (start..end).find(|at| here[*at as usize]).map(|at| base + at);
                assert_eq!(ranges.duplicate(pool, base + nxt, new).map(|d| d.start), before);
                assert_eq!(ranges.insert(pool, base + nxt, new, 0), Inserted::Kept);
                here[start as usize..end as usize].fill(true);
                if random.below(8) == 0 {
                    let reach = nxt + 1 + random.below(3);
                    let expected = (reach..300).find(|at| !here[*at as usize]).unwrap_or(300);
                    nxt = ranges.advance(pool, base + reach).since(base);
                    assert_eq!(nxt, expected);
                }
                grew.push(new.start);
                let mut sack = Sack::default();
                ranges.report(pool, base + nxt, 3, &mut sack);
                assert_eq!(sack.blocks(), latest(&ranges_of(&ranges, pool), &grew));
                assert!(!ranges.on_reported(pool, base + nxt, 3));
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
