//! Sets of descriptors to watch.

use super::super::names::c;
use super::{Errno, Result};
use std::collections::BTreeMap;

/// Events, and the word that the program has attached to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// Of `EPOLL…`.
    pub events: i32,
    /// The program's own.
    pub data: u64,
}

/// Always told, asked for or not.
const ALWAYS: i32 = c::POLLERR | c::POLLHUP;

#[derive(Default)]
pub(super) struct Epoll {
    watched: BTreeMap<i32, Watched>,
}

struct Watched {
    interest: Interest,
    /// What was told last, for edges.
    told: i32,
}

impl Epoll {
    pub(super) fn control(&mut self, operation: i32, fd: i32, interest: Interest) -> Result<()> {
        let known = self.watched.contains_key(&fd);
        match operation {
            c::EPOLL_CTL_ADD if known => return Err(Errno::EEXIST),
            c::EPOLL_CTL_MOD | c::EPOLL_CTL_DEL if !known => return Err(Errno::ENOENT),
            c::EPOLL_CTL_ADD | c::EPOLL_CTL_MOD => self.watched.insert(fd, Watched { interest, told: 0 }),
            c::EPOLL_CTL_DEL => self.watched.remove(&fd),
            _ => return Err(Errno::EINVAL),
        };
        Ok(())
    }

    pub(super) fn forget(&mut self, fd: i32) {
        self.watched.remove(&fd);
    }

    pub(super) fn watched(&self) -> Vec<i32> {
        self.watched.keys().copied().collect()
    }

    /// What is told of descriptors with these events.
    pub(super) fn report(&mut self, now: &[(i32, i32)], most: usize) -> Vec<Interest> {
        let mut told = Vec::new();
        for (fd, events) in now {
            let Some(watched) = self.watched.get_mut(fd) else { continue };
            let wanted = watched.interest.events;
            let events = events & (wanted | ALWAYS);
            let new = if wanted & c::EPOLLET != 0 { events & !watched.told } else { events };
            watched.told = events;
            // One shot: silent until it is set anew.
            let spent = wanted & c::EPOLLONESHOT != 0 && wanted & !(c::EPOLLONESHOT | c::EPOLLET) == 0;
            if new == 0 || spent || told.len() == most {
                continue;
            }
            told.push(Interest { events, data: watched.interest.data });
            if wanted & c::EPOLLONESHOT != 0 {
                watched.interest.events = c::EPOLLONESHOT;
            }
        }
        told
    }
}
