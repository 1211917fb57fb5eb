//! Garbage never harms: a million frames, random and mutated, into the pipeline of a stack that has
//! listeners, connections and UDP sockets. No panic, bounded memory, bounded answers, finite deadlines, and
//! afterwards it serves as if nothing had happened.
//!
//! Mutations start from the frames in `seeds/` and from those of the connections themselves.

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, ListenerHandle, Stack, Storage, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet::udp::{DatagramHandle, DatagramKind};
use barenet::{Error, State};
use barenet_tests::sim::Random;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use frames::{address, complete, corpus, seeds};

mod frames;

const MTU: u16 = 1500;
const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// Frames that one frame may bring about at most: a window of segments and a queue that was waiting
/// for a neighbour.
const ANSWERS_MAX: usize = 64 + 256;
const MEMORY: usize = 512 << 10;
const CONNECTIONS: usize = 64;

fn v4(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

fn v6(n: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n).into()
}

/// Takes all frames.
struct Out {
    mac: Mac,
    frames: VecDeque<Vec<u8>>,
}

impl Device for Out {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.mac, MTU)
    }

    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        if bytes.len() > 14 + usize::from(MTU) {
            // The echo of a ping that was longer than the MTU.
            return Err(TxError::Refused);
        }
        self.frames.push_back(bytes);
        Ok(())
    }
}

struct Host {
    stack: Stack<'static>,
    id: InterfaceId,
    out: Out,
}

impl Host {
    fn new(mac: Mac, n: u8, limits: &Limits) -> Host {
        let mut stack = Stack::new(Storage::heap(limits), [n; 32]);
        let out = Out { mac, frames: VecDeque::new() };
        let id = stack.add_interface(out.capabilities()).unwrap();
        stack.add_address(id, Cidr::new(v4(n), 24).unwrap(), Instant::ZERO).unwrap();
        stack.add_address(id, Cidr::new(v6(n.into()), 64).unwrap(), Instant::ZERO).unwrap();
        Host { stack, id, out }
    }

    fn get(&mut self, frame: &[u8], now: Instant) {
        self.stack.on_frame(self.id, RxFrame::plain(&[frame]), now);
    }

    /// Turns until nothing is due now, which must not take long.
    fn turn(&mut self, now: Instant) {
        for _ in 0..50 {
            self.stack.on_timers(now);
            self.stack.egress(self.id, &mut self.out, now);
            self.stack.check();
            match self.stack.next_deadline(now) {
                Some(at) if at <= now => {}
                Some(at) => return assert!(at < Instant::FAR_FUTURE),
                None => return,
            }
        }
        panic!("the deadline is always now");
    }
}

/// Our stack under fire, and a well-behaved one that keeps connections to it.
struct Siege {
    ours: Host,
    peer: Host,
    now: Instant,
    listeners: Vec<ListenerHandle>,
    /// UDP sockets and one for pings.
    datagrams: Vec<DatagramHandle>,
    /// Connections that our application holds.
    held: Vec<TcpHandle>,
    /// What our stack sent last to each of several tuples: enough to forge what it would believe.
    known: VecDeque<Vec<u8>>,
    corpus: Vec<Vec<u8>>,
    random: Random,
    frames_in: u64,
    frames_out: u64,
    written: u64,
}

impl Siege {
    fn new(seed: u64) -> Siege {
        let limits = Limits {
            memory: MEMORY,
            block_len: 508,
            neighbors: 16,
            connections: CONNECTIONS,
            ..Limits::default()
        };
        let mut siege = Siege {
            ours: Host::new(OURS, 1, &limits),
            peer: Host::new(PEER, 2, &Limits::default()),
            now: Instant::from_millis(1_000),
            listeners: vec![],
            datagrams: vec![],
            held: vec![],
            known: VecDeque::new(),
            corpus: corpus(),
            random: Random::new(seed),
            frames_in: 0,
            frames_out: 0,
            written: 0,
        };
        for port in [80, 443, 7] {
            let any = SocketAddr::from(([0; 16], port));
            siege.listeners.push(siege.ours.stack.tcp_listen(any, 16).unwrap().0);
        }
        let sockets = [(DatagramKind::Udp, 53), (DatagramKind::Udp, 5_000), (DatagramKind::Echo, 1)];
        for (kind, port) in sockets {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            siege.datagrams.push(siege.ours.stack.datagram_bind(kind, any, false).unwrap());
        }
        siege
    }

    /// Both stacks talk until they have nothing to say.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            self.ours.turn(self.now);
            self.peer.turn(self.now);
            if self.ours.out.frames.is_empty() && self.peer.out.frames.is_empty() {
                return;
            }
            while let Some(frame) = self.ours.out.frames.pop_front() {
                self.peer.get(&frame, self.now);
                self.remember(frame);
            }
            while let Some(frame) = self.peer.out.frames.pop_front() {
                self.ours.get(&frame, self.now);
                if self.corpus.len() < 2_000 {
                    self.corpus.push(frame);
                }
            }
            self.now += Duration::from_micros(100);
        }
    }

    fn remember(&mut self, frame: Vec<u8>) {
        let tcp = match frame[..] {
            [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, ..] if frame.get(23) == Some(&6) => 34,
            [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, ..] if frame.get(20) == Some(&6) => 54,
            _ => return,
        };
        // Behind a reset there is nothing to forge for.
        if frame.len() >= tcp + 20 && frame[tcp + 13] & 4 == 0 {
            self.known.push_back(frame);
            if self.known.len() > 64 {
                self.known.pop_front();
            }
        }
    }

    /// The peer opens a connection, and our application takes it.
    fn connect(&mut self) {
        let to = if self.random.chance(500_000) { v4(1) } else { v6(1) };
        let port = self.random.pick(&[80, 443, 7]);
        let Ok(handle) = self.peer.stack.tcp_connect(SocketAddr::new(to, port), None, self.now) else {
            return;
        };
        self.settle();
        let _ = self.peer.stack.tcp_write(handle, &[b'x'; 3_000], self.now);
        self.settle();
    }

    /// What an application might do.
    fn application(&mut self) {
        for at in 0..self.listeners.len() {
            while let Ok((handle, _)) = self.ours.stack.tcp_accept(self.listeners[at]) {
                self.held.push(handle);
            }
        }
        let socket = self.random.pick(&self.datagrams);
        if self.random.chance(300_000) {
            let mut buf = [0; 100];
            while self.ours.stack.datagram_receive(socket, &mut buf, false, None).is_ok() {}
        }
        if self.random.chance(300_000) {
            let to = SocketAddr::new(if self.random.chance(500_000) { v4(2) } else { v6(2) }, 7);
            let _ = self.ours.stack.datagram_send(socket, Some(to), b"a datagram", None, self.now);
        }
        if self.held.len() > CONNECTIONS / 2 {
            let handle = self.held.remove(0);
            self.ours.stack.tcp_close(handle, self.now);
        }
        let Some(at) = (!self.held.is_empty()).then(|| self.random.below(self.held.len() as u64) as usize)
        else {
            return;
        };
        let handle = self.held[at];
        match self.random.below(8) {
            0 => {
                self.ours.stack.tcp_close(handle, self.now);
                self.held.swap_remove(at);
            }
            1 => {
                self.ours.stack.tcp_abort(handle, self.now);
                self.held.swap_remove(at);
            }
            2 => _ = self.ours.stack.tcp_shutdown_write(handle, self.now),
            3 | 4 => {
                let n = self.ours.stack.tcp_write(handle, &[b'y'; 5_000], self.now).unwrap_or(0);
                self.written += n as u64;
            }
            5 => {
                let to = SocketAddr::new(v4(2 + self.random.below(3) as u8), 9);
                self.held.extend(self.ours.stack.tcp_connect(to, None, self.now));
            }
            _ => _ = self.ours.stack.tcp_read(handle, &mut [0; 4_000], self.now),
        }
    }

    fn attack(&mut self) {
        let mut frame = match self.random.below(10) {
            0 => self.noise(),
            1..5 => self.forged(),
            _ => self.mutated(),
        };
        if frame.is_empty() {
            frame.push(0);
        }
        let checksum = match self.random.below(20) {
            0 => RxChecksum::Bad,
            1..4 => RxChecksum::Valid,
            _ => RxChecksum::Unchecked,
        };
        let segment_len = self.random.chance(50_000).then(|| self.random.next_u64() as u16);
        let cut = frame.len().min(200 + self.random.below(1_500) as usize);
        let parts = [&frame[..cut], &frame[cut..]];
        let before = self.ours.out.frames.len();
        self.ours.stack.on_frame(
            self.ours.id,
            RxFrame { bytes: Bytes::new(&parts), checksum, segment_len },
            self.now,
        );
        self.ours.turn(self.now);
        self.frames_in += 1;
        let answers = self.ours.out.frames.len() - before;
        assert!(answers <= ANSWERS_MAX, "{answers} answers to {frame:02x?}");
        self.frames_out += answers as u64;
        while let Some(frame) = self.ours.out.frames.pop_front() {
            self.remember(frame);
        }
        let (used, all) = self.ours.stack.memory();
        let (connections, waiting) = self.ours.stack.tcp_count();
        assert!(used <= all && all <= MEMORY && connections <= CONNECTIONS && waiting <= CONNECTIONS);
    }

    /// Random bytes, mostly with our address in front.
    fn noise(&mut self) -> Vec<u8> {
        let r = &mut self.random;
        let len = r.scaled(1, 2_000) as usize;
        let mut frame: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| r.next_u64().to_le_bytes()).collect();
        if frame.len() >= 16 && r.chance(900_000) {
            frame[..6].copy_from_slice(&OURS.0);
            frame[6..12].copy_from_slice(&PEER.0);
            let kind: u16 = r.pick(&[0x800, 0x86dd, 0x806, 0x800, 0x86dd, 0x8100]);
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
            frame[14] = if kind == 0x800 { 0x45 } else { frame[14] };
        }
        frame
    }

    /// A frame of the corpus with some of it changed.
    fn mutated(&mut self) -> Vec<u8> {
        let r = &mut self.random;
        let mut frame = self.corpus[r.below(self.corpus.len() as u64) as usize].clone();
        for _ in 0..r.below(6) {
            if frame.is_empty() {
                break;
            }
            // Headers more often than what they carry.
            let most = if r.chance(800_000) { frame.len().min(80) } else { frame.len() };
            let at = r.below(most as u64) as usize;
            match r.below(8) {
                0 => frame[at] ^= 1 << r.below(8),
                1 => frame[at] = r.pick(&[0, 1, 0x7f, 0x80, 0xff, 4, 5, 6, 17, 58, 44, 43, 60]),
                2 => frame[at] = r.next_u64() as u8,
                3 => frame.truncate(at),
                4 => frame.extend((0..r.below(64)).map(|_| 0xa5)),
                5 => frame.insert(at, r.next_u64() as u8),
                6 => _ = frame.remove(at),
                _ => {
                    let other = &self.corpus[r.below(self.corpus.len() as u64) as usize];
                    let from = at.min(other.len());
                    frame.truncate(at);
                    frame.extend_from_slice(&other[from..]);
                }
            }
        }
        frame.truncate(9_000);
        address(&mut frame, r);
        frame
    }

    /// A segment for a connection that exists, with numbers that are nearly right.
    fn forged(&mut self) -> Vec<u8> {
        let r = &mut self.random;
        if self.known.is_empty() {
            return vec![0; 60];
        }
        let sent = &self.known[r.below(self.known.len() as u64) as usize];
        let ip = if sent[12] == 8 { 20 } else { 40 };
        let tcp = 14 + ip;
        if sent.len() < tcp + 20 {
            return sent.clone();
        }
        let word = |at: usize| u32::from_be_bytes([sent[at], sent[at + 1], sent[at + 2], sent[at + 3]]);
        let near = |r: &mut Random, n: u32| match r.below(6) {
            0 | 1 => n,
            2 => n.wrapping_add(r.below(4) as u32).wrapping_sub(2),
            3 => n.wrapping_add(r.below(3_000) as u32).wrapping_sub(1_500),
            4 => n.wrapping_add(r.below(200_000) as u32).wrapping_sub(100_000),
            _ => r.next_u64() as u32,
        };
        let text_before = (sent.len() - tcp - usize::from(sent[tcp + 12] >> 4) * 4) as u32;
        let (seq, ack) = (near(r, word(tcp + 8)), near(r, word(tcp + 4).wrapping_add(text_before)));
        let flags = match r.below(6) {
            0 => r.next_u64() as u8,
            1 => 0x11,
            2 => 0x04,
            3 => 0x02,
            _ => 0x10,
        };
        let mut frame = sent[..tcp].to_vec();
        // Back to us: addresses and ports the other way round.
        let half = if ip == 20 { 4 } else { 16 };
        let (source, destination) = (tcp - 2 * half, tcp - half);
        frame[source..].rotate_left(half);
        debug_assert_eq!(frame.len() - destination, half);
        frame.extend_from_slice(&sent[tcp + 2..tcp + 4]);
        frame.extend_from_slice(&sent[tcp..tcp + 2]);
        frame.extend_from_slice(&seq.to_be_bytes());
        frame.extend_from_slice(&ack.to_be_bytes());
        let options = if r.chance(300_000) { 4 * r.below(11) as usize } else { 0 };
        frame.extend_from_slice(&[((20 + options) as u8 / 4) << 4, flags]);
        let window = if r.chance(200_000) { 0 } else { r.next_u64() as u16 };
        frame.extend_from_slice(&window.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend((0..options).map(|_| r.pick(&[1, 2, 3, 4, 5, 8, 10, 0, 0xff])));
        let text = if r.chance(500_000) { r.scaled(1, 1_400) } else { 0 };
        frame.extend((0..text).map(|_| b'z'));
        address(&mut frame, r);
        frame
    }

    fn storm(&mut self, frames: u64) {
        for _ in 0..6 {
            self.connect();
        }
        for n in 0..frames {
            self.attack();
            if n % 20 == 0 {
                self.now += Duration::from_micros(self.random.scaled(1, 100_000));
            }
            if n % 50 == 0 {
                self.application();
                self.ours.turn(self.now);
                self.ours.out.frames.clear();
            }
            if n % 1_000 == 0 {
                self.now += Duration::from_millis(self.random.scaled(1, 100_000));
                self.connect();
            }
        }
        assert!(self.frames_out <= 2 * self.frames_in + self.written / 100, "{} answers", self.frames_out);
    }

    /// Everything that the attackers left behind runs out, and the stack serves.
    fn recovers(&mut self) {
        for handle in self.held.drain(..) {
            self.ours.stack.tcp_close(handle, self.now);
        }
        for socket in &self.datagrams {
            let mut buf = [0; 100];
            while !matches!(
                self.ours.stack.datagram_receive(*socket, &mut buf, false, None),
                Err(Error::WouldBlock)
            ) {}
        }
        for _ in 0..1_000 {
            let due = self.ours.stack.next_deadline(self.now).unwrap_or(self.now);
            self.now = due.max(self.now + Duration::from_secs(1));
            self.ours.turn(self.now);
            self.ours.out.frames.clear();
            for at in 0..self.listeners.len() {
                while let Ok((handle, _)) = self.ours.stack.tcp_accept(self.listeners[at]) {
                    self.ours.stack.tcp_close(handle, self.now);
                }
            }
        }
        assert_eq!((self.ours.stack.memory().0, self.ours.stack.tcp_count()), (0, (0, 0)));
        // A new host, since the old one's addresses may have been forged.
        self.peer = Host::new(PEER, 2, &Limits::default());
        for (n, to) in [(0, v4(1)), (1, v6(1))] {
            self.ping(n, to);
            self.datagram(to);
            self.serve(to);
        }
    }

    fn ping(&mut self, n: usize, to: IpAddr) {
        let mut frame = std::fs::read(seeds().join(["icmp-echo.bin", "icmpv6-echo.bin"][n])).unwrap();
        assert!(to.is_ipv4() == (frame[12] == 8));
        complete(&mut frame);
        self.ours.get(&frame, self.now);
        let reply = [0, 129][n];
        let mut replied = false;
        for _ in 0..20 {
            self.ours.turn(self.now);
            self.peer.turn(self.now);
            for frame in std::mem::take(&mut self.ours.out.frames) {
                let at = [34, 54][n];
                replied |= frame.get([23, 20][n]) == Some(&[1, 58][n]) && frame[at] == reply;
                self.peer.get(&frame, self.now);
            }
            for frame in std::mem::take(&mut self.peer.out.frames) {
                self.ours.get(&frame, self.now);
            }
            self.now += Duration::from_millis(1);
        }
        assert!(replied, "no answer to a ping to {to}");
    }

    fn datagram(&mut self, to: IpAddr) {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let socket = self.peer.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap();
        let to = SocketAddr::new(to, 53);
        let sent = self.peer.stack.datagram_send(socket, Some(to), b"question", None, self.now);
        assert_eq!(sent, Ok(8));
        self.settle();
        let mut buf = [0; 100];
        let got = self.ours.stack.datagram_receive(self.datagrams[0], &mut buf, false, None).unwrap();
        assert_eq!((got.len, &buf[..got.len]), (8, &b"question"[..]), "from {to}");
        self.peer.stack.datagram_close(socket);
    }

    fn serve(&mut self, to: IpAddr) {
        let client = self.peer.stack.tcp_connect(SocketAddr::new(to, 80), None, self.now).unwrap();
        self.settle();
        let (server, _) = self.ours.stack.tcp_accept(self.listeners[0]).unwrap();
        let data: Vec<u8> = (0..100_000).map(|i| (i / 7) as u8).collect();
        let (mut sent, mut got, mut back) = (0, vec![], vec![]);
        let mut echoed = 0;
        let mut buf = [0; 10_000];
        for _ in 0..2_000 {
            sent += self.peer.stack.tcp_write(client, &data[sent..], self.now).unwrap_or(0);
            self.settle();
            match self.ours.stack.tcp_read(server, &mut buf, self.now) {
                Ok(n) => got.extend_from_slice(&buf[..n]),
                Err(e) => assert_eq!(e, Error::WouldBlock),
            }
            echoed += self.ours.stack.tcp_write(server, &got[echoed..], self.now).unwrap_or(0);
            self.settle();
            match self.peer.stack.tcp_read(client, &mut buf, self.now) {
                Ok(n) => back.extend_from_slice(&buf[..n]),
                Err(e) => assert_eq!(e, Error::WouldBlock),
            }
            if back.len() == data.len() {
                break;
            }
            self.now += Duration::from_millis(1);
        }
        assert!(back == data, "{} sent, {} arrived, {} came back from {to}", sent, got.len(), back.len());
        assert_eq!(self.peer.stack.tcp_state(client), Ok(State::Established));
        self.peer.stack.tcp_close(client, self.now);
        self.settle();
        self.ours.stack.tcp_close(server, self.now);
        self.settle();
    }
}

/// H201, H062, H064: a million frames.
#[test]
fn a_million_frames() {
    let mut siege = Siege::new(1);
    siege.storm(1_000_000);
    siege.recovers();
}

/// Another million, with another seed, in a thread of its own.
#[test]
fn another_million_frames() {
    let mut siege = Siege::new(2);
    siege.storm(1_000_000);
    siege.recovers();
}

/// After each short storm the stack serves, whatever the storm was.
#[test]
fn short_storms() {
    for seed in 100..130 {
        let mut siege = Siege::new(seed);
        siege.storm(2_000);
        siege.recovers();
    }
}
