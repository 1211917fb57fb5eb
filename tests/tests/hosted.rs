//! The examples as Linux processes, by `cargo host` as a user calls it.

use barenet_drivers::tap;
use barenet_qemu::install;
use barenet_tests::netns::{self, KERNEL_V4, KERNEL_V6};
use barenet_tests::runner::{cargo, cargo_run};
use barenet_tests::servers::Server;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output, Stdio};

/// What `cargo host` with these arguments says.
fn cargo_host(args: &[&str]) -> Output {
    cargo("host", args).output().unwrap()
}

/// The command is this test's own program, which needs nothing that a machine may lack.
#[test]
fn a_command_reaches_the_example_in_its_namespace() {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let interfaces = || std::fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    let before = interfaces();
    for with in [&[][..], &["--arg", "--fibers"]] {
        let command = ["--", program, "--exact", "get_the_page", "--ignored", "--nocapture"];
        let args = [&["http_server"], with, &command].concat();
        let output = cargo_host(&args);
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{args:?}: {text}{errors}");
    }
    assert_eq!(interfaces(), before, "an interface was left behind");
}

#[test]
#[ignore = "runs inside, where `cargo host` has brought up http_server"]
fn get_the_page() {
    for address in ["10.0.0.2:80", "[fd00::2]:80"] {
        let address: SocketAddr = address.parse().unwrap();
        let get = |path: &str| {
            let mut flow = TcpStream::connect(address).unwrap();
            write!(flow, "GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").unwrap();
            let mut text = String::new();
            flow.read_to_string(&mut text).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
            (head.to_owned(), body.to_owned(), flow.local_addr().unwrap())
        };
        let (head, page, _) = get("/");
        assert!(page.contains("host: Linux") && head.contains("text/html"), "{page}");
        assert!(page.len() <= 16 * 1024, "{} bytes", page.len());
        assert!(
            !["http://", "https://", "src=", "url(", "@import"].iter().any(|from| page.contains(from)),
            "it is whole"
        );
        // The connection that asks is among those that are shown.
        let (head, state, own) = get("/state");
        assert!(head.contains("application/json"), "{head}");
        let own = format!(r#"["{address}","{own}","ESTABLISHED","#);
        for shown in
            [&own[..], r#""up_ms":"#, r#""rx":"#, r#"["eth2","02:"#, r#""10.0.0.2/24","DHCP","preferred"]"#]
        {
            assert!(state.contains(shown), "no {shown} in {state}");
        }
        let (_, text, own) = get("/netstat");
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let own = [address.to_string(), own.to_string(), "ESTABLISHED".to_owned()];
        assert!(lines.iter().any(|line| line.starts_with(&own.each_ref().map(|word| &word[..]))), "{text}");
        assert!(lines.iter().any(|line| line.contains(&"10.0.0.2/24") && line.contains(&"DHCP")), "{text}");
    }
}

/// The words of `cargo qemu`, with the same meaning.
#[test]
fn capture_limit_and_list_are_those_of_cargo_qemu() {
    let file = std::env::temp_dir().join(format!("barenet-hosted-{}.pcapng", std::process::id()));
    let path = file.to_str().unwrap();
    let program = std::env::current_exe().unwrap();
    let command = ["--", program.to_str().unwrap(), "--exact", "get_the_page", "--ignored"];
    let output = cargo_host(&[&["http_server", "--pcap", path], &command[..]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.contains(" frames in "), "{errors}");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let has = |what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    assert!(has(b"HTTP/1.1 200"), "{} bytes", bytes.len());
    // An answer is written in pieces; the end of its head and the start of the text leave in one segment.
    assert!(has(b"\r\n\r\nLocal "), "the answer goes piece by piece");

    let output = cargo_host(&["udp_echo_server", "--timeout", "1"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(124) && errors.contains("after 1 s"), "{errors}");
    let output = cargo_host(&["http_server", "--timeout", "1", "--", "sleep", "60"]);
    assert_eq!(output.status.code(), Some(124), "{}", String::from_utf8_lossy(&output.stderr));

    let output = cargo_host(&["http_server", "--pcap", "/nowhere/all.pcapng"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("can't write the capture /nowhere"), "{errors}");

    let output = cargo_host(&["--list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("http_server"), "{text}");
}

/// The runner as Cargo's: what `cargo run` has built is a process in a namespace of its own.
#[test]
fn cargo_run_starts_a_program_by_the_runner() {
    let output = cargo_run("host", &["--timeout", "60"], None, "ifconfig").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("inet 10.0.0.2/24"), "{text}{errors}");
    let output = cargo_run("host", &[], None, "tcp_hello_world").arg("--no-address").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && text.contains("ADDRESS:PORT"), "{text}");
}

/// The live page in a browser: it asks again and again, its tables are full, its plots are drawn, and nothing of it fails.
#[test]
fn browser_shows_the_page_live() {
    installed("chromium", "chromium");
    let profile = std::env::temp_dir().join(format!("barenet-chromium-{}", std::process::id()));
    let directory = format!("--user-data-dir={}", profile.display());
    // The page is ours: it needs no sandbox, which root can't have. What its console says goes to stderr.
    let fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--dump-dom",
    ];
    // Five seconds of the page's clock, which is ahead of the wall's where nothing is under way.
    let page = ["--virtual-time-budget=5000", &directory, "http://10.0.0.2/"];
    let command = ["http_server", "--", "chromium"];
    let output = cargo_host(&[&command[..], &fixed, &page].concat());
    let _ = std::fs::remove_dir_all(profile);
    let page = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let console: Vec<_> = errors.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");
    let own = "<tr><td>10.0.0.2:80</td><td>10.0.0.1:";
    let shown = [own, "<td>ESTABLISHED</td>", "<td>10.0.0.2/24</td><td>DHCP</td><td>preferred</td>"];
    for shown in shown.into_iter().chain(["<span id=\"gone\"></span>"]) {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    for plot in ["p-rx", "p-tx", "p-dropped"] {
        let path = page.split_once(&format!("id=\"{plot}\"")).unwrap().1.split_once('>').unwrap().0;
        assert!(path.matches('L').count() >= 2, "{plot}: {path}");
    }
}

/// A network of one family: a program starts with its address two seconds later, not after the half minute that it would wait
/// for any.
#[test]
fn one_family_is_enough_to_start() {
    let v4: &[&str] = &["--dhcp-range=10.0.0.50,10.0.0.59,2m"];
    let v6: &[&str] = &["--dhcp-range=::,constructor:tap0,ra-only", "--enable-ra", "--ra-param=tap0,4"];
    for (arguments, has, has_not) in [(v4, "inet 10.0.0.5", "inet6 fd00"), (v6, "inet6 fd00::", "inet 10.")] {
        netns::run(|| {
            let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
            let own = [(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)];
            tap::configure(&tap, &own).unwrap();
            let _server = Server::dnsmasq(arguments);
            let output = cargo_host(&["ifconfig", "--tap", &tap]);
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains(has) && !text.contains(has_not), "{text}{errors}");
            assert!(!errors.contains("answer"), "it waited: {errors}");
        });
    }
}

/// L19, L23: neighbours, routes and sockets in the columns of the well-known tools.
#[test]
fn tools_show_neighbors_routes_and_sockets() {
    netns::run(|| {
        let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
        tap::configure(&tap, &[(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)]).unwrap();
        let router = ["--dhcp-range=::,constructor:tap0,ra-only", "--enable-ra", "--ra-param=tap0,4"];
        let _server = Server::dnsmasq(&[&["--dhcp-range=10.0.0.50,10.0.0.59,2m"][..], &router].concat());
        let shows = |tool: &str, lines: &[&[&str]]| {
            let output = cargo_host(&[tool, "--tap", &tap]);
            let text = String::from_utf8_lossy(&output.stdout);
            for words in lines {
                let has = |line: &str| {
                    let columns: Vec<_> = line.split_whitespace().collect();
                    columns.windows(words.len()).any(|part| part == *words)
                };
                assert!(text.lines().any(has), "{tool}: no {words:?} in\n{text}");
            }
        };
        shows("arp", &[&["Address", "HWaddress"], &["10.0.0.1"], &["Reachable", "eth2"]]);
        let lines: [&[&str]; 4] = [
            &["0.0.0.0/0", "10.0.0.1", "UG", "100", "never", "eth2"],
            &["10.0.0.0/24", "*", "U", "0"],
            &["fd00::/64", "*", "UA", "Medium"],
            &["UGA", "Medium"],
        ];
        shows("route", &lines);
        let lines: [&[&str]; 4] = [
            &["tcp6", "0", "128", "*:7000", "*:*", "LISTEN"],
            &["127.0.0.1:7000", "ESTABLISHED"],
            &["tcp", "0"],
            &["udp6", "0", "0", "*:7001", "*:*"],
        ];
        shows("netstat", &lines);
    });
}

#[test]
fn the_status_is_the_commands() {
    let output = cargo_host(&["tcp_echo_server", "--", "sh", "-c", "echo out; exit 7"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{errors}");
    assert_eq!(output.stdout, b"out\n", "what the example says belongs elsewhere");
}

/// Nobody listens at the kernel's end, so the client fails, and `cargo host` with it.
#[test]
fn without_a_command_the_status_is_the_examples() {
    let output = cargo_host(&["tcp_hello_world", "--arg", "10.0.0.1:7000"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("connection refused"), "{text}");
}

/// The program of others, installed if it is missing.
fn installed(program: &str, package: &str) {
    install::program(program, package).unwrap_or_else(|why| panic!("{why}"));
}

/// What the shell's commands print inside, where `cargo host` has brought up the example.
fn printed_beside(example: &[&str], commands: &str) -> String {
    let output = cargo_host(&[example, &["--", "sh", "-ec", commands]].concat());
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{example:?}: {text}{errors}");
    text.into_owned()
}

/// ab(1), wrk(1) and curl(1): many requests at once, a connection for each and one for many, no answer broken.
#[test]
fn http_clients_are_served() {
    for (program, package) in [("ab", "apache2-utils"), ("wrk", "wrk"), ("curl", "curl")] {
        installed(program, package);
    }
    let text = printed_beside(
        &["http_server"],
        "ab -q -l -n 500 -c 20 http://10.0.0.2/
         ab -q -l -k -n 500 -c 20 'http://[fd00::2]/netstat'
         wrk -t 2 -c 20 -d 1s http://10.0.0.2/state",
    );
    let count = |words: &str| {
        text.lines().filter(|line| line.split_whitespace().eq(words.split_whitespace())).count()
    };
    assert_eq!((count("Complete requests: 500"), count("Failed requests: 0")), (2, 2), "{text}");
    assert_eq!(count("Keep-Alive requests: 500"), 1, "{text}");
    assert!(
        text.contains(" requests in ") && !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{text}"
    );

    let text = printed_beside(
        &["http_server"],
        "curl -s http://10.0.0.2/netstat http://10.0.0.2/netstat -o /dev/null -o /dev/null -w '%{http_code} %{num_connects}\n'
         curl -sI http://10.0.0.2/
         curl -s http://10.0.0.2/ -d text -D - -o /dev/null",
    );
    assert!(text.contains("200 1\n200 0\n"), "the second on the connection of the first: {text}");
    // RFC 9110 §9.3.2, §15.5.6.
    let (head, refused) = text.split_once("HTTP/1.1 405").unwrap_or_else(|| panic!("{text}"));
    assert!(head.contains("HTTP/1.1 200") && head.contains("Content-Length: "), "{head}");
    assert!(refused.contains("Allow: GET, HEAD"), "{refused}");
}

/// nc(1) and socat(1): a text there and back, by TCP with a half-close and by UDP, over both families.
#[test]
fn text_goes_through_netcat_and_socat() {
    installed("nc", "netcat-openbsd");
    installed("socat", "socat");
    let text = printed_beside(
        &["tcp_echo_server"],
        "seq 20000 > /tmp/barenet-hosted-$$
         for address in 10.0.0.2 fd00::2; do nc -N $address 7000 < /tmp/barenet-hosted-$$ | cksum; done
         for to in TCP4:10.0.0.2:7000 'TCP6:[fd00::2]:7000'; do socat -t 10 - $to < /tmp/barenet-hosted-$$ | cksum; done
         cksum < /tmp/barenet-hosted-$$; rm /tmp/barenet-hosted-$$",
    );
    let sums: Vec<_> = text.lines().rev().take(5).collect();
    assert!(sums.iter().all(|sum| *sum == sums[0] && sum.ends_with(" 108894")), "{text}");
    let text = printed_beside(
        &["udp_echo_server"],
        "for to in UDP4:10.0.0.2:7000 'UDP6:[fd00::2]:7000'; do echo words | socat -t 1 - $to; done",
    );
    assert_eq!(text.lines().filter(|line| *line == "words").count(), 2, "{text}");
}

/// How much is measured, and with how many streams and in which direction.
const MEASUREMENTS: [&[&str]; 3] = [&["-n", "20M"], &["-n", "20M", "-R"], &["-n", "20M", "-P", "3"]];

#[test]
fn iperf3_measures_our_server() {
    installed("iperf3", "iperf3");
    for (how, server) in MEASUREMENTS.into_iter().zip(["10.0.0.2", "fd00::2", "10.0.0.2"]) {
        let output = cargo_host(&[&["iperf3", "--", "iperf3", "-c", server], how].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("iperf Done."), "{how:?}: {text}{errors}");
    }
}

#[test]
fn our_client_measures_iperf3() {
    installed("iperf3", "iperf3");
    netns::run(|| {
        let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
        tap::configure(&tap, &[(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)]).unwrap();
        for (how, server) in MEASUREMENTS.into_iter().zip(["10.0.0.1", "fd00::1", "10.0.0.1"]) {
            let mut iperf3 = Command::new("iperf3");
            let mut iperf3 =
                iperf3.args(["-s", "-1", "--forceflush"]).stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(iperf3.stdout.take().unwrap()).lines();
            assert!(said.any(|line| line.unwrap().contains("listening")), "iperf3 ended");
            let arguments =
                ["-c", server].into_iter().chain(how.iter().copied()).flat_map(|arg| ["--arg", arg]);
            // Nobody gives addresses on this TAP.
            let own = ["--arg", "ip=10.0.0.2/24", "--arg", "ip=fd00::2/64"];
            let fixed = ["iperf3", "--tap", &tap].into_iter().chain(own);
            let arguments: Vec<_> = fixed.chain(arguments).collect();
            let output = cargo_host(&arguments);
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            iperf3.kill().unwrap();
            iperf3.wait().unwrap();
            assert!(output.status.success(), "{how:?}: {text}{errors}");
            let words = if how.contains(&"-R") { ["received", "end sent"] } else { ["sent", "end received"] };
            assert!(words.iter().all(|word| text.contains(word)), "{how:?}: {text}");
        }
    });
}

#[test]
fn the_sink_takes_and_the_source_gives() {
    let program = std::env::current_exe().unwrap();
    let command = ["--", program.to_str().unwrap(), "--exact", "give_and_take", "--ignored", "--nocapture"];
    let output = cargo_host(&[&["tcp_sink_source"], &command[..]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

#[test]
#[ignore = "runs inside, where `cargo host` has brought up tcp_sink_source"]
fn give_and_take() {
    let connect = |port: u16| TcpStream::connect(("10.0.0.2", port)).unwrap();
    let mut sink = connect(9);
    sink.write_all(&[0; 1_000_000]).unwrap();
    sink.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(sink.read(&mut [0]).unwrap(), 0, "it says nothing");
    let mut lines = BufReader::new(connect(19)).lines().map(Result::unwrap);
    let first: Vec<_> = lines.by_ref().take(95).collect();
    assert!(
        first[0].starts_with(" !\"#")
            && first[94].starts_with("~ !\"")
            && first.iter().all(|l| l.len() == 72)
    );
    assert_eq!(lines.next().unwrap(), first[0]);
}

/// Runs this program's test `name` inside, where `cargo host` has brought up the example.
fn inside(example: &[&str], name: &str) {
    let program = std::env::current_exe().unwrap();
    let command = ["--", program.to_str().unwrap(), "--exact", name, "--ignored", "--nocapture"];
    let output = cargo_host(&[example, &command[..]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{example:?}: {text}{errors}");
}

/// Contract L12, M22, M24, E21: the documents' servers, by callbacks, by tasks that are joined and with a stop, as the kernel's
/// sockets see them.
#[test]
fn documents_servers_give_back_what_they_are_sent() {
    inside(&["callback_tcp_echo_server"], "talk_over_tcp");
    inside(&["tcp_tasks"], "talk_over_tcp");
    inside(&["tcp_server_stop"], "talk_and_stop");
    inside(&["callback_udp_echo_server"], "talk_over_udp");
    inside(&["tcp_last_words"], "hear_last_words");
}

fn server() -> TcpStream {
    TcpStream::connect("10.0.0.2:7000").unwrap()
}

#[test]
#[ignore = "runs inside, where `cargo host` has brought up a server"]
fn talk_over_tcp() {
    let talk = |n: u8| {
        let mut flow = server();
        let data = vec![n; 300_000];
        let mut back = Vec::new();
        let mut reader = flow.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| reader.read_to_end(&mut back).unwrap());
            flow.write_all(&data).unwrap();
            flow.shutdown(std::net::Shutdown::Write).unwrap();
        });
        assert!(back == data, "{n}: {} bytes", back.len());
    };
    std::thread::scope(|scope| (0..8).for_each(|n| _ = scope.spawn(move || talk(n))));
}

#[test]
#[ignore = "runs inside, where `cargo host` has brought up tcp_server_stop"]
fn talk_and_stop() {
    let say = |flow: &mut TcpStream, text: &str| {
        flow.write_all(text.as_bytes()).unwrap();
        let mut back = [0; 64];
        let n = flow.read(&mut back).unwrap();
        String::from_utf8_lossy(&back[..n]).into_owned()
    };
    // As many as the limit, and one more, who waits.
    let mut served: Vec<TcpStream> = (0..10).map(|_| server()).collect();
    served.iter_mut().for_each(|flow| assert_eq!(say(flow, "hello"), "hello"));
    let mut waits = server();
    assert_eq!(say(&mut served[3], "stop"), "stopped\n");
    assert_eq!(say(&mut served[4], "still"), "still", "who is served goes on");
    drop(served);
    let mut last = String::new();
    waits.read_to_string(&mut last).unwrap();
    assert_eq!(last, "bye\n");
}

#[test]
#[ignore = "runs inside, where `cargo host` has brought up callback_udp_echo_server"]
fn talk_over_udp() {
    let socket = std::net::UdpSocket::bind("10.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    for len in [0, 1, 1472, 9000] {
        socket.send_to(&vec![7; len], "10.0.0.2:7000").unwrap();
        let mut back = [0; 10_000];
        assert_eq!(socket.recv(&mut back).unwrap(), len);
    }
}

/// Contract M15, M26: the sum is said at the end of the stream, and before the reset of a client that is thrown out.
#[test]
#[ignore = "runs inside, where `cargo host` has brought up tcp_last_words"]
fn hear_last_words() {
    let mut flow = server();
    flow.write_all(b"1\n2\n39\n").unwrap();
    flow.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    flow.read_to_string(&mut text).unwrap();
    assert_eq!(text, "sum 42\n");
    let mut flow = server();
    flow.write_all(b"5\nnonsense\n").unwrap();
    let mut buf = [0; 64];
    let n = flow.read(&mut buf).unwrap();
    assert_eq!(&buf[..n], b"sum 5\n");
}

/// Contract M25, L12, L13: the guide's clients, by callbacks, with the kernel's sockets as the server.
#[test]
fn documents_clients_print_the_answer() {
    netns::run(|| {
        let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
        tap::configure(&tap, &[(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)]).unwrap();
        let tcp = std::net::TcpListener::bind("10.0.0.1:7000").unwrap();
        let udp = std::net::UdpSocket::bind("10.0.0.1:7000").unwrap();
        let says = |example: &str| {
            let own = ["--arg", "ip=10.0.0.2/24", "--arg", "ip=fd00::2/64", "--arg", "10.0.0.1:7000"];
            let output = cargo_host(&[&[example, "--tap", &tap], &own[..]].concat());
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{example}: {text}{errors}");
            text
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut flow, _) = tcp.accept().unwrap();
                let mut text = String::new();
                flow.read_to_string(&mut text).unwrap();
                flow.write_all(format!("you said: {text}").as_bytes()).unwrap();
            });
            assert!(says("callback_tcp_hello_world").contains("you said: Hello, world!"));
        });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut buf = [0; 100];
                let (n, from) = udp.recv_from(&mut buf).unwrap();
                udp.send_to(&[b"you said: ", &buf[..n]].concat(), from).unwrap();
            });
            assert!(says("callback_udp_hello_world").contains("you said: Hello, world!"));
        });
    });
}

/// Contract E5: a client that knows the traits alone runs against a network of the test's own, without a stack, and through
/// ours against a server.
#[test]
fn client_of_the_traits_runs_on_a_network_that_is_none() {
    netns::run(|| {
        let tap = tap::create(tap::Options::new().name("tap0")).unwrap();
        tap::configure(&tap, &[(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)]).unwrap();
        let server = std::net::TcpListener::bind("10.0.0.1:80").unwrap();
        let serve = std::thread::spawn(move || {
            let (mut flow, _) = server.accept().unwrap();
            let mut line = String::new();
            BufReader::new(flow.try_clone().unwrap()).read_line(&mut line).unwrap();
            flow.write_all(b"HTTP/1.0 404 Not Found\r\n\r\nnothing").unwrap();
            line
        });
        let own = ["--arg", "ip=10.0.0.2/24", "--arg", "ip=fd00::2/64", "--arg", "10.0.0.1:80"];
        let output = cargo_host(&[&["mock", "--tap", &tap], &own[..]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("passes on a network that is none"),
            "{text}{errors}"
        );
        assert!(text.contains("answers 404, with 7 bytes"), "{text}{errors}");
        assert_eq!(serve.join().unwrap(), "GET / HTTP/1.0\r\n");
    });
}
