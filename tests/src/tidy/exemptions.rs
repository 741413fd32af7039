//! The places that may leave the house style, each with its reason.
//! An exemption that no longer covers anything fails the tidy test, so the table only holds what is still needed.

use super::{Finding, Rule};

/// One rule that one item of one file need not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemption {
    pub rule: Rule,
    /// Relative to the root of the repository.
    pub path: &'static str,
    /// The function, type or crate; empty when it is the whole file.
    pub item: &'static str,
    /// Why the rule would make this place worse.
    pub reason: &'static str,
}

impl Exemption {
    /// True if this exemption was given for that finding.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule
            && finding.path == std::path::Path::new(self.path)
            && self.item == finding.item
    }
}

/// All exemptions of this repository.
pub const EXEMPTIONS: &[Exemption] = &[
    Exemption {
        rule: Rule::FunctionSize,
        path: "protocol/src/wire/tests.rs",
        item: "frames",
        reason: "one example of every frame; a list reads better whole",
    },
    Exemption {
        rule: Rule::BoolParameter,
        path: "tests/src/sim.rs",
        item: "run",
        reason: "shown or not is what the command line asks; the product has no such call",
    },
    Exemption {
        rule: Rule::Fields,
        path: "tests/src/sim/world.rs",
        item: "World",
        reason: "the whole simulated studio: each field is one of its parts",
    },
    Exemption {
        rule: Rule::Purity,
        path: "protocol/src/sabotage.rs",
        item: "std::env",
        reason: "read only with a feature that nothing but the tests asks for",
    },
];
