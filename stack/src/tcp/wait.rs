//! Connections in TIME-WAIT: who waits, for whom, and who gives way.

use super::segment::Segment;
use super::tcb::TimeWaitStart;
use super::time_wait::Verdict;
use super::{Outcome, TIME_WAIT, Tcp, Tuple};
use crate::ip::InterfaceId;
use crate::pool::Pool;
use crate::time::{Duration, Instant};

/// The wait starts anew only after so much of it. Each start takes a place of the ring until the older
/// ones have gone, so one peer's FINs must not take many.
const RESTART: Duration = Duration::from_secs(1);

impl Tcp<'_> {
    pub(super) fn for_time_wait(
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
            Verdict::Ignore => Outcome::default(),
            Verdict::Remind => acknowledge(),
            Verdict::Reuse if self.would_accept(&record.tuple, pool) => {
                self.stop_waiting(index);
                self.for_listener(&record.tuple, interface, mtu, segment, now, pool)
            }
            // A SYN that nobody waits for ends nothing: it may be forged.
            Verdict::Reuse | Verdict::Acknowledge => {
                self.wait_anew(index, &record.tuple, &start, now);
                acknowledge()
            }
        }
    }

    fn wait_anew(&mut self, index: u32, tuple: &Tuple, start: &TimeWaitStart, now: Instant) {
        let wait = self.settings.config.time_wait;
        if self.time_waits.left(index, now) + RESTART <= wait {
            self.stop_waiting(index);
            self.wait(tuple, start, self.key.hash(tuple), now);
        }
    }

    pub(super) fn wait(&mut self, tuple: &Tuple, start: &TimeWaitStart, hash: u32, now: Instant) {
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

    pub(super) fn stop_waiting(&mut self, index: u32) {
        if let Some(record) = self.time_waits.get(index) {
            self.demux.remove(self.key.hash(&record.tuple), index | TIME_WAIT);
            self.time_waits.remove(index);
        }
    }
}
