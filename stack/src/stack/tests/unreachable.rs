//! Connections whose next hop does not answer, or that have no way for a while.

use core::net::{SocketAddr, SocketAddrV6};

use super::neighbors::{asked, at};
use super::*;
use crate::device::Mac;
use crate::ip::routes::Route;
use crate::stack::TcpHandle;
use crate::udp::DatagramKind;
use crate::wire::{ArpOperation, ArpPacket, protocol};

/// A connection from 10.0.0.1 to 10.0.0.2, which then falls silent.
fn connected() -> (Host, Host, TcpHandle, TcpHandle) {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (listener, _) = b.stack.tcp_listen("0.0.0.0:80".parse().unwrap(), 8).unwrap();
    let connection = a.stack.tcp_connect(SocketAddr::new(v4(2), 80), None, T0).unwrap();
    settle(&mut a, &mut b, T0);
    assert_eq!(a.stack.tcp_connected(connection), Ok(()));
    let (server, _) = b.stack.tcp_accept(listener).unwrap();
    (a, b, connection, server)
}

fn is_tcp(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0] && frame[23] == protocol::TCP
}

/// Turns `host` alone until `until`, and returns what it sent.
fn alone(host: &mut Host, from: u64, until: u64) -> Vec<Vec<u8>> {
    let turn = |ms| {
        host.stack.on_timers(at(ms));
        host.output(at(ms))
    };
    (from..until).step_by(50).flat_map(turn).collect()
}

/// What is known of 10.0.0.2 grows old, and it is switched off; a datagram finds out, and then text is
/// written. Returns when.
fn fails_with_text_queued(host: &mut Host, connection: TcpHandle) -> u64 {
    let start = 40_000;
    let socket =
        host.stack.datagram_bind(DatagramKind::Udp, (Ipv4Addr::UNSPECIFIED, 0).into(), false).unwrap();
    let to = Some(SocketAddr::new(v4(2), 9));
    host.stack.datagram_send(socket, to, b"?", None, at(start)).unwrap();
    // Delayed for 5 s, asked three times, failed.
    let sent = alone(host, start, start + 8500);
    assert_eq!(sent.iter().filter(|f| asked(f).is_some()).count(), 3);
    let now = start + 8500;
    host.stack.tcp_write(connection, b"text", at(now)).unwrap();
    assert!(alone(host, now, now + 200).is_empty(), "nothing goes to a neighbour that failed");
    now + 200
}

/// H246: the text that a failed neighbour kept back goes out with the first news of it.
#[test]
fn a_neighbor_that_comes_back_gets_the_text_at_once() {
    let (mut a, mut b, connection, server) = connected();
    let now = fails_with_text_queued(&mut a, connection);
    let told = |(_, event)| matches!(event, Event::ConnectionTroubled(_, _, Error::HostUnreachable));
    assert!(a.stack.events().recent().any(told));
    let question = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: b.device.mac,
        sender: Ipv4Addr::new(10, 0, 0, 2),
        target_mac: Mac::default(),
        target: Ipv4Addr::new(10, 0, 0, 1),
    };
    a.input(&question.emit(Mac::BROADCAST), at(now));
    settle(&mut a, &mut b, at(now));
    let mut buf = [0; 8];
    assert_eq!(b.stack.tcp_read(server, &mut buf, at(now)), Ok(4));
    assert_eq!(buf[..4], *b"text");
}

/// One that comes back without a word is asked again a second after it failed, and again.
#[test]
fn a_failed_neighbor_is_asked_again() {
    let (mut a, mut b, connection, server) = connected();
    let now = fails_with_text_queued(&mut a, connection);
    let questions = alone(&mut a, now, now + 20_000).iter().filter(|f| asked(f).is_some()).count();
    assert!((13..=16).contains(&questions), "{questions}: three in four seconds");
    let now = (now + 20_000..now + 21_100).find(|ms| {
        a.stack.on_timers(at(*ms));
        settle(&mut a, &mut b, at(*ms)) > 2
    });
    assert!(now.is_some());
    assert_eq!(b.stack.tcp_read(server, &mut [0; 8], at(now.unwrap())), Ok(4));
}

/// H243, RFC 4861 §7.3.1: a neighbour that TCP's progress vouches for is not asked.
#[test]
fn progress_confirms_the_neighbor() {
    let (mut a, mut b, connection, _) = connected();
    let mut questions = 0;
    for ms in (0..200_000).step_by(100) {
        if ms % 4000 == 0 {
            a.stack.tcp_write(connection, b"x", at(ms)).unwrap();
        }
        for host in [&mut a, &mut b] {
            host.stack.on_timers(at(ms));
        }
        loop {
            let (to_b, to_a) = (a.output(at(ms)), b.output(at(ms)));
            if to_a.is_empty() && to_b.is_empty() {
                break;
            }
            questions += to_a.iter().chain(&to_b).filter(|f| asked(f).is_some()).count();
            to_b.iter().for_each(|f| b.input(f, at(ms)));
            to_a.iter().for_each(|f| a.input(f, at(ms)));
        }
    }
    assert_eq!(questions, 0);
}

/// H245: an address is one neighbour's on its link only (RFC 4861 §2.1): `fe80::99` that fails on one
/// link ends no connection to `fe80::99` on another.
#[test]
fn a_neighbor_fails_on_its_own_link_only() {
    let (mut stack, a, b) = routing::two_links();
    let (mut da, mut db) = (Wire::new(1), Wire::new(2));
    let to =
        |id: InterfaceId| SocketAddr::V6(SocketAddrV6::new("fe80::99".parse().unwrap(), 80, 0, id.zone()));
    let mut turn = |stack: &mut Stack<'static>, ms| {
        stack.on_timers(at(ms));
        stack.egress(a, &mut da, at(ms));
        stack.egress(b, &mut db, at(ms));
    };
    let on_a = stack.tcp_connect(to(a), None, at(0)).unwrap();
    (0..2500).step_by(100).for_each(|ms| turn(&mut stack, ms));
    let on_b = stack.tcp_connect(to(b), None, at(2500)).unwrap();
    (2500..=3300).step_by(100).for_each(|ms| turn(&mut stack, ms));
    assert_eq!(stack.tcp_connected(on_a), Err(Error::HostUnreachable));
    assert_eq!(stack.tcp_connected(on_b), Err(Error::WouldBlock), "0.8 s after its first question");
}

/// H084: a connection that has no route for a while goes on when there is one.
#[test]
fn a_route_that_comes_back_lets_the_text_go() {
    let mut a = Host::new(1);
    let route = Route {
        destination: "192.0.2.0/24".parse().unwrap(),
        gateway: Some(v4(2)),
        interface: a.id,
        metric: 0,
    };
    a.stack.add_route(route).unwrap();
    let mut b = Host::new(2);
    let far: IpAddr = "192.0.2.9".parse().unwrap();
    b.stack.add_address(b.id, Cidr { address: far, prefix_len: 32 }, T0).unwrap();
    b.stack.tcp_listen("0.0.0.0:80".parse().unwrap(), 8).unwrap();
    let connection = a.stack.tcp_connect(SocketAddr::new(far, 80), None, T0).unwrap();
    settle(&mut a, &mut b, T0);
    assert_eq!(a.stack.tcp_connected(connection), Ok(()));
    assert!(a.stack.remove_route(route));
    a.stack.tcp_write(connection, b"text", at(100)).unwrap();
    assert!(alone(&mut a, 100, 5000).is_empty());
    assert_eq!(a.stack.tcp_take_error(connection, T0), Ok(Some(Error::NetUnreachable)));
    a.stack.add_route(route).unwrap();
    assert!(a.output(at(5000)).iter().any(|f| is_tcp(f)));
}

/// Many connections to as many neighbours at once: each SYN leaves when its neighbour answers.
#[test]
fn many_connections_at_once_are_all_sent() {
    let mut a = Host::new(1);
    for last in 2..=251 {
        a.stack.tcp_connect(SocketAddr::new(v4(last), 80), None, T0).unwrap();
    }
    let mut sent = 0;
    for ms in 0..100 {
        a.stack.on_timers(at(ms));
        for frame in a.output(at(ms)) {
            sent += usize::from(is_tcp(&frame));
            let Some(sender) = asked(&frame) else { continue };
            let reply = ArpPacket {
                operation: ArpOperation::Reply,
                sender_mac: Mac([2, 0, 0, 0, 0, 9]),
                sender,
                target_mac: a.device.mac,
                target: Ipv4Addr::new(10, 0, 0, 1),
            };
            a.input(&reply.emit(a.device.mac), at(ms));
        }
    }
    assert_eq!(sent, 250);
}

/// H265: a listener whose address was taken away says so, and goes on when it is back; a connection ends.
#[test]
fn an_address_that_goes_away() {
    let (mut a, mut b, client, server) = connected();
    let (listener, _) = b.stack.tcp_listen(SocketAddr::new(v4(2), 81), 8).unwrap();
    assert_eq!(b.stack.tcp_accept(listener).err(), Some(Error::WouldBlock));
    a.stack.tcp_write(client, b"last", at(100)).unwrap();
    settle(&mut a, &mut b, at(100));
    b.stack.remove_address(b.id, v4(2), at(100)).unwrap();
    assert_eq!(b.stack.tcp_accept(listener).err(), Some(Error::AddrNotAvailable));
    assert_eq!(b.stack.tcp_is_acceptable(listener), Ok(true));
    assert_eq!(b.stack.tcp_write(server, b"text", at(100)), Err(Error::AddrNotAvailable));
    assert_eq!(b.stack.tcp_read(server, &mut [0; 8], at(100)), Ok(4), "what had come is read first");
    assert_eq!(b.stack.tcp_read(server, &mut [0; 8], at(100)), Err(Error::AddrNotAvailable));
    assert!(alone(&mut b, 100, 10_000).iter().all(|f| !is_tcp(f)));
    b.stack.add_address(b.id, Cidr { address: v4(2), prefix_len: 24 }, at(10_000)).unwrap();
    assert_eq!(b.stack.tcp_accept(listener).err(), Some(Error::WouldBlock));
}

/// One that another interface has as well is still ours, and its connections go on.
#[test]
fn address_of_two_interfaces_removed_once_keeps_its_connections() {
    let (mut a, mut b, client, server) = connected();
    let second = b.stack.add_interface(Capabilities::new(Mac([2, 0, 0, 0, 0, 9]), 1500)).unwrap();
    let cidr = Cidr { address: v4(2), prefix_len: 32 };
    b.stack.add_address(second, cidr, at(100)).unwrap();
    b.stack.remove_address(second, v4(2), at(100)).unwrap();
    b.stack.tcp_write(server, b"text", at(100)).unwrap();
    settle(&mut a, &mut b, at(100));
    assert_eq!(a.stack.tcp_read(client, &mut [0; 8], at(100)), Ok(4));
}

/// H240: handshakes that invented neighbours begin share the budget of answers, and none of them stays.
#[test]
fn syns_of_invented_neighbors_leave_nothing() {
    let mut a = neighbors::host_with(64);
    let own = Ipv4Addr::new(10, 9, 0, 1).into();
    a.stack.tcp_listen("0.0.0.0:80".parse().unwrap(), 256).unwrap();
    let mut questions = 0;
    for ms in 0..5000 {
        let from = Ipv4Addr::new(10, 9, 128 | (ms >> 8) as u8, ms as u8).into();
        let syn = tcp::segment(from, own, (7, 0), 2, &[], b"");
        let syn = input::packet_to(&a, from, own, protocol::TCP, &syn);
        a.input(&syn, at(ms));
        a.stack.on_timers(at(ms));
        questions += a.output(at(ms)).iter().filter(|f| asked(f).is_some()).count();
        assert!(a.stack.tcp_count().0 <= 64 / 8 + 4 * 4);
    }
    assert!(questions <= 64 / 8 + 5 * 4 + 1, "{questions}: an eighth of the table, and a sixteenth a second");
    assert!(a.stack.counters().drops(Drop::NeighborDenied) > 4900);
    alone(&mut a, 5000, 10_000);
    assert_eq!(a.stack.tcp_count().0, 0);
}

/// H246: a handshake that was answered outlives a neighbour that fails for a while, as one does whose answers
/// to probes come late over a slow link: the client, which has the SYN-ACK, is not reset.
#[test]
fn a_handshake_outlives_a_failure() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (late, _) = b.stack.tcp_listen("0.0.0.0:80".parse().unwrap(), 8).unwrap();
    a.stack.tcp_connect(SocketAddr::new(v4(2), 80), None, T0).unwrap();
    let mut acks = Vec::new();
    for _ in 0..4 {
        let (acknowledgments, others): (Vec<_>, Vec<_>) =
            a.output(T0).into_iter().partition(|f| is_tcp(f) && f[47] == 0x10);
        acks.extend(acknowledgments);
        others.iter().for_each(|frame| b.input(frame, T0));
        b.output(T0).iter().for_each(|frame| a.input(frame, T0));
    }
    assert_eq!((acks.len(), b.stack.tcp_accept(late).err()), (1, Some(Error::WouldBlock)));
    // Probed in vain, and asked in vain when the SYN-ACK went again.
    alone(&mut b, 0, 20_000);
    let failed =
        |(_, e): (Instant, Event)| matches!(e, Event::NeighborFailed(_, address) if address == v4(1));
    assert!(b.stack.events().recent().any(failed));
    b.input(&acks[0], at(20_000));
    assert!(b.stack.tcp_accept(late).is_ok());
}

/// H241: a table of eight places serves more connections than it holds neighbours, one after the other.
#[test]
fn more_neighbors_than_places() {
    for places in [8, 16] {
        let mut a = neighbors::host_with(places);
        for low in 1..=40 {
            let to = SocketAddr::new(Ipv4Addr::new(10, 9, 1, low).into(), 80);
            a.stack.tcp_connect(to, None, T0).unwrap();
        }
        let mut reached = std::collections::BTreeMap::new();
        for ms in 0..50 {
            a.stack.on_timers(at(ms));
            for frame in a.output(at(ms)) {
                if is_tcp(&frame) {
                    reached.entry(frame[33]).or_insert(ms);
                } else if let Some(who) = asked(&frame) {
                    neighbors::answer(&mut a, who, at(ms));
                }
            }
        }
        assert_eq!(reached.len(), 40, "{reached:?}");
    }
}

/// H246: an acknowledgment alone that can't go is as good as lost: nobody asks for a dead neighbour for ever
/// on its account.
#[test]
fn an_acknowledgment_is_not_kept() {
    let (mut c, mut d, kept, peer) = connected();
    let socket = c.stack.datagram_bind(DatagramKind::Udp, (Ipv4Addr::UNSPECIFIED, 0).into(), false).unwrap();
    c.stack.datagram_send(socket, Some(SocketAddr::new(v4(2), 9)), b"?", None, at(40_000)).unwrap();
    alone(&mut c, 40_000, 48_500);
    d.stack.tcp_write(peer, b"text", at(48_500)).unwrap();
    d.output(at(48_500)).iter().filter(|f| is_tcp(f)).for_each(|f| c.input(f, at(48_500)));
    let questions = alone(&mut c, 48_500, 120_000).iter().filter(|f| asked(f).is_some()).count();
    assert!(questions <= 3, "{questions}");
    assert_eq!(c.stack.tcp_read(kept, &mut [0; 8], at(120_000)), Ok(4));
}
