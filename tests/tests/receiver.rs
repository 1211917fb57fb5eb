//! What a receiver says of text that comes out of order and overlaps, against a model of RFC 2018 and
//! RFC 2883: as scripts, so that a failure can be played by itself.

use barenet_tests::packetdrill::{Options, run};
use std::fmt::Write;

fn options() -> Options {
    Options { neutral: true, ..Options::default() }
}

/// A receiver as the RFCs describe it.
struct Model {
    rcv_nxt: u32,
    /// Ranges beyond RCV.NXT, the one that was touched last first.
    ranges: Vec<(u32, u32)>,
}

impl Model {
    fn new() -> Model {
        Model { rcv_nxt: 1, ranges: Vec::new() }
    }

    /// The first bytes of a segment that were there already and belong together (RFC 2883 §4).
    fn duplicate(&self, (start, end): (u32, u32)) -> Option<(u32, u32)> {
        let mut all = self.ranges.clone();
        all.push((0, self.rcv_nxt));
        all.sort_unstable();
        let overlaps = all.into_iter().map(|(l, r)| (l.max(start), r.min(end)));
        overlaps.into_iter().find(|(l, r)| l < r)
    }

    /// Takes a segment; gives what the acknowledgment says: its number and its blocks.
    fn take(&mut self, segment: (u32, u32), most: usize) -> (u32, Vec<(u32, u32)>) {
        let duplicate = self.duplicate(segment);
        let (mut start, mut end) = segment;
        let touches = |r: &(u32, u32)| r.0 <= end && start <= r.1;
        let touched: Vec<(u32, u32)> = self.ranges.iter().copied().filter(touches).collect();
        // A range that the new one reaches only by its end touches it as well.
        for (l, r) in &touched {
            (start, end) = (start.min(*l), end.max(*r));
        }
        self.ranges.retain(|range| !touched.contains(range));
        if start > self.rcv_nxt {
            self.ranges.insert(0, (start, end));
        } else {
            self.rcv_nxt = self.rcv_nxt.max(end);
        }
        let blocks = duplicate.into_iter().chain(self.ranges.iter().copied());
        (self.rcv_nxt, blocks.take(most).collect())
    }
}

const HEAD: &str = "--ip_version=ipv4
0 `sysctl -w net.inet.tcp.delacktime=40`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1460,sackOK,eol,eol>
+0 > S. 0:0(0) ack 1 <...>
+.01 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
";

fn blocks(all: &[(u32, u32)]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let all: String = all.iter().map(|(l, r)| format!(" {l}:{r}")).collect();
    format!(" <nop,nop,sack{all}>")
}

/// The lines for a segment and its acknowledgment.
fn lines(script: &mut String, model: &mut Model, (start, end): (u32, u32)) {
    let (ack, sack) = model.take((start, end), 4);
    writeln!(script, "+0 < . {start}:{end}({}) ack 1 win 65535", end - start).unwrap();
    writeln!(script, "+0 > . 1:1(0) ack {ack}{}", blocks(&sack)).unwrap();
    let readable = ack - 1;
    if readable > 0 {
        writeln!(script, "+0 recv(4, ..., 65536, MSG_PEEK) = {readable}").unwrap();
    }
}

/// 99 bytes in order and three ranges beyond; then one segment of every start and end, and all of it
/// again.
//= rfc2018#4
//= rfc2883#4
#[test]
fn every_overlap() {
    let mut failures = Vec::new();
    let points: Vec<u32> = std::iter::once(1).chain((1..=16).map(|n| 50 * n)).collect();
    let pairs = points.iter().flat_map(|a| points.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b);
    for segment in pairs {
        let (mut script, mut model) = (HEAD.to_string(), Model::new());
        model.take((1, 100), 4);
        script.push_str("+0 < . 1:100(99) ack 1 win 65535\n");
        for range in [(200, 300), (400, 500), (600, 700)] {
            lines(&mut script, &mut model, range);
        }
        lines(&mut script, &mut model, segment);
        lines(&mut script, &mut model, (1, 800));
        script.push_str(
            "+0 recv(4, ..., 1024, 0) = 799\n+.1 < F. 800:800(0) ack 1 win 65535\n+0 > . 1:1(0) ack 801\n\
             +0 recv(4, ..., 1024, 0) = 0\n+0 close(4) = 0\n+0 > F. 1:1(0) ack 801\n+.01 < . 801:801(0) ack 2 win 65535\n",
        );
        failures.extend(run(&script, &options()).failure.map(|f| format!("{segment:?} {f}")));
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

/// Segments at random, always the same ones: recency of the blocks, holes that fill in part.
//= rfc2018#4
//= rfc2883#4
#[test]
fn segments_at_random() {
    let mut state = 1_u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut failures = Vec::new();
    for round in 0..200 {
        let (mut script, mut model) = (HEAD.to_string(), Model::new());
        // Something is missing in front, so that every segment is answered at once.
        lines(&mut script, &mut model, (2000, 2050));
        for _ in 0..25 {
            let start = 1 + next(38) * 50;
            let segment = (start, (start + 50 + next(4) * 50).min(1990));
            if model.duplicate(segment).is_some() || !model.ranges.is_empty() {
                lines(&mut script, &mut model, segment);
            }
        }
        failures.extend(run(&script, &options()).failure.map(|f| format!("round {round} {f}\n{script}")));
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures[..1].join("\n"));
}
