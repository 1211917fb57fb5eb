//! The state machine as a table: every state, every kind of segment, the reply and the next state.
//!
//! `states.table` is read top down and the first row that fits counts. Every combination of state,
//! flags, sequence number, acknowledgment number and payload is made and compared. What was seen, and
//! what calls and timers do, draws the diagram in ARCHITECTURE.md.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::string::String;

const TABLE: &str = include_str!("states.table");
/// The right edge of our window; the peer has used none of it but for its FIN.
const EDGE: u32 = 65_536;
const ALL: [&str; 12] = [
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "syn-received",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
];

/// Where the segment starts.
const SEQS: [&str; 8] = ["far", "old", "before", "nxt", "inside", "last", "edge", "beyond"];
/// Where its acknowledgment stands.
const ACKS: [&str; 6] = ["ancient", "old", "una", "mid", "all", "new"];
const FLAGS: [(char, Flags); 4] =
    [('S', Flags::SYN), ('R', Flags::RST), ('A', Flags::ACK), ('F', Flags::FIN)];

/// A connection in one of the states, and its numbers, relative to both initial ones.
struct Scene {
    bench: Bench,
    una: u32,
    nxt: u32,
    rcv_nxt: u32,
}

/// A kind of segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kind {
    flags: u16,
    seq: usize,
    ack: usize,
    payload: bool,
}

impl Scene {
    fn new(state: &str) -> Scene {
        let client = || {
            let mut b = Bench::connecting(quiet());
            b.out();
            b.now += Duration::from_millis(100);
            b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
            b.out();
            b.write(b"0123456789").unwrap();
            b.out();
            b
        };
        let closed = || {
            let mut b = client();
            b.shutdown();
            b.out();
            b
        };
        let scene = |bench, una, nxt, rcv_nxt| Scene { bench, una, nxt, rcv_nxt };
        match state {
            "CLOSED" => scene(Bench::new(quiet()), 1, 1, 1),
            "LISTEN" => scene(Bench::listening(quiet(), 4), 1, 1, 1),
            "SYN-SENT" => {
                let mut b = Bench::connecting(quiet());
                b.out();
                scene(b, 0, 1, 1)
            }
            "SYN-RECEIVED" => {
                let mut b = Bench::listening(quiet(), 4);
                b.get(syn());
                b.out();
                scene(b, 0, 1, 1)
            }
            "syn-received" => {
                let mut b = Bench::connecting(quiet());
                b.out();
                b.get(syn());
                b.out();
                scene(b, 0, 1, 1)
            }
            "ESTABLISHED" => scene(client(), 1, 11, 1),
            "FIN-WAIT-1" => scene(closed(), 1, 12, 1),
            "FIN-WAIT-2" => {
                let mut b = closed();
                b.get(ack(1, 12));
                scene(b, 12, 12, 1)
            }
            "CLOSE-WAIT" => {
                let mut b = client();
                b.get(fin(1, 1));
                b.out();
                scene(b, 1, 11, 2)
            }
            "CLOSING" => {
                let mut b = closed();
                b.get(fin(1, 1));
                b.out();
                scene(b, 1, 12, 2)
            }
            "LAST-ACK" => {
                let mut b = client();
                b.get(fin(1, 1));
                b.shutdown();
                b.out();
                scene(b, 1, 12, 2)
            }
            "TIME-WAIT" => {
                let mut b = closed();
                b.get(fin(1, 12));
                b.out();
                scene(b, 12, 12, 2)
            }
            other => panic!("no scene for {other}"),
        }
    }

    fn state(&mut self) -> &'static str {
        let b = &mut self.bench;
        match b.tcp.find(&b.tuple).ok() {
            Some(id) if id & crate::tcp::table::TIME_WAIT != 0 => "TIME-WAIT",
            Some(id) => name(&b.tcp.connections.look(id).unwrap().tcb),
            None if b.listener.is_some() => "LISTEN",
            None => "CLOSED",
        }
    }

    fn seq(&self, kind: Kind) -> u32 {
        match SEQS[kind.seq] {
            "far" => self.rcv_nxt + (1 << 31),
            "old" => self.rcv_nxt.wrapping_sub(100),
            "before" => self.rcv_nxt - 1,
            "nxt" => self.rcv_nxt,
            "inside" => self.rcv_nxt + 100,
            "last" => EDGE - 1,
            "edge" => EDGE,
            _ => EDGE + 1,
        }
    }

    /// RFC 9293 §3.4: the four cases of the acceptability test, written down a second time.
    //= rfc9293#3.4
    fn acceptable(&self, segment: &In<'_>) -> bool {
        let flags = segment.flags;
        let len = segment.payload.len() as u32 + flags.has(Flags::SYN) as u32 + flags.has(Flags::FIN) as u32;
        let inside = |at: u32| at.wrapping_sub(self.rcv_nxt) < EDGE - self.rcv_nxt;
        inside(segment.seq) || (len > 0 && inside(segment.seq.wrapping_add(len - 1)))
    }

    /// The segment of a kind; `None` where the connection has no such number.
    fn segment<'a>(&self, kind: Kind, payload: &'a [u8]) -> Option<In<'a>> {
        let number = match ACKS[kind.ack] {
            "ancient" => self.una.wrapping_sub(1 << 20),
            "old" => self.una.wrapping_sub(1),
            "una" => self.una,
            "mid" => Some(self.una + 5).filter(|n| *n < self.nxt)?,
            "all" => Some(self.nxt).filter(|n| *n != self.una)?,
            _ => self.nxt + 1,
        };
        let seq = self.seq(kind);
        let payload = if kind.payload { payload } else { &[] };
        Some(segment(Flags(kind.flags), seq, number).payload(payload))
    }

    /// What the segment brings about: everything sent at once, or within the delay of an ACK.
    fn reply(&mut self, segment: In<'_>) -> String {
        let b = &mut self.bench;
        b.replies.clear();
        b.get(segment);
        let mut names: Vec<&str> = b.out().iter().map(sent).collect();
        names.extend(
            b.advance(45).iter().map(|(_, out)| if sent(out) == "ack" { "ack-later" } else { sent(out) }),
        );
        let of_reply = |r: &Reply| match r {
            Reply::Reset(Reset { ack: None, .. }) => "rst",
            Reply::Reset(Reset { ack: Some(_), .. }) => "rst-ack",
            Reply::Ack { .. } => "ack",
            Reply::SynAck { .. } => "syn-ack",
        };
        names.extend(b.replies.iter().map(of_reply));
        if names.is_empty() { "-".into() } else { names.join("+") }
    }
}

/// The state's name; a SYN-RECEIVED that an active open led to in small letters (MUST-11).
fn name(tcb: &crate::tcp::connection::tcb::Tcb) -> &'static str {
    match tcb.state() {
        State::SynSent => "SYN-SENT",
        State::SynReceived if tcb.is_opening() => "syn-received",
        State::SynReceived => "SYN-RECEIVED",
        State::Established => "ESTABLISHED",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::CloseWait => "CLOSE-WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST-ACK",
        State::Closed => "CLOSED",
    }
}

fn sent(out: &Out) -> &'static str {
    let flags = out.flags.without(Flags::PSH);
    match (flags, out.payload.is_empty()) {
        (Flags::SYN, _) => "syn",
        (f, _) if f == Flags::SYN | Flags::ACK => "syn-ack",
        (Flags::ACK, true) => "ack",
        (Flags::ACK, false) => "data",
        (f, _) if f == Flags::FIN | Flags::ACK => "fin",
        _ => "?",
    }
}

/// A row of the table.
struct Row<'t> {
    line: usize,
    cells: [&'t str; 7],
}

fn rows() -> Vec<Row<'static>> {
    let lines = TABLE.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|(line, payload)| {
            let cells: Vec<&str> = payload.split('|').map(str::trim).collect();
            Row { line: line + 1, cells: cells.try_into().expect("seven cells") }
        })
        .collect()
}

impl Row<'_> {
    fn fits(&self, state: &str, kind: Kind, acceptable: bool) -> bool {
        let [states, flags, seqs, acks, payload, ..] = self.cells;
        let one_of = |list: &str, it: &str| list == "any" || list.split(' ').any(|name| name == it);
        let mut wanted = true;
        let flags_fit = flags == "any"
            || flags.chars().all(|c| match FLAGS.iter().find(|(name, _)| *name == c) {
                None => {
                    wanted = false; // the `!` before a flag
                    true
                }
                Some((_, flag)) => Flags(kind.flags).has(*flag) == core::mem::replace(&mut wanted, true),
            });
        let (wanted_acceptable, seqs) = match seqs.split_once(' ') {
            _ if seqs == "in" || seqs == "out" => (Some(seqs == "in"), "any"),
            Some((word @ ("in" | "out"), list)) => (Some(word == "in"), list),
            _ => (None, seqs),
        };
        let seq_fits = wanted_acceptable.is_none_or(|w| w == acceptable) && one_of(seqs, SEQS[kind.seq]);
        let text_fits = payload == "any" || (payload == "payload") == kind.payload;
        one_of(states, state) && flags_fit && seq_fits && one_of(acks, ACKS[kind.ack]) && text_fits
    }
}

fn kinds() -> impl Iterator<Item = Kind> {
    let flags = (0..16u16).map(|bits| {
        FLAGS.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).fold(0, |sum, (_, (_, f))| sum | f.0)
    });
    flags.flat_map(|flags| {
        let seqs = 0..SEQS.len();
        seqs.flat_map(move |seq| {
            (0..ACKS.len())
                .flat_map(move |ack| [false, true].map(|payload| Kind { flags, seq, ack, payload }))
        })
    })
}

fn describe(kind: Kind) -> String {
    let flags: String = FLAGS.iter().filter(|(_, f)| Flags(kind.flags).has(*f)).map(|(c, _)| *c).collect();
    let payload = if kind.payload { "payload" } else { "no payload" };
    std::format!("[{flags}] seq {}, ack {}, {payload}", SEQS[kind.seq], ACKS[kind.ack])
}

/// H250, T01, H020, H021, H022, H025, H057, MUST-11: every segment of RFC 9293 §3.10.7 in every state.
//= rfc9293#3.10.7
#[test]
fn every_segment_in_every_state() {
    let rows = rows();
    let mut used = BTreeSet::new();
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut checked = 0;
    for state in ALL {
        for kind in kinds() {
            let mut scene = Scene::new(state);
            assert_eq!(scene.state(), state, "the scene");
            let Some(segment) = scene.segment(kind, b"abcde") else { continue };
            let acceptable = scene.acceptable(&segment);
            let fits = |r: &&Row<'_>| r.fits(state, kind, acceptable);
            let row =
                rows.iter().find(fits).unwrap_or_else(|| panic!("no row for {state} {}", describe(kind)));
            used.insert(row.line);
            let reply = scene.reply(segment);
            let next = scene.state();
            let [.., want_reply, want_next] = row.cells;
            let want_next = if want_next == "=" { state } else { want_next };
            checked += 1;
            if !want_reply.split(' ').any(|w| w == reply) || next != want_next {
                let heading = std::format!(
                    "states.table:{}: {state}: expected {want_reply} and {want_next}, got {reply} and {next}",
                    row.line
                );
                wrong.entry(heading).or_default().push(describe(kind));
            }
        }
    }
    for row in &rows {
        if !used.contains(&row.line) {
            wrong.entry(std::format!("states.table:{}: no segment comes to this row", row.line)).or_default();
        }
    }
    let mut report = String::new();
    for (heading, kinds) in &wrong {
        writeln!(report, "{heading}: {} times, such as {:?}", kinds.len(), kinds.first()).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked} segments:\n{report}",
        wrong.values().map(Vec::len).sum::<usize>()
    );
}

/// What makes the state change: what a segment brings, a call, or time.
type Transitions = BTreeMap<(&'static str, &'static str), Vec<BTreeSet<&'static str>>>;

/// Does the segment's acknowledgment matter for the state, and of what is it?
fn acknowledged(state: &str) -> Option<&'static str> {
    match state {
        "SYN-SENT" | "SYN-RECEIVED" | "syn-received" => Some("ACK of SYN"),
        "FIN-WAIT-1" | "CLOSING" | "LAST-ACK" => Some("ACK of FIN"),
        _ => None,
    }
}

fn by_segments(all: &mut Transitions) {
    for state in ALL {
        for kind in kinds() {
            let mut scene = Scene::new(state);
            let Some(segment) = scene.segment(kind, b"abcde") else { continue };
            let flags = Flags(kind.flags);
            scene.reply(segment);
            let mut parts = BTreeSet::new();
            parts.extend(flags.has(Flags::RST).then_some("RST"));
            parts.extend(flags.has(Flags::SYN).then_some("SYN"));
            parts.extend(flags.has(Flags::FIN).then_some("FIN"));
            parts.extend(acknowledged(state).filter(|_| flags.has(Flags::ACK) && ACKS[kind.ack] == "all"));
            note(all, state, scene.state(), parts);
        }
    }
}

fn by_calls(all: &mut Transitions) {
    let mut connecting = Bench::connecting(quiet());
    connecting.out();
    note(
        all,
        "CLOSED",
        name(&connecting.tcp.connection(connecting.key.unwrap()).unwrap().tcb),
        ["connect"].into(),
    );
    note(all, "CLOSED", Scene::new("LISTEN").state(), ["listen"].into());
    for state in ALL {
        for call in ["shutdown", "close"] {
            let mut scene = Scene::new(state);
            if scene.bench.key.is_none() {
                continue;
            }
            // A write side that is shut can't be shut again, and TIME-WAIT is nobody's.
            if call == "close" {
                scene.bench.close();
            } else {
                let b = &mut scene.bench;
                let _ = b.tcp.shutdown_write(b.key.unwrap(), b.now, &mut b.pool);
            }
            scene.bench.out();
            note(all, state, scene.state(), [call].into());
        }
    }
}

/// Time with a peer that is silent: each state that ends by itself.
fn by_timers(all: &mut Transitions) {
    for state in ALL {
        let mut scene = Scene::new(state);
        if state == "FIN-WAIT-2" {
            scene.bench.close(); // only an orphan's is bounded (H016)
        }
        scene.bench.advance(1_000_000);
        note(all, state, scene.state(), ["timeout"].into());
    }
}

fn note(all: &mut Transitions, from: &'static str, to: &'static str, parts: BTreeSet<&'static str>) {
    let upper = |s| if s == "syn-received" { "SYN-RECEIVED" } else { s };
    let (from, to) = (upper(from), upper(to));
    if from == to {
        return;
    }
    let labels = all.entry((from, to)).or_default();
    if !labels.iter().any(|known| known.is_subset(&parts)) {
        labels.retain(|known| !parts.is_subset(known));
        labels.push(parts);
    }
}

fn diagram(all: &Transitions) -> String {
    let mut payload = String::from("```mermaid\nstateDiagram-v2\n");
    let id = |state: &str| state.replace('-', "_");
    for state in ALL.iter().filter(|s| **s != "syn-received") {
        writeln!(payload, "    {}: {state}", id(state)).unwrap();
    }
    for ((from, to), labels) in all {
        let mut labels: Vec<String> =
            labels.iter().map(|parts| parts.iter().copied().collect::<Vec<_>>().join(" and ")).collect();
        labels.sort();
        writeln!(payload, "    {} --> {}: {}", id(from), id(to), labels.join(" / ")).unwrap();
    }
    payload + "```\n"
}

/// T01: the diagram in ARCHITECTURE.md is what the code does. `BLESS=1` writes it anew.
#[test]
fn the_diagram_is_what_the_code_does() {
    let mut all = Transitions::new();
    by_segments(&mut all);
    by_calls(&mut all);
    by_timers(&mut all);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (start, end) = ("<!-- the states: written by a test -->\n", "<!-- end of the states -->");
    let (before, rest) = page.split_once(start).expect("ARCHITECTURE.md has a place for the diagram");
    let (found, after) = rest.split_once(end).expect("the diagram in ARCHITECTURE.md has an end");
    let diagram = diagram(&all);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, [before, start, &diagram, end, after].concat()).unwrap();
    } else {
        assert_eq!(found, diagram, "the diagram is old: BLESS=1 cargo test -p barenet diagram");
    }
}
