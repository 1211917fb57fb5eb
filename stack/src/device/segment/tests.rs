use core::net::IpAddr;
use std::vec::Vec;

use super::*;
use crate::device::{Mac, RxFrame};
use crate::wire::{HEADERS_LEN_MAX, IpHeader, LinkPath, emit_headers, pseudo_header};

struct Taker {
    capabilities: Capabilities,
    frames: Vec<(Vec<u8>, TxOffload)>,
    room: usize,
}

impl Device for Taker {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    fn receive(&mut self, _sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if self.frames.len() == self.room {
            return Err(TxError::Full);
        }
        let bytes = [frame.header, &frame.payload.concat()].concat();
        self.frames.push((bytes, frame.offload));
        Ok(())
    }
}

fn taker(capabilities: impl Fn(Capabilities) -> Capabilities) -> Taker {
    let plain = Capabilities::new(Mac([2, 0, 0, 0, 0, 1]), 1500);
    Taker { capabilities: capabilities(plain), frames: Vec::new(), room: usize::MAX }
}

/// A packet of 3000 bytes in pieces of odd lengths, sequence number just below the wrap, flags
/// CWR, ACK, PSH and FIN.
fn packet(v6: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
    let address = |last: u8| -> IpAddr {
        if v6 {
            [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last].into()
        } else {
            [10, 0, 0, last].into()
        }
    };
    let link = LinkPath { source: Mac([2, 0, 0, 0, 0, 1]), destination: Mac([2, 0, 0, 0, 0, 2]) };
    let mut headers = [0; HEADERS_LEN_MAX];
    let ip = IpHeader { ident: 0xffff, ..IpHeader::new(address(1), address(2), protocol::TCP, 3020) };
    let len = emit_headers(&mut headers, &link, &ip);
    let tcp = [0, 7, 0, 9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 0x50, 0x99, 1, 0, 0, 0, 0, 0];
    let bytes: Vec<u8> = (0..3000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    let pieces = [0..1, 1..1000, 1000..1003, 1003..2999, 2999..3000];
    ([&headers[..len], &tcp].concat(), pieces.map(|r| bytes[r].to_vec()).to_vec())
}

fn send(device: &mut Taker, v6: bool, mss: u16) -> Result<usize, TxError> {
    let (mut header, pieces) = packet(v6);
    let payload: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let transport = header.len() - 20;
    transmit(device, TcpFrame { header: &mut header, transport, payload: &payload, mss })
}

/// Payload and flags of a frame whose lengths and checksums are right.
fn checked(frame: &[u8], v6: bool) -> (u32, u8, Vec<u8>) {
    let (ip, tcp) = frame[14..].split_at(if v6 { 40 } else { 20 });
    let (source, destination): (IpAddr, IpAddr) = if v6 {
        assert_eq!(usize::from(get_u16(ip, 4)), tcp.len());
        (<[u8; 16]>::try_from(&ip[8..24]).unwrap().into(), <[u8; 16]>::try_from(&ip[24..]).unwrap().into())
    } else {
        assert_eq!(usize::from(get_u16(ip, 2)), 20 + tcp.len());
        let mut sum = Checksum::default();
        sum.add(ip);
        assert!(sum.is_valid());
        (<[u8; 4]>::try_from(&ip[12..16]).unwrap().into(), <[u8; 4]>::try_from(&ip[16..]).unwrap().into())
    };
    let mut sum = pseudo_header(source, destination, protocol::TCP, tcp.len());
    sum.add(tcp);
    assert!(sum.is_valid());
    (u32::from_be_bytes(tcp[4..8].try_into().unwrap()), tcp[13], tcp[20..].to_vec())
}

#[cfg(feature = "offload")]
#[test]
fn a_plain_device_gets_one_segment_a_frame() {
    for v6 in [false, true] {
        let mut device = taker(|c| c);
        assert_eq!(send(&mut device, v6, 1460), Ok(3000));
        let parts: Vec<_> = device.frames.iter().map(|(f, _)| checked(f, v6)).collect();
        assert_eq!(parts.iter().map(|p| p.0).collect::<Vec<_>>(), [0xffff_ff00, 0x4b4, 0xa68]);
        assert_eq!(parts.iter().map(|p| p.1).collect::<Vec<_>>(), [0x90, 0x10, 0x19]);
        let all: Vec<u8> = parts.into_iter().flat_map(|p| p.2).collect();
        assert_eq!(all, packet(v6).1.concat());
        if !v6 {
            let idents = device.frames.iter().map(|(f, _)| get_u16(f, 18));
            assert_eq!(idents.collect::<Vec<_>>(), [0xffff, 0, 1]);
        }
    }
}

/// Decide, then commit: what a full device did not take has not happened.
#[cfg(feature = "offload")]
#[test]
fn a_full_device_takes_a_part() {
    for (room, taken) in [(0, Err(TxError::Full)), (1, Ok(1000)), (2, Ok(2000)), (3, Ok(3000))] {
        let mut device = taker(|c| c);
        device.room = room;
        assert_eq!(send(&mut device, false, 1000), taken);
    }
}

#[cfg(feature = "offload")]
#[test]
fn offloads_are_requested() {
    for v6 in [false, true] {
        let mut device = taker(|c| c.with_tx_checksum());
        assert_eq!(send(&mut device, v6, 1460), Ok(3000));
        assert_eq!(device.frames.len(), 3);
        let (frame, offload) = &device.frames[0];
        let start = frame.len() as u16 - 1480;
        assert_eq!(offload.checksum, Some(ChecksumRequest { start, offset: 16 }));
        assert_eq!(offload.segment, None);
        // The device sums from the TCP header on, over the pseudo-header's sum in the field.
        let mut finished = frame.clone();
        let mut sum = Checksum::default();
        sum.add(&frame[start.into()..]);
        put_u16(&mut finished, usize::from(start) + 16, sum.finish());
        checked(&finished, v6);

        let mut device = taker(|c| c.with_tso(65535, 65535));
        assert_eq!(send(&mut device, v6, 1460), Ok(3000));
        let [(frame, offload)] = &device.frames[..] else { panic!() };
        assert_eq!(frame.len(), packet(v6).0.len() + 3000);
        assert_eq!(offload.segment, Some(SegmentRequest { v6, udp: false, segment_len: 1460 }));
    }
}

/// A device whose limit is below the packet gets it in whole segments.
#[cfg(feature = "offload")]
#[test]
fn a_small_limit_is_kept() {
    let mut device = taker(|c| c.with_tso(2500, 2500));
    assert_eq!(send(&mut device, false, 1000), Ok(3000));
    let lens: Vec<_> = device.frames.iter().map(|(f, o)| (f.len() - 54, o.segment.is_some())).collect();
    assert_eq!(lens, [(2000, true), (1000, false)]);
}

#[test]
fn a_bare_acknowledgment_is_one_frame() {
    let (mut header, _) = packet(false);
    // Its IP header is taken as it is.
    put_u16(&mut header, 16, 40);
    put_u16(&mut header, 24, 0);
    let mut sum = Checksum::default();
    sum.add(&header[14..34]);
    put_u16(&mut header, 24, sum.finish());
    let mut device = taker(|c| c);
    let mut send = |device: &mut Taker| {
        let frame = TcpFrame { header: &mut header, transport: 34, payload: &[], mss: 1460 };
        transmit(device, frame)
    };
    assert_eq!(send(&mut device), Ok(0));
    assert_eq!(checked(&device.frames[0].0, false).1, 0x99);
    device.room = 1;
    assert_eq!(send(&mut device), Err(TxError::Full));
}

/// Whatever a device says that it takes, no length field overflows.
#[cfg(feature = "offload")]
#[test]
fn no_packet_is_longer_than_its_length_field() {
    let bytes = std::vec![7; 300_000];
    for v6 in [false, true] {
        let send = |device: &mut Taker, mss, len| {
            let (mut header, _) = packet(v6);
            let transport = header.len() - 20;
            let payload: [&[u8]; 1] = [&bytes[..len]];
            transmit(device, TcpFrame { header: &mut header, transport, payload: &payload, mss })
        };
        let mut device = taker(|c| c.with_tso(u32::MAX, u32::MAX));
        assert_eq!(send(&mut device, 1460, 300_000), Ok(300_000));
        assert!(device.frames.iter().all(|(frame, _)| frame.len() <= 14 + 65_535));
        let text = |(frame, _): &(Vec<u8>, TxOffload)| {
            let length = usize::from(get_u16(frame, if v6 { 18 } else { 16 }));
            assert_eq!(length + if v6 { 54 } else { 14 }, frame.len());
            length
        };
        assert!(device.frames.iter().map(text).max() > Some(60_000));
        let most = if v6 { 65_475 } else { 65_495 };
        assert_eq!(send(&mut device, most, 300_000), Ok(300_000));
        assert_eq!(send(&mut device, most + 1, 300_000), Err(TxError::Refused));
    }
}

/// Without the feature `offload` a device is asked for nothing, whatever it can: the checksum is right, and what is longer
/// than a segment is refused.
#[cfg(not(feature = "offload"))]
#[test]
fn nothing_is_requested_without_offload() {
    for v6 in [false, true] {
        let mut device = taker(|plain| Capabilities { mtu: 9000, ..plain.with_tso(65_535, 65_535) });
        assert_eq!(send(&mut device, v6, 3000), Ok(3000));
        let (frame, offload) = &device.frames[0];
        assert_eq!((*offload, checked(frame, v6).2.len()), (TxOffload::default(), 3000));
        assert_eq!(send(&mut device, v6, 2999), Err(TxError::Refused));
    }
}
