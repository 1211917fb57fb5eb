//! Who is woken when, on a machine whose clock is the test's and whose daemon is apart.

use core::sync::atomic::{AtomicU64, AtomicUsize};
use core::task::Waker;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Wake;

use super::*;
use crate::socket::{TcpListener, TcpStream};
use crate::stack::{Limits, Storage};
use crate::wait::Spin;

type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A machine on which something happens at an awkward moment.
#[derive(Default)]
struct Machine {
    when_asked_for_the_time: Hook,
    when_asleep: Hook,
    wakes: AtomicUsize,
    ms: AtomicU64,
}

fn run(hook: &Hook) {
    let hook = hook.lock().unwrap().take();
    if let Some(hook) = hook {
        hook();
    }
}

impl Platform for Machine {
    fn now(&self) -> Instant {
        run(&self.when_asked_for_the_time);
        Instant::from_millis(self.ms.load(Ordering::Relaxed))
    }
    fn idle(&self, _until: Option<Instant>) {
        run(&self.when_asleep);
    }
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

/// As with threads: somebody else turns the daemon, and has to be woken.
struct Apart;

impl Wait for Apart {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        Spin.block_on(net, deadline, poll)
    }
    fn has_output(&self, net: &Net) {
        net.wake_daemon();
    }
    fn spawn(
        &self,
        name: String,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        let job = AssertUnwindSafe(move || Spin.spawn(name, job, Box::new(|| {})));
        catch_unwind(job).unwrap_or_else(|_| catch_unwind(AssertUnwindSafe(on_panic)).or(Ok(())))
    }
}

fn net() -> (Net, &'static Machine) {
    let machine: &'static Machine = Box::leak(Box::default());
    let stack = Stack::new(Storage::heap(&Limits::default()), [4; 32]);
    (Net::new(stack, machine, &Apart), machine)
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// H194: a shutdown in the midst of a call is not missed by who is about to wait.
#[test]
fn a_shutdown_in_the_midst_of_a_call_is_told() {
    let (net, machine) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let count = Arc::new(Count::default());
    let stopper = net.clone();
    *machine.when_asked_for_the_time.lock().unwrap() = Some(Box::new(move || stopper.shutdown()));
    let waker = Waker::from(count.clone());
    let polled = listener.poll_accept(&mut Context::from_waker(&waker));
    let told = matches!(polled, Poll::Ready(Err(Error::NetDown)));
    assert!(told || count.0.load(Ordering::Relaxed) > 0, "it would wait for ever");
}

/// H184: a call that sets a timer and sends nothing, a write at a closed window, ends a sleep that
/// would last longer.
#[test]
fn a_timer_that_a_call_sets_ends_the_sleep() {
    let (net, machine) = net();
    net.with_stack(|stack| stack.tcp_config().receive_buffer = 4096);
    let listener = TcpListener::bind(&net, 7).unwrap();
    let mut client = TcpStream::start_connect(&net, "127.0.0.1:7".parse().unwrap()).unwrap();
    let (_server, _) = listener.accept().unwrap();
    assert_eq!(client.try_write(&[0; 4096]), Ok(4096));
    for second in 0..9 {
        net.turn();
        machine.ms.store(second * 1000, Ordering::Relaxed);
    }
    *machine.when_asleep.lock().unwrap() = Some(Box::new(move || {
        let before = machine.wakes.load(Ordering::Relaxed);
        assert_eq!(client.try_write(b"x"), Ok(1));
        assert_eq!(machine.wakes.load(Ordering::Relaxed), before + 1);
        core::mem::forget(client);
    }));
    net.sleep(None);
    assert!(machine.when_asleep.lock().unwrap().is_none(), "it slept");
}

/// A panic in `on_error` gives the connection's place back once, neither never nor twice.
#[test]
fn a_panic_in_on_error_keeps_the_places() {
    let (net, machine) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let to = "127.0.0.1:7".parse().unwrap();
    let clients = [(); 3].map(|()| TcpStream::start_connect(&net, to).unwrap());
    let stopper = net.clone();
    *machine.when_asleep.lock().unwrap() = Some(Box::new(move || stopper.shutdown()));
    let errors = Arc::new(AtomicUsize::new(0));
    let counted = errors.clone();
    let serve = crate::Serve::default().max_connections(1).on_error(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("on_error");
    });
    assert_eq!(listener.serve_with(serve, |_, _| Err(Error::TimedOut)), Err(Error::NetDown));
    assert_eq!(errors.load(Ordering::Relaxed), 2 * clients.len());
}

/// H184, H205: a new address ends the daemon's sleep, so that its device hears of the address.
#[test]
fn an_address_ends_the_sleep() {
    let (net, machine) = net();
    while net.turn().is_some_and(|at| at <= net.now()) {}
    let own = net.clone();
    *machine.when_asleep.lock().unwrap() = Some(Box::new(move || {
        own.with_stack(|stack| {
            let loopback = stack.interfaces().map(|(id, _)| id).next().unwrap();
            let address = Cidr::new("10.0.0.1".parse().unwrap(), 32).unwrap();
            stack.add_address(loopback, address, Instant::ZERO).unwrap();
        });
        assert_eq!(machine.wakes.load(Ordering::Relaxed), 1);
    }));
    net.sleep(None);
    assert!(machine.when_asleep.lock().unwrap().is_none(), "it slept");
}
