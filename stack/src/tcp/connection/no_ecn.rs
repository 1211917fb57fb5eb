//! Explicit congestion notification, left out: nothing is asked for, marked or echoed.

use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::TcpConfig;
use crate::tcp::ecn_bytes::EcnBytes;
use crate::tcp::segment::{EcnCodepoint, Flags, Plan, PlanKind, Segment};

/// The handshake finds nothing out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Negotiation;

impl Negotiation {
    pub(crate) const OFF: Negotiation = Negotiation;

    pub(crate) fn new(_: &TcpConfig) -> Self {
        Negotiation
    }

    pub(crate) fn syn_flags(&self, _: u8) -> Flags {
        Flags::default()
    }

    pub(crate) fn on_syn(&mut self, _: &Segment<'_>) {}

    pub(crate) fn on_syn_crossed(&mut self, _: &Segment<'_>) {}

    pub(crate) fn syn_ack_flags(&self, _: u8) -> Flags {
        Flags::default()
    }

    pub(crate) fn report(&self, _: u8) -> Option<EcnBytes> {
        None
    }

    pub(crate) fn on_syn_ack(&mut self, _: &Segment<'_>) {}

    pub(crate) fn on_third(&mut self, _: &Segment<'_>) {}
}

/// A connection knows nothing of marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ecn;

impl Ecn {
    pub(super) const UNMADE: Ecn = Ecn;

    pub(crate) fn new(_: &Negotiation, _: bool, _: u8, _: bool) -> Self {
        Ecn
    }

    pub(in crate::tcp) fn park(&self, _: Seq, _: &mut Packer) -> Option<()> {
        Some(())
    }

    pub(in crate::tcp) fn unpark(_: Seq, _: &mut Unpacker<'_>) -> Self {
        Ecn
    }

    pub(in crate::tcp) fn check(&self, _: Seq) {}

    #[inline]
    pub(in crate::tcp) fn is_expected_ecn(&self, flags: Flags, _: EcnCodepoint) -> bool {
        flags.without(Flags::PSH) == Flags::ACK
    }

    #[inline]
    pub(in crate::tcp) fn on_expected_payload(&mut self, _: EcnCodepoint, _: usize) {}

    #[inline]
    pub(in crate::tcp) fn is_accurate(&self) -> bool {
        false
    }

    #[inline]
    pub(in crate::tcp) fn on_quiet_ack(&mut self, _: Seq) {}

    pub(in crate::tcp) fn on_arrival(&mut self, _: &Segment<'_>) -> bool {
        false
    }

    pub(in crate::tcp) fn on_ack(&mut self, _: &Segment<'_>, _: Seq) -> bool {
        false
    }

    pub(in crate::tcp) fn on_reduced(&mut self, _: Seq) {}

    pub(in crate::tcp) fn on_timeout(&mut self, _: Seq, _: bool) {}

    pub(in crate::tcp) fn on_syn_again(&mut self, _: &Segment<'_>) {}

    pub(in crate::tcp) fn wants_pure_ack(&self) -> bool {
        false
    }

    pub(in crate::tcp) fn wants_one_segment(&self) -> bool {
        false
    }

    #[inline]
    pub(in crate::tcp) fn is_plain(&self) -> bool {
        true
    }

    pub(in crate::tcp) fn flags(&self, _: PlanKind, _: u32) -> Flags {
        Flags::default()
    }

    pub(in crate::tcp) fn mark(&self, _: PlanKind, _: u32, _: bool) -> EcnCodepoint {
        EcnCodepoint::NotEct
    }

    pub(in crate::tcp) fn report(&self, _: PlanKind) -> Option<EcnBytes> {
        None
    }

    pub(in crate::tcp) fn on_sent(&mut self, _: &Plan) {}
}
