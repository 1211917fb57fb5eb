//! OPEN: ports, and the places of a new connection in the tables.

use super::isn::{self, TupleHash};
use super::{Connection, EPHEMERAL, EPHEMERAL_FIRST, EPHEMERAL_TRIES, Opened, Profile, Tcp};
use crate::base::list::{Link, NONE};
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::base::wheel::Node;
use crate::counters::TcpCount;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::tcp::connection::handshake::Mss;
use crate::tcp::connection::tcb::Opening;
use crate::tcp::options::TcpOptions;
use crate::tcp::segment::Tuple;
use crate::time::Instant;

impl Tcp<'_> {
    /// Each port once in a round of all of them, in an order that nobody foresees and that differs from
    /// round to round: so one comes again as late as it can (RFC 6056 §3.2).
    fn next_port(&mut self) -> u16 {
        let (round, mut n) = (self.ports / EPHEMERAL, (self.ports % EPHEMERAL) as u16);
        self.ports = self.ports.wrapping_add(1);
        // A Feistel network permutes all numbers of 16 bits. Following one that lies beyond the ports until
        // it comes to one of them permutes these.
        loop {
            for step in 0..4u8 {
                let (left, right) = (n >> 8, n & 0xff);
                n = right << 8 | left ^ (self.secret.hash(&(round, step, right, 2u8)) & 0xff) as u16;
            }
            if u64::from(n) < EPHEMERAL {
                return EPHEMERAL_FIRST + n;
            }
        }
    }

    /// A port that `is_free`. [`Error::AddrInUse`]: none is.
    //= rfc6056#3.3
    pub(in crate::tcp) fn find_port(
        &mut self,
        mut is_free: impl FnMut(&mut Self, u16) -> bool,
    ) -> Result<u16, Error> {
        let mut port = EPHEMERAL_FIRST;
        for _ in 0..EPHEMERAL_TRIES {
            port = self.next_port();
            if is_free(self, port) {
                return Ok(port);
            }
        }
        // Few are left: all of them, one after the other.
        for _ in 0..EPHEMERAL {
            port = port.checked_add(1).unwrap_or(EPHEMERAL_FIRST);
            if is_free(self, port) {
                return Ok(port);
            }
        }
        Err(Error::AddrInUse)
    }

    /// OPEN, active. `tuple.local_port` 0: one that is free for this peer. Without options, with the
    /// stack's.
    pub(crate) fn connect(
        &mut self,
        mut tuple: Tuple,
        interface: InterfaceId,
        mtu: u16,
        options: Option<&TcpOptions>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<Key, Error> {
        if self.connections.room(Opened::ByUs) == 0 {
            return Err(Error::TooManySockets);
        }
        if tuple.local_port == 0 {
            tuple.local_port = self.free_port(tuple)?;
        } else if self.find(&tuple).is_ok() {
            return Err(Error::AddrInUse);
        }
        let hash = TupleHash::of(&self.key, &tuple);
        let iss = isn::initial_sequence_number(&self.secret, &tuple, now);
        let mss = Mss::for_mtu(mtu, tuple.remote.is_ipv6());
        let profile = match options {
            Some(options) => self.settings.find(*options)?,
            None => Profile::STACK,
        };
        let cx = self.settings.cx(profile, now, pool);
        let mut opening = Opening::connect(iss, hash.ts_offset, mss, &cx);
        self.prepare_fast_open(profile, &tuple, &mut opening.handshake, now);
        let index = self.admit((tuple, hash.place), interface, Opened::ByUs, profile, opening, now);
        // A connection has its own share of the options now.
        self.settings.release(profile);
        let index = index.ok_or(Error::TooManySockets)?;
        self.settings.counts.add(TcpCount::ActiveOpens, 1);
        self.after(index);
        self.connections.key(index).ok_or(Error::TooManySockets)
    }

    fn free_port(&mut self, mut tuple: Tuple) -> Result<u16, Error> {
        self.find_port(|tcp, port| {
            tuple.local_port = port;
            !tcp.is_listened(port) && tcp.find(&tuple).is_err()
        })
    }

    /// Gives a new connection its places in the tables.
    #[inline(never)] // what is large is on its stack alone
    pub(in crate::tcp) fn admit(
        &mut self,
        (tuple, hash): (Tuple, u32),
        interface: InterfaceId,
        opened: Opened,
        profile: Profile,
        opening: Opening,
        now: Instant,
    ) -> Option<u32> {
        let connection = Connection {
            tuple,
            interface,
            tcb: opening.into(),
            profile,
            index: NONE,
            is_referenced: true,
            known: true,
            hash,
            timer: Node::default(),
            ready: Link::default(),
            blocked: false,
            starved: Link::default(),
            narrow: Link::default(),
            stalled: Link::default(),
            orphaned: Link::default(),
            half_open: Link::default(),
            is_late: false,
            next_waiting: NONE,
            reader: None,
            writer: None,
            others: crate::base::wakers::Others::new(),
        };
        let index = self.connections.insert(connection, opened, now)?;
        if !self.demux.insert(hash, index) {
            self.connections.remove(index, |_| {});
            return None;
        }
        self.settings.share(profile);
        Some(index)
    }
}
