//! What recovery is told of an acknowledgment, and the phases that it knows.

use crate::seq::{Range, Seq};
use crate::tcp::segment::Timestamps;
use crate::time::Duration;

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
