//! A listener: not a connection state, but a place where connections wait for `accept`.

use super::Profile;
use super::cookies;
use super::fast_open::Pending;
use crate::list::{List, NONE};
use crate::time::Instant;
use crate::wakers::Wakers;
use core::net::IpAddr;

/// One listening port.
#[derive(Debug)]
pub(crate) struct Listener {
    /// One address of ours, `0.0.0.0` for every IPv4 address, or `::` for all of both families.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// The options that its connections inherit.
    pub(crate) profile: Profile,
    /// Most connections in the accept queue, and most in the SYN queue.
    pub(crate) backlog: u16,
    /// Connections in SYN-RECEIVED, and the oldest of them first.
    pub(crate) half_open: u16,
    pub(crate) syns: List,
    /// Established connections that wait, linked through the connections.
    pub(crate) waiting: u16,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// Connections that were accepted, or can be, before their handshake is complete.
    pub(super) pending: Pending,
    /// When the last SYN cookie was sent.
    pub(crate) cookie_sent: Option<Instant>,
    /// Tasks in `accept`. When a connection waits every one of them looks, and each takes a
    /// different one (H220).
    pub(crate) acceptors: Wakers,
}

impl Listener {
    pub(crate) fn new(address: IpAddr, port: u16, backlog: u16) -> Self {
        let backlog = backlog.max(1);
        Listener {
            address,
            port,
            profile: Profile::STACK,
            backlog,
            half_open: 0,
            syns: List::default(),
            waiting: 0,
            first: NONE,
            last: NONE,
            pending: Pending::default(),
            cookie_sent: None,
            acceptors: Wakers::new(),
        }
    }

    /// Is what is sent to `address` for this listener?
    pub(crate) fn takes(&self, address: IpAddr) -> bool {
        match self.address {
            IpAddr::V6(own) if own.is_unspecified() => true,
            IpAddr::V4(own) if own.is_unspecified() => address.is_ipv4(),
            own => own == address,
        }
    }

    /// May a SYN open another half-open connection?
    pub(crate) fn has_syn_room(&self) -> bool {
        self.half_open < self.backlog
    }

    /// May a cookie come back that was sent to a client of this listener?
    pub(crate) fn expects_cookies(&self, now: Instant) -> bool {
        self.cookie_sent.is_some_and(|sent| now.since(sent) < cookies::LIFETIME)
    }

    /// May a completed connection wait here?
    pub(crate) fn has_room(&self) -> bool {
        self.waiting < self.backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0.0.0.0` is every IPv4 address and no other, `::` is all (contract U4, U12).
    #[test]
    fn what_a_listener_takes() {
        let takes =
            |own: &str, to: &str| Listener::new(own.parse().unwrap(), 80, 1).takes(to.parse().unwrap());
        assert!(takes("0.0.0.0", "10.0.0.1") && !takes("0.0.0.0", "fe80::1"));
        assert!(takes("::", "10.0.0.1") && takes("::", "fe80::1") && takes("::", "0.0.0.0"));
        assert!(takes("10.0.0.1", "10.0.0.1") && !takes("10.0.0.1", "10.0.0.2"));
        assert!(!takes("10.0.0.1", "0.0.0.0") && !takes("0.0.0.0", "::"));
    }
}
