//! The traits of `embedded-io` and `embedded-io-async` on a TCP connection, so that protocol
//! crates of that ecosystem run on it as they are.

use embedded_io::{ErrorKind, ErrorType};

use super::TcpStream;
use crate::error::Error;

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::ConnectionRefused => ErrorKind::ConnectionRefused,
            Error::ConnectionReset => ErrorKind::ConnectionReset,
            Error::ConnectionAborted => ErrorKind::ConnectionAborted,
            Error::ClosedByPeer | Error::ClosedLocally => ErrorKind::BrokenPipe,
            Error::TimedOut => ErrorKind::TimedOut,
            Error::AddrInUse => ErrorKind::AddrInUse,
            Error::AddrNotAvailable => ErrorKind::AddrNotAvailable,
            Error::AddrInvalid | Error::InvalidInput(_) | Error::MessageTooLong { .. } => {
                ErrorKind::InvalidInput
            }
            Error::NoMatchingAddresses => ErrorKind::NotFound,
            Error::NotConnected | Error::StaleHandle => ErrorKind::NotConnected,
            Error::AlreadyConnected => ErrorKind::AlreadyExists,
            Error::BroadcastNotAllowed => ErrorKind::PermissionDenied,
            Error::OutOfMemory | Error::TooManySockets => ErrorKind::OutOfMemory,
            Error::NetUnreachable
            | Error::HostUnreachable
            | Error::PacketRejected
            | Error::UnexpectedEof
            | Error::WouldBlock
            | Error::DeviceGone
            | Error::NetDown
            | Error::Unconfigured => ErrorKind::Other,
        }
    }
}

impl ErrorType for TcpStream {
    type Error = Error;
}

impl embedded_io::Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        TcpStream::read(self, buf)
    }
}

impl embedded_io::Write for TcpStream {
    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        TcpStream::write(self, data)
    }
    /// Does nothing: what was written is on its way as the protocol lets it.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl embedded_io_async::Read for TcpStream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.read_async(buf).await
    }
}

impl embedded_io_async::Write for TcpStream {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        core::future::poll_fn(|cx| self.poll_write(cx, data)).await
    }
    /// Does nothing: what was written is on its way as the protocol lets it.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
