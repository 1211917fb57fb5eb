//! How the device comes up and goes: memory is freed only after it has stopped. (The memory of these
//! tests panics when it is freed under a device that knows of it.)

use super::*;

fn new(fake: &Fake) -> std::result::Result<Net, InitError> {
    VirtioNet::new(fake.clone(), Box::leak(Box::default()))
}

fn allocated() -> usize {
    machine(|m| m.allocated.len())
}

#[test]
fn a_device_is_stopped_before_its_memory_goes() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    net.transmit(frame(&[1; 60])).unwrap();
    assert!(allocated() > 0 && fake.0.lock().unwrap().status != 0);
    drop(net);
    assert_eq!((allocated(), fake.0.lock().unwrap().status), (0, 0));
}

/// Whatever `new` fails at, the device is reset, and nothing is lost.
#[test]
fn a_device_that_did_not_come_up_is_stopped() {
    type Change = fn(&mut Registers);
    let cases: [(Change, InitError); 5] = [
        (|r| r.offer = MAC, InitError::Legacy),
        (|r| r.config[0] = 1, InitError::NoMac),
        (|r| r.queue_count = 0, InitError::Queue(256)),
        // The first queue is set up and all its buffers are lent.
        (|r| r.queue_count = 1, InitError::Queue(256)),
        (|r| r.refuses = true, InitError::FeaturesRefused),
    ];
    for (change, why) in cases {
        let fake = Fake::new(ALL);
        change(&mut fake.0.lock().unwrap());
        fake.0.lock().unwrap().status = 15;
        assert_eq!(new(&fake).err(), Some(why));
        assert_eq!((allocated(), fake.0.lock().unwrap().status), (0, 0), "{why}");
    }
    let enough = (0..).find(|&most| {
        machine(|m| m.refused_from = Some(most));
        let failed = new(&Fake::new(ALL)).err();
        assert!(failed.is_none_or(|why| why == InitError::NoMemory));
        assert_eq!(allocated(), 0, "with {most} allocations");
        failed.is_none()
    });
    assert_eq!(enough, Some(6));
}

/// What does not say that it has stopped may go on writing: its memory is never freed.
#[test]
#[cfg_attr(miri, ignore = "hundred thousand looks take minutes")]
fn a_device_that_does_not_stop_keeps_its_memory() {
    let fake = Fake::new(ALL);
    let net = fake.start();
    let before = allocated();
    fake.0.lock().unwrap().stuck = true;
    drop(net);
    assert_eq!(allocated(), before);
    // And nobody starts it again.
    assert_eq!(new(&fake).err(), Some(InitError::NoReset));
    for (start, pages) in machine(|m| std::mem::take(&mut m.allocated)) {
        // SAFETY: what `dma_alloc` gave, and no device is there in truth.
        unsafe { dealloc(start.as_ptr(), layout(pages)) };
    }
}

/// A packet of TCP over IPv4 with 1,000 bytes of text.
fn segment() -> Vec<u8> {
    let mut bytes = vec![0x11; 54 + 1000];
    bytes[12..24].copy_from_slice(&[8, 0, 0x45, 0, 4, 0x10, 0, 0, 0, 0, 64, 6]);
    bytes[46] = 0x50;
    bytes
}

/// H201: a device that goes on writing a buffer that it gave back changes no header that the stack
/// looks at: neither that of virtio nor any of the frame's.
#[test]
fn headers_do_not_change_while_they_are_parsed() {
    // Of a packet that is neither TCP nor UDP, all is out of its reach.
    let mut other = segment();
    other[12] = 0x86;
    for (bytes, reach) in [(segment(), 54), (other, 1054), (vec![3; 100], 100)] {
        let fake = Fake::new(ALL);
        let mut net = fake.start();
        let (head, address, _) = fake.take(0).unwrap();
        write(address, &[&header(1, 1, 1448, 1), &bytes[..]].concat());
        fake.give(0, head.into(), 12 + bytes.len() as u32);
        let mut seen = Vec::new();
        net.receive(&mut |frame| {
            write(address, &vec![0xff; 12 + reach]);
            seen = frame.bytes.chunks().collect::<Vec<_>>().concat();
            assert_eq!((frame.checksum, frame.segment_len), (RxChecksum::Valid, Some(1448)));
        });
        assert_eq!(seen, bytes);
    }
}

/// The text of a segment lies in one piece, so that it is copied once, into the receive queue.
#[test]
fn text_is_read_in_place_and_in_one_piece() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    fake.deliver(header(0, 0, 0, 1), &segment(), 2048);
    net.receive(&mut |frame| {
        let pieces: Vec<_> = frame.bytes.chunks().map(<[u8]>::len).collect();
        assert_eq!(pieces, [54, 1000]);
    });
}
