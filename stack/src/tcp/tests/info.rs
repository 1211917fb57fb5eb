//! What a connection tells of itself.

use super::*;
use crate::tcp::TcpInfo;

impl Bench {
    pub(super) fn info(&self) -> TcpInfo {
        self.tcp.connection(self.key.unwrap()).unwrap().tcb.info(self.now, &self.tcp.settings.config)
    }
}

/// T20, R06: state, round-trip time, windows, what is in flight, and counts, through a loss and a timeout.
#[test]
fn what_a_connection_tells() {
    let mut b = Bench::connecting(quiet());
    b.out();
    let info = b.info();
    assert_eq!((info.state, info.rto.millis(), info.rtt, info.back_offs), (State::SynSent, 1000, None, 0));
    b.advance(1_500);
    assert_eq!((b.info().back_offs, b.info().segments_retransmitted, b.info().rto.millis()), (1, 1, 2000));

    let mut b = Bench::connecting(quiet());
    b.out();
    b.now += Duration::from_millis(100);
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460).scale(5).ts(9, 0));
    b.out();
    let info = b.info();
    assert_eq!((info.state, info.timestamps, info.mss), (State::Established, true, 1448));
    assert_eq!((info.send_scale, info.receive_scale), (5, 3), "a quarter of the pool in 16 bits");
    assert_eq!((info.rtt, info.rto.millis()), (Some(Duration::from_millis(100)), 300));
    assert_eq!((info.send_window, info.cwnd), (65_535, 14_480));

    b.write(&pattern(40_000)).unwrap();
    b.out();
    b.now += Duration::from_millis(50);
    let info = b.info();
    assert_eq!((info.in_flight, info.unacked, info.unsent), (14_480, 14_480, 40_000 - 14_480));
    assert_eq!((info.bytes_sent, info.bytes_acked, info.segments_sent), (14_480, 0, 11));
    assert_eq!(info.since_sent, Some(Duration::from_millis(50)));
    b.get(ack(1, 1 + 1448).ts(9, 0));
    assert_eq!((b.info().bytes_acked, b.info().since_received), (1448, Some(Duration::ZERO)));

    b.advance(1_000);
    let info = b.info();
    assert!(info.timeouts > 0 && info.back_offs > 0 && info.segments_retransmitted > 0, "{info:?}");
    assert_eq!(info.bytes_retransmitted, u64::from(info.segments_retransmitted) * 1448);
    assert_eq!(info.cwnd, 1448);
    assert_eq!(b.count(TcpCount::Timeouts), u64::from(info.timeouts));
    assert_eq!(b.count(TcpCount::Retransmits), u64::from(info.segments_retransmitted));
    assert_eq!((b.count(TcpCount::ActiveOpens), b.count(TcpCount::ResetsReceived)), (1, 0));

    let received = info.segments_received;
    b.get(data(1, 1449, &[7; 300]).ts(10, 0));
    b.get(data(401, 1449, &[7; 100]).ts(10, 0));
    let info = b.info();
    assert_eq!((info.unread, info.bytes_received, info.mss_received), (300, 300, 536));
    assert_eq!(info.segments_received, received + 2);
    b.get(data(301, 1449, &[7; 100]).ts(10, 0));
    assert_eq!(b.info().bytes_received, 500, "what filled the hole, and what lay behind it");
    assert_eq!(b.count(TcpCount::OutOfOrder), 1);

    b.get(rst(501));
    assert_eq!((b.count(TcpCount::ResetsReceived), b.count(TcpCount::FailedConnections)), (1, 1));
    let info = b.info();
    assert_eq!((info.state, info.error), (State::Closed, Some(Error::ConnectionReset)));
    assert_eq!((info.bytes_received, info.bytes_acked, info.in_flight), (500, 1448, 0));
}
