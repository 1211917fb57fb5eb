//! Real DHCPv6 servers on the kernel's end of a TAP: dnsmasq(8) and kea-dhcp6(8), which routers' advertisements lead to.

use barenet::config::Ipv6Config;
use barenet::dhcpv6::{Dhcpv6Client, Dhcpv6Config, Dhcpv6Mode, Dhcpv6State};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::{AddressState, Origin};
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Duration;
use barenet::wait::Threads;
use barenet::{Net, TcpListener};
use barenet_tests::kernel::{Daemon, PATIENCE, machine, within};
use barenet_tests::netns;
use barenet_tests::servers::Server;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Our stack on a TAP whose kernel's end is fd00::1/64, with SLAAC and a DHCPv6 client, beside `body`.
fn with_client<F: FnOnce(&Net, InterfaceId) + Send>(config: Dhcpv6Config, body: F) {
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(true);
            let platform = machine(tap.events());
            let stack = Stack::new(Storage::heap(&Limits::default()), [7; 32]);
            let net = Net::new(stack, platform, &Threads).unwrap();
            let id = net.add_interface(Box::new(tap), &[], &[]).unwrap();
            net.configure_ipv6(id, Ipv6Config { temporary: false, ..Ipv6Config::default() }).unwrap();
            net.start_dhcpv6(id, config).unwrap();
            let _daemon = Daemon::start(&net);
            body(&net, id);
        });
    });
}

/// Waits until the client is as `is_so` says.
fn until(net: &Net, id: InterfaceId, what: &str, is_so: impl Fn(&Dhcpv6Client) -> bool) {
    let found = net.wait_configuration(Duration::from_secs(30), |s| s.dhcpv6(id).is_some_and(&is_so));
    found.unwrap_or_else(|why| panic!("{what}: {why}"));
}

/// The leased address, once it can be used.
fn leased(net: &Net, id: InterfaceId) -> Option<Ipv6Addr> {
    let configuration = net.configuration();
    let mut all = configuration.addresses(id);
    let found = all.find(|a| a.origin == Origin::Dhcpv6 && a.state == AddressState::Preferred)?;
    match found.cidr.address() {
        IpAddr::V6(own) => Some(own),
        IpAddr::V4(_) => None,
    }
}

fn wait_leased(net: &Net, id: InterfaceId, is_good: impl Fn(Ipv6Addr) -> bool) -> Ipv6Addr {
    let is_there = |s: &Stack<'_>| {
        s.addresses().of(id).any(|a| {
            let is_good = |own| if let IpAddr::V6(own) = own { is_good(own) } else { false };
            a.origin == Origin::Dhcpv6 && a.state == AddressState::Preferred && is_good(a.cidr.address())
        })
    };
    net.wait_configuration(Duration::from_secs(30), is_there).expect("a lease");
    leased(net, id).expect("an address")
}

/// The kernel reaches it.
fn reach(net: &Net, own: Ipv6Addr) {
    let listener = TcpListener::bind(net, SocketAddr::new(own.into(), 0)).unwrap();
    std::net::TcpStream::connect(listener.local_addr()).unwrap();
    listener.accept().unwrap();
}

/// L08: dnsmasq's router says M and O, and its server gives address and options.
#[test]
fn dnsmasq_gives_an_address_and_options() {
    with_client(Dhcpv6Config { requests: &[59], ..Dhcpv6Config::default() }, |net, id| {
        let _server = Server::dnsmasq(&[
            "--dhcp-range=fd00::100,fd00::1ff,64,2m",
            "--enable-ra",
            "--ra-param=tap0,4",
            "--dhcp-option=option6:dns-server,[fd00::53]",
            "--dhcp-option=option6:ntp-server,[fd00::123]",
            "--dhcp-option=option6:domain-search,lab.example,example",
            "--dhcp-option=option6:59,tftp://boot",
        ]);
        let own = wait_leased(net, id, |_| true);
        assert!((0x100..=0x1ff).contains(&own.segments()[7]) && own.segments()[0] == 0xfd00, "{own}");
        reach(net, own);
        let configuration = net.configuration();
        let client = configuration.dhcpv6(id).unwrap();
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        assert!(client.dns_servers().eq([address("fd00::53")]), "{:?}", client.option(23));
        assert!(client.ntp_servers().eq([address("fd00::123")]), "{:?}", client.option(56));
        let names: Vec<_> = client.search_list().map(|name| name.to_string()).collect();
        assert_eq!(names, ["lab.example", "example"]);
        assert_eq!(client.option(59), Some(&b"tftp://boot"[..]));
    });
}

/// L08, RFC 8415 §18.2.6: dnsmasq's router says O alone: the address is of SLAAC, the options of DHCP.
#[test]
fn dnsmasq_gives_options_alone() {
    with_client(Dhcpv6Config::default(), |net, id| {
        let _server = Server::dnsmasq(&[
            "--dhcp-range=fd00::,ra-stateless,64",
            "--enable-ra",
            "--ra-param=tap0,4",
            "--dhcp-option=option6:dns-server,[fd00::53]",
        ]);
        until(net, id, "no options", |client| client.state() == Dhcpv6State::Informed);
        let configuration = net.configuration();
        assert!(configuration.dhcpv6(id).unwrap().addresses().is_empty());
        assert!(configuration.dns_servers().any(|s| s.address == "fd00::53".parse::<IpAddr>().unwrap()));
    });
}

/// kea-dhcp6 with leases of so many seconds of these last bytes of fd00::/64.
fn kea(seconds: u32, pool: (u16, u16), rapid: bool) -> Server {
    let (from, to) = pool;
    let (renew, rebind) = (seconds / 4, seconds / 2);
    Server::kea6(&format!(
        r#"{{"Dhcp6": {{
            "interfaces-config": {{"interfaces": ["tap0"]}},
            "lease-database": {{"type": "memfile", "persist": false}},
            "server-id": {{"type": "EN", "enterprise-id": 1, "identifier": "{from:08x}", "persist": false}},
            "preferred-lifetime": {rebind}, "valid-lifetime": {seconds}, "renew-timer": {renew}, "rebind-timer": {rebind},
            "subnet6": [{{"id": 1, "subnet": "fd00::/64", "interface": "tap0", "rapid-commit": {rapid},
                "pools": [{{"pool": "fd00::{from:x} - fd00::{to:x}"}}]}}]
        }}}}"#
    ))
}

/// RFC 8415 §18.2.4, §18.2.5, §18.2.10.1: kea gives a lease of eight seconds and renews it; another server, which has no such
/// pool, does not, and the address ends; then that one's is taken.
#[test]
fn kea_renews_and_another_gives_another() {
    with_client(Dhcpv6Config::default(), |net, id| {
        // Whose network is on the link is a router's to say.
        let _router = Server::radvd("AdvManagedFlag on; prefix fd00::/64 { AdvAutonomous off; };");
        let server = kea(8, (0x100, 0x10f), true);
        let own = wait_leased(net, id, |_| true);
        assert!((0x100..=0x10f).contains(&own.segments()[7]), "{own}");
        reach(net, own);
        let first = net.configuration().dhcpv6(id).unwrap().addresses()[0].lifetimes.valid_until;
        until(net, id, "it is not renewed", |client| {
            client.addresses().first().is_some_and(|leased| leased.lifetimes.valid_until > first)
        });
        assert_eq!(leased(net, id), Some(own));
        drop(server);
        let _other = kea(60, (0x200, 0x20f), false);
        let new = wait_leased(net, id, |address| address != own);
        assert!((0x200..=0x20f).contains(&new.segments()[7]), "{new}");
        reach(net, new);
    });
}

/// RFC 8415 §18.2.8: an address that the kernel has is declined, and kea gives another.
#[test]
fn kea_gives_another_for_a_declined_one() {
    let config = Dhcpv6Config { mode: Dhcpv6Mode::Stateful, ..Dhcpv6Config::default() };
    with_client(config, |net, id| {
        let args = ["-6", "address", "add", "fd00::300/64", "dev", "tap0", "nodad"];
        let status = std::process::Command::new("ip").args(args).status().unwrap();
        assert!(status.success());
        // A pool of two, of which the first is taken.
        let _server = kea(60, (0x300, 0x301), false);
        let own = wait_leased(net, id, |_| true);
        assert_eq!(own, "fd00::301".parse::<Ipv6Addr>().unwrap());
    });
}
