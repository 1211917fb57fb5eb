//! Several datagrams as one frame, both ways, beside the kernel (D05, V03).

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use barenet::stack::Limits;
use barenet::udp::RecvSlot;
use barenet::{Net, UdpSocket};
use barenet_drivers::tap::Tap;
use barenet_tests::kernel::{Family, beside_wrapped, noise};
use std::net::{self, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A TAP, how many frames of several datagrams went out and came in, and whether it can.
struct Watched {
    tap: Tap,
    seen: Arc<[AtomicUsize; 3]>,
}

impl Device for Watched {
    fn capabilities(&self) -> Capabilities {
        self.tap.capabilities()
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let seen = &self.seen[1];
        self.tap.receive(&mut |frame| {
            seen.fetch_add(usize::from(frame.segment_len.is_some()), Ordering::Relaxed);
            sink(frame);
        })
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let taken = self.tap.transmit(frame);
        let is_joined = taken.is_ok() && frame.offload.segment.is_some_and(|request| request.udp);
        self.seen[0].fetch_add(is_joined.into(), Ordering::Relaxed);
        taken
    }
    fn arm(&mut self) -> bool {
        self.tap.arm()
    }
    fn link(&mut self) -> LinkState {
        self.tap.link()
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.tap.set_multicast(group, join);
    }
}

/// Runs beside the kernel, which takes and gives frames of several datagrams from Linux 6.2 on, or does not, without offloads.
fn beside(offloads: bool, body: impl FnOnce(&Net) + Send) -> [usize; 3] {
    let seen = Arc::<[AtomicUsize; 3]>::default();
    let watched = seen.clone();
    let wrap = |tap: Tap| {
        watched[2].store(tap.capabilities().uso.into(), Ordering::Relaxed);
        Watched { tap, seen: watched }
    };
    beside_wrapped(offloads, wrap, &Limits::default(), body);
    [0, 1, 2].map(|way| seen[way].load(Ordering::Relaxed))
}

/// The kernel gets each datagram of our batches with its own bytes, whoever cuts them.
#[test]
fn kernel_hears_each_datagram_of_a_batch() {
    for offloads in [true, false] {
        let [joined, _, can] = beside(offloads, |net| {
            for family in Family::BOTH {
                let server = net::UdpSocket::bind((family.kernel(), 7000)).unwrap();
                server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let client = UdpSocket::bind(net, 0).unwrap();
                client.connect(server.local_addr().unwrap()).unwrap();
                // Few wait for a neighbour.
                client.send(b"hello").unwrap();
                assert_eq!(server.recv(&mut [0; 9]).unwrap(), 5);
                for (len, last) in [(1, 1), (100, 99), (1200, 1), (1452, 1452)] {
                    let data = noise(39 * len + last, len as u64);
                    let batch: Vec<_> = data.chunks(len).map(|data| (data, None)).collect();
                    assert_eq!(client.send_batch(&batch), Ok(40));
                    let mut buf = [0; 2000];
                    for (n, (data, _)) in batch.iter().enumerate() {
                        let received = server.recv(&mut buf).unwrap();
                        assert!(
                            &buf[..received] == *data,
                            "{family:?} {len}: datagram {n} has {received} bytes"
                        );
                    }
                }
            }
        });
        // A frame has 34 pieces: two frames for each batch.
        assert_eq!(joined > 10, can > 0, "{joined} frames of several");
        assert!(offloads || can == 0);
    }
}

/// We get each datagram that a program of the kernel sent by one call (`UDP_SEGMENT`).
#[test]
fn we_hear_each_datagram_of_a_program_that_joins_them() {
    let file = std::env::temp_dir().join(format!("barenet-uso-{}", std::process::id()));
    for offloads in [true, false] {
        let [_, merged, can] = beside(offloads, |net| {
            for family in Family::BOTH {
                let server = UdpSocket::bind(net, SocketAddr::new(family.ours(), 7000)).unwrap();
                for (len, total) in [(1000, 30_000), (1400, 40_001), (7, 300)] {
                    let data = noise(total, len as u64);
                    std::fs::write(&file, &data).unwrap();
                    let to = match family {
                        Family::V4 => format!("UDP4-SENDTO:{}:7000", family.ours()),
                        Family::V6 => format!("UDP6-SENDTO:[{}]:7000", family.ours()),
                    };
                    // SOL_UDP and UDP_SEGMENT of linux/udp.h
                    let to = format!("{to},setsockopt-int=17:103:{len}");
                    let from = format!("FILE:{}", file.display());
                    let sent = Command::new("socat").args(["-u", "-b", "65000", &from, &to]).status();
                    assert!(sent.expect("`socat`, of the package socat, can be run").success());
                    let mut left = &data[..];
                    while !left.is_empty() {
                        let mut memory = [[0; 1500]; 8];
                        let mut slots = memory.each_mut().map(|buf| RecvSlot::new(buf));
                        let count = server.recv_batch(&mut slots).unwrap();
                        for slot in &slots[..count] {
                            let (datagram, rest) = left.split_at(len.min(left.len()));
                            assert!(slot.data() == datagram, "{family:?} {len}: {}", slot.data().len());
                            left = rest;
                        }
                    }
                }
            }
        });
        assert_eq!(merged > 0, can > 0, "{merged} frames of several");
    }
    let _ = std::fs::remove_file(file);
}
