//! Known bugs that are switched on one at a time, to show that a test catches each of them.
//!
//! Only with the feature `sabotage`, which nothing but the tests asks for: without it the compiler answers every question here
//! with no, and no bug is in the program.

/// The environment variable that names the bug to switch on.
pub const SWITCH: &str = "STUDIOVAULT_SABOTAGE";

/// A bug that somebody could write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A commit does not wait for the disk: `synchronous = NORMAL`.
    NormalSync,
    /// The pick goes through the siblings two by two, in the order in which they stand.
    PairwisePick,
    /// Of concurrent values only the one that is shown is kept.
    LosersDropped,
    /// A bundle is applied before what its author had seen.
    NoCausalWait,
    /// A machine that starts again writes on in the epoch of its last run.
    EpochKept,
    /// What was deleted is collected at once.
    TombstoneEarly,
    /// Verdicts are believed without the cloud's signature.
    VerdictUnsigned,
    /// The cloud forgets which commands it took: its window is empty.
    DedupeWindow,
    /// A write claims to know what its author had not read.
    StaleContext,
    /// A machine waits for the gateway for ever.
    NoEscape,
    /// What a peer does not read is queued for it without an end.
    EndlessQueue,
    /// A transfer begins at the newest bundle that is lacking, as if what came late were not new.
    CursorByTime,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NormalSync,
        Self::PairwisePick,
        Self::LosersDropped,
        Self::NoCausalWait,
        Self::EpochKept,
        Self::TombstoneEarly,
        Self::VerdictUnsigned,
        Self::DedupeWindow,
        Self::StaleContext,
        Self::NoEscape,
        Self::EndlessQueue,
        Self::CursorByTime,
    ];

    /// Its name, as [`SWITCH`] takes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NormalSync => "normal-sync",
            Self::PairwisePick => "pairwise-pick",
            Self::LosersDropped => "losers-dropped",
            Self::NoCausalWait => "no-causal-wait",
            Self::EpochKept => "epoch-kept",
            Self::TombstoneEarly => "tombstone-early",
            Self::VerdictUnsigned => "verdict-unsigned",
            Self::DedupeWindow => "dedupe-window",
            Self::StaleContext => "stale-context",
            Self::NoEscape => "no-escape",
            Self::EndlessQueue => "endless-queue",
            Self::CursorByTime => "cursor-by-time",
        }
    }

    /// Whether this bug is switched on.
    #[cfg(not(feature = "sabotage"))]
    pub const fn is_on(self) -> bool {
        false
    }

    /// Whether this bug is switched on.
    #[cfg(feature = "sabotage")]
    pub fn is_on(self) -> bool {
        static ON: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(switched_on);
        *ON == Some(self)
    }
}

/// Panics on a name that is none: a misspelt bug would pass for one that nothing catches.
#[cfg(feature = "sabotage")]
fn switched_on() -> Option<Bug> {
    let word = std::env::var(SWITCH).ok()?;
    let named = Bug::ALL.into_iter().find(|bug| bug.word() == word);
    Some(named.unwrap_or_else(|| panic!("{SWITCH}={word}: there is no such bug")))
}
