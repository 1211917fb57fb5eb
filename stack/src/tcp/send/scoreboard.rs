//! What is in flight: for each stretch of it, when it was last sent and what became of it (the
//! scoreboard of RFC 6675 §3, with the times that RFC 8985 asks for).
//!
//! The records lie one behind the other, from SND.UNA to SND.NXT without gaps, in two lists. What is sent
//! joins the end of the second, and what is acknowledged in order leaves the front: either costs the same
//! however much is in flight. What news comes of moves over to the first, piece by piece; what has arrived
//! there is one record, so its length is that of the holes. Between the two nothing moves twice.
//!
//! What was sent at one instant shares a record however many segments it is, so an undisturbed transfer
//! has a few, which lie here; when they are many they lie in the pool, like the bytes that they speak of.
//! Without memory neighbours share a record, which is *vague* from then on: it gives no round-trip sample
//! and no time for RACK. A selective acknowledgment for which there is no record is ignored; one that was
//! noted is never forgotten. Either costs a retransmission, never data: what is sent stays in the queue
//! until SND.UNA passes it. A peer makes no more records than segments would (H062).

mod list;

mod record;

pub(crate) use record::{Record, SegmentStatus, XmitTime};

use crate::base::pool::Pool;
use crate::seq::{Range, Seq};

use crate::time::Instant;
use list::List;

/// Records that a peer may make with its blocks beyond two for each segment in flight: segments may be
/// shorter than they are now.
const HOLES: usize = 64;
/// Records that stay free for what is sent again when a block is noted.
const SPARE: usize = 2;
/// Bytes that are sent again as one at most.
const LONGEST: u32 = 1 << 16;

/// The scoreboard of one connection.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    /// Where the first record starts: SND.UNA.
    start: Seq,
    /// What news came of, and what lies before it.
    known: List,
    /// Where that ends.
    edge: Seq,
    /// What was sent behind it, the earliest first.
    fresh: List,
    /// Up to here something in `fresh` was sent again, or is lost.
    marked: Option<Seq>,
    /// Bytes that are selectively acknowledged.
    sacked: u32,
    /// Bytes that are lost and not sent again.
    lost: u32,
    /// The first of these; empty: none.
    next: Range,
    /// When the oldest of what is on its way was sent, as of the last edit.
    oldest: Option<XmitTime>,
    /// When something was sent last.
    pushed: XmitTime,
}

impl Scoreboard {
    pub(crate) const fn new(start: Seq) -> Self {
        Scoreboard {
            start,
            known: List::new(),
            edge: start,
            fresh: List::new(),
            marked: None,
            sacked: 0,
            lost: 0,
            next: Range { start, end: start },
            oldest: None,
            pushed: XmitTime(0),
        }
    }

    /// Was everything sent once, and nothing heard of but in order?
    pub(crate) fn is_plain(&self) -> bool {
        self.known.is_empty() && self.marked.is_none()
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
    pub(crate) fn oldest(&self) -> Option<XmitTime> {
        self.oldest
    }

    /// The first stretch to be sent again, if there is one.
    pub(crate) fn next_lost(&self) -> Option<Range> {
        (self.lost > 0).then_some(self.next)
    }

    /// What lies from the last record's end up to `end` was sent at `now`, `again` if perhaps not for
    /// the first time.
    pub(crate) fn push(&mut self, pool: &mut Pool<'_>, end: Seq, now: Instant, again: bool) {
        let new = Record {
            end,
            sent: XmitTime::of(now),
            status: SegmentStatus::Sent,
            again,
            vague: false,
            sampled: false,
        };
        if again {
            self.marked = Some(end);
        }
        if !self.is_plain() {
            self.oldest.get_or_insert(new.sent);
        }
        // As long as all is plain, what was sent at another time shares no record with this.
        let may_share = !self.is_plain() || self.pushed == new.sent;
        self.pushed = new.sent;
        let last = if may_share { self.fresh.last(pool) } else { None };
        match last.filter(|last| last.equals(&new) && !last.sampled) {
            Some(last) => self.fresh.set_last(pool, &Record { end, ..last }),
            None if self.fresh.push(pool, &new) => {}
            None => {
                let Some(last) = self.fresh.last(pool) else { return }; // there is always room for the first
                if last.status == SegmentStatus::Lost {
                    self.lost += end.since(last.end);
                }
                self.fresh.set_last(pool, &last.with(&new));
            }
        }
    }

    /// SND.UNA moves on, where everything [is plain](Self::is_plain). When that was sent of which this
    /// is a round-trip sample: one for the front and one for the end of each record.
    pub(crate) fn advance(&mut self, pool: &mut Pool<'_>, una: Seq) -> Option<XmitTime> {
        let (mut passed, mut sent) = (0, None);
        self.fresh.visit_front(pool, |record| {
            let is_passed = record.end.at_or_before(una);
            if is_passed {
                passed += 1;
                sent = (!record.vague).then_some(record.sent);
            } else if passed == 0 && !record.sampled && una != self.start {
                record.sampled = true;
                sent = (!record.vague).then_some(record.sent);
            }
            is_passed
        });
        self.fresh.drop_front(pool, passed);
        (self.start, self.edge) = (una, una);
        sent
    }

    /// Nothing is in flight any more, or so it is taken: what follows starts at `start`.
    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>, start: Seq) {
        self.known.clear(pool);
        self.fresh.clear(pool);
        *self = Scoreboard::new(start);
    }

    /// The loop stood still: what is in flight counts as sent now, and again, as far as samples of the round trip go.
    pub(crate) fn forget_times(&mut self, pool: &mut Pool<'_>, now: Instant) {
        let now = XmitTime::of(now);
        self.edit(pool, |records| records.each(|_, record| (record.sent, record.again) = (now, true)));
    }

    /// Works on the records, and sums up what has become of them.
    pub(crate) fn edit<R>(&mut self, pool: &mut Pool<'_>, work: impl FnOnce(&mut Records<'_, '_>) -> R) -> R {
        let mut records = Records { board: self, pool };
        let result = work(&mut records);
        self.sum_up(pool);
        result
    }

    fn sum_up(&mut self, pool: &mut Pool<'_>) {
        let Scoreboard { start, known, fresh, marked, lost, edge, .. } = self;
        let (mut next, mut oldest) = (None::<Range>, None);
        let mut at = *start;
        let mut look = |record: &Record| {
            let range = Range { start: at, end: record.end };
            at = record.end;
            match (record.status, &mut next) {
                (SegmentStatus::Sent, _) => oldest = earlier(oldest, record.sent),
                (SegmentStatus::Lost, None) => next = Some(range),
                // It may be sent as one with what lies before it.
                (SegmentStatus::Lost, Some(next)) if next.end == range.start && next.len() < LONGEST => {
                    next.end = range.end;
                }
                (SegmentStatus::Lost | SegmentStatus::Sacked, _) => {}
            }
            let is_long = next.is_some_and(|next| next.end != range.end || next.len() >= LONGEST);
            *lost > 0 && !is_long || oldest.is_none()
        };
        known.visit(pool, 0, |record| {
            look(record);
            true
        });
        // There the earliest comes first.
        let mut most = list::BATCH;
        fresh.visit(pool, 0, |record| {
            most -= 1;
            look(record) && marked.is_some() && most > 0
        });
        self.next = next.unwrap_or(Range { start: *edge, end: *edge });
        self.oldest = oldest;
    }

    /// Our own invariants, for tests and the simulation: what is in flight is on record.
    pub(crate) fn check(&self, una: Seq, nxt: Seq) {
        let flight = nxt.since(una);
        assert!(self.sacked + self.lost <= flight, "more marked than in flight");
        assert!(self.lost == 0 || self.next.end.since(una) <= flight, "lost and never sent");
        assert!(self.lost == 0 || !self.next.is_empty(), "lost, and nobody knows where");
        let is_empty = self.known.is_empty() && self.fresh.is_empty();
        assert_eq!(is_empty, flight == 0, "records without a flight, or the reverse");
        if is_empty {
            return;
        }
        assert!(self.start == una, "the first record is not at SND.UNA");
        assert!(self.edge.since(una) <= flight, "news of what was never sent");
        assert!(self.marked.is_none_or(|end| end.since(una) <= flight), "marked and never sent");
        for (mut at, list, end) in [(una, &self.known, self.edge), (self.edge, &self.fresh, nxt)] {
            let near = list.near();
            for record in near {
                assert!(at.before(record.end), "an empty record");
                at = record.end;
            }
            assert!(near.is_empty() || at == end, "the last record does not end at {end:?}");
        }
    }
}

/// All records, to be worked on.
pub(crate) struct Records<'b, 'm> {
    board: &'b mut Scoreboard,
    pool: &'b mut Pool<'m>,
}

/// A change of what lies in a range.
struct Change<'a> {
    range: Range,
    /// Is a record of this fate meant?
    meant: fn(SegmentStatus) -> bool,
    change: &'a dyn Fn(&mut Record),
    /// Is told what it was.
    each: &'a mut dyn FnMut(Range, &Record),
    /// It may be left undone where there is no room for another record: how many there may be.
    most: Option<usize>,
}

impl Records<'_, '_> {
    /// Everything before `una` has arrived; tells `each` of the records that were not known to have.
    pub(crate) fn advance(&mut self, una: Seq, mut each: impl FnMut(Range, &Record)) {
        let Scoreboard { start, known, edge, fresh, marked, sacked, lost, .. } = &mut *self.board;
        for list in [known, fresh] {
            let mut passed = 0;
            list.visit(self.pool, 0, |record| {
                if una.at_or_before(*start) {
                    return false;
                }
                let end = record.end.earlier_of(una);
                let range = Range { start: *start, end };
                match record.status {
                    SegmentStatus::Sacked => *sacked -= range.len(),
                    SegmentStatus::Lost => *lost -= range.len(),
                    SegmentStatus::Sent => {}
                }
                if record.status != SegmentStatus::Sacked {
                    each(range, record);
                }
                passed += usize::from(record.end == end);
                *start = end;
                true
            });
            list.drop_front(self.pool, passed);
        }
        (*start, *edge) = (una, edge.later_of(una));
        marked.take_if(|end| end.at_or_before(una));
    }

    /// `block` has arrived, of segments of `mss` bytes; tells `each` of the records that were not known to
    /// have.
    pub(crate) fn sack(&mut self, block: Range, mss: u16, mut each: impl FnMut(Range, &Record)) {
        let flight = self.end().since(self.board.start);
        let most = Some(2 * (flight / u32::from(mss)) as usize + HOLES);
        let change = &|record: &mut Record| record.status = SegmentStatus::Sacked;
        self.change(Change {
            range: block,
            meant: |status| status != SegmentStatus::Sacked,
            change,
            each: &mut each,
            most,
        });
    }

    /// `range` is lost, but for what has arrived.
    pub(crate) fn lose(&mut self, range: Range) {
        let (meant, change) = (|status| status == SegmentStatus::Sent, &|record: &mut Record| {
            record.status = SegmentStatus::Lost
        });
        self.change(Change { range, meant, change, each: &mut |_, _| {}, most: None });
    }

    /// `range` is sent again, but for what has arrived.
    pub(crate) fn resend(&mut self, range: Range, now: Instant) {
        let sent = XmitTime::of(now);
        let change =
            &|r: &mut Record| (r.status, r.sent, r.again, r.vague) = (SegmentStatus::Sent, sent, true, false);
        let meant = |status| status != SegmentStatus::Sacked;
        self.change(Change { range, meant, change, each: &mut |_, _| {}, most: None });
    }

    /// Every record may be looked at and its fate changed.
    pub(crate) fn each(&mut self, mut change: impl FnMut(Range, &mut Record)) {
        self.each_until(|range, record| {
            change(range, record);
            true
        });
    }

    /// So may they be here, up to one of those of which no news came where `change` says that those behind
    /// it, sent later, are of no interest.
    pub(crate) fn each_until(&mut self, mut change: impl FnMut(Range, &mut Record) -> bool) {
        let Scoreboard { start, known, fresh, marked, sacked, lost, .. } = &mut *self.board;
        let mut at = *start;
        let mut look = |record: &mut Record| {
            let (range, before) = (Range { start: at, end: record.end }, record.status);
            let goes_on = change(range, record);
            count(before, record.status, range.len(), sacked, lost);
            at = record.end;
            goes_on
        };
        known.visit(self.pool, 0, |record| {
            look(record);
            true
        });
        fresh.visit(self.pool, 0, |record| {
            let goes_on = look(record);
            if record.again || record.status != SegmentStatus::Sent {
                *marked = Some(marked.map_or(record.end, |end| end.later_of(record.end)));
            }
            goes_on
        });
    }

    /// What the first record is about.
    pub(crate) fn first(&self) -> Option<Record> {
        self.board.known.first(self.pool).or_else(|| self.board.fresh.first(self.pool))
    }

    /// Bytes that are selectively acknowledged.
    pub(crate) fn sacked(&self) -> u32 {
        self.board.sacked
    }

    /// Stretches that are, `most` at most.
    pub(crate) fn sacked_stretches(&mut self, most: u8) -> u8 {
        let mut count = 0;
        self.board.known.visit(self.pool, 0, |record| {
            count += u8::from(record.status == SegmentStatus::Sacked);
            count < most
        });
        count
    }

    /// Where the last record ends.
    fn end(&self) -> Seq {
        self.board.fresh.last(self.pool).map_or(self.board.edge, |last| last.end)
    }

    fn change(&mut self, mut change: Change<'_>) {
        let (start, end) = (self.board.start, self.end());
        let Range { start: from, end: to } = change.range;
        change.range = Range { start: from.later_of(start), end: to.earlier_of(end) };
        if change.range.start.before(change.range.end) {
            self.change_known(&mut change);
            self.move_over(&mut change);
        }
    }

    /// Changes those records of the range of which news came before: split at its edges, if need be.
    fn change_known(&mut self, change: &mut Change<'_>) {
        let base = self.board.start;
        let range = Range { start: change.range.start, end: change.range.end.earlier_of(self.board.edge) };
        if !range.start.before(range.end) {
            return;
        }
        let edges = [range.start, range.end];
        let missing = |records: &Self| edges.iter().filter(|at| !records.is_edge(**at)).count();
        let has_room = self.make_room(missing, change.most);
        let mut index = self.split(range.start, has_room);
        self.split(range.end, has_room);
        let first = index;
        let Records { board: Scoreboard { known, sacked, lost, .. }, pool } = self;
        let mut at = index.checked_sub(1).map_or(base, |before| known.get(pool, before).end);
        known.visit(pool, first, |record| {
            let part = Range { start: at, end: record.end };
            at = record.end;
            index += 1;
            // Where there was no room to split, it reaches beyond the range.
            if range.start.at_or_before(part.start)
                && part.end.at_or_before(range.end)
                && (change.meant)(record.status)
            {
                (change.each)(part, record);
                let before = record.status;
                (change.change)(record);
                count(before, record.status, part.len(), sacked, lost);
            }
            at.before(range.end)
        });
        self.join(first.saturating_sub(1), index + 1);
    }

    /// Does a known record start at `at`, or do they end there?
    fn is_edge(&self, at: Seq) -> bool {
        let Scoreboard { start, known, edge, .. } = &*self.board;
        let before = known.find(self.pool, at, *start).checked_sub(1);
        at == *edge || before.map_or(*start, |before| known.get(self.pool, before).end) == at
    }

    /// Makes one of the known records start at `at`, if there is room. The first that reaches beyond it.
    fn split(&mut self, at: Seq, has_room: bool) -> usize {
        let index = self.board.known.find(self.pool, at, self.board.start);
        if !has_room || self.is_edge(at) {
            return index;
        }
        let record = self.board.known.get(self.pool, index);
        self.board.known.insert(self.pool, index, &Record { end: at, ..record });
        index + 1
    }

    /// What news comes of now moves over to the known records, with what lies before it.
    fn move_over(&mut self, change: &mut Change<'_>) {
        let range = change.range;
        while self.board.edge.before(range.end)
            && let Some(record) = self.board.fresh.first(self.pool)
        {
            let start = self.board.edge;
            let is_before = start.before(range.start);
            let end = record.end.earlier_of(if is_before { range.start } else { range.end });
            let mut part = Record { end, ..record };
            let is_meant = !is_before && (change.meant)(record.status);
            if is_meant {
                (change.change)(&mut part);
            }
            // Behind a hole there must be room for what has arrived, too.
            let room = 1 + usize::from(is_before && change.most.is_some());
            if !self.append(&part, change.most, room) {
                return;
            }
            let board = &mut *self.board;
            board.edge = end;
            if is_meant {
                (change.each)(Range { start, end }, &record);
                count(record.status, part.status, end.since(start), &mut board.sacked, &mut board.lost);
            }
            if end == record.end {
                board.fresh.drop_front(self.pool, 1);
                board.marked.take_if(|marked| marked.at_or_before(end));
            }
        }
    }

    /// Adds a record to the known ones, where `room` says for how many there has to be room.
    fn append(&mut self, new: &Record, most: Option<usize>, room: usize) -> bool {
        let Records { board, pool } = self;
        let last = board.known.last(pool);
        if let Some(last) = last.filter(|last| last.equals(new)) {
            board.known.set_last(pool, &Record { end: new.end, ..last });
            return true;
        }
        if self.make_room(|_| room, most) {
            return self.board.known.push(self.pool, new);
        }
        // What is on its way may be one with what lies before it.
        let Some(last) = last.filter(|last| last.status == new.status) else { return false };
        self.board.known.set_last(self.pool, &last.with(new));
        true
    }

    /// Is there room for the known records that are missing? Where there must be, neighbours are joined: those that
    /// are of one fate first, and else what is on its way is taken as lost. Those that have arrived stay.
    fn make_room(&mut self, missing: impl Fn(&Self) -> usize, most: Option<usize>) -> bool {
        loop {
            let more = missing(self);
            let known = &mut self.board.known;
            if let Some(most) = most {
                return known.len() + more <= most && known.has_room(self.pool, more + SPARE);
            }
            if known.has_room(self.pool, more) {
                return true;
            }
            let is_full = !self.join_pair(|a, b| a.status == b.status);
            if is_full
                && !self
                    .join_pair(|a, b| a.status != SegmentStatus::Sacked && b.status != SegmentStatus::Sacked)
            {
                return false;
            }
        }
    }

    /// Joins the first pair of known records that may be. False: there is none.
    fn join_pair(&mut self, may: impl Fn(&Record, &Record) -> bool) -> bool {
        let Records { board: Scoreboard { start, known, sacked, lost, .. }, pool } = self;
        let mut before = *start;
        for index in 1..known.len() {
            let (a, b) = (known.get(pool, index - 1), known.get(pool, index));
            if may(&a, &b) {
                let both = a.with(&b);
                count(a.status, both.status, a.end.since(before), sacked, lost);
                count(b.status, both.status, b.end.since(a.end), sacked, lost);
                known.set(pool, index, &both);
                known.remove(pool, index - 1, index);
                return true;
            }
            before = a.end;
        }
        false
    }

    /// Joins known records from `from` up to `to` that tell the same.
    fn join(&mut self, from: usize, to: usize) {
        let Records { board: Scoreboard { known, .. }, pool } = self;
        let to = to.min(known.len());
        if to <= from {
            return;
        }
        let (mut kept, mut last) = (from, known.get(pool, from));
        for index in from + 1..to {
            let next = known.get(pool, index);
            if last.equals(&next) {
                last.end = next.end;
            } else {
                known.set(pool, kept, &last);
                (kept, last) = (kept + 1, next);
            }
        }
        if kept + 1 < to {
            known.set(pool, kept, &last);
            known.remove(pool, kept + 1, to);
        }
    }

    #[cfg(test)]
    fn all(&mut self) -> Vec<(Range, Record)> {
        let mut all = vec![];
        self.each(|range, record| all.push((range, *record)));
        all
    }
}

/// `len` bytes had one fate and have another.
fn count(before: SegmentStatus, after: SegmentStatus, len: u32, sacked: &mut u32, lost: &mut u32) {
    match before {
        SegmentStatus::Sent => {}
        SegmentStatus::Sacked => *sacked -= len,
        SegmentStatus::Lost => *lost -= len,
    }
    match after {
        SegmentStatus::Sent => {}
        SegmentStatus::Sacked => *sacked += len,
        SegmentStatus::Lost => *lost += len,
    }
}

fn earlier(a: Option<XmitTime>, b: XmitTime) -> Option<XmitTime> {
    a.filter(|a| a.before(b)).or(Some(b))
}

#[cfg(test)]
mod tests;
