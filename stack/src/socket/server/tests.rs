//! Servers: limits, errors, and how they are stopped.

use core::sync::atomic::AtomicUsize;
use core::task::Context;
use std::boxed::Box;
use std::string::String;
use std::sync::{Mutex, mpsc};
use std::{thread, vec::Vec};

use super::*;
use crate::net::wait::{Spin, Threads, Wait};
use crate::platform::Platform;
use crate::socket::alone::net;
use crate::stack::{Limits, Stack, Storage};
use crate::time::Instant;

fn connect(net: &Net, listener: &TcpListener) -> TcpStream {
    TcpStream::connect(net, ("127.0.0.1", listener.local_addr().port())).unwrap()
}

#[derive(Debug, PartialEq)]
enum Failure {
    Nonsense(u8),
    Net(Error),
}

/// Contract E14, E16: handlers fail with errors of their own, which are told with the client's address; one may end the
/// server, and who waits is served by the next.
#[test]
fn error_of_any_type_is_told_and_may_end_the_server() {
    let net = net();
    let listener = TcpListener::bind(&net, 0).unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| connect(&net, &listener)).collect();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (own, count) = (told.clone(), AtomicUsize::new(0));
    let serve = Serve::of(Failure::Net).try_on_error(move |error, peer| {
        let is_nonsense = matches!(error, Failure::Nonsense(_));
        own.lock().unwrap().push((error, peer));
        if is_nonsense { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let served = listener.serve_with(serve, move |mut flow, _| match count.fetch_add(1, Ordering::Relaxed) {
        0 => flow.write_all(b"served").map_err(Failure::Net),
        1 => Err(Failure::Net(Error::UnexpectedEof)),
        n => Err(Failure::Nonsense(n as u8)),
    });
    assert_eq!(served, Ok(()));
    let peers: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
    let expected = [(Failure::Net(Error::UnexpectedEof), peers[1]), (Failure::Nonsense(2), peers[2])];
    assert_eq!(*told.lock().unwrap(), expected);
    // Contract E15: the one that waits is accepted, and handled beside.
    assert_eq!(listener.accept_fork(Serve::default(), |mut flow, _| flow.write_all(b"last")), Ok(()));
    assert_eq!(clients[3].read(&mut [0; 9]), Ok(4));
}

/// Contract E21: a server that is stopped gives the value; who comes meanwhile waits for the next one.
#[test]
fn stop_gives_its_value_and_the_next_server_goes_on() {
    let net = net();
    let listener = TcpListener::bind(&net, 0).unwrap();
    let mut clients: Vec<_> = (0..6).map(|_| connect(&net, &listener)).collect();
    for (round, word) in [(0, "first"), (1, "second"), (2, "third")] {
        let (stop, count) = (Stop::new(), AtomicUsize::new(0));
        let own = stop.clone();
        let served = listener.serve_until(&stop, Serve::default(), move |mut flow, _| {
            if count.fetch_add(1, Ordering::Relaxed) == 1 {
                own.stop(word);
                own.stop("too late");
            }
            flow.write_all(word.as_bytes())
        });
        assert_eq!(served, Ok(Some(word)));
        let read = |client: &mut TcpStream| client.read(&mut [0; 9]);
        assert_eq!(
            clients[2 * round..2 * round + 2].iter_mut().map(read).collect::<Vec<_>>(),
            [Ok(word.len()); 2]
        );
    }
    let stop = Stop::new();
    stop.stop(7);
    assert_eq!(listener.serve_until(&stop, Serve::default(), |_, _| Ok(())), Ok(Some(7)), "before it began");
}

/// Handlers begin when somebody waits.
struct Deferred(Mutex<Vec<Box<dyn FnOnce() + Send>>>, AtomicUsize);

impl Wait for Deferred {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        Spin.block_on(net, deadline, &mut |cx| {
            if poll(cx) {
                return true;
            }
            let job = self.0.lock().unwrap().pop();
            job.is_some_and(|job| {
                job();
                poll(cx)
            })
        })
    }
    fn spawn(
        &self,
        _name: String,
        job: Box<dyn FnOnce() + Send>,
        _on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        let mut jobs = self.0.lock().unwrap();
        jobs.push(job);
        self.1.fetch_max(jobs.len(), Ordering::Relaxed);
        Ok(())
    }
}

/// A machine that never sleeps.
#[derive(Default)]
struct Machine(core::sync::atomic::AtomicU64);

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn idle(&self, _until: Option<Instant>) {
        thread::yield_now();
    }
    fn wake(&self) {}
}

fn net_with(wait: &'static dyn Wait) -> Net {
    let machine: &'static Machine = Box::leak(Box::default());
    Net::new(Stack::new(Storage::heap(&Limits::default()), [4; 32]), machine, wait).unwrap()
}

/// Contract E18, E19: never more than the limit are served at once; the others wait, and none is refused or reset.
#[test]
fn limit_is_taken_before_a_connection_is_accepted() {
    const CLIENTS: usize = 200;
    const LIMIT: usize = 10;
    let wait: &'static Deferred = Box::leak(Box::new(Deferred(Mutex::default(), AtomicUsize::new(0))));
    let net = net_with(wait);
    let listener = Arc::new(TcpListener::bind_with_backlog(&net, 0, CLIENTS as u16).unwrap());
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(&net, &listener)).collect();
    let none = Serve::default().max_connections(0);
    assert_eq!(listener.serve_with(none, |_, _| Ok(())), Err(Error::InvalidInput("max_connections is 0")));
    let (stop, served) = (Stop::new(), AtomicUsize::new(0));
    let own = stop.clone();
    let serve = Serve::default().max_connections(LIMIT).on_error(|error, _| panic!("{error}"));
    let value = listener.serve_until(&stop, serve, move |mut flow, _| {
        let count = served.fetch_add(1, Ordering::Relaxed) + 1;
        if count == CLIENTS {
            own.stop(count);
        }
        flow.write_all(b"served")
    });
    assert_eq!((value, wait.1.load(Ordering::Relaxed)), (Ok(Some(CLIENTS)), LIMIT));
    let mut buf = [0; 9];
    assert!(clients.iter_mut().all(|client| client.read(&mut buf) == Ok(6)));
}

/// Contract E20, E21, E16: two workers on one listener are stopped at once: what their handlers wait for ends by name, which
/// is not told as an error, and clients are reset.
#[test]
fn stop_at_once_ends_handlers_and_resets_clients() {
    let net = net_with(&Threads);
    let listener = Arc::new(TcpListener::bind(&net, 0).unwrap());
    let (stop, (begun, wait_begun)) = (Stop::new(), mpsc::channel());
    let (ended, wait_ended) = mpsc::channel();
    let daemon = {
        let net = net.clone();
        thread::spawn(move || net.run())
    };
    let told = Arc::new(AtomicUsize::new(0));
    let workers = [(); 2].map(|()| {
        let told = told.clone();
        let (listener, stop, begun, ended) = (listener.clone(), stop.clone(), begun.clone(), ended.clone());
        let (begun, ended) = (Mutex::new(begun), Mutex::new(ended));
        thread::spawn(move || {
            let serve = Serve::default().max_connections(1).on_error(move |_, _| {
                told.fetch_add(1, Ordering::Relaxed);
            });
            listener.serve_until(&stop, serve, move |mut flow, _| {
                begun.lock().unwrap().send(()).unwrap();
                let read = flow.read(&mut [0; 9]);
                ended.lock().unwrap().send(read).unwrap();
                read.map(|_| ())
            })
        })
    });
    let mut clients = [connect(&net, &listener), connect(&net, &listener)];
    // Each worker has its limit: so both serve.
    (0..2).for_each(|_| wait_begun.recv().unwrap());
    stop.stop_at_once(7);
    (0..2).for_each(|_| assert_eq!(wait_ended.recv().unwrap(), Err(Error::ConnectionAborted)));
    workers.into_iter().for_each(|worker| assert_eq!(worker.join().unwrap(), Ok(Some(7))));
    assert_eq!(told.load(Ordering::Relaxed), 0);
    assert!(clients.iter_mut().all(|client| client.read(&mut [0; 9]) == Err(Error::ConnectionReset)));
    net.shutdown();
    daemon.join().unwrap();
}
