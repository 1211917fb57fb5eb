//! The memory of a stack: handed in by the caller, or taken from the heap up to stated limits.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use managed::ManagedSlice;

#[cfg(feature = "fragments")]
use super::FragmentSlot;
use super::{AskedNeighbor, Interface, NeighborSlot, PathMtu, Slot};
#[cfg(feature = "multicast")]
use super::{GroupSlot, MembershipSlot};
use crate::base::demux::Bucket;
use crate::base::holder::Holder;
use crate::base::pool::Pool;
use crate::ip::addresses::Address;
use crate::ip::learnt::LearntRoute;
use crate::ip::routes::Route;
#[cfg(feature = "raw")]
use crate::raw::RawEntry;
use crate::tcp::TcpStorage;
use crate::udp::DatagramSocket;

/// Everything that a stack keeps its state in. Without a heap, [`Memory`](super::Memory) fills it in
/// common sizes; with one, `Storage::heap`.
pub struct Storage<'a> {
    /// Queued data and waiting packets.
    pub pool: Pool<'a>,
    /// One for each interface, loopback included.
    pub interfaces: ManagedSlice<'a, Slot<Interface>>,
    /// The neighbour cache; neighbours beyond push out the least used.
    pub neighbors: ManagedSlice<'a, NeighborSlot>,
    /// Neighbours that were pushed out just after they were asked: so many are not asked again too soon.
    pub asked_neighbors: ManagedSlice<'a, AskedNeighbor>,
    /// Addresses of all interfaces, two for loopback among them.
    pub addresses: ManagedSlice<'a, Holder<Address>>,
    /// What routers told of routes over IPv6; of no use without the feature `slaac`.
    pub learnt_routes: ManagedSlice<'a, Holder<LearntRoute>>,
    /// The routing table.
    pub routes: ManagedSlice<'a, Holder<Route>>,
    /// What routers said of the paths to so many destinations; the oldest gives way.
    pub path_mtus: ManagedSlice<'a, Holder<PathMtu>>,
    /// Connections and listeners.
    pub tcp: TcpStorage<'a>,
    /// Most connections, if their table is on the heap.
    pub connections_max: usize,
    /// UDP and ping sockets.
    pub datagrams: ManagedSlice<'a, Slot<DatagramSocket>>,
    /// Twice as many as there are places for datagram sockets.
    pub datagram_buckets: ManagedSlice<'a, Bucket>,
    /// Most datagram sockets, where their places are taken from the heap.
    pub datagrams_max: usize,
    /// Raw sockets.
    #[cfg(feature = "raw")]
    pub raw_sockets: ManagedSlice<'a, Slot<RawEntry>>,
    /// Most raw sockets, where their places are taken from the heap.
    #[cfg(feature = "raw")]
    pub raw_sockets_max: usize,
    /// Datagrams that are reassembled at a time; all their fragments take an eighth of the pool at most.
    #[cfg(feature = "fragments")]
    pub fragments: ManagedSlice<'a, FragmentSlot>,
    /// Where a datagram is put together: as long as the longest one, with its IP header, that may come in
    /// fragments. Every host has to take 576 bytes (RFC 1122 §3.3.2); over IPv6 it is 1,500 (RFC 8200 §5).
    #[cfg(feature = "fragments")]
    pub fragment_buffer: ManagedSlice<'a, u8>,
    /// One for each group that a socket hears, or each source of a group; and one for each IPv6 address.
    #[cfg(feature = "multicast")]
    pub memberships: ManagedSlice<'a, MembershipSlot>,
    /// One for each group of an interface.
    #[cfg(feature = "multicast")]
    pub groups: ManagedSlice<'a, GroupSlot>,
}

/// Neighbours that are not asked again too soon, with the cache on the heap.
#[cfg(feature = "alloc")]
const ASKED: usize = 32;
/// Destinations whose path MTU is remembered on the heap.
#[cfg(feature = "alloc")]
const PATH_MTUS: usize = 16;

/// How much a stack on the heap may use. It is taken when it is needed, and what the heap does not have
/// then is as if it were in use: tables are full, the pool is smaller until there is more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of queued data and waiting packets.
    pub memory: usize,
    /// Bytes of one block of that memory.
    pub block_len: usize,
    /// Entries of the neighbour cache.
    pub neighbors: usize,
    /// Addresses of all interfaces, two for loopback among them.
    pub addresses: usize,
    /// Routers, prefixes and routes that IPv6 routers tell of, and redirects; only with the feature `slaac`.
    pub learnt_routes: usize,
    /// Entries of the routing table.
    pub routes: usize,
    /// Connections of TCP; as many again may be in TIME-WAIT. An eighth, one at least, is for those that
    /// the stack opens itself.
    pub connections: usize,
    /// Connections that are kept in full. One that idles beyond takes some 230 bytes, and is unpacked when
    /// something happens to it; while more than this are busy at a time, more are kept in full.
    pub active: usize,
    /// UDP and ping sockets.
    pub datagrams: usize,
    /// Raw sockets. Each packet is shown to all of them.
    #[cfg(feature = "raw")]
    pub raw_sockets: usize,
    /// Datagrams that are reassembled at a time. None: fragments are dropped.
    #[cfg(feature = "fragments")]
    pub fragments: usize,
    /// Groups that sockets hear, sources of groups counted one by one, and IPv6 addresses.
    #[cfg(feature = "multicast")]
    pub memberships: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 16 << 20,
            // Four of them carry a super-segment of 64 KiB.
            block_len: 16_384,
            neighbors: 256,
            addresses: 64,
            learnt_routes: 40,
            routes: 32,
            connections: 65_536,
            active: 256,
            datagrams: 1024,
            #[cfg(feature = "raw")]
            raw_sockets: 16,
            #[cfg(feature = "fragments")]
            fragments: 16,
            #[cfg(feature = "multicast")]
            memberships: 256,
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
            asked_neighbors: ManagedSlice::Owned(alloc::vec![AskedNeighbor::EMPTY; ASKED]),
            addresses: ManagedSlice::Owned(alloc::vec![Holder::Empty; limits.addresses]),
            learnt_routes: ManagedSlice::Owned(
                alloc::vec![Holder::Empty; LearntRoute::places(limits.learnt_routes)],
            ),
            routes: ManagedSlice::Owned(alloc::vec![Holder::Empty; limits.routes]),
            path_mtus: ManagedSlice::Owned(alloc::vec![Holder::Empty; PATH_MTUS]),
            tcp: TcpStorage::heap(limits.active),
            connections_max: limits.connections,
            datagrams: ManagedSlice::Owned(Vec::new()),
            datagram_buckets: ManagedSlice::Owned(Vec::new()),
            datagrams_max: limits.datagrams,
            #[cfg(feature = "raw")]
            raw_sockets: ManagedSlice::Owned(Vec::new()),
            #[cfg(feature = "raw")]
            raw_sockets_max: limits.raw_sockets,
            #[cfg(feature = "fragments")]
            fragments: ManagedSlice::Owned(
                core::iter::repeat_with(FragmentSlot::default).take(limits.fragments).collect(),
            ),
            // It grows with what comes.
            #[cfg(feature = "fragments")]
            fragment_buffer: ManagedSlice::Owned(Vec::new()),
            #[cfg(feature = "multicast")]
            memberships: ManagedSlice::Owned(alloc::vec![MembershipSlot::EMPTY; limits.memberships]),
            #[cfg(feature = "multicast")]
            groups: ManagedSlice::Owned(alloc::vec![GroupSlot::EMPTY; limits.memberships]),
        }
    }
}

#[cfg(all(test, feature = "full"))]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::counters::Drop;
    use crate::device::{Capabilities, Mac, RxFrame};
    use crate::error::Error;
    use crate::ip::addresses::Cidr;
    use crate::stack::{Memory, Stack};
    use crate::time::Instant;
    use crate::udp::DatagramKind;
    use crate::wire::{ArpOperation, ArpPacket};

    /// A stack in a static has no memory at first: every call fails, and nothing panics. With memory it is as if it
    /// had been made with it.
    #[test]
    fn empty_stack_refuses_until_it_is_started() {
        let mut memory = Memory::<8, 1, 1>::new();
        let mut stack = Stack::empty();
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let any = || (Ipv4Addr::UNSPECIFIED, 7).into();
        assert!(stack.add_interface(Capabilities::new(mac, 1500)).is_err());
        assert!(stack.datagram_bind(DatagramKind::Udp, any(), false).is_err());
        assert!(stack.tcp_listen(any(), 1).is_err());
        assert!(stack.tcp_connect((Ipv4Addr::LOCALHOST, 7).into(), None, Instant::ZERO).is_err());
        stack.on_timers(Instant::ZERO);
        assert_eq!((stack.next_deadline(Instant::ZERO), stack.memory()), (None, (0, 0)));
        stack.start(memory.storage(), [1; 32]);
        stack.add_interface(Capabilities::new(mac, 1500)).unwrap();
        assert!(stack.tcp_listen(any(), 1).is_ok());
        stack.check();
    }

    /// H199: a stack in memory that the caller hands in, a few kilobytes in all; what does not fit
    /// is an error, and the rest goes on.
    #[test]
    fn a_stack_without_a_heap() {
        let (mut memory, mut buckets) = ([0; 4096], [Bucket::default(); 4]);
        let (mut interfaces, mut datagrams) = ([Slot::default()], [Slot::default(), Slot::default()]);
        let (mut neighbors, mut routes) = ([const { NeighborSlot::EMPTY }; 8], [Holder::Empty; 2]);
        let mut addresses = [Holder::Empty; 2];
        let mut stack = Stack::new(
            Storage {
                pool: Pool::borrowed(&mut memory, 256),
                interfaces: ManagedSlice::Borrowed(&mut interfaces),
                neighbors: ManagedSlice::Borrowed(&mut neighbors),
                asked_neighbors: ManagedSlice::Borrowed(&mut []),
                addresses: ManagedSlice::Borrowed(&mut addresses),
                learnt_routes: ManagedSlice::Borrowed(&mut []),
                routes: ManagedSlice::Borrowed(&mut routes),
                path_mtus: ManagedSlice::Borrowed(&mut []),
                tcp: TcpStorage {
                    connections: ManagedSlice::Borrowed(&mut []),
                    active: ManagedSlice::Borrowed(&mut []),
                    active_target: 0,
                    listeners: ManagedSlice::Borrowed(&mut []),
                    #[cfg(feature = "fast-open")]
                    servers: ManagedSlice::Borrowed(&mut []),
                    time_waits: ManagedSlice::Borrowed(&mut []),
                    options: ManagedSlice::Borrowed(&mut []),
                    buckets: ManagedSlice::Borrowed(&mut []),
                },
                connections_max: 0,
                datagrams: ManagedSlice::Borrowed(&mut datagrams),
                datagram_buckets: ManagedSlice::Borrowed(&mut buckets),
                datagrams_max: 2,
                #[cfg(feature = "raw")]
                raw_sockets: ManagedSlice::Borrowed(&mut []),
                #[cfg(feature = "raw")]
                raw_sockets_max: 0,
                #[cfg(feature = "fragments")]
                fragments: ManagedSlice::Borrowed(&mut []),
                #[cfg(feature = "fragments")]
                fragment_buffer: ManagedSlice::Borrowed(&mut []),
                #[cfg(feature = "multicast")]
                memberships: ManagedSlice::Borrowed(&mut []),
                #[cfg(feature = "multicast")]
                groups: ManagedSlice::Borrowed(&mut []),
            },
            [1; 32],
        );
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let id = stack.add_interface(Capabilities::new(mac, 1500)).unwrap();
        assert!(matches!(stack.add_interface(Capabilities::new(mac, 1500)), Err(Error::InvalidInput(_))));
        let address = Ipv4Addr::new(10, 0, 0, 1);
        stack.add_address(id, Cidr { address: address.into(), prefix_len: 24 }, Instant::ZERO).unwrap();
        let third = Cidr { address: Ipv4Addr::new(10, 0, 0, 7).into(), prefix_len: 24 };
        assert!(matches!(stack.add_address(id, third, Instant::ZERO), Err(Error::InvalidInput(_))));
        let any = || (Ipv4Addr::UNSPECIFIED, 0).into();
        let mut bind = || stack.datagram_bind(DatagramKind::Udp, any(), false);
        assert!(bind().is_ok() && bind().is_ok());
        assert_eq!(bind(), Err(Error::TooManySockets));
        let gateway = |last| Ipv4Addr::new(10, 0, 0, last).into();
        for last in 2..=4 {
            let destination = Cidr { address: gateway(last), prefix_len: 32 };
            let route = Route { destination, gateway: Some(gateway(9)), interface: id, metric: 0 };
            assert_eq!(stack.add_route(route).is_ok(), last < 4, "the table has two places");
        }
        let question = ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: Mac([2, 0, 0, 0, 0, 2]),
            sender: Ipv4Addr::new(10, 0, 0, 2),
            target_mac: Mac::default(),
            target: address,
        };
        let frame = question.emit(Mac::BROADCAST);
        let parts: [&[u8]; 1] = [&frame];
        for _ in 0..100 {
            stack.on_frame(id, RxFrame::plain(&parts), Instant::ZERO);
        }
        let counters = stack.counters();
        assert!(counters.drops(Drop::EgressQueueFull) > 80, "a quarter of the pool is for one device");
        assert_eq!(counters.arp.received.packets, 100);
    }
}
