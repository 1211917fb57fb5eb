//! The states, as RFC 8415 §18.2 has them, with the right answers.

use super::*;

/// L08, RFC 8415 §18.2.1, §18.2.2: four messages; what each of ours says, and that the lease counts.
#[test]
fn solicit_advertise_request_reply_binds() {
    let mut host = Host::bound();
    assert_eq!(host.addresses(), [own()]);
    assert_eq!(host.client.server(), Some(SERVER));
    let leased = host.client.addresses()[0].lifetimes;
    assert_eq!(leased.valid_until, host.now + Duration::from_secs(3600));
    assert!(host.plans.last().unwrap().1.bind);
    // T1 is half of the preferred lifetime, T2 four fifths.
    let bound_at = host.now;
    assert_eq!(host.until_sent(), Dhcpv6Kind::Renew);
    assert_eq!(host.now, bound_at + Duration::from_secs(900));
    let message = host.message(Dhcpv6Kind::Renew);
    let options = Options6::parse(&message[4..]).unwrap();
    assert_eq!((message[0], options.get(option6::CLIENT_ID)), (5, Some(&DUID[..])));
    assert_eq!(options.get(option6::SERVER_ID), Some(SERVER));
    assert_eq!(options.get(option6::IA_NA).unwrap()[12..], address(own(), 0, 0));
    assert!(options.get(option6::REQUEST_LIST).unwrap().as_chunks::<2>().0.contains(&[0, 23]));
    let solicit = host.message(Dhcpv6Kind::Solicit);
    let options = Options6::parse(&solicit[4..]).unwrap();
    assert_eq!((options.get(option6::SERVER_ID), options.get(option6::RAPID_COMMIT)), (None, Some(&[][..])));
    assert_eq!(options.get(option6::IA_NA).unwrap().len(), 12);
}

/// RFC 8415 §18.2.1: a server that may give at once does.
#[test]
fn rapid_commit_binds_by_two_messages() {
    let mut host = Host::new(Dhcpv6Mode::Stateful);
    host.until_sent();
    let plain = Answer::new(Dhcpv6Kind::Reply, &host).lease();
    assert_eq!(host.answer(&plain), Err(Drop::Dhcpv6Unexpected), "it was not asked for so");
    let rapid = plain.with(&option(option6::RAPID_COMMIT, &[]));
    host.answer(&rapid).unwrap();
    assert_eq!((host.client.state(), host.addresses()), (Dhcpv6State::Bound, std::vec![own()]));
    let config = Dhcpv6Config { rapid_commit: false, mode: Dhcpv6Mode::Stateful, ..Dhcpv6Config::DEFAULT };
    let mut without = Host::seeded(config, 1);
    without.until_sent();
    let rapid = Answer::new(Dhcpv6Kind::Reply, &without).lease().with(&option(option6::RAPID_COMMIT, &[]));
    assert_eq!(without.answer(&rapid), Err(Drop::Dhcpv6Unexpected));
}

/// RFC 8415 §18.2.1: in the first second the best offer is waited for; 255 is taken at once, and so is any later.
#[test]
fn offers_compete_by_preference() {
    let offer = |host: &Host, server: &[u8], preference: u8| {
        let answer = Answer::from_server(Dhcpv6Kind::Advertise, host, server).lease();
        answer.with(&option(option6::PREFERENCE, &[preference]))
    };
    let mut host = Host::new(Dhcpv6Mode::Stateful);
    host.until_sent();
    for (server, preference) in [(OTHER, 3), (SERVER, 9), (OTHER, 8)] {
        let answer = offer(&host, server, preference);
        host.answer(&answer).unwrap();
    }
    assert_eq!(host.client.state(), Dhcpv6State::Soliciting);
    assert_eq!(host.until_sent(), Dhcpv6Kind::Request);
    assert_eq!(host.client.server, SERVER);
    let mut host = Host::new(Dhcpv6Mode::Stateful);
    host.until_sent();
    let answer = offer(&host, OTHER, 255);
    host.answer(&answer).unwrap();
    assert_eq!((host.client.state(), host.sent.len()), (Dhcpv6State::Requesting, 2));
    let mut late = Host::new(Dhcpv6Mode::Stateful);
    late.until_sent();
    late.until_sent();
    let answer = offer(&late, OTHER, 0);
    late.answer(&answer).unwrap();
    assert_eq!(late.client.state(), Dhcpv6State::Requesting);
}

/// RFC 8415 §15: 1 s, then twice as long each time, a tenth more or less, up to an hour, or what a server says; the first Solicit
/// never sooner.
#[test]
fn solicit_unanswered_backs_off() {
    for seed in 0..20 {
        let config = Dhcpv6Config { mode: Dhcpv6Mode::Stateful, ..Dhcpv6Config::DEFAULT };
        let mut host = Host::seeded(config, seed);
        host.run(secs(100_000));
        let times: Vec<u64> = host.sent.iter().map(|(at, _)| at.millis()).collect();
        let gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(times[0] < 2001 && (1000..=1100).contains(&gaps[0]), "{gaps:?}");
        for pair in gaps.windows(2) {
            let most = (2 * pair[0] + pair[0] / 10).min(3_960_000);
            assert!((pair[0] * 19 / 10 - 4).min(3_240_000) <= pair[1] && pair[1] <= most + 4, "{gaps:?}");
        }
        let limited = Answer::new(Dhcpv6Kind::Advertise, &host).with(&option(82, &60u32.to_be_bytes()));
        assert_eq!(host.answer(&limited), Err(Drop::Dhcpv6NoAddress));
        assert_eq!(host.client.solicit_longest, Duration::from_secs(60));
    }
}

/// RFC 8415 §18.2.2, §15: ten Requests, then other servers are asked.
#[test]
fn request_unanswered_solicits_again() {
    let mut host = Host::new(Dhcpv6Mode::Stateful);
    host.until_sent();
    let offer = Answer::new(Dhcpv6Kind::Advertise, &host).lease();
    host.answer(&offer).unwrap();
    let xid = {
        host.until_sent();
        host.client.xid
    };
    let mut requests = 1;
    while host.until_sent() == Dhcpv6Kind::Request {
        assert_eq!(host.client.xid, xid, "the same number for the same message");
        requests += 1;
    }
    assert_eq!((requests, host.sent.last().unwrap().1), (10, Dhcpv6Kind::Solicit));
}

/// RFC 8415 §18.2.4, §18.2.5: Renew until T2, then Rebind, which any server may answer; without an answer the address ends.
#[test]
fn lease_is_renewed_rebound_and_lost() {
    let mut host = Host::bound();
    assert_eq!(host.until_sent(), Dhcpv6Kind::Renew);
    let foreign = Answer::from_server(Dhcpv6Kind::Reply, &host, OTHER).lease();
    assert_eq!(host.answer(&foreign), Err(Drop::Dhcpv6Foreign));
    let reply = Answer::new(Dhcpv6Kind::Reply, &host).lease();
    host.answer(&reply).unwrap();
    let renewed = host.now;
    while host.until_sent() == Dhcpv6Kind::Renew {}
    assert_eq!(
        (host.sent.last().unwrap().1, host.now),
        (Dhcpv6Kind::Rebind, renewed + Duration::from_secs(1440))
    );
    let other = Answer::from_server(Dhcpv6Kind::Reply, &host, OTHER).lease();
    host.answer(&other).unwrap();
    assert_eq!(host.client.server(), Some(OTHER));
    let rebound = host.now;
    host.run(rebound + Duration::from_secs(3599));
    assert_eq!(host.addresses(), [own()]);
    host.run(rebound + Duration::from_secs(3600));
    assert_eq!((host.addresses().len(), host.client.state()), (0, Dhcpv6State::Soliciting));
    assert_eq!(host.plans.last().unwrap().1.removed, [own()]);
}

/// RFC 8415 §18.2.10.1: a server that has forgotten the lease is asked for it anew, and meanwhile the address is good.
#[test]
fn no_binding_requests_anew() {
    let mut host = Host::bound();
    host.until_sent();
    let forgotten = Answer::new(Dhcpv6Kind::Reply, &host).with(&ia(IAID, 0, 0, &status(3)));
    host.answer(&forgotten).unwrap();
    assert_eq!((host.client.state(), host.addresses()), (Dhcpv6State::Requesting, std::vec![own()]));
    while host.until_sent() == Dhcpv6Kind::Request {}
    assert_eq!((host.sent.last().unwrap().1, host.addresses()), (Dhcpv6Kind::Rebind, std::vec![own()]));
}

/// L13, RFC 8415 §18.2.3: a link that comes back: Confirm; silence means yes, and NotOnLink no.
#[test]
fn link_that_comes_back_is_confirmed() {
    let flap = |host: &mut Host| {
        host.client.on_link(false, host.now, &mut host.random);
        assert_eq!((host.client.state(), host.addresses()), (Dhcpv6State::Off, std::vec![own()]));
        host.client.on_link(true, host.now, &mut host.random);
        assert_eq!(host.until_sent(), Dhcpv6Kind::Confirm);
    };
    let mut host = Host::bound();
    flap(&mut host);
    let (message, began) = (host.message(Dhcpv6Kind::Confirm), host.now);
    let options = Options6::parse(&message[4..]).unwrap();
    assert_eq!((options.get(option6::SERVER_ID), options.get(option6::REQUEST_LIST)), (None, None));
    host.run(began + Duration::from_secs(12));
    assert_eq!((host.client.state(), host.addresses()), (Dhcpv6State::Bound, std::vec![own()]));
    flap(&mut host);
    let yes = Answer::from_server(Dhcpv6Kind::Reply, &host, OTHER).with(&status(0));
    host.answer(&yes).unwrap();
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    flap(&mut host);
    let no = Answer::from_server(Dhcpv6Kind::Reply, &host, OTHER).with(&status(4));
    host.answer(&no).unwrap();
    assert_eq!((host.client.state(), host.addresses().len()), (Dhcpv6State::Soliciting, 0));
}

/// RFC 8415 §18.2.8: a duplicate is declined, four times without an answer, and then another is asked for.
#[test]
fn duplicate_is_declined() {
    let mut host = Host::bound();
    let plan = host.client.on_duplicate(own(), host.now, &mut host.random);
    host.carry_out(plan);
    assert_eq!((host.sent.last().unwrap().1, host.addresses().len()), (Dhcpv6Kind::Decline, 0));
    let message = host.message(Dhcpv6Kind::Decline);
    let options = Options6::parse(&message[4..]).unwrap();
    assert_eq!(options.get(option6::IA_NA).unwrap()[12..], address(own(), 0, 0));
    assert_eq!(options.get(option6::SERVER_ID), Some(SERVER));
    let mut declines = 1;
    while host.until_sent() == Dhcpv6Kind::Decline {
        declines += 1;
    }
    assert_eq!((declines, host.sent.last().unwrap().1), (4, Dhcpv6Kind::Solicit));
    let other = host.client.on_duplicate(own(), host.now, &mut host.random);
    assert_eq!(other, Plan6::default(), "it is none of ours");
}

/// RFC 8415 §18.2.7: the address is ours no more before the server is told; any answer ends it.
#[test]
fn release_gives_back() {
    let mut host = Host::bound();
    let plan = host.client.release(host.now, &mut host.random);
    assert_eq!((plan.removed.as_slice(), plan.send), (&[own()][..], Some(Dhcpv6Kind::Release)));
    let message = host.message(Dhcpv6Kind::Release);
    let options = Options6::parse(&message[4..]).unwrap();
    assert_eq!(options.get(option6::IA_NA).unwrap()[12..], address(own(), 0, 0));
    let reply = Answer::new(Dhcpv6Kind::Reply, &host).with(&status(0));
    host.answer(&reply).unwrap();
    assert_eq!((host.client.state(), host.client.deadline()), (Dhcpv6State::Off, None));
}

/// L08, RFC 8415 §18.2.6, §21.23, RFC 3646, RFC 5908: options alone, and when they are asked for again.
#[test]
fn information_is_asked_for_and_refreshed() {
    for (refresh, after) in [(None, 86_400), (Some(700), 700), (Some(5), 600)] {
        let mut host = Host::new(Dhcpv6Mode::Stateless);
        assert_eq!(host.until_sent(), Dhcpv6Kind::InformationRequest);
        let message = host.message(Dhcpv6Kind::InformationRequest);
        assert_eq!(Options6::parse(&message[4..]).unwrap().get(option6::IA_NA), None);
        let ntp = option(1, &own().octets());
        let mut reply = Answer::new(Dhcpv6Kind::Reply, &host)
            .with(&option(option6::DNS, &own().octets()))
            .with(&option(option6::DOMAINS, b"\x03lab\x07example\0\x03lan\0"))
            .with(&option(option6::NTP, &ntp))
            .with(&option(59, b"tftp://boot"));
        if let Some(secs) = refresh {
            reply = reply.with(&option(option6::REFRESH_TIME, &u32::to_be_bytes(secs)));
        }
        host.answer(&reply).unwrap();
        assert!(host.client.dns_servers().eq([own()]) && host.client.ntp_servers().eq([own()]));
        let names: Vec<_> = host.client.search_list().map(|name| name.to_string()).collect();
        assert_eq!(
            (names.as_slice(), host.client.option(59)),
            (&["lab.example".to_string(), "lan".to_string()][..], Some(&b"tftp://boot"[..]))
        );
        let told = host.now;
        host.until_sent();
        let waited = host.now.since(told).millis();
        assert!((after * 1000..=after * 1000 + 1000).contains(&waited), "{refresh:?}: {waited}");
    }
}

/// RFC 4861 §4.2: nothing without a flag; options with O; addresses with M, also when it comes later.
#[test]
fn routers_say_what_dhcp_is_for() {
    let mut host = Host::new(Dhcpv6Mode::ByRouter);
    host.run(secs(100));
    host.client.on_router(false, false, host.now, &mut host.random);
    assert_eq!((host.client.state(), host.sent.len()), (Dhcpv6State::Idle, 0));
    host.client.on_router(false, true, host.now, &mut host.random);
    assert_eq!(host.until_sent(), Dhcpv6Kind::InformationRequest);
    let reply = Answer::new(Dhcpv6Kind::Reply, &host);
    host.answer(&reply).unwrap();
    host.client.on_router(false, true, host.now, &mut host.random);
    assert_eq!(host.client.state(), Dhcpv6State::Informed, "the same again is no news");
    host.client.on_router(true, false, host.now, &mut host.random);
    assert_eq!(host.until_sent(), Dhcpv6Kind::Solicit);
}

/// RFC 8415 §11: the three forms of names.
#[test]
fn duid_is_of_the_programs_choice() {
    let duid = |duid| {
        let config = Dhcpv6Config { duid, ..Dhcpv6Config::DEFAULT };
        config.check().unwrap();
        Host::seeded(config, 1).client.duid().to_vec()
    };
    assert_eq!(duid(Duid::LinkLayer), DUID);
    let enterprise = Duid::Enterprise { number: 0x01_0203, identifier: b"id" };
    assert_eq!(duid(enterprise), [0, 2, 0, 1, 2, 3, b'i', b'd']);
    assert_eq!(duid(Duid::Uuid([9; 16])), [&[0, 4][..], &[9; 16]].concat());
    let long = Duid::Enterprise { number: 1, identifier: &[0; 123] };
    assert!(Dhcpv6Config { duid: long, ..Dhcpv6Config::DEFAULT }.check().is_err());
    // The longest of everything fits a message.
    let most = Dhcpv6Config {
        duid: Duid::Enterprise { number: 1, identifier: &[0; 122] },
        requests: &[300; 32],
        mode: Dhcpv6Mode::Stateful,
        ..Dhcpv6Config::DEFAULT
    };
    let mut host = Host::seeded(most, 1);
    host.client.server = heapless::Vec::from_slice(&[1; 130]).unwrap();
    host.client.addresses = core::iter::repeat_n(
        LeasedAddress { address: own(), lifetimes: crate::ip::addresses::Lifetimes::FOREVER },
        4,
    )
    .collect();
    assert!(host.message(Dhcpv6Kind::Renew).len() < MESSAGE6_LEN);
}
