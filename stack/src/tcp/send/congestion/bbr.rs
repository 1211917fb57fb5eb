//! A controller with a model of the path: how fast it delivers, and how long it takes when no queue
//! stands in it. After draft-ietf-ccwg-bbr (BBR version 3), and smaller.
//!
//! What of the draft is here: the states Startup, Drain, ProbeBW (Down, Cruise, Refill, Up) and
//! ProbeRTT with their gains; the bandwidth as the largest sample of two probing cycles, one with each
//! acknowledgment ([`samples`]); the shortest round trip of ten seconds; pacing always; the window as a multiple of
//! the product, between what was found too much while probing and what losses since then say; a bound that gives
//! way by twice as much in each round of Up; the time between probes, after seconds or as many rounds as Reno
//! takes; the end of Startup by a plateau of three rounds or by losses above 2 % in six places; no growth by what
//! the application limits.
//!
//! What is not: losses are counted as what is sent again, and bound nothing up to 2 % or in fewer than three places
//! of a round ([`losses`]); ProbeRTT comes only where ten seconds showed no round trip as short; the time between
//! probes is spread by the initial sequence number, not by chance; aggregated acknowledgments are met by the
//! window's factor of two alone; marks of ECN count as a round of losses.

mod losses;
mod samples;

use super::Ack;
use super::window::Window;
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::time::{Duration, Instant};
use samples::{Round, Samples};

/// Gains in hundredths.
type Percent = u64;

/// Pacing stays a little below the bandwidth, so that no queue stands for ever.
const MARGIN: Percent = 99;
/// What a round of losses leaves of the bounds.
const BETA: Percent = 70;
/// What Cruise leaves free below the bound that probing found.
const HEADROOM: Percent = 85;
/// Rounds without a quarter more of bandwidth that end Startup and Up.
const PLATEAU_ROUNDS: u8 = 3;
/// No window is smaller, in segments.
const LEAST: u32 = 4;
const MIN_RTT_LASTS: Duration = Duration::from_secs(10);
const PROBE_RTT_LASTS: Duration = Duration::from_millis(200);
/// Two to three seconds pass from one probe to the next, or these rounds, or those that the flow has segments in
/// flight: among many flows each probes the more often the less it has.
const CRUISE: Duration = Duration::from_secs(2);
const PROBE_ROUNDS: u32 = 63;
/// No round trip is known.
const UNKNOWN: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// The window doubles in a round, to find the bandwidth.
    Startup,
    /// The queue that Startup built goes.
    Drain,
    /// Below the bandwidth, until no queue is left.
    Down,
    /// At the bandwidth, for seconds.
    Cruise,
    /// At the bandwidth, for a round, without the bounds of losses.
    Refill,
    /// Above the bandwidth: is there more?
    Up,
    /// Nearly nothing in flight: how short is the path?
    ProbeRtt,
}

impl Mode {
    const ALL: [Mode; 7] =
        [Mode::Startup, Mode::Drain, Mode::Down, Mode::Cruise, Mode::Refill, Mode::Up, Mode::ProbeRtt];

    fn pacing_gain(self) -> Percent {
        match self {
            Mode::Startup => 277,
            Mode::Drain => 50,
            Mode::Down => 90,
            Mode::Cruise | Mode::Refill | Mode::ProbeRtt => 100,
            Mode::Up => 125,
        }
    }

    fn window_gain(self) -> Percent {
        match self {
            Mode::Up => 225,
            Mode::ProbeRtt => 50,
            _ => 200,
        }
    }

    /// Does it look for more than is known?
    fn is_probing(self) -> bool {
        matches!(self, Mode::Startup | Mode::Refill | Mode::Up)
    }
}

/// The model and the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bbr {
    mode: Mode,
    /// Since when, and rounds that ended in it.
    since: Instant,
    rounds_in_mode: u8,
    samples: Samples,
    /// The most bytes in a second of this probing cycle, and of the one before.
    bandwidth: [u64; 2],
    /// The shortest round trip in µs, and when it was seen.
    min_rtt: u32,
    min_rtt_at: Instant,
    /// The shortest in ProbeRTT, in µs.
    probed_rtt: u32,
    /// The bandwidth that Startup has to surpass by a quarter, and rounds in which it did not.
    plateau: u64,
    plateau_rounds: u8,
    /// The bandwidth was found once.
    filled: bool,
    /// In flight, what a probe found too much: in bytes.
    inflight_high: u32,
    /// Losses since the last probe say: not more than this. Bytes, and bytes in a second.
    inflight_low: u32,
    bandwidth_low: u64,
    /// Nothing was in flight before the next acknowledgment's segment was sent.
    restarted: bool,
    /// Spreads the probes of flows that began together: the last of a series of numbers.
    spread: u16,
}

impl Bbr {
    pub(super) fn new(start: Seq, now: Instant) -> Self {
        Bbr {
            mode: Mode::Startup,
            since: now,
            rounds_in_mode: 0,
            samples: Samples::new(now),
            bandwidth: [0; 2],
            min_rtt: UNKNOWN,
            min_rtt_at: now,
            probed_rtt: UNKNOWN,
            plateau: 0,
            plateau_rounds: 0,
            filled: false,
            inflight_high: u32::MAX,
            inflight_low: u32::MAX,
            bandwidth_low: u64::MAX,
            restarted: false,
            spread: start.0 as u16,
        }
    }

    /// See [`park`](crate::tcp::connection::idle). What the present round showed so far is forgotten: nothing is in
    /// flight, and with what is sent next another begins.
    pub(super) fn park(&self, to: &mut Packer) {
        let Bbr {
            mode,
            since,
            rounds_in_mode,
            samples: _,
            bandwidth,
            min_rtt,
            min_rtt_at,
            probed_rtt,
            plateau,
            plateau_rounds,
            filled,
            inflight_high,
            inflight_low,
            bandwidth_low,
            restarted,
            spread,
        } = self;
        to.number(*mode as u8);
        [*since, *min_rtt_at].iter().for_each(|at| to.instant(*at));
        [rounds_in_mode, plateau_rounds].iter().for_each(|n| to.number(**n));
        // What is not known is the largest: that takes the fewest bytes when it is counted from there.
        [min_rtt, probed_rtt, inflight_high, inflight_low].iter().for_each(|n| to.number(**n ^ u32::MAX));
        [bandwidth[0], bandwidth[1], *plateau].iter().for_each(|n| to.number(*n));
        to.number(*bandwidth_low ^ u64::MAX);
        to.number(*spread);
        to.bits([*filled, *restarted]);
    }

    /// The other way.
    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let mode = Mode::ALL[from.number() as usize % Mode::ALL.len()];
        let [since, min_rtt_at] = core::array::from_fn(|_| from.instant());
        let [rounds_in_mode, plateau_rounds] = core::array::from_fn(|_| from.number() as u8);
        let [min_rtt, probed_rtt, inflight_high, inflight_low] =
            core::array::from_fn(|_| from.number() as u32 ^ u32::MAX);
        let [b0, b1, plateau] = core::array::from_fn(|_| from.number());
        let bandwidth_low = from.number() ^ u64::MAX;
        let spread = from.number() as u16;
        let [filled, restarted] = from.bits();
        Bbr {
            mode,
            since,
            rounds_in_mode,
            samples: Samples::new(since),
            bandwidth: [b0, b1],
            min_rtt,
            min_rtt_at,
            probed_rtt,
            plateau,
            plateau_rounds,
            filled,
            inflight_high,
            inflight_low,
            bandwidth_low,
            restarted,
            spread,
        }
    }

    pub(super) fn on_ack(&mut self, window: &mut Window, ack: &Ack) {
        self.take_rtt(ack);
        let (sample, round) = self.samples.on_ack(ack);
        if let Some(sample) = sample
            && (!sample.dry || sample.rate > self.most())
        {
            self.bandwidth[0] = self.bandwidth[0].max(sample.rate);
        }
        if let Some(round) = &round {
            self.rounds_in_mode = self.rounds_in_mode.saturating_add(1);
            self.end_round(window, round, ack);
        }
        self.step(window, ack);
        self.restarted = false;
        self.set_window(window, ack);
    }

    /// The rate at which to send; before a sample, what the window is worth in a round trip.
    pub(super) fn rate(&self, window: &Window, before: Option<u64>, srtt: Duration) -> Option<u64> {
        let gain = self.mode.pacing_gain();
        let found = self.bandwidth() * gain / 100 * MARGIN / 100;
        if self.filled {
            // Not below the least window in a round trip: a bandwidth that was measured while the path
            // was all but dead would else take minutes to be found wrong.
            let least = (u64::from(LEAST * window.mss) * 1_000_000).checked_div(srtt.micros());
            return Some(found.max(least.unwrap_or(0)));
        }
        // Startup only ever speeds up: its first samples are of a window that had yet to grow.
        let first = (u64::from(window.cwnd) * 1_000_000 * gain / 100).checked_div(srtt.micros());
        before.or(first).map(|rate| rate.max(found))
    }

    pub(super) fn on_resent(&mut self, start: Seq, bytes: u32) {
        self.samples.losses.on_resent(start, bytes);
    }

    /// Routers marked some of the `flight` bytes on their way: as if too much of them were lost.
    //= rfc3168#6.1.2
    pub(super) fn on_mark(&mut self, flight: u32) {
        self.samples.losses.on_marked(flight);
    }

    /// Everything went out, `flight` bytes of it are on their way, and there is room for more.
    pub(super) fn on_dry(&mut self, flight: u32, now: Instant) {
        self.samples.on_dry(flight, now);
    }

    /// Nothing is in flight, and something will be. It goes out at the rate that is known.
    pub(super) fn on_idle(&mut self, now: Instant) {
        self.restarted = true;
        self.samples.restart(now);
    }

    fn take_rtt(&mut self, ack: &Ack) {
        let Some(rtt) = ack.rtt.map(|rtt| rtt.micros().min(u64::from(UNKNOWN - 1)) as u32) else { return };
        if self.mode == Mode::ProbeRtt {
            self.probed_rtt = self.probed_rtt.min(rtt);
        }
        // After an idle time no queue of ours stands in the path: what is old is simply replaced.
        if rtt <= self.min_rtt || (self.restarted && self.min_rtt_is_old(ack.now)) {
            (self.min_rtt, self.min_rtt_at) = (rtt, ack.now);
        }
    }

    fn min_rtt_is_old(&self, now: Instant) -> bool {
        now.since(self.min_rtt_at) > MIN_RTT_LASTS
    }

    /// The most bytes in a second of two cycles.
    fn most(&self) -> u64 {
        self.bandwidth[0].max(self.bandwidth[1])
    }

    /// Bytes in a second that the path is believed to take.
    fn bandwidth(&self) -> u64 {
        self.most().min(self.bandwidth_low)
    }

    /// What is in flight at so much of the bandwidth; `None`: the model is not known yet.
    fn inflight(&self, gain: Percent) -> Option<u32> {
        if self.min_rtt == UNKNOWN || self.bandwidth() == 0 {
            return None;
        }
        let product = u128::from(self.bandwidth()) * u128::from(self.min_rtt) / 1_000_000;
        Some((product * u128::from(gain) / 100).min(u128::from(super::window::LARGEST)) as u32)
    }

    fn end_round(&mut self, window: &Window, round: &Round, ack: &Ack) {
        let sent = round.losses.bytes().saturating_add(round.delivered);
        match self.mode {
            Mode::Startup => {
                self.filled = self.is_plateau(round);
                if round.losses.end_startup(sent) {
                    self.filled = true;
                    self.bound_probe(round.delivered, 100);
                }
            }
            // Where only the bound of the last probe keeps the rate down, the path may have more.
            Mode::Up if self.is_bound(window, ack) => (self.plateau, self.plateau_rounds) = (round.best, 0),
            Mode::Up => {
                let is_found = self.is_plateau(round);
                if is_found {
                    self.enter_down(ack.now);
                }
            }
            mode if !mode.is_probing() && round.losses.are_many(sent) => self.bound_by_losses(window, round),
            _ => {}
        }
    }

    /// Has the bandwidth stopped growing while more was tried?
    fn is_plateau(&mut self, round: &Round) -> bool {
        if !round.full {
            return false;
        }
        if round.best >= self.plateau + self.plateau / 4 {
            (self.plateau, self.plateau_rounds) = (round.best, 0);
            return false;
        }
        self.plateau_rounds += 1;
        self.plateau_rounds >= PLATEAU_ROUNDS
    }

    /// A probe met losses with `flight` bytes out: not so much again until the next.
    fn bound_probe(&mut self, flight: u32, beta: Percent) {
        let product = self.inflight(100).unwrap_or(0);
        self.inflight_high = flight.max((u64::from(product) * beta / 100) as u32);
    }

    fn bound_by_losses(&mut self, window: &Window, round: &Round) {
        self.bandwidth_low = round.best.max(self.bandwidth_low.min(self.most()) * BETA / 100);
        let low = u64::from(self.inflight_low.min(window.cwnd)) * BETA / 100;
        self.inflight_low = round.delivered.max(low as u32);
    }

    fn forget_losses(&mut self) {
        (self.inflight_low, self.bandwidth_low) = (u32::MAX, u64::MAX);
    }

    fn enter(&mut self, mode: Mode, now: Instant) {
        (self.mode, self.since, self.rounds_in_mode) = (mode, now, 0);
    }

    fn enter_down(&mut self, now: Instant) {
        // A cycle is over: what the one before last found is forgotten.
        self.bandwidth =
            [0, self.bandwidth[0].max(if self.bandwidth[0] == 0 { self.bandwidth[1] } else { 0 })];
        self.enter(Mode::Down, now);
        // The next wait is another one.
        self.spread = self.spread.wrapping_mul(25_173).wrapping_add(13_849);
    }

    /// From one state to the next.
    fn step(&mut self, window: &Window, ack: &Ack) {
        let in_flight = |gain| self.inflight(gain).is_none_or(|most| ack.flight <= most);
        let now = ack.now;
        match self.mode {
            Mode::Startup if self.filled => self.enter(Mode::Drain, now),
            Mode::Drain if in_flight(100) => self.enter_down(now),
            Mode::Down | Mode::Cruise if self.probe_is_due(window, now) => {
                self.forget_losses();
                self.samples.extend_round(now);
                self.enter(Mode::Refill, now);
            }
            // The time that it lasts counts from Down on.
            Mode::Down if in_flight(100) && ack.flight <= self.cruising(window) => self.mode = Mode::Cruise,
            Mode::Up if self.samples.losses.are_many(self.samples.flight()) => {
                self.bound_probe(self.samples.flight(), BETA);
                self.enter_down(now);
            }
            Mode::Refill if self.rounds_in_mode >= 1 => {
                (self.plateau, self.plateau_rounds) = (self.bandwidth(), 0);
                self.enter(Mode::Up, now);
            }
            Mode::Up => self.climb(window, ack),
            Mode::ProbeRtt if now.since(self.since) > PROBE_RTT_LASTS && self.rounds_in_mode >= 1 => {
                self.min_rtt = if self.probed_rtt == UNKNOWN { self.min_rtt } else { self.probed_rtt };
                self.min_rtt_at = now;
                self.forget_losses();
                self.enter(if self.filled { Mode::Cruise } else { Mode::Startup }, now);
            }
            _ => {}
        }
        if self.mode != Mode::ProbeRtt && self.min_rtt_is_old(now) && !self.restarted {
            self.probed_rtt = UNKNOWN;
            self.enter(Mode::ProbeRtt, now);
        }
    }

    /// Is it time to look for more: after seconds, or as many rounds as a flow of Reno's would take to double?
    fn probe_is_due(&self, window: &Window, now: Instant) -> bool {
        let spread = Duration::from_millis(u64::from(self.spread % 1000));
        let product = self.inflight(100).unwrap_or(0).min(window.cwnd) / window.mss;
        let rounds = product.min(PROBE_ROUNDS) + u32::from(self.spread & 1);
        now.since(self.since) > CRUISE + spread || u32::from(self.rounds_in_mode) >= rounds
    }

    /// Is it the bound of the last probe that keeps more from being sent?
    fn is_bound(&self, window: &Window, ack: &Ack) -> bool {
        let out = ack.flight.saturating_add(ack.delivered).saturating_add(window.mss);
        self.inflight_high != u32::MAX && out >= self.inflight_high
    }

    /// Up: that bound gives way while nothing is lost, by twice as many segments in each round.
    fn climb(&mut self, window: &Window, ack: &Ack) {
        if self.is_bound(window, ack) {
            let step = u64::from(window.mss) << self.rounds_in_mode.min(20);
            let step = u64::from(ack.delivered) * step / u64::from(window.cwnd.max(1));
            self.inflight_high = self.inflight_high.saturating_add(step.min(ack.delivered.into()) as u32);
        }
    }

    /// What Cruise keeps in flight at most.
    fn cruising(&self, window: &Window) -> u32 {
        match self.inflight_high {
            u32::MAX => u32::MAX,
            high => ((u64::from(high) * HEADROOM / 100) as u32).min(high.saturating_sub(window.mss)),
        }
    }

    fn set_window(&self, window: &mut Window, ack: &Ack) {
        let least = LEAST * window.mss;
        // Bursts of the sender, and acknowledgments for several of them, must fit in.
        let burst = (self.bandwidth() / 1000).min(65_536).max(2 * u64::from(window.mss)) as u32;
        let most = self.inflight(self.mode.window_gain()).map(|most| most.max(3 * burst));
        match most {
            Some(most) if self.filled => window.cwnd = window.cwnd.saturating_add(ack.delivered).min(most),
            Some(most) if window.cwnd >= most && window.cwnd >= window.initial => {}
            _ => window.grow(ack.delivered),
        }
        let bound = match self.mode {
            Mode::Startup | Mode::Drain | Mode::Down | Mode::Refill | Mode::Up => self.inflight_high,
            Mode::Cruise => self.cruising(window),
            Mode::ProbeRtt => self.cruising(window).min(self.inflight(50).unwrap_or(least)),
        };
        window.cwnd = window.cwnd.min(bound).min(self.inflight_low).max(least);
    }
}

#[cfg(test)]
mod tests;
