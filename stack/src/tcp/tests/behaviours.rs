//! What the black-box suites of other stacks ask of a TCP, where no other test asks it.

use super::*;

fn reset_of(b: &mut Bench) -> Option<Reset> {
    match b.replies.drain(..).collect::<Vec<_>>()[..] {
        [Reply::Reset(reset)] => Some(reset),
        _ => None,
    }
}

/// B01: an acknowledgment of SYN-RECEIVED that is one off earns a reset with its own number.
#[test]
fn a_wrong_acknowledgment_in_syn_received() {
    for wrong in [0, 2] {
        let mut b = Bench::listening(quiet(), 4);
        b.get(syn());
        b.out();
        b.get(ack(1, wrong));
        assert_eq!(reset_of(&mut b), Some(Reset { seq: b.iss + wrong, ack: None, timestamps: None }));
        b.get(ack(1, 1));
        b.accept();
        assert_eq!(b.state(), State::Established, "the right one still counts");
    }
}

/// B01: after a reset in SYN-RECEIVED there is no connection: its last ACK earns a reset.
#[test]
fn a_reset_in_syn_received_forgets() {
    let mut b = Bench::listening(quiet(), 4);
    b.get(syn());
    b.out();
    b.get(rst(1));
    assert_eq!(b.tcp.len(), 0);
    b.get(ack(1, 1));
    assert_eq!(reset_of(&mut b), Some(Reset { seq: b.iss + 1, ack: None, timestamps: None }));
}

/// B01: both open at once, and then the peer resets: refused, as any other open.
#[test]
fn a_reset_in_a_simultaneous_open() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(syn());
    b.out();
    assert_eq!(b.state(), State::SynReceived);
    b.get(rst(1));
    assert_eq!(b.connected(), Err(Error::ConnectionRefused));
}

/// B01: a SYN with window 0 and a last ACK with 0x8000: payload goes at once, not as a probe.
#[test]
fn a_window_that_opens_with_the_last_ack() {
    let mut b = Bench::listening(quiet(), 4);
    b.get(syn().win(0));
    b.out();
    b.get(ack(1, 1).win(0x8000));
    b.accept();
    b.write(&pattern(1000)).unwrap();
    assert_eq!(brief(&b.out()), [(1, 1000, 1)]);
}

/// B03: what is written before the connection stands goes when it does; reading waits; a refusal
/// ends both.
#[test]
fn writing_and_reading_in_syn_sent() {
    let mut b = Bench::connecting(quiet());
    b.out();
    assert_eq!(b.write(b"early"), Ok(5));
    assert_eq!(b.read(10), Err(Error::WouldBlock));
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
    let out = b.out();
    assert!(out.iter().any(|o| o.payload == b"early"), "{out:?}");
    let mut b = Bench::connecting(quiet());
    b.out();
    b.write(b"early").unwrap();
    b.get(segment(Flags::RST | Flags::ACK, 0, 1));
    assert_eq!(b.read(10), Err(Error::ConnectionRefused));
    assert_eq!(b.write(b"x"), Err(Error::ConnectionRefused));
}

/// B05: payload and FINs beyond the window are answered once in half a second, in CLOSING too; at the
/// edge of a closed window always.
#[test]
fn beyond_the_window() {
    for closing in [false, true] {
        let mut b = Bench::server();
        let mut next = 1;
        if closing {
            b.shutdown();
            b.out();
            b.get(fin(1, 1));
            b.out();
            assert_eq!(b.state(), State::Closing);
            next = 2;
        }
        let answers = |b: &mut Bench, s: In<'_>| {
            b.get(s);
            b.out().len()
        };
        let far = next + (1 << 20);
        assert_eq!(answers(&mut b, data(far, 1, b"text")), 1);
        assert_eq!(answers(&mut b, fin(far, 1)), 0, "within half a second");
        b.now += Duration::from_millis(501);
        assert_eq!(answers(&mut b, fin(far, 1)), 1);
    }
    let mut b = Bench::server_with(TcpConfig { receive_buffer: 4096, ..quiet() }, syn());
    b.get(data(1, 1, &pattern(4096)));
    b.out();
    for _ in 0..5 {
        b.get(data(4097, 1, b"?"));
        assert_eq!(b.out().len(), 1, "a window probe");
    }
}

/// B06: in every state that stands, an acknowledgment of what was never sent is answered and changes
/// nothing; an old one is no reason for anything.
#[test]
fn acknowledgments_in_every_state() {
    type Reach = fn(&mut Bench);
    let states: [(State, Reach); 5] = [
        (State::Established, |_| ()),
        (State::CloseWait, |b| _ = b.get(fin(1, 1))),
        (State::FinWait1, Bench::shutdown),
        (State::FinWait2, |b| {
            b.shutdown();
            b.out();
            b.get(ack(1, 2));
        }),
        (State::Closing, |b| {
            b.shutdown();
            b.out();
            b.get(fin(1, 1));
        }),
    ];
    for (state, reach) in states {
        let mut b = Bench::server();
        reach(&mut b);
        b.out();
        assert_eq!(b.state(), state);
        let next = if matches!(state, State::CloseWait | State::Closing) { 2 } else { 1 };
        b.get(ack(next, 1000));
        let out = b.out();
        assert!(out.len() == 1 && out[0].is(Flags::ACK) && out[0].ack == next, "{state:?}: {out:?}");
        b.get(ack(next, 0));
        assert!(b.out().is_empty());
        assert_eq!(b.state(), state);
    }
}

/// B07: the FIN is repeated in FIN-WAIT-1 and in CLOSING.
#[test]
fn the_fin_is_repeated() {
    for closing in [false, true] {
        let mut b = Bench::server();
        b.shutdown();
        b.out();
        if closing {
            b.get(fin(1, 1));
            b.out();
        }
        let again = b.advance(5000);
        let fins = again.iter().filter(|(_, o)| o.flags.has(Flags::FIN)).count();
        assert!(fins >= 2, "{again:?}");
    }
}

/// B08: payload goes into a window that is partly open, up to its edge.
#[test]
fn a_window_that_is_partly_open() {
    let mut b = Bench::server();
    b.write(&pattern(5000)).unwrap();
    b.out();
    b.get(ack(1, 5001).win(2000));
    b.write(&pattern(4000)).unwrap();
    let out = b.out();
    assert!(!out.is_empty() && out.iter().all(|o| o.seq + o.len() <= 7001), "{:?}", brief(&out));
}

/// B10: our timestamps never go back, and echo the peer's last that counted; an old one is
/// acknowledged and its payload dropped.
#[test]
fn timestamps_in_order() {
    let mut b = Bench::server_with(quiet(), syn().ts(1000, 0));
    let mut last = None;
    for n in 0..20u32 {
        b.now += Duration::from_millis(37);
        b.get(data(1 + n * 3, 1, b"abc").ts(1001 + n, 0));
        b.write(b"x").unwrap();
        for o in b.out() {
            let t = o.options.timestamps.unwrap();
            assert!(last.is_none_or(|l| Seq(l).at_or_before(Seq(t.value))));
            assert!(t.echo >= 1000 && t.echo <= 1001 + n);
            last = Some(t.value);
        }
    }
    b.get(data(61, 1, b"old").ts(500, 0));
    assert_eq!(b.out().pop().map(|o| o.ack), Some(61));
}
