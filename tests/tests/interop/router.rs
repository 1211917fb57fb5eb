//! Our stack as a router, between the kernel here and the kernel of a second namespace.

use barenet::Net;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::wait::Threads;
use barenet_boards::host::Host;
use barenet_drivers::tap::{self, Options, Tap};
use barenet_qemu::install;
use barenet_tests::kernel::{Daemon, PATIENCE, within};
use barenet_tests::netns::{self, STACK_V4, STACK_V6};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The far link: the kernel's end, and ours. It carries packets of so many bytes.
const FAR: [[&str; 2]; 2] = [["10.9.0.1", "10.9.0.2"], ["fd09::1", "fd09::2"]];
const FAR_MTU: u16 = 1300;

/// A namespace that a process holds, which ends with this value.
struct Far(Child);

impl Far {
    fn new() -> Far {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sleep", "600"]).stdin(Stdio::null());
        let far = Far(holder.spawn().expect("unshare(1)"));
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("/proc");
        let started = Instant::now();
        let entered = || std::fs::read_link(format!("/proc/{}/ns/net", far.0.id())).is_ok_and(|ns| ns != own);
        while !entered() {
            assert!(started.elapsed() < Duration::from_secs(10), "no second namespace");
            thread::sleep(Duration::from_millis(1));
        }
        far
    }

    /// A command that runs there.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.0.id().to_string(), "-n", "--"]).args(line.split(' '));
        command
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn here(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    command
}

/// What a command says, and whether it succeeded.
fn output(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn run(command: Command) -> String {
    let what = format!("{command:?}");
    let (is_good, text) = output(command);
    assert!(is_good, "{what}: {text}");
    text
}

/// A TAP that was just made: a child of another test's may hold its descriptor until it becomes its program.
fn open(options: &Options) -> Tap {
    let started = Instant::now();
    loop {
        match Tap::open(barenet::device::Mac([2, 0, 0, 0, 0, 9]), options.clone()) {
            Err(tap::Error::Busy(_)) if started.elapsed() < Duration::from_secs(5) => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap_or_else(|why| panic!("{why}")),
        }
    }
}

/// Our stack with a TAP in this namespace and one whose other end is in a second.
fn between(offloads: bool, body: impl FnOnce(&Far) + Send) {
    within(PATIENCE, || {
        netns::run(|| {
            let near = netns::tap(offloads);
            let far = Far::new();
            let options = Options::new().name("tap1");
            tap::create(options.clone()).unwrap();
            tap::set_mtu("tap1", FAR_MTU).unwrap();
            let options = options.existing("tap1");
            let options = if offloads { options } else { options.plain() };
            let tap = open(&options);
            run(here(&format!("ip link set tap1 netns {}", far.0.id())));
            run(far.command("ip link set lo up"));
            run(far.command("ip link set tap1 up"));
            for ([theirs, ours], len) in FAR.into_iter().zip(["/24", "/64"]) {
                let more = if len == "/64" { " nodad" } else { "" };
                run(far.command(&format!("ip address add {theirs}{len} dev tap1{more}")));
                run(far.command(&format!("ip route add default via {ours}")));
            }
            run(here(&format!("ip route add 10.9.0.0/24 via {STACK_V4}")));
            run(here(&format!("ip route add fd09::/64 via {STACK_V6}")));
            let platform: &'static Host =
                Box::leak(Box::new(Host::new([near.events(), tap.events()]).expect("a descriptor")));
            let stack = Stack::new(Storage::heap(&Limits::default()), [7; 32]);
            let net = Net::new(stack, platform, &Threads).unwrap();
            let cidrs =
                |ends: [IpAddr; 2]| ends.map(|a| Cidr::new(a, if a.is_ipv4() { 24 } else { 64 }).unwrap());
            let near =
                net.add_interface(Box::new(near), &cidrs([STACK_V4.into(), STACK_V6.into()]), &[]).unwrap();
            let ours = FAR.map(|[_, ours]| ours.parse().unwrap());
            let behind = net.add_interface(Box::new(tap), &cidrs(ours), &[]).unwrap();
            net.with_stack(|stack| [near, behind].map(|id| stack.set_forwarding(id, true).unwrap()));
            let _daemon = Daemon::start(&net);
            body(&far);
        });
    });
}

/// I07: pings go both ways, one hop further; a TTL that is used up on the way is told, as traceroute(8) and mtr(8) show it.
#[test]
fn pings_go_through_and_traceroute_sees_the_router() {
    install::program("traceroute", "traceroute").unwrap_or_else(|why| panic!("{why}"));
    install::program("mtr", "mtr-tiny").unwrap_or_else(|why| panic!("{why}"));
    between(true, |far| {
        for ([theirs, _], ours) in FAR.into_iter().zip([IpAddr::from(STACK_V4), STACK_V6.into()]) {
            let there = run(here(&format!("ping -n -c 2 -i 0.1 -W 5 {theirs}")));
            assert!(there.contains("ttl=63"), "{there}");
            let near = if ours.is_ipv4() { "10.0.0.1" } else { "fd00::1" };
            let back = run(far.command(&format!("ping -n -c 2 -i 0.1 -W 5 {near}")));
            assert!(back.contains("ttl=63"), "{back}");
            let hops = run(here(&format!("traceroute -n -q 1 -w 5 -m 4 {theirs}")));
            let hops: Vec<_> = hops.lines().skip(1).map(|l| l.split_whitespace().nth(1).unwrap()).collect();
            assert_eq!(hops, [&ours.to_string()[..], theirs]);
            let report = run(here(&format!("mtr -n -r -c 2 -i 1 -G 1 {theirs}")));
            let hops: Vec<_> = report.lines().skip(2).map(|l| l.split_whitespace().nth(1).unwrap()).collect();
            assert_eq!(hops, [&ours.to_string()[..], theirs], "{report}");
        }
    });
}

/// I07, T17: what is too big for the far link is told to the kernel, which believes it; without DF it is cut over IPv4.
#[test]
fn kernel_learns_the_path_mtu_from_our_router() {
    between(true, |_| {
        for ([theirs, _], headers) in FAR.into_iter().zip([28, 48]) {
            let (_, first) = output(here(&format!("ping -n -M do -s 1400 -c 2 -i 0.2 -W 2 {theirs}")));
            assert!(first.contains("1300"), "{first}");
            let route = run(here(&format!("ip route get {theirs}")));
            assert!(route.contains("mtu 1300"), "{route}");
            let longest = usize::from(FAR_MTU) - headers;
            run(here(&format!("ping -n -M do -s {longest} -c 1 -W 5 {theirs}")));
            run(here(&format!("ping -n -M dont -s 4000 -c 2 -i 0.1 -W 5 {theirs}")));
        }
        run(here("ip route flush cache"));
        run(here(&format!("ping -n -M dont -s 1400 -c 2 -i 0.1 -W 5 {}", FAR[0][0])));
    });
}

/// I07, H210: iperf3 through our router, with segments that the kernel leaves to the devices and without; a path whose MTU is
/// smaller behind it.
#[test]
fn iperf_goes_through_our_router() {
    for offloads in [true, false] {
        between(offloads, |far| {
            for [theirs, _] in FAR {
                for reverse in ["", " -R"] {
                    let mut server = far.command("iperf3 -s -1");
                    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                    let client = format!("iperf3 --connect-timeout 3000 -n 4M{reverse} -c {theirs}");
                    let started = Instant::now();
                    let text = loop {
                        let (is_good, text) = output(here(&client));
                        if is_good {
                            break text;
                        }
                        assert!(started.elapsed() < Duration::from_secs(10), "{theirs}{reverse}: {text}");
                        thread::sleep(Duration::from_millis(50));
                    };
                    assert!(text.contains("receiver"), "{text}");
                    server.wait().unwrap();
                }
            }
        });
    }
}

/// I07: datagrams of the kernel whose checksums it leaves to the device arrive at the other side, whole and in fragments.
#[test]
fn datagrams_of_the_kernel_go_through_with_their_checksums() {
    between(true, |far| {
        for [theirs, _] in FAR {
            let mut server = far.command("iperf3 -s -1");
            let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let client = format!("iperf3 --connect-timeout 3000 -u -b 2M -t 1 -l 1200 -c {theirs}");
            let started = Instant::now();
            let text = loop {
                let (is_good, text) = output(here(&client));
                if is_good {
                    break text;
                }
                assert!(started.elapsed() < Duration::from_secs(10), "{theirs}: {text}");
                thread::sleep(Duration::from_millis(50));
            };
            server.wait().unwrap();
            let receiver = text.lines().find(|l| l.ends_with("receiver")).unwrap_or_else(|| panic!("{text}"));
            assert!(receiver.contains("(0%)"), "{text}");
        }
    });
}
