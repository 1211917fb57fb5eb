//! Datagrams and pings, each way.

use barenet::{Error, PingSocket, UdpSocket};
use barenet_tests::kernel::{Family, beside, noise};
use std::net::{self, SocketAddr};
use std::process::Command;
use std::thread;

/// As long as fits one Ethernet frame over IPv6, one byte, and nothing at all.
const LENGTHS: [usize; 4] = [1452, 512, 1, 0];

#[test]
fn our_server_echoes_datagrams() {
    for offloads in [true, false] {
        beside(offloads, |net| {
            for family in Family::BOTH {
                let server = UdpSocket::bind(net, SocketAddr::new(family.ours(), 7000)).unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let mut buf = [0; 2000];
                        for _ in LENGTHS {
                            let (n, peer) = server.recv_from(&mut buf).unwrap();
                            assert_eq!(server.send_to(&buf[..n], peer), Ok(n));
                        }
                    });
                    let client = net::UdpSocket::bind((family.kernel(), 0)).unwrap();
                    client.connect((family.ours(), 7000)).unwrap();
                    for len in LENGTHS {
                        let data = noise(len, 1);
                        client.send(&data).unwrap();
                        let mut buf = [0; 2000];
                        let n = client.recv(&mut buf).unwrap();
                        assert!(buf[..n] == data, "{len} bytes, {n} came back");
                    }
                });
            }
        });
    }
}

#[test]
fn the_kernel_echoes_our_datagrams() {
    for offloads in [true, false] {
        beside(offloads, |net| {
            for family in Family::BOTH {
                let server = net::UdpSocket::bind((family.kernel(), 7000)).unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let mut buf = [0; 2000];
                        for _ in LENGTHS {
                            let (n, peer) = server.recv_from(&mut buf).unwrap();
                            server.send_to(&buf[..n], peer).unwrap();
                        }
                    });
                    let client = UdpSocket::bind(net, 0).unwrap();
                    client.connect(server.local_addr().unwrap()).unwrap();
                    for len in LENGTHS {
                        let data = noise(len, 1);
                        assert_eq!(client.send(&data), Ok(len));
                        let mut buf = [0; 2000];
                        let n = client.recv(&mut buf).unwrap();
                        assert!(buf[..n] == data, "{len} bytes, {n} came back");
                    }
                });
            }
        });
    }
}

/// The kernel's "port unreachable" ends our wait, once.
#[test]
fn a_closed_udp_port_is_told_to_us() {
    beside(true, |net| {
        for family in Family::BOTH {
            let socket = UdpSocket::bind(net, 0).unwrap();
            socket.connect(SocketAddr::new(family.kernel(), 9)).unwrap();
            socket.send(b"is anyone there?").unwrap();
            assert_eq!(socket.recv(&mut [0; 100]), Err(Error::ConnectionRefused), "{family:?}");
            assert_eq!(socket.try_recv_from(&mut [0; 100]), Err(Error::WouldBlock), "told once");
        }
    });
}

#[test]
fn we_ping_the_kernel() {
    beside(true, |net| {
        for family in Family::BOTH {
            let mut ping = PingSocket::connect(net, family.kernel()).unwrap();
            let seq = ping.send(b"hello").unwrap();
            let mut buf = [0; 100];
            let reply = ping.recv(&mut buf).unwrap();
            assert_eq!((reply.seq, reply.from, &buf[..reply.len]), (seq, family.kernel(), &b"hello"[..]));
        }
    });
}

/// With ping(8), where it is installed; `icmp_over_tap` pings without it.
#[test]
fn the_kernel_pings_us() {
    beside(true, |_| {
        for family in Family::BOTH {
            for size in ["56", "1451"] {
                let mut ping = Command::new("ping");
                ping.args(["-n", "-c", "3", "-i", "0.01", "-W", "5", "-s", size])
                    .arg(family.ours().to_string());
                let output = match ping.output() {
                    Ok(output) => output,
                    Err(why) => return println!("skipped: ping(8) can't be run: {why}"),
                };
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && text.contains(" 0% packet loss"), "{text}");
            }
        }
    });
}
