//! All of a stack's memory in one value, for a program without a heap.

use managed::ManagedSlice;

#[cfg(feature = "fragments")]
use super::FragmentSlot;
use super::{AskedNeighbor, Bucket, Interface, NeighborSlot, PathMtu, Slot, Storage};
#[cfg(feature = "multicast")]
use super::{GroupSlot, MembershipSlot};
use crate::base::holder::Holder;
use crate::base::pool::Pool;
use crate::ip::addresses::Address;
use crate::ip::learnt::LearntRoute;
use crate::ip::routes::Route;
#[cfg(feature = "raw")]
use crate::raw::RawEntry;
use crate::tcp::TcpMemory;
use crate::udp::DatagramSocket;

/// Bytes of a block, with the number that leads to the next: a third of a frame, so that little is
/// lost at the end of each queue.
const BLOCK_LEN: usize = 512;
const BLOCK_TAKES: usize = BLOCK_LEN + 4;
/// Of IPv6: some routers, some prefixes.
const LEARNT_ROUTES: usize = LearntRoute::places(12);
/// Datagrams that are reassembled at a time, and the longest of them: a link's MTU (RFC 1122 §3.3.2), and what
/// every host takes over IPv6 (RFC 8200 §5).
#[cfg(feature = "fragments")]
const FRAGMENTED: usize = 4;
#[cfg(feature = "fragments")]
const FRAGMENTED_LEN: usize = 1500;
/// Sockets for protocols that the stack does not speak.
#[cfg(feature = "raw")]
const RAW_SOCKETS: usize = 2;
/// Memberships of groups, those of IPv6 addresses among them.
#[cfg(feature = "multicast")]
const MEMBERSHIPS: usize = 16;

/// The memory of a stack with `BLOCKS` blocks of 512 bytes for queued data and waiting packets,
/// `CONNECTIONS` connections and as many listening ports, and `DATAGRAMS` UDP and ping sockets; with
/// 3 sets of socket options, and four datagrams of up to 1,500 bytes in fragments.
///
/// `INTERFACES` (loopback among them), `NEIGHBORS` (hosts on the links that are known at a time,
/// and destinations whose path MTU is), `ADDRESSES` (of all
/// interfaces: two of loopback, of a link one of IPv4, its own and some of each network of IPv6) and `ROUTES` are for a
/// loopback and a link or three, unless other numbers are given; [`SmallMemory`] is for one link with IPv4. For yet
/// other tables fill a [`Storage`] by hand.
///
/// A network in statics, for instance with the crate `static_cell`; memory and daemon are made by the compiler, so that
/// no call stack has to hold them:
///
/// ```
/// use barenet::daemon::{Daemon, DeviceRef};
/// use barenet::device::loopback::Loopback;
/// use barenet::stack::Memory;
/// use barenet::{Net, NetState, Platform, time::Instant, wait::Spin};
/// use static_cell::{ConstStaticCell, StaticCell};
///
/// # struct Machine;
/// # impl Platform for Machine {
/// #     fn now(&self) -> Instant { Instant::ZERO }
/// #     fn idle(&self, _until: Option<Instant>) {}
/// #     fn wake(&self) {}
/// # }
/// static MEMORY: ConstStaticCell<Memory<64, 8, 4>> = ConstStaticCell::new(Memory::new());
/// static DAEMON: ConstStaticCell<Daemon> = ConstStaticCell::new(Daemon::empty());
/// static RING: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);
/// static DEVICE: StaticCell<Loopback> = StaticCell::new();
/// static STATE: StaticCell<NetState> = StaticCell::new();
///
/// # let seed = [0; 32];
/// let daemon = DAEMON.take();
/// daemon.stack().start(MEMORY.take().storage(), seed);
/// let device = DEVICE.init(Loopback::new(RING.take()));
/// daemon.add_loopback(DeviceRef::Borrowed(device))?;
/// let net = Net::from_static(STATE.init(NetState::new(daemon, &Machine, &Spin)));
/// net.turn();
/// # Ok::<(), barenet::Error>(())
/// ```
///
/// Only `ACTIVE` of the connections, all unless another number is given, can have something queued,
/// in flight or owed at the same time. A connection takes less than 640 bytes with its place for TIME-WAIT,
/// for a listener and for a server of Fast Open, and less than 1,700 more, besides its data, if it is one of these. Of both,
/// connections that peers opened leave an eighth to our own connects, one at least (of two or more). While
/// all are busy, what idles has to wait: its peer is not heard, a write to it fails with
/// [`OutOfMemory`](crate::Error::OutOfMemory), and letting go of it resets it. All that is not counted
/// takes less than 5.9 kilobytes, and more with these features: two with `fragments`, half a
/// kilobyte with `raw`, 1.5 with `slaac`, and 3.3 with `multicast`.
pub struct Memory<
    const BLOCKS: usize,
    const CONNECTIONS: usize,
    const DATAGRAMS: usize,
    const ACTIVE: usize = CONNECTIONS,
    const INTERFACES: usize = 4,
    const NEIGHBORS: usize = 16,
    const ADDRESSES: usize = 12,
    const ROUTES: usize = 8,
> {
    blocks: [[u8; BLOCK_TAKES]; BLOCKS],
    interfaces: [Slot<Interface>; INTERFACES],
    neighbors: [NeighborSlot; NEIGHBORS],
    asked_neighbors: [[AskedNeighbor; 2]; NEIGHBORS],
    addresses: [Holder<Address>; ADDRESSES],
    learnt_routes: [Holder<LearntRoute>; LEARNT_ROUTES],
    routes: [Holder<Route>; ROUTES],
    path_mtus: [Holder<PathMtu>; NEIGHBORS],
    tcp: TcpMemory<CONNECTIONS, ACTIVE>,
    datagrams: [Slot<DatagramSocket>; DATAGRAMS],
    datagram_buckets: [[Bucket; 2]; DATAGRAMS],
    #[cfg(feature = "raw")]
    raw_sockets: [Slot<RawEntry>; RAW_SOCKETS],
    #[cfg(feature = "fragments")]
    fragments: [FragmentSlot; FRAGMENTED],
    #[cfg(feature = "fragments")]
    fragment_buffer: [u8; FRAGMENTED_LEN],
    #[cfg(feature = "multicast")]
    memberships: [MembershipSlot; MEMBERSHIPS],
    #[cfg(feature = "multicast")]
    groups: [GroupSlot; MEMBERSHIPS],
}

/// The same for one interface that speaks IPv4, without loopback: it has one address, four neighbours are known at a time,
/// and there is a route to a router and one more. What is in its tables takes some three kilobytes less.
///
/// ```
/// use barenet::stack::SmallMemory;
/// use static_cell::ConstStaticCell;
///
/// static MEMORY: ConstStaticCell<SmallMemory<8, 1, 0>> = ConstStaticCell::new(SmallMemory::new());
/// # let _ = MEMORY.take().storage();
/// ```
pub type SmallMemory<const BLOCKS: usize, const CONNECTIONS: usize, const DATAGRAMS: usize> =
    Memory<BLOCKS, CONNECTIONS, DATAGRAMS, CONNECTIONS, 1, 4, 1, 2>;

impl<
    const BLOCKS: usize,
    const CONNECTIONS: usize,
    const DATAGRAMS: usize,
    const ACTIVE: usize,
    const INTERFACES: usize,
    const NEIGHBORS: usize,
    const ADDRESSES: usize,
    const ROUTES: usize,
> Memory<BLOCKS, CONNECTIONS, DATAGRAMS, ACTIVE, INTERFACES, NEIGHBORS, ADDRESSES, ROUTES>
{
    /// Memory that holds nothing yet.
    pub const fn new() -> Self {
        Memory {
            blocks: [[0; BLOCK_TAKES]; BLOCKS],
            interfaces: [const { Slot::EMPTY }; INTERFACES],
            neighbors: [const { NeighborSlot::EMPTY }; NEIGHBORS],
            asked_neighbors: [[AskedNeighbor::EMPTY; 2]; NEIGHBORS],
            addresses: [Holder::Empty; ADDRESSES],
            learnt_routes: [Holder::Empty; LEARNT_ROUTES],
            routes: [Holder::Empty; ROUTES],
            path_mtus: [Holder::Empty; NEIGHBORS],
            tcp: TcpMemory::new(),
            datagrams: [const { Slot::EMPTY }; DATAGRAMS],
            datagram_buckets: [[Bucket::EMPTY; 2]; DATAGRAMS],
            #[cfg(feature = "raw")]
            raw_sockets: [const { Slot::EMPTY }; RAW_SOCKETS],
            #[cfg(feature = "fragments")]
            fragments: [const { FragmentSlot::EMPTY }; FRAGMENTED],
            #[cfg(feature = "fragments")]
            fragment_buffer: [0; FRAGMENTED_LEN],
            #[cfg(feature = "multicast")]
            memberships: [MembershipSlot::EMPTY; MEMBERSHIPS],
            #[cfg(feature = "multicast")]
            groups: [GroupSlot::EMPTY; MEMBERSHIPS],
        }
    }

    /// What [`Stack::new`](super::Stack::new) and [`Stack::start`](super::Stack::start) take.
    pub fn storage(&mut self) -> Storage<'_> {
        Storage {
            pool: Pool::borrowed(self.blocks.as_flattened_mut(), BLOCK_LEN),
            interfaces: ManagedSlice::Borrowed(&mut self.interfaces),
            neighbors: ManagedSlice::Borrowed(&mut self.neighbors),
            asked_neighbors: ManagedSlice::Borrowed(self.asked_neighbors.as_flattened_mut()),
            addresses: ManagedSlice::Borrowed(&mut self.addresses),
            learnt_routes: ManagedSlice::Borrowed(&mut self.learnt_routes),
            routes: ManagedSlice::Borrowed(&mut self.routes),
            path_mtus: ManagedSlice::Borrowed(&mut self.path_mtus),
            tcp: self.tcp.storage(),
            connections_max: CONNECTIONS,
            datagrams: ManagedSlice::Borrowed(&mut self.datagrams),
            datagram_buckets: ManagedSlice::Borrowed(self.datagram_buckets.as_flattened_mut()),
            datagrams_max: DATAGRAMS,
            #[cfg(feature = "raw")]
            raw_sockets: ManagedSlice::Borrowed(&mut self.raw_sockets),
            #[cfg(feature = "raw")]
            raw_sockets_max: RAW_SOCKETS,
            #[cfg(feature = "fragments")]
            fragments: ManagedSlice::Borrowed(&mut self.fragments),
            #[cfg(feature = "fragments")]
            fragment_buffer: ManagedSlice::Borrowed(&mut self.fragment_buffer),
            #[cfg(feature = "multicast")]
            memberships: ManagedSlice::Borrowed(&mut self.memberships),
            #[cfg(feature = "multicast")]
            groups: ManagedSlice::Borrowed(&mut self.groups),
        }
    }
}

impl<
    const BLOCKS: usize,
    const CONNECTIONS: usize,
    const DATAGRAMS: usize,
    const ACTIVE: usize,
    const INTERFACES: usize,
    const NEIGHBORS: usize,
    const ADDRESSES: usize,
    const ROUTES: usize,
> Default for Memory<BLOCKS, CONNECTIONS, DATAGRAMS, ACTIVE, INTERFACES, NEIGHBORS, ADDRESSES, ROUTES>
{
    fn default() -> Self {
        Memory::new()
    }
}
