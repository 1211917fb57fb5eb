//! Two hosts of one stack with any number of connections between them: a client and a server, in one thread and
//! in virtual time, with a cable in memory between them. Both stacks copy at `write` and `read` and at the device.

use crate::count::Counts;
use barenet::Congestion;
use barenet::stack::{Limits, ListenerHandle, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet::udp::{DatagramHandle, DatagramKind};
use barenet_tests::peers::ours;
use barenet_tests::peers::ring::{Checksums, End, cable};
use barenet_tests::peers::smol::{self, instant};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{self, CongestionControl};
use smoltcp::socket::udp;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

const PORT: u16 = 7;
/// Virtual time between two turns.
pub(crate) const TURN: Duration = Duration::from_micros(20);
/// All connections are kept in their full form, and ten thousand have a whole first window each; memory is taken
/// as it is used.
fn limits() -> Limits {
    Limits { active: 16_384, memory: 4 << 30, ..Limits::default() }
}

/// A connection or a socket of one host, in the order in which it got them.
pub(crate) type Id = usize;

/// One host, of either stack.
pub(crate) trait Host {
    fn listen(&mut self, backlog: u16);
    fn connect(&mut self, now: Instant) -> Id;
    fn accept(&mut self, now: Instant) -> Option<Id>;
    fn is_open(&mut self, id: Id) -> bool;
    fn write(&mut self, id: Id, data: &[u8], now: Instant) -> usize;
    fn read(&mut self, id: Id, buf: &mut [u8], now: Instant) -> usize;
    fn close(&mut self, id: Id, now: Instant);
    /// The application is done with a connection that was closed. It is in TIME-WAIT, if it `waits`.
    fn forget(&mut self, id: Id, waits: bool);
    /// A UDP socket.
    fn bind(&mut self, port: u16) -> Id;
    fn send(&mut self, id: Id, data: &[u8], to: SocketAddr, now: Instant);
    fn receive(&mut self, id: Id, buf: &mut [u8]) -> Option<(usize, SocketAddr)>;
    fn egress(&mut self, now: Instant);
    fn ingress(&mut self, now: Instant, frames: usize);
    /// Frames sent so far, of them those with payload.
    fn sent(&mut self) -> (u64, u64);
}

/// Does something with two new hosts of either stack.
pub(crate) trait Work {
    type Result;
    fn run(self, client: &mut impl Host, server: &mut impl Host) -> Self::Result;
}

/// Ours or smoltcp at its best, with `buffer` bytes each way for each of its connections; ours have the defaults
/// of the engine's benchmark, since buffers cost it nothing.
pub(crate) fn with_pair<W: Work>(is_ours: bool, buffer: usize, work: W) -> W::Result {
    let (a, b) = cable(1500, Checksums::Off);
    if is_ours {
        let config = ours::config(256 << 10, Congestion::default());
        let [mut a, mut b] = [(a, 1), (b, 2)].map(|(end, n)| Ours {
            host: ours::Host::with_limits(end, n, n.into(), config, &limits()),
            listener: None,
            connections: Vec::new(),
            sockets: Vec::new(),
        });
        work.run(&mut a, &mut b)
    } else {
        let [mut a, mut b] = [(a, 1), (b, 2)].map(|(end, n)| Smoltcp {
            host: smol::Host::new(end, n, n.into()),
            buffer,
            connections: Vec::new(),
            listening: Vec::new(),
            port: 20_000,
        });
        work.run(&mut a, &mut b)
    }
}

/// Symbols of their own, that the counts are attributed to; the numbers keep the compiler from folding two of
/// them into one.
macro_rules! phases {
    ($($name:ident $number:literal,)*) => {
        $(#[inline(never)]
        pub(crate) fn $name<R>(work: impl FnOnce() -> R) -> R {
            black_box($number);
            work()
        })*
    };
}

phases! {
    phase_client_app 31,
    phase_client_tx 32,
    phase_client_rx 33,
    phase_server_rx 34,
    phase_server_app 35,
    phase_server_tx 36,
}

/// The phases of a client, and of a server.
pub(crate) const CLIENT: [&str; 3] = ["client_app", "client_tx", "client_rx"];
pub(crate) const SERVER: [&str; 3] = ["server_rx", "server_app", "server_tx"];

/// What some phases cost together.
pub(crate) fn sum(counts: &Counts, phases: &[&str]) -> f64 {
    phases.iter().map(|phase| counts.phase(phase).all).sum()
}

/// The client connects, and the server accepts.
pub(crate) fn open(a: &mut impl Host, b: &mut impl Host, now: &mut Instant) -> (Id, Id) {
    let client = phase_client_app(|| a.connect(*now));
    for turn in 0..2_000 {
        // The first waits for ARP, and with a full table some more.
        *now += if turn > 8 { Duration::from_millis(5) } else { TURN };
        phase_client_tx(|| a.egress(*now));
        phase_server_rx(|| b.ingress(*now, usize::MAX));
        phase_server_tx(|| b.egress(*now));
        phase_client_rx(|| a.ingress(*now, usize::MAX));
        if a.is_open(client) {
            phase_client_tx(|| a.egress(*now));
            phase_server_rx(|| b.ingress(*now, usize::MAX));
            if let Some(server) = phase_server_app(|| b.accept(*now)) {
                return (client, server);
            }
        }
    }
    panic!("no connection");
}

/// The client writes `data`, the server answers with as much, and the client reads it.
pub(crate) fn exchange(
    a: &mut impl Host,
    b: &mut impl Host,
    (client, server): (Id, Id),
    data: &[u8],
    buf: &mut [u8],
    now: Instant,
) {
    phase_client_app(|| a.write(client, data, now));
    phase_client_tx(|| a.egress(now));
    phase_server_rx(|| b.ingress(now, usize::MAX));
    phase_server_app(|| {
        let n = b.read(server, buf, now);
        b.write(server, &buf[..n], now)
    });
    phase_server_tx(|| b.egress(now));
    phase_client_rx(|| a.ingress(now, usize::MAX));
    let n = phase_client_app(|| a.read(client, buf, now));
    assert_eq!(n, data.len(), "an answer is as long as its request");
}

struct Ours {
    host: ours::Host<End>,
    listener: Option<ListenerHandle>,
    connections: Vec<TcpHandle>,
    sockets: Vec<DatagramHandle>,
}

impl Ours {
    /// Takes in a connection, which waits for nothing before it sends, as smoltcp's.
    fn add(&mut self, connection: TcpHandle, now: Instant) -> Id {
        self.host.stack().tcp_set_nodelay(connection, true, now).expect("an open connection");
        self.connections.push(connection);
        self.connections.len() - 1
    }
}

impl Host for Ours {
    fn listen(&mut self, backlog: u16) {
        let any = (Ipv4Addr::UNSPECIFIED, PORT).into();
        self.listener = Some(self.host.stack().tcp_listen(any, backlog).expect("a free port").0);
    }
    fn connect(&mut self, now: Instant) -> Id {
        let to = (smol::v4(2), PORT).into();
        let connection = self.host.stack().tcp_connect(to, None, now).expect("a route");
        self.add(connection, now)
    }
    fn accept(&mut self, now: Instant) -> Option<Id> {
        let (connection, _) = self.host.stack().tcp_accept(self.listener?).ok()?;
        Some(self.add(connection, now))
    }
    fn is_open(&mut self, id: Id) -> bool {
        self.host.stack().tcp_connected(self.connections[id]).is_ok()
    }
    fn write(&mut self, id: Id, data: &[u8], now: Instant) -> usize {
        self.host.stack().tcp_write(self.connections[id], data, now).unwrap_or(0)
    }
    fn read(&mut self, id: Id, buf: &mut [u8], now: Instant) -> usize {
        self.host.stack().tcp_read(self.connections[id], buf, now).unwrap_or(0)
    }
    fn close(&mut self, id: Id, now: Instant) {
        self.host.stack().tcp_close(self.connections[id], now);
    }
    fn forget(&mut self, _: Id, _: bool) {}
    fn bind(&mut self, port: u16) -> Id {
        let any = (Ipv4Addr::UNSPECIFIED, port).into();
        let socket = self.host.stack().datagram_bind(DatagramKind::Udp, any, false).expect("a free port");
        self.sockets.push(socket);
        self.sockets.len() - 1
    }
    fn send(&mut self, id: Id, data: &[u8], to: SocketAddr, now: Instant) {
        self.host.send(self.sockets[id], to, data, now).expect("a route and room");
    }
    fn receive(&mut self, id: Id, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let received = self.host.stack().datagram_receive(self.sockets[id], buf, false, None).ok()?;
        Some((received.len, received.from))
    }
    fn egress(&mut self, now: Instant) {
        self.host.egress(now);
    }
    fn ingress(&mut self, now: Instant, frames: usize) {
        self.host.ingress(now, frames);
    }
    fn sent(&mut self) -> (u64, u64) {
        self.host.device().sent()
    }
}

struct Smoltcp {
    host: smol::Host<End>,
    buffer: usize,
    connections: Vec<SocketHandle>,
    listening: Vec<SocketHandle>,
    port: u16,
}

impl Smoltcp {
    fn tcp(&mut self, id: Id) -> &mut tcp::Socket<'static> {
        self.host.tcp(self.connections[id])
    }
}

impl Host for Smoltcp {
    fn listen(&mut self, backlog: u16) {
        for _ in 0..backlog {
            let socket = self.host.socket(self.buffer, CongestionControl::Cubic);
            self.host.tcp(socket).listen(PORT).expect("a port");
            self.listening.push(socket);
        }
    }
    fn connect(&mut self, _: Instant) -> Id {
        let socket = self.host.socket(self.buffer, CongestionControl::Cubic);
        self.port += 1;
        self.host.connect(socket, (smol::v4(2), PORT).into(), self.port);
        self.connections.push(socket);
        self.connections.len() - 1
    }
    fn accept(&mut self, _: Instant) -> Option<Id> {
        let open = |s: &SocketHandle| self.host.tcp(*s).state() == tcp::State::Established;
        let at = self.listening.iter().position(open)?;
        self.connections.push(self.listening.swap_remove(at));
        self.listen(1);
        Some(self.connections.len() - 1)
    }
    fn is_open(&mut self, id: Id) -> bool {
        self.tcp(id).state() == tcp::State::Established
    }
    fn write(&mut self, id: Id, data: &[u8], _: Instant) -> usize {
        let socket = self.tcp(id);
        // The queue is a ring: what lies behind its end is the second half.
        let n = socket.send_slice(data).expect("established");
        n + socket.send_slice(&data[n..]).expect("established")
    }
    fn read(&mut self, id: Id, buf: &mut [u8], _: Instant) -> usize {
        let socket = self.tcp(id);
        let n = socket.recv_slice(buf).unwrap_or(0);
        n + socket.recv_slice(&mut buf[n..]).unwrap_or(0)
    }
    fn close(&mut self, id: Id, _: Instant) {
        self.tcp(id).close();
    }
    fn forget(&mut self, id: Id, waits: bool) {
        if !waits {
            self.host.sockets().remove(self.connections[id]);
        }
    }
    fn bind(&mut self, port: u16) -> Id {
        let queue = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 65_536]);
        let mut socket = udp::Socket::new(queue(), queue());
        socket.bind(port).expect("a port");
        self.connections.push(self.host.sockets().add(socket));
        self.connections.len() - 1
    }
    fn send(&mut self, id: Id, data: &[u8], to: SocketAddr, _: Instant) {
        let socket = self.host.sockets().get_mut::<udp::Socket<'_>>(self.connections[id]);
        socket.send_slice(data, smoltcp::wire::IpEndpoint::from(to)).expect("room");
    }
    fn receive(&mut self, id: Id, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = self.host.sockets().get_mut::<udp::Socket<'_>>(self.connections[id]);
        let (n, meta) = socket.recv_slice(buf).ok()?;
        Some((n, (meta.endpoint.addr, meta.endpoint.port).into()))
    }
    fn egress(&mut self, now: Instant) {
        self.host.egress(instant(now));
    }
    fn ingress(&mut self, now: Instant, frames: usize) {
        self.host.ingress(instant(now), frames);
    }
    fn sent(&mut self) -> (u64, u64) {
        self.host.device().sent()
    }
}
