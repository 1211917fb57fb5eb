//! IPv6 of an interface: stateless address autoconfiguration (RFC 4862) and what belongs to it.
//!
//! Pure parts, each told the time: [`dad`] finds duplicates, [`solicitation`] asks for routers, [`identifiers`] and
//! [`lifetimes`] say which addresses are formed from a prefix, and for how long. `stack/autoconf.rs` carries out what they say;
//! what is learnt lies in the tables of addresses and of learnt routes.

pub(crate) mod dad;
pub(crate) mod identifiers;
pub(crate) mod lifetimes;
pub(crate) mod solicitation;

use crate::base::random::Random;
use crate::time::{Duration, Instant};
use dad::Dad;
use solicitation::Solicitation;

/// Addresses that are formed again after a duplicate, before none is (RFC 7217 §5 IDGEN_RETRIES, RFC 8981 §3.8
/// TEMP_IDGEN_RETRIES).
pub(crate) const RETRIES: u8 = 3;
/// Hop limits below are not taken over: whoever advertises them wants our packets to get nowhere (H114).
pub(crate) const HOP_LIMIT_MIN: u8 = 32;

/// How IPv6 is configured on an interface.
///
/// ```
/// use barenet::config::Ipv6Config;
/// # use barenet::{ip::InterfaceId, stack::Stack, time::Instant, Error};
/// # fn start(stack: &mut Stack<'_>, id: InterfaceId, now: Instant) -> Result<(), Error> {
/// // Without temporary addresses, as for a server.
/// stack.configure_ipv6(id, Ipv6Config { temporary: false, ..Ipv6Config::default() }, now)
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv6Config {
    /// Routers are asked for and heard, and addresses formed from their prefixes.
    pub autonomous: bool,
    /// Addresses that change each day are formed as well, and preferred for what this host begins (RFC 8981).
    pub temporary: bool,
    /// Questions before an address is used (DupAddrDetectTransmits, RFC 4862 §5.1); 0: none, which makes no sense but where
    /// nobody else can be on the link.
    pub dad_transmits: u8,
    /// Most that is waited, at random, before the first messages, so that hosts that start together don't send together
    /// (MAX_RTR_SOLICITATION_DELAY, RFC 4861 §10); one second.
    pub start_delay_max: Duration,
    /// Makes the same stable addresses at each start (RFC 7217 §5); `None`: they are the same until this program ends.
    pub secret: Option<[u8; 16]>,
}

impl Default for Ipv6Config {
    fn default() -> Self {
        Ipv6Config {
            autonomous: true,
            temporary: true,
            dad_transmits: 1,
            start_delay_max: Duration::from_secs(1),
            secret: None,
        }
    }
}

impl Ipv6Config {
    /// The delay before a first message.
    //= rfc4862#5.4.2
    pub(crate) fn start_delay(&self, random: &mut Random) -> Duration {
        let most = u32::try_from(self.start_delay_max.millis()).unwrap_or(u32::MAX);
        Duration::from_millis(random.below(most.max(1)).into())
    }
}

/// What an interface keeps of its IPv6.
#[derive(Debug)]
pub(crate) struct Autoconf {
    /// `None`: addresses are used as they are given, and routers not heard.
    pub(crate) config: Option<Ipv6Config>,
    pub(crate) solicitation: Solicitation,
    /// Stable addresses that were somebody else's.
    pub(crate) duplicates: u8,
    /// Temporary ones.
    pub(crate) temporary_duplicates: u8,
    /// What routers say of the link.
    pub(crate) mtu: u16,
    pub(crate) hop_limit: Option<u8>,
    /// DHCP gives addresses, and options (RFC 4861 §4.2: M, O).
    #[cfg(feature = "dhcpv6")]
    pub(crate) managed: bool,
    #[cfg(feature = "dhcpv6")]
    pub(crate) other: bool,
}

impl Autoconf {
    pub(crate) const OFF: Autoconf = Autoconf {
        config: None,
        solicitation: Solicitation::OFF,
        duplicates: 0,
        temporary_duplicates: 0,
        mtu: u16::MAX,
        hop_limit: None,
        #[cfg(feature = "dhcpv6")]
        managed: false,
        #[cfg(feature = "dhcpv6")]
        other: false,
    };

    /// Are routers heard?
    pub(crate) fn is_autonomous(&self) -> bool {
        self.config.is_some_and(|config| config.autonomous)
    }
}

/// What is kept with each address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Upkeep {
    pub(crate) dad: Dad,
    /// Of a temporary address: when it was formed, what is taken off its preferred lifetime, and whether the next one is.
    pub(crate) created: Instant,
    pub(crate) desync_secs: u32,
    pub(crate) has_successor: bool,
}

impl Upkeep {
    pub(crate) const NONE: Upkeep =
        Upkeep { dad: Dad::NONE, created: Instant::ZERO, desync_secs: 0, has_successor: false };
}
