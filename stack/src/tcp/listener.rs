//! A listener: not a connection state, but a place where connections wait for `accept`.

use crate::list::NONE;
use core::net::IpAddr;
use core::task::Waker;

/// Tasks that may wait in `accept` at once without being woken in vain.
const ACCEPTORS: usize = 8;

/// One listening port.
#[derive(Debug)]
pub(crate) struct Listener {
    /// `None`: every address of ours.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    /// Most connections in the accept queue, and most in the SYN queue.
    pub(crate) backlog: u16,
    /// Connections in SYN-RECEIVED.
    pub(crate) half_open: u16,
    /// Established connections that wait, linked through the connections.
    pub(crate) waiting: u16,
    pub(crate) first: u32,
    pub(crate) last: u32,
    wakers: heapless::Vec<Waker, ACCEPTORS>,
}

impl Listener {
    pub(crate) fn new(address: Option<IpAddr>, port: u16, backlog: u16) -> Self {
        let backlog = backlog.max(1);
        Listener {
            address,
            port,
            backlog,
            half_open: 0,
            waiting: 0,
            first: NONE,
            last: NONE,
            wakers: heapless::Vec::new(),
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

    /// A task waits in `accept`. With more of them than there is room for, the oldest is woken, and
    /// registers again.
    pub(crate) fn register(&mut self, waker: &Waker) {
        if self.wakers.iter().any(|w| w.will_wake(waker)) {
            return;
        }
        if self.wakers.is_full() {
            self.wakers.remove(0).wake();
        }
        let _ = self.wakers.push(waker.clone()); // there is room now
    }

    /// A connection waits: every acceptor looks, and each takes a different one (H220).
    pub(crate) fn wake(&mut self) {
        while let Some(waker) = self.wakers.pop() {
            waker.wake();
        }
    }
}
