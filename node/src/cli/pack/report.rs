//! What became of a pack: what was used of it, what was not, and why.

use std::path::Path;

use serde::Serialize;
use studiovault_protocol::pack::{Label, Taken};

use super::super::Outcome;
use super::super::failure::{Exit, Failure};
use super::super::output::moment;
use super::Ending;

/// What became of a pack so far.
#[derive(Serialize, Default)]
pub(super) struct Report {
    /// Whose it is, if that could be read.
    pub label: Option<Label>,
    /// What became of its parts.
    #[serde(flatten)]
    pub taken: Taken,
    /// Bundles that the machine kept before and could not apply.
    #[serde(skip)]
    parked_before: Option<u64>,
    /// Bundles of it that wait for something that it does not hold.
    pub waiting: u64,
    /// Parts that were not as they were sealed, and were left out.
    pub damaged_parts: u64,
    /// How it ended; none: it could not be read to its end.
    pub ending: Option<Ending>,
}

impl Report {
    /// What became of one more part.
    pub fn add(&mut self, taken: Taken) {
        // The first part is a label, which changes nothing.
        let before = *self.parked_before.get_or_insert(taken.parked);
        self.taken.add(taken);
        let parked = self.taken.parked.saturating_sub(before);
        self.waiting = self.taken.bundles.waiting + parked;
    }

    fn refused(&self) -> u64 {
        self.taken.refused.values().sum()
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(label) = &self.label {
            let at = moment(label.at);
            lines.push(format!("made by {} at {at}, {}", label.name, label.words()));
        }
        let taken = &self.taken;
        lines.push(format!(
            "{} bundles new, {} held already, {} waiting for something that the pack does not hold, {} refused",
            taken.bundles.new,
            taken.bundles.held,
            self.waiting,
            self.refused()
        ));
        let signed = (taken.records, taken.policies, taken.pages.new);
        if signed != (0, 0, 0) {
            lines.push(format!(
                "{} records of the roster, {} policies and {} pages of the feed new",
                signed.0, signed.1, signed.2
            ));
        }
        if taken.pages.waiting > 0 {
            lines.push(format!(
                "{} pages of the feed wait for pages before them, or for the cloud to be known here",
                taken.pages.waiting
            ));
        }
        let refused = taken.refused.iter();
        lines.extend(refused.map(|(reason, times)| format!("! refused {times} times: {reason}")));
        if self.damaged_parts > 0 {
            lines.push(format!(
                "! {} parts of the pack are damaged and were left out",
                self.damaged_parts
            ));
        }
        lines.extend(self.ending.and_then(ended).map(str::to_owned));
        if self.waiting > 0 {
            lines.push(
                "what waits comes with a pack of everything, or with one made with --since what `studiovault frontier` prints here"
                    .to_owned(),
            );
        }
        lines
    }

    /// Done, or what was off.
    pub fn outcome(&self, file: &Path) -> Outcome {
        let is_whole = self.ending == Some(Ending::Whole) && self.damaged_parts == 0;
        let what = match (is_whole, self.refused()) {
            (true, 0) => return Ok(()),
            (true, refused) => format!("{refused} things in it were refused"),
            (false, _) => "it is damaged, and what could be read of it was used".to_owned(),
        };
        let text = format!(
            "{}: {what}\nCopy the pack anew, or make it anew with `studiovault export`, and take that in: what was taken is kept and costs nothing.",
            file.display()
        );
        Err(Failure::new(Exit::Failed, text))
    }
}

fn ended(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Whole => None,
        Ending::CutOff => Some("! the pack is cut off: its end is missing"),
        Ending::Unreadable => Some("! the pack cannot be read to its end: it is damaged"),
        Ending::MoreBehind => {
            Some("! something stands behind the end of the pack and was left out")
        }
    }
}
