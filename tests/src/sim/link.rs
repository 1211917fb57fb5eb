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
        self.in_burst = if self.in_burst { !r.chance(125_000) } else { r.chance(f.burst) };
        if self.in_burst || r.chance(f.loss) {
            return Fate { what: "lost", ..Fate::default() };
        }
        let mut what = "";
        if r.chance(f.corrupt) {
            what = "corrupted";
            if !corrupt(frame, r) {
                return Fate { what: "lost, corrupt", ..Fate::default() };
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
        Fate { arrivals, what }
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
