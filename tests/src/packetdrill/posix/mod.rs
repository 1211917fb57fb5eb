//! The calls of POSIX on our sockets, as far as scripts use them: descriptors, `errno`, and calls that
//! return at once or are asked again.

mod epoll;
mod errno;
mod options;
mod tcp;
mod udp;

pub use epoll::Interest;
pub use errno::Errno;

use super::names::c;
use barenet::Net;
use epoll::Epoll;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use tcp::Tcp;
use udp::Udp;

/// What a call gives.
pub type Result<T> = std::result::Result<T, Errno>;

/// Where a descriptor's number comes from.
pub type Numbers = Box<dyn FnMut() -> Result<i32> + Send>;

/// A process with its open sockets.
pub struct Posix {
    net: Net,
    open: BTreeMap<i32, Open>,
    numbers: Numbers,
}

struct Open {
    nonblocking: bool,
    what: What,
}

enum What {
    Tcp(Box<Tcp>),
    Udp(Udp),
    Epoll(Epoll),
}

/// What came, and from whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes in the caller's buffer.
    pub len: usize,
    /// Who sent them.
    pub from: Option<SocketAddr>,
    /// The buffer was too small for the datagram.
    pub truncated: bool,
}

impl Posix {
    /// Nothing is open.
    pub fn new(net: Net, numbers: Numbers) -> Posix {
        Posix { net, open: BTreeMap::new(), numbers }
    }

    /// The next new descriptor gets its number from there.
    fn add(&mut self, nonblocking: bool, what: What) -> Result<i32> {
        let fd = (self.numbers)()?;
        self.open.insert(fd, Open { nonblocking, what });
        Ok(fd)
    }

    fn get(&mut self, fd: i32) -> Result<&mut Open> {
        self.open.get_mut(&fd).ok_or(Errno::EBADF)
    }

    fn tcp(&mut self, fd: i32) -> Result<&mut Tcp> {
        match &mut self.get(fd)?.what {
            What::Tcp(tcp) => Ok(tcp),
            What::Udp(_) => Err(Errno::EOPNOTSUPP),
            What::Epoll(_) => Err(Errno::ENOTSOCK),
        }
    }

    /// Is this descriptor open?
    pub fn is_open(&self, fd: i32) -> bool {
        self.open.contains_key(&fd)
    }

    /// `socket`
    pub fn socket(&mut self, domain: i32, kind: i32, protocol: i32) -> Result<i32> {
        let v6 = match domain {
            c::AF_INET => false,
            c::AF_INET6 => true,
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let net = self.net.clone();
        let what = match (kind & !(c::SOCK_NONBLOCK | c::SOCK_CLOEXEC), protocol) {
            (c::SOCK_STREAM, 0 | c::IPPROTO_TCP) => What::Tcp(Box::new(Tcp::new(net, v6))),
            (c::SOCK_DGRAM, 0 | 17) => What::Udp(Udp::new(net, v6)),
            _ => return Err(Errno::EPROTONOSUPPORT),
        };
        self.add(kind & c::SOCK_NONBLOCK != 0, what)
    }

    /// `bind`
    pub fn bind(&mut self, fd: i32, address: SocketAddr) -> Result<()> {
        let taken = |open: &Open| matches!(&open.what, What::Tcp(t) if t.holds(address));
        let in_use = self.open.iter().any(|(other, open)| *other != fd && taken(open));
        match &mut self.get(fd)?.what {
            What::Tcp(tcp) => tcp.bind(address, in_use),
            What::Udp(udp) => udp.bind(address),
            What::Epoll(_) => Err(Errno::ENOTSOCK),
        }
    }

    /// `listen`
    pub fn listen(&mut self, fd: i32, backlog: i32) -> Result<()> {
        self.tcp(fd)?.listen(backlog)
    }

    /// `accept4`: a descriptor and the peer.
    pub fn accept(&mut self, fd: i32, flags: i32) -> Poll<Result<(i32, SocketAddr)>> {
        let waits = !self.get(fd)?.nonblocking;
        let accepted = self.tcp(fd).and_then(Tcp::accept);
        or_wait(waits, accepted).map(|accepted| {
            let (stream, peer) = accepted?;
            let fd = self.add(flags & c::SOCK_NONBLOCK != 0, What::Tcp(Box::new(stream)))?;
            Ok((fd, peer))
        })
    }

    /// `connect`; `None` is AF_UNSPEC, which disconnects.
    pub fn connect(&mut self, fd: i32, to: Option<SocketAddr>) -> Poll<Result<()>> {
        let open = self.get(fd)?;
        let waits = !open.nonblocking;
        match (&mut open.what, to) {
            (What::Tcp(tcp), None) => Poll::Ready(tcp.disconnect()),
            (What::Tcp(tcp), Some(to)) => match tcp.connect(to) {
                // A call that waits comes again, and then it is not "already" under way.
                Err(Errno::EINPROGRESS | Errno::EALREADY) if waits => Poll::Pending,
                Err(Errno::EISCONN) if waits && tcp.just_connected() => Poll::Ready(Ok(())),
                result => Poll::Ready(result),
            },
            (What::Udp(udp), to) => Poll::Ready(udp.connect(to)),
            (What::Epoll(_), _) => Poll::Ready(Err(Errno::ENOTSOCK)),
        }
    }

    /// `recvfrom` and its relatives.
    pub fn receive(&mut self, fd: i32, buf: &mut [u8], flags: i32) -> Poll<Result<Received>> {
        let open = self.get(fd)?;
        let waits = !open.nonblocking && flags & c::MSG_DONTWAIT == 0;
        if flags & (c::MSG_OOB | c::MSG_ERRQUEUE) != 0 {
            return Poll::Ready(Err(if flags & c::MSG_OOB != 0 { Errno::EINVAL } else { Errno::EAGAIN }));
        }
        let peek = flags & c::MSG_PEEK != 0;
        let received = match &mut open.what {
            What::Tcp(tcp) if flags & c::MSG_WAITALL != 0 && waits => tcp.receive_all(buf, peek),
            What::Tcp(tcp) => tcp.receive(buf, peek),
            What::Udp(udp) => udp.receive(buf, peek),
            What::Epoll(_) => Err(Errno::EINVAL),
        };
        or_wait(waits, received)
    }

    /// `sendto` and its relatives. `done` is what an unfinished call has sent before: 0 at first.
    pub fn send(
        &mut self,
        fd: i32,
        data: &[u8],
        done: &mut usize,
        to: Option<SocketAddr>,
        flags: i32,
    ) -> Poll<Result<usize>> {
        let open = self.get(fd)?;
        let waits = !open.nonblocking && flags & c::MSG_DONTWAIT == 0;
        match &mut open.what {
            What::Tcp(tcp) => tcp.send(data, done, to, flags, waits),
            What::Udp(udp) => or_wait(waits, udp.send(data, to)),
            What::Epoll(_) => Poll::Ready(Err(Errno::EINVAL)),
        }
    }

    /// `shutdown`
    pub fn shutdown(&mut self, fd: i32, how: i32) -> Result<()> {
        match &mut self.get(fd)?.what {
            What::Tcp(tcp) => tcp.shutdown(how),
            What::Udp(_) => Err(Errno::ENOTCONN),
            What::Epoll(_) => Err(Errno::ENOTSOCK),
        }
    }

    /// `close`. It waits only for a lingering connection.
    pub fn close(&mut self, fd: i32) -> Poll<Result<()>> {
        let open = self.get(fd)?;
        let waits = !open.nonblocking;
        if let What::Tcp(tcp) = &mut open.what
            && !tcp.finish(waits)
        {
            return Poll::Pending;
        }
        self.open.remove(&fd);
        for open in self.open.values_mut() {
            if let What::Epoll(epoll) = &mut open.what {
                epoll.forget(fd);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// `fcntl` with `F_GETFL` and `F_SETFL`.
    pub fn fcntl(&mut self, fd: i32, command: i32, value: i32) -> Result<i32> {
        let open = self.get(fd)?;
        match command {
            c::F_GETFL => Ok(c::O_RDWR | if open.nonblocking { c::O_NONBLOCK } else { 0 }),
            c::F_SETFL => {
                open.nonblocking = value & c::O_NONBLOCK != 0;
                Ok(0)
            }
            // F_GETFD, F_SETFD: there is no exec here.
            1 | 2 => Ok(0),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `ioctl`: the number that it stores.
    pub fn ioctl(&mut self, fd: i32, request: i64, value: i32) -> Result<i32> {
        let open = self.get(fd)?;
        match (request, &mut open.what) {
            (c::FIONBIO, _) => {
                open.nonblocking = value != 0;
                Ok(value)
            }
            (c::FIONREAD, What::Tcp(tcp)) => tcp.unread(),
            (c::FIONREAD, What::Udp(udp)) => udp.unread(),
            (c::SIOCOUTQ, What::Tcp(tcp)) => tcp.unsent(),
            _ => Err(Errno::ENOTTY),
        }
    }

    /// `getsockname`
    pub fn local_address(&mut self, fd: i32) -> Result<SocketAddr> {
        match &mut self.get(fd)?.what {
            What::Tcp(tcp) => tcp.local_address(),
            What::Udp(udp) => udp.local_address(),
            What::Epoll(_) => Err(Errno::ENOTSOCK),
        }
    }

    /// `getpeername`
    pub fn peer_address(&mut self, fd: i32) -> Result<SocketAddr> {
        match &mut self.get(fd)?.what {
            What::Tcp(tcp) => tcp.peer_address(),
            What::Udp(udp) => udp.peer_address(),
            What::Epoll(_) => Err(Errno::ENOTSOCK),
        }
    }

    /// What `poll` says of one descriptor.
    pub fn events(&mut self, fd: i32) -> i32 {
        match self.open.get_mut(&fd).map(|open| &mut open.what) {
            Some(What::Tcp(tcp)) => tcp.events(),
            Some(What::Udp(udp)) => udp.events(),
            Some(What::Epoll(_)) => 0,
            None => c::POLLNVAL,
        }
    }

    /// `epoll_create`
    pub fn epoll_create(&mut self) -> Result<i32> {
        self.add(false, What::Epoll(Epoll::default()))
    }

    /// `epoll_ctl`
    pub fn epoll_ctl(&mut self, epfd: i32, operation: i32, fd: i32, interest: Interest) -> Result<()> {
        if !self.is_open(fd) {
            return Err(Errno::EBADF);
        }
        self.epoll(epfd)?.control(operation, fd, interest)
    }

    fn epoll(&mut self, fd: i32) -> Result<&mut Epoll> {
        match &mut self.get(fd)?.what {
            What::Epoll(epoll) => Ok(epoll),
            What::Tcp(_) | What::Udp(_) => Err(Errno::EINVAL),
        }
    }

    /// `epoll_wait` without waiting: the events that are there, `most` at most.
    pub fn epoll_wait(&mut self, epfd: i32, most: usize) -> Result<Vec<Interest>> {
        let watched = self.epoll(epfd)?.watched();
        let now: Vec<(i32, i32)> = watched.into_iter().map(|fd| (fd, self.events(fd))).collect();
        Ok(self.epoll(epfd)?.report(&now, most))
    }
}

/// A call that would block: one that may wait is asked again.
fn or_wait<T>(waits: bool, result: Result<T>) -> Poll<Result<T>> {
    match result {
        Err(Errno::EAGAIN) if waits => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// The address that stands for every address of a family.
fn unspecified(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// An address as a socket of this family shows it.
fn shown(address: SocketAddr, v6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) if v6 => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}
