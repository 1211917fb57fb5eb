//! The file of `--pcap`: QEMU writes it in the format of pcap, a program on the host in that of pcapng.

use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;

/// Makes the file, so that one that can't be written is told before anything is built or booted.
///
/// # Errors
///
/// When it can't be made.
pub fn make(path: &Path) -> Result<()> {
    File::create(path).map(drop).with_context(|| format!("can't write the capture {}", path.display()))
}

/// What the file holds, in one line.
pub fn describe(path: &Path) -> String {
    match std::fs::read(path) {
        Ok(bytes) => format!("{}: {} frames in {} bytes", path.display(), frames(&bytes), bytes.len()),
        Err(why) => format!("the capture {} can't be read: {why}", path.display()),
    }
}

/// Whole frames in a file, in this host's byte order.
fn frames(bytes: &[u8]) -> usize {
    const SECTION: u32 = 0x0a0d_0d0a;
    match bytes.first_chunk() {
        Some(first) if u32::from_ne_bytes(*first) == SECTION => packet_blocks(bytes),
        _ => packets(bytes),
    }
}

/// In the format of pcapng: blocks of a type, a length of all, and so on.
fn packet_blocks(mut bytes: &[u8]) -> usize {
    const ENHANCED_PACKET: u32 = 6;
    let word = |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b));
    let mut count = 0;
    while let (Some(kind), Some(len @ 12..)) = (word(bytes, 0), word(bytes, 4))
        && let Some(rest) = bytes.get(len as usize..)
    {
        count += usize::from(kind == ENHANCED_PACKET);
        bytes = rest;
    }
    count
}

/// In that of pcap.
fn packets(mut bytes: &[u8]) -> usize {
    const FILE_HEADER: usize = 24;
    const FRAME_HEADER: usize = 16;
    bytes = bytes.get(FILE_HEADER..).unwrap_or_default();
    let mut count = 0;
    // The third word of a frame's header is how many of its bytes follow.
    while let Some(len) = bytes.get(8..12).and_then(|b| b.first_chunk())
        && let Some(rest) = bytes.get(FRAME_HEADER + u32::from_ne_bytes(*len) as usize..)
    {
        count += 1;
        bytes = rest;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_are_counted() {
        let frame = |len: u32| {
            let header = [0, 0, len, len].map(u32::to_ne_bytes).concat();
            [header, vec![7; len as usize]].concat()
        };
        let file = [vec![0; 24], frame(60), frame(0), frame(1514)].concat();
        assert_eq!(frames(&file), 3);
        let block = |kind: u32| [kind, 16, 0, 16].map(u32::to_ne_bytes).concat();
        let file = [0x0a0d_0d0a, 1, 6, 6].map(block).concat();
        assert_eq!((frames(&file), frames(&file[..file.len() - 1])), (2, 1));
        let file = [vec![0; 24], frame(60), frame(0), frame(1514)].concat();
        // QEMU was ended while it wrote.
        assert_eq!(frames(&file[..file.len() - 1]), 2);
        assert_eq!((frames(&[]), frames(&file[..24]), frames(&file[..30])), (0, 0, 0));
    }

    #[test]
    fn a_file_that_can_not_be_made_is_named() {
        let why = make(Path::new("/nowhere/all.pcap")).unwrap_err().to_string();
        assert_eq!(why, "can't write the capture /nowhere/all.pcap");
    }
}
