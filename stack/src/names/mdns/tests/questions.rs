//! Who is answered what, when, and how.

use super::*;

/// RFC 6762 §6, §10.2: what only this host has is answered at once, and replaces what others know; the other family, or that there is
/// none, is told besides (§6.2).
#[test]
fn unique_records_are_answered_at_once() {
    let mut host = Host::settled("sensor");
    let told = host.ask(&[("Sensor.Local", 1, 1)], 10_000);
    assert_eq!((told.len(), told[0].ms), (1, 10_000));
    assert_eq!(told[0].records(true), [("sensor.local".into(), 1, FLUSH, 120)]);
    assert_eq!(told[0].kinds(false), [NSEC]);
    assert_eq!(told[0].end_of_questions(), 12, "§6: no question is repeated");
    assert_eq!(told[0].message().id(), 0);
    assert_eq!(host.ask(&[("1.0.0.10.in-addr.arpa", PTR, 1)], 20_000)[0].kinds(true), [PTR]);
    assert!(host.ask(&[("other.local", 1, 1)], 30_000).is_empty());
    assert!(host.ask(&[("sensor.local", 1, 3)], 40_000).is_empty(), "another class");
}

/// RFC 6762 §6: what several hosts may have is answered after 20 to 120 ms, with all that will be asked for next (RFC 6763 §12.1).
#[test]
fn shared_records_are_answered_after_a_moment() {
    let mut host = Host::settled("sensor");
    let mut waits = Vec::new();
    for n in 0..20 {
        let ms = 20_000 + n * 5000;
        let told = host.ask(&[("_http._tcp.local", PTR, 1)], ms);
        assert_eq!(told.len(), 1);
        waits.push(told[0].ms - ms);
        assert_eq!(
            told[0].records(true),
            [("_http._tcp.local".into(), PTR, 1, 4500)],
            "§10.2: replaces nothing"
        );
        assert_eq!(told[0].kinds(false), [1, SRV, 16]);
    }
    assert!(
        waits.iter().all(|w| (20..=120).contains(w)) && waits.iter().any(|w| *w != waits[0]),
        "{waits:?}"
    );
    let types = host.ask(&[("_services._dns-sd._udp.local", PTR, 1)], 200_000);
    assert_eq!(types[0].records(true)[0].0, "_services._dns-sd._udp.local");
}

/// RFC 6762 §6.1: that the name has no records of the type is said by those that it has.
#[test]
fn missing_type_is_denied() {
    let mut host = Host::settled("sensor");
    let missing = [("sensor.local", 28), ("sensor.local", 16), ("Attic._http._tcp.local", 1)];
    for (ms, (text, kind)) in (10_000..).step_by(5000).zip(missing) {
        let told = host.ask(&[(text, kind, 1)], ms);
        assert_eq!(told[0].records(true), [(text.to_string(), NSEC, FLUSH, 120)], "{kind}");
    }
    let sent = host.ask(&[("sensor.local", 28, 1)], 90_000);
    let record = sent[0].message().all_records(12).next().unwrap();
    assert!(sent[0].message().data(&record).ends_with(&[0, 5, 0x40, 0, 0, 0, 0]), "A alone");
}

/// RFC 6762 §7.1: what the asker knows already, for half of its time at least, is not answered.
#[test]
fn known_answer_is_not_repeated() {
    let mut host = Host::settled("sensor");
    let ask = [("sensor.local", 1, 1)];
    let known = |ttl, last| query(&ask, &[("sensor.local", 1, ttl, std::vec![10, 0, 0, last])]);
    assert!(host.ask_with(&known(60, 1), 10_000).is_empty());
    assert_eq!(host.ask_with(&known(59, 1), 20_000).len(), 1, "less than half");
    assert_eq!(host.ask_with(&known(120, 2), 30_000).len(), 1, "other data");
    let pointer = name("ATTIC._http._tcp.local").as_bytes().to_vec();
    let known = query(&[("_http._tcp.local", PTR, 1)], &[("_http._tcp.local", PTR, 4000, pointer)]);
    assert!(host.ask_with(&known, 40_000).is_empty(), "§16: without regard to case");
}

/// RFC 6762 §7.2: who says that it knows more is waited for 400 to 500 ms, and what it knows is left out, but not for others.
#[test]
fn further_known_answers_are_waited_for() {
    let mut host = Host::settled("sensor");
    let mut first = query(&[("sensor.local", 1, 1)], &[]);
    first[2] |= 2;
    let more = query(&[], &[("sensor.local", 1, 120, std::vec![10, 0, 0, 1])]);
    let told = host.ask_with(&first, 10_000);
    assert!((10_400..10_500).contains(&told[0].ms), "{}", told[0].ms);
    host.hear(asker(5353), &first, 20_000).unwrap();
    host.hear(asker(5353), &more, 20_100).unwrap();
    host.sent.clear();
    run(&mut [&mut host], 29_000);
    assert!(host.sent.is_empty());
    host.hear(asker(5353), &first, 30_000).unwrap();
    host.hear(SocketAddr::from(([10, 0, 0, 8], 5353)), &more, 30_100).unwrap();
    run(&mut [&mut host], 39_000);
    assert_eq!(host.sent.len(), 1, "somebody else's knowledge");
}

/// RFC 6762 §7.4: what another host has just told all is not told once more.
#[test]
fn answer_of_another_host_is_not_repeated() {
    let mut host = Host::settled("sensor");
    host.hear(asker(5353), &query(&[("_services._dns-sd._udp.local", PTR, 1)], &[]), 10_000).unwrap();
    let same = ("_services._dns-sd._udp.local", PTR, 4500, name("_http._tcp.local").as_bytes().to_vec());
    host.hear(asker(5353), &response(&[same]), 10_001).unwrap();
    run(&mut [&mut host], 12_000);
    assert!(host.sent.is_empty());
}

/// RFC 6762 §6: no record is told more often than once a second, however often it is asked for; a name is defended every 250 ms.
#[test]
fn records_are_told_once_a_second() {
    let mut host = Host::settled("sensor");
    let question = query(&[("sensor.local", 1, 1)], &[]);
    for ms in (10_000..15_000).step_by(10) {
        host.hear(asker(5353), &question, ms).unwrap();
        run(&mut [&mut host], ms);
    }
    assert!((4..=5).contains(&host.sent.len()), "{}", host.sent.len());
    let mut probe = [0; 500];
    let mut w = MessageWriter::new(&mut probe, 0, 0);
    w.question(&name("sensor.local"), ANY, 1).unwrap();
    add(&mut w, Section::Authority, &[("sensor.local", 1, 120, std::vec![10, 0, 0, 99])]);
    let len = w.len();
    host.sent.clear();
    for ms in (20_000..21_000).step_by(10) {
        host.hear(asker(5353), &probe[..len], ms).unwrap();
        run(&mut [&mut host], ms);
    }
    assert_eq!(host.sent.len(), 4);
}

/// RFC 6762 §6.7: who asks from another port than mDNS's gets an answer of DNS: its number and question, a short time, nothing replaced.
#[test]
fn asker_without_mdns_is_answered_as_by_dns() {
    let mut host = Host::settled("sensor");
    let question = query(&[("sensor.local", 1, 1)], &[]);
    host.hear(asker(40_000), &question, 10_000).unwrap();
    run(&mut [&mut host], 12_000);
    assert!(host.sent.is_empty());
    let answer = &host.unicast[0];
    assert_eq!(answer.bytes[..2], [0, 7]);
    assert_eq!(answer.bytes[12..answer.end_of_questions()], question[12..]);
    assert_eq!(answer.records(true), [("sensor.local".into(), 1, 1, 10)]);
    assert!(answer.records(false).iter().all(|r| r.3 == 10 && r.2 == 1));
}

/// RFC 6762 §5.4: who asks for an answer of its own gets it, if all were told within a quarter of the record's time; else all are.
#[test]
fn answer_by_unicast_is_given_while_the_record_is_fresh() {
    let mut host = Host::settled("sensor");
    assert!(host.ask(&[("sensor.local", 1, QU)], 10_000).is_empty());
    assert_eq!(host.unicast.len(), 1);
    assert_eq!(host.unicast[0].records(true), [("sensor.local".into(), 1, FLUSH, 120)]);
    assert_eq!(host.unicast[0].end_of_questions(), 12);
    assert_eq!(host.ask(&[("sensor.local", 1, QU)], 100_000).len(), 1);
    assert_eq!(host.unicast.len(), 1);
}

/// Answers by unicast have a bound: who asks under many names of others pays nothing for them.
#[test]
fn answers_by_unicast_are_limited() {
    let mut host = Host::settled("sensor");
    let question = query(&[("sensor.local", 1, 1)], &[]);
    let results: Vec<_> = (0..100).map(|_| host.hear(asker(40_000), &question, 10_000)).collect();
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 20);
    assert!(results.contains(&Err(Drop::MdnsLimited)));
}
