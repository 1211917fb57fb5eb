//! One direction of a link: bandwidth, delay, a queue with an end, and faults.

use super::device::Frame;
use super::mangle::{corrupt, forge, mark, too_big};
use super::options::{FaultOptions, Hole, LinkOptions};
use super::random::Random;
use barenet::time::{Duration, Instant};

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes_per_s: u64,
    delay: Duration,
    /// How long a frame may wait before it is dropped, and before it is marked.
    room: Duration,
    mark: Option<Duration>,
    faults: FaultOptions,
    /// From when until when, and what.
    hole: Option<(Instant, Instant, Hole)>,
    cut: Option<Instant>,
    /// Some host uses Fast Open.
    early: bool,
    random: Random,
    in_burst: bool,
    /// When the last frame has left the sender.
    busy_until: Instant,
    /// When the last frame arrives that keeps its place.
    last: Instant,
    pub(super) stats: PipeStats,
}

/// What crossed one direction of a link, and what did not.
#[derive(Clone, Copy, Default, Debug)]
pub struct PipeStats {
    /// Frames that were to cross it.
    pub offered: u64,
    /// Frames for which the queue had no room.
    pub dropped: u64,
    /// Frames that a fault took.
    pub lost: u64,
    /// Frames with TCP text that were to cross it.
    pub text: u64,
    /// Those of them that did not.
    pub text_lost: u64,
    /// Frames that were marked for congestion.
    pub marked: u64,
    /// Bytes that crossed it or were lost on it, with Ethernet headers.
    pub bytes: u64,
    /// How long all frames together waited in the queue, in microseconds.
    pub waited_us: u64,
    /// The longest that one waited.
    pub waited_us_max: u64,
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
    /// What its sender is told.
    pub(super) answer: Option<Frame>,
}

impl Pipe {
    pub(super) fn new(
        options: &LinkOptions,
        direction: usize,
        start: Instant,
        early: bool,
        seed: u64,
    ) -> Pipe {
        let us = |bytes: u64| Duration::from_micros(bytes.saturating_mul(1_000_000) / options.bytes_per_s);
        Pipe {
            bytes_per_s: options.bytes_per_s,
            delay: Duration::from_micros(options.delay_us),
            room: us(options.queue),
            mark: options.mark.map(us),
            faults: options.faults[direction],
            hole: options.hole.map(|h| (start + h.from, start + h.until, h)),
            cut: options.cut.map(|at| start + at),
            early,
            random: Random::new(seed),
            in_burst: false,
            busy_until: Instant::ZERO,
            last: Instant::ZERO,
            stats: PipeStats::default(),
        }
    }

    /// The faults stop.
    pub(super) fn heal(&mut self) {
        self.faults = FaultOptions::default();
        self.hole = None;
        self.in_burst = false;
    }

    /// How long a frame would wait for its turn.
    pub(super) fn backlog(&self, now: Instant) -> Duration {
        self.busy_until.since(now)
    }

    /// A frame sets out at `now`; what is corrupted or marked is changed in place.
    pub(super) fn carry(&mut self, frame: &mut Frame, now: Instant) -> Fate {
        let has_text = frame.has_text();
        self.stats.offered += 1;
        self.stats.text += has_text as u64;
        let fate = self.queue(frame, now);
        self.stats.text_lost += (has_text && fate.arrivals.is_empty()) as u64;
        fate
    }

    fn queue(&mut self, frame: &mut Frame, now: Instant) -> Fate {
        let waits = self.backlog(now);
        let starts = now + waits;
        let mut what = "";
        if waits > self.room {
            self.stats.dropped += 1;
            return Fate { what: "queue full", ..Fate::default() };
        }
        if self.mark.is_some_and(|m| waits > m) {
            what = "marked";
            if !mark(frame) {
                self.stats.dropped += 1;
                return Fate { what: "queue long", ..Fate::default() };
            }
            self.stats.marked += 1;
        }
        self.stats.bytes += frame.bytes.len() as u64;
        self.stats.waited_us += waits.micros();
        self.stats.waited_us_max = self.stats.waited_us_max.max(waits.micros());
        let takes = frame.bytes.len() as u64 * 1_000_000 / self.bytes_per_s;
        self.busy_until = starts + Duration::from_micros(takes);
        let mut fate = self.meet(frame, now, what);
        self.stats.lost += fate.arrivals.is_empty() as u64;
        // What does not cross the link tells the sender so.
        if fate.arrivals.is_empty() && fate.what == "too big" && self.hole.is_some_and(|(_, _, h)| h.tells) {
            fate.answer = self.hole.and_then(|(_, _, h)| too_big(frame, h.above));
        }
        fate
    }

    /// The faults.
    fn meet(&mut self, frame: &mut Frame, now: Instant, mut what: &'static str) -> Fate {
        let f = self.faults;
        let is_cut = self.cut.is_some_and(|at| at <= now);
        let hole = self.hole.filter(|(from, until, _)| (*from..*until).contains(&now));
        let r = &mut self.random;
        let forged = if r.chance(f.forge) && !is_cut { forge(frame, self.early, r) } else { None };
        self.in_burst = if self.in_burst { !r.chance(f.burst_end) } else { r.chance(f.burst) };
        let swallowed = match hole {
            _ if is_cut => Some("cut"),
            Some((_, _, h)) if h.above == 0 => Some("in the hole"),
            Some((_, _, h)) if frame.packet_len() > usize::from(h.above) => Some("too big"),
            _ if self.in_burst || r.chance(f.loss) => Some("lost"),
            _ if (f.text[0]..f.text[1]).contains(&self.stats.text.wrapping_sub(1)) && frame.has_text() => {
                Some("lost")
            }
            _ => None,
        };
        if let Some(what) = swallowed {
            return Fate { what, forged, ..Fate::default() };
        }
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
        Fate { arrivals, what, forged, answer: None }
    }
}
