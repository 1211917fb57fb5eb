//! SACK at the receiver: which blocks go out (RFC 2018, RFC 2883).

use super::*;

/// The blocks of an acknowledgment.
fn blocks(out: &Out) -> Vec<(u32, u32)> {
    let relative = |n: Seq| n.since(PEER_ISS);
    out.options.sack.blocks().iter().map(|r| (relative(r.start), relative(r.end))).collect()
}

fn with_sack() -> Bench {
    Bench::server_with(quiet(), syn().sack_permitted())
}

/// Bytes from `start` to `end` arrive; the one acknowledgment that goes out at once.
fn told(b: &mut Bench, start: u32, end: u32) -> (u32, Vec<(u32, u32)>) {
    b.get(data(start, 1, &pattern((end - start) as usize)));
    let out = b.out();
    assert_eq!(out.len(), 1, "{out:?}");
    (out[0].ack, blocks(&out[0]))
}

/// The connection of the scripts below: 99 bytes in order, and three ranges beyond holes.
fn three_ranges() -> Bench {
    let mut b = with_sack();
    b.get(data(1, 1, &pattern(99)));
    b.advance(100);
    assert_eq!(told(&mut b, 200, 300), (100, vec![(200, 300)]));
    assert_eq!(told(&mut b, 400, 500), (100, vec![(400, 500), (200, 300)]));
    assert_eq!(told(&mut b, 600, 700), (100, vec![(600, 700), (400, 500), (200, 300)]));
    b
}

/// T02: SACK is used if both SYNs permit it.
//= rfc2018#2
#[test]
fn both_ends_permit_it() {
    for (ours, peers) in [(true, true), (true, false), (false, true), (false, false)] {
        let syn = if peers { syn().sack_permitted() } else { syn() };
        let mut b = Bench::listening(TcpConfig { sack: ours, ..quiet() }, 1);
        b.get(syn);
        assert_eq!(b.out()[0].options.sack_permitted, ours && peers);
        b.get(ack(1, 1));
        b.get(data(100, 1, b"beyond"));
        assert_eq!(blocks(&b.out()[0]).len(), usize::from(ours && peers));
        let mut b = Bench::connecting(TcpConfig { sack: ours, ..quiet() });
        assert_eq!(b.out()[0].options.sack_permitted, ours);
        let syn_ack = segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460);
        b.get(if peers { syn_ack.sack_permitted() } else { syn_ack });
        b.out();
        b.get(data(100, 1, b"beyond"));
        assert_eq!(blocks(&b.out()[0]).len(), usize::from(ours && peers));
    }
}

/// T02: the block of the segment that is acknowledged comes first, what came twice before it.
//= rfc2018#4
//= rfc2883#4
#[test]
fn the_order_of_blocks() {
    let mut b = three_ranges();
    assert_eq!(told(&mut b, 50, 100), (100, vec![(50, 100), (600, 700), (400, 500), (200, 300)]));
    assert_eq!(told(&mut b, 1, 800), (800, vec![(1, 100)]));

    let mut b = three_ranges();
    assert_eq!(told(&mut b, 150, 350), (100, vec![(200, 300), (150, 350), (600, 700), (400, 500)]));

    let mut b = three_ranges();
    assert_eq!(told(&mut b, 450, 700), (100, vec![(450, 500), (400, 700), (200, 300)]));
    assert_eq!(told(&mut b, 100, 200), (300, vec![(400, 700)]));
    b.get(data(300, 1, &pattern(500)));
    assert_eq!(blocks(&b.out()[0]), [(400, 700)], "twice, and below the acknowledgment now");
}

/// DSACK can be switched off, and a whole old segment is told of as well as a part.
//= rfc2883#4.1
#[test]
fn what_came_twice() {
    let mut b = with_sack();
    b.get(data(1, 1, &pattern(99)));
    b.out();
    assert_eq!(told(&mut b, 1, 100), (100, vec![(1, 100)]));
    assert_eq!(told(&mut b, 50, 150), (150, vec![(50, 100)]));
    b.get(data(150, 1, b"new"));
    assert_eq!(blocks(&b.advance(100)[0].1), [], "once");

    let mut b = Bench::server_with(TcpConfig { dsack: false, ..quiet() }, syn().sack_permitted());
    b.get(data(1, 1, &pattern(99)));
    assert_eq!(told(&mut b, 1, 100), (100, vec![]));
}

/// T02: with many holes in one batch, each range is told of; beside timestamps three fit.
//= rfc2018#3
#[test]
fn every_range_that_fits() {
    let mut b = Bench::server_with(quiet(), syn().sack_permitted().ts(5, 0));
    for n in 1..=7 {
        b.get(data(200 * n, 1, &pattern(100)).ts(6, 0));
    }
    let out = b.out();
    assert!(out.iter().all(|o| o.options.sack.blocks().len() == 3 && o.options.len() == 40));
    let all: std::collections::BTreeSet<_> = out.iter().flat_map(blocks).collect();
    assert_eq!(all, (1..=7).map(|n| (200 * n, 200 * n + 100)).collect());
}

/// The blocks take their room from the payload.
//= rfc9293#3.7.1 MUST-16
#[cfg(feature = "offload")]
#[test]
fn blocks_beside_text() {
    let mut b = with_sack();
    b.get(data(100, 1, &pattern(100)));
    b.write(&pattern(2 * MSS as usize)).unwrap();
    let out = b.out();
    assert!(out.iter().all(|o| o.options.len() as u32 + o.len() <= MSS));
    assert_eq!(blocks(&out[0]), [(100, 200)]);
    assert_eq!(out.iter().map(Out::len).sum::<u32>(), 2 * MSS);
}

/// H044: however small the segments are, blocks leave room for payload beside them.
#[cfg(feature = "offload")]
#[test]
fn blocks_leave_room_for_text() {
    for mtu in 68..110 {
        let mut b = Bench::listening(quiet(), 4);
        b.mtu = mtu;
        let mut b = b.established(syn().sack_permitted());
        for n in 1..=4 {
            b.get(data(20 * n, 1, b"beyond"));
        }
        b.write(&pattern(100)).unwrap();
        let out = b.out();
        assert!(out.iter().any(|o| o.len() > 0 && !blocks(o).is_empty()), "{mtu}");
        assert!(out.iter().all(|o| 40 + o.options.len() as u32 + o.len() <= mtu.into()), "{mtu}: {out:?}");
        assert_eq!(out.iter().map(Out::len).sum::<u32>(), 100, "{mtu}");
    }
}

/// An acknowledgment after losses that stands for several segments goes out twice, where SACK is used; not one
/// for a single segment, or for two.
//= rfc5681#4.2
#[test]
fn what_stands_for_several_segments_goes_twice() {
    let acknowledgments = |peer: In<'_>, loses: bool, lens: &[u32]| {
        let mut b = Bench::server_with(quiet(), peer);
        let mut next = 1;
        b.get(data(next, 1, &pattern(1_000)));
        b.advance(100);
        next += 1_000;
        if loses {
            b.get(data(next + 1_000, 1, &pattern(1_000)));
            assert_eq!(b.out().len(), 1);
            b.get(data(next, 1, &pattern(1_000)));
            assert_eq!(brief(&b.out()), [(1, 0, next + 2_000)], "there is another for what came before");
            next += 2_000;
        }
        for len in lens {
            b.get(data(next, 1, &pattern(*len as usize)));
            next += len;
        }
        let out = b.out();
        assert!(out.iter().all(|o| o.ack == next), "{out:?}");
        out.len()
    };
    let batch = [1_000; 3];
    assert_eq!(acknowledgments(syn().sack_permitted(), true, &batch), 2);
    assert_eq!(acknowledgments(syn().sack_permitted(), false, &batch), 1);
    assert_eq!(acknowledgments(syn(), true, &batch), 1);
    assert_eq!(acknowledgments(syn().sack_permitted(), true, &[1_000; 2]), 1);
    assert_eq!(acknowledgments(syn().sack_permitted(), true, &[3_000]), 1);
}

/// H274: however many holes there are, what the peer was told of needs not be sent again.
//= rfc2018#8: nothing is told of that may have to be dropped
#[test]
fn what_was_told_is_kept() {
    let all = pattern(4_000);
    let send = |b: &mut Bench, start: u32, end: u32| {
        b.get(data(start, 1, &all[start as usize - 1..end as usize - 1]));
        b.out()
    };
    let mut b = with_sack();
    let mut told = vec![false; all.len() + 1];
    // The nearest last: it must not cost the farthest.
    for n in (1..=100).rev() {
        for (start, end) in send(&mut b, 40 * n - 20, 40 * n).iter().flat_map(blocks) {
            told[start as usize..end as usize].fill(true);
        }
    }
    let kept = told.iter().filter(|told| **told).count();
    assert_eq!(kept, 100 * 20, "bytes that were told of");
    let mut last = 0;
    for at in 1..=all.len() as u32 {
        if !told[at as usize] {
            last = send(&mut b, at, at + 1).last().map_or(last, |out| out.ack);
        }
    }
    b.advance(40);
    assert!(last > 3_990, "{last}");
    assert_eq!(b.read(9_999).unwrap(), all);
}

/// H274: a slow start that ends in a full queue loses every second segment for a round trip. What came in between is
/// kept, however much it is: only what was lost goes again.
#[test]
fn what_a_full_queue_leaves_is_kept() {
    const HOLES: u32 = 300;
    let all = pattern(20 * HOLES as usize);
    let mut b = with_sack();
    let mut send = |start: u32, end: u32| {
        b.get(data(start, 1, &all[start as usize - 1..end as usize - 1]));
        b.read(9_999).unwrap_or_default()
    };
    (0..HOLES).for_each(|n| assert_eq!(send(20 * n + 11, 20 * n + 21), []));
    let read: Vec<u8> = (0..HOLES).flat_map(|n| send(20 * n + 1, 20 * n + 11)).collect();
    assert!(read == all, "{} of {} bytes", read.len(), all.len());
}
