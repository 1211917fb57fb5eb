//! One stack and its many peers, which a few bytes each stand for: frames by hand, in and out of memory.

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, ListenerHandle, Stack, Storage, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet::{Error, TcpConfig};
use std::net::{Ipv4Addr, Ipv6Addr};

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const PORT: u16 = 80;
const MTU: u16 = 1500;
const SYN: u8 = 2;
const FIN: u8 = 1;
const PSH_ACK: u8 = 0x18;
const ACK: u8 = 0x10;
/// Headers of a frame: Ethernet, IP, TCP with timestamps.
const HEADERS: [usize; 2] = [14 + 20 + 32, 14 + 40 + 32];
/// Bytes of text that go either way.
pub(crate) const TEXT: usize = 100;

/// What a frame of ours said.
#[derive(Clone, Copy, Default)]
struct Said {
    seq: u32,
    ack: u32,
    clock: u32,
}

/// A device that keeps what the last frame said and counts them.
struct Wire {
    said: Said,
    frames: u64,
    /// The router was asked for its address.
    asked: bool,
}

impl Device for Wire {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(OURS, MTU).with_tx_checksum()
    }

    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let h = frame.header;
        let at = match h[12..14] {
            [8, 0] => 34,
            [0x86, 0xdd] if h[20] == 6 => 54,
            _ => {
                self.asked = true;
                return Ok(());
            }
        };
        if h.len() >= at + 20 && (h[23] == 6 || at == 54 && h[20] == 6) {
            let word = |at: usize| u32::from_be_bytes(h[at..at + 4].try_into().expect("four bytes"));
            let (text, control) = (frame.len() - at - usize::from(h[at + 12] >> 4) * 4, h[at + 13] & 3);
            let len = text as u32 + control.count_ones();
            self.said = Said { seq: word(at + 4).wrapping_add(len), ack: word(at + 8), clock: 0 };
            // No-ops, then timestamps; a SYN-ACK has them elsewhere, and is not the last.
            if control & SYN == 0 && h.len() >= at + 32 {
                self.said.clock = word(at + 24);
            }
            self.frames += 1;
        }
        Ok(())
    }
}

/// A peer of one connection, and the connection.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    number: u32,
    seq: u32,
    said: Said,
    pub(crate) handle: TcpHandle,
}

/// The stack and what surrounds it.
pub(crate) struct Crowd {
    stack: Stack<'static>,
    wire: Wire,
    interface: InterfaceId,
    listener: ListenerHandle,
    v6: bool,
    pub(crate) now: Instant,
}

impl Crowd {
    /// A server with these settings, in a network of `v6` or of IPv4, with room for a million connections.
    pub(crate) fn new(v6: bool, config: TcpConfig) -> Crowd {
        // A million, the eighth for our own connects, and more memory than all windows promise, which would else be
        // weighed against each other; it is taken as it is used.
        let limits = Limits { connections: 1 << 21, block_len: 256, memory: 1 << 34, ..Limits::default() };
        let mut stack = Stack::new(Storage::heap(&limits), [9; 32]);
        stack.configure_tcp(|c| *c = config).expect("settings within their ranges");
        let wire = Wire { said: Said::default(), frames: 0, asked: false };
        let interface = stack.add_interface(wire.capabilities()).expect("a MAC and an MTU");
        let now = Instant::from_millis(1000);
        let own = if v6 { address_v6(0).into() } else { address_v4(0).into() };
        let router = if v6 { address_v6(1).into() } else { address_v4(1).into() };
        stack
            .add_address(interface, Cidr::new(own, if v6 { 64 } else { 24 }).expect("a prefix"), now)
            .expect("ours");
        stack.set_gateway(interface, router).expect("a router");
        let any = (Ipv6Addr::UNSPECIFIED, PORT).into();
        let (listener, _) = stack.tcp_listen(any, 128).expect("a free port");
        Crowd { stack, wire, interface, listener, v6, now }
    }

    /// The router says where it is.
    fn introduce_router(&mut self) {
        let mut frame = Vec::from(OURS.0);
        frame.extend(ROUTER.0);
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
            frame.extend(address_v6(1).octets());
            frame.extend(address_v6(0).octets());
            // An advertisement that was asked for, and overrides.
            frame.extend([136, 0, 0, 0, 0xe0, 0, 0, 0]);
            frame.extend(address_v6(1).octets());
            frame.extend([2, 1]);
            frame.extend(ROUTER.0);
        } else {
            frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
            frame.extend(ROUTER.0);
            frame.extend(address_v4(1).octets());
            frame.extend(OURS.0);
            frame.extend(address_v4(0).octets());
        }
        self.put(&frame);
    }

    fn put(&mut self, frame: &[u8]) {
        let parts = [frame];
        let frame = RxFrame { bytes: Bytes::new(&parts), checksum: RxChecksum::Valid, segment_len: None };
        self.stack.on_frame(self.interface, frame, self.now);
    }

    /// Does what is due and sends all that can be sent.
    pub(crate) fn turn(&mut self) {
        self.send();
        while std::mem::take(&mut self.wire.asked) {
            self.introduce_router();
            self.send();
        }
    }

    fn send(&mut self) {
        self.stack.on_timers(self.now);
        while self.stack.egress(self.interface, &mut self.wire, self.now)
            && self.stack.next_deadline(self.now).is_some_and(|at| at <= self.now)
        {
            self.stack.on_timers(self.now);
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.turn();
    }

    /// Frames with a segment that the stack sent.
    pub(crate) fn frames(&self) -> u64 {
        self.wire.frames
    }

    pub(crate) fn count(&self) -> (usize, usize) {
        self.stack.tcp_count()
    }

    /// A segment of a peer, with timestamps.
    fn frame(&self, number: u32, flags: u8, seq: u32, said: Said, text: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(HEADERS[usize::from(self.v6)] + text.len());
        frame.extend(OURS.0);
        frame.extend(ROUTER.0);
        let len = (32 + text.len()) as u16;
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(len.to_be_bytes());
            frame.extend([6, 64]);
            frame.extend(address_v6(0x1_0000 + (number >> 14)).octets());
            frame.extend(address_v6(0).octets());
        } else {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend((20 + len).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
            frame.extend(address_v4(0x1_0000 + (number >> 14)).octets());
            frame.extend(address_v4(0).octets());
            let sum: u32 = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            frame[24..26].copy_from_slice(&(!sum as u16).to_be_bytes());
        }
        frame.extend((10_000 + (number & 0x3fff) as u16).to_be_bytes());
        frame.extend(PORT.to_be_bytes());
        frame.extend(seq.to_be_bytes());
        frame.extend(said.seq.to_be_bytes());
        frame.extend([0x80, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10]);
        frame.extend((self.now.millis() as u32).to_be_bytes());
        frame.extend(said.clock.to_be_bytes());
        frame.extend(text);
        frame
    }

    /// The SYN of peer `number`.
    pub(crate) fn syn(&self, number: u32) -> Vec<u8> {
        self.frame(number, SYN, 0, Said::default(), &[])
    }

    /// SYNs that were answered by a cookie so far.
    pub(crate) fn cookies(&self) -> u64 {
        self.stack.counters().handshakes.cookies_sent
    }

    /// Peer `number` connects.
    pub(crate) fn connect(&mut self, number: u32) -> Peer {
        let syn = self.syn(number);
        self.put(&syn);
        self.turn();
        let third = self.frame(number, ACK, 1, Said { clock: 0, ..self.wire.said }, &[]);
        let said = self.wire.said;
        self.put(&third);
        self.turn();
        let (handle, _) =
            self.stack.tcp_accept(self.listener).unwrap_or_else(|why| panic!("connection {number}: {why}"));
        Peer { number, seq: 1, said, handle }
    }

    /// A frame with text of the peer, which acknowledges what was said to it.
    pub(crate) fn text(&self, peer: &Peer) -> Vec<u8> {
        self.frame(peer.number, PSH_ACK, peer.seq, peer.said, &[0x61; TEXT])
    }

    /// The peer has sent text, and heard the last frame.
    pub(crate) fn heard(&self, peer: &mut Peer) {
        peer.seq = self.wire.said.ack;
        peer.said = self.wire.said;
    }

    /// A frame arrives.
    pub(crate) fn arrive(&mut self, frame: &[u8]) {
        self.put(frame);
    }

    /// A bare acknowledgment of what was said to the peer.
    pub(crate) fn acknowledge(&self, peer: &Peer) -> Vec<u8> {
        self.frame(peer.number, ACK, peer.seq, peer.said, &[])
    }

    /// The application answers what it reads.
    pub(crate) fn answer(&mut self, peer: &Peer) {
        let mut buf = [0; TEXT];
        match self.stack.tcp_read(peer.handle, &mut buf, self.now) {
            Ok(n) => assert_eq!(self.stack.tcp_write(peer.handle, &buf[..n], self.now), Ok(n)),
            Err(why) => assert_eq!(why, Error::WouldBlock),
        }
    }

    /// The application writes.
    pub(crate) fn write(&mut self, peer: &Peer) {
        assert_eq!(self.stack.tcp_write(peer.handle, &[0x62; TEXT], self.now), Ok(TEXT));
    }

    /// We close first, then the peer: our side is in TIME-WAIT.
    pub(crate) fn close(&mut self, peer: &mut Peer) {
        self.stack.tcp_close(peer.handle, self.now);
        self.turn();
        self.heard(peer);
        let fin = self.frame(peer.number, FIN | ACK, peer.seq, peer.said, &[]);
        self.put(&fin);
        self.turn();
    }
}

fn address_v4(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 + n)
}

fn address_v6(n: u32) -> Ipv6Addr {
    Ipv6Addr::from((0x2001_0db8 << 96) + 1 + (u128::from(n) << if n > 0xffff { 48 } else { 0 }))
}
