//! The machine as barenet sees it.

use barenet::daemon::{Daemon, DeviceRef};
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::stack::Storage;
use barenet::time::Instant;
use static_cell::{ConstStaticCell, StaticCell};

use crate::{Buffers, Register, halt, read, write};

pub struct Interface(Buffers);

impl Device for Interface {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac(crate::MAC), crate::MTU)
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        if !self.0.has_received() {
            return false;
        }
        sink(RxFrame::plain(&[self.0.received()]));
        write(Register::Received, 0);
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if !self.0.can_send() {
            return Err(TxError::Full);
        }
        let to = self.0.to_send();
        let mut len = 0;
        for piece in core::iter::once(&frame.header).chain(frame.payload) {
            let room = to.get_mut(len..len + piece.len()).ok_or(TxError::Refused)?;
            room.copy_from_slice(piece);
            len += piece.len();
        }
        write(Register::Send, len as u32);
        Ok(())
    }
}

pub fn now() -> Instant {
    Instant::from_millis(read(Register::Clock).into())
}

/// A network with this one interface, at 10.0.0.2/24.
pub fn daemon(storage: Storage<'static>) -> &'static mut Daemon<'static> {
    static INTERFACE: StaticCell<Interface> = StaticCell::new();
    static DAEMON: ConstStaticCell<Daemon<'static>> = ConstStaticCell::new(Daemon::empty());
    let Some(buffers) = Buffers::take() else { halt() };
    let mut seed = [0; 32];
    for word in seed.chunks_exact_mut(4) {
        word.copy_from_slice(&read(Register::Random).to_ne_bytes());
    }
    let daemon = DAEMON.take();
    daemon.stack().start(storage, seed);
    let Ok(id) = daemon.add_device(DeviceRef::Borrowed(INTERFACE.init(Interface(buffers)))) else { halt() };
    let Ok(address) = Cidr::new([10, 0, 0, 2].into(), 24) else { halt() };
    if daemon.stack().add_address(id, address, now()).is_err() {
        halt()
    }
    daemon
}

/// Sleeps until then, or until a frame arrives.
pub fn sleep(until: Option<Instant>) {
    if let Some(at) = until {
        write(Register::Sleep, at.since(now()).micros() as u32);
    }
}

#[cfg(any(feature = "tcp-least", feature = "full"))]
pub mod sockets {
    //! With sockets.

    use super::*;
    use barenet::wait::Spin;
    use barenet::{Net, NetState, Platform, TcpListener, TcpStream};

    struct Machine;

    impl Platform for Machine {
        fn now(&self) -> Instant {
            now()
        }
        fn idle(&self, until: Option<Instant>) {
            sleep(until);
        }
        fn wake(&self) {}
    }

    pub fn net(storage: Storage<'static>) -> Net {
        static STATE: StaticCell<NetState> = StaticCell::new();
        Net::from_static(STATE.init(NetState::new(daemon(storage), &Machine, &Spin)))
    }

    /// Sends back what comes to port 7, on as many connections as there are places.
    pub struct Echo<const CONNECTIONS: usize> {
        listener: TcpListener,
        streams: [Option<TcpStream>; CONNECTIONS],
    }

    impl<const CONNECTIONS: usize> Echo<CONNECTIONS> {
        pub fn new(net: &Net) -> Self {
            let Ok(listener) = TcpListener::bind(net, 7) else { halt() };
            Echo { listener, streams: [const { None }; CONNECTIONS] }
        }

        pub fn turn(&mut self) {
            for place in &mut self.streams {
                match place {
                    None => *place = self.listener.try_accept().ok().map(|(stream, _)| stream),
                    Some(stream) => {
                        if echo(stream) {
                            *place = None;
                        }
                    }
                }
            }
        }
    }

    /// Sends back what has come. True at the end.
    fn echo(stream: &mut TcpStream) -> bool {
        let mut buf = [0; 64];
        while let Ok(true) = stream.is_writable() {
            match stream.try_read(&mut buf) {
                Ok(0) => return true,
                Ok(n) => drop(stream.try_write(&buf[..n])),
                Err(barenet::Error::WouldBlock) => return false,
                Err(_) => return true,
            }
        }
        false
    }
}

#[cfg(feature = "client-address")]
pub mod clients {
    //! Clients: an address by DHCP, and requests.

    use super::*;
    use barenet::dhcp::{DhcpClient, DhcpConfig};
    use barenet::stack::DhcpMemory;
    use barenet::{Net, TcpStream, ToSocketAddrs};

    /// A network that asks for an address.
    pub fn net(storage: Storage<'static>) -> Net {
        static DHCP: StaticCell<DhcpClient> = StaticCell::new();
        let net = sockets::net(storage);
        net.with_stack(|stack| {
            let Some(id) = stack.interfaces().map(|(id, _)| id).next() else { halt() };
            let memory = DhcpMemory::Borrowed(DHCP.init(DhcpClient::new()));
            if stack.dhcp_start(id, DhcpConfig::DEFAULT, memory, now()).is_err() {
                halt()
            }
        });
        net
    }

    /// Asks for a page.
    pub fn fetch(net: &Net, from: impl ToSocketAddrs) {
        let mut buf = [0; 64];
        if let Ok(mut stream) = TcpStream::connect(net, from) {
            let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
            while let Ok(1..) = stream.read(&mut buf) {}
        }
    }
}
