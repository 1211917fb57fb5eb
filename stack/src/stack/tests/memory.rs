//! Who gets memory when there is little left, and what is left for the others.

use core::net::SocketAddr;

use super::*;
use crate::counters::TcpCount;
use crate::tcp::{State, TcpOptions};
use crate::time::Duration;
use crate::udp::DatagramKind;

const PORT: u16 = 80;
const KIB: usize = 1024;

fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(v4(last), port)
}

/// A host with so much memory, in blocks of this length.
fn host_with(last: u8, memory: usize, block_len: usize) -> Host {
    let device = Wire::new(last);
    let limits = Limits { memory, block_len, ..Limits::default() };
    let mut stack = Stack::new(Storage::heap(&limits), [last; 32]);
    let id = stack.add_interface(device.capabilities()).unwrap();
    stack.add_address(id, Cidr { address: v4(last), prefix_len: 24 }, Instant::ZERO).unwrap();
    Host { stack, device, id }
}

/// Time passes, and both hosts do what is due.
fn run(a: &mut Host, b: &mut Host, now: &mut Instant, ms: u64) {
    let end = *now + Duration::from_millis(ms);
    loop {
        settle(a, b, *now);
        let due = [&a, &b].map(|host| host.stack.next_deadline(*now));
        let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= end) else { break };
        *now = (*now).max(next);
        for host in [&mut *a, &mut *b] {
            host.stack.on_timers(*now);
            host.stack.check();
        }
    }
    *now = end;
}

/// Everything that a stranger needs of `host`: its address by ARP and NDP, an answer to an echo request, a
/// connection; and everything that `host` needs of a stranger.
fn serves_a_stranger(host: &mut Host, now: &mut Instant, what: &str) {
    let mut stranger = Host::new(9);
    for to in [v4(1), host.link_local()] {
        ping(&mut stranger, to);
        settle(&mut stranger, host, *now);
    }
    let replies = stranger.stack.counters().icmp.received.packets;
    assert!(replies >= 3, "{what}: echo over IPv4, NDP, and echo over IPv6: {replies}");
    let theirs = stranger.stack.tcp_connect(at(1, PORT), None, *now).unwrap();
    let (listener, _) = stranger.stack.tcp_listen(at(9, PORT), 1).unwrap();
    let ours = host.stack.tcp_connect(at(9, PORT), None, *now).unwrap();
    run(host, &mut stranger, now, 10);
    assert_eq!(stranger.stack.tcp_state(theirs), Ok(State::Established), "{what}: its connect");
    assert_eq!(host.stack.tcp_state(ours), Ok(State::Established), "{what}: our connect");
    // A little text each way, also where it has to be asked for room.
    let accepted = stranger.stack.tcp_accept(listener).unwrap().0;
    host.stack.tcp_write(ours, b"ours", *now).unwrap();
    stranger.stack.tcp_write(accepted, b"theirs", *now).unwrap();
    run(host, &mut stranger, now, 5_000);
    let mut buf = [0; 10];
    assert_eq!(stranger.stack.tcp_read(accepted, &mut buf, *now), Ok(4), "{what}");
    assert_eq!(host.stack.tcp_read(ours, &mut buf, *now), Ok(6), "{what}");
    host.stack.tcp_abort(ours, *now);
    run(host, &mut stranger, now, 10);
}

/// Fills the pool of the first host with what one consumer takes.
type Consumer = fn(&mut Host, &mut Host, &mut Instant);

fn unread_datagrams(a: &mut Host, b: &mut Host, now: &mut Instant) {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let socket = b.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap();
    for port in 1..20 {
        a.stack.datagram_bind(DatagramKind::Udp, at(1, port), false).unwrap();
        while drops(a).is_empty() || port < 20 {
            let before = drops(a);
            b.stack.datagram_send(socket, Some(at(1, port)), &[7; 1_000], None, *now).unwrap();
            settle(a, b, *now);
            if drops(a) != before {
                break;
            }
        }
    }
}

fn packets_for_nobody(a: &mut Host, b: &mut Host, now: &mut Instant) {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let socket = a.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap();
    for n in 0..400u16 {
        let _ = a.stack.datagram_send(socket, Some(at(100 + (n % 100) as u8, 7)), &[7; 1_000], None, *now);
    }
    settle(a, b, *now);
}

/// Connections of both ends.
fn connected(a: &mut Host, b: &mut Host, now: &mut Instant) -> Vec<(TcpHandle, TcpHandle)> {
    let (listener, port) = b.stack.tcp_listen(at(2, 0), 8).unwrap();
    let mut open = || {
        let ours = a.stack.tcp_connect(at(2, port), None, *now).unwrap();
        run(a, b, now, 10);
        (ours, b.stack.tcp_accept(listener).unwrap().0)
    };
    (0..20).map(|_| open()).collect()
}

fn text_that_nobody_takes(a: &mut Host, b: &mut Host, now: &mut Instant) {
    let all = connected(a, b, now);
    for _ in 0..200 {
        for (ours, _) in &all {
            let _ = a.stack.tcp_write(*ours, &[7; 1_000], *now);
        }
        run(a, b, now, 50);
    }
}

fn text_that_nobody_reads(a: &mut Host, b: &mut Host, now: &mut Instant) {
    for (_, theirs) in connected(a, b, now) {
        for _ in 0..100 {
            let _ = b.stack.tcp_write(theirs, &[7; 1_000], *now);
            run(a, b, now, 50);
        }
    }
}

/// H239: a floor for each purpose: whoever fills the pool, questions are answered, and connections come about
/// and carry text.
#[test]
fn whoever_fills_the_pool_others_are_served() {
    let consumers: [(&str, Consumer); 4] = [
        ("unread datagrams", unread_datagrams),
        ("packets for nobody", packets_for_nobody),
        ("text that nobody takes", text_that_nobody_takes),
        ("text that nobody reads", text_that_nobody_reads),
    ];
    for (memory, block_len) in [(512 * KIB, 16 * KIB), (64 * KIB, 512), (32 * KIB, 2 * KIB)] {
        for (what, fill) in consumers {
            let what = format!("{what} in {memory} bytes of {block_len}");
            let (mut a, mut b, mut now) = (host_with(1, memory, block_len), Host::new(2), T0);
            a.stack.tcp_listen(at(1, PORT), 8).unwrap();
            fill(&mut a, &mut b, &mut now);
            serves_a_stranger(&mut a, &mut now, &what);
            assert_eq!(a.stack.counters().drops(Drop::TcpNoMemory), 0, "{what}");
        }
    }
}

/// Three blocks are enough for a connection, both ways; with fewer there is none, and that is said.
#[test]
fn three_blocks_are_enough() {
    for blocks in 0..3 {
        let mut a = host_with(1, blocks * 512, 512);
        assert_eq!(a.stack.tcp_listen(at(1, PORT), 8), Err(Error::OutOfMemory));
        assert_eq!(a.stack.tcp_connect(at(2, PORT), None, T0), Err(Error::OutOfMemory));
    }
    let (mut a, mut b, mut now) = (host_with(1, 3 * 512, 512), Host::new(2), T0);
    let (listener, _) = a.stack.tcp_listen(at(1, PORT), 8).unwrap();
    let theirs = b.stack.tcp_connect(at(1, PORT), None, now).unwrap();
    run(&mut a, &mut b, &mut now, 10);
    let ours = a.stack.tcp_accept(listener).unwrap().0;
    let (mut sent, mut echoed, mut buf) = (0, 0, [0; 400]);
    for _ in 0..200 {
        sent += b.stack.tcp_write(theirs, &[7; 5_000][sent.min(5_000)..], now).unwrap_or(0);
        if a.stack.tcp_is_ready(ours, Readiness::Writable, now) == Ok(true)
            && let Ok(n) = a.stack.tcp_peek(ours, &mut buf, now)
        {
            let n = a.stack.tcp_write(ours, &buf[..n], now).unwrap();
            assert_eq!(a.stack.tcp_read(ours, &mut buf[..n], now), Ok(n));
        }
        run(&mut a, &mut b, &mut now, 300);
        echoed += b.stack.tcp_read(theirs, &mut buf, now).unwrap_or(0);
    }
    assert_eq!((sent, echoed), (5_000, 5_000));
    ping(&mut b, v4(1));
    settle(&mut a, &mut b, now);
    assert_eq!(a.stack.counters().drops(Drop::TcpNoMemory), 0);
}

/// Clients that ask and do not read, so that most of what is written waits.
fn hold_closed_windows(
    a: &mut Host,
    b: &mut Host,
    listener: ListenerHandle,
    now: &mut Instant,
    clients: u16,
) -> Vec<TcpHandle> {
    let options = TcpOptions { receive_buffer: Some(2_048), ..TcpOptions::default() };
    let mut held = vec![];
    for _ in 0..clients {
        let theirs = b.stack.tcp_connect_with(at(1, PORT), None, Some(&options), *now).unwrap();
        settle(a, b, *now);
        b.stack.tcp_write_whole(theirs, &[7; 216], *now).unwrap();
        settle(a, b, *now);
        let ours = a.stack.tcp_accept(listener).unwrap().0;
        assert_eq!(a.stack.tcp_read(ours, &mut [0; 2_000], *now), Ok(216));
        let mut left = 20_000;
        while left > 0
            && let Ok(n) = a.stack.tcp_write(ours, &[8; 2_500][..left.min(2_500)], *now)
        {
            left -= n;
            settle(a, b, *now);
        }
        assert!(left < 20_000);
        held.push(ours);
    }
    held
}

/// A request and its answer; how many round trips it takes.
fn ask(a: &mut Host, b: &mut Host, listener: ListenerHandle, now: Instant) -> usize {
    let theirs = b.stack.tcp_connect(at(1, PORT), None, now).unwrap();
    let (mut trips, mut got, mut ours, mut left, mut asked) = (0, 0, None, 3_000, false);
    while got < 3_000 && trips < 100 {
        // A client that is short of memory itself takes no text before its peer has answered.
        asked = asked || b.stack.tcp_write(theirs, &[7; 200], now) == Ok(200);
        b.output(now).iter().for_each(|frame| a.input(frame, now));
        if ours.is_none() {
            ours = a.stack.tcp_accept(listener).ok().map(|(handle, _)| handle);
        }
        if let Some(ours) = ours
            && (left < 3_000 || a.stack.tcp_read(ours, &mut [0; 2_000], now) == Ok(200))
        {
            left -= a.stack.tcp_write(ours, &[8; 3_000][..left], now).unwrap_or(0);
        }
        a.output(now).iter().for_each(|frame| b.input(frame, now));
        got += b.stack.tcp_read(theirs, &mut [0; 4_000], now).unwrap_or(0);
        trips += 1;
    }
    trips
}

/// H238: clients that hold a closed window each take little: all are held, and a new one is served as without
/// them. In the proportion of the default limits, where they are 10,000.
#[test]
fn clients_that_do_not_read_are_held() {
    let (mut a, mut b, mut now) = (host_with(1, 2 << 20, 16 * KIB), Host::new(2), T0);
    let (listener, _) = a.stack.tcp_listen(at(1, PORT), 1_000).unwrap();
    let alone = ask(&mut a, &mut b, listener, now);
    let held = hold_closed_windows(&mut a, &mut b, listener, &mut now, 1_250);
    run(&mut a, &mut b, &mut now, 3_000);
    let (in_use, promised) = (a.stack.pool.in_use(), a.stack.pool.promised());
    assert!(in_use + promised <= (2 << 20) * 7 / 8, "{in_use} bytes in use, {promised} promised");
    for ours in &held {
        assert_eq!(a.stack.tcp_state(*ours), Ok(State::Established));
    }
    assert_eq!(a.stack.tcp_counts().get(TcpCount::StalledGaveWay), 0);
    let beside = ask(&mut a, &mut b, listener, now);
    assert!(beside <= alone, "{beside} round trips, {alone} without them");
}

/// Simulator seed 119542: a window is a promise that can't be taken back, so the one that a connection used,
/// and keeps while it idles, must leave one for the next, in pools of few blocks too.
#[test]
fn an_idle_connection_leaves_a_window_for_others() {
    for blocks in [4, 5, 6, 8] {
        let (mut a, mut b, mut now) = (host_with(1, blocks * 508, 508), Host::new(2), T0);
        let (listener, _) = a.stack.tcp_listen(at(1, PORT), 8).unwrap();
        for number in 0..2 {
            let theirs = b.stack.tcp_connect(at(1, PORT), None, now).unwrap();
            run(&mut a, &mut b, &mut now, 10);
            let ours = a.stack.tcp_accept(listener).unwrap().0;
            assert_eq!(b.stack.tcp_write(theirs, &[7; 20_000], now), Ok(20_000));
            let (mut got, patience) = (0, now + Duration::from_secs(100));
            while got < 20_000 && now < patience {
                run(&mut a, &mut b, &mut now, 10);
                got += a.stack.tcp_read(ours, &mut [0; 2_000], now).unwrap_or(0);
            }
            assert_eq!(got, 20_000, "{blocks} blocks, connection {number}");
        }
    }
}

/// Only who holds text gives way to others: the end of a connection with but a FIN left frees nothing, and
/// loses it.
#[test]
fn a_fin_at_a_closed_window_gives_no_way() {
    let (mut a, mut b, mut now) = (host_with(1, 16 * 512, 512), Host::new(2), T0);
    let (listener, _) = a.stack.tcp_listen(at(1, PORT), 8).unwrap();
    let options = TcpOptions { receive_buffer: Some(1_000), ..TcpOptions::default() };
    let theirs = b.stack.tcp_connect_with(at(1, PORT), None, Some(&options), now).unwrap();
    run(&mut a, &mut b, &mut now, 10);
    let ours = a.stack.tcp_accept(listener).unwrap().0;
    assert_eq!(a.stack.tcp_write(ours, &[7; 1_000], now), Ok(1_000));
    run(&mut a, &mut b, &mut now, 1_000);
    a.stack.tcp_shutdown_write(ours, now).unwrap();
    text_that_nobody_takes(&mut a, &mut b, &mut now);
    run(&mut a, &mut b, &mut now, 10_000);
    assert!(a.stack.tcp_counts().get(TcpCount::StalledGaveWay) > 0);
    assert_eq!(a.stack.tcp_state(ours), Ok(State::FinWait1));
    let mut got = 0;
    while let Ok(n @ 1..) = b.stack.tcp_read(theirs, &mut [0; 4_000], now) {
        got += n;
        run(&mut a, &mut b, &mut now, 60_000);
    }
    assert_eq!((got, b.stack.tcp_state(theirs)), (1_000, Ok(State::CloseWait)));
}
