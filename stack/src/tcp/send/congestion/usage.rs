//! Up to where the window was what limited the sender, and when it last did.

use super::Ack;
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::time::Instant;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// What lies before this was sent with the window full.
    pub(super) limited_until: Seq,
    /// When the window was last seen to be filled.
    pub(super) used_at: Instant,
    una: Seq,
}

impl Usage {
    /// See [`park`](crate::tcp::connection::idle).
    pub(super) fn park(&self, una: Seq, to: &mut Packer) {
        let Usage { limited_until, used_at, una: at } = self;
        to.near(*limited_until, una);
        to.instant(*used_at);
        to.near(*at, una);
    }

    /// The other way.
    pub(super) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Self {
        Usage { limited_until: from.near(una), used_at: from.instant(), una: from.near(una) }
    }

    pub(super) const fn new(start: Seq, now: Instant) -> Self {
        Usage { limited_until: start, used_at: now, una: start }
    }

    /// Our own invariants, for tests and the simulation.
    pub(super) fn check(&self, una: Seq) {
        assert!(
            self.una.is_near(una) && self.limited_until.is_near(una),
            "the use of the window was left behind"
        );
    }

    /// Returns whether what is acknowledged was sent with the window full.
    pub(super) fn on_ack(&mut self, ack: &Ack) -> bool {
        let limited = self.una.before(self.limited_until);
        self.una = ack.una;
        self.limited_until = self.limited_until.later_of(ack.una);
        if limited {
            self.used_at = ack.now;
        }
        limited
    }
}
