//! When an interface announces its addresses, and defends them: neighbours that knew them elsewhere learn
//! that they are here (RFC 5227 §2.3 and §2.4, RFC 4861 §7.2.6).

use crate::time::{Duration, Instant};

/// How often an address is announced (RFC 5227 §1.1, ANNOUNCE_NUM; RFC 4861 allows three).
const ANNOUNCE_NUM: u8 = 2;
/// Time between two announcements (RFC 5227 §1.1, ANNOUNCE_INTERVAL; RFC 4861 asks for one second).
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two defences, so that two stations with one address don't answer each other for ever
/// (RFC 5227 §1.1, DEFEND_INTERVAL).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// The announcements of one interface, all addresses together.
#[derive(Debug, Default)]
pub(crate) struct Announcements {
    left: u8,
    next: Instant,
    defended: Option<Instant>,
}

impl Announcements {
    /// An address is new, or the link has come up, where nobody may have heard what went before.
    pub(crate) fn start(&mut self, now: Instant) {
        (self.left, self.next) = (ANNOUNCE_NUM, now);
    }

    /// When [`take`](Self::take) says yes next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.next)
    }

    /// Is it time to announce?
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|at| at <= now);
        if due {
            (self.left, self.next) = (self.left - 1, now + ANNOUNCE_INTERVAL);
        }
        due
    }

    /// Somebody else claims an address. May it be defended now? We keep it in any case, as a host that
    /// nobody watches must (RFC 5227 §2.4(c)).
    pub(crate) fn defend(&mut self, now: Instant) -> bool {
        let may = self.defended.is_none_or(|at| now.since(at) >= DEFEND_INTERVAL);
        if may {
            self.defended = Some(now);
        }
        may
    }
}
