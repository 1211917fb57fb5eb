//! Guide: how barenet meets the crates and systems around it.
//!
//! * [TLS, MQTT and HTTP](protocols): protocol crates on our sockets
//! * [Porting an operating system](porting): what a kernel writes that adopts the stack
//! * [A driver from another ecosystem](drivers): `embassy-net-driver`, `smoltcp::phy`
//!
//! The programs that these pages speak of lie in `examples/ecosystem` and `examples/axnet` of the repository, and its tests
//! run them.

#[doc = include_str!("drivers.md")]
pub mod drivers {}
#[doc = include_str!("porting.md")]
pub mod porting {}
#[doc = include_str!("protocols.md")]
pub mod protocols {}
