//! What a datagram socket is told when a datagram can't go, did not arrive, or what it stands on is gone.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::udp::{ANY_V4, ANY_V6, Count, at, bind, receive, send};
use super::*;
use crate::udp::DatagramKind;

/// H138: the caller is told, and told the limit. H211: an MTU does not count the Ethernet header.
#[test]
fn a_datagram_too_long_is_refused() {
    let mut a = Host::new(1);
    let client = bind(&mut a, ANY_V6, 0);
    #[cfg(feature = "fragments")]
    a.stack.datagram_set_dont_fragment(client, crate::udp::DontFragment::Yes).unwrap();
    let error = Error::MessageTooLong { limit: 1472 };
    assert_eq!(send(&mut a, client, at("10.0.0.2", 7), &[0; 1473]), Err(error));
    assert_eq!(send(&mut a, client, at("10.0.0.2", 7), &[0; 1472]), Ok(1472));
    let mut b = Host::new(2);
    let question = a.output(T0);
    question.iter().for_each(|f| b.input(f, T0));
    b.output(T0).iter().for_each(|f| a.input(f, T0));
    assert_eq!(a.output(T0)[0].len(), 14 + 1500);
    let to = at("fe80::9", 7);
    assert_eq!(send(&mut a, client, to, &[0; 1453]), Err(Error::MessageTooLong { limit: 1452 }));
}

/// H093: a closed port is told to the connected socket, once, and nobody else; H191: who waits is woken.
#[test]
fn a_closed_port_refuses() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    for (own, to) in [(ANY_V4, v4(2)), (ANY_V6, b.link_local())] {
        let client = bind(&mut a, own, 0);
        let other = bind(&mut a, own, 0);
        let woken = Arc::new(Count::default());
        a.stack.datagram_connect(client, SocketAddr::new(to, 9)).unwrap();
        assert_eq!(a.stack.datagram_peer(client).unwrap().port(), 9);
        let waker = Waker::from(woken.clone());
        let waits = a.stack.datagram_receive(client, &mut [], false, Some(&waker));
        assert_eq!(waits, Err(Error::WouldBlock));
        a.stack.datagram_send(client, None, b"x", None, T0).unwrap();
        send(&mut a, other, SocketAddr::new(to, 9), b"x").unwrap();
        settle(&mut a, &mut b, T0);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(receive(&mut a, client), Err(Error::ConnectionRefused));
        assert_eq!(receive(&mut a, client), Err(Error::WouldBlock));
        assert_eq!(receive(&mut a, other), Err(Error::WouldBlock));
    }
}

/// H093: an error is told after the datagrams that came before it, and before those that came later; to a
/// sender at once.
#[test]
fn an_error_keeps_its_place() {
    for tells_sender in [false, true] {
        let (mut a, mut b) = (Host::new(1), Host::new(2));
        let client = bind(&mut a, ANY_V4, 7);
        a.stack.datagram_connect(client, SocketAddr::new(v4(2), 9)).unwrap();
        let server = bind(&mut b, ANY_V4, 9);
        let back = SocketAddr::new(v4(1), 7);
        send(&mut b, server, back, b"before").unwrap();
        send(&mut b, server, back, b"this").unwrap();
        settle(&mut a, &mut b, T0);
        b.stack.datagram_close(server);
        a.stack.datagram_send(client, None, b"x", None, T0).unwrap();
        settle(&mut a, &mut b, T0);
        let server = bind(&mut b, ANY_V4, 9);
        send(&mut b, server, back, b"after").unwrap();
        settle(&mut a, &mut b, T0);
        let mut read = || receive(&mut a, client).map(|(data, _)| data);
        assert_eq!(read().unwrap(), b"before");
        if tells_sender {
            let sent = a.stack.datagram_send(client, None, b"x", None, T0);
            assert_eq!(sent, Err(Error::ConnectionRefused));
        }
        let mut read = || receive(&mut a, client).map(|(data, _)| data);
        assert_eq!(read().unwrap(), b"this");
        if !tells_sender {
            assert_eq!(read(), Err(Error::ConnectionRefused));
        }
        assert_eq!(read().unwrap(), b"after");
        assert_eq!(read(), Err(Error::WouldBlock));
    }
}

/// H093, H094, H100: the neighbour does not answer; the sender is told.
#[test]
fn a_dead_neighbour_is_unreachable() {
    let mut a = Host::new(1);
    for (own, to) in [(ANY_V4, v4(77)), (ANY_V6, "fe80::77".parse().unwrap())] {
        let client = bind(&mut a, own, 0);
        a.stack.datagram_connect(client, SocketAddr::new(to, 9)).unwrap();
        for _ in 0..10 {
            a.stack.datagram_send(client, None, b"x", None, T0).unwrap();
        }
        let mut now = T0;
        let mut asked = a.output(now).len();
        while let Some(next) = a.stack.next_deadline(now) {
            now = next;
            a.stack.on_timers(now);
            asked += a.output(now).len();
        }
        assert_eq!(asked, 3);
        assert_eq!(receive(&mut a, client), Err(Error::HostUnreachable));
    }
    assert_eq!(drops(&a), [(Drop::NeighborFailed, 16), (Drop::NeighborQueueFull, 4)]);
    assert_eq!(a.stack.memory().0, 0);
}

/// H219, H008: what can't go anywhere fails at once.
#[test]
fn no_route_is_an_error_at_once() {
    let mut a = Host::new(1);
    let client = bind(&mut a, ANY_V6, 0);
    assert_eq!(send(&mut a, client, at("192.0.2.1", 9), b"x"), Err(Error::NetUnreachable));
    assert_eq!(send(&mut a, client, at("2001:db8::1", 9), b"x"), Err(Error::NetUnreachable));
    assert_eq!(send(&mut a, client, at("127.0.0.1", 9), b"x"), Err(Error::NetUnreachable));
    assert_eq!(send(&mut a, client, at("10.0.0.2", 0), b"x"), Err(Error::AddrInvalid));
    assert_eq!(send(&mut a, client, at("0.0.0.0", 9), b"x"), Err(Error::AddrInvalid));
    let v4 = bind(&mut a, ANY_V4, 0);
    assert_eq!(send(&mut a, v4, at("fe80::1", 9), b"x"), Err(Error::AddrInvalid));
    assert_eq!(a.stack.datagram_send(v4, None, b"x", None, T0), Err(Error::NotConnected));
    assert!(a.output(T0).is_empty());
}

/// H221: the handle of a closed socket finds nothing, even when its place is used again.
#[test]
fn a_stale_handle_is_an_error() {
    let mut a = Host::new(1);
    let old = bind(&mut a, ANY_V4, 7);
    a.stack.datagram_close(old);
    let new = bind(&mut a, ANY_V4, 7);
    assert_ne!(old, new);
    assert_eq!(receive(&mut a, old), Err(Error::StaleHandle));
    assert_eq!(a.stack.datagram_local(old), Err(Error::StaleHandle));
    a.stack.datagram_close(old);
    assert_eq!(receive(&mut a, new), Err(Error::WouldBlock));
}

/// H199: what the memory can never hold is refused; its sender would wait for room for ever.
#[test]
fn what_never_fits_is_refused() {
    let mut stack =
        Stack::new(Storage::heap(&Limits { memory: 4096, block_len: 256, ..Limits::default() }), [1; 32]);
    let device = Wire::new(1);
    let id = stack.add_interface(device.capabilities()).unwrap();
    stack.add_address(id, Cidr { address: [10, 0, 0, 1].into(), prefix_len: 24 }, T0).unwrap();
    let mut host = Host { stack, device, id };
    let socket = bind(&mut host, ANY_V4, 9);
    host.stack.datagram_set_broadcast(socket, true).unwrap();
    let to = at("255.255.255.255", 9);
    assert_eq!(send(&mut host, socket, to, &[0; 900]), Ok(900));
    assert_eq!(send(&mut host, socket, to, &[0; 900]), Err(Error::WouldBlock), "there will be room");
    host.output(T0);
    assert_eq!(send(&mut host, socket, to, &[0; 1200]), Err(Error::OutOfMemory));
}

/// H265: a socket whose address was taken away says so, whether it sends or waits, and does not go on
/// with another; when the address is back it goes on.
#[test]
fn a_socket_without_its_address() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let second = Cidr { address: v4(3), prefix_len: 24 };
    b.stack.add_address(b.id, second, T0).unwrap();
    let (bound, connected) = (bind(&mut b, "10.0.0.3", 7), bind(&mut b, ANY_V4, 8));
    let broadcast = bind(&mut b, "10.0.0.255", 9);
    let peer = at("10.0.0.1", 7);
    b.stack.datagram_connect(connected, peer).unwrap();
    let client = bind(&mut a, ANY_V4, 7);
    send(&mut a, client, at("10.0.0.3", 7), b"last").unwrap();
    settle(&mut a, &mut b, T0);
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let waits = b.stack.datagram_receive(connected, &mut [0], false, Some(&waker));
    assert_eq!(waits, Err(Error::WouldBlock));
    for address in [v4(2), v4(3)] {
        b.stack.remove_address(b.id, address, T0).unwrap();
    }
    core::iter::from_fn(|| b.stack.next_woken()).for_each(Waker::wake);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert_eq!(receive(&mut b, bound).unwrap().0, b"last", "what had come is read first");
    for socket in [bound, connected, broadcast] {
        for _ in 0..2 {
            assert_eq!(receive(&mut b, socket), Err(Error::AddrNotAvailable));
            assert_eq!(send(&mut b, socket, peer, b"x"), Err(Error::AddrNotAvailable));
            assert_eq!(b.stack.datagram_is_readable(socket), Ok(true));
        }
    }
    b.stack.add_address(b.id, second, T0).unwrap();
    assert_eq!(send(&mut b, bound, peer, b"x"), Ok(1));
    assert_eq!(receive(&mut b, bound), Err(Error::WouldBlock));
    assert_eq!(send(&mut b, connected, peer, b"x"), Err(Error::AddrNotAvailable), "it had the other one");
}

/// H265, H177: so does one that is bound to an interface.
#[test]
fn a_socket_without_its_interface() {
    let mut a = Host::new(1);
    let zoned = core::net::SocketAddrV6::new([0; 8].into(), 7, 0, a.id.zone()).into();
    let socket = a.stack.datagram_bind(DatagramKind::Udp, zoned, false).unwrap();
    a.stack.remove_interface(a.id, T0).unwrap();
    let again = a.stack.add_interface(a.device.capabilities()).unwrap();
    assert_eq!(again.zone(), a.id.zone());
    assert_eq!(receive(&mut a, socket), Err(Error::DeviceGone));
    assert_eq!(send(&mut a, socket, at("ff02::1", 7), b"x"), Err(Error::DeviceGone));
}
