//! S4: request and response, in instructions and in cache lines.

use crate::count::{self, Counts};
use crate::effort::Effort;
use crate::engine::Done;
use crate::pair::{self, CLIENT, Host, SERVER, TURN, Work, exchange, open, sum};
use crate::table::{Table, number, verdict};
use barenet::time::Instant;

/// Bytes of a request and of its answer.
const LENGTHS: [usize; 2] = [1, 1024];
/// Connections that take turns, and exchanges that are counted; and of smoltcp, which looks at every one of its
/// sockets for each frame, so that more of them take minutes.
const CONNECTIONS: [usize; 4] = [1, 64, 1_000, 10_000];
const SMOLTCP_MOST: usize = 64;
const ROUNDS: u64 = 2_000;
/// Buffers of smoltcp's sockets, in bytes.
const BUFFER: usize = 8 << 10;

/// `STACK LENGTH CONNECTIONS ROUNDS`, where STACK is `ours` or `smoltcp`.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    let [stack, len, connections, rounds] = args else { return None };
    let (len, connections, rounds) = (len.parse().ok()?, connections.parse().ok()?, rounds.parse().ok()?);
    Some(pair::with_pair(stack == "ours", BUFFER, Exchanges { len, connections, rounds }).to_string())
}

struct Exchanges {
    len: usize,
    connections: usize,
    rounds: u64,
}

impl Work for Exchanges {
    type Result = Done;
    fn run(self, a: &mut impl Host, b: &mut impl Host) -> Done {
        let mut now = Instant::from_millis(1000);
        b.listen(if self.connections > 64 { 64 } else { 4 });
        let all: Vec<_> = (0..self.connections).map(|_| open(a, b, &mut now)).collect();
        let (data, mut buf) = (vec![0x5a; self.len], vec![0; 64 << 10]);
        let mut go = |rounds: usize| {
            for which in all.iter().cycle().take(rounds) {
                exchange(a, b, *which, &data, &mut buf, now);
                now += TURN;
            }
        };
        // The first exchange of each is unlike those that follow.
        go(self.connections.max(20));
        go(self.rounds as usize);
        Done { bytes: self.rounds, segments: a.sent().0, acks: b.sent().0, seconds: 0.0 }
    }
}

fn words(stack: &str, len: usize, connections: usize) -> impl Fn(u64) -> Vec<String> {
    let words = format!("sample s4 {stack} {len} {connections}");
    move |rounds| format!("{words} {rounds}").split(' ').map(str::to_owned).collect()
}

pub(crate) fn tables(effort: &Effort) -> Vec<Table> {
    let is_quick = effort.rounds < Effort::FULL.rounds;
    let connections = if is_quick { &CONNECTIONS[..2] } else { &CONNECTIONS };
    let mut cost = Table::new(
        "S4: a request and its response, instructions of both ends",
        ["bytes, connections in turn", "smoltcp, best", "barenet", "of it server: rx", "app", "tx", "goal"],
    );
    for len in LENGTHS {
        for &n in connections {
            let per = |counts: &Counts, phases: &[&str]| sum(counts, phases) / ROUNDS as f64;
            let best = (n <= SMOLTCP_MOST)
                .then(|| Counts::of(ROUNDS, words("smoltcp", len, n)))
                .map_or(f64::NAN, |counts| per(&counts, &CLIENT) + per(&counts, &SERVER));
            let counts = Counts::of(ROUNDS, words("ours", len, n));
            let all = per(&counts, &CLIENT) + per(&counts, &SERVER);
            let [rx, app, tx] = SERVER.map(|phase| number(per(&counts, &[phase])));
            // Of the headers: longer texts have their copies besides.
            let goal = if len == 1 { format!("{} <= 5500", verdict(all <= 5500.0)) } else { "-".to_owned() };
            cost.row([format!("{len}, {n}"), number(best), number(all), rx, app, tx, goal]);
        }
    }
    let mut lines = Table::new(
        "S4: cache lines that one end fetches for an exchange of 1 B, into a first level of 48 KiB",
        ["connections in turn", "client", "server", "goal"],
    );
    for n in if is_quick { &[1][..] } else { &[1, 10_000] } {
        let counts = Counts::of_lines(ROUNDS, words("ours", 1, *n));
        let [client, server] = [CLIENT, SERVER].map(|phases| sum(&counts, &phases) / ROUNDS as f64);
        let met = verdict(client.max(server) <= 16.0);
        let goal = if *n > 1 { format!("{met} <= 16") } else { "-".to_owned() };
        lines.row([n.to_string(), number(client), number(server), goal]);
    }
    vec![cost, lines]
}

/// The most expensive functions of an exchange.
pub(crate) fn profile() -> Vec<Table> {
    let counts = Counts::of(ROUNDS, words("ours", 1, 1));
    [CLIENT, SERVER]
        .concat()
        .iter()
        .map(|p| count::profile(&counts, "S4, 1 B", p, "exchange", ROUNDS))
        .collect()
}
