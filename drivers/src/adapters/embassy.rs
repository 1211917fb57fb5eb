//! A driver of `embassy-net-driver` as a device.

use core::task::{Context, Waker};

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use embassy_net_driver::{Checksum, Driver, HardwareAddress, RxToken, TxToken};

use super::NotEthernet;
use super::frame::{Offload, write};

/// Any driver of `embassy-net-driver` 0.2 for Ethernet.
///
/// ```no_run
/// use barenet::device::Device;
/// use barenet_drivers::adapters::{embassy::EmbassyDevice, waker};
/// fn device<P: barenet::Platform>(driver: impl embassy_net_driver::Driver, platform: &'static P) -> impl Device {
///     EmbassyDevice::new(driver, waker(platform)).expect("an Ethernet device")
/// }
/// ```
///
/// A driver has no filter for groups: it passes all of them, or those that it was told of otherwise.
pub struct EmbassyDevice<D> {
    driver: D,
    waker: Waker,
    mac: Mac,
    offload: Offload,
    /// The last receive found nothing, so the driver has the waker for what comes.
    is_drained: bool,
}

/// Is the checksum left to the device when sending, and when receiving?
const fn left_to_device(checksum: Checksum) -> (bool, bool) {
    match checksum {
        Checksum::Both => (false, false),
        Checksum::Rx => (true, false),
        Checksum::Tx => (false, true),
        Checksum::None => (true, true),
    }
}

impl<D: Driver> EmbassyDevice<D> {
    /// Takes the driver; `waker` ends the daemon's sleep, as that of [`super::waker`].
    ///
    /// [`NotEthernet`]: it carries something else.
    pub fn new(driver: D, waker: Waker) -> Result<Self, NotEthernet> {
        let HardwareAddress::Ethernet(mac) = driver.hardware_address() else {
            return Err(NotEthernet);
        };
        let sums = driver.capabilities().checksum;
        let transport = [sums.tcp, sums.udp].map(left_to_device);
        let icmp = [sums.icmpv4, sums.icmpv6].map(left_to_device);
        let offload = Offload::of(transport, icmp);
        Ok(EmbassyDevice { driver, waker, mac: Mac(mac), offload, is_drained: false })
    }
}

impl<D: Driver> Device for EmbassyDevice<D> {
    fn capabilities(&self) -> Capabilities {
        self.offload.capabilities(self.mac, self.driver.capabilities().max_transmission_unit)
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Self { driver, waker, offload, is_drained, .. } = self;
        let tokens = driver.receive(&mut Context::from_waker(waker));
        *is_drained = tokens.is_none();
        let Some((received, _)) = tokens else { return false };
        received.consume(|frame| offload.deliver(frame, sink));
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let len = frame.len();
        if len > self.driver.capabilities().max_transmission_unit {
            return Err(TxError::Refused);
        }
        let token = self.driver.transmit(&mut Context::from_waker(&self.waker)).ok_or(TxError::Full)?;
        token.consume(len, |buf| write(&frame, buf));
        Ok(())
    }

    /// A driver can't be asked without taking the frame. What came since it had none, or room since it was full, has
    /// used the waker.
    fn arm(&mut self) -> bool {
        self.is_drained
    }

    fn link(&mut self) -> LinkState {
        match self.driver.link_state(&mut Context::from_waker(&self.waker)) {
            embassy_net_driver::LinkState::Up => LinkState::Up,
            embassy_net_driver::LinkState::Down => LinkState::Down,
        }
    }
}
