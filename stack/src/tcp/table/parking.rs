//! A connection that idles, as the table keeps it: packed, with what the tables need beside.

use core::ops::{Deref, DerefMut};
use core::task::Waker;

use super::{Connection, Profile};
use crate::base::list::Link;
use crate::base::slab::Key;
use crate::base::wakers::Others;
use crate::base::wheel::Node;
use crate::ip::InterfaceId;
use crate::tcp::codec::{Packer, Parked, Unpacker};
use crate::tcp::connection::tcb::Tcb;
use crate::tcp::segment::Tuple;
use crate::time::Instant;

/// A connection that idles: everything of it that the tables need, and its state in little.
#[derive(Debug)]
pub(super) struct Idle {
    reader: Option<Waker>,
    hash: u32,
    timer: Node,
    orphaned: Link,
    next_waiting: u32,
    /// The addresses, then everything else.
    state: Parked,
}

/// A copy of a connection that idles, to look at.
pub(in crate::tcp) struct Copied(Connection);

impl Deref for Copied {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Copied {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl InterfaceId {
    fn park(self, to: &mut Packer) {
        let InterfaceId(key) = self;
        key.numbers().into_iter().for_each(|n| to.number(n));
    }

    fn unpark(from: &mut Unpacker<'_>) -> Self {
        InterfaceId(Key::of_numbers(core::array::from_fn(|_| from.number() as u32)))
    }
}

impl Idle {
    /// What is left of a connection at rest. It stays as it is, but for its waker.
    pub(super) fn of(c: &mut Connection, now: Instant) -> Option<Idle> {
        let Connection {
            tuple,
            interface,
            tcb,
            profile,
            index: _,
            is_referenced: _,
            known,
            hash,
            timer,
            ready,
            blocked,
            starved,
            narrow,
            stalled,
            orphaned,
            half_open,
            is_late: _,
            next_waiting,
            reader,
            writer,
            others,
        } = c;
        let is_queued =
            [ready, starved, narrow, stalled, half_open].iter().any(|link| link.is_queued()) || *blocked;
        if !*known || is_queued || writer.is_some() || !others.is_empty() {
            return None;
        }
        let mut to = Packer::new(now);
        tuple.park(&mut to);
        tcb.park(&mut to)?;
        interface.park(&mut to);
        profile.park(&mut to);
        Some(Idle {
            state: to.finish()?,
            reader: reader.take(),
            hash: *hash,
            timer: *timer,
            orphaned: *orphaned,
            next_waiting: *next_waiting,
        })
    }

    pub(super) fn unpark(self, index: u32) -> Connection {
        let Copied(mut connection) = self.copy(index);
        connection.reader = self.reader;
        connection
    }

    /// The connection as it was, without its waker.
    pub(super) fn copy(&self, index: u32) -> Copied {
        let mut from = self.state.unpacker();
        let tuple = Tuple::unpark(&mut from);
        let tcb = Tcb::unpark(&mut from);
        let interface = InterfaceId::unpark(&mut from);
        let profile = Profile::unpark(&mut from);
        Copied(Connection {
            tuple,
            interface,
            tcb,
            profile,
            index,
            is_referenced: true,
            known: true,
            hash: self.hash,
            timer: self.timer,
            ready: Link::default(),
            blocked: false,
            starved: Link::default(),
            narrow: Link::default(),
            stalled: Link::default(),
            orphaned: self.orphaned,
            half_open: Link::default(),
            is_late: false,
            next_waiting: self.next_waiting,
            reader: None,
            writer: None,
            others: Others::new(),
        })
    }

    /// Does it pack to the same?
    #[cfg(all(test, feature = "alloc"))]
    pub(super) fn is_same(&self, other: &Idle) -> bool {
        self.state == other.state
    }

    pub(super) fn tuple(&self) -> Tuple {
        Tuple::unpark(&mut self.state.unpacker())
    }

    pub(super) const fn hash(&self) -> u32 {
        self.hash
    }

    pub(super) const fn timer(&mut self) -> &mut Node {
        &mut self.timer
    }

    pub(super) const fn reader(&mut self) -> &mut Option<Waker> {
        &mut self.reader
    }

    pub(super) const fn orphaned(&mut self) -> &mut Link {
        &mut self.orphaned
    }

    pub(super) const fn next_waiting(&mut self) -> &mut u32 {
        &mut self.next_waiting
    }
}
