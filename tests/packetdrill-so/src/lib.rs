//! The stack as a shared object that the original packetdrill drives (`--so_filename`), by the same
//! calls of POSIX that the runner of this project makes.
//!
//! packetdrill calls from two threads: one interprets the script, the other makes the calls that the
//! script lets wait. Time is virtual: see `world`.

mod address;
mod calls;
mod interface;
mod world;

use interface::Interface;
use std::ffi::{CStr, c_char};
use world::Shared;

/// Fills the interface. `flags` is the text of `--so_flags`, or null.
///
/// # Safety
///
/// `flags` is null or a C string; `interface` points to memory for packetdrill's
/// `struct packetdrill_interface`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(flags: *const c_char, interface: *mut Interface) {
    let text = match flags.is_null() {
        true => String::new(),
        // SAFETY: the caller says that it is a C string.
        false => unsafe { CStr::from_ptr(flags) }.to_string_lossy().into_owned(),
    };
    match Shared::new(&text) {
        Ok(shared) => {
            let table = Interface::new(Box::into_raw(Box::new(shared)));
            // SAFETY: the caller says that it points to such a struct.
            unsafe { interface.write(table) };
        }
        Err(message) => world::give_up(&format!("--so_flags: {message}")),
    }
}
