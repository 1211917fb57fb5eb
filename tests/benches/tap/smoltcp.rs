//! smoltcp over a TAP: with the loop of its own benchmark, and with a device and a loop made for speed.

use super::meter::Meter;
use super::{Direction, Framing, MAC, Next, PORT, Stack, VNET, VNET_FRAME_MAX, batch};
use barenet_drivers::tap::Tap;
use barenet_tests::peers::smol;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::{self, Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::CongestionControl;
use smoltcp::time::Instant;
use std::num::NonZeroUsize;

/// Whole segments in a frame of 64 KiB, with headers.
const SUPER_FRAME: usize = 14 + 40 + 44 * 1460;

/// Which loop turns it.
enum Loop {
    /// Everything that waits comes in before anything goes out, as in smoltcp's benchmark example.
    Example,
    /// At most so many frames come in before the application and the way out get their turn.
    Batches(usize),
}

/// smoltcp, one socket, and the application that moves data through it.
pub(super) struct Smoltcp<D: Device> {
    host: smol::Host<D>,
    socket: SocketHandle,
    direction: Direction,
    turns: Loop,
    /// What the application writes, and where it reads to.
    chunk: Vec<u8>,
}

impl<D: Device> Smoltcp<D> {
    fn new(
        device: D,
        direction: Direction,
        buffer: usize,
        congestion: CongestionControl,
        turns: Loop,
    ) -> Self {
        let mut host = smol::Host::new(device, MAC.0[5], 1);
        let socket = host.socket(buffer, congestion);
        host.tcp(socket).listen(PORT).expect("a port");
        Smoltcp { host, socket, direction, turns, chunk: vec![0; buffer] }
    }

    fn application(&mut self, meter: &Meter) {
        let socket = self.host.tcp(self.socket);
        match self.direction {
            Direction::Send => while socket.send_slice(&self.chunk).is_ok_and(|n| n > 0) {},
            Direction::Receive => {
                while let Ok(n @ 1..) = socket.recv_slice(&mut self.chunk) {
                    meter.bytes.add(n);
                }
            }
        }
    }
}

impl<D: Device> Stack for Smoltcp<D> {
    fn turn(&mut self, meter: &Meter) -> Next {
        let now = Instant::now();
        let busy = match self.turns {
            Loop::Example => {
                self.host.poll(now);
                self.application(meter);
                false
            }
            Loop::Batches(frames) => {
                let came = self.host.ingress(now, frames) > 0;
                self.application(meter);
                self.host.egress(now) || came
            }
        };
        match self.host.deadline(now) {
            _ if busy => Next::Busy,
            Some(at) if at <= now => Next::Busy,
            Some(at) => Next::Wait(Some((at - now).into())),
            None => Next::Wait(None),
        }
    }
}

/// smoltcp as its own benchmark example sets it up, but for the device, which is shared with the other rows.
pub(super) fn stock(tap: &Tap, direction: Direction) -> Smoltcp<Frames<'_>> {
    let device = Frames::new(tap, Framing::Plain);
    Smoltcp::new(device, direction, 65_535, CongestionControl::None, Loop::Example)
}

/// smoltcp at its best: CUBIC, large buffers, and a loop in batches.
pub(super) fn best(tap: &Tap, direction: Direction, framing: Framing, buffer: usize) -> Smoltcp<Frames<'_>> {
    let turns = Loop::Batches(batch(direction, framing));
    Smoltcp::new(Frames::new(tap, framing), direction, buffer, CongestionControl::Cubic, turns)
}

/// The TAP as smoltcp's device: preallocated buffers, no copy on this side.
pub(super) struct Frames<'a> {
    tap: &'a Tap,
    framing: Framing,
    rx: Box<[u8]>,
    tx: Box<[u8]>,
}

impl<'a> Frames<'a> {
    fn new(tap: &'a Tap, framing: Framing) -> Self {
        let buffer = || vec![0; VNET_FRAME_MAX].into_boxed_slice();
        Frames { tap, framing, rx: buffer(), tx: buffer() }
    }
}

/// A received frame.
pub(super) struct RxToken<'a>(&'a [u8]);
/// Room for a frame to send.
pub(super) struct TxToken<'a> {
    tap: &'a Tap,
    framing: Framing,
    buffer: &'a mut [u8],
    segment_len: u16,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(self.0)
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let (vnet, rest) = self.buffer.split_at_mut(VNET);
        let frame = &mut rest[..len];
        let result = fill(frame);
        // A frame that the kernel does not take is lost, as on a wire.
        let _ = match self.framing {
            Framing::Plain => rustix::io::write(self.tap, frame),
            Framing::Offload => {
                vnet.copy_from_slice(&vnet_header(frame, self.segment_len));
                rustix::io::write(self.tap, &self.buffer[..VNET + len])
            }
        };
        result
    }

    fn set_meta(&mut self, meta: phy::PacketMeta) {
        self.segment_len = meta.segmentation_offload_size.map_or(0, |len| len.get());
    }
}

/// Leaves checksum and segmentation of a TCP segment over IPv4 to the kernel: the pseudo-header's sum goes
/// into the checksum field.
fn vnet_header(frame: &mut [u8], segment_len: u16) -> [u8; VNET] {
    let mut header = [0; VNET];
    if frame.len() < 54 || frame[12..14] != [8, 0] || frame[23] != 6 {
        return header;
    }
    let tcp = 14 + usize::from(frame[14] & 15) * 4;
    let headers = tcp + usize::from(frame[tcp + 12] >> 4) * 4;
    header[0] = 1; // NEEDS_CSUM
    header[1] = u8::from(segment_len > 0); // TCP over IPv4
    header[2..4].copy_from_slice(&(headers as u16).to_ne_bytes());
    header[4..6].copy_from_slice(&segment_len.to_ne_bytes());
    header[6..8].copy_from_slice(&(tcp as u16).to_ne_bytes());
    header[8..10].copy_from_slice(&16u16.to_ne_bytes());
    let addresses: u32 = frame[26..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = addresses + 6 + (frame.len() - tcp) as u32;
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = ((sum >> 16) + sum) as u16;
    frame[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
    header
}

impl Device for Frames<'_> {
    type RxToken<'b>
        = RxToken<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = TxToken<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        let vnet = match self.framing {
            Framing::Offload => VNET,
            Framing::Plain => 0,
        };
        let n = rustix::io::read(self.tap, &mut self.rx[..]).ok().filter(|&n| n > vnet)?;
        let tx = TxToken { tap: self.tap, framing: self.framing, buffer: &mut self.tx, segment_len: 0 };
        Some((RxToken(&self.rx[vnet..n]), tx))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        Some(TxToken { tap: self.tap, framing: self.framing, buffer: &mut self.tx, segment_len: 0 })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut c = DeviceCapabilities::default();
        c.medium = Medium::Ethernet;
        c.max_transmission_unit = 1514;
        if self.framing == Framing::Offload {
            c.checksum.ipv4 = Checksum::Tx;
            c.checksum.tcp = Checksum::None;
            c.segmentation.tcpv4 = NonZeroUsize::new(SUPER_FRAME);
        }
        c
    }
}
