//! Two machines and the link between them.

use super::input::{Call, Fate, Input, Machine, Side, Step};
use super::wire;
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{ListenerHandle, Readiness, Stack, Storage, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet::udp::{DatagramHandle, DatagramKind};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::Waker;

const PORT: u16 = 80;
const UDP_PORT: u16 = 53;
/// Turns at one instant, and frames that answer each other at one instant. More is a stack that spins.
const TURNS_MAX: usize = 1_000;
/// Timers that fire while time passes in one step; beyond them the next turn comes late.
const TIMERS_MAX: usize = 300;
/// Frames that wait on the link in one direction; beyond them they are lost.
const QUEUE_MAX: usize = 300;
/// By then everything that was let go of is over: R2 with its last back-off, and TIME-WAIT.
const REST: Duration = Duration::from_secs(3_600);

/// A device that an input makes as bad as it likes.
struct Line {
    capabilities: Capabilities,
    /// Frames that it takes before it is full.
    room: usize,
    refuses: bool,
    sent: VecDeque<Vec<u8>>,
}

impl Device for Line {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if self.refuses {
            return Err(TxError::Refused);
        }
        if self.room == 0 {
            return Err(TxError::Full);
        }
        self.room -= usize::from(self.room != usize::MAX);
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        let most = match frame.offload.segment {
            Some(s) if s.v6 => self.capabilities.tso6 as usize,
            Some(_) => self.capabilities.tso4 as usize,
            None => self.capabilities.mtu.into(),
        };
        assert!(bytes.len() <= 14 + most, "a frame beyond what the device takes");
        // The other side takes it as it is, and checks what it says.
        if frame.offload.checksum.is_some() {
            wire::complete(&mut bytes);
        }
        if self.sent.len() < QUEUE_MAX {
            self.sent.push_back(bytes);
        }
        Ok(())
    }
}

struct Host {
    number: u8,
    stack: Stack<'static>,
    id: InterfaceId,
    line: Line,
    listeners: Vec<ListenerHandle>,
    streams: Vec<TcpHandle>,
    sockets: Vec<DatagramHandle>,
    /// The last segment that arrived: what a forger would start from.
    heard: Vec<u8>,
}

fn address(number: u8, v6: bool) -> IpAddr {
    match v6 {
        false => IpAddr::from([10, 0, 0, number]),
        true => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

impl Host {
    fn new(number: u8, machine: &Machine, mtu: u16, now: Instant) -> Host {
        let mut capabilities = Capabilities::new(Mac([2, 0, 0, 0, 0, number]), mtu);
        if machine.checksum {
            capabilities = capabilities.with_tx_checksum();
        }
        if machine.tso {
            capabilities = capabilities.with_tso(65_535, 65_535);
        }
        let mut stack = Stack::new(Storage::heap(&machine.limits()), [number; 32]);
        // What is outside its range is refused, and the usual stays.
        let _ = stack.configure_tcp(|config| *config = machine.config());
        let id = stack.add_interface(capabilities).expect("the first interface");
        let line = Line { capabilities, room: usize::MAX, refuses: false, sent: VecDeque::new() };
        let (listeners, streams, sockets) = (vec![], vec![], vec![]);
        let mut host = Host { number, stack, id, line, listeners, streams, sockets, heard: vec![] };
        host.set_address(false, true, now);
        host.set_address(true, true, now);
        host
    }

    fn set_address(&mut self, v6: bool, there: bool, now: Instant) {
        let address = address(self.number, v6);
        let _ = match there {
            true => self.stack.add_address(
                self.id,
                Cidr::new(address, if v6 { 64 } else { 24 }).expect("a prefix"),
                now,
            ),
            false => self.stack.remove_address(self.id, address, now),
        };
    }

    fn get(&mut self, frame: &[u8], now: Instant) {
        if wire::is_tcp(frame) {
            self.heard = frame.to_vec();
        }
        self.stack.on_frame(self.id, RxFrame::plain(&[frame]), now);
        self.wake();
    }

    /// Turns until nothing is due now, or nothing can be sent.
    fn turn(&mut self, now: Instant) {
        for _ in 0..TURNS_MAX {
            self.stack.on_timers(now);
            self.stack.egress(self.id, &mut self.line, now);
            self.wake();
            match self.stack.next_deadline(now) {
                Some(at) if at <= now => {}
                Some(at) => return assert!(at < Instant::FAR_FUTURE, "a deadline that never comes"),
                None => return,
            }
        }
        panic!("the deadline is always now");
    }

    /// There are no tasks: what would wake one is only taken.
    fn wake(&mut self) {
        while let Some(waker) = self.stack.next_woken() {
            waker.wake();
        }
    }

    fn flap(&mut self, now: Instant) {
        self.stack.remove_interface(self.id, now).expect("an interface");
        self.stack.check();
        self.id = self.stack.add_interface(self.line.capabilities).expect("its place is free");
        self.line.sent.clear();
        self.set_address(false, true, now);
        self.set_address(true, true, now);
    }

    fn stream(&self, which: u8) -> Option<TcpHandle> {
        self.streams.get(usize::from(which) % self.streams.len().max(1)).copied()
    }

    fn take_stream(&mut self, which: u8) -> Option<TcpHandle> {
        let len = self.streams.len();
        (len > 0).then(|| self.streams.swap_remove(usize::from(which) % len))
    }

    fn socket(&self, which: u8) -> Option<DatagramHandle> {
        self.sockets.get(usize::from(which) % self.sockets.len().max(1)).copied()
    }

    /// Errors are answers; what counts is that the stack stays whole.
    fn call(&mut self, call: &Call, now: Instant) {
        let mut buf = [0; 9_000];
        let peer = 3 - self.number;
        let stack = &mut self.stack;
        match *call {
            Call::Listen(backlog) => {
                let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
                self.listeners.extend(stack.tcp_listen(any, u16::from(backlog % 8)).map(|l| l.0));
            }
            Call::Unlisten => self.listeners.drain(..).for_each(|l| stack.tcp_unlisten(l, now)),
            Call::Accept => {
                let accepted = self.listeners.iter().filter_map(|l| stack.tcp_accept(*l).ok());
                self.streams.extend(accepted.map(|(handle, _)| handle));
            }
            Call::Connect { v6, own_port, elsewhere } => {
                let to = SocketAddr::new(address(if elsewhere { 9 } else { peer }, v6), PORT);
                let from = own_port.then(|| SocketAddr::new(address(self.number, v6), PORT));
                self.streams.extend(stack.tcp_connect(to, from, now));
            }
            Call::Bind { v6 } => {
                let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { [0, 0, 0, 0].into() };
                let to = SocketAddr::new(any, UDP_PORT);
                self.sockets.extend(stack.datagram_bind(DatagramKind::Udp, to, false));
            }
            Call::Close(which) | Call::Abort(which) => {
                let close = matches!(call, Call::Close(_));
                let Some(handle) = self.take_stream(which) else { return };
                if close { self.stack.tcp_close(handle, now) } else { self.stack.tcp_abort(handle, now) }
            }
            Call::CloseSocket(which) => {
                let len = self.sockets.len();
                if len > 0 {
                    let handle = self.sockets.swap_remove(usize::from(which) % len);
                    self.stack.datagram_close(handle);
                }
            }
            Call::Send(which, len, v6) => {
                let Some(handle) = self.socket(which) else { return };
                let (to, len) = (SocketAddr::new(address(peer, v6), UDP_PORT), usize::from(len) % buf.len());
                let _ = self.stack.datagram_send(handle, Some(to), &buf[..len], Some(Waker::noop()), now);
            }
            Call::Receive(which) => {
                let Some(handle) = self.socket(which) else { return };
                let _ = self.stack.datagram_receive(handle, &mut buf, false, Some(Waker::noop()));
            }
            _ => self.stream_call(call, &mut buf, now),
        }
    }

    fn stream_call(&mut self, call: &Call, buf: &mut [u8], now: Instant) {
        let which = match *call {
            Call::Write(w, _) | Call::WriteWhole(w, _) | Call::Read(w, _) | Call::Peek(w) => w,
            Call::ShutdownWrite(w) | Call::ShutdownRead(w) | Call::Options(w, _) | Call::Wait(w, _) => w,
            _ => return,
        };
        let Some(handle) = self.stream(which) else { return };
        let (stack, most) = (&mut self.stack, buf.len());
        let part = |len: u16| usize::from(len) % most;
        match call {
            Call::Write(_, len) => {
                if let Ok(n) = stack.tcp_write(handle, &buf[..part(*len)], now) {
                    assert!(n <= part(*len), "more written than there is");
                }
            }
            Call::WriteWhole(_, len) => {
                stack.tcp_write_whole(handle, &buf[..part(*len)], now).map_or((), |()| ())
            }
            Call::Read(_, len) => drop(stack.tcp_read(handle, &mut buf[..part(*len)], now)),
            Call::Peek(_) => drop(stack.tcp_peek(handle, buf, now)),
            Call::ShutdownWrite(_) => drop(stack.tcp_shutdown_write(handle, now)),
            Call::ShutdownRead(_) => drop(stack.tcp_shutdown_read(handle, now)),
            Call::Options(_, machine) => drop(stack.tcp_set_options(handle, machine.options(), now)),
            Call::Wait(_, reads) => {
                let readiness = if *reads { Readiness::Readable } else { Readiness::Writable };
                stack.tcp_register(handle, readiness, Waker::noop(), now);
                let _ = stack.tcp_info(handle, now);
            }
            _ => {}
        }
    }
}

pub(super) struct World {
    hosts: [Host; 2],
    now: Instant,
}

impl World {
    pub(super) fn new(input: &Input) -> World {
        let mtu = input.machines[0].mtu().min(input.machines[1].mtu());
        // Soon after, 32 bits of milliseconds are used up.
        let now = Instant::from_millis(4_294_960_000);
        let host = |n: usize| Host::new(n as u8 + 1, &input.machines[n], mtu, now);
        let mut world = World { hosts: [host(0), host(1)], now };
        for (n, v6) in input.opened.into_iter().enumerate() {
            let (from, to) = (n % 2, 1 - n % 2);
            world.hosts[to].call(&Call::Listen(3), now);
            world.hosts[from].call(&Call::Connect { v6, own_port: false, elsewhere: false }, now);
            world.hosts[from].call(&Call::Write(n as u8, 200), now);
            world.settle(Duration::from_millis(100));
            world.hosts[to].call(&Call::Accept, now);
            world.check();
        }
        world
    }

    pub(super) fn step(&mut self, step: &Step) {
        let (now, side) = (self.now, |side: Side| usize::from(side));
        match step {
            Step::Settle(ms) => self.settle(Duration::from_millis((*ms).into())),
            Step::Wait(ms) => self.pass_time(Duration::from_millis((*ms).into()), false),
            Step::Jump(s) => {
                self.now += Duration::from_millis(u64::from(*s) * 1000 / 16);
                self.turn();
            }
            Step::Pass(from, count) => {
                for _ in 0..*count {
                    let Some(frame) = self.hosts[side(*from)].line.sent.pop_front() else { break };
                    self.hosts[side(!*from)].get(&frame, now);
                }
                self.turn();
            }
            Step::Frame(from, at, fate) => self.frame(*from, usize::from(*at), fate),
            Step::Forge(to, how) => {
                let host = &mut self.hosts[side(*to)];
                if let Some(frame) = wire::forge(&host.heard, how) {
                    host.stack.on_frame(host.id, RxFrame::plain(&[&frame]), now);
                }
                self.turn();
            }
            Step::Raw(to, kind, bytes) => {
                let host = &mut self.hosts[side(*to)];
                let ours = [2, 0, 0, 0, 0, host.number];
                host.get(&[&ours, &[2, 0, 0, 0, 0, 7], &kind[..], bytes].concat(), now);
                self.turn();
            }
            Step::Room(of, room) => {
                let room = if *room == u8::MAX { usize::MAX } else { usize::from(*room) };
                self.hosts[side(*of)].line.room = room;
                self.turn();
            }
            Step::Refuse(of, refuses) => self.hosts[side(*of)].line.refuses = *refuses,
            Step::Flap(of) => self.hosts[side(*of)].flap(now),
            Step::Address(of, v6, there) => self.hosts[side(*of)].set_address(*v6, *there, now),
            Step::Call(of, call) => {
                self.hosts[side(*of)].call(call, now);
                self.turn();
            }
        }
    }

    fn frame(&mut self, from: Side, at: usize, fate: &Fate) {
        let (now, [a, b]) = (self.now, [usize::from(from), usize::from(!from)]);
        let queue = &mut self.hosts[a].line.sent;
        if queue.is_empty() {
            return;
        }
        let at = at % queue.len();
        match fate {
            Fate::Lost => drop(queue.remove(at)),
            Fate::Twice => {
                let frame = queue[at].clone();
                self.hosts[b].get(&frame, now);
            }
            Fate::Overtakes => {
                let frame = queue.remove(at).unwrap_or_default();
                self.hosts[b].get(&frame, now);
            }
            Fate::Flipped(bit, right) => {
                wire::flip(&mut queue[at], *bit);
                if *right {
                    wire::complete(&mut queue[at]);
                }
            }
            Fate::Marked => wire::mark(&mut queue[at]),
            Fate::TooBig(mtu) => {
                let answer = wire::too_big(&queue[at], *mtu);
                answer.iter().for_each(|frame| self.hosts[a].get(frame, now));
            }
        }
        self.turn();
    }

    fn turn(&mut self) {
        let now = self.now;
        self.hosts.iter_mut().for_each(|host| host.turn(now));
    }

    /// Time passes on a good link.
    pub(super) fn settle(&mut self, time: Duration) {
        self.pass_time(time, true);
    }

    fn pass_time(&mut self, time: Duration, frames_cross: bool) {
        let end = self.now + time;
        for _ in 0..TIMERS_MAX {
            self.turn();
            if frames_cross {
                self.cross();
            }
            let now = self.now;
            let due = self.hosts.iter().filter_map(|h| h.stack.next_deadline(now)).min();
            match due {
                Some(at) if at <= end => self.now = at.max(now),
                _ => break,
            }
        }
        self.now = self.now.max(end);
        self.turn();
    }

    /// Every frame on the link arrives, and what answers them.
    fn cross(&mut self) {
        for _ in 0..TURNS_MAX {
            let mut any = false;
            for from in [0, 1] {
                let now = self.now;
                while let Some(frame) = self.hosts[from].line.sent.pop_front() {
                    self.hosts[1 - from].get(&frame, now);
                    any = true;
                }
            }
            self.turn();
            if !any {
                return;
            }
            // A link takes time; without it a transfer would be one instant.
            self.now += Duration::from_micros(100);
        }
    }

    pub(super) fn check(&self) {
        for host in &self.hosts {
            host.stack.check();
            let (used, capacity) = host.stack.memory();
            assert!(used <= capacity, "more memory in use than there is");
        }
    }

    pub(super) fn heal(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            (host.line.room, host.line.refuses) = (usize::MAX, false);
            host.set_address(false, true, now);
            host.set_address(true, true, now);
        }
        self.turn();
    }

    /// Every application ends, some in order.
    pub(super) fn let_go(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            host.call(&Call::Unlisten, now);
            for n in 0..host.streams.len() {
                host.call(&if n % 2 == 0 { Call::Close(0) } else { Call::Abort(0) }, now);
            }
            while !host.sockets.is_empty() {
                host.call(&Call::CloseSocket(0), now);
            }
        }
    }

    /// What nobody holds any more comes to its end.
    pub(super) fn comes_to_rest(&mut self) {
        let end = self.now + REST;
        // What waits for a neighbour, or for its turn, goes or is given up.
        self.settle(Duration::from_secs(30));
        while self.now < end && self.hosts.iter().any(|h| h.stack.tcp_count() != (0, 0)) {
            self.settle(Duration::from_secs(30));
            self.check();
        }
        for host in &self.hosts {
            let (number, left) = (host.number, host.stack.tcp_count());
            assert_eq!(left, (0, 0), "machine {number} holds connections that nobody has");
            assert_eq!(host.stack.memory().0, 0, "machine {number} holds memory for nobody");
        }
    }
}
