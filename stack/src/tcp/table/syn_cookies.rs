//! SYN cookies (RFC 4987 §3.6): what a SYN said, kept in the number and the timestamp of our
//! SYN-ACK instead of in memory, and read back from the segment that completes the handshake.
//!
//! ```text
//! number     | tick: 5 | MSS: 3 | MAC: 24            |
//! timestamp  | our clock | ECN: 1 | SACK: 1 | scale: 4 |
//! ```
//!
//! The MAC covers the addresses, the client's number, the tick and everything that is kept. So a
//! cookie is good for one client's one SYN, and for a minute or two. Two limits are inherent: an
//! option that does not fit is not negotiated, and the acknowledgment that brings a cookie back may
//! come twice: the second, if the connection is over by then, opens it again until the client's
//! reset. That is why listeners look at cookies only while they hand them out.

use super::passive_open::Arrival;
use super::{Handshaking, Opened, Outcome, Refused, Tcp};
use crate::base::demux::HashKey;
use crate::base::pool::{Chain, Need, Pool};
use crate::bytes::Bytes;
use crate::seq::Seq;
use crate::tcp::Tuple;
pub(super) use crate::tcp::config::SynCookies;
use crate::tcp::config::TcpConfig;
use crate::tcp::connection::handshake::Handshake;
use crate::tcp::connection::output::clock;
use crate::tcp::connection::tcb::{Opening, window_scale};
use crate::tcp::receive::LEAST;
use crate::tcp::segment::{EcnCodepoint, Flags, Options, Plan, Reply, Segment, Timestamps};
use crate::time::{Duration, Instant};

/// When listeners answer with cookies.
pub(super) fn setting(config: &TcpConfig) -> SynCookies {
    config.syn_cookies
}

/// How long a tick lasts. A cookie is good in its own tick and in the next. The tick is in the
/// high bits, so the numbers of one tuple grow as RFC 9293 §3.4.1 wants it.
const TICK: Duration = Duration::from_secs(64);
/// How long after the last cookie one may come back.
const LIFETIME: Duration = Duration::from_secs(128);

/// A SYN that asks for ECN (RFC 3168 §6.1.1).
const ECN: Flags = Flags(Flags::ECE.0 | Flags::CWR.0);

const TICK_SHIFT: u32 = 27;
const MSS_SHIFT: u32 = 24;
const MAC_MASK: u32 = (1 << MSS_SHIFT) - 1;

/// The segment sizes that a cookie can hold: what clients say (nearly always 1460 or 1440 less some
/// tunnel), what those mean who say nothing, jumbo frames, and the least that we use.
const SIZES: [u16; 8] = [64, 536, 1220, 1360, 1400, 1440, 1460, 8960];

/// Low bits of the timestamp that hold options.
const STAMP_BITS: u32 = 6;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const SCALE_MASK: u32 = 15;
/// A window scale that was not offered.
const NO_SCALE: u32 = 15;
/// SACK is permitted.
const STAMP_SACK: u32 = 16;
/// ECN is asked for, as RFC 3168 has it; for AccECN there is no room.
const STAMP_ECN: u32 = 32;

/// `syn` as its cookie remembers it, which is what the SYN-ACK must answer. Without timestamps,
/// of which `timestamps` says whether we use them, there is room for the segment size alone.
fn remembered(syn: &Segment<'_>, tuple: &Tuple, timestamps: bool) -> Segment<'static> {
    let timestamps = syn.options.timestamps.filter(|_| timestamps);
    rebuilt(syn.seq, syn.window, size_index(syn, tuple), timestamps, stamp_of(syn))
}

/// The number of the SYN-ACK that answers `syn`, as it is remembered.
fn number(key: &HashKey, tuple: &Tuple, syn: &Segment<'_>, now: Instant) -> Seq {
    let (tick, size) = (tick(now), size_index(syn, tuple));
    let stamp = syn.options.timestamps.map(|_| stamp_of(syn));
    let mac = mac(key, tuple, syn.seq, tick, size, stamp);
    Seq(tick << TICK_SHIFT | (size as u32) << MSS_SHIFT | mac)
}

/// Our timestamp in that SYN-ACK: not later than `clock`, so that the next is not earlier.
fn timestamp(clock: u32, syn: &Segment<'_>) -> u32 {
    let behind = (clock & STAMP_MASK).wrapping_sub(stamp_of(syn)) & STAMP_MASK;
    clock.wrapping_sub(behind)
}

/// The SYN that a client sent whose `segment` acknowledges a cookie of ours; `None` if it does not.
fn recall(key: &HashKey, tuple: &Tuple, segment: &Segment<'_>, now: Instant) -> Option<Segment<'static>> {
    let (cookie, seq) = ((segment.ack - 1).0, segment.seq - 1);
    let age = tick(now).wrapping_sub(cookie >> TICK_SHIFT) & (u32::MAX >> TICK_SHIFT);
    let size = (cookie >> MSS_SHIFT & 7) as usize;
    let timestamps = segment.options.timestamps;
    let stamp = timestamps.map(|t| t.echo & STAMP_MASK);
    if age > 1 || mac(key, tuple, seq, tick(now).wrapping_sub(age), size, stamp) != cookie & MAC_MASK {
        return None;
    }
    Some(rebuilt(seq, segment.window, size, timestamps, stamp.unwrap_or_default()))
}

/// The SYN of which a cookie has kept `size` and `stamp`; the latter counts with timestamps only.
fn rebuilt(
    seq: Seq,
    window: u16,
    size: usize,
    timestamps: Option<Timestamps>,
    stamp: u32,
) -> Segment<'static> {
    let stamp = timestamps.map_or(NO_SCALE, |_| stamp);
    let scale = Some(stamp & SCALE_MASK).filter(|s| *s != NO_SCALE);
    let asks = if stamp & STAMP_ECN != 0 { ECN } else { Flags::default() };
    Segment {
        seq,
        ack: Seq(0),
        flags: Flags::SYN | asks,
        window,
        urgent: 0,
        options: Options {
            mss: Some(SIZES[size]),
            timestamps,
            window_scale: scale.map(|s| s as u8),
            sack_permitted: stamp & STAMP_SACK != 0,
            ..Options::default()
        },
        mark: EcnCodepoint::NotEct,
        packets: 1,
        payload: Bytes::empty(),
    }
}

fn tick(now: Instant) -> u32 {
    (now.micros() / TICK.micros()) as u32
}

/// The largest size that is not more than what the client can take.
fn size_index(syn: &Segment<'_>, tuple: &Tuple) -> usize {
    //= rfc9293#3.7.1 MUST-15
    let default_mss = if tuple.remote.is_ipv6() { 1220 } else { 536 };
    let mss = syn.options.mss.unwrap_or(default_mss);
    SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0)
}

/// What the low bits of the timestamp keep.
fn stamp_of(syn: &Segment<'_>) -> u32 {
    let sack = if syn.options.sack_permitted { STAMP_SACK } else { 0 };
    let ecn = if syn.flags.has(ECN) { STAMP_ECN } else { 0 };
    syn.options.window_scale.map_or(NO_SCALE, |s| s.min(14).into()) | sack | ecn
}

fn mac(key: &HashKey, tuple: &Tuple, seq: Seq, tick: u32, size: usize, stamp: Option<u32>) -> u32 {
    // Without timestamps the last word says so.
    let rest = (size as u32) << 16 | u32::from(stamp.is_some()) << 8 | 3;
    key.hash(&(*tuple, seq.0, tick, stamp.unwrap_or_default(), rest)) & MAC_MASK
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
    /// May one come back?
    pub(super) fn may_come_back(&self, now: Instant) -> bool {
        self.last_sent.is_some_and(|sent| now.since(sent) < LIFETIME)
    }

    /// May another one go out, where there is room for so many if they come back?
    pub(super) fn may_follow(&mut self, room: usize, now: Instant) -> bool {
        self.pass(now);
        let out = self.this.out.saturating_add(self.before.out);
        let fits = out == 0 || (out as usize) < room;
        self.this.is_short |= !fits;
        fits || self.is_flood
    }

    fn sent(&mut self, now: Instant) {
        self.pass(now);
        self.last_sent = Some(now);
        self.this.sent = self.this.sent.saturating_add(1);
        self.this.out = self.this.out.saturating_add(1);
    }

    fn came_back(&mut self, now: Instant) {
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

impl Tcp<'_> {
    /// Answers a SYN and forgets it.
    //= rfc4987#3.6
    pub(super) fn send_cookie(
        &mut self,
        arrival: &Arrival<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        if self.connections.room(Opened::ByPeer) == 0 && self.orphans.is_empty() {
            // Whoever brought it back would have no place.
            return arrival.drop(Refused::TableFull);
        }
        let Arrival { listener, tuple, hash, mss, segment, .. } = *arrival;
        let syn = remembered(segment, tuple, self.settings.config.timestamps);
        let iss = number(&self.secret, tuple, &syn, now);
        let cx = self.settings.cx(self.profile_of(listener), now, pool);
        let (_, receive_limit) = cx.limits();
        // Nothing is remembered, so nothing is promised but what the one who brings it back will find.
        let window = receive_limit.min(LEAST);
        let clock = match syn.options.timestamps {
            Some(_) => timestamp(clock(hash.ts_offset, now), &syn),
            None => 0,
        };
        let answer = Handshake::answer(listener, &syn, iss, mss, &cx);
        let plan = answer.plan(true, window, window_scale(receive_limit), clock, &self.settings.config);
        let Plan { seq, ack, flags, options, .. } = plan;
        let window = window as u16;
        if let Some(l) = self.listeners.at_mut(listener) {
            l.0.cookies.sent(now);
        }
        Outcome {
            reply: Some(Reply::SynAck { seq, ack, flags, window, options }),
            fields: Some(self.settings.options(self.profile_of(listener)).ip_fields()),
            handshaking: Some(Handshaking::CookieSent),
            ..Outcome::default()
        }
    }

    /// An acknowledgment for a listener is a stray one, unless it brings back a cookie.
    pub(super) fn take_cookie(
        &mut self,
        arrival: &Arrival<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Arrival { listener, tuple, hash, mss, segment, .. } = *arrival;
        if !self.listeners.at(listener).is_some_and(|l| l.0.expects_cookies(now)) {
            return arrival.refuse(Refused::NoConnection);
        }
        let recalled = recall(&self.secret, tuple, segment, now);
        let Some(syn) = recalled.filter(|_| !segment.flags.has(Flags::SYN)) else {
            // Payload may be from a client whose first segments were lost: it sends them again, and they
            // bring its cookie back. A reset would end a connection that is all right.
            return match segment.flags.has(Flags::SYN) {
                true => arrival.refuse(Refused::BadCookie),
                false => arrival.put_off(Refused::BadCookie),
            };
        };
        let Some(l) = self.listeners.at_mut(listener) else { return Outcome::default() };
        l.0.cookies.came_back(now);
        // With the accept queue full it is half-open and late, as every client that finds it so. It is no
        // forgery, so the length of the SYN queue is not for it (H010).
        let has_room = l.0.has_room() || self.half_open_room() > 0;
        if !has_room && !self.give_up_oldest(listener, 0, pool) {
            return arrival.put_off(Refused::AcceptQueueFull);
        }
        let least = LEAST as usize;
        if self.is_at_accept_limit() || Chain::new().promisable(pool, least, Need::Send) < least {
            return arrival.drop(Refused::AcceptLimit); // as good as lost
        }
        let profile = self.profile_of(listener);
        let cx = self.settings.cx(profile, now, pool);
        let opening = Opening::accept(listener, &syn, segment.ack - 1, hash.ts_offset, mss, &cx);
        let Some(index) = self.admit_half(arrival, opening, now) else {
            return arrival.put_off(Refused::TableFull);
        };
        if let Some(c) = self.connections.at_mut(index) {
            c.tcb.resume(&mut self.settings.cx(profile, now, pool));
        }
        self.after(index);
        let outcome = self.for_connection(index, segment, now, pool);
        Outcome { handshaking: Some(Handshaking::CookieAccepted), ..outcome }
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
}
