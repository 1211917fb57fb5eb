//! A crowd of clients that all come at once to a server that serves few at a time.

use super::*;
use crate::stack::ListenerHandle;
use crate::wire::tcp::TcpHeader;
use crate::wire::{self, IpHeader, LinkPath, protocol, pseudo_header};

const CLIENTS: usize = 1000;
/// As many are served at a time, each for so long.
const SERVED: usize = 10;
const TAKES: Duration = Duration::from_millis(20);
const BACKLOG: u16 = 128;
const PORT: u16 = 80;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum First {
    Client,
    Server,
}

/// A client that exchanges a byte with the server: who speaks first, and whether it has its byte.
struct Client {
    handle: TcpHandle,
    asked: bool,
    served: bool,
}

struct Crowd {
    world: World,
    listener: ListenerHandle,
    clients: Vec<Client>,
    serving: Vec<(TcpHandle, Instant)>,
    first: First,
    /// Forged SYNs so far.
    forged: u32,
}

impl Crowd {
    fn new(first: First) -> Crowd {
        let mut world = World::new();
        let any = SocketAddr::from(([0; 16], PORT));
        let (listener, _) = world.hosts[1].stack.tcp_listen(any, BACKLOG).unwrap();
        Crowd { world, listener, clients: vec![], serving: vec![], first, forged: 0 }
    }

    fn connect(&mut self) {
        let (client, to) = (&mut self.world.hosts[0].stack, SocketAddr::from(([10, 0, 0, 2], PORT)));
        let handle = client.tcp_connect(to, None, self.world.now).unwrap();
        self.clients.push(Client { handle, asked: false, served: false });
    }

    fn use_clients(&mut self) {
        let now = self.world.now;
        let [ours, _] = &mut self.world.hosts;
        for c in self.clients.iter_mut().filter(|c| !c.served) {
            if self.first == First::Client && !c.asked {
                c.asked = ours.stack.tcp_write(c.handle, b"?", now).is_ok();
            }
            c.served = match ours.stack.tcp_read(c.handle, &mut [0], now) {
                Ok(1) => true,
                Err(Error::WouldBlock) => false,
                end => panic!("{end:?}"),
            };
            if c.served {
                ours.stack.tcp_close(c.handle, now);
            }
        }
    }

    fn serve(&mut self) {
        let now = self.world.now;
        let [_, theirs] = &mut self.world.hosts;
        self.serving.retain(|(handle, until)| {
            let mut asked =
                || self.first == First::Server || theirs.stack.tcp_read(*handle, &mut [0], now) == Ok(1);
            let done = *until <= now && asked();
            if done {
                assert_eq!(theirs.stack.tcp_write(*handle, b"!", now), Ok(1));
                theirs.stack.tcp_close(*handle, now);
            }
            !done
        });
        while self.serving.len() < SERVED
            && let Ok((handle, _)) = theirs.stack.tcp_accept(self.listener)
        {
            self.serving.push((handle, now + TAKES));
        }
    }

    /// One millisecond; or, if nothing is under way, as long as nobody has anything to do.
    fn step(&mut self) {
        let World { hosts, now, .. } = &mut self.world;
        let is_quiet = hosts.iter().all(|h| h.out.frames.is_empty());
        let next = hosts.iter().filter_map(|h| h.stack.next_deadline(*now));
        let next = next.chain(self.serving.iter().map(|(_, until)| *until)).min().filter(|_| is_quiet);
        *now = next.filter(|_| self.forged == 0).unwrap_or(*now).max(*now + Duration::from_millis(1));
        let mut has_news = false;
        for to in [0, 1] {
            let frames = core::mem::take(&mut hosts[1 - to].out.frames);
            has_news |= to == 0 && !frames.is_empty();
            let Host { stack, id, out } = &mut hosts[to];
            frames.iter().for_each(|frame| stack.on_frame(*id, RxFrame::plain(&[frame]), *now));
            stack.on_timers(*now);
            while stack.egress(*id, out, *now) && stack.next_deadline(*now).is_some_and(|at| at <= *now) {
                stack.on_timers(*now);
            }
        }
        if has_news {
            self.use_clients();
        }
        self.serve();
    }

    /// A SYN from an address where nobody is.
    fn forge(&mut self) {
        self.forged += 1;
        let n = self.forged;
        let [_, server] = &mut self.world.hosts;
        let (source, destination) = (IpAddr::from([10, 0, 0, 99]), IpAddr::from([10, 0, 0, 2]));
        let header = TcpHeader {
            source_port: n as u16 | 1024,
            destination_port: PORT,
            seq: crate::seq::Seq(n),
            ack: crate::seq::Seq(0),
            flags: crate::tcp::segment::Flags::SYN,
            window: 65_535,
            options: Default::default(),
        };
        let link = LinkPath { source: Mac([2, 0, 0, 0, 0, 99]), destination: server.out.capabilities.mac };
        let mut buf = [0; 200];
        let ip = IpHeader::new(source, destination, protocol::TCP, header.len());
        let at = wire::emit_headers(&mut buf, &link, &ip);
        let len = at + header.emit(&mut buf[at..]);
        let mut sum = pseudo_header(source, destination, protocol::TCP, header.len());
        sum.add(&buf[at..len]);
        buf[at + 16..at + 18].copy_from_slice(&sum.finish().to_be_bytes());
        server.stack.on_frame(server.id, RxFrame::plain(&[&buf[..len]]), self.world.now);
    }

    fn has_served_all(&mut self, seconds: u64) {
        let end = self.world.now + Duration::from_secs(seconds);
        while self.clients.iter().any(|c| !c.served) {
            assert!(self.world.now < end, "{} are served", self.clients.iter().filter(|c| c.served).count());
            self.step();
        }
        self.world.hosts.iter().for_each(|h| h.stack.check());
    }
}

/// H271, H010, H011: a thousand clients come at once to a server that serves ten at a time, with the default
/// backlog. None is reset, and none waits for ever for a server that does not know of it.
#[test]
fn a_thousand_clients_at_once() {
    for first in [First::Client, First::Server] {
        let mut crowd = Crowd::new(first);
        (0..CLIENTS).for_each(|_| crowd.connect());
        crowd.has_served_all(60);
        let handshakes = crowd.world.hosts[1].stack.counters().handshakes;
        assert!(handshakes.cookies_sent >= handshakes.cookies_accepted, "{handshakes:?}");
        assert!(handshakes.cookies_sent <= 4 * u64::from(BACKLOG), "{first:?}: {handshakes:?}");
    }
}

/// H058, H010: the same with forged SYNs in between, which cookies are for.
#[test]
fn a_thousand_clients_among_forged_syns() {
    for first in [First::Client, First::Server] {
        let mut crowd = Crowd::new(first);
        for n in 0..60_000 {
            // 5,000 a second, at first alone.
            (0..5).for_each(|_| crowd.forge());
            crowd.step();
            if n == 1500 {
                (0..CLIENTS).for_each(|_| crowd.connect());
            }
            if n > 1500 && crowd.clients.iter().all(|c| c.served) {
                break;
            }
        }
        crowd.has_served_all(0);
        let handshakes = crowd.world.hosts[1].stack.counters().handshakes;
        assert!(handshakes.cookies_accepted > 100, "{handshakes:?}");
    }
}
