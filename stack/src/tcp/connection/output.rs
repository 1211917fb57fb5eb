//! What goes out: `plan` says which segment is sent next and changes nothing; `on_sent` makes it
//! so, once the device has the frame.

use super::handshake::Handshake;
use super::tcb::{Closing, Phase, Synchronized, Tcb};
use crate::base::pool::Pool;
use crate::counters::TcpCount;
use crate::seq::Range;
use crate::seq::Seq;
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;
use crate::tcp::receive::first_window;
use crate::tcp::segment::{EcnCodepoint, Flags, Options, Plan, PlanKind, Sack, Timestamps};
use crate::time::Instant;

impl Tcb {
    /// The segment to send now, if any, with at most `most` bytes of payload, which is at least one
    /// MSS.
    pub(crate) fn plan(&self, most: u32, now: Instant, cx: &Outlook<'_, '_>) -> Option<Plan> {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) if h.send => {
                let answer = matches!(self.phase, Phase::SynReceived(_));
                let window = h.window(self.receive_limit, cx.pool);
                let plan = h.plan(answer, window, self.window_scale(), self.clock(now), cx.config);
                Some(Plan { len: h.early_len(&plan.options).min(most), ..plan })
            }
            Phase::Synchronized(s) => match &s.opening {
                Some(opening) if opening.sends() => Some(s.syn_ack(opening, self.clock(now))),
                _ => {
                    let plan = s.plan(most, now, self.clock(now), cx.pool);
                    let plain = || s.plan_plain(most, self.clock(now), cx.pool);
                    debug_assert!(
                        plain().is_none_or(|plain| plan == Some(plain.into())),
                        "{plan:?}, {:?}",
                        plain()
                    );
                    plan
                }
            },
            _ => None,
        }
    }

    /// Our timestamp clock: milliseconds, from a start that is different for each connection.
    fn clock(&self, now: Instant) -> u32 {
        clock(self.ts_offset, now)
    }

    /// The device has taken the segment of `plan`, as far as the plan goes.
    pub(crate) fn on_sent(&mut self, plan: &Plan, cx: &mut Context<'_, '_>) {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                h.early.on_sent(plan.len);
                h.on_sent(plan.window.into(), cx);
            }
            Phase::Synchronized(s) => s.on_sent(plan, cx),
            Phase::Over(_) => {}
        }
    }
}

/// The timestamp clock of a connection with this start.
pub(in crate::tcp) fn clock(ts_offset: u32, now: Instant) -> u32 {
    (now.millis() as u32).wrapping_add(ts_offset)
}

/// What planning looks at beside the connection.
pub(crate) struct Outlook<'c, 'p> {
    pub(crate) pool: &'c Pool<'p>,
    pub(crate) config: &'c TcpConfig,
}

impl Handshake {
    /// The window that the SYN or SYN-ACK offers: once sent, it stays.
    pub(in crate::tcp) fn window(&self, receive_limit: u32, pool: &Pool<'_>) -> u32 {
        match self.offered.reach() {
            0 => first_window(pool, receive_limit),
            offered => offered,
        }
    }

    pub(in crate::tcp) fn plan(
        &self,
        answer: bool,
        window: u32,
        scale: u8,
        clock: u32,
        config: &TcpConfig,
    ) -> Plan {
        let peer = &self.peer;
        // A SYN-ACK answers only what the SYN offered.
        let scale = (!answer || peer.window_scale.is_some()).then_some(scale);
        let timestamps = match answer {
            true => {
                peer.timestamp.filter(|_| config.timestamps).map(|echo| Timestamps { value: clock, echo })
            }
            false => config.timestamps.then_some(Timestamps { value: clock, echo: 0 }),
        };
        let sack_permitted = config.offers_sack() && (!answer || peer.sack_permitted);
        Plan {
            kind: PlanKind::Handshake,
            seq: self.iss,
            ack: if answer { self.rcv_nxt } else { Seq(0) },
            flags: match answer {
                true => Flags::SYN | Flags::ACK | self.ecn.syn_ack_flags(self.transmissions),
                false => Flags::SYN | self.ecn.syn_flags(self.transmissions),
            },
            window: window as u16,
            options: Options {
                mss: Some(self.mss.ours),
                window_scale: scale,
                timestamps,
                sack_permitted,
                ..Options::default()
            }
            .with_fast_open(self.fast_open, self.mss.path)
            .with_ecn_bytes(self.ecn.report(self.transmissions), self.mss.path),
            mark: EcnCodepoint::NotEct,
            offset: 0,
            len: 0,
            mss: self.mss.ours,
            edge: self.rcv_nxt + window,
        }
    }

    pub(crate) fn on_sent(&mut self, window: u32, cx: &mut Context<'_, '_>) {
        self.send = false;
        self.offered.promise(cx.pool, window as usize);
        if self.transmissions == 0 {
            self.first_sent = cx.now;
        }
        // A SYN-ACK that answers a repeated SYN does not move the timer.
        if self.retransmit_at.is_none() {
            let wait = cx.config.backed_off(cx.config.rto_initial, self.transmissions);
            self.retransmit_at = Some(cx.now + wait);
        }
        self.transmissions = self.transmissions.saturating_add(1);
    }
}

impl Synchronized {
    fn plan(&self, most: u32, at: Instant, clock: u32, pool: &Pool<'_>) -> Option<Plan> {
        let send = &self.send;
        let queued = send.queue.len() as u32;
        let one_segment = || u32::from(send.mss) - self.sack(pool).option_len() as u32;
        let most = if cfg!(feature = "offload") { most } else { most.min(one_segment()) };
        if let Some(range) = send.resendable(most) {
            return Some(self.again(PlanKind::Retransmit, range, clock, pool));
        }
        if self.ecn.wants_pure_ack() && self.receive.is_ack_due() {
            return Some(self.segment(PlanKind::Ack, 0, 0, false, clock, pool));
        }
        let now = send.sendable(if self.ecn.wants_one_segment() { one_segment() } else { most });
        if send.size.is_searching()
            && let Some(probe) = self.size_probe(now.len, at, clock, pool)
        {
            return Some(probe);
        }
        if now.len > 0 || now.fin {
            return Some(self.segment(PlanKind::Data, send.flight(), now.len, now.fin, clock, pool));
        }
        if let Some(range) = send.tail_segment(most) {
            return Some(self.again(PlanKind::TailProbe, range, clock, pool));
        }
        if send.probes_closed_window() {
            // A byte, or the FIN, beyond the closed window.
            let len = queued.min(1);
            return Some(self.segment(PlanKind::Probe, 0, len, len == 0, clock, pool));
        }
        if self.asking.due {
            return Some(self.segment(PlanKind::KeepAlive, 0, 0, false, clock, pool));
        }
        self.receive.is_ack_due().then(|| self.segment(PlanKind::Ack, 0, 0, false, clock, pool))
    }

    /// What was sent before.
    fn again(&self, kind: PlanKind, range: Range, clock: u32, pool: &Pool<'_>) -> Plan {
        let (offset, queued) = (range.start.since(self.send.una), self.send.queue.len() as u32);
        let len = range.len().min(queued.saturating_sub(offset));
        self.segment(kind, offset, len, len < range.len(), clock, pool)
    }

    /// A longer segment than the path is known to carry, with new payload, of which `sendable` bytes may
    /// go out.
    fn size_probe(&self, sendable: u32, at: Instant, clock: u32, pool: &Pool<'_>) -> Option<Plan> {
        let payload = self.send.size_probe(sendable, at)?;
        let plan = self.segment(PlanKind::Data, self.send.flight(), payload.into(), false, clock, pool);
        // Blocks would make it longer than it is meant to be.
        (plan.options.sack.option_len() == 0).then_some(Plan { mss: payload, ..plan })
    }

    /// The blocks of the next segment: no more than leave room for payload.
    fn sack(&self, pool: &Pool<'_>) -> Sack {
        self.receive.sack_blocks(pool).within(usize::from(self.send.mss) - 1)
    }

    fn segment(&self, kind: PlanKind, offset: u32, len: u32, fin: bool, clock: u32, pool: &Pool<'_>) -> Plan {
        let send = &self.send;
        let (window, edge) = self.receive.window(pool);
        let seq = match kind {
            PlanKind::Ack => send.seq_without_text(),
            //= rfc9293#3.8.4 SHLD-12: without payload, and with a number that the peer has to answer
            PlanKind::KeepAlive => send.una - 1,
            _ => send.una + offset,
        };
        let mut flags = Flags::ACK | self.ecn.flags(kind, len);
        if fin {
            flags = flags | Flags::FIN;
        }
        if len > 0 && offset + len == send.queue.len() as u32 {
            flags = flags | Flags::PSH; // MUST-60: the last of what was written
        }
        let sack = self.sack(pool);
        let timestamps = self.receive.ts_recent.map(|echo| Timestamps { value: clock, echo });
        Plan {
            kind,
            seq,
            ack: self.receive.nxt,
            flags,
            window,
            options: Options { timestamps, sack, ..Options::default() }
                .with_ecn_bytes(self.ecn.report(kind), send.size.whole()),
            mark: self.ecn.mark(kind, len, !seq.before(send.max)),
            offset,
            len,
            // Blocks take their room from the payload of each segment (RFC 9293 §3.7.1).
            mss: send.mss - sack.option_len() as u16,
            edge,
        }
    }

    fn on_sent(&mut self, plan: &Plan, cx: &mut Context<'_, '_>) {
        if plan.kind == PlanKind::Handshake {
            return self.on_syn_ack_sent(plan, cx);
        }
        let again = self.send.max.later_of(plan.seq).since(plan.seq).min(plan.seq_len());
        self.stats.on_sent(plan, again);
        if again > 0 {
            cx.counts.add(TcpCount::Retransmits, plan.segments(again));
        }
        let send = &mut self.send;
        self.ecn.on_sent(plan);
        self.receive.on_ack_sent(cx.pool, plan.edge, plan.kind == PlanKind::Ack);
        if plan.kind == PlanKind::Ack {
            return;
        }
        self.asking.due = false;
        if plan.kind == PlanKind::KeepAlive {
            return cx.count(TcpCount::KeepAlives);
        }
        send.sent_at = cx.now;
        match plan.kind {
            PlanKind::Data => {
                if plan.mss > send.mss && plan.len == u32::from(plan.mss) {
                    send.size.on_probe_sent(plan.seq, plan.mss);
                }
                let probes = send.recovery.probe_is_due();
                send.on_sent(plan.seq_len(), plan.len, cx.pool, cx.now);
                if probes {
                    cx.count(TcpCount::TailProbes);
                    send.on_tail_sent(false, cx.now, cx.config);
                }
            }
            PlanKind::Retransmit | PlanKind::TailProbe => {
                let range = Range { start: plan.seq, end: plan.seq + plan.seq_len() };
                let clock = plan.options.timestamps.map_or(0, |t| t.value);
                send.controller.on_resent(range.start, plan.len, cx.now);
                send.on_resent(range, clock, cx);
                if plan.kind == PlanKind::TailProbe {
                    cx.count(TcpCount::TailProbes);
                    send.on_tail_sent(true, cx.now, cx.config);
                }
            }
            PlanKind::Probe => {
                send.probe = false;
                cx.count(TcpCount::WindowProbes);
                send.max = send.max.later_of(send.una + plan.seq_len());
            }
            PlanKind::Handshake | PlanKind::Ack | PlanKind::KeepAlive => {}
        }
        if plan.flags.has(Flags::FIN) && self.closing == Closing::Neither {
            self.closing = Closing::LocalFirst;
        }
        send.update_timer(cx.now, cx.config);
    }
}
