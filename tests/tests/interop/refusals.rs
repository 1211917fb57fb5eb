//! Connections that are refused, reset, or lead nowhere: each gets its own error.

use barenet::{Error, TcpStream, UdpSocket};
use barenet_tests::kernel::{Family, Opens, beside, pair};
use rustix::net::sockopt;
use std::io::{ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::thread;
use std::time::Duration;

/// A port that nobody serves.
const CLOSED: u16 = 9;

#[test]
fn a_closed_port_refuses() {
    beside(true, |net| {
        for family in Family::BOTH {
            let to = SocketAddr::new(family.kernel(), CLOSED);
            assert_eq!(TcpStream::connect(net, to).err(), Some(Error::ConnectionRefused), "{to}");
            let to = SocketAddr::new(family.ours(), CLOSED);
            let why = net::TcpStream::connect(to).unwrap_err();
            assert_eq!(why.kind(), ErrorKind::ConnectionRefused, "{to}");
        }
    });
}

/// A reset is an error on every later call, and never the end of the stream.
#[test]
fn the_kernel_resets_in_the_middle() {
    beside(true, |net| {
        for opens in Opens::BOTH {
            let (mut ours, mut kernel) = pair(net, Family::V4, opens);
            kernel.write_all(b"the first half").unwrap();
            let mut buf = [0; 100];
            assert_eq!(ours.read(&mut buf), Ok(14));
            thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let first = ours.read(&mut buf);
                    (first, ours.read(&mut buf), ours.write(b"more"))
                });
                sockopt::set_socket_linger(&kernel, Some(Duration::ZERO)).unwrap();
                drop(kernel);
                let reset = Err(Error::ConnectionReset);
                assert_eq!(reader.join().unwrap(), (reset, reset, reset), "{opens:?}");
            });
        }
    });
}

#[test]
fn we_reset_in_the_middle() {
    beside(false, |net| {
        for opens in Opens::BOTH {
            let (ours, mut kernel) = pair(net, Family::V6, opens);
            let mut buf = [0; 100];
            thread::scope(|scope| {
                let reader = scope.spawn(|| kernel.read(&mut buf).unwrap_err().kind());
                ours.abort();
                assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionReset, "{opens:?}");
            });
        }
    });
}

/// Closing with unread data tells the peer that it was lost (RFC 1122 §4.2.2.13).
#[test]
fn unread_data_at_close_is_told_by_a_reset() {
    beside(true, |net| {
        let (ours, mut kernel) = pair(net, Family::V4, Opens::Kernel);
        kernel.write_all(b"nobody reads this").unwrap();
        while ours.net().with_stack(|stack| stack.memory().0) == 0 {
            thread::yield_now();
        }
        drop(ours);
        assert_eq!(kernel.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

/// Contract M1: nobody answers ARP or NDP for the address.
#[test]
fn a_silent_host_is_unreachable() {
    beside(true, |net| {
        thread::scope(|scope| {
            for to in ["10.0.0.77:80", "[fd00::77]:80"] {
                let connect = move || TcpStream::connect(net, to).err();
                let attempt = scope.spawn(connect);
                scope
                    .spawn(move || assert_eq!(attempt.join().unwrap(), Some(Error::HostUnreachable), "{to}"));
            }
        });
    });
}

/// Without a route there is nothing to wait for.
#[test]
fn without_a_route_the_answer_comes_at_once() {
    beside(true, |net| {
        for to in ["192.0.2.1:80", "[2001:db8::1]:80"] {
            let to: SocketAddr = to.parse().unwrap();
            // This does not wait for anything.
            assert_eq!(TcpStream::start_connect(net, to).err(), Some(Error::NetUnreachable), "{to}");
            let udp = UdpSocket::bind(net, 0).unwrap();
            assert_eq!(udp.send_to(b"hello", to), Err(Error::NetUnreachable), "{to}");
        }
    });
}
