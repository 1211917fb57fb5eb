//! Names: what the resolver wants is carried out here, by datagrams and, for long answers, over one connection at a time.

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use managed::ManagedSlice;

use super::Holder;
use super::{Stack, TcpHandle};
use crate::base::pool::Need;
use crate::base::wakers::Woken;
use crate::bytes::Bytes;
use crate::config::DomainName;
use crate::counters::Drop;
use crate::error::Error;
use crate::ip::{IcmpError, PacketMeta};
use crate::link::neighbor::Purpose;
use crate::names::resolver::{Domains, Outgoing, QueryId, Resolver};
use crate::names::{
    DNS_PORT, DnsConfig, Name, NamesStorage, RecordType, Records, SERVERS_MAX, Server, Servers,
};
use crate::time::Instant;
use crate::udp::{DatagramKind, with_zone};
use crate::wire::dns::DNS_QUERY_MAX;
use crate::wire::{IpHeader, UdpHeader, protocol};

/// A datagram that came in several pieces is put together up to here: more than is asked for.
pub(super) const JOINED_LEN: usize = 1500;

/// The resolver of a stack.
pub(super) struct Names<'a> {
    resolver: Resolver<'a>,
    buffer: ManagedSlice<'a, u8>,
    stream: Option<Stream>,
    /// Those that were known when somebody last asked.
    servers: Servers,
}

/// A question that is put by TCP (RFC 7766).
#[derive(Clone, Copy)]
struct Stream {
    query: QueryId,
    to: Server,
    handle: TcpHandle,
    /// Bytes that have come, the two of the length included.
    len: usize,
    is_asked: bool,
}

impl<'a> Stack<'a> {
    /// Names can be resolved from now on, by the servers and as `config` says. With the feature `alloc`,
    /// [`Net`](crate::Net) does this by itself, with memory of the heap.
    pub fn start_names(&mut self, config: DnsConfig, storage: NamesStorage<'a>) {
        let (resolver, buffer) = Resolver::new(config, storage, self.random.key());
        *self.names = Holder::Entry(Names { resolver, buffer, stream: None, servers: Servers::new() });
    }

    /// Another configuration. What was remembered is forgotten, and what is under way is asked anew.
    ///
    /// [`Error::InvalidInput`]: names were not [started](Stack::start_names).
    pub fn configure_names(&mut self, config: DnsConfig) -> Result<(), Error> {
        self.resolver()?.configure(config);
        Ok(())
    }

    /// How names are resolved; `None`: they are not.
    pub fn names_config(&self) -> Option<&DnsConfig> {
        self.names.as_ref().map(|names| &names.resolver.config)
    }

    fn resolver(&mut self) -> Result<&mut Resolver<'a>, Error> {
        let names = self.names.as_mut();
        names.map(|names| &mut names.resolver).ok_or(Error::InvalidInput("names need `Stack::start_names`"))
    }

    /// Begins a question; see [`Resolver::start`].
    pub(crate) fn names_ask(
        &mut self,
        question: (&Name, RecordType),
        how: (bool, bool),
        now: Instant,
    ) -> Result<QueryId, Error> {
        self.resolver()?;
        let ask = |names: &mut Names<'a>, stack: &mut Stack<'a>| {
            let own = names.resolver.config.search;
            names.resolver.start(question, how, &|n| stack.domain(own, n), now)
        };
        self.with_names(ask).unwrap_or(Err(Error::StaleHandle))
    }

    /// Two questions for one name: once one has an answer, the other has to hurry.
    pub(crate) fn names_pair(&mut self, ids: (QueryId, QueryId), now: Instant) {
        if let Ok(resolver) = self.resolver() {
            resolver.pair(ids, now);
        }
    }

    /// What has become of a question, handed to `take`.
    pub(crate) fn names_result<R>(
        &mut self,
        id: QueryId,
        waker: Option<&Waker>,
        take: impl FnOnce(&Records, &Name) -> R,
    ) -> Result<R, Error> {
        self.resolver()?.result(id, waker).map(|(records, name)| take(records, name))
    }

    /// Nobody waits for the question any more.
    #[must_use]
    pub(crate) fn names_let_go(&mut self, id: QueryId) -> Option<Waker> {
        self.resolver().ok()?.let_go(id)
    }

    /// The network is shut down.
    pub(super) fn wake_names(&mut self) {
        if let Some(names) = self.names.as_mut() {
            names.resolver.wake_all(&mut self.tcp.woken);
        }
    }

    /// The resolver and the rest of the stack side by side.
    fn with_names<R>(&mut self, call: impl FnOnce(&mut Names<'a>, &mut Stack<'a>) -> R) -> Option<R> {
        let mut names = self.names.take()?;
        let result = call(&mut names, self);
        *self.names = Holder::Entry(names);
        Some(result)
    }

    /// A domain of the search list, by its number: the program's own, or what DHCP and routers say.
    fn domain(&self, own: &[&str], number: usize) -> Option<Name> {
        if !own.is_empty() {
            return Name::new(own.get(number)?).ok();
        }
        match self.search_domains().nth(number)?.0 {
            DomainName::Text(text) => Name::new(text).ok(),
            #[cfg(any(feature = "dhcpv4", feature = "dhcpv6"))]
            DomainName::Option(option) => {
                let mut name = Name::ROOT;
                option.plain_labels().try_for_each(|label| name.push(label))?;
                Some(name)
            }
        }
    }

    /// The domain of the search list that a name is in, below it.
    pub(crate) fn search_domain_of(&self, name: &Name) -> Option<Name> {
        let own = self.names_config()?.search;
        let mut domains = (0..usize::from(u8::MAX)).map_while(|n| self.domain(own, n));
        domains.find(|domain| name != domain && name.is_in(domain))
    }

    /// The servers that are asked: the program's own, or what DHCP and routers say.
    fn name_servers(&self, config: &DnsConfig, now: Instant) -> Servers {
        let own = config.servers.iter().flatten();
        let own =
            own.map(|s| (SocketAddr::new(s.ip(), if s.port() == 0 { DNS_PORT } else { s.port() }), None));
        let mut servers: Servers = own.collect();
        if servers.is_empty() {
            let told = self.dns_servers().filter(|s| s.until > now);
            servers = told
                .map(|s| (with_zone(s.address, DNS_PORT, s.interface.zone()), Some(s.interface)))
                .take(SERVERS_MAX)
                .collect();
        }
        servers
    }

    /// When the resolver wants a turn.
    #[inline]
    pub(super) fn names_deadline(&self) -> Option<Instant> {
        // Noted is only that it is at rest.
        if self.names.is_noted() { None } else { self.names.as_ref()?.resolver.deadline() }
    }

    /// While questions are under way: looks whether the servers are others, sends what is due, sees to the connection.
    #[inline]
    pub(super) fn names_timers(&mut self, now: Instant) {
        if !self.names.is_noted() {
            self.names_work(now);
        }
    }

    #[inline(never)]
    fn names_work(&mut self, now: Instant) {
        let is_at_rest = |names: &Names<'_>| names.stream.is_none() && names.resolver.deadline().is_none();
        if self.names.as_ref().is_none_or(is_at_rest) {
            return self.names.note();
        }
        self.with_names(|names, stack| {
            let servers = stack.name_servers(&names.resolver.config, now);
            let before = core::mem::replace(&mut names.servers, servers);
            if names.servers != before && !before.is_empty() {
                names.resolver.on_servers_changed();
            }
            while stack.names_stream(names, now) {}
            stack.names_send(names, now);
        });
    }

    fn names_send(&mut self, names: &mut Names<'a>, now: Instant) {
        let Names { resolver, servers, .. } = names;
        let mut buf = [0; DNS_QUERY_MAX];
        loop {
            let tools = (&mut self.random, &mut self.tcp.woken);
            let Some(out) = resolver.next_send(servers, &mut buf, tools, now) else { return };
            if let Err(drop) = self.names_transmit(&out, &buf[..out.len], now) {
                self.count_drop(drop, now);
                resolver.on_failure(out.query, servers.len(), &mut self.tcp.woken);
            }
        }
    }

    fn names_transmit(&mut self, out: &Outgoing, message: &[u8], now: Instant) -> Result<(), Drop> {
        let destination = out.to.ip().to_canonical();
        #[cfg(feature = "mdns")]
        if destination.is_multicast() {
            return self.mdns_ask(out.port, message, now);
        }
        // A server of a link is asked by that link; others by whichever leads there.
        let zone = out.zone.filter(|_| is_of_link(destination));
        let path = self.path(destination, zone, None).map_err(|_| Drop::NoRoute)?;
        let ip = IpHeader::new(path.source, destination, protocol::UDP, 0);
        let payload = [message];
        let payload = Bytes::new(&payload);
        let header = UdpHeader::emit((out.port, out.to.port()), path.source, destination, payload);
        self.try_send(&path, (Purpose::Own, Need::Control), &ip, (&header, payload), None, now)
    }

    /// A datagram. `None`: no question was sent from its port.
    /// Is a question under way from this port?
    #[cfg(feature = "udp")]
    pub(super) fn names_ask_from(&self, port: u16) -> bool {
        self.names.as_ref().is_some_and(|names| names.resolver.by_port(port).is_some())
    }

    pub(super) fn names_input(
        &mut self,
        meta: &PacketMeta,
        (from, to): (u16, u16),
        payload: Bytes<'_>,
        now: Instant,
    ) -> Option<Result<(), Drop>> {
        let resolver = &self.names.as_ref()?.resolver;
        let query = resolver.by_port(to)?;
        // The port may be a socket's, too.
        let is_servers = || resolver.asked_at(to, (meta.source, from)).is_some();
        #[cfg(not(feature = "mdns"))]
        let is_servers = is_servers();
        #[cfg(feature = "mdns")]
        let is_servers = match resolver.is_of_link(query) {
            true => from == crate::names::mdns::MDNS_PORT && self.is_from_link(meta),
            false => is_servers(),
        };
        if !is_servers && self.datagrams.has_socket(DatagramKind::Udp, meta, (from, to)) {
            return None;
        }
        #[cfg(feature = "mdns")]
        if !is_servers && resolver.is_of_link(query) {
            return Some(Err(Drop::MdnsForeign));
        }
        Some(self.names_datagram(query, SocketAddr::new(meta.source, from), payload, now))
    }

    #[inline(never)]
    fn names_datagram(
        &mut self,
        query: usize,
        from: SocketAddr,
        payload: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        let mut joined = [0; JOINED_LEN];
        let message = whole(payload, &mut joined).ok_or(Drop::DnsMalformed)?;
        let hear = |names: &mut Names<'a>, stack: &mut Stack<'a>| {
            let own = names.resolver.config.search;
            let mut woken = core::mem::take(&mut stack.tcp.woken);
            let about: (usize, Domains<'_>) = (names.servers.len(), &|n| stack.domain(own, n));
            let result = names.resolver.on_datagram(query, (from, message), about, &mut woken, now);
            stack.tcp.woken = woken;
            result
        };
        self.with_names(hear).unwrap_or(Ok(()))
    }

    /// An error of ICMP, or a neighbour that does not answer: is it about a question?
    pub(super) fn names_error(&mut self, error: &IcmpError) -> bool {
        let Some(names) = self.names.as_mut() else { return false };
        let server = (error.destination, error.destination_port());
        let Some(query) = names.resolver.asked_at(error.source_port(), server) else { return false };
        names.resolver.on_failure(query, names.servers.len(), &mut self.tcp.woken);
        true
    }

    /// One step of the exchange by TCP: its beginning, what has come, its end. True: another may begin.
    fn names_stream(&mut self, names: &mut Names<'a>, now: Instant) -> bool {
        if let Some(stream) = names.stream
            && !names.resolver.is_long(stream.query, stream.to)
        {
            self.tcp_abort(stream.handle, now);
            names.stream = None;
        }
        if names.stream.is_none() {
            let Some((query, to)) = names.resolver.next_long() else { return false };
            match self.tcp_connect(to.0, None, now) {
                Ok(handle) => names.stream = Some(Stream { query, to, handle, len: 0, is_asked: false }),
                Err(_) => {
                    names.fail(query, &mut self.tcp.woken);
                    return true;
                }
            }
        }
        let Some(stream) = names.stream else { return false };
        match self.names_exchange(names, now) {
            Err(Error::WouldBlock) => return false,
            Err(_) => {
                names.stream = None;
                self.tcp_abort(stream.handle, now);
                names.fail(stream.query, &mut self.tcp.woken);
            }
            Ok(end) => {
                names.stream = None;
                self.tcp_close(stream.handle, now);
                let own = names.resolver.config.search;
                let mut woken = core::mem::take(&mut self.tcp.woken);
                let Names { resolver, buffer, servers, .. } = names;
                let about: (usize, Domains<'_>) = (servers.len(), &|n| self.domain(own, n));
                let result = resolver.on_long(stream.query, &buffer[2..end], about, &mut woken, now);
                self.tcp.woken = woken;
                if let Err(drop) = result {
                    self.count_drop(drop, now);
                }
            }
        }
        true
    }

    /// Asks, and reads what has come. Where the message ends in the buffer, once it is there, or as much of it as there is room for.
    fn names_exchange(&mut self, names: &mut Names<'a>, now: Instant) -> Result<usize, Error> {
        let Names { resolver, buffer, stream, .. } = names;
        let stream = stream.as_mut().ok_or(Error::WouldBlock)?;
        if !stream.is_asked {
            self.tcp_connected(stream.handle)?;
            let (mut query, mut framed) = ([0; DNS_QUERY_MAX], [0; 2 + DNS_QUERY_MAX]);
            let len = resolver.write_long(stream.query, &mut query);
            framed[..2].copy_from_slice(&(len as u16).to_be_bytes());
            framed[2..2 + len].copy_from_slice(&query[..len]);
            self.tcp_write_whole(stream.handle, &framed[..2 + len], now)?;
            stream.is_asked = true;
        }
        loop {
            let whole = buffer.first_chunk().map_or(0, |len| 2 + usize::from(u16::from_be_bytes(*len)));
            if stream.len >= 2 && stream.len >= whole.min(buffer.len()) {
                return Ok(whole.min(buffer.len()));
            }
            let room = &mut buffer[stream.len..];
            if room.is_empty() {
                return Err(Error::OutOfMemory);
            }
            match self.tcp_read(stream.handle, room, now)? {
                0 => return Err(Error::UnexpectedEof),
                len => stream.len += len,
            }
        }
    }
}

impl Names<'_> {
    fn fail(&mut self, query: QueryId, woken: &mut Woken) {
        self.resolver.on_stream_failure(query, self.servers.len(), woken);
    }
}

/// A datagram in one piece: put together in `joined`, if it came in several. `None`: it is too long for that.
pub(super) fn whole<'m>(payload: Bytes<'m>, joined: &'m mut [u8; JOINED_LEN]) -> Option<&'m [u8]> {
    match payload.front() {
        front if front.len() == payload.len() => Some(front),
        _ if payload.len() > joined.len() => None,
        _ => {
            let len = payload.copy_to(joined);
            joined.get(..len)
        }
    }
}

fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => crate::ip::is_link_local(a),
    }
}
