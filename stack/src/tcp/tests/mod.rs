//! A scripted peer against all of TCP: segments in, plans out, in virtual time.
//!
//! Between any two steps every connection that is at rest is parked: so all these tests show too that it
//! comes back as it was.
//!
//! Numbers are relative, as in a capture: the peer's from its initial sequence number, ours from
//! ours. Both lie so that they wrap early.

mod behaviours;
mod clauses;
mod close;
mod congestion;
mod data;
#[cfg(feature = "ecn")]
mod ecn;
mod expected;
#[cfg(feature = "fast-open")]
mod fast_open;
mod handshake;
mod info;
mod keep_alive;
#[cfg(not(all(feature = "ecn", feature = "offload", feature = "sack", feature = "syn-cookies")))]
mod left_out;
#[cfg(all(feature = "ecn", feature = "syn-cookies"))]
mod listener;
mod lossy;
mod memory;
mod numbers;
mod options;
mod path;
mod patience;
#[cfg(feature = "sack")]
mod rack;
mod recovery;
#[cfg(feature = "sack")]
mod sack;
mod security;
mod states;
#[cfg(all(feature = "ecn", feature = "syn-cookies"))]
mod syn_cookies;
mod time_wait;
mod timers;
#[cfg(feature = "sack")]
mod undo;
mod urgent;
mod user;

#[cfg(feature = "syn-cookies")]
use super::config::SynCookies;
use super::config::TcpConfig;
use super::options::TcpOptions;
use super::segment::{EcnCodepoint, Flags, Options, PlanKind, Reset, Segment, Timestamps};
use super::{Connection, Interest, Outcome, Refused, Reply, State, Tcp, TcpStorage, Tuple};
use crate::base::pool::Pool;
use crate::base::random::Random;
use crate::base::slab::{Key, Slab, Slot};
use crate::bytes::Bytes;
use crate::counters::TcpCount;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::seq::Seq;
use crate::time::{Duration, Instant};
use core::net::IpAddr;
use managed::ManagedSlice;

/// The peer's initial sequence number: it wraps after a hundred bytes.
const PEER_ISS: Seq = Seq(0xffff_ff9c);
const PORT: u16 = 80;
const PEER_PORT: u16 = 5000;
const MTU: u16 = 1500;
/// What a full segment holds without options.
const MSS: u32 = 1460;

/// A segment of the peer.
#[derive(Clone, Copy)]
struct In<'a> {
    seq: u32,
    ack: u32,
    flags: Flags,
    window: u16,
    urgent: u16,
    options: Options,
    mark: EcnCodepoint,
    /// How many a device merged into it.
    packets: u16,
    payload: &'a [u8],
}

fn segment<'a>(flags: Flags, seq: u32, ack: u32) -> In<'a> {
    In {
        seq,
        ack,
        flags,
        window: 65_535,
        urgent: 0,
        options: Options::default(),
        mark: EcnCodepoint::NotEct,
        packets: 1,
        payload: &[],
    }
}

fn ack<'a>(seq: u32, ack: u32) -> In<'a> {
    segment(Flags::ACK, seq, ack)
}

fn data(seq: u32, ack: u32, payload: &[u8]) -> In<'_> {
    In { payload, ..segment(Flags::ACK | Flags::PSH, seq, ack) }
}

fn fin<'a>(seq: u32, ack: u32) -> In<'a> {
    segment(Flags::ACK | Flags::FIN, seq, ack)
}

fn rst<'a>(seq: u32) -> In<'a> {
    segment(Flags::RST, seq, 0)
}

fn syn<'a>() -> In<'a> {
    segment(Flags::SYN, 0, 0).mss(1460)
}

impl<'a> In<'a> {
    fn win(self, window: u16) -> Self {
        In { window, ..self }
    }
    /// The URG flag, with this pointer.
    fn urgent(self, urgent: u16) -> Self {
        In { urgent, flags: self.flags | Flags::URG, ..self }
    }
    fn ts(mut self, value: u32, echo: u32) -> Self {
        self.options.timestamps = Some(Timestamps { value, echo });
        self
    }
    fn mss(mut self, mss: u16) -> Self {
        self.options.mss = Some(mss);
        self
    }
    fn sack_permitted(mut self) -> Self {
        self.options.sack_permitted = true;
        self
    }
    fn scale(mut self, shift: u8) -> Self {
        self.options.window_scale = Some(shift);
        self
    }
    fn mark(self, mark: EcnCodepoint) -> Self {
        In { mark, ..self }
    }
    /// A device merged so many segments into it.
    fn merged(self, packets: u16) -> Self {
        In { packets, ..self }
    }
    fn payload(self, payload: &'a [u8]) -> Self {
        In { payload, ..self }
    }
    /// With the numbers that it has on the wire; `parts` are its payload.
    fn segment<'p>(&self, iss: Seq, parts: &'p [&'p [u8]]) -> Segment<'p> {
        Segment {
            seq: PEER_ISS + self.seq,
            ack: iss + self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            options: self.options,
            mark: self.mark,
            packets: self.packets,
            payload: Bytes::new(parts),
        }
    }
}

/// A segment of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Out {
    kind: PlanKind,
    seq: u32,
    ack: u32,
    flags: Flags,
    window: u16,
    options: Options,
    mark: EcnCodepoint,
    payload: Vec<u8>,
}

impl Out {
    fn is(&self, flags: Flags) -> bool {
        self.flags.without(Flags::PSH) == flags
    }
    fn len(&self) -> u32 {
        self.payload.len() as u32
    }
}

/// Where, how long, and does it acknowledge: what most tests look at.
fn brief(out: &[Out]) -> Vec<(u32, u32, u32)> {
    out.iter().map(|o| (o.seq, o.len(), o.ack)).collect()
}

struct Bench {
    tcp: Tcp<'static>,
    pool: Pool<'static>,
    now: Instant,
    tuple: Tuple,
    interface: InterfaceId,
    mtu: u16,
    listener: Option<Key>,
    key: Option<Key>,
    /// Our initial sequence number, once seen.
    iss: Seq,
    replies: Vec<Reply>,
}

impl Bench {
    fn new(config: TcpConfig) -> Bench {
        Bench::with_room(config, ManagedSlice::Owned(vec![]))
    }

    /// Tables on the heap, but for those in use.
    fn storage(active: ManagedSlice<'static, Slot<Connection>>) -> TcpStorage<'static> {
        TcpStorage {
            connections: ManagedSlice::Owned(vec![]),
            active,
            active_target: 1,
            listeners: ManagedSlice::Owned(vec![]),
            time_waits: ManagedSlice::Owned(vec![]),
            options: ManagedSlice::Owned(vec![]),
            #[cfg(feature = "fast-open")]
            servers: ManagedSlice::Owned(vec![crate::base::holder::Holder::Empty; 16]),
            buckets: ManagedSlice::Owned(vec![]),
        }
    }

    /// With room for so many connections in use.
    fn with_room(config: TcpConfig, active: ManagedSlice<'static, Slot<Connection>>) -> Bench {
        let storage = Bench::storage(active);
        let mut interfaces = Slab::new(ManagedSlice::Owned(vec![]), 1);
        let interface = InterfaceId(interfaces.insert(()).unwrap());
        let address = |n| IpAddr::from([10, 0, 0, n]);
        let mut tcp = Tcp::empty();
        tcp.settings.config = config;
        tcp.start(storage, 8, &mut Random::new([7; 32]));
        Bench {
            tcp,
            pool: Pool::growing(1 << 20, 500),
            now: Instant::from_millis(10_000),
            tuple: Tuple { local: address(1), remote: address(2), local_port: PORT, remote_port: PEER_PORT },
            interface,
            mtu: MTU,
            listener: None,
            key: None,
            iss: Seq(0),
            replies: vec![],
        }
    }

    fn listening(config: TcpConfig, backlog: u16) -> Bench {
        let mut b = Bench::new(config);
        b.listener =
            Some(b.tcp.listen(core::net::Ipv6Addr::UNSPECIFIED.into(), PORT, backlog, false).unwrap().0);
        b
    }

    /// A connection that the peer opened, accepted. The peer's options are those of `syn`.
    fn server_with(config: TcpConfig, syn: In<'_>) -> Bench {
        Bench::listening(config, 4).established(syn)
    }

    /// The handshake is done, and the connection accepted.
    fn established(self, syn: In<'_>) -> Bench {
        let mut b = self;
        b.get(syn);
        let out = b.out();
        assert!(out.len() == 1 && out[0].is(Flags::SYN | Flags::ACK) && out[0].ack == 1, "{out:?}");
        let mut third = ack(1, 1).win(syn.window);
        if let Some(t) = out[0].options.timestamps {
            third = third.ts(t.echo, t.value);
        }
        b.get(third);
        b.accept();
        assert_eq!(b.state(), State::Established);
        b
    }

    /// The plainest: no options but MSS, no quick ACKs, no delay for the peer's window.
    fn server() -> Bench {
        Bench::server_with(quiet(), syn())
    }

    fn connecting(config: TcpConfig) -> Bench {
        let mut b = Bench::new(config);
        b.key = Some(b.tcp.connect(b.tuple, b.interface, b.mtu, None, b.now, &mut b.pool).unwrap());
        b
    }

    fn client() -> Bench {
        let mut b = Bench::connecting(quiet());
        assert!(b.out()[0].is(Flags::SYN));
        b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
        let out = b.out();
        assert!(out.len() == 1 && out[0].is(Flags::ACK));
        assert_eq!(b.state(), State::Established);
        b
    }

    fn accept(&mut self) {
        self.key = Some(self.tcp.accept(self.listener.unwrap()).unwrap());
    }

    fn get(&mut self, s: In<'_>) -> Option<Refused> {
        let parts = [s.payload];
        let segment = s.segment(self.iss, &parts);
        let (tuple, interface) = (self.tuple, self.interface);
        let outcome = self.tcp.on_segment(&tuple, interface, self.mtu, &segment, self.now, &mut self.pool);
        self.note(outcome)
    }

    fn wake(&mut self) {
        while let Some(waker) = self.tcp.woken.pop() {
            waker.wake();
        }
    }

    /// After each step.
    fn rest(&mut self) {
        self.wake();
        self.tcp.check(&self.pool);
        #[cfg(feature = "parking")]
        self.tcp.park_all(self.now);
        self.tcp.check(&self.pool);
    }

    fn note(&mut self, outcome: Outcome) -> Option<Refused> {
        self.replies.extend(outcome.reply);
        self.rest();
        outcome.dropped
    }

    /// What is sent now.
    fn out(&mut self) -> Vec<Out> {
        self.out_at_most(65_535)
    }

    fn out_at_most(&mut self, most: u32) -> Vec<Out> {
        let mut all = vec![];
        while let Some(index) = self.tcp.next_ready(self.interface) {
            let Some(plan) = self.tcp.plan(index, most, self.now, &self.pool) else { continue };
            if plan.flags.has(Flags::SYN) {
                self.iss = plan.seq;
            }
            let mut pieces = heapless::Vec::<&[u8], 200>::new();
            let len = self.tcp.at(index).unwrap().payload(&self.pool, &plan, &mut pieces);
            assert_eq!(len as u32, plan.len);
            let payload = pieces.concat();
            drop(pieces);
            let out = Out {
                kind: plan.kind,
                seq: plan.seq.since(self.iss),
                ack: plan.ack.since(PEER_ISS),
                flags: plan.flags,
                window: plan.window,
                options: plan.options,
                mark: plan.mark,
                payload,
            };
            // A long plan goes out in segments.
            let mss = u32::from(plan.mss).max(1);
            let parts = out.len().div_ceil(mss).max(1);
            for n in 0..parts {
                let from = (n * mss) as usize;
                let to = (from + mss as usize).min(out.payload.len());
                let last = n + 1 == parts;
                let flags = if last { out.flags } else { out.flags.without(Flags::FIN | Flags::PSH) };
                all.push(Out {
                    seq: out.seq + n * mss,
                    flags,
                    payload: out.payload[from..to].to_vec(),
                    ..out.clone()
                });
            }
            self.tcp.on_sent(index, &plan, self.now, &mut self.pool);
            self.tcp.queue_if_ready(index);
            self.rest();
        }
        all
    }

    /// Time passes; what is sent, and how many milliseconds after now.
    fn advance(&mut self, ms: u64) -> Vec<(u64, Out)> {
        let start = self.now;
        let end = self.now + Duration::from_millis(ms);
        let mut all = vec![];
        while let Some(at) = self.tcp.deadline()
            && at <= end
        {
            self.now = self.now.max(at);
            while let Some((_, _, outcome)) = self.tcp.expire(self.now, &mut self.pool) {
                self.note(outcome);
            }
            let after = self.now.since(start).millis();
            all.extend(self.out().into_iter().map(|o| (after, o)));
        }
        self.now = end;
        all
    }

    fn state(&self) -> State {
        self.tcp.connection(self.key.unwrap()).unwrap().tcb.state()
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        let written = self.tcp.write(self.key.unwrap(), data, self.now, &mut self.pool);
        self.rest();
        written
    }

    fn read(&mut self, most: usize) -> Result<Vec<u8>, Error> {
        let mut buf = vec![0; most];
        let n = self.tcp.read(self.key.unwrap(), &mut buf, self.now, &mut self.pool)?;
        buf.truncate(n);
        self.rest();
        Ok(buf)
    }

    /// Changes options of the connection.
    fn configure(&mut self, change: impl FnOnce(&mut TcpOptions)) {
        let key = self.key.unwrap();
        let mut options = *self.tcp.options(key).unwrap();
        change(&mut options);
        self.tcp.set_options(key, options, self.now, &mut self.pool).unwrap();
        self.tcp.check(&self.pool);
    }

    fn count(&self, what: TcpCount) -> u64 {
        self.tcp.settings.counts.get(what)
    }

    fn flush(&mut self) {
        self.tcp.flush(self.key.unwrap(), self.now, &mut self.pool).unwrap();
        self.tcp.check(&self.pool);
    }

    fn shutdown(&mut self) {
        self.tcp.shutdown_write(self.key.unwrap(), self.now, &mut self.pool).unwrap();
    }

    /// The application lets go; the reset, if that loses data.
    fn close(&mut self) -> Option<Reset> {
        self.tcp.let_go(self.key.unwrap(), true, self.now, &mut self.pool).map(|last| last.reset)
    }

    fn connected(&self) -> Result<(), Error> {
        self.tcp.connection(self.key.unwrap()).unwrap().tcb.connected()
    }
}

/// Settings without acknowledgments that depend on the age of the connection.
fn quiet() -> TcpConfig {
    TcpConfig { quick_acks: 0, ..TcpConfig::default() }
}

/// Settings with a SYN queue that is full when it is full.
fn without_cookies() -> TcpConfig {
    TcpConfig {
        #[cfg(feature = "syn-cookies")]
        syn_cookies: SynCookies::Off,
        ..quiet()
    }
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}
