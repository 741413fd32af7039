//! What the doctor found, and in words whether all is well.

use studiovault_protocol::api::{DoctorStage, DoctorView, StageOutcome};

use super::sentence::Tone;
use super::words::count;

/// The last look, and whether one is under way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checkup {
    view: Option<DoctorView>,
    busy: bool,
}

impl Checkup {
    /// What was found last.
    pub fn view(&self) -> Option<&DoctorView> {
        self.view.as_ref()
    }

    /// Whether a look is under way.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn begin(&mut self) {
        self.busy = true;
    }

    pub(super) fn take(&mut self, view: DoctorView) {
        (self.view, self.busy) = (Some(view), false);
    }

    pub(super) fn failed(&mut self) {
        self.busy = false;
    }
}

/// How a stage is shown, and a word for it.
pub fn outcome_words(outcome: StageOutcome) -> (Tone, &'static str) {
    match outcome {
        StageOutcome::Ok => (Tone::Good, "ok"),
        StageOutcome::Failed => (Tone::Attention, "failed"),
        StageOutcome::Unknown => (Tone::Quiet, "unknown"),
    }
}

/// All of it in one sentence.
pub fn checkup_sentence(view: &DoctorView) -> (Tone, String) {
    let is_failed = |stage: &&DoctorStage| stage.outcome == StageOutcome::Failed;
    let failed = view.stages.iter().filter(is_failed);
    let failed: Vec<&str> = failed.map(|stage| stage.stage.word()).collect();
    let of = count(view.stages.len() as u64);
    match failed[..] {
        [] => {
            let tried = view.stages.iter();
            let tried = tried.filter(|stage| stage.outcome == StageOutcome::Ok);
            let words = format!(
                "Nothing fails: {} of {of} stages work, the others could not be tried.",
                count(tried.count() as u64)
            );
            (Tone::Good, words)
        }
        [one] => (
            Tone::Attention,
            format!("One of {of} stages fails: {one}. What to do stands beside it."),
        ),
        _ => (
            Tone::Attention,
            format!(
                "{} of {of} stages fail: {}. Do what stands beside the first one first.",
                count(failed.len() as u64),
                failed.join(", ")
            ),
        ),
    }
}

/// The look as text, to be sent to somebody who helps.
pub fn checkup_text(view: &DoctorView) -> String {
    let mut text = String::new();
    for stage in &view.stages {
        let (_, word) = outcome_words(stage.outcome);
        text.push_str(&format!(
            "{word:<8} {:<15} {}\n",
            stage.stage.word(),
            stage.evidence
        ));
        if let Some(next_step) = &stage.next_step {
            text.push_str(&format!("{:<24} -> {next_step}\n", ""));
        }
    }
    text
}
