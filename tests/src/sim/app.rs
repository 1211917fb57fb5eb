//! An application at one end of a connection. It acts when it was woken or its pause is over, and
//! never looks otherwise: a wake-up that is lost stops the run.

use super::options::{Ending, Script};
use super::stream;
use barenet::stack::{ListenerHandle, Readiness, Stack, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet::{Error, TcpInfo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// Remembers that it was woken.
#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One way of waiting: reading or writing.
#[derive(Debug)]
struct Wait {
    flag: Arc<Flag>,
    waker: Waker,
    /// Pausing until then.
    pause: Instant,
}

impl Wait {
    fn new() -> Wait {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Wait { waker: Waker::from(flag.clone()), flag, pause: Instant::ZERO }
    }

    fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::Relaxed)
    }

    fn may(&self, now: Instant) -> bool {
        self.is_woken() && self.pause <= now
    }

    /// When it wants to go on; `None`: when woken.
    fn deadline(&self) -> Option<Instant> {
        self.is_woken().then_some(self.pause)
    }

    /// To be called with the registration of the waker.
    fn sleep(&self) -> &Waker {
        self.flag.0.store(false, Ordering::Relaxed);
        &self.waker
    }
}

/// How the application ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Everything sent, everything read to the peer's FIN.
    Orderly,
    /// It let go, or reset the connection, as its script says.
    Left,
    /// The connection failed.
    Failed(Error),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// A client that has not begun.
    Idle(SocketAddr),
    /// A server without its client.
    Listening(ListenerHandle),
    Connecting(TcpHandle),
    Open(TcpHandle),
    Done(Outcome),
}

/// One end of one flow.
#[derive(Debug)]
pub(super) struct App {
    pub(super) name: String,
    /// The flow's number, and which of its ends this is: 0 the client, 1 the server.
    pub(super) flow: usize,
    pub(super) end: usize,
    script: Script,
    pub(super) state: State,
    remote: Option<SocketAddr>,
    /// Salts of the two streams, and how far they are.
    salts: [u64; 2],
    pub(super) written: u64,
    pub(super) read: u64,
    shut: bool,
    ended: bool,
    reading: Wait,
    writing: Wait,
    /// What was known of the connection when the application parted with it.
    pub(super) last_info: Option<TcpInfo>,
    /// How often it tries again where nobody answers.
    tries: u32,
    /// What it failed with before it tried again.
    reset_before: Option<Error>,
    buffer: Vec<u8>,
}

/// How long a client waits before it tries again, and how often it does.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const TRIES_MAX: u32 = 60;

impl App {
    /// An end of a flow, and the salts of the streams: the one that it sends, and the other.
    pub(super) fn new(
        (flow, end): (usize, usize),
        host: usize,
        script: Script,
        state: State,
        salts: [u64; 2],
        begins: Instant,
    ) -> App {
        let name = format!("flow {flow} {} (host {host})", ["client", "server"][end]);
        let remote = match state {
            State::Idle(remote) => Some(remote),
            _ => None,
        };
        let mut app = App {
            name,
            flow,
            end,
            script,
            state,
            remote,
            salts,
            written: 0,
            read: 0,
            shut: false,
            ended: false,
            reading: Wait::new(),
            writing: Wait::new(),
            last_info: None,
            tries: 0,
            reset_before: None,
            buffer: vec![0; script.read_len as usize],
        };
        app.writing.pause = begins;
        app
    }

    /// When it wants its next step without being woken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Done(_) => None,
            State::Idle(_) => self.writing.deadline(),
            State::Connecting(_) => self.writing.is_woken().then_some(Instant::ZERO),
            State::Listening(_) => self.reading.deadline(),
            State::Open(_) => {
                let write = self.writing.deadline().filter(|_| self.written < self.script.send);
                let read = self.reading.deadline().filter(|_| !self.ended);
                [write, read].into_iter().flatten().min()
            }
        }
    }

    /// What a step can change.
    pub(super) fn stands(&self) -> (State, u64, u64, bool, bool) {
        (self.state, self.written, self.read, self.shut, self.ended)
    }

    /// Does all that can be done at `now`.
    pub(super) fn step(&mut self, stack: &mut Stack<'_>, now: Instant) -> Result<(), String> {
        match self.state {
            State::Idle(remote) if self.writing.may(now) => self.connect(stack, remote, now),
            State::Connecting(handle) if self.writing.is_woken() => self.connecting(stack, handle, now),
            State::Listening(listener) if self.reading.may(now) => self.accept(stack, listener, now),
            State::Open(handle) => self.open(stack, handle, now),
            _ => Ok(()),
        }
    }

    fn connect(&mut self, stack: &mut Stack<'_>, remote: SocketAddr, now: Instant) -> Result<(), String> {
        let handle =
            stack.tcp_connect(remote, None, now).map_err(|e| format!("{}: connect: {e}", self.name))?;
        if self.script.nodelay {
            self.expect("set_nodelay", stack.tcp_set_nodelay(handle, true, now))?;
        }
        self.state = State::Connecting(handle);
        // Data that is written before the handshake is over goes out after it.
        if self.script.write_len.is_multiple_of(2) {
            self.write(stack, handle, now)?;
        }
        self.connecting(stack, handle, now)
    }

    fn connecting(&mut self, stack: &mut Stack<'_>, handle: TcpHandle, now: Instant) -> Result<(), String> {
        match stack.tcp_connected(handle) {
            Ok(()) => {
                self.reading.pause = now + self.script.read_wait;
                self.state = State::Open(handle);
                self.open(stack, handle, now)
            }
            Err(Error::WouldBlock) => {
                stack.tcp_register(handle, Readiness::Writable, self.writing.sleep(), now);
                // Some give up at once (H003).
                if matches!(self.script.ending, Ending::Early(0) | Ending::Abort(0)) {
                    self.part(stack, handle, now);
                }
                Ok(())
            }
            // Nobody answered ARP or NDP, since the link lost it all. A program tries again.
            Err(Error::HostUnreachable) if self.tries < TRIES_MAX => {
                stack.tcp_close(handle, now);
                self.tries += 1;
                self.writing.pause = now + RETRY_PAUSE;
                (self.written, self.shut) = (0, false);
                self.state = self.remote.map_or(self.state, State::Idle);
                Ok(())
            }
            Err(error) => {
                self.fail(stack, handle, error, now);
                Ok(())
            }
        }
    }

    fn accept(
        &mut self,
        stack: &mut Stack<'_>,
        listener: ListenerHandle,
        now: Instant,
    ) -> Result<(), String> {
        match stack.tcp_accept(listener) {
            Ok((handle, _)) => {
                stack.tcp_unlisten(listener, now);
                self.expect("set_nodelay", stack.tcp_set_nodelay(handle, self.script.nodelay, now))?;
                self.reading.pause = now + self.script.read_wait;
                self.state = State::Open(handle);
                self.open(stack, handle, now)
            }
            Err(Error::WouldBlock) => {
                stack.tcp_register_acceptor(listener, self.reading.sleep());
                Ok(())
            }
            Err(error) => Err(format!("{}: accept: {error}", self.name)),
        }
    }

    fn open(&mut self, stack: &mut Stack<'_>, handle: TcpHandle, now: Instant) -> Result<(), String> {
        self.write(stack, handle, now)?;
        self.finish_writing(stack, handle, now)?;
        if matches!(self.state, State::Open(_)) {
            self.read(stack, handle, now)?;
        }
        self.finish_writing(stack, handle, now)?;
        if matches!(self.state, State::Open(_)) {
            self.part(stack, handle, now);
        }
        Ok(())
    }

    fn write(&mut self, stack: &mut Stack<'_>, handle: TcpHandle, now: Instant) -> Result<(), String> {
        while self.written < self.script.send && self.writing.may(now) {
            let len = self.script.write_len.min(self.script.send - self.written) as usize;
            let half = self.script.send / 2;
            match stack.tcp_write(handle, stream::bytes(self.salts[0], self.written, len), now) {
                Ok(n) if n == 0 || n > len => return Err(format!("{}: wrote {n} of {len}", self.name)),
                Ok(n) => {
                    let is_half = self.written <= half && half < self.written + n as u64;
                    self.written += n as u64;
                    let idle = if is_half { self.script.idle } else { Duration::ZERO };
                    self.writing.pause = now + self.script.write_pause + idle;
                }
                Err(Error::WouldBlock) => {
                    stack.tcp_register(handle, Readiness::Writable, self.writing.sleep(), now);
                }
                Err(error) => {
                    self.fail(stack, handle, error, now);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Closes the sending side when the script says so.
    fn finish_writing(
        &mut self,
        stack: &mut Stack<'_>,
        handle: TcpHandle,
        now: Instant,
    ) -> Result<(), String> {
        let due = match self.script.ending {
            Ending::Orderly => true,
            Ending::AfterPeer => self.ended,
            Ending::LetGo | Ending::Early(_) | Ending::Abort(_) => false,
        };
        if due && !self.shut && self.written == self.script.send && matches!(self.state, State::Open(_)) {
            self.shut = true;
            self.expect("shutdown", stack.tcp_shutdown_write(handle, now))?;
        }
        Ok(())
    }

    fn read(&mut self, stack: &mut Stack<'_>, handle: TcpHandle, now: Instant) -> Result<(), String> {
        while !self.ended && self.reading.may(now) {
            let len = self.script.read_len as usize;
            match stack.tcp_read(handle, &mut self.buffer[..len], now) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    let sent = stream::bytes(self.salts[1], self.read, n);
                    if self.buffer[..n] != *sent {
                        let at = (0..n).find(|at| self.buffer[*at] != sent[*at]).unwrap_or(n);
                        let at = self.read + at as u64;
                        return Err(format!("{}: byte {at} is not what was sent", self.name));
                    }
                    self.read += n as u64;
                    self.reading.pause = now + self.script.read_pause;
                }
                Err(Error::WouldBlock) => {
                    stack.tcp_register(handle, Readiness::Readable, self.reading.sleep(), now);
                }
                Err(error) => {
                    self.fail(stack, handle, error, now);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Parts with the connection when the script says so.
    fn part(&mut self, stack: &mut Stack<'_>, handle: TcpHandle, now: Instant) {
        let all = self.written == self.script.send;
        let outcome = match self.script.ending {
            Ending::Orderly | Ending::AfterPeer => (self.shut && self.ended).then_some(Outcome::Orderly),
            Ending::LetGo => all.then_some(Outcome::Left),
            Ending::Early(n) | Ending::Abort(n) => (self.written + self.read >= n).then_some(Outcome::Left),
        };
        let Some(outcome) = outcome else { return };
        self.last_info = self.info(stack, now);
        match self.script.ending {
            Ending::Abort(_) => stack.tcp_abort(handle, now),
            _ => stack.tcp_close(handle, now),
        }
        self.state = State::Done(outcome);
    }

    /// What is known of its connection.
    pub(super) fn info(&self, stack: &Stack<'_>, now: Instant) -> Option<TcpInfo> {
        match self.state {
            State::Connecting(handle) | State::Open(handle) => stack.tcp_info(handle, now).ok(),
            State::Idle(_) | State::Listening(_) | State::Done(_) => self.last_info,
        }
    }

    /// Does it pause, so that nothing need happen?
    pub(super) fn is_pausing(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|at| at > now)
    }

    /// Aborts a connection whose peer is known to have left. True if there was one.
    pub(super) fn give_up(&mut self, stack: &mut Stack<'_>, now: Instant) -> bool {
        let State::Open(handle) = self.state else { return false };
        stack.tcp_abort(handle, now);
        self.state = State::Done(Outcome::Failed(Error::ConnectionReset));
        true
    }

    fn fail(&mut self, stack: &mut Stack<'_>, handle: TcpHandle, error: Error, now: Instant) {
        stack.tcp_close(handle, now);
        // Whoever is reset before the first byte went either way tries again, as programs do.
        let is_unserved = self.end == 0 && (self.written, self.read) == (0, 0);
        if let Some(remote) = self.remote.filter(|_| is_unserved && error == Error::ConnectionReset)
            && self.tries < TRIES_MAX
        {
            self.tries += 1;
            self.reset_before = Some(error);
            self.shut = false;
            self.writing = Wait::new();
            self.reading = Wait::new();
            self.writing.pause = now + RETRY_PAUSE;
            self.state = State::Idle(remote);
            return;
        }
        // Nobody listens any more: it was the server that reset.
        let error = self.reset_before.filter(|_| error == Error::ConnectionRefused).unwrap_or(error);
        self.state = State::Done(Outcome::Failed(error));
    }

    fn expect(&self, what: &str, result: Result<(), Error>) -> Result<(), String> {
        result.map_err(|e| format!("{}: {what}: {e}", self.name))
    }
}
