//! The `studiovault` command. Everything it can do stands in `cli`; here it only starts and ends.

mod cli;

/// Applying commands is a storm of small allocations: a sixth of the time went to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    studiovault_node::pages::keep_small();
    cli::main()
}
