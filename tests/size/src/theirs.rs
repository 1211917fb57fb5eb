//! The machine as smoltcp sees it.

use smoltcp::iface::{Config, Interface};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::{Buffers, Register, halt, read, write};

pub struct Device(Buffers);
pub struct Received<'a>(&'a [u8]);
pub struct Sent<'a>(&'a mut [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        let result = take(self.0);
        write(Register::Received, 0);
        result
    }
}

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let result = fill(&mut self.0[..len]);
        write(Register::Send, len as u32);
        result
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sent<'_>)> {
        let (received, sent) = self.0.both()?;
        Some((Received(received), Sent(sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        self.0.can_send().then(|| Sent(self.0.to_send()))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = crate::FRAME_LEN;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

pub fn now() -> Instant {
    Instant::from_millis(i64::from(read(Register::Clock)))
}

/// The interface, at 10.0.0.2/24. By value: that is how smoltcp makes one.
pub fn interface() -> (Interface, Device) {
    let Some(buffers) = Buffers::take() else { halt() };
    let mut device = Device(buffers);
    let mut config = Config::new(EthernetAddress(crate::MAC).into());
    config.random_seed = read(Register::Random).into();
    let mut interface = Interface::new(config, &mut device, now());
    interface.update_ip_addrs(|a| {
        let _ = a.push(IpCidr::new(IpAddress::v4(10, 0, 0, 2), 24));
    });
    (interface, device)
}

/// Sleeps so long, or until a frame arrives.
pub fn sleep(delay: Option<Duration>) {
    if let Some(delay) = delay {
        write(Register::Sleep, delay.total_millis() as u32);
    }
}

#[cfg(feature = "smoltcp-tcp")]
pub mod sockets {
    //! With sockets.

    use super::*;
    use smoltcp::iface::{SocketHandle, SocketSet};
    use smoltcp::socket::tcp::{Socket, SocketBuffer};
    use static_cell::StaticCell;

    /// The queues of a connection.
    pub type Queues = ([u8; 2048], [u8; 2048]);

    /// Sockets for so many connections to port 7.
    pub fn add<const CONNECTIONS: usize>(
        sockets: &mut SocketSet<'static>,
        queues: &'static mut [Queues; CONNECTIONS],
    ) -> [SocketHandle; CONNECTIONS] {
        queues.each_mut().map(|(received, sent)| {
            sockets.add(Socket::new(SocketBuffer::new(&mut received[..]), SocketBuffer::new(&mut sent[..])))
        })
    }

    /// Sends back what has come; listens again at the end.
    pub fn echo(socket: &mut Socket<'_>) {
        if !socket.is_open() {
            let _ = socket.listen(7);
        }
        let mut buf = [0; 64];
        while socket.can_recv() && socket.can_send() {
            if let Ok(n) = socket.recv_slice(&mut buf) {
                let _ = socket.send_slice(&buf[..n]);
            }
        }
        if socket.may_send() && !socket.may_recv() {
            socket.close();
        }
    }

    /// The interface in its place.
    pub fn placed() -> &'static mut (Interface, Device) {
        static INTERFACE: StaticCell<(Interface, Device)> = StaticCell::new();
        INTERFACE.init(interface())
    }

    /// Serves for ever. What is not TCP is `others`'.
    pub fn serve(
        (interface, device): &mut (Interface, Device),
        mut sockets: SocketSet<'static>,
        connections: &[SocketHandle],
        mut others: impl FnMut(&mut SocketSet<'static>),
    ) -> ! {
        loop {
            interface.poll(now(), device, &mut sockets);
            for connection in connections {
                echo(sockets.get_mut(*connection));
            }
            others(&mut sockets);
            sleep(interface.poll_delay(now(), &sockets));
        }
    }
}
