//! The header that precedes each frame in a queue (virtio 1.3, 5.1.6): pure functions.

use barenet::device::{RxChecksum, TxOffload};

/// Bytes of the header, with `num_buffers`, as VERSION_1 has it.
pub(super) const LEN: usize = 12;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// Set beside a type for segments with CWR; it changes nothing for us.
const GSO_ECN: u8 = 0x80;

/// What the header of a received frame says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RxHeader {
    pub(super) checksum: RxChecksum,
    pub(super) segment_len: Option<u16>,
}

/// Over how many buffers the frame is spread, if such buffers were negotiated.
pub(super) fn num_buffers(bytes: &[u8; LEN]) -> u16 {
    u16::from_le_bytes([bytes[10], bytes[11]])
}

/// Reads the header. `None` for a segmentation type that we did not negotiate, or one without a
/// size. What it says of the checksum is believed if `checksum_offload` was negotiated.
pub(super) fn parse(bytes: &[u8; LEN], checksum_offload: bool) -> Option<RxHeader> {
    let [flags, gso, _, _, size_low, size_high, ..] = *bytes;
    let segment_len = match (gso & !GSO_ECN, u16::from_le_bytes([size_low, size_high])) {
        (GSO_NONE, _) => None,
        (GSO_TCPV4 | GSO_TCPV6, size @ 1..) => Some(size),
        _ => return None,
    };
    let checksum = if checksum_offload && flags & (NEEDS_CSUM | DATA_VALID) != 0 {
        RxChecksum::Valid
    } else {
        RxChecksum::Unchecked
    };
    Some(RxHeader { checksum, segment_len })
}

/// Longest that [`headers_len`] gives: Ethernet, IPv4 with options, TCP with options.
pub(super) const HEADERS_MAX: usize = 14 + 60 + 60;

/// Bytes of the Ethernet, IP and transport headers of a frame that begins with `head`, if it is TCP
/// or UDP right behind IP, and IP right behind Ethernet. `None`: anything else, or too short to say.
pub(super) fn headers_len(head: &[u8]) -> Option<usize> {
    const ETHERNET: usize = 14;
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let byte = |at: usize| head.get(at).copied();
    let words = |byte: u8| usize::from(byte) * 4;
    let (ip_len, protocol) = match head.get(12..14)? {
        [0x08, 0x00] => (words(byte(ETHERNET)? & 0xf), byte(ETHERNET + 9)?),
        [0x86, 0xdd] => (40, byte(ETHERNET + 6)?),
        _ => return None,
    };
    let transport = ETHERNET + ip_len;
    let len = match protocol {
        TCP => transport + words(byte(transport + 12)? >> 4),
        UDP => transport + 8,
        _ => return None,
    };
    (len <= head.len()).then_some(len)
}

/// Writes the header of a frame to send; `header_len` is that of its Ethernet, IP and transport
/// headers.
pub(super) fn emit(offload: TxOffload, header_len: usize) -> [u8; LEN] {
    let (mut flags, mut gso) = (0, GSO_NONE);
    let (mut hdr_len, mut gso_size, mut start, mut offset) = (0, 0, 0, 0);
    if let Some(request) = offload.checksum {
        flags = NEEDS_CSUM;
        (start, offset) = (request.start, request.offset);
    }
    if let Some(request) = offload.segment {
        gso = if request.v6 { GSO_TCPV6 } else { GSO_TCPV4 };
        gso_size = request.segment_len;
        hdr_len = header_len as u16;
    }
    let mut out = [0; LEN];
    out[0] = flags;
    out[1] = gso;
    for (field, value) in out[2..10].chunks_exact_mut(2).zip([hdr_len, gso_size, start, offset]) {
        field.copy_from_slice(&u16::to_le_bytes(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use barenet::device::{ChecksumRequest, SegmentRequest};

    const PLAIN: [u8; LEN] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

    fn with(changes: &[(usize, u8)]) -> [u8; LEN] {
        let mut header = PLAIN;
        for &(at, value) in changes {
            header[at] = value;
        }
        header
    }

    /// H217: the state of the checksum is per frame, and believed only if it was negotiated.
    #[test]
    fn the_checksum_state_is_per_frame() {
        let state = |flags, negotiated| parse(&with(&[(0, flags)]), negotiated).unwrap().checksum;
        assert_eq!(state(0, true), RxChecksum::Unchecked);
        assert_eq!(state(NEEDS_CSUM, true), RxChecksum::Valid);
        assert_eq!(state(DATA_VALID, true), RxChecksum::Valid);
        assert_eq!(state(NEEDS_CSUM | DATA_VALID, false), RxChecksum::Unchecked);
    }

    #[test]
    fn a_merged_frame_names_its_segments_and_buffers() {
        let bytes = with(&[(1, GSO_TCPV6), (4, 0x94), (5, 5), (10, 0), (11, 1)]);
        assert_eq!(parse(&bytes, true).unwrap().segment_len, Some(1428));
        assert_eq!(num_buffers(&bytes), 256);
        assert_eq!(parse(&PLAIN, true).unwrap().segment_len, None);
        assert_eq!(parse(&with(&[(1, GSO_TCPV4 | GSO_ECN), (4, 9)]), true).unwrap().segment_len, Some(9));
    }

    #[test]
    fn headers_end_where_the_text_begins() {
        let frame = |kind: [u8; 2], changes: &[(usize, u8)]| {
            let mut frame = [0; HEADERS_MAX];
            frame[12..14].copy_from_slice(&kind);
            changes.iter().for_each(|&(at, value)| frame[at] = value);
            headers_len(&frame)
        };
        let (v4, v6) = ([8, 0], [0x86, 0xdd]);
        assert_eq!(frame(v4, &[(14, 0x45), (23, 6), (46, 0x80)]), Some(66));
        assert_eq!(frame(v4, &[(14, 0x4f), (23, 6), (86, 0xf0)]), Some(HEADERS_MAX));
        assert_eq!(frame(v4, &[(14, 0x45), (23, 17)]), Some(42));
        assert_eq!(frame(v6, &[(20, 6), (66, 0x50)]), Some(74));
        assert_eq!(frame(v6, &[(20, 17)]), Some(62));
        // Extension headers, ICMP, ARP, a tag.
        for other in [frame(v6, &[(20, 0)]), frame(v4, &[(14, 0x45), (23, 1)]), frame([8, 6], &[])] {
            assert_eq!(other, None);
        }
        assert_eq!((headers_len(&[]), headers_len(&[0; 14]), frame([0x81, 0], &[])), (None, None, None));
    }

    /// H216: a type that was not negotiated (UDP, 3 and 5), or no size, is refused.
    #[test]
    fn unknown_segmentation_is_refused() {
        for header in [with(&[(1, 3), (4, 9)]), with(&[(1, 5), (4, 9)]), with(&[(1, GSO_TCPV4)])] {
            assert_eq!(parse(&header, true), None);
        }
    }

    #[test]
    fn requests_are_laid_out_as_the_device_reads_them() {
        assert_eq!(emit(TxOffload::default(), 54), [0; LEN]);
        let offload = TxOffload {
            checksum: Some(ChecksumRequest { start: 54, offset: 16 }),
            segment: Some(SegmentRequest { v6: true, segment_len: 1440 }),
        };
        let expected = [1, 4, 74, 0, 0xa0, 5, 54, 0, 16, 0, 0, 0];
        assert_eq!(emit(offload, 74), expected);
    }
}
