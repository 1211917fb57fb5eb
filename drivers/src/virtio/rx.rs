//! Receive: buffers that the device fills, and the frames that lie in them.

use barenet::bytes::Bytes;
use barenet::device::RxFrame;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::features::{Features, InitError, LINK_HEADER_MAX, PACKET_MAX};
use super::header;
use super::memory::Memory;
use super::queue::{self, Broken, Queue};

const INDEX: u16 = 0;

/// Bytes of one buffer: a plain frame of the usual MTU with its header fits.
pub(super) const BUFFER_LEN: usize = 2048;

/// Most buffers of one frame: the header, and the largest packet.
const PIECES_MAX: usize = (header::LEN + LINK_HEADER_MAX + PACKET_MAX).div_ceil(BUFFER_LEN);

/// The first piece of a frame in several pieces must reach this far, to hold all headers.
const FIRST_PIECE_MIN: usize = 256;

/// Frames that came in and could not be taken, since the device started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drops {
    /// Shorter than the virtio and Ethernet headers.
    pub short: u64,
    /// The virtio header asks for what was not negotiated.
    pub bad_header: u64,
    /// Spread over buffers so that the first does not hold the headers, or over too many.
    pub scattered: u64,
}

/// The receive queue and its buffers.
pub(super) struct Rx<H: Hal> {
    pub(super) queue: Queue<H>,
    memory: Memory<H>,
    mergeable: bool,
    checksum_offload: bool,
    pub(super) drops: Drops,
}

/// A buffer that the device gave back: its number, and how many bytes it wrote.
type Filled = (u16, usize);

/// What became of the next frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The stack has seen it.
    Frame,
    /// It was dropped and counted.
    Dropped,
    /// There was none.
    Nothing,
}

impl<H: Hal> Rx<H> {
    /// The queue with all its buffers lent to the device, which does not know yet.
    pub(super) fn new<T: Transport>(transport: &mut T, features: Features) -> Result<Self, InitError> {
        let memory = Memory::new(queue::SIZE * BUFFER_LEN, BufferDirection::DeviceToDriver);
        let mut rx = Rx {
            queue: Queue::new(transport, INDEX)?,
            memory: memory.ok_or(InitError::NoMemory)?,
            mergeable: features.contains(Features::MRG_RXBUF),
            checksum_offload: features.contains(Features::GUEST_CSUM),
            drops: Drops::default(),
        };
        (0..queue::SIZE as u16).for_each(|buffer| rx.give(buffer));
        Ok(rx)
    }

    fn give(&mut self, buffer: u16) {
        let mut memory = self.memory.bytes(usize::from(buffer) * BUFFER_LEN, BUFFER_LEN);
        // SAFETY: the buffer is not with the device and nobody reads it now; from here to `take`
        // nobody touches it. There are as many descriptors as buffers, so the queue is not full.
        unsafe { self.queue.lend(buffer, &[], &mut [memory.as_mut()]) };
    }

    /// Takes the next filled buffer back.
    fn take(&mut self) -> Result<Option<Filled>, Broken> {
        let Some(buffer) = self.queue.next()? else {
            return Ok(None);
        };
        let mut memory = self.memory.bytes(usize::from(buffer) * BUFFER_LEN, BUFFER_LEN);
        // SAFETY: what `give` lent under this number.
        let len = unsafe { self.queue.take_back(buffer, &[], &mut [memory.as_mut()]) }?;
        if len > BUFFER_LEN {
            return Err(Broken);
        }
        Ok(Some((buffer, len)))
    }

    /// What the device wrote into a buffer that was taken back.
    fn bytes(&self, (buffer, len): Filled) -> &[u8] {
        let memory = self.memory.bytes(usize::from(buffer) * BUFFER_LEN, len);
        // SAFETY: the device gave the buffer back, and `give` needs `&mut self`.
        unsafe { memory.as_ref() }
    }

    /// Shows the next frame to `sink` and gives its buffers to the device again.
    pub(super) fn next_frame(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> Result<Taken, Broken> {
        let Some(first) = self.take()? else {
            return Ok(Taken::Nothing);
        };
        let total = self.buffers_of_frame(first)?;
        let mut taken = [first; PIECES_MAX];
        for at in 1..total {
            // The device makes all buffers of a frame visible at once (5.1.6.4.1).
            let next = self.take()?.ok_or(Broken)?;
            match taken.get_mut(at) {
                Some(place) => *place = next,
                None => self.give(next.0),
            }
        }
        let taken = &taken[..total.min(PIECES_MAX)];
        let outcome = if total > PIECES_MAX {
            self.drops.scattered += 1;
            Taken::Dropped
        } else {
            self.hand_over(taken, sink)
        };
        for &(buffer, _) in taken {
            self.give(buffer);
        }
        Ok(outcome)
    }

    /// How many buffers the frame takes that starts with this one.
    fn buffers_of_frame(&self, first: Filled) -> Result<usize, Broken> {
        if !self.mergeable {
            return Ok(1);
        }
        match self.bytes(first).first_chunk().map(header::num_buffers) {
            // Too short for a header: it is dropped as such.
            None => Ok(1),
            Some(count @ 1..) if usize::from(count) <= queue::SIZE => Ok(usize::from(count)),
            Some(_) => Err(Broken),
        }
    }

    /// Shows the frame in the buffers to `sink`, unless it is to be dropped.
    fn hand_over(&mut self, taken: &[Filled], sink: &mut dyn FnMut(RxFrame<'_>)) -> Taken {
        const ETHERNET: usize = 14;
        let mut parts = [&[][..]; PIECES_MAX];
        for (part, &filled) in parts.iter_mut().zip(taken) {
            *part = self.bytes(filled);
        }
        let Some((head, frame)) = parts[0].split_first_chunk() else {
            self.drops.short += 1;
            return Taken::Dropped;
        };
        parts[0] = frame;
        let parts = &parts[..taken.len()];
        let bytes = Bytes::new(parts);
        if bytes.len() < ETHERNET {
            self.drops.short += 1;
            return Taken::Dropped;
        }
        if parts.len() > 1 && frame.len() < FIRST_PIECE_MIN {
            self.drops.scattered += 1;
            return Taken::Dropped;
        }
        let Some(said) = header::parse(head, self.checksum_offload) else {
            self.drops.bad_header += 1;
            return Taken::Dropped;
        };
        sink(RxFrame { bytes, checksum: said.checksum, segment_len: said.segment_len });
        Taken::Frame
    }
}
