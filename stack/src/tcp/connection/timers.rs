//! What time did: retransmission, window probes, delayed acknowledgments, orphans.

use super::handshake::{Handshake, Origin};
use super::tcb::{Effects, End, Phase, Synchronized, Tcb};
use crate::counters::TcpCount;
use crate::error::Error;
use crate::tcp::connection::tcb::has_memory;
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::tcp::send::SendTimer;
use crate::tcp::send::timer::{LOOK, R1, since_after_gap};
use crate::time::Instant;

/// Timeouts in a row after which an orphan is not worth memory that others wait for: with the one
/// that ends it, some six seconds without a sign of the peer.
const BURDEN_BACKOFF: u8 = 4;
impl Tcb {
    /// Runs every timer of the connection that is due. What `deadline` looks at is what is tested
    /// here, so no timer is due without being counted.
    pub(crate) fn on_timer(&mut self, cx: &mut Context<'_, '_>) -> Effects {
        let mut effects = Effects::default();
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => h.on_timer(cx, &mut effects),
            Phase::Synchronized(s) => s.on_timer(self.orphan, cx, &mut effects),
            Phase::Over(_) => {}
        }
        effects
    }
}

impl Handshake {
    /// When its timer fires, or the user's patience ends.
    pub(in crate::tcp) fn deadline(&self, options: &TcpOptions) -> Instant {
        let at = self.retransmit_at.unwrap_or(self.look_at);
        options.user_timeout.map_or(at, |patience| at.min(self.first_sent + patience))
    }

    /// Are there R1 retransmissions that nothing answered, or is there no way to send any?
    fn was_tried(&self) -> bool {
        self.send || self.transmissions > R1
    }

    /// Where R1 retransmissions were in vain, the next one is due at `now`. False: there is none.
    #[cfg(feature = "slaac")]
    pub(super) fn retransmits_at(&mut self, now: Instant) -> bool {
        let is_silent = self.transmissions > R1;
        match &mut self.retransmit_at {
            Some(at) if is_silent => *at = now,
            _ => return false,
        }
        true
    }

    fn on_timer(&mut self, cx: &Context<'_, '_>, effects: &mut Effects) {
        let at = self.deadline(cx.options);
        if cx.now < at {
            return;
        }
        self.first_sent = since_after_gap(self.first_sent, at, self.was_tried(), cx.now);
        self.look_at = cx.now + LOOK;
        if self.waits_for_payload() {
            // Nothing is due yet that the user's patience could count from (H269).
            self.first_sent = cx.now;
            return;
        }
        let is_enough = cx.options.syn_retries.is_some_and(|n| self.transmissions > n) && !self.answered;
        let was_tried = self.was_tried() || cx.options.user_timeout.is_some();
        //= rfc9293#3.8.3 MUST-22
        //= rfc9293#3.8.3 MUST-23: R2 for a SYN is at least three minutes (H005)
        let is_over = was_tried && cx.now.since(self.first_sent) >= cx.syn_timeout();
        if is_over || (is_enough && !self.send) {
            effects.end = Some(match self.origin {
                Origin::Active => End::Failed(Error::TimedOut),
                Origin::Passive(_) => End::HalfOpenDropped,
            });
            // Who has answered takes the connection for established (H010).
            effects.reset = self.answered.then(|| self.reset());
        } else if self.retransmit_at.take_if(|at| *at <= cx.now).is_some() {
            cx.count(TcpCount::HandshakeTimeouts);
            effects.negative_advice = self.transmissions == R1;
            self.send = true;
            if self.origin == Origin::Active {
                //= rfc7413#4.1.3.1: it may be what some box on the way dislikes
                self.fast_open = None;
            }
        }
    }
}

impl Synchronized {
    fn on_timer(&mut self, orphan: bool, cx: &mut Context<'_, '_>, effects: &mut Effects) {
        if self.receive.on_ack_timer(cx.now) {
            cx.count(TcpCount::DelayedAcks);
        }
        if self.orphan_until.is_some_and(|at| at <= cx.now) {
            effects.end = Some(End::Failed(Error::TimedOut));
        }
        self.send.controller.on_timer(cx.now);
        self.send.note_gap(cx);
        match self.send.expired_timer(cx.now) {
            _ if self.send.is_out_of_patience(cx) => {
                effects.end = Some(End::Failed(Error::TimedOut));
            }
            Some(SendTimer::Rto | SendTimer::Persist) if orphan && self.is_burden(cx) => {
                self.give_up(cx.now, effects);
            }
            Some(SendTimer::SynAck) => self.on_syn_ack_timeout(cx, effects),
            Some(SendTimer::Rto) => self.on_retransmit(cx, effects),
            Some(SendTimer::Tlp) => self.send.on_tail(cx),
            Some(SendTimer::Reorder) => self.on_reorder(cx),
            Some(SendTimer::Persist) => self.on_persist(orphan, cx, effects),
            Some(SendTimer::Unsent) => self.on_unsent(cx, effects),
            None => {}
        }
        self.on_keep_alive(cx, effects);
    }

    fn on_reorder(&mut self, cx: &mut Context<'_, '_>) {
        if self.send.on_reorder(cx) {
            cx.count(TcpCount::Recoveries);
            self.ecn.on_reduced(self.send.max);
        }
    }

    //= rfc6298#5.4
    fn on_retransmit(&mut self, cx: &mut Context<'_, '_>, effects: &mut Effects) {
        let send = &mut self.send;
        if send.is_given_up(cx) {
            effects.end = Some(End::Failed(Error::TimedOut));
            return;
        }
        let again = send.on_timeout(cx);
        self.stats.timeouts = self.stats.timeouts.wrapping_add(1);
        cx.count(TcpCount::Timeouts);
        self.ecn.on_timeout(send.max, again);
        //= rfc9293#3.8.3 MUST-20: negative advice to the IP layer at R1
        effects.negative_advice = send.rtt.backoff() == R1;
        let front = send.text_sent();
        effects.path_mtu = send.size.on_timeout(send.una, send.rtt.backoff(), front, cx.now);
        send.set_size();
        if send.wnd == 0 {
            send.go_back(cx.pool);
            send.restart_timer(cx.now, cx.config);
        }
    }

    //= rfc9293#3.8.6.1 MUST-35, MUST-36, SHLD-29, SHLD-30
    fn on_persist(&mut self, orphan: bool, cx: &Context<'_, '_>, effects: &mut Effects) {
        // An answered probe moves `since`. Nobody waits on an orphan for ever, answered or not; a peer
        // that answers is told.
        if orphan && self.send.rtt.backoff() > 8 {
            return self.give_up(cx.now, effects);
        }
        let send = &mut self.send;
        if send.is_given_up(cx) {
            effects.end = Some(End::Failed(Error::TimedOut));
            return;
        }
        send.probe = true;
        if send.wnd == 0 {
            send.rtt.back_off();
        }
        send.set_persist(cx.now, cx.config);
        // What fits a window that is small and not closed may go out now. From here on a device or a
        // neighbour keeps it, whose patience is bounded.
        send.update_timer(cx.now, cx.config);
    }

    /// What may go out has not, for so long: its device is full, or its neighbour silent.
    fn on_unsent(&mut self, cx: &Context<'_, '_>, effects: &mut Effects) {
        match self.send.is_given_up(cx) {
            true => effects.end = Some(End::Failed(Error::TimedOut)),
            false => self.send.look_again(cx.now),
        }
    }

    /// Does an orphan that gets nowhere hold memory that writers wait for (H019)?
    fn is_burden(&self, cx: &Context<'_, '_>) -> bool {
        let Synchronized { send, .. } = self;
        !send.queue.is_empty() && send.rtt.backoff() >= BURDEN_BACKOFF && !has_memory(cx.pool)
    }

    /// The connection ends, and the peer is told.
    pub(in crate::tcp) fn give_up(&self, now: Instant, effects: &mut Effects) {
        effects.reset = Some(self.reset(now));
        effects.end = Some(End::Failed(Error::TimedOut));
    }
}
