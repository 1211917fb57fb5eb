//! Datagram sockets on one address and port, and sockets that are tied to an interface.

use core::net::SocketAddr;

use super::input::packet_to;
use super::*;
use crate::bytes::Bytes;
use crate::udp::{BindOptions, DatagramHandle, Sharing};
use crate::wire::{UdpHeader, protocol};

fn bind(host: &mut Host, local: &str, sharing: Sharing) -> Result<DatagramHandle, Error> {
    let options = BindOptions { sharing, ..BindOptions::default() };
    host.stack.datagram_bind_with(DatagramKind::Udp, local.parse().unwrap(), &options)
}

/// A datagram of one byte from this port of 10.0.0.1 to port 7.
fn arrive(host: &mut Host, from: u16, to: IpAddr) {
    let header = UdpHeader::emit((from, 7), v4(1), to, Bytes::new(&[&b"x"[..]]));
    let mut frame = packet_to(host, v4(1), to, protocol::UDP, &[&header[..], b"x"].concat());
    if to == IpAddr::V4(Ipv4Addr::BROADCAST) {
        frame[..6].copy_from_slice(&Mac::BROADCAST.0);
    }
    host.input(&frame, T0);
}

fn received(host: &mut Host, socket: DatagramHandle) -> usize {
    let one = |_| host.stack.datagram_receive(socket, &mut [0; 9], false, None).ok();
    (0..).map_while(one).count()
}

/// Contract U5, D3: with `reuse_addr` on all of them they have one port; the one that was bound last gets what is for the
/// host, and each gets broadcasts.
#[test]
fn reuse_addr_last_bound_gets_unicast_and_all_get_broadcasts() {
    let mut host = Host::new(2);
    let first = bind(&mut host, "0.0.0.0:7", Sharing::Address).unwrap();
    for other in [Sharing::No, Sharing::Port] {
        assert_eq!(bind(&mut host, "0.0.0.0:7", other), Err(Error::AddrInUse), "{other:?}");
    }
    let second = bind(&mut host, "0.0.0.0:7", Sharing::Address).unwrap();
    let third = bind(&mut host, "0.0.0.0:7", Sharing::Address).unwrap();
    arrive(&mut host, 1000, v4(2));
    assert_eq!([first, second, third].map(|s| received(&mut host, s)), [0, 0, 1]);
    arrive(&mut host, 1000, Ipv4Addr::BROADCAST.into());
    assert_eq!([first, second, third].map(|s| received(&mut host, s)), [1, 1, 1]);
    host.stack.datagram_close(third);
    arrive(&mut host, 1000, v4(2));
    assert_eq!([first, second].map(|s| received(&mut host, s)), [0, 1]);
    // Who is more specific still comes first.
    let own = bind(&mut host, "10.0.0.2:7", Sharing::Address).unwrap();
    let last = bind(&mut host, "0.0.0.0:7", Sharing::Address).unwrap();
    arrive(&mut host, 1000, v4(2));
    assert_eq!([own, last].map(|s| received(&mut host, s)), [1, 0]);
    let alone = bind(&mut host, "0.0.0.0:9", Sharing::No).unwrap();
    assert_eq!(bind(&mut host, "0.0.0.0:9", Sharing::Address), Err(Error::AddrInUse), "both must allow it");
    host.stack.datagram_close(alone);
}

/// Contract D3; D02: with `reuse_port` peers are shared out, and one peer's datagrams come to one socket.
#[test]
fn reuse_port_peers_are_shared_by_a_hash() {
    let mut host = Host::new(2);
    let sockets = [(); 4].map(|()| bind(&mut host, "0.0.0.0:7", Sharing::Port).unwrap());
    for other in [Sharing::No, Sharing::Address] {
        assert_eq!(bind(&mut host, "0.0.0.0:7", other), Err(Error::AddrInUse), "{other:?}");
    }
    let mut shares = [0; 4];
    for port in 1000..1400 {
        (0..2).for_each(|_| arrive(&mut host, port, v4(2)));
        let got = sockets.map(|s| received(&mut host, s));
        assert_eq!((got.iter().sum::<usize>(), got.iter().max()), (2, Some(&2)), "from port {port}");
        shares.iter_mut().zip(got).for_each(|(share, got)| *share += got / 2);
    }
    assert!(shares.iter().all(|share| (60..=140).contains(share)), "{shares:?}");
    arrive(&mut host, 1000, Ipv4Addr::BROADCAST.into());
    assert_eq!(sockets.map(|s| received(&mut host, s)), [1; 4]);
}

/// Contract U3, U4: a socket that is tied to the second of two interfaces, which has no address, broadcasts by that and hears
/// what comes there.
#[test]
fn socket_tied_to_interface_without_address_does_dhcp_by_hand() {
    let mut host = Host::new(2);
    let second = host.stack.add_interface(Capabilities::new(Mac([2, 0, 0, 0, 0, 99]), 1500)).unwrap();
    let options =
        BindOptions { interface: Some(second), sharing: Sharing::Address, ..BindOptions::default() };
    let local = "0.0.0.0:68".parse().unwrap();
    let socket = host.stack.datagram_bind_with(DatagramKind::Udp, local, &options).unwrap();
    let other = host.stack.datagram_bind_with(DatagramKind::Udp, local, &options).unwrap();
    host.stack.datagram_set_broadcast(socket, true).unwrap();
    let server = SocketAddr::new(Ipv4Addr::BROADCAST.into(), 67);
    host.stack.datagram_send(socket, Some(server), b"discover", None, T0).unwrap();
    assert_eq!(host.output(T0).len(), 0, "not by the first interface");
    let mut wire = Wire::new(99);
    host.stack.egress(second, &mut wire, T0);
    let sent = wire.sent.iter().find(|f| f.ends_with(b"discover")).expect("it goes by the second");
    assert_eq!((&sent[..6], &sent[26..34]), (&[0xff; 6][..], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff][..]));
    let header = UdpHeader::emit((67, 68), v4(1), Ipv4Addr::BROADCAST.into(), Bytes::new(&[&b"offer"[..]]));
    let packet = [&header[..], b"offer"].concat();
    let mut frame = packet_to(&host, v4(1), Ipv4Addr::BROADCAST.into(), protocol::UDP, &packet);
    frame[..6].copy_from_slice(&Mac::BROADCAST.0);
    host.input(&frame, T0);
    assert_eq!([socket, other].map(|s| received(&mut host, s)), [0, 0], "that came by the first");
    host.stack.on_frame(second, RxFrame::plain(&[&frame]), T0);
    assert_eq!([socket, other].map(|s| received(&mut host, s)), [1, 1]);
    host.stack.remove_interface(second, T0).unwrap();
    let gone = host.stack.datagram_bind_with(DatagramKind::Udp, local, &options);
    assert_eq!(gone, Err(Error::DeviceGone));
}

/// Contract D13: parts of odd lengths are one datagram, over both families, beyond what a device takes in pieces, and in fragments.
#[test]
fn datagram_in_parts_arrives_as_one() {
    struct NoDevices;
    impl Devices for NoDevices {
        fn device(&mut self, _: InterfaceId) -> Option<&mut dyn Device> {
            None
        }
    }
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (client, server) =
        (bind(&mut a, "[::]:0", Sharing::No).unwrap(), bind(&mut b, "[::]:7", Sharing::No).unwrap());
    let data: Vec<u8> = (0..3000u32).map(|i| (i % 251) as u8).collect();
    for to in [v4(2), b.link_local()] {
        for (part, len) in [(7, 77), (3, 1200), (1, 60), (501, 3000), (5, 0)] {
            let parts: Vec<&[u8]> = data[..len].chunks(part).collect();
            let to = Some(SocketAddr::new(to, 7));
            let sent = a.stack.datagram_send_vectored(client, to, &parts, None, &mut NoDevices, T0);
            assert_eq!(sent, Ok(len));
            settle(&mut a, &mut b, T0);
            let mut buf = [0; 4000];
            let got = b.stack.datagram_receive(server, &mut buf, false, None).unwrap();
            assert_eq!((got.datagram_len, &buf[..got.len]), (len, &data[..len]), "parts of {part}");
        }
    }
}
