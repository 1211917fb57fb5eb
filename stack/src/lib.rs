//! # barenet
//!
//! A TCP/IP stack for programs that run without an operating system.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bytes;
pub mod counters;
mod demux;
pub mod device;
mod error;
pub mod events;
pub mod ip;
mod link;
mod list;
mod platform;
pub mod pool;
mod queue;
pub mod random;
pub mod seq;
mod slab;
pub mod stack;
mod tcp;
pub mod time;
mod wheel;
pub mod wire;

pub use demux::Bucket;
pub use error::Error;
pub use platform::Platform;
pub use slab::Slot;
pub use tcp::{Congestion, State, TcpConfig, TcpStorage};
