//! Constants by the names that scripts use: the numbers of Linux, which the shared object speaks too.

/// The number of a constant.
pub fn constant(name: &str) -> Option<i64> {
    CONSTANTS.iter().find(|(n, _)| *n == name).map(|(_, value)| *value).or_else(|| {
        // A constant of errno may stand where a number is meant, as in `[ECONNREFUSED]`.
        errno(name).map(i64::from)
    })
}

/// The number of an error.
pub fn errno(name: &str) -> Option<i32> {
    ERRNO.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
}

/// The name of an error.
pub fn errno_name(number: i32) -> String {
    let known = ERRNO.iter().find(|(_, value)| *value == number);
    known.map_or_else(|| format!("errno {number}"), |(name, _)| (*name).to_string())
}

/// Numbers that the shim itself needs.
pub mod c {
    #![allow(missing_docs, reason = "the names of POSIX and Linux")]
    pub const AF_UNSPEC: i32 = 0;
    pub const AF_INET: i32 = 2;
    pub const AF_INET6: i32 = 10;
    pub const SOCK_STREAM: i32 = 1;
    pub const SOCK_DGRAM: i32 = 2;
    pub const SOCK_NONBLOCK: i32 = 0o4000;
    pub const SOCK_CLOEXEC: i32 = 0o200_0000;
    pub const IPPROTO_IP: i32 = 0;
    pub const IPPROTO_TCP: i32 = 6;
    pub const IPPROTO_IPV6: i32 = 41;
    pub const SOL_SOCKET: i32 = 1;
    pub const F_GETFL: i32 = 3;
    pub const F_SETFL: i32 = 4;
    pub const O_RDWR: i32 = 2;
    pub const O_NONBLOCK: i32 = 0o4000;
    pub const SHUT_RD: i32 = 0;
    pub const SHUT_WR: i32 = 1;
    pub const SHUT_RDWR: i32 = 2;
    pub const MSG_OOB: i32 = 1;
    pub const MSG_PEEK: i32 = 2;
    pub const MSG_TRUNC: i32 = 0x20;
    pub const MSG_DONTWAIT: i32 = 0x40;
    pub const MSG_WAITALL: i32 = 0x100;
    pub const MSG_ERRQUEUE: i32 = 0x2000;
    pub const MSG_FASTOPEN: i32 = 0x2000_0000;
    pub const FIONREAD: i64 = 0x541b;
    pub const FIONBIO: i64 = 0x5421;
    pub const SIOCOUTQ: i64 = 0x5411;
    pub const POLLIN: i32 = 1;
    pub const POLLOUT: i32 = 4;
    pub const POLLERR: i32 = 8;
    pub const POLLHUP: i32 = 0x10;
    pub const POLLNVAL: i32 = 0x20;
    pub const POLLRDNORM: i32 = 0x40;
    pub const POLLWRNORM: i32 = 0x100;
    pub const POLLRDHUP: i32 = 0x2000;
    pub const EPOLLONESHOT: i32 = 1 << 30;
    pub const EPOLLET: i32 = 1 << 31;
    pub const EPOLL_CTL_ADD: i32 = 1;
    pub const EPOLL_CTL_DEL: i32 = 2;
    pub const EPOLL_CTL_MOD: i32 = 3;
    pub const SO_REUSEADDR: i32 = 2;
    pub const SO_TYPE: i32 = 3;
    pub const SO_ERROR: i32 = 4;
    pub const SO_BROADCAST: i32 = 6;
    pub const SO_SNDBUF: i32 = 7;
    pub const SO_RCVBUF: i32 = 8;
    pub const SO_KEEPALIVE: i32 = 9;
    pub const SO_LINGER: i32 = 13;
    pub const SO_REUSEPORT: i32 = 15;
    pub const SO_ACCEPTCONN: i32 = 30;
    pub const SO_PROTOCOL: i32 = 38;
    pub const SO_DOMAIN: i32 = 39;
    pub const TCP_NODELAY: i32 = 1;
    pub const TCP_MAXSEG: i32 = 2;
    pub const TCP_CORK: i32 = 3;
    pub const TCP_KEEPIDLE: i32 = 4;
    pub const TCP_KEEPINTVL: i32 = 5;
    pub const TCP_KEEPCNT: i32 = 6;
    pub const TCP_SYNCNT: i32 = 7;
    pub const TCP_LINGER2: i32 = 8;
    pub const TCP_DEFER_ACCEPT: i32 = 9;
    pub const TCP_WINDOW_CLAMP: i32 = 10;
    pub const TCP_INFO: i32 = 11;
    pub const TCP_QUICKACK: i32 = 12;
    pub const TCP_CONGESTION: i32 = 13;
    pub const TCP_USER_TIMEOUT: i32 = 18;
    pub const TCP_FASTOPEN: i32 = 23;
    pub const TCP_NOTSENT_LOWAT: i32 = 25;
    pub const TCP_FASTOPEN_CONNECT: i32 = 30;
    /// FreeBSD's own.
    pub const TCP_KEEPINIT: i32 = 1128;
    pub const IP_TOS: i32 = 1;
    pub const IP_TTL: i32 = 2;
    pub const IPV6_UNICAST_HOPS: i32 = 16;
    pub const IPV6_V6ONLY: i32 = 26;
    pub const IPV6_TCLASS: i32 = 67;
}

const CONSTANTS: &[(&str, i64)] = &[
    ("AF_UNSPEC", c::AF_UNSPEC as i64),
    ("AF_INET", c::AF_INET as i64),
    ("AF_INET6", c::AF_INET6 as i64),
    ("PF_INET", c::AF_INET as i64),
    ("PF_INET6", c::AF_INET6 as i64),
    ("SOCK_STREAM", c::SOCK_STREAM as i64),
    ("SOCK_DGRAM", c::SOCK_DGRAM as i64),
    ("SOCK_NONBLOCK", c::SOCK_NONBLOCK as i64),
    ("SOCK_CLOEXEC", c::SOCK_CLOEXEC as i64),
    ("IPPROTO_IP", c::IPPROTO_IP as i64),
    ("IPPROTO_ICMP", 1),
    ("IPPROTO_TCP", c::IPPROTO_TCP as i64),
    ("IPPROTO_UDP", 17),
    ("IPPROTO_IPV6", c::IPPROTO_IPV6 as i64),
    ("SOL_SOCKET", c::SOL_SOCKET as i64),
    ("SOL_IP", c::IPPROTO_IP as i64),
    ("SOL_IPV6", c::IPPROTO_IPV6 as i64),
    ("SOL_TCP", c::IPPROTO_TCP as i64),
    ("SOL_UDP", 17),
    ("F_GETFD", 1),
    ("F_SETFD", 2),
    ("F_GETFL", c::F_GETFL as i64),
    ("F_SETFL", c::F_SETFL as i64),
    ("O_RDONLY", 0),
    ("O_WRONLY", 1),
    ("O_RDWR", c::O_RDWR as i64),
    ("O_NONBLOCK", c::O_NONBLOCK as i64),
    ("O_NDELAY", c::O_NONBLOCK as i64),
    ("FD_CLOEXEC", 1),
    ("SHUT_RD", c::SHUT_RD as i64),
    ("SHUT_WR", c::SHUT_WR as i64),
    ("SHUT_RDWR", c::SHUT_RDWR as i64),
    ("MSG_OOB", c::MSG_OOB as i64),
    ("MSG_PEEK", c::MSG_PEEK as i64),
    ("MSG_DONTROUTE", 4),
    ("MSG_CTRUNC", 8),
    ("MSG_TRUNC", c::MSG_TRUNC as i64),
    ("MSG_DONTWAIT", c::MSG_DONTWAIT as i64),
    ("MSG_EOR", 0x80),
    ("MSG_WAITALL", c::MSG_WAITALL as i64),
    ("MSG_NOSIGNAL", 0x4000),
    ("MSG_MORE", 0x8000),
    ("MSG_ERRQUEUE", c::MSG_ERRQUEUE as i64),
    ("MSG_ZEROCOPY", 0x400_0000),
    ("MSG_FASTOPEN", c::MSG_FASTOPEN as i64),
    ("FIONREAD", c::FIONREAD),
    ("SIOCINQ", c::FIONREAD),
    ("FIONBIO", c::FIONBIO),
    ("FIONWRITE", c::SIOCOUTQ),
    ("SIOCOUTQ", c::SIOCOUTQ),
    ("TIOCOUTQ", c::SIOCOUTQ),
    ("POLLIN", c::POLLIN as i64),
    ("POLLPRI", 2),
    ("POLLOUT", c::POLLOUT as i64),
    ("POLLERR", c::POLLERR as i64),
    ("POLLHUP", c::POLLHUP as i64),
    ("POLLNVAL", c::POLLNVAL as i64),
    ("POLLRDNORM", c::POLLRDNORM as i64),
    ("POLLRDBAND", 0x80),
    ("POLLWRNORM", c::POLLWRNORM as i64),
    ("POLLWRBAND", 0x200),
    ("POLLRDHUP", c::POLLRDHUP as i64),
    ("EPOLLIN", c::POLLIN as i64),
    ("EPOLLPRI", 2),
    ("EPOLLOUT", c::POLLOUT as i64),
    ("EPOLLERR", c::POLLERR as i64),
    ("EPOLLHUP", c::POLLHUP as i64),
    ("EPOLLRDNORM", c::POLLRDNORM as i64),
    ("EPOLLWRNORM", c::POLLWRNORM as i64),
    ("EPOLLRDHUP", c::POLLRDHUP as i64),
    ("EPOLLONESHOT", c::EPOLLONESHOT as i64),
    ("EPOLLET", c::EPOLLET as i64),
    ("EPOLL_CTL_ADD", c::EPOLL_CTL_ADD as i64),
    ("EPOLL_CTL_DEL", c::EPOLL_CTL_DEL as i64),
    ("EPOLL_CTL_MOD", c::EPOLL_CTL_MOD as i64),
    ("SO_DEBUG", 1),
    ("SO_REUSEADDR", c::SO_REUSEADDR as i64),
    ("SO_TYPE", c::SO_TYPE as i64),
    ("SO_ERROR", c::SO_ERROR as i64),
    ("SO_DONTROUTE", 5),
    ("SO_BROADCAST", c::SO_BROADCAST as i64),
    ("SO_SNDBUF", c::SO_SNDBUF as i64),
    ("SO_RCVBUF", c::SO_RCVBUF as i64),
    ("SO_KEEPALIVE", c::SO_KEEPALIVE as i64),
    ("SO_OOBINLINE", 10),
    ("SO_PRIORITY", 12),
    ("SO_LINGER", c::SO_LINGER as i64),
    ("SO_REUSEPORT", c::SO_REUSEPORT as i64),
    ("SO_RCVLOWAT", 18),
    ("SO_SNDLOWAT", 19),
    ("SO_RCVTIMEO", 20),
    ("SO_SNDTIMEO", 21),
    ("SO_TIMESTAMP", 29),
    ("SO_ACCEPTCONN", c::SO_ACCEPTCONN as i64),
    ("SO_SNDBUFFORCE", 32),
    ("SO_RCVBUFFORCE", 33),
    ("SO_MARK", 36),
    ("SO_TIMESTAMPING", 37),
    ("SO_PROTOCOL", c::SO_PROTOCOL as i64),
    ("SO_DOMAIN", c::SO_DOMAIN as i64),
    ("SO_BUSY_POLL", 46),
    ("SO_MAX_PACING_RATE", 47),
    ("SO_ZEROCOPY", 60),
    ("TCP_NODELAY", c::TCP_NODELAY as i64),
    ("TCP_MAXSEG", c::TCP_MAXSEG as i64),
    ("TCP_CORK", c::TCP_CORK as i64),
    ("TCP_NOPUSH", c::TCP_CORK as i64),
    ("TCP_KEEPIDLE", c::TCP_KEEPIDLE as i64),
    ("TCP_KEEPINTVL", c::TCP_KEEPINTVL as i64),
    ("TCP_KEEPCNT", c::TCP_KEEPCNT as i64),
    ("TCP_SYNCNT", 7),
    ("TCP_LINGER2", c::TCP_LINGER2 as i64),
    ("TCP_DEFER_ACCEPT", c::TCP_DEFER_ACCEPT as i64),
    ("TCP_WINDOW_CLAMP", 10),
    ("TCP_INFO", c::TCP_INFO as i64),
    ("TCP_QUICKACK", c::TCP_QUICKACK as i64),
    ("TCP_CONGESTION", 13),
    ("TCP_MD5SIG", 14),
    ("TCP_THIN_LINEAR_TIMEOUTS", 16),
    ("TCP_THIN_DUPACK", 17),
    ("TCP_USER_TIMEOUT", c::TCP_USER_TIMEOUT as i64),
    ("TCP_FASTOPEN", c::TCP_FASTOPEN as i64),
    ("TCP_TIMESTAMP", 24),
    ("TCP_NOTSENT_LOWAT", 25),
    ("TCP_CC_INFO", 26),
    // FreeBSD's own, which have no counterpart: numbers that nobody else has.
    ("TCP_NOOPT", 1008),
    ("TCP_KEEPINIT", c::TCP_KEEPINIT as i64),
    ("TCP_PCAP_OUT", 1002),
    ("TCP_FUNCTION_BLK", 1003),
    ("TCP_LOG", 1004),
    ("TCP_REMOTE_UDP_ENCAPS_PORT", 1071),
    ("SO_NOSIGPIPE", 1005),
    ("SO_USELOOPBACK", 1006),
    ("TCP_SAVE_SYN", 27),
    ("TCP_SAVED_SYN", 28),
    ("TCP_FASTOPEN_CONNECT", c::TCP_FASTOPEN_CONNECT as i64),
    ("TCP_FASTOPEN_KEY", 33),
    ("TCP_FASTOPEN_NO_COOKIE", 34),
    ("TCP_ZEROCOPY_RECEIVE", 35),
    ("TCP_INQ", 36),
    ("TCP_TX_DELAY", 37),
    ("IP_TOS", c::IP_TOS as i64),
    ("IP_TTL", c::IP_TTL as i64),
    ("IP_MTU_DISCOVER", 10),
    ("IP_RECVERR", 11),
    ("IP_MTU", 14),
    ("IP_PMTUDISC_WANT", 1),
    ("IP_PMTUDISC_DONT", 0),
    ("IP_PMTUDISC_DO", 2),
    ("IP_PMTUDISC_PROBE", 3),
    ("IPV6_UNICAST_HOPS", c::IPV6_UNICAST_HOPS as i64),
    ("IPV6_MTU_DISCOVER", 23),
    ("IPV6_MTU", 24),
    ("IPV6_RECVERR", 25),
    ("IPV6_V6ONLY", c::IPV6_V6ONLY as i64),
    ("IPV6_TCLASS", c::IPV6_TCLASS as i64),
    ("INADDR_ANY", 0),
    ("NULL", 0),
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
];

const ERRNO: &[(&str, i32)] = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EINTR", 4),
    ("EIO", 5),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("EWOULDBLOCK", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EBUSY", 16),
    ("EEXIST", 17),
    ("ENODEV", 19),
    ("EINVAL", 22),
    ("ENFILE", 23),
    ("EMFILE", 24),
    ("ENOTTY", 25),
    ("EPIPE", 32),
    ("ERANGE", 34),
    ("ENOSYS", 38),
    ("EPROTO", 71),
    ("ENOTSOCK", 88),
    ("EDESTADDRREQ", 89),
    ("EMSGSIZE", 90),
    ("EPROTOTYPE", 91),
    ("ENOPROTOOPT", 92),
    ("EPROTONOSUPPORT", 93),
    ("EOPNOTSUPP", 95),
    ("ENOTSUP", 95),
    ("EPFNOSUPPORT", 96),
    ("EAFNOSUPPORT", 97),
    ("EADDRINUSE", 98),
    ("EADDRNOTAVAIL", 99),
    ("ENETDOWN", 100),
    ("ENETUNREACH", 101),
    ("ENETRESET", 102),
    ("ECONNABORTED", 103),
    ("ECONNRESET", 104),
    ("ENOBUFS", 105),
    ("EISCONN", 106),
    ("ENOTCONN", 107),
    ("ESHUTDOWN", 108),
    ("ETIMEDOUT", 110),
    ("ECONNREFUSED", 111),
    ("EHOSTDOWN", 112),
    ("EHOSTUNREACH", 113),
    ("EALREADY", 114),
    ("EINPROGRESS", 115),
    ("ECANCELED", 125),
];
