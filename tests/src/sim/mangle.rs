//! What happens to the bytes of a frame on its way: a bit is inverted, a mark set, a segment forged, an
//! ICMP error written.

use super::device::Frame;
use super::random::Random;
use barenet::device::RxChecksum;

/// Inverts a bit that a checksum covers. What only Ethernet's own covers is lost instead, since
/// the simulation has none: then this returns false.
pub(super) fn corrupt(frame: &mut Frame, r: &mut Random) -> bool {
    let is_ip = matches!(frame.bytes[12..14], [0x08, 0x00] | [0x86, 0xdd]);
    let at = r.below(frame.bytes.len() as u64) as usize;
    if frame.corrupted {
        return true;
    }
    if !is_ip || at < 14 || frame.checksum == RxChecksum::Valid {
        return false;
    }
    frame.bytes[at] ^= 1 << r.below(8);
    frame.corrupted = true;
    true
}

/// A segment for the connection of this one with numbers drawn at random. A connection that is not
/// established has no defence against such, so SYNs are not copied.
/// With Fast Open a server sends text while its client is not established yet (`early`), so nobody forges a SYN then.
pub(super) fn forge(frame: &Frame, early: bool, r: &mut Random) -> Option<Frame> {
    let (tcp, length_at) = match (&frame.bytes[12..14], frame.bytes.get(23), frame.bytes.get(20)) {
        ([8, 0], Some(6), _) => (34, 16),
        ([0x86, 0xdd], _, Some(6)) => (54, 18),
        _ => return None,
    };
    let is_syn = frame.bytes.get(tcp + 13)? & 2 != 0;
    if is_syn {
        return None;
    }
    let mut bytes = frame.bytes.get(..tcp + 20)?.to_vec();
    for at in [tcp + 4, tcp + 8] {
        bytes[at..at + 4].copy_from_slice(&(r.next_u64() as u32).to_be_bytes());
    }
    // A reset, a SYN, an acknowledgment, a FIN, or any flags at all; with a timestamp that is hard
    // to beat, and perhaps text.
    bytes[tcp + 12] = 8 << 4;
    let any = r.next_u64() as u8;
    bytes[tcp + 13] = r.pick(&[4, 2, 16, 17, 20, any]);
    if early {
        bytes[tcp + 13] &= !2;
    }
    bytes.extend_from_slice(&[1, 1, 8, 10]);
    bytes.extend_from_slice(&r.next_u64().to_be_bytes());
    bytes.resize(bytes.len() + r.pick(&[0, 0, 1, 500]), 0xee);
    let ip_len = if tcp == 34 { bytes.len() - 14 } else { bytes.len() - 54 };
    bytes[length_at..length_at + 2].copy_from_slice(&(ip_len as u16).to_be_bytes());
    if tcp == 34 {
        header_checksum(&mut bytes[14..34]);
    }
    Some(Frame { checksum: RxChecksum::Valid, ..Frame::plain(bytes) })
}

fn header_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum(header, 0);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// A router's mark on a packet whose sender can be told so (RFC 3168 §5). False: it can't.
pub(super) fn mark(frame: &mut Frame) -> bool {
    let bytes = &mut frame.bytes;
    let (at, shift) = match bytes[12..14] {
        [0x08, 0x00] => (15, 0),
        [0x86, 0xdd] => (15, 4),
        _ => return true, // ARP is not dropped for a queue's sake
    };
    if bytes[at] >> shift & 3 == 0 {
        return false;
    }
    bytes[at] |= 3 << shift;
    if shift == 0 {
        header_checksum(&mut bytes[14..34]);
    }
    true
}

/// The ICMP error that tells the sender of `frame` the largest packet that fits (RFC 792, RFC 8201).
pub(super) fn too_big(frame: &Frame, mtu: u16) -> Option<Frame> {
    let bytes = &frame.bytes;
    // From the peer's station, as if it were a router behind which the peer is.
    let mut error = [&bytes[6..12], &bytes[0..6], &bytes[12..14]].concat();
    match bytes[12..14] {
        [0x08, 0x00] => {
            let quoted = &bytes[14..bytes.len().min(14 + 28)];
            error.extend_from_slice(&[0x45, 0]);
            error.extend_from_slice(&(28 + quoted.len() as u16).to_be_bytes());
            error.extend_from_slice(&[0, 0, 0, 0, 64, 1, 0, 0]);
            error.extend_from_slice(&bytes[30..34]);
            error.extend_from_slice(&bytes[26..30]);
            header_checksum(&mut error[14..34]);
            error.extend_from_slice(&[3, 4, 0, 0, 0, 0]);
            error.extend_from_slice(&mtu.to_be_bytes());
            error.extend_from_slice(quoted);
            let sum = checksum(&error[34..], 0);
            error[36..38].copy_from_slice(&sum.to_be_bytes());
        }
        [0x86, 0xdd] => {
            let quoted = &bytes[14..bytes.len().min(14 + 1232)];
            let len = 8 + quoted.len() as u16;
            error.extend_from_slice(&[0x60, 0, 0, 0]);
            error.extend_from_slice(&len.to_be_bytes());
            error.extend_from_slice(&[58, 64]);
            error.extend_from_slice(&bytes[38..54]);
            error.extend_from_slice(&bytes[22..38]);
            error.extend_from_slice(&[2, 0, 0, 0, 0, 0]);
            error.extend_from_slice(&mtu.to_be_bytes());
            error.extend_from_slice(quoted);
            // The pseudo-header: addresses, length, protocol.
            let sum = checksum(&error[22..], u32::from(len) + 58);
            error[56..58].copy_from_slice(&sum.to_be_bytes());
        }
        _ => return None,
    }
    Some(Frame::plain(error))
}

/// The Internet checksum of `bytes`, with `sum` added.
fn checksum(bytes: &[u8], sum: u32) -> u16 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut sum = sum + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
