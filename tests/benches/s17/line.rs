//! A cable between a stack of this process and the path: frames in memory, and a descriptor to sleep on.

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// One direction.
pub(super) struct Line {
    frames: Mutex<VecDeque<Vec<u8>>>,
    /// Readable while frames wait.
    bell: OwnedFd,
}

impl Line {
    pub(super) fn new() -> Result<Arc<Line>, String> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| e.to_string())?;
        Ok(Arc::new(Line { frames: Mutex::default(), bell }))
    }

    pub(super) fn push(&self, frame: Vec<u8>) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.push_back(frame);
        if frames.len() == 1 {
            // An eventfd takes it unless it was never read.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    pub(super) fn pop(&self) -> Option<Vec<u8>> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = frames.pop_front();
        if frame.is_some() && frames.is_empty() {
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        frame
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// A stack's end of two lines: a plain card of MTU 1500.
pub(super) struct Card {
    pub(super) mac: Mac,
    pub(super) to: Arc<Line>,
    pub(super) from: Arc<Line>,
}

impl Device for Card {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.mac, 1500)
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some(frame) = self.from.pop() else { return false };
        sink(RxFrame { bytes: Bytes::new(&[&frame]), checksum: RxChecksum::Unchecked, segment_len: None });
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        self.to.push(bytes);
        Ok(())
    }
}
