//! Our own scripts. Those of other suites are played by `cargo run -p barenet-tests --bin packetdrill`.

use barenet_tests::packetdrill::{Options, run, scripts};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every script in `tests/scripts` passes, fingerprints and all.
#[test]
fn own_scripts() {
    let all = scripts(&[folder("scripts")]).expect("the folder of our scripts");
    assert!(all.len() >= 10, "scripts are missing");
    let failures: Vec<String> = all
        .iter()
        .filter_map(|(path, text)| {
            Some(format!("{}:{}", path.display(), run(text, &Options::default()).failure?))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What a script gives is compared: each of these says one thing that is not so, and fails at its last line. In
/// packetdrill's packets text is zeros.
#[test]
fn scripts_that_say_what_is_not_so_fail() {
    const SERVER: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 123:123(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 124 <...>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
";
    const STAMPED: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 100 ecr 0>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 100>
+.1 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 200 ecr 100>
+0 accept(3, ..., ...) = 4
+.1 write(4, ..., 3) = 3
";
    const UDP: &str = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
+0 bind(3, ..., ...) = 0
+0 connect(3, ..., ...) = 0
";
    let cases = [
        // text, in one call and in pieces
        (SERVER, "+0 write(4, ..., 3) = 3\n", "+0 > P. 1:4(3) ack 1", ""),
        (SERVER, "+0 write(4, \"abc\", 3) = 3\n", "", "+0 > P. 1:4(3) ack 1"),
        (SERVER, "+0 writev(4, [{..., 2}, {\"abc\", 3}], 2) = 5\n", "", "+0 > P. 1:6(5) ack 1"),
        (SERVER, "+0 < P. 1:4(3) ack 1 win 257\n", "+0 read(4, ..., 9) = 3", ""),
        (SERVER, "+0 < P. 1:4(3) ack 1 win 257\n", "", "+0 read(4, \"abc\", 3) = 3"),
        (SERVER, "+0 < P. 1:4(3) ack 1 win 257\n", "", "+0 readv(4, [{\"abc\", 3}], 1) = 3"),
        // ports
        (SERVER, "+0 write(4, ..., 3) = 3\n", "+0 > 8080 > 53055 P. 1:4(3) ack 1", ""),
        (SERVER, "+0 write(4, ..., 3) = 3\n", "", "+0 > 8080 > 53056 P. 1:4(3) ack 1"),
        (UDP, "+0 write(3, ..., 9) = 9\n", "+0 > udp (9)", ""),
        (UDP, "+0 write(3, ..., 9) = 9\n", "", "+0 > udp 8080 > 99 (9)"),
        (UDP, "+0 write(3, \"abc\", 3) = 3\n", "", "+0 > udp (3)"),
        // numbers behind a SYN that is not 0
        (SERVER, "+0 < P. 1:11(10) ack 1 win 257\n", "+0 > . 1:1(0) ack 11", "+0 > . 1:1(0) ack 134"),
        // ICMP: what it quotes, and the identifier of an echo
        (UDP, "+0 < udp 53055 > 9 (20)\n", "+0 > icmp unreachable port_unreachable [udp (20)]", ""),
        (UDP, "+0 < udp 53055 > 9 (20)\n", "", "+0 > icmp unreachable port_unreachable [udp (21)]"),
        (UDP, "+0 < icmp echo_request id 7\n", "+0 > icmp echo_reply id 7", "+0 > icmp echo_reply id 8"),
        // timestamps: as far apart as the clock says
        (STAMPED, "", "+0 > P. 1:4(3) ack 1 <nop,nop,TS val 300 ecr 200>", ""),
        (STAMPED, "", "", "+0 > P. 1:4(3) ack 1 <nop,nop,TS val 350 ecr 200>"),
        // calls: an error that nobody knows, the length of an option
        (SERVER, "", "", "+0 fcntl(77, F_GETFL) = -1 ENONSENSE (no such error)"),
        (SERVER, "", "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0", ""),
        (SERVER, "", "", "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [8]) = 0"),
    ];
    for (opening, then, so, not_so) in cases {
        let failure = |last: &str| run(&format!("{opening}{then}{last}\n"), &Options::default()).failure;
        assert_eq!(failure(so), None, "{then}{so}");
        if !not_so.is_empty() {
            let lines = format!("{opening}{then}").lines().count() + 1;
            let found = failure(not_so).unwrap_or_else(|| panic!("passes: {then}{not_so}"));
            assert_eq!(found.place, lines.to_string(), "{found}");
        }
    }
}

/// What the runner does not know says nothing about the stack, and scripts that fail alike have one cause.
#[test]
fn failures_have_a_kind_and_a_cause() {
    use barenet_tests::packetdrill::report::{Kind, Summary, Trouble};
    const OPEN: &str =
        "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n";
    let trouble = |script: &str| -> Trouble {
        let report = run(&format!("{OPEN}{script}\n"), &Options::default());
        report.failure.unwrap_or_else(|| panic!("passes: {script}")).trouble
    };
    let answer = |ack: u32| format!("+0 < S 0:0(0) win 9 <mss 9>\n+0 > SE. 0:0(0) ack {ack} <...>");
    let unreadable =
        ["+0 frobnicate(3) = 0", "+0 < Q 0:0(0)", "+0 setsockopt(3, SOL_TCP, TCP_NONE, [1], 4) = 0"];
    for script in unreadable {
        assert_eq!(trouble(script).kind, Kind::Unreadable, "{script}");
    }
    for (script, cause) in [
        (answer(1), "another packet was sent: flags"),
        (answer(2), "another packet was sent: flags, acknowledgment"),
        ("+0 > . 1:1(0)".into(), "nothing was sent"),
        ("+0 accept(3, ..., ...) = 4".into(), "accept does not return"),
        ("+0 fcntl(9, F_GETFL) = 1".into(), "fcntl returns something else"),
        (
            "+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [EPIPE], [4]) = 0".into(),
            "getsockopt gives something else",
        ),
    ] {
        let trouble = trouble(&script);
        assert_eq!((trouble.kind, trouble.cause.as_str()), (Kind::Fails, cause), "{script}");
    }
    let mut summary = Summary::default();
    summary.pass();
    summary.deviate();
    for script in [answer(1), answer(1), unreadable[0].into()] {
        summary.fail(&trouble(&script), "a.pkt");
    }
    assert_eq!(
        summary.to_string(),
        "2 fail: another packet was sent: flags (as a.pkt)\n\
         1 can't be read: the call frobnicate is not supported (as a.pkt)\n\
         1 of 5 pass, 1 deviate, 2 fail, 1 can't be read"
    );
}

/// What happens is told with its time, and what crosses the link is kept.
#[test]
fn a_trace_and_a_capture() {
    let file = tempfile();
    let options = Options { trace: true, capture: Some(file.clone()), ..Options::default() };
    let script = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.5 < S 0:0(0) win 9 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
";
    let report = run(script, &options);
    assert_eq!(report.failure, None);
    assert_eq!(report.trace.len(), 5);
    assert_eq!(report.trace[3], "0.500000 s < S 0:0(0) win 9 <mss 1000>");
    assert!(report.trace[4].starts_with("0.500000 s > S. 0:0(0) ack 1 win "), "{}", report.trace[4]);
    let capture = std::fs::read(&file).expect("a capture");
    std::fs::remove_file(&file).expect("it can go again");
    assert_eq!(capture[..4], [0x0a, 0x0d, 0x0d, 0x0a], "pcapng");
    assert!(capture.windows(4).any(|w| w == [2, 4, 3, 0xe8]), "the peer's SYN with its MSS");
}

fn tempfile() -> PathBuf {
    std::env::temp_dir().join(format!("barenet-packetdrill-{}.pcapng", std::process::id()))
}
