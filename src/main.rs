//! The program: see [`factorio_isr::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    factorio_isr::cli::main()
}
