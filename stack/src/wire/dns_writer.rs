//! Messages of DNS that are made up of records, their names compressed (RFC 1035 §4.1.4).

use super::dns::{DNS_HEADER_LEN, Name};

/// Names, or ends of names, that later ones may point to.
const POINTERS: usize = 32;

/// Where a record stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    Answer = 6,
    Authority = 8,
    Additional = 10,
}

/// A message under way. What does not fit is left out as a whole.
pub(crate) struct MessageWriter<'b> {
    buf: &'b mut [u8],
    len: usize,
    /// Where labels begin that were written out.
    ends: heapless::Vec<u16, POINTERS>,
}

impl<'b> MessageWriter<'b> {
    /// A message with this number and these flags, and nothing in it. The buffer has room for a header.
    pub(crate) fn new(buf: &'b mut [u8], id: u16, flags: u16) -> Self {
        buf[..DNS_HEADER_LEN].fill(0);
        buf[..2].copy_from_slice(&id.to_be_bytes());
        buf[2..4].copy_from_slice(&flags.to_be_bytes());
        MessageWriter { buf, len: DNS_HEADER_LEN, ends: heapless::Vec::new() }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Sets the flags that are one here, too.
    pub(crate) fn set_flags(&mut self, flags: u16) {
        let [high, low] = flags.to_be_bytes();
        self.buf[2] |= high;
        self.buf[3] |= low;
    }

    fn count(&mut self, field: usize, more: u16) {
        let count = u16::from_be_bytes([self.buf[field], self.buf[field + 1]]) + more;
        self.buf[field..field + 2].copy_from_slice(&count.to_be_bytes());
    }

    /// Adds bytes, if there is room.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.buf.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }

    /// Adds a name; its end by a pointer, if it was there before.
    pub(crate) fn put_name(&mut self, name: &Name) -> Option<()> {
        let mut rest = name.as_bytes();
        while let Some((&len @ 1.., after)) = rest.split_first() {
            if let Some(at) = self.ends.iter().find(|at| self.is_at((**at).into(), rest)) {
                return self.put(&(0xc000 | at).to_be_bytes());
            }
            if self.len < 0x4000 {
                // Without a place it is written out the next time, too.
                let _ = self.ends.push(self.len as u16);
            }
            let end = 1 + usize::from(len);
            self.put(&rest[..end])?;
            rest = &after[end - 1..];
        }
        self.put(&[0])
    }

    /// Is the name `rest` what begins at `at`?
    fn is_at(&self, mut at: usize, rest: &[u8]) -> bool {
        let mut rest = rest;
        loop {
            let Some(&len) = self.buf[..self.len].get(at) else { return false };
            if len >= 0xc0 {
                // One that was written here: it leads back.
                let Some(&low) = self.buf[..self.len].get(at + 1) else { return false };
                at = usize::from(len & 0x3f) << 8 | usize::from(low);
                continue;
            }
            let end = 1 + usize::from(len);
            let (Some(there), Some(label)) = (self.buf[..self.len].get(at..at + end), rest.get(..end)) else {
                return false;
            };
            if !there.eq_ignore_ascii_case(label) {
                return false;
            }
            if len == 0 {
                return true;
            }
            (at, rest) = (at + end, &rest[end..]);
        }
    }

    /// Adds questions as another message has them, in the same place: right behind the header.
    pub(crate) fn copy_questions(&mut self, questions: &[u8], count: u16) -> Option<()> {
        self.put(questions)?;
        self.count(4, count);
        Some(())
    }

    /// Adds a question.
    pub(crate) fn question(&mut self, name: &Name, kind: u16, class: u16) -> Option<()> {
        self.put_name(name)?;
        self.put(&kind.to_be_bytes())?;
        self.put(&class.to_be_bytes())?;
        self.count(4, 1);
        Some(())
    }

    /// Adds a record whose data `data` writes. `None`: it does not fit, and nothing of it is there.
    pub(crate) fn record(
        &mut self,
        section: Section,
        (name, kind, class, ttl): (&Name, u16, u16, u32),
        data: impl FnOnce(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let (before, ends) = (self.len, self.ends.len());
        let written = self.try_record((name, kind, class, ttl), data);
        match written {
            Some(()) => self.count(section as usize, 1),
            None => {
                self.len = before;
                self.ends.truncate(ends);
            }
        }
        written
    }

    fn try_record(
        &mut self,
        (name, kind, class, ttl): (&Name, u16, u16, u32),
        data: impl FnOnce(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.put_name(name)?;
        self.put(&kind.to_be_bytes())?;
        self.put(&class.to_be_bytes())?;
        self.put(&ttl.to_be_bytes())?;
        let at = self.len;
        self.put(&[0; 2])?;
        data(self)?;
        let len = (self.len - at - 2) as u16;
        self.buf[at..at + 2].copy_from_slice(&len.to_be_bytes());
        Some(())
    }
}
