use super::*;
use crate::middleware::memory::Memory;
use barenet::device::{ChecksumRequest, RxChecksum, TxOffload};
use std::vec::Vec;

const FRAMES: u32 = 20_000;

fn rates(loss: u32, duplicate: u32, reorder: u32, corrupt: u32) -> Rates {
    Rates { loss, duplicate, reorder, corrupt }
}

/// Frame number `n`: 14 bytes of zero, then the number.
fn frame(n: u32) -> Vec<u8> {
    [&[0; 14], &n.to_be_bytes()[..]].concat()
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..].try_into().unwrap())
}

/// What arrives of all frames, as numbers.
fn receive(seed: u64, rates: Rates) -> (Vec<u32>, Counts) {
    let mut memory = Memory::new();
    memory.incoming.extend((0..FRAMES).map(frame));
    let mut faults = Faults::new(memory, seed).receiving(rates);
    let mut got = Vec::new();
    while faults.receive(&mut |f| got.push(number(&f.bytes.chunks().collect::<Vec<_>>().concat())))
        || !faults.arm()
    {}
    (got, faults.received())
}

/// What is sent of all frames, as numbers.
fn transmit(seed: u64, rates: Rates) -> (Vec<u32>, Counts) {
    let mut faults = Faults::new(Memory::new(), seed).transmitting(rates);
    for n in 0..FRAMES {
        let bytes = frame(n);
        let frame = TxFrame { header: &bytes[..14], payload: &[&bytes[14..]], offload: TxOffload::default() };
        assert_eq!(faults.transmit(frame), Ok(()));
    }
    while !faults.arm() {}
    let counts = faults.transmitted();
    let sent = faults.into_inner().sent;
    (sent.iter().map(|(f, _)| number(f)).collect(), counts)
}

#[test]
fn without_rates_nothing_happens() {
    let all: Vec<u32> = (0..FRAMES).collect();
    for (got, counts) in [receive(1, Rates::default()), transmit(1, Rates::default())] {
        assert_eq!(got, all);
        let seen = u64::from(FRAMES);
        assert_eq!(counts, Counts { seen, ..Counts::default() });
    }
}

#[test]
fn a_seed_decides_all() {
    let rates = rates(20_000, 20_000, 20_000, 0);
    for run in [receive, transmit] {
        assert_eq!(run(7, rates), run(7, rates));
        assert_ne!(run(7, rates).0, run(8, rates).0);
    }
}

#[test]
fn each_fault_strikes_as_often_as_asked() {
    // 2 % of 20,000 are 400; the counts of a binomial distribution stay within 5 sigma, 100.
    let near = |count: u64| (300..500).contains(&count);
    for run in [receive, transmit] {
        let (got, counts) = run(3, rates(20_000, 20_000, 20_000, 0));
        assert!(near(counts.lost) && near(counts.duplicated) && near(counts.reordered));
        let expected = u64::from(FRAMES) - counts.lost + counts.duplicated;
        assert_eq!(got.len() as u64, expected, "{counts:?}");
    }
}

#[test]
fn a_delayed_frame_is_overtaken_by_a_few() {
    for run in [receive, transmit] {
        let (got, counts) = run(5, rates(0, 0, 20_000, 0));
        assert_eq!(got.len() as u32, FRAMES);
        let late = got.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        assert!(late > 0 && late <= counts.reordered);
        for (at, &n) in got.iter().enumerate() {
            assert!((at as u32).abs_diff(n) <= 2 * REORDER_MAX, "{n} at {at}");
        }
    }
}

/// The offload contract: what is corrupted can be found out by the receiver.
#[test]
fn a_corrupted_frame_has_a_wrong_checksum() {
    let mut memory = Memory::new();
    memory.incoming.push_back(frame(1));
    let always = rates(0, 0, 0, 1_000_000);
    let mut faults = Faults::new(memory, 1).receiving(always).transmitting(always);
    assert_eq!(faults.capabilities().tso4, 0, "segments are cut behind this layer");
    assert!(faults.capabilities().tx_checksum);
    assert!(faults.receive(&mut |f| assert_eq!(f.checksum, RxChecksum::Unchecked)));

    let bytes = [1, 2, 3, 4, 0, 0, 9];
    let request = ChecksumRequest { start: 2, offset: 2 };
    let offload = TxOffload { checksum: Some(request), segment: None };
    for _ in 0..100 {
        let sent = TxFrame { header: &bytes[..6], payload: &[&bytes[6..]], offload };
        assert_eq!(faults.transmit(sent), Ok(()));
    }
    for (f, offload) in faults.into_inner().sent {
        assert_eq!(offload, TxOffload::default());
        let words = [[f[2], f[3]], [f[4], f[5]], [f[6], 0]].map(u16::from_be_bytes);
        let sum: u32 = words.into_iter().map(u32::from).sum();
        let right = (sum & 0xffff) + (sum >> 16) == 0xffff;
        // The first two bytes are not summed.
        assert_eq!(right, f[..2] != [1, 2], "{f:?}");
    }
}

#[test]
fn a_frame_that_finds_no_room_meets_the_same_fate_later() {
    let rates = rates(200_000, 0, 0, 0);
    let (expected, _) = transmit(11, rates);
    let mut memory = Memory::new();
    memory.room = 0;
    let mut faults = Faults::new(memory, 11).transmitting(rates);
    for n in 0..FRAMES {
        let bytes = frame(n);
        let frame = TxFrame { header: &bytes, payload: &[], offload: TxOffload::default() };
        while faults.transmit(frame) == Err(TxError::Full) {
            faults.device.room = 1;
        }
    }
    let sent = faults.into_inner().sent;
    let numbers: Vec<u32> = sent.iter().map(|(f, _)| number(f)).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn healed_it_leaves_all_alone() {
    let mut faults = Faults::new(Memory::new(), 1).transmitting(rates(1_000_000, 0, 0, 0));
    let frame = TxFrame { header: &frame(1), payload: &[], offload: TxOffload::default() };
    assert_eq!(faults.transmit(frame), Ok(()));
    faults.heal();
    assert_eq!(faults.transmit(frame), Ok(()));
    assert_eq!((faults.transmitted().lost, faults.into_inner().sent.len()), (1, 1));
}
