//! The sending half of a synchronized connection: SND.* of RFC 9293 §3.3.1, and what may go out.

mod ack_event;
pub(crate) mod congestion;
#[cfg(not(feature = "pacing"))]
#[path = "no_pacing.rs"]
pub(crate) mod pacing;
#[cfg(feature = "pacing")]
pub(crate) mod pacing;
pub(crate) mod plpmtud;
#[cfg(not(feature = "sack"))]
#[path = "no_sack.rs"]
pub(crate) mod recovery;
#[cfg(feature = "sack")]
pub(crate) mod recovery;
pub(crate) mod rtt;
#[cfg(not(feature = "sack"))]
#[path = "no_scoreboard.rs"]
pub(crate) mod scoreboard;
#[cfg(feature = "sack")]
pub(crate) mod scoreboard;
pub(crate) mod timer;
pub(crate) mod xmit_time;

use super::config::TcpConfig;
use super::receive::START;
use crate::base::pool::{Chain, Cursor, Pool};
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::send::congestion::Controller;
use crate::tcp::send::plpmtud::SegmentSize;
use crate::tcp::send::recovery::Recovery;
use crate::tcp::send::rtt::Rtt;
use crate::tcp::send::scoreboard::Scoreboard;
use crate::time::Instant;
use core::cell::Cell;
pub(crate) use timer::SendTimer;
use timer::Timers;

/// Our FIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fin {
    /// The application may still write.
    Open,
    /// It follows the last byte of the queue.
    Queued,
    /// The peer has it.
    Acked,
}

/// What may be sent now from SND.NXT on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sendable {
    pub(crate) len: u32,
    pub(crate) fin: bool,
}

impl Sendable {
    const NOTHING: Sendable = Sendable { len: 0, fin: false };
}

/// SND.* and what belongs to it.
#[derive(Debug)]
pub(crate) struct Send {
    /// SND.UNA; the queue starts here.
    pub(crate) una: Seq,
    /// SND.NXT; goes back to SND.UNA when the peer has closed its window over what was sent.
    pub(crate) nxt: Seq,
    /// The highest number ever sent, plus one: SND.NXT, but for that and for window probes.
    pub(crate) max: Seq,
    /// SND.WND in bytes, and the segment that it came from.
    pub(crate) wnd: u32,
    pub(crate) wl1: Seq,
    pub(crate) wl2: Seq,
    /// The largest window that the peer ever offered.
    pub(crate) wnd_max: u32,
    /// Shift of the peer's windows.
    pub(crate) scale: u8,
    /// Payload bytes of a full segment: effective send MSS, options subtracted.
    pub(crate) mss: u16,
    /// What that follows from.
    pub(crate) size: SegmentSize,
    /// Everything from SND.UNA on that was written and not acknowledged.
    pub(crate) queue: Chain,
    /// Near SND.NXT in the queue. A hint for the next look: it decides nothing.
    pub(crate) cursor: Cell<Cursor>,
    pub(crate) fin: Fin,
    /// Largest length of the queue.
    pub(crate) limit: u32,
    /// As long as it is not needed, less is: what [`room`](Send::room) says.
    pub(crate) tuned: bool,
    /// End of the last segment that was not full (Minshall's refinement of Nagle's rule).
    small_end: Seq,
    pub(crate) nodelay: bool,
    /// What is not a full segment waits, for 200 ms at most.
    pub(crate) cork: bool,
    /// PUSH (RFC 9293 §3.9.1.2): a last segment that is not full waits for nothing but the windows.
    pushed: bool,
    pub(crate) rtt: Rtt,
    pub(crate) controller: Controller,
    /// From SND.UNA to SND.NXT.
    pub(crate) scoreboard: Scoreboard,
    pub(crate) recovery: Recovery,
    timers: Timers,
    /// Since when the peer owes an answer: R2 counts from here.
    pub(crate) since: Instant,
    /// When something was last sent, to notice idle times.
    pub(crate) sent_at: Instant,
    /// A window probe is due.
    pub(crate) probe: bool,
    /// Added to the clock for our timestamps.
    pub(crate) ts_offset: u32,
}

impl Send {
    /// That of a connection which is yet to begin.
    #[expect(clippy::declare_interior_mutable_const, reason = "each use is a place of its own")]
    pub(crate) const UNMADE: Send = Send {
        una: Seq(0),
        nxt: Seq(0),
        max: Seq(0),
        wnd: 0,
        wl1: Seq(0),
        wl2: Seq(0),
        wnd_max: 0,
        scale: 0,
        mss: 0,
        size: SegmentSize::UNMADE,
        queue: Chain::new(),
        cursor: Cell::new(Cursor::FRONT),
        fin: Fin::Open,
        limit: 0,
        tuned: false,
        small_end: Seq(0),
        nodelay: false,
        cork: false,
        pushed: false,
        rtt: Rtt::new(),
        controller: Controller::UNMADE,
        scoreboard: Scoreboard::new(Seq(0)),
        recovery: Recovery::new(Seq(0)),
        timers: Timers::STOPPED,
        since: Instant::ZERO,
        sent_at: Instant::ZERO,
        probe: false,
        ts_offset: 0,
    };

    /// The handshake has come to its end.
    pub(crate) fn begin(&mut self, iss: Seq, size: SegmentSize, now: Instant) {
        let una = iss + 1;
        (self.una, self.nxt, self.max) = (una, una, una);
        (self.wl2, self.small_end) = (una, una);
        (self.mss, self.size) = (size.mss(), size);
        self.scoreboard = Scoreboard::new(una);
        self.recovery = Recovery::new(iss);
        (self.since, self.sent_at) = (now, now);
    }

    /// See [`park`](crate::tcp::connection::idle): nothing is queued or in flight.
    pub(super) fn park(&self, rcv_nxt: Seq, to: &mut Packer) -> Option<()> {
        let Send {
            una,
            nxt,
            max,
            wnd,
            wl1,
            wl2,
            wnd_max,
            scale,
            mss: _,
            size,
            queue,
            cursor: _,
            fin,
            limit,
            tuned,
            small_end,
            nodelay,
            cork,
            pushed: _,
            rtt,
            scoreboard: _,
            controller,
            recovery,
            timers,
            since: _,
            sent_at,
            probe,
            ts_offset: _,
        } = self;
        let at_rest = nxt == una && max == una && queue.is_empty() && small_end.at_or_before(*una);
        if !at_rest || *fin == Fin::Queued || *timers != Timers::STOPPED || *probe {
            return None;
        }
        to.word(una.0);
        to.number(*wnd);
        to.number(wnd_max.wrapping_sub(*wnd));
        to.near(*wl1, rcv_nxt);
        to.near(*wl2, *una);
        to.number(*scale);
        to.number(*limit);
        to.bits([*fin == Fin::Acked, *nodelay, *cork, *tuned]);
        to.instant(*sent_at);
        size.park(to)?;
        rtt.park(to);
        controller.park(*una, to)?;
        recovery.park(*una, to)
    }

    /// The other way.
    pub(super) fn unpark(rcv_nxt: Seq, from: &mut Unpacker<'_>) -> Send {
        let una = Seq(from.word());
        let wnd = from.number() as u32;
        let wnd_max = wnd.wrapping_add(from.number() as u32);
        let wl1 = from.near(rcv_nxt);
        let wl2 = from.near(una);
        let (scale, limit) = (from.number() as u8, from.number() as u32);
        let [is_closed, nodelay, cork, tuned] = from.bits();
        let sent_at = from.instant();
        let size = SegmentSize::unpark(from);
        let rtt = Rtt::unpark(from);
        let controller = Controller::unpark(una, from);
        let recovery = Recovery::unpark(una, from);
        Send {
            una,
            nxt: una,
            max: una,
            wnd,
            wl1,
            wl2,
            wnd_max,
            scale,
            mss: size.mss(),
            size,
            queue: Chain::new(),
            cursor: Cell::new(Cursor::FRONT),
            fin: if is_closed { Fin::Acked } else { Fin::Open },
            limit,
            tuned,
            small_end: una,
            nodelay,
            cork,
            pushed: false,
            rtt,
            controller,
            scoreboard: Scoreboard::new(una),
            recovery,
            timers: Timers::STOPPED,
            since: sent_at,
            sent_at,
            probe: false,
            ts_offset: 0,
        }
    }

    /// Sequence numbers in flight, a FIN included.
    pub(crate) fn flight(&self) -> u32 {
        self.nxt.since(self.una)
    }

    /// Payload that went out at least once.
    pub(crate) fn text_sent(&self) -> u32 {
        self.max.since(self.una).min(self.queue.len() as u32)
    }

    /// SND.UNA moves on to `ack`, and with it the marks that it passes.
    pub(crate) fn advance(&mut self, ack: Seq) {
        self.una = ack;
        self.nxt = self.nxt.later_of(ack);
        self.small_end = self.small_end.later_of(ack);
        self.recovery.follow(ack);
    }

    /// The number of a segment without payload: the highest, not one set back by a timeout (H041). But
    /// what a probe carried was not taken, and the next number would lie outside the closed window.
    pub(crate) fn seq_without_text(&self) -> Seq {
        if self.wnd == 0 && self.awaits(SendTimer::Persist) { self.nxt } else { self.max }
    }

    /// The peer has closed its window over what was sent: that counts as never sent.
    //= rfc9293#3.8.6 MUST-35
    pub(crate) fn go_back(&mut self, pool: &mut Pool<'_>) {
        self.nxt = self.una;
        self.small_end = self.una;
        self.scoreboard.clear(pool, self.una);
        self.recovery.on_start();
    }

    /// The application writes: after an idle time the window is no longer known to fit the path.
    //= rfc5681#4.1
    #[inline]
    pub(crate) fn note_idle(&mut self, now: Instant, config: &TcpConfig) {
        if self.unsent() > 0 {
            return;
        }
        if self.flight() == 0 {
            self.controller.on_idle(now.since(self.sent_at), self.rtt.rto(config), now); // H048
        }
        self.controller.on_dry(self.flight(), now);
    }

    /// The size of segments has changed.
    pub(crate) fn set_size(&mut self) {
        self.mss = self.size.mss();
        self.controller.on_mss(self.mss);
    }

    /// The length of a probe for longer segments, if it is time for one and `sendable` bytes may go
    /// out: new payload, while nothing is missing that would be mixed up with it.
    pub(crate) fn size_probe(&self, sendable: u32, now: Instant) -> Option<u16> {
        let is_expected_ecn = self.nxt == self.max && self.is_open();
        self.size.probe(sendable, now).filter(|_| is_expected_ecn)
    }

    /// Bytes of the queue that SND.NXT has not passed.
    #[inline]
    pub(crate) fn unsent(&self) -> u32 {
        (self.queue.len() as u32).saturating_sub(self.flight())
    }

    /// Is the FIN due and SND.NXT not beyond it?
    fn fin_unsent(&self) -> bool {
        self.fin == Fin::Queued && self.flight() <= self.queue.len() as u32
    }

    /// Is there anything that SND.NXT has not passed?
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent() > 0 || self.fin_unsent()
    }

    /// So much it may have queued in any case.
    #[inline]
    pub(crate) fn queue_max_least(&self) -> u32 {
        if self.tuned { START.min(self.limit) } else { self.limit }
    }

    /// How much the application may have queued: if the buffer is tuned, as many congestion windows as the law asks
    /// for, of which one is in flight.
    pub(crate) fn queue_max(&self) -> u32 {
        let tuned =
            || self.controller.window().saturating_mul(self.controller.windows()).max(START).min(self.limit);
        if self.tuned { tuned() } else { self.limit }
    }

    /// Is a byte to be sent to see whether the window is still closed? One that is open takes more, the
    /// ordinary way.
    pub(crate) fn probes_closed_window(&self) -> bool {
        self.probe && self.wnd == 0
    }

    /// What may go out now, at most `most` bytes of it.
    pub(crate) fn sendable(&self, most: u32) -> Sendable {
        let pacer = self.controller.pacer();
        if !pacer.is_open() {
            return Sendable::NOTHING;
        }
        self.permitted(most.min(pacer.most()))
    }

    /// Is there anything that may go out now? With nothing in flight the timer says so: whatever changes what is
    /// permitted sets it ([`update_timer`](Send::update_timer)).
    pub(crate) fn has_sendable(&self) -> bool {
        let pacer = self.controller.pacer();
        match self.timers.running() {
            _ if !pacer.is_open() => false,
            Some(SendTimer::Unsent) => true,
            Some(SendTimer::Persist) | None => false,
            Some(_) => self.has_unsent() && self.permitted(pacer.most()) != Sendable::NOTHING,
        }
    }

    /// `len` bytes of the queue from `offset` on, in pieces.
    #[inline]
    pub(crate) fn pieces<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        offset: u32,
        len: u32,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        let mut cursor = self.cursor.get();
        let found = self.queue.pieces(pool, &mut cursor, offset as usize, len as usize, pieces);
        self.cursor.set(cursor);
        found
    }

    /// Is nothing but new payload to be sent, and everything so far on its way once?
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.nxt == self.max
            && !self.probe
            && self.fin != Fin::Queued
            && !self.size.is_searching()
            && self.is_open()
    }

    /// What [`sendable`](Send::sendable) says where [all is plain](Send::is_plain): no FIN waits.
    #[inline]
    pub(crate) fn plain_len(&self, most: u32) -> u32 {
        if self.unsent() > 0 { self.sendable(most).len } else { 0 }
    }

    /// What may go out sooner or later without another word of the peer: windows, Nagle's rule and the sender's
    /// silly-window avoidance.
    //= rfc9293#3.8.6.2.1 MUST-38
    //= rfc9293#3.7.4 SHLD-7
    #[inline]
    fn permitted(&self, most: u32) -> Sendable {
        // Most of what is written: no more than a segment, which fits the windows with all that is in flight.
        let (unsent, mss) = (self.unsent(), u32::from(self.mss));
        let is_little = unsent.wrapping_sub(1) < mss && mss <= most && self.fin == Fin::Open;
        let fits = self.queue.len() <= self.wnd.min(self.cwnd()) as usize;
        if is_little && fits && (unsent == mss || self.small_may_go(self.cork)) {
            return Sendable { len: unsent, fin: false };
        }
        self.permitted_of(unsent, most)
    }

    /// The same of so much that is unsent, step by step.
    fn permitted_of(&self, unsent: u32, most: u32) -> Sendable {
        let fin = self.fin_unsent();
        if unsent == 0 && !fin {
            return Sendable::NOTHING;
        }
        let mss = u32::from(self.mss);
        let cwnd = self.cwnd().saturating_sub(self.pipe());
        let window = self.wnd.saturating_sub(self.flight());
        // A probe of the tail is a new segment if there is one, with payload: few peers say of a FIN alone
        // that it has arrived.
        let probes = self.recovery.probe_is_due() && unsent > 0;
        // What waited too long for a window takes what there is of it.
        let cwnd = if probes || self.probe { cwnd.max(mss) } else { cwnd };
        let usable = window.min(cwnd);
        if usable == 0 && unsent > 0 {
            return Sendable::NOTHING;
        }
        // A super-segment may be limited to less than one segment of a link with a huge MTU.
        let mss = mss.min(most);
        let len = unsent.min(usable).min(most);
        // A FIN is no data: the congestion window has nothing to say about it.
        //= rfc5681#2
        if len == unsent && fin && len < window {
            return Sendable { len, fin: true };
        }
        let tail = len % mss;
        if tail == 0 {
            return Sendable { len, fin: false };
        }
        let tail_may_go = if len < unsent {
            // Cut off by a window or by `most`. A peer whose window was never larger than this
            // must be served as well.
            let worth_it = usable >= self.wnd_max / 2 || self.probe;
            len < mss && self.flight() == 0 && worth_it && len < most
        } else {
            // The end of what was written. One segment that is not full may be in flight.
            fin || probes || self.probe || self.small_may_go(self.cork && len < usable)
        };
        Sendable { len: if tail_may_go { len } else { len - tail }, fin: false }
    }

    /// May the end of what was written go, a segment that is not full? By Nagle's rule one of them is in flight at
    /// most; a cork holds it. Who pushes overrules both.
    #[inline]
    fn small_may_go(&self, is_corked: bool) -> bool {
        self.pushed || (!is_corked && (self.nodelay || self.small_end.at_or_before(self.una)))
    }

    /// PUSH: what is written so far goes as soon as the windows let it.
    pub(crate) fn push(&mut self) {
        self.pushed = self.unsent() > 0;
    }

    /// `len` bytes and perhaps the FIN went out from SND.NXT on.
    #[inline]
    pub(crate) fn on_sent(&mut self, seq_len: u32, text_len: u32, pool: &mut Pool<'_>, now: Instant) {
        let again = self.nxt.before(self.max);
        if self.una == self.max {
            self.since = now;
            self.recovery.on_start();
        }
        self.nxt += seq_len;
        self.max = self.max.later_of(self.nxt);
        self.scoreboard.push(pool, self.nxt, now, again);
        self.recovery.on_new_sent(seq_len);
        self.controller.on_sent(self.nxt, self.pipe(), text_len, now);
        if !text_len.is_multiple_of(self.mss as u32) {
            self.small_end = self.nxt;
        }
        if self.pushed {
            self.push();
        }
    }

    /// Our own invariants, for tests and the simulation.
    pub(crate) fn check(&self, rcv_nxt: Seq) {
        for seq in [self.nxt, self.max, self.wl2, self.small_end] {
            assert!(seq.is_near(self.una), "a number of the sender was left behind: {self:?}");
        }
        assert!(self.wl1.is_near(rcv_nxt), "SND.WL1 was left behind");
        self.recovery.check(self.una);
        self.controller.check(self.una);
        self.size.check(self.una);
        assert!(self.una.at_or_before(self.nxt), "SND.UNA is beyond SND.NXT");
        assert!(self.nxt.at_or_before(self.max), "SND.NXT is beyond the highest number sent");
        let end = self.una + self.queue.len() as u32 + (self.fin == Fin::Queued) as u32;
        assert!(self.max.at_or_before(end), "more sent than written");
        let waiting = self.flight() > 0;
        let has_timer = !matches!(self.timers.running(), None | Some(SendTimer::Persist | SendTimer::Unsent));
        assert!(!waiting || has_timer, "in flight without a timer");
        let sendable = self.sendable(u32::MAX) != Sendable::NOTHING;
        assert_eq!(self.has_sendable(), sendable, "the timer does not know what may go out: {self:?}");
        self.scoreboard.check(self.una, self.nxt);
    }
}
