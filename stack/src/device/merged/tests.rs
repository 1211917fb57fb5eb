use super::*;
use crate::wire::{Ipv4Header, UdpHeader};
use core::net::IpAddr;
use std::vec::Vec;

/// Headers of a frame up to UDP's, whose lengths are those of `payload` bytes: the kinds that there are.
fn headers(kind: Kind, payload: usize) -> Vec<u8> {
    let mut frame = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
    if kind == Kind::Tagged {
        frame.extend([0x81, 0, 0, 5]);
    }
    let put = |frame: &mut Vec<u8>, at: usize, len: usize| {
        frame[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
    };
    match kind {
        Kind::V6 | Kind::V6Options => {
            let options = if kind == Kind::V6Options { 8 } else { 0 };
            let next = if options > 0 { 0 } else { protocol::UDP };
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next, 64]);
            frame.extend([1; 32]);
            put(&mut frame, 18, options + UDP_LEN + payload);
            frame.extend(&[protocol::UDP, 0, 1, 4, 0, 0, 0, 0][..options]);
        }
        _ => {
            let options = if kind == Kind::V4Options { 4 } else { 0 };
            frame.extend([8, 0]);
            let ip = frame.len();
            frame.extend([0x45 + options as u8 / 4, 0, 0, 0, 0xff, 0xfe, 0x40, 0, 64, protocol::UDP, 0, 0]);
            frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
            frame.extend(&[1; 4][..options]);
            put(&mut frame, ip + 2, 20 + options + UDP_LEN + payload);
            let mut sum = Checksum::default();
            sum.add(&frame[ip..]);
            let sum = sum.finish();
            put(&mut frame, ip + 10, sum.into());
        }
    }
    frame.extend([0, 5, 0, 7]);
    let len = frame.len();
    frame.extend([0; 4]);
    put(&mut frame, len, UDP_LEN + payload);
    put(&mut frame, len + 2, 0x1234);
    frame
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    V4,
    V4Options,
    V6,
    V6Options,
    Tagged,
}

/// What comes of a frame: the parts, or the answer alone.
fn parts(frame: &RxFrame<'_>) -> (Option<usize>, Vec<Vec<u8>>) {
    let mut parts = Vec::new();
    let count = split(frame, &mut |part| {
        assert_eq!((part.checksum, part.segment_len), (RxChecksum::Valid, None));
        parts.push(part.bytes.chunks().collect::<Vec<_>>().concat());
    });
    (count, parts)
}

/// D05: each datagram has its bytes, its lengths, and a header that is right, whatever lies before it and in how many pieces.
#[test]
fn merged_datagrams_are_taken_apart() {
    use Kind::*;
    for kind in [V4, V4Options, V6, V6Options, Tagged] {
        for (len, each, cut) in
            [(3000, 1000, 1500), (3001, 1000, 1), (2999, 1000, 2900), (128, 1, 64), (1001, 1000, 500)]
        {
            let payload: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let head = headers(kind, len);
            // Padding behind the packet is no part of it.
            let front = [&head[..], &payload[..cut]].concat();
            let pieces = [&front[..], &payload[cut..], &[9; 7]];
            let frame =
                RxFrame { bytes: Bytes::new(&pieces), checksum: RxChecksum::Valid, segment_len: Some(each) };
            let (count, parts) = parts(&frame);
            let each = usize::from(each);
            assert_eq!(
                (count, parts.len()),
                (Some(len.div_ceil(each)), len.div_ceil(each)),
                "{kind:?} {len}"
            );
            for (n, (part, text)) in parts.iter().zip(payload.chunks(each)).enumerate() {
                let own = headers(kind, text.len());
                assert_eq!(part.len(), own.len() + text.len());
                assert_eq!(&part[own.len()..], text);
                let ip = if kind == Tagged { 18 } else { 14 };
                let (mut same, mut expected) = (part[..own.len()].to_vec(), own);
                if kind != V6 && kind != V6Options {
                    let header = Ipv4Header::parse(Bytes::new(&[&part[ip..]])).expect("a right header");
                    assert_eq!(IpAddr::from(header.source), IpAddr::from([10, 0, 0, 1]));
                    assert_eq!(part[ip + 4..ip + 6], 0xfffe_u16.wrapping_add(n as u16).to_be_bytes());
                    for at in [4, 5, 10, 11].map(|at| ip + at) {
                        (same[at], expected[at]) = (0, 0);
                    }
                }
                assert_eq!(same, expected, "{kind:?} {len} {n}");
                let udp = UdpHeader::parse(Bytes::new(&[&part[same.len() - UDP_LEN..]])).expect("a datagram");
                assert_eq!(udp.len, UDP_LEN + text.len());
            }
        }
    }
}

/// H201: what is no several datagrams is left alone; what can't be taken apart for sure is nobody's.
#[test]
fn senseless_lengths_are_refused() {
    let good = headers(Kind::V4, 2000);
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    let long = headers(Kind::V4, 300);
    let fragment = with(20, 0x20);
    type Case<'c> = (&'c [u8], usize, Option<u16>, RxChecksum, Option<usize>);
    let cases: [Case<'_>; 9] = [
        (&good, 2000, None, RxChecksum::Valid, None),
        (&good, 2000, Some(0), RxChecksum::Valid, None),
        (&good, 2000, Some(2000), RxChecksum::Valid, None),
        (&with(23, protocol::TCP), 2000, Some(1000), RxChecksum::Valid, None),
        (&fragment, 2000, Some(1000), RxChecksum::Valid, None),
        (&with(14, 0x44), 2000, Some(1000), RxChecksum::Valid, None),
        (&good, 2000, Some(1000), RxChecksum::Unchecked, Some(0)),
        (&good, 1999, Some(1000), RxChecksum::Valid, Some(0)),
        (&long, 300, Some(2), RxChecksum::Valid, Some(0)),
    ];
    for (n, (head, len, segment_len, checksum, expected)) in cases.into_iter().enumerate() {
        let whole = [head, &[7; 2000][..len]].concat();
        let pieces = [&whole[..]];
        let frame = RxFrame { bytes: Bytes::new(&pieces), checksum, segment_len };
        assert_eq!(parts(&frame), (expected, Vec::new()), "case {n}");
        // However little of it is there.
        for end in 0..head.len() + 1 {
            let pieces = [&whole[..end]];
            let frame = RxFrame { bytes: Bytes::new(&pieces), checksum, segment_len };
            assert!(parts(&frame).1.is_empty(), "case {n}, {end} bytes");
        }
    }
}
