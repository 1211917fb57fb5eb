//! Which packets get a checksum, and that it is right.

use std::vec::Vec;

use super::*;

/// IPv4 with 4 bytes of options, or IPv6, around a segment whose checksum is that of the pseudo-header.
fn packet(is_v4: bool, next: u8, len: usize) -> (Vec<u8>, usize) {
    let mut segment: Vec<u8> = (0..len as u8).collect();
    let at = if next == protocol::TCP { 16 } else { 6 };
    segment[at..at + 2].fill(0x77);
    let mut header = match is_v4 {
        true => {
            [&[0x46, 0, 0, (24 + len) as u8, 0, 0, 0x40, 0, 64, next, 0, 0][..], &[10; 4], &[11; 4], &[1; 4]]
                .concat()
        }
        false => [&[0x60, 0, 0, 0, 0, len as u8, next, 64][..], &[12; 16], &[13; 16]].concat(),
    };
    let offset = header.len();
    header.extend(segment);
    (header, offset)
}

fn whole(packet: &[u8], checksum: RxChecksum) -> Vec<u8> {
    let (front, rest) = packet.split_at(packet.len().min(80));
    let parts = [front, rest];
    let head = Head::of_frame(checksum, Bytes::new(&parts));
    let (head, rest) = head.split(Bytes::new(&parts), 0);
    let mut all = head.to_vec();
    rest.chunks().for_each(|chunk| all.extend(chunk));
    all
}

/// H210: what the device calls valid has a checksum that a program can check; padding of the frame stays outside.
#[test]
fn checksum_of_a_packet_that_crossed_no_wire_is_completed() {
    for (is_v4, next, len) in [
        (true, protocol::UDP, 8),
        (true, protocol::TCP, 93),
        (false, protocol::UDP, 101),
        (false, protocol::TCP, 20),
    ] {
        let (mut packet, offset) = packet(is_v4, next, len);
        let end = packet.len();
        packet.extend([0xee; 9]);
        let completed = whole(&packet, RxChecksum::Valid);
        let (source, destination) = match is_v4 {
            true => (IpAddr::from([10; 4]), IpAddr::from([11; 4])),
            false => ([12; 16].into(), [13; 16].into()),
        };
        let mut sum = pseudo_header(source, destination, next, len);
        sum.add(&completed[offset..end]);
        assert!(sum.is_valid() && completed.len() == packet.len());
        assert_eq!(completed[end..], packet[end..]);
        assert_eq!(whole(&packet, RxChecksum::Unchecked), packet, "what crossed a wire is as it came");
    }
}

/// A fragment, a datagram without a checksum, other protocols and packets that are cut anywhere stay as they are.
#[test]
fn packet_without_a_checksum_of_its_own_stays() {
    let (udp, offset) = packet(true, protocol::UDP, 40);
    let mut none = udp.clone();
    none[offset + 6..offset + 8].fill(0);
    let mut fragment = udp.clone();
    fragment[6] = 0x20;
    let (icmp, _) = packet(true, protocol::ICMP, 40);
    for packet in [none, fragment, icmp] {
        assert_eq!(whole(&packet, RxChecksum::Valid), packet);
    }
    for is_v4 in [true, false] {
        let (tcp, offset) = packet(is_v4, protocol::TCP, 30);
        for len in 0..offset + 18 {
            assert_eq!(whole(&tcp[..len], RxChecksum::Valid), tcp[..len]);
        }
    }
}
