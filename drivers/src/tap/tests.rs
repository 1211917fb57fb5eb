//! The driver against a socket in place of the kernel's end, which says what the test says.

use super::*;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

/// A TAP with vnet headers, and its other end.
fn tap() -> (Tap, OwnedFd) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let tap = Tap {
        events: Events::new(fd),
        name: "tap0".into(),
        framing: Framing::Vnet,
        capabilities: Capabilities::new(Mac([2, 0, 0, 0, 0, 1]), 1500).with_tso(65_535, 65_535),
        frame: vec![0; FRAME_LEN_MAX].into_boxed_slice(),
        drops: Drops::default(),
    };
    (tap, other)
}

fn header(flags: u8, gso: u8, words: [u16; 4]) -> Vec<u8> {
    let words = words.iter().flat_map(|word| word.to_ne_bytes());
    [flags, gso].into_iter().chain(words).collect()
}

/// The lengths of the frames that come through until none waits.
fn received(tap: &mut Tap) -> Vec<usize> {
    let mut lens = Vec::new();
    while tap.receive(&mut |frame| lens.push(frame.bytes.len())) {}
    lens
}

/// H201: a header that makes no sense for its frame costs the frame and a count; the next one is
/// taken. Fields: length of the headers, segment size, where the sum starts, where its field is.
#[test]
fn senseless_headers_are_dropped_by_name() {
    let (mut tap, other) = tap();
    let bad = [
        // Segments without a size, and of a kind that was not asked for.
        header(1, 1, [54, 0, 34, 16]),
        header(1, 3, [54, 1448, 34, 16]),
        header(0, 0x84, [54, 0, 0, 0]),
        // The checksum's field is behind the end, or nowhere.
        header(1, 0, [0, 0, 60, 16]),
        header(1, 4, [74, 1440, 0xffff, 0xffff]),
    ];
    let write = |header: &[u8], len: usize| {
        send(&other, &[header, &vec![7; len]].concat(), SendFlags::empty()).unwrap();
    };
    bad.iter().for_each(|header| write(header, 60));
    // What it says of the headers' length is a hint: any is taken.
    write(&header(1, 1, [0xffff, 1448, 34, 16]), 100);
    write(&header(0, 0, [0; 4]), 13);
    write(&header(0, 0, [0; 4]), 60);
    assert_eq!(received(&mut tap), [100, 60]);
    assert_eq!(tap.drops(), Drops { rx_header: 5, rx_length: 1, ..Drops::default() });
}

/// A writer of rubbish does not hold the reader for ever: here, an end that was closed gives empty
/// frames without end.
#[test]
fn rubbish_without_end_ends() {
    let (mut tap, other) = tap();
    drop(other);
    assert!(!tap.receive(&mut |_| panic!("no frame")));
    assert_eq!(tap.drops().rx_length, 256);
}
