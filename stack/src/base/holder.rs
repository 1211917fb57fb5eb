//! A place of a table, as `Option`, but that an empty one is all zero.

/// A place of a table that callers without a heap hand in. An empty one is all zero, which an `Option` need not be:
/// so a static with a table lies in `.bss`, and takes no flash.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(u8)]
pub enum Holder<T> {
    /// Nothing is here.
    #[default]
    Empty = 0,
    /// An entry.
    Entry(T),
}

impl<T> Holder<T> {
    pub(crate) fn as_ref(&self) -> Option<&T> {
        match self {
            Holder::Entry(entry) => Some(entry),
            Holder::Empty => None,
        }
    }

    pub(crate) fn as_mut(&mut self) -> Option<&mut T> {
        match self {
            Holder::Entry(entry) => Some(entry),
            Holder::Empty => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Holder::Empty)
    }

    /// Leaves nothing here.
    pub(crate) fn take(&mut self) -> Option<T> {
        match core::mem::replace(self, Holder::Empty) {
            Holder::Entry(entry) => Some(entry),
            Holder::Empty => None,
        }
    }
}

impl<T> From<Option<T>> for Holder<T> {
    fn from(entry: Option<T>) -> Self {
        entry.map_or(Holder::Empty, Holder::Entry)
    }
}

impl<'a, T> IntoIterator for &'a Holder<T> {
    type Item = &'a T;
    type IntoIter = core::option::IntoIter<&'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_ref().into_iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Holder<T> {
    type Item = &'a mut T;
    type IntoIter = core::option::IntoIter<&'a mut T>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_mut().into_iter()
    }
}
