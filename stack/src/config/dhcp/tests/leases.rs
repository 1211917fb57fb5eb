//! What servers say, good and bad.

use super::*;

/// A client that waits for an offer, and one that waits for the acknowledgment.
fn waiting() -> [(Host, DhcpKind); 2] {
    let mut selecting = Host::quick();
    selecting.run_to_message(secs(1));
    let mut requesting = Host::quick();
    requesting.run_to_message(secs(1));
    requesting.answer(DhcpKind::Offer);
    [(selecting, DhcpKind::Offer), (requesting, DhcpKind::Ack)]
}

/// H165 and the bad input: none of these is taken as an offer or an acknowledgment, each has its name, and
/// the right one is taken afterwards.
#[test]
fn bad_answers_are_refused_by_name() {
    type Spoil = fn(Answer, &Host, DhcpKind) -> Answer;
    let cases: &[(Drop, Spoil)] = &[
        (Drop::DhcpForeign, |mut a, _, _| {
            a.bytes[7] ^= 1;
            a
        }),
        (Drop::DhcpForeign, |mut a, _, _| {
            a.bytes[33] ^= 1;
            a
        }),
        (Drop::DhcpForeign, |a, _, _| a.with(61, b"another")),
        (Drop::DhcpMalformed, |mut a, _, _| {
            a.bytes[236] = 0;
            a
        }),
        (Drop::DhcpMalformed, |mut a, _, _| {
            a.bytes[0] = 1;
            a
        }),
        (Drop::DhcpMalformed, |mut a, _, _| {
            a.bytes[2] = 16;
            a
        }),
        (Drop::DhcpMalformed, |mut a, _, _| {
            a.bytes.truncate(239);
            a
        }),
        (Drop::DhcpMalformed, |_, h, _| Answer::bare(h.xid(), OWN)),
        (Drop::DhcpNoServer, |_, h, k| {
            Answer::bare(h.xid(), OWN).with(53, &[k as u8]).with(51, &[0, 0, 1, 0])
        }),
        (Drop::DhcpLeaseTime, |_, h, k| Answer::of(k, h.xid(), SERVER, OWN, 0)),
        (Drop::DhcpLeaseTime, |_, h, k| {
            Answer::bare(h.xid(), OWN).with(53, &[k as u8]).with(54, &SERVER.octets())
        }),
        (Drop::DhcpMask, |a, _, _| {
            let mut a = a;
            let at = a.bytes.len() - 2;
            a.bytes[at] = 254;
            a.bytes[at + 1] = 1;
            a
        }),
        (Drop::DhcpMask, |a, _, _| a.with(1, &[255])),
        (Drop::DhcpAddress, |_, h, k| Answer::of(k, h.xid(), SERVER, [10, 0, 0, 255].into(), 60)),
        (Drop::DhcpAddress, |_, h, k| Answer::of(k, h.xid(), SERVER, Ipv4Addr::UNSPECIFIED, 60)),
        (Drop::DhcpAddress, |_, h, k| Answer::of(k, h.xid(), SERVER, [127, 0, 0, 1].into(), 60)),
        (Drop::DhcpAddress, |_, h, k| Answer::of(k, h.xid(), SERVER, [224, 0, 0, 5].into(), 60)),
        (Drop::DhcpUnexpected, |_, h, _| Answer::bare(h.xid(), OWN).with(53, &[8])),
        (Drop::DhcpTooLong, |a, _, _| (0..4).fold(a, |a, _| a.with(43, &[0; 250]))),
    ];
    for (n, (expected, spoil)) in cases.iter().enumerate() {
        for (mut host, kind) in waiting() {
            let (state, sent) = (host.client.state(), host.sent.len());
            let bad = spoil(Answer::good(kind, host.xid()), &host, kind);
            assert_eq!(host.input(&bad), Err(*expected), "case {n}, {kind:?}");
            assert_eq!((host.client.state(), host.sent.len()), (state, sent), "case {n}");
            host.answer(kind);
            assert_ne!(host.client.state(), state);
        }
    }
}

/// H165, RFC 2131 §4.4.1: acknowledgment and refusal count from the server that was chosen only, and what nobody waits
/// for has a name.
#[test]
fn answer_of_another_server_is_refused() {
    let [(_, _), (mut host, _)] = waiting();
    let rogue = Ipv4Addr::new(10, 0, 0, 66);
    for kind in [DhcpKind::Ack, DhcpKind::Nak] {
        let answer = Answer::of(kind, host.xid(), rogue, OWN, 3600);
        assert_eq!(host.input(&answer), Err(Drop::DhcpForeign));
    }
    let other = Answer::of(DhcpKind::Ack, host.xid(), SERVER, [10, 0, 0, 78].into(), 3600);
    assert_eq!(host.input(&other), Err(Drop::DhcpAddress));
    let late = Answer::good(DhcpKind::Offer, host.xid());
    assert_eq!(host.input(&late), Err(Drop::DhcpUnexpected));
    host.answer(DhcpKind::Ack);
    let again = Answer::good(DhcpKind::Ack, host.xid());
    assert_eq!(host.input(&again), Err(Drop::DhcpUnexpected));
    let nobody = Answer::bare(host.xid(), OWN).with(53, &[6]);
    assert_eq!(host.input(&nobody), Err(Drop::DhcpUnexpected));
    host.run_to_message(secs(2000));
    let nobody = Answer::bare(host.xid(), OWN).with(53, &[6]);
    assert_eq!(host.input(&nobody), Err(Drop::DhcpNoServer), "a refusal from nobody");
}

/// H167, RFC 2131 §2, and every accessor of M32: fixed fields and options of a whole message.
#[test]
fn lease_tells_its_options() {
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let ack = Answer::good(DhcpKind::Ack, host.xid())
        .with(3, &[10, 0, 0, 1, 10, 0, 0, 2])
        .with(6, &[8, 8, 8, 8, 0, 0, 0, 0, 9, 9, 9, 9])
        .with(15, b"lab.example\0")
        .with(12, b"sensor-7")
        .with(26, &1400u16.to_be_bytes())
        .with(42, &[10, 0, 0, 3])
        .with(119, b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04")
        .with(150, &[1, 2, 3, 4, 5]);
    host.input(&ack).unwrap();
    let lease = host.client.lease().unwrap();
    let v4 = |last| Ipv4Addr::new(10, 0, 0, last);
    assert!(lease.routers().eq([v4(1), v4(2)]));
    assert!(lease.dns_servers().eq([Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(9, 9, 9, 9)]));
    assert!(lease.ntp_servers().eq([v4(3)]));
    assert_eq!(
        (lease.domain(), lease.host_name(), lease.mtu()),
        (Some("lab.example"), Some("sensor-7"), Some(1400))
    );
    let domains: Vec<_> = lease.search_list().map(|d| d.to_string()).collect();
    assert_eq!(domains, ["eng.apple.com", "marketing.apple.com"]);
    assert_eq!((lease.option(150), lease.option(151)), (Some(&[1, 2, 3, 4, 5][..]), None));
    assert_eq!((lease.duration(), lease.routes().count()), (Some(Duration::from_secs(3600)), 0));
}

/// RFC 3397 §2, H198's kind: pointers in a circle, forward or cut off come to an end.
#[test]
fn search_list_that_makes_no_sense_ends() {
    let lists: [&[u8]; 6] =
        [b"\xc0\x00", b"\x01a\xc0\x00", b"\x01a\xc0\x09\x00", b"\x3fabc", b"\xc0", b"\x80\x00"];
    for list in lists {
        let mut host = Host::quick();
        host.run_to_message(secs(1));
        host.answer(DhcpKind::Offer);
        let ack = Answer::good(DhcpKind::Ack, host.xid()).with(119, list);
        host.input(&ack).unwrap();
        let lease = host.client.lease().unwrap();
        assert!(lease.search_list().map(|d| d.labels().count()).sum::<usize>() <= 200, "{list:?}");
    }
}

/// RFC 3396 §5: one option in several pieces is one, in order, whatever lies between; 600 bytes of option 121 are
/// 75 routes.
#[test]
fn long_option_is_put_together() {
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let route = |n: u8| [24, 192, 168, n, 10, 0, 0, 1];
    let all: Vec<u8> = (0..75).flat_map(route).collect();
    let mut ack = Answer::good(DhcpKind::Ack, host.xid());
    for (n, part) in all.chunks(201).enumerate() {
        ack = ack.with(121, part).with(200 + n as u8, b"between");
    }
    host.input(&ack).unwrap();
    let lease = host.client.lease().unwrap();
    assert_eq!(lease.option(121), Some(&all[..]));
    assert!(
        lease
            .routes()
            .enumerate()
            .all(|(n, (to, by))| { to.to_string() == std::format!("192.168.{n}.0/24") && by == SERVER })
    );
    assert_eq!((lease.routes().count(), lease.option(201)), (75, Some(&b"between"[..])));
}

/// RFC 3442: significant bytes only, host bits don't count, and what is malformed ends the list.
#[test]
fn classless_routes_are_read() {
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let routes = [&[0, 10, 0, 0, 1][..], &[9, 10, 255, 0, 0, 0, 0], &[32, 1, 2, 3, 4, 10, 0, 0, 2], &[33, 1]];
    let ack = Answer::good(DhcpKind::Ack, host.xid()).with(121, &routes.concat());
    host.input(&ack).unwrap();
    let lease = host.client.lease().unwrap();
    let read: Vec<_> = lease.routes().map(|(to, by)| std::format!("{to} {by}")).collect();
    assert_eq!(read, ["0.0.0.0/0 10.0.0.1", "10.128.0.0/9 0.0.0.0", "1.2.3.4/32 10.0.0.2"]);
}

/// RFC 2131 §4.1, RFC 3396 §5: options that overflow into `file` and `sname`, in this order.
#[test]
fn options_overflow_into_other_fields() {
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let mut ack = Answer::good(DhcpKind::Ack, host.xid()).with(52, &[3]).with(15, b"a");
    ack.bytes[108..113].copy_from_slice(&[15, 1, b'b', 255, 0]);
    ack.bytes[44..49].copy_from_slice(&[0, 15, 1, b'c', 255]);
    host.input(&ack).unwrap();
    assert_eq!(host.client.lease().unwrap().domain(), Some("abc"));
    // Without the option these are texts.
    let mut host = Host::quick();
    host.run_to_message(secs(1));
    host.answer(DhcpKind::Offer);
    let mut ack = Answer::good(DhcpKind::Ack, host.xid());
    ack.bytes[108..112].copy_from_slice(&[15, 1, b'b', 255]);
    host.input(&ack).unwrap();
    assert_eq!(host.client.lease().unwrap().domain(), None);
}

/// RFC 2132 §9.3: an overload that says nothing sensible, or says itself that there is more, is not followed; a field without an end
/// is read as far as it goes.
#[test]
fn overload_that_makes_no_sense_is_not_followed() {
    for value in [&[0][..], &[4], &[255], &[1, 1], &[]] {
        let [(_, _), (mut host, _)] = waiting();
        let mut ack = Answer::good(DhcpKind::Ack, host.xid()).with(52, value).with(15, b"a");
        ack.bytes[108..112].copy_from_slice(&[15, 1, b'b', 255]);
        ack.bytes[44..48].copy_from_slice(&[15, 1, b'c', 255]);
        host.input(&ack).unwrap();
        assert_eq!(host.client.lease().unwrap().domain(), Some("a"), "{value:?}");
    }
    let [(_, _), (mut host, _)] = waiting();
    let mut ack = Answer::good(DhcpKind::Ack, host.xid()).with(52, &[1]).with(15, b"a");
    ack.bytes[108..236].fill(0);
    ack.bytes[108..111].copy_from_slice(&[52, 1, 2]);
    ack.bytes[44..48].copy_from_slice(&[15, 1, b'c', 255]);
    // The last option of the field has a byte more than the field.
    ack.bytes[233..236].copy_from_slice(&[15, 2, b'x']);
    host.input(&ack).unwrap();
    assert!(host.plans.last().unwrap().1.cut_off);
    assert_eq!(host.client.lease().unwrap().domain(), Some("a"));
}

/// RFC 2131 §4.1 and the bad input: an option that reaches beyond its field is none, and is told; what came
/// before it counts.
#[test]
fn option_beyond_the_end_is_cut_off() {
    for tail in [&[15, 40, b'x'][..], &[15]] {
        let [(_, _), (mut host, _)] = waiting();
        let mut ack = Answer::good(DhcpKind::Ack, host.xid()).with(26, &[5, 0]);
        ack.bytes.extend(tail);
        host.input(&ack).unwrap();
        assert!(host.plans.last().unwrap().1.cut_off);
        let lease = host.client.lease().unwrap();
        assert_eq!((lease.domain(), lease.mtu()), (None, Some(1280)));
    }
}

/// Any bytes at all: no panic, and the client goes on (H198).
#[test]
fn garbage_does_no_harm() {
    let mut random = Random::new([7; 32]);
    for seed in 0..60 {
        let mut host = Host::seeded(DhcpConfig::DEFAULT, seed);
        host.run_to_message(secs(1));
        for _ in 0..50 {
            let mut answer = Answer::good(DhcpKind::Offer, host.xid())
                .with(121, &[24, 1, 2, 3, 4, 5, 6, 7])
                .with(119, b"\x01a\x00");
            for _ in 0..=random.below(6) {
                let at = random.below(answer.bytes.len() as u32) as usize;
                answer.bytes[at] = random.next_u32() as u8;
            }
            answer.bytes.truncate(240 + random.below(80) as usize);
            let _ = host.input(&answer);
            if let Some(lease) = host.client.lease() {
                let _ = (lease.routes().count(), lease.search_list().count(), lease.domain());
            }
            host.run(host.now + Duration::from_secs(random.below(40).into()));
        }
        assert!(host.run_to_message(host.now + Duration::from_secs(100_000)));
    }
}
