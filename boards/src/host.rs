//! The host board: the program as a Linux process.

mod platform;

pub use platform::Host;
