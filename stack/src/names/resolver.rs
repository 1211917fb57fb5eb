//! The questions under way: whom each is put to, what of that comes back, and what is done when nothing does.

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use managed::ManagedSlice;

use super::answer::{self, ALIASES_MAX, Found};
use super::cache::{Cache, Kept};
pub(crate) use super::query::QueryId;
use super::query::{Phase, Query};
use super::{DnsConfig, Name, NamesStorage, RecordType, Records, Server, Servers, is_of_link};
use crate::base::random::Random;
use crate::base::wakers::Woken;
use crate::counters::Drop;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::time::{Duration, Instant};
use crate::wire::dns::{DNS_QUERY_MAX, DnsMessage, rcode, write_query};

/// The first of the ports that questions are sent from (RFC 5452 §9.2); those up to 65535 are.
const PORT_MIN: u32 = 16_384;
/// Answers for pointers of the link are gathered for so long after the first.
const GATHER_TIME: Duration = Duration::from_secs(1);
/// An exchange by TCP takes at least two round trips, and may have to wait for a lost SYN.
const STREAM_TIME: Duration = Duration::from_secs(2);

/// A question to be sent as a datagram.
pub(crate) struct Outgoing {
    pub query: usize,
    pub to: SocketAddr,
    pub zone: Option<InterfaceId>,
    pub port: u16,
    pub len: usize,
}

/// The resolver.
pub(crate) struct Resolver<'a> {
    pub(crate) config: DnsConfig,
    queries: ManagedSlice<'a, Query>,
    queries_max: usize,
    cache: Cache<'a>,
    /// The server that answered last: it is asked first.
    preferred: Option<SocketAddr>,
}

/// Where the domains of the search list are had from, by their number.
pub(crate) type Domains<'d> = &'d dyn Fn(usize) -> Option<Name>;

impl<'a> Resolver<'a> {
    /// A resolver in this memory, and the buffer for long answers, which is not its own.
    pub(crate) fn new(
        config: DnsConfig,
        storage: NamesStorage<'a>,
        key: [u8; 16],
    ) -> (Self, ManagedSlice<'a, u8>) {
        let cache = Cache::new(storage.cache, storage.cache_max, key);
        let (queries, queries_max) = (storage.queries, storage.queries_max);
        (Resolver { config, queries, queries_max, cache, preferred: None }, storage.buffer)
    }

    /// Forgets what was learned, for another configuration.
    pub(crate) fn configure(&mut self, config: DnsConfig) {
        (self.config, self.preferred) = (config, None);
        self.cache.clear();
        self.on_servers_changed();
    }

    /// Begins a question. With `search` the name may lack a domain of the search list; with `fresh` the cache is not asked.
    ///
    /// [`Error::TooManySockets`]: there is no place.
    pub(crate) fn start(
        &mut self,
        (name, kind): (&Name, RecordType),
        (search, fresh): (bool, bool),
        domains: Domains<'_>,
        now: Instant,
    ) -> Result<QueryId, Error> {
        let free = self.queries.iter().position(|q| q.phase == Phase::Free);
        let index = free.or_else(|| self.grow()).ok_or(Error::TooManySockets)?;
        let limit = self.config.limit;
        let has_edns = self.config.udp_size > 0;
        let query = &mut self.queries[index];
        query.serial = query.serial.wrapping_add(1);
        query.records.clear(kind);
        (query.name, query.other, query.waker) = (*name, None, None);
        (query.form, query.edns, query.ends) = (0, has_edns, now + limit);
        // The root's zero is no part of it.
        let search = search && !is_of_link(name);
        query.short = if search { (name.as_bytes().len() - 1) as u8 } else { 0 };
        let id = QueryId { index, serial: query.serial };
        query.restart();
        self.set_form(index, domains);
        self.begin(index, fresh, domains, now);
        Ok(id)
    }

    /// One place more, of the heap.
    fn grow(&mut self) -> Option<usize> {
        #[cfg(feature = "alloc")]
        if let ManagedSlice::Owned(queries) = &mut self.queries
            && queries.len() < self.queries_max
            && queries.try_reserve(1).is_ok()
        {
            queries.push(Query::new());
            return Some(queries.len() - 1);
        }
        let _ = self.queries_max;
        None
    }

    /// The name in the form of this number: a name with dots as it is first, one without last. False: there are no more.
    fn set_form(&mut self, index: usize, domains: Domains<'_>) -> bool {
        let query = &mut self.queries[index];
        let form = usize::from(query.form);
        if query.short == 0 {
            return form == 0;
        }
        let plain = query.name.front(query.short.into());
        let is_dotted = plain.labels().count() > 1;
        let count = (0..usize::from(u8::MAX)).take_while(|n| domains(*n).is_some()).count();
        let as_it_is = if is_dotted { 0 } else { count };
        query.name = match form {
            _ if form > count => return false,
            _ if form == as_it_is => plain,
            _ => {
                let domain = domains(form - usize::from(is_dotted));
                // One that gets too long is as good as none: the root is no host.
                domain.and_then(|domain| plain.join(&domain)).unwrap_or(plain)
            }
        };
        true
    }

    /// A question for this form of its name: what is known of it already, or else a server has to say.
    fn begin(&mut self, index: usize, fresh: bool, domains: Domains<'_>, now: Instant) {
        loop {
            let query = &mut self.queries[index];
            let kind = query.records.kind();
            query.key = self.cache.key(&query.name, Some(kind));
            query.key_of_name = self.cache.key(&query.name, None);
            (query.ttl, query.aliases) = (u32::MAX, ALIASES_MAX);
            let known = if fresh { None } else { self.cache.get(&query.name, kind, &mut query.records, now) };
            match known {
                None => return query.restart(),
                Some(Kept::Records) => return query.phase = Phase::Done(Ok(())),
                Some(Kept::NoName) => {
                    query.form = query.form.saturating_add(1);
                    if !self.set_form(index, domains) {
                        return self.queries[index].phase = Phase::Done(Err(Error::NameNotFound));
                    }
                }
            }
        }
    }

    fn get(&self, id: QueryId) -> Result<&Query, Error> {
        self.queries.get(id.index).filter(|q| q.serial == id.serial).ok_or(Error::StaleHandle)
    }

    /// The records, once they are there, and the name that they are of.
    ///
    /// [`Error::WouldBlock`]: not yet; `waker` is woken then. [`Error::NameNotFound`], [`Error::NameServerFailed`],
    /// [`Error::NoNameServer`], [`Error::TimedOut`].
    pub(crate) fn result(&mut self, id: QueryId, waker: Option<&Waker>) -> Result<(&Records, &Name), Error> {
        self.get(id)?;
        let query = &mut self.queries[id.index];
        match query.phase {
            Phase::Done(result) => result.map(|()| (&query.records, &query.name)),
            _ => {
                query.waker = waker.cloned().or(query.waker.take());
                Err(Error::WouldBlock)
            }
        }
    }

    /// Two questions for one name: once one has records, the other gets so long and not longer (H150).
    pub(crate) fn pair(&mut self, (a, b): (QueryId, QueryId), now: Instant) {
        for (this, other) in [(a, b), (b, a)] {
            if self.get(this).is_ok() {
                self.queries[this.index].other = Some(other);
            }
            // Its answer may have been known already.
            if self.get(this).is_ok_and(|q| q.phase == Phase::Done(Ok(())) && !q.records.is_empty()) {
                self.hurry(this.index, now);
            }
        }
    }

    /// A question has its answer: what it says of the other one of its pair.
    fn hurry(&mut self, index: usize, now: Instant) {
        let until = now + self.config.family_wait;
        if let Some(other) = self.queries[index].other
            && self.get(other).is_ok()
        {
            let other = &mut self.queries[other.index];
            other.ends = other.ends.min(until);
        }
    }

    /// Nobody wants to know any more. What waits to be woken is dropped by the caller, without the lock.
    #[must_use]
    pub(crate) fn let_go(&mut self, id: QueryId) -> Option<Waker> {
        self.get(id).ok()?;
        let query = &mut self.queries[id.index];
        query.phase = Phase::Free;
        query.waker.take()
    }

    /// The network is shut down.
    pub(crate) fn wake_all(&mut self, woken: &mut Woken) {
        self.queries.iter_mut().for_each(|q| woken.take(&mut q.waker));
    }

    /// When the next question has to be put, or put to another server.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queries.iter().filter_map(Query::deadline).min()
    }

    /// The servers are others: every question is put anew (H154).
    pub(crate) fn on_servers_changed(&mut self) {
        self.queries.iter_mut().filter(|q| q.is_under_way()).for_each(|q| q.restart());
    }

    /// The next datagram that is due, its bytes in `buf`.
    pub(crate) fn next_send(
        &mut self,
        servers: &Servers,
        buf: &mut [u8; DNS_QUERY_MAX],
        (random, woken): (&mut Random, &mut Woken),
        now: Instant,
    ) -> Option<Outgoing> {
        loop {
            let is_due = |q: &Query| q.deadline().is_some_and(|at| at <= now);
            let index = self.queries.iter().position(is_due)?;
            let rounds = self.config.tries.clamp(1, 8);
            let query = &mut self.queries[index];
            if is_of_link(&query.name) {
                match query.ends <= now || query.asked >= rounds {
                    true => self.no_more(index, now, woken),
                    false => return Some(self.put(index, &everybody(), buf, random, now)),
                }
                continue;
            }
            if let Some((silent, _)) = query.server()
                && self.preferred.is_none_or(|p| p == silent)
            {
                // Others are asked first from now on.
                let at = servers.iter().position(|s| s.0 == silent).map_or(0, |at| at + 1);
                self.preferred = servers.get(at % servers.len().max(1)).map(|s| s.0);
            }
            let count = servers.len() as u8;
            if query.ends <= now || count == 0 || query.asked >= rounds * count {
                let error = match (count, query.refused) {
                    (0, _) => Error::NoNameServer,
                    (_, 0) => Error::TimedOut,
                    _ => Error::NameServerFailed,
                };
                query.finish(Err(error), woken);
                continue;
            }
            if query.asked == 0 {
                let preferred = servers.iter().position(|s| Some(s.0) == self.preferred);
                query.first = preferred.unwrap_or(0) as u8;
            }
            return Some(self.put(index, servers, buf, random, now));
        }
    }

    /// Puts a question to the next server: by a number and from a port that nobody can guess, in letters of random case.
    //= rfc5452#9.2
    fn put(
        &mut self,
        index: usize,
        servers: &Servers,
        buf: &mut [u8; DNS_QUERY_MAX],
        random: &mut Random,
        now: Instant,
    ) -> Outgoing {
        let count = servers.len() as u8;
        let bits = random.next_u64();
        // H155: no two questions under way have the port in common.
        let mut port = PORT_MIN + random.below(65_536 - PORT_MIN);
        while self.queries.iter().any(|q| q.is_under_way() && u32::from(q.port) == port) {
            port = PORT_MIN.max((port + 1) % 65_536);
        }
        let query = &mut self.queries[index];
        let round = query.asked / count;
        let (to, zone) = servers[usize::from((query.first + query.asked) % count)];
        query.asked += 1;
        let is_link = is_of_link(&query.name);
        let is_random = self.config.random_case && round + 1 < self.config.tries.max(2) && !is_link;
        let mut bits = bits;
        query.name.map_letters(|letter| {
            bits = bits.rotate_left(1);
            if is_random && bits & 1 == 1 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
        });
        (query.id, query.port) = (bits as u16, port as u16);
        query.phase = Phase::Sent { to: (to, zone) };
        query.due = now + self.config.timeout * (1 << round.min(2));
        let edns = Some(self.config.udp_size).filter(|_| query.edns && !is_link);
        let len = write_query(buf, query.id, (&query.name, query.records.kind()), edns);
        Outgoing { query: index, to, zone, port: query.port, len }
    }

    /// The question that was sent from this port, if one was.
    pub(crate) fn by_port(&self, port: u16) -> Option<usize> {
        self.queries.iter().position(|q| q.port == port && matches!(q.phase, Phase::Sent { .. }))
    }

    /// The server of a question can't be reached, or has refused: the next one is asked at once (H153).
    pub(crate) fn on_failure(&mut self, index: usize, servers: usize, woken: &mut Woken) {
        let query = &mut self.queries[index];
        query.refused += 1;
        if self.preferred == query.server().map(|s| s.0) {
            self.preferred = None;
        }
        match usize::from(query.refused) < servers.max(1) {
            true => query.phase = Phase::Ask,
            false => query.finish(Err(Error::NameServerFailed), woken),
        }
    }

    /// A datagram for the port of question `index`.
    ///
    /// An error: it is no answer to it, and the question goes on; or one that makes no sense, as good as none.
    //= rfc5452#9.1
    pub(crate) fn on_datagram(
        &mut self,
        index: usize,
        (from, message): (SocketAddr, &[u8]),
        (servers, domains): (usize, Domains<'_>),
        woken: &mut Woken,
        now: Instant,
    ) -> Result<(), Drop> {
        let query = &self.queries[index];
        // Names of the link are anybody's to answer.
        let is_its = |to: SocketAddr| {
            to.port() == from.port() && (to.ip().is_multicast() || to.ip().to_canonical() == from.ip())
        };
        let Some(server) = query.server().filter(|s| is_its(s.0)) else { return Err(Drop::DnsForeign) };
        let answer = DnsMessage::parse(message)?;
        let at = self.fits(index, &answer).ok_or(Drop::DnsForeign)?;
        if answer.is_truncated() && !server.0.ip().is_multicast() {
            //= rfc7766#5
            let query = &mut self.queries[index];
            (query.phase, query.due) = (Phase::Long { to: server }, now + STREAM_TIME);
            return Ok(());
        }
        self.on_answer(index, &answer, at, (servers, domains), woken, now)
    }

    /// Is it an answer to this question? Where its records begin.
    fn fits(&self, index: usize, answer: &DnsMessage<'_>) -> Option<usize> {
        let query = &self.queries[index];
        if answer.id() != query.id || !answer.is_response() {
            return None;
        }
        answer.asks(&query.name, query.records.kind())
    }

    fn on_answer(
        &mut self,
        index: usize,
        answer: &DnsMessage<'_>,
        at: usize,
        (servers, domains): (usize, Domains<'_>),
        woken: &mut Woken,
        now: Instant,
    ) -> Result<(), Drop> {
        let query = &mut self.queries[index];
        let is_link = is_of_link(&query.name);
        //= rfc6762#18.11
        if is_link && answer.rcode() != rcode::OK {
            return Err(Drop::DnsForeign);
        }
        let found = match answer.rcode() {
            rcode::OK | rcode::NAME_ERROR => {
                let Query { name, aliases, records, .. } = query;
                let found = answer::read(answer, at, name, aliases, records);
                if found.is_none() {
                    records.clear(records.kind());
                }
                found
            }
            rcode::FORMAT_ERROR | rcode::NOT_IMPLEMENTED if query.edns => {
                // RFC 6891 §7: a server of old.
                query.edns = false;
                query.phase = Phase::Ask;
                return Ok(());
            }
            _ => {
                self.on_failure(index, servers, woken);
                return Ok(());
            }
        };
        if !is_link {
            self.preferred = query.server().map(|s| s.0);
        }
        let is_cut = query.records.is_cut();
        match found {
            None => {
                self.on_failure(index, servers, woken);
                return Err(Drop::DnsMalformed);
            }
            Some(Found::Elsewhere(_)) if answer.rcode() == rcode::NAME_ERROR => {
                self.no_name(index, None, domains, woken, now);
            }
            Some(Found::Elsewhere(ttl)) => {
                query.ttl = query.ttl.min(ttl);
                query.short = 0;
                query.restart();
            }
            Some(Found::Nothing(ttl)) if answer.rcode() == rcode::NAME_ERROR => {
                self.no_name(index, ttl, domains, woken, now);
            }
            Some(Found::Nothing(ttl)) => {
                let keep = ttl.map(|ttl| self.negative(ttl));
                self.settle(index, keep, woken, now);
            }
            // Of pointers each host may have some: they are gathered.
            Some(Found::Records(ttl)) if is_link && is_gathered(query) => {
                query.ttl = query.ttl.min(ttl);
                query.ends = query.ends.min(now + GATHER_TIME);
            }
            Some(Found::Records(ttl)) => {
                let keep = Duration::from_secs(query.ttl.min(ttl).into()).min(self.config.ttl_max);
                self.settle(index, Some(keep), woken, now);
            }
        }
        if is_cut { Err(Drop::DnsTooMany) } else { Ok(()) }
    }

    /// Nobody on the link has more to say: what was gathered is all, and if that is nothing, there is no such name.
    fn no_more(&mut self, index: usize, now: Instant, woken: &mut Woken) {
        let query = &mut self.queries[index];
        if query.records.is_empty() {
            return query.finish(Err(Error::NameNotFound), woken);
        }
        let keep = Duration::from_secs(query.ttl.into()).min(self.config.ttl_max);
        self.settle(index, Some(keep), woken, now);
    }

    /// Is the question one for a name of the link?
    #[cfg(feature = "mdns")]
    pub(crate) fn is_of_link(&self, index: usize) -> bool {
        is_of_link(&self.queries[index].name)
    }

    fn negative(&self, ttl: u32) -> Duration {
        Duration::from_secs(ttl.into()).min(self.config.negative_ttl_max)
    }

    /// The records are there, or there are none of the type; either is kept for so long.
    fn settle(&mut self, index: usize, keep: Option<Duration>, woken: &mut Woken, now: Instant) {
        let query = &mut self.queries[index];
        query.name.make_lower();
        query.finish(Ok(()), woken);
        if let Some(keep) = keep.filter(|keep| *keep > Duration::ZERO) {
            self.cache.put(query.key, Kept::Records, query.records.as_bytes(), now + keep, now);
        }
        if !self.queries[index].records.is_empty() {
            self.hurry(index, now);
        }
    }

    /// There is no such name, in this form.
    fn no_name(
        &mut self,
        index: usize,
        ttl: Option<u32>,
        domains: Domains<'_>,
        woken: &mut Woken,
        now: Instant,
    ) {
        let keep = ttl.map_or(Duration::ZERO, |ttl| self.negative(ttl));
        let query = &mut self.queries[index];
        if keep > Duration::ZERO {
            self.cache.put(query.key_of_name, Kept::NoName, &[], now + keep, now);
        }
        query.form = query.form.saturating_add(1);
        // An alias was there, at least.
        let is_alias = query.aliases < ALIASES_MAX;
        if is_alias || !self.set_form(index, domains) {
            self.queries[index].finish(Err(Error::NameNotFound), woken);
            return;
        }
        self.begin(index, false, domains, now);
        if let Phase::Done(result) = self.queries[index].phase {
            self.queries[index].finish(result, woken);
        }
    }

    /// The question that is to be put by TCP, and its server: the first that waits.
    pub(crate) fn next_long(&self) -> Option<(QueryId, Server)> {
        self.queries.iter().enumerate().find_map(|(index, q)| match q.phase {
            Phase::Long { to } => Some((QueryId { index, serial: q.serial }, to)),
            _ => None,
        })
    }

    /// Is the question still to be answered by this server by TCP?
    pub(crate) fn is_long(&self, id: QueryId, to: Server) -> bool {
        self.get(id).is_ok_and(|q| q.phase == Phase::Long { to })
    }

    /// The server can't be had by TCP.
    pub(crate) fn on_stream_failure(&mut self, id: QueryId, servers: usize, woken: &mut Woken) {
        if self.get(id).is_ok() {
            self.on_failure(id.index, servers, woken);
        }
    }

    /// The question as it goes over TCP.
    pub(crate) fn write_long(&self, id: QueryId, buf: &mut [u8; DNS_QUERY_MAX]) -> usize {
        let query = &self.queries[id.index];
        let edns = Some(self.config.udp_size).filter(|_| query.edns);
        write_query(buf, query.id, (&query.name, query.records.kind()), edns)
    }

    /// What came by TCP, or its front if it is too long for the buffer.
    pub(crate) fn on_long(
        &mut self,
        QueryId { index, .. }: QueryId,
        message: &[u8],
        (servers, domains): (usize, Domains<'_>),
        woken: &mut Woken,
        now: Instant,
    ) -> Result<(), Drop> {
        let parsed = DnsMessage::parse(message).ok();
        let fits = parsed.and_then(|answer| Some((answer, self.fits(index, &answer)?)));
        match fits {
            Some((answer, at)) => self.on_answer(index, &answer, at, (servers, domains), woken, now),
            None => {
                self.on_failure(index, servers, woken);
                Err(Drop::DnsForeign)
            }
        }
    }

    /// Is it one of the servers of questions under way? For errors of ICMP, which quote it.
    pub(crate) fn asked_at(&self, port: u16, server: (IpAddr, u16)) -> Option<usize> {
        let index = self.by_port(port)?;
        let (to, _) = self.queries[index].server()?;
        (to.ip().to_canonical() == server.0 && to.port() == server.1).then_some(index)
    }
}

/// Whom names of the link are asked of.
fn everybody() -> Servers {
    #[cfg(feature = "mdns")]
    return core::iter::once((super::mdns::EVERYBODY, None)).collect();
    #[cfg(not(feature = "mdns"))]
    Servers::new()
}

/// Pointers may be many hosts', but for those of an address.
fn is_gathered(query: &Query) -> bool {
    let is_reverse = query.name.labels().last().is_some_and(|last| last.eq_ignore_ascii_case(b"arpa"));
    query.records.kind() == RecordType::Ptr && !is_reverse
}

#[cfg(all(test, feature = "std"))]
#[path = "tests/resolver.rs"]
mod tests;
