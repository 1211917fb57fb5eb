//! The acknowledgment policy (RFC 9293 §3.8.6.3, RFC 5681 §4.2): the one place that decides when an acknowledgment is owed.
//! Whatever finds that one is tells its reason.

use super::{Receive, SackUse};
use crate::base::pool::Pool;
use crate::seq::{Range, Seq};
use crate::tcp::config::TcpConfig;
use crate::time::Instant;

/// Duplicate acknowledgments for one frame that a device merged: as many as mean a loss.
const DUPLICATES_MAX: u32 = 3;
/// Acknowledgments after the last loss that was seen for which the path counts as lossy.
const LOSSY: u8 = 64;

/// Acknowledgment that is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PendingAck {
    Nothing,
    /// A delayed acknowledgment: by this time at the latest.
    By(Instant),
    /// With the next turn, for the reason that came last.
    Now(AckReason),
}

/// Why an acknowledgment goes out at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AckReason {
    /// Every second segment with payload, or all of them for now.
    InOrder,
    /// Payload beyond a hole, and the duplicate acknowledgments of it.
    OutOfOrder,
    /// Payload that filled a hole.
    HoleFilled,
    /// More ranges than one acknowledgment tells.
    MoreRanges,
    /// The window is much wider than the peer knows.
    WindowUpdate,
    /// The user wants acknowledgments at once.
    QuickAck,
    /// A SYN-ACK, whose acknowledgment is the third segment of the handshake.
    Handshake,
    /// A segment that was old, in part or by its timestamp: our last acknowledgment may have been lost.
    Duplicate,
    /// A challenge ACK (RFC 5961).
    Challenge,
    /// A window probe, or other payload for a closed window.
    ClosedWindow,
    /// Payload that is not kept: a hole too many, or no memory.
    NotTaken,
    /// There is memory again for payload that was not kept.
    MemoryIsBack,
    /// The peer's FIN.
    Fin,
    /// Marks of congestion (RFC 3168, AccECN).
    Ecn,
    /// A delayed acknowledgment was due.
    Timer,
}

/// What is owed, and what decides about the next acknowledgment.
#[derive(Debug)]
pub(super) struct AckPolicy {
    pending: PendingAck,
    /// Duplicate acknowledgments among those that are owed: one for each segment beyond a hole, by which the
    /// sender counts.
    duplicates: u32,
    /// Bytes received since the last acknowledgment.
    unacked: u32,
    /// Segments that are still acknowledged at once.
    quickack: u8,
    /// Segments with payload since the last acknowledgment.
    arrived: u8,
    /// How many acknowledgments it takes to believe that the path does not lose segments any more.
    recent_loss: u8,
}

impl AckPolicy {
    /// Nothing is owed; so many segments are acknowledged at once, and so many bytes are not yet.
    pub(super) const fn new(quickack: u8, unacked: u32) -> Self {
        AckPolicy {
            pending: PendingAck::Nothing,
            duplicates: 0,
            unacked,
            quickack,
            arrived: 0,
            recent_loss: 0,
        }
    }

    /// What [`new`](AckPolicy::new) takes, if nothing is owed.
    pub(super) fn at_rest(&self) -> Option<(u8, u32)> {
        (self.pending == PendingAck::Nothing && self.duplicates == 0).then_some((self.quickack, self.unacked))
    }

    /// Are duplicate acknowledgments owed, which must not differ from the one before?
    pub(super) fn owes_duplicates(&self) -> bool {
        self.duplicates > 0
    }

    /// So many bytes came in order.
    #[inline]
    pub(super) fn add_unacked(&mut self, len: u32) {
        self.unacked += len;
    }

    /// An acknowledgment goes out with the next turn.
    #[inline]
    pub(super) fn now(&mut self, why: AckReason) {
        self.pending = PendingAck::Now(why);
    }
}

impl Receive {
    /// What is owed.
    #[inline]
    pub(crate) fn pending_ack(&self) -> PendingAck {
        self.ack.pending
    }

    /// Does an acknowledgment go out with the next turn?
    #[inline]
    pub(crate) fn is_ack_due(&self) -> bool {
        matches!(self.ack.pending, PendingAck::Now(_))
    }

    /// An acknowledgment goes out with the next turn.
    #[inline]
    pub(crate) fn ack_now(&mut self, why: AckReason) {
        self.ack.now(why);
    }

    /// The delayed acknowledgment goes out if it is due: then true.
    //= rfc9293#3.8.6.3 MUST-40
    pub(crate) fn on_ack_timer(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.ack.pending, PendingAck::By(at) if at <= now);
        if is_due {
            self.ack.now(AckReason::Timer);
        }
        is_due
    }

    /// Bytes were read or dropped: the window is told if it is so much wider than the peer knows.
    //= rfc9293#3.8.6.2.2
    pub(crate) fn on_window_update(&mut self, pool: &Pool<'_>) {
        if self.wants_update(pool) {
            self.ack.now(AckReason::WindowUpdate);
        }
    }

    /// Others gave memory back: the peer is told, if the window can be wider now.
    pub(crate) fn widen(&mut self, pool: &Pool<'_>) {
        if self.reopens() || (self.is_narrow() && self.wants_update(pool)) {
            self.ack.now(AckReason::MemoryIsBack);
        }
    }

    /// So many segments from now on are acknowledged at once; `u8::MAX`: all.
    pub(crate) fn set_quick(&mut self, segments: u8) {
        self.ack.quickack = segments;
        if segments > 0 && self.ack.unacked > 0 {
            self.ack.now(AckReason::QuickAck);
        }
    }

    /// Payload came in order: it is acknowledged with every second segment, however small. Who sends small ones
    /// may be waiting for the acknowledgment (Nagle's rule), and can't know our measure.
    //= rfc9293#3.8.6.3 SHLD-19: at least every second full-sized segment, which one may be that a device merged
    ///
    /// Returns whether a delayed acknowledgment begins to wait.
    #[inline]
    pub(crate) fn on_in_order(&mut self, now: Instant, config: &TcpConfig, is_merged: bool) -> bool {
        // With a small buffer the peer can't send that much before it has to wait for us.
        let full = (2 * self.mss_seen as u32).min(self.limit / 2);
        let ack = &mut self.ack;
        ack.duplicates = 0;
        ack.arrived = ack.arrived.saturating_add(1 + u8::from(is_merged));
        if ack.arrived >= 2 || ack.unacked >= full || ack.quickack > 0 {
            ack.quickack = if ack.quickack == u8::MAX { u8::MAX } else { ack.quickack.saturating_sub(1) };
            ack.now(AckReason::InOrder);
            return false;
        }
        let begins = ack.pending == PendingAck::Nothing;
        if begins {
            ack.pending = PendingAck::By(now + config.ack_delay());
        }
        begins
    }

    /// It has filled a hole, in whole or in part. As many segments as at the start are acknowledged at once: the
    /// sender's window is small again.
    //= rfc5681#4.2
    pub(crate) fn on_hole_filled(&mut self, quick_acks: u8) {
        self.ack.now(AckReason::HoleFilled);
        self.ack.quickack = self.ack.quickack.max(quick_acks);
    }

    /// Payload came beyond a hole, in so many segments: an acknowledgment for each. Only a device that merged
    /// them knows how many there were: a long segment may be one.
    //= rfc5681#4.2
    pub(crate) fn on_out_of_order(&mut self, segments: u16) {
        let ack = &mut self.ack;
        ack.duplicates += u32::from(segments).min(DUPLICATES_MAX);
        ack.arrived = ack.arrived.saturating_add(1);
        ack.recent_loss = LOSSY;
        ack.now(AckReason::OutOfOrder);
    }

    /// So much of a segment was here already, as the next acknowledgment tells. Of several parts the first is told.
    //= rfc2883#4
    pub(crate) fn on_duplicate(&mut self, range: Range) {
        self.ack.recent_loss = LOSSY;
        if self.sack.tells_duplicates() && self.dsack.is_empty() {
            self.dsack = range;
        }
    }

    /// Does an acknowledgment with this edge stand for several, where segments came as a batch? Where
    /// payload gets lost acknowledgments do as well, and if this one does, the sender has no other to
    /// go by: it goes out twice. One for every second segment would be more.
    //= rfc5681#4.2: not more than one for each segment
    fn is_worth_repeating(&self, edge: Seq) -> bool {
        let told = self.nxt.since(self.last_ack) + edge.later_of(self.edge).since(self.edge);
        self.ack.recent_loss > 0
            && self.ack.arrived > 1
            && self.sack != SackUse::Off
            && told > 2 * u32::from(self.mss_seen)
    }

    /// An acknowledgment went out, `bare` or with payload.
    #[inline]
    pub(crate) fn on_ack_sent(&mut self, pool: &mut Pool<'_>, edge: Seq, bare: bool) {
        let repeat = bare && self.is_worth_repeating(edge);
        self.edge = self.edge.later_of(edge);
        self.keep_promise(pool);
        // With payload it would not count as a duplicate.
        self.ack.duplicates = self.ack.duplicates.saturating_sub(bare as u32) + repeat as u32;
        let more = self.sack != SackUse::Off
            && self.has_hole()
            && self.ranges.on_reported(pool, self.nxt, self.sack_room());
        self.dsack = Range::default();
        let ack = &mut self.ack;
        ack.pending = match more {
            _ if ack.duplicates > 0 => PendingAck::Now(AckReason::OutOfOrder),
            true => PendingAck::Now(AckReason::MoreRanges),
            false => PendingAck::Nothing,
        };
        (ack.unacked, ack.arrived) = (0, 0);
        ack.recent_loss = ack.recent_loss.saturating_sub(1);
        self.last_ack = self.nxt;
    }
}
