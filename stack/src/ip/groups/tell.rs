//! Queries come in, and reports that are due go out.

use core::net::IpAddr;

use super::{Groups, Place, Querier, Record, SOURCES_MAX, Telling, Wish, passes};
use crate::base::random::Random;
use crate::ip::InterfaceId;
use crate::time::{Duration, Instant, earlier};
use crate::wire::{GroupMessage, Query, RecordKind};

/// A change is told again within this time, and within that in the older versions.
//= rfc3376#8.11
const AGAIN_WITHIN: Duration = Duration::from_millis(1000);
//= rfc2236#8.10
const OLD_AGAIN_WITHIN: Duration = Duration::from_secs(10);

fn somewhen(within: Duration, random: &mut Random, now: Instant) -> Instant {
    let ms = u32::try_from(within.micros() / 1000).unwrap_or(u32::MAX);
    now + Duration::from_millis(u64::from(random.below(ms)) + 1)
}

impl Groups<'_> {
    /// When something is to be told of a group; what is to be told of all is in the queriers.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.tellings().filter_map(|t| earlier(t.change_at, t.answer_at)).min()
    }

    /// A query of an interface's link.
    //= rfc3376#5.2
    //= rfc3810#6.2
    pub(crate) fn on_query(
        &mut self,
        interface: InterfaceId,
        is_v4: bool,
        query: &Query<'_>,
        querier: &mut Querier,
        random: &mut Random,
        now: Instant,
    ) {
        if querier.heard(query.version, query.robustness, now) {
            //= rfc3376#7.2.1: what was to be said in the other version is not
            querier.general_at = None;
            self.cancel(interface, is_v4);
        }
        let at = somewhen(query.answer_within, random, now);
        let is_old = querier.version(now) < 3;
        let Some(group) = query.group else {
            if !is_old {
                querier.general_at = Some(querier.general_at.map_or(at, |before| before.min(at)));
                return;
            }
            // H127: each group at a time of its own, so that somebody else may be first.
            self.each_of(interface, is_v4, |t| {
                let at = somewhen(query.answer_within, random, now);
                t.answer_at = Some(t.answer_at.map_or(at, |before| before.min(at)));
            });
            return;
        };
        let place = Place { interface, group };
        if querier.general_at.is_some_and(|general| general <= at) || !self.is_joined(place) {
            return;
        }
        let asks_sources = query.names_sources() && !is_old && !self.is_exclude(place);
        let Some(telling) = self.telling_mut(place) else { return };
        telling.asked_sources = asks_sources && (telling.answer_at.is_none() || telling.asked_sources);
        telling.answer_at = Some(telling.answer_at.map_or(at, |before| before.min(at)));
        if asks_sources {
            let records = self.records.iter_mut().filter_map(|slot| slot.0.as_mut());
            let asked =
                |r: &&mut Record| r.place == place && r.wish.source().is_some_and(|s| query.asks_for(s));
            records.filter(asked).for_each(|r| r.asked = true);
        }
    }

    /// Somebody else has reported a group in an older version: we need not (H131).
    //= rfc2236#3
    //= rfc2710#4
    pub(crate) fn on_report(&mut self, place: Place) {
        if let Some(telling) = self.telling_mut(place)
            && (telling.answer_at.is_some() || telling.change_at.is_some())
        {
            (telling.answer_at, telling.change_at, telling.last_reporter) = (None, None, false);
            telling.mode_changes = 0;
        }
    }

    /// The next message that is due on an interface.
    pub(crate) fn next_due(
        &mut self,
        interface: InterfaceId,
        is_v4: bool,
        querier: &mut Querier,
        random: &mut Random,
        now: Instant,
    ) -> Option<GroupMessage> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(querier.general_at) {
            querier.general_at = None;
            self.each_of(interface, is_v4, |t| (t.answer_at, t.asked_sources) = (Some(now), false));
        }
        loop {
            let mine = |t: &&Telling| t.place.interface == interface && t.place.group.is_ipv4() == is_v4;
            let due = |t: &&Telling| is_due(t.change_at) || is_due(t.answer_at);
            let telling = *self.tellings().filter(mine).find(due)?;
            let version = querier.version(now);
            let message = match is_due(telling.change_at) {
                true => self.change(telling, version, random, now),
                false => self.answer(telling, version),
            };
            self.tidy(telling.place);
            if message.is_some() {
                return message;
            }
        }
    }

    fn telling_mut(&mut self, place: Place) -> Option<&mut Telling> {
        self.tellings.iter_mut().filter_map(|slot| slot.0.as_mut()).find(|t| t.place == place)
    }

    /// Does something with each group of an interface and a family that others may be told of.
    fn each_of(&mut self, interface: InterfaceId, is_v4: bool, mut work: impl FnMut(&mut Telling)) {
        for at in 0..self.tellings.len() {
            let is_meant = |t: &Telling| {
                let p = t.place;
                p.interface == interface && p.group.is_ipv4() == is_v4 && !p.is_silent() && self.is_joined(p)
            };
            if self.tellings[at].0.as_ref().is_some_and(is_meant)
                && let Some(telling) = self.tellings[at].0.as_mut()
            {
                work(telling);
            }
        }
    }

    /// Every group of a family is told of anew, as to a router or switch that knows nothing of us.
    pub(crate) fn tell_anew(&mut self, interface: InterfaceId, is_v4: bool, querier: &Querier, now: Instant) {
        let changes = querier.robustness();
        self.each_of(interface, is_v4, |telling| {
            (telling.mode_changes, telling.change_at) = (changes, Some(now));
        });
    }

    fn cancel(&mut self, interface: InterfaceId, is_v4: bool) {
        let is_meant = |p: Place| p.interface == interface && p.group.is_ipv4() == is_v4;
        self.drop_records(|r| is_meant(r.place) && r.gone);
        for r in self.records.iter_mut().filter_map(|slot| slot.0.as_mut()).filter(|r| is_meant(r.place)) {
            (r.changes, r.asked) = (0, false);
        }
        for slot in self.tellings.iter_mut() {
            if let Some(t) = slot.0.as_mut().filter(|t| is_meant(t.place)) {
                (t.mode_changes, t.change_at, t.answer_at) = (0, None, None);
            }
        }
        for at in 0..self.tellings.len() {
            if let Some(t) = self.tellings[at].0.as_ref().copied() {
                self.tidy(t.place);
            }
        }
    }

    /// The sources that an interface's filter names: those that alone pass, or do not.
    pub(super) fn sources(&self, place: Place) -> impl Iterator<Item = IpAddr> + '_ {
        let is_exclude = self.is_exclude(place);
        let named = self.at(place).enumerate().filter_map(move |(n, r)| Some((n, r.wish.source()?)));
        let first = move |(n, source): &(usize, IpAddr)| {
            !self.at(place).take(*n).any(|r| r.wish.source() == Some(*source))
        };
        let fits = move |(_, source): &(usize, IpAddr)| passes(self.at(place), *source) != is_exclude;
        named.filter(first).filter(fits).map(|(_, source)| source).take(SOURCES_MAX)
    }

    /// The answer to a query: the present state.
    fn answer(&mut self, telling: Telling, version: u8) -> Option<GroupMessage> {
        let place = telling.place;
        let own = self.telling_mut(place)?;
        (own.answer_at, own.asked_sources, own.last_reporter) = (None, false, true);
        if !self.is_joined(place) {
            return None;
        }
        if version < 3 {
            return Some(GroupMessage::old_report(version, place.group));
        }
        let mut message = GroupMessage::report(place.group.is_ipv4());
        if telling.asked_sources {
            let asked = |s: &IpAddr| self.at(place).any(|r| r.asked && r.wish == Wish::Source(*s));
            if !self.sources(place).any(|s| asked(&s)) {
                return None;
            }
            message.push_record(RecordKind::IsInclude, place.group, self.sources(place).filter(asked));
        } else {
            let kind = if self.is_exclude(place) { RecordKind::IsExclude } else { RecordKind::IsInclude };
            message.push_record(kind, place.group, self.sources(place));
        }
        self.records
            .iter_mut()
            .filter_map(|s| s.0.as_mut())
            .filter(|r| r.place == place)
            .for_each(|r| r.asked = false);
        Some(message)
    }

    /// A change is told, and when again.
    fn change(
        &mut self,
        telling: Telling,
        version: u8,
        random: &mut Random,
        now: Instant,
    ) -> Option<GroupMessage> {
        let place = telling.place;
        let is_mode = telling.mode_changes > 0;
        let message = match version {
            3 => self.change_report(place, is_mode),
            _ if self.is_joined(place) => is_mode.then(|| GroupMessage::old_report(version, place.group)),
            // H131: who was not the last to report owes no leave; version 1 knows none.
            _ => (is_mode && version == 2 && telling.last_reporter).then(|| GroupMessage::leave(place.group)),
        };
        let records = self.records.iter_mut().filter_map(|slot| slot.0.as_mut());
        let pending = records.filter(|r| r.place == place && r.changes > 0);
        // Records of one source count once: they were told together.
        let more = pending.fold(0, |most, r| {
            r.changes -= 1;
            most.max(r.changes)
        });
        self.drop_records(|r| r.place == place && r.gone && r.changes == 0);
        let own = self.telling_mut(place)?;
        own.mode_changes = own.mode_changes.saturating_sub(1);
        own.last_reporter = true;
        let within = if version == 3 { AGAIN_WITHIN } else { OLD_AGAIN_WITHIN };
        own.change_at = (own.mode_changes > 0 || more > 0).then(|| somewhen(within, random, now));
        message
    }

    fn change_report(&self, place: Place, is_mode: bool) -> Option<GroupMessage> {
        let mut message = GroupMessage::report(place.group.is_ipv4());
        if is_mode {
            let kind = if self.is_exclude(place) { RecordKind::ToExclude } else { RecordKind::ToInclude };
            message.push_record(kind, place.group, self.sources(place));
            return Some(message);
        }
        let pending = || self.all().filter(move |r| r.place == place && r.changes > 0);
        let first = |n: usize, source: IpAddr| !pending().take(n).any(|r| r.wish.source() == Some(source));
        let mut room = SOURCES_MAX;
        for (kind, passing) in [(RecordKind::Allow, true), (RecordKind::Block, false)] {
            let named = pending().enumerate().filter_map(|(n, r)| Some((n, r.wish.source()?)));
            let fits = |(n, source): &(usize, IpAddr)| {
                first(*n, *source) && passes(self.at(place), *source) == passing
            };
            let count = named.clone().filter(fits).take(room).count();
            if count > 0 {
                message.push_record(kind, place.group, named.filter(fits).take(room).map(|(_, s)| s));
                room -= count;
            }
        }
        (message.bytes.len() > 8).then_some(message)
    }
}
