//! The software segmenter: TCP packets of up to 64 KiB for devices that take less.
//!
//! The engine plans one packet with the headers of a whole; a device with segmentation offload
//! takes it as it is, and this cuts it for the others. Nothing is copied but the headers.

use crate::device::{
    Capabilities, ChecksumRequest, Device, Pieces, SegmentRequest, TxError, TxFrame, TxOffload,
};
use crate::wire::{Checksum, ETHERNET_LEN, IPV4_LEN, IPV6_LEN, protocol};

/// A TCP packet that may be many segments long.
pub struct TcpFrame<'a> {
    /// Ethernet, IP (without options) and TCP header, for the packet as a whole. The TCP checksum
    /// is filled in here; FIN and PSH go to the last segment, CWR to the first. Of no use afterwards.
    pub header: &'a mut [u8],
    /// Where the TCP header starts: 34 over IPv4, 54 over IPv6.
    pub transport: usize,
    /// The payload in order, in at most [`TX_PIECES`](super::TX_PIECES) pieces.
    pub payload: &'a [&'a [u8]],
    /// Payload bytes of one segment, not 0.
    pub mss: u16,
}

/// Sends a TCP packet, cut as the device needs it, and returns how many payload bytes the device
/// took: fewer than there are if it ran full on the way.
///
/// Without the feature `offload` nothing is cut: the packet has to be one segment. Nor is a device asked for a checksum.
///
/// An error means that the device took nothing. [`TxError::Refused`] also if a segment would be longer than
/// a packet can be, 65,535 bytes, or if the header is none.
pub fn transmit(device: &mut dyn Device, frame: TcpFrame<'_>) -> Result<usize, TxError> {
    let TcpFrame { header, transport, payload, mss } = frame;
    let v6 = transport == ETHERNET_LEN + IPV6_LEN;
    let known = v6 || transport == ETHERNET_LEN + IPV4_LEN;
    if !known || header.len() < transport + CHECKSUM_AT + 2 || mss == 0 {
        return Err(TxError::Refused);
    }
    let ip = &header[..transport];
    let addresses = match v6 {
        true => ip.last_chunk::<32>().map(Checksum::of_words),
        false => ip.last_chunk::<8>().map(Checksum::of_words),
    };
    let mut pseudo = addresses.unwrap_or_default();
    pseudo.add_word(u16::from(protocol::TCP));
    let total = payload.iter().map(|p| p.len()).sum();
    transmit_from(device, TcpFrame { header, transport, payload, mss }, total, pseudo)
}

/// The same for a packet with `total` bytes of payload and a right header, of whose addresses and protocol this is the sum.
#[inline]
pub(crate) fn transmit_from(
    device: &mut dyn Device,
    frame: TcpFrame<'_>,
    total: usize,
    pseudo: Checksum,
) -> Result<usize, TxError> {
    let TcpFrame { header, transport, payload, mss } = frame;
    let v6 = transport == ETHERNET_LEN + IPV6_LEN;
    let capabilities = device.capabilities();
    let tx_checksum = cfg!(feature = "offload") && capabilities.tx_checksum;
    if total.min(mss.into()) + header.len() - ETHERNET_LEN > usize::from(u16::MAX) {
        return Err(TxError::Refused);
    }
    if total > usize::from(mss) {
        if cfg!(not(feature = "offload")) {
            return Err(TxError::Refused);
        }
        let chunk_max = chunk_max(&capabilities, v6, header.len(), mss);
        return Cutter { payload, transport, mss, tx_checksum, v6, pseudo, chunk_max }
            .cut(device, header, total);
    }
    let checksum = fill_checksum(header, transport, pseudo, payload, total, tx_checksum);
    device.transmit(TxFrame { header, payload, offload: TxOffload { checksum, segment: None } })?;
    Ok(total)
}

/// Payload bytes that one transmit can carry; a multiple of the MSS.
fn chunk_max(capabilities: &Capabilities, v6: bool, header_len: usize, mss: u16) -> usize {
    let tso = if v6 { capabilities.tso6 } else { capabilities.tso4 } as usize;
    // The length fields of IP hold no more, whatever a device takes.
    let tso = tso.min(usize::from(u16::MAX));
    let headers = header_len - ETHERNET_LEN;
    // A device without segmentation offload is spared the division.
    let segments = if tso > headers { (tso - headers) / usize::from(mss) } else { 1 };
    segments.max(1) * usize::from(mss)
}

/// Fills the TCP checksum in, or asks the device to, for a packet with `len` bytes of payload.
#[inline(always)] // at every segment
fn fill_checksum(
    header: &mut [u8],
    transport: usize,
    mut sum: Checksum,
    payload: &[&[u8]],
    len: usize,
    tx_checksum: bool,
) -> Option<ChecksumRequest> {
    let tcp = &mut header[transport..];
    sum.add_word((tcp.len() + len) as u16);
    if tx_checksum {
        put_u16(tcp, CHECKSUM_AT, sum.sum());
        return Some(ChecksumRequest { start: transport as u16, offset: CHECKSUM_AT as u16 });
    }
    put_u16(tcp, CHECKSUM_AT, 0);
    sum.add(tcp);
    payload.iter().for_each(|piece| sum.add(piece));
    put_u16(tcp, CHECKSUM_AT, sum.finish());
    None
}

/// Where in the TCP header things lie.
const SEQ_AT: usize = 4;
const FLAGS_AT: usize = 13;
const CHECKSUM_AT: usize = 16;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

struct Cutter<'a> {
    payload: &'a [&'a [u8]],
    transport: usize,
    mss: u16,
    tx_checksum: bool,
    v6: bool,
    /// Addresses and protocol: the part of the pseudo-header that all parts share.
    pseudo: Checksum,
    chunk_max: usize,
}

/// What the headers of all parts have in common.
struct Whole {
    seq: u32,
    ident: u16,
    flags: u8,
    /// Sum of an IPv4 header without length, identification and checksum.
    ip_sum: Checksum,
}

impl Whole {
    fn of(ip: &[u8], tcp: &[u8], v6: bool) -> Whole {
        let (seq, flags) =
            (u32::from(get_u16(tcp, SEQ_AT)) << 16 | u32::from(get_u16(tcp, SEQ_AT + 2)), tcp[FLAGS_AT]);
        let mut ip_sum = Checksum::default();
        if v6 {
            return Whole { seq, ident: 0, flags, ip_sum };
        }
        ip_sum.add(&ip[..2]);
        ip_sum.add(&ip[6..10]);
        ip_sum.add(&ip[12..]);
        Whole { seq, ident: get_u16(ip, 4), flags, ip_sum }
    }
}

impl<'a> Cutter<'a> {
    /// Sends the parts one after the other, each with the headers patched for it.
    fn cut(&self, device: &mut dyn Device, header: &mut [u8], total: usize) -> Result<usize, TxError> {
        let (ip, tcp) = header[ETHERNET_LEN..].split_at(self.transport - ETHERNET_LEN);
        let whole = Whole::of(ip, tcp, self.v6);
        let mss = usize::from(self.mss);
        let mut pieces = Pieces::new();
        let (mut done, mut segments, mut at) = (0, 0u16, (0, 0));
        while done < total {
            let left = total - done;
            let (len, next) = self.gather(at, left.min(self.chunk_max), &mut pieces);
            let ident = whole.ident.wrapping_add(segments);
            self.patch(header, &whole, ident, done, len, len == left);
            let checksum = fill_checksum(header, self.transport, self.pseudo, &pieces, len, self.tx_checksum);
            let request = SegmentRequest { v6: self.v6, udp: false, segment_len: self.mss };
            let offload = TxOffload { checksum, segment: Some(request).filter(|_| len > mss) };
            match device.transmit(TxFrame { header, payload: &pieces, offload }) {
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
            done += len;
            // Most parts are one segment: no division for those.
            segments = segments.wrapping_add(if len > mss { len.div_ceil(mss) as u16 } else { 1 });
            at = next;
        }
        Ok(done)
    }

    /// The `len` bytes of payload from `at` on, a piece and a place in it: how many bytes they are,
    /// and what follows.
    fn gather(&self, at: (usize, usize), len: usize, pieces: &mut Pieces<'a>) -> (usize, (usize, usize)) {
        let ((mut piece, mut from), mut done) = (at, 0);
        pieces.clear();
        while let Some(data) = self.payload.get(piece)
            && done < len
        {
            let n = (data.len() - from).min(len - done);
            if n > 0 && pieces.push(&data[from..from + n]).is_err() {
                break;
            }
            done += n;
            from += n;
            if from == data.len() {
                (piece, from) = (piece + 1, 0);
            }
        }
        (done, (piece, from))
    }

    /// The headers of the part that starts `done` bytes in and is `len` long.
    fn patch(&self, header: &mut [u8], whole: &Whole, ident: u16, done: usize, len: usize, is_last: bool) {
        let (ip, tcp) = header[ETHERNET_LEN..].split_at_mut(self.transport - ETHERNET_LEN);
        let after_ip = tcp.len() + len;
        if self.v6 {
            put_u16(ip, 4, after_ip as u16);
        } else {
            let len = (IPV4_LEN + after_ip) as u16;
            put_u16(ip, 2, len);
            put_u16(ip, 4, ident);
            let mut sum = whole.ip_sum;
            sum.add_word(len);
            sum.add_word(ident);
            put_u16(ip, 10, sum.finish());
        }
        let seq = whole.seq.wrapping_add(done as u32);
        tcp[SEQ_AT..SEQ_AT + 4].copy_from_slice(&seq.to_be_bytes());
        let only_last = if is_last { 0 } else { FIN_PSH };
        let only_first = if done == 0 { 0 } else { CWR };
        tcp[FLAGS_AT] = whole.flags & !only_last & !only_first;
    }
}

fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests;
