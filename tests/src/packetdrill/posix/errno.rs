//! Which number of `errno` an error of the stack is.

use super::super::names;
use barenet::Error;
use std::fmt;

/// A value of `errno`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

#[allow(missing_docs, reason = "the names of POSIX")]
impl Errno {
    pub const EBADF: Errno = Errno(9);
    pub const EAGAIN: Errno = Errno(11);
    pub const EFAULT: Errno = Errno(14);
    pub const EEXIST: Errno = Errno(17);
    pub const ENOENT: Errno = Errno(2);
    pub const EINVAL: Errno = Errno(22);
    pub const ENOTTY: Errno = Errno(25);
    pub const EPIPE: Errno = Errno(32);
    pub const ENOSYS: Errno = Errno(38);
    pub const ENOTSOCK: Errno = Errno(88);
    pub const EDESTADDRREQ: Errno = Errno(89);
    pub const ENOPROTOOPT: Errno = Errno(92);
    pub const EPROTONOSUPPORT: Errno = Errno(93);
    pub const EOPNOTSUPP: Errno = Errno(95);
    pub const EAFNOSUPPORT: Errno = Errno(97);
    pub const EADDRINUSE: Errno = Errno(98);
    pub const EISCONN: Errno = Errno(106);
    pub const ENOTCONN: Errno = Errno(107);
    pub const EALREADY: Errno = Errno(114);
    pub const EINPROGRESS: Errno = Errno(115);
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names::errno_name(self.0))
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Errno {
        let name = match error {
            Error::ConnectionRefused => "ECONNREFUSED",
            Error::ConnectionReset => "ECONNRESET",
            Error::ConnectionAborted => "ECONNABORTED",
            Error::ClosedByPeer | Error::ClosedLocally => "EPIPE",
            Error::TimedOut => "ETIMEDOUT",
            Error::NetUnreachable => "ENETUNREACH",
            Error::HostUnreachable => "EHOSTUNREACH",
            Error::AddrInUse => "EADDRINUSE",
            Error::AddrNotAvailable => "EADDRNOTAVAIL",
            Error::NotConnected => "ENOTCONN",
            Error::AlreadyConnected => "EISCONN",
            Error::MessageTooLong { .. } => "EMSGSIZE",
            Error::BroadcastNotAllowed => "EACCES",
            Error::WouldBlock => "EAGAIN",
            Error::OutOfMemory => "ENOBUFS",
            Error::TooManySockets => "ENFILE",
            Error::DeviceGone => "ENODEV",
            Error::NetDown => "ENETDOWN",
            Error::StaleHandle => "EBADF",
            _ => "EINVAL",
        };
        Errno(names::errno(name).unwrap_or(Errno::EINVAL.0))
    }
}
