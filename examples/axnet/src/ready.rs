//! Readiness: `poll` and `epoll`, both by level.
use alloc::{sync::Arc, vec::Vec};
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use barenet::Net;
use spin::Mutex;

use crate::{Kind, Socket};

/// `POLLIN` and `POLLOUT`, wanted or there. Errors and ends count as both.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Interest {
    /// Read or accept.
    pub readable: bool,
    /// Write, or a connect is over.
    pub writable: bool,
}

const NONE: Interest = Interest { readable: false, writable: false };

impl Socket {
    /// What of `wanted` is there now; the context's waker is woken when the rest may be.
    pub fn poll_ready(&self, cx: &mut Context<'_>, wanted: Interest) -> Interest {
        let kind = self.kind();
        let mut is_readable = || match &kind {
            Kind::Listener(listener) => listener.poll_acceptable(cx).is_ready(),
            Kind::Stream(stream) => stream.poll_readable(cx).is_ready(),
            Kind::Udp(Some(socket)) => socket.poll_readable(cx).is_ready(),
            Kind::Tcp(_) | Kind::Udp(None) => false,
        };
        let readable = wanted.readable && is_readable();
        let writable = wanted.writable
            && match &kind {
                Kind::Stream(stream) => {
                    stream.poll_connected(cx).is_ready() && stream.poll_writable(cx).is_ready()
                }
                Kind::Udp(_) => true,
                Kind::Tcp(_) | Kind::Listener(_) => false,
            };
        Interest { readable, writable }
    }
}

fn wait<T>(net: &Net, limit: Option<Duration>, mut look: impl FnMut(&mut Context<'_>) -> Vec<T>) -> Vec<T> {
    let found = poll_fn(|cx| match look(cx) {
        none if none.is_empty() => Poll::Pending,
        some => Poll::Ready(some),
    });
    match limit {
        None => net.block_on(found),
        Some(limit) => net.block_on_timeout(limit, found).unwrap_or_default(),
    }
}

/// `poll`: the places of those sockets that have something of what is wanted; none when the time is over.
pub fn poll(net: &Net, sockets: &[(&Socket, Interest)], limit: Option<Duration>) -> Vec<(usize, Interest)> {
    wait(net, limit, |cx| {
        let states = sockets.iter().map(|(socket, wanted)| socket.poll_ready(cx, *wanted));
        states.enumerate().filter(|(_, state)| *state != NONE).collect()
    })
}

/// `epoll`: a set of sockets to be waited for.
#[derive(Default)]
pub struct Epoll(Mutex<Vec<(u64, Arc<Socket>, Interest)>>);

impl Epoll {
    /// `EPOLL_CTL_ADD` and `EPOLL_CTL_MOD`.
    pub fn set(&self, key: u64, socket: Arc<Socket>, wanted: Interest) {
        self.remove(key);
        self.0.lock().push((key, socket, wanted));
    }

    /// `EPOLL_CTL_DEL`.
    pub fn remove(&self, key: u64) {
        self.0.lock().retain(|(known, ..)| *known != key);
    }

    /// `epoll_wait`: keys, and what is there. What is set meanwhile counts from the next call on.
    pub fn wait(&self, net: &Net, limit: Option<Duration>) -> Vec<(u64, Interest)> {
        let entries = self.0.lock().clone();
        wait(net, limit, |cx| {
            let states = entries.iter().map(|(key, socket, wanted)| (*key, socket.poll_ready(cx, *wanted)));
            states.filter(|(_, ready)| *ready != NONE).collect()
        })
    }
}
