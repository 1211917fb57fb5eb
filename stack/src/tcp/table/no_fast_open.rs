//! TCP Fast Open, left out: no SYN asks for it, and none is granted.

use core::marker::PhantomData;

use super::passive_open::Arrival;
use super::{Outcome, Profile, Tcp};
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::tcp::connection::fast_open::Asked;
use crate::tcp::connection::handshake::Handshake;
use crate::tcp::connection::tcb::Opening;
use crate::tcp::fast_open::FastOpen;
use crate::tcp::segment::{Segment, Tuple};
use crate::time::Instant;

/// Nothing is remembered of servers.
#[derive(Debug)]
pub(in crate::tcp) struct CookieJar<'a>(PhantomData<&'a ()>);

impl CookieJar<'_> {
    pub(in crate::tcp) const fn empty() -> Self {
        CookieJar(PhantomData)
    }
}

/// No SYN is granted anything.
pub(in crate::tcp) struct FastOpenGrant;

impl FastOpenGrant {
    pub(in crate::tcp) fn cookie(&self) -> Option<FastOpen> {
        None
    }
}

/// No listener takes the payload of a SYN.
pub(super) enum EarlyListener {}

impl Tcp<'_> {
    pub(super) fn grant(&self, _: u32, _: &Tuple, _: &Segment<'_>, _: Instant) -> FastOpenGrant {
        FastOpenGrant
    }

    pub(super) fn accepts_fast_open(
        &self,
        _: u32,
        _: &FastOpenGrant,
        _: &Segment<'_>,
        _: Instant,
    ) -> Option<EarlyListener> {
        None
    }

    pub(super) fn open_fast(
        &mut self,
        _: &Arrival<'_>,
        listener: EarlyListener,
        _: Opening,
        _: Instant,
        _: &mut Pool<'_>,
    ) -> Outcome {
        match listener {}
    }

    pub(in crate::tcp) fn fast_open_ends(&mut self, _: Key, _: Option<Instant>) {}

    pub(in crate::tcp) fn prepare_fast_open(&self, _: Profile, _: &Tuple, _: &mut Handshake, _: Instant) {}

    pub(in crate::tcp) fn learn_fast_open(&mut self, _: u32, asked: Asked, _: &Segment<'_>, _: Instant) {
        match asked {}
    }

    pub(in crate::tcp) fn pause_fast_open(&mut self, _: &Tuple, _: Instant) {}
}
