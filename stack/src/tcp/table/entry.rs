//! A connection in use, with its places in the tables.

use super::ready_list;
use crate::base::list::Link;
use crate::base::pool::{Cursor, Pool};
use crate::base::wakers::{Others, Woken};
use crate::base::wheel::Node;
use crate::ip::InterfaceId;
use crate::tcp::connection::tcb::{Phase, Tcb};
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::tcp::segment::{PlainPlan, Plan, Tuple};
use crate::tcp::table::Profile;
use crate::time::Instant;
use core::task::Waker;

/// A connection in use, with its places in the tables.
#[derive(Debug)]
pub struct Connection {
    pub(crate) tuple: Tuple,
    pub(crate) interface: InterfaceId,
    pub(crate) tcb: Tcb,
    /// Its options.
    pub(crate) profile: Profile,
    /// Its number in the table of connections.
    pub(super) index: u32,
    /// Used since the table looked for one to park.
    pub(super) is_referenced: bool,
    /// In the demux under `hash`.
    pub(super) known: bool,
    pub(super) hash: u32,
    pub(super) timer: Node,
    /// In a list of those that can send, or of those that are blocked.
    pub(super) ready: Link,
    pub(super) blocked: bool,
    pub(super) starved: Link,
    pub(super) narrow: Link,
    pub(super) stalled: Link,
    pub(super) orphaned: Link,
    /// Among the half-open ones of its listener, or among those that are late.
    pub(super) half_open: Link,
    pub(super) is_late: bool,
    /// Which other connection waits for `accept` after this one.
    pub(super) next_waiting: u32,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// Tasks that read, or write, besides the first that does.
    pub(super) others: Others,
}

impl Connection {
    /// Who reads is to be woken.
    #[inline]
    pub(super) fn wake_reader(&mut self, woken: &mut Woken) {
        woken.take(&mut self.reader);
        self.others.wake(woken);
    }

    /// Who writes, or waits for the peer to acknowledge, is to be woken.
    #[inline]
    pub(super) fn wake_writer(&mut self, woken: &mut Woken) {
        woken.take(&mut self.writer);
        self.others.wake(woken);
    }

    pub(super) fn wake_both(&mut self, woken: &mut Woken) {
        self.wake_reader(woken);
        self.wake_writer(woken);
    }

    /// Where it has to be in the tables, if that is not where it is.
    #[inline]
    pub(super) fn changes(&self, options: &TcpOptions) -> Changes {
        let (deadline, wants_output, is_stalled) = match &self.tcb.phase {
            Phase::Synchronized(s) => (s.deadline(options), s.wants_output(), s.is_stalled()),
            _ => (self.tcb.deadline(options).unwrap_or(Instant::FAR_FUTURE), self.tcb.wants_output(), false),
        };
        Changes {
            // A timer that fires too early is set again then.
            timer: if self.timer.fires_by(deadline) { Instant::FAR_FUTURE } else { deadline },
            ready: (!self.ready.is_queued() && wants_output).then(|| ready_list(self.interface) as u8),
            is_other_stall: is_stalled != self.stalled.is_queued(),
        }
    }

    /// A stable pseudo-random value for the flow label of IPv6 (RFC 6437 §3, H082).
    pub(crate) fn flow_hash(&self) -> u32 {
        self.hash & 0xf_ffff
    }

    /// The device has taken the segment of `plan`, as far as the plan goes. Returns whether there is more to send, and if
    /// others are to be told, by when the connection is to be looked at on account of this segment.
    #[inline(always)] // at every segment
    pub(crate) fn on_plain_sent(
        &mut self,
        plan: &PlainPlan,
        cx: &mut Context<'_, '_>,
    ) -> (bool, Option<Instant>) {
        let (more, deadline) = self.tcb.on_plain_sent(plan, cx);
        let is_usual =
            cx.options.unsent_max.is_none() && !self.tcb.is_narrow() && self.timer.fires_by(deadline);
        (more, (!is_usual).then_some(deadline))
    }

    /// The payload of a plain segment, in pieces.
    #[inline(always)] // at every segment
    pub(crate) fn plain_payload<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        plan: &PlainPlan,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        match &self.tcb.phase {
            Phase::Synchronized(s) if plan.len > 0 => s.send.pieces(pool, plan.offset, plan.len, pieces),
            _ => 0,
        }
    }

    /// The payload of `plan`, in pieces.
    pub(crate) fn payload<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        plan: &Plan,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        if plan.len == 0 {
            return 0;
        }
        let s = match &self.tcb.phase {
            Phase::Synchronized(s) => s,
            Phase::SynSent(h) => {
                let mut cursor = Cursor::FRONT;
                return h.queue.pieces(pool, &mut cursor, 0, plan.len as usize, pieces);
            }
            Phase::SynReceived(_) | Phase::Over(_) => return 0,
        };
        s.send.pieces(pool, plan.offset, plan.len, pieces)
    }
}

/// What a step of a connection changed in the tables: in two words, since every step returns it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Changes {
    /// To be looked at by then; [`Instant::FAR_FUTURE`]: it will be in time.
    pub(super) timer: Instant,
    /// The list of those with something to send.
    pub(super) ready: Option<u8>,
    /// It is in the list of those that are stalled and should not be, or the reverse.
    pub(super) is_other_stall: bool,
}

impl Changes {
    /// All is where it has to be.
    pub(super) const NONE: Changes =
        Changes { timer: Instant::FAR_FUTURE, ready: None, is_other_stall: false };
}
