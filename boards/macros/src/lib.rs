//! The attribute `#[barenet_boards::main]`; see there.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes a function the program: the board boots, brings up the network and calls it.
///
/// The function takes the `Net` and gives nothing or a `Result<(), E>` whose error can be
/// displayed. When it returns, the program ends: with success, or, after the error was printed,
/// with failure. So does a panic in it.
///
/// # The end
///
/// Connections that `main` has closed are carried on until their peers have what was written, for as long as
/// some peer takes some of it at least every ten seconds. Then what is left is reset, one line says how much
/// that was, and the program fails. Fibers and threads beside `main` have two seconds to close theirs (none
/// if `main` panicked); after that what they wrote is delivered as well, and a reset follows it.
///
/// The file starts with the `cfg_attr` line above; the same source is then a kernel image for a
/// bare target and a process on the host.
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, function: TokenStream) -> TokenStream {
    let expansion = match check(attribute, &function) {
        Ok(()) => EXPANSION,
        Err(why) => &format!("::core::compile_error!({why:?});"),
    };
    insert(expansion.parse().expect("the expansion is Rust"), &function)
}

/// Puts `function` where the expansion says FUNCTION. As tokens, so that the compiler's messages
/// point into the program's source.
fn insert(expansion: TokenStream, function: &TokenStream) -> TokenStream {
    let mut out = TokenStream::new();
    for token in expansion {
        match token {
            TokenTree::Ident(name) if name.to_string() == "FUNCTION" => {
                out.extend(function.clone());
            }
            TokenTree::Group(group) => {
                let inner = insert(group.stream(), function);
                out.extend([TokenTree::Group(Group::new(group.delimiter(), inner))]);
            }
            other => out.extend([other]),
        }
    }
    out
}

/// Nesting keeps the program's function as it is written, under its own name.
const EXPANSION: &str = r#"
#[cfg(target_os = "none")]
const _: () = {
    FUNCTION
    #[unsafe(no_mangle)]
    fn barenet_main(net: ::barenet_boards::internal::Net) -> bool {
        ::barenet_boards::Outcome::report(main(net))
    }
};
#[cfg(not(target_os = "none"))]
fn main() -> ::std::process::ExitCode {
    FUNCTION
    ::barenet_boards::host::run(main)
}
"#;

/// A mistake in the program's source is told here rather than inside the expansion.
fn check(attribute: TokenStream, function: &TokenStream) -> Result<(), &'static str> {
    const EXPECTED: &str = "#[barenet_boards::main] goes on `fn main(net: barenet::Net)`";
    if !attribute.is_empty() {
        return Err("#[barenet_boards::main] takes no arguments");
    }
    let mut tokens = function.clone().into_iter();
    let name = tokens.by_ref().skip_while(|t| t.to_string() != "fn").nth(1).map(|t| t.to_string());
    match (name.as_deref(), tokens.next()) {
        (Some("main"), Some(TokenTree::Group(g)))
            if g.delimiter() == Delimiter::Parenthesis && !g.stream().is_empty() =>
        {
            Ok(())
        }
        _ => Err(EXPECTED),
    }
}
