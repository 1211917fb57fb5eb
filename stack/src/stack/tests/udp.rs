//! Datagram sockets between two stacks.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::input::packet_to;
use super::*;
use crate::bytes::Bytes;
use crate::udp::{DatagramHandle, DatagramKind};
use crate::wire::{UdpHeader, protocol};

pub(super) const ANY_V4: &str = "0.0.0.0";
pub(super) const ANY_V6: &str = "::";

pub(super) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

pub(super) fn bind(host: &mut Host, address: &str, port: u16) -> DatagramHandle {
    host.stack.datagram_bind(DatagramKind::Udp, at(address, port), false).unwrap()
}

pub(super) fn send(
    host: &mut Host,
    socket: DatagramHandle,
    to: SocketAddr,
    data: &[u8],
) -> Result<usize, Error> {
    host.stack.datagram_send(socket, Some(to), data, None, T0)
}

pub(super) fn receive(host: &mut Host, socket: DatagramHandle) -> Result<(Vec<u8>, SocketAddr), Error> {
    let mut buf = [0; 2000];
    let got = host.stack.datagram_receive(socket, &mut buf, false, None)?;
    assert_eq!(got.len, got.datagram_len);
    Ok((buf[..got.len].to_vec(), got.from))
}

#[derive(Default)]
pub(super) struct Count(pub(super) AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn datagrams_go_both_ways_over_both_families() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let server = bind(&mut b, ANY_V6, 7);
    for (own, to) in [(ANY_V4, v4(2)), (ANY_V6, b.link_local()), (ANY_V6, v4(2))] {
        let client = bind(&mut a, own, 0);
        for data in [&b"hello"[..], b"", &[7; 1400]] {
            assert_eq!(send(&mut a, client, SocketAddr::new(to, 7), data), Ok(data.len()));
            settle(&mut a, &mut b, T0);
            let (got, from) = receive(&mut b, server).unwrap();
            assert_eq!(got, data);
            assert_eq!(from.port(), a.stack.datagram_local(client).unwrap().port());
            assert_eq!(
                from.is_ipv4(),
                to.is_ipv4(),
                "U12: IPv4 peers are told as IPv4, by a socket of both families too"
            );
            send(&mut b, server, from, data).unwrap();
            settle(&mut a, &mut b, T0);
            assert_eq!(receive(&mut a, client).unwrap().0, data);
        }
        assert_eq!(receive(&mut a, client), Err(Error::WouldBlock));
    }
    assert_eq!((drops(&a), drops(&b)), (vec![], vec![]));
    assert_eq!(a.stack.memory().0 + b.stack.memory().0, 0);
}

/// D01: the rest of a datagram that the buffer is too small for is lost, and said to be.
#[test]
fn truncation_is_reported() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) = (bind(&mut a, ANY_V4, 0), bind(&mut b, ANY_V4, 7));
    send(&mut a, client, at("10.0.0.2", 7), b"0123456789").unwrap();
    send(&mut a, client, at("10.0.0.2", 7), b"next").unwrap();
    settle(&mut a, &mut b, T0);
    let mut buf = [0; 4];
    for peek in [true, false] {
        let got = b.stack.datagram_receive(server, &mut buf, peek, None).unwrap();
        assert_eq!((got.len, got.datagram_len, &buf), (4, 10, b"0123"));
        assert_eq!((got.to, got.hop_limit, got.at, got.interface), (v4(2), 64, T0, b.id));
    }
    assert_eq!(receive(&mut b, server).unwrap().0, b"next");
}

/// Contract U11, L13: DSCP and ECN are what the socket says, and told to the receiver, over both families.
#[test]
fn traffic_class_set_is_sent_and_told() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) = (bind(&mut a, ANY_V6, 0), bind(&mut b, ANY_V6, 7));
    let peers = [at("10.0.0.2", 7), crate::udp::with_zone(b.link_local(), 7, a.id.zone())];
    for (class, to) in [0, 46 << 2 | 1, 255].into_iter().flat_map(|class| peers.map(|to| (class, to))) {
        a.stack.datagram_set_traffic_class(client, class).unwrap();
        assert_eq!(a.stack.datagram_traffic_class(client), Ok(class));
        a.stack.datagram_send(client, Some(to), b"x", None, T0).unwrap();
        settle(&mut a, &mut b, T0);
        let got = b.stack.datagram_receive(server, &mut [0; 4], false, None).unwrap();
        assert_eq!((got.traffic_class, got.dscp(), got.ecn()), (class, class >> 2, class & 3));
    }
}

/// H137, H144: exactly one socket gets a datagram: connected before bound address before wildcard.
#[test]
fn the_most_specific_socket_receives() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let client = bind(&mut a, ANY_V4, 555);
    let both = bind(&mut b, ANY_V6, 7);
    let wildcard = b.stack.datagram_bind(DatagramKind::Udp, at(ANY_V4, 7), false);
    assert_eq!(wildcard, Err(Error::AddrInUse), "it overlaps");
    let bound = bind(&mut b, "10.0.0.2", 7);
    b.stack.datagram_connect(bound, at("10.0.0.1", 555)).unwrap();
    let second = bind(&mut b, "10.0.0.2", 7);
    for (socket, close) in [(bound, true), (second, true), (both, false)] {
        send(&mut a, client, at("10.0.0.2", 7), b"x").unwrap();
        settle(&mut a, &mut b, T0);
        for other in [bound, second, both] {
            let got = receive(&mut b, other).map(|(data, _)| data);
            match got {
                Ok(data) if other == socket => assert_eq!(data, b"x"),
                Err(Error::WouldBlock | Error::StaleHandle) if other != socket => {}
                other => panic!("{other:?}"),
            }
        }
        if close {
            b.stack.datagram_close(socket);
        }
    }
}

/// H144, H145: a socket with an address of its own gets only what is for it, and sends only from it.
#[test]
fn a_bound_address_filters() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let second = Cidr { address: v4(3), prefix_len: 24 };
    b.stack.add_address(b.id, second, T0).unwrap();
    let client = bind(&mut a, ANY_V4, 0);
    let server = bind(&mut b, "10.0.0.3", 7);
    send(&mut a, client, at("10.0.0.2", 7), b"no").unwrap();
    send(&mut a, client, at("10.0.0.3", 7), b"yes").unwrap();
    settle(&mut a, &mut b, T0);
    let (data, from) = receive(&mut b, server).unwrap();
    assert_eq!(data, b"yes");
    send(&mut b, server, from, b"answer").unwrap();
    settle(&mut a, &mut b, T0);
    assert_eq!(receive(&mut a, client).unwrap().1, at("10.0.0.3", 7));
    let foreign = b.stack.datagram_bind(DatagramKind::Udp, at("10.0.0.9", 7), false);
    assert_eq!(foreign, Err(Error::AddrNotAvailable));
}

/// D01, H135, H196, H197: unread datagrams are kept up to a bound, and the rest is counted.
#[test]
fn the_receive_queue_is_bounded() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) = (bind(&mut a, ANY_V4, 0), bind(&mut b, ANY_V4, 7));
    for _ in 0..300 {
        send(&mut a, client, at("10.0.0.2", 7), &[1; 1000]).unwrap();
        settle(&mut a, &mut b, T0);
    }
    let lost = b.stack.counters().drops(Drop::UdpQueueFull);
    let mut kept = 0;
    while receive(&mut b, server).is_ok() {
        kept += 1;
    }
    assert_eq!(kept + lost, 300);
    assert!((100..200).contains(&kept), "{kept}");
    assert_eq!(b.stack.memory().0, 0);
}

/// D01, H136: over IPv6 a datagram without a checksum is dropped, whatever the device says.
#[test]
fn ipv6_needs_a_checksum() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, _server) = (bind(&mut a, ANY_V6, 0), bind(&mut b, ANY_V6, 7));
    let to = SocketAddr::new(b.link_local(), 7);
    send(&mut a, client, to, b"first").unwrap();
    settle(&mut a, &mut b, T0);
    send(&mut a, client, to, b"second").unwrap();
    let mut frame = a.output(T0).remove(0);
    frame[54 + 6..54 + 8].fill(0);
    let parts: [&[u8]; 1] = [&frame];
    let checked = RxFrame { checksum: crate::device::RxChecksum::Valid, ..RxFrame::plain(&parts) };
    b.stack.on_frame(b.id, checked, T0);
    assert_eq!(drops(&b), [(Drop::UdpNoChecksum, 1)]);
    frame[54 + 6] = 1;
    b.input(&frame, T0);
    assert_eq!(b.stack.counters().drops(Drop::UdpChecksum), 1);
}

/// H139: a port that was not asked for is unused, unpredictable and kept.
#[test]
fn ephemeral_ports_are_random() {
    let mut a = Host::new(1);
    let ports: Vec<u16> = (0..200)
        .map(|_| {
            let socket = bind(&mut a, ANY_V4, 0);
            a.stack.datagram_local(socket).unwrap().port()
        })
        .collect();
    let mut sorted = ports.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 200);
    assert!(sorted[0] >= 20_000 && sorted[199] - sorted[0] > 30_000, "spread over the range");
    assert!(ports.windows(2).filter(|w| w[1] == w[0] + 1).count() < 3);
}

/// H140: a datagram from port 0 is delivered, and an answer fails with an error.
#[test]
fn port_zero_can_only_send() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) = (bind(&mut a, ANY_V4, 0), bind(&mut b, ANY_V4, 7));
    send(&mut a, client, at("10.0.0.2", 7), b"first").unwrap();
    settle(&mut a, &mut b, T0);
    receive(&mut b, server).unwrap();
    send(&mut a, client, at("10.0.0.2", 7), b"second").unwrap();
    let mut frame = a.output(T0).remove(0);
    frame[34..36].fill(0);
    frame[40..42].fill(0);
    b.input(&frame, T0);
    let (data, from) = receive(&mut b, server).unwrap();
    assert_eq!((&data[..], from.port()), (&b"second"[..], 0));
    assert_eq!(send(&mut b, server, from, b"answer"), Err(Error::AddrInvalid));
}

/// Broadcasts need leave; then every socket of the port gets one, without an ICMP error.
#[test]
fn broadcasts_reach_every_socket() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let client = bind(&mut a, ANY_V4, 0);
    for to in ["255.255.255.255", "10.0.0.255", "10.0.0.0"] {
        a.stack.datagram_set_broadcast(client, false).unwrap();
        assert_eq!(send(&mut a, client, at(to, 7), b"x"), Err(Error::BroadcastNotAllowed));
        a.stack.datagram_set_broadcast(client, true).unwrap();
        let sockets = [bind(&mut b, ANY_V6, 7), bind(&mut b, "255.255.255.255", 7)];
        assert_eq!(send(&mut a, client, at(to, 7), b"x"), Ok(1));
        let frame = a.output(T0).remove(0);
        assert_eq!(frame[..6], [0xff; 6]);
        b.input(&frame, T0);
        let got = sockets.map(|s| receive(&mut b, s).is_ok());
        assert_eq!(got, [true, to == "255.255.255.255"]);
        sockets.iter().for_each(|s| b.stack.datagram_close(*s));
        b.input(&frame, T0);
        assert!(b.output(T0).is_empty(), "no error about a broadcast");
    }
}

/// A DHCP client by hand: broadcast from an interface that has no address yet.
#[test]
fn broadcast_without_an_address() {
    let mut a = Host::new(1);
    a.stack.remove_address(a.id, v4(1), T0).unwrap();
    let client = bind(&mut a, ANY_V4, 68);
    a.stack.datagram_set_broadcast(client, true).unwrap();
    send(&mut a, client, at("255.255.255.255", 67), b"discover").unwrap();
    let frame = a.output(T0).remove(0);
    assert_eq!(frame[26..30], [0; 4]);
}

/// H134: TTL or hop limit 1 to groups unless set; H226: 64 else.
#[test]
fn groups_stay_on_the_link() {
    let mut a = Host::new(1);
    let client = bind(&mut a, ANY_V6, 0);
    let mut hop_limit = |to: &str, set| {
        a.stack.datagram_set_hop_limit(client, set).unwrap();
        send(&mut a, client, at(to, 9), b"x").unwrap();
        let frame = a.output(T0).remove(0);
        let ip = if frame[12] == 8 { frame[22] } else { frame[21] };
        (frame[..4].to_vec(), ip)
    };
    assert_eq!(hop_limit("224.0.0.251", None), (vec![1, 0, 0x5e, 0], 1));
    assert_eq!(hop_limit("ff02::fb", None), (vec![0x33, 0x33, 0, 0], 1));
    // Contract U15: with memberships there is a TTL of its own for groups.
    let set = if cfg!(feature = "multicast") { 1 } else { 7 };
    assert_eq!(hop_limit("ff02::fb", Some(7)), (vec![0x33, 0x33, 0, 0], set));
    let zero = a.stack.datagram_set_hop_limit(client, Some(0));
    assert!(matches!(zero, Err(Error::InvalidInput(_))));
    assert_eq!(send(&mut a, client, at("ff01::1", 9), b"x"), Err(Error::NetUnreachable));
}

/// H184, H193: what was sent is due at once; a full device blocks, and room wakes the sender.
#[test]
fn a_full_queue_blocks_and_room_wakes() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) = (bind(&mut a, ANY_V4, 0), bind(&mut b, ANY_V4, 7));
    send(&mut a, client, at("10.0.0.2", 7), b"x").unwrap();
    settle(&mut a, &mut b, T0);
    a.device.room = 0;
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut sent = 0;
    let blocked = loop {
        match a.stack.datagram_send(client, Some(at("10.0.0.2", 7)), b"x", Some(&waker), T0) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(blocked, Error::WouldBlock);
    assert_eq!(a.stack.next_deadline(T0), Some(T0));
    assert!(a.output(T0).is_empty());
    assert_ne!(a.stack.next_deadline(T0), Some(T0), "the device says when it has room");
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    a.device.room = usize::MAX;
    settle(&mut a, &mut b, T0);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let mut got = 0;
    while receive(&mut b, server).is_ok() {
        got += 1;
    }
    assert_eq!((got, sent), (1 + sent, 256));
    assert_eq!(drops(&a), [], "what blocked was not dropped");
}

/// An echo socket sends requests and receives the replies to its own identifier.
#[test]
fn an_echo_socket_pings() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    for (own, to) in [(ANY_V4, v4(2)), (ANY_V6, b.link_local())] {
        let open = |a: &mut Host| a.stack.datagram_bind(DatagramKind::Echo, at(own, 0), false).unwrap();
        let (pinger, other) = (open(&mut a), open(&mut a));
        for seq in [1, 2] {
            send(&mut a, pinger, SocketAddr::new(to, seq), b"ping").unwrap();
            settle(&mut a, &mut b, T0);
            let (data, from) = receive(&mut a, pinger).unwrap();
            assert_eq!((&data[..], from.port()), (&b"ping"[..], seq));
            assert_eq!(from.ip().to_canonical(), to);
        }
        assert_eq!(receive(&mut a, other), Err(Error::WouldBlock));
    }
}

/// H175: what is for ourselves goes through the loopback device and never on the wire.
#[test]
fn own_addresses_are_reached_inside() {
    let mut a = Host::new(1);
    let mut memory = vec![0; 8192];
    let mut device = crate::device::loopback::Loopback::new(&mut memory);
    let inside = a.stack.add_loopback(device.capabilities()).unwrap();
    let server = bind(&mut a, ANY_V6, 7);
    let client = bind(&mut a, ANY_V6, 0);
    for to in [v4(1), a.link_local(), "127.9.9.9".parse().unwrap(), "::1".parse().unwrap()] {
        send(&mut a, client, SocketAddr::new(to, 7), b"x").unwrap();
        assert!(a.output(T0).is_empty());
        assert!(a.stack.egress(inside, &mut device, T0));
        device.receive(&mut |frame| a.stack.on_frame(inside, frame, T0));
        let (_, from) = receive(&mut a, server).unwrap();
        assert_eq!(from.ip().to_canonical(), to, "the address itself is the source");
    }
    assert_eq!(drops(&a), []);
}

/// H082: the flow label is stable in a flow and differs between flows.
#[test]
fn flows_have_labels() {
    let mut a = Host::new(1);
    let sockets = [bind(&mut a, ANY_V6, 0), bind(&mut a, ANY_V6, 0)];
    let mut label = |socket: usize, port| {
        send(&mut a, sockets[socket], at("ff02::9", port), b"x").unwrap();
        let frame = a.output(T0).remove(0);
        u32::from_be_bytes(frame[14..18].try_into().unwrap()) & 0xf_ffff
    };
    let labels = [label(0, 9), label(0, 10), label(1, 9)];
    assert!(labels[0] != labels[1] && labels[0] != labels[2] && labels.iter().all(|l| *l != 0));
    assert_eq!(label(0, 9), labels[0]);
}

/// Two sockets can't be connected from one address and port to one peer: nothing could tell their
/// datagrams apart.
#[test]
fn a_pair_of_addresses_is_one_sockets() {
    let mut a = Host::new(1);
    let first = bind(&mut a, ANY_V4, 5000);
    let peer = at("10.0.0.2", 7);
    a.stack.datagram_connect(first, peer).unwrap();
    a.stack.datagram_connect(first, peer).unwrap();
    for own in [ANY_V4, "10.0.0.1", ANY_V6] {
        let second = bind(&mut a, own, 5000);
        assert_eq!(a.stack.datagram_connect(second, peer), Err(Error::AddrInUse), "{own}");
        assert_eq!(a.stack.datagram_peer(second), Err(Error::NotConnected));
        a.stack.datagram_connect(second, at("10.0.0.2", 8)).unwrap();
        a.stack.datagram_close(second);
    }
    a.stack.datagram_close(first);
    let second = bind(&mut a, ANY_V4, 5000);
    a.stack.datagram_connect(second, peer).unwrap();
}

/// H171, H137: of two sockets the one that names the interface is closer to what comes in there.
#[test]
fn a_zone_is_closer_than_none() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let client = bind(&mut a, ANY_V6, 0);
    let IpAddr::V6(own) = b.link_local() else { panic!() };
    let zoned = core::net::SocketAddrV6::new(own, 7, 0, b.id.zone()).into();
    let near = b.stack.datagram_bind(DatagramKind::Udp, zoned, false).unwrap();
    let any = bind(&mut b, &std::format!("{own}"), 7);
    assert_eq!(b.stack.datagram_bind(DatagramKind::Udp, zoned, false), Err(Error::AddrInUse));
    for _ in 0..2 {
        send(&mut a, client, SocketAddr::new(own.into(), 7), b"x").unwrap();
        settle(&mut a, &mut b, T0);
        assert!(receive(&mut b, near).is_ok());
        assert_eq!(receive(&mut b, any), Err(Error::WouldBlock));
    }
    b.stack.datagram_close(near);
    send(&mut a, client, SocketAddr::new(own.into(), 7), b"x").unwrap();
    settle(&mut a, &mut b, T0);
    assert!(receive(&mut b, any).is_ok());
}

/// U3, RFC 2131 §4.1: a server offers an address by unicast to it, before the client has it.
#[test]
fn an_offer_by_unicast_is_received() {
    let mut a = Host::new(1);
    a.stack.remove_address(a.id, v4(1), T0).unwrap();
    let client = bind(&mut a, ANY_V4, 68);
    let other = bind(&mut a, ANY_V4, 69);
    let offer = |port| {
        let header = UdpHeader::emit((67, port), v4(254), v4(77), Bytes::new(&[&b"offer"[..]]));
        [&header[..], b"offer"].concat()
    };
    let frames = [68, 69, 70].map(|port| packet_to(&a, v4(254), v4(77), protocol::UDP, &offer(port)));
    frames.iter().for_each(|frame| a.input(frame, T0));
    assert_eq!(receive(&mut a, client), Ok((b"offer".to_vec(), at("10.0.0.254", 67))));
    assert_eq!(receive(&mut a, other), Err(Error::WouldBlock));
    assert_eq!(drops(&a), [(Drop::Ipv4NotForUs, 2)]);
    assert!(a.output(T0).is_empty(), "nothing is answered");
    // With an address of its own, what is for another is not for it.
    a.stack.add_address(a.id, Cidr { address: v4(1), prefix_len: 24 }, T0).unwrap();
    a.input(&frames[0], T0);
    assert_eq!(receive(&mut a, client), Err(Error::WouldBlock));
}
