//! The kernel's ends: a TCP client that only reads or only writes, and Linux' TCP on both sides of two TAPs.

use super::meter::{Bytes, Cpu, Meter, Rate, pin};
use super::{Direction, Framing, KERNEL, MAC, PORT, STACK, VNET_FRAME_MAX, wait};
use barenet_drivers::tap::{self, Tap, namespace};
use rustix::fd::AsFd;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How much the kernel's programs read or write at once.
const CHUNK: usize = 1 << 20;

/// A TAP in the namespace of the calling thread, with the kernel's address.
pub(crate) fn open(framing: Framing, kernel: Ipv4Addr) -> Result<Tap, tap::Error> {
    let options = tap::Options::new();
    let tap = Tap::open(
        MAC,
        match framing {
            Framing::Offload => options,
            Framing::Plain => options.plain(),
        },
    )?;
    // Where BBR is the default, a connection would keep its pacing when it changes to CUBIC. A new namespace
    // takes nothing but Reno as its default; the senders choose for themselves.
    std::fs::write("/proc/sys/net/ipv4/tcp_congestion_control", "reno").expect("a namespace of our own");
    tap::configure(tap.name(), &[(IpAddr::V4(kernel), 24)])?;
    Ok(tap)
}

/// Starts a client of the stack under test on the other CPU, which moves data until the process ends. What it
/// reads is added to `bytes`.
pub(crate) fn start_client(direction: Direction, bytes: Bytes) {
    thread::spawn(move || {
        pin(1);
        let stream = TcpStream::connect((STACK, PORT)).expect("the stack under test listens");
        match direction {
            Direction::Send => drain(stream, &bytes),
            Direction::Receive => pump(stream),
        }
    });
}

fn drain(mut stream: TcpStream, bytes: &Bytes) {
    let mut buf = vec![0; CHUNK];
    while let Ok(n @ 1..) = stream.read(&mut buf) {
        bytes.add(n);
    }
}

fn pump(mut stream: TcpStream) {
    // As both stacks under test.
    rustix::net::sockopt::set_tcp_congestion(&stream, "cubic").expect("CUBIC in this kernel");
    let buf = vec![0; CHUNK];
    while stream.write_all(&buf).is_ok() {}
}

/// Linux to Linux: two namespaces, a TAP in each, and between them a loop that copies frames with their vnet
/// headers. The loop has CPU 0, both kernels CPU 1.
pub(crate) fn linux(framing: Framing, time: Duration) -> Result<Rate, tap::Error> {
    let mut meter = Meter::new(Cpu::Process, time);
    let bytes = meter.bytes.clone();
    let (send, taps) = channel();
    let sender = send.clone();
    thread::spawn(move || {
        let listener = namespace::enter().and_then(|()| open(framing, STACK));
        let ok = listener.is_ok();
        // The other side only goes away at the end of the process.
        let _ = send.send(listener);
        if ok {
            pin(1);
            let listener = TcpListener::bind((STACK, PORT)).expect("a free port");
            drain(listener.accept().expect("a client").0, &bytes);
        }
    });
    let far = taps.recv().expect("sent before the thread ends")?;
    thread::spawn(move || {
        let tap = namespace::enter().and_then(|()| open(framing, KERNEL));
        let ok = tap.is_ok();
        let _ = sender.send(tap);
        if ok {
            pin(1);
            pump(connect(SocketAddr::from((STACK, PORT))));
        }
    });
    let near = taps.recv().expect("sent before the thread ends")?;
    pin(0);
    Ok(copy_frames(&near, &far, &mut meter))
}

/// The listener is bound an instant after its TAP is there: until then the kernel refuses.
fn connect(to: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => return stream,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => thread::yield_now(),
            Err(e) => panic!("connect to {to} through two TAPs: {e}"),
        }
    }
}

fn copy_frames(near: &Tap, far: &Tap, meter: &mut Meter) -> Rate {
    /// Frames in one direction before the other gets its turn.
    const BATCH: usize = 64;
    let mut frame = vec![0; VNET_FRAME_MAX];
    loop {
        for (from, to) in [(near, far), (far, near)] {
            for _ in 0..BATCH {
                let Ok(n) = rustix::io::read(from, &mut frame[..]) else { break };
                // A frame that the kernel does not take is lost, as on a wire.
                let _ = rustix::io::write(to, &frame[..n]);
            }
        }
        if let Some(rate) = meter.look() {
            return rate;
        }
        wait(&[near.as_fd(), far.as_fd()], None);
    }
}
