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

/// H037: Minshall's mark, the end of the last segment that was not full, follows SND.UNA. Left behind for
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

/// H037: the recovery point follows SND.UNA: after more than half of the circle without a loss three
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
