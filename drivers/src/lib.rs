//! See ARCHITECTURE.md.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

#[cfg(all(feature = "tap", target_os = "linux"))]
pub mod tap;
