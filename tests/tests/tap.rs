//! The TAP driver with the Linux kernel at its other end, without our stack in between.

use barenet::device::{
    ChecksumRequest, Device, LinkState, RxFrame, SegmentRequest, TxError, TxFrame, TxOffload,
};
use barenet_drivers::tap::{self, Options, Tap, namespace};
use barenet_tests::netns::{self, KERNEL_V4, MAC, STACK_V4};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;

/// A UDP datagram of the stack's address to the kernel's port 9000, with the transport checksum
/// complete or left to the device.
fn datagram(payload: &[u8], offload: bool) -> (Vec<u8>, TxOffload) {
    let udp_len = 8 + payload.len() as u16;
    let mut f = vec![0xff; 6];
    f.extend(MAC.0);
    f.extend([8, 0, 0x45, 0]);
    f.extend((20 + udp_len).to_be_bytes());
    f.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    f.extend(STACK_V4.octets());
    f.extend(KERNEL_V4.octets());
    let ip_sum = !sum(&f[14..34], 0);
    f[24..26].copy_from_slice(&ip_sum.to_be_bytes());
    for word in [9001, 9000, udp_len, 0] {
        f.extend(word.to_be_bytes());
    }
    let pseudo = sum(&f[26..34], 17 + u32::from(udp_len));
    let checksum = match offload {
        true => pseudo,
        false => !sum(payload, u32::from(sum(&f[34..42], u32::from(pseudo)))),
    };
    f[40..42].copy_from_slice(&checksum.to_be_bytes());
    let request = ChecksumRequest { start: 34, offset: 6 };
    let offload = TxOffload { checksum: offload.then_some(request), segment: None };
    (f, offload)
}

/// The folded Internet sum.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks(2).map(|w| match *w {
        [a, b] => u32::from(u16::from_be_bytes([a, b])),
        [a, ..] => u32::from(a) << 8,
        [] => 0,
    });
    let mut total = words.sum::<u32>() + start;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Receives until `wanted` likes a frame.
fn receive(tap: &mut Tap, mut wanted: impl FnMut(RxFrame<'_>) -> bool) {
    let mut found = false;
    while !found {
        if !tap.receive(&mut |frame| found |= wanted(frame)) {
            wait(tap);
        }
    }
}

/// Sleeps until the TAP has something.
fn wait(tap: &Tap) {
    let events = tap.events();
    let mut entries: Vec<_> = events.poll_fd().into_iter().collect();
    rustix::event::poll(&mut entries, None).unwrap();
}

#[test]
fn a_datagram_goes_each_way() {
    for offloads in [true, false] {
        netns::run(|| {
            let mut tap = netns::tap(offloads);
            assert_eq!(tap.capabilities().mtu, 1500);
            assert_eq!(tap.capabilities().tx_checksum, offloads);
            let socket = UdpSocket::bind((KERNEL_V4, 9000)).unwrap();
            let payload: [&[u8]; 2] = [b"in ", b"pieces"];
            let (header, offload) = datagram(&payload.concat(), offloads);
            let frame = TxFrame { header: &header, payload: &payload, offload };
            tap.transmit(frame).unwrap();
            let mut buf = [0; 100];
            let (n, from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!((&buf[..n], from.ip()), (&b"in pieces"[..], STACK_V4.into()));

            socket.set_broadcast(true).unwrap();
            socket.send_to(b"to everyone", "10.0.0.255:7").unwrap();
            assert!(!tap.arm(), "a frame waits, so nobody may sleep");
            receive(&mut tap, |frame| frame.bytes.front().ends_with(b"to everyone"));
        });
    }
}

/// H204: writing to an interface that is down is a lost frame, not the end.
#[test]
fn an_interface_that_is_down_comes_back() {
    netns::run(|| {
        let mut tap = netns::tap(true);
        let (header, offload) = datagram(b"", true);
        let frame = TxFrame { header: &header, payload: &[], offload };
        tap::set_up(tap.name(), false).unwrap();
        assert_eq!(tap.transmit(frame), Ok(()));
        assert_eq!((tap.link(), tap.drops().tx_down), (LinkState::Down, 1));
        tap::set_up(tap.name(), true).unwrap();
        assert_eq!(tap.link(), LinkState::Up);
        assert_eq!(tap.transmit(frame), Ok(()));
        assert_eq!(tap.drops().tx_down, 1);
    });
}

/// H204: an interface that was removed is gone, which is told once.
#[test]
fn a_removed_interface_is_gone() {
    netns::run(|| {
        let mut tap = netns::tap(true);
        while tap.receive(&mut |_| {}) {}
        let status = std::process::Command::new("ip").args(["link", "delete", tap.name()]).status();
        assert!(status.unwrap().success());
        assert!(!tap.arm(), "it was removed: an event");
        assert_eq!(tap.link(), LinkState::Gone);
        assert!(tap.arm() && tap.events().poll_fd().is_none(), "told once");
        let (header, offload) = datagram(b"", true);
        let frame = TxFrame { header: &header, payload: &[], offload };
        assert_eq!(tap.transmit(frame), Err(TxError::Refused));
        assert!(!tap.receive(&mut |_| {}));
    });
}

/// H209: the MTU is the interface's own.
#[test]
fn the_mtu_is_read_from_the_interface() {
    netns::run(|| {
        let name = tap::create(Options::new().name("tap0")).unwrap();
        for mtu in [68, 9000, 65_521] {
            tap::set_mtu(&name, mtu).unwrap();
            let tap = Tap::open(MAC, Options::new().existing(&name)).unwrap();
            assert_eq!(tap.capabilities().mtu, mtu);
        }
        tap::remove(&name).unwrap();
        let again = Tap::open(MAC, Options::new().existing(&name));
        assert_eq!(again.unwrap_err(), tap::Error::NoInterface(name));
    });
}

/// H207: opening fails after the descriptor exists, more often than a process has descriptors.
#[test]
fn a_failed_open_leaves_no_descriptor() {
    netns::run(|| {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        for _ in 0..1000 {
            assert!(Tap::open(MAC, Options::new().existing("lo")).is_err());
        }
        // Other tests of this process come and go meanwhile.
        assert!(open() < before + 500);
    });
}

#[test]
fn what_is_wrong_is_named() {
    netns::run(|| {
        let open = |options| Tap::open(MAC, options).unwrap_err().to_string();
        for bad in ["", "a/b", "sixteen-letters-", "two words"] {
            let text = open(Options::new().existing(bad));
            assert!(text.starts_with(&format!("`{bad}` is not a name")), "{text}");
        }
        assert!(open(Options::new().existing("tap7")).contains("there is no interface `tap7`"));
        assert!(open(Options::new().existing("lo")).contains("`lo` is not a TAP"));
        let tap = netns::tap(true);
        assert!(open(Options::new().existing(tap.name())).contains("another program uses"));
    });
}

/// H216: Two kernels, each in its namespace, talk TCP through two TAPs and a copier that takes frames
/// from one Device and sends them to the other: 64 KiB frames cross it whole.
#[test]
fn two_kernels_talk_through_two_taps() {
    for offloads in [true, false] {
        netns::run(|| {
            let mut near = netns::tap(offloads);
            let ended = AtomicBool::new(false);
            let (to_here, far) = mpsc::channel();
            let data: Vec<u8> = (0..4_000_000u32).map(|i| (i >> 3) as u8).collect();
            std::thread::scope(|scope| {
                scope.spawn(move || echo_server(offloads, &to_here));
                let mut far = far.recv().unwrap();
                let ended = &ended;
                let copier = scope.spawn(move || copy(&mut near, &mut far, ended));
                let mut stream = TcpStream::connect((STACK_V4, 7)).unwrap();
                let mut writer = stream.try_clone().unwrap();
                let data = &data;
                let writing = scope.spawn(move || {
                    writer.write_all(data).unwrap();
                    writer.shutdown(std::net::Shutdown::Write).unwrap();
                });
                let mut back = Vec::new();
                stream.read_to_end(&mut back).unwrap();
                writing.join().unwrap();
                ended.store(true, Relaxed);
                UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"end", (STACK_V4, 9)).unwrap();
                assert!(back == *data, "what came back differs");
                let merged = copier.join().unwrap();
                assert_eq!(merged > 0, offloads, "{merged} merged frames");
            });
        });
    }
}

/// In a namespace of its own, at the stack's address: hands its TAP over and echoes once.
fn echo_server(offloads: bool, to: &mpsc::Sender<Tap>) {
    namespace::enter().unwrap();
    let options = if offloads { Options::new() } else { Options::new().plain() };
    let tap = Tap::open(MAC, options).unwrap();
    tap::configure(tap.name(), &[(IpAddr::V4(STACK_V4), 24)]).unwrap();
    let listener = TcpListener::bind((STACK_V4, 7)).unwrap();
    to.send(tap).unwrap();
    let (mut flow, _) = listener.accept().unwrap();
    let mut writer = flow.try_clone().unwrap();
    std::io::copy(&mut flow, &mut writer).unwrap();
}

enum Towards {
    Near,
    Far,
}

/// Copies frames both ways and returns how many were merged ones.
fn copy(near: &mut Tap, far: &mut Tap, ended: &AtomicBool) -> usize {
    let mut merged = 0;
    while !ended.load(Relaxed) {
        let mut quiet = true;
        for towards in [Towards::Far, Towards::Near] {
            let (from, to) = match towards {
                Towards::Far => (&mut *near, &mut *far),
                Towards::Near => (&mut *far, &mut *near),
            };
            while from.receive(&mut |frame| merged += usize::from(forward(frame, to))) {
                quiet = false;
            }
        }
        if quiet && near.arm() && far.arm() {
            let (a, b) = (near.events(), far.events());
            let mut entries: Vec<_> = [a.poll_fd(), b.poll_fd()].into_iter().flatten().collect();
            rustix::event::poll(&mut entries, None).unwrap();
        }
    }
    merged
}

/// Sends what came from one device to another; true for a merged frame.
fn forward(frame: RxFrame<'_>, to: &mut Tap) -> bool {
    let mut bytes = frame.bytes.front().to_vec();
    let mut offload = TxOffload::default();
    let (is_ipv4, protocol) = (bytes[12..14] == [8, 0], bytes.get(23).copied());
    let header_len = match (is_ipv4, protocol) {
        (true, Some(6)) => 34 + usize::from(bytes[46] >> 4) * 4,
        _ => 14,
    };
    if header_len > 14 && to.capabilities().tx_checksum {
        let tcp_len = bytes.len() as u32 - 34;
        let pseudo = sum(&bytes[26..34], 6 + tcp_len);
        bytes[50..52].copy_from_slice(&pseudo.to_be_bytes());
        offload.checksum = Some(ChecksumRequest { start: 34, offset: 16 });
    }
    offload.segment =
        frame.segment_len.map(|segment_len| SegmentRequest { v6: false, udp: false, segment_len });
    let (header, payload) = bytes.split_at(header_len);
    let frame = TxFrame { header, payload: &[payload], offload };
    // TAPs take what fits their queue; TCP repairs the rest.
    let _ = to.transmit(frame);
    offload.segment.is_some()
}
