//! Options of connections: where they lie, who shares them, what they do.

use super::*;
use crate::tcp::{KeepAlive, Profile};

impl Bench {
    fn profile(&self) -> Profile {
        self.tcp.connection(self.key.unwrap()).unwrap().profile
    }
    /// Another connection of the peer, accepted.
    fn another(&mut self, port: u16) -> Key {
        self.tuple.remote_port = port;
        self.get(syn());
        self.out();
        self.get(ack(1, 1));
        self.accept();
        self.key.unwrap()
    }
}

/// T12: what is set is read back; equal sets are one; a set goes when nobody has it any more.
#[test]
fn equal_options_are_shared() {
    let mut b = Bench::server();
    assert_eq!(b.profile(), Profile::STACK);
    b.configure(|o| o.nodelay = true);
    let (first, shared) = (b.key, b.profile());
    assert_ne!(shared, Profile::STACK);
    b.another(6000);
    assert_eq!(b.profile(), Profile::STACK, "another's options are not its own");
    b.configure(|o| o.nodelay = true);
    assert_eq!(b.profile(), shared);
    b.configure(|o| o.dscp = 10);
    assert_ne!(b.profile(), shared, "changed for this one alone");
    let options = |b: &Bench, key: Option<Key>| *b.tcp.options(key.unwrap()).unwrap();
    assert_eq!((options(&b, first).dscp, options(&b, b.key).dscp), (0, 10));
    b.configure(|o| (o.dscp, o.nodelay) = (0, false));
    assert_eq!(b.profile(), Profile::STACK);
    b.key = first;
    assert!(options(&b, first).nodelay);
    b.tcp.abort(b.key.unwrap(), &mut b.pool);
    b.another(6001);
    b.configure(|o| o.dscp = 11);
    assert_eq!(b.profile(), shared, "its place is free again");
}

/// T12, T13: accepted connections inherit the options that their listener had when they came.
#[test]
fn connections_inherit_from_their_listener() {
    let mut b = Bench::listening(quiet(), 4);
    let listener = b.listener.unwrap();
    let keep_alive = Some(KeepAlive { probes: 3, ..KeepAlive::default() });
    let options = TcpOptions { nodelay: true, keep_alive, ..TcpOptions::default() };
    b.tcp.set_listener_options(listener, options).unwrap();
    assert_eq!(b.tcp.listener_options(listener), Ok(&options));
    let first = b.another(6000);
    b.tcp.set_listener_options(listener, TcpOptions::default()).unwrap();
    let second = b.another(6001);
    assert_eq!(b.tcp.options(first), Ok(&options));
    assert_eq!(b.tcp.options(second), Ok(&TcpOptions::default()));
    b.key = Some(first);
    assert_eq!((b.write(b"x"), b.write(b"y")), (Ok(1), Ok(1)));
    b.tuple.remote_port = 6000;
    assert_eq!(b.out().len(), 1);
    b.write(b"z").unwrap();
    assert_eq!(b.out().len(), 1, "no delay");
}

/// What is outside its range is refused by name, and nothing is changed.
#[test]
fn options_have_ranges() {
    let mut b = Bench::server();
    let key = b.key.unwrap();
    let none = KeepAlive { probes: 0, ..KeepAlive::default() };
    let good = TcpOptions::default();
    let bad = [
        (TcpOptions { dscp: 64, ..good }, "dscp is above 63"),
        (TcpOptions { hop_limit: 0, ..good }, "hop_limit is 0"),
        (TcpOptions { max_segment: Some(63), ..good }, "max_segment is below 64"),
        (TcpOptions { unsent_max: Some(0), ..good }, "unsent_max is 0"),
        (TcpOptions { user_timeout: Some(Duration::ZERO), ..good }, "user_timeout is below a millisecond"),
        (TcpOptions { keep_alive: Some(none), ..good }, "keep_alive has no probes"),
    ];
    for (options, why) in bad {
        let set = b.tcp.set_options(key, options, b.now, &mut b.pool);
        assert_eq!(set, Err(Error::InvalidInput(why)));
        assert_eq!(b.tcp.options(key), Ok(&good));
        let open = b.tcp.connect(b.tuple, b.interface, MTU, Some(&options), b.now, &mut b.pool);
        assert!(open.is_err());
    }
}
