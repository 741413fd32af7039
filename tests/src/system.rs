//! What the system says of a process (`/proc`, Linux).

use anyhow::{Context, Result};

/// User and system time of a process, clock ticks (10 ms each).
pub fn processor_ticks(id: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in brackets may hold spaces; user and system time are the 14th and 15th field.
    let after = stat.rsplit_once(')').context("a process has a name")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
    Ok(ticks(11)? + ticks(12)?)
}

/// What a process holds in memory, KiB.
pub fn resident_kib(id: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.context("its memory")?.trim().trim_end_matches(" kB");
    Ok(kib.parse()?)
}
