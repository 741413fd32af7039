//! Why there is nothing (new) to show, what to do about it, and what to type or press for it.

/// Why there is nothing (new) to show.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The person's: no machine lives in the folder.
    #[error("There is no StudioVault machine in {folder}.")]
    NoMachine {
        /// The folder that was looked in.
        folder: String,
    },
    /// The person's: the machine's node does not run.
    #[error("The node of this machine is not running.")]
    NotRunning {
        /// Its folder.
        folder: String,
    },
    /// The person's: the file with the token is not ours to read, or the node takes another one.
    #[error("The node refuses this window's token.")]
    TokenRefused {
        /// Where the token stands.
        file: String,
    },
    /// The person's: node and window are of versions that do not understand each other.
    #[error(
        "The node runs version {node}, this window is version {window}, and they do not understand each other."
    )]
    WrongVersion {
        /// The node's.
        node: String,
        /// This program's.
        window: String,
    },
    /// The node's: it answers, but not with what was asked for.
    #[error("The node answers, but not as it should: {reason}.")]
    Unwell {
        /// What came back.
        reason: String,
    },
}

impl Failure {
    /// A few words, for a heading.
    pub fn title(&self) -> &'static str {
        match self {
            Self::NoMachine { .. } => "No machine here yet",
            Self::NotRunning { .. } => "No node running",
            Self::TokenRefused { .. } => "Token refused",
            Self::WrongVersion { .. } => "Wrong version",
            Self::Unwell { .. } => "The node is not well",
        }
    }

    /// What to do, as a sentence.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NoMachine { .. } => {
                "Make one with the first command, or join a studio that exists with the second; or name another folder with --data."
            }
            Self::NotRunning { .. } => {
                "Start it in a terminal; this window connects by itself as soon as it runs."
            }
            Self::TokenRefused { .. } => {
                "Open the window as the user who runs the node; if you are that user, restart the node: it writes a new token."
            }
            Self::WrongVersion { .. } => {
                "Update the older one of the two; nothing on this machine is changed meanwhile."
            }
            Self::Unwell { .. } => {
                "Ask the node what is wrong in a terminal; the log of `studiovault run` says more."
            }
        }
    }

    /// What to type in a terminal, if something is.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::NoMachine { folder } => vec![
                format!(
                    "studiovault init --data {} --name LAPTOP --studio-name Lisbon",
                    quoted(folder)
                ),
                format!(
                    "studiovault join CODE --data {} --name LAPTOP",
                    quoted(folder)
                ),
            ],
            Self::NotRunning { folder } => {
                vec![format!("studiovault run --data {}", quoted(folder))]
            }
            Self::Unwell { .. } => vec!["studiovault status".to_owned()],
            Self::TokenRefused { .. } | Self::WrongVersion { .. } => Vec::new(),
        }
    }
}

/// A path as a shell takes it: quoted only if it has to be.
fn quoted(path: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-:\\~".contains(letter);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("\"{path}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_that_mends_it() {
        let folder = "/data/my studio".to_owned();
        let failure = Failure::NotRunning { folder };
        assert_eq!(
            failure.commands(),
            ["studiovault run --data \"/data/my studio\""]
        );
    }
}
