//! Text output: the serial console on bare metal, standard output on the host.

use core::fmt;

/// Writes the text to the board's console.
pub fn print(text: fmt::Arguments<'_>) {
    #[cfg(all(target_arch = "x86_64", target_os = "none"))]
    crate::x86_64::print(text);
    #[cfg(not(target_os = "none"))]
    {
        use std::io::Write;
        // A closed standard output is not the program's failure.
        let _ = std::io::stdout().write_fmt(text);
    }
}

/// The console as a [`fmt::Write`].
///
/// ```
/// use core::fmt::Write;
///
/// let mut console = barenet_boards::Console;
/// writeln!(console, "{} bytes", 42)?;
/// # Ok::<(), core::fmt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print(format_args!("{text}"));
        Ok(())
    }
}

/// Prints to the console: serial port or standard output.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::internal::print(::core::format_args!($($text)*))
    };
}

/// Prints a line to the console: serial port or standard output.
///
/// ```
/// barenet_boards::println!("listening on port {}", 7000);
/// ```
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($text:tt)*) => {
        $crate::internal::print(::core::format_args!("{}\n", ::core::format_args!($($text)*)))
    };
}
