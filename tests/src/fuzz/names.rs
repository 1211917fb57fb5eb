//! A name server that says anything: a network that looks names up, and answers that carry the right number, port and question of what was
//! asked last, with records of every kind, whole and cut, and pointers that lead anywhere. Whatever it says, nothing panics or spins, each
//! look-up ends within its time, and in the end no place of the resolver is taken.
//!
//! An input is a list of steps: what is done, how much follows, and what.

use crate::lan::packets::udp;
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::names::{DnsConfig, Name, RecordType};
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Instant;
use barenet::wait::Spin;
use barenet::{Lookup, Net, Platform, RecordLookup};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Turns at one instant: more is a stack that spins.
const TURNS_MAX: usize = 200;

/// The clock; it stands still unless it is set.
#[derive(Default)]
struct Clock(AtomicU64);

impl Platform for Clock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn idle(&self, _: Option<Instant>) {}
    fn wake(&self) {}
}

/// Frames for the network, and from it.
#[derive(Default)]
struct Frames {
    to: Vec<Vec<u8>>,
    from: Vec<Vec<u8>>,
}

struct Line(Arc<Mutex<Frames>>);

impl Device for Line {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac(MAC), 1500)
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some(frame) = self.0.lock().expect("one thread").to.pop() else { return false };
        sink(RxFrame::plain(&[&frame]));
        true
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        self.0.lock().expect("one thread").from.push(bytes);
        Ok(())
    }
}

struct World {
    net: Net,
    clock: &'static Clock,
    frames: Arc<Mutex<Frames>>,
    /// The last question: its port and its bytes.
    asked: Option<(u16, Vec<u8>)>,
    lookups: Vec<Lookup>,
    records: Vec<RecordLookup>,
    found: usize,
}

impl World {
    fn new() -> World {
        let clock: &'static Clock = Box::leak(Box::default());
        let stack = Stack::new(Storage::heap(&Limits::default()), [5; 32]);
        let net = Net::new(stack, clock, &Spin).expect("a loopback");
        let frames = Arc::<Mutex<Frames>>::default();
        let own = Cidr::new(OWN.into(), 24).expect("a network");
        net.add_interface(Box::new(Line(frames.clone())), &[own], &[]).expect("a place");
        net.configure_names(DnsConfig::with_server(SERVER.into())).expect("memory");
        World { net, clock, frames, asked: None, lookups: Vec::new(), records: Vec::new(), found: 0 }
    }

    /// Turns until nothing is due; neighbours are answered for, and what was asked is remembered.
    fn turn(&mut self) {
        for turns in 0.. {
            assert!(turns < TURNS_MAX, "{TURNS_MAX} turns at one time");
            let next = self.net.turn();
            let mut frames = self.frames.lock().expect("one thread");
            let sent = std::mem::take(&mut frames.from);
            for frame in &sent {
                if frame[12..14] == [8, 6] && frame[38..42] == SERVER.octets() {
                    let reply =
                        [&MAC[..], &[2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9]];
                    let reply = [&reply.concat()[..], &SERVER.octets(), &MAC, &OWN.octets()].concat();
                    frames.to.push(reply);
                }
                if frame[12..14] == [8, 0] && frame[23] == 17 && frame[36..38] == [0, 53] {
                    self.asked = Some((u16::from_be_bytes([frame[34], frame[35]]), frame[42..].to_vec()));
                }
            }
            if frames.to.is_empty() && sent.is_empty() && next.is_none_or(|at| at > self.net.now()) {
                break;
            }
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut found = 0;
        let mut over = |is_found: bool| found += usize::from(is_found);
        self.lookups.retain_mut(|lookup| match lookup.poll_addresses(&mut cx) {
            Poll::Ready(result) => {
                over(result.is_ok());
                false
            }
            Poll::Pending => true,
        });
        self.records.retain_mut(|lookup| match lookup.poll_records(&mut cx) {
            Poll::Ready(result) => {
                if let Ok(records) = result {
                    let texts = records.texts().map(<[u8]>::len).sum::<usize>();
                    let shown = format!("{:?}{:?}", records.services().last(), records.names().last());
                    assert!(texts <= 512 && shown.len() < 3000);
                    over(!records.is_empty());
                }
                false
            }
            Poll::Pending => true,
        });
        self.found += found;
    }

    fn start(&mut self, kind: u8) {
        let name = Name::new("www.example.org").expect("a name");
        let kinds = [RecordType::Ptr, RecordType::Srv, RecordType::Txt, RecordType::Cname];
        match kinds.get(usize::from(kind)) {
            Some(kind) => self.records.extend(self.net.start_query(&name, *kind)),
            None => self.lookups.extend(self.net.start_lookup("www.example.org", None)),
        }
    }

    /// An answer to the last question, with `rest` behind it.
    fn answer(&mut self, counts: u8, code: u8, rest: &[u8]) {
        let Some((port, asked)) = self.asked.clone() else { return };
        let end =
            asked[12..].iter().position(|b| *b == 0).map_or(asked.len(), |at| (12 + at + 5).min(asked.len()));
        let mut message = asked[..end].to_vec();
        message[2..12].copy_from_slice(&[
            0x81,
            0x80 | code & 15,
            0,
            1,
            0,
            counts,
            0,
            counts >> 4,
            0xff,
            0xff,
        ]);
        if code & 0x10 != 0 {
            message[2] |= 2;
        }
        message.extend_from_slice(rest);
        let macs = ([2, 0, 0, 0, 0, 9], MAC);
        let frame = udp(macs, (SERVER.into(), OWN.into()), (53, port), &message);
        self.frames.lock().expect("one thread").to.push(frame);
        self.turn();
    }

    fn pass(&mut self, ms: u64) {
        let until = self.net.now().micros() + ms * 1000;
        loop {
            self.turn();
            let next = self.net.turn().map_or(u64::MAX, Instant::micros).min(until);
            self.clock.0.fetch_max(next, Ordering::Relaxed);
            if next == until {
                return self.turn();
            }
        }
    }
}

/// Records as `kinds` says, one after the other: each byte is a type and how its data are made from what follows.
fn records(kinds: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for kind in kinds {
        let (of, data): (u8, Vec<u8>) = match kind % 9 {
            0 => (1, vec![192, 0, 2, *kind]),
            1 => (28, vec![*kind; 16]),
            2 => (5, vec![0xc0, 12 + kind % 64]),
            3 => (12, vec![1, b'a', 0xc0, *kind]),
            4 => (33, vec![0, 1, 0, 2, 0, 80, 0xc0, 12]),
            5 => (16, vec![2, b'h', b'i']),
            6 => (6, [&[0, 0][..], &[*kind; 20]].concat()),
            7 => (1, vec![1, 2, 3]),
            _ => (5, vec![0xc0, all.len() as u8]),
        };
        all.extend([
            0xc0,
            if kind & 0x80 == 0 { 12 } else { *kind },
            0,
            of,
            0,
            1,
            0,
            0,
            0,
            *kind,
            0,
            data.len() as u8,
        ]);
        all.extend(data);
    }
    all
}

/// Runs what `bytes` stand for, and says how many look-ups found something.
///
/// # Panics
///
/// When the stack breaks a promise.
pub fn names(bytes: &[u8]) -> usize {
    let mut world = World::new();
    let mut rest = bytes;
    for _ in 0..200 {
        let Some((&[what, len], after)) = rest.split_first_chunk::<2>() else { break };
        let (data, after) = after.split_at(usize::from(len % 64).min(after.len()));
        rest = after;
        match what % 8 {
            0 => world.start(what >> 5),
            1 | 2 => world.answer(data.len() as u8 & 15, 0, &records(data)),
            3 => world.answer(what >> 4, len, &records(data)),
            4 => world.answer(what >> 4, 0, data),
            5 => world.pass(u64::from(what) * 10),
            6 => drop(world.lookups.pop()),
            _ => world.answer(15, what >> 3, &[]),
        }
    }
    world.pass(6_000);
    assert!(world.lookups.is_empty() && world.records.is_empty(), "a look-up has no end");
    // Every place is free again.
    let all: Vec<_> = (0..16).map(|n| world.net.start_lookup(&format!("h{n}.example"), None)).collect();
    assert!(all.iter().all(Result::is_ok), "a place is taken");
    world.found
}
