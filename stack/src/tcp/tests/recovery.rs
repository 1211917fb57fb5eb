use super::*;
use crate::tcp::Congestion;

fn sent(out: &[(u64, Out)]) -> Vec<(u64, u32, u32)> {
    out.iter().map(|(ms, o)| (*ms, o.seq, o.len())).collect()
}

/// An established connection with `n` full segments in flight.
fn in_flight(n: u32) -> Bench {
    let mut b = Bench::server();
    b.write(&pattern((n * MSS) as usize)).unwrap();
    assert_eq!(b.out().len(), n as usize);
    b
}

/// Where segment `n` starts.
const fn nth(n: u32) -> u32 {
    1 + n * MSS
}

/// H041: what carries no payload carries the highest number ever sent, also after a timeout.
//= rfc9293#3.10.7.4
#[test]
fn acknowledgments_carry_the_highest_number() {
    let mut b = in_flight(4);
    let again = b.advance(300);
    assert_eq!(sent(&again), [(200, 1, MSS)]);
    b.get(data(1, 1, &pattern(3_000)));
    assert!(b.out().iter().any(|o| o.kind == PlanKind::Ack && o.seq == nth(4)));
    b.get(data(3_001, 1, b"unread"));
    let reset = b.tcp.abort(b.key.unwrap(), b.now, &mut b.pool).unwrap().reset;
    assert_eq!(reset.seq, b.iss + nth(4));
}

/// But what a window probe carried was not taken, and an acknowledgment behind it would lie outside
/// the closed window.
#[test]
fn acknowledgments_beside_a_probe() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.write(b"waits").unwrap();
    assert_eq!(b.advance(300).len(), 1);
    b.get(data(1, 1, &pattern(3_000)).win(0));
    let out = b.out();
    assert!(out[0].kind == PlanKind::Ack && out[0].seq == 1, "{out:?}");
}

/// H042: the first two duplicates send new payload.
//= rfc3042#2
#[test]
fn limited_transmit() {
    let mut b = Bench::server();
    b.write(&pattern(40 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 10, "H045: the initial window");
    b.get(ack(1, 1));
    assert_eq!(brief(&b.out()), [(nth(10), MSS, 1)]);
    b.get(ack(1, 1));
    assert_eq!(brief(&b.out()), [(nth(11), MSS, 1)]);
    b.get(ack(1, 1));
    assert_eq!(b.out()[0].seq, 1, "the third retransmits");
}

/// H043: each partial acknowledgment sends the next hole again, without a timeout.
//= rfc6582#3.2
#[test]
fn two_holes_in_one_window() {
    let mut b = in_flight(10);
    for _ in 0..3 {
        b.get(ack(1, 1));
    }
    assert_eq!(brief(&b.out()), [(1, MSS, 1)]);
    b.get(ack(1, nth(4)));
    assert_eq!(brief(&b.out()), [(nth(4), MSS, 1)]);
    b.get(ack(1, nth(10)));
    assert_eq!(b.out(), []);
    assert_eq!(b.advance(60_000), []);
}

/// H052: duplicates that come in one batch all count.
//= rfc5681#3.2
#[test]
fn each_duplicate_inflates_the_window() {
    let mut b = Bench::server_with(TcpConfig { congestion: Congestion::NewReno, ..quiet() }, syn());
    b.write(&pattern(40 * MSS as usize)).unwrap();
    b.out();
    for _ in 0..9 {
        b.get(ack(1, 1));
    }
    // ssthresh 5 + 3 + 6 further: 14 segments, 10 of them in flight.
    let out = b.out();
    assert_eq!((out[0].seq, out.len()), (1, 5), "{:?}", brief(&out));
    assert_eq!(out[1].seq, nth(10));
}

/// T05: new payload counts as sent in recovery. Of eighteen segments seventeen arrive, one after the other:
/// what goes out for them is spread over all of them.
//= rfc9937#6
#[cfg(feature = "sack")]
#[test]
fn new_text_is_part_of_what_recovery_measures_out() {
    let mut b = Bench::server_with(TcpConfig { congestion: Congestion::NewReno, ..quiet() }, syn());
    b.write(&pattern(80 * MSS as usize)).unwrap();
    b.out();
    b.get(ack(1, nth(10)));
    assert_eq!(b.out().len(), 18);
    let mut sent = vec![];
    for _ in 0..17 {
        b.get(ack(1, nth(10)));
        sent.push(b.out().len());
    }
    // Limited transmit, the lost segment, and then one for two: the window was eighteen, whatever was in flight.
    assert_eq!(sent, [1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1]);
}

/// What is sent again is what was sent: a retransmission takes no new payload along.
#[test]
fn a_retransmission_is_no_longer_than_what_was_sent() {
    let mut b = Bench::server();
    b.configure(|o| o.nodelay = true);
    for _ in 0..4 {
        b.write(b"ten bytes.").unwrap();
        b.out();
    }
    b.get(ack(1, 1).win(40));
    b.write(&pattern(3_000)).unwrap();
    assert_eq!(b.out(), [], "the window is full");
    for _ in 0..3 {
        b.get(ack(1, 1).win(40));
    }
    let out = b.out();
    assert_eq!(brief(&out), [(1, 40, 1)]);
    assert_eq!(b.get(ack(1, 41)), None);
}

/// RFC 6582 §4: after a recovery or a timeout, duplicates for what was sent before start no other.
#[test]
fn duplicates_after_a_timeout() {
    let mut b = in_flight(10);
    assert_eq!(b.advance(250).len(), 1);
    for _ in 0..6 {
        b.get(ack(1, 1));
    }
    assert_eq!(b.out(), []);
    b.get(ack(1, nth(1)));
    let out = b.out();
    assert_eq!(brief(&out), [(nth(1), MSS, 1), (nth(2), MSS, 1)], "slow start goes on");
}

/// H053: a timeout leaves one segment, the rest follows by slow start.
//= rfc5681#3.1
#[test]
fn one_segment_after_a_timeout() {
    let mut b = in_flight(10);
    assert_eq!(sent(&b.advance(1_300)), [(200, 1, MSS), (600, 1, MSS)], "and the time doubles");
    b.get(ack(1, nth(1)));
    assert_eq!(brief(&b.out()), [(nth(1), MSS, 1), (nth(2), MSS, 1)]);
    b.get(ack(1, nth(3)));
    assert_eq!(b.out().len(), 4);
    b.get(ack(1, nth(10)));
    assert_eq!(b.advance(60_000), []);
}

/// A lone small segment is sent again at its first timeout: Nagle's rule does not hold it back.
#[test]
fn a_small_segment_is_sent_again_in_time() {
    let mut b = Bench::server();
    b.write(b"small").unwrap();
    b.out();
    let again = b.advance(1_500);
    assert_eq!(sent(&again), [(200, 1, 5), (600, 1, 5), (1_400, 1, 5)]);
    assert!(again.iter().all(|(_, o)| o.kind == PlanKind::Retransmit));
}

/// H049: after a timeout the RTO falls back as soon as payload is acknowledged that was sent once.
//= rfc6298#5
#[test]
fn the_timeout_falls_back() {
    let mut b = in_flight(4);
    b.advance(5_000);
    b.get(ack(1, nth(1)));
    b.out();
    b.get(ack(1, nth(4)));
    b.write(b"x").unwrap();
    b.out();
    b.get(ack(1, nth(4) + 1));
    b.write(b"y").unwrap();
    b.out();
    assert_eq!(b.advance(1_000)[0].0, 200);
}

/// H049: nor need there be new payload: while one segment after the other is acknowledged that was sent
/// again, each further loss costs one timeout, not a minute.
#[test]
fn repeated_losses_after_a_timeout() {
    let mut b = in_flight(10);
    let mut at = 0;
    for _ in 0..4 {
        let again = b.advance(1_300);
        assert_eq!(again[0].0, 200, "{at}");
        b.get(ack(1, nth(at + 1)));
        assert_eq!(b.out().len(), 2);
        b.get(ack(1, nth(at + 2)));
        b.out();
        at += 2;
    }
}

/// MUST-18, Karn: an acknowledgment of what was sent twice is no sample, and does not end the back-off.
//= rfc9293#3.8.1 MUST-18
#[test]
fn what_was_sent_twice_is_no_sample() {
    let mut b = in_flight(1);
    b.advance(250);
    b.now += Duration::from_millis(300);
    b.get(ack(1, nth(1)));
    b.write(b"x").unwrap();
    b.out();
    assert_eq!(b.advance(1_000)[0].0, 400, "550 ms would have been believed");
}

/// H050, H051: after a lost SYN, one segment at first, 3 s for it, and slow start without end.
//= rfc6298#5.7
#[test]
fn after_a_lost_syn() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    b.out();
    b.advance(1_100);
    b.get(ack(1, 1));
    b.accept();
    b.write(&pattern(60 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 1);
    assert_eq!(b.advance(3_100)[0].0, 3_000);

    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    b.out();
    b.advance(1_100);
    b.get(ack(1, 1));
    b.accept();
    b.write(&pattern(60 * MSS as usize)).unwrap();
    b.out();
    for (acked, then) in [(1, 2), (3, 4), (7, 8), (15, 16)] {
        b.get(ack(1, nth(acked)));
        assert_eq!(b.out().len(), then);
    }
}

/// H048: after an idle time the window is what it was at first.
//= rfc5681#4.1
#[test]
fn idle_time_shrinks_the_window() {
    let mut b = in_flight(10);
    for n in 1..=10 {
        b.get(ack(1, nth(n)));
    }
    b.write(&pattern(20 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 20);
    b.get(ack(1, nth(30)));
    b.advance(5_000);
    b.write(&pattern(40 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 10);
}

/// The plan may be many segments long, and what the device takes of it counts (decide, then
/// commit).
#[test]
fn a_plan_is_cut_at_segments() {
    let mut b = Bench::server();
    b.write(&pattern(5 * MSS as usize + 100)).unwrap();
    let out = b.out_at_most(2 * MSS + 700);
    assert_eq!(out.iter().map(|o| o.len()).collect::<Vec<_>>(), [MSS, MSS, MSS, MSS, MSS, 100]);
}

/// H041, the other way round: payload that we have, sent again with an acknowledgment that is new. Else
/// two ends that both repeat themselves would never hear each other.
#[test]
fn an_acknowledgment_in_text_that_we_have() {
    let mut b = in_flight(2);
    b.get(data(1, 1, b"known"));
    b.out();
    b.get(data(1, nth(1), b"known"));
    assert_eq!(sent(&b.advance(250)), [(0, nth(2), 0), (200, nth(1), MSS)]);
    b.get(In { seq: 6u32.wrapping_sub(300_000), ..ack(0, nth(2)) });
    assert_eq!(b.advance(1_000).len(), 2, "too far back to be true");
}

/// H041: payload that filled what was left of a small window counts as sent: the peer may have it.
#[test]
fn acknowledgments_beside_a_small_window() {
    let mut b = Bench::server_with(quiet(), syn().win(10_000));
    b.write(&pattern(1_000)).unwrap();
    b.out();
    b.get(ack(1, 1_001).win(50));
    b.write(&pattern(1_000)).unwrap();
    assert_eq!(b.advance(250).len(), 1);
    b.get(data(1, 1_001, &pattern(3_000)).win(50));
    assert_eq!(b.out()[0].seq, 1_051);
}

/// T05: the FIN of a tail goes again with the payload before it, whole: what the probe brings, the peer can
/// tell of.
//= rfc8985#7.3
#[cfg(feature = "sack")]
#[test]
fn a_probe_of_a_fin_takes_text_along() {
    let mut b = Bench::server_with(quiet(), syn().sack_permitted());
    b.get(ack(1, 1));
    b.advance(100);
    b.write(&pattern(3 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 3);
    b.shutdown();
    assert_eq!(b.out()[0].seq, nth(3));
    let again = b.advance(250);
    let probe = &again[0].1;
    assert_eq!((probe.seq, probe.payload.len()), (nth(2), MSS as usize));
    assert!(probe.flags.has(Flags::FIN));

    // A tail that is shorter goes whole.
    let mut b = Bench::server_with(quiet(), syn().sack_permitted());
    b.get(ack(1, 1));
    b.advance(100);
    b.write(b"short").unwrap();
    b.shutdown();
    assert_eq!(b.out().len(), 1);
    let probe = &b.advance(250)[0].1;
    assert_eq!((probe.kind, probe.seq, &probe.payload[..]), (PlanKind::TailProbe, 1, &b"short"[..]));
    assert!(probe.flags.has(Flags::FIN));
}

/// Without SACK, ten segments of which the first goes again `timeouts` times, until one acknowledgment of
/// them all comes that echoes `echo`; then ten more, the first of which is lost. How many duplicates it
/// takes to send that again, and SRTT.
fn duplicates_after_timeouts(
    timestamps: bool,
    timeouts: usize,
    echo: impl Fn(&[u32]) -> u32,
) -> (usize, u64) {
    let options = |s: In<'static>, clock: u64, echo| {
        if timestamps { s.ts(100_000 + clock as u32, echo) } else { s }
    };
    let config = TcpConfig {
        #[cfg(feature = "path-probing")]
        path_probing: crate::tcp::PathProbing::Off,
        ..quiet()
    };
    let mut b = Bench::server_with(config, options(syn(), 0, 0));
    let clock_of = |o: &Out| o.options.timestamps.map_or(0, |t| t.value);
    let mss = if timestamps { MSS - 12 } else { MSS };
    b.advance(1_000);
    b.write(&pattern(10 * mss as usize)).unwrap();
    let mut clocks = vec![clock_of(&b.out()[0])];
    while clocks.len() <= timeouts {
        clocks.extend(b.advance(100).iter().map(|(_, o)| clock_of(o)));
    }
    b.advance(20);
    let end = 1 + 10 * mss;
    b.get(options(ack(1, end), 20_000, echo(&clocks)));
    b.write(&pattern(10 * mss as usize)).unwrap();
    b.out();
    let mut duplicates = 0;
    let srtt = b.info().rtt.map_or(0, |rtt| rtt.millis());
    loop {
        duplicates += 1;
        b.get(options(ack(1, end), 20_100, echo(&clocks)));
        if b.out().iter().any(|o| o.seq == end) {
            return (duplicates, srtt);
        }
        assert!(duplicates < 100, "never");
    }
}

/// H260: RFC 6582 has a sender ignore duplicates up to "recover", for what was sent again needlessly makes some.
/// But no more than it was; and none if the last acknowledgment answered what was sent last. A late answer to
/// the first of several transmissions is no sample of the round trip (H049).
//= rfc6582#4.2
#[cfg(feature = "sack")]
#[test]
fn duplicates_of_needless_retransmissions() {
    for timeouts in [1, 3, 6] {
        let first = |clocks: &[u32]| clocks[0];
        let last = |clocks: &[u32]| *clocks.last().unwrap();
        assert_eq!(duplicates_after_timeouts(false, timeouts, first).0, 3 + timeouts);
        assert_eq!(duplicates_after_timeouts(true, timeouts, first).0, 3 + timeouts);
        let (duplicates, srtt) = duplicates_after_timeouts(true, timeouts, last);
        assert!(duplicates == 3 && srtt < 200, "{duplicates} {srtt}");
        assert_eq!(duplicates_after_timeouts(true, timeouts, first).1, 0, "no sample");
    }
}

/// RFC 8985 §6.3: with SACK a timeout gives up what was sent a round trip ago or more, and the first in any case;
/// without, all.
//= rfc8985#6.3
#[cfg(feature = "sack")]
#[test]
fn what_a_timeout_gives_up() {
    let lost = |syn: In<'_>| {
        let mut b = Bench::listening(TcpConfig { tail_probes: false, ..quiet() }, 4);
        b.get(syn);
        b.out();
        b.now += Duration::from_millis(100);
        b.get(ack(1, 1));
        b.accept();
        b.write(&pattern(4 * MSS as usize)).unwrap();
        b.out();
        b.now += Duration::from_millis(100);
        b.get(ack(1, nth(1)));
        assert_eq!(b.advance(180), []);
        b.write(&pattern(3 * MSS as usize)).unwrap();
        assert_eq!(b.out().len(), 3);
        let again = b.advance(100);
        assert_eq!((again.len(), again[0].1.seq), (1, nth(1)));
        b.info().lost / MSS
    };
    assert_eq!(lost(syn().sack_permitted()), 2);
    assert_eq!(lost(syn()), 5);
}

/// H053: what slow start made of the window after a timeout stays when all that was lost has arrived.
#[test]
fn the_window_after_a_timeout_stays() {
    let mut b = in_flight(10);
    b.advance(250);
    assert_eq!(b.info().recovery, crate::tcp::RecoveryPhase::Loss);
    for n in 1..=10 {
        b.get(ack(1, nth(n)));
        b.out();
    }
    assert_eq!(b.info().recovery, crate::tcp::RecoveryPhase::Open);
    assert!(b.info().cwnd >= b.info().ssthresh, "{:?}", b.info());
}

/// H054: without SACK and timestamps too, two acknowledgments of what was sent once show that the timeout was for
/// nothing; a duplicate, or one of what went again, does not.
//= rfc5682#2.1
#[cfg(feature = "sack")]
#[test]
fn a_spurious_timeout_without_sack() {
    let timed_out = || {
        let mut b = Bench::server();
        b.write(&pattern(20 * MSS as usize)).unwrap();
        assert_eq!(b.out().len(), 10);
        let cwnd = b.info().cwnd;
        assert_eq!(sent(&b.advance(250)), [(200, 1, MSS)]);
        (b, cwnd)
    };
    let (mut b, cwnd) = timed_out();
    b.get(ack(1, nth(1)));
    assert_eq!(b.out().iter().map(|o| o.seq).collect::<Vec<_>>(), [nth(10), nth(11)], "new payload shows it");
    b.get(ack(1, nth(2)));
    assert_eq!(b.info().recovery, crate::tcp::RecoveryPhase::Open);
    assert!(b.info().cwnd >= cwnd);

    let (mut b, cwnd) = timed_out();
    b.get(ack(1, nth(1)));
    b.out();
    b.get(ack(1, nth(1)));
    assert_eq!(b.info().recovery, crate::tcp::RecoveryPhase::Loss);
    assert!(b.info().cwnd < cwnd);

    let (mut b, cwnd) = timed_out();
    b.get(ack(1, 1));
    b.out();
    b.get(ack(1, nth(2)));
    assert_eq!(b.info().recovery, crate::tcp::RecoveryPhase::Loss, "the duplicate came first");
    assert!(b.info().cwnd < cwnd);
}

/// MUST-18, Karn: the first acknowledgment after timeouts may be of any transmission, and leaves the back-off, also
/// after a duplicate; the next one ends it.
//= rfc9293#3.8.1 MUST-18
#[test]
fn the_back_off_outlives_one_acknowledgment() {
    for duplicates in [0, 1] {
        let mut b = in_flight(4);
        b.advance(700);
        for n in 0..duplicates + 1 {
            assert_eq!(b.info().back_offs, 2);
            b.get(ack(1, if n < duplicates { 1 } else { nth(1) }));
        }
        assert_eq!(b.info().back_offs, 2);
        b.out();
        b.get(ack(1, nth(2)));
        assert_eq!(b.info().back_offs, 0);
    }
}
