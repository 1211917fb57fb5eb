//! What a batch of datagrams is made of.

use core::net::SocketAddr;

use super::Received;

/// A place for one datagram of a batch.
#[derive(Debug)]
pub struct RecvSlot<'b> {
    /// Where its data go.
    pub buf: &'b mut [u8],
    /// What is known of it, when there is one.
    pub received: Option<Received>,
}

impl<'b> RecvSlot<'b> {
    /// An empty place.
    pub const fn new(buf: &'b mut [u8]) -> Self {
        RecvSlot { buf, received: None }
    }

    /// The data of its datagram; none, if there is no datagram.
    pub fn data(&self) -> &[u8] {
        &self.buf[..self.received.as_ref().map_or(0, |received| received.len)]
    }
}

/// One datagram of a batch that is sent: its data, and where to; `None`: to the connected peer.
pub type Outgoing<'d> = (&'d [u8], Option<SocketAddr>);
