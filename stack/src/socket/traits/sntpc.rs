//! The traits of `sntpc`: its client asks by our UDP sockets, and counts by the network's clock.

use core::net::SocketAddr;

use ::sntpc::{NtpTimestampGenerator, NtpUdpSocket};

use crate::net::Net;
use crate::socket::UdpSocket;
use crate::time::Instant;

/// Any failure of the socket is `Network` to `sntpc`; its time limit, if it has one, holds.
impl NtpUdpSocket for UdpSocket {
    async fn send_to(&self, data: &[u8], to: SocketAddr) -> ::sntpc::Result<usize> {
        self.send_to_async(data, to).await.map_err(|_| ::sntpc::Error::Network)
    }

    async fn recv_from(&self, buf: &mut [u8]) -> ::sntpc::Result<(usize, SocketAddr)> {
        self.recv_from_async(buf).await.map_err(|_| ::sntpc::Error::Network)
    }
}

/// The clock that `sntpc` stamps its questions by: the network's, which counts from the start of the machine. What
/// `sntpc` calls the offset is then the time of day at the start.
#[derive(Clone, Copy)]
pub struct NtpClock<'a> {
    net: &'a Net,
    now: Instant,
}

impl<'a> NtpClock<'a> {
    /// The clock of `net`.
    pub fn new(net: &'a Net) -> Self {
        NtpClock { net, now: net.now() }
    }
}

impl NtpTimestampGenerator for NtpClock<'_> {
    fn init(&mut self) {
        self.now = self.net.now();
    }

    fn timestamp_sec(&self) -> u64 {
        self.now.micros() / 1_000_000
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        (self.now.micros() % 1_000_000) as u32
    }
}
