//! Servers: how many handlers run at once, and who takes over.

use barenet::{Error, Net, Serve, Stop, TcpListener, TcpStream};
use barenet_tests::kernel::{Family, beside};
use std::io::{Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Handlers at once.
const LIMIT: usize = 10;
const CLIENTS: usize = 1000;

fn listen(net: &Net, backlog: u16) -> (TcpListener, SocketAddr) {
    let local = SocketAddr::new(Family::V4.ours(), 0);
    let listener = TcpListener::bind_with_backlog(net, local, backlog).unwrap();
    let to = listener.local_addr();
    (listener, to)
}

/// A client of the kernel: what it says comes back, and then the end. Whoever is refused or reset fails here.
fn ask(to: SocketAddr) {
    let mut flow = net::TcpStream::connect(to).unwrap();
    flow.write_all(b"here").unwrap();
    let mut said = vec![];
    flow.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"here");
}

fn answer(flow: &mut TcpStream) -> Result<(), Error> {
    let mut buf = [0; 4];
    flow.read_exact(&mut buf)?;
    flow.write_all(&buf)
}

/// Contract E18, E19: a thousand clients at once, with a backlog that has room for all and with one that has not: never more
/// handlers than the limit, and none of the clients is refused or reset.
#[test]
fn a_thousand_clients_meet_ten_handlers() {
    for backlog in [128, 1024] {
        beside(true, |net| {
            let (listener, to) = listen(net, backlog);
            let (now, most, stop) =
                (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Stop::new());
            let (running, highest) = (now.clone(), most.clone());
            let handler = move |mut flow: TcpStream, _: SocketAddr| {
                highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let answered = answer(&mut flow);
                running.fetch_sub(1, Ordering::SeqCst);
                answered
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::scope(|clients| {
                        let client = || thread::Builder::new().stack_size(64 << 10);
                        let all = (0..CLIENTS).map(|_| client().spawn_scoped(clients, || ask(to)).unwrap());
                        all.collect::<Vec<_>>().into_iter().for_each(|one| one.join().unwrap());
                    });
                    stop.stop(());
                });
                let serve = Serve::default().max_connections(LIMIT);
                assert_eq!(listener.serve_until(&stop, serve, handler), Ok(Some(())));
            });
            let most = most.load(Ordering::SeqCst);
            assert!((2..=LIMIT).contains(&most), "{most} handlers at once");
        });
    }
}

/// Contract E21: ten thousand clients come while one server hands over to the next ten times: each server gives the value that
/// stopped it, and none of the clients is refused or reset.
#[test]
fn servers_hand_over_ten_times() {
    const HAND_OVERS: usize = 10;
    const THREADS: usize = 20;
    beside(true, |net| {
        let (listener, to) = listen(net, 128);
        let (served, stop) =
            (Arc::new(AtomicUsize::new(0)), Arc::new([(); HAND_OVERS + 1].map(|()| Stop::new())));
        thread::scope(|scope| {
            let last = &stop[HAND_OVERS];
            scope.spawn(move || {
                thread::scope(|clients| {
                    for _ in 0..THREADS {
                        clients.spawn(move || (0..10 * CLIENTS / THREADS).for_each(|_| ask(to)));
                    }
                });
                last.stop(HAND_OVERS);
            });
            for (number, own) in stop.iter().enumerate() {
                let (count, all) = (served.clone(), stop.clone());
                let handler = move |mut flow: TcpStream, _: SocketAddr| {
                    let so_far = count.fetch_add(1, Ordering::SeqCst) + 1;
                    // After so many clients this one stops the server that it is one of, or of which it is the rest.
                    if let Some(which) = so_far.checked_sub(1).filter(|n| n % 900 == 899).map(|n| n / 900)
                        && which < HAND_OVERS
                    {
                        all[which].stop(which);
                    }
                    answer(&mut flow)
                };
                assert_eq!(listener.serve_until(own, Serve::default(), handler), Ok(Some(number)));
            }
        });
        assert_eq!(served.load(Ordering::SeqCst), 10 * CLIENTS);
    });
}
