//! Which parts of the stream beyond RCV.NXT have arrived: a sorted list of ranges, and what the peer is told of it.
//!
//! The list lies in the pool, like the bytes that it speaks of, so a connection without a hole owns none of
//! it. It is read and changed in place: what comes behind the last range, what fills the first hole and what is
//! told costs the same however many there are. A bound keeps memory and the rest of the work small however many
//! holes a peer makes (H062). What would be one range too many is not taken: a range that the peer was told of is
//! never given up for another, or the sender would have to find out by its timer (RFC 2018 §8). But all that such a
//! sender has in flight behind it comes for nothing, so the bound grows with the window ([`most`]).

#![warn(clippy::cast_possible_truncation)]

use super::segment::{SACK_BLOCKS, Sack};
use crate::pool::{Chain, Need, Pool};
use crate::seq::Seq;

/// Ranges that every connection may have: 9 KiB of them.
const LEAST: usize = 1024;
/// Segments are taken to be no smaller than this, whatever the peer sends.
const SEGMENT: u16 = 536;
/// Bytes of one range in the pool.
const ENTRY: usize = 9;
/// Bytes of a number in the pool.
const NUMBER: usize = 4;
/// Ranges of which the peer was not told are remembered in their order, so many: more than come before
/// acknowledgments can go out. Others are told when they grow.
const NEWS: usize = 256;

/// How many ranges a connection may have whose `window` holds segments of `segment` bytes: a slow start that ends
/// in a full queue loses every second one.
pub(crate) fn most(window: u32, segment: u16) -> usize {
    (window / (2 * u32::from(segment.max(SEGMENT)))) as usize
}

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

    /// Is `seq` in it?
    fn has(&self, seq: Seq) -> bool {
        seq.within(self.start, self.len())
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
    /// It grew, and the peer was not told of it since.
    is_news: bool,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[..4].copy_from_slice(&self.range.start.0.to_le_bytes());
        entry[4..8].copy_from_slice(&self.range.end.0.to_le_bytes());
        entry[8] = self.is_news.into();
        entry
    }

    fn decode(entry: &[u8; ENTRY]) -> Entry {
        let &[a, b, c, d, e, f, g, h, news] = entry;
        let [start, end] = [[a, b, c, d], [e, f, g, h]].map(|word| Seq(u32::from_le_bytes(word)));
        Entry { range: Range { start, end }, is_news: news != 0 }
    }
}

/// The list of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    stored: Chain,
    /// A number of each range of which there is news, in the order in which it came.
    news: Chain,
    /// A number of what came last.
    latest: Seq,
    /// And of those that the peer was told of last, the latest first.
    told: [Seq; SACK_BLOCKS],
}

/// What one acknowledgment tells.
struct Report {
    /// The latest first.
    blocks: heapless::Vec<Range, SACK_BLOCKS>,
    /// How many numbers of the news that takes.
    news: usize,
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
        let (mut range, mut last, mut is_news) = (new, first, false);
        while let Some(next) = self.get(pool, last)
            && next.range.start.since(base) <= range.end.since(base)
        {
            range.start = range.start.earlier_of(next.range.start);
            range.end = range.end.later_of(next.range.end);
            is_news |= next.is_news;
            last += 1;
        }
        if first < last {
            self.remove(pool, first + 1, last);
        } else if !self.open(pool, first, most.max(LEAST)) {
            return Inserted::Refused;
        }
        self.latest = new.start;
        if !is_news && self.news.len() < NEWS * NUMBER {
            let number = new.start.0.to_le_bytes();
            is_news = self.news.reserve(pool, self.news.len() + NUMBER, Need::Control)
                && self.news.append(pool, &number, Need::Control) == NUMBER;
        }
        self.set(pool, first, Entry { range, is_news });
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
    pub(crate) fn report(&self, pool: &Pool<'_>, base: Seq, most: usize, sack: &mut Sack) {
        self.next_report(pool, base, most).blocks.iter().for_each(|block| sack.push(*block));
    }

    /// `most` ranges were reported. Are there others of which the peer does not know?
    pub(crate) fn on_reported(&mut self, pool: &mut Pool<'_>, base: Seq, most: usize) -> bool {
        let Report { blocks, news } = self.next_report(pool, base, most);
        if news == 0 {
            return false;
        }
        let told = self.told;
        let is_other = |seq: &&Seq| !blocks.iter().any(|block| block.has(**seq));
        let now = blocks.iter().map(|block| block.start).chain(told.iter().filter(is_other).copied());
        self.told.iter_mut().zip(now).for_each(|(to, seq)| *to = seq);
        for block in &blocks {
            let index = self.find(pool, base, block.start);
            self.set(pool, index, Entry { range: *block, is_news: false });
        }
        self.news.consume(pool, news * NUMBER);
        !self.news.is_empty()
    }

    /// What is new comes first, and beside it what was told last, so that a lost acknowledgment costs nothing. What
    /// repeats an acknowledgment because several are owed tells the same. Others told in turn would say more, but
    /// what the sender learns late of an old range looks reordered to it, and makes it wait before it sends again
    /// (RFC 8985 §6.2).
    fn next_report(&self, pool: &Pool<'_>, base: Seq, most: usize) -> Report {
        let most = most.min(SACK_BLOCKS);
        let mut report = Report { blocks: heapless::Vec::new(), news: 0 };
        let Report { blocks, news } = &mut report;
        while blocks.len() < most
            && let Some(seq) = self.nth_news(pool, *news)
        {
            *news += 1;
            if let Some(Entry { range, is_news: true }) = self.around(pool, base, seq)
                && !blocks.contains(&range)
            {
                // There is room.
                let _ = blocks.insert(0, range);
            }
        }
        if let Some(Entry { range, .. }) = self.around(pool, base, self.latest)
            && *news * NUMBER == self.news.len()
            && most > 0
        {
            let place = blocks.iter().position(|block| *block == range);
            place.map(|place| blocks.remove(place));
            blocks.truncate(most - 1);
            let _ = blocks.insert(0, range);
        }
        let told = self.told.iter().filter_map(|seq| Some(self.around(pool, base, *seq)?.range));
        for range in told {
            if blocks.len() < most && !blocks.contains(&range) {
                let _ = blocks.push(range);
            }
        }
        report
    }

    fn nth_news(&self, pool: &Pool<'_>, n: usize) -> Option<Seq> {
        let mut number = [0; NUMBER];
        let is_there = self.news.copy_out(pool, n * NUMBER, &mut number) == NUMBER;
        is_there.then(|| Seq(u32::from_le_bytes(number)))
    }

    /// The range that has `seq`.
    fn around(&self, pool: &Pool<'_>, base: Seq, seq: Seq) -> Option<Entry> {
        self.get(pool, self.find(pool, base, seq)).filter(|entry| entry.range.has(seq))
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.stored.clear(pool);
        self.news.clear(pool);
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

    /// Makes a place at `index`, unless there are `most`; what is there and behind moves on. False: there is no
    /// room.
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
        // An acknowledgment with nothing new tells the latest again.
        for _ in 0..3 {
            assert_eq!(report(&ranges, pool, 3), [nth(5), nth(4), nth(3)]);
            assert!(!ranges.on_reported(pool, Seq(0), 3));
        }
        ranges.insert(pool, Seq(0), range(150, 160), 0);
        assert_eq!(report(&ranges, pool, 9), [range(100, 160), nth(5), nth(4), nth(3)]);
        assert_eq!(ranges.duplicate(pool, Seq(0), range(155, 390)), Some(range(155, 160)));
        assert_eq!(ranges.duplicate(pool, Seq(0), range(160, 200)), None);
    }

    /// H062, H274: what came beyond more holes than others have is as many as a window of half-empty flights has;
    /// whatever came, in whatever order, the acknowledgments that are owed tell of it.
    //= rfc2018#4
    #[test]
    fn a_large_window_has_more_ranges() {
        let (mut memory, mut ranges) = (vec![0; 1 << 17], Ranges::default());
        let pool = &mut Pool::borrowed(&mut memory, 2048);
        let window = 8 << 20;
        let count = u32::try_from(most(window, 1460)).unwrap();
        assert_eq!((count, most(window, 1)), (2872, 7825));
        let nth = |n: u32| range(2 * n, 2 * n + 1);
        let mut told = std::collections::HashSet::new();
        for n in 1..=count {
            // Neither upwards nor downwards.
            let n = n * 1009 % 2879;
            assert_eq!(ranges.insert(pool, Seq(0), nth(n + 1), count as usize), Inserted::Kept);
            let mut sack = Sack::default();
            ranges.report(pool, Seq(0), 3, &mut sack);
            assert_eq!(sack.blocks()[0], nth(n + 1), "the one that is acknowledged");
            assert!(!ranges.on_reported(pool, Seq(0), 3));
            told.extend(sack.blocks().iter().map(|block| block.start.0));
        }
        assert_eq!(told.len(), count as usize);
        assert_eq!(ranges.insert(pool, Seq(0), range(9000, 9001), count as usize), Inserted::Refused);
        ranges.clear(pool);
        assert_eq!(pool.in_use(), 0);
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
                assert_eq!(ranges.insert(pool, base + nxt, new, 0), Inserted::Kept);
                here[start as usize..end as usize].fill(true);
                if random.below(8) == 0 {
                    let reach = nxt + 1 + random.below(3);
                    let expected = (reach..300).find(|at| !here[*at as usize]).unwrap_or(300);
                    nxt = ranges.advance(pool, base + reach).since(base);
                    assert_eq!(nxt, expected);
                }
                ranges.on_reported(pool, Seq(0), 3);
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
