//! What the page shows, for its script and as text.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use barenet::{Net, State};
use barenet_boards::uptime;

/// Connections that are shown: a page of more helps nobody.
const CONNECTIONS_MAX: usize = 100;

/// A cell of a table.
enum Cell {
    Text(String),
    Number(u64),
    Nothing,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Cell {
        Cell::Number(number.into())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Cell {
        Cell::Number(number)
    }
}

type Rows = Vec<Vec<Cell>>;

/// Local and peer, state, RTT, congestion window, the peer's window, in flight, unread, unsent, retransmitted segments.
fn connections(net: &Net) -> Rows {
    let now = net.now();
    net.with_stack(|stack| {
        let row = |(local, peer, info): (core::net::SocketAddr, core::net::SocketAddr, barenet::TcpInfo)| {
            let rtt = info.rtt.map_or(Cell::Nothing, |rtt| Cell::Number(rtt.millis()));
            [
                local.to_string().into(),
                peer.to_string().into(),
                state_name(info.state).into(),
                rtt,
                info.cwnd.into(),
                info.send_window.into(),
                info.in_flight.into(),
                info.unread.into(),
                info.unsent.into(),
                info.segments_retransmitted.into(),
            ]
            .into_iter()
            .collect()
        };
        stack.tcp_connections(now).take(CONNECTIONS_MAX).map(row).collect()
    })
}

/// `FinWait1` as `FIN-WAIT-1`.
fn state_name(state: State) -> String {
    let mut name = String::new();
    for character in format!("{state:?}").chars() {
        if !name.is_empty() && !character.is_ascii_lowercase() {
            name.push('-');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

/// Name, hardware address, MTU, link, address, its origin and its state: a line for each address.
fn interfaces(net: &Net) -> Rows {
    let configuration = net.configuration();
    let mut rows = Rows::new();
    for (id, interface) in configuration.interfaces() {
        let link = if interface.is_link_up() { "up" } else { "down" };
        for address in configuration.addresses(id) {
            rows.push(Vec::from([
                configuration.name(id).to_string().into(),
                interface.capabilities().mac.to_string().into(),
                u32::from(interface.mtu()).into(),
                String::from(link).into(),
                address.cidr.to_string().into(),
                address.origin.to_string().into(),
                address.state.to_string().into(),
            ]));
        }
    }
    rows
}

fn drops(net: &Net) -> Rows {
    net.with_stack(|stack| {
        let row = |(drop, count): (barenet::counters::Drop, u64)| {
            Vec::from([String::from(drop.name()).into(), count.into()])
        };
        stack.counters().drops_seen().map(row).collect()
    })
}

/// Text as JSON has it.
fn quoted(to: &mut String, text: &str) {
    to.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => to.extend(['\\', character]),
            control if control.is_control() => _ = write!(to, "\\u{:04x}", u32::from(control)),
            other => to.push(other),
        }
    }
    to.push('"');
}

fn array<T>(to: &mut String, items: &[T], mut each: impl FnMut(&mut String, &T)) {
    to.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        each(to, item);
    }
    to.push(']');
}

/// Everything, for the page's script.
pub(crate) fn json(net: &Net) -> String {
    let ((used, all), rx, tx, dropped) = net.with_stack(|stack| {
        let counters = stack.counters();
        let dropped = counters.drops_seen().map(|(_, count)| count).sum::<u64>();
        (stack.memory(), counters.frames.received.bytes, counters.frames.sent.bytes, dropped)
    });
    let mut text = String::new();
    let up = uptime().millis();
    let _ = write!(text, r#"{{"up_ms":{up},"memory":[{used},{all}],"rx":{rx},"tx":{tx},"dropped":{dropped}"#);
    for (name, rows) in
        [("connections", connections(net)), ("interfaces", interfaces(net)), ("drops", drops(net))]
    {
        let _ = write!(text, r#","{name}":"#);
        array(&mut text, &rows, |text, row| {
            array(text, row, |text, cell| match cell {
                Cell::Text(words) => quoted(text, words),
                Cell::Number(number) => _ = write!(text, "{number}"),
                Cell::Nothing => text.push_str("null"),
            });
        });
    }
    text.push('}');
    text
}

/// The same as text, in columns.
pub(crate) fn text(net: &Net) -> String {
    let mut text = String::new();
    let mut table = |head: &[&str], rows: Rows| {
        let cells = rows.iter().map(|row| row.iter().map(in_words).collect::<Vec<_>>()).collect::<Vec<_>>();
        let width = |column: usize| {
            let longest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            longest.max(head[column].len())
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for (column, name) in head.iter().enumerate() {
            let _ = write!(text, "{name:<width$}  ", width = widths[column]);
        }
        text.push('\n');
        for row in &cells {
            for (column, cell) in row.iter().enumerate() {
                let _ = write!(text, "{cell:<width$}  ", width = widths[column]);
            }
            text.push('\n');
        }
        text.push('\n');
    };
    let head =
        ["Local", "Peer", "State", "RTT-ms", "Cwnd", "Window", "In-flight", "Unread", "Unsent", "Retrans"];
    table(&head, connections(net));
    table(&["Name", "HWaddress", "MTU", "Link", "Address", "From", "State"], interfaces(net));
    table(&["Drop", "Packets"], drops(net));
    text
}

fn in_words(cell: &Cell) -> String {
    match cell {
        Cell::Text(words) => words.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Nothing => String::from("-"),
    }
}
