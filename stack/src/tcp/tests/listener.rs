//! The listener: SYN queue, accept queue, cookies, limits.

use super::*;
use crate::base::slab::Slot;
use crate::tcp::Handshaking;

const SYN_ACK: Flags = Flags(0x12);

fn always() -> TcpConfig {
    TcpConfig { syn_cookies: SynCookies::Always, ..quiet() }
}

/// A SYN with everything that clients offer.
fn full_syn<'a>() -> In<'a> {
    syn().scale(7).ts(1_000, 0)
}

impl Bench {
    /// Another client.
    fn client_at(&mut self, port: u16) {
        (self.tuple.remote_port, self.iss) = (port, Seq(0));
    }

    /// The cookie that answers a SYN; from now on numbers are relative to it.
    fn cookie(&mut self, syn: In<'_>) -> Options {
        self.replies.clear();
        assert_eq!(self.get(syn), None);
        let [Reply::SynAck { seq, ack, flags, options, .. }] = self.replies[..] else {
            panic!("no cookie: {:?}", self.replies)
        };
        assert_eq!((ack, flags), (PEER_ISS + 1, SYN_ACK));
        self.iss = seq;
        options
    }

    /// Nothing but resets was sent since the last look: how many.
    fn resets(&mut self) -> usize {
        assert!(self.replies.iter().all(|r| matches!(r, Reply::Reset(_))), "{:?}", self.replies);
        std::mem::take(&mut self.replies).len()
    }

    fn get_from(&mut self, tuple: Tuple, s: In<'_>) -> Option<Refused> {
        let before = std::mem::replace(&mut self.tuple, tuple);
        let refused = self.get(s);
        self.tuple = before;
        refused
    }
}

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
                assert_eq!(options.sack_permitted, sack_permitted);
                options.timestamps.unwrap().value
            };
            assert_eq!(b.get(ack(1, 1).win(1).ts(1_001, clock)), None);
            b.accept();
            let c = b.tcp.connection(b.key.unwrap()).unwrap();
            let crate::tcp::connection::tcb::Phase::Synchronized(s) = &c.tcb.phase else { panic!() };
            assert_eq!(s.send.wnd, 1 << scale.unwrap_or(0).min(14));
            assert_eq!(b.info().sack, sack_permitted);
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

/// H010: a client that takes its connection for established, and waits for us, learns it by a reset if
/// that comes to nothing: after all patience, and when the listener closes. One that never answered gets
/// none.
#[test]
fn a_late_client_is_told() {
    for closes in [false, true] {
        let mut b = Bench::listening(quiet(), 2);
        let mut isses = vec![];
        for port in 1..=4 {
            b.client_at(port);
            b.cookie_or_syn_ack();
            isses.push(b.iss);
        }
        b.replies.clear();
        // 2 never answers; 4 finds no room.
        for port in [1, 3, 4] {
            (b.tuple.remote_port, b.iss) = (port, isses[usize::from(port) - 1]);
            b.get(ack(1, 1));
        }
        assert_eq!((b.tcp.len(), b.resets()), (4, 0));
        if closes {
            let listener = b.listener.unwrap();
            let late = b.tcp.late(listener).unwrap();
            assert!(b.tcp.abort(late, b.now, &mut b.pool).is_some());
            assert_eq!(b.tcp.late(listener), None);
            b.tcp.forget_half_open(listener, &mut b.pool);
        } else {
            b.advance(400_000);
            assert_eq!(b.resets(), 1);
        }
        assert_eq!(b.tcp.len(), 2, "those in the accept queue");
    }
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

/// Clients that come and stay leave a place for our own connects: an eighth of the table, one at least.
#[test]
fn passive_connections_leave_a_place() {
    let mut b = Bench::listening(quiet(), 16);
    let mut places = 0;
    for port in 1..=20 {
        b.client_at(port);
        if b.get(syn()).is_none() && b.out().len() == 1 {
            assert_eq!(b.get(ack(1, 1)), None);
            b.accept();
            places += 1;
        }
    }
    assert_eq!((places, b.tcp.len()), (7, 7));
    let own = |b: &mut Bench| {
        let remote = Tuple { local_port: 0, ..b.tuple };
        b.tcp.connect(remote, b.interface, MTU, None, b.now, &mut b.pool)
    };
    assert!(own(&mut b).is_ok());
    assert_eq!(own(&mut b), Err(Error::TooManySockets));
    // What our own hold, theirs can't; what is free beyond the share is for whoever comes first.
    b.client_at(7);
    b.get(rst(1));
    b.close();
    assert!(own(&mut b).is_ok());
}

/// The same for the working set: while clients keep it busy, we can connect.
#[test]
fn busy_passive_connections_leave_a_place() {
    let active = Vec::leak((0..4).map(|_| Slot::EMPTY).collect());
    let mut b = Bench::with_room(quiet(), ManagedSlice::Borrowed(active));
    b.listener = Some(b.tcp.listen(core::net::Ipv4Addr::UNSPECIFIED.into(), PORT, 4, false).unwrap().0);
    for port in 1..=5 {
        b.client_at(port);
        if b.is_answered() {
            b.get(ack(1, 1));
            b.accept();
            // In flight: it is busy.
            b.write(b"?").unwrap();
            b.out();
        }
    }
    let remote = Tuple { local_port: 0, ..b.tuple };
    let own = b.tcp.connect(remote, b.interface, MTU, None, b.now, &mut b.pool).unwrap();
    assert!(b.out().iter().any(|o| o.is(Flags::SYN)));
    assert!(b.tcp.connection(own).is_some() && b.tcp.len() == 4);
}

/// H058: a million SYNs from everywhere: the SYN queue is full, memory stays as it is, and a client
/// in between is served.
#[test]
fn a_million_syns() {
    let mut b = Bench::listening(TcpConfig { accept_limit: 7, ..quiet() }, 3);
    let (mut served, mut cookies, begun) = (0, 0, b.now);
    for n in 0..1_000_000u32 {
        b.tuple.remote = IpAddr::from([11, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
        b.tuple.remote_port = n as u16 | 1;
        if n % 100 == 0 {
            b.now += Duration::from_millis(1);
            b.advance(0);
        }
        let s = segment(Flags::SYN, n, 0).mss(1460);
        // In the first second nobody knows that those who do not answer never will.
        let refused = b.get(s);
        let seconds = b.now.since(begun).micros() as f64 / 1e6;
        assert!(refused.is_none() || seconds < 1.01, "{refused:?} after {seconds} s");
        cookies += b.replies.drain(..).count();
        b.out();
        if n >= 100_000 && n % 10_000 == 5_000 {
            (b.tuple.remote, b.tuple.remote_port) = (IpAddr::from([10, 0, 0, 2]), 7_000);
            let stamp = b.cookie(full_syn()).timestamps.unwrap().value;
            b.get(data(1, 1, b"through").ts(1_001, stamp));
            b.accept();
            assert_eq!(b.read(9).unwrap(), b"through");
            b.get(rst(8));
            b.close();
            served += 1;
            b.replies.clear();
        }
        assert!(b.tcp.len() <= 4 && b.pool.in_use() == 0, "{}", b.tcp.len());
    }
    assert_eq!(served, 90);
    assert!(cookies > 890_000, "{cookies}");
}

/// H058: half-open connections of all listeners take half of the table at most; the rest is for
/// connections. `accept_limit` leaves more to our own connects.
#[test]
fn a_flood_leaves_half_of_the_table() {
    let mut b = Bench::listening(without_cookies(), 100);
    let answered = (1..100).filter(|port| (b.client_at(*port), b.get(syn())).1.is_none()).count();
    assert_eq!((answered, b.tcp.len()), (4, 4));

    let mut b = Bench::listening(TcpConfig { accept_limit: 2, ..quiet() }, 100);
    for port in 1..=2 {
        b.client_at(port);
        assert_eq!(b.get(syn()), None);
    }
    b.client_at(3);
    assert_eq!((b.get(syn()), b.replies.len()), (Some(Refused::AcceptLimit), 0));
    let remote = Tuple { local_port: 0, ..b.tuple };
    assert!(b.tcp.connect(remote, b.interface, MTU, None, b.now, &mut b.pool).is_ok());
}

/// T13: with the pool used up no connection is begun, and afterwards it is.
#[test]
fn no_connection_without_memory() {
    let mut b = Bench::listening(quiet(), 4);
    b.pool = Pool::growing(4_000, 500);
    let mut b = b.established(syn());
    let mut next = 1;
    while b.get(data(next, 1, &pattern(500))).is_none() {
        next += 500;
        b.out();
    }
    while b.write(&pattern(500)).is_ok() {}
    b.out();
    let mut hog = crate::base::pool::Chain::new();
    hog.append(&mut b.pool, &pattern(4_000), crate::base::pool::Need::Send);
    let mut other = b.tuple;
    other.remote_port = 9;
    let refused = b.get_from(other, segment(Flags::SYN, 0, 0).mss(1460));
    assert_eq!(refused, Some(Refused::AcceptLimit), "{} of 4000 in use", b.pool.in_use());
    b.read(4_000).unwrap();
    assert_eq!(b.get_from(other, segment(Flags::SYN, 0, 0).mss(1460)), None);
    hog.clear(&mut b.pool);
}

/// T13: closing a listener resets what is completed and forgets what is half-open; cookies that come
/// back find nobody.
//= rfc9293#3.10.4
#[test]
fn nothing_is_left_of_a_closed_listener() {
    let mut b = Bench::listening(quiet(), 2);
    let listener = b.listener.unwrap();
    for port in [1, 2] {
        b.client_at(port);
        b.get(syn());
        b.out();
    }
    b.get(ack(1, 1)); // client 2 waits for accept
    for port in [3, 4] {
        b.client_at(port);
        b.get(syn());
    }
    assert!(matches!(b.replies[..], [Reply::SynAck { .. }]), "client 4 has a cookie");
    let Reply::SynAck { seq, .. } = b.replies[0] else { unreachable!() };
    let queued = b.tcp.accept(listener).unwrap();
    assert!(b.tcp.abort(queued, b.now, &mut b.pool).is_some());
    b.tcp.forget_half_open(listener, &mut b.pool);
    b.tcp.unlisten(listener);
    assert_eq!((b.tcp.len(), b.tcp.deadline()), (0, None));
    assert_eq!(b.tcp.accept(listener), Err(Error::StaleHandle));
    (b.iss, b.replies) = (seq, vec![]);
    assert_eq!(b.get(ack(1, 1)), Some(Refused::NoConnection));
    assert_eq!(b.resets(), 1);
    let again = b.tcp.listen(core::net::Ipv6Addr::UNSPECIFIED.into(), PORT, 1, false);
    assert!(again.is_ok_and(|(key, _)| key != listener));
}

/// T13, MUST-41: any number of listeners, found without looking at them all; one that would take
/// another's connections is refused, and disturbs nothing.
//= rfc9293#3.9.1.1 MUST-41
#[test]
fn listeners_by_port_and_address() {
    let mut b = Bench::new(quiet());
    let any4 = IpAddr::from([0, 0, 0, 0]);
    let one = b.tcp.listen(b.tuple.local, PORT, 1, false).unwrap().0;
    assert_eq!(b.tcp.listen(b.tuple.local, PORT, 1, false), Err(Error::AddrInUse));
    assert_eq!(b.tcp.listen(any4, PORT, 1, false), Err(Error::AddrInUse));
    let other = b.tcp.listen(IpAddr::from([10, 0, 0, 9]), PORT, 1, false).unwrap().0;
    for port in 81..87 {
        b.tcp.listen(any4, port, 1, false).unwrap();
    }
    assert_eq!(b.tcp.listen(any4, 87, 1, false), Err(Error::TooManySockets));
    b.listener = Some(one);
    b.get(syn());
    b.out();
    b.get(ack(1, 1));
    assert_eq!(b.tcp.accept(other), Err(Error::WouldBlock));
    b.accept();
    b.tcp.unlisten(one);
    b.client_at(7);
    assert_eq!(b.get(syn()), Some(Refused::NoConnection));
    assert_eq!(b.state(), State::Established, "an accepted connection lives on");
    assert!(b.tcp.listen(b.tuple.local, PORT, 1, false).is_ok());
}

/// Contract E12: listeners that say so share an address and port, each client is always the same one's, and each of them gets some; one
/// that does not say so, or has another address, keeps them out.
#[test]
fn listeners_that_share_a_port_each_get_their_connections() {
    let mut b = Bench::new(TcpConfig { syn_cookies: SynCookies::Off, ..quiet() });
    let any: IpAddr = core::net::Ipv6Addr::UNSPECIFIED.into();
    let shared = [(); 2].map(|()| b.tcp.listen(any, PORT, 64, true).unwrap().0);
    assert_eq!(b.tcp.listen(any, PORT, 64, false), Err(Error::AddrInUse));
    assert_eq!(b.tcp.listen(b.tuple.local, PORT, 64, true), Err(Error::AddrInUse));
    let mut got = [0; 2];
    for client in 0..24 {
        b.client_at(client + 2);
        b.listener = Some(shared[0]);
        b.get(syn());
        b.get(syn());
        b.out();
        b.get(ack(1, 1));
        let accepted = shared.map(|listener| b.tcp.accept(listener).ok());
        let [(Some(key), None) | (None, Some(key))] = [(accepted[0], accepted[1])] else {
            panic!("client {client}: {accepted:?}")
        };
        got[usize::from(accepted[1].is_some())] += 1;
        b.tcp.abort(key, b.now, &mut b.pool);
    }
    assert!(got[0] > 4 && got[1] > 4, "{got:?}");
    b.tcp.unlisten(shared[0]);
    b.client_at(30);
    b.get(syn());
    b.out();
    b.get(ack(1, 1));
    assert!(b.tcp.accept(shared[1]).is_ok(), "who is left gets all");
}

/// H058: what happened is told to the counters.
#[test]
fn what_listeners_do_is_told() {
    let mut b = Bench::listening(quiet(), 1);
    let told = |b: &mut Bench, s: In<'_>| {
        let parts = [s.payload];
        let segment = s.segment(b.iss, &parts);
        let (tuple, interface) = (b.tuple, b.interface);
        let outcome = b.tcp.on_segment(&tuple, interface, MTU, &segment, b.now, &mut b.pool);
        if let Some(Reply::SynAck { seq, .. }) = outcome.reply {
            b.iss = seq;
        }
        outcome.handshaking
    };
    b.client_at(1);
    assert_eq!(told(&mut b, syn()), None);
    b.out();
    b.client_at(2);
    assert_eq!(told(&mut b, syn()), Some(Handshaking::CookieSent));
    assert_eq!(told(&mut b, ack(1, 1)), Some(Handshaking::CookieAccepted));
    b.accept();
    b.advance(3_100);
    b.client_at(3);
    assert_eq!(told(&mut b, syn()), Some(Handshaking::Evicted));
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

/// H058, H010: a client that has answered does not give way to one that has not; one that never did
/// does.
#[test]
fn who_has_answered_keeps_its_place() {
    let mut b = Bench::listening(quiet(), 1);
    let mut isses = vec![];
    for port in [1, 2] {
        b.client_at(port);
        b.cookie_or_syn_ack();
        isses.push(b.iss);
    }
    // Client 2 came with a cookie and waits for accept. Then 1 answers, too.
    assert_eq!(b.get(ack(1, 1)), None);
    (b.tuple.remote_port, b.iss) = (1, isses[0]);
    assert_eq!(b.get(ack(1, 1)), Some(Refused::AcceptQueueFull));
    // Its SYN-ACK was repeated often: still it is not silent.
    b.advance(20_000);
    b.accept();
    b.client_at(3);
    assert_eq!(b.get(syn()), Some(Refused::AcceptQueueFull));
    (b.tuple.remote_port, b.iss) = (1, isses[0]);
    assert_eq!(b.get(ack(1, 1)), None);
    b.accept();
    assert_eq!(b.state(), State::Established);
    // A silent one gives way.
    for port in [4, 5] {
        b.client_at(port);
        b.cookie_or_syn_ack();
        b.advance(5_000);
    }
    assert_eq!(b.tcp.len(), 3);
}

impl Bench {
    /// A SYN. Is it answered, by a cookie or a SYN-ACK?
    fn is_answered(&mut self) -> bool {
        self.replies.clear();
        if self.get(syn()).is_some() {
            return false;
        }
        match self.replies[..] {
            [Reply::SynAck { seq, .. }] => self.iss = seq,
            _ => assert!(self.out().iter().any(|o| o.is(SYN_ACK) && o.seq == 0)),
        }
        true
    }

    fn cookie_or_syn_ack(&mut self) {
        assert!(self.is_answered());
    }
}

/// H058, R03: where few connections can be in use at once, a flood leaves half of that to those that
/// are established; the others get cookies.
#[cfg(feature = "parking")]
#[test]
fn a_flood_leaves_half_of_what_can_be_in_use() {
    let active = Vec::leak((0..4).map(|_| Slot::EMPTY).collect());
    let mut b = Bench::with_room(quiet(), ManagedSlice::Borrowed(active));
    b.listener = Some(b.tcp.listen(core::net::Ipv4Addr::UNSPECIFIED.into(), PORT, 4, false).unwrap().0);
    let mut opened = [1, 2, 3].map(|port| {
        b.client_at(port);
        b.cookie_or_syn_ack();
        b.get(ack(1, 1));
        b.accept();
        (b.tuple, b.key, b.iss)
    });
    for port in 10..100 {
        b.client_at(port);
        b.is_answered();
    }
    assert_eq!(b.tcp.len(), 5, "two of ninety are kept");
    for (tuple, key, iss) in &mut opened {
        (b.tuple, b.key, b.iss) = (*tuple, *key, *iss);
        assert_eq!(b.get(data(1, 1, b"heard")), None);
        assert_eq!(b.read(9).unwrap(), b"heard");
        b.advance(50);
    }
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
