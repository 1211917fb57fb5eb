//! What every step of a connection is given.

use super::config::TcpConfig;
use super::options::TcpOptions;
use crate::base::pool::Pool;
use crate::counters::{TcpCount, TcpCounts};
use crate::time::{Duration, Instant};

/// No window reaches farther (65535 << 14, RFC 7323 §2.3).
const LIMIT_MAX: u32 = 1 << 30;

/// What every step of the engine is given: the present, the memory, the settings.
pub(crate) struct Context<'c, 'p> {
    pub(crate) now: Instant,
    pub(crate) pool: &'c mut Pool<'p>,
    pub(crate) config: &'c TcpConfig,
    /// The connection's own settings.
    pub(crate) options: &'c TcpOptions,
    pub(crate) counts: &'c TcpCounts,
}

impl Context<'_, '_> {
    /// The most that a connection may queue for sending, and hold for its reader.
    pub(crate) fn limits(&self) -> (u32, u32) {
        let Context { pool, config, options, .. } = self;
        let send = options.send_buffer.unwrap_or(config.send_buffer).min(LIMIT_MAX);
        let receive = options.receive_buffer.unwrap_or(config.receive_buffer);
        // The SYN must not offer what the memory can't hold; nor does one connection get all of it.
        // H037: numbers more than 2^31 apart could not be compared.
        let half = (pool.capacity() / 2).min(LIMIT_MAX as usize) as u32;
        (send, receive.min(options.window_clamp.unwrap_or(u32::MAX)).min(half))
    }

    /// Are the buffer for sending and that for receiving tuned?
    pub(crate) fn tuned(&self) -> (bool, bool) {
        let Context { config, options, .. } = self;
        let tuned = |own: Option<u32>| config.tune_buffers && own.is_none();
        (tuned(options.send_buffer), tuned(options.receive_buffer))
    }

    /// How much may be added to `unsent` bytes.
    pub(crate) fn unsent_room(&self, unsent: u32) -> u32 {
        self.options.unsent_max.unwrap_or(u32::MAX).saturating_sub(unsent)
    }

    /// R2 for data, for window probes and for a FIN.
    //= rfc9293#3.8.3 MUST-21
    pub(crate) fn data_timeout(&self) -> Duration {
        self.options.user_timeout.unwrap_or(self.config.data_timeout)
    }

    /// R2 for a SYN.
    pub(crate) fn syn_timeout(&self) -> Duration {
        self.options.user_timeout.unwrap_or(self.config.syn_timeout)
    }

    /// Counts something that happened.
    pub(crate) fn count(&self, what: TcpCount) {
        self.counts.add(what, 1);
    }
}
