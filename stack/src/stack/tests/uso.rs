//! Several datagrams in one frame, both ways (D05).

use core::net::SocketAddr;

use super::udp_plain::{Only, pair};
use super::*;
use crate::bytes::Bytes;
use crate::device::RxChecksum;
use crate::udp::DatagramHandle;

/// Lengths of what a socket has, and that it is what was sent: bytes that count on from datagram to datagram.
fn received(host: &mut Host, socket: DatagramHandle) -> Vec<usize> {
    let (mut lens, mut next) = (Vec::new(), 0u8);
    let mut buf = [0; 2000];
    while let Ok(received) = host.stack.datagram_receive(socket, &mut buf, false, None) {
        for byte in &buf[..received.len] {
            assert_eq!(*byte, next);
            next = next.wrapping_add(1);
        }
        lens.push(received.len);
    }
    lens
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| i as u8).collect()
}

/// A frame of one datagram made one of several: its lengths, not its checksum.
fn merged(frame: &[u8], v6: bool, payload: &[u8]) -> Vec<u8> {
    let ip = if v6 { 40 } else { 20 };
    let mut headers = frame[..14 + ip + 8].to_vec();
    let mut put =
        |at: usize, value: usize| headers[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
    put(if v6 { 18 } else { 16 }, if v6 { 8 + payload.len() } else { 28 + payload.len() });
    put(14 + ip + 4, 8 + payload.len());
    if !v6 {
        put(24, 0);
        let mut sum = crate::wire::Checksum::default();
        sum.add(&headers[14..34]);
        headers[24..26].copy_from_slice(&sum.finish().to_be_bytes());
    }
    [&headers, payload].concat()
}

/// D05: what the device merged reaches the socket as the datagrams that were sent; one that it can't be taken apart is dropped by
/// name; nothing is kept of either.
#[test]
fn merged_datagrams_reach_the_socket_one_by_one() {
    for v6 in [false, true] {
        let (mut a, mut b, client, server, to) = pair(v6);
        let plain = |a: &mut Host| {
            let Host { stack, device, id } = a;
            stack.datagram_send_at_once(client, Some(to), b"x", None, &mut Only(*id, device), T0).unwrap();
            device.sent.pop().unwrap()
        };
        let one = plain(&mut a);
        for checksum in [RxChecksum::Valid, RxChecksum::Unchecked] {
            // The second time by the short way.
            for _ in 0..2 {
                let frame = merged(&one, v6, &text(2500));
                let parts = [&frame[..300], &frame[300..]];
                let bytes = Bytes::new(&parts);
                b.stack.on_frame(b.id, RxFrame { bytes, checksum, segment_len: Some(1000) }, T0);
                let expected: &[usize] = if checksum == RxChecksum::Valid { &[1000, 1000, 500] } else { &[] };
                assert_eq!(received(&mut b, server), expected, "{v6} {checksum:?}");
            }
        }
        assert_eq!((drops(&b), b.stack.memory().0), (vec![(Drop::UdpMalformed, 2)], 0));
        assert_eq!(b.stack.counters().udp.received.packets, 1 + 6);
    }
}

/// D05: datagrams of one length to one peer go out as one frame, with one that is shorter behind them, if the device cuts them; what
/// it makes of it is what each would have been.
#[test]
fn equal_datagrams_go_out_as_one() {
    for (v6, uso) in [(false, true), (true, true), (false, false)] {
        let (mut a, mut b, client, server, to) = pair(v6);
        let other = Some(SocketAddr::new(to.ip(), 9));
        a.stack.interfaces.get_mut(a.id.0).unwrap().capabilities.uso = uso;
        a.stack.interfaces.get_mut(a.id.0).unwrap().capabilities.tx_checksum = true;
        let (bytes, to) = (text(10_000), Some(to));
        let slice = |from: usize, len: usize| &bytes[from..from + len];
        let Host { stack, device, id } = &mut a;
        // The way is known from the second datagram on.
        stack.datagram_send_at_once(client, to, b"x", None, &mut Only(*id, device), T0).unwrap();
        device.sent.clear();
        let mut sent = |batch: &[(&[u8], Option<SocketAddr>)]| {
            let count = stack.datagram_send_joined(client, batch, &mut Only(*id, device), T0);
            (count, mem::take(&mut device.sent))
        };
        let many =
            [(slice(0, 1000), to), (slice(1000, 1000), to), (slice(2000, 500), to), (slice(2500, 500), to)];
        let (count, frames) = sent(&many);
        if !uso {
            assert_eq!((count, frames.len()), (0, 0));
            continue;
        }
        assert_eq!((count, frames.len()), (3, 1));
        let parts = [&frames[0][..]];
        let segment_len = Some(1000);
        let frame = RxFrame { segment_len, checksum: RxChecksum::Valid, ..RxFrame::plain(&parts) };
        b.stack.on_frame(b.id, frame, T0);
        assert_eq!((received(&mut b, server), drops(&b)), (vec![1000, 1000, 500], vec![]));
        // To another, longer than the first, empty, alone, larger than the path: not with the first.
        for others in [(slice(0, 1000), other), (slice(0, 1001), to), (&[][..], to)] {
            assert_eq!(sent(&[(slice(0, 1000), to), others]).0, 0, "{}", others.0.len());
        }
        assert_eq!((sent(&[]).0, sent(&many[..1]).0), (0, 0));
        assert_eq!(sent(&[(slice(0, 1473), to), (slice(0, 1473), to)]).0, 0);
        // No more than pieces of a frame, and bytes of a packet.
        assert_eq!(sent(&[many[0]; 100]).0, 34);
        assert_eq!(sent(&[(slice(0, 1), to); 100]).0, 34);
        let mss = if v6 { 1452 } else { 1472 };
        let (count, frames) = sent(&[(slice(0, mss), to); 100]);
        assert!(frames[0].len() - 14 <= 65_535 && count <= 45, "{count}");
        assert_eq!(a.stack.counters().udp.sent.packets, 2 + 3 + 34 + 34 + count as u64);
        a.device.refuses = true;
        let Host { stack, device, id } = &mut a;
        assert_eq!(stack.datagram_send_joined(client, &many, &mut Only(*id, device), T0), 0);
    }
}
