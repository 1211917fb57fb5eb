//! The short way: what it takes, and what it leaves to the ordinary steps.

use super::*;
use crate::tcp::config::Congestion;
use crate::tcp::segment::Plain;
use crate::time::Duration;

impl Bench {
    /// Does the short way take it?
    fn takes(&mut self, s: In<'_>, is_whole: bool) -> bool {
        let taken = self.tries(s, is_whole);
        self.rest();
        taken
    }

    /// The same, and the connection does not rest.
    fn tries(&mut self, s: In<'_>, is_whole: bool) -> bool {
        let key = self.key.unwrap();
        self.tcp.connections.activate(key.index, self.now);
        let parts = [s.payload];
        let segment = s.segment(self.iss, &parts);
        let plain = Plain::of(&segment).unwrap();
        let active = self.tcp.connections.active_key(key.index).unwrap();
        self.tcp.take_expected(active, &plain, || is_whole, self.now, &mut self.pool)
    }
}

/// Payload in order and an acknowledgment of something new need no more than this, and come to the same.
#[test]
fn what_is_expected_is_taken() {
    let mut b = Bench::server();
    let waits = b.wait(Interest::Read);
    assert!(b.takes(data(1, 1, b"some "), true));
    assert_eq!(waits.get(), 1);
    assert!(b.takes(data(6, 1, &pattern(1_000)), true));
    assert_eq!(b.advance(40).len(), 1, "acknowledged after a while");
    assert_eq!(b.read(5).unwrap(), b"some ");
    b.write(&pattern(2_000)).unwrap();
    b.out();
    let waits = b.wait(Interest::Write);
    assert!(b.takes(ack(1_006, 1_001), true));
    assert!(b.takes(ack(1_006, 2_001), true));
    assert_eq!((waits.get(), b.info().in_flight), (1, 0));
}

/// A request, and an answer: payload that acknowledges what was sent before it, with the same window or another one.
/// The connection is then what the ordinary steps make of it.
#[test]
fn text_with_news_comes_to_the_same_as_step_by_step() {
    let bench = |window| {
        let mut b = Bench::server_with(quiet(), syn().ts(5, 0).win(window));
        b.write(&pattern(5_000)).unwrap();
        b.out();
        b.write(b"more").unwrap();
        b
    };
    let next = || data(1, 1, b"text").ts(6, 0);
    for (what, window, s) in [
        ("an answer to all", 60_000, In { ack: 5_001, ..next() }),
        ("an answer to a part", 60_000, In { ack: 1_001, ..next() }),
        ("another window", 60_000, next().win(50_000)),
        ("both", 60_000, In { ack: 5_001, ..next() }.win(65_000)),
        ("a window that closes", 60_000, In { ack: 5_001, ..next() }.win(0)),
        ("a window that opens", 1_000, In { ack: 1_001, ..next() }.win(60_000)),
    ] {
        assert_same_as_step_by_step(what, [bench(window), bench(window)], s);
    }
}

/// An acknowledgment alone, of all or of a part of what is in flight, under every law and with every kind of options.
#[test]
fn acknowledgment_alone_comes_to_the_same_as_step_by_step() {
    let laws = [
        #[cfg(feature = "cubic")]
        Congestion::Cubic,
        Congestion::NewReno,
        #[cfg(feature = "bbr")]
        Congestion::Bbr,
        Congestion::None,
    ];
    let marked = [
        #[cfg(feature = "ecn")]
        (quiet(), [0b011, 0, 0]),
        #[cfg(feature = "ecn")]
        (quiet(), [0b111, 0b010, 0b101]),
    ];
    let configs = laws.map(|congestion| TcpConfig { congestion, ..quiet() }).into_iter();
    let paced = TcpConfig {
        #[cfg(feature = "pacing")]
        pacing: true,
        ..quiet()
    };
    let mut bounded = quiet();
    bounded.options.user_timeout = Some(Duration::from_secs(30));
    for (mut config, ace) in configs.chain([paced, bounded]).map(|config| (config, [0; 3])).chain(marked) {
        config.options.nodelay = true;
        let [marks, third, quiet] = ace.map(Flags::ace);
        for (has_timestamps, waits_ms, unsent) in
            [(true, 20, 0), (false, 20, 4), (true, 0, 4), (true, 900, 0)]
        {
            let stamp = |s: In<'static>, value| if has_timestamps { s.ts(value, 0) } else { s };
            let bench = || {
                let mut b = Bench::listening(config, 4);
                b.get(stamp(In { flags: Flags::SYN | marks, ..syn() }, 5).win(60_000));
                b.out();
                // AccECN says how the SYN-ACK came, and counts from five on.
                b.get(stamp(In { flags: Flags::ACK | third, ..ack(1, 1) }, 5).win(60_000));
                b.accept();
                for _ in 0..2 {
                    b.write(&pattern(2_500)).unwrap();
                    b.out();
                    b.advance(10);
                }
                b.write(&pattern(unsent)).unwrap();
                b.advance(waits_ms);
                b
            };
            let next =
                |ack_no, window| stamp(In { flags: Flags::ACK | quiet, ..ack(1, ack_no) }, 6).win(window);
            for (what, s) in [
                ("of all", next(5_001, 60_000)),
                ("of a part", next(1_001, 60_000)),
                ("of a part, with a window", next(2_501, 50_000)),
                ("of all, with a window that closes", next(5_001, 0)),
            ] {
                let what = format!("{what}, {waits_ms} ms, {unsent} B wait: {config:?}");
                assert_same_as_step_by_step(&what, [bench(), bench()], s);
            }
        }
    }
}

/// RFC 3168 §6.1.2: that the window was reduced in this round is remembered until the round ends, on either way.
#[cfg(feature = "ecn")]
#[test]
fn acknowledgment_after_a_marked_one_comes_to_the_same_as_step_by_step() {
    for ack_no in [3_001, 5_001] {
        let bench = || {
            let mut b = Bench::listening(quiet(), 4);
            b.get(In { flags: Flags::SYN | Flags::ace(0b011), ..syn() }.win(60_000));
            b.out();
            b.get(ack(1, 1).win(60_000));
            b.accept();
            b.write(&pattern(5_000)).unwrap();
            b.out();
            b.get(In { flags: Flags::ACK | Flags::ECE, ..ack(1, 1_001) }.win(60_000));
            b
        };
        assert_same_as_step_by_step("after a mark", [bench(), bench()], ack(1, ack_no).win(60_000));
    }
}

/// Two connections alike: the one that takes the short way becomes what the ordinary steps make of the other.
fn assert_same_as_step_by_step(what: &str, [mut short, mut long]: [Bench; 2], s: In<'_>) {
    assert!(short.tries(s, true), "{what}");
    let key = long.key.unwrap();
    long.tcp.connections.activate(key.index, long.now);
    let parts = [s.payload];
    let segment = s.segment(long.iss, &parts);
    let c = long.tcp.connections.at_mut(key.index).unwrap();
    let mut cx = long.tcp.settings.cx(c.profile, long.now, &mut long.pool);
    let effects = c.tcb.on_segment(&segment, &mut cx);
    assert_eq!((effects.dropped, effects.end), (None, None), "{what}");
    // Which block of the pool holds the payload depends on what is done first.
    let is_state = |field: &&str| !field.contains("head: ") && !field.starts_with("tail: ");
    let [fast, slow] = [&short, &long].map(|b| {
        let all = format!("{:?}", b.tcp.at(key.index).unwrap().tcb);
        all.split(", ").filter(is_state).collect::<String>()
    });
    assert_eq!(fast, slow, "{what}");
    short.rest();
}

/// Whatever says anything else is left as it was.
#[test]
fn what_is_not_expected_is_left() {
    let small = TcpConfig { receive_buffer: 2_000, ..quiet() };
    let server = || Bench::server_with(small, syn().ts(5, 0));
    let next = || data(1, 1, b"text").ts(6, 0);
    assert!(server().takes(next(), true));
    for (what, s, is_whole) in [
        ("a wrong checksum", next(), false),
        ("a hole before it", In { seq: 2, ..next() }, true),
        ("payload that was there", In { seq: 0, ..next() }, true),
        ("an older acknowledgment", In { ack: 0, ..next() }, true),
        ("one of what was never sent", In { ack: 2, ..next() }, true),
        ("payload beyond the window", next().payload(&pattern(2_001)), true),
        ("an old timestamp", next().ts(4, 0), true),
    ] {
        assert!(!server().takes(s, is_whole), "{what}");
    }
    let after = |change: &dyn Fn(&mut Bench)| {
        let mut b = server();
        change(&mut b);
        b
    };
    let beyond = |b: &mut Bench| assert_eq!(b.get(data(100, 1, b"beyond").ts(6, 0)), None);
    let ends = |b: &mut Bench| assert_eq!(b.get(fin(1, 1).ts(6, 0)), None);
    let shut = |b: &mut Bench| b.tcp.shutdown_read(b.key.unwrap(), b.now, &mut b.pool).unwrap();
    let closes = |b: &mut Bench| assert_eq!((b.write(b"answer"), b.close()), (Ok(6), None));
    assert!(!after(&beyond).takes(next(), true), "after a hole");
    assert!(!after(&ends).takes(In { seq: 2, ..next() }, true), "behind a FIN");
    assert!(!after(&shut).takes(next(), true), "without a reader");
    assert!(!after(&closes).takes(next(), true), "without an owner");

    let mut b = Bench::server_with(small, syn().ts(5, 0).win(0));
    b.write(b"waits").unwrap();
    assert!(!b.takes(next().win(0), true), "beside a closed window");

    let sent = |change: &dyn Fn(&mut Bench)| {
        let mut b = server();
        b.write(b"sent").unwrap();
        b.out();
        change(&mut b);
        b
    };
    let finished = |b: &mut Bench| {
        b.shutdown();
        b.out();
    };
    let news = || ack(1, 5).ts(6, 0);
    assert!(sent(&|_| {}).takes(news(), true));
    assert!(!sent(&|_| {}).takes(news(), false), "a wrong checksum");
    assert!(!sent(&|_| {}).takes(In { ack: 1, ..news() }, true), "nothing new");
    assert!(!sent(&|_| {}).takes(In { ack: 6, ..news() }, true), "what was never sent");
    assert!(!sent(&|_| {}).takes(In { seq: 2, ..news() }, true), "not in order");
    assert!(!sent(&finished).takes(news(), true), "beside a FIN");
    assert!(!sent(&closes).takes(news(), true), "without an owner");
}
