//! Listeners among the connections: SYNs in, connections out to `accept`.

use super::isn::{self, TupleHash};
use super::listener::Listener;
use super::syn_cookies::{self, SynCookies};
use super::{
    HalfOpen, Handshaking, LISTENER, ListenerEntry, Opened, Outcome, Profile, Refused, Tcp, passive,
};
use crate::base::list::NONE;
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::tcp::connection::handshake::{Mss, Origin};
use crate::tcp::connection::tcb::has_memory;
use crate::tcp::connection::tcb::{Opening, Phase};
use crate::tcp::options::TcpOptions;
use crate::tcp::segment::{Flags, Reset, Segment};
use crate::tcp::segment::{Reply, Tuple};
use crate::time::Instant;
use core::net::IpAddr;
use core::task::Waker;

/// A SYN-ACK that was repeated twice in vain went to nobody, most likely: its place is for the next
/// client. Else a trickle of SYNs from nowhere would keep every client out, or from having all options.
const SILENT: u8 = 2;

/// Half-open connections that have answered, and are passed over to find one that did not.
const ANSWERED: usize = 4;

/// A segment for a listener.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'s> {
    pub(super) listener: u32,
    pub(super) tuple: &'s Tuple,
    pub(super) hash: TupleHash,
    pub(super) interface: InterfaceId,
    pub(super) mss: Mss,
    pub(super) segment: &'s Segment<'s>,
}

impl Arrival<'_> {
    /// It comes to nothing, and its sender learns of it.
    pub(super) fn refuse(&self, why: Refused) -> Outcome {
        refuse(why, Reset::answer_to(self.segment))
    }

    /// It comes to nothing now. Payload is sent again, and so brings its cookie back; after a bare
    /// acknowledgment the client may wait for us, and only a reset tells it that we do not (H010).
    pub(super) fn put_off(&self, why: Refused) -> Outcome {
        if self.segment.len() > 0 { self.drop(why) } else { self.refuse(why) }
    }

    /// It comes to nothing: as good as lost.
    pub(super) fn drop(&self, why: Refused) -> Outcome {
        refuse(why, None)
    }
}

/// Where the listeners of a port are looked for. No secret: which ports are listened on is no peer's choice, and all
/// listeners of one lie together under any hash.
fn port_hash(port: u16) -> u32 {
    // Fibonacci hashing: the upper bits depend on all others.
    u32::from(port).wrapping_mul(0x9e37_79b9).rotate_left(16)
}

fn refuse(why: Refused, reset: Option<Reset>) -> Outcome {
    Outcome { reply: reset.map(Reply::Reset), dropped: Some(why), ..Outcome::default() }
}

impl Tcp<'_> {
    /// The listener for a connection. There is one at most, unless they share the port.
    fn listener_for(&self, tuple: &Tuple) -> Option<u32> {
        let first = self.listener_on(tuple.local_port, |l| l.takes(tuple.local))?;
        match self.listeners.at(first).is_some_and(|l| l.0.is_shared) {
            true => self.listener_by_hash(tuple),
            false => Some(first),
        }
    }

    /// Of the listeners that share a port the one that this connection is for: the same one each time, as long as
    /// there are the same ones.
    fn listener_by_hash(&self, tuple: &Tuple) -> Option<u32> {
        let count = core::cell::Cell::new(0);
        self.listener_on(tuple.local_port, |l| {
            count.set(count.get() + u32::from(l.takes(tuple.local)));
            false
        });
        let ahead = core::cell::Cell::new(self.key.hash(tuple).checked_rem(count.get())?);
        self.listener_on(tuple.local_port, |l| {
            l.takes(tuple.local) && ahead.replace(ahead.get().wrapping_sub(1)) == 0
        })
    }

    /// A listener on `port`. All of a port lie under one hash.
    fn listener_on(&self, port: u16, is_it: impl Fn(&Listener) -> bool) -> Option<u32> {
        let listener = |id: u32| (id & LISTENER != 0).then(|| self.listeners.at(id & !LISTENER)).flatten();
        let found = self
            .demux
            .find(port_hash(port), |id| listener(id).is_some_and(|l| l.0.port == port && is_it(&l.0)))?;
        Some(found & !LISTENER)
    }

    /// Would a SYN for this tuple open a connection?
    pub(in crate::tcp) fn would_accept(&self, tuple: &Tuple, pool: &Pool<'_>) -> bool {
        let Some(listener) = self.listener_for(tuple) else { return false };
        let room =
            self.has_syn_room(listener) || syn_cookies::setting(&self.settings.config) != SynCookies::Off;
        let is_full = self.connections.room(Opened::ByPeer) == 0;
        room && self.refuses_syns(listener, pool).is_none() && !is_full
    }

    /// OPEN, passive (RFC 9293 §3.10.1). No two listeners take the same connection; with `is_shared`, those that say so
    /// share what comes to one address and port (`SO_REUSEPORT`).
    //= rfc9293#3.9.1.1 MUST-41
    pub(crate) fn listen(
        &mut self,
        address: IpAddr,
        port: u16,
        backlog: u16,
        is_shared: bool,
    ) -> Result<(Key, u16), Error> {
        let port = if port == 0 { self.free_listen_port()? } else { port };
        let new = Listener { is_shared, ..Listener::new(address, port, backlog) };
        if self.listener_on(port, |l| l.conflicts(&new)).is_some() {
            return Err(Error::AddrInUse);
        }
        let key = self.listeners.insert(ListenerEntry(new)).map_err(|_| Error::TooManySockets)?;
        if !self.demux.insert(port_hash(port), key.index | LISTENER) {
            self.listeners.remove(key.index);
            return Err(Error::TooManySockets);
        }
        Ok((key, port))
    }

    fn free_listen_port(&mut self) -> Result<u16, Error> {
        self.find_port(|tcp, port| !tcp.is_listened(port))
    }

    /// Does a listener have this port?
    pub(in crate::tcp) fn is_listened(&self, port: u16) -> bool {
        self.listener_on(port, |_| true).is_some()
    }

    /// Would this segment complete a connection that has no place to wait for `accept`?
    pub(in crate::tcp) fn must_wait(&mut self, index: u32, segment: &Segment<'_>) -> bool {
        let Some(c) = self.connections.at_mut(index) else { return false };
        let listener = passive(&c.tcb).and_then(|l| self.listeners.at(l));
        let waits = listener.is_some_and(|l| !l.0.has_room())
            && segment.flags.has(Flags::ACK)
            && !segment.flags.has(Flags::RST);
        if let Phase::SynReceived(h) = &mut c.tcb.phase
            && waits
            && segment.ack == h.iss + 1
        {
            h.answered = true;
            self.mark_late(index);
        }
        waits
    }

    /// The client of this half-open connection is there, and waits.
    fn mark_late(&mut self, index: u32) {
        let Some(c) = self.connections.at_mut(index) else { return };
        let (listener, was_late) = (passive(&c.tcb), core::mem::replace(&mut c.is_late, true));
        if let Some(l) = listener.filter(|_| !was_late).and_then(|l| self.listeners.at_mut(l)) {
            let links = &mut HalfOpen(&mut self.connections);
            l.0.syns.remove(links, index);
            l.0.late.push(links, index);
            l.0.late_len += 1;
        }
    }

    /// There is room in the accept queue: the SYN-ACK goes again to a client that is late, and what
    /// answers it counts. The next time to another one.
    fn call_late(&mut self, listener: u32) {
        let Some(l) = self.listeners.at_mut(listener) else { return };
        let links = &mut HalfOpen(&mut self.connections);
        let Some(index) = l.0.late.pop(links) else { return };
        l.0.late.push(links, index);
        if let Some(c) = self.connections.at_mut(index)
            && let Phase::SynReceived(h) = &mut c.tcb.phase
        {
            h.send = true;
            self.after(index);
        }
    }

    /// One of those that are late, if there are any.
    pub(crate) fn late(&self, listener: Key) -> Option<Key> {
        self.connections.key(self.listeners.get(listener)?.0.late.front()?)
    }

    /// Would this segment complete a connection whose listener waits for data first? The SYN-ACK is
    /// repeated when that has taken long enough, and what answers it then counts.
    pub(in crate::tcp) fn defers(&mut self, index: u32, segment: &Segment<'_>, now: Instant) -> bool {
        let Some(c) = self.connections.at_mut(index) else { return false };
        let profile = c.profile;
        let Phase::SynReceived(h) = &mut c.tcb.phase else { return false };
        let Some(wait) = self.settings.options(profile).defer_accept else { return false };
        let until = h.first_sent + wait;
        let is_bare = segment.flags.without(Flags::PSH) == Flags::ACK && segment.payload.is_empty();
        let defers =
            is_bare && segment.ack == h.iss + 1 && now < until && matches!(h.origin, Origin::Passive(_));
        if defers {
            h.answered = true;
            h.retransmit_at = Some(until);
            self.after(index);
        }
        defers
    }

    //= rfc9293#3.10.7.2, LISTEN
    pub(in crate::tcp) fn for_listener(
        &mut self,
        (tuple, hash): (&Tuple, TupleHash),
        interface: InterfaceId,
        mtu: u16,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(listener) = self.listener_for(tuple) else {
            return refuse(Refused::NoConnection, Reset::answer_to(segment));
        };
        let mss = Mss::for_mtu(mtu, tuple.remote.is_ipv6());
        let arrival = Arrival { listener, tuple, hash, interface, mss, segment };
        let flags = segment.flags;
        // First, RST; second, ACK; third, SYN.
        if flags.has(Flags::RST) {
            arrival.drop(Refused::NoConnection)
        } else if flags.has(Flags::ACK) {
            self.take_cookie(&arrival, now, pool)
        } else if flags.has(Flags::SYN) {
            self.on_syn(&arrival, now, pool)
        } else {
            arrival.drop(Refused::NoConnection)
        }
    }

    /// The client tries again where there is no room (H010, H011).
    fn on_syn(&mut self, arrival: &Arrival<'_>, now: Instant, pool: &mut Pool<'_>) -> Outcome {
        let cookies = syn_cookies::setting(&self.settings.config);
        if let Some(why) = self.refuses_syns(arrival.listener, pool) {
            arrival.drop(why)
        } else if !self.takes_syns(arrival.listener, now) {
            arrival.drop(Refused::SynQueueFull)
        } else if cookies == SynCookies::Always {
            self.send_cookie(arrival, now, pool)
        } else if self.has_syn_room(arrival.listener) {
            self.open_half(arrival, now, pool)
        } else if self.give_up_oldest(arrival.listener, SILENT, pool) {
            let outcome = self.open_half(arrival, now, pool);
            Outcome { handshaking: Some(Handshaking::Evicted), ..outcome }
        } else if cookies == SynCookies::Auto {
            self.send_cookie(arrival, now, pool)
        } else {
            arrival.drop(Refused::SynQueueFull)
        }
    }

    /// Why this listener takes no SYN at present.
    fn refuses_syns(&self, listener: u32, pool: &Pool<'_>) -> Option<Refused> {
        if !self.listeners.at(listener).is_some_and(|l| l.0.has_room_for_new()) {
            Some(Refused::AcceptQueueFull)
        } else if self.is_at_accept_limit() || !has_memory(pool) {
            Some(Refused::AcceptLimit)
        } else {
            None
        }
    }

    /// Have peers opened as many connections as they may?
    pub(super) fn is_at_accept_limit(&self) -> bool {
        self.connections.passive_len() >= self.settings.config.accept_limit as usize
    }

    /// Would there be room for this SYN's client beside those that have a cookie?
    fn takes_syns(&mut self, listener: u32, now: Instant) -> bool {
        let free = match self.orphans.is_empty() {
            true => self.connections.room(Opened::ByPeer),
            false => usize::MAX,
        };
        let half_open_room = self.half_open_room();
        self.listeners.at_mut(listener).is_some_and(|l| l.0.takes_syns(half_open_room, free, now))
    }

    /// How many more half-open connections may be kept, of all listeners together.
    pub(super) fn half_open_room(&self) -> usize {
        let least = usize::from(syn_cookies::setting(&self.settings.config) == SynCookies::Off);
        self.connections.half_open_limit().max(least).saturating_sub(self.half_open)
    }

    /// May another half-open connection be kept for a client that may be a forgery?
    fn has_syn_room(&self, listener: u32) -> bool {
        self.listeners.at(listener).is_some_and(|l| l.0.has_syn_room()) && self.half_open_room() > 0
    }

    fn open_half(&mut self, arrival: &Arrival<'_>, now: Instant, pool: &mut Pool<'_>) -> Outcome {
        let Arrival { listener, tuple, hash, mss, segment, .. } = *arrival;
        let iss = isn::initial_sequence_number(&self.secret, tuple, now);
        let grant = self.grant(listener, tuple, segment, now);
        let early = self.accepts_fast_open(listener, &grant, segment, now);
        let cx = self.settings.cx(self.profile_of(listener), now, pool);
        let mut opening = Opening::accept(listener, segment, iss, hash.ts_offset, mss, &cx);
        opening.handshake.fast_open = grant.cookie();
        if let Some(key) = early {
            return self.open_fast(arrival, key, opening, now, pool);
        }
        match self.admit_half(arrival, opening, now) {
            Some(index) => self.after(index),
            None => return arrival.drop(Refused::TableFull),
        }
        Outcome::default()
    }

    /// The options that its connections inherit.
    pub(super) fn profile_of(&self, listener: u32) -> Profile {
        self.listeners.at(listener).map_or(Profile::STACK, |l| l.0.profile)
    }

    pub(super) fn admit_half(
        &mut self,
        arrival: &Arrival<'_>,
        opening: Opening,
        now: Instant,
    ) -> Option<u32> {
        let profile = self.profile_of(arrival.listener);
        let index = self.admit(
            (*arrival.tuple, arrival.hash.place),
            arrival.interface,
            Opened::ByPeer,
            profile,
            opening,
            now,
        )?;
        let l = self.listeners.at_mut(arrival.listener)?;
        l.0.half_open += 1;
        l.0.syns.push(&mut HalfOpen(&mut self.connections), index);
        self.half_open += 1;
        Some(index)
    }

    pub(in crate::tcp) fn half_open_ends(&mut self, listener: u32, index: u32) {
        self.half_open -= 1;
        let late = self.connections.at_mut(index).is_some_and(|c| core::mem::take(&mut c.is_late));
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.half_open -= 1;
            l.0.late_len -= u32::from(late);
            let list = if late { &mut l.0.late } else { &mut l.0.syns };
            list.remove(&mut HalfOpen(&mut self.connections), index);
        }
    }

    /// H058: the oldest half-open connection gives way if its client never answered, and its SYN-ACK
    /// was sent more than `transmissions` times.
    pub(super) fn give_up_oldest(&mut self, listener: u32, transmissions: u8, pool: &mut Pool<'_>) -> bool {
        // One that has answered, and waits for payload, is not in the way of others.
        for _ in 0..ANSWERED {
            let Some(l) = self.listeners.at_mut(listener) else { return false };
            let Some(front) = l.0.syns.front() else { return false };
            let answered = self
                .connections
                .at(front)
                .is_some_and(|c| matches!(&c.tcb.phase, Phase::SynReceived(h) if h.answered));
            if !answered {
                break;
            }
            let links = &mut HalfOpen(&mut self.connections);
            l.0.syns.remove(links, front);
            l.0.syns.push(links, front);
        }
        let Some(oldest) = self.listeners.at(listener).and_then(|l| l.0.syns.front()) else { return false };
        let silent = self.connections.at(oldest).is_some_and(|c| {
            matches!(&c.tcb.phase, Phase::SynReceived(h) if !h.answered && h.transmissions > transmissions)
        });
        let key = self.connections.key(oldest).filter(|_| silent);
        key.is_some_and(|key| self.take_out(key, pool))
    }

    pub(in crate::tcp) fn queue_for_accept(&mut self, listener: u32, index: u32) {
        let Some(l) = self.listeners.at_mut(listener) else { return };
        let last = core::mem::replace(&mut l.0.last, index);
        l.0.waiting += 1;
        if last == NONE {
            l.0.first = index;
        } else if let Some(next) = self.connections.next_waiting(last) {
            *next = index;
        }
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.acceptors.wake(&mut self.woken);
        }
    }

    /// The connection that has waited longest.
    pub(crate) fn accept(&mut self, listener: Key) -> Result<Key, Error> {
        let l = &mut self.listeners.get_mut(listener).ok_or(Error::StaleHandle)?.0;
        let index = l.first;
        let next = self.connections.next_waiting(index).ok_or(Error::WouldBlock)?;
        l.first = core::mem::replace(next, NONE);
        l.waiting -= 1;
        if l.first == NONE {
            l.last = NONE;
        }
        self.call_late(listener.index);
        self.connections.key(index).ok_or(Error::WouldBlock)
    }

    /// Does a connection wait for `accept`?
    pub(crate) fn is_acceptable(&self, listener: Key) -> Result<bool, Error> {
        self.listeners.get(listener).map(|l| l.0.waiting > 0).ok_or(Error::StaleHandle)
    }

    /// The address that it listens on.
    pub(crate) fn listener_address(&self, listener: Key) -> Result<IpAddr, Error> {
        self.listeners.get(listener).map(|l| l.0.address).ok_or(Error::StaleHandle)
    }

    pub(crate) fn register_acceptor(&mut self, listener: Key, waker: &Waker) {
        match self.listeners.get_mut(listener) {
            Some(l) => l.0.acceptors.register(waker, &mut self.woken),
            None => self.woken.push(waker.clone()),
        }
    }

    /// Stops listening. Its connections are the caller's to abort first.
    pub(crate) fn unlisten(&mut self, listener: Key) {
        if self.listeners.get(listener).is_some()
            && let Some(mut l) = self.listeners.remove(listener.index)
        {
            self.demux.remove(port_hash(l.0.port), listener.index | LISTENER);
            self.settings.release(l.0.profile);
            l.0.acceptors.wake(&mut self.woken);
        }
    }

    /// The options that a listener's connections inherit.
    pub(crate) fn listener_options(&self, listener: Key) -> Result<&TcpOptions, Error> {
        let l = &self.listeners.get(listener).ok_or(Error::StaleHandle)?.0;
        Ok(self.settings.options(l.profile))
    }

    /// Other options for connections that come from now on.
    pub(crate) fn set_listener_options(&mut self, listener: Key, options: TcpOptions) -> Result<(), Error> {
        let l = &mut self.listeners.get_mut(listener).ok_or(Error::StaleHandle)?.0;
        l.profile = self.settings.change(l.profile, options)?;
        Ok(())
    }

    /// Places of the table that may hold a connection.
    pub(crate) fn places(&self) -> u32 {
        self.connections.places()
    }

    /// Forgets the half-open connections of this listener. A client that is there goes on with the
    /// handshake and meets a reset then; one that never was gets none, so that closing a listener
    /// under a flood answers no forged address once more.
    pub(crate) fn forget_half_open(&mut self, listener: Key, pool: &mut Pool<'_>) {
        let oldest = |tcp: &Self| tcp.connections.key(tcp.listeners.get(listener)?.0.syns.front()?);
        while let Some(key) = oldest(self) {
            self.take_out(key, pool);
        }
    }

    /// The connection at this place, if it is a live one through `interface`.
    #[inline(never)]
    pub(crate) fn live_on(&self, interface: InterfaceId, index: u32) -> Option<Tuple> {
        let c = self.connections.look(index)?;
        (c.known && c.interface == interface).then_some(c.tuple)
    }

    /// The connection at a place, if it lives and is from this address.
    #[inline(never)]
    pub(crate) fn live_from(&self, address: IpAddr, index: u32) -> Option<(Tuple, InterfaceId)> {
        let c = self.connections.look(index)?;
        (c.known && c.tuple.local == address).then_some((c.tuple, c.interface))
    }

    pub(crate) fn wake_acceptors(&mut self) {
        self.listeners.for_each_mut(|l| l.0.acceptors.wake(&mut self.woken));
    }

    /// Wakes whoever waits for anything.
    pub(crate) fn wake_all(&mut self) {
        self.wake_acceptors();
        self.connections.wake_all(&mut self.woken);
    }
}
