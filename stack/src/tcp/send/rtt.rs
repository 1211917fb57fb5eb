//! Round-trip time and retransmission timeout (RFC 6298), in microseconds and integers.

use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::TcpConfig;
use crate::time::{Duration, Instant};

/// A shortest round trip counts for one to two periods, of 2^27 µs or 134 s: a path may become longer. Linux has 300 s.
const PERIOD_SHIFT: u32 = 27;
/// Periods have numbers that come again, after hours, so that one fits a byte of a parked connection.
const PERIODS: u64 = 128;
/// In µs.
const DELAY_UNIT: u32 = 2_000;
/// 200 ms, until more is known of the peer; so fewer than 128 fit a byte of a parked connection.
//= rfc8985#7.2: WCDelAckT
const DELAY_UNKNOWN: u8 = 100;

/// The estimator of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    /// Smoothed RTT in µs; 0: no sample yet.
    srtt: u32,
    /// RTTVAR in µs.
    var: u32,
    /// The shortest sample of this period and of the one before, in µs; 0: none.
    min: [u32; 2],
    period: u8,
    /// How long the peer holds back the acknowledgment of a single segment, in units of [`DELAY_UNIT`].
    ack_delay: u8,
    /// Timeouts in a row: each doubles the RTO.
    backoff: u8,
    /// The SYN had to be sent again, so the start value is 3 s (RFC 6298 §5.7).
    cautious: bool,
}

impl Rtt {
    pub(crate) const fn new() -> Self {
        Rtt { srtt: 0, var: 0, min: [0; 2], period: 0, ack_delay: DELAY_UNKNOWN, backoff: 0, cautious: false }
    }

    /// See [`park`](crate::tcp::connection::idle).
    pub(in crate::tcp) fn park(&self, to: &mut Packer) {
        let Rtt { srtt, var, min: _, period, ack_delay, backoff, cautious } = self;
        let bits = u32::from(*backoff) << 1 | u32::from(*cautious);
        [*srtt, *var, self.min(), bits].iter().for_each(|n| to.number(*n));
        [*period, *ack_delay].iter().for_each(|n| to.number(*n));
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Rtt {
        let [srtt, var, min, bits] = core::array::from_fn(|_| from.number() as u32);
        let [period, ack_delay] = core::array::from_fn(|_| from.number() as u8);
        let (backoff, cautious) = ((bits >> 1) as u8, bits & 1 == 1);
        Rtt { srtt, var, min: [min, 0], period, ack_delay, backoff, cautious }
    }

    /// Takes a measurement (RFC 6298 §2.2, §2.3), as far as it can be one: a tail is probed after a
    /// timeout at most, and what is not answered by then goes again after one more. What seems to have
    /// taken longer was heard late, or by a machine that stood still. Returns what it was taken for.
    #[inline]
    pub(crate) fn sample(&mut self, rtt: Duration, now: Instant, config: &TcpConfig) -> Duration {
        // No timeout is less than a round trip, unless that is the most: few samples need ask how long it is.
        let is_usual = rtt.micros() <= 2 * u64::from(self.srtt) && rtt <= config.rto_max;
        let rtt = if is_usual { rtt } else { rtt.min(self.rto(config) + self.rto(config)) };
        // A minute is more than any path has; it keeps the products below inside 32 bits.
        let rtt = rtt.micros().clamp(1, 60_000_000) as u32;
        self.note_min(rtt, now);
        if self.srtt == 0 {
            (self.srtt, self.var) = (rtt, rtt / 2);
        } else {
            self.var = self.var - self.var / 4 + rtt.abs_diff(self.srtt) / 4;
            self.srtt = (self.srtt - self.srtt / 8 + rtt / 8).max(1);
        }
        Duration::from_micros(rtt.into())
    }

    fn note_min(&mut self, rtt: u32, now: Instant) {
        let period = (now.micros() >> PERIOD_SHIFT) % PERIODS;
        let [min, before] = self.min;
        self.min = match period.wrapping_sub(self.period.into()) % PERIODS {
            0 => [least(min, rtt), before],
            1 => [rtt, min],
            _ => [rtt, 0],
        };
        self.period = period as u8;
    }

    /// The acknowledgment of the last segment in flight took so long.
    //= rfc8985#7.2
    pub(crate) fn learn_ack_delay(&mut self, rtt: Duration) {
        let held = (rtt.micros() as u32).saturating_sub(self.min()).div_ceil(DELAY_UNIT);
        let held = held.min(DELAY_UNKNOWN.into()) as u8;
        // A longer delay counts at once, shorter ones by and by.
        self.ack_delay = held.max(self.ack_delay - self.ack_delay.saturating_sub(held).div_ceil(8));
    }

    /// A probe was answered by what it should have waited for.
    pub(crate) fn on_needless_probe(&mut self) {
        self.ack_delay = (2 * self.ack_delay).clamp(1, DELAY_UNKNOWN);
    }

    /// How long the peer may hold back the acknowledgment of a single segment.
    pub(crate) fn ack_delay(&self) -> Duration {
        Duration::from_micros((u32::from(self.ack_delay) * DELAY_UNIT).into())
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

    /// The shortest sample of the last minutes in µs; 0 without one.
    pub(crate) fn min(&self) -> u32 {
        least(self.min[0], self.min[1])
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
    pub(crate) fn leave_handshake(
        &mut self,
        transmissions: u8,
        rtt: Option<Duration>,
        now: Instant,
        config: &TcpConfig,
    ) {
        self.backoff = 0;
        match rtt {
            _ if transmissions > 1 => self.cautious = true,
            Some(rtt) => {
                self.sample(rtt, now, config);
            }
            None => {}
        }
    }
}

/// The less of two that are 0 if unknown.
fn least(a: u32, b: u32) -> u32 {
    if a == 0 || b == 0 { a.max(b) } else { a.min(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn rto_ms(rtt: &Rtt) -> u64 {
        rtt.rto(&TcpConfig::default()).millis()
    }

    #[test]
    fn the_timeout_follows_the_samples() {
        let mut rtt = Rtt::new();
        assert_eq!(rto_ms(&rtt), 1000, "RFC 6298 §2.1");
        rtt.sample(Duration::from_millis(100), NOW, &TcpConfig::default());
        assert_eq!(rto_ms(&rtt), 300, "SRTT + 4 * R/2, RFC 6298 §2.2");
        for _ in 0..100 {
            rtt.sample(Duration::from_millis(100), NOW, &TcpConfig::default());
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
        rtt.leave_handshake(2, Some(Duration::from_millis(50)), NOW, &TcpConfig::default());
        assert_eq!(rto_ms(&rtt), 3000);
        rtt.sample(Duration::from_millis(100), NOW, &TcpConfig::default());
        assert_eq!(rto_ms(&rtt), 300);
    }

    /// H049: what seems to have taken longer than two timeouts was heard late: an hour makes no minute of it.
    #[test]
    fn a_sample_is_bounded_by_the_timer() {
        let (mut rtt, config) = (Rtt::new(), TcpConfig::default());
        rtt.leave_handshake(1, Some(Duration::from_secs(45)), NOW, &config);
        assert_eq!(rtt.smoothed(), Some(Duration::from_secs(2)), "twice the second of RFC 6298 §2.1");
        let mut rtt = Rtt::new();
        rtt.sample(Duration::from_millis(10), NOW, &config);
        rtt.sample(Duration::from_secs(3600), NOW, &config);
        assert!(rto_ms(&rtt) < 600, "{rtt:?}");
        // A path that has become so slow is learnt of all the same.
        for _ in 0..12 {
            rtt.sample(Duration::from_secs(10), NOW, &config);
        }
        assert!((10_000..40_000).contains(&rto_ms(&rtt)), "{rtt:?}");
    }

    /// H274: the path has become longer: after minutes the old round trip is the shortest no more.
    #[test]
    fn the_shortest_has_a_window() {
        let (mut rtt, config) = (Rtt::new(), TcpConfig::default());
        let mut sample = |rtt_ms, at_s: u64| {
            rtt.sample(Duration::from_millis(rtt_ms), Instant::from_millis(at_s * 1000), &config);
            rtt.min() / 1000
        };
        assert_eq!([sample(50, 10), sample(20, 20), sample(30, 136), sample(80, 250)], [50, 20, 20, 20]);
        assert_eq!([sample(80, 270), sample(80, 404), sample(81, 5000)], [30, 80, 81]);
    }

    /// H256: the delay of the peer is taken for 200 ms, then for what it is; a longer one counts at once.
    //= rfc8985#7.2
    #[test]
    fn the_delay_of_the_peer() {
        let (mut rtt, config) = (Rtt::new(), TcpConfig::default());
        let delay = |rtt: &Rtt| rtt.ack_delay().millis();
        rtt.sample(Duration::from_millis(10), NOW, &config);
        assert_eq!(delay(&rtt), 200);
        for _ in 0..40 {
            rtt.learn_ack_delay(Duration::from_millis(10));
        }
        assert_eq!(delay(&rtt), 0);
        rtt.learn_ack_delay(Duration::from_millis(130));
        assert_eq!(delay(&rtt), 120);
        rtt.learn_ack_delay(Duration::from_millis(10));
        assert_eq!(delay(&rtt), 104);
        rtt.on_needless_probe();
        assert_eq!(delay(&rtt), 200);
    }
}
