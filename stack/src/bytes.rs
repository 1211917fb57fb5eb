//! A run of bytes that may lie in several pieces: a received frame or part of one.

/// Bytes of one frame, in the order of the wire, that may lie in several buffers of a device.
///
/// The first piece holds at least every header up to the transport's; only payload is split.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    /// What lies together at the front: empty only if all is.
    front: &'a [u8],
    /// The pieces that follow, perhaps with more bytes than belong to these.
    rest: &'a [&'a [u8]],
    len: usize,
}

impl<'a> Bytes<'a> {
    /// All bytes of `parts`.
    pub fn new(parts: &'a [&'a [u8]]) -> Self {
        let all = Bytes { front: &[], rest: parts, len: parts.iter().map(|p| p.len()).sum() };
        all.slice(0, usize::MAX)
    }

    /// No bytes.
    pub const fn empty() -> Self {
        Bytes { front: &[], rest: &[], len: 0 }
    }

    /// How many bytes there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Are there none?
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part that starts `from` bytes in and is `len` long, cut to what is there.
    #[inline]
    pub fn slice(self, from: usize, len: usize) -> Self {
        let from = from.min(self.len);
        let len = len.min(self.len - from);
        // A frame in one buffer, and headers anywhere.
        if let Some(front) = self.front.get(from..from + len) {
            return Bytes { front, rest: self.rest, len };
        }
        let (mut front, mut rest, mut skip) = (self.front, self.rest, from);
        while skip >= front.len()
            && let [first, others @ ..] = rest
        {
            skip -= front.len();
            (front, rest) = (first, others);
        }
        let front = front.get(skip..).unwrap_or(&[]);
        Bytes { front: front.get(..len).unwrap_or(front), rest, len }
    }

    /// The bytes that lie together at the front: all of them, for a frame in one buffer.
    #[inline]
    pub const fn front(&self) -> &'a [u8] {
        self.front
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
        let front = self.front;
        // Nearly always all of it.
        if front.len() == self.len && front.len() <= to.len() {
            to[..front.len()].copy_from_slice(front);
            return front.len();
        }
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
