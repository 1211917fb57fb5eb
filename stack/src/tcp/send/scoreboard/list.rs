//! A list of records in the order of their numbers: a few lie in the control block, more in the pool, where they
//! are read and changed in place.

use super::{Record, SegmentStatus, XmitTime};
use crate::base::pool::{Chain, Need, Pool};
use crate::seq::Seq;

/// Records in the control block.
pub(super) const FEW: usize = 6;
/// Bytes of a record in the pool.
const ENTRY: usize = 9;
/// Records of the pool that are looked at together: as many as a small block holds.
pub(super) const BATCH: usize = 28;

impl Record {
    fn encode(&self) -> [u8; ENTRY] {
        let Record { end: Seq(end), sent: XmitTime(sent), status, again, vague, sampled } = *self;
        let ([a, b, c, d], [e, f, g, h]) = (end.to_le_bytes(), sent.to_le_bytes());
        let bits = u8::from(again) << 2 | u8::from(vague) << 3 | u8::from(sampled) << 4;
        [a, b, c, d, e, f, g, h, status as u8 | bits]
    }

    fn decode(entry: &[u8; ENTRY]) -> Record {
        let &[a, b, c, d, e, f, g, h, bits] = entry;
        Record {
            end: Seq(u32::from_le_bytes([a, b, c, d])),
            sent: XmitTime(u32::from_le_bytes([e, f, g, h])),
            status: [SegmentStatus::Sent, SegmentStatus::Sacked, SegmentStatus::Lost]
                [usize::from(bits & 3) % 3],
            again: bits & 4 != 0,
            vague: bits & 8 != 0,
            sampled: bits & 16 != 0,
        }
    }
}

/// See the module. All records lie in one of the two places.
#[derive(Debug)]
pub(super) struct List {
    few: heapless::Vec<Record, FEW>,
    many: Chain,
}

impl List {
    pub(super) const fn new() -> List {
        List { few: heapless::Vec::new(), many: Chain::new() }
    }

    pub(super) fn len(&self) -> usize {
        if self.many.is_empty() { self.few.len() } else { self.many.len() / ENTRY }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }

    /// The record at `index`, which there is.
    pub(super) fn get(&self, pool: &Pool<'_>, index: usize) -> Record {
        if self.many.is_empty() {
            return self.few[index];
        }
        let mut entry = [0; ENTRY];
        self.many.copy_out(pool, index * ENTRY, &mut entry);
        Record::decode(&entry)
    }

    pub(super) fn set(&mut self, pool: &mut Pool<'_>, index: usize, record: &Record) {
        if self.many.is_empty() {
            self.few[index] = *record;
        } else {
            self.many.write(pool, index * ENTRY, &record.encode());
        }
    }

    pub(super) fn first(&self, pool: &Pool<'_>) -> Option<Record> {
        (!self.is_empty()).then(|| self.get(pool, 0))
    }

    pub(super) fn last(&self, pool: &Pool<'_>) -> Option<Record> {
        if let Some(entry) = self.many.last_bytes(pool, ENTRY).and_then(|last| last.first_chunk()) {
            return Some(Record::decode(entry));
        }
        Some(self.get(pool, self.len().checked_sub(1)?))
    }

    pub(super) fn set_last(&mut self, pool: &mut Pool<'_>, record: &Record) {
        self.set(pool, self.len() - 1, record);
    }

    /// Is there room for so many more? They are a queue for sending like the payload, and ask for memory as
    /// that does.
    pub(super) fn has_room(&mut self, pool: &mut Pool<'_>, more: usize) -> bool {
        let len = self.len() + more;
        if self.many.is_empty() && len <= FEW {
            return true;
        }
        let need = if len * ENTRY <= pool.block_len() { Need::Send } else { Need::Bulk };
        if !self.many.reserve(pool, len * ENTRY, need) {
            return false;
        }
        if self.many.is_empty() {
            for (i, record) in self.few.iter().enumerate() {
                self.many.write(pool, i * ENTRY, &record.encode());
            }
            self.few.clear();
        }
        true
    }

    /// Appends a record, if there is room for it.
    pub(super) fn push(&mut self, pool: &mut Pool<'_>, record: &Record) -> bool {
        if self.many.is_empty() && self.few.push(*record).is_ok() {
            return true;
        }
        if !self.many.is_empty()
            && let Some(room) = self.many.extend_in_place(pool, ENTRY)
        {
            room.copy_from_slice(&record.encode());
            return true;
        }
        if !self.has_room(pool, 1) {
            return false;
        }
        self.many.write(pool, self.many.len(), &record.encode());
        true
    }

    /// Inserts a record before that at `index`, where [there is room](List::has_room).
    pub(super) fn insert(&mut self, pool: &mut Pool<'_>, index: usize, record: &Record) {
        if self.many.is_empty() {
            // There is room: that was asked.
            let _ = self.few.insert(index, *record);
            return;
        }
        self.many.slide(pool, index * ENTRY, (index + 1) * ENTRY);
        self.many.write(pool, index * ENTRY, &record.encode());
    }

    /// Removes the records from `from` up to `to`.
    pub(super) fn remove(&mut self, pool: &mut Pool<'_>, from: usize, to: usize) {
        if from == 0 {
            return self.drop_front(pool, to);
        }
        if self.many.is_empty() {
            let end = self.few.len();
            self.few.copy_within(to.., from);
            self.few.truncate(end - (to - from));
            return;
        }
        let len = self.len() - (to - from);
        self.many.slide(pool, to * ENTRY, from * ENTRY);
        self.many.truncate(pool, len * ENTRY);
    }

    pub(super) fn drop_front(&mut self, pool: &mut Pool<'_>, n: usize) {
        if !self.many.is_empty() {
            return self.many.consume(pool, n * ENTRY);
        }
        if n >= self.few.len() {
            return self.few.clear();
        }
        self.few.copy_within(n.., 0);
        self.few.truncate(self.few.len() - n);
    }

    pub(super) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.few.clear();
        self.many.clear(pool);
    }

    /// The first record that reaches beyond `at`; `base` is before all of them.
    pub(super) fn find(&self, pool: &Pool<'_>, at: Seq, base: Seq) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            if self.get(pool, middle).end.since(base) > at.since(base) {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        from
    }

    /// Shows the records from `from` on, to be changed, until `work` says that it has seen enough.
    pub(super) fn visit(
        &mut self,
        pool: &mut Pool<'_>,
        from: usize,
        mut work: impl FnMut(&mut Record) -> bool,
    ) {
        if self.many.is_empty() {
            let _ = self.few.iter_mut().skip(from).all(work);
        } else {
            // One copy of the code for all callers: each would take 400 bytes of flash.
            self.visit_many(pool, from, &mut work as &mut dyn FnMut(&mut Record) -> bool);
        }
    }

    /// The same from the front on, with code of its own: for each acknowledgment.
    pub(super) fn visit_front(&mut self, pool: &mut Pool<'_>, mut work: impl FnMut(&mut Record) -> bool) {
        if self.many.is_empty() {
            let _ = self.few.iter_mut().all(work);
        } else {
            self.visit_many(pool, 0, &mut work);
        }
    }

    fn visit_many<W: FnMut(&mut Record) -> bool + ?Sized>(
        &mut self,
        pool: &mut Pool<'_>,
        from: usize,
        work: &mut W,
    ) {
        let (len, mut at) = (self.len(), from);
        let mut batch = [0; BATCH * ENTRY];
        let mut goes_on = true;
        while goes_on && at < len {
            let n = self.many.copy_out(pool, at * ENTRY, &mut batch) / ENTRY;
            let mut is_changed = false;
            for entry in &mut batch.as_chunks_mut().0[..n] {
                let before = Record::decode(entry);
                let mut record = before;
                goes_on = work(&mut record);
                if record != before {
                    (*entry, is_changed) = (record.encode(), true);
                }
                if !goes_on {
                    break;
                }
            }
            if is_changed {
                self.many.write(pool, at * ENTRY, &batch[..n * ENTRY]);
            }
            at += n;
        }
    }

    /// Those in the control block, for tests and the simulation.
    pub(super) fn near(&self) -> &[Record] {
        &self.few
    }
}
