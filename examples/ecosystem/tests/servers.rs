//! The programs as Linux processes on a TAP, with real servers and clients at the kernel's end.

#![cfg(target_os = "linux")]

use barenet_drivers::tap;
use barenet_tests::kernel::{PATIENCE, within};
use barenet_tests::netns::{self, KERNEL_V4};
use barenet_tests::servers::{Avahi, Server};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs `body` in a namespace with a TAP `tap0`, the kernel's end of it configured.
fn beside(body: impl FnOnce() + Send) {
    within(PATIENCE, || {
        netns::run(|| {
            tap::create(tap::Options::new().name("tap0")).unwrap();
            tap::configure("tap0", &[(KERNEL_V4.into(), 24)]).unwrap();
            body();
        });
    });
}

fn program(exe: &str, args: &[&str]) -> Command {
    let mut command = Command::new(exe);
    command.args(["--tap", "tap0", "ip=10.0.0.2/24"]).args(args);
    command
}

/// What a program prints that ends by itself, in success; by fibers and by threads.
fn output(exe: &str, args: &[&str]) -> String {
    let outputs = [&[][..], &["--fibers"]].map(|way| {
        let output = program(exe, &[way, args].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{exe} {way:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    });
    outputs.concat()
}

/// A program that serves until this is dropped.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    /// Starts it, and waits until it says `ready`.
    fn start(exe: &str, args: &[&str], ready: &str) -> Running {
        let mut child = program(exe, args).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut running = Running(child, stdout);
        while !running.line().contains(ready) {}
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.1.read_line(&mut line).unwrap() > 0, "it has ended");
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn picoserve_answers_several_requests_on_one_connection() {
    beside(|| {
        for way in [&[][..], &["--fibers"]] {
            let _server = Running::start(env!("CARGO_BIN_EXE_picoserve_server"), way, "picoserve on");
            let mut flow = BufReader::new(TcpStream::connect("10.0.0.2:80").unwrap());
            for (path, body) in [("/", "host: Linux"), ("/double/21", "42"), ("/uptime", "")] {
                write!(flow.get_mut(), "GET {path} HTTP/1.1\r\nHost: it\r\n\r\n").unwrap();
                let (mut line, mut len) = (String::new(), 0);
                flow.read_line(&mut line).unwrap();
                assert!(line.starts_with("HTTP/1.1 200"), "{line}");
                while line != "\r\n" {
                    line.clear();
                    flow.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                        len = value.trim().parse().unwrap();
                    }
                }
                let mut page = vec![0; len];
                flow.read_exact(&mut page).unwrap();
                assert!(String::from_utf8(page).unwrap().contains(body));
            }
        }
    });
}

#[test]
fn http_and_tls_clients_fetch_from_nginx_and_openssl() {
    beside(|| {
        let _nginx = Server::nginx();
        let text = output(env!("CARGO_BIN_EXE_edge_http_client"), &["10.0.0.1:8080", "/page"]);
        assert_eq!(text.matches("status 200\nbody of 100000 bytes\n").count(), 2, "{text}");
        let text = output(env!("CARGO_BIN_EXE_reqwless_client"), &["http://10.0.0.1:8080/page"]);
        assert_eq!(text.matches("status 200\nbody of 100000 bytes\n").count(), 2, "{text}");
        let text = output(env!("CARGO_BIN_EXE_tls_client"), &["10.0.0.1:8443", "it"]);
        assert_eq!(text.matches("bytes over TLS").count(), 2, "{text}");
        let _openssl = Server::openssl();
        let text = output(env!("CARGO_BIN_EXE_tls_client"), &["10.0.0.1:4433", "it"]);
        assert_eq!(text.matches("bytes over TLS").count(), 2, "{text}");
    });
}

#[test]
fn rust_mqtt_and_minimq_exchange_messages_by_mosquitto() {
    beside(|| {
        let _broker = Server::mosquitto();
        for exe in [env!("CARGO_BIN_EXE_mqtt_client"), env!("CARGO_BIN_EXE_minimq_client")] {
            let text = output(exe, &["10.0.0.1:1883"]);
            assert_eq!(text.matches("received over our sockets").count(), 2, "{text}");
        }
    });
}

#[test]
fn sntpc_asks_chronyd_for_the_time() {
    beside(|| {
        let _server = Server::chronyd();
        let text = output(env!("CARGO_BIN_EXE_sntp_client"), &["10.0.0.1:123"]);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let told = text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
        let told: Vec<u64> = told.collect();
        assert!(told.len() == 2 && told.iter().all(|t| t.abs_diff(now) < 60), "{text} at {now}");
    });
}

#[test]
fn coap_lite_fetches_from_libcoap() {
    beside(|| {
        let _server = Server::coap();
        let text = output(env!("CARGO_BIN_EXE_coap_client"), &["10.0.0.1:5683", "time"]);
        assert_eq!(text.matches("Response(Content)").count(), 2, "{text}");
    });
}

/// The crate's REQUEST does not name the server (RFC 2131 §4.3.2 has it named), so that only one which knows that it is
/// alone answers.
#[test]
fn edge_dhcp_gets_a_lease_from_dnsmasq() {
    beside(|| {
        let _server = Server::dnsmasq(&["--dhcp-range=10.0.0.50,10.0.0.59,2m", "--dhcp-authoritative"]);
        let text = output(env!("CARGO_BIN_EXE_dhcp_lease"), &[]);
        assert_eq!(text.matches("leased 10.0.0.5").count(), 2, "{text}");
    });
}

/// A question from a port of its own is answered there (RFC 6762 §6.7).
#[test]
fn edge_mdns_answers_for_its_name() {
    beside(|| {
        let _responder = Running::start(env!("CARGO_BIN_EXE_mdns_responder"), &["barenet-test"], ".local is");
        let socket = UdpSocket::bind((KERNEL_V4, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let question = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x0cbarenet-test\x05local\0\0\x01\0\x01";
        let mut buf = [0; 1500];
        let answer = (0..10).find_map(|_| {
            socket.send_to(question, ("224.0.0.251", 5353)).unwrap();
            socket.recv_from(&mut buf).ok()
        });
        let (len, from) = answer.expect("an answer");
        assert_eq!(from, SocketAddr::from(([10, 0, 0, 2], 5353)));
        assert!(buf[..len].ends_with(&[0, 4, 10, 0, 0, 2]), "{:?}", &buf[..len]);
    });
}

/// avahi finds the name, over the same group.
#[test]
fn avahi_finds_the_host_of_edge_mdns() {
    beside(|| {
        let _responder = Running::start(env!("CARGO_BIN_EXE_mdns_responder"), &["barenet-test"], ".local is");
        let avahi = Avahi::start("kernel");
        let started = Instant::now();
        loop {
            let said = avahi.ask("avahi-resolve", &["-4", "-n", "barenet-test.local"]);
            if said.contains("10.0.0.2") {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{said}");
        }
    });
}

/// The server of edge-dhcp over our UDP gives our own client a lease, over a bridge of two TAPs.
#[test]
fn edge_dhcp_serves_our_own_client() {
    beside(|| {
        tap::create(tap::Options::new().name("tap1")).unwrap();
        for line in [
            "link add br0 type bridge",
            "link set tap0 master br0",
            "link set tap1 master br0",
            "link set br0 up",
            "link set tap1 up",
        ] {
            let done = Command::new("ip").args(line.split(' ')).status().unwrap();
            assert!(done.success(), "ip {line}");
        }
        let _server = Running::start(env!("CARGO_BIN_EXE_dhcp_server"), &[], "leases are at 10.0.0.2");
        let mut client = Command::new(env!("CARGO_BIN_EXE_embassy_tasks"));
        // The board says its addresses beside the program's own output.
        let mut child =
            client.args(["--tap", "tap1"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = said.find(|line| line.contains("eth2: "));
        child.kill().unwrap();
        child.wait().unwrap();
        let line = line.expect("its addresses");
        assert!(line.contains("10.0.0.50/24 (DHCP from 10.0.0.2)"), "{line}");
    });
}

#[test]
fn embassy_tasks_echo_while_time_passes() {
    beside(|| {
        for way in [&[][..], &["--fibers"]] {
            let mut tasks = Running::start(env!("CARGO_BIN_EXE_embassy_tasks"), way, "tick 1 ");
            let mut flows = [(); 4].map(|()| TcpStream::connect("10.0.0.2:7").unwrap());
            for flow in &mut flows {
                flow.write_all(b"hello").unwrap();
                let mut buf = [0; 5];
                flow.read_exact(&mut buf).unwrap();
                assert_eq!(&buf, b"hello");
            }
            let line = loop {
                let line = tasks.line();
                if line.starts_with("tick 5 ") {
                    break line;
                }
            };
            let ms: u64 = line.split(' ').nth(3).unwrap().parse().unwrap();
            assert!(ms >= 500, "{line}");
        }
    });
}
