//! Fragments of every flaw class for one stack: in any order, overlapping, beyond the end, of odd lengths, with
//! headers that are incomplete. Whatever comes out of its socket is a datagram that was cut, byte for byte, and in the
//! end it holds no memory.
//!
//! Each four bytes of an input are a fragment, or time that passes: flags, identification, offset, length.

use crate::kernel::noise;
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::{Duration, Instant};
use barenet::udp::{DatagramHandle, DatagramKind};
use std::net::{IpAddr, Ipv6Addr};

/// The flags of a step.
mod flag {
    pub(super) const V6: u8 = 1;
    /// The other value of "more fragments" than the right one.
    pub(super) const OTHER_MORE: u8 = 2;
    /// One byte longer than a multiple of eight.
    pub(super) const ODD: u8 = 4;
    /// A byte is wrong; once in an input, or two might make up for each other in the checksum.
    pub(super) const WRONG: u8 = 8;
    /// The offset counts from the longest packet's end.
    pub(super) const FAR: u8 = 16;
    /// No fragment: so many seconds pass as the next byte says.
    pub(super) const TIME: u8 = 0xe0;
}

const PORT: u16 = 7;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A device that takes everything.
struct Sink;

impl Device for Sink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac(MAC), 1500)
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, _: TxFrame<'_>) -> Result<(), TxError> {
        Ok(())
    }
}

fn address(last: u16, v6: bool) -> IpAddr {
    match v6 {
        false => IpAddr::from([10, 0, 0, last as u8]),
        true => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into(),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// The folded Internet sum.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0u32;
    for word in parts.concat().chunks(2) {
        total += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Text of the datagram with this identification.
fn text(ident: u8) -> Vec<u8> {
    noise(usize::from(ident) * 600 + 20, ident.into())
}

/// The datagram itself, with its UDP header.
fn datagram(ident: u8, v6: bool) -> Vec<u8> {
    let text = text(ident);
    let len = (8 + text.len()) as u16;
    let mut header = [&5u16.to_be_bytes()[..], &PORT.to_be_bytes(), &len.to_be_bytes(), &[0, 0]].concat();
    let (from, to) = (octets(address(9, v6)), octets(address(1, v6)));
    let check = !sum(&[&from, &to, &[0, 17], &len.to_be_bytes(), &header, &text]);
    header[6..8].copy_from_slice(&if check == 0 { 0xffff } else { check }.to_be_bytes());
    [header, text].concat()
}

/// The frame of a step.
fn frame(step: [u8; 4], may_be_wrong: bool) -> Vec<u8> {
    let [flags, ident, offset, len] = step;
    let (v6, ident) = (flags & flag::V6 != 0, ident % 4);
    let whole = datagram(ident, v6);
    let offset = match flags & flag::FAR {
        0 => usize::from(offset) * 8,
        _ => 65_528 - usize::from(offset) * 8,
    };
    let end = offset + usize::from(len) * 8 + usize::from(flags & flag::ODD != 0);
    let more = (end < whole.len()) != (flags & flag::OTHER_MORE != 0);
    // What lies beyond the datagram is made up, unless this is its end.
    let end = if end > whole.len() && offset < whole.len() { whole.len() } else { end };
    let mut part: Vec<u8> = (offset..end).map(|at| whole.get(at).copied().unwrap_or(0xee)).collect();
    if flags & flag::WRONG != 0
        && may_be_wrong
        && let Some(byte) = part.last_mut()
    {
        *byte = !*byte;
    }
    let (from, to) = (octets(address(9, v6)), octets(address(1, v6)));
    let ethernet = [&MAC[..], &[2, 0, 0, 0, 0, 9], if v6 { &[0x86, 0xdd] } else { &[8, 0] }].concat();
    if v6 {
        let field = offset as u16 | u16::from(more);
        let len = (8 + part.len()) as u16;
        let fixed = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[44, 64], &from, &to].concat();
        let header = [&[17, 0][..], &field.to_be_bytes(), &[0, 0, 0, ident]].concat();
        return [ethernet, fixed, header, part].concat();
    }
    let field = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
    let len = (20 + part.len()) as u16;
    let mut header =
        [&[0x45, 0][..], &len.to_be_bytes(), &[0, ident], &field.to_be_bytes(), &[64, 17, 0, 0], &from, &to]
            .concat();
    let check = !sum(&[&header]);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    [ethernet, header, part].concat()
}

struct World {
    stack: Stack<'static>,
    id: InterfaceId,
    socket: DatagramHandle,
    now: Instant,
}

impl World {
    fn new() -> World {
        let now = Instant::from_millis(1_000);
        // So little that longer datagrams take each other's.
        let limits = Limits { memory: 32 << 10, block_len: 256, fragments: 3, ..Limits::default() };
        let mut stack = Stack::new(Storage::heap(&limits), [3; 32]);
        let id = stack.add_interface(Sink.capabilities()).expect("the first interface");
        for v6 in [false, true] {
            let cidr = Cidr::new(address(1, v6), if v6 { 64 } else { 24 }).expect("a prefix");
            stack.add_address(id, cidr, now).expect("an address");
        }
        let any = (Ipv6Addr::UNSPECIFIED, PORT).into();
        let socket = stack.datagram_bind(DatagramKind::Udp, any, false).expect("a port");
        World { stack, id, socket, now }
    }

    fn turn(&mut self) {
        self.stack.on_timers(self.now);
        self.stack.egress(self.id, &mut Sink, self.now);
        self.stack.check();
        let mut buf = [0; 4096];
        while let Ok(got) = self.stack.datagram_receive(self.socket, &mut buf, false, None) {
            let is_right = (0..4).any(|ident| text(ident) == buf[..got.len]);
            assert!(is_right && got.len == got.datagram_len, "a datagram that nobody sent");
        }
    }
}

/// Runs what `bytes` stand for.
///
/// # Panics
///
/// When the stack breaks a promise.
pub fn fragments(bytes: &[u8]) {
    let mut world = World::new();
    let mut was_wrong = false;
    for step in bytes.as_chunks::<4>().0 {
        if step[0] & flag::TIME == flag::TIME {
            world.now += Duration::from_secs(step[1].into());
        } else {
            let frame = frame(*step, !was_wrong);
            was_wrong |= step[0] & flag::WRONG != 0;
            world.stack.on_frame(world.id, RxFrame::plain(&[&frame]), world.now);
        }
        world.turn();
    }
    // Long enough for fragments, and for what was told of them to a neighbour that does not answer.
    let end = world.now + Duration::from_secs(120);
    while let Some(at) = world.stack.next_deadline(world.now).filter(|at| *at < end) {
        world.now = world.now.max(at);
        world.turn();
    }
    assert_eq!(world.stack.memory().0, 0, "memory that nobody needs");
}
