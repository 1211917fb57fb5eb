//! A client: an address by DHCP, a connection by name, a request, and what comes back.
#![no_std]
#![no_main]

use barenet::TcpStream;
use barenet::dhcp::{DhcpClient, DhcpConfig};
use barenet::names::{DnsConfig, NamesMemory};
use barenet::stack::{DhcpMemory, Memory};
use barenet_size::ours::sockets::net;
use barenet_size::{halt, ours, program};
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: ConstStaticCell<Memory<16, 2, 0>> = ConstStaticCell::new(Memory::new());
static NAMES: ConstStaticCell<NamesMemory<2, 4, 512>> = ConstStaticCell::new(NamesMemory::new());
static DHCP: StaticCell<DhcpClient> = StaticCell::new();

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    net.with_stack(|stack| {
        stack.start_names(DnsConfig::DEFAULT, NAMES.take().storage());
        let Some(id) = stack.interfaces().map(|(id, _)| id).next() else { halt() };
        let memory = DhcpMemory::Borrowed(DHCP.init(DhcpClient::new()));
        if stack.dhcp_start(id, DhcpConfig::DEFAULT, memory, ours::now()).is_err() {
            halt()
        }
    });
    let mut buf = [0; 64];
    loop {
        if let Ok(mut stream) = TcpStream::connect(&net, "example.org:80") {
            let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
            while let Ok(1..) = stream.read(&mut buf) {}
        }
    }
}

program!(run);
