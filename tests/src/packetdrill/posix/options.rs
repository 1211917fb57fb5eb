//! `getsockopt` and `setsockopt`: what can be set before there is a connection waits in `Settings`.

use super::super::code;
use super::super::names::c;
use super::tcp::{Role, Tcp};
use super::{Errno, Posix, Result, What};
use barenet::time::Duration;
use barenet::{Congestion, KeepAlive, Net, State, TcpInfo, TcpOptions};

/// What a program has set on a socket.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) options: TcpOptions,
    /// How to keep alive when that is on.
    pub(super) keep_alive: KeepAlive,
    /// TCP_KEEPINIT: how long a connect is tried, where that is another time than for data.
    pub(super) patience: Option<Duration>,
    /// SO_REUSEADDR, SO_REUSEPORT: our ports of old connections are free anyway.
    pub(super) reuse: bool,
}

impl Settings {
    pub(super) fn new(net: &Net) -> Settings {
        let options = net.with_stack(|stack| stack.tcp_config().options);
        Settings { options, keep_alive: options.keep_alive.unwrap_or_default(), patience: None, reuse: false }
    }
}

/// The first number of a value.
fn int(value: &[u8]) -> Result<i32> {
    value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or(Errno::EINVAL)
}

/// A number that must not be negative.
fn unsigned(value: &[u8]) -> Result<u32> {
    u32::try_from(int(value)?).map_err(|_| Errno::EINVAL)
}

fn byte(value: &[u8]) -> Result<u8> {
    u8::try_from(int(value)?).map_err(|_| Errno::EINVAL)
}

fn seconds(value: &[u8]) -> Result<Duration> {
    Ok(Duration::from_secs(unsigned(value)?.into()))
}

fn in_seconds(duration: Duration) -> i32 {
    (duration.micros() / 1_000_000) as i32
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
        match &self.tcp(fd).ok()?.role {
            Role::Stream(stream) => stream.info().ok(),
            Role::Idle | Role::Listener(_) => None,
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
        let on = int(value).unwrap_or(0) != 0;
        if (level, name) == (c::SOL_SOCKET, c::SO_REUSEADDR)
            || (level, name) == (c::SOL_SOCKET, c::SO_REUSEPORT)
        {
            self.settings.reuse = on;
            return Ok(());
        }
        let mut options = self.settings.options;
        let o = &mut options;
        match (level, name) {
            (c::SOL_SOCKET, c::SO_LINGER) => {
                let time = seconds(value.get(4..).unwrap_or_default())?;
                o.linger = on.then_some(time);
            }
            (c::SOL_SOCKET, c::SO_KEEPALIVE) => o.keep_alive = on.then_some(self.settings.keep_alive),
            (c::SOL_SOCKET, c::SO_RCVBUF) => o.receive_buffer = Some(unsigned(value)?),
            (c::SOL_SOCKET, c::SO_SNDBUF) => o.send_buffer = Some(unsigned(value)?),
            (c::IPPROTO_TCP, c::TCP_NODELAY) => o.nodelay = on,
            (c::IPPROTO_TCP, c::TCP_CORK) => o.cork = on,
            (c::IPPROTO_TCP, c::TCP_MAXSEG) => {
                o.max_segment = Some(u16::try_from(int(value)?).map_err(|_| Errno::EINVAL)?);
            }
            (c::IPPROTO_TCP, c::TCP_KEEPIDLE) => {
                let idle = seconds(value)?;
                return self.set_keep_alive(|k| k.idle = idle);
            }
            (c::IPPROTO_TCP, c::TCP_KEEPINTVL) => {
                let interval = seconds(value)?;
                return self.set_keep_alive(|k| k.interval = interval);
            }
            (c::IPPROTO_TCP, c::TCP_KEEPCNT) => {
                let probes = byte(value)?;
                return self.set_keep_alive(|k| k.probes = probes);
            }
            (c::IPPROTO_TCP, c::TCP_KEEPINIT) => {
                self.settings.patience = Some(seconds(value)?).filter(|d| *d != Duration::ZERO);
                return Ok(());
            }
            (c::IPPROTO_TCP, c::TCP_SYNCNT) => o.syn_retries = Some(byte(value)?),
            (c::IPPROTO_TCP, c::TCP_LINGER2) => o.fin_wait_2_timeout = Some(seconds(value)?),
            (c::IPPROTO_TCP, c::TCP_DEFER_ACCEPT) => {
                o.defer_accept = Some(seconds(value)?).filter(|d| *d != Duration::ZERO);
            }
            (c::IPPROTO_TCP, c::TCP_FASTOPEN) => {
                o.fast_open_backlog = u16::try_from(int(value)?).map_err(|_| Errno::EINVAL)?;
            }
            (c::IPPROTO_TCP, c::TCP_FASTOPEN_CONNECT) => o.fast_open = on,
            (c::IPPROTO_TCP, c::TCP_WINDOW_CLAMP) => {
                o.window_clamp = Some(unsigned(value)?).filter(|w| *w > 0)
            }
            (c::IPPROTO_TCP, c::TCP_QUICKACK) => o.quick_acks = Some(if on { 16 } else { 0 }),
            (c::IPPROTO_TCP, c::TCP_USER_TIMEOUT) => {
                let timeout = Duration::from_millis(unsigned(value)?.into());
                o.user_timeout = Some(timeout).filter(|t| *t != Duration::ZERO);
            }
            (c::IPPROTO_TCP, c::TCP_NOTSENT_LOWAT) => {
                o.unsent_max = Some(unsigned(value)?).filter(|n| *n > 0)
            }
            (c::IPPROTO_TCP, c::TCP_CONGESTION) => o.congestion = Some(controller(value)?),
            (c::IPPROTO_IP, c::IP_TOS) | (c::IPPROTO_IPV6, c::IPV6_TCLASS) => o.dscp = byte(value)? >> 2,
            (c::IPPROTO_IP, c::IP_TTL) | (c::IPPROTO_IPV6, c::IPV6_UNICAST_HOPS) => {
                o.hop_limit = byte(value)?
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        self.set_options(options)
    }

    fn set_options(&mut self, options: TcpOptions) -> Result<()> {
        match &self.role {
            Role::Idle => {}
            Role::Listener(listener) => listener.configure(|o| *o = options)?,
            Role::Stream(stream) => stream.configure(|o| *o = options)?,
        }
        self.settings.options = options;
        Ok(())
    }

    /// How to keep alive; whether is another option.
    fn set_keep_alive(&mut self, change: impl Fn(&mut KeepAlive)) -> Result<()> {
        change(&mut self.settings.keep_alive);
        let mut options = self.settings.options;
        options.keep_alive.as_mut().map(&change);
        self.set_options(options)
    }

    fn option(&mut self, level: i32, name: i32) -> Result<Value> {
        let config = self.net.with_stack(|stack| *stack.tcp_config());
        let o = self.settings.options;
        let keep_alive = self.settings.keep_alive;
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
            (c::SOL_SOCKET, c::SO_RCVBUF) => o.receive_buffer.unwrap_or(config.receive_buffer) as i32,
            (c::SOL_SOCKET, c::SO_SNDBUF) => o.send_buffer.unwrap_or(config.send_buffer) as i32,
            (c::SOL_SOCKET, c::SO_KEEPALIVE) => o.keep_alive.is_some().into(),
            (c::SOL_SOCKET, c::SO_LINGER) => {
                let (on, time) = (i32::from(o.linger.is_some()), o.linger.map_or(0, in_seconds));
                return Ok(Value::Bytes([on.to_ne_bytes(), time.to_ne_bytes()].concat()));
            }
            (c::IPPROTO_TCP, c::TCP_NODELAY) => o.nodelay.into(),
            (c::IPPROTO_TCP, c::TCP_CORK) => o.cork.into(),
            (c::IPPROTO_TCP, c::TCP_KEEPIDLE) => in_seconds(keep_alive.idle),
            (c::IPPROTO_TCP, c::TCP_KEEPINTVL) => in_seconds(keep_alive.interval),
            (c::IPPROTO_TCP, c::TCP_KEEPCNT) => keep_alive.probes.into(),
            (c::IPPROTO_TCP, c::TCP_KEEPINIT) => {
                in_seconds(self.settings.patience.unwrap_or(config.syn_timeout))
            }
            (c::IPPROTO_TCP, c::TCP_LINGER2) => {
                in_seconds(o.fin_wait_2_timeout.unwrap_or(config.fin_wait_2_timeout))
            }
            (c::IPPROTO_TCP, c::TCP_DEFER_ACCEPT) => o.defer_accept.map_or(0, in_seconds),
            (c::IPPROTO_TCP, c::TCP_NOTSENT_LOWAT) => o.unsent_max.map_or(-1, |most| most as i32),
            (c::IPPROTO_TCP, c::TCP_WINDOW_CLAMP) => o.window_clamp.unwrap_or(0) as i32,
            (c::IPPROTO_TCP, c::TCP_SYNCNT) => o.syn_retries.unwrap_or(6).into(),
            (c::IPPROTO_TCP, c::TCP_QUICKACK) => (o.quick_acks != Some(0)).into(),
            (c::IPPROTO_TCP, c::TCP_FASTOPEN) => o.fast_open_backlog.into(),
            (c::IPPROTO_TCP, c::TCP_FASTOPEN_CONNECT) => o.fast_open.into(),
            (c::IPPROTO_TCP, c::TCP_USER_TIMEOUT) => o.user_timeout.map_or(0, |t| (t.micros() / 1000) as i32),
            (c::IPPROTO_TCP, c::TCP_MAXSEG) => match &self.role {
                Role::Stream(stream) => stream.info()?.mss.into(),
                Role::Idle | Role::Listener(_) => o.max_segment.unwrap_or(536).into(),
            },
            (c::IPPROTO_IP, c::IP_TTL) | (c::IPPROTO_IPV6, c::IPV6_UNICAST_HOPS) => o.hop_limit.into(),
            (c::IPPROTO_IP, c::IP_TOS) | (c::IPPROTO_IPV6, c::IPV6_TCLASS) => i32::from(o.dscp) << 2,
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
            Role::Stream(stream) => code::state_number(stream.state().unwrap_or(State::Closed)),
        }
    }

    /// `struct tcp_info` as far as it is known: the state.
    fn info(&self) -> Vec<u8> {
        let mut info = vec![0; 104];
        info[0] = self.state_number();
        info
    }
}

/// Congestion control by the names of Linux and FreeBSD.
fn controller(name: &[u8]) -> Result<Congestion> {
    match name.split(|byte| *byte == 0).next().unwrap_or_default() {
        b"reno" | b"newreno" => Ok(Congestion::NewReno),
        b"cubic" => Ok(Congestion::Cubic),
        b"bbr" => Ok(Congestion::Bbr),
        _ => Err(Errno::ENOENT),
    }
}
