//! The option of AccECN (RFC 9768).

/// The AccECN option (RFC 9768 §3.2.3): bytes of payload that arrived with each mark, 24 bits of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EcnBytes {
    pub(crate) e0: u32,
    pub(crate) ce: u32,
    pub(crate) e1: u32,
}

impl EcnBytes {
    #[allow(clippy::unnecessary_wraps, reason = "without the feature there is none")]
    pub(crate) const fn new(e0: u32, ce: u32, e1: u32) -> Option<Self> {
        Some(EcnBytes { e0, ce, e1 })
    }

    /// EE0B, ECEB, EE1B: the order of kind 172.
    pub(crate) const fn fields(self) -> [u32; 3] {
        [self.e0, self.ce, self.e1]
    }
}
