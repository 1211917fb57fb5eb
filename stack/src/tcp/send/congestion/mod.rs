//! Congestion control behind one small interface: what happened goes in, a window comes out.
//!
//! [`Controller`] holds what every law has in common: the window and the slow-start threshold, slow
//! start, and whether the window was used. A law says how the window grows once it left slow start,
//! and by how much a congestion shrinks it.
//!
//! It knows nothing of segments, timers or recovery: which bytes are lost and what is sent again, and
//! in which measure while recovery lasts (PRR), is others' business. All of it is integers.

#[cfg(feature = "bbr")]
mod bbr;
#[cfg(not(feature = "bbr"))]
#[path = "no_bbr.rs"]
mod bbr;
#[cfg(feature = "cubic")]
mod cubic;
#[cfg(not(feature = "cubic"))]
#[path = "no_cubic.rs"]
mod cubic;
mod newreno;
mod slow_start;
mod usage;
mod window;

use super::pacing::Pacer;
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::{Congestion, TcpConfig};
use crate::time::{Duration, Instant};
use bbr::Bbr;
use cubic::Cubic;
use newreno::NewReno;
use slow_start::SlowStart;
use usage::Usage;
use window::Window;

/// How long a window is believed that the sender does not fill.
//= rfc7661#4.4.3: the non-validated phase lasts no longer than five minutes
const VALID: Duration = Duration::from_secs(300);

/// What is paced goes out faster than a window in a round trip: twice in slow start, whose window
/// doubles in a round, or that a recovery left nearly empty, and a little faster in congestion avoidance.
const SLOW_START_GAIN: (u64, u64) = (2, 1);
const AVOIDANCE_GAIN: (u64, u64) = (6, 5);

/// What an acknowledgment that delivered something tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) now: Instant,
    /// SND.UNA, after it.
    pub(crate) una: Seq,
    /// The highest number ever sent, plus one.
    pub(crate) max: Seq,
    /// Bytes that it says are delivered and that none said before: SND.UNA's way and what is newly
    /// selectively acknowledged beyond it, each byte once.
    pub(crate) delivered: u32,
    /// Bytes that are still on their way.
    pub(crate) flight: u32,
    /// A round-trip time that it shows, if it does.
    pub(crate) rtt: Option<Duration>,
    /// The smoothed round-trip time, and the shortest of the last minutes; zero if it is not known.
    pub(crate) srtt: Duration,
    pub(crate) min_rtt: Duration,
    /// A fast recovery goes on: the window does not grow, PRR says what is sent.
    pub(crate) recovering: bool,
}

/// What congestion was told by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A segment was lost.
    Loss,
    /// Routers marked packets instead of dropping them.
    Ecn,
}

/// The congestion control of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Controller {
    window: Window,
    usage: Usage,
    slow_start: SlowStart,
    /// What the window allows goes out at a rate.
    paced: bool,
    /// So it is after a recovery that left little in flight, until the window is full.
    refills: bool,
    pacer: Pacer,
    law: Law,
    before: Option<Before>,
}

/// What there was before the last reduction.
#[derive(Clone, Copy, Debug)]
struct Before {
    cwnd: u32,
    ssthresh: u32,
    /// The other laws have nothing that the reduction spoils for good.
    cubic: Option<Cubic>,
}

/// How the window grows and shrinks.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "any connection may be told to use the model; a box would need a heap"
)]
enum Law {
    Cubic(Cubic),
    NewReno(NewReno),
    Bbr(Bbr),
    /// There is no window.
    None,
}

impl Controller {
    /// That of a connection which is yet to begin.
    pub(crate) const UNMADE: Controller = Controller {
        window: Window::NONE,
        usage: Usage::new(Seq(0), Instant::ZERO),
        slow_start: SlowStart::new(Seq(0)),
        paced: false,
        refills: false,
        pacer: Pacer::OPEN,
        law: Law::None,
        before: None,
    };

    /// A controller for segments of `mss` bytes, after a handshake that did or did not lose a SYN;
    /// `start` is the first number to be sent.
    pub(crate) fn new(
        which: Congestion,
        config: &TcpConfig,
        mss: u16,
        syn_lost: bool,
        start: Seq,
        now: Instant,
    ) -> Self {
        let law = match which {
            #[cfg(feature = "cubic")]
            Congestion::Cubic => Law::Cubic(Cubic::default()),
            Congestion::NewReno => Law::NewReno(NewReno::default()),
            #[cfg(feature = "bbr")]
            Congestion::Bbr => Law::Bbr(Bbr::new(start, now)),
            Congestion::None => Law::None,
        };
        Controller {
            window: Window::new(mss, if syn_lost { 1 } else { config.initial_window }),
            usage: Usage::new(start, now),
            slow_start: SlowStart::new(start),
            // Without a window there is nothing to spread over the round trip.
            paced: config.paces() && which != Congestion::None,
            refills: false,
            pacer: Pacer::OPEN,
            law,
            before: None,
        }
    }

    /// See [`park`](crate::tcp::connection::idle).
    pub(in crate::tcp) fn park(&self, una: Seq, to: &mut Packer) -> Option<()> {
        let Controller { window, usage, slow_start, law, paced, refills, pacer, before: _ } = self;
        to.bits([*paced]);
        if *refills { Pacer::OPEN } else { *pacer }.park(to)?;
        window.park(to);
        usage.park(una, to);
        slow_start.park(una, to);
        match law {
            Law::None => to.number(0u8),
            Law::NewReno(law) => {
                to.number(1u8);
                law.park(to);
            }
            Law::Cubic(law) => {
                to.number(2u8);
                law.park(to);
            }
            Law::Bbr(law) => {
                to.number(3u8);
                law.park(to);
            }
        }
        Some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Controller {
        let [paced] = from.bits();
        let pacer = Pacer::unpark(from);
        let window = Window::unpark(from);
        let usage = Usage::unpark(una, from);
        let slow_start = SlowStart::unpark(una, from);
        let law = match from.number() {
            0 => Law::None,
            #[cfg(feature = "cubic")]
            2 => Law::Cubic(Cubic::unpark(from)),
            #[cfg(feature = "bbr")]
            3 => Law::Bbr(Bbr::unpark(from)),
            _ => Law::NewReno(NewReno::unpark(from)),
        };
        Controller { window, usage, slow_start, law, paced, refills: false, pacer, before: None }
    }

    /// Bytes that may be in flight outside fast recovery.
    pub(crate) fn window(&self) -> u32 {
        match self.law {
            Law::Cubic(_) | Law::NewReno(_) | Law::Bbr(_) => self.window.cwnd,
            Law::None => u32::MAX,
        }
    }

    /// Windows that the send buffer holds: one is in flight, and the next follows as it is acknowledged. The model
    /// does not slow down while a loss is recovered from, so a third goes out before anything leaves the queue.
    pub(crate) fn windows(&self) -> u32 {
        if let Law::Bbr(_) = self.law { 3 } else { 2 }
    }

    /// The slow-start threshold: after `on_congestion`, what recovery brings the flight down to.
    pub(crate) fn ssthresh(&self) -> u32 {
        match self.law {
            Law::Cubic(_) | Law::NewReno(_) => self.window.ssthresh,
            // A loss alone does not shrink the model's window.
            Law::Bbr(_) => self.window.cwnd,
            Law::None => u32::MAX,
        }
    }

    /// The gate through which the window's bytes go out, if they are paced.
    pub(crate) fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// Time passed: the gate may open.
    pub(crate) fn on_timer(&mut self, now: Instant) {
        self.pacer.on_timer(now);
    }

    /// `bytes` of new payload went out, and now `flight` bytes are on their way, up to `nxt`.
    pub(crate) fn on_sent(&mut self, nxt: Seq, flight: u32, bytes: u32, now: Instant) {
        if self.window.is_used_by(flight) {
            self.usage.limited_until = nxt;
            if core::mem::take(&mut self.refills) && !self.paced {
                self.pacer.open();
            }
        }
        self.pacer.on_sent(bytes, now);
    }

    /// `bytes` from `start` on were sent again.
    pub(crate) fn on_resent(&mut self, start: Seq, bytes: u32, now: Instant) {
        if let Law::Bbr(law) = &mut self.law {
            law.on_resent(start, bytes);
        }
        self.pacer.on_sent(bytes, now);
    }

    /// An acknowledgment delivered something: always called, in recovery too.
    pub(crate) fn on_ack(&mut self, ack: &Ack) {
        self.slow_start.follow(ack.una);
        if let Law::Bbr(law) = &mut self.law {
            law.on_ack(&mut self.window, ack);
            if let Some(rate) = law.rate(&self.window, self.pacer.rate(), ack.srtt) {
                self.pacer.set_rate(rate, self.window.mss);
            }
            return;
        }
        self.grow(ack);
        if (self.paced || self.refills)
            && let Some(rate) = self.window_rate(ack.srtt)
        {
            self.pacer.set_rate(rate, self.window.mss);
        }
    }

    /// The rate at which the window goes out in less than a round trip: it must not hold growth back.
    fn window_rate(&self, srtt: Duration) -> Option<u64> {
        let is_fast = self.refills || self.window.is_slow_start();
        let (parts, of) = if is_fast { SLOW_START_GAIN } else { AVOIDANCE_GAIN };
        (u64::from(self.window.cwnd) * parts * 1_000_000 / of).checked_div(srtt.micros())
    }

    fn grow(&mut self, ack: &Ack) {
        let limited = self.usage.on_ack(ack);
        if ack.now.since(self.usage.used_at) > VALID {
            self.window.halve_unused();
            self.usage.used_at = ack.now;
        }
        // H048: a window that was not used is not grown.
        if !limited {
            if let Law::Cubic(law) = &mut self.law {
                law.pause(ack.now);
            }
            return;
        }
        match &mut self.law {
            Law::Bbr(_) | Law::None => {}
            _ if ack.recovering => {}
            _ if self.window.is_slow_start() => self.slow_start.on_ack(&mut self.window, ack, self.paced),
            Law::Cubic(law) => law.avoid(&mut self.window, ack),
            Law::NewReno(law) => law.avoid(&mut self.window, ack.delivered),
        }
    }

    /// Congestion, once in a round or recovery: `flight` bytes were on their way when it was noticed.
    /// Sets the threshold, and the window to it: never more than it was (H277), for while a loss is looked for
    /// more may go out than the window allows.
    //= rfc5681#3.1
    pub(crate) fn on_congestion(&mut self, cause: Cause, flight: u32, _now: Instant) {
        self.remember();
        let flight = flight.min(self.window.cwnd);
        match &mut self.law {
            Law::Cubic(law) => law.on_congestion(&mut self.window, flight),
            Law::NewReno(law) => law.on_congestion(&mut self.window, flight),
            Law::Bbr(law) if cause == Cause::Ecn => law.on_mark(flight),
            // It counts what is sent again.
            Law::Bbr(_) | Law::None => {}
        }
    }

    /// A fast recovery is over, with `flight` bytes on their way: the window is what it was reduced to, however
    /// little that is. What fills it goes out at a rate, not in a burst (H257).
    //= rfc6582#3.2 step 3, full acknowledgments, option 2
    //= rfc9937#6: cwnd is ssthresh when a recovery ends
    pub(crate) fn on_recovered(&mut self, flight: u32, srtt: Duration, _now: Instant) {
        if matches!(self.law, Law::Bbr(_) | Law::None) {
            return;
        }
        self.window.cwnd = self.window.ssthresh;
        // What may begin a connection may follow at once.
        //= rfc6928#2
        self.refills = flight.saturating_add(self.window.initial) < self.window.cwnd;
        match self.window_rate(srtt) {
            Some(rate) if self.refills => self.pacer.set_rate(rate, self.window.mss),
            // An earlier recovery may have left a rate, which nothing would renew any more.
            _ if !self.paced => self.pacer.open(),
            _ => {}
        }
    }

    /// The retransmission timer fired; `again` if for data that it fired for before.
    pub(crate) fn on_timeout(&mut self, flight: u32, _now: Instant, again: bool) {
        if !again {
            self.remember();
        }
        let flight = flight.min(self.window.cwnd);
        match &mut self.law {
            Law::Cubic(law) if !again => law.on_timeout(&mut self.window, flight),
            Law::NewReno(law) if !again => law.on_congestion(&mut self.window, flight),
            Law::Cubic(_) | Law::NewReno(_) | Law::Bbr(_) | Law::None => {}
        }
        //= rfc5681#3.1: "no more than 1 full-sized segment"; H053
        self.window.cwnd = self.window.mss;
        self.open();
    }

    fn remember(&mut self) {
        let Window { cwnd, ssthresh, .. } = self.window;
        let cubic = if let Law::Cubic(law) = self.law { Some(law) } else { None };
        self.before = Some(Before { cwnd, ssthresh, cubic });
    }

    /// The last reduction was for nothing: what was not lost.
    //= rfc9438#4.9.1
    //= rfc9438#4.9.2
    pub(crate) fn undo(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.window.cwnd = self.window.cwnd.max(before.cwnd);
        self.window.ssthresh = before.ssthresh;
        if let Some(cubic) = before.cubic {
            self.law = Law::Cubic(cubic);
        }
    }

    /// Segments hold `mss` bytes of payload from now on. The window stays what it is in bytes.
    //= rfc1191#6.4
    pub(crate) fn on_mss(&mut self, mss: u16) {
        self.window.mss = u32::from(mss);
    }

    /// Nothing has been on its way for `idle`, longer than which the timeout `rto` may be, and now
    /// something will be.
    pub(crate) fn on_idle(&mut self, idle: Duration, rto: Duration, now: Instant) {
        match &mut self.law {
            Law::Bbr(law) => return law.on_idle(now),
            _ if idle <= rto => return,
            Law::Cubic(law) => law.on_idle(),
            Law::NewReno(_) | Law::None => {}
        }
        self.window.restart();
        self.open();
    }

    fn open(&mut self) {
        self.refills = false;
        self.pacer.open();
    }

    /// Our own invariants, for tests and the simulation.
    pub(in crate::tcp) fn check(&self, una: Seq) {
        self.slow_start.check(una);
        if !matches!(self.law, Law::Bbr(_)) {
            self.usage.check(una);
        }
    }

    /// All that there was to send went out, `flight` bytes are on their way, and only now there is more.
    pub(crate) fn on_dry(&mut self, flight: u32, now: Instant) {
        if let Law::Bbr(law) = &mut self.law
            && flight < self.window.cwnd
        {
            law.on_dry(flight, now);
        }
    }
}

#[cfg(test)]
mod tests;
