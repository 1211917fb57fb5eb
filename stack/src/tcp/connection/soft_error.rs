//! Problems that may pass: what ICMP says of a connection that stands, and a peer that does not
//! answer for a while (RFC 9293 §3.9.1.8, §3.9.2.2).

use super::tcb::{Phase, Tcb};
use crate::counters::TcpCount;
use crate::error::Error;
use crate::seq::Seq;
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;

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
    /// The one whose number in the order above is one less; see [`park`](crate::tcp::connection::idle).
    pub(in crate::tcp) fn of_number(number: u64) -> Option<SoftError> {
        use SoftError::*;
        let all = [NetUnreachable, HostUnreachable, Refused, Rejected, Unanswered, AddressGone];
        all.into_iter().find(|soft| *soft as u64 + 1 == number)
    }

    /// Does it end a connection that is being opened?
    //= rfc9293#3.9.2.2 SHLD-26, MUST-56
    pub(in crate::tcp) fn ends_open(self, config: &TcpConfig) -> bool {
        match self {
            SoftError::Refused => true,
            SoftError::NetUnreachable | SoftError::HostUnreachable => config.unreachable_ends_open,
            SoftError::Rejected | SoftError::Unanswered | SoftError::AddressGone => false,
        }
    }
}

impl Tcb {
    pub(in crate::tcp) fn soft_error(&mut self) -> Option<&mut Option<SoftError>> {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => Some(&mut h.soft),
            Phase::Synchronized(s) => Some(&mut s.soft),
            Phase::Over(_) => None,
        }
    }

    /// Keeps a soft error until it is asked for, or forgotten because the peer answers. True: the
    /// user wants to know.
    //= rfc9293#3.9.1.8 SHLD-20
    pub(in crate::tcp) fn keep_soft(&mut self, error: SoftError, cx: &Context<'_, '_>) -> bool {
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
