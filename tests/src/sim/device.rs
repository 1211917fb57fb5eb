//! A device with the offloads that the seed gave it. What it sends it leaves for the link.

use super::random::Random;
use barenet::device::segment::{self, TcpFrame};
use barenet::device::{Capabilities, ChecksumRequest, Device, RxChecksum, RxFrame, TxError, TxFrame};
use barenet::time::{Duration, Instant};

/// A frame on its way.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    pub(super) checksum: RxChecksum,
    pub(super) segment_len: Option<u16>,
    /// A bit of it was inverted. A second could undo to the checksum what the first did.
    pub(super) corrupted: bool,
}

impl Frame {
    pub(super) fn plain(bytes: Vec<u8>) -> Frame {
        Frame { bytes, checksum: RxChecksum::Unchecked, segment_len: None, corrupted: false }
    }

    /// Where the TCP header begins and the packet ends.
    fn tcp(&self) -> Option<(usize, usize)> {
        let b = &self.bytes;
        match b.get(12..14)? {
            [0x08, 0x00] if b[23] == 6 => Some((34, 14 + usize::from(self.word(16)))),
            [0x86, 0xdd] if b[20] == 6 => Some((54, 54 + usize::from(self.word(18)))),
            _ => None,
        }
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Is it a TCP segment with text?
    pub(super) fn has_text(&self) -> bool {
        self.text().is_some_and(|(_, len)| len > 0)
    }

    /// The sequence number of a TCP segment and how many bytes of text it has.
    pub(super) fn text(&self) -> Option<(u32, u32)> {
        let (tcp, end) = self.tcp()?;
        let start = tcp + usize::from(self.bytes[tcp + 12] >> 4) * 4;
        let seq = u32::from(self.word(tcp + 4)) << 16 | u32::from(self.word(tcp + 6));
        Some((seq, end.saturating_sub(start) as u32))
    }

    /// The ports of a TCP segment.
    pub(super) fn ports(&self) -> Option<[u16; 2]> {
        self.tcp().map(|(tcp, _)| [self.word(tcp), self.word(tcp + 2)])
    }

    /// Bytes of the largest IP packet that stands for it on a wire.
    pub(super) fn packet_len(&self) -> usize {
        let whole = self.bytes.len() - 14;
        // Without the options of TCP, about.
        self.segment_len.map_or(whole, |len| whole.min(usize::from(len) + 60))
    }
}

/// The device of one interface.
#[derive(Debug)]
pub(super) struct SimDevice {
    pub(super) capabilities: Capabilities,
    /// The device at the other end takes frames as they are: merged, with the checksum undone.
    pub(super) passes_whole: bool,
    pub(super) full_ppm: u32,
    pub(super) full_us: u64,
    pub(super) random: Random,
    pub(super) now: Instant,
    /// It has no room before this time.
    pub(super) full_until: Option<Instant>,
    pub(super) sent: Vec<Frame>,
}

impl Device for SimDevice {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The world hands frames to the stack itself.
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if self.full_until.is_some() {
            return Err(TxError::Full);
        }
        if self.random.chance(self.full_ppm) {
            self.full_until = Some(self.now + Duration::from_micros(self.random.between(1, self.full_us)));
            return Err(TxError::Full);
        }
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        assert!(frame.header.len() >= 14, "a frame without an Ethernet header");
        match (frame.offload.checksum, frame.offload.segment) {
            (Some(c), Some(s)) => {
                let most = if s.v6 { self.capabilities.tso6 } else { self.capabilities.tso4 };
                assert!(bytes.len() - 14 <= most as usize, "a frame beyond the device's segmentation");
                if self.passes_whole {
                    let mut whole = Frame::plain(bytes);
                    (whole.checksum, whole.segment_len) = (RxChecksum::Valid, Some(s.segment_len));
                    self.sent.push(whole);
                } else {
                    self.cut(&frame, c, s.segment_len);
                }
                return Ok(());
            }
            (checksum, None) => {
                assert!(bytes.len() - 14 <= usize::from(self.capabilities.mtu), "a frame beyond the MTU");
                let mut plain = Frame::plain(bytes);
                if let Some(c) = checksum {
                    assert!(self.capabilities.tx_checksum, "a checksum request nobody offered to serve");
                    match self.passes_whole {
                        true => plain.checksum = RxChecksum::Valid,
                        false => complete(&mut plain.bytes, c),
                    }
                }
                self.sent.push(plain);
            }
            (None, Some(_)) => panic!("segmentation without a checksum request"),
        }
        Ok(())
    }
}

impl SimDevice {
    /// Time has come to `now`: perhaps there is room again.
    pub(super) fn turn(&mut self, now: Instant) {
        self.now = now;
        self.full_until = self.full_until.filter(|t| now < *t);
    }

    /// What hardware does with a segmentation request.
    fn cut(&mut self, frame: &TxFrame<'_>, checksum: ChecksumRequest, mss: u16) {
        let mut wire = Wire { mtu: self.capabilities.mtu, sent: &mut self.sent };
        let transport = usize::from(checksum.start);
        let mut header = frame.header.to_vec();
        let whole = TcpFrame { header: &mut header, transport, payload: frame.payload, mss };
        let taken = segment::transmit(&mut wire, whole);
        assert_eq!(taken, Ok(frame.payload.iter().map(|p| p.len()).sum()));
    }
}

/// Completes a checksum as a device does.
fn complete(bytes: &mut [u8], request: ChecksumRequest) {
    let (start, at) = (usize::from(request.start), usize::from(request.start + request.offset));
    let mut sum = 0u32;
    for pair in bytes[start..].chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// The plainest device: takes all that fits its MTU.
struct Wire<'a> {
    mtu: u16,
    sent: &'a mut Vec<Frame>,
}

impl Device for Wire<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(barenet::device::Mac([2, 0, 0, 0, 0, 9]), self.mtu)
    }

    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        assert!(bytes.len() - 14 <= usize::from(self.mtu), "a segment beyond the MTU");
        self.sent.push(Frame::plain(bytes));
        Ok(())
    }
}
