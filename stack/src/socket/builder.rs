//! A connection or a listener to be: what is chosen before it exists.

use core::net::SocketAddr;

use super::{TcpListener, TcpStream, ToListenAddr, ToSocketAddrs};
use crate::error::Error;
use crate::net::Net;
use crate::tcp::TcpOptions;
use crate::time::Duration;

/// A TCP socket that is neither connected nor listens: local address and options of the connection
/// or the listener that it becomes.
///
/// ```no_run
/// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::TcpBuilder;
/// let builder = TcpBuilder::new(net).options(|o| o.max_segment = Some(536)).local("192.0.2.7:0")?;
/// let stream = builder.connect("192.0.2.1:80")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TcpBuilder {
    pub(super) net: Net,
    local: Option<SocketAddr>,
    pub(super) timeout: Option<Duration>,
    backlog: Option<u16>,
    reuse_port: bool,
    options: TcpOptions,
}

impl TcpBuilder {
    /// With the stack's own options.
    pub fn new(net: &Net) -> Self {
        let options = net.with_stack(|stack| stack.tcp_config().options);
        TcpBuilder { net: net.clone(), local: None, timeout: None, backlog: None, reuse_port: false, options }
    }

    /// Changes options, as [`TcpStream::configure`] does later.
    pub fn options(mut self, change: impl FnOnce(&mut TcpOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Where a connection comes from: an address of ours, a port, or both. `0.0.0.0`, `::` and port 0
    /// leave it to the stack.
    //= rfc9293#3.9.1.1 MUST-43
    pub fn local(mut self, local: impl ToListenAddr) -> Result<Self, Error> {
        self.local = Some(local.to_listen_addr()?);
        Ok(self)
    }

    /// The longest that a connect waits for each address.
    pub fn timeout(mut self, timeout: impl Into<Duration>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Connections that may wait for `accept`, and as many in the handshake; at least 1. Default:
    /// that of [`TcpConfig`](crate::TcpConfig).
    pub fn backlog(mut self, backlog: u16) -> Self {
        self.backlog = Some(backlog);
        self
    }

    /// Other listeners may have the same address and port, if they say so as well (`SO_REUSEPORT`): a hash of both addresses
    /// and ports decides which of them gets a connection, so that several loops share the work without sharing a
    /// listener. What waits at one that is dropped is reset.
    ///
    /// (There is no `reuse_address`: connections that are in TIME-WAIT never keep a port from being listened on.)
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// As [`TcpStream::connect`]. Also [`Error::InvalidInput`]: an option is outside its range;
    /// [`Error::AddrNotAvailable`], [`Error::AddrInUse`] for the local address.
    pub fn connect(&self, to: impl ToSocketAddrs) -> Result<TcpStream, Error> {
        #[cfg(feature = "dns")]
        if let Some((host, port)) = to.to_host() {
            return self.connect_host(host, port);
        }
        let mut last = Error::NoMatchingAddresses;
        for address in to.to_socket_addrs()? {
            let wait = |stream: TcpStream| {
                let connected = self.net.wait_for(self.timeout, |cx| stream.poll_connected(cx));
                connected.map(|()| stream)
            };
            match self.start_connect(address).and_then(wait) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// As [`connect`](TcpBuilder::connect), for an executor. (Its time limit holds with the feature `alloc`.)
    /// Dropped before it is ready, it gives the connection up.
    pub async fn connect_async(&self, to: impl ToSocketAddrs) -> Result<TcpStream, Error> {
        #[cfg(feature = "dns")]
        if let Some((host, port)) = to.to_host() {
            return self.connect_host_async(host, port).await;
        }
        let mut last = Error::NoMatchingAddresses;
        for address in to.to_socket_addrs()? {
            match self.start_connect(address) {
                Ok(stream) => match self.net.wait_async(self.timeout, |cx| stream.poll_connected(cx)).await {
                    Ok(()) => return Ok(stream),
                    Err(error) => last = error,
                },
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// As [`TcpStream::start_connect`].
    pub fn start_connect(&self, to: SocketAddr) -> Result<TcpStream, Error> {
        TcpStream::start_connect_with(&self.net, to, self.local, Some(&self.options))
    }

    /// As [`TcpListener::bind`]; accepted connections have these options.
    pub fn listen(&self, local: impl ToListenAddr) -> Result<TcpListener, Error> {
        let mut local = local.to_listen_addr()?;
        let (handle, port) = self.net.call(|stack, now| {
            let backlog = self.backlog.unwrap_or(stack.tcp_config().backlog);
            let (handle, port) = stack.tcp_listen_with(local, backlog, self.reuse_port)?;
            let set = stack.tcp_set_listener_options(handle, self.options);
            set.inspect_err(|_| stack.tcp_unlisten(handle, now)).map(|()| (handle, port))
        })?;
        local.set_port(port);
        Ok(TcpListener::new(self.net.clone(), handle, local))
    }
}
