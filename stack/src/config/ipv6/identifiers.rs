//! Interface identifiers: the lower half of an address that is formed from a prefix (RFC 7217, RFC 8981 §3.3).

use core::hash::Hasher;
use core::net::Ipv6Addr;

use siphasher::sip::SipHasher24;

use crate::base::random::Random;
use crate::device::Mac;

/// An address in the upper 64 bits of a prefix.
pub(crate) fn address(prefix: Ipv6Addr, identifier: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64 | u128::from(identifier))
}

/// The identifier of an interface in a network: the same each time, another in each network, and unforeseeable without the
/// key. `duplicates`: how many were somebody else's.
//= rfc7217#5
pub(crate) fn stable(prefix: Ipv6Addr, mac: Mac, mut duplicates: u8, key: &[u8; 16]) -> u64 {
    loop {
        let mut hash = SipHasher24::new_with_key(key);
        hash.write(&prefix.octets()[..8]);
        hash.write(&mac.0);
        hash.write_u8(duplicates);
        let identifier = hash.finish();
        if !is_reserved(identifier) {
            return identifier;
        }
        duplicates = duplicates.wrapping_add(1);
    }
}

/// An identifier for a while.
//= rfc8981#3.3.1
pub(crate) fn temporary(random: &mut Random) -> u64 {
    loop {
        let identifier = random.next_u64();
        if !is_reserved(identifier) {
            return identifier;
        }
    }
}

/// Those of groups and of anycast (RFC 5453, the IANA registry).
const fn is_reserved(identifier: u64) -> bool {
    matches!(
        identifier,
        0 | 0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff | 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7217 §5, §6: the same for the same network, interface and key; another if any of them or the count differs.
    #[test]
    fn stable_identifier_depends_on_all_it_is_made_of() {
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        let prefix = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let first = stable(prefix("2001:db8::"), mac(1), 0, &[1; 16]);
        assert_eq!(stable(prefix("2001:db8::9"), mac(1), 0, &[1; 16]), first, "host bits don't count");
        let others = [
            stable(prefix("2001:db8:1::"), mac(1), 0, &[1; 16]),
            stable(prefix("2001:db8::"), mac(2), 0, &[1; 16]),
            stable(prefix("2001:db8::"), mac(1), 1, &[1; 16]),
            stable(prefix("2001:db8::"), mac(1), 0, &[2; 16]),
        ];
        assert!(!others.contains(&first));
        assert_eq!(address(prefix("2001:db8::9"), 0x77), prefix("2001:db8::77"));
    }

    /// RFC 5453: what others are reserved for is nobody's.
    #[test]
    fn reserved_identifiers_are_known() {
        let reserved = [0, 0x0200_5eff_fe00_5213, 0xfdff_ffff_ffff_ff80, 0xfdff_ffff_ffff_ffff];
        assert!(reserved.into_iter().all(is_reserved));
        assert!(![1, 0x0200_5eff_ff00_0000, 0xfdff_ffff_ffff_ff7f, u64::MAX].into_iter().any(is_reserved));
    }
}
