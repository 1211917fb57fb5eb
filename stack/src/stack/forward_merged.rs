//! Forwarding of TCP segments that a device, or the sender's own, handed over as one packet (LRO, GRO, TSO of a TAP's other end):
//! they go on as the segments that they stand for, since only these are sure to fit the next link.

use super::Stack;
use super::egress::answer_to;
use super::forwarding::Report;
use crate::base::pool::Need;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::segment::{self, TcpFrame};
use crate::device::{Capabilities, Device, Mac, Pieces, RxFrame, TxError, TxFrame};
use crate::ip::{PacketMeta, Path};
use crate::link::neighbor::Purpose;
use crate::time::Instant;
use crate::wire::{
    ETHERNET_LEN, EtherType, IPV4_LEN, IPV6_LEN, LinkPath, emit_ethernet, fix_checksum_v4, protocol,
};

/// The longest header of TCP.
const TCP_LEN_MAX: usize = 60;
const TCP_LEN_MIN: usize = 20;

/// A packet of several segments.
pub(super) struct Merged<'p> {
    packet: Bytes<'p>,
    /// Bytes of the IP header, and with that of TCP.
    ip_len: usize,
    headers: usize,
    /// Payload bytes of each segment.
    segment_len: u16,
}

impl<'p> Merged<'p> {
    /// `None`: it is one packet, or none of TCP behind a plain IP header; of others nobody merges any.
    pub(super) fn of(
        meta: &PacketMeta,
        packet: Bytes<'p>,
        (next, ip_len): (u8, usize),
    ) -> Option<Merged<'p>> {
        let segment_len = meta.segment_len.filter(|len| *len > 0)?;
        if next != protocol::TCP || !matches!(ip_len, IPV4_LEN | IPV6_LEN) {
            return None;
        }
        let transport = packet.slice(ip_len, TCP_LEN_MAX).front();
        let tcp_len = usize::from(transport.get(12)? >> 4) * 4;
        let headers = ip_len + tcp_len;
        let is_whole = tcp_len >= TCP_LEN_MIN && transport.len() >= tcp_len && packet.len() > headers;
        is_whole.then_some(Merged { packet, ip_len, headers, segment_len })
    }
}

/// What the segmenter takes for a device: each segment is queued for the next hop.
struct Queue<'q, 's> {
    stack: &'q mut Stack<'s>,
    path: &'q Path,
    purpose: Purpose,
    mac: Option<Mac>,
    now: Instant,
    /// Why the last one was not taken.
    refused: Option<Drop>,
}

impl Device for Queue<'_, '_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac::default(), self.path.mtu)
    }
    fn receive(&mut self, _sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let traffic = match frame.header[12] {
            0x08 => &mut self.stack.counters.ipv4,
            _ => &mut self.stack.counters.ipv6,
        };
        traffic.sent.count(frame.len() - ETHERNET_LEN);
        let packet = (frame.header, Bytes::new(frame.payload));
        let purposes = (self.purpose, Need::Bulk);
        let taken = self.stack.hand_over(self.path, purposes, self.mac, packet, None, self.now);
        taken.map_err(|drop| {
            self.refused = Some(drop);
            TxError::Refused
        })
    }
}

impl Stack<'_> {
    /// Forwards each segment. Those that are larger than the next link are reported, or cut smaller where their sender allows that.
    pub(super) fn forward_merged(
        &mut self,
        path: &Path,
        meta: &PacketMeta,
        merged: Merged<'_>,
        dont_fragment: bool,
        now: Instant,
    ) -> Result<(), Drop> {
        let Merged { packet, ip_len, headers, segment_len } = merged;
        let room = usize::from(path.mtu).saturating_sub(headers);
        let is_short = packet.len() - headers <= room;
        if (usize::from(segment_len) > room && !is_short && dont_fragment) || room == 0 {
            self.report_forward(meta, &Report::TooBig { mtu: path.mtu }, packet, now);
            return Err(Drop::ForwardTooBig);
        }
        let interface = self.interface(path.interface).ok_or(Drop::InterfaceGone)?;
        let source = interface.capabilities.mac;
        let purpose = answer_to(path, meta.destination);
        let mac = match self.resolve(path, purpose, now).hop() {
            Ok(mac) => mac,
            Err(drop) => return self.report_unsent(Err(drop), meta, packet, now),
        };
        let mut front = [0; ETHERNET_LEN + IPV6_LEN + TCP_LEN_MAX];
        let front = &mut front[..ETHERNET_LEN + headers];
        packet.slice(0, headers).copy_to(&mut front[ETHERNET_LEN..]);
        let kind = if meta.destination.is_ipv4() { EtherType::Ipv4 } else { EtherType::Ipv6 };
        emit_ethernet(front, &LinkPath { source, destination: mac.unwrap_or_default() }, kind);
        if meta.destination.is_ipv4() {
            front[ETHERNET_LEN + 8] -= 1;
            fix_checksum_v4(&mut front[ETHERNET_LEN..ETHERNET_LEN + ip_len]);
        } else {
            front[ETHERNET_LEN + 7] -= 1;
        }
        let mut payload = Pieces::new();
        for piece in packet.slice(headers, usize::MAX).chunks() {
            payload.push(piece).map_err(|_| Drop::ForwardTooBig)?;
        }
        let mss = usize::from(segment_len).min(room) as u16;
        let mut queue = Queue { stack: self, path, purpose, mac, now, refused: None };
        let frame = TcpFrame { header: front, transport: ETHERNET_LEN + ip_len, payload: &payload, mss };
        let _ = segment::transmit(&mut queue, frame);
        queue.refused.map_or(Ok(()), Err)
    }
}
