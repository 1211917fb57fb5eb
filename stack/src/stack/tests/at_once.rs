//! Datagrams that go straight to their device, and the paths that sockets remember.

use core::net::SocketAddr;

use super::*;
use crate::ip::routes::Route;
use crate::udp::DatagramHandle;

/// The only device, or none.
struct Only<'a>(Option<(InterfaceId, &'a mut Wire)>);

impl Devices for Only<'_> {
    fn device(&mut self, interface: InterfaceId) -> Option<&mut dyn Device> {
        let (id, wire) = self.0.as_mut()?;
        (*id == interface).then_some(&mut **wire as &mut dyn Device)
    }
}

fn bind(host: &mut Host, port: u16) -> DatagramHandle {
    let any = (Ipv4Addr::UNSPECIFIED, port).into();
    host.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap()
}

fn to(last: u8) -> SocketAddr {
    (v4(last), 7).into()
}

fn send(host: &mut Host, socket: DatagramHandle, to: SocketAddr, data: &[u8]) -> Result<usize, Error> {
    let Host { stack, device, id } = host;
    stack.datagram_send_at_once(socket, Some(to), data, None, &mut Only(Some((*id, device))), T0)
}

/// Two hosts of which the first knows the other's hardware address, and a socket of each.
fn acquainted() -> (Host, Host, DatagramHandle, DatagramHandle) {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) = (bind(&mut a, 0), bind(&mut b, 7));
    send(&mut a, client, to(2), b"first").unwrap();
    assert!(a.device.sent.is_empty(), "the neighbour is to be asked for");
    settle(&mut a, &mut b, T0);
    assert_eq!(receive(&mut b, server).unwrap(), b"first");
    (a, b, client, server)
}

fn receive(host: &mut Host, socket: DatagramHandle) -> Result<Vec<u8>, Error> {
    let mut buf = [0; 2000];
    let got = host.stack.datagram_receive(socket, &mut buf, false, None)?;
    Ok(buf[..got.len].to_vec())
}

/// Where the neighbour is known and nothing waits, the device has the datagram when the call returns; no
/// memory was taken for it.
#[test]
fn datagram_neighbor_known_goes_straight_to_the_device() {
    let (mut a, mut b, client, server) = acquainted();
    for data in [&b"at once"[..], b"", &[7; 1400]] {
        let counted = a.stack.counters().udp.sent.packets;
        assert_eq!(send(&mut a, client, to(2), data), Ok(data.len()));
        assert_eq!(a.stack.counters().udp.sent.packets, counted + 1);
        assert_eq!((a.device.sent.len(), a.stack.memory().0), (1, 0));
        assert!(a.stack.next_deadline(T0).is_none_or(|at| at > T0), "no turn is needed");
        let frame = a.device.sent.pop().unwrap();
        b.input(&frame, T0);
        assert_eq!(receive(&mut b, server).unwrap(), data);
    }
    assert_eq!(drops(&a), vec![]);
}

/// It is the same frame that the queue would bring.
#[test]
fn datagram_at_once_or_queued_is_the_same_frame() {
    let (mut a, _, client, _) = acquainted();
    send(&mut a, client, to(2), b"text").unwrap();
    let at_once = a.device.sent.pop().unwrap();
    a.stack.datagram_send(client, Some(to(2)), b"text", None, T0).unwrap();
    assert!(a.device.sent.is_empty(), "it waits for a turn");
    assert_eq!(a.output(T0), vec![at_once]);
}

/// What waits goes first, also where the device was full and has room now.
#[test]
fn datagram_behind_a_queue_keeps_its_order() {
    let (mut a, mut b, client, server) = acquainted();
    a.device.room = 0;
    for data in [b"1", b"2"] {
        assert_eq!(send(&mut a, client, to(2), data), Ok(1));
    }
    a.device.room = usize::MAX;
    assert_eq!(send(&mut a, client, to(2), b"3"), Ok(1));
    assert!(a.device.sent.is_empty());
    settle(&mut a, &mut b, T0);
    let got: Vec<_> = (0..3).map(|_| receive(&mut b, server).unwrap()).collect();
    assert_eq!(got, [b"1", b"2", b"3"]);
    assert_eq!((drops(&a), a.stack.memory().0), (vec![], 0));
}

/// Without the device at hand it is queued, and so it is while the neighbour is asked for.
#[test]
fn datagram_without_device_or_neighbor_is_queued() {
    let (mut a, mut b, client, server) = acquainted();
    a.stack.datagram_send_at_once(client, Some(to(2)), b"x", None, &mut Only(None), T0).unwrap();
    assert!(a.device.sent.is_empty());
    settle(&mut a, &mut b, T0);
    assert_eq!(receive(&mut b, server).unwrap(), b"x");
    send(&mut a, client, to(3), b"nobody").unwrap();
    assert!(a.device.sent.is_empty(), "the question is queued, and the datagram waits for its answer");
    assert_eq!(a.output(T0).len(), 1);
}

/// A frame that the device refuses is a drop with a name.
#[test]
fn datagram_refused_by_the_device_is_counted() {
    let (mut a, _, client, _) = acquainted();
    a.device.refuses = true;
    assert_eq!(send(&mut a, client, to(2), b"x"), Ok(1));
    assert_eq!(drops(&a), vec![(Drop::DeviceRefused, 1)]);
}

/// A remembered path is forgotten when routes or addresses change (H174, H265).
#[test]
fn remembered_path_changes_with_routes_and_addresses() {
    let (mut a, mut b, client, _) = acquainted();
    let far = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 7));
    assert_eq!(send(&mut a, client, far, b"x"), Err(Error::NetUnreachable));
    a.stack.set_gateway(a.id, v4(2)).unwrap();
    assert_eq!(send(&mut a, client, far, b"x"), Ok(1));
    assert_eq!(a.device.sent.pop().unwrap()[..6], b.device.mac.0);
    let destination = Cidr { address: far.ip(), prefix_len: 32 };
    a.stack.add_route(Route { destination, gateway: Some(v4(9)), interface: a.id, metric: 0 }).unwrap();
    assert_eq!(send(&mut a, client, far, b"x"), Ok(1));
    assert!(a.device.sent.is_empty(), "the other gateway is asked for first");
    settle(&mut a, &mut b, T0);
    a.stack.remove_address(a.id, v4(1), T0).unwrap();
    assert!(send(&mut a, client, to(2), b"x").is_err());
    let other = Cidr { address: v4(5), prefix_len: 24 };
    a.stack.add_address(a.id, other, T0).unwrap();
    send(&mut a, client, to(2), b"x").unwrap();
    settle(&mut a, &mut b, T0);
    a.device.sent.clear();
    send(&mut a, client, to(2), b"x").unwrap();
    assert_eq!(a.device.sent.pop().unwrap()[26..30], [10, 0, 0, 5], "from the address that it has now");
}

/// One that was bound or connected anew has no path of before: the remembered one is of its peer alone.
#[test]
fn remembered_path_is_of_one_peer() {
    let (mut a, mut b, client, server) = acquainted();
    for (last, is_there) in [(2, true), (3, false), (2, true)] {
        a.output(T0);
        send(&mut a, client, to(last), b"x").unwrap();
        assert_eq!(a.device.sent.len(), usize::from(is_there), "to {last}");
    }
    let nobody = (v4(2), 0).into();
    assert_eq!(send(&mut a, client, nobody, b"x"), Err(Error::AddrInvalid), "port 0, on a known path");
    settle(&mut a, &mut b, T0);
    while receive(&mut b, server).is_ok() {}
    a.stack.datagram_connect(client, to(2)).unwrap();
    send(&mut a, client, to(2), b"connected").unwrap();
    settle(&mut a, &mut b, T0);
    assert_eq!(receive(&mut b, server).unwrap(), b"connected");
}
