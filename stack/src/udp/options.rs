//! What can be set for one socket.

use crate::ip::InterfaceId;

/// What a socket sends to groups with.
#[cfg(feature = "multicast")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Multicast {
    pub(crate) ttl: u8,
    pub(crate) is_looped: bool,
    pub(crate) interface: Option<InterfaceId>,
}

#[cfg(feature = "multicast")]
impl Multicast {
    pub(crate) const DEFAULT: Multicast = Multicast { ttl: 1, is_looped: true, interface: None };
}

/// What is done with a datagram that is larger than its path.
#[cfg(feature = "fragments")]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DontFragment {
    /// It is sent in fragments. What is smaller still goes with IPv4's DF, so that routers tell what would fit.
    #[default]
    No,
    /// It is refused with [`Error::MessageTooLong`](crate::Error::MessageTooLong), by what is known of the path.
    Yes,
    /// It is sent whole if its interface can, whatever routers have said of the path: for programs that
    /// find out themselves what gets through (RFC 8899). Larger ones are refused.
    Probe,
}

/// Whether others may have the same address and port as a socket. All of them must say the same.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sharing {
    /// They may not.
    #[default]
    No,
    /// They may (`SO_REUSEADDR`): each gets broadcasts and the groups that it hears, and the one that was bound
    /// last gets what is for this host alone.
    Address,
    /// They may (`SO_REUSEPORT`): each gets broadcasts and groups, and what is for this host alone is shared by a
    /// hash of both addresses and ports, so that a peer's datagrams come to one of them.
    Port,
}

/// How a datagram socket is bound.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BindOptions {
    /// An IPv6 address that stands for all serves IPv6 only.
    pub v6_only: bool,
    /// Whether others may have the same address and port.
    pub sharing: Sharing,
    /// Only this interface's datagrams, and what is sent leaves by it: also by one that has no address.
    pub interface: Option<InterfaceId>,
}
