//! Our stack at an end of the path, with its applications. It has no thread: the loop that carries frames turns it
//! with each that arrives, as the kernel turns its own.

use super::ends::{Host, Shared};
use super::run::{Job, SLOW_PAUSE, SLOW_READ, Who};
use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
use barenet::stack::{Limits, ListenerHandle, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet::{Congestion, Error, TcpConfig};
use barenet_tests::peers::ours;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A plain network card of MTU 1500.
struct Card {
    mac: Mac,
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

impl Device for Card {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.mac, 1500)
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some(frame) = self.received.pop_front() else { return false };
        let bytes: [&[u8]; 1] = [&frame];
        sink(RxFrame { bytes: Bytes::new(&bytes), checksum: RxChecksum::Unchecked, segment_len: None });
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        self.sent.push_back(bytes);
        Ok(())
    }
}

pub(super) struct Ours {
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

impl Ours {
    pub(super) fn new(host: Host, who: Who, shared: &Arc<Shared>) -> Result<Ours, String> {
        let mac = Mac([2, 0, 0, 0, 0, host.number]);
        let card = Card { mac, received: VecDeque::new(), sent: VecDeque::new() };
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
        let job = shared.run.cell.job;
        Ok(Ours { host: net, shared: shared.clone(), role, job, chunk: vec![0; 1 << 16] })
    }

    /// A frame has arrived.
    pub(super) fn receive(&mut self, frame: Vec<u8>, now: Instant) {
        self.host.device().received.push_back(frame);
        self.turn(now);
    }

    /// What it sends.
    pub(super) fn sent(&mut self) -> Option<Vec<u8>> {
        self.host.device().sent.pop_front()
    }

    /// It does what it can.
    pub(super) fn turn(&mut self, now: Instant) {
        self.host.ingress(now, usize::MAX);
        self.applications(now);
        self.host.egress(now);
    }

    /// When it wants to be turned even if nothing arrives.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let reads = match &self.role {
            Role::Receiver { open, .. } if self.job == Job::Slow => open.iter().map(|r| r.next_read).min(),
            _ => None,
        };
        self.host.deadline(now).into_iter().chain(reads).min()
    }

    fn applications(&mut self, now: Instant) {
        let Ours { host, shared, role, job, chunk } = self;
        let stack = host.stack();
        match role {
            Role::Sender { .. } if !shared.is_on() => {}
            Role::Sender { index, flows, open } => {
                while open.len() < *flows {
                    // IPv6 may have no address yet.
                    let Ok(connection) = stack.tcp_connect(shared.to(), None, now) else { break };
                    let left = if let Job::Transfer(bytes) = job { *bytes } else { u64::MAX };
                    open.push(Sending { connection, since: now, left });
                }
                open.retain_mut(|s| s.turn(stack, chunk, now, shared, *index));
            }
            Role::Receiver { listener, open } => {
                while let Ok((connection, from)) = stack.tcp_accept(*listener) {
                    open.push(Receiving { connection, bytes: shared.flow(from.ip()), next_read: now });
                }
                open.retain_mut(|r| r.turn(stack, chunk, now, *job == Job::Slow));
            }
        }
    }
}

type Stack = barenet::stack::Stack<'static>;

impl Sending {
    /// False: it is over.
    fn turn(
        &mut self,
        stack: &mut Stack,
        chunk: &mut [u8],
        now: Instant,
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
                shared.transferred(now.since(self.since).into());
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
    fn turn(&mut self, stack: &mut Stack, chunk: &mut [u8], now: Instant, slow: bool) -> bool {
        loop {
            if slow && now < self.next_read {
                return true;
            }
            let most = if slow { SLOW_READ } else { chunk.len() };
            match stack.tcp_read(self.connection, &mut chunk[..most], now) {
                Ok(n @ 1..) => {
                    self.bytes.fetch_add(n as u64, Relaxed);
                    self.next_read = now + Duration::from(SLOW_PAUSE);
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
