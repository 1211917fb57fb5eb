//! A host that runs our stack on any device, in the caller's time.

use super::smol::{v4, v6};
use super::world::Read;
use barenet::device::Device;
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Devices, Limits, ListenerHandle, Stack, Storage, TcpHandle};
use barenet::time::Instant;
use barenet::udp::DatagramHandle;
use barenet::{Congestion, Error, State, TcpConfig};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Our stack with one interface on a device.
pub struct Host<D> {
    stack: Stack<'static>,
    device: D,
    interface: InterfaceId,
}

impl<D: Device> Host<D> {
    /// Host `n` with both its addresses. `seed` decides everything random in it.
    pub fn new(device: D, n: u8, seed: u64, config: TcpConfig) -> Self {
        Host::with_limits(device, n, seed, config, &Limits::default())
    }

    /// As [`new`](Host::new), with other limits.
    pub fn with_limits(device: D, n: u8, seed: u64, config: TcpConfig, limits: &Limits) -> Self {
        let mut key = [n; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut stack = Stack::new(Storage::heap(limits), key);
        stack.configure_tcp(|c| *c = config).expect("settings within their ranges");
        let interface = stack.add_interface(device.capabilities()).expect("a valid MAC and MTU");
        for (address, prefix) in [(IpAddr::from(v4(n)), 24), (v6(n).into(), 64)] {
            let cidr = Cidr::new(address, prefix).expect("a valid prefix");
            stack.add_address(interface, cidr, Instant::ZERO).expect("a valid address");
        }
        Host { stack, device, interface }
    }

    /// The stack.
    pub fn stack(&mut self) -> &mut Stack<'static> {
        &mut self.stack
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// Sends a datagram, at once if it can.
    pub fn send(
        &mut self,
        socket: DatagramHandle,
        to: SocketAddr,
        data: &[u8],
        now: Instant,
    ) -> Result<usize, Error> {
        let Host { stack, device, interface } = self;
        stack.datagram_send_at_once(socket, Some(to), data, None, &mut Only(*interface, device), now)
    }

    /// Takes in up to `frames` frames; gives how many there were.
    pub fn ingress(&mut self, now: Instant, frames: usize) -> usize {
        let Host { stack, device, interface } = self;
        (0..frames)
            .take_while(|_| device.receive(&mut |frame| stack.on_frame(*interface, frame, now)))
            .count()
    }

    /// Does what is due and sends all that can be sent.
    pub fn egress(&mut self, now: Instant) {
        self.stack.on_timers(now);
        while self.stack.egress(self.interface, &mut self.device, now)
            && self.deadline(now).is_some_and(|at| at <= now)
        {
            // Sending can set a timer that is due at once.
            self.stack.on_timers(now);
        }
    }

    /// When the stack wants its next turn even if nothing arrives.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.stack.next_deadline(now)
    }
}

/// The one device.
struct Only<'a, D>(InterfaceId, &'a mut D);

impl<D: Device> Devices for Only<'_, D> {
    fn device(&mut self, interface: InterfaceId) -> Option<&mut dyn Device> {
        (interface == self.0).then_some(self.1)
    }
}

/// Settings with buffers of so many bytes for each direction.
pub fn config(buffer: u32, congestion: Congestion) -> TcpConfig {
    let mut config = TcpConfig::default();
    config.send_buffer = buffer;
    config.receive_buffer = buffer;
    config.congestion = congestion;
    config
}

/// Our host with one connection.
pub struct Node<D> {
    host: Host<D>,
    listener: Option<ListenerHandle>,
    connection: Option<TcpHandle>,
    now: Instant,
}

impl<D: Device> Node<D> {
    /// Host `n` with buffers of `buffer` bytes.
    pub fn new(device: D, n: u8, seed: u64, buffer: u32) -> Self {
        Node::with(device, n, seed, config(buffer, Congestion::default()))
    }

    /// Host `n` with these settings.
    pub fn with(device: D, n: u8, seed: u64, config: TcpConfig) -> Self {
        let host = Host::new(device, n, seed, config);
        Node { host, listener: None, connection: None, now: Instant::ZERO }
    }
}

impl<D: Device> super::world::Node for Node<D> {
    fn listen(&mut self, port: u16) {
        let any = (Ipv6Addr::UNSPECIFIED, port).into();
        let (listener, _) = self.host.stack.tcp_listen(any, 1).expect("a free port");
        self.listener = Some(listener);
    }

    fn connect(&mut self, to: SocketAddr, now: Instant) {
        self.connection = Some(self.host.stack.tcp_connect(to, None, now).expect("a route"));
    }

    fn turn(&mut self, now: Instant) {
        self.now = now;
        self.host.ingress(now, usize::MAX);
        self.host.stack.check();
        self.host.egress(now);
        self.host.stack.check();
        if let Some(listener) = self.listener
            && let Ok((connection, _)) = self.host.stack.tcp_accept(listener)
        {
            self.connection = Some(connection);
        }
    }

    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        self.host.deadline(now)
    }

    fn write(&mut self, data: &[u8]) -> usize {
        let Some(connection) = self.connection else { return 0 };
        self.host.stack.tcp_write(connection, data, self.now).unwrap_or(0)
    }

    fn read(&mut self, buf: &mut [u8]) -> Read {
        let Some(connection) = self.connection else { return Read::Nothing };
        match self.host.stack.tcp_read(connection, buf, self.now) {
            Ok(0) => Read::End,
            Ok(n) => Read::Bytes(n),
            Err(Error::WouldBlock) => Read::Nothing,
            Err(why) => Read::Failed(why),
        }
    }

    fn shutdown(&mut self) {
        if let Some(connection) = self.connection {
            self.host.stack.tcp_shutdown_write(connection, self.now).expect("an open connection");
        }
    }

    fn abort(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.host.stack.tcp_abort(connection, self.now);
        }
    }

    fn is_gone(&mut self) -> bool {
        if let Some(connection) = self.connection
            && self.host.stack.tcp_state(connection) == Ok(State::Closed)
        {
            self.host.stack.tcp_close(connection, self.now);
            self.connection = None;
        }
        self.host.stack.tcp_count() == (0, 0)
    }

    fn describe(&mut self) -> String {
        let state = self.connection.map(|c| self.host.stack.tcp_state(c));
        format!("ours {state:?}, connections {:?}", self.host.stack.tcp_count())
    }
}
