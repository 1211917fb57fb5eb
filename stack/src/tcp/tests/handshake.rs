use super::*;

const SYN_ACK: Flags = Flags(0x12);

/// H001: the acknowledgment of our SYN-ACK stops its timer, also for a server that only receives.
//= rfc9293#3.10.7.4
#[test]
fn the_handshake_leaves_no_timer_behind() {
    let mut b = Bench::server();
    assert_eq!(b.advance(400_000), []);
    b.get(data(1, 1, b"late"));
    assert_eq!((b.state(), b.read(10).unwrap()), (State::Established, b"late".to_vec()));
}

/// H001: the exchange is an RTT sample: the first data is not repeated after the initial second.
#[test]
fn the_handshake_is_a_sample() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    b.out();
    b.advance(100);
    b.get(ack(1, 1));
    b.accept();
    b.write(b"x").unwrap();
    b.out();
    let again = b.advance(2_000);
    assert_eq!(again[0].0, 300, "SRTT + 4 * RTTVAR with one sample of 100 ms");
}

/// H002: closed while the handshake goes on: the SYN keeps its number and its timer, and the FIN
/// follows it.
//= rfc9293#3.10.4
#[test]
fn a_close_before_the_handshake_is_over() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(syn());
    let out = b.out();
    assert!(out[0].is(SYN_ACK) && out[0].seq == 0 && out[0].ack == 1);
    b.shutdown();
    let again = b.advance(2_500);
    assert!(again.iter().all(|(_, o)| o.is(SYN_ACK) && o.seq == 0) && !again.is_empty(), "{again:?}");
    b.get(ack(1, 1));
    let out = b.out();
    assert!(out.len() == 1 && out[0].is(Flags::ACK | Flags::FIN) && out[0].seq == 1, "{out:?}");
    assert_eq!(b.state(), State::FinWait1);
    b.get(ack(1, 2));
    assert_eq!(b.state(), State::FinWait2);
}

/// H003: a connect that is given up leaves nothing, and a late SYN-ACK is answered by a reset.
//= rfc9293#3.10.4
#[test]
fn a_connect_can_be_cancelled() {
    let mut b = Bench::connecting(quiet());
    b.out();
    let waits = b.wait(Interest::Write);
    assert_eq!(b.close(), None);
    assert_eq!((b.tcp.len(), b.pool.in_use(), b.tcp.deadline()), (0, 0, None));
    b.wake();
    assert_eq!(waits.get(), 1, "who waits for the connection is told");
    let dropped = b.get(segment(SYN_ACK, 0, 1));
    assert_eq!(dropped, Some(Refused::NoConnection));
    assert_eq!(b.replies, [Reply::Reset(Reset { seq: b.iss + 1, ack: None, timestamps: None })]);
    assert!(b.tcp.connect(b.tuple, b.interface, MTU, None, b.now, &mut b.pool).is_ok());
}

/// H004, T01: both ends open at once, and it becomes one connection without a storm.
//= rfc9293#3.5 MUST-10
#[test]
fn simultaneous_open() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(syn());
    assert_eq!(b.state(), State::SynReceived);
    let out = b.out();
    assert!(out.len() == 1 && out[0].is(SYN_ACK) && (out[0].seq, out[0].ack) == (0, 1), "{out:?}");
    b.get(segment(SYN_ACK, 0, 1).mss(1460));
    assert_eq!((b.state(), b.connected()), (State::Established, Ok(())));
    assert!(b.out().iter().all(|o| o.is(Flags::ACK) && o.seq == 1), "no third SYN-ACK");
    // The peer's copy of the same, late.
    b.get(segment(SYN_ACK, 0, 1).mss(1460));
    assert!(b.out().iter().all(|o| o.is(Flags::ACK)));
    b.write(b"ours").unwrap();
    assert_eq!(brief(&b.out()), [(1, 4, 1)]);
}

/// H005: a SYN is repeated, ever more rarely, for three minutes at least, and then it is `TimedOut`.
//= rfc9293#3.8.3 MUST-22, MUST-23
#[test]
fn a_syn_without_an_answer_times_out() {
    let mut b = Bench::connecting(quiet());
    b.out();
    let again = b.advance(179_999);
    let times: Vec<u64> = again.iter().map(|(ms, _)| ms / 1000).collect();
    assert_eq!(times, [1, 3, 7, 15, 31, 63, 123]);
    assert!(again.iter().all(|(_, o)| o.is(Flags::SYN) && o.seq == 0));
    assert_eq!(b.connected(), Err(Error::WouldBlock));
    assert_eq!(b.advance(60_000), []);
    assert_eq!(b.connected(), Err(Error::TimedOut));
    assert_eq!(b.read(1), Err(Error::TimedOut));
}

/// H005: so does a SYN-ACK, without anybody noticing.
#[test]
fn a_half_open_connection_goes() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    b.out();
    assert_eq!(b.advance(400_000).len(), 7);
    assert_eq!(b.tcp.len(), 0);
    b.get(syn());
    assert_eq!(b.out().len(), 1, "the place in the backlog is free again");
}

/// H006: a repeated SYN finds its half-open connection: the same number, no second record.
#[test]
fn a_repeated_syn_is_answered_again() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    let first = b.out();
    b.now += Duration::from_millis(500);
    assert_eq!(b.get(syn()), None);
    let second = b.out();
    assert_eq!((first[0].seq, second[0].seq, b.tcp.len()), (0, 0, 1));
    b.get(ack(1, 1));
    b.accept();
    assert_eq!(b.state(), State::Established);
}

impl Bench {
    /// Another client, with a port of its own. What it knew of our numbers it keeps itself.
    fn as_client(&mut self, port: u16, iss: Seq) {
        self.tuple.remote_port = port;
        self.iss = iss;
    }
}

/// H010, T13, B02: with the accept queue full, the last step of a handshake waits: our SYN-ACK comes again,
/// and after an `accept` it succeeds. H011: SYNs that come together are all answered.
#[test]
fn a_full_accept_queue_holds_the_handshake_back() {
    let mut b = Bench::listening(without_cookies(), 2);
    let mut isses = vec![];
    for port in [1, 2] {
        b.as_client(port, Seq(0));
        b.get(syn());
    }
    assert_eq!(b.out().len(), 2, "both in one batch");
    for port in [1, 2] {
        b.as_client(port, Seq(0));
        b.get(syn());
        assert!(b.out()[0].is(SYN_ACK));
        isses.push(b.iss);
    }
    b.as_client(3, Seq(0));
    assert_eq!(b.get(syn()), Some(Refused::SynQueueFull), "the SYN queue is full too");
    b.as_client(1, isses[0]);
    b.get(ack(1, 1));
    b.as_client(3, Seq(0));
    b.get(syn());
    b.out();
    let third = b.iss;
    b.as_client(2, isses[1]);
    b.get(ack(1, 1));
    b.as_client(3, third);
    assert_eq!(b.get(ack(1, 1)), Some(Refused::AcceptQueueFull));
    assert_eq!(b.get(data(1, 1, b"early")), Some(Refused::AcceptQueueFull));
    let again = b.advance(1_100);
    assert!(again.iter().any(|(_, o)| o.is(SYN_ACK)), "{again:?}");
    b.accept();
    b.get(data(1, 1, b"early"));
    b.accept();
    b.accept();
    assert_eq!(b.read(10).unwrap(), b"early");
    assert_eq!(b.tcp.accept(b.listener.unwrap()), Err(Error::WouldBlock));
}

/// MUST-10: payload and FIN on the SYN of a peer that opens at the same time wait for the connection, and those of
/// its SYN-ACK count, too; what came on both, or finds no memory, counts once.
//= rfc9293#3.10.7.3
#[test]
fn text_of_a_simultaneous_open() {
    type Syn = In<'static>;
    let syn_ack = |payload: &'static [u8]| segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460).payload(payload);
    let open = |first: Syn, second: Syn, leaves: usize| {
        let mut b = Bench::connecting(quiet());
        b.out();
        let mut hog = crate::base::pool::Chain::new();
        while leaves > 0 && b.pool.available() > leaves {
            hog.append(&mut b.pool, &pattern(500), crate::base::pool::Need::Control);
        }
        b.get(first);
        hog.clear(&mut b.pool);
        assert_eq!((b.read(9), b.out()[0].ack), (Err(Error::WouldBlock), 1), "the SYN alone");
        b.get(second);
        b
    };
    for first in [
        syn().payload(b"abc"),
        syn().payload(b"abc"),
        In { flags: Flags::SYN | Flags::FIN, ..syn().payload(b"abc") },
    ] {
        let ends = first.flags.has(Flags::FIN);
        let nxt = if ends { 5 } else { 4 };
        let mut b = open(first, ack(nxt, 1), 0);
        assert_eq!(b.read(9).unwrap(), b"abc");
        assert_eq!(
            (b.state(), b.read(9).ok()),
            match ends {
                true => (State::CloseWait, Some(vec![])),
                false => (State::Established, None),
            }
        );
        // A lone segment's payload may wait for its acknowledgment, a FIN does not.
        let out = if ends { b.out() } else { b.advance(40).into_iter().map(|(_, out)| out).collect() };
        assert_eq!((out[0].ack, b.pool.in_use()), (nxt, 0));
        let mut b = open(first, syn_ack(b"abcde"), 0);
        assert_eq!(b.read(9).unwrap(), if ends { &b"abc"[..] } else { b"abcde" });
    }
    let mut b = open(syn(), In { flags: Flags::SYN | Flags::ACK | Flags::FIN, ..syn_ack(b"abc") }, 0);
    assert_eq!(
        (b.read(9).unwrap(), b.read(9).unwrap(), b.state()),
        (b"abc".to_vec(), vec![], State::CloseWait)
    );
    let mut b = open(syn().payload(b"abc"), ack(1, 1).payload(b"abc"), 1_000);
    assert_eq!(b.read(9).unwrap(), b"abc");

    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(syn().payload(b"abc"));
    b.get(rst(1));
    assert_eq!((b.read(9), b.pool.in_use()), (Err(Error::ConnectionRefused), 0));
}

/// A connection that was reset before anybody accepted it is still handed out, gives what came before, and
/// says so.
#[test]
fn a_reset_before_accept() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    b.out();
    b.get(data(1, 1, b"gone"));
    b.get(rst(5));
    b.accept();
    assert_eq!((b.read(10).unwrap(), b.connected()), (b"gone".to_vec(), Ok(())));
    assert_eq!(b.read(10), Err(Error::ConnectionReset));
    assert_eq!(b.close(), None);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// MUST-11: a reset in SYN-RECEIVED goes unnoticed after a passive open, and refuses an active one.
//= rfc9293#3.5 MUST-11
#[test]
fn a_reset_in_syn_received() {
    let mut b = Bench::listening(quiet(), 1);
    b.get(syn());
    b.out();
    b.get(rst(1));
    assert_eq!(b.tcp.len(), 0);
    assert_eq!(b.tcp.accept(b.listener.unwrap()), Err(Error::WouldBlock));

    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(syn());
    b.out();
    b.get(rst(50));
    assert_eq!(b.state(), State::SynReceived, "inside the window, but not exact");
    b.get(rst(1));
    assert_eq!(b.connected(), Err(Error::ConnectionRefused));
}

/// A SYN-SENT connection believes only what answers its own SYN.
//= rfc9293#3.10.7.3
#[test]
fn syn_sent_believes_only_an_answer() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(segment(Flags::RST | Flags::ACK, 0, 7));
    b.get(rst(0));
    b.get(segment(SYN_ACK, 0, 2));
    assert_eq!(b.replies, [Reply::Reset(Reset { seq: b.iss + 2, ack: None, timestamps: None })]);
    b.get(fin(0, 1).payload(b"x"));
    assert_eq!(b.state(), State::SynSent);
    b.get(segment(Flags::RST | Flags::ACK, 0, 1));
    assert_eq!(b.connected(), Err(Error::ConnectionRefused));
}

/// H021: without an ACK, the reset has number 0 and acknowledges all of the segment.
//= rfc9293#3.10.7.1
#[test]
fn a_reset_for_a_segment_without_ack() {
    let mut b = Bench::new(quiet());
    b.get(segment(Flags::FIN, 10, 0).payload(b"abc"));
    assert_eq!(b.replies, [Reply::Reset(Reset { seq: Seq(0), ack: Some(PEER_ISS + 14), timestamps: None })]);
    b.replies.clear();
    b.get(rst(10));
    assert_eq!(b.replies, [], "never a reset for a reset");
}

/// H022: a SYN on a connection that stands is challenged, so that a peer that forgot the
/// connection resets it; its number does not matter.
//= rfc5961#4
#[test]
fn a_syn_on_a_connection_is_challenged() {
    for seq in [0, 1, 50, 0x4000_0000, 0x9000_0000] {
        let mut b = Bench::server();
        b.get(segment(Flags::SYN, seq, 0));
        let out = b.out();
        assert!(out.len() == 1 && out[0].is(Flags::ACK) && out[0].ack == 1, "{seq}: {out:?}");
        assert_eq!(b.state(), State::Established);
        b.get(segment(Flags::SYN, seq, 0));
        assert_eq!(b.out(), [], "{seq}: not twice in half a second");
        b.get(rst(1));
        assert_eq!(b.read(1), Err(Error::ConnectionReset));
    }
}

/// H036: a peer that does not say takes 536 bytes, by IPv6 1,220.
//= rfc9293#3.7.1 MUST-15
#[test]
fn what_the_peer_did_not_say() {
    let mut b = Bench::server_with(quiet(), segment(Flags::SYN, 0, 0).win(9_000));
    b.write(&pattern(2_000)).unwrap();
    let lens: Vec<u32> = b.out().iter().map(Out::len).collect();
    assert_eq!(lens, [536, 536, 536, 392]);

    let mut b = Bench::new(quiet());
    let address = |n: u16| core::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n).into();
    (b.tuple.local, b.tuple.remote) = (address(1), address(2));
    b.listener = Some(b.tcp.listen(core::net::Ipv6Addr::UNSPECIFIED.into(), PORT, 1, false).unwrap().0);
    b.get(segment(Flags::SYN, 0, 0));
    assert_eq!(b.out()[0].options.mss, Some(1_440));
    b.get(ack(1, 1));
    b.accept();
    b.write(&pattern(2_000)).unwrap();
    assert_eq!(b.out()[0].len(), 1_220);
}

/// H023: the window of a SYN is not scaled, the peer's or ours: payload beyond ours is not taken, however large the
/// buffer is, until a later segment offers more.
//= rfc7323#2.2
#[test]
fn the_window_of_a_syn_is_not_scaled() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(segment(SYN_ACK, 0, 1).mss(1460).scale(7).win(3_000));
    b.write(&pattern(40_000)).unwrap();
    let sent = |out: Vec<Out>| out.iter().map(Out::len).sum::<u32>();
    assert_eq!(sent(b.out()), 2 * MSS, "3,000 bytes, but for what is no full segment");
    b.get(ack(1, 1 + 2 * MSS).win(3_000));
    assert!(sent(b.out()) > 3_000, "3,000 << 7");

    let config = TcpConfig { tune_buffers: false, receive_buffer: 1 << 20, ..quiet() };
    let mut b = Bench::listening(config, 1);
    b.pool = Pool::growing(16 << 20, 2_000);
    b.get(syn().scale(7));
    let out = b.out();
    assert_eq!((out[0].window, out[0].options.window_scale), (65_535, Some(5)), "1 MiB in 16 bits");
    b.get(ack(1, 1));
    b.accept();
    let edge = 1 + 65_535;
    assert!(b.get(data(edge, 1, b"beyond")).is_some());
    let out = b.out();
    assert_eq!(
        (out[0].ack, out[0].options.sack.blocks().len(), u32::from(out[0].window) << 5),
        (1, 0, 1 << 20)
    );
    assert!(b.get(data(edge, 1, b"now inside")).is_none());
}

/// H032: a shift of the peer's beyond 14 counts as 14.
//= rfc7323#2.3
#[test]
fn a_shift_is_at_most_14() {
    let config = TcpConfig { congestion: crate::tcp::Congestion::None, ..quiet() };
    let mut b = Bench::listening(config, 1);
    b.get(syn().scale(15));
    b.out();
    b.get(ack(1, 1).win(1));
    b.accept();
    b.write(&pattern(40_000)).unwrap();
    let sent: u32 = b.out().iter().map(Out::len).sum();
    assert_eq!(sent, 11 * MSS, "16,384 bytes, but for what is no full segment");
}

/// H004: in a simultaneous open only a SYN is the SYN again: what has its number, and no flag that counts, is dropped
/// with its payload, although that reaches into the window.
#[test]
fn text_without_a_syn_in_syn_received() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.get(syn());
    b.out();
    let dropped = b.get(segment(Flags::PSH, 0, 0).payload(b"not the SYN's"));
    assert_eq!(dropped, Some(Refused::Engine(crate::tcp::connection::tcb::Dropped::InvalidForState)));
    b.get(ack(1, 1));
    assert_eq!((b.state(), b.read(20)), (State::Established, Err(Error::WouldBlock)));
}

/// MUST-23: R2 of a SYN is three minutes and three retransmissions, even where the first comes late.
//= rfc9293#3.8.3 MUST-23
#[test]
fn a_syn_is_repeated_three_times_at_least() {
    let minute = Duration::from_secs(60);
    let mut b = Bench::connecting(TcpConfig { rto_initial: minute, rto_max: minute + minute, ..quiet() });
    assert_eq!(b.out().len(), 1);
    let again = b.advance(2_000_000);
    assert!(again.len() == 3 && again[2].0 >= 180_000, "{:?}", again.iter().map(|o| o.0).collect::<Vec<_>>());
    assert_eq!(b.connected(), Err(Error::TimedOut));
}
