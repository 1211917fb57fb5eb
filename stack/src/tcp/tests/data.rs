use super::*;
use crate::tcp::Congestion;

fn buffer(receive: u32) -> TcpConfig {
    TcpConfig { receive_buffer: receive, ..quiet() }
}

/// H024, B08: a window that is full opens by a segment or half the buffer, not by what one read frees.
//= rfc9293#3.8.6.2.2 MUST-39
#[test]
fn the_window_opens_in_steps() {
    let mut b = Bench::server_with(buffer(4_000), syn());
    for n in 0..4 {
        b.get(data(1 + n * 1_000, 1, &pattern(1_000)));
    }
    assert_eq!(b.out().last().map(|o| (o.ack, o.window)), Some((4_001, 0)));
    b.read(1).unwrap();
    b.read(1_400).unwrap();
    assert_eq!(b.out(), [], "less than a segment");
    b.read(59).unwrap();
    let out = b.out();
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].ack, out[0].window), (4_001, 1_460));
    b.read(5).unwrap();
    assert_eq!(b.out(), []);
}

/// H024, the other way: with a small buffer half of it is enough.
#[test]
fn a_small_window_opens_by_half() {
    let mut b = Bench::server_with(buffer(1_000), syn());
    b.get(data(1, 1, &pattern(1_000)));
    assert_eq!(b.out()[0].window, 0);
    b.read(499).unwrap();
    assert_eq!(b.out(), []);
    b.read(1).unwrap();
    assert_eq!(b.out()[0].window, 500);
}

/// SHLD-14: the right edge never moves back, however little memory is left.
//= rfc9293#3.8.6 SHLD-14
#[test]
fn the_edge_never_moves_back() {
    let mut b = Bench::server_with(buffer(200_000), syn().scale(3));
    let mut edge = 0;
    let mut hog = crate::base::pool::Chain::new();
    for n in 0..600u32 {
        b.get(data(1 + n * 100, 1, &pattern(100)));
        if n % 3 == 0 {
            let _ = b.read(250);
            hog.append(&mut b.pool, &pattern(6_000), crate::base::pool::Need::Control);
        }
        for out in b.out() {
            let now = out.ack + (u32::from(out.window) << 2);
            assert!(now >= edge, "{now} after {edge}");
            edge = now;
        }
    }
    assert!(edge < 250_000, "the window follows the memory");
    hog.clear(&mut b.pool);
}

/// H029: at a closed window the payload is refused, and the rest still counts: acknowledgment, window
/// and reset.
//= rfc9293#3.10.7.4 MUST-66
#[test]
fn a_closed_window_is_not_deaf() {
    let mut b = Bench::server_with(buffer(1_000), syn());
    b.get(data(1, 1, &pattern(1_000)));
    b.write(b"ours").unwrap();
    assert!(b.out().iter().all(|o| o.window == 0));
    b.get(data(1_001, 5, b"probe").win(7));
    let out = b.out();
    assert_eq!((out.len(), out[0].ack, out[0].window), (1, 1_001, 0), "H030: answered");
    b.write(&pattern(100)).unwrap();
    assert_eq!(b.out().len(), 0, "less than half of the largest window waits");
    let probes = b.advance(5_000);
    assert!(probes.iter().all(|(_, o)| o.len() == 7), "{probes:?}");
    for _ in 0..5 {
        b.get(data(1_001, 5, b"p"));
        assert!(b.out().iter().any(|o| o.ack == 1_001));
    }
    for seq in [500, 1_002, 3_000] {
        let outside = Some(Refused::Engine(crate::tcp::connection::tcb::Dropped::OutOfWindow));
        assert_eq!(b.get(ack(seq, 5)), outside, "{seq}: nothing but RCV.NXT is inside");
    }
    b.get(rst(1_001));
    assert_eq!(b.read(2_000).unwrap(), pattern(1_000));
    assert_eq!(b.read(1), Err(Error::ConnectionReset));
}

/// A pure acknowledgment at the right edge counts: a peer that has filled our window, or whose
/// payload was lost, has no other number to send it with.
#[test]
fn an_acknowledgment_at_the_edge() {
    let mut b = Bench::server_with(buffer(2_000), syn());
    b.write(b"ours").unwrap();
    b.out();
    b.get(data(1_001, 1, &pattern(1_000)));
    b.get(ack(2_001, 5));
    assert_eq!(b.advance(60_000).len(), 1, "the duplicate for the hole, and no retransmission");
}

/// H031: a window from an older segment does not replace a newer one.
//= rfc9293#3.10.7.4
#[test]
fn an_older_window_is_not_taken() {
    let mut b = Bench::server();
    b.get(data(5, 1, b"later").win(3_000));
    b.get(data(1, 1, b"four").win(0));
    b.write(&pattern(5_000)).unwrap();
    let sent: u32 = b.out().iter().map(Out::len).sum();
    assert_eq!(sent, 2 * MSS, "3,000 bytes less what is no full segment");
    b.get(ack(10, 1).win(0));
    b.get(ack(10, 1 + MSS).win(8_000));
    b.get(ack(10, 1).win(0));
    let sent: u32 = b.out().iter().map(Out::len).sum();
    assert_eq!(sent, 5_000 - 2 * MSS, "an older acknowledgment does not close it");
}

/// H031: payload of the peer's that was late, with a higher number and an older acknowledgment than what
/// came before: its window counts from there, not from SND.UNA.
//= rfc9293#3.10.7.4 fifth: SND.UNA =< SEG.ACK
#[test]
fn a_window_with_an_old_acknowledgment() {
    let mut b = Bench::server();
    b.write(&pattern(5_000)).unwrap();
    b.out();
    b.get(ack(1, 5_001).win(0));
    b.get(data(10, 4_001, b"late").win(60_000));
    b.write(&pattern(5_000)).unwrap();
    assert!(b.out().iter().all(|o| o.len() == 0), "the window is closed");
}

/// The peer sends old payload again, with an acknowledgment that is new: its window is counted from
/// there, so that nothing goes beyond the edge that the peer told.
#[test]
fn a_new_acknowledgment_in_old_text() {
    let mut b = Bench::server();
    b.get(data(1, 1, b"old").win(3_000));
    b.get(ack(2_000, 1).win(3_000));
    b.write(&pattern(9_000)).unwrap();
    assert_eq!(b.out().iter().map(Out::len).sum::<u32>(), 2 * MSS);
    b.get(data(1, 1 + MSS, b"old more").win(3_000 - MSS as u16));
    assert!(b.out().iter().all(|o| o.len() == 0));
}

/// H034, H040, SHLD-19: every second segment is acknowledged at once, of whatever size, and one that a device
/// merged from two; a lone one waits.
//= rfc9293#3.8.6.3 SHLD-18, SHLD-19
#[test]
fn every_second_segment_is_acknowledged() {
    for (mss, size) in [(1_460, 1_460u32), (1_460, 1_000), (1_460, 536), (536, 1_460), (200, 536), (1_460, 1)]
    {
        let mut b = Bench::server_with(quiet(), syn().mss(mss));
        for n in 0..10 {
            b.get(data(1 + n * size, 1, &pattern(size as usize)));
            let out = b.out();
            assert_eq!(out.len(), (n % 2) as usize, "takes {mss}, sends {size}: {n}");
        }
        b.get(data(1 + 10 * size, 1, b"tail"));
        let delayed = b.advance(1_000);
        assert_eq!(delayed.len(), 1);
        assert_eq!(delayed[0].0, 40);
    }
    let mut b = Bench::server();
    b.get(data(1, 1, &pattern(2 * MSS as usize)).merged(2));
    assert_eq!(brief(&b.out()), [(1, 0, 1 + 2 * MSS)]);
    b.get(data(1 + 2 * MSS, 1, b"two").merged(2));
    assert_eq!(brief(&b.out()), [(1, 0, 4 + 2 * MSS)], "however small");
}

/// H034: what the peer takes at most is what it is taken to send, until it sends more.
#[test]
fn a_small_announced_segment_counts_from_the_start() {
    for (announced, seen) in [(1_460, 536), (536, 536), (100, 100)] {
        let mut b = Bench::server_with(quiet(), syn().mss(announced));
        assert_eq!(b.info().mss_received, seen);
        b.get(data(1, 1, &pattern(1_000)));
        assert_eq!(b.info().mss_received, 1_000);
    }
}

/// H035: an acknowledgment is never held back for half a second.
//= rfc9293#3.8.6.3 MUST-40
#[test]
fn the_delay_is_bounded() {
    let mut b = Bench::server_with(TcpConfig { ack_delay: Duration::from_secs(9), ..quiet() }, syn());
    b.get(data(1, 1, b"x"));
    let delayed = b.advance(5_000);
    assert_eq!(delayed.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [499]);
}

/// The quick start: so many segments are acknowledged at once.
#[test]
fn quick_acks_come_first() {
    let mut b = Bench::server_with(TcpConfig { quick_acks: 3, ..quiet() }, syn());
    let answers: Vec<usize> = (0..5).map(|n| (b.get(data(1 + n, 1, b"x")), b.out().len()).1).collect();
    assert_eq!(answers, [1, 1, 1, 0, 1], "then every second");
}

/// After a loss the sender's window is small, and acknowledgments are quick again.
//= rfc5681#4.2
#[test]
fn hole_filled_quick_acks_start_again() {
    let mut b = Bench::server_with(TcpConfig { quick_acks: 3, ..quiet() }, syn());
    let answers = |b: &mut Bench, from: u32| {
        (from..from + 6).map(|n| (b.get(data(n, 1, b"x")), b.out().len()).1).collect()
    };
    let first: Vec<usize> = answers(&mut b, 1);
    assert_eq!(first, [1, 1, 1, 0, 1, 0]);
    b.get(data(8, 1, b"x"));
    b.get(data(7, 1, b"x"));
    assert_eq!(b.out().last().unwrap().ack, 9);
    let then: Vec<usize> = answers(&mut b, 9);
    assert_eq!(then, [1, 1, 1, 0, 1, 0]);
}

/// H038: urgent payload stays in the stream.
#[test]
fn urgent_text_is_text() {
    let mut b = Bench::server();
    b.get(segment(Flags::ACK | Flags(0x20), 1, 1).payload(b"urgent"));
    assert_eq!(b.read(9).unwrap(), b"urgent");
}

/// H039: the window is scaled, and grows beyond 64 KiB.
#[test]
fn a_large_window() {
    let mut b = Bench::server_with(TcpConfig { tune_buffers: false, ..buffer(400_000) }, syn().scale(0));
    b.get(data(1, 1, &pattern(1_460)));
    b.read(2_000).unwrap();
    b.get(data(1_461, 1, &pattern(1_460)));
    let window = b.out().last().unwrap().window as u32;
    assert!(window << 3 > 250_000 && window << 3 <= 400_000, "{window}");
}

/// A server's connection over a path of [`RTT`], with room for large windows, and the shift of its windows.
fn far_away(retransmits: bool) -> (Bench, u32) {
    let mut b = Bench::listening(buffer(4 << 20), 4);
    b.pool = Pool::growing(64 << 20, 16_384);
    b.get(syn().scale(7));
    let scale = b.out()[0].options.window_scale.unwrap();
    b.advance(if retransmits { 1_500 } else { RTT.millis() });
    b.get(ack(1, 1));
    b.accept();
    (b, scale.into())
}

const RTT: Duration = Duration::from_millis(50);

/// H275: a sender in slow start sends two bytes for each that is acknowledged, in a train at the start of each
/// round trip or spread over it: the window lets it.
#[test]
fn the_window_stays_ahead_of_slow_start() {
    for spread in [false, true] {
        let (mut b, scale) = far_away(false);
        let (mut seq, mut flight) = (1, 10 * MSS);
        while flight < 1 << 20 {
            let (segments, start) = (flight / MSS, b.now);
            for n in 1..=segments {
                let after = RTT.micros() * u64::from(n) / u64::from(segments);
                b.now = start + Duration::from_micros(if spread { after } else { 0 });
                b.get(data(seq, 1, &pattern(MSS as usize)));
                seq += MSS;
                b.read(1 << 16).unwrap();
                for out in b.out() {
                    let edge = out.ack + (u32::from(out.window) << scale);
                    let room = edge - out.ack;
                    assert!(room >= flight + n * MSS, "spread {spread}: {room} of {flight} + {}", n * MSS);
                }
            }
            b.now = start + RTT;
            flight *= 2;
        }
    }
}

/// It grows no further than what is read in two round trips, twice; also where the round-trip time was never measured,
/// because the SYN-ACK went twice.
#[test]
fn a_buffer_follows_the_rate_of_its_reader() {
    for (retransmits, rtt_ms) in [(false, RTT.millis()), (true, 1_000)] {
        let (mut b, _) = far_away(retransmits);
        let mut seq = 1;
        for _ in 0..10 * rtt_ms {
            b.get(data(seq, 1, &pattern(MSS as usize)));
            seq += MSS;
            b.read(1 << 16).unwrap();
            b.out();
            b.advance(1);
        }
        let (buffer, rate) = (b.info().receive_buffer, MSS * rtt_ms as u32);
        assert!((2 * rate..=4 * rate + 4 * MSS).contains(&buffer) || buffer == 4 << 20, "{buffer}");
        assert!(retransmits || buffer < 4 << 20);
    }
}

/// The receive window that a SYN offers fits the memory: a device with little must not ask for
/// more than it can hold.
#[test]
fn a_small_pool_offers_a_small_window() {
    let mut b = Bench::listening(quiet(), 1);
    b.pool = Pool::growing(8_000, 500);
    b.get(syn());
    let window = b.out()[0].window;
    assert!((1_460..=4_000).contains(&window), "{window}");
    b.get(ack(1, 1));
    b.accept();
    for n in 0..2 {
        assert_eq!(b.get(data(1 + n * 1_000, 1, &pattern(1_000))), None);
    }
    assert_eq!(b.out().last().unwrap().ack, 2_001);
    assert_eq!(b.read(9_999).unwrap(), [&pattern(1_000)[..]; 2].concat());
    assert!(b.out().last().unwrap().window >= 1_460);
}

/// SHLD-7, B12: Nagle: one segment that is not full may be in flight. MUST-17: unless it is switched off.
//= rfc9293#3.7.4 SHLD-7, MUST-17
#[test]
fn small_writes_wait_for_each_other() {
    let mut b = Bench::server();
    b.write(b"a").unwrap();
    assert_eq!(brief(&b.out()), [(1, 1, 1)]);
    b.write(b"b").unwrap();
    b.write(b"c").unwrap();
    assert_eq!(b.out(), []);
    b.get(ack(1, 2));
    assert_eq!(brief(&b.out()), [(2, 2, 1)]);
    b.configure(|o| o.nodelay = true);
    b.write(b"d").unwrap();
    assert_eq!(brief(&b.out()), [(4, 1, 1)]);
    // Where nothing follows, there is nothing to wait for, whether the FIN fits the window as well or not.
    for window in [10, 4] {
        let mut b = Bench::server_with(quiet(), syn().win(window));
        b.write(b"a").unwrap();
        b.out();
        b.write(b"bcd").unwrap();
        assert_eq!(b.out(), []);
        b.shutdown();
        let out = b.out();
        assert_eq!((brief(&out), out[0].flags.has(Flags::FIN)), (vec![(2, 3, 1)], window == 10));
    }
}

/// MUST-38: a small window is not filled with small segments.
//= rfc9293#3.8.6.2.1 MUST-38
#[test]
fn no_small_segment_into_a_small_window() {
    let config = TcpConfig { congestion: Congestion::None, ..quiet() };
    let mut b = Bench::server_with(config, syn().win(4_000));
    b.write(&pattern(20_000)).unwrap();
    assert_eq!(brief(&b.out()), [(1, MSS, 1), (1 + MSS, MSS, 1)], "not the 1,080 bytes that are left");
    b.get(ack(1, 1 + MSS).win(3_000));
    assert_eq!(brief(&b.out()), [(1 + 2 * MSS, MSS, 1)]);
}

/// MUST-60, MUST-61: the last of what was written carries PSH.
//= rfc9293#3.9.1.2 MUST-60, MUST-61
#[test]
fn the_last_segment_is_pushed() {
    let mut b = Bench::server();
    b.write(&pattern(4_000)).unwrap();
    let pushed: Vec<bool> = b.out().iter().map(|o| o.flags.has(Flags::PSH)).collect();
    assert_eq!(pushed, [false, false, true]);
}

/// H052, H258, at the receiver: each segment beyond a hole is a duplicate acknowledgment, also when they
/// come in one batch; else the sender does not learn of the loss before its timer.
//= rfc5681#4.2
#[test]
fn each_segment_beyond_a_hole_is_answered() {
    let mut b = Bench::server();
    for n in 1..4 {
        b.get(data(1 + n * 1_000, 1, &pattern(1_000)));
    }
    let out = b.out();
    assert_eq!(brief(&out), [(1, 0, 1); 3]);
    assert!(out.windows(2).all(|w| w[0].window == w[1].window), "or they are no duplicates");
    // One long segment is one.
    b.get(data(5_001, 1, &pattern(8_000)));
    assert_eq!(b.out().len(), 1);
    // Merged by a device, they count as many as it says: three are enough.
    b.get(data(20_001, 1, &pattern(2_000)).merged(2));
    assert_eq!(b.out().len(), 2);
    b.get(data(30_001, 1, &pattern(10_000)).merged(10));
    assert_eq!(b.out().len(), 3);
    b.get(data(1, 1, &pattern(1_000)));
    assert_eq!(brief(&b.out()), [(1, 0, 4_001)], "the hole is filled in part: at once, and once");
}

/// Payload from before and behind the window is cut off; what lies inside counts.
//= rfc9293#3.10.7.4
#[test]
fn text_is_cut_to_the_window() {
    let mut b = Bench::server_with(buffer(2_000), syn());
    b.get(data(1, 1, b"abcd"));
    b.get(data(3, 1, b"cdef"));
    assert_eq!(b.read(9).unwrap(), b"abcdef");
    b.get(fin(7, 1).payload(&pattern(5_000)));
    let got = b.read(9_999).unwrap();
    assert!(got.len() < 2_001 && got[..] == pattern(5_000)[..got.len()]);
    assert_eq!(b.state(), State::Established, "the FIN lay outside");
}
