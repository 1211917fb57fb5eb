//! What the two ends say on the control connection: cookies, states, and JSON.

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Names a test: 36 letters and digits, and a zero. The client says it first on each connection.
pub(crate) type Cookie = [u8; 37];

/// Streams of one test at most.
pub(crate) const STREAMS_MAX: usize = 32;
/// Bytes of a write where the client does not say.
pub(crate) const WRITE_LEN: u32 = 128 * 1024;
/// Bytes of a JSON text at most.
pub(crate) const JSON_MAX: usize = 16 * 1024;

/// What the server asks for next, or what the client has come to: a byte each.
pub(crate) mod state {
    /// The streams are open.
    pub(crate) const TEST_START: u8 = 1;
    /// Go.
    pub(crate) const TEST_RUNNING: u8 = 2;
    /// The client's: time or bytes are over.
    pub(crate) const TEST_END: u8 = 4;
    /// Send the parameters.
    pub(crate) const PARAM_EXCHANGE: u8 = 9;
    /// Open the streams.
    pub(crate) const CREATE_STREAMS: u8 = 10;
    /// The server gives up.
    pub(crate) const SERVER_TERMINATE: u8 = 11;
    /// The client's: it gives up.
    pub(crate) const CLIENT_TERMINATE: u8 = 12;
    /// Send your results and take mine.
    pub(crate) const EXCHANGE_RESULTS: u8 = 13;
    /// Show them.
    pub(crate) const DISPLAY_RESULTS: u8 = 14;
    /// The client's: that was all.
    pub(crate) const IPERF_DONE: u8 = 16;
    /// Another test runs.
    pub(crate) const ACCESS_DENIED: u8 = 0xff;
    /// An error; two numbers follow.
    pub(crate) const SERVER_ERROR: u8 = 0xfe;
}

/// The error number for what is not implemented.
pub(crate) const UNIMPLEMENTED: u32 = 13;

/// What the client wants, as far as it matters to us.
#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct Parameters {
    /// Over TCP.
    pub(crate) tcp: bool,
    /// Seconds at the start that don't count.
    pub(crate) omit: u32,
    /// Seconds.
    pub(crate) time: u32,
    /// Bytes, if no time is given.
    pub(crate) num: u64,
    /// Streams.
    pub(crate) parallel: u32,
    /// The server sends. That it is said at all means that it does.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub(crate) reverse: bool,
    /// Both send; said as `reverse` is.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub(crate) bidirectional: bool,
    /// Bytes of a write.
    pub(crate) len: u32,
}

/// What one end found.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Results {
    /// Percent of a processor, which we don't know.
    pub(crate) cpu_util_total: f32,
    pub(crate) cpu_util_user: f32,
    pub(crate) cpu_util_system: f32,
    /// Does the sender know what it sent twice? -1: this end is not the sender. Such numbers come
    /// as 2^64 - 1 as well.
    pub(crate) sender_has_retransmits: f64,
    pub(crate) streams: Vec<StreamResult, STREAMS_MAX>,
}

/// What one end found of one stream.
#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct StreamResult {
    /// 1, 3, 4, 5, …: iperf3 never uses 2.
    pub(crate) id: u32,
    pub(crate) bytes: u64,
    /// Segments sent again; -1, or 2^64 - 1: not known.
    pub(crate) retransmits: f64,
    pub(crate) jitter: f32,
    pub(crate) errors: u32,
    pub(crate) packets: u32,
    /// Seconds.
    pub(crate) start_time: f32,
    pub(crate) end_time: f32,
}
