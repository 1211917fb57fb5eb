use super::*;

/// H057, T15, F10: a reset counts only at exactly the next number; inside the window it is challenged,
/// outside dropped. Payload in front of that number does not move it there.
//= rfc5961#3
#[test]
fn a_reset_must_be_exact() {
    let blind = pattern(1_400);
    for reset in [rst(2), rst(60_000), rst(0), rst(0).payload(&blind), rst(0x8000_0000)] {
        let mut b = Bench::server();
        b.get(data(1, 1, b"x"));
        b.out();
        let mut reset = reset;
        reset.seq = reset.seq.wrapping_add(1);
        b.get(reset);
        assert_eq!(b.state(), State::Established, "{}", reset.seq);
    }
    let mut b = Bench::server();
    b.get(rst(60));
    assert!(b.out()[0].is(Flags::ACK));
    b.get(rst(60));
    assert_eq!(b.out(), [], "H059");
}

/// H059: challenges are limited, each connection by itself.
//= rfc5961#7
#[test]
fn challenges_are_limited() {
    let mut b = Bench::server();
    let mut answers = 0;
    for n in 0..1_000 {
        b.get(ack(100_000 + n, 1));
        b.get(segment(Flags::SYN, n, 0));
        b.get(segment(Flags::SYN, 0x9000_0000, 0));
        b.get(ack(1, 50_000));
        b.get(rst(1_000));
        answers += b.out().len();
    }
    assert_eq!(answers, 1);
    b.now += Duration::from_millis(500);
    b.get(rst(1_000));
    assert_eq!(b.out().len(), 1);
}

/// H059: what one connection's challenges leave cannot be measured on another: there is no common limit.
//= rfc5961#7
#[test]
fn challenges_of_one_connection_say_nothing_about_another() {
    let mut b = Bench::listening(quiet(), 4);
    let mut both = [(1, Seq(0)), (2, Seq(0))];
    for (port, iss) in &mut both {
        (b.tuple.remote_port, b.iss) = (*port, Seq(0));
        b.get(syn());
        b.out();
        b.get(ack(1, 1));
        b.accept();
        *iss = b.iss;
    }
    for flood in [0, 1_000] {
        (b.tuple.remote_port, b.iss) = both[0];
        for n in 0..flood {
            b.get(ack(100_000 + n, 1));
            b.get(rst(1_000));
        }
        let answers = b.out().len();
        assert_eq!(answers, usize::from(flood > 0), "after {flood}");
        (b.tuple.remote_port, b.iss) = both[1];
        b.get(rst(1_000));
        assert_eq!(b.out().len(), 1, "after {flood}");
        b.now += Duration::from_secs(1);
    }
}

/// H030: keep-alives and window probes are answered every time.
//= rfc9293#3.8.4
#[test]
fn probes_are_always_answered() {
    let mut b = Bench::server();
    for _ in 0..20 {
        b.get(ack(0, 1));
        assert_eq!(b.out().len(), 1, "a keep-alive");
        b.get(data(0, 1, b"x"));
        assert_eq!(b.out().len(), 1, "one with its garbage byte");
    }
}

/// H025: an acknowledgment of what was never sent is answered, and changes nothing.
//= rfc9293#3.10.7.4
#[test]
fn an_acknowledgment_of_the_future() {
    let mut b = Bench::server();
    b.write(&pattern(100)).unwrap();
    b.shutdown();
    b.out();
    let dropped = b.get(ack(1, 103));
    assert!(matches!(dropped, Some(Refused::Engine(crate::tcp::connection::tcb::Dropped::BadAck))));
    assert!(b.out()[0].is(Flags::ACK));
    assert_eq!(b.state(), State::FinWait1);
    b.get(ack(1, 102));
    assert_eq!(b.state(), State::FinWait2);
}

/// H033, RFC 7323 §5.3 R2 before R3: a segment outside the window leaves TS.Recent alone, or a
/// blind attacker could have everything else dropped as old.
//= rfc7323#5.3
#[test]
fn a_timestamp_counts_only_inside_the_window() {
    let mut b = Bench::server_with(quiet(), syn().ts(100, 0));
    b.get(ack(0x9000_0000, 1).ts(0x4000_0000, 0));
    b.get(data(0x9000_0000, 1, b"old").ts(0x4000_0000, 0));
    b.get(ack(1, 70_000).ts(0x4000_0000, 0));
    b.get(data(1, 1, b"new").ts(101, 0));
    assert_eq!(b.read(9).unwrap(), b"new");
}

/// H033: TS.Recent comes from the segment that the last acknowledgment waited for, and never goes
/// back.
//= rfc7323#4.3
#[test]
fn which_timestamp_is_echoed() {
    let echo = |b: &mut Bench| b.out().last().unwrap().options.timestamps.unwrap().echo;
    let mut b = Bench::server_with(quiet(), syn().ts(100, 0));
    b.get(data(1, 1, b"a").ts(110, 0));
    b.get(data(2, 1, &pattern(3_000)).ts(120, 0));
    assert_eq!(echo(&mut b), 110, "(A) a delayed acknowledgment echoes the first");
    b.get(data(3_004, 1, b"c").ts(130, 0));
    assert_eq!(echo(&mut b), 110, "(B) a hole does not move it");
    b.get(data(3_002, 1, b"ab").ts(125, 0));
    assert_eq!(echo(&mut b), 125, "(C) what fills the hole does");
}

/// H033, T03: an older timestamp is an old duplicate; it is answered, but not without limit when it
/// carries nothing.
//= rfc7323#5.3
#[test]
fn old_duplicates_by_timestamp() {
    let mut b = Bench::server_with(quiet(), syn().ts(100, 0));
    b.get(data(1, 1, b"old").ts(99, 0));
    assert_eq!(b.read(9), Err(Error::WouldBlock));
    assert_eq!(b.out().len(), 1);
    b.now += Duration::from_millis(500);
    let answers: usize = (0..10).map(|_| (b.get(ack(1, 1).ts(99, 0)), b.out().len()).1).sum();
    assert_eq!(answers, 1);
    b.get(In { options: rst(1).ts(50, 0).options, ..rst(1) });
    assert_eq!(b.read(9), Err(Error::ConnectionReset), "a reset need not be new");
}

/// After 24 days of silence a timestamp says nothing: its clock may have gone half around.
//= rfc7323#5.5
#[test]
fn a_timestamp_ages() {
    let mut b = Bench::server_with(quiet(), syn().ts(100, 0));
    b.now += Duration::from_secs(25 * 24 * 3600);
    b.get(data(1, 1, b"back").ts(100 + 0x8000_1000, 0));
    assert_eq!(b.read(9).unwrap(), b"back");
}

/// F31: two ends that disagree about their numbers do not answer each other for ever: neither one whose
/// acknowledgments are too new, nor one whose payload is too old.
//= rfc5961#7
#[test]
fn no_war_of_acknowledgments() {
    for shift in [1, 1_000, 40_000, 0x2000_0000, 0u32.wrapping_sub(1), 0u32.wrapping_sub(1_000)] {
        let (mut a, mut b) = (Bench::server(), Bench::server());
        a.get(ack(0, 1));
        let mut segments = 0;
        for _ in 0..100 {
            for o in a.out() {
                segments += 1;
                b.get(data(o.seq.wrapping_add(shift), o.ack.wrapping_sub(shift), &o.payload));
            }
            for o in b.out() {
                segments += 1;
                a.get(data(o.seq.wrapping_add(shift), o.ack.wrapping_sub(shift), &o.payload));
            }
        }
        assert!(segments <= 4, "{shift:#x}: {segments}");
    }
}

/// H062, H063, F11: thousands of small pieces with holes cost bounded memory, and the payload that is
/// missing is always taken.
#[test]
fn holes_without_number() {
    let mut b = Bench::server();
    for n in (0..30_000).rev() {
        b.get(data(3 + 2 * n, 1, b"x"));
    }
    b.out();
    let held = b.pool.in_use();
    let bound = 65_535 + 1_024 * 12 + 2 * 500;
    assert!(held <= bound, "{held}: the window, which was promised, and a thousand records in blocks");
    b.get(data(1, 1, b"ab"));
    assert_eq!(b.read(100).unwrap(), b"ab", "the nearest were beyond the bound");
    b.get(data(3, 1, b"xyx"));
    assert_eq!(b.read(100).unwrap(), b"xyx");
}

/// H056, T14, F09: each connection has its own number, also with the same addresses later.
//= rfc9293#3.4.1 MUST-9, SHLD-1
#[test]
fn initial_numbers_differ() {
    let mut b = Bench::listening(quiet(), 4);
    let mut seen = vec![];
    for port in [1, 2, 1, 2] {
        b.tuple.remote_port = port;
        b.now += Duration::from_millis(3);
        b.iss = Seq(0);
        b.get(syn());
        b.out();
        seen.push(b.iss);
        b.get(rst(1));
    }
    seen.sort_by_key(|s| s.0);
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

/// H060, T14: ports come from three quarters of all, in no order.
//= rfc6056#3.2
#[test]
fn ephemeral_ports_are_spread() {
    let mut b = Bench::new(quiet());
    let mut tuple = b.tuple;
    let ports: Vec<u16> = (0..400)
        .map(|_| {
            tuple.local_port = 0;
            let key = b.tcp.connect(tuple, b.interface, MTU, None, b.now, &mut b.pool).unwrap();
            let port = b.tcp.connection(key).unwrap().tuple.local_port;
            b.key = Some(key);
            b.close();
            port
        })
        .collect();
    let quarter = |n: u16| ports.iter().filter(|p| **p / 16_384 == n).count();
    assert_eq!(quarter(0), 0);
    assert!((1..4).all(|n| quarter(n) > 90), "{:?}", (1..4).map(quarter).collect::<Vec<_>>());
    assert!(ports.windows(2).filter(|w| w[1] > w[0]).count() < 260);
}

/// H261: every port of the range is drawn, each once in a round of them all, and no round is like the one
/// before; as long as one is free for this peer a connect finds it.
//= rfc6056#3.3
#[test]
fn every_ephemeral_port_is_drawn() {
    use crate::tcp::table::{EPHEMERAL, EPHEMERAL_FIRST};
    let mut b = Bench::new(quiet());
    b.tcp.ports = 5 * EPHEMERAL;
    let mut round = || -> Vec<u16> {
        let ports = (0..EPHEMERAL).map(|_| b.tcp.find_port(|_, _| true).unwrap()).collect();
        let mut sorted = Vec::clone(&ports);
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(EPHEMERAL_FIRST..=u16::MAX), "each once");
        ports
    };
    let (one, two) = (round(), round());
    let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
    assert!(same < 20, "{same} at their place of before");
    for left in [EPHEMERAL_FIRST, 40_000, u16::MAX] {
        assert_eq!(b.tcp.find_port(|_, port| port == left), Ok(left));
    }
    assert_eq!(b.tcp.find_port(|_, _| false), Err(Error::AddrInUse));
}

/// H262: a restart repeats neither numbers nor timestamps nor ports nor places in tables, though its clock
/// starts where it did; with the same entropy all of them come again.
#[test]
fn a_restart_repeats_nothing() {
    let boot = |entropy: u8| {
        let mut b = Bench::new(quiet());
        let storage = Bench::storage(ManagedSlice::Owned(vec![]));
        b.tcp = Tcp::empty();
        b.tcp.settings.config = quiet();
        b.tcp.start(storage, 8, &mut Random::new([entropy; 32]));
        b.tuple.local_port = 0;
        b.key = Some(b.tcp.connect(b.tuple, b.interface, b.mtu, None, b.now, &mut b.pool).unwrap());
        let port = b.tcp.connection(b.key.unwrap()).unwrap().tuple.local_port;
        let syn = b.out().remove(0);
        let timestamp = syn.options.timestamps.unwrap().value;
        // The same tuple, too.
        b.tuple.local_port = 7;
        b.tcp.connect(b.tuple, b.interface, b.mtu, None, b.now, &mut b.pool).unwrap();
        b.out();
        (port, timestamp, b.iss, b.tcp.key.hash(&b.tuple))
    };
    let (one, two) = (boot(1), boot(2));
    assert_eq!(one, boot(1), "entropy decides, and nothing else");
    assert!(one.0 != two.0 && one.1 != two.1 && one.2 != two.2 && one.3 != two.3, "{one:?} {two:?}");
}

/// L13: two machines that go on from one snapshot open the same; with new keys they don't, and what stands goes on.
#[test]
fn clones_with_new_keys_have_nothing_in_common() {
    let clone = |entropy: Option<u8>| {
        let mut b = Bench::server();
        if let Some(entropy) = entropy {
            b.tcp.renew_keys(&mut Random::new([entropy; 32]));
        }
        assert_eq!(b.get(data(1, 1, b"goes on")), None);
        assert_eq!(b.read(9).unwrap(), b"goes on");
        let to = Tuple { local_port: 0, ..b.tuple };
        let opened = b.tcp.connect(to, b.interface, b.mtu, None, b.now, &mut b.pool).unwrap();
        let port = b.tcp.connection(opened).unwrap().tuple.local_port;
        b.out();
        let fixed = Tuple { local_port: 7, ..b.tuple };
        b.key = Some(b.tcp.connect(fixed, b.interface, b.mtu, None, b.now, &mut b.pool).unwrap());
        b.tuple = fixed;
        b.out();
        (port, b.iss)
    };
    let before = clone(None);
    assert_eq!(before, clone(None));
    let (one, two) = (clone(Some(1)), clone(Some(2)));
    assert!(
        one.0 != two.0 && one.1 != two.1 && before.0 != one.0 && before.1 != one.1,
        "{before:?} {one:?} {two:?}"
    );
}

/// H058, F12: a flood of SYNs fills the half-open places and nothing else: a connection that stands goes
/// on, and when the flood is over the next client is served.
#[test]
fn a_flood_of_syns_is_bounded() {
    let mut b = Bench::listening(without_cookies(), 3);
    b.get(syn());
    b.out();
    b.get(ack(1, 1));
    b.accept();
    let (port, iss) = (b.tuple.remote_port, b.iss);
    let mut answered = 0;
    for n in 0..5_000 {
        b.tuple.remote_port = 10_000 + n;
        b.get(syn());
        answered += b.out().len();
    }
    assert_eq!((answered, b.tcp.len(), b.pool.in_use()), (3, 4, 0));
    // Who has not answered for three seconds gives way, one for each new client.
    b.advance(3_100);
    for port in [1, 2] {
        (b.tuple.remote_port, b.iss) = (port, Seq(0));
        assert_eq!(b.get(syn()), None);
        assert!(b.out()[0].is(Flags::SYN | Flags::ACK));
        assert_eq!(b.tcp.len(), 4);
    }
    (b.tuple.remote_port, b.iss) = (port, iss);
    b.get(data(1, 1, b"goes on"));
    assert_eq!(b.read(9).unwrap(), b"goes on");
    b.advance(200_000);
    b.tuple.remote_port = 3;
    b.get(syn());
    assert!(b.out()[0].is(Flags::SYN | Flags::ACK));
}

/// RFC 6056 §3.2: port 0 stands for a free one of the ephemeral range, each time another.
#[test]
fn a_listener_on_any_port() {
    let mut b = Bench::new(quiet());
    let any = core::net::Ipv6Addr::UNSPECIFIED.into();
    let ports: std::collections::BTreeSet<u16> =
        (0..8).map(|_| b.tcp.listen(any, 0, 1, false).unwrap().1).collect();
    assert_eq!(ports.len(), 8);
    assert!(*ports.first().unwrap() >= 16_384, "{ports:?}");
    for port in ports {
        assert_eq!(b.tcp.listen(any, port, 1, false), Err(Error::AddrInUse));
    }
}

/// H083: an ICMP error about a SYN that did not go out yet is nobody's answer, even with the right number.
//= rfc5927#4.1
#[test]
fn an_error_about_what_was_not_sent() {
    use crate::tcp::connection::soft_error::SoftError;
    use crate::tcp::connection::tcb::Phase;
    let mut b = Bench::connecting(quiet());
    let key = b.key.unwrap();
    let Phase::SynSent(h) = &b.tcp.connection(key).unwrap().tcb.phase else { panic!() };
    let iss = h.iss;
    let refuse = |b: &mut Bench| {
        let outcome = b.tcp.on_icmp(key.index, iss, SoftError::Refused, b.now, &mut b.pool);
        b.note(outcome);
        b.connected()
    };
    assert_eq!(refuse(&mut b), Err(Error::WouldBlock));
    b.out();
    assert_eq!(refuse(&mut b), Err(Error::ConnectionRefused));
}

/// RFC 9293 §3.10.7.4: what challenges a reset in SYN-RECEIVED offers the window of the SYN-ACK, scaled as it will be.
//= rfc5961#3.2
#[test]
fn a_challenge_in_syn_received() {
    for scale in [None, Some(7)] {
        let mut b = Bench::listening(quiet(), 4);
        b.get(scale.map_or(syn(), |scale| syn().scale(scale)));
        let syn_ack = b.out().remove(0);
        let shift = syn_ack.options.window_scale.unwrap_or(0);
        assert_eq!(shift > 0, scale.is_some());
        b.get(rst(5));
        let [Reply::Ack { seq, ack, window, .. }] = b.replies[..] else { panic!("{:?}", b.replies) };
        assert_eq!((seq, ack, window), (b.iss + 1, PEER_ISS + 1, syn_ack.window >> shift));
    }
}
