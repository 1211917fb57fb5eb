//! Clients that configure an interface: pure state machines, without a clock, a socket or the stack.

pub mod dhcp;
pub(crate) mod link_local;
