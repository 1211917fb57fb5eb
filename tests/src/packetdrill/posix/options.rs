//! `getsockopt` and `setsockopt`: what can be set before there is a connection waits in `Settings`.

use super::super::names::c;
use super::tcp::{Role, Tcp};
use super::{Errno, Posix, Result, What};
use barenet::time::Duration;
use barenet::{State, TcpInfo, TcpListener, TcpStream};

/// What a program has set on a socket, for its connections to come.
#[derive(Clone, Default)]
pub(super) struct Settings {
    nodelay: Option<bool>,
    reuse: bool,
    linger: Option<(i32, i32)>,
}

impl Settings {
    /// How long a close lingers; `None`: it does not.
    pub(super) fn linger(&self) -> Option<Duration> {
        self.linger.filter(|(on, _)| *on != 0).map(|(_, s)| Duration::from_secs(s.max(0) as u64))
    }

    /// Sets on a connection what was set on its socket.
    pub(super) fn apply(&self, stream: &mut TcpStream) -> Result<()> {
        if let Some(on) = self.nodelay {
            stream.set_nodelay(on)?;
        }
        Ok(())
    }

    /// Sets on a listener what was set on its socket.
    pub(super) fn apply_to_listener(&self, _listener: &TcpListener) -> Result<()> {
        Ok(())
    }
}

/// The first number of a value.
fn int(value: &[u8]) -> Result<i32> {
    value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or(Errno::EINVAL)
}

impl Posix {
    /// `setsockopt`, with the value as Linux lays it out.
    pub fn set_option(&mut self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<()> {
        match &mut self.get(fd)?.what {
            What::Tcp(tcp) => tcp.set_option(level, name, value),
            What::Udp(udp) => udp.set_option(level, name, int(value)?),
            What::Epoll(_) => Err(Errno::ENOTSOCK),
        }
    }

    /// What the stack tells of a connection.
    pub fn info(&mut self, fd: i32) -> Option<TcpInfo> {
        match &mut self.get(fd).ok()?.what {
            What::Tcp(Tcp { role: Role::Stream(stream), .. }) => stream.info().ok(),
            _ => None,
        }
    }

    /// `getsockopt`, with the value as Linux lays it out.
    pub fn option(&mut self, fd: i32, level: i32, name: i32) -> Result<Vec<u8>> {
        let number = match &mut self.get(fd)?.what {
            What::Tcp(tcp) => match tcp.option(level, name)? {
                Value::Int(n) => n,
                Value::Bytes(bytes) => return Ok(bytes),
            },
            What::Udp(udp) => udp.option(level, name)?,
            What::Epoll(_) => return Err(Errno::ENOTSOCK),
        };
        Ok(number.to_ne_bytes().to_vec())
    }
}

/// The value of an option.
pub(super) enum Value {
    Int(i32),
    Bytes(Vec<u8>),
}

impl Tcp {
    fn set_option(&mut self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        let settings = &mut self.settings;
        match (level, name) {
            (c::SOL_SOCKET, c::SO_LINGER) => {
                settings.linger = Some((int(value)?, int(value.get(4..).unwrap_or_default())?));
                return Ok(());
            }
            (c::SOL_SOCKET, c::SO_REUSEADDR | c::SO_REUSEPORT) => settings.reuse = int(value)? != 0,
            (c::IPPROTO_TCP, c::TCP_NODELAY) => settings.nodelay = Some(int(value)? != 0),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        if let Role::Stream(stream) = &mut self.role {
            self.settings.apply(stream)?;
        }
        Ok(())
    }

    fn option(&mut self, level: i32, name: i32) -> Result<Value> {
        let config = self.net.with_stack(|stack| *stack.tcp_config());
        let number = match (level, name) {
            (c::SOL_SOCKET, c::SO_ERROR) => self.take_error(),
            (c::SOL_SOCKET, c::SO_TYPE) => c::SOCK_STREAM,
            (c::SOL_SOCKET, c::SO_PROTOCOL) => c::IPPROTO_TCP,
            (c::SOL_SOCKET, c::SO_DOMAIN) => {
                if self.v6 {
                    c::AF_INET6
                } else {
                    c::AF_INET
                }
            }
            (c::SOL_SOCKET, c::SO_ACCEPTCONN) => matches!(self.role, Role::Listener(_)).into(),
            (c::SOL_SOCKET, c::SO_REUSEADDR | c::SO_REUSEPORT) => self.settings.reuse.into(),
            (c::SOL_SOCKET, c::SO_RCVBUF) => config.receive_buffer as i32,
            (c::SOL_SOCKET, c::SO_SNDBUF) => config.send_buffer as i32,
            (c::SOL_SOCKET, c::SO_LINGER) => {
                let (on, seconds) = self.settings.linger.unwrap_or((0, 0));
                return Ok(Value::Bytes([on.to_ne_bytes(), seconds.to_ne_bytes()].concat()));
            }
            (c::IPPROTO_TCP, c::TCP_NODELAY) => match &self.role {
                Role::Stream(stream) => stream.nodelay()?.into(),
                Role::Idle | Role::Listener(_) => self.settings.nodelay.unwrap_or(false).into(),
            },
            (c::IPPROTO_TCP, c::TCP_INFO) => return Ok(Value::Bytes(self.info())),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(Value::Int(number))
    }

    /// The state by the number that Linux gives it.
    pub(super) fn state_number(&self) -> u8 {
        match &self.role {
            Role::Listener(_) => 10,
            Role::Idle => 7,
            Role::Stream(stream) => match stream.state().unwrap_or(State::Closed) {
                State::Established => 1,
                State::SynSent => 2,
                State::SynReceived => 3,
                State::FinWait1 => 4,
                State::FinWait2 => 5,
                State::Closed => 7,
                State::CloseWait => 8,
                State::LastAck => 9,
                State::Closing => 11,
            },
        }
    }

    /// `struct tcp_info` as far as it is known: the state.
    fn info(&self) -> Vec<u8> {
        let mut info = vec![0; 104];
        info[0] = self.state_number();
        info
    }
}
