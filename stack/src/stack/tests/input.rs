//! What comes in from the link, right and wrong.

use core::net::{Ipv6Addr, SocketAddr};

use super::*;
use crate::bytes::Bytes;
use crate::wire::{
    self, ArpOperation, ArpPacket, Checksum, HEADERS_LEN_MAX, IcmpHeader, IpHeader, LinkPath, NDP_LEN_MAX,
    NeighborMessage, NeighborMessageKind, icmpv4, icmpv6, protocol,
};

pub(super) const PEER: Mac = Mac([2, 0, 0, 0, 0, 9]);

pub(super) fn v6(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A frame from the peer's station to `host`.
pub(super) fn packet_to(
    host: &Host,
    source: IpAddr,
    destination: IpAddr,
    number: u8,
    payload: &[u8],
) -> Vec<u8> {
    let link = LinkPath { source: PEER, destination: host.device.mac };
    let mut headers = [0; HEADERS_LEN_MAX];
    let ip = IpHeader { hop_limit: 255, ..IpHeader::new(source, destination, number, payload.len()) };
    let len = wire::emit_headers(&mut headers, &link, &ip);
    [&headers[..len], payload].concat()
}

pub(super) fn fix_ipv4(frame: &mut [u8]) {
    let end = 14 + usize::from(frame[14] & 15) * 4;
    frame[24..26].fill(0);
    let mut sum = Checksum::default();
    sum.add(&frame[14..end]);
    frame[24..26].copy_from_slice(&sum.finish().to_be_bytes());
}

#[cfg(not(feature = "fragments"))]
/// A frame changed by `change`, with its IPv4 header checksum right afterwards.
fn changed(frame: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = frame.to_vec();
    change(&mut frame);
    fix_ipv4(&mut frame);
    frame
}

pub(super) fn icmp(source: IpAddr, destination: IpAddr, kind: u8, body: &[u8]) -> Vec<u8> {
    let parts = [body];
    let body_bytes = Bytes::new(&parts);
    let header = IcmpHeader { kind, code: 0, rest: [0, 1, 0, 2] };
    let header = icmp::icmp_message(header, source, destination, body_bytes);
    [&header, body].concat()
}

fn echo_to(host: &Host, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let (number, kind) = match source {
        IpAddr::V4(_) => (protocol::ICMP, icmpv4::ECHO),
        IpAddr::V6(_) => (protocol::ICMPV6, icmpv6::ECHO),
    };
    packet_to(host, source, destination, number, &icmp(source, destination, kind, b"ping"))
}

fn udp_to(host: &Host, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let header = wire::UdpHeader::emit((5, 9), source, destination, Bytes::new(&[&[7; 1000][..]]));
    packet_to(host, source, destination, protocol::UDP, &[&header[..], &[7; 1000]].concat())
}

/// A host that knows the peer's hardware address by both families, and has sent nothing else.
pub(super) fn host() -> Host {
    let mut host = Host::new(1);
    assert_eq!(introduce(&mut host, T0), 2);
    host
}

pub(super) fn introduce(host: &mut Host, now: Instant) -> usize {
    let peer = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: PEER,
        sender: Ipv4Addr::new(10, 0, 0, 9),
        target_mac: Mac::default(),
        target: Ipv4Addr::new(10, 0, 0, 1),
    };
    host.input(&peer.emit(Mac::BROADCAST), now);
    let IpAddr::V6(target) = host.link_local() else { panic!() };
    let solicit =
        NeighborMessage { kind: NeighborMessageKind::Solicit, target, mac: Some(PEER), nonce: None };
    host.input(&ndp_to(host, v6("fe80::9"), target.into(), &solicit), now);
    host.output(now).len()
}

pub(super) fn ndp_to(host: &Host, source: IpAddr, destination: IpAddr, message: &NeighborMessage) -> Vec<u8> {
    let mut buf = [0; NDP_LEN_MAX];
    let len = message.emit(&mut buf);
    let mut sum = wire::pseudo_header(source, destination, protocol::ICMPV6, len);
    sum.add(&buf[..len]);
    buf[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    packet_to(host, source, destination, protocol::ICMPV6, &buf[..len])
}

/// Gives `frame` to a fresh host and asserts what was dropped and how many frames answered.
fn expect(frame: &[u8], dropped: &[Drop], answers: usize) -> Vec<Vec<u8>> {
    let mut host = host();
    host.input(frame, T0);
    let seen: Vec<Drop> = drops(&host).into_iter().map(|(drop, _)| drop).collect();
    assert_eq!(seen, dropped);
    let out = host.output(T0);
    assert_eq!(out.len(), answers);
    out
}

/// What was found good about a pair of addresses holds only as long as our addresses stay.
#[test]
fn addresses_that_change_are_looked_at_again() {
    let mut host = host();
    let extra = Cidr { address: v4(77), prefix_len: 24 };
    host.stack.add_address(host.id, extra, T0).unwrap();
    let to_extra = echo_to(&host, v4(9), v4(77));
    for _ in 0..2 {
        host.input(&to_extra, T0);
    }
    assert_eq!((host.output(T0).len(), drops(&host)), (2, Vec::new()));
    host.stack.remove_address(host.id, v4(77), T0).unwrap();
    host.input(&to_extra, T0);
    assert_eq!(drops(&host), [(Drop::Ipv4NotForUs, 1)]);
    let ping = echo_to(&host, v4(9), v4(1));
    host.input(&ping, T0);
    host.stack.add_address(host.id, Cidr { address: v4(9), prefix_len: 24 }, T0).unwrap();
    host.input(&ping, T0);
    assert_eq!(drops(&host), [(Drop::Ipv4NotForUs, 1), (Drop::Land, 1)]);
}

#[test]
fn frames_for_others_are_dropped() {
    let good = echo_to(&host(), v4(9), v4(1));
    expect(&good, &[], 1);
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    expect(&with(0, &[2, 0, 0, 0, 0, 7]), &[Drop::EthernetNotForUs], 0);
    expect(&with(6, &[3]), &[Drop::EthernetSource], 0);
    expect(&with(6, &[0; 6]), &[Drop::EthernetSource], 0);
    expect(&with(12, &[0x88, 0xcc]), &[Drop::EthernetType], 0);
    expect(&good[..13], &[Drop::EthernetShort], 0);
    expect(&[], &[Drop::EthernetShort], 0);
    // H213: counted and dropped on purpose.
    expect(&with(12, &[0, 46]), &[Drop::EthernetLlc], 0);
    let mut host = host();
    let parts: [&[u8]; 1] = [&good];
    let bad = RxFrame { checksum: crate::device::RxChecksum::Bad, ..RxFrame::plain(&parts) };
    host.stack.on_frame(host.id, bad, T0);
    // H210
    assert_eq!(drops(&host), [(Drop::DeviceChecksum, 1)]);
}

/// H212: bytes past the IP length are padding, and don't come back.
#[test]
fn padding_is_cut() {
    for (source, destination) in [(v4(9), v4(1)), (v6("fe80::9"), host().link_local())] {
        let frame = echo_to(&host(), source, destination);
        let padded = [&frame[..], &[0xaa; 20]].concat();
        let answer = expect(&padded, &[], 1).remove(0);
        assert_eq!(answer.len(), frame.len());
    }
}

/// H065, H077: sources and destinations that no packet on a link may have.
#[test]
fn martians_are_dropped() {
    let to = |source: &str| echo_to(&host(), v6(source), v4(1));
    for source in
        ["127.0.0.1", "0.1.2.3", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "10.0.0.255"]
    {
        expect(&to(source), &[Drop::Ipv4Source], 0);
    }
    expect(&echo_to(&host(), v4(9), v6("127.0.0.1")), &[Drop::Ipv4Source], 0);
    // Who has no address yet may ask all, by UDP, as DHCP does; and nothing else.
    let everybody = v6("255.255.255.255");
    expect(&udp_to(&host(), v6("0.0.0.0"), everybody), &[Drop::UdpNoSocket], 0);
    expect(&udp_to(&host(), v6("0.0.0.0"), v4(1)), &[Drop::Ipv4Source], 0);
    expect(&udp_to(&host(), v6("0.0.0.7"), everybody), &[Drop::Ipv4Source], 0);
    expect(&echo_to(&host(), v6("0.0.0.0"), everybody), &[Drop::Ipv4Source], 0);
    // LAND, and anybody else who claims to be us.
    expect(&echo_to(&host(), v4(1), v4(1)), &[Drop::Land], 0);
    let own = host().link_local();
    expect(&echo_to(&host(), own, own), &[Drop::Land], 0);
    // Only an advertisement with our address, to a group, is heard: somebody else claims it.
    expect(&echo_to(&host(), own, v6("ff02::1")), &[Drop::Land], 0);
    let not_icmp = packet_to(&host(), own, v6("ff02::1"), protocol::UDP, &[icmpv6::NEIGHBOR_ADVERT; 8]);
    expect(&not_icmp, &[Drop::Land], 0);
    for source in ["::1", "ff02::1", "::ffff:10.0.0.9"] {
        expect(&echo_to(&host(), v6(source), own), &[Drop::Ipv6Source], 0);
    }
    expect(&echo_to(&host(), v6("fe80::9"), v6("::1")), &[Drop::Ipv6Source], 0);
}

/// IEEE 802.1Q §9.6: a tag that names no VLAN gives a priority, and the frame is plain traffic; one
/// that names a VLAN is for others.
#[test]
fn priority_tags_are_skipped() {
    let tagged = |frame: &[u8], tag: [u8; 2]| [&frame[..12], &[0x81, 0], &tag, &frame[12..]].concat();
    let mut host = host();
    for (source, own) in [(v4(9), v4(1)), (v6("fe80::9"), host.link_local())] {
        let plain = echo_to(&host, source, own);
        for tag in [[0, 0], [0xe0, 0], [0x50, 0]] {
            host.input(&tagged(&plain, tag), T0);
            assert_eq!(host.output(T0).len(), 1);
        }
        host.input(&tagged(&plain, [0, 7]), T0);
        host.input(&tagged(&plain, [0, 0])[..17], T0);
        assert!(host.output(T0).is_empty());
    }
    assert_eq!(drops(&host), [(Drop::EthernetShort, 2), (Drop::EthernetType, 2)]);
}

/// H067: a fragment for somebody else is not for us in the first place.
#[cfg(not(feature = "fragments"))]
#[test]
fn fragments_are_counted() {
    let fragment = |frame: Vec<u8>| changed(&frame, |f| f[20] = 0x20);
    expect(&fragment(echo_to(&host(), v4(9), v4(1))), &[Drop::Ipv4Fragment], 0);
    expect(&fragment(echo_to(&host(), v4(9), v4(2))), &[Drop::Ipv4NotForUs], 0);
    expect(&chain(&[(44, &[58, 0, 0, 1, 0, 0, 0, 1])], b"x", 58), &[Drop::Ipv6Fragment], 0);
}

/// H071: a source route is not delivered as if we were its end, nor one that ends here and wants the
/// answer by the reversed route (RFC 1122 §3.2.1.8, RFC 7126 §4.3).
#[test]
fn source_routes_are_dropped() {
    let frame = echo_to(&host(), v4(9), v4(1));
    for option in [[1, 131, 7, 4, 10, 0, 0, 5], [1, 131, 7, 8, 10, 0, 0, 5], [1, 137, 7, 8, 10, 0, 0, 5]] {
        let mut routed = [&frame[..34], &option, &frame[34..]].concat();
        routed[14] = 0x47;
        routed[17] += 8;
        fix_ipv4(&mut routed);
        expect(&routed, &[Drop::Ipv4SourceRoute], 0);
    }
}

/// H244, H065: a broadcast address of any of our networks is no source, on whichever link it comes
/// (RFC 1122 §3.2.1.3).
#[test]
fn broadcasts_of_other_links_are_martians() {
    let (mut stack, a, _) = routing::two_links();
    let host = Host::new(1);
    for source in ["10.0.0.255", "10.0.1.255", "10.0.1.0"] {
        stack.on_frame(a, RxFrame::plain(&[&echo_to(&host, v6(source), v4(1))]), T0);
    }
    assert_eq!(stack.counters().drops(Drop::Ipv4Source), 3);
}

/// An answer whose way back leads to everybody on a link is none (RFC 1122 §3.2.1.3): here a network
/// that came after the packet was let in.
#[test]
fn no_answer_goes_to_a_group() {
    let mut host = host();
    let (path, ip) = (
        Path { interface: host.id, source: v4(1), next_hop: v6("255.255.255.255"), mtu: 1500 },
        IpHeader::new(v4(1), v6("10.7.0.255"), protocol::ICMP, 0),
    );
    host.stack.send_answer(&path, &ip, &[0; 8], Bytes::empty(), T0);
    assert_eq!(host.stack.counters().drops(Drop::AnswerToGroup), 1);
    assert!(host.output(T0).is_empty());
}

/// H072, H091: every form of broadcast is recognised, and none is answered.
#[test]
fn broadcasts_are_not_answered() {
    for to in ["255.255.255.255", "10.0.0.255", "10.0.0.0", "224.0.0.1"] {
        expect(&echo_to(&host(), v4(9), v6(to)), &[Drop::IcmpBroadcastEcho], 0);
        // H085, H092
        expect(&udp_to(&host(), v4(9), v6(to)), &[Drop::UdpNoSocket], 0);
    }
    // Over IPv6 an echo to all nodes is answered from our own address (RFC 4443 §4.2).
    let answer = expect(&echo_to(&host(), v6("fe80::9"), v6("ff02::1")), &[], 1).remove(0);
    assert_eq!(IpAddr::from(<[u8; 16]>::try_from(&answer[22..38]).unwrap()), host().link_local());
    expect(&echo_to(&host(), v6("fe80::9"), v6("ff02::2")), &[Drop::Ipv6NotForUs], 0);
    // A broadcast frame with our address in it earns no error either.
    let mut frame = udp_to(&host(), v4(9), v4(1));
    frame[..6].fill(0xff);
    expect(&frame, &[Drop::UdpNoSocket], 0);
}

/// H007: TCP by broadcast, of the link or of IP, meets no listener and no reset.
#[test]
fn tcp_is_unicast() {
    let mut host = host();
    let segment = [0; 20];
    for destination in [v6("255.255.255.255"), v4(255), v6("224.0.0.1")] {
        host.input(&packet_to(&host, v4(9), destination, protocol::TCP, &segment), T0);
    }
    host.input(&packet_to(&host, v6("fe80::9"), v6("ff02::1"), protocol::TCP, &segment), T0);
    let mut frame = packet_to(&host, v4(9), v4(1), protocol::TCP, &segment);
    frame[..6].fill(0xff);
    host.input(&frame, T0);
    assert_eq!(drops(&host), [(Drop::TcpBroadcast, 5)]);
    assert!(host.output(T0).is_empty());
}

/// An IPv6 packet from fe80::9 with extension headers, each with the kind of its own.
fn chain(headers: &[(u8, &[u8])], payload: &[u8], last: u8) -> Vec<u8> {
    let kinds: Vec<u8> = headers.iter().map(|h| h.0).chain([last]).collect();
    let mut bytes = Vec::new();
    for ((_, content), next) in headers.iter().zip(&kinds[1..]) {
        bytes.push(*next);
        bytes.extend_from_slice(&content[1..]);
    }
    bytes.extend_from_slice(payload);
    packet_to(&host(), v6("fe80::9"), host().link_local(), kinds[0], &bytes)
}

fn parameter_problem(answer: &[u8]) -> (u8, u8, u32) {
    (answer[54], answer[55], u32::from_be_bytes(answer[58..62].try_into().unwrap()))
}

/// I03, RFC 8200 §4, H076: the chain of extension headers and what is said about it.
#[test]
fn extension_headers_are_walked() {
    let own = host().link_local();
    let ping = icmp(v6("fe80::9"), own, icmpv6::ECHO, b"ping");
    let pad: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    let unknown: &[u8] = &[0, 0, 0x9e, 4, 0, 0, 0, 0];
    expect(&chain(&[(0, pad), (60, pad), (43, &[0, 0, 3, 0, 0, 0, 0, 0]), (60, pad)], &ping, 58), &[], 1);
    expect(&chain(&[], b"", 59), &[Drop::Ipv6NoNext], 0);
    expect(&chain(&[(60, pad)], b"junk", 59), &[Drop::Ipv6NoNext], 0);
    let problem = |frame: &[u8], drop| parameter_problem(&expect(frame, &[drop], 1)[0]);
    let extension = Drop::Ipv6Extension;
    assert_eq!(problem(&chain(&[(60, pad), (0, pad)], &ping, 58), extension), (4, 1, 40));
    let routing: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(problem(&chain(&[(43, routing)], &ping, 58), Drop::Ipv6Routing), (4, 0, 42));
    assert_eq!(problem(&chain(&[(0, unknown)], &ping, 58), Drop::Ipv6Option), (4, 2, 42));
    assert_eq!(problem(&chain(&[(60, pad), (60, unknown)], &ping, 58), Drop::Ipv6Option), (4, 2, 50));
    assert_eq!(problem(&chain(&[(60, pad), (43, routing)], &ping, 58), Drop::Ipv6Routing), (4, 0, 50));
    assert_eq!(problem(&chain(&[], b"junk", 200), Drop::ProtocolUnknown), (4, 1, 6));
    assert_eq!(problem(&chain(&[(60, pad)], b"junk", 200), Drop::ProtocolUnknown), (4, 1, 40));
    expect(&chain(&[(60, &[0, 9, 1, 4, 0, 0, 0, 0])], &ping, 58), &[extension], 0);
    expect(&chain(&[(60, pad); 8], &ping, 58), &[extension], 0);
    // H090: no error about an error.
    let error = icmp(v6("fe80::9"), own, icmpv6::UNREACHABLE, b"");
    expect(&chain(&[(0, unknown)], &error, 58), &[Drop::Ipv6Option], 0);
}

/// H085: an unknown option with action 10 is told even to the sender of a multicast, 11 is not.
#[test]
fn unknown_options_of_multicasts() {
    for (kind, answers) in [(0x9e, 1), (0xde, 0)] {
        let payload = [17, 0, kind, 4, 0, 0, 0, 0];
        let frame = packet_to(&host(), v6("fe80::9"), v6("ff02::1"), 0, &payload);
        expect(&frame, &[Drop::Ipv6Option], answers);
    }
}

/// A reply larger than our own MTU, to a peer with a larger one, is not given to the device as it is.
#[test]
fn reply_beyond_the_mtu_is_not_sent_whole() {
    let beyond = if cfg!(feature = "fragments") { (&[][..], 2) } else { (&[Drop::PacketTooBig][..], 0) };
    for (len, dropped, answers) in [(1472, &[][..], 1), (1473, beyond.0, beyond.1)] {
        let request = icmp(v4(9), v4(1), icmpv4::ECHO, &vec![7; len]);
        expect(&packet_to(&host(), v4(9), v4(1), protocol::ICMP, &request), dropped, answers);
    }
}

/// H089: the quote is cut so that the error fits 1280 bytes (576 over IPv4).
#[test]
fn errors_quote_what_fits() {
    let own = host().link_local();
    let long = [&[0u8, 5, 0, 9, 5, 0xdc, 0, 0], &[0u8; 1492][..]].concat();
    let mut long = long;
    long.truncate(1400);
    long[4..6].copy_from_slice(&1400u16.to_be_bytes());
    let mut sum = wire::pseudo_header(v6("fe80::9"), own, protocol::UDP, 1400);
    sum.add(&long);
    long[6..8].copy_from_slice(&sum.finish().to_be_bytes());
    let frame = packet_to(&host(), v6("fe80::9"), own, protocol::UDP, &long);
    assert_eq!(expect(&frame, &[Drop::UdpNoSocket], 1)[0].len(), 14 + 1280);
    let answer = expect(&udp_to(&host(), v4(9), v4(1)), &[Drop::UdpNoSocket], 1).remove(0);
    assert_eq!(answer.len(), 14 + 576);
    assert_eq!(answer[34..36], [icmpv4::UNREACHABLE, icmpv4::CODE_PORT]);
    let answer = expect(&packet_to(&host(), v4(9), v4(1), 99, b"junk"), &[Drop::ProtocolUnknown], 1);
    assert_eq!(answer[0][34..36], [icmpv4::UNREACHABLE, icmpv4::CODE_PROTOCOL]);
}

/// H086: a flood earns a burst of errors and then 100 a second.
#[test]
fn errors_are_rate_limited() {
    let mut host = host();
    let frame = udp_to(&host, v4(9), v4(1));
    let mut flood = |now: Instant| {
        (0..200)
            .map(|_| {
                host.input(&frame, now);
                host.output(now).len()
            })
            .sum::<usize>()
    };
    assert_eq!(flood(T0), 50);
    assert_eq!(flood(T0), 0);
    assert_eq!(flood(neighbors::at(250)), 25);
    assert_eq!(flood(Instant::from_millis(99_000)), 50);
    assert_eq!(host.stack.counters().drops(Drop::IcmpRateLimit), 800 - 125);
}

/// H083, H092: an error about a packet that we can't have sent, or that quotes nonsense.
#[test]
fn foreign_errors_are_ignored() {
    let quote = |source, destination| {
        let frame = udp_to(&host(), source, destination);
        let error = icmp(v4(9), v4(1), icmpv4::UNREACHABLE, &frame[14..70]);
        packet_to(&host(), v4(9), v4(1), protocol::ICMP, &error)
    };
    expect(&quote(v4(7), v4(9)), &[Drop::IcmpForeign], 0);
    expect(&quote(v4(1), v6("224.0.0.9")), &[Drop::IcmpForeign], 0);
    expect(&quote(v4(1), v4(9)), &[Drop::IcmpForeign], 0);
    let nested = quote(v4(1), v4(9));
    for cut in [42, 50, 61, 62, 69] {
        let error = icmp(v4(9), v4(1), icmpv4::UNREACHABLE, &nested[42..cut]);
        let frame = packet_to(&host(), v4(9), v4(1), protocol::ICMP, &error);
        expect(&frame, &[Drop::IcmpMalformed], 0);
    }
}

/// H083: though a socket would hear of it, an error counts only if the packet went from an address of ours to one
/// station.
#[test]
fn a_socket_hears_of_its_own_packets_only() {
    for (source, destination, hears) in [
        (v4(1), v4(9), Err(Error::ConnectionRefused)),
        (v4(1), v6("224.0.0.9"), Err(Error::WouldBlock)),
        (v4(7), v4(9), Err(Error::WouldBlock)),
    ] {
        let mut host = host();
        let own = if source == v4(7) { v4(1) } else { source };
        let socket = host.stack.datagram_bind(DatagramKind::Udp, SocketAddr::new(own, 5), false).unwrap();
        host.stack.datagram_connect(socket, SocketAddr::new(destination, 9)).unwrap();
        let quoted = udp_to(&host, source, destination);
        let error = icmp(v4(9), v4(1), icmpv4::UNREACHABLE, &quoted[14..70]);
        let mut error = packet_to(&host, v4(9), v4(1), protocol::ICMP, &error);
        error[35] = icmpv4::CODE_PORT;
        error[37] -= icmpv4::CODE_PORT;
        host.input(&error, T0);
        let read = host.stack.datagram_receive(socket, &mut [0; 9], false, None).map(|got| got.len);
        assert_eq!(read, hears.map(|()| 0), "from {source} to {destination}");
    }
}

/// H107: NDP from beyond a router, and H105 at the level of the pipeline.
#[test]
fn ndp_is_checked() {
    let IpAddr::V6(target) = host().link_local() else { panic!() };
    let solicit =
        NeighborMessage { kind: NeighborMessageKind::Solicit, target, mac: Some(PEER), nonce: None };
    let good = ndp_to(&host(), v6("fe80::9"), target.into(), &solicit);
    expect(&good, &[], 1);
    let mut far = good.clone();
    far[21] = 254;
    expect(&far, &[Drop::NdpHopLimit], 0);
    let mut bad = good;
    bad[60] ^= 1;
    expect(&bad, &[Drop::IcmpChecksum], 0);
    let other = NeighborMessage { target: "fe80::77".parse().unwrap(), ..solicit };
    expect(&ndp_to(&host(), v6("fe80::9"), target.into(), &other), &[Drop::NdpNotForUs], 0);
    let from_nobody = ndp_to(&host(), v6("::"), v6("ff02::1"), &solicit);
    expect(&from_nobody, &[Drop::NdpMalformed], 0);
}

/// H096: a solicitation from nowhere is answered to all nodes.
#[test]
fn duplicate_detection_of_others_is_answered() {
    let IpAddr::V6(target) = host().link_local() else { panic!() };
    let probe = NeighborMessage { kind: NeighborMessageKind::Solicit, target, mac: None, nonce: None };
    let group = ip::solicited_node(target).into();
    let answer = expect(&ndp_to(&host(), Ipv6Addr::UNSPECIFIED.into(), group, &probe), &[], 1).remove(0);
    assert_eq!(answer[..6], [0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(answer[38..54], ip::addresses::ALL_NODES.octets());
    assert_eq!(answer[58] & 0x60, 0x20, "override, not solicited");
}

/// ARP with addresses that nobody can have; an address probe (RFC 5227 §2.1.1) is answered.
#[test]
fn arp_senders_are_checked() {
    let packet = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: PEER,
        sender: Ipv4Addr::new(10, 0, 0, 9),
        target_mac: Mac::default(),
        target: Ipv4Addr::new(10, 0, 0, 1),
    };
    for sender in [[127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [10, 0, 0, 255]] {
        let bad = ArpPacket { sender: sender.into(), ..packet };
        expect(&bad.emit(Mac::BROADCAST), &[Drop::ArpAddress], 0);
    }
    let group = ArpPacket { sender_mac: Mac([1, 0, 0, 0, 0, 1]), ..packet };
    let mut frame = group.emit(Mac::BROADCAST);
    frame[6] = 2;
    expect(&frame, &[Drop::ArpAddress], 0);
    let probe = ArpPacket { sender: Ipv4Addr::UNSPECIFIED, ..packet };
    expect(&probe.emit(Mac::BROADCAST), &[], 1);
    // H104: a router may have an address outside the interface's networks.
    let far = ArpPacket { sender: Ipv4Addr::new(192, 0, 2, 1), ..packet };
    expect(&far.emit(Mac::BROADCAST), &[], 1);
}

/// H201: any bytes, in any order, at every layer: no panic, bounded memory, and it still serves.
#[test]
fn garbage_does_no_harm() {
    let mut host = host();
    let own = host.link_local();
    let mut seeds = vec![
        echo_to(&host, v4(9), v4(1)),
        echo_to(&host, v6("fe80::9"), own),
        udp_to(&host, v4(9), v4(1)),
        udp_to(&host, v6("fe80::9"), own),
        chain(&[(0, &[0, 0, 1, 4, 0, 0, 0, 0]), (60, &[0, 0, 0x9e, 4, 0, 0, 0, 0])], b"junk", 58),
        packet_to(&host, v4(9), v4(1), protocol::TCP, &[0x50; 40]),
    ];
    let error = icmp(v4(9), v4(1), icmpv4::UNREACHABLE, &seeds[2][14..70]);
    seeds.push(packet_to(&host, v4(9), v4(1), protocol::ICMP, &error));
    let mut random = Random::new([5; 32]);
    let mut now = T0;
    for round in 0..40_000 {
        let mut frame = seeds[random.below(seeds.len() as u32) as usize].clone();
        for _ in 0..random.below(6) {
            let at = random.below(frame.len().min(90) as u32) as usize;
            frame[at] = random.next_u32() as u8;
        }
        if random.below(4) == 0 {
            frame.truncate(random.below(frame.len() as u32) as usize);
        }
        // Half of them get past the header checksum.
        if frame.len() >= 34 && frame[12] == 8 && frame.len() >= 14 + usize::from(frame[14] & 15) * 4 {
            fix_ipv4(&mut frame);
        }
        let cut = random.below(frame.len() as u32 + 1).max(54).min(frame.len() as u32) as usize;
        let (front, back) = frame.split_at(cut);
        host.stack.on_frame(host.id, RxFrame::plain(&[front, back]), now);
        if round % 64 == 0 {
            now += crate::time::Duration::from_millis(50);
            host.stack.on_timers(now);
            host.output(now);
            assert!(host.stack.memory().0 <= host.stack.memory().1 / 2);
        }
    }
    host.output(now);
    introduce(&mut host, now);
    for (source, destination) in [(v4(9), v4(1)), (v6("fe80::9"), own)] {
        let frame = echo_to(&host, source, destination);
        host.input(&frame, now);
        assert_eq!(host.output(now)[0].len(), frame.len());
    }
}

/// What was found out about the packet before does not outlive the addresses that it rests on.
#[test]
fn addresses_count_at_once() {
    let mut host = host();
    let frame = echo_to(&host, v4(9), v4(1));
    for _ in 0..2 {
        host.input(&frame, T0);
        assert_eq!(host.output(T0).len(), 1);
    }
    let cidr = |last| Cidr { address: v4(last), prefix_len: 24 };
    host.stack.add_address(host.id, cidr(9), T0).unwrap();
    host.input(&frame, T0);
    assert_eq!(drops(&host), [(Drop::Land, 1)]);
    host.stack.remove_address(host.id, v4(9), T0).unwrap();
    host.stack.remove_address(host.id, v4(1), T0).unwrap();
    host.input(&frame, T0);
    assert_eq!(host.stack.counters().drops(Drop::Ipv4NotForUs), 1);
    host.stack.add_address(host.id, cidr(1), T0).unwrap();
    host.input(&frame, T0);
    assert_eq!(host.stack.counters().icmp.received.packets, 4);
}
