//! The pipeline: frames in, timers, frames out. It holds all state and no clock, device or lock.

mod addresses;
mod announce;
#[cfg(feature = "slaac")]
mod autoconf;
#[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
mod clients;
#[cfg(feature = "slaac")]
mod dad;
#[cfg(feature = "dhcpv4")]
mod dhcp;
#[cfg(feature = "dhcpv6")]
mod dhcpv6;
mod egress;
#[cfg(any(feature = "tcp", feature = "udp"))]
mod flow;
#[cfg(feature = "forwarding")]
mod forward_merged;
#[cfg(feature = "forwarding")]
mod forwarding;
#[cfg(feature = "fragments")]
mod fragmenting;
#[cfg(feature = "fragments")]
mod fragments;
#[cfg(feature = "multicast")]
mod groups;
mod icmp;
mod ingress;
mod interface;
#[cfg(feature = "mdns")]
mod mdns;
mod memory;
#[cfg(feature = "dns")]
mod names;
mod neighbors;
mod paths;
#[cfg(feature = "raw")]
mod raw;
mod resolvers;
mod setup;
mod storage;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(not(feature = "tcp"))]
#[path = "no_tcp.rs"]
mod tcp;
#[cfg(feature = "tcp")]
mod tcp_calls;
#[cfg(all(feature = "tcp", feature = "fast-path"))]
mod tcp_flow;
#[cfg(all(feature = "tcp", not(feature = "fast-path")))]
#[path = "no_tcp_flow.rs"]
mod tcp_flow;
#[cfg(all(feature = "tcp", feature = "fast-path"))]
mod tcp_plain;
#[cfg(all(feature = "tcp", not(feature = "fast-path")))]
#[path = "no_tcp_plain.rs"]
mod tcp_plain;
mod timers;
mod udp;
#[cfg(feature = "uso")]
mod udp_batch;
mod udp_bind;
mod udp_in_place;
mod udp_options;
#[cfg(all(feature = "udp", feature = "fast-path"))]
mod udp_plain;
#[cfg(not(all(feature = "udp", feature = "fast-path")))]
#[path = "no_udp_plain.rs"]
mod udp_plain;
mod udp_source;
#[cfg(feature = "full")]
mod views;

pub use crate::base::demux::Bucket;
pub use crate::base::holder::Holder;
pub use crate::base::slab::Slot;
#[cfg(feature = "multicast")]
pub use crate::ip::groups::{GroupSlot, MembershipSlot};
pub use crate::ip::path_mtu::PathMtu;
#[cfg(feature = "fragments")]
pub use crate::ip::reassembly::FragmentSlot;
pub use crate::link::neighbor::{AskedNeighbor, Neighbor, NeighborSlot, NeighborState, Resolution};
pub use addresses::Assignment;
#[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
pub use clients::ClientMemory;
#[cfg(feature = "dhcpv4")]
pub use dhcp::{DHCP_METRIC, DhcpMemory};
#[cfg(feature = "dhcpv6")]
pub use dhcpv6::Dhcpv6Memory;
pub use egress::Devices;
#[cfg(feature = "multicast")]
pub use groups::Membership;
pub use interface::Interface;
#[cfg(feature = "fragments")]
pub(crate) use interface::QUEUE_MAX;
pub use memory::{Memory, SmallMemory};
pub use storage::{Limits, Storage};
#[cfg(feature = "tcp")]
pub use tcp_calls::{ListenerHandle, Readiness, TcpHandle};
#[cfg(feature = "full")]
pub use views::{SocketKind, SocketView};

use crate::base::pool::Pool;
use crate::base::random::Random;
use crate::base::rate::TokenBucket;
use crate::base::slab::Slab;
use crate::base::timed::Timed;
use crate::base::wakers::Wakers;
#[cfg(feature = "slaac")]
use crate::config::Resolvers;
use crate::counters::{Counters, Drop};
use crate::events::{Event, Events};
use crate::ip::addresses::Addresses;
use crate::ip::icmp::error_bucket;
#[cfg(feature = "slaac")]
use crate::ip::learnt::LearntRoutes;
use crate::ip::path_mtu::PathMtus;
use crate::ip::routes::Routes;
use crate::ip::{InterfaceId, Path};
use crate::link::neighbor::Neighbors;
use crate::tcp::Tcp;
use crate::time::Instant;
use crate::udp::Datagrams;
use core::task::Waker;

/// A TCP/IP stack.
///
/// Everything that happens to it comes in through [`on_frame`](Stack::on_frame),
/// [`on_timers`](Stack::on_timers), [`egress`](Stack::egress) and the calls of sockets, each with
/// the present time; given the same calls and the same seed it does the same.
pub struct Stack<'a> {
    pub(crate) pool: Pool<'a>,
    pub(crate) counters: Counters,
    pub(crate) events: Events,
    pub(crate) random: Random,
    pub(crate) interfaces: Timed<Slab<'a, Interface>>,
    pub(crate) neighbors: Timed<Neighbors<'a>>,
    pub(crate) addresses: Timed<Addresses<'a>>,
    pub(crate) routes: Routes<'a>,
    #[cfg(feature = "slaac")]
    pub(crate) learnt: Timed<LearntRoutes<'a>>,
    #[cfg(feature = "slaac")]
    pub(crate) resolvers: Timed<Resolvers>,
    /// Makes stable addresses.
    #[cfg(feature = "slaac")]
    stable_key: [u8; 16],
    /// The first deadline of the parts that are [`Timed`], as of when they were looked at last.
    listed_at: Option<Instant>,
    pub(crate) tcp: Tcp<'a>,
    datagrams: Datagrams<'a>,
    #[cfg(feature = "raw")]
    raw: crate::raw::RawSockets<'a>,
    #[cfg(feature = "dhcpv4")]
    dhcp: Timed<clients::Clients<'a, crate::config::dhcp::DhcpClient>>,
    #[cfg(feature = "dhcpv6")]
    dhcpv6: Timed<clients::Clients<'a, crate::config::dhcpv6::Dhcpv6Client>>,
    #[cfg(feature = "dns")]
    names: Timed<Holder<names::Names<'a>>>,
    #[cfg(feature = "mdns")]
    mdns: Holder<mdns::Mdns<'a>>,
    /// Tasks that wait for something else than a socket, until the network is shut down.
    pub(crate) attendants: Wakers,
    /// Tasks that wait for a point in time.
    #[cfg(feature = "alloc")]
    pub(crate) sleepers: crate::base::sleepers::Sleepers,
    icmp_bucket: TokenBucket,
    loopback: Option<InterfaceId>,
    /// The [`paths::address_bit`] of each address of ours.
    own_addresses: u64,
    /// The way of the last packet that was let in for an address of ours.
    admitted: Holder<ingress::AddressPair>,
    /// The last frame with a segment for a connection.
    flow: Holder<tcp::Flow>,
    /// The connection that the frame under way had a good segment for.
    served: Option<tcp::ActiveKey>,
    /// The last frame with a datagram for a socket.
    datagram_flow: Holder<udp_plain::Flow>,
    /// The socket that the frame under way had a datagram for.
    served_socket: Option<udp_plain::Served>,
    /// The path that a datagram took last.
    datagram_way: Holder<udp_plain::Way>,
    /// Changes whenever a [`Path`] may have.
    paths_epoch: u32,
    path_mtus: PathMtus<'a>,
    /// See [`fragmenting`].
    #[cfg(feature = "fragments")]
    idents: [u32; fragmenting::IDENTS],
    #[cfg(feature = "fragments")]
    reassembly: Timed<crate::ip::reassembly::Reassembly<'a>>,
    /// The path that TCP took last.
    tcp_way: Holder<tcp::TcpWay>,
    /// The path that an answer took last.
    answer_way: Holder<(paths::RouteCacheKey, Path)>,
}

impl<'a> Stack<'a> {
    /// A stack in this memory, without interfaces. The seed is 32 bytes that nobody else can know,
    /// different at each start.
    pub fn new(storage: Storage<'a>, seed: [u8; 32]) -> Self {
        let mut stack = Stack::empty();
        stack.start(storage, seed);
        stack
    }

    /// A stack without memory, for a static: there it takes no room on the call stack while it is made. Until
    /// [`start`](Stack::start) gives it memory every call fails, as all its tables are full.
    pub const fn empty() -> Self {
        Stack {
            pool: Pool::empty(),
            counters: Counters::NOTHING,
            events: Events::new(),
            interfaces: Timed::new(Slab::empty()),
            neighbors: Timed::new(Neighbors::empty()),
            addresses: Timed::new(Addresses::empty()),
            routes: Routes::empty(),
            #[cfg(feature = "slaac")]
            learnt: Timed::new(autoconf::no_routes()),
            #[cfg(feature = "slaac")]
            resolvers: Timed::new(Resolvers::new()),
            listed_at: None,
            #[cfg(feature = "slaac")]
            stable_key: [0; 16],
            tcp: Tcp::empty(),
            datagrams: Datagrams::empty(),
            #[cfg(feature = "raw")]
            raw: crate::raw::RawSockets::empty(),
            #[cfg(feature = "dhcpv4")]
            dhcp: Timed::new(clients::Clients::new()),
            #[cfg(feature = "dhcpv6")]
            dhcpv6: Timed::new(clients::Clients::new()),
            #[cfg(feature = "dns")]
            names: Timed::new(Holder::Empty),
            #[cfg(feature = "mdns")]
            mdns: Holder::Empty,
            attendants: Wakers::new(),
            #[cfg(feature = "alloc")]
            sleepers: crate::base::sleepers::Sleepers::new(),
            random: Random::new([0; 32]),
            icmp_bucket: TokenBucket::NONE,
            loopback: None,
            own_addresses: 0,
            admitted: Holder::Empty,
            flow: Holder::Empty,
            served: None,
            datagram_flow: Holder::Empty,
            served_socket: None,
            datagram_way: Holder::Empty,
            paths_epoch: 0,
            path_mtus: PathMtus::empty(),
            #[cfg(feature = "fragments")]
            idents: [0; fragmenting::IDENTS],
            #[cfg(feature = "fragments")]
            reassembly: Timed::new(crate::ip::reassembly::Reassembly::empty()),
            tcp_way: Holder::Empty,
            answer_way: Holder::Empty,
        }
    }

    /// Gives an [`empty`](Stack::empty) stack its memory, and the seed of [`new`](Stack::new).
    ///
    /// # Panics
    ///
    /// If it has memory already.
    pub fn start(&mut self, storage: Storage<'a>, seed: [u8; 32]) {
        assert!(self.pool.capacity() == 0, "a stack is given memory once");
        let mut random = Random::new(seed);
        self.icmp_bucket = error_bucket();
        self.pool = storage.pool;
        *self.interfaces = Slab::new(storage.interfaces, crate::ip::INTERFACES_MAX);
        self.neighbors.start(storage.neighbors, storage.asked_neighbors, random.key());
        *self.addresses = Addresses::new(storage.addresses);
        self.routes = Routes::new(storage.routes);
        self.path_mtus = PathMtus::new(storage.path_mtus);
        self.tcp.start(storage.tcp, storage.connections_max, &mut random);
        self.datagrams.start(
            storage.datagrams,
            storage.datagram_buckets,
            storage.datagrams_max,
            random.key(),
        );
        #[cfg(feature = "raw")]
        self.raw.start(storage.raw_sockets, storage.raw_sockets_max);
        #[cfg(feature = "multicast")]
        self.datagrams.groups.start(storage.memberships, storage.groups);
        #[cfg(feature = "fragments")]
        self.reassembly.start(storage.fragments, storage.fragment_buffer);
        #[cfg(feature = "slaac")]
        {
            *self.learnt = LearntRoutes::new(storage.learnt_routes);
            self.stable_key = random.key();
        }
        self.random = random;
    }

    /// Takes another seed, for a machine that was cloned, or goes on from a snapshot that others go on from as well: what it
    /// opens from now on has other ports, sequence numbers and cookies than theirs, and its questions other numbers.
    /// Connections that stand are not touched; SYN cookies and Fast Open cookies that are out are good no longer.
    /// [`link_up`](Self::link_up) is for the rest: addresses are announced, and leases asked about.
    ///
    /// ```
    /// # fn example(net: &barenet::Net, entropy: [u8; 32]) {
    /// net.with_stack(|stack| stack.renew_keys(entropy));
    /// # }
    /// ```
    pub fn renew_keys(&mut self, seed: [u8; 32]) {
        let mut random = Random::new(seed);
        self.tcp.renew_keys(&mut random);
        self.random = random;
    }

    /// What was counted so far.
    #[cfg(any(feature = "counters", test))]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The last events, and where to send them.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Bytes of the pool in use and in all.
    pub fn memory(&self) -> (usize, usize) {
        (self.pool.in_use(), self.pool.capacity())
    }

    /// A task to be woken for what happened since the last call. Who drives a stack asks until there is
    /// none, after each turn and each call, and wakes them when the stack is free to be used: a waker may
    /// run its task at once.
    pub fn next_woken(&mut self) -> Option<Waker> {
        let woken = self.tcp.woken.pop().or_else(|| self.datagrams.woken.pop());
        #[cfg(feature = "raw")]
        let woken = woken.or_else(|| self.raw.woken.pop());
        woken
    }

    /// Would [`next_woken`](Self::next_woken) give one?
    pub(crate) fn has_woken(&self) -> bool {
        #[cfg(feature = "raw")]
        if !self.raw.woken.is_empty() {
            return true;
        }
        !self.tcp.woken.is_empty() || !self.datagrams.woken.is_empty()
    }

    /// Wakes every task that waits for a socket: the network is being shut down.
    pub(crate) fn wake_everybody(&mut self) {
        self.tcp.wake_all();
        self.wake_datagrams();
        #[cfg(feature = "dns")]
        self.wake_names();
        self.attendants.wake(&mut self.tcp.woken);
        #[cfg(feature = "alloc")]
        self.sleepers.wake(&mut self.tcp.woken);
    }

    /// Panics if an invariant of the engine does not hold: for tests and simulations.
    pub fn check(&self) {
        self.tcp.check(&self.pool);
        // Nothing inside an advertised window is dropped for want of memory, unless the heap had less than
        // the pool's limit.
        assert!(self.counters.drops(Drop::TcpNoMemory) == 0 || self.pool.was_short());
    }

    /// What is known of an interface.
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(id.0)
    }

    /// Every interface.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        let all = self.interfaces.iter();
        all.filter_map(|(index, i)| Some((InterfaceId(self.interfaces.key(index)?), i)))
    }

    /// The addresses of all interfaces.
    ///
    /// ```
    /// use barenet::ip::addresses::Origin;
    /// # use barenet::stack::Stack;
    /// # fn print(stack: &Stack<'_>) {
    /// for address in stack.addresses().iter().filter(|a| a.origin != Origin::LinkLocal) {
    ///     println!("{} {:?}", address.cidr, address.state);
    /// }
    /// # }
    /// ```
    pub fn addresses(&self) -> &Addresses<'a> {
        &self.addresses
    }

    /// Counts a drop and tells of it.
    pub(crate) fn count_drop(&mut self, drop: Drop, now: Instant) {
        self.counters.count_drop(drop);
        self.events.emit(now, Event::Dropped(drop));
    }
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tcp_tests;
#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
