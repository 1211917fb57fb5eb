//! The receiving half of a synchronized connection: RCV.* of RFC 9293 §3.3.1.

#![warn(clippy::cast_possible_truncation)]

mod ack;
mod parking;
pub(crate) mod ranges;
mod window;

pub(crate) use ack::{AckReason, PendingAck};
pub(super) use window::{LEAST, first_window, is_acceptable};

use super::segment::{SACK_BLOCKS, Sack, Timestamps};
use crate::base::pool::{Audit, Chain, Need, Pool, to_u32};
use crate::bytes::Bytes;
use crate::seq::Range;
use crate::seq::Seq;
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;
use crate::time::{Duration, Instant};
use ack::AckPolicy;
use ranges::{Inserted, Ranges};

/// An older timestamp says nothing any more: a peer's clock may have gone half around.
//= rfc7323#5.5
const TIMESTAMP_AGE: Duration = Duration::from_secs(24 * 24 * 3600);
/// What a buffer begins with that is tuned.
pub(super) const START: u32 = 64 * 1024;

/// The round-trip time of a connection whose SYN was sent again, and which has nothing else to measure.
//= rfc6298#2.1: as long as the first timeout
const RTT_UNKNOWN: Duration = Duration::from_secs(1);

/// What a receive buffer of at most `limit` begins with.
fn start(limit: u32, cx: &Context<'_, '_>) -> u32 {
    if cx.tuned().1 { limit.min(START) } else { limit }
}

/// What acknowledgments say beside RCV.NXT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SackUse {
    /// Nothing: one of the ends does not do SACK.
    Off,
    /// What lies beyond holes (RFC 2018).
    #[cfg(feature = "sack")]
    Holes,
    /// And what came twice (RFC 2883).
    #[cfg(feature = "sack")]
    WithDuplicates,
}

#[cfg(feature = "sack")]
impl SackUse {
    /// What is agreed on, if `sacks`: both ends do SACK.
    pub(crate) fn new(sacks: bool, config: &TcpConfig) -> SackUse {
        match sacks {
            false => SackUse::Off,
            true if config.dsack => SackUse::WithDuplicates,
            true => SackUse::Holes,
        }
    }

    /// Is told what came twice?
    fn tells_duplicates(self) -> bool {
        self == SackUse::WithDuplicates
    }

    /// See [`park`](crate::tcp::connection::idle).
    fn park(self) -> [bool; 2] {
        [self == SackUse::Holes, self == SackUse::WithDuplicates]
    }

    /// The other way.
    fn unpark(bits: [bool; 2]) -> SackUse {
        match bits {
            [_, true] => SackUse::WithDuplicates,
            [true, _] => SackUse::Holes,
            _ => SackUse::Off,
        }
    }
}

#[cfg(not(feature = "sack"))]
impl SackUse {
    pub(crate) fn new(_: bool, _: &TcpConfig) -> SackUse {
        SackUse::Off
    }

    fn tells_duplicates(self) -> bool {
        false
    }

    fn park(self) -> [bool; 2] {
        [false; 2]
    }

    fn unpark(_: [bool; 2]) -> SackUse {
        SackUse::Off
    }
}

/// RCV.* and what belongs to it.
#[derive(Debug)]
pub(crate) struct Receive {
    /// RCV.NXT
    pub(crate) nxt: Seq,
    /// RCV.NXT + RCV.WND as last advertised. It never moves back.
    pub(crate) edge: Seq,
    /// In-order bytes that were not read yet, then, after holes, those out of order.
    queue: Chain,
    /// How many of them are in order.
    readable: u32,
    ranges: Ranges,
    /// Sequence number of the peer's FIN, once seen.
    pub(crate) fin: Option<Seq>,
    /// RCV.NXT has passed the FIN.
    pub(crate) finished: bool,
    /// The application reads no more.
    pub(crate) shut: bool,
    /// Largest number of bytes held, and what that may grow to.
    limit: u32,
    limit_max: u32,
    /// Bytes that the reader took since then, a round trip ago at most while it reads,
    taken: u32,
    taken_since: Instant,
    /// and in the round trip before.
    taken_before: u32,
    /// Shift of the windows that we advertise.
    scale: u8,
    /// When an acknowledgment is owed.
    ack: AckPolicy,
    /// The peer's segment size as seen: the largest segment so far, up to our own MSS (H034).
    mss_seen: u16,
    /// Our own MSS: what a full segment is at most.
    mss: u16,
    /// TS.Recent; `None`: timestamps are not in use.
    pub(crate) ts_recent: Option<u32>,
    /// When it came.
    ts_recent_at: Instant,
    /// Last.ACK.sent
    pub(crate) last_ack: Seq,
    pub(crate) sack: SackUse,
    /// What came twice, and is told with the next acknowledgment; empty: nothing.
    pub(crate) dsack: Range,
    /// Payload inside the window found no memory, because the heap gave less than the pool was promised: the
    /// window is told to be closed until payload finds memory, or others give some back.
    refused: bool,
}

/// What came of payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reassembly {
    /// RCV.NXT moved on.
    InOrder,
    /// It is kept for later.
    OutOfOrder,
    /// It makes a hole too many.
    Refused,
    /// There was no memory for it.
    Dropped,
}

impl Receive {
    /// That of a connection which is yet to begin.
    pub(crate) const UNMADE: Receive = Receive {
        nxt: Seq(0),
        edge: Seq(0),
        queue: Chain::new(),
        readable: 0,
        ranges: Ranges::NONE,
        fin: None,
        finished: false,
        shut: false,
        limit: 0,
        limit_max: 0,
        taken: 0,
        taken_since: Instant::ZERO,
        taken_before: 0,
        scale: 0,
        ack: AckPolicy::new(0, 0),
        mss_seen: 0,
        mss: 0,
        ts_recent: None,
        ts_recent_at: Instant::ZERO,
        last_ack: Seq(0),
        sack: SackUse::Off,
        dsack: Range { start: Seq(0), end: Seq(0) },
        refused: false,
    };

    /// The handshake has come to its end. As many bytes as `queue`, which is empty, was promised are the window that the
    /// peer knows of. A peer that takes small segments sends no larger ones, as far as anybody can tell yet.
    pub(crate) fn begin(
        &mut self,
        nxt: Seq,
        queue: Chain,
        scale: u8,
        mss: [u16; 2],
        ts_recent: Option<u32>,
        cx: &Context<'_, '_>,
    ) {
        let [mss, peer_mss] = mss;
        (self.nxt, self.last_ack) = (nxt, nxt);
        (self.edge, self.queue) = (nxt + queue.reach(), queue);
        self.scale = scale;
        self.ack = AckPolicy::new(cx.options.quick_acks.unwrap_or(cx.config.quick_acks), 0);
        (self.mss, self.mss_seen) = (mss, mss.min(peer_mss).min(536));
        (self.taken_since, self.ts_recent_at) = (cx.now, cx.now);
        self.ts_recent = ts_recent;
    }

    /// It may hold so much.
    pub(crate) fn set_first_limit(&mut self, limit: u32, cx: &Context<'_, '_>) {
        (self.limit, self.limit_max) = (start(limit, cx), limit);
    }

    /// RCV.WND: what the peer may still send of what it was told.
    pub(crate) fn wnd(&self) -> u32 {
        self.edge.since(self.nxt)
    }

    /// Another largest window: what the scale can express of it. The edge stays where it is.
    pub(crate) fn set_limit(&mut self, limit: u32, cx: &Context<'_, '_>) {
        self.limit_max = limit.min((u16::MAX as u32) << self.scale);
        let least = start(self.limit_max, cx);
        self.limit = self.limit.clamp(least, self.limit_max);
    }

    /// The reader took `bytes`: the window is to hold twice what it took in this round trip and the one
    /// before. In slow start a sender has twice as much in flight with each round trip, so the window
    /// opens by two bytes with each that is read: in one step at the end of a round trip it would stall
    /// the sender, who would then send all of the step at once. As long as the buffer may grow, this is
    /// where it does.
    pub(crate) fn tune(&mut self, bytes: u32, rtt: Option<Duration>, now: Instant) {
        if self.limit >= self.limit_max {
            return;
        }
        let rtt = rtt.unwrap_or(RTT_UNKNOWN);
        let age = now.since(self.taken_since);
        if age >= rtt {
            self.taken_before = if age < rtt + rtt { self.taken } else { 0 };
            (self.taken, self.taken_since) = (0, now);
        }
        self.taken = self.taken.saturating_add(bytes);
        let wanted = self.taken.saturating_add(self.taken_before).saturating_mul(2);
        self.limit = self.limit.max(wanted).min(self.limit_max);
    }

    /// The largest window.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// What that may grow to.
    pub(super) fn limit_max(&self) -> u32 {
        self.limit_max
    }

    /// Our own MSS.
    pub(crate) fn mss(&self) -> u16 {
        self.mss
    }

    /// Shift of our windows.
    pub(crate) fn scale(&self) -> u8 {
        self.scale
    }

    /// The largest segment so far.
    pub(crate) fn mss_seen(&self) -> u16 {
        self.mss_seen
    }

    pub(crate) fn readable(&self) -> u32 {
        self.readable
    }

    /// May bytes beyond RCV.NXT be missing?
    pub(crate) fn has_hole(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Have acknowledgments nothing to say but RCV.NXT and the window?
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.ranges.is_empty() && self.dsack.is_empty()
    }

    /// Is it an old duplicate by its timestamp (PAWS)?
    //= rfc7323#5.3 R1
    #[inline]
    pub(crate) fn is_old(&self, timestamps: Option<Timestamps>, now: Instant) -> bool {
        let (Some(recent), Some(ts)) = (self.ts_recent, timestamps) else { return false };
        Seq(ts.value).before(Seq(recent)) && now.since(self.ts_recent_at) <= TIMESTAMP_AGE
    }

    /// Remembers the timestamp of a segment from `seq` on that lies in the window and is not old.
    //= rfc7323#5.3 R3
    #[inline]
    pub(crate) fn take_timestamp(&mut self, seq: Seq, timestamps: Option<Timestamps>, now: Instant) {
        if let (Some(_), Some(ts)) = (self.ts_recent, timestamps)
            && seq.at_or_before(self.last_ack)
        {
            self.ts_recent = Some(ts.value);
            self.ts_recent_at = now;
        }
    }

    /// Takes payload that starts at `seq`, cut to the window by the caller.
    pub(crate) fn payload(&mut self, pool: &mut Pool<'_>, seq: Seq, payload: Bytes<'_>) -> Reassembly {
        let len = to_u32(payload.len());
        self.note_segment(len);
        if self.shut {
            return self.payload_for_nobody(pool, seq, len);
        }
        if seq != self.nxt || !self.ranges.is_empty() {
            return self.payload_out_of_order(pool, seq, payload);
        }
        if !self.append(pool, payload) {
            self.refused = true;
            return Reassembly::Dropped;
        }
        self.advance(len);
        Reassembly::InOrder
    }

    /// The peer's segments are as large as this one at least. If this one finds memory, the peer is to know.
    #[inline]
    fn note_segment(&mut self, len: u32) {
        if self.reopens() {
            self.ack.now(AckReason::MemoryIsBack);
        }
        self.mss_seen = self.mss_seen.max(u16::try_from(len).unwrap_or(u16::MAX).min(self.mss));
    }

    /// So much payload came in order.
    #[inline]
    fn advance(&mut self, len: u32) {
        self.readable += len;
        self.nxt += len;
        self.ack.add_unacked(len);
    }

    /// Takes payload at RCV.NXT, where nothing is missing and somebody reads. False: there is no
    /// memory for all of it, and nothing was done.
    #[inline(always)] // at every frame
    pub(crate) fn expected_payload(&mut self, pool: &mut Pool<'_>, payload: Bytes<'_>) -> bool {
        let len = payload.len();
        if !self.append(pool, payload) {
            return false;
        }
        let len = to_u32(len);
        self.note_segment(len);
        self.advance(len);
        true
    }

    /// Appends payload inside the window, for which there is memory. False: there was none all the same,
    /// because the heap failed, and nothing was done.
    #[inline]
    fn append(&mut self, pool: &mut Pool<'_>, payload: Bytes<'_>) -> bool {
        let (before, front) = (self.queue.len(), payload.front());
        if front.len() < payload.len() {
            return self.append_pieces(pool, payload);
        }
        let is_whole = self.queue.append(pool, front, Need::Window) == front.len();
        if !is_whole {
            self.queue.truncate(pool, before);
        }
        is_whole
    }

    #[inline(never)]
    fn append_pieces(&mut self, pool: &mut Pool<'_>, payload: Bytes<'_>) -> bool {
        let before = self.queue.len();
        for piece in payload.chunks() {
            if self.queue.append(pool, piece, Need::Window) < piece.len() {
                self.queue.truncate(pool, before);
                return false;
            }
        }
        true
    }

    /// Payload that nobody reads is remembered, not kept: no memory was promised for it.
    fn payload_for_nobody(&mut self, pool: &mut Pool<'_>, seq: Seq, len: u32) -> Reassembly {
        let new = Range { start: seq, end: seq + len };
        if let Some(duplicate) = self.ranges.duplicate(pool, self.nxt, new) {
            self.on_duplicate(duplicate);
        }
        if seq != self.nxt {
            return match self.ranges.insert(pool, self.nxt, new, self.ranges_most()) {
                Inserted::Kept => Reassembly::OutOfOrder,
                Inserted::Refused => Reassembly::Refused,
            };
        }
        let nxt = self.ranges.advance(pool, new.end);
        self.ack.add_unacked(nxt.since(self.nxt));
        self.nxt = nxt;
        Reassembly::InOrder
    }

    fn payload_out_of_order(&mut self, pool: &mut Pool<'_>, seq: Seq, payload: Bytes<'_>) -> Reassembly {
        let in_order = seq == self.nxt;
        let offset = (self.readable + seq.since(self.nxt)) as usize;
        if !self.queue.reserve(pool, offset + payload.len(), Need::Window) {
            self.queue.truncate(pool, self.queue.len());
            self.refused = true;
            return Reassembly::Dropped;
        }
        let end = seq + to_u32(payload.len());
        let duplicate = self.ranges.duplicate(pool, self.nxt, Range { start: seq, end });
        let (most, new) = (self.ranges_most(), Range { start: seq, end });
        if !in_order && self.ranges.insert(pool, self.nxt, new, most) == Inserted::Refused {
            self.queue.truncate(pool, self.queue.len());
            return Reassembly::Refused;
        }
        if let Some(duplicate) = duplicate {
            self.on_duplicate(duplicate);
        }
        let mut at = offset;
        for piece in payload.chunks() {
            at += self.queue.write(pool, at, piece);
        }
        if !in_order {
            return Reassembly::OutOfOrder;
        }
        let nxt = self.ranges.advance(pool, end);
        self.readable += nxt.since(self.nxt);
        self.ack.add_unacked(nxt.since(self.nxt));
        self.nxt = nxt;
        Reassembly::InOrder
    }

    /// The blocks of the next acknowledgment: what came twice, then what lies beyond holes.
    //= rfc2018#4
    //= rfc2883#4: the duplicate comes first
    pub(crate) fn sack_blocks(&self, pool: &Pool<'_>) -> Sack {
        let mut sack = Sack::default();
        if self.sack != SackUse::Off && (self.has_hole() || !self.dsack.is_empty()) {
            if !self.dsack.is_empty() {
                sack.push(self.dsack);
            }
            self.ranges.report(pool, self.nxt, self.sack_room(), &mut sack);
        }
        sack
    }

    /// How many ranges may lie beyond RCV.NXT.
    fn ranges_most(&self) -> usize {
        ranges::most(self.limit, self.mss_seen)
    }

    /// How many ranges fit in an acknowledgment.
    fn sack_room(&self) -> usize {
        SACK_BLOCKS
            .saturating_sub(usize::from(self.ts_recent.is_some()) + usize::from(!self.dsack.is_empty()))
    }

    /// The peer's FIN has come: bytes queued beyond a hole might lie behind it. The peer sends again
    /// those that do not.
    pub(crate) fn forget_out_of_order(&mut self, pool: &mut Pool<'_>) {
        if self.has_hole()
            && self
                .fin
                .is_some_and(|f| self.shut || to_u32(self.queue.len()) > self.readable + f.since(self.nxt))
        {
            self.ranges.clear(pool);
            self.queue.truncate(pool, self.readable as usize);
        }
    }

    /// Takes the peer's FIN if everything before it is here. True if that just happened.
    pub(crate) fn reach_fin(&mut self, pool: &mut Pool<'_>) -> bool {
        if self.finished || self.fin != Some(self.nxt) {
            return false;
        }
        self.nxt += 1;
        self.edge = self.edge.later_of(self.nxt);
        self.finished = true;
        self.keep_promise(pool);
        true
    }

    /// Nobody reads any more, and what is here is dropped. Payload that still comes is dropped, and
    /// answered by a reset.
    pub(crate) fn shut(&mut self, pool: &mut Pool<'_>) {
        self.clear(pool);
        self.shut = true;
    }

    /// The number of the next byte to be read.
    pub(crate) fn read_to(&self) -> Seq {
        self.nxt - self.readable - u32::from(self.finished)
    }

    /// Moves readable bytes to the application.
    pub(crate) fn read(&mut self, pool: &mut Pool<'_>, to: &mut [u8]) -> usize {
        let done = self.peek(pool, to);
        self.consume(pool, done);
        done
    }

    /// Copies readable bytes, which stay.
    pub(crate) fn peek(&self, pool: &Pool<'_>, to: &mut [u8]) -> usize {
        let want = to.len().min(self.readable as usize);
        self.queue.copy_out(pool, 0, &mut to[..want])
    }

    /// Shows `look` the readable bytes, and how many these are.
    pub(crate) fn lend<R>(&self, pool: &Pool<'_>, look: impl FnOnce(&[&[u8]], usize) -> R) -> R {
        self.queue.lend(pool, 0, self.readable as usize, look)
    }

    /// Drops `n` readable bytes from the front.
    pub(crate) fn consume(&mut self, pool: &mut Pool<'_>, n: usize) {
        let n = n.min(self.readable as usize);
        self.readable -= to_u32(n);
        self.queue.consume(pool, n);
    }

    /// Gives all memory back.
    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.queue.clear(pool);
        self.ranges.clear(pool);
        self.readable = 0;
        self.dsack = Range::default();
    }

    /// What is left for the reader when the connection itself is over.
    pub(crate) fn take_rest(&mut self, pool: &mut Pool<'_>) -> Chain {
        self.ranges.clear(pool);
        self.queue.truncate(pool, self.readable as usize);
        self.queue.promise(pool, 0);
        core::mem::take(&mut self.queue)
    }

    /// Our own invariants, for tests and the simulation.
    pub(crate) fn check(&self, pool: &Pool<'_>, audit: &mut Audit) {
        let marks = [Some(self.edge), Some(self.last_ack), self.fin];
        assert!(
            marks.iter().flatten().all(|seq| seq.is_near(self.nxt)),
            "a number was left behind: {self:?}"
        );
        let told = self.dsack.is_empty() || self.dsack.end.is_near(self.nxt);
        assert!(told, "a duplicate of long ago is still to be told");
        let open = if self.finished || self.shut { 0 } else { self.wnd() };
        assert_eq!(self.queue.reach(), self.readable + open, "memory for the window is not promised");
        self.queue.audit(pool, audit);
        assert!(self.nxt.at_or_before(self.edge), "the window edge is behind RCV.NXT");
        assert!(self.readable as usize <= self.queue.len(), "more readable than queued");
        assert!(!self.ranges.is_empty() || self.queue.len() == self.readable as usize, "bytes of no range");
    }
}
