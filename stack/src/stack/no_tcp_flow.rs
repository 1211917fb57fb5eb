//! Segments in, without the feature `fast-path`: each is looked at in every step.

use super::Stack;
use crate::device::RxFrame;
use crate::ip::InterfaceId;
use crate::time::Instant;

/// The last frame with a segment for a connection: none is remembered.
pub(super) enum Flow {}

impl Stack<'_> {
    /// A frame had a good segment for a connection.
    pub(super) fn note_flow(&mut self, _: InterfaceId, _: &RxFrame<'_>, now: Instant) {
        if let Some(connection) = self.served {
            self.tcp_confirms(connection, now);
        }
    }

    pub(super) fn take_of_flow(&mut self, _: InterfaceId, _: &RxFrame<'_>, _: Instant) -> bool {
        false
    }
}
