//! Sockets as callbacks: one [`Loop`] drives any number of handles on one thread, in the manner of libuv.
//!
//! Each operation stands on the `poll_…` form of a socket, so all that the sockets promise holds here. A handle is cheap to
//! clone; the program need not keep one while it listens, connects, reads or writes, since the loop does. Callbacks are
//! given the handle, may call anything, and are dropped when it is closed.
//!
//! ```no_run
//! # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
//! use barenet::callbacks::{Loop, Read, Tcp};
//! let events = Loop::new(net);
//! let server = Tcp::new(&events);
//! server.bind("0.0.0.0:7000")?;
//! server.listen(128, |server, connected| {
//!     let client = Tcp::new(server.events());
//!     match connected.and_then(|()| server.accept(&client)) {
//!         Err(error) => println!("can't accept: {error}"),
//!         Ok(()) => client.read_start(|client, read| match read {
//!             Read::Data(data) => client.write(&[data], |_, _, _| {}),
//!             Read::End => client.close(|| {}),
//!             Read::Failed(error) => {
//!                 println!("{}: {error}", error.name());
//!                 client.close(|| {});
//!             }
//!         }),
//!     }
//! })?;
//! events.run();
//! # Ok(()) }
//! ```

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};

use crate::base::sync::Lock;
use crate::base::sync::atomic::{AtomicBool, Ordering};
use crate::net::Net;

mod request;
mod tcp;
mod timer;
mod udp;

pub use request::Request;
pub use tcp::{Read, Tcp};
pub use timer::Timer;
pub use udp::{Datagram, Udp};

/// What one handle does before others have their turn.
const BUDGET: usize = 16;

/// Calls the callbacks of its handles. Cheap to clone: each is the same loop.
#[derive(Clone)]
pub struct Loop(Rc<State>);

struct State {
    net: Net,
    /// By their numbers.
    handles: RefCell<Vec<Option<Rc<dyn Handle>>>>,
    /// Numbers that handles gave back.
    free: RefCell<Vec<usize>>,
    called: Arc<Called>,
    is_stopped: Cell<bool>,
}

/// What the loop knows of a handle.
trait Handle {
    /// Does what can be done, and registers `cx` for the rest.
    fn run(self: Rc<Self>, cx: &mut Context<'_>);

    /// Will it call something yet?
    fn is_active(&self) -> bool;

    /// Lets its socket and its callbacks go, and calls none of them.
    fn close(&self);

    fn place(&self) -> &Place;
}

/// A handle's place in its loop, given back when the handle is gone.
struct Place {
    events: Loop,
    bell: Arc<Bell>,
}

impl Place {
    fn new(events: &Loop) -> Place {
        let State { handles, free, called, .. } = &*events.0;
        let number = free.borrow_mut().pop().unwrap_or_else(|| {
            let mut handles = handles.borrow_mut();
            handles.push(None);
            handles.len() - 1
        });
        let bell = Bell { number, is_queued: AtomicBool::new(false), called: called.clone() };
        Place { events: events.clone(), bell: Arc::new(bell) }
    }

    fn ring(&self) {
        self.bell.ring();
    }
}

impl Drop for Place {
    /// One that takes its number may be called for nothing.
    fn drop(&mut self) {
        self.events.0.free.borrow_mut().push(self.bell.number);
    }
}

/// A callback that is called again and again until it is taken away, which it may do itself.
struct Slot<F> {
    is_on: bool,
    callback: Option<F>,
}

impl<F> Default for Slot<F> {
    fn default() -> Self {
        Slot { is_on: false, callback: None }
    }
}

impl<F> Slot<F> {
    fn set(&mut self, callback: F) {
        *self = Slot { is_on: true, callback: Some(callback) };
    }

    /// For a call; `None`: it was taken away.
    fn take(&mut self) -> Option<F> {
        if self.is_on { self.callback.take() } else { None }
    }

    /// [`take`](Slot::take), if it is to be called now.
    fn take_if(&mut self, is_due: bool) -> Option<F> {
        if is_due { self.take() } else { None }
    }

    /// After the call, unless it was taken away or replaced meanwhile.
    fn put_back(&mut self, callback: F) {
        if self.is_on && self.callback.is_none() {
            self.callback = Some(callback);
        }
    }

    fn stop(&mut self) -> Option<F> {
        self.is_on = false;
        self.callback.take()
    }
}

/// The handles that have something to do, and who waits for one.
#[derive(Default)]
struct Called {
    queue: Lock<VecDeque<Arc<Bell>>>,
    waker: Lock<Option<Waker>>,
}

/// Calls a handle.
struct Bell {
    number: usize,
    is_queued: AtomicBool,
    called: Arc<Called>,
}

impl Bell {
    fn ring(self: &Arc<Self>) {
        if self.is_queued.swap(true, Ordering::SeqCst) {
            return;
        }
        self.called.queue.lock().push_back(self.clone());
        let waker = self.called.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

impl Called {
    fn is_idle(&self) -> bool {
        self.queue.lock().is_empty()
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_idle() {
            return Poll::Ready(());
        }
        *self.waker.lock() = Some(cx.waker().clone());
        // One may have come before the waker.
        if self.is_idle() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The next one that has rung: from now on it can ring again, whether its handle is there or not.
    fn next(&self) -> Option<Arc<Bell>> {
        let bell = self.queue.lock().pop_front()?;
        bell.is_queued.store(false, Ordering::SeqCst);
        Some(bell)
    }
}

impl Loop {
    /// A loop without handles.
    pub fn new(net: &Net) -> Loop {
        Loop(Rc::new(State {
            net: net.clone(),
            handles: RefCell::default(),
            free: RefCell::default(),
            called: Arc::default(),
            is_stopped: Cell::new(false),
        }))
    }

    /// The network of its sockets.
    pub fn net(&self) -> &Net {
        &self.0.net
    }

    /// Calls callbacks until no handle is active any more (none listens, connects, reads, receives, has something to
    /// write or is about to close), or [`stop`](Loop::stop) is called. True: handles are active still.
    pub fn run(&self) -> bool {
        loop {
            self.run_once();
            if self.0.is_stopped.take() {
                return self.is_active();
            }
            if !self.is_active() {
                return false;
            }
            let (net, called) = (&self.0.net, &self.0.called);
            if called.is_idle() {
                // It waits without a limit, so it can't fail.
                let _ = net.wait_for(None, |cx| called.poll(cx).map(Ok));
            } else {
                net.waiter().give_way(net);
            }
        }
    }

    /// Calls what can be called now, and does not wait. True: handles are active.
    pub fn run_ready(&self) -> bool {
        self.0.net.waiter().give_way(&self.0.net);
        self.run_once();
        self.is_active()
    }

    /// Lets [`run`](Loop::run) return when the callback that calls it has.
    pub fn stop(&self) {
        self.0.is_stopped.set(true);
    }

    /// Closes all handles, without a call of any callback: before the last copy of the loop goes, unless
    /// [`run`](Loop::run) has returned false. Handles that are active keep the loop, and it keeps them.
    pub fn close(&self) {
        // What a handle lets go may start another one.
        while let Some(handle) = self.take_one() {
            handle.close();
        }
    }

    fn take_one(&self) -> Option<Rc<dyn Handle>> {
        self.0.handles.borrow_mut().iter_mut().find_map(Option::take)
    }

    fn is_active(&self) -> bool {
        self.0.handles.borrow().iter().flatten().any(|handle| handle.is_active())
    }

    /// One round of those that are called now.
    fn run_once(&self) {
        let round = self.0.called.queue.lock().len();
        for _ in 0..round {
            if self.0.is_stopped.get() {
                return;
            }
            let Some(bell) = self.0.called.next() else { return };
            let number = bell.number;
            let handle = self.0.handles.borrow().get(number).cloned().flatten();
            let Some(handle) = handle else { continue };
            // One that is gone may have rung for the handle that has its number now.
            let bell = handle.place().bell.clone();
            let waker = Waker::from(bell.clone());
            handle.clone().run(&mut Context::from_waker(&waker));
            // The loop keeps those alone that do something, or were called again.
            if !handle.is_active() && !bell.is_queued.load(Ordering::SeqCst) {
                let forgotten = self.0.handles.borrow_mut().get_mut(number).and_then(Option::take);
                drop(forgotten);
            }
        }
    }

    /// The handle has something to do: the loop keeps it.
    fn call(&self, handle: Rc<dyn Handle>) {
        let bell = handle.place().bell.clone();
        let mut handles = self.0.handles.borrow_mut();
        let replaced = handles.get_mut(bell.number).and_then(|place| place.replace(handle));
        drop(handles);
        drop(replaced);
        bell.ring();
    }
}

#[cfg(all(test, feature = "full"))]
mod tests;
