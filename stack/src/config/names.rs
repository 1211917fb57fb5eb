//! Names as options of DHCP have them (RFC 1035 §3.1, RFC 3397, RFC 8415 §10).

use core::fmt;

/// A domain of a search list; printed as usual, with dots.
#[derive(Clone, Copy, Debug)]
pub struct SearchDomain<'a> {
    list: &'a [u8],
    at: usize,
}

/// Labels of one name, so that pointers in a circle come to an end.
const LABELS_MAX: usize = 127;

impl<'a> SearchDomain<'a> {
    /// Every domain of a list, up to what is none.
    pub(crate) fn all(list: &'a [u8]) -> impl Iterator<Item = SearchDomain<'a>> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let domain = SearchDomain { list, at };
            at = domain.end()?;
            Some(domain)
        })
    }

    /// Where the next domain starts; `None`: this is none.
    fn end(&self) -> Option<usize> {
        let mut at = self.at;
        loop {
            match *self.list.get(at)? {
                0 => return Some(at + 1),
                len @ 1..=63 => at += 1 + usize::from(len),
                0xc0.. => return (at + 1 < self.list.len()).then_some(at + 2),
                _ => return None,
            }
        }
    }

    /// Its labels; pointers lead back to earlier ones (RFC 1035 §4.1.4).
    pub fn labels(&self) -> impl Iterator<Item = &'a str> {
        self.plain_labels().map_while(|label| core::str::from_utf8(label).ok())
    }

    /// The same as bytes, which are printable ASCII.
    pub(crate) fn plain_labels(&self) -> impl Iterator<Item = &'a [u8]> {
        let (list, mut at) = (self.list, self.at);
        let next = move || loop {
            match *list.get(at)? {
                len @ 1..=63 => {
                    let label = list.get(at + 1..at + 1 + usize::from(len))?;
                    at += 1 + usize::from(len);
                    let is_plain = label.iter().all(|b| b.is_ascii_graphic() && *b != b'.');
                    return Some(label).filter(|_| is_plain);
                }
                high @ 0xc0.. => {
                    let to = usize::from(high & 0x3f) << 8 | usize::from(*list.get(at + 1)?);
                    // Back only: so every chain ends.
                    at = Some(to).filter(|to| *to < at)?;
                }
                _ => return None,
            }
        };
        core::iter::from_fn(next).take(LABELS_MAX)
    }
}

impl fmt::Display for SearchDomain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut dot = "";
        for label in self.labels() {
            write!(f, "{dot}{label}")?;
            dot = ".";
        }
        Ok(())
    }
}
