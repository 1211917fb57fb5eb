//! Devices for the stack: drivers behind `barenet::device::Device`.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
pub mod middleware;
#[cfg(all(feature = "tap", target_os = "linux"))]
pub mod tap;
#[cfg(feature = "virtio")]
pub mod virtio;
