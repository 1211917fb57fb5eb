use super::*;

/// H005, T04, B09: data without an answer is repeated for R2, and then it is `TimedOut`.
//= rfc9293#3.8.3 MUST-20, SHLD-11
#[test]
fn data_without_an_answer_times_out() {
    let mut b = Bench::server();
    b.write(b"hello").unwrap();
    b.out();
    let again = b.advance(179_000);
    assert!(again.len() > 8 && again.iter().all(|(_, o)| (o.seq, o.len()) == (1, 5)));
    let gaps: Vec<u64> = again.windows(2).map(|w| w[1].0 - w[0].0).collect();
    assert!(gaps.iter().all(|g| *g <= 60_000) && gaps.windows(2).all(|g| g[0] <= g[1]), "{gaps:?}");
    assert_eq!(b.state(), State::Established);
    b.advance(120_000);
    assert_eq!(b.read(1), Err(Error::TimedOut));
    assert_eq!(b.write(b"x"), Err(Error::TimedOut));
    assert_eq!(b.pool.in_use(), 0);
}

/// H026: a window that closes over payload in flight turns retransmission into probing, and some timer
/// always runs. MUST-34, MUST-35.
//= rfc9293#3.8.6 MUST-34, MUST-35
#[test]
fn a_window_that_shrinks() {
    let mut b = Bench::server();
    b.write(&pattern(4 * MSS as usize)).unwrap();
    b.out();
    b.get(ack(1, 1 + MSS).win(0));
    let mut probes = 0;
    for _ in 0..40 {
        for (_, o) in b.advance(20_000) {
            assert!(o.len() <= 1 && o.seq == 1 + MSS, "{o:?}");
            probes += 1;
            b.get(ack(1, 1 + MSS).win(0));
        }
        assert!(b.tcp.deadline().is_some());
    }
    assert!(probes > 10);
    assert_eq!(b.state(), State::Established, "SHLD-17: answered, so it stays");
    b.get(ack(1, 1 + MSS).win(65_000));
    let out = b.out();
    assert_eq!(out[0].seq, 1 + MSS);
    b.get(ack(1, 1 + 4 * MSS));
    assert_eq!(b.advance(100_000), []);
}

/// H028, B08: probes go on for ever while they are answered, a minute apart at most; without answers the
/// connection ends. MUST-36, MUST-37.
//= rfc9293#3.8.6.1 MUST-36, MUST-37, SHLD-29, SHLD-30
#[test]
fn a_window_closed_for_hours() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.write(b"patience").unwrap();
    assert_eq!(b.out(), []);
    let (mut last, mut longest) = (b.now, Duration::ZERO);
    for _ in 0..4 * 3_600 {
        for (_, o) in b.advance(1_000) {
            assert_eq!((o.seq, o.len()), (1, 1));
            longest = longest.max(b.now.since(last));
            last = b.now;
            b.get(ack(1, 1).win(0));
        }
    }
    assert!(longest.millis() > 50_000 && longest.millis() <= 61_000, "{longest:?}");
    assert_eq!(b.state(), State::Established);
    b.advance(300_000);
    assert_eq!(b.write(b"x"), Err(Error::TimedOut));
}

/// A window that stays small, below a segment and below half of what it was, is used as it is after
/// the override timeout, each time; only a closed one is probed at intervals that double.
//= rfc9293#3.8.6.2.1
#[test]
fn a_small_window_is_used_after_a_while() {
    let mut b = Bench::server();
    b.write(&pattern(4 * MSS as usize)).unwrap();
    b.out();
    let start = 1 + 4 * MSS;
    b.get(ack(1, start).win(500));
    b.write(&pattern(4_000)).unwrap();
    assert_eq!(b.out(), []);
    for n in 0..8 {
        let out = b.advance(250);
        assert_eq!(out.len(), 1, "{out:?}");
        assert_eq!((out[0].1.seq, out[0].1.len()), (start + n * 500, 500));
        b.get(ack(1, start + (n + 1) * 500).win(500));
    }
}

/// F14: an application that is gone does not wait for a window that never opens (sockstress).
#[test]
fn an_orphan_at_a_closed_window_ends() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.write(b"never").unwrap();
    b.close();
    for _ in 0..2_000 {
        for (_, o) in b.advance(1_000) {
            assert!(o.len() == 1);
            b.get(ack(1, 1).win(0));
        }
    }
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// H019: so does an orphan whose peer is gone, with data and FIN unanswered, or in LAST-ACK.
#[test]
fn an_orphan_without_a_peer_ends() {
    let mut b = Bench::server();
    b.write(b"hello?").unwrap();
    b.close();
    b.out();
    b.advance(300_000);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
    let mut b = Bench::server();
    b.get(fin(1, 1));
    b.close();
    assert_eq!(b.out().len(), 1);
    b.advance(300_000);
    assert_eq!(b.tcp.len(), 0);
}

/// H019: while others wait for memory, an orphan that holds some and gets nowhere ends within
/// seconds, and its peer is told. One without data, and one whose peer answers, stays.
#[test]
fn an_orphan_gives_memory_up_that_others_want() {
    for (queued, wanted) in [(true, true), (true, false), (false, true)] {
        let mut b = Bench::server();
        if queued {
            b.write(b"hello?").unwrap();
        }
        b.close();
        let mut hog = crate::base::pool::Chain::new();
        let most = b.pool.available() - if wanted { 0 } else { b.pool.capacity() / 2 };
        assert!(hog.reserve(&mut b.pool, most, crate::base::pool::Need::Control));
        b.out();
        b.advance(10_000);
        let gone = queued && wanted;
        assert_eq!((b.tcp.len() == 0, b.replies.len() == 1), (gone, gone));
        assert!(!gone || matches!(b.replies[0], Reply::Reset(_)));
    }
}

/// H027: when everything is acknowledged, no timer runs.
#[test]
fn nothing_in_flight_needs_no_timer() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.write(b"data").unwrap();
    b.advance(700);
    b.get(ack(1, 1).win(100));
    b.out();
    b.get(ack(1, 5).win(0));
    assert_eq!(b.advance(1_000_000), []);
    assert_eq!(b.state(), State::Established);
}

/// A probe that fills what is left of a small window: the sender's override of silly-window
/// avoidance.
//= rfc9293#3.8.6.2.1
#[test]
fn a_small_window_is_used_in_the_end() {
    let mut b = Bench::server_with(quiet(), syn().win(10_000));
    b.write(&pattern(1_000)).unwrap();
    b.out();
    b.get(ack(1, 1_001).win(50));
    b.write(&pattern(1_000)).unwrap();
    assert_eq!(b.out(), []);
    let out = b.advance(250);
    assert_eq!(out.iter().map(|(ms, o)| (*ms, o.seq, o.len())).collect::<Vec<_>>(), [(200, 1_001, 50)]);
    assert_eq!(b.get(ack(1, 1_051).win(10_000)), None);
    assert_eq!(brief(&b.out()), [(1_051, 950, 1)]);
}

/// H199: timeouts that are set to nothing, or to more than fits, are a millisecond or the ceiling: they
/// neither fire for ever at one instant nor at once.
#[test]
fn timeouts_of_nothing_do_not_hang() {
    let none = TcpConfig {
        rto_initial: Duration::ZERO,
        rto_min: Duration::ZERO,
        rto_max: Duration::ZERO,
        ..quiet()
    };
    let mut b = Bench::server_with(none, syn().win(0));
    b.write(b"x").unwrap();
    let probes = b.advance(100).len();
    assert!((90..=101).contains(&probes), "{probes}");
    let huge = TcpConfig { rto_initial: Duration::from_micros(1 << 63), ..quiet() };
    let mut b = Bench::connecting(huge);
    assert_eq!((b.out().len(), b.advance(59_000).len(), b.advance(2_000).len()), (1, 0, 1));
}
