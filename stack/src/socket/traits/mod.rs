//! The traits of other crates on sockets and on the network, so that protocol crates written for them run as they are.
//!
//! A datagram that is longer than the buffer is cut, and its length is that of what was copied. The documentation of
//! `edge-nal` and of `embedded-nal-async` asks for the whole length; but the programs that use them slice the buffer by
//! it (`edge-dhcp`, `edge-mdns`, `edge-raw`), so that a stranger's long datagram would be a panic. Who must know asks
//! [`UdpSocket::recv_datagram_async`](crate::UdpSocket::recv_datagram_async).

#[cfg(all(feature = "dns", any(feature = "edge-nal", feature = "embedded-nal-async")))]
mod dns;
#[cfg(feature = "edge-nal")]
mod edge_nal;
#[cfg(feature = "embedded-io")]
mod embedded_io;
#[cfg(feature = "embedded-nal-async")]
mod embedded_nal;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "picoserve")]
mod picoserve;
#[cfg(feature = "sntpc")]
mod sntpc;
#[cfg(all(feature = "std", feature = "tcp"))]
mod std_io;

#[cfg(feature = "edge-nal")]
pub use edge_nal::RawInterface;
#[cfg(feature = "picoserve")]
pub use picoserve::PicoserveRuntime;
#[cfg(feature = "sntpc")]
pub use sntpc::NtpClock;

#[cfg(all(test, feature = "std", feature = "full"))]
mod tests;
