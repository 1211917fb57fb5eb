use std::vec::Vec;

use super::*;
use crate::base::random::Random;
use crate::base::slab::{Slab, Slot};
use crate::bytes::Bytes;

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
    let mut neighbors = Neighbors::empty();
    let asked = vec![AskedNeighbor::EMPTY; 32].leak();
    neighbors.start(ManagedSlice::Borrowed(slots), ManagedSlice::Borrowed(asked), [9; 16]);
    neighbors
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

const OWN: Purpose = Purpose::Own;
const ANSWER: Evidence = Evidence::Answered { solicited: true, override_known: true };

/// RFC 4861 §7.3: asked three times a second apart, failed for a second, then asked again.
#[test]
fn a_silent_neighbour_fails() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let (resolution, _, due) = cache.resolve(key(1), ours(), OWN, &pool, T0);
    assert_eq!(resolution, Resolution::Pending);
    assert!(matches!(due, Some(Due::Solicit { to: None, source, .. }) if source == ours()));
    assert!(!asks(cache.resolve(key(1), ours(), OWN, &pool, T0).2), "it is being asked");
    for second in [1, 2] {
        assert_eq!(cache.next_deadline(), Some(at(second * 1000)));
        assert!(cache.due(&pool, at(second * 1000 - 1)).is_none());
        assert!(asks(cache.due(&pool, at(second * 1000))));
        assert!(cache.due(&pool, at(second * 1000)).is_none());
    }
    assert!(matches!(cache.due(&pool, at(3000)), Some(Due::Failed { .. })));
    assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, at(3500)).0, Resolution::Failed);
    let (resolution, _, due) = cache.resolve(key(1), ours(), OWN, &pool, at(4000));
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
    cache.resolve(key(1), ours(), OWN, &pool, T0);
    assert!(cache.learn(key(1), Some(MAC), ANSWER, &pool, T0).is_some());
    let resolve = |cache: &mut Neighbors<'_>, ms| {
        assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, at(ms)).0, Resolution::Known(MAC));
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
    // It never answers again: three probes, then it has failed, for a second.
    resolve(&mut cache, 120_000);
    let mut outcome = Vec::new();
    for second in 121..135 {
        while let Some(due) = cache.due(&pool, at(second * 1000)) {
            outcome.push((second, asks(Some(due))));
        }
    }
    assert_eq!(outcome, [(125, true), (126, true), (127, true), (128, false), (129, false)]);
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
    assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, T0).0, Resolution::Known(OTHER));
    assert_eq!(cache.resolve(key(2), ours(), OWN, &pool, T0).0, Resolution::Known(MAC));
    for evidence in [Evidence::Overheard, ANSWER] {
        assert!(cache.learn(key(3), Some(MAC), evidence, &pool, T0).is_none());
    }
    assert_eq!(cache.resolve(key(3), ours(), OWN, &pool, T0).0, Resolution::Pending);
}

/// H111: a group's address, or none at all, resolves nobody.
#[test]
fn group_addresses_are_ignored() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), OWN, &pool, T0);
    for mac in [Some(Mac::BROADCAST), Some(Mac::default()), Some(Mac([0x33, 0x33, 0, 0, 0, 1])), None] {
        assert!(cache.learn(key(1), mac, ANSWER, &pool, T0).is_none());
        assert!(cache.learn(key(2), mac, Evidence::Asked { ours: ours() }, &pool, T0).is_none());
    }
    assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, T0).0, Resolution::Pending);
}

/// RFC 4861 §7.2.5: without the override flag a known address is not replaced, but doubted.
#[test]
fn override_is_needed_to_replace() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), OWN, &pool, T0);
    cache.learn(key(1), Some(MAC), ANSWER, &pool, T0);
    let weak = Evidence::Answered { solicited: true, override_known: false };
    assert!(cache.learn(key(1), Some(OTHER), weak, &pool, T0).is_none());
    assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, T0).0, Resolution::Known(MAC));
    assert!(cache.due(&pool, at(1000)).is_none(), "the question was answered");
    assert_eq!(cache.next_deadline(), Some(at(5000)), "stale, so the use starts the delay");
    assert!(cache.learn(key(1), Some(OTHER), ANSWER, &pool, T0).is_some());
    assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, T0).0, Resolution::Known(OTHER));
}

/// RFC 4861 §7.2.5: an address that was not known needs no override flag, nor does one that stays.
#[test]
fn override_is_not_needed_for_news() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let weak = Evidence::Answered { solicited: true, override_known: false };
    cache.resolve(key(1), ours(), OWN, &pool, T0);
    cache.learn(key(1), Some(MAC), weak, &pool, T0);
    assert_eq!(cache.resolve(key(1), ours(), OWN, &pool, T0).0, Resolution::Known(MAC));
    // Stale, delayed, and answered: nothing is asked.
    cache.resolve(key(1), ours(), OWN, &pool, at(31_000));
    cache.learn(key(1), Some(MAC), weak, &pool, at(32_000));
    assert!(!asks(cache.due(&pool, at(40_000))));
}

/// H099: one question a neighbour and second, even if its entry gave way in between. There is no
/// limit on how many neighbours are asked.
#[test]
fn questions_are_limited_beyond_eviction() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let mut asked = [0; 40];
    for ms in 0..1000 {
        for n in 0..40 {
            asked[usize::from(n)] += usize::from(asks(cache.resolve(key(n), ours(), OWN, &pool, at(ms)).2));
        }
    }
    assert_eq!(asked, [1; 40]);
    while let Some(Due::Solicit { key: k, .. }) = cache.due(&pool, at(1001)) {
        (0..40).filter(|n| key(*n) == k).for_each(|n| asked[usize::from(n)] += 1);
    }
    for n in 0..40 {
        asked[usize::from(n)] += usize::from(asks(cache.resolve(key(n), ours(), OWN, &pool, at(1001)).2));
    }
    assert_eq!(asked, [2; 40]);
}

/// RFC 6583 §3: answers to sources that nobody has verified share a budget; our own traffic asks at
/// once, also for a neighbour that such an answer had asked for in vain.
#[test]
fn answers_share_a_budget() {
    let (mut slots, mut memory) = (slots(64), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let mut asked = 0;
    for ms in 0..10_000 {
        let n = 100 + (ms % 1000) as u16;
        asked += usize::from(asks(cache.resolve(key(n), ours(), Purpose::Answer, &pool, at(ms)).2));
        while let Some(due) = cache.due(&pool, at(ms)) {
            asked += usize::from(asks(Some(due)));
        }
    }
    assert!((40..=8 + 4 * 10).contains(&asked), "{asked}: an eighth of the table, and a sixteenth a second");
    let denied = cache.resolve(key(1), ours(), Purpose::Answer, &pool, at(9999));
    assert!(denied.0 == Resolution::Denied && denied.2.is_none());
    for n in 0..10 {
        assert!(asks(cache.resolve(key(n), ours(), OWN, &pool, at(10_000)).2), "{n}");
    }
    let is_denied = |e: &Entry| e.denied;
    let denied = cache.table.iter().map(|(_, e)| e).find(|e| is_denied(e)).map(|e| e.key).unwrap();
    assert!(asks(cache.resolve(denied, ours(), OWN, &pool, at(10_000)).2));
    // And again, or given up, a second later, not before.
    let is_of = |due, of| matches!(due, Due::Solicit { key, .. } | Due::Failed { key, .. } if key == of);
    while let Some(due) = cache.due(&pool, at(10_999)) {
        assert!(!is_of(due, denied));
    }
    assert!(core::iter::from_fn(|| cache.due(&pool, at(11_000))).any(|due| is_of(due, denied)));
}

/// A question that is denied counts as a try: whoever waits for it learns the outcome in time.
#[test]
fn a_denied_question_counts_as_a_try() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, mut pool) = (cache(&mut slots), pool(&mut memory));
    assert!(asks(cache.resolve(key(1), ours(), Purpose::Answer, &pool, T0).2));
    cache.wait(&key(1), Purpose::Answer, Need::Control, WAITING_MAX, &mut pool, &frame(b"pong")).unwrap();
    let mut outcome = Vec::new();
    for ms in (0..5000).step_by(10) {
        cache.questions.take_for_answer(at(ms));
        while let Some(mut due) = cache.due(&pool, at(ms)) {
            if let Due::Failed { waiting, .. } = &mut due {
                assert_eq!(waiting.clear(&mut pool), 1);
            }
            outcome.push((ms, asks(Some(due))));
        }
    }
    assert_eq!(outcome, [(3000, false), (4000, false)], "failed, and over");
    // The same for our own traffic, where the question before was asked for an entry that gave way.
    cache.resolve(key(2), ours(), OWN, &pool, at(5000));
    for n in 10..18 {
        cache.resolve(key(n), ours(), OWN, &pool, at(5100));
    }
    assert!(!asks(cache.resolve(key(2), ours(), OWN, &pool, at(5200)).2));
    let failed = (5200..9000).find(|ms| {
        let mut due = core::iter::from_fn(|| cache.due(&pool, at(*ms)));
        due.any(|due| matches!(due, Due::Failed { key: k, .. } if k == key(2)))
    });
    // To a unit of the limit of questions.
    assert!(matches!(failed, Some(8000..=8001)), "three seconds after it was asked: {failed:?}");
}

/// Answers to anybody are no use of an entry: invented neighbours that are known give way to each
/// other, and not one that our own traffic goes to is lost.
#[test]
fn an_answer_is_no_use() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let asked = Evidence::Asked { ours: ours() };
    for n in 0..7 {
        cache.learn(key(n), Some(MAC), asked, &pool, T0).unwrap();
        cache.resolve(key(n), ours(), OWN, &pool, T0);
    }
    for n in 100..400 {
        assert!(cache.learn(key(n), Some(OTHER), asked, &pool, T0).is_some());
        assert_eq!(cache.known(&key(n), Purpose::Answer, T0), None, "stale");
        assert_eq!(cache.resolve(key(n), ours(), Purpose::Answer, &pool, T0).0, Resolution::Known(OTHER));
        assert_eq!(cache.known(&key(n), Purpose::Answer, T0), Some(OTHER), "in DELAY");
    }
    // Nor do they take the place of one that our own traffic waits for.
    assert_eq!(cache.resolve(key(50), ours(), OWN, &pool, T0).0, Resolution::Pending);
    for n in 400..500 {
        assert!(cache.learn(key(n), Some(OTHER), asked, &pool, T0).is_none());
        assert_eq!(cache.resolve(key(n), ours(), Purpose::Answer, &pool, T0).0, Resolution::Denied);
    }
    for n in 0..7 {
        assert_eq!(cache.resolve(key(n), ours(), OWN, &pool, T0).0, Resolution::Known(MAC));
    }
    assert!(cache.learn(key(50), Some(MAC), ANSWER, &pool, T0).is_some());
}

/// Every place is open to every neighbour, and chains stay whole.
#[test]
fn a_table_holds_as_many_as_it_has_places() {
    let (mut slots, mut memory) = (slots(255), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    let mut random = Random::new([3; 32]);
    for round in 0..20 {
        for n in 0..255 {
            cache.resolve(key(n), ours(), OWN, &pool, at(5000 * round));
        }
        for n in 0..255 {
            assert_eq!(cache.resolve(key(n), ours(), OWN, &pool, at(5000 * round)).0, Resolution::Pending);
        }
        for _ in 0..round * 10 {
            let one = key(random.below(255) as u16);
            cache.forget(&pool, |k| *k == one);
            assert_eq!(cache.table.find(&one), None);
        }
        let left = cache.table.iter().count();
        let found = (0..255).filter(|n| cache.table.find(&key(*n)).is_some()).count();
        assert_eq!(found, left);
    }
    while cache.forget(&pool, |_| true).is_some() {}
    assert_eq!(cache.table.place(Class::Failed, None, T0).map(|_| cache.table.iter().count()), Some(0));
}

/// A flood of invented neighbours does not drive out those in use.
#[test]
fn neighbours_in_use_are_spared() {
    let (mut slots, mut memory) = (slots(8), [0; 1024]);
    let (mut cache, pool) = (cache(&mut slots), pool(&mut memory));
    for n in 0..7 {
        cache.learn(key(n), Some(MAC), Evidence::Asked { ours: ours() }, &pool, T0).unwrap();
        cache.resolve(key(n), ours(), OWN, &pool, T0);
    }
    for n in 100..400 {
        cache.resolve(key(n), ours(), OWN, &pool, at(u64::from(n)));
    }
    for n in 0..7 {
        assert_eq!(cache.resolve(key(n), ours(), OWN, &pool, at(1000)).0, Resolution::Known(MAC));
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
        assert_eq!(cache.resolve(key(n), ours(), OWN, &pool, T0).0, Resolution::Known(MAC));
    }
    assert!(cache.learn(key(99), Some(OTHER), asked, &pool, T0).is_none());
    for n in 0..8 {
        assert_eq!(cache.resolve(key(n), ours(), OWN, &pool, T0).0, Resolution::Known(MAC));
    }
}

/// H100, H101: packets wait, the oldest of the same neighbour gives way, and all go out in order.
#[test]
fn packets_wait_in_order() {
    let (mut slots, mut memory) = (slots(8), [0; 64 * 1024]);
    let (mut cache, mut pool) = (cache(&mut slots), pool(&mut memory));
    cache.resolve(key(1), ours(), OWN, &pool, T0);
    cache.resolve(key(2), ours(), OWN, &pool, T0);
    assert_eq!(
        cache.wait(&key(2), OWN, Need::Bulk, WAITING_MAX, &mut pool, &frame(b"only")),
        Ok(GaveWay::default())
    );
    for i in 0..WAITING_MAX as u8 + 3 {
        let gave_way = GaveWay { same: usize::from(i >= WAITING_MAX as u8), others: 0 };
        assert_eq!(cache.wait(&key(1), OWN, Need::Bulk, WAITING_MAX, &mut pool, &frame(&[i])), Ok(gave_way));
    }
    assert_eq!(cache.wait(&key(3), OWN, Need::Bulk, WAITING_MAX, &mut pool, &frame(b"x")), Err(NoWait::Gone));
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
/// gives way frees its share. The only packet of a neighbour of our own traffic has up to a quarter,
/// and the place of one that is not the only one, or an answer.
#[test]
fn waiting_packets_have_a_share() {
    let (mut slots, mut memory) = (slots(64), [0; 64 * 1024]);
    let (mut cache, mut pool) = (cache(&mut slots), pool(&mut memory));
    let mut refused = 0;
    let mut now = T0;
    for n in 0..500u16 {
        now += Duration::from_millis(10);
        let (_, mut given_up, _) = cache.resolve(key(n), ours(), OWN, &pool, now);
        given_up.clear(&mut pool);
        for _ in 0..2 {
            refused += usize::from(
                cache.wait(&key(n), OWN, Need::Bulk, WAITING_MAX, &mut pool, &frame(&[1; 300])).is_err(),
            );
        }
        while let Some(due) = cache.due(&pool, now) {
            if let Due::Failed { mut waiting, .. } = due {
                waiting.clear(&mut pool);
            }
        }
        assert!(pool.in_use() <= pool.capacity() / 4 + 64);
    }
    assert!(refused > 0);
    // What waits for answers to strangers has half of that share, also the only packet of one.
    while let Some((_, mut waiting)) = cache.forget(&pool, |_| true) {
        waiting.clear(&mut pool);
    }
    for n in 500..564u16 {
        now += Duration::from_secs(1);
        cache.resolve(key(n), ours(), Purpose::Answer, &pool, now).1.clear(&mut pool);
        let _ = cache.wait(&key(n), Purpose::Answer, Need::Bulk, WAITING_MAX, &mut pool, &frame(&[1; 3000]));
        assert!(pool.in_use() <= pool.capacity() / 8);
    }
    assert!(pool.in_use() > 0);
    while let Some((_, mut waiting)) = cache.forget(&pool, |_| true) {
        waiting.clear(&mut pool);
    }
    assert_eq!((pool.in_use(), cache.waiting_bytes), (0, 0));
}

/// One silent neighbour's packets, and answers to invented ones, leave room for one packet of each
/// neighbour that our own traffic goes to.
#[test]
fn one_packet_for_each_before_a_second_for_any() {
    let (mut slots, mut memory) = (slots(64), [0; 32 * 1024]);
    let (mut cache, mut pool) = (cache(&mut slots), pool(&mut memory));
    for n in 200..204 {
        cache.resolve(key(n), ours(), Purpose::Answer, &pool, T0);
        cache
            .wait(&key(n), Purpose::Answer, Need::Control, WAITING_MAX, &mut pool, &frame(&[3; 500]))
            .unwrap();
    }
    for _ in 0..100 {
        cache.resolve(key(1), ours(), OWN, &pool, T0);
        cache.wait(&key(1), OWN, Need::Bulk, WAITING_MAX, &mut pool, &frame(&[1; 500])).unwrap();
    }
    let waits = |cache: &mut Neighbors<'_>, n| cache.table.get(&key(n)).unwrap().waiting.packets();
    assert!(waits(&mut cache, 1) >= 2);
    for n in 2..15 {
        cache.resolve(key(n), ours(), OWN, &pool, T0);
        cache.wait(&key(n), OWN, Need::Bulk, WAITING_MAX, &mut pool, &frame(&[2; 500])).unwrap();
    }
    assert!((1..15).all(|n| waits(&mut cache, n) == 1), "the newest of each");
    assert!((200..204).all(|n| waits(&mut cache, n) == 0));
}
