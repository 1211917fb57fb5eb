//! Proportional rate reduction (RFC 9937): how much goes out while a fast recovery lasts.

/// State of one recovery, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Prr {
    /// RecoverFS: what was on its way when recovery began.
    flight: u32,
    /// prr_delivered and prr_out, since then.
    delivered: u32,
    out: u32,
    /// What may be on its way now.
    pub(super) window: u32,
}

impl Prr {
    /// There is no recovery.
    pub(super) const NONE: Prr = Prr { flight: 0, delivered: 0, out: 0, window: 0 };

    pub(super) fn new(flight: u32) -> Prr {
        Prr { flight: flight.max(1), ..Prr::default() }
    }

    /// An acknowledgment delivered so much, and leaves `pipe` on its way. `safe`: it moved SND.UNA on,
    /// and nothing more was found lost.
    //= rfc9937#6
    pub(super) fn on_ack(&mut self, delivered: u32, pipe: u32, ssthresh: u32, mss: u32, safe: bool) {
        self.delivered = self.delivered.saturating_add(delivered);
        let budget = if pipe > ssthresh {
            let share = u64::from(self.delivered) * u64::from(ssthresh);
            (share.div_ceil(u64::from(self.flight)).min(u64::from(u32::MAX)) as u32).saturating_sub(self.out)
        } else {
            // Conservative by the bytes delivered; a segment more if the path does well.
            let bound = self.delivered.saturating_sub(self.out).max(delivered);
            bound.saturating_add(if safe { mss } else { 0 }).min(ssthresh - pipe)
        };
        // The first retransmission goes at once.
        let least = if self.out == 0 { mss } else { 0 };
        self.window = pipe.saturating_add(budget.max(least));
    }

    pub(super) fn on_sent(&mut self, len: u32) {
        self.out = self.out.saturating_add(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T05: twenty segments, one lost, half the window: one segment goes out for two that arrive, and
    /// what is on its way comes down to the threshold without a pause.
    //= rfc9937#6
    #[test]
    fn the_flight_shrinks_in_proportion() {
        const MSS: u32 = 1000;
        let mut prr = Prr::new(20 * MSS);
        let mut pipe = 19 * MSS;
        let mut sent = vec![];
        for _ in 0..19 {
            pipe -= MSS;
            prr.on_ack(MSS, pipe, 10 * MSS, MSS, false);
            let n = (prr.window - pipe) / MSS;
            prr.on_sent(n * MSS);
            pipe += n * MSS;
            sent.push(n);
        }
        assert_eq!(sent[..6], [1, 0, 0, 1, 0, 1]);
        assert_eq!((sent.iter().sum::<u32>(), pipe), (10, 10 * MSS));
    }

    /// Heavy losses leave less than the threshold: as much goes out as arrives, and a segment more
    /// while SND.UNA moves on.
    #[test]
    fn after_heavy_losses() {
        let mut prr = Prr::new(20_000);
        prr.on_ack(1000, 2000, 10_000, 1000, false);
        assert_eq!(prr.window, 3000);
        prr.on_sent(1000);
        prr.on_ack(1000, 2000, 10_000, 1000, true);
        assert_eq!(prr.window, 4000);
        prr.on_ack(1000, 9_500, 10_000, 1000, true);
        assert_eq!(prr.window, 10_000, "never above the threshold");
    }
}
