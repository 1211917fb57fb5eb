//! The header that a TAP with IFF_VNET_HDR puts before each frame: virtio 1.3 §5.1.6 without
//! `num_buffers`, ten bytes in the byte order of the host.

use barenet::device::{RxChecksum, TxOffload};

/// Bytes of the header. The kernel is told so by TUNSETVNETHDRSZ.
pub(super) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;

/// The header for a frame whose Ethernet, IP and transport headers are `header_len` bytes long.
pub(super) fn encode(offload: TxOffload, header_len: usize) -> [u8; LEN] {
    let mut h = [0; LEN];
    if let Some(sum) = offload.checksum {
        h[0] = NEEDS_CSUM;
        h[6..8].copy_from_slice(&sum.start.to_ne_bytes());
        h[8..10].copy_from_slice(&sum.offset.to_ne_bytes());
    }
    if let Some(segment) = offload.segment {
        h[1] = if segment.v6 { GSO_TCPV6 } else { GSO_TCPV4 };
        // The kernel reads it as a hint of how much to keep together; headers are far shorter.
        let hint = u16::try_from(header_len).unwrap_or(u16::MAX);
        h[2..4].copy_from_slice(&hint.to_ne_bytes());
        h[4..6].copy_from_slice(&segment.segment_len.to_ne_bytes());
    }
    h
}

/// What the header of a received frame says: its checksum's state and the length of the segments
/// that were merged into it.
pub(super) fn decode(h: [u8; LEN]) -> (RxChecksum, Option<u16>) {
    let checksum = match h[0] & (NEEDS_CSUM | DATA_VALID) {
        0 => RxChecksum::Unchecked,
        _ => RxChecksum::Valid,
    };
    let segment_len = match h[1] {
        GSO_NONE => None,
        _ => Some(u16::from_ne_bytes([h[4], h[5]])),
    };
    (checksum, segment_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use barenet::device::{ChecksumRequest, SegmentRequest};

    #[test]
    fn requests_become_the_kernels_words() {
        let mut offload = TxOffload::default();
        assert_eq!(encode(offload, 54), [0; LEN]);
        offload.checksum = Some(ChecksumRequest { start: 34, offset: 16 });
        offload.segment = Some(SegmentRequest { v6: true, segment_len: 1440 });
        let h = encode(offload, 74);
        let word = |at: usize| u16::from_ne_bytes([h[at], h[at + 1]]);
        assert_eq!((h[0], h[1]), (NEEDS_CSUM, GSO_TCPV6));
        assert_eq!([word(2), word(4), word(6), word(8)], [74, 1440, 34, 16]);
        assert_eq!(decode(h), (RxChecksum::Valid, Some(1440)));
    }

    #[test]
    fn a_plain_header_says_nothing() {
        assert_eq!(decode([0; LEN]), (RxChecksum::Unchecked, None));
        let mut h = [0; LEN];
        h[0] = DATA_VALID;
        assert_eq!(decode(h), (RxChecksum::Valid, None));
    }
}
