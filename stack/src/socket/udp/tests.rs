//! The faces of datagram sockets, over the loopback of a network that nobody else turns.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::vec::Vec;

use super::*;
use crate::socket::PingSocket;
use crate::socket::alone::net;
use crate::udp::{Outgoing, RecvSlot};

#[test]
fn datagrams_over_both_families() {
    let net = net();
    let server = UdpSocket::bind(&net, 7).unwrap();
    let mut buf = [0; 10];
    for to in ["127.0.0.1:7", "[::1]:7"] {
        let client = UdpSocket::bind(&net, 0).unwrap();
        client.connect(to).unwrap();
        assert_eq!(client.peer_addr(), Ok(to.parse().unwrap()));
        assert_eq!(client.send(b"hello"), Ok(5));
        let (len, from) = server.peek_from(&mut buf).unwrap();
        assert_eq!(server.recv_from(&mut buf), Ok((len, from)));
        assert_eq!(server.send_to(&buf[..len], from), Ok(5));
        assert_eq!(client.recv(&mut buf), Ok(5));
        assert_eq!(client.try_recv_from(&mut buf), Err(Error::WouldBlock));
        let mut future = core::pin::pin!(async {
            client.send_async(b"a longer one").await.unwrap();
            let (len, from) = server.recv_from_async(&mut buf).await.unwrap();
            assert_eq!((len, &buf), (10, b"a longer o"));
            server.send_to_async(&[], from).await.unwrap();
            assert_eq!(client.recv_from_async(&mut buf).await.unwrap().0, 0, "empty, not an end");
        });
        net.wait_for(None, |cx| future.as_mut().poll(cx).map(Ok)).unwrap();
    }
    assert!(net.with_stack(|stack| stack.counters().drops_seen().next().is_none()));
}

/// H233, H093: errors keep their names on the way up; and a wait ends when its time is over.
#[test]
fn errors_are_told_apart() {
    let net = net();
    let mut socket = UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut buf = [0; 10];
    socket.set_read_timeout(Some(Duration::from_millis(20)));
    let before = net.now();
    assert_eq!(socket.recv(&mut buf), Err(Error::TimedOut));
    assert_eq!(net.now().since(before).millis(), 20);
    assert_eq!(socket.send(b"x"), Err(Error::NotConnected));
    assert_eq!(socket.send_to(b"x", "192.0.2.1:9"), Err(Error::NetUnreachable));
    assert_eq!(socket.send_to(b"x", "nonsense:9"), Err(Error::NoNameServer));
    socket.connect("127.0.0.1:9").unwrap();
    socket.send(b"x").unwrap();
    assert_eq!(socket.recv(&mut buf), Err(Error::ConnectionRefused));
    let port = socket.local_addr().unwrap().port();
    let again = UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, port));
    assert!(again.is_ok(), "connected, it leaves the port to others");
    assert_eq!(UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, port)).err(), Some(Error::AddrInUse));
    drop(again);
    assert!(UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, port)).is_ok(), "free after a drop");
    net.shutdown();
    assert_eq!(socket.recv(&mut buf), Err(Error::NetDown));
}

/// Contract D21, D05: many datagrams in one call, in their order, each with its sender; an error ends a batch and is told after it.
#[test]
fn batch_sent_and_received_keeps_order_and_errors() {
    let net = net();
    let server = UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, 7)).unwrap();
    let client = UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = Some("127.0.0.1:7".parse().unwrap());
    let mut memory = [[0; 8]; 3];
    let mut slots = memory.each_mut().map(|buf| RecvSlot::new(buf));
    assert_eq!(server.try_recv_batch(&mut slots), Err(Error::WouldBlock));
    assert!(matches!(server.recv_batch(&mut []), Err(Error::InvalidInput(_))));
    assert_eq!(client.send_batch(&[]), Ok(0));
    let all: [Outgoing<'_>; 5] =
        [b"one".as_slice(), b"", b"three", b"much too long", b"five"].map(|data| (data, to));
    assert_eq!(client.send_batch(&all), Ok(5));
    assert_eq!(server.recv_batch(&mut slots), Ok(3));
    assert_eq!(slots.each_ref().map(|slot| slot.data()), [b"one".as_slice(), b"", b"three"]);
    assert!(slots.iter().all(|slot| slot.received.is_some_and(|r| r.from == client.local_addr().unwrap())));
    assert_eq!(server.recv_batch(&mut slots), Ok(2));
    assert_eq!(slots.each_ref().map(|slot| slot.data()), [b"much too".as_slice(), b"five", b""]);
    assert!(slots[0].received.unwrap().is_truncated() && slots[2].received.is_none());
    let bad = [(b"x".as_slice(), to), (b"x", Some("192.0.2.1:9".parse().unwrap())), (b"x", to)];
    assert_eq!(client.send_batch(&bad), Ok(1));
    assert_eq!(client.send_batch(&bad[1..]), Err(Error::NetUnreachable));
    // An answer lies there, what ICMP says comes after it, and before what comes later.
    client.connect("127.0.0.1:7").unwrap();
    server.send_to(b"answer", client.local_addr().unwrap()).unwrap();
    drop(server);
    client.send(b"x").unwrap();
    let mut idle = UdpSocket::bind(&net, 0).unwrap();
    idle.set_read_timeout(Some(Duration::from_millis(1)));
    let turn = || assert_eq!(idle.recv(&mut []), Err(Error::TimedOut));
    turn();
    let server = UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, 7)).unwrap();
    server.send_to(b"later", client.local_addr().unwrap()).unwrap();
    turn();
    for expected in [Ok(1), Err(Error::ConnectionRefused), Ok(1)] {
        assert_eq!(client.recv_batch(&mut slots), expected);
    }
    assert_eq!(slots[0].data(), b"later");
}

/// Contract D1, D12, H227: options read back as they were set.
#[test]
fn options_round_trip() {
    let net = net();
    let socket = UdpSocket::bind_v6_only(&net, (Ipv6Addr::UNSPECIFIED, 7)).unwrap();
    assert_eq!((socket.broadcast(), socket.ttl()), (Ok(false), Ok(None)));
    socket.set_broadcast(true).unwrap();
    socket.set_ttl(Some(9)).unwrap();
    assert_eq!((socket.broadcast(), socket.ttl()), (Ok(true), Ok(Some(9))));
    assert!(UdpSocket::bind(&net, (Ipv4Addr::UNSPECIFIED, 7)).is_ok(), "the families don't meet");
    assert_eq!(socket.send_to(b"x", "127.0.0.1:9"), Err(Error::AddrInvalid));
}

#[test]
fn ping_answers_with_its_time() {
    let net = net();
    for to in ["127.0.0.1", "::1"] {
        let mut ping = PingSocket::connect(&net, to.parse().unwrap()).unwrap();
        let seqs: Vec<u16> = (0..3).map(|_| ping.send(b"0123456789").unwrap()).collect();
        assert_eq!(seqs, [0, 1, 2]);
        let mut buf = [0; 64];
        for seq in seqs {
            let reply = ping.recv(&mut buf).unwrap();
            assert_eq!((reply.seq, reply.len, reply.ttl), (seq, 10, 64));
            assert_eq!(reply.round_trip, Some(Duration::ZERO));
            assert_eq!(reply.from, ping.peer());
        }
        ping.set_read_timeout(Some(Duration::from_millis(5)));
        assert_eq!(ping.recv(&mut buf), Err(Error::TimedOut));
    }
    let nowhere = PingSocket::connect(&net, "192.0.2.1".parse().unwrap());
    assert_eq!(nowhere.err(), Some(Error::NetUnreachable));
}
