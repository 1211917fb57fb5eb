//! What is known of one connection, for its application and for whoever watches.

#[cfg(feature = "ecn")]
use super::ecn::Mode;
use super::handshake::Handshake;
use super::tcb::{Over, Phase, State, Synchronized, Tcb};
use crate::error::Error;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::TcpConfig;
use crate::tcp::segment::Plan;
use crate::tcp::send::recovery::RecoveryPhase;
use crate::time::{Duration, Instant};

/// A connection as it is now: bytes where nothing else is said. Everything is zero or `None` that
/// does not exist in its state.
///
/// Counts begin with the connection and go on while it lives; those of segments count what was on
/// the wire when we send, and what the device handed in, where merged segments are one, when we receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct TcpInfo {
    /// The state of RFC 9293 §3.3.2.
    pub state: State,
    /// Why it ended, if it ended with an error.
    pub error: Option<Error>,
    /// A problem that may pass, not asked for yet (RFC 9293 §3.9.1.8).
    pub soft_error: Option<Error>,
    /// Timestamps are in use (RFC 7323 §3).
    pub timestamps: bool,
    /// Explicit congestion notification is in use (RFC 3168)...
    #[cfg(feature = "ecn")]
    pub ecn: bool,
    /// ... in its accurate form (RFC 9768).
    #[cfg(feature = "ecn")]
    pub accurate_ecn: bool,
    /// Shift of the peer's windows (RFC 7323 §2); 0 also when windows are not scaled.
    pub send_scale: u8,
    /// Shift of our windows.
    pub receive_scale: u8,
    /// Payload in a full segment of ours: the effective send MSS (RFC 9293 §3.7.1).
    pub mss: u16,
    /// The largest packet of the path, as far as interface and routers say (RFC 1191, RFC 8201).
    pub path_mtu: u16,
    /// The largest segment that the peer sent so far.
    pub mss_received: u16,
    /// Smoothed round-trip time; `None`: no sample yet (RFC 6298 §2).
    pub rtt: Option<Duration>,
    /// RTTVAR.
    pub rtt_var: Duration,
    /// Retransmission timeout, with its back-off.
    pub rto: Duration,
    /// Timeouts, or window probes, in a row without an answer.
    pub back_offs: u8,
    /// Congestion window; `u32::MAX` without congestion control.
    pub cwnd: u32,
    /// Slow start threshold; at least 2^30 before the first loss.
    pub ssthresh: u32,
    /// Bytes in a second at which the window goes out; `None`: as fast as the device takes it.
    pub pacing_rate: Option<u64>,
    /// Bytes on their way, as far as is known: less than what is unacknowledged by what was
    /// selectively acknowledged and by what is lost (RFC 6675 §4).
    pub in_flight: u32,
    /// Payload that was sent at least once and is not acknowledged.
    pub unacked: u32,
    /// Of it, what the peer selectively acknowledged.
    pub sacked: u32,
    /// Of it, what is lost and not sent again yet.
    pub lost: u32,
    /// Whether losses are being recovered from.
    pub recovery: RecoveryPhase,
    /// Selective acknowledgments are in use (RFC 2018).
    pub sack: bool,
    /// The path was seen to reorder segments.
    pub reordering: bool,
    /// Payload that was written and never sent.
    pub unsent: u32,
    /// Payload that was received in order and not read.
    pub unread: u32,
    /// SND.WND: what the peer offers.
    pub send_window: u32,
    /// RCV.WND: what the peer was offered and has not used.
    pub receive_window: u32,
    /// The most that may be queued for sending.
    pub send_buffer: u32,
    /// The most that is held for the reader.
    pub receive_buffer: u32,
    /// Payload sent, each byte once.
    pub bytes_sent: u64,
    /// Payload that the peer acknowledged.
    pub bytes_acked: u64,
    /// Payload received in order.
    pub bytes_received: u64,
    /// Payload that was sent again.
    pub bytes_retransmitted: u64,
    /// Segments sent since the handshake.
    pub segments_sent: u32,
    /// Segments received since the handshake.
    pub segments_received: u32,
    /// Segments sent with payload or a FIN that had been sent before; SYNs too.
    pub segments_retransmitted: u32,
    /// How often the retransmission timer fired.
    pub timeouts: u32,
    /// Packets that arrived with a mark of congestion; 65,535 stands for any number from there on.
    #[cfg(feature = "ecn")]
    pub marks_received: u32,
    /// How often the window was reduced because packets of ours arrived with one; likewise.
    #[cfg(feature = "ecn")]
    pub ecn_reductions: u32,
    /// Time since payload or a FIN was last sent.
    pub since_sent: Option<Duration>,
    /// Time since anything came from the peer.
    pub since_received: Option<Duration>,
}

/// What is counted of a connection.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Stats {
    pub(crate) bytes_acked: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) segments_sent: u32,
    pub(crate) segments_received: u32,
    pub(crate) segments_retransmitted: u32,
    pub(crate) timeouts: u32,
}

impl Stats {
    /// Nothing has happened.
    pub(super) const NONE: Stats = Stats {
        bytes_acked: 0,
        bytes_received: 0,
        bytes_retransmitted: 0,
        segments_sent: 0,
        segments_received: 0,
        segments_retransmitted: 0,
        timeouts: 0,
    };
}

impl TcpInfo {
    fn new(state: State, stats: &Stats) -> Self {
        TcpInfo {
            state,
            error: None,
            soft_error: None,
            timestamps: false,
            #[cfg(feature = "ecn")]
            ecn: false,
            #[cfg(feature = "ecn")]
            accurate_ecn: false,
            send_scale: 0,
            receive_scale: 0,
            mss: 0,
            path_mtu: 0,
            mss_received: 0,
            rtt: None,
            rtt_var: Duration::ZERO,
            rto: Duration::ZERO,
            back_offs: 0,
            cwnd: 0,
            ssthresh: 0,
            pacing_rate: None,
            in_flight: 0,
            unacked: 0,
            sacked: 0,
            lost: 0,
            recovery: RecoveryPhase::Open,
            sack: false,
            reordering: false,
            unsent: 0,
            unread: 0,
            send_window: 0,
            receive_window: 0,
            send_buffer: 0,
            receive_buffer: 0,
            bytes_sent: stats.bytes_acked,
            bytes_acked: stats.bytes_acked,
            bytes_received: stats.bytes_received,
            bytes_retransmitted: stats.bytes_retransmitted,
            segments_sent: stats.segments_sent,
            segments_received: stats.segments_received,
            segments_retransmitted: stats.segments_retransmitted,
            timeouts: stats.timeouts,
            #[cfg(feature = "ecn")]
            marks_received: 0,
            #[cfg(feature = "ecn")]
            ecn_reductions: 0,
            since_sent: None,
            since_received: None,
        }
    }
}

impl Tcb {
    /// What is known of the connection now.
    pub(crate) fn info(&self, now: Instant, config: &TcpConfig) -> TcpInfo {
        let state = self.state();
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                let buffers = TcpInfo {
                    send_buffer: self.send_limit,
                    receive_buffer: self.receive_limit,
                    ..TcpInfo::new(state, &Stats::default())
                };
                h.info(buffers, config)
            }
            Phase::Synchronized(s) => s.info(TcpInfo::new(state, &s.stats), now, config),
            Phase::Over(over) => over.info(TcpInfo::new(state, &over.stats)),
        }
    }
}

impl Handshake {
    fn info(&self, info: TcpInfo, config: &TcpConfig) -> TcpInfo {
        let again = self.transmissions.saturating_sub(1);
        TcpInfo {
            mss: self.mss.ours,
            rto: config.backed_off(config.rto_initial, again),
            back_offs: again,
            soft_error: self.soft.map(Error::from),
            unsent: self.queue.len() as u32,
            segments_retransmitted: again.into(),
            timeouts: again.into(),
            ..info
        }
    }
}

impl Synchronized {
    fn info(&self, info: TcpInfo, now: Instant, config: &TcpConfig) -> TcpInfo {
        let Synchronized { send, receive, stats, last_received_at, soft, .. } = self;
        let unacked = send.text_sent();
        TcpInfo {
            soft_error: soft.map(Error::from),
            timestamps: receive.ts_recent.is_some(),
            #[cfg(feature = "ecn")]
            ecn: self.ecn.mode() != Mode::Off,
            #[cfg(feature = "ecn")]
            accurate_ecn: self.ecn.mode() == Mode::Accurate,
            #[cfg(feature = "ecn")]
            marks_received: self.ecn.arrived.into(),
            #[cfg(feature = "ecn")]
            ecn_reductions: self.ecn.reductions.into(),
            send_scale: send.scale,
            receive_scale: receive.scale(),
            mss: send.mss,
            path_mtu: send.size.path_mtu(),
            mss_received: receive.mss_seen(),
            rtt: send.rtt.smoothed(),
            rtt_var: send.rtt.variation(),
            rto: send.rtt.rto(config),
            back_offs: send.rtt.backoff(),
            cwnd: send.controller.window(),
            ssthresh: send.controller.ssthresh(),
            pacing_rate: send.controller.pacer().rate(),
            in_flight: send.pipe(),
            unacked,
            sacked: send.scoreboard.sacked(),
            lost: send.scoreboard.lost(),
            recovery: send.recovery.phase(),
            sack: send.recovery.sack,
            reordering: send.recovery.is_reordered(),
            unsent: send.queue.len() as u32 - unacked,
            unread: receive.readable(),
            send_window: send.wnd,
            receive_window: receive.wnd(),
            send_buffer: send.limit,
            receive_buffer: receive.limit(),
            bytes_sent: stats.bytes_acked + u64::from(unacked),
            since_sent: Some(now.since(send.sent_at)),
            since_received: Some(now.since(*last_received_at)),
            ..info
        }
    }
}

impl Over {
    fn info(&self, info: TcpInfo) -> TcpInfo {
        TcpInfo { error: self.error, unread: self.unread.len() as u32, ..info }
    }
}

impl Stats {
    /// See [`park`](crate::tcp::connection::idle).
    pub(in crate::tcp) fn park(&self, to: &mut Packer) {
        let Stats {
            bytes_acked,
            bytes_received,
            bytes_retransmitted,
            segments_sent,
            segments_received,
            segments_retransmitted,
            timeouts,
        } = self;
        [*bytes_acked, *bytes_received, *bytes_retransmitted].iter().for_each(|n| to.number(*n));
        [*segments_sent, *segments_received, *segments_retransmitted, *timeouts]
            .iter()
            .for_each(|n| to.number(*n));
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Stats {
        Stats {
            bytes_acked: from.number(),
            bytes_received: from.number(),
            bytes_retransmitted: from.number(),
            segments_sent: from.number() as u32,
            segments_received: from.number() as u32,
            segments_retransmitted: from.number() as u32,
            timeouts: from.number() as u32,
        }
    }

    /// A number that changes when data was acknowledged or arrived in order.
    pub(crate) fn bytes_moved(&self) -> u32 {
        (self.bytes_acked + self.bytes_received) as u32
    }

    /// A segment, or several in one, went out, the first `again` numbers of it not for the first time.
    pub(crate) fn on_sent(&mut self, plan: &Plan, again: u32) {
        self.segments_sent = self.segments_sent.wrapping_add(plan.segments(plan.len));
        if again > 0 {
            let payload = again.min(plan.len);
            self.bytes_retransmitted += u64::from(payload);
            self.segments_retransmitted = self.segments_retransmitted.wrapping_add(plan.segments(payload));
        }
    }
}
