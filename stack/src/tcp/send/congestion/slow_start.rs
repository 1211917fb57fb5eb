//! Slow start, and how the first one ends before it overruns the path: HyStart++ (RFC 9406), and the test
//! of acknowledgment trains of the HyStart before it, as Linux has it.
//!
//! Until there was a congestion, nobody knows where to stop. Round-trip times that grow tell that a
//! queue builds up: the window then grows at a quarter of the speed, and if they stay so for five
//! rounds, slow start is over. Where the queue is empty again when a round begins they tell it too late (H278).
//! But the acknowledgments of a round come at the rate of the bottleneck, one soon after the other: once they
//! have come so for half of the shortest round trip, half of the path is in use, and the window, which
//! doubles in the round, is as large as the path. Then slow start is over at once. Linux wants one train that
//! nothing breaks; the longer the path, the surer some host pauses for a moment meanwhile, and then the whole
//! round is lost, and what the queue has no room for in the next. So here the trains of a round count together,
//! without what lies between them.

use super::Ack;
use super::window::Window;
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::time::{Duration, Instant};

/// Acknowledgments no farther apart are of one train, and no farther than a quarter of the round trip.
const TRAIN_GAP: Duration = Duration::from_millis(2);
/// What the peer and the devices may add to a train: they join segments.
const TRAIN_SLACK: Duration = Duration::from_millis(1);
/// In segments: trains of smaller windows say nothing.
const TRAIN_WINDOW: u32 = 16;

//= rfc9406#4.3: the constants, times in µs
const THRESHOLD_MIN: u32 = 4_000;
const THRESHOLD_MAX: u32 = 16_000;
const THRESHOLD_DIVISOR: u32 = 8;
const SAMPLES: u8 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;
/// Segments that one acknowledgment counts for at most: L of RFC 3465, as RFC 9406 has it. Where what
/// it stands for does not leave in one burst there is no limit.
const LIMIT: u32 = 8;

/// No sample yet.
const NONE: u32 = u32::MAX;

/// What is known of the first slow start.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowStart {
    /// The round lasts until what lies beyond this is acknowledged.
    end: Seq,
    /// The least RTT of the round before, and of this, in µs.
    last: u32,
    current: u32,
    /// Samples in this round.
    samples: u8,
    conservative: Option<Conservative>,
    /// The last acknowledgment, and how long, in µs, those of this round came one soon after the other.
    seen: Instant,
    trains: u32,
}

/// Conservative slow start: round trips took longer, or so it seemed.
#[derive(Clone, Copy, Default, Debug)]
struct Conservative {
    /// The least RTT when it began, in µs. Shorter ones say that it began for nothing.
    baseline: u32,
    /// Rounds to go.
    rounds: u8,
}

impl SlowStart {
    /// See [`park`](crate::tcp::connection::idle).
    pub(super) fn park(&self, una: Seq, to: &mut Packer) {
        // Nothing is in flight: what is sent next is another round.
        let SlowStart { end, last, current, samples, conservative, seen: _, trains: _ } = self;
        to.near(*end, una);
        // `NONE`, the usual, is as short as zero.
        [*last, *current].iter().for_each(|n| to.number(n.wrapping_add(1)));
        to.number(*samples);
        let Conservative { baseline, rounds } = conservative.unwrap_or_default();
        to.number(rounds);
        if conservative.is_some() {
            to.number(baseline);
        }
    }

    /// The other way.
    pub(super) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Self {
        let end = from.near(una);
        let [last, current] = [from.number(), from.number()].map(|n| (n as u32).wrapping_sub(1));
        let (samples, rounds) = (from.number() as u8, from.number() as u8);
        let conservative = (rounds > 0).then(|| Conservative { baseline: from.number() as u32, rounds });
        SlowStart { last, current, samples, conservative, ..SlowStart::new(end) }
    }

    pub(super) const fn new(start: Seq) -> Self {
        SlowStart {
            end: start,
            last: NONE,
            current: NONE,
            samples: 0,
            conservative: None,
            seen: Instant::ZERO,
            trains: 0,
        }
    }

    /// What is acknowledged lets the window grow as much, with an eye on the round-trip times while
    /// no congestion has set the threshold.
    //= rfc5681#3.1
    //= rfc3465#2.2
    pub(super) fn on_ack(&mut self, window: &mut Window, ack: &Ack, paced: bool) {
        let room = window.ssthresh - window.cwnd;
        let limit = if paced { u32::MAX } else { LIMIT * window.mss };
        let bytes = ack.delivered.min(limit).min(room);
        if !window.is_unbounded() {
            return window.grow(bytes);
        }
        //= rfc9406#4.2
        if self.end.before(ack.una) {
            self.begin_round(window, ack.max);
            (self.seen, self.trains) = (ack.now, 0);
        }
        if let Some(rtt) = ack.rtt {
            self.sample(rtt.micros().min(u64::from(NONE - 1)) as u32);
        }
        window.grow(if self.conservative.is_some() { bytes / CSS_GROWTH_DIVISOR } else { bytes });
        if window.is_unbounded() && self.is_long_train(ack, paced) && window.cwnd >= TRAIN_WINDOW * window.mss
        {
            window.ssthresh = window.cwnd;
            self.conservative = None;
        }
    }

    /// Do acknowledgments come one soon after the other for so long that they fill half of the path? What is
    /// paced came spread over half of the round trip already.
    fn is_long_train(&mut self, ack: &Ack, paced: bool) -> bool {
        let gap = TRAIN_GAP.min(Duration::from_micros(ack.min_rtt.micros() / 4));
        let since = ack.now.since(core::mem::replace(&mut self.seen, ack.now));
        if since > gap {
            return false;
        }
        self.trains = self.trains.saturating_add(since.micros() as u32);
        let parts = if paced { 1 } else { 2 };
        u64::from(self.trains) > (ack.min_rtt + TRAIN_SLACK).micros() / parts
    }

    /// Out of slow start, or with a window that is not used, no round ends for long: the end that is passed
    /// stays just behind.
    pub(super) fn follow(&mut self, una: Seq) {
        self.end = self.end.later_of(una - 1);
    }

    /// Our own invariants, for tests and the simulation.
    pub(super) fn check(&self, una: Seq) {
        assert!(self.end.is_near(una), "the end of a round was left behind");
    }

    fn begin_round(&mut self, window: &mut Window, end: Seq) {
        self.end = end;
        (self.last, self.current, self.samples) = (self.current, NONE, 0);
        if let Some(css) = &mut self.conservative {
            css.rounds -= 1;
            if css.rounds == 0 {
                window.ssthresh = window.cwnd;
                self.conservative = None;
            }
        }
    }

    fn sample(&mut self, rtt: u32) {
        self.current = self.current.min(rtt);
        self.samples = self.samples.saturating_add(1);
        if self.samples < SAMPLES {
            return;
        }
        match self.conservative {
            None if self.last != NONE => {
                let threshold = (self.last / THRESHOLD_DIVISOR).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
                if self.current >= self.last.saturating_add(threshold) {
                    self.conservative = Some(Conservative { baseline: self.current, rounds: CSS_ROUNDS });
                }
            }
            Some(css) if self.current < css.baseline => self.conservative = None,
            None | Some(_) => {}
        }
    }
}
