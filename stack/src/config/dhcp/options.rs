//! The options of a message, each in one piece.

use heapless::Vec;

use crate::counters::Drop;
use crate::wire::DhcpMessage;

/// Bytes that the options of one message may take, each with three more for its number and length: as many as a
/// message has that is as long as the client says it takes.
pub const OPTIONS_LEN: usize = 768;

/// Each option once, however many pieces it came in (RFC 3396): number, length in two bytes, value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options(Vec<u8, OPTIONS_LEN>);

/// Number and length.
const HEADER: usize = 3;

impl Options {
    pub(crate) const fn new() -> Self {
        Options(Vec::new())
    }

    /// Takes those of a message. True: the last option of a field was cut off, and is not among them.
    ///
    /// [`Drop::DhcpTooLong`]: they take more than [`OPTIONS_LEN`].
    pub(crate) fn read(&mut self, message: &DhcpMessage<'_>) -> Result<bool, Drop> {
        self.0.clear();
        let mut fits = true;
        let is_whole = message.options(|code, value| fits &= self.append(code, value));
        if fits { Ok(!is_whole) } else { Err(Drop::DhcpTooLong) }
    }

    //= rfc3396#5
    fn append(&mut self, code: u8, value: &[u8]) -> bool {
        let Some((at, len)) = self.find(code) else {
            return self.push(code, value);
        };
        let end = at + HEADER + len;
        if self.0.extend_from_slice(value).is_err() {
            return false;
        }
        self.0[end..].rotate_right(value.len());
        let len = (len + value.len()) as u16;
        self.0[at + 1..at + HEADER].copy_from_slice(&len.to_be_bytes());
        true
    }

    fn push(&mut self, code: u8, value: &[u8]) -> bool {
        let before = self.0.len();
        let [high, low] = (value.len() as u16).to_be_bytes();
        let header = self.0.extend_from_slice(&[code, high, low]);
        let fits = header.and_then(|()| self.0.extend_from_slice(value)).is_ok();
        if !fits {
            self.0.truncate(before);
        }
        fits
    }

    /// Where an option starts, and how long its value is.
    fn find(&self, wanted: u8) -> Option<(usize, usize)> {
        let mut at = 0;
        while let Some(&[code, high, low]) = self.0.get(at..at + HEADER) {
            let len = usize::from(u16::from_be_bytes([high, low]));
            if code == wanted {
                return Some((at, len));
            }
            at += HEADER + len;
        }
        None
    }

    /// The value of an option.
    pub(crate) fn get(&self, code: u8) -> Option<&[u8]> {
        let (at, len) = self.find(code)?;
        self.0.get(at + HEADER..at + HEADER + len)
    }

    /// The value of an option that has this many bytes.
    pub(crate) fn array<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.get(code)?.try_into().ok()
    }
}
