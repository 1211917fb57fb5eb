//! The link layer: who on the link has which hardware address.

pub(crate) mod announce;
pub(crate) mod neighbor;
#[cfg(feature = "dhcpv4")]
pub(crate) mod probe;
