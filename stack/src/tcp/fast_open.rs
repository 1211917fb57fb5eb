//! The option of TCP Fast Open (RFC 7413).

/// Bytes of a Fast Open cookie at most, and at least (RFC 7413 §4.1.1).
const COOKIE_MAX: usize = 16;
const COOKIE_MIN: usize = 4;

/// The Fast Open option: a cookie, or the request for one.
//= rfc7413#4.1.1
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct FastOpen {
    len: u8,
    /// In the option kind for experiments, as the first implementations had it.
    is_experimental: bool,
    cookie: [u8; COOKIE_MAX],
}

impl FastOpen {
    /// `cookie`, or empty: the request for one. `None`: no cookie is so long.
    pub(crate) fn new(cookie: &[u8], is_experimental: bool) -> Option<Self> {
        let len = cookie.len();
        if len > 0 && (!(COOKIE_MIN..=COOKIE_MAX).contains(&len) || !len.is_multiple_of(2)) {
            return None;
        }
        let mut option = FastOpen { len: len as u8, is_experimental, ..FastOpen::default() };
        option.cookie[..len].copy_from_slice(cookie);
        Some(option)
    }

    /// Does it have the option kind for experiments?
    pub(crate) const fn is_experimental(&self) -> bool {
        self.is_experimental
    }

    /// The cookie; empty: none, but the request for one.
    pub(crate) fn cookie(&self) -> &[u8] {
        &self.cookie[..self.len as usize]
    }

    /// Bytes of the option with its kind and length, without padding.
    pub(crate) const fn option_len(&self) -> usize {
        self.len as usize + if self.is_experimental { 4 } else { 2 }
    }
}
