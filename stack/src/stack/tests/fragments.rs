//! Datagrams in fragments, from socket to socket and from strangers.

use core::net::SocketAddr;

use super::input::{PEER, fix_ipv4, host, icmp, introduce, ndp_to, packet_to, v6};
use super::*;
use crate::bytes::Bytes;
use crate::time::Duration;
use crate::udp::{DatagramHandle, DontFragment};
use crate::wire::{FragmentHeader, UdpHeader, icmpv4, icmpv6, protocol};

fn bind(host: &mut Host, v4_only: bool, port: u16) -> DatagramHandle {
    let any = if v4_only { "0.0.0.0" } else { "::" };
    let any = SocketAddr::new(any.parse().unwrap(), port);
    host.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 253) as u8).collect()
}

fn send(host: &mut Host, socket: DatagramHandle, to: IpAddr, data: &[u8]) -> Result<usize, Error> {
    host.stack.datagram_send(socket, Some(SocketAddr::new(to, 7)), data, None, T0)
}

fn receive(host: &mut Host, socket: DatagramHandle) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0; 65_536];
    let got = host.stack.datagram_receive(socket, &mut buf, false, None)?;
    assert_eq!(got.len, got.datagram_len);
    buf.truncate(got.len);
    Ok(buf)
}

/// IPv4 fragments of a packet of that protocol from the peer: `parts` are offset, length, and whether more follow.
fn cut_v4(host: &Host, transport: u8, whole: &[u8], parts: &[(usize, usize, bool)]) -> Vec<Vec<u8>> {
    let part = |(offset, len, more): &(usize, usize, bool)| {
        let end = (offset + len).min(whole.len());
        let mut frame = packet_to(host, v4(9), v4(1), transport, &whole[*offset..end]);
        frame[18..20].copy_from_slice(&[0x12, 0x34]);
        let flags = (offset / 8) as u16 | if *more { 0x2000 } else { 0 };
        frame[20..22].copy_from_slice(&flags.to_be_bytes());
        fix_ipv4(&mut frame);
        frame
    };
    parts.iter().map(part).collect()
}

/// The same for IPv6, from fe80::9.
fn cut_v6(host: &Host, transport: u8, whole: &[u8], parts: &[(usize, usize, bool)]) -> Vec<Vec<u8>> {
    let part = |(offset, len, more): &(usize, usize, bool)| {
        let header = FragmentHeader {
            next_header: transport,
            offset: *offset as u32,
            more: *more,
            ident: 0x1234_5678,
        };
        let end = (offset + len).min(whole.len());
        let payload = [&header.emit()[..], &whole[(*offset).min(end)..end]].concat();
        packet_to(host, v6("fe80::9"), host.link_local(), 44, &payload)
    };
    parts.iter().map(part).collect()
}

fn udp(source: IpAddr, destination: IpAddr, data: &[u8]) -> Vec<u8> {
    [&UdpHeader::emit((5, 7), source, destination, Bytes::new(&[data]))[..], data].concat()
}

/// I02, I04, D03: UDP up to its longest datagram, both ways and both families, to a neighbour that is not known yet;
/// what is sent is what the counters say, and nothing stays behind.
#[test]
fn datagrams_of_every_length_arrive_in_fragments() {
    for (to_v6, longest) in [(false, 65_507), (true, 65_527)] {
        let (mut a, mut b) = (Host::new(1), Host::new(2));
        let (server, client) = (bind(&mut b, false, 7), bind(&mut a, !to_v6, 0));
        let to = if to_v6 { b.link_local() } else { v4(2) };
        for len in [longest, 1453, 1472, 1473, 2951, 2952, 20_000, longest] {
            let data = text(len);
            assert_eq!(send(&mut a, client, to, &data), Ok(len));
            let frames = a.output(T0);
            assert!(frames.iter().all(|f| f.len() <= 1514));
            frames.iter().for_each(|f| b.input(f, T0));
            settle(&mut a, &mut b, T0);
            assert!(receive(&mut b, server).unwrap() == data, "{len}");
        }
        let too_long = send(&mut a, client, to, &text(longest + 1));
        assert_eq!(too_long, Err(Error::MessageTooLong { limit: longest as u16 }));
        assert_eq!((drops(&a), drops(&b)), (vec![], vec![]));
        assert_eq!(a.stack.memory().0 + b.stack.memory().0, 0);
        assert_eq!(b.stack.reassembly.deadline(), None);
    }
}

/// RFC 1122 §3.2.2.6: a long echo request is answered whole, in fragments again.
#[test]
fn long_echo_is_answered_in_fragments() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    for (to, any) in [(v4(2), "0.0.0.0:0"), (b.link_local(), "[::]:0")] {
        let socket = a.stack.datagram_bind(DatagramKind::Echo, any.parse().unwrap(), false).unwrap();
        a.stack.datagram_send(socket, Some(SocketAddr::new(to, 1)), &text(20_000), None, T0).unwrap();
        settle(&mut a, &mut b, T0);
        assert!(receive(&mut a, socket).unwrap() == text(20_000));
    }
    assert_eq!((drops(&a), drops(&b)), (vec![], vec![]));
}

/// I02, I04: TCP in fragments is TCP: a listener answers a SYN that came in two.
#[test]
fn tcp_in_fragments_is_heard() {
    use crate::wire::Checksum;
    for is_v6 in [false, true] {
        let mut host = host();
        host.stack.tcp_listen("[::]:7".parse().unwrap(), 8).unwrap();
        let (source, own) = if is_v6 { (v6("fe80::9"), host.link_local()) } else { (v4(9), v4(1)) };
        let mut segment = vec![0; 20];
        segment[..4].copy_from_slice(&[0, 5, 0, 7]);
        (segment[12], segment[13], segment[14]) = (5 << 4, 2, 0x10);
        segment.extend(text(44));
        let mut sum: Checksum = crate::wire::pseudo_header(source, own, protocol::TCP, segment.len());
        sum.add(&segment);
        segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        let cut = if is_v6 { cut_v6 } else { cut_v4 };
        let frames = cut(&host, protocol::TCP, &segment, &[(0, 32, true), (32, 32, false)]);
        frames.iter().for_each(|f| host.input(f, T0));
        assert_eq!((drops(&host), host.output(T0).len()), (vec![], 1), "the SYN-ACK");
    }
}

/// RFC 6946: an atomic fragment is a packet of its own, whatever lies in reassembly under its identification.
//= rfc6946#4
#[test]
fn atomic_fragment_is_a_packet_of_its_own() {
    let mut host = host();
    let socket = bind(&mut host, false, 7);
    let whole = udp(v6("fe80::9"), host.link_local(), &text(100));
    let other = cut_v6(&host, protocol::UDP, &whole, &[(0, 56, true)]);
    let atomic = cut_v6(&host, protocol::UDP, &whole, &[(0, 200, false)]);
    for frame in other.iter().chain(&atomic) {
        host.input(frame, T0);
    }
    assert_eq!((drops(&host), receive(&mut host, socket)), (vec![], Ok(text(100))));
    host.input(&cut_v6(&host, protocol::UDP, &whole, &[(56, 200, false)])[0], T0);
    assert_eq!(receive(&mut host, socket), Ok(text(100)), "the other was left as it was");
}

/// RFC 6980: a solicitation in one fragment or two is not answered.
//= rfc6980#5
#[test]
fn neighbor_discovery_in_fragments_is_dropped() {
    use crate::wire::{NeighborMessage, NeighborMessageKind};
    let mut host = host();
    let IpAddr::V6(target) = host.link_local() else { unreachable!() };
    let message =
        NeighborMessage { kind: NeighborMessageKind::Solicit, target, mac: Some(PEER), nonce: None };
    let plain = ndp_to(&host, v6("fe80::9"), target.into(), &message);
    for parts in [&[(0, 100, false)][..], &[(0, 16, true), (16, 100, false)]] {
        for mut frame in cut_v6(&host, protocol::ICMPV6, &plain[54..], parts) {
            frame[21] = 255;
            host.input(&frame, T0);
        }
    }
    assert_eq!((drops(&host), host.output(T0).len()), (vec![(Drop::NdpFragmented, 2)], 0));
    host.input(&plain, T0);
    assert_eq!(host.output(T0).len(), 1, "whole it is");
}

/// RFC 1858 §3, RFC 3128, RFC 7112 §5: headers that go on in a second fragment, which nobody could check.
//= rfc7112#5
#[test]
fn first_fragment_without_all_headers_is_dropped() {
    for (transport, len, is_dropped) in
        [(protocol::TCP, 16, true), (protocol::TCP, 24, false), (protocol::UDP, 8, false), (99, 8, false)]
    {
        for is_v6 in [false, true] {
            let mut host = host();
            let cut = if is_v6 { cut_v6 } else { cut_v4 };
            host.input(&cut(&host, transport, &text(64), &[(0, len, true)])[0], T0);
            let expected = if is_dropped { vec![(Drop::FragmentTiny, 1)] } else { vec![] };
            assert_eq!((drops(&host), host.output(T0).len()), (expected, 0), "{transport} {len} {is_v6}");
        }
    }
    let mut host = host();
    host.input(&cut_v4(&host, protocol::TCP, &text(64), &[(8, 16, true)])[0], T0);
    // Destination options that lead beyond the fragment.
    let mut options = vec![protocol::UDP, 3];
    options.extend([1, 28]);
    options.resize(40, 0);
    host.input(&cut_v6(&host, 60, &options, &[(0, 16, true)])[0], T0);
    // A fragment of a fragment.
    let inner = FragmentHeader { next_header: protocol::UDP, offset: 64, more: true, ident: 1 };
    let nested = [&inner.emit()[..], &text(64)].concat();
    host.input(&cut_v6(&host, 44, &nested, &[(0, 64, true)])[0], T0);
    assert_eq!(drops(&host), [(Drop::FragmentTiny, 3)]);
    assert_eq!((host.output(T0).len(), host.stack.memory().0), (0, 0));
}

/// RFC 8200 §4.5: a part of an odd length, or one that leads beyond the longest packet, is told; IPv4 is silent.
//= rfc8200#4.5
#[test]
fn impossible_fragment_is_told_over_ipv6_only() {
    for ((offset, len, more), pointer, drop) in [
        ((8, 9, true), 4, Drop::FragmentMalformed),
        ((65_528, 16, false), 42, Drop::FragmentTooLong),
        ((8, 0, true), 0, Drop::FragmentMalformed),
    ] {
        let mut host = host();
        host.input(&cut_v6(&host, protocol::UDP, &text(65_560), &[(offset, len, more)])[0], T0);
        let out = host.output(T0);
        assert_eq!((drops(&host), out.len()), (vec![(drop, 1)], usize::from(pointer > 0)));
        if let Some(told) = out.first() {
            assert_eq!((told[54], told[55], told[61]), (icmpv6::PARAMETER_PROBLEM, 0, pointer));
        }
        host.input(&cut_v4(&host, protocol::UDP, &text(65_560), &[(offset, len, more)])[0], T0);
        assert_eq!((drops(&host), host.output(T0).len()), (vec![(drop, 2)], 0));
    }
}

/// I02, I04: time exceeded is told once, if the first fragment has come, with that fragment; the deadline is one
/// of the stack's.
#[test]
fn time_exceeded_is_told_once_for_a_first_fragment() {
    for (is_v6, seconds) in [(false, 30), (true, 60)] {
        for has_first in [true, false] {
            let mut host = host();
            let cut = if is_v6 { cut_v6 } else { cut_v4 };
            let parts =
                if has_first { [(0, 48, true), (96, 8, false)] } else { [(48, 48, true), (96, 8, false)] };
            let frames = cut(&host, protocol::UDP, &text(104), &parts);
            frames.iter().for_each(|f| host.input(f, T0));
            let due = T0 + Duration::from_secs(seconds);
            // What the introduction left: neighbours that are looked at again.
            while let Some(at) = host.stack.next_deadline(T0).filter(|at| *at < due) {
                host.stack.on_timers(at);
                host.output(at);
            }
            assert_eq!((drops(&host), host.stack.next_deadline(T0)), (vec![], Some(due)));
            introduce(&mut host, due);
            host.stack.on_timers(due);
            let told = told(&mut host, due);
            assert_eq!(drops(&host), [(Drop::FragmentTimeout, 1)]);
            assert_eq!(told.len(), usize::from(has_first));
            if let Some(told) = told.first() {
                let at = if is_v6 { 54 } else { 34 };
                let kind = if is_v6 { icmpv6::TIME_EXCEEDED } else { icmpv4::TIME_EXCEEDED };
                assert_eq!(told[at..at + 2], [kind, 1]);
                assert_eq!(told[at + 8..], frames[0][14..], "the fragment as it came");
            }
            host.stack.on_timers(due + Duration::from_secs(1));
            assert_eq!(drops(&host), [(Drop::FragmentTimeout, 1)]);
        }
    }
}

/// What goes out beside ARP and NDP.
fn told(host: &mut Host, now: Instant) -> Vec<Vec<u8>> {
    let is_ndp = |f: &[u8]| f[12..14] == [0x86, 0xdd] && f[20] == protocol::ICMPV6 && f[54] >= 133;
    let out = host.output(now);
    out.into_iter().filter(|f| f[12..14] != [8, 6] && !is_ndp(f)).collect()
}

/// H090: no error about fragments of an error, or of what went to a group.
#[test]
fn nothing_is_told_of_fragments_of_errors_and_to_groups() {
    let mut host = host();
    let error = icmp(v4(9), v4(1), icmpv4::UNREACHABLE, &text(56));
    let mut frames = cut_v4(&host, protocol::ICMP, &error, &[(0, 32, true)]);
    let mut to_all = cut_v4(&host, protocol::UDP, &text(64), &[(0, 32, true)]).remove(0);
    to_all[..6].fill(255);
    to_all[30..34].copy_from_slice(&[10, 0, 0, 255]);
    fix_ipv4(&mut to_all);
    frames.push(to_all);
    frames.iter().for_each(|f| host.input(f, T0));
    let due = T0 + Duration::from_secs(30);
    host.stack.on_timers(due);
    assert_eq!((drops(&host), told(&mut host, due).len()), (vec![(Drop::FragmentTimeout, 2)], 0));
}

/// H067: fragments for somebody else, from martians, or with a source route take no place.
#[test]
fn fragment_for_somebody_else_takes_no_memory() {
    let mut host = host();
    let mut frame = cut_v4(&host, protocol::UDP, &text(64), &[(0, 32, true)]).remove(0);
    frame[30..34].copy_from_slice(&[10, 0, 0, 77]);
    fix_ipv4(&mut frame);
    host.input(&frame, T0);
    assert_eq!((drops(&host), host.stack.memory().0), (vec![(Drop::Ipv4NotForUs, 1)], 0));
    assert_eq!(host.stack.reassembly.deadline(), None);
}

/// Without a place for a datagram in fragments they are counted and dropped.
#[test]
fn stack_without_places_counts_fragments() {
    let mut host = host();
    *host.stack.reassembly = ip::reassembly::Reassembly::empty();
    host.input(&cut_v4(&host, protocol::UDP, &text(64), &[(0, 32, true)])[0], T0);
    host.input(&cut_v6(&host, protocol::UDP, &text(64), &[(0, 32, true)])[0], T0);
    assert_eq!(drops(&host), [(Drop::Ipv4Fragment, 1), (Drop::Ipv6Fragment, 1)]);
}

/// H217: what the device said of a frame is not said of the datagram.
#[test]
fn whole_datagram_is_checked_whatever_the_device_says() {
    let mut host = host();
    let socket = bind(&mut host, false, 7);
    let mut whole = udp(v4(9), v4(1), &text(100));
    whole[50] ^= 1;
    for frame in cut_v4(&host, protocol::UDP, &whole, &[(0, 56, true), (56, 56, false)]) {
        let parts = [&frame[..]];
        let frame = RxFrame { checksum: crate::device::RxChecksum::Valid, ..RxFrame::plain(&parts) };
        host.stack.on_frame(host.id, frame, T0);
    }
    assert_eq!(drops(&host), [(Drop::UdpChecksum, 1)]);
    assert_eq!(receive(&mut host, socket), Err(Error::WouldBlock));
}

/// H074: a datagram whose fragments the queue has no room for is not begun; its sender waits.
#[test]
fn fragments_go_out_all_or_none() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let socket = bind(&mut a, true, 0);
    let server = bind(&mut b, false, 7);
    send(&mut a, socket, v4(2), b"?").unwrap();
    settle(&mut a, &mut b, T0);
    a.device.room = 0;
    let mut sent = 0;
    while send(&mut a, socket, v4(2), &text(65_507)).is_ok() {
        sent += 1;
    }
    assert_eq!(send(&mut a, socket, v4(2), &text(65_507)), Err(Error::WouldBlock));
    assert_eq!(sent, 5, "256 packets of 45 each");
    a.device.room = usize::MAX;
    let frames = a.output(T0);
    assert_eq!(frames.len(), 5 * 45);
    // The socket holds two of the longest: read as they come.
    receive(&mut b, server).unwrap();
    for datagram in frames.chunks(45) {
        datagram.iter().for_each(|f| b.input(f, T0));
        assert!(receive(&mut b, server).unwrap() == text(65_507));
    }
}

/// RFC 6864 §4.3, RFC 7739: datagrams in fragments have identifications of their own, which hosts can't tell from
/// those that others get.
//= rfc6864#4.3
#[test]
fn identifications_differ_from_datagram_to_datagram() {
    let mut a = Host::new(1);
    for last in 2..4 {
        let answer = crate::wire::ArpPacket {
            operation: crate::wire::ArpOperation::Request,
            sender_mac: Mac([2, 0, 0, 0, 0, last]),
            sender: Ipv4Addr::new(10, 0, 0, last),
            target_mac: Mac::default(),
            target: Ipv4Addr::new(10, 0, 0, 1),
        };
        a.input(&answer.emit(Mac::BROADCAST), T0);
    }
    a.output(T0);
    let socket = bind(&mut a, true, 0);
    let mut idents = [vec![], vec![]];
    for _ in 0..100 {
        for (n, last) in [2, 3].into_iter().enumerate() {
            send(&mut a, socket, v4(last), &text(3000)).unwrap();
            let out = a.output(T0);
            assert_eq!(out.len(), 3);
            let ident = |f: &Vec<u8>| u16::from_be_bytes([f[18], f[19]]);
            assert!(out.iter().all(|f| ident(f) == ident(&out[0]) && f[20] & 0x40 == 0), "DF is clear");
            idents[n].push(ident(&out[0]));
        }
    }
    assert_ne!(idents[0][0].wrapping_add(1), idents[1][0]);
    for idents in &mut idents {
        idents.sort_unstable();
        idents.dedup();
        assert_eq!(idents.len(), 100);
    }
}

/// A router's message that a packet like `frame` was too big.
fn too_big(host: &Host, frame: &[u8], mtu: u16) -> Vec<u8> {
    let is_v6 = frame[12] == 0x86;
    let (source, own) = if is_v6 { (v6("fe80::9"), host.link_local()) } else { (v4(9), v4(1)) };
    let quote = &frame[14..frame.len().min(14 + 500)];
    let rest = [0, 0, (mtu >> 8) as u8, mtu as u8];
    let header = crate::wire::IcmpHeader {
        kind: if is_v6 { icmpv6::TOO_BIG } else { icmpv4::UNREACHABLE },
        code: if is_v6 { 0 } else { icmpv4::CODE_TOO_BIG },
        rest,
    };
    let parts = [quote];
    let message = icmp::icmp_message(header, source, own, Bytes::new(&parts));
    let number = if is_v6 { protocol::ICMPV6 } else { protocol::ICMP };
    packet_to(host, source, own, number, &[&message[..], quote].concat())
}

/// T17, H075, RFC 1191, RFC 8201: a router's word makes the next datagrams smaller, for ten minutes; what is already in
/// fragments is cut smaller as well, and its quote names the socket behind the fragment header.
#[test]
fn path_mtu_is_learnt_from_a_router() {
    for (is_v6, mtu) in [(false, 1000), (true, 1300)] {
        let mut host = host();
        let socket = bind(&mut host, !is_v6, 0);
        let to = if is_v6 { v6("fe80::9") } else { v4(9) };
        let address = SocketAddr::new(to, 7);
        for len in [1400, 4000] {
            let long = text(len);
            assert_eq!(host.stack.datagram_path_mtu(socket, address), Ok(1500));
            send(&mut host, socket, to, &long).unwrap();
            let sent = host.output(T0);
            let told = too_big(&host, &sent[0], mtu);
            host.input(&told, T0);
            assert_eq!(drops(&host), []);
            assert_eq!(host.stack.datagram_path_mtu(socket, address), Ok(mtu));
            send(&mut host, socket, to, &long).unwrap();
            let sent = host.output(T0);
            assert!(sent.len() > 1 && sent.iter().all(|f| f.len() <= 14 + usize::from(mtu)));
            let later = T0 + Duration::from_secs(600);
            host.stack.on_timers(later);
            host.output(later);
        }
    }
}

/// H083, RFC 8201 §6: a message about what we can't have sent changes nothing.
#[test]
fn forged_path_mtu_is_ignored() {
    let mut host = host();
    let (socket, connected) = (bind(&mut host, true, 600), bind(&mut host, true, 700));
    host.stack.datagram_connect(connected, SocketAddr::new(v4(9), 7)).unwrap();
    send(&mut host, socket, v4(9), &text(1400)).unwrap();
    let sent = host.output(T0).remove(0);
    let change = |at: usize, value: u8| {
        let mut frame = sent.clone();
        frame[at] = value;
        fix_ipv4(&mut frame);
        frame
    };
    // From another port; to another port than that of the peer; one that would have fit; from another address.
    let other_port = change(35, 0x59);
    let mut other_peer = change(35, 0xbc);
    other_peer[37] = 8;
    let fits = [change(38, 3), change(38, 0)];
    let from_another = change(29, 77);
    for frame in [other_port, other_peer, fits[0].clone(), fits[1].clone(), from_another] {
        host.input(&too_big(&host, &frame, 1000), T0);
    }
    assert_eq!(drops(&host), [(Drop::IcmpForeign, 5)]);
    // Larger than it is, or none that a link has.
    for mtu in [1500, 9000, 20] {
        host.input(&too_big(&host, &sent, mtu), T0);
    }
    assert_eq!(drops(&host), [(Drop::IcmpIgnored, 1), (Drop::IcmpForeign, 7)]);
    let address = SocketAddr::new(v4(9), 7);
    assert_eq!(host.stack.datagram_path_mtu(socket, address), Ok(1500));
    host.input(&too_big(&host, &sent, 1000), T0);
    assert_eq!(host.stack.datagram_path_mtu(socket, address), Ok(1000));
}

/// D03, H138, RFC 8899: a socket that wants no fragments is refused what is larger than the path, or, while it finds
/// out by itself, than the interface; and is told what a router says.
#[test]
fn dont_fragment_refuses_or_probes() {
    let mut host = host();
    let socket = bind(&mut host, true, 0);
    host.stack.datagram_connect(socket, SocketAddr::new(v4(9), 7)).unwrap();
    let too_long = |limit| Err(Error::MessageTooLong { limit });
    for choice in [DontFragment::Yes, DontFragment::Probe] {
        host.stack.datagram_set_dont_fragment(socket, choice).unwrap();
        assert_eq!(host.stack.datagram_dont_fragment(socket), Ok(choice));
        assert_eq!(send(&mut host, socket, v4(9), &text(1473)), too_long(1472));
        assert_eq!(send(&mut host, socket, v4(9), &text(1472)), Ok(1472));
    }
    let sent = host.output(T0);
    assert!(sent.iter().all(|f| f.len() == 1514 && f[20] == 0x40), "whole, with DF");
    host.input(&too_big(&host, &sent[0], 1000), T0);
    assert_eq!(send(&mut host, socket, v4(9), b"?"), too_long(972), "told once");
    assert_eq!(send(&mut host, socket, v4(9), &text(1472)), Ok(1472));
    host.stack.datagram_set_dont_fragment(socket, DontFragment::Yes).unwrap();
    assert_eq!(send(&mut host, socket, v4(9), &text(973)), too_long(972));
    assert_eq!(send(&mut host, socket, v4(9), &text(972)), Ok(972));
    host.stack.datagram_set_dont_fragment(socket, DontFragment::No).unwrap();
    assert_eq!(host.output(T0).iter().map(Vec::len).collect::<Vec<_>>(), [1514, 1014]);
    send(&mut host, socket, v4(9), &text(1472)).unwrap();
    assert_eq!(host.output(T0).len(), 2);
}

/// H202: a device that makes checksums itself sees one part of a datagram only: the whole one's checksum is made before it is cut.
#[test]
fn datagram_in_fragments_has_its_checksum_whatever_the_device_offers() {
    for to_v6 in [false, true] {
        let (mut a, mut b) = (Host::with(Wire { sums: true, ..Wire::new(1) }, 1), Host::new(2));
        let (server, client) = (bind(&mut b, false, 7), bind(&mut a, !to_v6, 0));
        let to = if to_v6 { b.link_local() } else { v4(2) };
        send(&mut a, client, to, &text(4000)).unwrap();
        settle(&mut a, &mut b, T0);
        assert!(receive(&mut b, server).unwrap() == text(4000));
        assert_eq!(drops(&b), []);
    }
}

/// H214: traffic class and TTL are those of every fragment, and the datagram's at the other end.
#[test]
fn fragments_have_the_class_and_ttl_of_their_datagram() {
    for to_v6 in [false, true] {
        let (mut a, mut b) = (Host::new(1), Host::new(2));
        let (server, client) = (bind(&mut b, false, 7), bind(&mut a, !to_v6, 0));
        let to = if to_v6 { b.link_local() } else { v4(2) };
        send(&mut a, client, to, b"to know the neighbour").unwrap();
        settle(&mut a, &mut b, T0);
        receive(&mut b, server).unwrap();
        a.stack.datagram_set_traffic_class(client, 0xb8).unwrap();
        a.stack.datagram_set_hop_limit(client, Some(77)).unwrap();
        send(&mut a, client, to, &text(4000)).unwrap();
        let frames = a.output(T0);
        assert_eq!(frames.len(), 3);
        for frame in &frames {
            let said = match to_v6 {
                true => (frame[14] << 4 | frame[15] >> 4, frame[21]),
                false => (frame[15], frame[22]),
            };
            assert_eq!(said, (0xb8, 77));
            b.input(frame, T0);
        }
        let got = b.stack.datagram_receive(server, &mut [0; 4000], false, None).unwrap();
        assert_eq!((got.len, got.traffic_class, got.hop_limit), (4000, 0xb8, 77));
    }
}
