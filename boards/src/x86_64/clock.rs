//! The clock: microseconds from the time stamp counter, and how fast that counts.
//!
//! The counter's speed is, from the surest source on: what the CPU states (CPUID leaf 0x15), what
//! the hypervisor states (leaf 0x4000_0010), measured against the APIC's timer under KVM and
//! QEMU's TCG, which run it at 1 GHz, or measured against the 8254 timer. Nothing is measured that is
//! known: a program that serves one request must not spend its time on its clock.

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
    if let (Some(hertz), Some(timer)) = (stated, known_timer()) {
        apic::set_timer_rate(timer / apic::DIVISOR);
        return Ok(Clock::start(hertz));
    }
    let (counts, ticks) = counter_beside_timer();
    let hertz = stated
        .or_else(|| known_timer().map(|timer| scaled(counts, timer, ticks)))
        .or_else(measured_by_pit)
        .ok_or(
            "no clock: the machine needs a PIT, KVM or TCG, or a CPU that states its frequency \
             in CPUID leaf 0x15",
        )?;
    apic::set_timer_rate(scaled(ticks, hertz, counts) / apic::DIVISOR);
    Ok(Clock::start(hertz))
}

/// `n * over / under`.
fn scaled(n: u64, over: u64, under: u64) -> u64 {
    (u128::from(n) * u128::from(over) / u128::from(under)) as u64
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

/// How far counter and APIC timer run in the same while, the latter at its full speed. Neither is 0.
///
/// What a reading may be off by, which is what it takes, is known: so they run until that is less than a
/// 2048th of the while. Where a reading takes some instructions that is within 0.1 ms, where each leaves the
/// virtual machine within a few.
fn counter_beside_timer() -> (u64, u64) {
    const PRECISION: u64 = 2048;
    /// 30 ms at 3 GHz.
    const COUNTS_MAX: u64 = 100_000_000;
    apic::timer_count_fully();
    let first = Reading::now();
    let mut least = first.gap;
    let last = loop {
        let last = Reading::now();
        least = least.min(last.gap);
        let (counts, doubt) = (last.counter - first.counter, first.gap + last.gap);
        // A reading that was interrupted is no good end.
        let is_good = last.gap <= 2 * least && doubt * PRECISION <= counts;
        if is_good || counts >= COUNTS_MAX {
            break last;
        }
        core::hint::spin_loop();
    };
    apic::timer_count_slowly();
    let ticks = u64::from(first.left.saturating_sub(last.left));
    ((last.counter - first.counter).max(1), ticks.max(1))
}

/// The counter and the timer at one moment.
#[derive(Clone, Copy)]
struct Reading {
    counter: u64,
    /// Counts that the reading took.
    gap: u64,
    /// Ticks of the timer that were left.
    left: u32,
}

impl Reading {
    /// The best of a few tries, since a hypervisor may take the CPU away between the two readings.
    fn now() -> Reading {
        let mut best = Reading::once();
        for _ in 0..3 {
            let another = Reading::once();
            if another.gap < best.gap {
                best = another;
            }
        }
        best
    }

    fn once() -> Reading {
        let before = counter();
        let left = apic::timer_left();
        let gap = counter() - before;
        Reading { counter: before + gap / 2, gap, left }
    }
}

/// The hertz of the APIC's timer, where that is known: KVM and QEMU clock it at 1 GHz
/// (APIC_BUS_CYCLE_NS of KVM's lapic.h, the nanoseconds that QEMU's hw/intc/apic.c counts).
fn known_timer() -> Option<u64> {
    cpu::hypervisor().filter(|name| name == cpu::KVM || name == cpu::TCG).map(|_| 1_000_000_000)
}

/// How long one measurement by the PIT takes.
const PIT_US: u64 = 10_000;
/// As many periods of the 8254's 1.193182 MHz.
const PIT_COUNT: u16 = (PIT_US * 1_193_182 / 1_000_000) as u16;

/// The least of a few measurements: being interrupted only makes them longer.
fn measured_by_pit() -> Option<u64> {
    let mut least = u64::MAX;
    for _ in 0..4 {
        least = least.min(counts_of_pit()?);
    }
    Some(least * 1_000_000 / PIT_US)
}

/// Counts in [`PIT_US`] by the 8254's channel 2, the one whose output can be read back.
/// `None` if the machine has none.
fn counts_of_pit() -> Option<u64> {
    const OUTPUT: u8 = 1 << 5;
    let mut gate = Port::<u8>::new(0x61);
    let (mut data, mut command) = (Port::<u8>::new(0x42), Port::<u8>::new(0x43));
    // SAFETY: channel 2 and its gate drive nothing but a PC's speaker, which stays off (bit 1).
    // On a machine without them the writes vanish and the reads give ones.
    unsafe {
        let old = gate.read();
        if old == 0xff {
            return None;
        }
        // Gate off, then channel 2, both bytes, mode 0: the output rises when it has run down.
        gate.write(old & !0b11);
        command.write(0b1011_0000);
        if gate.read() & OUTPUT != 0 {
            return None;
        }
        // Emulators start counting here already, whatever the gate.
        let start = counter();
        let [low, high] = PIT_COUNT.to_le_bytes();
        data.write(low);
        data.write(high);
        gate.write(old & !0b10 | 1);
        while gate.read() & OUTPUT == 0 {
            // Ten times the wait on the fastest counter there is: the output is stuck.
            if counter() - start > 2_000_000_000 {
                return None;
            }
        }
        let counts = counter() - start;
        gate.write(old);
        Some(counts)
    }
}
