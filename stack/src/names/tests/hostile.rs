//! Answers that are malformed, too many or too late.

use super::*;

/// H151: an answer whose names point at themselves is as good as none: the next server is asked, and that is counted.
#[test]
fn answer_with_pointers_in_a_circle_gives_way() {
    let mut world = World::new(2, DnsConfig::DEFAULT);
    let id = world.start("www.example.org", A, 0);
    let sent = world.one(0);
    let mut answer = sent.answer(0, &[], 0);
    let at = answer.len() as u16;
    answer[7] = 1;
    answer.extend((0xc000 | at).to_be_bytes());
    answer.extend([0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
    assert_eq!(world.hear(&sent, &answer, 10), Err(Drop::DnsMalformed));
    let again = world.one(10);
    assert_ne!(again.to, sent.to);
    world
        .hear(&again, &again.answer(0, &[("www.example.org", 1, 9, std::vec![192, 0, 2, 1])], 0), 20)
        .unwrap();
    assert_eq!(world.result(id), Ok(std::vec!["192.0.2.1".to_string()]));
}

/// Ten thousand records besides: those of the additional section are not looked at, of those of the answer eight are kept, and that there were more
/// is counted.
#[test]
fn records_beside_the_answer_are_ignored() {
    for (count, is_answer) in [(1, false), (4000, true)] {
        let mut world = World::new(1, DnsConfig::DEFAULT);
        let id = world.start("a.example", A, 0);
        let sent = world.one(0);
        let own = ("a.example", 1, 60, std::vec![192, 0, 2, 1]);
        let mut truncated = sent.answer(0, &[], 0);
        truncated[2] |= 2;
        world.hear(&sent, &truncated, 10).unwrap();
        let mut long = sent.answer(0, &[own], 0);
        for n in 0..10_000_u16.min(if is_answer { 4000 } else { u16::MAX }) {
            let [high, low] = n.to_be_bytes();
            // The root's, or in the answer the same name's: 12 bytes and more.
            if is_answer {
                long.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, high, low]);
            } else if long.len() < 65_000 {
                long.extend([0, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0]);
            }
        }
        let field = if is_answer { 6 } else { 10 };
        long[field..field + 2].copy_from_slice(&if is_answer { 4001_u16 } else { 10_000 }.to_be_bytes());
        let (query, _) = world.resolver.next_long().unwrap();
        let about: (usize, Domains<'_>) = (1, &|_| None);
        let heard = world.resolver.on_long(query, &long, about, &mut world.woken, at(20));
        let found = world.result(id).unwrap();
        assert_eq!(found[0], "192.0.2.1");
        match is_answer {
            true => assert_eq!((heard, found.len()), (Err(Drop::DnsTooMany), 8)),
            false => assert_eq!((heard, found.len()), (Ok(()), count)),
        }
    }
}

/// H153: a server that takes longer than the first round gives it is heard in a later one, which is longer; answers that come too late are no answer
/// to the question that went out since.
#[test]
fn slow_server_is_heard_in_a_later_round() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let first = world.one(0);
    let record = ("a.example", 1, 60, std::vec![192, 0, 2, 1]);
    let second = world.one(1000);
    let late = first.answer(0, std::slice::from_ref(&record), 0);
    assert_eq!(world.hear(&first, &late, 1500), Err(Drop::UdpNoSocket), "to a port of before");
    assert_eq!(world.hear_from(second.to, second.port, &late, 1500), Err(Drop::DnsForeign));
    world.hear(&second, &second.answer(0, &[record], 0), 2500).unwrap();
    assert_eq!(world.result(id), Ok(std::vec!["192.0.2.1".to_string()]));
}
