//! A listener: not a connection state, but a place where connections wait for `accept`.

use super::syn_cookies::CookiesOut;
use crate::base::list::{List, NONE};
use crate::base::wakers::Wakers;
use crate::tcp::Profile;
use crate::tcp::connection::fast_open::Pending;
use crate::time::Instant;
use core::net::IpAddr;

/// One listening port.
#[derive(Debug)]
pub(crate) struct Listener {
    /// One address of ours, `0.0.0.0` for every IPv4 address, or `::` for all of both families.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Others may have the same address and port, if they say so as well: a hash decides whose a connection is.
    pub(in crate::tcp) is_shared: bool,
    /// The options that its connections inherit.
    pub(crate) profile: Profile,
    /// Most connections in the accept queue, and most in the SYN queue.
    pub(crate) backlog: u16,
    /// Connections in SYN-RECEIVED.
    pub(crate) half_open: u32,
    /// Those that wait for their client's answer, the oldest first.
    pub(crate) syns: List,
    /// Those that have it, but find the accept queue full. Their clients take the connection for
    /// established, so they are held until there is room, and come before new SYNs.
    pub(crate) late: List,
    pub(crate) late_len: u32,
    /// Established connections that wait, linked through the connections.
    pub(crate) waiting: u16,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// Connections that were accepted, or can be, before their handshake is complete.
    pub(in crate::tcp) pending: Pending,
    pub(in crate::tcp) cookies: CookiesOut,
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
            is_shared: false,
            profile: Profile::STACK,
            backlog,
            half_open: 0,
            syns: List::default(),
            late: List::default(),
            late_len: 0,
            waiting: 0,
            first: NONE,
            last: NONE,
            pending: Pending::default(),
            cookies: CookiesOut::default(),
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

    /// Would both take some connection, with nothing to say whose it is?
    pub(in crate::tcp) fn conflicts(&self, other: &Listener) -> bool {
        let shares = self.is_shared && other.is_shared && self.address == other.address;
        !shares && (self.takes(other.address) || other.takes(self.address))
    }

    /// May a SYN open another half-open connection?
    pub(crate) fn has_syn_room(&self) -> bool {
        self.syn_room() > 0
    }

    fn syn_room(&self) -> u32 {
        u32::from(self.backlog).saturating_sub(self.half_open)
    }

    /// May a cookie come back that was sent to a client of this listener?
    pub(crate) fn expects_cookies(&self, now: Instant) -> bool {
        self.cookies.may_come_back(now)
    }

    /// May another SYN be answered? Not if the cookies that are out take all the room of both queues,
    /// should they come back: an honest client's cookie must find a place.
    pub(in crate::tcp) fn takes_syns(&mut self, half_open_room: usize, free: usize, now: Instant) -> bool {
        let syn_room = half_open_room.min(self.syn_room() as usize);
        let accept_room = usize::from(self.backlog.saturating_sub(self.waiting));
        self.cookies.may_follow((syn_room + accept_room).min(free), now)
    }

    /// May a completed connection wait here?
    pub(crate) fn has_room(&self) -> bool {
        self.waiting < self.backlog
    }

    /// May one that is yet to come, when all have come that are late?
    pub(in crate::tcp) fn has_room_for_new(&self) -> bool {
        u32::from(self.waiting) + self.late_len < self.backlog.into()
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
