//! An `embassy-executor` on every board: its tasks run in the fiber or thread that calls, which waits as a blocking call
//! does.

use alloc::boxed::Box;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use barenet::Net;
use embassy_executor::{Spawner, raw};
use spin::Mutex;

/// Who polls an executor, while it waits.
type Poller = Mutex<Option<Waker>>;

/// Runs tasks for ever: `init` spawns the first ones.
///
/// ```no_run
/// # fn main_(net: barenet::Net) {
/// #[embassy_executor::task]
/// async fn hello(net: barenet::Net) {
///     loop {
///         net.sleep(core::time::Duration::from_secs(1)).await;
///         barenet_boards::println!("hello");
///     }
/// }
/// let own = net.clone();
/// barenet_boards::run_executor(&net, |spawner| spawner.spawn(hello(own).expect("one task of it")));
/// # }
/// ```
pub fn run_executor(net: &Net, init: impl FnOnce(Spawner)) -> ! {
    let poller: &'static Poller = Box::leak(Box::default());
    let context = core::ptr::from_ref(poller).cast_mut().cast();
    let executor: &'static raw::Executor = Box::leak(Box::new(raw::Executor::new(context)));
    init(executor.spawner());
    loop {
        net.block_on(poll_fn(|cx| {
            *poller.lock() = Some(cx.waker().clone());
            // SAFETY: the executor is on this stack frame's thread alone, and is not polled by itself.
            unsafe { executor.poll() };
            Poll::<()>::Pending
        }));
    }
}

/// A task of the executor with this context is to be polled: from any thread.
#[unsafe(export_name = "__pender")]
fn pend(context: *mut ()) {
    // SAFETY: `run_executor` has made the context of every executor: a `Poller` that lives for ever.
    let poller = unsafe { &*context.cast::<Poller>() };
    let waker = poller.lock().clone();
    if let Some(waker) = waker {
        waker.wake();
    }
}
