//! TCP (RFC 9293): all connections of a stack, and which segment is for which.
//!
//! This module names no wire format, no device and no allocator. Files are split by question:
//! [`input`] what came in, [`output`] what goes out, [`timers`] what time did, [`user`] what the
//! application asked for.

mod config;
mod congestion;
mod input;
mod isn;
mod listener;
mod output;
mod ranges;
mod receive;
mod recovery;
mod rtt;
pub(crate) mod segment;
mod send;
pub(crate) mod tcb;
mod time_wait;
mod timers;
mod user;

pub use config::{Congestion, TcpConfig};
pub use tcb::State;

use crate::demux::{Bucket, Demux, HashKey};
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::list::{Link, Links, List, NONE};
use crate::pool::Pool;
use crate::random::Random;
use crate::seq::Seq;
use crate::slab::{Key, Slab, Slot};
use crate::time::Instant;
use crate::wheel::{Node, Nodes, Wheel};
use core::net::IpAddr;
use core::task::Waker;
use listener::Listener;
use managed::ManagedSlice;
use output::Outlook;
use segment::{Flags, Plan, Reset, Segment};
use tcb::{Cx, Dropped, Effects, End, Mss, Origin, Phase, Tcb};
use time_wait::{TimeWait, Verdict};

/// Marks a number in the demux as one of TIME-WAIT.
const TIME_WAIT: u32 = 1 << 31;
/// Ephemeral ports: three quarters of all, chosen at random (RFC 6056 §3.2, H060).
const EPHEMERAL_FIRST: u16 = 16_384;
/// How many ports are tried before a connect fails with `AddrInUse`.
const EPHEMERAL_TRIES: usize = 64;

/// Names a connection: local and remote address and port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Tuple {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
}

/// A connection with its places in the tables.
#[derive(Debug)]
pub struct Connection {
    pub(crate) tuple: Tuple,
    pub(crate) interface: InterfaceId,
    pub(crate) tcb: Tcb,
    /// In the demux under `hash`.
    known: bool,
    hash: u32,
    timer: Node,
    /// In a list of those that can send, or of those that are blocked.
    ready: Link,
    blocked: bool,
    starved: Link,
    /// Which other connection waits for `accept` after this one.
    next_waiting: u32,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Connection {
    /// A stable pseudo-random value for the flow label of IPv6 (RFC 6437 §3, H082).
    pub(crate) fn flow_hash(&self) -> u32 {
        self.hash & 0xf_ffff
    }

    /// The text of `plan`, in pieces.
    pub(crate) fn text<'p>(
        &self,
        pool: &'p Pool<'_>,
        plan: &Plan,
        pieces: &mut [&'p [u8]],
    ) -> (usize, usize) {
        let Phase::Synchronized(s) = &self.tcb.phase else { return (0, 0) };
        let mut cursor = s.send.cursor.get();
        let found = s.send.queue.pieces(pool, &mut cursor, plan.offset as usize, plan.len as usize, pieces);
        s.send.cursor.set(cursor);
        found
    }
}

/// Which list of connections that can send an interface has.
fn ready_list(interface: InterfaceId) -> usize {
    interface.0.index as usize % READY_LISTS
}

/// The memory of TCP's tables.
pub struct TcpStorage<'a> {
    /// One for each connection.
    pub connections: ManagedSlice<'a, Slot<Connection>>,
    /// One for each listening port.
    pub listeners: ManagedSlice<'a, Slot<ListenerEntry>>,
    /// One for each connection in TIME-WAIT; with too few the oldest give way.
    pub time_waits: ManagedSlice<'a, Slot<TimeWaitEntry>>,
    /// The look-up table: half as many again as connections and TIME-WAITs together.
    pub buckets: ManagedSlice<'a, Bucket>,
}

/// A listener in its table.
#[derive(Debug)]
pub struct ListenerEntry(Listener);

/// A TIME-WAIT record in its table.
#[derive(Debug)]
pub struct TimeWaitEntry(TimeWait);

/// All of TCP.
pub(crate) struct Tcp<'a> {
    pub(crate) config: TcpConfig,
    connections: Slab<'a, Connection>,
    listeners: Slab<'a, ListenerEntry>,
    time_waits: Slab<'a, TimeWaitEntry>,
    time_wait_queue: List,
    demux: Demux<'a>,
    key: HashKey,
    wheel: Wheel,
    /// Connections with something to send, for each interface.
    ready: [List; READY_LISTS],
    /// Connections with something to send, whose neighbour's address is not known yet.
    blocked: List,
    /// Connections whose writer waits for memory of the pool.
    starved: List,
    /// The connection that the last segment was for.
    last: u32,
    ports: u16,
}

/// One for each interface that a stack can have.
const READY_LISTS: usize = crate::stack::INTERFACES_MAX;

/// The answer to a segment that TCP itself can't give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Reset(Reset),
    /// A bare acknowledgment from TIME-WAIT.
    Ack {
        seq: Seq,
        ack: Seq,
    },
}

/// What became of a segment.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reply: Option<Reply>,
    pub(crate) dropped: Option<Refused>,
    pub(crate) event: Option<ConnectionEvent>,
}

/// Why a segment came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    Engine(Dropped),
    /// No connection and no listener: answered with a reset.
    NoConnection,
    /// The SYN queue or the accept queue of the listener is full.
    BacklogFull,
    /// The table of connections is full.
    TableFull,
}

/// What happened to a connection, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConnectionEvent {
    Established,
    Closed,
    Failed(Error),
}

struct Timers<'t, 'a>(&'t mut Slab<'a, Connection>);
struct Ready<'t, 'a>(&'t mut Slab<'a, Connection>);
struct Starved<'t, 'a>(&'t mut Slab<'a, Connection>);
struct Waiting<'t, 'a>(&'t mut Slab<'a, TimeWaitEntry>);

/// The tables only ever name entries that exist.
const EXISTS: &str = "a table names a connection that does not exist";

impl Nodes for Timers<'_, '_> {
    fn node(&mut self, index: u32) -> &mut Node {
        &mut self.0.at_mut(index).expect(EXISTS).timer
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
impl Links for Waiting<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).0.link
    }
}

impl<'a> Tcp<'a> {
    pub(crate) fn new(storage: TcpStorage<'a>, limit: usize, config: TcpConfig, random: &mut Random) -> Self {
        Tcp {
            config,
            connections: Slab::new(storage.connections, limit),
            listeners: Slab::new(storage.listeners, limit),
            time_waits: Slab::new(storage.time_waits, limit),
            time_wait_queue: List::default(),
            demux: Demux::new(storage.buckets),
            key: HashKey(random.key()),
            wheel: Wheel::new(),
            ready: [List::default(); READY_LISTS],
            blocked: List::default(),
            starved: List::default(),
            last: NONE,
            ports: random.next_u32() as u16,
        }
    }

    pub(crate) fn connection(&self, key: Key) -> Option<&Connection> {
        self.connections.get(key)
    }

    /// Live connections, half-open ones included.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn at(&self, index: u32) -> Option<&Connection> {
        self.connections.at(index)
    }

    /// Connections in TIME-WAIT.
    pub(crate) fn time_waits(&self) -> usize {
        self.time_waits.len()
    }

    // ---- looking up ----

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
            0 => connections.at(id).is_some_and(|c| c.tuple == *tuple),
            _ => time_waits.at(id & !TIME_WAIT).is_some_and(|t| t.0.tuple == *tuple),
        })?;
        if found & TIME_WAIT == 0 {
            self.last = found;
        }
        Some(found)
    }

    /// The listener for a destination: one for exactly this address before one for all.
    fn listener_for(&self, address: IpAddr, port: u16) -> Option<u32> {
        let named = |wanted: Option<IpAddr>| {
            let mut all = self.listeners.iter();
            all.find(|(_, l)| l.0.port == port && l.0.address == wanted).map(|(i, _)| i)
        };
        named(Some(address)).or_else(|| named(None))
    }

    // ---- opening ----

    /// OPEN, passive (RFC 9293 §3.10.1). `address` `None`: all addresses.
    pub(crate) fn listen(
        &mut self,
        address: Option<IpAddr>,
        port: u16,
        backlog: u16,
    ) -> Result<(Key, u16), Error> {
        let port = if port == 0 { self.free_listen_port()? } else { port };
        let overlaps = |l: &Listener| {
            l.port == port && (l.address == address || l.address.is_none() || address.is_none())
        };
        if self.listeners.iter().any(|(_, l)| overlaps(&l.0)) {
            return Err(Error::AddrInUse);
        }
        let entry = ListenerEntry(Listener::new(address, port, backlog));
        self.listeners.insert(entry).map(|key| (key, port)).map_err(|_| Error::TooManySockets)
    }

    fn free_listen_port(&mut self) -> Result<u16, Error> {
        for _ in 0..EPHEMERAL_TRIES {
            let port = self.next_port();
            if !self.listeners.iter().any(|(_, l)| l.0.port == port) {
                return Ok(port);
            }
        }
        Err(Error::AddrInUse)
    }

    fn next_port(&mut self) -> u16 {
        // A keyed hash of a counter: each port once in a long while, in an order nobody foresees.
        self.ports = self.ports.wrapping_add(1);
        let range = u32::from(u16::MAX - EPHEMERAL_FIRST) + 1;
        EPHEMERAL_FIRST + (self.key.hash(&(self.ports, 2u8)) % range) as u16
    }

    /// OPEN, active. `tuple.local_port` 0: one that is free for this peer.
    pub(crate) fn connect(
        &mut self,
        mut tuple: Tuple,
        interface: InterfaceId,
        mtu: u16,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<Key, Error> {
        if self.connections.is_full() {
            return Err(Error::TooManySockets);
        }
        if tuple.local_port == 0 {
            tuple.local_port = self.free_port(tuple)?;
        } else if self.find(&tuple).is_some() {
            return Err(Error::AddrInUse);
        }
        let iss = isn::initial_sequence_number(&self.key, &tuple, now);
        let ts_offset = isn::timestamp_offset(&self.key, &tuple);
        let mss = Mss::for_mtu(mtu, tuple.remote.is_ipv6());
        let cx = Cx { now, pool, config: &self.config };
        let tcb = Tcb::connect(iss, ts_offset, mss, &cx);
        let index = self.admit(tuple, interface, tcb).ok_or(Error::TooManySockets)?;
        self.after(index, now);
        self.connections.key(index).ok_or(Error::TooManySockets)
    }

    fn free_port(&mut self, mut tuple: Tuple) -> Result<u16, Error> {
        for _ in 0..EPHEMERAL_TRIES {
            tuple.local_port = self.next_port();
            let listened = self.listeners.iter().any(|(_, l)| l.0.port == tuple.local_port);
            if !listened && self.find(&tuple).is_none() {
                return Ok(tuple.local_port);
            }
        }
        Err(Error::AddrInUse)
    }

    /// Gives a new connection its places in the tables.
    fn admit(&mut self, tuple: Tuple, interface: InterfaceId, tcb: Tcb) -> Option<u32> {
        let hash = self.key.hash(&tuple);
        let connection = Connection {
            tuple,
            interface,
            tcb,
            known: true,
            hash,
            timer: Node::default(),
            ready: Link::default(),
            blocked: false,
            starved: Link::default(),
            next_waiting: NONE,
            reader: None,
            writer: None,
        };
        let index = self.connections.insert(connection).ok()?.index;
        if !self.demux.insert(hash, index) {
            self.connections.remove(index);
            return None;
        }
        Some(index)
    }

    // ---- segments ----

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

    fn for_connection(
        &mut self,
        index: u32,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        // H010: with the accept queue full, the last ACK of the handshake is as good as lost.
        if self.must_wait(index, segment) {
            return Outcome { dropped: Some(Refused::BacklogFull), ..Outcome::default() };
        }
        let Some(c) = self.connections.at_mut(index) else { return Outcome::default() };
        let was_passive = passive(&c.tcb);
        let mut cx = Cx { now, pool, config: &self.config };
        let effects = c.tcb.on_segment(segment, &mut cx);
        c.tcb.watch_orphan(now, &cx);
        self.apply(index, was_passive, &effects, now, pool)
    }

    /// Would this segment complete a connection that has no place to wait for `accept`?
    fn must_wait(&self, index: u32, segment: &Segment<'_>) -> bool {
        let passive_on = self.connections.at(index).and_then(|c| passive(&c.tcb));
        let listener = passive_on.and_then(|l| self.listeners.at(l));
        listener.is_some_and(|l| !l.0.has_room())
            && segment.flags.has(Flags::ACK)
            && !segment.flags.has(Flags::RST)
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
            reply: effects.reset.map(Reply::Reset),
            dropped: effects.dropped.map(Refused::Engine),
            event: None,
        };
        if effects.established {
            outcome.event = Some(ConnectionEvent::Established);
            if let Some(listener) = was_passive {
                self.half_open_ends(listener);
                self.queue_for_accept(listener, index);
            }
        }
        if let Some(c) = self.connections.at_mut(index) {
            if effects.readable || effects.end.is_some() {
                wake(&mut c.reader);
            }
            if effects.writable || effects.established || effects.end.is_some() {
                wake(&mut c.writer);
            }
        }
        match effects.end {
            Some(end) => {
                outcome.event = Some(self.end(index, end, was_passive, now, pool));
            }
            None => self.after(index, now),
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
        self.forget(index);
        let half_open = was_passive.filter(|_| end == End::Unnoticed || matches!(end, End::Failed(_)));
        let error = match end {
            End::Failed(error) => Some(error),
            End::TimeWait(_) | End::Closed | End::Unnoticed => None,
        };
        if let Some(c) = self.connections.at_mut(index) {
            let (tuple, hash) = (c.tuple, c.hash);
            c.tcb.finish(error, pool);
            let unowned = c.tcb.orphan || end == End::Unnoticed;
            if let End::TimeWait(start) = end {
                self.wait(TimeWait::new(tuple, start, now, &self.config), hash);
            }
            if unowned {
                self.discard(index, pool);
            }
        }
        if let Some(listener) = half_open {
            self.half_open_ends(listener);
        }
        error.map_or(ConnectionEvent::Closed, ConnectionEvent::Failed)
    }

    /// No segment, timer or turn is for this connection any more.
    fn forget(&mut self, index: u32) {
        self.wheel.cancel(&mut Timers(&mut self.connections), index);
        let Some(c) = self.connections.at_mut(index) else { return };
        let (list, blocked) = (ready_list(c.interface), c.blocked);
        let (known, hash) = (core::mem::replace(&mut c.known, false), c.hash);
        let list = if blocked { &mut self.blocked } else { &mut self.ready[list] };
        list.remove(&mut Ready(&mut self.connections), index);
        self.starved.remove(&mut Starved(&mut self.connections), index);
        if known {
            self.demux.remove(hash, index);
        }
    }

    /// Frees the connection's place. It is off the tables already.
    fn discard(&mut self, index: u32, pool: &mut Pool<'_>) {
        if let Some(mut c) = self.connections.remove(index) {
            c.tcb.clear(pool);
            wake(&mut c.reader);
            wake(&mut c.writer);
        }
    }

    /// After any step: back into the queue of those with something to send, timer set.
    fn after(&mut self, index: u32, _now: Instant) {
        let Some(c) = self.connections.at(index) else { return };
        if let Some(at) = c.tcb.deadline() {
            self.wheel.arm(&mut Timers(&mut self.connections), index, at);
        }
        self.queue_if_ready(index);
    }

    fn queue_if_ready(&mut self, index: u32) {
        let Some(c) = self.connections.at(index) else { return };
        if !c.ready.is_queued() && c.tcb.wants_output() {
            let list = ready_list(c.interface);
            self.ready[list].push(&mut Ready(&mut self.connections), index);
        }
    }

    //= rfc9293#3.10.7.2, LISTEN
    fn for_listener(
        &mut self,
        tuple: &Tuple,
        interface: InterfaceId,
        mtu: u16,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let flags = segment.flags;
        let refuse = |refused, reset: Option<Reset>| Outcome {
            reply: reset.map(Reply::Reset),
            dropped: Some(refused),
            event: None,
        };
        let Some(index) = self.listener_for(tuple.local, tuple.local_port) else {
            return refuse(Refused::NoConnection, Reset::answer_to(segment));
        };
        if flags.has(Flags::RST) || flags.has(Flags::ACK) || !flags.has(Flags::SYN) {
            let answer = if flags.has(Flags::ACK) { Reset::answer_to(segment) } else { None };
            return refuse(Refused::NoConnection, answer);
        }
        let room = self.listeners.at(index).is_some_and(|l| l.0.has_syn_room() && l.0.has_room());
        if !room {
            return refuse(Refused::BacklogFull, None); // the client tries again (H010, H011)
        }
        let iss = isn::initial_sequence_number(&self.key, tuple, now);
        let ts_offset = isn::timestamp_offset(&self.key, tuple);
        let mss = Mss::for_mtu(mtu, tuple.remote.is_ipv6());
        let cx = Cx { now, pool, config: &self.config };
        let tcb = Tcb::accept(index, segment, iss, ts_offset, mss, &cx);
        let Some(connection) = self.admit(*tuple, interface, tcb) else {
            return refuse(Refused::TableFull, None);
        };
        if let Some(l) = self.listeners.at_mut(index) {
            l.0.half_open += 1;
        }
        self.after(connection, now);
        Outcome::default()
    }

    fn half_open_ends(&mut self, listener: u32) {
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.half_open = l.0.half_open.saturating_sub(1);
        }
    }

    // ---- TIME-WAIT ----

    fn for_time_wait(
        &mut self,
        index: u32,
        interface: InterfaceId,
        mtu: u16,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(entry) = self.time_waits.at_mut(index) else { return Outcome::default() };
        let record = &mut entry.0;
        match record.on_segment(segment) {
            Verdict::Ignore => Outcome::default(),
            Verdict::Acknowledge => {
                let reply = Reply::Ack { seq: record.snd_nxt, ack: record.rcv_nxt };
                record.until = now + self.config.time_wait;
                let mut links = Waiting(&mut self.time_waits);
                self.time_wait_queue.remove(&mut links, index);
                self.time_wait_queue.push(&mut links, index);
                Outcome { reply: Some(reply), ..Outcome::default() }
            }
            Verdict::Reuse => {
                let tuple = record.tuple;
                self.stop_waiting(index);
                self.for_listener(&tuple, interface, mtu, segment, now, pool)
            }
        }
    }

    fn wait(&mut self, record: TimeWait, hash: u32) {
        if self.time_waits.is_full()
            && let Some(oldest) = self.time_wait_queue.front()
        {
            self.stop_waiting(oldest);
        }
        let Ok(key) = self.time_waits.insert(TimeWaitEntry(record)) else { return };
        if self.demux.insert(hash, key.index | TIME_WAIT) {
            self.time_wait_queue.push(&mut Waiting(&mut self.time_waits), key.index);
        } else {
            self.time_waits.remove(key.index);
        }
    }

    fn stop_waiting(&mut self, index: u32) {
        self.time_wait_queue.remove(&mut Waiting(&mut self.time_waits), index);
        if let Some(entry) = self.time_waits.remove(index) {
            self.demux.remove(self.key.hash(&entry.0.tuple), index | TIME_WAIT);
        }
    }

    // ---- time ----

    /// Runs one connection's timers that are due; `None` when no more are.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Option<(Tuple, InterfaceId, Outcome)> {
        while let Some(oldest) = self.time_wait_queue.front()
            && self.time_waits.at(oldest).is_some_and(|t| t.0.until <= now)
        {
            self.stop_waiting(oldest);
        }
        let index = self.wheel.expire(&mut Timers(&mut self.connections), now)?;
        let c = self.connections.at_mut(index)?;
        let was_passive = passive(&c.tcb);
        let cx = Cx { now, pool, config: &self.config };
        let (tuple, interface) = (c.tuple, c.interface);
        let effects = c.tcb.on_timer(&cx);
        let outcome = self.apply(index, was_passive, &effects, now, pool);
        Some((tuple, interface, outcome))
    }

    /// When `expire` wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let oldest = self.time_wait_queue.front().and_then(|i| self.time_waits.at(i));
        [self.wheel.next(), oldest.map(|t| t.0.until)].into_iter().flatten().min()
    }

    // ---- sending ----

    /// Does a connection of this interface want to send?
    pub(crate) fn has_ready(&self, interface: InterfaceId) -> bool {
        !self.ready[ready_list(interface)].is_empty()
    }

    /// The next connection with something to send, taken off the queue.
    pub(crate) fn next_ready(&mut self, interface: InterfaceId) -> Option<u32> {
        self.ready[ready_list(interface)].pop(&mut Ready(&mut self.connections))
    }

    /// Back to the end of the queue, if there is still something to send.
    pub(crate) fn requeue(&mut self, index: u32) {
        self.queue_if_ready(index);
    }

    /// The connection, taken off its queue, waits for a neighbour's address.
    pub(crate) fn block(&mut self, index: u32) {
        let Some(c) = self.connections.at_mut(index) else { return };
        c.blocked = true;
        self.blocked.push(&mut Ready(&mut self.connections), index);
    }

    /// Everybody who waits for a neighbour's address, to look again.
    pub(crate) fn take_blocked(&mut self) -> List {
        core::mem::take(&mut self.blocked)
    }

    /// One of those that were blocked.
    pub(crate) fn unblock(&mut self, blocked: &mut List) -> Option<u32> {
        let index = blocked.pop(&mut Ready(&mut self.connections))?;
        if let Some(c) = self.connections.at_mut(index) {
            c.blocked = false;
        }
        Some(index)
    }

    /// See [`Tcb::plan`].
    pub(crate) fn plan(&self, index: u32, most: u32, now: Instant, pool: &Pool<'_>) -> Option<Plan> {
        let outlook = Outlook { pool, timestamps: self.config.timestamps };
        self.connections.at(index)?.tcb.plan(most, now, &outlook)
    }

    /// See [`Tcb::on_sent`].
    pub(crate) fn on_sent(&mut self, index: u32, plan: &Plan, now: Instant, pool: &mut Pool<'_>) {
        let Some(c) = self.connections.at_mut(index) else { return };
        let cx = Cx { now, pool, config: &self.config };
        c.tcb.on_sent(plan, &cx);
        if let Some(at) = c.tcb.deadline() {
            self.wheel.arm(&mut Timers(&mut self.connections), index, at);
        }
    }

    /// Fails a connection from outside: unreachable, refused by ICMP, device gone.
    pub(crate) fn fail(&mut self, index: u32, error: Error, now: Instant, pool: &mut Pool<'_>) -> Outcome {
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

    // ---- the application's calls ----

    fn with<R>(
        &mut self,
        key: Key,
        now: Instant,
        pool: &mut Pool<'_>,
        call: impl FnOnce(&mut Connection, &mut Cx<'_, '_>) -> R,
    ) -> Result<R, Error> {
        let c = self.connections.get_mut(key).ok_or(Error::StaleHandle)?;
        let mut cx = Cx { now, pool, config: &self.config };
        let result = call(c, &mut cx);
        self.after(key.index, now);
        Ok(result)
    }

    pub(crate) fn read(
        &mut self,
        key: Key,
        to: &mut [u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<usize, Error> {
        let read = self.with(key, now, pool, |c, cx| c.tcb.read(to, cx))?;
        if read.is_ok() {
            self.feed_starved(pool);
        }
        read
    }

    pub(crate) fn peek(
        &mut self,
        key: Key,
        to: &mut [u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<usize, Error> {
        self.with(key, now, pool, |c, cx| {
            let bytes = c.tcb.peek(cx)?;
            let n = bytes.len().min(to.len());
            to[..n].copy_from_slice(&bytes[..n]);
            Ok(n)
        })?
    }

    pub(crate) fn write(
        &mut self,
        key: Key,
        data: &[u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<usize, Error> {
        self.with(key, now, pool, |c, cx| c.tcb.write(data, cx))?
    }

    pub(crate) fn is_ready(
        &mut self,
        key: Key,
        interest: Interest,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<bool, Error> {
        self.with(key, now, pool, |c, cx| match interest {
            Interest::Read => c.tcb.is_readable(),
            Interest::Write => c.tcb.is_writable(cx),
        })
    }

    /// Wakes `waker` when the connection can be read, or can be written.
    pub(crate) fn register(&mut self, key: Key, interest: Interest, waker: &Waker) {
        let Some(c) = self.connections.get_mut(key) else { return waker.wake_by_ref() };
        let place = match interest {
            Interest::Read => &mut c.reader,
            Interest::Write => &mut c.writer,
        };
        match place {
            Some(w) if w.will_wake(waker) => {}
            _ => *place = Some(waker.clone()),
        }
        if interest == Interest::Write {
            self.starved.push(&mut Starved(&mut self.connections), key.index);
        }
    }

    /// Writers that waited for memory look again when some was given back.
    pub(crate) fn feed_starved(&mut self, pool: &Pool<'_>) {
        if self.starved.is_empty() || pool.available() <= pool.capacity() / 4 {
            return;
        }
        while let Some(index) = self.starved.pop(&mut Starved(&mut self.connections)) {
            if let Some(c) = self.connections.at_mut(index) {
                wake(&mut c.writer);
            }
        }
    }

    pub(crate) fn shutdown_write(
        &mut self,
        key: Key,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<(), Error> {
        self.with(key, now, pool, |c, cx| c.tcb.shutdown_write(cx))
    }

    pub(crate) fn shutdown_read(&mut self, key: Key, now: Instant, pool: &mut Pool<'_>) -> Result<(), Error> {
        self.with(key, now, pool, |c, cx| {
            c.tcb.shutdown_read(cx);
            wake(&mut c.reader);
        })
    }

    pub(crate) fn set_nodelay(
        &mut self,
        key: Key,
        nodelay: bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<(), Error> {
        self.with(key, now, pool, |c, _| c.tcb.set_nodelay(nodelay))
    }

    /// The application lets go: the stack carries the connection to its end. A reset goes out
    /// if unread data is lost.
    pub(crate) fn let_go(
        &mut self,
        key: Key,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Option<(Connection, Reset)> {
        let c = self.connections.get_mut(key)?;
        let mut cx = Cx { now, pool, config: &self.config };
        match (c.tcb.let_go(&mut cx), &c.tcb.phase) {
            (Some(reset), _) => self.take_out(key, pool).map(|c| (c, reset)),
            // Nothing was ever received from the peer: the record goes at once (H003).
            (None, Phase::SynSent(_) | Phase::Over(_)) => {
                self.take_out(key, pool);
                None
            }
            (None, _) => {
                self.after(key.index, now);
                None
            }
        }
    }

    /// ABORT (RFC 9293 §3.10.5): the connection ends at once, and the peer is told.
    pub(crate) fn abort(&mut self, key: Key, pool: &mut Pool<'_>) -> Option<(Connection, Reset)> {
        let reset = self.connections.get(key)?.tcb.reset();
        let c = self.take_out(key, pool)?;
        reset.map(|reset| (c, reset))
    }

    fn take_out(&mut self, key: Key, pool: &mut Pool<'_>) -> Option<Connection> {
        let passive_on = passive(&self.connections.get(key)?.tcb);
        self.forget(key.index);
        if let Some(listener) = passive_on {
            self.half_open_ends(listener);
        }
        let mut c = self.connections.remove(key.index)?;
        c.tcb.clear(pool);
        wake(&mut c.reader);
        wake(&mut c.writer);
        self.feed_starved(pool);
        Some(c)
    }

    // ---- listeners ----

    fn queue_for_accept(&mut self, listener: u32, index: u32) {
        let Some(l) = self.listeners.at_mut(listener) else { return };
        let last = core::mem::replace(&mut l.0.last, index);
        l.0.waiting += 1;
        if last == NONE {
            l.0.first = index;
        } else if let Some(c) = self.connections.at_mut(last) {
            c.next_waiting = index;
        }
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.wake();
        }
    }

    /// The connection that has waited longest.
    pub(crate) fn accept(&mut self, listener: Key) -> Result<Key, Error> {
        let l = &mut self.listeners.get_mut(listener).ok_or(Error::StaleHandle)?.0;
        let index = l.first;
        let c = self.connections.at_mut(index).ok_or(Error::WouldBlock)?;
        l.first = core::mem::replace(&mut c.next_waiting, NONE);
        l.waiting -= 1;
        if l.first == NONE {
            l.last = NONE;
        }
        self.connections.key(index).ok_or(Error::WouldBlock)
    }

    pub(crate) fn register_acceptor(&mut self, listener: Key, waker: &Waker) {
        match self.listeners.get_mut(listener) {
            Some(l) => l.0.register(waker),
            None => waker.wake_by_ref(),
        }
    }

    /// Stops listening. Its connections are the caller's to abort first.
    pub(crate) fn unlisten(&mut self, listener: Key) {
        if self.listeners.get(listener).is_some()
            && let Some(mut l) = self.listeners.remove(listener.index)
        {
            l.0.wake();
        }
    }

    /// A half-open connection on this listener. Looks at every connection: closing a listener is
    /// no part of the data path.
    pub(crate) fn half_open_on(&self, listener: Key) -> Option<Key> {
        let mut all = self.connections.iter();
        let (index, _) = all.find(|(_, c)| passive(&c.tcb) == Some(listener.index))?;
        self.connections.key(index)
    }

    /// A live connection through `interface`.
    pub(crate) fn first_on(&self, interface: InterfaceId) -> Option<(u32, Tuple)> {
        let mut all = self.connections.iter();
        all.find(|(_, c)| c.known && c.interface == interface).map(|(i, c)| (i, c.tuple))
    }

    pub(crate) fn wake_acceptors(&mut self) {
        self.listeners.iter_mut().for_each(|l| l.0.wake());
    }

    /// Wakes whoever waits for anything.
    pub(crate) fn wake_all(&mut self) {
        self.wake_acceptors();
        for c in self.connections.iter_mut() {
            wake(&mut c.reader);
            wake(&mut c.writer);
        }
    }

    /// Our own invariants, for tests and the simulation.
    pub(crate) fn check(&self) {
        self.connections.iter().for_each(|(_, c)| c.tcb.check());
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

fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}
