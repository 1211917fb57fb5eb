//! Loss recovery at the sender: duplicate acknowledgments, fast retransmit and NewReno's fast
//! recovery (RFC 5681 §3.2, RFC 6582), limited transmit (RFC 3042).

use super::park::{Packer, Unpacker};
use crate::seq::Seq;

/// Duplicates that stand for a loss.
const THRESHOLD: u8 = 3;

/// Where the sender stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    duplicates: u8,
    /// In fast recovery until this is acknowledged.
    until: Option<Seq>,
    /// RFC 6582's "recover": no new fast retransmit for data sent before.
    recover: Seq,
    /// Bytes that may be in flight in fast recovery.
    pub(crate) window: u32,
    /// The segment at SND.UNA is to be sent again, at once.
    pub(crate) retransmit: bool,
    /// The timer fired, and this is not acknowledged yet.
    timed_out_until: Option<Seq>,
    /// What was sent again after the timeout is being acknowledged.
    answered: bool,
}

/// What a duplicate acknowledgment asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Duplicate {
    /// One or two: new data may go out beyond cwnd, a segment for each (RFC 3042).
    Limited,
    /// The third: a segment is lost.
    Loss,
    /// More of them in recovery.
    Further,
    /// Stale: they speak of data from before the last recovery.
    Ignored,
}

/// What an acknowledgment of new data means for recovery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// No recovery is going on.
    Normal,
    /// Recovery goes on: the next hole is sent again.
    Partial,
    /// Recovery is over.
    Recovered,
}

impl Recovery {
    pub(crate) fn new(iss: Seq) -> Self {
        Recovery {
            duplicates: 0,
            until: None,
            recover: iss,
            window: 0,
            retransmit: false,
            timed_out_until: None,
            answered: false,
        }
    }

    /// See [`park`](super::park): no recovery goes on.
    pub(super) fn park(&self, una: Seq, to: &mut Packer) -> Option<()> {
        let Recovery { duplicates, until, recover, window: _, retransmit, timed_out_until, answered } = self;
        if *duplicates > 0 || until.is_some() || *retransmit || timed_out_until.is_some() {
            return None;
        }
        to.near(*recover, una);
        to.bits([*answered]);
        Some(())
    }

    /// The other way.
    pub(super) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Recovery {
        let recover = from.near(una);
        let [answered] = from.bits();
        Recovery { answered, ..Recovery::new(recover) }
    }

    /// Is one segment after the other acknowledged that was sent again after a timeout? Then the path
    /// answers, although none of them is a sample.
    pub(crate) fn is_answered(&self) -> bool {
        self.timed_out_until.is_some() && self.answered
    }

    /// Does a fast recovery go on?
    pub(crate) fn is_active(&self) -> bool {
        self.until.is_some()
    }

    /// Bytes beyond cwnd that limited transmit allows: for new text, not while old text is sent again
    /// after a timeout.
    //= rfc3042#2; H042
    pub(crate) fn limited_transmit(&self, mss: u16) -> u32 {
        match (self.until, self.timed_out_until) {
            (None, None) => self.duplicates.min(2) as u32 * mss as u32,
            (Some(_), _) | (_, Some(_)) => 0,
        }
    }

    pub(crate) fn on_duplicate(&mut self, una: Seq, max: Seq) -> Duplicate {
        if self.until.is_some() {
            return Duplicate::Further;
        }
        self.duplicates = self.duplicates.saturating_add(1);
        if self.duplicates < THRESHOLD {
            return Duplicate::Limited;
        }
        //= rfc6582#3.2 step 2: only for data beyond "recover"
        if self.duplicates > THRESHOLD || una.at_or_before(self.recover) {
            return Duplicate::Ignored;
        }
        self.until = Some(max);
        self.recover = max;
        self.retransmit = true;
        Duplicate::Loss
    }

    pub(crate) fn on_progress(&mut self, una: Seq) -> Progress {
        self.duplicates = 0;
        self.retransmit = false;
        self.answered = self.timed_out_until.is_some();
        if self.timed_out_until.is_some_and(|end| end.at_or_before(una)) {
            self.timed_out_until = None;
        }
        match self.until {
            None => Progress::Normal,
            Some(end) if una.before(end) => {
                self.retransmit = true;
                Progress::Partial
            }
            Some(_) => {
                self.until = None;
                Progress::Recovered
            }
        }
    }

    /// The retransmission timer fired. Returns whether it did so before for data still in flight.
    //= rfc6582#3.2 step 4
    pub(crate) fn on_timeout(&mut self, max: Seq) -> bool {
        let again = self.timed_out_until.is_some();
        *self = Recovery {
            duplicates: 0,
            until: None,
            recover: max,
            window: 0,
            retransmit: false,
            timed_out_until: Some(max),
            answered: false,
        };
        again
    }
}
