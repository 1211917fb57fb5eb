use super::*;
use crate::time::Duration;

const BASE: Seq = Seq(0xffff_ff00);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn range(start: u32, end: u32) -> Range {
    Range { start: BASE + start, end: BASE + end }
}

/// `n` stretches of a hundred, a millisecond apart.
fn board(pool: &mut Pool<'_>, n: u32) -> Scoreboard {
    let mut board = Scoreboard::new(BASE);
    for i in 1..=n {
        board.push(pool, BASE + 100 * i, at(i.into()), false);
    }
    board
}

fn all(board: &mut Scoreboard, pool: &mut Pool<'_>) -> Vec<(Range, Record)> {
    board.edit(pool, |records| records.all())
}

fn fates(board: &mut Scoreboard, pool: &mut Pool<'_>) -> Vec<(u32, SegmentStatus)> {
    all(board, pool).iter().map(|(range, r)| (range.end.since(BASE), r.status)).collect()
}

/// What was sent at one instant is one record, and an acknowledgment inside it changes nothing.
#[test]
fn a_burst_is_one_record() {
    let mut memory = vec![0; 4096];
    let pool = &mut Pool::borrowed(&mut memory, 64);
    let mut board = Scoreboard::new(BASE);
    for end in [100, 200, 300] {
        board.push(pool, BASE + end, at(7), false);
    }
    assert_eq!(board.fresh.len(), 1);
    assert!(board.is_plain());
    assert_eq!(board.advance(pool, BASE + 100), Some(XmitTime::of(at(7))));
    assert_eq!(board.advance(pool, BASE + 250), None, "one sample was enough");
    assert_eq!(board.advance(pool, BASE + 300), Some(XmitTime::of(at(7))));
    board.check(BASE + 300, BASE + 300);
}

/// T05: blocks split the records, each byte is told of once, and counted.
//= rfc6675#3
#[test]
fn blocks_split_records() {
    let mut memory = vec![0; 4096];
    let pool = &mut Pool::borrowed(&mut memory, 64);
    let mut board = board(pool, 3);
    let mut told = vec![];
    let mut sack = |board: &mut Scoreboard, pool: &mut Pool<'_>, block| {
        board
            .edit(pool, |r| r.sack(block, 100, |range, _| told.push((range.start.since(BASE), range.len()))));
    };
    sack(&mut board, pool, range(50, 250));
    sack(&mut board, pool, range(40, 260));
    assert_eq!(told, [(50, 50), (100, 100), (200, 50), (40, 10), (250, 10)]);
    assert_eq!(
        fates(&mut board, pool),
        [(40, SegmentStatus::Sent), (260, SegmentStatus::Sacked), (300, SegmentStatus::Sent)]
    );
    assert_eq!((board.sacked(), board.lost()), (220, 0));
    board.edit(pool, |r| r.lose(range(0, 300)));
    assert_eq!((board.sacked(), board.lost(), board.next_lost()), (220, 80, Some(range(0, 40))));
    board.edit(pool, |r| r.resend(range(0, 10), at(9)));
    assert_eq!((board.lost(), board.next_lost()), (70, Some(range(10, 40))));
    let mut passed = vec![];
    board.edit(pool, |r| r.advance(BASE + 45, |range, r| passed.push((range.len(), r.again))));
    assert_eq!(passed, [(10, true), (30, false)], "what had arrived is no news");
    board.clear(pool, BASE + 300);
    assert_eq!(pool.in_use(), 0);
}

/// H062: a peer that acknowledges bytes here and there makes no more records than segments would; and with
/// next to no memory there are few. What has no record was not heard of; what was, stays.
#[test]
fn many_holes() {
    for memory in [64 * 1024, 0] {
        let mut memory = vec![0; memory];
        let pool = &mut Pool::borrowed(&mut memory, 256);
        let mut board = board(pool, 1);
        board.push(pool, BASE + 10_000, at(5), false);
        let mut sacked = 0;
        for i in 0..500 {
            board.edit(pool, |r| r.sack(range(20 * i + 5, 20 * i + 15), 500, |_, _| {}));
            board.check(BASE, BASE + 10_000);
            assert!(board.sacked() >= sacked, "an acknowledgment was forgotten");
            sacked = board.sacked();
        }
        let records = all(&mut board, pool);
        let most = if pool.in_use() > 0 { 2 * 10_000 / 500 + HOLES } else { 2 * list::FEW };
        assert!(records.len() <= most, "{}", records.len());
        for (range, record) in records.iter().filter(|(_, r)| r.status == SegmentStatus::Sacked) {
            assert!(range.len() <= 10 && range.start.since(BASE) % 20 == 5, "{range:?} {record:?}");
        }
        assert!(board.sacked() > 0);
        board.edit(pool, |r| r.advance(BASE + 9_990, |_, _| {}));
        board.check(BASE + 9_990, BASE + 10_000);
        board.clear(pool, BASE + 10_000);
        assert_eq!(pool.in_use(), 0);
    }
}

/// H062, H274: where there is no record for another stretch that arrived, it is ignored; those that were noted
/// stay. When SND.UNA has passed them there is room again.
#[test]
fn none_is_forgotten() {
    let pool = &mut Pool::borrowed(&mut [], 256);
    let mut board = board(pool, 1);
    for block in [range(20, 35), range(50, 60), range(70, 90)] {
        board.edit(pool, |r| r.sack(block, 100, |_, _| {}));
    }
    let (sent, sacked) = (SegmentStatus::Sent, SegmentStatus::Sacked);
    let noted = [(20, sent), (35, sacked), (50, sent), (60, sacked), (100, sent)];
    assert_eq!(fates(&mut board, pool), noted);
    board.edit(pool, |r| r.advance(BASE + 40, |_, _| {}));
    board.edit(pool, |r| r.sack(range(70, 90), 100, |_, _| {}));
    assert_eq!(board.sacked(), 30);
}

/// H274: thousands of stretches are in flight, and each keeps its own time; every second one is heard of, and
/// each of these is known to have arrived until SND.UNA passes it.
#[test]
fn many_stretches_keep_their_times() {
    const N: u32 = 5000;
    let mut memory = vec![0; 512 * 1024];
    let pool = &mut Pool::borrowed(&mut memory, 4096);
    let mut board = board(pool, N);
    for i in (1..N).step_by(2) {
        let mut sent = None;
        let block = range(100 * i, 100 * i + 100);
        board.edit(pool, |r| r.sack(block, 100, |_, record| sent = Some(record.sent)));
        assert_eq!(sent, Some(XmitTime::of(at(u64::from(i) + 1))));
    }
    assert_eq!(board.sacked(), N / 2 * 100);
    for (i, (range, record)) in all(&mut board, pool).iter().enumerate() {
        assert_eq!((range.len(), record.vague), (100, false));
        assert_eq!(record.sent, XmitTime::of(at(i as u64 + 1)));
        assert_eq!(record.status == SegmentStatus::Sacked, i % 2 == 1);
    }
    board.edit(pool, |r| {
        r.advance(BASE + 100 * (N - 1), |_, record| assert_eq!(record.status, SegmentStatus::Sent))
    });
    board.check(BASE + 100 * (N - 1), BASE + 100 * N);
    assert_eq!((board.sacked(), board.lost()), (100, 0));
    board.clear(pool, BASE + 100 * N);
    assert_eq!(pool.in_use(), 0);
}

/// H274: without memory neighbours share a record, of which nobody knows when it was sent: it gives no sample.
#[test]
fn what_shares_a_record_gives_no_sample() {
    let pool = &mut Pool::borrowed(&mut [], 256);
    let mut board = board(pool, 100);
    for i in 1..list::FEW as u32 {
        assert_eq!(board.advance(pool, BASE + 100 * i), Some(XmitTime::of(at(i.into()))));
    }
    assert_eq!(board.advance(pool, BASE + 5000), None);
    assert_eq!(board.advance(pool, BASE + 10_000), None);
    board.check(BASE + 10_000, BASE + 10_000);
}

/// What one byte went through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Byte {
    status: SegmentStatus,
    sent: XmitTime,
    again: bool,
}

/// A scoreboard beside one that has a record for each byte.
struct Twins<'p, 'm> {
    board: Scoreboard,
    pool: &'p mut Pool<'m>,
    bytes: std::collections::VecDeque<Byte>,
    una: Seq,
    /// There is always memory.
    is_exact: bool,
}

impl Twins<'_, '_> {
    fn push(&mut self, len: u32, now: Instant) {
        let byte = Byte { status: SegmentStatus::Sent, sent: XmitTime::of(now), again: false };
        self.bytes.extend((0..len).map(|_| byte));
        self.board.push(self.pool, self.una + self.bytes.len() as u32, now, false);
    }

    fn span(&self, start: u32, len: u32) -> (Range, core::ops::Range<usize>) {
        let end = (start + len).min(self.bytes.len() as u32);
        let start = start.min(end);
        (Range { start: self.una + start, end: self.una + end }, start as usize..end as usize)
    }

    fn sack(&mut self, start: u32, len: u32) {
        let (range, bytes) = self.span(start, len);
        let before = self.bytes.iter().filter(|b| b.status == SegmentStatus::Sacked).count() as u32;
        let mut told = 0;
        self.board.edit(self.pool, |r| r.sack(range, 1, |range, _| told += range.len()));
        self.bytes.range_mut(bytes).for_each(|b| b.status = SegmentStatus::Sacked);
        let after = self.bytes.iter().filter(|b| b.status == SegmentStatus::Sacked).count() as u32;
        assert!(!self.is_exact || told == after - before);
    }

    fn lose(&mut self, start: u32, len: u32) {
        let (range, bytes) = self.span(start, len);
        self.board.edit(self.pool, |r| r.lose(range));
        let sent = self.bytes.range_mut(bytes).filter(|b| b.status == SegmentStatus::Sent);
        sent.for_each(|b| b.status = SegmentStatus::Lost);
    }

    fn resend(&mut self, most: u32, now: Instant) {
        let Some(next) = self.board.next_lost() else { return };
        let (start, len) = (next.start.since(self.una), next.len().min(most));
        let (range, bytes) = self.span(start, len);
        self.board.edit(self.pool, |r| r.resend(range, now));
        for byte in self.bytes.range_mut(bytes).filter(|b| b.status != SegmentStatus::Sacked) {
            *byte = Byte { status: SegmentStatus::Sent, sent: XmitTime::of(now), again: true };
        }
    }

    fn time_out(&mut self, before: XmitTime) {
        let is_old = |sent: XmitTime| sent.before(before);
        self.board.edit(self.pool, |r| {
            r.each(|_, r| {
                if r.status == SegmentStatus::Sent && is_old(r.sent) {
                    r.status = SegmentStatus::Lost;
                }
            });
        });
        let old = self.bytes.iter_mut().filter(|b| b.status == SegmentStatus::Sent && is_old(b.sent));
        old.for_each(|b| b.status = SegmentStatus::Lost);
    }

    fn advance(&mut self, len: u32) {
        let len = len.min(self.bytes.len() as u32);
        let una = self.una + len;
        if self.board.is_plain() {
            self.board.advance(self.pool, una);
        } else {
            self.board.edit(self.pool, |r| r.advance(una, |_, _| {}));
        }
        self.una = una;
        self.bytes.drain(..len as usize);
    }

    fn check(&mut self) {
        self.board.check(self.una, self.una + self.bytes.len() as u32);
        let mut at = self.una;
        for (range, record) in all(&mut self.board, self.pool) {
            assert_eq!(range.start, at, "a gap");
            at = range.end;
            let from = range.start.since(self.una) as usize;
            for byte in self.bytes.range_mut(from..from + range.len() as usize) {
                let told = Byte { status: record.status, sent: record.sent, again: record.again };
                if self.is_exact {
                    assert!(!record.vague);
                    assert!(
                        told == *byte
                            || (told.status, byte.status) == (SegmentStatus::Sacked, SegmentStatus::Sacked)
                    );
                }
                // Ignored is less than known, and lost is what may have been sent again.
                assert!(
                    told.status != SegmentStatus::Sacked || byte.status == SegmentStatus::Sacked,
                    "never arrived"
                );
                *byte = told;
            }
        }
        let lost =
            self.bytes.iter().position(|b| b.status == SegmentStatus::Lost).map(|at| self.una + at as u32);
        assert_eq!(self.board.next_lost().map(|next| next.start), lost);
        for (status, count) in
            [(SegmentStatus::Sacked, self.board.sacked()), (SegmentStatus::Lost, self.board.lost())]
        {
            assert_eq!(
                self.bytes.iter().filter(|b| b.status == status).count(),
                count as usize,
                "{status:?}"
            );
        }
    }
}

/// T05, H274: whatever is sent, heard of, lost, sent again and acknowledged, each byte has its own story; without
/// memory it may be a simpler one, in which nothing has arrived that did not.
#[test]
fn beside_one_with_a_record_for_each_byte() {
    for seed in 0..24u64 {
        let is_exact = seed % 3 > 0;
        let mut memory = vec![0; if is_exact { 64 * 1024 } else { 0 }];
        let pool = &mut Pool::borrowed(&mut memory, 64 << (seed % 4 * 2));
        let (board, una) = (Scoreboard::new(BASE), BASE);
        let mut twins = Twins { board, pool, bytes: Default::default(), una, is_exact };
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut any = |below: u32| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 20) as u32 % below
        };
        for step in 0..600u64 {
            let (now, flight) = (at(1000 + step / 2), twins.bytes.len() as u32 + 1);
            match any(12) {
                0..4 => twins.push(1 + any(40), now),
                4..7 => twins.sack(any(flight), 1 + any(30)),
                7 => twins.lose(any(flight), 1 + any(20)),
                8 | 9 => twins.resend(1 + any(30), now),
                10 => twins.advance(any(flight.min(60))),
                _ if any(4) == 0 => twins.time_out(XmitTime::of(now - Duration::from_millis(any(60).into()))),
                _ => twins.advance(any(20)),
            }
            twins.check();
        }
        twins.advance(u32::MAX);
        assert!(twins.board.is_plain());
        assert_eq!(twins.pool.in_use(), 0);
    }
}

/// Stamps compare around their wrap.
#[test]
fn stamps_wrap() {
    let (a, b) = (XmitTime(0xffff_fff0), XmitTime(0x10));
    assert!(a.before(b) && !b.before(a));
    assert_eq!((b.since(a), a.since(b)), (0x20, 0));
}
