//! TCP Fast Open, as server and as client (RFC 7413, T09).

use super::*;
use crate::tcp::fast_open::FastOpen;

/// A server that takes so many early openings.
fn server(most: u16) -> Bench {
    let options = TcpOptions { fast_open_backlog: most, ..TcpOptions::default() };
    Bench::listening(TcpConfig { options, ..quiet() }, 4)
}

impl<'a> In<'a> {
    fn fast_open(mut self, option: FastOpen) -> Self {
        self.options.fast_open = Some(option);
        self
    }
}

fn request() -> FastOpen {
    FastOpen::default()
}

/// The client asks for a cookie, and is gone.
fn cookie(b: &mut Bench) -> FastOpen {
    b.get(syn().fast_open(request()));
    let granted = b.out()[0].options.fast_open.unwrap();
    b.get(rst(1));
    granted
}

fn accepted(b: &mut Bench) -> Result<(), Error> {
    b.key = Some(b.tcp.accept(b.listener.unwrap())?);
    Ok(())
}

/// A server to which a client with a cookie has sent ten bytes with its SYN; accepted, and the
/// SYN-ACK sent.
fn opened() -> Bench {
    let mut b = server(4);
    let cookie = cookie(&mut b);
    b.get(syn().fast_open(cookie).payload(b"0123456789"));
    accepted(&mut b).unwrap();
    assert_eq!(brief(&b.out()), [(0, 0, 11)]);
    b
}

/// T09: who asks gets a cookie, the same each time, in the kind of option that it used; without
/// the listener's consent nobody does.
//= rfc7413#4.1.2
#[test]
fn a_cookie_for_who_asks() {
    let mut b = server(4);
    let first = cookie(&mut b);
    assert_eq!(first.cookie().len(), 8);
    b.now += Duration::from_secs(60);
    assert_eq!(cookie(&mut b), first);
    b.tuple.remote_port += 1;
    assert_eq!(cookie(&mut b), first, "it is the address that counts");
    b.get(syn().fast_open(FastOpen::new(&[], true).unwrap()));
    let other_kind = b.out()[0].options.fast_open.unwrap();
    assert!(other_kind.is_experimental() && other_kind.cookie() == first.cookie());
    b.get(rst(1));
    b.tuple.remote = IpAddr::from([10, 0, 0, 3]);
    assert_ne!(cookie(&mut b).cookie(), first.cookie());
    for mut none in [server(0), Bench::listening(quiet(), 4)] {
        none.get(syn().fast_open(request()));
        assert_eq!(none.out()[0].options.fast_open, None);
    }
}

/// T09: payload with a good cookie is readable before the third segment, and what is written goes out
/// before it.
//= rfc7413#4.2.2
#[test]
fn text_is_there_at_once() {
    let mut b = server(4);
    let cookie = cookie(&mut b);
    b.get(syn().fast_open(cookie).payload(b"0123456789").scale(3).sack_permitted().ts(7, 0));
    accepted(&mut b).unwrap();
    assert_eq!((b.state(), b.read(100).unwrap()), (State::SynReceived, b"0123456789".to_vec()));
    b.write(b"answer").unwrap();
    let out = b.out();
    assert_eq!(brief(&out), [(0, 0, 11), (1, 6, 11)]);
    assert!(out[0].is(Flags::SYN | Flags::ACK) && out[1].is(Flags::ACK));
    let options = out[0].options;
    assert_eq!(options.sack_permitted, cfg!(feature = "sack"));
    assert!(options.window_scale.is_some() && options.mss == Some(1460));
    assert_eq!((options.timestamps.unwrap().echo, options.fast_open), (7, None));
    let third = ack(11, 7).ts(8, options.timestamps.unwrap().value);
    b.get(third);
    assert_eq!((b.state(), brief(&b.out())), (State::Established, vec![]));
    assert_eq!(b.tcp.settings.counts.get(TcpCount::FastOpensPassive), 1);
    b.get(data(11, 7, b"more").ts(9, 0));
    assert_eq!(b.read(100).unwrap(), b"more");
}

/// T09: a wrong cookie opens as usual, its payload is not acknowledged, and a good cookie comes back.
//= rfc7413#4.2.2
#[test]
fn a_wrong_cookie() {
    let mut b = server(4);
    let good = cookie(&mut b);
    b.get(syn().fast_open(FastOpen::new(&[9; 8], false).unwrap()).payload(b"0123456789"));
    assert_eq!(accepted(&mut b), Err(Error::WouldBlock));
    let out = b.out();
    assert_eq!((brief(&out), out[0].options.fast_open), (vec![(0, 0, 1)], Some(good)));
    b.get(data(1, 1, b"0123456789"));
    accepted(&mut b).unwrap();
    assert_eq!(b.read(100).unwrap(), b"0123456789");
}

/// T09: a cookie is good until the epoch after its own ends; in that one the client gets a new one.
//= rfc7413#4.1.2
#[test]
fn an_old_cookie() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let mut b = server(4);
    let old = cookie(&mut b);
    b.now += hours(4);
    b.get(syn().fast_open(old).payload(b"text"));
    let out = b.out();
    assert_eq!(brief(&out), [(0, 0, 5)]);
    let new = out[0].options.fast_open.unwrap();
    assert_ne!(new, old);
    b.get(rst(5));
    b.now += hours(4);
    b.get(syn().fast_open(old).payload(b"text"));
    assert_eq!(brief(&b.out()), [(0, 0, 1)]);
    b.get(rst(1));
    b.get(syn().fast_open(new).payload(b"text"));
    assert_eq!(brief(&b.out()), [(0, 0, 5)]);
}

/// T09, H006: the SYN again, with its payload, gets the SYN-ACK again, and the payload counts once.
#[test]
fn the_syn_comes_twice() {
    let mut b = opened();
    b.get(syn().payload(b"0123456789"));
    assert_eq!(brief(&b.out()), [(0, 0, 11)]);
    b.get(ack(11, 1));
    assert_eq!((b.state(), b.read(100).unwrap()), (State::Established, b"0123456789".to_vec()));
    assert_eq!((b.read(100), accepted(&mut b)), (Err(Error::WouldBlock), Err(Error::WouldBlock)));
}

/// T09: the SYN-ACK is repeated, payload is not, until the client answers; then it goes again, if the
/// client had no use for it.
#[test]
fn the_syn_ack_is_lost() {
    let mut b = opened();
    b.write(b"answer").unwrap();
    assert_eq!(brief(&b.out()), [(1, 6, 11)]);
    let out = b.advance(4000);
    let seen: Vec<_> =
        out.iter().map(|(at, o)| (*at, o.seq, o.len(), o.is(Flags::SYN | Flags::ACK))).collect();
    assert_eq!(seen, [(1000, 0, 0, true), (3000, 0, 0, true)]);
    b.get(ack(11, 1));
    assert_eq!(brief(&b.out()), [(1, 6, 11)]);
    b.get(ack(11, 7));
    assert!(b.advance(10_000).is_empty());
}

/// T09: a client that never answers is given up, and the application learns of it.
#[test]
fn nobody_answers() {
    let mut b = opened();
    assert_eq!(b.read(100).unwrap(), b"0123456789");
    b.advance(400_000);
    assert_eq!(b.read(100), Err(Error::TimedOut));
}

/// T09: a reset, or an acknowledgment of something never sent, in SYN-RECEIVED.
//= rfc9293#3.10.7.4 fifth, SYN-RECEIVED STATE
#[test]
fn a_reset_instead_of_the_third_segment() {
    let mut b = opened();
    assert_eq!(b.get(ack(11, 100)), Some(Refused::Engine(crate::tcp::connection::tcb::Dropped::BadAck)));
    assert!(matches!(b.replies.pop(), Some(Reply::Reset(_))));
    assert!(b.get(ack(11, 0)).is_some() && b.replies.pop().is_some());
    assert_eq!(b.state(), State::SynReceived);
    b.get(rst(11));
    assert_eq!(b.read(100).unwrap(), b"0123456789");
    assert_eq!(b.read(100), Err(Error::ConnectionReset));
}

/// T09: a client that somebody else's SYN has led astray: its SYN-ACK is answered with a reset, not with
/// another SYN-ACK, for ever.
#[test]
fn a_syn_ack_in_the_wrong_place() {
    let mut b = opened();
    b.get(segment(Flags::SYN | Flags::ACK, 0, 12_345));
    assert!(matches!(b.replies.pop(), Some(Reply::Reset(_))) && b.out().is_empty());
    b.get(ack(11, 1));
    assert_eq!(b.state(), State::Established);
}

/// T09: the listener's limit holds, and what a reset ended counts for a minute: or forgers would end
/// their own.
//= rfc7413#5.1
#[test]
fn so_many_and_no_more() {
    let mut b = server(1);
    let cookie = cookie(&mut b);
    let early = |b: &mut Bench| {
        b.tuple.remote_port += 1;
        b.get(syn().fast_open(cookie).payload(b"text"));
        b.out()[0].ack == 5
    };
    assert!(early(&mut b) && !early(&mut b));
    b.tuple.remote_port -= 1;
    b.get(rst(5));
    b.tuple.remote_port += 1;
    assert!(!early(&mut b));
    b.now += Duration::from_secs(61);
    assert!(early(&mut b) && !early(&mut b));
    b.tuple.remote_port -= 1;
    accepted(&mut b).unwrap();
    accepted(&mut b).unwrap();
    b.close();
    b.tuple.remote_port += 1;
    assert!(early(&mut b), "one that we ended ourselves counts no more");
}

/// T09: the server closes before the third segment; its FIN follows its answer.
#[test]
fn the_server_is_quick() {
    let mut b = opened();
    b.read(100).unwrap();
    b.write(b"answer").unwrap();
    b.shutdown();
    let out = b.out();
    assert!(brief(&out) == [(1, 6, 11)] && out[0].is(Flags::ACK | Flags::FIN));
    b.get(ack(11, 8));
    assert_eq!(b.state(), State::FinWait2);
}

/// T09: under a flood the handshake is the plain one, with SYN cookies.
#[test]
fn not_under_a_flood() {
    let options = TcpOptions { fast_open_backlog: 4, ..TcpOptions::default() };
    let config = TcpConfig { options, syn_cookies: SynCookies::Always, ..quiet() };
    let mut b = Bench::listening(config, 4);
    b.get(syn().fast_open(request()).payload(b"text"));
    let reply = b.replies.pop().unwrap();
    let Reply::SynAck { ack, options, .. } = reply else { panic!("{reply:?}") };
    assert_eq!((ack, options.fast_open), (PEER_ISS + 1, None));
}

fn syn_ack<'a>(ack: u32) -> In<'a> {
    segment(Flags::SYN | Flags::ACK, 0, ack).mss(1460)
}

fn known_cookie() -> FastOpen {
    FastOpen::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false).unwrap()
}

/// Another connection to the same server.
fn connect(b: &mut Bench) {
    b.tuple.local_port += 1;
    b.key = Some(b.tcp.connect(b.tuple, b.interface, b.mtu, None, b.now, &mut b.pool).unwrap());
    b.rest();
}

/// A client of a server whose cookie it has, with a second connection begun.
fn client() -> Bench {
    let options = TcpOptions { fast_open: true, ..TcpOptions::default() };
    let mut b = Bench::connecting(TcpConfig { options, timestamps: false, ..quiet() });
    assert_eq!(b.out()[0].options.fast_open, Some(request()));
    b.get(syn_ack(1).fast_open(known_cookie()));
    assert_eq!((b.connected(), brief(&b.out())), (Ok(()), vec![(1, 0, 1)]));
    connect(&mut b);
    b
}

/// T09: with a cookie, connecting is over at once and nothing is sent before the first write,
/// which goes with the SYN. What is written later waits for the server.
//= rfc7413#4.2.2
#[test]
fn the_first_write_goes_with_the_syn() {
    let mut b = client();
    assert_eq!((b.connected(), b.state(), b.out()), (Ok(()), State::SynSent, vec![]));
    b.write(b"request").unwrap();
    let out = b.out();
    assert!(out.len() == 1 && out[0].is(Flags::SYN) && out[0].payload == b"request");
    assert_eq!(out[0].options.fast_open, Some(known_cookie()));
    b.write(b"more").unwrap();
    assert!(b.out().is_empty());
    b.get(syn_ack(8));
    assert_eq!((b.state(), brief(&b.out())), (State::Established, vec![(8, 4, 1)]));
    b.get(data(1, 12, b"answer"));
    assert_eq!(b.read(100).unwrap(), b"answer");
    assert_eq!(b.count(TcpCount::FastOpensActive), 1);
}

/// T09, H269: while nobody has written there is nothing whose answer could be late: patience begins with the SYN.
#[test]
fn a_syn_that_waits_for_text_has_no_timeout() {
    let mut b = client();
    b.configure(|options| options.user_timeout = Some(Duration::from_secs(5)));
    assert_eq!((b.advance(600_000), b.state()), (vec![], State::SynSent));
    b.write(b"late").unwrap();
    assert_eq!(b.out()[0].payload, b"late");
    assert!(b.advance(4_900).iter().all(|(_, out)| out.is(Flags::SYN)));
    assert_eq!(b.state(), State::SynSent);
    b.advance(200);
    assert_eq!(b.read(9), Err(Error::TimedOut));
}

/// T09: payload with the SYN-ACK, which acknowledges ours.
#[test]
fn the_answer_comes_with_the_syn_ack() {
    let mut b = client();
    b.write(b"request").unwrap();
    b.out();
    b.get(syn_ack(8).payload(b"answer"));
    assert_eq!((b.read(100).unwrap(), brief(&b.out())), (b"answer".to_vec(), vec![(8, 0, 7)]));
}

/// T09: what is not acknowledged with the SYN goes again at once; and if that is all of it, Fast Open
/// rests with this server for a while.
//= rfc7413#4.2.2
//= rfc7413#4.1.3.1
#[test]
fn the_server_takes_part_of_it_or_nothing() {
    let mut b = client();
    b.write(b"request").unwrap();
    b.out();
    b.get(syn_ack(4));
    let out = b.out();
    assert_eq!((brief(&out), &out[0].payload[..]), (vec![(4, 4, 1)], &b"uest"[..]));
    connect(&mut b);
    b.write(b"request").unwrap();
    assert_eq!(b.out()[0].options.fast_open, Some(known_cookie()));
    b.get(syn_ack(1));
    assert_eq!(brief(&b.out()), [(1, 7, 1)]);
    connect(&mut b);
    let out = b.out();
    assert_eq!((b.connected(), out[0].options.fast_open), (Err(Error::WouldBlock), None));
    b.now += Duration::from_secs(601);
    connect(&mut b);
    assert_eq!(b.out()[0].options.fast_open, Some(request()));
}

/// T09: a new cookie takes the place of one that the server does not know any more.
//= rfc7413#4.1.3
#[test]
fn another_cookie() {
    let mut b = client();
    b.write(b"request").unwrap();
    b.out();
    let other = FastOpen::new(&[7; 16], false).unwrap();
    b.get(syn_ack(1).fast_open(other));
    b.out();
    connect(&mut b);
    b.write(b"request").unwrap();
    let out = b.out();
    assert_eq!((out[0].options.fast_open, out[0].len()), (Some(other), 7));
}

/// T09: as much as fits beside the options into the MSS that the server offered.
//= rfc7413#4.1.3
#[test]
fn no_more_than_fits() {
    let mut b = client();
    b.write(&pattern(3000)).unwrap();
    let out = b.out();
    assert_eq!((out.len(), out[0].len()), (1, MSS - out[0].options.len() as u32));
    b.get(syn_ack(1 + out[0].len()));
    let rest: u32 = b.out().iter().map(Out::len).sum();
    assert_eq!(out[0].len() + rest, 3000);
}

/// T09: a SYN that nobody answers goes again without payload and option, and so do the next ones.
//= rfc7413#4.1.3.1
#[test]
fn a_box_that_dislikes_it() {
    let mut b = client();
    b.write(b"request").unwrap();
    b.out();
    let out = b.advance(1000);
    assert_eq!((out.len(), out[0].1.len(), out[0].1.options.fast_open), (1, 0, None));
    b.get(syn_ack(1));
    assert_eq!(brief(&b.out()), [(1, 7, 1)]);
    connect(&mut b);
    assert_eq!(b.out()[0].options.fast_open, None);
}

/// T09: who reads first, waits for readable, or shuts down, sends the SYN without payload.
#[test]
fn nothing_to_go_with_the_syn() {
    for send in [
        |b: &mut Bench| assert_eq!(b.read(1), Err(Error::WouldBlock)),
        |b: &mut Bench| {
            b.tcp.register(b.key.unwrap(), Interest::Read, core::task::Waker::noop(), b.now, &b.pool)
        },
        |b: &mut Bench| b.shutdown(),
    ] {
        let mut b = client();
        send(&mut b);
        let out = b.out();
        assert!(out.len() == 1 && out[0].is(Flags::SYN) && out[0].payload.is_empty());
        b.get(syn_ack(1));
        assert!(!b.out().is_empty());
    }
}

/// T09, H003: what was written is delivered even if the application lets go before anybody answers;
/// if nothing was, nothing is left.
#[test]
fn let_go_at_once() {
    let mut b = client();
    b.write(b"request").unwrap();
    assert!(b.close().is_none());
    assert_eq!(b.out()[0].payload, b"request");
    b.get(syn_ack(1));
    let out = b.out();
    assert!(brief(&out) == [(1, 7, 1)] && out[0].flags.has(Flags::FIN));
    // Nobody reads the answer: it is acknowledged, and reset once the request was delivered.
    let held = b.pool.in_use();
    b.get(data(1, 1, &pattern(1_000)));
    b.get(data(1_001, 1, &pattern(1_000)));
    assert_eq!((b.out()[0].ack, b.pool.in_use(), b.replies.len()), (2_001, held, 0));
    b.get(ack(2_001, 8));
    assert!(matches!(b.replies[..], [Reply::Reset(_)]));
    let mut b = client();
    let before = b.tcp.len();
    assert!(b.close().is_none() && b.out().is_empty());
    assert_eq!(b.tcp.len(), before - 1);
}

/// T09: a refused connection is what the next call says.
#[test]
fn refused_after_all() {
    let mut b = client();
    b.write(b"request").unwrap();
    b.out();
    b.get(segment(Flags::RST | Flags::ACK, 0, 8));
    assert_eq!((b.read(1), b.connected()), (Err(Error::ConnectionRefused), Err(Error::ConnectionRefused)));
    assert_eq!(b.count(TcpCount::FailedOpens), 1);
}

/// T09, H004: both open at once, and the SYN had payload.
#[test]
fn both_at_once() {
    let mut b = client();
    b.write(b"request").unwrap();
    b.out();
    b.get(syn());
    let out = b.out();
    assert!(out[0].is(Flags::SYN | Flags::ACK) && out[0].payload.is_empty());
    assert_eq!(out[0].options.fast_open, None);
    b.get(ack(1, 8));
    assert_eq!((b.state(), b.out()), (State::Established, vec![]));
}

/// T09: sixteen servers are remembered, those last heard of.
#[test]
fn many_servers() {
    let mut b = client();
    for n in 10..27 {
        b.tuple.remote = IpAddr::from([10, 0, 0, n]);
        connect(&mut b);
        assert_eq!(b.out()[0].options.fast_open, Some(request()));
        b.get(syn_ack(1).fast_open(known_cookie()));
        b.out();
        b.tcp.abort(b.key.unwrap(), b.now, &mut b.pool);
    }
    let mut knows = |n| {
        b.tuple.remote = IpAddr::from([10, 0, 0, n]);
        connect(&mut b);
        let knows = b.connected().is_ok();
        b.tcp.abort(b.key.unwrap(), b.now, &mut b.pool);
        knows
    };
    assert!(knows(26) && knows(11) && !knows(10) && !knows(2));
}
