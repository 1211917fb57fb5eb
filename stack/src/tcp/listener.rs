//! A listener: not a connection state, but a place where connections wait for `accept`.

use crate::list::{List, NONE};
use crate::wakers::Wakers;
use core::net::IpAddr;

/// One listening port.
#[derive(Debug)]
pub(crate) struct Listener {
    /// `None`: every address of ours.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    /// Most connections in the accept queue, and most in the SYN queue.
    pub(crate) backlog: u16,
    /// Connections in SYN-RECEIVED, and the oldest of them first.
    pub(crate) half_open: u16,
    pub(crate) syns: List,
    /// Established connections that wait, linked through the connections.
    pub(crate) waiting: u16,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// Tasks in `accept`. When a connection waits every one of them looks, and each takes a
    /// different one (H220).
    pub(crate) acceptors: Wakers,
}

impl Listener {
    pub(crate) fn new(address: Option<IpAddr>, port: u16, backlog: u16) -> Self {
        let backlog = backlog.max(1);
        Listener {
            address,
            port,
            backlog,
            half_open: 0,
            syns: List::default(),
            waiting: 0,
            first: NONE,
            last: NONE,
            acceptors: Wakers::new(),
        }
    }

    /// May a SYN open another half-open connection?
    pub(crate) fn has_syn_room(&self) -> bool {
        self.half_open < self.backlog
    }

    /// May a completed connection wait here?
    pub(crate) fn has_room(&self) -> bool {
        self.waiting < self.backlog
    }
}
