//! Connections in TIME-WAIT: who waits, for whom, and who gives way.

use super::isn::TupleHash;
use super::time_wait::Verdict;
use super::{Outcome, TIME_WAIT, Tcp};
use crate::base::pool::Pool;
use crate::ip::InterfaceId;
use crate::tcp::connection::tcb::{Phase, TimeWaitStart};
use crate::tcp::segment::Segment;
use crate::tcp::segment::Tuple;
use crate::time::{Duration, Instant};

/// The wait starts anew only after so much of it. Each start takes a place of the ring until the older
/// ones have gone, so one peer's FINs must not take many.
const RESTART: Duration = Duration::from_secs(1);

impl Tcp<'_> {
    pub(in crate::tcp) fn for_time_wait(
        &mut self,
        index: u32,
        interface: InterfaceId,
        mtu: u16,
        segment: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(record) = self.time_waits.get(index) else { return Outcome::default() };
        let start = record.start(&self.key);
        let acknowledge = || Outcome { reply: Some(start.acknowledgment(now)), ..Outcome::default() };
        match record.on_segment(segment) {
            Verdict::Ignore => return Outcome::default(),
            Verdict::Over => {
                self.stop_waiting(index);
                return Outcome::default();
            }
            Verdict::Reuse if self.would_accept(&record.tuple, pool) => {
                return self.reuse(index, &record.tuple, interface, mtu, segment, now, pool);
            }
            Verdict::ChallengeAck => {}
            // A SYN that nobody waits for ends nothing: it may be forged.
            Verdict::Reuse | Verdict::Challenge => self.time_waits.challenge(index),
            Verdict::Acknowledge => self.wait_anew(index, &record.tuple, &start, now),
        }
        acknowledge()
    }

    /// A SYN that is beyond all old numbers. Should it prove to be an old duplicate all the same, the
    /// record is back in its place.
    //= rfc9293#3.6.1 MAY-2
    #[allow(clippy::too_many_arguments)]
    fn reuse(
        &mut self,
        index: u32,
        tuple: &Tuple,
        interface: InterfaceId,
        mtu: u16,
        syn: &Segment<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        self.time_waits.set_aside(index, true);
        let outcome =
            self.for_listener((tuple, TupleHash::of(&self.key, tuple)), interface, mtu, syn, now, pool);
        let opened = self.find(tuple).ok().and_then(|id| self.connections.at(id));
        match opened.map(|c| &c.tcb.phase) {
            Some(Phase::SynReceived(_)) => {}
            // Open at once, or answered by a cookie, of which nothing is remembered.
            Some(_) => self.stop_waiting(index),
            None if outcome.reply.is_some() => self.stop_waiting(index),
            None => self.time_waits.set_aside(index, false),
        }
        outcome
    }

    /// The record in whose place a half-open connection of `tuple` stands.
    fn aside(&self, tuple: &Tuple, hash: u32) -> Option<u32> {
        if !self.time_waits.has_aside() {
            return None;
        }
        let is_it =
            |id: u32| self.time_waits.get(id & !TIME_WAIT).is_some_and(|t| t.is_aside && t.tuple == *tuple);
        self.demux.find(hash, |id| id & TIME_WAIT != 0 && is_it(id)).map(|id| id & !TIME_WAIT)
    }

    /// The half-open connection is open: the record has done its work.
    pub(in crate::tcp) fn leave_wait(&mut self, tuple: &Tuple, hash: u32) {
        if let Some(index) = self.aside(tuple, hash) {
            self.stop_waiting(index);
        }
    }

    /// The half-open connection has come to nothing: TIME-WAIT goes on.
    pub(in crate::tcp) fn return_to_wait(&mut self, tuple: &Tuple, hash: u32) {
        if let Some(index) = self.aside(tuple, hash) {
            self.time_waits.set_aside(index, false);
        }
    }

    fn wait_anew(&mut self, index: u32, tuple: &Tuple, start: &TimeWaitStart, now: Instant) {
        let wait = self.settings.config.time_wait;
        if self.time_waits.left(index, now) + RESTART <= wait {
            self.stop_waiting(index);
            self.wait(tuple, start, self.key.hash(tuple), now);
        }
    }

    pub(in crate::tcp) fn wait(&mut self, tuple: &Tuple, start: &TimeWaitStart, hash: u32, now: Instant) {
        if self.time_waits.is_full()
            && let Some(oldest) = self.time_waits.oldest()
        {
            self.stop_waiting(oldest);
        }
        let wait = self.settings.config.time_wait;
        let Some(index) = self.time_waits.insert(tuple, start, now, wait) else { return };
        if !self.demux.insert(hash, index | TIME_WAIT) {
            self.time_waits.remove(index);
        }
    }

    pub(in crate::tcp) fn stop_waiting(&mut self, index: u32) {
        if let Some(record) = self.time_waits.get(index) {
            self.demux.remove(self.key.hash(&record.tuple), index | TIME_WAIT);
            self.time_waits.remove(index);
        }
    }
}
