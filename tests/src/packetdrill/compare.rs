//! Does a packet that the stack sent agree with the script?

use super::script::{Body, Ecn, IpMarks, Packet, Segment, TcpOption, flag};
use std::collections::BTreeSet;

/// What counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What only fingerprints a stack is ignored.
    pub(super) neutral: bool,
    /// A time may be this far off, in microseconds.
    pub(super) tolerance_usecs: u64,
    /// Or this part of the time since the event before, in thousandths.
    pub(super) tolerance_permille: u64,
    /// What a tick of timestamps takes, where the script says it, as in packetdrill; `None`: a millisecond, and
    /// fingerprints are ignored.
    pub(super) tick_usecs: Option<u64>,
}

/// The names of what was ignored.
pub(super) type Ignored = BTreeSet<&'static str>;

/// The names of the fields that differ.
pub(super) type Differences = Vec<&'static str>;

/// How far a time may be from the expected one.
pub(super) fn tolerance(rules: &Rules, since_last: u64) -> u64 {
    rules.tolerance_usecs.max(since_last.saturating_mul(rules.tolerance_permille) / 1000)
}

/// In what the packet `sent` (with the script's numbers) is not as `expected`.
pub(super) fn differences(
    expected: &Packet,
    sent: &Packet,
    rules: &Rules,
    ignored: &mut Ignored,
) -> Differences {
    let mut all = match (&expected.body, &sent.body) {
        (Body::Tcp(e), Body::Tcp(s)) => of_segments(e, s, rules, ignored),
        (Body::Udp(e), Body::Udp(s)) => if_not(e == s, "length"),
        (Body::Icmp(e), Body::Icmp(s)) => if_not(e == s, "ICMP message"),
        _ => vec!["protocol"],
    };
    all.extend(if_not(expected.ports == sent.ports, "ports"));
    all.extend(if_not(expected.text == sent.text, "text"));
    all.extend(of_marks(&expected.ip, &sent.ip));
    all
}

fn if_not(agrees: bool, name: &'static str) -> Differences {
    if agrees { Vec::new() } else { vec![name] }
}

fn of_marks(expected: &IpMarks, sent: &IpMarks) -> Differences {
    let ecn = sent.ecn.map_or(0, Ecn::bits);
    [
        (expected.ecn.is_none_or(|e| e.allows(ecn)), "ECN field"),
        (expected.tos.is_none() || expected.tos == sent.tos, "traffic class"),
        (expected.ttl.is_none() || expected.ttl == sent.ttl, "hop limit"),
        (expected.flow_label.is_none() || expected.flow_label == sent.flow_label, "flow label"),
    ]
    .into_iter()
    .flat_map(|(agrees, name)| if_not(agrees, name))
    .collect()
}

fn of_segments(expected: &Segment, sent: &Segment, rules: &Rules, ignored: &mut Ignored) -> Differences {
    let window = match expected.window {
        Some(window) if sent.window != Some(window) && rules.neutral => {
            ignored.insert("windows of ours");
            true
        }
        window => window.is_none() || window == sent.window,
    };
    let mut all: Differences = [
        (expected.flags == sent.flags, "flags"),
        (expected.any_seq || expected.seq == sent.seq, "sequence number"),
        (expected.len == sent.len, "length"),
        (expected.ack == sent.ack, "acknowledgment"),
        (window, "window"),
        (expected.urgent == sent.urgent, "urgent pointer"),
    ]
    .into_iter()
    .flat_map(|(agrees, name)| if_not(agrees, name))
    .collect();
    all.extend(of_options(expected, sent, rules, ignored));
    all
}

fn of_options(expected: &Segment, sent: &Segment, rules: &Rules, ignored: &mut Ignored) -> Differences {
    let (Some(e), Some(s)) = (&expected.options, &sent.options) else { return Vec::new() };
    let mut all = Differences::new();
    if !timestamps_agree(e, s, rules) {
        if rules.neutral && rules.tick_usecs.is_none() {
            ignored.insert("values of timestamps of ours");
        } else {
            all.push("timestamp");
        }
    }
    let (e, s) = (without_values(e), without_values(s));
    if e == s {
        return all;
    }
    if !rules.neutral {
        all.push("options");
        return all;
    }
    if expected.flags & flag::SYN != 0 {
        ignored.insert("options of SYNs of ours");
        return all;
    }
    ignored.insert("order and padding of options");
    let as_set = |options: &[TcpOption]| {
        let mut all: Vec<String> = options
            .iter()
            .filter(|o| !matches!(o, TcpOption::Nop | TcpOption::Eol))
            .map(ToString::to_string)
            .collect();
        all.sort();
        all
    };
    all.extend(if_not(as_set(&e) == as_set(&s), "options"));
    all
}

/// Is the timestamp, if both have one, as far from the first as the script says?
fn timestamps_agree(expected: &[TcpOption], sent: &[TcpOption], rules: &Rules) -> bool {
    let value = |options: &[TcpOption]| {
        options.iter().find_map(|o| match o {
            TcpOption::Timestamps(value, _) => Some(*value),
            _ => None,
        })
    };
    let (Some(expected), Some(sent)) = (value(expected), value(sent)) else { return true };
    let tick = rules.tick_usecs.unwrap_or(1000);
    let apart = i64::from(expected.wrapping_sub(sent) as i32).unsigned_abs();
    // Both clocks may be within a tick.
    apart.saturating_sub(1) * tick <= rules.tolerance_usecs
}

fn without_values(options: &[TcpOption]) -> Vec<TcpOption> {
    let value = |o: &TcpOption| match o {
        TcpOption::Timestamps(_, echo) => TcpOption::Timestamps(0, *echo),
        other => other.clone(),
    };
    options.iter().map(value).collect()
}
