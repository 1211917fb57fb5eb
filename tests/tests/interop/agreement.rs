//! What the kernel says of a connection (`ss -ti`) and what we say of it.

use barenet::{Net, TcpInfo, TcpStream};
use barenet_tests::kernel::{Family, Opens, beside, noise, pair};
use std::io::{Read, Write};
use std::net;
use std::process::Command;
use std::time::Duration;

/// Bytes that we send, and that the kernel sends.
const OURS: usize = 50_000;
const KERNELS: usize = 100_000;

/// What the kernel says of its end of one connection.
struct Kernel(String);

impl Kernel {
    /// Asks for the connection with this end.
    fn of(flow: &net::TcpStream) -> Kernel {
        let filter = format!("sport = :{}", flow.local_addr().unwrap().port());
        let output = Command::new("ss").args(["-tionHO", "state", "established", &filter]).output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}{}", String::from_utf8_lossy(&output.stderr));
        Kernel(text)
    }

    /// Does this word stand there?
    fn has(&self, word: &str) -> bool {
        self.0.split_whitespace().any(|w| w == word)
    }

    /// The numbers of `name:1,2` or `name:1/2`.
    fn numbers(&self, name: &str) -> Vec<f64> {
        let value = self.0.split_whitespace().find_map(|w| w.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().split([',', '/']).filter_map(|n| n.parse().ok()).collect()
    }

    /// A count, which is left out when it is 0.
    fn count(&self, name: &str) -> u64 {
        self.numbers(name).first().map_or(0, |n| *n as u64)
    }
}

/// Both ends when nothing is in flight any more, nor went out while they were asked.
fn at_rest(ours: &TcpStream, kernel: &net::TcpStream) -> (TcpInfo, Kernel) {
    loop {
        let before = ours.info().unwrap();
        let theirs = Kernel::of(kernel);
        let info = ours.info().unwrap();
        let quiet = info.in_flight == 0 && theirs.count("unacked") == 0 && theirs.count("notsent") == 0;
        if quiet && info.segments_sent == before.segments_sent {
            return (info, theirs);
        }
    }
}

/// Some data each way, and then: do both say the same, where both say something?
fn compare(net: &Net, family: Family, opens: Opens) {
    let (mut ours, mut kernel) = pair(net, family, opens);
    let (data, mut buf) = (noise(KERNELS, 1), vec![0; KERNELS]);
    ours.write_all(&data[..OURS]).unwrap();
    kernel.read_exact(&mut buf[..OURS]).unwrap();
    kernel.write_all(&data).unwrap();
    ours.read_exact(&mut buf).unwrap();
    let (info, theirs) = at_rest(&ours, &kernel);
    let what = format!("{family:?}, {opens:?} opens\nours: {info:?}\nthe kernel's: {}", theirs.0);

    assert_eq!(theirs.has("ts"), info.timestamps, "{what}");
    assert_eq!(theirs.has("sack"), info.sack, "{what}");
    assert_eq!(theirs.has("ecn"), info.ecn, "{what}");
    let scales = [info.receive_scale, info.send_scale].map(f64::from);
    let scaled = theirs.numbers("wscale");
    assert!(scaled == scales || (scaled.is_empty() && scales == [0.0; 2]), "{what}");
    assert_eq!(theirs.count("mss"), u64::from(info.mss), "{what}");

    assert_eq!((info.bytes_sent, info.bytes_acked), (OURS as u64, OURS as u64), "{what}");
    assert_eq!(theirs.count("bytes_received"), OURS as u64, "{what}");
    assert_eq!(info.bytes_received, KERNELS as u64, "{what}");
    // Whoever opened counts its SYN.
    let syn = u64::from(opens == Opens::Kernel);
    assert_eq!(theirs.count("bytes_acked"), KERNELS as u64 + syn, "{what}");
    assert_eq!(theirs.count("snd_wnd"), u64::from(info.receive_window), "{what}");

    // Nothing was lost, so nothing went twice, but for a probe of the tail where the acknowledgment
    // was delayed; and the way is as short for both.
    let again = theirs.numbers("retrans").last().map_or(0, |n| *n as u64);
    assert!(info.segments_retransmitted <= 1 && again <= 1, "{what}");
    let theirs_ms = theirs.numbers("rtt")[0];
    assert!(info.rtt.is_some_and(|rtt| rtt < Duration::from_millis(50).into()), "{what}");
    assert!(theirs_ms < 50.0, "{what}");
}

/// T20: with all that can be negotiated, and with less; where ss(8) of iproute2 is installed.
#[test]
fn what_the_kernel_says_agrees_with_ours() {
    if let Err(why) = Command::new("ss").arg("-V").output() {
        return println!("skipped: ss(8) can't be run: {why}");
    }
    for offloads in [true, false] {
        beside(offloads, |net| {
            for off in
                [&[][..], &["tcp_sack"], &["tcp_timestamps"], &["tcp_window_scaling", "tcp_timestamps"]]
            {
                let set = |to: &str| {
                    for name in off {
                        std::fs::write(format!("/proc/sys/net/ipv4/{name}"), to).unwrap();
                    }
                };
                set("0");
                for family in Family::BOTH {
                    for opens in Opens::BOTH {
                        compare(net, family, opens);
                    }
                }
                set("1");
            }
        });
    }
}
