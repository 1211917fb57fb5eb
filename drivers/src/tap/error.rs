//! Why a TAP can't be opened or configured, and what to do about it.

use core::net::IpAddr;
use rustix::io::Errno;

/// Why a TAP can't be opened or configured. Its text says what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// An interface's name has 1 to 15 bytes, none of them `/`, `:` or white space.
    Name(String),
    /// There is no /dev/net/tun.
    NoTun,
    /// No right to open /dev/net/tun.
    TunPermission,
    /// No right to create, attach to or change the interface.
    Permission {
        /// The interface; empty for a new one.
        name: String,
        /// The call that was refused.
        call: &'static str,
    },
    /// Another program is attached to the interface.
    Busy(String),
    /// There is an interface of this name, but not a TAP that one program alone can use.
    NotTap(String),
    /// There is no interface of this name.
    NoInterface(String),
    /// The kernel does not take in packets to this address, which it was given.
    Unsettled(IpAddr),
    /// The system does not let this program make a network namespace.
    Namespace {
        /// What was to be made.
        call: &'static str,
        /// What the system answered.
        errno: i32,
    },
    /// The system refused a call that it should not have.
    System {
        /// The interface; empty for none or a new one.
        name: String,
        /// What was to be done.
        call: &'static str,
        /// What the system answered.
        errno: i32,
    },
}

impl Error {
    /// The error for `call` on the interface `name`.
    pub(super) fn new(call: &'static str, name: &str, errno: Errno) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS => Error::Permission { name: name.into(), call },
            Errno::BUSY => Error::Busy(name.into()),
            Errno::NODEV => Error::NoInterface(name.into()),
            _ => Error::System { name: name.into(), call, errno: errno.raw_os_error() },
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Name(name) => write!(
                f,
                "`{name}` is not a name for an interface: use 1 to 15 characters without `/`, `:` and spaces"
            ),
            Error::NoTun => f.write_str(
                "this system has no /dev/net/tun: load the module (`modprobe tun`), or give the container the device (`--device /dev/net/tun`)",
            ),
            Error::TunPermission => f.write_str(
                "no permission to open /dev/net/tun: run as root, or open it to everyone, as root: `chmod 0666 /dev/net/tun`",
            ),
            Error::Permission { name, call } if name.is_empty() => write!(
                f,
                "no permission to {call}: run as root, or name a TAP of your own"
            ),
            Error::Permission { name, call } => write!(
                f,
                "no permission to {call} `{name}`: run as root, or create it for yourself, as root: `ip tuntap add dev {name} mode tap user $USER`"
            ),
            Error::Busy(name) => write!(
                f,
                "another program uses the TAP `{name}`: end it, or take a TAP of another name"
            ),
            Error::NotTap(name) => write!(
                f,
                "`{name}` is not a TAP with one queue: create one as root: `ip tuntap add dev NAME mode tap`"
            ),
            Error::NoInterface(name) => write!(
                f,
                "there is no interface `{name}`: create it as root: `ip tuntap add dev {name} mode tap user $USER`"
            ),
            Error::Unsettled(address) => write!(
                f,
                "the kernel does not answer to its address {address}: is a program attached to the TAP, and IPv6 switched on?"
            ),
            Error::Namespace { call, errno } => {
                let why = std::io::Error::from_raw_os_error(*errno);
                write!(
                    f,
                    "can't make a {call} ({why}): run as root, or allow it, as root: `sysctl -w user.max_user_namespaces=1000 kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0` (those that this system has)"
                )
            }
            Error::System { name, call, errno } => {
                let why = std::io::Error::from_raw_os_error(*errno);
                write!(f, "can't {call} `{name}`: {why}")
            }
        }
    }
}

impl core::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(e: Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match &e {
            Error::Name(_) | Error::NotTap(_) => K::InvalidInput,
            Error::NoTun | Error::NoInterface(_) => K::NotFound,
            Error::TunPermission | Error::Permission { .. } => K::PermissionDenied,
            Error::Busy(_) => K::ResourceBusy,
            Error::Namespace { .. } => K::PermissionDenied,
            Error::Unsettled(_) => K::AddrNotAvailable,
            Error::System { .. } => K::Other,
        };
        std::io::Error::new(kind, e)
    }
}
