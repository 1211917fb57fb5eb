//! See ARCHITECTURE.md.

pub mod netns;
