//! What a server's message says, checked (RFC 8415 §16.3, §16.10, §18.2.10).

use core::net::{IpAddr, Ipv6Addr};

use heapless::Vec;

use crate::counters::Drop;
use crate::ip::is_group;
use crate::wire::{Options6, option6, status6};

/// Most addresses of a lease.
pub(super) const ADDRESSES6_MAX: usize = 4;
/// T1, T2 and IAID (RFC 8415 §21.4), and what an address is before its options (§21.6).
const IA_LEN: usize = 12;
const ADDRESS_LEN: usize = 24;

/// An address as it is offered: it, its preferred and its valid lifetime in seconds.
pub(super) type Offered = (Ipv6Addr, u32, u32);

/// What a server says of our addresses.
#[derive(Clone, Debug)]
pub(super) struct Association {
    /// In seconds.
    pub(super) t1: u32,
    pub(super) t2: u32,
    pub(super) status: u16,
    pub(super) addresses: Vec<Offered, ADDRESSES6_MAX>,
    /// Some addresses are none, or have no place.
    pub(super) has_bad: bool,
}

/// The value of the option IA_NA that is ours, if it makes sense.
pub(super) fn association(options: Options6<'_>, iaid: u32) -> Result<Option<Association>, Drop> {
    for (_, value) in options.iter().filter(|(code, _)| *code == option6::IA_NA) {
        let (fixed, inner) = value.split_first_chunk::<IA_LEN>().ok_or(Drop::Dhcpv6Malformed)?;
        let [id, t1, t2] = core::array::from_fn(|at| word(fixed, at * 4));
        if id != iaid {
            continue;
        }
        //= rfc8415#18.2.10.1
        if t1 > t2 && t2 > 0 {
            return Err(Drop::Dhcpv6Times);
        }
        let inner = Options6::parse(inner)?;
        let mut found =
            Association { t1, t2, status: inner.status()?, addresses: Vec::new(), has_bad: false };
        for (_, value) in inner.iter().filter(|(code, _)| *code == option6::IA_ADDRESS) {
            match address(value)? {
                Some(offered) => found.has_bad |= found.addresses.push(offered).is_err(),
                None => found.has_bad = true,
            }
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// An address of a lease; `None`: no host can have it, its lifetimes make no sense, or the server says that something is wrong.
fn address(value: &[u8]) -> Result<Option<Offered>, Drop> {
    let (fixed, inner) = value.split_first_chunk::<ADDRESS_LEN>().ok_or(Drop::Dhcpv6Malformed)?;
    let status = Options6::parse(inner)?.status()?;
    let own = Ipv6Addr::from(*fixed.first_chunk::<16>().ok_or(Drop::Dhcpv6Malformed)?);
    let (preferred, valid) = (word(fixed, 16), word(fixed, 20));
    let is_host = !is_group(IpAddr::V6(own))
        && !own.is_unspecified()
        && !own.is_loopback()
        && !own.is_unicast_link_local()
        && own.to_ipv4_mapped().is_none();
    let is_good = is_host && preferred <= valid && status == status6::SUCCESS;
    Ok(is_good.then_some((own, preferred, valid)))
}

/// 32 bits in network order.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}
