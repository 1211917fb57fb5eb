//! What a build without a part of TCP makes of a peer that has it.

use super::*;

/// T15: without the feature `ecn` nobody who asks for marks is promised any.
#[cfg(not(feature = "ecn"))]
#[test]
fn a_syn_that_asks_for_ecn_without_it() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(segment(Flags::SYN | Flags::ace(0b111), 0, 0));
    let answer = &b.out()[0];
    assert_eq!((answer.flags, answer.mark), (Flags::SYN | Flags::ACK, EcnCodepoint::NotEct));
}

/// T13: without the feature `syn-cookies` a SYN that finds the queue full is as good as lost.
#[cfg(not(feature = "syn-cookies"))]
#[test]
fn a_full_syn_queue_without_cookies() {
    let mut b = Bench::listening(quiet(), 1);
    (b.tuple.remote_port, b.iss) = (1, Seq(0));
    assert_eq!(b.get(syn()), None);
    (b.tuple.remote_port, b.iss) = (2, Seq(0));
    assert_eq!((b.get(syn()), b.replies.len()), (Some(Refused::SynQueueFull), 0));
}

/// T02: without the feature `sack` nobody is offered selective acknowledgments, or told any, and those of the peer say
/// nothing: of four segments the first is lost, the third duplicate repairs it, and what lies behind does not go again.
#[cfg(not(feature = "sack"))]
#[test]
fn a_syn_that_permits_sack_without_it() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn().sack_permitted());
    assert!(!b.out()[0].options.sack_permitted);
    b.get(ack(1, 1));
    b.get(data(100, 1, b"beyond"));
    assert!(b.out()[0].options.sack.blocks().is_empty());
    b.accept();
    b.write(&pattern(4 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 4);
    let mut again = vec![];
    for _ in 0..3 {
        b.get(ack(1, 1));
        again.extend(b.out().iter().map(|out| (out.seq, out.len())));
    }
    assert_eq!(again, [(1, MSS)]);
    b.get(ack(1, 1 + 4 * MSS));
    assert_eq!((b.out().len(), b.info().sack), (0, false));
}

/// Without the feature `offload` no plan is longer than a segment.
#[cfg(not(feature = "offload"))]
#[test]
fn a_write_of_many_segments_without_offload() {
    let mut b = Bench::server();
    b.write(&pattern(3 * MSS as usize)).unwrap();
    let index = b.tcp.next_ready(b.interface).unwrap();
    let plan = b.tcp.plan(index, u32::MAX, b.now, &b.pool).unwrap();
    assert_eq!((plan.len, u32::from(plan.mss)), (MSS, MSS));
}
