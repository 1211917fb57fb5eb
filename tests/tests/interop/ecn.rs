//! Explicit congestion notification with the kernel, over a link that marks instead of dropping.

use barenet::Ecn;
use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use barenet::stack::Limits;
use barenet_tests::kernel::{Family, Opens, beside_wrapped, counter, noise, pair, try_sysctl};
use std::io::{Read, Write};
use std::thread;

const CE: u8 = 3;
const ETHERNET_LEN: usize = 14;

/// Marks every n-th frame that is ECN-capable, in both directions; or bleaches all of them.
struct Router<D> {
    device: D,
    rule: Rule,
    capable: usize,
}

#[derive(Clone, Copy)]
enum Rule {
    MarkEvery(usize),
    Bleach,
}

impl<D: Device> Router<D> {
    /// What the ECN field of a frame becomes.
    fn field(&mut self, frame: &[u8]) -> Option<u8> {
        let field = match frame.get(12..14)? {
            [0x08, 0x00] => frame[15],
            _ => frame[15] >> 4,
        } & 3;
        if field == 0 {
            return None;
        }
        self.capable += 1;
        match self.rule {
            Rule::Bleach => Some(0),
            Rule::MarkEvery(n) => self.capable.is_multiple_of(n).then_some(CE),
        }
    }
}

/// Sets the ECN field of a frame, and the checksum of its IPv4 header anew.
fn set_field(frame: &mut [u8], field: u8) {
    if frame[12..14] != [0x08, 0x00] {
        frame[15] = frame[15] & !0x30 | field << 4;
        return;
    }
    frame[15] = frame[15] & !3 | field;
    let ip = &mut frame[ETHERNET_LEN..ETHERNET_LEN + 20];
    ip[10..12].fill(0);
    let mut sum: u32 = ip.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

impl<D: Device> Device for Router<D> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let mut held = None;
        let received = self.device.receive(&mut |frame| {
            let bytes: Vec<u8> = frame.bytes.chunks().flatten().copied().collect();
            held = Some((bytes, frame.checksum, frame.segment_len));
        });
        if let Some((mut bytes, checksum, segment_len)) = held {
            if let Some(field) = self.field(&bytes) {
                set_field(&mut bytes, field);
            }
            sink(RxFrame { checksum, segment_len, ..RxFrame::plain(&[&bytes]) });
        }
        received
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let Some(field) = self.field(frame.header) else { return self.device.transmit(frame) };
        let mut header = frame.header.to_vec();
        set_field(&mut header, field);
        self.device.transmit(TxFrame { header: &header, ..frame })
    }

    fn flush(&mut self) {
        self.device.flush();
    }

    fn arm(&mut self) -> bool {
        self.device.arm()
    }

    fn link(&mut self) -> LinkState {
        self.device.link()
    }

    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.device.set_multicast(group, join);
    }
}

/// All of `data` from one end to the other; the connection stays open.
fn pass(from: &mut impl Write, to: &mut (impl Read + Send), data: &[u8]) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut got = vec![0; data.len()];
            to.read_exact(&mut got).unwrap();
            assert!(got == data, "other bytes than those that were sent");
        });
        from.write_all(data).unwrap();
    });
}

/// 4 MB each way between us and a kernel with this `tcp_ecn`; what we know of the connection
/// afterwards: ECN, AccECN, marks received, reductions. `None`: the kernel does not know that value.
fn through(
    rule: Rule,
    tcp_ecn: &str,
    offloads: bool,
    family: Family,
    opens: Opens,
) -> Option<(bool, bool, u32, u32)> {
    let mut found = None;
    let wrap = |device| Router { device, rule, capable: 0 };
    beside_wrapped(offloads, wrap, &Limits::default(), |net| {
        if !try_sysctl("net.ipv4.tcp_ecn", tcp_ecn) {
            return;
        }
        net.with_stack(|stack| stack.configure_tcp(|c| c.ecn = Ecn::On)).unwrap();
        let (mut ours, mut kernel) = pair(net, family, opens);
        pass(&mut ours, &mut kernel, &noise(4_000_000, 1));
        pass(&mut kernel, &mut ours, &noise(4_000_000, 2));
        let info = ours.info().unwrap();
        found = Some((info.ecn, info.accurate_ecn, info.marks_received, info.ecn_reductions));
        assert_eq!(info.timeouts, 0);
        if let Rule::MarkEvery(_) = rule {
            assert!(counter("TCPDeliveredCE") > 0, "the kernel heard of its marks");
        }
    });
    found
}

/// T08: RFC 3168 both ways, whoever asks.
#[test]
fn ecn_of_rfc_3168() {
    for (opens, tcp_ecn) in [(Opens::Kernel, "1"), (Opens::Ours, "2")] {
        for (family, offloads) in [(Family::V4, true), (Family::V6, false)] {
            let (ecn, accurate, received, reduced) =
                through(Rule::MarkEvery(20), tcp_ecn, offloads, family, opens).unwrap();
            assert!(ecn && !accurate && received > 0 && reduced > 0, "{received} {reduced}");
        }
    }
}

/// T08: AccECN both ways, whoever asks. (Linux has it since 6.18: `tcp_ecn` 3 asks for and grants it.)
#[test]
fn accurate_ecn() {
    for opens in Opens::BOTH {
        for (family, offloads) in [(Family::V4, true), (Family::V6, false)] {
            let found = through(Rule::MarkEvery(20), "3", offloads, family, opens);
            let Some((ecn, accurate, received, reduced)) = found else {
                return println!("this kernel has no AccECN: not tested");
            };
            assert!(ecn && accurate && received > 0 && reduced > 0, "{accurate} {received} {reduced}");
        }
    }
}

/// T08: a path that takes every mark away costs nothing but the marks.
#[test]
fn a_path_that_bleaches() {
    for opens in Opens::BOTH {
        let (ecn, _, received, reduced) = through(Rule::Bleach, "1", true, Family::V4, opens).unwrap();
        assert!(ecn && received == 0 && reduced == 0, "{ecn} {received} {reduced}");
    }
}

/// T08: a kernel that has it switched off.
#[test]
fn a_kernel_without_ecn() {
    let (ecn, ..) = through(Rule::Bleach, "0", true, Family::V4, Opens::Ours).unwrap();
    assert!(!ecn);
}
