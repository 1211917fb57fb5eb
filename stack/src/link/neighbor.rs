//! The neighbour cache: one for ARP and NDP, by the states of RFC 4861 §7.3.
//!
//! It knows nothing of packets' formats, of interfaces or of a device: what is learnt comes in as
//! [`Evidence`], what is to be asked goes out as [`Due`]. The table is a hash table of small sets,
//! so that its cost does not grow with its size; within a set the least useful entry gives way.

use core::net::IpAddr;

use managed::ManagedSlice;

use crate::demux::HashKey;
use crate::device::Mac;
use crate::ip::InterfaceId;
use crate::pool::Pool;
use crate::queue::{Frame, PacketQueue};
use crate::time::{Duration, Instant};

/// Time between two solicitations (RFC 4861 §10, RETRANS_TIMER).
const RETRANS: Duration = Duration::from_millis(1000);
/// Solicitations before a neighbour counts as dead (RFC 4861 §10, MAX_MULTICAST_SOLICIT and
/// MAX_UNICAST_SOLICIT).
const SOLICITS_MAX: u8 = 3;
/// How long a confirmation lasts (RFC 4861 §10, REACHABLE_TIME).
const REACHABLE: Duration = Duration::from_secs(30);
/// How long the upper layer may confirm before we probe (RFC 4861 §10, DELAY_FIRST_PROBE_TIME).
const DELAY: Duration = Duration::from_secs(5);
/// How long a failure is reported before the neighbour is asked again.
const FAILED: Duration = Duration::from_millis(1000);
/// An entry used within this time gives way last.
const IN_USE: Duration = Duration::from_secs(30);
/// What [`Entry::worth`] says of such an entry.
const IN_USE_CLASS: u8 = 3;
/// Entries of one set.
const WAYS: usize = 8;
/// Packets that wait for one neighbour.
pub(crate) const WAITING_MAX: usize = 8;

/// Which neighbour: its address is unique on its link only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct NeighborKey {
    pub(crate) interface: InterfaceId,
    pub(crate) address: IpAddr,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Asked by multicast; nothing known.
    Incomplete { solicits: u8, next: Instant },
    /// Confirmed lately.
    Reachable { until: Instant },
    /// Known, but nobody vouches for it.
    Stale,
    /// Used while stale; the upper layer may yet vouch for it.
    Delay { until: Instant },
    /// Asked by unicast.
    Probe { solicits: u8, next: Instant },
    /// Did not answer.
    Failed { until: Instant },
}

#[derive(Debug)]
struct Entry {
    key: NeighborKey,
    state: State,
    /// Meaningless in INCOMPLETE and FAILED.
    mac: Mac,
    /// Source of the packet that started the resolution; solicitations use it (H108).
    source: IpAddr,
    /// When a packet last went there; zero: never.
    used: Instant,
    waiting: PacketQueue,
}

impl Entry {
    /// The one place that knows when the entry wants attention.
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Incomplete { next, .. } | State::Probe { next, .. } => Some(next),
            State::Delay { until } | State::Failed { until } => Some(until),
            State::Reachable { .. } | State::Stale => None,
        }
    }

    fn is_resolved(&self) -> bool {
        !matches!(self.state, State::Incomplete { .. } | State::Failed { .. })
    }

    /// What gives way first: the lower. Unresolved entries go before those in use, so that a
    /// flood of invented neighbours can't drive real ones out.
    fn worth(&self, now: Instant) -> (u8, Instant) {
        let class = match self.state {
            State::Failed { .. } => 0,
            State::Incomplete { .. } => 2,
            _ if self.used == Instant::ZERO || now.since(self.used) >= IN_USE => 1,
            _ => IN_USE_CLASS,
        };
        (class, self.used)
    }
}

/// One place of the neighbour table. A caller without a heap hands in a slice of them; whole
/// multiples of 8 are used.
#[derive(Debug, Default)]
pub struct NeighborSlot(Option<Entry>);

impl NeighborSlot {
    /// A free place.
    pub const EMPTY: NeighborSlot = NeighborSlot(None);
}

/// What is known of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Its hardware address.
    Known(Mac),
    /// It is being asked; the outcome is told to those who wait.
    Pending,
    /// It did not answer just now.
    Failed,
}

/// How a neighbour's hardware address was learnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Evidence {
    /// It asked for this address of ours (ARP request, NDP solicitation): worth an entry.
    Asked { ours: IpAddr },
    /// It was overheard (gratuitous ARP, ARP for others): updates what we have (H103).
    Overheard,
    /// It answered (ARP reply, NDP advertisement).
    Answered { solicited: bool, override_known: bool },
}

/// What a piece of evidence, or the passing of time, leads to.
#[derive(Debug)]
pub(crate) enum Due {
    /// Ask for the neighbour, by unicast if an address is known.
    Solicit { key: NeighborKey, source: IpAddr, to: Option<Mac> },
    /// It did not answer; these packets can't be delivered.
    Failed { key: NeighborKey, waiting: PacketQueue },
}

/// A neighbour has a hardware address that it had not before.
#[derive(Debug)]
pub(crate) struct Learnt {
    pub(crate) mac: Mac,
    /// What waited for it, to be sent now.
    pub(crate) waiting: PacketQueue,
    /// What waited for the entry that gave way to it.
    pub(crate) given_up: PacketQueue,
}

/// Remembers who was asked lately, beyond the life of an entry (H099).
#[derive(Clone, Copy)]
struct Asked {
    fingerprint: u32,
    until: Instant,
}

/// Sets of this many, in a table of [`ASKED_SETS`].
const ASKED_WAYS: usize = 4;
const ASKED_SETS: usize = 16;

pub(crate) struct Neighbors<'a> {
    slots: ManagedSlice<'a, NeighborSlot>,
    hash: HashKey,
    asked: [[Asked; ASKED_WAYS]; ASKED_SETS],
    /// Where the last look-up ended: most packets go to the same neighbour as the one before.
    recent: usize,
    /// No entry wants attention before this.
    earliest: Instant,
    /// Pool bytes of all waiting packets.
    waiting_bytes: usize,
}

/// Why a packet can't wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoWait {
    /// The entry was taken by another neighbour.
    Gone,
    /// The share of all waiting packets is used up.
    ShareFull,
    /// The pool is used up.
    OutOfMemory,
}

impl<'a> Neighbors<'a> {
    pub(crate) fn new(slots: ManagedSlice<'a, NeighborSlot>, key: [u8; 16]) -> Self {
        let nobody = Asked { fingerprint: 0, until: Instant::ZERO };
        Neighbors {
            slots,
            hash: HashKey(key),
            asked: [[nobody; ASKED_WAYS]; ASKED_SETS],
            recent: 0,
            earliest: Instant::FAR_FUTURE,
            waiting_bytes: 0,
        }
    }

    /// The places where the neighbour can be.
    fn set(&self, key: &NeighborKey) -> core::ops::Range<usize> {
        let len = self.slots.len();
        let sets = (len / WAYS).max(1);
        let first = self.hash.hash(key) as usize % sets * WAYS;
        first..(first + WAYS).min(len)
    }

    fn find(&mut self, key: &NeighborKey) -> Option<usize> {
        let is_it = |slot: &NeighborSlot| slot.0.as_ref().is_some_and(|e| e.key == *key);
        if self.slots.get(self.recent).is_some_and(is_it) {
            return Some(self.recent);
        }
        let at = self.set(key).find(|i| is_it(&self.slots[*i]))?;
        self.recent = at;
        Some(at)
    }

    fn entry(&mut self, key: &NeighborKey) -> Option<&mut Entry> {
        let at = self.find(key)?;
        self.slots[at].0.as_mut()
    }

    /// The place of a set that gives way: a free one, or the least useful entry's.
    fn place(&self, key: &NeighborKey, now: Instant) -> Option<usize> {
        let worth = |at: &usize| self.slots[*at].0.as_ref().map(|e| e.worth(now));
        self.set(key).min_by_key(worth)
    }

    /// Puts a new entry there. Packets of the entry that gives way are returned, to be counted.
    fn insert(&mut self, at: usize, entry: Entry) -> PacketQueue {
        self.schedule(entry.deadline());
        self.recent = at;
        let old = self.slots[at].0.replace(entry);
        old.map(|e| e.waiting).unwrap_or_default()
    }

    fn schedule(&mut self, deadline: Option<Instant>) {
        self.earliest = self.earliest.min(deadline.unwrap_or(Instant::FAR_FUTURE));
    }

    /// The address of a neighbour whose use changes nothing, if the packet before went there too:
    /// what almost every packet asks, in a few steps.
    #[inline]
    pub(crate) fn known(&mut self, key: &NeighborKey, now: Instant) -> Option<Mac> {
        let entry = self.slots.get_mut(self.recent)?.0.as_mut()?;
        let good = match entry.state {
            State::Reachable { until } => now < until,
            State::Delay { .. } | State::Probe { .. } => true,
            State::Stale | State::Incomplete { .. } | State::Failed { .. } => false,
        };
        if !good || entry.key != *key {
            return None;
        }
        entry.used = now;
        Some(entry.mac)
    }

    /// The address of a neighbour that a packet is about to go to. If it has to be asked for, the
    /// third value says so; the second holds packets of an entry that gave way.
    pub(crate) fn resolve(
        &mut self,
        key: NeighborKey,
        source: IpAddr,
        pool: &Pool<'_>,
        now: Instant,
    ) -> (Resolution, PacketQueue, Option<Due>) {
        if let Some(at) = self.find(&key)
            && let Some(entry) = &mut self.slots[at].0
        {
            entry.source = source;
            let known = entry.use_it(now);
            let deadline = entry.deadline();
            self.schedule(deadline);
            if let Some(resolution) = known {
                return (resolution, PacketQueue::new(), None);
            }
            // The entry of a failure waits for nothing and holds nothing.
            self.slots[at].0 = None;
        }
        let Some(at) = self.place(&key, now) else {
            return (Resolution::Failed, PacketQueue::new(), None);
        };
        let (next, may_ask) = self.may_ask(&key, now);
        let state = State::Incomplete { solicits: u8::from(may_ask), next };
        let waiting = PacketQueue::new();
        let entry = Entry { key, state, mac: Mac::default(), source, used: now, waiting };
        let given_up = self.insert(at, entry);
        self.waiting_bytes -= given_up.held(pool);
        let due = may_ask.then_some(Due::Solicit { key, source, to: None });
        (Resolution::Pending, given_up, due)
    }

    /// May the neighbour be asked now? Else when? Whoever was asked within the interval is not,
    /// and neither is someone whose place is full of such (a storm's own size is bounded by that).
    fn may_ask(&mut self, key: &NeighborKey, now: Instant) -> (Instant, bool) {
        let hash = self.hash.hash(&(key, "asked"));
        let set = &mut self.asked[hash as usize % ASKED_SETS];
        if let Some(known) = set.iter().find(|a| a.fingerprint == hash && a.until > now) {
            return (known.until, false);
        }
        let until = now + RETRANS;
        match set.iter_mut().min_by_key(|a| a.until) {
            Some(oldest) if oldest.until <= now => {
                *oldest = Asked { fingerprint: hash, until };
                (until, true)
            }
            Some(oldest) => (oldest.until, false),
            None => (until, false),
        }
    }

    /// Lets a packet wait for the neighbour, whose oldest gives way if it has too many
    /// ([`WAITING_MAX`]). Returns how many gave way.
    pub(crate) fn wait(
        &mut self,
        key: &NeighborKey,
        pool: &mut Pool<'_>,
        frame: &Frame<'_>,
    ) -> Result<usize, NoWait> {
        // An eighth of the memory for all neighbours, so that packets to invented ones can't
        // starve the rest (H195).
        let share = pool.capacity() / 8;
        let used = self.waiting_bytes;
        let Some(entry) = self.entry(key).filter(|e| matches!(e.state, State::Incomplete { .. })) else {
            return Err(NoWait::Gone);
        };
        let queue = &mut entry.waiting;
        let before = queue.held(pool);
        let mut gave_way = 0;
        while queue.packets() >= WAITING_MAX && queue.pop(pool) {
            gave_way += 1;
        }
        let result = if used - before + queue.held(pool) + frame.len() > share {
            Err(NoWait::ShareFull)
        } else if queue.push(pool, frame) {
            Ok(gave_way)
        } else {
            Err(NoWait::OutOfMemory)
        };
        let after = queue.held(pool);
        self.waiting_bytes = used - before + after;
        result
    }

    /// Takes in what was learnt about a neighbour. `None`: its address is no other than before.
    pub(crate) fn learn(
        &mut self,
        key: NeighborKey,
        mac: Option<Mac>,
        evidence: Evidence,
        pool: &Pool<'_>,
        now: Instant,
    ) -> Option<Learnt> {
        // H111: nobody's packets go to a group because a reply says so.
        let mac = mac.filter(|m| m.is_unicast());
        let Some(entry) = self.entry(&key) else {
            let (Some(mac), Evidence::Asked { ours: source }) = (mac, evidence) else {
                return None;
            };
            let at = self.place(&key, now)?;
            // Who asks for us may be invented: nobody in use gives way to it, and it gives way first.
            if self.slots[at].0.as_ref().is_some_and(|e| e.worth(now).0 == IN_USE_CLASS) {
                return None;
            }
            let (state, used, waiting) = (State::Stale, Instant::ZERO, PacketQueue::new());
            let given_up = self.insert(at, Entry { key, state, mac, source, used, waiting });
            self.waiting_bytes -= given_up.held(pool);
            return Some(Learnt { mac, waiting: PacketQueue::new(), given_up });
        };
        if !entry.learn(mac, evidence, now) {
            return None;
        }
        let (mac, waiting) = (entry.mac, core::mem::take(&mut entry.waiting));
        self.waiting_bytes -= waiting.held(pool);
        Some(Learnt { mac, waiting, given_up: PacketQueue::new() })
    }

    /// The upper layer heard from the neighbour's direction in answer to what it sent
    /// (RFC 4861 §7.3.1).
    pub(crate) fn confirm(&mut self, key: NeighborKey, now: Instant) {
        if let Some(entry) = self.entry(&key)
            && entry.is_resolved()
        {
            entry.state = State::Reachable { until: now + REACHABLE };
        }
    }

    /// The upper layer hears nothing: the next packet to the neighbour starts asking for it again.
    pub(crate) fn suspect(&mut self, key: NeighborKey) {
        if let Some(entry) = self.entry(&key)
            && let State::Reachable { .. } = entry.state
        {
            entry.state = State::Stale;
        }
    }

    /// What is due now, one at a time.
    pub(crate) fn due(&mut self, pool: &Pool<'_>, now: Instant) -> Option<Due> {
        while self.earliest <= now {
            let is_due = |s: &NeighborSlot| s.0.as_ref()?.deadline().filter(|d| *d <= now);
            let Some(at) = (0..self.slots.len()).find(|i| is_due(&self.slots[*i]).is_some()) else {
                let deadlines = self.slots.iter().filter_map(|s| s.0.as_ref()?.deadline());
                self.earliest = deadlines.min().unwrap_or(Instant::FAR_FUTURE);
                return None;
            };
            let Some(entry) = &self.slots[at].0 else { continue };
            let (key, state) = (entry.key, entry.state);
            let asks = match state {
                State::Incomplete { solicits, .. } => solicits < SOLICITS_MAX,
                State::Probe { solicits, .. } => solicits < SOLICITS_MAX,
                State::Delay { .. } => true,
                State::Reachable { .. } | State::Stale | State::Failed { .. } => false,
            };
            let may_ask = if asks { Some(self.may_ask(&key, now)) } else { None };
            if let Some(due) = self.advance(at, may_ask, pool, now) {
                return Some(due);
            }
        }
        None
    }

    /// The timer of an entry fired.
    fn advance(
        &mut self,
        at: usize,
        may_ask: Option<(Instant, bool)>,
        pool: &Pool<'_>,
        now: Instant,
    ) -> Option<Due> {
        let slot = &mut self.slots[at];
        let entry = slot.0.as_mut()?;
        let Some((next, may_ask)) = may_ask else {
            if let State::Failed { .. } = entry.state {
                slot.0 = None;
                return None;
            }
            let (key, waiting) = (entry.key, core::mem::take(&mut entry.waiting));
            entry.state = State::Failed { until: now + FAILED };
            self.waiting_bytes -= waiting.held(pool);
            return Some(Due::Failed { key, waiting });
        };
        let (to, probes) = match &mut entry.state {
            State::Incomplete { solicits, next: at } => {
                *at = next;
                *solicits += u8::from(may_ask);
                (None, None)
            }
            State::Probe { solicits, .. } => (Some(entry.mac), Some(*solicits)),
            _ => (Some(entry.mac), Some(0)),
        };
        if let Some(before) = probes {
            entry.state = State::Probe { solicits: before + u8::from(may_ask), next };
        }
        may_ask.then_some(Due::Solicit { key: entry.key, source: entry.source, to })
    }

    /// When [`due`](Self::due) has something next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        Some(self.earliest).filter(|at| *at < Instant::FAR_FUTURE)
    }

    /// Forgets the neighbours that `which` names (H110), one at a time: call until `None`. What
    /// waited for them is returned.
    pub(crate) fn forget(
        &mut self,
        pool: &Pool<'_>,
        which: impl Fn(&NeighborKey) -> bool,
    ) -> Option<(NeighborKey, PacketQueue)> {
        let hit = |s: &&mut NeighborSlot| s.0.as_ref().is_some_and(|e| which(&e.key));
        let entry = self.slots.iter_mut().find(hit)?.0.take()?;
        self.waiting_bytes -= entry.waiting.held(pool);
        Some((entry.key, entry.waiting))
    }
}

impl Entry {
    /// A packet is about to go there. `None`: it has to be asked for anew.
    fn use_it(&mut self, now: Instant) -> Option<Resolution> {
        self.used = now;
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

    /// RFC 4861 §7.2.5 (advertisements) and §7.2.3 (solicitations), for ARP in the same sense.
    /// True: the hardware address is another than before.
    fn learn(&mut self, mac: Option<Mac>, evidence: Evidence, now: Instant) -> bool {
        let reachable = State::Reachable { until: now + REACHABLE };
        let known = self.is_resolved();
        let mac = match (mac, known) {
            (Some(mac), _) => mac,
            (None, true) => self.mac,
            (None, false) => return false,
        };
        let changed = !known || mac != self.mac;
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

#[cfg(test)]
mod tests;
