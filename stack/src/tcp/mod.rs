//! TCP (RFC 9293). It names no wire format, no device and no allocator.
//!
//! [`send`] is the sending half of a connection (SND.*), [`receive`] the receiving half (RCV.*),
//! [`connection`] one whole connection as a pure function of segments, calls and time, and [`table`] all
//! connections of a stack. Each of them knows those before it and none after it.

pub(crate) mod codec;
mod config;
pub(crate) mod connection;
pub(crate) mod context;
#[cfg(feature = "ecn")]
pub(crate) mod ecn_bytes;
#[cfg(not(feature = "ecn"))]
#[path = "no_ecn_bytes.rs"]
pub(crate) mod ecn_bytes;
#[cfg(feature = "fast-open")]
pub(crate) mod fast_open;
#[cfg(not(feature = "fast-open"))]
#[path = "no_fast_open.rs"]
pub(crate) mod fast_open;
mod options;
pub(crate) mod receive;
#[cfg(feature = "sack")]
pub(crate) mod sack_blocks;
#[cfg(not(feature = "sack"))]
#[path = "no_sack_blocks.rs"]
pub(crate) mod sack_blocks;
pub(crate) mod segment;
pub(crate) mod send;
pub(crate) mod table;
#[cfg(all(test, feature = "alloc"))]
mod tests;

#[cfg(feature = "ecn")]
pub use config::Ecn;
#[cfg(feature = "path-probing")]
pub use config::PathProbing;
#[cfg(feature = "syn-cookies")]
pub use config::SynCookies;
pub use config::{Congestion, TcpConfig};
pub use connection::info::TcpInfo;
pub use connection::tcb::State;
pub(crate) use connection::user::LAST_WORDS;
pub(crate) use options::IpFields;
pub use options::{KeepAlive, TcpOptions};
pub(crate) use segment::{Reply, Tuple};
pub use send::recovery::RecoveryPhase;
#[cfg(feature = "fast-open")]
pub use table::FastOpenServer;
pub(crate) use table::TcpMemory;
pub use table::{Connection, ListenerEntry, OptionsEntry, Place, TcpStorage, TimeWaitEntry};
pub(crate) use table::{
    ConnectionEvent, Handshaking, Interest, LastWords, Opened, Outcome, Profile, Refused, Tcp,
};
