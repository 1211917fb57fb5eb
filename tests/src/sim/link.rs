//! One direction of a link: bandwidth, delay, a queue with an end, and faults.

use super::device::Frame;
use super::options::{FaultOptions, LinkOptions};
use super::random::Random;
use barenet::device::RxChecksum;
use barenet::time::{Duration, Instant};

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes_per_s: u64,
    delay: Duration,
    queue: Duration,
    faults: FaultOptions,
    random: Random,
    in_burst: bool,
    /// When the last frame has left the sender.
    busy_until: Instant,
    /// When the last frame arrives that keeps its place.
    last: Instant,
}

/// What becomes of a frame.
#[derive(Default, Debug)]
pub(super) struct Fate {
    /// When it arrives: not at all, once or twice.
    pub(super) arrivals: heapless::Vec<Instant, 2>,
    /// What happened to it, for the log.
    pub(super) what: &'static str,
    /// What somebody else sends behind it.
    pub(super) forged: Option<Frame>,
}

impl Pipe {
    pub(super) fn new(options: &LinkOptions, direction: usize, seed: u64) -> Pipe {
        let us = |bytes: u64| Duration::from_micros(bytes * 1_000_000 / options.bytes_per_s);
        Pipe {
            bytes_per_s: options.bytes_per_s,
            delay: Duration::from_micros(options.delay_us),
            queue: us(options.queue),
            faults: options.faults[direction],
            random: Random::new(seed),
            in_burst: false,
            busy_until: Instant::ZERO,
            last: Instant::ZERO,
        }
    }

    /// The faults stop.
    pub(super) fn heal(&mut self) {
        self.faults = FaultOptions::default();
        self.in_burst = false;
    }

    /// A frame sets out at `now`; what is corrupted is changed in place.
    pub(super) fn carry(&mut self, frame: &mut Frame, now: Instant) -> Fate {
        let f = self.faults;
        let r = &mut self.random;
        let starts = self.busy_until.max(now);
        if starts.since(now) > self.queue {
            return Fate { what: "queue full", ..Fate::default() };
        }
        let takes = frame.bytes.len() as u64 * 1_000_000 / self.bytes_per_s;
        self.busy_until = starts + Duration::from_micros(takes);
        let forged = if r.chance(f.forge) { forge(frame, r) } else { None };
        self.in_burst = if self.in_burst { !r.chance(125_000) } else { r.chance(f.burst) };
        if self.in_burst || r.chance(f.loss) {
            return Fate { what: "lost", forged, ..Fate::default() };
        }
        let mut what = "";
        if r.chance(f.corrupt) {
            what = "corrupted";
            if !corrupt(frame, r) {
                return Fate { what: "lost, corrupt", forged, ..Fate::default() };
            }
        }
        let jitter = Duration::from_micros(r.below(f.jitter_us + 1));
        let in_order = self.last.max(self.busy_until + self.delay + jitter);
        let mut arrivals = heapless::Vec::new();
        if r.chance(f.reorder) {
            what = "delayed";
            let _ = arrivals.push(in_order + Duration::from_micros(r.below(f.reorder_us + 1)));
        } else {
            self.last = in_order;
            let _ = arrivals.push(in_order);
        }
        if r.chance(f.duplicate) {
            what = "doubled";
            let _ = arrivals.push(in_order + Duration::from_micros(r.below(f.reorder_us + 1)));
        }
        Fate { arrivals, what, forged }
    }
}

/// Inverts a bit that a checksum covers. What only Ethernet's own covers is lost instead, since
/// the simulation has none: then this returns false.
fn corrupt(frame: &mut Frame, r: &mut Random) -> bool {
    let is_ip = matches!(frame.bytes[12..14], [0x08, 0x00] | [0x86, 0xdd]);
    let at = r.below(frame.bytes.len() as u64) as usize;
    if !is_ip || at < 14 || frame.checksum == RxChecksum::Valid {
        return false;
    }
    frame.bytes[at] ^= 1 << r.below(8);
    true
}

/// A segment for the connection of this one with numbers drawn at random. A connection that is not
/// established has no defence against such, so SYNs are not copied.
fn forge(frame: &Frame, r: &mut Random) -> Option<Frame> {
    let (tcp, length_at) = match (&frame.bytes[12..14], frame.bytes.get(23), frame.bytes.get(20)) {
        ([8, 0], Some(6), _) => (34, 16),
        ([0x86, 0xdd], _, Some(6)) => (54, 18),
        _ => return None,
    };
    let is_syn = frame.bytes.get(tcp + 13)? & 2 != 0;
    if is_syn {
        return None;
    }
    let mut bytes = frame.bytes.get(..tcp + 20)?.to_vec();
    for at in [tcp + 4, tcp + 8] {
        bytes[at..at + 4].copy_from_slice(&(r.next_u64() as u32).to_be_bytes());
    }
    // A reset, a SYN, an acknowledgment, a FIN, or any flags at all; with a timestamp that is hard
    // to beat, and perhaps text.
    bytes[tcp + 12] = 8 << 4;
    let any = r.next_u64() as u8;
    bytes[tcp + 13] = r.pick(&[4, 2, 16, 17, 20, any]);
    bytes.extend_from_slice(&[1, 1, 8, 10]);
    bytes.extend_from_slice(&r.next_u64().to_be_bytes());
    bytes.resize(bytes.len() + r.pick(&[0, 0, 1, 500]), 0xee);
    let ip_len = if tcp == 34 { bytes.len() - 14 } else { bytes.len() - 54 };
    bytes[length_at..length_at + 2].copy_from_slice(&(ip_len as u16).to_be_bytes());
    if tcp == 34 {
        header_checksum(&mut bytes[14..34]);
    }
    Some(Frame { bytes, checksum: RxChecksum::Valid, segment_len: None })
}

fn header_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let words = header.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}
