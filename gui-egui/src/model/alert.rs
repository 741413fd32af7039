//! What is worth a word on the desktop: a conflict or a letter of this machine's own that was not there before.
//!
//! What stands when the window opens is news to nobody.

use std::collections::BTreeSet;

use studiovault_protocol::api::{ConflictView, DeadLetter};

use super::words::count;

/// One word on the desktop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// What happened.
    pub title: String,
    /// To what, and the next step.
    pub body: String,
}

/// What was there before, and what is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Watch {
    conflicts: Option<BTreeSet<String>>,
    letters: Option<BTreeSet<String>>,
    alerts: Vec<Alert>,
}

impl Watch {
    /// What is to be told, once.
    pub(super) fn take(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    pub(super) fn see_conflicts(&mut self, rows: &[ConflictView], own: &str) {
        let is_own = |row: &&ConflictView| row.sides.iter().any(|side| side.device == own);
        let named = rows.iter().filter(is_own).map(|row| {
            let field = row.field.as_deref().unwrap_or("deleted and edited");
            (row.id.clone(), format!("{}: {field}", row.label))
        });
        let fresh = fresh(&mut self.conflicts, named.collect());
        let step = "Two machines gave it different values; both are kept. The window shows them.";
        self.alerts.extend(alert(fresh, ("conflict", step)));
    }

    pub(super) fn see_letters(&mut self, rows: &[DeadLetter], own: &str) {
        let named = rows.iter().filter(|row| row.device == own);
        let named = named.map(|row| (row.dot.clone(), row.label.clone()));
        let fresh = fresh(&mut self.letters, named.collect());
        let step = "The cloud did not take it; it is kept. The window shows what to mend.";
        self.alerts.extend(alert(fresh, ("change to fix", step)));
    }
}

/// What was not there before, by its name; nothing at the first look.
fn fresh(known: &mut Option<BTreeSet<String>>, rows: Vec<(String, String)>) -> Vec<String> {
    let ids = rows.iter().map(|(id, _)| id.clone()).collect();
    let Some(before) = known.replace(ids) else {
        return Vec::new();
    };
    let rows = rows.into_iter().filter(|(id, _)| !before.contains(id));
    rows.map(|(_, name)| name).collect()
}

fn alert(fresh: Vec<String>, (noun, step): (&str, &str)) -> Option<Alert> {
    let first = fresh.first()?;
    let (title, body) = match fresh.len() {
        1 => (format!("A {noun}"), format!("{first}. {step}")),
        many => {
            let others = count(many as u64 - 1);
            let title = format!("{} times: a {noun}", count(many as u64));
            (title, format!("{first}, and {others} more. {step}"))
        }
    };
    Some(Alert { title, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{a_bad_day, two_dates, two_prices};

    #[test]
    fn only_what_is_new_and_ones_own_is_told_and_only_once() {
        let mut watch = Watch::default();
        watch.see_conflicts(&[two_dates()], "laptop");
        assert!(watch.take().is_empty(), "it stood when the window opened");
        watch.see_conflicts(&[two_dates(), two_prices()], "editor");
        assert!(watch.take().is_empty(), "it is of others");
        watch.see_conflicts(&[two_dates()], "laptop");
        let _baseline = watch.take();
        watch.see_conflicts(&[two_dates(), two_prices()], "laptop");
        let told = watch.take();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].title, "A conflict");
        assert!(told[0].body.starts_with("Album: price_cents. Two machines"));
        watch.see_conflicts(&[two_dates(), two_prices()], "laptop");
        assert!(watch.take().is_empty());
    }

    #[test]
    fn a_letter_of_ones_own_is_told() {
        let mut watch = Watch::default();
        watch.see_letters(&[], "laptop");
        watch.see_letters(&[a_bad_day()], "laptop");
        let told = watch.take();
        assert_eq!(told[0].title, "A change to fix");
        assert!(
            told[0]
                .body
                .starts_with("Costa portraits. The cloud did not take it")
        );
    }
}
