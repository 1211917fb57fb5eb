//! The device, as the stack sees it.

use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicBool, Ordering};

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use virtio_drivers::transport::{DeviceStatus, DeviceType};

use super::features::{self, CONFIG_STATUS, Features, InitError, LINK_HEADER_MAX, PACKET_MAX, QUEUE_SIZE};
use super::memory::BufferHal;
use super::queue::Broken;
use super::rx::{Drops, Rx, Taken};
use super::transport::{DmaTransport, reset};
use super::tx::Tx;

/// A virtio-net device. See the [module](crate::virtio) for what it does.
///
/// Dropping it resets the device before its memory is freed. A device that does not say within some
/// 100,000 looks that it has stopped keeps the memory: a mebibyte that is lost.
pub struct VirtioNet<H: BufferHal, T: DmaTransport> {
    transport: T,
    /// Freed in `drop`, if the device has stopped.
    rx: ManuallyDrop<Rx<H>>,
    tx: ManuallyDrop<Tx<H>>,
    capabilities: Capabilities,
    has_status: bool,
    config_changed: &'static AtomicBool,
    link: LinkState,
}

impl<H: BufferHal, T: DmaTransport> VirtioNet<H, T> {
    /// Takes over the device behind `transport` and starts it. Whoever handles its interrupts sets
    /// `config_changed` when one says that the configuration changed; the driver then looks at
    /// the link again. (It looks at the start in any case.)
    ///
    /// # Errors
    ///
    /// When the device is not a modern virtio-net device or does not come up. It was reset then.
    pub fn new(transport: T, config_changed: &'static AtomicBool) -> Result<VirtioNet<H, T>, InitError> {
        if transport.device_type() != DeviceType::Network {
            return Err(InitError::OtherType);
        }
        if transport.requires_legacy_layout() {
            return Err(InitError::Legacy);
        }
        let (Some(rx), Some(tx)) = (Rx::new(), Tx::new()) else {
            return Err(InitError::NoMemory);
        };
        // From here on, dropping it resets the device, however far it got.
        let mut net = VirtioNet {
            transport,
            rx: ManuallyDrop::new(rx),
            tx: ManuallyDrop::new(tx),
            capabilities: Capabilities::new(Mac::default(), 0),
            has_status: false,
            config_changed,
            link: LinkState::Up,
        };
        net.start()?;
        Ok(net)
    }

    fn start(&mut self) -> Result<(), InitError> {
        let transport = &mut self.transport;
        let features = features::negotiate(transport, Features::without_orphans)?;
        self.capabilities = features::capabilities(transport, features)?;
        self.has_status = features.contains(Features::STATUS);
        self.rx.start(transport, features)?;
        self.tx.start(transport)?;
        transport.finish_init();
        self.rx.queue.tell(transport);
        self.config_changed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Frames that were dropped by the driver.
    pub fn drops(&self) -> Drops {
        self.rx.drops
    }

    fn is_gone(&self) -> bool {
        self.link == LinkState::Gone
    }

    /// Stops using a device that does not keep to the protocol, for good.
    fn broken(&mut self, _: Broken) {
        self.link = LinkState::Gone;
        self.transport.set_status(DeviceStatus::FAILED);
    }

    /// Can a frame with these wishes be sent at all?
    fn is_within_limits(&self, frame: TxFrame<'_>, len: usize) -> bool {
        let packet_max = match frame.offload.segment {
            None => usize::from(self.capabilities.mtu),
            Some(request) if request.udp => {
                if self.capabilities.uso {
                    PACKET_MAX
                } else {
                    0
                }
            }
            Some(request) if request.v6 => self.capabilities.tso6 as usize,
            Some(_) => self.capabilities.tso4 as usize,
        };
        let checksum = self.capabilities.tx_checksum || frame.offload.checksum.is_none();
        len > 0 && len <= packet_max + LINK_HEADER_MAX && checksum
    }

    fn read_link(&self) -> LinkState {
        const LINK_UP: u16 = 1;
        if self.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            return LinkState::Gone;
        }
        if !self.has_status {
            return LinkState::Up;
        }
        match self.transport.read_config_space::<u16>(CONFIG_STATUS) {
            Ok(flags) if flags & LINK_UP == 0 => LinkState::Down,
            _ => LinkState::Up,
        }
    }
}

impl<H: BufferHal, T: DmaTransport> Drop for VirtioNet<H, T> {
    fn drop(&mut self) {
        if !reset(&mut self.transport) {
            return;
        }
        // SAFETY: the device has stopped, as `DmaTransport` promises, so the memory is ours alone;
        // neither is used again.
        unsafe {
            ManuallyDrop::drop(&mut self.rx);
            ManuallyDrop::drop(&mut self.tx);
        }
    }
}

impl<H: BufferHal, T: DmaTransport> Device for VirtioNet<H, T> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        /// New buffers are announced by the quarter of the queue, so that it never runs dry.
        const BATCH: usize = QUEUE_SIZE / 4;
        self.rx.queue.interrupts(false);
        // A device that delivers nothing but rubbish, and that for ever, must not hold us here.
        for _ in 0..QUEUE_SIZE {
            if self.is_gone() {
                break;
            }
            match self.rx.next_frame(sink) {
                Ok(Taken::Nothing) => break,
                Ok(taken) => {
                    if self.rx.queue.untold() >= BATCH {
                        self.rx.queue.tell(&mut self.transport);
                    }
                    if taken == Taken::Frame {
                        return true;
                    }
                }
                Err(broken) => self.broken(broken),
            }
        }
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let len = frame.len();
        if self.is_gone() || !self.is_within_limits(frame, len) {
            return Err(TxError::Refused);
        }
        match self.tx.send(frame, len) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TxError::Full),
            Err(broken) => {
                self.broken(broken);
                Err(TxError::Refused)
            }
        }
    }

    fn flush(&mut self) {
        if !self.is_gone() {
            self.tx.queue.tell(&mut self.transport);
        }
    }

    fn arm(&mut self) -> bool {
        if self.is_gone() {
            return true;
        }
        self.rx.queue.tell(&mut self.transport);
        self.tx.queue.tell(&mut self.transport);
        self.rx.queue.interrupts(true);
        let starved = self.tx.starved;
        self.tx.queue.interrupts(starved);
        !(self.rx.queue.has_used() || starved && self.tx.queue.has_used())
    }

    fn link(&mut self) -> LinkState {
        if self.config_changed.swap(false, Ordering::Relaxed) && !self.is_gone() {
            self.link = self.read_link();
        }
        self.link
    }
}
