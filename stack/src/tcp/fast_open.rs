//! TCP Fast Open (RFC 7413): text on the SYN, from clients that were here before.
//!
//! A client that asks for one gets a cookie, which proves later that it is at its address. Its next
//! SYN brings the cookie and text: the connection is there for `accept` at once, and what answers the
//! text need not wait for the third segment of the handshake. Until that comes the connection is
//! synchronized with an [`Opening`]: its timer repeats the SYN-ACK and nothing else.
//!
//! A cookie is a hash of the client's address, so the server remembers none of them. What it can't
//! know is whether a SYN is a copy of one whose connection is long over: the application must bear
//! that the text of a SYN comes twice (RFC 7413 §2.1).

use super::congestion::Controller;
use super::ecn::{Ecn, Negotiation};
use super::segment::{FastOpen, Flags, Mark, Options, Plan, PlanKind, Reset, Segment, Timestamps};
use super::send::SendTimer;
use super::send::timer::{R1, since_after_gap};
use super::tcb::{Cx, Dropped, Effects, End, Phase, Synchronized, Tcb};
use super::{Profile, Tcp, Tuple};
use crate::counters::TcpCount;
use crate::demux::HashKey;
use crate::error::Error;
use crate::seq::Seq;
use crate::slab::Key;
use crate::time::{Duration, Instant};

/// A cookie is good in the epoch in which it was given out, and in the next.
//= rfc7413#4.1.2: the server's secret changes in time
const EPOCH: Duration = Duration::from_secs(4 * 3600);
/// How long a connection that a reset ended counts as one that is pending: as long as nobody has
/// answered, a forger could end it and begin the next.
//= rfc7413#5.1
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// A connection whose SYN brought text and whose third segment is yet to come.
#[derive(Debug)]
pub(crate) struct Opening {
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
    pub(crate) send: bool,
}

/// The pending ones of a listener.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Connections with an [`Opening`].
    opening: u16,
    /// Such that a reset ended.
    reset: u16,
    /// Those count until then.
    reset_until: Instant,
}

impl Pending {
    /// May there be another, where `most` are allowed?
    fn has_room(&self, most: u16, now: Instant) -> bool {
        let reset = if now < self.reset_until { self.reset } else { 0 };
        self.opening.saturating_add(reset) < most
    }

    fn on_reset(&mut self, now: Instant) {
        if self.reset_until <= now {
            self.reset = 0;
        }
        self.reset = self.reset.saturating_add(1);
        self.reset_until = now + RESET_COUNTS;
    }
}

/// What a server makes of the Fast Open option of a SYN.
pub(super) struct Grant {
    /// Goes into the SYN-ACK: to a client that asks, or whose cookie is none or is old.
    pub(super) cookie: Option<FastOpen>,
    /// The cookie is ours.
    is_good: bool,
}

impl Grant {
    pub(super) const NOTHING: Grant = Grant { cookie: None, is_good: false };

    //= rfc7413#4.2.2
    fn of(key: &HashKey, tuple: &Tuple, asked: &FastOpen, now: Instant) -> Grant {
        let epoch = now.micros() / EPOCH.micros();
        let [this, before] = [epoch, epoch.wrapping_sub(1)].map(|epoch| cookie(key, tuple, epoch));
        let is_fresh = asked.cookie() == this;
        Grant {
            cookie: FastOpen::new(&this, asked.is_experimental).filter(|_| !is_fresh),
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

impl Tcp<'_> {
    /// What a SYN for this listener asks for and brings.
    pub(super) fn grant(&self, listener: u32, tuple: &Tuple, syn: &Segment<'_>, now: Instant) -> Grant {
        let most = self.fast_open_limit(listener);
        match &syn.options.fast_open {
            Some(asked) if most > 0 => Grant::of(&self.key, tuple, asked, now),
            _ => Grant::NOTHING,
        }
    }

    fn fast_open_limit(&self, listener: u32) -> u16 {
        let profile = self.listeners.at(listener).map_or(Profile::STACK, |l| l.0.profile);
        self.settings.options(profile).fast_open_backlog
    }

    /// The listener, if this SYN's text may be taken at once.
    //= rfc7413#4.2.2
    //= rfc7413#5.1
    pub(super) fn takes_early(
        &self,
        listener: u32,
        grant: &Grant,
        syn: &Segment<'_>,
        now: Instant,
    ) -> Option<Key> {
        let most = self.fast_open_limit(listener);
        let has_room = self.listeners.at(listener).is_some_and(|l| l.0.pending.has_room(most, now));
        let takes = grant.is_good && !syn.text.is_empty() && has_room;
        self.listeners.key(listener).filter(|_| takes)
    }

    /// A connection has an [`Opening`] on this listener.
    pub(super) fn opening_begins(&mut self, listener: Key) {
        if let Some(l) = self.listeners.get_mut(listener) {
            l.0.pending.opening += 1;
        }
    }

    /// And now it has none any more; with a time if a reset was the end.
    pub(super) fn opening_ends(&mut self, listener: Key, reset: Option<Instant>) {
        if let Some(l) = self.listeners.get_mut(listener) {
            l.0.pending.opening -= 1;
            reset.into_iter().for_each(|now| l.0.pending.on_reset(now));
        }
    }
}

impl Tcb {
    /// In SYN-RECEIVED: `syn` has brought text that need not wait.
    pub(super) fn open_early(&mut self, syn: &Segment<'_>, listener: Key, cx: &mut Cx<'_, '_>) {
        let Phase::SynReceived(h) = &mut self.phase else { return };
        // No sample of the RTT yet, and nothing is known of marks before the third segment.
        h.answered = true;
        let ecn = core::mem::replace(&mut h.ecn, Negotiation::new(super::Ecn::Off));
        let (scales, cookie) = (h.peer.window_scale.is_some(), h.fast_open.take());
        let mut effects = Effects::default();
        self.establish(syn, cx, &mut effects);
        let Phase::Synchronized(s) = &mut self.phase else { return };
        let opening = Opening {
            listener,
            irs: syn.seq,
            ecn,
            scales,
            cookie,
            first_sent: cx.now,
            transmissions: 0,
            send: true,
        };
        s.open_early(opening, syn, cx);
    }

    /// The listener whose limit this connection counts for.
    pub(super) fn opening(&self) -> Option<Key> {
        match &self.phase {
            Phase::Synchronized(s) => s.opening.as_ref().map(|o| o.listener),
            _ => None,
        }
    }
}

impl Synchronized {
    fn open_early(&mut self, opening: Opening, syn: &Segment<'_>, cx: &mut Cx<'_, '_>) {
        self.opening = Some(opening);
        (self.send.timer, self.send.since) = (SendTimer::SynAck(cx.now + cx.config.rto_initial), cx.now);
        let nxt = self.receive.nxt;
        let text = syn.text.slice(0, self.receive.wnd() as usize);
        // What finds no memory comes again: the SYN-ACK does not acknowledge it.
        self.receive.text(cx.pool, nxt, text);
        self.stats.bytes_received += u64::from(self.receive.nxt.since(nxt));
        self.note_arrival(cx.now);
    }

    /// Acknowledges the SYN, and its text as far as it was taken.
    //= rfc7413#4.2.2
    pub(super) fn syn_ack(&self, opening: &Opening, clock: u32) -> Plan {
        let receive = &self.receive;
        let window = receive.wnd().min(0xffff); // never scaled
        let Opening { ecn, scales, cookie, transmissions, .. } = opening;
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
            mark: Mark::NotEct,
            offset: 0,
            len: 0,
            mss: receive.mss(),
            edge: receive.nxt + window,
        }
    }

    pub(super) fn on_syn_ack_sent(&mut self, plan: &Plan, cx: &mut Cx<'_, '_>) {
        let Some(opening) = &mut self.opening else { return };
        opening.send = false;
        if opening.transmissions == 0 {
            (opening.first_sent, self.send.since) = (cx.now, cx.now);
            self.send.timer = SendTimer::SynAck(cx.now + cx.config.rto_initial);
        }
        opening.transmissions = opening.transmissions.saturating_add(1);
        self.receive.on_ack_sent(cx.pool, plan.edge, false);
    }

    /// The SYN-ACK is not acknowledged in time. It goes again alone: the answer to it says what is to
    /// be done about text.
    pub(super) fn on_syn_ack_timeout(&mut self, cx: &mut Cx<'_, '_>, effects: &mut Effects) {
        let SendTimer::SynAck(at) = self.send.timer else { return };
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
        self.send.timer = SendTimer::SynAck(cx.now + wait);
    }

    /// SYN-RECEIVED sees a SYN: the peer has not heard our SYN-ACK (H006). Its text is known.
    pub(super) fn is_syn_again(
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
    pub(super) fn complete_opening(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Cx<'_, '_>,
        effects: &mut Effects,
    ) -> Result<(), Dropped> {
        if !self.acknowledges_syn_ack(segment) {
            effects.reset = Reset::answer_to(segment);
            return Err(Dropped::BadAck);
        }
        let Some(Opening { listener, mut ecn, first_sent, transmissions, .. }) = self.opening.take() else {
            return Ok(());
        };
        effects.opened = Some(listener);
        ecn.on_third(segment);
        let which = cx.options.congestion.unwrap_or(cx.config.congestion);
        self.ecn = Ecn::new(&ecn, false, transmissions, which != super::Congestion::None);
        let send = &mut self.send;
        send.timer = SendTimer::Off;
        //= rfc5681#3.1: one segment after a lost SYN-ACK
        match (transmissions > 1, send.flight()) {
            (false, _) => {}
            (true, 0) => {
                send.controller = Controller::new(which, cx.config, send.mss, true, send.una, cx.now);
            }
            // Without the SYN-ACK the peer could make nothing of the text that followed it.
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
