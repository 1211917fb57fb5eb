//! Answers that are wrong: each is refused by its name, and nothing comes of it.

use super::*;

/// What a client that waits for the answer to its first message says to this one.
fn refused(make: impl Fn(&Host) -> Answer) -> Drop {
    let mut host = Host::new(Dhcpv6Mode::Stateful);
    host.until_sent();
    let answer = make(&host);
    let result = host.answer(&answer);
    assert_eq!((host.client.state(), host.client.offered), (Dhcpv6State::Soliciting, None));
    assert!(host.plans.is_empty());
    result.unwrap_err()
}

/// RFC 8415 §16.3, §16.10: another exchange, another client, no server, a kind that is not for clients.
#[test]
fn advertise_of_another_is_foreign() {
    let fixed = |host: &Host| Answer::bare(2, host.client.xid);
    let (client, server) = (option(option6::CLIENT_ID, &DUID), option(option6::SERVER_ID, SERVER));
    type Make<'a> = &'a dyn Fn(&Host) -> Answer;
    let cases: [(Make<'_>, Drop); 8] = [
        (
            &|host| Answer::bare(2, host.client.xid ^ 1).with(&client).with(&server).lease(),
            Drop::Dhcpv6Foreign,
        ),
        (&|host| fixed(host).with(&server).lease(), Drop::Dhcpv6Foreign),
        (
            &|host| fixed(host).with(&option(option6::CLIENT_ID, SERVER)).with(&server).lease(),
            Drop::Dhcpv6Foreign,
        ),
        (&|host| fixed(host).with(&client).lease(), Drop::Dhcpv6NoServer),
        (
            &|host| fixed(host).with(&client).with(&option(option6::SERVER_ID, &[])).lease(),
            Drop::Dhcpv6NoServer,
        ),
        (
            &|host| fixed(host).with(&client).with(&option(option6::SERVER_ID, &[1; 131])).lease(),
            Drop::Dhcpv6NoServer,
        ),
        (&|host| Answer::bare(10, host.client.xid).with(&client).with(&server), Drop::Dhcpv6Unexpected),
        (&|host| Answer::bare(1, host.client.xid).with(&client).with(&server), Drop::Dhcpv6Unexpected),
    ];
    for (at, (make, drop)) in cases.into_iter().enumerate() {
        assert_eq!(refused(make), drop, "{at}");
    }
}

/// RFC 8415 §21.1, §21.4, §21.6: options that are too short, or reach beyond the end of what they lie in.
#[test]
fn options_beyond_the_end_are_malformed() {
    let offer = |host: &Host| Answer::new(Dhcpv6Kind::Advertise, host);
    let beyond = |inner: &[u8], more: u8| {
        let mut bytes = inner.to_vec();
        bytes[3] += more;
        bytes
    };
    let good = address(own(), 60, 120);
    let with_status = option(option6::IA_ADDRESS, &[&good[4..], &beyond(&status(0), 1)].concat());
    let cases: [(&str, Vec<u8>); 8] = [
        ("an option past the end", beyond(&option(23, &[0; 16]), 1)),
        ("half of a header", std::vec![0, 23, 0]),
        ("an association without its fields", option(option6::IA_NA, &[0; 11])),
        ("an address past its association", ia(IAID, 0, 0, &beyond(&good, 1))),
        ("an address without its lifetimes", ia(IAID, 0, 0, &option(option6::IA_ADDRESS, &[0; 23]))),
        ("a status past its address", ia(IAID, 0, 0, &with_status)),
        ("a status of one byte", ia(IAID, 0, 0, &[option(option6::STATUS, &[0]), good.clone()].concat())),
        ("a status of nothing", [option(option6::STATUS, &[]), ia(IAID, 0, 0, &good)].concat()),
    ];
    for (what, bytes) in cases {
        assert_eq!(refused(|host| offer(host).with(&bytes)), Drop::Dhcpv6Malformed, "{what}");
    }
    assert_eq!(Dhcpv6Message::parse(&[2, 0, 0]), Err(Drop::Dhcpv6Malformed));
}

/// RFC 8415 §18.2.9, §18.2.10.1: offers without an address that can be ours.
#[test]
fn offers_without_an_address_are_none() {
    let good = address(own(), 60, 120);
    let bad = |text: &str, preferred: u32, valid: u32| {
        ia(IAID, 0, 0, &address(text.parse().unwrap(), preferred, valid))
    };
    let cases: [(Vec<u8>, Drop); 11] = [
        (std::vec![], Drop::Dhcpv6NoAddress),
        (ia(IAID ^ 1, 0, 0, &good), Drop::Dhcpv6NoAddress),
        (ia(IAID, 2, 1, &good), Drop::Dhcpv6Times),
        (ia(IAID, 0, 0, &[]), Drop::Dhcpv6NoAddress),
        (ia(IAID, 0, 0, &[status(2), good.clone()].concat()), Drop::Dhcpv6NoAddress),
        ([status(2), ia(IAID, 0, 0, &good)].concat(), Drop::Dhcpv6NoAddress),
        (bad("2001:db8::1", 121, 120), Drop::Dhcpv6NoAddress),
        (bad("ff02::1", 60, 120), Drop::Dhcpv6NoAddress),
        (bad("::", 60, 120), Drop::Dhcpv6NoAddress),
        (bad("::1", 60, 120), Drop::Dhcpv6NoAddress),
        (bad("fe80::1", 60, 120), Drop::Dhcpv6NoAddress),
    ];
    for (bytes, drop) in cases {
        assert_eq!(refused(|host| Answer::new(Dhcpv6Kind::Advertise, host).with(&bytes)), drop, "{bytes:?}");
    }
}

/// RFC 8415 §18.2.10.1: a lease of nothing, one for no time, and more addresses than there are places.
#[test]
fn reply_is_taken_as_far_as_it_goes() {
    let mut host = Host::bound();
    host.until_sent();
    let ended = ia(IAID, 0, 0, &address(own(), 0, 0));
    let reply = Answer::new(Dhcpv6Kind::Reply, &host).with(&ended);
    host.answer(&reply).unwrap();
    assert_eq!((host.addresses().len(), host.client.state()), (0, Dhcpv6State::Soliciting));
    assert_eq!(host.plans.last().unwrap().1.removed, [own()]);

    let mut host = Host::bound();
    host.until_sent();
    let many: Vec<u8> =
        (0..20u16).flat_map(|n| address(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), 60, 120)).collect();
    let reply = Answer::new(Dhcpv6Kind::Reply, &host).with(&ia(IAID, 0, 0, &many));
    host.answer(&reply).unwrap();
    assert_eq!((host.addresses().len(), host.plans.last().unwrap().1.drop), (4, Some(Drop::Dhcpv6Address)));
    let long = Answer::new(Dhcpv6Kind::Reply, &host).lease().with(&option(60, &[7; 600]));
    host.until_sent();
    let long = Answer([&Answer::new(Dhcpv6Kind::Reply, &host).0[..], &long.0[4 + 14 + 14..]].concat());
    host.answer(&long).unwrap();
    assert_eq!(
        (host.plans.last().unwrap().1.drop, host.client.option(60)),
        (Some(Drop::Dhcpv6TooLong), None)
    );
}

/// RFC 8415 §18.2.10.1: UnspecFail and others leave all as it is; NoAddrsAvail to a Request begins anew, later each time.
#[test]
fn refusals_are_waited_out() {
    let mut host = Host::bound();
    host.until_sent();
    for code in [1, 2, 5, 77] {
        let reply = Answer::new(Dhcpv6Kind::Reply, &host).with(&status(code));
        assert_eq!(host.answer(&reply), Err(Drop::Dhcpv6Refused), "{code}");
    }
    assert_eq!((host.client.state(), host.addresses()), (Dhcpv6State::Renewing, std::vec![own()]));

    let mut host = Host::new(Dhcpv6Mode::Stateful);
    let mut gaps = Vec::new();
    for _ in 0..9 {
        let before = host.now;
        assert_eq!(host.until_sent(), Dhcpv6Kind::Solicit);
        gaps.push(host.now.since(before).millis() / 1000);
        let offer = Answer::new(Dhcpv6Kind::Advertise, &host).lease();
        host.answer(&offer).unwrap();
        assert_eq!(host.until_sent(), Dhcpv6Kind::Request);
        let none = Answer::new(Dhcpv6Kind::Reply, &host).with(&ia(IAID, 0, 0, &status(2)));
        host.answer(&none).unwrap();
    }
    assert_eq!(gaps[1..], [1, 2, 4, 8, 16, 32, 64, 64]);
}

/// A server that renews for nothing but the shortest of times does not make us ask more than once a second.
#[test]
fn shortest_leases_cost_a_message_a_second() {
    let mut host = Host::bound();
    host.until_sent();
    let before = host.sent.len();
    let began = host.now;
    while host.now.since(began) < Duration::from_secs(60) {
        let reply = Answer::new(Dhcpv6Kind::Reply, &host).with(&ia(IAID, 0, 0, &address(own(), 1, 1)));
        // It may have asked for something else meanwhile.
        let _ = host.answer(&reply);
        host.until_sent();
    }
    assert!(host.sent.len() - before <= 130, "{}", host.sent.len() - before);
}
