//! A device that leads back into the stack.

use managed::ManagedSlice;

use crate::bytes::Bytes;
use crate::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
#[cfg(feature = "alloc")]
use crate::error::Error;

/// Before each frame: its length and the length of its segments (0: a plain frame).
const HEAD: usize = 6;
/// In place of a length: the rest of the memory is unused, the next frame is at the front.
const WRAP: u32 = u32::MAX;

/// Gives every frame back that it is given, unchecked and uncut, from a ring in the caller's
/// memory or on the heap.
pub struct Loopback<'a> {
    ring: ManagedSlice<'a, u8>,
    /// First frame.
    head: usize,
    /// After the last frame.
    tail: usize,
    frames: usize,
}

impl<'a> Loopback<'a> {
    /// A loopback over `memory`, which bounds the frames under way; half of it bounds the MTU.
    /// 4 KiB do, 256 KiB let frames of the largest size overlap.
    pub fn new(memory: &'a mut [u8]) -> Self {
        Loopback { ring: ManagedSlice::Borrowed(memory), head: 0, tail: 0, frames: 0 }
    }

    /// The same with `len` bytes of the heap. [`Error::OutOfMemory`]: it has not so many.
    #[cfg(feature = "alloc")]
    pub fn heap(len: usize) -> Result<Loopback<'static>, Error> {
        let ring = crate::base::heap::fill(len, || 0).ok_or(Error::OutOfMemory)?.into_vec();
        Ok(Loopback { ring: ManagedSlice::Owned(ring), head: 0, tail: 0, frames: 0 })
    }

    /// Where a frame of `len` bytes can lie in one piece.
    fn place(&self, len: usize) -> Option<usize> {
        let need = HEAD + len;
        if self.frames == 0 {
            return (need <= self.ring.len()).then_some(0);
        }
        if self.tail > self.head {
            if self.tail + need <= self.ring.len() {
                return Some(self.tail);
            }
            return (need <= self.head).then_some(0);
        }
        (self.tail + need <= self.head).then_some(self.tail)
    }
}

impl Device for Loopback<'_> {
    fn capabilities(&self) -> Capabilities {
        let largest = (self.ring.len() / 2).saturating_sub(HEAD + 14);
        let mtu = u16::try_from(largest).unwrap_or(u16::MAX);
        Capabilities::new(Mac::default(), mtu).with_tso(mtu.into(), mtu.into())
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        if self.frames == 0 {
            return false;
        }
        let wrapped = self.ring.get(self.head..self.head + 4).is_none_or(|l| l == WRAP.to_le_bytes());
        let at = if wrapped { 0 } else { self.head };
        let [a, b, c, d, e, f] = *self.ring[at..].first_chunk::<HEAD>().unwrap_or(&[0; HEAD]);
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let segment_len = u16::from_le_bytes([e, f]);
        let parts = [&self.ring[at + HEAD..at + HEAD + len]];
        sink(RxFrame {
            bytes: Bytes::new(&parts),
            checksum: RxChecksum::Valid,
            segment_len: (segment_len > 0).then_some(segment_len),
        });
        self.head = at + HEAD + len;
        self.frames -= 1;
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let len = frame.len();
        if HEAD + len > self.ring.len() {
            return Err(TxError::Refused);
        }
        let at = self.place(len).ok_or(TxError::Full)?;
        if self.frames == 0 {
            self.head = at;
        } else if at != self.tail
            && let Some(mark) = self.ring.get_mut(self.tail..self.tail + 4)
        {
            mark.copy_from_slice(&WRAP.to_le_bytes());
        }
        let segment_len = frame.offload.segment.map_or(0, |s| s.segment_len);
        let mut to = at;
        let head = [&(len as u32).to_le_bytes()[..], &segment_len.to_le_bytes(), frame.header];
        for piece in head.into_iter().chain(frame.payload.iter().copied()) {
            self.ring[to..to + piece.len()].copy_from_slice(piece);
            to += piece.len();
        }
        self.tail = to;
        self.frames += 1;
        Ok(())
    }

    /// Frames that wait are events: nobody may go to sleep over them.
    fn arm(&mut self) -> bool {
        self.frames == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{SegmentRequest, TxOffload};

    fn send(device: &mut Loopback<'_>, fill: u8, len: usize) -> Result<(), TxError> {
        let payload = [fill; 100];
        let segment = Some(SegmentRequest { v6: false, udp: false, segment_len: u16::from(fill) });
        let offload = TxOffload { checksum: None, segment };
        device.transmit(TxFrame { header: &[], payload: &[&payload[..1], &payload[1..len]], offload })
    }

    /// Sends and receives in every alignment; frames come back whole and in order, and the ring
    /// refuses rather than overwrites.
    #[test]
    fn frames_come_back_in_order() {
        let mut memory = [0; 257];
        let mut device = Loopback::new(&mut memory);
        assert_eq!(device.capabilities().mtu, 108);
        let (mut sent, mut received) = (0u8, 0u8);
        let (mut refused, mut x) = (0, 1u32);
        for _ in 0..5000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if x >> 31 == 0 {
                match send(&mut device, sent % 200 + 1, 10 + usize::from(sent) % 90) {
                    Ok(()) => sent = sent.wrapping_add(1),
                    Err(_) => refused += 1,
                }
            } else {
                let got = device.receive(&mut |frame| {
                    assert_eq!(frame.bytes.len(), 10 + usize::from(received) % 90);
                    assert!(frame.bytes.front().iter().all(|b| *b == received % 200 + 1));
                    assert_eq!(frame.segment_len, Some(u16::from(received % 200 + 1)));
                });
                assert_eq!(got, sent != received);
                received = received.wrapping_add(u8::from(got));
            }
            assert_eq!(device.arm(), sent == received);
        }
        assert!(refused > 100);
        assert_eq!(
            device.transmit(TxFrame { header: &[0; 300], payload: &[], offload: TxOffload::default() }),
            Err(TxError::Refused)
        );
    }
}
