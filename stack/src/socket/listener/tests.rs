//! Acceptors and `serve`, on the loopback interface.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::task::Waker;
use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use std::task::Wake;
use std::vec::Vec;

use super::*;
use crate::net::wait::Spin;
use crate::platform::Platform;
use crate::socket::Serve;
use crate::stack::{Limits, Stack, Storage};
use crate::time::Instant;

#[derive(Default)]
struct Machine(AtomicU64);

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn idle(&self, _until: Option<Instant>) {}
    fn wake(&self) {}
}

fn net() -> Net {
    let machine: &'static Machine = Box::leak(Box::default());
    Net::new(Stack::new(Storage::heap(&Limits::default()), [4; 32]), machine, &Spin).unwrap()
}

/// Lets everything happen that can happen at once.
fn settle(net: &Net) {
    for _ in 0..20 {
        net.turn();
    }
}

/// A task in `accept`.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    fn poll(self: &Arc<Self>, listener: &TcpListener) -> Poll<Result<SocketAddr, Error>> {
        let waker = Waker::from(self.clone());
        listener.poll_accept(&mut Context::from_waker(&waker)).map_ok(|(_, peer)| peer)
    }
    fn woken(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) > 0
    }
}

fn connect(net: &Net) -> TcpStream {
    TcpStream::start_connect(net, "127.0.0.1:7".parse().unwrap()).unwrap()
}

/// H220, T13: each of several acceptors gets a different connection; one that gives up waiting,
/// woken or not, takes none away from the others.
#[test]
fn acceptors_get_different_connections() {
    let net = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let tasks: Vec<Arc<Task>> = (0..4).map(|_| Arc::default()).collect();
    assert!(tasks.iter().all(|t| t.poll(&listener).is_pending()));
    let clients = [connect(&net), connect(&net)];
    settle(&net);
    assert!(tasks.iter().all(|t| t.woken()), "everybody looks");
    // The first gives up. The others find the connections, and the last one waits on.
    let polled: Vec<_> = tasks[1..].iter().map(|t| t.poll(&listener)).collect();
    let [Poll::Ready(Ok(a)), Poll::Ready(Ok(b)), Poll::Pending] = polled[..] else { panic!("{polled:?}") };
    assert_ne!(a, b);
    drop(clients);
    let _client = connect(&net);
    settle(&net);
    assert!(tasks[3].woken());
    assert!(tasks[0].poll(&listener).is_ready(), "who comes back may be the first");
    assert!(tasks[3].poll(&listener).is_pending());
}

/// Contract E28, H194: who waits in `accept` when the listener is closed learns of it, and so does who comes
/// later; what was not accepted is reset, what was lives on.
#[test]
fn a_closed_listener() {
    let net = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    let [mut first, mut second] = [connect(&net), connect(&net)];
    settle(&net);
    let (mut served, _) = listener.accept().unwrap();
    let task = Arc::<Task>::default();
    assert!(task.poll(&listener).is_ready() && task.poll(&listener).is_pending());
    let mut third = connect(&net);
    settle(&net);
    listener.close();
    settle(&net);
    assert!(task.woken());
    assert_eq!(task.poll(&listener), Poll::Ready(Err(Error::ClosedLocally)));
    assert_eq!(listener.try_accept().map(|_| ()), Err(Error::ClosedLocally));
    assert_eq!(served.write(b"on"), Ok(2));
    settle(&net);
    assert_eq!(first.try_read(&mut [0; 9]), Ok(2));
    assert_eq!(second.try_read(&mut [0; 9]), Ok(0), "its stream was dropped");
    assert_eq!(third.try_read(&mut [0; 9]), Err(Error::ConnectionReset));
    assert_eq!(TcpStream::connect(&net, "127.0.0.1:7").map(|_| ()), Err(Error::ConnectionRefused));
    assert!(TcpListener::bind(&net, 7).is_ok(), "the port is free");
}

/// Contract E21: closing the listener ends `serve` in order.
#[test]
fn serve_ends_when_the_listener_is_closed() {
    let net = net();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let _clients = [connect(&net), connect(&net), connect(&net)];
    let (own, count) = (listener.clone(), AtomicUsize::new(0));
    let served = listener.serve(move |_, _| {
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            own.close();
        }
        Ok(())
    });
    assert_eq!(served, Ok(()));
}

/// H272, contract E21: a server that is stopped leaves the listener and who waits on it to the next one.
#[test]
fn one_server_follows_another() {
    let net = net();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let mut clients = vec![connect(&net), connect(&net), connect(&net)];
    // Each serves two, and stops.
    let serve_two = |word: &'static [u8]| {
        let (own, count) = (listener.clone(), AtomicUsize::new(0));
        let handler = move |mut flow: TcpStream, _| {
            if count.fetch_add(1, Ordering::Relaxed) == 1 {
                own.stop();
            }
            flow.write_all(word)
        };
        assert_eq!(listener.serve(handler), Ok(()));
    };
    serve_two(b"first");
    settle(&net);
    clients.push(connect(&net));
    settle(&net);
    serve_two(b"second");
    settle(&net);
    let read: Vec<_> = clients.iter_mut().map(|c| c.try_read(&mut [0; 9])).collect();
    assert_eq!(read, [Ok(5), Ok(5), Ok(6), Ok(6)]);
    let _client = connect(&net);
    settle(&net);
    assert!(listener.accept().is_ok(), "it still listens");
}

/// H272: a server that waits for clients is stopped by another thread.
#[test]
fn a_waiting_server_is_stopped() {
    let net = net();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let own = listener.clone();
    let server = std::thread::spawn(move || own.serve(|_, _| Ok(())));
    while !server.is_finished() {
        listener.stop(); // it ends those that have begun
        std::thread::yield_now();
    }
    assert_eq!(server.join().unwrap(), Ok(()));
}

/// A way of waiting that has room for a job now and then.
struct Crowded(AtomicUsize);

impl crate::net::wait::Wait for Crowded {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        Spin.block_on(net, deadline, poll)
    }
    fn spawn(
        &self,
        name: String,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 3 {
            2 => Spin.spawn(name, job, on_panic),
            _ => Err(Error::OutOfMemory),
        }
    }
}

/// H281, H199: without a fiber or thread for it, a client waits and is served later, and is not closed.
#[test]
fn clients_wait_for_a_fiber() {
    let machine: &'static Machine = Box::leak(Box::default());
    let crowded: &'static Crowded = Box::leak(Box::new(Crowded(AtomicUsize::new(0))));
    let net = Net::new(Stack::new(Storage::heap(&Limits::default()), [4; 32]), machine, crowded).unwrap();
    let listener = Arc::new(TcpListener::bind(&net, 7).unwrap());
    let mut clients = [connect(&net), connect(&net), connect(&net)];
    let (own, count) = (listener.clone(), AtomicUsize::new(0));
    let serve = Serve::default().on_error(|error, _| panic!("{error}"));
    let served = listener.serve_with(serve, move |mut flow, _| {
        if count.fetch_add(1, Ordering::Relaxed) == 2 {
            own.close();
        }
        flow.write_all(b"served")
    });
    assert_eq!(served, Ok(()));
    settle(&net);
    assert!(clients.iter_mut().all(|c| c.try_read(&mut [0; 9]) == Ok(6)));
    assert_eq!(crowded.0.load(Ordering::Relaxed), 9);
}
