//! What the tests and benchmarks of barenet share.

pub mod netns;
pub mod peers;
pub mod sim;
