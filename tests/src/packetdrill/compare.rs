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
}

/// The names of what was ignored.
pub(super) type Ignored = BTreeSet<&'static str>;

/// How far a time may be from the expected one.
pub(super) fn tolerance(rules: &Rules, since_last: u64) -> u64 {
    rules.tolerance_usecs.max(since_last.saturating_mul(rules.tolerance_permille) / 1000)
}

/// True if the packet `sent` (with the script's numbers) is as `expected`.
pub(super) fn agrees(expected: &Packet, sent: &Packet, rules: &Rules, ignored: &mut Ignored) -> bool {
    let body = match (&expected.body, &sent.body) {
        (Body::Tcp(e), Body::Tcp(s)) => segment_agrees(e, s, rules, ignored),
        (Body::Udp(e), Body::Udp(s)) => e == s,
        (Body::Icmp(e), Body::Icmp(s)) => e == s,
        _ => false,
    };
    body && expected.ports == sent.ports && expected.text == sent.text && marks_agree(&expected.ip, &sent.ip)
}

fn marks_agree(expected: &IpMarks, sent: &IpMarks) -> bool {
    let ecn = sent.ecn.map_or(0, Ecn::bits);
    expected.ecn.is_none_or(|e| e.allows(ecn))
        && (expected.tos.is_none() || expected.tos == sent.tos)
        && (expected.ttl.is_none() || expected.ttl == sent.ttl)
        && (expected.flow_label.is_none() || expected.flow_label == sent.flow_label)
}

fn segment_agrees(expected: &Segment, sent: &Segment, rules: &Rules, ignored: &mut Ignored) -> bool {
    let window = match expected.window {
        Some(window) if sent.window != Some(window) && rules.neutral => {
            ignored.insert("windows of ours");
            true
        }
        window => window.is_none() || window == sent.window,
    };
    window
        && (expected.flags, expected.seq, expected.len) == (sent.flags, sent.seq, sent.len)
        && (expected.ack, expected.urgent) == (sent.ack, sent.urgent)
        && options_agree(expected, sent, rules, ignored)
}

fn options_agree(expected: &Segment, sent: &Segment, rules: &Rules, ignored: &mut Ignored) -> bool {
    let (Some(e), Some(s)) = (&expected.options, &sent.options) else { return true };
    if e == s {
        return true;
    }
    if !rules.neutral {
        return false;
    }
    if expected.flags & flag::SYN != 0 {
        ignored.insert("options of SYNs of ours");
        return true;
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
    as_set(e) == as_set(s)
}
