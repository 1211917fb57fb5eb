//! Our stack and the Linux kernel as peers over a TAP.

mod acceptors;
mod agreement;
mod alive;
mod burst;
mod crowd;
mod datagrams;
mod ecn;
mod ends;
mod fast_open;
mod flood;
mod fragments;
mod frames;
mod gone;
mod losses;
mod path;
mod raw;
mod refusals;
mod router;
mod servers;
mod streams;
mod tools;
mod uso;
mod vlan;
mod waiting;
