//! The functions of the table.
//!
//! # Safety
//!
//! All of them: `user` is what [`packetdrill_interface_init`](crate::packetdrill_interface_init) stored,
//! and the other pointers are null or as the libc function of that name wants them.

use crate::address;
use crate::world::{Shared, State};
use barenet_tests::packetdrill::posix::{Errno, Interest, Received};
use libc::{
    c_int, c_long, c_longlong, c_uint, c_ulong, c_void, epoll_event, iovec, loff_t, msghdr, nfds_t, pollfd,
    size_t, sockaddr, socklen_t, ssize_t, timeval,
};
use std::net::SocketAddr;
use std::task::Poll;

type User = *mut c_void;

/// The world behind `user`.
///
/// # Safety
///
/// `user` is what `init` stored, and `free` was not called.
unsafe fn shared<'s>(user: User) -> &'s Shared {
    // SAFETY: `init` stored a pointer to it, and it lives until `free`.
    unsafe { &*user.cast::<Shared>() }
}

/// A result as C wants it: −1 and `errno`, or the number.
fn c_result<N: TryInto<i64>>(result: Result<N, Errno>) -> i64 {
    match result.map(TryInto::try_into) {
        Ok(Ok(number)) => number,
        Ok(Err(_)) => fail(Errno(libc::EOVERFLOW)),
        Err(errno) => fail(errno),
    }
}

fn fail(errno: Errno) -> i64 {
    // SAFETY: it is this thread's own `errno`.
    unsafe { *libc::__errno_location() = errno.0 };
    -1
}

fn number(result: Result<i32, Errno>) -> c_int {
    c_result(result) as c_int
}

fn done(result: Result<(), Errno>) -> c_int {
    number(result.map(|()| 0))
}

pub(crate) unsafe extern "C" fn free(user: User) {
    // SAFETY: `init` made it by `Box::into_raw`, and packetdrill calls this once, last.
    drop(unsafe { Box::from_raw(user.cast::<Shared>()) });
}

pub(crate) unsafe extern "C" fn socket(user: User, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    number(shared.act(|state| state.posix.socket(domain, kind, protocol)))
}

pub(crate) unsafe extern "C" fn bind(user: User, fd: c_int, to: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: see the module.
    let (shared, to) = unsafe { (shared(user), address::read(to, len)) };
    let Ok(Some(to)) = to else { return number(Err(Errno::EAFNOSUPPORT)) };
    done(shared.act(|state| state.posix.bind(fd, to)))
}

pub(crate) unsafe extern "C" fn listen(user: User, fd: c_int, backlog: c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    done(shared.act(|state| state.posix.listen(fd, backlog)))
}

pub(crate) unsafe extern "C" fn accept(
    user: User,
    fd: c_int,
    peer: *mut sockaddr,
    len: *mut socklen_t,
) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    let accepted = shared.wait("accept", |state| state.posix.accept(fd, 0));
    number(accepted.map(|(fd, from)| {
        // SAFETY: see the module.
        unsafe { address::write(from, peer, len) };
        fd
    }))
}

pub(crate) unsafe extern "C" fn connect(user: User, fd: c_int, to: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: see the module.
    let (shared, to) = unsafe { (shared(user), address::read(to, len)) };
    let Ok(to) = to else { return number(Err(Errno::EAFNOSUPPORT)) };
    done(shared.wait("connect", |state| state.posix.connect(fd, to)))
}

/// Receives into one buffer.
fn receive(
    shared: &Shared,
    fd: c_int,
    buf: Result<&mut [u8], Errno>,
    flags: c_int,
) -> Result<Received, Errno> {
    let buf = buf?;
    shared.wait("a read", |state| state.posix.receive(fd, buf, flags))
}

/// A buffer of the caller.
///
/// # Safety
///
/// `buf` points to `len` bytes that may be written, or it is null, or `len` is 0.
unsafe fn buffer<'b>(buf: *mut c_void, len: size_t) -> Result<&'b mut [u8], Errno> {
    match (len, buf.is_null()) {
        (0, _) => Ok(&mut []),
        (_, true) => Err(Errno::EFAULT),
        // SAFETY: the caller says so. packetdrill has set the bytes before.
        (_, false) => Ok(unsafe { std::slice::from_raw_parts_mut(buf.cast(), len) }),
    }
}

/// Data of the caller.
///
/// # Safety
///
/// `data` points to `len` things, or it is null, or `len` is 0.
unsafe fn data<'b, T>(data: *const T, len: usize) -> Result<&'b [T], Errno> {
    match (len, data.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(Errno::EFAULT),
        // SAFETY: the caller says so.
        (_, false) => Ok(unsafe { std::slice::from_raw_parts(data, len) }),
    }
}

/// Receives into several buffers.
///
/// # Safety
///
/// Each piece points to as many writable bytes as it says.
unsafe fn receive_into(
    shared: &Shared,
    fd: c_int,
    pieces: Result<&[iovec], Errno>,
    flags: c_int,
) -> Result<Received, Errno> {
    let pieces = pieces?;
    // A null piece is found before anything is taken.
    // SAFETY: the caller says that there is room.
    pieces.iter().try_for_each(|p| unsafe { buffer(p.iov_base, p.iov_len) }.map(|_| ()))?;
    let mut whole = vec![0; pieces.iter().map(|p| p.iov_len).sum()];
    let received = receive(shared, fd, Ok(&mut whole), flags)?;
    let mut rest = &whole[..received.len];
    for piece in pieces {
        let (now, later) = rest.split_at(rest.len().min(piece.iov_len));
        // SAFETY: the caller says that there is room.
        unsafe { buffer(piece.iov_base, now.len()) }?.copy_from_slice(now);
        rest = later;
    }
    Ok(received)
}

/// Sends what several buffers hold.
///
/// # Safety
///
/// Each piece points to as many bytes as it says.
unsafe fn send_from(
    shared: &Shared,
    fd: c_int,
    pieces: Result<&[iovec], Errno>,
    to: Option<SocketAddr>,
    flags: c_int,
) -> Result<usize, Errno> {
    let mut whole = Vec::new();
    for piece in pieces? {
        // SAFETY: the caller says so.
        whole.extend(unsafe { data::<u8>(piece.iov_base.cast(), piece.iov_len) }?);
    }
    transmit(shared, fd, Ok(&whole), to, flags)
}

fn transmit(
    shared: &Shared,
    fd: c_int,
    data: Result<&[u8], Errno>,
    to: Option<SocketAddr>,
    flags: c_int,
) -> Result<usize, Errno> {
    let (data, mut sent) = (data?, 0);
    shared.wait("a write", |state| state.posix.send(fd, data, &mut sent, to, flags))
}

fn received(result: Result<Received, Errno>) -> ssize_t {
    c_result(result.map(|r| r.len)) as ssize_t
}

fn sent(result: Result<usize, Errno>) -> ssize_t {
    c_result(result) as ssize_t
}

pub(crate) unsafe extern "C" fn read(user: User, fd: c_int, buf: *mut c_void, len: size_t) -> ssize_t {
    // SAFETY: see the module.
    let (shared, buf) = unsafe { (shared(user), buffer(buf, len)) };
    received(receive(shared, fd, buf, 0))
}

pub(crate) unsafe extern "C" fn readv(user: User, fd: c_int, vector: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: see the module.
    received(unsafe { receive_into(shared(user), fd, data(vector, count.max(0) as usize), 0) })
}

pub(crate) unsafe extern "C" fn recv(
    user: User,
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: see the module.
    let (shared, buf) = unsafe { (shared(user), buffer(buf, len)) };
    received(receive(shared, fd, buf, flags))
}

pub(crate) unsafe extern "C" fn recvfrom(
    user: User,
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    peer: *mut sockaddr,
    peer_len: *mut socklen_t,
) -> ssize_t {
    // SAFETY: see the module.
    let (shared, buf) = unsafe { (shared(user), buffer(buf, len)) };
    let result = receive(shared, fd, buf, flags);
    if let Ok(Received { from: Some(from), .. }) = result {
        // SAFETY: see the module.
        unsafe { address::write(from, peer, peer_len) };
    }
    received(result)
}

pub(crate) unsafe extern "C" fn recvmsg(
    user: User,
    fd: c_int,
    message: *mut msghdr,
    flags: c_int,
) -> ssize_t {
    // SAFETY: see the module.
    let Some(message) = (unsafe { message.as_mut() }) else { return received(Err(Errno::EFAULT)) };
    // SAFETY: see the module.
    let result = unsafe { receive_into(shared(user), fd, data(message.msg_iov, message.msg_iovlen), flags) };
    message.msg_controllen = 0;
    message.msg_flags = 0;
    if let Ok(r) = &result {
        message.msg_flags = if r.truncated { libc::MSG_TRUNC } else { 0 };
        if let Some(from) = r.from {
            // SAFETY: see the module.
            unsafe { address::write(from, message.msg_name.cast(), &mut message.msg_namelen) };
        }
    }
    received(result)
}

pub(crate) unsafe extern "C" fn write(user: User, fd: c_int, buf: *const c_void, len: size_t) -> ssize_t {
    // SAFETY: see the module.
    let (shared, data) = unsafe { (shared(user), data(buf.cast::<u8>(), len)) };
    sent(transmit(shared, fd, data, None, 0))
}

pub(crate) unsafe extern "C" fn writev(user: User, fd: c_int, vector: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: see the module.
    sent(unsafe { send_from(shared(user), fd, data(vector, count.max(0) as usize), None, 0) })
}

pub(crate) unsafe extern "C" fn send(
    user: User,
    fd: c_int,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: see the module.
    let (shared, data) = unsafe { (shared(user), data(buf.cast::<u8>(), len)) };
    sent(transmit(shared, fd, data, None, flags))
}

pub(crate) unsafe extern "C" fn sendto(
    user: User,
    fd: c_int,
    buf: *const c_void,
    len: size_t,
    flags: c_int,
    peer: *const sockaddr,
    peer_len: socklen_t,
) -> ssize_t {
    // SAFETY: see the module.
    let (shared, data, to) =
        unsafe { (shared(user), data(buf.cast::<u8>(), len), address::read(peer, peer_len)) };
    sent(transmit(shared, fd, data, to.ok().flatten(), flags))
}

pub(crate) unsafe extern "C" fn sendmsg(
    user: User,
    fd: c_int,
    message: *const msghdr,
    flags: c_int,
) -> ssize_t {
    // SAFETY: see the module.
    let Some(message) = (unsafe { message.as_ref() }) else { return sent(Err(Errno::EFAULT)) };
    // SAFETY: see the module.
    let to = unsafe { address::read(message.msg_name.cast(), message.msg_namelen) };
    // SAFETY: see the module.
    let pieces = unsafe { data(message.msg_iov, message.msg_iovlen) };
    // SAFETY: see the module.
    sent(unsafe { send_from(shared(user), fd, pieces, to.ok().flatten(), flags) })
}

pub(crate) unsafe extern "C" fn fcntl(user: User, fd: c_int, command: c_int, value: c_long) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    number(shared.act(|state| state.posix.fcntl(fd, command, value as i32)))
}

pub(crate) unsafe extern "C" fn ioctl(user: User, fd: c_int, request: c_ulong, value: *mut c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    if value.is_null() {
        return number(Err(Errno::EFAULT));
    }
    // SAFETY: the requests that are known have an `int`.
    let given = unsafe { *value };
    let stored = shared.act(|state| state.posix.ioctl(fd, request as i64, given));
    number(stored.map(|n| {
        // SAFETY: as above.
        unsafe { *value = n };
        0
    }))
}

pub(crate) unsafe extern "C" fn close(user: User, fd: c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    let result = shared.wait("close", |state| state.posix.close(fd));
    if result.is_ok() {
        // SAFETY: the descriptor was reserved for this socket.
        unsafe { libc::close(fd) };
    }
    done(result)
}

pub(crate) unsafe extern "C" fn shutdown(user: User, fd: c_int, how: c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    done(shared.act(|state| state.posix.shutdown(fd, how)))
}

pub(crate) unsafe extern "C" fn getsockopt(
    user: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    let option = shared.act(|state| state.posix.option(fd, level, name));
    done(option.and_then(|bytes| {
        // SAFETY: `len` is null or the room at `value`.
        unsafe {
            let len = len.as_mut().ok_or(Errno::EFAULT)?;
            let room = bytes.len().min(*len as usize);
            buffer(value, room)?.copy_from_slice(&bytes[..room]);
            *len = room as socklen_t;
        }
        Ok(())
    }))
}

pub(crate) unsafe extern "C" fn setsockopt(
    user: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    // SAFETY: see the module.
    let (shared, value) = unsafe { (shared(user), data(value.cast::<u8>(), len as usize)) };
    done(value.and_then(|value| shared.act(|state| state.posix.set_option(fd, level, name, value))))
}

/// Has a timeout in milliseconds passed since `start`? A negative one never does.
fn is_over(state: &State, start: &mut Option<u64>, timeout_ms: c_int) -> bool {
    let start = *start.get_or_insert(state.world.now());
    u64::try_from(timeout_ms).is_ok_and(|ms| state.world.now() >= start + ms * 1000)
}

pub(crate) unsafe extern "C" fn poll(user: User, fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    let fds: &mut [pollfd] = match count {
        0 => &mut [],
        _ if fds.is_null() => return number(Err(Errno::EFAULT)),
        // SAFETY: see the module.
        _ => unsafe { std::slice::from_raw_parts_mut(fds, count as usize) },
    };
    let mut start = None;
    number(shared.wait("poll", |state| {
        let always = i32::from(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL);
        for entry in &mut *fds {
            let wanted = i32::from(entry.events) | always;
            entry.revents = (state.posix.events(entry.fd) & wanted) as i16;
        }
        let ready = fds.iter().filter(|e| e.revents != 0).count() as i32;
        let over = is_over(state, &mut start, timeout);
        if ready > 0 || over { Poll::Ready(Ok(ready)) } else { Poll::Pending }
    }))
}

pub(crate) unsafe extern "C" fn netdev_send(user: User, packet: *const c_void, len: size_t) -> c_int {
    // SAFETY: see the module.
    let (shared, packet) = unsafe { (shared(user), data(packet.cast::<u8>(), len)) };
    done(packet.map(|packet| shared.act(|state| state.world.inject(packet))))
}

/// A length of 0 says that there will be no packet: packetdrill ends the script then. It would wait for
/// ever for anything else than 0 as result.
pub(crate) unsafe extern "C" fn netdev_receive(
    user: User,
    buf: *mut c_void,
    len: *mut size_t,
    time: *mut c_longlong,
) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    let (at, packet) = shared.next_packet().unwrap_or_else(|| (shared.clock(), Vec::new()));
    // SAFETY: packetdrill's buffer is of 64 KiB, more than any packet, and `len` says so.
    let stored = unsafe {
        let room = packet.len().min(*len);
        *len = room;
        *time = at as c_longlong;
        buffer(buf, room).map(|buf| buf.copy_from_slice(&packet[..room]))
    };
    done(stored)
}

pub(crate) unsafe extern "C" fn usleep(user: User, micros: c_uint) -> c_int {
    // SAFETY: see the module.
    unsafe { shared(user) }.pass(u64::from(micros));
    0
}

pub(crate) unsafe extern "C" fn gettimeofday(user: User, time: *mut timeval, _zone: *mut c_void) -> c_int {
    // SAFETY: see the module.
    let now = unsafe { shared(user) }.clock();
    let parts = timeval { tv_sec: (now / 1_000_000) as i64, tv_usec: (now % 1_000_000) as i64 };
    // SAFETY: see the module.
    done(unsafe { time.as_mut() }.ok_or(Errno::EFAULT).map(|time| *time = parts))
}

pub(crate) unsafe extern "C" fn epoll_create(user: User, _size: c_int) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    number(shared.act(|state| state.posix.epoll_create()))
}

pub(crate) unsafe extern "C" fn epoll_ctl(
    user: User,
    epfd: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut epoll_event,
) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    let interest = match event.is_null() {
        true => Interest { events: 0, data: 0 },
        false => {
            // SAFETY: it points to one.
            let event = unsafe { event.read_unaligned() };
            Interest { events: event.events as i32, data: event.u64 }
        }
    };
    done(shared.act(|state| state.posix.epoll_ctl(epfd, operation, fd, interest)))
}

pub(crate) unsafe extern "C" fn epoll_wait(
    user: User,
    epfd: c_int,
    events: *mut epoll_event,
    most: c_int,
    timeout: c_int,
) -> c_int {
    // SAFETY: see the module.
    let shared = unsafe { shared(user) };
    if events.is_null() {
        return number(Err(Errno::EFAULT));
    }
    let mut start = None;
    let told = shared.wait("epoll_wait", |state| {
        let told = state.posix.epoll_wait(epfd, most.max(1) as usize)?;
        let over = is_over(state, &mut start, timeout);
        if told.is_empty() && !over { Poll::Pending } else { Poll::Ready(Ok(told)) }
    });
    number(told.map(|told| {
        for (i, interest) in told.iter().enumerate() {
            let event = epoll_event { events: interest.events as u32, u64: interest.data };
            // SAFETY: there is room for `most` events.
            unsafe { events.add(i).write_unaligned(event) };
        }
        told.len() as i32
    }))
}

pub(crate) unsafe extern "C" fn pipe(_user: User, _fds: *mut c_int) -> c_int {
    number(Err(Errno::ENOSYS))
}

pub(crate) unsafe extern "C" fn splice(
    _user: User,
    _from: c_int,
    _from_offset: *mut loff_t,
    _to: c_int,
    _to_offset: *mut loff_t,
    _len: size_t,
    _flags: c_uint,
) -> ssize_t {
    sent(Err(Errno::ENOSYS))
}
