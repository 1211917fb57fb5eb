//! TCP Fast Open (RFC 7413): payload on the SYN, from clients that were here before.
//!
//! A client that asks for one gets a cookie, which proves later that it is at its address. Its next
//! SYN brings the cookie and payload: the connection is there for `accept` at once, and what answers the
//! payload need not wait for the third segment of the handshake. Until that comes the connection is
//! synchronized with a [`PendingFastOpen`]: its timer repeats the SYN-ACK and nothing else.
//!
//! A cookie is a hash of the client's address, so the server remembers none of them. What it can't
//! know is whether a SYN is a copy of one whose connection is long over: the application must bear
//! that the payload of a SYN comes twice (RFC 7413 §2.1).

use super::ecn::{Ecn, Negotiation};
use super::handshake::Handshake;
use super::tcb::{Dropped, Effects, End, Phase, Synchronized, Tcb};
use crate::base::demux::HashKey;
use crate::base::slab::Key;
use crate::counters::TcpCount;
use crate::error::Error;
use crate::seq::Seq;
use crate::tcp::Tuple;
use crate::tcp::context::Context;
use crate::tcp::fast_open::FastOpen;
use crate::tcp::segment::{EcnCodepoint, Flags, Options, Plan, PlanKind, Reset, Segment, Timestamps};
use crate::tcp::send::congestion::Controller;
use crate::tcp::send::timer::{R1, since_after_gap};
use crate::time::{Duration, Instant};

/// A cookie is good in the epoch in which it was given out, and in the next.
//= rfc7413#4.1.2: the server's secret changes in time
const EPOCH: Duration = Duration::from_secs(4 * 3600);
/// How long a connection that a reset ended counts as one that is pending: as long as nobody has
/// answered, a forger could end it and begin the next.
//= rfc7413#5.1
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// A connection whose SYN brought payload and whose third segment is yet to come.
#[derive(Debug)]
pub(crate) struct PendingFastOpen {
    /// Whose limit it counts for.
    pub(crate) listener: Key,
    /// The number of the peer's SYN.
    irs: Seq,
    ecn: Negotiation,
    /// The peer's SYN offered to scale windows.
    scales: bool,
    /// A fresh cookie, if the one that came is about to expire.
    cookie: Option<FastOpen>,
    first_sent: Instant,
    /// How often the SYN-ACK was sent.
    transmissions: u8,
    /// It is to be sent, first or again.
    send: bool,
}

impl PendingFastOpen {
    /// Is the SYN-ACK to be sent?
    pub(crate) fn sends(&self) -> bool {
        self.send
    }
}

/// What our SYN has to do with payload.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct EarlyPayload {
    /// The application goes on without waiting: what it writes first may go with the SYN.
    is_allowed: bool,
    /// The MSS that the server offered earlier, and bytes of payload that our SYN brought.
    mss: u16,
    len: u16,
}

impl EarlyPayload {
    pub(in crate::tcp) fn allowed(mss: u16) -> Self {
        EarlyPayload { is_allowed: true, mss, len: 0 }
    }

    pub(in crate::tcp) fn is_allowed(&self) -> bool {
        self.is_allowed
    }

    /// Bytes of payload that our SYN brought.
    pub(in crate::tcp) fn len(&self) -> u32 {
        self.len.into()
    }

    /// Our SYN, or its answer, went out with so much.
    pub(in crate::tcp) fn on_sent(&mut self, len: u32) {
        self.len = self.len.max(len as u16);
    }
}

/// The pending ones of a listener.
#[derive(Debug, Default)]
pub(in crate::tcp) struct Pending {
    /// Connections with a [`PendingFastOpen`].
    pub(in crate::tcp) opening: u16,
    /// Such that a reset ended.
    reset: u16,
    /// Those count until then.
    reset_until: Instant,
}

impl Pending {
    /// May there be another, where `most` are allowed?
    pub(in crate::tcp) fn has_room(&self, most: u16, now: Instant) -> bool {
        let reset = if now < self.reset_until { self.reset } else { 0 };
        self.opening.saturating_add(reset) < most
    }

    pub(in crate::tcp) fn on_reset(&mut self, now: Instant) {
        if self.reset_until <= now {
            self.reset = 0;
        }
        self.reset = self.reset.saturating_add(1);
        self.reset_until = now + RESET_COUNTS;
    }
}

/// What a server makes of the Fast Open option of a SYN.
pub(in crate::tcp) struct FastOpenGrant {
    /// Goes into the SYN-ACK: to a client that asks, or whose cookie is none or is old.
    cookie: Option<FastOpen>,
    /// The cookie is ours.
    pub(in crate::tcp) is_good: bool,
}

impl FastOpenGrant {
    pub(in crate::tcp) const NOTHING: FastOpenGrant = FastOpenGrant { cookie: None, is_good: false };

    pub(in crate::tcp) fn cookie(&self) -> Option<FastOpen> {
        self.cookie
    }

    //= rfc7413#4.2.2
    pub(in crate::tcp) fn of(key: &HashKey, tuple: &Tuple, asked: &FastOpen, now: Instant) -> FastOpenGrant {
        let epoch = now.micros() / EPOCH.micros();
        let [this, before] = [epoch, epoch.wrapping_sub(1)].map(|epoch| cookie(key, tuple, epoch));
        let is_fresh = asked.cookie() == this;
        FastOpenGrant {
            cookie: FastOpen::new(&this, asked.is_experimental()).filter(|_| !is_fresh),
            is_good: is_fresh || asked.cookie() == before,
        }
    }
}

/// The cookie of a client. It is for one of our addresses and for all ports.
//= rfc7413#4.1.2
fn cookie(key: &HashKey, tuple: &Tuple, epoch: u64) -> [u8; 8] {
    let half = |tag: u8| key.hash(&(tuple.remote, tuple.local, epoch, tag)).to_be_bytes();
    let ([a, b, c, d], [e, f, g, h]) = (half(4), half(5));
    [a, b, c, d, e, f, g, h]
}

impl Tcb {
    /// In SYN-RECEIVED: `syn` has brought payload that need not wait.
    pub(in crate::tcp) fn open_fast(&mut self, syn: &Segment<'_>, listener: Key, cx: &mut Context<'_, '_>) {
        let Phase::SynReceived(h) = &mut self.phase else { return };
        // No sample of the RTT yet, and nothing is known of marks before the third segment.
        h.answered = true;
        let ecn = core::mem::replace(&mut h.ecn, Negotiation::OFF);
        let (scales, cookie) = (h.peer.window_scale.is_some(), h.fast_open.take());
        let mut effects = Effects::default();
        self.establish(syn, cx, &mut effects);
        let Phase::Synchronized(s) = &mut self.phase else { return };
        let opening = PendingFastOpen {
            listener,
            irs: syn.seq,
            ecn,
            scales,
            cookie,
            first_sent: cx.now,
            transmissions: 0,
            send: true,
        };
        s.open_fast(opening, syn, cx);
    }

    /// The listener whose limit this connection counts for.
    pub(in crate::tcp) fn opening(&self) -> Option<Key> {
        match &self.phase {
            Phase::Synchronized(s) => s.opening.as_ref().map(|o| o.listener),
            _ => None,
        }
    }
}

impl Synchronized {
    fn open_fast(&mut self, opening: PendingFastOpen, syn: &Segment<'_>, cx: &mut Context<'_, '_>) {
        self.opening = Some(opening);
        self.send.set_syn_ack(cx.now + cx.config.rto_initial);
        self.send.since = cx.now;
        let nxt = self.receive.nxt;
        let payload = syn.payload.slice(0, self.receive.wnd() as usize);
        // What finds no memory comes again: the SYN-ACK does not acknowledge it.
        self.receive.payload(cx.pool, nxt, payload);
        self.stats.bytes_received += u64::from(self.receive.nxt.since(nxt));
        self.note_arrival(cx.now);
    }

    /// Acknowledges the SYN, and its payload as far as it was taken.
    //= rfc7413#4.2.2
    pub(in crate::tcp) fn syn_ack(&self, opening: &PendingFastOpen, clock: u32) -> Plan {
        let receive = &self.receive;
        let window = receive.wnd().min(0xffff); // never scaled
        let PendingFastOpen { ecn, scales, cookie, transmissions, .. } = opening;
        let options = Options {
            mss: Some(receive.mss()),
            window_scale: scales.then_some(receive.scale()),
            timestamps: receive.ts_recent.map(|echo| Timestamps { value: clock, echo }),
            sack_permitted: self.send.recovery.sack,
            ..Options::default()
        };
        Plan {
            kind: PlanKind::Handshake,
            seq: self.send.una - 1,
            ack: receive.nxt,
            flags: Flags::SYN | Flags::ACK | ecn.syn_ack_flags(*transmissions),
            window: window as u16,
            options: options
                .with_fast_open(*cookie, receive.mss())
                .with_ecn_bytes(ecn.report(*transmissions), receive.mss()),
            mark: EcnCodepoint::NotEct,
            offset: 0,
            len: 0,
            mss: receive.mss(),
            edge: receive.nxt + window,
        }
    }

    pub(in crate::tcp) fn on_syn_ack_sent(&mut self, plan: &Plan, cx: &mut Context<'_, '_>) {
        let Some(opening) = &mut self.opening else { return };
        opening.send = false;
        if opening.transmissions == 0 {
            (opening.first_sent, self.send.since) = (cx.now, cx.now);
            self.send.set_syn_ack(cx.now + cx.config.rto_initial);
        }
        opening.transmissions = opening.transmissions.saturating_add(1);
        self.receive.on_ack_sent(cx.pool, plan.edge, false);
    }

    /// The SYN-ACK is not acknowledged in time. It goes again alone: the answer to it says what is to
    /// be done about payload.
    pub(in crate::tcp) fn on_syn_ack_timeout(&mut self, cx: &mut Context<'_, '_>, effects: &mut Effects) {
        let Some(at) = self.send.fires_at() else { return };
        let Some(opening) = &mut self.opening else { return };
        let sent = opening.transmissions;
        let is_enough = cx.options.syn_retries.is_some_and(|n| sent > n);
        // Where a device takes nothing, none is sent.
        let was_tried = opening.send || sent > R1;
        opening.first_sent = since_after_gap(opening.first_sent, at, was_tried, cx.now);
        if is_enough || (was_tried && cx.now.since(opening.first_sent) >= cx.syn_timeout()) {
            effects.end = Some(End::Failed(Error::TimedOut));
            return;
        }
        cx.count(TcpCount::HandshakeTimeouts);
        opening.send = true;
        let wait = cx.config.backed_off(cx.config.rto_initial, opening.transmissions);
        self.send.set_syn_ack(cx.now + wait);
    }

    /// SYN-RECEIVED sees a SYN: the peer has not heard our SYN-ACK (H006). Its payload is known.
    pub(in crate::tcp) fn is_syn_again(
        &mut self,
        segment: &Segment<'_>,
        effects: &mut Effects,
    ) -> Result<bool, Dropped> {
        let is_acceptable = self.acknowledges_syn_ack(segment);
        let Some(opening) = &mut self.opening else { return Ok(false) };
        if !segment.flags.has(Flags::SYN) || segment.flags.has(Flags::RST) {
            return Ok(false);
        }
        if segment.flags.has(Flags::ACK) && !is_acceptable {
            // A SYN-ACK for it would be answered with another, and so on: who sends this has had a SYN
            // from somebody else.
            effects.reset = Reset::answer_to(segment);
            return Err(Dropped::BadAck);
        }
        opening.send = true;
        let is_same = segment.seq == opening.irs && !segment.flags.has(Flags::ACK);
        if is_same { Ok(true) } else { Err(Dropped::Challenged) }
    }

    fn acknowledges_syn_ack(&self, segment: &Segment<'_>) -> bool {
        self.send.una.at_or_before(segment.ack) && segment.ack.at_or_before(self.send.max)
    }

    /// The third segment of the handshake, or one that does for it.
    //= rfc9293#3.10.7.4 fifth, SYN-RECEIVED STATE
    pub(in crate::tcp) fn complete_opening(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Result<(), Dropped> {
        if !self.acknowledges_syn_ack(segment) {
            effects.reset = Reset::answer_to(segment);
            return Err(Dropped::BadAck);
        }
        let Some(PendingFastOpen { listener, mut ecn, first_sent, transmissions, .. }) = self.opening.take()
        else {
            return Ok(());
        };
        effects.opened = Some(listener);
        ecn.on_third(segment);
        let which = cx.options.congestion.unwrap_or(cx.config.congestion);
        self.ecn = Ecn::new(&ecn, false, transmissions, which != crate::tcp::Congestion::None);
        let send = &mut self.send;
        send.stop_syn_ack();
        //= rfc5681#3.1: one segment after a lost SYN-ACK
        match (transmissions > 1, send.flight()) {
            (false, _) => {}
            (true, 0) => {
                send.controller = Controller::new(which, cx.config, send.mss, true, send.una, cx.now);
            }
            // Without the SYN-ACK the peer could make nothing of the payload that followed it.
            (true, _) if segment.ack == send.una => {
                send.on_timeout(cx);
            }
            (true, _) => {}
        }
        send.rtt.leave_handshake(transmissions, Some(cx.now.since(first_sent)), cx.now, cx.config);
        send.update_timer(cx.now, cx.config);
        Ok(())
    }
}

/// What a SYN of ours had to do with Fast Open before a segment or a timeout came.
#[derive(Clone, Copy)]
pub(in crate::tcp) struct Asked {
    /// Bytes of payload that it brought.
    pub(in crate::tcp) payload: u16,
}

impl Tcb {
    /// Is our SYN under way with a Fast Open option?
    pub(in crate::tcp) fn fast_open_request(&self) -> Option<Asked> {
        match &self.phase {
            Phase::SynSent(h) if h.transmissions > 0 => h.fast_open.map(|_| Asked { payload: h.early.len }),
            _ => None,
        }
    }

    /// The SYN need not wait for payload any longer. True: it did.
    pub(in crate::tcp) fn stop_waiting_for_payload(&mut self) -> bool {
        match &mut self.phase {
            Phase::SynSent(h) if h.waits_for_payload() => !core::mem::replace(&mut h.send, true),
            _ => false,
        }
    }
}

impl Handshake {
    /// How much of what was written a SYN with these options may bring: as much as fits into it.
    //= rfc7413#4.1.3
    pub(super) fn early_len(&self, options: &Options) -> u32 {
        let may = self.early.is_allowed && self.transmissions == 0 && options.fast_open.is_some();
        let room = self.early.mss.min(self.mss.ours).min(self.mss.path).saturating_sub(options.len() as u16);
        if may { (self.queue.len() as u32).min(room.into()) } else { 0 }
    }

    /// Is its SYN held back for the first write?
    pub(in crate::tcp) fn waits_for_payload(&self) -> bool {
        self.transmissions == 0 && !self.send
    }
}
