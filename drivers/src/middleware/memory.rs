//! A device in memory for the tests of the middlewares.

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame, TxOffload};
use std::collections::VecDeque;

/// Gives what lies in `incoming` and takes `room` frames into `sent`.
pub(super) struct Memory {
    pub(super) incoming: VecDeque<Vec<u8>>,
    pub(super) sent: Vec<(Vec<u8>, TxOffload)>,
    pub(super) room: usize,
}

impl Memory {
    pub(super) fn new() -> Self {
        Memory { incoming: VecDeque::new(), sent: Vec::new(), room: usize::MAX }
    }
}

impl Device for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2, 0, 0, 0, 0, 1]), 1500).with_tso(65_535, 65_535)
    }

    /// Frames come as from a TAP: valid, the headers in one piece.
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some(frame) = self.incoming.pop_front() else {
            return false;
        };
        let (head, tail) = frame.split_at(frame.len().min(14));
        sink(RxFrame { bytes: Bytes::new(&[head, tail]), checksum: RxChecksum::Valid, segment_len: None });
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        self.room = self.room.checked_sub(1).ok_or(TxError::Full)?;
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend(*piece));
        self.sent.push((bytes, frame.offload));
        Ok(())
    }

    fn arm(&mut self) -> bool {
        self.incoming.is_empty()
    }
}
