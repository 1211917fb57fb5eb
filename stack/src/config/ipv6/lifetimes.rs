//! How long addresses formed from a prefix are good (RFC 4862 §5.5.3, RFC 8981 §3.4).

use crate::ip::addresses::Lifetimes;
use crate::time::{Duration, Instant};

/// Nobody but who can prove it makes an address end earlier than this.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);
/// A temporary address (RFC 8981 §3.8): TEMP_VALID_LIFETIME, TEMP_PREFERRED_LIFETIME.
const TEMPORARY_VALID: Duration = Duration::from_secs(2 * 86_400);
const TEMPORARY_PREFERRED: Duration = Duration::from_secs(86_400);
/// The next one is formed so long before (RFC 8981 §3.8, REGEN_ADVANCE with one question and a second each).
pub(crate) const REGEN_ADVANCE: Duration = Duration::from_secs(2 + 3);
/// MAX_DESYNC_FACTOR: a random part of this is taken off, so that not all hosts change at once.
pub(crate) const DESYNC_MAX_SECS: u32 = 86_400 * 2 / 5;

/// The lifetimes of an address whose prefix is advertised again, in seconds. A message that anybody could have sent must not
/// end it at once.
//= rfc4862#5.5.3
pub(crate) fn refreshed(old: Lifetimes, preferred: u32, valid: u32, now: Instant) -> Lifetimes {
    let told = Lifetimes::from_secs(preferred, valid, now);
    let soon = now + TWO_HOURS;
    let valid_until = if told.valid_until > soon || told.valid_until > old.valid_until {
        told.valid_until
    } else {
        // What is left, if that is less.
        old.valid_until.min(soon)
    };
    Lifetimes { preferred_until: told.preferred_until, valid_until }
}

/// The lifetimes of a temporary address, made at `created`, beside a stable one with these.
//= rfc8981#3.4
pub(crate) fn of_temporary(stable: Lifetimes, created: Instant, desync_secs: u32) -> Lifetimes {
    let most = created + TEMPORARY_PREFERRED - Duration::from_secs(desync_secs.into());
    Lifetimes {
        preferred_until: stable.preferred_until.min(most),
        valid_until: stable.valid_until.min(created + TEMPORARY_VALID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 3600;

    fn valid(left: u32, told: u32) -> u64 {
        let now = Instant::from_millis(1_000_000);
        let old = Lifetimes::from_secs(left, left, now);
        let new = refreshed(old, told, told, now);
        assert_eq!(new.preferred_until, Lifetimes::from_secs(told, told, now).preferred_until);
        if new.valid_until == Instant::FAR_FUTURE {
            u64::MAX
        } else {
            new.valid_until.since(now).millis() / 1000
        }
    }

    /// RFC 4862 §5.5.3 (e), the two-hour rule.
    #[test]
    fn lifetime_is_not_cut_below_two_hours() {
        for (left, told, expected) in [
            (HOUR, 3 * HOUR, 3 * HOUR),
            (HOUR, HOUR + 1, HOUR + 1),
            (HOUR, 60, HOUR),
            (HOUR, 0, HOUR),
            (24 * HOUR, 3 * HOUR, 3 * HOUR),
            (24 * HOUR, HOUR, 2 * HOUR),
            (24 * HOUR, 0, 2 * HOUR),
            (u32::MAX, 0, 2 * HOUR),
        ] {
            assert_eq!(valid(left, told), expected.into(), "{left} left, {told} told");
        }
        assert_eq!(valid(HOUR, u32::MAX), u64::MAX, "H120");
    }

    /// RFC 8981 §3.4, §3.8: never longer than the prefix, nor than a day less what is random, and two days.
    #[test]
    fn temporary_lifetimes_have_a_bound() {
        let created = Instant::from_millis(5000);
        let forever = of_temporary(Lifetimes::FOREVER, created, 3600);
        assert_eq!(forever.preferred_until, created + Duration::from_secs(23 * 3600));
        assert_eq!(forever.valid_until, created + Duration::from_secs(48 * 3600));
        let short = Lifetimes::from_secs(60, 90, created);
        assert_eq!(of_temporary(short, created, 3600), short);
    }
}
