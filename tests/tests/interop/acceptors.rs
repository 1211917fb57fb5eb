//! Several tasks in `accept` on one listener, and what its end means to whom.

use barenet::{Error, Net, TcpListener};
use barenet_boards::fiber::Ended;
use barenet_tests::kernel::{Family, PATIENCE, beside, fibers_and_network, within};
use barenet_tests::netns;
use std::io::{ErrorKind, Read};
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

const ACCEPTORS: usize = 8;
const CLIENTS: usize = 400;

/// Tells each client its own port, until the listener is closed.
fn accept_all(listener: &TcpListener, accepted: &AtomicUsize) {
    let why = loop {
        match listener.accept() {
            Ok((mut flow, peer)) => {
                accepted.fetch_add(1, Ordering::Relaxed);
                flow.write_all(&peer.port().to_be_bytes()).unwrap();
            }
            Err(why) => break why,
        }
    };
    assert_eq!(why, Error::ClosedLocally);
}

/// The kernel's clients, some at a time: each hears what is for it alone.
fn clients(to: SocketAddr) {
    thread::scope(|scope| {
        for _ in 0..ACCEPTORS {
            scope.spawn(move || {
                for _ in 0..CLIENTS / ACCEPTORS {
                    let mut flow = net::TcpStream::connect(to).unwrap();
                    let mut said = vec![];
                    flow.read_to_end(&mut said).unwrap();
                    assert_eq!(said, flow.local_addr().unwrap().port().to_be_bytes());
                }
            });
        }
    });
}

fn listen(net: &Net) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(net, SocketAddr::new(Family::V4.ours(), 0)).unwrap();
    let to = listener.local_addr();
    (listener, to)
}

/// H220, H194: threads.
#[test]
fn threads_share_a_listener() {
    beside(true, |net| {
        let ((listener, to), accepted) = (listen(net), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..ACCEPTORS {
                scope.spawn(|| accept_all(&listener, &accepted));
            }
            clients(to);
            listener.close();
        });
        assert_eq!(accepted.into_inner(), CLIENTS);
    });
}

/// H220, H194: fibers, which a thread beside them ends.
#[test]
fn fibers_share_a_listener() {
    within(PATIENCE, || {
        netns::run(|| {
            let (fibers, net) = fibers_and_network();
            let accepted = Arc::new(AtomicUsize::new(0));
            let (tell, listening) = mpsc::channel();
            let (own, counted) = (net.clone(), accepted.clone());
            let main = move || {
                let (listener, to) = listen(&own);
                let listener = Arc::new(listener);
                for n in 1..ACCEPTORS {
                    let (listener, counted) = (listener.clone(), counted.clone());
                    let job = Box::new(move || accept_all(&listener, &counted));
                    own.waiter().spawn(format!("acceptor {n}"), job, Box::new(|| {})).unwrap();
                }
                tell.send((listener.clone(), to)).unwrap();
                accept_all(&listener, &counted);
            };
            thread::scope(|scope| {
                scope.spawn(move || {
                    let (listener, to) = listening.recv().unwrap();
                    clients(to);
                    listener.close();
                });
                assert_eq!(fibers.run(&net, Box::new(main)), Ok(Ended::Returned));
            });
            assert_eq!(accepted.load(Ordering::Relaxed), CLIENTS);
        });
    });
}

/// T13: a client that nobody accepted learns by a reset that its listener is gone; the next is refused.
#[test]
fn a_closed_listener_resets_what_waits() {
    beside(false, |net| {
        let (listener, to) = listen(net);
        let mut waiting = net::TcpStream::connect(to).unwrap();
        drop(listener);
        assert_eq!(waiting.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(net::TcpStream::connect(to).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}
