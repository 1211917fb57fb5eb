//! Many seeds at a time, on all processors, and how far that is.

use std::any::Any;
use std::io::{IsTerminal, Write, stderr};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Runs each seed on one of so many threads (0: one for each processor), and hands what comes of it to `done`, in any order.
pub fn run_all<T: Send>(
    seeds: Range<u64>,
    threads: usize,
    run: impl Fn(u64) -> T + Sync,
    done: impl FnMut(u64, T) + Send,
) {
    let next = AtomicU64::new(seeds.start);
    let done = Mutex::new(done);
    std::thread::scope(|scope| {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..if threads == 0 { all } else { threads } {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds.end
                {
                    let outcome = run(seed);
                    // A panic of `done` is the caller's, who sees it at the end of the scope.
                    if let Ok(mut done) = done.lock() {
                        done(seed, outcome);
                    }
                }
            });
        }
    });
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// How many seeds are done, on standard error: a bar that is written over where somebody watches, a line now and then for a log.
/// Tests show it as well: their harness keeps only what is printed by macros.
#[derive(Debug)]
pub struct Progress {
    count: u64,
    done: u64,
    /// How many seeds have failed.
    pub failures: u64,
    began: Instant,
    shown: Instant,
    bar: bool,
}

impl Progress {
    const WIDTH: u64 = 30;

    /// Of so many seeds, which begin now.
    pub fn new(count: u64) -> Progress {
        let now = Instant::now();
        Progress { count, done: 0, failures: 0, began: now, shown: now, bar: stderr().is_terminal() }
    }

    fn say(text: &str) {
        // Without a place to say it the run goes on.
        let _ = stderr().write_all(text.as_bytes());
    }

    /// One has failed, with this report.
    pub fn failed(&mut self, report: &str) {
        self.failures += 1;
        Self::say(&format!("{}{report}\n", if self.bar { "\r\x1b[K" } else { "" }));
    }

    /// One more is done.
    pub fn one_more(&mut self) {
        self.done += 1;
        let pause = if self.bar { 100 } else { 10_000 };
        if self.done < self.count && self.shown.elapsed().as_millis() < pause {
            return;
        }
        self.shown = Instant::now();
        let s = self.began.elapsed().as_secs_f64();
        let rate = self.done as f64 / s;
        let left = (self.count - self.done) as f64 / rate;
        let full = (Self::WIDTH * self.done / self.count) as usize;
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(Self::WIDTH as usize - full));
        Self::say(&format!(
            "{}[{bar}] {:.1} %, {} of {}, {} failed, {rate:.1}/s, {s:.0} s, {left:.0} s left{}",
            if self.bar { "\r\x1b[K" } else { "" },
            self.done as f64 * 100.0 / self.count as f64,
            self.done,
            self.count,
            self.failures,
            if self.bar && self.done < self.count { "" } else { "\n" },
        ));
    }
}
