//! smoltcp's devices as ours, and ours as smoltcp's.

use ::smoltcp::phy::{self, Checksum, Medium, RxToken as _, TxToken as _};
use ::smoltcp::time;
use barenet::Platform;
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};

use super::NotEthernet;
use super::frame::{Offload, write};
#[cfg(feature = "alloc")]
pub use under::UnderSmoltcp;

/// Who ends the daemon's sleep when a device of smoltcp has something: the trait says nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Events {
    /// Nobody: the daemon does not sleep, and looks again and again.
    Polled,
    /// The program, by [`Platform::wake`] or by a [`waker`](super::waker): in its interrupt handler, or because the
    /// platform sleeps on the device's descriptor.
    Wake,
}

/// Any device of smoltcp 0.14 for Ethernet.
///
/// ```no_run
/// use barenet::device::{Device, Mac};
/// use barenet_drivers::adapters::smoltcp::{Events, SmoltcpDevice};
/// fn device(device: impl smoltcp::phy::Device, platform: &'static dyn barenet::Platform) -> impl Device {
///     SmoltcpDevice::new(device, Mac([2, 0, 0, 0, 0, 1]), platform, Events::Polled).expect("an Ethernet device")
/// }
/// ```
pub struct SmoltcpDevice<D> {
    device: D,
    mac: Mac,
    clock: &'static dyn Platform,
    events: Events,
    offload: Offload,
    /// The last receive found nothing.
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

/// The platform's time on smoltcp's scale.
fn instant(clock: &dyn Platform) -> time::Instant {
    time::Instant::from_micros(i64::try_from(clock.now().micros()).unwrap_or(i64::MAX))
}

impl<D: phy::Device> SmoltcpDevice<D> {
    /// Takes the device with its hardware address, which smoltcp's trait does not tell.
    ///
    /// [`NotEthernet`]: it carries something else.
    pub fn new(
        device: D,
        mac: Mac,
        clock: &'static dyn Platform,
        events: Events,
    ) -> Result<Self, NotEthernet> {
        let capabilities = device.capabilities();
        if capabilities.medium != Medium::Ethernet {
            return Err(NotEthernet);
        }
        let sums = capabilities.checksum;
        let transport = [sums.tcp, sums.udp].map(left_to_device);
        let icmp = [sums.icmpv4, sums.icmpv6].map(left_to_device);
        let offload = Offload::of(transport, icmp);
        Ok(SmoltcpDevice { device, mac, clock, events, offload, is_drained: false })
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }
}

impl<D: phy::Device> Device for SmoltcpDevice<D> {
    fn capabilities(&self) -> Capabilities {
        self.offload.capabilities(self.mac, self.device.capabilities().max_transmission_unit)
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Self { device, clock, offload, is_drained, .. } = self;
        let tokens = device.receive(instant(*clock));
        *is_drained = tokens.is_none();
        let Some((received, _)) = tokens else { return false };
        received.consume(|frame| offload.deliver(frame, sink));
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let len = frame.len();
        if len > self.device.capabilities().max_transmission_unit {
            return Err(TxError::Refused);
        }
        let token = self.device.transmit(instant(self.clock)).ok_or(TxError::Full)?;
        token.consume(len, |buf| write(&frame, buf));
        Ok(())
    }

    fn arm(&mut self) -> bool {
        self.is_drained && self.events == Events::Wake
    }
}

#[cfg(feature = "alloc")]
mod under;
