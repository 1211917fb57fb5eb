//! UDP headers (RFC 768).

use core::net::IpAddr;

use smoltcp::wire::UdpPacket;

use super::{protocol, pseudo_header};
use crate::bytes::Bytes;
use crate::counters::Drop;

/// Length of a UDP header.
pub(crate) const UDP_LEN: usize = 8;

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
        let mut header = [0; UDP_LEN];
        let len = UDP_LEN + payload.len();
        let mut view = UdpPacket::new_unchecked(&mut header[..]);
        view.set_src_port(ports.0);
        view.set_dst_port(ports.1);
        view.set_len(len as u16);
        view.set_checksum(0);
        let mut sum = pseudo_header(source, destination, protocol::UDP, len);
        sum.add(&header);
        sum.add_bytes(payload);
        // RFC 768: a sum of zero is sent as all ones, since zero means none.
        let checksum = match sum.finish() {
            0 => 0xffff,
            other => other,
        };
        UdpPacket::new_unchecked(&mut header[..]).set_checksum(checksum);
        header
    }
}
