//! Every trait on our own sockets, over the loopback of a network that nobody else turns.

#[cfg(any(feature = "edge-nal", feature = "embedded-nal-async"))]
use core::net::SocketAddr;
use std::vec::Vec;

use crate::error::Error;
use crate::net::Net;
use crate::socket::alone::net;
use crate::socket::{TcpListener, TcpStream};

#[cfg(feature = "edge-nal")]
mod edge;
#[cfg(feature = "embedded-io")]
mod io;
#[cfg(feature = "embedded-nal-async")]
mod nal;
#[cfg(feature = "picoserve")]
mod pico;

#[cfg(any(feature = "edge-nal", feature = "embedded-nal-async"))]
fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn pair(net: &Net) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(net, 0).unwrap();
    let client = TcpStream::connect(net, ("127.0.0.1", listener.local_addr().port())).unwrap();
    (client, listener.accept().unwrap().0)
}

/// As [`pair`]; only a flush sends what is less than a segment.
fn corked(net: &Net) -> (TcpStream, TcpStream) {
    let (client, server) = pair(net);
    for end in [&client, &server] {
        end.configure(|options| options.cork = true).unwrap();
    }
    (client, server)
}

/// Contract of `std::io`: shared references and owned halves read and write as the stream does.
#[test]
fn std_io_by_reference_and_by_halves_moves_the_same_stream() {
    use std::io::{IoSlice, Read, Write};
    let net = net();
    let (client, server) = corked(&net);
    (&client).write_all(b"ab").unwrap();
    assert_eq!((&client).write_vectored(&[IoSlice::new(b"c"), IoSlice::new(b"de")]).unwrap(), 3);
    assert!(!server.is_readable().unwrap());
    (&client).flush().unwrap();
    assert!(server.is_readable().unwrap());
    let mut buf = [0; 5];
    (&server).read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"abcde");
    let (mut reader, mut writer) = server.into_split();
    Write::write_all(&mut writer, b"back").unwrap();
    assert_eq!(writer.write_vectored(&[IoSlice::new(b"!")]).unwrap(), 1);
    assert!(!client.is_readable().unwrap());
    Write::flush(&mut writer).unwrap();
    assert!(client.is_readable().unwrap());
    drop(writer);
    let mut all = Vec::new();
    (&client).read_to_end(&mut all).unwrap();
    assert_eq!(all, b"back!");
    client.abort();
    let reset = Read::read(&mut reader, &mut buf).unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(*reset.get_ref().unwrap().downcast_ref::<Error>().unwrap(), Error::ConnectionReset);
}

/// `futures-io`: a whole exchange on streams, references and halves; closing is a FIN.
#[cfg(feature = "futures-io")]
#[test]
fn futures_io_on_all_types_moves_the_same_stream() {
    use ::futures_io::{AsyncRead, AsyncWrite};
    use core::future::poll_fn;
    use core::pin::Pin;
    async fn write(mut to: impl AsyncWrite + Unpin, data: &[u8]) -> std::io::Result<usize> {
        let n = poll_fn(|cx| Pin::new(&mut to).poll_write(cx, data)).await?;
        poll_fn(|cx| Pin::new(&mut to).poll_flush(cx)).await.map(|()| n)
    }
    async fn read(mut from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
        let mut buf = [0; 9];
        let n = poll_fn(|cx| Pin::new(&mut from).poll_read(cx, &mut buf)).await?;
        Ok(buf[..n].to_vec())
    }
    let net = net();
    let (mut client, mut server) = corked(&net);
    net.block_on(async {
        assert_eq!(write(&mut client, b"one").await.unwrap(), 3);
        assert_eq!(read(&server).await.unwrap(), b"one");
        assert_eq!(write(&server, b"two").await.unwrap(), 3);
        assert_eq!(read(&mut client).await.unwrap(), b"two");
        let (_, mut half) = client.split();
        write(&mut half, b"three").await.unwrap();
        assert_eq!(read(server.split().0).await.unwrap(), b"three");
        let (mut reader, mut writer) = server.into_split();
        write(&mut writer, b"four").await.unwrap();
        poll_fn(|cx| Pin::new(&mut writer).poll_close(cx)).await.unwrap();
        assert_eq!(read(&client).await.unwrap(), b"four");
        assert_eq!(read(&client).await.unwrap(), b"", "closing is a FIN");
        client.abort();
        let error = read(&mut reader).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}
