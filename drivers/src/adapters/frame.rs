//! What the adapters have in common: a frame in one piece, and which checksums a device sees to.

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, ChecksumRequest, Mac, RxChecksum, RxFrame, TxFrame};

/// Bytes of an Ethernet header, which the other ecosystems count as part of the MTU.
pub(super) const HEADER_LEN: usize = 14;

/// Which transport checksums a device sees to.
#[derive(Clone, Copy, Default)]
pub(super) struct Offload {
    /// It completes those of TCP and of UDP.
    pub(super) completes: bool,
    /// It drops frames with a wrong one, of TCP, UDP and ICMP.
    pub(super) verifies: bool,
}

impl Offload {
    /// What each protocol says, sending and receiving: is its checksum left to the device?
    pub(super) fn of(transport: [(bool, bool); 2], icmp: [(bool, bool); 2]) -> Self {
        Offload {
            completes: transport.iter().all(|(sending, _)| *sending),
            verifies: transport.iter().chain(&icmp).all(|(_, receiving)| *receiving),
        }
    }

    /// What our stack is told; `mtu` counts the Ethernet header.
    pub(super) fn capabilities(self, mac: Mac, mtu: usize) -> Capabilities {
        let mtu = mtu.saturating_sub(HEADER_LEN).min(usize::from(u16::MAX)) as u16;
        let capabilities = Capabilities::new(mac, mtu);
        if self.completes { capabilities.with_tx_checksum() } else { capabilities }
    }

    pub(super) fn deliver(self, frame: &[u8], sink: &mut dyn FnMut(RxFrame<'_>)) {
        let checksum = if self.verifies { RxChecksum::Valid } else { RxChecksum::Unchecked };
        sink(RxFrame { bytes: Bytes::new(&[frame]), checksum, segment_len: None });
    }
}

/// Writes `frame` into `buf`, which has its length. A checksum that the device is to complete is left zero, as
/// stacks of these ecosystems leave it.
pub(super) fn write(frame: &TxFrame<'_>, buf: &mut [u8]) {
    let (header, mut rest) = buf.split_at_mut(frame.header.len());
    header.copy_from_slice(frame.header);
    for piece in frame.payload {
        let (here, after) = rest.split_at_mut(piece.len());
        here.copy_from_slice(piece);
        rest = after;
    }
    if let Some(ChecksumRequest { start, offset }) = frame.offload.checksum {
        let at = usize::from(start) + usize::from(offset);
        buf[at..at + 2].fill(0);
    }
}

/// The medium is not Ethernet: IEEE 802.15.4, or bare IP packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotEthernet;

impl core::fmt::Display for NotEthernet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the medium is not Ethernet")
    }
}

impl core::error::Error for NotEthernet {}
