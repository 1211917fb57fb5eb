//! # barenet
//!
//! A TCP/IP stack for programs that run without an operating system.
//!
//! On a board of this project one attribute does everything, and `main` is given a [`Net`]. On one
//! of your own, four things make a network:
//!
//! 1. a [`Device`](device::Device) for each network interface,
//! 2. a [`Platform`]: the machine's clock, and a way to sleep and be woken,
//! 3. a way of [waiting](wait): [`Spin`](wait::Spin) without any executor, fibers, OS threads,
//! 4. a [`Stack`](stack::Stack) in memory that you hand in or, with the feature `alloc`, on the
//!    heap up to [`Limits`](stack::Limits), with 32 bytes of entropy as its seed.
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use barenet::device::Device;
//! use barenet::ip::addresses::Cidr;
//! use barenet::stack::{Limits, Stack, Storage};
//! use barenet::wait::Spin;
//! use barenet::{Error, Net, Platform, TcpListener};
//!
//! fn echo(platform: &'static dyn Platform, device: Box<dyn Device + Send>, seed: [u8; 32]) -> Result<(), Error> {
//!     let stack = Stack::new(Storage::heap(&Limits::default()), seed);
//!     let net = Net::new(stack, platform, &Spin)?;
//!     let address = Cidr::new([192, 0, 2, 7].into(), 24)?;
//!     net.add_interface(device, &[address], &[[192, 0, 2, 1].into()])?;
//!
//!     let listener = TcpListener::bind(&net, 7)?;
//!     loop {
//!         let (mut flow, _peer) = listener.accept()?;
//!         let mut buf = [0; 1024];
//!         while let Ok(n @ 1..) = flow.read(&mut buf) {
//!             flow.write_all(&buf[..n])?;
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! Sockets are [`TcpListener`], [`TcpStream`], [`UdpSocket`] and [`PingSocket`]. Each operation comes
//! in a blocking form, as `poll_…` and for executors; what went wrong is one [`Error`], whose
//! variants never stand in for one another.
//!
//! `barenet_boards::guide` has a page for each thing that a program does.
//!
//! Below them the [`stack`] is a function of its inputs and the time: it can be run by itself, many
//! of them in one thread in virtual time, as this project's simulations do.
//!
//! ## Features
//!
//! They only add. `dhcpv4` (on by default): a DHCP client; `slaac` (on by default): IPv6 that
//! configures itself, and with `dhcpv6` by DHCP where routers say so; `raw` (on by default): raw sockets; `vlan` (on by
//! default): VLANs; `dns` (on by default): [names]; `bbr`, `cubic`, `ecn`, `fast-open`, `path-probing` and `syn-cookies` (on by
//! default): parts of TCP; `mdns` (on by default): names of the link; `alloc`: memory from the heap up to limits,
//! `TcpListener::serve`, `Net::sleep`; `std`: OS threads, `std::io` traits; `embedded-io`: the traits of
//! `embedded-io` and `embedded-io-async`; `edge-nal`, `embedded-nal-async`, `futures-io`: those of these crates; `log` and `defmt`: [events] printed by that crate.
#![doc = include_str!("contract.md")]
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
// A part of the stack needs a part of what the rooms below it offer.
#![cfg_attr(not(feature = "full"), allow(dead_code))]

#[cfg(feature = "alloc")]
extern crate alloc;

mod base;
pub mod bytes;
#[cfg(feature = "callbacks")]
pub mod callbacks;
pub mod config;
pub mod counters;
pub mod daemon;
pub mod device;
mod error;
pub mod events;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod ip;
mod link;
#[cfg(feature = "dns")]
pub mod names;
mod net;
mod platform;
#[cfg(feature = "raw")]
pub mod raw;
mod seq;
mod socket;
pub mod stack;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(not(feature = "tcp"))]
#[path = "no_tcp.rs"]
mod tcp;
pub mod time;
pub mod udp;
mod wire;

pub use base::demux::Bucket;
pub use base::pool;
pub use base::slab::{Key, Slot};
#[cfg(feature = "dhcpv4")]
pub use config::dhcp;
#[cfg(feature = "dhcpv6")]
pub use config::dhcpv6;
pub use error::Error;
#[doc(no_inline)]
pub use managed::ManagedSlice;
pub use net::wait;
pub use net::{Configuration, InterfaceName, Net, NetState};
#[cfg(feature = "alloc")]
pub use net::{Mutex, MutexGuard, Receiver, Sender, Sleep, Task, TaskOptions};
#[cfg(feature = "dns")]
pub use net::{
    addr_info::{
        AddrInfo, AddrInfoLookup, AddrInfos, Hints, HostName, NameInfo, NameInfoFlags, ServiceName,
        SocketType,
    },
    names::{Family, HostAddresses, Lookup, RecordLookup},
};
pub use platform::Platform;
#[cfg(feature = "dns")]
pub use socket::ConnectError;
#[cfg(feature = "sntpc")]
pub use socket::NtpClock;
#[cfg(feature = "picoserve")]
pub use socket::PicoserveRuntime;
#[cfg(feature = "edge-nal")]
pub use socket::RawInterface;
pub use socket::{Addresses, ToListenAddr, ToSocketAddrs};
#[cfg(feature = "raw")]
pub use socket::{EthernetSocket, RawSocket};
#[cfg(all(feature = "tcp", feature = "alloc"))]
pub use socket::{OwnedReadHalf, OwnedWriteHalf, Serve, Stop};
#[cfg(feature = "udp")]
pub use socket::{PingReply, PingSocket, UdpSocket};
#[cfg(feature = "tcp")]
pub use socket::{ReadHalf, Shutdown, Tags, TcpBuilder, TcpListener, TcpStream, WriteHalf};
#[cfg(feature = "ecn")]
pub use tcp::Ecn;
#[cfg(feature = "fast-open")]
pub use tcp::FastOpenServer;
#[cfg(feature = "path-probing")]
pub use tcp::PathProbing;
#[cfg(feature = "syn-cookies")]
pub use tcp::SynCookies;
pub use tcp::TcpStorage;
#[cfg(feature = "tcp")]
pub use tcp::{
    Congestion, Connection, KeepAlive, ListenerEntry, OptionsEntry, Place, RecoveryPhase, State, TcpConfig,
    TcpInfo, TcpOptions, TimeWaitEntry,
};
