use super::*;

const WAIT: Duration = Duration::from_secs(60);

fn tuple(n: u32, v6: bool) -> Tuple {
    let (local, remote): (IpAddr, IpAddr) = match v6 {
        false => (Ipv4Addr::from(0x0a00_0001 + n % 5).into(), Ipv4Addr::from(n).into()),
        true => (Ipv6Addr::from(u128::from(1 + n % 16)).into(), Ipv6Addr::from(u128::from(n) << 90).into()),
    };
    Tuple { local, remote, local_port: n as u16, remote_port: 7 }
}

fn start(n: u32) -> TimeWaitStart {
    let ts_recent = n.is_multiple_of(2).then_some(n);
    TimeWaitStart { snd_nxt: Seq(n), rcv_nxt: Seq(!n), ts_recent, ts_offset: 0, acknowledge: false }
}

/// Records come, go out of turn and expire, at random; what is found is what a list has. The clock's
/// milliseconds wrap at 2^32 meanwhile.
fn check(mut waits: TimeWaits<'_>, most: usize) {
    let mut model: Vec<(u32, u32, bool, u64)> = vec![];
    let mut x = 1u32;
    let mut now_ms = (1 << 32) - 100_000;
    for n in 0..20_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        now_ms += u64::from(x >> 24);
        let now = Instant::from_millis(now_ms);
        while waits.deadline().is_some_and(|at| at <= now) {
            let oldest = waits.oldest().unwrap();
            waits.remove(oldest);
            let (at, .., until) = model.remove(0);
            assert!(at == oldest && until <= now_ms);
        }
        assert!(model.iter().all(|(.., until)| *until > now_ms));
        if x & 3 == 0 && !model.is_empty() {
            let (at, ..) = model.remove((x >> 8) as usize % model.len());
            waits.remove(at);
        } else {
            if waits.is_full() {
                let oldest = waits.oldest().unwrap();
                waits.remove(oldest);
                assert_eq!(model.remove(0).0, oldest);
            }
            let v6 = cfg!(feature = "ipv6") && x & 4 == 0;
            let at = waits.insert(&tuple(n, v6), &start(n), now, WAIT).unwrap();
            model.push((at, n, v6, now_ms + 60_000));
        }
        assert!(waits.len() == model.len() && model.len() <= most);
        let (at, n, v6, until) = model[(x >> 10) as usize % model.len().max(1)];
        let (found, key) = (waits.get(at).unwrap(), HashKey([0; 16]));
        assert_eq!(found.tuple, tuple(n, v6));
        let TimeWaitStart { snd_nxt, rcv_nxt, ts_recent, .. } = start(n);
        let start = found.start(&key);
        assert_eq!((start.snd_nxt, start.rcv_nxt, start.ts_recent), (snd_nxt, rcv_nxt, ts_recent));
        assert_eq!(waits.left(at, now), Duration::from_millis(until - now_ms));
    }
    model.iter().for_each(|(at, ..)| waits.remove(*at));
    assert_eq!((waits.len(), waits.oldest(), waits.deadline()), (0, None, None));
    assert!(waits.locals.iter().all(|l| l.users == 0));
}

fn waits(places: ManagedSlice<'_, TimeWaitEntry>, limit: usize) -> TimeWaits<'_> {
    let mut waits = TimeWaits::empty();
    waits.start(places, limit);
    waits
}

#[test]
fn records_come_and_go() {
    check(waits(ManagedSlice::Borrowed(&mut [TimeWaitEntry::EMPTY; 100]), 9), 100);
    #[cfg(feature = "alloc")]
    for limit in [100, 300, 512, 5000] {
        check(waits(ManagedSlice::Owned(vec![]), limit), limit);
    }
}

/// What is free lies in no chunk: the memory goes with the records.
#[cfg(feature = "alloc")]
#[test]
fn memory_is_given_back() {
    let mut waits = waits(ManagedSlice::Owned(vec![]), 3000);
    let chunks = |waits: &TimeWaits<'_>| match &waits.places {
        Places::Heap { chunks, .. } => chunks.iter().flatten().count(),
        Places::Given(_) => 0,
    };
    for round in 0..5 {
        for n in 0..2000 {
            waits.insert(&tuple(n, false), &start(n), Instant::from_millis(round), WAIT).unwrap();
        }
        assert!((8..=9).contains(&chunks(&waits)));
        while let Some(oldest) = waits.oldest() {
            waits.remove(oldest);
        }
        assert_eq!(chunks(&waits), 0);
    }
}

/// Without a place, or with too many own addresses, nothing is kept.
#[cfg(feature = "ipv6")]
#[test]
fn what_has_no_place() {
    let insert = |waits: &mut TimeWaits<'_>, t: &Tuple| waits.insert(t, &start(1), Instant::ZERO, WAIT);
    assert_eq!(insert(&mut waits(ManagedSlice::Borrowed(&mut []), 9), &tuple(1, true)), None);
    let mut places = [TimeWaitEntry::EMPTY; 100];
    let mut waits = waits(ManagedSlice::Borrowed(&mut places), 9);
    let from = |n: u128| Tuple { local: Ipv6Addr::from(n).into(), ..tuple(1, true) };
    let kept = (0..20).filter(|n| insert(&mut waits, &from(*n)).is_some()).count();
    assert_eq!(kept, LOCALS);
    waits.remove(waits.oldest().unwrap());
    assert!(insert(&mut waits, &from(19)).is_some() && insert(&mut waits, &tuple(1, false)).is_some());
}

/// Only where a half-open connection stands in a record's place does anybody look for the record; not when it does no
/// more, or the record went.
#[test]
fn records_aside_are_counted() {
    let mut places = [TimeWaitEntry::EMPTY; 8];
    let mut waits = waits(ManagedSlice::Borrowed(&mut places), 8);
    let at: Vec<u32> =
        (0..3).map(|n| waits.insert(&tuple(n, false), &start(n), Instant::ZERO, WAIT).unwrap()).collect();
    assert!(!waits.has_aside());
    waits.set_aside(at[0], true);
    waits.set_aside(at[0], true);
    assert!(waits.has_aside() && waits.get(at[0]).unwrap().is_aside);
    waits.set_aside(at[0], false);
    waits.set_aside(at[0], false);
    assert!(!waits.has_aside() && !waits.get(at[0]).unwrap().is_aside);
    waits.set_aside(at[1], true);
    waits.set_aside(at[2], true);
    waits.remove(at[1]);
    assert!(waits.has_aside());
    waits.remove(at[2]);
    assert!(!waits.has_aside());
}
