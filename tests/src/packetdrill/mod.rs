//! A runner of packetdrill's scripts against our stack, in virtual time.

pub mod parse;
pub mod script;
pub mod text;
