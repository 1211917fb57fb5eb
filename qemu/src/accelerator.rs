//! How QEMU runs the guest's CPU.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};

/// How QEMU runs the guest's CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accelerator {
    /// On this CPU; should that fail after all, in software.
    Kvm,
    /// In software.
    Tcg,
}

impl Accelerator {
    /// KVM where the CPU has it and the program may use it: /dev/kvm alone says too little, since
    /// it exists in machines that can't nest.
    pub fn detect() -> Self {
        let file = File::open("/proc/cpuinfo");
        let has_it = file.is_ok_and(|f| has_virtualization(BufReader::new(f)));
        let opens = || OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        match has_it && opens() {
            true => Accelerator::Kvm,
            false => Accelerator::Tcg,
        }
    }

    /// What QEMU is told.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Accelerator::Kvm => &["-accel", "kvm", "-accel", "tcg", "-cpu", "max"],
            Accelerator::Tcg => &["-accel", "tcg", "-cpu", "max"],
        }
    }
}

/// Does the CPU that /proc/cpuinfo describes have VMX or SVM?
fn has_virtualization(cpuinfo: impl BufRead) -> bool {
    let mut lines = cpuinfo.lines().map_while(Result::ok);
    lines.any(|line| {
        let flags = line.strip_prefix("flags").unwrap_or_default();
        flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_decide() {
        assert!(has_virtualization(&b"processor : 0\nflags\t\t: fpu vmx de\n"[..]));
        assert!(has_virtualization(&b"flags\t\t: fpu svm\n"[..]));
        assert!(!has_virtualization(&b"model name : svm\nflags\t\t: fpu svm_lock\n"[..]));
        assert!(!has_virtualization(&b""[..]));
    }
}
