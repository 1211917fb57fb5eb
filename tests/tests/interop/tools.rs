//! What tools of the field say of our stack: arping(8), ndisc6(8), rdisc6(8), nmap(1); tcpdump(8) and tshark(1) of what it sends.

use barenet::{TcpListener, UdpSocket};
use barenet_qemu::install;
use barenet_tests::kernel::{Family, Opens, beside, exchange, pair};
use barenet_tests::netns::MAC;
use std::net::{self, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The Debian packages of the tools.
const PACKAGES: [(&str, &str); 7] = [
    ("arping", "iputils-arping"),
    ("iptables", "iptables"),
    ("ndisc6", "ndisc6"),
    ("rdisc6", "ndisc6"),
    ("nmap", "nmap"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
];

/// Sees to it that these programs are there.
pub(crate) fn needs(programs: &[&str]) {
    for program in programs {
        let package = PACKAGES.iter().find(|(name, _)| name == program).expect("a package").1;
        install::program(program, package).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// Runs a command, and gives how it ended and what it said.
pub(crate) fn run(line: &str) -> (Option<i32>, String) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|why| panic!("{line}: {why}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// tcpdump(8), writing to a file, which goes with this value.
pub(crate) struct Capture(Child, PathBuf);

impl Capture {
    pub(crate) fn start(interface: &str) -> Capture {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("barenet-{}-{number}.pcap", std::process::id()));
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args(["-Z", "root", "-U", "-n", "-i", interface, "-w"]).arg(&file);
        tcpdump.stdout(Stdio::null()).stderr(Stdio::null());
        let capture = Capture(tcpdump.spawn().expect("tcpdump(8)"), file);
        // It has opened the interface when the file has its head.
        let started = Instant::now();
        while std::fs::metadata(&capture.1).map_or(0, |m| m.len()) < 24 {
            assert!(started.elapsed() < Duration::from_secs(10), "tcpdump(8) does not begin");
            thread::sleep(Duration::from_millis(5));
        }
        capture
    }

    /// Ends it: the file is whole.
    pub(crate) fn stop(mut self) -> Capture {
        // It hands packets over in blocks.
        thread::sleep(Duration::from_millis(1200));
        run(&format!("kill -INT {}", self.0.id()));
        self.0.wait().expect("it ends");
        self
    }

    /// What tshark(1) makes of the frames that a filter lets through: the values of fields, with commas between them.
    pub(crate) fn fields(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let mut tshark = Command::new("tshark");
        tshark.arg("-n").arg("-r").arg(&self.1).args(["-T", "fields", "-E", "separator=,"]);
        for protocol in ["ip", "tcp", "udp"] {
            tshark.arg("-o").arg(format!("{protocol}.check_checksum:TRUE"));
        }
        tshark.arg("-Y").arg(filter);
        tshark.args(fields.iter().flat_map(|field| ["-e", field]));
        let output = tshark.output().expect("tshark(1)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// No frame of those is malformed or has a wrong checksum; and there are some.
    pub(crate) fn expect_no_fault(&self, of: &str) {
        let bad = ["ip", "icmp", "icmpv6", "igmp", "udp", "tcp"].map(|p| format!("{p}.checksum.status == 0"));
        let bad = format!("({of}) && (_ws.malformed || {})", bad.join(" || "));
        let fields = ["frame.number", "_ws.col.Protocol", "_ws.col.Info"];
        assert_eq!(self.fields(&bad, &fields), [""; 0]);
        assert!(!self.fields(of, &fields).is_empty(), "nothing was captured");
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_file(&self.1);
    }
}

/// L03, L02: arping(8) finds that our address is taken, and another is free; ndisc6(8) finds our hardware address; rdisc6(8) no router.
#[test]
fn arping_and_ndisc6_find_our_addresses() {
    needs(&["arping", "ndisc6", "rdisc6"]);
    beside(true, |_| {
        let (status, text) = run("arping -D -q -c 2 -w 3 -I tap0 10.0.0.2");
        assert_eq!(status, Some(1), "somebody has the address: {text}");
        let (status, text) = run("arping -D -q -c 1 -w 1 -I tap0 10.0.0.77");
        assert_eq!(status, Some(0), "nobody has the address: {text}");
        let (status, text) = run("arping -c 1 -w 3 -I tap0 10.0.0.2");
        assert!(status == Some(0) && text.to_lowercase().contains(&MAC.to_string().to_lowercase()), "{text}");
        let (status, text) = run("ndisc6 -n -r 3 -w 1000 fd00::2 tap0");
        assert!(status == Some(0) && text.to_lowercase().contains(&MAC.to_string().to_lowercase()), "{text}");
        let (status, text) = run("rdisc6 -n -r 1 -w 300 tap0");
        assert_eq!(status, Some(2), "we are no router: {text}");
    });
}

/// I05, D03: nmap(1) finds the port that is open and the one that is closed, by TCP and UDP, over both families.
#[test]
fn nmap_tells_open_from_closed_ports() {
    needs(&["nmap"]);
    beside(true, |net| {
        let _listener = TcpListener::bind(net, 7000).unwrap();
        let udp = UdpSocket::bind(net, 7000).unwrap();
        for (family, option) in [(Family::V4, ""), (Family::V6, "-6 ")] {
            let to = family.ours();
            let (_, text) = run(&format!(
                "nmap {option}-n -Pn -sS -sU -p T:7000-7001,U:7000-7001 --host-timeout 20s {to}"
            ));
            for expected in ["7000/tcp open ", "7001/tcp closed", "7001/udp closed"] {
                assert!(text.contains(expected), "{expected} is not in\n{text}");
            }
            let udp = text.lines().find(|l| l.starts_with("7000/udp")).unwrap_or_else(|| panic!("{text}"));
            assert!(udp.contains("open"), "{udp}");
        }
        drop(udp);
    });
}

/// T02, I01, I05: of what we send, whole connections, datagrams in fragments, refusals, groups, tshark(1) finds no frame malformed and no
/// checksum wrong.
#[test]
fn tshark_finds_no_fault_in_what_we_send() {
    needs(&["tcpdump", "tshark"]);
    beside(false, |net| {
        let capture = Capture::start("tap0");
        for family in Family::BOTH {
            for opens in Opens::BOTH {
                let (mut ours, mut kernel) = pair(net, family, opens);
                exchange(&mut ours, &mut kernel, 100_001);
                let (ours, _kernel) = pair(net, family, opens);
                ours.abort();
            }
            let theirs = net::UdpSocket::bind((family.kernel(), 0)).unwrap();
            let ours = UdpSocket::bind(net, SocketAddr::new(family.ours(), 7000)).unwrap();
            for len in [0, 1, 1000, 5000, 65_507] {
                theirs.send_to(&vec![7; len], (family.ours(), 7000)).unwrap();
                let (len, from) = ours.recv_from(&mut vec![0; 70_000]).unwrap();
                ours.send_to(&vec![8; len], from).unwrap();
                theirs.recv(&mut vec![0; 70_000]).unwrap();
            }
            let group = if family == Family::V4 { "239.1.2.3" } else { "ff15::1234" };
            let any = barenet::stack::Membership::AnySource;
            ours.join(group.parse().unwrap(), None, any).unwrap();
            theirs.send_to(b"closed", (family.ours(), 9)).unwrap();
            run(&format!("ping -n -c 2 -i 0.05 -s 3000 -W 5 {}", family.ours()));
        }
        let capture = capture.stop();
        let ours = format!("eth.src == {MAC}");
        capture.expect_no_fault(&ours);
        let of = |filter: &str| capture.fields(&format!("{ours} && {filter}"), &["frame.number"]).len();
        let seen = [
            "arp",
            "tcp.flags.reset == 1",
            "icmp.type == 3",
            "icmpv6.type == 1",
            "igmp",
            "ip.flags.mf == 1",
            "ipv6.fraghdr",
        ];
        assert!(seen.iter().all(|filter| of(filter) > 0), "{:?}", seen.map(of));
    });
}
