//! A capture of all frames in the pcapng format.

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use core::time::Duration;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};
use std::borrow::Cow;
use std::io::Write;

/// Writes every frame that crosses a device, received or taken for transmission, to a pcapng
/// file with its direction and time in nanoseconds.
///
/// Frames are written as they cross: where the device completes checksums, a frame that is sent
/// holds an incomplete one, and with segmentation offload it is up to 64 KiB long. Programs that
/// show captures know this from every other interface with offloads.
///
/// The time is what the clock says, which should be the time since 1970-01-01 00:00 UTC.
///
/// ```
/// use barenet::device::{Device, Mac};
/// use barenet_drivers::middleware::Capture;
/// use std::time::SystemTime;
///
/// # fn wrap(device: impl Device) -> std::io::Result<()> {
/// let file = std::fs::File::create("frames.pcapng")?;
/// let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
/// let device = Capture::new(device, std::io::BufWriter::new(file), clock)?;
/// # Ok(()) }
/// ```
pub struct Capture<D, W: Write> {
    device: D,
    file: File<W>,
}

/// The file and what is needed to write to it.
struct File<W: Write> {
    writer: PcapNgWriter<W>,
    clock: Box<dyn FnMut() -> Duration + Send>,
    /// The frame in one piece, as the format's writer wants it.
    frame: Vec<u8>,
    error: Option<std::io::Error>,
}

/// The format's epb_flags word: the frame came in, or went out.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

impl<D: Device, W: Write> Capture<D, W> {
    /// Captures what crosses `device` into `writer`, which it gives the file's header now.
    ///
    /// # Errors
    ///
    /// When the header can't be written.
    pub fn new(
        device: D,
        writer: W,
        clock: impl FnMut() -> Duration + Send + 'static,
    ) -> std::io::Result<Self> {
        let mut writer = PcapNgWriter::new(writer).map_err(io_error)?;
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            // No limit: a frame may be 64 KiB and its header long.
            snaplen: 0,
            // Times are in units of 10^-9 s.
            options: vec![InterfaceDescriptionOption::IfTsResol(9)],
        };
        writer.write_pcapng_block(interface).map_err(io_error)?;
        let file = File { writer, clock: Box::new(clock), frame: Vec::new(), error: None };
        Ok(Capture { device, file })
    }

    /// Why capturing stopped: the first error of the writer. Frames cross the device all the same.
    pub fn error(&self) -> Option<&std::io::Error> {
        self.file.error.as_ref()
    }

    /// The device and the writer.
    pub fn into_inner(self) -> (D, W) {
        (self.device, self.file.writer.into_inner())
    }
}

impl<W: Write> File<W> {
    fn write<'a>(&mut self, direction: u32, pieces: impl Iterator<Item = &'a [u8]>) {
        if self.error.is_some() {
            return;
        }
        self.frame.clear();
        pieces.for_each(|piece| self.frame.extend_from_slice(piece));
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: (self.clock)(),
            original_len: self.frame.len() as u32,
            data: Cow::Borrowed(&self.frame),
            options: vec![EnhancedPacketOption::Flags(direction)],
        };
        self.error = self.writer.write_pcapng_block(block).err().map(io_error);
    }
}

fn io_error(e: PcapError) -> std::io::Error {
    match e {
        PcapError::IoError(e) => e,
        other => std::io::Error::other(other),
    }
}

impl<D: Device, W: Write> Device for Capture<D, W> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        self.device.receive(&mut |frame| {
            self.file.write(INBOUND, frame.bytes.chunks());
            sink(frame);
        })
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        self.device.transmit(frame)?;
        let pieces = core::iter::once(frame.header).chain(frame.payload.iter().copied());
        self.file.write(OUTBOUND, pieces);
        Ok(())
    }

    fn flush(&mut self) {
        self.device.flush();
    }

    fn arm(&mut self) -> bool {
        self.device.arm()
    }

    fn link(&mut self) -> LinkState {
        self.device.link()
    }

    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.device.set_multicast(group, join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::memory::Memory;
    use barenet::device::TxOffload;
    use pcap_file::pcapng::{Block, PcapNgReader};

    fn packets(file: &[u8]) -> Vec<EnhancedPacketBlock<'static>> {
        let mut reader = PcapNgReader::new(file).unwrap();
        let mut packets = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap().into_owned() {
                packets.push(packet);
            }
        }
        packets
    }

    #[test]
    fn both_directions_are_written_whole() {
        let mut memory = Memory::new();
        memory.incoming.push_back(b"a frame that comes in".to_vec());
        let mut ns = 1_000_000_000;
        let clock = move || {
            ns += 1;
            Duration::from_nanos(ns)
        };
        let mut capture = Capture::new(memory, Vec::new(), clock).unwrap();
        let large = vec![7; 65_535];
        let frame = TxFrame { header: b"head", payload: &[&large, b"!"], offload: TxOffload::default() };
        capture.transmit(frame).unwrap();
        assert!(capture.receive(&mut |frame| assert_eq!(frame.bytes.len(), 21)));
        assert!(!capture.receive(&mut |_| {}));
        assert!(capture.error().is_none());

        let (memory, file) = capture.into_inner();
        let [out, came] = &packets(&file)[..] else {
            panic!("two packets");
        };
        assert_eq!(out.data, memory.sent[0].0);
        assert_eq!((out.data.len(), out.original_len), (65_540, 65_540));
        assert_eq!(out.timestamp, Duration::from_nanos(1_000_000_001));
        assert_eq!(out.options, [EnhancedPacketOption::Flags(OUTBOUND)]);
        assert_eq!(*came.data, *b"a frame that comes in");
        assert_eq!(came.options, [EnhancedPacketOption::Flags(INBOUND)]);
    }

    #[test]
    fn a_refused_frame_is_not_captured_and_a_full_disk_stops_only_the_capture() {
        /// Takes the file's header and one more write.
        struct Disk(usize);
        impl Write for Disk {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                self.0 = self.0.checked_sub(buf.len()).ok_or(std::io::ErrorKind::StorageFull)?;
                Ok(buf.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let frame = TxFrame { header: &[0; 60], payload: &[], offload: TxOffload::default() };
        let mut memory = Memory::new();
        memory.room = 0;
        let mut capture = Capture::new(memory, Disk(100), || Duration::ZERO).unwrap();
        assert_eq!(capture.transmit(frame), Err(TxError::Full));
        assert!(capture.error().is_none());
        capture.device.room = 2;
        assert_eq!(capture.transmit(frame), Ok(()));
        assert_eq!(capture.error().unwrap().kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(capture.transmit(frame), Ok(()));
    }
}
