//! Segments out, without the feature `fast-path`: each is planned in every step, and its headers are made anew.

use super::Stack;
use super::paths::RouteCacheKey;
use super::tcp::Sent;
use crate::device::{Device, Mac};
use crate::ip::Path;
use crate::time::Instant;

/// The path that TCP took last.
pub(super) struct TcpWay {
    pub(super) key: RouteCacheKey,
    pub(super) path: Path,
}

impl TcpWay {
    pub(super) fn new(key: RouteCacheKey, path: Path, _: Mac) -> Self {
        TcpWay { key, path }
    }
}

impl Stack<'_> {
    pub(super) fn tcp_send_plain(&mut self, _: u32, _: &mut dyn Device, _: Instant) -> Option<Sent> {
        None
    }
}
