//! Plays a script.

use super::calls::{Outcome, Process, Progress, eval};
use super::code::{self, Verdict};
use super::compare::{self, Ignored, Rules};
use super::flows::Flow;
use super::icmp_names;
use super::link::{Addresses, World};
use super::names::{self, c};
use super::parse::parse;
use super::posix::{Errno, Posix};
use super::profile::{Profile, apply_sysctl};
use super::script::{
    Body, Call, Ecn, Event, Icmp, IpMarks, Packet, Quote, Script, Segment, Value, What, When, flag,
    text_beyond_zeros,
};
use super::wire::{IpPacket, Payload, protocol};
use barenet::State;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::task::Poll;

/// How scripts are played.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What only fingerprints a stack is ignored.
    pub neutral: bool,
    /// Settings other than those that the script seems to assume.
    pub profile: Option<Profile>,
    /// Tolerance for times in microseconds, for scripts that name none.
    pub tolerance_usecs: Option<u64>,
}

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// What was ignored.
    pub ignored: Vec<String>,
}

/// Where and how a script and the stack disagree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The line, and the column for what can't be read.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The port that servers of scripts listen on, and clients connect to.
const PORT: u16 = 8080;
/// The peer's port when it connects.
const PEER_PORT: u16 = 53_055;
/// A call that nobody said would wait, and a packet that does not come, are given up after this.
const PATIENCE: u64 = 600_000_000;
/// How far a time may be off where neither the script nor the caller says anything: as in packetdrill; or
/// by a tick of the coarsest clock (100 Hz) of the systems that other suites were written for, which
/// their authors play with more tolerance than the usual.
const TOLERANCE: u64 = 4000;
const TOLERANCE_NEUTRAL: u64 = 10_000;
/// How often a call that waits looks whether its own timeout is over.
const TICK: u64 = 1000;

/// Plays a script.
pub fn run(text: &str, options: &Options) -> Report {
    let script = match parse(text) {
        Ok(script) => script,
        Err(error) => {
            let place = format!("{}:{}", error.line, error.column);
            return Report { failure: Some(Failure { place, message: error.message }), ignored: Vec::new() };
        }
    };
    let mut run = match Run::new(&script, options) {
        Ok(run) => run,
        Err(message) => {
            let failure = Failure { place: "1".into(), message };
            return Report { failure: Some(failure), ignored: Vec::new() };
        }
    };
    let failure =
        script.events.iter().try_for_each(|event| run.event(event)).and_then(|()| run.finish()).err();
    let ignored = run.ignored.iter().map(|s| (*s).to_string()).chain(run.ignored_values).collect();
    Report { failure, ignored }
}

/// A call that waits.
struct Pending {
    line: usize,
    text: String,
    call: Call,
    progress: Progress,
    /// When it is to return.
    end: Option<u64>,
    /// The event before it was then.
    last: u64,
}

struct Run {
    rules: Rules,
    addresses: Addresses,
    world: World,
    process: Process,
    flow: Flow,
    /// When the script started, and when the last event was.
    start: u64,
    last: u64,
    pending: Option<Pending>,
    /// The stream that `%{ }%` asks about.
    subject: Option<i32>,
    ignored: Ignored,
    ignored_values: Vec<String>,
}

/// What an event comes to, without its place.
type Step<T = ()> = Result<T, String>;

impl Run {
    fn new(script: &Script, options: &Options) -> Step<Run> {
        let number = |name: &str| script.option(name).and_then(|v| v.parse::<u64>().ok());
        let addresses = Addresses::of(script)?;
        let config = options.profile.unwrap_or_else(|| Profile::of(script)).config();
        let world = World::new(&addresses, config, 1).map_err(|e| format!("the stack refuses: {e}"))?;
        let domain = if addresses.local.is_ipv6() || script.option("ip_version") == Some("ipv4-mapped-ipv6") {
            c::AF_INET6
        } else {
            c::AF_INET
        };
        let mut next = 3;
        let numbers = Box::new(move || {
            next += 1;
            Ok::<_, Errno>(next - 1)
        });
        let port = |name: &str| number(name).map_or(PORT, |p| p as u16);
        let process = Process {
            posix: Posix::new(world.net().clone(), numbers),
            fds: BTreeMap::new(),
            bind_to: SocketAddr::new(addresses.local, port("bind_port")),
            connect_to: SocketAddr::new(addresses.remote, port("connect_port")),
            domain,
        };
        let start = world.now();
        let usual = if options.neutral { TOLERANCE_NEUTRAL } else { TOLERANCE };
        Ok(Run {
            rules: Rules {
                neutral: options.neutral,
                tolerance_usecs: number("tolerance_usecs").or(options.tolerance_usecs).unwrap_or(usual),
                tolerance_permille: script
                    .option("tolerance_percent")
                    .and_then(|p| p.parse::<f64>().ok())
                    .map_or(125, |percent| (percent * 10.0) as u64),
            },
            addresses,
            flow: Flow::passive(process.bind_to.port(), PEER_PORT),
            world,
            process,
            start,
            last: start,
            pending: None,
            subject: None,
            ignored: Ignored::new(),
            ignored_values: Vec::new(),
        })
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let fail = |message: String| Failure { place: event.line.to_string(), message };
        if let What::Packet(packet) = &event.what
            && !packet.inbound
        {
            return self.expect(event, packet);
        }
        let base = self.world.now();
        let at = match event.when {
            When::At(time) => self.start + time,
            When::After(time) => base + time,
            When::Any | When::AtBetween(..) | When::AfterBetween(..) => base,
        };
        self.wait_until(at)?;
        self.is_in_time(at).map_err(|late| fail(format!("`{}` {late}", event.text)))?;
        match &event.what {
            What::Packet(packet) => self.inject(packet).map_err(fail)?,
            What::Call(call) => self.call(event, call, base)?,
            What::Shell(command) => self.shell(command),
            What::Code(code) => self.code(code).map_err(fail)?,
        }
        self.last = at;
        Ok(())
    }

    /// Lets time pass; a call that waits may return meanwhile.
    fn wait_until(&mut self, until: u64) -> Result<(), Failure> {
        loop {
            let tick = if self.pending.is_some() { self.world.now() + TICK } else { u64::MAX };
            let more = self.world.step(until.min(tick));
            self.ask_pending()?;
            if !more && self.world.now() >= until {
                return Ok(());
            }
        }
    }

    fn is_in_time(&self, expected: u64) -> Step {
        let now = self.world.now();
        let since = expected.saturating_sub(self.last);
        if now.abs_diff(expected) <= compare::tolerance(&self.rules, since) {
            return Ok(());
        }
        Err(format!("was to be at {}, but it is {}", self.clock(expected), self.clock(now)))
    }

    /// A time as the script counts it.
    fn clock(&self, time: u64) -> String {
        format!("{:.6} s", (time as f64 - self.start as f64) / 1e6)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.await_pending()
    }

    // ---- calls

    fn call(&mut self, event: &Event, call: &Call, base: u64) -> Result<(), Failure> {
        self.await_pending()?;
        let end = call.end.map(|end| match event.when {
            When::At(_) => self.start + end,
            _ => base + end,
        });
        let fail = |message: String| Failure { place: event.line.to_string(), message };
        self.note_connection(call).map_err(fail)?;
        self.pending = Some(Pending {
            line: event.line,
            text: event.text.clone(),
            call: call.clone(),
            progress: Progress::default(),
            end,
            last: self.last,
        });
        self.ask_pending()?;
        if end.is_none() {
            self.await_pending()?;
        }
        // What a call makes the stack do, it does at once.
        self.world.settle();
        Ok(())
    }

    /// A script that connects talks about that connection from then on.
    fn note_connection(&mut self, call: &Call) -> Step {
        if let Some((fd, to)) = self.process.connects(call)?
            && self.process.posix.peer_address(fd).is_err()
        {
            let bound = self.process.posix.local_address(fd).ok().map(|a| a.port()).filter(|p| *p != 0);
            self.flow = Flow::active(bound, to.port());
        }
        Ok(())
    }

    fn ask_pending(&mut self) -> Result<(), Failure> {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        let now = self.world.now();
        let fail = |message: String| Failure { place: pending.line.to_string(), message };
        let outcome = self.process.attempt(&pending.call, &mut pending.progress, now);
        match outcome.map_err(fail)? {
            Poll::Pending => self.pending = Some(pending),
            Poll::Ready(outcome) => {
                let checked = self.check(&pending, &outcome);
                checked.map_err(|came| fail(format!("expected `{}`, but {came}", pending.text)))?;
            }
        }
        Ok(())
    }

    /// Lets time pass until the call that waits returns.
    fn await_pending(&mut self) -> Result<(), Failure> {
        let limit = self.world.now() + PATIENCE;
        while let Some(pending) = &self.pending {
            let timed = pending.progress.until.is_some() || self.world.deadline().is_some();
            if !timed || self.world.now() >= limit {
                let message = format!("expected `{}`, but the call does not return", pending.text);
                return Err(Failure { place: pending.line.to_string(), message });
            }
            self.world.step(self.world.now() + TICK);
            self.ask_pending()?;
        }
        Ok(())
    }

    /// Compares what a call came to with what the script says.
    fn check(&mut self, pending: &Pending, outcome: &Outcome) -> Step {
        let call = &pending.call;
        if let Some(end) = pending.end {
            let tolerance = compare::tolerance(&self.rules, end.saturating_sub(pending.last));
            if self.world.now().abs_diff(end) > tolerance {
                return Err(format!("it returned at {}", self.clock(self.world.now())));
            }
        }
        let came = match outcome.result {
            Ok(value) => format!("it returned {value}"),
            Err(errno) => format!("it returned -1 {errno:?}"),
        };
        let ignored = self.rules.neutral && is_fingerprint(call);
        match (&call.result, outcome.result) {
            (Value::Any, _) => {}
            (expected, Ok(fd)) if outcome.is_fd && eval(expected).is_ok_and(|e| e >= 0) => {
                let script = eval(expected)?;
                if self
                    .process
                    .fds
                    .insert(script, fd as i32)
                    .is_some_and(|old| self.process.posix.is_open(old))
                {
                    return Err(format!("the script still has a descriptor {script}"));
                }
                self.subject = Some(fd as i32);
            }
            (expected, Ok(value)) => {
                let expected = eval(expected)?;
                // Neutral: the flags of a descriptor are the system's own.
                if expected != value && !(ignored && expected >= 0) {
                    return Err(came);
                }
            }
            (expected, Err(errno)) => {
                let known =
                    |name: &str| names::errno(name).ok_or_else(|| format!("the error {name} is not known"));
                let named = call.errno.as_deref().map(known).transpose()?;
                if eval(expected) != Ok(-1) || named.is_some_and(|n| n != errno.0) {
                    return if ignored { Ok(()) } else { Err(came) };
                }
            }
        }
        match &outcome.differs {
            Some(_) if ignored => {
                self.ignored_values.push(format!("the value of `{}`", pending.text));
                Ok(())
            }
            Some(what) => Err(what.clone()),
            None => Ok(()),
        }
    }

    // ---- packets that the stack sends

    /// The next packet must be this one, at its time.
    fn expect(&mut self, event: &Event, expected: &Packet) -> Result<(), Failure> {
        let base = self.world.now();
        let (from, until) = match event.when {
            When::At(at) => (self.start + at, self.start + at),
            When::After(at) => (base + at, base + at),
            When::AtBetween(from, until) => (self.start + from, self.start + until),
            When::AfterBetween(from, until) => (base + from, base + until),
            When::Any => (0, base + PATIENCE),
        };
        let tolerance = compare::tolerance(&self.rules, from.saturating_sub(self.last));
        let fail = |message: String| Failure { place: event.line.to_string(), message };
        let (at, sent) = match self.next_sent(until + tolerance)? {
            Some(sent) => sent,
            None => {
                let message = format!(
                    "expected `{}`, but nothing was sent until {}",
                    event.text,
                    self.clock(until + tolerance)
                );
                return Err(fail(message));
            }
        };
        let sent = self.gather(expected, sent, until + tolerance)?;
        if !compare::agrees(expected, &sent, &self.rules, &mut self.ignored) {
            let wrong = format!("expected `{expected}`, but `{sent}` was sent at {}", self.clock(at));
            return Err(fail(wrong));
        }
        if at + tolerance < from || at > until + tolerance {
            let time = self.clock(at);
            return Err(fail(format!(
                "expected `{expected}` at {}, but it was sent at {time}",
                self.clock(from)
            )));
        }
        self.last = if event.when == When::Any { at } else { from.max(at.min(until)) };
        Ok(())
    }

    /// The next packet of the stack, if there is one until then.
    fn next_sent(&mut self, until: u64) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        loop {
            if let Some(sent) = self.world.sent() {
                return Ok(Some(sent));
            }
            let tick = if self.pending.is_some() { self.world.now() + TICK } else { u64::MAX };
            let more = self.world.step(until.min(tick));
            self.ask_pending()?;
            if !more && self.world.now() >= until && !self.world.has_sent() {
                return Ok(None);
            }
        }
    }

    /// The packet with the script's numbers. Where the script has one long segment, the stack may have
    /// sent several that carry on each other: segmentation is the device's business.
    fn gather(&mut self, expected: &Packet, sent: Vec<u8>, until: u64) -> Result<Packet, Failure> {
        let mut whole = self.in_script(&sent, expected);
        let Body::Tcp(wanted) = &expected.body else { return Ok(whole) };
        while let Body::Tcp(so_far) = &whole.body
            && 0 < so_far.len
            && so_far.len < wanted.len
            && so_far.seq == wanted.seq
        {
            let Some((_, more)) = self.next_sent(until)? else { break };
            let more = self.in_script(&more, expected);
            let Body::Tcp(last) = &more.body else { break };
            // CWR is the first's, PSH and FIN are the last's.
            let apart = (so_far.flags ^ last.flags) & !(flag::CWR | flag::PSH | flag::FIN);
            let follows = last.seq == so_far.seq.wrapping_add(so_far.len) && last.ack == so_far.ack;
            if !follows || apart != 0 || (more.ip, more.ports) != (whole.ip, whole.ports) {
                break;
            }
            let (flags, len) = (so_far.flags | last.flags, so_far.len + last.len);
            let joined = Segment { seq: so_far.seq, flags, len, ..last.clone() };
            let text = whole.text.or(more.text);
            whole = Packet { body: Body::Tcp(joined), text, ..whole };
        }
        Ok(whole)
    }

    /// A live packet in the words of the script.
    fn in_script(&mut self, bytes: &[u8], expected: &Packet) -> Packet {
        let unreadable = |what: String| Packet {
            inbound: false,
            ip: IpMarks::default(),
            ports: None,
            body: Body::Icmp(Icmp { kind: what, code: None, mtu: None, id: None, quote: Quote::Raw(0) }),
            text: None,
        };
        let packet = match IpPacket::parse(bytes) {
            Ok(packet) => packet,
            Err(what) => return unreadable(format!("(a bad packet: {what})")),
        };
        let ip = IpMarks {
            ecn: Some(Ecn::of(packet.tos)).filter(|_| expected.ip.ecn.is_some()),
            tos: Some(packet.tos).filter(|_| expected.ip.tos.is_some()),
            ttl: Some(packet.ttl).filter(|_| expected.ip.ttl.is_some()),
            flow_label: Some(packet.flow_label).filter(|_| expected.ip.flow_label.is_some()),
        };
        let elsewhere = packet.destination != self.addresses.remote || packet.source != self.addresses.local;
        let (ports, body, text) = match &packet.payload {
            _ if elsewhere => {
                return unreadable(format!("(a packet from {} to {})", packet.source, packet.destination));
            }
            Payload::Tcp(source, destination, segment, text) => {
                let ports = self.ports_in_script((*source, *destination), expected);
                let wanted = match &expected.body {
                    Body::Tcp(wanted) => wanted.clone(),
                    _ => Segment::default(),
                };
                (ports, Body::Tcp(self.flow.outbound(segment, &wanted)), text_beyond_zeros(text))
            }
            Payload::Udp(source, destination, data) => {
                let ports = self.ports_in_script((*source, *destination), expected);
                (ports, Body::Udp(data.len() as u16), text_beyond_zeros(data))
            }
            Payload::Icmp(kind, code, rest, body) => {
                let live = (*kind, *code, *rest, &body[..]);
                (
                    None,
                    Body::Icmp(icmp_names::in_script(live, expected, self.addresses.local.is_ipv6())),
                    None,
                )
            }
            Payload::Other(protocol) => return unreadable(format!("(protocol {protocol})")),
        };
        Packet { inbound: false, ip, ports, body, text }
    }

    /// The ports of a live packet, as far as they are not those that are expected anyway.
    fn ports_in_script(&mut self, live: (u16, u16), expected: &Packet) -> Option<(u16, u16)> {
        let ours = (*self.flow.local_port.get_or_insert(live.0), self.flow.remote_port);
        if live == expected.ports.unwrap_or(ours) { expected.ports } else { Some(live) }
    }

    // ---- packets to the stack

    fn inject(&mut self, packet: &Packet) -> Step {
        let (local, remote) = (self.addresses.local, self.addresses.remote);
        let local_port = self.flow.local_port.unwrap_or(PORT);
        let (source, destination) = packet.ports.unwrap_or((self.flow.remote_port, local_port));
        let payload = match &packet.body {
            Body::Tcp(segment) => {
                let mut live = self.flow.inbound(segment);
                live.window = Some(segment.window.unwrap_or(0));
                Payload::Tcp(source, destination, live, vec![0; segment.len as usize])
            }
            Body::Udp(len) => Payload::Udp(source, destination, vec![0; usize::from(*len)]),
            Body::Icmp(icmp) => self.icmp(icmp, local_port)?,
        };
        let mut ip = IpPacket::new(remote, local, payload);
        ip.ttl = packet.ip.ttl.unwrap_or(ip.ttl);
        ip.flow_label = packet.ip.flow_label.unwrap_or(0);
        ip.tos = packet.ip.tos.unwrap_or(0) | packet.ip.ecn.map_or(0, |ecn| ecn.bits());
        self.world.inject(&ip.emit());
        Ok(())
    }

    fn icmp(&self, icmp: &Icmp, local_port: u16) -> Step<Payload> {
        let v6 = self.addresses.local.is_ipv6();
        let (kind, code) = icmp_names::numbers(icmp, v6)?;
        let mut rest = [0; 4];
        match (v6, icmp.mtu) {
            (true, Some(mtu)) => rest = mtu.to_be_bytes(),
            (false, Some(mtu)) => rest[2..].copy_from_slice(&(mtu as u16).to_be_bytes()),
            (_, None) => {}
        }
        if let Some(id) = icmp.id {
            rest[..2].copy_from_slice(&id.to_be_bytes());
        }
        let is_echo = matches!((v6, kind), (false, 0 | 8) | (true, 128 | 129));
        if is_echo {
            return Ok(Payload::Icmp(kind, code, rest, Vec::new()));
        }
        // What we are said to have sent.
        let (quoted, len) = match icmp.quote {
            Quote::Tcp(seq, len) => {
                let segment = Segment { seq: self.flow.live_seq(seq), ..Segment::default() };
                (Payload::Tcp(local_port, self.flow.remote_port, segment, Vec::new()), len)
            }
            Quote::Udp(len) => (Payload::Udp(local_port, self.flow.remote_port, Vec::new()), len),
            Quote::Raw(len) => (Payload::Other(protocol::UDP), len),
        };
        let packet = IpPacket::new(self.addresses.local, self.addresses.remote, quoted);
        Ok(Payload::Icmp(kind, code, rest, packet.quoted(len)))
    }

    // ---- commands and code

    fn shell(&mut self, command: &str) {
        let net = self.world.net();
        let mut unknown = None;
        let result =
            net.with_stack(|stack| stack.configure_tcp(|config| unknown = apply_sysctl(command, config)));
        match result.map(|()| unknown).unwrap_or(Some(vec![command.into()])) {
            Some(unknown) if unknown.is_empty() => {}
            Some(_) => {
                self.ignored.insert("settings without a counterpart here");
            }
            None => {
                self.ignored.insert("shell commands");
            }
        }
    }

    fn code(&mut self, code: &str) -> Step {
        let info = self.subject.and_then(|fd| self.process.posix.info(fd));
        let over = info.is_some_and(|i| i.state == State::Closed && i.error.is_none());
        let waits = over && self.world.net().with_stack(|stack| stack.tcp_count().1 > 0);
        match code::run(code, &code::variables(info.as_ref(), waits)) {
            Verdict::Holds => Ok(()),
            Verdict::Fails(came) => Err(format!("expected `{}`, but {came}", code.trim())),
            Verdict::Unknown(what) if self.rules.neutral => {
                self.ignored_values.push(format!("code about {what}"));
                Ok(())
            }
            Verdict::Unknown(what) => Err(format!("`{}`: {what} is not known", code.trim())),
        }
    }
}

/// Is it a question after sizes that each system chooses for itself?
fn is_fingerprint(call: &Call) -> bool {
    let argument = |at: usize| match call.arguments.get(at) {
        Some(Value::Word(word)) => word.as_str(),
        _ => "",
    };
    match call.name.as_str() {
        "getsockopt" => matches!(argument(2), "SO_RCVBUF" | "SO_SNDBUF" | "TCP_MAXSEG"),
        "fcntl" => argument(1) == "F_GETFL",
        _ => false,
    }
}
