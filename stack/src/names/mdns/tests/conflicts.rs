//! Two hosts, one name.

use super::*;

/// RFC 6762 §8.2: of two that ask for a name at a time the one with the greater records gets it.
#[test]
fn greater_records_win_a_tie() {
    for (a, b) in [(1, 2), (2, 1), (9, 200)] {
        let (mut first, mut second) = (Host::new(a, "sensor", 0), Host::new(b, "sensor", 0));
        run(&mut [&mut first, &mut second], 30_000);
        let (winner, loser) = if a > b { (first, second) } else { (second, first) };
        assert_eq!((winner.name(), loser.name()), ("sensor.local".into(), "sensor-2.local".into()));
    }
}

/// RFC 6762 §9: who comes later takes the next name; a third the one after.
#[test]
fn later_host_takes_another_name() {
    let mut first = Host::new(200, "sensor", 0);
    run(&mut [&mut first], 5000);
    let mut second = Host::new(1, "sensor", 5000);
    run(&mut [&mut first, &mut second], 20_000);
    let mut third = Host::new(250, "Sensor", 20_000);
    run(&mut [&mut first, &mut second, &mut third], 40_000);
    assert_eq!(
        [first.name(), second.name(), third.name()],
        ["sensor.local", "sensor-2.local", "Sensor-3.local"]
    );
    let told = second.sent.iter().filter(|s| !s.is_query());
    assert!(told.flat_map(|s| s.records(true)).all(|r| r.0 != "sensor.local"));
}

/// RFC 6762 §9: two that have a name when their links are joined ask for it anew, and one of them gets another.
#[test]
fn joined_links_leave_one_host_the_name() {
    let (mut first, mut second) = (Host::new(1, "sensor", 0), Host::new(2, "sensor", 0));
    first.announce("Attic", "_http._tcp");
    run(&mut [&mut first], 10_000);
    run(&mut [&mut second], 10_000);
    second
        .hear(
            SocketAddr::new(first.address, 5353),
            &response(&[("sensor.local", 1, 120, std::vec![10, 0, 0, 1])]),
            10_000,
        )
        .unwrap();
    first
        .hear(
            SocketAddr::new(second.address, 5353),
            &response(&[("sensor.local", 1, 120, std::vec![10, 0, 0, 2])]),
            10_000,
        )
        .unwrap();
    run(&mut [&mut first, &mut second], 60_000);
    assert_eq!([first.name(), second.name()], ["sensor-2.local", "sensor.local"]);
    // The service is where its host is called something else now.
    let told = first.ask(&[("Attic._http._tcp.local", SRV, 1)], 70_000);
    let record = told[0].message().all_records(12).next().unwrap();
    assert_eq!(told[0].message().name_in(&record, 6).unwrap().to_string(), "sensor-2.local");
}

/// RFC 6763 appendix D: an instance's next name has a number in parentheses; it ends between characters, within 63 bytes.
#[test]
fn later_instance_takes_another_name() {
    let (mut first, mut second) = (Host::new(1, "one", 0), Host::new(2, "two", 0));
    let a = first.announce("Printer", "_ipp._tcp");
    run(&mut [&mut first, &mut second], 10_000);
    let b = second.announce("printer", "_ipp._tcp");
    run(&mut [&mut first, &mut second], 30_000);
    let called = |host: &Host, id| host.responder.service_name(id).unwrap().unwrap().to_string();
    assert_eq!(called(&first, a), "Printer._ipp._tcp.local");
    assert_eq!(called(&second, b), "printer (2)._ipp._tcp.local");
    let mut claim = claim::Claim::new("ääääääääääääääääääääääääääääää_");
    claim.rename();
    let label = claim.label(" (", ")");
    assert_eq!(core::str::from_utf8(&label).unwrap(), "äääääääääääääääääääääääääääää (2)");
}

/// RFC 6762 §8.1: against somebody who claims every name there is an attempt each five seconds, after fifteen.
#[test]
fn many_conflicts_make_a_host_slow() {
    let mut host = Host::new(1, "sensor", 0);
    for _ in 0..30 {
        let due = host.responder.deadline().unwrap().micros().div_ceil(1000);
        let sent = host.turn(due);
        let question = sent[0].message().questions().next().unwrap();
        let asked = Name::read(&sent[0].bytes, question.name_at).unwrap().0.to_string();
        host.hear(asker(5353), &response(&[(&asked, 1, 120, std::vec![10, 0, 0, 99])]), due).unwrap();
    }
    let probes: Vec<u64> = host.sent.iter().map(|s| s.ms).collect();
    assert!(probes[13] - probes[0] < 13 * 260, "{probes:?}");
    assert!(probes.windows(2).skip(15).all(|w| w[1] - w[0] >= 5000), "{probes:?}");
}

/// RFC 6762 §9, §10.1, §14: our own records, as of another interface or as an echo, and goodbyes of others are no conflicts.
#[test]
fn own_records_and_goodbyes_are_no_conflict() {
    let mut host = Host::settled("sensor");
    let own = ("sensor.local", 1, 120, std::vec![10, 0, 0, 1]);
    let goodbye = ("sensor.local", 1, 0, std::vec![10, 0, 0, 9]);
    let other_type = ("sensor.local", 16, 120, std::vec![0]);
    for record in [own, goodbye, other_type] {
        host.hear(asker(5353), &response(&[record]), 10_000).unwrap();
    }
    assert_eq!(host.responder.deadline(), None);
    assert_eq!(host.name(), "sensor.local");
}
