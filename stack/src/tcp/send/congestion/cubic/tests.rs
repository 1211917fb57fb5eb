//! Against the formulas of RFC 9438 in floating point.

use super::*;
use crate::seq::Seq;

const MSS: u16 = 1448;
const SEGMENT: u32 = 1448;

fn window(cwnd: u32) -> Window {
    Window { cwnd, ssthresh: 2 * SEGMENT, ..Window::new(MSS, 10) }
}

fn ack(now: Instant, rtt: Duration, delivered: u32) -> Ack {
    let (una, max) = (Seq(0), Seq(0));
    Ack { now, una, max, delivered, flight: 0, rtt: Some(rtt), srtt: rtt, min_rtt: rtt, recovering: false }
}

/// A sender in congestion avoidance that always fills its window.
struct Flow {
    law: Cubic,
    window: Window,
    now: Instant,
    rtt: Duration,
}

impl Flow {
    fn new(segments: u32, rtt_ms: u64) -> Flow {
        Flow {
            law: Cubic::default(),
            window: window(segments * SEGMENT),
            now: Instant::from_millis(1000),
            rtt: Duration::from_millis(rtt_ms),
        }
    }

    /// A round trip with an acknowledgment for every second segment, evenly spread.
    fn round(&mut self) {
        let acks = self.window.cwnd / (2 * SEGMENT);
        for _ in 0..acks {
            self.now += Duration::from_micros(self.rtt.micros() / u64::from(acks));
            self.law.avoid(&mut self.window, &ack(self.now, self.rtt, 2 * SEGMENT));
        }
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.round();
        }
    }

    fn lose(&mut self) {
        let flight = self.window.cwnd;
        self.law.on_congestion(&mut self.window, flight);
    }

    fn segments(&self) -> f64 {
        f64::from(self.window.cwnd) / f64::from(SEGMENT)
    }
}

/// The formulas, in segments and seconds.
struct Reference {
    w_max: f64,
    k: f64,
    prior: f64,
    w_est: f64,
    cwnd: f64,
}

impl Reference {
    fn after_loss(cwnd_before: f64) -> Reference {
        let cwnd = cwnd_before * 0.7;
        let k = ((cwnd_before - cwnd) / 0.4).cbrt();
        Reference { w_max: cwnd_before, k, prior: cwnd_before, w_est: cwnd, cwnd }
    }

    fn ack(&mut self, t: f64, rtt: f64, segments: f64) {
        let alpha = if self.w_est >= self.prior { 1.0 } else { 3.0 * 0.3 / 1.7 };
        self.w_est += alpha * segments / self.cwnd;
        let curve = |t: f64| 0.4 * (t - self.k).powi(3) + self.w_max;
        if curve(t) < self.w_est {
            self.cwnd = self.cwnd.max(self.w_est);
        } else {
            let target = curve(t + rtt).clamp(self.cwnd, 1.5 * self.cwnd);
            self.cwnd += (target - self.cwnd) / self.cwnd * segments;
        }
    }
}

//= rfc9438#4.2: K
#[test]
fn cube_roots() {
    for root in (0..1 << 20).step_by(997).chain([0, 1, 2, (1 << 21) - 1]) {
        let cube = root * root * root;
        assert_eq!(cube_root(cube), root as u32);
        assert_eq!(cube_root(cube + 3 * root * root + 3 * root), root as u32, "the next but one");
    }
    assert_eq!(cube_root(i64::MAX as u64), (1 << 21) - 1);
}

/// The curve, over segment sizes, windows and times.
//= rfc9438#4.1
//= rfc9438#4.2
#[test]
fn the_curve_is_the_formulas() {
    for mss in [64u32, 536, 1448, 8948, 65_000] {
        for segments in [2u32, 10, 100, 1000, 30_000, 700_000] {
            let Some(w_max) = mss.checked_mul(segments).filter(|w| *w <= LARGEST) else { continue };
            let w = Window { cwnd: w_max / 10 * 7, ..Window::new(mss as u16, 10) };
            let mut stage = Stage::new(w_max, &w, Instant::ZERO);
            let k = (f64::from(w_max - w.cwnd) / f64::from(mss) / 0.4).cbrt();
            for ms in [0u64, 1, 10, 500, 1_000, 3_000, 10_000, 30_000, 100_000, 1 << 40] {
                stage.elapsed = Duration::from_millis(ms);
                let far = ms as f64 / 1000.0 - k;
                let exact = f64::from(mss) * 0.4 * far.powi(3) + f64::from(w_max);
                let exact = exact.clamp(0.0, f64::from(LARGEST));
                let got = f64::from(stage.curve(mss, Duration::ZERO));
                // K is a whole number of milliseconds.
                let slope = f64::from(mss) * 1.2 * (far.abs() + 0.001).powi(2) * 0.001;
                assert!((got - exact).abs() <= slope + 2.0, "{mss} {segments} {ms}: {got} {exact}");
            }
        }
    }
}

/// Growth after a loss, acknowledgment by acknowledgment: concave, flat, convex, and where Reno is
/// ahead as Reno.
//= rfc9438#4.3
//= rfc9438#4.4
//= rfc9438#4.5
#[test]
fn growth_follows_the_formulas() {
    for (segments, rtt_ms, seconds) in
        [(20u32, 20, 10u64), (100, 10, 10), (100, 100, 30), (1000, 50, 30), (5000, 100, 40), (60, 300, 60)]
    {
        let mut flow = Flow::new(segments, rtt_ms);
        flow.lose();
        let mut reference = Reference::after_loss(f64::from(segments));
        let start = flow.now;
        let rtt = rtt_ms as f64 / 1000.0;
        let mut first = true;
        while flow.now.since(start).micros() < seconds * 1_000_000 {
            let acks = (flow.window.cwnd / (2 * SEGMENT)).max(1);
            for _ in 0..acks {
                flow.now += Duration::from_micros(flow.rtt.micros() / u64::from(acks));
                flow.law.avoid(&mut flow.window, &ack(flow.now, flow.rtt, 2 * SEGMENT));
                let stage = flow.law.stage.unwrap();
                if core::mem::take(&mut first) {
                    assert_eq!(stage.elapsed, Duration::ZERO, "time counts from the first of them");
                }
                reference.ack(stage.elapsed.micros() as f64 / 1e6, rtt, 2.0);
            }
            let (got, exact) = (flow.segments(), reference.cwnd);
            assert!((got - exact).abs() < 0.01 * exact + 0.1, "{segments} {rtt_ms}: {got} {exact}");
        }
    }
}

/// At W_max the window lingers: it is there after K, and hardly moves around it.
//= rfc9438#4.4
#[test]
fn the_plateau_is_where_congestion_struck() {
    let mut flow = Flow::new(1000, 100);
    flow.lose();
    assert_eq!(flow.window.ssthresh, flow.window.cwnd);
    assert!((flow.segments() - 700.0).abs() < 0.001, "beta");
    // K is the cube root of 300 / 0.4: 9.09 s.
    flow.run(4_500);
    assert!((950.0..975.0).contains(&flow.segments()), "an eighth of the way is left: {}", flow.segments());
    flow.run(4_500);
    assert!((995.0..1002.0).contains(&flow.segments()), "{}", flow.segments());
    flow.run(2_000);
    assert!((1000.0..1010.0).contains(&flow.segments()), "{}", flow.segments());
    flow.run(8_000);
    assert!(flow.segments() > 1250.0, "convex: {}", flow.segments());
}

/// A second congestion below W_max gives room to newcomers.
//= rfc9438#4.7
#[test]
fn fast_convergence() {
    let mut flow = Flow::new(1000, 100);
    flow.lose();
    flow.lose();
    let (w_max, prior) = (flow.law.w_max, flow.law.prior);
    assert_eq!(prior, 700 * SEGMENT);
    assert_eq!(w_max, 595 * SEGMENT, "700 * (1 + 0.7) / 2");
    let mut flow = Flow::new(1000, 100);
    flow.lose();
    flow.window.cwnd = 1001 * SEGMENT;
    flow.lose();
    assert_eq!(flow.law.w_max, 1001 * SEGMENT, "beyond the last one there is room");
}

/// On a short path Reno is ahead, and CUBIC keeps up with it: by 9/17 of a segment in a round until
/// where it was reduced from, by one beyond.
//= rfc9438#4.3
#[test]
fn no_slower_than_reno() {
    let mut flow = Flow::new(40, 1);
    flow.lose();
    for _ in 0..17 {
        flow.round();
    }
    assert!((flow.segments() - 37.0).abs() < 0.5, "28 + 9: {}", flow.segments());
    for _ in 0..50 {
        flow.round();
    }
    let before = flow.segments();
    for _ in 0..10 {
        flow.round();
    }
    assert!((flow.segments() - before - 10.0).abs() < 0.5, "{before} {}", flow.segments());
}

/// H046: a flow that did not use its window loses a segment. What it had in flight decides the
/// threshold, and K comes from the window that it then begins with, so the way back takes its time.
//= rfc9438#4.6
//= rfc9438#4.2
#[test]
fn a_loss_with_little_in_flight() {
    let mut flow = Flow::new(1000, 100);
    flow.law.on_congestion(&mut flow.window, 100 * SEGMENT);
    assert_eq!(flow.segments(), 70.0);
    flow.run(1_000);
    let k_ms = flow.law.stage.unwrap().k_ms;
    assert_eq!(k_ms, 13_247, "the cube root of 930 / 0.4");
    assert!(flow.segments() < 300.0, "ten round trips later: {}", flow.segments());
}

/// After a timeout the old W_max means nothing: K is 0.
//= rfc9438#4.8
#[test]
fn after_a_timeout() {
    let mut flow = Flow::new(1000, 100);
    flow.lose();
    let flight = flow.window.cwnd;
    flow.law.on_timeout(&mut flow.window, flight);
    assert_eq!(flow.window.ssthresh, flight / 10 * 7);
    flow.window.cwnd = flow.window.ssthresh;
    flow.round();
    let stage = flow.law.stage.unwrap();
    assert_eq!((stage.k_ms, stage.plateau), (0, flow.window.ssthresh));
}

/// HyStart++ ends slow start without a loss: there is no W_max, and the curve begins where it is flat.
//= rfc9438#4.10
#[test]
fn after_a_slow_start_without_loss() {
    let mut flow = Flow::new(500, 100);
    flow.round();
    let stage = flow.law.stage.unwrap();
    assert_eq!((stage.k_ms, stage.plateau), (0, 500 * SEGMENT));
    flow.run(5_000);
    // 0.4 * 5^3, a round trip ahead
    assert!((flow.segments() - 553.0).abs() < 10.0, "{}", flow.segments());
}

/// H048: while the application has little to send, no time passes on the curve, and afterwards it is
/// gone on with.
//= rfc9438#5.8
#[test]
fn time_without_use_does_not_count() {
    let mut flow = Flow::new(1000, 100);
    flow.lose();
    flow.run(2_000);
    let (before, elapsed) = (flow.window.cwnd, flow.law.stage.unwrap().elapsed);
    for _ in 0..100 {
        flow.now += Duration::from_secs(1);
        flow.law.pause(flow.now);
    }
    flow.round();
    assert!(flow.window.cwnd - before < before / 20, "{before} {}", flow.window.cwnd);
    // Nor does a gap that nobody noticed.
    flow.now += Duration::from_secs(100);
    flow.round();
    assert!(flow.law.stage.unwrap().elapsed.millis() <= elapsed.millis() + 500);
}

/// H047: a connection of weeks, with a loss each week, grows as on its first day.
#[test]
fn weeks() {
    let mut flow = Flow::new(1000, 100);
    for _ in 0..60 {
        flow.window.cwnd = 1000 * SEGMENT;
        flow.law.w_max = 0;
        flow.lose();
        flow.run(15_000);
        let grown = flow.segments();
        assert!((1050.0..1150.0).contains(&grown), "{grown} at {:?}", flow.now);
        // A week, which is more than 2^29 ms, in which every acknowledgment finds the window full.
        for _ in 0..7 * 24 {
            flow.now += Duration::from_secs(3600);
            flow.law.avoid(&mut flow.window, &ack(flow.now, flow.rtt, 2 * SEGMENT));
        }
        assert!(flow.segments() >= grown);
    }
}
