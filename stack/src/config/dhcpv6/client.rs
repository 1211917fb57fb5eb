//! The states of the client (RFC 8415 §18.2).

use core::net::Ipv6Addr;

use heapless::Vec;

use super::message::DUID_LEN;
use super::options::Kept;
use super::reply::{ADDRESSES6_MAX, Association, Offered, association};
use super::retry::{self, Retry};
use super::{Dhcpv6Config, Dhcpv6Mode};
use crate::base::random::Random;
use crate::counters::Drop;
use crate::device::Mac;
use crate::ip::addresses::Lifetimes;
use crate::time::{Duration, Instant, earlier};
use crate::wire::{Dhcpv6Kind, Dhcpv6Message, Options6, option6, status6};

/// How long Confirm may go unanswered (RFC 8415 §7.6, CNF_MAX_RD).
const CONFIRM_TIME: Duration = Duration::from_secs(10);
/// How long options are good that come without a time, and at least (RFC 8415 §7.6, IRT_DEFAULT and IRT_MINIMUM).
const REFRESH_SECS: u32 = 86_400;
const REFRESH_SECS_MIN: u32 = 600;
/// What a server may set the longest waits to, in seconds (RFC 8415 §21.24, §21.25).
const LONGEST_SECS: core::ops::RangeInclusive<u32> = 60..=86_400;
/// The preference that makes further offers needless (RFC 8415 §18.2.1).
const PREFERENCE_MAX: u8 = 255;
/// The shortest time before a lease is renewed, whatever its server says.
const RENEW_SECS_MIN: u32 = 1;
/// Doublings of the pause after servers that have no address, which begins with a second.
const PAUSES: u8 = 6;

/// What a client is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Dhcpv6State {
    /// It was not started, or the link is down.
    Off,
    /// No router has told it to do anything.
    Idle,
    /// It asks for offers of addresses.
    Soliciting,
    /// It has chosen an offer.
    Requesting,
    /// It asks whether its addresses fit a link that has come back.
    Confirming,
    /// It has addresses.
    Bound,
    /// It asks the server of its lease for more time.
    Renewing,
    /// It asks every server for more time.
    Rebinding,
    /// It has told the server that an address is somebody else's.
    Declining,
    /// It asks for options alone.
    Informing,
    /// It has these.
    Informed,
    /// It gives its addresses back.
    Releasing,
}

/// An address of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeasedAddress {
    /// It.
    pub address: Ipv6Addr,
    /// How long it is good.
    pub lifetimes: Lifetimes,
}

/// What the stack has to do, in this order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Plan6 {
    /// These addresses are no longer ours.
    pub(crate) removed: Vec<Ipv6Addr, ADDRESSES6_MAX>,
    /// The client's addresses are to be set, or set anew.
    pub(crate) bind: bool,
    /// There are other options than before.
    pub(crate) told: bool,
    pub(crate) send: Option<Dhcpv6Kind>,
    /// Part of a message made no sense; the rest counts.
    pub(crate) drop: Option<Drop>,
}

/// A client of DHCP for IPv6 for one interface, in memory that the caller hands in: about a kilobyte.
pub struct Dhcpv6Client {
    pub(super) config: Dhcpv6Config,
    pub(super) mac: Mac,
    pub(super) iaid: u32,
    state: Dhcpv6State,
    pub(super) xid: u32,
    /// When this exchange began.
    pub(super) began: Instant,
    pub(super) retry: Retry,
    /// What routers, or the program, ask for.
    wants_addresses: bool,
    wants_options: bool,
    /// The DUID of the lease's server, or of the best offer's.
    pub(super) server: Vec<u8, DUID_LEN>,
    /// The preference of the best offer so far.
    pub(super) offered: Option<u8>,
    /// Of the lease, or of the best offer.
    pub(super) addresses: Vec<LeasedAddress, ADDRESSES6_MAX>,
    /// Are they the interface's?
    pub(super) is_bound: bool,
    pub(super) declined: Option<LeasedAddress>,
    t1: Instant,
    t2: Instant,
    /// Exchanges in a row that brought no address.
    failures: u8,
    pub(super) options: Kept,
    /// When options that came without addresses are asked for again.
    refresh_at: Instant,
    /// The longest waits, as servers say.
    pub(super) solicit_longest: Duration,
    inform_longest: Duration,
}

impl Default for Dhcpv6Client {
    fn default() -> Self {
        Dhcpv6Client::new()
    }
}

impl Dhcpv6Client {
    /// A client that is not started yet.
    pub const fn new() -> Self {
        Dhcpv6Client {
            config: Dhcpv6Config::DEFAULT,
            mac: Mac([0; 6]),
            iaid: 0,
            state: Dhcpv6State::Off,
            xid: 0,
            began: Instant::ZERO,
            retry: Retry::NONE,
            wants_addresses: false,
            wants_options: false,
            server: Vec::new(),
            offered: None,
            addresses: Vec::new(),
            is_bound: false,
            declined: None,
            t1: Instant::FAR_FUTURE,
            t2: Instant::FAR_FUTURE,
            failures: 0,
            options: Kept::new(),
            refresh_at: Instant::FAR_FUTURE,
            solicit_longest: Duration::from_secs(3600),
            inform_longest: Duration::from_secs(3600),
        }
    }

    /// Is used for an interface from now on.
    pub(crate) fn set_up(&mut self, config: Dhcpv6Config, mac: Mac, iaid: u32) {
        *self = Dhcpv6Client { config, mac, iaid, ..Dhcpv6Client::new() };
        self.wants_addresses = config.mode == Dhcpv6Mode::Stateful;
        self.wants_options = config.mode == Dhcpv6Mode::Stateless;
    }

    /// What it is doing.
    pub const fn state(&self) -> Dhcpv6State {
        self.state
    }

    /// How it was told to behave.
    pub const fn config(&self) -> &Dhcpv6Config {
        &self.config
    }

    /// When the last of the addresses ends.
    fn expires(&self) -> Option<Instant> {
        self.addresses.iter().map(|leased| leased.lifetimes.valid_until).max().filter(|_| self.is_bound)
    }

    /// When [`on_timer`](Self::on_timer) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match self.state {
            Dhcpv6State::Off | Dhcpv6State::Idle => Instant::FAR_FUTURE,
            Dhcpv6State::Bound => self.t1,
            Dhcpv6State::Renewing => self.retry.at.min(self.t2),
            Dhcpv6State::Informed => self.refresh_at,
            _ => self.retry.at,
        };
        earlier(Some(own), self.expires()).filter(|at| *at < Instant::FAR_FUTURE)
    }

    /// The link is up and has an address to ask from, or is down.
    //= rfc8415#18.2.12
    pub(crate) fn on_link(&mut self, is_up: bool, now: Instant, random: &mut Random) {
        (self.failures, self.offered) = (0, None);
        if self.config.mode == Dhcpv6Mode::ByRouter {
            (self.wants_addresses, self.wants_options) = (false, false);
        }
        match self.state {
            Dhcpv6State::Releasing => {}
            _ if !is_up => self.state = Dhcpv6State::Off,
            _ if self.is_bound => {
                let at = now + self.start_delay(random);
                self.begin(Dhcpv6State::Confirming, retry::CONFIRM, (at, at + CONFIRM_TIME), random);
            }
            _ => self.begin_wanted(self.start_delay(random), now, random),
        }
    }

    /// A router says what it is that DHCP is for.
    //= rfc4861#4.2
    pub(crate) fn on_router(&mut self, managed: bool, other: bool, now: Instant, random: &mut Random) {
        if self.config.mode != Dhcpv6Mode::ByRouter || self.state == Dhcpv6State::Off {
            return;
        }
        let before = (self.wants_addresses, self.wants_options);
        // Another router may say less: what is had stays.
        (self.wants_addresses, self.wants_options) = (before.0 | managed, before.1 | other);
        let asks_for_options = matches!(self.state, Dhcpv6State::Informing | Dhcpv6State::Informed);
        let is_new = self.state == Dhcpv6State::Idle || (asks_for_options && self.wants_addresses);
        if before != (self.wants_addresses, self.wants_options) && is_new {
            self.begin_wanted(self.start_delay(random), now, random);
        }
    }

    fn start_delay(&self, random: &mut Random) -> Duration {
        let most = u32::try_from(self.config.start_delay_max.millis()).unwrap_or(u32::MAX);
        Duration::from_millis(random.below(most.max(1)).into())
    }

    fn begin(
        &mut self,
        state: Dhcpv6State,
        schedule: retry::Schedule,
        (at, until): (Instant, Instant),
        random: &mut Random,
    ) {
        self.state = state;
        // 24 bits.
        (self.xid, self.began) = (random.next_u32() >> 8, at);
        self.retry = Retry::start(schedule, at, until);
    }

    /// Asks for what is wanted, after a delay.
    fn begin_wanted(&mut self, delay: Duration, now: Instant, random: &mut Random) {
        let when = (now + delay, Instant::FAR_FUTURE);
        if self.wants_addresses {
            self.addresses.clear();
            self.offered = None;
            let schedule = retry::SOLICIT.with_longest(self.solicit_longest);
            self.begin(Dhcpv6State::Soliciting, schedule, when, random);
        } else if self.wants_options {
            let schedule = retry::INFORM.with_longest(self.inform_longest);
            self.begin(Dhcpv6State::Informing, schedule, when, random);
        } else {
            self.state = Dhcpv6State::Idle;
        }
    }

    /// Nothing came of it: it begins anew, later each time.
    fn fail(&mut self, now: Instant, random: &mut Random) {
        let pause = Duration::from_secs(1 << self.failures.min(PAUSES));
        self.failures = self.failures.saturating_add(1);
        match self.expires() {
            // The server has forgotten the lease and gives none again; others may know of it.
            Some(until) => self.begin(Dhcpv6State::Rebinding, retry::REBIND, (now + pause, until), random),
            None => self.begin_wanted(pause, now, random),
        }
    }

    /// The addresses are given back, and the client has done its work.
    //= rfc8415#18.2.7
    pub(crate) fn release(&mut self, now: Instant, random: &mut Random) -> Plan6 {
        if !self.is_bound {
            self.state = Dhcpv6State::Off;
            return Plan6::default();
        }
        // They are ours no more before the message goes out.
        let removed = self.addresses.iter().map(|leased| leased.address).collect();
        self.is_bound = false;
        self.begin(Dhcpv6State::Releasing, retry::RELEASE, (now, Instant::FAR_FUTURE), random);
        Plan6 { removed, ..self.send(Dhcpv6Kind::Release, now, random) }
    }

    /// An address of the lease is somebody else's, and was taken away.
    //= rfc8415#18.2.8
    pub(crate) fn on_duplicate(&mut self, address: Ipv6Addr, now: Instant, random: &mut Random) -> Plan6 {
        let Some(at) = self.addresses().iter().position(|leased| leased.address == address) else {
            return Plan6::default();
        };
        self.declined = Some(self.addresses.remove(at));
        self.is_bound = !self.addresses.is_empty();
        self.begin(Dhcpv6State::Declining, retry::DECLINE, (now, Instant::FAR_FUTURE), random);
        self.send(Dhcpv6Kind::Decline, now, random)
    }

    /// What is due now: to be asked until [`deadline`](Self::deadline) lies ahead.
    pub(crate) fn on_timer(&mut self, now: Instant, random: &mut Random) -> Plan6 {
        if self.deadline().is_none_or(|at| at > now) {
            return Plan6::default();
        }
        if self.expires().is_some_and(|at| at <= now) {
            return self.lose(now, random);
        }
        match self.state {
            Dhcpv6State::Off | Dhcpv6State::Idle => Plan6::default(),
            // The first wait is over: the best offer is taken (RFC 8415 §18.2.1).
            Dhcpv6State::Soliciting if self.offered.is_some() => self.request(now, random),
            Dhcpv6State::Soliciting => self.send(Dhcpv6Kind::Solicit, now, random),
            Dhcpv6State::Requesting => self.send(Dhcpv6Kind::Request, now, random),
            Dhcpv6State::Confirming => self.send(Dhcpv6Kind::Confirm, now, random),
            Dhcpv6State::Bound if now >= self.t2 => self.rebind(now, random),
            Dhcpv6State::Bound => {
                self.begin(Dhcpv6State::Renewing, retry::RENEW, (now, self.t2), random);
                self.send(Dhcpv6Kind::Renew, now, random)
            }
            Dhcpv6State::Renewing if now >= self.t2 => self.rebind(now, random),
            Dhcpv6State::Renewing => self.send(Dhcpv6Kind::Renew, now, random),
            Dhcpv6State::Rebinding => self.send(Dhcpv6Kind::Rebind, now, random),
            Dhcpv6State::Declining => self.send(Dhcpv6Kind::Decline, now, random),
            Dhcpv6State::Releasing => self.send(Dhcpv6Kind::Release, now, random),
            Dhcpv6State::Informing => self.send(Dhcpv6Kind::InformationRequest, now, random),
            Dhcpv6State::Informed => {
                self.begin_wanted(self.start_delay(random), now, random);
                Plan6::default()
            }
        }
    }

    //= rfc8415#18.2.5
    fn rebind(&mut self, now: Instant, random: &mut Random) -> Plan6 {
        let until = self.expires().unwrap_or(Instant::FAR_FUTURE);
        self.begin(Dhcpv6State::Rebinding, retry::REBIND, (now, until), random);
        self.send(Dhcpv6Kind::Rebind, now, random)
    }

    //= rfc8415#18.2.2
    fn request(&mut self, now: Instant, random: &mut Random) -> Plan6 {
        self.offered = None;
        self.begin(Dhcpv6State::Requesting, retry::REQUEST, (now, Instant::FAR_FUTURE), random);
        self.send(Dhcpv6Kind::Request, now, random)
    }

    /// The message of this state, unless it was sent often enough.
    fn send(&mut self, kind: Dhcpv6Kind, now: Instant, random: &mut Random) -> Plan6 {
        if self.retry.sent == 0 {
            self.began = now;
        }
        if self.retry.step(random, now).is_some() {
            return Plan6 { send: Some(kind), ..Plan6::default() };
        }
        match self.state {
            // Nobody says that the addresses don't fit: they are good until they end (RFC 8415 §18.2.3).
            Dhcpv6State::Confirming => self.state = Dhcpv6State::Bound,
            Dhcpv6State::Releasing => self.state = Dhcpv6State::Off,
            Dhcpv6State::Declining => self.declined_is_known(now, random),
            _ => self.fail(now, random),
        }
        Plan6::default()
    }

    fn declined_is_known(&mut self, now: Instant, random: &mut Random) {
        self.declined = None;
        match self.is_bound {
            true => self.state = Dhcpv6State::Bound,
            false => self.fail(now, random),
        }
    }

    /// All addresses are ours no more, and others are asked for.
    fn lose(&mut self, now: Instant, random: &mut Random) -> Plan6 {
        let all = if self.is_bound { self.addresses.as_slice() } else { &[] };
        let removed = all.iter().map(|leased| leased.address).collect();
        self.is_bound = false;
        self.begin_wanted(Duration::ZERO, now, random);
        Plan6 { removed, told: true, ..Plan6::default() }
    }

    /// A server's message.
    pub(crate) fn on_packet(
        &mut self,
        message: &Dhcpv6Message<'_>,
        now: Instant,
        random: &mut Random,
    ) -> Result<Plan6, Drop> {
        let options = message.options;
        //= rfc8415#16.3
        //= rfc8415#16.10
        if message.xid != self.xid || options.get(option6::CLIENT_ID) != Some(&self.duid()) {
            return Err(Drop::Dhcpv6Foreign);
        }
        let server =
            options.get(option6::SERVER_ID).filter(|duid| !duid.is_empty() && duid.len() <= DUID_LEN);
        let server = server.ok_or(Drop::Dhcpv6NoServer)?;
        self.take_longest(options);
        match (message.kind, self.state) {
            (Dhcpv6Kind::Advertise, Dhcpv6State::Soliciting) => self.on_offer(options, server, now, random),
            (Dhcpv6Kind::Reply, Dhcpv6State::Soliciting)
                if self.config.rapid_commit && options.get(option6::RAPID_COMMIT).is_some() =>
            {
                self.on_lease(options, server, now, random)
            }
            // Another server may answer for them.
            (Dhcpv6Kind::Reply, Dhcpv6State::Requesting | Dhcpv6State::Renewing) if self.server != server => {
                Err(Drop::Dhcpv6Foreign)
            }
            (Dhcpv6Kind::Reply, Dhcpv6State::Requesting | Dhcpv6State::Renewing | Dhcpv6State::Rebinding) => {
                self.on_lease(options, server, now, random)
            }
            (Dhcpv6Kind::Reply, Dhcpv6State::Confirming) => match options.status()? {
                status6::NOT_ON_LINK => Ok(self.lose(now, random)),
                status6::SUCCESS => {
                    self.state = Dhcpv6State::Bound;
                    Ok(Plan6::default())
                }
                _ => Err(Drop::Dhcpv6Refused),
            },
            (Dhcpv6Kind::Reply, Dhcpv6State::Declining) => {
                self.declined_is_known(now, random);
                Ok(Plan6::default())
            }
            (Dhcpv6Kind::Reply, Dhcpv6State::Releasing) => {
                self.state = Dhcpv6State::Off;
                Ok(Plan6::default())
            }
            (Dhcpv6Kind::Reply, Dhcpv6State::Informing) => self.on_options(options, now),
            _ => Err(Drop::Dhcpv6Unexpected),
        }
    }

    //= rfc8415#18.2.9
    fn take_longest(&mut self, options: Options6<'_>) {
        let longest = |code| {
            let secs = options.array(code).map(u32::from_be_bytes).filter(|secs| LONGEST_SECS.contains(secs));
            secs.map(|secs| Duration::from_secs(secs.into()))
        };
        self.solicit_longest = longest(option6::SOLICIT_MAX).unwrap_or(self.solicit_longest);
        self.inform_longest = longest(option6::INFORM_MAX).unwrap_or(self.inform_longest);
    }

    /// An offer: the first one after the first wait is taken, and before that the best one of all.
    //= rfc8415#18.2.1
    fn on_offer(
        &mut self,
        options: Options6<'_>,
        server: &[u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<Plan6, Drop> {
        let offer = association(options, self.iaid)?.ok_or(Drop::Dhcpv6NoAddress)?;
        let is_refused = options.status()? != status6::SUCCESS || offer.status != status6::SUCCESS;
        if is_refused || offer.addresses.is_empty() {
            return Err(Drop::Dhcpv6NoAddress);
        }
        let preference = options.array::<1>(option6::PREFERENCE).map_or(0, |[preference]| preference);
        if self.offered.is_none_or(|best| best < preference) {
            self.offered = Some(preference);
            self.choose(server);
            self.addresses = offer.addresses.iter().map(|offered| leased(offered, now)).collect();
        }
        if preference == PREFERENCE_MAX || self.retry.sent > 1 {
            return Ok(self.request(now, random));
        }
        Ok(Plan6::default())
    }

    fn choose(&mut self, server: &[u8]) {
        self.server.clear();
        // It is no longer than that: see `on_packet`.
        let _ = self.server.extend_from_slice(server);
    }

    /// An answer that gives addresses, or time, or refuses.
    //= rfc8415#18.2.10.1
    fn on_lease(
        &mut self,
        options: Options6<'_>,
        server: &[u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<Plan6, Drop> {
        let (status, found) = (options.status()?, association(options, self.iaid)?);
        let is_request = matches!(self.state, Dhcpv6State::Requesting);
        let said =
            found.as_ref().map_or(status, |ia| if status == status6::SUCCESS { ia.status } else { status });
        match said {
            status6::SUCCESS => {}
            status6::NO_BINDING if self.is_bound => {
                self.choose(server);
                return Ok(self.request(now, random));
            }
            status6::NOT_ON_LINK if self.is_bound => return Ok(self.lose(now, random)),
            status6::NO_ADDRESSES | status6::NOT_ON_LINK if is_request && !self.is_bound => {
                self.fail(now, random);
                return Ok(Plan6 { drop: Some(Drop::Dhcpv6Refused), ..Plan6::default() });
            }
            // It may be another time: it is asked again.
            _ => return Err(Drop::Dhcpv6Refused),
        }
        let found = found.ok_or(Drop::Dhcpv6NoAddress)?;
        if found.addresses.is_empty() {
            return Err(Drop::Dhcpv6NoAddress);
        }
        self.choose(server);
        Ok(self.bind(&found, options, now, random))
    }

    /// The addresses are ours, or ours for longer. Those of which the server says nothing stay as they are.
    fn bind(
        &mut self,
        found: &Association,
        options: Options6<'_>,
        now: Instant,
        random: &mut Random,
    ) -> Plan6 {
        if !self.is_bound {
            self.addresses.clear();
        }
        let mut plan = Plan6 { bind: true, told: true, ..Plan6::default() };
        plan.drop = found.has_bad.then_some(Drop::Dhcpv6Address);
        for offered in &found.addresses {
            let new = leased(offered, now);
            let known = self.addresses.iter().position(|old| old.address == new.address);
            match known {
                Some(at) if new.lifetimes.valid_until <= now => {
                    // There are no more than in the lease.
                    let _ = plan.removed.push(self.addresses.remove(at).address);
                }
                Some(at) => self.addresses[at] = new,
                None if new.lifetimes.valid_until <= now => {}
                None if self.addresses.push(new).is_err() => plan.drop = Some(Drop::Dhcpv6Address),
                None => {}
            }
        }
        if self.addresses.is_empty() {
            self.is_bound = false;
            self.fail(now, random);
            return Plan6 { bind: false, ..plan };
        }
        (self.is_bound, self.failures, self.state) = (true, 0, Dhcpv6State::Bound);
        self.set_times(found, now);
        if !self.options.fill(options) {
            plan.drop = Some(Drop::Dhcpv6TooLong);
        }
        plan
    }

    /// When the lease is renewed: half and four fifths of the shortest preferred lifetime, unless the server says otherwise.
    //= rfc8415#21.4
    fn set_times(&mut self, found: &Association, now: Instant) {
        let shortest = found
            .addresses
            .iter()
            .map(|(_, preferred, valid)| if *preferred > 0 { *preferred } else { *valid });
        let shortest = shortest.filter(|secs| *secs > 0).min().unwrap_or(u32::MAX);
        let fifths = |n: u64| match shortest {
            u32::MAX => u32::MAX,
            secs => (u64::from(secs) * n / 10) as u32,
        };
        let t1 = if found.t1 == 0 { fifths(5) } else { found.t1 }.max(RENEW_SECS_MIN);
        let t2 = if found.t2 == 0 { fifths(8) } else { found.t2 }.max(t1);
        [self.t1, self.t2] = [t1, t2].map(|secs| Lifetimes::from_secs(secs, secs, now).valid_until);
    }

    /// Options came, without addresses.
    //= rfc8415#18.2.10.4
    fn on_options(&mut self, options: Options6<'_>, now: Instant) -> Result<Plan6, Drop> {
        if options.status()? != status6::SUCCESS {
            return Err(Drop::Dhcpv6Refused);
        }
        let secs = options.array(option6::REFRESH_TIME).map_or(REFRESH_SECS, u32::from_be_bytes);
        let secs = secs.max(REFRESH_SECS_MIN);
        self.refresh_at = Lifetimes::from_secs(secs, secs, now).valid_until;
        self.state = Dhcpv6State::Informed;
        let drop = (!self.options.fill(options)).then_some(Drop::Dhcpv6TooLong);
        Ok(Plan6 { told: true, drop, ..Plan6::default() })
    }
}

fn leased(&(address, preferred, valid): &Offered, now: Instant) -> LeasedAddress {
    LeasedAddress { address, lifetimes: Lifetimes::from_secs(preferred, valid, now) }
}
