//! Everything of the stack that time brings about: one list of what has a deadline and what is done then.

use super::Stack;
#[cfg(feature = "dhcpv6")]
use crate::config::dhcpv6::Dhcpv6Client;
use crate::time::{Duration, Instant, earlier};

/// While the heap gives less than was promised it is asked so often: who waits for memory is woken then.
const HEAP_INTERVAL: Duration = Duration::from_millis(100);

/// Makes of a list `|stack| its next deadline => what is done then` the two functions that walk it.
macro_rules! timers {
    ($($(#[$feature:meta])* |$stack:ident| $deadline:expr => $run:ident;)*) => {
        impl Stack<'_> {
            /// The first deadline of the list that comes before `next`.
            fn listed_deadline(&self, mut next: Option<Instant>) -> Option<Instant> {
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
            }
        }
    };
}

// Addresses first, since the rest sends from them. `announce` goes by the deadlines of interfaces, which `next_deadline` asks for;
// what is known of paths is dropped when something else brings a turn.
timers! {
    #[cfg(feature = "dhcpv4")]
    |stack| stack.dhcp.deadline(super::dhcp::deadline) => dhcp_timers;
    #[cfg(feature = "dhcpv6")]
    |stack| stack.dhcpv6.deadline(Dhcpv6Client::deadline) => dhcpv6_timers;
    |stack| stack.addresses.deadline() => address_timers;
    #[cfg(feature = "slaac")]
    |stack| earlier(stack.learnt.deadline(), stack.resolvers.deadline()) => autoconf_timers;
    |_stack| None => announce;
    |stack| stack.neighbors.next_deadline() => neighbor_timers;
    |_stack| None => path_timers;
    #[cfg(feature = "fragments")]
    |stack| stack.reassembly.deadline() => reassembly_timers;
    #[cfg(feature = "multicast")]
    |stack| stack.groups_deadline() => group_timers;
    #[cfg(feature = "dns")]
    |stack| stack.names_deadline() => names_timers;
    |stack| stack.tcp.deadline() => tcp_timers;
    #[cfg(feature = "alloc")]
    |stack| stack.sleepers.deadline() => sleeper_timers;
}

impl Stack<'_> {
    /// All that is due at `now`. Call it after [`on_frame`](Stack::on_frame) has seen what
    /// arrived, so that an answer that lies in the queue is not too late (H187).
    pub fn on_timers(&mut self, now: Instant) {
        self.pool.ask_again();
        self.run_listed(now);
    }

    /// Tasks whose time has come are to be woken.
    #[cfg(feature = "alloc")]
    fn sleeper_timers(&mut self, now: Instant) {
        self.sleepers.expire(now, &mut self.tcp.woken);
    }

    /// When the stack wants a turn although nothing arrives: `now` if packets wait to be sent
    /// (H184), except on interfaces whose device was full, which is the device's to announce; or if a
    /// device has to be told of new addresses (H205).
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let mut next = self.pool.is_short().then(|| now + HEAP_INTERVAL);
        for (index, i) in self.interfaces.iter() {
            let waits = || !i.queue.is_empty() || self.tcp.has_ready(index);
            if i.filter_is_old || (!i.device_full && waits()) {
                return Some(now);
            }
            next = earlier(next, i.deadline());
        }
        // Memory may come back in calls that are no part of TCP, such as reading a datagram.
        if self.tcp.can_feed(&self.pool) {
            return Some(now);
        }
        self.listed_deadline(next).map(|at| at.max(now))
    }
}
