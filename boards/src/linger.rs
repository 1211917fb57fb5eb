//! What a program leaves behind when `main` has ended: connections that have yet to deliver what was
//! written.
//!
//! Other fibers and threads have [`GRACE`] to close the connections that they hold, and those that are
//! closing to end. Then the program holds none any more: what is still held is let go of as if its owner
//! had failed. What has something to deliver goes on from there as long as some peer takes some of it
//! every [`PATIENCE`]: since nothing is added, that ends. Then the rest is reset, which one line says and
//! the program's status. Connections whose peers have everything are left as they are.

use barenet::Net;
use barenet::time::{Duration, Instant};

use crate::println;

/// How long connections may take that have nothing to deliver.
const GRACE: Duration = Duration::from_secs(2);
/// How long all peers together may take nothing of what is to be delivered. A lost segment goes again
/// several times within it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked: that is at every connection.
const INTERVAL: Duration = Duration::from_millis(10);

/// The end of a program.
pub(crate) struct Linger {
    /// Connections that are held and such that close may go on until then.
    grace: Option<Instant>,
    /// The fewest bytes that were ever left, and how long that may stay so.
    least: usize,
    patience: Instant,
    /// The next look.
    again: Instant,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// The network goes on, until then.
    Wait(Instant),
    /// The program ends, and the peers have all that was written, or not.
    End { is_delivered: bool },
}

impl Linger {
    /// `main` has ended; if it panicked, nobody else gets a grace.
    pub(crate) fn new(net: &Net, panicked: bool) -> Linger {
        let now = net.now();
        let grace = if panicked { now } else { now + GRACE };
        Linger { grace: Some(grace), least: usize::MAX, patience: now, again: now }
    }

    /// Looks how things stand. Between two looks somebody turns the network.
    pub(crate) fn step(&mut self, net: &Net) -> Step {
        let now = net.now();
        if now < self.again {
            return Step::Wait(self.again);
        }
        self.again = now + INTERVAL;
        if let Some(until) = self.grace {
            if net.with_stack(|stack| stack.tcp_count().0) == 0 {
                return Step::End { is_delivered: true };
            }
            if now < until {
                return Step::Wait(self.again.min(until));
            }
            self.grace = None;
            self.patience = now + PATIENCE;
            net.with_stack(|stack| stack.tcp_let_go_of_all(now));
        }
        let (connections, bytes) = net.with_stack(|stack| stack.tcp_undelivered());
        if bytes < self.least {
            (self.least, self.patience) = (bytes, now + PATIENCE);
        }
        match bytes {
            0 => Step::End { is_delivered: true },
            _ if now < self.patience => Step::Wait(self.again),
            _ => {
                net.with_stack(|stack| stack.tcp_abort_undelivered(now));
                net.turn();
                println!(
                    "error: `main` has ended, and for {} s no peer took any of {bytes} bytes: reset connections: \
                     {connections}",
                    PATIENCE.millis() / 1000
                );
                Step::End { is_delivered: false }
            }
        }
    }
}

#[cfg(test)]
mod tests;
