//! System calls of a script, made on the shim.

use super::names::{self, c};
use super::posix::{Errno, Interest, Posix, Received};
use super::script::{Call, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;

/// What calls are made on.
pub(super) struct Process {
    pub(super) posix: Posix,
    /// Live descriptors by those of the script.
    pub(super) fds: BTreeMap<i64, i32>,
    /// Where `bind` and `connect` with `...` lead.
    pub(super) bind_to: SocketAddr,
    pub(super) connect_to: SocketAddr,
    /// The family of `socket(..., …)`.
    pub(super) domain: i32,
}

/// A call under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Bytes that it has sent already.
    sent: usize,
    /// When it gives up, in microseconds.
    pub(super) until: Option<u64>,
}

/// What a call came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What it returned.
    pub(super) result: Result<i64, Errno>,
    /// It is a descriptor.
    pub(super) is_fd: bool,
    /// What it stored by reference, where the script expects something else.
    pub(super) differs: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.result {
            Ok(value) => write!(f, "it returned {value}"),
            Err(errno) => write!(f, "it returned -1 {errno:?}"),
        }
    }
}

impl Outcome {
    fn of(result: Result<i64, Errno>) -> Outcome {
        Outcome { result, is_fd: false, differs: None }
    }

    fn fd(result: Result<i32, Errno>) -> Outcome {
        Outcome { is_fd: true, ..Outcome::of(result.map(i64::from)) }
    }
}

/// Sets the script's and the live number of a call's outcome against each other.
type Attempt = Result<Poll<Outcome>, String>;

fn ready(result: Result<i64, Errno>) -> Attempt {
    Ok(Poll::Ready(Outcome::of(result)))
}

fn done(result: Result<(), Errno>) -> Attempt {
    ready(result.map(|()| 0))
}

impl Process {
    /// Makes a call, or asks for it again. `Err`: the script asks for something that is not supported.
    pub(super) fn attempt(&mut self, call: &Call, progress: &mut Progress, now: u64) -> Attempt {
        let arguments = Arguments { call, fds: self.fds.clone() };
        match call.name.as_str() {
            "socket" => self.socket(&arguments),
            "bind" => {
                let to = arguments.address(1, self.bind_to)?.ok_or("bind to AF_UNSPEC")?;
                done(self.posix.bind(arguments.fd(0)?, to))
            }
            "listen" => done(self.posix.listen(arguments.fd(0)?, arguments.int(1)?)),
            "accept" | "accept4" => self.accept(&arguments),
            "connect" => {
                let to = arguments.address(1, self.connect_to)?;
                Ok(self.posix.connect(arguments.fd(0)?, to).map(|r| Outcome::of(r.map(|()| 0))))
            }
            "read" | "readv" | "recv" | "recvfrom" | "recvmsg" => self.receive(&arguments),
            "write" | "writev" | "send" | "sendto" | "sendmsg" => self.send(&arguments, progress),
            "shutdown" => done(self.posix.shutdown(arguments.fd(0)?, arguments.int(1)?)),
            "close" => Ok(self.posix.close(arguments.fd(0)?).map(|r| Outcome::of(r.map(|()| 0)))),
            "fcntl" => {
                let value = if call.arguments.len() > 2 { arguments.int(2)? } else { 0 };
                ready(self.posix.fcntl(arguments.fd(0)?, arguments.int(1)?, value).map(i64::from))
            }
            "ioctl" => self.ioctl(&arguments),
            "getsockopt" => self.getsockopt(&arguments),
            "setsockopt" => {
                let (fd, level, name) = (arguments.fd(0)?, arguments.int(1)?, arguments.int(2)?);
                done(self.posix.set_option(fd, level, name, &arguments.bytes(3)?))
            }
            "getsockname" => self.name(&arguments, Posix::local_address),
            "getpeername" => self.name(&arguments, Posix::peer_address),
            "poll" => self.poll(&arguments, progress, now),
            "epoll_create" | "epoll_create1" => Ok(Poll::Ready(Outcome::fd(self.posix.epoll_create()))),
            "epoll_ctl" => self.epoll_ctl(&arguments),
            "epoll_wait" => self.epoll_wait(&arguments, progress, now),
            other => Err(format!("the call {other} is not supported")),
        }
    }

    /// The descriptor and the peer of a call that connects.
    pub(super) fn connects(&self, call: &Call) -> Result<Option<(i32, SocketAddr)>, String> {
        let arguments = Arguments { call, fds: self.fds.clone() };
        let at = match call.name.as_str() {
            "connect" => 1,
            "sendto" => 4,
            _ => return Ok(None),
        };
        let to = arguments.address(at, self.connect_to)?;
        to.map(|to| Ok((arguments.fd(0)?, to))).transpose()
    }

    /// The descriptor of a call that closes it.
    pub(super) fn closes(&self, call: &Call) -> Option<i32> {
        let arguments = Arguments { call, fds: self.fds.clone() };
        (call.name == "close").then(|| arguments.fd(0).ok()).flatten()
    }

    fn socket(&mut self, arguments: &Arguments<'_>) -> Attempt {
        let domain = match arguments.get(0)? {
            Value::Any => self.domain,
            _ => arguments.int(0)?,
        };
        let protocol = match arguments.get(2)? {
            Value::Any => 0,
            _ => arguments.int(2)?,
        };
        Ok(Poll::Ready(Outcome::fd(self.posix.socket(domain, arguments.int(1)?, protocol))))
    }

    fn accept(&mut self, arguments: &Arguments<'_>) -> Attempt {
        let fd = arguments.fd(0)?;
        let flags = if arguments.call.arguments.len() > 3 { arguments.int(3)? } else { 0 };
        let expected = match arguments.call.arguments.get(1) {
            Some(Value::Struct(_)) => arguments.address(1, self.connect_to)?,
            _ => None,
        };
        Ok(self.posix.accept(fd, flags).map(|accepted| {
            let differs = match (&accepted, expected) {
                (Ok((_, peer)), Some(expected)) if *peer != expected => Some(format!("the peer is {peer}")),
                _ => None,
            };
            Outcome { differs, ..Outcome::fd(accepted.map(|(fd, _)| fd)) }
        }))
    }

    fn receive(&mut self, arguments: &Arguments<'_>) -> Attempt {
        let fd = arguments.fd(0)?;
        let (len, flags) = match arguments.call.name.as_str() {
            "read" => (arguments.int(2)?, 0),
            "readv" => (arguments.vector(arguments.get(1)?)?, 0),
            "recvmsg" => (arguments.vector(arguments.member(1, "msg_iov")?)?, arguments.int(2)?),
            _ => (arguments.int(2)?, arguments.int(3)?),
        };
        let mut buf = vec![0; usize::try_from(len).map_err(|_| "a negative length")?];
        let expected = arguments.data(buf.len())?;
        let received = self.posix.receive(fd, &mut buf, flags);
        Ok(received.map(|received| {
            let differs = match (&received, &expected) {
                (Ok(r), Some(text)) if !text.starts_with(&buf[..r.len]) => {
                    Some(format!("the data is {:?}", String::from_utf8_lossy(&buf[..r.len])))
                }
                _ => None,
            };
            let result = received.map(|Received { len, .. }| len as i64);
            Outcome { differs, ..Outcome::of(result) }
        }))
    }

    fn send(&mut self, arguments: &Arguments<'_>, progress: &mut Progress) -> Attempt {
        let fd = arguments.fd(0)?;
        let name = arguments.call.name.as_str();
        let (len, flags) = match name {
            "write" => (arguments.int(2)?, 0),
            "writev" => (arguments.vector(arguments.get(1)?)?, 0),
            "sendmsg" => (arguments.vector(arguments.member(1, "msg_iov")?)?, arguments.int(2)?),
            _ => (arguments.int(2)?, arguments.int(3)?),
        };
        let to = match (name, arguments.call.arguments.get(4)) {
            ("sendto", Some(_)) => arguments.address(4, self.connect_to)?,
            _ => None,
        };
        let len = usize::try_from(len).map_err(|_| "a negative length")?;
        let data = arguments.data(len)?.unwrap_or_else(|| vec![0; len]);
        let sent = self.posix.send(fd, &data, &mut progress.sent, to, flags);
        Ok(sent.map(|r| Outcome::of(r.map(|n| n as i64))))
    }

    fn ioctl(&mut self, arguments: &Arguments<'_>) -> Attempt {
        let value = arguments.call.arguments.get(2).map_or(Ok(0), |_| arguments.int(2));
        let stored = self.posix.ioctl(arguments.fd(0)?, arguments.long(1)?, value.unwrap_or(0));
        let differs = match stored {
            Ok(n) => arguments.differs(2, i64::from(n)),
            Err(_) => None,
        };
        Ok(Poll::Ready(Outcome { differs, ..Outcome::of(stored.map(|_| 0)) }))
    }

    fn getsockopt(&mut self, arguments: &Arguments<'_>) -> Attempt {
        let (fd, level, name) = (arguments.fd(0)?, arguments.int(1)?, arguments.int(2)?);
        let value = self.posix.option(fd, level, name);
        let mut differs = None;
        if let Ok(bytes) = &value {
            let stored = bytes.len() as i64;
            if let Some(expected @ Value::List(_)) = arguments.call.arguments.get(4)
                && arguments.differs(4, stored).is_some()
            {
                return Ok(Poll::Ready(Outcome {
                    differs: Some(format!("the length is {stored}, not {expected}")),
                    ..Outcome::of(Ok(0))
                }));
            }
            let ints: Vec<i64> = bytes
                .chunks_exact(4)
                .map(|b| i64::from(i32::from_ne_bytes([b[0], b[1], b[2], b[3]])))
                .collect();
            differs = match arguments.get(3)? {
                Value::Struct(fields) => {
                    let wrong = fields.iter().zip(&ints).any(|((_, v), n)| eval(v) != Ok(*n));
                    wrong.then(|| format!("the value is {ints:?}"))
                }
                _ => arguments.differs(3, ints.first().copied().unwrap_or(0)),
            };
            if (level, name) == (c::SOL_SOCKET, c::SO_ERROR)
                && let (Some(text), Some(n)) = (&mut differs, ints.first())
                && *n != 0
            {
                *text = format!("the value is {}", names::errno_name(*n as i32));
            }
        }
        Ok(Poll::Ready(Outcome { differs, ..Outcome::of(value.map(|_| 0)) }))
    }

    fn name(
        &mut self,
        arguments: &Arguments<'_>,
        look: impl FnOnce(&mut Posix, i32) -> Result<SocketAddr, Errno>,
    ) -> Attempt {
        let address = look(&mut self.posix, arguments.fd(0)?);
        let expected = match arguments.get(1)? {
            Value::Struct(_) => arguments.address(1, self.connect_to)?,
            _ => None,
        };
        let differs = match (&address, expected) {
            (Ok(found), Some(expected)) if *found != expected => Some(format!("the address is {found}")),
            _ => None,
        };
        Ok(Poll::Ready(Outcome { differs, ..Outcome::of(address.map(|_| 0)) }))
    }

    fn poll(&mut self, arguments: &Arguments<'_>, progress: &mut Progress, now: u64) -> Attempt {
        let Value::List(list) = arguments.get(0)? else {
            return Err("poll of something else than a list".into());
        };
        let mut returned = 0;
        let mut differs = None;
        for entry in list {
            let fd = arguments.fd_of(field(entry, "fd")?)?;
            let wanted = eval(field(entry, "events")?)? as i32;
            let always = c::POLLERR | c::POLLHUP | c::POLLNVAL;
            let events = self.posix.events(fd) & (wanted | always);
            returned += i64::from(events != 0);
            let expected = field(entry, "revents").map_or(Ok(0), eval)?;
            if expected != i64::from(events) {
                differs = Some(format!("revents of {fd} is {events:#x}"));
            }
        }
        let timeout = arguments.int(2)?;
        if returned == 0 && !is_over(timeout, progress, now) {
            return Ok(Poll::Pending);
        }
        Ok(Poll::Ready(Outcome { differs, ..Outcome::of(Ok(returned)) }))
    }

    fn epoll_ctl(&mut self, arguments: &Arguments<'_>) -> Attempt {
        let interest = match arguments.call.arguments.get(3) {
            Some(event @ Value::Struct(_)) => arguments.interest(event)?,
            _ => Interest { events: 0, data: 0 },
        };
        let (epfd, operation) = (arguments.fd(0)?, arguments.int(1)?);
        done(self.posix.epoll_ctl(epfd, operation, arguments.fd(2)?, interest))
    }

    fn epoll_wait(&mut self, arguments: &Arguments<'_>, progress: &mut Progress, now: u64) -> Attempt {
        let (most, timeout) = (arguments.int(2)?, arguments.int(3)?);
        let events = match self.posix.epoll_wait(arguments.fd(0)?, most.max(1) as usize) {
            Ok(events) => events,
            Err(error) => return ready(Err(error)),
        };
        if events.is_empty() && !is_over(timeout, progress, now) {
            return Ok(Poll::Pending);
        }
        let expected: Vec<Interest> = match arguments.get(1)? {
            Value::List(list) => list.iter().map(|e| arguments.interest(e)).collect::<Result<_, _>>()?,
            one @ Value::Struct(_) => vec![arguments.interest(one)?],
            _ => events.clone(),
        };
        let differs = events.iter().zip(&expected).any(|(a, b)| a != b);
        let differs = differs.then(|| format!("the events are {events:?}"));
        Ok(Poll::Ready(Outcome { differs, ..Outcome::of(Ok(events.len() as i64)) }))
    }
}

/// Has a timeout in milliseconds passed? A negative one never does.
fn is_over(timeout_ms: i32, progress: &mut Progress, now: u64) -> bool {
    let Ok(timeout) = u64::try_from(timeout_ms) else { return false };
    now >= *progress.until.get_or_insert(now + timeout * 1000)
}

/// The number that an expression stands for.
pub(super) fn eval(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(n) => Ok(*n),
        Value::Word(name) => names::constant(name).ok_or_else(|| format!("the constant {name} is not known")),
        Value::Or(all) => all.iter().try_fold(0, |sum, v| Ok(sum | eval(v)?)),
        Value::Apply(name, arguments) if name == "htons" || name == "htonl" => {
            eval(arguments.first().ok_or("htons without a number")?)
        }
        Value::List(all) if all.len() == 1 => eval(&all[0]),
        other => Err(format!("{other} is no number")),
    }
}

/// A member of a struct by its name.
fn field<'v>(value: &'v Value, name: &str) -> Result<&'v Value, String> {
    let Value::Struct(fields) = value else { return Err(format!("{value} is no struct")) };
    let found = fields.iter().find(|(n, _)| n.as_deref() == Some(name));
    found.map(|(_, v)| v).ok_or_else(|| format!("{value} has no {name}"))
}

struct Arguments<'c> {
    call: &'c Call,
    fds: BTreeMap<i64, i32>,
}

impl<'c> Arguments<'c> {
    fn get(&self, at: usize) -> Result<&'c Value, String> {
        self.call.arguments.get(at).ok_or_else(|| format!("{} needs more arguments", self.call.name))
    }

    fn long(&self, at: usize) -> Result<i64, String> {
        eval(self.get(at)?)
    }

    fn int(&self, at: usize) -> Result<i32, String> {
        let number = self.long(at)?;
        // Flags may use the sign bit.
        i32::try_from(number).or_else(|_| u32::try_from(number).map(|n| n as i32)).map_err(|e| e.to_string())
    }

    fn fd(&self, at: usize) -> Result<i32, String> {
        self.fd_of(self.get(at)?)
    }

    /// A descriptor that the script has not opened is one that nobody has.
    fn fd_of(&self, value: &Value) -> Result<i32, String> {
        Ok(self.fds.get(&eval(value)?).copied().unwrap_or(-1))
    }

    fn member(&self, at: usize, name: &str) -> Result<&'c Value, String> {
        field(self.get(at)?, name)
    }

    /// All bytes of an I/O vector.
    fn vector(&self, value: &Value) -> Result<i32, String> {
        let Value::List(pieces) = value else { return Err(format!("{value} is no I/O vector")) };
        pieces.iter().try_fold(0, |sum, piece| match piece {
            Value::Struct(fields) => {
                let len = fields.last().ok_or("an empty piece of an I/O vector")?;
                Ok(sum + eval(&len.1)? as i32)
            }
            other => Err(format!("{other} is no piece of an I/O vector")),
        })
    }

    /// The `len` bytes that a call names as its data, with zeros where a piece names none; `None`: it names none
    /// at all.
    fn data(&self, len: usize) -> Result<Option<Vec<u8>>, String> {
        let pieces = match (self.call.name.as_str(), self.get(1)?) {
            (_, Value::Text(text)) => {
                let mut data = text.clone().into_bytes();
                data.resize(len, 0);
                return Ok(Some(data));
            }
            ("readv" | "writev", Value::List(pieces)) => pieces,
            ("recvmsg" | "sendmsg", message) => match field(message, "msg_iov")? {
                Value::List(pieces) => pieces,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let mut data = Vec::new();
        let mut is_named = false;
        for piece in pieces {
            let Value::Struct(fields) = piece else { continue };
            let end = data.len() + fields.last().map_or(Ok(0), |(_, len)| eval(len))? as usize;
            if let Some((_, Value::Text(text))) = fields.first() {
                is_named = true;
                data.extend(text.as_bytes());
            }
            data.resize(end, 0);
        }
        Ok(is_named.then_some(data))
    }

    /// An address; `None`: AF_UNSPEC.
    fn address(&self, at: usize, default: SocketAddr) -> Result<Option<SocketAddr>, String> {
        let value = self.get(at)?;
        if !matches!(value, Value::Struct(_)) {
            return Ok(Some(default));
        }
        if field(value, "sa_family") == Ok(&Value::Word("AF_UNSPEC".into())) {
            return Ok(None);
        }
        let port = field(value, "sin_port").or_else(|_| field(value, "sin6_port")).map(eval);
        let host = field(value, "sin_addr").or_else(|_| field(value, "sin6_addr"));
        let ip = match host {
            Ok(Value::Apply(_, of)) => match of.last() {
                Some(Value::Text(text)) => text.parse().map_err(|_| format!("{text} is no address"))?,
                _ => return Err(format!("{value} has no address")),
            },
            Ok(Value::Int(0) | Value::Word(_)) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            _ => default.ip(),
        };
        let port = port.unwrap_or(Ok(default.port().into()))?;
        Ok(Some(SocketAddr::new(ip, u16::try_from(port).map_err(|e| e.to_string())?)))
    }

    /// An option's value as bytes.
    fn bytes(&self, at: usize) -> Result<Vec<u8>, String> {
        let int = |v: &Value| Ok::<_, String>((eval(v)? as i32).to_ne_bytes());
        match self.get(at)? {
            Value::List(all) => Ok(all.iter().map(int).collect::<Result<Vec<_>, _>>()?.concat()),
            Value::Struct(fields) => {
                Ok(fields.iter().map(|(_, v)| int(v)).collect::<Result<Vec<_>, _>>()?.concat())
            }
            Value::Text(text) => Ok(text.clone().into_bytes()),
            one => Ok(int(one)?.to_vec()),
        }
    }

    /// What is wrong with a number that was stored where `[n]` was expected.
    fn differs(&self, at: usize, stored: i64) -> Option<String> {
        let expected = self.call.arguments.get(at)?;
        let any = matches!(expected, Value::Any) || *expected == Value::List(vec![Value::Any]);
        let agrees = any || eval(expected) == Ok(stored);
        (!agrees).then(|| format!("the value is {stored}"))
    }

    fn interest(&self, event: &Value) -> Result<Interest, String> {
        let events = eval(field(event, "events")?)? as i32;
        let data = match field(event, "fd") {
            Ok(fd) => self.fd_of(fd)? as u64,
            Err(_) => {
                let Value::Struct(fields) = event else { return Err(format!("{event} is no struct")) };
                let other = fields.iter().find(|(n, _)| n.as_deref() != Some("events"));
                other.map_or(Ok(0), |(_, v)| eval(v))? as u64
            }
        };
        Ok(Interest { events, data })
    }
}
