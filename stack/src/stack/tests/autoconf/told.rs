//! What routers told besides addresses, as programs see it.

use super::*;
use crate::events::Event;

/// RFC 8106 §5.1, §5.2, §5.3: name servers and domains, as long as they are told.
#[test]
fn name_servers_and_domains_are_kept() {
    let mut host = settled(plain());
    let servers = |lifetime: u8| {
        let mut option = std::vec![25, 5, 0, 0, 0, 0, 0, lifetime];
        option.extend(v6(ip("2001:db8::53")).octets());
        option.extend(v6(ip("fe80::53")).octets());
        option
    };
    let domains = b"\x1f\x03\0\0\0\0\0\x50\x03lan\0\x03a-b\x02cd\0\0\0\0\0";
    let advert = Advert::new(0).with(&servers(60)).with(&domains[..24]).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    assert_eq!(drops(&host), []);
    let found = |host: &Host| {
        let resolvers = host.stack.resolvers();
        let names: Vec<_> = resolvers.domains().iter().map(|d| d.name.as_str().to_owned()).collect();
        (resolvers.servers().iter().map(|s| s.address).collect::<Vec<_>>(), names)
    };
    let names = std::vec!["lan".to_owned(), "a-b.cd".to_owned()];
    assert_eq!(found(&host), (std::vec![ip("2001:db8::53"), ip("fe80::53")], names.clone()));
    host.stack.on_timers(at(62_000));
    assert_eq!(found(&host), (std::vec![], names));
    let advert = Advert::new(0).with(&servers(60)).frame(&host, ROUTER);
    host.input(&advert, at(63_000));
    let gone = Advert::new(0).with(&servers(0)).frame(&host, ROUTER);
    host.input(&gone, at(64_000));
    assert!(found(&host).0.is_empty());
}

/// H116, I12: what is told anew is an event and can be waited for; the same again is none; what ends is one.
#[test]
fn configuration_changed_is_told_once() {
    let mut host = settled(plain());
    let mut server = std::vec![25, 3, 0, 0, 0, 0, 0, 60];
    server.extend(v6(ip("2001:db8::53")).octets());
    let advert = Advert::new(1800).mtu(1400).prefix("2001:db8::", 64, 0x80, 3600, 7200).with(&server);
    let frame = advert.frame(&host, ROUTER);
    let told = |host: &mut Host| {
        let all = host.stack.events().recent().filter(|(_, e)| *e == Event::ConfigurationChanged(host.id));
        all.count()
    };
    host.input(&frame, at(2000));
    assert_eq!(told(&mut host), 4, "router, MTU, prefix and server");
    assert!(host.stack.dns_servers().map(|s| s.address).eq([ip("2001:db8::53")]));
    assert_eq!(
        (host.stack.interface(host.id).unwrap().mtu_v6(), host.stack.interface(host.id).unwrap().mtu_v4()),
        (1400, 1500)
    );
    host.input(&frame, at(3000));
    assert_eq!(told(&mut host), 4, "the same again");
    host.stack.on_timers(at(63_000));
    assert_eq!((told(&mut host), host.stack.dns_servers().count()), (5, 0));
    host.stack.on_timers(at(1_803_000));
    assert_eq!(told(&mut host), 6, "the router");
}

/// H113: the hardware address is the interface's. With another one it is another interface: of what was formed from the old
/// address nothing is left, and what is formed from the new one is in doubt until it was asked for.
#[test]
fn interface_with_another_hardware_address_starts_anew() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    run(&mut host, 2000, 5000);
    let old = [of(&host, Origin::LinkLocal)[0].0, of(&host, Origin::Stable)[0].0];
    host.stack.remove_interface(host.id, at(5000)).unwrap();
    host.device = Wire::new(77);
    host.id = host.stack.add_interface(host.device.capabilities()).unwrap();
    host.stack.configure_ipv6(host.id, plain(), at(5000)).unwrap();
    assert!(old.iter().all(|a| host.stack.addresses().get(host.id, (*a).into()).is_none()));
    assert!(old.iter().all(|a| !host.stack.is_ours((*a).into())));
    let own = v6(host.link_local());
    assert_eq!(of(&host, Origin::LinkLocal), [(own, AddressState::Tentative)]);
    let asked: Vec<_> =
        run(&mut host, 5000, 8000).into_iter().filter(|(_, f)| kind(f) == Some(135)).collect();
    assert_eq!(asked[0].1[62..78], own.octets());
    assert_eq!(of(&host, Origin::LinkLocal), [(own, AddressState::Preferred)]);
}
