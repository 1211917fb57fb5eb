//! Urgent data: it stays in the stream where it stands, and the application can learn how far it
//! reaches (RFC 9293 §3.8.5). We send none: new applications should not (SHLD-13).

use super::tcb::{Effects, Phase, Synchronized, Tcb};
use crate::tcp::segment::{Flags, Segment};

impl Synchronized {
    /// Sixth: the URG bit. The pointer is to the number after the urgent data, however far that is
    /// from what this segment brings (RFC 6093 §3).
    //= rfc9293#3.10.7.4 sixth, check the URG bit
    //= rfc9293#3.8.5 MUST-30, MUST-31, MUST-62
    //= rfc9293#3.4 MUST-66
    pub(in crate::tcp) fn check_urgent(&mut self, segment: &Segment<'_>, effects: &mut Effects) {
        if !segment.flags.has(Flags::URG) || segment.urgent == 0 || self.receive.finished {
            return;
        }
        let up = segment.seq + u32::from(segment.urgent);
        let known = self.urgent.unwrap_or(self.receive.read_to());
        if known.before(up) {
            self.urgent = Some(up);
            //= rfc9293#3.8.5 MUST-32
            effects.urgent = true;
            effects.readable = true;
        }
    }

    /// How much of the urgent data is still to be read, what has not come yet included.
    fn urgent_left(&self) -> Option<u32> {
        let (up, read_to) = (self.urgent?, self.receive.read_to());
        // Nothing is behind the FIN.
        let up = if self.receive.finished { up.earlier_of(self.receive.nxt - 1) } else { up };
        read_to.before(up).then(|| up.since(read_to))
    }

    /// Something was read: urgent data may lie behind.
    pub(in crate::tcp) fn pass_urgent(&mut self) {
        self.urgent = self.urgent.filter(|up| self.receive.read_to().before(*up));
    }
}

impl Tcb {
    pub(crate) fn urgent_left(&self) -> Option<u32> {
        match &self.phase {
            Phase::Synchronized(s) => s.urgent_left(),
            Phase::SynSent(_) | Phase::SynReceived(_) | Phase::Over(_) => None,
        }
    }
}
