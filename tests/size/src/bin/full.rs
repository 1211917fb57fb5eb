//! Both families: TCP's and UDP's echo services, eight connections at a time with 4 KiB of queues for each, and ping, asked
//! and answered.
#![no_std]
#![no_main]

use barenet::ip::addresses::Cidr;
use barenet::stack::Memory;
use barenet::{PingSocket, UdpSocket};
use barenet_size::ours::sockets::{Echo, net};
use barenet_size::{halt, ours, program};
use core::net::{IpAddr, Ipv4Addr};
use core::task::{Context, Waker};
use static_cell::{ConstStaticCell, StaticCell};

const CONNECTIONS: usize = 8;
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

static MEMORY: ConstStaticCell<Memory<{ 8 * CONNECTIONS + 8 }, CONNECTIONS, 2>> =
    ConstStaticCell::new(Memory::new());
static ECHO: StaticCell<Echo<CONNECTIONS>> = StaticCell::new();

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    net.with_stack(|stack| {
        let interface = stack.interfaces().map(|(id, _)| id).next();
        let address = Cidr::new([0xfd00, 0, 0, 0, 0, 0, 0, 2].into(), 64);
        let (Some(interface), Ok(address)) = (interface, address) else { halt() };
        if stack
            .add_address(interface, address, ours::now())
            .and(stack.set_gateway(interface, ROUTER))
            .is_err()
        {
            halt()
        }
    });
    let echo = ECHO.init(Echo::new(&net));
    let (Ok(udp), Ok(mut ping)) = (UdpSocket::bind(&net, 7), PingSocket::connect(&net, ROUTER)) else {
        halt()
    };
    let mut context = Context::from_waker(Waker::noop());
    let mut buf = [0; 64];
    loop {
        net.idle(net.turn());
        echo.turn();
        if let Ok((len, from)) = udp.try_recv_from(&mut buf) {
            let _ = udp.try_send_to(&buf[..len], from);
        }
        if ping.poll_recv(&mut context, &mut buf).is_ready() {
            let _ = ping.poll_send(&mut context, &[]);
        }
    }
}

program!(run);
