//! TCP Fast Open with the kernel, as client and as server.

use barenet::{Net, TcpBuilder};
use barenet_tests::kernel::{Family, beside, counter, try_sysctl};
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use std::io::{Read, Write};
use std::net::{self, SocketAddr};
use std::thread;

/// Clients and servers of the kernel may use it, and all listeners do (`ip-sysctl`, `tcp_fastopen`).
const ALL: &str = "1027";
/// `MSG_FASTOPEN` of Linux: connect and send at once.
const MSG_FASTOPEN: u32 = 0x2000_0000;

const REQUEST: &[u8] = b"what is it?";
const ANSWER: &[u8] = b"it is this";

/// A connection on which the kernel asks, first, and gets its answer.
fn kernel_asks(to: SocketAddr) {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None).unwrap();
    let sent = sendto(&socket, REQUEST, SendFlags::from_bits_retain(MSG_FASTOPEN), &to).unwrap();
    assert_eq!(sent, REQUEST.len());
    let mut stream = net::TcpStream::from(socket);
    let mut answer = Vec::new();
    stream.shutdown(net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, ANSWER);
}

/// How often connections began with the text of a SYN: on our side as client, and as server.
fn counts(net: &Net) -> (u64, u64) {
    use barenet::counters::TcpCount;
    net.with_stack(|stack| {
        let counts = stack.tcp_counts();
        (counts.get(TcpCount::FastOpensActive), counts.get(TcpCount::FastOpensPassive))
    })
}

/// T09: the kernel asks us for a cookie, and comes again with it.
#[test]
fn the_kernel_opens_fast() {
    for family in Family::BOTH {
        beside(true, |net| {
            assert!(try_sysctl("net.ipv4.tcp_fastopen", ALL));
            let builder = TcpBuilder::new(net).options(|o| o.fast_open_backlog = 8);
            let listener = builder.listen(SocketAddr::new(family.ours(), 0)).unwrap();
            let address = listener.local_addr();
            thread::scope(|scope| {
                scope.spawn(|| (0..3).for_each(|_| kernel_asks(address)));
                for _ in 0..3 {
                    let (mut flow, _) = listener.accept().unwrap();
                    let mut request = [0; 100];
                    assert_eq!(flow.read(&mut request), Ok(REQUEST.len()));
                    flow.write_all(ANSWER).unwrap();
                    assert_eq!(flow.read(&mut request), Ok(0));
                }
            });
            assert_eq!((counts(net), counter("TCPFastOpenActive")), ((0, 2), 2), "{family:?}");
        });
    }
}

/// T09: we ask the kernel for a cookie, and come again with it.
#[test]
fn we_open_fast() {
    for family in Family::BOTH {
        beside(true, |net| {
            assert!(try_sysctl("net.ipv4.tcp_fastopen", ALL));
            let listener = net::TcpListener::bind((family.kernel(), 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let builder = TcpBuilder::new(net).options(|o| o.fast_open = true);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let (mut kernel, _) = listener.accept().unwrap();
                        let mut request = Vec::new();
                        kernel.read_to_end(&mut request).unwrap();
                        assert_eq!(request, REQUEST);
                        kernel.write_all(ANSWER).unwrap();
                    }
                });
                for _ in 0..3 {
                    let mut flow = builder.connect(address).unwrap();
                    flow.write_all(REQUEST).unwrap();
                    flow.shutdown(barenet::Shutdown::Write).unwrap();
                    let mut answer = [0; 100];
                    assert_eq!(flow.read(&mut answer), Ok(ANSWER.len()));
                    assert_eq!(flow.read(&mut answer), Ok(0));
                }
            });
            let kernel = (counter("TCPFastOpenPassive"), counter("TCPFastOpenPassiveFail"));
            assert_eq!((counts(net), kernel), ((2, 0), (2, 0)), "{family:?}");
        });
    }
}
