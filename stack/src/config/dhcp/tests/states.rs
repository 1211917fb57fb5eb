//! States, timers and what is said in each (RFC 2131 §4.4).

use std::string::String;

use super::*;

/// H157, RFC 2131 §4.1: the first DISCOVER within a second of the link coming up, and at random; then after 4, 8, 16,
/// 32, 64, 64 s, each a second more or less.
#[test]
fn discover_without_an_answer_backs_off() {
    let mut starts = Vec::new();
    for seed in 1..20 {
        let mut host = Host::seeded(DhcpConfig::DEFAULT, seed);
        host.run(secs(600));
        let times: Vec<u64> = host.sent.iter().map(|(at, _)| at.millis()).collect();
        assert!(times[0] < 1000, "{times:?}");
        starts.push(times[0]);
        for (pair, wait) in times.windows(2).zip([4000, 8000, 16_000, 32_000, 64_000, 64_000, 64_000]) {
            assert!((pair[1] - pair[0]).abs_diff(wait) <= 1000, "{times:?}");
        }
        assert!(times.len() > 9 && host.sent.iter().all(|(_, m)| m.kind == DhcpKind::Discover));
        assert_eq!(host.sent[4].1.secs, ((times[4] - times[0]) / 1000) as u16);
    }
    starts.dedup();
    assert!(starts.len() > 10, "{starts:?}");
}

/// RFC 2131 §4.3.6 table 4, §4.4.1: DISCOVER, REQUEST with the server and the address of the offer, ACK.
#[test]
fn lease_is_bound_after_four_messages() {
    let mut host = Host::quick();
    assert_eq!(host.client.state(), DhcpState::Init);
    host.run_to_message(secs(1));
    assert_eq!(host.client.state(), DhcpState::Selecting);
    let discover = host.last();
    assert_eq!((discover.own, discover.to, discover.server), (Ipv4Addr::UNSPECIFIED, None, None));
    host.answer(DhcpKind::Offer);
    let request = host.last();
    assert_eq!((request.kind, request.xid), (DhcpKind::Request, discover.xid));
    assert_eq!((request.requested, request.server, request.to), (Some(OWN), Some(SERVER), None));
    assert!(request.own.is_unspecified() && host.client.lease().is_none());
    host.answer(DhcpKind::Ack);
    assert_eq!(host.client.state(), DhcpState::Bound);
    assert!(host.plans.last().unwrap().1.bind);
    let lease = host.client.lease().unwrap();
    assert_eq!((lease.address().to_string(), lease.server()), ("10.0.0.77/24".into(), SERVER));
    assert_eq!(host.client.deadline(), Some(lease.since() + Duration::from_secs(1800)));
}

/// RFC 2131 table 5, RFC 4361, H164, RFC 3442: what stands in a DISCOVER.
#[test]
fn discover_carries_what_it_should() {
    let mut host = Host::new(DhcpConfig {
        host_name: Some("sensor-7.lab"),
        requests: &[150, 3, 66],
        options: &[(60, b"barenet"), (77, b"x")],
        ..DhcpConfig::DEFAULT
    });
    host.run_to_message(secs(1));
    let message = host.written();
    assert!(message.len() >= 300);
    assert_eq!(message[..4], [1, 1, 6, 0]);
    assert_eq!(message[28..34], MAC.0);
    assert_eq!(message[236..243], [0x63, 0x82, 0x53, 0x63, 53, 1, 1]);
    assert_eq!(option_of(&message, 12), Some(&b"sensor-7.lab"[..]));
    assert_eq!(option_of(&message, 55), Some(&[1, 121, 3, 6, 15, 119, 26, 42, 150, 66][..]));
    assert_eq!(option_of(&message, 60), Some(&b"barenet"[..]));
    assert_eq!(option_of(&message, 57), Some(&1000u16.to_be_bytes()[..]));
    assert_eq!(option_of(&message, 61), Some(&[255, 0, 0, 0, 1, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1][..]));
    assert_eq!((option_of(&message, 50), option_of(&message, 54)), (None, None));
    // The broadcast flag, where there is an address that the answer is not for.
    let mut buf = [0; MESSAGE_LEN];
    host.client.write(&host.last(), true, &mut buf);
    assert_eq!((buf[10], message[10]), (0x80, 0));
}

/// H166 and the sizes: what can't be sent is refused when it is configured.
#[test]
fn config_that_can_not_be_sent_is_refused() {
    let long = "a23456789.123456789.123456789.123456789.123456789.123456789.1234";
    for name in ["", "-a", "a-", "a..b", "a_b", "a b", "ä", long] {
        let config = DhcpConfig { host_name: Some(name), ..DhcpConfig::DEFAULT };
        assert!(config.check().is_err(), "{name}");
    }
    for name in ["a", "a-b.c", &long[..63]] {
        let name: &'static str = String::from(name).leak();
        assert!(DhcpConfig { host_name: Some(name), ..DhcpConfig::DEFAULT }.check().is_ok(), "{name}");
    }
    for options in [&[(53, &b"x"[..])][..], &[(61, b"x")], &[(60, &[b'x'; 255]), (61 + 16, &[b'x'; 20])]] {
        let options: &'static [(u8, &'static [u8])] = options.to_vec().leak();
        assert!(DhcpConfig { options, ..DhcpConfig::DEFAULT }.check().is_err());
    }
    assert!(DhcpConfig { options: &[(60, &[b'x'; 200])], ..DhcpConfig::DEFAULT }.check().is_ok());
}

/// RFC 2131 §3.1(5): a REQUEST without an answer is repeated, and after a minute all starts anew.
#[test]
fn request_without_an_answer_starts_over() {
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let asked = host.now;
    let xid = host.xid();
    while host.run_to_message(secs(200)) && host.last().kind == DhcpKind::Request {
        assert_eq!(host.xid(), xid);
    }
    let requests = host.sent.iter().filter(|(_, m)| m.kind == DhcpKind::Request).count();
    assert_eq!((requests, host.last().kind), (4, DhcpKind::Discover));
    assert!(host.last().xid != xid);
    assert!((55_000..70_000).contains(&host.now.since(asked).millis()));
}

/// RFC 2131 §4.4.5, H161, H162: at half of the time by unicast to the server identifier; at seven eighths to all, and
/// who answers then is the server from there on; with address and without what table 4 forbids.
#[test]
fn lease_is_renewed_and_rebound() {
    let mut host = Host::quick();
    host.lease(3600);
    let asked = host.client.lease().unwrap().since();
    assert!(host.run_to_message(secs(4000)));
    assert_eq!((host.now, host.client.state()), (asked + Duration::from_secs(1800), DhcpState::Renewing));
    let renew = host.last();
    assert_eq!((renew.own, renew.to, renew.requested, renew.server), (OWN, Some(SERVER), None, None));
    // Half of the rest of the time until T2 each, a minute at least: 1350 s are left.
    let mut waits = Vec::new();
    while host.client.state() == DhcpState::Renewing {
        let before = host.now;
        assert!(host.run_to_message(secs(4000)));
        waits.push(host.now.since(before).millis() / 1000);
    }
    assert_eq!(waits, [675, 337, 168, 84, 60, 24]);
    assert_eq!((host.client.state(), host.last().to, host.last().own), (DhcpState::Rebinding, None, OWN));
    let other = Ipv4Addr::new(10, 0, 0, 9);
    let ack = Answer::of(DhcpKind::Ack, host.xid(), other, OWN, 3600);
    let now = host.now;
    host.input(&ack).unwrap();
    let lease = host.client.lease().unwrap();
    assert_eq!((lease.server(), lease.since()), (other, now));
    assert!(host.unbound().is_none(), "the address was ours throughout");
    host.run_to_message(secs(8000));
    assert_eq!(host.last().to, Some(other));
}

/// H160, RFC 2131 §4.4.1: times count from the REQUEST, not from its answer.
#[test]
fn lease_counts_from_its_request() {
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let asked = host.now;
    host.now = asked + Duration::from_secs(3);
    host.answer(DhcpKind::Ack);
    assert_eq!(host.client.lease().unwrap().expires(), Some(asked + Duration::from_secs(3600)));
}

/// RFC 2131 §4.4.5: a lease that nobody renews ends on time, and the client asks anew at once.
#[test]
fn lease_that_is_not_renewed_expires() {
    let mut host = Host::quick();
    host.lease(3600);
    let end = host.client.lease().unwrap().expires().unwrap();
    while host.last().kind != DhcpKind::Discover || host.now < secs(100) {
        assert!(host.run_to_message(secs(4000)));
    }
    assert_eq!(host.unbound(), Some(end));
    assert!(host.now.since(end).millis() < 1000 && host.client.lease().is_none());
}

/// H169, RFC 2131 §3.3: all ones is for ever.
#[test]
fn infinite_lease_has_no_timers() {
    let mut host = Host::quick();
    host.lease(u32::MAX);
    assert_eq!((host.client.deadline(), host.client.lease().unwrap().expires()), (None, None));
}

/// RFC 2131 §4.4.5: the server's own T1 and T2, if they make sense.
#[test]
fn times_of_the_server_hold_if_they_make_sense() {
    let cases =
        [(100u32, 200u32, 100), (200, 100, 1800), (100, 3600, 1800), (0, 100, 1800), (100, 100, 1800)];
    for (t1, t2, expected) in cases {
        let mut host = Host::quick();
        host.run_to_message(secs(1));
        host.answer(DhcpKind::Offer);
        let ack = Answer::good(DhcpKind::Ack, host.xid());
        host.input(&ack.with(58, &t1.to_be_bytes()).with(59, &t2.to_be_bytes())).unwrap();
        let from = host.client.lease().unwrap().since();
        assert_eq!(host.client.deadline(), Some(from + Duration::from_secs(expected)), "{t1} {t2}");
    }
}

/// RFC 2131 §3.1(5): NAK of what was asked ends it, and with it the address; §4.4.5 while renewing.
#[test]
fn nak_ends_the_lease_and_starts_over() {
    let mut host = Host::quick();
    host.lease(3600);
    host.run_to_message(secs(2000));
    let refused = host.now;
    host.answer(DhcpKind::Nak);
    assert_eq!(host.unbound(), Some(refused));
    assert!(host.run_to_message(secs(4000)));
    assert_eq!(host.last().kind, DhcpKind::Discover);
    assert!(host.now.since(refused).millis() <= 3000, "soon");
}

/// H159: a server that always says NAK is asked ever more rarely, a minute apart in the end.
#[test]
fn nak_for_ever_is_asked_rarely() {
    let mut host = Host::quick();
    let mut discovers = Vec::new();
    while discovers.len() < 12 {
        assert!(host.run_to_message(secs(100_000)));
        discovers.push(host.now);
        host.answer(DhcpKind::Offer);
        host.answer(DhcpKind::Nak);
    }
    let waits: Vec<u64> = discovers.windows(2).map(|p| p[1].since(p[0]).millis() / 1000).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64]);
}

/// H158, RFC 2131 §4.4.1, RFC 5227 §2.1.1: three probes before the address is used; a conflict is declined, with the
/// server's name, and pauses for ten seconds.
#[test]
fn address_in_use_is_declined() {
    let mut host = Host::new(DhcpConfig::DEFAULT);
    host.lease(3600);
    let granted = host.now;
    assert_eq!(host.client.state(), DhcpState::Probing);
    while host.plans.len() < 3 {
        host.now = host.client.deadline().unwrap();
        let plan = host.client.on_timer(host.now, &mut host.random);
        host.carry_out(plan);
    }
    assert!(host.plans.iter().all(|(_, plan)| plan.probe == Some(OWN)));
    let at = |n: usize| host.plans[n].0;
    assert!(at(0).since(granted).millis() <= 1000);
    assert!(
        (1000..=2000).contains(&at(1).since(at(0)).millis())
            && (1000..=2000).contains(&at(2).since(at(1)).millis())
    );
    let others = host.client.on_conflict(SERVER, host.now, &mut host.random);
    assert_eq!(others, Plan::default(), "another address");
    let plan = host.client.on_conflict(OWN, host.now, &mut host.random);
    host.carry_out(plan);
    let declined = (host.now, host.last());
    let Outgoing { kind, requested, server, own, .. } = declined.1;
    assert_eq!((kind, requested, server), (DhcpKind::Decline, Some(OWN), Some(SERVER)));
    let message = host.written();
    assert!(own.is_unspecified() && option_of(&message, 55).is_none() && option_of(&message, 61).is_some());
    assert!(host.run_to_message(secs(100)));
    assert!((10_000..11_000).contains(&host.now.since(declined.0).millis()));
    assert!(host.client.lease().is_none() && host.unbound().is_none());
}

/// RFC 5227 §2.1.1: without a conflict the address is bound two seconds after the last probe; with the quick setting
/// 200 ms after the only one; without detection at once.
#[test]
fn address_is_bound_after_its_probes() {
    for (how, probes, wait) in [
        (ConflictDetection::Full, 3, 4000..=7000),
        (ConflictDetection::Once, 1, 200..=200),
        (ConflictDetection::Off, 0, 0..=0),
    ] {
        let mut host = Host::new(DhcpConfig { conflict_detection: how, ..DhcpConfig::DEFAULT });
        host.lease(3600);
        let granted = host.now;
        host.run(secs(20));
        let probed = host.plans.iter().filter(|(_, plan)| plan.probe.is_some()).count();
        let bound = host.plans.iter().find(|(_, plan)| plan.bind).unwrap().0;
        assert_eq!(probed, probes);
        assert!(wait.contains(&bound.since(granted).millis()), "{how:?}: {bound:?}");
    }
}

/// H163, L13, RFC 2131 §4.4.2: a link that comes back is asked whether the lease holds, without a server identifier;
/// the address stays meanwhile; ACK keeps it, NAK ends it.
#[test]
fn link_that_comes_back_is_asked_about_the_lease() {
    for kind in [DhcpKind::Ack, DhcpKind::Nak] {
        let mut host = Host::quick();
        host.lease(3600);
        host.now = secs(100);
        host.client.on_link(false, host.now, &mut host.random);
        assert!(!host.run_to_message(secs(200)), "nothing is said on a link that is down");
        host.client.on_link(true, host.now, &mut host.random);
        assert!(host.run_to_message(secs(201)));
        let Outgoing { kind: sent, own, requested, server, to, .. } = host.last();
        assert_eq!((sent, requested, server, to), (DhcpKind::Request, Some(OWN), None, None));
        assert!(own.is_unspecified() && host.client.lease().is_some());
        assert_eq!(host.client.state(), DhcpState::Rebooting);
        host.answer(kind);
        assert_eq!(host.unbound().is_some(), kind == DhcpKind::Nak);
        assert_eq!(host.client.lease().is_some(), kind == DhcpKind::Ack);
    }
}

/// RFC 2131 §3.2(5): without an answer on the link that came back the lease is used until it ends; a lease that ended
/// while the link was down is gone.
#[test]
fn link_that_comes_back_without_a_server_keeps_the_lease() {
    let mut host = Host::quick();
    host.lease(3600);
    host.now = secs(100);
    host.client.on_link(true, host.now, &mut host.random);
    host.run(secs(1000));
    assert_eq!((host.client.state(), host.unbound()), (DhcpState::Bound, None));
    host.client.on_link(false, host.now, &mut host.random);
    let end = host.client.lease().unwrap().expires().unwrap();
    host.run(secs(5000));
    assert_eq!(host.unbound(), Some(end));
    host.client.on_link(true, host.now, &mut host.random);
    assert!(host.run_to_message(secs(5001)));
    assert_eq!(host.last().kind, DhcpKind::Discover);
}

/// RFC 2131 §4.4.6: RELEASE by unicast, with the server and without a list of requests; then the address goes.
#[test]
fn release_gives_the_lease_back() {
    let mut host = Host::quick();
    host.lease(3600);
    let plan = host.client.release(host.now, &mut host.random);
    host.carry_out(plan);
    let Outgoing { kind, own, to, server, .. } = host.last();
    assert_eq!((kind, own, to, server), (DhcpKind::Release, OWN, Some(SERVER), Some(SERVER)));
    assert_eq!(option_of(&host.written(), 55), None);
    let released = host.now;
    host.run(secs(100));
    assert_eq!(host.unbound(), Some(released + Duration::from_secs(1)));
    assert_eq!((host.client.state(), host.client.deadline()), (DhcpState::Off, None));
}

/// RFC 2131 §3.4, §4.4.3: INFORM has the address that was given by hand, and asks for options only.
#[test]
fn inform_asks_for_options() {
    let mut host = Host::new(DhcpConfig { inform: true, ..DhcpConfig::DEFAULT });
    assert!(host.run_to_message(secs(1)) && host.run_to_message(secs(10)), "it is asked again");
    let Outgoing { kind, own, to, requested, server, .. } = host.last();
    assert_eq!((kind, own, to, requested, server), (DhcpKind::Inform, OWN, None, None, None));
    let ack = Answer::bare(host.xid(), Ipv4Addr::UNSPECIFIED)
        .with(53, &[5])
        .with(54, &SERVER.octets())
        .with(15, b"lab");
    host.input(&ack).unwrap();
    assert_eq!(host.client.state(), DhcpState::Informed);
    assert_eq!((host.client.lease().unwrap().domain(), host.client.deadline()), (Some("lab"), None));
}

/// L14: `on_lease` sees each offer; what it rejects is as if it had not come, and the next is taken. A lease that it
/// rejects although it took the offer is declined.
#[test]
fn program_rejects_a_lease() {
    fn only_with_150(lease: &Lease) -> Verdict {
        if lease.option(150).is_some() { Verdict::Accept } else { Verdict::Reject }
    }
    let quick = DhcpConfig { conflict_detection: ConflictDetection::Off, ..DhcpConfig::DEFAULT };
    let mut host = Host::new(DhcpConfig { on_lease: Some(&only_with_150), ..quick });
    host.run_to_message(secs(1));
    let offer = Answer::good(DhcpKind::Offer, host.xid());
    assert_eq!(host.input(&offer), Err(Drop::DhcpRejected));
    assert_eq!(host.client.state(), DhcpState::Selecting);
    host.input(&offer.with(150, &[1, 2, 3, 4])).unwrap();
    assert_eq!(host.client.state(), DhcpState::Requesting);
    host.answer(DhcpKind::Ack);
    assert_eq!((host.last().kind, host.last().requested), (DhcpKind::Decline, Some(OWN)));
    assert!(host.client.lease().is_none());
}
