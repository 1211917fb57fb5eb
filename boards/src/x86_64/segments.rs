//! Segment, task state and interrupt descriptor tables, and the stubs they point to.
//!
//! Interrupts are enabled only while the CPU waits in `hlt` (see [`super::platform`]), so handlers
//! never run beside other code. An exception ends the program, or the fiber it happened on.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::naked_asm;

use x86_64::VirtAddr;
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use super::{fault, interrupts};

/// Exceptions run on a stack of their own, since a stack overflow is one of them.
const FAULT_STACK_SIZE: usize = 32 * 1024;

/// Builds the tables on the heap, for good, and loads them.
pub(super) fn init() {
    let stack = Box::leak(vec![0u128; FAULT_STACK_SIZE / 16].into_boxed_slice());
    let mut tss = TaskStateSegment::new();
    tss.interrupt_stack_table[0] = VirtAddr::from_ptr(stack.as_ptr_range().end);
    let tss = Box::leak(Box::new(tss));

    let mut gdt = Box::new(GlobalDescriptorTable::<8>::empty());
    // The same two selectors, 0x08 and 0x10, that the boot code loaded.
    gdt.append(Descriptor::kernel_code_segment());
    gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    Box::leak(gdt).load();
    // SAFETY: the selector is that of the descriptor just appended.
    unsafe { load_tss(task) };

    let mut idt = Box::new([Gate::ABSENT; 256]);
    for (gate, stub) in idt.iter_mut().zip(EXCEPTIONS) {
        *gate = Gate::new(stub, 1);
    }
    for (vector, stub) in interrupts::STUBS {
        idt[usize::from(vector)] = Gate::new(stub, 0);
    }
    let pointer = DescriptorTablePointer {
        limit: (size_of::<[Gate; 256]>() - 1) as u16,
        base: VirtAddr::from_ptr(Box::leak(idt)),
    };
    // SAFETY: the table lives for ever, and its gates point to the stubs below.
    unsafe { lidt(&pointer) };
}

/// Address of a stub.
pub(super) type Stub = unsafe extern "C" fn() -> !;

/// One 64-bit interrupt gate (Intel SDM volume 3, 6.14.1).
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Gate([u64; 2]);

impl Gate {
    const ABSENT: Gate = Gate([0; 2]);

    /// A gate to `stub`, on the given entry of the interrupt stack table (0: the current stack).
    fn new(stub: Stub, stack: u64) -> Gate {
        /// Present, ring 0, interrupt gate: interrupts stay disabled in the handler.
        const KIND: u64 = 0x8e00;
        const CODE: u64 = 0x08;
        let at = (stub as *const ()).addr() as u64;
        let low = at & 0xffff | CODE << 16 | (KIND | stack) << 32 | (at >> 16 & 0xffff) << 48;
        Gate([low, at >> 32])
    }
}

/// Calls `fault::report` with the frame: vector, error code, then what the CPU pushed.
#[unsafe(naked)]
unsafe extern "C" fn report() -> ! {
    naked_asm!(
        "mov rdi, rsp",
        "and rsp, -16",
        "call {report}",
        report = sym fault::report,
    );
}

macro_rules! exceptions {
    ($($vector:literal $push:literal,)*) => {
        [$({
            #[unsafe(naked)]
            unsafe extern "C" fn stub() -> ! {
                naked_asm!(
                    $push,
                    "push {vector}",
                    "jmp {report}",
                    vector = const $vector,
                    report = sym report,
                );
            }
            stub
        },)*]
    };
}

/// Where the CPU pushes no error code, the stub pushes a zero.
const EXCEPTIONS: [Stub; 32] = exceptions! {
    0 "push 0", 1 "push 0", 2 "push 0", 3 "push 0", 4 "push 0", 5 "push 0", 6 "push 0",
    7 "push 0", 8 "", 9 "push 0", 10 "", 11 "", 12 "", 13 "", 14 "", 15 "push 0", 16 "push 0",
    17 "", 18 "push 0", 19 "push 0", 20 "push 0", 21 "", 22 "push 0", 23 "push 0", 24 "push 0",
    25 "push 0", 26 "push 0", 27 "push 0", 28 "push 0", 29 "", 30 "", 31 "push 0",
};
