//! Was it necessary? A recovery or a timeout for what was not lost is undone when there is evidence:
//! timestamps (the Eifel algorithm, RFC 3522), DSACK (RFC 2883, RFC 3708), or F-RTO (RFC 5682).

use super::super::ranges::Range;
use super::super::segment::Timestamps;
use crate::seq::Seq;

/// What is known of the retransmissions since one reduction of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undo {
    /// SND.UNA when it began.
    from: Seq,
    /// Our timestamp in the first retransmission.
    //= rfc3522#3.2 step 2
    first: Option<u32>,
    /// Bytes that were sent again, and of which the peer did not say that they came twice.
    unproven: u32,
    /// Once recovery is over, evidence counts until this is acknowledged.
    pub(super) until: Option<Seq>,
}

/// How far the test of RFC 5682 has come, by which a timeout shows itself as spurious.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Frto {
    /// It is not, or no longer, under way.
    Off,
    /// The timer fired: what does the first acknowledgment say?
    First,
    /// It was a good one. New text goes out, and nothing again, until the second.
    Second,
}

impl Undo {
    pub(super) fn new(from: Seq) -> Undo {
        Undo { from, first: None, unproven: 0, until: None }
    }

    pub(super) fn from(&self) -> Seq {
        self.from
    }

    /// `len` bytes went out again, at `clock` of our timestamps.
    pub(super) fn on_resent(&mut self, len: u32, clock: u32) {
        self.first.get_or_insert(clock);
        self.unproven = self.unproven.saturating_add(len);
    }

    /// Was the acknowledgment that moved SND.UNA on sent for what went out before the first
    /// retransmission?
    //= rfc3522#3.2 step 5
    pub(super) fn is_shown_by(&self, timestamps: Option<Timestamps>) -> bool {
        let (Some(first), Some(t)) = (self.first, timestamps) else { return false };
        t.echo != 0 && Seq(t.echo).before(Seq(first))
    }

    /// The peer says that `range` came twice. True if all that was sent again did.
    //= rfc3708#3
    pub(super) fn on_dsack(&mut self, range: Range) -> bool {
        if range.start.before(self.from) || self.unproven == 0 {
            return false;
        }
        self.unproven = self.unproven.saturating_sub(range.len());
        self.unproven == 0
    }
}
