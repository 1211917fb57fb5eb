//! In place of TCP where the feature `tcp` is off: no connection, no listener, nothing kept.

use core::marker::PhantomData;

use crate::base::pool::Pool;
use crate::base::random::Random;
use crate::base::wakers::Woken;
use crate::time::Instant;

/// The memory of TCP's tables; without the feature `tcp` there are none.
#[derive(Default)]
pub struct TcpStorage<'a>(PhantomData<&'a mut ()>);

impl TcpStorage<'_> {
    /// Storage on the heap.
    #[cfg(feature = "alloc")]
    pub(crate) const fn heap(_active_target: usize) -> Self {
        TcpStorage(PhantomData)
    }
}

/// The same in one value.
pub(crate) struct TcpMemory<const CONNECTIONS: usize, const ACTIVE: usize>;

impl<const CONNECTIONS: usize, const ACTIVE: usize> TcpMemory<CONNECTIONS, ACTIVE> {
    pub(crate) const fn new() -> Self {
        TcpMemory
    }

    pub(crate) fn storage(&mut self) -> TcpStorage<'_> {
        TcpStorage(PhantomData)
    }
}

/// No connections.
pub(crate) struct Tcp<'a> {
    /// Tasks to be woken.
    pub(crate) woken: Woken,
    storage: PhantomData<&'a mut ()>,
}

impl<'a> Tcp<'a> {
    pub(crate) const fn empty() -> Self {
        Tcp { woken: Woken::new(), storage: PhantomData }
    }

    pub(crate) fn start(&mut self, _storage: TcpStorage<'a>, _connections_max: usize, _random: &mut Random) {}

    pub(crate) fn renew_keys(&mut self, _random: &mut Random) {}

    pub(crate) fn has_ready(&self, _interface: u32) -> bool {
        false
    }

    pub(crate) fn can_feed(&self, _pool: &Pool<'_>) -> bool {
        false
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
    }

    pub(crate) fn wake_acceptors(&mut self) {}

    pub(crate) fn wake_all(&mut self) {}

    pub(crate) fn check(&self, _pool: &Pool<'_>) {}
}
