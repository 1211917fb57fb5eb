//! What is remembered of a range of numbers in flight.

use crate::seq::Seq;
pub(crate) use crate::tcp::send::xmit_time::XmitTime;

/// What became of what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SegmentStatus {
    /// It is on its way, as far as is known.
    Sent,
    /// It has arrived, although what lies before has not.
    Sacked,
    /// It is lost, and was not sent again.
    Lost,
}

/// A stretch of numbers, from the end of the record before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) end: Seq,
    /// When it was last sent.
    pub(crate) sent: XmitTime,
    pub(crate) status: SegmentStatus,
    /// It was sent more than once.
    pub(crate) again: bool,
    /// Parts of it were sent earlier than it says, for want of memory.
    pub(crate) vague: bool,
    /// Part of it was acknowledged, and gave a round-trip sample.
    pub(super) sampled: bool,
}

impl Record {
    /// Does it tell all that both told?
    pub(super) fn equals(&self, next: &Record) -> bool {
        let is_alike = (self.sent, self.again, self.vague) == (next.sent, next.again, next.vague);
        self.status == next.status && (self.status == SegmentStatus::Sacked || is_alike)
    }

    /// Both as one. What has arrived needs no times any more.
    pub(super) fn with(&self, next: &Record) -> Record {
        let sent = if self.sent.before(next.sent) { next.sent } else { self.sent };
        let is_alike = self.equals(next) && self.status != SegmentStatus::Sacked;
        let status = if self.status == next.status { self.status } else { SegmentStatus::Lost };
        Record {
            end: next.end,
            sent,
            status,
            again: self.again || next.again,
            vague: !is_alike || self.vague,
            sampled: self.sampled && next.sampled,
        }
    }
}
