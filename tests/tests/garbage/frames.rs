//! The frames that it begins with, and what makes a frame look as if it were for us.

use super::{OURS, PEER};
use barenet::device::Mac;
use barenet_tests::sim::Random;
use std::path::{Path, PathBuf};

/// Makes a frame look as if it were for us, for the most part, and its checksums right.
pub(super) fn address(frame: &mut [u8], r: &mut Random) {
    if frame.len() < 14 || r.chance(20_000) {
        return;
    }
    let to = if r.chance(50_000) { Mac::BROADCAST } else { OURS };
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&PEER.0);
    let (source, own) = (2 + r.below(3) as u8, 1);
    match frame[12..14] {
        [8, 0] if frame.len() >= 34 => {
            if r.chance(900_000) {
                frame[30..34].copy_from_slice(&[10, 0, 0, own]);
                frame[26..30].copy_from_slice(&[10, 0, 0, if r.chance(700_000) { 2 } else { source }]);
            }
            if r.chance(900_000) {
                let len = (frame.len() - 14) as u16;
                frame[16..18].copy_from_slice(&len.to_be_bytes());
            }
        }
        [0x86, 0xdd] if frame.len() >= 54 => {
            if r.chance(900_000) {
                for (at, n) in [(22, 2), (38, own)] {
                    frame[at..at + 16].copy_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]);
                }
            }
            if r.chance(900_000) {
                let len = (frame.len() - 54) as u16;
                frame[18..20].copy_from_slice(&len.to_be_bytes());
            }
        }
        _ => return,
    }
    if r.chance(900_000) {
        complete(frame);
    }
}

pub(super) fn sum(bytes: &[u8], mut sum: u32) -> u32 {
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Puts right checksums into a frame, as far as its headers make sense.
pub(super) fn complete(frame: &mut [u8]) {
    let is_v4 = frame[12..14] == [8, 0];
    let (protocol, transport, pseudo) = if is_v4 {
        let header = usize::from(frame[14] & 15) * 4;
        if header < 20 || frame.len() < 14 + header {
            return;
        }
        frame[24..26].fill(0);
        let header_sum = !(sum(&frame[14..14 + header], 0) as u16);
        frame[24..26].copy_from_slice(&header_sum.to_be_bytes());
        (frame[23], 14 + header, sum(&frame[26..34], 0))
    } else {
        (frame[20], 54, sum(&frame[22..54], 0))
    };
    let (field, with_pseudo) = match protocol {
        6 => (16, true),
        17 => (6, true),
        1 => (2, false),
        58 => (2, true),
        _ => return,
    };
    if frame.len() < transport + field + 2 {
        return;
    }
    let len = (frame.len() - transport) as u32;
    frame[transport + field..transport + field + 2].fill(0);
    let start = if with_pseudo { pseudo + len + u32::from(protocol) } else { 0 };
    let value = !(sum(&frame[transport..], start) as u16);
    frame[transport + field..transport + field + 2].copy_from_slice(&value.to_be_bytes());
}

pub(super) fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

/// Frames to start from: one in each file of `seeds/`, in the order of their names.
pub(super) fn corpus() -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(seeds()).expect("tests/seeds");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    let frames: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(frames.len() >= 10, "the frames in tests/seeds are missing");
    frames
}
