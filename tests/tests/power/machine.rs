//! The real program under power cuts, recorded from `init` on: two machines that write to each other, change the key and start again.

use anyhow::{Context, Result, ensure};
use studiovault_lab::power::machine::{Recorded, recorded};
use studiovault_lab::power::{Cut, Tail, scratch};
use studiovault_lab::processes::{Running, done, json};

/// With each of the three tails.
const CUTS: usize = 110;

fn cuts(recorded: &Recorded, tail: Tail, count: usize) -> Vec<Cut> {
    let points = recorded.recording().cut_points(count).into_iter();
    let cut = |after| Cut {
        after,
        tail,
        seed: 5,
    };
    points.map(cut).collect()
}

#[test]
fn the_real_program_loses_nothing_that_it_promised_or_sent_in_330_power_cuts() -> Result<()> {
    let recorded = recorded()?;
    let lost = std::thread::scope(|scope| {
        let recorded = &recorded;
        let one = |tail| scope.spawn(move || recorded.failing_cuts(&cuts(recorded, tail, CUTS)));
        let running = Tail::ALL.map(one);
        let ended = running.map(|thread| thread.join().expect("no check panics"));
        let lists = ended.into_iter().collect::<Result<Vec<Vec<String>>>>();
        lists.map(|lists| lists.concat())
    })?;
    println!(
        "power: {} cuts in {} events of the real program with {} promises; {} lost something",
        3 * CUTS,
        recorded.recording().events(),
        recorded.recording().acks(),
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:#?}");
    starts_again(&recorded)
}

/// What some cuts leave is started by the real program, whose own check finds nothing, and which writes on.
fn starts_again(recorded: &Recorded) -> Result<()> {
    let folder = scratch("power-again")?;
    let events = recorded.recording().events();
    for (number, share) in [5, 7, 9].into_iter().enumerate() {
        let cut = Cut {
            after: events * share / 10,
            tail: Tail::ALL[number],
            seed: 6,
        };
        let [desk, _] = recorded.left_by(cut, &folder.path().join("left"))?;
        let node = Running::node(&desk, &[]);
        let verified = done(&desk, &["verify"]);
        let answer = json(&desk, &["put", "client", "name=After the cut"]);
        ensure!(answer["ids"][0].is_string(), "{cut:?}: {answer} {verified}");
        node.stop();
    }
    Ok(())
}

/// Shows that the test can fail.
#[test]
fn the_real_program_on_a_disk_that_pretends_to_sync_is_caught() -> Result<()> {
    for ending in ["-wal", "studio.json.new"] {
        let pretending = recorded()?.without_syncs(ending);
        let failing = pretending.failing_cuts(&cuts(&pretending, Tail::Dropped, 40))?;
        let first = failing
            .first()
            .with_context(|| format!("{ending}: nothing was caught"))?;
        println!(
            "power: of 40 cuts {} are caught without syncs of {ending}: {first}",
            failing.len()
        );
    }
    Ok(())
}
