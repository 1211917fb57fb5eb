//! Drivers of other ecosystems under our stack, and ours under smoltcp, with the Linux kernel at the other end.

use barenet::device::Device;
use barenet::stack::Limits;
use barenet::wait::{Spin, Threads};
use barenet::{Net, TcpListener, TcpStream};
use barenet_boards::host::Host;
use barenet_drivers::adapters::smoltcp::{Events, SmoltcpDevice, UnderSmoltcp};
use barenet_drivers::adapters::{OneThread, embassy::EmbassyDevice, waker};
use barenet_drivers::tap;
use barenet_tests::kernel::{Daemon, PATIENCE, network, within};
use barenet_tests::netns::{self, KERNEL_V4, KERNEL_V6, MAC, STACK_V4};
use embassy_net_tuntap::TunTapDevice;
use std::io::{Read, Write};
use std::net;
use std::thread;

/// Bytes that are moved each way.
const LEN: usize = 10 << 20;

fn data() -> Vec<u8> {
    (0..LEN as u32).map(|i| (i ^ (i >> 11)) as u8).collect()
}

/// The kernel's end of a TAP that somebody else has opened.
fn configure(name: &str) {
    let addresses = [(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)];
    tap::configure(name, &addresses).expect("an interface of ours");
    tap::settle(&addresses).expect("addresses");
}

/// The kernel echoes what it gets.
fn echo() -> (net::SocketAddr, thread::JoinHandle<()>) {
    let listener = net::TcpListener::bind((KERNEL_V4, 0)).expect("the kernel listens");
    let address = listener.local_addr().expect("its address");
    let serve = move || {
        let (mut flow, _) = listener.accept().expect("the kernel accepts");
        std::io::copy(&mut flow.try_clone().expect("a clone"), &mut flow).expect("an echo");
    };
    (address, thread::spawn(serve))
}

fn send_and_hear(net: &Net) {
    let (address, echo) = echo();
    let flow = TcpStream::connect(net, address).expect("we connect");
    let data = data();
    let mut heard = vec![0; LEN];
    let (mut reader, mut writer) = flow.into_split();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&data).expect("we write");
            writer.shutdown().expect("our FIN");
        });
        reader.read_exact(&mut heard).expect("we read");
    });
    assert!(heard == data);
    echo.join().expect("the kernel's end");
}

/// An unmodified driver of embassy's, woken by its own reactor's thread, moves 10 MiB each way.
#[test]
fn embassy_net_tuntap_moves_ten_mebibytes_each_way() {
    within(PATIENCE, || {
        netns::run(|| {
            let mut driver = TunTapDevice::new("tap0").expect("a TAP");
            driver.set_hardware_address(MAC.0);
            configure("tap0");
            let platform: &'static Host = Box::leak(Box::new(Host::new([]).expect("a descriptor")));
            let device = EmbassyDevice::new(driver, waker(platform)).expect("Ethernet");
            let net = network(device, platform, &Threads, &Limits::default());
            let _daemon = Daemon::start(&net);
            send_and_hear(&net);
        });
    });
}

/// smoltcp's TAP, which is not `Send` in general and wakes nobody, by one thread that polls.
#[test]
fn smoltcp_tap_moves_ten_mebibytes_by_one_thread() {
    within(PATIENCE, || {
        netns::run(|| {
            let device =
                smoltcp::phy::TunTapInterface::new("tap0", smoltcp::phy::Medium::Ethernet).expect("a TAP");
            configure("tap0");
            let platform: &'static Host = Box::leak(Box::new(Host::new([]).expect("a descriptor")));
            let device = SmoltcpDevice::new(device, MAC, platform, Events::Polled).expect("Ethernet");
            let net = network(OneThread::new(device), platform, &Spin, &Limits::default());
            let listener = TcpListener::bind(&net, 7).expect("we listen");
            let kernel = thread::spawn(|| {
                let mut flow = net::TcpStream::connect((STACK_V4, 7)).expect("the kernel connects");
                flow.write_all(&data()).expect("the kernel writes");
                flow.shutdown(net::Shutdown::Write).expect("its FIN");
                let mut answer = Vec::new();
                flow.read_to_end(&mut answer).expect("the kernel reads");
                assert_eq!(answer, b"thanks");
            });
            let (mut flow, _) = listener.accept().expect("we accept");
            let mut heard = Vec::new();
            flow.read_to_end(&mut heard).expect("we read");
            assert!(heard == data());
            flow.write_all(b"thanks").expect("we answer");
            drop(flow);
            while !kernel.is_finished() {
                net.pause(barenet::time::Duration::from_millis(1));
            }
            kernel.join().expect("the kernel's end");
        });
    });
}

/// Our TAP with offloads under smoltcp: what comes has partial checksums and is longer than the MTU.
#[test]
fn our_tap_under_smoltcp_moves_a_mebibyte() {
    use smoltcp::iface::{Config, Interface, SocketSet};
    use smoltcp::socket::tcp;
    use smoltcp::wire::{EthernetAddress, IpCidr};
    within(PATIENCE, || {
        netns::run(|| {
            let device = netns::tap(true);
            assert!(device.capabilities().tso4 > 0, "it has offloads");
            let mut device = UnderSmoltcp::new(device);
            let now = smoltcp::time::Instant::now;
            let mut iface = Interface::new(Config::new(EthernetAddress(MAC.0).into()), &mut device, now());
            iface.update_ip_addrs(|all| {
                all.push(IpCidr::new(STACK_V4.into(), 24)).expect("room");
            });
            let queue = || tcp::SocketBuffer::new(vec![0; 65_536]);
            let mut sockets = SocketSet::new(vec![]);
            let handle = sockets.add(tcp::Socket::new(queue(), queue()));
            sockets.get_mut::<tcp::Socket>(handle).listen(7).expect("it listens");
            let kernel = thread::spawn(|| {
                let mut flow = net::TcpStream::connect((STACK_V4, 7)).expect("the kernel connects");
                flow.write_all(&data()[..1 << 20]).expect("the kernel writes");
            });
            let mut heard = Vec::new();
            loop {
                iface.poll(now(), &mut device, &mut sockets);
                let socket = sockets.get_mut::<tcp::Socket>(handle);
                if socket.can_recv() {
                    socket.recv(|bytes| (bytes.len(), heard.extend_from_slice(bytes))).expect("it reads");
                } else if socket.state() == tcp::State::CloseWait {
                    break;
                }
            }
            assert!(heard == data()[..1 << 20]);
            kernel.join().expect("the kernel's end");
        });
    });
}
