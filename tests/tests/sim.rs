//! The simulator as a test: seeds of a bad world that must end in agreement, and the same run from the same seed.

use std::collections::BTreeMap;

use studiovault_lab::sim::found::FOUND;
use studiovault_lab::sim::gatekeeper::{self, Trick};
use studiovault_lab::sim::{self, Cast};

/// What went wrong with these seeds, and how many of them count: a seed with too little trouble proves nothing.
fn judge(seeds: impl Iterator<Item = (u64, Cast)>) -> (Vec<String>, usize) {
    let (mut wrong, mut counted) = (Vec::new(), 0);
    for (seed, cast) in seeds {
        let report = sim::run_with(seed, cast);
        counted += usize::from(report.counts());
        if let Some(failure) = &report.failure {
            let flag = cast.flag();
            wrong.push(format!("SEED={seed} cargo sim{flag}    # {failure}"));
        }
    }
    (wrong, counted)
}

/// Two hundred that count here; `tests/all` runs two thousand of them.
#[test]
fn machines_in_a_bad_world_agree_and_fall_silent_once_it_is_good_again() {
    let all = |from: u64| (from..=206).step_by(2).map(|seed| (seed, Cast::Honest));
    let halves = std::thread::scope(|scope| {
        let odd = scope.spawn(|| judge(all(1)));
        let even = judge(all(2));
        [odd.join().expect("no panic"), even]
    });
    let wrong: Vec<&String> = halves.iter().flat_map(|(wrong, _)| wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let counted: usize = halves.iter().map(|(_, counted)| counted).sum();
    assert!(counted >= 200, "only {counted} seeds of 206 count");
}

#[test]
fn what_a_seed_once_found_is_not_found_again() {
    let (wrong, counted) = judge(FOUND.iter().map(|(seed, cast, _)| (*seed, *cast)));
    assert!(wrong.is_empty(), "{wrong:#?}\n{FOUND:#?}");
    assert_eq!(counted, FOUND.len(), "a seed became too tame");
}

/// Shut out by an admin, by each other, or gone by their own word, half of it in a split studio; the root key takes some back.
#[test]
fn machines_that_lose_the_right_to_belong_keep_nobody_from_agreeing() {
    let (wrong, counted) = judge((1..=60).map(|seed| (seed, Cast::Rights)));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(counted, 60);
}

/// `cargo campaign churn` does it 10,000 times, until rosters are full.
#[test]
fn machines_that_come_and_go_are_one_with_the_others_each_time() {
    let mut rows = 0;
    let churned = sim::churn::measure(40, &mut |row| {
        rows += 1;
        assert!(row.records > 40, "{row}");
    });
    let churned = churned.expect("nothing goes wrong");
    assert_eq!((churned.events, churned.studios, rows), (40, 1, 1));
}

/// Its frames and batches are bent, forged, withheld and told again, and its log forks, until the world is healed; then all agree, the
/// liar too.
#[test]
fn a_member_that_lies_keeps_nobody_from_agreeing() {
    let (mut lies, mut forks) = (0, 0);
    for seed in 1..=60 {
        let report = sim::run_with(seed, sim::Cast::Liar);
        assert_eq!(report.failure, None, "SEED={seed} cargo sim --liar");
        lies += report.faults.get("lie").copied().unwrap_or(0);
        forks += report.faults.get("fork").copied().unwrap_or(0);
    }
    assert!(lies > 1_000, "only {lies} lies in sixty seeds");
    assert!(forks > 20, "only {forks} forks in sixty seeds");
}

/// They announce a protocol that nobody else speaks and write what this version cannot read; it is kept, passed on and applied as
/// nothing, and all agree on it and on the rest.
#[test]
fn machines_of_a_newer_version_keep_nobody_from_agreeing_and_lose_nothing() {
    let mut written: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 1..=20 {
        let report = sim::run_with(seed, Cast::Mixed);
        assert_eq!(report.failure, None, "SEED={seed} cargo sim --mixed");
        for (kind, count) in report.faults {
            *written.entry(kind).or_default() += count;
        }
    }
    for kind in [
        "newer envelope",
        "unknown operation",
        "unknown type",
        "unknown field",
    ] {
        let count = written.get(kind).copied().unwrap_or(0);
        assert!(count >= 10, "{kind}: only {count} in twenty seeds");
    }
}

/// What is not the cloud's ends the link; what is kept back is told by whoever hears of it from the cloud. Nothing of it is folded: the
/// checks of every world hold, two feeds are seen by nobody, and in the end all agree.
#[test]
fn a_gateway_that_flips_reorders_omits_replays_or_withholds_the_feed_is_noticed() {
    for seed in 1..=4 {
        for trick in [Trick::Flips, Trick::Omits, Trick::Replays, Trick::Withholds] {
            let came = gatekeeper::run(seed, trick);
            assert_eq!(came.failure, None, "seed {seed}, {trick:?}: {came:?}");
            assert!(came.lies > 0, "seed {seed}, {trick:?}: {came:?}");
            let is_noticed = match trick {
                Trick::Flips => came.refused > 0,
                _ => came.withheld > 0,
            };
            assert!(is_noticed, "seed {seed}, {trick:?}: {came:?}");
        }
        // Every page says what it comes after: out of order they come late, and that is all.
        let came = gatekeeper::run(seed, Trick::Reorders);
        assert_eq!(came.failure, None, "seed {seed}: {came:?}");
        assert!(came.lies > 0 && !came.stood_still, "seed {seed}: {came:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1_001..=1_050 {
        let (once, again) = (sim::run(seed, false), sim::run(seed, false));
        assert_eq!(once.hash, again.hash, "SEED={seed} cargo sim");
    }
}
