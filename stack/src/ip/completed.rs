//! Checksums of packets that never crossed a wire: the device says that they are good, and the field has the sum of the
//! pseudo-header alone (virtio's NEEDS_CSUM). Raw sockets hand packets to programs that check them, and what is forwarded
//! may cross a wire yet, so they are completed.

use core::net::IpAddr;

use crate::bytes::Bytes;
#[cfg(feature = "forwarding")]
use crate::device::Pieces;
use crate::device::RxChecksum;
use crate::wire::{IPV4_LEN, IPV6_LEN, protocol, pseudo_header};

/// A packet up to the end of its checksum: IPv4 with options, and what of TCP is before it.
const HEAD_LEN: usize = 60 + 18;

/// The first bytes of a packet with the right checksum; without any, the packet is as it is.
pub(crate) struct Head {
    bytes: [u8; HEAD_LEN],
    len: usize,
}

impl Head {
    pub(crate) const NONE: Head = Head { bytes: [0; HEAD_LEN], len: 0 };

    /// A packet from `from` on: the completed bytes, and those that follow.
    pub(crate) fn split<'a>(&'a self, packet: Bytes<'a>, from: usize) -> (&'a [u8], Bytes<'a>) {
        (self.bytes[..self.len].get(from..).unwrap_or(&[]), packet.slice(from.max(self.len), usize::MAX))
    }

    /// The whole packet again, in pieces. `None`: it lies in more than these hold.
    #[cfg(feature = "forwarding")]
    pub(crate) fn join<'a>(&'a self, packet: Bytes<'a>) -> Option<Pieces<'a>> {
        let (head, rest) = self.split(packet, 0);
        let mut pieces = Pieces::new();
        for piece in core::iter::once(head).filter(|head| !head.is_empty()).chain(rest.chunks()) {
            pieces.push(piece).ok()?;
        }
        Some(pieces)
    }

    /// The head of an IP packet whose payload begins at `offset`.
    pub(crate) fn of(
        checksum: RxChecksum,
        (source, destination): (IpAddr, IpAddr),
        (next, packet, offset): (u8, Bytes<'_>, usize),
    ) -> Head {
        let at = match next {
            protocol::TCP => 16,
            protocol::UDP => 6,
            _ => return Head::NONE,
        };
        let segment = packet.slice(offset, usize::MAX);
        let len = offset + at + 2;
        let front = packet.front();
        if checksum != RxChecksum::Valid || segment.len() < at + 2 || len > HEAD_LEN || front.len() < len {
            return Head::NONE;
        }
        if next == protocol::UDP && front[len - 2..len] == [0; 2] {
            return Head::NONE; // it has none (RFC 768)
        }
        let mut sum = pseudo_header(source, destination, next, segment.len());
        sum.add_bytes(segment.slice(0, at));
        sum.add_bytes(segment.slice(at + 2, usize::MAX));
        let mut head = Head { bytes: [0; HEAD_LEN], len };
        head.bytes[..len].copy_from_slice(&front[..len]);
        let sum = match sum.finish() {
            0 if next == protocol::UDP => u16::MAX,
            sum => sum,
        };
        head.bytes[len - 2..len].copy_from_slice(&sum.to_be_bytes());
        head
    }

    /// That of the IP packet in an Ethernet frame, if it is whole.
    pub(crate) fn of_frame(checksum: RxChecksum, payload: Bytes<'_>) -> Head {
        let front = payload.front();
        let word = |at: usize| usize::from(u16::from_be_bytes([front[at], front[at + 1]]));
        let address = |at: usize, len: usize| match len {
            4 => IpAddr::from(<[u8; 4]>::try_from(&front[at..at + 4]).unwrap_or_default()),
            _ => IpAddr::from(<[u8; 16]>::try_from(&front[at..at + 16]).unwrap_or_default()),
        };
        match front.first().map(|version| version >> 4) {
            // Neither more fragments nor an offset.
            Some(4) if front.len() >= IPV4_LEN && word(6) & 0x3fff == 0 => {
                let ends = (address(12, 4), address(16, 4));
                let offset = usize::from(front[0] & 15) * 4;
                Head::of(checksum, ends, (front[9], payload.slice(0, word(2)), offset))
            }
            Some(6) if front.len() >= IPV6_LEN => {
                let ends = (address(8, 16), address(24, 16));
                Head::of(checksum, ends, (front[6], payload.slice(0, IPV6_LEN + word(4)), IPV6_LEN))
            }
            _ => Head::NONE,
        }
    }
}

#[cfg(test)]
mod tests;
