//! Clients of DHCP, one of a kind for an interface at most, in memory that was handed in.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;

use crate::ip::{INTERFACES_MAX, InterfaceId};
use crate::time::Instant;

/// Where a client is kept: in memory of the caller, or on the heap.
pub enum ClientMemory<'a, C> {
    /// Lent by the caller for as long as the stack is.
    Borrowed(&'a mut C),
    /// Owned.
    #[cfg(feature = "alloc")]
    Owned(Box<C>),
}

impl<C> ClientMemory<'_, C> {
    fn client(&self) -> &C {
        match self {
            ClientMemory::Borrowed(client) => client,
            #[cfg(feature = "alloc")]
            ClientMemory::Owned(client) => client,
        }
    }

    pub(super) fn client_mut(&mut self) -> &mut C {
        match self {
            ClientMemory::Borrowed(client) => client,
            #[cfg(feature = "alloc")]
            ClientMemory::Owned(client) => client,
        }
    }
}

/// The clients, each with its interface.
pub(super) struct Clients<'a, C>(heapless::Vec<(InterfaceId, ClientMemory<'a, C>), INTERFACES_MAX>);

impl<'a, C> Clients<'a, C> {
    pub(super) const fn new() -> Self {
        Clients(heapless::Vec::new())
    }

    pub(super) fn get(&self, id: InterfaceId) -> Option<&C> {
        self.0.iter().find(|(of, _)| *of == id).map(|(_, memory)| memory.client())
    }

    pub(super) fn get_mut(&mut self, id: InterfaceId) -> Option<&mut C> {
        self.0.iter_mut().find(|(of, _)| *of == id).map(|(_, memory)| memory.client_mut())
    }

    /// The interface has none yet.
    pub(super) fn add(&mut self, id: InterfaceId, memory: ClientMemory<'a, C>) {
        // One for an interface at most, and so many there are.
        let _ = self.0.push((id, memory));
    }

    /// The first of them for which `which` says yes.
    pub(super) fn find(&mut self, which: impl Fn(&C) -> bool) -> Option<(InterfaceId, &mut C)> {
        let found = self.0.iter_mut().find(|(_, memory)| which(memory.client()));
        found.map(|(id, memory)| (*id, memory.client_mut()))
    }

    /// The earliest deadline of all.
    pub(super) fn deadline(&self, of: impl Fn(&C) -> Option<Instant>) -> Option<Instant> {
        self.0.iter().filter_map(|(_, memory)| of(memory.client())).min()
    }

    /// The interface is gone, or its client is.
    pub(super) fn remove(&mut self, id: InterfaceId) {
        self.0.retain(|(of, _)| *of != id);
    }
}
