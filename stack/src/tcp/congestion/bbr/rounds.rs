//! How fast the path delivers, a sample for each round trip.
//!
//! A round lasts from one acknowledgment to the one of what was sent just then, so both ends of the
//! time that is measured are arrivals, and nothing has to be remembered with what was sent.

use super::super::Ack;
use crate::seq::Seq;
use crate::time::Instant;

/// The round that is being measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// It lasts until something beyond this is acknowledged.
    end: Seq,
    since: Instant,
    delivered: u32,
    /// Bytes that were sent again in it: what was lost, as far as the sender found out.
    lost: u32,
    /// Stretches of them, and where the last one ended.
    losses: u8,
    lost_end: Option<Seq>,
    /// The application had less to send than the path takes, at some time in it.
    dry: bool,
    /// What lies before this was sent with too little behind it.
    dry_until: Seq,
}

/// What a round showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sample {
    /// Bytes in a second.
    pub(super) rate: u64,
    pub(super) delivered: u32,
    pub(super) lost: u32,
    /// In so many stretches.
    pub(super) losses: u8,
    /// The rate is the application's rather than the path's.
    pub(super) dry: bool,
}

impl Rounds {
    pub(super) fn new(start: Seq, now: Instant) -> Self {
        Rounds::begin(start, now, false, start)
    }

    fn begin(end: Seq, since: Instant, dry: bool, dry_until: Seq) -> Self {
        Rounds { end, since, delivered: 0, lost: 0, losses: 0, lost_end: None, dry, dry_until }
    }

    pub(super) fn on_ack(&mut self, ack: &Ack) -> Option<Sample> {
        self.delivered = self.delivered.saturating_add(ack.delivered);
        if !self.end.before(ack.una) {
            return None;
        }
        let took = ack.now.since(self.since).micros().max(1);
        let Rounds { delivered, lost, losses, dry, .. } = *self;
        let dry_on = ack.una.before(self.dry_until);
        let dry_until = if dry_on { self.dry_until } else { ack.una };
        *self = Rounds::begin(ack.max, ack.now, dry_on, dry_until);
        Some(Sample { rate: u64::from(delivered) * 1_000_000 / took, delivered, lost, losses, dry })
    }

    /// Our own invariants, for tests and the simulation.
    pub(super) fn check(&self, una: Seq) {
        assert!(self.end.is_near(una) && self.dry_until.is_near(una), "the end of a round was left behind");
    }

    /// `bytes` from `start` on were sent again.
    pub(super) fn on_resent(&mut self, start: Seq, bytes: u32) {
        self.lost = self.lost.saturating_add(bytes);
        if self.lost_end != Some(start) {
            self.losses = self.losses.saturating_add(1);
        }
        self.lost_end = Some(start + bytes);
    }

    /// Marks of routers count as so many bytes and losses.
    pub(super) fn on_marked(&mut self, bytes: u32, losses: u8) {
        self.lost = self.lost.saturating_add(bytes);
        self.losses = self.losses.saturating_add(losses);
    }

    /// Everything up to `nxt` went out, and the window had room for more.
    pub(super) fn on_dry(&mut self, nxt: Seq) {
        self.dry = true;
        self.dry_until = nxt;
    }

    /// The path was idle: the time does not count.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Rounds::begin(self.end, now, self.dry, self.dry_until);
    }
}
