//! Programs for a microcontroller stay as small as they are (S13): flash, static memory, stack.

use barenet_tests::size::{OURS, Size, measure};

/// What the programs take: flash, static memory and stack in bytes. Who makes one smaller writes the new value here.
const HELD: [(&str, [u32; 3]); 6] = [
    ("bare", [44624, 12724, 3216]),
    ("tcp1", [147174, 20900, 7040]),
    ("tcp8", [147198, 63460, 7424]),
    ("full", [183126, 71492, 15416]),
    ("tcp-least", [127590, 19356, 5928]),
    ("client", [194818, 32640, 18592]),
];

/// What they may grow by before somebody has to say that it is worth it, and shrink by before it is held, in percent.
const GROWS: u32 = 2;
const SHRINKS: u32 = 4;

/// The programs take what they took, on a Cortex-M3 and with everything optimised for size.
#[test]
fn programs_do_not_grow() {
    let mut wrong = String::new();
    for (program, (name, held)) in OURS.into_iter().zip(HELD) {
        assert_eq!(program.name, name);
        let size = measure(program).unwrap_or_else(|why| panic!("{why}"));
        let found = [size.flash(), size.fixed(), size.stack.bytes];
        let holds = |(found, held): (u32, u32)| {
            found <= held + held * GROWS / 100 && found >= held - held * SHRINKS / 100
        };
        if !found.into_iter().zip(held).all(holds) {
            wrong += &format!("{name}: {found:?} instead of {held:?}\n{}", deepest(&size));
        }
    }
    assert!(wrong.is_empty(), "flash, static memory, stack:\n{wrong}");
}

/// What of the stack is whose, the small frames left out.
fn deepest(size: &Size) -> String {
    let large = size.stack.calls.iter().filter(|(_, frame)| *frame >= 256);
    large.map(|(name, frame)| format!("{frame:>10} {name}\n")).collect()
}
