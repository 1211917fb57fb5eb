//! S9 as it is for most who write: bursts of two segments, and round trips that last.

use crate::count::Counts;
use crate::engine::Done;
use crate::pair::{self, CLIENT, Host, SERVER, TURN, Work, open, sum};
use crate::pair::{phase_client_app, phase_client_rx, phase_client_tx};
use crate::pair::{phase_server_app, phase_server_rx, phase_server_tx};
use crate::table::{Table, number, verdict};
use barenet::time::{Duration, Instant};
use std::collections::VecDeque;

/// Bursts that are counted, and those before.
const ROUNDS: u64 = 2_000;
const BEFORE: u64 = 200;
/// Buffers of smoltcp's sockets, in bytes.
const BUFFER: usize = 256 << 10;
/// Bytes of each burst, turns until an acknowledgment is there, and how long one takes.
const ROWS: [(&str, usize, usize, Duration); 3] = [
    ("bursts of two segments", 2_880, 0, TURN),
    ("RTT 5 ms, 2,920 B each ms", 2_920, 5, Duration::from_millis(1)),
    ("RTT 20 ms, 2,920 B each ms", 2_920, 20, Duration::from_millis(1)),
];

/// `STACK ROW ROUNDS`, where STACK is `ours` or `smoltcp` and ROW an index.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    let [stack, row, rounds] = args else { return None };
    let (_, burst, lag, turn) = *ROWS.get(row.parse::<usize>().ok()?)?;
    let work = Bursts { burst, lag, turn, rounds: rounds.parse().ok()? };
    Some(pair::with_pair(stack == "ours", BUFFER, work).to_string())
}

/// All of the round trip is on the way back.
struct Bursts {
    burst: usize,
    lag: usize,
    turn: Duration,
    rounds: u64,
}

impl Work for Bursts {
    type Result = Done;
    fn run(self, a: &mut impl Host, b: &mut impl Host) -> Done {
        let mut now = Instant::from_millis(1000);
        b.listen(4);
        let (client, server) = open(a, b, &mut now);
        let (data, mut buf) = (vec![0x5a; self.burst], vec![0; 1 << 20]);
        let (mut underway, mut read, mut before) = (VecDeque::new(), 0, (0, 0, 0));
        for round in 0..BEFORE + self.rounds {
            if round == BEFORE {
                before = (read, a.sent().1, b.sent().0);
            }
            phase_client_app(|| a.write(client, &data, now));
            phase_client_tx(|| a.egress(now));
            phase_server_rx(|| b.ingress(now, usize::MAX));
            read += phase_server_app(|| b.read(server, &mut buf, now)) as u64;
            let (acks, _) = b.sent();
            phase_server_tx(|| b.egress(now));
            underway.push_back((b.sent().0 - acks) as usize);
            if underway.len() > self.lag {
                let acks = underway.pop_front().unwrap_or(0);
                phase_client_rx(|| a.ingress(now, acks));
            }
            now += self.turn;
        }
        let (bytes, segments, acks) = (read - before.0, a.sent().1 - before.1, b.sent().0 - before.2);
        assert!(bytes >= self.rounds * self.burst as u64 * 9 / 10, "{bytes} of {} bursts", self.rounds);
        Done { bytes, segments, acks, seconds: 0.0 }
    }
}

/// Instructions per data segment.
pub(crate) fn table() -> Table {
    let mut table = Table::new(
        "S9: short bursts and long round trips, instructions of both ends per data segment",
        [
            "MTU 1500, checksums off",
            "smoltcp, best",
            "barenet",
            "of it client",
            "server",
            "of it ACKs",
            "goal",
        ],
    );
    for (row, (name, ..)) in ROWS.iter().enumerate() {
        let counts = ["smoltcp", "ours"].map(|stack| {
            let words = move |rounds: u64| format!("sample short {stack} {row} {rounds}");
            Counts::of(ROUNDS, move |rounds| words(rounds).split(' ').map(str::to_owned).collect())
        });
        let per = |counts: &Counts, phases: &[&str]| sum(counts, phases) / counts.done.segments as f64;
        let [best, ours] = counts.each_ref().map(|c| per(c, &CLIENT) + per(c, &SERVER));
        let ends = [CLIENT, SERVER].map(|phases| number(per(&counts[1], &phases)));
        let [client, server] = ends;
        let acks = number(per(&counts[1], &["client_rx", "server_tx"]));
        let goal = format!("{} <= 3500", verdict(ours <= 3500.0));
        table.row([(*name).to_owned(), number(best), number(ours), client, server, acks, goal]);
    }
    table
}
