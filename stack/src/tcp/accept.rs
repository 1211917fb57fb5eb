//! Listeners among the connections: SYNs in, connections out to `accept`.

use super::isn;
use super::listener::Listener;
use super::segment::{Flags, Reset, Segment};
use super::tcb::{Cx, Mss, Phase, Tcb};
use super::{
    Connection, EPHEMERAL_TRIES, HalfOpen, ListenerEntry, Outcome, Refused, Reply, Tcp, Tuple, passive, wake,
};
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::list::NONE;
use crate::pool::Pool;
use crate::slab::Key;
use crate::time::Instant;
use core::net::IpAddr;
use core::task::Waker;

impl Tcp<'_> {
    /// The listener for a destination. There is one at most.
    fn listener_for(&self, address: IpAddr, port: u16) -> Option<u32> {
        let mut all = self.listeners.iter();
        all.find(|(_, l)| l.0.port == port && l.0.takes(address)).map(|(i, _)| i)
    }

    /// Would a SYN for this tuple open a connection?
    pub(super) fn would_accept(&self, tuple: &Tuple) -> bool {
        let listener = self.listener_for(tuple.local, tuple.local_port).and_then(|l| self.listeners.at(l));
        listener.is_some_and(|l| l.0.has_syn_room() && l.0.has_room()) && !self.connections.is_full()
    }

    /// OPEN, passive (RFC 9293 §3.10.1). No two listeners take the same connection.
    pub(crate) fn listen(&mut self, address: IpAddr, port: u16, backlog: u16) -> Result<(Key, u16), Error> {
        let port = if port == 0 { self.free_listen_port()? } else { port };
        let new = Listener::new(address, port, backlog);
        let overlaps = |l: &Listener| l.port == port && (l.takes(address) || new.takes(l.address));
        if self.listeners.iter().any(|(_, l)| overlaps(&l.0)) {
            return Err(Error::AddrInUse);
        }
        self.listeners.insert(ListenerEntry(new)).map(|key| (key, port)).map_err(|_| Error::TooManySockets)
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

    /// Would this segment complete a connection that has no place to wait for `accept`?
    pub(super) fn must_wait(&self, index: u32, segment: &Segment<'_>) -> bool {
        let passive_on = self.connections.at(index).and_then(|c| passive(&c.tcb));
        let listener = passive_on.and_then(|l| self.listeners.at(l));
        listener.is_some_and(|l| !l.0.has_room())
            && segment.flags.has(Flags::ACK)
            && !segment.flags.has(Flags::RST)
    }

    //= rfc9293#3.10.7.2, LISTEN
    pub(super) fn for_listener(
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
        let listener = self.listeners.at(index);
        let (syn_room, room) = listener.map_or((false, false), |l| (l.0.has_syn_room(), l.0.has_room()));
        if !room || !(syn_room || self.give_up_silent(index, pool)) {
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
            l.0.syns.push(&mut HalfOpen(&mut self.connections), connection);
        }
        self.after(connection);
        Outcome::default()
    }

    pub(super) fn half_open_ends(&mut self, listener: u32, index: u32) {
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.half_open = l.0.half_open.saturating_sub(1);
            l.0.syns.remove(&mut HalfOpen(&mut self.connections), index);
        }
    }

    /// H058: the oldest half-open connection gives way if its SYN-ACK was repeated twice in vain: else
    /// a trickle of SYNs from nowhere would keep every client out.
    fn give_up_silent(&mut self, listener: u32, pool: &mut Pool<'_>) -> bool {
        let Some(oldest) = self.listeners.at(listener).and_then(|l| l.0.syns.front()) else { return false };
        let is_silent =
            |c: &&Connection| matches!(&c.tcb.phase, Phase::SynReceived(h) if h.transmissions > 2);
        let silent = self.connections.at(oldest).filter(is_silent).and_then(|_| self.connections.key(oldest));
        silent.and_then(|key| self.take_out(key, pool)).is_some()
    }

    pub(super) fn queue_for_accept(&mut self, listener: u32, index: u32) {
        let Some(l) = self.listeners.at_mut(listener) else { return };
        let last = core::mem::replace(&mut l.0.last, index);
        l.0.waiting += 1;
        if last == NONE {
            l.0.first = index;
        } else if let Some(c) = self.connections.at_mut(last) {
            c.next_waiting = index;
        }
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.acceptors.wake();
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
            Some(l) => l.0.acceptors.register(waker),
            None => waker.wake_by_ref(),
        }
    }

    /// Stops listening. Its connections are the caller's to abort first.
    pub(crate) fn unlisten(&mut self, listener: Key) {
        if self.listeners.get(listener).is_some()
            && let Some(mut l) = self.listeners.remove(listener.index)
        {
            l.0.acceptors.wake();
        }
    }

    /// Places of the table that may hold a connection.
    pub(crate) fn places(&self) -> u32 {
        self.connections.places()
    }

    /// The connection at this place, if it is a half-open one of this listener.
    pub(crate) fn half_open_on(&self, listener: Key, index: u32) -> Option<Key> {
        let half_open = passive(&self.connections.at(index)?.tcb) == Some(listener.index);
        self.connections.key(index).filter(|_| half_open)
    }

    /// The connection at this place, if it is a live one through `interface`.
    pub(crate) fn live_on(&self, interface: InterfaceId, index: u32) -> Option<Tuple> {
        let c = self.connections.at(index)?;
        (c.known && c.interface == interface).then_some(c.tuple)
    }

    pub(crate) fn wake_acceptors(&mut self) {
        self.listeners.iter_mut().for_each(|l| l.0.acceptors.wake());
    }

    /// Wakes whoever waits for anything.
    pub(crate) fn wake_all(&mut self) {
        self.wake_acceptors();
        for c in self.connections.iter_mut() {
            wake(&mut c.reader);
            wake(&mut c.writer);
        }
    }
}
