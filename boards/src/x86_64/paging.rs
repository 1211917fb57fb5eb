//! The page tables: virtual addresses are physical addresses, for the first 4 GiB.
//!
//! RAM and devices above 4 GiB are not used. The tables are static, 2 MiB a page; only a guard
//! page under a stack needs a finer table, which comes from the heap.

use alloc::alloc::{Layout, alloc_zeroed};
use core::ptr;

/// Smallest page.
pub(crate) const SIZE_4K: usize = 4096;
const SIZE_2M: usize = 2 << 20;
/// First address that is not mapped.
pub(super) const LIMIT: usize = 4 << 30;
/// From here on memory is uncached: there are devices and no RAM on every machine that QEMU makes.
pub(super) const DEVICES: usize = 3 << 30;

const PRESENT: usize = 1;
const WRITABLE: usize = 1 << 1;
/// Write through and cache disable.
const UNCACHED: usize = 1 << 3 | 1 << 4;
const HUGE: usize = 1 << 7;
const TABLE: usize = PRESENT | WRITABLE;

/// One table of 512 entries. An entry is an address with flags in its low bits, hence a pointer.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
pub(super) struct Table([*mut u8; 512]);

const EMPTY: Table = Table([ptr::null_mut(); 512]);

pub(super) static mut LEVEL_4: Table = {
    let mut table = EMPTY;
    table.0[0] = (&raw mut LEVEL_3).cast::<u8>().wrapping_add(TABLE);
    table
};

static mut LEVEL_3: Table = {
    let mut table = EMPTY;
    let mut i = 0;
    while i < 4 {
        table.0[i] = (&raw mut LEVEL_2).cast::<u8>().wrapping_add(i * SIZE_4K + TABLE);
        i += 1;
    }
    table
};

static mut LEVEL_2: [Table; 4] = {
    let mut tables = [EMPTY; 4];
    let mut i = 0;
    while i < 4 * 512 {
        let uncached = if i * SIZE_2M >= DEVICES { UNCACHED } else { 0 };
        tables[i / 512].0[i % 512] = ptr::without_provenance_mut(i * SIZE_2M + (TABLE | HUGE | uncached));
        i += 1;
    }
    tables
};

/// Unmaps the page at `address`, so that touching it is a page fault.
///
/// # Errors
///
/// When there is no memory for a finer table.
///
/// # Safety
///
/// Nobody uses the page's memory, now or later.
pub(crate) unsafe fn unmap(address: usize) -> Result<(), &'static str> {
    assert!(address < LIMIT && address.is_multiple_of(SIZE_4K));
    let large = address / SIZE_2M;
    let tables = &raw mut LEVEL_2;
    // SAFETY: inside the tables, as the address was checked. No reference is made: the CPU sets bits
    // in the entries when it uses them.
    let slot = unsafe { &raw mut (*tables)[large / 512].0[large % 512] };
    // SAFETY: valid and aligned; one CPU, and interrupt handlers do not touch the tables.
    let mut entry = unsafe { slot.read_volatile() };
    if entry.addr() & HUGE != 0 {
        let flags = entry.addr() & (TABLE | UNCACHED);
        // SAFETY: the layout is not empty, and what comes is a table of null entries.
        let fine = unsafe { alloc_zeroed(Layout::new::<Table>()).cast::<Table>().as_mut() };
        let fine = fine.ok_or("no memory for page tables")?;
        for (i, small) in fine.0.iter_mut().enumerate() {
            *small = ptr::without_provenance_mut(large * SIZE_2M + i * SIZE_4K + flags);
        }
        entry = ptr::from_mut(fine).cast::<u8>().wrapping_add(TABLE);
        // SAFETY: as for reading; the new table maps the same memory.
        unsafe { slot.write_volatile(entry) };
    }
    let fine = entry.map_addr(|a| a & !(SIZE_4K - 1)).cast::<*mut u8>();
    // SAFETY: the entry points to a table of 512 that the branch above made, now or in an earlier
    // call, and the caller promises that nobody needs the page.
    unsafe { fine.add(address / SIZE_4K % 512).write_volatile(ptr::null_mut()) };
    x86_64::instructions::tlb::flush_all();
    Ok(())
}
