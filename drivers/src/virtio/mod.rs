//! virtio-net (virtio 1.3, section 5.1), modern devices only, over PCI or MMIO.
//!
//! Queues, transports and the hardware abstraction are those of the `virtio-drivers` crate; the
//! device on them is ours, since that crate's own negotiates no offloads.
//!
//! * Negotiated when offered: MAC, MTU, STATUS, checksums both ways, TCP segmentation both ways,
//!   mergeable receive buffers. Without CTRL_RX a device passes all multicast, so there is no
//!   filter to program.
//! * Receive: 256 buffers of 2 KiB that the device fills and the stack reads in place.
//! * Transmit: a frame is copied once, into a ring of 512 KiB of DMA memory, and takes one
//!   descriptor whatever its size. The device is notified once a batch, by `flush`, and only if it
//!   asks for it. It sends no interrupts for transmitted frames unless the ring was full.
//! * The event index is not used: the crate's queue can't suppress interrupts with it, and its
//!   test for whether to notify is wrong when the 16-bit index wraps. The flags do the same by the
//!   batch. The crate publishes each buffer singly in the available ring; that costs a store, no
//!   notification.
//! * The device is not trusted. What it writes is checked before use: a frame that makes no sense
//!   is dropped and counted in [`Drops`]; a device that breaks the protocol of the queues (unknown
//!   buffer, more bytes than the buffer holds) is [`Gone`](barenet::device::LinkState::Gone).

mod features;
mod header;
mod memory;
mod net;
mod pci;
mod queue;
mod ring;
mod rx;
#[cfg(test)]
mod tests;
mod tx;

pub use features::InitError;
pub use net::VirtioNet;
pub use pci::{PciError, PciTransport, Vectors};
pub use rx::Drops;
pub use virtio_drivers;
