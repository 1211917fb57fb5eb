//! virtio-net (virtio 1.3, section 5.1), modern devices only, over PCI or MMIO; and bytes from a
//! virtio-rng device.
//!
//! The hardware abstraction and the MMIO transport are those of the `virtio-drivers` crate; the
//! device, its queues and the PCI transport are ours: that crate's negotiate no offloads and no
//! MSI-X, lend the device Rust references, and panic or wait for ever where a device misbehaves.
//!
//! * Negotiated when offered: MAC, MTU, STATUS, checksums both ways, TCP segmentation both ways,
//!   mergeable receive buffers. Without CTRL_RX a device passes all multicast, so there is no
//!   filter to program.
//! * Receive: 256 buffers of 2 KiB that the device fills and the stack reads in place.
//! * Transmit: a frame is copied once, into a ring of 512 KiB of DMA memory, and takes one
//!   descriptor whatever its size. The device is notified once a batch, by `flush`, and only if it
//!   asks for it. It sends no interrupts for transmitted frames unless the ring was full.
//! * The event index is not used: the flags do the same by the batch.
//! * Memory is safe as far as the device keeps to what it was lent, which an IOMMU or the hypervisor
//!   sees to and no driver can. What the device *says* is not trusted. Headers are copied out of its
//!   reach before they are parsed. A frame that makes no sense is dropped and counted in [`Drops`];
//!   a device that breaks the protocol of the queues (unknown buffer, more bytes than the buffer
//!   holds) or asks to be reset is [`Gone`](barenet::device::LinkState::Gone), for good.
//! * The device is reset before its memory is freed, also when it did not come up. What that rests
//!   on and a safe trait can't promise is [`DmaTransport`].

mod entropy;
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
mod transport;
mod tx;

pub use entropy::entropy;
pub use features::InitError;
pub use memory::BufferHal;
pub use net::VirtioNet;
pub use pci::{PciError, PciTransport, Vectors};
pub use rx::Drops;
pub use transport::DmaTransport;
pub use virtio_drivers;
