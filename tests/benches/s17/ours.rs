//! Our stack at an end of the path: one thread with the stack, its device and its applications.

use super::ends::{Host, Shared};
use super::line::{Card, Line};
use super::run::{Job, SLOW_PAUSE, SLOW_READ, Who};
use barenet::device::Mac;
use barenet::stack::{Limits, ListenerHandle, TcpHandle};
use barenet::{Congestion, Error, TcpConfig, time};
use barenet_tests::peers::ours;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Frames that come in before the applications and the way out get their turn.
const BATCH: usize = 64;

struct Ours {
    host: ours::Host<Card>,
    shared: Arc<Shared>,
    role: Role,
    job: Job,
    chunk: Vec<u8>,
}

enum Role {
    Sender { index: usize, flows: usize, open: Vec<Sending> },
    Receiver { listener: ListenerHandle, open: Vec<Receiving> },
}

struct Sending {
    connection: TcpHandle,
    since: Instant,
    left: u64,
}

struct Receiving {
    connection: TcpHandle,
    bytes: Arc<AtomicU64>,
    next_read: Instant,
}

/// Starts it. It turns until the process ends.
pub(super) fn start(host: Host, who: Who, shared: &Arc<Shared>) -> Result<[Arc<Line>; 2], String> {
    let (to, from) = (Line::new()?, Line::new()?);
    let card = Card { mac: Mac([2, 0, 0, 0, 0, host.number]), to: to.clone(), from: from.clone() };
    let mut config = TcpConfig::default();
    if who == Who::BarenetBbr {
        config.congestion = Congestion::Bbr;
    }
    let mut limits = Limits::default();
    // Defaults do for all but the longest path.
    let product = u32::try_from(shared.run.cell.product()).unwrap_or(u32::MAX);
    if product > config.receive_buffer {
        (config.receive_buffer, config.send_buffer) = (4 * product, 4 * product);
        limits.memory = 10 * product as usize;
    }
    let mut net = ours::Host::with_limits(card, host.number, shared.run.seed, config, &limits);
    let role = match host.sends {
        Some((index, flows)) => Role::Sender { index, flows, open: Vec::new() },
        None => {
            let any = (std::net::Ipv6Addr::UNSPECIFIED, super::ends::PORT).into();
            let (listener, _) = net.stack().tcp_listen(any, 64).map_err(|e| e.to_string())?;
            Role::Receiver { listener, open: Vec::new() }
        }
    };
    let mut ours =
        Ours { host: net, shared: shared.clone(), role, job: shared.run.cell.job, chunk: vec![0; 1 << 16] };
    let bell = from.clone();
    std::thread::spawn(move || {
        let start = Instant::now();
        loop {
            let now = time::Instant::from_micros(start.elapsed().as_micros() as u64);
            let came = ours.host.ingress(now, BATCH);
            let wants = ours.applications(now);
            ours.host.egress(now);
            if came == BATCH {
                continue;
            }
            let deadline = ours.host.deadline(now);
            let stack = deadline.map_or(Duration::MAX, |at| at.since(now).into());
            sleep(&bell, stack.min(wants));
        }
    });
    Ok([to, from])
}

/// Until a frame comes or so much time has passed.
fn sleep(bell: &Line, time: Duration) {
    // The start is told by no descriptor.
    let time = time.min(Duration::from_millis(10));
    let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    let _ = poll(&mut [PollFd::new(bell, PollFlags::IN)], Some(&time));
}

impl Ours {
    /// They do what they can: when one wants to be asked again.
    fn applications(&mut self, now: time::Instant) -> Duration {
        let Ours { host, shared, role, job, chunk } = self;
        match role {
            Role::Sender { index, flows, open } => {
                if !shared.is_on() {
                    return Duration::MAX;
                }
                let stack = host.stack();
                while open.len() < *flows {
                    // IPv6 may have no address yet.
                    let Ok(connection) = stack.tcp_connect(shared.to(), None, now) else { break };
                    let left = if let Job::Transfer(bytes) = job { *bytes } else { u64::MAX };
                    open.push(Sending { connection, since: Instant::now(), left });
                }
                open.retain_mut(|s| s.turn(stack, chunk, now, shared, *index));
            }
            Role::Receiver { listener, open } => {
                let stack = host.stack();
                while let Ok((connection, from)) = stack.tcp_accept(*listener) {
                    let bytes = shared.flow(from.ip());
                    open.push(Receiving { connection, bytes, next_read: Instant::now() });
                }
                open.retain_mut(|r| r.turn(stack, chunk, now, *job == Job::Slow));
                if *job == Job::Slow {
                    let waits = |r: &Receiving| r.next_read.saturating_duration_since(Instant::now());
                    return open.iter().map(waits).min().unwrap_or(Duration::MAX);
                }
            }
        }
        Duration::MAX
    }
}

type Stack = barenet::stack::Stack<'static>;

impl Sending {
    /// False: it is over.
    fn turn(
        &mut self,
        stack: &mut Stack,
        chunk: &mut [u8],
        now: time::Instant,
        shared: &Shared,
        index: usize,
    ) -> bool {
        while self.left > 0 {
            let len = (chunk.len() as u64).min(self.left) as usize;
            match stack.tcp_write(self.connection, &chunk[..len], now) {
                Ok(n) => self.left -= n as u64,
                Err(Error::WouldBlock) => return true,
                Err(why) => {
                    shared.fail(format!("sender {index} of ours: {why}"));
                    stack.tcp_close(self.connection, now);
                    return false;
                }
            }
            if self.left == 0 {
                let _ = stack.tcp_shutdown_write(self.connection, now);
            }
        }
        match stack.tcp_read(self.connection, chunk, now) {
            Err(Error::WouldBlock) => true,
            Ok(0) => {
                shared.transferred(self.since.elapsed());
                stack.tcp_close(self.connection, now);
                false
            }
            other => {
                shared.fail(format!("sender {index} of ours: the end of a transfer is {other:?}"));
                stack.tcp_close(self.connection, now);
                false
            }
        }
    }
}

impl Receiving {
    fn turn(&mut self, stack: &mut Stack, chunk: &mut [u8], now: time::Instant, slow: bool) -> bool {
        loop {
            if slow && Instant::now() < self.next_read {
                return true;
            }
            let most = if slow { SLOW_READ } else { chunk.len() };
            match stack.tcp_read(self.connection, &mut chunk[..most], now) {
                Ok(n @ 1..) => {
                    self.bytes.fetch_add(n as u64, Relaxed);
                    self.next_read = Instant::now() + SLOW_PAUSE;
                }
                Err(Error::WouldBlock) => return true,
                Ok(_) | Err(_) => {
                    stack.tcp_close(self.connection, now);
                    return false;
                }
            }
        }
    }
}
