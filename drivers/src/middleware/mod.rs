//! Devices around other devices: each is a [`Device`](barenet::device::Device) itself, so they
//! can be stacked.

#[cfg(feature = "capture")]
mod capture;
#[cfg(feature = "alloc")]
mod faults;
#[cfg(feature = "alloc")]
mod held;

#[cfg(feature = "capture")]
pub use capture::Capture;
#[cfg(feature = "alloc")]
pub use faults::{Counts, Faults, REORDER_MAX, Rates};

#[cfg(all(test, feature = "alloc"))]
mod memory;
