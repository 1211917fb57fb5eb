use super::*;

const FIN_ACK: Flags = Flags(0x11);

/// H012: in CLOSE-WAIT our data and then our FIN still go, and the last ACK ends it.
//= rfc9293#3.10.4
#[test]
fn closing_after_the_peer() {
    let mut b = Bench::server();
    b.get(fin(1, 1));
    assert_eq!((b.state(), b.read(1).unwrap().len()), (State::CloseWait, 0));
    b.write(b"rest").unwrap();
    b.shutdown();
    assert_eq!(b.write(b"x"), Err(Error::ClosedLocally));
    let out = b.out();
    assert!(out.len() == 1 && out[0].is(FIN_ACK) && out[0].payload == b"rest" && out[0].ack == 2, "{out:?}");
    assert_eq!(b.state(), State::LastAck);
    b.get(ack(2, 6));
    assert_eq!(b.state(), State::Closed);
    assert_eq!(b.close(), None);
    assert_eq!((b.tcp.len(), b.tcp.time_waits(), b.pool.in_use()), (0, 0, 0));
}

/// H013: a FIN that overtakes data is remembered and counts when the hole is filled.
//= rfc9293#3.10.7.4
#[test]
fn a_fin_before_its_data() {
    let mut b = Bench::server();
    b.get(fin(5, 1).payload(b"efgh"));
    b.get(fin(9, 1));
    assert_eq!(b.read(10), Err(Error::WouldBlock));
    b.out();
    b.get(data(1, 1, b"abcd"));
    assert_eq!(b.read(10).unwrap(), b"abcdefgh");
    assert_eq!(b.read(10).unwrap(), b"");
    let out = b.out();
    assert_eq!(out[0].ack, 10, "the FIN counts");
    assert_eq!(b.state(), State::CloseWait);
}

/// H014: nothing behind a FIN is delivered or acknowledged, whichever came first.
//= rfc9293#3.4
#[test]
fn nothing_counts_behind_a_fin() {
    let mut b = Bench::server();
    b.get(data(5, 1, b"behind"));
    b.get(fin(1, 1).payload(b"abcd"));
    assert_eq!(b.read(20).unwrap(), b"abcd");
    assert_eq!(b.read(20).unwrap(), b"");
    b.get(data(6, 1, b"more"));
    b.get(data(5, 1, b"more"));
    assert_eq!(b.read(20).unwrap(), b"");
    assert!(b.out().iter().all(|o| o.ack == 6));
    assert_eq!(b.pool.in_use(), 0);
}

/// H015: a FIN in a segment whose payload is known counts.
#[test]
fn a_fin_with_old_text() {
    let mut b = Bench::server();
    b.get(data(1, 1, b"abcd"));
    b.get(fin(1, 1).payload(b"abcd"));
    assert_eq!(b.read(20).unwrap(), b"abcd");
    assert_eq!(b.read(20).unwrap(), b"");
    assert_eq!(b.out()[0].ack, 6);
}

/// H016: a connection that nobody holds does not wait in FIN-WAIT-2 for ever; one that is held
/// does.
#[test]
fn fin_wait_2_of_an_orphan_ends() {
    let mut b = Bench::server();
    b.shutdown();
    assert!(b.out()[0].is(FIN_ACK));
    b.get(ack(1, 2));
    b.advance(200_000);
    assert_eq!(b.state(), State::FinWait2, "the application may still read");
    b.get(data(1, 2, b"late"));
    assert_eq!(b.read(9).unwrap(), b"late");
    assert_eq!(b.close(), None);
    b.advance(59_000);
    assert_eq!(b.tcp.len(), 1);
    b.advance(2_000);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// Both close at once: CLOSING, then TIME-WAIT.
//= rfc9293#3.6
#[test]
fn simultaneous_close() {
    let mut b = Bench::server();
    b.shutdown();
    assert!(b.out()[0].is(FIN_ACK));
    b.get(fin(1, 1));
    assert_eq!((b.state(), b.out()[0].ack), (State::Closing, 2));
    b.get(ack(2, 2));
    b.close();
    assert_eq!((b.tcp.len(), b.tcp.time_waits()), (0, 1));
}

/// Data after we let go means that it is lost: the peer is told (RFC 1122 §4.2.2.13). So does data
/// that lay unread.
//= rfc9293#3.6.1 SHLD-3
#[test]
fn lost_data_is_told_by_a_reset() {
    let mut b = Bench::server();
    assert_eq!(b.close(), None);
    assert!(b.out()[0].is(FIN_ACK));
    b.get(data(1, 2, b"too late"));
    assert!(matches!(b.replies[..], [Reply::Reset(r)] if r.seq == b.iss + 2), "{:?}", b.replies);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));

    let mut b = Bench::server();
    b.get(data(1, 1, b"unread"));
    assert_eq!(b.close(), Some(Reset { seq: b.iss + 1, ack: Some(PEER_ISS + 7), timestamps: None }));
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));

    let mut b = Bench::server_with(quiet(), syn().ts(70, 0));
    b.get(data(1, 1, b"unread").ts(80, 1));
    let timestamps = b.close().unwrap().timestamps;
    assert_eq!(timestamps.map(|t| t.echo), Some(80), "RFC 7323 section 3.2");
}

/// H254, H270, M2, E2: whatever ends a connection, the reader first gets what came in order, payload and FIN; then the
/// error, on every call. What lies beyond a hole is no use to it. Writers are told at once.
#[test]
fn an_error_after_what_came_before_it() {
    type End = fn(&mut Bench, u32);
    let reset: End = |b, nxt| {
        b.get(rst(nxt));
    };
    let timeout: End = |b, _| {
        b.advance(400_000);
    };
    let device: End = |b, _| {
        let index = b.key.unwrap().index;
        let outcome = b.tcp.fail(index, Error::DeviceGone, b.now, &mut b.pool);
        b.note(outcome);
    };
    for (end, error) in
        [(reset, Error::ConnectionReset), (timeout, Error::TimedOut), (device, Error::DeviceGone)]
    {
        for closes in [false, true] {
            let mut b = Bench::server();
            b.write(b"ours").unwrap();
            b.out();
            let waits = b.wait(Interest::Read);
            b.get(if closes { fin(1, 1) } else { ack(1, 1) }.payload(b"theirs"));
            if !closes {
                b.get(data(20, 1, b"beyond"));
            }
            b.out();
            end(&mut b, 7 + u32::from(closes));
            assert_eq!((waits.get(), b.state(), b.tcp.deadline()), (1, State::Closed, None));
            let write = if closes && error == Error::ConnectionReset { Error::ClosedByPeer } else { error };
            assert_eq!(b.write(b"x"), Err(write));
            assert_eq!(b.tcp.take_error(b.key.unwrap(), b.now), Ok(Some(error)));
            let mut all = vec![];
            while all.len() < 6 {
                all.extend(b.read(4).unwrap());
            }
            assert_eq!(all, b"theirs");
            if closes {
                assert_eq!(b.read(4).unwrap(), b"", "{error:?}");
            }
            for _ in 0..3 {
                assert_eq!((b.read(4), b.write(b"x")), (Err(error), Err(write)));
            }
            assert_eq!(b.pool.in_use(), 0);
        }
    }
}

/// H253: closing with unread payload: the peer gets what was written, as far as its window takes it, then the
/// reset. What still comes is acknowledged and dropped, and does not end it sooner.
//= rfc9293#3.10.4
#[test]
fn an_answer_before_the_reset() {
    let mut b = Bench::server_with(quiet(), syn().win(2 * MSS as u16));
    b.get(data(1, 1, b"unread").win(2 * MSS as u16));
    let answer = pattern(3 * MSS as usize + 10);
    b.write(&answer).unwrap();
    assert_eq!((b.close(), b.tcp.len()), (None, 1));
    assert_eq!(brief(&b.out()), [(1, MSS, 7), (1 + MSS, MSS, 7)]);
    b.get(data(7, 1, b"more").win(2 * MSS as u16));
    b.get(data(11, 1 + 2 * MSS, b"and more").win(2 * MSS as u16));
    let out = b.out();
    assert_eq!(brief(&out), [(1 + 2 * MSS, MSS, 19), (1 + 3 * MSS, 10, 19)], "what comes to fit");
    assert!(out.iter().all(|o| !o.flags.has(Flags::FIN)));
    let again = b.advance(2_000);
    assert!(again.iter().any(|(_, o)| (o.seq, o.len()) == (1 + 2 * MSS, MSS)), "lost: {again:?}");
    b.get(ack(19, 1 + 3 * MSS));
    assert_eq!((b.replies.len(), b.tcp.len()), (0, 1));
    b.get(ack(19, 11 + 3 * MSS));
    assert!(matches!(b.replies[..], [Reply::Reset(r)] if r.seq == b.iss + 11 + 3 * MSS), "{:?}", b.replies);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// A peer that writes all before it reads: what the reset waits for finds its window closed, so its own
/// payload has to get through, in whatever order and however little memory is left, and its FIN too.
//= rfc9293#3.6.1 SHLD-3
#[test]
fn a_reset_that_waits_does_not_stall_the_peer() {
    let mut b = Bench::server_with(quiet(), syn().win(MSS as u16));
    b.write(&pattern(2 * MSS as usize)).unwrap();
    assert_eq!((b.close(), brief(&b.out())), (None, vec![(1, MSS, 1)]));
    let in_use = b.pool.in_use();
    let payload = pattern(MSS as usize);
    let mut nxt = 1;
    for turn in 0..100 {
        if turn % 3 == 0 {
            b.get(data(nxt + MSS, 1 + MSS, &payload).win(0));
            assert_eq!(b.out().last().unwrap().ack, nxt, "turn {turn}");
            nxt += MSS;
            b.get(data(nxt - MSS, 1 + MSS, &payload).win(0));
        } else {
            b.get(data(nxt, 1 + MSS, &payload).win(0));
        }
        nxt += MSS;
        let out = [b.out(), b.advance(200).into_iter().map(|(_, o)| o).collect()].concat();
        let last = out.last().unwrap();
        assert_eq!((last.ack, b.pool.in_use() <= in_use, b.replies.len()), (nxt, true, 0), "turn {turn}");
    }
    b.get(fin(nxt, 1 + MSS).win(0));
    assert_eq!((b.out().last().unwrap().ack, b.tcp.len()), (nxt + 1, 1));
    b.get(ack(nxt + 1, 1 + MSS).win(MSS as u16));
    assert_eq!(brief(&b.out()), [(1 + MSS, MSS, nxt + 1)], "now it reads");
    b.get(ack(nxt + 1, 1 + 2 * MSS).win(MSS as u16));
    assert!(matches!(b.replies[..], [Reply::Reset(_)]), "{:?}", b.replies);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// Payload out of order that nobody will read needs no memory either: none was promised for it.
#[test]
fn a_reset_that_waits_keeps_no_text() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.write(b"answer").unwrap();
    assert_eq!(b.close(), None);
    let mut hog = crate::base::pool::Chain::new();
    while hog.append(&mut b.pool, &pattern(500), crate::base::pool::Need::Window) == 500 {}
    let payload = pattern(MSS as usize);
    let in_use = b.pool.in_use();
    for n in 1..20 {
        b.get(data(1 + n * MSS, 1, &payload).win(0));
        assert!(b.pool.in_use() <= in_use + 2 * b.pool.block_len(), "more than ranges and their log of {n}");
    }
    b.get(data(1, 1, &payload).win(0));
    assert_eq!(b.out().last().unwrap().ack, 1 + 20 * MSS);
    hog.clear(&mut b.pool);
}

/// The same where the payload comes after the close, with a FIN on its way; and where reading was shut.
#[test]
fn an_answer_before_the_reset_for_late_text() {
    let mut b = Bench::server();
    b.write(b"answer").unwrap();
    assert_eq!(b.close(), None);
    assert_eq!((brief(&b.out()), b.tcp.len()), (vec![(1, 6, 1)], 1));
    b.get(data(1, 1, b"late"));
    assert_eq!((b.replies.len(), b.tcp.len()), (0, 1));
    b.get(ack(5, 7));
    assert!(matches!(b.replies[..], [Reply::Reset(r)] if r.seq == b.iss + 8), "{:?}", b.replies);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));

    let mut b = Bench::server();
    b.write(b"answer").unwrap();
    b.out();
    b.tcp.shutdown_read(b.key.unwrap(), b.now, &mut b.pool).unwrap();
    let waits = b.wait(Interest::Write);
    b.get(data(1, 1, b"late"));
    assert_eq!((waits.get(), b.write(b"x")), (1, Err(Error::ConnectionAborted)));
    b.get(data(1, 7, b"late"));
    assert!(matches!(b.replies[..], [Reply::Reset(r)] if r.seq == b.iss + 7), "{:?}", b.replies);
    assert_eq!((b.read(9), b.write(b"x")), (Err(Error::ConnectionAborted), Err(Error::ConnectionAborted)));
}

/// A peer that takes nothing of the answer does not hold it for ever: the reset comes all the same.
#[test]
fn a_reset_that_waits_for_a_closed_window() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.get(data(1, 1, b"unread").win(0));
    b.write(b"answer").unwrap();
    assert_eq!(b.close(), None);
    for _ in 0..400 {
        if b.advance(1_000).iter().any(|(_, o)| o.len() > 0) {
            b.get(ack(7, 1).win(0));
        }
    }
    assert!(matches!(b.replies[..], [Reply::Reset(r)] if r.seq == b.iss + 1), "{:?}", b.replies);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// M15: a full send buffer takes last words, and so does a stack whose writers have all their memory; but
/// not without end.
#[test]
fn a_full_buffer_takes_last_words() {
    let last_words = |b: &mut Bench, len| {
        let key = b.key.unwrap();
        b.tcp.write_whole(key, &pattern(len), b.now, &mut b.pool)
    };
    let mut b = Bench::server_with(TcpConfig { send_buffer: 1_000, ..quiet() }, syn());
    assert_eq!(b.write(&pattern(2_000)), Ok(1_000));
    assert_eq!(last_words(&mut b, 3_000), Ok(()));
    assert_eq!(b.write(b"x"), Err(Error::WouldBlock));
    assert_eq!(last_words(&mut b, 1_097), Err(Error::WouldBlock));
    assert_eq!(last_words(&mut b, 1_096), Ok(()));
    assert_eq!(b.out().iter().map(|o| o.len()).sum::<u32>(), 5_096);

    let mut b = Bench::server();
    b.tcp.settings.config.send_buffer = u32::MAX;
    while b.write(&pattern(10_000)).is_ok() {}
    assert_eq!(last_words(&mut b, 4_096), Ok(()));
    let mut hog = crate::base::pool::Chain::new();
    while hog.append(&mut b.pool, &pattern(500), crate::base::pool::Need::Control) == 500 {}
    assert_eq!(last_words(&mut b, 1), Err(Error::WouldBlock));
    hog.clear(&mut b.pool);
}

/// M15: the last words of an application that failed reach the reader; then a reset, not a FIN, says that
/// the stream is not whole.
#[test]
fn last_words_before_the_reset() {
    let mut b = Bench::server();
    b.write(b"last words").unwrap();
    let key = b.key.unwrap();
    assert!(b.tcp.let_go(key, false, b.now, &mut b.pool).is_none());
    let out = b.out();
    assert!(out.len() == 1 && out[0].payload == b"last words" && !out[0].flags.has(Flags::FIN), "{out:?}");
    b.get(ack(1, 11));
    assert!(matches!(b.replies[..], [Reply::Reset(r)] if r.seq == b.iss + 11), "{:?}", b.replies);
    assert_eq!((b.tcp.len(), b.pool.in_use()), (0, 0));
}

/// A FIN that meets a closed window is tried by probes until the window opens.
#[test]
fn a_fin_at_a_closed_window() {
    let mut b = Bench::server_with(quiet(), syn().win(0));
    b.write(b"data").unwrap();
    b.shutdown();
    assert_eq!(b.out(), []);
    let probes = b.advance(1_000);
    assert!(!probes.is_empty() && probes.iter().all(|(_, o)| (o.seq, o.len()) == (1, 1)), "{probes:?}");
    b.get(ack(1, 1).win(4));
    let out = b.out();
    assert_eq!(brief(&out), [(1, 4, 1)]);
    b.get(ack(1, 5).win(0));
    let probes = b.advance(1_000);
    assert!(!probes.is_empty() && probes.iter().all(|(_, o)| o.is(FIN_ACK) && o.seq == 5), "{probes:?}");
    b.get(ack(1, 6).win(0));
    assert_eq!(b.state(), State::FinWait2);
}

/// H020: a reset is a reset, whatever else the segment says; payload in it does no harm.
//= rfc9293#3.5.3 SHLD-2
#[test]
fn a_reset_with_other_flags() {
    for flags in [Flags::SYN, Flags::FIN, Flags::SYN | Flags::FIN | Flags::ACK, Flags::ACK] {
        let mut b = Bench::server();
        b.get(segment(flags | Flags::RST, 1, 1).payload(b"because"));
        assert_eq!(b.read(1), Err(Error::ConnectionReset), "{flags:?}");
        assert_eq!((b.replies.len(), b.pool.in_use()), (0, 0));
    }
}

/// H218: a reset is never an end of stream. Writes say whose fault it is: after the peer's FIN it
/// had closed, before it the connection broke. The FIN came first, and is told first.
//= rfc9293#3.6 MUST-12
#[test]
fn a_reset_after_the_fin() {
    let mut b = Bench::server();
    b.get(fin(1, 1).payload(b"all"));
    b.write(b"answer").unwrap();
    b.out();
    b.get(rst(5));
    assert_eq!(b.write(b"x"), Err(Error::ClosedByPeer));
    assert_eq!((b.read(2).unwrap(), b.read(9).unwrap()), (b"al".to_vec(), b"l".to_vec()));
    assert_eq!(b.read(9).unwrap(), b"");
    assert_eq!(b.read(9), Err(Error::ConnectionReset));
    assert_eq!(b.write(b"x"), Err(Error::ClosedByPeer));
    assert_eq!(b.read(9), Err(Error::ConnectionReset), "on every call");

    let mut b = Bench::server();
    b.get(fin(1, 1));
    assert_eq!(b.read(9).unwrap(), b"");
    b.get(rst(2));
    assert_eq!(b.read(9), Err(Error::ConnectionReset), "the end was read already");

    let mut b = Bench::server();
    b.get(rst(1));
    assert_eq!(b.write(b"x"), Err(Error::ConnectionReset));
    assert_eq!(b.read(9), Err(Error::ConnectionReset));
}

/// RFC 1122 §4.2.2.13: until the reset may go, payload is acknowledged and dropped, however much of it there is, and
/// the window stays open for it: a peer that writes all before it reads would else stall.
#[test]
fn text_before_the_reset_takes_no_memory() {
    let mut b = Bench::server_with(TcpConfig { receive_buffer: 10_000, ..quiet() }, syn());
    b.write(b"answer").unwrap();
    assert_eq!((b.close(), b.out().len()), (None, 1));
    let memory = b.pool.in_use();
    for n in 0..40 {
        b.get(data(1 + n * 1_000, 1, &pattern(1_000)));
        let out = b.out();
        if n % 2 == 1 {
            assert_eq!((out[0].ack, out[0].window >= 8_000), (1_001 + n * 1_000, true));
            assert!(b.pool.in_use() <= memory + 2_000);
        }
    }
    b.get(ack(40_001, 7));
    assert!(matches!(b.replies[..], [Reply::Reset(_)]));
}

/// H013: payload beyond a hole that ends where the FIN is stays, and the FIN counts when the hole is filled; payload behind
/// the FIN goes.
#[test]
fn text_beyond_a_hole_and_the_fin() {
    let mut b = Bench::server();
    b.get(fin(6, 1).payload(b"beyond"));
    b.get(data(1, 1, b"first"));
    assert_eq!((b.read(20), b.read(20)), (Ok(b"firstbeyond".to_vec()), Ok(vec![])));
    let mut b = Bench::server();
    b.get(data(6, 1, b"beyond"));
    b.get(fin(12, 1));
    b.get(data(1, 1, b"first"));
    assert_eq!((b.read(20), b.read(20)), (Ok(b"firstbeyond".to_vec()), Ok(vec![])));
    let mut b = Bench::server();
    b.get(data(6, 1, b"beyond"));
    b.get(fin(6, 1).payload(b"bey"));
    b.get(data(1, 1, b"first"));
    assert_eq!((b.read(20), b.read(20)), (Ok(b"firstbey".to_vec()), Ok(vec![])));
}
