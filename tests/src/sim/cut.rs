//! What is left out of a world, to find the smallest that still fails: written in a replay's command.

use super::options::{Ending, FaultOptions, Options, Script};
use barenet::TcpConfig;
use barenet::time::{Duration, Instant};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What is left out of the world of a seed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cuts {
    /// Features, by their place in `FEATURES`.
    features: BTreeSet<usize>,
    /// Only these flows are left.
    flows: Option<Vec<usize>>,
    /// No application sends more bytes.
    bytes: Option<u64>,
    /// The faults last no longer, in milliseconds.
    faulty_ms: Option<u64>,
}

type Feature = (&'static str, fn(&mut Options));

fn for_faults(o: &mut Options, f: fn(&mut FaultOptions)) {
    o.links.iter_mut().flat_map(|l| &mut l.faults).for_each(f);
}

fn for_scripts(o: &mut Options, f: fn(&mut Script)) {
    o.flows.iter_mut().flat_map(|l| &mut l.scripts).for_each(f);
}

fn for_tcp(o: &mut Options, f: fn(&mut TcpConfig, TcpConfig)) {
    o.hosts.iter_mut().for_each(|h| f(&mut h.tcp, TcpConfig::default()));
}

/// What can be left out, what confuses a reader most first.
const FEATURES: &[Feature] = &[
    ("forge", |o| for_faults(o, |f| f.forge = 0)),
    ("corrupt", |o| for_faults(o, |f| f.corrupt = 0)),
    ("duplicate", |o| for_faults(o, |f| f.duplicate = 0)),
    ("reorder", |o| for_faults(o, |f| f.reorder = 0)),
    ("jitter", |o| for_faults(o, |f| f.jitter_us = 0)),
    ("burst", |o| for_faults(o, |f| f.burst = 0)),
    ("loss", |o| for_faults(o, |f| f.loss = 0)),
    ("hole", |o| o.links.iter_mut().for_each(|l| l.hole = None)),
    ("cut", |o| o.links.iter_mut().for_each(|l| l.cut = None)),
    ("mark", |o| o.links.iter_mut().for_each(|l| l.mark = None)),
    ("queue", |o| o.links.iter_mut().for_each(|l| l.queue = 1 << 24)),
    ("slow", |o| o.links.iter_mut().for_each(|l| l.bytes_per_s = 125_000_000)),
    ("delay", |o| o.links.iter_mut().for_each(|l| l.delay_us = 1_000)),
    ("mtu", |o| o.links.iter_mut().for_each(|l| l.mtu = 1500)),
    ("stuck", |o| o.hosts.iter_mut().for_each(|h| h.full_us = h.full_us.min(20_000))),
    ("full", |o| o.hosts.iter_mut().for_each(|h| h.full_ppm = 0)),
    ("polls", |o| o.hosts.iter_mut().for_each(|h| h.poll_us = 1)),
    ("merged", |o| o.hosts.iter_mut().for_each(|h| h.merged = false)),
    ("offload", |o| o.hosts.iter_mut().for_each(|h| (h.tso, h.tx_checksum) = (false, false))),
    ("blocks", |o| o.hosts.iter_mut().for_each(|h| h.block_len = 2044)),
    ("memory", |o| o.hosts.iter_mut().for_each(|h| h.memory = 4 << 20)),
    ("buffers", |o| {
        for_tcp(o, |t, d| (t.send_buffer, t.receive_buffer) = (d.send_buffer, d.receive_buffer));
    }),
    ("acks", |o| for_tcp(o, |t, d| (t.ack_delay, t.quick_acks) = (d.ack_delay, d.quick_acks))),
    ("rto", |o| for_tcp(o, |t, d| t.rto_min = d.rto_min)),
    ("keep-alive", |o| for_tcp(o, |t, _| t.options.keep_alive = None)),
    ("time-wait", |o| for_tcp(o, |t, _| t.time_wait = Duration::from_secs(1))),
    ("timestamps", |o| for_tcp(o, |t, _| t.timestamps = false)),
    ("congestion", |o| for_tcp(o, |t, d| t.congestion = d.congestion)),
    ("sack", |o| for_tcp(o, |t, d| t.sack = d.sack)),
    ("ecn", |o| for_tcp(o, |t, d| t.ecn = d.ecn)),
    ("fast-open", |o| for_tcp(o, |t, _| (t.options.fast_open, t.options.fast_open_backlog) = (false, 0))),
    ("late", |o| o.hosts.iter_mut().for_each(|h| h.late_ppm = 0)),
    ("jump", |o| o.hosts.iter_mut().for_each(|h| h.jump = None)),
    ("link-local", |o| o.flows.iter_mut().for_each(|f| f.link_local = false)),
    ("twins", |o| o.links.iter_mut().for_each(|l| (l.twins, l.namesakes) = (false, false))),
    ("endings", |o| for_scripts(o, |s| s.ending = Ending::Orderly)),
    ("idle", |o| for_scripts(o, |s| (s.idle, s.read_wait) = (Duration::ZERO, Duration::ZERO))),
    ("pauses", |o| for_scripts(o, |s| (s.write_pause, s.read_pause) = (Duration::ZERO, Duration::ZERO))),
    ("pieces", |o| for_scripts(o, |s| (s.write_len, s.read_len) = (65_536, 65_536))),
    ("nodelay", |o| for_scripts(o, |s| s.nodelay = false)),
    ("v6", |o| o.flows.iter_mut().for_each(|f| (f.v6, f.link_local) = (false, false))),
    ("backlog", |o| o.flows.iter_mut().for_each(|f| f.backlog = 8)),
    ("begin", |o| o.flows.iter_mut().for_each(|f| f.begins = Duration::ZERO)),
    ("start", |o| o.start = Instant::from_micros(5_000)),
];

impl Cuts {
    /// Leaves out of a world what is to be left out.
    pub(super) fn apply(&self, options: &mut Options) {
        self.features.iter().for_each(|f| FEATURES[*f].1(options));
        options.bound_queues();
        if let Some(flows) = &self.flows {
            for flow in (0..options.flows.len()).filter(|f| !flows.contains(f)) {
                options.flows[flow].absent = true;
            }
        }
        if let Some(most) = self.bytes {
            options.flows.iter_mut().flat_map(|f| &mut f.scripts).for_each(|s| s.send = s.send.min(most));
        }
        if let Some(ms) = self.faulty_ms {
            options.faulty = options.faulty.min(Duration::from_millis(ms));
        }
    }

    /// Leaves out all that can be left out while `fails` says that the rest fails. It is asked a few
    /// hundred times at most.
    pub(super) fn shrink(options: &Options, mut fails: impl FnMut(&Cuts) -> bool) -> Cuts {
        let mut cuts = Cuts::default();
        let mut attempt = |cuts: &mut Cuts, change: &dyn Fn(&mut Cuts)| {
            let mut fewer = cuts.clone();
            change(&mut fewer);
            let smaller = fewer != *cuts && fails(&fewer);
            if smaller {
                *cuts = fewer;
            }
            smaller
        };
        // One flow is enough, mostly; else as few as possible.
        let all: Vec<usize> = (0..options.flows.len()).collect();
        if !all.iter().any(|only| attempt(&mut cuts, &|c| c.flows = Some(vec![*only]))) {
            for flow in &all {
                attempt(&mut cuts, &|c| {
                    c.flows.get_or_insert_with(|| all.clone()).retain(|f| f != flow);
                });
            }
        }
        // What could not be left out at first may be superfluous in the end.
        for _ in 0..2 {
            for feature in 0..FEATURES.len() {
                if !cuts.features.contains(&feature) {
                    attempt(&mut cuts, &|c| {
                        c.features.insert(feature);
                    });
                }
            }
            let most = options.flows.iter().flat_map(|f| f.scripts).map(|s| s.send).max().unwrap_or(0);
            while attempt(&mut cuts, &|c| c.bytes = Some(c.bytes.unwrap_or(most) / 2)) {}
            let most = options.faulty.millis();
            while attempt(&mut cuts, &|c| c.faulty_ms = Some(c.faulty_ms.unwrap_or(most) / 2)) {}
        }
        cuts
    }
}

/// As `--cut` takes it: `loss,mtu,only=3+5,bytes=512,faulty=20`, or `all,+mtu` for all but one.
impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.features.len() > FEATURES.len() / 2;
        let mut words = if most { vec!["all".to_owned()] } else { vec![] };
        let named = (0..FEATURES.len()).filter(|at| self.features.contains(at) != most);
        words.extend(named.map(|at| format!("{}{}", if most { "+" } else { "" }, FEATURES[at].0)));
        if let Some(flows) = &self.flows {
            let flows: Vec<String> = flows.iter().map(usize::to_string).collect();
            words.push(format!("only={}", flows.join("+")));
        }
        words.extend(self.bytes.map(|n| format!("bytes={n}")));
        words.extend(self.faulty_ms.map(|n| format!("faulty={n}")));
        f.write_str(&words.join(","))
    }
}

impl FromStr for Cuts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cuts = Cuts::default();
        for word in text.split(',').filter(|w| !w.is_empty()) {
            let number = |n: &str| n.parse().map_err(|e| format!("{word}: {e}"));
            match word.split_once('=') {
                Some(("only", flows)) => {
                    let flows = flows.split('+').map(|n| number(n).map(|n: u64| n as usize));
                    cuts.flows = Some(flows.collect::<Result<_, _>>()?);
                }
                Some(("bytes", n)) => cuts.bytes = Some(number(n)?),
                Some(("faulty", n)) => cuts.faulty_ms = Some(number(n)?),
                _ if word == "all" => cuts.features = (0..FEATURES.len()).collect(),
                _ => {
                    let (name, kept) = word.strip_prefix('+').map_or((word, false), |name| (name, true));
                    let at = FEATURES.iter().position(|f| f.0 == name);
                    let at = at.ok_or_else(|| format!("nothing is called {name}"))?;
                    let _ = if kept { cuts.features.remove(&at) } else { cuts.features.insert(at) };
                }
            }
        }
        Ok(cuts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command says is what was meant.
    #[test]
    fn cuts_can_be_written_and_read() {
        let cuts =
            Cuts { features: [0, 3].into(), flows: Some(vec![2, 5]), bytes: Some(512), faulty_ms: Some(0) };
        assert_eq!(cuts.to_string(), "forge,reorder,only=2+5,bytes=512,faulty=0");
        assert_eq!(cuts.to_string().parse(), Ok(cuts));
        let mut most = Cuts { features: (0..FEATURES.len()).collect(), ..Cuts::default() };
        most.features.remove(&1);
        assert_eq!(most.to_string(), "all,+corrupt");
        assert_eq!(most.to_string().parse(), Ok(most));
        assert!("wings".parse::<Cuts>().is_err());
    }

    /// A failure that needs one flow, loss and a hundred bytes is found to need just that.
    #[test]
    fn shrinking_keeps_what_is_needed() {
        let options = (0..).map(Options::draw).find(|o| o.flows.len() > 5).expect("there are such worlds");
        let loss = FEATURES.iter().position(|(name, _)| *name == "loss").expect("the feature");
        let needs = |c: &Cuts| {
            let has_flow = c.flows.as_ref().is_none_or(|f| f.contains(&4));
            has_flow && !c.features.contains(&loss) && c.bytes.is_none_or(|b| b >= 100)
        };
        let cuts = Cuts::shrink(&options, needs);
        assert_eq!(cuts.flows, Some(vec![4]));
        assert_eq!(cuts.features.len(), FEATURES.len() - 1);
        assert!((100..200).contains(&cuts.bytes.expect("bytes were left out")), "{cuts}");
        assert_eq!(cuts.faulty_ms, Some(0));
    }
}
