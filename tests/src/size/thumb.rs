//! Which function calls which: the machine's instructions, as far as they lead elsewhere.

use super::image::Image;

/// How the compiler names what it took out of several functions.
pub(super) const OUTLINED: &str = "OUTLINED_FUNCTION_";

/// What a function does that leads to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    /// To this address, and back.
    Direct(u32),
    /// There, with its own frame given back.
    Tail(u32),
    /// Through a table: to the function that stands so many bytes behind its start.
    Virtual(u32),
    /// To whatever a register holds.
    Unknown,
}

/// What is known of a register.
#[derive(Clone, Copy)]
enum Value {
    Unknown,
    Constant(u32),
    /// Loaded so far behind another register.
    Loaded(u32),
}

/// The calls of the function at `start`. Registers are followed in the order of the addresses, which is
/// where a compiler that saves space puts the loads of what it calls: a little before.
pub(super) fn calls(image: &Image<'_>, start: u32) -> Vec<Call> {
    let mut reader = Reader { image, registers: [Value::Unknown; 16], calls: Vec::new(), start, end: start };
    reader.function(start);
    reader.calls
}

struct Reader<'a> {
    image: &'a Image<'a>,
    registers: [Value; 16],
    calls: Vec<Call>,
    /// The function that is being read.
    start: u32,
    end: u32,
}

impl Reader<'_> {
    fn function(&mut self, start: u32) {
        let image = self.image;
        let Some((end, _)) = image.functions.get(&start) else { return };
        (self.start, self.end) = (start, *end);
        let mut at = start;
        while at < *end {
            let Some(first) = image.half(at) else { break };
            if !image.is_code(at) {
                at += 2;
            } else if first >> 11 >= 0b11101 {
                self.wide(at, first, image.half(at + 2).unwrap_or(0));
                at += 4;
            } else {
                self.narrow(at, first);
                at += 2;
            }
        }
    }

    /// A call to this address. What the compiler took out of several functions is read as a part of each.
    fn to(&mut self, to: u32, is_tail: bool) {
        if self.image.functions.get(&to).is_some_and(|(_, name)| name.starts_with(OUTLINED)) {
            let (start, end) = (self.start, self.end);
            self.function(to);
            (self.start, self.end) = (start, end);
        } else {
            self.calls.push(if is_tail { Call::Tail(to) } else { Call::Direct(to) });
        }
    }

    fn narrow(&mut self, at: u32, op: u16) {
        let image = self.image;
        let bits = |from: u16, count: u16| usize::from(op >> from & ((1 << count) - 1));
        match op {
            // BLX and BX of a register. BX LR returns.
            0x4780..=0x47ff => self.by_register(bits(3, 4), false),
            0x4700..=0x477f if bits(3, 4) != 14 => self.by_register(bits(3, 4), true),
            // LDR of a constant that lies behind the code, and of what a register leads to.
            0x4800..=0x4fff => {
                let from = ((at + 4) & !3) + 4 * bits(0, 8) as u32;
                self.registers[bits(8, 3)] = image.word(from).map_or(Value::Unknown, Value::Constant);
            }
            0x6800..=0x6fff => self.registers[bits(0, 3)] = Value::Loaded(4 * bits(6, 5) as u32),
            // MOV of a register.
            0x4600..=0x46ff => {
                self.registers[bits(0, 3) | bits(7, 1) << 3] = self.registers[bits(3, 4)];
            }
            // B, with and without a condition.
            0xd000..=0xddff => self.branch(at, sign(u32::from(op & 0xff) << 1, 9)),
            0xe000..=0xe7ff => self.branch(at, sign(u32::from(op & 0x7ff) << 1, 12)),
            _ => {}
        }
    }

    fn wide(&mut self, at: u32, first: u16, second: u16) {
        let image = self.image;
        let (a, b) = (u32::from(first), u32::from(second));
        let register = usize::from(second >> 12);
        // MOVW and MOVT: half a constant.
        let half = (a & 0xf) << 12 | (a >> 10 & 1) << 11 | (b >> 12 & 7) << 8 | b & 0xff;
        let to = (b >> 8 & 0xf) as usize;
        match (a, b) {
            _ if a & 0xfbf0 == 0xf240 && b & 0x8000 == 0 => self.registers[to] = Value::Constant(half),
            _ if a & 0xfbf0 == 0xf2c0 && b & 0x8000 == 0 => {
                if let Value::Constant(low) = self.registers[to] {
                    self.registers[to] = Value::Constant(half << 16 | low & 0xffff);
                }
            }
            // LDR of a constant, and of what a register leads to.
            _ if a & 0xff7f == 0xf85f => {
                let base = (at + 4) & !3;
                let from = if a & 0x80 == 0 { base.wrapping_sub(b & 0xfff) } else { base + (b & 0xfff) };
                self.registers[register] = image.word(from).map_or(Value::Unknown, Value::Constant);
            }
            _ if a & 0xfff0 == 0xf8d0 => self.registers[register] = Value::Loaded(b & 0xfff),
            // LDRD: two words.
            _ if a & 0xff70 == 0xe950 => {
                let from = (b & 0xff) * 4;
                self.registers[register] = Value::Loaded(from);
                self.registers[to] = Value::Loaded(from + 4);
            }
            // BL; B; B with a condition.
            _ if a & 0xf800 == 0xf000 && b & 0xd000 == 0xd000 => {
                self.to(at.wrapping_add(4).wrapping_add(far(a, b)), false);
            }
            _ if a & 0xf800 == 0xf000 && b & 0xd000 == 0x9000 => self.branch(at, far(a, b)),
            _ if a & 0xf800 == 0xf000 && b & 0xd000 == 0x8000 && a & 0x0380 != 0x0380 => {
                let (s, j1, j2) = (a >> 10 & 1, b >> 13 & 1, b >> 11 & 1);
                let offset = s << 20 | j2 << 19 | j1 << 18 | (a & 0x3f) << 12 | (b & 0x7ff) << 1;
                self.branch(at, sign(offset, 21));
            }
            _ => {}
        }
    }

    fn branch(&mut self, at: u32, offset: u32) {
        let to = at.wrapping_add(4).wrapping_add(offset);
        if !(self.start..self.end).contains(&to) {
            self.to(to, true);
        }
    }

    fn by_register(&mut self, register: usize, is_tail: bool) {
        match self.registers[register] {
            Value::Constant(to) => self.to(to & !1, is_tail),
            Value::Loaded(offset) => self.calls.push(Call::Virtual(offset)),
            Value::Unknown => self.calls.push(Call::Unknown),
        }
    }
}

/// The offset of BL and of B: 24 bits and a sign.
fn far(a: u32, b: u32) -> u32 {
    let s = a >> 10 & 1;
    let (i1, i2) = (!(b >> 13 ^ s) & 1, !(b >> 11 ^ s) & 1);
    sign(s << 24 | i1 << 23 | i2 << 22 | (a & 0x3ff) << 12 | (b & 0x7ff) << 1, 25)
}

/// A number of so many bits with a sign.
fn sign(value: u32, bits: u32) -> u32 {
    let up = 32 - bits;
    ((value << up).cast_signed() >> up).cast_unsigned()
}
