//! What a server has given us: an address, for how long, and its options.

use core::net::Ipv4Addr;

use super::options::Options;
use crate::config::names::SearchDomain;
use crate::counters::Drop;
use crate::ip;
use crate::ip::addresses::Cidr;
use crate::time::{Duration, Instant};
use crate::wire::{DhcpMessage, option};

/// A lease, or an offer of one.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) prefix_len: u8,
    pub(super) server: Ipv4Addr,
    /// When it was asked for: all its times count from then (H160).
    pub(super) from: Instant,
    /// `None`: for ever (H169).
    pub(super) duration: Option<Duration>,
    pub(super) t1: Duration,
    pub(super) t2: Duration,
    pub(super) options: Options,
}

impl Lease {
    pub(super) const fn empty() -> Self {
        Lease {
            address: Ipv4Addr::UNSPECIFIED,
            prefix_len: 0,
            server: Ipv4Addr::UNSPECIFIED,
            from: Instant::ZERO,
            duration: None,
            t1: Duration::ZERO,
            t2: Duration::ZERO,
            options: Options::new(),
        }
    }

    /// Takes what an offer or acknowledgment says, whose options are read already.
    pub(super) fn fill(&mut self, message: &DhcpMessage<'_>, from: Instant) -> Result<(), Drop> {
        self.server = self.options.array(option::SERVER).ok_or(Drop::DhcpNoServer)?.into();
        self.address = message.yours;
        self.from = from;
        self.prefix_len = mask(&self.options, self.address)?;
        if !is_host(self.address, self.prefix_len) {
            return Err(Drop::DhcpAddress);
        }
        self.times()
    }

    /// The times of the lease.
    //= rfc2131#4.4.5
    fn times(&mut self) -> Result<(), Drop> {
        let seconds = |code| self.options.array(code).map(u32::from_be_bytes);
        let lease = seconds(option::LEASE_TIME).filter(|s| *s > 0).ok_or(Drop::DhcpLeaseTime)?;
        let span = Duration::from_secs(lease.into());
        // A half and seven eighths, unless the server says something that makes sense.
        let (half, most) = (span.micros() / 2, span.micros() / 8 * 7);
        (self.t1, self.t2) = (Duration::from_micros(half), Duration::from_micros(most));
        if let (Some(t1), Some(t2)) = (seconds(option::T1), seconds(option::T2))
            && 0 < t1
            && t1 < t2
            && t2 < lease
        {
            (self.t1, self.t2) = (Duration::from_secs(t1.into()), Duration::from_secs(t2.into()));
        }
        self.duration = (lease != u32::MAX).then_some(span);
        Ok(())
    }

    /// The address, with the length of its network's prefix.
    pub fn address(&self) -> Cidr {
        Cidr { address: self.address.into(), prefix_len: self.prefix_len }
    }

    /// The server that gave it, by its identifier (RFC 2132 §9.7).
    pub fn server(&self) -> Ipv4Addr {
        self.server
    }

    /// How long it holds from [`since`](Self::since) on; `None`: for ever.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// When it was asked for.
    pub fn since(&self) -> Instant {
        self.from
    }

    /// When it ends; `None`: never.
    pub fn expires(&self) -> Option<Instant> {
        self.duration.map(|d| self.from + d)
    }

    /// The value of any option by its number, however many pieces it came in. What has no accessor here is asked for
    /// by [`DhcpConfig::requests`](super::DhcpConfig::requests).
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.get(code)
    }

    /// The default routers, the preferred one first (RFC 2132 §3.5). They don't count where there are
    /// [`routes`](Self::routes).
    pub fn routers(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses(option::ROUTER)
    }

    /// Servers for names, the preferred one first (RFC 2132 §3.8).
    pub fn dns_servers(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses(option::DNS)
    }

    /// Servers for the time (RFC 2132 §8.3).
    pub fn ntp_servers(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses(option::NTP)
    }

    /// The domain of the network (RFC 2132 §3.17).
    pub fn domain(&self) -> Option<&str> {
        self.text(option::DOMAIN)
    }

    /// The name that the server gives this host (RFC 2132 §3.14).
    pub fn host_name(&self) -> Option<&str> {
        self.text(option::HOST_NAME)
    }

    /// Largest IP packet of this network in bytes (RFC 2132 §5.1): 68 at least, or it is none.
    pub fn mtu(&self) -> Option<u16> {
        self.options.array(option::MTU).map(u16::from_be_bytes).filter(|mtu| *mtu >= 68)
    }

    /// Domains in which names are looked for, in this order (RFC 3397).
    pub fn search_list(&self) -> impl Iterator<Item = SearchDomain<'_>> {
        SearchDomain::all(self.options.get(option::SEARCH).unwrap_or_default())
    }

    /// Networks and their routers (RFC 3442). A router of 0.0.0.0 means that the network is on the link.
    pub fn routes(&self) -> impl Iterator<Item = (Cidr, Ipv4Addr)> + '_ {
        let mut rest = self.options.get(option::CLASSLESS_ROUTES).unwrap_or_default();
        core::iter::from_fn(move || {
            let (len, after) = rest.split_first().filter(|(len, _)| **len <= 32)?;
            let (significant, after) = after.split_at_checked(usize::from(*len).div_ceil(8))?;
            let (router, after) = after.split_first_chunk::<4>()?;
            let mut network = [0; 4];
            network[..significant.len()].copy_from_slice(significant);
            rest = after;
            let destination = Cidr { address: Ipv4Addr::from(network).into(), prefix_len: *len };
            Some((destination.masked(), Ipv4Addr::from(*router)))
        })
    }

    fn addresses(&self, code: u8) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let list = self.options.get(code).unwrap_or_default().as_chunks::<4>().0;
        list.iter().map(|a| Ipv4Addr::from(*a)).filter(|a| !a.is_unspecified() && !ip::is_group((*a).into()))
    }

    /// Some servers end texts with a zero.
    fn text(&self, code: u8) -> Option<&str> {
        let text = core::str::from_utf8(self.options.get(code)?).ok()?.trim_end_matches('\0');
        Some(text).filter(|text| !text.is_empty() && !text.contains(char::is_control))
    }
}

/// The prefix that a mask stands for; without one that of the address's class (RFC 1122 §3.2.1.3), as it was when
/// servers left it out.
fn mask(options: &Options, address: Ipv4Addr) -> Result<u8, Drop> {
    match options.get(option::SUBNET_MASK) {
        Some(mask) => {
            let mask = u32::from_be_bytes(mask.try_into().map_err(|_| Drop::DhcpMask)?);
            let len = mask.leading_ones();
            let is_mask = len > 0 && len + mask.trailing_zeros() == 32 || mask == u32::MAX;
            if is_mask { Ok(len as u8) } else { Err(Drop::DhcpMask) }
        }
        None => Ok(match address.octets()[0] {
            0..=127 => 8,
            128..=191 => 16,
            _ => 24,
        }),
    }
}

/// Can a host have this address?
fn is_host(address: Ipv4Addr, prefix_len: u8) -> bool {
    let cidr = Cidr { address: address.into(), prefix_len };
    let first = address.octets()[0];
    (1..224).contains(&first)
        && first != 127
        && cidr.broadcast() != Some(address)
        && cidr.network() != Some(address)
}
