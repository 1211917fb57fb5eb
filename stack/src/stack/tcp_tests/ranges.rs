//! Settings at the ends of their ranges, and beyond.

use super::*;
use crate::TcpConfig;

/// H282: what makes no sense is refused by name, and nothing is changed: a buffer of nothing would let a writer
/// wait for ever.
#[test]
fn settings_have_ranges() {
    let zero = Duration::from_micros(0);
    type Change = fn(&mut TcpConfig, Duration);
    let bad: [(Change, &str); 11] = [
        (|c, _| c.send_buffer = 0, "send_buffer is 0"),
        (|c, _| c.receive_buffer = 0, "receive_buffer is 0"),
        (|c, _| c.initial_window = 0, "initial_window is 0"),
        (|c, _| c.backlog = 0, "backlog is 0"),
        (|c, _| c.accept_limit = 0, "accept_limit is 0"),
        (|c, zero| c.rto_initial = zero, "rto_initial is below a millisecond"),
        (|c, zero| (c.rto_min, c.rto_max) = (zero, zero), "rto_max is below a millisecond"),
        (|c, _| c.rto_max = Duration::from_millis(199), "rto_max is below rto_min"),
        (|c, zero| c.syn_timeout = zero, "syn_timeout is below a millisecond"),
        (|c, zero| c.data_timeout = zero, "data_timeout is below a millisecond"),
        (|c, _| c.options.send_buffer = Some(0), "send_buffer is 0"),
    ];
    let mut host = host(1);
    for (change, why) in bad {
        let result = host.stack.configure_tcp(|config| {
            config.sack = false;
            change(config, zero);
        });
        assert_eq!(result, Err(Error::InvalidInput(why)));
        assert!(host.stack.tcp_config().sack, "{why}");
    }
}

/// The smallest sizes that are taken carry text.
#[test]
fn the_smallest_buffers_work() {
    let changes: [fn(&mut TcpConfig); 7] = [
        |c| c.send_buffer = 1,
        |c| c.receive_buffer = 1,
        |c| c.options.send_buffer = Some(1),
        |c| c.options.receive_buffer = Some(1),
        |c| c.options.window_clamp = Some(1),
        |c| c.options.unsent_max = Some(1),
        |c| c.options.max_segment = Some(64),
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut world = World::new();
        for host in &mut world.hosts {
            host.stack.configure_tcp(change).unwrap();
        }
        let (client, server) = world.connect(80);
        let start = world.now;
        assert_eq!(world.transfer(client, server, b"a few bytes"), b"a few bytes", "{n}");
        let took = world.now.since(start);
        assert!(took < Duration::from_secs(10), "{n}: {took:?}");
    }
}

/// Limits of nothing: every call says what is missing, and what arrives is dropped.
#[test]
fn limits_of_nothing() {
    let limits = Limits {
        memory: 0,
        block_len: 0,
        neighbors: 0,
        addresses: 2,
        learnt_routes: 0,
        routes: 0,
        connections: 0,
        active: 0,
        datagrams: 0,
        #[cfg(feature = "raw")]
        raw_sockets: 0,
        #[cfg(feature = "fragments")]
        fragments: 0,
        #[cfg(feature = "multicast")]
        memberships: 0,
    };
    let mut world = World::new();
    let capabilities = world.hosts[1].out.capabilities;
    let mut stack = Stack::new(Storage::heap(&limits), [1; 32]);
    world.hosts[1].id = stack.add_interface(capabilities).unwrap();
    world.hosts[1].stack = stack;
    let [client, server] = &mut world.hosts;
    let own = Cidr::new(IpAddr::from([10, 0, 0, 2]), 24).unwrap();
    server.stack.add_address(server.id, own, Instant::ZERO).unwrap();
    let any = SocketAddr::from(([0; 16], 80));
    assert_eq!(server.stack.tcp_listen(any, 8).err(), Some(Error::OutOfMemory));
    let to = |last| SocketAddr::from(([10, 0, 0, last], 80));
    assert_eq!(server.stack.tcp_connect(to(1), None, world.now), Err(Error::OutOfMemory));
    client.stack.tcp_connect(to(2), None, world.now).unwrap();
    for _ in 0..100 {
        world.step();
    }
    assert_eq!(world.hosts[1].stack.memory(), (0, 0));
}
