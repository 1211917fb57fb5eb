//! Streams: byte-exact in both directions, whatever the network and the readers do.

use barenet::Error;
use barenet::stack::Limits;
use barenet::{TcpListener, TcpStream};
use barenet_drivers::middleware::{Faults, Rates};
use barenet_tests::kernel::{
    Family, Flow, Opens, beside, beside_wrapped, counter, exchange, exchange_at_once, noise, pair, receive,
    send,
};
use rustix::net::sockopt;
use std::io::{Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const BULK: usize = 10_000_000;

/// 10 MB each way, one after the other and both at once, over both families and from both sides.
fn bulk(net: &barenet::Net) {
    for family in Family::BOTH {
        for opens in Opens::BOTH {
            let (mut ours, mut kernel) = pair(net, family, opens);
            match opens {
                Opens::Ours => exchange(&mut ours, &mut kernel, BULK),
                Opens::Kernel => exchange(&mut kernel, &mut ours, BULK),
            }
            let (mut ours, mut kernel) = pair(net, family, opens);
            exchange_at_once(&mut ours, &mut kernel, BULK);
        }
    }
}

#[test]
fn bulk_with_offloads() {
    beside(true, bulk);
}

#[test]
fn bulk_without_offloads() {
    beside(false, bulk);
}

/// Either end may speak first, and end its direction first, whoever opened the connection.
#[test]
fn either_end_closes_first() {
    beside(true, |net| {
        for opens in Opens::BOTH {
            for len in [0, 1, 100_000] {
                let (mut ours, mut kernel) = pair(net, Family::V4, opens);
                exchange(&mut ours, &mut kernel, len);
                let (mut ours, mut kernel) = pair(net, Family::V6, opens);
                exchange(&mut kernel, &mut ours, len);
            }
        }
    });
}

/// H218: the peer's process closed everything while we still wrote. Writing says that the peer had
/// closed, reading that data may be lost.
#[test]
fn a_peer_that_closed_for_good_resets_what_comes_late() {
    beside(true, |net| {
        let (mut ours, kernel) = pair(net, Family::V4, Opens::Ours);
        drop(kernel);
        let mut buf = [0; 10];
        assert_eq!(ours.read(&mut buf), Ok(0), "its FIN");
        let why = loop {
            if let Err(why) = ours.write(&noise(1000, 1)) {
                break why;
            }
        };
        assert_eq!(why, Error::ClosedByPeer);
        assert_eq!(ours.read(&mut buf), Err(Error::ConnectionReset));
    });
}

/// In each direction 1 % of the frames get lost, as many reordered and doubled, half as many corrupted.
fn faulty(offloads: bool, family: Family, seed: u64) {
    let rates = Rates { loss: 10_000, duplicate: 10_000, reorder: 10_000, corrupt: 5_000 };
    let wrap = |tap| Faults::new(tap, seed).receiving(rates).transmitting(rates);
    beside_wrapped(offloads, wrap, &Limits::default(), |net| {
        for opens in Opens::BOTH {
            let (mut ours, mut kernel) = pair(net, family, opens);
            exchange(&mut ours, &mut kernel, 2_000_000);
            let (mut ours, mut kernel) = pair(net, family, opens);
            exchange_at_once(&mut ours, &mut kernel, 1_000_000);
        }
    });
}

#[test]
fn a_faulty_network_without_offloads() {
    faulty(false, Family::V4, 1);
}

#[test]
fn a_faulty_network_with_offloads() {
    faulty(true, Family::V6, 2);
}

const CONNECTIONS: usize = 64;
const EACH: usize = 64 * 1024;

/// One of many connections: all are open before the first byte goes.
fn talk(flow: &mut impl Flow, number: usize, all_open: &Barrier) {
    all_open.wait();
    let data = noise(EACH, number as u64);
    send(flow, &data);
    receive(flow, &data);
}

/// Our echo server with clients of the kernel's, all at once.
fn serve_many(net: &barenet::Net) {
    let listener = TcpListener::bind(net, 7000).unwrap();
    let server = thread::spawn(move || {
        listener.serve(|mut flow, _| {
            let mut buf = [0; 4096];
            loop {
                match flow.read(&mut buf)? {
                    0 => return Ok(()),
                    n => flow.write_all(&buf[..n])?,
                }
            }
        })
    });
    let all_open = Barrier::new(CONNECTIONS);
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let family = Family::BOTH[number % 2];
            let all_open = &all_open;
            scope.spawn(move || {
                let mut flow = net::TcpStream::connect((family.ours(), 7000)).unwrap();
                talk(&mut flow, number, all_open);
            });
        }
    });
    net.shutdown();
    assert_eq!(server.join().unwrap(), Err(Error::NetDown));
}

#[test]
fn we_serve_many_connections_at_once() {
    beside(true, serve_many);
}

/// Each handler must send before it reads on: what was received may not take all memory.
#[test]
fn we_serve_many_connections_with_little_memory() {
    let limits = Limits { memory: CONNECTIONS * 8192, ..Limits::default() };
    beside_wrapped(true, |tap| tap, &limits, serve_many);
}

#[test]
fn we_open_many_connections_at_once() {
    beside(false, |net| {
        let listener = net::TcpListener::bind("[::]:7000").unwrap();
        let all_open = Barrier::new(CONNECTIONS);
        thread::scope(|scope| {
            for number in 0..CONNECTIONS {
                let to = SocketAddr::new(Family::BOTH[number % 2].kernel(), 7000);
                let all_open = &all_open;
                scope.spawn(move || talk(&mut TcpStream::connect(net, to).unwrap(), number, all_open));
            }
            for _ in 0..CONNECTIONS {
                let (mut flow, _) = listener.accept().unwrap();
                scope.spawn(move || std::io::copy(&mut flow.try_clone().unwrap(), &mut flow).unwrap());
            }
        });
    });
}

/// Waits until the kernel has counted one more.
fn await_counter(name: &str, before: u64) {
    while counter(name) == before {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The kernel's reader sleeps until its window is closed and was probed.
#[test]
fn a_slow_reader_in_the_kernel() {
    beside(true, |net| {
        let listener = net::TcpListener::bind((Family::V4.kernel(), 7000)).unwrap();
        sockopt::set_socket_recv_buffer_size(&listener, 16 * 1024).unwrap();
        let data = noise(1_000_000, 1);
        let closed = counter("TCPToZeroWindowAdv");
        let to = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| send(&mut TcpStream::connect(net, to).unwrap(), &data));
            let (mut flow, _) = listener.accept().unwrap();
            await_counter("TCPToZeroWindowAdv", closed);
            receive(&mut flow, &data);
        });
    });
}

/// Our reader sleeps until the kernel has probed our closed window. Afterwards it takes small
/// pieces, so that the window opens and closes often.
#[test]
fn a_slow_reader_of_ours() {
    beside(true, |net| {
        net.with_stack(|stack| stack.configure_tcp(|c| c.receive_buffer = 32 * 1024)).unwrap();
        let (mut ours, mut kernel) = pair(net, Family::V6, Opens::Kernel);
        let data = noise(500_000, 1);
        let probes = counter("TCPWinProbe");
        thread::scope(|scope| {
            scope.spawn(|| {
                kernel.write_all(&data).unwrap();
                kernel.finish();
            });
            await_counter("TCPWinProbe", probes);
            let mut buf = [0; 700];
            for piece in data.chunks(700) {
                let buf = &mut buf[..piece.len()];
                Read::read_exact(&mut ours, buf).unwrap();
                assert!(buf == piece, "other bytes than those that were sent");
            }
            assert_eq!(ours.read(&mut buf), Ok(0));
        });
    });
}
