//! One transfer over a TAP in a network namespace of its own, with the kernel's TCP as the peer: in a process
//! of its own, which ends by itself.

mod kernel;
mod meter;
mod null;
mod ours;
mod smoltcp;

pub(crate) use meter::Rate;

use barenet::device::Mac;
use barenet_drivers::tap::namespace;
use meter::{Cpu, Meter, pin};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The kernel's address on the TAP.
const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The stack's.
const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Where the stack under test listens.
const PORT: u16 = 1234;
/// The stack's link-layer address.
const MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// Bytes of the header that our TAP driver has the kernel put before each frame.
const VNET: usize = 10;
/// The largest frame with that header.
const VNET_FRAME_MAX: usize = VNET + 14 + 65_536;

/// Which way the data goes, as the stack under test sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Send,
    Receive,
}

/// What the TAP does for the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// Checksums, and frames of up to 64 KiB both ways.
    Offload,
    /// Nothing: whole frames of MTU 1500.
    Plain,
}

/// Who is at the stack's end of the TAP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// TCP without state beyond two sequence numbers: the limit of anything on a TAP.
    Null,
    /// Linux' own TCP behind a second TAP.
    Linux,
    /// smoltcp over its own TAP device with its own loop, 64 KiB buffers.
    SmoltcpStock,
    /// smoltcp with CUBIC and a loop and device made for speed; buffers of so many bytes.
    Smoltcp(usize),
    /// Ours; buffers of so many bytes.
    Barenet(usize),
}

/// What the turn of a stack has led to.
enum Next {
    /// Something was done: turn again.
    Busy,
    /// Nothing to do until a frame comes or, if given, so much time has passed.
    Wait(Option<Duration>),
}

/// A stack under test with its application.
trait Stack {
    fn turn(&mut self, meter: &Meter) -> Next;
}

/// Measures one transfer for `time`.
pub(crate) fn measure(
    who: Who,
    direction: Direction,
    framing: Framing,
    time: Duration,
) -> Result<Rate, String> {
    let error = |e: barenet_drivers::tap::Error| e.to_string();
    namespace::enter().map_err(error)?;
    let framing = match who {
        Who::SmoltcpStock => Framing::Plain,
        _ => framing,
    };
    let tap = kernel::open(framing, KERNEL).map_err(error)?;
    let events = tap.events();
    let mut stack: Box<dyn Stack> = match who {
        Who::Linux => return kernel::linux(framing, time).map_err(error),
        Who::Barenet(buffer) => Box::new(ours::Barenet::new(tap, direction, framing, buffer)),
        Who::Null => Box::new(null::Null::new(&tap, direction, framing)),
        Who::SmoltcpStock => Box::new(smoltcp::stock(&tap, direction)),
        Who::Smoltcp(buffer) => Box::new(smoltcp::best(&tap, direction, framing, buffer)),
    };
    let mut meter = Meter::new(Cpu::Thread, time);
    kernel::start_client(direction, meter.bytes.clone());
    pin(0);
    loop {
        let next = stack.turn(&meter);
        if let Some(rate) = meter.look() {
            return Ok(rate);
        }
        if let Next::Wait(time) = next {
            wait(&[events.as_fd()], time);
        }
    }
}

/// Frames that a stack takes in before the application and the way out get their turn: few large ones or many
/// small ones, as was best for smoltcp and for ours.
fn batch(direction: Direction, framing: Framing) -> usize {
    match (framing, direction) {
        (Framing::Offload, _) => 4,
        (Framing::Plain, Direction::Send) => 8,
        (Framing::Plain, Direction::Receive) => 64,
    }
}

/// Sleeps until a frame can be read from one of the TAPs, at most `time`, and at most 100 ms.
fn wait(taps: &[BorrowedFd<'_>], time: Option<Duration>) {
    let time = time.unwrap_or(Duration::MAX).min(Duration::from_millis(100));
    let mut entries: Vec<PollFd<'_>> = taps.iter().map(|tap| PollFd::new(tap, PollFlags::IN)).collect();
    let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    // Interrupted or not, the caller looks again.
    let _ = poll(&mut entries, Some(&time));
}
