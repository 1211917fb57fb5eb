//! The examples in QEMU, on both machines, by `cargo qemu` as a user calls it.

use barenet_drivers::tap;
use barenet_qemu::install;
use barenet_tests::conformance::serve;
use barenet_tests::judge::judge;
use barenet_tests::kernel::noise;
use barenet_tests::netns::{self, KERNEL_V4, KERNEL_V6, STACK_V4, STACK_V6};
use barenet_tests::runner::{cargo, cargo_run};
use barenet_tests::servers::{Avahi, Server};
use pcap_file::pcap::PcapReader;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const MACHINES: [&str; 2] = ["q35", "microvm"];

/// A guest takes a second to boot; what takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Held while a guest runs: two processors emulate one well, and a second guest would spoil what is
/// measured of the first.
fn one_guest_at_a_time() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `cargo qemu` with these arguments.
fn cargo_qemu(args: &[&str]) -> Command {
    let mut command = cargo("qemu", &["--timeout", "120"]);
    command.args(args);
    command
}

/// A running guest, which ends with this value.
struct Guest(Child);

impl Guest {
    /// Starts an example that serves on this network and waits for its first line, which is behind
    /// the board's own two: the machine, and the addresses.
    fn serving(example: &str, machine: &str, network: &[&str]) -> Guest {
        let mut command = cargo_qemu(&[example, "--machine", machine]);
        command.args(network);
        let mut guest = Guest(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut console = BufReader::new(guest.0.stdout.take().unwrap());
        let [mut board, mut addresses, mut line] = [String::new(), String::new(), String::new()];
        console.read_line(&mut board).unwrap();
        console.read_line(&mut addresses).unwrap();
        console.read_line(&mut line).unwrap();
        let said = [machine, "virtio-net at", "MAC 52:54:00:12:34:56"];
        assert!(said.iter().all(|word| board.contains(word)), "the board on {machine} says `{board}`");
        let known: &[&str] = match network.contains(&"--tap") {
            true => &["eth2: ", " 10.0.0."],
            // QEMU's own network has a DHCP server and a router that advertises itself.
            false => &["eth2: ", " 10.0.2.15/24 (DHCP from 10.0.2.2)", " fec0::", "/64 (SLAAC, stable)"],
        };
        assert!(known.iter().all(|word| addresses.contains(word)), "{addresses}");
        assert!(line.contains(" on "), "{example} on {machine} says `{line}`, not where it listens");
        // What it says later must not fill the pipe and stop it.
        thread::spawn(move || std::io::copy(&mut console, &mut std::io::stderr()));
        guest
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The runner ends QEMU with itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of this host that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A TAP for a guest in this namespace, where the kernel has its addresses of both families.
fn kernels_tap() -> String {
    let name = tap::create(tap::Options::new().name("tap0")).unwrap();
    tap::configure(&name, &[(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)]).unwrap();
    name
}

fn connect(to: impl Into<SocketAddr>) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to.into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// iperf3(1) measures a guest, in both directions.
#[test]
fn iperf3_measures_a_guest() {
    install::program("iperf3", "iperf3").unwrap_or_else(|why| panic!("{why}"));
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        let port = free_port();
        let _guest = Guest::serving("iperf3", machine, &["--forward", &format!("{port}:5201")]);
        for direction in [&[][..], &["-R"]] {
            let mut iperf3 = Command::new("iperf3");
            iperf3.args(["-c", "127.0.0.1", "-n", "5M", "-p", &port.to_string()]).args(direction);
            let output = iperf3.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let done = output.status.success() && text.contains("iperf Done.");
            assert!(done, "{machine}, {direction:?}: {text}");
        }
    }
}

const CLIENTS: usize = 64;

#[test]
fn http_server_answers_64_clients_at_once() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        let port = free_port();
        let _guest = Guest::serving("http_server", machine, &["--forward", &format!("{port}:80")]);
        // QEMU's listener has room for one connection that it has not accepted, and the kernel would
        // try further ones again only after a second. So each has its first answer before the next
        // connects; then all ask at once.
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            get_page(&mut client);
            clients.push(client);
        }
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| get_page(client));
            }
        });
    }
}

/// Asks for the page and leaves the connection open.
fn get_page(client: &mut TcpStream) {
    client.write_all(b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n").unwrap();
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (Vec::new(), 0);
    while head.last().is_none_or(|line: &String| line != "\r\n") {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the answer ends in its head: {head:?}");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push(line);
    }
    assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
    let mut page = vec![0; length];
    reader.read_exact(&mut page).unwrap();
    assert!(String::from_utf8(page).unwrap().contains("x86_64 board"));
}

/// 4 MB there and back.
fn echo_4_mb(mut reader: TcpStream, of: &str) {
    let data = noise(4_000_000, 1);
    let mut writer = reader.try_clone().unwrap();
    let mut back = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&data).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        reader.read_to_end(&mut back).unwrap();
    });
    assert!(back == data, "{of}: {} bytes came back, not the same", back.len());
}

/// Contract M24.
#[test]
fn tcp_echo_server_gives_back_4_mb() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        let port = free_port();
        let pcap = std::env::temp_dir().join(format!("barenet-{}-{machine}.pcap", std::process::id()));
        let network = ["--forward", &format!("{port}:7000"), "--pcap", pcap.to_str().unwrap()];
        let guest = Guest::serving("tcp_echo_server", machine, &network);
        echo_4_mb(connect((Ipv4Addr::LOCALHOST, port)).unwrap(), machine);
        drop(guest);
        let frames = std::fs::read(&pcap).unwrap();
        std::fs::remove_file(&pcap).unwrap();
        judge_guest(&frames);
    }
}

/// The hardware address that QEMU gives its first network device.
const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// QEMU's own network has no offloads, so what the guest sent is complete.
fn judge_guest(pcap: &[u8]) {
    let mut reader = PcapReader::new(pcap).unwrap();
    let mut sent = 0;
    // The last one may be cut: QEMU was killed.
    while let Some(Ok(frame)) = reader.next_packet() {
        if frame.data[6..12] == GUEST_MAC {
            judge(&frame.data).unwrap_or_else(|why| panic!("{why}: {:02x?}", frame.data));
            sent += 1;
        }
    }
    assert!(sent > 1000, "the guest sent 4 MB in {sent} frames");
}

#[test]
fn a_guest_that_stays_too_long_is_ended() {
    let _alone = one_guest_at_a_time();
    let output = cargo("qemu", &["udp_echo_server", "--timeout", "1"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(124), "{errors}");
    assert!(errors.ends_with("error: timed out: the guest was ended after 1 s\n"), "{errors}");
}

/// A capture that can't be written is told before anything is built; one that was, with what it holds.
#[test]
fn a_capture_is_told_before_and_after() {
    let _alone = one_guest_at_a_time();
    let pcap = std::env::temp_dir().join(format!("barenet-{}-told.pcap", std::process::id()));
    let run = |file: &str| {
        let server = format!("10.0.2.2:{}", free_port());
        let output = cargo_qemu(&["tcp_hello_world", "--pcap", file, "--", &server]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let file = pcap.to_str().unwrap();
    let errors = run(file);
    std::fs::remove_file(&pcap).unwrap();
    let (_, told) = errors.split_once(file).unwrap_or_else(|| panic!("{errors}"));
    let frames: usize = told.trim_start_matches(": ").split(' ').next().unwrap().parse().unwrap();
    assert!(frames >= 2 && told.contains(" frames in "), "{errors}");
    let errors = run("/nowhere/all.pcap");
    assert!(errors.contains("error: can't write the capture /nowhere/all.pcap"), "{errors}");
    assert!(!errors.contains("Compiling barenet-examples"), "{errors}");
}

/// On a TAP the guest has all of virtio-net's offloads, which QEMU's own network has not: segments of
/// up to 64 KiB and incomplete checksums, both ways.
#[test]
fn a_guest_on_a_tap_gives_back_4_mb() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        netns::run(|| {
            let name = kernels_tap();
            let addresses = ["ip=10.0.0.2/24", "gw=10.0.0.1", "ip=fd00::2/64", "gw=fd00::1"];
            let network = [&["--tap", &name, "--"][..], &addresses].concat();
            let _guest = Guest::serving("tcp_echo_server", machine, &network);
            for address in [IpAddr::from(STACK_V4), STACK_V6.into()] {
                echo_4_mb(connect((address, 7000)).unwrap(), machine);
            }
        });
    }
}

/// I12: without an address a program has those of both families, from DHCP and from a router's prefix, and shows them.
#[test]
fn ifconfig_shows_what_dhcp_and_slaac_gave() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        let output = cargo_qemu(&["ifconfig", "--machine", machine]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let has = |words: [&str; 3]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(
            output.status.success() && has(["inet 10.0.2.15/24", "DHCP, preferred", "valid 86"]),
            "{text}"
        );
        assert!(has(["inet6 fec0::", "/64 SLAAC, preferred", "valid 86"]), "{text}");
        assert!(has(["inet6 fe80::", "link-local", "valid for ever"]), "{text}");
        assert!(
            has(["default router 10.0.2.2", "", ""]) && has(["default router fe80::2", "", ""]),
            "{text}"
        );
    }
}

/// The same on a TAP with dnsmasq(8), which serves both families.
#[test]
fn a_guest_on_a_tap_takes_what_dnsmasq_gives() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        netns::run(|| {
            let name = kernels_tap();
            let _server = Server::dnsmasq(&[
                "--dhcp-range=10.0.0.50,10.0.0.59,2m",
                "--dhcp-range=::,constructor:tap0,ra-only",
                "--enable-ra",
                "--ra-param=tap0,4",
            ]);
            let output = cargo_qemu(&["ifconfig", "--machine", machine, "--tap", &name]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("inet 10.0.0.5"), "{text}");
            assert!(text.contains("inet6 fd00::") && text.contains("SLAAC, preferred"), "{text}");
        });
    }
}

/// L10: a guest's name and its page are found by avahi(8) on the link, and the page is served under the address found.
#[test]
fn a_guest_on_a_tap_is_found_by_its_name() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        netns::run(|| {
            let name = kernels_tap();
            let network = ["--tap", &name, "--", "ip=10.0.0.2/24", "ip=fd00::2/64", "sensor"];
            let _guest = Guest::serving("announce", machine, &network);
            let avahi = Avahi::start("kernel");
            let started = Instant::now();
            let browse = || avahi.ask("avahi-browse", &["-r", "-t", "-p", "_http._tcp"]);
            while !browse().contains("sensor.local;10.0.0.2;80;\"path=/\"") {
                assert!(started.elapsed() < PATIENCE, "{machine}: {}", browse());
            }
            assert!(avahi.ask("avahi-resolve", &["-6", "-n", "sensor.local"]).contains("fd00::2"));
            for address in [IpAddr::from(STACK_V4), STACK_V6.into()] {
                let mut page = connect((address, 80)).unwrap();
                page.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
                let mut text = String::new();
                page.read_to_string(&mut text).unwrap();
                assert!(text.ends_with("hello\n"), "{text}");
            }
        });
    }
}

/// Contract M1, M2, M3, E2, L8, U9, U10: the sockets' conformance suite, by fibers, futures and callbacks, over both families;
/// the machines differ in the way to the device alone, so one is enough.
#[test]
fn sockets_conform_without_an_operating_system() {
    let _alone = one_guest_at_a_time();
    netns::run(|| {
        let name = kernels_tap();
        let own = [IpAddr::from(KERNEL_V4), KERNEL_V6.into()];
        own.into_iter().for_each(serve);
        let [v4, v6] = own.map(|address| address.to_string());
        let args = ["conformance", "--tap", &name, "--"];
        let args = [&args[..], &["ip=10.0.0.2/24", "ip=fd00::2/64", &v4, &v6]].concat();
        let output = cargo_qemu(&args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("conforms"), "{text}{errors}");
    });
}

/// Runs the client against port `port` of this host, and gives its status and what it printed.
fn say_hello(machine: &str, port: u16) -> (ExitStatus, String) {
    // QEMU's network has this host at 10.0.2.2.
    let server = format!("10.0.2.2:{port}");
    let output = cargo_qemu(&["tcp_hello_world", "--machine", machine, "--", &server]).output().unwrap();
    (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Contract M25: the client says hello, closes its side, and prints the answer that comes then.
#[test]
fn the_guests_status_is_the_commands() {
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut flow, _) = listener.accept().unwrap();
            let mut text = String::new();
            flow.read_to_string(&mut text).unwrap();
            flow.write_all(b"Good day!").unwrap();
            text
        });
        let (status, text) = say_hello(machine, port);
        assert!(status.success() && text.contains("Good day!"), "{machine}: {status}, {text}");
        assert_eq!(server.join().unwrap(), "Hello, world!\n");

        let (status, text) = say_hello(machine, free_port());
        assert_eq!(status.code(), Some(1), "{machine}: {text}");
        assert!(text.contains("connection refused"), "{machine}: {text}");
    }
}

/// The runner as Cargo's: it boots what `cargo run` has built, hands its arguments on, and its status back.
#[test]
fn cargo_run_boots_a_program_by_the_runner() {
    let _alone = one_guest_at_a_time();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = format!("10.0.2.2:{}", listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (mut flow, _) = listener.accept().unwrap();
        let mut text = String::new();
        flow.read_to_string(&mut text).unwrap();
        flow.write_all(text.to_uppercase().as_bytes()).unwrap();
    });
    let run = |to: &str| {
        let options = ["--machine", "microvm", "--timeout", "60"];
        let mut command = cargo_run("qemu", &options, Some("x86_64-unknown-none"), "tcp_hello_world");
        let output = command.arg(to).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (status, text) = run(&to);
    assert!(status == Some(0) && text.contains("HELLO, WORLD!"), "{text}");
    server.join().unwrap();
    let (status, text) = run("--no-address");
    assert!(status == Some(1) && text.contains("ADDRESS:PORT"), "{text}");
}

/// Clock ticks in a second, in which Linux counts the time of processes: the same on all its machines
/// that QEMU runs on.
const TICKS: u64 = 100;

/// Clock ticks that the process has run so far, and the process that started it: fields 14, 15 and 4
/// of its `stat`, counted behind the name in parentheses that may have spaces.
fn stat(pid: u32) -> Option<(u64, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at - 3)?.parse::<u64>().ok();
    Some((number(14)? + number(15)?, number(4)? as u32))
}

/// The QEMU that the runner has started.
fn qemu_of(runner: u32) -> u32 {
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut children = pids.filter(|pid| stat(*pid).is_some_and(|(_, parent)| parent == runner));
    children.next().expect("the runner has started QEMU")
}

/// A guest that has served and has nothing to do leaves the host's processor alone. The only test
/// that measures: generously, since the machine may be busy.
#[test]
fn an_idle_guest_sleeps() {
    const SECONDS: u64 = 2;
    let _alone = one_guest_at_a_time();
    for machine in MACHINES {
        let port = free_port();
        let guest = Guest::serving("http_server", machine, &["--forward", &format!("{port}:80")]);
        get_page(&mut connect((Ipv4Addr::LOCALHOST, port)).unwrap());
        let qemu = qemu_of(guest.0.id());
        let ticks = || stat(qemu).expect("QEMU runs").0;
        let before = ticks();
        assert!(before > 0, "booting takes time");
        thread::sleep(Duration::from_secs(SECONDS));
        let percent = (ticks() - before) * 100 / (SECONDS * TICKS);
        println!("{machine}: an idle guest takes {percent} % of a processor");
        assert!(percent < 50, "{machine}: {percent} % of a processor");
    }
}

/// Contract L12, M22, M26, E21: the documents' servers in a guest, by callbacks, tasks and with a stop, and a finaliser.
#[test]
fn documents_servers_answer_from_a_guest() {
    let _alone = one_guest_at_a_time();
    let servers = [
        ("callback_tcp_echo_server", "hello\n", "hello\n"),
        ("tcp_tasks", "hello\n", "hello\n"),
        ("tcp_server_stop", "hello\n", "hello\n"),
        ("tcp_last_words", "40\n2\n", "sum 42\n"),
    ];
    for ((example, says, answers), machine) in servers.into_iter().zip(MACHINES.into_iter().cycle()) {
        let port = free_port();
        let _guest = Guest::serving(example, machine, &["--forward", &format!("{port}:7000")]);
        let mut flow = connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        flow.write_all(says.as_bytes()).unwrap();
        flow.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        flow.read_to_string(&mut text).unwrap();
        assert_eq!(text, answers, "{example} on {machine}");
    }
    let port = free_port();
    let _guest =
        Guest::serving("callback_udp_echo_server", "q35", &["--forward", &format!("{port}:7000/udp")]);
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"hello", (Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut buf = [0; 100];
    assert_eq!((socket.recv(&mut buf).unwrap(), &buf[..5]), (5, &b"hello"[..]));
}

/// Contract L10, L12, L15, E5: the documents' clients in a guest, by callbacks, and the client of a mock.
#[test]
fn documents_clients_run_in_a_guest() {
    let _alone = one_guest_at_a_time();
    let run = |arguments: &[&str]| {
        let output = cargo_qemu(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = format!("10.0.2.2:{}", tcp.local_addr().unwrap().port());
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut flow, _) = tcp.accept().unwrap();
            flow.read_to_string(&mut String::new()).unwrap();
            flow.write_all(b"Good day!").unwrap();
        });
        assert!(run(&["callback_tcp_hello_world", "--", &to]).contains("Good day!"));
    });
    let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = format!("10.0.2.2:{}", udp.local_addr().unwrap().port());
    thread::scope(|scope| {
        scope.spawn(|| {
            let (_, from) = udp.recv_from(&mut [0; 100]).unwrap();
            udp.send_to(b"Good day!", from).unwrap();
        });
        assert!(run(&["callback_udp_hello_world", "--machine", "microvm", "--", &to]).contains("Good day!"));
    });
    assert!(run(&["mock"]).contains("passes on a network that is none"));
}
