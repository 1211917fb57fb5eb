//! What routers said that fits through the path to a destination (RFC 1191, RFC 8201).
//!
//! The cache is small and forgets: what it says is a hint that saves losses, for ten minutes. Who
//! puts something in must have made sure that the router speaks of a packet that we sent.

use core::net::IpAddr;

use managed::ManagedSlice;

use crate::base::holder::Holder;
use crate::base::lent::Places;
use crate::time::{Duration, Instant};

/// After that time larger packets are tried again.
//= rfc1191#6.3
//= rfc8201#4
const LIFETIME: Duration = Duration::from_secs(600);

/// No IPv6 link carries less (RFC 8200 §5).
pub(crate) const MIN_V6: u16 = 1280;
/// IPv4 paths may carry less, down to 68 bytes, but who says so is hardly to be believed, and every
/// byte would cost as much in headers. Smaller paths must fragment.
pub(crate) const MIN_V4: u16 = 552;

/// Sizes of links that there are or were: what to try when a router does not say what fits.
//= rfc1191#7
const PLATEAUS: [u16; 8] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, MIN_V4];

/// The new path MTU, if a router says that a packet of at most `current` bytes was too big, and that
/// `claimed` would fit (0: it does not say). `None`: that can't be.
pub(crate) fn reduced(current: u16, claimed: u32, destination: IpAddr) -> Option<u16> {
    let claimed = match (claimed, destination) {
        //= rfc1191#5
        (0, IpAddr::V4(_)) => *PLATEAUS.iter().find(|size| **size < current)?,
        (..68, IpAddr::V4(_)) => return None,
        (_, IpAddr::V4(_)) => u16::try_from(claimed).ok()?.max(MIN_V4),
        //= rfc8201#4: such a message is discarded
        (_, IpAddr::V6(_)) => u16::try_from(claimed).ok().filter(|claimed| *claimed >= MIN_V6)?,
    };
    //= rfc1191#3: never raised because of a message
    (claimed < current).then_some(claimed)
}

/// What is known of the path to a destination.
#[derive(Clone, Copy, Debug)]
pub struct PathMtu {
    destination: IpAddr,
    mtu: u16,
    until: Instant,
}

/// The cache, the oldest entry first. Each connection knows its own path besides.
#[derive(Debug)]
pub(crate) struct PathMtus<'a> {
    /// The first so many are used.
    places: Places<'a, Holder<PathMtu>>,
    len: usize,
}

impl<'a> PathMtus<'a> {
    /// Without a place.
    pub(crate) const fn empty() -> Self {
        PathMtus { places: Places::none(), len: 0 }
    }

    pub(crate) fn new(places: ManagedSlice<'a, Holder<PathMtu>>) -> Self {
        PathMtus { places: places.into(), len: 0 }
    }

    fn entries(&self) -> impl Iterator<Item = &PathMtu> {
        self.places.iter().take(self.len).flatten()
    }

    /// The largest packet for a destination, if less than its interface takes.
    pub(crate) fn of(&self, destination: IpAddr) -> Option<u16> {
        self.entries().find(|e| e.destination == destination).map(|e| e.mtu)
    }

    /// The path to `destination` takes no more than `mtu` bytes.
    pub(crate) fn note(&mut self, destination: IpAddr, mtu: u16, now: Instant) {
        let known = self.entries().position(|e| e.destination == destination);
        if let Some(known) = known.or((self.len == self.places.len()).then_some(0)) {
            self.remove(known);
        }
        // There is room now, unless there is none at all.
        if let Some(place) = self.places.get_mut(self.len) {
            *place = Holder::Entry(PathMtu { destination, mtu, until: now + LIFETIME });
            self.len += 1;
        }
    }

    fn remove(&mut self, at: usize) {
        if at < self.len {
            self.len -= 1;
            // One by one: a move of all takes a kilobyte and a half of code on small processors.
            for at in at..self.len {
                self.places[at] = self.places[at + 1];
            }
        }
    }

    /// Forgets what is too old. True: something was.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        // Every entry lives equally long, so the first is the oldest. It is asked with each turn.
        let is_due = self.entries().next().is_some_and(|e| e.until <= now);
        if is_due {
            self.drop_expired(now);
        }
        is_due
    }

    #[inline(never)]
    fn drop_expired(&mut self, now: Instant) {
        while self.entries().next().is_some_and(|e| e.until <= now) {
            self.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn v6() -> IpAddr {
        IpAddr::from([0xfd; 16])
    }

    /// T17, H087: what a message may say, and what it comes to.
    #[test]
    fn what_a_router_may_say() {
        for (current, claimed, expected) in [
            (1500, 1400, Some(1400)),
            (1500, 1500, None),
            (1400, 1500, None),
            (1500, 65_536 + 1400, None),
            (1500, u32::MAX, None),
            (1500, 68, Some(MIN_V4)),
            (1500, 67, None),
            (1500, 1, None),
            (1500, 0, Some(1492)),
            (1492, 0, Some(1006)),
            (1006, 0, Some(MIN_V4)),
            (MIN_V4, 0, None),
            (MIN_V4, 68, None),
            (65_535, 0, Some(32_000)),
        ] {
            assert_eq!(reduced(current, claimed, v4(1)), expected, "{claimed} of {current}");
        }
        for (current, claimed, expected) in [
            (1500, 1280, Some(1280)),
            (1500, 1279, None),
            (1500, 0, None),
            (1280, 1280, None),
            (1500, 65_536 + 1400, None),
        ] {
            assert_eq!(reduced(current, claimed, v6()), expected, "{claimed} of {current}");
        }
    }

    /// H075, H087: remembered for each destination, for ten minutes; the oldest gives way.
    #[test]
    fn the_cache_forgets() {
        let at = |s: u64| Instant::from_millis(s * 1000);
        const PLACES: usize = 16;
        let mut places = [Holder::Empty; PLACES];
        let mut paths = PathMtus::new(ManagedSlice::Borrowed(&mut places));
        paths.note(v4(1), 1400, at(0));
        paths.note(v6(), 1280, at(1));
        assert_eq!((paths.of(v4(1)), paths.of(v6()), paths.of(v4(2))), (Some(1400), Some(1280), None));
        assert!(!paths.expire(at(599)));
        paths.note(v6(), 1300, at(599));
        assert!(paths.expire(at(600)) && !paths.expire(at(600)));
        assert_eq!((paths.of(v4(1)), paths.of(v6())), (None, Some(1300)));
        for n in 0..PLACES as u8 {
            paths.note(v4(n), 1000 + u16::from(n), at(700));
        }
        assert_eq!((paths.of(v6()), paths.of(v4(0)), paths.of(v4(15))), (None, Some(1000), Some(1015)));
        assert!(paths.expire(at(1300)));
        assert_eq!(paths.of(v4(0)), None);
        let mut none = PathMtus::empty();
        none.note(v4(1), 1400, at(0));
        assert_eq!((none.of(v4(1)), none.expire(at(600))), (None, false));
    }
}
