//! The faces of TCP's sockets, over the loopback of a network that nobody else turns.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::socket::TcpListener;
use crate::socket::alone::net;

fn pair(net: &Net) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(net, 0).unwrap();
    let client = TcpStream::connect(
        net,
        ("127.0.0.1".parse::<core::net::IpAddr>().unwrap(), listener.local_addr().port()),
    );
    (client.unwrap(), listener.accept().unwrap().0)
}

/// T12: each option that is set is read back; those of a builder count from the start, and a listener's
/// are inherited.
#[test]
fn options_are_read_back() {
    let net = net();
    let (mut client, _server) = pair(&net);
    assert_eq!(client.options(), Ok(TcpOptions::default()));
    client.set_nodelay(true).unwrap();
    client.set_ttl(9).unwrap();
    client.set_linger(Some(Duration::from_secs(3))).unwrap();
    client.set_keep_alive(Some(KeepAlive::default())).unwrap();
    client.set_user_timeout(Some(Duration::from_secs(30))).unwrap();
    client.configure(|o| o.dscp = 46).unwrap();
    assert_eq!((client.nodelay(), client.ttl(), client.options().unwrap().dscp), (Ok(true), Ok(9), 46));
    assert_eq!(client.linger(), Ok(Some(Duration::from_secs(3))));
    assert_eq!(client.keep_alive(), Ok(Some(KeepAlive::default())));
    assert_eq!(client.user_timeout(), Ok(Some(Duration::from_secs(30))));
    assert_eq!(client.set_ttl(0), Err(Error::InvalidInput("hop_limit is 0")));
    assert_eq!(client.ttl(), Ok(9));

    let builder = TcpBuilder::new(&net).options(|o| o.max_segment = Some(600)).backlog(1);
    let listener = builder.listen(7).unwrap();
    listener.configure(|o| o.nodelay = true).unwrap();
    let from = builder.clone().local("127.0.0.2:99").unwrap();
    let client = from.connect("127.0.0.1:7").unwrap();
    assert_eq!(client.local_addr(), Ok("127.0.0.2:99".parse().unwrap()));
    let server = listener.incoming().next().unwrap().unwrap();
    assert!(server.nodelay().unwrap() && !client.nodelay().unwrap());
    assert_eq!((client.info().unwrap().mss, server.options().unwrap().max_segment), (600 - 12, Some(600)));
    let bad = builder.options(|o| o.dscp = 64);
    assert_eq!(bad.connect("127.0.0.1:7").err(), Some(Error::InvalidInput("dscp is above 63")));
    assert_eq!(bad.listen(8).err(), Some(Error::InvalidInput("dscp is above 63")));
    assert!(TcpListener::bind(&net, 8).is_ok(), "nothing is left of it");
}

/// T12, B07: with `linger`, closing waits for the peer to have everything, and no longer than it should;
/// what is left is delivered all the same. Zero resets.
#[test]
fn closing_waits() {
    let net = net();
    let read_all = |server: &mut TcpStream| {
        let (mut all, mut buf) = (Vec::new(), vec![0; 60_000]);
        loop {
            match server.read(&mut buf).unwrap() {
                0 => return all,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    };
    let (mut client, mut server) = pair(&net);
    client.set_linger(Some(Duration::from_secs(3))).unwrap();
    client.write_all(b"little").unwrap();
    let start = net.now();
    assert_eq!(client.close(), Ok(()));
    assert!(net.now().since(start) < Duration::from_secs(1));
    assert_eq!(read_all(&mut server), b"little");

    let (mut client, mut server) = pair(&net);
    client.set_linger(Some(Duration::from_secs(3))).unwrap();
    server.configure(|o| o.receive_buffer = Some(10_000)).unwrap();
    let data = vec![7; 200_000];
    client.write_all(&data).unwrap();
    let start = net.now();
    assert_eq!(client.close(), Err(Error::TimedOut));
    let waited = net.now().since(start);
    assert!(waited >= Duration::from_secs(3) && waited < Duration::from_millis(3_100), "{waited:?}");
    assert_eq!(read_all(&mut server).len(), data.len());

    let (mut client, mut server) = pair(&net);
    client.set_linger(Some(Duration::ZERO)).unwrap();
    client.write_all(b"lost").unwrap();
    assert_eq!(client.close(), Ok(()));
    while server.read(&mut [0; 9]).is_ok() {}
    assert_eq!(server.take_error(), Ok(Some(Error::ConnectionReset)));
}

/// With `linger` and unread text: closing waits for the peer to have the answer and the end, and is content; the
/// reset for what was lost follows them.
#[test]
fn closing_waits_with_unread_text() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    server.write_all(b"unread").unwrap();
    net.pause(Duration::from_millis(1));
    client.set_linger(Some(Duration::from_secs(3))).unwrap();
    client.write_all(b"answer").unwrap();
    assert_eq!(client.close(), Ok(()));
    net.pause(Duration::from_millis(1));
    let mut buf = [0; 9];
    assert_eq!((server.take_error(), server.read(&mut buf)), (Ok(Some(Error::ConnectionReset)), Ok(6)));
    assert_eq!(server.read(&mut buf), Ok(0));
    assert_eq!(server.read(&mut buf), Err(Error::ConnectionReset));
    assert_eq!(server.write(b"x"), Err(Error::ClosedByPeer));
}

/// M15, M18, M19, H229: the last words, all of them or none; both ends of a connection.
#[test]
fn last_words_and_tags() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    assert_eq!(client.write_without_interruption(b"all of it"), Ok(()));
    assert_eq!(client.write_without_interruption(&vec![0; 1 << 20]), Err(Error::WouldBlock));
    let tags = client.tags().unwrap();
    assert_eq!((Ok(tags.local), Ok(tags.remote)), (client.local_addr(), client.peer_addr()));
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.write_without_interruption(b"x"), Err(Error::ClosedLocally));
    drop(client);
    let mut all = [0; 20];
    assert_eq!((server.read(&mut all), server.read(&mut [0])), (Ok(9), Ok(0)));
}

/// M17: after `shutdown(Read)` the peer's writes fail; after `shutdown(Both)` as writes to a closed peer.
#[test]
fn shutdown_of_reading_fails_the_peers_writes() {
    let net = net();
    for (how, error) in [(Shutdown::Read, Error::ConnectionReset), (Shutdown::Both, Error::ClosedByPeer)] {
        let (mut client, mut server) = pair(&net);
        server.shutdown(how).unwrap();
        assert_eq!(server.read(&mut [0; 9]), Ok(0));
        net.pause(Duration::from_millis(1));
        let failed = loop {
            if let Err(error) = client.write_all(b"more") {
                break error;
            }
            net.pause(Duration::from_millis(1));
        };
        assert_eq!(failed, error);
    }
}

/// Contract M16, M23, H228: dropping a stream takes no time, whatever is unsent; the stack carries it to its end.
#[test]
fn dropping_does_not_wait() {
    let net = net();
    let (mut client, mut server) = pair(&net);
    let mut written = 0;
    while let Ok(n) = client.try_write(&[7; 1000]) {
        written += n;
    }
    let before = net.now();
    drop(client);
    assert_eq!(net.now(), before);
    let mut buf = [0; 4096];
    let mut read = 0;
    loop {
        match server.read(&mut buf).unwrap() {
            0 => break,
            n => read += n,
        }
    }
    assert_eq!(read, written);
}

/// Contract M6, H230, H235: handles may be kept in structs, sent to other threads and used from several, by their types.
#[test]
fn handles_own_what_they_need() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Net>();
    anywhere::<TcpStream>();
    anywhere::<TcpListener>();
    anywhere::<crate::socket::UdpSocket>();
    anywhere::<crate::socket::PingSocket>();
}
