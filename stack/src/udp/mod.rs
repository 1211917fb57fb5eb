//! Sockets for datagrams: UDP by port, and ICMP echo by identifier, which works the same way.
//!
//! The table knows which socket a datagram is for and keeps what arrived until it is read. It
//! knows no routes and sends nothing.

mod batch;
mod deliver;
mod options;
mod peer;
mod received;

pub use batch::{Outgoing, RecvSlot};
#[cfg(feature = "fragments")]
pub use options::DontFragment;
#[cfg(feature = "multicast")]
pub(crate) use options::Multicast;
pub use options::{BindOptions, Sharing};
pub use received::Received;
#[cfg(any(feature = "tcp", feature = "udp", feature = "raw"))]
pub(crate) use received::with_zone;
use received::{scope, unrecord};

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use managed::ManagedSlice;

use crate::base::demux::{Bucket, Demux, HashKey};
use crate::base::packet_queue::PacketQueue;
use crate::base::pool::Pool;
use crate::base::random::Random;
use crate::base::slab::{Key, Slab, Slot};
use crate::base::wakers::{Wakers, Woken};
use crate::error::Error;
use crate::ip::arrival::ARRIVAL_LEN;
use crate::ip::{InterfaceId, PacketMeta, Path};

/// Names a socket of a stack; after the socket was closed it names nothing (H221).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DatagramHandle(Key);

#[cfg(all(test, feature = "multicast", feature = "alloc"))]
impl DatagramHandle {
    pub(crate) const fn of_key(key: Key) -> Self {
        DatagramHandle(key)
    }
}

/// What the datagrams of a socket are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DatagramKind {
    /// UDP; a port is a port.
    Udp,
    /// ICMP echo; the local port is the identifier, and the peer's the sequence number.
    Echo,
}

/// Which addresses a socket without a local address of its own serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Families {
    V4,
    V6,
    /// IPv6 and IPv4.
    Both,
}

impl Families {
    pub(crate) const fn has(self, address: IpAddr) -> bool {
        matches!(
            (self, address),
            (Families::Both, _) | (Families::V4, IpAddr::V4(_)) | (Families::V6, IpAddr::V6(_))
        )
    }

    const fn overlap(self, other: Families) -> bool {
        !matches!((self, other), (Families::V4, Families::V6) | (Families::V6, Families::V4))
    }
}

/// Ephemeral ports (RFC 6056 §3.2 asks for a large range): the lower ones are left to servers.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 20_000..=65_535;

/// One socket.
#[derive(Debug)]
pub struct DatagramSocket {
    pub(crate) kind: DatagramKind,
    pub(crate) families: Families,
    sharing: Sharing,
    /// The later it was bound the greater.
    bound: u32,
    /// `None`: every address of the families.
    pub(crate) local: Option<IpAddr>,
    pub(crate) port: u16,
    /// Only this interface's datagrams.
    pub(crate) zone: Option<InterfaceId>,
    pub(crate) peer: Option<(IpAddr, u16)>,
    /// It got its address, and its interface, by connecting, and loses them with its peer.
    chosen: [bool; 2],
    pub(crate) hop_limit: Option<u8>,
    /// Of what it sends: DSCP and ECN.
    pub(crate) traffic_class: u8,
    pub(crate) broadcast: bool,
    #[cfg(feature = "fragments")]
    pub(crate) dont_fragment: DontFragment,
    #[cfg(feature = "multicast")]
    pub(crate) multicast: Multicast,
    /// What ICMP said, once: to the next sender at once, to readers after what came before it.
    error: Option<PendingError>,
    pub(crate) readers: Wakers,
    received: PacketQueue,
    receive_max: usize,
    /// The path of the last datagram that it sent, and what that was found for.
    last_path: Option<LastPath>,
}

/// A path, which is good for the same peer as long as nothing has changed that paths depend on.
#[derive(Clone, Copy, Debug)]
struct LastPath {
    to: IpAddr,
    /// The zone of a link-local address, else 0.
    scope: u32,
    /// See [`Stack::paths_epoch`](crate::stack::Stack::paths_epoch).
    epoch: u32,
    path: Path,
}

/// What ICMP said of a datagram that was sent.
#[derive(Clone, Copy, Debug)]
struct PendingError {
    what: Error,
    /// Datagrams that had come before it and are not read yet.
    ahead: usize,
}

impl DatagramSocket {
    /// Is there an error that a sender is to be told of?
    #[cfg(feature = "udp")]
    pub(crate) const fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// The pending error, which is forgotten.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take().map(|error| error.what)
    }

    /// The path to this peer, if it is known.
    pub(crate) fn known_path(&self, to: &SocketAddr, epoch: u32) -> Option<Path> {
        let last = self.last_path.as_ref()?;
        (last.epoch == epoch && last.to == to.ip() && last.scope == scope(to)).then_some(last.path)
    }

    /// Remembers the path to this peer.
    pub(crate) fn note_path(&mut self, to: &SocketAddr, epoch: u32, path: Path) {
        self.last_path = Some(LastPath { to: to.ip(), scope: scope(to), epoch, path });
    }

    /// Something of the socket has changed that its paths depend on.
    #[cfg(feature = "multicast")]
    pub(crate) fn forget_path(&mut self) {
        self.last_path = None;
    }

    /// Does the socket want this datagram, and how specific is it about it (H137)?
    fn rank(&self, meta: &PacketMeta, source: (IpAddr, u16)) -> Option<u8> {
        let address_fits = match self.local {
            Some(local) => local == meta.destination,
            None => self.families.has(meta.destination),
        };
        let peer_fits = self.peer.is_none_or(|peer| match self.kind {
            DatagramKind::Udp => peer == source,
            DatagramKind::Echo => peer.0 == source.0,
        });
        let zone_fits = self.zone.is_none_or(|zone| zone == meta.interface);
        let rank = 8 * u8::from(self.peer.is_some())
            + 4 * u8::from(self.local.is_some())
            + 2 * u8::from(self.zone.is_some())
            + u8::from(self.families != Families::Both);
        (address_fits && peer_fits && zone_fits).then_some(rank)
    }

    /// Would both want some datagram, with nothing to prefer one by?
    fn conflicts(&self, sharing: Sharing, (families, local, zone): Place) -> bool {
        let same = self.zone == zone && self.local == local;
        let shared = sharing != Sharing::No && self.sharing == sharing;
        same && self.peer.is_none() && self.families.overlap(families) && !shared
    }
}

/// Where a socket is bound, its port aside: families, address, interface.
type Place = (Families, Option<IpAddr>, Option<InterfaceId>);

/// Where the sockets of a port are looked for. No secret: which ports are in use is no peer's choice, and
/// all sockets of one lie together under any hash.
fn port_hash(kind: DatagramKind, port: u16) -> u32 {
    let number = u32::from(port) << 1 | u32::from(kind == DatagramKind::Echo);
    // Fibonacci hashing: the upper bits depend on all others.
    number.wrapping_mul(0x9e37_79b9).rotate_left(16)
}

/// All datagram sockets.
pub(crate) struct Datagrams<'a> {
    slab: Slab<'a, DatagramSocket>,
    /// How many were bound so far.
    bound: u32,
    epoch: u32,
    demux: Demux<'a>,
    /// Of flow labels.
    hash: HashKey,
    /// Tasks to be woken, those that wait to send among them.
    pub(crate) woken: Woken,
    /// Which groups they hear.
    #[cfg(feature = "multicast")]
    pub(crate) groups: crate::base::timed::Timed<crate::ip::groups::Groups<'a>>,
}

/// Why a datagram was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Undelivered {
    NoSocket,
    QueueFull,
    OutOfMemory,
}

impl<'a> Datagrams<'a> {
    /// Without a place for a socket.
    pub(crate) const fn empty() -> Self {
        Datagrams {
            slab: Slab::empty(),
            bound: 0,
            epoch: 0,
            demux: Demux::empty(),
            hash: HashKey([0; 16]),
            woken: Woken::new(),
            #[cfg(feature = "multicast")]
            groups: crate::base::timed::Timed::new(crate::ip::groups::Groups::empty()),
        }
    }

    /// The places; before there is a socket.
    pub(crate) fn start(
        &mut self,
        slots: ManagedSlice<'a, Slot<DatagramSocket>>,
        buckets: ManagedSlice<'a, Bucket>,
        limit: usize,
        key: [u8; 16],
    ) {
        (self.slab, self.demux, self.hash) = (Slab::new(slots, limit), Demux::new(buckets), HashKey(key));
    }

    /// A number that changes whenever a datagram may be for another socket than before, or one be sent from another address.
    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    fn next_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Every socket.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &DatagramSocket> {
        self.slab.iter().map(|(_, socket)| socket)
    }

    pub(crate) fn get(&self, handle: DatagramHandle) -> Result<&DatagramSocket, Error> {
        self.slab.get(handle.0).ok_or(Error::StaleHandle)
    }

    pub(crate) fn get_mut(&mut self, handle: DatagramHandle) -> Result<&mut DatagramSocket, Error> {
        self.slab.get_mut(handle.0).ok_or(Error::StaleHandle)
    }

    /// Looks at the sockets of a port; the walk ends when `visit` says so.
    fn visit(&self, kind: DatagramKind, port: u16, mut visit: impl FnMut(u32, &DatagramSocket) -> bool) {
        let hash = port_hash(kind, port);
        self.demux.find(hash, |index| {
            let socket = self.slab.at(index).filter(|s| (s.kind, s.port) == (kind, port));
            socket.is_some_and(|s| visit(index, s))
        });
    }

    /// Is there a socket that wants a datagram between these ports?
    pub(crate) fn has_socket(&self, kind: DatagramKind, meta: &PacketMeta, ports: (u16, u16)) -> bool {
        let mut wanted = false;
        self.visit(kind, ports.1, |_, socket| {
            wanted |= socket.rank(meta, (meta.source, ports.0)).is_some();
            wanted
        });
        wanted
    }

    fn is_used(&self, kind: DatagramKind, port: u16) -> bool {
        let mut used = false;
        self.visit(kind, port, |_, _| {
            used = true;
            true
        });
        used
    }

    /// A new socket. Port 0: one that nobody else uses, at random (H139).
    pub(crate) fn bind(
        &mut self,
        kind: DatagramKind,
        place: Place,
        (port, sharing): (u16, Sharing),
        receive_max: usize,
        random: &mut Random,
    ) -> Result<DatagramHandle, Error> {
        let port = match port {
            0 => self.free_port(kind, random).ok_or(Error::AddrInUse)?,
            port => port,
        };
        let mut taken = false;
        self.visit(kind, port, |_, other| {
            taken |= other.conflicts(sharing, place);
            taken
        });
        if taken {
            return Err(Error::AddrInUse);
        }
        let (families, local, zone) = place;
        self.bound = self.bound.wrapping_add(1);
        let socket = DatagramSocket {
            sharing,
            bound: self.bound,
            kind,
            families,
            local,
            port,
            zone,
            peer: None,
            chosen: [false; 2],
            hop_limit: None,
            traffic_class: 0,
            broadcast: false,
            #[cfg(feature = "fragments")]
            dont_fragment: DontFragment::No,
            #[cfg(feature = "multicast")]
            multicast: Multicast::DEFAULT,
            error: None,
            readers: Wakers::new(),
            received: PacketQueue::new(),
            receive_max,
            last_path: None,
        };
        let key = self.slab.insert(socket).map_err(|_| Error::TooManySockets)?;
        if !self.demux.insert(port_hash(kind, port), key.index) {
            self.slab.remove(key.index);
            return Err(Error::TooManySockets);
        }
        self.next_epoch();
        Ok(DatagramHandle(key))
    }

    fn free_port(&self, kind: DatagramKind, random: &mut Random) -> Option<u16> {
        let span = u32::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        let first = random.below(span);
        // One step suffices unless a good part of the range is used.
        let mut ports = (0..span).map(|i| EPHEMERAL.start() + ((first + i) % span) as u16);
        ports.find(|port| !self.is_used(kind, *port))
    }

    /// The flow label of a flow: stable, not guessable, never 0 (RFC 6437 §3). It costs a hash, so
    /// it is made for IPv6 only.
    pub(crate) fn flow_label(&self, source: IpAddr, destination: IpAddr, ports: (u16, u16)) -> u32 {
        match destination {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => (self.hash.hash(&(source, destination, ports)) & 0xf_ffff).max(1),
        }
    }

    /// A keyed hash, for numbers that nobody foresees.
    pub(crate) fn keyed(&self, of: &impl core::hash::Hash) -> u32 {
        self.hash.hash(of)
    }

    /// Could a socket have sent a datagram from `local` to `peer`? A connected one to its peer only.
    #[cfg(feature = "fragments")]
    pub(crate) fn may_have_sent(
        &self,
        kind: DatagramKind,
        local: (IpAddr, u16),
        peer: (IpAddr, u16),
    ) -> bool {
        let mut found = false;
        self.visit(kind, local.1, |_, socket| {
            let same_port = |p: (IpAddr, u16)| kind == DatagramKind::Echo || p.1 == peer.1;
            found |= socket.families.has(local.0)
                && socket.local.is_none_or(|l| l == local.0)
                && socket.peer.is_none_or(|p| p.0 == peer.0 && same_port(p));
            found
        });
        found
    }

    /// Tells a socket that wants to know that a datagram did not fit through its path.
    #[cfg(feature = "fragments")]
    pub(crate) fn set_too_long(
        &mut self,
        kind: DatagramKind,
        local: (IpAddr, u16),
        peer: (IpAddr, u16),
        limit: u16,
    ) {
        let too_long = Error::MessageTooLong { limit };
        self.tell(kind, local, peer, too_long, |socket| socket.dont_fragment != DontFragment::No);
    }

    /// Closes a socket; what was not read is lost.
    pub(crate) fn close(&mut self, handle: DatagramHandle, pool: &mut Pool<'_>) {
        let Some(socket) = self.slab.get_mut(handle.0) else { return };
        socket.received.clear(pool);
        socket.readers.wake(&mut self.woken);
        let hash = port_hash(socket.kind, socket.port);
        self.demux.remove(hash, handle.0.index);
        self.slab.remove(handle.0.index);
        self.next_epoch();
    }

    /// `waker` is woken when there is something to receive.
    pub(crate) fn wait(&mut self, handle: DatagramHandle, waker: &Waker) -> Result<(), Error> {
        let socket = self.slab.get_mut(handle.0).ok_or(Error::StaleHandle)?;
        socket.readers.register(waker, &mut self.woken);
        Ok(())
    }

    /// Wakes whoever waits for a datagram.
    pub(crate) fn wake_all(&mut self) {
        self.slab.for_each_mut(|socket| socket.readers.wake(&mut self.woken));
    }

    /// Copies the oldest unread datagram into `buf` and forgets it, or only looks at it.
    pub(crate) fn receive(
        &mut self,
        handle: DatagramHandle,
        buf: &mut [u8],
        peek: bool,
        pool: &mut Pool<'_>,
    ) -> Result<Received, Error> {
        let socket = self.get_mut(handle)?;
        socket.due_error()?;
        let in_one_piece = socket.received.front(pool).and_then(|packet| packet.split_first_chunk());
        let received = if let Some((record, data)) = in_one_piece {
            let len = data.len().min(buf.len());
            buf[..len].copy_from_slice(&data[..len]);
            Received { len, datagram_len: data.len(), ..unrecord(record) }
        } else {
            let len = socket.received.front_len(pool).ok_or(Error::WouldBlock)?;
            let mut record = [0; ARRIVAL_LEN];
            socket.received.copy_front(pool, 0, &mut record);
            let copied = socket.received.copy_front(pool, ARRIVAL_LEN, buf);
            Received { len: copied, datagram_len: len - ARRIVAL_LEN, ..unrecord(&record) }
        };
        if !peek {
            socket.pop(&received, pool);
        }
        Ok(received)
    }

    /// An error about a datagram from `local` to `peer`: told to the socket that is connected
    /// there (H083, H093). False: there is none.
    pub(crate) fn set_error(
        &mut self,
        kind: DatagramKind,
        local: (IpAddr, u16),
        peer: (IpAddr, u16),
        error: Error,
    ) -> bool {
        self.tell(kind, local, peer, error, |_| true)
    }

    #[inline]
    fn tell(
        &mut self,
        kind: DatagramKind,
        local: (IpAddr, u16),
        peer: (IpAddr, u16),
        error: Error,
        wants: impl Fn(&DatagramSocket) -> bool,
    ) -> bool {
        let mut found = None;
        self.visit(kind, local.1, |index, socket| {
            let same_port = kind == DatagramKind::Echo || socket.peer.is_some_and(|p| p.1 == peer.1);
            let same_peer = same_port && socket.peer.is_some_and(|p| p.0 == peer.0);
            if same_peer && wants(socket) && socket.local.is_none_or(|l| l == local.0) {
                found = Some(index);
            }
            found.is_some()
        });
        let Some(socket) = found.and_then(|index| self.slab.at_mut(index)) else {
            return false;
        };
        socket.error = Some(PendingError { what: error, ahead: socket.received.packets() });
        socket.readers.wake(&mut self.woken);
        true
    }
}

impl DatagramSocket {
    /// Does a datagram wait, before any error?
    pub(crate) fn has_datagram(&self) -> bool {
        !self.received.is_empty() && self.error.is_none_or(|error| error.ahead > 0)
    }

    /// Is there something to receive?
    pub(crate) fn is_readable(&self) -> bool {
        self.error.is_some() || !self.received.is_empty()
    }
}
