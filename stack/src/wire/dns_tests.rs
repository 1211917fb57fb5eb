//! Names and messages of DNS, good and bad.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

/// A message with one question for `a` and one answer whose name, type and data are given.
fn message(answer: &[u8]) -> Vec<u8> {
    let mut message = std::vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
    message.extend_from_slice(answer);
    message
}

/// H152: the longest legal name (253 characters, labels of 63) fits; one more is refused by name, as are labels that are empty or too long,
/// and what is not ASCII.
#[test]
fn name_from_text_is_whole_or_invalid_input() {
    let label = "x".repeat(63);
    let longest = [&label[..], &label, &label, &"y".repeat(61)].join(".");
    assert_eq!(longest.len(), 253);
    let name = Name::new(&longest).unwrap();
    assert_eq!((name.to_string(), name.as_bytes().len()), (longest.clone(), NAME_MAX));
    assert_eq!(Name::new(&(longest.clone() + ".")).unwrap(), name);
    let refused = |text: &str| matches!(Name::new(text), Err(Error::InvalidInput(_)));
    assert!(refused(&(longest + "y")));
    assert!(refused(&"x".repeat(64)));
    for text in ["", ".", "a..b", ".a", "a..", "b\u{fc}cher.example", "a\n.b"] {
        assert!(refused(text), "{text:?}");
    }
    assert_eq!(Name::new("Example.ORG").unwrap(), Name::new("example.org.").unwrap());
    let localhost = Name::new("localhost").unwrap();
    assert!(Name::new("a.LocalHost").unwrap().is_in(&localhost) && localhost.is_in(&localhost));
    assert!(!Name::new("localhost.example").unwrap().is_in(&localhost));
    assert_eq!(
        Name::new("a").unwrap().join(&Name::new("lab.example").unwrap()).unwrap().to_string(),
        "a.lab.example"
    );
}

/// RFC 1035 §3.5, RFC 3596 §2.5.
#[test]
fn address_reversed_is_its_name() {
    let of = |text: &str| Name::reverse(text.parse().unwrap()).to_string();
    assert_eq!(of("192.0.2.10"), "10.2.0.192.in-addr.arpa");
    assert_eq!(of("10.0.255.107"), "107.255.0.10.in-addr.arpa");
    assert_eq!(of("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa");
    let v6 = of("2001:db8::567:89ab");
    assert_eq!(v6, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

/// H151, RFC 9267 §2: pointers at themselves, forward or in a circle, and names beyond 255 bytes, are none.
#[test]
fn name_with_bad_pointers_is_none() {
    let good = message(&[1, b'b', 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4]);
    let (name, end) = Name::read(&good, 19).unwrap();
    assert_eq!((name.to_string().as_str(), end), ("b.a", 23));
    for bad in [
        &[0xc0, 19][..],
        &[0xc0, 21, 0xc0, 19],
        &[1, b'b', 0xc0, 19],
        &[0xc0, 40],
        &[0x40, 1, 0],
        &[0xc0],
        &[3, b'a'],
    ] {
        assert!(Name::read(&message(bad), 19).is_none(), "{bad:?}");
        assert_eq!(DnsMessage::parse(&message(bad)).unwrap().records(19).count(), 0);
    }
    // Pieces of 64 bytes, each led to by the one before it: the fourth is too much.
    let mut chained = std::vec![0; 12];
    let mut starts = Vec::new();
    for piece in 0..5 {
        starts.push(chained.len());
        chained.push(63);
        chained.extend([b'x'; 63]);
        match piece {
            0 => chained.push(0),
            _ => chained.extend([0xc0, starts[piece - 1] as u8]),
        }
    }
    assert!(Name::read(&chained, starts[2]).is_some());
    assert!(Name::read(&chained, starts[3]).is_none());
}

/// RFC 1035 §4.1, RFC 2181 §8: a record is whole or the end; a TTL with its highest bit set is 0.
#[test]
fn record_cut_ends_the_list() {
    let whole = message(&[0xc0, 12, 0, 1, 0, 1, 0x80, 0, 0, 9, 0, 4, 1, 2, 3, 4]);
    let name = Name::new("A").unwrap();
    let parsed = DnsMessage::parse(&whole).unwrap();
    let (in_answer, record) = parsed.records(19).next().unwrap();
    assert!(in_answer && parsed.is_of(&record, &name) && !parsed.is_of(&record, &Name::new("b").unwrap()));
    assert_eq!((record.kind, record.ttl, parsed.data(&record)), (1, 0, &[1, 2, 3, 4][..]));
    assert_eq!(parsed.asks(&Name::new("a").unwrap(), RecordType::A), Some(19));
    assert_eq!(parsed.asks(&name, RecordType::A), None, "letter by letter");
    assert_eq!(parsed.asks(&Name::new("a").unwrap(), RecordType::Aaaa), None);
    for len in 0..whole.len() {
        let cut = DnsMessage::parse(&whole[..len]).map(|m| m.records(19).count());
        assert_eq!(cut, if len < 12 { Err(Drop::DnsMalformed) } else { Ok(0) }, "{len}");
    }
}

/// RFC 6891 §6.1.2: a query has one question and says which answers fit.
#[test]
fn query_is_one_question_with_opt() {
    let mut buf = [0xff; DNS_QUERY_MAX];
    let name = Name::new("example.org").unwrap();
    let len = write_query(&mut buf, 0x1234, (&name, RecordType::Aaaa), Some(1232));
    let text: String = buf[..len].iter().map(|b| std::format!("{b:02x}")).collect();
    assert_eq!(
        text,
        "123401000001000000000001076578616d706c65036f726700001c0001\
         0000290 4d0000000000000"
            .replace(' ', "")
    );
    let plain = write_query(&mut buf, 1, (&name, RecordType::A), None);
    assert_eq!((plain, buf[11]), (len - OPT_LEN, 0));
    let longest =
        Name::new(&["x".repeat(63), "x".repeat(63), "x".repeat(63), "y".repeat(61)].join(".")).unwrap();
    assert_eq!(write_query(&mut buf, 1, (&longest, RecordType::A), Some(1232)), DNS_QUERY_MAX);
}
