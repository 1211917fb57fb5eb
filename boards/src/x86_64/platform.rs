//! The machine under the daemon: clock, sleep, wake.
//!
//! Interrupts are disabled all the time but for one instruction: `hlt`. An interrupt that comes
//! earlier, while the daemon works or between its last look at the device and the `hlt`, stays
//! pending in the APIC and ends the `hlt` at once. So no wake-up is lost, and handlers run beside
//! nothing.

use core::sync::atomic::{AtomicBool, Ordering};

use barenet::Platform;
use barenet::time::{Duration, Instant};
use x86_64::instructions::interrupts::{disable, enable_and_hlt};

use super::clock::Clock;
use super::{apic, interrupts};

/// A PC with one running CPU.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) clock: Clock,
    woken: AtomicBool,
}

impl Machine {
    pub(super) fn new(clock: Clock) -> Machine {
        Machine { clock, woken: AtomicBool::new(false) }
    }
}

impl Machine {
    /// Sees to it that an interrupt comes at `until` or earlier. If one is to come earlier anyway,
    /// the timer stays as it is: being woken once too often, when deadlines keep moving away, is
    /// cheaper than a write to the timer, and so an exit to the hypervisor, at each sleep.
    fn set_alarm(&self, now: Instant, until: Instant) {
        let alarm = Instant::from_micros(interrupts::ALARM.load(Ordering::Relaxed));
        if alarm <= now || alarm > until {
            let wait = apic::timer_wake_in(until.since(now).micros());
            let alarm = now + Duration::from_micros(wait);
            interrupts::ALARM.store(alarm.micros(), Ordering::Relaxed);
        }
    }
}

impl Platform for Machine {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn idle(&self, until: Option<Instant>) {
        if self.woken.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Some(until) = until {
            let now = self.now();
            if until <= now {
                return;
            }
            self.set_alarm(now, until);
        }
        // `sti` takes effect after the next instruction, so nothing comes between the two.
        enable_and_hlt();
        disable();
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::Relaxed);
    }
}
