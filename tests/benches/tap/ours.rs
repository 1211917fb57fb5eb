//! Our stack over a TAP.

use super::meter::Meter;
use super::{Direction, Framing, MAC, Next, PORT, Stack, batch};
use barenet::Congestion;
use barenet::stack::{ListenerHandle, TcpHandle};
use barenet::time;
use barenet_drivers::tap::Tap;
use barenet_tests::peers::ours;
use std::net::Ipv4Addr;
use std::time::Instant;

pub(super) struct Barenet {
    host: ours::Host<Tap>,
    listener: ListenerHandle,
    connection: Option<TcpHandle>,
    direction: Direction,
    buffer: Vec<u8>,
    /// Taken in before the application and the way out get their turn.
    frames: usize,
    start: Instant,
}

impl Barenet {
    pub(super) fn new(tap: Tap, direction: Direction, framing: Framing, buffer: usize) -> Self {
        let config = ours::config(buffer as u32, Congestion::default());
        let mut host = ours::Host::new(tap, MAC.0[5], 1, config);
        let any = (Ipv4Addr::UNSPECIFIED, PORT).into();
        let (listener, _) = host.stack().tcp_listen(any, 1).expect("a free port");
        Barenet {
            host,
            listener,
            connection: None,
            direction,
            buffer: vec![0; buffer],
            frames: batch(direction, framing),
            start: Instant::now(),
        }
    }

    fn application(&mut self, now: time::Instant, meter: &Meter) {
        let stack = self.host.stack();
        if self.connection.is_none() {
            self.connection = stack.tcp_accept(self.listener).ok().map(|(connection, _)| connection);
        }
        let Some(connection) = self.connection else { return };
        match self.direction {
            Direction::Send => while stack.tcp_write(connection, &self.buffer, now).is_ok() {},
            Direction::Receive => {
                while let Ok(n @ 1..) = stack.tcp_read(connection, &mut self.buffer, now) {
                    meter.bytes.add(n);
                }
            }
        }
    }
}

impl Stack for Barenet {
    fn turn(&mut self, meter: &Meter) -> Next {
        let now = time::Instant::from_micros(self.start.elapsed().as_micros() as u64);
        let came = self.host.ingress(now, self.frames) > 0;
        self.application(now, meter);
        self.host.egress(now);
        match self.host.deadline(now) {
            _ if came => Next::Busy,
            Some(at) if at <= now => Next::Busy,
            Some(at) => Next::Wait(Some(at.since(now).into())),
            None => Next::Wait(None),
        }
    }
}
