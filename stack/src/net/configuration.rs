//! How the network is configured, and waiting until it is.

#[cfg(all(any(feature = "dhcpv4", feature = "dhcpv6"), feature = "alloc"))]
use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use core::task::{Context, Poll};

use super::{Locked, Net};
#[cfg(feature = "dhcpv4")]
use crate::config::dhcp::{DhcpClient, Lease};
use crate::config::{DnsServer, Domain};
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::ip::addresses::Address;
#[cfg(feature = "slaac")]
use crate::ip::learnt::{LearntFrom, LearntRoute, Preference};
use crate::ip::routes::Route;
#[cfg(feature = "full")]
use crate::stack::SocketView;
use crate::stack::{Interface, Neighbor, Stack};
use crate::time::{Duration, Instant};

/// How long [`Net::wait_configured`] waits unless it is told.
const CONFIGURE_TIME: Duration = Duration::from_secs(300);

/// The configuration of the network, as it is now. It holds the stack's lock: sockets can't be used while it lives,
/// and nothing arrives.
///
/// ```
/// # fn print(net: &barenet::Net) {
/// let configuration = net.configuration();
/// for (id, interface) in configuration.interfaces() {
///     println!("{}: mtu {}", configuration.name(id), interface.mtu());
///     configuration.addresses(id).for_each(|a| println!("  {} {:?} {:?}", a.cidr, a.origin, a.state));
/// }
/// # }
/// ```
pub struct Configuration<'a> {
    daemon: Locked<'a>,
    now: Instant,
}

impl Configuration<'_> {
    fn stack(&self) -> &Stack<'static> {
        self.daemon.view()
    }

    /// When it was looked at, by the clock of all its lifetimes.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Every interface.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        self.stack().interfaces()
    }

    /// The addresses of an interface, in whatever state.
    pub fn addresses(&self, id: InterfaceId) -> impl Iterator<Item = &Address> {
        self.stack().addresses().of(id)
    }

    /// The default routers of an interface: those of the program and of leases, then those that advertise themselves, the
    /// preferred ones first.
    pub fn default_routers(&self, id: InterfaceId) -> impl Iterator<Item = IpAddr> {
        let is_default = move |r: &&Route| r.interface == id && r.destination.prefix_len() == 0;
        let routers = self.routes().filter(is_default).filter_map(|r| r.gateway);
        #[cfg(feature = "slaac")]
        let routers = {
            let learnt = [Preference::High, Preference::Medium, Preference::Low].into_iter();
            let of = move |p| self.routers(id).filter(move |r| r.preference == p);
            routers.chain(learnt.flat_map(of).filter_map(|r| r.gateway).map(IpAddr::V6))
        };
        routers
    }

    /// The default routers that advertise themselves, with preference and lifetime.
    #[cfg(feature = "slaac")]
    pub fn routers(&self, id: InterfaceId) -> impl Iterator<Item = &LearntRoute> {
        self.learnt_routes().filter(move |r| r.interface == id && r.from == LearntFrom::Router)
    }

    /// The prefixes that routers say are on the link, with their lifetimes.
    #[cfg(feature = "slaac")]
    pub fn prefixes(&self, id: InterfaceId) -> impl Iterator<Item = &LearntRoute> {
        self.learnt_routes().filter(move |r| r.interface == id && r.from == LearntFrom::Prefix)
    }

    /// All that routers told us of ways: themselves, prefixes on the link, routes and redirects.
    #[cfg(feature = "slaac")]
    pub fn learnt_routes(&self) -> impl Iterator<Item = &LearntRoute> {
        self.stack().learnt_routes()
    }

    /// Every route, without the networks of the interfaces' own addresses.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.stack().routes()
    }

    /// Every neighbour that is known or asked for.
    pub fn neighbors(&self) -> impl Iterator<Item = Neighbor> + '_ {
        self.stack().neighbors(self.now)
    }

    /// Every socket and connection: see [`Stack::sockets`].
    #[cfg(feature = "full")]
    pub fn sockets(&self) -> impl Iterator<Item = SocketView> + '_ {
        self.stack().sockets(self.now)
    }

    /// What an interface is called.
    pub fn name(&self, id: InterfaceId) -> InterfaceName {
        let is_loopback = self.stack().interface(id).is_some_and(Interface::is_loopback);
        InterfaceName { index: id.zone(), is_loopback }
    }

    /// The interface that is called so.
    pub fn by_name(&self, name: &str) -> Option<InterfaceId> {
        self.interfaces().map(|(id, _)| id).find(|id| self.name(*id) == *name)
    }

    /// The interface with this index, which is its [`zone`](InterfaceId::zone).
    pub fn by_index(&self, index: u32) -> Option<InterfaceId> {
        self.interfaces().map(|(id, _)| id).find(|id| id.zone() == index)
    }

    /// The DHCP client of an interface.
    #[cfg(feature = "dhcpv4")]
    pub fn dhcp(&self, id: InterfaceId) -> Option<&DhcpClient> {
        self.stack().dhcp(id)
    }

    /// The DHCPv4 lease of an interface.
    #[cfg(feature = "dhcpv4")]
    pub fn lease(&self, id: InterfaceId) -> Option<&Lease> {
        self.dhcp(id)?.lease()
    }

    /// The DHCPv6 client of an interface.
    #[cfg(feature = "dhcpv6")]
    pub fn dhcpv6(&self, id: InterfaceId) -> Option<&crate::config::dhcpv6::Dhcpv6Client> {
        self.stack().dhcpv6(id)
    }

    /// The servers for names that DHCP servers and routers tell of: see [`Stack::dns_servers`].
    pub fn dns_servers(&self) -> impl Iterator<Item = DnsServer> {
        self.stack().dns_servers()
    }

    /// The domains in which short names are looked for: see [`Stack::search_domains`].
    pub fn search_domains(&self) -> impl Iterator<Item = Domain<'_>> {
        self.stack().search_domains()
    }

    /// The name of this host, as a DHCP server gave it, or as it was told to a server.
    #[cfg(feature = "dhcpv4")]
    pub fn host_name(&self) -> Option<&str> {
        let given = || self.interfaces().find_map(|(id, _)| self.lease(id)?.host_name());
        let told = || self.interfaces().find_map(|(id, _)| self.dhcp(id)?.config().host_name);
        given().or_else(told)
    }

    /// See [`Net::wait_configured`].
    pub fn is_configured(&self) -> bool {
        self.stack().is_configured()
    }
}

/// What an interface is called: `lo`, or `eth` and its index. Printed, and compared with texts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InterfaceName {
    index: u32,
    is_loopback: bool,
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_loopback {
            true => f.pad("lo"),
            false => write!(f, "eth{}", self.index),
        }
    }
}

impl PartialEq<str> for InterfaceName {
    fn eq(&self, name: &str) -> bool {
        match name.strip_prefix("eth") {
            Some(index) => {
                !self.is_loopback && index.parse() == Ok(self.index) && !index.starts_with(['0', '+'])
            }
            None => self.is_loopback && name == "lo",
        }
    }
}

impl Net {
    /// How the network is configured now.
    pub fn configuration(&self) -> Configuration<'_> {
        let (daemon, now) = self.locked();
        Configuration { daemon, now }
    }

    /// Starts a DHCP client on an interface: see [`Stack::dhcp_start`], which also takes memory that is not on the heap.
    #[cfg(all(feature = "dhcpv4", feature = "alloc"))]
    pub fn start_dhcp(&self, id: InterfaceId, config: crate::config::dhcp::DhcpConfig) -> Result<(), Error> {
        let memory = crate::stack::DhcpMemory::Owned(Box::default());
        self.call(|stack, now| stack.dhcp_start(id, config, memory, now))
    }

    /// Starts a DHCPv6 client on an interface: see [`Stack::dhcpv6_start`].
    #[cfg(all(feature = "dhcpv6", feature = "alloc"))]
    pub fn start_dhcpv6(
        &self,
        id: InterfaceId,
        config: crate::config::dhcpv6::Dhcpv6Config,
    ) -> Result<(), Error> {
        let memory = crate::stack::Dhcpv6Memory::Owned(Box::default());
        self.call(|stack, now| stack.dhcpv6_start(id, config, memory, now))
    }

    /// Ends the DHCP client of an interface: see [`Stack::dhcp_stop`].
    #[cfg(feature = "dhcpv4")]
    pub fn stop_dhcp(&self, id: InterfaceId) -> Result<(), Error> {
        self.call(|stack, now| stack.dhcp_stop(id, now))
    }

    /// Waits until an interface has an address that is good beyond its link: the program's, a lease's or one of SLAAC.
    /// `None`: five minutes at most.
    ///
    /// [`Error::Unconfigured`]: none has got one in this time.
    pub fn wait_configured(&self, timeout: impl Into<Option<Duration>>) -> Result<(), Error> {
        let timeout = timeout.into().unwrap_or(CONFIGURE_TIME);
        match self.wait_for(Some(timeout), |cx| self.poll_configured(cx)) {
            Err(Error::TimedOut) => Err(Error::Unconfigured),
            result => result,
        }
    }

    /// Waits until `is_so` says yes of the stack: it is asked when a link, an address or a lease has changed. `None`: for
    /// as long as it takes.
    ///
    /// [`Error::TimedOut`]: it did not in this time.
    pub fn wait_configuration(
        &self,
        timeout: impl Into<Option<Duration>>,
        is_so: impl Fn(&Stack<'static>) -> bool,
    ) -> Result<(), Error> {
        self.wait_for(timeout.into(), |cx| self.poll_state(cx, |stack| Ok(is_so(stack))))
    }

    /// [`wait_configured`](Self::wait_configured) in poll form, for executors; without a limit.
    pub fn poll_configured(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_state(cx, |stack| Ok(stack.is_configured()))
    }

    /// Is the link of an interface up, as far as its device knows?
    ///
    /// [`Error::DeviceGone`]: there is no such interface.
    pub fn is_link_up(&self, id: InterfaceId) -> Result<bool, Error> {
        self.call(|stack, _| Ok(stack.interface(id).ok_or(Error::DeviceGone)?.is_link_up()))
    }

    /// Waits until the link of an interface is up or, with `up` false, down. `None`: for as long as it takes.
    ///
    /// [`Error::TimedOut`]: it did not change in this time. [`Error::DeviceGone`]: there is no such interface (any more).
    pub fn wait_link(
        &self,
        id: InterfaceId,
        up: bool,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<(), Error> {
        let is_so = |stack: &Stack<'_>| Ok(stack.interface(id).ok_or(Error::DeviceGone)?.is_link_up() == up);
        self.wait_for(timeout.into(), |cx| self.poll_state(cx, is_so))
    }

    fn poll_state(
        &self,
        cx: &mut Context<'_>,
        is_so: impl Fn(&Stack<'static>) -> Result<bool, Error>,
    ) -> Poll<Result<(), Error>> {
        let result = self.call(|stack, _| match is_so(stack)? {
            true => Ok(()),
            false => {
                stack.attendants.register(cx.waker(), &mut stack.tcp.woken);
                Err(Error::WouldBlock)
            }
        });
        match result {
            Err(Error::WouldBlock) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }
}
