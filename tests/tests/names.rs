//! Names beside real servers on the kernel's end of a TAP: unbound(8) and dnsmasq(8).

use barenet::counters::Drop;
use barenet::ip::addresses::Cidr;
use barenet::names::{DnsConfig, RecordType};
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Duration;
use barenet::wait::Threads;
use barenet::{Error, Family, Hints, NameInfoFlags, Net, SocketType, TcpStream};
use barenet_drivers::tap;
use barenet_tests::kernel::{Daemon, PATIENCE, machine, within};
use barenet_tests::netns::{self, KERNEL_V4, KERNEL_V6, STACK_V4, STACK_V6};
use barenet_tests::runner::cargo;
use barenet_tests::servers::Server;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Instant;

/// The zone that unbound has: both families, aliases, a hundred addresses, a service, texts, and names for addresses.
fn zone() -> String {
    let hundred: String =
        (1..=100).map(|n| format!("local-data: \"many.lab.example. 60 IN A 10.9.8.{n}\"\n")).collect();
    let own = [
        "www.lab.example. 60 IN A 10.0.0.1",
        "www.lab.example. 60 IN AAAA fd00::1",
        "v4.lab.example. 60 IN A 10.0.0.1",
        "alias.lab.example. 60 IN CNAME www.lab.example.",
        "half.lab.example. 60 IN AAAA fd00::1",
        "half.lab.example. 60 IN A 10.0.0.77",
        "dead.lab.example. 60 IN A 10.0.0.77",
        "dead.lab.example. 60 IN A 10.0.0.78",
        "_http._tcp.lab.example. 60 IN SRV 1 2 80 www.lab.example.",
        "text.lab.example. 60 IN TXT hello",
        "1.0.0.10.in-addr.arpa. 60 IN PTR www.lab.example.",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 60 IN PTR www.lab.example.",
        "lab.example. 60 IN SOA ns.lab.example. root.lab.example. 1 2 3 4 30",
    ];
    let zones = "local-zone: \"lab.example.\" static\nlocal-zone: \"10.in-addr.arpa.\" static\n\
                 local-zone: \"d.f.ip6.arpa.\" static\nlocal-zone: \"refused.example.\" refuse\n";
    let own: String = own.map(|record| format!("local-data: '{record}'\n")).concat();
    format!("{zones}{own}{hundred}")
}

/// Our stack on a TAP whose kernel's end is 10.0.0.1/24 and fd00::1/64, beside `body`.
fn with_net(config: DnsConfig, body: impl FnOnce(&Net) + Send) {
    netns::run(|| {
        within(PATIENCE, || {
            let tap = netns::tap(true);
            let platform = machine(tap.events());
            let stack = Stack::new(Storage::heap(&Limits::default()), [7; 32]);
            let net = Net::new(stack, platform, &Threads).unwrap();
            let own = [Cidr::new(STACK_V4.into(), 24).unwrap(), Cidr::new(STACK_V6.into(), 64).unwrap()];
            net.add_interface(Box::new(tap), &own, &[]).unwrap();
            net.configure_names(config).unwrap();
            let _daemon = Daemon::start(&net);
            body(&net);
        });
    });
}

/// Waits until the server answers.
fn ready(net: &Net, name: &str) {
    for _ in 0..100 {
        match net.lookup(name) {
            Ok(_) | Err(Error::NameNotFound) => return,
            Err(_) => thread::sleep(std::time::Duration::from_millis(50)),
        }
    }
    panic!("the server does not answer");
}

fn texts<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

/// Contract M33, E25, E26, E27: what unbound knows, by datagram and by TCP, forwards and backwards.
///
/// L09, H149.
#[test]
fn unbound_is_asked() {
    let config = DnsConfig { search: &["lab.example"], ..DnsConfig::with_server(KERNEL_V4.into()) };
    with_net(config, |net| {
        let _server = Server::unbound(&zone());
        ready(net, "v4.lab.example");
        assert_eq!(texts(net.lookup("www.lab.example").unwrap()), ["10.0.0.1", "fd00::1"], "RFC 6724");
        assert_eq!(texts(net.lookup("www").unwrap()), ["10.0.0.1", "fd00::1"], "by the search list");
        assert_eq!(net.lookup("nobody.lab.example"), Err(Error::NameNotFound));
        assert_eq!(net.lookup("text.lab.example"), Err(Error::NoMatchingAddresses));
        assert_eq!(net.lookup("refused.example"), Err(Error::NameServerFailed));
        // A hundred addresses don't fit into 1232 bytes.
        let many = net.start_lookup("many.lab.example", Some(Family::V4)).unwrap().wait().unwrap();
        assert!(many.len() == 8 && texts(many).iter().all(|a| a.starts_with("10.9.8.")));
        assert_eq!(net.with_stack(|stack| stack.counters().drops(Drop::DnsTooMany)), 1);
        for own in [IpAddr::from(KERNEL_V4), KERNEL_V6.into()] {
            assert_eq!(net.reverse_lookup(own).unwrap().to_string(), "www.lab.example");
        }
        let services = net.query("_http._tcp.lab.example", RecordType::Srv).unwrap();
        assert_eq!(
            texts(services.services().map(|s| format!("{}:{}", s.target, s.port))),
            ["www.lab.example:80"]
        );
        assert!(net.query("text.lab.example", RecordType::Txt).unwrap().texts().eq([b"hello"]));
        let hints = Hints { socket_type: Some(SocketType::Stream), canonical_name: true, ..Hints::default() };
        let infos = net.addr_info(Some("alias.lab.example"), Some("http"), &hints).unwrap();
        assert_eq!(infos.canonical_name.unwrap().to_string(), "www.lab.example");
        assert_eq!(texts(infos.list.iter().map(|i| i.address)), ["10.0.0.1:80", "[fd00::1]:80"]);
        let info = net.name_info((KERNEL_V4, 80).into(), &NameInfoFlags::default()).unwrap();
        assert_eq!(format!("{} {}", info.host, info.service), "www.lab.example http");
    });
}

/// Contract M31, E7, E8, E9, E31: by name to the address that answers; a dead one costs a quarter of a second, or the limit that was set for each.
#[test]
fn connection_by_name_reaches_the_kernel() {
    with_net(DnsConfig::with_server(KERNEL_V6.into()), |net| {
        let _server = Server::unbound(&zone());
        ready(net, "v4.lab.example");
        let listener = TcpListener::bind("[fd00::1]:80").unwrap();
        let peer =
            |name: &str| TcpStream::connect(net, name).map(|flow| flow.peer_addr().unwrap().to_string());
        assert_eq!(peer("www.lab.example:80").unwrap(), "[fd00::1]:80", "10.0.0.1:80 refuses");
        // With both answers there the dead one is first (RFC 6724: ULAs come last); else the first that comes may be (RFC 8305 §3).
        let found = net.lookup("half.lab.example").unwrap();
        assert_eq!(texts(found), ["10.0.0.77", "fd00::1"]);
        let before = Instant::now();
        assert_eq!(peer("half.lab.example:80").unwrap(), "[fd00::1]:80");
        let took = before.elapsed().as_millis();
        assert!((250..2500).contains(&took), "{took} ms beside a dead address");
        let before = Instant::now();
        let limit = Duration::from_millis(300);
        let failed = net.with_tcp_connect("dead.lab.example", "http", limit, |_| ()).unwrap_err();
        assert_eq!(failed.to_string(), "connecting to \"dead.lab.example\":http: timed out");
        assert!((600..2500).contains(&before.elapsed().as_millis()), "each address has its limit");
        drop(listener);
    });
}

/// H147, H153: dnsmasq that refuses, a server that is silent and one whose port is closed don't keep the last from answering.
#[test]
fn sick_servers_give_way() {
    let servers = |ports: [u16; 3]| ports.map(|port| Some(SocketAddr::new(KERNEL_V4.into(), port)));
    let config = DnsConfig { servers: servers([5301, 5302, 53]), ..DnsConfig::DEFAULT };
    with_net(config, |net| {
        // 5301 is closed; who has 5302 says nothing.
        let _silent = UdpSocket::bind("10.0.0.1:5302").unwrap();
        let _server = Server::dnsmasq_names(&[
            "--address=/own.example/10.0.0.1",
            "--ptr-record=1.0.0.10.in-addr.arpa,own.example",
        ]);
        ready(net, "own.example");
        net.configure_names(config).unwrap();
        let before = Instant::now();
        assert_eq!(
            texts(net.start_lookup("own.example", Some(Family::V4)).unwrap().wait().unwrap()),
            ["10.0.0.1"]
        );
        let took = before.elapsed().as_millis();
        assert!((900..2500).contains(&took), "one silent server costs a second: {took} ms");
        let before = Instant::now();
        assert_eq!(net.reverse_lookup(KERNEL_V4.into()).unwrap().to_string(), "own.example");
        assert!(before.elapsed().as_millis() < 500, "and only once");
        // It knows no other name, and has nobody to ask.
        net.configure_names(DnsConfig::with_server(KERNEL_V4.into())).unwrap();
        assert_eq!(net.lookup("www.example"), Err(Error::NameServerFailed));
    });
}

/// Contract L18, E7: the programs, beside unbound and a page.
#[test]
fn host_and_http_get_ask_for_names() {
    netns::run(|| {
        let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
        let own = [(IpAddr::from(KERNEL_V4), 24), (KERNEL_V6.into(), 64)];
        tap::configure(&tap, &own).unwrap();
        tap::settle(&own).unwrap();
        let _server = Server::unbound(&zone());
        let listener = TcpListener::bind("10.0.0.1:8080").unwrap();
        thread::spawn(move || {
            for flow in listener.incoming() {
                let (mut flow, mut request) = (flow.unwrap(), String::new());
                flow.read_to_string(&mut request).unwrap();
                write!(flow, "HTTP/1.0 200 OK\r\n\r\nyou asked: {}", request.lines().next().unwrap())
                    .unwrap();
            }
        });
        let says = |program: &[&str], words: &str| {
            let fixed = ["--tap", &tap, "--arg", "ip=10.0.0.2/24", "--arg", "ip=fd00::2/64"];
            let args = ["--dns", "10.0.0.1"].iter().chain(&program[1..]).flat_map(|arg| ["--arg", arg]);
            let args: Vec<_> = [program[0]].into_iter().chain(fixed).chain(args).collect();
            let output = cargo("host", &args).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(words), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        };
        says(&["host", "alias.lab.example"], "alias.lab.example is www.lab.example");
        says(&["host", "alias.lab.example"], "has address fd00::1");
        says(&["host", "10.0.0.1"], "10.0.0.1 is www.lab.example");
        says(&["host", "nobody.lab.example"], "no such name");
        says(&["http_get", "www.lab.example:8080", "/page"], "you asked: GET /page HTTP/1.0");
        says(&["callback_http_get", "www.lab.example:8080", "/page"], "you asked: GET /page HTTP/1.0");
        says(&["http_get", "--in-turn", "www.lab.example:8080", "/page"], "you asked: GET /page HTTP/1.0");
    });
}
