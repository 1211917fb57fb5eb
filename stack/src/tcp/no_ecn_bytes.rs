//! The option of AccECN, left out: no segment has it.

/// There is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EcnBytes {}

impl EcnBytes {
    pub(crate) const fn new(_: u32, _: u32, _: u32) -> Option<Self> {
        None
    }

    pub(crate) const fn fields(self) -> [u32; 3] {
        match self {}
    }
}
