//! Connecting by name: the race of RFC 8305, run by look-ups and connections; and strictly one address after the other.

use core::fmt;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::{TcpBuilder, TcpStream, by_name};
use crate::error::Error;
use crate::names::eyeballs::{EyeballsConfig, Race, Step};
use crate::names::{DnsConfig, port_of};
use crate::net::Net;
use crate::net::names::{Family, HostAddresses, Lookup};
use crate::time::{Duration, Instant, earlier};

/// Attempts at a time.
const ATTEMPTS_MAX: usize = 8;

/// A connection by name under way. Dropped, it gives up all attempts.
struct Connecting<'b> {
    builder: &'b TcpBuilder,
    port: u16,
    /// Of IPv6, of IPv4.
    lookups: [Option<Lookup>; 2],
    race: Race,
    attempts: heapless::Vec<(TcpStream, Instant), ATTEMPTS_MAX>,
    attempt_timeout: Duration,
    /// When it wants to be asked again, whatever happens.
    wake: Option<Instant>,
}

impl<'b> Connecting<'b> {
    fn new(
        builder: &'b TcpBuilder,
        host: &str,
        port: u16,
        config: Option<EyeballsConfig>,
    ) -> Result<Self, Error> {
        let net = &builder.net;
        let lookups = [Family::V6, Family::V4].map(|family| net.start_lookup(host, Some(family)));
        let [v6, v4] = lookups;
        let own =
            || net.with_stack(|stack| stack.names_config().copied().unwrap_or(DnsConfig::DEFAULT).eyeballs);
        let config = config.unwrap_or_else(own);
        Ok(Connecting {
            builder,
            port,
            lookups: [Some(v6?), Some(v4?)],
            race: Race::new(config),
            attempts: heapless::Vec::new(),
            attempt_timeout: builder.timeout.unwrap_or(config.attempt_timeout),
            wake: None,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, Error>> {
        loop {
            let now = self.builder.net.now();
            self.poll_lookups(cx, now);
            if let Some(stream) = self.poll_attempts(cx, now) {
                return Poll::Ready(Ok(stream));
            }
            let first_end = self.attempts.iter().map(|(_, ends)| *ends).min();
            if self.attempts.is_full() {
                self.wake = first_end;
                return Poll::Pending;
            }
            match self.race.next(now) {
                Step::Start(address) => {
                    let to = SocketAddr::new(address, self.port);
                    match self.builder.start_connect(to) {
                        // There is room.
                        Ok(stream) => drop(self.attempts.push((stream, now + self.attempt_timeout))),
                        Err(error @ (Error::TooManySockets | Error::OutOfMemory)) => {
                            self.race.on_no_place(address, error, now);
                        }
                        Err(error) => self.race.on_failure(error, now),
                    }
                }
                Step::Wait(until) => {
                    self.wake = earlier(until, first_end);
                    return Poll::Pending;
                }
                Step::Over(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_lookups(&mut self, cx: &mut Context<'_>, now: Instant) {
        let net = &self.builder.net;
        for (place, is_v6) in self.lookups.iter_mut().zip([true, false]) {
            let Some(lookup) = place else { continue };
            if let Poll::Ready(result) = lookup.poll_addresses(cx) {
                let found = result.as_ref().map(|found| &found[..]).map_err(|error| *error);
                let found = if found == Err(Error::NoMatchingAddresses) { Ok(&[][..]) } else { found };
                let sort = |all: &mut [_]| net.with_stack(|stack| stack.sort_destinations(all));
                self.race.on_addresses(is_v6, found, sort, now);
                *place = None;
            }
        }
    }

    /// The first that is connected.
    fn poll_attempts(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<TcpStream> {
        let mut at = 0;
        while let Some((stream, ends)) = self.attempts.get(at) {
            let error = match stream.poll_connected(cx) {
                Poll::Ready(Ok(())) => return Some(self.attempts.swap_remove(at).0),
                Poll::Ready(Err(error)) => error,
                Poll::Pending if *ends <= now => Error::TimedOut,
                Poll::Pending => {
                    at += 1;
                    continue;
                }
            };
            drop(self.attempts.swap_remove(at));
            self.race.on_failure(error, now);
        }
        None
    }
}

impl TcpBuilder {
    /// Connects by name, as [`connect`](TcpBuilder::connect).
    pub(super) fn connect_host(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let mut connecting = Connecting::new(self, host, port, None)?;
        loop {
            let planned = connecting.wake;
            let limit = planned.map(|at| at.since(self.net.now()));
            // When it wants to be asked changes while it is.
            let poll = |cx: &mut Context<'_>| match connecting.poll(cx) {
                Poll::Ready(result) => Poll::Ready(result.map(Some)),
                Poll::Pending if connecting.wake != planned => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            };
            match self.net.wait_for(limit, poll) {
                Ok(Some(stream)) => return Ok(stream),
                Ok(None) => {}
                Err(Error::TimedOut) if planned.is_some_and(|at| at <= self.net.now()) => {
                    // Either it was time to ask again, or every attempt was too late; asking says which.
                    if let Poll::Ready(result) =
                        connecting.poll(&mut Context::from_waker(crate::base::wakers::NOBODY))
                    {
                        return result;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// [`connect_host`](TcpBuilder::connect_host) for an executor.
    #[cfg(feature = "alloc")]
    pub(super) async fn connect_host_async(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        use core::future::Future;
        let mut connecting = Connecting::new(self, host, port, None)?;
        let mut sleep = None;
        core::future::poll_fn(move |cx| {
            loop {
                if let Poll::Ready(result) = connecting.poll(cx) {
                    return Poll::Ready(result);
                }
                let wake = connecting.wake;
                if sleep.as_ref().map(|(at, _)| *at) != wake {
                    sleep = wake.map(|at| (at, self.net.sleep_until(at)));
                }
                let Some((_, timer)) = &mut sleep else { return Poll::Pending };
                match core::pin::Pin::new(timer).poll(cx) {
                    Poll::Ready(()) => sleep = None,
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Without a heap there are no timers for tasks: each address is tried until TCP gives it up.
    #[cfg(not(feature = "alloc"))]
    pub(super) async fn connect_host_async(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let day = Duration::from_secs(86_400);
        let patient = EyeballsConfig { aaaa_wait: Duration::ZERO, attempt_delay: day, attempt_timeout: day };
        let mut connecting = Connecting::new(self, host, port, Some(patient))?;
        core::future::poll_fn(move |cx| connecting.poll(cx)).await
    }
}

/// Why [`Net::with_tcp_connect`] has no connection: the last error, and where it was going.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectError<'h> {
    /// What went wrong with the last address, or with the name.
    pub error: Error,
    /// The host that was asked for.
    pub host: &'h str,
    /// The service.
    pub service: &'h str,
}

impl fmt::Display for ConnectError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connecting to {:?}:{}: {}", self.host, self.service, self.error)
    }
}

impl core::error::Error for ConnectError<'_> {}

impl From<ConnectError<'_>> for Error {
    fn from(failed: ConnectError<'_>) -> Error {
        failed.error
    }
}

/// The port that a service is had at: a number, or the name of one.
fn service_port(service: &str) -> Result<u16, Error> {
    let number = service.parse().ok();
    number
        .or_else(|| port_of(service, false))
        .ok_or(Error::InvalidInput("neither a port nor a service of TCP"))
}

impl Net {
    /// Connects to a host (its name, or an address) and a service (its name in IANA's table, or a port), and calls `run` with the connection,
    /// which is closed afterwards. The addresses are tried one after the other, in the order of RFC 6724, each for `timeout` at most; `None`:
    /// for as long as TCP tries. (Where a dead address should cost less, [`TcpStream::connect`] tries several at a time.)
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use core::time::Duration;
    /// let answer = net.with_tcp_connect("example.org", "http", Duration::from_secs(5), |flow| {
    ///     flow.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    ///     let mut buf = [0; 1500];
    ///     flow.read(&mut buf)
    /// })??;
    /// # Ok(()) }
    /// ```
    ///
    /// [`ConnectError`]: no address has answered; the last one's error, as of [`TcpStream::connect`], or the name's, as of [`Net::lookup`].
    pub fn with_tcp_connect<'h, R>(
        &self,
        host: &'h str,
        service: &'h str,
        timeout: impl crate::time::ToTimeout,
        run: impl FnOnce(&mut TcpStream) -> R,
    ) -> Result<R, ConnectError<'h>> {
        let failed = |error| ConnectError { error, host, service };
        let port = service_port(service).map_err(failed)?;
        let addresses = self.lookup(host).map_err(failed)?;
        let stream = self.in_turn(timeout.to_timeout()).connect(by_name::with_port(&addresses, port));
        Ok(run(&mut stream.map_err(failed)?))
    }

    /// [`with_tcp_connect`](Net::with_tcp_connect) for an executor. Dropped before it is ready, it gives the attempt up. (The time limit holds with the feature `alloc`.)
    pub async fn with_tcp_connect_async<'h, R>(
        &self,
        host: &'h str,
        service: &'h str,
        timeout: impl crate::time::ToTimeout,
        run: impl AsyncFnOnce(&mut TcpStream) -> R,
    ) -> Result<R, ConnectError<'h>> {
        let failed = |error| ConnectError { error, host, service };
        let port = service_port(service).map_err(failed)?;
        let addresses: HostAddresses = self.lookup_async(host).await.map_err(failed)?;
        let builder = self.in_turn(timeout.to_timeout());
        let stream = builder.connect_async(by_name::with_port(&addresses, port)).await;
        Ok(run(&mut stream.map_err(failed)?).await)
    }

    fn in_turn(&self, timeout: Option<Duration>) -> TcpBuilder {
        let builder = TcpBuilder::new(self);
        match timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        }
    }
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
