//! What is kept of a run that is to be looked at: every frame, and what was done to it and by whom.

use barenet::time::Instant;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The files of one run.
pub(super) struct Record {
    log: BufWriter<File>,
    frames: PcapNgWriter<BufWriter<File>>,
}

impl Record {
    pub(super) fn create(stem: &Path) -> std::io::Result<Record> {
        if let Some(folder) = stem.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let log = BufWriter::new(File::create(stem.with_extension("log"))?);
        let frames = BufWriter::new(File::create(stem.with_extension("pcapng"))?);
        let frames = PcapNgWriter::new(frames).map_err(std::io::Error::other)?;
        Ok(Record { log, frames })
    }

    /// Announces the interface with the next number.
    pub(super) fn interface(&mut self, name: String) {
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(name)),
            // Times are in units of 10^-9 s.
            InterfaceDescriptionOption::IfTsResol(9),
        ];
        let block = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options };
        let _ = self.frames.write_pcapng_block(block);
    }

    /// A frame as it set out. A disk that is full ends the record, not the run.
    pub(super) fn frame(&mut self, interface: u32, now: Instant, bytes: &[u8]) {
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: std::time::Duration::from_micros(now.micros()),
            original_len: bytes.len() as u32,
            data: Cow::Borrowed(bytes),
            options: vec![],
        };
        let _ = self.frames.write_pcapng_block(block);
    }

    pub(super) fn line(&mut self, now: Instant, text: std::fmt::Arguments<'_>) {
        let us = now.micros();
        let _ = writeln!(self.log, "{}.{:06} {text}", us / 1_000_000, us % 1_000_000);
    }
}

/// A frame in a few words.
pub(super) fn describe(bytes: &[u8]) -> String {
    let word = |at: usize| bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let (tcp, end) = match bytes {
        [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, ..] if bytes.get(23) == Some(&6) => {
            (34, 14 + (word(16) >> 16) as usize)
        }
        [_, _, _, _, _, _, _, _, _, _, _, _, 0x86, 0xdd, ..] if bytes.get(20) == Some(&6) => {
            (54, 54 + (word(18) >> 16) as usize)
        }
        _ => return format!("type {:04x}, {} bytes", word(12) >> 16, bytes.len()),
    };
    let flags = bytes.get(tcp + 13).copied().unwrap_or(0);
    let names: String =
        "FSRPA".chars().enumerate().filter(|(i, _)| flags >> i & 1 == 1).map(|(_, c)| c).collect();
    let header = usize::from(bytes.get(tcp + 12).copied().unwrap_or(0) >> 4) * 4;
    let (source, destination) = (word(tcp) >> 16, word(tcp) & 0xffff);
    let len = end.saturating_sub(tcp + header);
    let (seq, ack, window) = (word(tcp + 4), word(tcp + 8), word(tcp + 14) >> 16);
    format!("{source} > {destination} {names} seq {seq} len {len} ack {ack} win {window}")
}
