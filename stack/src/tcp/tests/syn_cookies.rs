//! SYN cookies: what they keep, when they are handed out, and what comes back with them.

use super::listener::{SYN_ACK, always, full_syn};
use super::*;

/// T13, H058: with the SYN queue full a SYN is answered by a cookie, which takes no memory; what
/// comes back with it is a connection like any other.
//= rfc4987#3.6
#[test]
fn a_cookie_opens_a_connection() {
    let mut b = Bench::listening(quiet(), 1);
    b.client_at(1);
    b.get(syn());
    assert_eq!(b.out().len(), 1, "the one place of the SYN queue");
    b.client_at(2);
    let options = b.cookie(full_syn());
    assert_eq!((b.tcp.len(), b.out()), (1, vec![]));
    assert_eq!((options.mss, options.window_scale), (Some(1_460), Some(3)));
    let stamp = options.timestamps.unwrap();
    assert_eq!(stamp.echo, 1_000);
    b.advance(5);
    b.get(ack(1, 1).win(10).ts(1_005, stamp.value));
    b.accept();
    assert_eq!(b.state(), State::Established);
    b.get(data(1, 1, b"hello").win(10).ts(1_006, stamp.value));
    assert_eq!(b.read(9).unwrap(), b"hello");
    b.write(&pattern(2_000)).unwrap();
    let out = b.out();
    let sent: u32 = out.iter().map(Out::len).sum();
    assert_eq!(sent, 1_280, "the window of 10 was scaled by what the SYN offered");
    let later = out[0].options.timestamps.unwrap();
    assert!(Seq(stamp.value).at_or_before(Seq(later.value)) && later.echo == 1_006);
}

/// T13: without timestamps a cookie holds the segment size, rounded down, and nothing else is
/// agreed on. H036: not saying is a size too.
#[test]
fn a_cookie_without_timestamps() {
    let offers = [
        (Some(9_000), 1_460),
        (Some(1_460), 1_460),
        (Some(1_459), 1_440),
        (Some(1_399), 1_360),
        (Some(700), 536),
        (Some(100), 64),
        (Some(0), 64),
        (None, 536),
    ];
    for (offer, size) in offers {
        let mut b = Bench::listening(always(), 1);
        let mut syn = segment(Flags::SYN, 0, 0).scale(7).sack_permitted();
        syn.options.mss = offer;
        let options = b.cookie(syn);
        assert_eq!((options.window_scale, options.timestamps), (None, None));
        assert!(!options.sack_permitted);
        b.get(ack(1, 1));
        b.accept();
        assert_eq!((b.info().send_scale, b.info().sack), (0, false));
        b.write(&pattern(2_000)).unwrap();
        assert_eq!(b.out()[0].len(), size, "{offer:?}");
    }
}

/// T13: the acknowledgment of the handshake may be lost, and what comes first is data, or all that
/// the client has to say.
#[test]
fn a_cookie_comes_back_with_data() {
    let mut b = Bench::listening(always(), 1);
    b.cookie(syn());
    b.get(In { flags: Flags::ACK | Flags::FIN, ..data(1, 1, b"GET /") });
    b.accept();
    assert_eq!((b.read(9).unwrap(), b.state()), (b"GET /".to_vec(), State::CloseWait));
    assert_eq!(b.read(9).unwrap(), b"");
}

/// T13: the options come back as they were offered, for every scale.
#[test]
fn a_cookie_keeps_the_options() {
    let scales = [None, Some(0), Some(1), Some(9), Some(14), Some(15)];
    for (scale, sack_permitted) in scales.into_iter().flat_map(|scale| [(scale, true), (scale, false)]) {
        let mut b = Bench::listening(always(), 1);
        for _ in 0..40 {
            b.now += Duration::from_millis(1);
            let clock = {
                let offered = Options { window_scale: scale, sack_permitted, ..full_syn().options };
                let options = b.cookie(In { options: offered, ..syn() });
                assert_eq!(options.window_scale.is_some(), scale.is_some());
                assert_eq!(options.sack_permitted, sack_permitted && cfg!(feature = "sack"));
                options.timestamps.unwrap().value
            };
            assert_eq!(b.get(ack(1, 1).win(1).ts(1_001, clock)), None);
            b.accept();
            let c = b.tcp.connection(b.key.unwrap()).unwrap();
            let crate::tcp::connection::tcb::Phase::Synchronized(s) = &c.tcb.phase else { panic!() };
            assert_eq!(s.send.wnd, 1 << scale.unwrap_or(0).min(14));
            assert_eq!(b.info().sack, sack_permitted && cfg!(feature = "sack"));
            b.get(rst(1).ts(1_001, clock));
            b.close();
        }
    }
}

/// H058, H006: a cookie is for one client and one SYN. Nothing else decodes, and each wrong
/// acknowledgment is a stray one: it is reset.
//= rfc9293#3.10.7.2
#[test]
fn a_cookie_cannot_be_forged() {
    let mut b = Bench::listening(always(), 1);
    let stamp = b.cookie(full_syn()).timestamps.unwrap().value;
    let good = ack(1, 1).ts(1_001, stamp);
    b.replies.clear();
    let mut elsewhere = b.tuple;
    elsewhere.remote_port += 1;
    assert_eq!(b.get_from(elsewhere, good), Some(Refused::BadCookie), "another client");
    let wrong = [
        ack(2, 1).ts(1_001, stamp),
        ack(1, 2).ts(1_001, stamp),
        ack(1, 1 + (1 << 24)).ts(1_001, stamp),
        ack(1, 1 + (1 << 27)).ts(1_001, stamp),
        ack(1, 1).ts(1_001, stamp ^ 1),
        ack(1, 1),
        In { flags: SYN_ACK, ..good },
    ];
    for s in wrong {
        assert_eq!(b.get(s), Some(Refused::BadCookie), "{} {}", s.seq, s.ack);
    }
    let mut random = Random::new([3; 32]);
    for _ in 0..100_000 {
        let refused = b.get(ack(1, random.next_u32()).ts(1_001, stamp));
        assert_eq!(refused, Some(Refused::BadCookie));
    }
    assert_eq!((b.resets(), b.tcp.len()), (8 + 100_000, 0));
    assert_eq!(b.get(In { flags: Flags::RST | Flags::ACK, ..good }), Some(Refused::NoConnection));
    assert_eq!(b.resets(), 0, "a reset is never answered");
    assert_eq!(b.get(good), None);
    b.accept();
}

/// T13: a cookie lives for one or two minutes, and no longer: not even after the tick, which it
/// holds five bits of, came around. Without a cookie sent of late nothing is decoded at all.
#[test]
fn a_cookie_ages() {
    for (seconds, valid) in [(0, true), (63, true), (128, false), (32 * 64, false), (33 * 64, false)] {
        let mut b = Bench::listening(always(), 1);
        b.now = Instant::from_millis(640_000);
        b.cookie(syn());
        let iss = b.iss;
        b.now += Duration::from_secs(seconds);
        if seconds > 0 {
            // Cookies are still in use.
            b.client_at(9);
            b.cookie(syn());
            (b.tuple.remote_port, b.iss) = (PEER_PORT, iss);
        }
        b.replies.clear();
        assert_eq!(b.get(ack(1, 1)), (!valid).then_some(Refused::BadCookie), "after {seconds} s");
        assert_eq!(b.resets(), usize::from(!valid));
    }
    let mut b = Bench::listening(always(), 1);
    b.cookie(syn());
    b.now += Duration::from_secs(128);
    assert_eq!(b.get(ack(1, 1)), Some(Refused::NoConnection), "nobody looks any more");
}

/// T13: off, auto and always.
#[test]
fn cookies_can_be_switched() {
    for (cookies, first, second) in [
        (SynCookies::Off, None, Some(Refused::SynQueueFull)),
        (SynCookies::Auto, None, Some(Refused::SynQueueFull)),
        (SynCookies::Always, None, None),
    ] {
        let mut b = Bench::listening(TcpConfig { syn_cookies: cookies, ..quiet() }, 1);
        b.client_at(1);
        assert_eq!(b.get(syn()), first);
        b.client_at(2);
        let cookie = |b: &Bench| matches!(b.replies.last(), Some(Reply::SynAck { .. }));
        assert_eq!(cookie(&b), cookies == SynCookies::Always);
        let refused = b.get(syn());
        match cookies {
            SynCookies::Off => assert_eq!((refused, cookie(&b)), (second, false)),
            SynCookies::Auto | SynCookies::Always => assert_eq!((refused, cookie(&b)), (None, true)),
        }
    }
}

/// H010: a cookie that comes back to a full accept queue becomes a half-open connection. When there is
/// room its SYN-ACK goes again, and what answers it counts. No cookie goes out that would find neither.
#[test]
fn a_cookie_finds_the_accept_queue_full() {
    let mut b = Bench::listening(always(), 1);
    let mut isses = vec![];
    for port in [1, 2] {
        b.client_at(port);
        b.cookie(syn());
        isses.push(b.iss);
    }
    b.client_at(3);
    assert_eq!((b.get(syn()), b.replies.len()), (Some(Refused::SynQueueFull), 1));
    b.replies.clear();
    let third_step = |b: &mut Bench, n: u16| {
        (b.tuple.remote_port, b.iss) = (n, isses[n as usize - 1]);
        b.get(ack(1, 1))
    };
    assert_eq!(third_step(&mut b, 1), None);
    assert_eq!(third_step(&mut b, 2), Some(Refused::AcceptQueueFull));
    assert_eq!((b.resets(), b.tcp.len(), b.out()), (0, 2, vec![]));
    b.client_at(3);
    assert_eq!(b.get(syn()), Some(Refused::AcceptQueueFull));
    b.accept();
    assert_eq!(b.get(syn()), Some(Refused::AcceptQueueFull), "the place is for who came before");
    (b.tuple.remote_port, b.iss) = (2, isses[1]);
    let again = b.out();
    assert!(again.len() == 1 && again[0].is(SYN_ACK) && again[0].seq == 0, "{again:?}");
    assert_eq!(b.get(ack(1, 1)), None);
    b.accept();
    assert_eq!(b.state(), State::Established);
}

/// H058: a cookie that comes back to a full table is put off, and no memory stays promised for it.
#[test]
fn a_cookie_finds_the_table_full() {
    let mut b = Bench::listening(always(), 8);
    b.client_at(8);
    b.cookie(syn());
    let last = b.iss;
    b.advance(1000); // it is taken for a forgery
    for port in 1..=7 {
        b.client_at(port);
        b.cookie(syn());
        assert_eq!(b.get(ack(1, 1)), None, "{port}");
        b.accept();
    }
    let promised = b.pool.promised();
    (b.tuple.remote_port, b.iss) = (8, last);
    assert_eq!(b.get(ack(1, 1)), Some(Refused::TableFull), "the last place is for our own connects");
    assert_eq!(b.pool.promised(), promised);
}

/// H058, H010: outside a flood no more cookies go out than both queues have room for. In one, when most
/// do not come back, they go out without a bound; and who brings one back waits in the table, beyond the
/// backlog: its payload is dropped only if half of that is full, and comes again.
#[test]
fn a_flood_lifts_the_bound_of_cookies() {
    let mut b = Bench::listening(quiet(), 1);
    let mut forged = 100;
    let mut syns = |b: &mut Bench, n: u16| {
        b.replies.clear();
        (0..n).for_each(|_| {
            forged += 1;
            b.client_at(forged);
            b.get(syn());
        });
        b.out();
        b.replies.len()
    };
    assert_eq!(syns(&mut b, 50), 1, "one half-open connection, one cookie");
    b.advance(500);
    assert_eq!(syns(&mut b, 50), 0);
    b.advance(500);
    assert_eq!(syns(&mut b, 50), 50);
    let mut isses = vec![];
    for port in 1..=6 {
        b.client_at(port);
        b.cookie(syn());
        isses.push(b.iss);
    }
    b.replies.clear();
    let came_back = |b: &mut Bench, port: u16, s: In<'_>| {
        (b.tuple.remote_port, b.iss) = (port, isses[usize::from(port) - 1]);
        b.get(s)
    };
    assert_eq!(came_back(&mut b, 1, ack(1, 1)), None);
    for port in 2..=5 {
        assert_eq!(came_back(&mut b, port, ack(1, 1)), Some(Refused::AcceptQueueFull));
    }
    assert_eq!((b.resets(), b.tcp.len()), (0, 5), "the forged one gave way");
    assert_eq!(came_back(&mut b, 6, data(1, 1, b"hello")), Some(Refused::AcceptQueueFull));
    assert_eq!(b.resets(), 0);
    for port in 2..=5 {
        b.accept();
        assert!(b.out().iter().all(|o| o.is(SYN_ACK)));
        assert_eq!(came_back(&mut b, port, ack(1, 1)), None);
    }
    assert_eq!(came_back(&mut b, 6, data(1, 1, b"hello")), Some(Refused::AcceptQueueFull));
    b.accept();
    assert_eq!(came_back(&mut b, 6, data(1, 1, b"hello")), None);
    b.accept();
    assert_eq!((b.resets(), b.read(9).unwrap()), (0, b"hello".to_vec()));
}

/// H058: in a flood segments get lost, too. One that comes before the first of its client, which
/// holds the cookie, is no reason for a reset.
#[test]
fn the_first_segment_after_a_cookie_is_lost() {
    let mut b = Bench::listening(always(), 1);
    b.cookie(syn());
    b.replies.clear();
    assert_eq!(b.get(data(4, 1, b"def")), Some(Refused::BadCookie));
    assert_eq!(b.get(fin(7, 1)), Some(Refused::BadCookie));
    assert_eq!(b.resets(), 0);
    assert_eq!(b.get(data(1, 1, b"abc")), None);
    b.get(data(4, 1, b"def"));
    b.accept();
    assert_eq!(b.read(9).unwrap(), b"abcdef");
}

/// T08, T13: a cookie remembers that ECN was asked for, as RFC 3168 has it; AccECN becomes that.
#[test]
fn a_cookie_keeps_ecn() {
    let mut b = Bench::listening(always(), 1);
    for asks in [0b011, 0b111] {
        b.replies.clear();
        let asking = In { flags: Flags::SYN | Flags::ace(asks), ..full_syn() };
        assert_eq!(b.get(asking), None);
        let Some(Reply::SynAck { seq, flags, options, .. }) = b.replies.pop() else { panic!() };
        assert_eq!(flags, SYN_ACK | Flags::ECE, "{asks:#b}");
        b.iss = seq;
        b.get(ack(1, 1).ts(1_001, options.timestamps.unwrap().value));
        b.accept();
        let info = b.info();
        assert!(info.ecn && !info.accurate_ecn);
        b.get(rst(1).ts(1_001, 0));
        b.close();
    }
}
