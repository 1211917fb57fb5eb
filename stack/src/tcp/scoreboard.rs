//! What is in flight: for each stretch of it, when it was last sent and what became of it (the
//! scoreboard of RFC 6675 §3, with the times that RFC 8985 asks for).
//!
//! The records lie one behind the other, from SND.UNA to SND.NXT without gaps. What was sent at one
//! instant shares a record however many segments it is, so an undisturbed transfer has a few, which
//! lie here. Selective acknowledgments split them; when they are many they lie in the pool, like the
//! bytes that they speak of. Their number is bounded, and so is the work for a segment, however small
//! the pieces are that a peer acknowledges (H062): past the bound, or without
//! memory, neighbours share a record, and a selective acknowledgment may be forgotten. That costs a
//! retransmission, never data: what is sent stays in the queue until SND.UNA passes it.

use super::ranges::Range;
use crate::pool::{Chain, Need, Pool};
use crate::seq::Seq;
use crate::time::Instant;

/// Records in the control block itself.
const FEW: usize = 6;
/// Records in all.
const MOST: usize = 128;
/// And while they are worked on: each of four blocks has two edges, and what is resent has two.
const ROOM: usize = MOST + 10;
/// Bytes of a record in the pool.
const ENTRY: usize = 10;

/// A point in time, in µs, on a circle of 71 minutes: two are compared that are less than half of it
/// apart. What is in flight is sent again, or the connection ends, long before.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Stamp(u32);

impl Stamp {
    pub(crate) fn of(at: Instant) -> Stamp {
        Stamp(at.micros() as u32)
    }

    /// µs from `earlier` to `self`; 0 if `earlier` is later.
    pub(crate) fn since(self, earlier: Stamp) -> u32 {
        let elapsed = self.0.wrapping_sub(earlier.0);
        if (elapsed as i32) < 0 { 0 } else { elapsed }
    }

    pub(crate) fn after(self, us: u32) -> Stamp {
        Stamp(self.0.wrapping_add(us))
    }

    pub(crate) fn before(self, other: Stamp) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }
}

/// What became of what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is on its way, as far as is known.
    Sent,
    /// It has arrived, although what lies before has not.
    Sacked,
    /// It is lost, and was not sent again.
    Lost,
}

/// A stretch of numbers, from the end of the record before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) end: Seq,
    /// When it was last sent.
    pub(crate) sent: Stamp,
    pub(crate) fate: Fate,
    /// It was sent more than once.
    pub(crate) again: bool,
    /// Part of it was acknowledged, and gave a round-trip sample.
    sampled: bool,
}

impl Record {
    fn encode(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[..4].copy_from_slice(&self.end.0.to_le_bytes());
        entry[4..8].copy_from_slice(&self.sent.0.to_le_bytes());
        entry[8] = self.fate as u8;
        entry[9] = self.again as u8 | (self.sampled as u8) << 1;
        entry
    }

    fn decode(entry: &[u8; ENTRY]) -> Record {
        let &[a, b, c, d, e, f, g, h, fate, bits] = entry;
        Record {
            end: Seq(u32::from_le_bytes([a, b, c, d])),
            sent: Stamp(u32::from_le_bytes([e, f, g, h])),
            fate: [Fate::Sent, Fate::Sacked, Fate::Lost][fate as usize % 3],
            again: bits & 1 != 0,
            sampled: bits & 2 != 0,
        }
    }
}

/// The scoreboard of one connection.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    /// Where the first record starts: SND.UNA.
    start: Seq,
    few: heapless::Vec<Record, FEW>,
    /// All of them, if they are more.
    many: Chain,
    /// Bytes that are selectively acknowledged.
    sacked: u32,
    /// Bytes that are lost and not sent again.
    lost: u32,
    /// The first of these; empty: none.
    next: Range,
    /// When the oldest of what is on its way was sent, as of the last edit.
    oldest: Option<Stamp>,
    /// Something is neither merely sent nor sent once.
    marked: bool,
}

impl Scoreboard {
    pub(crate) fn new(start: Seq) -> Self {
        let next = Range { start, end: start };
        Scoreboard {
            start,
            few: heapless::Vec::new(),
            many: Chain::new(),
            sacked: 0,
            lost: 0,
            next,
            oldest: None,
            marked: false,
        }
    }

    /// Was everything sent once, and nothing heard of but in order?
    pub(crate) fn is_plain(&self) -> bool {
        !self.marked && self.many.is_empty()
    }

    /// Bytes that are selectively acknowledged.
    pub(crate) fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Bytes that are lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    /// When the oldest of what is on its way was sent, while not everything [is plain](Self::is_plain).
    pub(crate) fn oldest(&self) -> Option<Stamp> {
        self.oldest
    }

    /// The first stretch to be sent again, if there is one.
    pub(crate) fn next_lost(&self) -> Option<Range> {
        (self.lost > 0).then_some(self.next)
    }

    /// What lies from the last record's end up to `end` was sent at `now`, `again` if perhaps not for
    /// the first time.
    pub(crate) fn push(&mut self, pool: &mut Pool<'_>, end: Seq, now: Instant, again: bool) {
        let new = Record { end, sent: Stamp::of(now), fate: Fate::Sent, again, sampled: false };
        if self.marked {
            self.oldest.get_or_insert(new.sent);
        }
        if self.many.is_empty() && !again {
            if let Some(last) = self.few.last_mut()
                && (Record { end, ..*last }) == new
            {
                last.end = end;
                return;
            }
            if self.few.push(new).is_ok() {
                return;
            }
        }
        self.edit(pool, |records| records.push(new));
    }

    /// SND.UNA moves on, where everything [is plain](Self::is_plain). When that was sent of which this
    /// is a round-trip sample: one for the front and one for the end of each record.
    pub(crate) fn advance(&mut self, una: Seq) -> Option<Stamp> {
        let start = core::mem::replace(&mut self.start, una);
        let mut sent = None;
        while let Some(first) = self.few.first()
            && first.end.at_or_before(una)
        {
            sent = Some(first.sent);
            self.few.remove(0);
        }
        if let Some(first) = self.few.first_mut()
            && !first.sampled
            && una != start
            && sent.is_none()
        {
            first.sampled = true;
            sent = Some(first.sent);
        }
        sent
    }

    /// Nothing is in flight any more, or so it is taken: what follows starts at `start`.
    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>, start: Seq) {
        self.many.clear(pool);
        *self = Scoreboard::new(start);
    }

    /// Works on the records, and keeps them within their bounds.
    pub(crate) fn edit<R>(&mut self, pool: &mut Pool<'_>, work: impl FnOnce(&mut Records) -> R) -> R {
        let mut records = self.load(pool);
        let result = work(&mut records);
        records.tidy(MOST);
        self.store(pool, records);
        result
    }

    fn load(&self, pool: &Pool<'_>) -> Records {
        let mut list = List::new();
        if self.many.is_empty() {
            list.extend(self.few.iter().copied());
        } else {
            for i in 0..self.many.len() / ENTRY {
                let mut entry = [0; ENTRY];
                self.many.copy_out(pool, i * ENTRY, &mut entry);
                // It had room before.
                let _ = list.push(Record::decode(&entry));
            }
        }
        Records { start: self.start, list }
    }

    fn store(&mut self, pool: &mut Pool<'_>, mut records: Records) {
        if records.list.len() > FEW && !self.many.reserve(pool, records.list.len() * ENTRY, Need::Send) {
            records.tidy(FEW);
        }
        self.few.clear();
        if records.list.len() > FEW {
            for (i, record) in records.list.iter().enumerate() {
                self.many.write(pool, i * ENTRY, &record.encode());
            }
            self.many.truncate(pool, records.list.len() * ENTRY);
        } else {
            self.many.clear(pool);
            self.few.extend(records.list.iter().copied());
        }
        self.start = records.start;
        self.count(&records);
    }

    fn count(&mut self, records: &Records) {
        (self.sacked, self.lost, self.oldest, self.marked) = (0, 0, None, false);
        for (range, record) in records.iter() {
            let len = range.end.since(range.start);
            match record.fate {
                Fate::Sent => {
                    if self.oldest.is_none_or(|oldest| record.sent.before(oldest)) {
                        self.oldest = Some(record.sent);
                    }
                }
                Fate::Sacked => self.sacked += len,
                Fate::Lost => {
                    if self.lost == 0 {
                        self.next = range;
                    }
                    // It may be sent as one with what follows.
                    if self.next.end == range.start {
                        self.next.end = range.end;
                    }
                    self.lost += len;
                }
            }
            self.marked |= record.fate != Fate::Sent || record.again;
        }
    }

    /// Our own invariants, for tests and the simulation: what is in flight is on record.
    pub(crate) fn check(&self, una: Seq, nxt: Seq) {
        let flight = nxt.since(una);
        assert!(self.sacked + self.lost <= flight, "more marked than in flight");
        assert!(self.lost == 0 || self.next.end.since(una) <= flight, "lost and never sent");
        if self.many.is_empty() {
            assert_eq!(self.few.is_empty(), flight == 0, "records without a flight, or the reverse");
            assert!(flight == 0 || self.start == una, "the first record is not at SND.UNA");
            let mut at = una;
            for record in &self.few {
                assert!(at.before(record.end), "an empty record");
                at = record.end;
            }
            assert!(flight == 0 || at == nxt, "the last record does not end at SND.NXT");
        }
    }
}

type List = heapless::Vec<Record, ROOM>;

/// All records, to be worked on.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    start: Seq,
    list: List,
}

impl Records {
    /// Every record, with the numbers that it is about.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Range, &Record)> {
        self.list.iter().scan(self.start, |start, record| {
            let range = Range { start: *start, end: record.end };
            *start = record.end;
            Some((range, record))
        })
    }

    fn push(&mut self, new: Record) {
        if self.list.is_full() {
            self.tidy(MOST);
        }
        // There is room now.
        let _ = self.list.push(new);
    }

    /// Everything before `una` has arrived; tells `each` of the records that were not known to have.
    pub(crate) fn advance(&mut self, una: Seq, mut each: impl FnMut(Range, &Record)) {
        let mut start = self.start;
        let mut passed = 0;
        for record in &self.list {
            if una.at_or_before(start) {
                break;
            }
            let end = record.end.earlier_of(una);
            if record.fate != Fate::Sacked {
                each(Range { start, end }, record);
            }
            start = end;
            passed += (record.end == end) as usize;
        }
        self.list.rotate_left(passed);
        self.list.truncate(self.list.len() - passed);
        self.start = una;
    }

    /// `block` has arrived; tells `each` of the records that were not known to have.
    pub(crate) fn sack(&mut self, block: Range, each: impl FnMut(Range, &Record)) {
        self.change(block, |record| record.fate != Fate::Sacked, |record| record.fate = Fate::Sacked, each);
    }

    /// `range` is lost, but for what has arrived.
    pub(crate) fn lose(&mut self, range: Range) {
        self.change(range, |r| r.fate == Fate::Sent, |r| r.fate = Fate::Lost, |_, _| {});
    }

    /// `range` is sent again, but for what has arrived.
    pub(crate) fn resend(&mut self, range: Range, now: Instant) {
        let sent = Stamp::of(now);
        let resent = |r: &mut Record| (r.fate, r.sent, r.again) = (Fate::Sent, sent, true);
        self.change(range, |r| r.fate != Fate::Sacked, resent, |_, _| {});
    }

    /// Every record may be looked at and its fate changed.
    pub(crate) fn each(&mut self, mut change: impl FnMut(Range, &mut Record)) {
        let mut start = self.start;
        for record in &mut self.list {
            change(Range { start, end: record.end }, record);
            start = record.end;
        }
    }

    /// Changes the records of `range` that are `meant`, split at its edges if need be, and tells `each`
    /// what they were.
    fn change(
        &mut self,
        range: Range,
        meant: impl Fn(&Record) -> bool,
        change: impl Fn(&mut Record),
        mut each: impl FnMut(Range, &Record),
    ) {
        let Some(end) = self.list.last().map(|r| r.end) else { return };
        let range = Range { start: range.start.later_of(self.start), end: range.end.earlier_of(end) };
        if !range.start.before(range.end) || !self.split(range.start) || !self.split(range.end) {
            return;
        }
        let mut start = self.start;
        for record in &mut self.list {
            let end = record.end;
            if range.start.at_or_before(start) && end.at_or_before(range.end) && meant(record) {
                each(Range { start, end }, record);
                change(record);
            }
            start = end;
        }
    }

    /// Makes a record end at `at`. False: there is no room for another.
    fn split(&mut self, at: Seq) -> bool {
        if at == self.start {
            return true;
        }
        let Some(index) = self.list.iter().position(|r| at.at_or_before(r.end)) else { return true };
        let record = self.list[index];
        record.end == at || self.list.insert(index, Record { end: at, ..record }).is_ok()
    }

    /// Joins neighbours that do not differ, and then those that differ least, until there are at most
    /// `most`.
    fn tidy(&mut self, most: usize) {
        self.join(|a, b| {
            a.fate == b.fate && (a.fate == Fate::Sacked || (a.sent, a.again) == (b.sent, b.again))
        });
        if self.list.len() > most {
            self.coarsen(most);
        }
        while self.list.len() > most {
            self.forget_shortest();
        }
    }

    /// Joins neighbours of one fate to stretches that are about as long as each other, so that each
    /// knows about when it was sent: if all are of one fate, half of `most` are left.
    fn coarsen(&mut self, most: usize) {
        let mut start = self.start;
        let Some(last) = self.list.last() else { return };
        let len = last.end.since(start) / (most as u32 / 4).max(1);
        self.join(|a, b| {
            let may = a.fate == b.fate && b.end.since(start) <= len;
            start = if may { start } else { a.end };
            may
        });
    }

    fn join(&mut self, mut may: impl FnMut(&Record, &Record) -> bool) {
        let mut kept = 0;
        for i in 1..self.list.len() {
            let (a, b) = (self.list[kept], self.list[i]);
            if may(&a, &b) {
                self.list[kept] = a.with(&b);
            } else {
                kept += 1;
                self.list[kept] = b;
            }
        }
        self.list.truncate(kept + 1);
    }

    /// The shortest record is taken to be what its neighbour is. No acknowledgment is invented: one
    /// may be forgotten.
    fn forget_shortest(&mut self) {
        let lens = self.iter().map(|(range, r)| (r.fate != Fate::Sacked, range.end.since(range.start)));
        let Some((index, _)) = lens.enumerate().min_by_key(|(_, len)| *len) else { return };
        if let Some(previous) = index.checked_sub(1).map(|i| self.list[i]) {
            self.list[index].fate = previous.fate;
        } else if let Some(next) = self.list.get(1) {
            self.list[0].fate = next.fate;
        }
        self.join(|a, b| a.fate == b.fate);
    }
}

impl Record {
    /// Both as one: what may be on its way was sent when the later of them was.
    fn with(&self, next: &Record) -> Record {
        let sent = if self.sent.before(next.sent) { next.sent } else { self.sent };
        let (again, sampled) = (self.again || next.again, self.sampled && next.sampled);
        Record { end: next.end, sent, fate: self.fate, again, sampled }
    }
}

#[cfg(test)]
mod tests;
