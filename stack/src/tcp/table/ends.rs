//! How a connection leaves the tables.

use super::links::{Narrow, Orphaned, Ready, Stalled, Starved, Timers};
use super::{ConnectionEvent, Outcome, Tcp, passive, ready_list};
use crate::base::pool::Pool;
use crate::counters::TcpCount;
use crate::error::Error;
use crate::tcp::connection::tcb::{Effects, End};
use crate::time::Instant;

impl Tcp<'_> {
    /// The connection is over: off the tables, but for what its application has yet to learn.
    pub(super) fn end(
        &mut self,
        index: u32,
        end: End,
        was_passive: Option<u32>,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> ConnectionEvent {
        self.count_end(index, end);
        self.forget(index);
        if let Some(listener) = was_passive
            && matches!(end, End::HalfOpenDropped | End::Failed(_))
        {
            self.half_open_ends(listener, index);
        }
        let error = match end {
            // What kept the peer from answering says more.
            End::Failed(Error::TimedOut) => Some(self.soft_error_of(index).unwrap_or(Error::TimedOut)),
            End::Failed(error) => Some(error),
            End::TimeWait(_) | End::Closed | End::HalfOpenDropped => None,
        };
        if let Some(listener) = self.connections.at(index).and_then(|c| c.tcb.opening()) {
            self.fast_open_ends(listener, Some(now).filter(|_| end == End::Failed(Error::ConnectionReset)));
        }
        if let Some(c) = self.connections.at_mut(index) {
            let (tuple, hash) = (c.tuple, c.hash);
            c.tcb.finish(error, pool);
            let unowned = c.tcb.orphan || end == End::HalfOpenDropped;
            if let End::TimeWait(start) = end {
                self.wait(&tuple, &start, hash, now);
            }
            if unowned {
                self.discard(index, pool);
            }
        }
        error.map_or(ConnectionEvent::Closed, ConnectionEvent::Failed)
    }

    pub(super) fn count_end(&self, index: u32, end: End) {
        let counts = &self.settings.counts;
        let was_open =
            self.connections.at(index).is_some_and(|c| c.tcb.connected().is_ok() && !c.tcb.is_opening());
        match (end, was_open) {
            (End::Failed(_) | End::HalfOpenDropped, false) => counts.add(TcpCount::FailedOpens, 1),
            (End::Failed(_) | End::HalfOpenDropped, true) => counts.add(TcpCount::FailedConnections, 1),
            (End::TimeWait(_) | End::Closed, _) => {}
        }
        if end == End::Failed(Error::TimedOut) {
            counts.add(TcpCount::TimedOut, 1);
        }
    }

    /// No segment, timer or turn is for this connection any more.
    pub(super) fn forget(&mut self, index: u32) {
        self.wheel.cancel(&mut Timers(&mut self.connections), index);
        if let Some(c) = self.connections.at(index) {
            let (list, blocked) = (ready_list(c.interface), c.blocked);
            let list = if blocked { &mut self.blocked } else { &mut self.ready[list] };
            list.remove(&mut Ready(&mut self.connections), index);
            self.starved.remove(&mut Starved(&mut self.connections), index);
            self.narrow.remove(&mut Narrow(&mut self.connections), index);
            self.stalled.remove(&mut Stalled(&mut self.connections), index);
        }
        if let Some(hash) = self.connections.leave_demux(index) {
            if let Some(tuple) = self.connections.at(index).map(|c| c.tuple) {
                self.return_to_wait(&tuple, hash);
            }
            self.orphans.remove(&mut Orphaned(&mut self.connections), index);
            self.demux.remove(hash, index);
        }
    }

    /// Frees the connection's place. It is off the tables already.
    pub(super) fn discard(&mut self, index: u32, pool: &mut Pool<'_>) {
        let (settings, woken) = (&mut self.settings, &mut self.woken);
        self.connections.remove(index, |c| {
            settings.release(c.profile);
            c.tcb.clear(pool);
            c.wake_both(woken);
        });
    }

    /// Fails a connection from outside: unreachable, refused by ICMP, device gone.
    pub(crate) fn fail(&mut self, index: u32, error: Error, now: Instant, pool: &mut Pool<'_>) -> Outcome {
        self.connections.activate(index, now);
        let Some(c) = self.connections.at(index) else { return Outcome::default() };
        let was_passive = passive(&c.tcb);
        let end = if was_passive.is_some() { End::HalfOpenDropped } else { End::Failed(error) };
        let effects = Effects { end: Some(end), ..Effects::default() };
        self.apply(index, was_passive, &effects, now, pool)
    }
}
