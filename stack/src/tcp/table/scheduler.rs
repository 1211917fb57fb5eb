//! Who has something to send, and who would if its neighbour's address were known.

use super::{
    ActiveKey, Connection, Narrow, Outcome, READY_LISTS, Ready, Settings, Stalled, Starved, Tcp, Timers,
    ready_list,
};
use crate::base::list::List;
use crate::base::pool::{Need, Pool};
use crate::counters::TcpCount;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::tcp::connection::output::Outlook;
use crate::tcp::connection::tcb::has_memory;
use crate::tcp::connection::tcb::{Effects, End};
use crate::tcp::segment::Plan;
use crate::tcp::segment::Tuple;
use crate::time::Instant;

impl Tcp<'_> {
    /// Does a connection of the interface in this place want to send?
    pub(crate) fn has_ready(&self, interface: u32) -> bool {
        !self.ready[interface as usize % READY_LISTS].is_empty()
    }

    /// The next connection with something to send, taken off the queue.
    #[inline]
    pub(crate) fn next_ready(&mut self, interface: InterfaceId) -> Option<u32> {
        let list = &mut self.ready[ready_list(interface)];
        if list.is_empty() { None } else { list.pop(&mut Ready(&mut self.connections)) }
    }

    /// The connection, taken off its queue, waits for a neighbour's address, if it still wants to send.
    pub(crate) fn block(&mut self, index: u32) {
        let Some(c) = self.connections.at_mut(index) else { return };
        if c.ready.is_queued() || !c.tcb.wants_output() {
            return;
        }
        c.blocked = true;
        self.blocked.push(&mut Ready(&mut self.connections), index);
    }

    /// The way may be another one: whoever is in doubt of it (R1) retransmits now.
    #[cfg(feature = "slaac")]
    pub(crate) fn try_again(&mut self, now: Instant) {
        for index in 0..self.connections.places() {
            if self.connections.at_mut(index).is_some_and(|c| c.tcb.retransmits_at(now)) {
                self.after(index);
            }
        }
    }

    /// Everybody who waits for a neighbour's address, to look again.
    pub(crate) fn take_blocked(&mut self) -> List {
        core::mem::take(&mut self.blocked)
    }

    /// One of those that were blocked.
    pub(crate) fn unblock(&mut self, blocked: &mut List) -> Option<u32> {
        let index = blocked.pop(&mut Ready(&mut self.connections))?;
        if let Some(c) = self.connections.at_mut(index) {
            c.blocked = false;
        }
        Some(index)
    }

    /// See [`Tcb::has_progressed`](crate::tcp::connection::tcb::Tcb::has_progressed).
    pub(crate) fn has_progressed(&mut self, index: u32) -> bool {
        self.connections.at_mut(index).is_some_and(|c| c.tcb.has_progressed())
    }

    /// Whose peer shows that what we send arrives: the connection has progressed since that was asked last.
    pub(crate) fn confirmed_by(&mut self, key: ActiveKey) -> Option<(Tuple, InterfaceId)> {
        let c = self.connections.get_active(key)?;
        c.tcb.has_progressed().then_some((c.tuple, c.interface))
    }

    /// See [`Tcb::plan`](crate::tcp::connection::tcb::Tcb::plan).
    pub(crate) fn plan(&self, index: u32, most: u32, now: Instant, pool: &Pool<'_>) -> Option<Plan> {
        let outlook = Outlook { pool, config: &self.settings.config };
        self.connections.at(index)?.tcb.plan(most, now, &outlook)
    }

    /// See [`Tcb::on_sent`](crate::tcp::connection::tcb::Tcb::on_sent). Returns whether the connection, which is in no queue, has
    /// more to send.
    pub(crate) fn on_sent(&mut self, index: u32, plan: &Plan, now: Instant, pool: &mut Pool<'_>) -> bool {
        let Some(c) = self.connections.at_mut(index) else { return false };
        let mut cx = self.settings.cx(c.profile, now, pool);
        c.tcb.on_sent(plan, &mut cx);
        let wants_output = c.tcb.wants_output();
        let deadline = c.tcb.deadline(cx.options).unwrap_or(Instant::FAR_FUTURE);
        self.after_sent(index, deadline, now, pool);
        wants_output
    }

    /// A connection that is about to send, and the settings of all.
    #[inline]
    pub(crate) fn sender(&mut self, index: u32) -> Option<(&mut Connection, &Settings<'_>)> {
        Some((self.connections.at_mut(index)?, &self.settings))
    }

    /// A segment went out: who waits for that, and by when the connection is looked at.
    pub(crate) fn after_sent(&mut self, index: u32, deadline: Instant, now: Instant, pool: &mut Pool<'_>) {
        let Some(c) = self.connections.at_mut(index) else { return };
        let cx = self.settings.cx(c.profile, now, pool);
        // Less waits to be sent now, and that is what the writer may wait for.
        let has_writer = || c.writer.is_some() || !c.others.is_empty();
        if cx.options.unsent_max.is_some() && has_writer() && c.tcb.is_writable(&cx) {
            c.wake_writer(&mut self.woken);
        }
        let is_narrow = c.tcb.is_narrow();
        // Most segments of a burst leave the timer as it is.
        if !c.timer.fires_by(deadline) {
            self.wheel.arm(&mut Timers(&mut self.connections), index, deadline);
        }
        if is_narrow {
            self.narrow.push(&mut Narrow(&mut self.connections), index);
        }
    }

    /// Is there memory again for those who wait for it?
    #[inline]
    pub(crate) fn can_feed(&self, pool: &Pool<'_>) -> bool {
        (!self.starved.is_empty() && has_memory(pool))
            || (!self.narrow.is_empty() && pool.beyond(Need::Window) > 0)
    }

    /// Those who waited for memory look again when some was given back: writers, and peers whose
    /// window it had closed.
    #[inline]
    pub(crate) fn feed_starved(&mut self, pool: &Pool<'_>) {
        if self.can_feed(pool) {
            self.feed(pool);
        }
    }

    #[inline(never)]
    fn feed(&mut self, pool: &Pool<'_>) {
        let none = List::default();
        let mut waiting = if has_memory(pool) { core::mem::take(&mut self.starved) } else { none };
        while let Some(index) = waiting.pop(&mut Starved(&mut self.connections)) {
            if let Some(c) = self.connections.at_mut(index) {
                c.wake_writer(&mut self.woken);
            }
        }
        // A block for each: what is left over is for the next ones, later.
        for _ in 0..pool.beyond(Need::Window) / pool.block_len() {
            let Some(index) = self.narrow.pop(&mut Narrow(&mut self.connections)) else { break };
            if let Some(c) = self.connections.at_mut(index) {
                c.tcb.widen(pool);
                self.queue_if_ready(index);
            }
        }
    }
}

/// Probes of a closed window after which its connection may give way: with those before, more than a second.
const PATIENCE: u8 = 3;

impl Tcp<'_> {
    /// Keeps the list of those whose peers have closed their windows over payload that waits.
    pub(in crate::tcp) fn note_stalled(&mut self, index: u32) {
        let Some(c) = self.connections.at(index) else { return };
        match (c.tcb.is_stalled(), c.stalled.is_queued()) {
            (true, false) => self.stalled.push(&mut Stalled(&mut self.connections), index),
            (false, true) => self.stalled.remove(&mut Stalled(&mut self.connections), index),
            _ => {}
        }
    }

    /// Does a peer keep its window closed over payload that waits?
    #[inline]
    pub(crate) fn has_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// Is a newcomer, or one that could get on, short of memory that a stalled connection holds? Then the
    /// one whose peer's window has been closed for the longest ends, and the peer is told.
    pub(crate) fn give_way(
        &mut self,
        is_wanted: bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Option<(Tuple, InterfaceId, Outcome)> {
        let index = self.stalled.front()?;
        let is_wanted = is_wanted || !self.starved.is_empty() || !self.narrow.is_empty();
        if !is_wanted || pool.beyond(Need::Window) > 0 {
            return None;
        }
        let c = self.connections.at(index).filter(|c| c.tcb.probes() >= PATIENCE)?;
        let (tuple, interface) = (c.tuple, c.interface);
        let reset = c.tcb.reset(now);
        self.settings.counts.add(TcpCount::StalledGaveWay, 1);
        let effects =
            Effects { reset, end: Some(End::Failed(Error::ConnectionAborted)), ..Effects::default() };
        Some((tuple, interface, self.apply(index, None, &effects, now, pool)))
    }
}
