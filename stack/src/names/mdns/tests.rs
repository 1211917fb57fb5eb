//! Hosts on one link in virtual time.

use core::net::{IpAddr, SocketAddr};
use std::string::{String, ToString};
use std::vec::Vec;

use super::responder::{Heard, MDNS_LEN, Plan, Responder};
use super::*;
use crate::base::random::Random;
use crate::base::slab::Key;
use crate::counters::Drop;
use crate::time::Instant;
use crate::wire::dns::{ANY, DnsMessage, NSEC};
use crate::wire::dns_writer::{MessageWriter, Section};

mod conflicts;
mod hostile;
mod questions;

const PTR: u16 = 12;
const SRV: u16 = 33;
const FLUSH: u16 = 0x8001;
const QU: u16 = 0x8001;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn link() -> Link {
    Link { interface: InterfaceId(Key::of_numbers([0, 0])), is_v4: true }
}

/// A record as a test names it: name, type, class, TTL.
type Told = (String, u16, u16, u32);

/// What was sent: when, and what.
#[derive(Clone, Debug)]
struct Sent {
    ms: u64,
    bytes: Vec<u8>,
}

impl Sent {
    fn message(&self) -> DnsMessage<'_> {
        DnsMessage::parse(&self.bytes).unwrap()
    }

    fn is_query(&self) -> bool {
        self.message().is_query()
    }

    fn end_of_questions(&self) -> usize {
        self.message().questions().last().map_or(12, |q| q.end)
    }

    /// The records of the answer section, or all others.
    fn records(&self, answers: bool) -> Vec<Told> {
        let (message, at) = (self.message(), self.end_of_questions());
        let count = usize::from(u16::from_be_bytes([self.bytes[6], self.bytes[7]]));
        let all = message.all_records(at).enumerate();
        all.filter(|(n, _)| (*n < count) == answers)
            .map(|(_, r)| (Name::read(&self.bytes, r.name_at).unwrap().0.to_string(), r.kind, r.class, r.ttl))
            .collect()
    }

    fn kinds(&self, answers: bool) -> Vec<u16> {
        self.records(answers).into_iter().map(|r| r.1).collect()
    }
}

/// A host, what it has sent to all, and its address.
struct Host {
    responder: Responder<'static>,
    random: Random,
    address: IpAddr,
    sent: Vec<Sent>,
    /// Answers to one asker.
    unicast: Vec<Sent>,
}

impl Host {
    /// A host whose address ends so, that asks for this name from now on.
    fn new(last: u8, text: &'static str, now: u64) -> Host {
        let mut random = Random::new([last; 32]);
        let mut responder = Responder::new(MdnsStorage::heap());
        let address = IpAddr::from([10, 0, 0, last]);
        let own: OwnAddresses = core::iter::once((link().interface, address)).collect();
        responder.announce_host(text, &mut random, at(now)).unwrap();
        responder.on_addresses(&own, &mut random, at(now));
        Host { responder, random, address, sent: Vec::new(), unicast: Vec::new() }
    }

    /// One whose name is announced, two seconds ago and more.
    fn settled(text: &'static str) -> Host {
        let mut host = Host::new(1, text, 0);
        host.announce("Attic", "_http._tcp");
        run(&mut [&mut host], 8000);
        assert_eq!(host.name(), std::format!("{text}.local"));
        host.sent.clear();
        host
    }

    fn announce(&mut self, instance: &'static str, service: &'static str) -> AnnouncementId {
        let what = Announcement { instance, service, port: 80, texts: &["path=/"] };
        self.responder.announce(what, &mut self.random, at(0)).unwrap()
    }

    fn name(&self) -> String {
        self.responder.host_name().map_or(String::new(), |name| name.to_string())
    }

    /// Sends what is due.
    fn turn(&mut self, ms: u64) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(plan) = self.responder.next(at(ms)) {
            let mut left = match plan {
                Plan::Probe(_) => 1,
                Plan::Announce(set) | Plan::Goodbye(set) | Plan::Answer(_, set) => set,
            };
            while left != 0 {
                let (before, mut buf) = (left, [0; MDNS_LEN]);
                let Some(len) = self.responder.write(plan, &mut left, link(), &mut buf) else { break };
                assert_ne!(left, before);
                all.push(Sent { ms, bytes: buf[..len].to_vec() });
            }
        }
        self.sent.extend(all.iter().cloned());
        all
    }

    fn hear(&mut self, from: SocketAddr, bytes: &[u8], ms: u64) -> Result<(), Drop> {
        let heard = Heard { link: link(), from, message: DnsMessage::parse(bytes)? };
        let mut out = [0; MDNS_LEN];
        if let Some(len) = self.responder.on_message(&heard, &mut out, &mut self.random, at(ms))? {
            self.unicast.push(Sent { ms, bytes: out[..len].to_vec() });
        }
        Ok(())
    }

    /// A question of 10.0.0.9, by mDNS's port, and what was sent to all within a second, and when.
    fn ask(&mut self, questions: &[(&str, u16, u16)], ms: u64) -> Vec<Sent> {
        self.ask_with(&query(questions, &[]), ms)
    }

    fn ask_with(&mut self, query: &[u8], ms: u64) -> Vec<Sent> {
        let before = self.sent.len();
        self.hear(asker(5353), query, ms).unwrap();
        run(&mut [self], ms + 1000);
        self.sent[before..].to_vec()
    }
}

fn asker(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 9], port))
}

/// A question with these answers that are known: name, type, TTL, data.
fn query(questions: &[(&str, u16, u16)], known: &[(&str, u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut buf = [0; 1400];
    let mut w = MessageWriter::new(&mut buf, 7, 0);
    questions.iter().for_each(|(text, kind, class)| w.question(&name(text), *kind, *class).unwrap());
    add(&mut w, Section::Answer, known);
    let len = w.len();
    buf[..len].to_vec()
}

fn add(w: &mut MessageWriter<'_>, section: Section, records: &[(&str, u16, u32, Vec<u8>)]) {
    for (text, kind, ttl, data) in records {
        w.record(section, (&name(text), *kind, 1, *ttl), |w| w.put(data)).unwrap();
    }
}

/// An answer of somebody else.
fn response(records: &[(&str, u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut buf = [0; 1400];
    let mut w = MessageWriter::new(&mut buf, 0, 0x8400);
    add(&mut w, Section::Answer, records);
    let len = w.len();
    buf[..len].to_vec()
}

/// Lets time pass until then; every host hears what the others send.
fn run(hosts: &mut [&mut Host], until: u64) {
    loop {
        let next = hosts.iter().filter_map(|h| h.responder.deadline()).min();
        let Some(next) = next.filter(|next| *next <= at(until)) else { return };
        // Rounded up: a test's time is in whole milliseconds.
        let ms = next.micros().div_ceil(1000);
        for from in 0..hosts.len() {
            let sent = hosts[from].turn(ms);
            let source = SocketAddr::new(hosts[from].address, MDNS_PORT);
            for to in (0..hosts.len()).filter(|to| *to != from) {
                for message in &sent {
                    hosts[to].hear(source, &message.bytes, ms).unwrap();
                    for answer in core::mem::take(&mut hosts[to].unicast) {
                        let back = SocketAddr::new(hosts[to].address, MDNS_PORT);
                        hosts[from].hear(back, &answer.bytes, ms).unwrap();
                    }
                }
            }
        }
    }
}

/// RFC 6762 §8.1, §8.3: three probes at 250 ms each ask for everything and say what is proposed; then two announcements, a second apart, which
/// replace what others know.
#[test]
fn name_is_probed_then_announced() {
    let mut host = Host::new(1, "sensor", 1000);
    run(&mut [&mut host], 1000 + 3 * 250 + 240);
    assert!(host.sent[0].ms < 1250, "a random moment first");
    run(&mut [&mut host], 60_000);
    let (probes, announcements) = host.sent.split_at(3);
    for (n, probe) in probes.iter().enumerate() {
        assert_eq!(probe.ms, probes[0].ms + 250 * n as u64);
        let question = probe.message().questions().next().unwrap();
        assert!(probe.is_query() && question.kind == ANY && question.class == QU);
        assert_eq!(probe.records(false), [("sensor.local".into(), 1, 1, 120)]);
    }
    assert_eq!(announcements.len(), 2, "and nothing after them");
    assert_eq!(announcements[0].ms, probes[0].ms + 750);
    assert_eq!(announcements[1].ms, announcements[0].ms + 1000);
    let told = [("sensor.local".into(), 1, FLUSH, 120), ("1.0.0.10.in-addr.arpa".into(), PTR, FLUSH, 120)];
    assert_eq!(announcements[0].records(true), told);
    assert_eq!(host.name(), "sensor.local");
}

/// RFC 6763 §4, §9: a service has a pointer from its type, which others may have too, its place and texts, and a pointer to its type. It is asked
/// for after its host.
#[test]
fn service_is_announced_after_its_host() {
    let mut host = Host::new(1, "sensor", 0);
    let id = host.announce("Attic", "_http._tcp");
    run(&mut [&mut host], 10_000);
    let first = host.sent.iter().find(|s| !s.is_query() && s.kinds(true).contains(&SRV)).unwrap();
    let told = [
        ("_http._tcp.local".to_string(), PTR, 1, 4500),
        ("Attic._http._tcp.local".into(), SRV, FLUSH, 120),
        ("Attic._http._tcp.local".into(), 16, FLUSH, 4500),
        ("_services._dns-sd._udp.local".into(), PTR, 1, 4500),
    ];
    assert_eq!(first.records(true), told);
    assert_eq!(host.responder.service_name(id).unwrap().unwrap().to_string(), "Attic._http._tcp.local");
    let host_is_there = host.sent.iter().position(|s| !s.is_query()).unwrap();
    let asked_for = host.sent.iter().position(|s| s.is_query() && s.kinds(false).contains(&SRV)).unwrap();
    assert!(host_is_there < asked_for);
}

/// RFC 6762 §10.1: what is given up is told with a TTL of 0; its place is another's then.
#[test]
fn withdrawn_service_says_goodbye() {
    let mut host = Host::settled("sensor");
    let id = host.announce("Cellar", "_http._tcp");
    run(&mut [&mut host], 16_000);
    host.sent.clear();
    host.responder.withdraw(id, at(20_000)).unwrap();
    assert_eq!(host.responder.withdraw(id, at(20_000)), Err(Error::StaleHandle));
    run(&mut [&mut host], 30_000);
    assert_eq!(host.sent.len(), 1);
    assert!(host.sent[0].records(true).iter().all(|r| r.3 == 0));
    assert_eq!(host.sent[0].kinds(true), [PTR, SRV, 16, PTR]);
    assert_eq!(host.ask(&[("_http._tcp.local", PTR, 1)], 40_000)[0].kinds(true), [PTR]);
    host.responder.withdraw_host(at(50_000));
    host.sent.clear();
    run(&mut [&mut host], 60_000);
    assert_eq!(host.sent.len(), 2, "the service's and the host's");
    assert!(host.sent.iter().all(|s| s.records(true).iter().all(|r| r.3 == 0)));
    assert!(host.ask(&[("sensor.local", 1, 1)], 70_000).is_empty());
}

/// RFC 6762 §8.4: other addresses are announced at once; a new link is asked first (§8).
#[test]
fn other_addresses_are_announced() {
    let mut host = Host::settled("sensor");
    let own: OwnAddresses = core::iter::once((link().interface, IpAddr::from([10, 0, 0, 7]))).collect();
    host.responder.on_addresses(&own, &mut host.random, at(10_000));
    run(&mut [&mut host], 10_000);
    assert_eq!(host.sent[0].records(true)[1].0, "7.0.0.10.in-addr.arpa");
    host.responder.on_link(&mut host.random, at(20_000));
    host.sent.clear();
    run(&mut [&mut host], 21_000);
    assert!(host.sent[0].is_query());
}

/// RFC 6762 §3, §4, §12: which names are the link's.
#[test]
fn names_of_the_link_are_told_from_others() {
    for text in ["sensor.local", "a.b.LOCAL", "local", "9.8.254.169.in-addr.arpa", "1.b.e.f.ip6.arpa"] {
        assert!(is_of_link(&name(text)), "{text}");
    }
    for text in ["local.example", "mylocal", "sensor.locals", "1.0.0.10.in-addr.arpa", "c.e.f.ip6.arpa"] {
        assert!(!is_of_link(&name(text)), "{text}");
    }
    let fe80 = Name::reverse("fe80::1".parse().unwrap());
    assert!(is_of_link(&fe80) && !is_of_link(&Name::reverse("2001:db8::1".parse().unwrap())));
}

/// RFC 6763 §4.1.1, §6, §7, RFC 1123 §2.1: what can't be a name or a text is refused.
#[test]
fn names_that_can_not_be_are_refused() {
    let mut host = Host::new(1, "sensor", 0);
    let long = "a23456789012345678901234567890123456789012345678901234567890abcd";
    for text in ["", "-a", "a-", "a.b", "a b", "ä", long] {
        assert!(host.responder.announce_host(text, &mut host.random, at(0)).is_err(), "{text}");
    }
    let mut announce = |instance, service, texts| {
        let what = Announcement { instance, service, port: 1, texts };
        host.responder.announce(what, &mut host.random, at(0)).map(|_| ())
    };
    for (instance, service) in [
        ("", "_a._tcp"),
        (long, "_a._tcp"),
        ("a", "a._tcp"),
        ("a", "_a.tcp"),
        ("a", "_a._tcp.x"),
        ("a", "_a"),
    ] {
        assert!(announce(instance, service, &[]).is_err(), "{instance} {service}");
    }
    assert!(announce("a", "_a._tcp", &[""]).is_err());
    assert_eq!(announce("Büro 1.2", "_a._tcp", &["k"]), Ok(()));
    assert_eq!(announce("BüRO 1.2", "_A._tcp", &[]), Err(Error::AddrInUse));
    let mut named = Responder::new(MdnsStorage::heap());
    let what = Announcement { instance: "a", service: "_a._udp", port: 1, texts: &[] };
    assert!(named.announce(what, &mut Random::new([1; 32]), at(0)).is_err(), "no host's name");
}

/// RFC 6762 §10: all services at once fit into messages of 1232 bytes; a thirteenth is refused.
#[test]
fn twelve_services_are_told_in_several_messages() {
    let mut host = Host::settled("sensor");
    let long = "An instance whose name is as long as any name may be: 63 bytes";
    for n in 0..11 {
        host.announce(&long[n..], "_http._tcp");
    }
    let what = Announcement { instance: "one more", service: "_a._udp", port: 1, texts: &[] };
    assert!(host.responder.announce(what, &mut host.random, at(0)).is_err());
    run(&mut [&mut host], 20_000);
    let told = host.ask(&[("_http._tcp.local", ANY, 1)], 30_000);
    assert!(told.iter().map(|s| s.records(true).len()).sum::<usize>() == 12 && !told.is_empty());
    assert!(told.iter().all(|s| s.bytes.len() <= MDNS_LEN));
}
