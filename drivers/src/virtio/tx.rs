//! Transmit: frames are copied into a ring of memory that the device reads.

use barenet::device::TxFrame;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::features::InitError;
use super::header;
use super::memory::Memory;
use super::queue::{Broken, Queue};
use super::ring::{FRAMES, Ring};

const INDEX: u16 = 1;

/// Bytes of the ring: eight frames of 64 KiB, or 256 plain ones.
const LEN: usize = 512 * 1024;

/// The transmit queue and its ring.
pub(super) struct Tx<H: Hal> {
    pub(super) queue: Queue<H>,
    memory: Memory<H>,
    ring: Ring,
    /// The last frame found no room.
    pub(super) starved: bool,
}

impl<H: Hal> Tx<H> {
    pub(super) fn new<T: Transport>(transport: &mut T) -> Result<Self, InitError> {
        let memory = Memory::new(LEN, BufferDirection::DriverToDevice);
        Ok(Tx {
            queue: Queue::new(transport, INDEX)?,
            memory: memory.ok_or(InitError::NoMemory)?,
            ring: Ring::new(LEN),
            starved: false,
        })
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
        while let Some(number) = self.queue.next()? {
            let place = self.ring.place(usize::from(number));
            let memory = self.memory.bytes(place.start, place.len);
            // SAFETY: what `try_send` lent under this number.
            unsafe { self.queue.take_back(number, &[memory.as_ref()], &mut []) }?;
            self.ring.give(usize::from(number));
        }
        Ok(())
    }

    /// Copies the frame into the ring and lends it to the device.
    fn try_send(&mut self, frame: TxFrame<'_>, len: usize) -> bool {
        let Some((number, place)) = self.ring.take(header::LEN + len) else {
            return false;
        };
        let mut memory = self.memory.bytes(place.start, place.len);
        // SAFETY: the ring handed the place out to this frame alone, and the device gets it below.
        let mut rest = unsafe { memory.as_mut() };
        let head = header::emit(frame.offload, frame.header.len());
        for piece in [&head[..], frame.header].into_iter().chain(frame.payload.iter().copied()) {
            let (to, behind) = rest.split_at_mut(piece.len());
            to.copy_from_slice(piece);
            rest = behind;
        }
        // SAFETY: nobody touches the place until `reclaim` has taken it back. There are as many
        // descriptors as frames in the ring, so the queue is not full.
        unsafe { self.queue.lend(number as u16, &[memory.as_ref()], &mut []) }
    }
}
