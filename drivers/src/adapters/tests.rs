//! The adapters on devices that the test plays.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Context;

use barenet::device::{ChecksumRequest, Device, Mac, RxChecksum, TxError, TxFrame, TxOffload};
use barenet::time::Instant;

use super::*;

mod drivers;
mod under;

#[derive(Default)]
struct Machine {
    wakes: AtomicUsize,
    now: AtomicU64,
}

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.now.load(SeqCst))
    }
    fn idle(&self, _until: Option<Instant>) {}
    fn wake(&self) {
        self.wakes.fetch_add(1, SeqCst);
    }
}

fn machine() -> &'static Machine {
    Box::leak(Box::default())
}

/// Every way to use the waker wakes the platform, clones and other threads too.
#[test]
fn waker_of_a_platform_wakes_it() {
    let machine = machine();
    let waker = waker(machine);
    waker.wake_by_ref();
    let clone = waker.clone();
    assert!(clone.will_wake(&waker));
    std::thread::spawn(move || clone.wake()).join().unwrap();
    drop(waker);
    assert_eq!(machine.wakes.load(SeqCst), 2);
}

/// A device of another thread is not touched: using it is a panic, dropping it leaks it.
#[test]
fn one_thread_refuses_other_threads() {
    struct Local(std::rc::Rc<()>);
    impl Device for Local {
        fn capabilities(&self) -> barenet::device::Capabilities {
            barenet::device::Capabilities::new(Mac([2; 6]), 1500)
        }
        fn receive(&mut self, _: &mut dyn FnMut(barenet::device::RxFrame<'_>)) -> bool {
            std::rc::Rc::strong_count(&self.0) > 2
        }
        fn transmit(&mut self, _: TxFrame<'_>) -> Result<(), TxError> {
            Ok(())
        }
    }
    let counted = std::rc::Rc::new(());
    let mut here = OneThread::new(Local(counted.clone()));
    assert!(here.arm() && !here.receive(&mut |_| {}));
    drop(here);
    assert_eq!(std::rc::Rc::strong_count(&counted), 1);
    let mut away = OneThread::new(Local(counted.clone()));
    let used = std::thread::spawn(move || away.receive(&mut |_| {})).join();
    assert!(used.is_err());
    assert_eq!(std::rc::Rc::strong_count(&counted), 2, "leaked");
}
