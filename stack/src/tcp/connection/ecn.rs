//! Explicit congestion notification: routers mark packets instead of dropping them, and the receiver
//! tells the sender. RFC 3168 with every peer that has it; AccECN (RFC 9768), which counts the marks,
//! with one that has that too.
//!
//! What a path does to marks and flags is not to be trusted: whatever can't be as it was sent ends
//! our marking, and nothing else.

use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::{Ecn as Setting, TcpConfig};
use crate::tcp::ecn_bytes::EcnBytes;
use crate::tcp::segment::{EcnCodepoint, Flags, Plan, PlanKind, Segment};

/// What the ACE field counts from (RFC 9768 §3.2.1), so that one that was zeroed on the way shows.
const CEP_START: u8 = 5;
/// What the byte counters start with, for the same reason.
const BYTES_START: EcnBytes = EcnBytes { e0: 1, ce: 0, e1: 1 };
/// The byte counters have 24 bits.
const BYTES_MASK: u32 = 0xff_ffff;
/// Acknowledgments in a row that carry the AccECN option when there is something new to tell: one
/// may get lost.
const REPORTS: u8 = 2;
/// SYNs and SYN-ACKs that ask for ECN; more of them lost may be the work of a box that dislikes that.
//= rfc9768#3.1.4.1
const ASKED_MAX: u8 = 2;
/// Timeouts for marked payload without one round that got through: then the path loses what is marked.
const STRIKES_MAX: u8 = 2;

/// Which feedback the two ends have agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Mode {
    /// None: nothing is marked.
    #[default]
    Off,
    /// ECE until CWR, once in a round (RFC 3168).
    Classic,
    /// Counters (RFC 9768).
    Accurate,
}

/// What the handshake finds out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Negotiation {
    setting: Setting,
    mode: Mode,
    /// The ECN field of the peer's SYN or SYN-ACK.
    mark: EcnCodepoint,
    /// The path has not changed what shows by itself.
    is_intact: bool,
}

impl Negotiation {
    pub(crate) fn new(config: &TcpConfig) -> Self {
        Negotiation { setting: config.ecn, ..Negotiation::OFF }
    }

    /// Nothing is asked for or agreed on.
    pub(crate) const OFF: Negotiation =
        Negotiation { setting: Setting::Off, mode: Mode::Off, mark: EcnCodepoint::NotEct, is_intact: true };

    /// The flags of a SYN that was sent so often already. The one for AccECN asks for RFC 3168 too.
    //= rfc9768#3.1.1
    //= rfc3168#6.1.1
    pub(crate) fn syn_flags(&self, transmissions: u8) -> Flags {
        match self.setting {
            Setting::On if transmissions < ASKED_MAX => Flags::ace(0b111),
            Setting::Classic if transmissions < ASKED_MAX => Flags::ace(0b011),
            _ => Flags::default(),
        }
    }

    /// The peer's SYN has come, on a passive open.
    //= rfc9768#3.1.3: what is not known asks for AccECN
    pub(crate) fn on_syn(&mut self, syn: &Segment<'_>) {
        self.mark = syn.mark;
        self.mode = match (self.setting, syn.flags.to_ace()) {
            (Setting::Off, _) | (_, 0) => Mode::Off,
            (Setting::WhenAsked | Setting::On, 0b011) => Mode::Classic,
            (Setting::WhenAsked | Setting::On, _) => Mode::Accurate,
            // To RFC 3168 the third bit is reserved.
            (Setting::Classic, 0b011 | 0b111) => Mode::Classic,
            (Setting::Classic, _) => Mode::Off,
        };
    }

    /// The peer's SYN has come, while ours is under way: both are asked, and both answer. Counters would need to
    /// know who was first.
    //= rfc3168#6.1.1
    pub(crate) fn on_syn_crossed(&mut self, syn: &Segment<'_>) {
        let asks = matches!(syn.flags.to_ace(), 0b011 | 0b111);
        self.mode = if asks && self.setting != Setting::Off { Mode::Classic } else { Mode::Off };
    }

    /// The flags of a SYN-ACK that was sent so often already.
    //= rfc9768#3.1.4.2
    pub(crate) fn syn_ack_flags(&self, transmissions: u8) -> Flags {
        match self.mode {
            _ if transmissions >= ASKED_MAX => Flags::default(),
            Mode::Off => Flags::default(),
            Mode::Classic => Flags::ECE,
            Mode::Accurate => Flags::ace(encoded(self.mark)),
        }
    }

    /// The option of a SYN-ACK that was sent so often already. If it does not get through, it is left
    /// out the next time.
    //= rfc9768#3.2.3.2.2
    pub(crate) fn report(&self, transmissions: u8) -> Option<EcnBytes> {
        (self.mode == Mode::Accurate && transmissions == 0).then_some(BYTES_START)
    }

    /// The peer's SYN-ACK has come.
    //= rfc9768#3.1.2, table 2
    //= rfc3168#6.1.1: all bits back is a peer that copies what it does not know
    pub(crate) fn on_syn_ack(&mut self, syn_ack: &Segment<'_>) {
        self.mark = syn_ack.mark;
        let answer = syn_ack.flags.to_ace();
        self.mode = match (self.setting, answer) {
            (Setting::Off | Setting::WhenAsked, _) | (_, 0b000 | 0b111) => Mode::Off,
            (Setting::On | Setting::Classic, 0b001 | 0b101) => Mode::Classic,
            (Setting::On, _) => Mode::Accurate,
            (Setting::Classic, _) => Mode::Off,
        };
        self.is_intact = self.mode != Mode::Accurate || self.our_syn_was_intact(answer);
    }

    /// The third segment of the handshake has come: a pure acknowledgment says how our SYN-ACK
    /// arrived.
    //= rfc9768#3.2.2.1, table 4
    pub(crate) fn on_third(&mut self, third: &Segment<'_>) {
        if self.mode == Mode::Accurate && third.len() == 0 {
            let ace = third.flags.to_ace();
            self.is_intact = matches!(ace, 0b001 | 0b101 | 0b111) || self.our_syn_was_intact(ace);
        }
    }

    /// Both SYNs and SYN-ACKs leave without a mark, and nothing on the way may give them one.
    //= rfc9768#3.2.2.3
    fn our_syn_was_intact(&self, ace: u8) -> bool {
        ace == encoded(EcnCodepoint::NotEct)
    }
}

/// The ACE field that says how a SYN or SYN-ACK arrived (RFC 9768 §3.1.1, table 2).
fn encoded(mark: EcnCodepoint) -> u8 {
    match mark {
        EcnCodepoint::NotEct => 0b010,
        EcnCodepoint::Ect1 => 0b011,
        EcnCodepoint::Ect0 => 0b100,
        EcnCodepoint::Ce => 0b110,
    }
}

/// Where a synchronized connection stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ecn {
    mode: Mode,
    /// New payload leaves as ECN-capable.
    sends_ect: bool,
    /// ECE goes with every segment, until CWR comes (RFC 3168 §6.1.3).
    echo: bool,
    /// CWR goes with the next new payload (RFC 3168 §6.1.2).
    cwr: bool,
    /// Timeouts without a round that got through between them.
    strikes: u8,
    /// The window was reduced, and what was sent before that is not acknowledged up to here.
    is_reduced: bool,
    reduced_until: Seq,
    /// The flags of a segment that brings no news of congestion.
    quiet: Flags,
    /// CE-marked packets that arrived, and reductions of the window for marks of ours: for `TcpInfo`.
    /// They count no further than they can.
    pub(in crate::tcp) arrived: u16,
    pub(in crate::tcp) reductions: u16,
    counters: Counters,
}

/// What AccECN counts.
#[derive(Clone, Copy, Debug)]
struct Counters {
    /// r.cep: CE-marked packets that arrived, as far as the ACE field shows it.
    cep: u8,
    /// s.cep: what the peer's ACE field said last.
    peer_cep: u8,
    /// A segment with the peer's counter has come.
    has_peer_cep: bool,
    /// The next pure acknowledgment says how the SYN-ACK arrived.
    third: Option<EcnCodepoint>,
    /// Acknowledgments that are still to carry the option.
    reports: u8,
    /// r.e0b, r.ceb, r.e1b: bytes of payload that arrived with each mark.
    bytes: EcnBytes,
    /// s.ceb: what the peer said last.
    peer_ce: u32,
}

impl Ecn {
    /// That of a connection which is yet to begin.
    pub(super) const UNMADE: Ecn = Ecn {
        mode: Mode::Off,
        sends_ect: false,
        echo: false,
        cwr: false,
        strikes: 0,
        is_reduced: false,
        reduced_until: Seq(0),
        quiet: Flags::ACK,
        arrived: 0,
        reductions: 0,
        counters: Counters {
            cep: CEP_START,
            peer_cep: CEP_START,
            has_peer_cep: false,
            third: None,
            reports: REPORTS,
            bytes: BYTES_START,
            peer_ce: 0,
        },
    };

    /// After the handshake, in which our SYN or SYN-ACK went out so often. Only who `slows_down` when
    /// told of a mark may ask routers for it.
    pub(crate) fn new(found: &Negotiation, is_active: bool, transmissions: u8, slows_down: bool) -> Self {
        let Negotiation { setting: _, mode, mark, is_intact } = *found;
        // A CE mark on a SYN-ACK counts, one on a SYN does not (RFC 9768 §3.2.2.2).
        let cep = CEP_START + u8::from(is_active && mark == EcnCodepoint::Ce);
        // A SYN-ACK without flags may have been the one that got through.
        let was_told = is_active || transmissions <= ASKED_MAX;
        let third = (mode == Mode::Accurate && is_active).then_some(mark);
        Ecn {
            mode,
            sends_ect: mode != Mode::Off && is_intact && was_told && slows_down,
            quiet: if mode == Mode::Accurate { Flags::ACK | Flags::ace(CEP_START) } else { Flags::ACK },
            counters: Counters { cep, third, ..Ecn::UNMADE.counters },
            ..Ecn::UNMADE
        }
    }

    /// See [`park`](crate::tcp::connection::idle): nothing waits to be told.
    pub(in crate::tcp) fn park(&self, una: Seq, to: &mut Packer) -> Option<()> {
        let Ecn {
            mode,
            sends_ect,
            echo,
            cwr,
            strikes,
            is_reduced,
            reduced_until,
            quiet,
            arrived,
            reductions,
            counters,
        } = self;
        let Counters { cep, peer_cep, has_peer_cep, third, reports, bytes, peer_ce } = counters;
        if third.is_some() {
            return None;
        }
        let [off, classic] = [Mode::Off, Mode::Classic].map(|m| m == *mode);
        to.bits([off, classic, *sends_ect, *echo, *cwr, *has_peer_cep, *is_reduced]);
        [*arrived, u16::from(*strikes)].iter().for_each(|n| to.number(*n));
        if *is_reduced {
            to.near(*reduced_until, una);
        }
        if !off {
            let EcnBytes { e0, ce, e1 } = bytes;
            let flags = [quiet.0, u16::from(*cep), u16::from(*peer_cep), u16::from(*reports)];
            flags.iter().for_each(|n| to.number(*n));
            [u32::from(*reductions), *e0, *ce, *e1, *peer_ce].iter().for_each(|n| to.number(*n));
        }
        Some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Self {
        let [off, classic, sends_ect, echo, cwr, has_peer_cep, is_reduced] = from.bits();
        let (arrived, strikes) = (from.number() as u16, from.number() as u8);
        let reduced_until = if is_reduced { from.near(una) } else { Seq(0) };
        let [quiet, cep, peer_cep, reports] = match off {
            false => core::array::from_fn(|_| from.number() as u16),
            true => [Flags::ACK.0, CEP_START.into(), CEP_START.into(), REPORTS.into()],
        };
        let [reductions, e0, ce, e1, peer_ce] = match off {
            false => core::array::from_fn(|_| from.number() as u32),
            true => [0, BYTES_START.e0, BYTES_START.ce, BYTES_START.e1, 0],
        };
        let mode = match (off, classic) {
            (true, _) => Mode::Off,
            (_, true) => Mode::Classic,
            _ => Mode::Accurate,
        };
        let counters = Counters {
            cep: cep as u8,
            peer_cep: peer_cep as u8,
            has_peer_cep,
            third: None,
            reports: reports as u8,
            bytes: EcnBytes { e0, ce, e1 },
            peer_ce,
        };
        Ecn {
            mode,
            sends_ect,
            echo,
            cwr,
            strikes,
            is_reduced,
            reduced_until,
            quiet: Flags(quiet),
            arrived,
            reductions: reductions as u16,
            counters,
        }
    }

    /// Our own invariants, for tests and the simulation.
    pub(in crate::tcp) fn check(&self, una: Seq) {
        assert!(
            !self.is_reduced || self.reduced_until.is_near(una),
            "the end of a reduction was left behind"
        );
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Does the segment say nothing about congestion that is new, and carries no mark? Most do, and
    /// take the short way.
    #[inline]
    pub(in crate::tcp) fn is_expected_ecn(&self, flags: Flags, mark: EcnCodepoint) -> bool {
        flags.without(Flags::PSH) == self.quiet && mark != EcnCodepoint::Ce
    }

    /// Payload of a quiet segment has arrived.
    #[inline]
    pub(in crate::tcp) fn on_expected_payload(&mut self, mark: EcnCodepoint, len: usize) {
        if self.mode == Mode::Accurate {
            self.counters.count(mark, 0, len);
        }
    }

    /// A valid segment has arrived. True: it is acknowledged at once.
    pub(in crate::tcp) fn on_arrival(&mut self, segment: &Segment<'_>) -> bool {
        let is_marked = segment.mark == EcnCodepoint::Ce;
        if is_marked {
            self.arrived = self.arrived.saturating_add(segment.packets);
        }
        match self.mode {
            Mode::Off => false,
            Mode::Classic => {
                //= rfc3168#6.1.3
                if segment.flags.has(Flags::CWR) {
                    self.echo = false;
                }
                let has_text = !segment.payload.is_empty();
                self.echo |= is_marked && has_text;
                is_marked && has_text
            }
            Mode::Accurate => {
                self.counters.count(segment.mark, segment.packets, segment.payload.len());
                //= rfc9768#3.2.2.5.1: no later than with the second CE mark
                is_marked && segment.len() > 0
            }
        }
    }

    /// An acknowledgment of new data. True: packets of ours were marked, and the window was not reduced
    /// since they were sent; `max` is the end of what was sent until now.
    pub(in crate::tcp) fn on_ack(&mut self, segment: &Segment<'_>, max: Seq) -> bool {
        //= rfc3168#6.1.2: once in a round
        let is_of_old = self.is_reduced && segment.ack.at_or_before(self.reduced_until);
        self.is_reduced &= segment.ack.before(self.reduced_until);
        if !is_of_old {
            self.strikes = 0;
        }
        let is_marked = match self.mode {
            Mode::Off => false,
            Mode::Classic => segment.flags.has(Flags::ECE),
            Mode::Accurate => self.take_counters(segment),
        };
        if !is_marked || !self.sends_ect || is_of_old {
            return false;
        }
        self.on_reduced(max);
        self.reductions = self.reductions.saturating_add(1);
        true
    }

    /// Do acknowledgments count marks, and bytes, too?
    #[inline]
    pub(in crate::tcp) fn is_accurate(&self) -> bool {
        self.mode == Mode::Accurate
    }

    /// What [`on_ack`](Self::on_ack) comes to where the acknowledgment says nothing of congestion, nor counts.
    #[inline]
    pub(in crate::tcp) fn on_quiet_ack(&mut self, ack: Seq) {
        if !self.is_reduced || self.reduced_until.before(ack) {
            self.strikes = 0;
        }
        self.is_reduced &= ack.before(self.reduced_until);
    }

    /// The congestion window was reduced for whatever reason: the peer is told, and marks of what was
    /// sent until now mean nothing more.
    //= rfc3168#6.1.2
    pub(in crate::tcp) fn on_reduced(&mut self, max: Seq) {
        self.cwr = self.mode == Mode::Classic;
        (self.is_reduced, self.reduced_until) = (self.mode != Mode::Off, max);
    }

    /// The retransmission timer fired, `again` if for data that it fired for before: everything up to
    /// `max` counts as lost. What is sent again bears no mark; if it is always the marked that gets lost,
    /// marking ends.
    pub(in crate::tcp) fn on_timeout(&mut self, max: Seq, again: bool) {
        self.on_reduced(max);
        self.strikes = self.strikes.saturating_add(u8::from(!again));
        self.sends_ect &= self.strikes < STRIKES_MAX;
    }

    /// A SYN came again: if it is the SYN-ACK, the acknowledgment says again how it arrived.
    //= rfc9768#3.2.2.1
    pub(in crate::tcp) fn on_syn_again(&mut self, syn: &Segment<'_>) {
        if self.mode == Mode::Accurate && syn.flags.has(Flags::ACK) {
            self.counters.third = Some(syn.mark);
        }
    }

    /// Must a pure acknowledgment go out before any payload?
    pub(in crate::tcp) fn wants_pure_ack(&self) -> bool {
        self.counters.third.is_some()
    }

    /// Is the next payload to be no longer than a segment, because not every segment of it would bear the
    /// same flags? Whoever cuts a long one leaves CWR to the first part alone.
    pub(in crate::tcp) fn wants_one_segment(&self) -> bool {
        match self.mode {
            Mode::Off => false,
            Mode::Classic => self.cwr,
            Mode::Accurate => self.counters.cep & 0b010 != 0,
        }
    }

    /// Is there nothing to say but by the flags that every segment has?
    #[inline]
    pub(in crate::tcp) fn is_plain(&self) -> bool {
        match self.mode {
            Mode::Off => true,
            Mode::Classic => !self.cwr,
            Mode::Accurate => {
                self.counters.third.is_none() && self.counters.reports == 0 && !self.wants_one_segment()
            }
        }
    }

    /// The flags of a segment.
    pub(in crate::tcp) fn flags(&self, kind: PlanKind, len: u32) -> Flags {
        let nothing = Flags::default();
        match self.mode {
            Mode::Off => nothing,
            Mode::Classic => {
                let ece = if self.echo { Flags::ECE } else { nothing };
                //= rfc3168#6.1.2: on the first new data packet
                let cwr = self.cwr && kind == PlanKind::Data && len > 0;
                ece | if cwr { Flags::CWR } else { nothing }
            }
            Mode::Accurate => match self.counters.third {
                Some(mark) if kind == PlanKind::Ack => Flags::ace(encoded(mark)),
                Some(_) | None => Flags::ace(self.counters.cep & 7),
            },
        }
    }

    /// The ECN field of a segment with `len` bytes of payload, none of them sent before if `is_new`.
    //= rfc3168#6.1.4: not on pure acknowledgments
    //= rfc3168#6.1.5: not on retransmissions
    //= rfc3168#6.1.6: not on window probes
    pub(in crate::tcp) fn mark(&self, kind: PlanKind, len: u32, is_new: bool) -> EcnCodepoint {
        let is_capable = self.sends_ect && kind == PlanKind::Data && len > 0 && is_new;
        if is_capable { EcnCodepoint::Ect0 } else { EcnCodepoint::NotEct }
    }

    /// The AccECN option, if a pure acknowledgment is to carry it.
    pub(in crate::tcp) fn report(&self, kind: PlanKind) -> Option<EcnBytes> {
        let is_due = self.mode == Mode::Accurate && kind == PlanKind::Ack && self.counters.reports > 0;
        is_due.then_some(self.counters.bytes)
    }

    /// The device has the segment of the plan.
    pub(in crate::tcp) fn on_sent(&mut self, plan: &Plan) {
        match self.mode {
            Mode::Off => {}
            Mode::Classic => self.cwr &= !plan.flags.has(Flags::CWR),
            Mode::Accurate => {
                if plan.kind == PlanKind::Ack {
                    self.counters.third = None;
                }
                if plan.options.ecn_bytes.is_some() {
                    self.counters.reports -= 1;
                }
            }
        }
    }

    /// Takes the peer's counters. True: packets of ours were marked since the last time.
    fn take_counters(&mut self, segment: &Segment<'_>) -> bool {
        let ace = segment.flags.to_ace();
        let counters = &mut self.counters;
        if !counters.has_peer_cep {
            counters.has_peer_cep = true;
            //= rfc9768#3.2.2.4: it can't be zero yet
            self.sends_ect &= ace != 0;
        }
        self.quiet = Flags::ACK | Flags::ace(ace);
        let marked = ace.wrapping_sub(counters.peer_cep) & 7;
        counters.peer_cep = ace;
        let bytes = segment.options.ecn_bytes.map(|b| b.ce.wrapping_sub(counters.peer_ce) & BYTES_MASK);
        // A counter that went back is an option that was overtaken, or no option of ours.
        let bytes = bytes.filter(|more| *more <= BYTES_MASK / 2);
        if let Some(more) = bytes {
            counters.peer_ce = (counters.peer_ce + more) & BYTES_MASK;
        }
        // Eight marks look like none, but then the bytes tell; and without them, marks before these
        // have reduced the window a moment ago.
        marked > 0 || bytes.is_some_and(|more| more > 0)
    }
}

impl Counters {
    /// `packets` with `len` bytes of payload between them.
    fn count(&mut self, mark: EcnCodepoint, packets: u16, len: usize) {
        let counter = match mark {
            EcnCodepoint::NotEct => return,
            EcnCodepoint::Ect0 => &mut self.bytes.e0,
            EcnCodepoint::Ect1 => &mut self.bytes.e1,
            EcnCodepoint::Ce => {
                self.cep = self.cep.wrapping_add(packets as u8) & 7;
                self.reports = REPORTS;
                &mut self.bytes.ce
            }
        };
        *counter = counter.wrapping_add(len as u32) & BYTES_MASK;
    }
}
