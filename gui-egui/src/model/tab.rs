//! The panels of the window, in their order on screen.

use crate::action::Step;

/// The panels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tab {
    /// What is safe where.
    #[default]
    Overview,
    /// What a person has to decide.
    Conflicts,
    /// What the cloud did not take.
    Fixing,
    /// What happened.
    Activity,
    /// The machines of the studio.
    Devices,
    /// The cloud, the policy and the window itself.
    Settings,
}

impl Tab {
    /// All of them, in their order on screen.
    pub const ALL: [Self; 6] = [
        Self::Overview,
        Self::Conflicts,
        Self::Fixing,
        Self::Activity,
        Self::Devices,
        Self::Settings,
    ];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Conflicts => "Conflicts",
            Self::Fixing => "Needs fixing",
            Self::Activity => "Activity",
            Self::Devices => "Devices",
            Self::Settings => "Settings",
        }
    }

    /// The next one, or the one before; after the last comes the first.
    pub fn turned(self, step: Step) -> Self {
        let by = match step {
            Step::Next => 1,
            Step::Back => Self::ALL.len() - 1,
        };
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}
