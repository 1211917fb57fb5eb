//! The device: what the stack asks of a network interface.
//!
//! The trait has the shape of virtio-net's header, since that is what paravirtual NICs, TAP and
//! real ones agree on: a frame goes out as one header slice plus slices of payload, with a request
//! for a checksum and for segmentation beside it; a frame comes in as slices with what the device
//! knows about its checksum. It can be a `dyn`, and a stack has several.

pub mod loopback;
pub mod merged;
pub mod segment;
#[cfg(feature = "vlan")]
pub mod vlan;

use crate::bytes::Bytes;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// Is it one host's address: neither a group's nor all zero?
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl core::fmt::Display for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a device is and can do. Fixed for the life of the device.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Capabilities {
    /// The device's own address.
    pub mac: Mac,
    /// Largest IP packet in bytes that one frame carries, without the 14 bytes of Ethernet header.
    pub mtu: u16,
    /// The device completes a TCP or UDP checksum on request ([`TxOffload::checksum`]).
    pub tx_checksum: bool,
    /// Largest IP packet in bytes that the device cuts into segments itself for TCP over IPv4;
    /// 0: it can't.
    pub tso4: u32,
    /// The same over IPv6.
    pub tso6: u32,
    /// The device cuts an IP packet of up to 65,535 bytes into datagrams of UDP (USO), of both families.
    pub uso: bool,
}

impl Capabilities {
    /// A plain device: no offload.
    pub const fn new(mac: Mac, mtu: u16) -> Self {
        Capabilities { mac, mtu, tx_checksum: false, tso4: 0, tso6: 0, uso: false }
    }

    /// The same with checksum offload on transmit.
    pub const fn with_tx_checksum(mut self) -> Self {
        self.tx_checksum = true;
        self
    }

    /// The same with TCP segmentation of IP packets up to these sizes; it implies the checksum.
    pub const fn with_tso(mut self, tso4: u32, tso6: u32) -> Self {
        self.tx_checksum = true;
        self.tso4 = tso4;
        self.tso6 = tso6;
        self
    }

    /// The same with segmentation of datagrams; it implies the checksum.
    pub const fn with_uso(mut self) -> Self {
        self.tx_checksum = true;
        self.uso = true;
        self
    }
}

/// What the device found out about the transport checksum of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RxChecksum {
    /// Nothing: the stack must check.
    #[default]
    Unchecked,
    /// It was checked and is right, or the frame never crossed a wire: either way it needs no
    /// check. The field itself may hold only the pseudo-header's sum (virtio's NEEDS_CSUM).
    Valid,
    /// It was checked and is wrong: the stack counts and drops the frame (H210).
    Bad,
}

/// One received frame, or several that the device or its peer merged into one.
#[derive(Clone, Copy)]
pub struct RxFrame<'a> {
    /// From the Ethernet header on. The first piece holds all headers (see [`Bytes`]).
    pub bytes: Bytes<'a>,
    /// What is known about the transport checksum.
    pub checksum: RxChecksum,
    /// Payload bytes of each segment that was merged into this frame; `None` for a plain frame.
    pub segment_len: Option<u16>,
}

impl<'a> RxFrame<'a> {
    /// A plain frame of which nothing is known.
    pub fn plain(parts: &'a [&'a [u8]]) -> Self {
        RxFrame { bytes: Bytes::new(parts), checksum: RxChecksum::Unchecked, segment_len: None }
    }
}

/// The device sums from `start` to the end of the frame and stores the result at
/// `start + offset`, where the stack has put the pseudo-header's sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChecksumRequest {
    /// First summed byte, counted from the Ethernet header.
    pub start: u16,
    /// Where in the summed part the field lies: 16 for TCP, 6 for UDP.
    pub offset: u16,
}

/// The device cuts the payload into pieces and repeats the headers before each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentRequest {
    /// IPv6 rather than IPv4.
    pub v6: bool,
    /// Datagrams of UDP rather than segments of TCP.
    pub udp: bool,
    /// Payload bytes per piece.
    pub segment_len: u16,
}

/// What a frame asks of the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TxOffload {
    /// Complete the transport checksum.
    pub checksum: Option<ChecksumRequest>,
    /// Segment the frame. Comes with a checksum request.
    pub segment: Option<SegmentRequest>,
}

/// A frame to send: headers, then payload in pieces. Nothing is copied on the way to the device.
#[derive(Clone, Copy)]
pub struct TxFrame<'a> {
    /// Ethernet, IP and transport headers.
    pub header: &'a [u8],
    /// The payload, in order; at most [`TX_PIECES`] pieces.
    pub payload: &'a [&'a [u8]],
    /// Within the device's [`Capabilities`].
    pub offload: TxOffload,
}

/// Most payload pieces in one [`TxFrame`].
pub const TX_PIECES: usize = 34;

/// Room for the payload of one [`TxFrame`].
pub(crate) type Pieces<'a> = heapless::Vec<&'a [u8], TX_PIECES>;

impl TxFrame<'_> {
    /// Bytes of the frame from the Ethernet header on.
    pub fn len(&self) -> usize {
        self.header.len() + self.payload.iter().map(|p| p.len()).sum::<usize>()
    }

    /// True for a frame without a byte, which no device takes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a frame was not taken. In both cases nothing has happened to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxError {
    /// No room now; the stack tries again when the device has made progress.
    Full,
    /// The device can't send: it is gone, or the frame is larger than its limit.
    Refused,
}

/// Can frames cross the link?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Carrier is there, or the device can't tell.
    Up,
    /// No carrier; frames are dropped.
    Down,
    /// The device failed or was taken away; it never comes back.
    Gone,
}

/// A network interface that carries Ethernet frames.
pub trait Device {
    /// What the device is. Always the same answer.
    fn capabilities(&self) -> Capabilities;

    /// Hands one waiting frame to `sink` and takes its buffer back afterwards.
    /// Returns false, without calling `sink`, when none waits. Never blocks.
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool;

    /// Takes the frame whole or not at all. The device has copied or mapped the bytes when this
    /// returns; it may hold them back until [`flush`](Device::flush). Never blocks.
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError>;

    /// Ends a batch of transmits: tells the hardware about them, once.
    fn flush(&mut self) {}

    /// Asks for an interrupt (or other wake-up of the platform) at the next event: a frame
    /// arrives or, after [`TxError::Full`], room appears. Returns false if such an event is
    /// already there, so that the caller must not go to sleep.
    fn arm(&mut self) -> bool {
        true
    }

    /// Is the link usable?
    fn link(&mut self) -> LinkState {
        LinkState::Up
    }

    /// Lets frames to the group address through the device's filter, or no longer. A device
    /// that passes all multicast ignores it.
    fn set_multicast(&mut self, _group: Mac, _join: bool) {}
}

impl<D: Device + ?Sized> Device for &mut D {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        (**self).receive(sink)
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        (**self).transmit(frame)
    }
    fn flush(&mut self) {
        (**self).flush();
    }
    fn arm(&mut self) -> bool {
        (**self).arm()
    }
    fn link(&mut self) -> LinkState {
        (**self).link()
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        (**self).set_multicast(group, join);
    }
}
