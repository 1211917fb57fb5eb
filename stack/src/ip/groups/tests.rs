//! Members, queriers, and a router that keeps what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use super::*;
use crate::base::random::Random;
use crate::base::slab::Key;
use crate::time::Duration;
use crate::wire::{GroupMessage, Query, RecordKind as K};

const T0: Instant = Instant::from_millis(1_000_000);

fn at(ms: u64) -> Instant {
    T0 + Duration::from_millis(ms)
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn group(last: u8) -> Place {
    Place { interface: InterfaceId(Key::of_numbers([0, 1])), group: IpAddr::from([239, 0, 0, last]) }
}

fn socket(n: u32) -> Owner {
    Owner::Socket(DatagramHandle::of_key(Key::of_numbers([n, 1])))
}

/// A host's memberships on one interface.
struct Host {
    groups: Groups<'static>,
    querier: Querier,
    random: Random,
}

/// A record of a report: its kind, and the last bytes of the group and its sources.
type Told = (u8, u8, Vec<u8>);

impl Host {
    fn new(records: usize) -> Host {
        let mut groups = Groups::empty();
        groups.start(
            ManagedSlice::Owned(std::vec![MembershipSlot::EMPTY; records]),
            ManagedSlice::Owned(std::vec![GroupSlot::EMPTY; records]),
        );
        Host { groups, querier: Querier::default(), random: Random::new([4; 32]) }
    }

    fn join(&mut self, who: u32, place: Place, wish: Wish, now: Instant) -> Result<(), Error> {
        self.groups.join(socket(who), place, wish, &self.querier, now)
    }

    fn leave(&mut self, who: u32, place: Place, wish: Wish, now: Instant) -> Result<(), Error> {
        self.groups.leave(socket(who), place, wish, &self.querier, now)
    }

    fn query(&mut self, message: &[u8], now: Instant) {
        let query = Query::parse_v4(message).unwrap();
        let interface = group(1).interface;
        self.groups.on_query(interface, true, &query, &mut self.querier, &mut self.random, now);
    }

    fn due(&mut self, now: Instant) -> Option<GroupMessage> {
        self.groups.next_due(group(1).interface, true, &mut self.querier, &mut self.random, now)
    }

    fn deadline(&self) -> Option<Instant> {
        crate::time::earlier(self.groups.deadline(), self.querier.general_at())
    }

    /// Everything that is told until nothing is left, with when.
    fn rest(&mut self) -> Vec<(Instant, GroupMessage)> {
        let mut all = Vec::new();
        while let Some(now) = self.deadline() {
            while let Some(message) = self.due(now) {
                all.push((now, message));
            }
        }
        all
    }

    fn told(&mut self) -> Vec<Told> {
        self.rest().iter().flat_map(|(_, m)| records(m)).collect()
    }
}

fn records(message: &GroupMessage) -> Vec<Told> {
    let bytes = &message.bytes[..];
    assert_eq!(bytes[0], 0x22, "a report of version 3");
    let (mut at, mut all) = (8, Vec::new());
    for _ in 0..bytes[7] {
        let count = usize::from(bytes[at + 3]);
        let mut sources: Vec<u8> = (0..count).map(|n| bytes[at + 8 + 4 * n + 3]).collect();
        sources.sort_unstable();
        all.push((bytes[at], bytes[at + 7], sources));
        at += 8 + 4 * count;
    }
    assert_eq!(at, bytes.len());
    all
}

/// H123, I09: each change of the filter is told by the record that says it, and once again.
//= rfc3376#5.1
//= rfc3810#6.1
#[test]
fn change_is_told_twice_by_its_record() {
    let mut host = Host::new(32);
    let twice = |record: Told| std::vec![record.clone(), record];
    let (any, one, two) = (Wish::AnySource, Wish::Source(v4(1)), Wish::Source(v4(2)));
    host.join(1, group(1), one, T0).unwrap();
    assert_eq!(host.told(), twice((K::Allow as u8, 1, std::vec![1])));
    host.join(1, group(1), two, T0).unwrap();
    assert_eq!(host.told(), twice((K::Allow as u8, 1, std::vec![2])));
    host.join(2, group(1), one, T0).unwrap();
    assert_eq!(host.told(), [], "somebody else hears it already");
    host.leave(1, group(1), one, T0).unwrap();
    assert_eq!(host.told(), []);
    host.join(3, group(1), any, T0).unwrap();
    assert_eq!(host.told(), twice((K::ToExclude as u8, 1, std::vec![])));
    host.join(3, group(1), Wish::NotSource(v4(7)), T0).unwrap();
    assert_eq!(host.told(), twice((K::Block as u8, 1, std::vec![7])));
    host.join(3, group(1), Wish::NotSource(v4(2)), T0).unwrap();
    assert_eq!(host.told(), [], "another socket wants that source");
    host.leave(3, group(1), Wish::NotSource(v4(7)), T0).unwrap();
    assert_eq!(host.told(), twice((K::Allow as u8, 1, std::vec![7])));
    host.leave(3, group(1), any, T0).unwrap();
    assert_eq!(host.told(), twice((K::ToInclude as u8, 1, std::vec![1, 2])));
    host.leave(1, group(1), any, T0).unwrap();
    host.leave(2, group(1), any, T0).unwrap();
    assert_eq!(host.told(), twice((K::Block as u8, 1, std::vec![1, 2])));
    assert_eq!((host.groups.used, host.groups.tellings().count()), (0, 0));
}

/// RFC 3376 §8.11: at once, and again within a second.
#[test]
fn change_is_told_at_once_and_within_a_second() {
    let mut host = Host::new(8);
    host.join(1, group(1), Wish::AnySource, T0).unwrap();
    let times: Vec<_> = host.rest().iter().map(|(when, _)| when.since(T0).micros()).collect();
    assert_eq!((times.len(), times[0]), (2, 0));
    assert!((1000..=1_000_000).contains(&times[1]), "{times:?}");
}

/// Contract D5, D6, D7, U13: misuse is refused, each by its words.
#[test]
fn misuse_is_refused() {
    let mut host = Host::new(200);
    let (any, one) = (Wish::AnySource, Wish::Source(v4(1)));
    assert_eq!(host.leave(1, group(1), any, T0), Err(NOT_MEMBER));
    assert_eq!(host.join(1, group(1), Wish::NotSource(v4(1)), T0), Err(NOT_MEMBER));
    host.join(1, group(1), any, T0).unwrap();
    assert_eq!(host.join(1, group(1), any, T0), Err(MEMBER));
    assert_eq!(host.join(1, group(1), one, T0), Err(OTHER_MODE));
    assert_eq!(host.leave(1, group(1), one, T0), Err(NOT_MEMBER));
    host.join(1, group(2), one, T0).unwrap();
    assert_eq!(host.join(1, group(2), one, T0), Err(MEMBER));
    assert_eq!(host.join(1, group(2), any, T0), Err(OTHER_MODE));
    for last in 2..=64 {
        host.join(1, group(2), Wish::Source(v4(last)), T0).unwrap();
    }
    assert_eq!(host.join(1, group(2), Wish::Source(v4(65)), T0), Err(TOO_MANY_SOURCES));
    for last in 3..=16 {
        host.join(1, group(last), any, T0).unwrap();
    }
    assert_eq!(host.join(1, group(17), any, T0), Err(TOO_MANY_GROUPS));
    let mut small = Host::new(2);
    small.join(1, group(1), any, T0).unwrap();
    small.join(1, group(2), any, T0).unwrap();
    assert_eq!(small.join(1, group(3), any, T0), Err(Error::OutOfMemory));
    small.leave(1, group(1), any, T0).unwrap();
    small.join(1, group(3), any, T0).unwrap();
}

/// Queries of version 3: general, for a group, for sources.
fn query(group: u8, sources: &[u8]) -> Vec<u8> {
    let mut message = std::vec![0x11, 100, 0, 0, 239, 0, 0, group, 2, 125, 0, sources.len() as u8];
    if group == 0 {
        message[4..8].fill(0);
    }
    sources.iter().for_each(|s| message.extend([10, 0, 0, *s]));
    message
}

/// I09: a query is answered within its time by what it asks for.
//= rfc3376#5.2
#[test]
fn query_is_answered_in_its_time() {
    let mut host = Host::new(32);
    host.join(1, group(1), Wish::AnySource, T0).unwrap();
    host.join(1, group(1), Wish::NotSource(v4(9)), T0).unwrap();
    host.join(1, group(2), Wish::Source(v4(1)), T0).unwrap();
    host.join(1, group(2), Wish::Source(v4(2)), T0).unwrap();
    host.told();
    let (exclude, include) =
        ((K::IsExclude as u8, 1, std::vec![9]), (K::IsInclude as u8, 2, std::vec![1, 2]));
    let some = |sources: &[u8]| (K::IsInclude as u8, 2, sources.to_vec());
    for (message, expected) in [
        (query(0, &[]), std::vec![exclude.clone(), include.clone()]),
        (query(1, &[]), std::vec![exclude.clone()]),
        (query(2, &[]), std::vec![include]),
        (query(2, &[2, 3]), std::vec![some(&[2])]),
        (query(2, &[3]), std::vec![]),
        (query(1, &[3]), std::vec![exclude]),
        (query(5, &[]), std::vec![]),
    ] {
        host.query(&message, T0);
        let all = host.rest();
        assert!(all.iter().all(|(when, _)| when.since(T0) <= Duration::from_secs(10) && *when > T0));
        let mut told: Vec<_> = all.iter().flat_map(|(_, m)| records(m)).collect();
        told.sort_by_key(|r| r.1);
        assert_eq!(told, expected, "{message:?}");
    }
}

/// RFC 3376 §6: of the group that every host is in nothing is told.
#[test]
fn group_of_all_hosts_is_never_reported() {
    let mut host = Host::new(8);
    let all = Place { group: IpAddr::from([224, 0, 0, 1]), ..group(1) };
    host.join(1, all, Wish::AnySource, T0).unwrap();
    host.query(&query(0, &[]), T0);
    assert!(host.rest().is_empty());
}

/// H131, I09: beside queriers of older versions their reports and leaves are spoken, for as long as they are there; who
/// was not the last to report owes no leave.
//= rfc3376#7.2.1
//= rfc2236#3
#[test]
fn older_querier_is_spoken_to_in_its_version() {
    for (code, version, report, leave) in [(100, 2, 0x16, Some(0x17)), (0, 1, 0x12, None)] {
        let mut host = Host::new(8);
        host.join(1, group(1), Wish::AnySource, T0).unwrap();
        let old = [0x11, code, 0, 0, 0, 0, 0, 0];
        host.query(&old, T0);
        assert_eq!(host.querier.version(T0), version);
        let kinds =
            |all: Vec<(Instant, GroupMessage)>| all.iter().map(|(_, m)| m.bytes[0]).collect::<Vec<_>>();
        assert_eq!(kinds(host.rest()), [report], "what was to be told in version 3 is not");
        host.join(1, group(2), Wish::AnySource, at(10)).unwrap();
        assert_eq!(kinds(host.rest()), [report, report]);
        host.leave(1, group(2), Wish::AnySource, at(20)).unwrap();
        assert_eq!(kinds(host.rest()), leave.into_iter().collect::<Vec<u8>>());
        // Somebody else reports the group first.
        host.query(&old, at(30));
        host.groups.on_report(group(1));
        assert!(host.rest().is_empty());
        host.leave(1, group(1), Wish::AnySource, at(40)).unwrap();
        assert!(host.rest().is_empty(), "who was not the last owes no leave");
        assert_eq!(host.groups.tellings().count(), 0);
        host.join(1, group(1), Wish::AnySource, at(261_000)).unwrap();
        assert_eq!(host.told().len(), 2, "the querier is gone");
    }
}

/// H126: the time for answers is linear in version 2, and beyond 127 a floating-point number in version 3; the other
/// lengths are of no version.
#[test]
fn queries_are_read_by_their_length() {
    let parse =
        |message: &[u8]| Query::parse_v4(message).map(|q| (q.version, q.answer_within.micros() / 1000));
    assert_eq!(parse(&[0x11, 0, 0, 0, 0, 0, 0, 0]), Ok((1, 10_000)));
    assert_eq!(parse(&[0x11, 200, 0, 0, 0, 0, 0, 0]), Ok((2, 20_000)));
    assert_eq!(parse(&[0x11, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok((3, 12_700)));
    assert_eq!(parse(&[0x11, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok((3, 12_800)));
    assert_eq!(parse(&[0x11, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok((3, 3_174_400)));
    for len in [0, 7, 9, 10, 11] {
        assert!(Query::parse_v4(&[0x11; 12][..len]).is_err(), "{len}");
    }
    assert!(Query::parse_v4(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).is_err(), "a source that is not there");
    let mut v6 = [0; 28];
    (v6[0], v6[4], v6[5]) = (130, 0x27, 0x10);
    let parse =
        |message: &[u8]| Query::parse_v6(message).map(|q| (q.version, q.answer_within.micros() / 1000));
    assert_eq!((parse(&v6[..24]), parse(&v6)), (Ok((2, 10_000)), Ok((3, 10_000))));
    v6[4] = 0x80;
    assert_eq!(parse(&v6), Ok((3, (0x1000 | 0x10) << 3)));
    assert!(parse(&v6[..23]).is_err() && parse(&v6[..27]).is_err());
    v6[27] = 1;
    assert!(parse(&v6).is_err(), "a source that is not there");
}

/// What a router keeps of a group: does it exclude, and which sources.
type Kept = BTreeMap<u8, (bool, BTreeSet<u8>)>;

/// RFC 3376 §6.4, as far as a router's filter goes.
fn keep(kept: &mut Kept, (kind, group, sources): Told) {
    let (exclude, set) = kept.entry(group).or_default();
    let sources = sources.into_iter().collect::<BTreeSet<_>>();
    match kind {
        k if k == K::ToInclude as u8 || k == K::IsInclude as u8 => (*exclude, *set) = (false, sources),
        k if k == K::ToExclude as u8 || k == K::IsExclude as u8 => (*exclude, *set) = (true, sources),
        k if (k == K::Allow as u8) != *exclude => set.extend(sources),
        _ => set.retain(|s| !sources.contains(s)),
    }
    if kept[&group] == (false, BTreeSet::new()) {
        kept.remove(&group);
    }
}

/// I09: after any joins and leaves of several sockets a router has what they want together, although of
/// every two reports of a group one may be lost.
#[test]
fn router_has_what_all_members_want() {
    let mut host = Host::new(256);
    let (mut kept, mut random, mut now) = (Kept::new(), Random::new([7; 32]), T0);
    for round in 0..3000 {
        let place = group(1 + random.below(4) as u8);
        let source = v4(random.below(6) as u8);
        let wish = match random.below(4) {
            0 => Wish::AnySource,
            1 | 2 => Wish::Source(source),
            _ => Wish::NotSource(source),
        };
        let who = random.below(3);
        let _ = match random.below(2) {
            0 => host.join(who, place, wish, now),
            _ => host.leave(who, place, wish, now),
        };
        if round % 4 == 3 {
            let mut lost = BTreeSet::new();
            for (when, message) in host.rest() {
                now = when;
                // One of the two: the other gets there.
                if random.below(2) == 0 && lost.insert(message.bytes[15]) {
                    continue;
                }
                records(&message).into_iter().for_each(|r| keep(&mut kept, r));
            }
            for n in 1..=4 {
                let place = group(n);
                let expected: BTreeSet<u8> = host.groups.sources(place).map(last).collect();
                let is_there =
                    host.groups.is_joined(place).then(|| (host.groups.is_exclude(place), expected));
                assert_eq!(kept.get(&n), is_there.as_ref(), "group {n} in round {round}");
            }
        }
        now += Duration::from_millis(10);
    }
}

fn last(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(a) => a.octets()[3],
        IpAddr::V6(a) => a.octets()[15],
    }
}

/// H125: a query for one group leaves the answer to a general one, and to another group, where they are; each comes in its time.
//= rfc3376#5.2
//= rfc2236#3
#[test]
fn group_query_leaves_other_answers_pending() {
    let names = |all: Vec<(Instant, GroupMessage)>, at: usize| -> BTreeSet<u8> {
        all.iter().map(|(_, m)| m.bytes[at]).collect()
    };
    for version in [3, 2] {
        let ask = |n: u8, tenths: u8| match version {
            3 => {
                let mut message = query(n, &[]);
                message[1] = tenths;
                message
            }
            _ => std::vec![0x11, tenths, 0, 0, if n == 0 { 0 } else { 239 }, 0, 0, n],
        };
        // In a report of version 3 the group of its only record.
        let named = if version == 3 { 15 } else { 7 };
        let mut host = Host::new(32);
        host.query(&ask(0, 100), T0);
        host.rest();
        (1..=3).for_each(|n| host.join(1, group(n), Wish::AnySource, T0).unwrap());
        host.rest();
        host.query(&ask(0, 100), T0);
        let general = host.deadline().unwrap();
        host.query(&ask(1, 1), T0);
        assert!(host.deadline().unwrap() <= general.min(at(100)), "version {version}");
        let all = host.rest();
        assert!(all.iter().all(|(when, _)| when.since(T0) <= Duration::from_secs(10)));
        assert_eq!(names(all, named), (1..=3).collect(), "version {version}");
        // Two groups are asked for, one after the other.
        (1..=2).for_each(|n| host.query(&ask(n, 100), T0));
        assert_eq!(names(host.rest(), named), (1..=2).collect(), "version {version}");
    }
}

/// H129: groups that are joined and left while the answer to a general query is owed: each that is there is told once, no other.
#[test]
fn general_query_is_answered_for_each_group_in_spite_of_changes() {
    let mut host = Host::new(64);
    let mut random = Random::new([9; 32]);
    let mut joined = BTreeSet::new();
    for n in 1..=8 {
        host.join(1, group(n), Wish::AnySource, T0).unwrap();
        joined.insert(n);
    }
    host.rest();
    for round in 0..50u64 {
        let now = T0 + Duration::from_secs(60 * (round + 1));
        host.query(&query(0, &[]), now);
        for _ in 0..random.below(8) {
            let n = 1 + random.below(15) as u8;
            match joined.remove(&n) {
                true => host.leave(1, group(n), Wish::AnySource, now).unwrap(),
                false => {
                    host.join(1, group(n), Wish::AnySource, now).unwrap();
                    joined.insert(n);
                }
            }
        }
        let mut answered: Vec<_> =
            host.told().into_iter().filter(|r| r.0 == K::IsExclude as u8).map(|r| r.1).collect();
        answered.sort_unstable();
        assert_eq!(answered, joined.iter().copied().collect::<Vec<_>>(), "round {round}");
    }
}

/// H130: who leaves a group while an answer for it is pending does not report it any more.
//= rfc3810#6.2
#[test]
fn left_group_is_not_answered_for() {
    for old in [None, Some([0x11, 100, 0, 0, 0, 0, 0, 0])] {
        let mut host = Host::new(8);
        if let Some(old) = old {
            host.query(&old, T0);
        }
        host.join(1, group(1), Wish::AnySource, T0).unwrap();
        host.rest();
        host.query(&query(1, &[]), at(1));
        host.leave(1, group(1), Wish::AnySource, at(2)).unwrap();
        let all = host.rest();
        assert!(!all.is_empty(), "that it was left is told");
        let is_leave = |m: &GroupMessage| match old {
            Some(_) => m.bytes[0] == 0x17,
            None => records(m).iter().all(|r| r.0 == K::ToInclude as u8 && r.2.is_empty()),
        };
        assert!(all.iter().all(|(_, m)| is_leave(m)));
    }
}

/// H132: as many groups and sources as there may be are all told, in reports that fit the smallest MTU of IPv6.
#[test]
fn full_tables_are_told_in_reports_that_fit() {
    let mut host = Host::new(GROUPS_MAX * SOURCES_MAX);
    let in_v6 = |n: u8| Place { group: std::format!("ff15::{n:x}").parse().unwrap(), ..group(n) };
    for n in 1..=GROUPS_MAX as u8 {
        for source in 1..=SOURCES_MAX as u8 {
            let source: IpAddr = std::format!("2001:db8::{source:x}").parse().unwrap();
            host.join(1, in_v6(n), Wish::Source(source), T0).unwrap();
        }
    }
    let query = [&[130, 0, 0, 0, 0, 100, 0, 0][..], &[0; 16], &[2, 0, 0, 0]].concat();
    let query = Query::parse_v6(&query).unwrap();
    let mut told = BTreeMap::<u8, BTreeSet<u8>>::new();
    for is_asked in [false, true] {
        if is_asked {
            told.clear();
            let (interface, querier) = (group(1).interface, &mut host.querier);
            host.groups.on_query(interface, false, &query, querier, &mut host.random, at(100_000));
        }
        while let Some(now) = host.deadline() {
            let interface = group(1).interface;
            while let Some(m) =
                host.groups.next_due(interface, false, &mut host.querier, &mut host.random, now)
            {
                assert!(m.bytes.len() + 48 <= 1280, "{}", m.bytes.len());
                assert_eq!((m.bytes[7], m.bytes.len()), (1, 28 + 16 * usize::from(m.bytes[11])));
                let sources = m.bytes[28..].chunks(16).map(|s| s[15]);
                told.entry(m.bytes[27]).or_default().extend(sources);
            }
        }
        assert!(told.len() == GROUPS_MAX && told.values().all(|s| s.len() == SOURCES_MAX), "{told:?}");
    }
}
