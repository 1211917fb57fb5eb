use super::*;

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

fn fates(board: &Scoreboard, pool: &Pool<'_>) -> Vec<(u32, Fate)> {
    board.load(pool).iter().map(|(range, r)| (range.end.since(BASE), r.fate)).collect()
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
    assert_eq!(board.few.len(), 1);
    assert!(board.is_plain());
    assert_eq!(board.advance(BASE + 100), Some(Stamp::of(at(7))));
    assert_eq!(board.advance(BASE + 250), None, "one sample was enough");
    assert_eq!(board.advance(BASE + 300), Some(Stamp::of(at(7))));
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
        board.edit(pool, |r| r.sack(block, |range, _| told.push((range.start.since(BASE), range.len()))));
    };
    sack(&mut board, pool, range(50, 250));
    sack(&mut board, pool, range(40, 260));
    assert_eq!(told, [(50, 50), (100, 100), (200, 50), (40, 10), (250, 10)]);
    assert_eq!(fates(&board, pool), [(40, Fate::Sent), (260, Fate::Sacked), (300, Fate::Sent)]);
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

/// H062: however many holes there are, the records are bounded; and with next to
/// no memory they are few. What is forgotten is that something arrived, never that it did not.
#[test]
fn many_holes() {
    for memory in [64 * 1024, 0] {
        let mut memory = vec![0; memory];
        let pool = &mut Pool::borrowed(&mut memory, 256);
        let mut board = board(pool, 1);
        board.push(pool, BASE + 10_000, at(5), false);
        for i in 0..500 {
            board.edit(pool, |r| r.sack(range(20 * i + 5, 20 * i + 15), |_, _| {}));
            board.check(BASE, BASE + 10_000);
        }
        let records = board.load(pool);
        assert!(records.list.len() <= if pool.in_use() > 0 { MOST } else { FEW });
        for (range, record) in records.iter().filter(|(_, r)| r.fate == Fate::Sacked) {
            assert!(range.len() <= 10 && range.start.since(BASE) % 20 == 5, "{range:?} {record:?}");
        }
        assert!(board.sacked() > 0 || pool.in_use() == 0);
        board.edit(pool, |r| r.advance(BASE + 9_990, |_, _| {}));
        board.check(BASE + 9_990, BASE + 10_000);
        board.clear(pool, BASE + 10_000);
        assert_eq!(pool.in_use(), 0);
    }
}

/// H062: where one record is too many, one stretch is forgotten, the shortest that arrived.
#[test]
fn one_is_forgotten() {
    let pool = &mut Pool::borrowed(&mut [], 256);
    let mut board = board(pool, 1);
    for block in [range(20, 35), range(50, 60), range(70, 90)] {
        board.edit(pool, |r| r.sack(block, |_, _| {}));
    }
    let (sent, sacked) = (Fate::Sent, Fate::Sacked);
    assert_eq!(fates(&board, pool), [(20, sent), (35, sacked), (70, sent), (90, sacked), (100, sent)]);
    assert_eq!(board.sacked(), 35);
}

/// More stretches are in flight than there are records: each record stands for a few of them, and still
/// knows when they were sent, so an acknowledgment is no sample of a time that no path has.
#[test]
fn many_stretches_keep_their_times() {
    const N: u32 = 1000;
    let mut memory = vec![0; 64 * 1024];
    let pool = &mut Pool::borrowed(&mut memory, 256);
    let mut board = board(pool, N);
    let records = board.load(pool);
    assert!((MOST / 4..=MOST).contains(&records.list.len()));
    for (range, record) in records.iter() {
        let last_ms = range.end.since(BASE) / 100;
        assert_eq!(record.sent, Stamp::of(at(last_ms.into())));
        assert!(range.len() <= 100 * N / (MOST as u32 / 4), "{range:?}");
    }
    board.clear(pool, BASE + 100 * N);
}

/// Stamps compare around their wrap.
#[test]
fn stamps_wrap() {
    let (a, b) = (Stamp(0xffff_fff0), Stamp(0x10));
    assert!(a.before(b) && !b.before(a));
    assert_eq!((b.since(a), a.since(b)), (0x20, 0));
}
