//! The header that virtio puts before a frame (`virtio_net_hdr`, virtio 1.3, 5.1.6), which the TAP of
//! Linux has borrowed: ten bytes, in the byte order of virtio or of the host. Pure functions.
//!
//! Whoever wrote the header of a received frame is not trusted: one that makes no sense for its
//! frame is refused, as Linux does (`virtio_net_hdr_to_skb`).

use barenet::device::merged::TAKES_MERGED_DATAGRAMS;
use barenet::device::{RxChecksum, TxOffload};

/// Bytes of the header, without the `num_buffers` of virtio's own devices.
pub(crate) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// Set beside a type for segments with CWR; it changes nothing for us.
const GSO_ECN: u8 = 0x80;

/// What the header of a received frame says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) checksum: RxChecksum,
    /// Bytes of each segment that was merged into the frame.
    pub(crate) segment_len: Option<u16>,
}

/// Reads the header of a frame of `frame_len` bytes, in whose byte order `word` reads. `None`: it asks
/// for a segmentation that was not negotiated, or for one without a size, or for a checksum outside
/// of the frame. The length of the headers is a hint that nothing here needs.
pub(crate) fn parse(header: &[u8; LEN], word: fn([u8; 2]) -> u16, frame_len: usize) -> Option<Said> {
    let [flags, gso, _, _, size @ .., s0, s1, o0, o1] = *header;
    let segment_len = match (gso & !GSO_ECN, word(size)) {
        (GSO_NONE, _) => None,
        (GSO_TCPV4 | GSO_TCPV6, size @ 1..) => Some(size),
        (GSO_UDP_L4, size @ 1..) if TAKES_MERGED_DATAGRAMS => Some(size),
        _ => return None,
    };
    let field = usize::from(word([s0, s1])) + usize::from(word([o0, o1]));
    if flags & NEEDS_CSUM != 0 && field + 2 > frame_len {
        return None;
    }
    let checksum = match flags & (NEEDS_CSUM | DATA_VALID) {
        0 => RxChecksum::Unchecked,
        _ => RxChecksum::Valid,
    };
    Some(Said { checksum, segment_len })
}

/// Writes the header of a frame to send, in whose byte order `bytes` writes; `header_len` is that of
/// its Ethernet, IP and transport headers.
pub(crate) fn emit(offload: TxOffload, header_len: usize, bytes: fn(u16) -> [u8; 2]) -> [u8; LEN] {
    let (mut flags, mut gso) = (0, GSO_NONE);
    let (mut hint, mut gso_size, mut start, mut offset) = (0, 0, 0, 0);
    if let Some(request) = offload.checksum {
        flags = NEEDS_CSUM;
        (start, offset) = (request.start, request.offset);
    }
    if let Some(request) = offload.segment {
        gso = match (request.udp, request.v6) {
            (true, _) => GSO_UDP_L4,
            (false, true) => GSO_TCPV6,
            (false, false) => GSO_TCPV4,
        };
        gso_size = request.segment_len;
        // How much to keep together; headers are far shorter.
        hint = u16::try_from(header_len).unwrap_or(u16::MAX);
    }
    let [[h0, h1], [g0, g1], [s0, s1], [o0, o1]] = [hint, gso_size, start, offset].map(bytes);
    [flags, gso, h0, h1, g0, g1, s0, s1, o0, o1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use barenet::device::{ChecksumRequest, SegmentRequest};

    /// Flags, segmentation, its size, where the sum starts and where its field is from there on.
    fn said(flags: u8, gso: u8, size: u16, start: u16, offset: u16) -> Option<Said> {
        let [[g0, g1], [s0, s1], [o0, o1]] = [size, start, offset].map(u16::to_le_bytes);
        // The length of the headers is any.
        parse(&[flags, gso, 0xff, 0xff, g0, g1, s0, s1, o0, o1], u16::from_le_bytes, 60)
    }

    /// H217: the state of the checksum is per frame.
    #[test]
    fn the_checksum_state_is_per_frame() {
        let state = |flags| said(flags, GSO_NONE, 0, 34, 16).unwrap().checksum;
        assert_eq!(state(0), RxChecksum::Unchecked);
        assert_eq!(state(NEEDS_CSUM), RxChecksum::Valid);
        assert_eq!(state(DATA_VALID), RxChecksum::Valid);
    }

    #[test]
    fn a_merged_frame_names_its_segments() {
        let segment_len = |gso, size| said(1, gso, size, 34, 16).unwrap().segment_len;
        assert_eq!(segment_len(GSO_TCPV6, 1428), Some(1428));
        assert_eq!(segment_len(GSO_TCPV4 | GSO_ECN, 9), Some(9));
        let datagrams = said(1, GSO_UDP_L4, 1200, 34, 6).map(|said| said.segment_len);
        assert_eq!(datagrams, TAKES_MERGED_DATAGRAMS.then_some(Some(1200)));
        assert_eq!(segment_len(GSO_NONE, 9), None);
    }

    /// H216: a type that was not negotiated (UDP, 3 and 5), or no size, is refused.
    #[test]
    fn unknown_segmentation_is_refused() {
        for (gso, size) in
            [(3, 9), (6, 9), (GSO_UDP_L4, 0), (GSO_TCPV4, 0), (GSO_TCPV6 | GSO_ECN, 0), (GSO_ECN | 2, 9)]
        {
            assert_eq!(said(1, gso, size, 34, 16), None, "{gso} {size}");
        }
    }

    /// H201: a sum whose field is outside the frame, or whose place overflows.
    #[test]
    fn a_checksum_outside_the_frame_is_refused() {
        assert!(said(NEEDS_CSUM, GSO_NONE, 0, 42, 16).is_some());
        for (start, offset) in [(43, 16), (60, 0), (0xffff, 0xffff), (0, 0xffff)] {
            assert_eq!(said(NEEDS_CSUM, GSO_NONE, 0, start, offset), None);
            // Without the request the two mean nothing.
            assert!(said(DATA_VALID, GSO_NONE, 0, start, offset).is_some());
        }
    }

    #[test]
    fn requests_are_laid_out_as_their_reader_expects() {
        assert_eq!(emit(TxOffload::default(), 54, u16::to_le_bytes), [0; LEN]);
        let offload = TxOffload {
            checksum: Some(ChecksumRequest { start: 54, offset: 16 }),
            segment: Some(SegmentRequest { v6: true, udp: false, segment_len: 1440 }),
        };
        let expected = [1, 4, 74, 0, 0xa0, 5, 54, 0, 16, 0];
        assert_eq!(emit(offload, 74, u16::to_le_bytes), expected);
        let read = parse(&emit(offload, 74, u16::to_ne_bytes), u16::from_ne_bytes, 1514).unwrap();
        assert_eq!((read.checksum, read.segment_len), (RxChecksum::Valid, Some(1440)));
    }
}
