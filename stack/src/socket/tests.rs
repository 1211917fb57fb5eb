//! What the sockets' contract says of one call after another, over the loopback of a network that nobody else turns.

use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Waker};
use std::{boxed::Box, vec, vec::Vec};

use super::alone::net;
use super::*;
use crate::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::ip::addresses::Cidr;
use crate::net::Net;
use crate::stack::SocketKind;
use crate::tcp::{KeepAlive, State, SynCookies, TcpConfig};
use crate::time::{Duration, Instant};

fn pair_over(net: &Net, loopback: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(net, 0).unwrap();
    let client = TcpStream::connect(net, (loopback, listener.local_addr().port())).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(client.local_addr(), Ok(peer), "contract E13: accept tells whose connection it is");
    (client, server)
}

fn pair(net: &Net) -> (TcpStream, TcpStream) {
    pair_over(net, "127.0.0.1")
}

/// Reads to the end of the stream.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buf).unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

/// Contract M1, M3, M4, M10: no route, and a refusal, by name; also from reads and writes of a connect under way.
#[test]
fn connect_that_fails_says_why() {
    let net = net();
    assert_eq!(TcpStream::connect(&net, "192.0.2.1:9").err(), Some(Error::NetUnreachable));
    assert_eq!(TcpStream::connect(&net, "127.0.0.1:9").err(), Some(Error::ConnectionRefused));
    let mut stream = TcpStream::start_connect(&net, "127.0.0.1:9".parse().unwrap()).unwrap();
    net.pause(Duration::from_millis(1));
    assert_eq!(stream.write(b"x"), Err(Error::ConnectionRefused));
    assert_eq!(stream.read(&mut [0; 9]), Err(Error::ConnectionRefused));
    // The first address refuses, and the second is tried.
    let listener = TcpListener::bind(&net, 7).unwrap();
    let both: [SocketAddr; 2] = ["127.0.0.1:9".parse().unwrap(), "127.0.0.1:7".parse().unwrap()];
    assert_eq!(TcpStream::connect(&net, both).unwrap().peer_addr(), Ok(both[1]));
    drop(listener);
}

/// Contract E3: an error is one of the core library's and of the standard library's, with its text and its kind.
#[test]
fn errors_are_those_of_the_libraries() {
    let error: &dyn core::error::Error = &Error::ConnectionReset;
    assert_eq!(std::format!("{error}"), "connection reset by the peer; data may have been lost");
    #[cfg(feature = "std")]
    assert_eq!(std::io::Error::from(Error::TimedOut).kind(), std::io::ErrorKind::TimedOut);
}

/// Contract M5, M12, M13, M14, M20, M21, E13: both families by the same calls; what a read leaves comes with the next.
#[test]
fn stream_gives_what_was_written_in_parts_of_any_size() {
    let net = net();
    for loopback in ["127.0.0.1", "::1"] {
        let (mut client, mut server) = pair_over(&net, loopback);
        let data: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
        client.write_all(&data).unwrap();
        let mut buf = vec![0; data.len()];
        assert_eq!(server.read(&mut []), Ok(0), "nothing is asked for");
        assert_eq!(server.peek(&mut buf[..3]), Ok(3));
        assert_eq!(server.read(&mut buf[..5]), Ok(5));
        assert_eq!(server.read_exact(&mut []), Ok(()));
        assert_eq!(server.read_exact(&mut buf[5..]), Ok(()));
        assert!(buf == data);
        client.write_all(b"short").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read_exact(&mut buf), Err(Error::UnexpectedEof));
    }
}

/// Contract M2, M25: a FIN closes nothing for us; `ClosedByPeer` comes when the peer refuses what we write after it.
#[test]
fn half_close_lets_the_other_direction_go_on() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    client.write_all(b"Hello!").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.write(b"x"), Err(Error::ClosedLocally));
    assert_eq!(read_all(&mut server), b"Hello!");
    server.write_all(b"an answer").unwrap();
    let mut buf = [0; 20];
    assert_eq!(client.read(&mut buf), Ok(9));
    drop(client);
    let failed = loop {
        net.pause(Duration::from_millis(1));
        if let Err(error) = server.write_all(b"more") {
            break error;
        }
    };
    assert_eq!(failed, Error::ClosedByPeer);
}

/// Contract L7: several buffers are one piece, whether ours or the standard library's; empty ones are nothing.
#[test]
fn vectored_write_gathers() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    let mut buf = [0; 20];
    assert_eq!(client.write_vectored(&[b"ab", b"", b"cd"]), Ok(4));
    assert_eq!((server.read(&mut buf), &buf[..4]), (Ok(4), &b"abcd"[..]));
    assert_eq!(client.try_write_vectored(&[b"e", b"fg"]), Ok(3));
    assert_eq!(server.read(&mut buf), Ok(3), "they came in one segment");
    #[cfg(feature = "std")]
    {
        let slices = [std::io::IoSlice::new(b"hi"), std::io::IoSlice::new(b"jkl")];
        assert_eq!(client.write_vectored_std(&slices), 5);
        assert_eq!((server.read(&mut buf), &buf[..5]), (Ok(5), &b"hijkl"[..]));
    }
    let large = vec![7; 100_000];
    let pieces = [&large[..]; 100];
    let mut taken = 0;
    while let Ok(n) = client.try_write_vectored(&pieces) {
        taken += n;
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut server).len(), taken, "what was said to be taken, and no more");
    assert_eq!(client.write_vectored(&[b"x"]), Err(Error::ClosedLocally));
}

#[cfg(feature = "std")]
impl TcpStream {
    fn write_vectored_std(&mut self, slices: &[std::io::IoSlice<'_>]) -> usize {
        std::io::Write::write_vectored(self, slices).unwrap()
    }
}

/// Contract L21, E2: a reset instead of a close, by whoever holds the connection too; each side has a name for it.
#[test]
fn abort_is_told_to_the_peer_and_to_other_holders() {
    let net = net();
    let (client, mut server) = pair(&net);
    let mut clone = client.try_clone().unwrap();
    let mut buf = [0; 9];
    assert!(clone.poll_read(&mut Context::from_waker(Waker::noop()), &mut buf).is_pending());
    client.abort();
    assert_eq!(
        (clone.read(&mut buf), clone.write(b"x")),
        (Err(Error::ConnectionAborted), Err(Error::ConnectionAborted))
    );
    assert_eq!(
        (clone.try_read(&mut buf), clone.try_write(b"x")),
        (Err(Error::ConnectionAborted), Err(Error::ConnectionAborted))
    );
    assert_eq!(server.read(&mut buf), Err(Error::ConnectionReset));
}

/// Contract M26, E6: whoever holds a connection last closes it, and nobody before.
#[test]
fn clone_keeps_the_connection_until_the_last_is_dropped() {
    let net = net();
    let (client, mut server) = pair(&net);
    let mut clone = client.try_clone().unwrap();
    let third = clone.try_clone().unwrap();
    assert_eq!((client.close(), drop(third)), (Ok(()), ()));
    clone.write_all(b"x").unwrap();
    assert_eq!(server.read(&mut [0; 9]), Ok(1));
    assert_eq!(server.try_read(&mut [0; 9]), Err(Error::WouldBlock), "it is not closed");
    drop(clone);
    assert_eq!(server.read(&mut [0; 9]), Ok(0));
}

/// Contract M25: halves that are owned: dropping the one that writes is the end of the stream, reading goes on.
#[test]
fn owned_halves_close_each_its_direction() {
    let net = net();
    let (client, mut server) = pair(&net);
    let (mut reader, mut writer) = client.into_split();
    writer.write_all(b"ask").unwrap();
    writer.write_without_interruption(b"ed").unwrap();
    drop(writer);
    assert_eq!(read_all(&mut server), b"asked");
    server.write_all(b"answer").unwrap();
    let mut buf = [0; 9];
    assert_eq!(reader.read(&mut buf), Ok(6));
    reader.set_read_timeout(core::time::Duration::from_millis(5));
    assert_eq!(reader.read(&mut buf), Err(Error::TimedOut));
    drop(reader);
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.wait_acknowledged(), Ok(()), "the connection came to its end");
}

/// Contract E29: streams are the standard library's, which copies from one to the other.
#[cfg(feature = "std")]
#[test]
fn streams_copy_as_those_of_the_standard_library() {
    let net = net();
    let (mut client, server) = pair(&net);
    client.write_all(b"there and back").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (mut reader, mut writer) = (server.try_clone().unwrap(), server);
    assert_eq!(std::io::copy(&mut reader, &mut writer).unwrap(), 14);
    std::io::Write::flush(&mut writer).unwrap();
    drop((reader, writer));
    assert_eq!(read_all(&mut client), b"there and back");
}

/// How long `call` takes.
fn time_of<R>(net: &Net, call: impl FnOnce() -> R) -> (R, u64) {
    let start = net.now();
    let result = call();
    (result, (net.now() - start).millis())
}

/// Contract M29: each call that waits takes a limit, blocking and async, and says `TimedOut`; nothing is lost by it.
#[test]
fn deadline_ends_each_call_that_waits() {
    let net = net();
    let limit = core::time::Duration::from_millis(20);
    let listener = TcpListener::bind(&net, 7).unwrap();
    let check = |call: &mut dyn FnMut() -> Result<(), Error>| {
        let (result, ms) = time_of(&net, call);
        assert_eq!(result, Err(Error::TimedOut));
        assert!((20..=21).contains(&ms), "it took {ms} ms");
    };
    check(&mut || listener.accept_timeout(limit).map(|_| ()));
    check(&mut || net.block_on(net.timeout(limit, listener.accept_async())).map(|_| ()));
    let (mut client, mut server) = pair(&net);
    let mut buf = [0; 9];
    client.set_read_timeout(limit);
    check(&mut || client.read(&mut buf).map(|_| ()));
    check(&mut || client.peek(&mut buf).map(|_| ()));
    check(&mut || net.block_on(client.read_async(&mut buf)).map(|_| ()));
    client.set_write_timeout(limit);
    while client.try_write(&[7; 10_000]).is_ok() {
        // Acknowledgments make room, until the peer's buffer is full too.
        net.pause(Duration::from_millis(500));
    }
    check(&mut || client.write(&[7]).map(|_| ()));
    check(&mut || net.block_on(client.write_async(&[7])).map(|_| ()));
    check(&mut || net.block_on(client.write_vectored_async(&[&[7], &[8]])).map(|_| ()));
    let mut socket = UdpSocket::bind(&net, 0).unwrap();
    socket.set_read_timeout(limit);
    check(&mut || socket.recv(&mut buf).map(|_| ()));
    check(&mut || net.block_on(socket.recv_async(&mut buf)).map(|_| ()));
    check(&mut || net.block_on(socket.peek_from_async(&mut buf)).map(|_| ()));
    server.write_all(b"late").unwrap();
    assert_eq!(net.block_on(client.read_async(&mut buf)), Ok(4));
    client.set_read_timeout(None);
}

#[test]
fn sleepers_wake_in_the_order_of_their_times() {
    let net = net();
    let ms = Duration::from_millis;
    let (order, elapsed) = time_of(&net, || {
        net.block_on(async {
            let (late, early) = (net.sleep(ms(10)), net.sleep(core::time::Duration::from_millis(5)));
            let start = net.now();
            early.await;
            let first = (net.now() - start).millis();
            late.await;
            (first, (net.now() - start).millis())
        })
    });
    assert_eq!((order, elapsed), ((5, 10), 10), "both began at once");
    net.block_on(net.sleep_until(net.now()));
    assert_eq!(net.block_on(net.timeout(ms(5), async { 7 })), Ok(7));
    // Given up in the middle, it leaves nothing behind.
    let _ = net.block_on(net.timeout(ms(5), net.sleep(ms(3_600_000))));
    let deadline = net.with_stack(|stack| stack.next_deadline(Instant::ZERO));
    assert_eq!(deadline, None);
    net.shutdown();
    net.block_on(net.sleep(ms(3_600_000)));
}

/// Contract L20: readiness can be asked for and waited for, without a buffer.
#[test]
fn readiness_is_told_without_taking_anything() {
    let net = net();
    let (client, mut server) = pair(&net);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_readable(&mut cx).is_pending() && client.poll_writable(&mut cx).is_ready());
    server.write_all(b"x").unwrap();
    assert_eq!(net.block_on(core::future::poll_fn(|cx| client.poll_readable(cx))), Ok(()));
    assert_eq!(net.block_on(core::future::poll_fn(|cx| client.poll_readable(cx))), Ok(()));
    let listener = TcpListener::bind(&net, 7).unwrap();
    assert!(listener.poll_acceptable(&mut cx).is_pending());
    let _client = TcpStream::connect(&net, "127.0.0.1:7").unwrap();
    net.pause(Duration::from_millis(1));
    assert!(listener.poll_acceptable(&mut cx).is_ready() && listener.try_accept().is_ok());
    let socket = UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(socket.poll_readable(&mut cx).is_pending() && socket.is_readable() == Ok(false));
    socket.connect("127.0.0.1:9").unwrap();
    socket.send(b"x").unwrap();
    net.pause(Duration::from_millis(1));
    assert!(socket.poll_readable(&mut cx).is_ready() && socket.is_readable() == Ok(true));
    assert_eq!(socket.try_recv(&mut [0; 9]), Err(Error::ConnectionRefused), "asking took nothing");
}

/// Contract U12, L13, E22, E23, E24: a socket on a bare port hears both families, and tells peers by their own addresses.
#[test]
fn ipv4_peer_of_a_bare_port_is_told_as_ipv4() {
    let net = net();
    let server = UdpSocket::bind(&net, 7).unwrap();
    let mut buf = [0; 9];
    for to in ["127.0.0.1:7", "[::1]:7"] {
        let to: SocketAddr = to.parse().unwrap();
        let client = UdpSocket::bind(&net, 0).unwrap();
        client.connect(to).unwrap();
        client.send(b"ask").unwrap();
        let received = server.recv_datagram(&mut buf).unwrap();
        assert_eq!((Ok(received.from), received.to), (client.local_addr(), to.ip()));
        assert_eq!(server.send_to(b"ok", received.from), Ok(2));
        assert_eq!(client.recv_from(&mut buf), Ok((2, to)), "from whom it was asked");
    }
}

/// Contract U17, D4, D14, D20: with a peer, without one, and with another one: libuv's errors, by our names.
#[test]
fn socket_is_connected_to_one_peer_after_another() {
    let net = net();
    let socket = UdpSocket::bind(&net, 0).unwrap();
    let bound = socket.local_addr().unwrap();
    let peers = [7, 8].map(|port| UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, port)).unwrap());
    let addresses = [0, 1].map(|i: usize| peers[i].local_addr().unwrap());
    let mut buf = [0; 9];
    assert_eq!([socket.disconnect(), socket.send(b"x").map(|_| ())], [Err(Error::NotConnected); 2]);
    assert_eq!(socket.try_send(b"x"), Err(Error::NotConnected));
    for (peer, address) in peers.iter().zip(addresses) {
        assert_eq!(socket.connect(address), Ok(()));
        assert_eq!(socket.connect(addresses[0]), Err(Error::AlreadyConnected));
        assert_eq!(socket.send_to(b"x", address), Err(Error::AlreadyConnected));
        assert_eq!(socket.try_send_to(b"x", address), Err(Error::AlreadyConnected));
        assert_eq!((socket.peer_addr(), socket.try_send(b"ask")), (Ok(address), Ok(3)));
        let (_, from) = peer.recv_from(&mut buf).unwrap();
        peers[0].send_to(b"first", from).unwrap();
        peers[1].send_to(b"second", from).unwrap();
        let answer = net.block_on(socket.recv_async(&mut buf)).unwrap();
        assert_eq!(&buf[..answer], if address == addresses[0] { &b"first"[..] } else { b"second" });
        assert_eq!(socket.try_recv(&mut buf), Err(Error::WouldBlock), "of the other one nothing is heard");
        assert_eq!(socket.disconnect(), Ok(()));
        assert_eq!((socket.peer_addr(), socket.local_addr()), (Err(Error::NotConnected), Ok(bound)));
    }
    peers[0].send_to(b"all", (Ipv4Addr::LOCALHOST, bound.port())).unwrap();
    assert_eq!(socket.recv_from(&mut buf), Ok((3, addresses[0])), "everybody is heard");
    // Who took the place meanwhile keeps it.
    socket.connect(addresses[0]).unwrap();
    let second = UdpSocket::bind(&net, bound.port()).unwrap();
    assert_eq!((socket.disconnect(), socket.peer_addr()), (Err(Error::AddrInUse), Ok(addresses[0])));
    drop(second);
    assert_eq!(socket.disconnect(), Ok(()));
}

/// Contract U9, U10, D15, D17: an empty datagram is one, with its sender; of one that is too long a part comes, which is said.
#[test]
fn datagram_that_is_empty_or_too_long_is_told_as_such() {
    let net = net();
    let [a, b] = [7, 8].map(|port| UdpSocket::bind(&net, (Ipv4Addr::LOCALHOST, port)).unwrap());
    let mut buf = [0; 4];
    a.send_to(b"", b.local_addr().unwrap()).unwrap();
    a.send_to(b"longer", b.local_addr().unwrap()).unwrap();
    a.send_to(b"next", b.local_addr().unwrap()).unwrap();
    let empty = b.try_recv_datagram(&mut buf).unwrap();
    assert_eq!((empty.len, empty.is_truncated(), Ok(empty.from)), (0, false, a.local_addr()));
    let cut = b.recv_datagram(&mut buf).unwrap();
    assert_eq!((cut.len, cut.datagram_len, cut.is_truncated(), &buf), (4, 6, true, b"long"));
    assert_eq!((b.peek(&mut buf), b.recv(&mut buf), &buf), (Ok(4), Ok(4), b"next"));
    assert_eq!(b.try_recv(&mut buf), Err(Error::WouldBlock), "there is no end");
}

/// A device of whose frames nobody hears.
struct Nic;

impl Device for Nic {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2, 0, 0, 0, 0, 9]), 1500)
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, _: TxFrame<'_>) -> Result<(), TxError> {
        Ok(())
    }
}

fn with_nic(net: &Net) -> InterfaceId {
    let own = [("192.0.2.7", 24), ("2001:db8::7", 64)]
        .map(|(ip, len)| Cidr::new(ip.parse().unwrap(), len).unwrap());
    net.add_interface(Box::new(Nic), &own, &["192.0.2.1".parse().unwrap()]).unwrap()
}

/// Contract M28: a device, its addresses and its router make a network by one call; the addresses can be listed, of both
/// families; one call ends all of it, for those who wait too.
#[test]
fn network_is_made_by_one_call_and_ended_by_one() {
    let net = net();
    let id = with_nic(&net);
    let listed: Vec<_> = net.configuration().addresses(id).map(|address| address.cidr).collect();
    for (address, len) in [("192.0.2.7", 24), ("2001:db8::7", 64)] {
        let cidr = Cidr::new(address.parse().unwrap(), len).unwrap();
        assert!(listed.contains(&cidr), "{cidr:?} of {listed:?}");
    }
    // By the router: what is not of the link has a way.
    let udp = UdpSocket::bind(&net, 0).unwrap();
    assert_eq!(
        (udp.connect("198.51.100.1:9"), udp.connect("[2001:db8:1::1]:9")),
        (Ok(()), Err(Error::AlreadyConnected))
    );
    let listener = TcpListener::bind(&net, 7).unwrap();
    let mut accept = core::pin::pin!(listener.accept_async());
    assert!(accept.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    net.shutdown();
    let ended = accept.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ended, core::task::Poll::Ready(Err(Error::NetDown))));
    assert_eq!(
        (udp.send(b"x"), TcpListener::bind(&net, 8).err()),
        (Err(Error::NetDown), Some(Error::NetDown))
    );
}

/// Contract E11: so many connections wait to be accepted, and no more, however many come; the rest have their turn when there
/// is room, and nobody is refused.
#[test]
fn backlog_holds_as_many_as_it_says_and_the_rest_come_later() {
    const BACKLOG: u16 = 3;
    const CLIENTS: usize = 20;
    let net = net();
    let listener = TcpListener::bind_with_backlog(&net, "127.0.0.1:7", BACKLOG).unwrap();
    let to = listener.local_addr();
    let clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::start_connect(&net, to).unwrap()).collect();
    let waiting = || {
        let find = |stack: &mut crate::stack::Stack<'static>| {
            stack.sockets(Instant::ZERO).find(|socket| socket.kind == SocketKind::TcpListener).unwrap()
        };
        net.with_stack(find)
    };
    for _ in 0..30 {
        net.turn();
        assert!(waiting().unread <= BACKLOG.into(), "{:?}", waiting());
    }
    assert_eq!((waiting().unread, waiting().unsent), (BACKLOG.into(), BACKLOG.into()));
    let accepted: Vec<_> = (0..CLIENTS).map(|_| listener.accept().unwrap()).collect();
    let mut peers: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
    peers.sort();
    peers.dedup();
    assert_eq!(peers.len(), CLIENTS);
    assert!(clients.iter().all(|client| client.local_addr().is_ok_and(|local| peers.contains(&local))));
    assert_eq!(listener.try_accept().err(), Some(Error::WouldBlock));
}

/// Contract U6, D11: a datagram to a broadcast address, of the link or of its network, needs `set_broadcast`; without it the
/// error has a name of its own, and nothing is sent.
#[test]
fn broadcast_is_sent_only_where_it_is_allowed() {
    let net = net();
    with_nic(&net);
    let socket = UdpSocket::bind(&net, 0).unwrap();
    for (to, allowed) in [
        ("192.0.2.255:9", false),
        ("255.255.255.255:9", false),
        ("192.0.2.255:9", true),
        ("255.255.255.255:9", true),
        ("192.0.2.255:9", false),
    ] {
        socket.set_broadcast(allowed).unwrap();
        assert_eq!(socket.broadcast(), Ok(allowed));
        let expected = if allowed { Ok(1) } else { Err(Error::BroadcastNotAllowed) };
        assert_eq!((socket.send_to(b"x", to), socket.try_send_to(b"x", to)), (expected, expected), "{to}");
    }
}

/// Contract L21, E30: options, both addresses and the port that was chosen are read back; a reset takes the place of a close;
/// a datagram of several parts is one.
#[test]
fn options_addresses_and_parts_are_those_that_were_given() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    client.set_nodelay(true).unwrap();
    let ask = KeepAlive { idle: Duration::from_secs(7), ..KeepAlive::default() };
    client.set_keep_alive(Some(ask)).unwrap();
    assert_eq!((client.nodelay(), client.keep_alive()), (Ok(true), Ok(Some(ask))));
    assert_eq!((client.local_addr(), client.peer_addr()), (server.peer_addr(), server.local_addr()));
    client.abort();
    assert_eq!(server.read(&mut [0]), Err(Error::ConnectionReset));
    let (a, b) = (UdpSocket::bind(&net, 0).unwrap(), UdpSocket::bind(&net, "127.0.0.1:0").unwrap());
    let to = b.local_addr().unwrap();
    assert!(to.port() != 0);
    assert_eq!(a.try_send_vectored(&[b"one ", b"", b"datagram"], Some(to)), Ok(12));
    let mut buf = [0; 99];
    assert_eq!((b.recv(&mut buf), &buf[..12]), (Ok(12), &b"one datagram"[..]));
}

/// Contract M27: SYNs above the limit are ignored, until a connection of a peer ends; our own connects don't count, and a
/// listener that is closed leaves what was accepted. A cookie that comes back too late is no way around it.
#[test]
fn syn_above_the_accept_limit_waits_for_a_place() {
    for syn_cookies in [SynCookies::Auto, SynCookies::Always] {
        let net = net();
        let set = |config: &mut TcpConfig| (config.accept_limit, config.syn_cookies) = (2, syn_cookies);
        net.with_stack(|stack| stack.configure_tcp(set)).unwrap();
        let listener = TcpListener::bind(&net, 80).unwrap();
        let start = || TcpStream::start_connect(&net, "127.0.0.1:80".parse().unwrap()).unwrap();
        let [first, second, mut third] = [start(), start(), start()];
        let accepted = [(); 2].map(|()| listener.accept().unwrap().0);
        net.pause(Duration::from_millis(100));
        assert_eq!(listener.try_accept().err(), Some(Error::WouldBlock));
        // With a cookie the client takes itself for connected.
        let state = if syn_cookies == SynCookies::Auto { State::SynSent } else { State::Established };
        assert_eq!(third.state(), Ok(state), "neither refused nor answered");
        assert_eq!(net.with_stack(|stack| stack.tcp_count()), (5, 0));
        first.abort();
        drop((accepted, second));
        let last = third.write_all(b"through").and_then(|()| listener.accept());
        let (mut last, _) = last.unwrap();
        listener.close();
        assert_eq!(listener.accept().err(), Some(Error::ClosedLocally));
        assert_eq!(last.read_exact(&mut [0; 7]), Ok(()));
        assert_eq!(TcpStream::connect(&net, "127.0.0.1:80").err(), Some(Error::ConnectionRefused));
    }
}
