//! smoltcp as the peer and the yardstick, and the cables that join it with our stack in memory.

pub mod cable;
pub mod ours;
pub mod replay;
pub mod ring;
pub mod smol;
pub mod world;
