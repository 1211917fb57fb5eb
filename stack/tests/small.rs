//! Programs of a stack from which features were left out: what is left works. Each part runs wherever its feature is on.

use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::stack::{Memory, Stack};
use barenet::time::Instant;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEERS: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Keeps the last frame that was sent to the peer alone.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Device for Wire {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac(OURS), 1500)
    }
    fn receive(&mut self, _sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let bytes = [frame.header, &frame.payload.concat()].concat();
        if bytes[..6] == PEERS {
            self.0 = bytes;
        }
        Ok(())
    }
}

fn sum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 =
        bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An IPv4 packet from the peer, in its frame.
fn packet(protocol: u8, message: &[u8]) -> Vec<u8> {
    let mut ip =
        vec![0x45, 0, 0, 20 + message.len() as u8, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let check = sum(&ip);
    ip[10..12].copy_from_slice(&check);
    [&OURS[..], &PEERS, &[8, 0], &ip, message].concat()
}

/// The answers to ARP's question for our address and to what came after it.
fn answers(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut memory: Box<Memory<8, 0, 0>> = Box::new(Memory::new());
    let mut stack = Stack::new(memory.storage(), [7; 32]);
    let mut wire = Wire::default();
    let interface = stack.add_interface(wire.capabilities()).expect("a place for it");
    let address = Cidr::new([10, 0, 0, 2].into(), 24).expect("an address");
    stack.add_address(interface, address, Instant::ZERO).expect("a place for it");
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let question = [&[0xff; 6][..], &PEERS, &[8, 6], &arp].concat();
    [question]
        .iter()
        .chain(frames)
        .map(|frame| {
            wire.0.clear();
            let now = Instant::from_millis(1);
            stack.on_frame(interface, RxFrame::plain(&[frame]), now);
            stack.on_timers(now);
            stack.egress(interface, &mut wire, now);
            stack.check();
            wire.0.clone()
        })
        .collect()
}

/// The least that a host is: ARP and echo are answered (RFC 826, RFC 1122 §3.2.2.6).
#[test]
fn arp_and_echo_are_answered() {
    let mut echo = vec![8, 0, 0, 0, 1, 2, 0, 1, 42, 43];
    let check = sum(&echo);
    echo[2..4].copy_from_slice(&check);
    let [arp, echoed] = &answers(&[packet(1, &echo)])[..] else { panic!("two answers") };
    assert_eq!(arp[..22], [&PEERS[..], &OURS, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat());
    assert_eq!((echoed[34], &echoed[38..44]), (0, &[1, 2, 0, 1, 42, 43][..]));
}

/// Without TCP a segment is of a protocol that is not spoken (RFC 1122 §3.2.2.1); with it a reset answers (RFC 9293 §3.10.7.1).
#[test]
fn segment_for_nobody_is_answered() {
    let mut segment = vec![0, 9, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0];
    let pseudo = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 20];
    let check = sum(&[&pseudo[..], &segment].concat());
    segment[16..18].copy_from_slice(&check);
    let answer = &answers(&[packet(6, &segment)])[1];
    if cfg!(feature = "tcp") {
        assert_eq!((answer[23], answer[47]), (6, 0x14), "RST and ACK");
    } else if cfg!(feature = "icmp-errors") {
        assert_eq!((answer[23], answer[34], answer[35]), (1, 3, 2), "protocol unreachable");
    } else {
        assert!(answer.is_empty(), "no errors are sent");
    }
}
