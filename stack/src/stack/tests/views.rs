//! Neighbours and sockets, as programs see them.

use super::neighbors::at;
use super::*;
use crate::tcp::State;

/// R06, RFC 4861 §7.3.2: a neighbour is shown in each of its states.
#[test]
fn neighbors_are_shown_with_their_states() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let shown = |host: &Host, now| {
        let found = host.stack.neighbors(now).filter(|n| n.address == v4(2));
        found.map(|n| (n.interface == host.id, n.mac, n.state)).collect::<Vec<_>>()
    };
    let socket = a.stack.datagram_bind(DatagramKind::Udp, (v4(1), 0).into(), false).unwrap();
    assert_eq!(shown(&a, at(0)), []);
    a.stack.datagram_send(socket, Some((v4(2), 9).into()), b"x", None, at(0)).unwrap();
    assert_eq!(shown(&a, at(0)), [(true, None, NeighborState::Incomplete)]);
    settle(&mut a, &mut b, at(1));
    assert_eq!(shown(&a, at(1)), [(true, Some(b.device.mac), NeighborState::Reachable)]);
    assert_eq!(shown(&a, at(60_000)), [(true, Some(b.device.mac), NeighborState::Stale)]);
    a.stack.datagram_send(socket, Some((v4(2), 9).into()), b"x", None, at(60_000)).unwrap();
    assert_eq!(shown(&a, at(60_000))[0].2, NeighborState::Delay);
}

/// R06: every kind of socket is shown once, with its queues and its state.
#[test]
fn sockets_are_shown_with_queues_and_states() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (listener, _) = b.stack.tcp_listen((v4(2), 80).into(), 7).unwrap();
    let client = a.stack.tcp_connect((v4(2), 80).into(), None, at(0)).unwrap();
    settle(&mut a, &mut b, at(0));
    a.stack.tcp_write(client, b"seven b", at(0)).unwrap();
    let udp = b.stack.datagram_bind(DatagramKind::Udp, "[::]:9".parse().unwrap(), false).unwrap();
    let views = |host: &Host, now| host.stack.sockets(now).collect::<Vec<_>>();
    let [connection] = views(&a, at(0))[..] else { panic!("{:?}", views(&a, at(0))) };
    assert_eq!((connection.kind, connection.unsent), (SocketKind::Tcp(State::Established), 7));
    assert_eq!((connection.peer, connection.local.ip()), (Some((v4(2), 80).into()), v4(1)));
    settle(&mut a, &mut b, at(1));
    let seen = views(&b, at(1));
    let of = |kind| seen.iter().find(|s| s.kind == kind).unwrap_or_else(|| panic!("{kind:?}: {seen:?}"));
    assert_eq!(
        (seen.len(), of(SocketKind::TcpListener).unread, of(SocketKind::TcpListener).unsent),
        (3, 1, 7)
    );
    assert_eq!(of(SocketKind::Tcp(State::Established)).unread, 7);
    assert_eq!((of(SocketKind::Udp).local, of(SocketKind::Udp).peer), ("[::]:9".parse().unwrap(), None));
    let (server, _) = b.stack.tcp_accept(listener).unwrap();
    a.stack.tcp_close(client, at(2));
    settle(&mut a, &mut b, at(2));
    assert_eq!(b.stack.tcp_read(server, &mut [0; 9], at(2)), Ok(7));
    b.stack.tcp_close(server, at(2));
    settle(&mut a, &mut b, at(3));
    let last = views(&a, at(3));
    assert_eq!(
        (last.len(), last[0].kind, last[0].peer),
        (1, SocketKind::TcpTimeWait, Some((v4(2), 80).into()))
    );
    b.stack.datagram_close(udp);
}
