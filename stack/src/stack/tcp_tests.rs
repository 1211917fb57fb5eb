//! Two stacks joined in memory, in virtual time: TCP from end to end.

use super::*;
use crate::device::{Capabilities, Mac, TxOffload};
use crate::device::{Device, RxChecksum, RxFrame, TxError, TxFrame};
use crate::error::Error;
use crate::ip::addresses::Cidr;
use crate::stack::TcpHandle;
use crate::stack::tests::wake;
use crate::tcp::{State, TcpOptions};
use crate::time::Duration;
use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

mod crowd;
mod flows;
mod mtus;
mod ranges;

/// Collects what a stack sends.
struct Out {
    capabilities: Capabilities,
    frames: VecDeque<Vec<u8>>,
}

impl Device for Out {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        assert_eq!(frame.offload, TxOffload::default());
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|p| bytes.extend_from_slice(p));
        assert!(bytes.len() <= 14 + usize::from(self.capabilities.mtu), "longer than the link carries");
        self.frames.push_back(bytes);
        Ok(())
    }
}

struct Host {
    stack: Stack<'static>,
    out: Out,
    id: InterfaceId,
}

fn host(n: u8) -> Host {
    host_with(n, 1500)
}

fn host_with(n: u8, mtu: u16) -> Host {
    let capabilities = Capabilities::new(Mac([2, 0, 0, 0, 0, n]), mtu);
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [n; 32]);
    let id = stack.add_interface(capabilities).unwrap();
    stack.add_address(id, Cidr::new(IpAddr::from([10, 0, 0, n]), 24).unwrap(), Instant::ZERO).unwrap();
    if mtu >= 1280 {
        let v6 = [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)];
        stack.add_address(id, Cidr::new(IpAddr::from(v6), 64).unwrap(), Instant::ZERO).unwrap();
    }
    Host { stack, out: Out { capabilities, frames: VecDeque::new() }, id }
}

struct World {
    hosts: [Host; 2],
    now: Instant,
    /// Frames that pass, in order, `true`: lost.
    lose: fn(usize) -> bool,
    /// Packets that pass as ECN-capable and are marked.
    mark: fn(usize) -> bool,
    /// What a router between the hosts does.
    router: Router,
    passed: usize,
}

impl World {
    fn new() -> World {
        World::with_mtus([1500, 1500])
    }

    fn with_mtus([a, b]: [u16; 2]) -> World {
        World {
            hosts: [host_with(1, a), host_with(2, b)],
            now: Instant::from_millis(5),
            lose: |_| false,
            mark: |_| false,
            router: Router::None,
            passed: 0,
        }
    }

    fn turn(&mut self) -> bool {
        let mut busy = false;
        for to in [0, 1] {
            while let Some(mut frame) = self.hosts[1 - to].out.frames.pop_front() {
                busy = true;
                self.passed += 1;
                if (self.mark)(self.passed) {
                    mark(&mut frame);
                }
                if let Router::Mtu { mtu, says } = self.router
                    && frame.len() > 14 + mtu
                {
                    if let Some(says) = says {
                        let answer = mtus::too_big(&frame, says);
                        let Host { stack, id, .. } = &mut self.hosts[1 - to];
                        stack.on_frame(*id, RxFrame::plain(&[&answer]), self.now);
                    }
                } else if !(self.lose)(self.passed) {
                    let parts: [&[u8]; 1] = [&frame];
                    let Host { stack, id, .. } = &mut self.hosts[to];
                    stack.on_frame(*id, RxFrame::plain(&parts), self.now);
                    stack.check();
                }
            }
        }
        for h in &mut self.hosts {
            h.stack.on_timers(self.now);
            h.stack.egress(h.id, &mut h.out, self.now);
            h.stack.check();
            busy |= !h.out.frames.is_empty();
        }
        busy
    }

    /// Runs until nothing is in flight, and once idle on to the next timer.
    fn step(&mut self) {
        if self.turn() {
            self.now += Duration::from_micros(500);
        } else {
            let next = self.hosts.iter().filter_map(|h| h.stack.next_deadline(self.now)).min();
            self.now = next.unwrap_or(self.now).max(self.now + Duration::from_micros(100));
        }
    }

    fn connect(&mut self, port: u16) -> (TcpHandle, TcpHandle) {
        self.connect_to([10, 0, 0, 2].into(), port)
    }

    fn connect_to(&mut self, address: IpAddr, port: u16) -> (TcpHandle, TcpHandle) {
        let [a, b] = &mut self.hosts;
        let any = SocketAddr::from(([0; 16], port));
        let (listener, _) = b.stack.tcp_listen(any, 8).unwrap();
        let client = a.stack.tcp_connect(SocketAddr::new(address, port), None, self.now).unwrap();
        for _ in 0..100 {
            self.step();
            if let Ok((server, _)) = self.hosts[1].stack.tcp_accept(listener) {
                assert_eq!(self.hosts[0].stack.tcp_connected(client), Ok(()));
                return (client, server);
            }
        }
        panic!("no connection: {:?}", self.hosts[0].stack.tcp_state(client));
    }

    /// Sends `data` from host 0 to host 1 and closes; returns what arrived.
    fn transfer(&mut self, client: TcpHandle, server: TcpHandle, data: &[u8]) -> Vec<u8> {
        let (mut sent, mut got, mut buf) = (0, Vec::new(), [0; 5000]);
        for _ in 0..200_000 {
            match self.hosts[0].stack.tcp_write(client, &data[sent..], self.now) {
                Ok(n) if sent < data.len() => {
                    sent += n;
                    if sent == data.len() {
                        self.hosts[0].stack.tcp_shutdown_write(client, self.now).unwrap();
                    }
                }
                _ => {}
            }
            self.step();
            loop {
                match self.hosts[1].stack.tcp_read(server, &mut buf, self.now) {
                    Ok(0) => return got,
                    Ok(n) => got.extend_from_slice(&buf[..n]),
                    Err(Error::WouldBlock) => break,
                    Err(e) => panic!("{e} after {}", got.len()),
                }
            }
        }
        panic!("stuck after {} sent, {} received", sent, got.len());
    }
}

/// A router between two hosts.
#[derive(Clone, Copy)]
enum Router {
    None,
    /// It carries packets of so many bytes, and says so, or something else, or nothing.
    Mtu {
        mtu: usize,
        says: Option<u16>,
    },
}

/// What a congested router does to an ECN-capable IPv4 packet.
fn mark(frame: &mut [u8]) {
    if frame[12..14] != [8, 0] || frame[15] & 3 == 0 {
        return;
    }
    frame[15] |= 3;
    frame[24..26].fill(0);
    let mut sum = crate::wire::Checksum::default();
    sum.add(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.finish().to_be_bytes());
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[test]
fn a_megabyte_arrives_and_both_sides_close() {
    let mut world = World::new();
    let (client, server) = world.connect(7000);
    let data = pattern(1_000_000);
    assert!(world.transfer(client, server, &data) == data);
    assert_eq!(world.hosts[1].stack.tcp_state(server), Ok(State::CloseWait));
    world.hosts[1].stack.tcp_close(server, world.now);
    while world.turn() {
        world.now += Duration::from_micros(500);
    }
    assert_eq!(world.hosts[0].stack.tcp_state(client), Ok(State::Closed));
    assert_eq!(world.hosts[0].stack.tcp_read(client, &mut [0; 1], world.now), Ok(0));
    world.hosts[0].stack.tcp_close(client, world.now);
    assert_eq!(world.hosts[0].stack.tcp_count(), (0, 1), "TIME-WAIT on the side that closed first");
    assert_eq!(world.hosts[1].stack.tcp_count(), (0, 0));
    assert!(world.hosts.iter().all(|h| h.stack.memory().0 == 0), "all memory is back");
    world.now += Duration::from_secs(61);
    world.turn();
    assert_eq!(world.hosts[0].stack.tcp_count(), (0, 0));
}

#[test]
fn loss_is_repaired() {
    let mut world = World::new();
    let (client, server) = world.connect(7000);
    world.lose = |n| n % 23 == 0 || n % 57 == 3;
    let data = pattern(500_000);
    assert!(world.transfer(client, server, &data) == data);
}

/// T08: two stacks that ask for ECN use the accurate form; what is marked arrives, is told, and makes
/// the sender slow down without a loss.
//= rfc9768#3.1.1
#[cfg(feature = "ecn")]
#[test]
fn marks_are_told_and_heard() {
    let mut world = World::new();
    for host in &mut world.hosts {
        host.stack.configure_tcp(|c| c.ecn = crate::Ecn::On).unwrap();
    }
    world.mark = |n| n % 40 == 0;
    let (client, server) = world.connect(7000);
    world.hosts[1].stack.tcp_write(server, b"hello", world.now).unwrap();
    let data = pattern(500_000);
    assert!(world.transfer(client, server, &data) == data);
    let info = |n: usize, handle| world.hosts[n].stack.tcp_info(handle, world.now).unwrap();
    let (sender, receiver) = (info(0, client), info(1, server));
    assert!(sender.ecn && sender.accurate_ecn && receiver.accurate_ecn);
    assert!(receiver.marks_received > 5 && sender.ecn_reductions > 0, "{receiver:?}");
    assert_eq!((sender.timeouts, sender.segments_retransmitted), (0, 0));
}

/// Two worlds in which everything is the same, but that the receiver of the second forgets the flow
/// before each frame: one segment in order, `change`d, and then as it was sent.
fn both_ways(address: IpAddr, checksum: RxChecksum, change: impl Fn(&mut Vec<u8>)) -> [String; 2] {
    [true, false].map(|short| {
        let mut world = World::new();
        let (client, server) = world.connect_to(address, 7);
        let mut seen = String::new();
        let mut deliver = |world: &mut World, frame: &[u8], checksum| {
            let Host { stack, id, .. } = &mut world.hosts[1];
            if !short {
                stack.flow = Holder::Empty;
            }
            let known = !stack.flow.is_empty();
            stack.on_frame(*id, RxFrame { checksum, ..RxFrame::plain(&[frame]) }, world.now);
            stack.check();
            let mut buf = [0; 64];
            let read = stack.tcp_read(server, &mut buf, world.now);
            let counters = stack.counters();
            seen += &format!("{read:?} {buf:?} {:?} {counters:?}", stack.tcp_state(server));
            known
        };
        for text in [&b"first"[..], b"and second"] {
            world.hosts[0].stack.tcp_write(client, text, world.now).unwrap();
            let Host { stack, id, out } = &mut world.hosts[0];
            stack.egress(*id, out, world.now);
            let frame = out.frames.pop_front().unwrap();
            if text.len() > 5 {
                let mut changed = frame.clone();
                change(&mut changed);
                assert_eq!(deliver(&mut world, &changed, checksum), short);
            }
            deliver(&mut world, &frame, RxChecksum::Unchecked);
            (0..4).for_each(|_| world.step());
        }
        let Host { stack, .. } = &world.hosts[1];
        seen + &format!("{:?} {:?}", stack.counters(), world.hosts[0].stack.counters())
    })
}

/// A frame of the flow of the one before comes to the same as without that, whatever was done to it.
#[test]
fn the_flow_is_only_a_short_way() {
    for address in [[10, 0, 0, 2].into(), crate::ip::link_local_from(Mac([2, 0, 0, 0, 0, 2])).into()] {
        for (at, bit) in (0..100).flat_map(|at| [(at, 1), (at, 0x10)]) {
            let flip = |frame: &mut Vec<u8>| {
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= bit;
                }
            };
            for checksum in [RxChecksum::Unchecked, RxChecksum::Valid, RxChecksum::Bad] {
                let [short, long] = both_ways(address, checksum, flip);
                assert_eq!(short, long, "bit {bit:#x} of byte {at}, {checksum:?}");
            }
            let [short, long] = both_ways(address, RxChecksum::Valid, |frame| frame.truncate(at));
            assert_eq!(short, long, "{at} bytes");
        }
    }
}

/// Addresses that come or go end the flow.
#[test]
fn a_flow_ends_with_its_address() {
    let mut world = World::new();
    let (client, _) = world.connect(7);
    let send = |world: &mut World| {
        world.hosts[0].stack.tcp_write(client, b"text", world.now).unwrap();
        (0..3).for_each(|_| world.step());
        world.hosts[1].stack.counters().drops(Drop::Ipv4NotForUs)
    };
    assert_eq!(send(&mut world), 0);
    let Host { stack, id, .. } = &mut world.hosts[1];
    assert!(!stack.flow.is_empty());
    stack.remove_address(*id, [10, 0, 0, 2].into(), world.now).unwrap();
    assert_ne!(send(&mut world), 0);
}

/// H184: memory that comes back by a call that is no part of TCP asks for a turn, which wakes the
/// writer that waits for it.
#[test]
fn memory_from_elsewhere_wakes_a_writer() {
    let mut world = World::new();
    let (client, _) = world.connect(7);
    let mut hog = crate::base::pool::Chain::new();
    let count = std::sync::Arc::new(Woken::default());
    let Host { stack, .. } = &mut world.hosts[0];
    let most = stack.pool.available();
    assert!(hog.reserve(&mut stack.pool, most, crate::base::pool::Need::Control));
    assert_eq!(stack.tcp_write(client, b"text", world.now), Err(Error::WouldBlock));
    stack.tcp_register(client, Readiness::Writable, &count.clone().into(), world.now);
    while world.turn() {}
    let Host { stack, .. } = &mut world.hosts[0];
    assert_ne!(stack.next_deadline(world.now), Some(world.now));
    hog.clear(&mut stack.pool);
    assert_eq!(stack.next_deadline(world.now), Some(world.now));
    stack.on_timers(world.now);
    wake(stack);
    assert!(count.0.load(core::sync::atomic::Ordering::Relaxed));
    assert_ne!(stack.next_deadline(world.now), Some(world.now));
}

/// What concerns all connections finds each: an interface that goes, a program that ends, and what it left.
#[test]
fn every_connection_is_found() {
    let mut world = World::new();
    let clients = [7, 8, 9].map(|port| world.connect(port).0);
    let Host { stack, id, .. } = &mut world.hosts[0];
    stack.remove_interface(*id, world.now).unwrap();
    for client in clients {
        assert_eq!(stack.tcp_read(client, &mut [0], world.now), Err(Error::DeviceGone));
    }

    let mut world = World::new();
    let clients = [7, 8, 9].map(|port| world.connect(port).0);
    let stack = &mut world.hosts[0].stack;
    for client in clients {
        stack.tcp_write(client, b"text", world.now).unwrap();
    }
    stack.tcp_let_go_of_all(world.now);
    assert_eq!(stack.tcp_undelivered(), (3, 3 * 4));
    stack.tcp_abort_undelivered(world.now);
    assert_eq!((stack.tcp_undelivered(), stack.tcp_count().0), ((0, 0), 0));
}

/// An orphan gives way to a new connection where the table is full, and not to segments of those that are there.
#[test]
fn an_orphan_outlives_the_traffic_of_others() {
    let mut world = full_tables();
    let (reader, orphan) = world.connect(1);
    let (client, server) = world.connect(2);
    let stack = &mut world.hosts[1].stack;
    let written = stack.tcp_write(orphan, &[7; 200_000], world.now).unwrap();
    stack.tcp_close(orphan, world.now);
    let mut got = 0;
    for _ in 0..10_000 {
        world.hosts[0].stack.tcp_write(client, b"text", world.now).unwrap();
        world.step();
        let _ = world.hosts[1].stack.tcp_read(server, &mut [0; 64], world.now);
        match world.hosts[0].stack.tcp_read(reader, &mut [0; 1000], world.now) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(Error::WouldBlock) => {}
            Err(error) => panic!("{error} after {got} bytes"),
        }
    }
    assert_eq!(got, written);
}

/// H177: connections do not outlive the interface that they go through; who waits is told.
#[test]
fn connections_end_with_their_interface() {
    let mut world = World::new();
    let (client, _) = world.connect(7);
    let count = std::sync::Arc::new(Woken::default());
    let Host { stack, id, .. } = &mut world.hosts[0];
    stack.tcp_register(client, Readiness::Readable, &count.clone().into(), world.now);
    stack.remove_interface(*id, world.now).unwrap();
    wake(stack);
    assert!(count.0.load(core::sync::atomic::Ordering::Relaxed));
    assert_eq!(stack.tcp_read(client, &mut [0], world.now), Err(Error::DeviceGone));
}

/// An IPv4 address in mapped form, as sockets of both families give it, stands for itself. A zone
/// that is none is refused (H171).
#[test]
fn mapped_addresses_and_zones() {
    let mut world = World::new();
    let (client, server) = world.connect_to(IpAddr::V6("::ffff:10.0.0.2".parse().unwrap()), 7);
    let (_, remote) = world.hosts[0].stack.tcp_addresses(client).unwrap();
    assert_eq!(remote, SocketAddr::from(([10, 0, 0, 2], 7)));
    let (local, _) = world.hosts[1].stack.tcp_addresses(server).unwrap();
    assert_eq!(local, remote);
    let stack = &mut world.hosts[0].stack;
    let mapped = |port| SocketAddr::new("::ffff:10.0.0.1".parse().unwrap(), port);
    assert!(stack.tcp_listen(mapped(9), 1).is_ok());
    assert_eq!(stack.tcp_listen(SocketAddr::from(([10, 0, 0, 1], 9)), 1), Err(Error::AddrInUse));
    let nowhere = "[fe80::1%99]:7".parse().unwrap();
    assert!(matches!(stack.tcp_connect(nowhere, None, world.now), Err(Error::InvalidInput(_))));
}

/// Two connections fill the tables.
fn full_tables() -> World {
    let mut world = World::new();
    for host in &mut world.hosts {
        let id = host.id;
        let last = host.out.capabilities.mac.0[5];
        // One of the server's is for its own connects.
        let limits = Limits { connections: 1 + usize::from(last), ..Limits::default() };
        host.stack = Stack::new(Storage::heap(&limits), [last; 32]);
        assert_eq!(host.stack.add_interface(host.out.capabilities), Ok(id));
        let address = Cidr::new(IpAddr::from([10, 0, 0, last]), 24).unwrap();
        host.stack.add_address(id, address, Instant::ZERO).unwrap();
    }
    world
}

/// H019: with a full table, a new connection takes the place of the one that nobody has held for the
/// longest, actively or passively; one that somebody holds keeps it.
#[test]
fn orphans_make_room() {
    let mut world = full_tables();
    let (first, served) = world.connect(1);
    let (held, _) = world.connect(2);
    let remote = SocketAddr::from(([10, 0, 0, 2], 2));
    let now = world.now;
    let [client, server] = &mut world.hosts;
    assert_eq!(client.stack.tcp_connect(remote, None, now), Err(Error::TooManySockets));
    client.stack.tcp_close(first, now);
    server.stack.tcp_close(served, now);
    let third = client.stack.tcp_connect(remote, None, now).unwrap();
    while world.turn() {}
    let stack = &world.hosts[0].stack;
    assert_eq!((stack.tcp_connected(held), stack.tcp_connected(third)), (Ok(()), Ok(())));
    assert_eq!(stack.tcp_connected(first), Err(Error::StaleHandle));
    assert_eq!(stack.tcp_count().0, 2);
}

#[derive(Default)]
struct Woken(core::sync::atomic::AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, core::sync::atomic::Ordering::Relaxed);
    }
}

/// Two listeners never take the same connection; those of different families stand side by side.
#[test]
fn listeners_that_overlap_are_refused() {
    let mut listen = {
        let mut host = host(1);
        move |local: &str| host.stack.tcp_listen(local.parse().unwrap(), 8).map(|(_, port)| port)
    };
    assert_eq!(listen("0.0.0.0:80"), Ok(80));
    assert_eq!(listen("10.0.0.1:80"), Err(Error::AddrInUse));
    assert_eq!(listen("[::]:80"), Err(Error::AddrInUse));
    assert_eq!(listen("[::ffff:10.0.0.1]:80"), Err(Error::AddrInUse));
    assert_eq!(listen("[fe80::ff:fe00:1]:80"), Ok(80));
    assert_eq!(listen("10.0.0.1:81"), Ok(81));
    assert_eq!(listen("0.0.0.0:81"), Err(Error::AddrInUse));
    assert_eq!(listen("10.0.0.9:82"), Err(Error::AddrNotAvailable));
}

/// T13, H058: a SYN cookie from end to end: the client notices nothing, and both are counted.
#[cfg(feature = "syn-cookies")]
#[test]
fn a_cookie_from_end_to_end() {
    let mut w = World::new();
    w.hosts[1].stack.configure_tcp(|c| c.syn_cookies = crate::SynCookies::Always).unwrap();
    let (client, server) = w.connect(80);
    let handshakes = w.hosts[1].stack.counters().handshakes;
    assert_eq!((handshakes.cookies_sent, handshakes.cookies_accepted, handshakes.gave_way), (1, 1, 0));
    let data = pattern(300_000);
    assert_eq!(w.transfer(client, server, &data), data);
}

/// S5, H011: a thousand SYNs come before the first `accept`. Where the backlog has room for them all are
/// answered at once.
#[test]
fn a_burst_of_syns() {
    let mut w = World::new();
    let (listener, _) = w.hosts[1].stack.tcp_listen(SocketAddr::from(([0; 16], 80)), 1024).unwrap();
    let to = SocketAddr::from(([10, 0, 0, 2], 80));
    let connect = |_| w.hosts[0].stack.tcp_connect(to, None, w.now).unwrap();
    let _clients: Vec<_> = (0..1000).map(connect).collect();
    // A second later SYNs would be sent again.
    let end = w.now + Duration::from_millis(900);
    while w.now < end && w.hosts[1].stack.counters().tcp.received.packets < 2000 {
        w.step();
    }
    let accepted = (0..1000).filter(|_| w.hosts[1].stack.tcp_accept(listener).is_ok()).count();
    let handshakes = w.hosts[1].stack.counters().handshakes;
    assert_eq!((accepted, handshakes.cookies_sent), (1000, 0));
}

/// T09: from the second connection on the request goes with the SYN, and the answer is there after
/// one round trip; also if the SYN, or the SYN-ACK, is lost.
//= rfc7413#3
#[cfg(feature = "fast-open")]
#[test]
fn fast_open_saves_a_round_trip() {
    use crate::counters::TcpCount;
    let options = TcpOptions { fast_open: true, fast_open_backlog: 4, ..TcpOptions::default() };
    let ask = |lose: fn(usize) -> bool| {
        let mut world = World::new();
        for host in &mut world.hosts {
            host.stack.configure_tcp(|c| c.options = options).unwrap();
        }
        let to = SocketAddr::from(([10, 0, 0, 2], 7000));
        let (listener, _) = world.hosts[1].stack.tcp_listen(to, 8).unwrap();
        let mut took = [0; 2];
        for (turn, took) in took.iter_mut().enumerate() {
            let start = world.now;
            if turn == 1 {
                (world.lose, world.passed) = (lose, 0);
            }
            let client = world.hosts[0].stack.tcp_connect(to, None, start).unwrap();
            world.hosts[0].stack.tcp_write(client, &pattern(1000), start).unwrap();
            let (mut server, mut buf) = (None, [0; 2000]);
            while world.hosts[0].stack.tcp_read(client, &mut buf, world.now) != Ok(500) {
                world.step();
                let stack = &mut world.hosts[1].stack;
                server = server.or(stack.tcp_accept(listener).ok().map(|(server, _)| server));
                if let Some(server) = server
                    && let Ok(n) = stack.tcp_read(server, &mut buf, world.now)
                {
                    assert_eq!(buf[..n], pattern(1000));
                    stack.tcp_write(server, &pattern(500), world.now).unwrap();
                }
            }
            *took = world.now.since(start).micros();
            assert_eq!(buf[..500], pattern(500));
            world.hosts[0].stack.tcp_close(client, world.now);
            world.hosts[1].stack.tcp_close(server.unwrap(), world.now);
            (0..20).for_each(|_| world.step());
        }
        assert!(world.hosts.iter().all(|h| h.stack.memory().0 == 0), "all memory is back");
        let count = |host: usize, what| world.hosts[host].stack.tcp_counts().get(what);
        (took, count(0, TcpCount::FastOpensActive), count(1, TcpCount::FastOpensPassive))
    };
    let ([plain, fast], active, passive) = ask(|_| false);
    assert!(plain >= fast + 1000 && (active, passive) == (1, 1), "{plain} µs, then {fast}: a way is 500 µs");
    assert_eq!(ask(|n| n == 1).2, 0, "the SYN is lost, and goes again without text");
    let ([_, took], _, passive) = ask(|n| n == 2);
    assert!(took > 900_000 && passive == 1, "the SYN-ACK is lost: {took} µs");
}
