//! Names of the link beside avahi-daemon(8), on the kernel's end of a TAP.

use barenet::names::{Announcement, RecordType};
use barenet::{Error, Net, TcpStream};
use barenet_tests::kernel::beside;
use barenet_tests::servers::Avahi;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Waits for what a program says to have these words in it.
fn eventually(words: &str, says: impl Fn() -> String) {
    let started = Instant::now();
    loop {
        let said = says();
        if said.contains(words) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "no {words:?} in {said:?}");
    }
}

/// Waits for this host's own name.
fn own_name(net: &Net) -> String {
    net.wait_configuration(barenet::time::Duration::from_secs(20), |stack| stack.announced_host().is_some())
        .unwrap();
    net.announced_host().unwrap().to_string()
}

/// L10: we find avahi's host, by both families, backwards, by its service, and connect to it by name; avahi finds ours and its service, and hears of
/// its end.
#[test]
fn avahi_and_this_host_find_each_other() {
    beside(true, |net| {
        let avahi = Avahi::start("kernel");
        net.announce_host("sensor").unwrap();
        let what =
            Announcement { instance: "Attic 1.2", service: "_http._tcp", port: 8080, texts: &["path=/a"] };
        let id = net.announce(what).unwrap();
        assert_eq!(own_name(net), "sensor.local");

        eventually("10.0.0.1", || format!("{:?}", net.lookup("kernel.local")));
        let found = net.lookup("Kernel.local").unwrap();
        assert!(found.iter().any(|a| a.is_ipv6()) && found.iter().any(|a| a.is_ipv4()), "{found:?}");
        assert_eq!(net.lookup("nobody.local"), Err(Error::NameNotFound));
        eventually("kernel [", || format!("{:?}", names(net, "_workstation._tcp.local")));
        let listener = TcpListener::bind("[::]:80").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| listener.accept().unwrap().0.write_all(b"hello").unwrap());
            let mut words = String::new();
            TcpStream::connect(net, "kernel.local:80").unwrap().read_to_string(&mut words).unwrap();
            assert_eq!(words, "hello");
        });

        eventually("10.0.0.2", || avahi.ask("avahi-resolve", &["-4", "-n", "sensor.local"]));
        eventually("fd00::2", || avahi.ask("avahi-resolve", &["-6", "-n", "sensor.local"]));
        eventually("sensor.local", || avahi.ask("avahi-resolve", &["-a", "10.0.0.2"]));
        let browse = || avahi.ask("avahi-browse", &["-r", "-t", "-p", "_http._tcp"]);
        eventually("sensor.local;10.0.0.2;8080;\"path=/a\"", browse);
        net.withdraw(id).unwrap();
        let started = Instant::now();
        while browse().contains("sensor") {
            assert!(started.elapsed() < Duration::from_secs(20), "it is still there");
        }
    });
}

fn names(net: &Net, of: &str) -> Vec<String> {
    let found = net.query(of, RecordType::Ptr);
    found.map_or(Vec::new(), |found| found.names().map(|name| name.to_string()).collect())
}

/// RFC 6762 §9: avahi has the name that we want, and keeps it.
#[test]
fn name_of_avahi_is_left_to_it() {
    beside(true, |net| {
        let avahi = Avahi::start("sensor");
        eventually("10.0.0.1", || avahi.ask("avahi-resolve", &["-4", "-n", "sensor.local"]));
        net.announce_host("sensor").unwrap();
        assert_eq!(own_name(net), "sensor-2.local");
        eventually("10.0.0.2", || avahi.ask("avahi-resolve", &["-4", "-n", "sensor-2.local"]));
        eventually("10.0.0.1", || format!("{:?}", net.lookup("sensor.local")));
    });
}

/// RFC 6762 §9: avahi wants the name that we have, and takes another.
#[test]
fn own_name_is_defended_against_avahi() {
    beside(true, |net| {
        net.announce_host("sensor").unwrap();
        assert_eq!(own_name(net), "sensor.local");
        let avahi = Avahi::start("sensor");
        eventually("10.0.0.1", || format!("{:?}", net.lookup("sensor-2.local")));
        assert_eq!(own_name(net), "sensor.local");
        eventually("10.0.0.2", || avahi.ask("avahi-resolve", &["-4", "-n", "sensor.local"]));
    });
}

/// RFC 6762 §10.1: who shuts the network down says goodbye first, and avahi forgets the name within a second or two, not after its two minutes.
#[test]
fn shutdown_takes_the_name_back() {
    beside(true, |net| {
        let avahi = Avahi::start("kernel");
        net.announce_host("sensor").unwrap();
        assert_eq!(own_name(net), "sensor.local");
        let resolve = || avahi.ask("avahi-resolve", &["-4", "-n", "sensor.local"]);
        eventually("10.0.0.2", resolve);
        net.shutdown();
        let started = Instant::now();
        while resolve().contains("10.0.0.2") {
            assert!(started.elapsed() < Duration::from_secs(20), "it is still there");
        }
    });
}
