//! From the loader's 32-bit entry to Rust in long mode.
//!
//! PVH enters with paging off, flat segments and the address of the start information in `ebx`.
//! The code here loads static page tables and descriptors, switches to 64 bits and calls
//! [`start`](super::start). No linker script is needed: the linker's default places a static
//! executable at 2 MiB, and the note below tells the loader where to enter.

use core::arch::naked_asm;
use core::ptr;

use super::paging::{LEVEL_4, SIZE_4K};

pvh::xen_elfnote_phys32_entry!(pvh_start);

/// Stack of the scheduler and of everything before it. Interrupts and exceptions have their own.
pub(super) const STACK_SIZE: usize = 256 * 1024;

/// The boot stack; its lowest page becomes the guard.
#[repr(C, align(4096))]
pub(super) struct Stack([u8; STACK_SIZE + SIZE_4K]);

pub(super) static mut STACK: Stack = Stack([0; STACK_SIZE + SIZE_4K]);

/// Lowest address of the boot stack: the page that is unmapped to catch an overflow.
pub(super) fn stack_guard() -> usize {
    (&raw const STACK).addr()
}

/// Flat 64-bit code and data, as in the table that [`segments`](super::segments) builds later
/// with a task state segment behind them.
static GDT: [u64; 3] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

#[repr(C, packed(2))]
struct TablePointer {
    limit: u16,
    base: *const [u64; 3],
}

// SAFETY: it points to an immutable static.
unsafe impl Sync for TablePointer {}

static GDT_POINTER: TablePointer = TablePointer { limit: 23, base: &raw const GDT };

/// The entry that ELF loaders look at and PVH loaders do not use: it stops the CPU.
///
/// # Safety
///
/// Only a loader may jump here.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("2: cli", "hlt", "jmp 2b");
}

/// The PVH entry: 32 bits, no paging, start information in `ebx`.
#[unsafe(naked)]
unsafe extern "C" fn pvh_start() -> ! {
    naked_asm!(
        ".code32",
        "cli",
        "cld",
        "mov esp, offset {stack} + {stack_size}",
        "mov eax, offset {level_4}",
        "mov cr3, eax",
        // CR4.PAE
        "mov eax, cr4",
        "or eax, 1 << 5",
        "mov cr4, eax",
        // EFER.LME
        "mov ecx, 0xc0000080",
        "rdmsr",
        "or eax, 1 << 8",
        "wrmsr",
        // CR0: PG, WP and PE
        "mov eax, cr0",
        "or eax, 0x80010001",
        "mov cr0, eax",
        "lgdt [{gdt}]",
        "mov ax, 0x10",
        "mov ds, ax",
        "mov es, ax",
        "mov fs, ax",
        "mov gs, ax",
        "mov ss, ax",
        "mov edi, ebx",
        // A far return is the jump into 64-bit code. The return address that `call` would have
        // pushed is missing below `esp`; the second word keeps the stack aligned for that.
        "push 0",
        "push 0",
        "push 0x08",
        "mov eax, offset {start}",
        "push eax",
        "retf",
        ".code64",
        stack = sym STACK,
        stack_size = const STACK_SIZE + SIZE_4K,
        level_4 = sym LEVEL_4,
        gdt = sym GDT_POINTER,
        start = sym super::start,
    );
}

/// First address behind the program's image.
pub(super) fn image_end() -> usize {
    unsafe extern "C" {
        // The linker defines it at the end of .bss.
        static _end: u8;
    }
    ptr::addr_of!(_end).addr()
}
