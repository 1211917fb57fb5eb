//! The machines that a barenet program runs on, behind one attribute.
//!
//! [`main`] makes a function the program on every board: it boots, finds the clock, entropy and
//! the network device, gives the interface its addresses (those of the [`options`], else by DHCP) and calls the function with the
//! [`Net`](barenet::Net). Which board it is follows from the target:
//!
//! | target | board |
//! |---|---|
//! | `x86_64-unknown-none` | `x86_64`: QEMU's `q35` (virtio over PCI) and `microvm` (virtio over MMIO) |
//! | Linux | `host`: a process with a TAP device |
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

mod configure;
mod console;
#[cfg(feature = "embassy-executor")]
mod executor;
pub mod fiber;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(target_os = "linux")]
pub mod host;
mod linger;
pub mod options;
mod program;
#[cfg(feature = "embassy-time")]
mod timers;
#[cfg(all(target_arch = "x86_64", target_os = "none"))]
pub mod x86_64;

#[cfg(all(target_os = "none", not(target_arch = "x86_64")))]
compile_error!("there is no board for this target: there are x86_64-unknown-none and Linux");

/// A whole program:
///
/// ```no_run
/// #![cfg_attr(target_os = "none", no_std, no_main)]
///
/// use barenet::{Error, Net};
///
/// #[barenet_boards::main]
/// fn main(net: Net) -> Result<(), Error> {
///     barenet_boards::println!("on {} since {}", barenet_boards::machine(), net.now().micros());
///     Ok(())
/// }
/// ```
///
/// With a stack of its own size:
///
/// ```no_run
/// #[barenet_boards::main(stack_size = 1024 * 1024)]
/// fn main(_net: barenet::Net) {}
/// ```
///
/// A function without the `Net` is refused, and so are other arguments of the attribute:
///
/// ```compile_fail
/// #[barenet_boards::main]
/// fn main() {}
/// ```
///
/// ```compile_fail
/// #[barenet_boards::main(fast)]
/// fn main(_net: barenet::Net) {}
/// ```
pub use barenet_boards_macros::main;
pub use console::Console;
#[cfg(feature = "embassy-executor")]
pub use executor::run_executor;
pub use program::{Outcome, args, gateway, machine, seed, uptime};

/// What the macros of this crate expand to, and what its boards start with. Not for direct use.
#[doc(hidden)]
pub mod internal {
    pub use crate::console::print;
    pub use barenet::Net;
}
