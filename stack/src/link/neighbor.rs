//! The neighbour cache: one for ARP and NDP, by the states of RFC 4861 §7.3.
//!
//! It knows nothing of packets' formats, of interfaces or of a device: what is learnt comes in as
//! [`Evidence`], what is to be asked goes out as [`Due`]. Strangers pay for their own: what somebody
//! whom nobody has verified can bring about (an answer, an entry) never takes the place, the question
//! or the memory of a neighbour that our own traffic goes to.

mod entry;
mod questions;
mod table;

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use managed::ManagedSlice;

use crate::base::deadline::Deadline;
#[cfg(feature = "slaac")]
use crate::base::holder::Holder;
use crate::base::packet_queue::{Frame, PacketQueue};
use crate::base::pool::{Need, Pool};
use crate::counters::Drop;
use crate::device::Mac;
#[cfg(feature = "slaac")]
use crate::ip::INTERFACES_MAX;
use crate::ip::InterfaceId;
use crate::time::{Duration, Instant, earlier};
use entry::{Class, Entry, State};
pub use questions::AskedNeighbor;
use questions::Questions;
pub use table::NeighborSlot;
use table::Table;

/// Time between two solicitations (RFC 4861 §10, RETRANS_TIMER).
const RETRANS: Duration = Duration::from_millis(1000);
/// Solicitations before a neighbour counts as dead (RFC 4861 §10, MAX_MULTICAST_SOLICIT and
/// MAX_UNICAST_SOLICIT).
const SOLICITS_MAX: u8 = 3;
/// How long a confirmation lasts (RFC 4861 §10, REACHABLE_TIME).
const REACHABLE: Duration = Duration::from_secs(30);
/// How long the upper layer may confirm before we probe (RFC 4861 §10, DELAY_FIRST_PROBE_TIME).
const DELAY: Duration = Duration::from_secs(5);
/// How long probes take that nobody answers.
const PROBES: Duration = Duration::from_millis(RETRANS.millis() * SOLICITS_MAX as u64);
/// How long a failure is reported before the neighbour is asked again.
const FAILED: Duration = Duration::from_millis(1000);
/// An entry that our own traffic used within this time gives way last.
const IN_USE: Duration = Duration::from_secs(30);
/// Packets that wait for one neighbour; the fragments of a datagram count once.
pub(crate) const WAITING_MAX: usize = 8;

/// How long things take on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    /// Time between two solicitations.
    pub(crate) retrans: Duration,
    /// How long a confirmation lasts.
    pub(crate) reachable: Duration,
}

impl Times {
    pub(crate) const USUAL: Times = Times { retrans: RETRANS, reachable: REACHABLE };
}

/// Which neighbour: its address is unique on its link only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NeighborKey {
    pub(crate) interface: InterfaceId,
    pub(crate) address: IpAddr,
}

impl Hash for NeighborKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // By words. Links are few: their number goes with the address.
        let link = u64::from(self.interface.0.index) << 32;
        match self.address {
            IpAddr::V4(a) => state.write_u64(link | u64::from(a.to_bits())),
            IpAddr::V6(_) if cfg!(not(feature = "ipv6")) => {}
            IpAddr::V6(a) => {
                state.write_u64((a.to_bits() >> 64) as u64 ^ link);
                state.write_u64(a.to_bits() as u64);
            }
        }
    }
}

/// How well a neighbour is known (RFC 4861 §7.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NeighborState {
    /// It is being asked for.
    Incomplete,
    /// It was confirmed lately.
    Reachable,
    /// Nobody vouches for it.
    Stale,
    /// It is used while stale, and may be confirmed without a question.
    Delay,
    /// It is asked whether it is there.
    Probe,
    /// It did not answer just now.
    Failed,
}

/// A neighbour as it is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbor {
    /// Its link.
    pub interface: InterfaceId,
    /// Its address there.
    pub address: IpAddr,
    /// Its hardware address; `None`: it is not known (any more).
    pub mac: Option<Mac>,
    /// How well it is known.
    pub state: NeighborState,
}

/// Whose packet goes to a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Our own traffic: a program or the routing table named the neighbour.
    Own,
    /// The same, from somebody who asks again: it waits for a place until another neighbour has answered
    /// or failed, so that a small table serves one after the other.
    Patient,
    /// An answer to a neighbour that named itself, and may not exist.
    Answer,
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
    /// It is unknown, and not asked for an answer to it: too many such were, or the table is in use.
    Denied,
}

impl Resolution {
    /// The hardware address of the next hop; `None`: it is being asked for. Else why nothing goes there.
    pub(crate) fn hop(self) -> Result<Option<Mac>, Drop> {
        match self {
            Resolution::Known(mac) => Ok(Some(mac)),
            Resolution::Pending => Ok(None),
            Resolution::Failed => Err(Drop::NeighborFailed),
            Resolution::Denied => Err(Drop::NeighborDenied),
        }
    }
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
    /// It may be asked again: its failure is over.
    Over { key: NeighborKey },
    /// There may be a place for those that found none.
    Room,
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

/// Packets that a packet which waits for a neighbour took the place of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct GaveWay {
    /// Older ones for the same neighbour.
    pub(crate) same: usize,
    /// Those that were not the only one for their neighbour, or were answers.
    pub(crate) others: usize,
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

pub(crate) struct Neighbors<'a> {
    table: Table<'a>,
    questions: Questions<'a>,
    /// No entry wants attention before this.
    earliest: Deadline,
    /// No neighbour that our packets go to is in DELAY or PROBE after this.
    doubted_until: Instant,
    /// When those look again that found no place, if nothing else tells them before.
    room_at: Option<Instant>,
    /// Where the search for what is due goes on; 0: it has not begun.
    sweep: usize,
    /// Pool bytes of all waiting packets.
    waiting_bytes: usize,
    /// What routers say of each link, for IPv6, by the number of the interface's place; nothing: as usual.
    #[cfg(feature = "slaac")]
    times: [Holder<Times>; INTERFACES_MAX],
}

impl<'a> Neighbors<'a> {
    /// Without a place for a neighbour.
    pub(crate) const fn empty() -> Self {
        Neighbors {
            questions: Questions::new(),
            table: Table::empty(),
            earliest: Deadline::NEVER,
            doubted_until: Instant::ZERO,
            room_at: None,
            sweep: 0,
            waiting_bytes: 0,
            #[cfg(feature = "slaac")]
            times: [const { Holder::Empty }; INTERFACES_MAX],
        }
    }

    /// The times of the link to a neighbour.
    pub(crate) fn times(&self, key: &NeighborKey) -> Times {
        #[cfg(feature = "slaac")]
        if key.address.is_ipv6() {
            let told = self.times.get(key.interface.0.index as usize).and_then(Holder::as_ref);
            return told.copied().unwrap_or(Times::USUAL);
        }
        let _ = key;
        Times::USUAL
    }

    /// A router of this interface's link says that they are others (RFC 4861 §6.3.4).
    #[cfg(feature = "slaac")]
    pub(crate) fn set_times(&mut self, interface: InterfaceId, change: impl FnOnce(&mut Times)) {
        if let Some(told) = self.times.get_mut(interface.0.index as usize) {
            let mut times = told.as_ref().copied().unwrap_or(Times::USUAL);
            change(&mut times);
            *told = Holder::Entry(times);
        }
    }

    /// The places; before there is a neighbour.
    /// Every entry.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = Neighbor> + '_ {
        self.table.iter().map(move |(_, entry)| entry.view(now))
    }

    pub(crate) fn start(
        &mut self,
        slots: ManagedSlice<'a, NeighborSlot>,
        asked: ManagedSlice<'a, AskedNeighbor>,
        key: [u8; 16],
    ) {
        self.questions.start(slots.len(), asked);
        self.table = Table::new(slots, key);
    }

    fn schedule(&mut self, deadline: Option<Instant>) {
        self.earliest.or_sooner(deadline.unwrap_or(Instant::FAR_FUTURE));
    }

    /// Puts an entry there. Packets of the entry that gives way are returned, to be counted.
    fn insert(&mut self, at: usize, entry: Entry, pool: &Pool<'_>, now: Instant) -> PacketQueue {
        let old = self.table.take(at);
        if let Some(old) = &old {
            self.waiting_bytes -= old.waiting.held(pool);
            self.questions.remember(self.table.fingerprint(&old.key), old.next, now);
        }
        self.schedule(entry.deadline());
        self.table.put(at, entry);
        old.map(|e| e.waiting).unwrap_or_default()
    }

    /// The address of a neighbour whose use changes nothing, if the packet before went there too:
    /// what almost every packet asks, in a few steps.
    #[inline]
    pub(crate) fn known(&mut self, key: &NeighborKey, purpose: Purpose, now: Instant) -> Option<Mac> {
        let entry = self.table.recent()?;
        let (State::Reachable { until } | State::Delay { until }) = entry.state else { return None };
        if now >= until || entry.key != *key {
            return None;
        }
        if purpose != Purpose::Answer {
            entry.use_it(now);
        }
        Some(entry.mac)
    }

    /// The address of a neighbour that a packet is about to go to. If it has to be asked for, the
    /// third value says so; the second holds packets of an entry that gave way.
    pub(crate) fn resolve(
        &mut self,
        key: NeighborKey,
        source: IpAddr,
        purpose: Purpose,
        pool: &Pool<'_>,
        now: Instant,
    ) -> (Resolution, PacketQueue, Option<Due>) {
        if let Some(at) = self.table.find(&key) {
            if let Some((resolution, due)) = self.use_entry(at, source, purpose, now) {
                return (resolution, PacketQueue::new(), due);
            }
            // The entry of a failure waits for nothing and holds nothing.
            self.table.take(at);
        }
        self.ask_anew(key, source, purpose, pool, now)
    }

    fn use_entry(
        &mut self,
        at: usize,
        source: IpAddr,
        purpose: Purpose,
        now: Instant,
    ) -> Option<(Resolution, Option<Due>)> {
        let key = self.table.at(at)?.key;
        let times = self.times(&key);
        let entry = self.table.at(at)?;
        let resolution = entry.resolution(now)?;
        if entry.is_doubted() {
            // All of both: a packet in DELAY comes by here only if it is the first, or others' came between.
            self.doubted_until = self.doubted_until.max(now + DELAY + PROBES);
        }
        let mut due = None;
        if purpose != Purpose::Answer {
            entry.source = source;
            entry.use_it(now);
            // What answers were denied our own traffic may ask.
            if resolution == Resolution::Pending && entry.denied {
                (entry.denied, entry.next) = (false, now + times.retrans);
                due = Some(Due::Solicit { key: entry.key, source, to: None });
            }
        }
        let deadline = entry.deadline();
        self.schedule(deadline);
        Some((resolution, due))
    }

    fn ask_anew(
        &mut self,
        key: NeighborKey,
        source: IpAddr,
        purpose: Purpose,
        pool: &Pool<'_>,
        now: Instant,
    ) -> (Resolution, PacketQueue, Option<Due>) {
        let is_answer = purpose == Purpose::Answer;
        let not_before = self.questions.not_before(self.table.fingerprint(&key), now);
        if is_answer && (not_before.is_some() || !self.questions.take_for_answer(now)) {
            return (Resolution::Denied, PacketQueue::new(), None);
        }
        // With no place at all, nobody can be reached.
        let purpose = if self.table.len() == 0 { Purpose::Own } else { purpose };
        let (most, spared, refused) = match purpose {
            Purpose::Own => (Class::InUse, None, Resolution::Failed),
            Purpose::Patient => (Class::InUse, Some(Class::Awaited), Resolution::Pending),
            Purpose::Answer => (Class::Idle, None, Resolution::Denied),
        };
        let Some(at) = self.table.place(most, spared, now) else {
            if purpose == Purpose::Patient {
                self.room_at.get_or_insert(now + RETRANS);
            }
            return (refused, PacketQueue::new(), None);
        };
        // One that was asked less than an interval ago counts that question.
        let mut entry = Entry::new(key, State::Incomplete { solicits: 1 }, source);
        entry.next = not_before.unwrap_or(now + self.times(&key).retrans);
        entry.used = Some(now).filter(|_| !is_answer);
        let given_up = self.insert(at, entry, pool, now);
        let due = not_before.is_none().then_some(Due::Solicit { key, source, to: None });
        (Resolution::Pending, given_up, due)
    }

    /// Is the neighbour being asked, or has it just failed? What becomes of it is told.
    pub(crate) fn is_awaited(&mut self, key: &NeighborKey) -> bool {
        self.table.get(key).is_some_and(|entry| !entry.is_resolved())
    }

    /// Lets a packet wait for the neighbour, whose oldest gives way if it has too many
    /// (`most`), and says how many gave way.
    ///
    /// An eighth of the memory is for all neighbours, so that packets to invented ones can't starve
    /// the rest (H195), and up to a quarter of it for the only packet of a neighbour of our own
    /// traffic (RFC 1122 §2.3.2.2): before that is refused, those give way that are not the only one.
    pub(crate) fn wait(
        &mut self,
        key: &NeighborKey,
        purpose: Purpose,
        need: Need,
        most: usize,
        pool: &mut Pool<'_>,
        frame: &Frame<'_>,
    ) -> Result<GaveWay, NoWait> {
        let is_answer = purpose == Purpose::Answer;
        let at = self.table.find(key).ok_or(NoWait::Gone)?;
        let mut gave_way = GaveWay::default();
        loop {
            let entry = self.table.at(at).filter(|e| !e.is_resolved()).ok_or(NoWait::Gone)?;
            let (queue, is_answered) = (&mut entry.waiting, entry.used.is_none());
            let is_only = queue.is_empty() && !is_answer;
            let share = pool.capacity() / if is_only { 4 } else { 8 };
            let before = queue.held(pool);
            let mut refused = NoWait::ShareFull;
            if queue.packets() < most && self.waiting_bytes + frame.len() <= share {
                let is_queued = queue.push(pool, frame, need);
                self.waiting_bytes = self.waiting_bytes - before + queue.held(pool);
                if is_queued {
                    return Ok(gave_way);
                }
                refused = NoWait::OutOfMemory;
            }
            if !queue.is_empty() && (!is_answer || is_answered) {
                queue.pop(pool);
                self.waiting_bytes = self.waiting_bytes - before + queue.held(pool);
                gave_way.same += 1;
            } else {
                let more = if is_only { self.reclaim(at, pool) } else { 0 };
                gave_way.others += more;
                if more == 0 {
                    return Err(refused);
                }
            }
        }
    }

    /// Takes back memory that waits for another neighbour: all but the newest packet of the one that
    /// holds most, or all that are answers. Returns how many packets that are.
    fn reclaim(&mut self, not: usize, pool: &mut Pool<'_>) -> usize {
        let kept = |e: &Entry| usize::from(e.used.is_some());
        let others = self.table.iter().filter(|(at, e)| *at != not && e.waiting.packets() > kept(e));
        let Some((at, _)) = others.max_by_key(|(_, e)| e.waiting.held(pool)) else { return 0 };
        let Some(entry) = self.table.at(at) else { return 0 };
        let (kept, before) = (kept(entry), entry.waiting.held(pool));
        let mut count = 0;
        while entry.waiting.packets() > kept && entry.waiting.pop(pool) {
            count += 1;
        }
        self.waiting_bytes = self.waiting_bytes - before + entry.waiting.held(pool);
        count
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
        let times = self.times(&key);
        let Some(entry) = self.table.get(&key) else {
            let (Some(mac), Evidence::Asked { ours }) = (mac, evidence) else {
                return None;
            };
            // Who asks for us may be invented: it takes no place that our own traffic needs.
            let at = self.table.place(Class::Idle, None, now)?;
            let entry = Entry { mac, ..Entry::new(key, State::Stale, ours) };
            let given_up = self.insert(at, entry, pool, now);
            return Some(Learnt { mac, waiting: PacketQueue::new(), given_up });
        };
        if !entry.learn(mac, evidence, times, now) {
            return None;
        }
        let (mac, waiting) = (entry.mac, core::mem::take(&mut entry.waiting));
        self.waiting_bytes -= waiting.held(pool);
        Some(Learnt { mac, waiting, given_up: PacketQueue::new() })
    }

    /// The upper layer heard from the neighbour's direction in answer to what it sent
    /// (RFC 4861 §7.3.1).
    pub(crate) fn confirm(&mut self, key: NeighborKey, now: Instant) {
        let times = self.times(&key);
        let Some(entry) = self.table.get(&key) else { return };
        let was_doubted = entry.is_doubted();
        entry.confirm(times, now);
        if was_doubted && !self.table.iter().any(|(_, entry)| entry.is_doubted()) {
            // Nobody is to be vouched for until another one is doubted.
            self.doubted_until = Instant::ZERO;
        }
    }

    /// Might a neighbour wait for somebody to vouch for it?
    #[inline]
    pub(crate) fn is_doubted(&self, now: Instant) -> bool {
        now < self.doubted_until
    }

    /// The upper layer hears nothing: the neighbour is asked at once, for DELAY is there to let the upper layer vouch
    /// for it, which has just done the contrary. Gives the question, unless it is asked already.
    pub(crate) fn suspect(&mut self, key: NeighborKey, now: Instant) -> Option<Due> {
        let times = self.times(&key);
        let entry = self.table.get(&key)?;
        let (State::Reachable { .. } | State::Stale | State::Delay { .. }) = entry.state else { return None };
        entry.ask(true, times, now);
        let (source, to, deadline) = (entry.source, entry.solicits_at(), entry.deadline());
        self.schedule(deadline);
        Some(Due::Solicit { key, source, to })
    }

    /// What is due now, one at a time. One sweep over the table finds all of it.
    pub(crate) fn due(&mut self, pool: &Pool<'_>, now: Instant) -> Option<Due> {
        if self.room_at.is_some_and(|at| at <= now) {
            self.room_at = None;
            return Some(Due::Room);
        }
        if self.sweep == 0 {
            if !self.earliest.is_by(now) {
                return None;
            }
            self.earliest = Deadline::NEVER;
        }
        while self.sweep < self.table.len() {
            let at = self.sweep;
            self.sweep += 1;
            let due = self.advance(at, pool, now);
            let deadline = self.table.at(at).and_then(|entry| entry.deadline());
            self.schedule(deadline);
            if due.is_some() {
                return due;
            }
        }
        self.sweep = 0;
        None
    }

    /// Moves an entry on, if its time has come.
    fn advance(&mut self, at: usize, pool: &Pool<'_>, now: Instant) -> Option<Due> {
        let key = self.table.at(at)?.key;
        let times = self.times(&key);
        let entry = self.table.at(at)?;
        match entry.state {
            _ if entry.deadline().is_none_or(|deadline| deadline > now) => None,
            State::Failed { .. } => {
                self.table.take(at);
                Some(Due::Over { key })
            }
            State::Incomplete { solicits } | State::Probe { solicits } if solicits >= SOLICITS_MAX => {
                let waiting = entry.fail(now);
                self.waiting_bytes -= waiting.held(pool);
                Some(Due::Failed { key, waiting })
            }
            _ => {
                let granted = entry.is_used(now) || self.questions.take_for_answer(now);
                entry.ask(granted, times, now);
                let (source, to) = (entry.source, entry.solicits_at());
                granted.then_some(Due::Solicit { key, source, to })
            }
        }
    }

    /// When [`due`](Self::due) has something next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        earlier(self.earliest.at(), self.room_at)
    }

    /// Forgets the neighbours that `which` names (H110), one at a time: call until `None`. What
    /// waited for them is returned.
    pub(crate) fn forget(
        &mut self,
        pool: &Pool<'_>,
        which: impl Fn(&NeighborKey) -> bool,
    ) -> Option<(NeighborKey, PacketQueue)> {
        let (at, _) = self.table.iter().find(|(_, entry)| which(&entry.key))?;
        let entry = self.table.take(at)?;
        self.waiting_bytes -= entry.waiting.held(pool);
        Some((entry.key, entry.waiting))
    }
}

#[cfg(test)]
mod tests;
