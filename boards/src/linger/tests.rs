//! Two networks on one cable, in virtual time: that of a program that has ended, and its peer's.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU64, Ordering};

use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::wait::Spin;
use barenet::{Error, Platform, TcpListener, TcpStream};
use spin::Mutex;

use super::*;

struct Clock(AtomicU64);

impl Platform for Clock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn idle(&self, _until: Option<Instant>) {
        panic!("nobody waits in these tests");
    }
    fn wake(&self) {}
}

type Frames = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// One end of the cable.
struct Plug {
    mac: Mac,
    receives: Frames,
    transmits: Frames,
}

impl Device for Plug {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.mac, 1500)
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let frame = self.receives.lock().pop_front();
        frame.is_some_and(|frame| {
            sink(RxFrame::plain(&[&frame]));
            true
        })
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let bytes = [&[frame.header], frame.payload].concat().concat();
        self.transmits.lock().push_back(bytes);
        Ok(())
    }
}

struct World {
    clock: &'static Clock,
    ours: Net,
    peers: Net,
}

impl World {
    fn new() -> World {
        let clock: &'static Clock = Box::leak(Box::new(Clock(AtomicU64::new(1_000_000))));
        let (there, back) = (Frames::default(), Frames::default());
        let net = |n: u8, receives: &Frames, transmits: &Frames| {
            let stack = Stack::new(Storage::heap(&Limits::default()), [n; 32]);
            let net = Net::new(stack, clock, &Spin).unwrap();
            let mac = Mac([2, 0, 0, 0, 0, n]);
            let plug = Plug { mac, receives: receives.clone(), transmits: transmits.clone() };
            let address = Cidr::new(IpAddr::from([10, 0, 0, n]), 24).unwrap();
            net.add_interface(Box::new(plug), &[address], &[]).unwrap();
            net
        };
        World { clock, ours: net(1, &back, &there), peers: net(2, &there, &back) }
    }

    /// Both networks go on for so long.
    fn pass(&self, ms: u64) {
        for _ in 0..ms {
            for _ in 0..4 {
                self.ours.turn();
                self.peers.turn();
            }
            self.clock.0.fetch_add(1_000, Ordering::Relaxed);
        }
    }

    /// A connection from here to there, which takes 10 kB unread.
    fn pair(&self) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(&self.peers, 7).unwrap();
        listener.configure(|o| o.receive_buffer = Some(10_000)).unwrap();
        let to = SocketAddr::new(IpAddr::from([10, 0, 0, 2]), 7);
        let ours = TcpStream::start_connect(&self.ours, to).unwrap();
        self.pass(10);
        (ours, listener.try_accept().unwrap().0)
    }

    /// Writes until the peer's window is closed and there is no more room; how much.
    fn fill(&self, ours: &mut TcpStream) -> usize {
        let mut all = 0;
        for _ in 0..100 {
            while let Ok(n) = ours.try_write(&[7; 10_000]) {
                all += n;
            }
            self.pass(10);
        }
        all
    }

    /// Lingers until the end while `read` is called every 100 ms: was all delivered, and after how many
    /// milliseconds?
    fn linger(&self, panicked: bool, mut read: impl FnMut()) -> (bool, u64) {
        let mut linger = Linger::new(&self.ours, panicked);
        let start = self.ours.now();
        loop {
            match linger.step(&self.ours) {
                Step::Wait(until) => assert!(until > self.ours.now()),
                Step::End { is_delivered } => {
                    self.pass(1);
                    return (is_delivered, self.ours.now().since(start).millis());
                }
            }
            self.pass(100);
            read();
        }
    }
}

/// Reads what there is, up to `most` bytes.
fn read(from: &mut TcpStream, most: usize) -> usize {
    let mut buf = alloc::vec![0; most];
    let mut all = 0;
    while let Ok(n @ 1..) = from.try_read(&mut buf[..most - all]) {
        all += n;
    }
    all
}

/// A peer that reads slowly, with pauses, gets everything and the end, however long that takes.
#[test]
fn a_slow_peer_gets_everything() {
    let world = World::new();
    let (mut ours, mut peer) = world.pair();
    let written = world.fill(&mut ours);
    drop(ours);
    let (mut all, mut calls) = (0, 0);
    let (is_delivered, took) = world.linger(false, || {
        calls += 1;
        all += if calls % 99 < 20 { read(&mut peer, 2_000) } else { 0 };
    });
    assert!(is_delivered && took > 10_000, "{took:?}");
    while let Ok(n @ 1..) = peer.try_read(&mut [0; 1000]) {
        all += n;
    }
    assert_eq!((all, peer.try_read(&mut [0; 9])), (written, Ok(0)));
}

/// H255: one that takes nothing for ten seconds is reset, and it can read what it has.
#[test]
fn a_stuck_peer_is_reset() {
    let world = World::new();
    let (mut ours, mut peer) = world.pair();
    let written = world.fill(&mut ours);
    drop(ours);
    let (is_delivered, took) = world.linger(false, || {});
    assert!(!is_delivered && took > 10_000 && took < 14_000, "{took:?}");
    assert_eq!(world.ours.with_stack(|stack| stack.tcp_count().0), 0);
    let got = read(&mut peer, written);
    assert!(got > 0 && got < written);
    assert_eq!(peer.try_read(&mut [0; 9]), Err(Error::ConnectionReset));
}

/// A connection that was left open is let go of after two seconds: the peer gets what was written, and a
/// reset. One that the peer has yet to close does not hold the program up for longer, and is left alone.
#[test]
fn connections_that_others_hold() {
    let world = World::new();
    let (mut ours, mut peer) = world.pair();
    ours.write_without_interruption(b"so far").unwrap();
    let (is_delivered, took) = world.linger(false, || {});
    assert!(is_delivered && took > 2_000 && took < 3_000, "{took:?}");
    assert_eq!(read(&mut peer, 100), 6);
    assert_eq!(peer.try_read(&mut [0; 9]), Err(Error::ConnectionReset));
    assert_eq!(ours.try_write(b"x"), Err(Error::ConnectionAborted));

    let (ours, mut peer) = world.pair();
    drop(ours);
    let (is_delivered, took) = world.linger(false, || {});
    assert!(is_delivered && took > 2_000 && took < 3_000, "{took:?}");
    assert_eq!((peer.try_read(&mut [0; 9]), peer.take_error()), (Ok(0), Ok(None)));
}

/// M15: after a panic nobody has a grace, and what was written is delivered all the same.
#[test]
fn a_panic() {
    let world = World::new();
    let (mut ours, mut peer) = world.pair();
    ours.write_without_interruption(b"last words").unwrap();
    let (is_delivered, took) = world.linger(true, || {});
    assert!(is_delivered && took < 1_000, "{took:?}");
    assert_eq!(read(&mut peer, 100), 10);
    assert_eq!(peer.try_read(&mut [0; 9]), Err(Error::ConnectionReset));
}
