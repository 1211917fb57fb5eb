//! When the sending half wants to be looked at: its one timer, the user timeout as a bound of it, and how
//! long the peer may stay silent before the connection ends.

use super::{Send, Sendable};
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::time::{Duration, Instant};

/// How long a small window is left unused in the hope of a larger one.
const SMALL_WINDOW_OVERRIDE: Duration = Duration::from_millis(200);
/// Retransmissions after which something is taken to be wrong with the way (R1). Time alone proves nothing
/// before so many.
//= rfc9293#3.8.3 SHLD-10
pub(crate) const R1: u8 = 3;
/// How often something that could go out, but was not taken by a device or has no neighbour yet, is looked
/// at: its patience is bounded as well.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// A loop that comes so much later than it was asked to was not waiting: it stood still, as a paused machine
/// does, and what the peers said meanwhile may be lost.
const GAP: Duration = Duration::from_secs(1);

/// A timer of the sending side. The pacer's is its own gate: [`Pacer`](super::pacing::Pacer).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendTimer {
    /// Something is in flight (RFC 6298).
    Rto,
    /// Something is, and before it is taken as lost its end is probed (RFC 8985 §7).
    Tlp,
    /// Something is lost by then, unless the path has only reordered it (RFC 8985 §6).
    Reorder,
    /// Our SYN-ACK is not acknowledged, nor is anything that followed it (RFC 7413).
    SynAck,
    /// Nothing is in flight, but the peer's window keeps what is queued from going out.
    Persist,
    /// Nothing is, and what is queued may go out: a device or a neighbour keeps it.
    Unsent,
}

/// The table of timers. Each takes the place of the one before, so there is room for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timers {
    running: Option<SendTimer>,
    /// When that fires; [`Instant::FAR_FUTURE`] if none runs.
    at: Instant,
}

impl Timers {
    /// None runs.
    pub(super) const STOPPED: Timers = Timers { running: None, at: Instant::FAR_FUTURE };

    /// Runs this one, and no other.
    #[inline]
    pub(super) fn set(&mut self, timer: SendTimer, at: Instant) {
        *self = Timers { running: Some(timer), at };
    }

    /// Stops whichever runs.
    #[inline]
    pub(super) fn stop(&mut self) {
        *self = Timers::STOPPED;
    }

    /// The one that runs.
    #[inline]
    pub(crate) fn running(&self) -> Option<SendTimer> {
        self.running
    }

    /// Does this one run?
    #[inline]
    pub(crate) fn runs(&self, timer: SendTimer) -> bool {
        self.running == Some(timer)
    }

    /// When the one that runs fires.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.running.map(|_| self.at)
    }

    /// The one that is due.
    #[inline]
    pub(crate) fn expired(&self, now: Instant) -> Option<SendTimer> {
        self.running.filter(|_| self.at <= now)
    }
}

/// Since when an answer is overdue, after the loop came to a timer for `at` only at `now`: what it slept
/// through is no silence of the peer. Before enough `was_tried` nothing counts; after that, what passed while
/// the loop ran, so that one which is always late ends a connection, too. Where no device or neighbour takes what
/// is to be sent, no more can be tried.
//= rfc9293#3.8.3: R2 is time and retransmissions
pub(crate) fn since_after_gap(since: Instant, at: Instant, was_tried: bool, now: Instant) -> Instant {
    let late = now.since(at);
    match was_tried {
        _ if late < GAP => since,
        false => now,
        true => (since + late).min(now),
    }
}

impl Send {
    /// Sets or stops the timer so that one runs whenever the peer owes us something: an
    /// acknowledgment of what is in flight, or a window for what is queued (H026); or whenever something
    /// waits for a device.
    pub(crate) fn update_timer(&mut self, now: Instant, config: &TcpConfig) {
        use SendTimer::*;
        if self.timers.runs(SynAck) {
            return;
        }
        if self.flight() > 0 {
            self.probe = false;
            if !matches!(self.timers.running(), Some(Rto | Tlp | Reorder)) {
                self.set_flight_timer(now, config);
            }
        } else if self.has_unsent() {
            self.set_wait_timer(now, config);
        } else {
            self.probe = false;
            self.timers.stop();
        }
    }

    /// Nothing is in flight, and something is queued. Does it wait for the window, or can it go out: in this turn, or
    /// when the pacer, the device and the neighbour let it?
    fn set_wait_timer(&mut self, now: Instant, config: &TcpConfig) {
        use SendTimer::*;
        let is_kept = self.permitted(u32::MAX) == Sendable::NOTHING;
        match self.timers.running() {
            Some(Persist) if is_kept => {}
            Some(Unsent) if !is_kept => {}
            // A shrunk window turns a retransmission into probing: the count goes on.
            Some(Rto | Tlp | Reorder | SynAck) if is_kept => {
                self.timers.set(Persist, self.timers.at.max(now))
            }
            _ => {
                self.begin_wait(now);
                match is_kept {
                    true => self.set_persist(now, config),
                    false => self.timers.set(Unsent, now + LOOK),
                }
            }
        }
    }

    /// The window is probed, or used as it is, after the next interval.
    pub(crate) fn set_persist(&mut self, now: Instant, config: &TcpConfig) {
        self.timers.set(SendTimer::Persist, now + self.persist_delay(config));
    }

    /// What waits for a device or a neighbour is looked at again.
    pub(crate) fn look_again(&mut self, now: Instant) {
        self.timers.set(SendTimer::Unsent, now + LOOK);
    }

    /// The SYN-ACK of a connection that is open already is to be acknowledged by then.
    pub(crate) fn set_syn_ack(&mut self, at: Instant) {
        self.timers.set(SendTimer::SynAck, at);
    }

    /// It was: what was sent behind it has timers of its own from now on.
    pub(crate) fn stop_syn_ack(&mut self) {
        self.timers.stop();
    }

    /// Does this timer run?
    #[inline]
    pub(crate) fn awaits(&self, timer: SendTimer) -> bool {
        self.timers.runs(timer)
    }

    /// Something is due from now on.
    fn begin_wait(&mut self, now: Instant) {
        if self.una == self.max {
            self.since = now;
        }
    }

    /// How long what the window keeps back waits. A closed window is probed at intervals that
    /// double; one that is open but small is used as it is after a while.
    //= rfc9293#3.8.6.2.1: the override timeout is 0.1 to 1 s
    fn persist_delay(&self, config: &TcpConfig) -> Duration {
        if self.wnd == 0 { self.rtt.rto(config) } else { SMALL_WINDOW_OVERRIDE }
    }

    /// Starts the running timer anew: something was acknowledged.
    pub(crate) fn restart_timer(&mut self, now: Instant, config: &TcpConfig) {
        self.timers.stop();
        if self.flight() == 0 && !self.has_unsent() {
            self.probe = false;
            return;
        }
        self.update_timer(now, config);
    }

    /// Where R1 retransmissions were in vain, the next one is due at `now`. False: there is none.
    #[cfg(feature = "slaac")]
    pub(crate) fn retransmits_at(&mut self, now: Instant) -> bool {
        let is_silent = self.timers.runs(SendTimer::Rto) && self.rtt.backoff() >= R1;
        if is_silent {
            self.timers.set(SendTimer::Rto, now);
        }
        is_silent
    }

    /// When the timer fires.
    pub(crate) fn fires_at(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The timer that is due.
    pub(crate) fn expired_timer(&self, now: Instant) -> Option<SendTimer> {
        self.timers.expired(now)
    }

    /// When the timer fires, or the user's patience ends.
    #[inline]
    fn timer_at(&self, options: &TcpOptions) -> Option<Instant> {
        let at = self.timers.next()?;
        Some(options.user_timeout.map_or(at, |patience| at.min(self.since + patience)))
    }

    /// When the timer fires, or the pacer's gate opens; [`Instant::FAR_FUTURE`]: neither does.
    #[inline]
    pub(crate) fn deadline(&self, options: &TcpOptions) -> Instant {
        let timer = match options.user_timeout {
            None => self.timers.at,
            Some(_) => self.timer_at(options).unwrap_or(Instant::FAR_FUTURE),
        };
        self.controller.pacer().deadline().map_or(timer, |gate| gate.min(timer))
    }

    /// Has the loop slept through the timer?
    #[inline]
    pub(crate) fn is_late(&self, cx: &Context<'_, '_>) -> bool {
        let at = match cx.options.user_timeout {
            None => self.timers.at,
            Some(_) => self.timer_at(cx.options).unwrap_or(Instant::FAR_FUTURE),
        };
        at + GAP <= cx.now
    }

    /// Has the loop slept through the timer? Then what is in flight counts from now: nobody looked when its
    /// answers came, and they may be lost.
    pub(crate) fn note_gap(&mut self, cx: &mut Context<'_, '_>) {
        let Some(at) = self.timer_at(cx.options).filter(|at| *at + GAP <= cx.now) else { return };
        self.since = since_after_gap(self.since, at, self.was_tried(), cx.now);
        self.scoreboard.forget_times(cx.pool, cx.now);
    }

    /// Are there R1 retransmissions or probes in a row that nothing answered, or is there no way to send any?
    fn was_tried(&self) -> bool {
        let tries = self.rtt.backoff().max(self.recovery.overdue());
        self.awaits(SendTimer::Unsent) || tries >= R1
    }

    /// Has the user's patience ended (RFC 9293 §3.10.1)? It is time alone.
    pub(crate) fn is_out_of_patience(&self, cx: &Context<'_, '_>) -> bool {
        let waits = self.timers.running().is_some();
        waits && cx.options.user_timeout.is_some_and(|patience| cx.now.since(self.since) >= patience)
    }

    /// Has the peer been silent for R2, which is time and retransmissions?
    //= rfc9293#3.8.3 MUST-20, SHLD-11
    pub(crate) fn is_given_up(&self, cx: &Context<'_, '_>) -> bool {
        self.was_tried() && cx.now.since(self.since) >= cx.data_timeout()
    }
}
