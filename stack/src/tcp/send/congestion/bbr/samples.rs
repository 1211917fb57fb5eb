//! How fast the path delivers: a sample with each acknowledgment that gives one of the round trip.
//!
//! The estimation of delivery rates (draft-cheng-iccrg-delivery-rate-estimation) notes with each packet how much
//! was delivered when it was sent, since when, and when that had been sent. All that depends on the time alone: so
//! the connection notes it four times in a round trip, and nothing lies with the packets. When the packet was sent
//! that an acknowledgment tells of is what its round-trip sample says. What is measured lasts up to a quarter of a
//! round trip longer for that.

use super::super::super::xmit_time::XmitTime;
use super::super::Ack;
use super::losses::Losses;
use crate::time::Instant;

/// They reach back two round trips: a queue may double the time before the smoothed round trip shows it.
const MARKS: usize = 8;
const MARKS_IN_ROUND: u64 = 4;

/// What was known at one time.
#[derive(Clone, Copy, Debug)]
struct EcnCodepoint {
    at: XmitTime,
    /// Bytes that had arrived, and when the last of them had been sent.
    delivered: u32,
    sent: XmitTime,
}

/// The marks, and the round that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples {
    marks: [EcnCodepoint; MARKS],
    /// The place of the last one; that of the first is behind it.
    last: u8,
    /// Bytes that have arrived, on a circle, and when the last of them was sent.
    delivered: u32,
    sent: XmitTime,
    /// The round lasts until something has arrived that was sent after this.
    since: XmitTime,
    delivered_before: u32,
    /// Its best sample, and whether one of them was not the application's.
    best: u64,
    full: bool,
    /// The most bytes that were on their way in it, and in the one before.
    flights: [u32; 2],
    pub(super) losses: Losses,
    /// What was sent from the first time on, up to the second, was all that the application had: the path was not
    /// filled. It goes on until so much has arrived.
    dry: [XmitTime; 2],
    dry_end: Option<u32>,
}

/// What an acknowledgment showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sample {
    /// Bytes in a second.
    pub(super) rate: u64,
    /// It is the application's rate rather than the path's.
    pub(super) dry: bool,
}

/// What a round showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Round {
    /// The most bytes in a second, and whether the path ever had more to do than it took.
    pub(super) best: u64,
    pub(super) full: bool,
    pub(super) delivered: u32,
    pub(super) losses: Losses,
}

impl Samples {
    pub(super) fn new(now: Instant) -> Self {
        let now = XmitTime::of(now);
        Samples {
            marks: [EcnCodepoint { at: now, delivered: 0, sent: now }; MARKS],
            last: 0,
            delivered: 0,
            sent: now,
            since: now,
            delivered_before: 0,
            best: 0,
            full: false,
            flights: [0; 2],
            losses: Losses::default(),
            dry: [now; 2],
            dry_end: None,
        }
    }

    /// The rate of what has arrived, and what the round showed if that ends it.
    pub(super) fn on_ack(&mut self, ack: &Ack) -> (Option<Sample>, Option<Round>) {
        let now = XmitTime::of(ack.now);
        self.delivered = self.delivered.wrapping_add(ack.delivered);
        self.flights[0] = self.flights[0].max(ack.flight.saturating_add(ack.delivered));
        if self.dry_end.is_some_and(|end| (self.delivered.wrapping_sub(end) as i32) >= 0) {
            (self.dry[1], self.dry_end) = (now, None);
        }
        let Some(rtt) = ack.rtt else { return (None, None) };
        let sent = XmitTime::of(Instant::from_micros(ack.now.micros().saturating_sub(rtt.micros())));
        let sample = self.sample(sent, now);
        if let Some(sample) = sample {
            self.best = self.best.max(sample.rate);
            self.full |= !sample.dry;
        }
        if self.sent.before(sent) {
            self.sent = sent;
        }
        let EcnCodepoint { at, .. } = self.marks[usize::from(self.last)];
        if u64::from(now.since(at)) * MARKS_IN_ROUND >= ack.srtt.micros() {
            self.mark(now);
        }
        let round = (!sent.before(self.since)).then(|| self.end_round(now));
        (sample, round)
    }

    /// The rate from the last mark before this was `sent` until now. The acknowledgments may come in a bunch, where
    /// the packets did not go as one: the longer time counts.
    fn sample(&self, sent: XmitTime, now: XmitTime) -> Option<Sample> {
        let places = (0..MARKS).map(|back| (usize::from(self.last) + MARKS - back) % MARKS);
        let mark = places.map(|place| self.marks[place]).find(|mark| !sent.before(mark.at))?;
        let took = now.since(mark.at).max(sent.since(mark.sent)).max(1);
        let rate = u64::from(self.delivered.wrapping_sub(mark.delivered)) * 1_000_000 / u64::from(took);
        let is_over = self.dry_end.is_none() && !sent.before(self.dry[1]);
        Some(Sample { rate, dry: !sent.before(self.dry[0]) && !is_over })
    }

    fn mark(&mut self, now: XmitTime) {
        self.last = (self.last + 1) % MARKS as u8;
        let Samples { delivered, sent, .. } = *self;
        self.marks[usize::from(self.last)] = EcnCodepoint { at: now, delivered, sent };
    }

    fn end_round(&mut self, now: XmitTime) -> Round {
        let Samples { best, full, losses, .. } = *self;
        let delivered = self.delivered.wrapping_sub(self.delivered_before);
        (self.since, self.delivered_before) = (now, self.delivered);
        self.flights = [0, self.flights[0]];
        (self.best, self.full, self.losses) = (0, false, Losses::default());
        Round { best, full, delivered, losses }
    }

    /// The most bytes that were on their way when that was sent which this round found lost.
    pub(super) fn flight(&self) -> u32 {
        self.flights[0].max(self.flights[1])
    }

    /// The round lasts until what is sent from now on has arrived.
    pub(super) fn extend_round(&mut self, now: Instant) {
        self.since = XmitTime::of(now);
    }

    /// The window had room for more than the `flight` bytes that are on their way.
    pub(super) fn on_dry(&mut self, flight: u32, now: Instant) {
        let oldest = self.marks[(usize::from(self.last) + 1) % MARKS].at;
        // One time of it joins the other while something of before is on its way.
        if self.dry_end.is_none() && !oldest.before(self.dry[1]) {
            self.dry[0] = XmitTime::of(now);
        }
        self.dry_end = Some(self.delivered.wrapping_add(flight.max(1)));
    }

    /// The path was idle: the time does not count.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Samples { losses: self.losses, ..Samples::new(now) };
    }
}
