//! What QEMU's exit status says about the guest.

/// The status after `--timeout`, as that of timeout(1).
pub const TIMED_OUT: u8 = 124;

/// How a guest ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The program ended with this status: 0 for success.
    Program(u8),
    /// The guest stopped without telling a status: a reset, or QEMU was asked to quit.
    Stopped,
    /// QEMU failed or was killed; it has printed why.
    Qemu,
}

/// Reads the status of QEMU with an `isa-debug-exit` device, through which the guest ends QEMU
/// with `2 * code + 1`; the program's success is code 16, since QEMU's own failures are 1.
/// `None`: killed by a signal.
pub fn outcome(qemu: Option<i32>) -> Outcome {
    match qemu {
        Some(0) => Outcome::Stopped,
        Some(33) => Outcome::Program(0),
        Some(status @ 3..=255) if status % 2 == 1 => Outcome::Program((status / 2) as u8),
        _ => Outcome::Qemu,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_status_comes_through() {
        assert_eq!(outcome(Some(33)), Outcome::Program(0));
        assert_eq!(outcome(Some(3)), Outcome::Program(1));
        assert_eq!(outcome(Some(85)), Outcome::Program(42));
        assert_eq!(outcome(Some(0)), Outcome::Stopped);
        for qemu in [Some(1), Some(2), Some(256), Some(-1), None] {
            assert_eq!(outcome(qemu), Outcome::Qemu);
        }
    }
}
