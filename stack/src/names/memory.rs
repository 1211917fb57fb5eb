//! What the resolver keeps its state in: memory that was handed in, or of the heap.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use managed::ManagedSlice;

use super::{CacheEntry, Query};

/// The memory of the resolver.
pub struct NamesStorage<'a> {
    /// Questions under way at a time; a look-up of both families takes two.
    pub queries: ManagedSlice<'a, Query>,
    /// Most of them, where they are on the heap.
    pub queries_max: usize,
    /// Answers that are kept; the one that ends first gives way.
    pub cache: ManagedSlice<'a, CacheEntry>,
    /// Most of them, where they are on the heap.
    pub cache_max: usize,
    /// Where an answer that comes by TCP is put together; what is longer is read as far as it fits. The longest is 65,535 bytes.
    pub buffer: ManagedSlice<'a, u8>,
}

#[cfg(feature = "alloc")]
impl NamesStorage<'_> {
    /// Up to 32 questions at a time and 64 answers, taken from the heap when they are needed, and 4 KiB for answers that come by TCP.
    pub fn heap() -> NamesStorage<'static> {
        NamesStorage {
            queries: ManagedSlice::Owned(Vec::new()),
            queries_max: 32,
            cache: ManagedSlice::Owned(Vec::new()),
            cache_max: 64,
            buffer: ManagedSlice::Owned(alloc::vec![0; 4096]),
        }
    }
}

/// Memory of the resolver for a static: so many questions at a time (some 900 bytes each), so many answers that are kept (170 bytes each),
/// and so many bytes for an answer that comes by TCP.
///
/// ```
/// use barenet::names::{DnsConfig, NamesMemory};
/// use static_cell::ConstStaticCell;
/// static NAMES: ConstStaticCell<NamesMemory<4, 8, 1024>> = ConstStaticCell::new(NamesMemory::new());
/// # fn example(net: &barenet::Net) {
/// net.with_stack(|stack| stack.start_names(DnsConfig::DEFAULT, NAMES.take().storage()));
/// # }
/// ```
pub struct NamesMemory<const QUERIES: usize, const ANSWERS: usize, const BYTES: usize> {
    queries: [Query; QUERIES],
    cache: [CacheEntry; ANSWERS],
    buffer: [u8; BYTES],
}

impl<const QUERIES: usize, const ANSWERS: usize, const BYTES: usize> NamesMemory<QUERIES, ANSWERS, BYTES> {
    /// All of it unused.
    pub const fn new() -> Self {
        NamesMemory {
            queries: [const { Query::new() }; QUERIES],
            cache: [CacheEntry::EMPTY; ANSWERS],
            buffer: [0; BYTES],
        }
    }

    /// The memory for [`Stack::start_names`](crate::stack::Stack::start_names).
    pub fn storage(&mut self) -> NamesStorage<'_> {
        NamesStorage {
            queries: ManagedSlice::Borrowed(&mut self.queries),
            queries_max: QUERIES,
            cache: ManagedSlice::Borrowed(&mut self.cache),
            cache_max: ANSWERS,
            buffer: ManagedSlice::Borrowed(&mut self.buffer),
        }
    }
}

impl<const QUERIES: usize, const ANSWERS: usize, const BYTES: usize> Default
    for NamesMemory<QUERIES, ANSWERS, BYTES>
{
    fn default() -> Self {
        Self::new()
    }
}
