//! Sockets: each operation once in poll form, and blocking and async forms as thin adapters.

mod addr;
#[cfg(all(test, feature = "alloc"))]
mod alone;
mod builder;
#[cfg(feature = "embedded-io")]
mod embedded;
mod halves;
mod icmp;
mod listener;
mod tcp;
mod udp;

pub use addr::{Addresses, ToListenAddr, ToSocketAddrs};
pub use builder::TcpBuilder;
pub use halves::{ReadHalf, WriteHalf};
pub use icmp::{PingReply, PingSocket};
#[cfg(feature = "alloc")]
pub use listener::Serve;
pub use listener::TcpListener;
pub use tcp::{Shutdown, Tags, TcpStream};
pub use udp::UdpSocket;
