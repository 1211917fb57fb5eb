//! Programs for a microcontroller stay as small as they are (S13): flash, static memory, stack.

use barenet_tests::size::{LAYERS, OURS, Size, TCP_PARTS, measure};

/// What the programs take: flash, static memory and stack in bytes. Who makes one smaller writes the new value here.
const HELD: [(&str, [u32; 3]); 6] = [
    ("bare", [31314, 7512, 2768]),
    ("tcp1", [135038, 14408, 7272]),
    ("tcp8", [135326, 61576, 7672]),
    ("full", [176582, 70280, 16896]),
    ("tcp-least", [85648, 12200, 5200]),
    ("client", [185954, 30592, 19112]),
];

/// Bytes of flash of a UDP server, and of the same with one part more: all but `udp` by what they have besides (`dhcpv6` brings
/// `slaac`, and is counted without it).
const LAYERS_HELD: [(&str, u32); 9] = [
    ("udp", 51786),
    ("dhcpv4", 15370),
    ("slaac", 16748),
    ("dhcpv6", 10828),
    ("multicast", 18484),
    ("fragments", 9212),
    ("raw", 5612),
    ("vlan", 3268),
    ("forwarding", 6392),
];

/// Bytes of flash and of static memory that parts of TCP add to `tcp-least`.
const TCP_PARTS_HELD: [(&str, [u32; 2]); 6] = [
    ("counters", [1642, 1016]),
    ("fast-path", [7098, 200]),
    ("icmp-errors", [638, 0]),
    ("offload", [1018, 0]),
    ("pacing", [1844, 40]),
    ("sack", [18916, 360]),
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

/// What each part of the layers below TCP takes beside a program without it.
#[test]
fn layers_do_not_grow() {
    let mut flash = Vec::new();
    let mut wrong = String::new();
    for (program, (name, held)) in LAYERS.into_iter().zip(LAYERS_HELD) {
        assert_eq!(program.name, name);
        flash.push(measure(program).unwrap_or_else(|why| panic!("{why}")).flash());
        let whole = flash[flash.len() - 1];
        let found = match name {
            "udp" => whole,
            "dhcpv6" => whole - flash[flash.len() - 2],
            _ => whole - flash[0],
        };
        // A hundred bytes are what a compiler lays otherwise.
        if found > held + held * GROWS / 100 + 100 || found < held - held * SHRINKS / 100 - 100 {
            wrong += &format!("{name}: {found} instead of {held}\n");
        }
    }
    assert!(wrong.is_empty(), "flash:\n{wrong}");
}

/// What each part of TCP takes that can be left out.
#[test]
fn parts_of_tcp_do_not_grow() {
    let least = measure(TCP_PARTS[0]).unwrap_or_else(|why| panic!("{why}"));
    let mut wrong = String::new();
    for (program, (name, held)) in TCP_PARTS[1..].iter().zip(TCP_PARTS_HELD) {
        assert_eq!(program.name, name);
        let size = measure(*program).unwrap_or_else(|why| panic!("{why}"));
        let found = [size.flash().saturating_sub(least.flash()), size.fixed().saturating_sub(least.fixed())];
        // A hundred bytes are what a compiler lays otherwise.
        let holds = |(found, held): (u32, u32)| found.abs_diff(held) <= held * (GROWS + SHRINKS) / 100 + 100;
        if !found.into_iter().zip(held).all(holds) {
            wrong += &format!("{name}: {found:?} instead of {held:?}\n");
        }
    }
    assert!(wrong.is_empty(), "flash and static memory:\n{wrong}");
}

/// What of the stack is whose, the small frames left out.
fn deepest(size: &Size) -> String {
    let large = size.stack.calls.iter().filter(|(_, frame)| *frame >= 256);
    large.map(|(name, frame)| format!("{frame:>10} {name}\n")).collect()
}
