//! An image that the linker made, as far as its size is concerned.

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;

/// The sections, functions and frames of an image.
pub(super) struct Image<'a> {
    sections: Vec<(String, u32, &'a [u8])>,
    lens: BTreeMap<String, u32>,
    /// Where each function begins: its end and name.
    pub(super) functions: BTreeMap<u32, (u32, String)>,
    /// Where constants lie among the code, and where code goes on.
    code_begins: BTreeMap<u32, bool>,
    /// Bytes of stack of the functions at these addresses, as far as the compiler says.
    pub(super) frames: BTreeMap<u32, u32>,
}

impl<'a> Image<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, object::Error> {
        let file = ElfFile32::<Endianness>::parse(bytes)?;
        let mut image = Image {
            sections: Vec::new(),
            lens: BTreeMap::new(),
            functions: BTreeMap::new(),
            code_begins: BTreeMap::new(),
            frames: BTreeMap::new(),
        };
        for section in file.sections() {
            let data = section.data()?;
            let len = section.size() as u32;
            // What begins as zero has no bytes in the image, but has a size.
            let name = section.name()?.to_owned();
            if name == ".stack_sizes" {
                image.frames = frames(data);
            }
            image.lens.insert(name.clone(), len);
            image.sections.push((name, section.address() as u32, data));
        }
        for symbol in file.symbols() {
            let (at, name) = (symbol.address() as u32, symbol.name()?);
            match name.get(..2) {
                Some("$t") => drop(image.code_begins.insert(at, true)),
                Some("$d") => drop(image.code_begins.insert(at, false)),
                _ if symbol.kind() == SymbolKind::Text && symbol.size() > 0 => {
                    let at = at & !1;
                    image.functions.insert(at, (at + symbol.size() as u32, name.to_owned()));
                }
                _ => {}
            }
        }
        Ok(image)
    }

    /// Bytes of a section; 0 if there is none.
    pub(super) fn len_of(&self, name: &str) -> u32 {
        self.lens.get(name).copied().unwrap_or(0)
    }

    /// The half-word there.
    pub(super) fn half(&self, at: u32) -> Option<u16> {
        let bytes = self.bytes(at, 2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// The word there.
    pub(super) fn word(&self, at: u32) -> Option<u32> {
        let bytes = self.bytes(at, 4)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn bytes(&self, at: u32, len: usize) -> Option<&'a [u8]> {
        self.loaded().find_map(|(start, data)| {
            let from = at.checked_sub(start)? as usize;
            data.get(from..from + len)
        })
    }

    /// What of the image is in memory, with its address.
    fn loaded(&self) -> impl Iterator<Item = (u32, &'a [u8])> + '_ {
        let is_loaded = |name: &str| [".vectors", ".text", ".rodata", ".data"].contains(&name);
        self.sections.iter().filter(move |(name, ..)| is_loaded(name)).map(|(_, at, data)| (*at, *data))
    }

    /// Is there code, and not a constant that lies among it?
    pub(super) fn is_code(&self, at: u32) -> bool {
        self.code_begins.range(..=at).next_back().is_some_and(|(_, is_code)| *is_code)
    }

    /// The function that a pointer leads to.
    pub(super) fn pointee(&self, pointer: u32) -> Option<u32> {
        // An address of Thumb code is odd.
        let at = pointer.checked_sub(1)?;
        (pointer & 1 == 1 && self.functions.contains_key(&at)).then_some(at)
    }

    /// Every word of constants and variables that leads to a function: where it lies, and the function.
    pub(super) fn pointers(&self) -> BTreeMap<u32, u32> {
        let data = self.sections.iter().filter(|(name, ..)| [".rodata", ".data"].contains(&name.as_str()));
        let words = data.flat_map(|(_, at, data)| (*at..*at + data.len() as u32).step_by(4));
        words.filter_map(|at| Some((at, self.pointee(self.word(at)?)?))).collect()
    }
}

/// The section's entries: an address, and a number in groups of seven bits.
fn frames(mut data: &[u8]) -> BTreeMap<u32, u32> {
    let mut frames = BTreeMap::new();
    while let Some((address, rest)) = data.split_first_chunk() {
        let len = rest.iter().position(|b| b & 0x80 == 0).map_or(rest.len(), |at| at + 1);
        let (number, rest) = rest.split_at(len);
        let size = number.iter().rev().fold(0, |size, b| size << 7 | u32::from(b & 0x7f));
        frames.insert(u32::from_le_bytes(*address) & !1, size);
        data = rest;
    }
    frames
}
