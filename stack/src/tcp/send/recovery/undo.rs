//! Was it necessary? A recovery or a timeout for what was not lost is undone when there is evidence:
//! timestamps (the Eifel algorithm, RFC 3522), DSACK (RFC 2883, RFC 3708), or F-RTO (RFC 5682).

use crate::seq::{Range, Seq};

use crate::tcp::segment::Timestamps;

/// Stretches that were sent again and are remembered. After more nobody can tell which duplicates are ours.
const RESENT: usize = 6;

/// What is known of the retransmissions since one reduction of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undo {
    /// SND.UNA when it began.
    from: Seq,
    /// Our timestamp in the first retransmission.
    //= rfc3522#3.2 step 2
    first: Option<u32>,
    /// What was sent again; empty: unused.
    resent: [Range; RESENT],
    /// Bytes of it of which the peer did not say that they came twice.
    unproven: u32,
    /// More was sent again than is remembered.
    is_more: bool,
    /// Duplicates prove something: each was of what was sent again.
    counts: bool,
    /// The timer fired: what went again had not been overtaken, or not only.
    timed_out: bool,
    /// The reduction was taken back.
    pub(super) undone: bool,
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
    /// It was a good one. New payload goes out, and nothing again, until the second.
    Second,
}

impl Undo {
    pub(super) fn new(from: Seq) -> Undo {
        let resent = [Range { start: from, end: from }; RESENT];
        Undo {
            from,
            first: None,
            resent,
            unproven: 0,
            is_more: false,
            counts: true,
            timed_out: false,
            undone: false,
            until: None,
        }
    }

    pub(super) fn from(&self) -> Seq {
        self.from
    }

    /// The retransmission timer fired.
    pub(super) fn on_timeout(&mut self) {
        self.timed_out = true;
    }

    /// Had only what was overtaken gone again? If that was for nothing, the path reorders; after a timeout
    /// nothing but acknowledgments may have been lost.
    pub(super) fn is_of_overtaken(&self) -> bool {
        !self.timed_out
    }

    /// `range` went out again, at `clock` of our timestamps.
    pub(super) fn on_resent(&mut self, range: Range, clock: u32) {
        self.first.get_or_insert(clock);
        self.unproven = self.unproven.saturating_add(range.len());
        let known = self.resent.iter_mut().find(|r| r.is_empty() || r.end == range.start || **r == range);
        match known {
            Some(known) if known.is_empty() => *known = range,
            Some(known) => known.end = range.end,
            None => self.is_more = true,
        }
    }

    /// What was reduced is as it was before; duplicates that still come may show why it was.
    pub(super) fn on_undone(&mut self, nxt: Seq) {
        (self.until, self.undone) = (Some(nxt), true);
    }

    /// May all of `range` have been sent again? Where more was than is remembered it may.
    pub(super) fn may_be_of(&self, range: Range) -> bool {
        self.is_more || self.knows(range)
    }

    fn knows(&self, range: Range) -> bool {
        let contains = |r: &Range| r.start.at_or_before(range.start) && range.end.at_or_before(r.end);
        self.resent.iter().any(|r| !r.is_empty() && contains(r))
    }

    /// Was the acknowledgment that moved SND.UNA on to `una` sent for what went out before the first
    /// retransmission, though it acknowledges what went again? What lies before may have gone again in an
    /// earlier recovery, and says nothing of this one.
    //= rfc3522#3.2 step 5
    pub(super) fn is_shown_by(&self, timestamps: Option<Timestamps>, una: Seq) -> bool {
        let (Some(first), Some(t)) = (self.first, timestamps) else { return false };
        let is_of_resent = self.resent.iter().any(|r| !r.is_empty() && r.start.before(una));
        is_of_resent && t.echo != 0 && Seq(t.echo).before(Seq(first))
    }

    /// The peer says that `range` came twice. True if all that was sent again did. If it was sent once, the
    /// network has doubled it, and from then on duplicates prove nothing (H276).
    //= rfc3708#3
    pub(super) fn on_dsack(&mut self, range: Range) -> bool {
        if range.start.before(self.from) || self.unproven == 0 {
            return false;
        }
        self.counts &= self.knows(range);
        if !self.counts {
            return false;
        }
        self.unproven = self.unproven.saturating_sub(range.len());
        self.unproven == 0
    }
}
