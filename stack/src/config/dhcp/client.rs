//! The states of the client (RFC 2131 §4.4).

use core::net::Ipv4Addr;

use super::lease::Lease;
use super::request::Outgoing;
use super::{DhcpConfig, Verdict};
use crate::base::random::Random;
use crate::config::link_local::LinkLocal;
use crate::counters::Drop;
use crate::device::Mac;
use crate::link::probe::{ProbeStep, Probing};
use crate::time::{Duration, Instant, earlier};
use crate::wire::{DhcpKind, DhcpMessage, option};

/// How long the first DISCOVER waits at most, so that hosts that start together don't ask together. RFC 2131 §4.4.1
/// says one to ten seconds, from when starting took minutes.
const START_DELAY_MS: u32 = 500;
/// The first wait for an answer, and how often it doubles (RFC 2131 §4.1): 4, 8, 16, 32, 64 s, each a second more or less.
const WAIT_MS: u32 = 4000;
const DOUBLINGS: u8 = 4;
const JITTER_MS: u32 = 1000;
/// REQUESTs before we start again (RFC 2131 §3.1(5)): a minute in all.
const REQUESTS_MAX: u8 = 4;
/// Shortest time between two attempts to renew (RFC 2131 §4.4.5).
const RENEW_WAIT_MIN: Duration = Duration::from_secs(60);
/// The pause after an address turned out to be taken (RFC 2131 §3.1(5)).
const DECLINE_PAUSE: Duration = Duration::from_secs(10);
/// How long an address is kept after its RELEASE, which may have to wait for the server's hardware address.
const RELEASE_TIME: Duration = Duration::from_secs(1);

/// What a client is doing, in the words of RFC 2131 §4.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DhcpState {
    /// It was not started, or the link is down.
    Off,
    /// It waits a moment before it asks.
    Init,
    /// It asks for offers.
    Selecting,
    /// It has chosen an offer.
    Requesting,
    /// It asks whether its lease still holds on a link that has come back.
    Rebooting,
    /// It has a lease, and looks whether somebody uses the address.
    Probing,
    /// It has a lease.
    Bound,
    /// It asks the server of its lease for more time.
    Renewing,
    /// It asks every server for more time.
    Rebinding,
    /// It asks for options, for an address that was given by hand.
    Informing,
    /// It has these options.
    Informed,
    /// It has given its lease back.
    Releasing,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// With a lease, that runs on.
    Off,
    Init {
        at: Instant,
    },
    Selecting(Tries),
    Requesting {
        tries: Tries,
        address: Ipv4Addr,
        server: Ipv4Addr,
    },
    Rebooting(Tries),
    Probing(Probing),
    Bound,
    Renewing {
        again: Instant,
    },
    Rebinding {
        again: Instant,
    },
    Informing(Tries),
    Informed,
    Releasing {
        until: Instant,
    },
}

/// How often something was asked, and when it is asked again.
#[derive(Clone, Copy, Debug)]
struct Tries {
    done: u8,
    again: Instant,
}

impl Tries {
    fn at(now: Instant) -> Self {
        Tries { done: 0, again: now }
    }

    /// It is asked now.
    //= rfc2131#4.1
    fn took(self, now: Instant, random: &mut Random) -> Self {
        let wait = (WAIT_MS << self.done.min(DOUBLINGS)) - JITTER_MS + random.below(2 * JITTER_MS);
        let again = now + Duration::from_millis(wait.into());
        Tries { done: self.done.saturating_add(1), again }
    }
}

/// What the stack has to do, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Plan {
    /// This address is no longer ours.
    pub unbind: Option<Ipv4Addr>,
    /// The [lease](DhcpClient::lease) holds: its address, routes and options are to be set, or set anew.
    pub bind: bool,
    /// Somebody may have this address: an ARP probe for it.
    pub probe: Option<Ipv4Addr>,
    pub send: Option<Outgoing>,
    /// The message was cut off in an option.
    pub cut_off: bool,
}

impl Plan {
    const NOTHING: Plan = Plan { unbind: None, bind: false, probe: None, send: None, cut_off: false };

    fn send(message: Outgoing) -> Self {
        Plan { send: Some(message), ..Plan::NOTHING }
    }
}

/// A client of DHCP for one interface, in memory that the caller hands in: some two kilobytes.
pub struct DhcpClient {
    pub(super) config: DhcpConfig,
    pub(super) mac: Mac,
    pub(super) iaid: u32,
    pub(super) mtu: u16,
    state: State,
    xid: u32,
    /// When this exchange began, and when the message went out that an answer is for.
    began: Instant,
    sent: Instant,
    /// Attempts in a row that ended badly.
    failures: u8,
    /// The lease in use, and the one that is being read.
    leases: [Lease; 2],
    current: usize,
    /// Is the address of the first of them the interface's?
    is_bound: bool,
    /// The address that was given by hand, for INFORM.
    own: Ipv4Addr,
    /// The address that the interface gives itself while there is no lease, and when it begins to.
    pub(crate) link_local: LinkLocal,
    pub(crate) fallback_at: Option<Instant>,
}

impl Default for DhcpClient {
    fn default() -> Self {
        DhcpClient::new()
    }
}

impl DhcpClient {
    /// A client that is not started yet.
    pub const fn new() -> Self {
        DhcpClient {
            config: DhcpConfig::DEFAULT,
            mac: Mac([0; 6]),
            iaid: 0,
            mtu: 0,
            state: State::Off,
            xid: 0,
            began: Instant::ZERO,
            sent: Instant::ZERO,
            failures: 0,
            leases: [Lease::empty(), Lease::empty()],
            current: 0,
            is_bound: false,
            own: Ipv4Addr::UNSPECIFIED,
            link_local: LinkLocal::new(),
            fallback_at: None,
        }
    }

    /// Is used for an interface from now on. `own` is the address that was given by hand, for INFORM.
    pub(crate) fn set_up(&mut self, config: DhcpConfig, (mac, iaid, mtu): (Mac, u32, u16), own: Ipv4Addr) {
        self.state = State::Off;
        (self.config, self.mac, self.iaid, self.mtu, self.own) = (config, mac, iaid, mtu, own);
        (self.failures, self.is_bound) = (0, false);
        (self.link_local, self.fallback_at) = (LinkLocal::new(), None);
    }

    /// What it is doing.
    pub fn state(&self) -> DhcpState {
        match self.state {
            State::Off => DhcpState::Off,
            State::Init { .. } => DhcpState::Init,
            State::Selecting(_) => DhcpState::Selecting,
            State::Requesting { .. } => DhcpState::Requesting,
            State::Rebooting(_) => DhcpState::Rebooting,
            State::Probing(_) => DhcpState::Probing,
            State::Bound => DhcpState::Bound,
            State::Renewing { .. } => DhcpState::Renewing,
            State::Rebinding { .. } => DhcpState::Rebinding,
            State::Informing(_) => DhcpState::Informing,
            State::Informed => DhcpState::Informed,
            State::Releasing { .. } => DhcpState::Releasing,
        }
    }

    /// The lease whose address is the interface's; with INFORM, the options that came.
    pub fn lease(&self) -> Option<&Lease> {
        (self.is_bound || matches!(self.state, State::Informed)).then_some(&self.leases[self.current])
    }

    pub(crate) fn mac(&self) -> Mac {
        self.mac
    }

    /// How it was told to behave.
    pub fn config(&self) -> &DhcpConfig {
        &self.config
    }

    fn held(&self) -> &Lease {
        &self.leases[self.current]
    }

    fn expires(&self) -> Option<Instant> {
        self.held().expires().filter(|_| self.is_bound)
    }

    /// When [`on_timer`](Self::on_timer) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let lease = self.held();
        let after = |span| lease.duration.map(|_| lease.from + span);
        let own = match self.state {
            State::Off | State::Informed => None,
            State::Init { at } => Some(at),
            State::Selecting(tries) | State::Rebooting(tries) | State::Informing(tries) => Some(tries.again),
            State::Requesting { tries, .. } => Some(tries.again),
            State::Probing(probing) => Some(probing.deadline()),
            State::Bound => after(lease.t1),
            State::Renewing { again } => earlier(Some(again), after(lease.t2)),
            State::Rebinding { again } => Some(again),
            State::Releasing { until } => Some(until),
        };
        earlier(own, self.expires())
    }

    /// The link came up or went down.
    //= rfc2131#4.4.2
    pub(crate) fn on_link(&mut self, is_up: bool, now: Instant, random: &mut Random) {
        self.failures = 0;
        let at = now + start_delay(random);
        (self.xid, self.began) = (random.next_u32(), now);
        self.state = match self.state {
            releasing @ State::Releasing { .. } => releasing,
            _ if !is_up => State::Off,
            _ if self.config.inform => State::Informing(Tries::at(at)),
            _ if self.is_bound => State::Rebooting(Tries::at(at)),
            _ => State::Init { at },
        };
    }

    /// The lease is given back, and the client has done its work.
    //= rfc2131#4.4.6
    pub(crate) fn release(&mut self, now: Instant, random: &mut Random) -> Plan {
        if !self.is_bound {
            self.state = State::Off;
            return Plan::NOTHING;
        }
        (self.xid, self.began) = (random.next_u32(), now);
        self.state = State::Releasing { until: now + RELEASE_TIME };
        let (own, server) = (self.held().address, self.held().server);
        let message = self.outgoing(DhcpKind::Release, now);
        Plan::send(Outgoing { own, to: Some(server), server: Some(server), ..message })
    }

    /// What is due now: to be asked until [`deadline`](Self::deadline) lies ahead.
    pub(crate) fn on_timer(&mut self, now: Instant, random: &mut Random) -> Plan {
        if self.deadline().is_none_or(|at| at > now) {
            return Plan::NOTHING;
        }
        if self.expires().is_some_and(|at| at <= now) {
            return self.restart(Duration::ZERO, now, random);
        }
        match self.state {
            State::Off | State::Informed => Plan::NOTHING,
            State::Init { .. } => {
                (self.xid, self.began) = (random.next_u32(), now);
                self.select(Tries::at(now), now, random)
            }
            State::Selecting(tries) => self.select(tries, now, random),
            State::Requesting { tries, .. } if tries.done >= REQUESTS_MAX => {
                self.fail(Duration::ZERO, now, random)
            }
            State::Requesting { tries, address, server } => {
                self.request(tries.took(now, random), (address, server), now)
            }
            // Nobody answers: the lease is good until it ends (RFC 2131 §3.2(5)).
            State::Rebooting(tries) if tries.done >= REQUESTS_MAX => {
                self.state = State::Bound;
                Plan::NOTHING
            }
            State::Rebooting(tries) => self.reboot(tries.took(now, random), now),
            State::Probing(probing) => self.probe(probing, now, random),
            State::Bound => {
                self.failures = 0;
                self.began = now;
                self.renew(now, random)
            }
            State::Renewing { .. } => {
                let is_t2 = now >= self.held().from + self.held().t2;
                if is_t2 { self.rebind(now, random) } else { self.renew(now, random) }
            }
            State::Rebinding { .. } => self.rebind(now, random),
            State::Informing(tries) => {
                if tries.done == 0 {
                    self.began = now;
                }
                self.state = State::Informing(tries.took(now, random));
                let message = self.outgoing(DhcpKind::Inform, now);
                Plan::send(Outgoing { own: self.own, ..message })
            }
            State::Releasing { .. } => {
                self.state = State::Off;
                self.unbind()
            }
        }
    }

    /// A message of this exchange with everything that is in all of them.
    fn outgoing(&self, kind: DhcpKind, now: Instant) -> Outgoing {
        let secs = now.since(self.began).millis() / 1000;
        Outgoing {
            kind,
            xid: self.xid,
            secs: u16::try_from(secs).unwrap_or(u16::MAX),
            own: Ipv4Addr::UNSPECIFIED,
            to: None,
            requested: None,
            server: None,
        }
    }

    //= rfc2131#4.4.1
    fn select(&mut self, tries: Tries, now: Instant, random: &mut Random) -> Plan {
        self.state = State::Selecting(tries.took(now, random));
        Plan::send(self.outgoing(DhcpKind::Discover, now))
    }

    /// Table 4 of RFC 2131 §4.3.6: what a REQUEST says in which state.
    fn request(&mut self, tries: Tries, (address, server): (Ipv4Addr, Ipv4Addr), now: Instant) -> Plan {
        self.state = State::Requesting { tries, address, server };
        let message = self.outgoing(DhcpKind::Request, now);
        Plan::send(Outgoing { requested: Some(address), server: Some(server), ..message })
    }

    fn reboot(&mut self, tries: Tries, now: Instant) -> Plan {
        if tries.done == 1 {
            (self.began, self.sent) = (now, now);
        }
        self.state = State::Rebooting(tries);
        let requested = Some(self.held().address);
        Plan::send(Outgoing { requested, ..self.outgoing(DhcpKind::Request, now) })
    }

    //= rfc2131#4.4.5
    fn renew(&mut self, now: Instant, random: &mut Random) -> Plan {
        let (own, server) = (self.held().address, self.held().server);
        self.state = State::Renewing { again: now + half_until(self.held().from + self.held().t2, now) };
        self.extend(own, Some(server), now, random)
    }

    fn rebind(&mut self, now: Instant, random: &mut Random) -> Plan {
        let end = self.held().expires().unwrap_or(Instant::FAR_FUTURE);
        self.state = State::Rebinding { again: now + half_until(end, now) };
        self.extend(self.held().address, None, now, random)
    }

    /// A number of its own for each, so that the answer tells when it was asked.
    fn extend(&mut self, own: Ipv4Addr, to: Option<Ipv4Addr>, now: Instant, random: &mut Random) -> Plan {
        (self.xid, self.sent) = (random.next_u32(), now);
        Plan::send(Outgoing { own, to, ..self.outgoing(DhcpKind::Request, now) })
    }

    fn probe(&mut self, mut probing: Probing, now: Instant, random: &mut Random) -> Plan {
        let step = probing.step(now, random);
        self.state = State::Probing(probing);
        match step {
            None => Plan::NOTHING,
            Some(ProbeStep::Probe) => Plan { probe: Some(self.held().address), ..Plan::NOTHING },
            Some(ProbeStep::Done) => self.bind(),
        }
    }

    fn bind(&mut self) -> Plan {
        self.state = State::Bound;
        self.is_bound = true;
        Plan { bind: true, ..Plan::NOTHING }
    }

    /// The address that is being probed, if this is it, belongs to somebody else.
    //= rfc2131#3.1
    pub(crate) fn on_conflict(&mut self, address: Ipv4Addr, now: Instant, random: &mut Random) -> Plan {
        if !self.probes(address) {
            return Plan::NOTHING;
        }
        let server = Some(self.held().server);
        let plan = self.fail(DECLINE_PAUSE, now, random);
        let message = Outgoing { xid: random.next_u32(), ..self.outgoing(DhcpKind::Decline, now) };
        Plan { send: Some(Outgoing { requested: Some(address), server, ..message }), ..plan }
    }

    /// Is this the address that is being probed?
    pub(crate) fn probes(&self, address: Ipv4Addr) -> bool {
        matches!(self.state, State::Probing(_)) && self.held().address == address
    }

    /// This attempt came to nothing: the next waits the longer the more of them did (H159), and so long at least.
    fn fail(&mut self, least: Duration, now: Instant, random: &mut Random) -> Plan {
        self.failures = self.failures.saturating_add(1);
        let longer = Duration::from_secs(1 << self.failures.min(6));
        self.restart(least.max(longer), now, random)
    }

    fn restart(&mut self, pause: Duration, now: Instant, random: &mut Random) -> Plan {
        let at = now + pause + start_delay(random);
        self.state = match self.state {
            State::Off => State::Off,
            _ => State::Init { at },
        };
        self.unbind()
    }

    fn unbind(&mut self) -> Plan {
        let bound = core::mem::take(&mut self.is_bound);
        Plan { unbind: bound.then_some(self.held().address), ..Plan::NOTHING }
    }

    /// A message has come. [`Drop::DhcpForeign`]: it is not for this client.
    pub(crate) fn on_packet(
        &mut self,
        message: &DhcpMessage<'_>,
        now: Instant,
        random: &mut Random,
    ) -> Result<Plan, Drop> {
        if message.xid != self.xid || message.mac != self.mac {
            return Err(Drop::DhcpForeign);
        }
        if matches!(self.state, State::Off | State::Init { .. } | State::Releasing { .. }) {
            return Err(Drop::DhcpUnexpected);
        }
        let next = 1 - self.current;
        let cut_off = self.leases[next].options.read(message)?;
        let options = &self.leases[next].options;
        // RFC 6842 §3: a server that sends it back names the client that it means.
        if options.get(option::CLIENT_ID).is_some_and(|id| id != self.client_id()) {
            return Err(Drop::DhcpForeign);
        }
        let kind = options.array(option::MESSAGE_TYPE).ok_or(Drop::DhcpMalformed)?;
        let plan = match kind {
            [k] if k == DhcpKind::Offer as u8 => self.on_offer(message, now, random),
            [k] if k == DhcpKind::Ack as u8 => self.on_ack(message, now, random),
            [k] if k == DhcpKind::Nak as u8 => self.on_nak(now, random),
            _ => Err(Drop::DhcpUnexpected),
        };
        plan.map(|plan| Plan { cut_off, ..plan })
    }

    fn on_offer(
        &mut self,
        message: &DhcpMessage<'_>,
        now: Instant,
        random: &mut Random,
    ) -> Result<Plan, Drop> {
        let State::Selecting(_) = self.state else { return Err(Drop::DhcpUnexpected) };
        let offer = self.judge(message, now)?;
        self.sent = now;
        Ok(self.request(Tries::at(now).took(now, random), offer, now))
    }

    /// Reads the lease of a message and asks the program about it. Gives its address and server.
    fn judge(&mut self, message: &DhcpMessage<'_>, from: Instant) -> Result<(Ipv4Addr, Ipv4Addr), Drop> {
        let lease = &mut self.leases[1 - self.current];
        lease.fill(message, from)?;
        match self.config.on_lease.map_or(Verdict::Accept, |ask| ask(lease)) {
            Verdict::Accept => Ok((lease.address, lease.server)),
            Verdict::Reject => Err(Drop::DhcpRejected),
        }
    }

    fn on_ack(&mut self, message: &DhcpMessage<'_>, now: Instant, random: &mut Random) -> Result<Plan, Drop> {
        let (expected, server) = match self.state {
            State::Requesting { address, server, .. } => (address, Some(server)),
            State::Renewing { .. } => (self.held().address, Some(self.held().server)),
            // Whoever answers is the lease's server from now on (H162).
            State::Rebooting(_) | State::Rebinding { .. } => (self.held().address, None),
            State::Informing(_) => return self.on_informed(),
            _ => return Err(Drop::DhcpUnexpected),
        };
        let named: Option<Ipv4Addr> =
            self.leases[1 - self.current].options.array(option::SERVER).map(Into::into);
        if named.is_some() && server.is_some() && named != server {
            return Err(Drop::DhcpForeign);
        }
        if message.yours != expected {
            return Err(Drop::DhcpAddress);
        }
        match self.judge(message, self.sent) {
            Ok(_) => {}
            Err(Drop::DhcpRejected) if !self.is_bound => return Ok(self.reject(now, random)),
            // The lease before goes on as it was.
            Err(why) => return Err(why),
        }
        self.current = 1 - self.current;
        if self.is_bound {
            return Ok(self.bind());
        }
        let probing = Probing::new(self.config.conflict_detection, now, random);
        Ok(self.probe(probing, now, random))
    }

    /// The program does not want what it accepted as an offer: declined, as an address in use is.
    fn reject(&mut self, now: Instant, random: &mut Random) -> Plan {
        let lease = &self.leases[1 - self.current];
        let (requested, server) = (Some(lease.address), Some(lease.server));
        let plan = self.fail(DECLINE_PAUSE, now, random);
        let message = Outgoing { xid: random.next_u32(), ..self.outgoing(DhcpKind::Decline, now) };
        Plan { send: Some(Outgoing { requested, server, ..message }), ..plan }
    }

    //= rfc2131#4.4.3
    fn on_informed(&mut self) -> Result<Plan, Drop> {
        let own = self.own;
        let lease = &mut self.leases[1 - self.current];
        lease.server = lease.options.array(option::SERVER).ok_or(Drop::DhcpNoServer)?.into();
        (lease.address, lease.duration) = (own, None);
        self.current = 1 - self.current;
        self.state = State::Informed;
        Ok(Plan { bind: true, ..Plan::NOTHING })
    }

    //= rfc2131#3.1
    fn on_nak(&mut self, now: Instant, random: &mut Random) -> Result<Plan, Drop> {
        let expected = match self.state {
            State::Requesting { server, .. } => Some(server),
            State::Renewing { .. } => Some(self.held().server),
            State::Rebooting(_) | State::Rebinding { .. } => None,
            _ => return Err(Drop::DhcpUnexpected),
        };
        let server: Option<Ipv4Addr> =
            self.leases[1 - self.current].options.array(option::SERVER).map(Into::into);
        let server = server.ok_or(Drop::DhcpNoServer)?;
        if expected.is_some_and(|expected| expected != server) {
            return Err(Drop::DhcpForeign);
        }
        Ok(self.fail(Duration::ZERO, now, random))
    }
}

fn start_delay(random: &mut Random) -> Duration {
    Duration::from_millis(random.below(START_DELAY_MS).into())
}

/// Half of what is left, a minute at least (RFC 2131 §4.4.5).
fn half_until(end: Instant, now: Instant) -> Duration {
    Duration::from_micros(end.since(now).micros() / 2).max(RENEW_WAIT_MIN)
}
