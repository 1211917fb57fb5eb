//! Names: a stub resolver of DNS (RFC 1034, 1035, 2181, 2308, 5452, 6891, 7766) as a state machine that is told what came and what time it
//! is; what goes with it: names of services, and the race of addresses (RFC 8305).
//!
//! [`Net::lookup`](crate::Net::lookup) asks it, and so does everything that connects by name. Which servers it asks, and in which domains it
//! looks for short names, is what DHCP servers and routers have said, unless the program says otherwise in a [`DnsConfig`].
//!
//! ```no_run
//! # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
//! for address in net.lookup("example.org")? {
//!     println!("{address}");
//! }
//! let stream = barenet::TcpStream::connect(net, "example.org:80")?;
//! # Ok(()) }
//! ```

mod answer;
mod cache;
pub(crate) mod eyeballs;
#[cfg(feature = "mdns")]
pub mod mdns;
mod memory;
mod query;
pub(crate) mod resolver;
mod services;

pub use answer::{Records, Service};
pub use cache::CacheEntry;
pub use eyeballs::EyeballsConfig;
#[cfg(feature = "mdns")]
pub use mdns::{Announcement, AnnouncementId, MdnsMemory, MdnsStorage};
pub use memory::{NamesMemory, NamesStorage};
pub use query::Query;
pub use services::{port_of, service_of};

pub use crate::wire::dns::{Name, RecordType};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ip::InterfaceId;
use crate::time::Duration;

/// Servers that are asked, at most; those beyond are not.
pub(crate) const SERVERS_MAX: usize = 6;
/// Addresses of one family that are taken from an answer: more than anybody tries.
pub const ADDRESSES_MAX: usize = 8;
/// The port of name servers.
pub(crate) const DNS_PORT: u16 = 53;

/// A server, and the interface that it was told on: a link-local address is good there only.
pub(crate) type Server = (SocketAddr, Option<InterfaceId>);
/// Those that are asked, in their order.
pub(crate) type Servers = heapless::Vec<Server, SERVERS_MAX>;

/// How names are resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DnsConfig {
    /// Servers of the program, in their order. If there are any, those of DHCP and routers are not asked. Port 0 stands for 53.
    pub servers: [Option<SocketAddr>; 3],
    /// Domains of the program for short names, instead of those of DHCP and routers if there are any.
    pub search: &'static [&'static str],
    /// How long one server is waited for before the next is asked; twice and four times as long in the second and third round.
    /// Default 1 s.
    pub timeout: Duration,
    /// How often each server is asked, 1 to 8. Default 3.
    pub tries: u8,
    /// The longest that a look-up takes. Default 5 s.
    pub limit: Duration,
    /// How long the addresses of one family wait for those of the other, in a look-up of both. Default 500 ms.
    pub family_wait: Duration,
    /// Bytes of the longest answer that is asked for by UDP (EDNS, RFC 6891); 0: no EDNS, so 512. Default 1232.
    pub udp_size: u16,
    /// Letters of questions in random case, which answers have to repeat: 5 to 20 bits more to guess for who would forge one. The last round
    /// goes without, for servers that don't. Default true.
    pub random_case: bool,
    /// The longest that an answer is kept, whatever it says. Default a day.
    pub ttl_max: Duration,
    /// The longest that is kept that there is no answer. Default 5 minutes.
    pub negative_ttl_max: Duration,
    /// How connections by name are made.
    pub eyeballs: EyeballsConfig,
}

impl DnsConfig {
    /// The defaults.
    pub const DEFAULT: DnsConfig = DnsConfig {
        servers: [None; 3],
        search: &[],
        timeout: Duration::from_secs(1),
        tries: 3,
        limit: Duration::from_secs(5),
        family_wait: Duration::from_millis(500),
        udp_size: 1232,
        random_case: true,
        ttl_max: Duration::from_secs(86_400),
        negative_ttl_max: Duration::from_secs(300),
        eyeballs: EyeballsConfig::DEFAULT,
    };

    /// The defaults, but one server of the program.
    pub fn with_server(server: IpAddr) -> DnsConfig {
        DnsConfig { servers: [Some(SocketAddr::new(server, 0)), None, None], ..DnsConfig::DEFAULT }
    }
}

impl Default for DnsConfig {
    fn default() -> Self {
        DnsConfig::DEFAULT
    }
}

/// Is it a name that the hosts of a link answer for?
fn is_of_link(_name: &Name) -> bool {
    #[cfg(feature = "mdns")]
    return mdns::is_of_link(_name);
    #[cfg(not(feature = "mdns"))]
    false
}

/// What is known of a name without asking anybody: a literal, or one of this host's own names (RFC 6761 §6.3).
pub(crate) fn known(text: &str) -> Option<[Option<IpAddr>; 2]> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some([Some(address), None]);
    }
    let own = Name::new("localhost").ok()?;
    Name::new(text)
        .is_ok_and(|name| name.is_in(&own))
        .then_some([Some(Ipv6Addr::LOCALHOST.into()), Some(Ipv4Addr::LOCALHOST.into())])
}
