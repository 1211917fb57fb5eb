//! TIME-WAIT: what is left of a connection for two segment lifetimes (RFC 9293 §3.6.1).
//!
//! A record of its own, without buffers, timers or links: every record waits equally long, so a ring
//! in order of arrival is in order of expiry, and the oldest gives way when it is full (H018). On the
//! heap the ring takes memory by chunks, and gives it back.

use super::isn;
use crate::base::demux::HashKey;
use crate::base::lent::Lent;
use crate::seq::Seq;
use crate::tcp::connection::tcb::TimeWaitStart;
use crate::tcp::receive::is_acceptable;
use crate::tcp::segment::{Flags, Segment, Timestamps};
use crate::tcp::segment::{Reply, Tuple};
use crate::time::{Duration, Instant};
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use managed::ManagedSlice;

/// Own IPv6 addresses that records may name at a time. Of a connection of one more nothing is kept.
const LOCALS: usize = if cfg!(feature = "ipv6") { 16 } else { 0 };
/// Records of a chunk.
#[cfg(feature = "alloc")]
const CHUNK: usize = 256;
/// Numbers of places stay below the marks of the demux.
const PLACES_MAX: usize = (1 << 30) - 1;
/// Longer no record waits: its time is kept in 32 bits.
const WAIT_MAX: Duration = Duration::from_secs(20 * 24 * 3600);

/// A TIME-WAIT record in its place.
#[derive(Clone, Copy, Debug)]
pub struct TimeWaitEntry {
    snd_nxt: Seq,
    rcv_nxt: Seq,
    ts_recent: u32,
    /// In milliseconds, modulo 2^32.
    until_ms: u32,
    /// The peer's IPv6 address; or its IPv4 address, then ours.
    address: [u8; 16],
    local_port: u16,
    remote_port: u16,
    bits: u8,
    family: Family,
}

/// [`TimeWaitEntry::bits`]: timestamps were in use;
const TIMESTAMPS: u8 = 1;
/// a SYN was challenged, and the answer of a peer that has no connection counts;
const CHALLENGED: u8 = 2;
/// a half-open connection stands in its place, and if that comes to nothing the record is back.
const ASIDE: u8 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    /// No connection's: the place is free.
    Free,
    V4,
    /// With the number of our address.
    V6(u8),
}

impl TimeWaitEntry {
    /// A free place.
    pub const EMPTY: Self = TimeWaitEntry {
        snd_nxt: Seq(0),
        rcv_nxt: Seq(0),
        ts_recent: 0,
        until_ms: 0,
        address: [0; 16],
        local_port: 0,
        remote_port: 0,
        bits: 0,
        family: Family::Free,
    };
}

/// A waiting connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeWait {
    pub(crate) tuple: Tuple,
    snd_nxt: Seq,
    rcv_nxt: Seq,
    ts_recent: Option<u32>,
    is_challenged: bool,
    pub(crate) is_aside: bool,
}

impl TimeWaitStart {
    /// The acknowledgment of the peer's FIN.
    pub(crate) fn acknowledgment(&self, now: Instant) -> Reply {
        let value = (now.millis() as u32).wrapping_add(self.ts_offset);
        let timestamps = self.ts_recent.map(|echo| Timestamps { value, echo });
        Reply::Ack { seq: self.snd_nxt, ack: self.rcv_nxt, window: 0, timestamps }
    }
}

/// What a segment does to the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Acknowledge again; the wait starts anew.
    Acknowledge,
    /// Say where we stand; the wait goes on.
    ChallengeAck,
    /// So for a SYN: its sender answers with a reset, if it knows nothing of the connection.
    Challenge,
    /// A new connection may take the place: the SYN is beyond all old numbers (H017).
    Reuse,
    /// The peer has no connection any more, as it answers our challenge: the wait ends.
    Over,
    /// Nothing. Other resets too: they must not end the wait early (RFC 1337).
    Ignore,
}

impl TimeWait {
    /// What it began with.
    pub(crate) fn start(&self, key: &HashKey) -> TimeWaitStart {
        let TimeWait { tuple, snd_nxt, rcv_nxt, ts_recent, is_challenged: _, is_aside: _ } = *self;
        // A connection's timestamps always begin there.
        let ts_offset = isn::TupleHash::of(key, &tuple).ts_offset;
        TimeWaitStart { snd_nxt, rcv_nxt, ts_recent, ts_offset, acknowledge: true }
    }

    /// The ordinary order of checks, but nothing is accepted behind the peer's FIN.
    //= rfc9293#3.10.7.4, TIME-WAIT
    //= rfc6191#2
    pub(crate) fn on_segment(&self, segment: &Segment<'_>) -> Verdict {
        let (flags, is_next) = (segment.flags, segment.seq == self.rcv_nxt);
        if flags.has(Flags::RST) {
            //= rfc5961#3.2: exactly at RCV.NXT
            return if self.is_challenged && is_next { Verdict::Over } else { Verdict::Ignore };
        }
        if flags.has(Flags::SYN) {
            // With a FIN it is no honest client's: those were T/TCP's, which is history (RFC 6247).
            let is_new = flags.0 & (Flags::ACK | Flags::FIN).0 == 0 && self.is_newer(segment);
            return if is_new { Verdict::Reuse } else { Verdict::Challenge };
        }
        let (has_ack, acks_more) = (flags.has(Flags::ACK), self.snd_nxt.before(segment.ack));
        // First, the sequence number: the peer's FIN again, or what is not acceptable.
        if !is_acceptable(segment, self.rcv_nxt, 0) {
            let is_fin = flags.has(Flags::FIN) && segment.seq + segment.len() == self.rcv_nxt;
            return if is_fin && has_ack && !acks_more {
                Verdict::Acknowledge
            } else {
                Verdict::ChallengeAck
            };
        }
        // Fifth, the acknowledgment. Then payload and FIN, which nobody takes.
        match has_ack {
            false => Verdict::Ignore,
            true if acks_more || segment.len() > 0 => Verdict::ChallengeAck,
            true => Verdict::Ignore,
        }
    }

    /// Is the SYN no old duplicate?
    fn is_newer(&self, syn: &Segment<'_>) -> bool {
        match (self.ts_recent, syn.options.timestamps) {
            (Some(old), Some(new)) if old != new.value => Seq(old).before(Seq(new.value)),
            _ => self.rcv_nxt.before(syn.seq),
        }
    }
}

/// Where the records lie: a place has its number for good.
enum Places<'a> {
    Given(Lent<'a, TimeWaitEntry>),
    #[cfg(feature = "alloc")]
    Heap {
        /// Those in which records are waiting.
        chunks: Vec<Option<Box<[TimeWaitEntry; CHUNK]>>>,
        len: usize,
    },
}

impl Places<'_> {
    fn len(&self) -> usize {
        match self {
            Places::Given(places) => places.len().min(PLACES_MAX),
            #[cfg(feature = "alloc")]
            Places::Heap { len, .. } => *len,
        }
    }

    fn get(&self, at: u32) -> Option<&TimeWaitEntry> {
        match self {
            Places::Given(places) => places.get(at as usize),
            #[cfg(feature = "alloc")]
            Places::Heap { chunks, .. } => {
                chunks.get(at as usize / CHUNK)?.as_ref()?.get(at as usize % CHUNK)
            }
        }
    }

    /// The place, which is to be used. `None`: the heap has no memory for it.
    fn get_mut(&mut self, at: u32) -> Option<&mut TimeWaitEntry> {
        match self {
            Places::Given(places) => places.get_mut(at as usize),
            #[cfg(feature = "alloc")]
            Places::Heap { chunks, len } => {
                let chunk = at as usize / CHUNK;
                if chunk >= chunks.len() {
                    let chunk_count = (chunk + 1).min(len.div_ceil(CHUNK));
                    chunks.try_reserve(chunk_count.saturating_sub(chunks.len())).ok()?;
                    chunks.resize_with(chunk_count, || None);
                }
                let chunk = chunks.get_mut(chunk)?;
                if chunk.is_none() {
                    *chunk = crate::base::heap::fill(CHUNK, || TimeWaitEntry::EMPTY)?.try_into().ok();
                }
                chunk.as_mut()?.get_mut(at as usize % CHUNK)
            }
        }
    }

    /// No place of the chunk of `at` is used: its memory is given back.
    #[cfg(feature = "alloc")]
    fn release(&mut self, at: u32) {
        if let Places::Heap { chunks, .. } = self
            && let Some(chunk) = chunks.get_mut(at as usize / CHUNK)
        {
            *chunk = None;
        }
    }
}

/// All that wait.
pub(crate) struct TimeWaits<'a> {
    places: Places<'a>,
    /// The oldest record, and how many places from there on may be used: some may be free again.
    head: u32,
    span: u32,
    /// Records, and those in whose place a half-open connection stands.
    len: u32,
    aside: u32,
    locals: heapless::Vec<Local, LOCALS>,
    /// When the last record came, in milliseconds: what [`until_ms`](TimeWaitEntry::until_ms) is near.
    last_ms: u64,
}

/// An own address, and how many records name it.
struct Local {
    address: Ipv6Addr,
    users: u32,
}

impl<'a> TimeWaits<'a> {
    /// Without a place.
    pub(crate) const fn empty() -> Self {
        TimeWaits {
            places: Places::Given(Lent::none()),
            head: 0,
            span: 0,
            len: 0,
            aside: 0,
            locals: heapless::Vec::new(),
            last_ms: 0,
        }
    }

    /// The places; before one is in use. `limit`: most records, if they lie on the heap.
    pub(crate) fn start(&mut self, places: ManagedSlice<'a, TimeWaitEntry>, limit: usize) {
        self.places = match places {
            ManagedSlice::Borrowed(places) => Places::Given(Lent::new(places)),
            #[cfg(feature = "alloc")]
            ManagedSlice::Owned(_) => Places::Heap { chunks: Vec::new(), len: limit.min(PLACES_MAX) },
        };
        #[cfg(not(feature = "alloc"))]
        let _ = limit;
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Must the oldest give way for another?
    pub(crate) fn is_full(&self) -> bool {
        self.span as usize >= self.places.len()
    }

    /// The record that has waited longest.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.len > 0).then_some(self.head)
    }

    /// When that has waited long enough.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let entry = self.places.get(self.oldest()?)?;
        let left = entry.until_ms.wrapping_sub(self.last_ms as u32) as i32;
        Some(Instant::from_millis(self.last_ms.saturating_add_signed(left.into())))
    }

    /// Adds a connection that waits until then. `None`: there is no place for it.
    pub(crate) fn insert(
        &mut self,
        tuple: &Tuple,
        start: &TimeWaitStart,
        now: Instant,
        wait: Duration,
    ) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        let until = now + wait.min(WAIT_MAX);
        let at = ((self.head as usize + self.span as usize) % self.places.len()) as u32;
        // Before the address counts one user more.
        self.places.get_mut(at)?;
        let (family, address) = self.packed(tuple)?;
        *self.places.get_mut(at)? = TimeWaitEntry {
            snd_nxt: start.snd_nxt,
            rcv_nxt: start.rcv_nxt,
            ts_recent: start.ts_recent.unwrap_or(0),
            until_ms: until.millis_up() as u32,
            address,
            local_port: tuple.local_port,
            remote_port: tuple.remote_port,
            bits: if start.ts_recent.is_some() { TIMESTAMPS } else { 0 },
            family,
        };
        self.span += 1;
        self.len += 1;
        self.last_ms = now.millis();
        Some(at)
    }

    /// The addresses in 16 bytes and a number.
    fn packed(&mut self, tuple: &Tuple) -> Option<(Family, [u8; 16])> {
        match (tuple.remote, tuple.local) {
            (IpAddr::V4(remote), IpAddr::V4(local)) => {
                let mut address = [0; 16];
                address[..4].copy_from_slice(&remote.octets());
                address[4..8].copy_from_slice(&local.octets());
                Some((Family::V4, address))
            }
            (IpAddr::V6(remote), IpAddr::V6(local)) => {
                let known = self.locals.iter().position(|l| l.address == local);
                let number = match known.or_else(|| self.locals.iter().position(|l| l.users == 0)) {
                    Some(number) => number,
                    None => {
                        self.locals.push(Local { address: local, users: 0 }).ok()?;
                        self.locals.len() - 1
                    }
                };
                let users = self.locals[number].users + 1;
                self.locals[number] = Local { address: local, users };
                Some((Family::V6(number as u8), remote.octets()))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// The connections of all records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Tuple> + '_ {
        let len = self.places.len() as u32;
        let places = (0..self.span).map(move |step| (self.head + step) % len.max(1));
        places.filter_map(|at| Some(self.get(at).filter(|record| !record.is_aside)?.tuple))
    }

    /// The connection of a record.
    pub(crate) fn get(&self, at: u32) -> Option<TimeWait> {
        let entry = self.places.get(at)?;
        let [a, b, c, d, e, f, g, h, ..] = entry.address;
        let (remote, local): (IpAddr, IpAddr) = match entry.family {
            Family::Free => return None,
            Family::V4 => (Ipv4Addr::new(a, b, c, d).into(), Ipv4Addr::new(e, f, g, h).into()),
            Family::V6(number) => {
                (Ipv6Addr::from(entry.address).into(), self.locals.get(usize::from(number))?.address.into())
            }
        };
        Some(TimeWait {
            tuple: Tuple { local, remote, local_port: entry.local_port, remote_port: entry.remote_port },
            snd_nxt: entry.snd_nxt,
            rcv_nxt: entry.rcv_nxt,
            ts_recent: (entry.bits & TIMESTAMPS != 0).then_some(entry.ts_recent),
            is_challenged: entry.bits & CHALLENGED != 0,
            is_aside: entry.bits & ASIDE != 0,
        })
    }

    /// A SYN for this record is answered by a challenge.
    pub(crate) fn challenge(&mut self, at: u32) {
        if let Some(entry) = self.places.get_mut(at) {
            entry.bits |= CHALLENGED;
        }
    }

    /// A half-open connection stands in the record's place from now on; or no more.
    pub(crate) fn set_aside(&mut self, at: u32, aside: bool) {
        let Some(entry) = self.places.get_mut(at).filter(|e| e.family != Family::Free) else { return };
        match (entry.bits & ASIDE != 0, aside) {
            (false, true) => self.aside += 1,
            (true, false) => self.aside -= 1,
            _ => {}
        }
        entry.bits = entry.bits & !ASIDE | if aside { ASIDE } else { 0 };
    }

    /// Does a half-open connection stand in the place of any record?
    pub(crate) fn has_aside(&self) -> bool {
        self.aside > 0
    }

    /// How much longer does it wait?
    pub(crate) fn left(&self, at: u32, now: Instant) -> Duration {
        let left = |e: &TimeWaitEntry| e.until_ms.wrapping_sub(now.millis() as u32) as i32;
        Duration::from_millis(self.places.get(at).map_or(0, left).max(0) as u64)
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, at: u32) {
        self.set_aside(at, false);
        let Some(entry) = self.places.get_mut(at) else { return };
        let family = core::mem::replace(&mut entry.family, Family::Free);
        if family == Family::Free {
            return;
        }
        if let Family::V6(number) = family
            && let Some(local) = self.locals.get_mut(usize::from(number))
        {
            local.users -= 1;
        }
        self.len -= 1;
        self.skip_free();
    }

    /// Lets the ring begin with a record, if there is one.
    fn skip_free(&mut self) {
        while self.span > 0 && self.places.get(self.head).is_none_or(|e| e.family == Family::Free) {
            let before = self.head;
            self.head = if (self.head as usize) + 1 < self.places.len() { self.head + 1 } else { 0 };
            self.span -= 1;
            #[cfg(feature = "alloc")]
            self.release_chunk_of(before);
            #[cfg(not(feature = "alloc"))]
            let _ = before;
        }
    }

    /// The ring has left a place: with the last of its chunk, or the last of all, the chunk goes.
    #[cfg(feature = "alloc")]
    fn release_chunk_of(&mut self, before: u32) {
        let chunk = |at: u32| at as usize / CHUNK;
        let end = (self.head as usize + (self.span as usize).saturating_sub(1)) % self.places.len();
        let is_left = self.span == 0 || (chunk(self.head) != chunk(before) && end / CHUNK != chunk(before));
        if is_left {
            self.places.release(before);
        }
    }
}

#[cfg(test)]
mod tests;
