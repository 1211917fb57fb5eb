//! Both families: TCP's and UDP's echo services, eight connections at a time with 4 KiB of queues for each, and ping, asked
//! and answered.
#![no_std]
#![no_main]

use barenet_size::theirs::sockets::{Queues, add, placed, serve};
use barenet_size::{halt, program};
use smoltcp::iface::{SocketSet, SocketStorage};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{icmp, udp};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr};
use static_cell::ConstStaticCell;

const CONNECTIONS: usize = 8;
const ROUTER: IpAddress = IpAddress::v4(10, 0, 0, 1);

static SOCKETS: ConstStaticCell<[SocketStorage<'static>; CONNECTIONS + 2]> =
    ConstStaticCell::new([SocketStorage::EMPTY; CONNECTIONS + 2]);
static QUEUES: ConstStaticCell<[Queues; CONNECTIONS]> =
    ConstStaticCell::new([([0; 2048], [0; 2048]); CONNECTIONS]);
static UDP: ConstStaticCell<[([udp::PacketMetadata; 4], [u8; 1536]); 2]> =
    ConstStaticCell::new([([udp::PacketMetadata::EMPTY; 4], [0; 1536]); 2]);
static PING: ConstStaticCell<[([icmp::PacketMetadata; 2], [u8; 256]); 2]> =
    ConstStaticCell::new([([icmp::PacketMetadata::EMPTY; 2], [0; 256]); 2]);

fn run() -> ! {
    let mut sockets = SocketSet::new(&mut SOCKETS.take()[..]);
    let connections = add(&mut sockets, QUEUES.take());
    let [received, sent] = UDP.take().each_mut().map(|(a, b)| udp::PacketBuffer::new(&mut a[..], &mut b[..]));
    let udp = sockets.add(udp::Socket::new(received, sent));
    let [received, sent] =
        PING.take().each_mut().map(|(a, b)| icmp::PacketBuffer::new(&mut a[..], &mut b[..]));
    let ping = sockets.add(icmp::Socket::new(received, sent));
    if sockets.get_mut::<udp::Socket<'_>>(udp).bind(7).is_err()
        || sockets.get_mut::<icmp::Socket<'_>>(ping).bind(icmp::Endpoint::Ident(1)).is_err()
    {
        halt()
    }
    let place = placed();
    place.0.update_ip_addrs(|a| {
        let _ = a.push(IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2), 64));
    });
    let _ = place.0.routes_mut().add_default_ipv4_route([10, 0, 0, 1].into());
    serve(place, sockets, &connections, |sockets| {
        let mut buf = [0; 64];
        let socket = sockets.get_mut::<udp::Socket<'_>>(udp);
        if let Ok((len, from)) = socket.recv_slice(&mut buf) {
            let _ = socket.send_slice(&buf[..len], from);
        }
        let socket = sockets.get_mut::<icmp::Socket<'_>>(ping);
        if socket.recv_slice(&mut buf).is_ok() {
            let question = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 1, data: &[] };
            if let Ok(room) = socket.send(question.buffer_len(), ROUTER) {
                question.emit(&mut Icmpv4Packet::new_unchecked(room), &ChecksumCapabilities::default());
            }
        }
    })
}

program!(run);
