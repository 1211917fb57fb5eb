//! What was lost in a round, as far as the sender found out: what it sent again.

use crate::seq::Seq;

/// Losses above 2 % say that it was too much.
const ONE_IN: u32 = 50;
/// But fewer than so many, apart from each other, say nothing: a single one is more than 2 % of a small window.
const LEAST: u8 = 3;
/// As many end Startup: one full queue makes one, however long.
const LEAST_IN_STARTUP: u8 = 6;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Losses {
    bytes: u32,
    /// Stretches of them, and where the last one ended.
    stretches: u8,
    end: Option<Seq>,
}

impl Losses {
    /// `bytes` from `start` on were sent again.
    pub(super) fn on_resent(&mut self, start: Seq, bytes: u32) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.end != Some(start) {
            self.stretches = self.stretches.saturating_add(1);
        }
        self.end = Some(start + bytes);
    }

    /// Routers marked some of `flight` bytes: as if too much of them were lost.
    pub(super) fn on_marked(&mut self, flight: u32) {
        self.bytes = self.bytes.saturating_add(flight / ONE_IN * 3);
        self.stretches = self.stretches.saturating_add(LEAST_IN_STARTUP);
    }

    pub(super) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Are they too much of `sent` bytes?
    pub(super) fn are_many(&self, sent: u32) -> bool {
        self.stretches >= LEAST && self.bytes.saturating_mul(ONE_IN) > sent
    }

    /// So many that Startup ends?
    pub(super) fn end_startup(&self, sent: u32) -> bool {
        self.stretches >= LEAST_IN_STARTUP && self.are_many(sent)
    }
}
