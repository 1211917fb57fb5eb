//! S8: little things: datagrams, and single bytes whose acknowledgments are held back.

use crate::count::{self, Counts};
use crate::engine::Done;
use crate::pair::{self, CLIENT, Host, SERVER, TURN, Work, open, sum};
use crate::pair::{phase_client_app, phase_client_rx, phase_client_tx};
use crate::pair::{phase_server_app, phase_server_rx, phase_server_tx};
use crate::table::{Table, number, verdict};
use barenet::time::{Duration, Instant};
use barenet_tests::peers::smol;

/// What is counted of each.
const ROUNDS: u64 = 4_000;
/// Buffers of smoltcp's sockets, in bytes.
const BUFFER: usize = 8 << 10;
/// Turns without an acknowledgment: 40 ms.
const HELD_BACK: u64 = 2_000;

/// `STACK KIND ROUNDS`, where STACK is `ours` or `smoltcp` and KIND `bytes` or `udp`.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    let [stack, kind, rounds] = args else { return None };
    let (is_ours, rounds) = (stack == "ours", rounds.parse().ok()?);
    match kind.as_str() {
        "bytes" => Some(pair::with_pair(is_ours, BUFFER, Bytes(rounds)).to_string()),
        "udp" => Some(pair::with_pair(is_ours, BUFFER, Datagrams(rounds)).to_string()),
        _ => None,
    }
}

/// One byte for each write, read at once; acknowledged every 40 ms.
struct Bytes(u64);

impl Work for Bytes {
    type Result = Done;
    fn run(self, a: &mut impl Host, b: &mut impl Host) -> Done {
        let mut now = Instant::from_millis(1000);
        b.listen(4);
        let (client, server) = open(a, b, &mut now);
        for turn in 1..=self.0 + HELD_BACK {
            let n = phase_client_app(|| a.write(client, b"x", now));
            assert_eq!(n, 1, "room for a byte");
            phase_client_tx(|| a.egress(now));
            phase_server_rx(|| b.ingress(now, usize::MAX));
            let n = phase_server_app(|| b.read(server, &mut [0; 64], now));
            assert_eq!(n, 1, "each byte goes out at once");
            if turn % HELD_BACK == 0 {
                phase_server_tx(|| b.egress(now));
                phase_client_rx(|| a.ingress(now, usize::MAX));
            }
            now += TURN;
        }
        Done { bytes: self.0, segments: a.sent().1, acks: b.sent().0, seconds: 0.0 }
    }
}

/// 64 bytes go to the server, which sends them back.
struct Datagrams(u64);

impl Work for Datagrams {
    type Result = Done;
    fn run(self, a: &mut impl Host, b: &mut impl Host) -> Done {
        let mut now = Instant::from_millis(1000);
        let (client, server) = (a.bind(6000), b.bind(7000));
        let (to, mut buf, mut echoed) = ((smol::v4(2), 7000).into(), [0; 2048], 0);
        while echoed < 100 + self.0 {
            phase_client_app(|| a.send(client, &[0x5a; 64], to, now));
            phase_client_tx(|| a.egress(now));
            phase_server_rx(|| b.ingress(now, usize::MAX));
            phase_server_app(|| {
                if let Some((n, from)) = b.receive(server, &mut buf) {
                    b.send(server, &buf[..n], from, now);
                }
            });
            phase_server_tx(|| b.egress(now));
            phase_client_rx(|| a.ingress(now, usize::MAX));
            echoed += phase_client_app(|| u64::from(a.receive(client, &mut buf).is_some()));
            // The first wait for ARP.
            now += if echoed < 3 { Duration::from_millis(5) } else { TURN };
        }
        Done { bytes: self.0, segments: a.sent().0, acks: b.sent().0, seconds: 0.0 }
    }
}

fn count(stack: &str, kind: &str) -> Counts {
    Counts::of(ROUNDS, |rounds| ["sample", "s8", stack, kind, &rounds.to_string()].map(str::to_owned).into())
}

pub(crate) fn tables() -> Vec<Table> {
    let mut table = Table::new(
        "S8: little things, instructions",
        ["", "smoltcp, best", "barenet", "of it client", "server: rx", "app", "tx", "goal"],
    );
    let both = [CLIENT, SERVER].concat();
    let rows = [
        ("bytes", "a write of 1 B, ACKs held back 40 ms, both ends", &both[..], 3000.0),
        ("udp", "UDP echo of 64 B, the server", &SERVER, 1900.0),
    ];
    for (kind, name, phases, most) in rows {
        let (best, ours) = (count("smoltcp", kind), count("ours", kind));
        let per = |counts: &Counts, phases: &[&str]| sum(counts, phases) / ROUNDS as f64;
        let all = per(&ours, phases);
        let client = if phases.len() > SERVER.len() { number(per(&ours, &CLIENT)) } else { "-".to_owned() };
        let [rx, app, tx] = SERVER.map(|phase| number(per(&ours, &[phase])));
        let goal = format!("{} <= {most}", verdict(all <= most));
        table.row([name.to_owned(), number(per(&best, phases)), number(all), client, rx, app, tx, goal]);
    }
    vec![table]
}

/// The most expensive functions of a datagram and of a byte.
pub(crate) fn profile() -> Vec<Table> {
    let (bytes, udp) = (count("ours", "bytes"), count("ours", "udp"));
    let bytes =
        [CLIENT, SERVER].concat().into_iter().map(|p| count::profile(&bytes, "S8, 1 B", p, "write", ROUNDS));
    bytes.chain(SERVER.map(|p| count::profile(&udp, "S8, UDP", p, "datagram", ROUNDS))).collect()
}
