//! TCP (RFC 9293). It names no wire format, no device and no allocator.
//!
//! [`send`] is the sending half of a connection (SND.*), [`receive`] the receiving half (RCV.*),
//! [`connection`] one whole connection as a pure function of segments, calls and time, and [`table`] all
//! connections of a stack. Each of them knows those before it and none after it.

pub(crate) mod codec;
mod config;
pub(crate) mod connection;
pub(crate) mod context;
mod options;
pub(crate) mod receive;
pub(crate) mod segment;
pub(crate) mod send;
pub(crate) mod table;
#[cfg(all(test, feature = "alloc"))]
mod tests;

pub use config::{Congestion, Ecn, PathProbing, SynCookies, TcpConfig};
pub use connection::info::TcpInfo;
pub use connection::tcb::State;
pub(crate) use connection::user::LAST_WORDS;
pub(crate) use options::IpFields;
pub use options::{KeepAlive, TcpOptions};
pub(crate) use segment::{Reply, Tuple};
pub use send::recovery::RecoveryPhase;
pub(crate) use table::TcpMemory;
pub use table::{Connection, ListenerEntry, OptionsEntry, Place, TcpStorage, TimeWaitEntry};
pub(crate) use table::{
    ConnectionEvent, Handshaking, Interest, LastWords, Opened, Outcome, Profile, Refused, Tcp,
};
