//! What precedes each frame in a queue (virtio 1.3, 5.1.6), and the headers of the frame itself.

use barenet::device::{RxChecksum, TxOffload};

use crate::vnet::{self, Said};

/// Bytes of the header, with `num_buffers`, as VERSION_1 has it.
pub(super) const LEN: usize = vnet::LEN + 2;

/// Over how many buffers the frame is spread, if such buffers were negotiated.
pub(super) fn num_buffers(bytes: &[u8; LEN]) -> u16 {
    let [.., low, high] = *bytes;
    u16::from_le_bytes([low, high])
}

/// Reads the header of a frame of `frame_len` bytes; `None` for one that makes no sense. What it says
/// of the checksum is believed if `checksum_offload` was negotiated.
pub(super) fn parse(bytes: &[u8; LEN], checksum_offload: bool, frame_len: usize) -> Option<Said> {
    let said = vnet::parse(bytes.first_chunk()?, u16::from_le_bytes, frame_len)?;
    match checksum_offload {
        true => Some(said),
        false => Some(Said { checksum: RxChecksum::Unchecked, ..said }),
    }
}

/// Writes the header of a frame to send; `header_len` is that of its Ethernet, IP and transport
/// headers.
pub(super) fn emit(offload: TxOffload, header_len: usize) -> [u8; LEN] {
    let mut out = [0; LEN];
    out[..vnet::LEN].copy_from_slice(&vnet::emit(offload, header_len, u16::to_le_bytes));
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    /// H217: the state of the checksum is believed only if it was negotiated.
    #[test]
    fn checksums_and_buffers_are_read() {
        let bytes = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(num_buffers(&bytes), 256);
        let state = |negotiated| parse(&bytes, negotiated, 60).unwrap().checksum;
        assert_eq!((state(true), state(false)), (RxChecksum::Valid, RxChecksum::Unchecked));
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
}
