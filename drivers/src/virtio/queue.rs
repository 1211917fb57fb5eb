//! One queue as the driver sees it: what is lent to the device, and who has to be told when.

use core::sync::atomic::{Ordering, fence};

use virtio_drivers::Hal;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

use super::features::InitError;

/// Descriptors of each queue; QEMU, Firecracker and Cloud Hypervisor all have at least as many.
pub(super) const SIZE: usize = 256;

/// The device broke the protocol of the queues.
pub(super) struct Broken;

/// A queue of single-descriptor buffers, each known to the driver by a number of its own.
pub(super) struct Queue<H: Hal> {
    queue: VirtQueue<H, SIZE>,
    index: u16,
    /// The number of the buffer that a descriptor stands for; `None`: it is not with the device.
    lent: [Option<u16>; SIZE],
    /// Buffers given to the device since it was last told so.
    untold: usize,
    /// Interrupts are on.
    armed: bool,
}

impl<H: Hal> Queue<H> {
    /// Sets up queue `index` of the device, without interrupts.
    pub(super) fn new<T: Transport>(transport: &mut T, index: u16) -> Result<Self, InitError> {
        let mut queue =
            VirtQueue::new(transport, index, false, false).map_err(|why| InitError::Queue(SIZE, why))?;
        queue.set_dev_notify(false);
        Ok(Queue { queue, index, lent: [None; SIZE], untold: 0, armed: false })
    }

    /// Lends a buffer to the device, to read (`input`) or to write (`output`). False: the queue is
    /// full.
    ///
    /// # Safety
    ///
    /// Nobody touches the buffer until [`take_back`](Self::take_back) has given its number.
    pub(super) unsafe fn lend<'a, 'b>(
        &mut self,
        number: u16,
        input: &'a [&'b [u8]],
        output: &'a mut [&'b mut [u8]],
    ) -> bool {
        // SAFETY: the caller's promise.
        let Ok(token) = (unsafe { self.queue.add(input, output) }) else {
            return false;
        };
        self.lent[usize::from(token)] = Some(number);
        self.untold += 1;
        true
    }

    /// The number of the next buffer that the device is done with.
    pub(super) fn next(&self) -> Result<Option<u16>, Broken> {
        let Some(token) = self.queue.peek_used() else {
            return Ok(None);
        };
        self.lent.get(usize::from(token)).copied().flatten().map(Some).ok_or(Broken)
    }

    /// Takes the buffer back that [`next`](Self::next) has named. Gives what the device says that
    /// it wrote, in bytes.
    ///
    /// # Safety
    ///
    /// The buffer is the one that was lent under that number.
    pub(super) unsafe fn take_back<'a>(
        &mut self,
        number: u16,
        input: &'a [&'a [u8]],
        output: &'a mut [&'a mut [u8]],
    ) -> Result<usize, Broken> {
        // The device may have changed its mind since `next`.
        let token = self.queue.peek_used().ok_or(Broken)?;
        let lent = self.lent.get_mut(usize::from(token)).ok_or(Broken)?;
        if *lent != Some(number) {
            return Err(Broken);
        }
        // SAFETY: the caller's promise, and `pop_used` gives nothing back but this token.
        let len = unsafe { self.queue.pop_used(token, input, output) }.map_err(|_| Broken)?;
        *lent = None;
        Ok(len as usize)
    }

    /// Buffers that the device was not told of yet.
    pub(super) fn untold(&self) -> usize {
        self.untold
    }

    /// Tells the device about new buffers, if there are any and it wants to know.
    pub(super) fn tell<T: Transport>(&mut self, transport: &mut T) {
        if self.untold == 0 {
            return;
        }
        self.untold = 0;
        // The device sets its flag and then looks at the index; we have set the index and now look
        // at the flag. Without a full barrier between, both could see the old value.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            transport.notify(self.index);
        }
    }

    /// Switches interrupts for used buffers on or off.
    pub(super) fn interrupts(&mut self, on: bool) {
        if self.armed != on {
            self.armed = on;
            self.queue.set_dev_notify(on);
        }
    }

    /// Is the device done with a buffer? Certain even just after interrupts were switched on.
    pub(super) fn has_used(&self) -> bool {
        // As in `tell`: our flag first, then the device's index.
        fence(Ordering::SeqCst);
        self.queue.can_pop()
    }
}
