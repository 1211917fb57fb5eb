//! Every frame that we send, judged by an independent parser.

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use barenet::stack::Limits;
use barenet::{Error, PingSocket, TcpStream, UdpSocket};
use barenet_drivers::tap::Tap;
use barenet_tests::judge::judge;
use barenet_tests::kernel::{Family, Opens, beside_wrapped, exchange, pair};
use std::collections::BTreeMap;
use std::net::{self, SocketAddr};
use std::sync::mpsc::{self, Sender};

/// A TAP that hands a copy of each sent frame over.
struct Watched {
    tap: Tap,
    sent: Sender<Vec<u8>>,
}

impl Device for Watched {
    fn capabilities(&self) -> Capabilities {
        self.tap.capabilities()
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        self.tap.receive(sink)
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let payload = frame.payload.iter().copied();
        let whole: Vec<&[u8]> = [frame.header].into_iter().chain(payload).collect();
        // Nobody listens any more after the test.
        let _ = self.sent.send(whole.concat());
        self.tap.transmit(frame)
    }

    fn arm(&mut self) -> bool {
        self.tap.arm()
    }

    fn link(&mut self) -> LinkState {
        self.tap.link()
    }

    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.tap.set_multicast(group, join);
    }
}

/// A bit of everything that we can send.
fn say_everything(net: &barenet::Net) {
    for family in Family::BOTH {
        for opens in Opens::BOTH {
            let (mut ours, mut kernel) = pair(net, family, opens);
            exchange(&mut ours, &mut kernel, 300_001);
            let (ours, _kernel) = pair(net, family, opens);
            ours.abort();
        }
        let closed = SocketAddr::new(family.kernel(), 9);
        assert_eq!(TcpStream::connect(net, closed).err(), Some(Error::ConnectionRefused));
        let closed = SocketAddr::new(family.ours(), 9);
        net::TcpStream::connect(closed).unwrap_err();

        let kernel = net::UdpSocket::bind((family.kernel(), 0)).unwrap();
        let ours = UdpSocket::bind(net, 0).unwrap();
        for len in [0, 1, 1452] {
            ours.send_to(&vec![0xa5; len], kernel.local_addr().unwrap()).unwrap();
            assert_eq!(kernel.recv(&mut [0; 2000]).unwrap(), len);
        }
        // Port unreachable.
        kernel.connect(closed).unwrap();
        kernel.send(b"is anyone there?").unwrap();
        kernel.recv(&mut [0; 10]).unwrap_err();

        let mut ping = PingSocket::connect(net, family.kernel()).unwrap();
        ping.send(b"odd").unwrap();
        ping.recv(&mut [0; 10]).unwrap();
    }
}

#[test]
fn every_frame_is_well_formed() {
    let (sent, frames) = mpsc::channel();
    beside_wrapped(false, |tap| Watched { tap, sent }, &Limits::default(), say_everything);
    let mut seen = BTreeMap::new();
    for mut frame in frames.try_iter() {
        let name = judge(&frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
        if name != "arp"
            && let Some(last) = frame.last_mut()
        {
            *last ^= 1;
            assert!(judge(&frame).is_err(), "the judge is blind: {frame:02x?}");
        }
        *seen.entry(name).or_insert(0) += 1;
    }
    let names: Vec<_> = seen.keys().copied().collect();
    assert_eq!(names, ["arp", "icmp4", "icmp6", "tcp4", "tcp6", "udp4", "udp6"], "{seen:?}");
}
