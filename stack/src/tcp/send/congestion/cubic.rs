//! CUBIC (RFC 9438), in integers: bytes and milliseconds.
//!
//! After a congestion the window returns along a cubic curve to where it was, lingers there, and
//! probes beyond; where the additive increase of Reno would be ahead, that decides. The curve follows
//! the time, not the round trips, so that long paths are not at a disadvantage.

use super::Ack;
use super::window::{LARGEST, Window};
use crate::tcp::codec::{Packer, Unpacker};
use crate::time::{Duration, Instant};

/// β, the part of the window that a congestion leaves, in tenths.
//= rfc9438#4.6
const BETA_TENTHS: u64 = 7;
/// α of the Reno-friendly region, 3(1-β)/(1+β), is this many of 17 parts.
//= rfc9438#4.3
const ALPHA_PARTS: u64 = 9;
const PARTS: u64 = 17;
/// 1/C in ms³ for a segment: C is 0.4 segments for a second cubed.
//= rfc9438#4.1
const C_INVERSE: u64 = 2_500_000_000;
/// Farther from K in ms, the curve is beyond every window.
const FAR: u64 = 1 << 19;

/// What one congestion leaves for the growth until the next.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Cubic {
    /// W_max in bytes; 0: none is known, for slow start ended without a loss, or after a timeout.
    w_max: u32,
    /// cwnd_prior in bytes: the window before it was reduced.
    prior: u32,
    /// Congestion avoidance, once an acknowledgment came in it.
    stage: Option<Stage>,
}

/// One stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// How long it has lasted: the time in which the window was used. No instant is kept for longer
    /// than to the next acknowledgment (H047).
    elapsed: Duration,
    seen: Instant,
    /// Where the curve is flat: K in ms, and the window there in bytes.
    k_ms: u32,
    plateau: u32,
    /// W_est in bytes: the window that Reno would have.
    w_est: u32,
    /// What divisions left over: of W_est's growth, of the window's.
    est_rest: u64,
    rest: u64,
}

impl Cubic {
    /// See [`park`](crate::tcp::connection::idle).
    pub(super) fn park(&self, to: &mut Packer) {
        let Cubic { w_max, prior, stage } = self;
        [*w_max, *prior].iter().for_each(|n| to.number(*n));
        to.bits([stage.is_some()]);
        if let Some(Stage { elapsed, seen, k_ms, plateau, w_est, est_rest, rest }) = stage {
            to.instant(*seen);
            [*k_ms, *plateau, *w_est].iter().for_each(|n| to.number(*n));
            [elapsed.micros(), *est_rest, *rest].iter().for_each(|n| to.number(*n));
        }
    }

    /// The other way.
    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let (w_max, prior) = (from.number() as u32, from.number() as u32);
        let [has_stage] = from.bits();
        let stage = has_stage.then(|| {
            let seen = from.instant();
            let [k_ms, plateau, w_est] = core::array::from_fn(|_| from.number() as u32);
            let [elapsed, est_rest, rest] = core::array::from_fn(|_| from.number());
            Stage { elapsed: Duration::from_micros(elapsed), seen, k_ms, plateau, w_est, est_rest, rest }
        });
        Cubic { w_max, prior, stage }
    }

    /// Congestion avoidance: `ack` delivered something that was sent with the window full.
    pub(super) fn avoid(&mut self, window: &mut Window, ack: &Ack) {
        let (w_max, prior) = (self.w_max, self.prior);
        let stage = self.stage.get_or_insert_with(|| Stage::new(w_max, window, ack.now));
        stage.pass(ack.now, ack.srtt);
        stage.grow_estimate(window, prior, ack.delivered);
        //= rfc9438#4.3
        if stage.curve(window.mss, Duration::ZERO) < stage.w_est {
            window.cwnd = window.cwnd.max(stage.w_est).min(LARGEST);
            return;
        }
        //= rfc9438#4.2: the target is what the curve says for a round trip from now
        //= rfc9438#4.4
        //= rfc9438#4.5
        let target = stage.curve(window.mss, ack.srtt).min(window.cwnd / 2 * 3).max(window.cwnd);
        let cwnd = u64::from(window.cwnd);
        stage.rest += u64::from(target - window.cwnd) * u64::from(ack.delivered);
        window.grow((stage.rest / cwnd) as u32);
        stage.rest %= cwnd;
    }

    /// Something was delivered while the window was not used: that time does not count.
    //= rfc9438#5.8
    pub(super) fn pause(&mut self, now: Instant) {
        if let Some(stage) = &mut self.stage {
            stage.seen = now;
        }
    }

    /// The path was idle: the next stage begins where slow start will have led.
    pub(super) fn on_idle(&mut self) {
        self.stage = None;
    }

    //= rfc9438#4.6
    pub(super) fn on_congestion(&mut self, window: &mut Window, flight: u32) {
        //= rfc9438#4.7: fast convergence, W_max is cwnd * (1+β)/2
        self.w_max = match window.cwnd {
            cwnd if cwnd < self.w_max => (u64::from(cwnd) * (10 + BETA_TENTHS) / 20) as u32,
            cwnd => cwnd,
        };
        self.reduce(window, flight);
        window.cwnd = window.ssthresh;
    }

    /// K is 0 and W_max the window in the stage that follows.
    //= rfc9438#4.8
    pub(super) fn on_timeout(&mut self, window: &mut Window, flight: u32) {
        self.w_max = 0;
        self.reduce(window, flight);
    }

    fn reduce(&mut self, window: &mut Window, flight: u32) {
        self.prior = window.cwnd;
        self.stage = None;
        window.ssthresh = ((u64::from(flight) * BETA_TENTHS / 10) as u32).max(2 * window.mss);
    }
}

impl Stage {
    /// K follows from the window that it begins with, whatever it was when congestion struck (H046).
    //= rfc9438#4.2: K is the cube root of (W_max - cwnd) / C
    fn new(w_max: u32, window: &Window, now: Instant) -> Self {
        let below = u64::from(w_max.saturating_sub(window.cwnd));
        Stage {
            elapsed: Duration::ZERO,
            seen: now,
            k_ms: cube_root(below * C_INVERSE / u64::from(window.mss)),
            plateau: w_max.max(window.cwnd),
            w_est: window.cwnd,
            est_rest: 0,
            rest: 0,
        }
    }

    /// Time passed. Acknowledgments of a sender that fills its window are never far apart: a longer
    /// gap was a pause.
    //= rfc9438#5.8
    fn pass(&mut self, now: Instant, srtt: Duration) {
        self.elapsed = self.elapsed + now.since(self.seen).min(srtt + srtt);
        self.seen = now;
    }

    /// W_cubic in bytes, `ahead` from now.
    //= rfc9438#4.2
    fn curve(&self, mss: u32, ahead: Duration) -> u32 {
        let (t, k) = ((self.elapsed + ahead).millis(), u64::from(self.k_ms));
        let from_k = t.abs_diff(k).min(FAR);
        // In this order it fits into 64 bits, and is a byte off at most.
        let offset = from_k * from_k * from_k / (C_INVERSE / 1_000_000) * u64::from(mss) / 1_000_000;
        let plateau = u64::from(self.plateau);
        let at = if t < k { plateau.saturating_sub(offset) } else { plateau + offset };
        at.min(u64::from(LARGEST)) as u32
    }

    //= rfc9438#4.3: W_est grows by α segments in a round, by one where it was reduced from
    fn grow_estimate(&mut self, window: &Window, prior: u32, delivered: u32) {
        let alpha = if self.w_est >= prior { PARTS } else { ALPHA_PARTS };
        let whole = u64::from(window.cwnd) * PARTS;
        self.est_rest += alpha * u64::from(delivered) * u64::from(window.mss);
        self.w_est = self.w_est.saturating_add((self.est_rest / whole) as u32).min(LARGEST);
        self.est_rest %= whole;
    }
}

/// The cube root of numbers below 2^63, rounded down.
fn cube_root(n: u64) -> u32 {
    (0..21).rev().fold(0, |root: u64, bit| {
        let more = root | 1 << bit;
        if more * more * more <= n { more } else { root }
    }) as u32
}

#[cfg(test)]
mod tests;
