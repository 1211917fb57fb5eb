//! mDNS between whole stacks: frames, groups, addresses.

use std::string::{String, ToString};

use super::*;
use crate::names::{Announcement, DnsConfig, MdnsStorage, Name, NamesStorage, RecordType};

/// A host that claims the name `sensor`.
fn host(last: u8) -> Host {
    let mut host = Host::fresh(last);
    host.stack.start_names(DnsConfig::DEFAULT, NamesStorage::heap());
    host.stack.start_mdns(MdnsStorage::heap());
    host.stack.announce_host("sensor", Instant::ZERO).unwrap();
    host
}

/// Lets time pass, 10 ms at a time; frames go both ways, and into `seen`.
fn run(a: &mut Host, b: &mut Host, ms: core::ops::Range<u64>, seen: &mut Vec<Vec<u8>>) {
    for ms in ms.step_by(10) {
        let now = Instant::from_millis(ms);
        a.stack.on_timers(now);
        b.stack.on_timers(now);
        loop {
            let (to_b, to_a) = (a.output_with_reports(now), b.output_with_reports(now));
            to_b.iter().for_each(|f| b.input(f, now));
            to_a.iter().for_each(|f| a.input(f, now));
            if to_a.is_empty() && to_b.is_empty() {
                break;
            }
            seen.extend(to_a);
            seen.extend(to_b);
        }
    }
}

fn called(host: &Host) -> String {
    host.stack.announced_host().map_or(String::new(), |name| name.to_string())
}

fn is_mdns(frame: &[u8]) -> bool {
    match (frame[12], frame[13]) {
        (0x08, 0x00) => frame[23] == 17 && frame[36..38] == 5353u16.to_be_bytes(),
        (0x86, 0xdd) => frame[20] == 17 && frame[56..58] == 5353u16.to_be_bytes(),
        _ => false,
    }
}

/// L10: two hosts want one name: one gets it, the other the next; each finds the other by both families, and itself. All of it stays on the link.
///
/// RFC 6762 §9, §11.
#[test]
fn hosts_of_one_name_find_each_other() {
    let (mut a, mut b) = (host(1), host(2));
    let mut seen = Vec::new();
    run(&mut a, &mut b, 0..10_000, &mut seen);
    let mut names = [called(&a), called(&b)];
    names.sort();
    assert_eq!(names, ["sensor-2.local", "sensor.local"]);
    for group in ["224.0.0.251", "ff02::fb"] {
        let mac = ip::group_mac(group.parse().unwrap()).unwrap();
        assert!(a.device.groups.contains(&mac), "the filter lets {group} through");
        assert!(seen.iter().any(|f| is_report(f)), "routers hear of it");
    }
    let sent: Vec<_> = seen.iter().filter(|f| is_mdns(f)).collect();
    assert!(sent.len() >= 16, "{}", sent.len());
    assert!(sent.iter().all(|f| if f[12] == 8 { f[22] == 255 } else { f[21] == 255 }));
    let name = b.stack.announced_host().unwrap();
    let now = Instant::from_millis(10_000);
    let ids = [RecordType::A, RecordType::Aaaa]
        .map(|kind| a.stack.names_ask((&name, kind), (true, false), now).unwrap());
    run(&mut a, &mut b, 10_000..10_100, &mut seen);
    let found = ids.map(|id| a.stack.names_result(id, None, |r, _| r.addresses().next().unwrap()).unwrap());
    assert_eq!(found, [v4(2), b.link_local()]);
    let own = a.stack.announced_host().unwrap();
    assert_eq!(a.stack.mdns_addresses_of(&own).unwrap().len(), 2);
}

/// RFC 6763: who looks for services of a type finds the instance, and by it host and port.
#[test]
fn service_is_found_by_its_type() {
    let (mut a, mut b) = (host(1), host(2));
    let mut seen = Vec::new();
    let texts = &["path=/"];
    let what = Announcement { instance: "Attic", service: "_http._tcp", port: 8080, texts };
    let id = b.stack.announce_service(what, Instant::ZERO).unwrap();
    run(&mut a, &mut b, 0..12_000, &mut seen);
    assert_eq!(b.stack.announced_service(id).unwrap().unwrap().to_string(), "Attic._http._tcp.local");
    let own = b.link_local();
    let mut ask = |name: &Name, kind, ms| {
        let id = a.stack.names_ask((name, kind), (false, false), Instant::from_millis(ms)).unwrap();
        run(&mut a, &mut b, ms..ms + 2000, &mut seen);
        let records = a.stack.names_result(id, None, |records, _| records.clone()).unwrap();
        let _ = a.stack.names_let_go(id);
        records
    };
    let found = ask(&Name::new("_http._tcp.local").unwrap(), RecordType::Ptr, 12_000);
    let instance = found.names().next().unwrap();
    assert_eq!(instance.to_string(), "Attic._http._tcp.local");
    let service = ask(&instance, RecordType::Srv, 14_000).services().next().unwrap();
    assert_eq!(service.port, 8080);
    assert!(ask(&instance, RecordType::Txt, 16_000).texts().eq([b"path=/"]));
    let reverse = ask(&Name::reverse(own), RecordType::Ptr, 18_000);
    assert_eq!(reverse.names().next(), Some(service.target), "a link-local address has a name, too");
}

/// RFC 6762 §11: what comes to this host from another network is not of the link, though a group's datagrams are.
#[test]
fn message_from_elsewhere_is_ignored() {
    let (mut a, mut b) = (host(1), host(2));
    run(&mut a, &mut b, 0..5000, &mut Vec::new());
    let now = Instant::from_millis(5000);
    let meta = |source: [u8; 4], destination: [u8; 4]| ip::PacketMeta {
        interface: a.id,
        source: source.into(),
        destination: destination.into(),
        traffic_class: 0,
        hop_limit: 255,
        checksum: crate::device::RxChecksum::Valid,
        segment_len: None,
        link_broadcast: false,
    };
    let (far, near) = (meta([192, 0, 2, 1], [10, 0, 0, 1]), meta([10, 0, 0, 77], [10, 0, 0, 1]));
    let mut query = std::vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(b"\x06sensor\x05local\0\0\x01\0\x01");
    let parts = [&query[..]];
    let query = crate::bytes::Bytes::new(&parts);
    assert_eq!(a.stack.mdns_input(&far, (5353, 5353), query, now), Some(Err(Drop::MdnsForeign)));
    assert_eq!(a.stack.mdns_input(&near, (5353, 5353), query, now), Some(Ok(())));
}

/// RFC 6762 §11: an answer from another network, or from another port than mDNS's, is none; a socket that has the question's port by chance gets what
/// is its own.
#[test]
fn answer_from_elsewhere_is_ignored() {
    let mut a = host(1);
    let now = Instant::ZERO;
    a.stack.names_ask((&Name::new("other.local").unwrap(), RecordType::A), (true, false), now).unwrap();
    a.stack.on_timers(now);
    let frames = a.output_with_reports(now);
    let asks = |f: &&Vec<u8>| f[12] == 8 && f[23] == 17 && f[36..38] == 5353u16.to_be_bytes();
    let question = frames.iter().find(asks).unwrap();
    let port = u16::from_be_bytes([question[34], question[35]]);
    let meta = |source: [u8; 4]| ip::PacketMeta {
        interface: a.id,
        source: source.into(),
        destination: v4(1),
        traffic_class: 0,
        hop_limit: 255,
        checksum: crate::device::RxChecksum::Valid,
        segment_len: None,
        link_broadcast: false,
    };
    let parts = [&question[42..]];
    let bytes = crate::bytes::Bytes::new(&parts);
    let (near, far) = (meta([10, 0, 0, 2]), meta([192, 0, 2, 1]));
    assert_eq!(a.stack.names_input(&far, (5353, port), bytes, now), Some(Err(Drop::MdnsForeign)));
    assert_eq!(a.stack.names_input(&near, (5354, port), bytes, now), Some(Err(Drop::MdnsForeign)));
    assert_eq!(
        a.stack.names_input(&near, (5353, port), bytes, now),
        Some(Err(Drop::DnsForeign)),
        "no answer"
    );
    let own = core::net::SocketAddr::new(v4(1), port);
    a.stack.datagram_bind(DatagramKind::Udp, own, false).unwrap();
    assert_eq!(a.stack.names_input(&far, (7, port), bytes, now), None);
}

/// A socket on mDNS's port, such as another implementation's, hears what comes there, too.
#[test]
fn socket_on_the_port_hears_as_well() {
    let (mut a, mut b) = (host(1), host(2));
    let any = "[::]:5353".parse().unwrap();
    let socket = a.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap();
    let group = "224.0.0.251".parse().unwrap();
    a.stack.datagram_join(socket, group, Some(a.id), Membership::AnySource, Instant::ZERO).unwrap();
    run(&mut a, &mut b, 0..5000, &mut Vec::new());
    assert!(a.stack.datagram_receive(socket, &mut [0; 1500], false, None).is_ok());
    assert_ne!(called(&a), called(&b));
}
