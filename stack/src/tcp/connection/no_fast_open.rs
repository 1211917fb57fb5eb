//! TCP Fast Open, left out: payload waits for the handshake.

use super::handshake::Handshake;
use super::tcb::{Dropped, Effects, Synchronized, Tcb};
use crate::base::slab::Key;
use crate::tcp::context::Context;
use crate::tcp::segment::{Options, Plan, Segment};

/// No connection has one.
#[derive(Debug)]
pub(crate) enum PendingFastOpen {}

impl PendingFastOpen {
    pub(crate) fn sends(&self) -> bool {
        match *self {}
    }
}

/// Our SYN brings none.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct EarlyPayload {}

impl EarlyPayload {
    pub(in crate::tcp) fn is_allowed(&self) -> bool {
        false
    }

    pub(in crate::tcp) fn len(&self) -> u32 {
        0
    }

    pub(in crate::tcp) fn on_sent(&mut self, _: u32) {}
}

/// No listener has pending ones.
#[derive(Debug, Default)]
pub(in crate::tcp) struct Pending {}

/// No SYN of ours asks for it.
#[derive(Clone, Copy)]
pub(in crate::tcp) enum Asked {}

impl Tcb {
    pub(in crate::tcp) fn opening(&self) -> Option<Key> {
        None
    }

    pub(in crate::tcp) fn fast_open_request(&self) -> Option<Asked> {
        None
    }

    pub(in crate::tcp) fn stop_waiting_for_payload(&mut self) -> bool {
        false
    }
}

impl Handshake {
    pub(super) fn early_len(&self, _: &Options) -> u32 {
        0
    }

    pub(in crate::tcp) fn waits_for_payload(&self) -> bool {
        false
    }
}

impl Synchronized {
    pub(in crate::tcp) fn syn_ack(&self, opening: &PendingFastOpen, _: u32) -> Plan {
        match *opening {}
    }

    pub(in crate::tcp) fn on_syn_ack_sent(&mut self, _: &Plan, _: &mut Context<'_, '_>) {}

    pub(in crate::tcp) fn on_syn_ack_timeout(&mut self, _: &mut Context<'_, '_>, _: &mut Effects) {}

    pub(in crate::tcp) fn is_syn_again(&mut self, _: &Segment<'_>, _: &mut Effects) -> Result<bool, Dropped> {
        Ok(false)
    }

    pub(in crate::tcp) fn complete_opening(
        &mut self,
        _: &Segment<'_>,
        _: &mut Context<'_, '_>,
        _: &mut Effects,
    ) -> Result<(), Dropped> {
        Ok(())
    }
}
