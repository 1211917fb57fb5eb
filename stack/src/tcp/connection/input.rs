//! What came in: a segment arrives at a connection (RFC 9293 §3.10.7), step by step.

use super::tcb::{Closing, Dropped, Effects, End, Phase, Synchronized, Tcb};
use crate::base::pool::Chain;
use crate::bytes::Bytes;
use crate::counters::TcpCount;
use crate::error::Error;
use crate::seq::Range;
use crate::seq::Seq;
use crate::tcp::context::Context;
use crate::tcp::receive::{AckReason, Reassembly, is_acceptable};
use crate::tcp::segment::{Flags, Segment};
use crate::tcp::send::congestion::Cause;
use crate::tcp::send::recovery::AckEvent;
use crate::tcp::send::{Fin, SendTimer};
use crate::time::{Duration, Instant};

/// Does the segment go on to the next step?
pub(super) type Step = Result<(), Dropped>;

impl Tcb {
    /// A segment for this connection has arrived.
    pub(crate) fn on_segment(&mut self, segment: &Segment<'_>, cx: &mut Context<'_, '_>) -> Effects {
        let mut effects = Effects::default();
        let step = match &mut self.phase {
            Phase::SynSent(_) => self.in_syn_sent(segment, cx, &mut effects),
            Phase::SynReceived(_) => self.in_syn_received(segment, cx, &mut effects),
            Phase::Synchronized(s) => s.on_segment(segment, cx, &mut effects),
            Phase::Over(_) => Err(Dropped::InvalidForState),
        };
        effects.dropped = step.err();
        effects
    }
}

impl Synchronized {
    pub(super) fn on_segment(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Step {
        self.note_arrival(cx.now);
        if self.opening.is_some() && self.is_syn_again(segment, effects)? {
            return Ok(());
        }
        let whole = segment;
        let segment = match self.check_sequence(whole, cx) {
            Err(Dropped::OutOfWindow) if self.is_late(whole) => {
                self.check_ack(whole, cx, effects)?;
                self.reset_if_delivered(cx.now, effects);
                effects.end = effects.end.or(self.end());
                return Err(Dropped::OutOfWindow);
            }
            checked => checked?,
        };
        self.check_rst(whole, cx, effects)?;
        if effects.end.is_some() {
            return Ok(());
        }
        self.check_ack(&segment, cx, effects)?;
        self.receive.take_timestamp(whole.seq, whole.options.timestamps, cx.now);
        self.check_urgent(whole, effects);
        if self.ecn.on_arrival(&segment) {
            self.receive.ack_now(AckReason::Ecn);
        }
        if self.receive.shut && !segment.payload.is_empty() && !self.receive.finished {
            // Nobody can read it any more, and the peer should know (RFC 1122 §4.2.2.13).
            //= rfc9293#3.6.1 SHLD-3
            self.end_by_reset(cx);
            effects.writable = true;
        }
        if self.reset_if_delivered(cx.now, effects) {
            return Ok(());
        }
        self.note_fin(&segment, cx);
        // Until the reset may go, payload is acknowledged and dropped: a peer that reads only when it has
        // written all would else stall, and time out, and never take what the reset waits for.
        let payload = self.process_payload(&segment, cx, effects);
        self.check_fin(cx, effects);
        effects.end = effects.end.or(self.end());
        payload
    }

    /// What came with the peer's SYN counts now. What finds no memory is as good as never received.
    pub(super) fn take_payload_of_syn(
        &mut self,
        mut payload: Chain,
        finished: bool,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) {
        let first = self.receive.nxt;
        let mut piece = [0; 256];
        while !payload.is_empty() {
            let n = payload.copy_out(cx.pool, 0, &mut piece);
            payload.consume(cx.pool, n);
            let nxt = self.receive.nxt;
            if self.receive.payload(cx.pool, nxt, Bytes::new(&[&piece[..n]])) != Reassembly::InOrder {
                return payload.clear(cx.pool);
            }
            effects.readable = true;
        }
        let bytes = self.receive.nxt.since(first);
        self.stats.bytes_received += u64::from(bytes);
        if bytes > 0 {
            self.receive.on_in_order(cx.now, cx.config, false);
        }
        if finished {
            self.receive.fin = Some(self.receive.nxt);
            self.check_fin(cx, effects);
        }
    }

    /// Nothing more is taken from the application, and a reset is to end the connection. Not before the
    /// peer has what was written, as far as it takes it: a reset makes it drop what it has not read, and
    /// overtakes what was lost on the way.
    //= rfc9293#3.10.4
    pub(in crate::tcp) fn end_by_reset(&mut self, cx: &Context<'_, '_>) {
        self.resets = true;
        // Nothing follows that a last small segment could wait for.
        (self.send.nodelay, self.send.cork) = (true, false);
        self.send.update_timer(cx.now, cx.config);
    }

    /// Is it time for the reset?
    pub(in crate::tcp) fn reset_if_delivered(&self, now: Instant, effects: &mut Effects) -> bool {
        let is_due = self.resets && self.send.queue.is_empty();
        if is_due {
            effects.reset = Some(self.reset(now));
            effects.end = Some(End::Failed(Error::ConnectionAborted));
        }
        is_due
    }

    /// Whatever it says, it is a sign of the peer.
    #[inline]
    pub(in crate::tcp) fn note_arrival(&mut self, now: Instant) {
        self.last_received_at = now;
        self.stats.segments_received = self.stats.segments_received.wrapping_add(1);
    }

    /// Is the payload old, but the acknowledgment new? Two ends that both send again what the other has
    /// would else drop each other's acknowledgments for ever (H041). Not farther back than a window
    /// reaches ahead, so that guessing the number is as hard as for a segment inside it.
    fn is_late(&self, segment: &Segment<'_>) -> bool {
        let (send, receive) = (&self.send, &self.receive);
        segment.flags.has(Flags::ACK)
            && segment.flags.without(Flags::SYN | Flags::RST) == segment.flags
            && segment.seq.before(receive.nxt)
            && receive.nxt.since(segment.seq) <= receive.limit()
            && send.una.before(segment.ack)
            && segment.ack.at_or_before(send.max)
    }

    /// First: PAWS, the sequence check, and the cut to what is new and inside the window.
    //= rfc9293#3.10.7.4 first, check sequence number
    fn check_sequence<'a>(
        &mut self,
        segment: &Segment<'a>,
        cx: &Context<'_, '_>,
    ) -> Result<Segment<'a>, Dropped> {
        let rst = segment.flags.has(Flags::RST);
        self.check_timestamp(segment, cx)?;
        self.check_syn(segment, cx)?;
        let at_closed_window = self.receive.wnd() == 0 && segment.seq == self.receive.nxt;
        if !is_acceptable(segment, self.receive.nxt, self.receive.wnd()) {
            if !rst {
                self.acknowledge_unacceptable(segment, cx);
            }
            return Err(Dropped::OutOfWindow);
        }
        if rst {
            return Ok(*segment); // its payload means nothing (SHLD-2)
        }
        if at_closed_window && segment.len() > 0 {
            // Only the payload is refused; ACK, RST and window still count (H029). A window probe
            // is answered every time (H030).
            self.receive.ack_now(AckReason::ClosedWindow);
            return Ok(Segment {
                payload: segment.payload.slice(0, 0),
                flags: segment.flags.without(Flags::FIN),
                ..*segment
            });
        }
        if segment.seq.before(self.receive.nxt) {
            cx.count(TcpCount::Duplicates);
        }
        Ok(self.trim(segment))
    }

    /// Cuts off what we have, and what is beyond the window.
    fn trim<'a>(&mut self, segment: &Segment<'a>) -> Segment<'a> {
        let mut cut = *segment;
        if cut.seq.before(self.receive.nxt) {
            let old = self.receive.nxt.since(cut.seq);
            self.note_old(segment);
            cut.payload = cut.payload.slice(old as usize, usize::MAX);
            cut.seq = self.receive.nxt;
            // Part of it was old: our acknowledgment may have been lost.
            self.receive.ack_now(AckReason::Duplicate);
        }
        let room = self.receive.edge.since(cut.seq) as usize;
        if cut.payload.len() > room {
            cut.payload = cut.payload.slice(0, room);
            cut.flags = cut.flags.without(Flags::FIN | Flags::PSH);
        }
        cut
    }

    /// The payload of a segment, or its front, is older than RCV.NXT. What lies farther behind than any window
    /// reaches is no duplicate, and as a block it would compare the other way before long (H037).
    fn note_old(&mut self, segment: &Segment<'_>) {
        let start = segment.seq;
        let end = (start + segment.payload.len() as u32).earlier_of(self.receive.nxt);
        if start.before(end) && end.is_near(self.receive.nxt) {
            self.receive.on_duplicate(Range { start, end });
        }
    }

    /// An unacceptable segment is answered with where we stand. One that could be a keep-alive,
    /// a window probe or a retransmission always; others within the limit (H030), so that two
    /// ends that disagree do not answer each other for ever.
    fn acknowledge_unacceptable(&mut self, segment: &Segment<'_>, cx: &Context<'_, '_>) {
        let agrees = !segment.flags.has(Flags::SYN) && segment.ack.at_or_before(self.send.max);
        let old = segment.seq.before(self.receive.nxt);
        if old && segment.len() > 0 {
            cx.count(TcpCount::Duplicates);
        }
        if old && agrees && (segment.len() > 0 || segment.seq + 1 == self.receive.nxt) {
            self.note_old(segment);
            self.receive.ack_now(AckReason::Duplicate);
        } else {
            self.challenge(cx);
        }
    }

    fn challenge(&mut self, cx: &Context<'_, '_>) {
        if cx.now >= self.challenge_at {
            cx.count(TcpCount::ChallengeAcks);
            self.challenge_at = cx.now + cx.config.challenge_interval;
            self.receive.ack_now(AckReason::Challenge);
        }
    }

    //= rfc7323#5.3 R1; H033
    fn check_timestamp(&mut self, segment: &Segment<'_>, cx: &Context<'_, '_>) -> Step {
        if segment.flags.has(Flags::RST) || !self.receive.is_old(segment.options.timestamps, cx.now) {
            return Ok(());
        }
        if segment.len() > 0 && !segment.flags.has(Flags::SYN) {
            self.receive.ack_now(AckReason::Duplicate);
        } else {
            self.challenge(cx);
        }
        Err(Dropped::Paws)
    }

    /// Second: RST, believed only at exactly RCV.NXT (RFC 5961 §3, H057).
    fn check_rst(&mut self, segment: &Segment<'_>, cx: &Context<'_, '_>, effects: &mut Effects) -> Step {
        if !segment.flags.has(Flags::RST) {
            return Ok(());
        }
        if segment.seq.before(self.receive.nxt) {
            return Err(Dropped::OutOfWindow); // only its payload reaches into the window
        }
        if segment.seq != self.receive.nxt {
            self.challenge(cx);
            return Err(Dropped::Challenged);
        }
        cx.count(TcpCount::ResetsReceived);
        effects.end = Some(End::Failed(Error::ConnectionReset));
        Ok(())
    }

    /// Fourth: a SYN in a synchronized state is challenged, never obeyed (RFC 5961 §4, H022).
    fn check_syn(&mut self, segment: &Segment<'_>, cx: &Context<'_, '_>) -> Step {
        if segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::RST) {
            self.ecn.on_syn_again(segment);
            self.challenge(cx);
            return Err(Dropped::Challenged);
        }
        Ok(())
    }

    /// Fifth: the acknowledgment.
    pub(in crate::tcp) fn check_ack(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Step {
        if !segment.flags.has(Flags::ACK) {
            return Err(Dropped::InvalidForState);
        }
        self.send.note_gap(cx);
        if self.opening.is_some() {
            self.complete_opening(segment, cx, effects)?;
        }
        let (una, max) = (self.send.una, self.send.max);
        if max.before(segment.ack) {
            // H025: of something that was never sent.
            self.challenge(cx);
            return Err(Dropped::BadAck);
        }
        //= rfc5961#5.2: not older than the largest window
        if segment.ack.before(una - self.send.wnd_max.min(1 << 30)) {
            self.challenge(cx);
            return Err(Dropped::BadAck);
        }
        let window = (segment.window as u32) << self.send.scale;
        let advances = una.before(segment.ack);
        let duplicate = segment.ack == una && self.is_duplicate(segment, window);
        if advances {
            self.take_feedback(segment, cx);
        }
        let acked = if advances { self.take_acknowledged(segment.ack, cx) } else { 0 };
        effects.writable |= advances;
        if advances && self.send.size.on_ack(segment.ack, acked, cx.now) {
            self.send.set_size();
        }
        let is_open = segment.options.sack.blocks().is_empty() && self.send.is_open();
        if advances && is_open {
            self.send.on_ack_in_order(acked, cx);
        } else if duplicate || !is_open {
            let heard = self.heard(segment, acked, duplicate, cx);
            if self.send.on_ack_slow(&heard, cx) {
                cx.count(TcpCount::Recoveries);
                self.ecn.on_reduced(max);
            }
        }
        let before = self.send.wnd;
        self.take_window((segment.seq, segment.ack), window, advances, cx);
        effects.writable |= self.send.wnd > before;
        // Whatever it says, the peer is there: probing may go on for ever (H028).
        if self.send.awaits(SendTimer::Persist) {
            self.send.since = cx.now;
        }
        self.send.update_timer(cx.now, cx.config);
        Ok(())
    }

    /// Routers have marked what is acknowledged here: congestion, which is answered once in a round.
    fn take_feedback(&mut self, segment: &Segment<'_>, cx: &Context<'_, '_>) {
        let send = &mut self.send;
        if self.ecn.on_ack(segment, send.max) {
            send.controller.on_congestion(Cause::Ecn, send.flight(), cx.now);
        }
    }

    /// RFC 5681 §2, the definition of a duplicate acknowledgment.
    fn is_duplicate(&self, segment: &Segment<'_>, window: u32) -> bool {
        self.send.flight() > 0 && segment.len() == 0 && window == self.send.wnd
    }

    /// SND.UNA moves on: by how much.
    pub(super) fn take_acknowledged(&mut self, ack: Seq, cx: &mut Context<'_, '_>) -> u32 {
        let send = &mut self.send;
        let acked = ack.since(send.una);
        let payload = acked.min(send.queue.len() as u32);
        send.queue.consume(cx.pool, payload as usize);
        self.stats.bytes_acked += u64::from(payload);
        if acked > payload {
            send.fin = Fin::Acked;
        }
        send.advance(ack);
        self.soft = None;
        acked
    }

    /// What recovery wants to know of an acknowledgment.
    fn heard<'s>(
        &self,
        segment: &'s Segment<'_>,
        acked: u32,
        duplicate: bool,
        cx: &Context<'_, '_>,
    ) -> AckEvent<'s> {
        AckEvent {
            acked,
            ack: segment.ack,
            sack: segment.options.sack.blocks(),
            timestamps: self.receive.ts_recent.and(segment.options.timestamps),
            elapsed: self.elapsed_by_timestamp(segment, cx),
            duplicate,
        }
    }

    /// Time since we sent the timestamp that the segment echoes, if that makes sense.
    fn elapsed_by_timestamp(&self, segment: &Segment<'_>, cx: &Context<'_, '_>) -> Option<Duration> {
        let echo = self.receive.ts_recent.and(segment.options.timestamps)?.echo;
        let clock = (cx.now.millis() as u32).wrapping_add(self.send.ts_offset);
        let ms = clock.wrapping_sub(echo);
        (echo != 0 && ms < 60_000).then_some(Duration::from_millis(ms as u64))
    }

    /// An acknowledgment that advances SND.UNA is newer than all before it, whatever its number: the
    /// peer may be sending old payload again. An old window counted from the new SND.UNA would reach
    /// beyond what the peer offers, and so would one that comes with an old acknowledgment, however new
    /// its number is.
    //= rfc9293#3.10.7.4 fifth, ESTABLISHED: SND.WL1 and SND.WL2 (H031)
    #[inline]
    pub(super) fn take_window(
        &mut self,
        (seq, ack): (Seq, Seq),
        window: u32,
        advances: bool,
        cx: &Context<'_, '_>,
    ) {
        let send = &mut self.send;
        let newer = advances || send.wl1.before(seq) || (send.wl1 == seq && send.wl2.at_or_before(ack));
        if !newer || ack.before(send.una) {
            // Who sends with old acknowledgments for long has still sent everything up to RCV.NXT.
            send.wl1 = send.wl1.later_of(self.receive.nxt - self.receive.limit());
            return;
        }
        let opened = window > send.wnd;
        send.wnd = window;
        send.wnd_max = send.wnd_max.max(window);
        (send.wl1, send.wl2) = (send.wl1.later_of(seq), ack);
        if opened && send.awaits(SendTimer::Persist) {
            send.rtt.forget_back_off();
            send.restart_timer(cx.now, cx.config);
        }
    }

    /// Where the peer's FIN stands, before the payload is looked at: nothing counts that lies behind
    /// it (H014).
    fn note_fin(&mut self, segment: &Segment<'_>, cx: &mut Context<'_, '_>) {
        if !segment.flags.has(Flags::FIN) {
            return;
        }
        self.receive.ack_now(AckReason::Fin);
        if self.receive.fin.is_none() {
            self.receive.fin = Some(segment.seq + segment.payload.len() as u32);
            self.receive.forget_out_of_order(cx.pool);
        }
    }

    /// Seventh: the payload.
    fn process_payload(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Step {
        if segment.payload.is_empty() {
            return Ok(());
        }
        let payload = match self.receive.fin {
            Some(fin) if fin.at_or_before(segment.seq) => return Err(Dropped::InvalidForState),
            Some(fin) => segment.payload.slice(0, fin.since(segment.seq) as usize),
            None => segment.payload,
        };
        let had_hole = self.receive.has_hole();
        let nxt = self.receive.nxt;
        let taken = self.receive.payload(cx.pool, segment.seq, payload);
        self.stats.bytes_received += u64::from(self.receive.nxt.since(nxt));
        match taken {
            Reassembly::InOrder => {
                effects.readable = true;
                self.receive.on_in_order(cx.now, cx.config, segment.packets > 1);
                if had_hole {
                    //= rfc5681#4.2: at once when a hole is filled, in whole or in part
                    self.receive.on_hole_filled(cx.options.quick_acks.unwrap_or(cx.config.quick_acks));
                }
                Ok(())
            }
            Reassembly::OutOfOrder => {
                cx.count(TcpCount::OutOfOrder);
                self.receive.on_out_of_order(segment.packets);
                Ok(())
            }
            Reassembly::Refused => {
                self.receive.ack_now(AckReason::NotTaken);
                Err(Dropped::TooManyHoles)
            }
            Reassembly::Dropped => {
                self.receive.ack_now(AckReason::NotTaken);
                Err(Dropped::NoMemory)
            }
        }
    }

    /// Eighth: the FIN, which counts when everything before it is here (H013).
    fn check_fin(&mut self, cx: &mut Context<'_, '_>, effects: &mut Effects) {
        if !self.receive.reach_fin(cx.pool) {
            return;
        }
        self.receive.ack_now(AckReason::Fin);
        effects.readable = true;
        if self.closing == Closing::Neither {
            self.closing = Closing::RemoteFirst;
        }
    }
}
