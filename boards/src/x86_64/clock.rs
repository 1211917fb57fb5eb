//! The clock: microseconds from the time stamp counter, and how fast that counts.
//!
//! The counter's speed is, from the surest source on: what the CPU states (CPUID leaf 0x15), what
//! the hypervisor states (leaf 0x4000_0010), measured against the 8254 timer, or, under KVM and
//! QEMU's TCG on machines without one, measured against the APIC's timer, which both run at 1 GHz.

use core::arch::x86_64::{__cpuid, _rdtsc};

use barenet::time::Instant;
use x86_64::instructions::port::Port;

use super::{apic, cpu};

/// The running clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The counter at the clock's origin.
    origin: u64,
    /// Microseconds per 2^44 counts: fine enough for a second's error in a year.
    scale: u64,
    /// The CPU's counts per second.
    pub(super) hertz: u64,
}

fn counter() -> u64 {
    // SAFETY: every 64-bit CPU has the counter.
    unsafe { _rdtsc() }
}

impl Clock {
    /// A clock that starts now, on a counter of `hertz`.
    fn start(hertz: u64) -> Clock {
        Clock { origin: counter(), scale: ((1_000_000u128 << 44) / u128::from(hertz)) as u64, hertz }
    }

    /// Microseconds since the clock started. One CPU, and the counter never runs backwards there.
    pub(super) fn now(&self) -> Instant {
        let counts = counter().wrapping_sub(self.origin);
        Instant::from_micros(((u128::from(counts) * u128::from(self.scale)) >> 44) as u64)
    }
}

/// Finds the speeds of the counter and of the APIC's timer, and starts the clock.
///
/// # Errors
///
/// A sentence for the console, when the machine has nothing to measure the counter by.
pub(super) fn init() -> Result<Clock, &'static str> {
    let stated = stated_by_cpu().or_else(stated_by_hypervisor);
    let Some((counts, ticks, us)) = measure(stated) else {
        return Err("no clock: the machine needs a PIT, KVM or TCG, or a CPU that states its \
                    frequency in CPUID leaf 0x15");
    };
    let hertz = stated.unwrap_or(counts * 1_000_000 / us);
    apic::set_timer_rate(u64::from(ticks) * 1_000_000 / us);
    Ok(Clock::start(hertz))
}

/// CPUID leaf 0x15: crystal hertz in ecx, times ebx over eax.
fn stated_by_cpu() -> Option<u64> {
    if __cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    let (crystal, over, under) = (u64::from(leaf.ecx), u64::from(leaf.ebx), u64::from(leaf.eax));
    (crystal * over).checked_div(under).filter(|&h| plausible(h))
}

/// The leaf that VMware defined and KVM adopted: the counter's kilohertz in eax.
fn stated_by_hypervisor() -> Option<u64> {
    cpu::hypervisor()?;
    if __cpuid(0x4000_0000).eax < 0x4000_0010 {
        return None;
    }
    Some(u64::from(__cpuid(0x4000_0010).eax) * 1000).filter(|&h| plausible(h))
}

/// No CPU counts slower than 100 MHz or faster than 20 GHz; leaves that are not filled in do.
fn plausible(hertz: u64) -> bool {
    (100_000_000..20_000_000_000).contains(&hertz)
}

/// Lets counter and APIC timer run side by side for a while.
/// Gives counts, timer ticks, and the time it took in microseconds.
fn measure(stated: Option<u64>) -> Option<(u64, u32, u64)> {
    apic::timer_start(u32::MAX);
    let (ticks_before, before) = (apic::timer_left(), counter());
    let us = if let Some(hertz) = stated {
        wait(|| counter() - before >= hertz * WAIT_US / 1_000_000);
        WAIT_US
    } else if wait_pit() {
        WAIT_US
    } else {
        // KVM and QEMU clock their APIC timer at 1 GHz: APIC_BUS_CYCLE_NS of KVM's lapic.h, and
        // the nanoseconds that hw/intc/apic.c counts.
        cpu::hypervisor().filter(|name| name == cpu::KVM || name == cpu::TCG)?;
        let target = ticks_before - (1000 * WAIT_US / apic::DIVISOR) as u32;
        wait(|| apic::timer_left() <= target);
        let ticks = u64::from(ticks_before - apic::timer_left());
        ticks * apic::DIVISOR / 1000
    };
    let (after, ticks_after) = (counter(), apic::timer_left());
    apic::timer_start(0);
    Some((after - before, ticks_before - ticks_after, us))
}

fn wait(done: impl Fn() -> bool) {
    while !done() {
        core::hint::spin_loop();
    }
}

/// How long the measurement takes. Reading a timer costs an emulator a few microseconds, so this
/// bounds the error to about one in ten thousand.
const WAIT_US: u64 = 30_000;

/// As many periods of the 8254's 1.193182 MHz.
const PIT_COUNT: u16 = (WAIT_US * 1_193_182 / 1_000_000) as u16;

/// Waits [`WAIT_US`] by the 8254's channel 2, the one whose output can be read back.
/// False if the machine has none.
fn wait_pit() -> bool {
    const OUTPUT: u8 = 1 << 5;
    let mut gate = Port::<u8>::new(0x61);
    let (mut data, mut command) = (Port::<u8>::new(0x42), Port::<u8>::new(0x43));
    // SAFETY: channel 2 and its gate drive nothing but a PC's speaker, which stays off (bit 1).
    // On a machine without them the writes vanish and the reads give ones.
    unsafe {
        let old = gate.read();
        if old == 0xff {
            return false;
        }
        // Gate off, then channel 2, both bytes, mode 0: the output rises when it has run down.
        gate.write(old & !0b11);
        command.write(0b1011_0000);
        let [low, high] = PIT_COUNT.to_le_bytes();
        data.write(low);
        data.write(high);
        if gate.read() & OUTPUT != 0 {
            return false;
        }
        gate.write(old & !0b10 | 1);
        // Ten times the wait on the fastest counter there is: the output is stuck.
        let limit = counter() + 2_000_000_000;
        while gate.read() & OUTPUT == 0 {
            if counter() > limit {
                return false;
            }
        }
        gate.write(old);
    }
    true
}
