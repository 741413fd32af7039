//! How a command fails: a kind, which is the exit code, and a sentence that ends with the next step.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use studiovault_node::config::ConfigError;
use studiovault_node::wording::{self, parted};
use studiovault_protocol::api::Problem;

use super::output::tame;

/// What kind of failure, as the exit code tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Failed, or a check was off.
    Failed = 1,
    /// Wrong arguments.
    Usage = 2,
    /// No node runs with the folder.
    NotRunning = 3,
    /// The input or the policy says no.
    Refused = 4,
    /// No such thing.
    NotFound = 5,
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    problem: Box<Problem>,
}

impl Failure {
    /// A failure in words: what happened, and in its last line what to do.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        let text = text.into();
        let (detail, next_step) = text.rsplit_once('\n').unwrap_or((&text, ""));
        let code = match exit {
            Exit::Failed => "FAILED",
            Exit::Usage => "USAGE",
            Exit::NotRunning => "NOT_RUNNING",
            Exit::Refused => "REFUSED",
            Exit::NotFound => "NOT_FOUND",
        };
        Self {
            exit,
            problem: Box::new(Problem::new(0, code, detail.to_owned(), next_step)),
        }
    }

    /// A failure in a sentence of ours, which ends in its next step.
    pub fn stepped(exit: Exit, sentence: &str) -> Self {
        let (what, next_step) = parted(sentence);
        let next_step = wording::sentence(next_step.unwrap_or("try again"));
        Self::new(exit, format!("{what}\n{next_step}"))
    }

    /// Arguments that are none, in the words of the parser without its picture of the usage.
    pub fn misused(error: &clap::Error) -> Self {
        let told = error.render().to_string();
        let what = told.split("\n\nUsage:").next().unwrap_or(&told);
        let words: Vec<&str> = what.split_whitespace().collect();
        let what = words.join(" ");
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        Self::new(
            Exit::Usage,
            format!("{what}\nSee `studiovault help` and the command's own `--help`."),
        )
    }

    /// No node runs with the folder.
    pub fn is_not_running(&self) -> bool {
        self.exit == Exit::NotRunning
    }

    /// Nothing of that name is there.
    pub fn is_not_found(&self) -> bool {
        self.exit == Exit::NotFound
    }

    /// What went wrong, for another sentence about it.
    pub fn text(&self) -> String {
        self.problem.to_string()
    }

    /// Prints it on the error stream, in words.
    pub fn tell(&self) -> ExitCode {
        let told = self.problem.to_string();
        match std::io::stderr().is_terminal() {
            true => eprintln!("{}", tame(&told)),
            false => eprintln!("{told}"),
        }
        ExitCode::from(self.exit as u8)
    }

    /// Prints it on the error stream, as a problem document in one line.
    pub fn tell_in_json(&self) -> ExitCode {
        let text = serde_json::to_string(&self.problem).expect("a problem always encodes");
        eprintln!("{text}");
        ExitCode::from(self.exit as u8)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.status {
            404 => Exit::NotFound,
            400..=499 => Exit::Refused,
            _ => Exit::Failed,
        };
        Self {
            exit,
            problem: Box::new(problem),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = match error {
            ConfigError::Name(_) => Exit::Usage,
            ConfigError::AlreadyMade(_) => Exit::Refused,
            ConfigError::NoMachine(_) => Exit::NotFound,
            _ => Exit::Failed,
        };
        if let ConfigError::Name(_) = error {
            let text = error.to_string();
            return Self::new(exit, format!("{text}\nGive another name."));
        }
        Self::stepped(exit, &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_next_step() {
        let failure = Failure::new(Exit::NotRunning, "nothing runs\nRun it.");
        assert_eq!(failure.problem.detail, "nothing runs");
        assert_eq!(failure.problem.next_step, "Run it.");
        assert_eq!(failure.text(), "nothing runs\nRun it.");
    }

    #[test]
    fn words_that_are_no_arguments_are_told_in_one_line() {
        let parser = clap::Command::new("studiovault").arg(clap::arg!(<TYPE>));
        let error = parser
            .try_get_matches_from(["studiovault"])
            .expect_err("nothing was given");
        let failure = Failure::misused(&error);
        let problem = &failure.problem;
        let what = "the following required arguments were not provided: <TYPE>";
        assert_eq!(problem.detail, what);
        assert_eq!(problem.code, "USAGE");
        assert!(
            problem.next_step.contains("--help"),
            "{}",
            problem.next_step
        );
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_told_with_the_next_step_apart() {
        let missing = Failure::from(ConfigError::NoMachine("/nowhere".into()));
        assert!(
            missing
                .problem
                .next_step
                .starts_with("Run `studiovault init`")
        );
        assert!(missing.problem.next_step.ends_with("--data."));
        assert!(!missing.problem.detail.contains("; "));
        let unnamed = Failure::from(ConfigError::Name("\n".into()));
        assert_eq!(unnamed.problem.next_step, "Give another name.");
        let told = Failure::stepped(Exit::Failed, "x is there already; name another file");
        assert_eq!(told.text(), "x is there already\nName another file.");
    }

    #[test]
    fn the_exit_code_tells_refused_from_missing_from_broken() {
        let exit = |status| Failure::from(Problem::new(status, "X", String::new(), "")).exit;
        assert_eq!(exit(404), Exit::NotFound);
        assert_eq!(exit(422), Exit::Refused);
        assert_eq!(exit(500), Exit::Failed);
    }
}
