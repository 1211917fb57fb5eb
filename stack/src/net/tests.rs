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
use crate::net::wait::Spin;
use crate::socket::{TcpListener, TcpStream};
use crate::stack::{Limits, Storage};

mod cancellation;
mod set_up;

type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A machine on which something happens at an awkward moment.
#[derive(Default)]
struct Machine {
    when_asked_for_the_time: Hook,
    when_asleep: Hook,
    wakes: AtomicUsize,
    sleeps_until_ms: AtomicU64,
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
    fn idle(&self, until: Option<Instant>) {
        self.sleeps_until_ms.store(until.map_or(u64::MAX, Instant::millis), Ordering::Relaxed);
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
    (Net::new(stack, machine, &Apart).unwrap(), machine)
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Contract M8, H194: a shutdown in the midst of a call is not missed by who is about to wait.
#[test]
fn a_shutdown_in_the_midst_of_a_call_is_told() {
    let (net, machine) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let count = Arc::new(Count::default());
    let stopper = net.clone();
    // The time is read under the lock, for which the rest of the shutdown waits.
    *machine.when_asked_for_the_time.lock().unwrap() = Some(Box::new(move || {
        let other = stopper.clone();
        std::thread::spawn(move || other.shutdown());
        while !stopper.is_stopped() {
            std::thread::yield_now();
        }
    }));
    let waker = Waker::from(count.clone());
    let polled = listener.poll_accept(&mut Context::from_waker(&waker));
    let told = matches!(polled, Poll::Ready(Err(Error::NetDown)));
    assert!(told || count.0.load(Ordering::Relaxed) > 0, "it would wait for ever");
}

/// Contract M7, H184: a call that sets a timer and sends nothing, a write at a closed window, ends a sleep that
/// would last longer.
#[test]
fn a_timer_that_a_call_sets_ends_the_sleep() {
    let (net, machine) = net();
    net.with_stack(|stack| stack.configure_tcp(|c| c.receive_buffer = 4096)).unwrap();
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
    net.idle(None);
    assert!(machine.when_asleep.lock().unwrap().is_none(), "it slept");
}

/// H279: a clock that is set back by seconds or by an hour stops no timer, here that of a closed window, and
/// time never goes back, for the stack or for programs. One that is behind by as little as two processors may
/// differ is waited for.
#[test]
fn a_clock_that_is_set_back() {
    for back in [10_000, 3_600_000] {
        let (net, machine) = net();
        let set = |ms: u64| machine.ms.store(ms, Ordering::Relaxed);
        net.with_stack(|stack| stack.configure_tcp(|c| c.receive_buffer = 4096)).unwrap();
        let listener = TcpListener::bind(&net, 7).unwrap();
        let mut client = TcpStream::start_connect(&net, "127.0.0.1:7".parse().unwrap()).unwrap();
        let (_server, _) = listener.accept().unwrap();
        assert_eq!(client.try_write(&[0; 4096]), Ok(4096));
        let start = 4_000_000;
        for second in 0..9 {
            set(start - 9_000 + second * 1_000);
            net.turn();
        }
        set(start);
        net.turn();
        set(start - 50);
        net.turn();
        assert_eq!(net.now().millis(), start - 50, "50 ms are no step");
        set(start);
        assert_eq!(client.try_write(b"x"), Ok(1));
        let probes = || {
            net.turn();
            net.with_stack(|stack| stack.tcp_counts().get(crate::counters::TcpCount::WindowProbes))
        };
        assert_eq!(probes(), 0);
        set(start - back);
        assert_eq!((probes(), net.now().millis()), (0, start));
        net.idle(None);
        let sleeps = machine.sleeps_until_ms.load(Ordering::Relaxed);
        assert!((start - back..=start - back + 300).contains(&sleeps), "until {sleeps}");
        for ms in [100, 301] {
            set(start - back + ms);
            assert_eq!((probes(), net.now().millis()), ((ms > 300) as u64, start + ms));
        }
    }
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

/// A limit of nothing, again and again, as on a machine that is slower than the limit: the network goes on meanwhile, and what is
/// waited for comes.
#[test]
fn a_limit_that_is_over_gives_way() {
    let (net, _) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let client = connect(&net);
    let tries = |_: &u32| {
        matches!(net.block_on(net.timeout(Duration::ZERO, listener.accept_async())), Err(Error::TimedOut))
    };
    assert!((0..20).take_while(tries).count() < 20, "it never came");
    drop(client);
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
    net.idle(None);
    assert!(machine.when_asleep.lock().unwrap().is_none(), "it slept");
}

/// A task that runs when it is woken, as some executors do it.
struct AtOnce(Hook);

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        run(&self.0);
    }
}

fn at_once(task: impl FnOnce() + Send + 'static) -> Waker {
    Waker::from(Arc::new(AtOnce(Mutex::new(Some(Box::new(task))))))
}

fn connect(net: &Net) -> TcpStream {
    TcpStream::start_connect(net, "127.0.0.1:7".parse().unwrap()).unwrap()
}

fn settle(net: &Net) {
    for _ in 0..20 {
        net.turn();
    }
}

/// H268: a waker may run its task at once, which accepts, answers, and closes what it was woken for.
#[test]
fn a_task_may_run_at_once() {
    let (net, _) = net();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let own = listener.clone();
    let accept = at_once(move || {
        let (mut stream, _) = own.try_accept().unwrap();
        stream.write_without_interruption(b"welcome").unwrap();
        own.close();
    });
    assert!(listener.poll_accept(&mut Context::from_waker(&accept)).is_pending());
    let mut client = connect(&net);
    settle(&net);
    assert_eq!(client.try_read(&mut [0; 9]), Ok(7));
    assert_eq!(client.try_read(&mut [0; 9]), Ok(0));
}

/// H268: a task may own the socket that it waits on, so that the socket goes with its waker.
#[test]
fn a_waker_may_drop_a_socket() {
    let (net, _) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let client = Arc::new(Mutex::new(Some(connect(&net))));
    settle(&net);
    let (mut server, _) = listener.try_accept().unwrap();
    let own = client.clone();
    let end = at_once(move || drop(own.lock().unwrap().take()));
    let read = client.lock().unwrap().as_mut().unwrap().poll_read(&mut Context::from_waker(&end), &mut [0]);
    assert!(read.is_pending());
    server.write_without_interruption(b"x").unwrap();
    settle(&net);
    assert_eq!(server.try_read(&mut [0; 9]), Err(Error::ConnectionReset), "text that nobody read was lost");
}

/// H268, H220: a hundred tasks are woken, more than at a time, and each runs at once.
#[test]
fn a_crowd_may_run_at_once() {
    let (net, _) = net();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (own, count) = (listener.clone(), ran.clone());
        let task = at_once(move || {
            count.fetch_add(1 + usize::from(own.try_accept().is_ok()) * 1000, Ordering::Relaxed);
        });
        assert!(listener.poll_accept(&mut Context::from_waker(&task)).is_pending());
    }
    let _client = connect(&net);
    settle(&net);
    assert_eq!(ran.load(Ordering::Relaxed), 1100);
}

/// A socket inside `with_stack` would wait for itself. It says so, whoever asks, and the network can be
/// used afterwards.
#[test]
fn a_socket_inside_with_stack_is_a_panic() {
    let (net, _) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let stream = connect(&net);
    let uses: [Box<dyn FnOnce() + Send>; 4] = [
        Box::new({
            let net = net.clone();
            move || assert!(net.turn().is_some())
        }),
        Box::new({
            let net = net.clone();
            move || net.with_stack(|_| ())
        }),
        Box::new(move || stream.state().map(drop).unwrap()),
        Box::new(move || listener.try_accept().map(drop).unwrap()),
    ];
    for inside in uses {
        let panicked = catch_unwind(AssertUnwindSafe(|| net.with_stack(|_| inside()))).unwrap_err();
        let said = panicked.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(said.contains("with_stack"), "{said}");
    }
    assert!(!net.is_locked() && !net.is_locked_here());
    assert!(net.with_stack(|_| net.is_locked() && net.is_locked_here()));
    assert!(TcpListener::bind(&net, 8).is_ok());
}

/// Two tasks that wait for one connection to be acknowledged, and two that accept: all are woken, once.
#[test]
fn two_tasks_wait_for_one_thing() {
    let (net, _) = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let mut client = connect(&net);
    settle(&net);
    client.write_without_interruption(b"x").unwrap();
    let counts = [(); 2].map(|()| Arc::new(Count::default()));
    for count in [&counts[0], &counts[1], &counts[0]] {
        let waker = Waker::from(count.clone());
        assert!(client.poll_acknowledged(&mut Context::from_waker(&waker)).is_pending());
    }
    let (_server, _) = listener.accept().unwrap();
    settle(&net);
    assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [1, 1]);
    assert_eq!(client.poll_acknowledged(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
}

/// A way of waiting that asks again only when it was told to, and whose work never ends. While it waits
/// the network is shut down.
struct Told;

impl Wait for Told {
    fn block_on(
        &self,
        net: &Net,
        _deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        while !poll(&mut Context::from_waker(&waker)) {
            net.shutdown();
            assert!(count.0.swap(0, Ordering::Relaxed) > 0, "it would wait for ever");
        }
        true
    }
    fn spawn(
        &self,
        _name: String,
        job: Box<dyn FnOnce() + Send>,
        _on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        core::mem::forget(job);
        Ok(())
    }
}

/// H194: a shutdown ends `serve` also while it waits for a place.
#[test]
fn a_shutdown_reaches_a_serve_that_is_full() {
    let machine: &'static Machine = Box::leak(Box::default());
    let net = Net::new(Stack::new(Storage::heap(&Limits::default()), [4; 32]), machine, &Told).unwrap();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let _client = connect(&net);
    settle(&net);
    let serve = crate::Serve::default().max_connections(1);
    assert_eq!(listener.serve_with(serve, |_, _| Ok(())), Err(Error::NetDown));
}

/// Two threads that run the daemon would share its sleep.
#[test]
fn the_daemon_runs_once() {
    let (net, machine) = net();
    let own = net.clone();
    *machine.when_asleep.lock().unwrap() = Some(Box::new(move || {
        let again = catch_unwind(AssertUnwindSafe(|| own.run())).unwrap_err();
        assert!(again.downcast_ref::<&str>().is_some_and(|said| said.contains("Net::run")));
        own.shutdown();
    }));
    net.run();
    net.run();
    assert!(net.is_stopped());
}

/// A second thread that would sleep goes on; what it does for a thread that sleeps, or is about to, wakes
/// that.
#[test]
fn one_thread_sleeps_at_a_time() {
    let (net, machine) = net();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let (bell, seen) = (net.bell(), net.seen());
    assert!(listener.poll_accept(&mut Context::from_waker(&bell)).is_pending());
    settle(&net);
    let own = net.clone();
    *machine.when_asleep.lock().unwrap() = Some(Box::new(move || {
        own.idle(None);
        let before = machine.wakes.load(Ordering::Relaxed);
        listener.close();
        assert_eq!(machine.wakes.load(Ordering::Relaxed), before + 1);
        *machine.when_asleep.lock().unwrap() = Some(Box::new(|| panic!("it knows already")));
    }));
    net.idle_since(seen, None);
    net.idle_since(seen, None);
}
