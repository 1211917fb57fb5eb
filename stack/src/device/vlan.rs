//! VLANs (IEEE 802.1Q): what belongs to one goes out with its tag, over the device of another interface.

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;

use super::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame, TxOffload};

/// Where a tag stands: after both hardware addresses.
const TAG_AT: usize = 12;
const TAG_LEN: usize = 4;
/// The type of a tag (IEEE 802.1Q §9.6).
const TAGGED: u16 = 0x8100;
/// The longest header of a frame that is tagged: that of the stack's own frames is shorter.
const HEADER_MAX: usize = 160;

/// The number of a VLAN: 1 to 4094 (IEEE 802.1Q §9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VlanId(u16);

impl VlanId {
    /// `None`: 0 stands for no VLAN, 4095 is reserved, and there are no more.
    pub const fn new(number: u16) -> Option<VlanId> {
        if matches!(number, 1..=4094) { Some(VlanId(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Which VLAN a frame's tag names, if it has one that does.
    pub(crate) fn of(frame: &[u8]) -> Option<VlanId> {
        let tag = frame.get(TAG_AT..TAG_AT + TAG_LEN)?;
        let is_tagged = tag[..2] == TAGGED.to_be_bytes();
        if is_tagged { VlanId::new(u16::from_be_bytes([tag[2], tag[3]]) & 0x0fff) } else { None }
    }
}

/// A device that interfaces share: what one of them sends gets its tag.
pub(crate) struct Shared<'d> {
    device: &'d mut dyn Device,
    /// Whose frames these are; `None`: those of the interface itself.
    vlan: Option<VlanId>,
}

impl<'d> Shared<'d> {
    pub(crate) fn new(device: &'d mut dyn Device, vlan: Option<VlanId>) -> Self {
        Shared { device, vlan }
    }
}

/// What the interface of a VLAN knows of the device: it neither cuts segments nor completes checksums behind a tag.
pub(crate) fn capabilities(device: &dyn Device) -> Capabilities {
    let Capabilities { mac, mtu, .. } = device.capabilities();
    Capabilities::new(mac, mtu)
}

impl Device for Shared<'_> {
    fn capabilities(&self) -> Capabilities {
        if self.vlan.is_some() { capabilities(self.device) } else { self.device.capabilities() }
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        self.device.receive(sink)
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let Some(vlan) = self.vlan else { return self.device.transmit(frame) };
        let mut header = [0; HEADER_MAX];
        let (Some((addresses, rest)), Some(room)) =
            (frame.header.split_at_checked(TAG_AT), header.get_mut(..frame.header.len() + TAG_LEN))
        else {
            return Err(TxError::Refused);
        };
        room[..TAG_AT].copy_from_slice(addresses);
        room[TAG_AT..TAG_AT + 2].copy_from_slice(&TAGGED.to_be_bytes());
        room[TAG_AT + 2..TAG_AT + TAG_LEN].copy_from_slice(&vlan.get().to_be_bytes());
        room[TAG_AT + TAG_LEN..].copy_from_slice(rest);
        self.device.transmit(TxFrame { header: room, payload: frame.payload, offload: TxOffload::default() })
    }

    fn flush(&mut self) {
        self.device.flush();
    }

    /// A group that one of the interfaces leaves may be another's: it stays in the filter.
    fn set_multicast(&mut self, group: Mac, join: bool) {
        if join {
            self.device.set_multicast(group, true);
        }
    }
}
