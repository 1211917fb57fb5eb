//! The examples as Linux processes, by `cargo host` as a user calls it.

use barenet_tests::runner::cargo;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Output;

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
        let mut flow = TcpStream::connect(address).unwrap();
        flow.write_all(b"GET / HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        flow.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("host: Linux"), "{page}");
    }
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
