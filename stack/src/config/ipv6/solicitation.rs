//! When an interface asks for routers (RFC 4861 §6.3.7, RFC 7559).

use crate::base::random::Random;
use crate::time::{Duration, Instant};

/// First interval (RFC 7559 §2, IRT: RFC 4861's RTR_SOLICITATION_INTERVAL).
const FIRST: Duration = Duration::from_secs(4);
/// Longest interval (RFC 7559 §2, MRT).
const LONGEST: Duration = Duration::from_secs(3600);

/// The questions of one interface. They never end by themselves: a router may come up later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Solicitation {
    /// When the next is asked.
    at: Instant,
    /// The interval before it; zero: it is the first.
    interval: Duration,
}

impl Solicitation {
    /// Nothing is asked.
    pub(crate) const OFF: Solicitation = Solicitation { at: Instant::FAR_FUTURE, interval: Duration::ZERO };

    /// The first question is due at `at`.
    pub(crate) fn start(&mut self, at: Instant) {
        *self = Solicitation { at, interval: Duration::ZERO };
    }

    /// A router has answered.
    pub(crate) fn stop(&mut self) {
        *self = Solicitation::OFF;
    }

    /// When [`on_timer`](Self::on_timer) says yes.
    pub(crate) const fn deadline(&self) -> Instant {
        self.at
    }

    /// Is a question to be sent?
    //= rfc7559#2
    pub(crate) fn on_timer(&mut self, random: &mut Random, now: Instant) -> bool {
        if now < self.at {
            return false;
        }
        let base = match self.interval {
            Duration::ZERO => FIRST,
            before => (before + before).min(LONGEST),
        };
        // A tenth more or less, so that hosts that were switched on together don't stay together.
        let tenth = base.micros() / 10;
        let jitter = u64::from(random.below((tenth / 500) as u32)) * 1000;
        self.interval = Duration::from_micros(base.micros() - tenth + jitter);
        self.at = now + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7559 §2: 4 s, then twice as long each time, up to an hour, each a tenth more or less.
    #[test]
    fn solicitation_unanswered_backs_off() {
        let mut random = Random::new([1; 32]);
        let mut asks = Solicitation::OFF;
        asks.start(Instant::ZERO);
        assert!(asks.on_timer(&mut random, Instant::ZERO));
        let mut before = 4000;
        for round in 0..30 {
            let (now, interval) = (asks.deadline(), asks.interval.millis());
            let near = before * 9 / 10 - 1..=(before * 11 / 10 + 1).min(3_960_001);
            assert!(near.contains(&interval), "{round}: {interval} after {before}");
            assert!(!asks.on_timer(&mut random, now - Duration::from_millis(1)));
            assert!(asks.on_timer(&mut random, now));
            before = (interval * 2).min(3_600_000);
        }
        assert!(asks.interval >= Duration::from_secs(3240));
        asks.stop();
        assert!(!asks.on_timer(&mut random, Instant::from_millis(1 << 40)));
    }
}
