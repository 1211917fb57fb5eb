//! What a user or a machine can get wrong: each gets one line that names it, a failure, and nothing
//! hangs.

use barenet::counters::Drop;
use barenet::stack::Limits;
use barenet::{Error, Net, TcpListener, TcpStream};
use barenet_drivers::tap::{self, Tap};
use barenet_tests::kernel::{Family, Opens, PATIENCE, beside_wrapped, exchange, pair, within};
use barenet_tests::netns::{self, MAC};
use barenet_tests::runner::{cargo, fails};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

/// For a test that may have to build images first, on a machine that has just been set up.
const BUILDS: Duration = Duration::from_secs(20 * 60);

/// As `ip=` an option of the board, or an argument of the example.
const ARGUMENTS: [(&[&str], &[&str]); 5] = [
    (&["ping", "ip=999.1.1.1/24"], &["invalid option `ip=999.1.1.1/24`", "ip=10.0.2.15/24"]),
    (&["ping", "ip=10.0.0.2/33"], &["invalid option `ip=10.0.0.2/33`", "32 bits"]),
    (&["ping", "gw=nowhere"], &["invalid option `gw=nowhere`", "gw=10.0.2.2"]),
    (&["ping", "nowhere"], &["first argument", "IP address"]),
    (&["ping", "10.0.0.1", "0"], &["second argument", "pings"]),
];

#[test]
fn cargo_qemu() {
    let busy = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let forward = format!("{port}:80");
    let wrong: [(&[&str], &[&str]); 8] = [
        (&["no_such_example"], &["there is no example `no_such_example`; there are: ", "http_server"]),
        (&["http_server", "--board", "z80"], &["there is no board `z80`; there are: x86_64"]),
        (&["http_server", "--machine", "pdp11"], &["no machine `pdp11`; it has: q35, microvm"]),
        (&["http_server", "--forward", "80"], &["`80` is not HOST:GUEST"]),
        (&["http_server", "--forward", &forward], &[&port, "in use"]),
        (&["http_server", "--tap", "no-such-tap"], &["there is no interface `no-such-tap`"]),
        (&["http_server", "--tap", "sixteen-letters-"], &["`sixteen-letters-` is not a name"]),
        (&["http_server", "--tap", "lo"], &["`lo` is not a TAP"]),
    ];
    within(BUILDS, || {
        for (args, words) in wrong {
            fails(&mut cargo("qemu", args), words);
        }
    });
}

#[test]
fn arguments_of_a_guest() {
    within(BUILDS, || {
        for (args, words) in ARGUMENTS {
            let (example, args) = args.split_at(1);
            fails(cargo("qemu", example).args(["--timeout", "60", "--"]).args(args), words);
        }
    });
}

#[test]
fn cargo_host() {
    let wrong: [(&[&str], &[&str]); 5] = [
        (&["no_such_example"], &["there is no example `no_such_example`; there are: ", "http_server"]),
        (&["http_server", "--tap", "no-such-tap"], &["there is no interface `no-such-tap`"]),
        (&["http_server", "--tap", "sixteen-letters-"], &["`sixteen-letters-` is not a name"]),
        (&["http_server", "--tap", "lo"], &["`lo` is not a TAP"]),
        (&["http_server", "--", "no-such-program"], &["can't run `no-such-program`"]),
    ];
    within(BUILDS, || {
        for (args, words) in wrong {
            fails(&mut cargo("host", args), words);
        }
        for (args, words) in ARGUMENTS {
            let (example, args) = args.split_at(1);
            let args = args.iter().flat_map(|arg| ["--arg", arg]);
            fails(cargo("host", example).args(args), words);
        }
    });
}

#[test]
fn a_tap_that_another_program_uses() {
    within(BUILDS, || {
        netns::run(|| {
            let _ours = netns::tap(true);
            for runner in ["qemu", "host"] {
                fails(
                    &mut cargo(runner, &["ping", "--tap", "tap0"]),
                    &["another program uses the TAP `tap0`"],
                );
            }
        });
    });
}

#[test]
fn a_tap_without_permission() {
    within(PATIENCE, || {
        netns::run(|| {
            // Of this thread only.
            let mut own = capabilities(None).unwrap();
            own.effective.remove(CapabilitySet::NET_ADMIN);
            set_capabilities(None, own).unwrap();
            let why = Tap::open(MAC, tap::Options::new().name("tap0")).unwrap_err().to_string();
            assert!(why.contains("no permission to") && why.contains("run as root"), "{why}");
        });
    });
}

/// The example ends with a failure that says why.
#[test]
fn a_device_that_disappears_under_an_example() {
    within(BUILDS, || {
        for way in [&[][..], &["--arg", "--fibers"]] {
            netns::run(|| {
                let name = tap::create(tap::Options::new().name("tap0")).unwrap();
                tap::set_up(&name, true).unwrap();
                let mut command = cargo("host", &["http_server", "--tap", &name]);
                let mut example = command.args(way).stdout(Stdio::piped()).spawn().unwrap();
                let mut lines = BufReader::new(example.stdout.take().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                assert!(first.starts_with("http on"), "{first}");
                let status = Command::new("ip").args(["link", "delete", &name]).status();
                assert!(status.expect("`ip`, of the package iproute2, can be run").success());
                let rest: Vec<_> = lines.map(Result::unwrap).collect();
                assert_eq!(rest, ["error: the network device is gone"]);
                assert_eq!(example.wait().unwrap().code(), Some(1));
            });
        }
    });
}

/// Memory for less than one connection is an error at once, on either side.
#[test]
fn memory_for_less_than_one_connection() {
    let block_len = Limits::default().block_len;
    for memory in [0, 1, 2 * block_len, 3 * block_len - 1] {
        beside_with(&Limits { memory, ..Limits::default() }, |net| {
            let listener = net::TcpListener::bind((Family::V4.kernel(), 7000)).unwrap();
            let to = listener.local_addr().unwrap();
            assert_eq!(TcpStream::connect(net, to).err(), Some(Error::OutOfMemory), "{memory}");
            assert_eq!(TcpListener::bind(net, 7000).err(), Some(Error::OutOfMemory), "{memory}");
        });
    }
}

/// With memory for one connection and no more, three blocks, it is slow, but everything comes.
#[test]
fn memory_for_just_one_connection() {
    for (memory, block_len) in [(3 * 8192, 8192), (3 * 2048, 2048), (4096, 256)] {
        beside_with(&Limits { memory, block_len, ..Limits::default() }, |net| {
            for opens in Opens::BOTH {
                let (mut ours, mut kernel) = pair(net, Family::V4, opens);
                exchange(&mut ours, &mut kernel, 50_000);
            }
        });
    }
}

/// One connection too many is refused by us, or counted and left to the peer's patience.
#[test]
fn a_table_for_one_connection() {
    beside_with(&Limits { connections: 1, ..Limits::default() }, |net| {
        let (mut ours, mut kernel) = pair(net, Family::V4, Opens::Ours);
        let another = net::TcpListener::bind((Family::V4.kernel(), 0)).unwrap();
        let to = another.local_addr().unwrap();
        assert_eq!(TcpStream::connect(net, to).err(), Some(Error::TooManySockets));
        let listener = TcpListener::bind(net, SocketAddr::new(Family::V4.ours(), 7000)).unwrap();
        let late = net::TcpStream::connect_timeout(&listener.local_addr(), Duration::from_millis(10));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        let counted = net.with_stack(|stack| stack.counters().drops(Drop::TcpTableFull));
        assert!(counted > 0, "the kernel's SYN was dropped and not counted");
        exchange(&mut ours, &mut kernel, 1000);
    });
}

fn beside_with<F: FnOnce(&Net) + Send>(limits: &Limits, body: F) {
    beside_wrapped(true, |tap| tap, limits, body);
}
