//! Transmit: frames are copied into a ring of memory that the device reads.

use core::ptr::NonNull;

use barenet::device::TxFrame;
use virtio_drivers::BufferDirection;

use super::features::{InitError, QUEUE_SIZE};
use super::header;
use super::memory::{BufferHal, Memory};
use super::queue::{Broken, Buffer, Queue};
use super::ring::{FRAMES, Place, Ring};
use super::transport::DmaTransport;

const INDEX: u16 = 1;

/// Bytes of the ring: eight frames of 64 KiB, or 256 plain ones.
const LEN: usize = 512 * 1024;

/// The transmit queue and its ring.
pub(super) struct Tx<H: BufferHal> {
    pub(super) queue: Queue<H, QUEUE_SIZE>,
    memory: Memory<H>,
    ring: Ring,
    /// The last frame found no room.
    pub(super) starved: bool,
}

impl<H: BufferHal> Tx<H> {
    /// The memory; the device does not know it yet.
    pub(super) fn new() -> Option<Self> {
        Some(Tx {
            queue: Queue::new(INDEX)?,
            memory: Memory::buffers(LEN, BufferDirection::DriverToDevice)?,
            ring: Ring::new(LEN),
            starved: false,
        })
    }

    /// Sets the queue up.
    pub(super) fn start<T: DmaTransport>(&mut self, transport: &mut T) -> Result<(), InitError> {
        self.queue.start(transport)
    }

    /// Gives the frame of `len` bytes to the device. False: there is no room.
    pub(super) fn send(&mut self, frame: TxFrame<'_>, len: usize) -> Result<bool, Broken> {
        // What was sent is looked at by the half ring, not by the frame.
        if self.starved || self.ring.count() > FRAMES / 2 {
            self.reclaim()?;
        }
        let mut taken = self.try_send(frame, len);
        if !taken {
            self.reclaim()?;
            taken = self.try_send(frame, len);
        }
        self.starved = !taken;
        Ok(taken)
    }

    /// Takes back what the device has sent.
    fn reclaim(&mut self) -> Result<(), Broken> {
        while let Some((number, _)) = self.queue.take()? {
            self.ring.give(usize::from(number));
        }
        Ok(())
    }

    /// Copies the frame into the ring and lends it to the device.
    fn try_send(&mut self, frame: TxFrame<'_>, len: usize) -> bool {
        let Some((number, place)) = self.ring.take(header::LEN + len) else {
            return false;
        };
        let head = header::emit(frame.offload, frame.header.len());
        let mut at = place.start;
        for piece in [&head[..], frame.header].into_iter().chain(frame.payload.iter().copied()) {
            self.copy_in(at, piece);
            at += piece.len();
        }
        let Place { start, len } = place;
        debug_assert_eq!(at, start + len);
        let buffer = Buffer { address: self.memory.address(start), len, writable: false };
        // SAFETY: the place is this frame's until `reclaim` gives it to the ring again, which is
        // after the device gave it back; nothing writes it till then. It lies in DMA memory, which
        // `VirtioNet` frees after the device has stopped.
        unsafe { self.queue.lend(number as u16, buffer) };
        true
    }

    /// Copies `piece` to byte `at` of the ring.
    fn copy_in(&mut self, at: usize, piece: &[u8]) {
        let to = self.memory.bytes(at, piece.len());
        // SAFETY: `to` has room for as many bytes, no reference is made of them, and `piece` is not
        // in this memory, to which there are no references either.
        unsafe { to.copy_from_nonoverlapping(NonNull::from(piece).cast(), piece.len()) };
    }
}
