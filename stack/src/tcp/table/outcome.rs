//! What became of a segment, a timer or a call, for whoever asked the table.

use crate::error::Error;
use crate::ip::InterfaceId;
use crate::tcp::connection::tcb::Dropped;
use crate::tcp::options::IpFields;
use crate::tcp::segment::{Reply, Reset, Tuple};

/// What a listener does that is no drop, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handshaking {
    CookieSent,
    CookieAccepted,
    /// A half-open connection gave way to another.
    Evicted,
}

/// What became of a segment.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) reply: Option<Reply>,
    /// Of the connection or listener that replies; the stack's own, if it is none.
    pub(crate) fields: Option<IpFields>,
    pub(crate) dropped: Option<Refused>,
    pub(crate) event: Option<ConnectionEvent>,
    /// The path to the peer carries no larger packets than this.
    pub(crate) path_mtu: Option<u16>,
    pub(crate) handshaking: Option<Handshaking>,
    /// The way to the peer may be broken.
    pub(crate) negative_advice: bool,
}

/// The reset of a connection that ended, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastWords {
    pub(crate) tuple: Tuple,
    pub(crate) interface: InterfaceId,
    pub(crate) reset: Reset,
    pub(crate) fields: IpFields,
}

/// Why a segment came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    Engine(Dropped),
    /// No connection and no listener: answered with a reset.
    NoConnection,
    /// The SYN queue of the listener is full.
    SynQueueFull,
    /// The accept queue of the listener is full.
    AcceptQueueFull,
    /// There are as many connections as listeners may open, or no memory to serve another.
    AcceptLimit,
    /// It acknowledges no cookie that a listener has sent of late.
    BadCookie,
    /// The table of connections is full.
    TableFull,
}

/// What happened to a connection, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConnectionEvent {
    Established,
    Closed,
    Failed(Error),
    /// It goes on, with a problem.
    Troubled(Error),
    /// The peer has something urgent in its stream.
    Urgent,
}
