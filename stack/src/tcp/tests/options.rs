//! Options of connections: where they lie, who shares them, what they do.

use super::*;
use crate::tcp::{KeepAlive, Profile};

impl Bench {
    fn profile(&self) -> Profile {
        self.tcp.connection(self.key.unwrap()).unwrap().profile
    }
    /// Another connection of the peer, accepted.
    fn another(&mut self, port: u16) -> Key {
        self.tuple.remote_port = port;
        self.get(syn());
        self.out();
        self.get(ack(1, 1));
        self.accept();
        self.key.unwrap()
    }
}

/// T12: what is set is read back; equal sets are one; a set goes when nobody has it any more.
#[test]
fn equal_options_are_shared() {
    let mut b = Bench::server();
    assert_eq!(b.profile(), Profile::STACK);
    b.configure(|o| o.nodelay = true);
    let (first, shared) = (b.key, b.profile());
    assert_ne!(shared, Profile::STACK);
    b.another(6000);
    assert_eq!(b.profile(), Profile::STACK, "another's options are not its own");
    b.configure(|o| o.nodelay = true);
    assert_eq!(b.profile(), shared);
    b.configure(|o| o.dscp = 10);
    assert_ne!(b.profile(), shared, "changed for this one alone");
    let options = |b: &Bench, key: Option<Key>| *b.tcp.options(key.unwrap()).unwrap();
    assert_eq!((options(&b, first).dscp, options(&b, b.key).dscp), (0, 10));
    b.configure(|o| (o.dscp, o.nodelay) = (0, false));
    assert_eq!(b.profile(), Profile::STACK);
    b.key = first;
    assert!(options(&b, first).nodelay);
    b.tcp.abort(b.key.unwrap(), b.now, &mut b.pool);
    b.another(6001);
    b.configure(|o| o.dscp = 11);
    assert_eq!(b.profile(), shared, "its place is free again");
}

/// T12, T13: accepted connections inherit the options that their listener had when they came.
#[test]
fn connections_inherit_from_their_listener() {
    let mut b = Bench::listening(quiet(), 4);
    let listener = b.listener.unwrap();
    let keep_alive = Some(KeepAlive { probes: 3, ..KeepAlive::default() });
    let options = TcpOptions { nodelay: true, keep_alive, ..TcpOptions::default() };
    b.tcp.set_listener_options(listener, options).unwrap();
    assert_eq!(b.tcp.listener_options(listener), Ok(&options));
    let first = b.another(6000);
    b.tcp.set_listener_options(listener, TcpOptions::default()).unwrap();
    let second = b.another(6001);
    assert_eq!(b.tcp.options(first), Ok(&options));
    assert_eq!(b.tcp.options(second), Ok(&TcpOptions::default()));
    b.key = Some(first);
    assert_eq!((b.write(b"x"), b.write(b"y")), (Ok(1), Ok(1)));
    b.tuple.remote_port = 6000;
    assert_eq!(b.out().len(), 1);
    b.write(b"z").unwrap();
    assert_eq!(b.out().len(), 1, "no delay");
}

/// What is outside its range is refused by name, and nothing is changed.
#[test]
fn options_have_ranges() {
    let mut b = Bench::server();
    let key = b.key.unwrap();
    let none = KeepAlive { probes: 0, ..KeepAlive::default() };
    let times = |idle, interval| {
        let [idle, interval] = [idle, interval].map(Duration::from_millis);
        TcpOptions { keep_alive: Some(KeepAlive { idle, interval, probes: 1 }), ..TcpOptions::default() }
    };
    let good = TcpOptions::default();
    let least = TcpOptions {
        dscp: 63,
        hop_limit: 1,
        max_segment: Some(64),
        unsent_max: Some(1),
        send_buffer: Some(1),
        receive_buffer: Some(1),
        window_clamp: Some(1),
        user_timeout: Some(Duration::from_millis(1)),
        ..times(1, 1)
    };
    assert_eq!(least.check(), Ok(()));
    let bad = [
        (TcpOptions { dscp: 64, ..good }, "dscp is above 63"),
        (TcpOptions { hop_limit: 0, ..good }, "hop_limit is 0"),
        (TcpOptions { max_segment: Some(63), ..good }, "max_segment is below 64"),
        (TcpOptions { unsent_max: Some(0), ..good }, "unsent_max is 0"),
        (TcpOptions { send_buffer: Some(0), ..good }, "send_buffer is 0"),
        (TcpOptions { receive_buffer: Some(0), ..good }, "receive_buffer is 0"),
        (TcpOptions { window_clamp: Some(0), ..good }, "window_clamp is 0"),
        (TcpOptions { user_timeout: Some(Duration::ZERO), ..good }, "user_timeout is below a millisecond"),
        (TcpOptions { keep_alive: Some(none), ..good }, "keep_alive has no probes"),
        (times(0, 1), "a time of keep_alive is below a millisecond"),
        (times(1, 0), "a time of keep_alive is below a millisecond"),
    ];
    for (options, why) in bad {
        let set = b.tcp.set_options(key, options, b.now, &mut b.pool);
        assert_eq!(set, Err(Error::InvalidInput(why)));
        assert_eq!(b.tcp.options(key), Ok(&good));
        let open = b.tcp.connect(b.tuple, b.interface, MTU, Some(&options), b.now, &mut b.pool);
        assert!(open.is_err());
    }
}

/// T10, T12, B12: with the cork in, only full segments go, and what is left after 200 ms at the latest,
/// or when the cork is pulled, or when nothing more comes; a window below a segment is filled.
#[test]
fn cork() {
    let corked = || {
        let mut b = Bench::server();
        b.configure(|o| o.cork = true);
        b
    };
    let mut b = corked();
    for _ in 0..3 {
        b.write(&pattern(MSS as usize / 2)).unwrap();
    }
    assert_eq!(brief(&b.out()), [(1, MSS, 1)]);
    b.get(ack(1, 1 + MSS));
    assert_eq!(b.out(), []);
    let late = b.advance(300);
    assert_eq!((late.len(), late[0].0, late[0].1.len()), (1, 200, MSS / 2));

    let mut b = corked();
    b.write(b"head").unwrap();
    assert_eq!(b.out(), []);
    b.write(b", body").unwrap();
    b.configure(|o| o.cork = false);
    assert_eq!(brief(&b.out()), [(1, 10, 1)]);

    let mut b = corked();
    b.write(b"all").unwrap();
    b.shutdown();
    assert_eq!(brief(&b.out()), [(1, 3, 1)]);

    let mut b = Bench::server_with(quiet(), syn().win(700));
    b.configure(|o| o.cork = true);
    b.write(&pattern(700)).unwrap();
    assert_eq!(brief(&b.out()), [(1, 700, 1)]);
}

/// T10, T12, B12: a flush sends what Nagle's rule or a cork holds, once: what is written later is held again. Where a window is
/// in the way it goes when that opens, and with nothing to send nothing happens.
//= rfc9293#3.9.1.2 MAY-15
#[test]
fn flush_sends_what_nagle_or_a_cork_holds() {
    let mut b = Bench::server();
    b.flush();
    assert_eq!(b.out(), []);
    b.write(b"head").unwrap();
    assert_eq!(brief(&b.out()), [(1, 4, 1)]);
    b.write(b", body").unwrap();
    assert_eq!(b.out(), [], "Nagle's rule");
    b.flush();
    assert_eq!(brief(&b.out()), [(5, 6, 1)]);
    b.write(b"next").unwrap();
    assert_eq!(b.out(), []);
    b.get(ack(1, 11));
    assert_eq!(brief(&b.out()), [(11, 4, 1)]);

    let mut b = Bench::server();
    b.configure(|o| o.cork = true);
    b.write(b"head").unwrap();
    b.write(b", body").unwrap();
    assert_eq!(b.out(), []);
    b.flush();
    assert_eq!(brief(&b.out()), [(1, 10, 1)]);
    b.write(&pattern(MSS as usize + 1)).unwrap();
    assert_eq!(brief(&b.out()), [(11, MSS, 1)], "the cork holds again");
    b.flush();
    assert_eq!(brief(&b.out()), [(11 + MSS, 1, 1)]);

    let mut b = Bench::server_with(quiet(), syn().win(700));
    b.configure(|o| o.cork = true);
    b.write(&pattern(1_000)).unwrap();
    b.flush();
    assert_eq!(brief(&b.out()), [(1, 700, 1)]);
    b.get(ack(1, 701).win(700));
    assert_eq!(brief(&b.out()), [(701, 300, 1)], "the window was in the way, not the cork");
}

/// T10, T12: acknowledgments at once for so many segments, or always, or delayed from the first.
#[test]
fn quick_acks() {
    let mut b = Bench::server();
    let answered = |b: &mut Bench, seq| {
        b.get(data(seq, 1, b"x"));
        !b.out().is_empty()
    };
    assert!(!answered(&mut b, 1), "the classic policy");
    b.configure(|o| o.quick_acks = Some(2));
    assert_eq!(b.out().len(), 1, "what is pending_ack goes now");
    assert_eq!([2, 3, 4].map(|seq| answered(&mut b, seq)), [true, true, false]);
    b.configure(|o| o.quick_acks = Some(255));
    assert!((5..600).all(|seq| answered(&mut b, seq)));
    b.configure(|o| o.quick_acks = Some(9));
    assert_eq!(b.out(), [], "nothing is pending_ack");
    b.configure(|o| o.quick_acks = Some(0));
    assert!(!answered(&mut b, 600));
    assert_eq!(b.advance(100).len(), 1);
    assert_eq!(b.count(TcpCount::DelayedAcks), 1);
}

/// T12: buffers and the window clamp of one connection, at its start and later; what was offered stays
/// offered (B08, SHLD-14).
//= rfc9293#3.8.6 SHLD-14
#[test]
fn buffers_of_one_connection() {
    let mut b = Bench::server();
    b.configure(|o| o.send_buffer = Some(1_000));
    assert_eq!(b.write(&pattern(5_000)), Ok(1_000));
    assert_eq!(b.write(b"x"), Err(Error::WouldBlock));
    b.configure(|o| o.send_buffer = Some(1_500));
    assert_eq!(b.write(&pattern(5_000)), Ok(500));
    b.out();

    let offered = b.info().receive_window;
    b.configure(|o| o.receive_buffer = Some(2_000));
    assert_eq!((b.info().receive_window, b.info().receive_buffer), (offered, 2_000));
    let mut seq = 1;
    while seq <= offered {
        b.get(data(seq, 1, &[1; 1_000]));
        seq += 1_000;
        b.read(10_000).unwrap();
        b.out();
    }
    assert!(b.info().receive_window <= 2_000);
    b.configure(|o| o.window_clamp = Some(500));
    assert_eq!(b.info().receive_buffer, 500);

    let mut b = Bench::listening(quiet(), 1);
    let options = TcpOptions { window_clamp: Some(4_000), ..TcpOptions::default() };
    b.tcp.set_listener_options(b.listener.unwrap(), options).unwrap();
    b.get(syn().scale(7));
    let out = b.out();
    assert_eq!((out[0].window, out[0].options.window_scale), (4_000, Some(0)));
    b.get(ack(1, 1));
    b.accept();
    b.configure(|o| o.window_clamp = None);
    assert_eq!(b.info().receive_buffer, 65_535, "as far as the scale reaches");
}

/// T12: no more is taken from the writer than may wait unsent; it is woken when some was sent.
#[test]
fn unsent_text_is_limited() {
    let mut b = Bench::server_with(quiet(), syn().win(3_000));
    b.configure(|o| (o.unsent_max, o.nodelay) = (Some(1_000), true));
    assert_eq!(b.write(&pattern(5_000)), Ok(1_000));
    let wakes = b.wait(Interest::Write);
    assert!(!b.is_ready(Interest::Write));
    assert_eq!((b.out().len(), wakes.get()), (1, 1));
    while b.write(&pattern(5_000)).is_ok() {
        b.out();
    }
    assert_eq!((b.info().unacked, b.info().unsent), (3_000, 1_000));
}

/// T12: the largest segment is offered and kept to.
//= rfc9293#3.7.1 MUST-14, MUST-16
#[test]
fn max_segment() {
    let mut b = Bench::new(quiet());
    let options = TcpOptions { max_segment: Some(600), ..TcpOptions::default() };
    let (tuple, interface) = (b.tuple, b.interface);
    b.key = Some(b.tcp.connect(tuple, interface, MTU, Some(&options), b.now, &mut b.pool).unwrap());
    assert_eq!(b.out()[0].options.mss, Some(600));
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
    b.out();
    b.write(&pattern(1_200)).unwrap();
    assert_eq!(brief(&b.out()), [(1, 600, 1), (601, 600, 1)]);
}

/// T12, B07: closing resets the connection if the user says so, and the peer of one that nobody holds
/// has only so long for its FIN, after which it is reset (H016).
#[test]
fn closing_as_the_user_says() {
    let mut b = Bench::server();
    b.configure(|o| o.linger = Some(Duration::ZERO));
    b.write(b"lost").unwrap();
    assert!(b.close().is_some());
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));

    let mut b = Bench::server();
    b.configure(|o| o.fin_wait_2_timeout = Some(Duration::from_secs(3)));
    assert_eq!(b.close(), None);
    assert_eq!(b.out().len(), 1);
    b.get(ack(1, 2));
    b.advance(2_999);
    assert_eq!(b.tcp.len(), 1);
    b.advance(2);
    assert_eq!(b.tcp.len(), 0);
    b.get(fin(1, 2));
    assert!(matches!(b.replies[..], [Reply::Reset(_)]));
}

/// T12: has the peer everything? The writer is woken when it has, the FIN counted in.
#[test]
fn everything_is_acknowledged() {
    let acknowledged = |b: &Bench| b.tcp.connection(b.key.unwrap()).unwrap().tcb.acknowledged();
    let mut b = Bench::server();
    assert_eq!(acknowledged(&b), Ok(()));
    b.write(b"all").unwrap();
    b.shutdown();
    assert_eq!(acknowledged(&b), Err(Error::WouldBlock));
    b.out();
    b.get(ack(1, 4));
    assert_eq!(acknowledged(&b), Err(Error::WouldBlock), "but for the FIN");
    let wakes = b.wait(Interest::Write);
    b.get(ack(1, 5));
    assert_eq!((acknowledged(&b), wakes.get()), (Ok(()), 1));
    b.get(rst(1));
    assert_eq!(acknowledged(&b), Ok(()), "and still has");
    let mut b = Bench::server();
    b.write(b"all").unwrap();
    b.out();
    b.get(rst(1));
    assert_eq!(acknowledged(&b), Err(Error::ConnectionReset));
}

/// T12, T13: with `defer_accept` the last ACK of the handshake is not enough: data is, or a FIN, or time.
#[test]
fn accepted_when_there_is_something_to_read() {
    let deferring = || {
        let mut b = Bench::listening(quiet(), 1);
        let options = TcpOptions { defer_accept: Some(Duration::from_secs(9)), ..TcpOptions::default() };
        b.tcp.set_listener_options(b.listener.unwrap(), options).unwrap();
        b.get(syn());
        b.out();
        assert_eq!(b.get(ack(1, 1)), None);
        assert_eq!(b.advance(8_900), [], "the SYN-ACK is not repeated meanwhile");
        assert_eq!(b.tcp.accept(b.listener.unwrap()), Err(Error::WouldBlock));
        b
    };
    let mut b = deferring();
    b.get(data(1, 1, b"GET"));
    b.accept();
    assert_eq!(b.read(9), Ok(b"GET".to_vec()));
    let mut b = deferring();
    b.get(fin(1, 1));
    b.accept();
    assert_eq!(b.state(), State::CloseWait);
    let mut b = deferring();
    let again = b.advance(200);
    assert!(again.len() == 1 && again[0].1.is(Flags::SYN | Flags::ACK));
    b.get(ack(1, 1));
    b.accept();
    assert_eq!(b.state(), State::Established);
    let mut b = deferring();
    b.now += Duration::from_millis(100);
    b.get(ack(1, 1));
    b.accept(); // that was all of the time
}

/// T06, T12: each connection has the congestion control that it asks for.
//= rfc9293#3.8.2 MAY-18
#[test]
fn congestion_control_of_one_connection() {
    use crate::tcp::Congestion;
    let mut b = Bench::listening(quiet(), 4);
    let listener = b.listener.unwrap();
    for (port, congestion, is_limited) in
        [(6000, None, true), (6001, Some(Congestion::None), false), (6002, Some(Congestion::NewReno), true)]
    {
        let options = TcpOptions { congestion, ..TcpOptions::default() };
        b.tcp.set_listener_options(listener, options).unwrap();
        b.another(port);
        b.write(&pattern(60_000)).unwrap();
        b.out();
        assert_eq!(b.info().unacked < 60_000, is_limited, "{congestion:?}");
    }
}
