//! Datagrams in fragments, each way.

use barenet::stack::Limits;
use barenet::udp::DontFragment;
use barenet::{Error, Net, PingSocket, UdpSocket};
use barenet_drivers::middleware::{Faults, Rates};
use barenet_tests::kernel::{Family, beside, beside_wrapped, noise};
use std::net::{self, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// One byte more than fits a frame, some fragments, and the longest datagram.
const LENGTHS: [usize; 4] = [1473, 4000, 20_000, 65_507];

/// I02, I04, D03: the kernel puts our fragments together, and we put the kernel's.
#[test]
fn long_datagrams_are_echoed_both_ways() {
    for offloads in [true, false] {
        beside(offloads, |net| {
            for family in Family::BOTH {
                let theirs = net::UdpSocket::bind((family.kernel(), 7000)).unwrap();
                let ours = UdpSocket::bind(net, SocketAddr::new(family.ours(), 7000)).unwrap();
                let (mut buf, to) = (vec![0; 70_000], SocketAddr::new(family.kernel(), 7000));
                for len in LENGTHS {
                    let data = noise(len, 1);
                    assert_eq!(ours.send_to(&data, to), Ok(len));
                    let (n, peer) = theirs.recv_from(&mut buf).unwrap();
                    assert!(buf[..n] == data, "{len} bytes, {n} got there");
                    theirs.send_to(&buf[..n], peer).unwrap();
                    let n = ours.recv(&mut buf).unwrap();
                    assert!(buf[..n] == data, "{len} bytes, {n} came back");
                }
                let longest = if family == Family::V4 { 65_507 } else { 65_527 };
                let too_long = ours.send_to(&noise(longest + 1, 1), to);
                assert_eq!(too_long, Err(Error::MessageTooLong { limit: longest as u16 }));
                ours.set_dont_fragment(DontFragment::Yes).unwrap();
                let limit = if family == Family::V4 { 1472 } else { 1452 };
                assert_eq!(ours.send_to(&noise(1473, 1), to), Err(Error::MessageTooLong { limit }));
            }
        });
    }
}

/// RFC 1122 §3.2.2.6: long pings, ours and those of ping(8) where it is installed.
#[test]
fn long_pings_are_answered_both_ways() {
    beside(true, |net| {
        for family in Family::BOTH {
            let mut ours = PingSocket::connect(net, family.kernel()).unwrap();
            let (data, mut buf) = (noise(20_000, 1), vec![0; 20_000]);
            ours.send(&data).unwrap();
            assert_eq!(ours.recv(&mut buf).map(|reply| reply.len), Ok(20_000));
            assert!(buf == data);
            let mut ping = Command::new("ping");
            ping.args(["-n", "-c", "3", "-i", "0.01", "-W", "5", "-s", "20000"])
                .arg(family.ours().to_string());
            let output = match ping.output() {
                Ok(output) => output,
                Err(why) => return println!("skipped: ping(8) can't be run: {why}"),
            };
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains(" 0% packet loss"), "{text}");
        }
    });
}

/// Datagrams of a few fragments each that go one way, and how many get there whole.
const MANY: usize = 10_000;
/// So many are on the way before their sender pauses.
const BURST: usize = 16;

/// The datagram with this number: its bytes are told by that.
fn numbered(number: usize) -> Vec<u8> {
    let data = noise(1500 + number * 37 % 3000, number as u64 + 1);
    [&number.to_le_bytes()[..], &data].concat()
}

/// Counts datagrams until one that is shorter than a number, and looks at every byte.
fn collect(mut receive: impl FnMut(&mut [u8]) -> usize) -> usize {
    let (mut buf, mut count) = (vec![0; 70_000], 0);
    loop {
        let n = receive(&mut buf);
        let Some(number) = buf[..n].first_chunk() else { return count };
        let number = usize::from_le_bytes(*number);
        assert!(number < MANY && buf[..n] == numbered(number), "datagram {number}: a wrong byte");
        count += 1;
    }
}

/// Sends all of them, and the end often enough that one gets there.
fn send_all(mut send: impl FnMut(&[u8])) {
    for number in 0..MANY {
        send(&numbered(number));
        if number % BURST == BURST - 1 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    thread::sleep(Duration::from_millis(100));
    for _ in 0..20 {
        send(b"end");
        thread::sleep(Duration::from_millis(1));
    }
}

/// I02, I04: through loss, duplicates and reordering a datagram is lost or whole, never wrong.
fn lossy(family: Family, net: &Net) {
    let theirs = net::UdpSocket::bind((family.kernel(), 7000)).unwrap();
    let ours = UdpSocket::bind(net, SocketAddr::new(family.ours(), 7000)).unwrap();
    let (to_us, to_them) = (SocketAddr::new(family.ours(), 7000), SocketAddr::new(family.kernel(), 7000));
    let there = thread::scope(|scope| {
        let receiver = scope.spawn(|| collect(|buf| theirs.recv(buf).unwrap()));
        send_all(|data| assert_eq!(ours.send_to(data, to_them), Ok(data.len())));
        receiver.join().unwrap()
    });
    let back = thread::scope(|scope| {
        let receiver = scope.spawn(|| collect(|buf| ours.recv(buf).unwrap()));
        send_all(|data| assert_eq!(theirs.send_to(data, to_us).unwrap(), data.len()));
        receiver.join().unwrap()
    });
    // Of two or three fragments each 95 % get through; what the readers are too slow for is lost as well.
    assert!(there.min(back) > MANY / 2, "{there} and {back} of {MANY}");
}

#[test]
fn ten_thousand_datagrams_through_loss_have_no_wrong_byte() {
    let rates = Rates { loss: 50_000, duplicate: 10_000, reorder: 20_000, ..Rates::default() };
    for family in Family::BOTH {
        let wrap = move |tap| Faults::new(tap, 10).transmitting(rates).receiving(rates);
        beside_wrapped(false, wrap, &Limits::default(), |net| lossy(family, net));
    }
}
