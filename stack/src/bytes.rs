//! A run of bytes that may lie in several pieces: a received frame or part of one.

/// Bytes of one frame, in the order of the wire, that may lie in several buffers of a device.
///
/// The first piece holds at least every header up to the transport's; only payload is split.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    parts: &'a [&'a [u8]],
    skip: usize,
    len: usize,
}

impl<'a> Bytes<'a> {
    /// All bytes of `parts`.
    pub fn new(parts: &'a [&'a [u8]]) -> Self {
        Bytes { parts, skip: 0, len: parts.iter().map(|p| p.len()).sum() }
    }

    /// No bytes.
    pub const fn empty() -> Self {
        Bytes { parts: &[], skip: 0, len: 0 }
    }

    /// How many bytes there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Are there none?
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part that starts `from` bytes in and is `len` long, cut to what is there.
    pub fn slice(self, from: usize, len: usize) -> Self {
        let from = from.min(self.len);
        let (mut parts, mut skip) = (self.parts, self.skip + from);
        while let [first, rest @ ..] = parts {
            if skip < first.len() {
                break;
            }
            skip -= first.len();
            parts = rest;
        }
        Bytes { parts, skip, len: len.min(self.len - from) }
    }

    /// The bytes that lie together at the front: all of them, for a frame in one buffer.
    pub fn front(&self) -> &'a [u8] {
        match self.parts.first() {
            Some(first) => {
                let tail = first.get(self.skip..).unwrap_or(&[]);
                &tail[..tail.len().min(self.len)]
            }
            None => &[],
        }
    }

    /// The pieces in order, none of them empty.
    pub fn chunks(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let piece = rest.front();
            if piece.is_empty() {
                return None;
            }
            rest = rest.slice(piece.len(), usize::MAX);
            Some(piece)
        })
    }

    /// Copies into `to` as much as fits and returns how much.
    pub fn copy_to(self, to: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in self.chunks() {
            let n = piece.len().min(to.len() - done);
            to[done..done + n].copy_from_slice(&piece[..n]);
            done += n;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_crosses_pieces() {
        let parts: [&[u8]; 4] = [b"abc", b"", b"defg", b"h"];
        let all = Bytes::new(&parts);
        assert_eq!((all.len(), all.front()), (8, &b"abc"[..]));
        let mut buf = [0; 8];
        let middle = all.slice(2, 3);
        assert_eq!((middle.copy_to(&mut buf), &buf[..3]), (3, &b"cde"[..]));
        assert_eq!(all.slice(7, 9).front(), b"h");
        assert!(all.slice(8, 1).is_empty() && all.slice(99, 1).chunks().next().is_none());
        assert_eq!(all.slice(3, 4).front(), b"defg");
        assert_eq!(all.copy_to(&mut buf[..4]), 4);
    }
}
