//! One connection, as a function of its state, what came in and the time (RFC 9293 §3.10).
//!
//! Files are split by question: [`input`] what came in, [`output`] what goes out, [`timers`] what time
//! did, [`user`] what the application asked for; [`tcb`] is the state itself, [`idle`] the same in
//! little memory while the connection is at rest.

#[cfg(feature = "ecn")]
pub(crate) mod ecn;
#[cfg(not(feature = "ecn"))]
#[path = "no_ecn.rs"]
pub(crate) mod ecn;
#[cfg(feature = "fast-open")]
pub(crate) mod fast_open;
#[cfg(not(feature = "fast-open"))]
#[path = "no_fast_open.rs"]
pub(crate) mod fast_open;
pub(crate) mod handshake;
pub(crate) mod header_prediction;
pub(crate) mod idle;
mod in_place;
pub(crate) mod info;
pub(crate) mod input;
pub(crate) mod keep_alive;
pub(crate) mod output;
pub(crate) mod path;
pub(crate) mod plain;
pub(crate) mod soft_error;
pub(crate) mod tcb;
pub(crate) mod timers;
pub(crate) mod urgent;
pub(crate) mod user;
