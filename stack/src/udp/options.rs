//! What can be set for one socket.

#[cfg(feature = "multicast")]
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
