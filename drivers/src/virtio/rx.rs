//! Receive: buffers that the device fills, and the frames that lie in them.
//!
//! A device that has given a buffer back must not write it any more, but it can. So what decisions
//! are made by, the virtio header and the headers of the frame, is copied out once and read from
//! the copy. The text of TCP and UDP is shown in place: if it changes after its checksum was
//! checked, the device has delivered other text, which it could have done before.

use core::ptr::NonNull;

use barenet::bytes::Bytes;
use barenet::device::RxFrame;
use virtio_drivers::BufferDirection;

use super::features::{Features, InitError, LINK_HEADER_MAX, PACKET_MAX, QUEUE_SIZE};
use super::header;
use super::memory::{BufferHal, Memory};
use super::queue::{Broken, Buffer, Queue};
use super::transport::DmaTransport;

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
    /// The virtio header asks for what was not negotiated or makes no sense: segments without a
    /// size, a checksum outside the frame.
    pub bad_header: u64,
    /// Spread over buffers so that the first does not hold the headers, or over too many.
    pub scattered: u64,
}

/// The receive queue and its buffers.
pub(super) struct Rx<H: BufferHal> {
    pub(super) queue: Queue<H, QUEUE_SIZE>,
    memory: Memory<H>,
    /// Our copy of what may not change while it is looked at.
    copy: [u8; BUFFER_LEN],
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

impl<H: BufferHal> Rx<H> {
    /// The memory; the device does not know it yet.
    pub(super) fn new() -> Option<Self> {
        Some(Rx {
            queue: Queue::new(INDEX)?,
            memory: Memory::buffers(QUEUE_SIZE * BUFFER_LEN, BufferDirection::DeviceToDriver)?,
            copy: [0; BUFFER_LEN],
            mergeable: false,
            checksum_offload: false,
            drops: Drops::default(),
        })
    }

    /// Sets the queue up and lends all buffers to the device, which is not told so yet.
    pub(super) fn start<T: DmaTransport>(
        &mut self,
        transport: &mut T,
        features: Features,
    ) -> Result<(), InitError> {
        self.mergeable = features.contains(Features::MRG_RXBUF);
        self.checksum_offload = features.contains(Features::GUEST_CSUM);
        self.queue.start(transport)?;
        (0..QUEUE_SIZE as u16).for_each(|buffer| self.give(buffer));
        Ok(())
    }

    fn give(&mut self, buffer: u16) {
        let address = self.memory.address(usize::from(buffer) * BUFFER_LEN);
        let buffer_seen = Buffer { address, len: BUFFER_LEN, writable: true };
        // SAFETY: the bytes are the buffer's own part of the DMA memory, which `VirtioNet` frees
        // after the device has stopped. References into it are made by `bytes` alone, of buffers
        // that are not lent, and end before `&mut self` can be had.
        unsafe { self.queue.lend(buffer, buffer_seen) };
    }

    /// Takes the next filled buffer back.
    fn take(&mut self) -> Result<Option<Filled>, Broken> {
        match self.queue.take()? {
            Some((_, len)) if len > BUFFER_LEN => Err(Broken),
            taken => Ok(taken),
        }
    }

    /// What the device wrote into a buffer that was taken back, from byte `from` on.
    fn bytes(&self, (buffer, len): Filled, from: usize) -> &[u8] {
        let len = len.saturating_sub(from);
        let start = self.memory.bytes(usize::from(buffer) * BUFFER_LEN + from, len);
        // SAFETY: initialized memory inside the buffer (`take` has checked `len`), which the device
        // gave back and gets again by `give`, which needs `&mut self`. Nothing is decided by these
        // bytes, so that a device that goes on writing changes what is delivered and no more.
        unsafe { NonNull::slice_from_raw_parts(start, len).as_ref() }
    }

    /// Copies `len` bytes from the buffer to the same place of `copy`.
    fn copy_out(&mut self, (buffer, _): Filled, from: usize, len: usize) {
        let source = self.memory.bytes(usize::from(buffer) * BUFFER_LEN + from, len);
        let to = &mut self.copy[from..from + len];
        // SAFETY: initialized memory of that length, not the copy's own; no reference is made of it.
        unsafe { source.copy_to_nonoverlapping(NonNull::from(to).cast(), len) };
    }

    /// Copies the header of the virtio frame out.
    fn head(&mut self, first: Filled) -> Option<[u8; header::LEN]> {
        if first.1 < header::LEN {
            return None;
        }
        self.copy_out(first, 0, header::LEN);
        self.copy.first_chunk().copied()
    }

    /// Copies out what the stack must not see change: the headers of TCP and UDP, and all other
    /// frames. Gives where the copy ends, counted from the virtio header.
    fn copy_headers(&mut self, first: Filled) -> usize {
        let most = first.1.min(header::LEN + header::HEADERS_MAX);
        self.copy_out(first, header::LEN, most - header::LEN);
        if most == first.1 {
            return most;
        }
        match header::headers_len(&self.copy[header::LEN..most]) {
            Some(len) => header::LEN + len,
            None => {
                self.copy_out(first, most, first.1 - most);
                first.1
            }
        }
    }

    /// Shows the next frame to `sink` and gives its buffers to the device again.
    pub(super) fn next_frame(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> Result<Taken, Broken> {
        let Some(first) = self.take()? else {
            return Ok(Taken::Nothing);
        };
        let head = self.head(first);
        let total = self.buffers_of_frame(head)?;
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
            self.hand_over(head, taken, sink)
        };
        for &(buffer, _) in taken {
            self.give(buffer);
        }
        Ok(outcome)
    }

    /// How many buffers the frame with this header takes.
    fn buffers_of_frame(&self, head: Option<[u8; header::LEN]>) -> Result<usize, Broken> {
        // Too short for a header: it is dropped as such.
        let Some(head) = head.filter(|_| self.mergeable) else {
            return Ok(1);
        };
        match usize::from(header::num_buffers(&head)) {
            count @ 1..=QUEUE_SIZE => Ok(count),
            _ => Err(Broken),
        }
    }

    /// Shows the frame in the buffers to `sink`, unless it is to be dropped.
    fn hand_over(
        &mut self,
        head: Option<[u8; header::LEN]>,
        taken: &[Filled],
        sink: &mut dyn FnMut(RxFrame<'_>),
    ) -> Taken {
        const ETHERNET: usize = 14;
        let in_first = taken[0].1.saturating_sub(header::LEN);
        let in_others: usize = taken[1..].iter().map(|filled| filled.1).sum();
        let len = in_first + in_others;
        let Some(head) = head.filter(|_| len >= ETHERNET) else {
            self.drops.short += 1;
            return Taken::Dropped;
        };
        if taken.len() > 1 && in_first < FIRST_PIECE_MIN {
            self.drops.scattered += 1;
            return Taken::Dropped;
        }
        let Some(said) = header::parse(&head, self.checksum_offload, len) else {
            self.drops.bad_header += 1;
            return Taken::Dropped;
        };
        let copied = self.copy_headers(taken[0]);
        let mut parts = [&[][..]; PIECES_MAX + 1];
        parts[0] = &self.copy[header::LEN..copied];
        parts[1] = self.bytes(taken[0], copied);
        for (part, &filled) in parts[2..].iter_mut().zip(&taken[1..]) {
            *part = self.bytes(filled, 0);
        }
        let bytes = Bytes::new(&parts[..=taken.len()]);
        sink(RxFrame { bytes, checksum: said.checksum, segment_len: said.segment_len });
        Taken::Frame
    }
}
