//! Congestion control and pacing on a whole connection.

use super::*;
use crate::tcp::Congestion;

/// A connection of ours to a peer 100 ms away.
fn distant(config: TcpConfig) -> Bench {
    let mut b = Bench::connecting(config);
    b.out();
    b.now += Duration::from_millis(100);
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460).scale(7));
    b.out();
    b
}

fn nth(n: u32) -> u32 {
    1 + n * MSS
}

/// T07: the first flight leaves at once; then the window leaves at twice its size in a round trip, a
/// millisecond's worth at a time, and nothing of it is lost by waiting for the timer.
#[cfg(feature = "pacing")]
#[test]
fn a_paced_connection() {
    let mut b = distant(TcpConfig { pacing: true, timestamps: false, ..quiet() });
    b.write(&pattern(200 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 10, "the initial window");
    b.now += Duration::from_millis(100);
    b.get(ack(1, nth(10)).win(10_000));
    // 20 segments in 50 ms.
    let first = b.out();
    assert!(first.len() <= 4, "{}", first.len());
    let mut at = vec![];
    at.extend(b.advance(99).iter().map(|(ms, o)| (*ms, o.len())));
    assert_eq!(first.len() + at.len(), 20, "the window");
    let last = at.last().unwrap().0;
    assert!((38..=50).contains(&last), "{at:?}");
    let most = (0..100).map(|ms| at.iter().filter(|(t, _)| *t == ms).count()).max();
    assert!(most <= Some(2), "{at:?}");
}

/// T06: each law by its name, and no law at all: the first flights are the same, the answer to a loss
/// is not.
#[test]
fn the_laws() {
    let laws = [
        #[cfg(feature = "cubic")]
        (Congestion::Cubic, 14),
        (Congestion::NewReno, 10),
        (Congestion::None, u32::MAX),
    ];
    for (congestion, after) in laws {
        let mut b = distant(TcpConfig { congestion, timestamps: false, ..quiet() });
        b.write(&pattern(100 * MSS as usize)).unwrap();
        if congestion != Congestion::None {
            assert_eq!(b.out().len(), 10);
            for n in 1..=10 {
                b.get(ack(1, nth(n)).win(10_000));
                b.out();
            }
        }
        b.out();
        for _ in 0..3 {
            b.get(ack(1, nth(if congestion == Congestion::None { 0 } else { 10 })).win(10_000));
        }
        let ssthresh = b.info().ssthresh;
        assert_eq!(ssthresh, after.saturating_mul(if after == u32::MAX { 1 } else { MSS }), "{congestion:?}");
    }
}

/// T07: with a model the window leaves paced from the first acknowledgment on, whatever the stack's
/// setting; a loss repairs what is lost and leaves the window as it is; a rest is survived.
#[cfg(feature = "sack")]
#[cfg(feature = "bbr")]
#[test]
fn a_connection_with_a_model() {
    let mut b = distant(TcpConfig { congestion: Congestion::Bbr, timestamps: false, sack: false, ..quiet() });
    b.write(&pattern(150 * MSS as usize)).unwrap();
    assert_eq!(b.out().len(), 10, "the initial window");
    assert_eq!(b.info().pacing_rate, None);
    b.now += Duration::from_millis(100);
    b.get(ack(1, nth(10)).win(10_000));
    let info = b.info();
    // Twenty segments in a round trip, 2.77 times.
    assert_eq!((info.cwnd, info.pacing_rate), (20 * MSS, Some(u64::from(20 * MSS) * 277 / 10)));
    let mut sent = b.out();
    sent.extend(b.advance(60).into_iter().map(|(_, o)| o));
    assert_eq!(sent.len(), 20);
    let before = b.info().cwnd;
    for _ in 0..3 {
        b.get(ack(1, nth(10)).win(10_000));
    }
    assert_eq!(b.out()[0].seq, nth(10));
    assert!(b.info().cwnd >= before && b.info().ssthresh >= before, "{:?}", b.info());
    b.get(ack(1, nth(30)).win(10_000));
    b.advance(100);
    let sent = b.info().bytes_sent as u32;
    b.get(ack(1, 1 + sent).win(10_000));
    while b.info().unsent > 0 {
        b.advance(100);
        let sent = b.info().bytes_sent as u32;
        b.get(ack(1, 1 + sent).win(10_000));
    }
    let window = b.info().cwnd;
    b.advance(60_000);
    assert_eq!(b.info().cwnd, window);
    b.write(&pattern(10 * MSS as usize)).unwrap();
    let first = b.out().len();
    let all = 10.min((window / MSS) as usize);
    assert_eq!((first < all, first + b.advance(150).len()), (true, all), "{first}");
}

/// H048: a timeout, too, opens the gate: what is sent again does not wait for a rate of before.
#[cfg(feature = "pacing")]
#[test]
fn a_timeout_is_not_paced() {
    let mut b = distant(TcpConfig { pacing: true, timestamps: false, ..quiet() });
    b.write(&pattern(30 * MSS as usize)).unwrap();
    b.out();
    b.now += Duration::from_millis(100);
    b.get(ack(1, nth(10)).win(10_000));
    b.out();
    b.advance(60);
    let again = b.advance(1_000);
    assert_eq!((again[0].1.seq, again[0].1.len()), (nth(10), MSS));
}
