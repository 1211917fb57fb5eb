//! TIME-WAIT: what it answers, what ends it, and who may come again meanwhile.

use super::*;

fn wait(b: &mut Bench) {
    b.shutdown();
    b.out();
    b.get(ack(1, 2));
    b.get(fin(1, 2));
    let last = Reply::Ack { seq: b.iss + 2, ack: PEER_ISS + 2, window: 0, timestamps: None };
    assert_eq!(std::mem::take(&mut b.replies), [last], "the FIN is acknowledged at once");
    b.close();
    assert_eq!((b.tcp.len(), b.tcp.time_waits()), (0, 1));
}

/// MUST-13: TIME-WAIT lasts 2 MSL, a repeated FIN is acknowledged and starts it anew, a reset does
/// not end it (RFC 1337).
//= rfc9293#3.6.1 MUST-13
#[test]
fn time_wait() {
    let mut b = Bench::server();
    wait(&mut b);
    b.get(rst(2));
    b.get(ack(2, 2));
    assert_eq!(b.replies, []);
    b.advance(30_000);
    b.get(fin(1, 2));
    assert_eq!(b.replies, [Reply::Ack { seq: b.iss + 2, ack: PEER_ISS + 2, window: 0, timestamps: None }]);
    b.advance(59_000);
    assert_eq!(b.tcp.time_waits(), 1);
    b.advance(1_100);
    assert_eq!(b.tcp.time_waits(), 0);
}

/// H017, T01: a new connection takes the place of one in TIME-WAIT only if it can't be an old duplicate:
/// a later timestamp or, without timestamps, a later number.
//= rfc6191#2
//= rfc9293#3.6.1 SHLD-4, MAY-2
#[test]
fn a_new_connection_in_time_wait() {
    let reuses_with =
        |config, first: In<'static>, end: fn(In<'static>) -> In<'static>, again: In<'static>| {
            let mut b = Bench::server_with(config, first);
            b.shutdown();
            b.out();
            b.get(end(ack(1, 2)));
            b.get(end(fin(1, 2)));
            b.out();
            b.close();
            assert_eq!(b.tcp.time_waits(), 1);
            b.get(again);
            b.out().iter().any(|o| o.flags.has(Flags::SYN))
        };
    let reuses = |first, end, again| reuses_with(quiet(), first, end, again);
    let plain = |s: In<'static>| s;
    let stamped = |s: In<'static>| s.ts(100, 0);
    let at = |seq: u32| In { seq, ..syn() };
    assert!(reuses(syn(), plain, at(3)), "a later number");
    assert!(reuses_with(without_cookies(), syn(), plain, at(3)), "there is room without cookies");
    assert!(!reuses(syn(), plain, In { flags: Flags::SYN | Flags::FIN, ..at(3) }), "no ordinary open");
    assert!(!reuses(syn(), plain, at(1)), "an old number");
    assert!(reuses(syn().ts(90, 0), stamped, at(1).ts(101, 0)), "a later time");
    assert!(!reuses(syn().ts(90, 0), stamped, at(1).ts(100, 0)), "the same time, an old number");
    assert!(reuses(syn().ts(90, 0), stamped, at(3).ts(100, 0)), "the same time, a later number");
    assert!(!reuses(syn().ts(90, 0), stamped, at(3).ts(99, 0)), "an older time");
}

/// H017: a SYN that nobody would accept does not end the wait, however new it is: anybody could
/// have sent it, and the peer may still need the acknowledgment of its FIN.
#[test]
fn a_forged_syn_in_time_wait() {
    let mut b = Bench::client();
    wait(&mut b);
    b.get(In { seq: 1_000_000, ..syn() });
    assert_eq!((b.tcp.time_waits(), b.replies.len()), (1, 1));
    assert!(matches!(b.replies[0], Reply::Ack { .. }));
}

/// H247: RFC 9293 §3.10.7.4: what lies outside, has no acknowledgment or one of what was never sent, and a SYN that is not
/// new: nothing but the FIN at RCV.NXT - 1 starts the wait anew, or one forged frame a minute would hold the
/// record for ever.
#[test]
fn only_the_last_fin_restarts_time_wait() {
    let strays = [
        data(1_000_000_000, 2, b"x"),
        In { flags: Flags::PSH, ..data(1_000_000_000, 0, b"x") },
        segment(Flags::FIN, 2, 0),
        segment(Flags::FIN, 1, 0),
        fin(1, 3),
        fin(2, 2),
        data(2, 2, b"x"),
        syn(),
        segment(Flags::SYN | Flags::ACK, 0, 2),
    ];
    for stray in strays {
        let mut b = Bench::server();
        wait(&mut b);
        b.advance(50_000);
        b.get(stray);
        b.advance(10_100);
        assert_eq!(b.tcp.time_waits(), 0, "{:?} at {}", stray.flags, stray.seq);
    }
    let mut b = Bench::server();
    wait(&mut b);
    b.get(segment(Flags::FIN, 2, 0));
    assert_eq!(b.replies, [], "no ACK: dropped");
}

/// H248: One that starts anew with the same port and number, every time, as small devices do: the wait ends after 2
/// MSL however often it asks, and at once when it answers our challenge by a reset. No other reset ends it.
//= rfc5961#3.2
#[test]
fn a_client_that_comes_again_with_the_same_number() {
    for answers in [true, false] {
        let mut b = Bench::server();
        wait(&mut b);
        let mut waited_ms = 0;
        b.get(rst(2));
        loop {
            b.get(rst(1));
            assert_eq!(b.tcp.time_waits(), 1, "a blind reset");
            b.get(syn());
            let Some(Reply::Ack { ack, .. }) = b.replies.pop() else { panic!("no challenge") };
            if answers {
                b.get(rst(ack.since(PEER_ISS) + 1));
                assert_eq!(b.tcp.time_waits(), 1, "not at RCV.NXT");
                b.get(rst(ack.since(PEER_ISS)));
            }
            b.advance(3_000);
            waited_ms += 3_000;
            if b.tcp.time_waits() == 0 {
                break;
            }
            assert!(!answers);
        }
        assert!(waited_ms <= if answers { 3_000 } else { 60_000 }, "{waited_ms}");
        b.get(syn());
        assert!(b.out()[0].is(Flags::SYN | Flags::ACK));
    }
}

/// H249: A SYN that is new by its number, and proves to be an old duplicate, leaves TIME-WAIT as it was; so does
/// one that gives way to another. One that is answered ends it.
//= rfc9293#3.6.1 MAY-2
#[test]
fn an_old_syn_returns_to_time_wait() {
    let last = |b: &Bench| Reply::Ack { seq: b.iss + 2, ack: PEER_ISS + 2, window: 0, timestamps: None };
    for is_reset in [true, false] {
        let mut b = Bench::server();
        wait(&mut b);
        let iss = b.iss;
        b.get(In { seq: 65_536, ..syn() });
        assert!(b.out()[0].is(Flags::SYN | Flags::ACK));
        if is_reset {
            b.get(rst(65_537));
        } else {
            // It gives way to another.
            let index = b.tcp.quoted(&b.tuple).unwrap();
            let key = b.tcp.connections.key(index).unwrap();
            assert!(b.tcp.take_out(key, &mut b.pool));
        }
        assert_eq!((b.tcp.len(), b.tcp.time_waits()), (0, 1));
        b.iss = iss;
        b.replies.clear();
        b.get(fin(1, 2));
        assert_eq!(b.replies, [last(&b)], "the FIN again is acknowledged");
        b.advance(60_100);
        assert_eq!(b.tcp.time_waits(), 0);
    }
    let mut b = Bench::server();
    wait(&mut b);
    b.get(In { seq: 65_536, ..syn() });
    b.out();
    b.get(ack(65_537, 1));
    assert_eq!((b.tcp.len(), b.tcp.time_waits()), (1, 0));
}

/// H017: and our own connect takes another port.
#[test]
fn a_connect_avoids_time_wait() {
    let mut b = Bench::client();
    wait(&mut b);
    let mut tuple = b.tuple;
    assert_eq!(b.tcp.connect(tuple, b.interface, MTU, None, b.now, &mut b.pool), Err(Error::AddrInUse));
    tuple.local_port = 0;
    let key = b.tcp.connect(tuple, b.interface, MTU, None, b.now, &mut b.pool).unwrap();
    assert_ne!(b.tcp.connection(key).unwrap().tuple.local_port, b.tuple.local_port);
}

/// H018: connections in TIME-WAIT take no connection's place, and under pressure the oldest gives
/// way.
#[test]
fn the_oldest_time_wait_gives_way() {
    let mut b = Bench::listening(quiet(), 8);
    for port in 1..=20 {
        b.tuple.remote_port = port;
        b.iss = Seq(0);
        b.get(syn());
        b.out();
        b.get(ack(1, 1));
        b.accept();
        b.shutdown();
        b.out();
        b.get(ack(1, 2));
        b.get(fin(1, 2));
        b.close();
        assert_eq!((b.tcp.len(), b.tcp.time_waits()), (0, usize::from(port).min(8)));
    }
    b.replies.clear();
    b.tuple.remote_port = 1;
    b.get(fin(1, 2));
    assert!(matches!(b.replies[..], [Reply::Reset(_)]), "the first is forgotten");
    b.tuple.remote_port = 20;
    b.get(fin(1, 2));
    assert!(matches!(b.replies[..], [_, Reply::Ack { .. }]));
    b.advance(61_000);
    assert_eq!(b.tcp.time_waits(), 0);
}
