//! A heap that gives nothing more from some point on: calls fail by their ordinary errors, what arrives is
//! dropped and counted, and with memory everything goes on. Without the harness, whose threads would
//! allocate, too.

use barenet::counters::TcpCount;
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::{Duration, Instant};
use barenet::wait::Spin;
use barenet::{Error, Net, Platform, TcpListener, TcpStream, UdpSocket};
use cap::Cap;
use std::alloc::System;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// The heap grows by this from run to run, until a run has all that it wants.
const STEP: usize = 256;
const FLOWS: usize = 24;
const SOCKETS: usize = 8;
/// What each client sends.
const TEXT: usize = 3000;
const PORT: u16 = 7;

/// A machine whose clock moves when it sleeps.
struct Machine(AtomicU64);

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn idle(&self, until: Option<Instant>) {
        let until = until.unwrap_or(self.now() + Duration::from_millis(10));
        self.0.fetch_max(until.micros(), Ordering::Relaxed);
    }
    fn wake(&self) {}
}

static MACHINE: Machine = Machine(AtomicU64::new(1));

fn byte(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

/// Both ends of a connection, and how far its text has come.
struct Flow {
    client: TcpStream,
    server: TcpStream,
    sent: usize,
    got: usize,
}

/// All that a run holds, in the memory that it has from the start.
struct Run {
    net: Net,
    listener: TcpListener,
    flows: [Option<Flow>; FLOWS],
    sockets: [Option<UdpSocket>; SOCKETS],
    listeners: [Option<TcpListener>; SOCKETS],
    /// Calls that failed for want of memory, and the first other error.
    refused: usize,
    /// Connections that ended because others needed their memory.
    gave_way: usize,
    other: Option<Error>,
}

impl Run {
    fn new() -> Run {
        let limits =
            Limits { memory: 256 << 10, block_len: 512, connections: 1000, active: 8, ..Limits::default() };
        let net = Net::new(Stack::new(Storage::heap(&limits), [5; 32]), &MACHINE, &Spin).unwrap();
        let listener = TcpListener::bind(&net, PORT).unwrap();
        Run {
            net,
            listener,
            flows: [const { None }; FLOWS],
            sockets: [const { None }; SOCKETS],
            listeners: [const { None }; SOCKETS],
            refused: 0,
            gave_way: 0,
            other: None,
        }
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(Error::WouldBlock) => {}
            // Without memory for it a SYN is as good as lost.
            Err(Error::OutOfMemory | Error::TooManySockets | Error::TimedOut) => self.refused += 1,
            Err(error) => self.other = self.other.or(Some(error)),
        }
        None
    }

    fn open(&mut self) -> Option<Flow> {
        let to = SocketAddr::from(([127, 0, 0, 1], PORT));
        let client = TcpStream::connect_timeout(&self.net, to, Duration::from_millis(100));
        let client = self.note(client)?;
        let accepted = self.listener.try_accept();
        let (server, _) = self.note(accepted)?;
        Some(Flow { client, server, sent: 0, got: 0 })
    }

    /// A turn of all flows. True: all that are open have had their text.
    fn exchange(&mut self) -> bool {
        let (mut buf, mut done) = ([0; 700], true);
        for n in 0..FLOWS {
            let Some(mut flow) = self.flows[n].take() else { continue };
            let len = (TEXT - flow.sent).min(buf.len());
            (0..len).for_each(|i| buf[i] = byte(flow.sent + i));
            let written = if len > 0 { flow.client.try_write(&buf[..len]) } else { Ok(0) };
            // The peer's window was closed for long, for want of memory on its side.
            if written == Err(Error::ConnectionAborted) {
                self.gave_way += 1;
                continue;
            }
            flow.sent += self.note(written).unwrap_or(0);
            let read = flow.server.try_read(&mut buf);
            let read = self.note(read).unwrap_or(0);
            let right = buf[..read].iter().enumerate().all(|(i, b)| *b == byte(flow.got + i));
            if !right {
                self.other = Some(Error::InvalidInput("other bytes than were sent"));
            }
            flow.got += read;
            done &= flow.got == TEXT;
            self.flows[n] = Some(flow);
        }
        let next = self.net.turn();
        self.net.idle(next);
        done
    }

    /// A bit of everything.
    fn live(&mut self) {
        for n in 0..FLOWS {
            self.flows[n] = self.open();
            if let Some(flow) = &mut self.flows[n] {
                // Each with a set of its own.
                let set = flow.client.configure(|o| o.unsent_max = Some(10_000 + n as u32));
                self.note(set);
            }
        }
        for n in 0..SOCKETS {
            let bound = UdpSocket::bind(&self.net, 100 + n as u16);
            self.sockets[n] = self.note(bound);
            let listener = TcpListener::bind(&self.net, 200 + n as u16);
            self.listeners[n] = self.note(listener);
            if let Some(socket) = &self.sockets[n] {
                let sent = socket.try_send_to(&[1; 900], SocketAddr::from(([127, 0, 0, 1], 100)));
                self.note(sent);
            }
        }
        for _ in 0..40 {
            self.exchange();
        }
        // Half of them end, and wait for 2 MSL.
        for n in (0..FLOWS).step_by(2) {
            self.flows[n] = None;
            self.exchange();
        }
    }
}

/// H199: how much there is, swept. Whatever the heap refuses, nothing aborts or panics, text that was taken arrives, or
/// its writer learns that the connection gave way to others; and afterwards there is room again.
/// H280: at every point; a table that cannot grow is full.
fn main() {
    let (mut allowed, mut runs, mut refusals) = (0, 0, 0);
    loop {
        let mut run = Run::new();
        HEAP.set_limit(HEAP.allocated() + allowed).unwrap();
        run.live();
        HEAP.set_limit(usize::MAX).unwrap();
        assert_eq!(run.other, None, "with {allowed} bytes");
        let refused = run.refused;
        let end = MACHINE.now() + Duration::from_secs(300);
        while !run.exchange() {
            assert!(MACHINE.now() < end, "with {allowed} bytes: something waits for ever");
        }
        let stalled = run.net.with_stack(|stack| {
            stack.check();
            stack.tcp_counts().get(TcpCount::StalledGaveWay)
        });
        assert!(run.gave_way as u64 <= stalled, "with {allowed} bytes: {} of {stalled}", run.gave_way);
        let fresh = TcpStream::connect(&run.net, SocketAddr::from(([127, 0, 0, 1], PORT)));
        assert!(fresh.is_ok(), "with {allowed} bytes: {fresh:?}");
        assert_eq!(run.other, None, "with {allowed} bytes");
        (runs, refusals) = (runs + 1, refusals + refused);
        if refused == 0 && run.flows.iter().flatten().count() == FLOWS / 2 {
            break;
        }
        allowed += STEP;
    }
    println!("{runs} runs up to {allowed} bytes, {refusals} refusals");
    assert!(runs > 20 && refusals > 100);
}
