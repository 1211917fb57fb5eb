//! The cases.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use barenet::Error;
use barenet::time::Duration;

use crate::ports::{self, SENT};
use crate::way::Way;

const SHORT: Option<Duration> = Some(Duration::from_millis(30));

/// Its name, and what must hold.
type Case<W> = (&'static str, fn(&Cases<W>));

/// The cases of one way and one family.
struct Cases<W> {
    way: W,
    /// The number of this way: a neighbour that does not answer is remembered for a while, so that each asks for others.
    number: u8,
    peer: IpAddr,
}

pub(crate) fn run<W: Way>(way: W, number: u8, peer: IpAddr, told: impl Fn(&str)) {
    let cases = Cases { way, number, peer };
    let all: [Case<W>; 16] = [
        ("refused", Cases::refused),
        ("reset while reading", Cases::reset_while_reading),
        ("reset while writing", Cases::reset_while_writing),
        ("closed by the peer", Cases::closed_by_the_peer),
        ("half-close, ours first", Cases::half_close_by_us),
        ("half-close, theirs first", Cases::half_close_by_the_peer),
        ("deadlines", Cases::deadlines),
        ("given up again and again", Cases::given_up_again_and_again),
        ("no route", Cases::no_route),
        ("no neighbour", Cases::no_neighbour),
        ("address in use", Cases::address_in_use),
        ("backlog full", Cases::backlog_full),
        ("nothing to read or send", Cases::nothing_to_read_or_send),
        ("truncated", Cases::truncated),
        ("delivered after the drop", Cases::delivered_after_the_drop),
        ("use after the end", Cases::use_after_the_end),
    ];
    for (name, case) in all {
        case(&cases);
        told(name);
    }
}

impl<W: Way> Cases<W> {
    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.peer, port)
    }

    /// Our address of the family, unspecified.
    fn any(&self) -> IpAddr {
        match self.peer {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// One of two addresses on the peer's link that nobody has.
    fn nobody(&self, which: u8) -> SocketAddr {
        let last = 0x60 | self.number << 1 | which;
        let address = match self.peer {
            IpAddr::V4(peer) => Ipv4Addr::from(u32::from(peer) ^ u32::from(last)).into(),
            IpAddr::V6(peer) => Ipv6Addr::from(u128::from(peer) ^ u128::from(last)).into(),
        };
        SocketAddr::new(address, ports::CLOSED)
    }

    fn open(&self, port: u16) -> W::Stream {
        self.way.connect(self.at(port), None).unwrap_or_else(|error| panic!("port {port}: {error}"))
    }

    fn write_all(&self, stream: &mut W::Stream, mut data: &[u8]) {
        while !data.is_empty() {
            let n = self.way.write(stream, data, None).unwrap();
            assert!(n > 0, "something was written");
            data = &data[n..];
        }
    }

    fn read_all(&self, stream: &mut W::Stream) -> Vec<u8> {
        let (mut all, mut buf) = (Vec::new(), [0; 1000]);
        loop {
            match self.way.read(stream, &mut buf, None).unwrap() {
                0 => return all,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    }

    fn read_text(&self, stream: &mut W::Stream) -> String {
        String::from_utf8(self.read_all(stream)).expect("text")
    }

    /// What the peer's last connection of `HALF` had.
    fn told(&self) -> String {
        self.read_text(&mut self.open(ports::TOLD))
    }

    /// Writes until that fails.
    fn write_until_it_fails(&self, stream: &mut W::Stream) -> Error {
        loop {
            if let Err(error) = self.way.write(stream, &[0x5a; 1000], None) {
                return error;
            }
        }
    }

    fn refused(&self) {
        for limit in [None, Some(Duration::from_secs(60))] {
            let refused = self.way.connect(self.at(ports::CLOSED), limit);
            assert_eq!(refused.err(), Some(Error::ConnectionRefused));
        }
    }

    fn reset_while_reading(&self) {
        let mut stream = self.open(ports::RESET);
        self.write_all(&mut stream, b"x");
        for _ in 0..2 {
            assert_eq!(self.way.read(&mut stream, &mut [0; 9], None), Err(Error::ConnectionReset));
            assert_eq!(self.way.write(&mut stream, b"x", None), Err(Error::ConnectionReset));
        }
    }

    fn reset_while_writing(&self) {
        let mut stream = self.open(ports::UNREAD);
        assert_eq!(self.write_until_it_fails(&mut stream), Error::ConnectionReset);
        assert_eq!(self.way.read(&mut stream, &mut [0; 9], None), Err(Error::ConnectionReset));
    }

    fn closed_by_the_peer(&self) {
        let mut stream = self.open(ports::BYE);
        assert_eq!(self.read_all(&mut stream), b"bye");
        assert_eq!(self.way.read(&mut stream, &mut [0; 9], None), Ok(0), "the end stays");
        assert_eq!(self.write_until_it_fails(&mut stream), Error::ClosedByPeer);
    }

    fn half_close_by_us(&self) {
        let mut stream = self.open(ports::COUNT);
        self.write_all(&mut stream, &vec![7; 100_000]);
        self.way.finish(&mut stream).unwrap();
        assert_eq!(self.way.write(&mut stream, b"x", None), Err(Error::ClosedLocally));
        assert_eq!(self.read_text(&mut stream), "100000");
    }

    fn half_close_by_the_peer(&self) {
        let mut stream = self.open(ports::HALF);
        assert_eq!(self.way.read(&mut stream, &mut [0; 9], None), Ok(0));
        self.write_all(&mut stream, &vec![7; 50_000]);
        self.way.finish(&mut stream).unwrap();
        assert_eq!(self.told(), "50000");
    }

    /// What was given up can be done again.
    fn deadlines(&self) {
        let late = self.way.connect(self.nobody(0), SHORT);
        assert_eq!(late.err(), Some(Error::TimedOut), "connect");

        let mut stream = self.open(ports::COUNT);
        assert_eq!(self.way.read(&mut stream, &mut [0; 9], SHORT), Err(Error::TimedOut), "read");
        self.write_all(&mut stream, b"four");
        self.way.finish(&mut stream).unwrap();
        assert_eq!(self.read_text(&mut stream), "4");

        let mut stream = self.open(ports::SILENT);
        let late = loop {
            if let Err(error) = self.way.write(&mut stream, &[0; 60_000], SHORT) {
                break error;
            }
        };
        assert_eq!(late, Error::TimedOut, "write");
        self.way.abort(&mut stream);

        let (listener, port) = self.way.listen((self.any(), 0), 5).unwrap();
        assert_eq!(self.way.accept(&listener, SHORT).err(), Some(Error::TimedOut), "accept");
        assert_eq!(self.called(&listener, port, 1), "1");

        let socket = self.way.bind((self.any(), 0)).unwrap();
        let late = self.way.recv_from(&socket, &mut [0; 9], SHORT);
        assert_eq!(late, Err(Error::TimedOut), "recv");
        self.way.send_to(&socket, b"abc", self.at(ports::ECHO)).unwrap();
        let told = self.way.recv_from(&socket, &mut [0; 9], None).unwrap();
        assert_eq!((told.len, told.from, told.is_truncated), (3, self.at(ports::ECHO), false));
    }

    /// A call that ends at once, or nearly, loses nothing.
    fn given_up_again_and_again(&self) {
        let mut stream = self.open(ports::SOURCE);
        let (mut read, mut given_up, mut buf) = (0, 0, [0; 700]);
        while read < SENT {
            // Nothing at first, which a slow machine makes of any limit.
            let limit = Some(Duration::from_micros(if read < SENT / 2 { 0 } else { given_up % 50 }));
            match self.way.read(&mut stream, &mut buf, limit) {
                Ok(n) => {
                    assert!(n > 0, "it ended at {read}");
                    let right = buf[..n].iter().zip(read..).all(|(&byte, place)| byte == (place % 251) as u8);
                    assert!(right, "wrong bytes between {read} and {}", read + n);
                    read += n;
                }
                Err(error) => {
                    assert_eq!(error, Error::TimedOut);
                    given_up += 1;
                }
            }
        }
        assert_eq!(self.way.read(&mut stream, &mut buf, None), Ok(0));
    }

    /// Only where there is no default route.
    fn no_route(&self) {
        let to: SocketAddr = match self.peer {
            IpAddr::V4(_) => "192.0.2.1:6000".parse().unwrap(),
            IpAddr::V6(_) => "[2001:db8::1]:6000".parse().unwrap(),
        };
        assert_eq!(self.way.connect(to, None).err(), Some(Error::NetUnreachable));
        let socket = self.way.bind((self.any(), 0)).unwrap();
        assert_eq!(self.way.send_to(&socket, b"x", to), Err(Error::NetUnreachable));
    }

    fn no_neighbour(&self) {
        assert_eq!(self.way.connect(self.nobody(1), None).err(), Some(Error::HostUnreachable));
    }

    fn address_in_use(&self) {
        let (_listener, port) = self.way.listen((self.any(), 0), 5).unwrap();
        let again = self.way.listen((self.any(), port), 5);
        assert_eq!(again.err(), Some(Error::AddrInUse), "port {port}");
        let _socket = self.way.bind((self.any(), 6999)).unwrap();
        assert_eq!(self.way.bind((self.any(), 6999)).err(), Some(Error::AddrInUse));
    }

    /// Lets the peer connect `n` times at once: how many were told their ports.
    fn called(&self, listener: &W::Listener, port: u16, n: usize) -> String {
        let mut control = self.open(ports::CALL);
        self.write_all(&mut control, format!("{port} {n}\n").as_bytes());
        for _ in 0..n {
            let mut stream = self.way.accept(listener, None).unwrap();
            self.write_all(&mut stream, b"served");
        }
        self.read_text(&mut control)
    }

    /// Those that the backlog has no room for come again, and are served then.
    fn backlog_full(&self) {
        let (listener, port) = self.way.listen((self.any(), 0), 2).unwrap();
        assert_eq!(self.called(&listener, port, 7), "7");
    }

    fn nothing_to_read_or_send(&self) {
        let mut stream = self.open(ports::SILENT);
        assert_eq!(self.way.read(&mut stream, &mut [], None), Ok(0));
        assert_eq!(self.way.write(&mut stream, &[], None), Ok(0));
        let socket = self.way.bind((self.any(), 0)).unwrap();
        self.way.send_to(&socket, b"", self.at(ports::ECHO)).unwrap();
        let told = self.way.recv_from(&socket, &mut [0; 9], None).unwrap();
        assert_eq!((told.len, told.from, told.is_truncated), (0, self.at(ports::ECHO), false));
    }

    fn truncated(&self) {
        let socket = self.way.bind((self.any(), 0)).unwrap();
        self.way.send_to(&socket, b"?", self.at(ports::LONG)).unwrap();
        let mut buf = [0; 10];
        let told = self.way.recv_from(&socket, &mut buf, None).unwrap();
        assert_eq!((told.len, told.is_truncated), (10, true));
        let told = self.way.recv_from(&socket, &mut buf, None).unwrap();
        assert_eq!((&buf[..told.len], told.is_truncated), (&b"end"[..], false), "the rest is gone");
    }

    fn delivered_after_the_drop(&self) {
        let mut stream = self.open(ports::HALF);
        self.write_all(&mut stream, &vec![7; 200_000]);
        drop(stream);
        assert_eq!(self.told(), "200000");
    }

    fn use_after_the_end(&self) {
        let mut stream = self.open(ports::SILENT);
        self.way.abort(&mut stream);
        for _ in 0..2 {
            let ended = [Error::ClosedLocally, Error::ConnectionAborted];
            let read = self.way.read(&mut stream, &mut [0; 9], None).unwrap_err();
            let written = self.way.write(&mut stream, b"x", None).unwrap_err();
            assert!(ended.contains(&read) && ended.contains(&written), "{read:?}, {written:?}");
        }
        let (listener, port) = self.way.listen((self.any(), 0), 5).unwrap();
        self.way.close(&listener);
        assert_eq!(self.way.accept(&listener, None).err(), Some(Error::ClosedLocally));
        assert!(self.way.listen((self.any(), port), 5).is_ok(), "its port is free");
    }
}
