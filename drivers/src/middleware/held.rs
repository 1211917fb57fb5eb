//! A frame that a middleware keeps or changes: a copy in one piece.

use alloc::vec::Vec;
use barenet::bytes::Bytes;
use barenet::device::{ChecksumRequest, Device, RxChecksum, RxFrame, TxError, TxFrame, TxOffload};

/// A copy of a frame.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// Received: what the device said about it.
    checksum: RxChecksum,
    segment_len: Option<u16>,
    /// To be sent: where the payload begins, and what the device is asked to do.
    header_len: usize,
    offload: TxOffload,
}

impl Held {
    pub(super) fn from_rx(frame: &RxFrame<'_>) -> Self {
        let mut bytes = Vec::with_capacity(frame.bytes.len());
        frame.bytes.chunks().for_each(|c| bytes.extend_from_slice(c));
        Held {
            bytes,
            checksum: frame.checksum,
            segment_len: frame.segment_len,
            header_len: 0,
            offload: TxOffload::default(),
        }
    }

    pub(super) fn from_tx(frame: &TxFrame<'_>) -> Self {
        let mut bytes = Vec::with_capacity(frame.len());
        bytes.extend_from_slice(frame.header);
        frame.payload.iter().for_each(|p| bytes.extend_from_slice(p));
        Held {
            bytes,
            checksum: RxChecksum::Unchecked,
            segment_len: None,
            header_len: frame.header.len(),
            offload: frame.offload,
        }
    }

    /// Hands it over as received.
    pub(super) fn give(&self, sink: &mut dyn FnMut(RxFrame<'_>)) {
        sink(RxFrame {
            bytes: Bytes::new(&[&self.bytes]),
            checksum: self.checksum,
            segment_len: self.segment_len,
        });
    }

    /// Sends it.
    pub(super) fn send(&self, device: &mut impl Device) -> Result<(), TxError> {
        let (header, payload) = self.bytes.split_at(self.header_len);
        device.transmit(TxFrame { header, payload: &[payload], offload: self.offload })
    }

    /// Does the checksum that the device was asked for. A request outside the frame is left.
    pub(super) fn complete_checksum(&mut self) {
        let Some(ChecksumRequest { start, offset }) = self.offload.checksum else {
            return;
        };
        let at = usize::from(start) + usize::from(offset);
        if at + 2 > self.bytes.len() {
            return;
        }
        let sum = match !sum(&self.bytes[usize::from(start)..]) {
            // In UDP zero says that there is no checksum (RFC 768).
            0 if offset == 6 => 0xffff,
            sum => sum,
        };
        self.bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        self.offload.checksum = None;
    }

    /// Inverts one bit; whatever was known about the checksum no longer holds.
    pub(super) fn invert_bit(&mut self, random: u64) {
        let bits = self.bytes.len() as u64 * 8;
        if let Some(bit) = random.checked_rem(bits) {
            self.bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        self.checksum = RxChecksum::Unchecked;
    }
}

/// The Internet checksum's sum, folded (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high, ..] => u64::from(high) << 8,
        [] => 0,
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
