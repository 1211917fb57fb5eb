use std::vec::Vec;

use super::*;
use crate::bytes::Bytes;
use crate::slab::{Slab, Slot};

const T0: Instant = Instant::from_millis(10_000);
const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 8]);

fn at(ms: u64) -> Instant {
    T0 + Duration::from_millis(ms)
}

fn key(n: u16) -> NeighborKey {
    let mut slots = [Slot::default()];
    let mut slab = Slab::new(ManagedSlice::Borrowed(&mut slots[..]), 1);
    let interface = InterfaceId(slab.insert(()).unwrap());
    NeighborKey { interface, address: IpAddr::from([10, 1, (n >> 8) as u8, n as u8]) }
}

fn ours() -> IpAddr {
    IpAddr::from([10, 1, 255, 254])
}

fn cache(slots: &mut [NeighborSlot]) -> Neighbors<'_> {
    Neighbors::new(ManagedSlice::Borrowed(slots), [9; 16])
}

fn slots(n: usize) -> Vec<NeighborSlot> {
    (0..n).map(|_| NeighborSlot::default()).collect()
}

fn pool(memory: &mut [u8]) -> Pool<'_> {
    Pool::borrowed(memory, 64)
}

fn frame(data: &[u8]) -> Frame<'_> {
    Frame::new([data, &[]], Bytes::empty())
}

fn asks(due: Option<Due>) -> bool {
    matches!(due, Some(Due::Solicit { .. }))
}

const ANSWER: Evidence = Evidence::Answered { solicited: true, override_known: true };

/// RFC 4861 §7.3: asked three times a second apart, failed for a second, then asked again.
#[test]
fn a_silent_neighbour_fails() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let (resolution, _, due) = cache.resolve(key(1), ours(), &pool, T0);
    assert_eq!(resolution, Resolution::Pending);
    assert!(matches!(due, Some(Due::Solicit { to: None, source, .. }) if source == ours()));
    assert!(!asks(cache.resolve(key(1), ours(), &pool, T0).2), "it is being asked");
    for second in [1, 2] {
        assert_eq!(cache.next_deadline(), Some(at(second * 1000)));
        assert!(cache.due(&pool, at(second * 1000 - 1)).is_none());
        assert!(asks(cache.due(&pool, at(second * 1000))));
        assert!(cache.due(&pool, at(second * 1000)).is_none());
    }
    assert!(matches!(cache.due(&pool, at(3000)), Some(Due::Failed { .. })));
    assert_eq!(cache.resolve(key(1), ours(), &pool, at(3500)).0, Resolution::Failed);
    let (resolution, _, due) = cache.resolve(key(1), ours(), &pool, at(4000));
    assert_eq!((resolution, asks(due)), (Resolution::Pending, true));
    // The failure of the new attempt leaves nothing behind.
    for second in 5..20 {
        while cache.due(&pool, at(second * 1000)).is_some() {}
    }
    assert_eq!(cache.next_deadline(), None);
}

/// RFC 4861 §7.3, H182: reachable, stale after 30 s whether or not anybody looked since, delayed 5 s at the next use, probed by unicast.
#[test]
fn reachability_is_confirmed_or_probed() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), &pool, T0);
    assert!(cache.learn(key(1), Some(MAC), ANSWER, &pool, T0).is_some());
    let resolve = |cache: &mut Neighbors<'_>, ms| {
        assert_eq!(cache.resolve(key(1), ours(), &pool, at(ms)).0, Resolution::Known(MAC));
        while cache.due(&pool, at(ms)).is_some() {}
        cache.next_deadline()
    };
    assert_eq!(resolve(&mut cache, 29_999), None);
    assert_eq!(resolve(&mut cache, 30_000), Some(at(35_000)));
    // The upper layer vouches for it in time.
    cache.confirm(key(1), at(34_000));
    assert!(cache.due(&pool, at(35_000)).is_none());
    assert_eq!(resolve(&mut cache, 63_999), None);
    assert_eq!(resolve(&mut cache, 64_000), Some(at(69_000)));
    let due = cache.due(&pool, at(69_000));
    assert!(matches!(due, Some(Due::Solicit { to: Some(MAC), .. })));
    assert!(cache.learn(key(1), Some(MAC), ANSWER, &pool, at(69_100)).is_none(), "nothing new");
    assert!(cache.due(&pool, at(70_000)).is_none());
    // It never answers again: three probes, then it has failed.
    resolve(&mut cache, 120_000);
    let mut outcome = Vec::new();
    for second in 121..135 {
        while let Some(due) = cache.due(&pool, at(second * 1000)) {
            outcome.push((second, asks(Some(due))));
        }
    }
    assert_eq!(outcome, [(125, true), (126, true), (127, true), (128, false)]);
}

/// H095: a message changes the entry of its own key only; H102: nobody new is learnt from what was
/// not for us; H103: a known one takes the new address.
#[test]
fn evidence_concerns_one_neighbour() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    for n in [1, 2] {
        cache.learn(key(n), Some(MAC), Evidence::Asked { ours: ours() }, &pool, T0).unwrap();
    }
    assert_eq!(cache.learn(key(1), Some(OTHER), Evidence::Overheard, &pool, T0).unwrap().mac, OTHER);
    assert_eq!(cache.resolve(key(1), ours(), &pool, T0).0, Resolution::Known(OTHER));
    assert_eq!(cache.resolve(key(2), ours(), &pool, T0).0, Resolution::Known(MAC));
    for evidence in [Evidence::Overheard, ANSWER] {
        assert!(cache.learn(key(3), Some(MAC), evidence, &pool, T0).is_none());
    }
    assert_eq!(cache.resolve(key(3), ours(), &pool, T0).0, Resolution::Pending);
}

/// H111: a group's address, or none at all, resolves nobody.
#[test]
fn group_addresses_are_ignored() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), &pool, T0);
    for mac in [Some(Mac::BROADCAST), Some(Mac::default()), Some(Mac([0x33, 0x33, 0, 0, 0, 1])), None] {
        assert!(cache.learn(key(1), mac, ANSWER, &pool, T0).is_none());
        assert!(cache.learn(key(2), mac, Evidence::Asked { ours: ours() }, &pool, T0).is_none());
    }
    assert_eq!(cache.resolve(key(1), ours(), &pool, T0).0, Resolution::Pending);
}

/// RFC 4861 §7.2.5: without the override flag a known address is not replaced, but doubted.
#[test]
fn override_is_needed_to_replace() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), &pool, T0);
    cache.learn(key(1), Some(MAC), ANSWER, &pool, T0);
    let weak = Evidence::Answered { solicited: true, override_known: false };
    assert!(cache.learn(key(1), Some(OTHER), weak, &pool, T0).is_none());
    assert_eq!(cache.resolve(key(1), ours(), &pool, T0).0, Resolution::Known(MAC));
    assert!(cache.due(&pool, at(1000)).is_none(), "the question was answered");
    assert_eq!(cache.next_deadline(), Some(at(5000)), "stale, so the use starts the delay");
    assert!(cache.learn(key(1), Some(OTHER), ANSWER, &pool, T0).is_some());
    assert_eq!(cache.resolve(key(1), ours(), &pool, T0).0, Resolution::Known(OTHER));
}

/// H099: one question a neighbour and second, even if its entry gave way in between.
#[test]
fn questions_are_limited_beyond_eviction() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let mut asked = 0;
    for round in 0..10 {
        for n in 0..40 {
            asked += usize::from(asks(cache.resolve(key(n), ours(), &pool, at(round)).2));
        }
    }
    assert!((20..=40).contains(&asked), "{asked}");
    let again = (0..40).filter(|n| asks(cache.resolve(key(*n), ours(), &pool, at(1500)).2)).count();
    assert!(again > 0);
}

/// A flood of invented neighbours does not drive out those in use.
#[test]
fn neighbours_in_use_are_spared() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    for n in 0..7 {
        cache.learn(key(n), Some(MAC), Evidence::Asked { ours: ours() }, &pool, T0).unwrap();
        cache.resolve(key(n), ours(), &pool, T0);
    }
    for n in 100..400 {
        cache.resolve(key(n), ours(), &pool, at(u64::from(n)));
    }
    for n in 0..7 {
        assert_eq!(cache.resolve(key(n), ours(), &pool, at(1000)).0, Resolution::Known(MAC));
    }
}

/// A flood of stations that ask for us does not drive out those in use either; a set that is in
/// use as a whole takes in nobody.
#[test]
fn who_asks_gives_way_first() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let asked = Evidence::Asked { ours: ours() };
    for n in 0..8 {
        for flood in 100..200 {
            cache.learn(key(flood + 100 * n), Some(OTHER), asked, &pool, T0);
        }
        cache.learn(key(n), Some(MAC), asked, &pool, T0);
        assert_eq!(cache.resolve(key(n), ours(), &pool, T0).0, Resolution::Known(MAC));
    }
    assert!(cache.learn(key(99), Some(OTHER), asked, &pool, T0).is_none());
    for n in 0..8 {
        assert_eq!(cache.resolve(key(n), ours(), &pool, T0).0, Resolution::Known(MAC));
    }
}

/// H100, H101: packets wait, the oldest of the same neighbour gives way, and all go out in order.
#[test]
fn packets_wait_in_order() {
    let (mut slots, mut memory) = (slots(8), [0; 64 * 1024]);
    let (mut cache, mut pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), &pool, T0);
    cache.resolve(key(2), ours(), &pool, T0);
    assert_eq!(cache.wait(&key(2), &mut pool, &frame(b"only")), Ok(0));
    for i in 0..WAITING_MAX as u8 + 3 {
        let gave_way = usize::from(i >= WAITING_MAX as u8);
        assert_eq!(cache.wait(&key(1), &mut pool, &frame(&[i])), Ok(gave_way));
    }
    assert_eq!(cache.wait(&key(3), &mut pool, &frame(b"x")), Err(NoWait::Gone));
    let mut learnt = cache.learn(key(1), Some(MAC), ANSWER, &pool, T0).unwrap();
    let mut order = Vec::new();
    while !learnt.waiting.is_empty() {
        let mut byte = [0];
        learnt.waiting.copy_front(&pool, 0, &mut byte);
        order.push(byte[0]);
        learnt.waiting.pop(&mut pool);
    }
    assert_eq!(order, (3..WAITING_MAX as u8 + 3).collect::<Vec<_>>());
    let learnt = cache.learn(key(2), Some(MAC), ANSWER, &pool, T0).unwrap();
    assert_eq!(learnt.waiting.packets(), 1);
}

/// H195: what waits for all neighbours together holds at most an eighth of the memory, and what
/// gives way frees its share.
#[test]
fn waiting_packets_have_a_share() {
    let (mut slots, mut memory) = (slots(64), [0; 64 * 1024]);
    let (mut cache, mut pool) = (cache(&mut slots), pool(&mut memory));
    let mut refused = 0;
    let mut now = T0;
    for n in 0..500u16 {
        now += Duration::from_millis(10);
        let (_, mut given_up, _) = cache.resolve(key(n), ours(), &pool, now);
        given_up.clear(&mut pool);
        refused += usize::from(cache.wait(&key(n), &mut pool, &frame(&[1; 300])).is_err());
        while let Some(due) = cache.due(&pool, now) {
            if let Due::Failed { mut waiting, .. } = due {
                waiting.clear(&mut pool);
            }
        }
        assert!(pool.in_use() <= pool.capacity() / 8 + 64);
    }
    assert!(refused > 0);
    while let Some((_, mut waiting)) = cache.forget(&pool, |_| true) {
        waiting.clear(&mut pool);
    }
    assert_eq!((pool.in_use(), cache.waiting_bytes), (0, 0));
}
