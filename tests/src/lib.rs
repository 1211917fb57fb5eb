//! What the tests and benchmarks of barenet share.

pub mod conformance;
pub mod coverage;
pub mod fuzz;
pub mod judge;
pub mod kernel;
pub mod lan;
pub mod netns;
pub mod packetdrill;
pub mod peers;
pub mod runner;
pub mod seeds;
pub mod servers;
pub mod sim;
pub mod size;
