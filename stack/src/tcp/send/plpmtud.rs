//! How long a segment may be: what the peer takes, what the path takes by the word of interface and
//! routers, and the search for the latter where routers say nothing (RFC 4821, RFC 8899).
//!
//! Sizes are counted as the MSS is: payload and options of TCP, without its fixed header and that of IP.

#[cfg(not(feature = "path-probing"))]
#[path = "plpmtud/no_search.rs"]
mod search;
#[cfg(feature = "path-probing")]
mod search;
#[cfg(all(test, feature = "path-probing"))]
mod tests;

use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::time::Instant;
use core::num::NonZeroU16;
use search::Search;
pub(crate) use search::{Probing, probing};

/// Bytes of the headers of IP and TCP.
pub(crate) const HEADERS_V4: u8 = 40;
/// See [`HEADERS_V4`].
pub(crate) const HEADERS_V6: u8 = 60;
/// The size of a connection's segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentSize {
    /// What the peer takes.
    peer: u16,
    /// What the path takes, as interface and routers say.
    path: u16,
    /// Bytes of IP's and TCP's headers.
    headers: u8,
    /// Bytes of options in each segment.
    options: u8,
    /// A full segment has arrived since the size last changed.
    is_proven: bool,
    /// What a router says against that: believed if the timer fires before anything is acknowledged.
    doubted: Option<NonZeroU16>,
    probing: Probing,
    search: Option<Search>,
}

impl SegmentSize {
    /// That of a connection which is yet to begin.
    pub(crate) const UNMADE: SegmentSize = SegmentSize {
        peer: 0,
        path: 0,
        headers: 0,
        options: 0,
        is_proven: false,
        doubted: None,
        probing: search::NO_PROBING,
        search: None,
    };

    /// For a peer and a path that take so much, each segment with so many bytes of options.
    pub(crate) fn new(
        peer: u16,
        path: u16,
        headers: u8,
        options: u8,
        probing: Probing,
        now: Instant,
    ) -> Self {
        let mut size = SegmentSize {
            peer,
            path,
            headers,
            options,
            is_proven: false,
            doubted: None,
            probing,
            search: None,
        };
        size.begin(now);
        size
    }

    /// See [`park`](crate::tcp::connection::idle): no probe is under way, and no router in doubt.
    pub(in crate::tcp) fn park(&self, to: &mut Packer) -> Option<()> {
        let SegmentSize { peer, path, headers: _, options, is_proven, doubted, probing, search } = self;
        to.bits([self.is_v6(), *is_proven]);
        [*peer, *path, u16::from(*options)].iter().for_each(|n| to.number(*n));
        search::park(*probing, search.as_ref(), to)?;
        doubted.is_none().then_some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let [v6, is_proven] = from.bits();
        let [peer, path, options] = core::array::from_fn(|_| from.number() as u16);
        let (probing, search) = search::unpark(from);
        let (headers, options) = (if v6 { HEADERS_V6 } else { HEADERS_V4 }, options as u8);
        SegmentSize { peer, path, headers, options, is_proven, doubted: None, probing, search }
    }

    /// Our own invariants, for tests and the simulation.
    pub(in crate::tcp) fn check(&self, una: Seq) {
        assert!(self.search.is_none_or(|s| s.is_near(una)), "a probe of the path was left behind");
    }

    /// The largest packet of the path.
    pub(crate) fn path_mtu(&self) -> u16 {
        self.path + u16::from(self.headers)
    }

    /// Is there a search going on?
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Bytes of payload in a full segment.
    pub(crate) fn mss(&self) -> u16 {
        self.whole() - u16::from(self.options)
    }

    /// Bytes of options and payload in a full packet.
    pub(crate) fn whole(&self) -> u16 {
        let size = self.peer.min(self.path);
        self.search.map_or(size, |s| size.min(s.low()))
    }

    fn is_v6(&self) -> bool {
        self.headers == HEADERS_V6
    }

    /// The path takes packets of `mtu` bytes, say interface and routers.
    pub(crate) fn on_path(&mut self, mtu: u16) {
        self.path = mtu.saturating_sub(self.headers.into()).max(u16::from(self.options) + 1);
        self.is_proven = false;
        self.doubted = None;
        if let Some(search) = &mut self.search {
            search.on_path(self.path);
        }
    }

    /// A router says that the path takes no more than `mtu` bytes. True: but longer segments have
    /// arrived, so that is believed only if they do not any more.
    //= rfc5927#7.2
    pub(crate) fn doubts(&mut self, mtu: u16) -> bool {
        if self.is_proven {
            self.doubted = NonZeroU16::new(mtu);
        }
        self.is_proven
    }

    /// `acked` bytes were acknowledged, up to `una`. True: segments may be longer now.
    pub(crate) fn on_ack(&mut self, una: Seq, acked: u32, now: Instant) -> bool {
        self.on_plain_ack(acked);
        let options = self.options.into();
        self.search.as_mut().is_some_and(|search| search.on_ack(una, options, now))
    }

    /// The same while no longer segments are probed.
    #[inline]
    pub(crate) fn on_plain_ack(&mut self, acked: u32) {
        self.doubted = None;
        self.is_proven |= acked >= u32::from(self.mss());
    }

    /// The timer fired, so often in a row, with `front` bytes of payload in flight from `una` on.
    /// Returns the path MTU if a router's word is believed now.
    pub(crate) fn on_timeout(&mut self, una: Seq, in_row: u8, front: u32, now: Instant) -> Option<u16> {
        self.on_lost(una, 0, now);
        if let Some(mtu) = self.doubted.map(NonZeroU16::get) {
            self.on_path(mtu);
            return Some(mtu);
        }
        if front >= u32::from(self.mss()) {
            self.on_full_lost(in_row, now);
        }
        None
    }
}
