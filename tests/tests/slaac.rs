//! Real routers on the kernel's end of a TAP: radvd(8), and the kernel as a neighbour.

use barenet::config::Ipv6Config;
use barenet::ip::InterfaceId;
use barenet::ip::addresses::{Address, AddressState, Cidr, Origin};
use barenet::stack::{Limits, Stack, Storage};
use barenet::wait::Threads;
use barenet::{Error, Net, TcpListener, TcpStream, UdpSocket};
use barenet_tests::kernel::{Daemon, PATIENCE, machine, try_sysctl, within};
use barenet_tests::netns::{self, KERNEL_V6};
use barenet_tests::servers::Server;
use std::io::Write;
use std::net::{self, IpAddr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Our stack on a TAP whose kernel's end is fd00::1/64, with IPv6 that configures itself, beside `body`.
fn with_stack<F: FnOnce(&Net, InterfaceId) + Send>(config: Ipv6Config, body: F) {
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(true);
            let platform = machine(tap.events());
            let stack = Stack::new(Storage::heap(&Limits::default()), [7; 32]);
            let net = Net::new(stack, platform, &Threads).unwrap();
            let id = net.add_interface(Box::new(tap), &[], &[]).unwrap();
            net.configure_ipv6(id, config).unwrap();
            let _daemon = Daemon::start(&net);
            body(&net, id);
        });
    });
}

/// Waits until `found` finds something.
fn until<R>(what: &str, mut found: impl FnMut() -> Option<R>) -> R {
    let start = Instant::now();
    loop {
        if let Some(result) = found() {
            return result;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn addresses(net: &Net, id: InterfaceId) -> Vec<Address> {
    net.with_stack(|stack| stack.addresses().of(id).copied().collect())
}

/// An address of this origin, once it is preferred.
fn preferred(net: &Net, id: InterfaceId, origin: Origin) -> Ipv6Addr {
    let is_it = |a: &Address| a.origin == origin && a.state == AddressState::Preferred;
    let found = || addresses(net, id).into_iter().find(is_it).map(|a| a.cidr.address());
    match until(&format!("no {origin:?} address"), found) {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => panic!("{address}"),
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|why| panic!("{program}: {why}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// L04, L05, I06: radvd's prefix makes a stable and a temporary address; the kernel reaches the one by ping and TCP, and sees the
/// other when we connect. Router, MTU, name servers and domains are what radvd says.
#[test]
fn radvd_prefix_makes_addresses_that_work() {
    with_stack(Ipv6Config::default(), |net, id| {
        let _radvd = Server::radvd(
            "AdvLinkMTU 1400; AdvCurHopLimit 77; prefix fd00::/64 { AdvOnLink on; AdvAutonomous on; };
             route 2001:db8:7::/48 { AdvRoutePreference high; };
             RDNSS fd00::53 { }; DNSSL lab.example { };",
        );
        let (stable, temporary) = (preferred(net, id, Origin::Stable), preferred(net, id, Origin::Temporary));
        assert_eq!(stable.segments()[..4], [0xfd00, 0, 0, 0]);
        run("ping", &["-6", "-c", "2", "-W", "5", &stable.to_string()]);
        let listener = TcpListener::bind(net, SocketAddr::new(stable.into(), 0)).unwrap();
        let mut client = net::TcpStream::connect(listener.local_addr()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        let mut text = [0; 5];
        server.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        let kernel = net::TcpListener::bind((KERNEL_V6, 0)).unwrap();
        let _ours = TcpStream::connect(net, kernel.local_addr().unwrap()).unwrap();
        assert_eq!(kernel.accept().unwrap().1.ip(), temporary, "what we begin has a temporary source");
        let router = |to: &str| net.with_stack(|s| s.path(to.parse().unwrap(), None, None)).unwrap();
        let (far, near) = (router("2001:db8:9::1"), router("fd00::77"));
        assert!(matches!(far.next_hop, IpAddr::V6(a) if a.is_unicast_link_local()), "{far:?}");
        assert_eq!((far.mtu, near.next_hop), (1400, "fd00::77".parse::<IpAddr>().unwrap()));
        net.with_stack(|stack| {
            let resolvers = stack.resolvers();
            assert_eq!(resolvers.servers()[0].address, "fd00::53".parse::<IpAddr>().unwrap());
            assert_eq!(resolvers.domains()[0].name, "lab.example");
            assert_eq!(stack.learnt_routes().filter(|r| r.prefix_len == 48).count(), 1);
        });
    });
}

/// L05, RFC 4862 §5.4: an address that the kernel has is not ours, and the kernel does not take one that we have.
#[test]
fn duplicate_is_found_by_both_sides() {
    let config = Ipv6Config { autonomous: false, ..Ipv6Config::default() };
    with_stack(config, |net, id| {
        preferred(net, id, Origin::LinkLocal);
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let now = net.now();
        for own in ["fd00::1/64", "fd00::2/64"] {
            net.with_stack(|stack| stack.add_address(id, cidr(own), now)).unwrap();
        }
        assert_eq!(preferred(net, id, Origin::Manual), "fd00::2".parse::<Ipv6Addr>().unwrap());
        assert!(addresses(net, id).iter().all(|a| a.cidr != cidr("fd00::1/64")));
        // The TAP is set up without it, for the sake of other tests.
        std::fs::write("/proc/sys/net/ipv6/conf/tap0/accept_dad", "1").expect("a namespace of our own");
        run("ip", &["-6", "address", "add", "fd00::2/64", "dev", "tap0"]);
        until("the kernel took our address", || {
            run("ip", &["-6", "address", "show", "dev", "tap0"]).contains("dadfailed").then_some(())
        });
        assert_eq!(preferred(net, id, Origin::Manual), "fd00::2".parse::<Ipv6Addr>().unwrap());
    });
}

/// L05, RFC 4862 §5.5.4: a prefix that radvd no longer advertises dies with its lifetime, and with it the connections from it.
#[test]
fn prefix_withdrawn_by_radvd_takes_address_and_connection() {
    let config = Ipv6Config { temporary: false, ..Ipv6Config::default() };
    with_stack(config, |net, id| {
        let prefix = "prefix fd00::/64 { AdvValidLifetime 8; AdvPreferredLifetime 8; };";
        let radvd = Server::radvd(prefix);
        let own = preferred(net, id, Origin::Stable);
        let kernel = net::TcpListener::bind((KERNEL_V6, 0)).unwrap();
        let mut ours = TcpStream::connect(net, kernel.local_addr().unwrap()).unwrap();
        let (_peer, from) = kernel.accept().unwrap();
        assert_eq!(from.ip(), own);
        // It lives as long as it is advertised.
        thread::sleep(Duration::from_secs(9));
        assert_eq!(preferred(net, id, Origin::Stable), own);
        radvd.advertise("prefix fd00:0:0:1::/64 { };");
        assert_eq!(ours.read(&mut [0; 1]), Err(Error::AddrNotAvailable));
        assert!(addresses(net, id).iter().all(|a| a.cidr.address() != IpAddr::V6(own)));
        assert_eq!(preferred(net, id, Origin::Stable).segments()[3], 1);
    });
}

/// L04, RFC 4861 §8.3: the kernel, our router, says that another is nearer to a network, and what we send there goes by that one.
#[test]
fn redirect_of_the_kernel_is_followed() {
    with_stack(Ipv6Config::default(), |net, id| {
        assert!(try_sysctl("net.ipv6.conf.all.forwarding", "1"));
        let _radvd = Server::radvd("prefix fd00::/64 { };");
        preferred(net, id, Origin::Stable);
        let hop =
            || net.with_stack(|s| s.path("2001:db8:5::1".parse().unwrap(), None, None)).unwrap().next_hop;
        let (before, nearer): (_, IpAddr) = (hop(), "fe80::77".parse().unwrap());
        assert_ne!(before, nearer);
        run("ip", &["-6", "route", "add", "2001:db8:5::/64", "via", "fe80::77", "dev", "tap0"]);
        let socket = UdpSocket::bind(net, 0).unwrap();
        until("no redirect", || {
            let to: SocketAddr = "[2001:db8:5::1]:9".parse().unwrap();
            socket.send_to(b"which way?", to).unwrap();
            (hop() == nearer).then_some(())
        });
        let other =
            net.with_stack(|s| s.path("2001:db8:5::2".parse().unwrap(), None, None)).unwrap().next_hop;
        assert_eq!(other, before, "it counts for the one destination");
    });
}

/// Three interfaces of the kernel on our link, each a router of its own: their link-local addresses.
fn routers() -> [IpAddr; 3] {
    let ip = |words: &str| run("ip", &words.split(' ').collect::<Vec<_>>());
    ip("address flush dev tap0 scope global");
    ip("link add br0 type bridge");
    ip("link set tap0 master br0");
    ip("link set br0 up");
    [1, 2, 3].map(|n| {
        ip(&format!("link add r{n} type veth peer name p{n}"));
        ip(&format!("link set p{n} master br0"));
        ip(&format!("link set p{n} up"));
        ip(&format!("link set r{n} up"));
        until("no address of a router", || {
            let told = ip(&format!("-6 address show dev r{n} scope link -tentative"));
            let address = told.split_whitespace().find(|word| word.starts_with("fe80::"))?;
            address.split('/').next()?.parse().ok()
        })
    })
}

/// L04, RFC 4191 §3.2: of three radvds on one link the preferred one is the way out; who resigns by a rewrite, or falls silent, gives
/// way to the next; each one's prefix makes an address, one that is rewritten to be deprecated is used no more, and who comes back
/// is preferred again.
#[test]
fn several_radvds_are_told_apart() {
    let config = Ipv6Config { temporary: false, ..Ipv6Config::default() };
    with_stack(config, |net, id| {
        let [first, second, third] = routers();
        let prefix = |n: u8, preferred: u32| {
            format!(
                "prefix fd00:0:0:{n}::/64 {{ AdvValidLifetime 3600; AdvPreferredLifetime {preferred}; }};"
            )
        };
        let high = format!("AdvDefaultPreference high; {}", prefix(1, 1800));
        let one = Server::radvd_on("r1", &high);
        let two = Server::radvd_on("r2", &prefix(2, 1800));
        let three = Server::radvd_on("r3", &format!("AdvDefaultPreference low; {}", prefix(3, 1800)));
        let stable = || {
            let all = addresses(net, id).into_iter().filter(|a| a.origin == Origin::Stable);
            let network = |a: &Address| match a.cidr.address() {
                IpAddr::V6(address) => address.segments()[3],
                IpAddr::V4(_) => 0,
            };
            let mut found: Vec<_> = all.map(|a| (network(&a), a.state)).collect();
            found.sort_by_key(|(network, _)| *network);
            found
        };
        let all = [1, 2, 3].map(|n| (n, AddressState::Preferred));
        until("an address of each", || (stable() == all).then_some(()));
        let outside: IpAddr = "2001:db8::1".parse().unwrap();
        let path = || net.with_stack(|s| s.path(outside, None, None)).unwrap();
        let goes_by = |router: IpAddr, what: &str| {
            let socket = UdpSocket::bind(net, 0).unwrap();
            until(what, || {
                // Only who sends finds out that a router is silent.
                let _ = socket.send_to(b"which way?", SocketAddr::new(outside, 9));
                (path().next_hop == router).then_some(())
            });
        };
        goes_by(first, "the preferred router");
        one.advertise_on("r1", &format!("AdvDefaultLifetime 0; {}", prefix(1, 0)));
        goes_by(second, "the next one, when the first resigns");
        until("its prefix is deprecated", || (stable()[0] == (1, AddressState::Deprecated)).then_some(()));
        let IpAddr::V6(source) = path().source else { panic!("an IPv6 path") };
        assert_ne!(source.segments()[3], 1, "a deprecated address is no source");
        drop(two);
        run("ip", &["link", "set", "r2", "down"]);
        goes_by(third, "the last one, when the second is silent");
        one.advertise_on("r1", &high);
        goes_by(first, "the first, when it is back");
        until("its address is preferred again", || (stable() == all).then_some(()));
        drop(three);
    });
}
