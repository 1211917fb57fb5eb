//! The state of one connection: a type for each phase, holding only that phase's own data.

use super::ecn::Ecn;
use super::fast_open::PendingFastOpen;
use super::handshake::{Handshake, Mss, Origin};
use super::info::Stats;
use super::keep_alive::KeepAliveProbes;
use crate::base::pool::Need;
use crate::base::pool::{Audit, Chain, Pool};
use crate::base::slab::Key;
use crate::error::Error;
use crate::seq::Seq;
use crate::tcp::Reply;
use crate::tcp::connection::soft_error::SoftError;
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::tcp::receive::{LEAST, PendingAck, Receive};
use crate::tcp::segment::{Reset, Segment, Timestamps};
use crate::tcp::send::{Fin, Send, SendTimer};
use crate::time::Instant;

/// Which side's FIN came first decides who stays in TIME-WAIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closing {
    /// Neither side has closed.
    Neither,
    /// Our FIN was sent before the peer's arrived.
    LocalFirst,
    /// The peer's FIN arrived before ours was sent.
    RemoteFirst,
}

/// ESTABLISHED and every state of closing: the sequence numbers of both sides are known.
#[derive(Debug)]
pub(crate) struct Synchronized {
    pub(crate) send: Send,
    pub(crate) receive: Receive,
    pub(crate) ecn: Ecn,
    pub(crate) closing: Closing,
    /// No challenge ACK before this time (RFC 5961 §7).
    pub(crate) challenge_at: Instant,
    /// FIN-WAIT-2 of a connection that nobody holds ends then.
    pub(crate) orphan_until: Option<Instant>,
    /// When anything last came from the peer.
    pub(crate) last_received_at: Instant,
    /// What [`Tcb::has_progressed`] saw last.
    pub(crate) moved: u32,
    pub(crate) asking: KeepAliveProbes,
    /// RCV.UP, if it is ahead of what was read.
    pub(crate) urgent: Option<Seq>,
    pub(crate) soft: Option<SoftError>,
    /// Until the third segment, where the SYN brought payload (RFC 7413).
    pub(crate) opening: Option<PendingFastOpen>,
    /// The reader was told of the peer's FIN.
    pub(crate) end_read: bool,
    /// The peer has to learn that something is lost: by a reset, once it has what was written.
    pub(crate) resets: bool,
    pub(crate) stats: Stats,
}

impl Phase {
    /// A place for what the handshake has found out: all of it is written there, and nothing large moves.
    #[expect(clippy::declare_interior_mutable_const, reason = "each use is a place of its own")]
    pub(super) const SYNCHRONIZED: Phase = Phase::Synchronized(Synchronized {
        send: Send::UNMADE,
        receive: Receive::UNMADE,
        ecn: Ecn::UNMADE,
        closing: Closing::Neither,
        challenge_at: Instant::ZERO,
        orphan_until: None,
        last_received_at: Instant::ZERO,
        // The handshake itself was progress.
        moved: u32::MAX,
        asking: KeepAliveProbes::NONE,
        urgent: None,
        soft: None,
        opening: None,
        end_read: false,
        resets: false,
        stats: Stats::NONE,
    });
}

/// The phases.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // most connections are synchronized; a box would need a heap
pub(crate) enum Phase {
    SynSent(Handshake),
    SynReceived(Handshake),
    Synchronized(Synchronized),
    /// The connection is no more; what the application has yet to learn is left.
    Over(Over),
}

/// What a connection leaves behind for its application. What came before the end comes first: the reader
/// gets the payload, and the peer's FIN, then the error.
#[derive(Default, Debug)]
pub(crate) struct Over {
    /// In-order bytes that were not read.
    pub(crate) unread: Chain,
    /// The peer's FIN had come, and the reader was not told.
    pub(crate) end_unread: bool,
    /// Why it ended; `None`: both sides closed it in order.
    pub(crate) error: Option<Error>,
    /// The handshake had been completed.
    pub(crate) established: bool,
    /// The peer had acknowledged all that was written, and our FIN if there was one.
    pub(crate) acknowledged: bool,
    /// The application closed its own side: later writes are its own fault.
    pub(crate) closed_locally: bool,
    /// The peer's FIN had come.
    pub(crate) closed_by_peer: bool,
    pub(crate) stats: Stats,
}

/// What else a step did, beside changing the connection.
#[derive(Default, Debug)]
pub(crate) struct Effects {
    /// Send this, now.
    pub(crate) reset: Option<Reset>,
    /// Send this acknowledgment, now.
    pub(crate) challenge: Option<Reply>,
    /// There is something new to read, or the end, or an error.
    pub(crate) readable: bool,
    /// There is room to write, or an error.
    pub(crate) writable: bool,
    /// The handshake is complete.
    pub(crate) established: bool,
    /// It was there for `accept` before: now it counts no more for the limit of this listener.
    pub(crate) opened: Option<Key>,
    /// The connection is over.
    pub(crate) end: Option<End>,
    /// The peer's urgent data reaches farther than before.
    pub(crate) urgent: bool,
    /// The way to the peer may be broken: a hint to those who find the way.
    pub(crate) negative_advice: bool,
    /// The path carries no larger packets than this.
    pub(crate) path_mtu: Option<u16>,
    /// The segment was dropped for this reason.
    pub(crate) dropped: Option<Dropped>,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Both sides closed and both FINs are acknowledged; we wait for 2 MSL.
    TimeWait(TimeWaitStart),
    /// Both sides closed, and the peer does the waiting.
    Closed,
    /// With an error.
    Failed(Error),
    /// A half-open connection of a listener goes without anybody noticing.
    HalfOpenDropped,
}

/// What TIME-WAIT needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeWaitStart {
    pub(crate) snd_nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    pub(crate) ts_recent: Option<u32>,
    pub(crate) ts_offset: u32,
    /// The peer's FIN has just come.
    pub(crate) acknowledge: bool,
}

/// Why the engine dropped a segment, or part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dropped {
    /// Outside the receive window.
    OutOfWindow,
    /// Its acknowledgment is of something never sent, or far too old.
    BadAck,
    /// SYN, RST or data that a blind attacker could have sent (RFC 5961).
    Challenged,
    /// An old duplicate by its timestamp (PAWS).
    Paws,
    /// Its payload makes a hole too many.
    TooManyHoles,
    /// No memory for its payload: what the window promised was not there, or the window was closed.
    NoMemory,
    /// No ACK, or a flag that means nothing in this state.
    InvalidForState,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Tcb {
    pub(crate) phase: Phase,
    /// Added to the clock for our timestamps, so that they say nothing about the uptime.
    pub(crate) ts_offset: u32,
    pub(crate) send_limit: u32,
    pub(crate) receive_limit: u32,
    /// No application holds the connection any more: the stack carries it to its end.
    pub(crate) orphan: bool,
}

/// The states of RFC 9293 §3.3.2, as users know them. TIME-WAIT and CLOSED connections are not
/// connections any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs)] // the RFC's names
pub enum State {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    Closed,
}

/// A connection that is yet to have its place: small, where a [`Tcb`] is not.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) handshake: Handshake,
    ts_offset: u32,
    send_limit: u32,
    receive_limit: u32,
}

impl Opening {
    /// An active open: a SYN is to be sent.
    pub(crate) fn connect(iss: Seq, ts_offset: u32, mss: Mss, cx: &Context<'_, '_>) -> Self {
        Opening::new(Handshake::new(Origin::Active, iss, mss, cx), ts_offset, cx)
    }

    /// A passive open by `syn` on a listener: a SYN-ACK is to be sent.
    pub(crate) fn accept(
        listener: u32,
        syn: &Segment<'_>,
        iss: Seq,
        ts_offset: u32,
        mss: Mss,
        cx: &Context<'_, '_>,
    ) -> Self {
        Opening::new(Handshake::answer(listener, syn, iss, mss, cx), ts_offset, cx)
    }

    fn new(handshake: Handshake, ts_offset: u32, cx: &Context<'_, '_>) -> Self {
        let (send_limit, receive_limit) = cx.limits();
        Opening { handshake, ts_offset, send_limit, receive_limit }
    }
}

impl From<Opening> for Tcb {
    fn from(opening: Opening) -> Self {
        let Opening { handshake, ts_offset, send_limit, receive_limit } = opening;
        let phase = match handshake.origin {
            Origin::Active => Phase::SynSent(handshake),
            Origin::Passive(_) => Phase::SynReceived(handshake),
        };
        Tcb { phase, ts_offset, send_limit, receive_limit, orphan: false }
    }
}

impl Tcb {
    /// The SYN-ACK went out some time ago, as a cookie, and is repeated if the acknowledgment of it can't be
    /// used. Its window is promised now that the connection has its place.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_, '_>) {
        let window = self.receive_limit.min(LEAST);
        if let Phase::SynReceived(h) = &mut self.phase {
            h.answered = true;
            h.on_sent(window, cx);
        }
    }

    /// The state in the words of RFC 9293.
    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::SynSent(_) => State::SynSent,
            Phase::SynReceived(_) => State::SynReceived,
            Phase::Synchronized(s) => s.state(),
            Phase::Over(_) => State::Closed,
        }
    }

    /// The shift for our windows that fits the receive buffer (RFC 7323 §2.3: at most 14).
    pub(crate) fn window_scale(&self) -> u8 {
        window_scale(self.receive_limit)
    }

    /// The connection is over: keep what its application has yet to learn.
    pub(crate) fn finish(&mut self, error: Option<Error>, pool: &mut Pool<'_>) {
        let mut over = Over { error, ..Over::default() };
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                h.queue.clear(pool);
                h.received.clear(pool);
                h.offered.clear(pool);
            }
            Phase::Synchronized(s) => {
                over.established = true;
                over.acknowledged = s.is_acknowledged();
                s.send.queue.clear(pool);
                s.send.scoreboard.clear(pool, s.send.una);
                over.closed_locally = s.send.fin != Fin::Open;
                over.closed_by_peer = s.receive.finished;
                over.end_unread = s.receive.finished && !s.end_read;
                over.stats = s.stats;
                over.unread = s.receive.take_rest(pool);
            }
            Phase::Over(before) => over = core::mem::take(before),
        }
        self.phase = Phase::Over(over);
    }

    /// Gives all memory back: the connection is about to be forgotten.
    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) {
        self.finish(None, pool);
        if let Phase::Over(over) = &mut self.phase {
            over.unread.clear(pool);
        }
    }

    /// Would `plan` find something to send now? Cheap, and never a false no.
    pub(crate) fn wants_output(&self) -> bool {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => h.send,
            Phase::Synchronized(s) => s.wants_output(),
            Phase::Over(_) => false,
        }
    }

    /// When `on_timer` wants to be called.
    pub(crate) fn deadline(&self, options: &TcpOptions) -> Option<Instant> {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => Some(h.deadline(options)),
            Phase::Synchronized(s) => Some(s.deadline(options)).filter(|at| *at < Instant::FAR_FUTURE),
            Phase::Over(_) => None,
        }
    }

    /// Does its window wait for memory that others hold?
    pub(crate) fn is_narrow(&self) -> bool {
        matches!(&self.phase, Phase::Synchronized(s) if s.receive.is_narrow())
    }

    /// Others gave memory back: the peer is told, if the window can be wider now.
    pub(crate) fn widen(&mut self, pool: &Pool<'_>) {
        if let Phase::Synchronized(s) = &mut self.phase {
            s.receive.widen(pool);
        }
    }

    /// Has the peer closed its window over payload that waits? A FIN holds no memory.
    pub(crate) fn is_stalled(&self) -> bool {
        matches!(&self.phase, Phase::Synchronized(s) if s.is_stalled())
    }

    /// How often in a row the timer of what is sent fired in vain.
    pub(crate) fn probes(&self) -> u8 {
        match &self.phase {
            Phase::Synchronized(s) => s.send.rtt.backoff(),
            Phase::SynSent(_) | Phase::SynReceived(_) | Phase::Over(_) => 0,
        }
    }

    /// Is the connection established, or was it, or need nobody wait for that? `WouldBlock`: not yet.
    pub(crate) fn connected(&self) -> Result<(), Error> {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) if h.early.is_allowed() => Ok(()),
            Phase::SynSent(_) | Phase::SynReceived(_) => Err(Error::WouldBlock),
            Phase::Synchronized(_) => Ok(()),
            // What came since is for the reader, and how it ended as well.
            Phase::Over(over) if over.established => Ok(()),
            Phase::Over(over) => over.error.map_or(Ok(()), Err),
        }
    }

    /// Is the handshake of an active open under way?
    pub(crate) fn is_opening(&self) -> bool {
        match &self.phase {
            Phase::SynSent(_) => true,
            Phase::SynReceived(h) => h.origin == Origin::Active,
            Phase::Synchronized(_) | Phase::Over(_) => false,
        }
    }

    /// Did the peer begin the handshake, and does it go on? Whether it exists is not known until then.
    pub(crate) fn is_half_open(&self) -> bool {
        matches!(&self.phase, Phase::SynReceived(h) if h.origin != Origin::Active)
    }

    /// Did the peer begin the handshake, and was nothing sent to it yet? Its neighbour was never known.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.is_half_open() && matches!(&self.phase, Phase::SynReceived(h) if h.transmissions == 0)
    }

    /// Where R1 retransmissions were in vain, the next one is due at `now`. False: there is none.
    #[cfg(feature = "slaac")]
    pub(crate) fn retransmits_at(&mut self, now: Instant) -> bool {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => h.retransmits_at(now),
            Phase::Synchronized(s) => s.send.retransmits_at(now),
            Phase::Over(_) => false,
        }
    }

    /// Has the peer acknowledged or sent something new since this was last asked?
    pub(crate) fn has_progressed(&mut self) -> bool {
        let Phase::Synchronized(s) = &mut self.phase else { return false };
        let moved = s.stats.bytes_moved();
        core::mem::replace(&mut s.moved, moved) != moved
    }

    /// The largest packet that the path to the peer takes, as far as interface and routers say.
    pub(crate) fn path_mtu(&self) -> Option<u16> {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => Some(h.mss.path + u16::from(h.mss.headers)),
            Phase::Synchronized(s) => Some(s.send.size.path_mtu()),
            Phase::Over(_) => None,
        }
    }

    /// A reset that ends the connection on the peer's side, if the peer knows of it.
    pub(crate) fn reset(&self, now: Instant) -> Option<Reset> {
        match &self.phase {
            Phase::SynSent(_) | Phase::Over(_) => None,
            Phase::SynReceived(h) => Some(Reset { seq: h.iss + 1, ack: Some(h.rcv_nxt), timestamps: None }),
            Phase::Synchronized(s) => Some(s.reset(now)),
        }
    }

    /// Our own invariants, for tests and the simulation.
    pub(crate) fn check(&self, pool: &Pool<'_>, audit: &mut Audit) {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => h.offered.audit(pool, audit),
            Phase::Synchronized(s) => {
                s.send.check(s.receive.nxt);
                s.receive.check(pool, audit);
                s.ecn.check(s.send.una);
                let urgent = s.urgent.is_none_or(|up| up.is_near(s.receive.nxt));
                assert!(urgent, "the end of urgent data was left behind");
            }
            Phase::Over(_) => {}
        }
    }
}

/// The shift for our windows that fits the receive buffer (RFC 7323 §2.3: at most 14).
pub(in crate::tcp) fn window_scale(receive_limit: u32) -> u8 {
    (0..14).find(|s| receive_limit >> s <= 0xffff).unwrap_or(14)
}

impl Synchronized {
    /// See [`Tcb::wants_output`].
    #[inline]
    pub(in crate::tcp) fn wants_output(&self) -> bool {
        self.receive.is_ack_due()
            || self.send.has_sendable()
            || self.opening.as_ref().is_some_and(PendingFastOpen::sends)
            || (self.send.scoreboard.lost() > 0 && self.send.resendable(u32::MAX).is_some())
            || self.send.recovery.probe_is_due()
            || self.send.probes_closed_window()
            || self.asking.due
    }

    /// See [`Tcb::deadline`]; [`Instant::FAR_FUTURE`]: there is none.
    #[inline]
    pub(in crate::tcp) fn deadline(&self, options: &TcpOptions) -> Instant {
        let mut first = self.send.deadline(options);
        if let PendingAck::By(at) = self.receive.pending_ack() {
            first = first.min(at);
        }
        if let Some(at) = self.orphan_until {
            first = first.min(at);
        }
        if let Some(at) = self.asking.at {
            first = first.min(at);
        }
        first
    }

    /// See [`Tcb::is_stalled`].
    #[inline]
    pub(in crate::tcp) fn is_stalled(&self) -> bool {
        self.send.wnd == 0 && !self.send.queue.is_empty() && self.send.awaits(SendTimer::Persist)
    }

    pub(crate) fn state(&self) -> State {
        match (self.closing, self.send.fin, self.receive.finished) {
            (_, Fin::Open, false) if self.opening.is_some() => State::SynReceived,
            (_, Fin::Open, false) => State::Established,
            (_, Fin::Open, true) => State::CloseWait,
            (_, Fin::Queued, false) => State::FinWait1,
            (_, Fin::Acked, false) => State::FinWait2,
            (Closing::LocalFirst, Fin::Queued, true) => State::Closing,
            (_, Fin::Queued, true) => State::LastAck,
            (_, Fin::Acked, true) => State::Closed,
        }
    }

    /// Has the peer acknowledged all that was written, and our FIN if there is one?
    pub(in crate::tcp) fn is_acknowledged(&self) -> bool {
        self.send.queue.is_empty() && self.send.fin != Fin::Queued
    }

    pub(in crate::tcp) fn reset(&self, now: Instant) -> Reset {
        let value = (now.millis() as u32).wrapping_add(self.send.ts_offset);
        let timestamps = self.receive.ts_recent.map(|echo| Timestamps { value, echo });
        Reset { seq: self.send.seq_without_text(), ack: Some(self.receive.nxt), timestamps }
    }

    /// The end of the connection, once both FINs are acknowledged.
    pub(crate) fn end(&self) -> Option<End> {
        if self.send.fin != Fin::Acked || !self.receive.finished {
            return None;
        }
        Some(match self.closing {
            Closing::RemoteFirst => End::Closed,
            Closing::LocalFirst | Closing::Neither => End::TimeWait(TimeWaitStart {
                snd_nxt: self.send.max,
                rcv_nxt: self.receive.nxt,
                ts_recent: self.receive.ts_recent,
                ts_offset: self.send.ts_offset,
                acknowledge: self.receive.pending_ack() != PendingAck::Nothing,
            }),
        })
    }
}

/// Would a writer find memory that has nothing queued?
pub(in crate::tcp) fn has_memory(pool: &Pool<'_>) -> bool {
    pool.beyond(Need::Send) > 0
}
