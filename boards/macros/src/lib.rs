//! The attribute `#[barenet_boards::main]`; see there.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes a function the program: the board boots, brings up the network and calls it.
///
/// The function takes the `Net` and gives nothing or a `Result<(), E>` whose error can be
/// displayed. When it returns, the program ends: with success, or, after the error was printed,
/// with failure. So does a panic in it.
///
/// `#[barenet_boards::main(stack_size = 1 << 20)]` gives its fiber a stack of so many bytes. (A process that
/// runs without `--fibers` has that of its main thread.)
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
    let (expansion, stack_size) = match check(&function).and_then(|()| stack_size(attribute)) {
        Ok(stack_size) => (EXPANSION, stack_size),
        Err(why) => (&*format!("::core::compile_error!({why:?});"), TokenStream::new()),
    };
    insert(expansion.parse().expect("the expansion is Rust"), &function, &stack_size)
}

/// What the attribute says of the stack, as an `Option<usize>`.
fn stack_size(attribute: TokenStream) -> Result<TokenStream, &'static str> {
    const EXPECTED: &str = "#[barenet_boards::main] takes no arguments but `stack_size = BYTES`";
    if attribute.is_empty() {
        return Ok("::core::option::Option::None".parse().expect("it is Rust"));
    }
    let mut tokens = attribute.into_iter();
    let [name, sign] = [tokens.next(), tokens.next()].map(|t| t.map(|t| t.to_string()));
    let bytes: TokenStream = tokens.collect();
    if (name.as_deref(), sign.as_deref()) != (Some("stack_size"), Some("=")) || bytes.is_empty() {
        return Err(EXPECTED);
    }
    let mut some: TokenStream = "::core::option::Option::Some".parse().expect("it is Rust");
    some.extend([TokenTree::Group(Group::new(Delimiter::Parenthesis, bytes))]);
    Ok(some)
}

/// Puts `function` where the expansion says FUNCTION, and `stack_size` where it says STACK_SIZE. As
/// tokens, so that the compiler's messages point into the program's source.
fn insert(expansion: TokenStream, function: &TokenStream, stack_size: &TokenStream) -> TokenStream {
    let mut out = TokenStream::new();
    for token in expansion {
        match token {
            TokenTree::Ident(name) if name.to_string() == "FUNCTION" => {
                out.extend(function.clone());
            }
            TokenTree::Ident(name) if name.to_string() == "STACK_SIZE" => {
                out.extend(stack_size.clone());
            }
            TokenTree::Group(group) => {
                let inner = insert(group.stream(), function, stack_size);
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
    #[unsafe(no_mangle)]
    fn barenet_main_stack_size() -> ::core::option::Option<usize> {
        STACK_SIZE
    }
};
#[cfg(not(target_os = "none"))]
fn main() -> ::std::process::ExitCode {
    FUNCTION
    ::barenet_boards::host::run(main, STACK_SIZE)
}
"#;

/// A mistake in the program's source is told here rather than inside the expansion.
fn check(function: &TokenStream) -> Result<(), &'static str> {
    const EXPECTED: &str = "#[barenet_boards::main] goes on `fn main(net: barenet::Net)`";
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
