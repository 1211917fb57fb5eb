//! What recovery and congestion control are told of an acknowledgment, and the phases that recovery knows.

use super::Send;
use super::congestion::Ack;
use crate::seq::{Range, Seq};
use crate::tcp::segment::Timestamps;
use crate::time::{Duration, Instant};

/// What the sender is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecoveryPhase {
    /// Nothing is missing, or nobody knows yet.
    Open,
    /// Fast recovery: what is lost is sent again at the pace of what arrives.
    Fast,
    /// The timer fired: what is lost is sent again by slow start.
    Loss,
}

/// What an acknowledgment says, as far as recovery cares.
pub(crate) struct AckEvent<'s> {
    /// Bytes by which it moved SND.UNA on.
    pub(crate) acked: u32,
    pub(crate) ack: Seq,
    pub(crate) sack: &'s [Range],
    pub(crate) timestamps: Option<Timestamps>,
    /// How long ago that was sent which it answers, by its timestamp.
    pub(crate) elapsed: Option<Duration>,
    /// It is a duplicate as RFC 5681 §2 defines it.
    pub(crate) duplicate: bool,
}

impl Send {
    /// An acknowledgment moved SND.UNA by `acked` bytes, and `delivered` bytes are known to have arrived by it.
    #[inline]
    pub(in crate::tcp::send) fn tell_controller(
        &mut self,
        acked: u32,
        delivered: u32,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        if delivered == 0 {
            return;
        }
        // What arrives behind a gap is no sign that more could be sent.
        let recovering = self.recovery.phase() == RecoveryPhase::Fast || acked == 0;
        let (una, max) = (self.una, self.max);
        let srtt = self.rtt.smoothed().unwrap_or(Duration::ZERO);
        let (flight, min_rtt) = (self.pipe(), Duration::from_micros(self.rtt.min().into()));
        self.controller.on_ack(&Ack { now, una, max, delivered, flight, rtt, srtt, min_rtt, recovering });
    }
}
