//! One neighbour: the states of RFC 4861 §7.3, and what evidence and use do to them.

use core::net::IpAddr;

use super::{DELAY, Evidence, FAILED, IN_USE, Neighbor, NeighborKey, NeighborState, Resolution, Times};
use crate::base::packet_queue::PacketQueue;
use crate::device::Mac;
use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Asked by multicast; nothing known.
    Incomplete { solicits: u8 },
    /// Confirmed lately.
    Reachable { until: Instant },
    /// Known, but nobody vouches for it.
    Stale,
    /// Used while stale; the upper layer may yet vouch for it.
    Delay { until: Instant },
    /// Asked by unicast.
    Probe { solicits: u8 },
    /// Did not answer.
    Failed { until: Instant },
}

/// What an entry is worth: the lower classes give way first, and strangers can earn none of the upper
/// two. So a flood of invented neighbours can't drive out those that our own traffic goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Class {
    Failed,
    /// Asked for an answer to somebody who may not exist.
    Invented,
    /// Known, but our own traffic has not gone there lately.
    Idle,
    /// Asked for our own traffic, which has not gone there yet.
    Awaited,
    InUse,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: NeighborKey,
    pub(super) state: State,
    /// Meaningless in INCOMPLETE and FAILED.
    pub(super) mac: Mac,
    /// Source of the packet that started the resolution; solicitations use it (H108).
    pub(super) source: IpAddr,
    /// When our own traffic last went there. An answer to anybody is no use.
    pub(super) used: Option<Instant>,
    /// It is not asked again before this.
    pub(super) next: Instant,
    /// The question that was due last was not asked: answers had used up what they may ask.
    pub(super) denied: bool,
    /// It answered, and whoever asked for it is about to send.
    pub(super) is_fresh: bool,
    pub(super) waiting: PacketQueue,
}

impl Entry {
    pub(super) fn new(key: NeighborKey, state: State, source: IpAddr) -> Entry {
        Entry {
            key,
            state,
            mac: Mac::default(),
            source,
            used: None,
            next: Instant::ZERO,
            denied: false,
            is_fresh: false,
            waiting: PacketQueue::new(),
        }
    }

    /// The one place that knows when the entry wants attention.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Incomplete { .. } | State::Probe { .. } => Some(self.next),
            State::Delay { until } | State::Failed { until } => Some(until),
            State::Reachable { .. } | State::Stale => None,
        }
    }

    /// As it is seen from outside.
    pub(super) fn view(&self, now: Instant) -> Neighbor {
        let state = match self.state {
            State::Incomplete { .. } => NeighborState::Incomplete,
            State::Reachable { until } if now < until => NeighborState::Reachable,
            State::Reachable { .. } | State::Stale => NeighborState::Stale,
            State::Delay { .. } => NeighborState::Delay,
            State::Probe { .. } => NeighborState::Probe,
            State::Failed { .. } => NeighborState::Failed,
        };
        let NeighborKey { interface, address } = self.key;
        Neighbor { interface, address, mac: self.is_resolved().then_some(self.mac), state }
    }

    pub(super) fn is_resolved(&self) -> bool {
        !matches!(self.state, State::Incomplete { .. } | State::Failed { .. })
    }

    /// Does our own traffic go there?
    pub(super) fn is_used(&self, now: Instant) -> bool {
        self.used.is_some_and(|at| now.since(at) < IN_USE)
    }

    pub(super) fn class(&self, now: Instant) -> Class {
        match (self.state, self.is_used(now)) {
            (State::Failed { .. }, _) => Class::Failed,
            (State::Incomplete { .. }, false) => Class::Invented,
            (State::Incomplete { .. }, true) => Class::Awaited,
            (_, true) if self.is_fresh && now < self.next => Class::Awaited,
            (_, false) => Class::Idle,
            (_, true) => Class::InUse,
        }
    }

    /// A packet of our own is about to go there.
    #[inline]
    pub(super) fn use_it(&mut self, now: Instant) {
        (self.used, self.is_fresh) = (Some(now), false);
    }

    /// A packet is about to go there. `None`: the failure is over, and it is asked for anew.
    pub(super) fn resolution(&mut self, now: Instant) -> Option<Resolution> {
        match self.state {
            State::Incomplete { .. } => return Some(Resolution::Pending),
            State::Failed { until } if now < until => return Some(Resolution::Failed),
            State::Failed { .. } => return None,
            State::Reachable { until } if now < until => {}
            State::Reachable { .. } | State::Stale => self.state = State::Delay { until: now + DELAY },
            State::Delay { .. } | State::Probe { .. } => {}
        }
        Some(Resolution::Known(self.mac))
    }

    /// Does it wait for somebody to vouch for it?
    pub(super) fn is_doubted(&self) -> bool {
        matches!(self.state, State::Delay { .. } | State::Probe { .. })
    }

    /// RFC 4861 §7.3.1.
    pub(super) fn confirm(&mut self, times: Times, now: Instant) {
        if self.is_resolved() {
            self.state = State::Reachable { until: now + times.reachable };
        }
    }

    /// Counts a question, whether it is asked or not.
    pub(super) fn ask(&mut self, granted: bool, times: Times, now: Instant) {
        self.state = match self.state {
            State::Incomplete { solicits } => State::Incomplete { solicits: solicits + 1 },
            State::Probe { solicits } => State::Probe { solicits: solicits + 1 },
            _ => State::Probe { solicits: 1 },
        };
        (self.next, self.denied) = (now + times.retrans, !granted);
    }

    /// Where a solicitation goes: to everybody while nothing is known.
    pub(super) fn solicits_at(&self) -> Option<Mac> {
        self.is_resolved().then_some(self.mac)
    }

    pub(super) fn fail(&mut self, now: Instant) -> PacketQueue {
        self.state = State::Failed { until: now + FAILED };
        core::mem::take(&mut self.waiting)
    }

    /// RFC 4861 §7.2.5 (advertisements) and §7.2.3 (solicitations), for ARP in the same sense.
    /// True: the hardware address is another than before.
    pub(super) fn learn(&mut self, mac: Option<Mac>, evidence: Evidence, times: Times, now: Instant) -> bool {
        let reachable = State::Reachable { until: now + times.reachable };
        let known = self.is_resolved();
        let mac = match (mac, known) {
            (Some(mac), _) => mac,
            (None, true) => self.mac,
            (None, false) => return false,
        };
        let changed = !known || mac != self.mac;
        // What waits here goes at once.
        self.is_fresh |= !known && self.used.is_some() && self.waiting.is_empty();
        match evidence {
            Evidence::Asked { .. } | Evidence::Overheard => {
                if changed {
                    self.state = State::Stale;
                }
            }
            Evidence::Answered { override_known: false, .. } if known && changed => {
                if let State::Reachable { .. } = self.state {
                    self.state = State::Stale;
                }
                return false;
            }
            Evidence::Answered { solicited: true, .. } => self.state = reachable,
            Evidence::Answered { solicited: false, .. } => {
                if changed {
                    self.state = State::Stale;
                }
            }
        }
        self.mac = mac;
        changed
    }
}
