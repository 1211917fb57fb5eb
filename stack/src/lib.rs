//! # barenet
//!
//! A TCP/IP stack for programs that run without an operating system.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bytes;
mod demux;
pub mod device;
mod error;
mod platform;
pub mod pool;
pub mod seq;
mod slab;
pub mod time;
mod wheel;

pub use error::Error;
pub use platform::Platform;
