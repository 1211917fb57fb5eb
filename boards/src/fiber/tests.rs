//! Fibers over the loopback interface, in virtual time: sleeping moves the clock.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::mpsc;

use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Duration;
use barenet::{TcpListener, TcpStream};

use super::*;

mod tls;
mod vanished;

#[derive(Default)]
struct Virtual {
    micros: AtomicU64,
    woken: AtomicBool,
    sleeps: AtomicUsize,
}

impl Platform for Virtual {
    fn now(&self) -> Instant {
        Instant::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn idle(&self, until: Option<Instant>) {
        self.sleeps.fetch_add(1, Ordering::SeqCst);
        if !self.woken.swap(false, Ordering::SeqCst) {
            let until = until.expect("everybody waits and nothing will happen");
            self.micros.fetch_max(until.micros(), Ordering::SeqCst);
        }
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }
}

/// Memory for the stacks: of `main`, and of 16 fibers.
const STACKS: usize = STACK_SIZE_MAIN + 16 * STACK_SIZE_DEFAULT;

type Job = Box<dyn FnOnce() + Send>;

struct World {
    platform: &'static Virtual,
    fibers: &'static Fibers,
    net: Net,
}

fn world() -> World {
    let platform: &'static Virtual = Box::leak(Box::default());
    let fibers: &'static Fibers = Box::leak(Box::new(Fibers::with_stack_memory(platform, STACKS)));
    let stack = Stack::new(Storage::heap(&Limits::default()), [7; 32]);
    World { platform, fibers, net: Net::new(stack, platform, fibers).unwrap() }
}

impl World {
    fn run(&self, main: impl FnOnce(&Net) + Send + 'static) -> Ended {
        let net = self.net.clone();
        self.fibers.run(&self.net, Box::new(move || main(&net))).unwrap()
    }

    /// A function that starts a fiber which sends its name when `job` is done.
    fn spawner(&self) -> (impl Fn(&str, Job) + use<>, mpsc::Receiver<String>) {
        let (send, receive) = mpsc::channel();
        let fibers = self.fibers;
        let spawn = move |name: &str, job: Job| {
            let (done, panicked, own) = (send.clone(), send.clone(), String::from(name));
            let died = own.clone() + " panicked";
            let job = move || {
                job();
                done.send(own).unwrap();
            };
            let on_panic = move || panicked.send(died).unwrap();
            fibers.spawn(name.into(), Box::new(job), Box::new(on_panic)).unwrap();
        };
        (spawn, receive)
    }
}

fn listener(net: &Net) -> TcpListener {
    TcpListener::bind(net, 7000).unwrap()
}

#[test]
fn client_and_server_wait_for_each_other() {
    let world = world();
    let (spawn, done) = world.spawner();
    let ended = world.run(move |net| {
        let listener = listener(net);
        let server = move || {
            let (mut flow, _) = listener.accept().unwrap();
            let mut buf = [0; 512];
            while let n @ 1.. = flow.read(&mut buf).unwrap() {
                flow.write_all(&buf[..n]).unwrap();
            }
        };
        spawn("server", Box::new(server));
        let mut flow = TcpStream::connect(net, "127.0.0.1:7000").unwrap();
        for round in 0..100u8 {
            let sent = [round; 1000];
            let mut got = [0; 1000];
            flow.write_all(&sent).unwrap();
            flow.read_exact(&mut got).unwrap();
            assert_eq!(got, sent);
        }
        flow.shutdown(barenet::Shutdown::Write).unwrap();
        assert_eq!(flow.read(&mut [0; 9]), Ok(0));
    });
    assert_eq!((ended, done.recv().as_deref()), (Ended::Returned, Ok("server")));
}

/// H194: timers of fibers are exact and run in their order, not in that of starting.
#[test]
fn deadlines_wake_in_their_order() {
    let world = world();
    let (spawn, done) = world.spawner();
    let ended = world.run(move |net| {
        for (name, ms) in [("slow", 300), ("quick", 100), ("middle", 200)] {
            let net = net.clone();
            spawn(name, Box::new(move || net.pause(Duration::from_millis(ms))));
        }
        net.pause(Duration::from_millis(1000));
    });
    assert_eq!(ended, Ended::Returned);
    assert_eq!(done.try_iter().collect::<Vec<_>>(), ["quick", "middle", "slow"]);
    assert_eq!(world.platform.now().millis(), 1000);
    assert!(world.platform.sleeps.load(Ordering::SeqCst) < 20, "it does not spin");
}

#[test]
fn a_panic_ends_its_fiber_only() {
    let world = world();
    let (spawn, done) = world.spawner();
    let ended = world.run(move |net| {
        let other = net.clone();
        spawn("other", Box::new(move || other.pause(Duration::from_millis(5))));
        spawn("bad", Box::new(|| panic!("on purpose")));
        net.pause(Duration::from_millis(10));
    });
    assert_eq!(ended, Ended::Returned);
    assert_eq!(done.try_iter().collect::<Vec<_>>(), ["bad panicked", "other"]);
}

#[test]
fn a_panic_in_main_ends_the_program() {
    assert_eq!(world().run(|_| panic!("on purpose")), Ended::Panicked);
}

/// The handler's connection is reset, the next one is served.
#[test]
fn a_panicking_handler_resets_its_connection() {
    let world = world();
    let (spawn, _done) = world.spawner();
    let ended = world.run(move |net| {
        let listener = listener(net);
        let server = move || {
            let _ = listener.serve(|mut flow, _| {
                let mut byte = [0];
                flow.read_exact(&mut byte)?;
                assert_ne!(byte, *b"!", "on purpose");
                flow.write_all(&byte)
            });
        };
        spawn("server", Box::new(server));
        let talk = |byte: &[u8]| {
            let mut flow = TcpStream::connect(net, "127.0.0.1:7000").unwrap();
            flow.write_all(byte).unwrap();
            flow.read(&mut [0; 9])
        };
        assert_eq!(talk(b"a"), Ok(1));
        assert_eq!(talk(b"!"), Err(Error::ConnectionReset));
        assert_eq!(talk(b"b"), Ok(1));
    });
    assert_eq!(ended, Ended::Returned);
}

/// Stacks are used again: many fibers, one after the other, need no more than a few.
#[test]
fn stacks_of_ended_fibers_are_used_again() {
    let world = world();
    let (spawn, done) = world.spawner();
    world.run(move |net| {
        for _ in 0..1000 {
            spawn("short", Box::new(|| {}));
            net.pause(Duration::from_micros(1));
        }
    });
    assert_eq!(done.try_iter().count(), 1000);
    let table = world.fibers.0.table.lock();
    assert!(table.stacks.len() <= 3 && table.fibers.len() <= 3, "{} stacks", table.stacks.len());
}

#[test]
fn a_fiber_that_yields_lets_the_others_run() {
    let world = world();
    let (send, receive) = mpsc::channel();
    let fibers = world.fibers;
    let ended = world.run(move |net| {
        for name in ["a", "b"] {
            let send = send.clone();
            let job = move || {
                for round in 0..3 {
                    send.send((name, round)).unwrap();
                    yield_now();
                }
            };
            fibers.spawn(name.into(), Box::new(job), Box::new(|| {})).unwrap();
        }
        net.pause(Duration::from_millis(1));
    });
    yield_now();
    assert_eq!(ended, Ended::Returned);
    let order: Vec<_> = receive.try_iter().collect();
    assert_eq!(order, [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]);
}

/// A waker that outlives its fiber does not disturb the one that took its place.
#[test]
fn a_stale_waker_wakes_nobody() {
    let world = world();
    let (spawn, done) = world.spawner();
    let fibers = world.fibers;
    let ended = world.run(move |net| {
        let (give, take) = mpsc::channel();
        let other = net.clone();
        let early = move || {
            fibers.block_on(&other, None, &mut |cx| give.send(cx.waker().clone()).is_ok());
        };
        spawn("early", Box::new(early));
        net.pause(Duration::from_millis(1));
        let stale: Waker = take.recv().unwrap();
        let (other, runs) = (net.clone(), Arc::new(AtomicUsize::new(0)));
        let count = runs.clone();
        let late = move || {
            let deadline = other.now() + Duration::from_millis(5);
            fibers.block_on(&other, Some(deadline), &mut |_| {
                count.fetch_add(1, Ordering::SeqCst);
                false
            });
        };
        spawn("late", Box::new(late));
        net.pause(Duration::from_millis(1));
        stale.wake();
        net.pause(Duration::from_millis(10));
        assert_eq!(runs.load(Ordering::SeqCst), 2, "once at first, once at the deadline");
    });
    assert_eq!(ended, Ended::Returned);
    assert_eq!(done.try_iter().collect::<Vec<_>>(), ["early", "late"]);
}

/// H199: more fibers than there is memory for are refused, and the others live on.
#[test]
fn stacks_run_out_with_an_error() {
    let world = world();
    let fibers = world.fibers;
    let ended = world.run(move |net| {
        let start = |ms| {
            let net = net.clone();
            let job = move || net.pause(Duration::from_millis(ms));
            fibers.spawn("one of many".into(), Box::new(job), Box::new(|| {}))
        };
        assert_eq!((0..99).take_while(|_| start(5).is_ok()).count(), 16);
        assert_eq!(start(5), Err(Error::OutOfMemory));
        net.pause(Duration::from_millis(10));
        assert_eq!(start(1), Ok(()));
    });
    assert_eq!(ended, Ended::Returned);
}

/// The overflow ends its process, so this test runs itself again as another one.
#[test]
fn an_overflow_names_the_fiber() {
    const CHILD: &str = "BARENET_TEST_OVERFLOW";
    if std::env::var_os(CHILD).is_some() {
        let world = world();
        let fibers = world.fibers;
        world.run(move |net| {
            let deep = || assert!(depth(1) > 1);
            fibers.spawn("deep".into(), Box::new(deep), Box::new(|| {})).unwrap();
            net.pause(Duration::from_millis(1));
        });
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "fiber::tests::an_overflow_names_the_fiber", "--nocapture"]);
    let output = child.env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("fiber `deep` overflowed its stack"), "{text}");
    assert_eq!(output.status.code(), Some(101));
}

#[inline(never)]
fn depth(n: u64) -> u64 {
    let frame = core::hint::black_box([n; 32]);
    if core::hint::black_box(true) { depth(n + 1) + frame[3] } else { frame[0] }
}

/// Another run would move fibers between threads, or wait for a `main` that nobody runs.
#[test]
fn a_scheduler_runs_once() {
    let world = world();
    let (fibers, net) = (world.fibers, world.net.clone());
    let again = move |net: &Net| fibers.run(net, Box::new(|| panic!("never runs"))).err();
    let refused = |why: Option<Error>| matches!(why, Some(Error::InvalidInput(_)));
    let own = net.clone();
    let ended = world.run(move |_| {
        assert!(refused(again(&own)), "on a fiber of its own");
        assert!(
            refused(std::thread::scope(|s| s.spawn(|| again(&own)).join().unwrap())),
            "on another thread"
        );
        let other = Fibers::new(fibers.0.platform);
        assert!(refused(other.run(&own, Box::new(|| ())).err()), "another one's, on a fiber");
        assert!(current().is_some());
    });
    assert_eq!(ended, Ended::Returned);
    assert!(refused(again(&net)), "afterwards");
}

/// What a fiber that has not ended holds may belong to the thread that it ran on. It goes with nobody.
#[test]
fn what_is_left_on_stacks_is_not_dropped_elsewhere() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let world = world();
    let (dropped, fibers) = (Arc::new(AtomicBool::new(false)), world.fibers);
    let flag = Flag(dropped.clone());
    let ended = world.run(move |net| {
        let own = net.clone();
        let job = move || {
            let _held = flag;
            own.pause(Duration::from_secs(3600));
        };
        fibers.spawn("late".into(), Box::new(job), Box::new(|| {})).unwrap();
        net.pause(Duration::from_millis(1));
    });
    assert_eq!((ended, fibers.0.table.lock().fibers.len()), (Ended::Returned, 0));
    assert!(!dropped.load(Ordering::SeqCst));
}

/// `on_error` runs on a fiber, also after a panic: if it waits the others go on, and if it panics the
/// program does.
#[test]
fn on_error_may_wait_and_panic() {
    let world = world();
    let (spawn, _done) = world.spawner();
    let ended = world.run(move |net| {
        let listener = listener(net);
        let own = net.clone();
        let serve = barenet::Serve::default().max_connections(1).on_error(move |error, _| {
            assert_eq!(error, Error::ConnectionAborted);
            own.pause(Duration::from_secs(60));
            panic!("on purpose, too");
        });
        let server = move || {
            let _ = listener.serve_with(serve, |mut flow, _| {
                let mut byte = [0];
                flow.read_exact(&mut byte)?;
                assert_ne!(byte, *b"!", "on purpose");
                flow.write_all(&byte)
            });
        };
        spawn("server", Box::new(server));
        let talk = |byte: &[u8]| {
            let mut flow = TcpStream::connect(net, "127.0.0.1:7000").unwrap();
            flow.write_all(byte).unwrap();
            flow.read(&mut [0; 9])
        };
        for _ in 0..3 {
            assert_eq!(talk(b"!"), Err(Error::ConnectionReset));
            assert_eq!(talk(b"a"), Ok(1), "while `on_error` waits");
        }
        assert!(net.now() < Instant::from_millis(60_000));
        net.pause(Duration::from_secs(120));
        assert_eq!(talk(b"a"), Ok(1), "after it panicked");
    });
    assert_eq!(ended, Ended::Returned);
}

/// Who asks in a loop, without waiting, lets the others and the network have their turn.
#[test]
fn asking_in_a_loop_gets_what_there_is() {
    let world = world();
    let (spawn, done) = world.spawner();
    let ended = world.run(move |net| {
        let listener = listener(net);
        let server = move || {
            let (mut flow, _) = loop {
                match listener.try_accept() {
                    Err(Error::WouldBlock) => {}
                    accepted => break accepted.unwrap(),
                }
            };
            while !flow.is_readable().unwrap() {}
            assert_eq!(flow.try_read(&mut [0; 9]), Ok(3));
            flow.write_all(b"answer").unwrap();
        };
        spawn("server", Box::new(server));
        let mut flow = TcpStream::connect(net, "127.0.0.1:7000").unwrap();
        flow.write_all(b"ask").unwrap();
        let got = loop {
            match flow.try_read(&mut [0; 9]) {
                Err(Error::WouldBlock) => {}
                got => break got,
            }
        };
        assert_eq!(got, Ok(6));
    });
    assert_eq!((ended, done.recv().as_deref()), (Ended::Returned, Ok("server")));
}

/// A fiber that waits under the lock would stop all others for ever. It ends instead.
#[test]
fn a_fiber_does_not_wait_inside_with_stack() {
    let world = world();
    let (spawn, done) = world.spawner();
    let ended = world.run(move |net| {
        let own = net.clone();
        spawn("bad", Box::new(move || own.with_stack(|_| yield_now())));
        net.pause(Duration::from_millis(1));
        assert!(!net.is_locked());
    });
    assert_eq!((ended, done.recv().as_deref()), (Ended::Returned, Ok("bad panicked")));
}

/// Stacks are used again whatever a page is: the size that was asked for counts, not what became of it.
#[test]
fn stacks_of_odd_sizes_are_used_again() {
    let world = world();
    let fibers = world.fibers;
    world.run(move |net| {
        for round in 0..100 {
            for size in [20_001, 65_536, 100_000] {
                fibers.start("short".into(), size, Box::new(|| {}), Box::new(|| {})).unwrap();
            }
            net.pause(Duration::from_micros(1 + round));
        }
        assert_eq!(fibers.0.table.lock().stacks.len(), 3);
    });
}

/// The stack of `main` may be larger, or smaller, than that of others.
#[test]
fn the_stack_of_main_can_be_chosen() {
    let world = world();
    world.fibers.set_main_stack_size(128 * 1024);
    let fibers = world.fibers;
    let ended = world.run(move |_| {
        let guard = current().unwrap().guard.clone();
        let here = (&raw const guard).addr();
        assert!((here - guard.end) < 128 * 1024 && guard.len() >= 4096);
        assert_eq!(fibers.0.table.lock().memory, 128 * 1024);
    });
    assert_eq!(ended, Ended::Returned);
}

/// The smallest default, that of bare metal, holds what a debug build of a TLS client takes, 80 KiB, and
/// below that our own calls, with all that they do, also when nothing is optimised.
#[test]
fn the_default_stack_holds_a_tls_client() {
    #[inline(never)]
    fn below(top: usize, kib: usize, then: &mut dyn FnMut()) {
        let frame = core::hint::black_box([1u8; 256]);
        match top - frame.as_ptr().addr() < kib * 1024 {
            true => below(top, kib, then),
            false => then(),
        }
        core::hint::black_box(frame);
    }
    let world = world();
    let fibers = world.fibers;
    let (send, done) = mpsc::channel();
    let ended = world.run(move |net| {
        let (listener, own) = (listener(net), net.clone());
        let client = move || {
            let mut talk = || {
                let mut flow = TcpStream::connect(&own, "127.0.0.1:7000").unwrap();
                flow.write_all(&[1; 3000]).unwrap();
                let read = own.block_on(async { flow.read_async(&mut [0; 9]).await });
                send.send((read, std::format!("{flow:?}").len() > 9)).unwrap();
            };
            below((&raw const talk).addr(), 80, &mut talk);
        };
        fibers.start("tls".into(), BARE, Box::new(client), Box::new(|| {})).unwrap();
        let (mut flow, _) = listener.accept().unwrap();
        flow.write_all(b"answer").unwrap();
        net.pause(Duration::from_millis(10));
    });
    assert_eq!((ended, done.try_recv()), (Ended::Returned, Ok((Ok(6), true))));
}
