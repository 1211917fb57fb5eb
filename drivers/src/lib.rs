//! Devices for the stack: drivers behind `barenet::device::Device`.
//!
//! What a driver says, and what the stack makes of it:
//!
//! | the driver | the stack |
//! |---|---|
//! | `transmit` is `Ok` | the frame is the device's; whether it reaches anybody is the network's matter |
//! | `Full` | nothing has happened to the frame. It waits, in order, for the wake-up that `arm` promises: packets in the interface's queue (256 of them; then datagrams block their sender, and answers to others are dropped as `EgressQueueFull`), text in its connection, whose time-outs do not wait for the device |
//! | `Full` in the middle of a long segment | what went out before is sent, the rest waits |
//! | `Refused` | the frame is dropped as `DeviceRefused` and as good as lost on the way: TCP sends it again by its timer |
//! | `receive` is false | there is nothing now. A driver gives up after some hundred frames that it had to drop, so a device that delivers nothing but rubbish holds nobody |
//! | `link` is `Down` | frames get lost; it may come up again |
//! | `link` is `Gone` | the interface is removed for good, and connections and sockets on it end with an error. Until that is noticed, the driver refuses what is sent, receives nothing and wakes nobody |
//!
//! What a driver drops itself, it counts by name: `virtio::Drops`, `tap::Drops`.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod adapters;
#[cfg(feature = "alloc")]
pub mod middleware;
#[cfg(all(feature = "tap", target_os = "linux"))]
pub mod tap;
#[cfg(feature = "virtio")]
pub mod virtio;
#[cfg(any(feature = "virtio", all(feature = "tap", target_os = "linux")))]
mod vnet;
