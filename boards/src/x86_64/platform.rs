//! The machine under the daemon: clock, sleep, wake.
//!
//! Interrupts are disabled all the time but for one instruction: `hlt`. An interrupt that comes
//! earlier, while the daemon works or between its last look at the device and the `hlt`, stays
//! pending in the APIC and ends the `hlt` at once. So no wake-up is lost, and handlers run beside
//! nothing.

use core::sync::atomic::{AtomicBool, Ordering};

use barenet::Platform;
use barenet::time::Instant;
use x86_64::instructions::interrupts;

use super::apic;
use super::clock::Clock;

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

impl Platform for Machine {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn idle(&self, until: Option<Instant>) {
        if self.woken.swap(false, Ordering::Relaxed) {
            return;
        }
        match until {
            None => apic::timer_start(0),
            Some(until) => match until.since(self.now()).micros() {
                0 => return,
                us => apic::timer_wake_in(us),
            },
        }
        // `sti` takes effect after the next instruction, so nothing comes between the two.
        interrupts::enable_and_hlt();
        interrupts::disable();
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::Relaxed);
    }
}
