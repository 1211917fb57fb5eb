//! Timers as callbacks.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::Context;

use super::{Handle, Loop, Place, Slot};
use crate::net::Sleep;
use crate::time::Duration;

type OnTime = Box<dyn FnMut(&Timer)>;

/// A timer handle: not started, or on the network's timer wheel.
///
/// ```no_run
/// # fn example(events: &barenet::callbacks::Loop, client: barenet::callbacks::Tcp) {
/// use barenet::callbacks::Timer;
/// use core::time::Duration;
/// // Give up after ten seconds.
/// Timer::new(events).start(Duration::from_secs(10), move |_| client.close(|| {}));
/// // Tell every second how far it is, five times.
/// let mut times = 0;
/// Timer::new(events).start_repeating(Duration::from_secs(1), move |timer| {
///     times += 1;
///     println!("{times} s");
///     if times == 5 {
///         timer.stop();
///     }
/// });
/// events.run();
/// # }
/// ```
#[derive(Clone)]
pub struct Timer(Rc<Inner>);

struct Inner {
    place: Place,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    sleep: Option<Sleep>,
    every: Option<Duration>,
    on_time: Slot<OnTime>,
}

impl Timer {
    /// A timer that is not started.
    pub fn new(events: &Loop) -> Timer {
        Timer(Rc::new(Inner { place: Place::new(events), state: RefCell::default() }))
    }

    /// The loop that it is a handle of.
    pub fn events(&self) -> &Loop {
        &self.0.place.events
    }

    /// Calls `on_time` once, when so much time has passed from now, to the microsecond. What was started before is forgotten.
    /// It is called early if the network is shut down.
    pub fn start(&self, after: impl Into<Duration>, on_time: impl FnMut(&Timer) + 'static) {
        self.set(after.into(), None, Box::new(on_time));
    }

    /// Calls `on_time` again and again, each time so long after the call before, until [`stop`](Timer::stop); with a time of
    /// 0 in each round of the loop. Once the network is shut down it is not called any more.
    pub fn start_repeating(&self, every: impl Into<Duration>, on_time: impl FnMut(&Timer) + 'static) {
        let every = every.into();
        self.set(every, Some(every), Box::new(on_time));
    }

    fn set(&self, after: Duration, every: Option<Duration>, on_time: OnTime) {
        let mut state = self.0.state.borrow_mut();
        let before = state.on_time.stop();
        state.sleep = Some(self.events().net().sleep(after));
        state.every = every;
        state.on_time.set(on_time);
        drop(state);
        drop(before);
        self.events().call(self.0.clone());
    }

    /// Stops it: it can be started again.
    pub fn stop(&self) {
        let before = self.0.clear();
        drop(before);
        self.0.place.ring();
    }

    /// Will it be called yet?
    pub fn is_active(&self) -> bool {
        self.0.is_active()
    }
}

impl Inner {
    fn clear(&self) -> (Option<Sleep>, Option<OnTime>) {
        let mut state = self.state.borrow_mut();
        (state.sleep.take(), state.on_time.stop())
    }
}

impl Handle for Inner {
    fn run(self: Rc<Self>, cx: &mut Context<'_>) {
        let timer = Timer(self);
        let mut state = timer.0.state.borrow_mut();
        let is_over = state.sleep.as_mut().is_some_and(|sleep| Pin::new(sleep).poll(cx).is_ready());
        let Some(mut on_time) = state.on_time.take_if(is_over) else { return };
        let net = timer.events().net();
        state.sleep = state.every.filter(|_| !net.is_stopped()).map(|every| net.sleep(every));
        if state.sleep.is_none() {
            state.on_time.stop();
        }
        drop(state);
        on_time(&timer);
        timer.0.state.borrow_mut().on_time.put_back(on_time);
        timer.0.place.ring();
    }

    fn is_active(&self) -> bool {
        self.state.borrow().on_time.is_on
    }

    fn close(&self) {
        drop(self.clear());
    }

    fn place(&self) -> &Place {
        &self.place
    }
}
