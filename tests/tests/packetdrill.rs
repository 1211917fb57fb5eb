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
