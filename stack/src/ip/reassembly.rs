//! Reassembly of fragments, IPv4 (RFC 791 §3.2, RFC 815) and IPv6 (RFC 8200 §4.5).
//!
//! Fragments of a datagram lie in a chain of the pool in the order in which they came, each behind a record of
//! what it is. So a datagram takes the memory of what has arrived of it, wherever in it that is; and since no
//! two of them overlap, it is whole when they are as long as it. Then they are copied to their places in one buffer,
//! from which it goes the way of every packet.
//!
//! All of this is strangers' work, and bounded: places are handed in by the caller, all chains together take an
//! eighth of the pool, a datagram has [`FRAGMENTS_MAX`] fragments at most. Where one is missing the oldest gives way.

#![warn(clippy::cast_possible_truncation)]

use core::net::IpAddr;

use managed::ManagedSlice;

use super::InterfaceId;
use crate::base::holder::Holder;
use crate::base::lent::Places;
use crate::base::pool::{Chain, Cursor, Need, Pool, to_u32};
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::time::{Duration, Instant};
use crate::wire::{FRAGMENT_LEN, IPV6_LEN, make_whole_v4, make_whole_v6};

/// How long the rest of a datagram is waited for. IPv4's is Linux's; RFC 1122 §3.3.2 would have 60 s at least, in
/// which a fast sender uses its 65,536 identifications up.
const LIFETIME_V4: Duration = Duration::from_secs(30);
//= rfc8200#4.5
const LIFETIME_V6: Duration = Duration::from_secs(60);
/// Fragments of one datagram: those of the longest over links of 576 bytes. More would be work for each that comes.
pub(crate) const FRAGMENTS_MAX: u8 = 128;
/// The longest packet: IPv6's length does not count its own header.
#[cfg(feature = "alloc")]
const PACKET_MAX: usize = IPV6_LEN + 65_535;
/// Of the pool.
const SHARE: usize = 8;

/// Which datagram a fragment is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) interface: InterfaceId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// RFC 791 §3.2: the protocol tells datagrams of IPv4 apart as well. 0 for IPv6.
    pub(crate) protocol: u8,
    pub(crate) ident: u32,
}

impl Key {
    /// Of the headers before a part, what the whole packet has too: all but the fragment header.
    const fn kept(&self, head_len: usize) -> usize {
        head_len - if self.source.is_ipv4() { 0 } else { FRAGMENT_LEN }
    }
}

/// A fragment as it arrived.
#[derive(Clone, Copy)]
pub(crate) struct Fragment<'p> {
    pub(crate) key: Key,
    /// Where its part begins in the datagram's, in bytes.
    pub(crate) offset: u32,
    pub(crate) more: bool,
    /// Everything before its part: for IPv6, the fragment header too.
    pub(crate) head: Bytes<'p>,
    pub(crate) part: Bytes<'p>,
    /// IPv6: which byte of the head names the fragment header, and what that names.
    pub(crate) named_at: u16,
    pub(crate) next_header: u8,
    pub(crate) ecn: u8,
    /// The link carried it to several stations.
    pub(crate) link_broadcast: bool,
}

impl Fragment<'_> {
    fn end(&self) -> u32 {
        self.offset + to_u32(self.part.len())
    }

    /// Bytes of its head that the whole packet has too.
    fn kept_head(&self) -> usize {
        self.key.kept(self.head.len())
    }

    /// What no sender may make (RFC 791 §3.2, RFC 8200 §4.5).
    fn check(&self) -> Result<(), Drop> {
        if self.part.is_empty() || (self.more && !self.part.len().is_multiple_of(8)) {
            return Err(Drop::FragmentMalformed);
        }
        // H060: the field of the whole packet's length has 16 bits; IPv6's own header does not count.
        let headers = self.kept_head() - if self.key.source.is_ipv4() { 0 } else { IPV6_LEN };
        match headers + self.end() as usize {
            ..=65_535 => Ok(()),
            _ => Err(Drop::FragmentTooLong),
        }
    }
}

impl Fragment<'_> {
    /// Does it lead beyond what the field of a packet's length can say?
    pub(crate) fn leads_beyond(&self) -> bool {
        self.check() == Err(Drop::FragmentTooLong)
    }
}

/// What lies before each part in the chain: where it belongs, how long it is, and how long the headers between
/// are, which the first fragment keeps.
#[derive(Clone, Copy)]
struct Record {
    offset: u16,
    len: u16,
    head_len: u16,
}

const RECORD_LEN: usize = 6;

impl Record {
    #[expect(clippy::cast_possible_truncation, reason = "checked: a packet has 65,535 bytes and its header")]
    fn of(fragment: &Fragment<'_>) -> Record {
        let head_len = if fragment.offset == 0 { fragment.head.len() as u16 } else { 0 };
        Record { offset: fragment.offset as u16, len: fragment.part.len() as u16, head_len }
    }

    fn emit(self) -> [u8; RECORD_LEN] {
        let ([a, b], [c, d], [e, f]) =
            (self.offset.to_le_bytes(), self.len.to_le_bytes(), self.head_len.to_le_bytes());
        [a, b, c, d, e, f]
    }

    /// The record at `at` in a chain.
    fn read(chain: &Chain, pool: &Pool<'_>, cursor: &mut Cursor, at: usize) -> Record {
        let mut pieces = heapless::Vec::<&[u8], 2>::new();
        chain.pieces(pool, cursor, at, RECORD_LEN, &mut pieces);
        let mut bytes = pieces.iter().copied().flatten().copied();
        let mut word = || u16::from_le_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]);
        Record { offset: word(), len: word(), head_len: word() }
    }

    const fn total(self) -> usize {
        RECORD_LEN + self.head_len as usize + self.len as usize
    }
}

/// A datagram that is not complete. See [`FragmentSlot`].
#[derive(Debug)]
struct Partial {
    key: Key,
    since: Instant,
    chain: Chain,
    /// Where the furthest part ends, and the last, if that has come.
    end: u32,
    last_end: Option<u32>,
    /// Bytes of parts that have come.
    got: u32,
    fragments: u8,
    /// Of the first fragment, once it has come: its headers, and what IPv6's name.
    head_len: u16,
    named_at: u16,
    next_header: u8,
    ecn: u8,
    /// One bit for each codepoint of the ECN field that fragments had.
    marks: u8,
    link_broadcast: bool,
    /// It was given up for this reason, and what still comes of it too.
    given_up: Option<Drop>,
}

impl Partial {
    const fn new(key: Key, now: Instant) -> Partial {
        Partial {
            key,
            since: now,
            chain: Chain::new(),
            end: 0,
            last_end: None,
            got: 0,
            fragments: 0,
            head_len: 0,
            named_at: 0,
            next_header: 0,
            ecn: 0,
            marks: 0,
            link_broadcast: false,
            given_up: None,
        }
    }

    fn deadline(&self) -> Instant {
        self.since + if self.key.source.is_ipv4() { LIFETIME_V4 } else { LIFETIME_V6 }
    }

    fn is_whole(&self) -> bool {
        self.last_end == Some(self.got)
    }

    /// The records in the chain, with where they lie.
    fn records<'p>(&self, pool: &'p Pool<'_>) -> impl Iterator<Item = (usize, Record)> + use<'_, 'p> {
        let (mut at, mut cursor) = (0, Cursor::FRONT);
        core::iter::from_fn(move || {
            (at < self.chain.len()).then(|| {
                let (here, record) = (at, Record::read(&self.chain, pool, &mut cursor, at));
                at += record.total();
                (here, record)
            })
        })
    }

    /// Does a fragment go with those that are there?
    fn check(&self, fragment: &Fragment<'_>, pool: &Pool<'_>) -> Result<(), Drop> {
        let (start, end) = (fragment.offset, fragment.end());
        let mine = Record::of(fragment);
        if start < self.end {
            //= rfc8200#4.5: exact duplicates may be dropped, and are no overlap
            let is_same = |r: Record| (r.offset, r.len) == (mine.offset, mine.len);
            let overlaps =
                |r: Record| start < u32::from(r.offset) + u32::from(r.len) && u32::from(r.offset) < end;
            let clash = self.records(pool).map(|(_, r)| r).find(|r| overlaps(*r));
            match clash {
                Some(r) if is_same(r) => return Err(Drop::FragmentDuplicate),
                Some(_) => return Err(Drop::FragmentOverlap),
                None => {}
            }
        }
        // One end only, and nothing beyond it: the same trick as an overlap.
        let contradicts = match self.last_end {
            Some(last) => !fragment.more || end > last,
            None => !fragment.more && end < self.end,
        };
        match contradicts {
            true => Err(Drop::FragmentOverlap),
            false if self.fragments >= FRAGMENTS_MAX => Err(Drop::FragmentTooMany),
            false => Ok(()),
        }
    }

    /// Notes what was appended.
    fn note(&mut self, fragment: &Fragment<'_>) {
        self.got += to_u32(fragment.part.len());
        self.end = self.end.max(fragment.end());
        self.fragments += 1;
        self.marks |= 1 << fragment.ecn;
        self.link_broadcast |= fragment.link_broadcast;
        if !fragment.more {
            self.last_end = Some(fragment.end());
        }
        // H069: the first fragment's headers are those of the datagram.
        if fragment.offset == 0 {
            self.head_len = Record::of(fragment).head_len;
            (self.named_at, self.next_header) = (fragment.named_at, fragment.next_header);
            self.ecn = fragment.ecn;
        }
    }

    /// The ECN field of the whole.
    //= rfc3168#5.3: a mark is not lost; where others can't be marked, the datagram is dropped
    const fn whole_ecn(&self) -> Result<u8, Drop> {
        const CE: u8 = 3;
        match (self.marks & 1 << CE != 0, self.marks & 1 != 0) {
            (true, true) => Err(Drop::FragmentMarks),
            (true, false) => Ok(CE),
            (false, true) => Ok(0),
            (false, false) => Ok(self.ecn),
        }
    }
}

/// The place of a datagram that is not complete; in a [`Storage`](crate::stack::Storage).
#[derive(Debug, Default)]
pub struct FragmentSlot(Holder<Partial>);

impl FragmentSlot {
    /// A free place.
    pub const EMPTY: FragmentSlot = FragmentSlot(Holder::Empty);
}

/// A datagram whose time is over before it was complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expired {
    pub(crate) key: Key,
    pub(crate) link_broadcast: bool,
    /// The first fragment lies at the front of the buffer, as far as that reaches.
    pub(crate) quoted: usize,
}

/// All datagrams that are not complete.
pub(crate) struct Reassembly<'a> {
    places: Places<'a, FragmentSlot>,
    /// Where a datagram is put together. Of the heap, where it is as long as was needed.
    buffer: Places<'a, u8>,
    /// Places in use.
    count: usize,
    /// Datagrams that gave way and were not counted yet.
    gave_way: u32,
}

impl<'a> Reassembly<'a> {
    pub(crate) const fn empty() -> Self {
        Reassembly { places: Places::none(), buffer: Places::none(), count: 0, gave_way: 0 }
    }

    pub(crate) fn start(&mut self, places: ManagedSlice<'a, FragmentSlot>, buffer: ManagedSlice<'a, u8>) {
        (self.places, self.buffer) = (places.into(), buffer.into());
    }

    /// Is there no place for any datagram?
    pub(crate) fn is_off(&self) -> bool {
        self.places.is_empty()
    }

    /// The longest packet that can be put together (H073).
    fn packet_max(&self, pool: &Pool<'_>) -> usize {
        let room = match &self.buffer {
            Places::Lent(buffer) => buffer.len(),
            #[cfg(feature = "alloc")]
            Places::Heap(_) => PACKET_MAX,
        };
        room.min(pool.capacity() / SHARE)
    }

    fn partials(&self) -> impl Iterator<Item = (usize, &Partial)> {
        let used = if self.count == 0 { 0 } else { self.places.len() };
        self.places[..used].iter().enumerate().filter_map(|(at, slot)| Some((at, slot.0.as_ref()?)))
    }

    /// When the next one is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.partials().map(|(_, p)| p.deadline()).min()
    }

    /// Takes a fragment in. `Some`: the length of the whole packet, which lies in the buffer; take that by
    /// [`lend`](Reassembly::lend).
    pub(crate) fn take(
        &mut self,
        fragment: &Fragment<'_>,
        pool: &mut Pool<'_>,
        now: Instant,
    ) -> Result<Option<(usize, bool)>, Drop> {
        fragment.check()?;
        let packet_max = self.packet_max(pool);
        let found = self.partials().find(|(_, p)| p.key == fragment.key).map(|(at, _)| at);
        let at = match found {
            Some(at) => at,
            None => self.open(fragment.key, pool, now)?,
        };
        let Some(partial) = self.places[at].0.as_mut() else { return Err(Drop::FragmentNoMemory) };
        //= rfc5722#4: what was not received yet is discarded as well
        if let Some(reason) = partial.given_up {
            return Err(reason);
        }
        let fits = match fragment.kept_head() + fragment.end() as usize <= packet_max {
            true => partial.check(fragment, pool),
            false => Err(Drop::FragmentTooLong),
        };
        let kept = fits.and_then(|()| self.keep(at, fragment, pool));
        match kept {
            Ok(false) => Ok(None),
            Ok(true) => {
                let whole = self.put_together(at, pool);
                self.close(at, pool);
                whole.map(Some)
            }
            Err(Drop::FragmentDuplicate) => Err(Drop::FragmentDuplicate),
            Err(drop) => {
                if let Some(partial) = self.places[at].0.as_mut() {
                    partial.chain.clear(pool);
                    partial.given_up = Some(drop);
                }
                Err(drop)
            }
        }
    }

    /// A place for a new datagram. H066: the oldest gives it up if need be.
    fn open(&mut self, key: Key, pool: &mut Pool<'_>, now: Instant) -> Result<usize, Drop> {
        if self.count == self.places.len() {
            let oldest = self.partials().min_by_key(|(_, p)| p.since).map(|(at, _)| at);
            self.give_way(oldest.ok_or(Drop::FragmentNoMemory)?, pool);
        }
        let free = self.places.iter().position(|slot| slot.0.is_empty()).ok_or(Drop::FragmentNoMemory)?;
        self.places[free].0 = Holder::Entry(Partial::new(key, now));
        self.count += 1;
        Ok(free)
    }

    fn give_way(&mut self, at: usize, pool: &mut Pool<'_>) {
        let counted = self.places[at].0.as_ref().is_some_and(|p| p.given_up.is_none());
        self.gave_way += u32::from(counted);
        self.close(at, pool);
    }

    fn close(&mut self, at: usize, pool: &mut Pool<'_>) {
        if let Some(mut partial) = self.places[at].0.take() {
            partial.chain.clear(pool);
            self.count -= 1;
        }
    }

    /// Appends a fragment to its datagram's chain; the oldest of the others give way to it. True: now it is whole.
    fn keep(&mut self, at: usize, fragment: &Fragment<'_>, pool: &mut Pool<'_>) -> Result<bool, Drop> {
        let record = Record::of(fragment);
        while !self.has_room(at, record.total(), pool) {
            let others = self.partials().filter(|(other, p)| *other != at && !p.chain.is_empty());
            let oldest = others.min_by_key(|(_, p)| p.since).map(|(other, _)| other);
            self.give_way(oldest.ok_or(Drop::FragmentNoMemory)?, pool);
        }
        let Some(partial) = self.places[at].0.as_mut() else { return Err(Drop::FragmentNoMemory) };
        let head = fragment.head.slice(0, record.head_len.into());
        partial.chain.append(pool, &record.emit(), Need::Bulk);
        for piece in head.chunks().chain(fragment.part.chunks()) {
            partial.chain.append(pool, piece, Need::Bulk);
        }
        partial.note(fragment);
        Ok(partial.is_whole())
    }

    /// Makes room for `more` bytes in a chain. False: the pool or its share for fragments has not so much.
    fn has_room(&mut self, at: usize, more: usize, pool: &mut Pool<'_>) -> bool {
        let share = pool.capacity() / SHARE;
        let others =
            self.partials().filter(|(other, _)| *other != at).map(|(_, p)| p.chain.held(pool)).sum::<usize>();
        let Some(partial) = self.places[at].0.as_mut() else { return false };
        let len = partial.chain.len();
        if others + len + more > share {
            return false;
        }
        let reserved = partial.chain.reserve(pool, len + more, Need::Bulk);
        if !reserved || others + partial.chain.held(pool) > share {
            partial.chain.truncate(pool, len);
            return false;
        }
        true
    }

    /// Copies the fragments to their places in the buffer, behind the first one's headers.
    fn put_together(&mut self, at: usize, pool: &Pool<'_>) -> Result<(usize, bool), Drop> {
        let Some(partial) = self.places[at].0.as_ref() else { return Err(Drop::FragmentNoMemory) };
        let ecn = partial.whole_ecn()?;
        let head_len = partial.key.kept(partial.head_len.into());
        let len = head_len + partial.got as usize;
        if !has_len(&mut self.buffer, len) {
            return Err(Drop::FragmentNoMemory);
        }
        let packet = self.buffer.get_mut(..len).ok_or(Drop::FragmentTooLong)?;
        for (at, record) in partial.records(pool) {
            let head_at = at + RECORD_LEN;
            if record.head_len > 0 {
                partial.chain.copy_out(pool, head_at, &mut packet[..head_len]);
            }
            let place = &mut packet[head_len + usize::from(record.offset)..][..record.len.into()];
            partial.chain.copy_out(pool, head_at + usize::from(record.head_len), place);
        }
        match partial.key.source {
            IpAddr::V4(_) => make_whole_v4(packet, head_len, ecn),
            IpAddr::V6(_) => make_whole_v6(packet, partial.named_at.into(), partial.next_header, ecn),
        }
        Ok((len, partial.link_broadcast))
    }

    /// Lets somebody write `len` bytes into the buffer, who says how many they are. `None`: there is no memory.
    pub(crate) fn fill(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> usize) -> Option<usize> {
        let place = has_len(&mut self.buffer, len).then(|| self.buffer.get_mut(..len))??;
        Some(fill(place).min(len))
    }

    /// Takes the buffer, to be given back. Meanwhile nothing can be put together.
    pub(crate) fn lend(&mut self) -> Places<'a, u8> {
        core::mem::replace(&mut self.buffer, Places::none())
    }

    pub(crate) fn give_back(&mut self, buffer: Places<'a, u8>) {
        self.buffer = buffer;
    }

    /// How many gave way since it was last asked.
    pub(crate) fn take_gave_way(&mut self) -> u32 {
        core::mem::take(&mut self.gave_way)
    }

    /// The first fragment of `partial` in the buffer, `most` bytes of it.
    fn quote(&mut self, at: usize, most: usize, pool: &Pool<'_>) -> usize {
        let Some(partial) = self.places[at].0.as_ref() else { return 0 };
        let Some((at, record)) = partial.records(pool).find(|(_, r)| r.head_len > 0) else { return 0 };
        let len = (usize::from(record.head_len) + usize::from(record.len)).min(most);
        if !has_len(&mut self.buffer, len) {
            return 0;
        }
        let len = len.min(self.buffer.len());
        partial.chain.copy_out(pool, at + RECORD_LEN, &mut self.buffer[..len])
    }

    /// Gives one up whose time is over. Its first fragment, `most` bytes of it, is what to tell its sender about.
    /// `Some(None)`: nobody has to be told or counted.
    pub(crate) fn expire(
        &mut self,
        most: usize,
        pool: &mut Pool<'_>,
        now: Instant,
    ) -> Option<Option<Expired>> {
        let (at, partial) = self.partials().find(|(_, p)| p.deadline() <= now)?;
        let (key, link_broadcast, was_given_up) =
            (partial.key, partial.link_broadcast, partial.given_up.is_some());
        let quoted = if was_given_up { 0 } else { self.quote(at, most, pool) };
        self.close(at, pool);
        Some((!was_given_up).then_some(Expired { key, link_broadcast, quoted }))
    }

    /// Forgets what came by an interface that is gone.
    pub(crate) fn forget(&mut self, interface: InterfaceId, pool: &mut Pool<'_>) {
        for at in 0..self.places.len() {
            if self.places[at].0.as_ref().is_some_and(|p| p.key.interface == interface) {
                self.give_way(at, pool);
            }
        }
    }
}

/// Makes a buffer of the heap that long. One of the caller's is as long as it is.
#[cfg(feature = "alloc")]
fn has_len(buffer: &mut Places<'_, u8>, len: usize) -> bool {
    let Places::Heap(bytes) = buffer else { return true };
    let more = len.saturating_sub(bytes.len());
    if bytes.try_reserve_exact(more).is_err() {
        return false;
    }
    bytes.resize(bytes.len() + more, 0);
    true
}

/// A buffer of the caller's is as long as it is.
#[cfg(not(feature = "alloc"))]
const fn has_len(_: &mut Places<'_, u8>, _: usize) -> bool {
    true
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
