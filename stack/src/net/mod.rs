//! The network as a program holds it: a handle to the daemon, the machine and the way of waiting.

use crate::base::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, sync::Arc};
use core::cell::Cell;
#[cfg(feature = "alloc")]
use core::net::IpAddr;
use core::task::{Context, Poll, Waker};

use crate::base::wakers::NOBODY;
use crate::daemon::{AHEAD_UNIT, Daemon};
use crate::error::Error;
#[cfg(any(feature = "alloc", feature = "slaac"))]
use crate::ip::InterfaceId;
#[cfg(feature = "alloc")]
use crate::ip::addresses::Cidr;
use crate::net::wait::Wait;
use crate::platform::Platform;
use crate::stack::{Devices, Stack};
use crate::time::{Duration, Instant};
use asleep::{Asleep, Seen};
pub use configuration::{Configuration, InterfaceName};
use locked::{Locked, Placed, Shared};
#[cfg(feature = "alloc")]
pub use shared::{Mutex, MutexGuard, Receiver, Sender};
#[cfg(feature = "alloc")]
pub use task::{Task, TaskOptions};
#[cfg(feature = "alloc")]
pub use timers::Sleep;

#[cfg(feature = "dns")]
pub(crate) mod addr_info;
mod asleep;
mod configuration;
mod locked;
#[cfg(feature = "mdns")]
mod mdns;
#[cfg(feature = "dns")]
pub(crate) mod names;
#[cfg(feature = "alloc")]
mod shared;
#[cfg(feature = "alloc")]
mod task;
#[cfg(feature = "alloc")]
mod timers;
pub mod wait;

/// The network of a program: what its sockets are opened on. A handle, cheap to clone.
#[derive(Clone)]
pub struct Net(Handle);

/// Bytes that wait in the loopback device: a few super-frames.
#[cfg(feature = "alloc")]
const LOOPBACK_LEN: usize = 256 * 1024;

#[derive(Clone)]
enum Handle {
    Static(&'static NetState),
    #[cfg(feature = "alloc")]
    Shared(Arc<NetState>),
}

/// What the clones of a [`Net`] share. A program without a heap puts it into a static and makes
/// its `Net` by [`Net::from_static`].
pub struct NetState {
    daemon: Shared,
    wait: &'static dyn Wait,
    #[cfg(feature = "alloc")]
    bell: Arc<Bell>,
    #[cfg(not(feature = "alloc"))]
    bell: Bell,
    /// Some thread is in [`Net::run`].
    runs: AtomicBool,
    stopped: AtomicBool,
    /// How far time is ahead of the platform's clock, because that was set back: in [`AHEAD_UNIT`]s.
    ahead: AtomicU32,
}

/// The machine, and who sleeps on it.
struct Bell {
    asleep: Asleep,
    platform: &'static dyn Platform,
}

#[cfg(feature = "alloc")]
impl alloc::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.asleep.tell(|| self.platform.wake());
    }
}

impl NetState {
    /// The shared part of a network: a daemon with its devices, the machine, the way of waiting.
    pub fn new(
        daemon: &'static mut Daemon<'static>,
        platform: &'static dyn Platform,
        wait: &'static dyn Wait,
    ) -> Self {
        NetState::around(Placed::Static(daemon), platform, wait)
    }

    fn around(daemon: Placed, platform: &'static dyn Platform, wait: &'static dyn Wait) -> Self {
        NetState {
            daemon: Shared::new(daemon),
            wait,
            #[cfg(feature = "alloc")]
            bell: Arc::new(Bell { asleep: Asleep::default(), platform }),
            #[cfg(not(feature = "alloc"))]
            bell: Bell { asleep: Asleep::default(), platform },
            runs: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            ahead: AtomicU32::new(0),
        }
    }
}

/// Gives a new interface its addresses and default routers.
#[cfg(feature = "alloc")]
fn set_up(
    stack: &mut Stack<'static>,
    id: InterfaceId,
    addresses: &[Cidr],
    gateways: &[IpAddr],
    now: Instant,
) -> Result<(), Error> {
    addresses.iter().try_for_each(|a| stack.add_address(id, *a, now))?;
    gateways.iter().try_for_each(|g| stack.set_gateway(id, *g))
}

impl Net {
    /// A handle to a network in a static.
    pub fn from_static(state: &'static NetState) -> Self {
        Net(Handle::Static(state))
    }

    /// A network on the heap, with a loopback interface and no other yet.
    ///
    /// [`Error::OutOfMemory`]: the heap has no room for what waits in the loopback.
    /// [`Error::InvalidInput`]: the stack has no place for its interface, or blocks too small for one.
    #[cfg(feature = "alloc")]
    pub fn new(
        stack: Stack<'static>,
        platform: &'static dyn Platform,
        wait: &'static dyn Wait,
    ) -> Result<Self, Error> {
        use crate::{daemon::DeviceRef, device::loopback::Loopback};
        let mut daemon = Box::new(Daemon::new(stack));
        daemon.add_loopback(DeviceRef::Owned(Box::new(Loopback::heap(LOOPBACK_LEN)?)))?;
        Ok(Net(Handle::Shared(Arc::new(NetState::around(Placed::Heap(daemon), platform, wait)))))
    }

    /// Adds an interface for a device, with these addresses (besides the link-local one that it
    /// forms itself) and default routers. With an error there is no such interface, and the device is
    /// dropped.
    #[cfg(feature = "alloc")]
    pub fn add_interface(
        &self,
        device: Box<dyn crate::device::Device + Send>,
        addresses: &[Cidr],
        gateways: &[IpAddr],
    ) -> Result<InterfaceId, Error> {
        let (mut daemon, now) = self.locked();
        let id = daemon.add_device(crate::daemon::DeviceRef::Owned(device))?;
        let result = set_up(daemon.stack(), id, addresses, gateways, now);
        let device = result.is_err().then(|| daemon.take_device(id, now));
        drop(daemon);
        drop(device);
        self.wake_daemon();
        result.map(|()| id)
    }

    /// Adds an interface for a VLAN (IEEE 802.1Q) over the device of another interface, with these addresses and
    /// default routers. Its frames bear the VLAN's tag; the other interface goes on with untagged ones.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: it is the loopback's or one of a
    /// VLAN itself, has this VLAN already, or the stack is full. With an error there is no such interface.
    #[cfg(all(feature = "vlan", feature = "alloc"))]
    pub fn add_vlan(
        &self,
        parent: InterfaceId,
        number: crate::device::vlan::VlanId,
        addresses: &[Cidr],
        gateways: &[IpAddr],
    ) -> Result<InterfaceId, Error> {
        let (mut daemon, now) = self.locked();
        let id = daemon.add_vlan(parent, number)?;
        let result = set_up(daemon.stack(), id, addresses, gateways, now);
        if result.is_err() {
            daemon.remove_vlan(id, now)?;
        }
        drop(daemon);
        self.wake_daemon();
        result.map(|()| id)
    }

    /// Configures IPv6 of an interface: see [`Stack::configure_ipv6`].
    #[cfg(feature = "slaac")]
    pub fn configure_ipv6(&self, id: InterfaceId, config: crate::config::Ipv6Config) -> Result<(), Error> {
        self.call(|stack, now| stack.configure_ipv6(id, config, now))
    }

    /// Wakes a thread that turns the daemon itself while it waits, if another thread has something for it.
    /// (Without a heap there is one thread.)
    pub(crate) fn bell(&self) -> Waker {
        #[cfg(feature = "alloc")]
        return self.state().bell.clone().into();
        #[cfg(not(feature = "alloc"))]
        NOBODY.clone()
    }

    fn state(&self) -> &NetState {
        match &self.0 {
            Handle::Static(state) => state,
            #[cfg(feature = "alloc")]
            Handle::Shared(state) => state,
        }
    }

    /// The monotonic clock: the platform's, and on from where it was if that is set back.
    pub fn now(&self) -> Instant {
        self.state().bell.platform.now() + self.ahead()
    }

    fn ahead(&self) -> Duration {
        Duration::from_micros(u64::from(self.state().ahead.load(Ordering::Relaxed)) * AHEAD_UNIT)
    }

    /// The way of waiting.
    pub fn waiter(&self) -> &'static dyn Wait {
        self.state().wait
    }

    fn lock(&self) -> Locked<'_> {
        let state = self.state();
        state.daemon.lock(state.bell.platform)
    }

    /// The lock, and the time. Read before, it could be older than what the one before has told the stack.
    fn locked(&self) -> (Locked<'_>, Instant) {
        let state = self.state();
        let mut daemon = self.lock();
        let now = daemon.clock(state.bell.platform.now());
        state.ahead.store((daemon.ahead().micros() / AHEAD_UNIT) as u32, Ordering::Relaxed);
        (daemon, now)
    }

    /// Does somebody hold the stack's lock? For a panic handler that wants to know whether the
    /// stack can go on.
    pub fn is_locked(&self) -> bool {
        self.state().daemon.is_locked()
    }

    /// Does the caller hold the stack's lock: is it inside [`with_stack`](Net::with_stack)? Then sockets
    /// can't be used, nor may it wait for anything.
    pub fn is_locked_here(&self) -> bool {
        let state = self.state();
        state.daemon.is_held_here(state.bell.platform)
    }

    /// Calls `look` with the stack, under its lock: for counters, routes, statistics.
    ///
    /// # Panics
    ///
    /// If `look` uses a socket or the `Net`: they need the lock that is held here.
    pub fn with_stack<R>(&self, look: impl FnOnce(&mut Stack<'static>) -> R) -> R {
        self.under_lock(|stack, _| look(stack))
    }

    /// Calls `change` under the lock; what is due then, now or before the daemon would wake up by
    /// itself, is seen to.
    pub(crate) fn under_lock<R>(&self, change: impl FnOnce(&mut Stack<'static>, Instant) -> R) -> R {
        self.with_daemon(|daemon, now| change(daemon.stack(), now))
    }

    fn with_daemon<R>(&self, change: impl FnOnce(&mut Daemon<'static>, Instant) -> R) -> R {
        let (mut daemon, now) = self.locked();
        let result = change(&mut daemon, now);
        let due = daemon.stack().next_deadline(now);
        let sleeps_until = daemon.sleeps_until;
        drop(daemon);
        match due {
            Some(at) if at <= now => self.waiter().has_output(self),
            // A timer was set, such as that of a window probe.
            Some(at) if at < sleeps_until => self.wake_daemon(),
            _ => {}
        }
        result
    }

    /// One turn of the daemon. Returns when it wants the next even if nothing arrives; `None`:
    /// only then.
    pub fn turn(&self) -> Option<Instant> {
        let (mut daemon, now) = self.locked();
        daemon.turn_at(now)
    }

    /// Sleeps until a device has something, [`wake_daemon`](Net::wake_daemon) is called, or
    /// `until`. Returns at once if something is to be done already, or if another thread sleeps
    /// here. May return early.
    pub fn idle(&self, until: Option<Instant>) {
        self.idle_since(self.seen(), until);
    }

    /// What has happened so far, for [`idle_since`](Self::idle_since).
    pub(crate) fn seen(&self) -> Seen {
        self.state().bell.asleep.seen()
    }

    /// As [`idle`](Self::idle), unless a task that waits by [`bell`](Self::bell) was woken since `seen`.
    pub(crate) fn idle_since(&self, seen: Seen, until: Option<Instant>) {
        let state = self.state();
        let until = Cell::new(until);
        let has_work = || {
            let (mut daemon, now) = self.locked();
            let due = daemon.stack().next_deadline(now);
            until.set([until.get(), due].into_iter().flatten().min());
            daemon.sleeps_until = until.get().unwrap_or(Instant::FAR_FUTURE);
            until.get().is_some_and(|at| at <= now) || !daemon.arm() || self.is_stopped()
        };
        let idle = || state.bell.platform.idle(until.get().map(|at| at - self.ahead()));
        state.bell.asleep.sleep(seen, has_work, idle);
    }

    /// Ends the daemon's sleep, or keeps it from falling asleep.
    pub fn wake_daemon(&self) {
        let state = self.state();
        state.bell.asleep.wake(|| state.bell.platform.wake());
    }

    /// Runs the daemon until [`shutdown`](Net::shutdown): the body of its thread, where there are
    /// threads.
    ///
    /// # Panics
    ///
    /// If another thread is in it: they would keep each other awake.
    pub fn run(&self) {
        struct Runs<'a>(&'a AtomicBool);
        impl Drop for Runs<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        let runs = &self.state().runs;
        assert!(!runs.swap(true, Ordering::SeqCst), "another thread is in `Net::run` already");
        let _runs = Runs(runs);
        while !self.is_stopped() {
            let next = self.turn();
            if next.is_none_or(|next| next > self.now()) {
                self.idle(next);
            }
        }
    }

    /// Ends the daemon. Operations that wait, and all later ones, fail with [`Error::NetDown`]. Names of the link that were announced are
    /// taken back first (RFC 6762 §10.1), by one last turn.
    pub fn shutdown(&self) {
        self.state().stopped.store(true, Ordering::SeqCst);
        #[cfg(feature = "mdns")]
        self.say_goodbye();
        self.lock().stack().wake_everybody();
        self.state().bell.platform.wake();
    }

    /// Takes back what was announced on the link, and sends that.
    #[cfg(feature = "mdns")]
    fn say_goodbye(&self) {
        let (mut daemon, now) = self.locked();
        if daemon.stack().has_mdns() {
            daemon.stack().withdraw_host(now);
            daemon.turn_at(now);
        }
    }

    /// Was it shut down?
    pub fn is_stopped(&self) -> bool {
        self.state().stopped.load(Ordering::SeqCst)
    }

    /// An operation of a socket in poll form: under the lock, at one instant.
    pub(crate) fn call<R>(
        &self,
        operation: impl FnOnce(&mut Stack<'static>, Instant) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.call_sending(|stack, _, now| operation(stack, now))
    }

    /// The same for one that may send at once.
    pub(crate) fn call_sending<R>(
        &self,
        operation: impl FnOnce(&mut Stack<'static>, &mut dyn Devices, Instant) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.with_daemon(|daemon, now| {
            // Under the lock: whoever is not stopped here has its waker in place when `shutdown`
            // wakes everybody.
            if self.is_stopped() {
                return Err(Error::NetDown);
            }
            let (stack, devices) = daemon.split();
            operation(stack, devices, now)
        })
    }

    /// Lets go of a socket: for `drop`.
    pub(crate) fn let_go(&self, close: impl FnOnce(&mut Stack<'static>, Instant)) {
        // A panic inside `with_stack` may unwind over a socket. A second panic would end the process, so
        // the socket is lost instead.
        #[cfg(feature = "std")]
        if std::thread::panicking() && self.is_locked_here() {
            return;
        }
        self.under_lock(close);
    }

    /// `waker` is woken by [`shutdown`](Net::shutdown).
    #[cfg(feature = "alloc")]
    pub(crate) fn attend(&self, waker: &Waker) {
        let mut daemon = self.lock();
        let stack = daemon.stack();
        stack.attendants.register(waker, &mut stack.tcp.woken);
    }

    /// [`call`](Self::call) for an operation that the caller does not wait for. If it finds nothing, others
    /// have their turn and it looks once more.
    pub(crate) fn attempt<R>(
        &self,
        mut operation: impl FnMut(&mut Stack<'static>, Instant) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.attempt_sending(|stack, _, now| operation(stack, now))
    }

    /// The same for one that may send at once.
    pub(crate) fn attempt_sending<R>(
        &self,
        mut operation: impl FnMut(&mut Stack<'static>, &mut dyn Devices, Instant) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut may_look_again = true;
        loop {
            match self.call_sending(&mut operation) {
                Err(Error::WouldBlock) if may_look_again => self.waiter().give_way(self),
                result => return result,
            }
            may_look_again = false;
        }
    }

    /// [`attempt`](Self::attempt) of a question.
    pub(crate) fn attempt_is(
        &self,
        mut is: impl FnMut(&mut Stack<'static>, Instant) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        match self.attempt(|stack, now| is(stack, now)?.then_some(true).ok_or(Error::WouldBlock)) {
            Err(Error::WouldBlock) => Ok(false),
            result => result,
        }
    }

    /// Blocks until `poll` is ready or `timeout` is over, which is [`Error::TimedOut`].
    pub(crate) fn wait_for<R>(
        &self,
        timeout: Option<Duration>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, Error>>,
    ) -> Result<R, Error> {
        // Most calls need not wait, and then need not know the time.
        if let Poll::Ready(result) = poll(&mut Context::from_waker(NOBODY)) {
            return result;
        }
        let deadline = timeout.map(|t| self.now() + t);
        let mut result = Err(Error::TimedOut);
        let mut try_once = |cx: &mut Context<'_>| match poll(cx) {
            Poll::Ready(r) => {
                result = r;
                true
            }
            Poll::Pending => false,
        };
        self.waiter().block_on(self, deadline, &mut try_once);
        result
    }

    /// The async form of [`wait_for`](Self::wait_for). Without the feature `alloc` there is no wheel for the
    /// limit.
    pub(crate) async fn wait_async<R>(
        &self,
        timeout: Option<Duration>,
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, Error>>,
    ) -> Result<R, Error> {
        let ready = core::future::poll_fn(poll);
        #[cfg(feature = "alloc")]
        if let Some(limit) = timeout {
            return self.timeout(limit, ready).await?;
        }
        let _ = timeout;
        ready.await
    }

    /// Runs a future to its end, by this network's way of waiting: a blocking face for async code.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = core::pin::pin!(future);
        loop {
            // Without a limit it is ready when it returns.
            if let Ok(value) = self.wait_for(None, |cx| future.as_mut().poll(cx).map(Ok)) {
                return value;
            }
        }
    }

    /// As [`block_on`](Net::block_on), but for so long at most: then the future is dropped, with
    /// [`Error::TimedOut`].
    pub fn block_on_timeout<F: Future>(
        &self,
        timeout: impl Into<Duration>,
        future: F,
    ) -> Result<F::Output, Error> {
        let mut future = core::pin::pin!(future);
        self.wait_for(Some(timeout.into()), |cx| future.as_mut().poll(cx).map(Ok))
    }

    /// Lets `duration` pass.
    pub fn pause(&self, duration: impl Into<Duration>) {
        let deadline = self.now() + duration.into();
        self.waiter().block_on(self, Some(deadline), &mut |_| false);
    }

    /// Is the last device gone that leads out of this machine?
    pub(crate) fn is_cut_off(&self) -> bool {
        self.lock().is_cut_off()
    }
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
