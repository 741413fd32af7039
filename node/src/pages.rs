//! The memory pages of this process. A setting, and never a condition: where it cannot be made, the process only takes up more.

/// Asks the system for small pages. With huge ones a node that holds 100,000 entities was half as large again, and no faster: its
/// allocations are small and spread.
pub fn keep_small() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}
