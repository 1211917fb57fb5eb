//! Keep-alive and user timeouts.

use super::*;
use crate::tcp::KeepAlive;

fn asks(idle_s: u64, interval_s: u64, probes: u8) -> Option<KeepAlive> {
    let (idle, interval) = (Duration::from_secs(idle_s), Duration::from_secs(interval_s));
    Some(KeepAlive { idle, interval, probes })
}

/// When, in seconds from now, and with which number and length something is sent.
fn sent(b: &mut Bench, seconds: u64) -> Vec<(u64, u32, u32)> {
    b.advance(seconds * 1000).iter().map(|(ms, o)| (ms / 1000, o.seq, o.len())).collect()
}

/// T12: off by default; on, it asks after two hours, without payload, nine times, 75 s apart, and then the
/// peer is given up and told.
//= rfc9293#3.8.4 MAY-5, MUST-24, MUST-25, MUST-27, MUST-28, SHLD-12
#[test]
fn a_silent_peer_is_asked() {
    let mut b = Bench::server();
    assert_eq!(b.advance(100_000_000), []);
    assert_eq!(b.tcp.deadline(), None);
    b.configure(|o| o.keep_alive = Some(KeepAlive::default()));
    // It was silent for longer already.
    assert_eq!(b.advance(0).len(), 1);
    b.get(ack(1, 1));
    let all = sent(&mut b, 7200 + 8 * 75);
    assert_eq!(all.len(), 9);
    assert!(all.iter().enumerate().all(|(n, o)| *o == (7200 + 75 * n as u64, 0, 0)), "{all:?}");
    assert_eq!((b.state(), b.count(TcpCount::KeepAlives)), (State::Established, 10));
    assert_eq!(sent(&mut b, 76), []);
    assert_eq!(b.read(1), Err(Error::TimedOut));
    assert!(matches!(b.replies[..], [Reply::Reset(Reset { ack: Some(_), .. })]));
    assert_eq!(b.tcp.deadline(), None);
}

/// T12: one answer is enough, whichever it answers; then the time starts anew.
//= rfc9293#3.8.4 MUST-29
#[test]
fn a_lost_answer_says_nothing() {
    let mut b = Bench::server();
    b.configure(|o| o.keep_alive = asks(60, 10, 3));
    for _ in 0..5 {
        assert_eq!(sent(&mut b, 80), [(60, 0, 0), (70, 0, 0), (80, 0, 0)]);
        b.get(ack(1, 1));
    }
    // The same where questions are farther apart than the first from the last sign.
    b.configure(|o| o.keep_alive = asks(10, 60, 2));
    assert_eq!(sent(&mut b, 10), [(10, 0, 0)]);
    b.get(ack(1, 1));
    assert_eq!(sent(&mut b, 60), [(60, 0, 0)]);
    assert_eq!(b.info().state, State::Established);
    assert_eq!(sent(&mut b, 119), [(60, 0, 0)]);
    assert_eq!(sent(&mut b, 2), []);
    assert_eq!(b.state(), State::Closed);
}

/// T12, H027: what is under way is a question by itself, and so is a window probe; afterwards the peer
/// is asked again. Any sign of it counts.
//= rfc9293#3.8.4 MUST-26
#[test]
fn nobody_is_asked_while_something_is_under_way() {
    let mut b = Bench::server();
    b.configure(|o| o.keep_alive = asks(60, 10, 3));
    b.write(b"hello").unwrap();
    b.out();
    assert!(b.advance(90_000).iter().all(|(_, o)| o.kind != PlanKind::KeepAlive));
    b.get(ack(1, 6).win(0));
    b.write(b"x").unwrap();
    for _ in 0..100 {
        for (_, o) in b.advance(2_000) {
            assert_eq!(o.kind, PlanKind::Probe);
            b.get(ack(1, 6).win(0));
        }
    }
    b.get(ack(1, 6));
    assert_eq!(b.out().len(), 1);
    b.get(ack(1, 7));
    let again = b.advance(125_000);
    assert!(again.iter().all(|(ms, o)| *ms > 50_000 && o.kind == PlanKind::KeepAlive) && !again.is_empty());
    b.get(data(1, 7, b"here"));
    assert_eq!(b.advance(59_000).iter().filter(|(_, o)| o.kind == PlanKind::KeepAlive).count(), 0);
}

/// T12, H030: a peer's question is answered every time, on or off.
#[test]
fn questions_are_answered() {
    let mut b = Bench::server();
    for _ in 0..5 {
        b.get(ack(0, 1));
        assert_eq!(brief(&b.out()), [(1, 0, 1)]);
    }
}

/// T12: a half-closed peer that is gone is noticed too, and so is one that never says anything after
/// the handshake.
#[test]
fn peers_that_vanish_while_we_only_read() {
    let mut b = Bench::server();
    b.configure(|o| o.keep_alive = asks(60, 10, 3));
    b.shutdown();
    assert_eq!(b.out().len(), 1);
    b.get(ack(1, 2));
    assert_eq!(b.state(), State::FinWait2);
    assert_eq!(b.advance(89_000).len(), 3);
    b.advance(2_000);
    assert_eq!(b.read(1), Err(Error::TimedOut));
}

/// T12, B09: the user's timeout ends a connection whose data is not acknowledged, to the millisecond,
/// and none before.
//= rfc9293#3.8.3 MUST-21
//= rfc9293#3.9.1.1
#[test]
fn user_timeout() {
    for answered in [true, false] {
        let mut b = Bench::server();
        b.configure(|o| o.user_timeout = Some(Duration::from_secs(5)));
        b.write(b"hello").unwrap();
        b.out();
        b.advance(4_999);
        assert_eq!(b.state(), State::Established);
        if answered {
            b.get(ack(1, 6));
        }
        b.advance(2);
        assert_eq!(b.state(), if answered { State::Established } else { State::Closed });
        assert_eq!(b.read(1), Err(if answered { Error::WouldBlock } else { Error::TimedOut }));
    }
}

/// T12, B08: it ends probing too, and a peer that does not answer keep-alives.
#[test]
fn user_timeout_of_probes() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.configure(|o| o.user_timeout = Some(Duration::from_secs(9)));
    b.write(b"hello").unwrap();
    b.out();
    for _ in 0..10 {
        b.advance(5_000);
        b.get(ack(1, 1).win(0));
    }
    assert_eq!(b.state(), State::Established, "answered");
    b.advance(9_001);
    assert_eq!(b.write(b"x"), Err(Error::TimedOut));

    let mut b = Bench::server();
    b.configure(|o| (o.keep_alive, o.user_timeout) = (asks(60, 10, 3), Some(Duration::from_secs(120))));
    assert_eq!(sent(&mut b, 119).len(), 6, "more than it has probes");
    b.advance(1_001);
    assert_eq!(b.state(), State::Closed);
}

/// T12, H005: a SYN is repeated for the user's timeout, or as often as the user says.
//= rfc9293#3.8.3 MUST-22
#[test]
fn user_timeout_of_a_syn() {
    let with = |options| {
        let mut b = Bench::new(quiet());
        let (tuple, interface) = (b.tuple, b.interface);
        b.key = Some(b.tcp.connect(tuple, interface, MTU, Some(&options), b.now, &mut b.pool).unwrap());
        assert_eq!(b.out().len(), 1);
        b
    };
    let options = TcpOptions { user_timeout: Some(Duration::from_secs(10)), ..TcpOptions::default() };
    let mut b = with(options);
    assert_eq!(sent(&mut b, 9).iter().map(|s| s.0).collect::<Vec<_>>(), [1, 3, 7]);
    assert_eq!(b.connected(), Err(Error::WouldBlock));
    b.advance(1_001);
    assert_eq!(b.connected(), Err(Error::TimedOut));

    let options = TcpOptions { syn_retries: Some(2), ..TcpOptions::default() };
    let mut b = with(options);
    assert_eq!(sent(&mut b, 100).iter().map(|s| s.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(b.connected(), Err(Error::TimedOut));
    assert_eq!((b.count(TcpCount::FailedOpens), b.count(TcpCount::HandshakeTimeouts)), (1, 2));
}
