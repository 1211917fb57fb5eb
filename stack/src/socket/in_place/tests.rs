//! Reading and writing in place, over the loopback of a network that nobody else turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec::Vec;

use super::*;
use crate::base::wakers::NOBODY;
use crate::net::Net;
use crate::socket::alone::net;
use crate::socket::{Shutdown, TcpListener, UdpSocket};

fn pair(net: &Net) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(net, "127.0.0.1:0").unwrap();
    let client = TcpStream::connect(net, listener.local_addr()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Takes `n` bytes, and copies all that is shown.
fn take(n: usize) -> impl FnOnce(&[&[u8]]) -> (usize, Vec<u8>) {
    move |pieces| (n, pieces.concat())
}

/// Writes `data` as far as there is room, and says how much that was.
fn put(data: &[u8]) -> impl FnOnce(&mut [u8]) -> (usize, usize) {
    move |room| {
        let n = room.len().min(data.len());
        room[..n].copy_from_slice(&data[..n]);
        (n, n)
    }
}

/// Contract M11: what has arrived is lent; what is left stays for the next read, of either kind, and more than was shown
/// can't be taken. The end of the stream is no pieces, each time.
#[test]
fn read_in_place_takes_what_it_says_and_leaves_the_rest() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    assert_eq!(server.try_read_with(take(0)), Err(Error::WouldBlock));
    client.write_all(b"in the stack's memory").unwrap();
    assert_eq!(server.read_with(take(3)).unwrap(), b"in the stack's memory");
    assert_eq!(server.read_with(take(0)).unwrap(), b"the stack's memory");
    let mut buf = [0; 4];
    server.read_exact(&mut buf).unwrap();
    assert_eq!(
        (&buf, server.try_read_with(take(usize::MAX)).unwrap()),
        (b"the ", b"stack's memory".to_vec())
    );
    assert!(server.poll_read_with(&mut Context::from_waker(NOBODY), take(9)).is_pending());
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let read = net.block_on(async { server.read_with_async(take(4)).await });
    assert_eq!(read.unwrap(), b"last");
    assert_eq!(server.read_with(take(4)).unwrap(), b"");
    assert_eq!((server.read(&mut buf), server.read_with(take(4)).unwrap()), (Ok(0), Vec::new()));
}

/// Contract M11, E2: after a failure what had come in order is shown, and then the error, on every call.
#[test]
fn read_in_place_of_a_connection_that_is_over_gives_its_rest_then_the_error() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    client.write_all(b"rest").unwrap();
    assert_eq!(server.read_with(take(1)).unwrap(), b"rest");
    client.abort();
    net.turn();
    assert_eq!(server.read_with(take(1)).unwrap(), b"est");
    assert_eq!(server.read_with(take(9)).unwrap(), b"st");
    assert_eq!(server.read_with(take(9)), Err(Error::ConnectionReset));
    assert_eq!(server.try_read_with(take(9)), Err(Error::ConnectionReset));
    assert_eq!(server.write_with(1, put(b"x")), Err(Error::ConnectionReset));

    // The peer's FIN, then what only a reset answers: the end is told once, as by `read`.
    let (mut client, mut server) = pair(&net);
    client.shutdown(Shutdown::Write).unwrap();
    net.turn();
    drop(client);
    let _ = server.write(b"nobody");
    net.turn();
    net.turn();
    assert_eq!(server.read_with(take(0)), Ok(Vec::new()));
    assert_eq!(server.read_with(take(0)), Err(Error::ConnectionReset));
}

/// Contract M11: a long read comes in several pieces and whole; halves read as the stream does.
#[test]
fn read_in_place_of_much_gives_all_of_it_in_order() {
    let net = net();
    let (client, server) = pair(&net);
    let ((_unused, mut writer), (mut reader, _other)) = (client.into_split(), server.into_split());
    let data: Vec<u8> = (0..300_000_u32).map(|n| (n / 7) as u8).collect();
    let (mut sent, mut all, mut most) = (0, Vec::new(), 0);
    while all.len() < data.len() {
        while let Ok(n) = writer.half().try_write_with(50_000, put(&data[sent..])) {
            sent += n;
            if n == 0 {
                break;
            }
        }
        let part = reader
            .half()
            .read_with(|pieces| {
                most = most.max(pieces.len());
                (pieces.concat().len() - 1, pieces.concat())
            })
            .unwrap();
        all.extend_from_slice(&part[..part.len() - 1]);
        if all.len() + 1 == data.len() {
            all.extend(reader.half().read_with(take(1)).unwrap());
        }
    }
    assert!(all == data && most > 1, "{} of {} bytes, {most} pieces", all.len(), data.len());
}

/// Contract M30: what is written in place goes out in order with what is copied; a write of nothing is nothing; a full
/// buffer is said to be one.
#[test]
fn write_in_place_sends_what_it_says_in_order() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    client.write_all(b"one, ").unwrap();
    assert_eq!(client.write_with(100, put(b"two, ")), Ok(5));
    assert_eq!(client.try_write_with(3, |room| (0, room.len())), Ok(3));
    assert_eq!(client.write_with(0, |room| (0, room.len())), Ok(1), "there is a byte at least");
    client.write_all(b"three, ").unwrap();
    let wrote = net.block_on(async { client.write_with_async(100, put(b"four")).await });
    assert_eq!(wrote, Ok(4));
    let more_than_there_is = |room: &mut [u8]| {
        room.fill(b'!');
        (usize::MAX, room.len())
    };
    assert_eq!(client.write_with(3, more_than_there_is), Ok(3));
    let mut buf = [0; 24];
    server.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"one, two, three, four!!!");

    let mut data = Vec::new();
    while let Ok(n) = client.try_write_with(usize::MAX, |room| {
        room.fill(data.len() as u8);
        (room.len(), room.len())
    }) {
        data.extend(std::iter::repeat_n(data.len() as u8, n));
    }
    assert!(client.poll_write_with(&mut Context::from_waker(NOBODY), 1, put(b"x")).is_pending());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.write_with(1, put(b"x")), Err(Error::ClosedLocally));
    let mut all = Vec::new();
    loop {
        match server.read_with(take(usize::MAX)).unwrap() {
            more if more.is_empty() => break,
            more => all.extend(more),
        }
    }
    assert!(all == data && !data.is_empty());
    net.with_stack(|stack| stack.check());
}

/// Contract M11, M30, H228: a closure that panics, or uses the network from within, has taken and written nothing, and the
/// connection goes on.
#[test]
fn closure_that_panics_takes_nothing() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    client.write_all(b"whole").unwrap();
    let other = net.clone();
    let within = catch_unwind(AssertUnwindSafe(|| {
        server.read_with(|_| {
            other.turn();
            (5, ())
        })
    }));
    assert!(within.is_err(), "the network was used under its lock");
    let fails =
        catch_unwind(AssertUnwindSafe(|| client.write_with(9, |_| -> (usize, ()) { panic!("on purpose") })));
    assert!(fails.is_err());
    assert_eq!(client.write_with(9, put(b"!")), Ok(1));
    net.turn();
    net.turn();
    assert_eq!(server.read_with(take(9)).unwrap(), b"whole!");
    net.with_stack(|stack| stack.check());
}

/// Contract M30, D17: a datagram is filled in place and read in place; what is empty is one, and what a closure says beyond
/// its room is not sent.
#[cfg(feature = "fragments")]
#[test]
fn datagram_in_place_goes_and_comes_whole() {
    let net = net();
    let (a, b) =
        (UdpSocket::bind(&net, "127.0.0.1:0").unwrap(), UdpSocket::bind(&net, "127.0.0.1:0").unwrap());
    let to = b.local_addr().unwrap();
    let fill = |len: usize| {
        move |room: &mut [u8]| {
            room.iter_mut().zip(0_u32..).for_each(|(byte, n)| *byte = (n / 3) as u8);
            len
        }
    };
    let look = || b.recv_with(|pieces, received| (pieces.concat(), received.datagram_len, received.from));
    for (len, says, sent) in [(100, 60, 60), (100, 500, 100), (0, 0, 0), (30_000, 30_000, 30_000)] {
        assert_eq!(a.send_with(len, Some(to), fill(says)), Ok(sent));
        let expected: Vec<u8> = (0..sent as u32).map(|n| (n / 3) as u8).collect();
        let (bytes, len, from) = look().unwrap();
        assert!(bytes == expected && len == sent && Ok(from) == a.local_addr(), "{sent}");
    }
    assert_eq!(b.try_recv_with(|_, _| ()), Err(Error::WouldBlock));
    assert!(b.poll_recv_with(&mut Context::from_waker(NOBODY), |_, _| ()).is_pending());
    a.connect(to).unwrap();
    assert_eq!(a.try_send_with(3, None, fill(3)), Ok(3));
    assert_eq!(a.send_with(3, Some(to), fill(3)), Err(Error::AlreadyConnected));
    assert_eq!(net.block_on(async { a.send_with_async(4, None, fill(4)).await }), Ok(4));
    assert_eq!(net.block_on(async { b.recv_with_async(|pieces, _| pieces.concat().len()).await }), Ok(3));
    assert_eq!(look().unwrap().1, 4);
    let too_long = a.send_with(70_000, None, fill(70_000));
    assert!(matches!(too_long, Err(Error::MessageTooLong { .. })), "{too_long:?}");
}
