//! Names of the link, for programs: see [`names::mdns`](crate::names::mdns).

use super::Net;
use crate::error::Error;
use crate::names::{Announcement, AnnouncementId, Name};
use crate::stack::Stack;

impl Net {
    /// Claims `name`.local for this host on all its links, instead of the name that it had: 1 to 63 letters, digits and hyphens. It is asked
    /// for first, which takes a second (RFC 6762 §8.1); where somebody has it, then or later, it becomes `name-2` and so on. The addresses told
    /// with it are those that the interfaces have, as they change.
    ///
    /// [`Error::InvalidInput`]: it is no host's name, or there is no memory for it: see [`Stack::start_mdns`].
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// net.announce_host("sensor")?;
    /// net.wait_configuration(None, |stack| stack.announced_host().is_some())?;
    /// # Ok(()) }
    /// ```
    pub fn announce_host(&self, name: &'static str) -> Result<(), Error> {
        self.call(|stack, now| {
            start(stack);
            stack.announce_host(name, now)
        })
    }

    /// Announces a service of this host (DNS-SD, RFC 6763): its name, where it is to be had, and its texts. Where somebody has the name, it
    /// becomes `name (2)` and so on.
    ///
    /// [`Error::InvalidInput`]: the host has no name, or see [`Announcement`]. [`Error::AddrInUse`]: it is announced already.
    /// [`Error::TooManySockets`]: there are twelve services, or as many as there is memory for.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use barenet::names::Announcement;
    /// let id = net.announce(Announcement { instance: "Attic", service: "_http._tcp", port: 80, texts: &[] })?;
    /// // And when it is to be had no more:
    /// net.withdraw(id)?;
    /// # Ok(()) }
    /// ```
    pub fn announce(&self, service: Announcement<'static>) -> Result<AnnouncementId, Error> {
        self.call(|stack, now| stack.announce_service(service, now))
    }

    /// Tells that a service is no more (RFC 6762 §10.1).
    ///
    /// [`Error::StaleHandle`]: it was withdrawn before.
    pub fn withdraw(&self, id: AnnouncementId) -> Result<(), Error> {
        self.call(|stack, now| stack.withdraw_service(id, now))
    }

    /// Tells that the host's name and its services are no more. Whoever is about to end its program waits a moment after it, so that it is
    /// sent.
    pub fn withdraw_host(&self) -> Result<(), Error> {
        self.call(|stack, now| {
            stack.withdraw_host(now);
            Ok(())
        })
    }

    /// What this host is called on its links: see [`Stack::announced_host`].
    pub fn announced_host(&self) -> Option<Name> {
        self.with_stack(|stack| stack.announced_host())
    }

    /// What a service is called: see [`Stack::announced_service`].
    pub fn announced(&self, id: AnnouncementId) -> Result<Option<Name>, Error> {
        self.with_stack(|stack| stack.announced_service(id))
    }
}

/// Where there is a heap, the first who announces brings the memory.
fn start(stack: &mut Stack<'static>) {
    #[cfg(feature = "alloc")]
    if !stack.has_mdns() {
        stack.start_mdns(crate::names::MdnsStorage::heap());
    }
    let _ = stack;
}
