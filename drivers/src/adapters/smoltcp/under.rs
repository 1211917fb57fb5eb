//! One of our devices as a device of smoltcp.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use ::smoltcp::phy::{self, DeviceCapabilities, Medium};
use ::smoltcp::time::Instant;
use ::smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};
use barenet::device::{Device, RxChecksum, RxFrame, TxError, TxFrame, TxOffload, merged};

use crate::adapters::frame::HEADER_LEN;

/// Any of our devices under smoltcp 0.14, such as `virtio::VirtioNet`.
///
/// Frames are copied once each way. A frame whose checksum was never computed, because it never crossed a wire, gets
/// one; a frame that the device merged from several segments is handed on as the long segment that it is, datagrams one by one.
pub struct UnderSmoltcp<D> {
    received: Vec<u8>,
    /// What came in the same frame, in its order.
    others: VecDeque<Vec<u8>>,
    sender: Sender<D>,
}

struct Sender<D> {
    device: D,
    /// What the device had no room for.
    waiting: Option<Vec<u8>>,
}

impl<D: Device> UnderSmoltcp<D> {
    /// Takes the device.
    pub fn new(device: D) -> Self {
        UnderSmoltcp {
            received: Vec::new(),
            others: VecDeque::new(),
            sender: Sender { device, waiting: None },
        }
    }

    /// The device: to arm it before sleeping, and for its link.
    pub fn device(&mut self) -> &mut D {
        &mut self.sender.device
    }
}

impl<D: Device> Sender<D> {
    /// Is there room for a frame, now that what waited was tried again?
    fn has_room(&mut self) -> bool {
        if let Some(frame) = self.waiting.take() {
            self.send(frame);
        }
        self.waiting.is_none()
    }

    fn send(&mut self, frame: Vec<u8>) {
        let whole = TxFrame { header: &frame, payload: &[], offload: TxOffload::default() };
        // One that the device refuses is lost, as on any link.
        if self.device.transmit(whole) == Err(TxError::Full) {
            self.waiting = Some(frame);
        }
        self.device.flush();
    }
}

/// A frame that was received.
pub struct RxToken<'a>(&'a [u8]);

/// Room for a frame.
pub struct TxToken<'a, D>(&'a mut Sender<D>);

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl<D: Device> phy::TxToken for TxToken<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.send(frame);
        result
    }
}

impl<D: Device> phy::Device for UnderSmoltcp<D> {
    type RxToken<'a>
        = RxToken<'a>
    where
        D: 'a;
    type TxToken<'a>
        = TxToken<'a, D>
    where
        D: 'a;

    /// Without room for an answer nothing is received, as smoltcp may answer at once.
    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_, D>)> {
        if !self.sender.has_room() {
            return None;
        }
        // A frame with a wrong checksum is dropped here, and the next one is looked at.
        while self.others.is_empty() {
            let others = &mut self.others;
            let mut sink = |frame: RxFrame<'_>| {
                if merged::split(&frame, &mut |datagram| others.extend(taken(datagram))).is_none() {
                    others.extend(taken(frame));
                }
            };
            if !self.sender.device.receive(&mut sink) {
                return None;
            }
        }
        self.received = self.others.pop_front()?;
        Some((RxToken(&self.received), TxToken(&mut self.sender)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_, D>> {
        self.sender.has_room().then_some(TxToken(&mut self.sender))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(self.sender.device.capabilities().mtu) + HEADER_LEN;
        capabilities
    }
}

/// A copy of a frame that smoltcp can check.
fn taken(frame: RxFrame<'_>) -> Option<Vec<u8>> {
    if frame.checksum == RxChecksum::Bad {
        return None;
    }
    let mut buf = Vec::with_capacity(frame.bytes.len());
    frame.bytes.chunks().for_each(|part| buf.extend_from_slice(part));
    if frame.checksum == RxChecksum::Valid {
        complete(&mut buf);
    }
    Some(buf)
}

/// Computes the checksum of TCP or UDP anew: the field may hold the pseudo-header's sum alone. What is no such packet
/// stays as it is.
fn complete(frame: &mut [u8]) -> Option<()> {
    let mut frame = EthernetFrame::new_checked(frame).ok()?;
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let mut packet = Ipv4Packet::new_checked(frame.payload_mut()).ok()?;
            if packet.more_frags() || packet.frag_offset() != 0 {
                return None;
            }
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            let protocol = packet.next_header();
            transport(protocol, ends, packet.payload_mut())
        }
        EthernetProtocol::Ipv6 => {
            let mut packet = Ipv6Packet::new_checked(frame.payload_mut()).ok()?;
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            let protocol = packet.next_header();
            transport(protocol, ends, packet.payload_mut())
        }
        _ => None,
    }
}

fn transport(
    protocol: IpProtocol,
    (source, destination): (IpAddress, IpAddress),
    payload: &mut [u8],
) -> Option<()> {
    match protocol {
        IpProtocol::Tcp => {
            TcpPacket::new_checked(payload).ok()?.fill_checksum(&source, &destination);
        }
        IpProtocol::Udp => {
            UdpPacket::new_checked(payload).ok()?.fill_checksum(&source, &destination);
        }
        _ => return None,
    }
    Some(())
}
