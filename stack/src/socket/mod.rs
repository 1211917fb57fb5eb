//! Sockets: each operation once in poll form, and blocking and async forms as thin adapters.

mod addr;
#[cfg(all(test, feature = "alloc", feature = "full"))]
pub(crate) mod alone;
#[cfg(feature = "tcp")]
mod builder;
#[cfg(feature = "udp")]
mod by_name;
#[cfg(feature = "dns")]
mod connecting;
#[cfg(feature = "tcp")]
mod gather;
#[cfg(feature = "tcp")]
mod halves;
#[cfg(feature = "udp")]
mod icmp;
#[cfg(feature = "tcp")]
mod in_place;
#[cfg(feature = "tcp")]
mod listener;
#[cfg(all(feature = "tcp", feature = "alloc"))]
mod owned;
#[cfg(feature = "raw")]
mod raw;
#[cfg(all(feature = "tcp", feature = "alloc"))]
mod server;
#[cfg(feature = "tcp")]
mod tcp;
mod traits;
#[cfg(feature = "udp")]
mod udp;

pub use addr::{Addresses, ToListenAddr, ToSocketAddrs};
#[cfg(feature = "tcp")]
pub use builder::TcpBuilder;
#[cfg(feature = "dns")]
pub use connecting::ConnectError;
#[cfg(feature = "tcp")]
pub use halves::{ReadHalf, WriteHalf};
#[cfg(feature = "udp")]
pub use icmp::{PingReply, PingSocket};
#[cfg(feature = "tcp")]
pub use listener::TcpListener;
#[cfg(all(feature = "tcp", feature = "alloc"))]
pub use owned::{OwnedReadHalf, OwnedWriteHalf};
#[cfg(feature = "raw")]
pub use raw::{EthernetSocket, RawSocket};
#[cfg(all(feature = "tcp", feature = "alloc"))]
pub use server::{Serve, Stop};
#[cfg(feature = "tcp")]
pub use tcp::{Shutdown, Tags, TcpStream};
#[cfg(feature = "sntpc")]
pub use traits::NtpClock;
#[cfg(feature = "picoserve")]
pub use traits::PicoserveRuntime;
#[cfg(feature = "edge-nal")]
pub use traits::RawInterface;
#[cfg(feature = "udp")]
pub use udp::UdpSocket;

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
