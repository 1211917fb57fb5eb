//! One question under way.

use core::task::Waker;

use super::{Name, RecordType, Records, Server};
use crate::base::wakers::Woken;
use crate::error::Error;
use crate::time::Instant;

/// Names a question until it is let go of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueryId {
    pub(super) index: usize,
    pub(super) serial: u32,
}

/// How far a question is. A free place is all zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nobody asks: a free place.
    Free = 0,
    /// To be put to the next server.
    Ask,
    /// A server has it.
    Sent { to: Server },
    /// The server's answer was too long for a datagram: to be asked for by TCP.
    Long { to: Server },
    /// Over.
    Done(Result<(), Error>),
}

/// A place for a question: some 900 bytes.
pub struct Query {
    pub(super) phase: Phase,
    pub(super) serial: u32,
    /// What is asked for now, in the letters that were sent.
    pub(super) name: Name,
    /// The name's bytes before a domain of the search list; 0: it is complete as it is.
    pub(super) short: u8,
    /// Which of the forms of a short name this is.
    pub(super) form: u8,
    /// The name in the form that was asked for first, in the cache.
    pub(super) key: u64,
    pub(super) key_of_name: u64,
    /// The least TTL of the aliases so far.
    pub(super) ttl: u32,
    pub(super) aliases: u8,
    pub(super) id: u16,
    pub(super) port: u16,
    pub(super) edns: bool,
    /// How often it was put to a server, and how often one refused.
    pub(super) asked: u8,
    pub(super) refused: u8,
    /// Which server is first.
    pub(super) first: u8,
    /// When the phase ends, and when all ends.
    pub(super) due: Instant,
    pub(super) ends: Instant,
    pub(super) records: Records,
    /// The question for the same name's addresses of the other family.
    pub(super) other: Option<QueryId>,
    pub(super) waker: Option<Waker>,
}

impl Query {
    /// A free place.
    pub const fn new() -> Self {
        Query {
            phase: Phase::Free,
            serial: 0,
            name: Name::ROOT,
            short: 0,
            form: 0,
            key: 0,
            key_of_name: 0,
            ttl: 0,
            aliases: 0,
            id: 0,
            port: 0,
            edns: false,
            asked: 0,
            refused: 0,
            first: 0,
            due: Instant::ZERO,
            ends: Instant::ZERO,
            records: Records::new(RecordType::A),
            other: None,
            waker: None,
        }
    }

    /// Puts it to all servers from the first on.
    pub(super) fn restart(&mut self) {
        (self.asked, self.refused, self.phase) = (0, 0, Phase::Ask);
    }

    /// When something is to be done for it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Free | Phase::Done(_) => None,
            Phase::Ask => Some(Instant::ZERO),
            Phase::Sent { .. } | Phase::Long { .. } => Some(self.due.min(self.ends)),
        }
    }

    pub(super) fn server(&self) -> Option<Server> {
        match self.phase {
            Phase::Sent { to } | Phase::Long { to } => Some(to),
            _ => None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.phase, Phase::Free | Phase::Done(_))
    }

    pub(super) fn finish(&mut self, result: Result<(), Error>, woken: &mut Woken) {
        self.phase = Phase::Done(result);
        woken.take(&mut self.waker);
    }
}

impl Default for Query {
    fn default() -> Self {
        Query::new()
    }
}
