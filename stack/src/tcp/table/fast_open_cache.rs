//! Fast Open as a client (RFC 7413): the cookies of servers, and the payload that goes with a SYN.
//!
//! With the cookie of a server at hand, `connect` sends nothing: the first write does, and goes with
//! the SYN. Without one, the SYN asks for it. A SYN that is not answered in time goes again without
//! payload and without the option, which some box on the way may dislike; there Fast Open rests then.

use super::{Profile, Tcp};
use crate::base::holder::Holder;
use crate::base::lent::Places;
use crate::counters::TcpCount;
use crate::tcp::connection::fast_open::{Asked, EarlyPayload};
use crate::tcp::connection::handshake::Handshake;
use crate::tcp::connection::tcb::Phase;
use crate::tcp::fast_open::FastOpen;
use crate::tcp::segment::Segment;
use crate::tcp::segment::Tuple;
use crate::time::{Duration, Instant};
use core::net::IpAddr;
use managed::ManagedSlice;

/// So long Fast Open rests with a server with which it did not work.
//= rfc7413#4.1.3.1
const PAUSE: Duration = Duration::from_secs(600);

/// What is known of a server that may do TCP Fast Open.
#[derive(Clone, Copy, Debug)]
pub struct FastOpenServer {
    address: IpAddr,
    /// Cookies are for one of our addresses.
    local: IpAddr,
    known: Known,
}

#[derive(Clone, Copy, Debug)]
enum Known {
    /// Its cookie, and the MSS that it offered.
    Cookie(FastOpen, u16),
    /// It does not do Fast Open, or the way to it does not.
    Refuses { until: Instant },
}

/// What was learned of servers, the latest last.
//= rfc7413#4.1.3
#[derive(Debug)]
pub(in crate::tcp) struct CookieJar<'a> {
    /// The first so many are used.
    servers: Places<'a, Holder<FastOpenServer>>,
    len: usize,
}

impl<'a> CookieJar<'a> {
    /// Without a place.
    pub(in crate::tcp) const fn empty() -> Self {
        CookieJar { servers: Places::none(), len: 0 }
    }

    pub(in crate::tcp) fn new(servers: ManagedSlice<'a, Holder<FastOpenServer>>) -> Self {
        CookieJar { servers: servers.into(), len: 0 }
    }

    fn position(&self, tuple: &Tuple) -> Option<usize> {
        let is_it = |s: &FastOpenServer| s.address == tuple.remote && s.local == tuple.local;
        self.servers.iter().take(self.len).position(|s| s.as_ref().is_some_and(is_it))
    }

    fn find(&self, tuple: &Tuple) -> Option<&Known> {
        self.servers.get(self.position(tuple)?)?.as_ref().map(|s| &s.known)
    }

    fn note(&mut self, tuple: &Tuple, known: Known) {
        let (address, local) = (tuple.remote, tuple.local);
        let same = self.position(tuple);
        if let Some(at) = same.or((self.len > 0 && self.len == self.servers.len()).then_some(0)) {
            self.servers[at..self.len].rotate_left(1);
            self.len -= 1;
        }
        // There is room now, unless there is none at all.
        if let Some(place) = self.servers.get_mut(self.len) {
            *place = Holder::Entry(FastOpenServer { address, local, known });
            self.len += 1;
        }
    }
}

impl Tcp<'_> {
    /// The SYN of a new connection may bring payload, or asks for a cookie, where its options say so.
    pub(in crate::tcp) fn prepare_fast_open(
        &self,
        profile: Profile,
        tuple: &Tuple,
        h: &mut Handshake,
        now: Instant,
    ) {
        if !self.settings.options(profile).fast_open {
            return;
        }
        match self.cookie_jar.find(tuple) {
            Some(Known::Cookie(cookie, mss)) => {
                h.fast_open = Some(*cookie);
                // The first write sends it.
                (h.early, h.send) = (EarlyPayload::allowed(*mss), false);
            }
            Some(Known::Refuses { until }) if now < *until => {}
            Some(Known::Refuses { .. }) | None => h.fast_open = Some(FastOpen::default()),
        }
    }

    /// What came of it, when a segment was taken.
    //= rfc7413#4.1.3
    pub(in crate::tcp) fn learn_fast_open(
        &mut self,
        index: u32,
        asked: Asked,
        segment: &Segment<'_>,
        now: Instant,
    ) {
        let Some(c) = self.connections.at(index) else { return };
        let Phase::Synchronized(s) = &c.tcb.phase else { return };
        let tuple = c.tuple;
        let accepted = s.stats.bytes_acked > 0;
        if accepted {
            self.settings.counts.add(TcpCount::FastOpensActive, 1);
        }
        match segment.options.fast_open.filter(|option| !option.cookie().is_empty()) {
            Some(cookie) => {
                let default_mss = if tuple.remote.is_ipv6() { 1220 } else { 536 };
                let mss = segment.options.mss.unwrap_or(default_mss);
                self.cookie_jar.note(&tuple, Known::Cookie(cookie, mss));
            }
            None if !accepted && asked.payload > 0 => self.pause_fast_open(&tuple, now),
            None => {}
        }
    }

    /// Fast Open rests with a server that did not answer, or did not take the payload.
    //= rfc7413#4.1.3.1
    pub(in crate::tcp) fn pause_fast_open(&mut self, tuple: &Tuple, now: Instant) {
        self.cookie_jar.note(tuple, Known::Refuses { until: now + PAUSE });
    }
}
