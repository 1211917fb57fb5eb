//! The software segmenter: TCP packets of up to 64 KiB for devices that take less.
//!
//! The engine plans one packet with the headers of a whole; a device with segmentation offload
//! takes it as it is, and this cuts it for the others. Nothing is copied but the headers.

use crate::device::{
    Capabilities, ChecksumRequest, Device, SegmentRequest, TX_PIECES, TxError, TxFrame, TxOffload,
};
use crate::wire::{Checksum, ETHERNET_LEN, IPV4_LEN, protocol};

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
    let mut cutter = Cutter::new(frame, device.capabilities())?;
    let total: usize = frame.payload.iter().map(|p| p.len()).sum();
    loop {
        match cutter.send_next(device, total - cutter.done) {
            Err(error) if cutter.done == 0 => return Err(error),
            Err(_) => return Ok(cutter.done),
            Ok(()) if cutter.done == total => return Ok(total),
            Ok(()) => {}
        }
    }
}

/// Where in the TCP header things lie.
const SEQ_AT: usize = 4;
const FLAGS_AT: usize = 13;
const CHECKSUM_AT: usize = 16;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

struct Cutter<'a> {
    frame: TcpFrame<'a>,
    capabilities: Capabilities,
    v6: bool,
    /// Payload bytes that one transmit can carry; a multiple of the MSS unless it is all.
    chunk_max: usize,
    done: usize,
    segments: u16,
    /// The piece that the next byte lies in, and where.
    at: (usize, usize),
}

impl<'a> Cutter<'a> {
    fn new(frame: &TcpFrame<'a>, capabilities: Capabilities) -> Result<Self, TxError> {
        let lengths_fit = frame.header.len() <= HEADER_LEN_MAX
            && frame.transport + CHECKSUM_AT + 2 <= frame.header.len()
            && frame.transport >= ETHERNET_LEN + IPV4_LEN
            && frame.mss > 0;
        if !lengths_fit {
            return Err(TxError::Refused);
        }
        let v6 = frame.transport != ETHERNET_LEN + IPV4_LEN;
        let tso = if v6 { capabilities.tso6 } else { capabilities.tso4 } as usize;
        let headers = frame.header.len() - ETHERNET_LEN;
        let mss = usize::from(frame.mss);
        let segments = tso.saturating_sub(headers) / mss;
        let chunk_max = segments.max(1) * mss;
        Ok(Cutter { frame: *frame, capabilities, v6, chunk_max, done: 0, segments: 0, at: (0, 0) })
    }

    fn send_next(&mut self, device: &mut dyn Device, left: usize) -> Result<(), TxError> {
        let mut pieces = [&[][..]; TX_PIECES];
        let (count, len, at) = self.gather(left.min(self.chunk_max), &mut pieces);
        let payload = &pieces[..count];
        let segmented = len > usize::from(self.frame.mss);
        let mut header = [0; HEADER_LEN_MAX];
        let header = &mut header[..self.frame.header.len()];
        self.patch(header, len, len == left);
        let offload = self.checksum(header, payload, len, segmented);
        device.transmit(TxFrame { header, payload, offload })?;
        self.done += len;
        self.at = at;
        self.segments = self.segments.wrapping_add(len.div_ceil(usize::from(self.frame.mss)) as u16);
        Ok(())
    }

    /// The next `len` bytes of payload: how many pieces, how many bytes, and what follows.
    fn gather(&self, len: usize, pieces: &mut [&'a [u8]; TX_PIECES]) -> (usize, usize, (usize, usize)) {
        let (mut piece, mut from) = self.at;
        let (mut count, mut done) = (0, 0);
        while let Some(data) = self.frame.payload.get(piece) {
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
    fn patch(&self, header: &mut [u8], len: usize, is_last: bool) {
        header.copy_from_slice(self.frame.header);
        let (ip, tcp) = header[ETHERNET_LEN..].split_at_mut(self.frame.transport - ETHERNET_LEN);
        let after_ip = tcp.len() + len;
        if self.v6 {
            put_u16(ip, 4, after_ip as u16);
        } else {
            let ident = get_u16(ip, 4).wrapping_add(self.segments);
            put_u16(ip, 2, (IPV4_LEN + after_ip) as u16);
            put_u16(ip, 4, ident);
            put_u16(ip, 10, 0);
            let mut sum = Checksum::default();
            sum.add(ip);
            put_u16(ip, 10, sum.finish());
        }
        let seq = u32::from(get_u16(tcp, SEQ_AT)) << 16 | u32::from(get_u16(tcp, SEQ_AT + 2));
        let seq = seq.wrapping_add(self.done as u32);
        tcp[SEQ_AT..SEQ_AT + 4].copy_from_slice(&seq.to_be_bytes());
        if !is_last {
            tcp[FLAGS_AT] &= !FIN_PSH;
        }
        if self.done > 0 {
            tcp[FLAGS_AT] &= !CWR;
        }
    }

    /// Fills the TCP checksum in, or asks the device to.
    fn checksum(&self, header: &mut [u8], payload: &[&[u8]], len: usize, segmented: bool) -> TxOffload {
        let (ip, tcp) = header.split_at_mut(self.frame.transport);
        let addresses = if self.v6 { &ip[22..54] } else { &ip[26..34] };
        let mut sum = Checksum::default();
        sum.add(addresses);
        sum.add_word(u16::from(protocol::TCP));
        sum.add_word((tcp.len() + len) as u16);
        if self.capabilities.tx_checksum {
            put_u16(tcp, CHECKSUM_AT, sum.sum());
            let segment = SegmentRequest { v6: self.v6, segment_len: self.frame.mss };
            return TxOffload {
                checksum: Some(ChecksumRequest {
                    start: self.frame.transport as u16,
                    offset: CHECKSUM_AT as u16,
                }),
                segment: segmented.then_some(segment),
            };
        }
        put_u16(tcp, CHECKSUM_AT, 0);
        sum.add(tcp);
        payload.iter().for_each(|piece| sum.add(piece));
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
