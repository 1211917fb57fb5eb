//! Connections in TIME-WAIT: who waits, for whom, and who gives way.

use super::segment::Segment;
use super::time_wait::{TimeWait, Verdict};
use super::{Outcome, TIME_WAIT, Tcp, TimeWaitEntry, Waiting};
use crate::ip::InterfaceId;
use crate::pool::Pool;
use crate::time::Instant;

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
        let Some(entry) = self.time_waits.at(index) else { return Outcome::default() };
        let (verdict, tuple) = (entry.0.on_segment(segment), entry.0.tuple);
        match verdict {
            Verdict::Ignore => Outcome::default(),
            Verdict::Remind => {
                let reply = Some(entry.0.acknowledgment(now));
                Outcome { reply, ..Outcome::default() }
            }
            Verdict::Reuse if self.would_accept(&tuple, pool) => {
                self.stop_waiting(index);
                self.for_listener(&tuple, interface, mtu, segment, now, pool)
            }
            // A SYN that nobody waits for ends nothing: it may be forged.
            Verdict::Reuse | Verdict::Acknowledge => self.acknowledge_again(index, now),
        }
    }

    fn acknowledge_again(&mut self, index: u32, now: Instant) -> Outcome {
        let Some(entry) = self.time_waits.at_mut(index) else { return Outcome::default() };
        let reply = entry.0.acknowledgment(now);
        entry.0.until = now + self.settings.config.time_wait;
        let mut links = Waiting(&mut self.time_waits);
        self.time_wait_queue.remove(&mut links, index);
        self.time_wait_queue.push(&mut links, index);
        Outcome { reply: Some(reply), ..Outcome::default() }
    }

    pub(super) fn wait(&mut self, record: TimeWait, hash: u32) {
        if self.time_waits.is_full()
            && let Some(oldest) = self.time_wait_queue.front()
        {
            self.stop_waiting(oldest);
        }
        let Ok(key) = self.time_waits.insert(TimeWaitEntry(record)) else { return };
        if self.demux.insert(hash, key.index | TIME_WAIT) {
            self.time_wait_queue.push(&mut Waiting(&mut self.time_waits), key.index);
        } else {
            self.time_waits.remove(key.index);
        }
    }

    pub(super) fn stop_waiting(&mut self, index: u32) {
        self.time_wait_queue.remove(&mut Waiting(&mut self.time_waits), index);
        if let Some(entry) = self.time_waits.remove(index) {
            self.demux.remove(self.key.hash(&entry.0.tuple), index | TIME_WAIT);
        }
    }
}
