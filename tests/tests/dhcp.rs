//! Real DHCP servers on the kernel's end of a TAP: dnsmasq(8) and kea-dhcp4(8).

use barenet::counters::TcpCount;
use barenet::dhcp::{ConflictDetection, DhcpConfig, Lease};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Origin;
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Duration;
use barenet::wait::Threads;
use barenet::{Error, Net, TcpStream};
use barenet_drivers::tap::{self, Tap};
use barenet_tests::kernel::{Daemon, PATIENCE, machine, within};
use barenet_tests::netns::{self, KERNEL_V4, MAC};
use barenet_tests::servers::Server;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::thread;

const CONFIG: DhcpConfig =
    DhcpConfig { conflict_detection: ConflictDetection::Once, requests: &[150], ..DhcpConfig::DEFAULT };

/// Leases of so many seconds, renewed after a third, from these last bytes of 10.0.0.0/24.
fn kea(seconds: u32, pool: (u8, u8)) -> Server {
    // The route is 172.16/16 by 10.0.0.1.
    let (from, to) = pool;
    let (renew, rebind) = (seconds / 3, seconds * 2 / 3);
    Server::kea(&format!(
        r#"{{"Dhcp4": {{
            "interfaces-config": {{"interfaces": ["tap0"]}},
            "lease-database": {{"type": "memfile", "persist": false}},
            "authoritative": true,
            "valid-lifetime": {seconds}, "renew-timer": {renew}, "rebind-timer": {rebind},
            "subnet4": [{{"subnet": "10.0.0.0/24", "pools": [{{"pool": "10.0.0.{from} - 10.0.0.{to}"}}],
                "option-data": [
                    {{"name": "routers", "data": "10.0.0.1"}},
                    {{"code": 121, "space": "dhcp4", "csv-format": false, "data": "10AC100A000001"}}
                ]}}]
        }}}}"#
    ))
}

/// Our stack on a TAP whose kernel's end is 10.0.0.1/24, with a client, beside `body`.
fn with_client(body: impl FnOnce(&Net, InterfaceId) + Send) {
    let kernel = [(IpAddr::from(KERNEL_V4), 24)];
    let tap = Tap::open(MAC, tap::Options::new().name("tap0")).unwrap_or_else(|why| panic!("{why}"));
    tap::configure(tap.name(), &kernel).unwrap();
    let platform = machine(tap.events());
    let net = Net::new(Stack::new(Storage::heap(&Limits::default()), [7; 32]), platform, &Threads).unwrap();
    let id = net.add_interface(Box::new(tap), &[], &[]).unwrap();
    net.start_dhcp(id, CONFIG).unwrap();
    let _daemon = Daemon::start(&net);
    body(&net, id);
}

/// The address of the lease, once `is_good` says yes to it.
fn lease(net: &Net, id: InterfaceId, is_good: impl Fn(&Lease) -> bool) -> Ipv4Addr {
    let has = |stack: &Stack<'_>| stack.dhcp(id).and_then(|c| c.lease()).is_some_and(&is_good);
    net.wait_configuration(Duration::from_secs(30), has).expect("a lease");
    address(net, id).expect("an address")
}

/// The address that DHCP gave.
fn address(net: &Net, id: InterfaceId) -> Option<Ipv4Addr> {
    let configuration = net.configuration();
    let mut leased = configuration.addresses(id).filter(|a| a.origin == Origin::Dhcpv4);
    leased.find_map(|a| match a.cidr.address() {
        IpAddr::V4(own) => Some(own),
        IpAddr::V6(_) => None,
    })
}

/// L06, L14, M32: everything that dnsmasq says arrives.
#[test]
fn dnsmasq_configures_the_stack() {
    netns::run(|| {
        within(PATIENCE, || {
            with_client(|net, id| {
                let _server = Server::dnsmasq(&[
                    "--dhcp-range=10.0.0.50,10.0.0.60,2m",
                    "--dhcp-option=option:mtu,1400",
                    "--dhcp-option=option:dns-server,10.0.0.3,10.0.0.4",
                    "--dhcp-option=option:ntp-server,10.0.0.5",
                    "--dhcp-option=option:domain-search,lab.example,example",
                    "--domain=lab.example",
                    "--dhcp-option=121,172.16.0.0/12,10.0.0.9,0.0.0.0/0,10.0.0.1",
                    "--dhcp-option=150,1.2.3.4",
                ]);
                let own = lease(net, id, |_| true);
                assert!((50..=60).contains(&own.octets()[3]), "{own}");
                let path = |to: &str| net.with_stack(|s| s.path(to.parse().unwrap(), None, None)).unwrap();
                assert_eq!(
                    (path("172.17.1.1").next_hop, path("8.8.8.8").next_hop),
                    ([10, 0, 0, 9].into(), KERNEL_V4.into())
                );
                assert_eq!(path("8.8.8.8").mtu, 1400);
                let configuration = net.configuration();
                assert!(
                    configuration
                        .dns_servers()
                        .map(|s| s.address)
                        .eq([IpAddr::from([10, 0, 0, 3]), [10, 0, 0, 4].into()])
                );
                let lease = configuration.lease(id).unwrap();
                assert!(lease.ntp_servers().eq([Ipv4Addr::new(10, 0, 0, 5)]));
                assert_eq!((lease.domain(), lease.server()), (Some("lab.example"), KERNEL_V4));
                let search: Vec<_> = lease.search_list().map(|d| d.to_string()).collect();
                assert_eq!(search, ["lab.example", "example"]);
                assert_eq!(lease.option(150), Some(&[1, 2, 3, 4][..]));
            });
        });
    });
}

/// RFC 2131 §4.4.5: leases of six seconds are renewed while a connection runs, which does not notice: byte for byte, and
/// nothing is sent again. Then the pool changes, and the server refuses to renew: the connection ends by name, and there
/// is another address. Then the server is gone, and the address ends with its lease.
#[test]
fn kea_renews_refuses_and_lets_expire() {
    netns::run(|| {
        within(PATIENCE * 3, || {
            with_client(|net, id| {
                let server = kea(6, (100, 110));
                let own = lease(net, id, |_| true);
                assert!((100..=110).contains(&own.octets()[3]), "{own}");
                let routes = net.with_stack(|s| s.path([172, 16, 1, 1].into(), None, None)).unwrap();
                assert_eq!(routes.next_hop, KERNEL_V4);
                let mut flow = echo(net);
                let began = net.configuration().lease(id).unwrap().since();
                let mut rounds = 0u32;
                // Three renewals.
                while net.configuration().lease(id).unwrap().since() < began + Duration::from_secs(6) {
                    round(&mut flow, rounds).unwrap();
                    rounds += 1;
                    thread::sleep(std::time::Duration::from_millis(2));
                }
                assert!(rounds > 100 && address(net, id) == Some(own));
                let again = net.with_stack(|s| s.tcp_counts().get(TcpCount::Retransmits));
                assert_eq!(again, 0, "in {rounds} rounds");

                drop(server);
                let server = kea(6, (200, 210));
                let new = lease(net, id, |lease| lease.address().address() != IpAddr::V4(own));
                assert!((200..=210).contains(&new.octets()[3]), "{new}");
                assert_eq!(round(&mut flow, 0), Err(Error::AddrNotAvailable));

                drop(server);
                let end = net.configuration().lease(id).unwrap().expires().unwrap();
                let gone = |stack: &Stack<'_>| stack.dhcp(id).is_some_and(|c| c.lease().is_none());
                net.wait_configuration(Duration::from_secs(20), gone).expect("an end");
                let late = net.now().since(end);
                assert!(late < Duration::from_secs(1), "{late:?}");
                assert_eq!(address(net, id), None);
            });
        });
    });
}

/// A connection to an echo server of the kernel's.
fn echo(net: &Net) -> TcpStream {
    let listener = TcpListener::bind((KERNEL_V4, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut flow, _) = listener.accept().unwrap();
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = flow.read(&mut buf) {
            if flow.write_all(&buf[..n]).is_err() {
                return;
            }
        }
    });
    TcpStream::connect(net, (KERNEL_V4, port)).unwrap()
}

/// A kilobyte there and back.
fn round(flow: &mut TcpStream, number: u32) -> Result<(), Error> {
    let sent: Vec<u8> = (0..1024u32).map(|i| (i * 7 + number) as u8).collect();
    flow.write_all(&sent)?;
    let mut back = vec![0; sent.len()];
    flow.read_exact(&mut back)?;
    assert!(sent == back, "round {number}");
    Ok(())
}
