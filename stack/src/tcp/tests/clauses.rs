//! Requirements of RFC 9293 that no other test shows: one test each, in the order of the RFC.

use super::*;

/// T02: a window is a number without a sign, and 32 bits wide when it is scaled.
//= rfc9293#3.1 MUST-1, REC-1
#[test]
fn windows_are_large_and_unsigned() {
    let initial = TcpConfig { congestion: super::super::Congestion::None, ..quiet() };
    let mut b = Bench::server_with(TcpConfig { send_buffer: 1 << 20, ..initial }, syn());
    b.write(&pattern(100_000)).unwrap();
    let sent: u32 = b.out().iter().map(Out::len).sum();
    assert_eq!(sent, 65_535 / MSS * MSS, "as many full segments as 0xffff holds");
    // A shift of 4: 0xf000 is 983,040 bytes.
    let mut b = Bench::server_with(TcpConfig { send_buffer: 1 << 20, ..initial }, syn().scale(4).win(0xf000));
    let written = b.write(&pattern(400_000)).unwrap() as u32;
    assert!(written > 0x3_0000, "{written}");
    assert_eq!(b.out().iter().map(Out::len).sum::<u32>() / MSS, written / MSS);
}

/// T02, F06: options are understood on every segment, not only on SYNs.
//= rfc9293#3.1 MUST-5
#[test]
fn options_may_come_at_any_time() {
    let mut b = Bench::server_with(quiet(), syn().ts(100, 0));
    let echo = |b: &mut Bench, ms| b.advance(ms).pop().map(|(_, o)| o.options.timestamps.unwrap().echo);
    b.get(data(1, 1, b"abc").ts(200, 0).mss(99).scale(3));
    assert_eq!(echo(&mut b, 50), Some(200), "a segment with payload");
    b.get(fin(4, 1).ts(300, 0));
    assert_eq!(b.out().pop().map(|o| o.options.timestamps.unwrap().echo), Some(300), "a FIN");
    assert_eq!(b.state(), State::CloseWait);
}

/// T02, H045: what the peer's SYN says about segments is obeyed, and ours says what we can take; only SYNs say it.
//= rfc9293#3.7.1 MUST-14, MUST-16, MUST-67, SHLD-5, MAY-3
//= rfc9293#3.2 MUST-65
#[test]
fn segment_sizes_are_agreed_on() {
    for (offered, mtu, sent) in [(1000, 1500, 1000), (9000, 1500, 1460), (1460, 576, 536)] {
        let mut b = Bench::listening(quiet(), 4);
        b.mtu = mtu;
        b.get(syn().mss(offered));
        let syn_ack = b.out().remove(0);
        assert_eq!(syn_ack.options.mss, Some(mtu - 40), "MMS_R less the header, never less for options");
        b.get(ack(1, 1));
        b.accept();
        b.write(&pattern(5000)).unwrap();
        let out = b.out();
        assert_eq!(out[0].len(), sent);
        assert!(out.iter().all(|o| o.options.mss.is_none()));
    }
    let mut b = Bench::connecting(quiet());
    assert_eq!(b.out()[0].options.mss, Some(1460));
}

/// The MSS that we offer is that of the smallest MTU that the interface may have.
//= rfc9293#3.7.3 SHLD-6
#[test]
fn the_offered_mss_follows_the_mtu() {
    for (mtu, v6, mss) in [(1500, false, 1460), (1500, true, 1440), (9000, false, 8960), (1280, true, 1220)] {
        assert_eq!(crate::tcp::connection::handshake::Mss::for_mtu(mtu, v6).ours, mss);
    }
}

/// T06: slow start, then congestion avoidance after a loss, and a timeout that doubles.
//= rfc9293#3.8.2 MUST-19
#[test]
fn the_window_starts_slowly() {
    let mut b = Bench::server();
    b.write(&pattern(200_000)).unwrap();
    let first: u32 = b.out().iter().map(Out::len).sum();
    assert_eq!(first, 10 * MSS);
    b.get(ack(1, 1 + 10 * MSS));
    let second: u32 = b.out().iter().map(Out::len).sum();
    assert!(second > first && second <= 2 * first, "{second} after {first}");
    // Nobody answers: the time between retransmissions doubles.
    let times: Vec<u64> =
        b.advance(30_000).iter().filter(|(_, o)| o.seq == 1 + 10 * MSS).map(|(t, _)| *t).collect();
    let gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 0).collect();
    assert!(gaps.len() >= 3, "{times:?}");
    assert!(gaps[1..].windows(2).all(|w| w[1] == 2 * w[0]), "{gaps:?}");
}

/// T11: a window that the peer takes back: nothing new beyond it, the old within it again, and no
/// end of the connection for what lies beyond.
//= rfc9293#3.8.6 MUST-34, SHLD-15, SHLD-16, SHLD-17
#[test]
fn a_shrunk_window() {
    let mut b = Bench::server();
    b.write(&pattern(20_000)).unwrap();
    assert_eq!(b.out().len(), 10);
    b.get(ack(1, 1 + MSS).win(2 * MSS as u16));
    assert!(b.out().is_empty(), "the window ends before what is in flight");
    let again = b.advance(2_000);
    assert!(!again.is_empty());
    let edge = 1 + 3 * MSS;
    assert!(again.iter().all(|(_, o)| o.seq + o.len() <= edge), "{again:?}");
    // Answered, but never opened, for twice R2.
    for n in 0..40 {
        b.advance(9_000);
        b.get(ack(1, 1 + 3 * MSS).win(n % 2));
    }
    assert_eq!(b.state(), State::Established);
}

/// T11: our own window may stay closed for as long as nobody reads; each probe is answered.
//= rfc9293#3.8.6.1 MAY-8
#[test]
fn our_window_may_stay_closed() {
    let config = TcpConfig { receive_buffer: 4096, ..quiet() };
    let mut b = Bench::server_with(config, syn());
    b.get(data(1, 1, &pattern(4096)));
    assert_eq!(b.out().pop().map(|o| o.window), Some(0));
    for _ in 0..100 {
        b.advance(60_000);
        b.get(data(4097, 1, b"?"));
        let out = b.out();
        assert!(out.len() == 1 && out[0].window == 0 && out[0].ack == 4097, "{out:?}");
    }
    assert_eq!(b.read(5000).unwrap().len(), 4096);
}

/// A second listener on a port is refused without harm to the first; another one may stand on the
/// port of a connection that is being opened.
//= rfc9293#3.9.1.1 MUST-41, MUST-42
#[test]
fn listeners_disturb_nobody() {
    let any = core::net::Ipv6Addr::UNSPECIFIED.into();
    let mut b = Bench::listening(quiet(), 4);
    b.get(syn());
    assert!(b.tcp.listen(any, PORT, 4, false).is_err());
    assert!(b.tcp.listen(any, PORT + 1, 4, false).is_ok());
    b.out();
    b.get(ack(1, 1));
    b.accept();
    assert_eq!(b.state(), State::Established);
    let mut b = Bench::connecting(quiet());
    b.out();
    assert!(b.tcp.listen(any, PORT, 4, false).is_ok(), "the port of a connection in SYN-SENT");
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
    assert_eq!(b.state(), State::Established);
}

/// T10: several writes leave together, in segments as full as can be.
//= rfc9293#3.9.1.2 SHLD-27, SHLD-28, MAY-16
#[test]
fn writes_are_put_together() {
    let mut b = Bench::server();
    b.write(b"first").unwrap();
    assert_eq!(b.out().len(), 1);
    for _ in 0..100 {
        b.write(&[7; 100]).unwrap();
    }
    let out = b.out();
    assert!(out.iter().all(|o| o.len() == MSS), "{:?}", brief(&out));
    let pushed: Vec<bool> = out.iter().map(|o| o.flags.has(Flags::PSH)).collect();
    assert!(pushed.iter().all(|p| !p), "PSH stands at the end of what was written, not at each write");
    b.get(ack(1, 6 + out.len() as u32 * MSS));
    let last = b.out();
    assert!(last.len() == 1 && last[0].flags.has(Flags::PSH), "{:?}", brief(&last));
}

/// T10: segments that come in one batch get one acknowledgment, after all of them.
//= rfc9293#3.10.7.4 MUST-58, MUST-59
#[test]
fn a_batch_gets_one_acknowledgment() {
    let mut b = Bench::server();
    for n in 0..20 {
        b.get(data(1 + n * 1000, 1, &pattern(1000)));
    }
    let out = b.out();
    assert_eq!(brief(&out), [(1, 0, 20_001)]);
}

/// What comes too early is kept, and acknowledged at once with where the hole is.
//= rfc9293#3.10.7.4 SHLD-31, MAY-13
#[test]
fn early_segments_are_kept() {
    let mut b = Bench::server();
    b.get(data(6, 1, b"fghij"));
    assert_eq!(brief(&b.out()), [(1, 0, 1)]);
    b.get(data(1, 1, b"abcde"));
    assert_eq!(brief(&b.out()), [(1, 0, 11)]);
    assert_eq!(b.read(20).unwrap(), b"abcdefghij");
}

/// T15, F10: payload whose acknowledgment is too old or too new is a guess: it is not taken.
//= rfc9293#3.10.7.4 MAY-12
//= rfc5961#5.2
#[test]
fn text_with_an_implausible_acknowledgment() {
    let mut b = Bench::server();
    b.get(data(1, 0u32.wrapping_sub(100_000), b"forged"));
    b.get(data(1, 2, b"forged"));
    assert_eq!(b.read(10), Err(Error::WouldBlock));
    b.get(data(1, 1, b"right"));
    assert_eq!(b.read(10).unwrap(), b"right");
}

/// T01: whoever lets go of a connection can't read from it any more, and payload that comes afterwards
/// is answered with a reset.
//= rfc9293#3.6.1 MAY-1, SHLD-3
#[test]
fn closing_closes_both_directions() {
    let mut b = Bench::server();
    b.close();
    b.out();
    b.get(data(1, 2, b"too late"));
    assert!(matches!(b.replies[..], [Reply::Reset(_)]), "{:?}", b.replies);
    assert_eq!(b.tcp.len(), 0);
}

/// T01, F15: a peer that never answers our FIN holds nothing for ever: in FIN-WAIT-1, CLOSING and
/// LAST-ACK the timeout of data ends it.
#[test]
fn a_fin_that_nobody_answers() {
    for peer_first in [false, true] {
        let mut b = Bench::server();
        if peer_first {
            b.get(fin(1, 1));
        }
        b.close();
        assert!(b.out().iter().any(|o| o.flags.has(Flags::FIN)));
        b.advance(400_000);
        assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
    }
}

/// H037: numbers half of the space away, in every field that has one, are neither payload nor an acknowledgment, and
/// the connection goes on.
#[test]
fn numbers_half_the_space_away() {
    use crate::seq::Range;
    for distance in [(1 << 31) - 1, 1 << 31, (1 << 31) + 1] {
        let mut b = Bench::server_with(quiet(), syn().sack_permitted());
        b.write(&pattern(3_000)).unwrap();
        assert_eq!(b.out().len(), 3);
        for (seq, upto) in [(distance, 1), (1, distance), (distance, distance)] {
            for flags in
                [Flags::ACK, Flags::ACK | Flags::FIN, Flags::RST, Flags::SYN, Flags::ACK | Flags::URG]
            {
                b.get(segment(flags, 1 + seq, upto).payload(b"no"));
            }
        }
        let mut far = ack(1, 1);
        far.options.sack.push(Range { start: b.iss + distance, end: b.iss + distance + 1_000 });
        far.options.sack.push(Range { start: b.iss + 1, end: b.iss + 1 + distance });
        b.get(far);
        assert!(b.out().iter().all(|o| o.is(Flags::ACK) && o.ack == 1), "nothing was taken");
        b.get(data(1, 3_001, b"yes"));
        assert_eq!((b.state(), b.read(9).unwrap()), (State::Established, b"yes".to_vec()));
        assert_eq!(b.advance(60_000).iter().filter(|(_, o)| o.len() > 0).count(), 0, "all was acknowledged");
    }
}

/// F27, H037: a connection whose numbers pass 2^31 and 2^32 on both sides.
#[test]
fn numbers_wrap() {
    let mut b = Bench::server();
    let mut at = 1;
    // The peer's numbers wrap after a hundred bytes, ours somewhere: both directions go through 100 KB.
    for _ in 0..100 {
        b.get(data(at, at, &pattern(1000)));
        assert_eq!(b.read(2000).unwrap(), pattern(1000));
        b.write(&pattern(1000)).unwrap();
        let out = b.out();
        assert_eq!((out[0].seq, out[0].len(), out[0].ack), (at, 1000, at + 1000));
        at += 1000;
    }
    for base in [0u32, u32::MAX - 2, i32::MAX as u32 - 2, i32::MAX as u32 + 3] {
        for d in [1u32, 2, 1000, (1 << 31) - 1] {
            let (a, z) = (Seq(base), Seq(base) + d);
            assert!(a.before(z) && !z.before(a) && z.since(a) == d && a.within(a, d) && !z.within(a, d));
        }
    }
}
