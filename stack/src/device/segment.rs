//! The software segmenter: TCP packets of up to 64 KiB for devices that take less.
//!
//! The engine plans one packet with the headers of a whole; a device with segmentation offload
//! takes it as it is, and this cuts it for the others. Nothing is copied but the headers.

use crate::device::{
    Capabilities, ChecksumRequest, Device, SegmentRequest, TX_PIECES, TxError, TxFrame, TxOffload,
};
use crate::wire::{Checksum, ETHERNET_LEN, IPV4_LEN, IPV6_LEN, protocol};

/// Longest Ethernet, IPv6 and TCP header.
const HEADER_LEN_MAX: usize = ETHERNET_LEN + 40 + 60;

/// A TCP packet that may be many segments long.
#[derive(Clone, Copy)]
pub struct TcpFrame<'a> {
    /// Ethernet, IP (without options) and TCP header, for the packet as a whole. The TCP checksum
    /// is filled in here; FIN and PSH go to the last segment, CWR to the first.
    pub header: &'a [u8],
    /// Where the TCP header starts: 34 over IPv4, 54 over IPv6.
    pub transport: usize,
    /// The payload in order, in at most [`TX_PIECES`] pieces.
    pub payload: &'a [&'a [u8]],
    /// Payload bytes of one segment, not 0.
    pub mss: u16,
}

/// Sends a TCP packet, cut as the device needs it, and returns how many payload bytes the device
/// took: fewer than there are if it ran full on the way.
///
/// An error means that the device took nothing.
pub fn transmit(device: &mut dyn Device, frame: &TcpFrame<'_>) -> Result<usize, TxError> {
    let mut header = [0; HEADER_LEN_MAX];
    let Some(header) = header.get_mut(..frame.header.len()) else {
        return Err(TxError::Refused);
    };
    header.copy_from_slice(frame.header);
    let total: usize = frame.payload.iter().map(|p| p.len()).sum();
    let mut cutter = Cutter::new(frame, header, device.capabilities())?;
    if total <= usize::from(frame.mss) && frame.payload.len() <= TX_PIECES {
        // What is no longer than a segment needs no cutting.
        return cutter.send(device, frame.payload, total, true).map(|()| total);
    }
    let mut pieces = [&[][..]; TX_PIECES];
    loop {
        let left = total - cutter.done;
        let (count, len, next) = cutter.gather(left.min(cutter.chunk_max), &mut pieces);
        match cutter.send(device, &pieces[..count], len, len == left) {
            Err(error) if cutter.done == 0 => return Err(error),
            Err(_) => return Ok(cutter.done),
            Ok(()) if cutter.done == total => return Ok(total),
            Ok(()) => cutter.at = next,
        }
    }
}

/// Where in the TCP header things lie.
const SEQ_AT: usize = 4;
const FLAGS_AT: usize = 13;
const CHECKSUM_AT: usize = 16;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

struct Cutter<'a, 'h> {
    payload: &'a [&'a [u8]],
    /// The headers of the next part, patched from part to part.
    header: &'h mut [u8],
    transport: usize,
    mss: u16,
    tx_checksum: bool,
    v6: bool,
    /// Of the whole packet.
    seq: u32,
    ident: u16,
    flags: u8,
    /// Sum of an IPv4 header without length, identification and checksum.
    ip_sum: Checksum,
    /// Addresses and protocol: the part of the pseudo-header that all parts share.
    pseudo: Checksum,
    /// Payload bytes that one transmit can carry; a multiple of the MSS.
    chunk_max: usize,
    done: usize,
    segments: u16,
    /// The piece that the next byte lies in, and where.
    at: (usize, usize),
}

impl<'a, 'h> Cutter<'a, 'h> {
    fn new(frame: &TcpFrame<'a>, header: &'h mut [u8], capabilities: Capabilities) -> Result<Self, TxError> {
        let transport = frame.transport;
        let v6 = transport == ETHERNET_LEN + IPV6_LEN;
        let known = v6 || transport == ETHERNET_LEN + IPV4_LEN;
        let Some((ip, tcp)) = header.split_at_checked(transport) else {
            return Err(TxError::Refused);
        };
        if !known || tcp.len() < CHECKSUM_AT + 2 || frame.mss == 0 {
            return Err(TxError::Refused);
        }
        let mut pseudo = Checksum::default();
        pseudo.add(if v6 { &ip[22..54] } else { &ip[26..34] });
        pseudo.add_word(u16::from(protocol::TCP));
        let (seq, flags) =
            (u32::from(get_u16(tcp, SEQ_AT)) << 16 | u32::from(get_u16(tcp, SEQ_AT + 2)), tcp[FLAGS_AT]);
        let ident = if v6 { 0 } else { get_u16(ip, ETHERNET_LEN + 4) };
        let mut ip_sum = Checksum::default();
        if !v6 {
            ip_sum.add(&ip[ETHERNET_LEN..ETHERNET_LEN + 2]);
            ip_sum.add(&ip[ETHERNET_LEN + 6..ETHERNET_LEN + 10]);
            ip_sum.add(&ip[ETHERNET_LEN + 12..]);
        }
        let tso = if v6 { capabilities.tso6 } else { capabilities.tso4 } as usize;
        let headers = header.len() - ETHERNET_LEN;
        // A device without segmentation offload is spared the division.
        let segments = if tso > headers { (tso - headers) / usize::from(frame.mss) } else { 1 };
        Ok(Cutter {
            payload: frame.payload,
            header,
            transport,
            mss: frame.mss,
            tx_checksum: capabilities.tx_checksum,
            v6,
            seq,
            ident,
            flags,
            ip_sum,
            pseudo,
            chunk_max: segments.max(1) * usize::from(frame.mss),
            done: 0,
            segments: 0,
            at: (0, 0),
        })
    }

    /// Sends the next `len` bytes, which lie in `pieces`.
    fn send(
        &mut self,
        device: &mut dyn Device,
        pieces: &[&[u8]],
        len: usize,
        is_last: bool,
    ) -> Result<(), TxError> {
        let mss = usize::from(self.mss);
        self.patch(len, is_last);
        let offload = self.checksum(pieces, len, len > mss);
        device.transmit(TxFrame { header: self.header, payload: pieces, offload })?;
        self.done += len;
        let segments = if len > mss { len.div_ceil(mss) } else { 1 };
        self.segments = self.segments.wrapping_add(segments as u16);
        Ok(())
    }

    /// The next `len` bytes of payload: how many pieces, how many bytes, and what follows.
    fn gather(&self, len: usize, pieces: &mut [&'a [u8]; TX_PIECES]) -> (usize, usize, (usize, usize)) {
        let (mut piece, mut from) = self.at;
        let (mut count, mut done) = (0, 0);
        while let Some(data) = self.payload.get(piece) {
            if done == len || count == TX_PIECES {
                break;
            }
            let n = (data.len() - from).min(len - done);
            if n > 0 {
                pieces[count] = &data[from..from + n];
                count += 1;
            }
            done += n;
            from += n;
            if from == data.len() {
                (piece, from) = (piece + 1, 0);
            }
        }
        (count, done, (piece, from))
    }

    /// The headers of the part that starts `done` bytes in and is `len` long.
    fn patch(&mut self, len: usize, is_last: bool) {
        let (ip, tcp) = self.header[ETHERNET_LEN..].split_at_mut(self.transport - ETHERNET_LEN);
        let after_ip = tcp.len() + len;
        if self.v6 {
            put_u16(ip, 4, after_ip as u16);
        } else {
            let len = (IPV4_LEN + after_ip) as u16;
            let ident = self.ident.wrapping_add(self.segments);
            put_u16(ip, 2, len);
            put_u16(ip, 4, ident);
            let mut sum = self.ip_sum;
            sum.add_word(len);
            sum.add_word(ident);
            put_u16(ip, 10, sum.finish());
        }
        let seq = self.seq.wrapping_add(self.done as u32);
        tcp[SEQ_AT..SEQ_AT + 4].copy_from_slice(&seq.to_be_bytes());
        let only_last = if is_last { 0 } else { FIN_PSH };
        let only_first = if self.done == 0 { 0 } else { CWR };
        tcp[FLAGS_AT] = self.flags & !only_last & !only_first;
    }

    /// Fills the TCP checksum in, or asks the device to.
    fn checksum(&mut self, pieces: &[&[u8]], len: usize, segmented: bool) -> TxOffload {
        let tcp = &mut self.header[self.transport..];
        let mut sum = self.pseudo;
        sum.add_word((tcp.len() + len) as u16);
        if self.tx_checksum {
            put_u16(tcp, CHECKSUM_AT, sum.sum());
            let segment = SegmentRequest { v6: self.v6, segment_len: self.mss };
            return TxOffload {
                checksum: Some(ChecksumRequest { start: self.transport as u16, offset: CHECKSUM_AT as u16 }),
                segment: segmented.then_some(segment),
            };
        }
        put_u16(tcp, CHECKSUM_AT, 0);
        sum.add(tcp);
        pieces.iter().for_each(|piece| sum.add(piece));
        put_u16(tcp, CHECKSUM_AT, sum.finish());
        TxOffload::default()
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
