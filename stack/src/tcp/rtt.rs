//! Round-trip time and retransmission timeout (RFC 6298), in microseconds and integers.

use super::config::TcpConfig;
use super::park::{Packer, Unpacker};
use crate::time::Duration;

/// The estimator of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    /// Smoothed RTT in µs; 0: no sample yet.
    srtt: u32,
    /// RTTVAR in µs.
    var: u32,
    /// The shortest sample in µs; 0: none.
    min: u32,
    /// Timeouts in a row: each doubles the RTO.
    backoff: u8,
    /// The SYN had to be sent again, so the start value is 3 s (RFC 6298 §5.7).
    cautious: bool,
}

impl Rtt {
    pub(crate) const fn new() -> Self {
        Rtt { srtt: 0, var: 0, min: 0, backoff: 0, cautious: false }
    }

    /// See [`park`](super::park).
    pub(super) fn park(&self, to: &mut Packer) {
        let Rtt { srtt, var, min, backoff, cautious } = self;
        [*srtt, *var, *min, u32::from(*backoff)].iter().for_each(|n| to.number(*n));
        to.bits([*cautious]);
    }

    /// The other way.
    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Rtt {
        let (srtt, var, min) = (from.number() as u32, from.number() as u32, from.number() as u32);
        let backoff = from.number() as u8;
        let [cautious] = from.bits();
        Rtt { srtt, var, min, backoff, cautious }
    }

    /// Takes a measurement (RFC 6298 §2.2, §2.3), as far as it can be one: a tail is probed after a
    /// timeout at most, and what is not answered by then goes again after one more. What seems to have
    /// taken longer was heard late, or by a machine that stood still. Returns what it was taken for.
    pub(crate) fn sample(&mut self, rtt: Duration, config: &TcpConfig) -> Duration {
        let timeout = self.rto(config);
        // A minute is more than any path has; it keeps the products below inside 32 bits.
        let rtt = rtt.min(timeout + timeout).micros().clamp(1, 60_000_000) as u32;
        self.min = if self.min == 0 { rtt } else { self.min.min(rtt) };
        if self.srtt == 0 {
            (self.srtt, self.var) = (rtt, rtt / 2);
        } else {
            self.var = self.var - self.var / 4 + rtt.abs_diff(self.srtt) / 4;
            self.srtt = (self.srtt - self.srtt / 8 + rtt / 8).max(1);
        }
        Duration::from_micros(rtt.into())
    }

    /// SRTT, if there was a sample.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        (self.srtt != 0).then_some(Duration::from_micros(self.srtt.into()))
    }

    /// RTTVAR.
    pub(crate) fn variation(&self) -> Duration {
        Duration::from_micros(self.var.into())
    }

    /// The timeout now, back-off included.
    pub(crate) fn rto(&self, config: &TcpConfig) -> Duration {
        let base = match self.srtt {
            0 if self.cautious => 3_000_000,
            0 => config.rto_initial.micros(),
            srtt => srtt as u64 + (4 * self.var as u64).max(1000),
        };
        let base = Duration::from_micros(base).max(config.rto_min);
        config.backed_off(base, self.backoff)
    }

    /// The shortest sample in µs; 0 without one.
    pub(crate) fn min(&self) -> u32 {
        self.min
    }

    /// SRTT in µs; 0 without a sample.
    pub(crate) fn smoothed_micros(&self) -> u32 {
        self.srtt
    }

    /// The timer fired (RFC 6298 §5.5).
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// New data was acknowledged: the path answers.
    pub(crate) fn forget_back_off(&mut self) {
        self.backoff = 0;
    }

    pub(crate) fn backoff(&self) -> u8 {
        self.backoff
    }

    /// The handshake is over after `transmissions` of the SYN, without a sample if more than one, or
    /// if nobody knows when it was sent.
    pub(crate) fn leave_handshake(&mut self, transmissions: u8, rtt: Option<Duration>, config: &TcpConfig) {
        self.backoff = 0;
        match rtt {
            _ if transmissions > 1 => self.cautious = true,
            Some(rtt) => {
                self.sample(rtt, config);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rto_ms(rtt: &Rtt) -> u64 {
        rtt.rto(&TcpConfig::default()).millis()
    }

    #[test]
    fn the_timeout_follows_the_samples() {
        let mut rtt = Rtt::new();
        assert_eq!(rto_ms(&rtt), 1000, "RFC 6298 §2.1");
        rtt.sample(Duration::from_millis(100), &TcpConfig::default());
        assert_eq!(rto_ms(&rtt), 300, "SRTT + 4 * R/2, RFC 6298 §2.2");
        for _ in 0..100 {
            rtt.sample(Duration::from_millis(100), &TcpConfig::default());
        }
        assert_eq!(rto_ms(&rtt), 200, "not below the floor");
        rtt.back_off();
        rtt.back_off();
        assert_eq!(rto_ms(&rtt), 800);
        for _ in 0..100 {
            rtt.back_off();
        }
        assert_eq!(rto_ms(&rtt), 60_000, "capped, RFC 6298 §2.5");
        rtt.forget_back_off();
        assert_eq!(rto_ms(&rtt), 200);
    }

    /// H050: after a lost SYN the data phase starts with 3 s.
    #[test]
    fn a_lost_syn_makes_the_start_cautious() {
        let mut rtt = Rtt::new();
        rtt.leave_handshake(2, Some(Duration::from_millis(50)), &TcpConfig::default());
        assert_eq!(rto_ms(&rtt), 3000);
        rtt.sample(Duration::from_millis(100), &TcpConfig::default());
        assert_eq!(rto_ms(&rtt), 300);
    }

    /// H049: what seems to have taken longer than two timeouts was heard late: an hour makes no minute of it.
    #[test]
    fn a_sample_is_bounded_by_the_timer() {
        let (mut rtt, config) = (Rtt::new(), TcpConfig::default());
        rtt.leave_handshake(1, Some(Duration::from_secs(45)), &config);
        assert_eq!(rtt.smoothed(), Some(Duration::from_secs(2)), "twice the second of RFC 6298 §2.1");
        let mut rtt = Rtt::new();
        rtt.sample(Duration::from_millis(10), &config);
        rtt.sample(Duration::from_secs(3600), &config);
        assert!(rto_ms(&rtt) < 600, "{rtt:?}");
        // A path that has become so slow is learnt of all the same.
        for _ in 0..12 {
            rtt.sample(Duration::from_secs(10), &config);
        }
        assert!((10_000..40_000).contains(&rto_ms(&rtt)), "{rtt:?}");
    }
}
