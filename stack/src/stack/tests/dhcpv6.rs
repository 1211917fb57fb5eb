//! DHCPv6 on a stack: routers' flags, messages in packets, addresses with their detection, and their end.

use core::net::{Ipv6Addr, SocketAddr};

use super::autoconf::{Advert, of, run};
use super::input::{PEER, ndp_to, packet_to};
use super::neighbors::at;
use super::*;
use crate::config::Ipv6Config;
use crate::dhcpv6::{Dhcpv6Config, Dhcpv6State};
use crate::events::Event;
use crate::ip::addresses::{AddressState, Origin};
use crate::wire::{self, NeighborMessage, NeighborMessageKind, protocol};

const SERVER: &str = "fe80::53";
const LEASED: &str = "2001:db8::77";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn host() -> Host {
    let mut host = Host::new(1);
    let config = Ipv6Config { temporary: false, ..Ipv6Config::default() };
    host.stack.configure_ipv6(host.id, config, T0).unwrap();
    let memory = Dhcpv6Memory::Owned(Box::default());
    host.stack.dhcpv6_start(host.id, Dhcpv6Config::DEFAULT, memory, T0).unwrap();
    host
}

/// The DHCPv6 messages of frames: ports, destination and hop limit are checked.
fn messages(frames: &[(u64, Vec<u8>)]) -> Vec<Vec<u8>> {
    let of_client = |frame: &&(u64, Vec<u8>)| frame.1[12..14] == [0x86, 0xdd] && frame.1[20] == protocol::UDP;
    let found = frames.iter().filter(of_client).map(|(_, frame)| {
        assert_eq!(
            (&frame[..6], &frame[38..54]),
            (&[0x33, 0x33, 0, 1, 0, 2][..], &v6("ff02::1:2").octets()[..])
        );
        assert_eq!((&frame[54..56], &frame[56..58]), (&546u16.to_be_bytes()[..], &547u16.to_be_bytes()[..]));
        assert_eq!(frame[22..24], [0xfe, 0x80], "from the link-local address");
        frame[62..].to_vec()
    });
    found.collect()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value].concat()
}

/// The frame of an answer to a message of ours, with these options besides.
fn answer(host: &Host, kind: u8, to: &[u8], more: &[u8]) -> Vec<u8> {
    // Our identifier is the first option.
    let client = &to[4..18];
    let message = [&[kind], &to[1..4], client, &option(2, &[0, 4, 9, 9])[..], more].concat();
    let (from, own) = (ip(SERVER), host.link_local());
    let len = (8 + message.len()) as u16;
    let mut udp =
        [&547u16.to_be_bytes()[..], &546u16.to_be_bytes(), &len.to_be_bytes(), &[0; 2], &message].concat();
    let mut sum = wire::pseudo_header(from, own, protocol::UDP, udp.len());
    sum.add(&udp);
    udp[6..8].copy_from_slice(&sum.finish().to_be_bytes());
    packet_to(host, from, own, protocol::UDP, &udp)
}

fn lease(host: &Host, preferred: u32, valid: u32) -> Vec<u8> {
    let times = [preferred, valid].map(u32::to_be_bytes).concat();
    let address = option(5, &[&v6(LEASED).octets()[..], &times].concat());
    option(3, &[&host.id.zone().to_be_bytes()[..], &[0; 8], &address].concat())
}

/// A host that has its lease since `at(10_000)`, rapidly.
fn leased() -> Host {
    let mut host = host();
    run(&mut host, 0, 3000);
    let advert = Advert::new(1800).flags(0x80).frame(&host, "fe80::9");
    host.input(&advert, at(3000));
    let asked = messages(&run(&mut host, 3000, 9000));
    assert_eq!(asked[0][0], 1);
    let options = [lease(&host, 60, 120), option(14, &[]), option(23, &v6("2001:db8::53").octets())].concat();
    let reply = answer(&host, 7, asked.last().unwrap(), &options);
    host.input(&reply, at(10_000));
    host
}

/// L08, RFC 4861 §4.2: nothing without a flag; with M addresses, in doubt for a second, that name no network; they are renewed, and
/// end.
#[test]
fn managed_flag_brings_addresses_for_as_long_as_they_last() {
    let mut silent = host();
    let advert = Advert::new(1800).frame(&silent, "fe80::9");
    run(&mut silent, 0, 3000);
    silent.input(&advert, at(3000));
    assert!(messages(&run(&mut silent, 3000, 60_000)).is_empty());

    let mut host = leased();
    assert_eq!(of(&host, Origin::Dhcpv6), [(v6(LEASED), AddressState::Tentative)]);
    run(&mut host, 10_000, 11_000);
    assert_eq!(of(&host, Origin::Dhcpv6), [(v6(LEASED), AddressState::Preferred)]);
    assert!(
        host.stack.path(ip("2001:db8::1"), None, None).unwrap().next_hop == ip("fe80::9"),
        "it is not on the link"
    );
    assert!(host.stack.dns_servers().map(|server| server.address).eq([ip("2001:db8::53")]));
    let told: Vec<_> = host.stack.events().recent().map(|(_, event)| event).collect();
    assert!(told.contains(&Event::Leased(host.id, ip(LEASED))), "{told:?}");
    let renewals = messages(&run(&mut host, 11_000, 129_000));
    assert_eq!((renewals[0][0], renewals.last().unwrap()[0]), (5, 6), "Renew, then Rebind");
    assert_eq!(of(&host, Origin::Dhcpv6), [(v6(LEASED), AddressState::Deprecated)]);
    let again = messages(&run(&mut host, 129_000, 132_000));
    assert_eq!((of(&host, Origin::Dhcpv6).len(), again.last().unwrap()[0]), (0, 1), "and it solicits");
    let told: Vec<_> = host.stack.events().recent().map(|(_, event)| event).collect();
    assert!(told.contains(&Event::LeaseEnded(host.id, ip(LEASED))), "{told:?}");
}

/// RFC 8415 §18.2.8: an address that somebody has is declined, and never used.
#[test]
fn leased_duplicate_is_declined() {
    let mut host = leased();
    let kind = NeighborMessageKind::Advert { router: false, solicited: false, override_known: true };
    let claim = NeighborMessage { kind, target: v6(LEASED), mac: Some(PEER), nonce: None };
    let claim = ndp_to(&host, ip(LEASED), ip("ff02::1"), &claim);
    host.input(&claim, at(10_500));
    let said = messages(&run(&mut host, 10_500, 10_600));
    assert_eq!((said[0][0], of(&host, Origin::Dhcpv6).len()), (9, 0));
    assert!(said[0].windows(16).any(|bytes| bytes == v6(LEASED).octets()));
}

/// L13: a link that comes back is confirmed once the link-local address can be used; the lease goes with `dhcpv6_release` and with
/// the interface.
#[test]
fn link_that_comes_back_confirms_the_lease() {
    let mut host = leased();
    run(&mut host, 10_000, 12_000);
    host.stack.link_down(host.id, at(12_000)).unwrap();
    assert_eq!(host.stack.dhcpv6(host.id).unwrap().state(), Dhcpv6State::Off);
    host.stack.link_up(host.id, at(13_000)).unwrap();
    let said = messages(&run(&mut host, 13_000, 17_000));
    assert_eq!(said[0][0], 4, "Confirm");
    let yes = answer(&host, 7, said.last().unwrap(), &option(13, &[0, 0]));
    host.input(&yes, at(17_000));
    assert_eq!(host.stack.dhcpv6(host.id).unwrap().state(), Dhcpv6State::Bound);
    host.stack.dhcpv6_release(host.id, at(18_000)).unwrap();
    assert_eq!((messages(&run(&mut host, 18_000, 18_100))[0][0], of(&host, Origin::Dhcpv6).len()), (8, 0));
    let memory = || Dhcpv6Memory::Owned(Box::default());
    let again = host.stack.dhcpv6_start(host.id, Dhcpv6Config::DEFAULT, memory(), at(19_000));
    assert!(matches!(again, Err(Error::InvalidInput(_))));
    host.stack.remove_interface(host.id, at(19_000)).unwrap();
    assert!(host.stack.dhcpv6(host.id).is_none());
    let gone = host.stack.dhcpv6_start(host.id, Dhcpv6Config::DEFAULT, memory(), at(19_000));
    assert_eq!(gone, Err(Error::DeviceGone));
}

/// A message that is none of the client's is for a socket, if there is one; else it is counted by name.
#[test]
fn foreign_message_is_counted_or_a_sockets() {
    let mut host = host();
    run(&mut host, 0, 3000);
    let message = answer(&host, 7, &[&[0; 4][..], &option(1, &[0; 10])].concat(), &[]);
    host.input(&message, at(3000));
    assert!(drops(&host).contains(&(Drop::Dhcpv6Foreign, 1)), "{:?}", drops(&host));
    let local = SocketAddr::new(ip("::"), 546);
    let socket = host.stack.datagram_bind(DatagramKind::Udp, local, false).unwrap();
    host.input(&message, at(3001));
    let mut buf = [0; 64];
    assert_eq!(
        host.stack.datagram_receive(socket, &mut buf, false, None).unwrap().datagram_len,
        message.len() - 62
    );
}
