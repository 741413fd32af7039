//! What this machine counts of itself: latencies since the start. Recorded here always; who may see it is decided elsewhere.
//!
//! A fixed number of counters: nothing here grows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use studiovault_protocol::api::{
    LATENCY_STEPS_MS, Status, TelemetryConflicts, TelemetryCounts, TelemetryReport,
};

/// Steps that latencies are counted in.
const STEPS: usize = LATENCY_STEPS_MS.len() + 1;

/// What was recorded since the start.
#[derive(Debug, Default)]
pub struct Recorder {
    /// From a write's request until it is durable.
    pub writes: Latencies,
    /// From a batch's request until the cloud's answer.
    pub batches: Latencies,
}

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Latencies {
    steps: [AtomicU64; STEPS],
    total_us: AtomicU64,
}

impl Latencies {
    /// Notes one.
    pub fn note(&self, took: Duration) {
        let step = LATENCY_STEPS_MS
            .iter()
            .position(|end| took <= Duration::from_millis(*end));
        self.steps[step.unwrap_or(STEPS - 1)].fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.total_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many there were in each step.
    pub fn steps(&self) -> [u64; STEPS] {
        self.steps
            .each_ref()
            .map(|step| step.load(Ordering::Relaxed))
    }

    /// What all of them took.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.total_us.load(Ordering::Relaxed))
    }
}

impl Recorder {
    /// All that is told of this machine; `opened` and `closed` are the ledger's.
    pub fn report(&self, status: &Status, (opened, closed): (u64, u64)) -> TelemetryReport {
        let counts = &status.counts;
        TelemetryReport {
            version: status.node.version.clone(),
            system: std::env::consts::OS.to_owned(),
            machines: status.copies.machines.into(),
            linked: status.peers.len() as u64,
            counts: TelemetryCounts {
                entities: counts.entities,
                commands: counts.commands,
                pending: counts.pending,
                confirmed: counts.confirmed,
                rejected: counts.rejected,
                dead_letters: counts.dead_letters,
                log_bytes: counts.log_bytes,
            },
            conflicts: TelemetryConflicts {
                open: counts.conflicts,
                opened,
                closed,
            },
            writes: self.writes.steps(),
            batches: self.batches.steps(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_counts_in_the_first_step_that_it_fits_into() {
        let latencies = Latencies::default();
        for us in [
            0, 1_000, 1_001, 3_000, 4_000, 3_000_000, 3_000_001, 90_000_000,
        ] {
            latencies.note(Duration::from_micros(us));
        }
        assert_eq!(latencies.steps(), [2, 2, 1, 0, 0, 0, 0, 1, 2]);
        assert_eq!(latencies.total(), Duration::from_micros(96_009_002));
    }
}
