//! Problems that may pass: what ICMP says of a connection that stands, and a peer that does not
//! answer for a while (RFC 9293 §3.9.1.8, §3.9.2.2).

use super::config::TcpConfig;
use super::tcb::{Cx, Phase, Tcb};
use super::{ConnectionEvent, Outcome, Tcp};
use crate::counters::TcpCount;
use crate::error::Error;
use crate::pool::Pool;
use crate::seq::Seq;
use crate::time::Instant;

/// A problem that need not last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SoftError {
    NetUnreachable,
    HostUnreachable,
    /// There is no such port or protocol, or it is prohibited to reach it.
    Refused,
    /// A router found fault with our header.
    Rejected,
    /// R1 retransmissions went unanswered.
    Unanswered,
    /// Our own address is in doubt: it is being found out whether somebody else has it.
    AddressGone,
}

impl From<SoftError> for Error {
    fn from(soft: SoftError) -> Error {
        match soft {
            SoftError::NetUnreachable => Error::NetUnreachable,
            SoftError::HostUnreachable => Error::HostUnreachable,
            SoftError::Refused => Error::ConnectionRefused,
            SoftError::Rejected => Error::PacketRejected,
            SoftError::Unanswered => Error::TimedOut,
            SoftError::AddressGone => Error::AddrNotAvailable,
        }
    }
}

impl SoftError {
    /// The one whose number in the order above is one less; see [`park`](super::park).
    pub(super) fn of_number(number: u64) -> Option<SoftError> {
        use SoftError::*;
        let all = [NetUnreachable, HostUnreachable, Refused, Rejected, Unanswered, AddressGone];
        all.into_iter().find(|soft| *soft as u64 + 1 == number)
    }

    /// Does it end a connection that is being opened?
    //= rfc9293#3.9.2.2 SHLD-26, MUST-56
    fn ends_open(self, config: &TcpConfig) -> bool {
        match self {
            SoftError::Refused => true,
            SoftError::NetUnreachable | SoftError::HostUnreachable => config.unreachable_ends_open,
            SoftError::Rejected | SoftError::Unanswered | SoftError::AddressGone => false,
        }
    }
}

impl Tcb {
    pub(super) fn soft_error(&mut self) -> Option<&mut Option<SoftError>> {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => Some(&mut h.soft),
            Phase::Synchronized(s) => Some(&mut s.soft),
            Phase::Over(_) => None,
        }
    }

    /// Keeps a soft error until it is asked for, or forgotten because the peer answers. True: the
    /// user wants to know.
    //= rfc9293#3.9.1.8 SHLD-20
    fn keep_soft(&mut self, error: SoftError, cx: &Cx<'_, '_>) -> bool {
        if !cx.options.soft_errors {
            return false;
        }
        let Some(soft) = self.soft_error() else { return false };
        *soft = Some(error);
        cx.count(TcpCount::SoftErrors);
        true
    }

    /// What the application has yet to learn: why the connection ended, or a problem that may pass,
    /// once.
    //= rfc9293#3.9.1.8 MUST-47
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        match &self.phase {
            Phase::Over(over) => over.error,
            _ => self.soft_error()?.take().map(Error::from),
        }
    }

    /// Is this number one of ours that is under way?
    //= rfc5927#4.1
    pub(crate) fn awaits(&self, seq: Seq) -> bool {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => h.iss == seq && h.transmissions > 0,
            Phase::Synchronized(s) => s.send.una.at_or_before(seq) && seq.before(s.send.max),
            Phase::Over(_) => false,
        }
    }
}

impl Tcp<'_> {
    pub(super) fn soft_error_of(&mut self, index: u32) -> Option<Error> {
        let soft = self.connections.at_mut(index)?.tcb.soft_error()?;
        soft.map(Error::from)
    }

    /// An ICMP error quotes a segment of this connection. It ends nothing but the opening of a
    /// connection, and is believed only if it quotes a number that is under way (RFC 5927 §4, H083,
    /// H084).
    //= rfc9293#3.9.2.2 MUST-54, MUST-56, SHLD-25
    pub(crate) fn on_icmp(
        &mut self,
        index: u32,
        seq: Seq,
        error: SoftError,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(c) = self.connections.at(index) else { return Outcome::default() };
        if !c.tcb.awaits(seq) {
            return Outcome::default();
        }
        if error.ends_open(&self.settings.config) && matches!(c.tcb.phase, Phase::SynSent(_)) {
            return self.fail(index, error.into(), now, pool);
        }
        self.trouble(index, error, now, pool)
    }

    /// Keeps a soft error, and tells whoever listens to events.
    pub(crate) fn trouble(
        &mut self,
        index: u32,
        error: SoftError,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(c) = self.connections.at_mut(index) else { return Outcome::default() };
        let cx = self.settings.cx(c.profile, now, pool);
        let told = c.tcb.keep_soft(error, &cx);
        let event = told.then_some(ConnectionEvent::Troubled(error.into()));
        Outcome { event, ..Outcome::default() }
    }
}
