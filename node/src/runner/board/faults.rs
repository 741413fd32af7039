//! The faults that people are told of: one of each kind, and none that no longer holds.
//!
//! Those of the way to the cloud hold as long as the uplink has them as its problem. What shows by itself that it is over is taken
//! away by that; only what nobody can see the end of is told for a while.

use std::collections::BTreeMap;

use studiovault_protocol::api::Warning;
use studiovault_protocol::fault::{Fault, FaultKind};
use studiovault_protocol::time::WallMs;

use crate::wording::{parted, sentence};

/// A fault of which nobody can see the end is shown this long after it was last seen, ms.
const SHOWN_MS: i64 = 600_000;

/// The last of each kind, and when that was.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<FaultKind, (WallMs, String)>);

impl Faults {
    /// One was seen.
    pub(super) fn note(&mut self, fault: &Fault, now: WallMs) {
        self.0.insert(fault.kind, (now, fault.words.clone()));
    }

    /// What shows that there is none of a kind any more happened; whether one was shown.
    pub(super) fn over(&mut self, kind: FaultKind) -> bool {
        self.0.remove(&kind).is_some()
    }

    /// Those that hold, with what the uplink has as its problem now.
    pub(super) fn warnings(&self, problem: Option<&Fault>, now: WallMs) -> Vec<Warning> {
        let seen = self.0.iter().filter(|(kind, (at, _))| {
            !kind.is_of_uplink() && now.0.saturating_sub(at.0) < SHOWN_MS
        });
        let seen = seen.map(|(kind, (_, words))| (*kind, words));
        let problem = problem.map(|fault| (fault.kind, &fault.words));
        problem.into_iter().chain(seen).map(warning).collect()
    }
}

fn warning((kind, words): (FaultKind, &String)) -> Warning {
    let (what, next_step) = parted(words);
    let otherwise = "If it goes on, look at the log of `studiovault run`.";
    Warning {
        code: "FAULT".into(),
        sentence: what.to_owned(),
        next_step: next_step.map_or_else(|| otherwise.to_owned(), sentence),
        kind: Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind, words: &str) -> Fault {
        let words = words.to_owned();
        Fault { kind, words }
    }

    fn told(faults: &Faults, problem: Option<&Fault>, at: i64) -> Vec<String> {
        let warnings = faults.warnings(problem, WallMs(at)).into_iter();
        warnings.map(|warning| warning.sentence).collect()
    }

    #[test]
    fn a_fault_of_the_uplink_is_told_exactly_while_it_is_its_problem() {
        let mut faults = Faults::default();
        let refused = fault(FaultKind::SignIn, "the token is refused");
        faults.note(&refused, WallMs(0));
        assert_eq!(told(&faults, Some(&refused), 1_000_000_000).len(), 1);
        assert!(told(&faults, None, 1).is_empty(), "a token was taken");
        let unreachable = fault(FaultKind::Unreachable, "nobody there");
        assert_eq!(told(&faults, Some(&unreachable), 2), ["nobody there"]);
    }

    #[test]
    fn others_are_told_side_by_side_until_they_are_over_or_for_ten_minutes() {
        let mut faults = Faults::default();
        faults.note(&fault(FaultKind::Disk, "the disk is full"), WallMs(0));
        faults.note(&fault(FaultKind::Record, "a forged record"), WallMs(5));
        assert_eq!(told(&faults, None, 10).len(), 2, "neither hides the other");
        assert!(faults.over(FaultKind::Disk) && !faults.over(FaultKind::Disk));
        assert_eq!(told(&faults, None, 10), ["a forged record"]);
        assert!(told(&faults, None, SHOWN_MS + 5).is_empty());
    }
}
