//! What waits, in a few words: the title of the window and the sign in the desktop's tray say it.

use super::sentence::Tone;
use super::words::{count, counted};

/// What waits for a person, and for the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Badge {
    /// What people call the studio, once it is known.
    pub studio: Option<String>,
    /// Whether the node answers; what is counted is old if not.
    pub answers: bool,
    /// Conflicts that are open.
    pub conflicts: u64,
    /// Changes that the cloud did not take.
    pub letters: u64,
    /// Changes that wait for the cloud.
    pub pending: u64,
}

impl Badge {
    /// What waits stands in front, so that it shows in a task bar.
    pub fn title(&self) -> String {
        let Some(studio) = &self.studio else {
            return "StudioVault".to_owned();
        };
        let parts = [
            (self.conflicts, counted(self.conflicts, "conflict")),
            (self.letters, format!("{} to fix", count(self.letters))),
            (self.pending, format!("{} pending", count(self.pending))),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(number, words)| (number > 0).then_some(words))
            .collect();
        match parts.is_empty() {
            true => format!("StudioVault - {studio}"),
            false => format!("({}) StudioVault - {studio}", parts.join(", ")),
        }
    }

    /// The same as sentences.
    pub fn sentence(&self) -> String {
        if self.studio.is_none() {
            return "The node of this machine does not answer.".to_owned();
        }
        let mut parts = Vec::new();
        if self.conflicts > 0 {
            parts.push(format!("{}.", counted(self.conflicts, "open conflict")));
        }
        if self.letters > 0 {
            let changes = counted(self.letters, "change");
            parts.push(format!("{changes} the cloud did not take."));
        }
        match self.pending {
            0 => {}
            1 => parts.push("1 change waits for the cloud.".to_owned()),
            many => parts.push(format!("{} changes wait for the cloud.", count(many))),
        }
        if parts.is_empty() {
            parts.push("Nothing waits.".to_owned());
        }
        let words = parts.join(" ");
        match self.answers {
            true => words,
            false => format!("The node of this machine does not answer. When it last did: {words}"),
        }
    }

    /// How it is meant.
    pub fn tone(&self) -> Tone {
        match self {
            _ if self.conflicts + self.letters > 0 => Tone::Attention,
            Self { answers: false, .. } => Tone::Quiet,
            _ if self.pending > 0 => Tone::Waiting,
            _ => Tone::Good,
        }
    }

    /// The one figure that there is room for: what needs a person, else what waits for the cloud.
    pub fn figure(&self) -> u64 {
        match self.conflicts + self.letters {
            0 => self.pending,
            people => people,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn badge((conflicts, letters, pending): (u64, u64, u64)) -> Badge {
        Badge {
            studio: Some("Lisbon".to_owned()),
            answers: true,
            conflicts,
            letters,
            pending,
        }
    }

    #[test]
    fn what_needs_a_person_goes_before_what_waits_by_itself() {
        let both = badge((1, 2, 1_200));
        assert_eq!(
            both.title(),
            "(1 conflict, 2 to fix, 1,200 pending) StudioVault - Lisbon"
        );
        assert_eq!(
            both.sentence(),
            "1 open conflict. 2 changes the cloud did not take. 1,200 changes wait for the cloud."
        );
        assert_eq!((both.tone(), both.figure()), (Tone::Attention, 3));
        let one = badge((0, 0, 1));
        assert_eq!(one.title(), "(1 pending) StudioVault - Lisbon");
        assert_eq!((one.tone(), one.figure()), (Tone::Waiting, 1));
    }

    #[test]
    fn nothing_that_waits_is_no_figure_and_a_silent_node_is_said_so() {
        let nothing = badge((0, 0, 0));
        assert_eq!(nothing.title(), "StudioVault - Lisbon");
        assert_eq!(nothing.sentence(), "Nothing waits.");
        assert_eq!((nothing.tone(), nothing.figure()), (Tone::Good, 0));
        let silent = Badge {
            answers: false,
            ..badge((0, 0, 3))
        };
        assert!(
            silent
                .sentence()
                .starts_with("The node of this machine does not answer.")
        );
        assert_eq!(silent.tone(), Tone::Quiet);
        assert_eq!(Badge::default().title(), "StudioVault");
    }
}
