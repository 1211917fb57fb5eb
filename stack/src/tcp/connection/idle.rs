//! Idle connections in little memory: the state of a connection with nothing queued, in flight or
//! owed, as a row of bytes, and back.
//!
//! Each part of the state packs itself, beside its own fields, and names every one of them: a new field
//! breaks both ways until somebody has said what becomes of it. A part that is not at rest packs to
//! `None`, and the connection stays as it is. Numbers take the bytes that they need, so a field
//! that is nearly always zero costs one, and what IPv4's short addresses leave is for the rest.

use super::tcb::{Closing, Phase, Synchronized, Tcb};
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::segment::Tuple;
use core::net::IpAddr;

impl Tcb {
    /// Packs the connection, if it is at rest.
    pub(in crate::tcp) fn park(&self, to: &mut Packer) -> Option<()> {
        let Tcb { phase, ts_offset, send_limit, receive_limit, orphan } = self;
        let Phase::Synchronized(s) = phase else { return None };
        s.park(to)?;
        to.word(*ts_offset);
        // Nearly always the same as those of the two sides.
        to.number(send_limit ^ s.send.limit);
        to.number(receive_limit ^ s.receive.limit_max());
        to.bits([*orphan]);
        Some(())
    }

    /// The connection as it was.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Tcb {
        let mut s = Synchronized::unpark(from);
        let ts_offset = from.word();
        let send_limit = from.number() as u32 ^ s.send.limit;
        let receive_limit = from.number() as u32 ^ s.receive.limit_max();
        let [orphan] = from.bits();
        s.send.ts_offset = ts_offset;
        Tcb { phase: Phase::Synchronized(s), ts_offset, send_limit, receive_limit, orphan }
    }
}

impl Tuple {
    pub(in crate::tcp) fn park(&self, to: &mut Packer) {
        let Tuple { local, remote, local_port, remote_port } = self;
        to.bits([local.is_ipv4(), remote.is_ipv4()]);
        for address in [local, remote] {
            match address {
                IpAddr::V4(a) => to.bytes(&a.octets()),
                IpAddr::V6(a) => to.bytes(&a.octets()),
            }
        }
        [local_port, remote_port].iter().for_each(|port| to.bytes(&port.to_le_bytes()));
    }

    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let is_v4: [bool; 2] = from.bits();
        let [local, remote] = is_v4.map(|is_v4| match is_v4 {
            true => IpAddr::V4(from.bytes::<4>().into()),
            false => IpAddr::V6(from.bytes::<16>().into()),
        });
        let [local_port, remote_port] = [(); 2].map(|()| u16::from_le_bytes(from.bytes()));
        Tuple { local, remote, local_port, remote_port }
    }
}

impl Synchronized {
    fn park(&self, to: &mut Packer) -> Option<()> {
        let Synchronized {
            send,
            receive,
            closing,
            challenge_at,
            orphan_until,
            ecn,
            last_received_at,
            // What came before is old by the next time.
            moved: _,
            asking,
            urgent,
            soft,
            opening,
            end_read,
            resets,
            stats,
        } = self;
        if opening.is_some() || *resets {
            return None;
        }
        to.instant(*last_received_at);
        receive.park(to)?;
        send.park(receive.nxt, to)?;
        ecn.park(send.una, to)?;
        asking.park(to)?;
        to.bits([urgent.is_some(), *end_read]);
        urgent.iter().for_each(|up| to.word(up.0));
        to.number(soft.map_or(0, |soft| soft as u8 + 1));
        stats.park(to);
        let challenge_at = Some(*challenge_at).filter(|at| *at > to.now());
        let [local_first, remote_first] = [Closing::LocalFirst, Closing::RemoteFirst].map(|c| c == *closing);
        to.bits([local_first, remote_first, challenge_at.is_some(), orphan_until.is_some()]);
        challenge_at.iter().chain(orphan_until).for_each(|at| to.instant(*at));
        Some(())
    }

    fn unpark(from: &mut Unpacker<'_>) -> Self {
        let last_received_at = from.instant();
        let receive = crate::tcp::receive::Receive::unpark(from);
        let send = crate::tcp::send::Send::unpark(receive.nxt, from);
        let ecn = super::ecn::Ecn::unpark(send.una, from);
        let asking = super::keep_alive::KeepAliveProbes::unpark(from);
        let [is_urgent, end_read] = from.bits();
        let urgent = is_urgent.then(|| Seq(from.word()));
        let soft = crate::tcp::connection::soft_error::SoftError::of_number(from.number());
        let stats = super::info::Stats::unpark(from);
        let [local_first, remote_first, challenged, orphaned] = from.bits();
        let closing = match (local_first, remote_first) {
            (true, _) => Closing::LocalFirst,
            (_, true) => Closing::RemoteFirst,
            _ => Closing::Neither,
        };
        // Once it has passed, when it was is all the same.
        let challenge_at = if challenged { from.instant() } else { last_received_at };
        let orphan_until = orphaned.then(|| from.instant());
        Synchronized {
            send,
            receive,
            closing,
            challenge_at,
            orphan_until,
            ecn,
            last_received_at,
            moved: stats.bytes_moved(),
            asking,
            urgent,
            soft,
            opening: None,
            end_read,
            resets: false,
            stats,
        }
    }
}
