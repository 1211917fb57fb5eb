//! The file of `--pcap`, which QEMU writes.

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

/// Whole frames in a file in the format of pcap, in this host's byte order, as QEMU writes it.
fn frames(mut bytes: &[u8]) -> usize {
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
