//! Null TCP: a server with no state but a few numbers, no timers, no retransmission, and payload of zeros.
//! What it reaches over a TAP bounds what any TCP can.

use super::meter::Meter;
use super::{Direction, Framing, KERNEL, MAC, Next, PORT, STACK, Stack, VNET, VNET_FRAME_MAX};
use barenet_drivers::tap::Tap;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Ethernet, IPv4 and TCP without options.
const HEADERS: usize = 14 + 20 + 20;
const MSS: usize = 1460;
/// Whole segments in a frame of 64 KiB.
const SEGMENTS: usize = 44;
/// MSS 1460, window scale 10, end of options.
const SYN_OPTIONS: [u8; 8] = [2, 4, 0x05, 0xb4, 3, 3, 10, 0];
/// In units of 1 KiB: 1 MiB is the fastest here, since it stays in the caches.
const WINDOW: u16 = 1024;
/// Frames sent before acknowledgements are looked at.
const BATCH: usize = 16;

pub(super) struct Null<'a> {
    tap: &'a Tap,
    direction: Direction,
    framing: Framing,
    rx: Vec<u8>,
    /// Built when the connection is there; only sequence number and checksum change from frame to frame.
    data: Vec<u8>,
    peer_mac: [u8; 6],
    peer_port: u16,
    una: u32,
    nxt: u32,
    wnd: u32,
    wnd_shift: u8,
    rcv_nxt: u32,
    /// Frames received and not acknowledged.
    pending: usize,
}

impl<'a> Null<'a> {
    pub(super) fn new(tap: &'a Tap, direction: Direction, framing: Framing) -> Self {
        Null {
            tap,
            direction,
            framing,
            rx: vec![0; VNET_FRAME_MAX],
            data: Vec::new(),
            peer_mac: [0; 6],
            peer_port: 0,
            una: 0,
            nxt: 0,
            wnd: 0,
            wnd_shift: 0,
            rcv_nxt: 0,
            pending: 0,
        }
    }

    fn vnet_len(&self) -> usize {
        match self.framing {
            Framing::Offload => VNET,
            Framing::Plain => 0,
        }
    }

    /// Reads one frame and answers what must be answered at once. False when none waits.
    fn receive(&mut self, meter: &Meter) -> bool {
        let mut rx = std::mem::take(&mut self.rx);
        let n = rustix::io::read(self.tap, &mut rx[..]);
        if let Ok(n) = n {
            let frame = &mut rx[self.vnet_len()..n];
            match frame.get(12..14) {
                Some([8, 6]) => self.on_arp(frame),
                Some([8, 0]) if frame.len() >= HEADERS && frame[23] == 6 => self.on_tcp(frame, meter),
                _ => {}
            }
        }
        self.rx = rx;
        n.is_ok()
    }

    /// Turns the request into its answer.
    fn on_arp(&mut self, frame: &mut [u8]) {
        let Some([.., op]) = frame.get(20..22) else { return };
        if *op != 1 || frame.get(38..42) != Some(&STACK.octets()) {
            return;
        }
        frame.copy_within(22..32, 32);
        frame.copy_within(6..12, 0);
        frame[6..12].copy_from_slice(&MAC.0);
        frame[21] = 2;
        frame[22..28].copy_from_slice(&MAC.0);
        frame[28..32].copy_from_slice(&STACK.octets());
        let answer = [&[0; VNET][..self.vnet_len()], frame].concat();
        self.write(&answer);
    }

    fn on_tcp(&mut self, frame: &[u8], meter: &Meter) {
        let u16_at = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
        let (seq, flags) = (u32_at(38), frame[47]);
        let headers = 14 + 20 + usize::from(frame[46] >> 4) * 4;
        if flags & SYN != 0 {
            self.peer_mac.copy_from_slice(&frame[6..12]);
            self.peer_port = u16_at(34);
            self.wnd_shift = window_scale(&frame[HEADERS..headers]);
            self.rcv_nxt = seq.wrapping_add(1);
            (self.una, self.nxt) = (1, 1);
            self.send(0, SYN | ACK, &SYN_OPTIONS);
            self.build_data();
            return;
        }
        self.una = u32_at(42);
        self.wnd = u32::from(u16_at(48)) << self.wnd_shift;
        // The length field of a 64 KiB frame holds all of it: IPv4 packets end at 65,535 bytes.
        let len = (14 + usize::from(u16_at(16))).saturating_sub(headers);
        if len == 0 || flags & FIN != 0 {
            return;
        }
        let end = seq.wrapping_add(len as u32);
        if end.wrapping_sub(self.rcv_nxt).cast_signed() > 0 {
            self.rcv_nxt = end;
        }
        meter.bytes.add(len);
        self.pending += 1;
        let every = match self.framing {
            Framing::Offload => 8,
            Framing::Plain => 64,
        };
        if self.pending >= every {
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
        self.pending = 0;
        self.send(self.nxt, ACK, &[]);
    }

    /// Sends a segment without payload.
    fn send(&mut self, seq: u32, flags: u8, options: &[u8]) {
        let mut frame = self.frame(seq, flags, options, 0);
        if self.framing == Framing::Plain {
            complete(&mut frame, 20 + options.len());
        }
        self.write(&frame);
    }

    fn build_data(&mut self) {
        let len = match self.framing {
            Framing::Offload => SEGMENTS * MSS,
            Framing::Plain => MSS,
        };
        self.data = self.frame(0, ACK | PSH, &[], len);
        self.data.resize(self.data.len() + len, 0);
    }

    /// Sends data if the window has room for a frame of it.
    fn send_data(&mut self) -> bool {
        let at = self.vnet_len();
        let len = self.data.len().saturating_sub(at + HEADERS) as u32;
        if len == 0 || self.nxt.wrapping_sub(self.una) + len > self.wnd {
            return false;
        }
        let mut data = std::mem::take(&mut self.data);
        data[at + 38..at + 42].copy_from_slice(&self.nxt.to_be_bytes());
        if self.framing == Framing::Plain {
            let pseudo = self.pseudo_header_sum(20 + len as usize);
            data[50..52].copy_from_slice(&pseudo.to_be_bytes());
            complete(&mut data[..HEADERS], 20);
        }
        self.write(&data);
        self.data = data;
        self.nxt = self.nxt.wrapping_add(len);
        true
    }

    /// All headers of a segment, its checksum field holding the pseudo-header's sum.
    fn frame(&self, seq: u32, flags: u8, options: &[u8], payload: usize) -> Vec<u8> {
        let tcp = 20 + options.len();
        let mut f = vec![0; self.vnet_len()];
        if self.framing == Framing::Offload {
            f[0] = 1; // NEEDS_CSUM from byte 34 on, at 16
            f[6] = 34;
            f[8] = 16;
            f[2] = (34 + tcp) as u8;
            if payload > MSS {
                f[1] = 1; // TCP over IPv4
                f[4..6].copy_from_slice(&(MSS as u16).to_ne_bytes());
            }
        }
        let ip_at = f.len() + 14;
        f.extend([&self.peer_mac[..], &MAC.0, &[8, 0, 0x45, 0]].concat());
        f.extend(((20 + tcp + payload) as u16).to_be_bytes());
        f.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        f.extend([STACK.octets(), KERNEL.octets()].concat());
        let sum = !fold(sum(&f[ip_at..]));
        f[ip_at + 10..ip_at + 12].copy_from_slice(&sum.to_be_bytes());
        f.extend([PORT.to_be_bytes(), self.peer_port.to_be_bytes()].concat());
        f.extend([seq.to_be_bytes(), self.rcv_nxt.to_be_bytes()].concat());
        f.extend([(tcp as u8 / 4) << 4, flags]);
        f.extend(WINDOW.to_be_bytes());
        f.extend(self.pseudo_header_sum(tcp + payload).to_be_bytes());
        f.extend([0, 0]);
        f.extend(options);
        f
    }

    fn pseudo_header_sum(&self, len: usize) -> u16 {
        fold(sum(&STACK.octets()) + sum(&KERNEL.octets()) + 6 + len as u32)
    }

    /// A frame that the kernel does not take is lost, and with it the round: there is no retransmission.
    fn write(&self, frame: &[u8]) {
        let _ = rustix::io::write(self.tap, frame);
    }
}

impl Stack for Null<'_> {
    fn turn(&mut self, meter: &Meter) -> Next {
        let idle = match self.direction {
            Direction::Send => {
                while self.receive(meter) {}
                (0..BATCH).take_while(|_| self.send_data()).count() == 0
            }
            Direction::Receive => {
                while self.receive(meter) {}
                let idle = self.pending == 0;
                if !idle {
                    self.acknowledge();
                }
                idle
            }
        };
        if idle { Next::Wait(None) } else { Next::Busy }
    }
}

/// Puts the checksum of a TCP header whose payload is zero where its pseudo-header's sum is.
fn complete(frame: &mut [u8], tcp: usize) {
    let sum = !fold(sum(&frame[34..34 + tcp]));
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum()
}

fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

fn window_scale(mut options: &[u8]) -> u8 {
    while let [kind, rest @ ..] = options {
        match (kind, rest) {
            (0, _) => break,
            (1, _) => options = rest,
            (3, [3, shift, ..]) => return *shift,
            (_, [len, ..]) => options = options.get(usize::from(*len).max(2)..).unwrap_or(&[]),
            _ => break,
        }
    }
    0
}
