//! One of our devices under smoltcp.

use ::smoltcp::phy::{Device as _, RxToken as _, TxToken as _};
use barenet::bytes::Bytes;
use barenet::device::{Capabilities, RxFrame};
use etherparse::PacketBuilder;

use super::*;
use crate::adapters::smoltcp::UnderSmoltcp;

#[derive(Default)]
struct Ours {
    incoming: VecDeque<(Vec<u8>, RxChecksum)>,
    sent: Vec<Vec<u8>>,
    room: usize,
}

impl Device for Ours {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2; 6]), 1400)
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some((frame, checksum)) = self.incoming.pop_front() else { return false };
        let (head, tail) = frame.split_at(frame.len() / 2);
        sink(RxFrame { bytes: Bytes::new(&[head, tail]), checksum, segment_len: None });
        true
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        self.room = self.room.checked_sub(1).ok_or(TxError::Full)?;
        self.sent.push(frame.header.to_vec());
        Ok(())
    }
}

const NOW: ::smoltcp::time::Instant = ::smoltcp::time::Instant::ZERO;

fn frames() -> [Vec<u8>; 3] {
    let ether = || PacketBuilder::ethernet2([4; 6], [2; 6]);
    let mut frames = [const { Vec::new() }; 3];
    ether().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1, 2, 3, 4).write(&mut frames[0], b"text").unwrap();
    ether().ipv6([1; 16], [2; 16], 64).udp(1, 2).write(&mut frames[1], b"datagram").unwrap();
    ether()
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .icmpv4_echo_request(1, 2)
        .write(&mut frames[2], b"ping")
        .unwrap();
    frames
}

/// Partial checksums are completed, wrong ones never get there, and what has none stays.
#[test]
fn our_device_under_smoltcp_gives_frames_that_it_can_check() {
    let right = frames();
    let mut partial = right.clone();
    partial[0][50..52].fill(0xab);
    partial[1][60..62].fill(0xcd);
    let bad = (vec![9; 60], RxChecksum::Bad);
    let valid = partial.into_iter().map(|frame| (frame, RxChecksum::Valid));
    let incoming = [bad.clone()].into_iter().chain(valid).chain([bad]).collect();
    let mut device = UnderSmoltcp::new(Ours { incoming, room: 9, ..Ours::default() });
    assert_eq!(device.capabilities().max_transmission_unit, 1414);
    for frame in &right {
        let (received, _) = device.receive(NOW).unwrap();
        received.consume(|bytes| assert_eq!(bytes, frame));
    }
    assert!(device.receive(NOW).is_none());
}

/// A frame for which there is no room waits, and nothing else is taken in or out before it.
#[test]
fn our_device_under_smoltcp_keeps_what_did_not_fit() {
    let incoming = [(frames()[0].clone(), RxChecksum::Unchecked)].into();
    let mut device = UnderSmoltcp::new(Ours { incoming, room: 1, ..Ours::default() });
    for n in 0..2 {
        device.transmit(NOW).unwrap().consume(60, |frame| frame.fill(n));
    }
    assert!(device.transmit(NOW).is_none() && device.receive(NOW).is_none());
    device.device().room = 2;
    let (received, answer) = device.receive(NOW).unwrap();
    received.consume(|_| answer.consume(60, |frame| frame.fill(2)));
    let sent = &device.device().sent;
    assert_eq!(sent.iter().map(|frame| frame[0]).collect::<Vec<_>>(), [0, 1, 2]);
}
