//! Names of the link, asked of its hosts.

use super::*;

/// RFC 6762 §3, §5.1: a name of the link is asked of all hosts there, in the letters that it has, without EDNS and the search list; whoever answers
/// from mDNS's port is believed, and is kept for as long as it says.
#[test]
fn name_of_the_link_is_asked_of_its_hosts() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    world.search.push("lab.example");
    let id = world.start("Sensor.local", A, 0);
    let sent = world.one(0);
    assert_eq!(sent.to, SocketAddr::from(([224, 0, 0, 251], 5353)));
    assert_eq!((sent.name().to_string().as_str(), sent.bytes[11]), ("sensor.local", 0));
    let answer = sent.answer(0, &[("sensor.local", 1, 10, std::vec![10, 0, 0, 5])], 0);
    let (host, other) = (SocketAddr::from(([10, 0, 0, 5], 5353)), SocketAddr::from(([10, 0, 0, 5], 5354)));
    assert_eq!(world.hear_from(other, sent.port, &answer, 10), Err(Drop::DnsForeign));
    let mut failed = answer.clone();
    failed[3] |= 3;
    assert_eq!(world.hear_from(host, sent.port, &failed, 10), Err(Drop::DnsForeign), "§18.11");
    assert_eq!(world.hear_from(host, sent.port, &answer, 10), Ok(()));
    assert_eq!(world.result(id), Ok(std::vec!["10.0.0.5".to_string()]));
    let again = world.start("sensor.local", A, 9_000);
    assert_eq!(world.result(again), Ok(std::vec!["10.0.0.5".to_string()]), "it is kept");
    world.start("sensor.local", A, 11_000);
    assert_eq!(world.sent(11_000).len(), 1);
}

/// RFC 6762 §5.2: nobody answers, though asked again after 1 s and 2 s more: there is no such name. No server is needed, nor thought ill of.
#[test]
fn name_of_the_link_that_nobody_has_is_not_found() {
    let mut world = World::new(0, DnsConfig::DEFAULT);
    let id = world.start("nobody.local", A, 0);
    for ms in [0, 1000, 3000] {
        world.one(ms);
    }
    assert!(world.sent(5000).is_empty());
    assert_eq!(world.result(id), Err(Error::NameNotFound));
}

/// RFC 6763 §4: pointers of the link are gathered from whoever answers, for a second after the first.
#[test]
fn pointers_of_the_link_are_gathered() {
    let mut world = World::new(1, DnsConfig::DEFAULT);
    let id = world.start("_http._tcp.local", RecordType::Ptr, 0);
    let sent = world.one(0);
    for (last, instance) in [(5, "one"), (6, "two"), (6, "two")] {
        let data = name(&std::format!("{instance}._http._tcp.local")).as_bytes().to_vec();
        let answer = sent.answer(0, &[("_http._tcp.local", 12, 10, data)], 0);
        let host = SocketAddr::from(([10, 0, 0, last], 5353));
        assert_eq!(world.hear_from(host, sent.port, &answer, 100 * u64::from(last)), Ok(()));
    }
    assert_eq!(world.resolver.result(id, None).err(), Some(Error::WouldBlock));
    assert!(world.sent(1499).len() <= 1);
    assert!(world.sent(1500).is_empty());
    let names: Vec<_> = world.resolver.result(id, None).unwrap().0.names().map(|n| n.to_string()).collect();
    assert_eq!(names, ["one._http._tcp.local", "two._http._tcp.local"]);
}
