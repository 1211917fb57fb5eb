//! What a lossy path costs: how much is sent again, by us and by the kernel.

use barenet::Net;
use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use barenet::stack::Limits;
use barenet_drivers::middleware::{Counts, Faults, Rates};
use barenet_drivers::tap::Tap;
use barenet_tests::kernel::{Family, Opens, beside_wrapped, noise, pair, receive, send};
use std::sync::{Arc, Mutex};
use std::thread;

const BULK: usize = 2_000_000;

/// A faulty TAP of which the test knows what it did.
#[derive(Clone)]
struct Shared(Arc<Mutex<Faults<Tap>>>);

impl Shared {
    fn with<R>(&self, call: impl FnOnce(&mut Faults<Tap>) -> R) -> R {
        call(&mut self.0.lock().unwrap())
    }
}

impl Device for Shared {
    fn capabilities(&self) -> Capabilities {
        self.with(|d| d.capabilities())
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        self.with(|d| d.receive(sink))
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        self.with(|d| d.transmit(frame))
    }

    fn arm(&mut self) -> bool {
        self.with(|d| d.arm())
    }

    fn link(&mut self) -> LinkState {
        self.with(|d| d.link())
    }

    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.with(|d| d.set_multicast(group, join));
    }
}

/// Runs `body` on a network with these faults in what we send, and in what we receive.
fn lossy(seed: u64, transmitting: Rates, receiving: Rates, body: impl FnOnce(&Net, &Shared) + Send) {
    let (tell, told) = std::sync::mpsc::channel();
    let wrap = move |tap| {
        let faults = Faults::new(tap, seed).transmitting(transmitting).receiving(receiving);
        let shared = Shared(Arc::new(Mutex::new(faults)));
        tell.send(shared.clone()).unwrap();
        shared
    };
    beside_wrapped(false, wrap, &Limits::default(), move |net| body(net, &told.recv().unwrap()));
}

/// The kernel's `RetransSegs`.
fn kernel_retransmitted() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|name| name == "RetransSegs").unwrap();
    values.split(' ').nth(at).unwrap().parse().unwrap()
}

/// We send over a path that loses, and reorders.
fn we_send(rates: Rates) -> (Counts, u64) {
    let mut found = (Counts::default(), 0);
    lossy(3, rates, Rates::default(), |net, device| {
        let (mut ours, mut kernel) = pair(net, Family::V4, Opens::Ours);
        let data = noise(BULK, 1);
        thread::scope(|scope| {
            scope.spawn(|| receive(&mut kernel, &data));
            send(&mut ours, &data);
        });
        let again = ours.info().unwrap().segments_retransmitted;
        found = (device.with(|d| d.transmitted()), u64::from(again));
    });
    found
}

/// The kernel sends over such a path.
fn the_kernel_sends(rates: Rates) -> (Counts, u64) {
    let mut found = (Counts::default(), 0);
    lossy(4, Rates::default(), rates, |net, device| {
        let (mut ours, mut kernel) = pair(net, Family::V4, Opens::Kernel);
        let data = noise(BULK, 2);
        thread::scope(|scope| {
            scope.spawn(|| send(&mut kernel, &data));
            receive(&mut ours, &data);
        });
        found = (device.with(|d| d.received()), kernel_retransmitted());
    });
    found
}

/// T02, T03: of two megabytes with 1 % of the frames lost, what was lost goes again, and little else.
#[test]
fn what_was_lost_goes_again() {
    let rates = Rates { loss: 10_000, ..Rates::default() };
    let (counts, again) = we_send(rates);
    println!("we: {counts:?}, {again} sent again");
    assert!(again + 3 >= counts.lost && again <= 2 * counts.lost + 10, "{counts:?}, {again} sent again");

    // What the kernel sends again is its own affair; but our acknowledgments tell it what is missing.
    let (counts, again) = the_kernel_sends(rates);
    println!("the kernel: {counts:?}, {again} sent again");
    assert!(again <= 4 * counts.lost + 20, "{counts:?}, {again} sent again");
}

/// T02, T03: up to four frames overtake one in a hundred. That is no loss.
#[test]
fn what_was_overtaken_does_not_go_again() {
    let rates = Rates { reorder: 10_000, ..Rates::default() };
    let (counts, again) = we_send(rates);
    println!("we: {counts:?}, {again} sent again");
    assert!(counts.reordered > 5 && again <= counts.reordered / 2, "{counts:?}, {again} sent again");

    // What the kernel sends again depends on how long it takes that a processor is free: its window for reordering is a
    // quarter of a round trip of microseconds. All of it has arrived once, though.
    let (counts, again) = the_kernel_sends(rates);
    println!("the kernel: {counts:?}, {again} sent again");
    assert!(counts.reordered > 5, "{counts:?}, {again} sent again");
}
