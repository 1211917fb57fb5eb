//! A cable for measuring: two rings of preallocated frames, no delay, no faults, no allocation per frame.
//!
//! One copy per frame and side, as with a real device: ours gathers header and payload into the slot, smoltcp writes
//! its frame there.

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// No frame without payload is longer: Ethernet, IPv6, and TCP with all its options.
const HEADERS_MAX: usize = ETHERNET + 40 + 60;

struct Ring {
    slots: Vec<Box<[u8]>>,
    len: Vec<usize>,
    head: usize,
    tail: usize,
    data: u64,
}

impl Ring {
    fn new(slots: usize, frame_len: usize) -> Shared {
        assert!(slots.is_power_of_two());
        Rc::new(RefCell::new(Ring {
            slots: vec![vec![0; frame_len].into(); slots],
            len: vec![0; slots],
            head: 0,
            tail: 0,
            data: 0,
        }))
    }

    fn is_full(&self) -> bool {
        self.tail - self.head == self.slots.len()
    }

    fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    fn put<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let i = self.tail & (self.slots.len() - 1);
        self.len[i] = len;
        let result = fill(&mut self.slots[i][..len]);
        self.tail += 1;
        self.data += u64::from(len > HEADERS_MAX);
        result
    }

    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        let i = self.head & (self.slots.len() - 1);
        let result = look(&self.slots[i][..self.len[i]]);
        self.head += 1;
        result
    }
}

type Shared = Rc<RefCell<Ring>>;

/// Does the link carry checksums, or does it count as one that can't corrupt (as between two guests of one host)?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksums {
    /// Both ends compute and verify them.
    On,
    /// Neither does.
    Off,
}

/// One end of the cable: a device for either stack.
pub struct End {
    rx: Shared,
    tx: Shared,
    mac: Mac,
    mtu: u16,
    checksums: Checksums,
}

/// The two ends of a new cable for IP packets of up to `mtu` bytes.
pub fn cable(mtu: u16, checksums: Checksums) -> (End, End) {
    // About 700 KB of frames in flight either way: more than the windows of every scenario.
    let slots = if mtu > 9000 { 32 } else { 512 };
    let frame_len = (usize::from(mtu) + ETHERNET).next_multiple_of(64);
    let (there, back) = (Ring::new(slots, frame_len), Ring::new(slots, frame_len));
    let end =
        |n, rx: &Shared, tx: &Shared| End { rx: rx.clone(), tx: tx.clone(), mac: mac(n), mtu, checksums };
    (end(1, &back, &there), end(2, &there, &back))
}

/// The address of host `n`.
pub const fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

impl End {
    /// Frames sent from this end, of them those that carry payload.
    pub fn sent(&self) -> (u64, u64) {
        let tx = self.tx.borrow();
        (tx.tail as u64, tx.data)
    }

    /// The address of this end.
    pub fn mac(&self) -> Mac {
        self.mac
    }
}

impl Device for End {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::new(self.mac, self.mtu);
        match self.checksums {
            Checksums::On => plain,
            Checksums::Off => plain.with_tx_checksum(),
        }
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let mut rx = self.rx.borrow_mut();
        if rx.is_empty() {
            return false;
        }
        let checksum = match self.checksums {
            Checksums::On => RxChecksum::Unchecked,
            Checksums::Off => RxChecksum::Valid,
        };
        rx.take(|frame| {
            sink(RxFrame { bytes: Bytes::new(&[frame]), checksum, segment_len: None });
        });
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut tx = self.tx.borrow_mut();
        if frame.len() > usize::from(self.mtu) + ETHERNET {
            return Err(TxError::Refused);
        }
        if tx.is_full() {
            return Err(TxError::Full);
        }
        tx.put(frame.len(), |slot| gather(&frame, slot));
        Ok(())
    }
}

/// Header and payload, one after the other, into `to`.
fn gather(frame: &TxFrame<'_>, to: &mut [u8]) {
    let (head, mut rest) = to.split_at_mut(frame.header.len());
    head.copy_from_slice(frame.header);
    for piece in frame.payload {
        let (now, later) = rest.split_at_mut(piece.len());
        now.copy_from_slice(piece);
        rest = later;
    }
}

/// A received frame, for smoltcp.
pub struct RxToken<'a>(RefMut<'a, Ring>);
/// Room for a frame, for smoltcp.
pub struct TxToken<'a>(RefMut<'a, Ring>);

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(mut self, look: F) -> R {
        self.0.take(look)
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, fill: F) -> R {
        self.0.put(len, fill)
    }
}

impl phy::Device for End {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        let (rx, tx) = (self.rx.borrow_mut(), self.tx.borrow_mut());
        (!rx.is_empty() && !tx.is_full()).then_some((RxToken(rx), TxToken(tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        let tx = self.tx.borrow_mut();
        (!tx.is_full()).then_some(TxToken(tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut c = DeviceCapabilities::default();
        c.medium = Medium::Ethernet;
        c.max_transmission_unit = usize::from(self.mtu) + ETHERNET;
        if self.checksums == Checksums::Off {
            c.checksum = ChecksumCapabilities::ignored();
        }
        c
    }
}
