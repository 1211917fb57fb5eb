//! The device of the fuzzers with one stack.

use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};

pub(super) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A device that keeps what is sent until it is looked at.
#[derive(Default)]
pub(super) struct Line(pub(super) Vec<Vec<u8>>);

impl Device for Line {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac(MAC), 1500)
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        self.0.push(bytes);
        Ok(())
    }
}
