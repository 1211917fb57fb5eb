//! DHCP for IPv6: the client (RFC 8415), for addresses (IA_NA) and for options alone.
//!
//! The [`Dhcpv6Client`] is a pure state machine: messages, time and what routers say in; a plan out, which the stack carries out.
//! It is started by [`Stack::dhcpv6_start`](crate::stack::Stack::dhcpv6_start). Prefixes are not delegated to it, and servers
//! can't make it renew (Reconfigure): it does not say that it takes such messages (RFC 8415 §16.11).

mod client;
mod message;
mod options;
mod reply;
mod retry;
mod view;

pub use client::{Dhcpv6Client, Dhcpv6State, LeasedAddress};
pub use options::OPTIONS6_LEN;

pub(crate) use client::Plan6;
pub(crate) use message::MESSAGE6_LEN;

use crate::error::Error;
use crate::time::Duration;

/// When a client asks for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dhcpv6Mode {
    /// As routers say: addresses with their flag M, options alone with O (RFC 4861 §4.2). Nothing without either.
    ByRouter,
    /// Options alone, at once.
    Stateless,
    /// Addresses and options, at once.
    Stateful,
}

/// What names the client to servers (RFC 8415 §11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duid {
    /// DUID-LL: of the hardware address.
    LinkLayer,
    /// DUID-EN: of an enterprise with this number.
    Enterprise {
        /// In the registry of the IANA.
        number: u32,
        /// Unique in the enterprise, at most 122 bytes.
        identifier: &'static [u8],
    },
    /// DUID-UUID (RFC 6355).
    Uuid([u8; 16]),
}

/// How a [`Dhcpv6Client`] is to behave.
///
/// ```
/// use barenet::dhcpv6::{Dhcpv6Config, Dhcpv6Mode};
/// // Options alone, and a boot file's address (RFC 5970) among them.
/// let config = Dhcpv6Config { mode: Dhcpv6Mode::Stateless, requests: &[59], ..Dhcpv6Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dhcpv6Config {
    /// When it asks for what.
    pub mode: Dhcpv6Mode,
    /// What names it to servers.
    pub duid: Duid,
    /// Servers may give addresses by two messages in place of four (RFC 8415 §18.2.1).
    pub rapid_commit: bool,
    /// Options to ask for, by number, besides those that the client has accessors for; at most 32.
    pub requests: &'static [u16],
    /// Most that is waited, at random, before the first message (RFC 8415 §7.6: SOL_MAX_DELAY, one second).
    pub start_delay_max: Duration,
}

impl Dhcpv6Config {
    /// The default, as a constant: what routers say, named by the hardware address.
    pub const DEFAULT: Dhcpv6Config = Dhcpv6Config {
        mode: Dhcpv6Mode::ByRouter,
        duid: Duid::LinkLayer,
        rapid_commit: true,
        requests: &[],
        start_delay_max: Duration::from_secs(1),
    };

    /// Can it be sent?
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Duid::Enterprise { identifier, .. } = self.duid
            && !(1..=122).contains(&identifier.len())
        {
            return Err(Error::InvalidInput("the identifier of a DUID has 1 to 122 bytes"));
        }
        if self.requests.len() > message::REQUESTS_MAX {
            return Err(Error::InvalidInput("a DHCPv6 client asks for at most 32 further options"));
        }
        Ok(())
    }
}

impl Default for Dhcpv6Config {
    fn default() -> Self {
        Dhcpv6Config::DEFAULT
    }
}

#[cfg(test)]
mod tests;
