//! Fragments in every order, right and wrong.

#![expect(clippy::cast_possible_truncation, reason = "small numbers of tests")]

use std::vec::Vec;

use super::*;
use crate::base::slab::Key as SlabKey;

const T0: Instant = Instant::from_millis(1000);

/// A table on a pool, and what tests say of it.
struct Table {
    table: Reassembly<'static>,
    pool: Pool<'static>,
}

impl Table {
    fn new(places: usize, memory: usize) -> Table {
        let mut table = Reassembly::empty();
        let slots = (0..places).map(|_| FragmentSlot::EMPTY).collect::<Vec<_>>();
        table.start(ManagedSlice::Owned(slots), ManagedSlice::Owned(Vec::new()));
        Table { table, pool: Pool::growing(memory, 256) }
    }

    fn take(&mut self, fragment: &Owned, now: Instant) -> Result<Option<Vec<u8>>, Drop> {
        let (head, part) = ([&fragment.head[..]], [&fragment.part[..]]);
        let fragment = Fragment { head: Bytes::new(&head), part: Bytes::new(&part), ..fragment.fields };
        let whole = self.table.take(&fragment, &mut self.pool, now)?;
        Ok(whole.map(|(len, _)| {
            let buffer = self.table.lend();
            let packet = buffer[..len].to_vec();
            self.table.give_back(buffer);
            packet
        }))
    }
}

/// A fragment with its bytes.
#[derive(Clone)]
struct Owned {
    fields: Fragment<'static>,
    head: Vec<u8>,
    part: Vec<u8>,
}

fn key(ident: u32, v6: bool) -> Key {
    let address = |last: u8| match v6 {
        false => IpAddr::from([10, 0, 0, last]),
        true => IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
    };
    let interface = InterfaceId(SlabKey::of_numbers([0, 1]));
    Key { interface, source: address(9), destination: address(1), protocol: if v6 { 0 } else { 17 }, ident }
}

fn byte(at: usize) -> u8 {
    (at * 31 + at / 251) as u8
}

fn fragment(ident: u32, offset: usize, len: usize, more: bool) -> Owned {
    family(ident, offset, len, more, false)
}

/// The head of the first fragment is told from that of others by its TTL.
fn family(ident: u32, offset: usize, len: usize, more: bool, v6: bool) -> Owned {
    let mut head = if v6 { std::vec![0x60, 0, 0, 0, 0, 0, 44, 0] } else { std::vec![0x45; 8] };
    head.resize(if v6 { IPV6_LEN + FRAGMENT_LEN } else { 20 }, 0);
    head[if v6 { 7 } else { 8 }] = if offset == 0 { 7 } else { 9 };
    let fields = Fragment {
        key: key(ident, v6),
        offset: offset as u32,
        more,
        head: Bytes::empty(),
        part: Bytes::empty(),
        named_at: 6,
        next_header: 17,
        ecn: 0,
        link_broadcast: false,
    };
    Owned { fields, head, part: (offset..offset + len).map(byte).collect() }
}

/// A datagram of `total` bytes in parts of `room`.
fn cut(ident: u32, total: usize, room: usize, v6: bool) -> Vec<Owned> {
    let parts = (0..total).step_by(room);
    parts.map(|at| family(ident, at, room.min(total - at), at + room < total, v6)).collect()
}

fn expect_whole(packet: &[u8], total: usize, v6: bool) {
    let head = if v6 { IPV6_LEN } else { 20 };
    assert_eq!(packet.len(), head + total);
    assert!(packet[head..].iter().enumerate().all(|(at, b)| *b == byte(at)), "a wrong byte");
    match v6 {
        false => {
            let (header, checksum_ok) = crate::wire::Ipv4Header::parse_quoted(packet).unwrap();
            assert!(checksum_ok && !header.is_fragment);
            assert_eq!((header.total_len, header.hop_limit), (packet.len(), 7));
        }
        true => {
            let header = crate::wire::Ipv6Header::parse_quoted(packet).unwrap();
            assert_eq!((header.payload_len, header.next_header, header.hop_limit), (total, 17, 7));
        }
    }
}

/// I02, I04, H069: whatever the order, the datagram is the one that was cut, with the first fragment's headers.
//= rfc791#3.2
//= rfc8200#4.5
#[test]
fn fragments_in_any_order_make_the_datagram() {
    for v6 in [false, true] {
        for (total, room) in [(9, 8), (2000, 1480), (1000, 8), (65_508, 1232), (65_515, 552)] {
            let parts = cut(1, total, room, v6);
            let mut orders = std::vec![parts.clone(), parts.iter().rev().cloned().collect()];
            let (odd, even): (Vec<_>, Vec<_>) =
                parts.iter().cloned().enumerate().partition(|(n, _)| n % 2 == 1);
            orders.push(odd.into_iter().chain(even).map(|(_, part)| part).collect());
            for order in orders {
                let mut t = Table::new(16, 1 << 20);
                let (last, before) = order.split_last().unwrap();
                before.iter().for_each(|part| assert_eq!(t.take(part, T0), Ok(None)));
                expect_whole(&t.take(last, T0).unwrap().expect("whole"), total, v6);
                assert_eq!((t.pool.in_use(), t.table.deadline()), (0, None));
            }
        }
    }
}

/// I02: as many at once as there are places; parts of one never get into another, whose key differs in any field.
#[test]
fn datagrams_with_other_keys_are_apart() {
    let mut t = Table::new(16, 1 << 20);
    let mut others: Vec<_> = (0..6).map(|_| cut(7, 100, 40, false)).collect();
    let interface = InterfaceId(SlabKey::of_numbers([1, 1]));
    for (n, parts) in others.iter_mut().enumerate() {
        for part in parts {
            let key = &mut part.fields.key;
            match n {
                1 => key.ident = 8,
                2 => key.protocol = 1,
                3 => key.source = IpAddr::from([10, 0, 0, 8]),
                4 => key.destination = IpAddr::from([10, 0, 0, 2]),
                5 => key.interface = interface,
                _ => {}
            }
            part.part.iter_mut().for_each(|b| *b = b.wrapping_add(n as u8));
        }
    }
    for at in 0..3 {
        for (n, parts) in others.iter().enumerate() {
            let whole = t.take(&parts[at], T0).unwrap();
            assert_eq!(whole.is_some(), at == 2);
            let is_right = |w: Vec<u8>| (0..100).all(|at| w[20 + at] == byte(at).wrapping_add(n as u8));
            assert!(whole.is_none_or(is_right));
        }
    }
}

/// H068, H079: whichever way fragments overlap, the datagram is gone, and what still comes of it too.
//= rfc5722#4
#[test]
fn overlap_drops_the_datagram() {
    let there = [(0, 16, true), (32, 16, true)];
    let overlapping = [
        (0, 8, true),
        (0, 24, true),
        (8, 16, true),
        (8, 8, true),
        (24, 16, true),
        (40, 8, true),
        (32, 8, true),
        (40, 16, true),
        (0, 64, true),
        (32, 24, false),
        // An end before what has come.
        (16, 8, false),
    ];
    for v6 in [false, true] {
        for (offset, len, more) in overlapping {
            let mut t = Table::new(4, 1 << 16);
            there.iter().for_each(|(o, l, m)| assert_eq!(t.take(&family(1, *o, *l, *m, v6), T0), Ok(None)));
            let bad = family(1, offset, len, more, v6);
            assert_eq!(t.take(&bad, T0), Err(Drop::FragmentOverlap), "{offset} {len} {more}");
            assert_eq!(t.pool.in_use(), 0);
            for (o, l, m) in [(0, 16, true), (16, 16, true), (32, 16, false)] {
                assert_eq!(t.take(&family(1, o, l, m, v6), T0), Err(Drop::FragmentOverlap));
            }
            // Its time is over without a word.
            let late = T0 + LIFETIME_V6;
            assert!(t.table.expire(576, &mut t.pool, late).unwrap().is_none());
            assert_eq!(t.table.deadline(), None);
        }
    }
}

/// I02: two ends, or text beyond the end, contradict each other.
#[test]
fn second_end_drops_the_datagram() {
    for (offset, len, more) in [(32, 8, false), (32, 8, true), (0, 8, false)] {
        let mut t = Table::new(4, 1 << 16);
        assert_eq!(t.take(&fragment(1, 16, 16, false), T0), Ok(None));
        assert_eq!(t.take(&fragment(1, offset, len, more), T0), Err(Drop::FragmentOverlap), "{offset}");
    }
}

/// RFC 8200 §4.5: what the network doubled is no overlap; the datagram comes to its end.
#[test]
fn exact_duplicate_is_dropped_alone() {
    let mut t = Table::new(4, 1 << 16);
    let parts = cut(1, 100, 40, false);
    for part in [&parts[0], &parts[2]] {
        assert_eq!(t.take(part, T0), Ok(None));
        assert_eq!(t.take(part, T0), Err(Drop::FragmentDuplicate));
    }
    assert_eq!(t.take(&parts[0], T0), Err(Drop::FragmentDuplicate));
    expect_whole(&t.take(&parts[1], T0).unwrap().unwrap(), 100, false);
}

/// I02, I04: a part that is empty, of an odd length in the middle, or beyond the longest packet.
#[test]
fn malformed_fragment_is_dropped_alone() {
    for v6 in [false, true] {
        let mut t = Table::new(4, 1 << 20);
        let cases = [
            (0, 0, true, Err(Drop::FragmentMalformed)),
            (64, 0, false, Err(Drop::FragmentMalformed)),
            (8, 1399, true, Err(Drop::FragmentMalformed)),
            (65_528, 8, false, Err(Drop::FragmentTooLong)),
            (65_528, 100, false, Err(Drop::FragmentTooLong)),
            (65_512, 8, false, if v6 { Ok(None) } else { Err(Drop::FragmentTooLong) }),
            (8, 65_000, false, Ok(None)),
        ];
        for (n, (offset, len, more, expected)) in cases.into_iter().enumerate() {
            assert_eq!(t.take(&family(n as u32, offset, len, more, v6), T0), expected, "{offset} {len}");
        }
    }
}

/// H073: what is longer than the buffer, or the share of the pool, is dropped as soon as that shows.
#[test]
fn datagram_beyond_the_memory_is_dropped() {
    let mut t = Table::new(4, 1 << 16);
    assert_eq!(t.take(&fragment(1, 0, 1000, true), T0), Ok(None));
    assert_eq!(t.take(&fragment(1, 8000, 400, true), T0), Err(Drop::FragmentTooLong));
    assert_eq!(t.pool.in_use(), 0);
    let mut memory = [0; 1500];
    let slots = Vec::from([FragmentSlot::EMPTY]);
    let mut table = Reassembly::empty();
    let mut pool = Pool::growing(1 << 20, 512);
    table.start(ManagedSlice::Owned(slots), ManagedSlice::Borrowed(&mut memory));
    let mut take = |ident, offset, len, more| {
        let owned = fragment(ident, offset, len, more);
        let (head, part) = ([&owned.head[..]], [&owned.part[..]]);
        table.take(
            &Fragment { head: Bytes::new(&head), part: Bytes::new(&part), ..owned.fields },
            &mut pool,
            T0,
        )
    };
    assert_eq!(take(1, 0, 1000, true), Ok(None));
    assert_eq!(take(1, 1000, 480, false), Ok(Some((1500, false))), "as long as the buffer");
    assert_eq!(take(2, 1000, 481, false), Err(Drop::FragmentTooLong));
}

/// H066: with all places taken the oldest gives way, and is counted.
#[test]
fn oldest_gives_way_to_a_new_datagram() {
    let mut t = Table::new(4, 1 << 16);
    for n in 0..6 {
        let at = T0 + Duration::from_millis(n.into());
        assert_eq!(t.take(&fragment(n, 0, 8, true), at), Ok(None));
    }
    assert_eq!((t.table.count, t.table.take_gave_way(), t.table.take_gave_way()), (4, 2, 0));
    expect_whole(&t.take(&fragment(2, 8, 8, false), T0).unwrap().unwrap(), 16, false);
    assert_eq!(t.take(&fragment(0, 8, 8, false), T0), Ok(None), "the first is gone");
}

/// H066: a datagram that is under way takes the memory of older ones, up to an eighth of the pool in all.
#[test]
fn fragments_hold_an_eighth_of_the_pool_at_most() {
    let mut t = Table::new(16, 1 << 16);
    for n in 0..64 {
        let at = T0 + Duration::from_millis(n.into());
        assert_eq!(t.take(&fragment(n, 0, 1400, true), at), Ok(None));
        assert!(t.pool.in_use() <= t.pool.capacity() / SHARE, "{}", t.pool.in_use());
    }
    assert!(t.table.count >= 4 && t.table.take_gave_way() as usize == 64 - t.table.count);
    // One that others leave no memory for at all.
    let mut rest = Chain::new();
    while rest.append(&mut t.pool, &[0; 256], Need::Control) > 0 {}
    assert_eq!(t.take(&fragment(99, 0, 4000, true), T0), Err(Drop::FragmentNoMemory));
    rest.clear(&mut t.pool);
    assert_eq!(t.pool.in_use(), 0);
}

/// I02: so many fragments of a datagram, so that each costs little to look up.
#[test]
fn datagram_in_too_many_parts_is_dropped() {
    let mut t = Table::new(4, 1 << 20);
    for n in 0..usize::from(FRAGMENTS_MAX) {
        assert_eq!(t.take(&fragment(1, n * 16, 8, true), T0), Ok(None));
    }
    assert_eq!(t.take(&fragment(1, 8, 8, true), T0), Err(Drop::FragmentTooMany));
    assert_eq!(t.pool.in_use(), 0);
}

/// RFC 1122 §3.3.2, RFC 8200 §4.5: 30 and 60 s after the first that came, whichever it was; the quote is the first
/// fragment as it was, if there is one.
#[test]
fn datagram_is_given_up_in_time() {
    for (v6, seconds) in [(false, 30), (true, 60)] {
        for first in [0, 1] {
            let mut t = Table::new(4, 1 << 16);
            let parts = cut(1, 100, 40, v6);
            assert_eq!(t.take(&parts[first], T0), Ok(None));
            let later = T0 + Duration::from_secs(10);
            assert_eq!(t.take(&parts[2], later), Ok(None));
            let deadline = T0 + Duration::from_secs(seconds);
            assert_eq!(t.table.deadline(), Some(deadline));
            let before = Instant::from_micros(deadline.micros() - 1);
            assert!(t.table.expire(1232, &mut t.pool, before).is_none());
            let expired = t.table.expire(1232, &mut t.pool, deadline).unwrap().unwrap();
            let sent = [&parts[0].head[..], &parts[0].part].concat();
            assert_eq!(expired.quoted, if first == 0 { sent.len() } else { 0 });
            if first == 0 {
                assert_eq!(t.table.buffer[..expired.quoted], sent);
            }
            assert_eq!((t.table.deadline(), t.pool.in_use()), (None, 0));
        }
    }
}

/// RFC 3168 §5.3: a mark on any part is one on the whole; what contradicts it is dropped.
#[test]
fn marks_of_parts_are_the_whole_datagrams() {
    for (marks, expected) in [
        ([0, 0, 0], Ok(0)),
        ([2, 2, 2], Ok(2)),
        ([1, 1, 1], Ok(1)),
        ([2, 3, 2], Ok(3)),
        ([3, 1, 1], Ok(3)),
        ([2, 0, 2], Ok(0)),
        ([2, 1, 2], Ok(2)),
        ([0, 3, 0], Err(Drop::FragmentMarks)),
        ([3, 2, 0], Err(Drop::FragmentMarks)),
    ] {
        for v6 in [false, true] {
            let mut t = Table::new(4, 1 << 16);
            let mut result = Ok(None);
            for (part, ecn) in cut(1, 100, 40, v6).iter_mut().zip(marks) {
                part.fields.ecn = ecn;
                result = t.take(part, T0);
            }
            let ecn = result.map(|whole| {
                let whole = whole.unwrap();
                if v6 { whole[1] >> 4 & 3 } else { whole[1] & 3 }
            });
            assert_eq!(ecn, expected, "{marks:?}");
        }
    }
}

/// H177: what came by an interface that is gone is forgotten.
#[test]
fn interface_that_is_gone_takes_its_fragments_along() {
    let mut t = Table::new(4, 1 << 16);
    assert_eq!(t.take(&fragment(1, 0, 8, true), T0), Ok(None));
    let interface = key(1, false).interface;
    t.table.forget(interface, &mut t.pool);
    assert_eq!((t.table.deadline(), t.pool.in_use()), (None, 0));
}

/// A model of reassembly that keeps every byte apart: for any fragments in any order, what comes out is a datagram
/// whose parts all came, byte for byte.
#[test]
fn random_fragments_never_make_a_wrong_byte() {
    let mut random = crate::base::random::Random::new([3; 32]);
    let mut whole = 0;
    for round in 0..400 {
        let mut t = Table::new(4, 1 << 16);
        let mut pending = Vec::new();
        for ident in 0..6 {
            let (total, room) = (1 + random.below(3000) as usize, 8 * (1 + random.below(80)) as usize);
            pending.extend(cut(ident, total, room, round % 2 == 0).into_iter().map(|part| (total, part)));
        }
        while !pending.is_empty() {
            let which = random.below(pending.len() as u32) as usize;
            let again = random.below(8) == 0;
            let (total, part) = if again { pending[which].clone() } else { pending.swap_remove(which) };
            if let Ok(Some(packet)) = t.take(&part, T0) {
                expect_whole(&packet, total, round % 2 == 0);
                whole += 1;
            }
        }
    }
    assert!(whole > 300, "{whole}");
}
