//! Numbers that are stored for long: marks in the sequence space follow it round its circle. The peer of
//! these tests takes gigabytes, in super-segments.

use super::*;

/// More than half of the circle.
const HALF: u64 = (1 << 31) + (1 << 20);
/// A super-segment: full segments that the engine plans as one.
const SUPER: u32 = 44 * MSS;

impl Bench {
    /// Sends everything that may go now, as it is planned; how many bytes.
    fn pump(&mut self) -> u32 {
        let mut sent = 0;
        while let Some(index) = self.tcp.next_ready(self.interface) {
            let Some(plan) = self.tcp.plan(index, 65_535, self.now, &self.pool) else { continue };
            sent += plan.len;
            self.tcp.on_sent(index, &plan, self.now, &mut self.pool);
            self.tcp.queue_if_ready(index);
        }
        sent
    }

    /// The peer takes `bytes` in full segments, and something is in flight or queued all the time. Returns
    /// the number that comes next.
    fn bulk(&mut self, bytes: u64) -> u32 {
        self.configure(|o| o.send_buffer = Some(4 * SUPER));
        let chunk = pattern(SUPER as usize);
        let (mut written, mut sent) = (0u64, 0u64);
        while sent < bytes {
            while written < sent + u64::from(SUPER) {
                assert_eq!(self.write(&chunk), Ok(SUPER as usize));
                written += u64::from(SUPER);
            }
            sent += u64::from(self.pump());
            self.get(ack(1, 1u32.wrapping_add((sent - u64::from(MSS)) as u32)));
        }
        while sent < written {
            sent += u64::from(self.pump());
            self.get(ack(1, 1u32.wrapping_add((sent - u64::from(MSS)) as u32)));
        }
        1u32.wrapping_add(sent as u32)
    }
}

/// H037, H236: Minshall's mark, the end of the last segment that was not full, follows SND.UNA. Left behind for
/// half of the circle it looked like ahead, and what is not full waited for the timer of the window.
//= rfc9293#3.7.4 SHLD-7
#[test]
fn a_small_segment_after_two_gib() {
    for bytes in [1 << 22, HALF] {
        let mut b = Bench::server_with(quiet(), syn().scale(8));
        b.write(b"small").unwrap();
        b.out();
        b.get(ack(1, 6));
        let end = b.bulk(bytes);
        let end = end.wrapping_add(5);
        b.get(ack(1, end));
        b.get(data(1, end, b"next"));
        b.out();
        b.write(&pattern(700)).unwrap();
        assert_eq!(brief(&b.out()), [(end, 700, 5)], "after {bytes} bytes");
    }
}

/// H037, H236: the recovery point follows SND.UNA: after more than half of the circle without a loss three
/// duplicates stand for one, as before.
//= rfc6582#3.2 step 2
#[test]
fn fast_retransmit_after_two_gib() {
    for bytes in [1 << 22, HALF] {
        let mut b = Bench::server_with(quiet(), syn().scale(8));
        let end = b.bulk(bytes);
        b.write(&pattern(10 * MSS as usize)).unwrap();
        b.out();
        let mut out = vec![];
        for _ in 0..4 {
            b.get(ack(1, end));
            out.extend(b.out());
        }
        assert!(out.iter().any(|o| o.seq == end && o.len() == MSS), "after {bytes} bytes: {:?}", brief(&out));
    }
}

/// Two stacks on a line of a millisecond, which send to each other all the time.
struct Pair {
    ends: [Bench; 2],
    /// Bytes that each has written and read.
    written: [u64; 2],
    read: [u64; 2],
    /// The next full segment is lost.
    loses: bool,
    buf: Vec<u8>,
}

impl Pair {
    fn new(config: TcpConfig) -> Pair {
        let mut ends = [Bench::new(config), Bench::listening(config, 4)];
        for (b, port) in ends.iter_mut().zip([PEER_PORT, PORT]) {
            b.pool = Pool::growing(4 << 20, 65_536);
            b.mtu = u16::MAX;
            b.tuple.local_port = port;
            b.tuple.remote_port = PEER_PORT + PORT - port;
        }
        let [client, server] = &mut ends;
        (client.tuple.local, client.tuple.remote) = (server.tuple.remote, server.tuple.local);
        client.key = Some(
            client
                .tcp
                .connect(client.tuple, client.interface, client.mtu, None, client.now, &mut client.pool)
                .unwrap(),
        );
        let mut pair = Pair { ends, written: [0; 2], read: [0; 2], loses: false, buf: pattern(1 << 16) };
        (0..4).for_each(|_| pair.turn(0));
        pair.ends[1].accept();
        pair
    }

    /// What one has to send arrives at the other at once.
    fn carry(&mut self, from: usize) {
        let [a, b] = &mut self.ends;
        let (a, b) = if from == 0 { (a, b) } else { (b, a) };
        while let Some(index) = a.tcp.next_ready(a.interface) {
            let Some(plan) = a.tcp.plan(index, 65_535, a.now, &a.pool) else { continue };
            let mut pieces = heapless::Vec::<&[u8], 8>::new();
            a.tcp.at(index).unwrap().payload(&a.pool, &plan, &mut pieces);
            let segment = Segment {
                seq: plan.seq,
                ack: plan.ack,
                flags: plan.flags,
                window: plan.window,
                urgent: 0,
                options: plan.options,
                mark: plan.mark,
                packets: 1,
                payload: Bytes::new(&pieces),
            };
            let is_lost = plan.len > 1_000 && core::mem::take(&mut self.loses);
            if !is_lost {
                b.tcp.on_segment(&b.tuple, b.interface, b.mtu, &segment, b.now, &mut b.pool);
            }
            drop(pieces);
            a.tcp.on_sent(index, &plan, a.now, &mut a.pool);
            a.tcp.queue_if_ready(index);
        }
    }

    /// A millisecond: what is due, segments both ways, and the programs, which write up to `total` bytes.
    fn turn(&mut self, total: u64) {
        for from in [0, 1] {
            let b = &mut self.ends[from];
            b.now += Duration::from_millis(1);
            while b.tcp.expire(b.now, &mut b.pool).is_some() {}
            self.carry(from);
        }
        for (n, b) in self.ends.iter_mut().enumerate() {
            let Some(key) = b.key.filter(|_| total > 0) else { continue };
            while let Ok(read @ 1..) = b.tcp.read(key, &mut self.buf, b.now, &mut b.pool) {
                self.read[n] += read as u64;
            }
            loop {
                let left = (total - self.written[n]).min(self.buf.len() as u64) as usize;
                let Ok(written @ 1..) = b.tcp.write(key, &self.buf[..left], b.now, &mut b.pool) else {
                    break;
                };
                self.written[n] += written as u64;
            }
        }
    }

    /// Both read what the other writes, up to `total` bytes. Returns how many milliseconds it takes.
    fn exchange(&mut self, total: u64) -> u64 {
        let start = self.ends[0].now;
        while self.read != [total; 2] {
            self.turn(total);
            let took = self.ends[0].now.since(start).millis();
            assert!(took < 1_000_000, "{:?} of {total}", self.read);
            if took.is_multiple_of(64) {
                self.ends.iter().for_each(|b| b.tcp.check(&b.pool));
            }
        }
        self.ends[0].now.since(start).millis()
    }
}

/// Each end sends more than the circle has numbers, a segment in half a gigabyte is lost, and at the
/// end a small answer goes as quickly as at the beginning.
fn once_round_the_circle(sack: bool, timestamps: bool) {
    let config = TcpConfig {
        #[cfg(feature = "sack")]
        sack,
        timestamps,
        ..quiet()
    };
    // Without the feature it is not offered.
    let _ = sack;
    let mut pair = Pair::new(config);
    let mut total = 700;
    let first = pair.exchange(total);
    let part = (1 << 29) + (1 << 20);
    let times: Vec<u64> = (0..8)
        .map(|n| {
            pair.loses = n > 0;
            total += part;
            pair.exchange(total)
        })
        .collect();
    assert!(total > 1 << 32);
    total += 700;
    assert!(pair.exchange(total) <= first + 2, "a small answer waits");
    assert!(times.iter().all(|ms| *ms < times[0] + 2_000), "{times:?}");
}

#[test]
fn four_gib_each_way_with_sack_and_timestamps() {
    once_round_the_circle(true, true);
}

#[test]
fn four_gib_each_way_with_sack() {
    once_round_the_circle(true, false);
}

#[test]
fn four_gib_each_way_with_timestamps() {
    once_round_the_circle(false, true);
}

#[test]
fn four_gib_each_way_with_neither() {
    once_round_the_circle(false, false);
}
