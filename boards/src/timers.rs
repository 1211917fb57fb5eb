//! The clock and the timers of `embassy-time` on every board: the network's own.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};

use barenet::time::Instant;
use barenet::{Net, Sleep};
use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};
use spin::{Mutex, Once};

/// The board's network, from before `main` on.
static NET: Once<Net> = Once::new();

/// Called by the board when its network is there.
pub(crate) fn init(net: &Net) {
    NET.call_once(|| net.clone());
}

/// One entry for each task that waits, for the earliest time that it has asked for: a task that is woken asks again for
/// what it still waits for.
struct Timers(Mutex<Vec<Entry>>);

struct Entry {
    at: Instant,
    waker: Waker,
    /// Its place on the network's timer wheel.
    _sleep: Pin<Box<Sleep>>,
}

time_driver_impl!(static TIMERS: Timers = Timers(Mutex::new(Vec::new())));

const MICROS: u128 = 1_000_000;

impl Driver for Timers {
    fn now(&self) -> u64 {
        let micros = NET.get().map_or(0, |net| net.now().micros());
        (u128::from(micros) * u128::from(TICK_HZ) / MICROS) as u64
    }

    /// # Panics
    ///
    /// Before `main`: there is no network to wait with.
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let net = NET.get().expect("timers begin with `main`");
        // Rounded up: a timer never fires early. What does not fit is for ever.
        let micros = (u128::from(at) * MICROS).div_ceil(u128::from(TICK_HZ));
        let at = u64::try_from(micros).map_or(Instant::FAR_FUTURE, Instant::from_micros);
        let mut entries = self.0.lock();
        let now = net.now();
        entries.retain(|entry| entry.at > now);
        let known = entries.iter().position(|entry| entry.waker.will_wake(waker));
        if known.is_some_and(|known| entries[known].at <= at) {
            return;
        }
        if let Some(later) = known {
            entries.swap_remove(later);
        }
        let mut sleep = Box::pin(net.sleep_until(at));
        if sleep.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
            drop(entries);
            return waker.wake_by_ref();
        }
        entries.push(Entry { at, waker: waker.clone(), _sleep: sleep });
    }
}
