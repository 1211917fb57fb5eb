//! Stateless address autoconfiguration: what routers advertise becomes addresses and routes (RFC 4861 §6.3, RFC 4862 §5.5).

use core::net::{IpAddr, Ipv6Addr};

use super::addresses::Assignment;
use super::{Interface, Stack};
use crate::config::ipv6::{Autoconf, HOP_LIMIT_MIN, RETRIES, identifiers, lifetimes};
use crate::config::resolvers::parse_name;
use crate::config::{DnsServer, Ipv6Config, Resolvers, SearchDomain};
use crate::counters::Drop;
use crate::error::Error;
use crate::events::Event;
use crate::ip::addresses::{Address, AddressState, Cidr, Lifetimes, Origin};
use crate::ip::learnt::{Learned, LearntFrom, LearntRoute, LearntRoutes, Preference};
use crate::ip::{InterfaceId, PacketMeta};
use crate::link::neighbor::{Evidence, Times};
use crate::time::{Duration, Instant};
use crate::wire::{Redirect, RouterAdvert, RouterOption, router_solicit};

/// ff02::2, the group of every router on the link (RFC 4291 §2.7.1).
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Most addresses of an interface that routers can bring about, so that some places are left to others (H112).
const FORMED_MAX: usize = 12;
/// How long a redirect is followed. RFC 4861 has no limit; a router that still thinks so says it again.
const REDIRECT: Duration = Duration::from_secs(600);
/// The bits of a prefix that an identifier completes to an address (RFC 2464 §4).
const FORMED_LEN: u8 = 64;

impl Stack<'_> {
    /// Configures IPv6 of an interface: its addresses pass duplicate address detection, as do those that are added later
    /// (H097), and routers are asked for, unless `config` says otherwise. Before the first call neither happens. The first
    /// address can be used after one second to two.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: it is the loopback, or its MTU is too
    /// small for IPv6.
    pub fn configure_ipv6(&mut self, id: InterfaceId, config: Ipv6Config, now: Instant) -> Result<(), Error> {
        let interface = self.interfaces.get_mut(id.0).ok_or(Error::DeviceGone)?;
        if interface.is_loopback || !interface.carries_ipv6() {
            return Err(Error::InvalidInput("no IPv6 to be configured on this interface"));
        }
        interface.autoconf = Autoconf { config: Some(config), ..Autoconf::OFF };
        self.neighbors.set_times(id, |times| *times = Times::USUAL);
        self.autoconf_start(id, now);
        Ok(())
    }

    /// Begins, or begins again because the link has come up, maybe elsewhere (H121): addresses are in doubt, and meanwhile
    /// routers asked for, from nobody's address (RFC 4862 §4).
    pub(super) fn autoconf_start(&mut self, id: InterfaceId, now: Instant) {
        let Some(config) = self.interfaces.get(id.0).and_then(|i| i.autoconf.config) else { return };
        // H118: hosts that are switched on together don't ask together.
        let delay = config.start_delay(&mut self.random);
        self.autoconf_change(id, |autoconf| {
            (autoconf.duplicates, autoconf.temporary_duplicates) = (0, 0);
            autoconf.solicitation.stop();
            #[cfg(feature = "dhcpv6")]
            {
                (autoconf.managed, autoconf.other) = (false, false);
            }
        });
        if config.dad_transmits > 0 && self.addresses.doubt(id, config.dad_transmits, delay, now) {
            self.addresses_changed(id);
        }
        self.autoconf_solicit(id, now + delay);
        #[cfg(feature = "dhcpv6")]
        self.dhcpv6_ready(id, now);
    }

    fn autoconf_change(&mut self, id: InterfaceId, change: impl FnOnce(&mut Autoconf)) {
        if let Some(interface) = self.interfaces.get_mut(id.0) {
            change(&mut interface.autoconf);
        }
    }

    /// Asks for routers from `at` on, if they are wanted.
    pub(super) fn autoconf_solicit(&mut self, id: InterfaceId, at: Instant) {
        self.autoconf_change(id, |autoconf| {
            if autoconf.is_autonomous() {
                autoconf.solicitation.start(at);
            }
        });
    }

    /// The link-local address can be used: routers that did not answer nobody are asked again, by somebody.
    pub(super) fn autoconf_ask_again(&mut self, id: InterfaceId, now: Instant) {
        let asks = |i: &Interface| i.autoconf.solicitation.deadline() < Instant::FAR_FUTURE;
        if self.interface(id).is_some_and(asks) {
            self.autoconf_solicit(id, now);
        }
    }

    pub(super) fn autoconf_timers(&mut self, now: Instant) {
        self.dad_timers(now);
        while let Some((id, prefix)) = self.addresses.due_temporary(now) {
            self.form_temporary(id, prefix, now);
        }
        while let Some(id) = self.resolvers.expired(now) {
            self.resolvers.retain(|of, until| of != id || until > now);
            self.told_changed(id, now);
        }
        while let Some(id) = self.learnt.expire(now) {
            self.learnt_changed(id, now);
            self.solicit_if_alone(now);
        }
        let due = |stack: &Self| {
            let mut all = stack.interfaces();
            all.find(|(_, i)| i.autoconf.solicitation.deadline() <= now).map(|(id, _)| id)
        };
        while let Some(id) = due(self) {
            let Some(interface) = self.interfaces.get_mut(id.0) else { return };
            if interface.autoconf.solicitation.on_timer(&mut self.random, now) {
                self.send_router_solicit(id, now);
            }
        }
    }

    /// Interfaces that have lost their last router ask for another.
    fn solicit_if_alone(&mut self, now: Instant) {
        let learnt = &self.learnt;
        let mut index = 0;
        while index < crate::ip::INTERFACES_MAX as u32 {
            if let Some(key) = self.interfaces.key(index)
                && !learnt.has_router(InterfaceId(key))
                && let Some(interface) = self.interfaces.get_mut(key)
                && interface.autoconf.is_autonomous()
                && interface.autoconf.solicitation.deadline() == Instant::FAR_FUTURE
            {
                interface.autoconf.solicitation.start(now);
            }
            index += 1;
        }
    }

    fn send_router_solicit(&mut self, id: InterfaceId, now: Instant) {
        let Some(interface) = self.interface(id) else { return };
        let own = self.addresses.source_for(id, ALL_ROUTERS.into(), ALL_ROUTERS.into());
        let (source, mac) = match own {
            Some(IpAddr::V6(own)) => (own, Some(interface.capabilities.mac)),
            _ => (Ipv6Addr::UNSPECIFIED, None),
        };
        let (mut message, len) = router_solicit(mac);
        self.ndp_send_bytes(id, &mut message[..len], (source, ALL_ROUTERS), None, now);
    }

    /// What routers told us, without what has ended.
    pub fn learnt_routes(&self) -> impl Iterator<Item = &LearntRoute> {
        self.learnt.iter()
    }

    /// A router advertisement whose checksum and hop limit are right.
    //= rfc4861#6.3.4
    pub(super) fn router_advert(
        &mut self,
        meta: &PacketMeta,
        message: &[u8],
        now: Instant,
    ) -> Result<(), Drop> {
        let IpAddr::V6(router) = meta.source else { return Err(Drop::NdpRouterSource) };
        let interface = self.interfaces.get(meta.interface.0).ok_or(Drop::InterfaceGone)?;
        if !router.is_unicast_link_local() {
            return Err(Drop::NdpRouterSource);
        }
        let advert = RouterAdvert::parse(message)?;
        if !interface.autoconf.is_autonomous() {
            return Err(Drop::NdpIgnored);
        }
        self.default_router(meta.interface, router, &advert, now);
        self.link_parameters(meta.interface, &advert, now);
        #[cfg(feature = "dhcpv6")]
        {
            self.autoconf_change(meta.interface, |autoconf| {
                (autoconf.managed, autoconf.other) = (advert.managed, advert.other);
            });
            self.dhcpv6_router(meta.interface, now);
        }
        for option in advert.options() {
            let done = option.and_then(|option| self.router_option(meta.interface, router, option, now));
            if let Err(drop) = done {
                self.count_drop(drop, now);
            }
        }
        Ok(())
    }

    fn default_router(&mut self, id: InterfaceId, router: Ipv6Addr, advert: &RouterAdvert<'_>, now: Instant) {
        let route = LearntRoute {
            interface: id,
            prefix: Ipv6Addr::UNSPECIFIED,
            prefix_len: 0,
            gateway: Some(router),
            preference: advert.preference,
            until: now + Duration::from_secs(advert.lifetime.into()),
            from: LearntFrom::Router,
            failures: 0,
        };
        // It was heard: it may well answer.
        if self.learnt.judge(id, router, true) {
            self.routes_changed();
        }
        if let Err(drop) = self.learn_route(route, now) {
            self.count_drop(drop, now);
        }
        if advert.lifetime == 0 {
            self.router_gone(id, router, now);
        } else {
            // H117: one that is no router for everything does not end the questions.
            self.autoconf_change(id, |autoconf| autoconf.solicitation.stop());
        }
    }

    /// A station is no default router any more: nor does a redirect lead to it.
    pub(super) fn router_gone(&mut self, id: InterfaceId, router: Ipv6Addr, now: Instant) {
        let is_through = |r: &LearntRoute| {
            let kind = matches!(r.from, LearntFrom::Router | LearntFrom::Redirect);
            kind && r.interface == id && r.gateway == Some(router)
        };
        if self.learnt.remove(is_through) {
            self.learnt_changed(id, now);
        }
        self.solicit_if_alone(now);
    }

    fn learn_route(&mut self, route: LearntRoute, now: Instant) -> Result<(), Drop> {
        match self.learnt.learn(route, now) {
            Learned::Changed => self.learnt_changed(route.interface, now),
            Learned::Same => {}
            Learned::Full => return Err(Drop::NdpTableFull),
        }
        Ok(())
    }

    /// Packets may go another way, because a router said so or ceased to.
    fn learnt_changed(&mut self, id: InterfaceId, now: Instant) {
        self.routes_changed();
        self.told_changed(id, now);
    }

    /// What routers told is other than before.
    fn told_changed(&mut self, id: InterfaceId, now: Instant) {
        self.events.emit(now, Event::ConfigurationChanged(id));
        self.configuration_changed();
    }

    fn link_parameters(&mut self, id: InterfaceId, advert: &RouterAdvert<'_>, now: Instant) {
        if advert.hop_limit >= HOP_LIMIT_MIN {
            self.autoconf_change(id, |autoconf| autoconf.hop_limit = Some(advert.hop_limit));
        } else if advert.hop_limit > 0 {
            self.count_drop(Drop::NdpOption, now);
        }
        // Within limits: nobody is to make us ask all the time, or never (H114).
        self.neighbors.set_times(id, |times| {
            if advert.reachable_ms > 0 {
                times.reachable = Duration::from_millis(advert.reachable_ms.clamp(1000, 3_600_000).into());
            }
            if advert.retrans_ms > 0 {
                times.retrans = Duration::from_millis(advert.retrans_ms.clamp(100, 10_000).into());
            }
        });
    }

    fn router_option(
        &mut self,
        id: InterfaceId,
        router: Ipv6Addr,
        option: RouterOption<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        match option {
            RouterOption::Mac(mac) => {
                self.learn(id, router.into(), Some(mac), Evidence::Asked { ours: router.into() }, now);
                Ok(())
            }
            RouterOption::Mtu(mtu) => self.link_mtu(id, mtu, now),
            RouterOption::Prefix { prefix, len, on_link, autonomous, valid, preferred } => {
                if len > 128 || prefix.is_unicast_link_local() || prefix.is_multicast() || preferred > valid {
                    return Err(Drop::NdpOption);
                }
                if on_link {
                    self.on_link_prefix(id, (prefix, len), valid, now)?;
                }
                if autonomous {
                    self.autonomous_prefix(id, (prefix, len), (preferred, valid), now)
                } else {
                    Ok(())
                }
            }
            RouterOption::Route { prefix, len, preference, lifetime } => {
                let until = Lifetimes::from_secs(0, lifetime, now).valid_until;
                let from = if len == 0 { LearntFrom::Router } else { LearntFrom::Route };
                let (interface, gateway) = (id, Some(router));
                let route = LearntRoute {
                    interface,
                    prefix,
                    prefix_len: len,
                    gateway,
                    preference,
                    until,
                    from,
                    failures: 0,
                };
                self.learn_route(route, now)
            }
            RouterOption::DnsServers { lifetime, servers } => {
                self.advertised_servers(id, lifetime, servers, now)
            }
            RouterOption::SearchDomains { lifetime, names } => {
                self.advertised_domains(id, lifetime, names, now)
            }
        }
    }

    /// Packets of IPv6 are no longer than this, on a link that takes so much.
    //= rfc4861#6.3.4
    fn link_mtu(&mut self, id: InterfaceId, mtu: u32, now: Instant) -> Result<(), Drop> {
        let interface = self.interfaces.get_mut(id.0).ok_or(Drop::InterfaceGone)?;
        let mtu = u16::try_from(mtu).ok().filter(|mtu| (Interface::MTU_MIN_V6..=interface.mtu).contains(mtu));
        let mtu = mtu.ok_or(Drop::NdpOption)?;
        if core::mem::replace(&mut interface.autoconf.mtu, mtu) != mtu {
            self.learnt_changed(id, now);
        }
        Ok(())
    }

    fn on_link_prefix(
        &mut self,
        id: InterfaceId,
        (prefix, prefix_len): (Ipv6Addr, u8),
        valid: u32,
        now: Instant,
    ) -> Result<(), Drop> {
        let until = Lifetimes::from_secs(0, valid, now).valid_until;
        let (interface, gateway, preference) = (id, None, Preference::Medium);
        let from = LearntFrom::Prefix;
        let route =
            LearntRoute { interface, prefix, prefix_len, gateway, preference, until, from, failures: 0 };
        self.learn_route(route, now)
    }

    /// A prefix from which addresses are to be formed.
    //= rfc4862#5.5.3
    fn autonomous_prefix(
        &mut self,
        id: InterfaceId,
        (prefix, len): (Ipv6Addr, u8),
        (preferred, valid): (u32, u32),
        now: Instant,
    ) -> Result<(), Drop> {
        if len != FORMED_LEN {
            return Err(Drop::NdpOption);
        }
        let Some(known) = self.formed_from(id, prefix, Origin::Stable).next().copied() else {
            if valid == 0 {
                return Ok(());
            }
            self.form_stable(id, prefix, Lifetimes::from_secs(preferred, valid, now), now)?;
            return self.refresh_temporary(id, prefix, now);
        };
        let lifetimes = lifetimes::refreshed(known.lifetimes, preferred, valid, now);
        self.extend(&known, lifetimes, now);
        self.refresh_temporary(id, prefix, now)
    }

    /// Addresses of an interface that were formed from a prefix.
    fn formed_from(
        &self,
        id: InterfaceId,
        prefix: Ipv6Addr,
        origin: Origin,
    ) -> impl Iterator<Item = &Address> + Clone {
        self.addresses.of(id).filter(move |a| {
            a.origin == origin
                && Cidr { address: prefix.into(), prefix_len: FORMED_LEN }.contains(a.cidr.address())
        })
    }

    fn extend(&mut self, known: &Address, lifetimes: Lifetimes, now: Instant) {
        let again = Assignment { cidr: known.cidr, origin: known.origin, lifetimes, tentative: false };
        // It is there, so there is a place for it.
        let _ = self.assign_address(known.interface, again, now);
    }

    /// Forms the stable address of a prefix.
    //= rfc7217#5
    pub(super) fn form_stable(
        &mut self,
        id: InterfaceId,
        prefix: Ipv6Addr,
        lifetimes: Lifetimes,
        now: Instant,
    ) -> Result<(), Drop> {
        let interface = self.interface(id).ok_or(Drop::InterfaceGone)?;
        let autoconf = &interface.autoconf;
        let key = autoconf.config.and_then(|config| config.secret).unwrap_or(self.stable_key);
        if autoconf.duplicates > RETRIES {
            return Err(Drop::AddressConflict);
        }
        let identifier = identifiers::stable(prefix, interface.capabilities.mac, autoconf.duplicates, &key);
        self.form(id, identifiers::address(prefix, identifier), Origin::Stable, lifetimes, now)
    }

    fn form(
        &mut self,
        id: InterfaceId,
        address: Ipv6Addr,
        origin: Origin,
        lifetimes: Lifetimes,
        now: Instant,
    ) -> Result<(), Drop> {
        let is_formed = |a: &&Address| matches!(a.origin, Origin::Stable | Origin::Temporary);
        if self.addresses.of(id).filter(is_formed).count() >= FORMED_MAX {
            return Err(Drop::NdpTableFull);
        }
        let cidr = Cidr { address: address.into(), prefix_len: FORMED_LEN };
        let wanted = Assignment { cidr, origin, lifetimes, tentative: false };
        self.assign_address(id, wanted, now).map_err(|_| Drop::NdpTableFull)
    }

    /// The temporary addresses of a prefix follow its lifetimes, and there is one that is preferred.
    //= rfc8981#3.4
    fn refresh_temporary(&mut self, id: InterfaceId, prefix: Ipv6Addr, now: Instant) -> Result<(), Drop> {
        let Some(stable) = self.formed_from(id, prefix, Origin::Stable).next().map(|a| a.lifetimes) else {
            return Ok(());
        };
        let mut at = 0;
        loop {
            let next = self.formed_from(id, prefix, Origin::Temporary).nth(at).copied();
            let Some(known) = next else { break };
            let upkeep = known.upkeep;
            let mut new = lifetimes::of_temporary(stable, upkeep.created, upkeep.desync_secs);
            if known.state == AddressState::Deprecated {
                new.preferred_until = known.lifetimes.preferred_until;
            }
            self.extend(&known, new, now);
            at += 1;
        }
        let is_current = |a: &Address| !a.upkeep.has_successor && a.state != AddressState::Deprecated;
        let has_one = self.formed_from(id, prefix, Origin::Temporary).any(is_current);
        if !has_one {
            self.form_temporary(id, prefix, now);
        }
        Ok(())
    }

    /// Forms a temporary address beside the stable one of a prefix, if it would be preferred for a while.
    pub(super) fn form_temporary(&mut self, id: InterfaceId, prefix: Ipv6Addr, now: Instant) {
        let Some(autoconf) = self.interface(id).map(|i| &i.autoconf) else { return };
        let is_wanted = autoconf.config.is_some_and(|config| config.temporary);
        if !is_wanted || autoconf.temporary_duplicates > RETRIES {
            return;
        }
        let stable = self.formed_from(id, prefix, Origin::Stable).next().map(|a| a.lifetimes);
        let desync_secs = self.random.below(lifetimes::DESYNC_MAX_SECS);
        let Some(lifetimes) = stable.map(|stable| lifetimes::of_temporary(stable, now, desync_secs)) else {
            return;
        };
        if lifetimes.preferred_until <= now + lifetimes::REGEN_ADVANCE {
            return;
        }
        let address = identifiers::address(prefix, identifiers::temporary(&mut self.random));
        match self.form(id, address, Origin::Temporary, lifetimes, now) {
            Ok(()) => self.addresses.set_upkeep(id, address.into(), |upkeep| {
                (upkeep.created, upkeep.desync_secs) = (now, desync_secs);
            }),
            Err(drop) => self.count_drop(drop, now),
        }
    }

    /// Name servers (RFC 8106 §5.1).
    fn advertised_servers(
        &mut self,
        id: InterfaceId,
        lifetime: u32,
        servers: &[u8],
        now: Instant,
    ) -> Result<(), Drop> {
        let until = Lifetimes::from_secs(0, lifetime, now).valid_until;
        let (mut full, mut changed) = (false, false);
        for address in servers.as_chunks::<16>().0 {
            let address = IpAddr::from(*address);
            if crate::ip::is_group(address) || address.is_unspecified() || address.is_loopback() {
                return Err(Drop::NdpOption);
            }
            let learned = self.resolvers.add_server(DnsServer { interface: id, address, until }, now);
            full |= learned == Learned::Full;
            changed |= learned == Learned::Changed;
        }
        if changed {
            self.told_changed(id, now);
        }
        if full { Err(Drop::NdpTableFull) } else { Ok(()) }
    }

    /// Search domains (RFC 8106 §5.2).
    fn advertised_domains(
        &mut self,
        id: InterfaceId,
        lifetime: u32,
        mut names: &[u8],
        now: Instant,
    ) -> Result<(), Drop> {
        let until = Lifetimes::from_secs(0, lifetime, now).valid_until;
        // What follows the names is padding.
        while names.first().is_some_and(|len| *len > 0) {
            let (name, rest) = parse_name(names).ok_or(Drop::NdpOption)?;
            names = rest;
            match self.resolvers.add_domain(SearchDomain { interface: id, name, until }, now) {
                Learned::Changed => self.told_changed(id, now),
                Learned::Same => {}
                Learned::Full => return Err(Drop::NdpTableFull),
            }
        }
        Ok(())
    }

    /// What routers told us of name servers and domains. [`dns_servers`](Stack::dns_servers) has those of leases, too.
    pub fn resolvers(&self) -> &Resolvers {
        &self.resolvers
    }

    /// A redirect whose checksum and hop limit are right: it counts if it comes from the router that we use for the
    /// destination.
    //= rfc4861#8.3
    pub(super) fn redirect(&mut self, meta: &PacketMeta, message: &[u8], now: Instant) -> Result<(), Drop> {
        let redirect = Redirect::parse(message)?;
        let id = meta.interface;
        let IpAddr::V6(router) = meta.source else { return Err(Drop::NdpRouterSource) };
        if !router.is_unicast_link_local() {
            return Err(Drop::NdpRouterSource);
        }
        let interface = self.interface(id).ok_or(Drop::InterfaceGone)?;
        if !interface.autoconf.is_autonomous() {
            return Err(Drop::NdpIgnored);
        }
        let hop = self.path(redirect.destination.into(), Some(id), None).map(|path| path.next_hop);
        if hop != Ok(meta.source) || self.is_ours(redirect.target.into()) {
            return Err(Drop::NdpRedirect);
        }
        let is_on_link = redirect.target == redirect.destination;
        let route = LearntRoute {
            interface: id,
            prefix: redirect.destination,
            prefix_len: 128,
            gateway: Some(redirect.target).filter(|_| !is_on_link),
            preference: Preference::High,
            until: now + REDIRECT,
            from: LearntFrom::Redirect,
            failures: 0,
        };
        self.learn_route(route, now)?;
        let evidence = Evidence::Answered { solicited: false, override_known: true };
        self.learn(id, redirect.target.into(), redirect.mac, evidence, now);
        Ok(())
    }

    /// A neighbour did not answer, or has: if it is a router, others are used instead of it, or it is again (H172).
    pub(super) fn judge_router(&mut self, id: InterfaceId, router: IpAddr, answers: bool, now: Instant) {
        if let IpAddr::V6(router) = router
            && self.learnt.judge(id, router, answers)
        {
            self.routes_changed();
            if !answers {
                self.tcp_try_again(now);
            }
        }
    }

    /// The next hop that routers told us of for a destination, and for how long a prefix.
    pub(super) fn learnt_hop(
        &self,
        destination: IpAddr,
        zone: Option<InterfaceId>,
    ) -> Option<(u8, (InterfaceId, IpAddr))> {
        let IpAddr::V6(to) = destination else { return None };
        let route = self.learnt.lookup(to, |r| zone.is_none_or(|zone| zone == r.interface))?;
        Some((route.prefix_len, (route.interface, route.gateway.unwrap_or(to).into())))
    }
}

/// What is kept of routers without memory for it.
pub(super) const fn no_routes<'a>() -> LearntRoutes<'a> {
    LearntRoutes::empty()
}
