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
