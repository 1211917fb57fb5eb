//! How fast bytes arrive, and how much CPU that takes.

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Slow start and the first page faults are over by then.
const WARM_UP: Duration = Duration::from_millis(60);

/// Bytes that have arrived so far. A clone serves the thread that receives them.
#[derive(Clone, Default)]
pub(crate) struct Bytes(Arc<AtomicU64>);

impl Bytes {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Whose CPU time counts.
#[derive(Clone, Copy)]
pub(crate) enum Cpu {
    /// The calling thread's, which includes what the kernel does inside its calls.
    Thread,
    /// All threads'.
    Process,
}

impl Cpu {
    fn seconds(self) -> f64 {
        let t = clock_gettime(match self {
            Cpu::Thread => ClockId::ThreadCPUTime,
            Cpu::Process => ClockId::ProcessCPUTime,
        });
        t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
    }
}

/// Measures from the end of the warm-up for a given time.
pub(crate) struct Meter {
    pub(crate) bytes: Bytes,
    cpu: Cpu,
    time: Duration,
    first: Option<Instant>,
    start: Option<(Instant, u64, f64)>,
}

/// What a transfer reached.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) gbps: f64,
    pub(crate) cpu_s_per_gb: f64,
}

impl Meter {
    pub(crate) fn new(cpu: Cpu, time: Duration) -> Self {
        Meter { bytes: Bytes::default(), cpu, time, first: None, start: None }
    }

    /// Looks at the clock: the result once the time is over.
    pub(crate) fn look(&mut self) -> Option<Rate> {
        let bytes = self.bytes.get();
        if bytes == 0 {
            return None;
        }
        let now = Instant::now();
        match (self.first, self.start) {
            (None, _) => self.first = Some(now),
            (Some(first), None) if now - first >= WARM_UP => {
                self.start = Some((now, bytes, self.cpu.seconds()))
            }
            (_, Some((start, bytes_before, cpu))) if now - start >= self.time => {
                let moved = (bytes - bytes_before) as f64;
                return Some(Rate {
                    gbps: moved * 8e-9 / (now - start).as_secs_f64(),
                    cpu_s_per_gb: (self.cpu.seconds() - cpu) / (moved * 1e-9),
                });
            }
            _ => {}
        }
        None
    }
}

/// Keeps the calling thread on one CPU. A machine with a single one does without.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // It only makes the figures less steady if this fails.
    let _ = sched_setaffinity(None, &set);
}
