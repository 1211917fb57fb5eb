//! The boards that QEMU stands for.

use anyhow::{Result, bail};

/// A machine of QEMU that a board's programs run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The argument of `-machine`.
    pub machine: &'static str,
    /// The network device, before `,netdev=…`.
    pub nic: &'static str,
    /// Other arguments.
    pub more: &'static [&'static str],
}

/// A board of barenet-boards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Board {
    /// Its name.
    pub name: &'static str,
    /// The target of its programs.
    pub target: &'static str,
    /// The program that emulates it.
    pub qemu: &'static str,
    /// The Debian package of that program.
    pub package: &'static str,
    /// Its machines; the first is the default.
    pub machines: &'static [Machine],
    /// How QEMU stops with the guest's status.
    pub exit: &'static [&'static str],
}

/// All boards; the first is the default.
pub const BOARDS: &[Board] = &[Board {
    name: "x86_64",
    target: "x86_64-unknown-none",
    qemu: "qemu-system-x86_64",
    package: "qemu-system-x86",
    machines: &[
        Machine {
            name: "q35",
            about: "a PC with virtio over PCI",
            machine: "q35",
            // Modern only: the driver knows no legacy registers.
            nic: "virtio-net-pci,disable-legacy=on,mrg_rxbuf=on",
            more: &[],
        },
        Machine {
            name: "microvm",
            about: "a machine without PCI and firmware, virtio over MMIO",
            // Without the option ROMs it starts in half the time.
            machine: "microvm,x-option-roms=off,isa-serial=on,rtc=off",
            nic: "virtio-net-device,mrg_rxbuf=on",
            more: &["-global", "virtio-mmio.force-legacy=false"],
        },
    ],
    exit: &["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
}];

/// The board of this name.
///
/// # Errors
///
/// When there is none: the message names those that there are.
pub fn find(name: &str) -> Result<&'static Board> {
    match BOARDS.iter().find(|b| b.name == name) {
        Some(board) => Ok(board),
        None => {
            let known: Vec<_> = BOARDS.iter().map(|b| b.name).collect();
            bail!("there is no board `{name}`; there are: {}", known.join(", "))
        }
    }
}

impl Board {
    /// The machine of this name, or the default.
    ///
    /// # Errors
    ///
    /// When there is none: the message names those that there are.
    pub fn machine(&self, name: Option<&str>) -> Result<&'static Machine> {
        let wanted = |m: &&Machine| name.is_none_or(|name| m.name == name);
        match self.machines.iter().find(wanted) {
            Some(machine) => Ok(machine),
            None => {
                let known: Vec<_> = self.machines.iter().map(|m| m.name).collect();
                bail!(
                    "the board {} has no machine `{}`; it has: {}",
                    self.name,
                    name.unwrap_or_default(),
                    known.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_machine_is_the_default() {
        let board = find("x86_64").unwrap();
        assert_eq!(board.machine(None).unwrap().name, "q35");
        assert_eq!(board.machine(Some("microvm")).unwrap().name, "microvm");
    }

    #[test]
    fn what_is_unknown_is_named_beside_the_known() {
        let why = find("z80").unwrap_err().to_string();
        assert_eq!(why, "there is no board `z80`; there are: x86_64");
        let why = BOARDS[0].machine(Some("pdp11")).unwrap_err().to_string();
        assert_eq!(why, "the board x86_64 has no machine `pdp11`; it has: q35, microvm");
    }
}
