use super::*;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::Mac;
use core::net::{Ipv4Addr, Ipv6Addr};

const LINK: LinkPath = LinkPath { source: Mac([2, 0, 0, 0, 0, 1]), destination: Mac([2, 0, 0, 0, 0, 2]) };

fn v4(payload_len: usize) -> [u8; HEADERS_LEN_MAX] {
    let mut buf = [0; HEADERS_LEN_MAX];
    let source = Ipv4Addr::new(10, 0, 0, 1).into();
    let destination = Ipv4Addr::new(10, 0, 0, 2).into();
    let header = IpHeader::new(source, destination, protocol::UDP, payload_len);
    assert_eq!(emit_headers(&mut buf, &LINK, &header), 34);
    buf
}

fn parse_v4(packet: &[u8]) -> Result<Ipv4Header, Drop> {
    Ipv4Header::parse(Bytes::new(&[packet]))
}

/// Puts a right checksum into an IPv4 header.
fn fix(packet: &mut [u8], header_len: usize) {
    packet[10..12].fill(0);
    let mut sum = Checksum::default();
    sum.add(&packet[..header_len]);
    packet[10..12].copy_from_slice(&sum.finish().to_be_bytes());
}

#[test]
fn what_is_emitted_is_parsed() {
    let buf = v4(20);
    let ethernet = EthernetHeader::parse(&buf, 0).unwrap();
    assert_eq!(ethernet.source, LINK.source);
    assert_eq!(ethernet.kind, EtherType::Ipv4);
    let header = parse_v4(&buf[14..]).unwrap();
    assert_eq!((header.header_len, header.total_len), (20, 40));
    assert_eq!((header.protocol, header.hop_limit), (protocol::UDP, 64));

    let mut buf = [0; HEADERS_LEN_MAX];
    let (source, destination) = (Ipv6Addr::LOCALHOST, "fe80::1".parse().unwrap());
    let header = IpHeader::new(source.into(), IpAddr::V6(destination), protocol::TCP, 0);
    assert_eq!(emit_headers(&mut buf, &LINK, &header), 54);
    let parts: [&[u8]; 1] = [&buf[14..]];
    let header = Ipv6Header::parse(Bytes::new(&parts)).unwrap();
    assert_eq!((header.source, header.destination), (source, destination));
    assert_eq!((header.next_header, header.payload_len), (protocol::TCP, 0));
}

/// H064: every length is checked before the byte that it covers is read.
#[test]
fn ipv4_lengths_are_checked() {
    let frame = v4(20);
    let mut packet = [0; 40];
    packet[..20].copy_from_slice(&frame[14..34]);
    for len in 0..40 {
        assert_eq!(parse_v4(&packet[..len]), Err(Drop::Ipv4Malformed));
    }
    for ihl in [0, 4, 11, 15] {
        let mut bad = packet;
        bad[0] = 0x40 | ihl;
        assert_eq!(parse_v4(&bad), Err(Drop::Ipv4Malformed), "IHL {ihl}");
    }
    let mut bad = packet;
    bad[3] = 19;
    assert_eq!(parse_v4(&bad), Err(Drop::Ipv4Malformed));
    bad[3] = 40;
    bad[8] ^= 1;
    assert_eq!(parse_v4(&bad), Err(Drop::Ipv4Checksum));
}

/// H071: a source route is seen, finished or not, wherever it lies among the options.
#[test]
fn source_routes_are_seen() {
    let with_options = |options: [u8; 8]| {
        let mut packet = [0; 28];
        packet[..20].copy_from_slice(&v4(0)[14..34]);
        packet[0] = 0x47;
        packet[3] = 28;
        packet[20..].copy_from_slice(&options);
        fix(&mut packet, 28);
        parse_v4(&packet).unwrap().source_routed
    };
    assert!(!with_options([1, 1, 1, 1, 0, 0, 0, 0]));
    assert!(with_options([1, 131, 7, 4, 10, 0, 0, 9]));
    assert!(with_options([1, 131, 7, 8, 10, 0, 0, 9]), "finished");
    assert!(with_options([137, 7, 8, 10, 0, 0, 9, 1]), "strict, finished");
    assert!(!with_options([148, 4, 0, 0, 0, 0, 0, 0]));
    assert!(with_options([148, 1, 0, 0, 0, 0, 0, 0]), "malformed");
}

#[test]
fn arp_there_and_back() {
    let packet = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: LINK.source,
        sender: Ipv4Addr::new(10, 0, 0, 1),
        target_mac: Mac::default(),
        target: Ipv4Addr::new(10, 0, 0, 2),
    };
    let frame = packet.emit(Mac::BROADCAST);
    assert_eq!(EthernetHeader::parse(&frame, 0).unwrap().kind, EtherType::Arp);
    assert_eq!(ArpPacket::parse(&frame[14..]), Ok(packet));
    for len in 0..28 {
        assert_eq!(ArpPacket::parse(&frame[14..14 + len]), Err(Drop::ArpMalformed));
    }
}

fn advert() -> (NeighborMessage, [u8; NDP_LEN_MAX]) {
    let message = NeighborMessage {
        kind: NeighborMessageKind::Advert { router: false, solicited: true, override_known: true },
        target: "fe80::1".parse().unwrap(),
        mac: Some(LINK.source),
        nonce: None,
    };
    let mut buf = [0; NDP_LEN_MAX];
    assert_eq!(message.emit(&mut buf), 32);
    (message, buf)
}

/// H105: an option of length zero, or one that runs past the end, spoils the message.
#[test]
fn ndp_options_are_bounded() {
    let (message, buf) = advert();
    assert_eq!(NeighborMessage::parse(&buf), Ok(message));
    for len in 0..32 {
        let parsed = NeighborMessage::parse(&buf[..len]);
        match len {
            24 => assert_eq!(parsed.unwrap().mac, None),
            _ => assert_eq!(parsed, Err(Drop::NdpMalformed), "{len} bytes"),
        }
    }
    for units in [0, 2, 255] {
        let mut bad = buf;
        bad[25] = units;
        assert_eq!(NeighborMessage::parse(&bad), Err(Drop::NdpMalformed));
    }
}

/// H106: an option that does not belong there is skipped, even if it is malformed for its kind.
#[test]
fn ndp_options_that_do_not_belong_are_skipped() {
    let (message, buf) = advert();
    for kind in [1, 3, 4, 5, 200] {
        let mut long = [0; 40];
        long[..24].copy_from_slice(&buf[..24]);
        long[24..26].copy_from_slice(&[kind, 1]);
        long[32..].copy_from_slice(&buf[24..]);
        assert_eq!(NeighborMessage::parse(&long), Ok(message), "option {kind}");
    }
}

#[test]
fn ipv6_options_ask_for_what_their_highest_bits_say() {
    let check = |content: &[u8]| check_options(content);
    assert_eq!(check(&[1, 4, 0, 0, 0, 0]), Ok(OptionVerdict::Proceed));
    assert_eq!(check(&[0, 0, 5, 2, 0, 0]), Ok(OptionVerdict::Proceed));
    assert_eq!(check(&[0x3e, 4, 0, 0, 0, 0]), Ok(OptionVerdict::Proceed));
    assert_eq!(check(&[0x7e, 4, 0, 0, 0, 0]), Ok(OptionVerdict::Discard));
    let report = |at, even_to_group| Ok(OptionVerdict::Report { at, even_to_group });
    assert_eq!(check(&[0xbe, 4, 0, 0, 0, 0]), report(0, true));
    assert_eq!(check(&[0, 0xfe, 3, 0, 0, 0]), report(1, false));
    assert_eq!(check(&[1, 5, 0, 0, 0, 0]), Err(Drop::Ipv6Extension));
}

/// A datagram with the checksum of its own emission is valid, and no sum is sent as zero.
#[test]
fn udp_checksums() {
    let (a, b) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
    for first in 0..=255u8 {
        for second in [0, 1, 77, 255] {
            let payload = [first, second, 3];
            let header = UdpHeader::emit((7, 9), a, b, Bytes::new(&[&payload[..]]));
            assert_ne!(&header[6..], [0, 0]);
            let mut sum = pseudo_header(a, b, protocol::UDP, 11);
            sum.add(&header);
            sum.add(&payload);
            assert!(sum.is_valid());
            let parts: [&[u8]; 2] = [&header, &payload];
            let parsed = UdpHeader::parse(Bytes::new(&parts)).unwrap();
            assert_eq!((parsed.source, parsed.destination, parsed.len), (7, 9, 11));
        }
    }
}
