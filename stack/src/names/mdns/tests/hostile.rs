//! What nobody should send.

use super::*;

/// RFC 6762 §6, §18: answers from other ports, and messages of other kinds, are ignored and counted.
#[test]
fn foreign_messages_are_ignored() {
    let mut host = Host::settled("sensor");
    let conflict = response(&[("sensor.local", 1, 120, std::vec![10, 0, 0, 9])]);
    assert_eq!(host.hear(asker(40_000), &conflict, 10_000), Err(Drop::MdnsForeign), "another port");
    for (at, bits) in [(2, 0x08), (3, 0x03)] {
        let mut other = conflict.clone();
        other[at] |= bits;
        assert_eq!(host.hear(asker(5353), &other, 10_000), Err(Drop::MdnsForeign), "opcode, code");
    }
    assert_eq!(host.responder.deadline(), None);
}

/// H151, and whatever else bytes can be: each cut and each flipped byte of a message is taken without harm.
#[test]
fn mangled_messages_do_no_harm() {
    let pointer = name("Attic._http._tcp.local").as_bytes().to_vec();
    let whole = query(
        &[("_http._tcp.local", PTR, 1), ("sensor.local", ANY, QU)],
        &[("_http._tcp.local", PTR, 9, pointer), ("sensor.local", 1, 120, std::vec![10, 0, 0, 1])],
    );
    let mut host = Host::settled("sensor");
    for response in [false, true] {
        let mut whole = whole.clone();
        if response {
            whole[2] |= 0x84;
        }
        for cut in 0..whole.len() {
            let _ = host.hear(asker(5353), &whole[..cut], 10_000);
            for value in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
                let mut other = whole.clone();
                other[cut] = value;
                let _ = host.hear(asker(5353), &other, 10_000);
                run(&mut [&mut host], 10_000);
            }
        }
    }
    run(&mut [&mut host], 200_000);
    assert_ne!(host.name(), "");
}

/// A message of nothing but questions, and one of nothing but records, cost a bounded amount: what is beyond the first is not answered.
#[test]
fn many_questions_are_answered_in_part() {
    let mut host = Host::settled("sensor");
    let mut bytes = query(&[], &[]);
    bytes[4..6].copy_from_slice(&200u16.to_be_bytes());
    (0..199).for_each(|_| bytes.extend([0, 0, 255, 0, 1]));
    bytes.extend(name("sensor.local").as_bytes());
    bytes.extend([0, 1, 0, 1]);
    assert!(host.ask_with(&bytes, 10_000).is_empty(), "the last of two hundred");
    let mut records = query(&[], &[]);
    records[2] = 0x84;
    records[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
    (0..100).for_each(|_| records.extend([0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0]));
    host.hear(asker(5353), &records, 20_000).unwrap();
    assert_eq!(host.responder.deadline(), None);
}
