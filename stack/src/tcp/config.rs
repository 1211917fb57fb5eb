//! What can be set for all connections of a stack.

use super::options::TcpOptions;
use crate::error::Error;
use crate::time::Duration;

/// How a connection keeps from overloading the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Congestion {
    /// CUBIC (RFC 9438): the window returns to where a congestion struck along a cubic curve of the
    /// time since, and never slower than `NewReno`'s would.
    #[cfg(feature = "cubic")]
    #[default]
    Cubic,
    /// Slow start and congestion avoidance of RFC 5681: a segment for each round trip.
    #[cfg_attr(not(feature = "cubic"), default)]
    NewReno,
    /// A model of the path, its bandwidth and its shortest round trip, instead of losses, with pacing;
    /// after draft-ietf-ccwg-bbr, in part. For long paths that lose segments without being full.
    #[cfg(feature = "bbr")]
    Bbr,
    /// None: the peer's window is the only limit, what is lost goes again at once, and timers back off
    /// late. For links of which the user knows better.
    None,
}

impl Congestion {
    const DEFAULT: Congestion = match () {
        #[cfg(feature = "cubic")]
        () => Congestion::Cubic,
        #[cfg(not(feature = "cubic"))]
        () => Congestion::NewReno,
    };
}

/// When a listener answers SYNs without remembering them (SYN cookies, RFC 4987 §3.6). What a cookie
/// can't hold is lost to such a connection: without timestamps all options but the segment size.
#[cfg(feature = "syn-cookies")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SynCookies {
    /// Never: with a full SYN queue a SYN is as good as lost, and the client tries again.
    Off,
    /// When the SYN queue is full, as many as both queues have room for if they come back, unless most
    /// of them do not.
    #[default]
    Auto,
    /// Always: nothing is ever kept for a client that has not answered.
    Always,
}

/// Explicit congestion notification: routers mark packets instead of dropping them (RFC 3168; the
/// more accurate form of RFC 9768 with peers that have it).
#[cfg(feature = "ecn")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Ecn {
    /// Never.
    Off,
    /// On connections whose peer asks for it. The default: it costs nothing, while a SYN that asks is
    /// still lost or answered with a reset on some paths, and the second try takes seconds.
    #[default]
    WhenAsked,
    /// Our SYNs ask for it too; without an answer to two of them, the third does not.
    On,
    /// As `On`, but RFC 3168's form alone is asked for and agreed on: for peers and paths that do not bear the
    /// bits of RFC 9768.
    Classic,
}

/// Whether connections find out by themselves how long a packet the path carries (RFC 4821, RFC
/// 8899), beside what routers say (RFC 1191, RFC 8201).
#[cfg(feature = "path-probing")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PathProbing {
    /// No: where routers say nothing, connections that send long segments may stall.
    Off,
    /// When full segments get lost again and again. The default: nearly every path carries what the
    /// interface does.
    #[default]
    OnBlackHole,
    /// From the start: segments begin short, and grow after the first probe that arrives.
    Always,
}

/// The timer wheel's tick. A timeout of nothing would fire again and again at the same instant.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Settings of TCP for all connections; those that a socket can override say so. They are changed by
/// [`Stack::configure_tcp`](crate::stack::Stack::configure_tcp), which refuses what makes no sense: sizes
/// and numbers of 0, and times below a millisecond where something would be repeated without a pause, or
/// end before it began.
///
/// ```
/// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::time::Duration;
/// net.with_stack(|stack| stack.configure_tcp(|config| config.rto_min = Duration::from_millis(100)))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TcpConfig {
    /// Most bytes that a connection may queue for sending. Default 4 MiB.
    pub send_buffer: u32,
    /// Most bytes that a connection may hold for the reader: the largest window, half the pool at
    /// most. Default 4 MiB.
    pub receive_buffer: u32,
    /// Both begin with 64 KiB, if they may be larger: the receive buffer grows, with each read, with what
    /// the reader takes in two round trips, the send buffer follows the congestion window. False: they are as large
    /// as they may be from the start; so is one that is an option of its connection. Default true.
    pub tune_buffers: bool,
    /// Longest time that an acknowledgment is held back, below 500 ms (RFC 9293 §3.8.6.3,
    /// larger values are cut). Default 40 ms.
    pub ack_delay: Duration,
    /// Data segments at the start of a connection that are acknowledged at once. Default 8.
    pub quick_acks: u8,
    /// Timeout before the first RTT sample (RFC 6298 §2.1). Default 1 s.
    pub rto_initial: Duration,
    /// Floor of the timeout. RFC 6298 §2.4 says one second; what is deployed, and the default
    /// here, is 200 ms.
    pub rto_min: Duration,
    /// Ceiling of the timeout and of the time between window probes (RFC 6298 §2.5), not below
    /// `rto_min`. Default 60 s.
    pub rto_max: Duration,
    /// How long a SYN is repeated before `TimedOut`: R2 of RFC 9293 §3.8.3, at least 3 minutes
    /// there. Default 180 s.
    pub syn_timeout: Duration,
    /// How long data or a FIN is repeated, or window probes go unanswered, before `TimedOut`
    /// (R2, at least 100 s in RFC 9293 §3.8.3). Default 180 s.
    pub data_timeout: Duration,
    /// How long a connection that nobody holds any more waits in FIN-WAIT-2 for the peer's FIN
    /// (H016). Default 60 s.
    pub fin_wait_2_timeout: Duration,
    /// TIME-WAIT: twice the maximum segment lifetime, which is taken as 30 s. Default 60 s.
    pub time_wait: Duration,
    /// Least time between two challenge ACKs of one connection. Each connection has its own limit, so
    /// that one can't be measured through another (RFC 5961 §7, H059). Default 500 ms.
    pub challenge_interval: Duration,
    /// A router that says that the peer or its network can't be reached ends a connect at once, so that
    /// the next address can be tried (RFC 5461 §4). Else it is a soft error as RFC 9293 §3.9.2.2
    /// describes it: told when the connect has timed out. Default true.
    pub unreachable_ends_open: bool,
    /// Offer timestamps (RFC 7323). Default true.
    pub timestamps: bool,
    /// Offer selective acknowledgments (RFC 2018). Default true.
    #[cfg(feature = "sack")]
    pub sack: bool,
    /// Tell the peer of segments that came twice (RFC 2883), where SACK is in use. Default true.
    #[cfg(feature = "sack")]
    pub dsack: bool,
    /// Where SACK is in use, ask with a probe after two round trips without an answer, so that a loss at
    /// the end of a transfer need not wait for the timeout (RFC 8985 §7). Default true.
    #[cfg(feature = "sack")]
    pub tail_probes: bool,
    /// Congestion control for new connections. Default CUBIC; without the feature `cubic` NewReno.
    pub congestion: Congestion,
    /// Segments that a connection sends before the first acknowledgment, and after an idle time;
    /// less of segments that are longer than 1460 bytes (RFC 6928 §2). Default 10.
    pub initial_window: u8,
    /// What can be set for each connection, as it is where nobody set anything.
    pub options: TcpOptions,
    /// Send what the congestion window allows evenly over the round trip, not in bursts: easier on
    /// short queues, at the price of a timer each millisecond. Without congestion control there is no such
    /// window, and nothing is paced. Default false.
    #[cfg(feature = "pacing")]
    pub pacing: bool,
    /// Explicit congestion notification on new connections. Default [`Ecn::WhenAsked`].
    #[cfg(feature = "ecn")]
    pub ecn: Ecn,
    /// How new connections find the size of their path. Default [`PathProbing::OnBlackHole`].
    #[cfg(feature = "path-probing")]
    pub path_probing: PathProbing,
    /// Connections that wait for `accept` on a listener that names no other number. Default 128.
    pub backlog: u16,
    /// Connections that peers have opened, at all listeners, beyond which SYNs are as good as lost. Default: no limit but
    /// the table's, of which an eighth, one place at least, is for our own connects, and that of memory: where the pool
    /// can't promise a connection its least, no SYN is answered.
    pub accept_limit: u32,
    /// When listeners use SYN cookies. Default: when their SYN queue is full.
    #[cfg(feature = "syn-cookies")]
    pub syn_cookies: SynCookies,
}

impl TcpConfig {
    pub(crate) const DEFAULT: TcpConfig = TcpConfig {
        send_buffer: 4 << 20,
        receive_buffer: 4 << 20,
        tune_buffers: true,
        ack_delay: Duration::from_millis(40),
        quick_acks: 8,
        rto_initial: Duration::from_secs(1),
        rto_min: Duration::from_millis(200),
        rto_max: Duration::from_secs(60),
        syn_timeout: Duration::from_secs(180),
        data_timeout: Duration::from_secs(180),
        fin_wait_2_timeout: Duration::from_secs(60),
        time_wait: Duration::from_secs(60),
        challenge_interval: Duration::from_millis(500),
        unreachable_ends_open: true,
        timestamps: true,
        #[cfg(feature = "sack")]
        sack: true,
        #[cfg(feature = "sack")]
        dsack: true,
        #[cfg(feature = "sack")]
        tail_probes: true,
        congestion: Congestion::DEFAULT,
        initial_window: 10,
        options: TcpOptions::DEFAULT,
        #[cfg(feature = "pacing")]
        pacing: false,
        #[cfg(feature = "ecn")]
        ecn: Ecn::WhenAsked,
        #[cfg(feature = "path-probing")]
        path_probing: PathProbing::OnBlackHole,
        backlog: 128,
        accept_limit: u32::MAX,
        #[cfg(feature = "syn-cookies")]
        syn_cookies: SynCookies::Auto,
    };

    /// Before a stack has memory: all zero, so that a static of it lies in `.bss`.
    pub(crate) const NOTHING: TcpConfig = TcpConfig {
        send_buffer: 0,
        receive_buffer: 0,
        tune_buffers: false,
        ack_delay: Duration::ZERO,
        quick_acks: 0,
        rto_initial: Duration::ZERO,
        rto_min: Duration::ZERO,
        rto_max: Duration::ZERO,
        syn_timeout: Duration::ZERO,
        data_timeout: Duration::ZERO,
        fin_wait_2_timeout: Duration::ZERO,
        time_wait: Duration::ZERO,
        challenge_interval: Duration::ZERO,
        unreachable_ends_open: false,
        timestamps: false,
        #[cfg(feature = "sack")]
        sack: false,
        #[cfg(feature = "sack")]
        dsack: false,
        #[cfg(feature = "sack")]
        tail_probes: false,
        congestion: Congestion::DEFAULT,
        initial_window: 0,
        // `None` of a law is not zero, as the laws' names are.
        options: TcpOptions {
            congestion: Some(Congestion::DEFAULT),
            hop_limit: 0,
            soft_errors: false,
            ..TcpOptions::DEFAULT
        },
        #[cfg(feature = "pacing")]
        pacing: false,
        #[cfg(feature = "ecn")]
        ecn: Ecn::Off,
        #[cfg(feature = "path-probing")]
        path_probing: PathProbing::Off,
        backlog: 0,
        accept_limit: 0,
        #[cfg(feature = "syn-cookies")]
        syn_cookies: SynCookies::Off,
    };

    /// Is everything inside its documented range? [`Error::InvalidInput`] names a field that is not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |what| Err(Error::InvalidInput(what));
        match self {
            c if c.send_buffer == 0 => bad("send_buffer is 0"),
            c if c.receive_buffer == 0 => bad("receive_buffer is 0"),
            c if c.initial_window == 0 => bad("initial_window is 0"),
            c if c.backlog == 0 => bad("backlog is 0"),
            c if c.accept_limit == 0 => bad("accept_limit is 0"),
            c if c.rto_initial < TICK => bad("rto_initial is below a millisecond"),
            c if c.rto_max < TICK => bad("rto_max is below a millisecond"),
            c if c.rto_max < c.rto_min => bad("rto_max is below rto_min"),
            c if c.syn_timeout < TICK => bad("syn_timeout is below a millisecond"),
            c if c.data_timeout < TICK => bad("data_timeout is below a millisecond"),
            _ => self.options.check(),
        }
    }

    /// Is what the window allows sent evenly?
    pub(crate) fn paces(&self) -> bool {
        #[cfg(feature = "pacing")]
        return self.pacing;
        #[cfg(not(feature = "pacing"))]
        return false;
    }

    /// Is SACK offered, and agreed to?
    pub(crate) fn offers_sack(&self) -> bool {
        #[cfg(feature = "sack")]
        return self.sack;
        #[cfg(not(feature = "sack"))]
        return false;
    }

    /// The longest that an acknowledgment is held back.
    //= rfc9293#3.8.6.3 MUST-40
    pub(crate) fn ack_delay(&self) -> Duration {
        self.ack_delay.min(Duration::from_millis(499))
    }

    /// A timeout that doubles with each time that it passed in vain.
    pub(super) fn backed_off(&self, base: Duration, times: u8) -> Duration {
        let doubled = Duration::from_micros(base.micros().saturating_mul(1 << times.min(16)));
        doubled.min(self.rto_max).max(TICK)
    }
}

impl Default for TcpConfig {
    fn default() -> Self {
        TcpConfig::DEFAULT
    }
}
