//! Known bugs switched on one at a time in the tests' own programs, each to be caught by the test that is named for it.
//!
//! That these tests pass without any bug is what `./tests/all tests` shows, and power.

use std::io::Seek as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use studiovault_protocol::sabotage::{Bug, SWITCH};

use crate::programs::{self, Program};

/// So long a test may take to catch its bug.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a running test is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The test that catches a bug: the target that holds it, and its name.
fn catcher(bug: Bug) -> (&'static str, &'static str) {
    match bug {
        Bug::NormalSync => ("power", "power::store::a_commit_waits_for_the_disk"),
        Bug::PairwisePick => (
            "studiovault_protocol",
            "merge::tests::the_pick_is_read_over_the_whole_set_where_pairs_would_be_cyclic",
        ),
        Bug::LosersDropped => (
            "studiovault_protocol",
            "merge::tests::counter_examples::losing_siblings_are_kept_or_the_order_of_arrival_would_show",
        ),
        Bug::NoCausalWait => (
            "studiovault_protocol",
            "merge::tests::counter_examples::an_invoice_never_shows_up_before_its_client",
        ),
        Bug::EpochKept => (
            "studiovault_protocol",
            "engine::tests::epochs::two_copies_of_a_disk_write_on_in_epochs_of_their_own",
        ),
        Bug::TombstoneEarly => (
            "studiovault_node",
            "store::tests::collecting::content_stays_90_days_after_a_machine_saw_the_delete_and_the_bare_id_for_ever",
        ),
        Bug::VerdictUnsigned => (
            "studiovault_protocol",
            "engine::tests::carrying::a_page_of_the_feed_is_believed_with_the_clouds_signature_and_no_other",
        ),
        Bug::DedupeWindow => (
            "studiovault_cloud",
            "tests::plain::a_plain_command_sent_again_has_one_effect_and_the_same_answer",
        ),
        Bug::StaleContext => (
            "local_api",
            "a_read_token_given_back_tells_what_the_person_had_seen",
        ),
        Bug::NoEscape => (
            "studiovault_protocol",
            "engine::tests::carrying::a_machine_whose_gateway_brings_nothing_to_the_cloud_carries_by_itself_after_30_s",
        ),
        Bug::EndlessQueue => (
            "studiovault_node",
            "mesh::tests::a_peer_that_stops_reading_overflows_and_is_closed",
        ),
        Bug::CursorByTime => (
            "studiovault_node",
            "store::tests::streaming::rows_that_come_during_a_transfer_are_part_of_it",
        ),
    }
}

/// How a run of one test ended.
enum End {
    Passed,
    Failed,
    /// It was ended by us.
    TooSlow,
    NoSuchTest,
}

/// Switches every bug on, or only those named, and fails if one is not caught.
pub fn campaign(only: &[String]) -> Result<()> {
    let is_wanted = |bug: &Bug| only.is_empty() || only.iter().any(|word| word == bug.word());
    let unknown = |word: &&String| Bug::ALL.iter().all(|bug| bug.word() != word.as_str());
    if let Some(word) = only.iter().find(unknown) {
        let known: Vec<&str> = Bug::ALL.map(Bug::word).into();
        bail!("there is no bug `{word}`; there are {}", known.join(", "));
    }
    let programs = programs::all()?;
    let mut missed = Vec::new();
    for bug in Bug::ALL.into_iter().filter(is_wanted) {
        let (target, test) = catcher(bug);
        let program = programs.get(target);
        let program = program.with_context(|| format!("no program of tests `{target}`"))?;
        let (end, took) = run(program, test, bug)?;
        let word = match end {
            End::Failed => "caught",
            End::Passed => "NOT CAUGHT",
            End::TooSlow => "NOT CAUGHT IN TIME",
            End::NoSuchTest => bail!("{target} has no test {test}"),
        };
        println!(
            "{:<17} {word} in {:>5.2} s by {target} {test}",
            bug.word(),
            took.as_secs_f64()
        );
        if !matches!(end, End::Failed) {
            missed.push(bug.word());
        }
    }
    ensure!(missed.is_empty(), "not caught: {}", missed.join(", "));
    Ok(())
}

/// Runs one test with a bug.
fn run(program: &Program, test: &str, bug: Bug) -> Result<(End, Duration)> {
    let mut command = Command::new(&program.executable);
    command.args(["--exact", test]).current_dir(&program.folder);
    command.env(SWITCH, bug.word());
    // A file takes all that a failing test has to say; a pipe that nobody reads would hold it up.
    let mut out = tempfile::tempfile()?;
    command.stderr(Stdio::null()).stdout(out.try_clone()?);
    let began = Instant::now();
    let mut child = command.spawn()?;
    let Some(status) = wait(&mut child, began)? else {
        return Ok((End::TooSlow, began.elapsed()));
    };
    let took = began.elapsed();
    out.rewind()?;
    let said = std::io::read_to_string(out)?;
    let end = match status.success() {
        false => End::Failed,
        true if said.contains("1 passed") => End::Passed,
        true => End::NoSuchTest,
    };
    Ok((end, took))
}

/// Waits for its end, or ends it.
fn wait(child: &mut Child, began: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}
