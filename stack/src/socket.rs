//! Sockets: each operation once in poll form, and blocking and async forms as thin adapters.

mod addr;
#[cfg(feature = "embedded-io")]
mod embedded;
mod listener;
mod tcp;

pub use addr::{ToListenAddr, ToSocketAddrs};
#[cfg(feature = "alloc")]
pub use listener::Serve;
pub use listener::TcpListener;
pub use tcp::{Shutdown, TcpStream};
