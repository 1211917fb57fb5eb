//! The option of TCP Fast Open, left out: no segment has it.

/// There is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FastOpen {}

impl FastOpen {
    pub(crate) fn new(_: &[u8], _: bool) -> Option<Self> {
        None
    }

    pub(crate) fn is_experimental(&self) -> bool {
        match *self {}
    }

    pub(crate) fn cookie(&self) -> &[u8] {
        match *self {}
    }

    pub(crate) const fn option_len(&self) -> usize {
        match *self {}
    }
}
