//! UDP's echo service over both families, and ping: the daemon alone, without handles. A feature each adds what the layers
//! below have besides.
#![no_std]
#![no_main]

use barenet::daemon::Daemon;
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::Memory;
use barenet::udp::DatagramKind;
use barenet_size::{halt, ours, program};
use core::net::{Ipv6Addr, SocketAddr};
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<Memory<16, 0, 2>> = ConstStaticCell::new(Memory::new());

fn run() -> ! {
    let daemon = ours::daemon(MEMORY.take().storage());
    let Some(id) = daemon.stack().interfaces().map(|(id, _)| id).next() else { halt() };
    let Ok(address) = Cidr::new([0xfd00, 0, 0, 0, 0, 0, 0, 2].into(), 64) else { halt() };
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 7);
    let added = daemon.stack().add_address(id, address, ours::now());
    let (Ok(()), Ok(socket)) = (added, daemon.stack().datagram_bind(DatagramKind::Udp, any, false)) else {
        halt()
    };
    if parts(daemon, id).is_err() {
        halt()
    }
    // A protocol of the program's own, which is answered in kind.
    #[cfg(feature = "datagrams-raw")]
    let Ok(protocol) = daemon.stack().raw_open(barenet::raw::RawKind::Ipv4(253), None) else { halt() };
    let mut buf = [0; 64];
    loop {
        ours::sleep(daemon.turn(ours::now()));
        if let Ok(got) = daemon.stack().datagram_receive(socket, &mut buf, false, None) {
            let to = Some(got.from);
            let _ = daemon.stack().datagram_send(socket, to, &buf[..got.len], None, ours::now());
        }
        #[cfg(feature = "datagrams-raw")]
        if let Ok(got) = daemon.stack().raw_receive(protocol, &mut buf, None) {
            let to = Some(SocketAddr::new(got.from, 0));
            let _ = daemon.stack().raw_send(protocol, to, &buf[..got.len], (None, None), ours::now());
        }
    }
}

/// Sets up what the program has besides.
#[allow(unused_variables, reason = "without any there is nothing to set up")]
#[allow(clippy::unnecessary_wraps, reason = "most can fail")]
fn parts(daemon: &mut Daemon<'static>, id: InterfaceId) -> Result<(), barenet::Error> {
    #[cfg(feature = "datagrams-dhcpv4")]
    {
        use barenet::dhcp::{DhcpClient, DhcpConfig};
        static CLIENT: static_cell::StaticCell<DhcpClient> = static_cell::StaticCell::new();
        let memory = barenet::stack::DhcpMemory::Borrowed(CLIENT.init(DhcpClient::new()));
        daemon.stack().dhcp_start(id, DhcpConfig::DEFAULT, memory, ours::now())?;
    }
    #[cfg(feature = "datagrams-slaac")]
    daemon.stack().configure_ipv6(id, barenet::config::Ipv6Config::default(), ours::now())?;
    #[cfg(feature = "datagrams-dhcpv6")]
    {
        use barenet::dhcpv6::{Dhcpv6Client, Dhcpv6Config};
        static CLIENT: static_cell::StaticCell<Dhcpv6Client> = static_cell::StaticCell::new();
        let memory = barenet::stack::Dhcpv6Memory::Borrowed(CLIENT.init(Dhcpv6Client::new()));
        daemon.stack().dhcpv6_start(id, Dhcpv6Config::default(), memory, ours::now())?;
    }
    #[cfg(feature = "datagrams-multicast")]
    {
        let socket = daemon.stack().datagram_bind(DatagramKind::Udp, ([0, 0, 0, 0], 9).into(), false)?;
        let any = barenet::stack::Membership::AnySource;
        daemon.stack().datagram_join(socket, [239, 1, 2, 3].into(), Some(id), any, ours::now())?;
    }
    #[cfg(feature = "datagrams-vlan")]
    {
        let Some(number) = barenet::device::vlan::VlanId::new(5) else { halt() };
        daemon.add_vlan(id, number)?;
    }
    #[cfg(feature = "datagrams-forwarding")]
    daemon.stack().set_forwarding(id, true)?;
    Ok(())
}

program!(run);
