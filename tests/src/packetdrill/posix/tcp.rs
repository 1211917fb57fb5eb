//! A socket of TCP: what POSIX keeps in one descriptor is a listener or a stream here.

use super::super::names::c;
use super::options::Settings;
use super::{Errno, Received, Result, shown, unspecified};
use barenet::time::{Duration, Instant};
use barenet::{Error, Net, Shutdown, State, TcpListener, TcpStream};
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

pub(super) struct Tcp {
    pub(super) net: Net,
    pub(super) v6: bool,
    pub(super) local: Option<SocketAddr>,
    pub(super) role: Role,
    pub(super) settings: Settings,
    /// The error that ended the connection was told: it is told once.
    told: bool,
    /// The program has read the end, or an error.
    reader_done: bool,
    /// A connect is under way whose result nobody has been told.
    connecting: bool,
    /// A lingering close gives up then.
    linger_until: Option<Instant>,
}

pub(super) enum Role {
    /// Neither of both yet.
    Idle,
    Listener(TcpListener),
    Stream(TcpStream),
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// "Pending" as "try again".
fn at_once<T>(poll: Poll<std::result::Result<T, Error>>) -> Result<T> {
    match poll {
        Poll::Pending => Err(Errno::EAGAIN),
        Poll::Ready(result) => Ok(result?),
    }
}

impl Tcp {
    pub(super) fn new(net: Net, v6: bool) -> Tcp {
        let settings = Settings::new(&net);
        Tcp::with(net, v6, Role::Idle, settings)
    }

    fn with(net: Net, v6: bool, role: Role, settings: Settings) -> Tcp {
        Tcp {
            net,
            v6,
            local: None,
            role,
            settings,
            told: false,
            reader_done: false,
            connecting: false,
            linger_until: None,
        }
    }

    /// Does it hold this local port?
    pub(super) fn holds(&self, address: SocketAddr) -> bool {
        self.local.is_some_and(|local| {
            let any = local.ip().is_unspecified() || address.ip().is_unspecified();
            local.port() == address.port() && (any || local.ip() == address.ip()) && address.port() != 0
        })
    }

    pub(super) fn bind(&mut self, address: SocketAddr, in_use: bool) -> Result<()> {
        if self.local.is_some() || !matches!(self.role, Role::Idle) {
            return Err(Errno::EINVAL);
        }
        if in_use {
            return Err(Errno::EADDRINUSE);
        }
        self.local = Some(address);
        Ok(())
    }

    pub(super) fn listen(&mut self, backlog: i32) -> Result<()> {
        match self.role {
            Role::Idle => {}
            Role::Listener(_) => return Ok(()),
            Role::Stream(_) => return Err(Errno::EINVAL),
        }
        let local = self.local.unwrap_or(SocketAddr::new(unspecified(self.v6), 0));
        let backlog = backlog.clamp(1, i32::from(u16::MAX)) as u16;
        let listener = TcpListener::bind_with_backlog(&self.net, local, backlog)?;
        self.local = Some(listener.local_addr());
        listener.configure(|options| *options = self.settings.options)?;
        self.role = Role::Listener(listener);
        Ok(())
    }

    pub(super) fn accept(&mut self) -> Result<(Tcp, SocketAddr)> {
        let Role::Listener(listener) = &self.role else { return Err(Errno::EINVAL) };
        let (stream, peer) = at_once(listener.poll_accept(&mut context()))?;
        let settings = Settings { options: stream.options()?, ..self.settings };
        let mut accepted = Tcp::with(self.net.clone(), self.v6, Role::Stream(stream), settings);
        accepted.local = self.local;
        Ok((accepted, shown(peer, self.v6)))
    }

    /// `EINPROGRESS` the first time, `EALREADY` until it is over, `EISCONN` from then on.
    pub(super) fn connect(&mut self, to: SocketAddr) -> Result<()> {
        match &self.role {
            Role::Listener(_) => Err(Errno::EISCONN),
            Role::Idle => {
                let local = self.local.filter(|l| l.port() != 0 || !l.ip().is_unspecified());
                let mut options = self.settings.options;
                options.user_timeout = self.settings.patience.or(options.user_timeout);
                let stream = TcpStream::start_connect_with(&self.net, to, local, Some(&options))?;
                // With TCP Fast Open nobody waits for the handshake.
                let is_early = stream.poll_connected(&mut context()) == Poll::Ready(Ok(()));
                self.role = Role::Stream(stream);
                (self.told, self.reader_done, self.connecting) = (false, false, !is_early);
                if is_early { Ok(()) } else { Err(Errno::EINPROGRESS) }
            }
            Role::Stream(stream) => match stream.poll_connected(&mut context()) {
                Poll::Pending => Err(Errno::EALREADY),
                Poll::Ready(Ok(())) => Err(Errno::EISCONN),
                Poll::Ready(Err(error)) => {
                    self.role = Role::Idle;
                    self.connecting = false;
                    Err(error.into())
                }
            },
        }
    }

    /// Is this the first look at a connect that has succeeded?
    pub(super) fn just_connected(&mut self) -> bool {
        std::mem::take(&mut self.connecting)
    }

    pub(super) fn disconnect(&mut self) -> Result<()> {
        if let Role::Stream(stream) = std::mem::replace(&mut self.role, Role::Idle) {
            stream.abort();
        }
        self.local = None;
        Ok(())
    }

    fn stream(&mut self) -> Result<&mut TcpStream> {
        match &mut self.role {
            Role::Stream(stream) => {
                if self.settings.patience.is_some() && stream.state() != Ok(State::SynSent) {
                    // It was for the handshake.
                    self.settings.patience = None;
                    stream.configure(|o| *o = self.settings.options)?;
                }
                Ok(stream)
            }
            Role::Idle | Role::Listener(_) => Err(Errno::ENOTCONN),
        }
    }

    /// An error of the connection is told once; from then on it reads as closed.
    fn once(&mut self, error: Errno) -> Result<usize> {
        self.reader_done = true;
        if std::mem::replace(&mut self.told, true) { Ok(0) } else { Err(error) }
    }

    pub(super) fn receive(&mut self, buf: &mut [u8], peek: bool) -> Result<Received> {
        let stream = self.stream()?;
        let result = match peek {
            true => at_once(stream.poll_peek(&mut context(), buf)),
            false => at_once(stream.poll_read(&mut context(), buf)),
        };
        let len = match result {
            Err(Errno::EAGAIN) => return Err(Errno::EAGAIN),
            Err(error) => self.once(error)?,
            Ok(len) => len,
        };
        Ok(Received { len, from: None, truncated: false })
    }

    /// All that was asked for, or what there is at the end of the stream.
    pub(super) fn receive_all(&mut self, buf: &mut [u8], peek: bool) -> Result<Received> {
        let (wanted, there) = (buf.len(), self.unread()? as usize);
        let state = self.stream()?.state();
        let more = matches!(state, Ok(State::Established | State::FinWait1 | State::FinWait2));
        if there < wanted && more { Err(Errno::EAGAIN) } else { self.receive(buf, peek) }
    }

    pub(super) fn send(
        &mut self,
        data: &[u8],
        done: &mut usize,
        to: Option<SocketAddr>,
        flags: i32,
        waits: bool,
    ) -> Poll<Result<usize>> {
        // With an address it connects first: on Linux with a flag, on the BSDs always.
        if let (Role::Idle, Some(to)) = (&self.role, to) {
            self.settings.options.fast_open |= flags & c::MSG_FASTOPEN != 0;
            return Poll::Ready(self.send_with_syn(data, to, waits));
        }
        let Ok(stream) = self.stream() else { return Poll::Ready(Err(Errno::EPIPE)) };
        while *done < data.len() {
            match stream.poll_write(&mut context(), &data[*done..]) {
                Poll::Ready(Ok(n)) => *done += n,
                Poll::Pending if waits => return Poll::Pending,
                Poll::Pending if *done == 0 => return Poll::Ready(Err(Errno::EAGAIN)),
                Poll::Pending => break,
                Poll::Ready(Err(_)) if *done > 0 => break,
                Poll::Ready(Err(error)) => {
                    let broken = std::mem::replace(&mut self.told, true);
                    return Poll::Ready(Err(if broken { Errno::EPIPE } else { error.into() }));
                }
            }
        }
        Poll::Ready(Ok(*done))
    }

    /// Connects and sends at once. Without a cookie for that peer the data waits for the handshake.
    fn send_with_syn(&mut self, data: &[u8], to: SocketAddr, waits: bool) -> Result<usize> {
        // What is a listener's limit on one system is a client's wish on another.
        self.settings.options.fast_open |= self.settings.options.fast_open_backlog > 0;
        let is_early = match self.connect(to) {
            Err(Errno::EINPROGRESS) => false,
            connected => connected.map(|()| true)?,
        };
        let stream = self.stream()?;
        let queued = at_once(stream.poll_write(&mut context(), data));
        // Data without a cookie: a call that does not wait says that nothing was sent yet.
        if waits || is_early { queued } else { Err(Errno::EINPROGRESS) }
    }

    pub(super) fn shutdown(&mut self, how: i32) -> Result<()> {
        let how = match how {
            c::SHUT_RD => Shutdown::Read,
            c::SHUT_WR => Shutdown::Write,
            c::SHUT_RDWR => Shutdown::Both,
            _ => return Err(Errno::EINVAL),
        };
        let stream = self.stream()?;
        if stream.state() == Ok(State::Closed) {
            return Err(Errno::ENOTCONN);
        }
        Ok(stream.shutdown(how)?)
    }

    /// May the descriptor go? Not while a connection lingers.
    pub(super) fn finish(&mut self, waits: bool) -> bool {
        let Role::Stream(stream) = &mut self.role else { return true };
        let Some(linger) = self.settings.options.linger else { return true };
        if linger == Duration::ZERO {
            self.abort();
            return true;
        }
        let now = self.net.now();
        let until = *self.linger_until.get_or_insert(now + linger);
        // It may have ended already.
        let _ = stream.shutdown(Shutdown::Write);
        let unsent = matches!(stream.state(), Ok(State::FinWait1 | State::Closing | State::LastAck));
        !(unsent && waits && now < until)
    }

    fn abort(&mut self) {
        if let Role::Stream(stream) = std::mem::replace(&mut self.role, Role::Idle) {
            stream.abort();
        }
    }

    /// The error that is pending, which is told only once.
    pub(super) fn take_error(&mut self) -> i32 {
        let told = self.told;
        let Role::Stream(stream) = &self.role else { return 0 };
        match failure(stream) {
            Some(error) if !told => {
                self.told = true;
                Errno::from(error).0
            }
            _ => 0,
        }
    }

    pub(super) fn unread(&mut self) -> Result<i32> {
        let Role::Stream(stream) = &mut self.role else { return Err(Errno::EINVAL) };
        Ok(stream.info()?.unread as i32)
    }

    pub(super) fn unsent(&mut self) -> Result<i32> {
        let Role::Stream(stream) = &mut self.role else { return Err(Errno::EINVAL) };
        let info = stream.info()?;
        Ok((info.unacked + info.unsent) as i32)
    }

    pub(super) fn events(&mut self) -> i32 {
        let (told, reader_done) = (self.told, self.reader_done);
        match &mut self.role {
            Role::Idle => c::POLLOUT | c::POLLHUP,
            Role::Listener(listener) => match listener.is_acceptable() {
                Ok(true) => c::POLLIN | c::POLLRDNORM,
                Ok(false) | Err(_) => 0,
            },
            Role::Stream(stream) => {
                let failed = failure(stream).is_some();
                let readable = stream.is_readable().unwrap_or(true);
                let state = stream.state().unwrap_or(State::Closed);
                let writable = stream.is_writable().unwrap_or(true);
                let ended =
                    matches!(state, State::CloseWait | State::LastAck | State::Closing | State::Closed);
                let mut events = if readable || reader_done { c::POLLIN | c::POLLRDNORM } else { 0 };
                events |= if writable { c::POLLOUT | c::POLLWRNORM } else { 0 };
                events |= if ended { c::POLLRDHUP } else { 0 };
                events |= if state == State::Closed { c::POLLHUP } else { 0 };
                events | if failed && !told { c::POLLERR } else { 0 }
            }
        }
    }

    pub(super) fn local_address(&mut self) -> Result<SocketAddr> {
        let any = SocketAddr::new(unspecified(self.v6), 0);
        let v6 = self.v6;
        match &self.role {
            Role::Idle | Role::Listener(_) => Ok(self.local.unwrap_or(any)),
            Role::Stream(stream) => Ok(shown(stream.local_addr()?, v6)),
        }
    }

    pub(super) fn peer_address(&mut self) -> Result<SocketAddr> {
        let v6 = self.v6;
        let stream = self.stream()?;
        Ok(shown(stream.peer_addr()?, v6))
    }
}

/// Why the connection, or the attempt at one, has ended.
fn failure(stream: &TcpStream) -> Option<Error> {
    // Before that it would take a problem that may pass.
    let has_ended = stream.state() == Ok(State::Closed);
    has_ended.then(|| stream.take_error().ok()?)?
}
