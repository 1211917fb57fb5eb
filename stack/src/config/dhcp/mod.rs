//! DHCP for IPv4: the client (RFC 2131), with the options of RFC 2132, 3396, 3397 and 3442.
//!
//! The [`DhcpClient`] is a pure state machine: messages, time and the state of the link in; a plan out, which the
//! stack carries out. It is started by [`Stack::dhcp_start`](crate::stack::Stack::dhcp_start).

mod client;
mod lease;
mod options;
mod request;

pub use crate::config::names::SearchDomain;
pub use client::{DhcpClient, DhcpState};
pub use lease::Lease;
pub use options::OPTIONS_LEN;

pub use crate::link::probe::ConflictDetection;

pub(crate) use client::Plan;
pub(crate) use request::{MESSAGE_LEN, Outgoing};

use crate::error::Error;
use crate::time::Duration;
use crate::wire::option;

/// What a program says to a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Take it.
    Accept,
    /// Wait for another.
    Reject,
}

/// Asked about each offer, and about each lease before it is used or renewed. It runs inside the stack: it can't use
/// sockets or the `Net`.
pub type OnLease = &'static (dyn Fn(&Lease) -> Verdict + Send + Sync);

/// How a [`DhcpClient`] is to behave.
///
/// ```
/// # #[cfg(feature = "dhcpv4")] {
/// use barenet::dhcp::{DhcpConfig, Lease, Verdict};
///
/// // A boot server's address (RFC 5859), and no lease without it.
/// fn has_boot_server(lease: &Lease) -> Verdict {
///     if lease.option(150).is_some() { Verdict::Accept } else { Verdict::Reject }
/// }
/// let config = DhcpConfig {
///     host_name: Some("sensor-7"),
///     requests: &[150],
///     on_lease: Some(&has_boot_server),
///     ..DhcpConfig::default()
/// };
/// # let _ = config; }
/// ```
#[derive(Clone, Copy)]
pub struct DhcpConfig {
    /// The host's name, sent to the server (option 12): labels of letters, digits and hyphens, 63 bytes at most.
    pub host_name: Option<&'static str>,
    /// Options to ask for, by number, besides those that a [`Lease`] has accessors for.
    pub requests: &'static [u8],
    /// Options to send with each DISCOVER, REQUEST and INFORM: number and value. Not those that the client writes itself.
    pub options: &'static [(u8, &'static [u8])],
    /// What the program says to a lease; without it, each is taken.
    pub on_lease: Option<OnLease>,
    /// How it is made sure that nobody else has the address.
    pub conflict_detection: ConflictDetection,
    /// After so long without a lease the interface takes a link-local address (RFC 3927), until there is one. `None`:
    /// never.
    pub link_local_after: Option<Duration>,
    /// Ask for options only (INFORM, RFC 2131 §3.4): the interface has its first IPv4 address by hand.
    pub inform: bool,
}

impl DhcpConfig {
    /// The default, as a constant: full conflict detection, link-local addresses after 30 s.
    pub const DEFAULT: DhcpConfig = DhcpConfig {
        host_name: None,
        requests: &[],
        options: &[],
        on_lease: None,
        conflict_detection: ConflictDetection::Full,
        link_local_after: Some(Duration::from_secs(30)),
        inform: false,
    };

    /// Can it be sent?
    pub(crate) fn check(&self) -> Result<(), Error> {
        // H166, RFC 1123 §2.1.
        let is_label = |l: &str| {
            !l.is_empty()
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        let is_name = |name: &str| name.len() <= 63 && name.split('.').all(is_label);
        if !self.host_name.is_none_or(is_name) {
            return Err(Error::InvalidInput("the host name is not labels of letters, digits and hyphens"));
        }
        const OWN: [u8; 10] = [
            option::PAD,
            option::HOST_NAME,
            option::REQUESTED_ADDRESS,
            option::OVERLOAD,
            option::MESSAGE_TYPE,
            option::SERVER,
            option::REQUEST_LIST,
            option::LENGTH_MAX,
            option::CLIENT_ID,
            option::END,
        ];
        if self.options.iter().any(|(code, _)| OWN.contains(code)) {
            return Err(Error::InvalidInput("an option that the DHCP client writes itself"));
        }
        if !request::fits(self) {
            return Err(Error::InvalidInput("the DHCP options don't fit a message of 548 bytes"));
        }
        Ok(())
    }
}

impl Default for DhcpConfig {
    fn default() -> Self {
        DhcpConfig::DEFAULT
    }
}

#[cfg(test)]
mod tests;
