//! What is told on a link, and when: what waits to be, and what was lately.

use core::net::IpAddr;

use super::Link;
use super::records::Set;
use crate::time::{Duration, Instant};

/// Sendings of the last second that are remembered for each link; more are not made.
const SENDINGS: usize = 6;
/// RFC 6762 §6: no record more often than that; a name that is defended, than this.
const RATE: Duration = Duration::from_secs(1);
const RATE_OF_DEFENCE: Duration = Duration::from_millis(250);
/// A quarter of the shortest TTL: what was multicast within it is answered by unicast to who wants that (RFC 6762 §5.4).
const FRESH: Duration = Duration::from_secs(30);

/// What is known of a link.
#[derive(Clone, Debug)]
pub(super) struct LinkState {
    pub(super) link: Link,
    /// What is to be answered to all, and when.
    pub(super) pending: Set,
    pub(super) at: Instant,
    pub(super) is_defence: bool,
    /// Who asked, if it was one: what it knows it need not be told.
    pub(super) asker: Option<IpAddr>,
    /// What was multicast since then.
    pub(super) fresh: Set,
    pub(super) fresh_since: Instant,
    /// What was multicast in the last second.
    sendings: heapless::Vec<(Instant, Set), SENDINGS>,
}

impl LinkState {
    pub(super) fn new(link: Link) -> Self {
        LinkState {
            link,
            pending: 0,
            at: Instant::ZERO,
            is_defence: false,
            asker: None,
            fresh: 0,
            fresh_since: Instant::ZERO,
            sendings: heapless::Vec::new(),
        }
    }

    /// Something more is to be told to all.
    pub(super) fn add(&mut self, set: Set, at: Instant, is_defence: bool, asker: IpAddr) {
        if set == 0 {
            return;
        }
        let is_new = self.pending == 0;
        self.asker = if is_new { Some(asker) } else { self.asker.filter(|a| *a == asker) };
        self.at = if is_new { at } else { self.at.min(at) };
        self.is_defence = is_defence || (!is_new && self.is_defence);
        self.pending |= set;
    }

    /// What of a set may be multicast now.
    //= rfc6762#6
    fn allowed(&mut self, set: Set, rate: Duration, now: Instant) -> Set {
        self.sendings.retain(|(at, _)| *at + RATE > now);
        if self.sendings.is_full() {
            return 0;
        }
        let recent = self.sendings.iter().filter(|(at, _)| *at + rate > now);
        set & !recent.fold(0, |all, (_, set)| all | set)
    }

    /// These are told to all.
    pub(super) fn note(&mut self, set: Set, now: Instant) {
        if set == 0 {
            return;
        }
        if self.fresh_since + FRESH <= now {
            (self.fresh, self.fresh_since) = (0, now);
        }
        self.fresh |= set;
        // Announcements are few, and go out in any case.
        if self.sendings.is_full() {
            self.sendings.remove(0);
        }
        let _ = self.sendings.push((now, set));
    }

    /// What is to be told to all now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Set> {
        if self.pending == 0 || self.at > now {
            return None;
        }
        let rate = if self.is_defence { RATE_OF_DEFENCE } else { RATE };
        let pending = core::mem::take(&mut self.pending);
        let set = self.allowed(pending, rate, now);
        self.note(set, now);
        (set != 0).then_some(set)
    }

    /// What of a set is to be told to all though one alone has asked for it: what was not told lately; and what to that one.
    //= rfc6762#5.4
    pub(super) fn split(&mut self, set: Set, now: Instant) -> (Set, Set) {
        if self.fresh_since + FRESH <= now {
            self.fresh = 0;
        }
        (set & !self.fresh, set & self.fresh)
    }
}
