//! A connection before it is established: SYN-SENT and SYN-RECEIVED (RFC 9293 §3.10.7.3, §3.10.7.4).

use super::ecn::{Ecn, Negotiation};
use super::fast_open::EarlyPayload;
use super::input::Step;
use super::tcb::{Dropped, Effects, End, Phase, Synchronized, Tcb};
use crate::base::pool::{Chain, Need};
use crate::counters::TcpCount;
use crate::error::Error;
use crate::seq::Seq;
use crate::tcp::Reply;
use crate::tcp::config::Congestion;
use crate::tcp::connection::soft_error::SoftError;
use crate::tcp::context::Context;
use crate::tcp::fast_open::FastOpen;
use crate::tcp::receive::{AckReason, SackUse, is_acceptable};
use crate::tcp::segment::{Flags, Reset, Segment, Timestamps};
use crate::tcp::send::Fin;
use crate::tcp::send::congestion::Controller;
use crate::tcp::send::plpmtud::{self, HEADERS_V4, HEADERS_V6, SegmentSize};
use crate::tcp::send::timer::LOOK;
use crate::time::Instant;

/// How a connection came to be (RFC 9293 §3.5, MUST-11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Active,
    /// On this listener.
    Passive(u32),
}

/// SYN-SENT and SYN-RECEIVED.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) origin: Origin,
    pub(crate) iss: Seq,
    /// RCV.NXT, once the peer's SYN has come.
    pub(crate) rcv_nxt: Seq,
    pub(crate) mss: Mss,
    pub(crate) peer: PeerSyn,
    pub(crate) ecn: Negotiation,
    /// The Fast Open option of the SYN or SYN-ACK.
    pub(crate) fast_open: Option<FastOpen>,
    /// What was written may go with the SYN, and has.
    pub(crate) early: EarlyPayload,
    /// How often the SYN or SYN-ACK was sent.
    pub(crate) transmissions: u8,
    /// When it was first sent; before that, when it was first to be sent.
    pub(crate) first_sent: Instant,
    /// The client has answered, with a cookie or while the accept queue was full: its address is no
    /// forgery, and when the answer that counts comes tells nothing of the RTT.
    pub(crate) answered: bool,
    /// `None`: it is to be sent now, and if no device takes it, that is looked at again at `look_at`.
    pub(crate) retransmit_at: Option<Instant>,
    pub(crate) look_at: Instant,
    /// It is to be sent, first or again.
    pub(crate) send: bool,
    /// Written before the connection was established.
    pub(crate) queue: Chain,
    /// Payload of the peer's SYN, where both opened at once, and whether a FIN followed it.
    pub(in crate::tcp) received: Chain,
    pub(in crate::tcp) received_fin: bool,
    /// For the window that the SYN or SYN-ACK offered: empty, but promised.
    pub(crate) offered: Chain,
    /// The application has closed its side.
    pub(crate) fin: bool,
    /// The application will read nothing.
    pub(crate) read_shut: bool,
    pub(crate) soft: Option<SoftError>,
}

/// Segment sizes that the path and the address family imply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mss {
    /// What we offer: the interface's MTU less the headers.
    pub(crate) ours: u16,
    /// What the path to the peer takes.
    pub(crate) path: u16,
    /// Bytes of the headers of IP and TCP.
    pub(crate) headers: u8,
    /// What the peer can take if it does not say.
    pub(crate) default_mss: u16,
}

impl Mss {
    //= rfc9293#3.7.1 MUST-15: 536 for IPv4, 1220 for IPv6 (H036)
    pub(crate) fn for_mtu(mtu: u16, v6: bool) -> Mss {
        let (headers, default_mss) = if v6 { (HEADERS_V6, 1220) } else { (HEADERS_V4, 536) };
        let path = mtu.saturating_sub(headers.into());
        Mss { ours: path, path, headers, default_mss }
    }
}

/// What the peer's SYN said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerSyn {
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) timestamp: Option<u32>,
    pub(crate) sack_permitted: bool,
}

impl PeerSyn {
    pub(crate) fn of(segment: &Segment<'_>) -> Self {
        let o = &segment.options;
        PeerSyn {
            mss: o.mss,
            //= rfc7323#2.3: a larger shift is used as 14 (H032)
            window_scale: o.window_scale.map(|s| s.min(14)),
            timestamp: o.timestamps.map(|t| t.value),
            sack_permitted: o.sack_permitted,
        }
    }
}

impl Handshake {
    /// Is this acknowledgment of our SYN, and of nothing that it did not bring?
    pub(in crate::tcp) fn is_acknowledged_by(&self, ack: Seq) -> bool {
        self.transmissions > 0 && ack.within(self.iss + 1, self.early.len() + 1)
    }

    /// That of a listener which answers this SYN: a SYN-ACK is to be sent.
    pub(in crate::tcp) fn answer(
        listener: u32,
        syn: &Segment<'_>,
        iss: Seq,
        mss: Mss,
        cx: &Context<'_, '_>,
    ) -> Self {
        let mut handshake = Handshake::new(Origin::Passive(listener), iss, mss, cx);
        handshake.rcv_nxt = syn.seq + 1;
        handshake.peer = PeerSyn::of(syn);
        handshake.ecn.on_syn(syn);
        handshake
    }

    /// In SYN-RECEIVED.
    pub(in crate::tcp) fn reset(&self) -> Reset {
        Reset { seq: self.iss + 1, ack: Some(self.rcv_nxt), timestamps: None }
    }

    pub(super) fn new(origin: Origin, iss: Seq, mss: Mss, cx: &Context<'_, '_>) -> Self {
        let most = cx.options.max_segment.unwrap_or(u16::MAX);
        Handshake {
            origin,
            iss,
            rcv_nxt: Seq(0),
            mss: Mss { ours: mss.ours.min(most), ..mss },
            peer: PeerSyn::default(),
            ecn: Negotiation::new(cx.config),
            fast_open: None,
            early: EarlyPayload::default(),
            transmissions: 0,
            first_sent: cx.now,
            answered: false,
            retransmit_at: None,
            look_at: cx.now + LOOK,
            send: true,
            queue: Chain::new(),
            received: Chain::new(),
            received_fin: false,
            offered: Chain::new(),
            fin: false,
            read_shut: false,
            soft: None,
        }
    }
}

impl Tcb {
    //= rfc9293#3.10.7.3
    pub(super) fn in_syn_sent(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Step {
        let Phase::SynSent(h) = &mut self.phase else { return Ok(()) };
        let flags = segment.flags;
        // First, the ACK bit: it must acknowledge our SYN and nothing else.
        let acks_syn = flags.has(Flags::ACK) && h.is_acknowledged_by(segment.ack);
        if flags.has(Flags::ACK) && !acks_syn {
            effects.reset = Reset::answer_to(segment);
            return Err(Dropped::BadAck);
        }
        // Second, the RST bit: believed only if it acknowledges our SYN.
        if flags.has(Flags::RST) {
            if acks_syn {
                cx.count(TcpCount::ResetsReceived);
                effects.end = Some(End::Failed(Error::ConnectionRefused));
                return Ok(());
            }
            return Err(Dropped::Challenged);
        }
        if !flags.has(Flags::SYN) {
            return Err(Dropped::InvalidForState);
        }
        h.rcv_nxt = segment.seq + 1;
        h.peer = PeerSyn::of(segment);
        if acks_syn {
            h.ecn.on_syn_ack(segment);
            self.establish(segment, cx, effects);
            return self.after_syn(segment, cx, effects);
        }
        // Simultaneous open (MUST-10, H004): our SYN goes again, now with an acknowledgment.
        h.keep_payload(segment, cx);
        h.ecn.on_syn_crossed(segment);
        h.send = true;
        h.fast_open = None;
        (h.retransmit_at, h.look_at) = (None, cx.now + LOOK);
        let h = h.take();
        self.phase = Phase::SynReceived(h);
        Ok(())
    }

    //= rfc9293#3.10.7.4, for SYN-RECEIVED
    pub(super) fn in_syn_received(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Step {
        let (our_scale, ts_offset) = (self.window_scale(), self.ts_offset);
        let Phase::SynReceived(h) = &mut self.phase else { return Ok(()) };
        let flags = segment.flags;
        let whole = segment;
        let mut segment = *whole;
        if flags.has(Flags::SYN | Flags::ACK) && !flags.has(Flags::RST) && segment.seq + 1 == h.rcv_nxt {
            // Both ends opened at once, and this is the peer's SYN-ACK: its SYN is known (H004).
            segment.flags = flags.without(Flags::SYN);
            segment.seq = h.rcv_nxt;
        }
        let flags = segment.flags;
        // The client's SYN again: the SYN-ACK was lost (H006). It takes the same half-open record.
        if flags.has(Flags::SYN)
            && !flags.has(Flags::ACK)
            && !flags.has(Flags::RST)
            && segment.seq + 1 == h.rcv_nxt
        {
            if h.origin == Origin::Active {
                h.keep_payload(&segment, cx);
            }
            h.send = true;
            return Ok(());
        }
        if !is_acceptable(&segment, h.rcv_nxt, h.offered.reach()) {
            if !flags.has(Flags::RST) {
                h.send = true; // the SYN-ACK is the acknowledgment
            }
            return Err(Dropped::OutOfWindow);
        }
        if flags.has(Flags::RST) {
            if segment.seq != h.rcv_nxt {
                effects.challenge = Some(h.challenge(our_scale, ts_offset, cx));
                return Err(Dropped::Challenged);
            }
            cx.count(TcpCount::ResetsReceived);
            effects.end = Some(match h.origin {
                Origin::Passive(_) => End::HalfOpenDropped,
                Origin::Active => End::Failed(Error::ConnectionRefused),
            });
            return Ok(());
        }
        if flags.has(Flags::SYN) {
            match h.origin {
                Origin::Active => effects.challenge = Some(h.challenge(our_scale, ts_offset, cx)),
                // It may be another SYN of a client that has started anew: what it needs is a SYN-ACK.
                Origin::Passive(_) => h.send = true,
            }
            return Err(Dropped::Challenged);
        }
        if !flags.has(Flags::ACK) {
            return Err(Dropped::InvalidForState);
        }
        if !h.is_acknowledged_by(segment.ack) {
            effects.reset = Reset::answer_to(&segment);
            return Err(Dropped::BadAck);
        }
        h.ecn.on_third(&segment);
        self.establish(whole, cx, effects);
        // The third segment may bring data and a FIN.
        let Phase::Synchronized(s) = &mut self.phase else { return Ok(()) };
        s.on_segment(&segment, cx, effects)
    }

    /// A SYN-ACK may bring payload and a FIN, too.
    //= rfc9293#3.10.7.3 fourth: other controls or payload
    pub(super) fn after_syn(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) -> Step {
        let rest = Segment { seq: segment.seq + 1, flags: segment.flags.without(Flags::SYN), ..*segment };
        match &mut self.phase {
            Phase::Synchronized(s) if rest.len() > 0 => s.on_segment(&rest, cx, effects),
            _ => Ok(()),
        }
    }

    /// Our SYN is acknowledged and the peer's has come: ESTABLISHED.
    pub(in crate::tcp) fn establish(
        &mut self,
        segment: &Segment<'_>,
        cx: &mut Context<'_, '_>,
        effects: &mut Effects,
    ) {
        let our_scale = self.window_scale();
        let (send_limit, receive_limit) = (self.send_limit, self.receive_limit);
        let (Phase::SynSent(h) | Phase::SynReceived(h)) = &mut self.phase else { return };
        let mut h = h.take();
        // What a SYN brought may be acknowledged with it; the rest goes again at once.
        //= rfc7413#4.2.2
        let early = if h.early.len() > 0 { segment.ack.since(h.iss + 1) } else { 0 };
        let (received, finished) = (core::mem::take(&mut h.received), h.received_fin);
        self.phase = Phase::SYNCHRONIZED;
        let Phase::Synchronized(s) = &mut self.phase else { return };
        (s.send.limit, s.stats.bytes_acked) = (send_limit, early.into());
        s.receive.set_first_limit(receive_limit, cx);
        h.hand_over(s, our_scale, receive_limit, early, cx);
        s.take_payload_of_syn(received, finished, cx, effects);
        (s.send.nodelay, s.send.cork) = (cx.options.nodelay, cx.options.cork);
        s.start_asking(cx);
        s.send.ts_offset = self.ts_offset;
        // The window of a SYN is never scaled (RFC 7323 §2.2); the ACK of a SYN-ACK is.
        let has_syn = segment.flags.has(Flags::SYN);
        let scale = if has_syn { 0 } else { s.send.scale };
        s.send.wnd = (segment.window as u32) << scale;
        s.send.wnd_max = s.send.wnd;
        // A SYN with payload that was taken at once acknowledges nothing, whatever its field says.
        (s.send.wl1, s.send.wl2) = (segment.seq, s.send.una);
        if has_syn {
            s.receive.ack_now(AckReason::Handshake);
        }
        s.send.update_timer(cx.now, cx.config);
        effects.established = true;
        effects.writable = true;
    }
}

impl Handshake {
    /// Moves it out of its place, for the next phase.
    fn take(&mut self) -> Self {
        let [queue, received, offered] =
            [&mut self.queue, &mut self.received, &mut self.offered].map(core::mem::take);
        Handshake { queue, received, offered, ..*self }
    }

    /// Payload and FIN of the SYN of a peer that opens at the same time: for later, when the connection is
    /// established. Not acknowledged until then, so what finds no memory comes again.
    //= rfc9293#3.10.7.3 fourth: other controls or payload
    fn keep_payload(&mut self, syn: &Segment<'_>, cx: &mut Context<'_, '_>) {
        let payload = syn.payload.slice(0, self.offered.reach() as usize);
        if self.received.is_empty() {
            self.received.append_whole(cx.pool, payload, Need::Window);
        }
        self.received_fin = syn.flags.has(Flags::FIN) && self.received.len() == syn.payload.len();
    }

    /// A bare acknowledgment in SYN-RECEIVED, for what a blind attacker could have sent.
    //= rfc9293#3.10.7.4 second, fourth; MUST send an acknowledgment
    //= rfc5961#3.2
    fn challenge(&self, our_scale: u8, ts_offset: u32, cx: &Context<'_, '_>) -> Reply {
        let scale = if self.peer.window_scale.is_some() { our_scale } else { 0 };
        let window = (self.offered.reach() >> scale).min(0xffff) as u16;
        let value = (cx.now.millis() as u32).wrapping_add(ts_offset);
        let echo = self.peer.timestamp.filter(|_| cx.config.timestamps);
        let timestamps = echo.map(|echo| Timestamps { value, echo });
        Reply::Ack { seq: self.iss + 1, ack: self.rcv_nxt, window, timestamps }
    }

    /// What it has found out is for `s` from now on. `early` bytes of what was written are acknowledged already.
    fn hand_over(
        &mut self,
        s: &mut Synchronized,
        our_scale: u8,
        receive_limit: u32,
        early: u32,
        cx: &mut Context<'_, '_>,
    ) {
        if self.transmissions == 0 {
            // Its payload comes before the SYN-ACK that offers the window (RFC 7413).
            let window = self.window(receive_limit, cx.pool);
            self.offered.promise(cx.pool, window as usize);
        }
        let config = cx.config;
        let peer = &self.peer;
        //= rfc9293#3.7.1 MUST-16
        let peer_mss = peer.mss.unwrap_or(self.mss.default_mss);
        let timestamps = peer.timestamp.filter(|_| config.timestamps);
        let option_len = if timestamps.is_some() { 12 } else { 0 };
        // A peer that asks for tiny segments makes us work for every byte: 64 is the least (malformed 11).
        let peer_mss = peer_mss.min(self.mss.ours).max(64);
        let Mss { path, headers, .. } = self.mss;
        let size = SegmentSize::new(peer_mss, path, headers, option_len, plpmtud::probing(config), cx.now);
        let mss = size.mss();
        self.queue.consume(cx.pool, early as usize);
        let iss = self.iss + early;
        s.send.begin(iss, size, cx.now);
        let rtt = (!self.answered).then(|| cx.now.since(self.first_sent));
        s.send.rtt.leave_handshake(self.transmissions, rtt, cx.now, config);
        let which = cx.options.congestion.unwrap_or(config.congestion);
        s.send.controller = Controller::new(which, config, mss, self.transmissions > 1, iss + 1, cx.now);
        //= rfc7323#2.2: the SYN's own window is not scaled, and the edge follows from it (H023)
        let scale = if peer.window_scale.is_some() { our_scale } else { 0 };
        let sizes = [self.mss.ours, peer_mss];
        let queue = core::mem::take(&mut self.offered);
        s.receive.begin(self.rcv_nxt, queue, scale, sizes, timestamps, cx);
        let slows_down = which != Congestion::None;
        s.ecn = Ecn::new(&self.ecn, self.origin == Origin::Active, self.transmissions, slows_down);
        (s.challenge_at, s.last_received_at) = (cx.now, cx.now);
        let sacks = peer.sack_permitted && config.offers_sack();
        s.send.scale = peer.window_scale.unwrap_or(0);
        s.send.recovery.sack = sacks;
        s.send.queue = core::mem::take(&mut self.queue);
        s.send.tuned = cx.tuned().0;
        s.send.fin = if self.fin { Fin::Queued } else { Fin::Open };
        if self.read_shut {
            s.receive.shut(cx.pool);
        }
        s.receive.sack = SackUse::new(sacks, config);
    }
}
