//! The options of a reply that programs may ask for, by number.

use core::net::{IpAddr, Ipv6Addr};

use heapless::Vec;

use crate::ip::is_group;
use crate::wire::{Options6, option6};

/// Bytes that the options of a reply may take that are kept, with four more for the number and length of each.
pub const OPTIONS6_LEN: usize = 512;

/// Number, length and value, one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Kept(Vec<u8, OPTIONS6_LEN>);

impl Kept {
    pub(super) const fn new() -> Self {
        Kept(Vec::new())
    }

    /// Keeps what of a reply is no part of the protocol. False: some have no place.
    pub(super) fn fill(&mut self, options: Options6<'_>) -> bool {
        self.0.clear();
        let is_own = |code: u16| code <= option6::RAPID_COMMIT;
        options.iter().filter(|(code, _)| !is_own(*code)).fold(true, |fits, (code, value)| {
            let len = self.0.len();
            let [a, b] = code.to_be_bytes();
            let [c, d] = (value.len() as u16).to_be_bytes();
            let pushed =
                self.0.extend_from_slice(&[a, b, c, d]).and_then(|()| self.0.extend_from_slice(value));
            if pushed.is_err() {
                self.0.truncate(len);
            }
            fits && pushed.is_ok()
        })
    }

    pub(super) fn get(&self, code: u16) -> Option<&[u8]> {
        // What was put in is whole.
        Options6::parse(&self.0).ok()?.get(code)
    }

    /// The addresses of an option that is a list of them.
    pub(super) fn addresses(&self, code: u16) -> impl Iterator<Item = Ipv6Addr> + '_ {
        hosts(self.get(code).unwrap_or_default())
    }

    /// The servers for the time: those of NTP by address (RFC 5908 §4.1), and those of SNTP (RFC 4075).
    pub(super) fn time_servers(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        const SERVER_ADDRESS: u16 = 1;
        let ntp = Options6::parse(self.get(option6::NTP).unwrap_or_default()).ok();
        let by_address = |(code, value): (u16, _)| (code == SERVER_ADDRESS).then_some(value);
        let ntp = ntp.into_iter().flat_map(move |o| o.iter().filter_map(by_address)).flat_map(hosts);
        ntp.chain(self.addresses(option6::SNTP))
    }
}

/// The addresses in a list that are of hosts.
fn hosts(list: &[u8]) -> impl Iterator<Item = Ipv6Addr> + '_ {
    let all = list.as_chunks::<16>().0.iter().map(|address| Ipv6Addr::from(*address));
    all.filter(|address| !is_group(IpAddr::V6(*address)) && !address.is_unspecified())
}
