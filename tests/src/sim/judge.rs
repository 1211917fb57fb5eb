//! Did every application get what its script and its peer's promise?

use super::app::{App, Outcome, State};
use super::options::FlowOptions;
use super::world::World;
use barenet::Error;
use barenet::time::Duration;

/// A pool that many connections may fill.
const SMALL: usize = 64 << 10;

/// A connection that its application has let go of probes a closed window for at least so long.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn judge(&mut self) -> Result<(), String> {
        for number in 0..self.options.flows.len() {
            if self.options.flows[number].absent {
                continue;
            }
            self.summary.bytes += self.judge_flow(number)?;
        }
        Ok(())
    }

    /// Judges one flow, and gives how much its applications read.
    fn judge_flow(&self, number: usize) -> Result<u64, String> {
        let flow = &self.options.flows[number];
        let Some(client) = self.app(number, 0) else { return Err(format!("flow {number} has no client")) };
        let Some(server) = self.app(number, 1) else {
            return match client.state {
                State::Done(Outcome::Failed(Error::ConnectionRefused)) => Ok(0),
                State::Done(Outcome::Left) if !flow.scripts[0].is_patient() => Ok(0),
                State::Done(Outcome::Failed(Error::HostUnreachable)) if self.is_fast(flow, client) => Ok(0),
                _ if self.options.is_cut(flow.net) => Ok(0),
                _ => Err(complaint(client, "should have been refused")),
            };
        };
        for (mine, peer) in [(client, server), (server, client)] {
            if mine.read > peer.written {
                return Err(complaint(mine, "read more than was written"));
            }
            if !self.options.is_cut(flow.net) && !self.ended_well(flow, mine, peer) {
                return Err(complaint(mine, "ended wrongly"));
            }
        }
        Ok(client.read + server.read)
    }

    fn ended_well(&self, flow: &FlowOptions, app: &App, peer: &App) -> bool {
        let (mine, other) = (&flow.scripts[app.end], &flow.scripts[peer.end]);
        let is_short = |end: usize| {
            let memory = self.options.hosts[flow.hosts[end]].memory;
            memory <= SMALL || (self.options.flows.len() > 6 && memory <= 16 * SMALL)
        };
        // The peer's stack had to reset what the peer had let go of.
        let short = is_short(peer.end);
        // A stack short of memory ends a connection whose peer's window is closed.
        let gave_way = |app: &App| {
            is_short(app.end) && matches!(app.state, State::Done(Outcome::Failed(Error::ConnectionAborted)))
        };
        let unreachable = State::Done(Outcome::Failed(Error::HostUnreachable));
        let is_unreachable = |app: &App| app.state == unreachable;
        // A peer whose TIME-WAIT is over answers a FIN with a reset.
        let host = &self.options.hosts[flow.hosts[peer.end]];
        let brief = host.tcp.time_wait < Duration::from_secs(60) || host.jump.is_some();
        // Nor does a stack wait for ever for somebody who does not read.
        let slow = mine.read_wait > ORPHAN_PATIENCE;
        let let_go = matches!(peer.state, State::Done(Outcome::Orderly | Outcome::Left));
        match app.state {
            State::Done(Outcome::Orderly) => {
                !other.keeps_promise(mine) || (app.read == other.send && app.written == mine.send)
            }
            State::Done(Outcome::Left) => !mine.is_patient(),
            // A Fast Open that was let go of before anything was written never happened.
            State::Listening(_) => {
                let failed = matches!(peer.state, State::Done(Outcome::Failed(_)));
                let never = self.is_fast(flow, peer) && (peer.written == 0 || failed);
                never || !other.keeps_promise(mine) || (failed && is_short(app.end))
            }
            // With Fast Open the server may reset before its SYN-ACK has arrived; and that a neighbour cannot be found
            // is told to who reads or writes, who does not try again.
            State::Done(Outcome::Failed(Error::HostUnreachable)) if self.is_fast(flow, app) => app.read == 0,
            // A stack without memory for a connection answers no SYN.
            State::Done(Outcome::Failed(Error::TimedOut)) if matches!(peer.state, State::Listening(_)) => {
                short
            }
            State::Done(Outcome::Failed(Error::ConnectionRefused)) if self.is_fast(flow, app) => {
                !(mine.keeps_promise(other) && other.keeps_promise(mine))
            }
            State::Done(Outcome::Failed(Error::ConnectionReset | Error::ClosedByPeer)) => {
                ((short || is_short(app.end) || slow || brief) && let_go)
                    || gave_way(peer)
                    || (self.is_fast(flow, peer) && is_unreachable(peer))
                    || !(mine.keeps_promise(other) && other.keeps_promise(mine))
            }
            _ => gave_way(app),
        }
    }

    /// May text of this client go with its SYN?
    fn is_fast(&self, flow: &FlowOptions, app: &App) -> bool {
        app.end == 0 && self.options.hosts[flow.hosts[0]].tcp.options.fast_open
    }

    /// One end of a flow.
    pub(super) fn app(&self, flow: usize, end: usize) -> Option<&App> {
        let host = self.options.flows[flow].hosts[end];
        self.hosts[host].apps.iter().find(|a| a.flow == flow && a.end == end)
    }

    /// Where everything stands, for the report of a failure.
    pub(super) fn standing(&self) -> String {
        let mut text = String::new();
        for (number, host) in self.hosts.iter().enumerate() {
            text += &format!(
                "\n  host {number}: memory {:?}, connections and time-waits {:?}",
                host.stack.memory(),
                host.stack.tcp_count()
            );
            for app in &host.apps {
                let state = match app.state {
                    State::Open(h) | State::Connecting(h) => {
                        format!("{:?} {:?}", app.state, host.stack.tcp_info(h, self.now))
                    }
                    other => format!("{other:?}"),
                };
                text += &format!("\n    {}: {state}, wrote {}, read {}", app.name, app.written, app.read);
            }
        }
        text
    }
}

fn complaint(app: &App, what: &str) -> String {
    format!("{}: {what}: {:?}, wrote {}, read {}", app.name, app.state, app.written, app.read)
}
