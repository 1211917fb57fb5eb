//! Frames of several connections between the same two hosts.

use super::*;
use crate::stack::tests::is_report;

/// Does the frame of `connection` that comes next take the short way, and arrive?
fn takes_short_way(world: &mut World, (client, server): (TcpHandle, TcpHandle), payload: &[u8]) -> bool {
    world.hosts[0].stack.tcp_write(client, payload, world.now).unwrap();
    let Host { stack, id, out } = &mut world.hosts[0];
    stack.egress(*id, out, world.now);
    let mut frames = core::mem::take(&mut out.frames);
    frames.retain(|frame| !is_report(frame));
    let frame = frames.pop_front().unwrap();
    let Host { stack, id, .. } = &mut world.hosts[1];
    // The long way says whose segment it was.
    stack.served = None;
    stack.on_frame(*id, RxFrame::plain(&[&frame]), world.now);
    stack.check();
    let is_short = stack.served.is_none();
    let mut buf = [0; 64];
    assert_eq!(stack.tcp_read(server, &mut buf, world.now), Ok(payload.len()));
    assert_eq!(&buf[..payload.len()], payload);
    (0..4).for_each(|_| world.step());
    is_short
}

/// What differs in its ports alone is looked up by them, and nothing else is asked again.
#[test]
fn flow_of_several_connections_is_turned_from_one_to_the_next() {
    for address in [[10, 0, 0, 2].into(), crate::ip::link_local_from(Mac([2, 0, 0, 0, 0, 2])).into()] {
        let mut world = World::new();
        let all = [7, 8, 9].map(|port| world.connect_to(address, port));
        // The first segment after a handshake may bring other news.
        let _ = takes_short_way(&mut world, all[0], b"first");
        for round in 0..3 {
            for connection in all {
                let is_short = takes_short_way(&mut world, connection, b"payload");
                assert!(is_short || round == 0, "{address}, round {round}");
            }
        }
    }
}
