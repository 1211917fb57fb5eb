//! # barenet
//!
//! A TCP/IP stack for programs that run without an operating system.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bytes;
pub mod counters;
pub mod daemon;
pub mod datagram;
mod demux;
pub mod device;
mod error;
pub mod events;
pub mod ip;
mod link;
mod list;
mod net;
mod platform;
pub mod pool;
mod queue;
pub mod random;
pub mod seq;
mod slab;
mod socket;
pub mod stack;
mod sync;
mod tcp;
pub mod time;
pub mod wait;
mod wakers;
mod wheel;
pub mod wire;

pub use demux::Bucket;
pub use error::Error;
#[doc(no_inline)]
pub use managed::ManagedSlice;
pub use net::{Net, NetState};
pub use platform::Platform;
pub use slab::{Key, Slot};
#[cfg(feature = "alloc")]
pub use socket::Serve;
pub use socket::{Addresses, Shutdown, TcpListener, TcpStream, ToListenAddr, ToSocketAddrs};
pub use socket::{PingReply, PingSocket, UdpSocket};
pub use tcp::{Congestion, Connection, ListenerEntry, State, TcpConfig, TcpStorage, TimeWaitEntry};
