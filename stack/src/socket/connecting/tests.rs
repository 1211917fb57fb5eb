//! Names from end to end, beside a name server on the loopback, in virtual time.

use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr};
use core::pin::pin;
use core::task::Poll;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::names::{Name, RecordType};
use crate::net::addr_info::{Hints, HostName, NameInfoFlags, ServiceName, SocketType};
use crate::socket::alone;
use crate::{TcpListener, UdpSocket};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A network that asks a server of its own.
fn net() -> Net {
    let net = alone::net();
    net.configure_names(DnsConfig::with_server(SERVER)).unwrap();
    net
}

/// The records that the server has; a name without any does not exist.
const ZONE: &[(&str, u16, &[u8])] = &[
    ("www.example", 1, &[127, 0, 0, 1]),
    ("www.example", 28, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ("v4.example", 1, &[127, 0, 0, 1]),
    ("alias.example", 5, b"\x03www\x07example\0"),
    ("1.0.0.127.in-addr.arpa", 12, b"\x03www\x07example\0"),
    ("_echo._tcp.example", 33, b"\0\x01\0\x02\0\x07\x03www\x07example\0"),
    ("text.example", 16, b"\x05hello\x05there"),
];

/// The answer to a question. Of names that begin with "long" the datagram is cut.
fn answer(query: &[u8], by_tcp: bool) -> Vec<u8> {
    let (name, end) = Name::read(query, 12).unwrap();
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let mut message = query[..end + 4].to_vec();
    message[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    let is_long = name.labels().next().is_some_and(|label| label.eq_ignore_ascii_case(b"long"));
    if is_long && !by_tcp {
        message[2] |= 2;
        return message;
    }
    let mut owner = if is_long { Name::new("v4.example").unwrap() } else { name };
    let records =
        |owner: &Name| ZONE.iter().filter(|r| Name::new(r.0).unwrap() == *owner).collect::<Vec<_>>();
    if records(&owner).is_empty() {
        message[3] |= 3;
    }
    let mut pass = |owner: &Name, kind: u16| {
        let mut found = None;
        for record in records(owner).iter().filter(|r| r.1 == kind) {
            let owner = if is_long { &name } else { owner };
            message.extend(owner.as_bytes());
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend((record.2.len() as u16).to_be_bytes());
            message.extend(record.2);
            message[7] += 1;
            found = Some(record.2);
        }
        found
    };
    if let Some(target) = pass(&owner, 5) {
        owner = Name::read(target, 0).unwrap().0;
    }
    pass(&owner, kind);
    message
}

/// Answers datagrams and, one connection after the other, what comes by TCP.
async fn serve(net: &Net) -> Result<(), Error> {
    let udp = UdpSocket::bind(net, "127.0.0.1:53")?;
    let tcp = TcpListener::bind(net, "127.0.0.1:53")?;
    let datagrams = async {
        let mut buf = [0; 512];
        loop {
            let (len, from) = udp.recv_from_async(&mut buf).await?;
            udp.send_to_async(&answer(&buf[..len], false), from).await?;
        }
    };
    let streams = async {
        loop {
            let (mut stream, _) = tcp.accept_async().await?;
            let mut buf = [0; 512];
            let mut len = 0;
            while len < 2 || len < 2 + usize::from(buf[1]) {
                len += stream.read_async(&mut buf[len..]).await?;
            }
            let answer = answer(&buf[2..len], true);
            // In two parts.
            stream.write_all_async(&(answer.len() as u16).to_be_bytes()).await?;
            stream.write_all_async(&answer).await?;
        }
    };
    beside(datagrams, streams).await
}

/// The end of the second; the first goes on until then.
async fn beside<R>(first: impl Future<Output = Result<(), Error>>, second: impl Future<Output = R>) -> R {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(end) = first.as_mut().poll(cx) {
            end.unwrap();
        }
        second.as_mut().poll(cx)
    })
    .await
}

fn with_server<R>(net: &Net, client: impl Future<Output = R>) -> R {
    net.block_on(beside(serve(net), client))
}

fn texts<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

/// L11, M31: names stand wherever an address does; the address that nobody listens on costs nothing.
#[test]
fn name_connects_where_an_address_does() {
    let net = net();
    let listener = TcpListener::bind(&net, "127.0.0.1:7").unwrap();
    with_server(&net, async {
        for to in ["www.example:7", "alias.example:7", "localhost:7", "WWW.example.:7"] {
            let stream = TcpStream::connect_async(&net, to).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap().to_string(), "127.0.0.1:7", "{to}");
            listener.accept_async().await.unwrap();
        }
        TcpStream::connect_async(&net, ("v4.example", 7)).await.unwrap();
        let error = |to| TcpStream::connect_async(&net, to);
        assert_eq!(error("www.example:8").await.err(), Some(Error::ConnectionRefused));
        assert_eq!(error("nobody.example:7").await.err(), Some(Error::NameNotFound));
        assert_eq!(error("text.example:7").await.err(), Some(Error::NoMatchingAddresses));
        assert!(matches!(error("a..example:7").await.err(), Some(Error::InvalidInput(_))));
        let socket = UdpSocket::bind(&net, 0).unwrap();
        let echo = UdpSocket::bind(&net, "127.0.0.1:9").unwrap();
        assert_eq!(socket.send_to_async(b"hello", "v4.example:9").await, Ok(5));
        assert_eq!(echo.recv_async(&mut [0; 9]).await, Ok(5));
        assert_eq!(
            socket.try_send_to(b"hello", "v4.example:9"),
            Err(Error::NoMatchingAddresses),
            "it can't wait"
        );
    });
}

/// L12: services by name.
///
/// Contract E1, E7, E9: host and service by name or number, each address in its turn; the connection is closed afterwards, and a failure says where it was going.
#[test]
fn with_tcp_connect_tries_each_address() {
    let net = net();
    let listener = TcpListener::bind(&net, "127.0.0.1:7").unwrap();
    with_server(&net, async {
        for (host, service) in
            [("www.example", "echo"), ("www.example", "7"), ("127.0.0.1", "7"), ("localhost", "Echo")]
        {
            let peer = net
                .with_tcp_connect_async(host, service, None, async |flow: &mut TcpStream| {
                    flow.peer_addr().unwrap()
                })
                .await;
            assert_eq!(peer.unwrap().to_string(), "127.0.0.1:7");
            let (mut accepted, _) = listener.accept_async().await.unwrap();
            assert_eq!(accepted.read_async(&mut [0; 1]).await, Ok(0), "it was closed");
        }
        let run = async |_: &mut TcpStream| panic!("there is no connection");
        let failed = net.with_tcp_connect_async("www.example", "http", None, run).await.unwrap_err();
        assert_eq!(failed.error, Error::ConnectionRefused);
        assert_eq!(failed.to_string(), "connecting to \"www.example\":http: connection refused by the peer");
        let failed = net.with_tcp_connect_async("nobody.example", "80", None, run).await.unwrap_err();
        assert_eq!(failed.error, Error::NameNotFound);
        let failed = net.with_tcp_connect_async("www.example", "nothing", None, run).await.unwrap_err();
        assert!(matches!(failed.error, Error::InvalidInput(_)));
    });
    // The blocking form, which turns the daemon itself.
    assert_eq!(net.with_tcp_connect("localhost", "7", None, |flow| flow.peer_addr().is_ok()), Ok(true));
}

/// L09, H149: records of every type; what is cut comes by TCP, in however many parts.
#[test]
fn records_are_looked_up() {
    let net = net();
    with_server(&net, async {
        assert_eq!(texts(net.lookup_async("www.example").await.unwrap()), ["::1", "127.0.0.1"]);
        assert_eq!(texts(net.lookup_async("long.example").await.unwrap()), ["127.0.0.1"]);
        let name = net.reverse_lookup_async(SERVER).await.unwrap();
        assert_eq!(name.to_string(), "www.example");
        assert_eq!(net.reverse_lookup_async([10, 0, 0, 1].into()).await, Err(Error::NameNotFound));
        let services = net.query_async("_echo._tcp.example", RecordType::Srv).await.unwrap();
        let service = services.services().next().unwrap();
        assert_eq!((service.priority, service.weight, service.port, service.target), (1, 2, 7, name));
        let found = net.query_async("text.example", RecordType::Txt).await.unwrap();
        assert_eq!(found.texts().collect::<Vec<_>>(), [b"hello", b"there"]);
        assert!(net.query_async("text.example", RecordType::A).await.unwrap().is_empty());
    });
}

/// RFC 6761 §6.3: what needs no server is known without; a number at the end is no name; without a server the error says so; a closed port is told at once (H153).
#[test]
fn names_without_a_server() {
    let net = alone::net();
    assert_eq!(texts(net.lookup("localhost").unwrap()), ["::1", "127.0.0.1"]);
    assert_eq!(texts(net.lookup("db.localhost.").unwrap()), ["::1", "127.0.0.1"]);
    assert_eq!(texts(net.lookup("192.0.2.7").unwrap()), ["192.0.2.7"]);
    assert_eq!(net.lookup("10.0.0.256"), Err(Error::NoMatchingAddresses));
    assert_eq!(net.lookup("www.example"), Err(Error::NoNameServer));
    net.configure_names(DnsConfig::with_server(SERVER)).unwrap();
    let before = net.now();
    assert_eq!(net.lookup("www.example"), Err(Error::NameServerFailed));
    assert!(net.now().since(before) < Duration::from_millis(100));
}

/// L22, U16: what is let go of before its answer leaves nothing behind.
#[test]
fn look_up_that_is_dropped_is_cancelled() {
    let net = net();
    let silent = UdpSocket::bind(&net, "127.0.0.1:53").unwrap();
    for _ in 0..100 {
        let mut lookup = net.start_lookup("www.example", None).unwrap();
        assert!(lookup.poll_addresses(&mut Context::from_waker(core::task::Waker::noop())).is_pending());
    }
    let before = net.now();
    assert_eq!(net.lookup("www.example"), Err(Error::TimedOut));
    assert_eq!(net.now().since(before), Duration::from_secs(5));
    assert_eq!(
        net.block_on(net.timeout(Duration::from_millis(30), net.lookup_async("b.example"))),
        Err(Error::TimedOut)
    );
    drop(silent);
}

/// Contract L16, L22, E25, E26, U16: hosts and services to addresses, by hints and flags.
#[test]
fn addr_info_follows_its_hints() {
    let net = net();
    with_server(&net, async {
        let stream = Hints { socket_type: Some(SocketType::Stream), ..Hints::default() };
        let infos = async |host, service, hints: Hints| {
            let found = net.addr_info_async(host, service, &hints).await?;
            Ok(found
                .list
                .iter()
                .map(|i| std::format!("{:?} {}", i.socket_type, i.address))
                .collect::<Vec<_>>())
        };
        let www = Some("www.example");
        assert_eq!(
            infos(www, Some("http"), stream).await.unwrap(),
            ["Stream [::1]:80", "Stream 127.0.0.1:80"]
        );
        assert_eq!(
            infos(Some("v4.example"), Some("domain"), Hints::default()).await.unwrap(),
            ["Stream 127.0.0.1:53", "Datagram 127.0.0.1:53"]
        );
        // HTTP is TCP's alone.
        assert_eq!(
            infos(Some("v4.example"), Some("http"), Hints::default()).await.unwrap(),
            ["Stream 127.0.0.1:80"]
        );
        let v6 = Hints { family: Some(Family::V6), ..stream };
        assert_eq!(infos(www, None, v6).await.unwrap(), ["Stream [::1]:0"]);
        assert_eq!(infos(Some("v4.example"), None, v6).await, Err(Error::NoMatchingAddresses));
        let mapped = Hints { v4_mapped: true, ..v6 };
        assert_eq!(infos(Some("v4.example"), None, mapped).await.unwrap(), ["Stream [::ffff:127.0.0.1]:0"]);
        assert_eq!(infos(www, None, mapped).await.unwrap(), ["Stream [::1]:0"]);
        let all = Hints { all: true, ..mapped };
        assert_eq!(infos(www, None, all).await.unwrap(), ["Stream [::1]:0", "Stream [::ffff:127.0.0.1]:0"]);
        assert_eq!(infos(None, Some("7"), stream).await.unwrap(), ["Stream [::1]:7", "Stream 127.0.0.1:7"]);
        let passive = Hints { passive: true, ..stream };
        assert_eq!(infos(None, Some("7"), passive).await.unwrap(), ["Stream 0.0.0.0:7", "Stream [::]:7"]);
        let numeric = Hints { numeric_host: true, numeric_service: true, ..stream };
        assert_eq!(infos(www, Some("7"), numeric).await, Err(Error::NoMatchingAddresses));
        assert!(matches!(infos(Some("::1"), Some("http"), numeric).await, Err(Error::InvalidInput(_))));
        assert_eq!(infos(Some("::1"), Some("7"), numeric).await.unwrap(), ["Stream [::1]:7"]);
        // This host has no address but the loopback's.
        let configured = Hints { address_configured: true, ..stream };
        assert_eq!(infos(www, None, configured).await, Err(Error::NoMatchingAddresses));
        assert!(matches!(infos(None, None, stream).await, Err(Error::InvalidInput(_))));
        assert!(matches!(infos(www, Some("nothing"), stream).await, Err(Error::InvalidInput(_))));
        let canonical = Hints { canonical_name: true, ..stream };
        let found = net.addr_info_async(Some("alias.example"), None, &canonical).await.unwrap();
        assert_eq!(found.canonical_name.map(|n| n.to_string()).as_deref(), Some("www.example"));
    });
}

/// Contract L17, L22, E27: addresses to hosts and services, by flags.
#[test]
fn name_info_follows_its_flags() {
    let net = net();
    let config = DnsConfig { search: &["example"], ..DnsConfig::with_server(SERVER) };
    net.configure_names(config).unwrap();
    with_server(&net, async {
        let of = async |address: &str, flags: NameInfoFlags| {
            let info = net.name_info_async(address.parse().unwrap(), &flags).await?;
            Ok(std::format!("{} {}", info.host, info.service))
        };
        let plain = NameInfoFlags::default();
        assert_eq!(of("127.0.0.1:80", plain).await.unwrap(), "www.example http");
        assert_eq!(of("127.0.0.1:80", NameInfoFlags { no_fqdn: true, ..plain }).await.unwrap(), "www http");
        assert_eq!(
            of("127.0.0.1:69", NameInfoFlags { datagram: true, ..plain }).await.unwrap(),
            "www.example tftp"
        );
        assert_eq!(of("127.0.0.1:69", plain).await.unwrap(), "www.example 69");
        assert_eq!(of("10.0.0.1:80", plain).await.unwrap(), "10.0.0.1 http");
        let required = NameInfoFlags { name_required: true, ..plain };
        assert_eq!(of("10.0.0.1:80", required).await, Err(Error::NameNotFound));
        let numeric = NameInfoFlags { numeric_host: true, numeric_service: true, ..plain };
        assert_eq!(of("127.0.0.1:80", numeric).await.unwrap(), "127.0.0.1 80");
        let info = net.name_info_async("127.0.0.1:80".parse().unwrap(), &numeric).await.unwrap();
        assert_eq!((info.host, info.service), (HostName::Address(SERVER), ServiceName::Port(80)));
        // Short names by the program's own domain.
        assert_eq!(texts(net.lookup_async("v4").await.unwrap()), ["127.0.0.1"]);
    });
}
