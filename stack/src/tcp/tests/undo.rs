//! Undo: reductions that were spurious, by timestamps (Eifel), DSACK and F-RTO, and what is no evidence of that.

use super::rack::{in_flight, info, numbers, sacked};
use super::*;
use crate::seq::Range;
use crate::tcp::RecoveryPhase;

/// H054: a timeout that timestamps show to have been for nothing is undone.
//= rfc3522#3.2
#[test]
fn a_spurious_timeout_by_timestamps() {
    let mut b = Bench::server_with(quiet(), syn().ts(5, 0));
    b.write(&pattern(10 * 1448)).unwrap();
    let sent = b.out()[0].options.timestamps.unwrap().value;
    let cwnd = info(&b).cwnd;
    assert_eq!(b.advance(250).len(), 1);
    assert!(info(&b).cwnd < cwnd);
    b.get(ack(1, 1 + 1448).ts(6, sent));
    assert_eq!(info(&b).recovery, RecoveryPhase::Open);
    assert!(info(&b).cwnd >= cwnd);
    assert_eq!(b.out(), [], "nothing more is sent again");
}

/// A connection with SACK and timestamps, where nothing limits what is in flight.
pub(super) fn with_timestamps() -> Bench {
    let config = TcpConfig { congestion: crate::tcp::Congestion::None, ..quiet() };
    Bench::server_with(config, syn().sack_permitted().ts(5, 0))
}

/// Writes so many segments of 1,448 bytes; our timestamp in what goes out.
pub(super) fn send(b: &mut Bench, segments: usize) -> u32 {
    b.write(&pattern(segments * 1448)).unwrap();
    b.out()[0].options.timestamps.unwrap().value
}

/// An acknowledgment of what was sent at `echo`, up to a segment, and with blocks.
pub(super) fn echoing<'a>(b: &Bench, echo: u32, upto: u32, blocks: &[(u32, u32)]) -> In<'a> {
    let mut segment = ack(1, 1 + 1448 * upto).ts(6, echo);
    for (start, end) in blocks {
        let [start, end] = [start, end].map(|n| b.iss + 1 + 1448 * n);
        segment.options.sack.push(Range { start, end });
    }
    segment
}

/// H054: acknowledgments were lost, and the next says that what went again came twice. The first of them had come
/// in time, so its timestamp says nothing: recovery goes on, and nothing looks reordered.
//= rfc3522#3.2 step 6
#[test]
fn a_timestamp_of_what_came_twice_undoes_nothing() {
    for (dsack, phase) in [(true, RecoveryPhase::Fast), (false, RecoveryPhase::Open)] {
        let mut b = with_timestamps();
        let sent = send(&mut b, 10);
        b.now += Duration::from_millis(100);
        b.get(echoing(&b, sent, 0, &[(5, 9)]));
        assert_eq!(b.out().len(), 5, "what was overtaken goes again");
        let blocks = [(0, 1), (5, 9)];
        b.get(echoing(&b, sent, 2, &blocks[usize::from(!dsack)..]));
        assert_eq!(info(&b).recovery, phase);
        assert!(!info(&b).reordering);
    }
}

/// H054: nor does an acknowledgment of what lies before all that this recovery sent again. That had gone again
/// in the recovery before.
//= rfc3522#3.2 step 5
#[test]
fn a_timestamp_of_what_lies_before_undoes_nothing() {
    let mut b = with_timestamps();
    let sent = send(&mut b, 4);
    b.now += Duration::from_millis(100);
    b.get(echoing(&b, sent, 0, &[(1, 4)]));
    assert_eq!(brief(&b.out()), [(1, 1448, 1)]);
    let next = send(&mut b, 4);
    b.now += Duration::from_millis(10);
    send(&mut b, 4);
    b.now += Duration::from_millis(90);
    b.get(echoing(&b, sent, 0, &[(5, 8), (1, 4)]));
    let again = b.out();
    assert_eq!(brief(&again), [(1, 1448, 1), (1 + 4 * 1448, 1448, 1)]);
    b.get(echoing(&b, next, 4, &[(5, 8)]));
    assert_eq!(info(&b).recovery, RecoveryPhase::Open);
    b.now += Duration::from_millis(10);
    b.get(echoing(&b, next, 4, &[(9, 12), (5, 8)]));
    assert_eq!(brief(&b.out()), [(1 + 8 * 1448, 1448, 1)]);
    b.now += Duration::from_millis(90);
    b.get(echoing(&b, again[1].options.timestamps.unwrap().value, 8, &[(9, 12)]));
    assert_eq!(info(&b).recovery, RecoveryPhase::Fast);
}

/// H055: a timeout for nothing shows no reordering: acknowledgments were lost, or late.
//= rfc8985#6.2
#[test]
fn a_spurious_timeout_is_no_reordering() {
    let mut b = in_flight(1);
    let again = b.advance(2_000);
    b.get(sacked(&b, 1, &[]));
    assert!(!again.is_empty());
    for _ in again {
        b.get(sacked(&b, 1, &[(0, 1)]));
    }
    assert_eq!(b.count(TcpCount::Undone), 1);
    assert_eq!((info(&b).recovery, info(&b).reordering), (RecoveryPhase::Open, false));
}

/// H054: but one that was not stays.
#[test]
fn a_timeout_that_was_no_mistake() {
    let mut b = Bench::server_with(quiet(), syn().ts(5, 0));
    b.write(&pattern(10 * 1448)).unwrap();
    b.out();
    let again = b.advance(250);
    let value = again[0].1.options.timestamps.unwrap().value;
    b.get(ack(1, 1 + 1448).ts(6, value));
    assert_eq!(info(&b).recovery, RecoveryPhase::Loss);
    assert_eq!(b.out().len(), 2, "slow start");
}

/// H054: a fast recovery all of whose retransmissions came twice is undone.
//= rfc3708#3
#[test]
fn a_spurious_recovery_by_dsack() {
    let mut b = in_flight(10);
    let cwnd = info(&b).cwnd;
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, 0, &[(1, 5)]));
    assert_eq!(numbers(&b.out())[0], 0);
    assert!(info(&b).ssthresh < cwnd);
    b.get(sacked(&b, 5, &[(0, 1)]));
    assert_eq!(info(&b).recovery, RecoveryPhase::Open);
    assert!(info(&b).cwnd >= cwnd);
}

/// H276: the network doubles what was sent once. That proves nothing of what was sent again, nor does it what
/// comes after it.
//= rfc3708#3
#[test]
fn duplicates_of_the_network_undo_nothing() {
    for doubled in [(5, 6), (1, 3)] {
        let mut b = in_flight(10);
        b.now += Duration::from_millis(100);
        b.get(sacked(&b, 0, &[(1, 5)]));
        assert_eq!(numbers(&b.out())[0], 0);
        let ssthresh = info(&b).ssthresh;
        b.get(sacked(&b, 0, &[doubled, (1, 7)]));
        b.get(sacked(&b, 7, &[(0, 1)]));
        assert_eq!(info(&b).ssthresh, ssthresh, "{doubled:?}");
    }
}

/// H276: nor do they make RACK more patient: a loss is found as early as before.
//= rfc8985#6.2 step 4
#[test]
fn duplicates_of_the_network_teach_no_patience() {
    let mut b = in_flight(8);
    let mut at = 0;
    for _ in 0..5 {
        b.now += Duration::from_millis(100);
        b.get(sacked(&b, at + 8, &[(at, at + 1)]));
        at += 8;
        b.write(&pattern((8 * MSS) as usize)).unwrap();
        b.out();
    }
    b.now += Duration::from_millis(100);
    b.get(sacked(&b, at, &[(at + 1, at + 3)]));
    assert_eq!(numbers(&b.advance(26).into_iter().map(|(_, o)| o).collect::<Vec<_>>()), [at]);
}

/// H054: without timestamps, two acknowledgments of what was sent once show that nothing was lost.
//= rfc5682#3.1
#[test]
fn a_spurious_timeout_by_frto() {
    let mut b = in_flight(6);
    b.write(&pattern(10 * MSS as usize)).unwrap();
    b.out();
    let cwnd = info(&b).cwnd;
    let again = b.advance(700);
    assert!(again.iter().any(|(_, o)| o.kind == PlanKind::Retransmit), "{:?}", again.len());
    assert!(info(&b).cwnd < cwnd);
    b.get(sacked(&b, 1, &[]));
    let next = b.out();
    b.get(sacked(&b, 2, &[]));
    assert_eq!(info(&b).recovery, RecoveryPhase::Open, "{:?}", numbers(&next));
    assert!(info(&b).cwnd >= cwnd);
}
