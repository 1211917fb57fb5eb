//! Our stack and the Linux kernel as peers over a TAP.

mod datagrams;
mod flood;
mod frames;
mod gone;
mod refusals;
mod streams;
mod waiting;
