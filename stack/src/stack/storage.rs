//! The memory of a stack: handed in by the caller, or taken from the heap up to stated limits.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use managed::ManagedSlice;

use super::{Interface, NeighborSlot, Slot};
use crate::datagram::DatagramSocket;
use crate::demux::Bucket;
use crate::ip::routes::Route;
use crate::pool::Pool;
use crate::tcp::{TcpConfig, TcpStorage};

/// Everything that a stack keeps its state in. Nothing else is ever allocated.
pub struct Storage<'a> {
    /// Queued data and waiting packets.
    pub pool: Pool<'a>,
    /// One for each interface, loopback included.
    pub interfaces: ManagedSlice<'a, Slot<Interface>>,
    /// The neighbour cache, in multiples of 8; neighbours beyond push out the least used.
    pub neighbors: ManagedSlice<'a, NeighborSlot>,
    /// The routing table.
    pub routes: ManagedSlice<'a, Option<Route>>,
    /// Connections and listeners.
    pub tcp: TcpStorage<'a>,
    /// Most connections, if their table is on the heap.
    pub connections_max: usize,
    /// Settings of TCP.
    pub tcp_config: TcpConfig,
    /// UDP and ping sockets.
    pub datagrams: ManagedSlice<'a, Slot<DatagramSocket>>,
    /// Half as many again as there are places for datagram sockets.
    pub datagram_buckets: ManagedSlice<'a, Bucket>,
    /// Most datagram sockets, where their places are taken from the heap.
    pub datagrams_max: usize,
}

/// How much a stack on the heap may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of queued data and waiting packets.
    pub memory: usize,
    /// Bytes of one block of that memory.
    pub block_len: usize,
    /// Entries of the neighbour cache.
    pub neighbors: usize,
    /// Entries of the routing table.
    pub routes: usize,
    /// Connections of TCP; as many again may be in TIME-WAIT.
    pub connections: usize,
    /// UDP and ping sockets.
    pub datagrams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 16 << 20,
            // Eight of them carry a super-segment of 64 KiB.
            block_len: 8192,
            neighbors: 256,
            routes: 32,
            connections: 65_536,
            datagrams: 1024,
        }
    }
}

#[cfg(feature = "alloc")]
impl Storage<'static> {
    /// Storage on the heap.
    pub fn heap(limits: &Limits) -> Self {
        Storage {
            pool: Pool::growing(limits.memory, limits.block_len),
            interfaces: ManagedSlice::Owned(Vec::new()),
            neighbors: ManagedSlice::Owned((0..limits.neighbors).map(|_| NeighborSlot::default()).collect()),
            routes: ManagedSlice::Owned(alloc::vec![None; limits.routes]),
            tcp: TcpStorage {
                connections: ManagedSlice::Owned(Vec::new()),
                listeners: ManagedSlice::Owned(Vec::new()),
                time_waits: ManagedSlice::Owned(Vec::new()),
                buckets: ManagedSlice::Owned(Vec::new()),
            },
            connections_max: limits.connections,
            tcp_config: TcpConfig::default(),
            datagrams: ManagedSlice::Owned(Vec::new()),
            datagram_buckets: ManagedSlice::Owned(Vec::new()),
            datagrams_max: limits.datagrams,
        }
    }
}
