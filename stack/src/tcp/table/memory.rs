//! The memory of TCP's tables: in one value, for a program without a heap, or from the heap.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

#[cfg(feature = "fast-open")]
use super::FastOpenServer;
use super::{Connection, ListenerEntry, OptionsEntry, Place, TcpStorage, TimeWaitEntry};
use crate::base::demux::Bucket;
#[cfg(feature = "fast-open")]
use crate::base::holder::Holder;
use crate::base::slab::Slot;
use managed::ManagedSlice;

/// Servers that are remembered for TCP Fast Open on the heap.
#[cfg(all(feature = "alloc", feature = "fast-open"))]
const SERVERS: usize = 16;
/// Sets of socket options; connections with equal ones share one.
const OPTIONS: usize = 3;

/// The memory of `CONNECTIONS` connections and as many listening ports.
pub(crate) struct TcpMemory<const CONNECTIONS: usize, const ACTIVE: usize> {
    connections: [Slot<Place>; CONNECTIONS],
    active: [Slot<Connection>; ACTIVE],
    listeners: [Slot<ListenerEntry>; CONNECTIONS],
    time_waits: [TimeWaitEntry; CONNECTIONS],
    options: [Slot<OptionsEntry>; OPTIONS],
    #[cfg(feature = "fast-open")]
    servers: [Holder<FastOpenServer>; CONNECTIONS],
    /// For connections, TIME-WAITs and listeners.
    buckets: [[Bucket; 6]; CONNECTIONS],
}

impl<const CONNECTIONS: usize, const ACTIVE: usize> TcpMemory<CONNECTIONS, ACTIVE> {
    pub(crate) const fn new() -> Self {
        TcpMemory {
            connections: [const { Slot::EMPTY }; CONNECTIONS],
            active: [const { Slot::EMPTY }; ACTIVE],
            listeners: [const { Slot::EMPTY }; CONNECTIONS],
            time_waits: [TimeWaitEntry::EMPTY; CONNECTIONS],
            options: [const { Slot::EMPTY }; OPTIONS],
            #[cfg(feature = "fast-open")]
            servers: [Holder::Empty; CONNECTIONS],
            buckets: [[Bucket::EMPTY; 6]; CONNECTIONS],
        }
    }

    pub(crate) fn storage(&mut self) -> TcpStorage<'_> {
        TcpStorage {
            connections: ManagedSlice::Borrowed(&mut self.connections),
            active: ManagedSlice::Borrowed(&mut self.active),
            active_target: ACTIVE,
            listeners: ManagedSlice::Borrowed(&mut self.listeners),
            time_waits: ManagedSlice::Borrowed(&mut self.time_waits),
            options: ManagedSlice::Borrowed(&mut self.options),
            #[cfg(feature = "fast-open")]
            servers: ManagedSlice::Borrowed(&mut self.servers),
            buckets: ManagedSlice::Borrowed(self.buckets.as_flattened_mut()),
        }
    }
}

#[cfg(feature = "alloc")]
impl TcpStorage<'static> {
    /// Storage on the heap, of which so many connections are kept in full.
    pub(crate) fn heap(active_target: usize) -> Self {
        TcpStorage {
            connections: ManagedSlice::Owned(Vec::new()),
            active: ManagedSlice::Owned(Vec::new()),
            active_target,
            listeners: ManagedSlice::Owned(Vec::new()),
            time_waits: ManagedSlice::Owned(Vec::new()),
            options: ManagedSlice::Owned(Vec::new()),
            #[cfg(feature = "fast-open")]
            servers: ManagedSlice::Owned(alloc::vec![Holder::Empty; SERVERS]),
            buckets: ManagedSlice::Owned(Vec::new()),
        }
    }
}
