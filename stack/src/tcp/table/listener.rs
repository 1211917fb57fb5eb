//! A listener: not a connection state, but a place where connections wait for `accept`.

use super::syn_cookies;
use crate::base::list::{List, NONE};
use crate::base::wakers::Wakers;
use crate::tcp::Profile;
use crate::tcp::connection::fast_open::Pending;
use crate::time::{Duration, Instant};
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
        self.cookies.last_sent.is_some_and(|sent| now.since(sent) < syn_cookies::LIFETIME)
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

/// The cookies of a listener that are out: each may come back as a connection that wants a place.
///
/// There is no telling a client that is slow from a forged address, but most clients answer within
/// half a second: a flood shows by cookies that do not come back. Then they go out without a bound, since
/// few will; and who is there has a place in the table, beyond the backlog.
#[derive(Debug, Default)]
pub(in crate::tcp) struct CookiesOut {
    last_sent: Option<Instant>,
    this: Period,
    before: Period,
    /// When this period began.
    began: Instant,
    /// Of the cookies of the period before the last, most never came back, and they took all room.
    is_flood: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Period {
    sent: u32,
    /// Of these, those that did not come back yet.
    out: u32,
    /// Once there was no room for another.
    is_short: bool,
}

impl Period {
    fn is_flood(&self) -> bool {
        self.is_short && self.out > self.sent / 2
    }
}

/// Long enough for nearly every round trip; and two of them are over when a client sends its SYN again,
/// after a second.
const PERIOD: Duration = Duration::from_millis(500);

impl CookiesOut {
    /// May another one go out, where there is room for so many if they come back?
    fn may_follow(&mut self, room: usize, now: Instant) -> bool {
        self.pass(now);
        let out = self.this.out.saturating_add(self.before.out);
        let fits = out == 0 || (out as usize) < room;
        self.this.is_short |= !fits;
        fits || self.is_flood
    }

    pub(in crate::tcp) fn sent(&mut self, now: Instant) {
        self.pass(now);
        self.last_sent = Some(now);
        self.this.sent = self.this.sent.saturating_add(1);
        self.this.out = self.this.out.saturating_add(1);
    }

    pub(in crate::tcp) fn came_back(&mut self, now: Instant) {
        self.pass(now);
        let of = if self.before.out > 0 { &mut self.before } else { &mut self.this };
        of.out = of.out.saturating_sub(1);
    }

    /// Judges the periods that are over: the cookies of one have had another in which to come back.
    fn pass(&mut self, now: Instant) {
        match now.since(self.began).micros() / PERIOD.micros() {
            0 => return,
            1 => {
                // A period in which none was sent says nothing.
                if self.before.sent > 0 {
                    self.is_flood = self.before.is_flood();
                }
                self.before = core::mem::take(&mut self.this);
            }
            n => {
                self.is_flood = n == 2 && self.this.is_flood();
                (self.before, self.this) = Default::default();
            }
        }
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H058: a flood is that most cookies of a period did not come back within another and that they took all room;
    /// after two periods without any word of it nothing is known.
    #[test]
    fn what_is_a_flood() {
        let at = |ms| Instant::from_millis(1000 + ms);
        let is_flood = |come_back: u32, room: usize, looks: &[u64]| {
            let mut out = CookiesOut::default();
            for _ in 0..8 {
                if out.may_follow(room, at(0)) {
                    out.sent(at(0));
                }
            }
            (0..come_back).for_each(|_| out.came_back(at(100)));
            looks.iter().for_each(|ms| out.pass(at(*ms)));
            out.is_flood
        };
        assert!(
            !is_flood(0, 4, &[499]) && !is_flood(0, 4, &[500]),
            "they have another period to come back in"
        );
        assert!(is_flood(0, 4, &[500, 1000]) && is_flood(0, 4, &[1000]) && is_flood(0, 4, &[1499]));
        assert!(!is_flood(0, 4, &[1500]) && !is_flood(0, 4, &[500, 1500]));
        assert!(!is_flood(2, 4, &[500, 1000]) && is_flood(1, 4, &[500, 1000]), "most of four");
        assert!(!is_flood(0, 9, &[500, 1000]), "there was room for all");
    }

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
