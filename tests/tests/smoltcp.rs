//! smoltcp 0.14 as the peer, in the same process and in virtual time: both families, both roles, several
//! kinds of link.

use barenet::Error;
use barenet_tests::peers::cable::{Cable, End, Faults, Link};
use barenet_tests::peers::replay::with_seeds;
use barenet_tests::peers::world::{Node, Read, World};
use barenet_tests::peers::{ours, smol};
use std::net::SocketAddr;

/// Bytes in each direction.
const LEN: usize = 1_000_000;
/// Of each socket and direction.
const BUFFER: u16 = u16::MAX;
const PORT: u16 = 7000;

type Ours = ours::Node<End>;
type Smoltcp = smol::Node<End>;
type Peers = World<Ours, Smoltcp>;

/// Address family and who listens.
#[derive(Clone, Copy, Debug)]
struct Roles {
    v6: bool,
    we_listen: bool,
}

const ROLES: [Roles; 4] = [
    Roles { v6: false, we_listen: true },
    Roles { v6: false, we_listen: false },
    Roles { v6: true, we_listen: true },
    Roles { v6: true, we_listen: false },
];

/// We are host 1, smoltcp is host 2.
fn peers(link: Link, faults: Faults, seed: u64) -> Peers {
    let (cable, a, b) = Cable::new(link, faults, seed);
    World::new(cable, ours::Node::new(a, 1, seed, BUFFER.into()), smol::Node::new(b, 2, seed, BUFFER.into()))
}

fn address(host: u8, v6: bool) -> SocketAddr {
    if v6 { (smol::v6(host), PORT).into() } else { (smol::v4(host), PORT).into() }
}

fn open(world: &mut Peers, roles: Roles) {
    let now = world.now();
    if roles.we_listen {
        world.a.listen(PORT);
        world.b.connect(address(1, roles.v6), now);
    } else {
        world.b.listen(PORT);
        world.a.connect(address(2, roles.v6), now);
    }
}

/// The byte at an offset of a stream; the two streams differ.
fn pattern(stream: u8, at: usize) -> u8 {
    ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ stream
}

/// An application that sends its stream, sends FIN, and reads the other's stream to its end.
struct Transfer {
    stream: u8,
    written: usize,
    read: usize,
    fin_sent: bool,
    end_seen: bool,
}

impl Transfer {
    fn new(stream: u8) -> Self {
        Transfer { stream, written: 0, read: 0, fin_sent: false, end_seen: false }
    }

    fn send(&mut self, node: &mut impl Node) {
        while self.written < LEN {
            let len = (LEN - self.written).min(8192);
            let data: Vec<u8> =
                (self.written..self.written + len).map(|at| pattern(self.stream, at)).collect();
            match node.write(&data) {
                0 => return,
                n => self.written += n,
            }
        }
        if !self.fin_sent {
            node.shutdown();
            self.fin_sent = true;
        }
    }

    fn receive(&mut self, node: &mut impl Node) {
        let mut buf = [0; 8192];
        while !self.end_seen {
            match node.read(&mut buf) {
                Read::Bytes(n) => {
                    for &byte in &buf[..n] {
                        assert_eq!(byte, pattern(self.stream ^ 1, self.read), "byte {} received", self.read);
                        self.read += 1;
                    }
                }
                Read::Nothing => return,
                Read::End => self.end_seen = true,
                Read::Failed(why) => panic!("after {} bytes: {why}", self.read),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.fin_sent && self.end_seen
    }

    fn check(&self) {
        assert_eq!((self.written, self.read), (LEN, LEN));
    }
}

/// A megabyte each way at once, then FIN both ways, until nothing is left of the connection.
fn exchange(link: Link, roles: Roles, faults: Faults, seed: u64) {
    let mut world = peers(link, faults, seed);
    open(&mut world, roles);
    let (mut a, mut b) = (Transfer::new(0), Transfer::new(1));
    world.run(|ours, smoltcp| {
        a.send(ours);
        a.receive(ours);
        b.send(smoltcp);
        b.receive(smoltcp);
        a.is_done() && b.is_done()
    });
    a.check();
    b.check();
    world.run(|ours, smoltcp| ours.is_gone() && smoltcp.is_gone());
}

#[test]
fn a_megabyte_each_way() {
    for link in Link::ALL {
        for roles in ROLES {
            println!("{link:?}, {roles:?}");
            exchange(link, roles, Faults::default(), 1);
        }
    }
}

/// H041, H013: loss in both directions at once, where two stacks that rewind the numbers of their
/// acknowledgements wait for each other for ever, and a FIN that comes before the data in front of it.
#[test]
fn a_megabyte_each_way_with_faults() {
    let faults = Faults { lost_ppm: 20_000, duplicated_ppm: 10_000, reordered_ppm: 30_000 };
    with_seeds("smoltcp a_megabyte_each_way_with_faults", 16, |seed| {
        for link in Link::ALL {
            for roles in ROLES {
                println!("seed {seed}, {link:?}, {roles:?}");
                exchange(link, roles, faults, seed);
            }
        }
    });
}

/// H012: one side sends FIN before the other has sent a byte, and still gets all of it.
#[test]
fn half_closed_either_way() {
    for roles in ROLES {
        for we_close_first in [true, false] {
            println!("{roles:?}, we close first: {we_close_first}");
            let mut world = peers(Link::Ethernet, Faults::default(), 2);
            open(&mut world, roles);
            let (mut a, mut b) = (Transfer::new(0), Transfer::new(1));
            world.run(|ours, smoltcp| {
                if we_close_first || a.end_seen {
                    a.send(ours);
                }
                if !we_close_first || b.end_seen {
                    b.send(smoltcp);
                }
                a.receive(ours);
                b.receive(smoltcp);
                a.is_done() && b.is_done()
            });
            a.check();
            b.check();
            world.run(|ours, smoltcp| ours.is_gone() && smoltcp.is_gone());
        }
    }
}

/// Runs until `read` fails, and gives why.
fn failure(world: &mut Peers, mut read: impl FnMut(&mut Ours, &mut Smoltcp) -> Read) -> Error {
    let mut why = None;
    world.run(|ours, smoltcp| {
        if let Read::Failed(error) = read(ours, smoltcp) {
            why = Some(error);
        }
        why.is_some()
    });
    why.expect("seen just now")
}

/// H021, H233: a SYN to a port where nobody listens.
#[test]
fn refused_either_way() {
    for v6 in [false, true] {
        let mut world = peers(Link::Ethernet, Faults::default(), 3);
        let now = world.now();
        world.a.connect(address(2, v6), now);
        assert_eq!(failure(&mut world, |a, _| a.read(&mut [0])), Error::ConnectionRefused);
        assert!(world.a.is_gone());

        let mut world = peers(Link::Ethernet, Faults::default(), 3);
        world.b.connect(address(1, v6), now);
        assert_eq!(failure(&mut world, |_, b| b.read(&mut [0])), Error::ConnectionRefused);
    }
}

/// H233: a reset is not an end of the stream.
#[test]
fn reset_either_way() {
    for roles in ROLES {
        for we_abort in [true, false] {
            let mut world = peers(Link::Ethernet, Faults::default(), 4);
            open(&mut world, roles);
            world.run(|ours, smoltcp| {
                ours.write(b"x");
                smoltcp.write(b"x");
                matches!((ours.read(&mut [0]), smoltcp.read(&mut [0])), (Read::Bytes(_), Read::Bytes(_)))
            });
            let why = if we_abort {
                world.a.abort();
                failure(&mut world, |_, b| b.read(&mut [0; 4096]))
            } else {
                world.b.abort();
                failure(&mut world, |a, _| a.read(&mut [0; 4096]))
            };
            assert_eq!(why, Error::ConnectionReset);
            world.run(|ours, smoltcp| ours.is_gone() && smoltcp.is_gone());
        }
    }
}
