//! Duplicate address detection (RFC 4862 §5.4), for one address.

use crate::time::{Duration, Instant};

/// What is known of an address in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dad {
    /// Questions still to be asked.
    left: u8,
    /// When the next is asked, or silence counts as an answer.
    at: Instant,
    /// That of the last question.
    nonce: [u8; 6],
}

/// What is to be done for an address in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DadStep {
    /// A solicitation from `::` is to be sent for it, with this nonce.
    Ask([u8; 6]),
    /// Nobody has it.
    Unique,
}

impl Dad {
    /// Nothing is asked, now or later.
    pub(crate) const NONE: Dad = Dad { left: 0, at: Instant::FAR_FUTURE, nonce: [0; 6] };

    /// Begins with `transmits` questions (DupAddrDetectTransmits) after a delay.
    pub(crate) fn start(transmits: u8, delay: Duration, now: Instant) -> Dad {
        Dad { left: transmits, at: now + delay, nonce: [0; 6] }
    }

    /// When [`on_timer`](Self::on_timer) has something.
    pub(crate) const fn deadline(&self) -> Instant {
        self.at
    }

    /// What is due at `now`; `nonce` is a number that nobody else can know, and `retrans` the time between two questions and
    /// after the last.
    //= rfc4862#5.4.2
    pub(crate) fn on_timer(&mut self, nonce: u64, retrans: Duration, now: Instant) -> Option<DadStep> {
        if now < self.at {
            return None;
        }
        if self.left == 0 {
            *self = Dad::NONE;
            return Some(DadStep::Unique);
        }
        let [.., a, b, c, d, e, f] = nonce.to_be_bytes();
        *self = Dad { left: self.left - 1, at: now + retrans, nonce: [a, b, c, d, e, f] };
        Some(DadStep::Ask(self.nonce))
    }

    /// Somebody asks for the address from `::`, to find out whether anybody has it. Is it our own question that was looped
    /// back? Else another wants it as well, and neither may have it.
    //= rfc7527#4.2
    pub(crate) fn is_own(&self, nonce: Option<[u8; 6]>) -> bool {
        self.at < Instant::FAR_FUTURE && nonce == Some(self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRANS: Duration = Duration::from_millis(1000);

    const fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// RFC 4862 §5.4.2, §5.4: as many questions as are wanted, a second apart, and a second of silence.
    #[test]
    fn dad_of_a_silent_link_ends_a_second_after_the_last_question() {
        let mut dad = Dad::start(2, Duration::from_millis(300), at(0));
        assert_eq!(dad.deadline(), at(300));
        assert_eq!(dad.on_timer(7, RETRANS, at(299)), None);
        assert_eq!(dad.on_timer(7, RETRANS, at(300)), Some(DadStep::Ask([0, 0, 0, 0, 0, 7])));
        assert_eq!(dad.on_timer(8, RETRANS, at(1299)), None);
        assert!(dad.on_timer(8, RETRANS, at(1300)).is_some());
        assert_eq!(dad.on_timer(9, RETRANS, at(2299)), None);
        assert_eq!(dad.on_timer(9, RETRANS, at(2300)), Some(DadStep::Unique));
        assert_eq!((dad, dad.deadline()), (Dad::NONE, Instant::FAR_FUTURE));
    }

    /// RFC 7527 §4.2: our own question that comes back is no duplicate; any other is.
    #[test]
    fn dad_question_looped_back_is_known() {
        let mut dad = Dad::start(1, Duration::ZERO, at(0));
        assert_eq!(dad.on_timer(0x0102_0304_0506, RETRANS, at(0)), Some(DadStep::Ask([1, 2, 3, 4, 5, 6])));
        assert!(dad.is_own(Some([1, 2, 3, 4, 5, 6])));
        assert!(!dad.is_own(Some([1, 2, 3, 4, 5, 7])) && !dad.is_own(None));
        assert!(!Dad::NONE.is_own(Some([0; 6])));
    }
}
