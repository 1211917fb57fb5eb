//! What can be set for one connection.

use super::config::{Congestion, TICK};
use crate::error::Error;
use crate::time::Duration;

/// Settings of one connection, or of a listener, whose connections inherit them when they come about.
///
/// The defaults of a stack are in `TcpConfig::options`. Where a field is `None`, what `TcpConfig`
/// says for all connections holds.
///
/// ```
/// use barenet::{KeepAlive, TcpOptions, time::Duration};
/// let mut options = TcpOptions::default();
/// options.nodelay = true;
/// options.keep_alive = Some(KeepAlive { idle: Duration::from_secs(60), ..KeepAlive::default() });
/// ```
///
/// RFC 5482's option, by which a peer would ask for another user timeout, is neither sent nor obeyed:
/// how long our memory waits for a silent peer is not that peer's to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct TcpOptions {
    /// Small segments go out at once, not held back until earlier ones are acknowledged: Nagle's
    /// rule off (RFC 9293 §3.7.4). Default false.
    pub nodelay: bool,
    /// Only full segments go out while this is on, and what is left over after 200 ms or a
    /// [`flush`](crate::TcpStream::flush); to write a message in pieces. Default false.
    pub cork: bool,
    /// So many data segments from now on are acknowledged at once; 0: acknowledgments are delayed
    /// from now on; 255: never. Default: `TcpConfig::quick_acks`.
    pub quick_acks: Option<u8>,
    /// Asks a peer that has been silent for long whether it is still there (RFC 9293 §3.8.4).
    /// Default: no (MUST-25).
    pub keep_alive: Option<KeepAlive>,
    /// How long the peer may leave data, a FIN, window probes or a SYN unanswered before the
    /// connection ends with `TimedOut`: R2 of RFC 9293 §3.8.3, the user timeout. At least a
    /// millisecond. Default: `TcpConfig::data_timeout` and `TcpConfig::syn_timeout`.
    pub user_timeout: Option<Duration>,
    /// How often a SYN, or a SYN-ACK, is repeated before the connection fails. Default: as often as
    /// `TcpConfig::syn_timeout` has time for.
    pub syn_retries: Option<u8>,
    /// Closing: `None`, the default, delivers what was written without anybody waiting; zero resets
    /// the connection, and what was not delivered is lost; else
    /// [`TcpStream::close`](crate::TcpStream::close) waits so long at most for the peer to
    /// acknowledge everything.
    pub linger: Option<Duration>,
    /// How long the connection waits in FIN-WAIT-2 for the peer's FIN once nobody holds it. Default:
    /// `TcpConfig::fin_wait_2_timeout`.
    pub fin_wait_2_timeout: Option<Duration>,
    /// A listener's: a connection is there for `accept` when its first data is, or after this time.
    /// Default: at once.
    pub defer_accept: Option<Duration>,
    /// A client's: TCP Fast Open (RFC 7413). The SYN asks for a cookie, if the server has given none yet.
    /// From then on connecting succeeds without a word, and the first write goes with the SYN, as far
    /// as it fits: the answer comes a round trip earlier. (A read, or a shutdown, sends the SYN too.)
    /// That nobody is there, the first read says. What is written first may come to the server's
    /// application twice: only for requests that bear that. Default false.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// let fast = barenet::TcpBuilder::new(net).options(|o| o.fast_open = true);
    /// let mut flow = fast.connect("192.0.2.1:80")?; // nothing is sent, if the cookie is known
    /// flow.write_all(b"GET / HTTP/1.0\r\n\r\n")?; // goes with the SYN
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "fast-open")]
    pub fast_open: bool,
    /// A listener's: TCP Fast Open. Clients that ask get a cookie, and a SYN with one may
    /// bring the first data, at once readable. So many connections at most may be between that and
    /// the end of their handshake; others open as usual. The data of a SYN may come twice, as a
    /// second connection: only for requests that bear that. Default 0: no.
    #[cfg(feature = "fast-open")]
    pub fast_open_backlog: u16,
    /// Most bytes of payload in a segment, both ways: the MSS that is offered, options of the header
    /// counted in. At least 64. Counts at the handshake only. Default: what the interface's MTU takes.
    pub max_segment: Option<u16>,
    /// Bytes that may be queued for sending, at least 1. Default: `TcpConfig::send_buffer`.
    pub send_buffer: Option<u32>,
    /// Bytes that may be held for the reader, at least 1. Counts in full if it is set before the handshake, by
    /// which windows get their scale. Default: `TcpConfig::receive_buffer`.
    pub receive_buffer: Option<u32>,
    /// The largest window that is advertised, in bytes, at least 1. Default: no limit but the buffer.
    pub window_clamp: Option<u32>,
    /// Most bytes that are taken from the writer and not yet sent even once: less of them wait where
    /// nothing can be changed any more. At least 1. Default: no limit but the buffer.
    pub unsent_max: Option<u32>,
    /// Congestion control, chosen at the handshake. Default: `TcpConfig::congestion`.
    pub congestion: Option<Congestion>,
    /// Differentiated services code point of what is sent, 0 to 63 (RFC 2474). May change at any time
    /// (RFC 9293 §3.9.1.9). Default 0.
    pub dscp: u8,
    /// TTL or hop limit of what is sent, 1 to 255 (RFC 9293 §3.9.2). Default 64.
    pub hop_limit: u8,
    /// Soft errors, such as an ICMP message that says that the peer can't be reached, are kept for
    /// [`take_error`](crate::TcpStream::take_error) and name the cause when the connection fails
    /// (RFC 9293 §3.9.1.8). Default true.
    pub soft_errors: bool,
}

/// How a silent peer is asked whether it is still there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeepAlive {
    /// How long nothing came from the peer before it is asked. Default two hours.
    //= rfc9293#3.8.4 MUST-28
    pub idle: Duration,
    /// Time between two questions. Default 75 s.
    pub interval: Duration,
    /// So many unanswered questions in a row end the connection with `TimedOut`. Default 9.
    pub probes: u8,
}

impl Default for KeepAlive {
    fn default() -> Self {
        KeepAlive { idle: Duration::from_secs(7200), interval: Duration::from_secs(75), probes: 9 }
    }
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions::DEFAULT
    }
}

/// What the options say of the IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IpFields {
    pub(crate) dscp: u8,
    pub(crate) hop_limit: u8,
}

impl TcpOptions {
    pub(crate) const DEFAULT: TcpOptions = TcpOptions {
        nodelay: false,
        cork: false,
        quick_acks: None,
        keep_alive: None,
        user_timeout: None,
        syn_retries: None,
        linger: None,
        fin_wait_2_timeout: None,
        defer_accept: None,
        #[cfg(feature = "fast-open")]
        fast_open: false,
        #[cfg(feature = "fast-open")]
        fast_open_backlog: 0,
        max_segment: None,
        send_buffer: None,
        receive_buffer: None,
        window_clamp: None,
        unsent_max: None,
        congestion: None,
        dscp: 0,
        hop_limit: 64,
        soft_errors: true,
    };

    /// The IP header's fields of every segment of a connection with these options.
    pub(crate) const fn ip_fields(&self) -> IpFields {
        IpFields { dscp: self.dscp, hop_limit: self.hop_limit }
    }

    /// Is everything inside its documented range?
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |what| Err(Error::InvalidInput(what));
        match self {
            o if o.dscp > 63 => bad("dscp is above 63"),
            o if o.hop_limit == 0 => bad("hop_limit is 0"),
            o if o.max_segment.is_some_and(|m| m < 64) => bad("max_segment is below 64"),
            o if o.send_buffer == Some(0) => bad("send_buffer is 0"),
            o if o.receive_buffer == Some(0) => bad("receive_buffer is 0"),
            o if o.window_clamp == Some(0) => bad("window_clamp is 0"),
            o if o.unsent_max == Some(0) => bad("unsent_max is 0"),
            o if o.user_timeout.is_some_and(|t| t < TICK) => bad("user_timeout is below a millisecond"),
            TcpOptions { keep_alive: Some(k), .. } if k.idle < TICK || k.interval < TICK => {
                bad("a time of keep_alive is below a millisecond")
            }
            TcpOptions { keep_alive: Some(KeepAlive { probes: 0, .. }), .. } => {
                bad("keep_alive has no probes")
            }
            _ => Ok(()),
        }
    }
}
