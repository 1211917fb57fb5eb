//! A system's calls over the loopback, by threads.

#![cfg(target_os = "linux")]

use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Instant;
use barenet::wait::Threads;
use barenet::{Error, Net, Platform, Shutdown};
use barenet_axnet::{Epoll, Interest, Socket, dns_query, on_interrupt, poll, poll_interfaces};
use barenet_boards::host::Host;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const READABLE: Interest = Interest { readable: true, writable: false };
const WRITABLE: Interest = Interest { readable: false, writable: true };

/// A network with its loopback alone, and the system's network thread.
fn net() -> Net {
    let platform: &'static Host = Box::leak(Box::new(Host::new([]).unwrap()));
    let stack = Stack::new(Storage::heap(&Limits::default()), [5; 32]);
    let net = Net::new(stack, platform, &Threads).unwrap();
    let own = net.clone();
    thread::spawn(move || {
        while !own.is_stopped() {
            let next = poll_interfaces(&own);
            own.idle(next);
        }
    });
    net
}

#[test]
fn blocking_sockets_of_two_threads_exchange() {
    let net = net();
    let listener = Socket::tcp(&net);
    listener.bind("127.0.0.1:7".parse().unwrap()).unwrap();
    assert_eq!(listener.bind("127.0.0.1:8".parse().unwrap()), Err(Error::AlreadyConnected));
    listener.listen(8).unwrap();
    let server = thread::spawn(move || {
        let (socket, peer) = listener.accept().unwrap();
        assert_eq!(socket.peer_addr(), Ok(peer));
        let mut buf = [0; 99];
        let n = socket.recv(&mut buf).unwrap();
        socket.send(&buf[..n]).unwrap();
        assert_eq!(socket.recv(&mut buf), Ok(0));
    });
    let client = Arc::new(Socket::tcp(&net));
    client.connect("127.0.0.1:7".parse().unwrap()).unwrap();
    // One thread waits in `recv` while another sends.
    let reader = client.clone();
    let reads = thread::spawn(move || {
        let mut buf = [0; 99];
        let n = reader.recv(&mut buf).unwrap();
        buf[..n].to_vec()
    });
    assert_eq!(client.send(b"hello"), Ok(5));
    assert_eq!(reads.join().unwrap(), b"hello");
    client.shutdown(Shutdown::Write).unwrap();
    server.join().unwrap();
    net.shutdown();
}

#[test]
fn nonblocking_connect_is_over_when_it_is_writable() {
    let net = net();
    let listener = Arc::new(Socket::tcp(&net));
    listener.listen(1).unwrap();
    listener.set_nonblocking(true);
    assert_eq!(listener.accept().err(), Some(Error::WouldBlock));
    let to = |port| format!("127.0.0.1:{port}").parse().unwrap();
    for (port, how) in [(listener.local_addr().unwrap().port(), None), (9, Some(Error::ConnectionRefused))] {
        let client = Socket::tcp(&net);
        client.set_nonblocking(true);
        let started = client.connect(to(port));
        assert!(started == Err(Error::WouldBlock) || started == how.map_or(Ok(()), Err), "{started:?}");
        let ready = poll(&net, &[(&client, WRITABLE)], Some(Duration::from_secs(5)));
        assert_eq!(ready, [(0, WRITABLE)]);
        let told = client.take_error().unwrap();
        assert!(told == how || started == Err(Error::ConnectionRefused), "{told:?}");
    }
    let epoll = Epoll::default();
    epoll.set(1, listener.clone(), WRITABLE);
    epoll.set(1, listener.clone(), READABLE);
    let events = epoll.wait(&net, Some(Duration::from_secs(5)));
    assert_eq!(events, [(1, READABLE)]);
    let (accepted, _) = listener.accept().unwrap();
    assert!(epoll.wait(&net, Some(Duration::ZERO)).is_empty(), "by level: nobody waits any more");
    epoll.set(2, Arc::new(accepted), Interest { readable: true, writable: true });
    let events = epoll.wait(&net, None);
    assert_eq!(events, [(2, Interest { readable: true, writable: true })], "the peer has closed");
    epoll.remove(2);
    assert!(epoll.wait(&net, Some(Duration::ZERO)).is_empty());
    net.shutdown();
}

#[test]
fn datagrams_go_with_and_without_a_peer() {
    let net = net();
    let server = Socket::udp(&net);
    server.bind("127.0.0.1:53".parse().unwrap()).unwrap();
    let client = Socket::udp(&net);
    client.connect(server.local_addr().unwrap()).unwrap();
    assert_eq!(client.send(b"question"), Ok(8));
    let mut buf = [0; 99];
    let (n, from) = server.recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..n], b"question");
    let idle = [(&client, READABLE), (&server, READABLE)];
    assert!(poll(&net, &idle, Some(Duration::ZERO)).is_empty());
    server.send_to(b"answer", from).unwrap();
    assert_eq!(poll(&net, &idle, None), [(0, READABLE)]);
    assert_eq!(client.recv(&mut buf), Ok(6));
    client.set_nonblocking(true);
    assert_eq!(client.recv(&mut buf), Err(Error::WouldBlock));
    assert_eq!(Socket::tcp(&net).send(b"x"), Err(Error::NotConnected));
    net.shutdown();
}

#[test]
fn names_that_need_no_server_are_resolved() {
    let net = net();
    let local = dns_query(&net, "localhost").unwrap();
    assert!(!local.is_empty() && local.iter().all(|address| address.is_loopback()));
    assert_eq!(dns_query(&net, "example.org").err(), Some(Error::NoNameServer));
    net.shutdown();
}

/// An interrupt wakes who sleeps, and touches neither the stack nor its lock.
#[test]
fn interrupt_only_wakes() {
    #[derive(Default)]
    struct Machine(AtomicUsize);
    impl Platform for Machine {
        fn now(&self) -> Instant {
            Instant::ZERO
        }
        fn idle(&self, _until: Option<Instant>) {
            // The interrupt comes while the thread sleeps.
            NET.with(|net| on_interrupt(net.borrow().as_ref().unwrap()));
        }
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    thread_local!(static NET: std::cell::RefCell<Option<Net>> = const { std::cell::RefCell::new(None) });
    let machine: &'static Machine = Box::leak(Box::default());
    let stack = Stack::new(Storage::heap(&Limits::default()), [5; 32]);
    let net = Net::new(stack, machine, &barenet::wait::Spin).unwrap();
    NET.set(Some(net.clone()));
    // While the lock is held, as in the midst of a turn.
    net.with_stack(|_| on_interrupt(&net));
    assert_eq!(machine.0.load(Ordering::SeqCst), 0, "nobody sleeps: there is nobody to wake");
    net.idle(None);
    assert_eq!(machine.0.load(Ordering::SeqCst), 1);
}
