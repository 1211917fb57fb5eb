//! S13: programs for a microcontroller, and what they take.

use crate::table::{Table, verdict};
use barenet_tests::size::{FACES, LAYERS, OURS, SMOLTCP, Size, TCP_PARTS, measure};

/// The most bytes that a program may take: flash, static memory, stack.
const GOALS: [(&str, [Option<u32>; 3]); 3] = [
    ("bare", [Some(32 << 10), None, Some(6 << 10)]),
    ("tcp1", [Some(64 << 10), Some(12 << 10), Some(6 << 10)]),
    ("tcp-least", [Some(64 << 10), Some(12 << 10), Some(6 << 10)]),
];

pub(crate) fn table() -> Result<Table, String> {
    let mut table = Table::new(
        "S13: bytes of a program on a Cortex-M3 (thumbv7m), optimised for size",
        [
            "program",
            ".text + .rodata",
            ".data + .bss",
            "of it .data",
            "deepest stack",
            "goal: flash, static, stack",
        ],
    );
    let pairs = OURS.into_iter().enumerate();
    for program in pairs.flat_map(|(n, ours)| [Some(ours), SMOLTCP.get(n).copied()]).flatten() {
        let size = measure(program)?;
        let cells = [size.code, size.fixed(), size.data, size.stack.bytes].map(|n| n.to_string());
        let [code, fixed, data, stack] = cells;
        table.row([program.name.to_owned(), code, fixed, data, stack, goals(program.name, &size)]);
    }
    Ok(table)
}

/// What names and callbacks take: the difference of two programs, of which one has more of them.
const PARTS: [(&str, [&str; 2], u32); 4] = [
    ("dns: a name is looked up", ["client_address", "client_lookup"], 8 << 10),
    ("happy eyeballs: connect by name", ["client_lookup", "client"], 3 << 10),
    ("mdns: a name and a service of its own", ["client_multicast", "client_mdns"], 5 << 10),
    ("callbacks: the echo service by them", ["echo_polled", "echo_called"], 2 << 10),
];

pub(crate) fn faces() -> Result<Table, String> {
    let columns = ["part", "flash without", "flash with", "difference", "goal"];
    let mut table = Table::new("S13: bytes of flash that names and callbacks take, on the same", columns);
    let mut flash = Vec::new();
    for program in FACES {
        flash.push((program.name, measure(program)?.flash()));
    }
    let of = |name: &str| flash.iter().find(|(n, _)| *n == name).map_or(0, |(_, flash)| *flash);
    for (part, [without, with], goal) in PARTS {
        let more = of(with) - of(without);
        let goal = format!("{} <= {} KiB", verdict(more <= goal), goal >> 10);
        table.row([part.to_owned(), of(without).to_string(), of(with).to_string(), more.to_string(), goal]);
    }
    Ok(table)
}

/// The most bytes of flash that parts of the layers below TCP may take.
const LAYER_GOALS: [(&str, u32); 4] =
    [("dhcpv4", 6 << 10), ("slaac", 6 << 10), ("multicast", 5 << 10), ("fragments", 3 << 10)];

pub(crate) fn layers() -> Result<Table, String> {
    let columns = ["part", "flash without", "flash with", "difference", "goal"];
    let mut table =
        Table::new("S13: bytes of flash that parts of the layers below TCP take of a UDP server", columns);
    let mut flash: Vec<(&str, u32)> = Vec::new();
    for program in LAYERS {
        let with = measure(program)?.flash();
        let without = match program.name {
            // It brings SLAAC, and is counted without.
            "dhcpv6" => flash.iter().find(|(name, _)| *name == "slaac"),
            _ => flash.first(),
        };
        if let Some((_, without)) = without {
            let more = with - without;
            let goal = LAYER_GOALS.iter().find(|(name, _)| *name == program.name);
            let goal = goal.map_or("-".to_owned(), |(_, goal)| {
                format!("{} <= {} KiB", verdict(more <= *goal), goal >> 10)
            });
            table.row([
                program.name.to_owned(),
                without.to_string(),
                with.to_string(),
                more.to_string(),
                goal,
            ]);
        }
        flash.push((program.name, with));
    }
    Ok(table)
}

pub(crate) fn tcp_parts() -> Result<Table, String> {
    let columns = ["part", "flash", "static memory", "stack"];
    let mut table = Table::new("S13: bytes that parts of TCP add to `tcp-least`", columns);
    let mut least = None;
    for program in TCP_PARTS {
        let size = measure(program)?;
        let found = [size.flash(), size.fixed(), size.stack.bytes].map(i64::from);
        let without = *least.get_or_insert(found);
        if program.name != TCP_PARTS[0].name {
            let [flash, fixed, stack] = [0, 1, 2].map(|n| (found[n] - without[n]).to_string());
            table.row([program.name.to_owned(), flash, fixed, stack]);
        }
    }
    Ok(table)
}

fn goals(name: &str, size: &Size) -> String {
    let Some((_, goals)) = GOALS.iter().find(|(n, _)| *n == name) else { return "-".to_owned() };
    let found = [size.flash(), size.fixed(), size.stack.bytes];
    let met = found.iter().zip(goals).all(|(found, goal)| goal.is_none_or(|goal| *found <= goal));
    let named = goals.map(|goal| goal.map_or("-".to_owned(), |goal| format!("{} KiB", goal >> 10)));
    format!("{} <= {}", verdict(met), named.join(", "))
}
