//! Two hosts, a cable, and the time: one connection between two stacks, whichever they are.

use super::cable::Cable;
use barenet::Error;
use barenet::time::Instant;
use std::net::SocketAddr;

/// What a read gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer sent FIN, and all before it was read.
    End,
    /// The connection is gone.
    Failed(Error),
}

/// A host with one connection, and its stack.
pub trait Node {
    /// Waits for the connection on `port`.
    fn listen(&mut self, port: u16);
    /// Opens the connection.
    fn connect(&mut self, to: SocketAddr, now: Instant);
    /// Takes in what has arrived, does what is due, sends what can be sent.
    fn turn(&mut self, now: Instant);
    /// When the stack wants its next turn even if nothing arrives.
    fn deadline(&mut self, now: Instant) -> Option<Instant>;
    /// Writes what fits.
    fn write(&mut self, data: &[u8]) -> usize;
    /// Reads what is there.
    fn read(&mut self, buf: &mut [u8]) -> Read;
    /// Sends FIN after what was written.
    fn shutdown(&mut self);
    /// Sends RST.
    fn abort(&mut self);
    /// The state of the connection, for a person.
    fn describe(&mut self) -> String;
    /// Is nothing left of the connection, not even its TIME-WAIT?
    fn is_gone(&mut self) -> bool;
}

/// Two nodes and the cable between them.
pub struct World<A, B> {
    cable: Cable,
    now: Instant,
    /// Host 1.
    pub a: A,
    /// Host 2.
    pub b: B,
}

impl<A: Node, B: Node> World<A, B> {
    /// A world at the origin of time.
    pub fn new(cable: Cable, a: A, b: B) -> Self {
        World { cable, now: Instant::ZERO, a, b }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Gives each node a turn, then moves the time on to the next event. False when there is none to come.
    pub fn step(&mut self) -> bool {
        self.a.turn(self.now);
        self.b.turn(self.now);
        let events = [self.cable.next_arrival(), self.a.deadline(self.now), self.b.deadline(self.now)];
        let next = events.into_iter().flatten().min();
        self.now = self.now.max(next.unwrap_or(self.now));
        self.cable.set_now(self.now);
        next.is_some()
    }

    /// Steps until `done`, which also plays the applications, says so.
    ///
    /// # Panics
    ///
    /// When nothing will ever happen again, or the stacks turn without getting anywhere.
    pub fn run(&mut self, mut done: impl FnMut(&mut A, &mut B) -> bool) {
        let mut last = false;
        for _ in 0..STEPS_MAX {
            if done(&mut self.a, &mut self.b) {
                return;
            }
            // What the applications did just now may only show in the next turn.
            let quiet = !self.step();
            assert!(!(quiet && last), "nothing will ever happen again: {}", self.describe());
            last = quiet;
        }
        panic!("not done after {STEPS_MAX} steps: {}", self.describe());
    }

    fn describe(&mut self) -> String {
        format!("at {} ms, {}, {}", self.now.millis(), self.a.describe(), self.b.describe())
    }
}

/// A megabyte each way with heavy loss takes a few thousand.
const STEPS_MAX: u32 = 1_000_000;
