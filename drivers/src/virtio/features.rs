//! What is agreed with the device at the start, and what follows for the stack.

use core::fmt;

use barenet::device::merged::TAKES_MERGED_DATAGRAMS;
use barenet::device::{Capabilities, Mac};
use bitflags::bitflags;
use virtio_drivers::transport::{DeviceStatus, Transport};

use super::transport::{DmaTransport, reset};
use super::{header, rx};

bitflags! {
    /// Feature bits that this driver uses (virtio 1.3, 5.1.3 and 6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Features: u64 {
        const CSUM = 1 << 0;
        const GUEST_CSUM = 1 << 1;
        const MTU = 1 << 3;
        const MAC = 1 << 5;
        const GUEST_TSO4 = 1 << 7;
        const GUEST_TSO6 = 1 << 8;
        const HOST_TSO4 = 1 << 11;
        const HOST_TSO6 = 1 << 12;
        const MRG_RXBUF = 1 << 15;
        const STATUS = 1 << 16;
        const VERSION_1 = 1 << 32;
        /// The device reaches memory by the addresses that the platform gives it, perhaps through
        /// an IOMMU: those are what `Hal` gives (QEMU's `iommu_platform=on`).
        const ACCESS_PLATFORM = 1 << 33;
        const GUEST_USO4 = 1 << 54;
        const GUEST_USO6 = 1 << 55;
        const HOST_USO = 1 << 56;
    }
}

const MERGED_DATAGRAMS: Features = Features::GUEST_USO4.union(Features::GUEST_USO6);

impl Features {
    /// What is left of an offer after the rules of 5.1.3.1 and our own: merged frames are taken
    /// only in mergeable buffers, since one of ours holds no more than a plain frame.
    pub(super) fn without_orphans(mut self) -> Features {
        if !self.contains(Features::CSUM) {
            self -= Features::HOST_TSO4 | Features::HOST_TSO6 | Features::HOST_USO;
        }
        if !self.contains(Features::GUEST_CSUM | Features::MRG_RXBUF) {
            self -= Features::GUEST_TSO4 | Features::GUEST_TSO6 | MERGED_DATAGRAMS;
        }
        if !TAKES_MERGED_DATAGRAMS {
            self -= MERGED_DATAGRAMS;
        }
        self
    }
}

/// Descriptors of each queue of a network device; QEMU, Firecracker and Cloud Hypervisor all have at
/// least as many.
pub(super) const QUEUE_SIZE: usize = 256;

/// Largest IP packet that a segmented or merged frame carries.
pub(super) const PACKET_MAX: usize = 65_535;
/// Ethernet header, with a VLAN tag.
pub(super) const LINK_HEADER_MAX: usize = 18;

// Offsets in `virtio_net_config` (5.1.4); the MAC address is at 0.
pub(super) const CONFIG_STATUS: usize = 6;
const CONFIG_MTU: usize = 10;

/// Why a device can't be used. Its text says so of "the device", in one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// It is of another type than was wanted.
    OtherType,
    /// It speaks only the layout from before virtio 1.0.
    Legacy,
    /// It does not stop when it is reset.
    NoReset,
    /// It refused a set of features that it had offered.
    FeaturesRefused,
    /// It has no unicast MAC address.
    NoMac,
    /// Its configuration can't be read.
    Config(virtio_drivers::Error),
    /// It takes no queue of so many descriptors, or gives it no interrupt.
    Queue(usize),
    /// No memory for the buffers.
    NoMemory,
    /// It broke the protocol of its queue.
    Broken,
    /// It gave no answer.
    Silent,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InitError::OtherType => "the device is of another type",
            InitError::Legacy => {
                "the device is a legacy one: start QEMU with `-global virtio-mmio.force-legacy=off`, \
                 or a device with `disable-modern=off`"
            }
            InitError::NoReset => "the device does not stop when it is reset",
            InitError::FeaturesRefused => "the device refused its features",
            InitError::NoMac => "the device has no unicast MAC address",
            InitError::Config(why) => {
                return write!(f, "the configuration of the device can't be read: {why}");
            }
            InitError::Queue(size) => {
                return write!(f, "the device takes no queue of {size} descriptors with an interrupt");
            }
            InitError::NoMemory => "no memory for the buffers of the device",
            InitError::Broken => "the device broke the protocol of its queue",
            InitError::Silent => "the device does not answer",
        })
    }
}

impl core::error::Error for InitError {}

/// Resets the device and agrees on features with it (3.1.1): what `choose` leaves of its offer, which
/// is read once.
pub(super) fn negotiate<T: DmaTransport>(
    transport: &mut T,
    choose: fn(Features) -> Features,
) -> Result<Features, InitError> {
    const FOUND: DeviceStatus = DeviceStatus::ACKNOWLEDGE.union(DeviceStatus::DRIVER);
    if !reset(transport) {
        return Err(InitError::NoReset);
    }
    transport.set_status(FOUND);
    let features = choose(Features::from_bits_truncate(transport.read_device_features()));
    if !features.contains(Features::VERSION_1) {
        return Err(InitError::Legacy);
    }
    transport.write_driver_features(features.bits());
    transport.set_status(FOUND | DeviceStatus::FEATURES_OK);
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(InitError::FeaturesRefused);
    }
    Ok(features)
}

/// What the device can do for the stack.
pub(super) fn capabilities<T: Transport>(
    transport: &T,
    features: Features,
) -> Result<Capabilities, InitError> {
    let mut mac = Mac([0; 6]);
    if features.contains(Features::MAC) {
        for (at, byte) in mac.0.iter_mut().enumerate() {
            *byte = transport.read_config_space(at).map_err(InitError::Config)?;
        }
    }
    if !mac.is_unicast() {
        return Err(InitError::NoMac);
    }
    let advised = match features.contains(Features::MTU) {
        true => Some(transport.read_config_space(CONFIG_MTU).map_err(InitError::Config)?),
        false => None,
    };
    let mut capabilities = Capabilities::new(mac, usable_mtu(advised, features));
    if features.contains(Features::CSUM) {
        capabilities = capabilities.with_tx_checksum();
        let tso = |bit| if features.contains(bit) { PACKET_MAX as u32 } else { 0 };
        let (tso4, tso6) = (tso(Features::HOST_TSO4), tso(Features::HOST_TSO6));
        if tso4 | tso6 != 0 {
            capabilities = capabilities.with_tso(tso4, tso6);
        }
        if features.contains(Features::HOST_USO) {
            capabilities = capabilities.with_uso();
        }
    }
    Ok(capabilities)
}

/// The MTU that the device advises, as far as it makes sense: below the 68 bytes that IPv4 needs
/// (RFC 791) it is ignored, and a frame must fit the buffers.
fn usable_mtu(advised: Option<u16>, features: Features) -> u16 {
    const USUAL: u16 = 1500;
    const MIN: u16 = 68;
    let room = if features.contains(Features::MRG_RXBUF) {
        PACKET_MAX - LINK_HEADER_MAX
    } else {
        rx::BUFFER_LEN - header::LEN - LINK_HEADER_MAX
    };
    match advised {
        Some(mtu @ MIN..) => mtu.min(room as u16),
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H216: what is useless without another feature is not taken.
    #[test]
    fn features_that_need_others_are_not_taken_alone() {
        let offer = match TAKES_MERGED_DATAGRAMS {
            true => Features::all(),
            false => Features::all() - MERGED_DATAGRAMS,
        };
        assert_eq!(offer.without_orphans(), offer);
        let no_csum = (offer - Features::CSUM).without_orphans();
        assert!(!no_csum.intersects(Features::HOST_TSO4 | Features::HOST_TSO6 | Features::HOST_USO));
        for missing in [Features::MRG_RXBUF, Features::GUEST_CSUM] {
            let left = (offer - missing).without_orphans();
            assert!(!left.intersects(Features::GUEST_TSO4 | Features::GUEST_TSO6 | MERGED_DATAGRAMS));
        }
    }

    /// H209: tiny, zero and huge MTUs.
    #[test]
    fn the_mtu_is_clamped() {
        let all = Features::all();
        let plain = all - Features::MRG_RXBUF;
        assert_eq!(usable_mtu(None, all), 1500);
        assert_eq!(usable_mtu(Some(0), all), 1500);
        assert_eq!(usable_mtu(Some(67), all), 1500);
        assert_eq!(usable_mtu(Some(1280), all), 1280);
        assert_eq!(usable_mtu(Some(9000), all), 9000);
        assert_eq!(usable_mtu(Some(u16::MAX), all), 65_517);
        assert_eq!(usable_mtu(Some(9000), plain), 2018);
    }
}
