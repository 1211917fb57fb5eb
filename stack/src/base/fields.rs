//! Fields of fixed size, written one after the other, and read in the same order.

/// Writes.
pub(crate) struct Fields<'r>(pub(crate) &'r mut [u8]);

/// Reads.
pub(crate) struct Read<'r>(pub(crate) &'r [u8]);

impl Fields<'_> {
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let (here, rest) = core::mem::take(&mut self.0).split_at_mut(N);
        here.copy_from_slice(&bytes);
        self.0 = rest;
    }

    #[inline]
    pub(crate) fn put_all<const N: usize, const M: usize>(&mut self, fields: [[u8; N]; M]) {
        fields.into_iter().for_each(|field| self.put(field));
    }
}

impl Read<'_> {
    #[inline]
    pub(crate) fn get<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let (here, rest) = self.0.split_at(N);
        bytes.copy_from_slice(here);
        self.0 = rest;
        bytes
    }

    #[inline]
    pub(crate) fn get_all<const N: usize, const M: usize>(&mut self) -> [[u8; N]; M] {
        [(); M].map(|()| self.get())
    }
}
