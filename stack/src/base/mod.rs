//! Data structures and sources that know no protocol.

pub(crate) mod deadline;
pub(crate) mod demux;
pub(crate) mod fields;
#[cfg(feature = "alloc")]
pub(crate) mod heap;
pub(crate) mod holder;
pub(crate) mod lent;
pub(crate) mod list;
pub(crate) mod packet_queue;
pub mod pool;
pub(crate) mod random;
pub(crate) mod rate;
pub(crate) mod slab;
#[cfg(feature = "alloc")]
pub(crate) mod sleepers;
pub(crate) mod sync;
pub(crate) mod timed;
pub(crate) mod wakers;
pub(crate) mod wheel;
