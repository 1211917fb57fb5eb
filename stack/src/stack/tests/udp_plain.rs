//! Plain datagrams: the short ways in and out come to the same as the ordinary ones.

use core::net::SocketAddr;
use std::format;
use std::string::String;

use super::*;
use crate::base::holder::Holder;
use crate::device::RxChecksum;
use crate::ip::routes::Route;
use crate::udp::{BindOptions, DatagramHandle, Sharing};

pub(super) struct Only<'a>(pub(super) InterfaceId, pub(super) &'a mut Wire);

impl Devices for Only<'_> {
    fn device(&mut self, interface: InterfaceId) -> Option<&mut dyn Device> {
        (interface == self.0).then_some(&mut *self.1 as &mut dyn Device)
    }
}

fn bind(host: &mut Host, local: &str) -> DatagramHandle {
    host.stack.datagram_bind(DatagramKind::Udp, local.parse().unwrap(), false).unwrap()
}

fn send(host: &mut Host, socket: DatagramHandle, to: SocketAddr, data: &[u8]) -> Result<usize, Error> {
    let Host { stack, device, id } = host;
    stack.datagram_send_at_once(socket, Some(to), data, None, &mut Only(*id, device), T0)
}

/// The frame of a datagram that goes out at once.
fn frame(host: &mut Host, socket: DatagramHandle, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    assert_eq!(send(host, socket, to, data), Ok(data.len()));
    host.device.sent.pop().expect("it went out at once")
}

/// Two hosts that know each other's hardware addresses, a client and a server at port 7, and where that is.
pub(super) fn pair(v6: bool) -> (Host, Host, DatagramHandle, DatagramHandle, SocketAddr) {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let client = bind(&mut a, if v6 { "[::]:1000" } else { "0.0.0.0:1000" });
    let server = bind(&mut b, "[::]:7");
    let zone = a.id.zone();
    let to = match if v6 { b.link_local() } else { v4(2) } {
        IpAddr::V6(address) => core::net::SocketAddrV6::new(address, 7, 0, zone).into(),
        address => SocketAddr::new(address, 7),
    };
    send(&mut a, client, to, b"first").unwrap();
    settle(&mut a, &mut b, T0);
    assert!(b.stack.datagram_receive(server, &mut [0; 9], false, None).is_ok());
    (a, b, client, server, to)
}

/// What came of frames, one after the other; `is_short`: by the short way, where there is one.
fn taken(frames: &[(Vec<u8>, RxChecksum)], v6: bool, is_short: bool) -> (String, usize) {
    let (_, mut b, _, server, _) = pair(v6);
    let (mut seen, mut short) = (String::new(), 0);
    for (frame, checksum) in frames {
        if !is_short {
            b.stack.datagram_flow = Holder::Empty;
        }
        let known = !b.stack.datagram_flow.is_empty();
        b.stack.on_frame(b.id, RxFrame { checksum: *checksum, ..RxFrame::plain(&[frame]) }, T0);
        short += usize::from(known);
        let mut buf = [0; 64];
        let got = b.stack.datagram_receive(server, &mut buf, false, None);
        seen += &format!("{got:?} {buf:?} {:?} {}\n", b.stack.counters(), b.stack.memory().0);
    }
    (seen, short)
}

/// A frame of the flow of the one before comes to the same as without that, whatever was done to it.
#[test]
fn datagram_of_the_flow_comes_to_the_same_as_any() {
    for v6 in [false, true] {
        let (mut a, _, client, _, to) = pair(v6);
        let whole = frame(&mut a, client, to, b"and some text");
        let good = || (whole.clone(), RxChecksum::Unchecked);
        for at in 0..whole.len() {
            let bit = 1 << (at % 8);
            let mut changed = whole.clone();
            changed[at] ^= bit;
            let cut = (whole[..at].to_vec(), RxChecksum::Valid);
            let mut frames = vec![good(), good(), good()];
            for checksum in [RxChecksum::Unchecked, RxChecksum::Valid, RxChecksum::Bad] {
                frames.push((changed.clone(), checksum));
            }
            frames.extend([cut, good()]);
            let ((short, n), (long, none)) = (taken(&frames, v6, true), taken(&frames, v6, false));
            assert_eq!(short, long, "bit {bit:#x} of byte {at}");
            assert!(n >= 4 && none == 0, "{n} by the short way");
        }
        // RFC 768: without a checksum; H136: not over IPv6.
        let mut unsummed = whole.clone();
        let at = if v6 { 60 } else { 40 };
        unsummed[at..at + 2].fill(0);
        let frames = [good(), good(), (unsummed, RxChecksum::Unchecked), good()];
        assert_eq!(taken(&frames, v6, true).0, taken(&frames, v6, false).0);
    }
}

/// What the flow's socket does not take is counted as on the ordinary way (H135).
#[test]
fn datagram_of_the_flow_beyond_the_queue_is_counted() {
    let (mut a, mut b, client, _, to) = pair(false);
    let frame = frame(&mut a, client, to, &[7; 1400]);
    (0..1000).for_each(|_| b.input(&frame, T0));
    assert!(!b.stack.datagram_flow.is_empty());
    let [(Drop::UdpQueueFull, lost)] = drops(&b)[..] else { panic!("{:?}", drops(&b)) };
    assert!(lost > 0 && lost < 1000);
}

/// Whoever binds, connects or closes a socket decides anew whose a flow's datagrams are (H137), and so do addresses that go.
#[test]
fn datagram_flow_ends_with_sockets_and_addresses() {
    let (mut a, mut b, client, server, to) = pair(false);
    let frame = frame(&mut a, client, to, b"x");
    let count = |b: &mut Host, socket| {
        (0..3).for_each(|_| b.input(&frame, T0));
        let one = |_| b.stack.datagram_receive(socket, &mut [0; 9], false, None).ok();
        (0..).map_while(one).count()
    };
    assert_eq!(count(&mut b, server), 3);
    assert!(!b.stack.datagram_flow.is_empty());
    let own = bind(&mut b, "10.0.0.2:7");
    assert_eq!(count(&mut b, own), 3, "the more specific one");
    b.stack.datagram_close(own);
    assert_eq!(count(&mut b, server), 3);
    b.stack.datagram_connect(server, (v4(9), 1).into()).unwrap();
    assert_eq!(count(&mut b, server), 0, "it hears its peer only");
    b.stack.datagram_disconnect(server).unwrap();
    assert_eq!(count(&mut b, server), 3);
    b.stack.remove_address(b.id, v4(2), T0).unwrap();
    assert_eq!(count(&mut b, server), 0);
    assert_eq!(b.stack.counters().drops(Drop::Ipv4NotForUs), 3);
}

/// D02: sockets that share a port share the peers, by the short way as well.
#[test]
fn datagram_flow_of_shared_ports_stays_with_one_socket() {
    let mut b = Host::new(2);
    let options = BindOptions { sharing: Sharing::Port, ..BindOptions::default() };
    let mut one = || {
        let any = "0.0.0.0:7".parse().unwrap();
        b.stack.datagram_bind_with(DatagramKind::Udp, any, &options).unwrap()
    };
    let sockets = [one(), one(), one()];
    let (mut a, _, client, _, to) = pair(false);
    let frame = frame(&mut a, client, to, b"x");
    (0..8).for_each(|_| b.input(&frame, T0));
    let mut counts = sockets.map(|socket| {
        let one = |_| b.stack.datagram_receive(socket, &mut [0; 9], false, None).ok();
        (0..).map_while(one).count()
    });
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 8]);
}

/// The second datagram to a peer, and all that follow, are the same frames as by the ordinary way, with all that a socket can
/// be told, and where the device completes the checksum.
#[test]
fn datagram_way_gives_the_same_frames_as_any() {
    for (v6, sums) in [(false, false), (true, false), (false, true), (true, true)] {
        let all = [true, false].map(|is_short| {
            let (mut a, _, client, _, to) = pair(v6);
            let interface = a.stack.interfaces.get_mut(a.id.0).unwrap();
            interface.capabilities.tx_checksum = sums;
            let mut frames = Vec::new();
            for (round, data) in
                [&b"x"[..], b"", &[7; 1400], &[0xff; 33]].into_iter().cycle().take(12).enumerate()
            {
                let class = (round * 20) as u8;
                a.stack.datagram_set_traffic_class(client, class).unwrap();
                a.stack.datagram_set_hop_limit(client, (round % 2 == 0).then_some(5)).unwrap();
                if !is_short {
                    a.stack.datagram_way = Holder::Empty;
                }
                assert_eq!(!a.stack.datagram_way.is_empty(), is_short && round > 0);
                frames.push(frame(&mut a, client, to, data));
            }
            (frames, format!("{:?}", a.stack.counters()))
        });
        assert_eq!(all[0], all[1]);
    }
}

/// A way is left for what does not fit, when routes change, and when something waits for the device.
#[test]
fn datagram_way_ends_with_what_it_was_found_for() {
    let (mut a, mut b, client, server, to) = pair(false);
    for _ in 0..2 {
        frame(&mut a, client, to, b"x");
    }
    assert!(!a.stack.datagram_way.is_empty());
    let destination = Cidr { address: to.ip(), prefix_len: 32 };
    let route = Route { destination, gateway: Some(v4(9)), interface: a.id, metric: 0 };
    a.stack.add_route(route).unwrap();
    assert_eq!(send(&mut a, client, to, b"x"), Ok(1));
    assert!(a.device.sent.is_empty(), "the gateway is asked for");
    a.stack.remove_route(route);
    a.output(T0);
    for _ in 0..2 {
        frame(&mut a, client, to, b"x");
    }
    // In its order behind what waits.
    a.device.room = 0;
    for data in [b"1", b"2"] {
        assert_eq!(send(&mut a, client, to, data), Ok(1));
    }
    a.device.room = usize::MAX;
    assert_eq!(send(&mut a, client, to, b"3"), Ok(1));
    settle(&mut a, &mut b, T0);
    let mut buf = [0; 4];
    let mut next = || b.stack.datagram_receive(server, &mut buf, false, None).map(|_| buf[0]);
    assert_eq!([next(), next(), next()], [Ok(b'1'), Ok(b'2'), Ok(b'3')]);
    #[cfg(feature = "fragments")]
    {
        assert_eq!(send(&mut a, client, to, &[7; 2000]), Ok(2000));
        assert_eq!(a.output(T0).len(), 2, "in fragments");
    }
    // From another address, once it is bound or connected anew.
    a.stack.add_address(a.id, Cidr { address: v4(5), prefix_len: 24 }, T0).unwrap();
    a.stack.remove_address(a.id, v4(1), T0).unwrap();
    send(&mut a, client, to, b"x").unwrap();
    settle(&mut a, &mut b, T0);
    assert_eq!(frame(&mut a, client, to, b"x")[26..30], [10, 0, 0, 5]);
    a.device.refuses = true;
    for _ in 0..2 {
        assert_eq!(send(&mut a, client, to, b"x"), Ok(1));
    }
    assert_eq!(a.stack.counters().drops(Drop::DeviceRefused), 2);
}

/// A connected socket's datagrams go the same way without naming the peer; what ICMP said of an earlier one is told first (H093).
#[test]
fn datagram_way_of_a_connected_socket_tells_errors_first() {
    let (mut a, mut b, client, server, to) = pair(false);
    a.stack.datagram_connect(client, to).unwrap();
    let send = |a: &mut Host| {
        let Host { stack, device, id } = a;
        stack.datagram_send_at_once(client, None, b"x", None, &mut Only(*id, device), T0)
    };
    for _ in 0..3 {
        assert_eq!(send(&mut a), Ok(1));
    }
    assert!(!a.stack.datagram_way.is_empty());
    let frames = mem::take(&mut a.device.sent);
    assert!(frames.len() == 3 && frames.iter().all(|frame| *frame == frames[0]));
    b.stack.datagram_close(server);
    b.input(&frames[2], T0);
    b.output(T0).iter().for_each(|frame| a.input(frame, T0));
    assert_eq!(send(&mut a), Err(Error::ConnectionRefused));
    assert_eq!(send(&mut a), Ok(1));
}
