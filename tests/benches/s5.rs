//! S5: connections that come and go, beside those in TIME-WAIT, and SYNs that cookies answer.

use crate::count::{self, Counts};
use crate::crowd::Crowd;
use crate::effort::Effort;
use crate::engine::Done;
use crate::pair::{self, CLIENT, Host, SERVER, TURN, Work, exchange, open, sum};
use crate::pair::{phase_client_app, phase_client_rx, phase_client_tx};
use crate::pair::{phase_server_app, phase_server_rx, phase_server_tx};
use crate::table::{Table, number, verdict};
use barenet::TcpConfig;
use barenet::time::{Duration, Instant};
use std::hint::black_box;

/// Connections in TIME-WAIT at the client. Of smoltcp, which looks at each of them for each frame, only without.
const WAITING: [usize; 3] = [0, 1_000, 10_000];
/// Connections that are counted.
const ROUNDS: u64 = 500;
/// Buffers of smoltcp's sockets, in bytes, which are part of what a connection costs it.
const BUFFER: usize = 8 << 10;
/// SYNs that are counted; those before, which fill the queue and show a flood; and so many between two turns of the stack.
const SYNS: u64 = 2_048;
const BEFORE: u32 = 1_024;
const BURST: u32 = 8;

/// `STACK WAITING ROUNDS`, where STACK is `ours` or `smoltcp`; or `cookies SYNS`.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    match args {
        [what, syns] if what == "cookies" => Some(flood(syns.parse().ok()?).to_string()),
        [stack, waiting, rounds] => {
            let work = Connections { waiting: waiting.parse().ok()?, rounds: rounds.parse().ok()? };
            Some(pair::with_pair(stack == "ours", BUFFER, work).to_string())
        }
        _ => None,
    }
}

struct Connections {
    waiting: u64,
    rounds: u64,
}

impl Work for Connections {
    type Result = Done;
    fn run(self, a: &mut impl Host, b: &mut impl Host) -> Done {
        let mut now = Instant::from_millis(1000);
        b.listen(8);
        for round in 0..self.waiting + 10 + self.rounds {
            one(a, b, &mut now, round < self.waiting);
        }
        Done { bytes: self.rounds, segments: a.sent().0, acks: b.sent().0, seconds: 0.0 }
    }
}

/// A connection with one exchange. The client closes first, so it is in TIME-WAIT then.
fn one(a: &mut impl Host, b: &mut impl Host, now: &mut Instant, waits: bool) {
    let mut buf = [0; 64];
    let (client, server) = open(a, b, now);
    exchange(a, b, (client, server), b"x", &mut buf, *now);
    phase_client_app(|| a.close(client, *now));
    phase_client_tx(|| a.egress(*now));
    phase_server_rx(|| b.ingress(*now, usize::MAX));
    phase_server_app(|| {
        assert_eq!(b.read(server, &mut buf, *now), 0, "the end");
        b.close(server, *now);
    });
    phase_server_tx(|| b.egress(*now));
    phase_client_rx(|| a.ingress(*now, usize::MAX));
    phase_client_tx(|| a.egress(*now));
    phase_server_rx(|| b.ingress(*now, usize::MAX));
    b.forget(server, false);
    a.forget(client, waits);
    *now += TURN;
}

#[inline(never)]
fn phase_syn(crowd: &mut Crowd, frame: &[u8]) {
    black_box(41);
    crowd.arrive(black_box(frame));
}
#[inline(never)]
fn phase_cookie(crowd: &mut Crowd) {
    black_box(42);
    crowd.turn();
}

/// SYNs of as many clients, nobody of whom says anything more.
fn flood(syns: u32) -> Done {
    let mut crowd = Crowd::new(false, TcpConfig::default());
    crowd.connect(0);
    let mut cookies = 0;
    for number in 1..=BEFORE + syns {
        if number == BEFORE + 1 {
            cookies = crowd.cookies();
        }
        let syn = crowd.syn(number);
        phase_syn(&mut crowd, &syn);
        if number % BURST == 0 {
            phase_cookie(&mut crowd);
            // Cookies that did not come back within another half a second are a flood, in which there is no
            // bound; it is judged before the half-open connections give up, which make room for others.
            let is_half = number <= BEFORE && number % (BEFORE / 2) == 0;
            crowd.pass(if is_half { Duration::from_millis(550) } else { Duration::from_micros(100) });
        }
    }
    let cookies = crowd.cookies() - cookies;
    assert_eq!(cookies, u64::from(syns), "each is answered by a cookie");
    Done { bytes: syns.into(), segments: cookies, acks: 0, seconds: 0.0 }
}

fn count(stack: &str, waiting: usize) -> Counts {
    let words =
        |rounds: u64| ["sample", "s5", stack, &waiting.to_string(), &rounds.to_string()].map(str::to_owned);
    Counts::of(ROUNDS, |rounds| words(rounds).into())
}

pub(crate) fn tables(effort: &Effort) -> Vec<Table> {
    let mut table = Table::new(
        "S5: connect, exchange 1 B, close; and a SYN that a cookie answers: instructions",
        ["", "smoltcp, best", "barenet", "of it client", "server", "goal"],
    );
    let is_quick = effort.rounds < Effort::FULL.rounds;
    for &waiting in if is_quick { &WAITING[..1] } else { &WAITING } {
        let per = |counts: &Counts, phases: &[&str]| sum(counts, phases) / ROUNDS as f64;
        let best = (waiting == 0)
            .then(|| count("smoltcp", waiting))
            .map_or(f64::NAN, |counts| per(&counts, &CLIENT) + per(&counts, &SERVER));
        let counts = count("ours", waiting);
        let [client, server] = [CLIENT, SERVER].map(|phases| per(&counts, &phases));
        let goal = format!("{} <= 30000", verdict(client + server <= 30_000.0));
        let name = format!("a connection, beside {waiting} in TIME-WAIT");
        table.row([name, number(best), number(client + server), number(client), number(server), goal]);
    }
    let counts = cookies();
    let all = sum(&counts, &["syn", "cookie"]) / SYNS as f64;
    let goal = format!("{} <= 2000", verdict(all <= 2000.0));
    let none = || "-".to_owned();
    table.row(["a SYN and its cookie".to_owned(), none(), number(all), none(), number(all), goal]);
    vec![table]
}

fn cookies() -> Counts {
    Counts::of(SYNS, |syns| ["sample", "s5", "cookies", &syns.to_string()].map(str::to_owned).into())
}

/// The most expensive functions of a cookie.
pub(crate) fn profile() -> Vec<Table> {
    let counts = cookies();
    ["syn", "cookie"].map(|phase| count::profile(&counts, "S5, cookies", phase, "SYN", SYNS)).into()
}
