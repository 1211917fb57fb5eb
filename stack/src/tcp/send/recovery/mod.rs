//! Loss recovery at the sender: what an acknowledgment says about what is in flight, what is taken as
//! lost, and when it goes out again.
//!
//! With SACK, [`rack`] finds losses by time, and a probe in the tail of a transfer makes the peer
//! speak ([`tail`], both RFC 8985). Without, duplicates are counted: fast recovery as NewReno has it
//! (RFC 5681 §3.2, RFC 6582). In either case [`prr`] measures out what goes, and [`undo`] takes back
//! what was for nothing. The rest of the sender sees three things: what is lost
//! ([`resendable`](Send::resendable)), what is on its way ([`pipe`](Send::pipe)), and the window.

mod delivery;
mod phases;
mod prr;
mod rack;
mod tail;
mod undo;

pub(crate) use super::ack_event::AckEvent;
pub use super::ack_event::RecoveryPhase;
use super::congestion::Cause;
use super::scoreboard::{Records, SegmentStatus, XmitTime};
use crate::counters::TcpCount;
use crate::seq::{Range, Seq};
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::context::Context;
use delivery::News;

use crate::tcp::segment::SACK_BLOCKS;
use crate::tcp::send::{Send, SendTimer};
use crate::time::{Duration, Instant};
use RecoveryPhase as Phase;
use prr::Prr;
use rack::Rack;
use tail::Tail;
use undo::{Frto, Undo};

/// Duplicates, or segments that arrived behind a gap, that stand for a loss.
//= rfc5681#3.2 step 2
const THRESHOLD: u8 = 3;

/// More segments that were sent again are not counted, so that as many duplicates and three can be.
const NEEDLESS_MAX: u8 = 200;
/// µs by which a timestamp of milliseconds may be early.
const CLOCK: u32 = 1000;

/// The state of recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// Both ends do SACK.
    pub(crate) sack: bool,
    phase: Phase,
    /// Recovery lasts until this is acknowledged: RecoveryPoint of RFC 6675, "recover" of RFC 6582.
    point: Seq,
    /// Without SACK: duplicates in a row, and the bytes that they say have arrived.
    duplicates: u8,
    /// Segments that the last recovery sent again, and that may have been needless: each makes a duplicate.
    needless: u8,
    arrived: u32,
    prr: Prr,
    rack: Rack,
    tail: Tail,
    undo: Option<Undo>,
    frto: Frto,
    /// Times in a row that something was sent again because it was overdue.
    overdue: u8,
    /// The first lost segment goes out whatever the window says.
    force: bool,
    /// Something was acknowledged since the timer fired.
    answered: bool,
}

impl Recovery {
    pub(crate) const fn new(start: Seq) -> Self {
        Recovery {
            sack: false,
            phase: Phase::Open,
            point: start,
            duplicates: 0,
            needless: 0,
            arrived: 0,
            prr: Prr::NONE,
            rack: Rack::new(start),
            tail: Tail::NONE,
            undo: None,
            frto: Frto::Off,
            overdue: 0,
            force: false,
            answered: false,
        }
    }

    pub(crate) fn phase(&self) -> RecoveryPhase {
        self.phase
    }

    /// Nothing is in flight: what was learned of times is of no use for what is sent next.
    pub(crate) fn on_start(&mut self) {
        self.rack.forget_time();
    }

    /// New payload went out: what PRR measures out is spent on it, too.
    //= rfc9937#6: prr_out counts what is sent during recovery, new or again
    pub(in crate::tcp) fn on_new_sent(&mut self, len: u32) {
        if self.phase == Phase::Fast {
            self.prr.on_sent(len);
        }
    }

    /// SND.UNA moves on. While nothing is recovered, the point that it has passed stays just behind it.
    pub(in crate::tcp) fn follow(&mut self, una: Seq) {
        if self.phase == Phase::Open {
            self.point = self.point.later_of(una - 1);
        }
    }

    /// Our own invariants, for tests and the simulation.
    pub(in crate::tcp) fn check(&self, una: Seq) {
        assert!(self.point.is_near(una), "the recovery point was left behind: {self:?}");
        self.rack.check(una);
        let ends =
            [self.tail.end(), self.undo.and_then(|undo| undo.until), self.undo.map(|undo| undo.from())];
        let all = ends.iter().flatten().all(|seq| seq.is_near(una));
        assert!(all, "a number of recovery was left behind: {self:?}");
    }

    /// Does the path reorder, as far as was seen?
    pub(crate) fn is_reordered(&self) -> bool {
        self.rack.reordered
    }

    /// Times in a row that something was sent again because it was overdue.
    pub(crate) fn overdue(&self) -> u8 {
        self.overdue
    }

    /// Is a tail loss probe to be sent?
    pub(crate) fn probe_is_due(&self) -> bool {
        self.tail.due
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open && self.duplicates == 0 && !self.tail.is_out() && self.undo.is_none()
    }
}

impl Send {
    /// Is nothing missing, and nothing known but what came in order?
    pub(crate) fn is_open(&self) -> bool {
        self.recovery.is_open() && self.scoreboard.is_plain()
    }

    /// Bytes on their way, as far as is known: what is in flight, less what has arrived and what is
    /// lost.
    //= rfc6675#4: SetPipe
    pub(crate) fn pipe(&self) -> u32 {
        let gone = self.scoreboard.sacked() + self.scoreboard.lost() + self.recovery.arrived;
        self.flight().saturating_sub(gone)
    }

    /// Bytes that may be on their way.
    pub(crate) fn cwnd(&self) -> u32 {
        match self.recovery.phase {
            // Without congestion control recovery has no measure either.
            Phase::Fast if self.controller.ssthresh() < u32::MAX => self.recovery.prr.window,
            Phase::Fast | Phase::Open | Phase::Loss => self.controller.window(),
        }
    }

    /// What is lost and may go out now, `most` bytes of it at most: a stretch to be sent again.
    //= rfc6675#4: NextSeg (1)
    pub(crate) fn resendable(&self, most: u32) -> Option<Range> {
        let lost = self.scoreboard.next_lost()?;
        if self.recovery.frto == Frto::Second && self.has_unsent() {
            return None;
        }
        // A super-segment may be limited to less than one segment of a link with a huge MTU.
        let mss = (self.mss as u32).min(most);
        let cwnd = self.cwnd().saturating_sub(self.pipe());
        let cwnd = if self.recovery.force { cwnd.max(mss) } else { cwnd };
        // Not beyond what the peer's window is now (RFC 9293 §3.8.6, SHLD-15).
        let wnd = (self.una + self.wnd).later_of(lost.start).since(lost.start);
        let len = lost.len().min(wnd);
        let len = if len <= cwnd.min(most) { len } else { full(cwnd.min(most), mss) };
        (len > 0).then(|| Range { start: lost.start, end: lost.start + len })
    }

    /// `range` went out again.
    pub(crate) fn on_resent(&mut self, range: Range, clock: u32, cx: &mut Context<'_, '_>) {
        self.scoreboard.edit(cx.pool, |records| records.resend(range, cx.now));
        let recovery = &mut self.recovery;
        recovery.force = false;
        recovery.prr.on_sent(range.len());
        let segments = range.len().div_ceil(u32::from(self.mss)).min(NEEDLESS_MAX.into()) as u8;
        recovery.needless = recovery.needless.saturating_add(segments).min(NEEDLESS_MAX);
        if let Some(undo) = &mut recovery.undo {
            undo.on_resent(range, clock);
        }
        //= rfc6298#5.1
        if range.start == self.una && !self.awaits(SendTimer::Reorder) {
            self.restart_timer(cx.now, cx.config);
        }
    }

    /// An acknowledgment of new data where [all is smooth](Self::is_open).
    pub(crate) fn on_ack_in_order(&mut self, acked: u32, cx: &mut Context<'_, '_>) {
        let sent = self.scoreboard.advance(cx.pool, self.una);
        self.recovery.rack.on_progress(self.una, sent, XmitTime::of(cx.now));
        let rtt = sent.map(|sent| self.rtt.sample(elapsed(cx.now, sent), cx.now, cx.config));
        self.learn_ack_delay(acked, rtt);
        self.rtt.forget_back_off();
        self.tell_controller(acked, acked, rtt, cx.now);
        self.since = cx.now;
        self.restart_timer(cx.now, cx.config);
    }

    /// Any other acknowledgment. Returns whether the window was reduced.
    pub(crate) fn on_ack_slow(&mut self, heard: &AckEvent<'_>, cx: &mut Context<'_, '_>) -> bool {
        let dsack = self.duplicate_in(heard);
        if let Some(range) = dsack {
            cx.count(TcpCount::DuplicatesReported);
            self.take_duplicate(range);
        }
        let mut news = self.take_news(heard, cx.pool, cx.now);
        if news.delivered > 0 || dsack.is_some() {
            self.recovery.overdue = 0; // the path answers
        }
        let rtt = self.measure(heard, dsack, &news, cx);
        self.recovery.tail.due &= heard.acked == 0 && news.delivered == 0;
        if self.shows_undo(heard, dsack, &news) {
            self.undo(cx);
        }
        let repaired = self.recovery.tail.shows_loss(heard.ack);
        if repaired {
            //= rfc8985#7.4.2: congestion control has to know
            self.controller.on_congestion(Cause::Loss, self.flight(), cx.now);
        }
        if !self.recovery.sack {
            self.count_duplicates(heard, &mut news, cx.pool);
        }
        let reduced = self.move_on(heard, &news, cx) || repaired;
        self.tell_controller(heard.acked, news.delivered, rtt, cx.now);
        if heard.acked > 0 {
            self.since = cx.now;
        }
        // What the other timers wait for may have changed.
        if heard.acked > 0 || self.is_free() || self.awaits(SendTimer::Tlp) {
            self.timers.stop();
        }
        self.note_wait(news.wait, cx.now);
        self.update_timer(cx.now, cx.config);
        reduced
    }

    /// Is it evident now that nothing was lost (H054), by timestamps (RFC 3522), DSACK (RFC 3708) or F-RTO (RFC
    /// 5682)?
    fn shows_undo(&mut self, heard: &AckEvent<'_>, dsack: Option<Range>, news: &News) -> bool {
        let una = self.una;
        let may_send = self.has_unsent() && self.flight() < self.wnd;
        let recovery = &mut self.recovery;
        let by_frto = recovery.frto(heard, news, una, may_send);
        let Recovery { undo: Some(undo), rack, sack, phase, .. } = recovery else { return false };
        // What came twice, or may have, came in time: the acknowledgments of it were lost.
        //= rfc3522#3.2 step 6; with SACK the peer is taken to tell what came twice
        let came_twice = if *sack { dsack.is_some() } else { una == self.nxt };
        let by_time = heard.acked > 0
            && *phase != Phase::Open
            && !came_twice
            && undo.is_shown_by(heard.timestamps, una);
        let by_dsack = dsack.is_some_and(|range| undo.on_dsack(range));
        // All of it was late, and had gone again before it arrived, so RACK did not see that it was only late
        // (H055). Other evidence is of a part of it, and may come first.
        rack.reordered |= by_dsack && undo.is_of_overtaken();
        (by_dsack || by_time || by_frto) && !undo.undone
    }

    /// The reordering timer fired. Returns whether the window was reduced.
    pub(crate) fn on_reorder(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let stamp = XmitTime::of(cx.now);
        let Send { scoreboard, recovery, rtt, mss, .. } = self;
        let wait = scoreboard.edit(cx.pool, |records| {
            let urgent = recovery.phase != Phase::Open || is_certain(records, *mss);
            recovery.rack.detect(records, rtt, urgent, stamp)
        });
        self.timers.stop();
        let begins = self.begins(cx);
        if begins {
            self.begin_fast(0, cx.now);
        }
        self.recovery.force |= self.scoreboard.lost() > 0;
        self.note_wait(wait, cx.now);
        self.update_timer(cx.now, cx.config);
        begins
    }

    /// The retransmission timer fired: the first segment is lost, and all that was sent so long ago
    /// that it is due (RFC 6298 §5.4 to §5.6, RFC 5681 §3.1). Returns whether the window had been
    /// reduced for the same data before.
    pub(crate) fn on_timeout(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let again = self.recovery.phase != Phase::Open;
        self.controller.on_timeout(self.nxt.since(self.una), cx.now, again);
        if !self.spares_back_off() {
            self.rtt.back_off();
        }
        let recovery = &mut self.recovery;
        recovery.overdue = recovery.overdue.saturating_add(1);
        if !again {
            recovery.undo = Some(Undo::new(self.una));
            recovery.point = self.max;
            recovery.needless = 0;
        }
        if let Some(undo) = &mut recovery.undo {
            undo.on_timeout();
        }
        //= rfc5682#2.1: not for what was sent again by an earlier timeout
        recovery.frto = if recovery.phase == Phase::Loss { Frto::Off } else { Frto::First };
        recovery.phase = Phase::Loss;
        (recovery.duplicates, recovery.arrived) = (0, 0);
        recovery.tail = Tail::default();
        recovery.answered = false;
        recovery.force = true;
        let Recovery { rack, sack, .. } = *recovery;
        let rtt = &self.rtt;
        self.scoreboard.edit(cx.pool, |records| {
            if !sack || is_reneged(records) {
                return records.each(|_, record| record.status = SegmentStatus::Lost);
            }
            rack.on_timeout(records, rtt, XmitTime::of(cx.now));
        });
        self.restart_timer(cx.now, cx.config);
        again
    }
}

impl Recovery {
    /// See [`park`](crate::tcp::connection::idle): no recovery goes on.
    pub(in crate::tcp) fn park(&self, una: Seq, to: &mut Packer) -> Option<()> {
        let Recovery {
            sack,
            phase,
            point,
            duplicates,
            needless,
            arrived,
            prr: _,
            rack,
            tail,
            undo,
            frto: _,
            overdue: _,
            force,
            answered,
        } = self;
        let is_busy = *phase != Phase::Open || *duplicates > 0 || *arrived > 0 || *force;
        if is_busy || tail.is_out() || undo.is_some() {
            return None;
        }
        // Where nothing is in flight, all that counts is whether something was sent since.
        to.bits([*sack, *point == una, *answered]);
        to.number(if *point == una { *needless } else { 0 });
        rack.park(to);
        Some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Recovery {
        let [sack, at_point, answered] = from.bits();
        let needless = from.number() as u8;
        let point = if at_point { una } else { una - 1 };
        Recovery { sack, answered, needless, rack: Rack::unpark(una, from), ..Recovery::new(point) }
    }

    /// A timeout is spurious if, after two acknowledgments, what is acknowledged was sent once.
    //= rfc5682#2.1
    //= rfc5682#3.1
    fn frto(&mut self, heard: &AckEvent<'_>, news: &News, una: Seq, may_send: bool) -> bool {
        match self.frto {
            Frto::Off => false,
            _ if heard.acked == 0 && news.delivered == 0 && !heard.duplicate => false,
            Frto::First => {
                // All at once, or a duplicate: the usual way. Else new payload shows what is true.
                let goes_on = heard.acked > 0 && una.before(self.point) && may_send;
                self.frto = if goes_on { Frto::Second } else { Frto::Off };
                false
            }
            Frto::Second => {
                self.frto = Frto::Off;
                news.original > 0 && (heard.acked > 0 || self.sack)
            }
        }
    }
}

/// The blocks by their place, so that what one acknowledgment tells of does not look reordered. Sorted by insertion: core's
/// sort is for thousands, and takes two kilobytes of code.
fn in_order(blocks: &[Range], una: Seq) -> heapless::Vec<Range, SACK_BLOCKS> {
    let mut sorted: heapless::Vec<Range, SACK_BLOCKS> = heapless::Vec::new();
    for block in blocks.iter().take(SACK_BLOCKS) {
        let is_behind = |other: &Range| other.end.since(una) > block.end.since(una);
        let place = sorted.iter().position(is_behind).unwrap_or(sorted.len());
        // There is room for so many.
        let _ = sorted.insert(place, *block);
    }
    sorted
}

/// Has so much arrived behind a gap that it stands for a loss?
//= rfc6675#4: IsLost
fn is_certain(records: &mut Records<'_, '_>, mss: u16) -> bool {
    let is_much = records.sacked() > u32::from(THRESHOLD - 1) * u32::from(mss);
    is_much || (records.sacked() > 0 && records.sacked_stretches(THRESHOLD) >= THRESHOLD)
}

/// The peer had selectively acknowledged what lies at SND.UNA, and does not have it any more.
//= rfc2018#8
fn is_reneged(records: &Records<'_, '_>) -> bool {
    records.first().is_some_and(|record| record.status == SegmentStatus::Sacked)
}

/// The most that is no more than `len` and full segments; or less than one, if that is all.
fn full(len: u32, mss: u32) -> u32 {
    if len < mss { 0 } else { len - len % mss }
}

fn later(a: Option<XmitTime>, b: XmitTime) -> Option<XmitTime> {
    a.filter(|a| b.before(*a)).or(Some(b))
}

fn elapsed(now: Instant, sent: XmitTime) -> Duration {
    Duration::from_micros(XmitTime::of(now).since(sent).into())
}
