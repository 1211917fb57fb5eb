//! Memory of the caller's, or none: without a heap none is all zero, so that a static stack which has no memory yet
//! lies in `.bss`, and takes no flash. An empty slice would not be: it has an address.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use managed::ManagedSlice;

/// A slice of the caller's, or none.
#[derive(Debug)]
pub(crate) struct Lent<'a, T>(
    #[cfg(feature = "alloc")] &'a mut [T],
    #[cfg(not(feature = "alloc"))] Option<&'a mut [T]>,
);

impl<'a, T> Lent<'a, T> {
    /// No memory.
    pub(crate) const fn none() -> Self {
        #[cfg(feature = "alloc")]
        return Lent(&mut []);
        #[cfg(not(feature = "alloc"))]
        Lent(None)
    }

    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        #[cfg(feature = "alloc")]
        return Lent(slice);
        #[cfg(not(feature = "alloc"))]
        Lent(Some(slice))
    }
}

impl<T> Deref for Lent<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        #[cfg(feature = "alloc")]
        return self.0;
        #[cfg(not(feature = "alloc"))]
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T> DerefMut for Lent<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        #[cfg(feature = "alloc")]
        return self.0;
        #[cfg(not(feature = "alloc"))]
        self.0.as_deref_mut().unwrap_or_default()
    }
}

/// The places of a table: the caller's, or on the heap.
#[derive(Debug)]
pub(crate) enum Places<'a, T> {
    Lent(Lent<'a, T>),
    #[cfg(feature = "alloc")]
    Heap(Vec<T>),
}

impl<T> Places<'_, T> {
    /// No place.
    pub(crate) const fn none() -> Self {
        Places::Lent(Lent::none())
    }
}

impl<'a, T> From<ManagedSlice<'a, T>> for Places<'a, T> {
    fn from(slice: ManagedSlice<'a, T>) -> Self {
        match slice {
            ManagedSlice::Borrowed(slice) => Places::Lent(Lent::new(slice)),
            #[cfg(feature = "alloc")]
            ManagedSlice::Owned(places) => Places::Heap(places),
        }
    }
}

impl<T> Deref for Places<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Places::Lent(slice) => slice,
            #[cfg(feature = "alloc")]
            Places::Heap(places) => places,
        }
    }
}

impl<T> DerefMut for Places<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Places::Lent(slice) => slice,
            #[cfg(feature = "alloc")]
            Places::Heap(places) => places,
        }
    }
}
