//! What a connection takes, and what happens when there is no room.

use super::*;
use crate::base::demux::Bucket;
use crate::tcp::connection::tcb::Dropped;
use crate::tcp::{Opened, Place, TimeWaitEntry};

/// Bytes that an idle connection takes at most, with everything that leads to it.
const IDLE_MOST: usize = 256;
/// And one in TIME-WAIT.
const TIME_WAIT_MOST: usize = 64;
/// Just after it has grown, the demux has so many places for each entry.
const BUCKETS_PER_ENTRY: f64 = 8.0 / 3.0;

/// R03: the place of a connection holds all that one that idles has.
#[test]
fn an_idle_connection_is_small() {
    let demux = (size_of::<Bucket>() as f64 * BUCKETS_PER_ENTRY).ceil() as usize;
    let place = size_of::<Slot<Place>>();
    assert!(place + demux <= IDLE_MOST, "{place} bytes, and {demux} in the demux");
}

/// T13, H018: and that of one in TIME-WAIT.
#[test]
fn one_in_time_wait_is_smaller() {
    let demux = (size_of::<Bucket>() as f64 * BUCKETS_PER_ENTRY).ceil() as usize;
    let record = size_of::<TimeWaitEntry>();
    assert!(record + demux <= TIME_WAIT_MOST, "{record} bytes, and {demux} in the demux");
}

/// Is the connection of the bench parked?
fn is_parked(b: &Bench) -> bool {
    b.tcp.connection(b.key.unwrap()).unwrap();
    b.tcp.at(b.key.unwrap().index).is_none()
}

/// R03: one that has moved data both ways, with all options, is parked when everything is
/// acknowledged and read, and not before. A segment, a call and a timer find it.
#[cfg(feature = "parking")]
#[test]
fn what_idles_is_parked_and_what_happens_finds_it() {
    let mut b = Bench::server_with(TcpConfig::default(), syn().mss(1460).scale(7).ts(1, 0));
    assert!(is_parked(&b));
    b.get(data(1, 1, &pattern(1000)).ts(2, 1));
    assert!(!is_parked(&b), "an acknowledgment is pending_ack, and payload was not read");
    b.out();
    assert!(!is_parked(&b));
    b.read(2000).unwrap();
    assert!(is_parked(&b));
    b.write(&pattern(3000)).unwrap();
    assert_eq!(b.out().len(), 3);
    assert!(!is_parked(&b));
    b.advance(5);
    b.get(ack(1001, 3001).ts(3, 10_005));
    assert!(is_parked(&b));
    b.advance(100_000);
    assert_eq!((is_parked(&b), b.state()), (true, State::Established));
    b.get(fin(1001, 3001).ts(4, 10_005));
    assert_eq!(b.out().len(), 1);
    assert_eq!((is_parked(&b), b.state()), (true, State::CloseWait));
    assert_eq!(b.read(1), Ok(vec![]));
    assert_eq!((is_parked(&b), b.connected()), (true, Ok(())), "looking at it leaves it as it is");
    b.shutdown();
    assert_eq!(b.out().len(), 1);
    assert_eq!((is_parked(&b), b.state()), (false, State::LastAck));
}

/// R02, H199: with memory for one connection in use and that one busy, the others wait: their peers
/// are not heard, nothing is lost, and they go on when it rests.
#[cfg(feature = "parking")]
#[test]
fn with_no_room_for_another_in_use_it_waits() {
    let mut b = Bench::with_room(without_cookies(), ManagedSlice::Borrowed(Vec::leak(vec![Slot::EMPTY])));
    b.listener = Some(b.tcp.listen(core::net::Ipv4Addr::UNSPECIFIED.into(), PORT, 4, false).unwrap().0);
    let mut opened = [0, 1].map(|n| {
        b.tuple.remote_port = PEER_PORT + n;
        b.get(syn());
        b.out();
        b.get(ack(1, 1));
        b.accept();
        (b.tuple, b.key, b.iss)
    });
    let mut switch = |b: &mut Bench| {
        (b.tuple, b.key, b.iss) = opened[0];
        opened.swap(0, 1);
    };
    b.write(b"busy").unwrap();
    b.out();
    switch(&mut b);
    assert_eq!(b.get(data(1, 1, b"not heard")), Some(Refused::TableFull));
    assert_eq!(b.write(b"no"), Err(Error::OutOfMemory));
    assert_eq!((b.read(10), b.state()), (Err(Error::WouldBlock), State::Established));
    b.tuple.remote_port += 2;
    assert_eq!(b.get(syn()), Some(Refused::TableFull));
    switch(&mut b);
    b.get(ack(1, 5));
    switch(&mut b);
    assert_eq!(b.get(data(1, 1, b"heard")), None);
    assert_eq!(b.read(10), Ok(b"heard".to_vec()));
    assert_eq!(b.write(b"yes"), Ok(3));
}

/// H019: letting go of a connection that can't be finished resets it.
#[cfg(feature = "parking")]
#[test]
fn with_no_room_letting_go_is_a_reset() {
    let mut b = Bench::with_room(without_cookies(), ManagedSlice::Borrowed(Vec::leak(vec![Slot::EMPTY])));
    b.listener = Some(b.tcp.listen(core::net::Ipv4Addr::UNSPECIFIED.into(), PORT, 4, false).unwrap().0);
    b.get(syn());
    b.out();
    b.get(ack(1, 1));
    b.accept();
    b.tuple.remote_port += 1;
    b.get(syn());
    assert_eq!(b.close(), Some(Reset { seq: b.iss + 1, ack: Some(PEER_ISS + 1), timestamps: None }));
    assert_eq!(b.tcp.len(), 1);
}

/// H183: whichever place of the working set has a connection at rest, it gives way to one that is needed.
#[cfg(feature = "parking")]
#[test]
fn any_place_of_the_working_set_gives_way() {
    let active = Vec::leak((0..4).map(|_| Slot::EMPTY).collect());
    let mut b = Bench::with_room(quiet(), ManagedSlice::Borrowed(active));
    let connect = |b: &mut Bench, port| {
        let tuple = Tuple { local_port: 0, remote_port: port, ..b.tuple };
        b.tcp.connect(tuple, b.interface, MTU, None, b.now, &mut b.pool)
    };
    // The first place is busy with a SYN that nobody answers.
    connect(&mut b, 1).unwrap();
    b.out();
    b.listener = Some(b.tcp.listen(core::net::Ipv6Addr::UNSPECIFIED.into(), PORT, 4, false).unwrap().0);
    let idle: Vec<Key> = (1..=3)
        .map(|port| {
            (b.tuple.remote_port, b.iss) = (port, Seq(0));
            b.get(syn());
            b.out();
            b.get(ack(1, 1));
            b.accept();
            b.key.unwrap()
        })
        .collect();
    for key in &idle {
        assert!(b.tcp.connections.activate(key.index, b.now));
    }
    assert!(connect(&mut b, 2).is_ok());
    b.tcp.check(&b.pool);
    assert!(idle.iter().all(|key| b.tcp.connection(*key).is_some()));
}

/// H019: in a full table the oldest connection that nobody holds gives way, if its going makes a place for the new
/// one: what peers opened has a share of its own.
#[test]
fn which_orphan_gives_way() {
    for ours_is_older in [false, true] {
        let mut b = Bench::listening(without_cookies(), 8);
        let ours = |b: &mut Bench| {
            let tuple = Tuple { local_port: 7, remote_port: 7, ..b.tuple };
            let (key, theirs) =
                (b.tcp.connect(tuple, b.interface, MTU, None, b.now, &mut b.pool).unwrap(), b.tuple);
            (b.key, b.tuple) = (Some(key), tuple);
            b.out();
            b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
            b.out();
            let_go_with_text(b);
            b.tuple = theirs;
            key
        };
        let own = ours_is_older.then(|| ours(&mut b));
        let mut theirs = vec![];
        for port in 1..=7 {
            assert_eq!(b.tcp.evictable(Opened::ByPeer, b.now), None);
            (b.tuple.remote_port, b.iss) = (port, Seq(0));
            b.get(syn());
            b.out();
            b.get(ack(1, 1));
            b.accept();
            theirs.push(b.key.unwrap());
            if port == 1 {
                let_go_with_text(&mut b);
            }
        }
        let by_peer = b.tcp.evictable(Opened::ByPeer, b.now);
        match own {
            Some(own) => assert_eq!((by_peer, b.tcp.evictable(Opened::ByUs, b.now)), (None, Some(own))),
            None => assert_eq!((by_peer, b.tcp.evictable(Opened::ByUs, b.now)), (Some(theirs[0]), None)),
        }
    }
}

/// The application lets go while the peer has yet to acknowledge something.
fn let_go_with_text(b: &mut Bench) {
    b.write(b"last").unwrap();
    b.out();
    assert_eq!(b.close(), None);
    b.out();
}

/// H237: the heap gives less than the pool was promised, and payload inside the window finds no memory. The peer is
/// told that the window is closed, and so asks with patience, where in silence it would give up. It opens at
/// a probe that finds memory, and when the heap has some again.
#[test]
fn a_heap_that_fails_closes_the_window() {
    use std::cell::Cell;
    std::thread_local!(static GIVES: Cell<u32> = const { Cell::new(0) });
    fn take(bytes: usize) -> Option<Box<[u8]>> {
        GIVES.set(GIVES.get().checked_sub(1)?);
        Some(vec![0; bytes].into())
    }
    for heals in [false, true] {
        let mut b = Bench::listening(quiet(), 4);
        (b.pool, b.tcp.settings.config.receive_buffer) = (Pool::growing_by(1 << 20, 500, take), 65_535);
        GIVES.set(1);
        let mut b = b.established(syn());
        for n in 0..8 {
            assert_eq!(b.get(data(1 + n * 1_000, 1, &pattern(1_000))), None);
            b.out();
        }
        for _ in 0..2 {
            assert_eq!(b.get(data(8_001, 1, &pattern(1_000))), Some(Refused::Engine(Dropped::NoMemory)));
            let out = b.out();
            assert_eq!((brief(&out), out[0].window), (vec![(1, 0, 8_001)], 0));
        }
        assert_eq!(b.read(8_000).unwrap().len(), 8_000);
        if heals {
            GIVES.set(1);
            b.pool.ask_again();
            b.tcp.feed_starved(&b.pool);
        } else {
            b.get(data(8_001, 1, b"?"));
        }
        let out = b.out();
        assert!(out.len() == 1 && out[0].window > 50_000, "{out:?}");
    }
}
