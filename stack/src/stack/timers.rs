//! Everything of the stack that time brings about: one list of what has a deadline and what is done then.

use super::Stack;
#[cfg(feature = "dhcpv6")]
use crate::config::dhcpv6::Dhcpv6Client;
use crate::time::{Duration, Instant, earlier};

/// While the heap gives less than was promised it is asked so often: who waits for memory is woken then.
const HEAP_INTERVAL: Duration = Duration::from_millis(100);

/// Makes of a list `|stack| its next deadline => what is done then` the two functions that walk it, and of the parts that the
/// deadlines are of the two that say whether they were noted.
macro_rules! timers {
    (
        parts { $($(#[$on:meta])* $($part:ident).+;)* }
        timers { $($(#[$feature:meta])* |$stack:ident| $deadline:expr => $run:ident;)* }
    ) => {
        impl Stack<'_> {
            /// Has nobody worked on a part with deadlines since they were noted?
            #[inline]
            fn are_deadlines_noted(&self) -> bool {
                let mut all = true;
                $($(#[$on])* { all &= self.$($part).+.is_noted(); })*
                all
            }

            /// Notes the first deadline of the list.
            fn note_deadlines(&mut self) {
                self.listed_at = self.listed_deadline();
                $($(#[$on])* self.$($part).+.note();)*
            }

            /// The first deadline of the list.
            #[inline(never)]
            fn listed_deadline(&self) -> Option<Instant> {
                let mut next = None;
                $($(#[$feature])* {
                    let $stack = self;
                    next = earlier(next, $deadline);
                })*
                next
            }

            /// What the list says is due, in its order. Its room on the call stack is not its caller's.
            #[inline(never)]
            fn run_listed(&mut self, now: Instant) {
                $($(#[$feature])* self.$run(now);)*
                self.note_deadlines();
            }
        }
    };
}

// Addresses first, since the rest sends from them. What TCP, sleepers and names wait for changes often, and each
// knows its first deadline; all else is looked at when it is due or was worked on.
timers! {
    parts {
        interfaces;
        neighbors;
        addresses;
        #[cfg(feature = "dhcpv4")]
        dhcp;
        #[cfg(feature = "dhcpv6")]
        dhcpv6;
        #[cfg(feature = "slaac")]
        learnt;
        #[cfg(feature = "slaac")]
        resolvers;
        #[cfg(feature = "fragments")]
        reassembly;
        #[cfg(feature = "multicast")]
        datagrams.groups;
    }
    timers {
        #[cfg(feature = "dhcpv4")]
        |stack| stack.dhcp.deadline(super::dhcp::deadline) => dhcp_timers;
        #[cfg(feature = "dhcpv6")]
        |stack| stack.dhcpv6.deadline(Dhcpv6Client::deadline) => dhcpv6_timers;
        |stack| stack.addresses.deadline() => address_timers;
        #[cfg(feature = "slaac")]
        |stack| earlier(stack.learnt.deadline(), stack.resolvers.deadline()) => autoconf_timers;
        |stack| stack.interfaces.iter().filter_map(|(_, i)| i.deadline()).min() => announce;
        |stack| stack.neighbors.next_deadline() => neighbor_timers;
        #[cfg(feature = "fragments")]
        |stack| stack.reassembly.deadline() => reassembly_timers;
        #[cfg(feature = "multicast")]
        |stack| stack.groups_deadline() => group_timers;
    }
}

impl Stack<'_> {
    /// All that is due at `now`. Call it after [`on_frame`](Stack::on_frame) has seen what
    /// arrived, so that an answer that lies in the queue is not too late (H187).
    pub fn on_timers(&mut self, now: Instant) {
        self.pool.ask_again();
        if !self.are_deadlines_noted() || self.listed_at.is_some_and(|at| at <= now) {
            self.run_listed(now);
        }
        // No deadline of its own: what is known of paths is dropped when something else brings a turn.
        self.path_timers(now);
        // While questions are under way it looks at servers and at its connection, which say nothing.
        #[cfg(feature = "dns")]
        self.names_timers(now);
        // Addresses say nothing when they change, but paths do.
        #[cfg(feature = "mdns")]
        self.mdns_timers(now);
        self.tcp_timers(now);
        #[cfg(feature = "alloc")]
        self.sleepers.expire(now, &mut self.tcp.woken);
    }

    /// When the stack wants a turn although nothing arrives: `now` if packets wait to be sent
    /// (H184), except on interfaces whose device was full, which is the device's to announce; or if a
    /// device has to be told of new addresses (H205).
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        for (index, i) in self.interfaces.iter() {
            let waits = || !i.queue.is_empty() || self.tcp.has_ready(index);
            if i.filter_is_old || (!i.device_full && waits()) {
                return Some(now);
            }
        }
        // Memory may come back in calls that are no part of TCP, such as reading a datagram.
        if self.tcp.can_feed(&self.pool) {
            return Some(now);
        }
        let mut next = Instant::FAR_FUTURE;
        let mut add = |at: Option<Instant>| next = next.min(at.unwrap_or(Instant::FAR_FUTURE));
        add(if self.are_deadlines_noted() { self.listed_at } else { self.listed_deadline() });
        if self.pool.is_short() {
            add(Some(now + HEAP_INTERVAL));
        }
        #[cfg(feature = "alloc")]
        add(self.sleepers.deadline());
        #[cfg(feature = "dns")]
        add(self.names_deadline());
        #[cfg(feature = "mdns")]
        add(self.mdns_deadline(now));
        add(self.tcp.deadline());
        (next < Instant::FAR_FUTURE).then(|| next.max(now))
    }
}
