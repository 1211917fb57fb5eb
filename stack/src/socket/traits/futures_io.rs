//! The traits of `futures-io` on a TCP connection, shared references to it and its halves.
//!
//! `poll_flush` is ready at once, as [`flush`](TcpStream::flush) is; `poll_close` sends a FIN after what was written and does not
//! wait for its acknowledgment.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::futures_io::{AsyncRead, AsyncWrite};

use crate::socket::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, Shutdown, TcpStream, WriteHalf};

macro_rules! reads {
    ($($type:ty: |$this:ident| $stream:expr;)*) => {$(
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                ReadHalf($stream).poll_read(cx, buf).map_err(io::Error::from)
            }
        }
    )*};
}

macro_rules! writes {
    ($($type:ty: |$this:ident| $stream:expr;)*) => {$(
        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                WriteHalf($stream).poll_write(cx, data).map_err(io::Error::from)
            }
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                Poll::Ready($stream.push().map_err(io::Error::from))
            }
            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                Poll::Ready($stream.shut(Shutdown::Write).map_err(io::Error::from))
            }
        }
    )*};
}

reads! {
    TcpStream: |this| this;
    &TcpStream: |this| *this;
    ReadHalf<'_>: |this| this.0;
    OwnedReadHalf: |this| AsRef::<TcpStream>::as_ref(this);
}

writes! {
    TcpStream: |this| this;
    &TcpStream: |this| *this;
    WriteHalf<'_>: |this| this.0;
    OwnedWriteHalf: |this| AsRef::<TcpStream>::as_ref(this);
}
