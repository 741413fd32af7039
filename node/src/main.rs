//! The `studiovault` command. Everything it can do stands in `cli`; here it only starts and ends.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
