//! The receiving half of a connection that idles: packed, and as it was.

use super::{AckPolicy, Receive, SackUse};
use crate::base::pool::Chain;
use crate::seq::Range;
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::receive::ranges::Ranges;
use crate::time::Instant;

impl Receive {
    /// See [`park`](crate::tcp::connection::idle): everything was read, nothing is missing or owed.
    pub(in crate::tcp) fn park(&self, to: &mut Packer) -> Option<()> {
        let Receive {
            nxt,
            edge,
            queue,
            readable: _,
            ranges,
            fin,
            finished,
            shut,
            limit,
            limit_max,
            taken,
            taken_since,
            taken_before,
            scale,
            ack,
            mss_seen,
            mss,
            ts_recent,
            ts_recent_at,
            last_ack,
            sack,
            dsack,
            refused,
        } = self;
        let awaits = !queue.is_empty() || !ranges.is_empty() || (fin.is_some() && !finished);
        let (quickack, unacked) = ack.at_rest()?;
        if awaits || *refused || !dsack.is_empty() {
            return None;
        }
        to.word(nxt.0);
        to.near(*edge, *nxt);
        to.near(*last_ack, *nxt);
        let [holes, with_duplicates] = sack.park();
        to.bits([*finished, *shut, ts_recent.is_some(), holes, with_duplicates]);
        to.instant(*taken_since);
        for number in [
            *limit,
            limit_max - limit,
            *taken,
            *taken_before,
            u32::from(*scale),
            unacked,
            u32::from(quickack),
            u32::from(*mss_seen),
        ] {
            to.number(number);
        }
        to.number(*mss);
        if let Some(recent) = ts_recent {
            to.word(*recent);
            to.instant(*ts_recent_at);
        }
        Some(())
    }

    /// The other way.
    #[expect(clippy::cast_possible_truncation)] // each as it was packed
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Receive {
        let nxt = Seq(from.word());
        let (edge, last_ack) = (from.near(nxt), from.near(nxt));
        let [finished, shut, timestamps, holes, with_duplicates] = from.bits();
        let taken_since = from.instant();
        let [limit, more, taken, taken_before] = core::array::from_fn(|_| from.number() as u32);
        let (scale, unacked) = (from.number() as u8, from.number() as u32);
        let (quickack, mss_seen, mss) = (from.number() as u8, from.number() as u16, from.number() as u16);
        let (ts_recent, ts_recent_at) = match timestamps {
            true => (Some(from.word()), from.instant()),
            false => (None, Instant::ZERO),
        };
        Receive {
            nxt,
            edge,
            queue: Chain::with_promise(if finished || shut { 0 } else { edge.since(nxt) }),
            readable: 0,
            ranges: Ranges::default(),
            fin: finished.then(|| nxt - 1),
            finished,
            shut,
            limit,
            limit_max: limit + more,
            taken,
            taken_since,
            taken_before,
            scale,
            ack: AckPolicy::new(quickack, unacked),
            mss_seen,
            mss,
            ts_recent,
            ts_recent_at,
            last_ack,
            sack: SackUse::unpark([holes, with_duplicates]),
            dsack: Range::default(),
            refused: false,
        }
    }
}
