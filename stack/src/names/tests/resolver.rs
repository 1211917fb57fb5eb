//! The resolver in virtual time, beside servers that say what a test makes them say.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

mod hostile;
#[cfg(feature = "mdns")]
mod link;

const A: RecordType = RecordType::A;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A resolver with servers 10.0.0.1 and so on.
struct World {
    resolver: Resolver<'static>,
    servers: Servers,
    random: Random,
    woken: Woken,
    search: Vec<&'static str>,
}

/// A question as it was sent.
#[derive(Clone)]
struct Sent {
    to: SocketAddr,
    port: u16,
    bytes: Vec<u8>,
}

impl Sent {
    fn name(&self) -> Name {
        Name::read(&self.bytes, 12).unwrap().0
    }

    /// An answer with this code and these records: name, type, TTL, data, of which `authority` are no answers.
    fn answer(&self, code: u8, records: &[(&str, u16, u32, Vec<u8>)], authority: u16) -> Vec<u8> {
        let end = Name::read(&self.bytes, 12).unwrap().1 + 4;
        let mut message = self.bytes[..end].to_vec();
        message[2..12].copy_from_slice(&[
            0x81,
            0x80 | code,
            0,
            1,
            0,
            records.len() as u8 - authority as u8,
            0,
            authority as u8,
            0,
            0,
        ]);
        for (owner, kind, ttl, data) in records {
            message.extend(name(owner).as_bytes());
            message.extend(kind.to_be_bytes());
            message.extend([0, 1]);
            message.extend(ttl.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        message
    }
}

/// The start of a zone that says how long there is nothing else.
fn soa(ttl: u32, minimum: u32) -> (&'static str, u16, u32, Vec<u8>) {
    let mut data = std::vec![0; 22];
    data[18..].copy_from_slice(&minimum.to_be_bytes());
    ("example", 6, ttl, data)
}

fn alias(to: &str) -> Vec<u8> {
    name(to).as_bytes().to_vec()
}

impl World {
    fn new(servers: u8, config: DnsConfig) -> World {
        let resolver = Resolver::new(config, NamesStorage::heap(), [7; 16]).0;
        let server = |n: u8| (SocketAddr::new([10, 0, 0, n].into(), 53), None);
        let servers = (1..=servers).map(server).collect();
        World { resolver, servers, random: Random::new([9; 32]), woken: Woken::new(), search: Vec::new() }
    }

    fn start(&mut self, text: &str, kind: RecordType, ms: u64) -> QueryId {
        let search = self.search.clone();
        let domains = move |n: usize| search.get(n).map(|text| name(text));
        let is_short = !self.search.is_empty();
        self.resolver.start((&name(text), kind), (is_short, false), &domains, at(ms)).unwrap()
    }

    /// What is sent at that time.
    fn sent(&mut self, ms: u64) -> Vec<Sent> {
        let mut buf = [0; DNS_QUERY_MAX];
        let mut all = Vec::new();
        while let Some(o) =
            self.resolver.next_send(&self.servers, &mut buf, (&mut self.random, &mut self.woken), at(ms))
        {
            all.push(Sent { to: o.to, port: o.port, bytes: buf[..o.len].to_vec() });
        }
        all
    }

    fn one(&mut self, ms: u64) -> Sent {
        let mut all = self.sent(ms);
        assert_eq!(all.len(), 1, "at {ms}");
        all.remove(0)
    }

    fn hear(&mut self, sent: &Sent, message: &[u8], ms: u64) -> Result<(), Drop> {
        self.hear_from(sent.to, sent.port, message, ms)
    }

    fn hear_from(&mut self, from: SocketAddr, port: u16, message: &[u8], ms: u64) -> Result<(), Drop> {
        let search = self.search.clone();
        let domains = move |n: usize| search.get(n).map(|text| name(text));
        let Some(query) = self.resolver.by_port(port) else { return Err(Drop::UdpNoSocket) };
        let about: (usize, Domains<'_>) = (self.servers.len(), &domains);
        self.resolver.on_datagram(query, (from, message), about, &mut self.woken, at(ms))
    }

    fn result(&mut self, id: QueryId) -> Result<Vec<String>, Error> {
        let (records, _) = self.resolver.result(id, None)?;
        let all = records.addresses().map(|a| a.to_string());
        Ok(all.chain(records.names().map(|n| n.to_string())).collect())
    }

    /// The deadlines at which something is sent until the look-up is over, with the last byte of the server asked.
    fn schedule(&mut self, id: QueryId) -> (Vec<(u64, u8)>, u64, Error) {
        let mut all = Vec::new();
        let mut now = 0;
        loop {
            for sent in self.sent(now) {
                let IpAddr::V4(to) = sent.to.ip() else { panic!() };
                all.push((now, to.octets()[3]));
            }
            if let Err(error) = self.result(id)
                && error != Error::WouldBlock
            {
                return (all, now, error);
            }
            now = self.resolver.deadline().unwrap().millis();
        }
    }
}

/// H146, H148: only the server that was asked, to the port that was used, with number, name (letter by letter) and type of the question; the records
/// may spell the name as they like.
//= rfc5452#9.1
#[test]
fn answer_to_another_question_is_ignored() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("www.example.org", A, 0);
    let sent = world.one(0);
    let good = sent.answer(0, &[("WWW.example.ORG", 1, 60, std::vec![192, 0, 2, 1])], 0);
    let foreign = Err(Drop::DnsForeign);
    assert_eq!(world.hear_from("10.0.0.2:53".parse().unwrap(), sent.port, &good, 1), foreign);
    assert_eq!(world.hear_from("10.0.0.1:54".parse().unwrap(), sent.port, &good, 1), foreign);
    assert_eq!(world.hear_from(sent.to, sent.port ^ 1, &good, 1), Err(Drop::UdpNoSocket));
    // Number; opcode and direction; two questions; a letter's case, another letter; type; class.
    for (byte, bits) in
        [(0, 1), (1, 0x80), (2, 0x80), (2, 0x08), (5, 3), (13, 0x20), (14, 1), (30, 1), (32, 2)]
    {
        let mut bad = good.clone();
        bad[byte] ^= bits;
        assert_eq!(world.hear(&sent, &bad, 1), foreign, "{byte}");
    }
    assert_eq!(world.hear(&sent, &good[..11], 1), Err(Drop::DnsMalformed));
    assert_eq!(world.result(id), Err(Error::WouldBlock));
    assert_eq!(world.hear(&sent, &good, 1), Ok(()));
    assert_eq!(world.result(id).unwrap(), ["192.0.2.1"]);
    assert_eq!(world.hear(&sent, &good, 1), Err(Drop::UdpNoSocket), "it is over");
}

/// H155, RFC 5452 §9.2: numbers, ports and letters differ from question to question; the last round is in lower case.
#[test]
fn questions_are_not_alike() {
    let mut world = World::new(1, DnsConfig { limit: Duration::from_secs(60), ..DnsConfig::DEFAULT });
    let mut all: Vec<_> = (0..30)
        .map(|_| {
            world.start("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", A, 0);
            world.one(0)
        })
        .collect();
    let count = |of: &dyn Fn(&Sent) -> u64| {
        let mut all: Vec<u64> = all.iter().map(of).collect();
        all.sort();
        all.dedup();
        all.len()
    };
    assert_eq!(count(&|s| s.port.into()), 30, "H155");
    assert!(count(&|s| u16::from_be_bytes([s.bytes[0], s.bytes[1]]).into()) > 28);
    assert!(count(&|s| s.bytes[13..53].iter().fold(0, |bits, b| bits << 1 | u64::from(b & 0x20 != 0))) > 28);
    all.clear();
    assert_eq!(world.sent(1000).len(), 30);
    assert!(world.sent(3000).iter().all(|s| s.bytes[13..53].iter().all(|b| *b == b'a')));
}

/// H153, RFC 1035 §4.2.1: one second for each server of the first round, twice as long in the next, five seconds in all.
#[test]
fn silent_servers_are_asked_in_rounds() {
    let mut world = World::new(2, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    assert_eq!(
        world.schedule(id),
        (std::vec![(0, 1), (1000, 2), (2000, 1), (4000, 2)], 5000, Error::TimedOut)
    );
    let mut world = World::new(1, DnsConfig { limit: Duration::from_secs(60), ..DnsConfig::DEFAULT });
    let id = world.start("a.example", A, 0);
    assert_eq!(world.schedule(id), (std::vec![(0, 1), (1000, 1), (3000, 1)], 7000, Error::TimedOut));
    // None at all.
    let mut world = World::new(0, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    assert_eq!(world.schedule(id), (std::vec![], 0, Error::NoNameServer));
}

/// H153: a server that was silent once is not the first that the next name waits for.
#[test]
fn server_that_answers_is_asked_first() {
    let mut world = World::new(3, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    world.one(0);
    let second = world.one(1000);
    world.hear(&second, &second.answer(0, &[("a.example", 1, 60, std::vec![1, 2, 3, 4])], 0), 1001).unwrap();
    assert_eq!(world.result(id).unwrap(), ["1.2.3.4"]);
    world.start("b.example", A, 2000);
    assert_eq!(world.one(2000).to, second.to);
}

/// H147: SERVFAIL, REFUSED and what is malformed lead to the next server at once; only when all have failed does the look-up.
#[test]
fn failing_server_gives_way_to_the_next() {
    for code in [2, 5, 9] {
        let mut world = World::new(2, DnsConfig::DEFAULT);
        let id = world.start("a.example", A, 0);
        let first = world.one(0);
        world.hear(&first, &first.answer(code, &[], 0), 5).unwrap();
        let second = world.one(5);
        assert_ne!(second.to, first.to);
        world.hear(&second, &second.answer(code, &[], 0), 9).unwrap();
        assert_eq!(world.result(id), Err(Error::NameServerFailed));
    }
    let mut world = World::new(2, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let first = world.one(0);
    let bad = first.answer(0, &[("a.example", 1, 60, std::vec![1, 2, 3])], 0);
    assert_eq!(world.hear(&first, &bad, 5), Err(Drop::DnsMalformed));
    world.one(5);
    // The port of the second is closed.
    world.resolver.on_failure(id.index, 2, &mut world.woken);
    assert_eq!(world.result(id), Err(Error::NameServerFailed));
}

/// RFC 6891 §7: a server that does not know EDNS is asked without.
#[test]
fn server_without_edns_is_asked_without() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let first = world.one(0);
    assert_eq!(first.bytes[11], 1);
    world.hear(&first, &first.answer(1, &[], 0), 5).unwrap();
    let second = world.one(5);
    assert_eq!((second.bytes[11], second.to), (0, first.to));
    world.hear(&second, &second.answer(1, &[], 0), 6).unwrap();
    assert_eq!(world.result(id), Err(Error::NameServerFailed));
}

/// H154: with other servers every question is put anew, to them.
#[test]
fn question_goes_to_new_servers() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    world.one(0);
    world.servers = [(SocketAddr::new([10, 0, 0, 9].into(), 53), None)].into_iter().collect();
    world.resolver.on_servers_changed();
    let sent = world.one(300);
    assert_eq!(sent.to.ip(), IpAddr::from([10, 0, 0, 9]));
    world.hear(&sent, &sent.answer(0, &[("a.example", 1, 60, std::vec![1, 2, 3, 4])], 0), 301).unwrap();
    assert_eq!(world.result(id).unwrap(), ["1.2.3.4"]);
}

/// H156, RFC 2181 §8: an answer is kept for as long as it says, and a day at most.
#[test]
fn answer_is_kept_for_its_ttl() {
    for (ttl, good, over) in [(60, 59_000, 60_001), (u32::MAX / 2, 86_399_000, 86_400_001)] {
        let mut world = World::new(1, DnsConfig::DEFAULT);
        world.start("a.example", A, 0);
        let sent = world.one(0);
        world.hear(&sent, &sent.answer(0, &[("a.example", 1, ttl, std::vec![1, 2, 3, 4])], 0), 0).unwrap();
        let id = world.start("A.Example", A, good);
        assert_eq!(world.result(id).unwrap(), ["1.2.3.4"]);
        world.start("a.example", A, over);
        world.one(over);
    }
    // A TTL of nothing, or with its highest bit.
    for ttl in [0, 1 << 31] {
        let mut world = World::new(1, DnsConfig::DEFAULT);
        let id = world.start("a.example", A, 0);
        let sent = world.one(0);
        world.hear(&sent, &sent.answer(0, &[("a.example", 1, ttl, std::vec![1, 2, 3, 4])], 0), 0).unwrap();
        assert_eq!(world.result(id).unwrap(), ["1.2.3.4"]);
        world.start("a.example", A, 0);
        world.one(0);
    }
}

/// H156, RFC 2308 §5: that there is none is kept for as long as the zone says, and five minutes at most; for all types if there is no such name.
#[test]
fn absence_is_kept_as_the_zone_says() {
    for (code, zone, other) in [
        (3, Some((60, 30)), true),
        (0, Some((20, 900)), false),
        (3, Some((9999, 9999)), true),
        (3, None, false),
    ] {
        let mut world = World::new(1, DnsConfig::DEFAULT);
        let id = world.start("a.example", A, 0);
        let sent = world.one(0);
        let records: Vec<_> = zone.into_iter().map(|(ttl, minimum)| soa(ttl, minimum)).collect();
        world.hear(&sent, &sent.answer(code, &records, records.len() as u16), 0).unwrap();
        let expected = if code == 3 { Err(Error::NameNotFound) } else { Ok(Vec::new()) };
        assert_eq!(world.result(id), expected);
        let seconds = zone.map_or(0, |(ttl, minimum): (u32, u32)| u64::from(ttl.min(minimum).min(300)));
        let zone = zone.map(|_| ());
        if zone.is_some() {
            let id = world.start("a.example", A, seconds * 1000 - 1);
            assert_eq!(world.result(id), expected);
            world.start("a.example", RecordType::Aaaa, 1);
            assert_eq!(world.sent(1).is_empty(), other, "for all types");
        }
        world.start("a.example", A, seconds * 1000);
        assert!(!world.sent(seconds * 1000).is_empty());
    }
}

/// H156: a full cache gives the place of what ends first.
#[test]
fn cache_is_bounded() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let learn = |world: &mut World, n: u32| {
        let host = std::format!("h{n}.example");
        let id = world.start(&host, A, 0);
        let sent = world.sent(0);
        if let Some(sent) = sent.first() {
            world.hear(sent, &sent.answer(0, &[(&host, 1, 1000 - n, std::vec![1, 2, 3, 4])], 0), 0).unwrap();
        }
        drop(world.resolver.let_go(id));
        sent.is_empty()
    };
    assert!((0..65).all(|n| !learn(&mut world, n)));
    assert!(learn(&mut world, 0) && learn(&mut world, 62) && !learn(&mut world, 63), "64 are kept");
}

/// RFC 1034 §3.6.2: aliases are followed, in whatever order they come, into other answers if need be; the least TTL counts.
#[test]
fn aliases_lead_to_the_address() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let sent = world.one(0);
    let chain = [
        ("c.example", 1, 900, std::vec![1, 2, 3, 4]),
        ("B.example", 5, 30, alias("C.example")),
        ("a.example", 5, 900, alias("b.example")),
        ("other.example", 1, 900, std::vec![6, 6, 6, 6]),
    ];
    world.hear(&sent, &sent.answer(0, &chain, 0), 0).unwrap();
    assert_eq!(world.result(id).unwrap(), ["1.2.3.4"]);
    assert_eq!(world.resolver.result(id, None).unwrap().1.to_string(), "c.example", "the canonical name");
    world.start("a.example", A, 29_999);
    assert!(world.sent(29_999).is_empty());
    world.start("a.example", A, 30_000);
    assert_eq!(world.sent(30_000).len(), 1);
    // The end is another server's to say.
    let id = world.start("x.example", A, 40_000);
    let sent = world.one(40_000);
    world.hear(&sent, &sent.answer(0, &[("x.example", 5, 9, alias("y.example"))], 0), 40_000).unwrap();
    let next = world.one(40_000);
    assert_eq!(next.name(), name("y.example"));
    world.hear(&next, &next.answer(0, &[("y.example", 1, 900, std::vec![5, 6, 7, 8])], 0), 40_000).unwrap();
    assert_eq!(world.result(id).unwrap(), ["5.6.7.8"]);
    world.start("x.example", A, 49_001);
    assert_eq!(world.sent(49_001).len(), 1, "for as long as the alias is good");
}

/// H151: aliases in a circle end, whether in one answer or in many.
#[test]
fn aliases_in_a_circle_end() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let sent = world.one(0);
    let circle = [("a.example", 5, 9, alias("b.example")), ("b.example", 5, 9, alias("a.example"))];
    assert_eq!(world.hear(&sent, &sent.answer(0, &circle, 0), 0), Err(Drop::DnsMalformed));
    assert_eq!(world.result(id), Err(Error::NameServerFailed));
    let id = world.start("a.example", A, 0);
    let mut asked = 0;
    while world.result(id) == Err(Error::WouldBlock) {
        let sent = world.one(0);
        let owner = sent.name().to_string();
        let other = if owner.eq_ignore_ascii_case("a.example") { "b.example" } else { "a.example" };
        let _ = world.hear(&sent, &sent.answer(0, &[(&owner, 5, 9, alias(other))], 0), 0);
        asked += 1;
    }
    assert_eq!((asked, world.result(id)), (9, Err(Error::NameServerFailed)));
}

/// A short name is looked for in each domain and then as it is; one with dots the other way round. That it exists without an address ends it.
#[test]
fn short_name_is_searched() {
    let no = |world: &mut World, sent: &Sent| {
        world.hear(sent, &sent.answer(3, &[soa(60, 60)], 1), 0).unwrap();
    };
    for (host, tried) in [
        ("www", ["www.lab.example", "www.example", "www"]),
        ("www.eng", ["www.eng", "www.eng.lab.example", "www.eng.example"]),
    ] {
        let mut world = World::new(1, DnsConfig::DEFAULT);
        world.search = std::vec!["lab.example", "example"];
        let id = world.start(host, A, 0);
        for text in tried {
            let sent = world.one(0);
            assert_eq!(sent.name(), name(text));
            no(&mut world, &sent);
        }
        assert_eq!(world.result(id), Err(Error::NameNotFound));
        // Known by now.
        let id = world.start(host, A, 1);
        assert_eq!(world.result(id), Err(Error::NameNotFound));
    }
    let mut world = World::new(1, DnsConfig::DEFAULT);
    world.search = std::vec!["lab.example", "example"];
    let id = world.start("www", A, 0);
    let sent = world.one(0);
    no(&mut world, &sent);
    let sent = world.one(0);
    world.hear(&sent, &sent.answer(0, &[soa(60, 60)], 1), 0).unwrap();
    assert_eq!(world.result(id).unwrap(), Vec::<String>::new());
}

/// H149: of a truncated answer nothing is used; it is asked for by TCP.
//= rfc7766#5
#[test]
fn truncated_answer_is_asked_for_by_tcp() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let sent = world.one(0);
    let whole = sent.answer(0, &[("a.example", 1, 60, std::vec![1, 2, 3, 4])], 0);
    let mut cut = whole.clone();
    cut[2] |= 2;
    world.hear(&sent, &cut, 5).unwrap();
    assert_eq!(world.result(id), Err(Error::WouldBlock));
    let (long, to) = world.resolver.next_long().unwrap();
    assert_eq!((long, to.0), (id, sent.to));
    let about: (usize, Domains<'_>) = (1, &|_| None);
    world.resolver.on_long(id, &whole, about, &mut world.woken, at(6)).unwrap();
    assert_eq!(world.result(id).unwrap(), ["1.2.3.4"]);
    // It does not come: the next server, or the same once more, is asked.
    let id = world.start("b.example", A, 10);
    let sent = world.one(10);
    let mut cut = sent.answer(0, &[], 0);
    cut[2] |= 2;
    world.hear(&sent, &cut, 10).unwrap();
    assert!(world.resolver.is_long(id, (sent.to, None)));
    assert_eq!(world.sent(2010).len(), 1);
    assert!(!world.resolver.is_long(id, (sent.to, None)));
}

/// H150: the addresses of one family don't wait for the other's longer than half a second.
#[test]
fn family_without_answer_does_not_hold_up_the_other() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let ids = (world.start("a.example", RecordType::Aaaa, 0), world.start("a.example", A, 0));
    world.resolver.pair(ids, at(0));
    let sent = world.sent(0);
    assert_eq!(sent.len(), 2, "both at once");
    let v4 = &sent[1];
    world.hear(v4, &v4.answer(0, &[("a.example", 1, 60, std::vec![1, 2, 3, 4])], 0), 20).unwrap();
    assert_eq!(world.resolver.deadline(), Some(at(520)));
    assert!(world.sent(520).is_empty());
    assert_eq!((world.result(ids.0), world.result(ids.1).is_ok()), (Err(Error::TimedOut), true));
}

/// A hundred addresses: eight are kept, and the rest counted.
#[test]
fn addresses_beyond_eight_are_counted() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("a.example", A, 0);
    let sent = world.one(0);
    let many: Vec<_> = (0..100).map(|n| ("a.example", 1, 60, std::vec![10, 9, 8, n])).collect();
    assert_eq!(world.hear(&sent, &sent.answer(0, &many, 0), 0), Err(Drop::DnsTooMany));
    assert_eq!(world.result(id).unwrap().len(), 8);
}

/// A table of questions has its bound, and a place that was let go of is another's.
#[test]
fn questions_are_bounded() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let first = world.start("a.example", A, 0);
    for _ in 1..32 {
        world.start("a.example", A, 0);
    }
    let more =
        |world: &mut World| world.resolver.start((&name("a.example"), A), (false, false), &|_| None, at(0));
    assert_eq!(more(&mut world), Err(Error::TooManySockets));
    assert!(world.resolver.let_go(first).is_none());
    assert!(more(&mut world).is_ok());
    assert_eq!(world.result(first), Err(Error::StaleHandle));
}

/// What the documentation says of places, and that they take no flash in a static.
#[test]
fn places_are_as_large_as_stated() {
    assert!(size_of::<Query>() <= 920, "{}", size_of::<Query>());
    assert!(size_of::<super::super::CacheEntry>() <= 176);
}
