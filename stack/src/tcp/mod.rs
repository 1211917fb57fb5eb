//! TCP (RFC 9293): all connections of a stack, and which segment is for which.
//!
//! This module names no wire format, no device and no allocator. Files are split by question:
//! [`input`] what came in (the usual by [`expected`]), [`output`] what goes out, [`timers`] what time
//! did, [`user`] what the application asked for, on one connection; [`open`], [`accept`], [`wait`],
//! [`ready`], [`orphans`] and [`calls`] are about all of them.

mod accept;
mod calls;
mod config;
mod congestion;
mod connections;
mod cookie_jar;
mod cookies;
mod ecn;
mod expected;
mod fast_open;
mod info;
mod input;
mod isn;
mod keep_alive;
mod listener;
mod mtu;
mod open;
mod options;
mod orphans;
mod output;
mod pacing;
mod park;
mod path;
pub(crate) mod ranges;
mod ready;
mod receive;
mod recovery;
mod rtt;
mod scoreboard;
pub(crate) mod segment;
mod send;
mod settings;
pub(crate) mod soft;
pub(crate) mod tcb;
#[cfg(all(test, feature = "alloc"))]
mod tests;
mod time_wait;
mod timers;
mod urgent;
mod user;
mod wait;

pub use config::{Congestion, Ecn, PathProbing, SynCookies, TcpConfig};
pub use connections::Place;
pub use info::TcpInfo;
pub use options::{KeepAlive, TcpOptions};
pub use recovery::RecoveryPhase;
pub use settings::OptionsEntry;
pub(crate) use settings::Profile;
pub use tcb::State;
pub use time_wait::TimeWaitEntry;
pub(crate) use user::LAST_WORDS;

use crate::counters::TcpCount;
use crate::demux::{Bucket, Demux, HashKey, hash_addresses};
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::list::{Link, Links, List, NONE};
use crate::pool::{Audit, Cursor, Pool};
use crate::random::Random;
use crate::seq::Seq;
use crate::slab::{Key, Slab, Slot};
use crate::time::{Duration, Instant, earlier};
use crate::wakers::{Others, Woken};
use crate::wheel::{Node, Nodes, Wheel};
pub(crate) use connections::Opened;
use connections::{Connections, Seen};
use cookie_jar::CookieJar;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::task::Waker;
use listener::Listener;
use managed::ManagedSlice;
pub(crate) use options::IpFields;
use segment::{Flags, Options, Plain, Plan, Reset, Segment, Timestamps};
use settings::Settings;
use soft::SoftError;
use tcb::{Dropped, Effects, End, Origin, Phase, Tcb};
use time_wait::TimeWaits;

/// Marks a number in the demux as one of TIME-WAIT.
const TIME_WAIT: u32 = 1 << 31;
/// Marks a number in the demux as a listener's.
const LISTENER: u32 = 1 << 30;
/// Ephemeral ports: three quarters of all, chosen at random (RFC 6056 §3.2, H060).
const EPHEMERAL_FIRST: u16 = 16_384;
const EPHEMERAL: u64 = 65_536 - EPHEMERAL_FIRST as u64;
/// How long a timer waits while all connections in use are busy.
const CROWDED: Duration = Duration::from_millis(10);
/// How many ports are tried at random, before all are, one after the other.
const EPHEMERAL_TRIES: usize = 64;

/// Names a connection: local and remote address and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tuple {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
}

impl Hash for Tuple {
    /// By words, since it is done for each segment of a connection that is not the last one's.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_addresses(self.local, self.remote, state);
        state.write_u32(u32::from(self.local_port) << 16 | u32::from(self.remote_port));
    }
}

/// A connection in use, with its places in the tables.
#[derive(Debug)]
pub struct Connection {
    pub(crate) tuple: Tuple,
    pub(crate) interface: InterfaceId,
    pub(crate) tcb: Tcb,
    /// Its options.
    pub(crate) profile: Profile,
    /// Its number in the table of connections.
    index: u32,
    /// Used since the table looked for one to park.
    is_recent: bool,
    /// In the demux under `hash`.
    known: bool,
    hash: u32,
    timer: Node,
    /// In a list of those that can send, or of those that are blocked.
    ready: Link,
    blocked: bool,
    starved: Link,
    narrow: Link,
    stalled: Link,
    orphaned: Link,
    /// Among the half-open ones of its listener, or among those that are late.
    half_open: Link,
    is_late: bool,
    /// Which other connection waits for `accept` after this one.
    next_waiting: u32,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Tasks that read, or write, besides the first that does.
    others: Others,
}

impl Connection {
    /// Who reads is to be woken.
    #[inline]
    fn wake_reader(&mut self, woken: &mut Woken) {
        woken.take(&mut self.reader);
        self.others.wake(woken);
    }

    /// Who writes, or waits for the peer to acknowledge, is to be woken.
    #[inline]
    fn wake_writer(&mut self, woken: &mut Woken) {
        woken.take(&mut self.writer);
        self.others.wake(woken);
    }

    fn wake_both(&mut self, woken: &mut Woken) {
        self.wake_reader(woken);
        self.wake_writer(woken);
    }

    /// Where it has to be in the tables, if that is not where it is.
    fn changes(&self, options: &TcpOptions) -> Changes {
        let is_ready = !self.ready.is_queued() && self.tcb.wants_output();
        Changes {
            // A timer that fires too early is set again then.
            timer: self.tcb.deadline(options).filter(|at| !self.timer.fires_by(*at)),
            ready: is_ready.then(|| ready_list(self.interface)),
            is_other_stall: self.tcb.is_stalled() != self.stalled.is_queued(),
        }
    }

    /// A stable pseudo-random value for the flow label of IPv6 (RFC 6437 §3, H082).
    pub(crate) fn flow_hash(&self) -> u32 {
        self.hash & 0xf_ffff
    }

    /// The text of `plan`, in pieces.
    pub(crate) fn text<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        plan: &Plan,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        if plan.len == 0 {
            return 0;
        }
        let s = match &self.tcb.phase {
            Phase::Synchronized(s) => s,
            Phase::SynSent(h) => {
                let mut cursor = Cursor::FRONT;
                return h.queue.pieces(pool, &mut cursor, 0, plan.len as usize, pieces);
            }
            Phase::SynReceived(_) | Phase::Over(_) => return 0,
        };
        let mut cursor = s.send.cursor.get();
        let found = s.send.queue.pieces(pool, &mut cursor, plan.offset as usize, plan.len as usize, pieces);
        s.send.cursor.set(cursor);
        found
    }
}

/// What a step of a connection changed in the tables.
struct Changes {
    /// To be looked at by then.
    timer: Option<Instant>,
    /// The list of those with something to send.
    ready: Option<usize>,
    /// It is in the list of those that are stalled and should not be, or the reverse.
    is_other_stall: bool,
}

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
    /// The look-up table: twice as many as connections, TIME-WAITs and listeners together.
    pub buckets: ManagedSlice<'a, Bucket>,
}

/// A listener in its table.
#[derive(Debug)]
pub struct ListenerEntry(Listener);

/// All of TCP.
pub(crate) struct Tcp<'a> {
    pub(crate) settings: Settings<'a>,
    connections: Connections<'a>,
    listeners: Slab<'a, ListenerEntry>,
    time_waits: TimeWaits<'a>,
    demux: Demux<'a>,
    key: HashKey,
    wheel: Wheel,
    /// Connections with something to send, for each interface.
    ready: [List; READY_LISTS],
    /// Connections with something to send, whose neighbour's address is not known yet.
    blocked: List,
    /// Connections whose writer waits for memory of the pool.
    starved: List,
    /// Connections with next to no window, whose peer waits for memory.
    narrow: List,
    /// Connections with text for a peer that keeps its window closed, the longest first.
    stalled: List,
    /// Connections that nobody holds, the oldest first.
    orphans: List,
    /// Tasks to be woken.
    pub(crate) woken: Woken,
    /// Half-open connections of all listeners.
    half_open: usize,
    /// What is known of servers that do TCP Fast Open.
    cookie_jar: CookieJar,
    /// The connection that the last segment was for.
    last: u32,
    /// Ports that were drawn, from a random number on.
    ports: u64,
}

/// One for each interface that a stack can have.
const READY_LISTS: usize = crate::stack::INTERFACES_MAX;

/// The answer to a segment that TCP itself can't give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Reset(Reset),
    /// A bare acknowledgment from TIME-WAIT or SYN-RECEIVED.
    Ack {
        seq: Seq,
        ack: Seq,
        /// As it stands in the header.
        window: u16,
        timestamps: Option<Timestamps>,
    },
    /// A SYN-ACK of which nothing is remembered.
    SynAck {
        seq: Seq,
        ack: Seq,
        flags: Flags,
        window: u16,
        options: Options,
    },
}

/// What a listener does that is no drop, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handshaking {
    CookieSent,
    CookieAccepted,
    /// A half-open connection gave way to another.
    GaveWay,
}

/// What became of a segment.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reply: Option<Reply>,
    /// Of the connection or listener that replies; the stack's own, if it is none.
    pub(crate) fields: Option<IpFields>,
    pub(crate) dropped: Option<Refused>,
    pub(crate) event: Option<ConnectionEvent>,
    /// The path to the peer carries no larger packets than this.
    pub(crate) path_mtu: Option<u16>,
    pub(crate) handshaking: Option<Handshaking>,
    /// The way to the peer may be broken.
    pub(crate) suspect: bool,
}

/// Why a segment came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    Engine(Dropped),
    /// No connection and no listener: answered with a reset.
    NoConnection,
    /// The SYN queue of the listener is full.
    SynQueueFull,
    /// The accept queue of the listener is full.
    AcceptQueueFull,
    /// There are as many connections as listeners may open, or no memory to serve another.
    AcceptLimit,
    /// It acknowledges no cookie that a listener has sent of late.
    BadCookie,
    /// The table of connections is full.
    TableFull,
}

/// What happened to a connection, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConnectionEvent {
    Established,
    Closed,
    Failed(Error),
    /// It goes on, with a problem.
    Troubled(Error),
    /// The peer has something urgent in its stream.
    Urgent,
}

struct Timers<'t, 'a>(&'t mut Connections<'a>);
struct Ready<'t, 'a>(&'t mut Connections<'a>);
struct Starved<'t, 'a>(&'t mut Connections<'a>);
struct Narrow<'t, 'a>(&'t mut Connections<'a>);
struct Stalled<'t, 'a>(&'t mut Connections<'a>);
struct HalfOpen<'t, 'a>(&'t mut Connections<'a>);
struct Orphaned<'t, 'a>(&'t mut Connections<'a>);

/// The tables only ever name entries that exist.
const EXISTS: &str = "a table names a connection that does not exist";

impl Nodes for Timers<'_, '_> {
    fn node(&mut self, index: u32) -> &mut Node {
        self.0.timer(index).expect(EXISTS)
    }
}
impl Links for Ready<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).ready
    }
}
impl Links for Starved<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).starved
    }
}
impl Links for Narrow<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).narrow
    }
}
impl Links for Stalled<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).stalled
    }
}
impl Links for HalfOpen<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).half_open
    }
}
impl Links for Orphaned<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        self.0.orphaned(index).expect(EXISTS)
    }
}
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
            wheel: Wheel::new(),
            ready: [List::EMPTY; READY_LISTS],
            blocked: List::EMPTY,
            starved: List::EMPTY,
            narrow: List::EMPTY,
            stalled: List::EMPTY,
            orphans: List::EMPTY,
            woken: Woken::new(),
            half_open: 0,
            cookie_jar: CookieJar::EMPTY,
            last: NONE,
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
        self.demux = Demux::new(storage.buckets);
        self.key = HashKey(random.key());
        self.ports = random.next_u32().into();
    }

    /// A look at a connection.
    pub(crate) fn connection(&self, key: Key) -> Option<Seen<'_>> {
        self.connections.look_by(key)
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

    fn find(&mut self, tuple: &Tuple) -> Option<u32> {
        if let Some(c) = self.connections.at(self.last)
            && c.known
            && c.tuple == *tuple
        {
            return Some(self.last);
        }
        let hash = self.key.hash(tuple);
        let (connections, time_waits) = (&self.connections, &self.time_waits);
        let found = self.demux.find(hash, |id| match id & TIME_WAIT {
            0 => connections.is_of(id, tuple),
            _ => time_waits.get(id & !TIME_WAIT).is_some_and(|t| t.tuple == *tuple && !t.is_aside),
        })?;
        if found & TIME_WAIT == 0 {
            self.last = found;
        }
        Some(found)
    }

    /// The connection of the last segment, if that was of `tuple`.
    pub(crate) fn last_of(&self, tuple: &Tuple) -> Option<Key> {
        self.connections.at(self.last).filter(|c| c.known && c.tuple == *tuple)?;
        self.connections.key(self.last)
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
            Some(id) if id & TIME_WAIT == 0 => self.for_connection(id, segment, now, pool),
            Some(id) => self.for_time_wait(id & !TIME_WAIT, interface, mtu, segment, now, pool),
            None => self.for_listener(tuple, interface, mtu, segment, now, pool),
        }
    }

    pub(super) fn for_connection(
        &mut self,
        index: u32,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        if let Some(key) = self.connections.key(index)
            && let Some(plain) = Plain::of(segment)
            && self.take_expected(key, &plain, || true, now, pool)
        {
            return Outcome::default();
        }
        if !self.connections.activate(index, now) {
            return Outcome { dropped: Some(Refused::TableFull), ..Outcome::default() };
        }
        // H010: with the accept queue full, the last ACK of the handshake is as good as lost.
        if self.must_wait(index, segment) {
            return Outcome { dropped: Some(Refused::AcceptQueueFull), ..Outcome::default() };
        }
        if self.defers(index, segment, now) {
            return Outcome::default();
        }
        let Some(c) = self.connections.at_mut(index) else { return Outcome::default() };
        let (was_passive, asked) = (passive(&c.tcb), c.tcb.asked_early());
        let mut cx = self.settings.cx(c.profile, now, pool);
        let effects = c.tcb.on_segment(segment, &mut cx);
        c.tcb.watch_orphan(now, &cx);
        if let Some(asked) = asked {
            self.learn_early(index, asked, segment, now);
        }
        self.apply(index, was_passive, &effects, now, pool)
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
        let mut outcome = Outcome {
            reply: effects.reset.map(Reply::Reset).or(effects.challenge),
            // Now, since the options may go with the connection.
            fields: self.connections.at(index).map(|c| self.settings.options(c.profile).ip_fields()),
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
            self.opening_ends(listener, None);
        }
        if effects.urgent {
            outcome.event = outcome.event.or(Some(ConnectionEvent::Urgent));
        }
        if let Some(c) = self.connections.at_mut(index) {
            if effects.readable || effects.end.is_some() {
                c.wake_reader(&mut self.woken);
            }
            if effects.writable || effects.established || effects.end.is_some() {
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

    /// The connection is over: off the tables, but for what its application has yet to learn.
    fn end(
        &mut self,
        index: u32,
        end: End,
        was_passive: Option<u32>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> ConnectionEvent {
        self.count_end(index, end);
        self.forget(index);
        if let Some(listener) = was_passive
            && matches!(end, End::Unnoticed | End::Failed(_))
        {
            self.half_open_ends(listener, index);
        }
        let error = match end {
            // What kept the peer from answering says more.
            End::Failed(Error::TimedOut) => Some(self.soft_error_of(index).unwrap_or(Error::TimedOut)),
            End::Failed(error) => Some(error),
            End::TimeWait(_) | End::Closed | End::Unnoticed => None,
        };
        if let Some(listener) = self.connections.at(index).and_then(|c| c.tcb.opening()) {
            self.opening_ends(listener, Some(now).filter(|_| end == End::Failed(Error::ConnectionReset)));
        }
        if let Some(c) = self.connections.at_mut(index) {
            let (tuple, hash) = (c.tuple, c.hash);
            c.tcb.finish(error, pool);
            let unowned = c.tcb.orphan || end == End::Unnoticed;
            if let End::TimeWait(start) = end {
                self.wait(&tuple, &start, hash, now);
            }
            if unowned {
                self.discard(index, pool);
            }
        }
        error.map_or(ConnectionEvent::Closed, ConnectionEvent::Failed)
    }

    fn count_end(&self, index: u32, end: End) {
        let counts = &self.settings.counts;
        let was_open =
            self.connections.at(index).is_some_and(|c| c.tcb.connected().is_ok() && !c.tcb.is_opening());
        match (end, was_open) {
            (End::Failed(_) | End::Unnoticed, false) => counts.add(TcpCount::FailedOpens, 1),
            (End::Failed(_) | End::Unnoticed, true) => counts.add(TcpCount::FailedConnections, 1),
            (End::TimeWait(_) | End::Closed, _) => {}
        }
        if end == End::Failed(Error::TimedOut) {
            counts.add(TcpCount::TimedOut, 1);
        }
    }

    /// No segment, timer or turn is for this connection any more.
    fn forget(&mut self, index: u32) {
        self.wheel.cancel(&mut Timers(&mut self.connections), index);
        if let Some(c) = self.connections.at(index) {
            let (list, blocked) = (ready_list(c.interface), c.blocked);
            let list = if blocked { &mut self.blocked } else { &mut self.ready[list] };
            list.remove(&mut Ready(&mut self.connections), index);
            self.starved.remove(&mut Starved(&mut self.connections), index);
            self.narrow.remove(&mut Narrow(&mut self.connections), index);
            self.stalled.remove(&mut Stalled(&mut self.connections), index);
        }
        if let Some(hash) = self.connections.leave_demux(index) {
            if let Some(tuple) = self.connections.at(index).map(|c| c.tuple) {
                self.return_to_wait(&tuple, hash);
            }
            self.orphans.remove(&mut Orphaned(&mut self.connections), index);
            self.demux.remove(hash, index);
        }
    }

    /// Frees the connection's place. It is off the tables already.
    fn discard(&mut self, index: u32, pool: &mut Pool<'_>) {
        if let Some(mut c) = self.connections.remove(index) {
            self.settings.release(c.profile);
            c.tcb.clear(pool);
            c.wake_both(&mut self.woken);
        }
    }

    /// After any step: back into the queue of those with something to send, timer set.
    fn after(&mut self, index: u32) {
        let Some(c) = self.connections.at(index) else { return };
        let changes = c.changes(self.settings.options(c.profile));
        self.reschedule(index, changes);
    }

    /// Puts a connection where it has to be in the tables. Most steps leave everything as it is.
    fn reschedule(&mut self, index: u32, changes: Changes) {
        let Changes { timer, ready, is_other_stall } = changes;
        if let Some(at) = timer {
            self.wheel.arm(&mut Timers(&mut self.connections), index, at);
        }
        if is_other_stall {
            self.note_stalled(index);
        }
        if let Some(list) = ready {
            self.ready[list].push(&mut Ready(&mut self.connections), index);
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
        let (was_passive, asked) = (passive(&c.tcb), c.tcb.asked_early());
        let mut cx = self.settings.cx(c.profile, now, pool);
        let (tuple, interface) = (c.tuple, c.interface);
        let effects = c.tcb.on_timer(&mut cx);
        let asks = c.tcb.asked_early();
        if asked.is_some() && asks.is_none() {
            self.rest_early(&tuple, now);
        }
        let mut outcome = self.apply(index, was_passive, &effects, now, pool);
        if effects.suspect {
            self.settings.counts.add(TcpCount::Suspicions, 1);
            outcome.suspect = true;
            //= rfc9293#3.8.3 SHLD-9
            outcome.event = outcome.event.or(self.trouble(index, SoftError::Unanswered, now, pool).event);
        }
        Some((tuple, interface, outcome))
    }

    /// Fails a connection from outside: unreachable, refused by ICMP, device gone.
    pub(crate) fn fail(&mut self, index: u32, error: Error, now: Instant, pool: &mut Pool<'_>) -> Outcome {
        self.connections.activate(index, now);
        let Some(c) = self.connections.at(index) else { return Outcome::default() };
        let was_passive = passive(&c.tcb);
        let end = if was_passive.is_some() { End::Unnoticed } else { End::Failed(error) };
        let effects = Effects { end: Some(end), ..Effects::default() };
        self.apply(index, was_passive, &effects, now, pool)
    }

    /// The connection that an ICMP error's quoted header names.
    pub(crate) fn quoted(&mut self, tuple: &Tuple) -> Option<u32> {
        self.find(tuple).filter(|id| id & TIME_WAIT == 0)
    }

    /// When `expire` wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        earlier(self.wheel.next(), self.time_waits.deadline())
    }

    /// Parks everything that is at rest.
    #[cfg(all(test, feature = "alloc"))]
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
