//! Datagrams that a device handed over as one (GRO of UDP, USO of a TAP's other end): whoever gets them gets each for itself.

#[cfg(all(test, feature = "uso"))]
mod tests;

use super::{Pieces, RxChecksum, RxFrame};
use crate::bytes::Bytes;
use crate::wire::{Checksum, ETHERNET_LEN, IPV4_LEN, IPV6_LEN, UDP_LEN, protocol};

/// May a driver ask its device for merged datagrams? The stack takes them apart with the feature `uso`.
pub const TAKES_MERGED_DATAGRAMS: bool = cfg!(feature = "uso");

/// The longest headers that are repeated: a tag, IPv4 with options or IPv6 with some extensions, UDP.
const HEADERS_MAX: usize = 160;
/// Most datagrams of a frame: Linux merges and sends as many (`UDP_MAX_SEGMENTS`). Who says more is not believed, so that a
/// frame costs a bounded amount.
const DATAGRAMS_MAX: usize = 128;

/// Where the headers of a frame with a datagram lie.
struct Headers {
    ip: usize,
    udp: usize,
    /// Where the IP packet ends.
    end: usize,
}

impl Headers {
    /// Those of a frame that is not a fragment of IPv4.
    fn of(front: &[u8]) -> Option<Headers> {
        let word = |at: usize| Some(usize::from(u16::from_be_bytes([*front.get(at)?, *front.get(at + 1)?])));
        let (kind, ip) = match word(12)? {
            0x8100 => (word(16)?, ETHERNET_LEN + 4),
            kind => (kind, ETHERNET_LEN),
        };
        match kind {
            0x0800 if word(ip + 6)? & 0x3fff == 0 && front.get(ip + 9) == Some(&protocol::UDP) => {
                let len = usize::from(front[ip] & 15) * 4;
                (len >= IPV4_LEN).then_some(Headers { ip, udp: ip + len, end: ip + word(ip + 2)? })
            }
            0x86dd => {
                let (mut next, mut at) = (*front.get(ip + 6)?, ip + IPV6_LEN);
                // Hop-by-hop options, routing, destination options: of the same form.
                while matches!(next, 0 | 43 | 60) {
                    (next, at) = (*front.get(at)?, at + (usize::from(*front.get(at + 1)?) + 1) * 8);
                }
                let end = ip + IPV6_LEN + word(ip + 4)?;
                (next == protocol::UDP).then_some(Headers { ip, udp: at, end })
            }
            _ => None,
        }
    }

    /// Makes the headers those of a datagram of `len` bytes, the first one or that after the one before. The checksum stays: it is
    /// known to be right.
    fn patch(&self, headers: &mut [u8], is_first: bool, len: usize) {
        let (ip, udp) = headers[self.ip..].split_at_mut(self.udp - self.ip);
        let put = |bytes: &mut [u8], at: usize, value: u16| {
            bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
        };
        let whole = (ip.len() + UDP_LEN + len) as u16;
        if ip[0] >> 4 == 4 {
            put(ip, 2, whole);
            let ident = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add((!is_first).into());
            put(ip, 4, ident);
            put(ip, 10, 0);
            let mut sum = Checksum::default();
            sum.add(ip);
            put(ip, 10, sum.finish());
        } else {
            put(ip, 4, whole - IPV6_LEN as u16);
        }
        put(udp, 4, (UDP_LEN + len) as u16);
    }
}

/// Hands each datagram of a frame that has several to `sink`, in their order, as a frame of its own, and says how many they are: 0 if
/// it can't be. `None`: the frame has one datagram, or none.
///
/// Their checksums have to be known to be right: a sum over all of them says nothing. Identifications of IPv4 count up, as in what is
/// cut on the way out.
pub fn split(frame: &RxFrame<'_>, sink: &mut dyn FnMut(RxFrame<'_>)) -> Option<usize> {
    let segment_len = frame.segment_len.filter(|len| TAKES_MERGED_DATAGRAMS && *len > 0)?;
    let segment_len = usize::from(segment_len);
    let front = frame.bytes.front();
    let at = Headers::of(front)?;
    let headers_len = at.udp + UDP_LEN;
    let total = at.end.saturating_sub(headers_len);
    if total <= segment_len {
        return None;
    }
    let payload = frame.bytes.slice(headers_len, total);
    let is_whole = payload.len() == total && frame.checksum == RxChecksum::Valid;
    let mut buf = [0; HEADERS_MAX];
    let (Some(headers), Some(all), true) = (
        buf.get_mut(..headers_len),
        front.get(..headers_len),
        is_whole && total.div_ceil(segment_len) <= DATAGRAMS_MAX,
    ) else {
        return Some(0);
    };
    headers.copy_from_slice(all);
    let mut count = 0;
    for done in (0..total).step_by(segment_len) {
        let part = payload.slice(done, segment_len);
        at.patch(headers, count == 0, part.len());
        let mut pieces = Pieces::new();
        // There are no more than a device's buffers for the whole frame, for which there is room.
        if core::iter::once(&*headers).chain(part.chunks()).any(|piece| pieces.push(piece).is_err()) {
            break;
        }
        let bytes = Bytes::new(&pieces);
        sink(RxFrame { bytes, checksum: RxChecksum::Valid, segment_len: None });
        count += 1;
    }
    Some(count)
}
