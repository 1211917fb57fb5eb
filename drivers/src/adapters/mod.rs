//! Devices of other ecosystems under our stack, and ours under smoltcp.
//!
//! | module, type | what it takes | what it is |
//! |---|---|---|
//! | [`embassy::EmbassyDevice`] | a driver of `embassy-net-driver` | a [`Device`](barenet::device::Device) |
//! | [`smoltcp::SmoltcpDevice`] | a device of `smoltcp::phy` | a [`Device`](barenet::device::Device) |
//! | [`smoltcp::UnderSmoltcp`] | a [`Device`](barenet::device::Device), such as `VirtioNet` | a device of `smoltcp::phy` |
//! | [`OneThread`] | a device that is not `Send` | one that is, for one thread |
//! | [`waker`] | a [`Platform`] | a [`Waker`] that ends its sleep |

#[cfg(feature = "embassy-net-driver")]
pub mod embassy;
#[cfg(any(feature = "embassy-net-driver", feature = "smoltcp"))]
mod frame;
mod one_thread;
#[cfg(feature = "smoltcp")]
pub mod smoltcp;

use core::task::{RawWaker, RawWakerVTable, Waker};

use barenet::Platform;
#[cfg(any(feature = "embassy-net-driver", feature = "smoltcp"))]
pub use frame::NotEthernet;
pub use one_thread::OneThread;

/// What wakes the daemon of a network on `platform`: for a driver that tells its events by a [`Waker`], or an
/// interrupt handler that has one. It takes no memory.
///
/// ```
/// use barenet::Platform;
/// use barenet::time::Instant;
/// struct Machine;
/// impl Platform for Machine {
///     fn now(&self) -> Instant { Instant::ZERO }
///     fn idle(&self, _until: Option<Instant>) {}
///     fn wake(&self) { println!("there is something"); }
/// }
/// static MACHINE: Machine = Machine;
/// barenet_drivers::adapters::waker(&MACHINE).wake_by_ref();
/// ```
pub fn waker<P: Platform + 'static>(platform: &'static P) -> Waker {
    // SAFETY: the table's functions take `data` for the `&'static P` that it is, which may be copied freely and
    // used from any thread, since a `Platform` is `Sync`.
    unsafe { Waker::from_raw(raw(platform)) }
}

fn raw<P: Platform + 'static>(platform: &'static P) -> RawWaker {
    RawWaker::new(core::ptr::from_ref(platform).cast(), const { &table::<P>() })
}

const fn table<P: Platform + 'static>() -> RawWakerVTable {
    // SAFETY: `data` is a `&'static P` in each of them, see `waker`.
    let clone = |data: *const ()| raw(unsafe { &*data.cast::<P>() });
    // SAFETY: as above.
    let wake = |data: *const ()| unsafe { &*data.cast::<P>() }.wake();
    RawWakerVTable::new(clone, wake, wake, |_| {})
}

#[cfg(all(test, feature = "std"))]
mod tests;
