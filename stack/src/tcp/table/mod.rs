//! All connections of a stack, and which segment is for which.
//!
//! [`active_open`], [`passive_open`], [`waiting`] (TIME-WAIT), [`scheduler`], [`orphans`] and [`calls`]
//! are about all of them; what happens to one is in [`connection`](super::connection).

mod active_open;
mod calls;
mod connections;
mod ends;
mod entry;
#[cfg(feature = "fast-open")]
mod fast_open;
#[cfg(not(feature = "fast-open"))]
#[path = "no_fast_open.rs"]
mod fast_open;
#[cfg(feature = "fast-open")]
mod fast_open_cache;
mod fast_path;
mod icmp;
pub(crate) mod isn;
mod links;
mod listener;
mod memory;
mod orphans;
mod outcome;
#[cfg(not(feature = "parking"))]
#[path = "no_parking.rs"]
mod parking;
#[cfg(feature = "parking")]
mod parking;
mod passive_open;
mod scheduler;
mod settings;
#[cfg(feature = "syn-cookies")]
mod syn_cookies;
#[cfg(not(feature = "syn-cookies"))]
#[path = "no_syn_cookies.rs"]
mod syn_cookies;
mod time_wait;
mod waiting;

pub(crate) use connections::ActiveKey;
pub use connections::Place;
use entry::Changes;
pub use entry::Connection;
#[cfg(feature = "fast-open")]
pub use fast_open_cache::FastOpenServer;
use links::{HalfOpen, Narrow, Orphaned, Ready, Stalled, Starved, Timers};
pub(crate) use memory::TcpMemory;
pub(crate) use outcome::{ConnectionEvent, Handshaking, LastWords, Outcome, Refused};
pub use settings::OptionsEntry;
pub(crate) use settings::Profile;
pub use time_wait::TimeWaitEntry;

use self::isn::TupleHash;
use super::connection::handshake::Origin;
use super::connection::soft_error::SoftError;
use super::connection::tcb::{Effects, End, Phase, Tcb};
use super::segment::{Plain, Reply, Segment, Tuple};
use crate::base::demux::{Bucket, Demux, HashKey};
#[cfg(feature = "fast-open")]
use crate::base::holder::Holder;
use crate::base::list::List;
use crate::base::pool::{Audit, Pool};
use crate::base::random::Random;
use crate::base::slab::{Key, Slab, Slot};
use crate::base::wakers::Woken;
use crate::base::wheel::Wheel;
use crate::counters::TcpCount;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::time::{Duration, Instant, earlier};
use connections::Connections;
pub(crate) use connections::Opened;

use fast_open::CookieJar;
use listener::Listener;
use managed::ManagedSlice;
use settings::Settings;
use time_wait::TimeWaits;

/// Marks a number in the demux as one of TIME-WAIT.
pub(in crate::tcp) const TIME_WAIT: u32 = 1 << 31;
/// Marks a number in the demux as a listener's.
const LISTENER: u32 = 1 << 30;
/// Ephemeral ports: three quarters of all, chosen at random (RFC 6056 §3.2, H060).
pub(in crate::tcp) const EPHEMERAL_FIRST: u16 = 16_384;
pub(in crate::tcp) const EPHEMERAL: u64 = 65_536 - EPHEMERAL_FIRST as u64;
/// How long a timer waits while all connections in use are busy.
const CROWDED: Duration = Duration::from_millis(10);
/// How many ports are tried at random, before all are, one after the other.
pub(in crate::tcp) const EPHEMERAL_TRIES: usize = 64;

/// Which list of connections that can send an interface has.
fn ready_list(interface: InterfaceId) -> usize {
    interface.0.index as usize % READY_LISTS
}

/// The memory of TCP's tables.
pub struct TcpStorage<'a> {
    /// One for each connection.
    pub connections: ManagedSlice<'a, Slot<Place>>,
    /// One for each connection that is in use at the same time: that has something queued, in
    /// flight or owed. The others are kept in their [`Place`].
    pub active: ManagedSlice<'a, Slot<Connection>>,
    /// To how many `active` returns when fewer are busy, if it is on the heap.
    pub active_target: usize,
    /// One for each listening port.
    pub listeners: ManagedSlice<'a, Slot<ListenerEntry>>,
    /// One for each connection in TIME-WAIT; with too few the oldest give way.
    pub time_waits: ManagedSlice<'a, TimeWaitEntry>,
    /// One for each set of socket options that differs from those of all others; with none, no option
    /// can be set.
    pub options: ManagedSlice<'a, Slot<OptionsEntry>>,
    /// Servers of which it is known whether they do TCP Fast Open; the oldest gives way.
    #[cfg(feature = "fast-open")]
    pub servers: ManagedSlice<'a, Holder<FastOpenServer>>,
    /// The look-up table: twice as many as connections, TIME-WAITs and listeners together.
    pub buckets: ManagedSlice<'a, Bucket>,
}

/// A listener in its table.
#[derive(Debug)]
pub struct ListenerEntry(Listener);

/// All of TCP.
pub(crate) struct Tcp<'a> {
    pub(crate) settings: Settings<'a>,
    pub(in crate::tcp) connections: Connections<'a>,
    listeners: Slab<'a, ListenerEntry>,
    time_waits: TimeWaits<'a>,
    demux: Demux<'a>,
    /// Where connections lie in the table, and where their timestamps begin: as long as there are any.
    pub(in crate::tcp) key: HashKey,
    /// What numbers, ports and cookies of new connections come from: `key`, until it is [renewed](Self::renew_keys).
    secret: HashKey,
    wheel: Wheel,
    /// Connections with something to send, for each interface.
    ready: [List; READY_LISTS],
    /// Connections with something to send, whose neighbour's address is not known yet.
    blocked: List,
    /// Connections whose writer waits for memory of the pool.
    starved: List,
    /// Connections with next to no window, whose peer waits for memory.
    narrow: List,
    /// Connections with payload for a peer that keeps its window closed, the longest first.
    stalled: List,
    /// Connections that nobody holds, the oldest first.
    orphans: List,
    /// Tasks to be woken.
    pub(crate) woken: Woken,
    /// Half-open connections of all listeners.
    half_open: usize,
    /// What is known of servers that do TCP Fast Open.
    cookie_jar: CookieJar<'a>,
    /// The connection that the last segment was for.
    last: u32,
    /// Ports that were drawn, from a random number on.
    pub(in crate::tcp) ports: u64,
}

/// One for each interface that a stack can have.
const READY_LISTS: usize = crate::ip::INTERFACES_MAX;

impl<'a> Tcp<'a> {
    /// Without memory: no connection has a place.
    pub(crate) const fn empty() -> Self {
        Tcp {
            settings: Settings::empty(),
            connections: Connections::empty(),
            listeners: Slab::empty(),
            time_waits: TimeWaits::empty(),
            demux: Demux::empty(),
            key: HashKey([0; 16]),
            secret: HashKey([0; 16]),
            wheel: Wheel::new(),
            ready: [List::EMPTY; READY_LISTS],
            blocked: List::EMPTY,
            starved: List::EMPTY,
            narrow: List::EMPTY,
            stalled: List::EMPTY,
            orphans: List::EMPTY,
            woken: Woken::new(),
            half_open: 0,
            cookie_jar: CookieJar::empty(),
            last: 0,
            ports: 0,
        }
    }

    /// The memory, and what nobody can foresee; before there is a connection.
    pub(crate) fn start(&mut self, storage: TcpStorage<'a>, limit: usize, random: &mut Random) {
        self.settings.start(storage.options, limit);
        self.connections =
            Connections::new(storage.connections, storage.active, limit, storage.active_target);
        self.listeners = Slab::new(storage.listeners, limit);
        self.time_waits.start(storage.time_waits, limit);
        #[cfg(feature = "fast-open")]
        {
            self.cookie_jar = CookieJar::new(storage.servers);
        }
        self.demux = Demux::new(storage.buckets);
        self.key = HashKey(random.key());
        self.secret = self.key;
        self.ports = random.next_u32().into();
    }

    /// New connections have nothing in common with what another machine with the same seed would open. Cookies that are out
    /// are good no longer.
    pub(crate) fn renew_keys(&mut self, random: &mut Random) {
        self.secret = HashKey(random.key());
        self.ports = random.next_u32().into();
    }

    /// Shows a connection to `see`.
    #[inline]
    pub(crate) fn inspect<R>(&self, key: Key, see: impl FnOnce(&Connection) -> R) -> Result<R, Error> {
        self.connections.inspect(key, see).ok_or(Error::StaleHandle)
    }

    /// A look at a connection.
    #[cfg(all(test, feature = "alloc"))]
    pub(crate) fn connection(&self, key: Key) -> Option<connections::ConnectionRef<'_>> {
        self.connections.look_by(key)
    }

    /// Every connection, and what is known of it.
    pub(crate) fn look_at_all(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (Tuple, crate::tcp::TcpInfo)> + '_ {
        let all = self.connections.iter();
        all.map(move |(_, c)| (c.tuple, c.tcb.info(now, &self.settings.config)))
    }

    /// Every listener.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().map(|(_, entry)| &entry.0)
    }

    /// The connections that are in TIME-WAIT.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Tuple> + '_ {
        self.time_waits.iter()
    }

    /// Live connections, half-open ones included.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// The connection in this place, if it is in use.
    pub(crate) fn at(&self, index: u32) -> Option<&Connection> {
        self.connections.at(index)
    }

    /// Connections in TIME-WAIT.
    pub(crate) fn time_waits(&self) -> usize {
        self.time_waits.len()
    }

    /// The connection of a tuple, or what is left of one; else the tuple's hash.
    pub(in crate::tcp) fn find(&mut self, tuple: &Tuple) -> Result<u32, TupleHash> {
        if let Some(c) = self.connections.at(self.last)
            && c.known
            && c.tuple == *tuple
        {
            return Ok(self.last);
        }
        let hash = TupleHash::of(&self.key, tuple);
        let (connections, time_waits) = (&self.connections, &self.time_waits);
        let found = self.demux.find(hash.place, |id| match id & TIME_WAIT {
            0 => connections.is_of(id, tuple),
            _ => time_waits.get(id & !TIME_WAIT).is_some_and(|t| t.tuple == *tuple && !t.is_aside),
        });
        let found = found.ok_or(hash)?;
        if found & TIME_WAIT == 0 {
            self.last = found;
        }
        Ok(found)
    }

    /// The connection between these two, if it is in use.
    pub(crate) fn active_of(&mut self, tuple: &Tuple) -> Option<ActiveKey> {
        let found = self.find(tuple).ok().filter(|id| id & TIME_WAIT == 0)?;
        self.connections.active_key(found)
    }

    /// The connection of the last segment, if that was of `tuple`.
    pub(crate) fn last_of(&self, tuple: &Tuple) -> Option<ActiveKey> {
        let (key, c) = self.connections.active_at(self.last)?;
        (c.known && c.tuple == *tuple).then_some(key)
    }

    /// A segment has arrived for `tuple`, seen from this side.
    pub(crate) fn on_segment(
        &mut self,
        tuple: &Tuple,
        interface: InterfaceId,
        mtu: u16,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        match self.find(tuple) {
            Ok(id) if id & TIME_WAIT == 0 => self.for_connection(id, segment, now, pool),
            Ok(id) => self.for_time_wait(id & !TIME_WAIT, interface, mtu, segment, now, pool),
            Err(hash) => self.for_listener((tuple, hash), interface, mtu, segment, now, pool),
        }
    }

    pub(super) fn for_connection(
        &mut self,
        index: u32,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        if cfg!(feature = "fast-path")
            && let Some(key) = self.connections.active_key(index)
            && let Some(plain) = Plain::of(segment)
            && self.take_expected(key, &plain, || true, now, pool)
        {
            return Outcome::default();
        }
        if !self.connections.activate(index, now) {
            return Outcome { dropped: Some(Refused::TableFull), ..Outcome::default() };
        }
        if self.is_half_open(index) {
            // H010: with the accept queue full, the last ACK of the handshake is as good as lost.
            if self.must_wait(index, segment) {
                return Outcome { dropped: Some(Refused::AcceptQueueFull), ..Outcome::default() };
            }
            if self.defers(index, segment, now) {
                return Outcome::default();
            }
        }
        let Some(c) = self.connections.at_mut(index) else { return Outcome::default() };
        let (was_passive, asked) = (passive(&c.tcb), c.tcb.fast_open_request());
        let mut cx = self.settings.cx(c.profile, now, pool);
        let effects = c.tcb.on_segment(segment, &mut cx);
        c.tcb.watch_orphan(now, &cx);
        if let Some(asked) = asked {
            self.learn_fast_open(index, asked, segment, now);
        }
        self.apply(index, was_passive, &effects, now, pool)
    }

    /// Does the connection in this place wait for the last segment of a peer's handshake?
    fn is_half_open(&self, index: u32) -> bool {
        self.connections.at(index).is_some_and(|c| passive(&c.tcb).is_some())
    }

    /// Carries out what a step of the engine brought about.
    fn apply(
        &mut self,
        index: u32,
        was_passive: Option<u32>,
        effects: &Effects,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let reply = effects.reset.map(Reply::Reset).or(effects.challenge);
        let may_reply = reply.is_some() || effects.end.is_some();
        let replier = if may_reply { self.connections.at(index) } else { None };
        let mut outcome = Outcome {
            reply,
            // Now, since the options may go with the connection.
            fields: replier.map(|c| self.settings.options(c.profile).ip_fields()),
            dropped: effects.dropped.map(Refused::Engine),
            path_mtu: effects.path_mtu,
            ..Outcome::default()
        };
        if effects.established {
            outcome.event = Some(ConnectionEvent::Established);
            if let Some(listener) = was_passive {
                self.settings.counts.add(TcpCount::PassiveOpens, 1);
                self.half_open_ends(listener, index);
                if let Some((tuple, hash)) = self.connections.at(index).map(|c| (c.tuple, c.hash)) {
                    self.leave_wait(&tuple, hash);
                }
                self.queue_for_accept(listener, index);
            }
        }
        if let Some(listener) = effects.opened {
            self.fast_open_ends(listener, None);
        }
        if effects.urgent {
            outcome.event = outcome.event.or(Some(ConnectionEvent::Urgent));
        }
        let is_over = effects.end.is_some();
        let (reads, writes) =
            (effects.readable || is_over, effects.writable || effects.established || is_over);
        if (reads || writes)
            && let Some(c) = self.connections.at_mut(index)
        {
            if reads {
                c.wake_reader(&mut self.woken);
            }
            if writes {
                c.wake_writer(&mut self.woken);
            }
        }
        match effects.end {
            Some(end) => {
                if let End::TimeWait(start) = end
                    && start.acknowledge
                {
                    outcome.reply = Some(start.acknowledgment(now));
                }
                outcome.event = Some(self.end(index, end, was_passive, now, pool));
            }
            None => self.after(index),
        }
        outcome
    }

    /// After any step: back into the queue of those with something to send, timer set.
    fn after(&mut self, index: u32) {
        let Some(c) = self.connections.at(index) else { return };
        let changes = c.changes(self.settings.options(c.profile));
        self.reschedule(index, changes);
    }

    /// Puts a connection where it has to be in the tables. Most steps leave everything as it is.
    #[inline]
    fn reschedule(&mut self, index: u32, changes: Changes) {
        let Changes { timer, ready, is_other_stall } = changes;
        if timer != Instant::FAR_FUTURE {
            self.wheel.arm(&mut Timers(&mut self.connections), index, timer);
        }
        if is_other_stall {
            self.note_stalled(index);
        }
        if let Some(list) = ready {
            self.ready[usize::from(list) % READY_LISTS].push(&mut Ready(&mut self.connections), index);
        }
    }

    /// To the end of the queue of those with something to send, if there is something.
    pub(crate) fn queue_if_ready(&mut self, index: u32) {
        let Some(c) = self.connections.at(index) else { return };
        if !c.ready.is_queued() && c.tcb.wants_output() {
            let list = ready_list(c.interface);
            self.ready[list].push(&mut Ready(&mut self.connections), index);
        }
    }

    /// Is there a timer that is due, or may be?
    #[inline]
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        self.wheel.is_due(now) || self.time_waits.deadline().is_some_and(|at| at <= now)
    }

    /// Runs one connection's timers that are due; `None` when no more are.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Option<(Tuple, InterfaceId, Outcome)> {
        while self.time_waits.deadline().is_some_and(|at| at <= now)
            && let Some(oldest) = self.time_waits.oldest()
        {
            self.stop_waiting(oldest);
        }
        let mut index = self.wheel.expire(&mut Timers(&mut self.connections), now)?;
        while !self.connections.activate(index, now) {
            self.wheel.arm(&mut Timers(&mut self.connections), index, now + CROWDED);
            index = self.wheel.expire(&mut Timers(&mut self.connections), now)?;
        }
        let c = self.connections.at_mut(index)?;
        let (was_passive, asked) = (passive(&c.tcb), c.tcb.fast_open_request());
        let mut cx = self.settings.cx(c.profile, now, pool);
        let (tuple, interface) = (c.tuple, c.interface);
        let effects = c.tcb.on_timer(&mut cx);
        let asks = c.tcb.fast_open_request();
        if asked.is_some() && asks.is_none() {
            self.pause_fast_open(&tuple, now);
        }
        let mut outcome = self.apply(index, was_passive, &effects, now, pool);
        if effects.negative_advice {
            self.settings.counts.add(TcpCount::Suspicions, 1);
            outcome.negative_advice = true;
            //= rfc9293#3.8.3 SHLD-9
            outcome.event = outcome.event.or(self.trouble(index, SoftError::Unanswered, now, pool).event);
        }
        Some((tuple, interface, outcome))
    }

    /// The connection that an ICMP error's quoted header names.
    pub(crate) fn quoted(&mut self, tuple: &Tuple) -> Option<u32> {
        self.find(tuple).ok().filter(|id| id & TIME_WAIT == 0)
    }

    /// When `expire` wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        earlier(self.wheel.next(), self.time_waits.deadline())
    }

    /// Parks everything that is at rest.
    #[cfg(all(test, feature = "alloc", feature = "parking"))]
    pub(crate) fn park_all(&mut self, now: Instant) {
        self.connections.park_all(now);
    }

    /// Our own invariants, for tests and the simulation.
    pub(crate) fn check(&self, pool: &Pool<'_>) {
        let mut audit = Audit::default();
        let next_ms = self.wheel.next().map(Instant::millis);
        for (_, c) in self.connections.iter() {
            c.tcb.check(pool, &mut audit);
            let deadline = c.tcb.deadline(self.settings.options(c.profile));
            let due_ms = deadline.filter(|_| c.known).map(|at| at.micros().div_ceil(1000));
            assert!(
                due_ms.is_none_or(|at| next_ms.is_some_and(|n| n <= at)),
                "a timer is not armed: {:?}",
                *c
            );
            let waits = c.known && c.tcb.wants_output();
            assert!(!waits || c.ready.is_queued(), "something to send, and nobody will ask: {:?}", *c);
        }
        pool.check(&audit);
    }
}

/// The listener of a half-open connection.
fn passive(tcb: &Tcb) -> Option<u32> {
    match &tcb.phase {
        Phase::SynReceived(h) => match h.origin {
            Origin::Passive(listener) => Some(listener),
            Origin::Active => None,
        },
        _ => None,
    }
}

/// What a task waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interest {
    Read,
    Write,
}
