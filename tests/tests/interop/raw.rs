//! Raw sockets beside the Linux kernel.

use barenet::device::Mac;
use barenet::{Error, EthernetSocket, RawSocket};
use barenet_tests::kernel::{Family, beside};
use std::net::IpAddr;

/// The checksum of RFC 1071 over a message whose own is zero.
fn checksum(message: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum: u32 = message.chunks(2).map(word).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum + (sum >> 16)) as u16).to_be_bytes()
}

/// I08: an echo request that a program made is answered by the kernel, over both families. ICMPv6's checksum is the
/// stack's work (RFC 3542 §3.1).
#[test]
fn raw_socket_own_echo_request_is_answered_by_the_kernel() {
    for offloads in [true, false] {
        beside(offloads, |net| {
            for family in Family::BOTH {
                let (mut socket, request, reply) = match family {
                    Family::V4 => (RawSocket::open_v4(net, 1).unwrap(), 8, 0),
                    Family::V6 => (RawSocket::open_v6(net, 58).unwrap(), 128, 129),
                };
                socket.set_read_timeout(Some(barenet::time::Duration::from_secs(5)));
                let mut message = vec![request, 0, 0, 0, 0xbe, 0xef, 0, 1];
                message.extend_from_slice(&[0x5a; 400]);
                if family == Family::V4 {
                    let sum = checksum(&message);
                    message[2..4].copy_from_slice(&sum);
                }
                assert_eq!(socket.send_to(&message, family.kernel()), Ok(408));
                let mut buf = [0; 1500];
                let packet = loop {
                    let packet = socket.recv(&mut buf).unwrap();
                    if buf[0] == reply {
                        break packet;
                    }
                };
                assert_eq!((packet.from, packet.to), (family.kernel(), family.ours()));
                assert_eq!(buf[4..packet.len], message[4..]);
            }
        });
    }
}

/// H141: the kernel takes a packet whose header the program made; a protocol that it does not speak is refused, and the
/// connected socket learns of it.
#[test]
fn raw_socket_unknown_protocol_is_refused_by_the_kernel() {
    beside(true, |net| {
        let IpAddr::V4(kernel) = Family::V4.kernel() else { unreachable!() };
        let socket = RawSocket::open_v4(net, 253).unwrap(); // for experiments (RFC 3692)
        socket.connect(Some(kernel.into())).unwrap();
        socket.set_header_included(true).unwrap();
        let mut packet = vec![0x45, 0, 0, 24, 0x12, 0x34, 0x40, 0, 33, 253, 0, 0, 0, 0, 0, 0];
        packet.extend_from_slice(&kernel.octets());
        packet.extend_from_slice(b"data");
        assert_eq!(socket.send(&packet), Ok(24));
        assert_eq!(socket.recv(&mut [0; 100]).map(|p| p.len), Err(Error::ConnectionRefused));
    });
}

/// I10, H142: a program asks by ARP itself, through a socket for its type; the stack's own ARP goes on.
#[test]
fn ethernet_socket_own_arp_request_is_answered_by_the_kernel() {
    beside(true, |net| {
        let (interfaces, _) = net.with_stack(|stack| {
            let all: Vec<_> =
                stack.interfaces().map(|(id, i)| (id, i.capabilities().mac, i.is_loopback())).collect();
            (all, ())
        });
        let (id, own, _) = *interfaces.iter().find(|(_, _, is_loopback)| !is_loopback).unwrap();
        let mut socket = EthernetSocket::open(net, id, 0x0806).unwrap();
        socket.set_read_timeout(Some(barenet::time::Duration::from_secs(5)));
        let (IpAddr::V4(kernel), IpAddr::V4(ours)) = (Family::V4.kernel(), Family::V4.ours()) else {
            unreachable!()
        };
        let mut question = vec![0, 1, 8, 0, 6, 4, 0, 1];
        question.extend_from_slice(&own.0);
        question.extend_from_slice(&ours.octets());
        question.extend_from_slice(&[0; 6]);
        question.extend_from_slice(&kernel.octets());
        socket.send_to(&question, Mac::BROADCAST).unwrap();
        let mut buf = [0; 1500];
        let answer = loop {
            let frame = socket.recv(&mut buf).unwrap();
            if buf[7] == 2 {
                break frame;
            }
        };
        assert_eq!((answer.to, &buf[14..18]), (own, &kernel.octets()[..]));
        assert_eq!(buf[8..14], answer.from.0, "the kernel's own address");
    });
}
