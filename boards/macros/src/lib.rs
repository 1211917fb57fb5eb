//! The attribute `#[barenet_boards::main]`.
