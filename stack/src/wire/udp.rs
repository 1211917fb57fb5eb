//! UDP headers (RFC 768).

use core::net::IpAddr;

use smoltcp::wire::UdpPacket;

use super::{Checksum, protocol, pseudo_header};
use crate::bytes::Bytes;
use crate::counters::Drop;

/// Length of a UDP header.
pub(crate) const UDP_LEN: usize = 8;
/// Where in it the checksum lies.
#[cfg(feature = "udp")]
pub(crate) const UDP_CHECKSUM_AT: usize = 6;

/// A received UDP header whose length fits the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UdpHeader {
    /// The sender's port; 0 if it wants no answer.
    pub source: u16,
    /// The port in question.
    pub destination: u16,
    /// Header and payload in bytes; what the packet holds beyond is cut.
    pub len: usize,
    /// The checksum field; 0 for none.
    pub checksum: u16,
}

impl UdpHeader {
    /// Reads the header at the front of an IP payload.
    pub(crate) fn parse(datagram: Bytes<'_>) -> Result<Self, Drop> {
        let fixed = datagram.front().first_chunk::<UDP_LEN>().ok_or(Drop::UdpMalformed)?;
        let view = UdpPacket::new_unchecked(fixed);
        let len = usize::from(view.len());
        if !(UDP_LEN..=datagram.len()).contains(&len) {
            return Err(Drop::UdpMalformed);
        }
        Ok(UdpHeader {
            source: view.src_port(),
            destination: view.dst_port(),
            len,
            checksum: view.checksum(),
        })
    }

    /// The header with its checksum for `payload`.
    pub(crate) fn emit(
        ports: (u16, u16),
        source: IpAddr,
        destination: IpAddr,
        payload: Bytes<'_>,
    ) -> [u8; UDP_LEN] {
        Self::emit_from(ports, pseudo_header(source, destination, protocol::UDP, 0), payload)
    }

    /// The same from the sum of the pseudo-header without the length.
    #[inline]
    pub(crate) fn emit_from(ports: (u16, u16), pseudo: Checksum, payload: Bytes<'_>) -> [u8; UDP_LEN] {
        let len = (UDP_LEN + payload.len()) as u16;
        let mut sum = pseudo;
        // The length is in the pseudo-header and in the header.
        [ports.0, ports.1, len, len].into_iter().for_each(|word| sum.add_word(word));
        sum.add_bytes(payload);
        // RFC 768: a sum of zero is sent as all ones, since zero means none.
        let checksum = match sum.finish() {
            0 => 0xffff,
            other => other,
        };
        words(ports, len, checksum)
    }

    /// The same for a device that completes the checksum over `payload_len` bytes more.
    #[cfg(feature = "udp")]
    #[inline]
    pub(crate) fn emit_unsummed(
        ports: (u16, u16),
        mut pseudo: Checksum,
        payload_len: usize,
    ) -> [u8; UDP_LEN] {
        let len = (UDP_LEN + payload_len) as u16;
        pseudo.add_word(len);
        words(ports, len, pseudo.sum())
    }
}

fn words((source, destination): (u16, u16), len: u16, checksum: u16) -> [u8; UDP_LEN] {
    let [[a, b], [c, d], [e, f], [g, h]] = [source, destination, len, checksum].map(u16::to_be_bytes);
    [a, b, c, d, e, f, g, h]
}
