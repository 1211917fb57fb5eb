//! Explicit congestion notification: what is agreed on, marked, told and done about it.

use super::*;
use crate::tcp::config::Ecn;
use crate::tcp::ecn_bytes::EcnBytes;

const SYN_ACK: Flags = Flags(0x12);
const ECE: Flags = Flags::ECE;
const CWR: Flags = Flags::CWR;

fn on() -> TcpConfig {
    TcpConfig { ecn: Ecn::On, ..quiet() }
}

/// The ACE field that a segment bears.
fn ace(out: &Out) -> u8 {
    out.flags.to_ace()
}

/// What we answer to a SYN with this ACE field.
fn answer(config: TcpConfig, asked: u8) -> u8 {
    let mut b = Bench::listening(config, 1);
    b.get(In { flags: Flags::SYN | Flags::ace(asked), ..syn() });
    let out = b.out();
    assert!(out.len() == 1 && out[0].flags.has(SYN_ACK) && out[0].mark == EcnCodepoint::NotEct);
    ace(&out[0])
}

/// A connection that the peer opened with this ACE field, and answered with `third`.
fn server(asked: u8, third: In<'_>) -> Bench {
    let mut b = Bench::listening(quiet(), 1);
    b.get(In { flags: Flags::SYN | Flags::ace(asked), ..syn() });
    b.out();
    b.get(third);
    b.accept();
    b
}

/// A connection of ours that the peer answered like this.
fn client(syn_ack: In<'_>) -> Bench {
    let mut b = Bench::connecting(on());
    assert_eq!(ace(&b.out()[0]), 0b111);
    b.get(syn_ack.mss(1460));
    b
}

fn classic_server() -> Bench {
    server(0b011, ack(1, 1))
}

fn accurate_server() -> Bench {
    server(0b111, In { flags: Flags::ACK | Flags::ace(0b010), ..ack(1, 1) })
}

/// An acknowledgment with this ACE field.
fn told<'a>(ack_of: u32, ace: u8) -> In<'a> {
    In { flags: Flags::ACK | Flags::ace(ace), ..ack(1, ack_of) }
}

/// T08: we never ask unless told to, answer by default, and do neither when it is off.
//= rfc9293#3.8.2 SHLD-8
//= rfc3168#6.1.1
#[test]
fn who_asks_and_who_answers() {
    for ecn in [Ecn::Off, Ecn::WhenAsked] {
        let mut b = Bench::connecting(TcpConfig { ecn, ..quiet() });
        assert_eq!(ace(&b.out()[0]), 0);
    }
    let off = TcpConfig { ecn: Ecn::Off, ..quiet() };
    for asked in 0..8 {
        assert_eq!(answer(off, asked), 0);
    }
    for config in [quiet(), on()] {
        assert_eq!(answer(config, 0), 0);
        assert_eq!(answer(config, 0b011), 0b001, "RFC 3168");
        for asked in [1, 2, 4, 5, 6, 7] {
            assert_eq!(answer(config, asked), 0b010, "RFC 9768 §3.1.3");
        }
    }
}

/// T08: every answer to a SYN of ours, and what we then agree on.
//= rfc9768#3.1.2
#[test]
fn what_answers_mean() {
    for answer in 0..8 {
        let mut b = client(In { flags: SYN_ACK | Flags::ace(answer), ..segment(SYN_ACK, 0, 1) });
        let info = b.info();
        let expected = match answer {
            0b000 | 0b111 => (false, false),
            0b001 | 0b101 => (true, false),
            _ => (true, true),
        };
        assert_eq!((info.ecn, info.accurate_ecn), expected, "{answer:#b}");
        b.out();
        b.write(b"x").unwrap();
        let is_marked = b.out()[0].mark == EcnCodepoint::Ect0;
        assert_eq!(is_marked, matches!(answer, 0b001 | 0b101 | 0b010), "our SYN bore no mark: {answer:#b}");
    }
}

/// T08: RFC 3168's form alone, where that is asked for.
//= rfc3168#6.1.1
#[test]
fn the_classic_form_alone() {
    let classic = TcpConfig { ecn: Ecn::Classic, ..quiet() };
    for asked in 0..8 {
        assert_eq!(answer(classic, asked), if asked & 0b011 == 0b011 { 0b001 } else { 0 }, "{asked:#b}");
    }
    for answer in 0..8 {
        let mut b = Bench::connecting(classic);
        assert_eq!(ace(&b.out()[0]), 0b011);
        b.get(In { flags: SYN_ACK | Flags::ace(answer), ..segment(SYN_ACK, 0, 1) }.mss(1460));
        let info = b.info();
        assert_eq!((info.ecn, info.accurate_ecn), (matches!(answer, 0b001 | 0b101), false), "{answer:#b}");
    }
    let mut b = Bench::connecting(classic);
    b.out();
    let again = b.advance(8_000);
    assert_eq!(again.iter().map(|(_, o)| ace(o)).collect::<Vec<_>>(), [0b011, 0, 0]);
}

/// T08: in a simultaneous open both SYNs ask, and each is answered as RFC 3168 has it.
//= rfc3168#6.1.1
#[test]
fn both_ask_at_once() {
    for (ecn, asked, agreed) in [
        (Ecn::WhenAsked, 0b011, true),
        (Ecn::WhenAsked, 0b111, true),
        (Ecn::WhenAsked, 0, false),
        (Ecn::Off, 0b011, false),
        (Ecn::Classic, 0b011, true),
        (Ecn::On, 0b111, true),
        (Ecn::On, 0, false),
    ] {
        let mut b = Bench::connecting(TcpConfig { ecn, ..quiet() });
        b.out();
        b.get(In { flags: Flags::SYN | Flags::ace(asked), ..syn() });
        let out = b.out();
        assert!(
            out[0].is(SYN_ACK | if agreed { ECE } else { Flags::default() }),
            "{ecn:?} {asked:#b}: {out:?}"
        );
        b.get(ack(1, 1));
        let info = b.info();
        assert_eq!((info.ecn, info.accurate_ecn), (agreed, false), "{ecn:?} {asked:#b}");
        b.write(b"x").unwrap();
        assert_eq!(b.out()[0].mark == EcnCodepoint::Ect0, agreed);
    }
}

/// T08: two SYNs ask; if both are lost, the third does not. An answer is good all the same.
//= rfc9768#3.1.4.1
//= rfc3168#6.1.1.1
#[test]
fn a_syn_that_gets_no_answer_stops_asking() {
    let mut b = Bench::connecting(on());
    assert_eq!(ace(&b.out()[0]), 0b111);
    let again = b.advance(8_000);
    assert_eq!(again.iter().map(|(_, o)| ace(o)).collect::<Vec<_>>(), [0b111, 0, 0]);
    let mut b = Bench::listening(quiet(), 1);
    b.get(In { flags: Flags::SYN | CWR | ECE, ..syn() });
    assert_eq!(ace(&b.out()[0]), 0b001);
    let again = b.advance(8_000);
    assert_eq!(again.iter().map(|(_, o)| ace(o)).collect::<Vec<_>>(), [0b001, 0, 0]);
    b.get(ack(1, 1));
    b.accept();
    b.write(b"x").unwrap();
    assert_eq!(b.out()[0].mark, EcnCodepoint::NotEct, "nobody knows which SYN-ACK got through");
}

/// T08: new payload is ECN-capable; SYNs, acknowledgments, a FIN alone, probes and what is sent again
/// are not.
//= rfc3168#6.1.4
//= rfc3168#6.1.5
//= rfc3168#6.1.6
#[test]
fn only_new_text_is_capable() {
    for mut b in [classic_server(), accurate_server()] {
        b.write(&pattern(3000)).unwrap();
        assert!(b.out().iter().all(|o| o.mark == EcnCodepoint::Ect0));
        let again = b.advance(300);
        assert_eq!((again[0].1.seq, again[0].1.mark), (1, EcnCodepoint::NotEct));
        b.get(ack(1, 3001).win(0));
        b.get(data(1, 3001, b"in").win(0));
        b.advance(50);
        b.write(b"more").unwrap();
        let probe = b.advance(4000);
        assert!(probe.iter().any(|(_, o)| o.kind == PlanKind::Probe));
        assert!(probe.iter().all(|(_, o)| o.mark == EcnCodepoint::NotEct));
    }
    let mut b = classic_server();
    b.shutdown();
    let out = b.out();
    assert!(out[0].is(Flags::ACK | Flags::FIN) && out[0].mark == EcnCodepoint::NotEct);
}

/// T08: without congestion control nothing would slow down.
//= rfc3168#5
#[test]
fn nothing_is_marked_that_would_not_slow_down() {
    let config = TcpConfig { congestion: crate::tcp::Congestion::None, ..quiet() };
    let mut b = Bench::listening(config, 1);
    b.get(In { flags: Flags::SYN | CWR | ECE, ..syn() });
    assert_eq!(ace(&b.out()[0]), 0b001);
    b.get(ack(1, 1));
    b.accept();
    b.write(b"x").unwrap();
    assert_eq!(b.out()[0].mark, EcnCodepoint::NotEct);
}

/// T08: a mark is told with every acknowledgment until CWR comes, and at once.
//= rfc3168#6.1.3
#[test]
fn ece_until_cwr() {
    let mut b = classic_server();
    b.get(data(1, 1, b"a").mark(EcnCodepoint::Ect0));
    b.get(data(2, 1, b"b").mark(EcnCodepoint::Ce));
    assert!(b.out()[0].is(Flags::ACK | ECE));
    b.get(data(3, 1, b"c").mark(EcnCodepoint::Ect0));
    assert!(b.advance(50)[0].1.is(Flags::ACK | ECE));
    b.write(b"x").unwrap();
    assert!(b.out()[0].is(Flags::ACK | ECE), "with payload too");
    b.get(In { flags: Flags::ACK | CWR, ..data(4, 2, b"d").mark(EcnCodepoint::Ect0) });
    assert!(b.advance(50)[0].1.is(Flags::ACK));
    b.get(In { flags: Flags::ACK | CWR, ..data(5, 2, b"e").mark(EcnCodepoint::Ce) });
    assert!(b.out()[0].is(Flags::ACK | ECE), "the mark is newer than the CWR");
    assert_eq!(b.info().marks_received, 2);
    let mut b = Bench::server();
    b.get(data(1, 1, b"a").mark(EcnCodepoint::Ce));
    assert!(b.advance(50)[0].1.is(Flags::ACK), "nobody asked for it");
}

/// T08: ECE halves the window, once for what was in flight, and CWR goes with the next new payload, on
/// one segment.
//= rfc3168#6.1.2
#[test]
fn one_reduction_in_a_round() {
    let mut b = classic_server();
    b.write(&pattern(200_000)).unwrap();
    assert_eq!(b.out().len(), 10);
    b.get(In { flags: Flags::ACK | ECE, ..ack(1, 1 + MSS) });
    let reduced = b.info().cwnd;
    assert!((6 * MSS..10 * MSS).contains(&reduced) || reduced == 5 * MSS, "{reduced}");
    for n in 2..=10 {
        b.get(In { flags: Flags::ACK | ECE, ..ack(1, 1 + n * MSS) });
    }
    assert_eq!(b.info().ecn_reductions, 1, "all of it was sent before the reduction");
    let out = b.out();
    assert!(out[0].flags.has(CWR) && out[0].mark == EcnCodepoint::Ect0 && out[0].len() == MSS);
    assert!(out.len() > 1 && out[1..].iter().all(|o| !o.flags.has(CWR)));
    b.get(In { flags: Flags::ACK | ECE, ..ack(1, 1 + 11 * MSS) });
    assert_eq!(b.info().ecn_reductions, 2, "of the next round");
}

/// T08: a loss has reduced the window already: marks of the same round say nothing more, and the peer
/// is told by CWR.
//= rfc3168#6.1.2
#[test]
fn a_loss_counts_as_the_reduction() {
    let mut b = classic_server();
    b.write(&pattern(200_000)).unwrap();
    b.out();
    for _ in 0..3 {
        b.get(ack(1, 1));
    }
    b.out();
    b.get(In { flags: Flags::ACK | ECE, ..ack(1, 1 + 10 * MSS) });
    assert_eq!(b.info().ecn_reductions, 0);
    let out = b.out();
    assert!(out[0].seq == 1 + 10 * MSS && out[0].flags.has(CWR), "{:?}", out[0].flags);
}

/// T08: a path that loses what is marked is noticed by two timeouts with nothing got through at once
/// between them.
#[test]
fn a_path_that_loses_what_is_marked() {
    let mut b = classic_server();
    let mut at = 1;
    for expected in [EcnCodepoint::Ect0, EcnCodepoint::Ect0, EcnCodepoint::NotEct] {
        b.write(&[7; 100]).unwrap();
        let out = b.out();
        assert_eq!((out[0].seq, out[0].mark), (at, expected));
        if expected == EcnCodepoint::Ect0 {
            assert_eq!(b.advance(500)[0].1.mark, EcnCodepoint::NotEct);
        }
        at += 100;
        b.get(ack(1, at));
    }
    assert!(b.info().ecn, "marks of the peer's are still told");
}

/// T08: the SYN-ACK says how the SYN arrived, and carries the option with its initial counts.
//= rfc9768#3.1.1
//= rfc9768#3.2.1
#[test]
fn an_accurate_answer() {
    for (mark, expected) in [
        (EcnCodepoint::NotEct, 0b010),
        (EcnCodepoint::Ect1, 0b011),
        (EcnCodepoint::Ect0, 0b100),
        (EcnCodepoint::Ce, 0b110),
    ] {
        let mut b = Bench::listening(quiet(), 1);
        b.get(In { flags: Flags::SYN | Flags::ace(0b111), ..syn().mark(mark) });
        let out = b.out();
        assert_eq!(ace(&out[0]), expected);
        assert_eq!(out[0].options.ecn_bytes, Some(EcnBytes { e0: 1, ce: 0, e1: 1 }));
        let again = b.advance(4_000);
        assert_eq!(again[0].1.options.ecn_bytes, None, "it may be what some box dislikes");
    }
}

/// T08: the client's first acknowledgment says how the SYN-ACK arrived, before any payload; a repeated
/// SYN-ACK is answered in the same way.
//= rfc9768#3.2.2.1
#[test]
fn an_accurate_third_segment() {
    for (mark, expected) in [
        (EcnCodepoint::NotEct, 0b010),
        (EcnCodepoint::Ect1, 0b011),
        (EcnCodepoint::Ect0, 0b100),
        (EcnCodepoint::Ce, 0b110),
    ] {
        let mut b = Bench::connecting(on());
        b.out();
        b.write(b"text").unwrap();
        let syn_ack = In { flags: SYN_ACK | Flags::ace(0b010), ..segment(SYN_ACK, 0, 1).mss(1460) };
        b.get(syn_ack.mark(mark));
        let out = b.out();
        assert_eq!((out[0].kind, ace(&out[0]), out[0].len()), (PlanKind::Ack, expected, 0));
        let count = if mark == EcnCodepoint::Ce { 6 } else { 5 };
        assert_eq!((out[1].len(), ace(&out[1])), (4, count), "a counter from now on");
        b.get(syn_ack.mark(EcnCodepoint::NotEct));
        assert_eq!(ace(&b.out()[0]), 0b010);
    }
}

/// T08: what the third segment says of our SYN-ACK, and a path that gives marks or takes flags away.
//= rfc9768#3.2.2.1
//= rfc9768#3.2.2.3
//= rfc9768#3.2.2.4
#[test]
fn an_accurate_server_and_its_path() {
    for third in 0..8 {
        let mut b = server(0b111, told(1, third));
        b.write(b"x").unwrap();
        let out = b.out();
        let is_intact = matches!(third, 0b010 | 0b001 | 0b101 | 0b111);
        assert_eq!(out[0].mark == EcnCodepoint::Ect0, is_intact, "{third:#b}");
        assert_eq!(ace(&out[0]), 5, "feedback goes on in any case");
    }
    let mut b = accurate_server();
    b.write(b"x").unwrap();
    b.out();
    b.get(told(2, 0));
    b.write(b"y").unwrap();
    assert_eq!(b.out()[0].mark, EcnCodepoint::NotEct, "the field was zeroed");
    assert_eq!(b.info().ecn_reductions, 0);
}

/// T08: marks are counted, at once and with wrap; the option counts bytes.
//= rfc9768#3.2.2.2
//= rfc9768#3.2.2.5.1
#[test]
fn an_accurate_receiver_counts() {
    let mut b = accurate_server();
    let mut at = 1;
    for n in 1..=20u8 {
        b.get(In { flags: Flags::ACK | Flags::ace(5), ..data(at, 1, &[n; 10]).mark(EcnCodepoint::Ce) });
        at += 10;
        let out = b.out();
        assert_eq!((out.len(), ace(&out[0])), (1, (5 + n) & 7));
        let bytes = EcnBytes { e0: 1, ce: u32::from(n) * 10, e1: 1 };
        assert_eq!(out[0].options.ecn_bytes, Some(bytes));
    }
    b.get(In { flags: Flags::ACK | Flags::ace(5), ..data(at, 1, &[0; 10]).mark(EcnCodepoint::Ect0) });
    let out = b.advance(50);
    let bytes = EcnBytes { e0: 11, ce: 200, e1: 1 };
    assert_eq!(out[0].1.options.ecn_bytes, Some(bytes), "a second time, should the first be lost");
    b.get(In { flags: Flags::ACK | Flags::ace(5), ..data(at + 10, 1, &[0; 10]).mark(EcnCodepoint::Ect0) });
    assert_eq!(b.advance(50)[0].1.options.ecn_bytes, None);
}

/// T08: no segment of a long one may lose a bit of the counter: with CWR in it, payload goes segment by
/// segment.
#[test]
fn a_counter_with_the_bit_of_cwr() {
    let mut b = accurate_server();
    b.get(In { flags: Flags::ACK | Flags::ace(5), ..data(1, 1, b"x").mark(EcnCodepoint::Ce) });
    b.write(&pattern(5000)).unwrap();
    let index = b.tcp.next_ready(b.interface).unwrap();
    let plan = b.tcp.plan(index, 65_535, b.now, &b.pool).unwrap();
    assert_eq!((plan.len, plan.flags.to_ace()), (MSS, 6));
}

/// T08: the peer's counter reduces the window when it moves, once in a round, across its wrap, and by
/// its bytes when eight marks look like none.
//= rfc9768#3.2.2.2
//= rfc9768#3.2.2.5.2
#[test]
fn an_accurate_sender_reacts() {
    let mut b = accurate_server();
    b.write(&pattern(400_000)).unwrap();
    let sent = b.out().len() as u32;
    b.get(told(1 + MSS, 5));
    assert_eq!(b.info().ecn_reductions, 0);
    b.get(told(1 + 2 * MSS, 7));
    b.get(told(1 + 3 * MSS, 0));
    assert_eq!(b.info().ecn_reductions, 1, "one round");
    b.get(told(1 + sent * MSS, 0));
    let next: u32 = b.out().iter().map(Out::len).sum();
    let end = 1 + sent * MSS + next;
    let mut wrapped = told(end, 0);
    wrapped.options.ecn_bytes = Some(EcnBytes { e0: 1, ce: 8 * MSS, e1: 1 });
    b.get(wrapped);
    assert_eq!(b.info().ecn_reductions, 2);
    let next: u32 = b.out().iter().map(Out::len).sum();
    let mut back = told(end + next, 0);
    back.options.ecn_bytes = Some(EcnBytes { e0: 1, ce: 7 * MSS, e1: 1 });
    b.get(back);
    assert_eq!(b.info().ecn_reductions, 2, "a counter never goes back");
    let out = b.out();
    assert!(!out.is_empty() && out.iter().all(|o| o.mark == EcnCodepoint::Ect0 && ace(o) == 5));
}
