//! The whole pipeline under a fuzzer: two stacks with live connections, and between them whatever an [`Input`] says.
//! Frames are lost, doubled, overtaken, damaged, forged; devices are full in the midst of a burst, refuse, vanish;
//! turns come late, by minutes; applications call anything at any time. After each step the stacks' own invariants
//! hold. In the end all heals, everybody lets go, and no stack may hold a connection or a byte.
//!
//! `cargo +nightly fuzz run pipeline` in the repository's root runs it; so does the test `fuzz`, over the corpus and
//! thousands of inputs of its own.

mod fragments;
mod host;
mod input;
mod line;
mod mdns;
mod names;
mod servers;
mod wire;

pub use fragments::fragments;
pub use input::{Call, Fate, Forgery, Input, Machine, Side, Step};
pub use mdns::mdns;
pub use names::names;
pub use servers::{Reached, servers};

use arbitrary::{Arbitrary, Unstructured};
use barenet::time::Duration;
use host::World;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps of one input. More would find little that a second input does not.
const STEPS_MAX: usize = 500;

/// Runs what `bytes` stand for. Too few of them stand for nothing.
///
/// # Panics
///
/// When a stack breaks a promise.
pub fn pipeline(bytes: &[u8]) {
    if let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) {
        run(&input);
    }
}

/// What an input came to that did not end well: the panic, and the input without the steps that it does not need.
///
/// # Errors
///
/// Both, in words.
pub fn explain(bytes: &[u8]) -> Result<(), String> {
    let Ok(mut input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return Ok(()) };
    let Some(first) = failure(&input) else { return Ok(()) };
    let fails = |input: &Input| failure(input).is_some_and(|f| about(&f) == about(&first));
    input.steps.truncate(STEPS_MAX);
    let mut len = input.steps.len();
    while len > 0 {
        let mut at = 0;
        while at < input.steps.len() {
            let mut less = input.clone();
            less.steps.drain(at..(at + len).min(input.steps.len()));
            if fails(&less) { input = less } else { at += len }
        }
        len /= 2;
    }
    Err(format!("{first}\n{input:#?}"))
}

fn failure(input: &Input) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| run(input))).err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    Some(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned())
}

/// A failure without its numbers.
fn about(failure: &str) -> String {
    failure.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Runs an input.
///
/// # Panics
///
/// When a stack breaks a promise.
pub fn run(input: &Input) {
    let mut world = World::new(input);
    for step in input.steps.iter().take(STEPS_MAX) {
        world.step(step);
        world.check();
    }
    world.heal();
    world.settle(Duration::from_secs(10));
    world.let_go();
    world.comes_to_rest();
}
