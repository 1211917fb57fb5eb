//! TCP Fast Open, as server and as client (RFC 7413, T09).

use super::*;
use crate::tcp::segment::FastOpen;

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
    b.get(syn().fast_open(cookie).text(b"0123456789"));
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
    assert!(other_kind.is_experimental && other_kind.cookie() == first.cookie());
    b.get(rst(1));
    b.tuple.remote = IpAddr::from([10, 0, 0, 3]);
    assert_ne!(cookie(&mut b).cookie(), first.cookie());
    for mut none in [server(0), Bench::listening(quiet(), 4)] {
        none.get(syn().fast_open(request()));
        assert_eq!(none.out()[0].options.fast_open, None);
    }
}

/// T09: text with a good cookie is readable before the third segment, and what is written goes out
/// before it.
//= rfc7413#4.2.2
#[test]
fn text_is_there_at_once() {
    let mut b = server(4);
    let cookie = cookie(&mut b);
    b.get(syn().fast_open(cookie).text(b"0123456789").scale(3).sack_permitted().ts(7, 0));
    accepted(&mut b).unwrap();
    assert_eq!((b.state(), b.read(100).unwrap()), (State::SynReceived, b"0123456789".to_vec()));
    b.write(b"answer").unwrap();
    let out = b.out();
    assert_eq!(brief(&out), [(0, 0, 11), (1, 6, 11)]);
    assert!(out[0].is(Flags::SYN | Flags::ACK) && out[1].is(Flags::ACK));
    let options = out[0].options;
    assert!(options.sack_permitted && options.window_scale.is_some() && options.mss == Some(1460));
    assert_eq!((options.timestamps.unwrap().echo, options.fast_open), (7, None));
    let third = ack(11, 7).ts(8, options.timestamps.unwrap().value);
    b.get(third);
    assert_eq!((b.state(), brief(&b.out())), (State::Established, vec![]));
    assert_eq!(b.tcp.settings.counts.get(TcpCount::FastOpensPassive), 1);
    b.get(data(11, 7, b"more").ts(9, 0));
    assert_eq!(b.read(100).unwrap(), b"more");
}

/// T09: a wrong cookie opens as usual, its text is not acknowledged, and a good cookie comes back.
//= rfc7413#4.2.2
#[test]
fn a_wrong_cookie() {
    let mut b = server(4);
    let good = cookie(&mut b);
    b.get(syn().fast_open(FastOpen::new(&[9; 8], false).unwrap()).text(b"0123456789"));
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
    b.get(syn().fast_open(old).text(b"text"));
    let out = b.out();
    assert_eq!(brief(&out), [(0, 0, 5)]);
    let new = out[0].options.fast_open.unwrap();
    assert_ne!(new, old);
    b.get(rst(5));
    b.now += hours(4);
    b.get(syn().fast_open(old).text(b"text"));
    assert_eq!(brief(&b.out()), [(0, 0, 1)]);
    b.get(rst(1));
    b.get(syn().fast_open(new).text(b"text"));
    assert_eq!(brief(&b.out()), [(0, 0, 5)]);
}

/// T09, H006: the SYN again, with its text, gets the SYN-ACK again, and the text counts once.
#[test]
fn the_syn_comes_twice() {
    let mut b = opened();
    b.get(syn().text(b"0123456789"));
    assert_eq!(brief(&b.out()), [(0, 0, 11)]);
    b.get(ack(11, 1));
    assert_eq!((b.state(), b.read(100).unwrap()), (State::Established, b"0123456789".to_vec()));
    assert_eq!((b.read(100), accepted(&mut b)), (Err(Error::WouldBlock), Err(Error::WouldBlock)));
}

/// T09: the SYN-ACK is repeated, text is not, until the client answers; then it goes again, if the
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
    assert_eq!(b.get(ack(11, 100)), Some(Refused::Engine(crate::tcp::tcb::Dropped::BadAck)));
    assert!(matches!(b.replies.pop(), Some(Reply::Reset(_))));
    assert!(b.get(ack(11, 0)).is_some() && b.replies.pop().is_some());
    assert_eq!(b.state(), State::SynReceived);
    b.get(rst(11));
    assert_eq!(b.read(100), Err(Error::ConnectionReset));
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
        b.get(syn().fast_open(cookie).text(b"text"));
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
    b.get(syn().fast_open(request()).text(b"text"));
    let reply = b.replies.pop().unwrap();
    let Reply::SynAck { ack, options, .. } = reply else { panic!("{reply:?}") };
    assert_eq!((ack, options.fast_open), (PEER_ISS + 1, None));
}
