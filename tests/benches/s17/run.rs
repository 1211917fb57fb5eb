//! One run: what is at the ends of a path, what the path is like, what is transferred; and what came of it. Both
//! can be written as words, since each run is a process of its own.

use barenet_tests::sim::{FaultOptions, LinkOptions, Node};
use std::collections::HashMap;
use std::time::Duration;

/// A stack with its congestion control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Linux,
    LinuxBbr,
    Barenet,
    BarenetBbr,
}

/// What their applications do. All text goes from the left to the right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    /// As much as gets through until the time is over.
    Bulk,
    /// So many bytes on a connection of their own, to their end and back to the client; then the next.
    Transfer(u64),
    /// As `Bulk`, to a reader that takes [`SLOW_READ`] bytes every [`SLOW_PAUSE`].
    Slow,
}

pub(crate) const SLOW_READ: usize = 8192;
pub(crate) const SLOW_PAUSE: Duration = Duration::from_millis(20);

/// The path, and what crosses it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cell {
    pub(crate) mbit: u64,
    pub(crate) rtt_ms: u64,
    /// In bandwidth-delay products.
    pub(crate) queue: f64,
    /// In frames of a million, from the left to the right.
    pub(crate) loss: u32,
    pub(crate) reorder: u32,
    pub(crate) duplicate: u32,
    pub(crate) v6: bool,
    pub(crate) job: Job,
    pub(crate) seconds: u64,
}

impl Cell {
    /// A path without faults.
    pub(crate) const fn new(mbit: u64, rtt_ms: u64, queue: f64, seconds: u64) -> Self {
        Cell { mbit, rtt_ms, queue, loss: 0, reorder: 0, duplicate: 0, v6: false, job: Job::Bulk, seconds }
    }

    /// The bandwidth-delay product in bytes.
    pub(crate) fn product(&self) -> u64 {
        self.mbit * 125 * self.rtt_ms
    }

    pub(crate) fn link(&self) -> LinkOptions {
        let mut link = LinkOptions::new(0, [Node::Host(0), Node::Host(1)]);
        link.bytes_per_s = self.mbit * 125_000;
        link.delay_us = self.rtt_ms * 500;
        link.queue = (self.product() as f64 * self.queue) as u64;
        let FaultOptions { loss, reorder, reorder_us, duplicate, .. } = &mut link.faults[0];
        (*loss, *reorder, *duplicate) = (self.loss, self.reorder, self.duplicate);
        *reorder_us = if self.reorder > 0 { self.rtt_ms * 250 } else { 0 };
        link
    }
}

/// Who sends on so many connections at once.
pub(crate) type Sender = (Who, usize);

/// A cell with its ends.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Run {
    pub(crate) cell: Cell,
    /// One or two hosts.
    pub(crate) left: Vec<Sender>,
    pub(crate) right: Who,
    pub(crate) seed: u64,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    words: HashMap<String, f64>,
    /// Of the right application's bytes and of the queue, in steps of [`STEP`].
    pub(crate) series: Vec<(f64, f64)>,
    /// Seconds of each transfer.
    pub(crate) times: Vec<f64>,
}

/// Between two looks.
pub(crate) const STEP: Duration = Duration::from_millis(100);

impl Outcome {
    /// One of the figures that [`ends`](super::ends) has counted.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.words.get(name).copied().unwrap_or(f64::NAN)
    }

    /// Lines of a name and numbers.
    pub(crate) fn parse(text: &str) -> Outcome {
        let mut outcome = Outcome { words: HashMap::new(), series: Vec::new(), times: Vec::new() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { continue };
            let numbers: Vec<f64> = words.filter_map(|w| w.parse().ok()).collect();
            match (name, &numbers[..]) {
                ("step", [mbit, queue_ms]) => outcome.series.push((*mbit, *queue_ms)),
                ("time", [seconds]) => outcome.times.push(*seconds),
                (name, [value]) => drop(outcome.words.insert(name.to_owned(), *value)),
                _ => {}
            }
        }
        outcome
    }
}

const NAMES: [(Who, &str); 4] = [
    (Who::Linux, "linux"),
    (Who::LinuxBbr, "linux-bbr"),
    (Who::Barenet, "barenet"),
    (Who::BarenetBbr, "barenet-bbr"),
];

impl Who {
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(who, _)| *who == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<Who> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(who, _)| *who)
    }

    /// The congestion control of the kernel's sockets; `None`: ours are no kernel's.
    pub(crate) fn of_kernel(self) -> Option<&'static str> {
        match self {
            Who::Linux => Some("cubic"),
            Who::LinuxBbr => Some("bbr"),
            Who::Barenet | Who::BarenetBbr => None,
        }
    }
}

impl Run {
    /// `NAME=VALUE`, as [`parse`](Run::parse) takes them.
    pub(crate) fn words(&self) -> Vec<String> {
        let c = &self.cell;
        let job = match c.job {
            Job::Bulk => "bulk".to_owned(),
            Job::Slow => "slow".to_owned(),
            Job::Transfer(bytes) => bytes.to_string(),
        };
        let left: Vec<String> =
            self.left.iter().map(|(who, flows)| format!("{}:{flows}", who.name())).collect();
        vec![
            format!("mbit={}", c.mbit),
            format!("rtt={}", c.rtt_ms),
            format!("queue={}", c.queue),
            format!("loss={}", c.loss),
            format!("reorder={}", c.reorder),
            format!("duplicate={}", c.duplicate),
            format!("v6={}", c.v6),
            format!("job={job}"),
            format!("seconds={}", c.seconds),
            format!("seed={}", self.seed),
            format!("left={}", left.join(",")),
            format!("right={}", self.right.name()),
        ]
    }

    /// All of [`words`](Run::words), in any order. `None`: one is missing or makes no sense.
    pub(crate) fn parse(words: &[String]) -> Option<Run> {
        let words: HashMap<&str, &str> = words.iter().filter_map(|w| w.split_once('=')).collect();
        let get = |name| words.get(name).copied();
        let sender = |word: &str| {
            let (who, flows) = word.split_once(':')?;
            Some((Who::parse(who)?, flows.parse().ok()?))
        };
        let cell = Cell {
            mbit: get("mbit")?.parse().ok()?,
            rtt_ms: get("rtt")?.parse().ok()?,
            queue: get("queue")?.parse().ok()?,
            loss: get("loss")?.parse().ok()?,
            reorder: get("reorder")?.parse().ok()?,
            duplicate: get("duplicate")?.parse().ok()?,
            v6: get("v6")?.parse().ok()?,
            job: match get("job")? {
                "bulk" => Job::Bulk,
                "slow" => Job::Slow,
                bytes => Job::Transfer(bytes.parse().ok()?),
            },
            seconds: get("seconds")?.parse().ok()?,
        };
        Some(Run {
            cell,
            left: get("left")?.split(',').map(sender).collect::<Option<_>>()?,
            right: Who::parse(get("right")?)?,
            seed: get("seed")?.parse().ok()?,
        })
    }
}
