//! The receive window, and what it promises: never more than there is memory for, and something for everybody.
//!
//! A window is a promise that can't be taken back (RFC 9293 §3.8.6, SHLD-14), so the pool counts every byte
//! of it as gone ([`Chain::promise`]), and the more are promised already, the less the next ones get:
//! 64 KiB at first; a part of a block; then as much as an ordinary request takes, for some ten thousand
//! connections in 16 MiB; then nothing until memory is given back. A peer that uses its window gets more of
//! what is left, half of it at most.

#![warn(clippy::cast_possible_truncation)]

use super::super::segment::{Flags, Segment};
use super::{Receive, SackUse};
use crate::base::pool::{Chain, Need, Pool, to_u32};
use crate::seq::Seq;

/// The largest window that a header tells without a scale.
const UNSCALED_MAX: u32 = 65_535;
/// A window opens by a segment, or where memory is small by this part of it.
const OPENING: usize = 16;

/// The window of a connection that a SYN cookie brings: so little that there is memory for it then.
pub(crate) const LEAST: u32 = 252;
/// The next larger one: a segment, with what lies around it.
const MODEST: usize = 2044;

/// How many bytes of a connection that has yet to receive any may be promised.
pub(crate) fn first_window(pool: &Pool<'_>, limit: u32) -> u32 {
    let (queue, limit) = (Chain::new(), limit.min(UNSCALED_MAX) as usize);
    let ahead = queue.promisable(pool, limit.min(pool.beyond(Need::Ahead) / 4), Need::Ahead);
    to_u32(ahead.max(smaller(&queue, pool, limit)))
}

/// What may be promised where larger windows can't.
fn smaller(queue: &Chain, pool: &Pool<'_>, limit: usize) -> usize {
    let modest = queue.promisable(pool, limit.min(MODEST), Need::Wide);
    modest.max(queue.promisable(pool, limit.min(pool.least_len()), Need::Window))
}

/// Is a segment in the window of `wnd` from `nxt` on, in any state? Two kinds are taken beyond the table of the RFC: at a
/// closed window acknowledgment, reset and window count, though not the payload (H029); and a peer that has used up the
/// window has no other number than its end for a bare acknowledgment. The payload of a reset means nothing (SHLD-2).
//= rfc9293#3.10.7.4: the table of four cases
//= rfc5961#3.2: of a reset the number counts
pub(crate) fn is_acceptable(segment: &Segment<'_>, nxt: Seq, wnd: u32) -> bool {
    let is_reset = segment.flags.has(Flags::RST);
    let (seq, len) = (segment.seq, if is_reset { 0 } else { segment.len() });
    let in_window = match (len, wnd) {
        (0, _) => seq.within(nxt, wnd),
        _ => seq.within(nxt, wnd) || (wnd > 0 && (seq + (len - 1)).within(nxt, wnd)),
    };
    let at_edge = len == 0 && !is_reset && seq == nxt + wnd;
    in_window || (wnd == 0 && seq == nxt) || at_edge
}

impl Receive {
    /// Memory for what is inside the window; where nothing comes any more, for what lies here.
    #[inline]
    pub(super) fn keep_promise(&mut self, pool: &mut Pool<'_>) {
        let open = if self.finished || self.shut { 0 } else { self.wnd() };
        self.queue.promise(pool, (self.readable + open) as usize);
    }

    /// The window to advertise: its field in the header and the right edge that it means.
    ///
    /// The edge moves on by a segment or half the buffer at least (RFC 9293 §3.8.6.2.2, H024) and
    /// never back.
    #[inline]
    pub(crate) fn window(&self, pool: &Pool<'_>) -> (u16, Seq) {
        // A peer that goes on sending into silence gives up; one that finds the window closed asks.
        if self.refused {
            return (0, self.edge);
        }
        // Without SACK a duplicate acknowledgment has the window of the one before, or it is none (RFC
        // 5681 §2); and a window as large as the buffer can't open further.
        let repeats = self.ack.owes_duplicates() && self.last_ack == self.nxt && self.sack == SackUse::Off;
        let edge = match repeats || self.is_all_told(pool) {
            true => self.edge,
            false => self.edge_after_opening(pool),
        };
        let (wnd, unit) = (edge.since(self.nxt), 1 << self.scale);
        if wnd & (unit - 1) == 0
            && let Ok(field) = u16::try_from(wnd >> self.scale)
        {
            return (field, edge);
        }
        // A header can't tell it exactly: a little more, where there is memory for a larger window. Else less,
        // as is allowed (RFC 7323 §2.4; what was told before still counts): with every byte that a peer sends
        // for itself it would get another, and ten thousand idle connections a larger part of a block each.
        let more = (self.readable + wnd.next_multiple_of(unit)) as usize;
        let rounds_up = wnd.is_multiple_of(unit)
            || (more <= 2 * self.limit as usize && self.queue.promisable(pool, more, Need::Wide) == more);
        let field = (wnd >> self.scale) + u32::from(rounds_up && !wnd.is_multiple_of(unit));
        let field = u16::try_from(field).unwrap_or(u16::MAX);
        (field, (self.nxt + (u32::from(field) << self.scale)).later_of(self.edge))
    }

    /// Could the window, whatever memory there is for it, open by so little only that it is not worth telling?
    #[inline]
    fn is_all_told(&self, pool: &Pool<'_>) -> bool {
        let most = self.limit.saturating_sub(self.readable + self.wnd());
        most < (self.limit / 2).max(1) && most < self.opening_least(self.limit, pool)
    }

    /// The edge that is possible, if that is worth telling.
    fn edge_after_opening(&self, pool: &Pool<'_>) -> Seq {
        let most = self.most(pool);
        let possible = self.edge_possible(most);
        if possible.since(self.edge) < self.opening_least(most, pool) { self.edge } else { possible }
    }

    /// Where the edge could be if so many bytes may be held.
    fn edge_possible(&self, most: u32) -> Seq {
        if self.finished {
            return self.edge;
        }
        let room = most.saturating_sub(self.readable);
        let room = (room >> self.scale) << self.scale;
        self.edge.later_of(self.nxt + room.min(UNSCALED_MAX << self.scale))
    }

    /// How many bytes the connection may hold for its reader. At most half of what is left for the others:
    /// so all that receive as much as they can come to hold the same, and something is left for the next.
    fn most(&self, pool: &Pool<'_>) -> u32 {
        if self.shut {
            return self.limit; // nothing is kept
        }
        let (queue, limit) = (&self.queue, self.limit as usize);
        if pool.has_plenty(limit.saturating_mul(2), Need::Wide) {
            return self.limit;
        }
        let share = (pool.beyond(Need::Wide) + queue.commitment(pool)) / 2;
        let wide = queue.promisable(pool, limit.min(share), Need::Wide);
        to_u32(wide.max(smaller(queue, pool, limit)))
    }

    /// By how much the window has to open before that is told.
    #[inline]
    fn opening_least(&self, most: u32, pool: &Pool<'_>) -> u32 {
        // Where segments are large and memory is small, writers may leave less than a segment.
        let least = to_u32((pool.capacity() / OPENING).min(self.mss.into()));
        least.min(self.limit.min(most) / 2).max(1)
    }

    /// Bytes were read: is the window so much wider than the peer knows that it must be told?
    pub(crate) fn wants_update(&self, pool: &Pool<'_>) -> bool {
        // It may open up to the limit: where little was used there is nothing to ask the pool for.
        if self.wnd() >= self.mss.into()
            && self.limit.saturating_sub(self.readable + self.wnd()) < self.limit / 2
        {
            return false;
        }
        let most = self.most(pool);
        let opening = self.edge_possible(most).since(self.edge);
        opening >= (self.limit / 2).max(1)
            || (self.wnd() < self.mss as u32 && opening >= self.opening_least(most, pool))
    }

    /// There may be memory again for payload that found none: true once.
    pub(crate) fn reopens(&mut self) -> bool {
        core::mem::take(&mut self.refused)
    }

    /// Is there next to no window, for want of memory and not of reading?
    pub(crate) fn is_narrow(&self) -> bool {
        if self.refused {
            return true;
        }
        let least = LEAST.min(self.limit) / 2;
        self.wnd() < least && self.readable + least <= self.limit && !self.finished && !self.shut
    }
}
