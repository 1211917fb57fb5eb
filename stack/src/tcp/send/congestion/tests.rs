//! What the laws have in common, and NewReno, which has little else.

use super::*;

#[cfg(all(feature = "bbr", feature = "cubic"))]
mod path;

const MSS: u32 = 1000;
const START: Seq = Seq(0xffff_f000);

/// A sender that fills its window, a round trip at a time.
struct Sender {
    c: Controller,
    una: Seq,
    nxt: Seq,
    now: Instant,
    /// What each acknowledgment shows.
    rtt: Option<Duration>,
}

fn controller(congestion: Congestion, start: Seq) -> Controller {
    Controller::new(congestion, &TcpConfig::default(), MSS as u16, false, start, Instant::ZERO)
}

impl Sender {
    fn new(which: Congestion) -> Sender {
        Sender {
            c: controller(which, START),
            una: START,
            nxt: START,
            now: Instant::from_millis(1),
            rtt: None,
        }
    }

    fn flight(&self) -> u32 {
        self.nxt.since(self.una)
    }

    fn send(&mut self, bytes: u32) {
        self.nxt += bytes;
        self.c.on_sent(self.nxt, self.flight(), bytes, self.now);
    }

    fn fill(&mut self) {
        self.send(self.c.window().saturating_sub(self.flight()));
    }

    fn ack(&mut self, bytes: u32) {
        self.una += bytes;
        let (now, una, max) = (self.now, self.una, self.nxt);
        self.c.on_ack(&Ack {
            now,
            una,
            max,
            delivered: bytes,
            flight: self.flight(),
            rtt: self.rtt,
            srtt: self.rtt.unwrap_or(RTT),
            min_rtt: self.rtt.unwrap_or(RTT),
            recovering: false,
        });
    }

    /// Everything in flight arrives, acknowledged by twos, and new payload takes its place.
    fn round(&mut self, rtt: Duration) {
        self.fill();
        self.now += rtt;
        self.rtt = Some(rtt);
        let end = self.nxt;
        while self.una.before(end) {
            self.ack(end.since(self.una).min(2 * MSS));
            self.fill();
        }
    }
}

const RTT: Duration = Duration::from_millis(100);

//= rfc5681#3.1
#[test]
fn slow_start_doubles_and_avoidance_adds_a_segment_per_window() {
    let mut s = Sender::new(Congestion::NewReno);
    s.round(RTT);
    assert_eq!(s.c.window(), 20 * MSS);
    s.c.on_congestion(Cause::Loss, 20 * MSS, s.now);
    assert_eq!((s.c.window(), s.c.ssthresh()), (10 * MSS, 10 * MSS));
    s.c.on_recovered(20 * MSS, RTT, s.now);
    assert_eq!(s.c.window(), 10 * MSS);
    s.ack(s.flight());
    for n in 11..20 {
        assert_eq!(s.c.window(), n * MSS);
        s.round(RTT);
    }
}

/// T07: without congestion control nothing is paced, whatever the stack's setting: there is no window whose bytes could
/// be spread, and after a timeout one segment in a round trip would be the pace for ever.
#[cfg(feature = "pacing")]
#[test]
fn without_a_window_there_is_no_pace() {
    let mut s = Sender::new(Congestion::None);
    let config = TcpConfig { pacing: true, ..TcpConfig::default() };
    s.c = Controller::new(Congestion::None, &config, MSS as u16, false, START, Instant::ZERO);
    s.send(100 * MSS);
    s.c.on_timeout(s.flight(), s.now, false);
    for _ in 0..50 {
        s.ack(2 * MSS);
        s.send(2 * MSS);
        assert!(s.c.pacer().is_open() && s.c.pacer().rate().is_none());
    }
}

/// H048: a window that the sender does not fill does not grow.
#[test]
fn an_unused_window_does_not_grow() {
    let mut s = Sender::new(Congestion::NewReno);
    for _ in 0..10 {
        s.send(4 * MSS);
        s.ack(4 * MSS);
        assert_eq!(s.c.window(), 10 * MSS);
    }
    s.round(RTT);
    assert_eq!(s.c.window(), 20 * MSS);
}

/// H048: nor is it believed for ever.
//= rfc7661#4.4.3
#[test]
fn an_unused_window_shrinks_in_the_end() {
    let mut s = Sender::new(Congestion::NewReno);
    s.round(RTT);
    s.round(RTT);
    s.ack(s.flight());
    let before = s.c.window();
    for minute in 1..=20 {
        s.now += Duration::from_secs(60);
        s.send(MSS);
        s.ack(MSS);
        let halvings = minute / 6;
        assert_eq!(s.c.window(), (before >> halvings).max(10 * MSS), "after {minute} minutes");
    }
}

/// Acknowledgments that come in one batch, before anything is sent anew, all count.
#[test]
fn a_batch_of_acknowledgments() {
    let mut s = Sender::new(Congestion::NewReno);
    s.fill();
    for _ in 0..10 {
        s.ack(MSS);
    }
    assert_eq!(s.c.window(), 20 * MSS);
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Round trips that take a good deal longer than those of the round before slow the growth down to a
/// quarter, and after five rounds end it.
//= rfc9406#4.2
#[test]
fn growing_round_trips_end_the_first_slow_start() {
    let mut s = Sender::new(Congestion::NewReno);
    for _ in 0..3 {
        s.round(ms(100));
    }
    assert_eq!(s.c.window(), 80 * MSS);
    s.round(ms(112));
    assert_eq!(s.c.window(), 160 * MSS, "12 ms are less than an eighth");
    // An eighth longer: seen after eight of the samples.
    s.round(ms(127));
    let mut before = s.c.window();
    assert!((200 * MSS..220 * MSS).contains(&before), "{before}");
    for _ in 0..4 {
        s.round(ms(127));
        let grown = s.c.window();
        assert!(grown > before + before / 5 && grown <= before + before / 4, "{before} {grown}");
        before = grown;
    }
    s.round(ms(127));
    assert!((before..=s.c.window()).contains(&s.c.ssthresh()), "congestion avoidance");
    assert!(s.c.window() <= before + 2 * MSS);
}

/// Short round trips again: it began for nothing.
//= rfc9406#4.2
#[test]
fn conservative_slow_start_is_left_when_round_trips_are_short_again() {
    let mut s = Sender::new(Congestion::NewReno);
    for rtt in [100, 100, 100, 120, 100] {
        s.round(ms(rtt));
    }
    let before = s.c.window();
    for _ in 0..6 {
        s.round(ms(100));
    }
    assert_eq!(s.c.window(), 64 * before);
}

/// Fewer than eight samples in a round decide nothing: delayed acknowledgments of a window of ten are
/// five.
//= rfc9406#4.2
#[test]
fn few_samples_decide_nothing() {
    let mut s = Sender::new(Congestion::NewReno);
    s.round(ms(100));
    assert_eq!(s.c.window(), 20 * MSS);
    s.c = controller(Congestion::NewReno, s.nxt);
    s.una = s.nxt;
    s.round(ms(1000));
    assert_eq!(s.c.window(), 20 * MSS);
}

/// One acknowledgment counts for eight segments at most: what it stands for leaves in one burst.
//= rfc3465#2.2
//= rfc9406#4.3
#[test]
fn a_long_acknowledgment_counts_for_eight_segments() {
    let mut s = Sender::new(Congestion::NewReno);
    s.fill();
    s.ack(10 * MSS);
    assert_eq!(s.c.window(), 18 * MSS);
}

/// Slow start ends at the threshold, not beyond it.
//= rfc5681#3.1
#[test]
fn slow_start_ends_at_the_threshold() {
    let mut s = Sender::new(Congestion::NewReno);
    s.fill();
    s.c.on_timeout(11 * MSS, s.now, false);
    s.c.window.ssthresh += MSS / 2;
    (s.una, s.nxt) = (START, START);
    for window in [2, 3, 4, 5] {
        s.fill();
        s.ack(MSS);
        assert_eq!(s.c.window(), window * MSS);
    }
    s.fill();
    s.ack(2 * MSS);
    assert_eq!(s.c.window(), 5 * MSS + MSS / 2);
}

/// H053: a timeout leaves one segment; a further one for the same payload does not halve again.
//= rfc5681#3.1
#[test]
fn a_timeout() {
    let mut s = Sender::new(Congestion::NewReno);
    s.fill();
    s.c.on_timeout(10 * MSS, s.now, false);
    assert_eq!((s.c.window(), s.c.ssthresh()), (MSS, 5 * MSS));
    s.c.on_timeout(MSS, s.now, true);
    assert_eq!((s.c.window(), s.c.ssthresh()), (MSS, 5 * MSS));
}

/// H054: what was reduced for nothing, by a loss that was none or a timeout that was, is as it was
/// before: the window, the threshold, the curve. Once.
//= rfc9438#4.9.1
//= rfc9438#4.9.2
#[cfg(feature = "cubic")]
#[test]
fn a_reduction_for_nothing() {
    for by_timeout in [false, true] {
        let mut s = Sender::new(Congestion::Cubic);
        s.round(RTT);
        s.c.on_congestion(Cause::Loss, s.flight(), s.now);
        s.c.on_recovered(s.flight(), RTT, s.now);
        for _ in 0..30 {
            s.round(RTT);
        }
        let (window, law) = (s.c.window, format!("{:?}", s.c.law));
        if by_timeout {
            s.c.on_timeout(s.flight(), s.now, false);
            s.c.on_timeout(s.flight(), s.now, true);
        } else {
            s.c.on_congestion(Cause::Loss, s.flight(), s.now);
        }
        assert!(s.c.window() < window.cwnd);
        s.c.undo();
        assert_eq!((s.c.window, format!("{:?}", s.c.law)), (window, law));
        s.c.on_congestion(Cause::Loss, s.flight(), s.now);
        let reduced = s.c.window();
        s.c.before = None;
        s.c.undo();
        assert_eq!(s.c.window(), reduced);
    }
}

/// H257: a recovery that ends with little in flight leaves the window that it was reduced to, and is followed by
/// no burst: what fills the window goes out over a good part of a round trip. Then there is no pace any more.
//= rfc6582#3.2 step 3, full acknowledgments, option 2
//= rfc9937#6
#[cfg(feature = "pacing")]
#[test]
fn no_burst_after_recovery() {
    for left in [0, 2] {
        let mut s = Sender::new(Congestion::NewReno);
        for _ in 0..3 {
            s.round(RTT);
        }
        s.ack(s.flight());
        s.c.on_congestion(Cause::Loss, 80 * MSS, s.now);
        s.send(left * MSS);
        s.c.on_recovered(left * MSS, RTT, s.now);
        assert_eq!(s.c.window(), 40 * MSS);
        let begin = s.now;
        while s.flight() + MSS <= s.c.window() {
            s.c.on_timer(s.now);
            let mut burst = 0;
            while s.c.pacer().is_open() && s.flight() < s.c.window() {
                s.send(s.c.pacer().most().min(s.c.window() - s.flight()));
                burst += 1;
            }
            assert!(burst <= 2 || s.c.pacer().rate().is_none(), "bursts of two segments");
            s.now = s.c.pacer().deadline().unwrap_or(s.now);
        }
        let took = s.now.since(begin).millis();
        assert!((30..=100).contains(&took), "{took} ms");
        assert!(s.c.pacer().is_open() && s.c.pacer().rate().is_none());
    }
}

/// A window as small as a first one needs no pace.
//= rfc6928#2
#[test]
fn a_small_window_follows_recovery_at_once() {
    let mut s = Sender::new(Congestion::NewReno);
    s.round(RTT);
    s.ack(s.flight());
    s.c.on_congestion(Cause::Loss, 20 * MSS, s.now);
    s.c.on_recovered(0, RTT, s.now);
    assert!(s.c.window() == 10 * MSS && s.c.pacer().rate().is_none());
}

/// H277: while a loss is looked for more goes out than the window allows; that makes no reduction smaller, and
/// no loss the window larger.
//= rfc5681#3.1
#[test]
fn a_loss_never_raises_the_window() {
    for law in [Congestion::default(), Congestion::NewReno] {
        for by_timeout in [false, true] {
            let mut s = Sender::new(law);
            s.round(RTT);
            let before = s.c.window();
            if by_timeout {
                s.c.on_timeout(3 * before, s.now, false);
            } else {
                s.c.on_congestion(Cause::Loss, 3 * before, s.now);
            }
            assert!(s.c.ssthresh() <= before * 7 / 10, "{} of {before}", s.c.ssthresh());
        }
    }
}

/// H278: the queue is empty again whenever a round begins, so round trips do not grow; but acknowledgments come at
/// the rate of the bottleneck for half of a round trip: slow start is over before the queue overflows, also where
/// hosts pause for some milliseconds now and then. Those of a smaller part of the path, or each with a gap, say
/// nothing.
#[test]
fn a_long_train_of_acknowledgments_ends_slow_start() {
    // The segments that arrive in a round trip of 100 ms, and for how long nothing comes after each so many.
    for (fits, pause, ends) in
        [(100, None, true), (100, Some((20, 3)), true), (1000, None, false), (1000, Some((1, 3)), false)]
    {
        let mut s = Sender::new(Congestion::NewReno);
        for _ in 0..4 {
            s.fill();
            let (end, began) = (s.nxt, s.now + RTT);
            let mut n = 0;
            while s.una.before(end) {
                let late = pause.map_or(0, |(each, ms)| n / each * ms * 1000);
                s.now = began + Duration::from_micros(RTT.micros() / fits * n + late);
                s.rtt = Some(RTT);
                s.ack(MSS);
                n += 1;
            }
        }
        let window = s.c.window() / MSS;
        assert_eq!(s.c.ssthresh() < u32::MAX >> 2, ends, "{fits} {pause:?}");
        assert!(if ends { (100..140).contains(&window) } else { window == 160 }, "{fits}: {window}");
    }
}

/// H257: what fills a window that a recovery has left nearly empty goes out at a rate. Where another recovery comes
/// before the window is full, and leaves enough, that rate ends: it would hold the window back for good.
#[cfg(all(feature = "cubic", feature = "pacing"))]
#[test]
fn the_rate_of_a_recovery_ends_with_the_next() {
    let mut s = Sender::new(Congestion::Cubic);
    (s.c.window.cwnd, s.c.window.ssthresh) = (100 * MSS, 100 * MSS);
    s.c.on_congestion(Cause::Loss, 100 * MSS, s.now);
    s.c.on_recovered(0, RTT, s.now);
    assert_eq!(s.c.pacer().rate(), Some(1_400_000));
    s.c.on_congestion(Cause::Loss, 70 * MSS, s.now);
    s.c.on_recovered(48 * MSS, RTT, s.now);
    assert_eq!((s.c.window(), s.c.pacer().rate()), (49 * MSS, None));
}

/// H051: a lost SYN shrinks the initial window, and nothing else.
//= rfc5681#3.1
#[test]
fn a_lost_syn() {
    let c = Controller::new(Congestion::default(), &TcpConfig::default(), 1460, true, START, Instant::ZERO);
    assert_eq!((c.window(), c.window.is_unbounded()), (1460, true));
}

#[test]
fn none_has_no_window() {
    let mut s = Sender::new(Congestion::None);
    s.send(1 << 20);
    s.c.on_congestion(Cause::Loss, 20 * MSS, s.now);
    s.c.on_timeout(20 * MSS, s.now, false);
    assert_eq!((s.c.window(), s.c.ssthresh()), (u32::MAX, u32::MAX));
}
