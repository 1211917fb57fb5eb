//! How deep the calls of an image can go, in bytes of stack: the most expensive way through its call graph.
//!
//! It errs upward where it does not know: a call through a table may lead to any function that stands in one at that
//! place, and one through a register that nothing is known of to every function that is in a table; but nobody calls a
//! room above.

use super::image::Image;
use super::thumb::{Call, OUTLINED, calls};
use std::collections::{BTreeMap, BTreeSet};

/// What functions that came compiled, as memcpy, are taken for: the compiler says nothing of them, and they are leaves.
const UNKNOWN_FRAME: u32 = 32;

/// The deepest stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Bytes.
    pub bytes: u32,
    /// Who takes them: function and frame, from the start on.
    pub calls: Vec<(String, u32)>,
}

/// The deepest stack from the function `start` on.
pub(super) fn deepest(image: &Image<'_>, start: &str) -> Result<Stack, String> {
    let graph = Graph::new(image);
    let (&from, _) =
        image.functions.iter().find(|(_, (_, name))| name == start).ok_or("the image has no start")?;
    let mut search = Search { graph: &graph, done: BTreeMap::new(), under_way: Vec::new() };
    let way = search.from(from).way;
    let calls = way.calls.iter().rev().map(|&at| (name(image, at), graph.frame(at))).collect();
    Ok(Stack { bytes: way.bytes, calls })
}

struct Graph<'a> {
    image: &'a Image<'a>,
    /// What each function calls, and whether its own frame is given back before.
    edges: BTreeMap<u32, BTreeSet<(u32, bool)>>,
}

impl<'a> Graph<'a> {
    fn new(image: &'a Image<'a>) -> Self {
        let tables = Tables::new(image);
        let outlined = |at: &u32| image.functions[at].1.starts_with(OUTLINED);
        // What was taken out of functions was read as a part of them.
        let edges = image.functions.keys().filter(|at| !outlined(at)).map(|&at| {
            let caller = name(image, at);
            let targets = calls(image, at).into_iter().flat_map(|call| match call {
                Call::Direct(to) => vec![(to, false)],
                Call::Tail(to) => vec![(to, true)],
                Call::Virtual(offset) => tables.reachable(&caller, Some(offset)),
                Call::Unknown => tables.reachable(&caller, None),
            });
            (at, targets.filter(|(to, _)| image.functions.contains_key(to)).collect())
        });
        Graph { image, edges: edges.collect() }
    }

    fn frame(&self, at: u32) -> u32 {
        self.image.frames.get(&at).copied().unwrap_or(UNKNOWN_FRAME)
    }
}

/// The name of a function as its source has it.
fn name(image: &Image<'_>, at: u32) -> String {
    let name = image.functions.get(&at).map_or("", |(_, name)| name);
    format!("{:#}", rustc_demangle::demangle(name))
}

/// The rooms of barenet from the top, by what is in a function's name: nobody calls a room above through a table. What
/// names none is the program, if it is not a part of Rust's or of `heapless`.
const ROOMS: [(&str, u8); 9] = [
    ("barenet::net::", 3),
    ("barenet::socket::", 3),
    ("barenet::wait::", 3),
    ("barenet::platform::", 3),
    ("barenet::device::Device>::", 1),
    ("barenet::daemon::", 2),
    ("barenet::stack::", 1),
    ("barenet::", 0),
    ("heapless::", 0),
];

fn room(name: &str) -> u8 {
    let room = ROOMS.iter().find(|(word, _)| name.contains(word)).map(|(_, room)| *room);
    room.unwrap_or(if name.contains("core::") { 0 } else { 3 })
}

/// The functions that stand in tables, and how many bytes behind the start of theirs.
struct Tables(Vec<InTable>);

struct InTable {
    offset: u32,
    function: u32,
    room: u8,
}

impl Tables {
    fn new(image: &Image<'_>) -> Self {
        let pointers = image.pointers();
        let word = |at: u32| image.word(at);
        // How to drop, size, alignment, methods.
        let is_methods = |at: u32| {
            (pointers.contains_key(&at) || word(at) == Some(0))
                && word(at + 4).is_some_and(|size| size < 1 << 20)
                && word(at + 8).is_some_and(|align| matches!(align, 1 | 2 | 4 | 8))
                && pointers.contains_key(&(at + 12))
        };
        let run = |from: u32| (from..).step_by(4).map_while(|at| Some((at, *pointers.get(&at)?)));
        let mut found = Vec::new();
        for &at in pointers.keys() {
            // The table's first method, or what a waker does.
            if at >= 12 && is_methods(at - 12) {
                found.extend(run(at).map(|(p, to)| (p - at + 12, to)));
                found.extend(pointers.get(&(at - 12)).map(|to| (0, *to)));
            } else if !pointers.contains_key(&(at - 4)) {
                found.extend(run(at).map(|(p, to)| (p - at, to)));
            }
        }
        let entry = |(offset, function)| InTable { offset, function, room: room(&name(image, function)) };
        Tables(found.into_iter().map(entry).collect())
    }

    /// What this function may call that stands so far behind the start of a table, or anywhere. A device alone calls
    /// upwards: what takes in its frames.
    fn reachable(&self, caller: &str, offset: Option<u32>) -> Vec<(u32, bool)> {
        let from = if caller.ends_with("barenet::device::Device>::receive") { 2 } else { room(caller) };
        let may = |entry: &&InTable| offset.is_none_or(|at| entry.offset == at) && entry.room <= from;
        self.0.iter().filter(may).map(|entry| (entry.function, false)).collect()
    }
}

/// The most expensive way from a function on.
#[derive(Clone)]
struct Way {
    bytes: u32,
    /// The last first.
    calls: Vec<u32>,
}

struct Found {
    way: Way,
    /// The first of those under way that it would have come back to.
    back_to: usize,
}

struct Search<'a> {
    graph: &'a Graph<'a>,
    done: BTreeMap<u32, Way>,
    under_way: Vec<u32>,
}

impl Search<'_> {
    /// No function is counted twice: how often one calls itself, by itself or through others, the graph does not say. What is
    /// found in such a circle holds for the way into it alone, and is not kept.
    fn from(&mut self, at: u32) -> Found {
        // What was found on another way counts here if it comes by nobody who is on this one.
        let kept = self.done.get(&at).filter(|way| !way.calls.iter().any(|at| self.under_way.contains(at)));
        if let Some(way) = kept {
            return Found { way: way.clone(), back_to: usize::MAX };
        }
        let place = self.under_way.len();
        if let Some(back_to) = self.under_way.iter().position(|under| *under == at) {
            return Found { way: Way { bytes: 0, calls: Vec::new() }, back_to };
        }
        self.under_way.push(at);
        let frame = self.graph.frame(at);
        let mut best = Found { way: Way { bytes: frame, calls: Vec::new() }, back_to: usize::MAX };
        for &(to, is_tail) in &self.graph.edges[&at] {
            let found = self.from(to);
            best.back_to = best.back_to.min(found.back_to);
            let bytes = found.way.bytes + if is_tail { 0 } else { frame };
            if bytes > best.way.bytes {
                best.way = Way { bytes, calls: found.way.calls };
            }
        }
        self.under_way.pop();
        best.way.calls.push(at);
        if best.back_to >= place {
            self.done.insert(at, best.way.clone());
            best.back_to = usize::MAX;
        }
        best
    }
}
