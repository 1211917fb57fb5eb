//! The listener: SYN queue, accept queue, limits.

use super::*;
use crate::base::slab::Slot;
use crate::tcp::Handshaking;

pub(super) const SYN_ACK: Flags = Flags(0x12);

pub(super) fn always() -> TcpConfig {
    TcpConfig { syn_cookies: SynCookies::Always, ..quiet() }
}

/// A SYN with everything that clients offer.
pub(super) fn full_syn<'a>() -> In<'a> {
    syn().scale(7).ts(1_000, 0)
}

impl Bench {
    /// Another client.
    pub(super) fn client_at(&mut self, port: u16) {
        (self.tuple.remote_port, self.iss) = (port, Seq(0));
    }

    /// The cookie that answers a SYN; from now on numbers are relative to it.
    pub(super) fn cookie(&mut self, syn: In<'_>) -> Options {
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
    pub(super) fn resets(&mut self) -> usize {
        assert!(self.replies.iter().all(|r| matches!(r, Reply::Reset(_))), "{:?}", self.replies);
        std::mem::take(&mut self.replies).len()
    }

    pub(super) fn get_from(&mut self, tuple: Tuple, s: In<'_>) -> Option<Refused> {
        let before = std::mem::replace(&mut self.tuple, tuple);
        let refused = self.get(s);
        self.tuple = before;
        refused
    }
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
    pub(super) fn is_answered(&mut self) -> bool {
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

    pub(super) fn cookie_or_syn_ack(&mut self) {
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
