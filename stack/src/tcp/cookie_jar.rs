//! Fast Open as a client (RFC 7413): the cookies of servers, and the text that goes with a SYN.
//!
//! With the cookie of a server at hand, `connect` sends nothing: the first write does, and goes with
//! the SYN. Without one, the SYN asks for it. A SYN that is not answered in time goes again without
//! text and without the option, which some box on the way may dislike; there Fast Open rests then.

use super::segment::{FastOpen, Segment};
use super::tcb::{Handshake, Phase, Tcb};
use super::{Tcp, Tuple};
use crate::counters::TcpCount;
use crate::time::{Duration, Instant};
use core::net::IpAddr;
use heapless::Vec;

/// Servers that are remembered.
//= rfc7413#4.1.3
const PLACES: usize = 16;
/// So long Fast Open rests with a server with which it did not work.
//= rfc7413#4.1.3.1
const PAUSE: Duration = Duration::from_secs(600);

/// What is known of a server.
#[derive(Clone, Copy, Debug)]
struct Server {
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
#[derive(Debug)]
pub(super) struct CookieJar {
    servers: Vec<Server, PLACES>,
}

impl CookieJar {
    pub(super) const EMPTY: CookieJar = CookieJar { servers: Vec::new() };

    fn find(&self, tuple: &Tuple) -> Option<&Known> {
        let is_it = |s: &&Server| s.address == tuple.remote && s.local == tuple.local;
        self.servers.iter().find(is_it).map(|s| &s.known)
    }

    fn note(&mut self, tuple: &Tuple, known: Known) {
        let (address, local) = (tuple.remote, tuple.local);
        self.servers.retain(|s| s.address != address || s.local != local);
        if self.servers.is_full() {
            self.servers.remove(0);
        }
        // There is room now.
        let _ = self.servers.push(Server { address, local, known });
    }
}

/// What a SYN of ours had to do with Fast Open before a segment or a timeout came.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Bytes of text that it brought.
    text: u16,
}

impl Tcp<'_> {
    /// The SYN of a new connection may bring text, or asks for a cookie.
    pub(super) fn prepare_early(&self, tuple: &Tuple, tcb: &mut Tcb, now: Instant) {
        let Phase::SynSent(h) = &mut tcb.phase else { return };
        match self.cookie_jar.find(tuple) {
            Some(Known::Cookie(cookie, mss)) => {
                h.fast_open = Some(*cookie);
                h.early_mss = *mss;
                // The first write sends it.
                (h.is_early, h.send) = (true, false);
            }
            Some(Known::Refuses { until }) if now < *until => {}
            Some(Known::Refuses { .. }) | None => h.fast_open = Some(FastOpen::default()),
        }
    }

    /// What came of it, when a segment was taken.
    //= rfc7413#4.1.3
    pub(super) fn learn_early(&mut self, index: u32, asked: Asked, segment: &Segment<'_>, now: Instant) {
        let Some(c) = self.connections.at(index) else { return };
        let Phase::Synchronized(s) = &c.tcb.phase else { return };
        let tuple = c.tuple;
        let accepted = s.stats.bytes_acked > 0;
        if accepted {
            self.settings.counts.add(TcpCount::FastOpensActive, 1);
        }
        match segment.options.fast_open.filter(|option| !option.cookie().is_empty()) {
            Some(cookie) => {
                let unsaid = if tuple.remote.is_ipv6() { 1220 } else { 536 };
                let mss = segment.options.mss.unwrap_or(unsaid);
                self.cookie_jar.note(&tuple, Known::Cookie(cookie, mss));
            }
            None if !accepted && asked.text > 0 => self.rest_early(&tuple, now),
            None => {}
        }
    }

    /// Fast Open rests with a server that did not answer, or did not take the text.
    //= rfc7413#4.1.3.1
    pub(super) fn rest_early(&mut self, tuple: &Tuple, now: Instant) {
        self.cookie_jar.note(tuple, Known::Refuses { until: now + PAUSE });
    }
}

impl Tcb {
    /// Is our SYN under way with a Fast Open option?
    pub(super) fn asked_early(&self) -> Option<Asked> {
        match &self.phase {
            Phase::SynSent(h) if h.transmissions > 0 => h.fast_open.map(|_| Asked { text: h.early_text }),
            _ => None,
        }
    }

    /// The SYN need not wait for text any longer. True: it did.
    pub(super) fn stop_waiting_for_text(&mut self) -> bool {
        match &mut self.phase {
            Phase::SynSent(h) if h.waits_for_text() => !core::mem::replace(&mut h.send, true),
            _ => false,
        }
    }
}

impl Handshake {
    /// Is its SYN held back for the first write?
    pub(super) fn waits_for_text(&self) -> bool {
        self.transmissions == 0 && !self.send
    }
}
