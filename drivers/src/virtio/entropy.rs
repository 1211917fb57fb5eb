//! virtio-rng (virtio 1.3, 5.4): random bytes, once.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use virtio_drivers::transport::DeviceType;
use virtio_drivers::{BufferDirection, Hal};

use super::features::{Features, InitError, negotiate};
use super::memory::Memory;
use super::queue::{Broken, Buffer, Queue};
use super::transport::{DmaTransport, reset};

/// Descriptors: QEMU's device has no more, and one is used.
const SIZE: usize = 8;

/// Looks at the queue before the device counts as silent, some seconds on any CPU.
const PATIENCE: u32 = 1 << 28;

struct Source<H: Hal> {
    queue: Queue<H, SIZE>,
    memory: Memory<H>,
}

/// 32 random bytes from the device behind `transport`, which is reset before and after.
///
/// # Errors
///
/// When the device does not come up, or gives nothing within some seconds.
pub fn entropy<H: Hal, T: DmaTransport>(mut transport: T) -> Result<[u8; 32], InitError> {
    if transport.device_type() != DeviceType::EntropySource {
        return Err(InitError::OtherType);
    }
    if transport.requires_legacy_layout() {
        return Err(InitError::Legacy);
    }
    let queue = Queue::new(0).ok_or(InitError::NoMemory)?;
    let memory = Memory::new(32, BufferDirection::DeviceToDriver).ok_or(InitError::NoMemory)?;
    let mut source = ManuallyDrop::new(Source::<H> { queue, memory });
    let given = source.ask(&mut transport);
    if reset(&mut transport) {
        // SAFETY: the device has stopped, as `DmaTransport` promises; it is not used again.
        unsafe { ManuallyDrop::drop(&mut source) };
    }
    given
}

impl<H: Hal> Source<H> {
    fn ask<T: DmaTransport>(&mut self, transport: &mut T) -> Result<[u8; 32], InitError> {
        negotiate(transport, |offer| offer & (Features::VERSION_1 | Features::ACCESS_PLATFORM))?;
        self.queue.start(transport)?;
        transport.finish_init();
        let (mut seed, mut filled) = ([0; 32], 0);
        while filled < seed.len() {
            filled += self.fill(transport, &mut seed[filled..])?;
        }
        Ok(seed)
    }

    /// Has the device fill the buffer once. Gives how many bytes of it it filled, at least one.
    fn fill<T: DmaTransport>(&mut self, transport: &mut T, to: &mut [u8]) -> Result<usize, InitError> {
        let buffer = Buffer { address: self.memory.address(0), len: to.len(), writable: true };
        // SAFETY: DMA memory that is freed after the device has stopped; no reference is made of it.
        unsafe { self.queue.lend(0, buffer) };
        self.queue.tell(transport);
        for _ in 0..PATIENCE {
            match self.queue.take() {
                Ok(None) => core::hint::spin_loop(),
                Ok(Some((_, len))) if (1..=to.len()).contains(&len) => {
                    let from = self.memory.bytes(0, len);
                    // SAFETY: initialized memory of that length, not `to`; no reference is made of it.
                    unsafe { from.copy_to_nonoverlapping(NonNull::from(to).cast(), len) };
                    return Ok(len);
                }
                Ok(Some(_)) | Err(Broken) => return Err(InitError::Broken),
            }
        }
        Err(InitError::Silent)
    }
}
