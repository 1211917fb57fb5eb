//! Plays a script.

mod packets;

use super::calls::{Outcome, Process, Progress, eval};
use super::code::{self, Verdict};
use super::compare::{self, Ignored, Rules};
use super::cookie;
use super::flows::Flow;
use super::link::{Addresses, World};
use super::names::{self, c};
use super::parse::parse;
use super::posix::{Errno, Posix};
use super::profile::{Profile, apply_command};
use super::report::{Failure, Report, Trouble};
use super::script::{Call, Event, Script, Value, What, When};
use super::text::ParseError;
use barenet::State;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// Names that are defined, and what stands for them, if it is not empty.
    pub defines: Vec<(String, String)>,
    /// What happens is told.
    pub trace: bool,
    /// A file in pcapng's format for what crosses the link.
    pub capture: Option<PathBuf>,
}

/// What decides all that is random in the stack.
const SEED: u8 = 1;
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
    let script = match parse(text, &options.defines).and_then(|script| with_cookie(script, text, options)) {
        Ok(script) => script,
        Err(error) => {
            let place = format!("{}:{}", error.line, error.column);
            let failure = Some(Trouble::from(error.message).at(place));
            return Report { failure, ..Report::default() };
        }
    };
    let mut run = match Run::new(&script, options) {
        Ok(run) => run,
        Err(message) => return Report { failure: Some(Trouble::from(message).at(1)), ..Report::default() },
    };
    let failure =
        script.events.iter().try_for_each(|event| run.event(event)).and_then(|()| run.finish()).err();
    let ignored = run.ignored.iter().map(|s| (*s).to_string()).chain(run.ignored_values).collect();
    Report { failure, ignored, trace: run.trace }
}

/// A script that names the cookie, which nobody has defined, read again with ours.
fn with_cookie(script: Script, text: &str, options: &Options) -> Result<Script, ParseError> {
    let is_defined = options.defines.iter().any(|(name, _)| name == cookie::NAME);
    if is_defined || !text.contains(cookie::NAME) {
        return Ok(script);
    }
    let config = options.profile.unwrap_or_else(|| Profile::of(&script)).config();
    let addresses = Addresses::of(&script).ok();
    let Some(cookie) = addresses.and_then(|all| cookie::given(&all, config, SEED)) else { return Ok(script) };
    let own = (cookie::NAME.to_string(), cookie);
    parse(text, &options.defines.iter().cloned().chain([own]).collect::<Vec<_>>())
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
    /// What happens is told, in these lines.
    traces: bool,
    trace: Vec<String>,
}

/// What an event comes to, without its place.
type Step<T = ()> = Result<T, Trouble>;

impl Run {
    fn new(script: &Script, options: &Options) -> Result<Run, String> {
        let number = |name: &str| script.option(name).and_then(|v| v.parse::<u64>().ok());
        let addresses = Addresses::of(script)?;
        let config = options.profile.unwrap_or_else(|| Profile::of(script)).config();
        let world = World::captured(&addresses, config, SEED, options.capture.as_deref())?;
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
        let tick_usecs = number("tcp_ts_tick_usecs").filter(|tick| *tick > 0);
        let usual = if options.neutral { TOLERANCE_NEUTRAL } else { TOLERANCE };
        Ok(Run {
            rules: Rules {
                neutral: options.neutral,
                tolerance_usecs: number("tolerance_usecs").or(options.tolerance_usecs).unwrap_or(usual),
                tolerance_permille: script
                    .option("tolerance_percent")
                    .and_then(|p| p.parse::<f64>().ok())
                    .map_or(125, |percent| (percent * 10.0) as u64),
                tick_usecs,
            },
            addresses,
            flow: Flow::passive(process.bind_to.port(), PEER_PORT, tick_usecs.unwrap_or(1000)),
            world,
            process,
            start,
            last: start,
            pending: None,
            subject: None,
            ignored: Ignored::new(),
            ignored_values: Vec::new(),
            traces: options.trace,
            trace: Vec::new(),
        })
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let fail = |trouble: Trouble| trouble.at(event.line);
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
        self.is_in_time(at, event).map_err(fail)?;
        match &event.what {
            What::Packet(packet) => {
                self.note(|| packet.to_string());
                self.inject(packet).map_err(fail)?;
            }
            What::Call(call) => self.call(event, call, base)?,
            What::Shell(command) => {
                self.note(|| format!("`{command}`"));
                self.shell(command);
            }
            What::Code(code) => self.code(code).map_err(fail)?,
        }
        self.last = at;
        Ok(())
    }

    /// A line for who wants to see what happens.
    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.traces {
            let line = format!("{} {}", self.clock(self.world.now()), what());
            self.trace.push(line);
        }
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

    fn is_in_time(&self, expected: u64, event: &Event) -> Step {
        let now = self.world.now();
        let since = expected.saturating_sub(self.last);
        if now.abs_diff(expected) <= compare::tolerance(&self.rules, since) {
            return Ok(());
        }
        let (expected, now) = (self.clock(expected), self.clock(now));
        let message = format!("`{}` was to be at {expected}, but it is {now}", event.text);
        Err(Trouble::fails("the script is late", message))
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
        self.note_connection(call).map_err(|trouble| trouble.at(event.line))?;
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
            self.flow = Flow::active(bound, to.port(), self.flow.tick_usecs);
        }
        if self.subject.is_some() && self.process.closes(call) == self.subject {
            self.flow.end();
        }
        Ok(())
    }

    fn ask_pending(&mut self) -> Result<(), Failure> {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        let now = self.world.now();
        let outcome = self.process.attempt(&pending.call, &mut pending.progress, now);
        match outcome.map_err(|message| Trouble::from(message).at(pending.line))? {
            Poll::Pending => self.pending = Some(pending),
            Poll::Ready(outcome) => {
                self.note(|| format!("{}: {outcome}", pending.text));
                self.check(&pending, &outcome).map_err(|trouble| trouble.at(pending.line))?;
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
                let cause = format!("{} does not return", pending.call.name);
                return Err(Trouble::fails(cause, message).at(pending.line));
            }
            self.world.step(self.world.now() + TICK);
            self.ask_pending()?;
        }
        Ok(())
    }

    /// Compares what a call came to with what the script says.
    fn check(&mut self, pending: &Pending, outcome: &Outcome) -> Step {
        let call = &pending.call;
        let but = |cause: &str, came: &str| {
            let message = format!("expected `{}`, but {came}", pending.text);
            Trouble::fails(format!("{} {cause}", call.name), message)
        };
        if let Some(end) = pending.end {
            let tolerance = compare::tolerance(&self.rules, end.saturating_sub(pending.last));
            if self.world.now().abs_diff(end) > tolerance {
                let came = format!("it returned at {}", self.clock(self.world.now()));
                return Err(but("returns at another time", &came));
            }
        }
        let came = || but("returns something else", &outcome.to_string());
        let ignored = self.rules.neutral && is_fingerprint(call);
        match (&call.result, outcome.result) {
            (Value::Any, _) => {}
            (expected, Ok(fd)) if outcome.is_fd && eval(expected).is_ok_and(|e| e >= 0) => {
                let script = eval(expected)?;
                let old = self.process.fds.insert(script, fd as i32);
                if old.is_some_and(|old| self.process.posix.is_open(old)) {
                    return Err(but("opens twice", &format!("the script still has a descriptor {script}")));
                }
                self.subject = Some(fd as i32);
            }
            (expected, Ok(value)) => {
                let expected = eval(expected)?;
                // Neutral: the flags of a descriptor are the system's own.
                if expected != value && !(ignored && expected >= 0) {
                    return Err(came());
                }
            }
            (expected, Err(errno)) => {
                let known =
                    |name: &str| names::errno(name).ok_or_else(|| format!("the error {name} is not known"));
                let named = call.errno.as_deref().map(known).transpose()?;
                if eval(expected) != Ok(-1) || named.is_some_and(|n| n != errno.0) {
                    if !ignored {
                        return Err(match call.arguments.get(2) {
                            Some(Value::Word(option)) if errno == Errno::ENOPROTOOPT => {
                                format!("{} has no option {option}", call.name).into()
                            }
                            _ => came(),
                        });
                    }
                    self.ignored_values.push(format!("`{}`", pending.text));
                    return Ok(());
                }
            }
        }
        match &outcome.differs {
            Some(_) if ignored => {
                self.ignored_values.push(format!("the value of `{}`", pending.text));
                Ok(())
            }
            Some(what) => Err(but("gives something else", what)),
            None => Ok(()),
        }
    }

    // ---- commands and code

    fn shell(&mut self, command: &str) {
        let net = self.world.net();
        let mut left = Vec::new();
        let result =
            net.with_stack(|stack| stack.configure_tcp(|config| left = apply_command(command, config)));
        if result.is_err() {
            left.push("settings without a counterpart here");
        }
        self.ignored.extend(left);
    }

    fn code(&mut self, code: &str) -> Step {
        let info = self.subject.and_then(|fd| self.process.posix.info(fd));
        let over = info.is_some_and(|i| i.state == State::Closed && i.error.is_none());
        let waits = over && self.world.net().with_stack(|stack| stack.tcp_count().1 > 0);
        match code::run(code, &code::variables(info.as_ref(), waits)) {
            Verdict::Holds => Ok(()),
            Verdict::Fails(came) => {
                let names: Vec<&str> = came.split(", ").filter_map(|v| v.split(" is ").next()).collect();
                let cause = format!("code about {}", names.join(", "));
                Err(Trouble::fails(cause, format!("expected `{}`, but {came}", code.trim())))
            }
            Verdict::Unknown(what) if self.rules.neutral => {
                self.ignored_values.push(format!("code about {what}"));
                Ok(())
            }
            Verdict::Unknown(what) => Err(format!("code about {what}").into()),
        }
    }
}

/// Is it about what each system chooses for itself: sizes, or which options go with a SYN?
fn is_fingerprint(call: &Call) -> bool {
    let argument = |at: usize| match call.arguments.get(at) {
        Some(Value::Word(word)) => word.as_str(),
        _ => "",
    };
    match call.name.as_str() {
        "getsockopt" => matches!(argument(2), "SO_RCVBUF" | "SO_SNDBUF" | "TCP_MAXSEG"),
        "setsockopt" => argument(2) == "TCP_NOOPT",
        "fcntl" => argument(1) == "F_GETFL",
        _ => false,
    }
}
