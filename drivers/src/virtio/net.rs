//! The device, as the stack sees it.

use core::sync::atomic::{AtomicBool, Ordering};

use barenet::device::{Capabilities, Device, LinkState, RxFrame, TxError, TxFrame};
use virtio_drivers::Hal;
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use super::features::{self, CONFIG_STATUS, Features, InitError, LINK_HEADER_MAX};
use super::queue::{self, Broken};
use super::rx::{Drops, Rx, Taken};
use super::tx::Tx;

/// A virtio-net device. See the [module](crate::virtio) for what it does.
pub struct VirtioNet<H: Hal, T: Transport> {
    // Dropped first: dropping a transport resets the device, and then the memory is ours again.
    transport: T,
    rx: Rx<H>,
    tx: Tx<H>,
    capabilities: Capabilities,
    has_status: bool,
    config_changed: &'static AtomicBool,
    link: LinkState,
}

impl<H: Hal, T: Transport> VirtioNet<H, T> {
    /// Takes over the device behind `transport` and starts it. Whoever handles its interrupts sets
    /// `config_changed` when one says that the configuration changed; the driver then looks at
    /// the link again. (It looks at the start in any case.)
    ///
    /// # Errors
    ///
    /// When the device is not a modern virtio-net device or does not come up.
    pub fn new(mut transport: T, config_changed: &'static AtomicBool) -> Result<VirtioNet<H, T>, InitError> {
        if transport.device_type() != DeviceType::Network {
            return Err(InitError::NotNetwork);
        }
        if transport.requires_legacy_layout() {
            return Err(InitError::Legacy);
        }
        let features = features::negotiate(&mut transport)?;
        let capabilities = features::capabilities(&transport, features)?;
        let mut rx = Rx::new(&mut transport, features)?;
        let tx = Tx::new(&mut transport)?;
        transport.finish_init();
        rx.queue.tell(&mut transport);
        config_changed.store(true, Ordering::Relaxed);
        Ok(VirtioNet {
            transport,
            rx,
            tx,
            capabilities,
            has_status: features.contains(Features::STATUS),
            config_changed,
            link: LinkState::Up,
        })
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

impl<H: Hal, T: Transport> Device for VirtioNet<H, T> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        /// New buffers are announced by the quarter of the queue, so that it never runs dry.
        const BATCH: usize = queue::SIZE / 4;
        self.rx.queue.interrupts(false);
        // A device that delivers nothing but rubbish, and that for ever, must not hold us here.
        for _ in 0..queue::SIZE {
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
        self.tx.queue.interrupts(self.tx.starved);
        !(self.rx.queue.has_used() || self.tx.starved && self.tx.queue.has_used())
    }

    fn link(&mut self) -> LinkState {
        if self.config_changed.swap(false, Ordering::Relaxed) && !self.is_gone() {
            self.link = self.read_link();
        }
        self.link
    }
}
