//! A part with deadlines: whoever works on it makes what is known of them old, by the type.

use core::ops::{Deref, DerefMut};

/// A part of the stack whose next deadline is kept elsewhere, and whether that is still right. All is zero when
/// the part is.
pub(crate) struct Timed<T> {
    part: T,
    /// Nobody has worked on it since its deadlines were noted.
    is_noted: bool,
}

impl<T> Timed<T> {
    /// A part of whose deadlines nothing is known.
    pub(crate) const fn new(part: T) -> Self {
        Timed { part, is_noted: false }
    }

    /// For work that leaves every deadline as it is.
    #[inline]
    pub(crate) fn keeping_deadlines(&mut self) -> &mut T {
        &mut self.part
    }

    /// Is what was noted of its deadlines still right?
    #[inline]
    pub(crate) fn is_noted(&self) -> bool {
        self.is_noted
    }

    /// Its deadlines are noted now.
    pub(crate) fn note(&mut self) {
        self.is_noted = true;
    }
}

impl<T> Deref for Timed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.part
    }
}

impl<T> DerefMut for Timed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.is_noted = false;
        &mut self.part
    }
}
