//! The settings of all connections: the stack's, and the sets of options that connections have.

use crate::base::pool::Pool;
use crate::base::slab::{Slab, Slot};
use crate::counters::TcpCounts;
use crate::error::Error;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::time::Instant;
use managed::ManagedSlice;

/// Names a connection's set of options, or the stack's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Profile(u32);

impl Profile {
    /// [`TcpConfig::options`].
    pub(crate) const STACK: Profile = Profile(u32::MAX);

    /// See [`park`](crate::tcp::connection::idle).
    pub(in crate::tcp) fn park(self, to: &mut Packer) {
        let Profile(index) = self;
        // The stack's own, the usual, is as short as zero.
        to.number(index.wrapping_add(1));
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Self {
        Profile((from.number() as u32).wrapping_sub(1))
    }
}

/// A set of options in its table, and how many connections and listeners have it.
#[derive(Debug)]
pub struct OptionsEntry {
    options: TcpOptions,
    users: u32,
}

/// All that a step of the engine is given beside the connection, the time and the memory.
///
/// Connections with equal options share one set, so that what a server sets on each of its
/// connections takes the memory of one.
pub(crate) struct Settings<'a> {
    pub(crate) config: TcpConfig,
    profiles: Slab<'a, OptionsEntry>,
    pub(crate) counts: TcpCounts,
}

/// Programs have few different sets: an equal one is looked for only among so many, so that setting
/// an option costs the same however many there are.
const LOOKED_AT: u32 = 16;

impl<'a> Settings<'a> {
    /// Without a place for options, and without the defaults: they are there from the start on.
    pub(in crate::tcp) const fn empty() -> Self {
        Settings { config: TcpConfig::NOTHING, profiles: Slab::empty(), counts: TcpCounts::new() }
    }

    pub(in crate::tcp) fn start(&mut self, storage: ManagedSlice<'a, Slot<OptionsEntry>>, limit: usize) {
        self.profiles = Slab::new(storage, limit);
        self.set_defaults();
    }

    /// The defaults, unless they were there before: a program may set something before the start.
    pub(crate) fn set_defaults(&mut self) {
        // No program may set it to 0.
        if self.config.send_buffer == 0 {
            self.config = TcpConfig::DEFAULT;
        }
    }

    /// What a step of a connection with this profile is given.
    #[inline]
    pub(in crate::tcp) fn cx<'c, 'p>(
        &'c self,
        profile: Profile,
        now: Instant,
        pool: &'c mut Pool<'p>,
    ) -> Context<'c, 'p> {
        self.context(self.options(profile), now, pool)
    }

    /// The same for a connection with these options.
    #[inline]
    pub(crate) fn context<'c, 'p>(
        &'c self,
        options: &'c TcpOptions,
        now: Instant,
        pool: &'c mut Pool<'p>,
    ) -> Context<'c, 'p> {
        Context { now, pool, config: &self.config, options, counts: &self.counts }
    }

    /// What a profile stands for.
    #[inline]
    pub(crate) fn options(&self, profile: Profile) -> &TcpOptions {
        match profile {
            Profile::STACK => &self.config.options,
            Profile(index) => self.profiles.at(index).map_or(&self.config.options, |e| &e.options),
        }
    }

    /// One user more.
    pub(in crate::tcp) fn share(&mut self, profile: Profile) {
        if let Some(entry) = self.profiles.at_mut(profile.0) {
            entry.users += 1;
        }
    }

    /// One user less.
    pub(in crate::tcp) fn release(&mut self, profile: Profile) {
        if let Some(entry) = self.profiles.at_mut(profile.0) {
            entry.users -= 1;
            if entry.users == 0 {
                self.profiles.remove(profile.0);
            }
        }
    }

    /// A profile with these options. [`Error::OutOfMemory`]: there is no place for one more set.
    pub(in crate::tcp) fn find(&mut self, options: TcpOptions) -> Result<Profile, Error> {
        options.check()?;
        if options == self.config.options {
            return Ok(Profile::STACK);
        }
        let among = self.profiles.places().min(LOOKED_AT);
        let equal = (0..among).find(|i| self.profiles.at(*i).is_some_and(|e| e.options == options));
        if let Some(index) = equal {
            self.share(Profile(index));
            return Ok(Profile(index));
        }
        let key = self.profiles.insert(OptionsEntry { options, users: 1 }).map_err(|_| Error::OutOfMemory)?;
        Ok(Profile(key.index))
    }

    /// Another set of options for one that has `profile`.
    pub(in crate::tcp) fn change(&mut self, profile: Profile, options: TcpOptions) -> Result<Profile, Error> {
        // In its own place, where it has one to itself: then there is always room.
        let alone = self.profiles.at(profile.0).is_some_and(|e| e.users == 1);
        match self.find(options) {
            Ok(new) => {
                self.release(profile);
                Ok(new)
            }
            Err(Error::OutOfMemory) if alone => {
                self.release(profile);
                self.find(options)
            }
            Err(error) => Err(error),
        }
    }
}
