//! `embedded-io` and `embedded-io-async`.

use ::embedded_io::{Error as _, ErrorKind, Read, ReadReady, Write, WriteReady};

use super::*;

fn exchange(mut from: impl Write + WriteReady, mut to: impl Read + ReadReady) {
    assert!(from.write_ready().unwrap());
    assert!(!to.read_ready().unwrap());
    from.write_all(b"hello").unwrap();
    assert!(!to.read_ready().unwrap(), "the cork holds it");
    from.flush().unwrap();
    assert!(to.read_ready().unwrap());
    let mut buf = [0; 5];
    to.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"hello");
}

async fn exchange_async(
    mut from: impl embedded_io_async::Write,
    mut to: impl embedded_io_async::Read + ReadReady,
) {
    from.write_all(b"hello").await.unwrap();
    assert!(!to.read_ready().unwrap(), "the cork holds it");
    from.flush().await.unwrap();
    let mut buf = [0; 5];
    to.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"hello");
}

/// Every type that carries a stream has every trait, blocking and async.
#[test]
fn embedded_io_on_all_types_moves_the_same_stream() {
    let net = net();
    let (mut client, mut server) = corked(&net);
    exchange(&mut client, &mut server);
    exchange(&server, &client);
    exchange(client.split().1, server.split().0);
    net.block_on(async {
        exchange_async(&mut client, &mut server).await;
        exchange_async(&server, &client).await;
        exchange_async(client.split().1, server.split().0).await;
    });
    let ((reader, writer), (mut far_reader, mut far_writer)) = (client.into_split(), server.into_split());
    exchange(writer, &mut far_reader);
    net.block_on(exchange_async(&mut far_writer, reader));
}

/// Readiness tells an end and a failure too, and a full buffer is not ready.
#[test]
fn embedded_io_readiness_follows_the_connection() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    while client.write_ready().unwrap() {
        Write::write(&mut client, &[1; 4096]).unwrap();
    }
    assert!(server.read_ready().unwrap());
    let mut buf = [0; 4096];
    while !client.write_ready().unwrap() {
        Read::read(&mut server, &mut buf).unwrap();
    }
    server.abort();
    net.turn();
    assert_eq!(client.write_ready(), Ok(true), "a write would fail at once");
    assert_eq!(Write::write_all(&mut client, b"x"), Err(Error::ConnectionReset));
}

/// Each error has the kind that `embedded-io` and the standard library have for it.
#[test]
fn embedded_io_errors_have_the_kinds_of_the_standard_library() {
    use ErrorKind as K;
    let kinds = [
        (Error::ConnectionRefused, K::ConnectionRefused),
        (Error::ConnectionReset, K::ConnectionReset),
        (Error::ConnectionAborted, K::ConnectionAborted),
        (Error::ClosedByPeer, K::BrokenPipe),
        (Error::ClosedLocally, K::BrokenPipe),
        (Error::TimedOut, K::TimedOut),
        (Error::AddrInUse, K::AddrInUse),
        (Error::AddrNotAvailable, K::AddrNotAvailable),
        (Error::AddrInvalid, K::InvalidInput),
        (Error::MessageTooLong { limit: 1 }, K::InvalidInput),
        (Error::NoMatchingAddresses, K::NotFound),
        (Error::NotConnected, K::NotConnected),
        (Error::AlreadyConnected, K::AlreadyExists),
        (Error::BroadcastNotAllowed, K::PermissionDenied),
        (Error::OutOfMemory, K::OutOfMemory),
    ];
    for (error, kind) in kinds {
        assert_eq!(error.kind(), kind, "{error}");
        let in_std = std::io::Error::from(error).kind();
        assert_eq!(std::format!("{in_std:?}"), std::format!("{kind:?}"), "{error}");
    }
    // What `embedded-io` has no word for.
    for error in [Error::NetUnreachable, Error::HostUnreachable, Error::WouldBlock, Error::NetDown] {
        assert_eq!(error.kind(), K::Other, "{error}");
    }
}
