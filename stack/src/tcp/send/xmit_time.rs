//! When something was sent.

use crate::time::Instant;

/// A point in time, in µs, on a circle of 71 minutes: two are compared that are less than half of it
/// apart. What is in flight is sent again, or the connection ends, long before.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct XmitTime(pub(in crate::tcp::send) u32);

impl XmitTime {
    /// Before anything was sent.
    pub(crate) const NEVER: XmitTime = XmitTime(0);

    pub(crate) fn of(at: Instant) -> XmitTime {
        XmitTime(at.micros() as u32)
    }

    /// µs from `earlier` to `self`; 0 if `earlier` is later.
    pub(crate) fn since(self, earlier: XmitTime) -> u32 {
        let elapsed = self.0.wrapping_sub(earlier.0);
        if (elapsed as i32) < 0 { 0 } else { elapsed }
    }

    pub(crate) fn after(self, us: u32) -> XmitTime {
        XmitTime(self.0.wrapping_add(us))
    }

    pub(crate) fn before(self, other: XmitTime) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }
}
