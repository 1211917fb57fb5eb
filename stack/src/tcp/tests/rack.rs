//! SACK at the sender: what goes out again, and when (RFC 6675, RFC 8985), and what is taken back.

use super::undo::{echoing, send};
use super::*;
use crate::seq::Range;
use crate::tcp::segment::Sack;
use crate::tcp::{RecoveryPhase, TcpInfo};

/// Where segment `n` starts.
pub(super) const fn nth(n: u32) -> u32 {
    1 + n * MSS
}

/// An established connection with SACK and `n` full segments in flight, sent 100 ms after the handshake
/// took as long.
pub(super) fn in_flight(n: u32) -> Bench {
    let mut b = Bench::listening(quiet(), 4);
    b.get(syn().sack_permitted());
    b.out();
    b.now += Duration::from_millis(100);
    b.get(ack(1, 1));
    b.accept();
    b.write(&pattern((n * MSS) as usize)).unwrap();
    assert_eq!(b.out().len(), n as usize);
    b
}

/// An acknowledgment with blocks, in segments.
pub(super) fn sacked<'a>(b: &Bench, upto: u32, blocks: &[(u32, u32)]) -> In<'a> {
    let mut sack = Sack::default();
    for (start, end) in blocks {
        sack.push(Range { start: b.iss + nth(*start), end: b.iss + nth(*end) });
    }
    let mut segment = ack(1, nth(upto));
    segment.options.sack = sack;
    segment
}

pub(super) fn info(b: &Bench) -> TcpInfo {
    b.tcp.connection(b.key.unwrap()).unwrap().tcb.info(b.now, &quiet())
}

/// The segments that went out, by number.
pub(super) fn numbers(out: &[Out]) -> Vec<u32> {
    out.iter().map(|o| (o.seq - 1) / MSS).collect()
}

/// H044, T05: only the holes are sent again, and what is on its way is estimated from the blocks.
//= rfc6675#4
//= rfc8985#6.2
#[test]
fn only_the_holes() {
    let mut b = in_flight(10);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(7, 10), (3, 6), (1, 2)]));
    assert_eq!((info(&b).sacked, info(&b).lost, info(&b).in_flight), (7 * MSS, 3 * MSS, 0));
    assert_eq!(info(&b).recovery, RecoveryPhase::Fast);
    assert_eq!(numbers(&b.out()), [0, 2, 6]);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 10, &[]));
    assert_eq!((info(&b).recovery, info(&b).in_flight), (RecoveryPhase::Open, 0));
    assert_eq!(b.advance(60_000), []);
}

/// T05: a retransmission that is lost is sent again when something that was sent later arrives.
//= rfc8985#6.2
#[test]
fn a_lost_retransmission() {
    let mut b = in_flight(10);
    b.write(&pattern(10 * MSS as usize)).unwrap();
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 10)]));
    let out = b.out();
    assert_eq!((numbers(&out)[0], out.len() > 1), (0, true));
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 11)]));
    assert_eq!(numbers(&b.out())[0], 0, "without a timeout");
}

/// T05: so it is with timestamps: what comes back with blocks is of what arrived in order, and says nothing of
/// when the payload in the blocks was sent.
//= rfc8985#6.2
#[test]
fn a_lost_retransmission_with_timestamps() {
    let mut b = Bench::server_with(quiet(), syn().sack_permitted().ts(5, 0));
    b.write(&pattern(10 * 1448)).unwrap();
    let out = b.out();
    let (value, starts) =
        (out[0].options.timestamps.unwrap().value, out.iter().map(|o| o.seq).collect::<Vec<_>>());
    let sacked = |b: &Bench, blocks: &[(usize, usize)]| {
        let mut segment = ack(1, 1).ts(6, value);
        for (start, end) in blocks {
            let (start, end) = (b.iss + starts[*start], b.iss + starts[*end] + 1448);
            segment.options.sack.push(Range { start, end });
        }
        segment
    };
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, &[(1, 4), (6, 9)]));
    assert_eq!(brief(&b.out()), [(starts[0], 1448, 1), (starts[5], 1448, 1)]);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, &[(1, 9)]));
    assert_eq!(brief(&b.out()), [(starts[0], 1448, 1)], "without a timeout");
}

/// T05: without congestion control what is overdue goes again after SRTT + 4·RTTVAR, and only the seventh time
/// the timer begins to back off.
#[test]
fn what_is_overdue_without_congestion_control() {
    let mut b = Bench::listening(TcpConfig { congestion: crate::tcp::Congestion::None, ..quiet() }, 4);
    b.get(syn().sack_permitted());
    b.out();
    b.now += Duration::from_millis(40);
    b.get(ack(1, 1));
    b.accept();
    b.write(&pattern(10 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 10);
    b.now += Duration::from_millis(40);
    b.get(sacked(&b, 0, &[(1, 10)]));
    assert_eq!(numbers(&b.out()), [0]);
    let times: Vec<u64> = b.advance(10_000).iter().map(|(ms, _)| *ms).collect();
    let waits: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!((times[0], &waits[..8]), (100, &[100, 100, 100, 100, 100, 200, 400, 800][..]));
}

/// H053: the timer counts from what was sent at SND.UNA: holes beyond it that go again later don't put it off.
//= rfc6298#5.1
#[test]
fn later_holes_do_not_put_off_the_timer() {
    let next_timeout = |gap: u64| {
        let mut b = in_flight(10);
        b.now += Duration::from_millis(100);
        b.get(sacked(&b, 0, &[(1, 5), (6, 10)]));
        let index = b.tcp.next_ready(b.interface).unwrap();
        let plan = b.tcp.plan(index, MSS, b.now, &b.pool).unwrap();
        assert_eq!(plan.seq, b.iss + 1);
        b.tcp.on_sent(index, &plan, b.now, &mut b.pool);
        b.tcp.queue_if_ready(index);
        b.now += Duration::from_millis(gap);
        assert_eq!(numbers(&b.out()), [5]);
        let again = b.advance(1_000);
        assert_eq!(again[0].1.seq, 1);
        gap + again[0].0
    };
    let at = next_timeout(0);
    assert!(at >= 200);
    assert_eq!(next_timeout(80), at);
}

/// B11: what arrives within a quarter of the round trip was reordered, and nothing is sent again.
//= rfc8985#6.2
#[test]
fn reordering_is_no_loss() {
    let mut b = in_flight(4);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 2)]));
    assert_eq!(b.advance(24), []);
    b.get(sacked(&b, 4, &[]));
    assert_eq!(b.advance(60_000), []);
    assert!(info(&b).reordering);
}

/// H055: on a path that delays one segment of each flight by more than that, DSACKs teach patience: after a few
/// flights nothing is sent for nothing, and the window has grown.
//= rfc8985#6.2
#[test]
fn reordering_is_learnt() {
    let mut b = in_flight(8);
    let (mut at, mut for_nothing) = (0, vec![]);
    for _ in 0..12 {
        b.now += Duration::from_millis(100);
        b.get(sacked(&b, at, &[(at + 1, at + 8)]));
        let early = b.out().len() + b.advance(60).len();
        let dsack = [(at, at + 1)];
        b.get(sacked(&b, at + 8, &dsack[..usize::from(early > 0)]));
        for_nothing.push(early);
        at += 8;
        b.write(&pattern((8 * MSS) as usize)).unwrap();
        assert_eq!(b.out().len(), 8, "the window suffices");
    }
    let learnt = for_nothing.iter().position(|n| *n == 0).unwrap_or_else(|| panic!("{for_nothing:?}"));
    assert!(learnt <= 4 && for_nothing[learnt..].iter().all(|n| *n == 0), "{for_nothing:?}");
}

/// H055: so it is with timestamps, which take each recovery back before the DSACK comes.
//= rfc8985#6.2
#[test]
fn reordering_is_learnt_beside_timestamps() {
    for places in [2, 8, 9] {
        let mut b = Bench::listening(TcpConfig { initial_window: 12, ..quiet() }, 4);
        b.get(syn().sack_permitted().ts(5, 0));
        let mut echo = b.out()[0].options.timestamps.unwrap().value;
        b.now += Duration::from_millis(100);
        b.get(echoing(&b, echo, 0, &[]));
        b.accept();
        let (mut at, mut for_nothing) = (0, vec![]);
        for _ in 0..12 {
            let end = at + places + 1;
            let sent = send(&mut b, places as usize + 1);
            b.now += Duration::from_millis(100);
            b.get(echoing(&b, echo, at, &[(at + 1, end)]));
            let again: Vec<Out> =
                b.out().into_iter().chain(b.advance(60).into_iter().map(|(_, o)| o)).collect();
            b.get(echoing(&b, sent, end, &[]));
            echo = sent;
            b.now += Duration::from_millis(40);
            if let Some(again) = again.first() {
                echo = again.options.timestamps.unwrap().value;
                b.get(echoing(&b, echo, end, &[(at, at + 1)]));
            }
            for_nothing.push(again.len());
            at = end;
        }
        let learnt = for_nothing.iter().position(|n| *n == 0).unwrap_or_else(|| panic!("{for_nothing:?}"));
        assert!(learnt <= 4 && for_nothing[learnt..].iter().all(|n| *n == 0), "{places}: {for_nothing:?}");
    }
}

/// With patience at its end, the clock finds the loss.
//= rfc8985#6.2 step 5
#[test]
fn the_reordering_timer() {
    let mut b = in_flight(4);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 2)]));
    let out = b.advance(30);
    assert_eq!((out.len(), out[0].0, out[0].1.seq), (1, 25, 1));
}

/// T05, B11: the last segment is probed after two round trips, before the timer fires, where more is to come.
//= rfc8985#7.3
#[cfg(feature = "offload")]
#[test]
fn the_last_segment_is_probed() {
    let mut b = in_flight(2);
    b.get(ack(1, 1).win(3 * MSS as u16));
    b.write(&pattern(2 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 1, "the peer's window is full");
    let out = b.advance(210);
    assert_eq!((out.len(), out[0].0, out[0].1.kind, out[0].1.seq), (1, 200, PlanKind::TailProbe, nth(2)));
    let cwnd = info(&b).cwnd;
    b.now += Duration::from_millis(90);
    b.get(sacked(&b, 0, &[(2, 3)]));
    assert_eq!(numbers(&b.out())[..1], [0], "what else is lost");
    assert!(info(&b).cwnd < cwnd);
}

/// T05: a short tail of which nothing is heard goes again whole, once; then the timer has its turn. The
/// window is reduced when what follows shows that it was needed.
//= rfc8985#7.4.2
#[cfg(feature = "offload")]
#[test]
fn a_short_tail_goes_again_whole() {
    let mut b = in_flight(5);
    let cwnd = info(&b).cwnd;
    let out = b.advance(210);
    assert_eq!(out[0].0, 200);
    assert_eq!(out.iter().map(|(_, o)| o.len()).sum::<u32>(), 5 * MSS);
    assert_eq!(b.advance(180), []);
    b.get(sacked(&b, 5, &[]));
    assert_eq!((info(&b).recovery, info(&b).cwnd >= cwnd), (RecoveryPhase::Open, true));
    b.write(&pattern(MSS as usize)).unwrap();
    b.out();
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 6, &[]));
    assert!(info(&b).cwnd < cwnd);
}

/// T05: the round trip before an acknowledgment counts: what was sent together with what it tells of is
/// probed after one more, not two.
//= rfc8985#7.2
#[test]
fn the_age_of_a_tail_counts() {
    let mut b = in_flight(5);
    b.now += Duration::from_millis(110);
    b.get(sacked(&b, 3, &[]));
    let out = b.advance(120);
    assert_eq!((out[0].0, out[0].1.seq), (102, nth(3)), "a smoothed round trip after it was heard");
}

/// H049: an acknowledgment of a duplicate tells late of what had arrived: it is no sample.
//= rfc2883#4
#[test]
fn what_answers_a_duplicate_is_no_sample() {
    let mut b = in_flight(1);
    let again = b.advance(5_000);
    assert!(again.len() > 2);
    let srtt = info(&b).rtt;
    b.get(sacked(&b, 1, &[(0, 1)]));
    assert_eq!((info(&b).rtt, info(&b).in_flight), (srtt, 0));
}

/// H049: what was sent once and arrived before the timeout is no sample, when it is told of together with
/// what was sent again.
//= rfc9293#3.8.1 MUST-18
#[test]
fn late_news_is_no_sample() {
    let mut b = in_flight(4);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(3, 4)]));
    b.advance(5_000);
    let srtt = info(&b).rtt;
    b.get(sacked(&b, 1, &[(2, 4)]));
    assert_eq!(info(&b).rtt, srtt);
}

/// H256: the peer holds back the acknowledgment of a single segment by 150 ms, longer than this path's round trip.
/// Nothing goes out twice, the first time or later; nor when the delay becomes 40 ms, and 150 ms once again.
//= rfc8985#7.2
#[test]
fn a_peer_that_delays_is_not_probed() {
    let mut b = in_flight(1);
    for (at, held) in (1..).zip([150, 150, 150, 40, 40, 150]) {
        assert_eq!(b.advance(100 + held), [], "{at}");
        b.get(sacked(&b, at, &[]));
        b.write(&pattern(MSS as usize)).unwrap();
        assert_eq!(b.out().len(), 1);
    }
    // In the end it is lost.
    let again = b.advance(1_000);
    assert!(!again.is_empty());
}

/// H259: a FIN is no data: behind ten segments that are lost it keeps none of them from going again when all is silent.
//= rfc8985#7.3
#[cfg(feature = "offload")]
#[test]
fn a_fin_is_no_part_of_the_tail() {
    let mut b = in_flight(10);
    b.shutdown();
    assert_eq!(b.out().len(), 1);
    let again: Vec<Out> = b.advance(250).into_iter().map(|(_, out)| out).collect();
    assert_eq!(again.iter().map(|out| out.payload.len()).sum::<usize>(), (10 * MSS) as usize);
}

/// Blocks of what was never sent, the wrong way round, or empty say nothing (F11).
#[test]
fn blocks_that_make_no_sense() {
    let mut b = in_flight(4);
    for blocks in [[(3, 9), (20, 30)], [(3, 1), (2, 2)], [(0x1_0000, 2), (4, 5)]] {
        b.get(sacked(&b, 0, &blocks));
        assert_eq!((info(&b).sacked, info(&b).lost), (0, 0), "{blocks:?}");
    }
    assert_eq!(b.out(), []);
}

/// A peer that gave up what it had acknowledged selectively gets it again.
//= rfc2018#8
#[test]
fn a_peer_that_reneges() {
    let mut b = in_flight(4);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 4)]));
    assert_eq!(numbers(&b.out()), [0]);
    b.get(sacked(&b, 1, &[]));
    let again = b.advance(3_000);
    assert_eq!(again[0].1.seq, nth(1));
}

/// H049: what is taken as lost and was not sent again yet, because no device took it, gives no sample when it arrives
/// late after all.
#[test]
fn what_was_taken_as_lost_is_no_sample() {
    let mut b = in_flight(10);
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 10)]));
    let rtt = info(&b).rtt;
    assert_eq!((info(&b).lost, rtt), (MSS, Some(Duration::from_millis(100))));
    b.now += Duration::from_millis(500);
    b.get(sacked(&b, 10, &[]));
    assert_eq!((info(&b).lost, info(&b).rtt), (0, rtt));
}

/// H260: times from before nothing was in flight are forgotten: after half an hour they would look later than what is
/// sent then, and all of it lost as soon as a part arrives.
#[test]
fn times_before_a_rest_are_forgotten() {
    let mut b = in_flight(3);
    b.get(data(1, 1, b"unread, so it is not parked"));
    b.now += Duration::from_millis(100);
    b.get(In { seq: 28, ..sacked(&b, 3, &[]) });
    b.advance(100);
    b.now += Duration::from_secs(40 * 60);
    b.write(&pattern(5 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 5);
    b.now += Duration::from_millis(100);
    b.get(In { seq: 28, ..sacked(&b, 3, &[(4, 5)]) });
    assert_eq!((info(&b).lost, b.out()), (0, vec![]));
    let again: Vec<Out> = b.advance(30).into_iter().map(|(_, o)| o).collect();
    assert_eq!((numbers(&again), info(&b).recovery), (vec![3], RecoveryPhase::Fast));
    assert_eq!(info(&b).lost, 0, "what was sent after the part that arrived");
}

/// H055: three stretches behind a gap, or more than two full segments, mean a loss at once; less waits for a quarter of
/// the round trip.
//= rfc6675#4: IsLost
#[test]
fn what_is_behind_a_gap_means_a_loss() {
    for (blocks, lost) in [(&[(1, 3)][..], 0), (&[(1, 4)], 1), (&[(1, 2), (3, 4)], 0)] {
        let mut b = in_flight(10);
        b.now += Duration::from_millis(100);
        b.get(sacked(&b, 0, blocks));
        assert_eq!(info(&b).lost, lost * MSS, "{blocks:?}");
    }
    // Short ones, which were sent one after the other.
    for (stretches, lost) in [(2, 0), (3, 300)] {
        let mut b = Bench::listening(quiet(), 4);
        b.get(syn().sack_permitted());
        b.out();
        b.now += Duration::from_millis(100);
        b.get(ack(1, 1));
        b.accept();
        b.configure(|o| o.nodelay = true);
        for _ in 0..8 {
            b.write(&pattern(100)).unwrap();
            assert_eq!(b.out().len(), 1);
        }
        b.now += Duration::from_millis(100);
        let mut segment = ack(1, 1);
        for n in 0..stretches {
            let start = b.iss + 101 + 200 * n;
            segment.options.sack.push(Range { start, end: start + 100 });
        }
        b.get(segment);
        assert_eq!(info(&b).lost, lost, "{stretches}");
    }
}
