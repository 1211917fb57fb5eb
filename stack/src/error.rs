//! The one error type: what happened, in words that never stand in for one another.

use core::fmt;

/// Why an operation of the stack failed.
///
/// Each variant means one thing. In particular the end of a stream is not an error (`read` gives
/// 0, and only for the peer's FIN), a reset is never reported as an end, and a timeout never as a
/// refusal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The peer answered our SYN with RST, or our packet with ICMP port or protocol unreachable; or a
    /// router says that its administrator prohibits our SYN.
    ConnectionRefused,
    /// The peer reset the connection; data may have been lost.
    ConnectionReset,
    /// The connection was aborted on this side.
    ConnectionAborted,
    /// Write to a connection that is over because the peer closed it. (While only the peer's FIN
    /// has come, writing goes on: that closed its own side.)
    ClosedByPeer,
    /// Write after our own `shutdown(Write)`, or `accept` after `close`.
    ClosedLocally,
    /// The peer did not answer within the limit of the protocol or the caller.
    TimedOut,
    /// No route to the destination, or a router said so.
    NetUnreachable,
    /// The next hop did not answer ARP or NDP, or a router said so.
    HostUnreachable,
    /// A router found fault with the header of a packet of ours.
    PacketRejected,
    /// The local address and port belong to another socket.
    AddrInUse,
    /// The local address is not one of ours.
    AddrNotAvailable,
    /// The destination can't be connected to: unspecified, broadcast, multicast or port 0.
    AddrInvalid,
    /// A name has no address, or none of the requested family. (Without the feature `dns` what is no address has none.)
    NoMatchingAddresses,
    /// There is no such name: a server that knows says so (NXDOMAIN).
    NameNotFound,
    /// Every name server that answers fails or refuses to answer, or its answer makes no sense.
    NameServerFailed,
    /// No name server is known: neither the program, nor DHCP, nor a router has named one.
    NoNameServer,
    /// The socket is not connected.
    NotConnected,
    /// The socket is already connected.
    AlreadyConnected,
    /// The stream ended before the buffer was full.
    UnexpectedEof,
    /// The datagram does not fit; the largest that does, in bytes of payload.
    MessageTooLong {
        /// Largest payload that can be sent to this destination.
        limit: u16,
    },
    /// Sending to a broadcast address without `set_broadcast(true)`.
    BroadcastNotAllowed,
    /// It can't be done now without waiting.
    WouldBlock,
    /// The memory that the stack was given is used up.
    OutOfMemory,
    /// The table of sockets or connections is full.
    TooManySockets,
    /// The device is gone.
    DeviceGone,
    /// No interface has got an address within the time.
    Unconfigured,
    /// The network was shut down while the operation waited.
    NetDown,
    /// The handle names a socket that no longer exists.
    StaleHandle,
    /// A task that is joined panicked.
    TaskPanicked,
    /// An argument is outside its documented range; it says which.
    InvalidInput(&'static str),
}

impl Error {
    /// The name of the variant: for logs, and whoever compares text.
    pub const fn name(&self) -> &'static str {
        match self {
            Error::ConnectionRefused => "ConnectionRefused",
            Error::ConnectionReset => "ConnectionReset",
            Error::ConnectionAborted => "ConnectionAborted",
            Error::ClosedByPeer => "ClosedByPeer",
            Error::ClosedLocally => "ClosedLocally",
            Error::TimedOut => "TimedOut",
            Error::NetUnreachable => "NetUnreachable",
            Error::HostUnreachable => "HostUnreachable",
            Error::PacketRejected => "PacketRejected",
            Error::AddrInUse => "AddrInUse",
            Error::AddrNotAvailable => "AddrNotAvailable",
            Error::AddrInvalid => "AddrInvalid",
            Error::NoMatchingAddresses => "NoMatchingAddresses",
            Error::NameNotFound => "NameNotFound",
            Error::NameServerFailed => "NameServerFailed",
            Error::NoNameServer => "NoNameServer",
            Error::NotConnected => "NotConnected",
            Error::AlreadyConnected => "AlreadyConnected",
            Error::UnexpectedEof => "UnexpectedEof",
            Error::MessageTooLong { .. } => "MessageTooLong",
            Error::BroadcastNotAllowed => "BroadcastNotAllowed",
            Error::WouldBlock => "WouldBlock",
            Error::OutOfMemory => "OutOfMemory",
            Error::TooManySockets => "TooManySockets",
            Error::DeviceGone => "DeviceGone",
            Error::Unconfigured => "Unconfigured",
            Error::NetDown => "NetDown",
            Error::StaleHandle => "StaleHandle",
            Error::InvalidInput(_) => "InvalidInput",
            Error::TaskPanicked => "TaskPanicked",
        }
    }

    /// One sentence for a person.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Error::ConnectionRefused => "connection refused by the peer",
            Error::ConnectionReset => "connection reset by the peer; data may have been lost",
            Error::ConnectionAborted => "connection aborted on this side",
            Error::ClosedByPeer => "closed by the peer",
            Error::ClosedLocally => "closed on this side",
            Error::TimedOut => "timed out",
            Error::NetUnreachable => "network unreachable",
            Error::HostUnreachable => "host unreachable",
            Error::PacketRejected => "packet rejected by a router",
            Error::AddrInUse => "address in use",
            Error::AddrNotAvailable => "not an address of this host",
            Error::AddrInvalid => "not a destination that can be connected to",
            Error::NoMatchingAddresses => "no matching address",
            Error::NameNotFound => "no such name",
            Error::NameServerFailed => "the name servers fail or refuse to answer",
            Error::NoNameServer => "no name server is known",
            Error::NotConnected => "not connected",
            Error::AlreadyConnected => "already connected",
            Error::UnexpectedEof => "the stream ended too early",
            Error::MessageTooLong { .. } => "message too long for one datagram",
            Error::BroadcastNotAllowed => "broadcast needs set_broadcast(true)",
            Error::WouldBlock => "would block",
            Error::OutOfMemory => "the stack's memory is used up",
            Error::TooManySockets => "the table of sockets is full",
            Error::DeviceGone => "the network device is gone",
            Error::Unconfigured => "no interface was configured in time",
            Error::NetDown => "the network was shut down",
            Error::StaleHandle => "the socket no longer exists",
            Error::TaskPanicked => "the task panicked",
            Error::InvalidInput(what) => what,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::MessageTooLong { limit } => {
                write!(f, "{}: at most {limit} bytes", self.as_str())
            }
            Error::InvalidInput(what) => write!(f, "invalid argument: {what}"),
            other => f.write_str(other.as_str()),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(e: Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match e {
            Error::ConnectionRefused => K::ConnectionRefused,
            Error::ConnectionReset => K::ConnectionReset,
            Error::ConnectionAborted => K::ConnectionAborted,
            Error::ClosedByPeer | Error::ClosedLocally => K::BrokenPipe,
            Error::TimedOut => K::TimedOut,
            Error::NetUnreachable => K::NetworkUnreachable,
            Error::HostUnreachable => K::HostUnreachable,
            Error::PacketRejected | Error::TaskPanicked => K::Other,
            Error::AddrInUse => K::AddrInUse,
            Error::AddrNotAvailable => K::AddrNotAvailable,
            Error::AddrInvalid | Error::InvalidInput(_) | Error::MessageTooLong { .. } => K::InvalidInput,
            Error::NoMatchingAddresses | Error::NameNotFound => K::NotFound,
            Error::NameServerFailed => K::Other,
            Error::NoNameServer => K::NotConnected,
            Error::NotConnected | Error::StaleHandle => K::NotConnected,
            Error::AlreadyConnected => K::AlreadyExists,
            Error::UnexpectedEof => K::UnexpectedEof,
            Error::BroadcastNotAllowed => K::PermissionDenied,
            Error::WouldBlock => K::WouldBlock,
            Error::OutOfMemory | Error::TooManySockets => K::OutOfMemory,
            Error::DeviceGone | Error::NetDown | Error::Unconfigured => K::NetworkDown,
        };
        std::io::Error::new(kind, e)
    }
}
