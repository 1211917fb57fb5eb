//! Raw sockets: IP protocols and Ethernet types of the program's own.

use super::input::packet_to;
use super::*;
use crate::raw::{RawHandle, RawKind};
use core::net::SocketAddr;

/// OSPF's number, which the stack does not speak.
const PROTOCOL: u8 = 89;
/// A type for local experiments.
const ETHERTYPE: u16 = 0x88b5;

fn open(host: &mut Host, kind: RawKind) -> RawHandle {
    host.stack.raw_open(kind, None).unwrap()
}

fn send(host: &mut Host, socket: RawHandle, to: IpAddr, data: &[u8]) -> Result<usize, Error> {
    host.stack.raw_send(socket, Some(SocketAddr::new(to, 0)), data, (None, None), T0)
}

fn receive(host: &mut Host, socket: RawHandle) -> Result<Vec<u8>, Error> {
    let mut buf = [0; 2000];
    let packet = host.stack.raw_receive(socket, &mut buf, None)?;
    assert_eq!(packet.len, packet.packet_len);
    Ok(buf[..packet.len].to_vec())
}

/// An IPv4 header with an identification, flags and options of its own, and four bytes.
fn own_packet(source: [u8; 4], flags: u16, to: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x46, 0x28, 0, 28, 0xab, 0xcd];
    packet.extend_from_slice(&flags.to_be_bytes());
    packet.extend_from_slice(&[9, PROTOCOL, 0x11, 0x11]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&to);
    packet.extend_from_slice(&[1, 1, 1, 0, b'd', b'a', b't', b'a']);
    packet
}

/// I08: both families, each way, with what is known of the packet.
#[test]
fn raw_socket_protocol_of_its_own_goes_both_ways() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let ll = b.link_local();
    for (kind, from, to) in
        [(RawKind::Ipv4(PROTOCOL), v4(1), v4(2)), (RawKind::Ipv6(PROTOCOL), a.link_local(), ll)]
    {
        let (sender, receiver) = (open(&mut a, kind), open(&mut b, kind));
        let waits = b.stack.raw_receive(receiver, &mut [], None);
        assert_eq!(waits.map(|p| p.len), Err(Error::WouldBlock));
        a.stack.raw_set_hop_limit(sender, Some(7)).unwrap();
        assert_eq!(send(&mut a, sender, to, b"hello"), Ok(5));
        settle(&mut a, &mut b, T0);
        let mut buf = [0; 3];
        let got = b.stack.raw_receive(receiver, &mut buf, None).unwrap();
        assert_eq!((got.len, got.packet_len, &buf), (3, 5, b"hel"), "the rest is lost, and said to be");
        assert_eq!((got.from, got.to, got.hop_limit, got.traffic_class), (from, to, 7, 0));
        assert_eq!((got.interface, got.at), (b.id, T0));
        assert_eq!(receive(&mut b, receiver), Err(Error::WouldBlock));
        b.stack.raw_close(receiver);
        a.stack.raw_close(sender);
        assert_eq!(receive(&mut b, receiver), Err(Error::StaleHandle));
    }
    assert_eq!((drops(&a), drops(&b)), (vec![], vec![]), "nothing was unknown");
    assert_eq!(a.stack.memory().0 + b.stack.memory().0, 0);
}

/// H142: each socket gets a copy, and the stack's own processing goes on.
#[test]
fn raw_sockets_several_match_each_gets_copy_and_ping_is_answered() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let all = [open(&mut b, RawKind::Ipv4(1)), open(&mut b, RawKind::Ipv4(1))];
    let others = [open(&mut b, RawKind::Ipv4(2)), open(&mut b, RawKind::Ipv6(1))];
    ping(&mut a, v4(2));
    assert_eq!(settle(&mut a, &mut b, T0), 4, "question, answer, request, reply");
    for socket in all {
        let request = receive(&mut b, socket).unwrap();
        assert_eq!((request[0], &request[8..]), (8, &b"some bytes"[..]));
    }
    for socket in others {
        assert_eq!(receive(&mut b, socket), Err(Error::WouldBlock));
    }
}

/// RFC 1122 §3.2.2.1: a protocol that nobody speaks is reported, one that a raw socket speaks is not.
#[test]
fn raw_socket_open_protocol_is_not_reported_as_unreachable() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (sender, icmp) = (open(&mut a, RawKind::Ipv4(PROTOCOL)), open(&mut a, RawKind::Ipv4(1)));
    a.stack.raw_connect(sender, Some(v4(2))).unwrap();
    let to_peer = |a: &mut Host| a.stack.raw_send(sender, None, b"x", (None, None), T0);
    to_peer(&mut a).unwrap();
    settle(&mut a, &mut b, T0);
    let report = receive(&mut a, icmp).unwrap();
    assert_eq!((report[0], report[1]), (3, 2), "protocol unreachable");
    // H093: the socket that is connected there learns of it, once.
    assert_eq!(to_peer(&mut a), Err(Error::ConnectionRefused));
    open(&mut b, RawKind::Ipv4(PROTOCOL));
    to_peer(&mut a).unwrap();
    settle(&mut a, &mut b, T0);
    assert_eq!(receive(&mut a, icmp), Err(Error::WouldBlock));
}

/// H141: identification, flags, offset, TTL, DSCP and options stay; the checksum and a missing source are filled in.
#[test]
fn raw_packet_with_own_header_keeps_its_fields() {
    let mut a = Host::new(1);
    let (mut b, sender) = (Host::new(2), open(&mut a, RawKind::Ipv4(255)));
    ping(&mut a, v4(2));
    settle(&mut a, &mut b, T0);
    a.stack.raw_set_header_included(sender, true).unwrap();
    for flags in [0x4000, 0x2000, 0x0010] {
        assert_eq!(send(&mut a, sender, v4(2), &own_packet([0; 4], flags, [10, 0, 0, 2])), Ok(28));
        let out = a.output(T0);
        let sent = &out[0][14..];
        let mut expected = own_packet([10, 0, 0, 1], flags, [10, 0, 0, 2]);
        let sum: u32 = (0..12).map(|i| u32::from(u16::from_be_bytes([sent[2 * i], sent[2 * i + 1]]))).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "the checksum of the header");
        expected[10..12].copy_from_slice(&sent[10..12]);
        assert_eq!(sent, expected);
    }
    let foreign = own_packet([192, 0, 2, 9], 0, [10, 0, 0, 2]);
    send(&mut a, sender, v4(2), &foreign).unwrap();
    assert_eq!(a.output(T0)[0][26..30], [192, 0, 2, 9], "a source that was given is the program's");
}

/// H141, D03: it is refused, not fragmented, and a header that does not fit the packet is refused by name.
#[test]
fn raw_packet_with_own_header_bad_is_refused() {
    let mut a = Host::new(1);
    let (v4_socket, v6_socket) = (open(&mut a, RawKind::Ipv4(255)), open(&mut a, RawKind::Ipv6(255)));
    for socket in [v4_socket, v6_socket] {
        a.stack.raw_set_header_included(socket, true).unwrap();
    }
    let good = own_packet([0; 4], 0, [10, 0, 0, 2]);
    let mut long = good.clone();
    long.resize(1501, 0);
    assert_eq!(send(&mut a, v4_socket, v4(2), &long), Err(Error::MessageTooLong { limit: 1500 }));
    let changed = |at: usize, to: u8| {
        let mut packet = good.clone();
        packet[at] = to;
        packet
    };
    let bad = [
        vec![],
        good[..19].to_vec(),
        changed(0, 0x66),
        changed(0, 0x44),
        changed(0, 0x4f),
        changed(3, 29),
        changed(19, 3),
    ];
    for packet in bad {
        assert!(matches!(send(&mut a, v4_socket, v4(2), &packet), Err(Error::InvalidInput(_))), "{packet:?}");
    }
    let to: IpAddr = "fe80::2".parse().unwrap();
    let mut six = vec![0x60, 0, 0, 0, 0, 1, PROTOCOL, 64];
    six.extend_from_slice(&[0; 16]);
    six.extend_from_slice(&"fe80::2".parse::<core::net::Ipv6Addr>().unwrap().octets());
    for packet in [six.clone(), [&six[..], b"12"].concat(), vec![0x40; 41]] {
        assert!(matches!(send(&mut a, v6_socket, to, &packet), Err(Error::InvalidInput(_))), "{packet:?}");
    }
    assert_eq!(send(&mut a, v6_socket, to, &[&six[..], b"1"].concat()), Ok(41));
    assert_eq!(send(&mut a, v6_socket, v4(2), &good), Err(Error::AddrInvalid), "of the other family");
    let plain = open(&mut a, RawKind::Ipv4(PROTOCOL));
    assert_eq!(a.stack.raw_send(plain, None, b"", (None, None), T0), Err(Error::NotConnected));
    assert_eq!(send(&mut a, plain, v4(255), b""), Err(Error::BroadcastNotAllowed));
    let elsewhere = Ipv4Addr::new(192, 0, 2, 1).into();
    assert_eq!(send(&mut a, plain, elsewhere, b""), Err(Error::NetUnreachable));
}

/// RFC 3542 §3.1: an ICMPv6 message gets its checksum. H203: nothing else is touched, and no device is asked for one.
#[test]
fn raw_icmpv6_message_gets_its_checksum() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (socket, to) = (open(&mut a, RawKind::Ipv6(58)), b.link_local());
    assert!(matches!(send(&mut a, socket, to, &[128, 0, 0]), Err(Error::InvalidInput(_))));
    send(&mut a, socket, to, &[128, 0, 0xde, 0xad, 0, 1, 0, 1, 5]).unwrap();
    settle(&mut a, &mut b, T0);
    let is_reply = |m: &Vec<u8>| m[0] == 129;
    let reply = core::iter::from_fn(|| receive(&mut a, socket).ok()).find(is_reply).expect("a reply");
    assert_eq!(reply[4..], [0, 1, 0, 1, 5]);
    assert_eq!(drops(&b), vec![]);
}

/// I10: frames of a type of the program's own, to one station and to all. H143: none that the device can't send.
#[test]
fn ethernet_socket_own_type_goes_to_a_hardware_address() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (id_a, id_b) = (a.id, b.id);
    let sender = a.stack.raw_open(RawKind::Ethernet(ETHERTYPE), Some(id_a)).unwrap();
    let receiver = b.stack.raw_open(RawKind::Ethernet(ETHERTYPE), Some(id_b)).unwrap();
    let other = b.stack.raw_open(RawKind::Ethernet(ETHERTYPE + 1), None).unwrap();
    let to =
        |a: &mut Host, mac: Mac, data: &[u8]| a.stack.raw_send_frame(sender, mac, data, (None, None), T0);
    for mac in [b.device.mac, Mac::BROADCAST] {
        to(&mut a, mac, b"hello").unwrap();
        settle(&mut a, &mut b, T0);
        let mut buf = [0; 9];
        let got = b.stack.raw_receive_frame(receiver, &mut buf, None).unwrap();
        assert_eq!((got.len, got.payload_len, &buf[..5]), (5, 5, &b"hello"[..]));
        assert_eq!((got.from, got.to, got.interface, got.at), (a.device.mac, mac, b.id, T0));
    }
    to(&mut a, Mac([2, 0, 0, 0, 0, 9]), b"another's").unwrap();
    settle(&mut a, &mut b, T0);
    for socket in [receiver, other] {
        let got = b.stack.raw_receive_frame(socket, &mut [], None);
        assert_eq!(got.map(|f| f.len), Err(Error::WouldBlock));
    }
    assert_eq!(to(&mut a, Mac::BROADCAST, &[0; 1501]), Err(Error::MessageTooLong { limit: 1500 }));
    let nowhere = a.stack.raw_open(RawKind::Ethernet(ETHERTYPE), None).unwrap();
    let sent = a.stack.raw_send_frame(nowhere, Mac::BROADCAST, b"", (None, None), T0);
    assert_eq!(sent, Err(Error::NotConnected));
    let length = a.stack.raw_open(RawKind::Ethernet(1535), None);
    assert!(matches!(length, Err(Error::InvalidInput(_))), "that is a length");
    a.stack.remove_interface(a.id, T0).unwrap();
    assert_eq!(to(&mut a, Mac::BROADCAST, b""), Err(Error::DeviceGone));
    let got = a.stack.raw_receive_frame(sender, &mut [], None);
    assert_eq!(got.map(|f| f.len), Err(Error::DeviceGone), "H177");
}

/// H135, H196: a reader that does not read loses packets, counted, and others keep their memory.
#[test]
fn raw_socket_unread_queue_is_bounded() {
    let mut b = Host::new(2);
    let socket = open(&mut b, RawKind::Ipv4(PROTOCOL));
    let packet = packet_to(&b, v4(1), v4(2), PROTOCOL, &[5; 1400]);
    (0..1000).for_each(|_| b.input(&packet, T0));
    let used = b.stack.memory().0;
    assert!((100_000..=160_000).contains(&used), "{used} bytes");
    let lost = drops(&b).iter().find(|(drop, _)| *drop == Drop::RawQueueFull).map(|(_, count)| *count);
    let kept = core::iter::from_fn(|| receive(&mut b, socket).ok()).count() as u64;
    assert_eq!(Some(1000 - kept), lost);
    assert_eq!(b.stack.memory().0, 0);
}

/// H142: a connection that both ends find in the fast path is seen by a raw socket too.
#[test]
fn raw_socket_for_tcp_sees_every_segment() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (listener, _) = b.stack.tcp_listen(SocketAddr::new(v4(2), 80), 4).unwrap();
    let client = a.stack.tcp_connect(SocketAddr::new(v4(2), 80), None, T0).unwrap();
    settle(&mut a, &mut b, T0);
    b.stack.tcp_accept(listener).unwrap();
    let write = |a: &mut Host, b: &mut Host| {
        a.stack.tcp_write(client, b"text", T0).unwrap();
        settle(a, b, T0);
    };
    (0..3).for_each(|_| write(&mut a, &mut b));
    let socket = open(&mut b, RawKind::Ipv4(6));
    (0..3).for_each(|_| write(&mut a, &mut b));
    let seen = core::iter::from_fn(|| receive(&mut b, socket).ok()).filter(|s| s.ends_with(b"text"));
    assert_eq!(seen.count(), 3);
}
