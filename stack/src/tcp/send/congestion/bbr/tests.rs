//! The model, step by step. How flows fare with it is in the controllers' tests.

use super::*;

const MSS: u32 = 1000;
const RTT: Duration = Duration::from_millis(100);

struct Model {
    law: Bbr,
    window: Window,
    now: Instant,
    una: Seq,
    rtt: Duration,
}

impl Model {
    fn new() -> Model {
        let now = Instant::from_millis(5_000);
        Model { law: Bbr::new(Seq(0), now), window: Window::new(MSS as u16, 10), now, una: Seq(0), rtt: RTT }
    }

    /// A round trip in which `delivered` bytes arrive by tens, and `flight` are out.
    fn round(&mut self, delivered: u32, flight: u32) {
        for _ in 0..10 {
            self.now += Duration::from_micros(RTT.micros() / 10);
            self.una += delivered / 10;
            self.ack(delivered / 10, flight);
        }
    }

    fn ack(&mut self, delivered: u32, flight: u32) {
        let (now, una, max) = (self.now, self.una, self.una + flight);
        let rtt = Some(self.rtt);
        let ack = Ack { now, una, max, delivered, flight, rtt, srtt: RTT, min_rtt: RTT, recovering: false };
        self.law.on_ack(&mut self.window, &ack);
    }

    /// So many segments were sent again, apart from each other.
    fn lose(&mut self, segments: u32) {
        (0..segments).for_each(|n| self.law.on_resent(self.una + 2 * n * MSS, MSS));
    }

    /// A path of a hundred segments in a round trip, found.
    fn found() -> Model {
        let mut m = Model::new();
        for segments in [10, 20, 40, 80, 100, 100, 100, 100, 100] {
            m.round(segments * MSS, segments * MSS);
        }
        m.round(100 * MSS, 50 * MSS);
        m
    }

    fn rate(&self) -> u64 {
        self.law.rate(&self.window, None, RTT).unwrap()
    }
}

/// T07: Startup sends ever faster, and ends when three rounds bring no quarter more; Drain ends when
/// what is in flight fits the path.
#[test]
fn startup_and_drain() {
    let mut m = Model::new();
    assert_eq!(m.rate(), 277_000, "the initial window in a round trip, 2.77 times");
    for segments in [10, 20, 40, 80, 100, 100] {
        m.round(segments * MSS, segments * MSS);
        assert_eq!(m.law.mode, Mode::Startup);
    }
    for _ in 0..3 {
        m.round(100 * MSS, 110 * MSS);
    }
    assert_eq!(m.law.mode, Mode::Drain);
    assert!((960_000..1_060_000).contains(&m.law.bandwidth()), "{:?}", m.law);
    assert!(m.rate() < 530_000);
    m.round(100 * MSS, 90 * MSS);
    assert_eq!(m.law.mode, Mode::Cruise, "Down had nothing to do");
}

/// T07: losses above 2 % end Startup if they are six; fewer don't, nor does one, however long it is.
#[test]
fn losses_in_startup() {
    for (lost, apart, filled) in [(0, 2, false), (2, 2, false), (6, 2, true), (30, 1, false)] {
        let mut m = Model::new();
        m.round(100 * MSS, 200 * MSS);
        (0..lost).for_each(|n| m.law.on_resent(m.una + n * apart * MSS, MSS));
        m.round(200 * MSS, 300 * MSS);
        m.round(400 * MSS, 300 * MSS);
        assert_eq!(m.law.filled, filled, "{lost}");
    }
    // A handful is more than 2 % of a small window, and no sign of a full path.
    let mut m = Model::new();
    m.round(10 * MSS, 20 * MSS);
    m.law.on_resent(m.una, 5 * MSS);
    m.round(20 * MSS, 30 * MSS);
    m.round(40 * MSS, 30 * MSS);
    assert!(!m.law.filled);
}

/// T07: the cycle: seconds at the bandwidth, a round without the bounds of losses, then more until that
/// brings nothing, then less.
#[test]
fn the_cycle() {
    let mut m = Model::found();
    assert_eq!(m.law.mode, Mode::Cruise);
    for (lost, bounds) in [(2, false), (3, true)] {
        for _ in 0..2 {
            m.lose(lost);
            m.round(90 * MSS, 90 * MSS);
        }
        assert_eq!(m.law.bandwidth() < 980_000, bounds, "losses bound it, two segments do not: {:?}", m.law);
    }
    let mut modes = vec![];
    for _ in 0..60 {
        m.round(100 * MSS, 99 * MSS);
        if modes.last() != Some(&m.law.mode) {
            modes.push(m.law.mode);
        }
    }
    assert_eq!(modes[..4], [Mode::Cruise, Mode::Refill, Mode::Up, Mode::Cruise], "{modes:?}");
    assert!(m.law.bandwidth() >= 990_000);
}

/// T07: a probe that loses too much leaves a bound, below which there is room for others.
#[test]
fn a_probe_that_was_too_much() {
    let mut m = Model::found();
    while m.law.mode != Mode::Up {
        m.round(100 * MSS, 99 * MSS);
    }
    m.round(100 * MSS, 110 * MSS);
    assert_eq!(m.law.mode, Mode::Up);
    m.lose(5);
    m.ack(10 * MSS, 110 * MSS);
    assert_eq!((m.law.mode, m.law.inflight_high), (Mode::Down, 120 * MSS), "at once");
    m.round(100 * MSS, 90 * MSS);
    assert_eq!((m.law.mode, m.window.cwnd), (Mode::Cruise, 102 * MSS), "a headroom of 15 %");
}

/// T07, T08: marks bound the model as losses do, a round at a time, and end what looks for more.
//= rfc3168#6.1.2
#[test]
fn marks() {
    let mut m = Model::found();
    for _ in 0..2 {
        m.law.on_mark(100 * MSS);
        m.round(80 * MSS, 80 * MSS);
    }
    assert!(m.law.bandwidth() < 950_000 && m.window.cwnd <= 140 * MSS, "{:?} {:?}", m.law, m.window);
    while m.law.mode != Mode::Up {
        m.round(100 * MSS, 99 * MSS);
    }
    m.law.on_mark(100 * MSS);
    m.round(100 * MSS, 120 * MSS);
    m.round(100 * MSS, 120 * MSS);
    assert_eq!(m.law.mode, Mode::Down);
}

/// T07: after ten seconds without a round trip as short, nearly nothing is in flight for a while.
#[test]
fn probing_for_the_round_trip() {
    let mut m = Model::found();
    m.rtt = Duration::from_millis(101);
    let mut least = u32::MAX;
    for _ in 0..130 {
        m.round(100 * MSS, 99 * MSS);
        least = least.min(m.window.cwnd);
        if m.law.mode == Mode::ProbeRtt {
            assert!(m.window.cwnd <= 51 * MSS, "{}", m.window.cwnd);
        }
    }
    assert!(least <= 51 * MSS);
    assert_ne!(m.law.mode, Mode::ProbeRtt);
    assert!(m.window.cwnd > 150 * MSS);
}

/// T07, H048: what the application limits says nothing of the path, but when it is more than was known.
#[test]
fn samples_of_the_application() {
    let mut m = Model::found();
    let before = m.law.bandwidth;
    for _ in 0..5 {
        m.law.on_dry(10 * MSS, m.now);
        m.round(10 * MSS, 10 * MSS);
    }
    assert_eq!(m.law.bandwidth, before);
    m.law.on_dry(150 * MSS, m.now);
    m.round(150 * MSS, 150 * MSS);
    m.round(150 * MSS, 150 * MSS);
    assert!(m.law.bandwidth[0] > before[0]);
}

/// R03: a connection that is put to rest remembers the path.
#[test]
fn at_rest() {
    let mut m = Model::found();
    m.law.inflight_high = 123_456;
    let mut to = Packer::new(m.now);
    m.law.park(&mut to);
    let parked = to.finish().unwrap();
    let back = Bbr::unpark(&mut parked.unpacker());
    let expected = Bbr { samples: Samples::new(m.law.since), ..m.law };
    assert_eq!(format!("{back:?}"), format!("{expected:?}"));
}

/// T07: the bandwidth is known with each acknowledgment, not only at the end of a round.
#[test]
fn a_rate_with_each_acknowledgment() {
    let mut m = Model::found();
    let before = m.law.bandwidth();
    for _ in 0..8 {
        m.now += Duration::from_micros(RTT.micros() / 10);
        m.una += 20 * MSS;
        m.ack(20 * MSS, 200 * MSS);
    }
    assert!(m.law.bandwidth() > before * 3 / 2, "{before}: {}", m.law.bandwidth());
}

/// T07: acknowledgments that come in a bunch make the path no faster: what they tell of was sent over a longer time.
#[test]
fn acknowledgments_in_a_bunch() {
    let mut m = Model::new();
    m.now += RTT;
    for _ in 0..20 {
        m.now += RTT;
        for n in (0..10).rev() {
            m.rtt = RTT + Duration::from_micros(RTT.micros() / 10 * n);
            m.una += 10 * MSS;
            m.ack(10 * MSS, 100 * MSS);
        }
    }
    assert!((900_000..1_050_000).contains(&m.law.most()), "{}", m.law.most());
}

/// T07: a probe that only the last bound holds back goes on, and the bound gives way by one segment in its first
/// round, then two, then four: a flow that lost once finds its way back.
#[test]
fn a_bound_gives_way() {
    let mut m = Model::found();
    m.law.inflight_high = 40 * MSS;
    let mut bounds = vec![];
    for _ in 0..600 {
        m.now += Duration::from_micros(RTT.micros() / 10);
        m.una += 4 * MSS;
        m.ack(4 * MSS, (m.window.cwnd - 4 * MSS).min(100 * MSS));
        if m.law.mode == Mode::Up {
            bounds.push(m.law.inflight_high / MSS);
        }
    }
    assert!(bounds.is_sorted() && bounds.last() > Some(&60), "{bounds:?}");
}
