//! What the driver needs of a transport beyond what the safe trait promises.

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, Transport};

use super::PciTransport;

/// A transport that can be trusted with the addresses of memory.
///
/// # Safety
///
/// Whoever implements it promises for the device behind it:
///
/// * [`queue_set`](Transport::queue_set) gives the device exactly these addresses, for a queue of
///   exactly that size, and nothing else gives it any.
/// * After [`set_status`](Transport::set_status) with no bit set, the device touches no memory from
///   the moment on that [`get_status`](Transport::get_status) gives no bit either, until queues are
///   set up again. If it can't tell that the device has stopped, it gives some other status.
/// * As long as the transport exists, nobody else drives the device.
///
/// What the device itself says is not trusted, here or anywhere in the driver.
pub unsafe trait DmaTransport: Transport {}

// SAFETY: it writes addresses and status to the device's registers as they are given, the status
// that it reads is the register's, and who made it has promised that the device is its own.
unsafe impl DmaTransport for PciTransport {}

// SAFETY: as for `PciTransport`; `MmioTransport::new` has its caller promise that the registers are
// those of a virtio device and, as it takes them uniquely, that nobody else drives it. (Without a
// device behind them, as in a test, nothing is touched at all.)
unsafe impl DmaTransport for MmioTransport<'_> {}

/// Resets the device. False if it does not say that it has stopped; then it may still write where
/// it was told to.
pub(super) fn reset<T: DmaTransport>(transport: &mut T) -> bool {
    /// Each look is an exit to the hypervisor, so these take a tenth of a second; QEMU stops at
    /// once. A device that was pulled out reads as ones and never stops.
    const TRIES: usize = 100_000;
    transport.set_status(DeviceStatus::empty());
    (0..TRIES).any(|_| transport.get_status() == DeviceStatus::empty())
}
