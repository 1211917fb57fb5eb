//! SYN cookies, left out: with a full SYN queue a SYN is as good as lost.

use super::passive_open::Arrival;
use super::{Outcome, Refused, Tcp};
use crate::base::pool::Pool;
use crate::tcp::config::TcpConfig;
use crate::time::Instant;

/// When listeners answer with cookies: never.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SynCookies {
    Off,
    Auto,
    Always,
}

pub(super) fn setting(_: &TcpConfig) -> SynCookies {
    SynCookies::Off
}

/// None is out.
#[derive(Debug, Default)]
pub(in crate::tcp) struct CookiesOut {}

impl CookiesOut {
    pub(super) fn may_come_back(&self, _: Instant) -> bool {
        false
    }

    pub(super) fn may_follow(&mut self, _: usize, _: Instant) -> bool {
        true
    }
}

impl Tcp<'_> {
    pub(super) fn send_cookie(&mut self, arrival: &Arrival<'_>, _: Instant, _: &mut Pool<'_>) -> Outcome {
        arrival.drop(Refused::SynQueueFull)
    }

    pub(super) fn take_cookie(&mut self, arrival: &Arrival<'_>, _: Instant, _: &mut Pool<'_>) -> Outcome {
        arrival.refuse(Refused::NoConnection)
    }
}
