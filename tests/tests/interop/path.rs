//! Path MTU with the kernel as a router: two stacks of ours on two TAPs, and a smaller link behind it
//! than either knows of.

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::udp::DontFragment;
use barenet::wait::Threads;
use barenet::{Error, Net, TcpListener, TcpStream, UdpSocket};
use barenet_drivers::tap::{self, Options, Tap};
use barenet_tests::kernel::{
    Daemon, Family, Opens, beside_wrapped, exchange, machine, noise, pair, receive, send, try_sysctl,
};
use std::net::{IpAddr, SocketAddr};
use std::thread;

/// The far link: the kernel's end, and ours.
const FAR: [[&str; 2]; 2] = [["10.9.0.1", "10.9.0.2"], ["fd09::1", "fd09::2"]];
/// It carries packets of so many bytes.
const FAR_MTU: u16 = 1300;

/// A stack behind the far link, which takes it for one of 1500 bytes.
fn far_stack() -> Net {
    let options = Options::new().name("tap1");
    let tap = Tap::open(Mac([2, 0, 0, 0, 0, 9]), options).unwrap();
    let kernels = FAR.map(|[kernel, _]| (kernel.parse::<IpAddr>().unwrap(), 64));
    let kernels = kernels.map(|(a, len)| (a, if a.is_ipv4() { 24 } else { len }));
    tap::configure(tap.name(), &kernels).unwrap();
    tap::settle(&kernels).unwrap();
    tap::set_mtu(tap.name(), FAR_MTU).unwrap();
    let platform = machine(tap.events());
    let stack = Stack::new(Storage::heap(&Limits::default()), [9; 32]);
    let net = Net::new(stack, platform, &Threads).unwrap();
    let addresses = FAR.map(|[_, ours]| Cidr::new(ours.parse().unwrap(), 24).unwrap());
    net.add_interface(Box::new(tap), &addresses, &kernels.map(|(a, _)| a)).unwrap();
    net
}

/// T17, H075: the kernel, as a router, says what fits; nothing is lost for longer than a round trip.
#[test]
fn a_router_with_a_smaller_link() {
    for offloads in [true, false] {
        beside_wrapped(
            offloads,
            |tap| tap,
            &Limits::default(),
            |near| {
                assert!(try_sysctl("net.ipv4.ip_forward", "1"));
                assert!(try_sysctl("net.ipv6.conf.all.forwarding", "1"));
                let far = far_stack();
                let _daemon = Daemon::start(&far);
                near.with_stack(|stack| {
                    let id = stack.interfaces().find(|(_, i)| !i.is_loopback()).unwrap().0;
                    Family::BOTH.into_iter().for_each(|f| stack.set_gateway(id, f.kernel()).unwrap());
                });
                for [_, address] in FAR {
                    let to = SocketAddr::new(address.parse().unwrap(), 7);
                    let listener = TcpListener::bind(&far, to).unwrap();
                    let data = noise(2_000_000, 1);
                    thread::scope(|scope| {
                        scope.spawn(|| receive(&mut listener.accept().unwrap().0, &data));
                        let mut flow = TcpStream::connect(near, to).unwrap();
                        std::io::Write::write_all(&mut flow, &data).unwrap();
                        let info = flow.info().unwrap();
                        assert_eq!((info.path_mtu, info.timeouts), (FAR_MTU, 0), "{info:?}");
                        send(&mut flow, &[]);
                    });
                }
            },
        );
    }
}

/// T17, D03: UDP learns from the same messages, whether its datagrams are in fragments or not; a socket that
/// wants none is told.
#[test]
fn router_with_a_smaller_link_teaches_udp() {
    beside_wrapped(
        true,
        |tap| tap,
        &Limits::default(),
        |near| {
            assert!(try_sysctl("net.ipv4.ip_forward", "1"));
            assert!(try_sysctl("net.ipv6.conf.all.forwarding", "1"));
            let far = far_stack();
            let _daemon = Daemon::start(&far);
            near.with_stack(|stack| {
                let id = stack.interfaces().find(|(_, i)| !i.is_loopback()).unwrap().0;
                Family::BOTH.into_iter().for_each(|f| stack.set_gateway(id, f.kernel()).unwrap());
            });
            for (n, [_, address]) in FAR.into_iter().enumerate() {
                let to = SocketAddr::new(address.parse().unwrap(), 7);
                let server = UdpSocket::bind(&far, to).unwrap();
                let client = UdpSocket::bind(near, 0).unwrap();
                client.connect(to).unwrap();
                let (data, mut buf) = (noise([1400, 9000][n], 1), vec![0; 10_000]);
                assert_eq!(client.path_mtu(to), Ok(1500));
                client.set_dont_fragment([DontFragment::No, DontFragment::Yes][n]).unwrap();
                // The first that is too long is lost, and what a router says of it is heard.
                client.send(&data[..1400]).unwrap();
                while client.path_mtu(to) == Ok(1500) {
                    thread::yield_now();
                }
                assert_eq!(client.path_mtu(to), Ok(FAR_MTU));
                if n == 1 {
                    let limit = FAR_MTU - 48;
                    let told = Err(Error::MessageTooLong { limit });
                    assert_eq!(client.send(b"?"), told, "of the one before");
                    assert_eq!(client.send(&data[..1400]), told);
                    client.set_dont_fragment(DontFragment::No).unwrap();
                }
                client.send(&data).unwrap();
                let len = server.recv(&mut buf).unwrap();
                assert!(buf[..len] == data);
            }
        },
    );
}

/// Loses every frame that we send with a longer packet than so many bytes, and says nothing.
struct BlackHole<D>(D, usize);

impl<D: Device> Device for BlackHole<D> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        self.0.receive(sink)
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if frame.len() > 14 + self.1 { Ok(()) } else { self.0.transmit(frame) }
    }
    fn flush(&mut self) {
        self.0.flush();
    }
    fn arm(&mut self) -> bool {
        self.0.arm()
    }
    fn link(&mut self) -> LinkState {
        self.0.link()
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.0.set_multicast(group, join);
    }
}

/// T17: a path that loses long packets without a word: short ones after three timeouts, then as long ones
/// as it carries.
#[test]
fn a_black_hole_before_the_kernel() {
    beside_wrapped(
        false,
        |tap| BlackHole(tap, 1400),
        &Limits::default(),
        |net| {
            for family in Family::BOTH {
                let (mut ours, mut kernel) = pair(net, family, Opens::Ours);
                exchange(&mut ours, &mut kernel, 1_000_000);
            }
        },
    );
}
