//! What refused and poisonous commands, and an hour without the cloud, cost everybody else: nothing is lost, nobody waits.

use studiovault_lab::queue::{Load, run};

const QUIET: Load = Load {
    commands: 10_000,
    refused: 0,
    poison: 0,
    busy_ms: 0,
};

#[test]
fn refused_commands_all_lie_in_the_bin_and_all_others_are_confirmed() {
    let load = Load {
        refused: 1_000,
        ..QUIET
    };
    let outcome = run(load);
    println!("{outcome:?}");
    let counts = outcome.counts;
    assert_eq!((counts.confirmed, counts.rejected), (9_000, 1_000));
    assert_eq!(
        (counts.dead_letters, counts.stuck, counts.pending),
        (1_000, 0, 0)
    );
    assert_eq!(outcome.broken, 0);
}

#[test]
fn commands_that_break_the_cloud_are_set_aside_one_by_one_and_all_others_are_confirmed() {
    let load = Load {
        poison: 20,
        ..QUIET
    };
    let outcome = run(load);
    println!("{outcome:?}");
    let counts = outcome.counts;
    assert_eq!(
        (counts.confirmed, counts.stuck, counts.pending),
        (9_980, 20, 20)
    );
    assert_eq!(
        (counts.rejected, counts.dead_letters, outcome.blamed),
        (0, 0, 0)
    );
}

#[test]
fn an_hour_of_503_puts_nothing_into_the_bin_and_counts_against_nobody() {
    let load = Load {
        busy_ms: 3_600_000,
        ..QUIET
    };
    let outcome = run(load);
    println!("{outcome:?}");
    let counts = outcome.counts;
    assert!(outcome.virtual_ms > 3_600_000);
    assert_eq!((counts.confirmed, counts.pending), (10_000, 0));
    assert_eq!(
        (counts.dead_letters, counts.stuck, outcome.blamed),
        (0, 0, 0)
    );
    // Full jitter up to 5 minutes: some dozens of tries in an hour, not thousands; the rest are probes, one in 4 s.
    assert!(outcome.requests < 1_200, "{} requests", outcome.requests);
}
