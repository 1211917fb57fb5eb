//! Looking names up: each question in poll form, and blocking and async forms as thin adapters.

use core::future::Future;
use core::net::IpAddr;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Net;
use crate::error::Error;
use crate::names::resolver::QueryId;
use crate::names::{self, ADDRESSES_MAX, DnsConfig, Name, RecordType, Records};
use crate::stack::Stack;

/// Addresses of a name, in the order in which they are to be tried (RFC 6724).
pub type HostAddresses = heapless::Vec<IpAddr, { 2 * ADDRESSES_MAX }>;

/// Which addresses are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

impl Family {
    /// The records that have them.
    pub(crate) const fn record(self) -> RecordType {
        match self {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::Aaaa,
        }
    }

    pub(crate) const fn has(self, address: &IpAddr) -> bool {
        matches!((self, address), (Family::V4, IpAddr::V4(_)) | (Family::V6, IpAddr::V6(_)))
    }
}

/// A question under way; dropped, it is let go of.
pub(crate) struct Question {
    net: Net,
    pub(crate) id: QueryId,
}

impl Question {
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&Records, &Name) -> R,
    ) -> Poll<Result<R, Error>> {
        match self.net.call(|stack, _| stack.names_result(self.id, Some(cx.waker()), take)) {
            Err(Error::WouldBlock) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut waker = None;
        self.net.let_go(|stack, _| waker = stack.names_let_go(self.id));
    }
}

/// A look-up of a name's addresses under way: see [`Net::start_lookup`]. A future, which does not wait by itself; dropped, it is
/// cancelled.
#[must_use = "dropped, it is cancelled"]
pub struct Lookup {
    net: Net,
    /// Of IPv6, of IPv4.
    questions: [Option<Question>; 2],
    pub(crate) found: HostAddresses,
    pub(crate) canonical: Option<Name>,
    errors: [Option<Error>; 2],
}

impl Lookup {
    /// The addresses, once all are there that will come. To be asked until it is ready, and not again.
    ///
    /// [`Error::NameNotFound`], [`Error::NoMatchingAddresses`], [`Error::NameServerFailed`], [`Error::NoNameServer`],
    /// [`Error::TimedOut`], [`Error::NetDown`].
    pub fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<HostAddresses, Error>> {
        let Lookup { questions, found, errors, canonical, .. } = self;
        for (place, error) in questions.iter_mut().zip(errors) {
            let Some(question) = place else { continue };
            let take = |records: &Records, name: &Name| {
                found.extend(records.addresses().take(ADDRESSES_MAX));
                *canonical = Some(*name);
            };
            match question.poll(cx, take) {
                Poll::Pending => continue,
                Poll::Ready(result) => *error = result.err(),
            }
            *place = None;
        }
        if self.questions.iter().any(Option::is_some) {
            return Poll::Pending;
        }
        Poll::Ready(self.outcome())
    }

    fn outcome(&mut self) -> Result<HostAddresses, Error> {
        if !self.found.is_empty() {
            let found = &mut self.found;
            self.net.with_stack(|stack| stack.sort_destinations(found));
            return Ok(self.found.clone());
        }
        // That one family has none says less than why the other is not known.
        Err(self.errors.iter().flatten().next().copied().unwrap_or(Error::NoMatchingAddresses))
    }

    /// Blocks until the addresses are there.
    pub fn wait(mut self) -> Result<HostAddresses, Error> {
        let net = self.net.clone();
        net.wait_for(None, |cx| self.poll_addresses(cx))
    }
}

impl Future for Lookup {
    type Output = Result<HostAddresses, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_addresses(cx)
    }
}

/// A question for records under way: see [`Net::start_query`]. A future; dropped, it is cancelled.
#[must_use = "dropped, it is cancelled"]
pub struct RecordLookup(Question);

impl RecordLookup {
    /// The records, once they are there. Errors as those of [`Lookup::poll_addresses`]; a name without records of the type has none.
    pub fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Result<Records, Error>> {
        self.0.poll(cx, |records, _| records.clone())
    }

    /// Blocks until they are there.
    pub fn wait(mut self) -> Result<Records, Error> {
        let net = self.0.net.clone();
        net.wait_for(None, |cx| self.poll_records(cx))
    }
}

impl Future for RecordLookup {
    type Output = Result<Records, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_records(cx)
    }
}

/// How a name is looked up.
#[derive(Clone, Copy, Default)]
pub(crate) struct How {
    pub(crate) family: Option<Family>,
    /// The cache is not asked: it does not know the canonical name.
    pub(crate) fresh: bool,
}

impl Net {
    /// Resolves names as `config` says from now on: other servers, other times. What was remembered is forgotten.
    ///
    /// [`Error::InvalidInput`]: there is no memory for it; see [`Stack::start_names`].
    pub fn configure_names(&self, config: DnsConfig) -> Result<(), Error> {
        self.call(|stack, _| {
            start(stack);
            stack.configure_names(config)
        })
    }

    /// The addresses of a host, in the order in which they are to be tried (RFC 6724): up to eight of each family. A literal stands for
    /// itself, and `localhost` for this host. A name without a dot, or one that there is not, is also looked for in the domains of the search
    /// list, unless it ends in a dot.
    ///
    /// Errors as those of [`Lookup::poll_addresses`], and [`Error::InvalidInput`] for what can be no name ([`Name::new`]);
    /// [`Error::TooManySockets`]: too many look-ups are under way.
    pub fn lookup(&self, host: &str) -> Result<HostAddresses, Error> {
        self.start_lookup(host, None)?.wait()
    }

    /// [`lookup`](Net::lookup) for an executor. Dropped before it is ready, it is cancelled.
    pub async fn lookup_async(&self, host: &str) -> Result<HostAddresses, Error> {
        self.start_lookup(host, None)?.await
    }

    /// [`lookup`](Net::lookup) without waiting, of one family or both.
    ///
    /// ```no_run
    /// # async fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use core::time::Duration;
    /// // For two seconds at most; then it is cancelled.
    /// let addresses = net.timeout(Duration::from_secs(2), net.start_lookup("example.org", None)?).await??;
    /// # Ok(()) }
    /// ```
    pub fn start_lookup(&self, host: &str, family: Option<Family>) -> Result<Lookup, Error> {
        self.lookup_how(host, How { family, fresh: false })
    }

    pub(crate) fn lookup_how(&self, host: &str, how: How) -> Result<Lookup, Error> {
        let is_wanted = |a: &IpAddr| how.family.is_none_or(|family| family.has(a));
        let mut lookup = Lookup {
            net: self.clone(),
            questions: [None, None],
            found: HostAddresses::new(),
            canonical: None,
            errors: [None; 2],
        };
        if let Some(known) = names::known(host) {
            lookup.found.extend(known.into_iter().flatten().filter(is_wanted));
            return Ok(lookup);
        }
        let name = host_name(host)?;
        #[cfg(feature = "mdns")]
        if self.with_stack(|stack| {
            let own = stack.mdns_addresses_of(&name).into_iter().flatten().map(|(_, address)| *address);
            lookup.found.extend(own.filter(is_wanted).take(2 * ADDRESSES_MAX));
            !lookup.found.is_empty()
        }) {
            return Ok(lookup);
        }
        let search = !host.ends_with('.');
        let ids = self.call(|stack, now| {
            start(stack);
            let mut ids = [None; 2];
            for (id, family) in ids.iter_mut().zip([Family::V6, Family::V4]) {
                if how.family.is_none_or(|wanted| wanted == family) {
                    let question = (&name, family.record());
                    *id = Some(stack.names_ask(question, (search, how.fresh), now)?);
                }
            }
            if let [Some(a), Some(b)] = ids {
                stack.names_pair((a, b), now);
            }
            Ok(ids)
        })?;
        lookup.questions = ids.map(|id| id.map(|id| Question { net: self.clone(), id }));
        Ok(lookup)
    }

    /// The records of a name, of one type: it is taken as it is, without the search list.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use barenet::names::RecordType;
    /// for service in net.query("_xmpp-client._tcp.example.org", RecordType::Srv)?.services() {
    ///     println!("{}:{}", service.target, service.port);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// [`Error::InvalidInput`] for what is no name, and as [`Lookup::poll_addresses`].
    pub fn query(&self, name: &str, kind: RecordType) -> Result<Records, Error> {
        self.start_query(&Name::new(name)?, kind)?.wait()
    }

    /// [`query`](Net::query) for an executor. Dropped before it is ready, it is cancelled.
    pub async fn query_async(&self, name: &str, kind: RecordType) -> Result<Records, Error> {
        self.start_query(&Name::new(name)?, kind)?.await
    }

    /// [`query`](Net::query) without waiting.
    pub fn start_query(&self, name: &Name, kind: RecordType) -> Result<RecordLookup, Error> {
        let id = self.call(|stack, now| {
            start(stack);
            stack.names_ask((name, kind), (false, false), now)
        })?;
        Ok(RecordLookup(Question { net: self.clone(), id }))
    }

    /// The name of the host that has this address, by DNS.
    ///
    /// [`Error::NameNotFound`]: it has none; others as those of [`Lookup::poll_addresses`].
    pub fn reverse_lookup(&self, address: IpAddr) -> Result<Name, Error> {
        let records = self.start_query(&Name::reverse(address), RecordType::Ptr)?.wait()?;
        records.names().next().ok_or(Error::NameNotFound)
    }

    /// [`reverse_lookup`](Net::reverse_lookup) for an executor. Dropped before it is ready, it is cancelled.
    pub async fn reverse_lookup_async(&self, address: IpAddr) -> Result<Name, Error> {
        let records = self.start_query(&Name::reverse(address), RecordType::Ptr)?.await?;
        records.names().next().ok_or(Error::NameNotFound)
    }
}

/// A name that a host can have: its last label is no number, which only an address has (RFC 1123 §2.1).
fn host_name(text: &str) -> Result<Name, Error> {
    let name = Name::new(text)?;
    match name.labels().last() {
        Some(last) if last.iter().all(u8::is_ascii_digit) => Err(Error::NoMatchingAddresses),
        _ => Ok(name),
    }
}

/// Where there is a heap, the first who asks brings the resolver's memory.
fn start(stack: &mut Stack<'static>) {
    #[cfg(feature = "alloc")]
    if stack.names_config().is_none() {
        stack.start_names(DnsConfig::DEFAULT, names::NamesStorage::heap());
    }
    let _ = stack;
}
