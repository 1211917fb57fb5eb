//! The names that this host answers for: asked for, announced, defended, given up; and what is answered to whom, and when.

use core::net::{IpAddr, SocketAddr};

use managed::ManagedSlice;

use super::claim::{ANNOUNCE_INTERVAL, ANNOUNCEMENTS, Claim, PROBE_INTERVAL, PROBES, Phase, Service};
use super::links::LinkState;
use super::records::{
    A, AAAA, CACHE_FLUSH, DATA_MAX, HOST, Records, Set, Who, is_same, of_service, own_data, shared,
    their_data,
};
use super::{
    Announcement, AnnouncementId, Link, MDNS_PORT, MdnsStorage, Name, OwnAddresses, SERVICES_MAX,
    ServiceSlot, check, check_host, tie,
};
use crate::base::random::Random;
use crate::base::rate::TokenBucket;
use crate::counters::Drop;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::time::{Duration, Instant};
use crate::wire::dns::{ANY, CLASS_IN, DNS_HEADER_LEN, DnsMessage};
use crate::wire::dns_writer::{MessageWriter, Section};

/// Bytes of what is sent: it fits into any packet of IPv6.
pub(crate) const MDNS_LEN: usize = 1232;
/// Links, at most; on others nobody is answered.
const LINKS_MAX: usize = 8;
/// Questions of a message that are answered.
const QUESTIONS_MAX: usize = 24;
/// RFC 6762 §8.1: so many conflicts in so much time, and each attempt waits so long.
const CONFLICTS_MAX: u8 = 15;
const CONFLICTS_TIME: Duration = Duration::from_secs(10);
const CONFLICT_PAUSE: Duration = Duration::from_secs(5);
/// RFC 6762 §8.2: who has lost probes again after a second.
const LOSER_PAUSE: Duration = Duration::from_secs(1);
/// RFC 6762 §6.7: seconds that an answer to somebody who knows no mDNS is good for.
const LEGACY_TTL: u32 = 10;
/// An answer, and by who knows (RFC 6762 §18.2, §18.4).
const RESPONSE: u16 = 0x8400;
/// There is more than fits (RFC 1035 §4.1.1).
const TRUNCATED: u16 = 0x0200;

/// What is to be sent to a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plan {
    /// A question whether somebody has the name, on all links.
    Probe(Who),
    /// These records, on all links.
    Announce(Set),
    /// That these records are no more, on all links.
    Goodbye(Set),
    /// These records, on one link.
    Answer(Link, Set),
}

/// A message as it came.
pub(crate) struct Heard<'m> {
    pub link: Link,
    pub from: SocketAddr,
    pub message: DnsMessage<'m>,
}

/// The responder.
pub(crate) struct Responder<'a> {
    host: Claim<'a>,
    services: ManagedSlice<'a, ServiceSlot<'a>>,
    links: heapless::Vec<LinkState, LINKS_MAX>,
    own: OwnAddresses,
    /// Conflicts without a pause between them, and the last one.
    conflicts: u8,
    conflicted_at: Instant,
    /// Answers by unicast: whoever asks pays for none.
    unicast: TokenBucket,
}

impl<'a> Responder<'a> {
    pub(crate) fn new(storage: MdnsStorage<'a>) -> Self {
        Responder {
            host: Claim::FREE,
            services: storage.services,
            links: heapless::Vec::new(),
            own: OwnAddresses::new(),
            conflicts: 0,
            conflicted_at: Instant::ZERO,
            unicast: TokenBucket::new(20, Duration::from_millis(20)),
        }
    }

    fn records(&self) -> Records<'_, 'a> {
        Records { host: &self.host, services: &self.services, own: &self.own }
    }

    fn claim_mut(&mut self, who: Who) -> Option<&mut Claim<'a>> {
        match who {
            None => Some(&mut self.host),
            Some(index) => self.services.get_mut(index)?.service.as_mut().map(|s| &mut s.claim),
        }
    }

    /// Claims a name for the host, instead of the one that it had.
    pub(crate) fn announce_host(
        &mut self,
        name: &'a str,
        random: &mut Random,
        now: Instant,
    ) -> Result<(), Error> {
        check_host(name)?;
        self.host = Claim::new(name);
        self.host.probe(random, now);
        Ok(())
    }

    /// Claims a name for a service, once the host has its own.
    pub(crate) fn announce(
        &mut self,
        what: Announcement<'a>,
        random: &mut Random,
        now: Instant,
    ) -> Result<AnnouncementId, Error> {
        check(&what)?;
        if !self.host.is_wanted() {
            return Err(Error::InvalidInput("a service needs the host's name: announce_host"));
        }
        let is_same = |of: &Service<'_>| {
            of.claim.text.eq_ignore_ascii_case(what.instance)
                && of.what.service.eq_ignore_ascii_case(what.service)
        };
        let places = self.services.len().min(SERVICES_MAX);
        if self.services.iter().filter_map(|s| s.service.as_ref()).any(|s| s.claim.is_wanted() && is_same(s))
        {
            return Err(Error::AddrInUse);
        }
        let free = self.services[..places].iter().position(|slot| slot.service.is_none());
        let index = free.ok_or(Error::TooManySockets)?;
        let slot = &mut self.services[index];
        slot.serial = slot.serial.wrapping_add(1);
        let mut claim = Claim::new(what.instance);
        claim.probe(random, now);
        slot.service = Some(Service { claim, what });
        Ok(AnnouncementId { index: index as u8, serial: slot.serial })
    }

    fn find(&self, id: AnnouncementId) -> Option<&Service<'a>> {
        let slot = self.services.get(usize::from(id.index)).filter(|slot| slot.serial == id.serial)?;
        slot.service.as_ref().filter(|s| s.claim.is_wanted())
    }

    /// Gives a service up: that is told, if it was ours.
    pub(crate) fn withdraw(&mut self, id: AnnouncementId, now: Instant) -> Result<(), Error> {
        self.find(id).ok_or(Error::StaleHandle)?;
        self.give_up(Some(id.index.into()), now);
        Ok(())
    }

    /// Gives up all.
    pub(crate) fn withdraw_host(&mut self, now: Instant) {
        (0..self.services.len()).for_each(|index| self.give_up(Some(index), now));
        self.give_up(None, now);
    }

    fn give_up(&mut self, who: Who, now: Instant) {
        let Some(claim) = self.claim_mut(who).filter(|claim| claim.is_wanted()) else { return };
        // What was never told needs no goodbye.
        (claim.phase, claim.due) = (Phase::Leaving(!claim.is_ours()), now);
    }

    /// What the host is called; `None`: it is not known yet, or has no name.
    pub(crate) fn host_name(&self) -> Option<Name> {
        self.host.is_ours().then(|| self.records().name(None)).flatten()
    }

    /// What a service is called, likewise.
    ///
    /// [`Error::StaleHandle`]: it was withdrawn.
    pub(crate) fn service_name(&self, id: AnnouncementId) -> Result<Option<Name>, Error> {
        let is_ours = self.find(id).ok_or(Error::StaleHandle)?.claim.is_ours();
        Ok(is_ours.then(|| self.records().name(Some(id.index.into()))).flatten())
    }

    /// The host's addresses are these. On a link that is new all names are asked for.
    pub(crate) fn on_addresses(&mut self, own: &OwnAddresses, random: &mut Random, now: Instant) {
        if self.own == *own {
            return;
        }
        self.own = own.clone();
        let link = |(interface, address): &(InterfaceId, IpAddr)| Link {
            interface: *interface,
            is_v4: address.is_ipv4(),
        };
        self.links.retain(|state| own.iter().any(|o| link(o) == state.link));
        let mut is_new = false;
        for new in own.iter().map(link) {
            if self.links.iter().all(|state| state.link != new) {
                is_new |= self.links.push(LinkState::new(new)).is_ok();
            }
        }
        if is_new {
            self.on_link(random, now);
        } else if self.host.is_ours() {
            //= rfc6762#8.4
            self.host.announce(now);
        }
    }

    /// A link has come up: who is there now may have our names.
    //= rfc6762#8
    pub(crate) fn on_link(&mut self, random: &mut Random, now: Instant) {
        for who in self.records().everybody() {
            if let Some(claim) = self.claim_mut(who).filter(|claim| claim.is_wanted()) {
                claim.probe(random, now);
            }
        }
    }

    /// Those claims that go on now: services wait for the name of their host.
    fn active(&self) -> impl Iterator<Item = Who> {
        let waits = self.links.is_empty() || self.host.is_probing();
        let records = self.records();
        let host_waits = self.links.is_empty();
        records.everybody().filter(move |who| match (who, records.claim(*who)) {
            (_, Some(Claim { phase: Phase::Leaving(_), .. })) => true,
            (None, _) => !host_waits,
            _ => !waits,
        })
    }

    /// When something is to be sent.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let claims = self.active().filter_map(|who| self.records().claim(who)?.deadline());
        claims.chain(self.links.iter().filter(|l| l.pending != 0).map(|l| l.at)).min()
    }

    /// The next that is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Plan> {
        loop {
            let is_due =
                |who: &Who| self.records().claim(*who).and_then(Claim::deadline).is_some_and(|at| at <= now);
            let due = self.active().find(is_due);
            let Some(who) = due else { break };
            if let Some(plan) = self.step(who, now) {
                return Some(plan);
            }
        }
        for state in &mut self.links {
            if let Some(set) = state.due(now) {
                return Some(Plan::Answer(state.link, set));
            }
        }
        None
    }

    /// The next step of a claim.
    fn step(&mut self, who: Who, now: Instant) -> Option<Plan> {
        let set = who.map_or(HOST, of_service);
        let claim = self.claim_mut(who)?;
        match claim.phase {
            Phase::Free | Phase::Settled => None,
            Phase::Probing(PROBES) => {
                claim.announce(now);
                None
            }
            Phase::Probing(n) => {
                (claim.phase, claim.due) = (Phase::Probing(n + 1), now + PROBE_INTERVAL);
                Some(Plan::Probe(who))
            }
            Phase::Announcing(ANNOUNCEMENTS) => {
                claim.phase = Phase::Settled;
                None
            }
            Phase::Announcing(n) => {
                (claim.phase, claim.due) = (Phase::Announcing(n + 1), now + ANNOUNCE_INTERVAL);
                self.links.iter_mut().for_each(|link| link.note(set, now));
                Some(Plan::Announce(set))
            }
            Phase::Leaving(false) => {
                claim.phase = Phase::Leaving(true);
                self.links.iter_mut().for_each(|link| link.pending &= !set);
                Some(Plan::Goodbye(set))
            }
            Phase::Leaving(true) => {
                match who {
                    None => self.host = Claim::FREE,
                    Some(index) => self.services[index].service = None,
                }
                None
            }
        }
    }

    /// The links.
    pub(crate) fn links(&self) -> impl Iterator<Item = Link> {
        self.links.iter().map(|state| state.link)
    }

    /// Writes what a plan is for a link; `left` is what of its records is still to be written, in another message.
    pub(crate) fn write(
        &self,
        plan: Plan,
        left: &mut Set,
        link: Link,
        buf: &mut [u8; MDNS_LEN],
    ) -> Option<usize> {
        let records = self.records();
        let mut w = MessageWriter::new(buf, 0, if matches!(plan, Plan::Probe(_)) { 0 } else { RESPONSE });
        match plan {
            //= rfc6762#8.1
            Plan::Probe(who) => {
                let name = records.name(who)?;
                w.question(&name, ANY, CLASS_IN | CACHE_FLUSH)?;
                records.write(
                    &mut w,
                    (Section::Authority, tie::proposed(who)),
                    link.interface,
                    (u32::MAX, 0),
                );
                *left = 0;
            }
            //= rfc6762#10.1
            Plan::Goodbye(_) => {
                *left &= !records.write(&mut w, (Section::Answer, *left), link.interface, (0, CACHE_FLUSH));
            }
            Plan::Announce(set) | Plan::Answer(_, set) => {
                let written =
                    records.write(&mut w, (Section::Answer, *left), link.interface, (u32::MAX, CACHE_FLUSH));
                *left &= !written;
                if *left == 0 {
                    let more = records.additional(set);
                    records.write(
                        &mut w,
                        (Section::Additional, more),
                        link.interface,
                        (u32::MAX, CACHE_FLUSH),
                    );
                }
            }
        }
        (w.len() > DNS_HEADER_LEN).then(|| w.len())
    }

    /// A message that came to the port of mDNS, from this link. A length: of the answer in `out`, to be sent to who has asked.
    pub(crate) fn on_message(
        &mut self,
        heard: &Heard<'_>,
        out: &mut [u8; MDNS_LEN],
        random: &mut Random,
        now: Instant,
    ) -> Result<Option<usize>, Drop> {
        let message = &heard.message;
        let count = usize::from(message.question_count());
        let at = match count {
            0 => DNS_HEADER_LEN,
            _ => message.questions().nth(count - 1).ok_or(Drop::MdnsMalformed)?.end,
        };
        if message.is_query() {
            return self.on_query(heard, at, out, random, now);
        }
        //= rfc6762#6, rfc6762#18.11
        if !message.is_response() || message.rcode() != 0 || heard.from.port() != MDNS_PORT {
            return Err(Drop::MdnsForeign);
        }
        self.on_response(heard, at, random, now);
        Ok(None)
    }

    fn on_query(
        &mut self,
        heard: &Heard<'_>,
        at: usize,
        out: &mut [u8; MDNS_LEN],
        random: &mut Random,
        now: Instant,
    ) -> Result<Option<usize>, Drop> {
        let (message, interface) = (&heard.message, heard.link.interface);
        let is_legacy = heard.from.port() != MDNS_PORT;
        self.on_probe(heard, at, now);
        let (mut multicast, mut unicast) = (0, 0);
        for question in message.questions().take(QUESTIONS_MAX) {
            let asked = self.records().asked(message, &question, interface);
            //= rfc6762#5.4
            let is_unicast = is_legacy || question.class & CACHE_FLUSH != 0;
            *(if is_unicast { &mut unicast } else { &mut multicast }) |= asked;
        }
        let known = self.records().known(message, at, multicast | unicast, interface);
        let Some(state) = self.links.iter_mut().find(|l| l.link == heard.link) else { return Ok(None) };
        if message.question_count() == 0 {
            //= rfc6762#7.2: what did not fit beside the questions
            let pending = state.pending;
            if state.asker == Some(heard.from.ip()) {
                let known = Records { host: &self.host, services: &self.services, own: &self.own }
                    .known(message, at, pending, interface);
                state.pending &= !known;
            }
            return Ok(None);
        }
        (multicast, unicast) = (multicast & !known, unicast & !known);
        if !is_legacy {
            let (all, one) = state.split(unicast, now);
            (multicast, unicast) = (multicast | all, one);
        }
        // Probes bring what they propose.
        let is_defence = message.records(at).any(|(is_answer, _)| !is_answer);
        //= rfc6762#6
        let wait = match () {
            () if is_defence => 0,
            () if message.is_truncated() => 400 + random.below(100),
            () if shared(multicast) != 0 => 20 + random.below(100),
            () => 0,
        };
        let answer_at = now + Duration::from_millis(wait.into());
        state.add(multicast, answer_at, is_defence, heard.from.ip());
        if unicast == 0 {
            return Ok(None);
        }
        if !self.unicast.take(now) {
            return Err(Drop::MdnsLimited);
        }
        Ok(self.write_unicast(heard, unicast, at, is_legacy, out))
    }

    /// An answer to who has asked; as DNS has it for who knows no more than that.
    //= rfc6762#6.7
    fn write_unicast(
        &self,
        heard: &Heard<'_>,
        set: Set,
        at: usize,
        is_legacy: bool,
        out: &mut [u8; MDNS_LEN],
    ) -> Option<usize> {
        let (id, how) =
            if is_legacy { (heard.message.id(), (LEGACY_TTL, 0)) } else { (0, (u32::MAX, CACHE_FLUSH)) };
        let (records, interface) = (self.records(), heard.link.interface);
        let mut w = MessageWriter::new(out, id, RESPONSE);
        if is_legacy {
            let questions = heard.message.as_bytes().get(DNS_HEADER_LEN..at)?;
            w.copy_questions(questions, heard.message.question_count())?;
        }
        let written = records.write(&mut w, (Section::Answer, set), interface, how);
        if written != set {
            w.set_flags(TRUNCATED);
        } else {
            records.write(&mut w, (Section::Additional, records.additional(set)), interface, how);
        }
        Some(w.len())
    }

    /// Somebody asks for a name that we ask for: who has the greater records gets it, and the other asks again later.
    //= rfc6762#8.2
    fn on_probe(&mut self, heard: &Heard<'_>, at: usize, now: Instant) {
        let message = &heard.message;
        for who in self.records().everybody() {
            let records = self.records();
            let (Some(claim), Some(name)) = (records.claim(who), records.name(who)) else { continue };
            let proposes =
                || message.records(at).any(|(is_answer, r)| !is_answer && message.is_of(&r, &name));
            if !claim.is_probing() || !proposes() {
                continue;
            }
            let order = tie::compare(&records, (who, &name), heard.link.interface, (message, at));
            if order.is_lt()
                && let Some(claim) = self.claim_mut(who)
            {
                (claim.phase, claim.due) = (Phase::Probing(0), now + LOSER_PAUSE);
            }
        }
    }

    /// Answers of others: those of our names that we would not give are conflicts; those that we were about to give need not be given again.
    fn on_response(&mut self, heard: &Heard<'_>, at: usize, random: &mut Random, now: Instant) {
        let message = &heard.message;
        for who in self.records().everybody() {
            if self.contradicts(message, at, who) {
                self.on_conflict(who, random, now);
            }
        }
        let pending = self.links.iter().find(|l| l.link == heard.link).map_or(0, |l| l.pending);
        //= rfc6762#7.4
        let told = self.records().known(message, at, shared(pending), heard.link.interface);
        if let Some(state) = self.links.iter_mut().find(|l| l.link == heard.link) {
            state.pending &= !told;
        }
    }

    /// Has a message a record of the name of `who` that is none of ours?
    //= rfc6762#9
    fn contradicts(&self, message: &DnsMessage<'_>, at: usize, who: Who) -> bool {
        let records = self.records();
        let (Some(claim), Some(name)) = (records.claim(who), records.name(who)) else { return false };
        if !claim.is_wanted() {
            return false;
        }
        let is_unique = |kind: u16| records.types(who).iter().any(|t| t.number() == kind);
        let theirs = |r: &crate::wire::dns::Record| {
            is_unique(r.kind) && r.class & !CACHE_FLUSH == CLASS_IN && r.ttl > 0 && message.is_of(r, &name)
        };
        message.all_records(at).filter(theirs).any(|record| {
            let (mut buf, mut is_ours) = ([0; DATA_MAX], false);
            let data = their_data(message, &record, &mut buf);
            // On whatever interface: two of ours may be on one link (RFC 6762 §14).
            let mut visit = |_: &Name, kind: u16, own: super::records::Data<'_>| {
                let mut buf = [0; DATA_MAX];
                is_ours |= kind == record.kind && is_same(kind, own_data(&own, &mut buf), data);
            };
            for one in super::records::members(Records::unique(who)) {
                let _ = records.each(one, None, &mut visit);
            }
            !is_ours
        })
    }

    /// Somebody has the name: it is asked for once more if it was ours, and another one is if it wasn't yet.
    //= rfc6762#9
    fn on_conflict(&mut self, who: Who, random: &mut Random, now: Instant) {
        if self.conflicted_at + CONFLICTS_TIME <= now {
            self.conflicts = 0;
        }
        self.conflicted_at = now;
        self.conflicts = self.conflicts.saturating_add(1);
        let is_often = self.conflicts >= CONFLICTS_MAX;
        let Some(claim) = self.claim_mut(who) else { return };
        if claim.is_probing() {
            claim.rename();
        }
        claim.probe(random, now);
        if is_often {
            claim.due = now + CONFLICT_PAUSE;
        }
        if who.is_some() {
            return;
        }
        // Where the services are is another host now.
        for index in 0..self.services.len() {
            if let Some(claim) = self.claim_mut(Some(index)).filter(|claim| claim.is_ours()) {
                claim.announce(now);
            }
        }
    }

    /// The host's addresses, if this is its name.
    pub(crate) fn addresses_of(&self, name: &Name) -> Option<&OwnAddresses> {
        let is_it = self.host_name().is_some_and(|own| own == *name);
        is_it.then_some(&self.own)
    }
}

const _: () = assert!(HOST & (A | AAAA) == A | AAAA);
