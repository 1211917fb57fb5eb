//! The traits of `embedded-io` and `embedded-io-async` on a TCP connection, shared references to it and its halves.
//!
//! `flush` is [`TcpStream::flush`]: what was written goes as soon as the windows let it, and nobody waits for that.
//! Time limits of the socket hold here too.

use ::embedded_io::{ErrorKind, ErrorType};

use crate::error::Error;
use crate::socket::{ReadHalf, TcpStream, WriteHalf};

impl ::embedded_io::Error for Error {
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
            Error::NoMatchingAddresses | Error::NameNotFound => ErrorKind::NotFound,
            Error::NotConnected | Error::StaleHandle => ErrorKind::NotConnected,
            Error::AlreadyConnected => ErrorKind::AlreadyExists,
            Error::BroadcastNotAllowed => ErrorKind::PermissionDenied,
            Error::OutOfMemory | Error::TooManySockets => ErrorKind::OutOfMemory,
            Error::NetUnreachable
            | Error::HostUnreachable
            | Error::PacketRejected
            | Error::TaskPanicked
            | Error::UnexpectedEof
            | Error::WouldBlock
            | Error::DeviceGone
            | Error::NetDown
            | Error::NameServerFailed
            | Error::NoNameServer
            | Error::Unconfigured => ErrorKind::Other,
        }
    }
}

/// The traits of reading, for what has `read`, `read_async` and `poll_readable`.
macro_rules! reads {
    ($($type:ty: |$this:ident| $stream:expr;)*) => {$(
        impl ::embedded_io::Read for $type {
            fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
                let $this = self;
                ReadHalf($stream).read(buf)
            }
        }

        impl embedded_io_async::Read for $type {
            async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
                let $this = self;
                ReadHalf($stream).read_async(buf).await
            }
        }

        impl ::embedded_io::ReadReady for $type {
            fn read_ready(&mut self) -> Result<bool, Error> {
                let $this = self;
                $stream.is_readable()
            }
        }
    )*};
}

/// The traits of writing.
macro_rules! writes {
    ($($type:ty: |$this:ident| $stream:expr;)*) => {$(
        impl ::embedded_io::Write for $type {
            fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
                let $this = self;
                WriteHalf($stream).write(data)
            }
            fn flush(&mut self) -> Result<(), Error> {
                let $this = self;
                $stream.push()
            }
        }

        impl embedded_io_async::Write for $type {
            async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
                let $this = self;
                WriteHalf($stream).write_async(data).await
            }
            async fn flush(&mut self) -> Result<(), Error> {
                let $this = self;
                $stream.push()
            }
        }

        impl ::embedded_io::WriteReady for $type {
            fn write_ready(&mut self) -> Result<bool, Error> {
                let $this = self;
                $stream.is_writable()
            }
        }
    )*};
}

impl ErrorType for TcpStream {
    type Error = Error;
}

impl ErrorType for &TcpStream {
    type Error = Error;
}

impl ErrorType for ReadHalf<'_> {
    type Error = Error;
}

impl ErrorType for WriteHalf<'_> {
    type Error = Error;
}

reads! {
    TcpStream: |this| this;
    &TcpStream: |this| *this;
    ReadHalf<'_>: |this| this.0;
}

writes! {
    TcpStream: |this| this;
    &TcpStream: |this| *this;
    WriteHalf<'_>: |this| this.0;
}

#[cfg(feature = "alloc")]
mod owned {
    use super::*;
    use crate::socket::{OwnedReadHalf, OwnedWriteHalf};

    impl ErrorType for OwnedReadHalf {
        type Error = Error;
    }

    impl ErrorType for OwnedWriteHalf {
        type Error = Error;
    }

    reads! {
        OwnedReadHalf: |this| AsRef::<TcpStream>::as_ref(this);
    }

    writes! {
        OwnedWriteHalf: |this| AsRef::<TcpStream>::as_ref(this);
    }
}
