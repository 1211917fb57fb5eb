//! Pacing: what the window allows goes out at a rate, not in one burst.
//!
//! A gate that closes when more has gone out than the rate pays for, and opens when that is made up
//! for. What passes at once is a millisecond's worth: shorter waits are beyond the timer wheel, and
//! longer segments cost less. Where the round trip is shorter than that, the window alone decides.

use crate::tcp::codec::{Packer, Unpacker};
use crate::time::{Duration, Instant};

/// A burst is what the rate pays for in 1/1000 s, the tick of the timer wheel,
const BURSTS_PER_SECOND: u64 = 1000;
/// or these segments where they are more: one alone would wait for a delayed acknowledgment.
const BURST_SEGMENTS: u32 = 2;

/// The gate of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Pacer {
    /// Bytes in a second; 0: the gate is always open.
    rate: u64,
    /// How far ahead of the rate the sender may be, in bytes and in µs.
    burst: u32,
    ahead: u32,
    /// When the rate will have paid for everything that went out.
    paid: Instant,
    /// Closed until then.
    closed: Option<Instant>,
}

impl Pacer {
    /// Always open.
    pub(crate) const OPEN: Pacer = Pacer { rate: 0, burst: 0, ahead: 0, paid: Instant::ZERO, closed: None };

    /// See [`park`](crate::tcp::connection::idle): the gate is open.
    pub(in crate::tcp) fn park(&self, to: &mut Packer) -> Option<()> {
        let Pacer { rate, burst, ahead, paid, closed } = self;
        if closed.is_some() {
            return None;
        }
        to.number(*rate);
        if *rate == 0 {
            return Some(());
        }
        [*burst, *ahead].iter().for_each(|n| to.number(*n));
        // Once it has passed, when it was is all the same.
        to.instant((*paid).max(to.now()));
        Some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let rate = from.number();
        if rate == 0 {
            return Pacer::default();
        }
        let (burst, ahead) = (from.number() as u32, from.number() as u32);
        Pacer { rate, burst, ahead, paid: from.instant(), closed: None }
    }

    /// From now on `rate` bytes a second, for segments of `mss` bytes.
    pub(crate) fn set_rate(&mut self, rate: u64, mss: u32) {
        self.rate = rate.max(1);
        let burst = (self.rate / BURSTS_PER_SECOND).max(u64::from(BURST_SEGMENTS * mss));
        self.burst = burst.min(u64::from(u32::MAX)) as u32;
        self.ahead = (burst * 1_000_000 / self.rate).min(u64::from(u32::MAX)) as u32;
    }

    /// Bytes in a second, if there is a rate.
    pub(crate) fn rate(&self) -> Option<u64> {
        (self.rate > 0).then_some(self.rate)
    }

    /// The gate is open until there is another rate: a first flight, or one after an idle time, is
    /// limited by its window.
    pub(crate) fn open(&mut self) {
        *self = Pacer::default();
    }

    /// May more be sent?
    pub(crate) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// How much may be sent in one piece.
    pub(crate) fn most(&self) -> u32 {
        if self.rate == 0 { u32::MAX } else { self.burst }
    }

    /// `bytes` went out.
    pub(crate) fn on_sent(&mut self, bytes: u32, now: Instant) {
        if self.rate == 0 {
            return;
        }
        let cost = Duration::from_micros(u64::from(bytes) * 1_000_000 / self.rate);
        self.paid = self.paid.max(now) + cost;
        let ahead = Duration::from_micros(self.ahead.into());
        if self.paid > now + ahead {
            self.closed = Some(self.paid - ahead);
        }
    }

    /// When the gate opens, if it is closed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.closed
    }

    pub(crate) fn on_timer(&mut self, now: Instant) {
        self.closed = self.closed.filter(|at| *at > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends whatever the gate lets through in `ms`, looked at every `tick` µs; returns the bytes, and
    /// the longest burst.
    fn pour(rate: u64, mss: u32, ms: u64, tick: u64) -> (u64, u64) {
        let mut pacer = Pacer::default();
        pacer.set_rate(rate, mss);
        let (mut sent, mut longest) = (0, 0);
        for us in (0..ms * 1000).step_by(tick as usize) {
            let now = Instant::from_micros(us);
            pacer.on_timer(now);
            let mut burst = 0;
            while pacer.is_open() {
                let bytes = pacer.most().min(65_000);
                pacer.on_sent(bytes, now);
                burst += u64::from(bytes);
            }
            assert!(pacer.deadline().is_some_and(|at| at > now));
            sent += burst;
            longest = longest.max(burst);
        }
        (sent, longest)
    }

    /// T07: what passes is the rate, on a wheel that ticks in milliseconds, from a modem to 100 Gb/s; and
    /// what passes at once is little.
    #[test]
    fn the_rate_is_kept() {
        for rate in [5_000u64, 100_000, 1_250_000, 12_500_000, 125_000_000, 12_500_000_000] {
            for tick in [100, 1000] {
                let (sent, longest) = pour(rate, 1448, 10_000, tick);
                let burst = (rate / 1000).max(2 * 1448);
                assert!(sent * 100 <= 10 * (rate * 104 + 20 * burst), "{rate}: {sent}");
                assert!(sent * 100 >= 10 * rate * 98, "{rate}: {sent}");
                assert!(longest <= 2 * burst + 65_000, "{rate}: {longest}");
            }
        }
    }

    /// What was not sent in a pause is not made up for.
    #[test]
    fn a_pause_earns_no_burst() {
        let mut pacer = Pacer::default();
        pacer.set_rate(1_000_000, 1000);
        let now = Instant::from_millis(10_000);
        pacer.on_sent(2000, now);
        assert!(pacer.is_open());
        pacer.on_sent(1000, now);
        assert_eq!(pacer.deadline(), Some(now + Duration::from_millis(1)));
        pacer.on_timer(now);
        assert!(!pacer.is_open());
    }

    /// Without a rate there is no gate.
    #[test]
    fn no_rate_no_gate() {
        let mut pacer = Pacer::default();
        pacer.on_sent(1 << 30, Instant::ZERO);
        assert!(pacer.is_open() && pacer.rate().is_none() && pacer.most() == u32::MAX);
    }
}
