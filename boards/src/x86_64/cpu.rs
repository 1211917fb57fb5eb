//! What the CPU says of itself, for people and for the clock.

use alloc::string::String;
use alloc::vec::Vec;
use core::arch::x86_64::__cpuid;

/// The processor's name, from leaves 0x8000_0002 to 4.
pub(super) fn name() -> String {
    if __cpuid(0x8000_0000).eax < 0x8000_0004 {
        return "unnamed CPU".into();
    }
    let leaves = (0x8000_0002..=0x8000_0004).map(__cpuid);
    let words = leaves.flat_map(|l| [l.eax, l.ebx, l.ecx, l.edx]);
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).trim().into()
}

/// The hypervisor's signature, if there is a hypervisor.
pub(super) fn hypervisor() -> Option<[u8; 12]> {
    const HYPERVISOR: u32 = 1 << 31;
    if __cpuid(1).ecx & HYPERVISOR == 0 {
        return None;
    }
    let leaf = __cpuid(0x4000_0000);
    let mut name = [0; 12];
    for (to, word) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    Some(name)
}

/// Signature of KVM.
pub(super) const KVM: &[u8; 12] = b"KVMKVMKVM\0\0\0";
/// Signature of QEMU's own emulation.
pub(super) const TCG: &[u8; 12] = b"TCGTCGTCGTCG";

/// The hypervisor, for people.
pub(super) fn hypervisor_name() -> &'static str {
    match hypervisor().as_ref() {
        Some(KVM) => "KVM",
        Some(TCG) => "QEMU TCG",
        Some(_) => "a hypervisor",
        None => "no hypervisor",
    }
}
